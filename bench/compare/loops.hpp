/*
 * loops.hpp - the measured loops, templates over the adaptor.
 *
 * Every result is looked at, as by a caller that is right; the word read is added
 * to a sum, which verify.cpp computes again from the draws alone.  The state of a
 * loop is in local variables, and no clock is read in it: a thread looks at a
 * flag once a batch.  Each loop is written out: with one frame for all that calls
 * what differs, the array does 6 to 15 % less, and the pools the same.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cerrno>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "draw.hpp"
#include "page.hpp"
#include "part.hpp"
#include "ticks.hpp"

namespace compare {

[[noreturn, gnu::cold, gnu::noinline]] inline void no_page(uint32_t page)
{
	throw std::system_error(errno, std::generic_category(), "page " + std::to_string(page) + " was not to be had");
}

template <class Pin> inline Pin must(Pin pin, uint32_t page)
{
	if (__builtin_expect(pin.bytes == nullptr, false))
		no_page(page);
	return pin;
}

inline bool stopped(const Part &part)
{
	return part.stop->load(std::memory_order_relaxed);
}

/* One get of a page, a look at it, and a put. */
template <class Adaptor> inline uint64_t read_once(Adaptor &pool, uint32_t page)
{
	auto pin = must(pool.get(page), page);
	uint64_t word = read_page(pin.bytes, page);
	pool.put(pin);
	return word;
}

template <class Source, class Adaptor> [[gnu::noinline]] void read_drawn(Adaptor &pool, Part &part)
{
	Source source(part);
	uint64_t sum = 0, n = 0;
	do {
		for (unsigned i = 0; i < BATCH; i++)
			sum += read_once(pool, source.next());
		n += BATCH;
	} while (!stopped(part));
	source.save(part.draws);
	part.sum += sum;
	part.operations += n;
	part.gets += n;
}

/* From the root down: a child is got before its parent is put. */
template <class Adaptor> inline uint64_t descend_once(Adaptor &pool, uint32_t leaf)
{
	auto root = must(pool.get(ROOT), ROOT);
	uint64_t sum = read_page(root.bytes, ROOT);
	uint32_t page = inner_page(leaf);
	auto inner = must(pool.get(page), page);
	pool.put(root);
	sum += read_page(inner.bytes, page);
	page = leaf_page(leaf);
	auto last = must(pool.get(page), page);
	pool.put(inner);
	sum += read_page(last.bytes, page);
	pool.put(last);
	return sum;
}

template <class Adaptor> [[gnu::noinline]] void descend(Adaptor &pool, Part &part)
{
	Uniform source(part);
	uint64_t sum = 0, n = 0;
	do {
		for (unsigned i = 0; i < BATCH; i++)
			sum += descend_once(pool, source.next());
		n += BATCH;
	} while (!stopped(part));
	source.save(part.draws);
	part.sum += sum;
	part.operations += n;
	part.gets += 3 * n;
}

/* An adaptor need not have get_once. */
template <class Adaptor> inline auto get_once(Adaptor &pool, uint32_t page, int) -> decltype(pool.get_once(page))
{
	return pool.get_once(page);
}
template <class Adaptor> inline auto get_once(Adaptor &pool, uint32_t page, long)
{
	return pool.get(page);
}

template <class Adaptor> [[gnu::noinline]] void scan_once(Adaptor &pool, Part &part)
{
	InTurn source(part);
	uint64_t sum = 0, n = 0;
	do {
		for (unsigned i = 0; i < BATCH; i++) {
			uint32_t page = source.next();
			auto pin = must(get_once(pool, page, 0), page);
			sum += read_page(pin.bytes, page);
			pool.put(pin);
		}
		n += BATCH;
	} while (!stopped(part));
	source.save(part.draws);
	part.sum += sum;
	part.operations += n;
	part.gets += n;
}

template <class Adaptor> inline uint64_t modify_once(Adaptor &pool, uint32_t page, unsigned thread)
{
	auto pin = must(pool.get_to_modify(page), page);
	uint64_t word = read_page(pin.bytes, page);
	modify_page(pin.bytes, thread);
	pool.put_modified(pin);
	return word;
}

template <class Adaptor> [[gnu::noinline]] void modify_drawn(Adaptor &pool, Part &part)
{
	Uniform source(part);
	uint64_t sum = 0, n = 0, modified = 0;
	do {
		for (unsigned i = 0; i < BATCH; i++) {
			uint32_t page = source.next();
			if (source.modify()) {
				sum += modify_once(pool, page, part.thread);
				modified++;
			} else {
				sum += read_once(pool, page);
			}
		}
		n += BATCH;
	} while (!stopped(part));
	source.save(part.draws);
	part.sum += sum;
	part.operations += n;
	part.gets += n;
	part.modified += modified;
}

template <class Adaptor> [[gnu::noinline]] void append_pages(Adaptor &pool, Part &part)
{
	uint64_t n = 0;
	do {
		for (unsigned i = 0; i < BATCH; i++) {
			uint32_t page = 0;
			auto pin = must(pool.append(&page), page);
			stamp_page(pin.bytes, page);
			pool.put_modified(pin);
		}
		n += BATCH;
	} while (!stopped(part));
	part.operations += n;
	part.gets += n;
}

/* The get alone is timed: not the look at the page, not the put. */
template <class Adaptor> [[gnu::noinline]] void read_timed(Adaptor &pool, Part &part)
{
	InTurn source(part);
	uint64_t sum = 0, n = 0;
	do {
		for (unsigned i = 0; i < BATCH; i++) {
			uint32_t page = source.next();
			uint64_t start = ticks_before();
			auto pin = pool.get(page);
			uint64_t end = ticks_after();
			pin = must(std::move(pin), page);
			sum += read_page(pin.bytes, page);
			pool.put(pin);
			part.ticks.add(end - start);
		}
		n += BATCH;
	} while (!stopped(part));
	source.save(part.draws);
	part.sum += sum;
	part.operations += n;
	part.gets += n;
}

template <class Adaptor> void run_loop(Adaptor &pool, Part &part)
{
	switch (part.loop) {
	case Loop::read:
		return read_drawn<Uniform>(pool, part);
	case Loop::sequence:
		return read_drawn<Sequence>(pool, part);
	case Loop::scan:
		return read_drawn<InTurn>(pool, part);
	case Loop::scan_once:
		return scan_once(pool, part);
	case Loop::descend:
		return descend(pool, part);
	case Loop::modify:
		return modify_drawn(pool, part);
	case Loop::append:
		return append_pages(pool, part);
	case Loop::timed:
		return read_timed(pool, part);
	}
}

/* ---- not measured ---- */

/* Gets each page once and looks at all of it; returns how many were wrong. */
template <class Adaptor, class Check> uint32_t load_pages(Adaptor &pool, uint32_t first, uint32_t pages, Check is_right)
{
	uint32_t wrong = 0;
	for (uint32_t page = first; page < first + pages; page++) {
		auto pin = must(pool.get(page), page);
		wrong += is_right(pin.bytes, page) ? 0 : 1;
		pool.put(pin);
	}
	return wrong;
}

/* Gets pages first, first + stride, ... */
template <class Adaptor> void touch_pages(Adaptor &pool, uint32_t first, uint32_t stride, uint32_t pages)
{
	for (uint32_t page = first; page < pages; page += stride)
		read_once(pool, page);
}

template <class Adaptor> void modify_pages(Adaptor &pool, const std::vector<uint32_t> &pages, unsigned thread)
{
	for (uint32_t page : pages)
		modify_once(pool, page, thread);
}

} // namespace compare
