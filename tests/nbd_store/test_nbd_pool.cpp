// test_nbd_pool.cpp - pools whose pages a server of NBD has.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "server.hpp"

#include <random>

using namespace test;

namespace {

constexpr pgno_t PAGE = 4096;

// A pool, closed at the end.
class NbdPool {
public:
	NbdPool(const Server &server, pgno_t maxcache, struct mpool_nbd_options options = quick())
	    : mp_(mpool_open_nbd(server.uri().c_str(), &options, sizeof options, PAGE, maxcache))
	{
		INFO("mpool_open_nbd: " << strerror(errno));
		REQUIRE(mp_);
	}
	NbdPool(const NbdPool &) = delete;
	NbdPool &operator=(const NbdPool &) = delete;
	~NbdPool() { close(); }
	void close()
	{
		if (mp_)
			mpool_close(std::exchange(mp_, nullptr));
	}
	static struct mpool_nbd_options quick()
	{
		struct mpool_nbd_options options = {};
		options.retry = 1;
		return options;
	}
	operator MPOOL *() const { return mp_; }

	// 0, or the errno.
	int modify(pgno_t pgno, uint64_t version) const
	{
		void *page = mpool_get(mp_, pgno, 0);
		if (!page)
			return errno;
		fill(page, PAGE, pgno, version);
		REQUIRE(mpool_put(mp_, page, MPOOL_DIRTY) == 0);
		return 0;
	}
	// 0, or the errno; -1: other bytes.
	int shows(pgno_t pgno, uint64_t version) const
	{
		void *page = mpool_get(mp_, pgno, 0);
		if (!page)
			return errno;
		bool same = is(page, PAGE, pgno, version);
		REQUIRE(mpool_put(mp_, page, 0) == 0);
		return same ? 0 : -1;
	}
	int sync() const { return mpool_sync(mp_) == 0 ? 0 : errno; }
	struct mpool_stats stats() const
	{
		struct mpool_stats st;
		REQUIRE(mpool_stats(mp_, &st, sizeof st) == 0);
		return st;
	}

private:
	MPOOL *mp_;
};

bool unreached(int error)
{
	return error == ENOTCONN || error == ECONNRESET;
}

// What a server that can be held up has begun.
size_t begun(const Folder &folder, const std::string &what)
{
	return occurrences(text_of(folder.file("log")), " " + what + " id=");
}

struct Held {
	explicit Held(const std::string &disk)
	    : server([&] {
		      Words words = Pause::filters(folder);
		      words.insert(words.end(), {"file", "file=" + disk});
		      return words;
	      }()),
	      pause(folder.file("pause"))
	{
	}
	Folder folder;
	Server server;
	Pause pause;
};

} // namespace

TEST_CASE("nbd pool: pages are read, modified, written and found by others")
{
	const pgno_t PAGES = 300, CACHE = 20;
	File disk(PAGE, PAGES);
	Server server({"file", "file=" + disk.path()});
	{
		NbdPool pool(server, CACHE);
		CHECK(pool.stats().pages == PAGES);
		std::vector<uint64_t> version(PAGES, 0);
		std::mt19937 random(1);
		for (size_t i = 0; i < shrink(3000); i++) {
			pgno_t pgno = random() % PAGES;
			REQUIRE(pool.shows(pgno, version[pgno]) == 0);
			if (random() % 2)
				REQUIRE(pool.modify(pgno, ++version[pgno]) == 0);
		}
		REQUIRE(pool.sync() == 0);
		for (pgno_t i = 0; i < PAGES; i++)
			REQUIRE(disk.holds(i, version[i]));
		// There is no room for another.
		pgno_t pgno;
		void *page = (mpool_new)(pool, &pgno);
		REQUIRE(page);
		CHECK(mpool_put(pool, page, MPOOL_DIRTY) == 0);
		CHECK(pool.sync() == ENOSPC);
		REQUIRE_FAILS(mpool_truncate(pool, 1), ENOTSUP);
	}
	Folder folder;
	REQUIRE(run({"nbdcopy", server.uri(), folder.file("copy")}) == 0);
	CHECK(text_of(folder.file("copy")) == text_of(disk.path()));
}

TEST_CASE("nbd pool: fio and nbdcopy see what a pool has written, and it sees what they have")
{
	const pgno_t PAGES = 64;
	Server server({"memory", "size=" + std::to_string(PAGES * PAGE)});
	File disk(PAGE, PAGES);
	REQUIRE(run({"nbdcopy", disk.path(), server.uri()}) == 0);
	NbdPool pool(server, PAGES);
	for (pgno_t i = 0; i < PAGES; i++)
		REQUIRE(pool.shows(i, 0) == 0);
	for (pgno_t i = 0; i < PAGES; i += 2)
		REQUIRE(pool.modify(i, 1) == 0);
	REQUIRE(pool.sync() == 0);
	Folder folder;
	REQUIRE(run({"nbdcopy", server.uri(), folder.file("copy")}) == 0);
	std::string copy = text_of(folder.file("copy"));
	for (pgno_t i = 0; i < PAGES; i++)
		REQUIRE(is(&copy[i * PAGE], PAGE, i, i % 2 ? 0 : 1));
	if (run({"sh", "-c", "fio --enghelp=nbd > " + folder.file("help") + " 2>&1"}) != 0) {
		WARN("fio has no engine for NBD: not tested beside it");
		return;
	}
	// Every page, with a pattern; then the pool's, if told to forget its own.
	auto fio = [&](const std::string &how, const std::string &pattern) {
		return run({"fio", "--name=x", "--ioengine=nbd", "--uri=" + server.uri(), "--rw=" + how, "--bs=4k",
			"--iodepth=32", "--verify=pattern", "--verify_pattern=" + pattern, "--verify_fatal=1",
			"--verify_state_save=0", "--output=" + folder.file("fio")});
	};
	REQUIRE(fio("write", "0x41") == 0);
	REQUIRE(mpool_invalidate(pool, 0, PAGES) == 0);
	for (pgno_t i = 0; i < PAGES; i++) {
		void *page = mpool_get(pool, i, 0);
		REQUIRE(page);
		REQUIRE(all_bytes(page, PAGE, 0x41));
		memset(page, 0x42, PAGE);
		REQUIRE(mpool_put(pool, page, MPOOL_DIRTY) == 0);
	}
	REQUIRE(pool.sync() == 0);
	CHECK(fio("read", "0x42") == 0);
}

TEST_CASE("nbd pool: a server that lost what it had answered gets it again, and mpool_sync says so once")
{
	const pgno_t PAGES = 64;
	Server server({"memory", "size=" + std::to_string(PAGES * PAGE)});
	NbdPool pool(server, PAGES);
	for (pgno_t i = 0; i < PAGES; i++)
		REQUIRE(pool.modify(i, 1) == 0);
	REQUIRE(pool.sync() == 0);
	for (pgno_t i = 0; i < PAGES; i++)
		REQUIRE(pool.modify(i, 2) == 0);
	// Written, and answered, and on no stable storage.
	REQUIRE(mpool_sync_range(pool, 0, PAGES, MPOOL_WRITE) == 0);
	CHECK(pool.stats().dirty == 0);
	server.end(SIGKILL);
	SECTION("there is another at once")
	{
		server.begin();
	}
	SECTION("there is none for a time")
	{
		CHECK(unreached(pool.sync()));
		CHECK(pool.stats().dirty == PAGES);
		server.begin();
	}
	int error;
	await([&] { return !unreached(error = pool.sync()); });
	CHECK(error == EIO);
	CHECK(pool.stats().dirty == PAGES);
	CHECK(pool.sync() == 0);
	pool.close();
	Folder folder;
	REQUIRE(run({"nbdcopy", server.uri(), folder.file("copy")}) == 0);
	std::string copy = text_of(folder.file("copy"));
	REQUIRE(copy.size() == PAGES * PAGE);
	for (pgno_t i = 0; i < PAGES; i++)
		CHECK(is(&copy[i * PAGE], PAGE, i, 2));
}

TEST_CASE("nbd pool: a page that has left memory may be lost with its server, and that is not forgotten")
{
	const pgno_t PAGES = 64, CACHE = 8;
	Server server({"memory", "size=" + std::to_string(PAGES * PAGE)});
	NbdPool pool(server, CACHE);
	for (pgno_t i = 0; i < PAGES; i++)
		REQUIRE(pool.modify(i, 1) == 0);
	server.end(SIGKILL);
	server.begin();
	int error;
	await([&] { return !unreached(error = pool.sync()); });
	CHECK(error == EIO);
	CHECK(pool.sync() == EIO);
}

TEST_CASE("nbd pool: while there is no server, calls fail, nothing is lost, and it goes on")
{
	const pgno_t PAGES = 64, CACHE = 16;
	File disk(PAGE, PAGES);
	Server server({"file", "file=" + disk.path()});
	NbdPool pool(server, CACHE);
	for (pgno_t i = 0; i < CACHE; i++)
		REQUIRE(pool.modify(i, 1) == 0);
	server.end(SIGKILL);
	CHECK(unreached(pool.shows(40, 0)));
	CHECK(unreached(pool.sync()));
	CHECK(pool.stats().dirty == CACHE);
	for (pgno_t i = 0; i < CACHE; i++)
		CHECK(pool.shows(i, 1) == 0);
	server.begin();
	int error;
	await([&] { return !unreached(error = pool.shows(40, 0)); });
	CHECK(error == 0);
	CHECK(pool.sync() == 0);
	for (pgno_t i = 0; i < CACHE; i++)
		CHECK(disk.holds(i, 1));
}

TEST_CASE("nbd pool: errors of the server's are those of the calls, and pass")
{
	const pgno_t PAGES = 64, CACHE = 8;
	Folder folder;
	Server server({"--filter=error", "memory", "size=" + std::to_string(PAGES * PAGE), "error=EIO",
		"error-rate=100%", "error-file=" + folder.file("fail")});
	NbdPool pool(server, CACHE);
	for (pgno_t i = 0; i < PAGES; i++)
		REQUIRE(pool.modify(i, 1) == 0);
	REQUIRE(pool.sync() == 0);
	REQUIRE(pool.modify(0, 2) == 0);
	make_file(folder.file("fail"));
	pgno_t out = 1; // of memory
	for (void *page; (page = mpool_get(pool, out, MPOOL_CACHED)); out++)
		REQUIRE(mpool_put(pool, page, 0) == 0);
	CHECK(pool.shows(out, 1) == EIO);
	CHECK(pool.sync() == EIO);
	CHECK(pool.stats().dirty == 1);
	REQUIRE(unlink(folder.file("fail").c_str()) == 0);
	CHECK(pool.shows(out, 1) == 0);
	CHECK(pool.sync() == 0);
	NbdPool again(server, CACHE);
	for (pgno_t i = 0; i < PAGES; i++)
		CHECK(again.shows(i, i ? 1 : 2) == 0);
}

TEST_CASE("nbd pool: every other request fails, or is late, and every page is right")
{
	const pgno_t PAGES = 64, CACHE = 16;
	Words how = GENERATE(as<Words>{}, Words{"--filter=error", "error=EIO", "error-rate=50%"},
		Words{"--filter=delay", "rdelay=1ms", "wdelay=1ms"});
	Words words = {"memory", "size=" + std::to_string(PAGES * PAGE)};
	words.insert(words.end(), how.begin(), how.end());
	Server server(words);
	NbdPool pool(server, CACHE);
	std::vector<uint64_t> version(PAGES, 0);
	std::mt19937 random(1);
	for (size_t i = 0; i < shrink(600); i++) {
		pgno_t pgno = random() % PAGES;
		int error = version[pgno] ? pool.shows(pgno, version[pgno]) : 0;
		CHECK((error == 0 || error == EIO));
		if (pool.modify(pgno, version[pgno] + 1) == 0)
			version[pgno]++;
	}
	for (pgno_t i = 0; i < PAGES; i++)
		if (version[i])
			await([&] {
				int error = pool.shows(i, version[i]);
				CHECK((error == 0 || error == EIO));
				return error == 0;
			});
}

TEST_CASE("nbd pool: getv, prefetch and the cleaner have many requests in flight")
{
	const pgno_t PAGES = 400;
	const size_t MANY = 32;
	File disk(PAGE, PAGES);
	Held held(disk.path());
	NbdPool pool(held.server, PAGES);
	REQUIRE(mpool_tune(pool, MPOOL_IO_DEPTH, 64) == 0);
	// Every other page, so that each is a request.
	std::vector<pgno_t> pgnos;
	for (pgno_t i = 0; i < 48; i++)
		pgnos.push_back(2 * i);
	SECTION("getv")
	{
		held.pause.pause();
		std::vector<void *> pages(pgnos.size());
		int result = -1;
		Threads threads;
		threads.start([&] { result = mpool_getv(pool, pgnos.data(), pages.data(), pgnos.size(), 0); });
		await([&] { return begun(held.folder, "Read") >= MANY; });
		held.pause.resume();
		threads.join();
		REQUIRE(result == 0);
		for (size_t i = 0; i < pgnos.size(); i++) {
			CHECK(is(pages[i], PAGE, pgnos[i], 0));
			CHECK(mpool_put(pool, pages[i], 0) == 0);
		}
	}
	SECTION("prefetch")
	{
		held.pause.pause();
		REQUIRE(mpool_prefetch(pool, pgnos.data(), pgnos.size(), -1) == static_cast<ssize_t>(pgnos.size()));
		await([&] { return begun(held.folder, "Read") >= MANY; });
		held.pause.resume();
		for (pgno_t pgno : pgnos)
			CHECK(pool.shows(pgno, 0) == 0);
	}
	SECTION("the cleaner")
	{
		NbdPool small(held.server, 64);
		REQUIRE(mpool_tune(small, MPOOL_IO_DEPTH, 64) == 0);
		for (pgno_t i = 0; i < 64; i++)
			REQUIRE(small.modify(2 * i, 1) == 0);
		size_t before = begun(held.folder, "Write");
		held.pause.pause();
		Threads threads;
		int cleaned = 0;
		threads.start([&] { cleaned = static_cast<int>(mpool_clean(small, 64)); });
		await([&] { return begun(held.folder, "Write") - before >= MANY; });
		held.pause.resume();
		threads.join();
		CHECK(cleaned > 0);
	}
}

TEST_CASE("nbd pool: a store attached to a file's pool, and one whose blocks are larger than its pages")
{
	File file(PAGE, 8);
	Server server({"--filter=blocksize-policy", "memory", "size=1M", "blocksize-minimum=4096",
		"blocksize-preferred=4096", "blocksize-maximum=65536", "blocksize-error-policy=error"});
	MPOOL *mp = mpool_open(nullptr, file.fd(), PAGE, 16);
	REQUIRE(mp);
	MPOOL *nbd = mpool_attach_nbd(mp, server.uri().c_str(), nullptr, 0);
	REQUIRE(nbd);
	for (pgno_t i = 0; i < 64; i++) {
		void *page = mpool_get(nbd, i, 0);
		REQUIRE(page);
		fill(page, PAGE, i, 7);
		REQUIRE(mpool_put(nbd, page, MPOOL_DIRTY) == 0);
	}
	CHECK(mpool_sync(nbd) == 0);
	CHECK(mpool_close(nbd) == 0);
	REQUIRE_NULL(mpool_attach_nbd(mp, "nbd+unix:///?socket=/nowhere", nullptr, 0), ENOENT);
	CHECK(mpool_close(mp) == 0);
	Store store(server.uri());
	std::string bytes(PAGE, '-');
	for (pgno_t i = 0; i < 64; i++) {
		REQUIRE(store.read(bytes, i * PAGE) == 0);
		CHECK(is(bytes.data(), PAGE, i, 7));
	}
	REQUIRE_NULL(mpool_open_nbd(server.uri().c_str(), nullptr, 0, 512, 16), EINVAL);
	REQUIRE_NULL(mpool_open_nbd(server.uri().c_str(), nullptr, 0, 0, 16), EINVAL);
	File small(512, 8);
	mp = mpool_open(nullptr, small.fd(), 512, 16);
	REQUIRE(mp);
	REQUIRE_NULL(mpool_attach_nbd(mp, server.uri().c_str(), nullptr, 0), EINVAL);
	CHECK(mpool_close(mp) == 0);
}

TEST_CASE("nbd pool: threads use it while its server is killed and started, and no page is lost")
{
	const pgno_t EACH = 40, THREADS = 3;
	File disk(PAGE, EACH * THREADS);
	Server server({"file", "file=" + disk.path()});
	NbdPool pool(server, EACH * THREADS / 2);
	std::atomic<bool> ends{false};
	std::atomic<unsigned> done{0};
	Report report;
	Threads threads;
	std::vector<std::vector<uint64_t>> version(THREADS, std::vector<uint64_t>(EACH, 0));
	for (pgno_t t = 0; t < THREADS; t++)
		threads.start([&, t] {
			std::mt19937 random(static_cast<unsigned>(t));
			while (!ends || done < 500) {
				pgno_t i = random() % EACH, pgno = t * EACH + i;
				void *page = mpool_get(pool, pgno, 0);
				if (!page) {
					report.check(unreached(errno), "mpool_get");
					continue;
				}
				report.check(is(page, PAGE, pgno, version[t][i]), "a page is not as it was put");
				fill(page, PAGE, pgno, ++version[t][i]);
				report.check(mpool_put(pool, page, MPOOL_DIRTY) == 0, "mpool_put");
				done++;
				if (random() % 64 == 0)
					mpool_sync(pool);
			}
		});
	for (int i = 0; i < 10; i++) {
		unsigned before = done;
		await([&] { return done >= before + 50 || report.any(); });
		server.end(SIGKILL);
		server.begin();
	}
	ends = true;
	threads.join();
	report.require_none();
	// This server loses nothing that it has answered.  (Those that left memory: mpool_sync cannot know.)
	int error;
	await([&] { return !unreached(error = pool.sync()); });
	if (error)
		error = pool.sync();
	CHECK((error == 0 || error == EIO));
	for (pgno_t t = 0; t < THREADS; t++)
		for (pgno_t i = 0; i < EACH; i++)
			CHECK(disk.holds(t * EACH + i, version[t][i]));
}
