// test_share_death.cpp - processes that share a pool are killed, or stopped, in the
// middle of what they do: the others go on, nothing put is lost, and what the dead
// one held is given back.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "fault_io.hpp"
#include "share.hpp"

#include <chrono>
#include <initializer_list>

#include <sys/inotify.h>

using namespace test;

namespace {

constexpr pgno_t page_size = 512;

// ---- No watch ------------------------------------------------------------------

bool no_watch; // of the child: inotify is refused

int64_t refuse_watch(Here &, Args)
{
	no_watch = true;
	return 0;
}

int64_t make_this(Here &h, Args a)
{
	pgno_t pgno = static_cast<pgno_t>(a[0]);
	void *page = mpool_new_flags(h.mp, &pgno, MPOOL_PAGE_REQUEST);
	return page ? word(page) : -1;
}

// ---- Stalls ----------------------------------------------------------------------

// Where a process is held up: in a filter, which otherwise changes nothing.
struct Stall {
	std::atomic<pid_t> who{0};
	std::atomic<uint32_t> in{MAX_PAGE_NUMBER}, out{MAX_PAGE_NUMBER}; // the pages
	std::atomic<bool> reached{false};
	void here(pgno_t pgno, const std::atomic<uint32_t> &page)
	{
		if (who != getpid() || pgno != page)
			return;
		reached = true;
		while (who == getpid())
			nap();
	}
};

void stalled_in(void *cookie, pgno_t pgno, void *)
{
	Stall *stall = static_cast<Stall *>(cookie);
	stall->here(pgno, stall->in);
}

void stalled_out(void *cookie, pgno_t pgno, void *)
{
	Stall *stall = static_cast<Stall *>(cookie);
	stall->here(pgno, stall->out);
}

int64_t set_stall(Here &h, Args a)
{
	mpool_filter(h.mp, stalled_in, stalled_out, pointer<void>(a[0]));
	return 0;
}

// A pool whose members can be held up.
struct Stalling {
	Key key;
	File file{page_size, 200};
	Common<Stall> stall;
	void join(Member &m, pgno_t maxcache = 8)
	{
		m.open(key, file.fd(), page_size, maxcache);
		m.call(set_stall, word(&*stall));
	}
	void hold_up(const Member &m) { stall->who = m.pid(); }
	void await()
	{
		REQUIRE(comes([&] { return stall->reached.load(); }));
	}
};

// ---- What a process does ------------------------------------------------------------

// How often the threads of a process were put to sleep, or made to wait, so far.
uint64_t switches(pid_t pid)
{
	uint64_t sum = 0;
	std::string tasks = "/proc/" + std::to_string(pid) + "/task";
	DIR *dir = opendir(tasks.c_str());
	REQUIRE(dir != nullptr);
	while (const dirent *e = readdir(dir)) {
		FILE *f = e->d_name[0] == '.' ? nullptr : fopen((tasks + "/" + e->d_name + "/status").c_str(), "re");
		if (!f)
			continue;
		char line[256];
		unsigned long long n;
		while (fgets(line, sizeof line, f))
			if (sscanf(line, "voluntary_ctxt_switches: %llu", &n) == 1 ||
				sscanf(line, "nonvoluntary_ctxt_switches: %llu", &n) == 1)
				sum += n;
		fclose(f);
	}
	closedir(dir);
	return sum;
}

// Is there a whole second, soon, in which no thread of it wakes?
bool sleeps_for_a_second(pid_t pid)
{
	return comes([&] {
		uint64_t before = switches(pid);
		sleep(1);
		return switches(pid) == before;
	});
}

// Nanoseconds for which the threads of these processes were ready and had no processor so far.
uint64_t waited(std::initializer_list<pid_t> pids)
{
	uint64_t sum = 0;
	for (pid_t pid : pids) {
		std::string tasks = "/proc/" + std::to_string(pid) + "/task";
		DIR *dir = opendir(tasks.c_str());
		while (const dirent *e = dir ? readdir(dir) : nullptr) {
			FILE *f = e->d_name[0] == '.' ? nullptr
			                              : fopen((tasks + "/" + e->d_name + "/schedstat").c_str(), "re");
			unsigned long long n = 0;
			if (f && fscanf(f, "%*u %llu", &n) == 1)
				sum += n;
			if (f)
				fclose(f);
		}
		if (dir)
			closedir(dir);
	}
	return sum;
}

} // namespace

extern "C" int __real_inotify_init1(int flags);
extern "C" int __wrap_inotify_init1(int flags);
extern "C" int __wrap_inotify_init1(int flags)
{
	if (!no_watch)
		return __real_inotify_init1(flags);
	errno = EMFILE;
	return -1;
}

// ---- Killed ------------------------------------------------------------------------

TEST_CASE("the pins of a process that dies are released, and their pages marked until they are forgiven")
{
	Key key;
	File file(page_size, 100);
	Member b(key, file.fd(), page_size, 4);
	const bool watched = GENERATE(true, false);
	CAPTURE(watched);
	Member c;
	if (!watched)
		c.call(refuse_watch);
	c.open(key, -1, page_size, 4);
	{
		Member a(key, -1, page_size, 4);
		for (pgno_t i = 0; i < 20; i++)
			a.get(i);
		a.get(3); // twice
		a.modify(50, 1);
		a.put(a.get(51));
		CHECK(b.stats().pinned >= 20);
		a.kill();
		REQUIRE(comes([&] { return b.stats().deaths == 1; }));
	}
	struct mpool_stats st = b.stats();
	CHECK(st.processes == 2);
	CHECK(st.pinned == 0);
	for (Member *m : {&b, &c}) {
		uint64_t page = m->get(3);
		CHECK(m->abandoned(page) == 1);
		CHECK(m->abandoned(page) == 1); // to ask is not to forgive
		m->put(page);
	}
	uint64_t page = c.get(3);
	CHECK(c.abandoned(page, MPOOL_FORGIVE) == 1);
	CHECK(c.abandoned(page) == 0);
	c.put(page);
	page = b.get(3);
	CHECK(b.abandoned(page) == 0);
	b.put(page);
	// What it had put is neither lost nor doubted.
	page = b.get(50);
	CHECK(b.abandoned(page) == 0);
	CHECK(b.is(page, 50, 1));
	b.put(page);
	// Evictable again; and read anew, a page is as good as any.
	b.crowd_out(52);
	CHECK(b.stats().overflow == 0);
	CHECK(b.stats().cached <= 4);
	page = b.get(5);
	CHECK(b.abandoned(page) == 0);
	CHECK(b.is(page, 5, 0));
	b.put(page);
	b.sync();
	CHECK(file.holds(50, 1));
}

TEST_CASE("a death is noticed at once, by processes that make no call")
{
	Key key;
	File file(page_size, 10);
	Member b(key, file.fd(), page_size, 4);
	// On a machine with much to do, what they wait for a processor is not counted; nor is a try
	// that was delayed by what cannot be seen from here.
	const unsigned tries = 5;
	const auto at_once = std::chrono::milliseconds(sanitized ? 1000 : 250);
	auto soonest = std::chrono::nanoseconds::max();
	for (unsigned n = 1; n <= tries && soonest >= at_once; n++) {
		Member a(key, -1, page_size, 4);
		a.get(3);
		if (!tsan)                                     // which has a thread of its own that wakes
			REQUIRE(sleeps_for_a_second(b.pid())); // it is told, and does not just look
		auto start = std::chrono::steady_clock::now();
		const uint64_t waited_before = waited({b.pid(), getpid()});
		a.kill();
		REQUIRE(comes([&] { return b.stats().deaths == n; }));
		const auto took = std::chrono::steady_clock::now() - start;
		soonest = std::min<std::chrono::nanoseconds>(
			soonest, took - std::chrono::nanoseconds(waited({b.pid(), getpid()}) - waited_before));
	}
	CHECK(soonest < at_once);
}

// Evicted and read again, does the page count as abandoned?
static bool told_when_read_again(Member &m, pgno_t pgno)
{
	m.crowd_out(90);
	uint64_t page = m.get(pgno);
	bool told = m.abandoned(page);
	m.put(page);
	return told;
}

TEST_CASE("a page that a process left half-modified is told also when it was written so, evicted and read again")
{
	Key key;
	File file(page_size, 100);
	Member b(key, file.fd(), page_size, 4);
	const bool synced = GENERATE(true, false); // or evicted dirty
	CAPTURE(synced);
	{
		Member a(key, -1, page_size, 4);
		a.modify(3, 1); // put
		a.fill(a.get(3), 3, 2);
		a.fill(a.get(4), 4, 2); // clean as far as the pool knows
		a.kill();
		REQUIRE(comes([&] { return b.stats().deaths == 1; }));
	}
	if (synced)
		b.sync();
	b.crowd_out(90);
	CHECK(file.holds(3, 2));
	uint64_t page = b.get(4); // lost with the process that did not put it
	CHECK(b.abandoned(page) == 0);
	CHECK(b.is(page, 4, 0));
	b.put(page);
	for (int i = 0; i < 2; i++) { // to ask is not to forgive, to write it again neither
		page = b.get(3);
		CHECK(b.abandoned(page) == 1);
		CHECK(b.is(page, 3, 2));
		b.put(page, i == 0 ? MPOOL_DIRTY : 0);
		b.crowd_out(90);
	}
	Member c(key, -1, page_size, 4); // who joins is told too
	page = c.get(3);
	CHECK(c.abandoned(page, MPOOL_FORGIVE) == 1);
	CHECK(c.abandoned(page) == 0);
	c.put(page, MPOOL_DIRTY);
	CHECK_FALSE(told_when_read_again(b, 3));
}

TEST_CASE("a page left half-modified that a sync wrote while it was pinned is told also after it was deleted")
{
	enum Synced { never, before_the_death, after_it };
	Key key;
	File file(page_size, 100);
	Member b(key, file.fd(), page_size, 4);
	const Synced synced = GENERATE(never, before_the_death, after_it);
	CAPTURE(synced);
	uint64_t page;
	{
		Member a(key, -1, page_size, 4);
		a.modify(3, 1); // put
		a.fill(a.get(3), 3, 2);
		page = b.get(3);
		if (synced == before_the_death)
			b.sync();
		a.kill();
		REQUIRE(comes([&] { return b.stats().deaths == 1; }));
	}
	if (synced == after_it)
		b.sync();
	CHECK(file.holds(3, synced == never ? 0 : 2));
	b.succeed("mpool_delete", b.call(does::forget, page));
	page = b.get(3);
	CHECK(b.is(page, 3, synced == never ? 0 : 2));
	CHECK(b.abandoned(page, MPOOL_FORGIVE) == (synced != never));
	b.put(page);
}

TEST_CASE("a page left half-modified that is made anew is whole")
{
	Key key;
	File file(page_size, 100);
	Member b(key, file.fd(), page_size, 4);
	{
		Member a(key, -1, page_size, 4);
		a.modify(3, 1);
		a.fill(a.get(3), 3, 2);
		a.kill();
		REQUIRE(comes([&] { return b.stats().deaths == 1; }));
	}
	b.sync();
	uint64_t page = b.get(3);
	CHECK(b.abandoned(page) == 1);
	b.succeed("mpool_delete", b.call(does::forget, page));
	page = static_cast<uint64_t>(b.succeed("mpool_new", b.call(make_this, 3)));
	CHECK(b.abandoned(page) == 0);
	b.put(page, MPOOL_DIRTY);
	CHECK_FALSE(told_when_read_again(b, 3));
}

namespace {

// With its neighbour, and with one that is read by itself.
const pgno_t among[] = {20, 7, 6};

int64_t get_among(Here &h, Args)
{
	void *page[3];
	return mpool_getv(h.mp, among, page, 3, 0);
}
int64_t prefetch_among(Here &h, Args)
{
	return mpool_prefetch(h.mp, among, 3, -1) == 3 ? 0 : -1;
}

} // namespace

TEST_CASE("a page that a process was reading when it died is read by those who wait for it")
{
	const bool watched = GENERATE(true, false);
	const int how = GENERATE(0, 1, 2);
	CAPTURE(watched, how);
	Stalling pool;
	Member a, b, c;
	for (Member *m : {&a, &b, &c}) {
		if (!watched)
			m->call(refuse_watch);
		pool.join(*m);
	}
	pool.stall->in = 7;
	pool.hold_up(a);
	a.tell(how == 0 ? does::get : how == 1 ? get_among : prefetch_among, 7);
	pool.await();
	b.tell(does::shows, 7, 0);
	c.tell(does::shows, 7, 0);
	CHECK(!b.answers(50));
	CHECK(!c.answers(50));
	if (watched && !tsan)                        // which has a thread of its own that wakes
		CHECK(sleeps_for_a_second(b.pid())); // nobody asks again and again
	a.kill();
	CHECK(b.succeed("mpool_get", b.hear()) == 1);
	CHECK(c.succeed("mpool_get", c.hear()) == 1);
	// They are woken first; what is left of it is cleared then.
	CHECK(comes([&] { return b.stats().deaths == 1; }));
	struct mpool_stats st = b.stats();
	CHECK(st.processes == 2);
	CHECK(st.pinned == 0);
	CHECK(st.misses == 1); // one of them, once
	uint64_t page = b.get(7);
	CHECK(b.abandoned(page) == 0);
	b.put(page);
}

TEST_CASE("a page that a process was writing when it died is still modified, and is written by others")
{
	const bool watched = GENERATE(true, false);
	CAPTURE(watched);
	Stalling pool;
	Member a, b;
	for (Member *m : {&a, &b}) {
		if (!watched)
			m->call(refuse_watch);
		pool.join(*m);
	}
	b.modify(5, 1);
	a.modify(6, 1);
	pool.stall->out = GENERATE(5u, 6u);
	pool.hold_up(a);
	a.tell(does::sync);
	pool.await();
	CHECK(b.shows(5, 1)); // it can be had meanwhile
	b.tell(does::sync);
	CHECK(!b.answers(50));
	a.kill();
	b.succeed("mpool_sync", b.hear());
	CHECK(pool.file.holds(5, 1));
	CHECK(pool.file.holds(6, 1));
	CHECK(b.stats().dirty == 0);
	CHECK(b.shows(6, 1));
}

TEST_CASE("a page that a process was evicting when it died is not lost")
{
	Stalling pool;
	Member a, b;
	pool.join(a, 4);
	pool.join(b, 4);
	pool.stall->out = 9;
	pool.hold_up(a);
	a.touch(0, 4); // so that the page comes in cold, into the frame that goes next
	a.modify(9, 1);
	a.tell(does::touch, 10, 100); // needs the frame
	pool.await();
	const bool asked = GENERATE(true, false); // a get that calls the eviction off
	if (asked) {
		CHECK(b.shows(9, 1));
		b.touch(100, 120); // others go on
	}
	a.kill();
	CHECK(b.shows(9, 1));
	CHECK(comes([&] { return b.stats().deaths == 1; }));
	b.touch(100, 200);
	b.sync();
	CHECK(pool.file.holds(9, 1));
	CHECK(b.shows(9, 1));
	struct mpool_stats st = b.stats();
	CHECK(st.pinned == 0);
	CHECK(st.overflow == 0);
	CHECK(st.cached <= 4);
}

TEST_CASE("a sync that waits for a page which a process was evicting when it died writes it")
{
	const bool watched = GENERATE(true, false);
	CAPTURE(watched);
	Stalling pool;
	Member a, b;
	for (Member *m : {&a, &b}) {
		if (!watched)
			m->call(refuse_watch);
		pool.join(*m, 4);
	}
	pool.stall->out = 9;
	pool.hold_up(a);
	auto pin_four = +[](Here &h, Args) -> int64_t {
		for (pgno_t i = 10; i < 14; i++)
			if (!mpool_get(h.mp, i, 0))
				return -1;
		return 0;
	};
	a.modify(9, 1);
	a.tell(pin_four); // needs the frame
	pool.await();
	b.tell(does::sync);
	CHECK(!b.answers(50));
	a.kill();
	b.succeed("mpool_sync", b.hear());
	CHECK(pool.file.holds(9, 1));
	CHECK(b.stats().dirty == 0);
}

TEST_CASE("what a process that died has pinned is room for others at once, also where nobody is told of deaths")
{
	constexpr pgno_t maxcache = 4;
	Key key;
	File file(page_size, 10);
	Member a, b;
	for (Member *m : {&a, &b}) {
		m->call(refuse_watch);
		m->open(key, file.fd(), page_size, maxcache);
	}
	for (pgno_t i = 0; i < maxcache; i++)
		b.get(i);
	b.kill();
	REQUIRE(comes([&] { return key.processes() == 1; }));
	CHECK(a.shows(maxcache, 0));
	struct mpool_stats st = a.stats();
	CHECK(st.deaths == 1);
	CHECK(st.pinned == 0);
	CHECK(st.overflow == 0); // it did not grow for it
}

TEST_CASE("many who wait for a process are all woken by its death")
{
	Stalling pool;
	Member a;
	std::vector<std::unique_ptr<Member>> waiting;
	pool.join(a);
	for (int i = 0; i < 10; i++) {
		waiting.emplace_back(new Member());
		pool.join(*waiting.back());
	}
	pool.stall->in = 7;
	pool.hold_up(a);
	a.tell(does::get, 7);
	pool.await();
	for (auto &m : waiting)
		m->tell(does::shows, 7, 0);
	for (auto &m : waiting)
		CHECK(!m->answers(10));
	a.kill();
	for (auto &m : waiting)
		CHECK(m->succeed("mpool_get", m->hear()) == 1);
	CHECK(waiting[0]->stats().misses == 1);
}

TEST_CASE("a process is dead although its child lives on with what it had mapped")
{
	struct Told {
		std::atomic<pid_t> child{0};
		std::atomic<bool> go{false}, done{false};
	};
	Key key;
	File file(page_size, 10);
	Common<Told> told;
	Member b(key, file.fd(), page_size, 4);
	const pid_t tests = getpid(); // with which the child of the one that is killed ends
	Process a([&] {
		MPOOL *mp = mpool_open(key.get(), -1, page_size, 4);
		void *page = mp ? mpool_get(mp, 3, 0) : nullptr;
		CHILD_CHECK(page);
		pid_t pid = fork();
		CHILD_CHECK(pid >= 0);
		if (pid == 0) {
			told->child = getpid();
			while (!told->go && kill(tests, 0) == 0)
				nap();
			CHILD_CHECK(is(page, page_size, 3, 0));
			CHILD_CHECK(!mpool_get(mp, 3, 0) && errno == EBADF);
			CHILD_CHECK(mpool_close(mp) == 0);
			told->done = true;
			_exit(0);
		}
		for (;;)
			pause();
		return 0;
	});
	REQUIRE(comes([&] { return told->child != 0; }));
	CHECK(b.stats().processes == 2);
	CHECK(b.stats().pinned == 1);
	a.kill();
	CHECK(comes([&] { return b.stats().deaths == 1; }));
	struct mpool_stats st = b.stats();
	CHECK(st.processes == 1);
	CHECK(st.pinned == 0);
	CHECK(kill(told->child, 0) == 0);
	// The child closes what it inherited, after somebody else has taken the place.
	Member c(key, -1, page_size, 4);
	uint64_t page = c.get(3);
	told->go = true;
	CHECK(comes([&] { return told->done.load(); }));
	CHECK(b.stats().processes == 2);
	CHECK(b.stats().pinned == 1);
	CHECK(b.stats().deaths == 1);
	c.put(page);
	CHECK(c.shows(5, 0));
}

TEST_CASE("a process that executes another program has left as by death")
{
	Key key;
	File file(page_size, 10);
	Member b(key, file.fd(), page_size, 4);
	Process a([&] {
		MPOOL *mp = mpool_open(key.get(), -1, page_size, 4);
		CHILD_CHECK(mp && mpool_get(mp, 3, 0));
		execl("/bin/sleep", "sleep", "infinity", nullptr); // until it is killed
		return 1;
	});
	CHECK(comes([&] { return b.stats().deaths == 1; }));
	CHECK(kill(a.pid(), 0) == 0);
	CHECK(b.stats().pinned == 0);
	CHECK(b.stats().processes == 1);
	uint64_t page = b.get(3);
	CHECK(b.abandoned(page) == 1);
	b.put(page);
}

TEST_CASE("a process that exits without closing has left as by death")
{
	Key key;
	File file(page_size, 10);
	Member b(key, file.fd(), page_size, 4);
	Process a([&] {
		MPOOL *mp = mpool_open(key.get(), -1, page_size, 4);
		void *page = mp ? mpool_get(mp, 3, 0) : nullptr;
		CHILD_CHECK(page && mpool_put(mp, page, MPOOL_DIRTY) == 0);
		return 0;
	});
	REQUIRE(a.wait() == 0);
	CHECK(comes([&] { return b.stats().deaths == 1; }));
	CHECK(b.stats().dirty == 1);
}

TEST_CASE("who closes with pages pinned releases them, and marks none")
{
	Key key;
	File file(page_size, 10);
	Member b(key, file.fd(), page_size, 4), a(key, -1, page_size, 4);
	a.get(3);
	a.get(4);
	CHECK(b.stats().pinned == 2);
	a.close();
	CHECK(b.stats().pinned == 0);
	CHECK(b.stats().deaths == 0);
	uint64_t page = b.get(3);
	CHECK(b.abandoned(page) == 0);
	b.put(page);
}

TEST_CASE("a pool that all have left by death is no more: the next one begins anew")
{
	Key key;
	File file(page_size, 100);
	{
		Member a(key, file.fd(), page_size, 300), b(key, -1, page_size, 300);
		a.modify(3, 1);
		b.modify(4, 1);
		b.sync();
		a.modify(3, 2);
		a.get(5);
		b.stop();
		a.kill();
		b.kill();
	}
	REQUIRE(key.objects().size() == 1);
	REQUIRE(comes([&] { return key.deserted(); }));
	Member c(key, file.fd(), page_size, 8);
	CHECK(key.objects().size() == 1);
	struct mpool_stats st = c.stats();
	CHECK(st.processes == 1);
	CHECK(st.deaths == 0);
	CHECK(st.maxcache == 8);
	CHECK(c.shows(3, 1));
	CHECK(c.shows(4, 1));
	// With a file of another size of pages, too.
	c.kill();
	REQUIRE(comes([&] { return key.deserted(); }));
	Member d(key, file.fd(), 2 * page_size, 8);
	CHECK(d.stats().pagesize == 2 * page_size);
}

TEST_CASE("what is left of a pool that all have left by death goes when a pool of another key is made")
{
	Key live, dead, key;
	File file(page_size, 10);
	Member other(live, file.fd(), page_size, 8), a(dead, file.fd(), page_size, 8);
	a.kill();
	REQUIRE(comes([&] { return dead.deserted(); }));
	REQUIRE(dead.objects().size() == 1);
	Member b(key, file.fd(), page_size, 8);
	CHECK(dead.objects().empty());
	// And no others'.
	CHECK(live.objects().size() == 1);
	CHECK(other.shows(3, 0));
}

TEST_CASE("an opener is killed at any instant, and the next finds a pool that works")
{
	const bool joining = GENERATE(false, true); // somebody else is there all the while
	const unsigned rounds = static_cast<unsigned>(shrink(joining ? 150 : 120));
	CAPTURE(joining);
	struct Began {
		std::atomic<unsigned> opens{0};
	};
	Key key;
	File file(page_size, 50);
	Common<Began> began;
	std::unique_ptr<Member> stays;
	if (joining) {
		stays.reset(new Member(key, file.fd(), page_size, 8));
		stays->modify(1, 1);
	}
	Random random(7);
	for (unsigned round = 0; round < rounds; round++) {
		CAPTURE(round);
		began->opens = 0;
		Process a([&] {
			for (;;) {
				began->opens++;
				MPOOL *mp = mpool_open(key.get(), file.fd(), page_size, 4 + round);
				CHILD_CHECK(mp && mpool_get(mp, 3, 0));
				CHILD_CHECK(mpool_close(mp) == 0);
			}
			return 0;
		});
		REQUIRE(comes([&] { return began->opens > round % 3; }));
		usleep(static_cast<useconds_t>(random.below(1500)));
		a.kill();
		if (joining) {
			REQUIRE(comes([&] { return stays->stats().processes == 1; }));
			struct mpool_stats st = stays->stats();
			REQUIRE(st.pinned == 0);
			REQUIRE(st.maxcache <= 4 + rounds);
			REQUIRE(stays->shows(1, 1));
			REQUIRE(stays->shows(3, 0));
		} else {
			REQUIRE(comes([&] { return key.deserted(); }));
		}
		Member b(key, file.fd(), page_size, 8);
		REQUIRE(b.stats().processes == (joining ? 2 : 1));
		REQUIRE(b.shows(7, 0));
		REQUIRE(key.objects().size() == 1);
		b.close();
		REQUIRE(key.objects().size() == joining);
	}
}

// What a process that is to be killed has done, told by itself.
struct Diary {
	static constexpr pgno_t pages_max = 600;
	std::atomic<uint64_t> meant[pages_max], done[pages_max]; // versions
	std::atomic<unsigned> taken[pages_max];                  // times mpool_new gave it
	std::atomic<uint64_t> steps{0};
};

namespace {

constexpr pgno_t untouched = 20; // the first pages are never modified

void write_version(MPOOL *mp, Diary &diary, pgno_t pgno, void *page, uint64_t version)
{
	diary.meant[pgno] = version;
	fill(page, page_size, pgno, version);
	CHILD_CHECK(mpool_put(mp, page, MPOOL_DIRTY) == 0);
	diary.done[pgno] = version;
}

// Calls of every kind, until it is killed.
int keep_busy(const Key &key, Diary &diary, uint64_t seed)
{
	Random random(seed);
	MPOOL *mp = mpool_open(key.get(), -1, page_size, 24), *second = nullptr;
	CHILD_CHECK(mp);
	for (uint64_t version = 1 + seed * 1000000;; version++, diary.steps++) {
		struct mpool_stats st;
		CHILD_CHECK(mpool_stats(mp, &st, sizeof st) == 0);
		pgno_t pgno = static_cast<pgno_t>(random.below(st.pages));
		switch (random.below(19)) {
		case 0:
			CHILD_CHECK(mpool_sync(mp) == 0);
			break;
		case 4: {
			const pgno_t list[] = {pgno, 3, static_cast<pgno_t>(random.below(st.pages)), 4};
			void *at[4];
			CHILD_CHECK(mpool_getv(mp, list, at, 4, 0) == 0);
			for (void *page : at)
				CHILD_CHECK(mpool_put(mp, page, 0) == 0);
			break;
		}
		case 5: {
			const pgno_t list[] = {pgno, 7, 8, static_cast<pgno_t>(random.below(st.pages))};
			CHILD_CHECK(mpool_prefetch(mp, list, 4, -1) >= 0);
			break;
		}
		case 6: {
			void *page = mpool_get(mp, pgno, MPOOL_CACHED);
			CHILD_CHECK(page ? mpool_put(mp, page, 0) == 0 : errno == EAGAIN);
			break;
		}
		case 1:
			if (st.pages < Diary::pages_max) {
				void *page = (mpool_new)(mp, &pgno);
				CHILD_CHECK(page && pgno < Diary::pages_max);
				CHILD_CHECK(diary.taken[pgno].fetch_add(1) == 0);
				write_version(mp, diary, pgno, page, version);
			}
			break;
		case 2: {
			void *page = mpool_get(mp, pgno % untouched, 0);
			CHILD_CHECK(page && mpool_delete(mp, page) == 0);
			break;
		}
		case 3:
			if (second)
				CHILD_CHECK(mpool_close(std::exchange(second, nullptr)) == 0);
			else
				CHILD_CHECK((second = mpool_open(key.get(), -1, page_size, 24)));
			break;
		default: {
			void *page = mpool_get(mp, pgno, 0);
			CHILD_CHECK(page);
			if (pgno >= untouched)
				write_version(mp, diary, pgno, page, version);
			else
				CHILD_CHECK(mpool_put(mp, page, 0) == 0);
		}
		}
	}
}

// Is the page as the diary has it?  Mends it if it is abandoned.
int64_t check_page(Here &h, Args a)
{
	Diary &diary = *pointer<Diary>(a[0]);
	pgno_t pgno = static_cast<pgno_t>(a[1]);
	void *page = mpool_get(h.mp, pgno, 0);
	if (!page)
		return -1;
	int64_t right = is(page, page_size, pgno, diary.done[pgno]) || is(page, page_size, pgno, diary.meant[pgno]) ||
	                (diary.done[pgno] == 0 && all_bytes(page, page_size, 0)); // made, and died
	if (mpool_abandoned(h.mp, page, MPOOL_FORGIVE) == 1) {
		fill(page, page_size, pgno, diary.done[pgno]);
		return mpool_put(h.mp, page, MPOOL_DIRTY) == 0 ? 2 : -1;
	}
	if (right && diary.done[pgno] != diary.meant[pgno]) {
		fill(page, page_size, pgno, diary.done[pgno]); // either, so it is for us to choose
		return mpool_put(h.mp, page, MPOOL_DIRTY) == 0 ? 1 : -1;
	}
	return mpool_put(h.mp, page, 0) == 0 ? right : -1;
}

} // namespace

TEST_CASE("a process is killed at any instant of any call: nothing put is lost, no number is given twice, no pin stays")
{
	const unsigned rounds = static_cast<unsigned>(shrink(150));
	const bool watched = GENERATE(true, false);
	CAPTURE(watched);
	Key key;
	File file(page_size, 100);
	Common<Diary> diary;
	Member b;
	if (!watched)
		b.call(refuse_watch);
	b.open(key, file.fd(), page_size, 24);
	Random random(watched);
	for (unsigned round = 1; round <= rounds; round++) {
		CAPTURE(round);
		uint64_t before = diary->steps;
		Process a([&] { return keep_busy(key, *diary, round); });
		REQUIRE(comes([&] { return diary->steps > before + random.below(20); }));
		usleep(static_cast<useconds_t>(random.below(400)));
		a.send(SIGKILL);
		REQUIRE(a.wait() == 1000 + SIGKILL);
		if (watched)
			REQUIRE(comes([&] { return b.stats().processes == 1; }));
		else // those who open look, and those who wait
			Member c(key, -1, page_size, 4);
		struct mpool_stats st = b.stats();
		REQUIRE(st.processes == 1);
		REQUIRE(st.pinned == 0);
		REQUIRE(st.pages <= Diary::pages_max);
		// First the page it had in hand: a look at others may evict it.
		std::vector<pgno_t> order;
		for (pgno_t i = 0; i < st.pages; i++)
			if (diary->meant[i] != diary->done[i])
				order.push_back(i);
		REQUIRE(order.size() <= 1);
		for (pgno_t i = 0; i < st.pages; i++)
			order.push_back(i);
		for (pgno_t i : order) {
			CAPTURE(i);
			int64_t right = b.succeed("a look at a page", b.call(check_page, word(&*diary), i));
			REQUIRE(right != 0);
			diary->meant[i] = diary->done[i].load();
		}
		if (round % 8 == 0) {
			b.sync();
			for (pgno_t i = 0; i < st.pages; i++)
				if (diary->done[i] != 0)
					REQUIRE(file.holds(i, diary->done[i]));
		}
		REQUIRE(b.stats().overflow <= 24);
	}
	CHECK(b.stats().deaths >= rounds);
}

// ---- Stopped ----------------------------------------------------------------------

TEST_CASE("a stopped process holds up nobody, but for the pages that it has pinned")
{
	Key key;
	File file(page_size, 300);
	Member a(key, file.fd(), page_size, 8), b(key, -1, page_size, 8);
	std::vector<uint64_t> pins;
	for (pgno_t i = 0; i < 4; i++)
		pins.push_back(a.get(i));
	a.fill(pins[0], 0, 1);
	a.stop();
	b.touch(0, 300);
	b.crowd_out(4);
	for (pgno_t i = 4; i < 20; i++)
		b.modify(i, 1);
	b.sync();
	for (pgno_t i = 4; i < 20; i++)
		CHECK(file.holds(i, 1));
	CHECK(b.shows(0, 1)); // pinned pages are in memory, for all
	Member c(key, -1, page_size, 64);
	CHECK(c.shows(200, 0));
	c.close();
	CHECK(b.stats().deaths == 0);
	CHECK(b.stats().pinned == 4);
	a.go_on();
	CHECK(a.is(pins[0], 0, 1));
	for (uint64_t page : pins)
		a.put(page, MPOOL_DIRTY);
	a.sync();
	CHECK(file.holds(0, 1));
	CHECK(a.shows(10, 1));
}

namespace {

int64_t write_back_fails(Here &, Args a)
{
	fault::write_back_fails(static_cast<int>(a[0]));
	return 0;
}

fault::Fate as_the_kernel_has_it(const fault::Call &call)
{
	return call.op == fault::Op::sync && fault::is_told(call.fd) ? fault::error(EIO) : fault::real();
}

// Not what can only be known later.
Answer sync_when_known(Member &m)
{
	Answer answer{};
	REQUIRE(comes([&] {
		answer = m.call(does::sync);
		return !(answer.value == -1 && answer.error == EAGAIN);
	}));
	return answer;
}

} // namespace

TEST_CASE(
	"a writer that is stopped, its pages written, evicted and not synced: nobody's sync says that they are safe when they are not")
{
	const bool late = GENERATE(false, true), fails = GENERATE(false, true), dies = GENERATE(false, true);
	CAPTURE(late, fails, dies);
	Key key;
	File file(page_size, 60);
	fault::Script script(file.fd(), as_the_kernel_has_it);
	Member writer(key, file.fd(), page_size, 8), other;
	if (!late)
		other.open(key, -1, page_size, 8);
	for (pgno_t i = 0; i < 4; i++)
		writer.modify(i, 1);
	writer.crowd_out(20);
	REQUIRE(writer.stats().dirty == 0);
	if (fails)
		writer.call(write_back_fails, static_cast<uint64_t>(file.fd()));
	writer.stop();
	if (late)
		other.open(key, -1, page_size, 8);
	// Who was there before can tell; who comes when nobody answers knows nothing, and says so.
	for (unsigned i = 0; i < 2; i++) {
		Answer answer = other.call(does::sync);
		CHECK(answer.value == (late || fails ? -1 : 0));
		if (late || fails)
			CHECK(answer.error == (late ? EAGAIN : EIO));
	}
	if (dies)
		writer.kill();
	else
		writer.go_on();
	// Nobody can know any more what was to be told to who is dead.
	const bool lost = fails || (late && dies);
	for (unsigned i = 0; i < 2; i++) {
		Answer answer = sync_when_known(other);
		CHECK(answer.value == (lost ? -1 : 0));
		if (lost)
			CHECK(answer.error == EIO);
	}
	if (dies)
		return;
	Answer answer = writer.call(does::sync);
	CHECK(answer.value == (lost ? -1 : 0));
	if (lost)
		CHECK(answer.error == EIO);
}

TEST_CASE(
	"a writer that is stopped keeps nobody from syncing what is in memory, and has the others' witnesses when it goes on")
{
	Key key;
	File file(page_size, 60);
	fault::Script script(file.fd(), as_the_kernel_has_it);
	Member writer(key, file.fd(), page_size, 8), other;
	writer.modify(0, 1);
	writer.sync();
	writer.modify(1, 1);
	// What is to come, for those that only the writer has; they are not asked before that.
	writer.call(write_back_fails, static_cast<uint64_t>(file.fd()));
	writer.stop();
	other.open(key, -1, page_size, 8);
	other.modify(2, 1);
	other.sync();
	for (pgno_t i = 0; i < 3; i++)
		CHECK(file.holds(i, 1));
	for (pgno_t i = 0; i < 4; i++)
		other.modify(i, 2);
	other.crowd_out(20);
	other.call(write_back_fails, static_cast<uint64_t>(file.fd()));
	other.stop();
	writer.go_on();
	// Its own would tell too: they were not asked since.
	for (unsigned i = 0; i < 2; i++) {
		Answer answer = writer.call(does::sync);
		CHECK(answer.value == -1);
		CHECK((answer.error == EIO || answer.error == EAGAIN));
	}
	other.go_on();
	for (Member *m : {&writer, &other}) {
		Answer answer = sync_when_known(*m);
		CHECK(answer.value == -1);
		CHECK(answer.error == EIO);
	}
}

TEST_CASE("one failure of a write-back is told once, also by who is asked when another has died in an fsync")
{
	struct Held {
		std::atomic<pid_t> who{0};
		std::atomic<bool> reached{false};
	};
	Key key;
	File file(page_size, 60);
	Common<Held> held;
	fault::Script script(file.fd(), [&](const fault::Call &call) {
		if (call.op == fault::Op::sync && held->who == getpid()) {
			held->reached = true;
			for (;;)
				nap();
		}
		return as_the_kernel_has_it(call);
	});
	Member a(key, file.fd(), page_size, 8), b(key, -1, page_size, 8), dead(key, -1, page_size, 8);
	a.modify(0, 1);
	a.call(write_back_fails, static_cast<uint64_t>(file.fd()));
	REQUIRE_ANSWER_FAILS(b.call(does::sync), EIO);
	b.sync();
	CHECK(file.holds(0, 1));
	for (pgno_t i = 0; i < 4; i++)
		a.modify(i, 2);
	a.crowd_out(20);
	held->who = dead.pid();
	dead.tell(does::sync);
	REQUIRE(comes([&] { return held->reached.load(); }));
	dead.kill();
	a.sync();
	b.sync();
	for (pgno_t i = 0; i < 4; i++)
		CHECK(file.holds(i, 2));
}

TEST_CASE("a process that is stopped at any instant of its gets and puts holds up nobody's of other pages")
{
	struct Going {
		std::atomic<uint64_t> rounds{0};
		std::atomic<bool> over{false};
	};
	const unsigned rounds = static_cast<unsigned>(shrink(150));
	const pgno_t pages = 200; // below are the one's, above the other's
	Key key;
	File file(page_size, 2 * pages);
	Common<Going> going;
	Member b(key, file.fd(), page_size, 64);
	Process a([&] {
		MPOOL *mp = mpool_open(key.get(), -1, page_size, 64);
		CHILD_CHECK(mp);
		Random random(3);
		while (!going->over) {
			pgno_t pgno = static_cast<pgno_t>(random.below(pages));
			void *page = mpool_get(mp, pgno, 0);
			CHILD_CHECK(page && is(page, page_size, pgno, 0));
			CHILD_CHECK(mpool_put(mp, page, MPOOL_DIRTY) == 0);
			going->rounds++;
		}
		CHILD_CHECK(mpool_close(mp) == 0);
		return 0;
	});
	Random random(4);
	for (unsigned round = 0; round < rounds; round++) {
		CAPTURE(round);
		uint64_t before = going->rounds;
		REQUIRE(comes([&] { return going->rounds > before + random.below(100); }));
		a.stop();
		before = going->rounds;
		// It is up to the limit of time of a test case that this comes back.
		b.touch(pages, 2 * pages);
		b.modify(pages + round % pages, round);
		REQUIRE(b.shows(pages + round % pages, round));
		pgno_t made;
		b.put(b.make(made));
		REQUIRE(going->rounds <= before + 1);
		a.go_on();
	}
	going->over = true;
	REQUIRE(a.wait() == 0);
	b.sync();
	for (pgno_t i = 0; i < pages; i++)
		REQUIRE(file.holds(i, 0));
}

TEST_CASE("a process that is stopped at any instant of opening or closing holds up nobody's gets, puts and syncs")
{
	struct Going {
		std::atomic<uint64_t> rounds{0};
	};
	const unsigned rounds = static_cast<unsigned>(shrink(100));
	const pgno_t pages = 100;
	Key key;
	File file(page_size, pages);
	Common<Going> going;
	Member b(key, file.fd(), page_size, 16);
	Process a([&] {
		for (;; going->rounds++) {
			MPOOL *mp = mpool_open(key.get(), -1, page_size, 16);
			CHILD_CHECK(mp && mpool_close(mp) == 0);
		}
		return 0;
	});
	Random random(5);
	for (unsigned round = 0; round < rounds; round++) {
		CAPTURE(round);
		uint64_t before = going->rounds;
		REQUIRE(comes([&] { return going->rounds > before; }));
		usleep(static_cast<useconds_t>(random.below(1000)));
		a.stop();
		b.touch(0, pages);
		b.modify(round % pages, round);
		b.sync();
		REQUIRE(file.holds(round % pages, round));
		a.go_on();
	}
	a.kill();
	CHECK(comes([&] { return b.stats().processes == 1; }));
}
