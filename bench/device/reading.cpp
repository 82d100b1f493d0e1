/*
 * reading.cpp - one thread that reads the file, in its order or at random, or in an event loop.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <algorithm>
#include <array>
#include <numeric>
#include <random>
#include <stdexcept>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "compare/draw.hpp"
#include "compare/failure.hpp"
#include "compare/histogram.hpp"
#include "fio.hpp"
#include "measure.hpp"

namespace device {

using compare::Histogram;
using compare::nanoseconds;
using compare::throw_errno;

/* The pool has room for such a part of the file. */
constexpr uint32_t PARTS_CACHED = 64;
constexpr uint32_t LEAST_CACHED = 512; /* more than is in flight at any depth that is usual */
constexpr unsigned PAGES_A_LOOK = 32;  /* between two looks at the clock, at least */
constexpr uint32_t ORDER_BYTES = 1 << 20;

static uint32_t cached_pages(const Bench &b)
{
	return std::max(b.options.pages / PARTS_CACHED, LEAST_CACHED);
}

static std::vector<uint32_t> in_order(uint32_t pages)
{
	std::vector<uint32_t> list(pages);
	std::iota(list.begin(), list.end(), 0);
	return list;
}

static std::vector<uint32_t> shuffled(uint32_t pages, unsigned round)
{
	std::vector<uint32_t> list = in_order(pages);
	std::shuffle(list.begin(), list.end(), std::mt19937(round));
	return list;
}

/* Pages of the list that are read until `until`; from the beginning. */
static size_t pass(Peer &peer, const std::vector<uint32_t> &list, uint32_t together, uint64_t until)
{
	const size_t step = std::max(together, 1u);
	size_t done = 0;
	unsigned since_look = 0;

	while (done < list.size()) {
		size_t n = std::min(step, list.size() - done);
		peer.visit_all(&list[done], n);
		done += n;
		since_look += static_cast<unsigned>(n);
		if (since_look < PAGES_A_LOOK)
			continue;
		if (nanoseconds() >= until)
			break;
		since_look = 0;
	}
	peer.finish();
	return done;
}

/* Of the list, again and again. */
static Figures read(const Bench &b, const Cell &c, const std::vector<uint32_t> &list)
{
	Opened peer(b, c, b.options.pages, cached_pages(b));
	const uint32_t together = peer->together(c.parameter);
	const uint64_t wanted = uint64_t{b.options.milliseconds} * 1'000'000;
	double processor = 0;
	uint64_t took = 0;
	size_t pages = 0;

	while (took < wanted) {
		peer.chill();
		double processor_before = processor_time();
		uint64_t before = nanoseconds();
		pages += pass(*peer, list, together, before + wanted - took);
		took += nanoseconds() - before;
		processor += processor_time() - processor_before;
	}
	return {{"pages_per_second", static_cast<double>(pages) / static_cast<double>(took) * SECOND},
	        {"cpu_us", processor / static_cast<double>(pages) / MICRO}};
}

static Figures read_by_fio(const Bench &b, const Cell &c, const char *rw, uint32_t bytes)
{
	return {{"pages_per_second", fio_pages_per_second({b.file.path(), rw, bytes, b.options.pages, c.parameter,
	                                                   c.place, b.options.milliseconds})}};
}

Figures read_at_random(const Bench &b, const Cell &c)
{
	if (c.subject == "fio")
		return read_by_fio(b, c, "randread", PAGE_BYTES);
	return read(b, c, shuffled(b.options.pages, b.round));
}

Figures read_in_order(const Bench &b, const Cell &c)
{
	if (c.subject == "fio")
		return read_by_fio(b, c, "read", ORDER_BYTES);
	return read(b, c, in_order(b.options.pages));
}

/* ---- the event loop ---- */

constexpr uint32_t HOT_PAGES = 100;         /* the file's first */
constexpr unsigned GETS_A_REQUEST = 2000;   /* some 25 us of a processor */
constexpr uint64_t REQUEST_EVERY = 100'000; /* nanoseconds */

/* Who reads cold pages: each asks for its next one as soon as it has one. */
class Readers {
public:
	Readers(Peer &p, const std::vector<uint32_t> &list, unsigned number) : peer(p), pages(list), readers(number)
	{
		if (events < 0)
			throw_errno("epoll_create1");
		for (unsigned i = 0; i < number; i++)
			open(i);
	}
	~Readers()
	{
		for (const Reader &r : readers)
			close(r.efd);
		close(events);
	}
	Readers(const Readers &) = delete;
	Readers &operator=(const Readers &) = delete;

	/* One turn of each that has not to wait. */
	void turn()
	{
		arrived();
		for (Reader &r : readers)
			if (!r.waits)
				ask(r);
	}

	/* Nobody's eventfd is closed under the pool. */
	void end()
	{
		while (std::any_of(readers.begin(), readers.end(), [](const Reader &r) { return r.waits; }))
			arrived();
	}

	uint64_t read() const { return count; }

private:
	struct Reader {
		int efd = -1;
		uint32_t page = 0;
		bool waits = false;
	};

	void open(unsigned i)
	{
		readers[i].efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		epoll_event e = {};
		e.events = EPOLLIN;
		e.data.u32 = i;
		if (readers[i].efd < 0 || epoll_ctl(events, EPOLL_CTL_ADD, readers[i].efd, &e) != 0)
			throw_errno("eventfd");
	}

	void ask(Reader &r)
	{
		r.page = pages[next];
		next = next + 1 == pages.size() ? 0 : next + 1;
		r.waits = peer.begin(r.page, r.efd);
		if (!r.waits)
			look(r);
	}

	void arrived()
	{
		std::array<epoll_event, 16> ready;
		int n = epoll_wait(events, ready.data(), ready.size(), 0);
		if (n < 0 && errno != EINTR)
			throw_errno("epoll_wait");
		for (int i = 0; i < n; i++) {
			Reader &r = readers[ready[static_cast<size_t>(i)].data.u32];
			eventfd_t unused;
			if (eventfd_read(r.efd, &unused) != 0)
				throw_errno("eventfd_read");
			r.waits = false;
			look(r);
		}
	}

	void look(const Reader &r)
	{
		peer.visit(r.page, 0, false);
		count++;
	}

	Peer &peer;
	const std::vector<uint32_t> &pages;
	std::vector<Reader> readers;
	const int events = epoll_create1(EPOLL_CLOEXEC);
	size_t next = 0;
	uint64_t count = 0;
};

static void hot_request(Peer &peer)
{
	for (unsigned i = 0; i < GETS_A_REQUEST; i++)
		peer.visit(i % HOT_PAGES, 0, false);
}

/* Requests as they come due, before the readers' next turn; from that time to its end is what each takes.
 * nullptr: alone. */
static Histogram serve(Peer &peer, Readers *readers, uint64_t nanoseconds_long)
{
	Histogram took;
	took.reserve();
	const uint64_t begin = nanoseconds();
	for (uint64_t due = begin; due < begin + nanoseconds_long; due += REQUEST_EVERY) {
		while (nanoseconds() < due)
			if (readers != nullptr)
				readers->turn();
		hot_request(peer);
		took.add(nanoseconds() - due);
	}
	return took;
}

Figures event_loop(const Bench &b, const Cell &c)
{
	const uint64_t wanted = uint64_t{b.options.milliseconds} * 1'000'000;
	std::vector<uint32_t> cold = shuffled(b.options.pages, b.round);
	cold.erase(std::remove_if(cold.begin(), cold.end(), [](uint32_t p) { return p < HOT_PAGES; }), cold.end());

	Opened peer(b, c, b.options.pages, cached_pages(b));
	peer.chill();
	hot_request(*peer);
	Figures figures;
	add_quantiles(figures, "alone_", serve(*peer, nullptr, wanted), 3);
	Readers readers(*peer, cold, c.parameter);
	uint64_t before = nanoseconds();
	add_quantiles(figures, "beside_", serve(*peer, &readers, wanted), 3);
	double took = static_cast<double>(nanoseconds() - before);
	figures.push_back({"cold_per_second", static_cast<double>(readers.read()) / took * SECOND});
	readers.end();
	return figures;
}

} // namespace device
