/*
 * deaths.cpp - see deaths.hpp.
 *
 * Each that dies is a process of its own, made for it, that opens the pool, comes to
 * where it is to die, says so and is killed by SIGKILL.  Time runs from just before
 * the kill, as the others cannot know when the kernel has carried it out.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "deaths.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <iterator>
#include <string>
#include <thread>

#include <mpool.h>
#include <unistd.h>

#include "child.hpp"
#include "draw.hpp"
#include "failure.hpp"
#include "loops.hpp"
#include "page.hpp"
#include "ticks.hpp"
#include "verify.hpp"

namespace compare {

constexpr uint32_t PINS = 100;                      /* pages that a process has pinned when it dies: the first */
constexpr uint64_t WINDOW = 20000000;               /* nanoseconds in which pauses are looked for */
constexpr uint64_t TOO_LONG = UINT64_C(5000000000); /* a death that nobody notices */

static double milliseconds_since(uint64_t start)
{
	return static_cast<double>(nanoseconds() - start) * 1e-6;
}

static void give_up_after_long(uint64_t start, const char *what)
{
	if (nanoseconds() - start > TOO_LONG)
		throw Wrong(std::string(what) + ", 5 s after the death of a process");
}

/* Soon, but leaving the processor to those who are looked at. */
static void look_again()
{
	constexpr auto SHORT = std::chrono::microseconds(20);
	std::this_thread::sleep_for(SHORT);
}

[[noreturn]] static void sleep_till_death()
{
	for (;;)
		pause();
}

/* ---- the pool, as a process has it open ---- */

/* A page that is never read to the end, and who is told that its read has begun. */
struct Slow {
	uint32_t page;
	Semaphore *begun;
};

/* With a filter that changes nothing, but for reading that page. */
class SharedPool {
public:
	explicit SharedPool(const Setup &s, Slow *slow = nullptr)
	    : pool(mpool_open(const_cast<char *>(s.shared), s.fd, s.page_bytes, s.cache_pages))
	{
		if (pool == nullptr)
			throw_errno("mpool_open");
		mpool_filter(pool, page_in, nullptr, slow);
	}
	~SharedPool() { mpool_close(pool); }
	SharedPool(const SharedPool &) = delete;
	SharedPool &operator=(const SharedPool &) = delete;

	AddressPin get(uint32_t page) { return {static_cast<unsigned char *>(mpool_get(pool, page, 0))}; }

	void put(AddressPin &pin)
	{
		if (mpool_put(pool, pin.bytes, 0) != 0)
			throw_errno("mpool_put");
	}

	/* Puts a page that was got, and drops it from memory. */
	void drop(AddressPin &pin)
	{
		if (mpool_delete(pool, pin.bytes) != 0)
			throw_errno("mpool_delete");
	}

	struct mpool_stats stats() const
	{
		struct mpool_stats st;
		if (mpool_stats(pool, &st, sizeof st) != 0)
			throw_errno("mpool_stats");
		return st;
	}

private:
	static void page_in(void *cookie, pgno_t page, void *)
	{
		auto *slow = static_cast<Slow *>(cookie);
		if (slow == nullptr || slow->page != page)
			return;
		slow->begun->post();
		sleep_till_death();
	}

	MPOOL *const pool;
};

static AddressPin get_checked(SharedPool &pool, uint32_t page, uint32_t page_bytes)
{
	AddressPin pin = must(pool.get(page), page);
	uint64_t modified = 0;
	if (!page_is_right(pin.bytes, page_bytes, page, &modified))
		throw Wrong("page " + std::to_string(page) + " has wrong bytes");
	return pin;
}

/* ---- those that die ---- */

/* So that its death has a whole mapping to take down. */
static void touch_all(SharedPool &pool, uint32_t pages)
{
	touch_pages(pool, 0, 1, pages);
}

static void hold_pins(const Setup &s, Semaphore &ready)
{
	SharedPool pool(s);
	touch_all(pool, s.file_pages);
	for (uint32_t page = 0; page < PINS; page++)
		must(pool.get(page), page);
	ready.post();
	sleep_till_death();
}

[[noreturn]] static void work(const Setup &s, Semaphore &ready)
{
	SharedPool pool(s);
	touch_all(pool, s.file_pages);
	ready.post();
	for (uint64_t state = mixed(0);;) {
		state = next_state(state);
		read_once(pool, below(state, s.file_pages));
	}
}

static void read_slowly(const Setup &s, uint32_t page, Semaphore &reading)
{
	Slow slow = {page, &reading};
	SharedPool pool(s, &slow);
	touch_all(pool, page);
	pool.get(page);
	throw Wrong("the page that was to be read was in memory");
}

/* ---- the one that survives ---- */

/* Something that is to come after a death. */
struct Event {
	const char *metric, *missing;
	std::function<bool()> is_there;
	bool seen = false;
};

Survivor::Survivor(const Setup &s) : setup(s), pool(std::make_unique<SharedPool>(s))
{
	for (uint32_t page = 0; page < s.file_pages; page++) {
		AddressPin pin = get_checked(*pool, page, s.page_bytes);
		pool->put(pin);
	}
}

Survivor::~Survivor() = default;

/*
 * The dead had pins and did nothing: when is its death known, when are its pages
 * free?  And when has the kernel ended it, as its parent sees it?
 */
void Survivor::see_holder_die(Figures &figures)
{
	struct mpool_stats before = pool->stats();
	Common<Semaphore> ready;
	Child holder([&] { hold_pins(setup, *ready); });
	ready->wait([&] { holder.look(); });
	if (uint64_t pinned = pool->stats().pinned; pinned != before.pinned + PINS)
		throw Wrong(std::to_string(pinned) + " pages are pinned, not " + std::to_string(before.pinned + PINS));

	uint64_t killed = nanoseconds();
	holder.kill();
	Event events[] = {
		{"ended_ms", "a process goes on", [&] { return holder.has_ended(); }},
		{"noticed_ms", "no death is counted", [&] { return pool->stats().deaths != before.deaths; }},
		{"released_ms", "pages are still pinned", [&] { return pool->stats().pinned == before.pinned; }},
	};
	for (auto left = std::size(events); left > 0;) {
		for (Event &e : events) {
			if (e.seen || !e.is_there())
				continue;
			figures.push_back({e.metric, milliseconds_since(killed)});
			e.seen = true;
			left--;
		}
		for (const Event &e : events)
			if (!e.seen)
				give_up_after_long(killed, e.missing);
		look_again();
	}
}

/* The longest time from the end of one hit to that of the next, in milliseconds. */
static double longest_pause(SharedPool &pool, uint32_t pages, uint64_t &state)
{
	uint64_t longest = 0, end = nanoseconds() + WINDOW, last = ticks_after();
	do {
		for (unsigned i = 0; i < BATCH; i++) {
			state = next_state(state);
			read_once(pool, below(state, pages));
			uint64_t now = ticks_after();
			longest = std::max(longest, now - last);
			last = now;
		}
	} while (nanoseconds() < end);
	return static_cast<double>(longest) * tick_rate().nanoseconds_each * 1e-6;
}

/* The dead got and put as fast as it could, and so does this: how long does it wait for any one hit? */
void Survivor::see_worker_die(Figures &figures)
{
	uint64_t deaths = pool->stats().deaths;
	uint64_t state = mixed(deaths);
	Common<Semaphore> ready;
	Child worker([&] { work(setup, *ready); });
	ready->wait([&] { worker.look(); });

	figures.push_back({"pause_before_ms", longest_pause(*pool, setup.file_pages, state)});
	uint64_t killed = nanoseconds();
	worker.kill();
	double longest = 0;
	do {
		give_up_after_long(killed, "no death is counted");
		longest = std::max(longest, longest_pause(*pool, setup.file_pages, state));
	} while (pool->stats().deaths == deaths);
	figures.push_back({"pause_ms", longest});
}

/* The dead was reading a page: when does the get of another, which waits for it, return? */
void Survivor::see_reader_die(Figures &figures)
{
	const uint32_t page = setup.file_pages - 1;
	AddressPin pin = get_checked(*pool, page, setup.page_bytes);
	pool->drop(pin);
	Common<Semaphore> reading, waiting;
	Common<std::atomic<uint64_t>> returned(UINT64_C(0));
	Child reader([&] { read_slowly(setup, page, *reading); });
	reading->wait([&] { reader.look(); });
	Child waiter([&] {
		SharedPool mine(setup);
		waiting->post();
		AddressPin mended = get_checked(mine, page, setup.page_bytes);
		*returned = nanoseconds();
		mine.put(mended);
	});
	waiting->wait([&] { waiter.look(); });
	/* Time to fall asleep; if it is too short, the figure still counts from the kill. */
	std::this_thread::sleep_for(std::chrono::milliseconds(2));

	uint64_t killed = nanoseconds();
	if (*returned != 0)
		throw Wrong("a get returned a page that another process was still reading");
	reader.kill();
	while (*returned == 0) {
		give_up_after_long(killed, "a get still waits for the page that it was reading");
		look_again();
	}
	waiter.join();
	figures.push_back({"waited_ms", static_cast<double>(*returned - killed) * 1e-6});
}

Figures Survivor::see_deaths()
{
	Figures figures;
	see_holder_die(figures);
	see_worker_die(figures);
	see_reader_die(figures);
	return figures;
}

} // namespace compare
