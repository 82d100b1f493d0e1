// test_share_limit.cpp - MPOOL_MAXCACHE of a shared pool: any process makes it smaller and larger, memory goes back, and
// whoever is killed or stopped in that leaves a pool that works.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "share.hpp"

using namespace test;

namespace {

constexpr pgno_t page_size = 512;

int64_t tune(Here &h, Args a)
{
	return mpool_tune(h.mp, MPOOL_MAXCACHE, a[0]);
}

int64_t tuned(Here &h, Args)
{
	uint64_t pages = 0;
	return mpool_tuned(h.mp, MPOOL_MAXCACHE, &pages) == 0 ? static_cast<int64_t>(pages) : -1;
}

int64_t peeks(Here &h, Args a)
{
	uint64_t version;
	const void *page = mpool_peek(h.mp, static_cast<pgno_t>(a[0]), &version);
	return page ? is(page, h.size, a[0], a[1]) && mpool_unchanged(h.mp, page, version) : 2;
}

int64_t hold_latched(Here &h, Args a)
{
	void *page = mpool_get(h.mp, static_cast<pgno_t>(a[0]), 0);
	if (!page || mpool_latch(h.mp, page, MPOOL_EXCLUSIVE) != 0 || mpool_put(h.mp, page, 0) != 0)
		return -1;
	return word(page);
}

int64_t let_go_modified(Here &h, Args a)
{
	fill(pointer<void>(a[0]), h.size, a[1], a[2]);
	return mpool_unlatch(h.mp, pointer<void>(a[0]), MPOOL_DIRTY);
}

// Pages that the fourth of four does not read.
int64_t touch_others(Here &h, Args a)
{
	for (pgno_t i = 0; i < a[0]; i++)
		if (i % 4 != 3) {
			void *page = mpool_get(h.mp, i, 0);
			if (!page || mpool_put(h.mp, page, 0) != 0)
				return -1;
		}
	return 0;
}

void limit(Member &m, uint64_t pages)
{
	m.succeed("mpool_tune", m.call(tune, pages));
}

// Bytes of memory that the object has.
uint64_t object_bytes(const Key &key)
{
	struct stat st;
	REQUIRE(key.objects().size() == 1);
	REQUIRE(stat(key.objects()[0].c_str(), &st) == 0);
	return static_cast<uint64_t>(st.st_blocks) * 512;
}

} // namespace

TEST_CASE("any process makes a shared pool smaller, and larger again, and all of them see it")
{
	const pgno_t pages = GENERATE(as<pgno_t>{}, 64, 300, 10000), less = GENERATE(as<pgno_t>{}, 1, 50);
	CAPTURE(pages, less);
	Key key;
	File file(page_size, pages);
	Member a(key, file.fd(), page_size, pages), b(key, -1, page_size, 1);
	for (pgno_t i = 0; i < pages; i++)
		(i % 2 ? a : b).modify(i, 1);
	for (int round = 0; round < 2; round++) {
		limit(b, less);
		for (Member *m : {&a, &b}) {
			CHECK(m->call(tuned).value == less);
			CHECK(m->stats().maxcache == less);
			CHECK(m->stats().cached <= less);
			CHECK(m->stats().overflow == 0);
		}
		for (pgno_t i = 0; i < pages; i += 3)
			CHECK(a.shows(i, 1));
		CHECK(b.stats().cached <= less);
		limit(a, pages);
		b.touch(0, pages);
		CHECK(a.stats().cached == pages);
		uint64_t before = a.stats().misses;
		a.touch(0, pages);
		CHECK(a.stats().misses == before);
	}
	a.sync();
	for (pgno_t i = 0; i < pages; i += 7)
		CHECK(file.holds(i, 1));
}

TEST_CASE("MPOOL_MAXCACHE of a shared pool is no more than an opener asked for, and a later one makes it so much again")
{
	Key key;
	File file(page_size, 300);
	Member a(key, file.fd(), page_size, 100), b(key, -1, page_size, 10);
	limit(b, 0);
	CHECK(a.call(tuned).value == 1);
	REQUIRE_ANSWER_FAILS(b.call(tune, 101), ENOMEM);
	limit(b, 100);
	limit(a, 20);
	// Who asks for less changes nothing, who asks for more has it.
	Member c(key, -1, page_size, 15);
	CHECK(b.call(tuned).value == 20);
	Member d(key, -1, page_size, 50);
	CHECK(b.call(tuned).value == 50);
	REQUIRE_ANSWER_FAILS(d.call(tune, 101), ENOMEM);
	limit(c, 100);
	Member e(key, -1, page_size, 200);
	CHECK(a.call(tuned).value == 200);
	limit(a, 30);
	limit(a, 200);
	e.touch(0, 200);
	CHECK(a.stats().cached == 200);
}

TEST_CASE("memory goes back to the system when a shared pool is made smaller, unless its pages are peeked at")
{
	const bool peeked = GENERATE(false, true);
	CAPTURE(peeked);
	const pgno_t big = 4096, pages = 40000; // 160 MB: more than is given back at once
	const uint64_t of_pages = uint64_t{big} * pages;
	Key key;
	File file(big);
	REQUIRE(ftruncate(file.fd(), static_cast<off_t>(of_pages)) == 0);
	struct statfs room;
	REQUIRE(statfs("/dev/shm", &room) == 0);
	if (room.f_bavail * static_cast<uint64_t>(room.f_bsize) < 2 * of_pages)
		SKIP_CASE("/dev/shm is too small");
	Member a(key, file.fd(), big, pages), b(key, -1, big, 1);
	if (peeked)
		b.call(peeks, 0, 0);
	for (int round = 0; round < 2; round++) {
		a.touch(0, pages);
		const uint64_t full = object_bytes(key);
		REQUIRE(full > of_pages);
		limit(b, 100);
		const uint64_t less = object_bytes(key);
		CAPTURE(full, less);
		if (peeked) {
			CHECK(less > of_pages);
		} else {
			CHECK(full - less > of_pages * 9 / 10);
			a.touch(0, 1000);
			CHECK(object_bytes(key) < less + 500 * big);
		}
		limit(a, pages);
	}
}

TEST_CASE("what another process has pinned or latched above a lowered MPOOL_MAXCACHE stays until it is let go of")
{
	const pgno_t pages = 200;
	Key key;
	File file(page_size, pages);
	Member a(key, file.fd(), page_size, pages), b(key, -1, page_size, pages);
	b.touch(0, pages);
	std::vector<uint64_t> held;
	for (pgno_t i = 7; i < pages; i += 50)
		held.push_back(b.get(i));
	const uint64_t latched = static_cast<uint64_t>(b.succeed("latch", b.call(hold_latched, 150)));
	limit(a, 3);
	CHECK(a.stats().pinned == held.size());
	CHECK(a.stats().cached <= 3 + held.size() + 1);
	for (size_t n = 0; n < held.size(); n++) {
		pgno_t i = static_cast<pgno_t>(7 + 50 * n);
		CHECK(b.is(held[n], i, 0));
		b.fill(held[n], i, 1);
		b.put(held[n], MPOOL_DIRTY);
	}
	REQUIRE(b.call(let_go_modified, latched, 150, 1).value == 0);
	for (int round = 0; round < 20; round++)
		a.touch(0, 20);
	CHECK(a.stats().cached <= 3);
	CHECK(a.stats().overflow == 0);
	a.sync();
	for (pgno_t i = 7; i < pages; i += 50)
		CHECK(file.holds(i, 1));
	CHECK(file.holds(150, 1));
}

namespace {

// What processes do until they are told to stop.
struct Busy {
	static constexpr pgno_t pages = 600;
	std::atomic<bool> over{false};
	std::atomic<uint64_t> steps[4]{}, version[pages]{};
};

// Modify pages of one's own, keep some, and now and then change the size.
int keep_busy(const Key &key, Busy &busy, unsigned seed, unsigned number, bool tunes)
{
	Random random(seed);
	MPOOL *mp = mpool_open(key.get(), -1, page_size, tunes ? 1 + static_cast<pgno_t>(random.below(busy.pages)) : 1);
	CHILD_CHECK(mp);
	std::vector<void *> held;
	while (!busy.over) {
		busy.steps[number]++;
		pgno_t p = static_cast<pgno_t>(random.below(busy.pages / 4) * 4 + number);
		void *page = mpool_get(mp, p, 0);
		CHILD_CHECK(page);
		if (random.below(3) == 0 && !tunes) {
			CHILD_CHECK(is(page, page_size, p, busy.version[p]));
			fill(page, page_size, p, ++busy.version[p]);
			CHILD_CHECK(mpool_put(mp, page, MPOOL_DIRTY) == 0);
		} else {
			held.push_back(page);
		}
		if (held.size() == 8) {
			for (void *h : held)
				CHILD_CHECK(mpool_put(mp, h, 0) == 0);
			held.clear();
		}
		if (tunes)
			CHILD_CHECK(mpool_tune(mp, MPOOL_MAXCACHE, 1 + random.below(busy.pages)) == 0);
	}
	for (void *h : held)
		CHILD_CHECK(mpool_put(mp, h, 0) == 0);
	CHILD_CHECK(mpool_close(mp) == 0);
	return 0;
}

} // namespace

TEST_CASE("processes use a pool while others make it smaller and larger, and are killed in that at any instant")
{
	const unsigned rounds = static_cast<unsigned>(shrink(60));
	Key key;
	File file(page_size, Busy::pages);
	Common<Busy> busy;
	Member m(key, file.fd(), page_size, Busy::pages);
	std::vector<std::unique_ptr<Process>> users;
	for (unsigned n = 0; n < 2; n++)
		users.emplace_back(new Process([&, n] { return keep_busy(key, *busy, n, n, false); }));
	Process tunes([&] { return keep_busy(key, *busy, 7, 3, true); });
	Random random(1);
	for (unsigned round = 0; round < rounds; round++) {
		CAPTURE(round);
		const uint64_t before = busy->steps[2];
		Process doomed([&] { return keep_busy(key, *busy, 100 + round, 2, true); });
		REQUIRE(comes([&] { return busy->steps[2] > before + random.below(10); }));
		usleep(static_cast<useconds_t>(random.below(300)));
		doomed.kill();
		for (unsigned n : {0u, 1u, 3u}) {
			const uint64_t had = busy->steps[n];
			REQUIRE(comes([&] { return busy->steps[n] > had + 5; }));
		}
	}
	busy->over = true;
	for (auto &user : users)
		REQUIRE(user->wait() == 0);
	REQUIRE(tunes.wait() == 0);
	REQUIRE(comes([&] { return m.stats().processes == 1; }));
	CHECK(m.stats().pinned == 0);
	limit(m, 5);
	m.sync();
	CHECK(m.stats().cached <= 5);
	CHECK(m.stats().overflow == 0);
	for (pgno_t i = 0; i < Busy::pages; i++)
		if (i % 4 < 2)
			CHECK(file.holds(i, busy->version[i]));
	// Nothing is lost of what there was room for.
	limit(m, Busy::pages);
	m.touch(0, Busy::pages);
	CHECK(m.stats().cached == Busy::pages);
	const uint64_t before = m.stats().misses;
	m.touch(0, Busy::pages);
	CHECK(m.stats().misses == before);
}

TEST_CASE("a process that is stopped while it changes MPOOL_MAXCACHE holds up nobody's gets and puts of other pages")
{
	const unsigned rounds = static_cast<unsigned>(shrink(40));
	Key key;
	File file(page_size, Busy::pages);
	Common<Busy> busy;
	Member m(key, file.fd(), page_size, Busy::pages);
	Process tunes([&] { return keep_busy(key, *busy, 3, 3, true); });
	Random random(1);
	for (unsigned round = 0; round < rounds; round++) {
		CAPTURE(round);
		const uint64_t before = busy->steps[3];
		REQUIRE(comes([&] { return busy->steps[3] > before; }));
		usleep(static_cast<useconds_t>(random.below(300)));
		tunes.stop();
		m.succeed("get and put", m.call(touch_others, Busy::pages));
		m.modify(static_cast<pgno_t>(random.below(Busy::pages / 4) * 4), round);
		tunes.go_on();
	}
	busy->over = true;
	REQUIRE(tunes.wait() == 0);
	m.sync();
	limit(m, 3);
	CHECK(m.stats().cached <= 3);
}
