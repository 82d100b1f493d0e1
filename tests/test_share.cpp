// test_share.cpp - pools that processes share by a key: one pool for one key, what
// is common to all, what is each process's own, and how the file is found.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "share.hpp"

#include <climits>

#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/sysmacros.h>

using namespace test;

namespace {

constexpr pgno_t page_size = 512;

// ---- What members are told besides ------------------------------------------

// Is it about to be gone?  The kernel lets a thread be joined before it has done with it.
bool is_exiting(const char *tid)
{
	constexpr unsigned exiting = 0x4; // PF_EXITING, in the ninth field; the second, the name, is in brackets
	char text[512] = "";
	unsigned flags = exiting;
	FILE *f = fopen(("/proc/self/task/" + std::string(tid) + "/stat").c_str(), "re");
	if (!f)
		return true;
	if (fgets(text, sizeof text, f) && strrchr(text, ')'))
		CHILD_CHECK(sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %*d %*d %u", &flags) == 1);
	fclose(f);
	return flags & exiting;
}

// The pool's own thread has begun, and waits: it opens nothing just now.
bool others_sleep()
{
	DIR *dir = opendir("/proc/self/task");
	bool all = dir != nullptr;
	while (const dirent *d = dir ? readdir(dir) : nullptr) {
		const auto tid = static_cast<pid_t>(atoi(d->d_name));
		all &= tid == 0 || tid == gettid() || asleep(tid);
	}
	if (dir)
		closedir(dir);
	return all;
}

int64_t count_threads(Here &, Args)
{
	int64_t n = 0;
	DIR *dir = opendir("/proc/self/task");
	CHILD_CHECK(dir);
	while (const dirent *e = readdir(dir))
		n += e->d_name[0] != '.' && !is_exiting(e->d_name);
	closedir(dir);
	return n;
}

int64_t count_maps(Here &, Args)
{
	int64_t n = 0;
	FILE *f = fopen("/proc/self/maps", "re");
	CHILD_CHECK(f);
	for (int c; (c = fgetc(f)) != EOF;)
		n += c == '\n';
	fclose(f);
	return n;
}

// Flags of the descriptor, not below a[0], that is open for the file of a[1], a[2]; -1: none.
// Looked at by name: ThreadSanitizer takes an fstat of what the pool's own thread is just opening for a race.
int64_t flags_of(Here &, Args a)
{
	for (int fd : open_fds()) {
		struct stat st;
		std::string name = "/proc/self/fd/" + std::to_string(fd);
		if (static_cast<uint64_t>(fd) >= a[0] && stat(name.c_str(), &st) == 0 && st.st_dev == a[1] &&
			st.st_ino == a[2])
			return fcntl(fd, F_GETFL);
	}
	return -1;
}

int64_t try_request(Here &h, Args a)
{
	pgno_t pgno = static_cast<pgno_t>(a[0]);
	void *page = mpool_new_flags(h.mp, &pgno, MPOOL_PAGE_REQUEST);
	return page ? word(page) : -1;
}

// A filter that turns all bits, and one that turns half of them.
void turn(void *, pgno_t, void *page)
{
	for (size_t i = 0; i < page_size; i++)
		static_cast<unsigned char *>(page)[i] ^= 0xff;
}

int64_t set_filters(Here &h, Args a)
{
	mpool_filter(h.mp, a[0] ? turn : nullptr, a[0] ? turn : nullptr, nullptr);
	return 0;
}

struct stat status(const File &file)
{
	struct stat st;
	REQUIRE(fstat(file.fd(), &st) == 0);
	return st;
}

// One process of many that open, use and close a pool at once, again and again.
struct Crowd {
	static constexpr unsigned processes = 8, rounds = 60, pages_each = 3;
	Meeting used, counted, closed, looked;
	std::atomic<unsigned> taken[rounds][1 + processes * pages_each]; // how often a page number was given out
};

} // namespace

// ---- One pool for one key ------------------------------------------------------

TEST_CASE("processes that open one key at once, from nothing, have one pool, and the last that leaves removes it")
{
	const unsigned processes = Crowd::processes, rounds = static_cast<unsigned>(shrink(Crowd::rounds));
	Key key;
	File file(page_size, 1);
	Common<Crowd> crowd;
	auto come = [&](unsigned me) {
		for (unsigned round = 0; round < rounds; round++) {
			MPOOL *mp = open_however_long(key.get(), file.fd(), page_size, 8);
			CHILD_CHECK(mp);
			pgno_t pgno;
			for (unsigned i = 0; i < Crowd::pages_each; i++) {
				void *page = (mpool_new)(mp, &pgno);
				CHILD_CHECK(page);
				// Each number once: it is one pool that gives them out.
				CHILD_CHECK(pgno >= 1 && pgno <= processes * Crowd::pages_each);
				CHILD_CHECK(crowd->taken[round][pgno].fetch_add(1) == 0);
				CHILD_CHECK(mpool_put(mp, page, 0) == 0);
			}
			if (!crowd->used.all(processes, round))
				return 1;
			struct mpool_stats st;
			CHILD_CHECK(
				mpool_stats(mp, &st, sizeof st) == 0 && st.processes == processes && st.deaths == 0);
			if (!crowd->counted.all(processes, round))
				return 1;
			CHILD_CHECK(mpool_close(mp) == 0);
			if (!crowd->closed.all(processes, round))
				return 1;
			if (me == 0)
				CHILD_CHECK(key.objects().empty());
			if (!crowd->looked.all(processes, round))
				return 1;
		}
		return 0;
	};
	std::vector<std::unique_ptr<Process>> all;
	for (unsigned i = 0; i < processes; i++)
		all.emplace_back(new Process([&, i] { return come(i); }));
	for (auto &p : all) {
		int ended = p->wait();
		crowd->used.over = crowd->counted.over = crowd->closed.over = crowd->looked.over = ended != 0;
		CHECK(ended == 0);
	}
}

TEST_CASE("processes that come and go as they like always find a pool that works")
{
	const unsigned processes = 4, rounds = static_cast<unsigned>(shrink(250));
	Key key;
	File file(page_size, 40);
	std::vector<std::unique_ptr<Process>> all;
	for (unsigned i = 0; i < processes; i++)
		all.emplace_back(new Process([&, i] {
			Random random(i);
			for (unsigned round = 0; round < rounds; round++) {
				MPOOL *mp = open_however_long(key.get(), file.fd(), page_size, 4);
				CHILD_CHECK(mp);
				for (unsigned n = 0; n < 10; n++) {
					pgno_t pgno = static_cast<pgno_t>(random.below(40));
					void *page = mpool_get(mp, pgno, 0);
					CHILD_CHECK(page && is(page, page_size, pgno, 0));
					CHILD_CHECK(mpool_put(mp, page, 0) == 0);
				}
				struct mpool_stats st;
				CHILD_CHECK(mpool_stats(mp, &st, sizeof st) == 0 && st.processes >= 1 &&
					    st.processes <= processes);
				CHILD_CHECK(st.deaths == 0);
				CHILD_CHECK(mpool_close(mp) == 0);
			}
			return 0;
		}));
	for (auto &p : all)
		CHECK(p->wait() == 0);
}

TEST_CASE("keys of any bytes and any length lead to pools of their own")
{
	std::string longest(5000, 'k'), other = longest, bytes;
	other.back() = 'K';
	for (int c = 1; c < 256; c++)
		bytes += static_cast<char>(c);
	std::vector<std::string> names = {longest, other, bytes, std::string(255, 'x'), std::string(256, 'x'),
		"one/two", "/", "..", ".", "line\nline", "prefix", "prefix and more", "\xff\xfe\x80", "lock", "%s%n"};
	std::vector<Key> keys;
	if (place_is_own()) {
		names.insert(names.end(), {"", "a", "b"});
		for (const std::string &name : names)
			keys.push_back(Key::exactly(name));
	} else {
		for (const std::string &name : names)
			keys.emplace_back(name);
	}
	std::vector<std::unique_ptr<File>> files;
	for (size_t i = 0; i < keys.size(); i++) {
		files.emplace_back(new File(page_size));
		for (pgno_t p = 0; p < 3; p++)
			files[i]->write_page(p, i);
	}
	// One process makes the pools, another is led to them by the same bytes.
	Common<Meeting> meeting;
	std::vector<std::unique_ptr<Process>> both;
	for (unsigned me : {0u, 1u})
		both.emplace_back(new Process([&, me] {
			std::vector<MPOOL *> pools;
			CHILD_CHECK(me == 0 || meeting->all(2, 0));
			for (size_t i = 0; i < keys.size(); i++) {
				std::string same = static_cast<char *>(keys[i].get());
				pools.push_back(
					open_however_long(&same[0], me == 0 ? files[i]->fd() : -1, page_size, 4));
				CHILD_CHECK(pools.back());
				CHILD_CHECK(keys[i].objects().size() == 1);
			}
			CHILD_CHECK(me == 1 || meeting->all(2, 0));
			for (size_t i = 0; i < pools.size(); i++) {
				void *page = mpool_get(pools[i], 1 + me, 0);
				CHILD_CHECK(page && is(page, page_size, 1 + me, i));
				CHILD_CHECK(mpool_put(pools[i], page, 0) == 0);
			}
			CHILD_CHECK(meeting->all(2, 1));
			for (MPOOL *mp : pools) {
				struct mpool_stats st;
				CHILD_CHECK(mpool_stats(mp, &st, sizeof st) == 0 && st.misses == 2);
			}
			CHILD_CHECK(meeting->all(2, 2));
			for (MPOOL *mp : pools)
				CHILD_CHECK(mpool_close(mp) == 0);
			return 0;
		}));
	for (auto &p : both) {
		int ended = p->wait();
		meeting->over = ended != 0;
		CHECK(ended == 0);
	}
}

TEST_CASE("two keys of one hash lead to two pools")
{
	if (!place_is_own())
		SKIP_CASE("others may use these keys too");
	// FNV-1a gives both of them one hash, of 64 bits.
	Key one = Key::exactly("8yn0iYCKYHlIj4-BwPqk"), two = Key::exactly("GReLUrM4wMqfg9yzV3KQ");
	REQUIRE(one.prefix() == two.prefix());
	File first(page_size, 3), second(page_size);
	second.write_page(0, 7);
	Member a(one, first.fd(), page_size, 4), b(two, second.fd(), page_size, 4);
	CHECK(one.objects().size() == 2);
	Member c(two, -1, page_size, 4), d(one, -1, page_size, 4);
	CHECK(one.objects().size() == 2);
	CHECK(a.shows(0, 0));
	CHECK(b.shows(0, 7));
	CHECK(c.shows(0, 7));
	CHECK(d.shows(0, 0));
	// The first of the two goes; the other is still found.
	a.close();
	d.close();
	CHECK(one.objects().size() == 1);
	Member e(two, -1, page_size, 4);
	CHECK(e.shows(0, 7));
	CHECK(e.stats().processes == 3);
}

// ---- Opening: what must fit -----------------------------------------------------

TEST_CASE("another page size than the pool's is refused with EINVAL")
{
	Key key;
	File file(page_size, 3);
	Member a(key, file.fd(), page_size, 4), b;
	REQUIRE_ANSWER_FAILS(b.try_open(key, file.fd(), 2 * page_size, 4), EINVAL);
	REQUIRE_ANSWER_FAILS(b.try_open(key, file.fd(), page_size - 1, 4), EINVAL);
	REQUIRE_ANSWER_FAILS(b.try_open(key, file.fd(), 0, 4), EINVAL);
	CHECK(a.stats().processes == 1);
	b.open(key, file.fd(), page_size, 4);
	CHECK(b.shows(2, 0));
	CHECK(a.stats().processes == 2);
}

TEST_CASE("who makes a pool must bring a file, and an open that failed leaves no object")
{
	Key key;
	Member a;
	int ends[2];
	REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
	Fd r(ends[0]), w(ends[1]);
	REQUIRE_ANSWER_FAILS(a.try_open(key, -1, page_size, 4), EBADF);
	CHECK(key.objects().empty());
	Member b;
	REQUIRE_ANSWER_FAILS(b.try_open(key, r, page_size, 4), ESPIPE);
	CHECK(key.objects().empty());
}

TEST_CASE("who joins needs no descriptor, and one that he gives is left alone")
{
	Key key;
	File file(page_size, 3), other(page_size);
	other.write_page(0, 9);
	Member a(key, file.fd(), page_size, 4);
	int ends[2];
	REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
	Fd r(ends[0]), w(ends[1]);
	const int which = GENERATE(0, 1, 2, 3);
	const int fds[] = {-1, 12345, other.fd(), r};
	Member b(key, fds[which], page_size, 4);
	CHECK(b.shows(0, 0));
	b.modify(1, 5);
	a.sync();
	CHECK(file.holds(1, 5));
	CHECK(other.holds(0, 9));
	b.close();
	CHECK(b.call(does::close_fd, static_cast<uint64_t>(other.fd())).value == 0); // it was still open
}

TEST_CASE("who joins finds the file wherever it is now")
{
	Key key;
	File file(page_size, 3);
	Member b, c; // before the file is open again, so that they do not inherit it
	Fd own = file.reopen(O_RDWR);
	Member a(key, own, page_size, 4);
	// The maker hands its descriptor on, or is stopped just then, and the joiner looks for the file itself.
	const bool handed = GENERATE(true, false);
	CAPTURE(handed);
	const std::string moved = file.path() + "-moved";
	SECTION("at its path")
	{
	}
	SECTION("at another path")
	{
		REQUIRE(rename(file.path().c_str(), moved.c_str()) == 0);
	}
	SECTION("at none any more")
	{
		REQUIRE(unlink(file.path().c_str()) == 0);
	}
	SECTION("while another file is at its path")
	{
		REQUIRE(rename(file.path().c_str(), moved.c_str()) == 0);
		Fd wrong(open(file.path().c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
		REQUIRE(wrong >= 0);
		std::string bytes(3 * page_size, 'w');
		REQUIRE(write(wrong, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
	}
	std::unique_ptr<Fd> pipe;
	SECTION("while a pipe that nobody writes to is at its path")
	{
		REQUIRE(rename(file.path().c_str(), moved.c_str()) == 0);
		REQUIRE(mkfifo(file.path().c_str(), 0600) == 0);
		pipe.reset(new Fd(open(file.path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)));
		REQUIRE(*pipe >= 0);
	}
	if (!handed)
		a.stop();
	b.open(key, -1, page_size, 4);
	a.go_on();
	struct pollfd reader = {pipe ? int(*pipe) : -1, POLLIN, 0};
	CHECK(poll(&reader, 1, 0) == 0); // who reads from it was not told that a writer came and went
	CHECK(b.shows(2, 0));
	b.modify(2, 1);
	b.sync();
	CHECK(is(file.read_page(file.fd(), 2).data(), page_size, 2, 1));
	// The maker's own descriptor is not needed any more.
	a.close();
	c.open(key, -1, page_size, 4);
	CHECK(c.shows(2, 1));
	CHECK(c.shows(1, 0));
	unlink(moved.c_str());
}

TEST_CASE("a file that has no name any more, and that its maker has closed, is found all the same")
{
	Key key;
	File file(page_size, 3);
	Member b;
	Fd own = file.reopen(O_RDWR);
	Member a(key, own, page_size, 4);
	REQUIRE(unlink(file.path().c_str()) == 0);
	REQUIRE(a.call(does::close_fd, static_cast<uint64_t>(static_cast<int>(own))).value == 0);
	b.open(key, -1, page_size, 4);
	CHECK(b.shows(2, 0));
	b.modify(1, 3);
	b.sync();
	CHECK(is(file.read_page(file.fd(), 1).data(), page_size, 1, 3));
}

TEST_CASE("who joins has the file as its maker did, and for writing if that may be")
{
	Key key;
	File file(4096, 3);
	const int flags = GENERATE(O_RDWR, O_RDONLY, O_RDWR | O_DIRECT, O_RDWR | O_SYNC);
	CAPTURE(flags);
	Member b;
	Fd own = file.reopen(flags);
	if (own < 0 && (flags & O_DIRECT))
		SKIP_CASE("this file system has no O_DIRECT");
	Member a(key, own, 4096, 4);
	b.open(key, -1, 4096, 4);
	struct stat st = status(file);
	// File's own descriptor was there before the member, and is the lower one.
	Answer found = b.call(flags_of, static_cast<uint64_t>(file.fd()) + 1, st.st_dev, st.st_ino);
	REQUIRE(found.value != -1);
	const int kept = O_ACCMODE | O_DIRECT | O_SYNC;
	CHECK((found.value & kept) == ((flags & kept & ~O_ACCMODE) | O_RDWR));
	CHECK(b.shows(2, 0));
	b.modify(1, 3);
	b.sync();
	CHECK(file.holds(1, 3));
	CHECK(a.shows(1, 3));
	b.close();
	CHECK(b.call(flags_of, static_cast<uint64_t>(file.fd()) + 1, st.st_dev, st.st_ino).value == -1);
}

TEST_CASE("as many processes share a pool as there may be, and one more is refused with EAGAIN")
{
	constexpr size_t most = 256;
	if (sanitized)
		SKIP_CASE("sanitizers have not the addresses for so many objects");
	Key key;
	File file(page_size, 20);
	CHECK(in_child([&] {
		std::vector<MPOOL *> all;
		for (size_t i = 0; i < most; i++) {
			all.push_back(mpool_open(key.get(), file.fd(), page_size, 8));
			CHILD_CHECK(all.back());
		}
		CHILD_CHECK(!mpool_open(key.get(), -1, page_size, 8) && errno == EAGAIN);
		struct mpool_stats st;
		CHILD_CHECK(mpool_stats(all[7], &st, sizeof st) == 0 && st.processes == most);
		for (size_t i = 0; i < most; i++) {
			pgno_t pgno = static_cast<pgno_t>(i % 20);
			void *page = mpool_get(all[i], pgno, 0);
			CHILD_CHECK(page && is(page, page_size, pgno, 0) && mpool_put(all[i], page, 0) == 0);
		}
		// A place that becomes free is taken again.
		CHILD_CHECK(mpool_close(all[100]) == 0);
		CHILD_CHECK((all[100] = mpool_open(key.get(), -1, page_size, 8)));
		CHILD_CHECK(!mpool_open(key.get(), -1, page_size, 8) && errno == EAGAIN);
		for (MPOOL *mp : all)
			CHILD_CHECK(mpool_close(mp) == 0);
		return 0;
	}) == 0);
}

// ---- What is common to all -------------------------------------------------------

TEST_CASE("a page is read once for all, and what one modifies the others see and sync")
{
	Key key;
	File file(page_size, 10);
	Member a(key, file.fd(), page_size, 20), b(key, -1, page_size, 20);
	a.touch(0, 10);
	b.touch(0, 10);
	struct mpool_stats st = b.stats();
	CHECK(st.reads == 10);
	CHECK(st.misses == 10);
	CHECK(st.hits == 10);
	a.modify(3, 1);
	CHECK(b.shows(3, 1));
	CHECK(b.stats().dirty == 1);
	CHECK(file.holds(3, 0));
	b.sync();
	CHECK(file.holds(3, 1));
	CHECK(a.stats().dirty == 0);
	// ... and bytes that change under both of their pins.
	uint64_t as = a.get(4), bs = b.get(4);
	a.fill(as, 4, 2);
	CHECK(b.is(bs, 4, 2));
	a.put(as, MPOOL_DIRTY);
	b.put(bs);
	CHECK(a.stats().dirty == 1);
	// Whoever closes writes nothing; the others still have it.
	a.close();
	CHECK(b.shows(4, 2));
	CHECK(b.stats().processes == 1);
	CHECK(file.holds(4, 0));
	b.close();
	CHECK(file.holds(4, 0));
}

TEST_CASE("statistics are those of the pool, whoever asks")
{
	Key key;
	File file(page_size, 30);
	Member a(key, file.fd(), page_size, 8), b(key, -1, page_size, 8);
	a.touch(0, 30);
	b.touch(0, 30);
	uint64_t pin = a.get(0);
	b.modify(1, 1);
	struct mpool_stats of_a = a.stats(), of_b = b.stats();
	CHECK(memcmp(&of_a, &of_b, sizeof of_a) == 0);
	CHECK(of_a.pinned == 1);
	CHECK(of_a.processes == 2);
	CHECK(of_a.deaths == 0);
	CHECK(of_a.hits + of_a.misses == 62);
	// Who leaves takes no counts along.
	a.put(pin);
	b.close();
	struct mpool_stats after = a.stats();
	CHECK(after.hits == of_a.hits);
	CHECK(after.misses == of_a.misses);
	CHECK(after.writes == of_a.writes);
	CHECK(after.processes == 1);
}

TEST_CASE("no page number is given out twice, in whichever process")
{
	constexpr unsigned processes = 4, each = 3000;
	struct Numbers {
		Meeting meeting;
		std::atomic<unsigned> taken[5 + processes * each];
	};
	Key key;
	File file(page_size, 5);
	Common<Numbers> numbers;
	Member holder(key, file.fd(), page_size, 16);
	std::vector<std::unique_ptr<Process>> all;
	for (unsigned i = 0; i < processes; i++)
		all.emplace_back(new Process([&] {
			MPOOL *mp = open_however_long(key.get(), -1, page_size, 16);
			CHILD_CHECK(mp && numbers->meeting.all(processes, 0));
			for (unsigned n = 0; n < each; n++) {
				pgno_t pgno;
				void *page = (mpool_new)(mp, &pgno);
				CHILD_CHECK(page && all_bytes(page, page_size, 0));
				CHILD_CHECK(pgno >= 5 && pgno < 5 + processes * each);
				CHILD_CHECK(numbers->taken[pgno].fetch_add(1) == 0);
				fill(page, page_size, pgno, 1);
				CHILD_CHECK(mpool_put(mp, page, MPOOL_DIRTY) == 0);
			}
			CHILD_CHECK(mpool_close(mp) == 0);
			return 0;
		}));
	for (auto &p : all)
		REQUIRE(p->wait() == 0);
	CHECK(holder.stats().pages == 5 + processes * each);
	holder.sync();
	for (pgno_t i = 5; i < 5 + processes * each; i++)
		REQUIRE(file.holds(i, 1));
	// A number that was asked for is in the others' pool too.
	Member b(key, -1, page_size, 16);
	uint64_t page = static_cast<uint64_t>(holder.call(try_request, 20000).value);
	REQUIRE_ANSWER_FAILS(b.call(try_request, 20000), EEXIST);
	holder.put(page);
}

TEST_CASE("the pool grows in place to what is asked for, under the hands of all")
{
	struct Going {
		std::atomic<bool> over{false};
		std::atomic<uint64_t> rounds[4];
	};
	const pgno_t pages = 1500;
	Key key;
	File file(page_size, pages);
	Common<Going> going;
	Member a(key, file.fd(), page_size, 4);
	CHECK(a.stats().maxcache == 4);
	uint64_t pin = a.get(7);
	a.fill(pin, 7, 1);
	std::vector<std::unique_ptr<Process>> hammers;
	for (unsigned i = 0; i < 4; i++)
		hammers.emplace_back(new Process([&, i] {
			Random random(i);
			MPOOL *mp = open_however_long(key.get(), -1, page_size, 4);
			CHILD_CHECK(mp);
			std::atomic<bool> right{true};
			std::vector<std::thread> threads;
			// ThreadSanitizer does not see that what one thread did comes before what another
			// does, where only a third, in another process, stands between them.
			for (unsigned t = 0; t < (tsan ? 1 : 2); t++)
				threads.emplace_back([&, seed = random()] {
					Random mine(seed);
					// It keeps one page pinned the whole time: its place must not change.
					pgno_t kept = 8 + i;
					const void *held = mpool_get(mp, kept, 0);
					while (held && !going->over && right) {
						pgno_t pgno = 20 + static_cast<pgno_t>(mine.below(pages - 20));
						void *page = mpool_get(mp, pgno, 0);
						if (!page || !is(page, page_size, pgno, 0) ||
							mpool_put(mp, page, 0) != 0 || !is(held, page_size, kept, 0))
							right = false;
						going->rounds[i]++;
					}
					if (!held || mpool_put(mp, const_cast<void *>(held), 0) != 0)
						right = false;
				});
			for (std::thread &t : threads)
				t.join();
			CHILD_CHECK(right);
			CHILD_CHECK(mpool_close(mp) == 0);
			return 0;
		}));
	Member b;
	for (pgno_t maxcache : {16u, 17u, 300u, 5u, 1000u}) {
		for (unsigned i = 0; i < 4; i++) {
			uint64_t before = going->rounds[i];
			REQUIRE(comes([&] { return going->rounds[i] > before + 200; }));
		}
		const uint64_t most = std::max<uint64_t>(a.stats().maxcache, maxcache);
		b.open(key, -1, page_size, maxcache);
		CHECK(a.stats().maxcache == most);
		CHECK(b.stats().maxcache == most);
		CHECK(a.is(pin, 7, 1));
		b.close();
	}
	going->over = true;
	for (auto &p : hammers)
		REQUIRE(p->wait() == 0);
	a.put(pin, MPOOL_DIRTY);
	CHECK(a.shows(7, 1));
	// It is as large as it says: as many pages stay, and no more.
	a.touch(0, pages);
	a.touch(0, pages);
	a.sync();
	struct mpool_stats st = a.stats();
	CHECK(st.cached == 1000);
	CHECK(st.overflow == 0);
}

TEST_CASE("frames of a pool that has grown are used again when their pages are deleted, and it grows no further")
{
	struct Growth {
		pgno_t first, then, pages;
	};
	constexpr pgno_t tiny = 16;
	// Parts that are smaller than the first, and larger ones; see clock.c.
	const Growth growth = GENERATE(Growth{5000, 20000, 20000}, Growth{4, 600000, 30000});
	CAPTURE(growth.then);
	auto make_many = +[](Here &h, Args a) -> int64_t {
		pgno_t pgno;
		for (uint64_t i = 0; i < a[0]; i++) {
			void *page = (mpool_new)(h.mp, &pgno);
			if (!page || mpool_put(h.mp, page, 0) != 0)
				return -1;
		}
		return 0;
	};
	auto delete_many = +[](Here &h, Args a) -> int64_t {
		for (uint64_t i = a[0]; i < a[1]; i++) {
			void *page = mpool_get(h.mp, static_cast<pgno_t>(i), 0);
			if (!page || mpool_delete(h.mp, page) != 0)
				return -1;
		}
		return 0;
	};
	Key key;
	File file(tiny);
	Member a(key, file.fd(), tiny, growth.first), b(key, -1, tiny, growth.then);
	for (pgno_t round = 0; round < 2; round++) {
		a.succeed("mpool_new", a.call(make_many, growth.pages));
		struct mpool_stats st = a.stats();
		if (round == 0) {
			CHECK(st.cached == growth.pages);
			CHECK(st.evictions == 0);
		}
		// From now on a page may be evicted where there are free frames elsewhere.
		CHECK(st.cached <= growth.pages);
		CHECK(st.overflow == 0);
		a.succeed("mpool_delete", a.call(delete_many, round * growth.pages, (round + 1) * growth.pages));
		CHECK(a.stats().cached == 0);
	}
}

// ---- What is each process's own -----------------------------------------------------

TEST_CASE("a pool that grows again and again, with overflows in between, never runs out of tables")
{
	constexpr pgno_t small = 64, step = 16;
	constexpr unsigned steps = 40;
	Key key;
	File file(small);
	file.truncate(20000 * static_cast<off_t>(small));
	REQUIRE(in_child([&] {
		pgno_t capacity = 1000;
		MPOOL *mp = mpool_open(key.get(), file.fd(), small, capacity);
		CHILD_CHECK(mp);
		for (unsigned i = 0; i < steps; i++) {
			capacity += step;
			MPOOL *other = mpool_open(key.get(), -1, small, capacity);
			CHILD_CHECK(other && mpool_close(other) == 0);
			std::vector<void *> pins;
			for (pgno_t n = 0; n < 3 * capacity; n++) {
				pins.push_back(mpool_get(mp, n, 0));
				CHILD_CHECK(pins.back());
			}
			for (void *pin : pins)
				CHILD_CHECK(mpool_put(mp, pin, 0) == 0);
			// The table follows as pages come and go.
			for (pgno_t n = 0; n < 20000; n++) {
				void *page = mpool_get(mp, n, 0);
				CHILD_CHECK(page && mpool_put(mp, page, 0) == 0);
			}
		}
		CHILD_CHECK(mpool_close(mp) == 0);
		return 0;
	}) == 0);
}

TEST_CASE("a pin is its process's own: nobody else can put it, and nobody evicts its page")
{
	Key key;
	File file(page_size, 200);
	Member a(key, file.fd(), page_size, 4), b(key, -1, page_size, 4);
	uint64_t as = a.get(5), bs = b.get(5);
	b.put(bs);
	REQUIRE_ANSWER_FAILS(b.call(does::put, bs), EINVAL);
	REQUIRE_ANSWER_FAILS(b.call(does::put, as == bs ? as + 1 : as), EINVAL);
	REQUIRE_ANSWER_FAILS(b.call(does::forget, bs), EINVAL);
	REQUIRE_ANSWER_FAILS(b.call(does::abandoned, bs), EINVAL);
	CHECK(a.stats().pinned == 1);
	// B has need of every frame; the page stays.
	a.fill(as, 5, 1);
	b.crowd_out(6);
	struct mpool_stats before = b.stats();
	CHECK(a.is(as, 5, 1));
	CHECK(b.shows(5, 1));
	CHECK(b.stats().misses == before.misses);
	// A cannot drop what B has pinned too, nor B.
	bs = b.get(5);
	REQUIRE_ANSWER_FAILS(a.call(does::forget, as), EBUSY);
	REQUIRE_ANSWER_FAILS(b.call(does::forget, bs), EBUSY);
	a.put(as);
	REQUIRE_ANSWER_FAILS(a.call(does::put, as), EINVAL);
	REQUIRE_ANSWER_FAILS(a.call(does::forget, as), EINVAL);
	CHECK(b.call(does::forget, bs).value == 0);
	CHECK(a.shows(5, 0));
}

TEST_CASE("pages pinned beyond maxcache by one process are room for all, and it comes back")
{
	Key key;
	const pgno_t many = 100, maxcache = 8;
	File file(page_size, 2000);
	Member a(key, file.fd(), page_size, maxcache), b(key, -1, page_size, maxcache);
	std::vector<uint64_t> pins;
	for (pgno_t i = 0; i < many; i++) {
		pins.push_back(a.get(i));
		CHECK(a.is(pins[i], i, 0));
	}
	CHECK(b.stats().overflow >= many - maxcache);
	for (pgno_t i = 0; i < many; i++)
		REQUIRE(b.shows(i, 0)); // it maps what the other has made
	b.touch(many, 2 * many);
	for (pgno_t i = 0; i < many; i++) {
		REQUIRE(a.is(pins[i], i, 0));
		a.put(pins[i]);
	}
	b.touch(many, 2000);
	struct mpool_stats st = b.stats();
	CHECK(st.overflow == 0);
	CHECK(st.cached <= maxcache);
	// What B pins now A finds too.
	uint64_t last = 0;
	for (pgno_t i = 0; i < many; i++)
		last = b.get(i);
	CHECK(b.is(last, many - 1, 0));
	b.fill(last, many - 1, 4);
	CHECK(a.shows(many - 1, 4));
}

TEST_CASE("a pool opened twice in one process is two members")
{
	Key key;
	File file(page_size, 100);
	CHECK(in_child([&] {
		MPOOL *one = mpool_open(key.get(), file.fd(), page_size, 4),
		      *two = mpool_open(key.get(), -1, page_size, 6);
		CHILD_CHECK(one && two);
		struct mpool_stats st;
		CHILD_CHECK(mpool_stats(one, &st, sizeof st) == 0 && st.processes == 2 && st.maxcache == 6);
		void *ones = mpool_get(one, 3, 0), *twos = mpool_get(two, 3, 0);
		CHILD_CHECK(ones && twos && ones != twos);
		fill(ones, page_size, 3, 1);
		CHILD_CHECK(is(twos, page_size, 3, 1));
		CHILD_CHECK(mpool_put(two, ones, 0) == -1 && errno == EINVAL);
		CHILD_CHECK(mpool_put(one, twos, 0) == -1 && errno == EINVAL);
		CHILD_CHECK(mpool_put(two, twos, 0) == 0);
		CHILD_CHECK(mpool_put(two, twos, 0) == -1 && errno == EINVAL);
		// One's pin holds against two's evictor.
		for (pgno_t i = 4; i < 100; i++) {
			void *page = mpool_get(two, i, 0);
			CHILD_CHECK(page && mpool_put(two, page, 0) == 0);
		}
		CHILD_CHECK(is(ones, page_size, 3, 1));
		// A handle that goes takes its pins along, and the other works on.
		CHILD_CHECK(mpool_close(one) == 0);
		CHILD_CHECK(
			mpool_stats(two, &st, sizeof st) == 0 && st.processes == 1 && st.pinned == 0 && st.deaths == 0);
		twos = mpool_get(two, 3, 0);
		CHILD_CHECK(twos && mpool_abandoned(two, twos, 0) == 0);
		CHILD_CHECK(mpool_put(two, twos, 0) == 0);
		CHILD_CHECK(key.objects().size() == 1);
		CHILD_CHECK(mpool_close(two) == 0);
		CHILD_CHECK(key.objects().empty());
		return 0;
	}) == 0);
}

TEST_CASE("a pool keeps no descriptor that the program takes for its standard input, output or error")
{
	Key key;
	File file(page_size, 3);
	Member other;
	const bool joining = GENERATE(false, true);
	CAPTURE(joining);
	if (joining)
		other.open(key, file.fd(), page_size, 4);
	REQUIRE(in_child([&] {
		for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
			close(fd);
		MPOOL *mp = mpool_open(key.get(), joining ? -1 : file.fd(), page_size, 4);
		CHILD_CHECK(mp);
		// By name: ThreadSanitizer takes a write to a number for a use of what the pool's thread opened by it, and moved; and
		// in the end: that thread may just be at it.
		for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
			const std::string name = "/proc/self/fd/" + std::to_string(fd);
			CHILD_CHECK(comes([&] { return access(name.c_str(), F_OK) == -1 && errno == ENOENT; }));
		}
		CHILD_CHECK(mpool_close(mp) == 0);
		return 0;
	}) == 0);
	for (pgno_t i = 0; i < 3; i++)
		CHECK(file.holds(i, 0));
	if (joining)
		other.close();
}

TEST_CASE("a program that has closed the library's descriptors keeps its own by their numbers, and leaves all the same")
{
	if (tsan)
		SKIP_CASE("to close what another thread waits for is a race to ThreadSanitizer");
	// Which of the library's descriptors' numbers are a file's, and which an eventfd's.
	const int shift = GENERATE(0, 1, 2);
	CAPTURE(shift);
	Key key;
	File file(page_size, 3);
	Member a(key, file.fd(), page_size, 4);
	const std::string path = file.path() + ".own";
	int result = in_child([&] {
		MPOOL *mp = mpool_open(key.get(), -1, page_size, 4);
		CHILD_CHECK(mp);
		void *page = mpool_get(mp, 1, 0);
		CHILD_CHECK(page);
		// It would take what it has just opened for its own.
		for (int times = 0; times < 3;)
			times = others_sleep() ? times + 1 : 0;
		const int below = *open_fds().rbegin();
		for (int fd = STDERR_FILENO + 1; fd <= below; fd++)
			close(fd);
		// Whatever it is taken for: a file with something in it, and things that can be waited for.
		// (The library may have one of these numbers just now, for what it opens anew.)
		std::vector<int> files, events;
		for (int fd = STDERR_FILENO + 1; fd <= below; fd++)
			if ((fd + shift) % 3 == 0)
				files.push_back(open(path.c_str(), O_RDWR | O_CREAT, 0600));
			else
				events.push_back(eventfd(1, 0));
		{
			Fd whole(open(path.c_str(), O_RDWR));
			CHILD_CHECK(write(whole, "mine", 4) == 4);
		}
		CHILD_CHECK(mpool_put(mp, page, 0) == 0);
		CHILD_CHECK(mpool_close(mp) == 0);
		for (int fd : files) {
			Fd again(open(path.c_str(), O_RDWR));
			CHILD_CHECK(lseek(fd, 0, SEEK_END) == 4 && flock(again, LOCK_EX | LOCK_NB) == 0);
		}
		for (int fd : events) {
			uint64_t n = 0;
			CHILD_CHECK(read(fd, &n, sizeof n) == sizeof n && n == 1);
		}
		return 0;
	});
	unlink(path.c_str());
	CHECK(result == 0);
	CHECK(a.stats().processes == 1);
	CHECK(a.stats().deaths == 0);
}

TEST_CASE("who became another user before it closes does not remove that user's pool of the same key")
{
	constexpr uid_t nobody = 65534;
	if (geteuid() != 0 || !place_is_own())
		SKIP_CASE("not root, or no mount namespace of one's own");
	auto become = +[](Here &, Args a) -> int64_t { return seteuid(static_cast<uid_t>(a[0])); };
	Key key;
	File file(page_size, 3);
	Member theirs, ours;
	theirs.succeed("seteuid", theirs.call(become, nobody));
	theirs.open(key, file.fd(), page_size, 4);
	const std::string object = "/dev/shm/mpool-" + std::to_string(nobody) + "/" + key.prefix() + "0";
	REQUIRE(access(object.c_str(), F_OK) == 0);
	ours.open(key, file.fd(), page_size, 4);
	ours.succeed("seteuid", ours.call(become, nobody));
	ours.close();
	CHECK(access(object.c_str(), F_OK) == 0);
	theirs.close();
	CHECK(access(object.c_str(), F_OK) != 0);
	key.may_be_left(); // of ours, who could not
}

TEST_CASE("who closes a pool whose object somebody has removed does not remove the one made since")
{
	Key key;
	File file(page_size, 3);
	Member a(key, file.fd(), page_size, 4), b, c;
	REQUIRE(unlink(key.objects()[0].c_str()) == 0);
	b.open(key, file.fd(), page_size, 4);
	a.close();
	REQUIRE(key.objects().size() == 1);
	c.open(key, -1, page_size, 4);
	CHECK(c.stats().processes == 2);
}

TEST_CASE("pools of two keys and a private one go side by side")
{
	Key one, two;
	File first(page_size, 50), second(page_size, 50), third(page_size, 50);
	CHECK(in_child([&] {
		MPOOL *pools[] = {mpool_open(one.get(), first.fd(), page_size, 4),
			mpool_open(nullptr, second.fd(), page_size, 4),
			mpool_open(two.get(), third.fd(), page_size, 4)};
		for (uint64_t v = 0; v < 3; v++) {
			CHILD_CHECK(pools[v]);
			for (pgno_t i = 0; i < 50; i++) {
				void *page = mpool_get(pools[v], i, 0);
				CHILD_CHECK(page && is(page, page_size, i, 0));
				fill(page, page_size, i, v + 1);
				CHILD_CHECK(mpool_put(pools[(v + 1) % 3], page, 0) == -1 && errno == EINVAL);
				CHILD_CHECK(mpool_put(pools[v], page, MPOOL_DIRTY) == 0);
			}
		}
		struct mpool_stats st;
		CHILD_CHECK(mpool_stats(pools[1], &st, sizeof st) == 0 && st.processes == 1 && st.deaths == 0);
		for (MPOOL *mp : pools)
			CHILD_CHECK(mpool_sync(mp) == 0);
		// One after the other goes, and the rest works.
		for (unsigned v = 0; v < 3; v++) {
			CHILD_CHECK(mpool_close(pools[v]) == 0);
			for (unsigned w = v + 1; w < 3; w++) {
				void *page = mpool_get(pools[w], 20, 0);
				CHILD_CHECK(
					page && is(page, page_size, 20, w + 1) && mpool_put(pools[w], page, 0) == 0);
			}
		}
		return 0;
	}) == 0);
	for (pgno_t i = 0; i < 50; i++) {
		REQUIRE(first.holds(i, 1));
		REQUIRE(second.holds(i, 2));
		REQUIRE(third.holds(i, 3));
	}
}

TEST_CASE("mpool_abandoned is asked of pinned pages, and says 0 where nobody died")
{
	Key key;
	File file(page_size, 4);
	Member a(key, file.fd(), page_size, 4);
	uint64_t page = a.get(1);
	CHECK(a.abandoned(page) == 0);
	CHECK(a.abandoned(page, MPOOL_FORGIVE) == 0);
	REQUIRE_ANSWER_FAILS(a.call(does::abandoned, page + 1), EINVAL);
	REQUIRE_ANSWER_FAILS(a.call(does::abandoned, 0), EINVAL);
	a.put(page);
	REQUIRE_ANSWER_FAILS(a.call(does::abandoned, page), EINVAL);
	// Of a private pool too.
	Pool pool(file.fd(), page_size, 4);
	void *own = pool.get(1);
	CHECK(mpool_abandoned(pool, own, 0) == 0);
	pool.put(own);
	REQUIRE_FAILS(mpool_abandoned(pool, own, 0), EINVAL);
}

// ---- Forks --------------------------------------------------------------------------

TEST_CASE("a child has not its parent's shared pool, opens it by the key, and harms nobody by closing")
{
	Key key;
	File file(page_size, 20);
	Member other(key, file.fd(), page_size, 4);
	CHECK(in_child([&] {
		MPOOL *mp = mpool_open(key.get(), -1, page_size, 4);
		void *page = mp ? mpool_get(mp, 1, 0) : nullptr;
		CHILD_CHECK(page);
		size_t threads = static_cast<size_t>(count_threads(*std::make_unique<Here>(), nullptr));
		CHILD_CHECK(threads >= 2); // the watch is one
		int of_child = in_child([&] {
			struct mpool_stats st;
			pgno_t pgno = 0;
			CHILD_CHECK(!mpool_get(mp, 1, 0) && errno == EBADF); // what was a hit of this thread
			CHILD_CHECK(!mpool_get(mp, 2, 0) && errno == EBADF);
			CHILD_CHECK(!mpool_get(mp, 1, MPOOL_IGNOREPIN) && errno == EBADF);
			CHILD_CHECK(!(mpool_new)(mp, &pgno) && errno == EBADF);
			CHILD_CHECK(mpool_put(mp, page, MPOOL_DIRTY) == -1 && errno == EBADF);
			CHILD_CHECK(mpool_delete(mp, page) == -1 && errno == EBADF);
			CHILD_CHECK(mpool_sync(mp) == -1 && errno == EBADF);
			CHILD_CHECK(mpool_abandoned(mp, page, 0) == -1 && errno == EBADF);
			CHILD_CHECK(mpool_stats(mp, &st, sizeof st) == -1 && errno == EBADF);
			CHILD_CHECK(is(page, page_size, 1, 0)); // it may still be read
			size_t fds = open_fds().size();
			CHILD_CHECK(mpool_close(mp) == 0);
			CHILD_CHECK(open_fds().size() < fds);
			if (tsan)
				return 0; // it does not follow threads of a child whose parent has some
			MPOOL *own = mpool_open(key.get(), -1, page_size, 4);
			CHILD_CHECK(own && mpool_stats(own, &st, sizeof st) == 0 && st.processes == 3);
			void *same = mpool_get(own, 1, 0);
			CHILD_CHECK(same && is(same, page_size, 1, 0));
			CHILD_CHECK(mpool_delete(own, same) == -1 && errno == EBUSY);
			CHILD_CHECK(mpool_put(own, same, 0) == 0 && mpool_close(own) == 0);
			return 0;
		});
		CHILD_CHECK(of_child == 0);
		struct mpool_stats st;
		CHILD_CHECK(
			mpool_stats(mp, &st, sizeof st) == 0 && st.processes == 2 && st.deaths == 0 && st.pinned == 1);
		fill(page, page_size, 1, 1);
		CHILD_CHECK(mpool_put(mp, page, MPOOL_DIRTY) == 0 && mpool_sync(mp) == 0 && mpool_close(mp) == 0);
		return 0;
	}) == 0);
	CHECK(file.holds(1, 1));
	CHECK(other.shows(1, 1));
	CHECK(other.stats().processes == 1);
	CHECK(other.stats().deaths == 0);
	CHECK(key.objects().size() == 1);
}

TEST_CASE("processes fork while their threads open, use and close shared pools")
{
	if (sanitized)
		return; // as in test_fork: locks of malloc's own, and threads of a child
	Key key, another;
	File file(page_size, 30);
	CHECK(in_child([&] {
		std::atomic<bool> over{false}, right{true};
		MPOOL *mp = mpool_open(key.get(), file.fd(), page_size, 4);
		CHILD_CHECK(mp);
		std::vector<std::thread> threads;
		threads.emplace_back([&] {
			while (!over && right) {
				MPOOL *own = mpool_open(another.get(), file.fd(), page_size, 4);
				void *page = own ? mpool_get(own, 3, 0) : nullptr;
				right = page && is(page, page_size, 3, 0) && mpool_put(own, page, 0) == 0 &&
				        mpool_close(own) == 0;
			}
		});
		threads.emplace_back([&] {
			for (pgno_t i = 0; !over && right; i = (i + 7) % 30) {
				void *page = mpool_get(mp, i, 0);
				right = page && is(page, page_size, i, 0) && mpool_put(mp, page, 0) == 0;
			}
		});
		for (int n = 0; n < 60; n++) {
			int ended = in_child([&] {
				MPOOL *own = mpool_open(key.get(), -1, page_size, 4);
				void *page = own ? mpool_get(own, 5, 0) : nullptr;
				CHILD_CHECK(page && is(page, page_size, 5, 0));
				CHILD_CHECK(mpool_put(own, page, 0) == 0);
				CHILD_CHECK(mpool_close(mp) == 0 && mpool_close(own) == 0);
				return 0;
			});
			CHILD_CHECK(ended == 0);
		}
		over = true;
		for (std::thread &t : threads)
			t.join();
		CHILD_CHECK(right);
		struct mpool_stats st;
		CHILD_CHECK(mpool_stats(mp, &st, sizeof st) == 0 && st.processes == 1 && st.deaths == 0);
		CHILD_CHECK(mpool_close(mp) == 0);
		return 0;
	}) == 0);
}

// ---- Filters --------------------------------------------------------------------------

TEST_CASE("each process has its own filters, and pages are in the file in the file's form")
{
	Key key;
	File file(page_size);
	std::vector<unsigned char> stored(page_size);
	for (pgno_t i = 0; i < 4; i++) {
		fill(stored.data(), page_size, i, 0);
		turn(nullptr, i, stored.data());
		REQUIRE(pwrite(file.fd(), stored.data(), page_size, static_cast<off_t>(i * page_size)) == page_size);
	}
	Member a(key, file.fd(), page_size, 4), b(key, -1, page_size, 4), c(key, -1, page_size, 4);
	a.call(set_filters, 1);
	b.call(set_filters, 1);
	CHECK(a.shows(0, 0));
	CHECK(b.shows(0, 0));
	CHECK(b.shows(1, 0));
	CHECK(a.shows(1, 0));
	b.modify(1, 5);
	CHECK(a.shows(1, 5));
	a.sync();
	fill(stored.data(), page_size, 1, 5);
	turn(nullptr, 1, stored.data());
	CHECK(memcmp(file.read_page(1).data(), stored.data(), page_size) == 0);
	// C has none: it gets an error and no page, from every call.
	pgno_t pgno;
	REQUIRE_ANSWER_FAILS(c.call(does::get, 0), ENOTSUP);
	REQUIRE_ANSWER_FAILS(c.call(does::make), ENOTSUP);
	REQUIRE_ANSWER_FAILS(c.call(does::sync), ENOTSUP);
	CHECK(a.stats().pages == 4);
	// With filters it is one of them.
	c.call(set_filters, 1);
	CHECK(c.shows(2, 0));
	uint64_t page = c.make(pgno);
	CHECK(pgno == 4);
	c.fill(page, pgno, 8);
	c.put(page, MPOOL_DIRTY);
	CHECK(a.shows(4, 8));
}

TEST_CASE("a process with filters gets nothing from a pool without")
{
	Key key;
	File file(page_size, 4);
	Member a(key, file.fd(), page_size, 4), b(key, -1, page_size, 4);
	CHECK(a.shows(0, 0));
	b.call(set_filters, 1);
	REQUIRE_ANSWER_FAILS(b.call(does::get, 0), ENOTSUP);
	REQUIRE_ANSWER_FAILS(b.call(does::get, 1), ENOTSUP);
	REQUIRE_ANSWER_FAILS(b.call(does::make), ENOTSUP);
	REQUIRE_ANSWER_FAILS(b.call(does::sync), ENOTSUP);
	CHECK(a.stats().pages == 4);
	CHECK(a.stats().dirty == 0);
	b.call(set_filters, 0);
	CHECK(b.shows(1, 0));
}

// ---- What is left ------------------------------------------------------------------------

TEST_CASE("after the last close memory, descriptors, threads and objects are as before")
{
	Key key, twin;
	File file(page_size, 400);
	Member a, b;
	auto cycle = [&] {
		a.open(key, file.fd(), page_size, 64);
		b.open(key, -1, page_size, 200);
		a.touch(0, 400);
		b.get(3); // stays pinned
		a.modify(4, 1);
		a.swap();
		a.open(twin, file.fd(), page_size, 3);
		a.close();
		a.swap();
		a.close();
		b.close();
		REQUIRE(key.objects().empty());
	};
	// What the C library and the sanitizers keep of the first times.
	for (int i = 0; i < 5; i++)
		cycle();
	struct statfs shm_before, shm_after;
	REQUIRE(statfs("/dev/shm", &shm_before) == 0);
	int64_t fds = a.call(does::open_fds).value, threads = a.call(count_threads).value,
		maps = a.call(count_maps).value;
	for (unsigned i = 0; i < shrink(50); i++)
		cycle();
	CHECK(a.call(does::open_fds).value == fds);
	CHECK(a.call(count_threads).value == threads);
	if (!sanitized)
		CHECK(a.call(count_maps).value == maps);
	REQUIRE(statfs("/dev/shm", &shm_after) == 0);
	if (place_is_own())
		CHECK(shm_after.f_bfree == shm_before.f_bfree);
	CHECK(file.holds(4, 0)); // and nothing was written
}
