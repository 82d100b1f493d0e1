// test_share_attach.cpp - mpool_attach in pools that processes share by a key: one file is one for all who have it, whoever
// makes room writes anybody's pages, and what a close, a death, or a failed write leaves to the others.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "fault_io.hpp"
#include "share.hpp"

#include <cstddef>

#include <sys/syscall.h>

#include <mpool_peek.h>

using namespace test;
using fault::Call;
using fault::Fate;
using fault::Op;
using fault::Script;

namespace {

constexpr pgno_t page_size = 512;
constexpr pgno_t extent = 256; // pages of an extent

// A file whose pages are told from those of other files by `salt`.
class Paged : public File {
public:
	explicit Paged(uint64_t salt, size_t pages = 20) : File(page_size), salt_(salt)
	{
		for (size_t i = 0; i < pages; i++)
			write_page(i, v(0));
	}
	// What its pages are told to be filled with, for a version of them.
	uint64_t v(uint64_t version) const { return salt_ << 32 | version; }
	bool has(pgno_t pgno, uint64_t version) const { return holds(pgno, v(version)); }

private:
	uint64_t salt_;
};

// ---- What members are told besides ------------------------------------------

std::vector<MPOOL *> handles; // of the child: of attached files, by their numbers - 1

int64_t attach_fd(Here &h, Args a)
{
	MPOOL *mp = mpool_attach(h.mp, static_cast<int>(a[0]));
	if (!mp)
		return -1;
	handles.push_back(mp);
	return static_cast<int64_t>(handles.size());
}

// Do a[1], with the handle a[0]; 0: the pool's own.
int64_t on_handle(Here &h, Args a)
{
	Here of;
	of.mp = a[0] ? handles.at(a[0] - 1) : h.mp;
	of.size = h.size;
	return reinterpret_cast<Does>(a[1])(of, a + 2);
}

// One figure of its statistics, by where that is in the structure.
int64_t figure(Here &h, Args a)
{
	struct mpool_stats st;
	if (mpool_stats(h.mp, &st, sizeof st) != 0)
		return -1;
	uint64_t n;
	memcpy(&n, reinterpret_cast<char *>(&st) + a[0], sizeof n);
	return static_cast<int64_t>(n);
}

// A page that is new, filled, and put; its number.
int64_t make_one(Here &h, Args a)
{
	pgno_t pgno = static_cast<pgno_t>(a[1]);
	void *page = a[1] ? mpool_new_flags(h.mp, &pgno, MPOOL_PAGE_REQUEST) : (mpool_new)(h.mp, &pgno);
	if (!page)
		return -1;
	test::fill(page, h.size, pgno, a[0]);
	return mpool_put(h.mp, page, MPOOL_DIRTY) == 0 ? static_cast<int64_t>(pgno) : -1;
}

int64_t cut(Here &h, Args a)
{
	return mpool_truncate(h.mp, static_cast<pgno_t>(a[0]));
}

int64_t forget_pages(Here &h, Args a)
{
	return mpool_invalidate(h.mp, static_cast<pgno_t>(a[0]), static_cast<pgno_t>(a[1]));
}

// Write and flush pages a[0] to before a[1].
int64_t sync_pages(Here &h, Args a)
{
	return mpool_sync_range(
		h.mp, static_cast<pgno_t>(a[0]), static_cast<pgno_t>(a[1] - a[0]), MPOOL_WRITE | MPOOL_FLUSH);
}

int64_t get_some(Here &h, Args a)
{
	pgno_t pgno[2] = {static_cast<pgno_t>(a[0]), static_cast<pgno_t>(a[1])};
	void *page[2];
	if (mpool_getv(h.mp, pgno, page, 2, 0) != 0)
		return -1;
	int64_t same = 1;
	for (void *p : page)
		if (mpool_put(h.mp, p, 0) != 0)
			same = 0;
	return same;
}

int64_t read_ahead(Here &h, Args a)
{
	pgno_t pgno = static_cast<pgno_t>(a[0]);
	return mpool_prefetch(h.mp, &pgno, 1, -1);
}

int64_t latch(Here &h, Args a)
{
	return mpool_latch(h.mp, pointer<void>(a[0]), static_cast<unsigned>(a[1]));
}

int64_t unlatch(Here &h, Args a)
{
	return mpool_unlatch(h.mp, pointer<void>(a[0]), static_cast<unsigned>(a[1]));
}

// Peek at page a[0]: is it of that version?
int64_t peeks(Here &h, Args a)
{
	uint64_t version;
	const void *page = mpool_peek(h.mp, static_cast<pgno_t>(a[0]), &version);
	if (!page)
		return -1;
	int64_t same = test::is(page, h.size, a[0], a[1]);
	return mpool_unchanged(h.mp, page, version) ? same : 2;
}

int64_t clean(Here &h, Args a)
{
	return mpool_clean(h.mp, static_cast<pgno_t>(a[0]));
}

int64_t set_maxcache(Here &h, Args a)
{
	return mpool_tune(h.mp, MPOOL_MAXCACHE, a[0]);
}

// A filter that turns all bits.
void turn(void *, pgno_t, void *page)
{
	for (size_t i = 0; i < page_size; i++)
		static_cast<unsigned char *>(page)[i] ^= 0xff;
}

int64_t set_turning(Here &h, Args)
{
	mpool_filter(h.mp, turn, turn, nullptr);
	return 0;
}

int64_t attach_store(Here &h, Args)
{
	struct mpool_store store = {};
	return mpool_attach_store(h.mp, &store, sizeof store, nullptr) ? 0 : -1;
}

// Have a lock on the whole of the file, as POSIX has them: of the process.
int64_t lock_file(Here &, Args a)
{
	struct flock all = {};
	all.l_type = F_WRLCK;
	return fcntl(static_cast<int>(a[0]), F_SETLK, &all);
}

int64_t write_back_fails(Here &, Args a)
{
	fault::write_back_fails(static_cast<int>(a[0]));
	return 0;
}

Fate as_the_kernel_has_it(const Call &call)
{
	return call.op == Op::sync && fault::is_told(call.fd) ? fault::error(EIO) : fault::real();
}

// A call on a file in which a process is held up, until it is let go.
struct Held {
	std::atomic<pid_t> who{0};
	std::atomic<bool> reached{false};
	void here()
	{
		if (who != getpid())
			return;
		reached = true;
		while (who == getpid())
			nap();
	}
	void await()
	{
		REQUIRE(comes([&] { return reached.load(); }));
	}
	void let_go()
	{
		who = 0;
		reached = false;
	}
};

// ---- A process that shares a pool and files of it ---------------------------

class Sharer : public Member {
public:
	using Member::Member;

	Answer try_attach(int fd) { return call(attach_fd, static_cast<uint64_t>(fd)); }
	unsigned attach(const File &f) { return static_cast<unsigned>(succeed("mpool_attach", try_attach(f.fd()))); }
	Answer on(unsigned handle, Does what, uint64_t a = 0, uint64_t b = 0)
	{
		return call(on_handle, handle, reinterpret_cast<uint64_t>(what), a, b);
	}
	void tell_on(unsigned handle, Does what, uint64_t a = 0, uint64_t b = 0)
	{
		tell(on_handle, handle, reinterpret_cast<uint64_t>(what), a, b);
	}
	// What must succeed.
	int64_t must(const char *what, unsigned handle, Does does, uint64_t a = 0, uint64_t b = 0)
	{
		return succeed(what, on(handle, does, a, b));
	}
	uint64_t get_of(unsigned handle, pgno_t pgno)
	{
		return static_cast<uint64_t>(must("mpool_get", handle, does::get, pgno));
	}
	bool shows_of(unsigned handle, pgno_t pgno, uint64_t version)
	{
		return must("get and put", handle, does::shows, pgno, version) == 1;
	}
	void modify_of(unsigned handle, pgno_t pgno, uint64_t version)
	{
		must("modifying", handle, does::modify, pgno, version);
	}
	pgno_t make_of(unsigned handle, uint64_t version)
	{
		return static_cast<pgno_t>(must("mpool_new", handle, make_one, version));
	}
	void sync_of(unsigned handle) { must("mpool_sync", handle, does::sync); }
	void close_of(unsigned handle) { must("mpool_close", handle, does::close); }
	uint64_t figure_of(unsigned handle, size_t where)
	{
		return static_cast<uint64_t>(must("mpool_stats", handle, figure, where));
	}
	// Pin as many of the first file's pages, from `from` on, as the pool keeps, and put them.  Are they all that is kept?
	bool crowds_out(pgno_t from)
	{
		std::vector<uint64_t> pinned;
		for (uint64_t n = stats().maxcache; n > 0; n--)
			pinned.push_back(get(from++));
		struct mpool_stats st = stats();
		for (uint64_t page : pinned)
			put(page);
		return st.cached == st.pinned;
	}
	// The same, until they are: who has no descriptor of a modified page's file asks for it first.
	void make_room(pgno_t from)
	{
		REQUIRE(comes([&] { return crowds_out(from); }));
	}
	// It has one of that file, which the other has attached: it was given it to write page 0.
	void has_descriptor(Sharer &other, unsigned handle, uint64_t version)
	{
		other.modify_of(handle, 0, version);
		make_room(100);
	}
};

// Does its first thread wait for another, or has it answered?
bool waits(const Sharer &m)
{
	FILE *f = fopen(("/proc/" + std::to_string(m.pid()) + "/syscall").c_str(), "re");
	long call = -1;
	if (f && fscanf(f, "%ld", &call) != 1)
		call = -1;
	if (f)
		fclose(f);
	return call == SYS_futex || m.answers(0);
}

#define FIGURE(name) offsetof(struct mpool_stats, name)

// A key, and the pool's first file.
struct Shared {
	Key key;
	File file{page_size, 200};
	pgno_t maxcache;
	explicit Shared(pgno_t pages = 64) : maxcache(pages) {}
};

// A process that has joined it.
class Joined : public Sharer {
public:
	explicit Joined(const Shared &s) : Sharer(s.key, s.file.fd(), page_size, s.maxcache) {}
};

} // namespace

// ---- One file is one file ----------------------------------------------------

TEST_CASE("who attaches a file that another process has attached gets the same pages")
{
	Shared s;
	Paged file(1, 600);
	Fd again = file.reopen(O_RDWR);
	const bool other = GENERATE(false, true); // the file is known, not the descriptor
	Joined a(s), b(s);
	unsigned fa = a.attach(file);
	a.modify_of(fa, 0, file.v(1));
	a.modify_of(fa, 599, file.v(1));
	CHECK(a.shows_of(fa, 300, file.v(0)));
	uint64_t misses = a.figure_of(fa, FIGURE(misses)), reads = a.figure_of(fa, FIGURE(reads));
	unsigned fb = static_cast<unsigned>(b.succeed("mpool_attach", b.try_attach(other ? int(again) : file.fd())));
	CHECK(b.shows_of(fb, 0, file.v(1)));
	CHECK(b.shows_of(fb, 599, file.v(1)));
	CHECK(b.shows_of(fb, 300, file.v(0)));
	CHECK(b.figure_of(fb, FIGURE(misses)) == misses);
	CHECK(a.figure_of(fa, FIGURE(reads)) == reads);
	CHECK(file.has(0, 0));
	b.modify_of(fb, 300, file.v(2));
	CHECK(a.shows_of(fa, 300, file.v(2)));
	// The first file's page of that number is another.
	CHECK(b.shows(0, 0));
}

TEST_CASE("files are told apart by device and inode, whatever their names and what was there before")
{
	Shared s;
	Paged one(1), two(2);
	std::string link = one.path() + "-link";
	REQUIRE(::link(one.path().c_str(), link.c_str()) == 0);
	Fd linked(open(link.c_str(), O_RDWR | O_CLOEXEC));
	unlink(link.c_str());
	REQUIRE(linked >= 0);
	Joined a(s), b(s);
	unsigned a1 = a.attach(one), a2 = a.attach(two);
	unsigned b1 = static_cast<unsigned>(b.succeed("mpool_attach", b.try_attach(linked))), b2 = b.attach(two);
	a.modify_of(a1, 3, one.v(1));
	a.modify_of(a2, 3, two.v(1));
	CHECK(b.shows_of(b1, 3, one.v(1)));
	CHECK(b.shows_of(b2, 3, two.v(1)));
	// Another file in the place of one that all have closed.
	a.close_of(a1);
	b.close_of(b1);
	Paged three(3);
	Joined c(s);
	unsigned c3 = c.attach(three);
	CHECK(c.shows_of(c3, 3, three.v(0)));
	CHECK(c.figure_of(c3, FIGURE(misses)) == 1);
	CHECK(b.shows_of(b2, 3, two.v(1)));
}

TEST_CASE("an attached file has one length, and no number of it is given twice, in whichever process")
{
	Shared s(2000);
	Paged file(1, 1);
	Joined a(s), b(s);
	unsigned fa = a.attach(file), fb = b.attach(file);
	for (pgno_t i = 1; i < 3 * extent; i += 2) {
		REQUIRE(a.make_of(fa, file.v(1)) == i);
		REQUIRE(b.make_of(fb, file.v(2)) == i + 1);
	}
	const pgno_t pages = 3 * extent + 1;
	CHECK(a.figure_of(fa, FIGURE(pages)) == pages);
	CHECK(b.figure_of(fb, FIGURE(pages)) == pages);
	for (pgno_t i = 1; i < pages; i++) {
		REQUIRE(a.shows_of(fa, i, file.v(i % 2 ? 1 : 2)));
		REQUIRE(b.shows_of(fb, i, file.v(i % 2 ? 1 : 2)));
	}
	REQUIRE_ANSWER_FAILS(a.on(fa, does::get, pages), EINVAL);
	REQUIRE(b.must("mpool_new", fb, make_one, file.v(3), 2000) == 2000);
	REQUIRE_ANSWER_FAILS(a.on(fa, make_one, file.v(4), 2000), EEXIST);
	CHECK(a.shows_of(fa, 2000, file.v(3)));
	a.sync_of(fa);
	for (pgno_t i = 1; i < pages; i++)
		REQUIRE(file.has(i, i % 2 ? 1 : 2));
	CHECK(file.has(2000, 3));
	CHECK(a.stats().pages == 200);
}

TEST_CASE("two handles of one file in one process are two of one thing")
{
	Shared s;
	Paged file(1, 600), small(2, 1);
	Joined a(s), b(s);
	unsigned one = a.attach(file), two = a.attach(file);
	SECTION("pages")
	{
		a.modify_of(one, 0, file.v(1));
		CHECK(a.shows_of(two, 0, file.v(1)));
		// What is pinned by one is put by the other, and keeps the last of them.
		uint64_t page = a.get_of(one, 300);
		a.close_of(one);
		REQUIRE_ANSWER_FAILS(a.on(two, does::close), EBUSY);
		CHECK(a.shows_of(two, 0, file.v(1)));
		a.put(page);
		// Its pages stay until then.
		CHECK(a.figure_of(two, FIGURE(cached)) == 2);
		a.close_of(two);
		CHECK(a.stats().cached == 0);
	}
	SECTION("a map that became too short is so for both")
	{
		unsigned first = a.attach(small), second = a.attach(small);
		for (pgno_t i = 1; i < 700; i++)
			REQUIRE(a.make_of(i % 2 ? first : second, small.v(1)) == i);
		for (pgno_t i = 1; i < 700; i++) {
			REQUIRE(a.shows_of(first, i, small.v(1)));
			REQUIRE(a.shows_of(second, i, small.v(1)));
		}
	}
	SECTION("filters")
	{
		a.must("mpool_filter", one, set_turning);
		a.must("mpool_new", two, make_one, file.v(1), 700);
		a.sync_of(two);
		std::vector<char> page = file.read_page(700);
		turn(nullptr, 0, page.data());
		CHECK(is(page.data(), page_size, 700, file.v(1)));
		// They are gone with the last one.
		a.close_of(one);
		CHECK(a.shows_of(two, 700, file.v(1)));
		a.close_of(two);
		unsigned three = a.attach(file);
		CHECK(a.shows_of(three, 3, file.v(0)));
	}
}

TEST_CASE("a number that its file does not have is no other file's page, also where nobody was told of others")
{
	Shared s(1000);
	Paged file(1, 600);
	Joined a(s), b(s), c(s);
	for (int i = 0; i < 2; i++)
		b.touch(0, 200);
	REQUIRE(b.call(peeks, 1, 0).value == 1);
	const bool first = GENERATE(true, false); // nothing else was asked in between
	CAPTURE(first);
	unsigned fa = a.attach(file);
	a.must("touching", fa, does::touch, 0, 600);
	if (!first)
		b.touch(0, 200);
	auto finds_none = [](Here &h, Args args) -> int64_t {
		for (uint64_t i = args[0]; i > args[0] - 3 * extent; i--) {
			const pgno_t pgno = static_cast<pgno_t>(i);
			uint64_t version;
			void *page;
			CHILD_CHECK(!mpool_get(h.mp, pgno, 0) && errno == EINVAL);
			CHILD_CHECK(!mpool_get(h.mp, pgno, MPOOL_CACHED) && errno == EINVAL);
			CHILD_CHECK(!mpool_peek(h.mp, pgno, &version) && errno == EAGAIN);
			CHILD_CHECK(!mpool_peek_view(mpool_view(h.mp, MPOOL_VIEW_LAYOUT), pgno, &version) &&
				    errno == EAGAIN);
			CHILD_CHECK(mpool_getv(h.mp, &pgno, &page, 1, 0) == -1 && errno == EINVAL);
			CHILD_CHECK(mpool_prefetch(h.mp, &pgno, 1, -1) == -1 && errno == EINVAL);
		}
		return 0;
	};
	// One that is in memory, by its number in the pool: of the topmost extent that there is.
	const pgno_t used = MAX_PAGE_NUMBER / extent * extent - extent + 5;
	REQUIRE_ANSWER_FAILS(b.call(does::get, used), EINVAL);
	b.succeed("looking", b.call(finds_none, MAX_PAGE_NUMBER));
	REQUIRE_ANSWER_FAILS(b.call(does::get, 200), EINVAL);
	REQUIRE_ANSWER_FAILS(a.on(fa, does::get, 600), EINVAL);
	REQUIRE_ANSWER_FAILS(a.on(fa, does::get, MAX_PAGE_NUMBER), EINVAL);
	// Who has the file, and who comes later.
	a.succeed("looking", a.call(finds_none, MAX_PAGE_NUMBER));
	Joined d(s);
	d.succeed("looking", d.call(finds_none, MAX_PAGE_NUMBER));
	CHECK(b.call(peeks, 1, 0).value == 1);
	// As the first call of all that it makes.
	REQUIRE_ANSWER_FAILS(c.call(does::get, used), EINVAL);
	c.succeed("looking", c.call(finds_none, MAX_PAGE_NUMBER));
}

TEST_CASE("where all of a shared pool's numbers are in use there is EFBIG, until a file is closed by all")
{
	constexpr pgno_t tiny = 16;
	Key key;
	File first(tiny), one(tiny, 600), two(tiny, 600);
	// Two extents are left to others; the topmost has the number that is no page's.
	const pgno_t pages = 0xffffff00u - 2 * extent;
	first.truncate(static_cast<off_t>(pages) * static_cast<off_t>(tiny));
	Sharer a(key, first.fd(), tiny, 64), b(key, first.fd(), tiny, 64);
	unsigned a1 = a.attach(one), b1 = b.attach(one), b2 = b.attach(two);
	CHECK(a.shows_of(a1, 0, 0));
	CHECK(b.shows_of(b1, 300, 0));
	REQUIRE_ANSWER_FAILS(a.on(a1, does::get, 599), EFBIG);
	REQUIRE_ANSWER_FAILS(b.on(b2, does::get, 0), EFBIG);
	REQUIRE_ANSWER_FAILS(b.call(make_one, 1), EFBIG);
	CHECK(a.shows_of(a1, 300, 0));
	a.close_of(a1);
	REQUIRE_ANSWER_FAILS(b.on(b2, does::get, 0), EFBIG);
	b.close_of(b1);
	for (pgno_t i = 0; i < 2 * extent; i++)
		REQUIRE(b.shows_of(b2, i, 0));
	a1 = a.attach(one);
	REQUIRE_ANSWER_FAILS(a.on(a1, does::get, 0), EFBIG);
	// The first file's numbers are not to be had again.
	REQUIRE_ANSWER_FAILS(a.call(make_one, 1), EFBIG);
	CHECK(a.call(does::get, pages - 1).value != -1);
}

TEST_CASE("what cannot be attached to a shared pool is refused, and nothing has changed")
{
	Shared s;
	Joined a(s);
	REQUIRE_ANSWER_FAILS(a.try_attach(-1), EBADF);
	REQUIRE_ANSWER_FAILS(a.call(attach_store), ENOTSUP);
	int ends[2];
	REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
	Fd r(ends[0]), w(ends[1]);
	Joined b(s);
	REQUIRE_ANSWER_FAILS(b.try_attach(r), ESPIPE);
	CHECK(b.shows(3, 0));
	Paged file(1);
	Joined c(s);
	CHECK(c.shows_of(c.attach(file), 3, file.v(0)));
}

TEST_CASE("who would write a file that its holders have for reading only is refused with EROFS")
{
	Shared s;
	Paged file(1);
	Joined a(s), b(s);
	// A mount of its own, of the file alone.
	auto open_read_only = [](Here &, Args args) -> int64_t {
		const char *path = pointer<const char>(args[0]);
		if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
			mount(path, path, nullptr, MS_BIND, nullptr) != 0 ||
			mount(nullptr, path, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) != 0)
			return -1;
		return ::open(path, O_RDONLY | O_CLOEXEC);
	};
	Answer opened = a.call(open_read_only, word(file.path().c_str()));
	if (opened.value < 0)
		SKIP_CASE("a process cannot have mounts of its own here");
	unsigned fa = static_cast<unsigned>(a.succeed("mpool_attach", a.try_attach(static_cast<int>(opened.value))));
	CHECK(a.shows_of(fa, 3, file.v(0)));
	REQUIRE_ANSWER_FAILS(b.try_attach(file.fd()), EROFS);
	CHECK(b.shows(3, 0));
	Fd reads = file.reopen(O_RDONLY);
	Joined c(s);
	unsigned fc = static_cast<unsigned>(c.succeed("mpool_attach", c.try_attach(reads)));
	CHECK(c.shows_of(fc, 3, file.v(0)));
	a.close_of(fa);
	REQUIRE_ANSWER_FAILS(b.try_attach(file.fd()), EROFS);
	c.close_of(fc);
	unsigned fb = b.attach(file);
	b.modify_of(fb, 3, file.v(1));
	b.sync_of(fb);
	CHECK(file.has(3, 1));
}

// ---- Anybody makes room --------------------------------------------------------

// Descriptors that a process has of a file.  (One more may be there than was: a pool's watch may get its own late.)
constexpr int64_t of_a_file = 3;

TEST_CASE("a process that has not attached a file writes its pages when it needs room, and nothing is lost")
{
	Shared s(16);
	Paged one(1), two(2);
	Joined a(s), b(s);
	const int64_t fds = b.call(does::open_fds).value;
	unsigned a1 = a.attach(one), a2 = a.attach(two);
	for (pgno_t i = 0; i < 6; i++) {
		a.modify_of(a1, i, one.v(1));
		a.modify_of(a2, i, two.v(1));
	}
	uint64_t writes = a.figure_of(a1, FIGURE(writes));
	b.make_room(100);
	CHECK(a.figure_of(a1, FIGURE(cached)) == 0);
	CHECK(a.figure_of(a1, FIGURE(writes)) == writes + 6);
	for (pgno_t i = 0; i < 6; i++) {
		CHECK(one.has(i, 1));
		CHECK(two.has(i, 1));
		CHECK(a.shows_of(a1, i, one.v(1)));
		CHECK(a.shows_of(a2, i, two.v(1)));
	}
	a.sync_of(a1);
	a.sync_of(a2);
	// A new one that has the place of one that was closed is asked for anew.
	a.close_of(a1);
	a.close_of(a2);
	Paged three(3);
	Joined c(s);
	unsigned c3 = c.attach(three);
	for (pgno_t i = 0; i < 6; i++)
		c.modify_of(c3, i, three.v(1));
	b.make_room(100);
	for (pgno_t i = 0; i < 6; i++) {
		CHECK(one.has(i, 1));
		CHECK(three.has(i, 1));
	}
	c.sync_of(c3);
	// What it has of files that nobody has any more goes when it attaches, or closes, one itself.
	c.close_of(c3);
	b.close_of(b.attach(s.file));
	CHECK(b.call(does::open_fds).value < fds + of_a_file);
}

TEST_CASE("mpool_clean, by whoever makes it, writes pages of files that he has not attached")
{
	Shared s(16);
	Paged file(1);
	Joined a(s), b(s);
	unsigned fa = a.attach(file);
	for (pgno_t i = 0; i < 16; i++)
		a.modify_of(fa, i, file.v(1));
	REQUIRE(comes([&] {
		b.succeed("mpool_clean", b.call(clean, 16));
		return a.figure_of(fa, FIGURE(dirty)) == 0;
	}));
	for (pgno_t i = 0; i < 16; i++)
		CHECK(file.has(i, 1));
	a.sync_of(fa);
}

TEST_CASE("while all who have a file are stopped others use the pool, which grows if need be; nothing is lost")
{
	Shared s(16);
	Paged file(1);
	Joined a(s), b(s), c(s);
	unsigned fa = a.attach(file), fb = b.attach(file);
	for (pgno_t i = 0; i < 16; i++)
		a.modify_of(fa, i, file.v(1));
	CHECK(b.shows_of(fb, 3, file.v(1)));
	a.stop();
	b.stop();
	for (pgno_t i = 0; i < 40; i++)
		REQUIRE(c.shows(i, 0));
	// ... and while the first file's pages are all in use.
	std::vector<uint64_t> pins;
	for (pgno_t i = 50; i < 70; i++)
		pins.push_back(c.get(i));
	for (uint64_t page : pins)
		c.put(page, MPOOL_DIRTY);
	c.sync();
	CHECK(c.stats().dirty == 16);
	REQUIRE_ANSWER_FAILS(c.try_attach(file.fd()), EAGAIN);
	CHECK(c.shows(3, 0));
	for (pgno_t i = 0; i < 16; i++)
		CHECK(file.has(i, 0));
	// One of them is enough.
	b.go_on();
	REQUIRE(comes([&] { return c.call(clean, 64).value != -1 && c.stats().dirty == 0; }));
	for (pgno_t i = 0; i < 16; i++)
		CHECK(file.has(i, 1));
	unsigned fc = c.attach(file);
	CHECK(c.shows_of(fc, 3, file.v(1)));
	a.go_on();
	for (pgno_t i = 0; i < 16; i++)
		CHECK(a.shows_of(fa, i, file.v(1)));
	a.sync_of(fa);
}

TEST_CASE("MPOOL_MAXCACHE is made smaller while a file is modified whose holder is stopped")
{
	Shared s(64);
	Paged file(1);
	Joined a(s), b(s);
	unsigned fa = a.attach(file);
	for (pgno_t i = 0; i < 16; i++)
		a.modify_of(fa, i, file.v(1));
	b.touch(0, 40);
	a.stop();
	Answer smaller = b.call(set_maxcache, 8);
	CAPTURE(smaller.value, smaller.error);
	b.touch(0, 100);
	a.go_on();
	for (pgno_t i = 0; i < 16; i++)
		CHECK(a.shows_of(fa, i, file.v(1)));
	a.sync_of(fa);
	for (pgno_t i = 0; i < 16; i++)
		CHECK(file.has(i, 1));
	b.make_room(100);
	CHECK(b.stats().cached <= 8);
}

TEST_CASE("who has not a file's filters neither writes its pages nor reads them")
{
	Shared s(16);
	Paged file(1, 2);
	Joined a(s), b(s);
	unsigned fa = a.attach(file);
	a.must("mpool_filter", fa, set_turning);
	for (pgno_t i = 2; i < 10; i++)
		REQUIRE(a.make_of(fa, file.v(1)) == i);
	auto in_file = [&](pgno_t i) {
		std::vector<char> page = file.read_page(i);
		turn(nullptr, 0, page.data());
		return page.size() == page_size && is(page.data(), page_size, i, file.v(1));
	};
	for (pgno_t i = 0; i < 100; i++)
		REQUIRE(b.shows(i, 0));
	// Nor with a descriptor, which it has asked for by now.
	for (int i = 0; i < 3; i++)
		b.call(clean, 16);
	CHECK(file.length() == 2 * page_size);
	CHECK(a.figure_of(fa, FIGURE(dirty)) == 8);
	unsigned fb = b.attach(file);
	for (Does what : {does::get, does::make, does::sync, sync_pages, cut, forget_pages, get_some, read_ahead})
		REQUIRE_ANSWER_FAILS(b.on(fb, what, 0, 1), ENOTSUP);
	for (pgno_t i = 0; i < 100; i++)
		REQUIRE(b.shows(i, 0));
	CHECK(file.length() == 2 * page_size);
	b.close_of(fb);
	a.sync_of(fa);
	for (pgno_t i = 2; i < 10; i++)
		CHECK(in_file(i));
	// With the same ones it may.
	fb = b.attach(file);
	b.must("mpool_filter", fb, set_turning);
	for (pgno_t i = 2; i < 10; i++)
		b.modify_of(fb, i, file.v(1));
	b.make_room(100);
	CHECK(b.shows_of(fb, 5, file.v(1)));
	for (pgno_t i = 2; i < 10; i++)
		CHECK(in_file(i));
	// They are of that file alone, and end with it.
	b.close_of(fb);
	a.close_of(fa);
	fb = b.attach(file);
	CHECK(!b.shows_of(fb, 5, file.v(1)));
	CHECK(b.shows(5, 0));
}

// ---- Closed -------------------------------------------------------------------

TEST_CASE("a file's pages leave memory when nobody has it any more, modified ones too, unwritten")
{
	Shared s(1000);
	Paged file(1, 600), other(2, 600);
	Joined a(s), b(s);
	unsigned fa = a.attach(file), fb = b.attach(file), oa = a.attach(other);
	for (pgno_t i = 0; i < 300; i++) {
		a.modify_of(fa, i, file.v(1));
		a.modify_of(oa, i, other.v(1));
	}
	b.touch(0, 10);
	CHECK(b.stats().cached == 610);
	// Another has it: nothing happens.
	a.close_of(fa);
	CHECK(b.stats().cached == 610);
	CHECK(b.figure_of(fb, FIGURE(dirty)) == 300);
	uint64_t misses = b.figure_of(fb, FIGURE(misses));
	for (pgno_t i = 0; i < 300; i++)
		REQUIRE(b.shows_of(fb, i, file.v(1)));
	CHECK(b.figure_of(fb, FIGURE(misses)) == misses);
	b.close_of(fb);
	CHECK(b.stats().cached == 310);
	CHECK(b.stats().dirty == 300);
	for (pgno_t i = 0; i < 300; i++)
		REQUIRE(file.has(i, 0));
	// Its numbers are for others, and it begins anew.
	Paged next(3, 600);
	Joined c(s);
	unsigned fc = c.attach(next);
	for (pgno_t i = 0; i < 300; i++)
		REQUIRE(c.shows_of(fc, i, next.v(0)));
	fb = b.attach(file);
	for (pgno_t i = 0; i < 300; i++)
		REQUIRE(b.shows_of(fb, i, file.v(0)));
	for (pgno_t i = 0; i < 300; i++)
		REQUIRE(a.shows_of(oa, i, other.v(1)));
}

TEST_CASE("a close fails with EBUSY for pages in use by its own process, and for no others")
{
	Shared s;
	Paged file(1);
	Joined a(s), b(s);
	unsigned fa = a.attach(file), fb = b.attach(file);
	a.modify_of(fa, 1, file.v(1));
	uint64_t pa = a.get_of(fa, 1), pb = b.get_of(fb, 2);
	SECTION("pinned")
	{
		REQUIRE_ANSWER_FAILS(a.on(fa, does::close), EBUSY);
		CHECK(a.shows_of(fa, 1, file.v(1)));
		a.put(pa);
		a.close_of(fa);
	}
	SECTION("latched")
	{
		const unsigned mode = GENERATE(unsigned(MPOOL_SHARED), unsigned(MPOOL_EXCLUSIVE));
		a.must("mpool_latch", fa, latch, pa, mode);
		a.put(pa);
		REQUIRE_ANSWER_FAILS(a.on(fa, does::close), EBUSY);
		a.must("mpool_unlatch", fa, unlatch, pa);
		b.must("mpool_latch", fb, latch, pb, mode);
		a.close_of(fa);
		b.must("mpool_unlatch", fb, unlatch, pb);
	}
	SECTION("of the first file")
	{
		a.put(pa);
		pa = a.get(1);
		a.close_of(fa);
		a.put(pa);
	}
	CHECK(b.is(pb, 2, file.v(0)));
	REQUIRE_ANSWER_FAILS(b.on(fb, does::close), EBUSY);
	CHECK(b.shows_of(fb, 1, file.v(1)));
	b.put(pb);
	b.close_of(fb);
	CHECK(b.stats().cached - b.stats().dirty <= 1);
	CHECK(b.stats().dirty == 0);
}

TEST_CASE("who closes the pool has closed its files, be it with pages pinned")
{
	Shared s;
	Paged file(1);
	Joined a(s), b(s);
	unsigned fa = a.attach(file);
	a.modify_of(fa, 0, file.v(1));
	a.modify_of(fa, 1, file.v(1));
	const bool pinned = GENERATE(false, true), both = GENERATE(false, true);
	CAPTURE(pinned, both);
	if (pinned)
		a.get_of(fa, 1);
	unsigned fb = both ? b.attach(file) : 0;
	a.close();
	if (both) {
		CHECK(b.shows_of(fb, 1, file.v(1)));
		b.close_of(fb);
	}
	CHECK(b.stats().cached == 0);
	CHECK(b.stats().pinned == 0);
	b.make_room(100);
	CHECK(file.has(0, 0));
	CHECK(file.has(1, 0));
	fb = b.attach(file);
	CHECK(b.shows_of(fb, 0, file.v(0)));
	CHECK(b.shows_of(fb, 1, file.v(0)));
}

TEST_CASE("descriptors and memory of files are as before when they are closed")
{
	Shared s;
	std::vector<std::unique_ptr<Paged>> files;
	for (uint64_t i = 0; i < 10; i++)
		files.emplace_back(new Paged(i + 1));
	Joined a(s), b(s);
	int64_t fds_a = a.call(does::open_fds).value, fds_b = b.call(does::open_fds).value;
	for (int round = 0; round < 5; round++) {
		std::vector<unsigned> at, bt;
		for (auto &f : files) {
			at.push_back(a.attach(*f));
			bt.push_back(b.attach(*f));
			bt.push_back(b.attach(*f));
			a.modify_of(at.back(), 1, f->v(1));
		}
		for (unsigned f : bt)
			b.close_of(f);
		for (unsigned f : at)
			a.close_of(f);
		CHECK(a.call(does::open_fds).value < fds_a + of_a_file);
		CHECK(b.call(does::open_fds).value < fds_b + of_a_file);
		CHECK(a.stats().cached == 0);
	}
}

TEST_CASE("who keeps descriptors for their locks has never one file's for another's")
{
	Shared s(16);
	Paged one(1), two(2);
	Joined a(s), b(s);
	// Handed over, for it needs room; and kept, for it has a lock on the file.
	unsigned a1 = a.attach(one);
	for (pgno_t i = 0; i < 10; i++)
		a.modify_of(a1, i, one.v(1));
	b.make_room(100);
	b.succeed("fcntl", b.call(lock_file, static_cast<uint64_t>(one.fd())));
	a.close_of(a1);
	// Another, in the same place.
	unsigned a2 = a.attach(two);
	a.modify_of(a2, 1, two.v(1));
	for (int i = 0; i < 3; i++) {
		unsigned b2 = b.attach(two);
		CHECK(b.shows_of(b2, 1, two.v(1)));
		CHECK(b.shows_of(b2, 5 + static_cast<pgno_t>(i), two.v(0)));
		b.modify_of(b2, 1, two.v(1));
		b.sync_of(b2);
		CHECK(two.has(1, 1));
		CHECK(one.has(1, 1));
		b.close_of(b2);
	}
	unsigned b1 = b.attach(one);
	CHECK(b.shows_of(b1, 1, one.v(1)));
}

TEST_CASE("a file that is being closed is attached when that is done, also by who finds its closer dead")
{
	Shared s(16);
	Paged file(1);
	Common<Held> held;
	Script script(file.fd(), [&](const Call &call) {
		if (call.op == Op::write)
			held->here();
		return fault::real();
	});
	Joined a(s), b(s), c(s);
	unsigned fa = a.attach(file);
	c.has_descriptor(a, fa, file.v(0));
	for (pgno_t i = 0; i < 16; i++)
		a.modify_of(fa, i, file.v(1));
	// Somebody has claimed pages of it, and writes them.
	held->who = c.pid();
	c.tell(clean, 16);
	held->await();
	a.tell_on(fa, does::close);
	REQUIRE(comes([&] { return waits(a); }));
	const bool dies = GENERATE(false, true), closer = GENERATE(false, true);
	CAPTURE(dies, closer);
	b.tell(attach_fd, static_cast<uint64_t>(file.fd()));
	REQUIRE(comes([&] { return waits(b); }));
	CHECK(!b.answers(0));
	if (dies && closer)
		a.kill();
	if (dies && !closer)
		c.kill();
	held->let_go();
	if (!(dies && closer))
		CHECK(a.hear().value == 0);
	if (!(dies && !closer))
		CHECK(c.hear().value != -1);
	Answer attached = b.hear();
	unsigned fb = static_cast<unsigned>(b.succeed("mpool_attach", attached));
	CHECK(b.figure_of(fb, FIGURE(cached)) == 0);
	CHECK(b.figure_of(fb, FIGURE(dirty)) == 0);
	for (pgno_t i = 0; i < 16; i++)
		CHECK((b.shows_of(fb, i, file.v(0)) || (file.has(i, 1) && b.shows_of(fb, i, file.v(1)))));
}

namespace {

std::thread *at_work; // of the child: it cleans

int64_t begin_cleaning(Here &h, Args)
{
	at_work = new std::thread([mp = h.mp] { CHILD_CHECK(mpool_clean(mp, 16) != -1); });
	return 0;
}

int64_t end_cleaning(Here &, Args)
{
	at_work->join();
	delete at_work;
	return 0;
}

} // namespace

TEST_CASE("a process's last close of a file that others have waits for its own threads that write its pages")
{
	if (sanitized)
		SKIP_CASE("a child of a sanitized process starts no threads");
	Shared s(16);
	Paged file(1);
	Common<Held> held;
	Script script(file.fd(), [&](const Call &call) {
		if (call.op == Op::write)
			held->here();
		return fault::real();
	});
	Joined a(s), b(s);
	unsigned fa = a.attach(file), fb = b.attach(file);
	for (pgno_t i = 0; i < 16; i++)
		a.modify_of(fa, i, file.v(1));
	held->who = a.pid();
	a.call(begin_cleaning);
	held->await();
	a.tell_on(fa, does::close);
	REQUIRE(comes([&] { return waits(a); }));
	CHECK(!a.answers(0));
	held->let_go();
	CHECK(a.hear().value == 0);
	a.call(end_cleaning);
	CHECK(b.figure_of(fb, FIGURE(write_errno)) == 0);
	for (pgno_t i = 0; i < 16; i++)
		CHECK(b.shows_of(fb, i, file.v(1)));
	b.sync_of(fb);
	for (pgno_t i = 0; i < 16; i++)
		CHECK(file.has(i, 1));
}

// ---- Deaths ---------------------------------------------------------------------

TEST_CASE("a process that dies has closed its files: what others have stays, and what nobody has is as it was synced")
{
	Shared s;
	Paged file(1);
	Joined a(s), b(s), c(s);
	unsigned fa = a.attach(file), fb = b.attach(file);
	a.modify_of(fa, 0, file.v(1));
	a.sync_of(fa);
	a.modify_of(fa, 0, file.v(2));
	a.modify_of(fa, 1, file.v(2));
	uint64_t pinned = a.get_of(fa, 2);
	(void)pinned;
	a.kill();
	CHECK(b.shows_of(fb, 0, file.v(2)));
	CHECK(b.shows_of(fb, 1, file.v(2)));
	CHECK(comes([&] { return b.figure_of(fb, FIGURE(pinned)) == 0; }));
	const bool pins = GENERATE(false, true);
	CAPTURE(pins);
	if (pins)
		b.get_of(fb, 1);
	b.kill();
	// By who had nothing of it, at once.
	unsigned fc = c.attach(file);
	CHECK(c.figure_of(fc, FIGURE(cached)) == 0);
	CHECK(c.figure_of(fc, FIGURE(dirty)) == 0);
	CHECK(c.shows_of(fc, 0, file.v(1)));
	CHECK(c.shows_of(fc, 1, file.v(0)));
	uint64_t page = c.get_of(fc, 1);
	CHECK(c.abandoned(page) == 0);
	c.put(page);
	c.sync_of(fc);
	CHECK(file.has(1, 0));
}

TEST_CASE("when the last who had a file has died its pages go, also if nobody attaches it")
{
	Shared s(16);
	Paged file(1);
	Joined a(s), b(s);
	unsigned fa = a.attach(file);
	for (pgno_t i = 0; i < 16; i++)
		a.modify_of(fa, i, file.v(1));
	const bool had = GENERATE(false, true); // a descriptor of it
	CAPTURE(had);
	if (had) {
		b.make_room(100);
		for (pgno_t i = 0; i < 16; i++)
			a.modify_of(fa, i, file.v(2));
	}
	a.kill();
	REQUIRE(comes([&] { return b.stats().dirty == 0; }));
	b.make_room(100);
	// To make room for others some of it may have been written before.
	for (pgno_t i = 0; i < 16; i++)
		CHECK((file.has(i, had ? 1 : 0) || (had && file.has(i, 2))));
}

TEST_CASE("the pages go also of a file that somebody was just writing when the last who had it died")
{
	Shared s(16);
	Paged file(1);
	Common<Held> held;
	const bool fails = GENERATE(false, true);
	CAPTURE(fails);
	Script script(file.fd(), [&](const Call &call) {
		if (call.op != Op::write || held->who != getpid())
			return fault::real();
		held->here();
		return fails ? fault::error(ENOSPC) : fault::real();
	});
	Joined a(s), b(s), c(s);
	unsigned fa = a.attach(file);
	c.has_descriptor(a, fa, file.v(0));
	for (pgno_t i = 0; i < 16; i++)
		a.modify_of(fa, i, file.v(1));
	held->who = c.pid();
	c.tell(clean, 16);
	held->await();
	a.kill();
	// Found, and recovered, while they are in hand.
	REQUIRE(comes([&] { return b.stats().processes == 2; }));
	held->let_go();
	c.hear();
	// Whoever needs room finds it.
	REQUIRE(comes([&] {
		b.touch(0, 40);
		return b.stats().dirty == 0;
	}));
	unsigned fb = b.attach(file);
	CHECK(b.figure_of(fb, FIGURE(cached)) == 0);
}

TEST_CASE(
	"a page of a file that a process was writing, or reading, when it died is not lost to those who have the file")
{
	Shared s(16);
	Paged file(1);
	Common<Held> held;
	const Op op = GENERATE(Op::write, Op::read);
	const bool has = GENERATE(false, true), last = GENERATE(false, true);
	CAPTURE(int(op), has, last);
	if (op == Op::read && !has)
		return;
	Script script(file.fd(), [&](const Call &call) {
		if (call.op == op)
			held->here();
		return fault::real();
	});
	Joined a(s), b(s);
	unsigned fa = a.attach(file), fb = has ? b.attach(file) : 0;
	if (!has)
		b.has_descriptor(a, fa, file.v(0));
	for (pgno_t i = 0; i < 10; i++)
		a.modify_of(fa, i, file.v(1));
	held->who = b.pid();
	if (op == Op::write)
		b.tell(clean, 16);
	else
		b.tell_on(fb, does::touch, 15, 16);
	held->await();
	if (last)
		a.kill();
	b.kill();
	held->let_go();
	Joined c(s);
	if (last) {
		unsigned fc = c.attach(file);
		CHECK(c.figure_of(fc, FIGURE(cached)) == 0);
		CHECK(c.shows_of(fc, 15, file.v(0)));
		return;
	}
	CHECK(a.shows_of(fa, 15, file.v(0)));
	for (pgno_t i = 0; i < 10; i++)
		CHECK(a.shows_of(fa, i, file.v(1)));
	a.sync_of(fa);
	for (pgno_t i = 0; i < 10; i++)
		CHECK(file.has(i, 1));
}

TEST_CASE("a page of a file that a process left half-modified is told of until it is forgiven, or the file is closed")
{
	Shared s(16);
	Paged file(1);
	Joined a(s), b(s);
	unsigned fa = a.attach(file), fb = b.attach(file);
	uint64_t page = a.get_of(fa, 3);
	a.fill(page, 3, file.v(1));
	a.kill();
	page = b.get_of(fb, 3);
	CHECK(comes([&] { return b.abandoned(page) == 1; }));
	b.put(page, MPOOL_DIRTY);
	// Also when it has left memory.
	b.make_room(100);
	page = b.get_of(fb, 3);
	CHECK(b.abandoned(page) == 1);
	SECTION("forgiven")
	{
		CHECK(b.abandoned(page, MPOOL_FORGIVE) == 1);
		CHECK(b.abandoned(page) == 0);
		b.put(page, MPOOL_DIRTY);
		b.make_room(100);
		page = b.get_of(fb, 3);
		CHECK(b.abandoned(page) == 0);
		b.put(page);
	}
	SECTION("closed")
	{
		b.put(page);
		b.make_room(100);
		b.close_of(fb);
		Paged other(2);
		Joined c(s);
		unsigned fc = c.attach(other);
		page = c.get_of(fc, 3);
		CHECK(c.abandoned(page) == 0);
		c.put(page);
		fb = b.attach(file);
		page = b.get_of(fb, 3);
		CHECK(b.abandoned(page) == 0);
		b.put(page);
	}
}

TEST_CASE("a latch of an attached file's page excludes other processes, and is free when they die")
{
	Shared s;
	Paged file(1);
	Joined a(s), b(s);
	unsigned fa = a.attach(file), fb = b.attach(file);
	uint64_t pa = a.get_of(fa, 3), pb = b.get_of(fb, 3);
	a.must("mpool_latch", fa, latch, pa, MPOOL_EXCLUSIVE);
	REQUIRE_ANSWER_FAILS(b.on(fb, latch, pb, MPOOL_SHARED | MPOOL_TRY), EBUSY);
	a.fill(pa, 3, file.v(1));
	a.must("mpool_unlatch", fa, unlatch, pa, MPOOL_DIRTY);
	b.must("mpool_latch", fb, latch, pb, MPOOL_SHARED);
	CHECK(b.is(pb, 3, file.v(1)));
	b.must("mpool_unlatch", fb, unlatch, pb);
	a.must("mpool_latch", fa, latch, pa, MPOOL_EXCLUSIVE);
	b.tell_on(fb, latch, pb, MPOOL_EXCLUSIVE);
	a.kill();
	CHECK(b.hear().value == 0);
	CHECK(b.abandoned(pb) == 1);
	b.must("mpool_unlatch", fb, unlatch, pb);
	b.put(pb);
	b.close_of(fb);
}

// ---- Syncs ----------------------------------------------------------------------

TEST_CASE("a sync by any who has the file is one of all its pages, whoever put them, and of no other file's")
{
	const pgno_t pages = GENERATE(3u, 300u); // looked up, and looked for
	Shared s(1000);
	Paged one(1, pages), two(2, pages);
	Joined a(s), b(s);
	unsigned a1 = a.attach(one), b1 = b.attach(one), a2 = a.attach(two);
	for (pgno_t i = 0; i < pages; i++) {
		a.modify_of(a1, i, one.v(1));
		a.modify_of(a2, i, two.v(1));
	}
	a.modify(0, 1);
	Script script(one.fd(), [](const Call &) { return fault::real(); });
	// Of a page that this process has never asked for, too.
	REQUIRE(b.must("mpool_sync_range", b1, sync_pages, pages - 1, pages) == 0);
	CHECK(one.has(pages - 1, 1));
	CHECK((pages < 2 || one.has(0, 0)));
	b.sync_of(b1);
	for (pgno_t i = 0; i < pages; i++) {
		REQUIRE(one.has(i, 1));
		REQUIRE(two.has(i, 0));
	}
	CHECK(a.figure_of(a1, FIGURE(dirty)) == 0);
	CHECK(a.figure_of(a2, FIGURE(dirty)) == pages);
	CHECK(b.stats().dirty == pages + 1);
	CHECK(s.file.holds(0, 0));
}

TEST_CASE("a failed write of a file's page is told by the syncs of that file, whoever made it")
{
	Shared s(16);
	Paged one(1), two(2);
	Common<Held> fails; // `who` does
	Script script(one.fd(), [&](const Call &call) {
		return call.op == Op::write && fails->who == getpid() ? fault::error(ENOSPC) : fault::real();
	});
	Joined a(s), b(s), c(s);
	unsigned a1 = a.attach(one), b1 = b.attach(one), a2 = a.attach(two);
	for (pgno_t i = 0; i < 8; i++) {
		a.modify_of(a1, i, one.v(1));
		a.modify_of(a2, i, two.v(1));
	}
	fails->who = c.pid();
	// Somebody who has it not, and whose writes of the other are done.
	REQUIRE(comes([&] {
		c.call(clean, 16);
		return a.figure_of(a1, FIGURE(write_errno)) == ENOSPC && a.figure_of(a2, FIGURE(dirty)) == 0;
	}));
	CHECK(b.figure_of(b1, FIGURE(write_errno)) == ENOSPC);
	CHECK(a.figure_of(a2, FIGURE(write_errno)) == 0);
	CHECK(a.stats().write_errno == 0);
	CHECK(a.figure_of(a1, FIGURE(dirty)) == 8);
	a.sync_of(a2);
	fails->who = b.pid();
	REQUIRE_ANSWER_FAILS(b.on(b1, does::sync), ENOSPC);
	a.sync_of(a1);
	CHECK(b.figure_of(b1, FIGURE(write_errno)) == 0);
	for (pgno_t i = 0; i < 8; i++)
		CHECK(one.has(i, 1));
}

TEST_CASE("a failed flush makes the file's pages modified again, for all who have it, and no other file's")
{
	Shared s;
	Paged one(1), two(2);
	Common<Held> fails;
	Script script(one.fd(), [&](const Call &call) {
		return call.op == Op::sync && fails->who == getpid() ? fault::error(EIO) : fault::real();
	});
	Joined a(s), b(s);
	unsigned a1 = a.attach(one), b1 = b.attach(one), a2 = a.attach(two);
	for (pgno_t i = 0; i < 4; i++) {
		a.modify_of(a1, i, one.v(1));
		a.modify_of(a2, i, two.v(1));
	}
	a.sync_of(a2);
	fails->who = a.pid();
	REQUIRE_ANSWER_FAILS(a.on(a1, does::sync), EIO);
	CHECK(b.figure_of(b1, FIGURE(dirty)) == 4);
	CHECK(a.figure_of(a2, FIGURE(dirty)) == 0);
	uint64_t writes = b.figure_of(b1, FIGURE(writes));
	b.sync_of(b1);
	CHECK(b.figure_of(b1, FIGURE(writes)) == writes + 4);
	REQUIRE_ANSWER_FAILS(a.on(a1, sync_pages, 0, 1), EIO);
	b.sync_of(b1);
}

TEST_CASE(
	"what a process wrote that has not the file, and then the system lost, is told to all who have it, and to no others")
{
	Shared s(16);
	Paged one(1), two(2);
	Script script(one.fd(), as_the_kernel_has_it);
	Joined a(s), b(s), writer(s);
	unsigned a1 = a.attach(one), b1 = b.attach(one), a2 = a.attach(two);
	for (pgno_t i = 0; i < 8; i++)
		a.modify_of(a1, i, one.v(1));
	a.modify_of(a2, 0, two.v(1));
	writer.make_room(100);
	CHECK(one.has(0, 1));
	writer.call(write_back_fails, static_cast<uint64_t>(one.fd()));
	enum { lives, dies, is_stopped };
	const int then = GENERATE(int(lives), int(dies), int(is_stopped));
	CAPTURE(then);
	if (then == dies)
		writer.kill();
	if (then == is_stopped)
		writer.stop();
	REQUIRE_ANSWER_FAILS(a.on(a1, does::sync), EIO);
	// For good: it has left memory.
	REQUIRE_ANSWER_FAILS(b.on(b1, does::sync), EIO);
	REQUIRE_ANSWER_FAILS(a.on(a1, does::sync), EIO);
	a.sync_of(a2);
	a.sync();
	if (then == is_stopped)
		writer.go_on();
	// Until it is attached anew.
	b.close_of(b1);
	a.close_of(a1);
	a1 = a.attach(one);
	a.modify_of(a1, 0, one.v(2));
	a.sync_of(a1);
	CHECK(one.has(0, 2));
}

TEST_CASE("a lost write-back is told once, and what is in memory is written again by the next sync, whoever makes it")
{
	Shared s(64);
	Paged file(1);
	Script script(file.fd(), as_the_kernel_has_it);
	Joined a(s), b(s);
	unsigned fa = a.attach(file), fb = b.attach(file);
	a.modify_of(fa, 0, file.v(1));
	REQUIRE(a.must("mpool_clean", fa, clean, 64) >= 0);
	a.call(write_back_fails, static_cast<uint64_t>(file.fd()));
	// Another syncs in between.
	REQUIRE_ANSWER_FAILS(b.on(fb, does::sync), EIO);
	CHECK(a.figure_of(fa, FIGURE(dirty)) == 1);
	a.sync_of(fa);
	b.sync_of(fb);
	CHECK(file.has(0, 1));
	// Who comes later has the same, too.
	Joined c(s);
	unsigned fc = c.attach(file);
	c.modify_of(fc, 1, file.v(1));
	c.must("mpool_clean", fc, clean, 64);
	a.call(write_back_fails, static_cast<uint64_t>(file.fd()));
	REQUIRE_ANSWER_FAILS(c.on(fc, does::sync), EIO);
	c.sync_of(fc);
}

TEST_CASE("a process dies in a flush of a file: what was put is flushed by others, or told to be lost")
{
	Shared s(16);
	Paged file(1);
	Common<Held> held;
	Script script(file.fd(), [&](const Call &call) {
		if (call.op == Op::sync)
			held->here();
		return as_the_kernel_has_it(call);
	});
	// What the system had to say to the dead one.
	const bool lost = GENERATE(false, true), left = GENERATE(false, true), alone = GENERATE(false, true);
	CAPTURE(lost, left, alone);
	Joined a(s), dead(s), bystander(s);
	unsigned fa = a.attach(file), fd = dead.attach(file);
	for (pgno_t i = 0; i < 8; i++)
		a.modify_of(fa, i, file.v(1));
	if (left)
		bystander.make_room(100);
	held->who = dead.pid();
	dead.tell_on(fd, does::sync);
	held->await();
	if (lost)
		a.call(write_back_fails, static_cast<uint64_t>(file.fd()));
	if (alone) // found, and recovered, by who has not the file
		a.stop();
	dead.kill();
	if (alone) {
		REQUIRE(comes([&] { return bystander.stats().deaths == 1; }));
		a.go_on();
	}
	Answer answer = a.on(fa, does::sync);
	CHECK(answer.value == (lost ? -1 : 0));
	if (lost)
		CHECK(answer.error == EIO);
	answer = a.on(fa, does::sync);
	CHECK(answer.value == (lost && left ? -1 : 0));
	if (!lost || !left)
		for (pgno_t i = 0; i < 8; i++)
			CHECK(file.has(i, 1));
}

TEST_CASE("so many die in flushes of a file that nobody can tell any more: what has left memory is told to be lost")
{
	Shared s(16);
	Paged file(1), other(2);
	Common<Held> held;
	Script script(file.fd(), [&](const Call &call) {
		if (call.op == Op::sync)
			held->here();
		return fault::real();
	});
	Joined a(s), bystander(s), first(s), second(s), third(s);
	Joined *const dead[] = {&first, &second, &third};
	unsigned fa = a.attach(file), oa = a.attach(other), fd[3];
	for (int i = 0; i < 3; i++)
		fd[i] = dead[i]->attach(file);
	for (pgno_t i = 0; i < 8; i++)
		a.modify_of(fa, i, file.v(1));
	a.modify_of(oa, 0, other.v(1));
	a.make_room(100);
	// Nobody is to flush for those who die: who has a descriptor is stopped.
	a.stop();
	for (Joined *d : dead)
		d->stop();
	for (int i = 0; i < 3; i++) {
		held->who = dead[i]->pid();
		dead[i]->go_on();
		dead[i]->tell_on(fd[i], does::sync);
		held->await();
		dead[i]->kill();
		held->let_go();
		REQUIRE(comes([&] { return bystander.stats().deaths == static_cast<uint64_t>(i) + 1; }));
	}
	a.go_on();
	REQUIRE_ANSWER_FAILS(a.on(fa, does::sync), EIO);
	a.sync_of(oa);
	a.sync();
}

// ---- Other calls --------------------------------------------------------------

TEST_CASE("an attached file is cut by one, for all")
{
	Shared s(1000);
	Paged file(1, 600);
	Joined a(s), b(s);
	unsigned fa = a.attach(file), fb = b.attach(file);
	for (pgno_t i = 200; i < 600; i++)
		a.modify_of(fa, i, file.v(1));
	uint64_t page = a.get_of(fa, 400);
	REQUIRE_ANSWER_FAILS(b.on(fb, cut, 300), EBUSY);
	CHECK(a.is(page, 400, file.v(1)));
	a.put(page);
	// By who has never asked for any of them.
	b.must("mpool_truncate", fb, cut, 300);
	CHECK(file.length() == 300 * page_size);
	CHECK(a.figure_of(fa, FIGURE(pages)) == 300);
	REQUIRE_ANSWER_FAILS(a.on(fa, does::get, 300), EINVAL);
	REQUIRE_ANSWER_FAILS(a.on(fa, does::get, 400), EINVAL);
	CHECK(a.figure_of(fa, FIGURE(cached)) == 100);
	CHECK(a.make_of(fa, file.v(2)) == 300);
	CHECK(b.shows_of(fb, 300, file.v(2)));
	b.must("mpool_truncate", fb, cut, 500);
	b.sync_of(fb);
	CHECK(a.figure_of(fa, FIGURE(pages)) == 500);
	CHECK(file.holds_bytes(400, 0));
	for (pgno_t i = 200; i < 300; i++)
		REQUIRE(file.has(i, 1));
}

TEST_CASE("pages of an attached file are forgotten by one, for all")
{
	Shared s(1000);
	Paged file(1, 600);
	Joined a(s), b(s);
	unsigned fa = a.attach(file), fb = b.attach(file);
	a.must("touching", fa, does::touch, 0, 600);
	for (pgno_t i = 0; i < 600; i++)
		file.write_page(i, file.v(1));
	a.modify_of(fa, 500, file.v(2));
	REQUIRE_ANSWER_FAILS(b.on(fb, forget_pages, 400, 200), EBUSY);
	CHECK(a.shows_of(fa, 399, file.v(0)));
	for (pgno_t i = 400; i < 600; i++)
		REQUIRE(a.shows_of(fa, i, file.v(i == 500 ? 2 : 1)));
	b.must("mpool_invalidate", fb, forget_pages, 0, 10);
	for (pgno_t i = 0; i < 12; i++)
		CHECK(a.shows_of(fa, i, file.v(i < 10 ? 1 : 0)));
}

TEST_CASE("what one has brought into memory the others find there, by any call")
{
	Shared s(1000);
	Paged file(1, 600);
	Joined a(s), b(s);
	unsigned fa = a.attach(file), fb = b.attach(file);
	REQUIRE_ANSWER_FAILS(b.on(fb, does::get, 300, MPOOL_CACHED), EAGAIN);
	a.must("touching", fa, does::touch, 0, 599);
	const uint64_t reads = a.figure_of(fa, FIGURE(reads));
	uint64_t page = static_cast<uint64_t>(b.must("mpool_get", fb, does::get, 300, MPOOL_CACHED));
	CHECK(b.is(page, 300, file.v(0)));
	REQUIRE_ANSWER_FAILS(b.on(fb, does::get, 599, MPOOL_CACHED), EAGAIN);
	CHECK(b.must("mpool_getv", fb, get_some, 0, 598) == 1);
	CHECK(b.must("mpool_prefetch", fb, read_ahead, 100) >= 0);
	CHECK(b.figure_of(fb, FIGURE(reads)) == reads);
	CHECK(b.figure_of(fb, FIGURE(cached)) == 599);
	CHECK(b.figure_of(fb, FIGURE(pinned)) == 1);
	CHECK(a.figure_of(fa, FIGURE(pinned)) == 1);
	CHECK(a.figure_of(fa, FIGURE(processes)) == 2);
	// A page that two have pinned is neither's to delete.
	uint64_t same = a.get_of(fa, 300);
	REQUIRE_ANSWER_FAILS(a.call(does::forget, same), EBUSY);
	b.put(page);
	a.modify_of(fa, 300, file.v(1));
	a.succeed("mpool_delete", a.call(does::forget, same));
	CHECK(b.shows_of(fb, 300, file.v(0)));
	CHECK(b.figure_of(fb, FIGURE(reads)) == reads + 1);
}

TEST_CASE("who peeks at an attached file's page sees what others have made of it, and nothing when it is closed")
{
	Shared s;
	Paged file(1);
	Joined a(s), b(s);
	unsigned fa = a.attach(file), fb = b.attach(file);
	REQUIRE_ANSWER_FAILS(b.on(fb, peeks, 3, file.v(0)), EAGAIN);
	CHECK(b.shows_of(fb, 3, file.v(0)));
	CHECK(b.on(fb, peeks, 3, file.v(0)).value == 1);
	uint64_t page = a.get_of(fa, 3);
	a.must("mpool_latch", fa, latch, page, MPOOL_EXCLUSIVE);
	CHECK(b.on(fb, peeks, 3, file.v(0)).value != 1);
	a.fill(page, 3, file.v(1));
	a.must("mpool_unlatch", fa, unlatch, page, MPOOL_DIRTY);
	a.put(page);
	CHECK(b.on(fb, peeks, 3, file.v(1)).value == 1);
	a.close_of(fa);
	CHECK(b.on(fb, peeks, 3, file.v(1)).value == 1);
	b.close_of(fb);
	fa = a.attach(file);
	REQUIRE_ANSWER_FAILS(a.on(fa, peeks, 3, file.v(1)), EAGAIN);
}

TEST_CASE("a pool opened twice in one process is two who have a file")
{
	Shared s;
	Paged file(1);
	Joined b(s);
	CHECK(in_child([&] {
		MPOOL *one = mpool_open(s.key.get(), s.file.fd(), page_size, 64),
		      *two = mpool_open(s.key.get(), -1, page_size, 64);
		CHILD_CHECK(one && two);
		MPOOL *f1 = mpool_attach(one, file.fd()), *f2 = mpool_attach(two, file.fd());
		CHILD_CHECK(f1 && f2);
		void *page = mpool_get(f1, 3, 0);
		CHILD_CHECK(page && is(page, page_size, 3, file.v(0)));
		fill(page, page_size, 3, file.v(1));
		CHILD_CHECK(mpool_put(f1, page, MPOOL_DIRTY) == 0);
		page = mpool_get(f2, 3, 0);
		CHILD_CHECK(page && is(page, page_size, 3, file.v(1)));
		CHILD_CHECK(mpool_close(f1) == 0);
		CHILD_CHECK(mpool_close(f2) == -1 && errno == EBUSY);
		CHILD_CHECK(mpool_put(f2, page, 0) == 0);
		CHILD_CHECK(mpool_sync(f2) == 0);
		CHILD_CHECK(mpool_close(f2) == 0);
		CHILD_CHECK(mpool_close(two) == 0);
		CHILD_CHECK(mpool_close(one) == 0);
		return 0;
	}) == 0);
	CHECK(file.has(3, 1));
	CHECK(b.stats().cached == 0);
}

TEST_CASE("a child of fork has not its parent's files, closes them without harm, and attaches them anew")
{
	Shared s;
	Paged file(1);
	Joined b(s);
	CHECK(in_child([&] {
		MPOOL *mp = mpool_open(s.key.get(), s.file.fd(), page_size, 64);
		CHILD_CHECK(mp);
		MPOOL *f = mpool_attach(mp, file.fd());
		void *page = f ? mpool_get(f, 3, 0) : nullptr;
		CHILD_CHECK(page);
		fill(page, page_size, 3, file.v(1));
		CHILD_CHECK(mpool_put(f, page, MPOOL_DIRTY) == 0);
		CHILD_CHECK(in_child([&] {
			CHILD_CHECK(!mpool_get(f, 3, 0) && errno == EBADF);
			CHILD_CHECK(mpool_close(f) == 0);
			CHILD_CHECK(mpool_close(mp) == 0);
			// Threads begin after a fork: not under a sanitizer.
			if (sanitized)
				return 0;
			CHILD_CHECK((mp = mpool_open(s.key.get(), -1, page_size, 64)));
			CHILD_CHECK((f = mpool_attach(mp, file.fd())));
			CHILD_CHECK((page = mpool_get(f, 3, 0)) && is(page, page_size, 3, file.v(1)));
			CHILD_CHECK(mpool_put(f, page, 0) == 0);
			CHILD_CHECK(mpool_close(f) == 0);
			CHILD_CHECK(mpool_close(mp) == 0);
			return 0;
		}) == 0);
		CHILD_CHECK((page = mpool_get(f, 3, 0)) && is(page, page_size, 3, file.v(1)));
		CHILD_CHECK(mpool_put(f, page, 0) == 0);
		CHILD_CHECK(mpool_sync(f) == 0);
		CHILD_CHECK(mpool_close(mp) == 0);
		return 0;
	}) == 0);
	CHECK(file.has(3, 1));
	CHECK(b.stats().cached == 0);
}

// ---- Many -----------------------------------------------------------------------

TEST_CASE("a thousand files are in a shared pool, for all who attach them")
{
	const size_t files = shrink(1000), needed = 4 * files + 200;
	struct rlimit limit;
	REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	if (limit.rlim_max < needed)
		SKIP_CASE("a process cannot have so many descriptors here");
	const struct rlimit raised = {limit.rlim_max, limit.rlim_max};
	REQUIRE(setrlimit(RLIMIT_NOFILE, &raised) == 0);
	{
		Shared s(64);
		std::vector<std::unique_ptr<Paged>> all;
		for (size_t i = 0; i < files; i++)
			all.emplace_back(new Paged(i + 1, 2));
		Joined a(s), b(s);
		std::vector<unsigned> at, bt;
		for (auto &f : all) {
			at.push_back(a.attach(*f));
			a.modify_of(at.back(), 1, f->v(1));
		}
		for (auto &f : all)
			bt.push_back(b.attach(*f));
		for (size_t i = 0; i < files; i++)
			REQUIRE(b.shows_of(bt[i], 1, all[i]->v(1)));
		for (size_t i = 0; i < files; i++) {
			a.close_of(at[i]);
			b.sync_of(bt[i]);
			REQUIRE(all[i]->has(1, 1));
		}
		// All at once, by a death.
		b.kill();
		unsigned again = a.attach(*all[files / 2]);
		CHECK(a.shows_of(again, 1, all[files / 2]->v(1)));
		REQUIRE(comes([&] { return a.stats().cached == 1; }));
	}
	REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

namespace {

// One of several that attach, use and close files of a few, each with pages that nobody changes, but marks as modified.
struct Churn {
	std::atomic<bool> over{false};
	std::atomic<uint64_t> rounds{0};
};

int churns(
	const Shared &s, const std::vector<std::unique_ptr<Paged>> &files, Churn &churn, uint64_t seed, size_t rounds)
{
	MPOOL *mp = mpool_open(s.key.get(), -1, page_size, s.maxcache);
	CHILD_CHECK(mp);
	Random random(seed);
	std::vector<std::pair<MPOOL *, size_t>> open;
	for (size_t round = 0; round < rounds && !churn.over; round++) {
		size_t which = random.below(files.size());
		MPOOL *f = mpool_attach(mp, files[which]->fd());
		CHILD_CHECK(f);
		open.emplace_back(f, which);
		for (int i = 0; i < 4; i++) {
			auto &of = open[random.below(open.size())];
			pgno_t pgno = static_cast<pgno_t>(random.below(20));
			void *page = mpool_get(of.first, pgno, 0);
			CHILD_CHECK(page && is(page, page_size, pgno, files[of.second]->v(0)));
			CHILD_CHECK(mpool_put(of.first, page, random.below(2) ? MPOOL_DIRTY : 0) == 0);
		}
		if (random.below(8) == 0)
			CHILD_CHECK(mpool_sync(open[0].first) == 0);
		if (open.size() > random.below(4)) {
			size_t i = random.below(open.size());
			CHILD_CHECK(mpool_close(open[i].first) == 0);
			open[i] = open.back();
			open.pop_back();
		}
		churn.rounds++;
	}
	for (auto &of : open)
		CHILD_CHECK(mpool_close(of.first) == 0);
	CHILD_CHECK(mpool_close(mp) == 0);
	return 0;
}

} // namespace

TEST_CASE("processes attach and close a few files as they like, and always find their pages")
{
	Shared s(16);
	std::vector<std::unique_ptr<Paged>> files;
	for (uint64_t i = 0; i < 6; i++)
		files.emplace_back(new Paged(i + 1));
	Common<Churn> churn;
	Joined a(s);
	std::vector<std::unique_ptr<Process>> all;
	for (uint64_t i = 0; i < 4; i++)
		all.emplace_back(new Process([&, i] { return churns(s, files, *churn, i, shrink(300)); }));
	for (auto &p : all)
		CHECK(p->wait() == 0);
	CHECK(a.stats().deaths == 0);
	CHECK(a.stats().dirty == 0);
	CHECK(a.stats().cached <= 16);
	for (auto &f : files)
		for (pgno_t i = 0; i < 20; i++)
			REQUIRE(f->has(i, 0));
}

TEST_CASE("processes that attach and close files are killed at any instant: the others go on, and lose nothing")
{
	Shared s(16);
	std::vector<std::unique_ptr<Paged>> files;
	for (uint64_t i = 0; i < 6; i++)
		files.emplace_back(new Paged(i + 1));
	Common<Churn> churn;
	Joined a(s);
	Process stays([&] { return churns(s, files, *churn, 99, SIZE_MAX); });
	Random random(5);
	for (uint64_t n = 0; n < shrink(40); n++) {
		CAPTURE(n);
		Process dies([&] { return churns(s, files, *churn, n, SIZE_MAX); });
		uint64_t from = churn->rounds, rounds = 2 + random.below(40);
		REQUIRE(comes([&] { return churn->rounds >= from + rounds; }));
		dies.kill();
		a.touch(0, 20);
	}
	churn->over = true;
	CHECK(stays.wait() == 0);
	REQUIRE(comes([&] { return a.stats().processes == 1 && a.stats().pinned == 0; }));
	for (auto &f : files) {
		unsigned fa = a.attach(*f);
		for (pgno_t i = 0; i < 20; i++)
			REQUIRE(a.shows_of(fa, i, f->v(0)));
		a.sync_of(fa);
		a.close_of(fa);
		for (pgno_t i = 0; i < 20; i++)
			REQUIRE(f->has(i, 0));
	}
	REQUIRE(comes([&] { return a.stats().dirty == 0; }));
}
