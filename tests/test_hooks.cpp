// test_hooks.cpp - mpool_hooks: pages go through the program's hooks, which may refuse them; a write
// waits for the program, and nobody else does.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <algorithm>
#include <climits>

#include "fault_io.hpp"

using namespace test;
using fault::Call;
using fault::Op;

namespace {

constexpr size_t page_size = 512;

// What a test has the hooks do, and what they were given.
class Hooks {
public:
	using OfPage = std::function<int(pgno_t, char *)>;
	using OfBatch = std::function<int(const std::vector<pgno_t> &, void *const *)>;
	OfPage in, out;
	OfBatch before_write;
	std::atomic<unsigned> ins{0}, outs{0}, batches{0}, announced{0};

	struct mpool_hooks all() { return {call_in, call_out, call_before_write, this}; }
	void set(MPOOL *mp)
	{
		struct mpool_hooks hooks = all();
		REQUIRE(mpool_hooks(mp, &hooks, sizeof hooks) == 0);
	}
	// Have out, or before_write of batches, return what `of` says of a page, or of the first of which it says anything.
	void refuse(bool batches, std::function<int(pgno_t)> of)
	{
		if (!batches)
			out = [of](pgno_t n, char *) { return of(n); };
		else
			before_write = [of](const std::vector<pgno_t> &pages, void *const *) {
				int error = 0;
				for (size_t i = 0; i < pages.size() && !error; i++)
					error = of(pages[i]);
				return error;
			};
	}

private:
	static int call_in(void *cookie, pgno_t page, void *bytes)
	{
		auto h = static_cast<Hooks *>(cookie);
		h->ins++;
		return h->in ? h->in(page, static_cast<char *>(bytes)) : 0;
	}
	static int call_out(void *cookie, pgno_t page, void *bytes)
	{
		auto h = static_cast<Hooks *>(cookie);
		h->outs++;
		return h->out ? h->out(page, static_cast<char *>(bytes)) : 0;
	}
	static int call_before_write(void *cookie, const pgno_t *pages, void *const *copies, size_t n)
	{
		auto h = static_cast<Hooks *>(cookie);
		h->batches++;
		h->announced += static_cast<unsigned>(n);
		return h->before_write ? h->before_write(std::vector<pgno_t>(pages, pages + n), copies) : 0;
	}
};

void turn(void *page, unsigned char by)
{
	for (size_t i = 0; i < page_size; i++)
		static_cast<unsigned char *>(page)[i] ^= by;
}

// The first time that it is entered somebody is let in, and kept until it is opened.
class Stop {
public:
	int enter()
	{
		if (!first_.exchange(false))
			return 0;
		gate_.pass();
		return 0;
	}
	void await() { gate_.await(1); }
	void open() { gate_.open(); }
	~Stop() { gate_.open(); }

private:
	std::atomic<bool> first_{true};
	Gate gate_;
};

bool cached(const Pool &pool, pgno_t page)
{
	void *at = mpool_get(pool, page, MPOOL_CACHED);
	if (at)
		pool.put(at);
	return at;
}

} // namespace

// ---- What they are given -----------------------------------------------------

TEST_CASE("hooks run next to the file, filters next to memory; all copies of a batch are shown before any is written")
{
	const pgno_t frames = GENERATE(1u, 7u, 200u);
	CAPTURE(frames);
	File file(page_size, 40);
	Pool pool(file.fd(), page_size, frames);
	Hooks hooks;
	// In the file a page is turned by 0x0f, and that by 0xf0.
	auto filter = [](void *, pgno_t, void *page) { turn(page, 0xf0); };
	for (pgno_t i = 0; i < 40; i++) {
		char page[page_size];
		fill(page, page_size, i, 0);
		turn(page, 0xff);
		REQUIRE(pwrite(file.fd(), page, page_size, i * page_size) == page_size);
	}
	Report report;
	hooks.in = [&](pgno_t n, char *page) {
		turn(page, 0x0f);
		turn(page, 0xf0);
		report.check(
			is(page, page_size, n, 0) || is(page, page_size, n, 1), "in is after the read, before pgin");
		turn(page, 0xf0);
		return 0;
	};
	hooks.out = [&](pgno_t n, char *page) {
		turn(page, 0xf0);
		report.check(is(page, page_size, n, 1), "out is after pgout");
		turn(page, 0xf0);
		turn(page, 0x0f);
		return 0;
	};
	hooks.before_write = [&](const std::vector<pgno_t> &pages, void *const *copies) {
		for (size_t i = 0; i < pages.size(); i++) {
			std::vector<char> copy(page_size);
			memcpy(copy.data(), copies[i], page_size);
			report.check(file.read_page(pages[i]) != copy, "it is before the write");
			turn(copy.data(), 0xff);
			report.check(is(copy.data(), page_size, pages[i], 1), "it is after out");
		}
		return 0;
	};
	mpool_filter(pool, filter, filter, nullptr);
	hooks.set(pool);
	for (pgno_t i = 0; i < 40; i++) {
		REQUIRE(pool.shows(i, 0));
		pool.modify(i, 1);
	}
	pool.sync();
	for (pgno_t i = 0; i < 40; i++)
		REQUIRE(pool.shows(i, 1));
	CHECK(hooks.ins == pool.stats().reads);
	CHECK(hooks.outs == pool.stats().writes);
	CHECK(hooks.announced == hooks.outs);
	CHECK(hooks.batches < hooks.outs + (frames == 1));
	for (pgno_t i = 0; i < 40; i++) {
		std::vector<char> page = file.read_page(i);
		turn(page.data(), 0xff);
		REQUIRE(is(page.data(), page_size, i, 1));
	}
	report.require_none();
}

TEST_CASE("of a sync's batch before_write is called once, with all of its pages")
{
	File file(page_size, 100);
	Pool pool(file.fd(), page_size, 200);
	Hooks hooks;
	std::vector<pgno_t> shown;
	std::atomic<unsigned> writes{0};
	hooks.before_write = [&](const std::vector<pgno_t> &pages, void *const *) {
		shown = pages;
		return writes == 0 ? 0 : EIO;
	};
	hooks.set(pool);
	fault::Script script(file.fd(), [&](const Call &call) {
		writes += call.op == Op::write;
		return fault::real();
	});
	std::vector<pgno_t> expected;
	for (pgno_t i = 0; i < 100; i += 2) {
		pool.modify(i, 1);
		expected.push_back(i);
	}
	pool.sync();
	CHECK(hooks.batches == 1);
	CHECK(shown == expected);
	CHECK(writes == 50);
	// And not when there is nothing to write.
	pool.sync();
	CHECK(hooks.batches == 1);
}

TEST_CASE("the structure may be one of another version")
{
	File file(page_size, 10);
	Pool pool(file.fd(), page_size, 4);
	Hooks hooks;
	struct {
		struct mpool_hooks known;
		char more[24];
	} later = {hooks.all(), {}};
	REQUIRE(mpool_hooks(pool, &later.known, sizeof later) == 0);
	pool.touch(0, 1);
	CHECK(hooks.ins == 1);
	// What this one does not know is not ignored, and nothing is changed.
	later.more[23] = 1;
	later.known.in = nullptr;
	REQUIRE_FAILS(mpool_hooks(pool, &later.known, sizeof later), EINVAL);
	pool.touch(1, 2);
	CHECK(hooks.ins == 2);
	// Of an earlier one what is missing is none: here all but in, with whose cookie it cannot do anything.
	struct mpool_hooks one = {[](void *cookie, pgno_t, void *) { return cookie ? EIO : 0; }, hooks.all().out,
		hooks.all().before_write, &hooks};
	REQUIRE(mpool_hooks(pool, &one, sizeof one.in) == 0);
	pool.modify(2, 1);
	pool.sync();
	CHECK(hooks.ins == 2);
	CHECK(hooks.outs + hooks.batches == 0);
	REQUIRE(mpool_hooks(pool, &one, 0) == 0);
	pool.touch(3, 4);
	hooks.set(pool);
	pool.touch(4, 5);
	CHECK(hooks.ins == 3);
	REQUIRE(mpool_hooks(pool, nullptr, 0) == 0);
	pool.touch(5, 6);
	pool.modify(6, 1);
	pool.sync();
	CHECK(hooks.ins == 3);
	CHECK(hooks.outs == 0);
}

TEST_CASE("a structure that ends within a member is refused, and nothing has changed")
{
	File file(page_size, 10);
	Pool pool(file.fd(), page_size, 4);
	Hooks hooks;
	hooks.set(pool);
	struct {
		struct mpool_hooks known;
		char more[2 * sizeof(void *)];
	} other = {};
	for (size_t whole = 0; whole < sizeof other; whole += sizeof(void *))
		for (size_t part = 1; part < sizeof(void *); part++) {
			CAPTURE(whole, part);
			REQUIRE_FAILS(mpool_hooks(pool, &other.known, whole + part), EINVAL);
		}
	pool.touch(0, 1);
	CHECK(hooks.ins == 1);
	// Of no structure there is no size.
	REQUIRE(mpool_hooks(pool, nullptr, 1) == 0);
	pool.touch(1, 2);
	CHECK(hooks.ins == 1);
}

TEST_CASE("any of the hooks may be missing; new pages reach the file if one converts")
{
	const int which = GENERATE(0, 1, 2);
	File file(page_size, 2);
	Pool pool(file.fd(), page_size, 4);
	Hooks hooks;
	struct mpool_hooks some = hooks.all();
	some.in = which == 0 ? some.in : nullptr;
	some.out = which == 1 ? some.out : nullptr;
	some.before_write = which == 2 ? some.before_write : nullptr;
	REQUIRE(mpool_hooks(pool, &some, sizeof some) == 0);
	pgno_t made;
	pool.put(pool.make(made));
	pool.modify(0, 1);
	pool.sync();
	CHECK(hooks.ins == (which == 0));
	CHECK(hooks.outs == (which == 1 ? 2 : 0));
	CHECK(hooks.batches == (which == 2));
	CHECK(file.holds(0, 1));
	CHECK(file.holds_bytes(2, 0) == (which != 2));
}

TEST_CASE("in is given pages that were never written, as zeros, and none that is made")
{
	File file(page_size, 2);
	Pool pool(file.fd(), page_size, 4);
	Hooks hooks;
	hooks.in = [](pgno_t, char *page) { return all_bytes(page, page_size, 0) ? EILSEQ : 0; };
	hooks.set(pool);
	pgno_t made = 5;
	void *page = mpool_new(pool, &made, MPOOL_PAGE_REQUEST);
	REQUIRE(page);
	CHECK(hooks.ins == 0);
	REQUIRE_NULL(mpool_get(pool, 3, 0), EILSEQ);
	CHECK(mpool_prefetch(pool, &(made = 4), 1, -1) == 1);
	REQUIRE_NULL(mpool_get(pool, 4, MPOOL_CACHED), EILSEQ);
	REQUIRE_NULL(mpool_get(pool, 4, MPOOL_CACHED), EAGAIN);
	CHECK(hooks.ins == 2);
	pool.put(page);
}

// ---- in refuses --------------------------------------------------------------

TEST_CASE("a page that in refuses does not come in, by any call; the next get reads it anew")
{
	const pgno_t bad = 5;
	File file(page_size, 40);
	Pool pool(file.fd(), page_size, 20);
	Hooks hooks;
	std::atomic<bool> refuses{true};
	hooks.in = [&](pgno_t n, char *) { return n == bad && refuses ? EBADMSG : 0; };
	hooks.set(pool);
	const int engine = GENERATE(MPOOL_IO_AUTO, MPOOL_IO_PLAIN, MPOOL_IO_WORKERS);
	REQUIRE(mpool_tune(pool, MPOOL_IO_ENGINE, engine) == 0);
	SECTION("get")
	{
		REQUIRE_NULL(mpool_get(pool, bad, 0), EBADMSG);
		REQUIRE_NULL(mpool_get(pool, bad, MPOOL_IGNOREPIN), EBADMSG);
	}
	SECTION("getv: all or none")
	{
		const pgno_t list[] = {1, bad, 9, bad, 30};
		void *at[5];
		REQUIRE_FAILS(mpool_getv(pool, list, at, 5, 0), EBADMSG);
		CHECK(std::vector<void *>(at, at + 5) == std::vector<void *>(5));
		CHECK(pool.stats().pinned == 0);
	}
	SECTION("prefetch")
	{
		const pgno_t list[] = {4, bad, 6};
		REQUIRE(mpool_prefetch(pool, list, 3, -1) == 3);
		errno = 0;
		while (!mpool_get(pool, bad, MPOOL_CACHED) && errno == EAGAIN)
			std::this_thread::yield();
		CHECK(errno == EBADMSG);
		while (!cached(pool, 4) || !cached(pool, 6))
			std::this_thread::yield();
	}
	SECTION("read-ahead: the others come in")
	{
		REQUIRE(mpool_tune(pool, MPOOL_READAHEAD, 8) == 0);
		for (pgno_t i = 0; i < bad; i++)
			REQUIRE(pool.shows(i, 0));
		CHECK(pool.stats().ahead > 0);
		REQUIRE_NULL(mpool_get(pool, bad, 0), EBADMSG);
		for (pgno_t i = bad + 1; i < 20; i++)
			REQUIRE(pool.shows(i, 0));
	}
	CHECK_FALSE(cached(pool, bad));
	refuses = false;
	unsigned ins = hooks.ins;
	CHECK(pool.shows(bad, 0));
	CHECK(hooks.ins > ins);
	pool.crowd_out(10);
	CHECK(pool.stats().overflow == 0);
}

// ---- out refuses -------------------------------------------------------------

TEST_CASE("what out refuses stays in memory, modified; the others of the batch are written, and sync tells")
{
	File file(page_size, 60);
	Pool pool(file.fd(), page_size, 100);
	Hooks hooks;
	std::atomic<bool> refuses{true};
	hooks.out = [&](pgno_t n, char *) { return n % 3 == 0 && refuses ? EBUSY : 0; };
	hooks.set(pool);
	void *pinned = pool.get(30), *other = pool.get(31);
	for (pgno_t i = 0; i < 60; i++)
		pool.modify(i, 1);
	REQUIRE_FAILS(mpool_sync(pool), EBUSY);
	for (pgno_t i = 0; i < 60; i++)
		REQUIRE(file.holds(i, i % 3 != 0));
	CHECK(pool.stats().dirty == 20 + 1); // and the pinned one, which is written and stays marked
	CHECK(hooks.announced == 40);
	CHECK(pool.stats().write_errno == EBUSY);
	pool.put(pinned);
	pool.put(other);
	refuses = false;
	pool.sync();
	for (pgno_t i = 0; i < 60; i++)
		REQUIRE(file.holds(i, 1));
	CHECK(pool.stats().dirty == 0);
	CHECK(pool.stats().write_errno == 0);
}

TEST_CASE("a pinned page that out refuses is as the file has it when it is deleted")
{
	const int error = GENERATE(0, EPERM);
	File file(page_size, 10);
	Pool pool(file.fd(), page_size, 4);
	Hooks hooks;
	hooks.out = [&](pgno_t, char *) { return error; };
	hooks.set(pool);
	pool.modify(3, 1);
	void *page = pool.get(3);
	CHECK(mpool_sync(pool) == (error ? -1 : 0));
	// Somebody leaves it half-modified, as far as anybody knows.
	std::thread([&] {
		if (mpool_latch(pool, mpool_get(pool, 3, 0), MPOOL_EXCLUSIVE) != 0 || mpool_put(pool, page, 0) != 0)
			abort();
	}).join();
	CHECK(mpool_abandoned(pool, page, 0) == 1);
	REQUIRE(mpool_delete(pool, page) == 0);
	page = pool.get(3);
	CHECK(is(page, page_size, 3, error ? 0 : 1));
	CHECK(mpool_abandoned(pool, page, MPOOL_FORGIVE) == !error);
	pool.put(page);
}

TEST_CASE("who needs room passes by what out or before_write refuses, as long as anything else can go")
{
	const bool batches = GENERATE(false, true);
	// Of all pages modified, but one, out refuses all but one; and that goes each time.
	const pgno_t frames = GENERATE(2u, 5u, 40u, 500u), kept = frames - 1;
	const bool clean = GENERATE(false, true); // is the one that can go modified?
	CAPTURE(frames, clean);
	File file(page_size, 2 * frames + 50);
	Pool pool(file.fd(), page_size, frames);
	Hooks hooks;
	hooks.refuse(batches, [&](pgno_t n) { return n < kept ? EPERM : 0; });
	hooks.set(pool);
	for (pgno_t i = 0; i < kept; i++)
		pool.modify(i, 1);
	for (pgno_t i = kept; i < kept + 50; i++)
		if (clean)
			REQUIRE(pool.shows(i, 0));
		else
			pool.modify(i, 1);
	CHECK(pool.stats().overflow == 0);
	CHECK(pool.stats().cached == frames);
	for (pgno_t i = 0; i < kept; i++)
		CHECK(cached(pool, i));
	// Nothing can go: then the get fails, and says why.
	pool.modify(kept + 50 - 1, 1);
	hooks.refuse(batches, [](pgno_t) { return EPERM; });
	REQUIRE_NULL(mpool_get(pool, kept + 50, 0), EPERM);
	REQUIRE_FAILS(mpool_sync(pool), EPERM);
	pgno_t made;
	REQUIRE_NULL((mpool_new)(pool, &made), EPERM);
	hooks.refuse(batches, [](pgno_t) { return 0; });
	pool.touch(0, 2 * frames + 50);
	pool.sync();
	for (pgno_t i = 0; i < kept; i++)
		REQUIRE(file.holds(i, 1));
}

TEST_CASE("who needs room passes by what before_write refuses among others, which are written")
{
	const pgno_t frames = GENERATE(40u, 500u, 3000u);
	const bool cleaners = GENERATE(false, true);
	CAPTURE(frames, cleaners);
	File file(page_size, 3 * frames);
	std::atomic<bool> refuses{true};
	Hooks hooks; // the pool, and its cleaners, end first
	Pool pool(file.fd(), page_size, frames);
	hooks.refuse(true, [&](pgno_t n) { return refuses && n < frames && n % 31 == 0 ? ENOSPC : 0; });
	hooks.set(pool);
	if (cleaners)
		REQUIRE(mpool_tune(pool, MPOOL_CLEANERS, 2) == 0);
	for (pgno_t i = 0; i < 3 * frames; i++)
		pool.modify(i, 1);
	CHECK(pool.stats().overflow == 0);
	for (pgno_t i = 0; i < frames; i += 31)
		CHECK(cached(pool, i));
	REQUIRE(mpool_tune(pool, MPOOL_CLEANERS, 0) == 0);
	refuses = false;
	pool.sync();
	for (pgno_t i = 0; i < 3 * frames; i++)
		REQUIRE(file.holds(i, 1));
}

TEST_CASE("pages that before_write refuses among others do not have all of these asked for one by one")
{
	const pgno_t frames = 512, one = GENERATE(0u, 200u, 511u);
	CAPTURE(one);
	File file(page_size, frames);
	Pool pool(file.fd(), page_size, frames);
	Hooks hooks;
	hooks.refuse(true, [&](pgno_t n) { return n == one ? ENOSPC : 0; });
	hooks.set(pool);
	for (pgno_t i = 0; i < frames; i++)
		pool.modify(i, 1);
	CHECK(mpool_clean(pool, SIZE_MAX) == frames - 1);
	CHECK(pool.stats().dirty == 1);
	CHECK(hooks.batches < 64);
	hooks.refuse(true, [](pgno_t) { return 0; });
	pool.sync();
}

TEST_CASE("clean pages do not wait for a before_write: of a window that has some nothing is written")
{
	const pgno_t frames = 640;
	File file(page_size, 2 * frames);
	Pool pool(file.fd(), page_size, frames);
	Hooks hooks;
	hooks.set(pool);
	for (pgno_t i = 0; i < frames; i++)
		if (i % 2)
			pool.modify(i, 1);
		else
			pool.touch(i, i + 1);
	pool.touch(frames, frames + frames / 4);
	CHECK(hooks.batches == 0);
	CHECK(hooks.outs == 0);
	CHECK(pool.stats().dirty == frames / 2);
	CHECK(pool.stats().overflow == 0);
	// Where there are none, modified ones go.
	for (pgno_t i = 0; i < 2 * frames; i++)
		pool.modify(i, 1);
	CHECK(hooks.batches > 0);
	CHECK(hooks.announced == pool.stats().writes);
}

TEST_CASE("who needs room finds the one modified page that a hook lets go, wherever it is, asking for each once")
{
	const bool batches = GENERATE(false, true);
	const pgno_t frames = GENERATE(100u, 3000u, 9000u), one = GENERATE(0u, 1u, 2u) * (frames - 1) / 2;
	CAPTURE(frames, one);
	File file(page_size, frames + 1);
	Pool pool(file.fd(), page_size, frames);
	Hooks hooks;
	std::vector<unsigned> asked(frames);
	hooks.refuse(batches, [&](pgno_t n) { return n == one ? 0 : EPERM; });
	auto asks = [&](pgno_t n) { asked[n]++; };
	if (auto refuses = hooks.out)
		hooks.out = [&asks, refuses](pgno_t n, char *page) {
			asks(n);
			return refuses(n, page);
		};
	else
		hooks.before_write = [&asks, refuses = hooks.before_write](
					     const std::vector<pgno_t> &pages, void *const *copies) {
			if (pages.size() == 1)
				asks(pages[0]);
			return refuses(pages, copies);
		};
	hooks.set(pool);
	for (pgno_t i = 0; i < frames; i++)
		pool.modify(i, 1);
	REQUIRE(pool.shows(frames, 0));
	CHECK(pool.stats().overflow == 0);
	CHECK_FALSE(cached(pool, one));
	CHECK(file.holds(one, 1));
	// A few times in its own shard, and once everywhere.
	CHECK(*std::max_element(asked.begin(), asked.end()) <= 5);
}

TEST_CASE("mpool_clean and cleaners pass by what out refuses; mpool_clean tells when there is nothing else")
{
	const bool batches = GENERATE(false, true); // or before_write
	const pgno_t frames = GENERATE(8u, 64u, 600u), kept = frames / 2;
	CAPTURE(frames);
	File file(page_size, 4 * frames);
	std::atomic<bool> refuses{true};
	Hooks hooks; // the pool, and its cleaners, end first
	Pool pool(file.fd(), page_size, frames);
	hooks.refuse(batches, [&](pgno_t n) { return n < kept && refuses ? EAGAIN : 0; });
	hooks.set(pool);
	for (pgno_t i = 0; i < frames; i++)
		pool.modify(i, 1);
	SECTION("mpool_clean")
	{
		CHECK(mpool_clean(pool, SIZE_MAX) == frames - kept);
		CHECK(pool.stats().dirty == kept);
		errno = 0;
		CHECK(mpool_clean(pool, 1) == -1);
		CHECK(errno == EAGAIN);
	}
	SECTION("cleaners")
	{
		REQUIRE(mpool_tune(pool, MPOOL_CLEANERS, 2) == 0);
		for (pgno_t i = frames; i < 4 * frames; i++)
			pool.modify(i, 1);
		for (pgno_t i = 0; i < kept; i++)
			CHECK(cached(pool, i));
	}
	REQUIRE(mpool_tune(pool, MPOOL_CLEANERS, 0) == 0);
	refuses = false;
	pool.sync();
	for (pgno_t i = 0; i < frames; i++)
		REQUIRE(file.holds(i, 1));
}

TEST_CASE("where nothing may be written, gets fail in a pool with cleaners as well, and go on after")
{
	const pgno_t frames = 16;
	File file(page_size, 100);
	Hooks hooks; // the pool, and its cleaners, end first
	Pool pool(file.fd(), page_size, frames);
	std::atomic<int> out{EPERM}, before{0};
	hooks.out = [&](pgno_t, char *) { return out.load(); };
	hooks.before_write = [&](const std::vector<pgno_t> &, void *const *) { return before.load(); };
	hooks.set(pool);
	REQUIRE(mpool_tune(pool, MPOOL_CLEANERS, 1) == 0);
	for (pgno_t i = 0; i < frames; i++)
		pool.modify(i, 1);
	REQUIRE_NULL(mpool_get(pool, 50, 0), EPERM);
	CHECK(pool.stats().overflow == 0);
	out = 0;
	before = ENOSPC;
	REQUIRE_NULL(mpool_get(pool, 50, 0), ENOSPC);
	before = 0;
	CHECK(pool.shows(50, 0));
	pool.sync();
	for (pgno_t i = 0; i < frames; i++)
		REQUIRE(file.holds(i, 1));
}

TEST_CASE("pages beyond maxcache that may not be written are passed by as well")
{
	const bool batches = GENERATE(false, true);
	const pgno_t frames = 4, pinned = 1000, kept = 700;
	File file(page_size, pinned + 200);
	Pool pool(file.fd(), page_size, frames);
	Hooks hooks;
	std::atomic<bool> refuses{true};
	hooks.refuse(batches, [&](pgno_t n) { return n < kept && refuses ? EBUSY : 0; });
	hooks.set(pool);
	std::vector<void *> held;
	for (pgno_t i = 0; i < pinned; i++)
		held.push_back(pool.get(i));
	for (void *page : held)
		pool.put(page, MPOOL_DIRTY);
	uint64_t before = pool.stats().overflow;
	pool.touch(pinned, pinned + 100);
	// Those that may not be written are in memory, and what came in last.
	CHECK(pool.stats().cached <= kept + frames);
	CHECK(pool.stats().overflow < before);
	for (pgno_t i = 0; i < kept; i++)
		REQUIRE(cached(pool, i));
	refuses = false;
	pool.sync();
	pool.touch(pinned + 100, pinned + 110);
	CHECK(pool.stats().overflow == 0);
}

TEST_CASE("a hook that returns what is no errno refuses with EIO")
{
	const int returned = GENERATE(-1, -EPERM, INT_MIN, 4096, INT_MAX);
	const unsigned which = GENERATE(0u, 1u, 2u);
	CAPTURE(returned, which);
	File file(page_size, 20);
	Pool pool(file.fd(), page_size, 10);
	Hooks hooks;
	std::atomic<unsigned> refusals{0};
	auto refuses = [&] {
		return refusals++ < 10 ? returned : 0;
	}; // so that it ends, if it is called again and again
	if (which == 0)
		hooks.in = [&](pgno_t, char *) { return refuses(); };
	else if (which == 1)
		hooks.out = [&](pgno_t, char *) { return refuses(); };
	else
		hooks.before_write = [&](const std::vector<pgno_t> &, void *const *) { return refuses(); };
	hooks.set(pool);
	if (which == 0) {
		REQUIRE_NULL(mpool_get(pool, 3, 0), EIO);
	} else {
		pool.modify(3, 1);
		REQUIRE_FAILS(mpool_sync(pool), EIO);
		errno = 0;
		CHECK(mpool_sync_range(pool, 0, 20, MPOOL_WRITE | MPOOL_FLUSH) == -1);
		CHECK(errno == EIO);
		CHECK(pool.stats().write_errno == EIO);
	}
	CHECK(refusals == (which == 0 ? 1 : 2));
}

// ---- before_write refuses ----------------------------------------------------

TEST_CASE("of a batch that before_write refuses nothing is written, pinned or not, and all stays modified")
{
	const int error = GENERATE(ENOSPC, EAGAIN, EIO);
	File file(page_size, 60);
	Pool pool(file.fd(), page_size, 100);
	Hooks hooks;
	std::atomic<int> refuses{error};
	hooks.before_write = [&](const std::vector<pgno_t> &, void *const *) { return refuses.load(); };
	hooks.set(pool);
	void *pinned = pool.get(7);
	for (pgno_t i = 0; i < 60; i++)
		pool.modify(i, 1);
	fault::Script script(file.fd(), [](const Call &) { return fault::real(); });
	REQUIRE_FAILS(mpool_sync(pool), error);
	errno = 0;
	CHECK(mpool_clean(pool, 10) == -1);
	CHECK(errno == error);
	CHECK(script.writes() == 0);
	CHECK(script.syncs() == 0);
	CHECK(pool.stats().dirty == 60);
	pool.put(pinned);
	refuses = 0;
	pool.sync();
	CHECK(pool.stats().dirty == 0);
	for (pgno_t i = 0; i < 60; i++)
		REQUIRE(file.holds(i, 1));
}

TEST_CASE("who needs room while before_write refuses takes what is clean; without any the get fails")
{
	const pgno_t frames = GENERATE(2u, 5u, 40u, 500u), modified = frames / 2;
	CAPTURE(frames);
	File file(page_size, 2 * frames + 60);
	Pool pool(file.fd(), page_size, frames);
	Hooks hooks;
	std::atomic<bool> refuses{true};
	hooks.before_write = [&](const std::vector<pgno_t> &, void *const *) { return refuses ? EIO : 0; };
	hooks.set(pool);
	for (pgno_t i = 0; i < modified; i++)
		pool.modify(i, 1);
	pool.touch(frames, 2 * frames + 50);
	for (pgno_t i = 0; i < modified; i++)
		CHECK(cached(pool, i));
	CHECK(pool.stats().dirty == modified);
	CHECK(pool.stats().writes == 0);
	CHECK(pool.stats().overflow == 0);
	for (pgno_t i = 0; i < 2 * frames + 50; i++)
		if (cached(pool, i))
			pool.modify(i, 1);
	REQUIRE(pool.stats().dirty == frames);
	REQUIRE_NULL(mpool_get(pool, 2 * frames + 59, 0), EIO);
	refuses = false;
	CHECK(pool.shows(2 * frames + 59, 0));
	pool.sync();
	for (pgno_t i = 0; i < modified; i++)
		REQUIRE(file.holds(i, 1));
}

// ---- Calls in a hook -----------------------------------------------------------

TEST_CASE("a hook that calls the pool is refused")
{
	File file(page_size, 20);
	Pool pool(file.fd(), page_size, 4), other(file.fd(), page_size, 4);
	Hooks hooks;
	Report report;
	auto refused = [&] {
		errno = 0;
		report.check(!mpool_get(pool, 19, 0) && errno == EDEADLK, "get");
		errno = 0;
		report.check(mpool_sync(pool) == -1 && errno == EDEADLK, "sync");
		errno = 0;
		report.check(mpool_hooks(pool, nullptr, 0) == -1 && errno == EDEADLK, "hooks");
		report.check(mpool_sync(other) == 0, "sync of another pool");
		return 0;
	};
	hooks.in = [&](pgno_t, char *) { return refused(); };
	hooks.out = hooks.in;
	hooks.before_write = [&](const std::vector<pgno_t> &, void *const *) { return refused(); };
	hooks.set(pool);
	pool.modify(1, 1);
	pool.sync();
	CHECK(hooks.ins == 1);
	CHECK(hooks.outs == 1);
	CHECK(hooks.batches == 1);
	report.require_none();
}

// ---- Hooks that block ----------------------------------------------------------

namespace {

// A pool of which a thread is in before_write, the first time that it is called, until it is let go on.
struct Blocked {
	static constexpr pgno_t frames = 8;
	File file{page_size, 400};
	Pool pool{file.fd(), page_size, frames};
	Hooks hooks;
	Stop stop;
	Report report;
	Threads threads;

	Blocked()
	{
		hooks.before_write = [this](const std::vector<pgno_t> &, void *const *) { return stop.enter(); };
		hooks.set(pool);
	}
	~Blocked() { stop.open(); }
	template <class F> void begin(F f)
	{
		threads.start(f);
		stop.await();
	}
	void end()
	{
		stop.open();
		threads.join();
		report.require_none();
	}
};

} // namespace

TEST_CASE("while a sync is in before_write pages are got, those too that it writes, and brought in for clean ones")
{
	Blocked b;
	const Pool &pool = b.pool;
	for (pgno_t i = 0; i < 4; i++)
		pool.modify(i, 1);
	pool.touch(4, 8);
	b.begin([&] { b.report.check(mpool_sync(pool) == 0, "mpool_sync"); });
	// Hits, and modifications, of what is being written.
	for (pgno_t i = 0; i < 4; i++) {
		REQUIRE(pool.shows(i, 1));
		pool.modify(i, 2);
	}
	// Misses, each of which has a clean page that can go, though it came in before the modified ones.
	uint64_t misses = pool.stats().misses;
	for (pgno_t i = 100; i < 103; i++)
		pool.modify(i, 1);
	for (pgno_t i = 103; i < 200; i++)
		REQUIRE(pool.shows(i, 0));
	CHECK(pool.stats().misses == misses + 100);
	CHECK(b.hooks.batches == 1);
	CHECK(pool.stats().writes == 0);
	CHECK(pool.stats().overflow == 0);
	b.end();
	pool.sync();
	for (pgno_t i = 0; i < 4; i++)
		CHECK(b.file.holds(i, 2));
	for (pgno_t i = 100; i < 103; i++)
		CHECK(b.file.holds(i, 1));
}

TEST_CASE("a clean page makes room for who comes while a thread is in out or before_write, wherever it is; not after")
{
	const bool in_out = GENERATE(false, true);
	const pgno_t frames = 9000; // a page looks for room in its own shard first
	File file(page_size, frames + 200);
	Pool pool(file.fd(), page_size, frames);
	Hooks hooks;
	Report report;
	Threads threads;
	Stop stop;
	std::atomic<unsigned> &calls = in_out ? hooks.outs : hooks.batches;
	struct mpool_hooks one = hooks.all();
	if (in_out)
		one.before_write = nullptr;
	else
		one.out = nullptr;
	hooks.out = [&](pgno_t, char *) { return stop.enter(); };
	hooks.before_write = [&](const std::vector<pgno_t> &, void *const *) { return stop.enter(); };
	REQUIRE(mpool_hooks(pool, &one, sizeof one) == 0);
	for (pgno_t i = 0; i < frames - 1; i++)
		pool.modify(i, 1);
	pool.touch(frames, frames + 1);
	threads.start([&] { report.check(mpool_sync(pool) == 0, "mpool_sync"); });
	stop.await();
	for (pgno_t i = frames + 1; i < frames + 50; i++)
		REQUIRE(pool.shows(i, 0));
	CHECK(calls == 1);
	CHECK(pool.stats().writes == 0);
	CHECK(pool.stats().overflow == 0);
	stop.open();
	threads.join();
	report.require_none();
	// One that has just come in and was modified goes before one that is used.  (Not where a log may have it wait.)
	pool.sync();
	pool.touch(0, 100);
	unsigned before = calls;
	for (pgno_t i = frames + 50; i < frames + 200; i++)
		pool.modify(i, 1);
	CHECK((calls > before) == in_out);
}

TEST_CASE("while a get is in before_write, to make room, others get its page, those that it writes, and clean ones")
{
	Blocked b;
	const Pool &pool = b.pool;
	const bool many = GENERATE(false, true); // by mpool_getv
	for (pgno_t i = 0; i < b.frames; i++)
		pool.modify(i, 1);
	b.begin([&] {
		const pgno_t list[] = {100, 101, 102};
		void *at[3];
		if (!many) {
			visit(b.report, pool, 100);
			return;
		}
		if (b.report.check(mpool_getv(pool, list, at, 3, 0) == 0, "mpool_getv"))
			for (unsigned i = 0; i < 3; i++) {
				b.report.check(is(at[i], page_size, list[i], 0), "bytes");
				b.report.check(mpool_put(pool, at[i], 0) == 0, "mpool_put");
			}
	});
	// The pages in memory.
	for (pgno_t i = 0; i < b.frames; i++)
		REQUIRE(pool.shows(i, 1));
	// Nothing is clean: this writes one itself, and nobody loads the page.
	REQUIRE(pool.shows(100, 0));
	CHECK(b.hooks.batches == 2);
	REQUIRE(pool.shows(102, 0));
	// From now on there is one.
	unsigned batches = b.hooks.batches;
	for (pgno_t i = 200; i < 220; i++)
		REQUIRE(pool.shows(i, 0));
	CHECK(b.hooks.batches == batches);
	b.end();
	CHECK(pool.shows(100, 0));
	pool.sync();
	for (pgno_t i = 0; i < b.frames; i++)
		CHECK(b.file.holds(i, 1));
}

TEST_CASE("mpool_getv with reads begun does not come to before_write: the pool grows")
{
	File file(page_size, 400);
	Pool pool(file.fd(), page_size, 8);
	Hooks hooks;
	hooks.set(pool);
	for (pgno_t i = 0; i < 8; i++)
		pool.modify(i, 1);
	const pgno_t list[] = {100, 101, 102, 103};
	void *at[4];
	REQUIRE(mpool_getv(pool, list, at, 4, 0) == 0);
	CHECK(hooks.batches == 1);
	CHECK(pool.stats().overflow == 3);
	for (void *page : at)
		pool.put(page);
	pool.sync();
	pool.touch(200, 210);
	CHECK(pool.stats().overflow == 0);
}

TEST_CASE("while mpool_clean or a cleaner is in before_write, others get pages, and bring some in")
{
	const bool cleaner = GENERATE(false, true);
	Blocked b;
	const Pool &pool = b.pool;
	for (pgno_t i = 0; i < 4; i++)
		pool.modify(i, 1);
	pool.touch(4, 8);
	if (cleaner) {
		REQUIRE(mpool_tune(pool, MPOOL_CLEANERS, 1) == 0);
		// Until the cleaner has come to a modified page.
		b.begin([&] {
			for (pgno_t i = 300; b.hooks.batches == 0; i = i < 390 ? i + 1 : 300)
				visit(b.report, pool, i);
		});
	} else {
		b.begin([&] { b.report.check(mpool_clean(pool, 8) > 0, "mpool_clean"); });
	}
	for (pgno_t i = 0; i < 4; i++)
		REQUIRE(pool.shows(i, 1));
	for (pgno_t i = 100; i < 120; i++)
		REQUIRE(pool.shows(i, 0));
	CHECK(b.hooks.batches == 1);
	CHECK(pool.stats().writes == 0);
	b.end();
	pool.sync();
	for (pgno_t i = 0; i < 4; i++)
		CHECK(b.file.holds(i, 1));
}

TEST_CASE("while a thread is in before_write others sync other pages, and flush the file")
{
	const unsigned how =
		GENERATE(0u, 1u, 2u, 3u); // the thread is in a sync of a page, of all, in a get, in mpool_clean
	Blocked b;
	const Pool &pool = b.pool;
	CAPTURE(how);
	for (pgno_t i = 0; i < (how == 0 ? 1u : how == 1 ? 3u : b.frames); i++)
		pool.modify(i, 1);
	b.begin([&] {
		switch (how) {
		case 0:
			b.report.check(
				mpool_sync_range(pool, 0, 1, MPOOL_WRITE | MPOOL_FLUSH) == 0, "mpool_sync_range");
			break;
		case 1:
			b.report.check(mpool_sync(pool) == 0, "mpool_sync");
			break;
		case 2:
			visit(b.report, pool, 100);
			break;
		default:
			b.report.check(mpool_clean(pool, 1) == 1, "mpool_clean");
		}
	});
	// One that is not among those: new, for the pool can grow.
	pgno_t made;
	void *page = pool.make(made);
	fill(page, page_size, made, 1);
	pool.put(page, MPOOL_DIRTY);
	fault::Script script(b.file.fd(), [](const Call &) { return fault::real(); });
	REQUIRE(mpool_sync_range(pool, made, 1, MPOOL_WRITE | MPOOL_FLUSH) == 0);
	CHECK(script.syncs() == 1);
	CHECK(b.file.holds(made, 1));
	CHECK(mpool_sync_range(pool, made, 1, MPOOL_FLUSH) == 0);
	b.end();
	pool.sync();
	CHECK(b.file.holds(0, 1));
}

TEST_CASE("a child that is forked while a thread is in before_write has the pool, and nobody in it")
{
	if (sanitized)
		return; // a lock of the sanitizer's may be held at the fork
	Blocked b;
	const Pool &pool = b.pool;
	for (pgno_t i = 0; i < b.frames; i++)
		pool.modify(i, 1);
	b.begin([&] { b.report.check(mpool_sync(pool) == 0, "mpool_sync"); });
	const int result = in_child([&] {
		struct mpool_stats st;
		for (pgno_t i = 0; i < b.frames; i++) {
			void *page = mpool_get(pool, i, 0);
			if (!page || !is(page, page_size, i, 1) || mpool_put(pool, page, i % 2 ? MPOOL_DIRTY : 0) != 0)
				return 1;
		}
		if (mpool_sync(pool) != 0 || mpool_stats(pool, &st, sizeof st) != 0 || st.dirty != 0)
			return 2;
		// Modified pages make room, as long as nobody is in before_write.
		for (pgno_t i = 0; i < b.frames; i++) {
			void *page = mpool_get(pool, i, 0);
			if (!page || mpool_put(pool, page, i % 2 ? MPOOL_DIRTY : 0) != 0)
				return 3;
		}
		for (pgno_t i = 100; i < 140; i++) {
			void *page = mpool_get(pool, i, 0);
			if (!page || mpool_put(pool, page, 0) != 0)
				return 4;
		}
		return b.hooks.batches > 2 ? 0 : 5;
	});
	CHECK(result == 0);
	b.end();
}

// ---- Processes -----------------------------------------------------------------

TEST_CASE("of a shared pool all processes have the same hooks, or get nothing")
{
	File file(page_size, 10);
	std::string key = "test_hooks " + std::to_string(getpid());
	MPOOL *mp = mpool_open(key.c_str(), file.fd(), page_size, 8);
	if (!mp && errno == ENOTSUP)
		return; // there are no shared pools here
	REQUIRE(mp);
	Hooks hooks;
	const int has = GENERATE(0, 1, 2, 3, 4); // none, one of them, all
	CAPTURE(has);
	struct mpool_hooks mine = hooks.all();
	mine.in = has == 1 || has == 4 ? mine.in : nullptr;
	mine.out = has == 2 || has == 4 ? mine.out : nullptr;
	mine.before_write = has == 3 || has == 4 ? mine.before_write : nullptr;
	REQUIRE(mpool_hooks(mp, &mine, sizeof mine) == 0);
	void *page = mpool_get(mp, 1, 0);
	REQUIRE(page);
	REQUIRE(mpool_put(mp, page, MPOOL_DIRTY) == 0);
	// Another handle is as another process.
	MPOOL *other = mpool_open(key.c_str(), -1, page_size, 8);
	REQUIRE(other);
	struct mpool_hooks theirs = hooks.all();
	unsigned agreed = 0;
	for (unsigned set = 0; set < 8; set++) {
		theirs.in = set & 1 ? hooks.all().in : nullptr;
		theirs.out = set & 2 ? hooks.all().out : nullptr;
		theirs.before_write = set & 4 ? hooks.all().before_write : nullptr;
		REQUIRE(mpool_hooks(other, &theirs, sizeof theirs) == 0);
		bool same = !theirs.in == !mine.in && !theirs.out == !mine.out &&
		            !theirs.before_write == !mine.before_write;
		errno = 0;
		int result = mpool_sync(other);
		int error = errno;
		CHECK((same ? result == 0 : result == -1 && error == ENOTSUP));
		agreed += same;
	}
	CHECK(agreed == 1);
	CHECK(hooks.outs == (has == 2 || has == 4));
	CHECK(hooks.batches == (has == 3 || has == 4));
	REQUIRE(mpool_close(other) == 0);
	REQUIRE(mpool_close(mp) == 0);
}

TEST_CASE("a process that dies in before_write leaves the others its pages, modified")
{
	if (sanitized)
		return; // a child has no threads there
	File file(page_size, 10);
	std::string key = "test_hooks death " + std::to_string(getpid());
	MPOOL *mp = mpool_open(key.c_str(), file.fd(), page_size, 8);
	if (!mp && errno == ENOTSUP)
		return;
	REQUIRE(mp);
	Hooks hooks;
	hooks.set(mp);
	void *page = mpool_get(mp, 1, 0);
	REQUIRE(page);
	fill(page, page_size, 1, 1);
	REQUIRE(mpool_put(mp, page, MPOOL_DIRTY) == 0);
	int ends = in_child([&] {
		MPOOL *own = mpool_open(key.c_str(), file.fd(), page_size, 8);
		struct mpool_hooks dies = hooks.all();
		dies.before_write = [](void *, const pgno_t *, void *const *, size_t) { return raise(SIGKILL); };
		if (!own || mpool_hooks(own, &dies, sizeof dies) != 0)
			return 1;
		return mpool_sync(own) ? 2 : 3;
	});
	REQUIRE(ends == 1000 + SIGKILL);
	CHECK_FALSE(file.holds(1, 1));
	REQUIRE(mpool_sync(mp) == 0);
	CHECK(file.holds(1, 1));
	CHECK(hooks.announced == 1);
	REQUIRE(mpool_close(mp) == 0);
}
