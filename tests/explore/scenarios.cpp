// scenarios.cpp - the scenarios that are explored, and random ones.
//
// SPDX-License-Identifier: BSD-2-Clause
#include <random>

#include "scenario.hpp"

namespace explore {

namespace {

Scenario one_bucket(Scenario s)
{
	s.one_bucket = true;
	return s;
}
Scenario fenced(Scenario s)
{
	s.fenced = true;
	return s;
}
Scenario failing(Kind kind, Scenario s)
{
	s.fails = kind;
	return s;
}
// Deviations, in the short run: with three threads a run's end alone may come about in many ways.
constexpr unsigned kBoundOfTwo = 2, kBoundOfMany = 1;
// A death, everywhere in turn, is deviation enough in most.
constexpr unsigned kBoundOfDeaths = 0;
// Of a scenario in which two die, and of one that seldom goes its way.
constexpr uint64_t kRunsByChance = 3000, kRunsOfRare = 12000;

// A long one.
Scenario bounded(unsigned n, Scenario s)
{
	s.bound = n;
	return s;
}

// Enough frames for batches of two victims, full of pages that were used once.  A miss that finds the
// only cold frame pinned makes more of them cold, so that there are two to choose: pages 1 and 2 go next.
constexpr unsigned kFull = 64, kFullPages = kFull + 8;
// The page that came last; the one whose miss that is.
const std::string kLast = std::to_string(kFull - 1), kMissed = std::to_string(kFull + 7);
std::string filled(unsigned modified = 0)
{
	std::string script;
	for (unsigned i = 0; i + 1 < kFull; i++)
		script += "G" + std::to_string(i) + (i == modified ? " D" : " P") + std::to_string(i) + " ";
	return script + "G" + kLast + " G" + kMissed + " P" + kMissed + " P" + kLast;
}
Scenario full(const std::string &first, const std::string &second)
{
	return {"", kFull, kFullPages, {filled() + " | " + first, "G" + kLast + " P" + kLast + " | " + second}};
}
// One frame, two segments of the overflow, and nothing pinned any more.
Scenario overflowed(std::string first, std::string second)
{
	return {"", 1, 14,
		{"G12 P12 | " + first,
			"G0 G1 G2 G3 G4 G5 G6 G7 G8 G9 G10 P0 P1 P2 P3 P4 P5 P6 P7 P8 P9 P10 | " + second}};
}
// The same, but nothing is in the overflow: the next who needs a frame gives a segment back.
Scenario emptied(std::string first, std::string second)
{
	return {"", 1, 14,
		{"G12 P12 | " + first,
			"G0 G1 G2 G3 G4 G5 G6 G7 G8 G9 G10 P0 X1 X2 X3 X4 X5 X6 X7 X8 X9 X10 | " + second}};
}
// The same frames, in two processes.
Scenario full_of_two(const std::string &first, const std::string &second)
{
	const std::string last = "G" + kLast + " P" + kLast + " | ";
	return {"", kFull, kFullPages, {last + first, "L", "1!: " + filled() + " " + last + second}};
}
// Nobody watches: those who wait look for the dead.
Scenario unwatched(Scenario s)
{
	s.watched = false;
	return s;
}
// Two die, or it takes a deviation too many: in the short run some of their deaths.
Scenario by_chance(Scenario s, uint64_t runs = kRunsByChance)
{
	s.by_chance = runs;
	return s;
}
// Who joins in the run asks for more frames.
// Who is asked for descriptors does not answer.
Scenario silent(Scenario s)
{
	s.silent = true;
	return s;
}
Scenario growing(unsigned frames, Scenario s)
{
	s.joins = frames;
	return s;
}
Scenario named(const char *name, Scenario s)
{
	s.name = name;
	return s;
}

// Stripes that a scan finds empty are unlisted, by each.
Scenario unlisting(Scenario s)
{
	s.unlisting = true;
	return s;
}

// By three handles of one file.
Scenario attached(Scenario s)
{
	s.attached = true;
	return s;
}
Scenario narrow(Scenario s)
{
	s.attached = s.narrow = true;
	return s;
}

// On a store.
Scenario stored(Scenario::Store store, Scenario s)
{
	s.store = store;
	return s;
}

std::vector<Scenario> make()
{
	return {
		// Stores: their answers, in submit and late, against who waits, close, and eviction.
		bounded(1, stored(Scenario::store_at_once, {"store-prefetch", 3, 4, {"G3 P3 | r02 G0 D0 q", "b"}})),
		bounded(1, stored(Scenario::store_later, {"store-prefetch-late", 3, 4, {"G3 P3 | r02 q ^", "b", "&"}})),
		bounded(1, stored(Scenario::store_later,
				   {"store-prefetch-evict", 2, 4, {"G0 P0 | r2 G1 P1 q ^", "b", "&"}})),
		bounded(1, stored(Scenario::store_later,
				   {"store-prefetch-narrow", 4, 6, {"G5 P5 /1 | r024 q ^", "b", "&"}})),
		stored(Scenario::store_later, {"store-getv", 4, 6, {"v024 P0 P2 D4 ^", "&"}}),
		bounded(1, stored(Scenario::store_at_once, {"store-getv-two", 4, 6, {"v02 P0 P2", "v20 D0 P2"}})),
		bounded(1, stored(Scenario::store_later,
				   {"store-getv-two-late", 4, 6, {"v02 P0 P2 T1", "v20 D0 P2 W1 ^", "&"}})),
		stored(Scenario::store_later, {"store-clean", 8, 10, {"G0 D0 G2 D2 G4 D4 G6 D6 | c8 ^", "&"}}),
		bounded(1, stored(Scenario::store_later,
				   {"store-clean-rescue", 3, 4, {"G0 D0 G2 D2 | c3 W1 ^", "G1 P1 | G0 D0 T1", "&"}})),
		bounded(1, stored(Scenario::store_later,
				   {"store-sync", 4, 4, {"G0 D0 G2 D2 | S W1 ^", "G3 P3 | G0 D0 T1", "&"}})),
		bounded(1, failing(fail_reads,
				   stored(Scenario::store_later, {"store-failed-getv", 4, 6, {"v02 ^", "&"}}))),
		bounded(1, failing(fail_writes, stored(Scenario::store_later,
							{"store-failed-clean", 3, 4, {"G0 D0 G2 D2 | c3 ^", "&"}}))),
		bounded(1, failing(fail_syncs,
				   stored(Scenario::store_blocks,
					   {"store-failed-flush", 2, 4, {"G0 D0 | S", "G0 P0 | G1 D1 G2 P2"}}))),
		// ... and in the wait of who wants them, or of another.
		bounded(1,
			stored(Scenario::store_helped, {"store-help-getv", 4, 6, {"v024 P0 P2 D4", "v135 P1 P3 P5"}})),
		bounded(1, stored(Scenario::store_helped, {"store-help-getv-two", 4, 6, {"v02 P0 P2", "v20 D0 P2"}})),
		bounded(1, stored(Scenario::store_helped, {"store-help-prefetch", 3, 4, {"G3 P3 | r02 G0 D0 q", "b"}})),
		bounded(1, stored(Scenario::store_helped, {"store-help-narrow", 4, 6, {"G5 P5 /1 | r024 q", "b"}})),
		bounded(1, stored(Scenario::store_helped,
				   {"store-help-sync", 4, 4, {"G0 D0 G2 D2 | S W1", "G3 P3 | v13 P1 P3 T1"}})),
		// Attached files: their pages against eviction, by others' too.
		attached({"attach-hit-eviction", 1, 4, {"G1 P1 | G1 P1", "G3 P3"}}),
		attached({"attach-eviction-dirty", 1, 6, {"G1 P1 | G1 D1", "G5 D5"}}),
		bounded(1, attached({"attach-sync-sync", 2, 6, {"G1 D1 | o1 G1 D1 S", "G5 D5 | G5 D5 o5"}})),
		bounded(1, failing(fail_syncs, attached({"attach-failed-fsync", 1, 6,
						       {"G1 D1 | o1 S", "G5 D5 | G5 D5 G1 P1 o5"}}))),
		// A file is closed while another's page evicts its, or loads; and while it is loaded ahead.
		bounded(1, attached({"attach-close-eviction", 1, 4, {"G1 D1 | $1 G1 P1", "G0 P0"}})),
		attached({"attach-close-sync", 2, 6, {"G1 D1 | $1 G1 P1", "G5 D5 | o5 G5 D5 o5"}}),
		// Of a pool that is shared: two more files, which have pages 1 and 3, and those from 4 on.
		bounded(1, attached({"files-attach", 1, 4, {"G0 P0 | +1 G1 D1", "1: G0 P0 | +1 G1 D1 -1"}})),
		bounded(1, attached({"files-evicted", 1, 4, {"G0 P0 | G0 P0", "1: +1 | G1 D1 o1"}})),
		attached({"files-close", 1, 4, {"+1 G1 D1 | -1", "1: +1 | -1 +1 G1 P1"}}),
		attached({"files-close-own", 1, 4, {"+1 G1 D1 | -1", "G0 P0 | G2 P2", "1: +1 | G3 D3"}}),
		bounded(1, attached({"files-slot-again", 1, 8,
				   {"+1 G1 D1 | -1 +5 G5 D5 -5 +1 G1 D1", "1: G0 P0 | G0 P0 G2 P2"}})),
		bounded(1, attached({"files-sync", 2, 4, {"+1 | G1 D1 o1", "1: +1 | G1 D1 S"}})),
		bounded(1, attached({"files-hit", 2, 4, {"G0 P0 | H0 P0 G2 P2 G0 P0", "1: | +1 G1 D1"}})),
		bounded(1, attached({"files-close-attach", 1, 4, {"+1 G1 D1 | -1", "1: | +1 G1 D1"}})),
		bounded(1, attached({"files-number", 3, 4, {"G0 P0 | G2 P2 #1", "1: | +1 G1"}})),
		attached({"files-join", 1, 4, {"+1 G1 D1 | G1 D1 -1", "1: | J +1 G1 P1 Z"}}),
		bounded(1, silent(attached({"files-silent", 1, 4, {"G0 P0 | G0 P0 +1 G2 P2", "1: +1 | G1 D1"}}))),
		// Numbers go from file to file: page 1 of the one, and page 5 of the other, have the same.
		narrow({"extent-reuse-get", 1, 6, {"G1 P1 | G1 P1", "G0 P0 G5 P5"}}),
		fenced(narrow({"extent-reuse-get-fenced", 1, 6, {"G1 P1 | G1 P1", "G0 P0 G5 P5"}})),
		bounded(1, narrow({"extent-reuse-put", 1, 6, {"G1 D1 | G1 D1 G1 P1", "G0 P0 G5 D5"}})),
		narrow({"extent-reuse-load", 1, 6, {"G0 P0 | G1 P1", "G5 P5 G0 P0 G5 P5"}}),
		bounded(1, narrow({"extent-reuse-both", 2, 6, {"G0 P0 G2 P2 | G1 P1 G0 P0", "G5 P5 G2 P2"}})),
		narrow({"extent-reuse-cached", 1, 6, {"G1 P1 | k1 P1 k1 P1", "G0 P0 G5 P5"}}),
		narrow({"extent-reuse-peek", 1, 6, {"G1 P1 p1 | p1 p1", "G0 P0 G5 D5"}}),
		bounded(1, narrow({"extent-reuse-three", 1, 6, {"G1 P1 | G1 P1", "G0 P0 G5 P5", "G2 P2 G1 P1"}})),
		bounded(1, narrow({"extent-close-tried", 1, 6, {"G5 P5 G0 P0 | G1 P1 $1 G5 P5", "G5 P5"}})),
		bounded(1, narrow({"extent-close-reuse", 1, 6, {"G1 P1 | $1 G1 P1", "G5 P5 G0 P0 G5 P5"}})),
		// Pins against eviction.  One frame, or two: who gets a page is in the way of who needs a frame.
		{"hit-eviction", 1, 2, {"G0 P0 | G0 P0", "G1 P1"}},
		{"hit-eviction-dirty", 1, 2, {"G0 P0 | G0 D0 G0 P0", "G1 P1 | G1 D1"}},
		fenced({"hit-eviction-fenced", 1, 2, {"G0 P0 | G0 D0", "G1 P1"}}),
		{"hit-pinned", 1, 3, {"G0 | H0 P0 H0 D0 P0", "G0 P0 | G1 P1", "G0 P0 | G2 P2"}},
		{"rescue", 1, 2, {"G0 D0 | G0 D0 G0 D0", "G1 P1 | G1 P1"}},
		{"rescue-once", 1, 2, {"G0 D0 | G0 D0", "G0 P0 | G1 P1"}},
		{"rescue-by-two", 1, 2, {"G0 D0 | G0 P0", "G1 P1 | G0 P0", "G1 P1"}},
		{"two-evictors", 2, 4, {"G0 P0 | G2 P2", "G1 P1 | G3 P3"}},
		{"two-evictors-dirty", 2, 4, {"G0 D0 | G2 D2", "G1 D1 | G3 D3"}},
		{"evictors-one-frame", 1, 3, {"G0 D0 | G1 P1", "G2 P2", "G0 P0"}},
		named("evictable", full("G64 P64", "G1 P1 G2 D2")),
		bounded(1, named("evictable-taken", full("G64 P64 G65 P65", "G66 P66 G1 P1"))),
		{"look", 1, 2, {"G0 P0 | I0 G0 P0", "G1 P1 | G1 P1"}},

		// Room made ahead of need.
		{"clean-get", 2, 3, {"G0 D0 G1 D1 | c2 G2 P2", "G0 P0 | G0 D0 G1 P1"}},
		{"clean-rescue", 1, 2, {"G0 D0 | c1 c1", "G0 P0 | G0 D0 G1 P1"}},
		bounded(1, {"clean-clean", 2, 4, {"G0 D0 G1 D1 | c2 G2 P2", "G1 P1 | c2 G3 P3"}}),
		bounded(1, {"clean-evictor", 2, 4, {"G0 D0 G1 D1 | c2", "G1 P1 | G2 D2 G3 P3"}}),
		{"clean-sync", 2, 3, {"G0 D0 G1 D1 | c2", "G0 P0 | G1 D1 S G0 P0"}},
		{"clean-delete", 2, 3, {"G0 D0 G1 D1 | c2 G2 P2", "G0 | X0 G0 P0"}},
		bounded(1, {"clean-three", 2, 3, {"G0 D0 | c2", "G1 D1 | G0 D0", "G1 P1 | G2 P2"}}),
		bounded(1, failing(fail_writes, {"clean-fails", 2, 3, {"G0 D0 G1 D1 | c2 G2 P2", "G0 P0 | G1 D1 S"}})),

		// Latches.
		{"latch", 2, 2, {"G0 | l0 m0 l0 m0", "G0 | l0 m0"}},
		{"latch-first", 2, 2, {"G0 | l0 m0", "G0 | d0 u0"}},
		{"latch-shared", 2, 2, {"G0 d0 u0 | l0 m0", "G0 | d0 u0 d0 u0"}},
		fenced({"latch-shared-fenced", 2, 2, {"G0 d0 u0 | l0 m0", "G0 | d0 u0 d0 u0"}}),
		{"latch-shared-two", 2, 2, {"G0 d0 u0 | l0 m0", "G0 | d0 u0", "G0 | d0 u0"}},
		{"latch-exclusive-two", 2, 2, {"G0 d0 u0 | l0 m0", "G0 | d0 u0", "G0 | l0 m0"}},
		{"latch-try", 2, 2, {"G0 d0 u0 | y0 m0 l0 m0", "G0 | z0 u0 y0 m0"}},
		bounded(2, {"latch-try-waits", 2, 2, {"G0 d0 u0 | y0 m0", "G0 | d0 u0", "G0 | l0 m0"}}),
		{"latch-upgrade", 2, 2, {"G0 l0 u0 | j0 g0 m0", "G0 | l0 m0 d0 u0"}},
		{"latch-upgrade-two", 2, 2, {"G0 l0 u0 | j0 g0 m0", "G0 | j0 g0 m0"}},
		{"latch-upgrade-shared", 2, 2, {"G0 d0 u0 | j0 g0 m0", "G0 | d0 u0 j0 g0 m0"}},
		{"latch-kept", 1, 3, {"G0 l0 u0 | l0 P0 m0", "G1 P1 | G2 P2 G1 P1"}},
		{"latch-kept-shared", 1, 3, {"G0 d0 u0 | d0 P0 u0", "G1 P1 | G2 P2 G1 P1"}},
		{"latch-kept-first", 1, 3, {"G0 | l0 P0 m0", "G1 P1 | G2 P2 G1 P1"}},
		{"latch-kept-shared-first", 1, 3, {"G0 | d0 P0 u0", "G1 P1 | G2 P2"}},
		{"latch-kept-beside", 1, 3, {"G0 d0 u0 | d0 P0 u0", "G0 | l0 P0 m0", "G1 P1 | G2 P2"}},
		{"latch-kept-unlisted", 1, 3, {"G0 d0 P0 | u0 G0 D0", "G1 P1 | G2 P2 G1 P1"}},
		bounded(1, {"latch-overflow", 1, 3, {"G0 | G1 l1 P1 P0 m1", "G0 P0 | G2 P2 G2 P2"}}),
		{"latch-clean", 2, 3, {"G0 D0 G1 | l1 P1 m1", "G0 P0 | c2 G2 P2"}},
		{"latch-sync", 1, 2, {"G0 l0 u0 | l0 m0 l0 P0 m0", "G0 P0 | S"}},
		{"latch-sync-pinned", 2, 2, {"G0 l0 u0 | l0 m0 l0 m0", "G0 | S"}},
		{"latch-sync-only", 2, 2, {"i1 G0 l0 m0 | l0 m0 l0 m0", "G0 | S"}},
		{"latch-sync-only-first", 2, 2, {"i1 G0 D0 G0 | l0 m0", "G0 | S"}},
		{"latch-sync-shared", 2, 2, {"i1 G0 D0 G0 | d0 S u0", "G0 | l0 m0"}},
		{"latch-sync-two", 2, 2, {"i1 G0 l0 m0 | l0 m0 S", "G0 | l0 m0 S"}},
		fenced({"latch-sync-only-fenced", 2, 2, {"i1 G0 l0 m0 | l0 m0 l0 m0", "G0 | S"}}),
		{"latch-turn", 2, 2, {"G0 l0 | m0 l0 m0 l0 m0 l0 m0", "G0 | l0 m0"}},
		{"latch-turn-shared", 2, 2, {"G0 l0 | m0 l0 m0 l0 m0 l0 m0", "G0 | d0 u0"}},
		bounded(2, {"latch-turn-two", 2, 2, {"G0 l0 | m0 l0 m0 l0 m0", "G0 | l0 m0", "G0 | l0 m0"}}),
		{"latch-turn-upgrade", 2, 2, {"G0 l0 | m0 l0 m0 j0 g0 m0", "G0 | l0 m0"}},
		{"latch-turn-sync", 2, 2, {"i1 G0 l0 | m0 l0 m0 l0 m0", "G0 P0 | S"}},
		{"latch-turn-sync-pinned", 2, 2, {"G0 l0 | m0 l0 m0 l0 m0", "G0 P0 | S"}},
		bounded(1, {"latch-turn-sync-evict", 1, 3, {"i1 G0 l0 | m0 l0 m0 P0 G1 l1 m1 P1", "G0 P0 | S"}}),
		{"latch-delete", 2, 2, {"G0 | l0 X0 u0", "G1 P1 | G0 d0 u0 P0"}},
		{"latch-delete-beside", 2, 2, {"G0 d0 u0 | X0", "G0 | d0 P0 u0"}},
		{"latch-thread-ends", 2, 2, {"G0 d0 u0 | l0 A0 u0", "G0 P0 | G0 l0", "G0 P0 | G0 d0"}},
		bounded(1, {"latch-many", 10, 10,
				   {"G0 G1 G2 G3 G4 G5 G6 G7 G8 d0 d1 d2 d3 d4 d5 d6 d7 | d8 u8 u0",
					   "G8 G0 | l8 m8 l0 m0"}}),
		bounded(1,
			failing(fail_memory, {"failed-memory-latch", 2, 3, {"G0 | l0 u0 d0 u0 l0 m0", "G0 | d0 u0"}})),
		{"processes-latch", 2, 2, {"G0 | l0 m0 d0 u0", "1: G0 | l0 m0"}},
		{"processes-latch-shared", 2, 2, {"G0 d0 u0 | l0 m0", "1: G0 | d0 u0 d0 u0"}},
		{"processes-latch-kept", 1, 3, {"G0 d0 u0 | d0 P0 u0", "1: G1 P1 | G2 P2"}},
		// Optimistic reads.
		{"peek", 2, 2, {"G0 P0 | p0 p0", "G0 l0 u0 | l0 m0 l0 m0"}},
		{"peek-first", 2, 2, {"G0 P0 | p0", "G0 | l0 m0"}},
		{"peek-evict", 1, 3, {"G0 P0 p0 | p0 p1", "G1 P1 | G0 l0 m0 P0 G1 l1 m1 P1"}},
		{"peek-elsewhere", 2, 3, {"G0 P0 p0 | p0", "G1 P1 G2 P2 G0 l0 m0 P0 | G1 P1 G2 P2 G0 l0 m0 P0"}},
		{"peek-first-evict", 1, 3, {"G0 P0 | p0", "G1 P1 | G0 P0 G1 P1"}},
		{"peek-rescue", 1, 3, {"G0 P0 p0 | p0", "G0 P0 | G0 l0 m0 P0", "G1 P1 | G2 P2"}},
		{"peek-evicted-by-two", 2, 4, {"G0 P0 p0 | p0", "G1 P1 | G2 P2 G0 l0 m0 P0", "G2 P2 | G3 P3"}},
		{"peek-fenced-evict", 1, 3, {"G0 P0 p0 | p0", "G1 P1 | G0 l0 m0 P0"}, false, true},
		{"peek-delete", 2, 2, {"G0 P0 p0 | p0", "G0 | X0 G0 l0 m0"}},
		{"peek-clean", 2, 3, {"G0 P0 p0 | p0", "G1 D1 | c2 G2 P2 G0 l0 m0 P0"}},
		{"peek-upgrade", 2, 2, {"G0 P0 p0 G0 | j0 p0 g0 m0", "G0 | l0 m0"}},
		{"peek-sync", 1, 2, {"G0 P0 p0 | p0 p0", "G0 l0 m0 P0 | S G1 P1"}},
		bounded(1, {"peek-prefetch", 2, 4, {"G0 P0 p0 | p0", "G1 P1 | r23 q", "b"}}),
		{"processes-peek", 1, 2, {"G0 P0 p0 | p0", "1: G0 P0 | G1 P1 G0 l0 m0 P0"}},
		{"processes-peek-first", 2, 2, {"G0 P0 | p0", "1: G0 | l0 m0 p0"}},
		growing(3, bounded(1, {"processes-latch-grows", 1, 3,
					      {"G0 | l0 u0 T0 W1 G2 l2 u2 P2", "1: W0 J G1 G2 l2 m2 T1 P1"}})),

		// Stripes that no scan looks at, until their threads come back.
		unlisting({"unlist-hit", 1, 2, {"G0 P0 | G0 P0", "G1 P1"}}),
		unlisting({"unlist-hit-again", 2, 3, {"G0 P0 | G0 D0 G0 P0", "G1 P1 | G2 P2 G1 P1"}}),
		fenced(unlisting({"unlist-hit-fenced", 1, 2, {"G0 P0 | G0 D0 G0 P0", "G1 P1 | G1 D1"}})),
		unlisting({"unlist-pinned", 1, 3, {"G0 | H0 P0 H0 D0 P0", "G0 P0 | G1 P1", "G0 P0 | G2 P2"}}),
		unlisting({"unlist-rescue", 1, 2, {"G0 D0 | G0 D0 G0 D0", "G1 P1 | G1 P1"}}),
		unlisting({"unlist-two-evictors", 2, 4, {"G0 P0 | G2 P2", "G1 P1 | G3 P3"}}),
		unlisting({"unlist-two-scan", 1, 3, {"G0 P0 | G0 P0", "G1 P1", "G0 P0 | G2 P2"}}),
		bounded(1,
			unlisting({"unlist-many-pins", 9, 10, {"G0 G1 G2 G3 G4 G5 G6 G7 | G8 D8 P0", "G9 P9 G9 P9"}})),
		bounded(1, unlisting({"unlist-many-pins-hit", 9, 10,
				   {"G0 G1 G2 G3 G4 G5 G6 G7 G8 P8 | G8 D8", "G9 P9 G9 P9"}})),
		unlisting({"unlist-thread-ends", 1, 2, {"G0 P0 |", "G1 P1", "| G0 P0"}}),
		unlisting({"unlist-put-by-another", 1, 2, {"G0 | O0 G0 D0 G0 P0", "G0 P0 | F0 G1 P1"}}),
		unlisting({"unlist-delete", 1, 2, {"G0 | X0", "G0 P0 | G0 P0"}}),
		bounded(1, unlisting({"unlist-table-drained", 2, 12,
				   {"G0 G1 G2 G3 G4 G5 G6 P6 | G7 P7 H0 P0", "G5 P5 | G8 P8 H1 P1"}})),
		unlisting(named("unlist-segment-given-back", emptied("G11 P11", "V10"))),

		bounded(1, unlisting({"unlist-by-two", 3, 6,
				   {"G0 P0 | G0 P0 T1 W2 G0 P0", "G1 P1 G3 P3 | G4 P4 T2", "G0 P0 | W1 G2 P2"}})),
		unlisting(named("unlist-section", emptied("V12 G11 P11", "V10"))),

		// One thread needs no barrier, until a second one comes.
		{"second-hit", 1, 2, {"G0 P0 | G1 P1 G0 P0", "G0 P0"}},
		{"second-dirty", 1, 2, {"G0 D0 | G1 D1 G0 D0", "G0 D0"}},
		fenced({"second-dirty-fenced", 1, 2, {"G0 D0 | G1 D1 G0 D0", "G0 D0"}}),
		bounded(1, {"second-evicts", 1, 3, {"G0 P0 | G1 P1", "G2 P2 G0 P0"}}),
		{"second-rescues", 1, 2, {"G0 D0 | G1 P1 G1 P1", "G0 D0 G0 D0"}},
		{"second-and-third", 1, 2, {"G0 P0 | G1 P1 G0 P0", "G0 P0", "G1 P1"}},
		bounded(1, {"second-first", 1, 2, {"G0 P0 G1 P1", "G0 P0 G1 P1"}}),
		{"second-puts", 2, 2, {"G0 | O0 G1 P1", "F0 G0 P0"}},
		{"second-deletes", 2, 2, {"G0 | O0 G1 P1", "x0"}},
		{"second-gets-deleted", 1, 2, {"G0 | X0 G1 P1", "G0 P0"}},
		bounded(1, {"second-sync", 1, 2, {"G0 D0 | S G1 P1", "G0 D0 S"}}),
		bounded(1, {"second-table-drained", 2, 12,
				   {"G0 G1 G2 G3 G4 G5 G6 P6 | G7 P7 G8 P8 H0 P0", "G5 P5 H1 P1"}}),
		{"second-segment-given-back", 1, 14,
			{"G0 G1 G2 G3 G4 G5 G6 G7 G8 G9 G10 P0 X1 X2 X3 X4 X5 X6 X7 X8 X9 X10 | G11 P11", "V10"}},
		bounded(1, {"second-evictable", kFull, kFullPages, {filled() + " | G64 P64 G65 P65", "G1 P1 G2 D2"}}),

		// One loader for a page.
		{"one-page-missed-by-two", 2, 2, {"G0 P0", "G0 P0"}},
		bounded(3, {"one-page-waited-for", 2, 2, {"G1 P1", "G1"}}),
		{"one-page-missed-by-three", 2, 2, {"G1 P1 | G0 P0", "G1 P1 | G0 P0", "G1 P1 | G0 P0"}},
		{"miss-eviction-one-bucket", 1, 3, {"G0 P0 | G1 P1", "G2 P2 | G0 P0"}},
		one_bucket({"bucket-overflow", 9, 0,
			{"G0 P0 G1 P1 G2 P2 G3 P3 G4 P4 G5 P5 G6 P6 G7 P7 G8 P8 | G9 P9", "G8 P8 | G9 P9"}}),
		bounded(1, one_bucket({"bucket-overflow-eviction", 9, 0,
				   {"G0 G1 G2 G3 G4 G5 G6 P0 G7 P7 G8 P8 | G9 P9", "G1 P1 | G8 P8 G0 P0"}})),

		// Puts by other threads, threads that end, many pins.
		{"put-by-another", 1, 2, {"G0 | O0 G0 D0 G0 P0", "G0 P0 | F0 G1 P1"}},
		{"put-by-another-rescue", 1, 3, {"G0 D0 G0 | O0 G0 P0", "G0 P0 | f0", "G0 P0 | G1 P1"}},
		{"plain-puts", 3, 3, {"G0 G1 | O0 P1 G1 D1", "G2 P2 | F0"}},
		{"plain-puts-of-two", 3, 3, {"G0 G1 | O0 P1", "G2 G1 | O2 D1", "G1 P1 | F0 F2"}},
		{"plain-puts-of-three", 3, 3, {"G0 G0 O0 | P0", "G1 O1 | F0", "G2 P2 | F1"}},
		{"pin-moves", 2, 2, {"G1 P1 | G0 O0 G0 O0 G0 O0", "G0 | O0 F0 G0 F0 P0", "G1 P1 | F0"}},
		{"slot-reused", 2, 3, {"G0 P0 G1 P1 | G0 P0 G1 P1", "G1 P1 | G2 P2"}},
		{"orphan-for-many-pins", 12, 12, {"G0 G1 G2 G3 G4 G5 G6 G7 | G8 P8 P0", "G9 P9 | G9"}},
		{"put-of-what-is-not-pinned", 2, 2, {"G0 P0 | V0", "G1 P1 | G1 D1"}},
		{"put-in-vain-beside-gets", 2, 2, {"G0 | O0 G0 P0 G0 P0", "G0 P0 | F0"}},
		bounded(1, {"stripe-overflow", 9, 10, {"G0 G1 G2 G3 G4 G5 G6 G7 | G8 D8 P0", "G9 P9 G9 P9"}}),
		{"many-pins-of-one-page", 1, 2, {"G0 G0 | G0 P0 P0 D0", "G0 P0 | G1 P1"}},
		{"thread-ends-with-pins", 1, 2, {"G0 | G0 D0", "G0 P0", "G1 P1"}},
		{"thread-ends-others-put", 2, 2, {"G0 | O0", "G1 P1 | F0", "G0 P0"}},

		// Write-back.
		{"put-write-back", 1, 2, {"G0 | D0 G0 D0", "G0 P0 | G1 P1"}},
		{"put-write-back-by-another", 2, 3, {"G0 | O0 G0 D0", "G2 P2 | f0", "G1 P1"}},
		{"sync", 1, 2, {"G0 | D0 G0 D0", "G0 P0 | S"}},
		{"sync-promise", 2, 2, {"G0 | D0 T0 G0 D0", "G1 P1 | W0 S"}},
		{"sync-eviction", 1, 2, {"G0 | D0 T0", "G0 P0 | G1 P1", "W0 S"}},
		{"sync-frame-reused", 1, 3, {"G0 D0 | S", "G0 P0 | G1 D1 G2 P2"}},
		{"sync-sync", 2, 2, {"G0 | D0 S", "G1 | D1 S"}},
		{"sync-of-pinned", 2, 2, {"G0 | T0 D0 G0 P0", "G1 P1 | W0 S G0 P0"}},
		bounded(1, {"sync-sync-sync", 3, 3, {"G0 | D0 S", "G1 | D1 S", "G2 | D2 S"}}),
		{"sync-put-twice", 1, 1, {"G0 | D0", "G0 | D0 S"}},
		{"sync-swept", 2, 2, {"G0 D0 | G0 D0", "G1 P1 | S S"}},
		bounded(2, {"sync-swept-sync", 2, 2, {"G0 D0 | G0 D0 T0", "G1 P1 | S", "W0 S"}}),
		{"sync-swept-fresh", 2, 2, {"G0 D0 | G1 D1", "G0 P0 | S S"}},
		{"sync-range", 1, 2, {"G0 | D0 G0 D0", "G0 P0 | o0"}},
		{"sync-range-eviction", 1, 2, {"G0 D0 | o0 t0", "G0 P0 | G1 P1"}},
		{"sync-range-two", 2, 2, {"G0 | D0 o0", "G1 | D1 o1"}},
		{"sync-range-written", 2, 2, {"G0 | D0 t0", "G1 P1 | G1 D1 S"}},
		{"sync-range-whole", 2, 2, {"G0 | D0 w0 G0 P0", "G0 | G0 D0 P0"}},
		{"sync-fenced-eviction", 1, 2, {"G0 | D0 T0", "G1 P1", "W0 S"}, false, true},

		// The kernel's write-back fails, and somebody else is told of it first.
		{"told-another", 1, 2, {"G0 D0 | G1 P1 S S", "| E U"}},
		{"told-another-pinned", 1, 2, {"G0 D0 G0 | D0 S S", "| E U"}},

		// Failures, the first call, the second, ... in turn.
		failing(fail_reads, {"failed-read", 2, 2, {"G0 P0", "G0 P0"}}),
		bounded(1,
			failing(fail_reads, {"failed-read-eviction", 1, 4, {"G0 D0 | G1 P1 G3 P3", "G2 P2 | G1 P1"}})),
		failing(fail_writes, {"failed-write", 1, 2, {"G0 | D0 G0 D0", "G0 P0 | G1 P1"}}),
		failing(fail_writes, {"failed-write-sync", 1, 2, {"G0 | D0", "G0 P0 | S", "G1 P1"}}),
		failing(fail_syncs, {"failed-fsync", 1, 2, {"G0 | D0 S", "G0 P0 | G1 P1"}}),
		failing(fail_syncs, {"failed-fsync-two", 2, 3, {"G0 | D0 S G0 D0 S", "G1 P1 | G1 D1 S"}}),
		bounded(1, failing(fail_syncs, {"failed-fsync-latched", 1, 1, {"i1 G0 | D0", "G0 P0 | o0 S"}})),
		bounded(1, failing(fail_syncs, {"failed-fsync-swept", 1, 1, {"| S S", "| G0 D0 c1"}})),
		bounded(1, failing(fail_syncs, {"failed-fsync-range", 2, 2, {"G0 | D0 o0 t0", "G1 | D1 o1"}})),
		bounded(1, failing(fail_syncs, {"failed-fsync-written", 2, 2, {"G0 | D0 t0", "G1 P1 | G1 D1 S"}})),
		bounded(1, failing(fail_hooks, {"failed-hook", 1, 3, {"Q G0 D0 | G1 P1 G2 P2", "G0 P0 | G0 D0"}})),
		failing(fail_hooks, {"failed-hook-sync", 2, 2, {"Q G0 | D0 S", "G0 P0 | G0 D0"}}),
		failing(fail_hooks, {"failed-hook-pinned", 2, 2, {"Q G0 | D0 S", "G0 P0 G1 | G0 D1 D0"}}),
		bounded(1, failing(fail_hooks,
				   {"failed-hook-clean", 2, 3, {"Q G0 D0 G1 D1 | c2 G2 P2", "G1 P1 | G1 D1"}})),
		bounded(1, failing(fail_hooks, {"failed-hook-getv", 2, 4, {"Q G0 D0 | v12 P1 P2", "G0 P0 | G1 P1"}})),
		bounded(1, failing(fail_hooks, {"failed-hook-readahead", 3, 4, {"Q a4 G0 P0 | G1 P1 G2 P2", "G2 P2"}})),
		bounded(1, failing(fail_hooks,
				   {"failed-hook-prefetch", 3, 3, {"Q e1 | r01 q k0 P0 k1 P1", "b", "G0 P0"}})),
		bounded(1, failing(fail_memory, {"failed-memory", 1, 2, {"G0 | D0 G1 P1", "G1 P1"}})),
		failing(fail_memory, {"failed-memory-overflow", 1, 3, {"G0 | G1 P1", "G2 | D2"}}),

		// The table grows, the overflow grows and goes, pages come and go.
		{"table-growth-hits", 2, 8, {"G0 G1 G2 G3 G4 G5 | G6 P6", "G5 P5 | H0 P0 H1 P1"}},
		bounded(1, {"table-growth-misses", 2, 9, {"G0 G1 G2 G3 G4 G5 | G6 P6", "G5 P5 | G6 P6 H0 P0"}}),
		bounded(1, {"table-growth-one-page", 2, 9, {"G0 G1 G2 G3 G4 G5 | G6 P6 G7 P7", "G5 P5 | G7 P7"}}),
		bounded(1, {"table-growth-two", 2, 9, {"G0 G1 G2 G3 G4 G5 | G6 P6", "G5 P5 | G7 P7 H0 D0"}}),
		bounded(1, {"table-drained", 2, 12, {"G0 G1 G2 G3 G4 G5 G6 P6 | G7 P7 H0 P0", "G5 P5 | G8 P8 H1 P1"}}),
		{"overflow", 1, 4, {"G0 | G1 P0 P1", "G2 | P2 G2 P2"}},
		bounded(1, named("overflow-given-back", overflowed("G11 P11", "G10 P10 G9 D9"))),
		bounded(3, named("segment-given-back", emptied("G11 P11", "V10"))),
		fenced(named("segment-given-back-fenced", emptied("G11 P11", "V10"))),
		named("segment-given-back-twice", emptied("G11 P11", "G13 P13")),
		named("overflow-given-back-put", overflowed("G11 P11", "V10")),
		bounded(1, named("overflow-given-back-sync", overflowed("G11 P11", "G10 D10 S"))),
		bounded(1, named("overflow-given-back-by-two", overflowed("G11 P11", "G13 P13"))),
		bounded(1, {"table-shrinks", 2, 12,
				   {"G0 G1 G2 G3 G4 G5 G6 P6 P5 P4 P3 P2 P1 P0 | G7 P7 G8 P8", "G5 P5 | G5 P5 G0 P0"}}),
		{"new", 1, 1, {"N D@", "N D@"}},
		{"new-got-at-once", 1, 1, {"N D@", "G0 P0 | Y1 D1"}},
		{"new-requested", 2, 1, {"R1 D1", "G0 P0 | Y1 P1"}},
		{"new-last", 2, 1, {"M P@", "G0 P0 | N P@"}},
		{"delete-get", 1, 2, {"G0 | X0", "G0 P0 | G0 P0"}},
		{"delete-delete", 2, 2, {"G0 | X0", "G0 | X0", "G1 P1"}},
		{"delete-get-again", 2, 2, {"G0 | O0 I1 G0 W0 P0", "G0 P0 | x0 T0"}},
		{"delete-look", 2, 2, {"G0 | X0", "G0 P0 | I0 G1 P1"}},
		{"delete-put", 2, 2, {"G0 O0 |", "G1 P1 | x0", "G1 P1 | B0"}},
		{"delete-eviction", 1, 2, {"G0 | D0 G0 X0", "G0 P0 | G1 P1"}},

		// Several pages at once, and read-ahead.
		{"getv-overlap", 3, 4, {"v01 P0 D1", "v10 D0 P1"}},
		bounded(1, {"getv-overlap-three", 3, 3, {"v012 P0 D1 P2", "v210 P2 D1 P0"}}),
		bounded(1, {"getv-apart", 4, 6, {"v02 P0 D2", "v20 P0 P2"}}),
		{"getv-twice", 2, 3, {"v00 P0 P0", "G0 P0 | v01 P0 P1"}},
		{"getv-eviction", 1, 3, {"G0 P0 | v01 D0 P1", "G2 P2 | G2 D2"}},
		bounded(1, {"getv-eviction-dirty", 2, 4, {"G0 D0 | v02 D0 P2", "G1 D1 | v13 D1 P3"}}),
		{"getv-get", 3, 3, {"v01 P0 D1", "G1 P1 G0 D0"}},
		{"getv-delete", 3, 3, {"G0 | X0 G2 P2", "G2 P2 | v01 P0 P1"}},
		{"getv-sync", 2, 3, {"G0 | D0 v12 D1 P2", "G0 P0 | S"}},
		bounded(1, {"getv-new", 2, 2, {"v01 P0 P1", "R2 D2 v12 P1 P2"}}),
		{"cached", 2, 2, {"G0 P0 | G1 D1", "k1 P1 k0 P0"}},
		{"cached-eviction", 1, 2, {"G0 P0 | k0 D0", "G1 P1"}},
		{"hook-eviction", 1, 3, {"Q G0 D0 | G1 P1", "G0 P0 | G0 D0"}},
		{"hook-same-page", 1, 2, {"Q G0 D0 | G1 P1", "G0 P0 | G1 P1"}},
		{"hook-sync", 2, 2, {"Q G0 | D0 S", "G0 P0 | G0 D0"}},
		bounded(1, {"hook-getv", 2, 4, {"Q G0 D0 G1 D1 | v23 P2 P3", "G0 P0 | v32 P2 P3"}}),
		// What others do while a thread is in before_write, which goes on when they have done it.
		{"hook-blocks-sync", 3, 4, {"Q1 G0 D0 G1 P1 G2 P2 | S", "G0 P0 | G0 P0 G3 P3 G0 D0 T1"}},
		bounded(1, {"hook-blocks-eviction", 1, 3, {"Q1 G0 D0 | G1 P1", "G0 P0 | G0 P0 G1 P1 G2 P2 T1"}}),
		bounded(1, {"hook-blocks-getv", 2, 4, {"Q1 G0 D0 G1 D1 | v23 P2 P3", "G0 P0 | G3 P3 G2 P2 T1"}}),
		bounded(1, {"hook-blocks-clean", 2, 3, {"Q1 G0 D0 G1 D1 | c1", "G0 P0 | G0 P0 G1 P1 G2 P2 T1"}}),
		{"hook-blocks-range", 2, 2, {"Q1 G0 D0 G1 P1 | o0", "G1 D1 | o1 T1"}},
		bounded(1, failing(fail_reads, {"failed-getv", 3, 4, {"v01 P0 P1", "v10 P0 P1"}})),
		bounded(1, failing(fail_reads, {"failed-getv-get", 3, 4, {"v013 P0 P1 P3", "G1 P1"}})),
		bounded(1, failing(fail_writes, {"failed-getv-write", 1, 3, {"G0 | D0 G2 P2", "G0 P0 | v12 P1 P2"}})),
		bounded(1, failing(fail_memory, {"failed-getv-memory", 2, 3, {"v01 P0 P1", "G2 P2"}})),
		bounded(1, {"readahead", 3, 4, {"a4 G0 P0 | G1 P1 G2 P2", "G3 P3 | G2 D2"}}),
		bounded(1, {"readahead-eviction", 3, 5, {"a4 G0 P0 | G1 D1 G2 P2", "G3 P3 | G4 P4"}}),
		bounded(1, failing(fail_reads, {"failed-readahead", 3, 4, {"a4 G0 P0 | G1 P1 G2 P2", "G2 P2"}})),
		bounded(1,
			failing(fail_memory, {"failed-readahead-memory", 3, 4, {"a4 G0 P0 | G1 P1 G2 P2", "G3 P3"}})),

		// Pages that nobody waits for: the pool's own thread completes their reads.
		bounded(1, {"prefetch-get", 3, 3, {"e1 G2 P2 | r01 G1 P1 q", "b", "G2 P2 | G0 D0"}}),
		bounded(1, {"prefetch-workers", 3, 4, {"G2 P2 | r02 r13 q k0 P0", "b"}}),
		bounded(1, {"prefetch-first-of-two", 3, 3, {"e1 G2 P2 | r0 T1 W2 q", "b", "G2 P2 | r1 T2 W1"}}),
		bounded(1, {"prefetch-eviction", 2, 4, {"e1 G0 P0 G1 P1 | r23 q", "b", "G0 P0 | G0 P0 G1 D1"}}),
		bounded(1, {"prefetch-getv", 3, 3, {"e1 | r01 q", "b", "v10 P0 D1"}}),
		bounded(1, {"prefetch-others-load", 3, 3, {"e1 G2 P2 | r01 q", "b", "G2 P2 | G0 P0 G1 P1"}}),
		bounded(1, {"prefetch-cached", 3, 3, {"e1 | r01 q", "b", "k0 P0 k1 P1 k0 D0"}}),
		bounded(1, failing(fail_reads, {"failed-prefetch", 3, 3, {"e1 | r01 q k0 P0 k1 P1", "b", "G0 P0"}})),
		bounded(1, failing(fail_memory, {"failed-prefetch-memory", 3, 3, {"e1 G2 P2 | r01 q", "b"}})),

		// The file is cut, whatever others do to the pages that are to go.
		{"truncate-get", 3, 3, {"G2 D2 | s1", "G0 P0 | Y2 P2"}},
		{"truncate-load", 3, 3, {"G0 P0 | s1", "G0 P0 | Y2 P2"}},
		{"truncate-pinned", 3, 3, {"G1 D1 | s1", "G2 | D2 Y1"}},
		{"truncate-eviction", 1, 3, {"G2 D2 | s1", "G2 P2 | G0 P0"}},
		{"truncate-evicted", 2, 4, {"G2 D2 G3 D3 | s1", "G3 P3 | G0 D0"}},
		{"truncate-sync", 3, 3, {"G2 D2 G0 D0 | s1", "G0 P0 | S"}},
		{"truncate-sync-range", 3, 3, {"G1 D1 G2 | s1 P2", "G0 P0 | o1"}},
		{"truncate-new", 3, 2, {"G0 P0 | s1", "G0 P0 | N D@"}},
		{"truncate-new-again", 3, 2, {"G0 P0 | s1 N D@ N", "G0 P0 | N"}},
		bounded(1, {"truncate-new-two", 3, 3, {"G0 P0 | s1 N D@", "G0 P0 | N D@", "G0 P0 | N D@"}}),
		{"truncate-requested", 3, 3, {"G0 P0 | s1", "G0 P0 | R2 D2"}},
		{"truncate-peek", 3, 3, {"G2 P2 p2 | s1", "G2 P2 | p2"}},
		{"truncate-look", 3, 3, {"G2 P2 | s1", "G0 P0 | I2 G0 P0"}},
		{"truncate-latched", 3, 2, {"G0 P0 | s1", "G1 | l1 P1 u1"}},
		{"truncate-delete", 3, 2, {"G0 P0 | s1", "G1 D1 G1 | X1"}},
		{"truncate-getv", 3, 3, {"G0 P0 | s1", "G0 P0 | v012 P0 P1 P2"}},
		bounded(1, {"truncate-readahead", 4, 4, {"G3 P3 | s2", "a4 G0 P0 | G1 P1 Y2 P2"}}),
		bounded(1, {"truncate-prefetch", 3, 3, {"e1 G0 P0 | r12 q", "b", "G0 P0 | s1"}}),
		{"truncate-twice", 3, 3, {"G2 D2 | s2", "G1 D1 | s1"}},
		{"truncate-longer", 3, 2, {"G1 D1 | s4", "G0 P0 | N D@"}},
		bounded(1, {"truncate-put-by-another", 3, 2, {"G0 P0 | s1", "G1 | O1", "G0 P0 | F1"}}),
		bounded(1, {"truncate-table-growth", 2, 8, {"G0 G1 G2 G3 G4 P4 | s4", "G5 D5 | Y6 P6"}}),
		bounded(1, {"truncate-overflow", 1, 4, {"G0 G2 D2 | s1", "G1 P1 | Y3 P3"}}),
		fenced({"truncate-fenced", 3, 3, {"G2 D2 | s1", "G0 P0 | Y2 P2"}}),
		failing(fail_writes, {"failed-truncate", 3, 3, {"G2 D2 | s1", "G0 P0 | Y2 P2"}}),
		failing(fail_syncs, {"failed-fsync-truncate", 3, 3, {"G2 D2 G0 D0 | s1 S", "G0 P0 | G0 D0 S"}}),
		bounded(1, failing(fail_syncs,
				   {"failed-fsync-truncate-new", 3, 2, {"G0 P0 | s1 N D@ S", "G0 P0 | N D@ S"}})),
		failing(fail_syncs,
			{"failed-fsync-truncate-eviction", 2, 3, {"G0 P0 | s1 N D@ S", "G0 P0 | G0 D0 c2"}}),
		failing(fail_memory, {"failed-truncate-memory", 3, 3, {"G2 D2 | s1", "G0 P0 | Y2 P2"}}),

		// The pool becomes smaller, and larger again.
		{"limit-get", 3, 4, {"G0 P0 G1 P1 G2 D2 | =1", "G2 P2 | G2 D2"}},
		{"limit-miss", 3, 4, {"G0 P0 G1 P1 | =1", "G1 P1 | G3 D3"}},
		bounded(1, {"limit-late", 3, 4, {"G0 P0 G1 P1 G2 P2 | =1", "G2 P2 | G3 P3 G2 P2"}}),
		{"limit-pinned", 3, 4, {"G0 G1 P1 G2 D2 | =1 P0 G3 P3", "G2 | D2"}},
		{"limit-sync", 3, 3, {"G0 D0 G1 P1 G2 D2 | =1", "G1 P1 | S"}},
		{"limit-latched", 3, 3, {"G0 P0 G1 P1 | =1", "G2 l2 P2 | m2"}},
		{"limit-peek", 3, 3, {"G0 P0 G1 P1 G2 P2 p2 | =1", "G2 P2 | p2"}},
		bounded(1, {"limit-raised", 3, 4, {"G0 P0 G1 P1 G2 P2 | =1 =3", "G2 P2 | G3 D3 G2 P2"}}),
		bounded(1, {"limit-two", 3, 4, {"G0 P0 G1 P1 G2 P2 | =1", "G2 P2 | =3", "G1 P1 | G3 D3"}}),
		{"limit-new", 3, 2, {"G0 P0 G1 P1 | =1", "G1 P1 | N D@"}},
		bounded(1, {"limit-prefetch", 3, 4, {"e1 G0 P0 | r12 q", "b", "G0 P0 | =1"}}),
		failing(fail_writes, {"failed-limit", 3, 3, {"G0 D0 G1 D1 G2 D2 | =1", "G1 P1 | G2 D2"}}),
		failing(fail_memory, {"failed-limit-memory", 3, 3, {"G0 D0 G1 D1 G2 D2 | =1", "G1 P1 | G2 D2"}}),

		// Another machine writes a page, which is forgotten.
		{"invalidate-get", 2, 2, {"G0 P0 | %0 G0 P0", "G0 P0 | G0 P0"}},
		{"invalidate-load", 2, 2, {"G1 P1 | %0 G0 P0", "G1 P1 | G0 P0"}},
		{"invalidate-eviction", 1, 2, {"G0 P0 | %0 G0 P0", "G1 P1 G0 P0 | G1 P1"}},
		{"invalidate-rescue", 1, 2, {"G0 P0 | G1 P1", "G0 P0 | %0 G0 P0"}},
		{"invalidate-sync", 2, 2, {"G1 D1 G0 P0 | %0 G0 P0", "G1 P1 | S"}},
		{"invalidate-modified", 2, 2, {"G0 P0 | %1 G1 P1", "G0 P0 | G0 D0 %1 G1"}},
		{"invalidate-getv", 2, 2, {"G1 P1 | %0 G0 P0", "G1 P1 | v01 P0 P1"}},
		bounded(1, {"invalidate-prefetch", 3, 3, {"e1 G2 P2 | r01 q k0 P0", "b", "G2 P2 | %0 G0 P0"}}),
		bounded(1, {"invalidate-readahead", 4, 4, {"G3 P3 | %2 G2 P2", "a4 G0 P0 | G1 P1 G2 P2"}}),
		{"invalidate-twice", 2, 2, {"G0 P0 | %0 G0 P0", "G0 P0 | %0 G0 P0"}},
		{"invalidate-truncate", 3, 3, {"G2 P2 G1 P1 | s2", "G0 P0 | %1 G1 P1"}},
		fenced({"invalidate-fenced", 2, 2, {"G0 P0 | %0 G0 P0", "G0 P0 | G0 P0"}}),

		// A cleaner, and who waits for it.
		bounded(1, {"cleaner-get", 1, 2, {"G0 D0 | h1 G1 P1 h0", "b"}}),
		bounded(1, {"cleaner-line", 1, 3, {"G0 D0 | h1 G1 P1 h0", "b", "G0 P0 | G2 P2"}}),
		bounded(1, {"cleaner-rescue", 1, 2, {"G0 D0 | h1 G1 P1 h0", "b", "G0 P0 | G0 P0 G0 D0"}}),
		bounded(1, {"cleaner-pinned", 1, 2, {"G0 | h1 G1 P1 P0 h0", "b"}}),
		bounded(1, {"cleaner-sync", 1, 2, {"G0 D0 | h1 G1 P1 h0", "b", "G0 P0 | S"}}),
		bounded(1, failing(fail_writes, {"failed-cleaner", 1, 2, {"G0 D0 | h1 G1 P1 h0", "b"}})),

		// Processes that share the pool.
		bounded(1, {"processes-getv", 2, 3, {"G2 P2 | v01 P0 D1", "1: v10 D0 P1"}}),
		bounded(1, {"processes-prefetch", 3, 3, {"e1 | r01 q", "b", "1: G0 D0"}}),
		{"processes-truncate", 3, 3, {"G2 D2 | s1", "1: G0 P0 | Y2 P2"}},
		{"processes-truncate-new", 3, 2, {"G0 P0 | s1", "1: G0 P0 | N D@"}},
		{"processes-invalidate", 2, 2, {"G0 P0 | %0 G0 P0", "1: G1 P1 | G0 P0"}},
		{"processes-hit-eviction", 1, 2, {"G0 P0 | G0 P0", "1: G1 P1"}},
		{"processes-told", 1, 2, {"G0 D0 | G1 P1 T1 W2 S", "1: W1 E U S S T2"}},
		{"processes-told-both", 1, 2, {"G0 D0 | G1 P1 T1 S", "1: G1 P1 | W1 E U S S"}},
		{"processes-late", 1, 2, {"G0 D0 | G1 P1 E U T1 S", "1: W1 J S S"}},
		{"processes-late-writes", 1, 3, {"G0 D0 | G1 P1 T1 W2 E U S", "1: W1 J G2 D2 G1 P1 T2 S"}},
		silent({"processes-late-silent", 1, 2, {"G0 D0 | G1 P1 E U T1 W2 S", "1: W1 J S S T2"}}),
		silent({"processes-late-silent-clean", 1, 2,
			{"G0 D0 | G1 P1 S T1 W2 S", "1: W1 J G0 D0 G1 P1 E U S T2"}}),
		// Of two victims the one that was written stays in memory for a while.
		silent({"processes-late-written", kFull, kFullPages,
			{filled(2) + " | G64 P64 E U T1 W2 S", "1: W1 J S T2"}}),
		silent({"processes-late-silent-join", 1, 2, {"G0 D0 | G1 P1 E U", "1: J S S"}}),
		{"processes-rescue", 1, 2, {"G0 D0 | G0 D0", "1: G0 P0 | G1 P1"}},
		{"processes-limit", 4, 5, {"G0 P0 G1 P1 G2 P2 G3 D3 | =1", "1: G2 P2 | G2 D2"}},
		bounded(1, {"processes-limit-late", 4, 5, {"G0 P0 G1 P1 G2 P2 G3 P3 | =1", "1: G2 P2 | G4 P4 G2 P2"}}),
		bounded(1, {"processes-limit-raised", 4, 5,
				   {"G0 P0 G1 P1 G2 P2 G3 P3 | =1 =4", "1: G2 P2 | G4 D4 G2 P2"}}),
		bounded(1, {"processes-limit-allocates", 4, 5,
				   {"G0 P0 G1 P1 G2 P2 G3 P3 =1 =4 | W2 G1 P1 G2 P2 G3 P3 =1 W1 =4 G1 P1 G2 P2 G3 P3",
					   "1: G0 P0 | T2 G4 P4 T1"}}),
		{"processes-limit-pinned", 4, 5, {"G0 G1 P1 G2 P2 G3 D3 | =1 P0 G4 P4", "1: G3 | D3"}},
		{"processes-limit-peek", 4, 4, {"G0 P0 G1 P1 G2 P2 G3 P3 p2 | =1", "1: G2 P2 p2 | p2"}},
		{"processes-limit-peek-first", 4, 4, {"G0 P0 G1 P1 G2 P2 G3 P3 | =1", "1: G2 P2 | p2"}},
		{"processes-limit-latched", 4, 4, {"G0 P0 G1 P1 G2 P2 | =1", "1: G3 l3 P3 | m3"}},
		bounded(1, {"processes-limit-latched-first", 4, 5,
				   {"G0 P0 G1 P1 G2 P2 G3 P3 | =1 =4", "1: G2 P2 | G2 l2 m2 G4 l4 m4"}}),
		bounded(1, {"processes-limit-two", 4, 5,
				   {"G0 P0 G1 P1 G2 P2 G3 P3 | =1", "1: G2 P2 | =4", "2: G1 P1 | G4 D4"}}),
		{"processes-limit-sync", 4, 4, {"G0 D0 G1 P1 G2 D2 G3 D3 | =1", "1: G1 P1 | S"}},
		// Whoever joins may make it larger again.
		bounded(1, growing(4, {"processes-limit-join", 4, 5,
					      {"G0 P0 G1 P1 G2 P2 G3 P3 | =1 G4 D4", "1: J G0 P0 G1 P1"}})),
		bounded(1,
			failing(fail_memory, {"failed-processes-limit", 4, 5,
						     {"G0 P0 G1 P1 G2 P2 G3 P3 | =1 =4", "1: G2 P2 | G4 D4 G2 P2"}})),
		// Who joins looks at frames, and has made no call yet.
		silent({"processes-join-segment", 1, 14,
			{"G0 G1 G2 G3 G4 G5 G6 G7 G8 G9 G10 P0 X1 X2 X3 X4 X5 X6 X7 X8 X9 X10 | G11 P11", "1: J"}}),

		// ... and one of which dies.
		// Pins.
		bounded(1, {"death-hit", 2, 2, {"G0 | H0 P0 A0 P0", "L", "1!: G0 P0 | G0 P0 G0 D0 G0"}}),
		{"death-hit-eviction", 1, 2, {"G1 P1 G0 P0 | G1 P1 G0 P0", "L", "1!: G0 P0 | G0 P0 G0 D0"}},
		bounded(1, {"death-pinned", 1, 2, {"G0 | A0 H0 P0 P0 G1 P1", "L", "1!: G0 G0 | D0"}}),
		{"death-put-write-back", 1, 2, {"G1 P1 | G1 P1", "L", "1!: G0 | D0 G0 D0"}},
		bounded(1, {"death-put-sync", 1, 2, {"G1 P1 | S", "L", "1!: G0 | D0 G0 D0"}}),
		{"death-put-by-another", 2, 2, {"G0 | A0 P0 G1 P1", "L", "1!: G0 | O0 G0 D0", "1!: G1 P1 | f0"}},
		{"death-thread-end", 2, 3, {"| G2 P2", "L G0 P0", "1!: G0 | G1 P1"}},
		{"death-many-pins", 9, 10, {"G9 P9 | G9 P9", "L", "1!: G0 G1 G2 G3 G4 G5 G6 G7 | G8 D8 P0"}},
		{"death-clean", 2, 3, {"G1 P1 | G2 P2 G0 P0", "L", "1!: G0 D0 G1 D1 | c2"}},
		{"death-clean-get", 2, 3, {"G1 P1 | c2 G2 P2", "L", "1!: G0 D0 G1 D1 | G0 D0 G1 P1"}},
		{"death-clean-sync", 2, 3, {"G1 P1 | S G2 P2", "L", "1!: G0 D0 G1 D1 | c2"}},
		{"death-look", 1, 2, {"G1 P1 | G1 P1", "L", "1!: G0 P0 | I0 G0"}},

		unlisting({"death-unlisted", 1, 2, {"G1 P1 G0 P0 | G1 P1 G0 P0", "L", "1!: G0 P0 | G0 P0 G0 D0"}}),
		unlisting({"death-listing", 1, 2,
			{"G1 P1 G0 P0 | G1 P1 L T0 W1 G1 P1", "2: W0 J G0 T1", "1!: G0 P0 | G0 P0"}}),
		unlisting({"death-unlister", 1, 2, {"G0 P0 | G0 D0 G1 P1", "L", "1!: G0 P0 | G1 P1 G0 P0"}}),

		// Latches.
		{"death-latch", 2, 2, {"G0 | l0 A0 m0", "L", "1!: G0 | l0 m0 l0"}},
		{"death-peek", 2, 2, {"G0 P0 p0 | p0 p0", "L p0", "1!: G0 | l0 m0 p0"}},
		{"death-peek-evicts", 1, 3, {"G0 P0 p0 | p0 p0", "L", "1!: G1 P1 | G2 P2"}},
		{"death-peek-first", 2, 2, {"G0 P0 | p0", "L", "1!: G0 | p0 l0"}},
		{"death-latch-waits", 2, 2, {"G0 l0 | m0 l0 A0 m0", "L", "1!: G0 | l0 m0"}},
		{"death-latch-shared", 2, 2, {"G0 d0 u0 | l0 A0 m0", "L", "1!: G0 | d0 u0 d0"}},
		{"death-latch-outwaits", 2, 2, {"G0 d0 | u0 d0 u0 l0 m0", "L", "1!: G0 | l0 m0"}},
		{"death-latch-tries", 2, 2, {"G0 d0 | u0 l0 m0", "L", "1!: G0 | y0 m0 z0 u0"}},
		{"death-latch-upgrade", 2, 2, {"G0 d0 u0 | d0 u0 l0 A0 m0", "L", "1!: G0 | j0 g0 m0"}},
		{"death-latch-version", 2, 2, {"G0 l0 u0 j0 | g0 m0 j0 g0 u0", "L", "1!: G0 | l0 m0 l0"}},
		{"death-latch-first", 2, 2, {"G0 | l0 m0 d0 u0", "L", "1!: G0 | l0 m0 d0"}},
		{"death-latch-only", 2, 2, {"i1 G0 l0 u0 | l0 A0 m0", "L", "1!: G0 | l0 m0 l0"}},
		{"death-latch-kept", 1, 3, {"G1 P1 | G2 P2 G0 P0", "L", "1!: G0 | l0 P0 m0"}},
		{"death-latch-kept-shared", 1, 3, {"G1 P1 | G2 P2 G0 P0", "L", "1!: G0 | d0 P0 u0"}},
		{"death-latch-evicts", 1, 3, {"G0 l0 u0 | l0 A0 m0 P0 G0", "L", "1!: G1 P1 | G2 P2"}},
		{"death-latch-sync", 2, 2, {"i1 G0 l0 m0 | l0 m0 S", "L", "1!: G0 | l0 m0 S"}},
		{"death-latch-syncs", 2, 2, {"i1 G0 l0 m0 | S l0 m0", "L", "1!: G0 | l0 m0 l0"}},
		bounded(1, {"death-latch-turn-sync", 2, 2, {"i1 G0 l0 | m0 l0 A0 m0 l0 A0 m0", "L", "1!: G0 P0 | S"}}),
		{"death-latch-delete", 2, 2, {"G1 P1 | G0 l0 m0", "L", "1!: G0 | l0 X0"}},
		{"death-latch-thread-ends", 2, 3, {"G0 | l0 m0", "L G1 P1", "1!: G0 P0 | G0 l0"}},
		{"death-latch-leaves", 2, 2, {"G0 | l0 m0", "L", "1!: G0 | l0 Z"}},
		bounded(1, unwatched({"death-latch-unwatched", 2, 2, {"G0 | l0 m0", "1!: G0 | l0 m0"}})),
		fenced({"death-latch-fenced", 2, 2, {"G0 d0 u0 | l0 A0 m0", "L", "1!: G0 | d0 u0 l0 m0"}}),
		growing(3, {"death-latch-join-grows", 1, 3, {"G0 l0 u0 | G1 l1 u1 G2 l2 m2", "L", "1!: J G0 l0 P0"}}),
		by_chance({"death-twice-latch", 2, 2, {"G0 | L2 l0 A0 m0", "2!: L", "1!: G0 | l0 m0 d0"}}),

		// A torn page: it is written so, and read again; it is forgiven meanwhile.
		{"death-torn", 1, 2, {"G0 D0 | L G1 P1 G0 A0 P0 S G1 P1 G0 A0 K0 P0 G1 P1 G0 A0", "1!: G0 | D0 G0"}},
		bounded(1, {"death-torn-forgiven", 1, 2,
				   {"G0 D0 | L T1 S W2 G1 P1 G0 A0", "| W1 G0 K0 D0 T2", "1!: G0 | D0 G0"}}),

		// Several pages at once.
		{"death-getv", 2, 3, {"G2 P2 | v01 D0 P1", "L", "1!: G2 P2 | v10 P0 P1"}},
		{"death-getv-waited-for", 3, 3, {"G2 P2 | v01 P0 D1", "L", "1!: | v012 P0 P1 P2", "2: | G1 P1"}},
		{"death-getv-eviction", 1, 4, {"G0 D0 | G0 D0 G1 P1", "L", "1!: G1 D1 | v23 P2 D3"}},
		{"death-readahead", 3, 4, {"G3 P3 | G1 P1 G2 D2", "L", "1!: a4 G0 P0 | G1 P1 G2 P2"}},
		{"death-prefetch", 3, 4, {"G3 P3 | G0 P0 G1 D1", "L", "1!: e1 G3 P3 | r01 q", "1!: b"}},
		{"death-prefetch-workers", 3, 4, {"G3 P3 | v02 P0 D2", "L", "1!: G3 P3 | r02 q", "1!: b"}},

		{"death-cleaner", 1, 2, {"G1 P1 | G0 D0", "L", "1!: G1 P1 | h1 G0 D0 G1 P1 h0", "1!: b"}},
		{"death-cleaner-sync", 1, 2, {"G1 P1 | S", "L", "1!: G1 D1 | h1 G0 P0 h0", "1!: b"}},

		// One loader for a page, and he is dead.
		bounded(1, {"death-load", 2, 2, {"G1 P1 | G0 D0", "L", "1!: G1 P1 | G0 P0"}}),
		{"death-load-waited-for", 2, 2, {"G1 | G0 H1 P1 P0", "L", "2: G1 P1 | G0 P0", "1!: | G0 P0"}},
		bounded(1, unwatched({"death-load-unwatched", 2, 2, {"G1 P1 | G0 D0", "1!: G1 P1 | G0 P0"}})),
		// The pool becomes smaller and larger.
		{"death-limit", 4, 5, {"G0 P0 G1 P1 G2 P2 G3 D3 | G2 P2 G4 D4", "L", "1!: G1 P1 | =1"}},
		{"death-limit-raised", 4, 5,
			{"G0 P0 G1 P1 G2 P2 G3 D3 | =4 G4 D4 G0 P0 G1 P1", "L", "1!: G1 P1 | =1 =3"}},
		{"death-limit-waited-for", 4, 5, {"G0 P0 G1 P1 G2 P2 G3 D3 | =2 G4 D4", "L", "1!: G1 P1 | =1"}},
		bounded(1, unwatched({"death-limit-unwatched", 4, 5,
				   {"G0 P0 G1 P1 G2 P2 G3 D3 | =2 G4 D4", "1!: G1 P1 | =1"}})),
		{"death-limit-pinned", 4, 5, {"G0 P0 G1 P1 G2 P2 G3 | D3 =4 G4 D4", "L", "1!: G1 | =1 P1"}},
		{"death-limit-late", 4, 5,
			{"G0 P0 G1 P1 G2 P2 G3 P3 | =1 =4 G0 P0 G1 P1 G2 P2", "L", "1!: G2 P2 | G4 D4 G2 P2"}},
		{"death-limit-misses", 4, 5,
			{"G0 P0 G1 P1 G2 P2 G3 | =1 P3 G4 P4 =4 G0 P0", "L", "1!: G1 P1 | G4 P4 G1 P1"}},
		{"death-limit-peek", 4, 5, {"G0 P0 p0 G1 P1 G2 P2 G3 D3 | p3 G4 D4", "L", "1!: G1 P1 | =1 =4"}},
		{"death-limit-latch-first", 4, 4,
			{"G0 P0 G1 P1 G2 P2 G3 P3 | =1 =4 G2 l2 m2", "L", "1!: G1 P1 | l1 m1"}},
		growing(4, {"death-limit-join", 4, 5, {"G3 P3 =1 G0 D0 | G1 D1 G2 P2 =3 G4 P4", "L", "1!: J G0 P0"}}),
		by_chance({"death-twice-limit", 4, 5,
			{"G0 P0 G1 P1 G2 P2 G3 D3 | L2 G2 P2 G4 D4", "2!: L", "1!: G1 P1 | =1 =4"}}),
		{"death-load-eviction", 1, 2, {"G0 P0 | G0 P0", "L", "1!: G0 D0 | G1 P1"}},
		{"death-load-its-frame", 1, 3, {"G0 D0 | G2 P2", "L", "1!: G0 P0 | G1 P1"}},
		one_bucket({"death-load-far", 9, 0,
			{"G0 P0 G1 P1 G2 P2 G3 P3 G4 P4 G5 P5 G6 P6 G7 P7 | G8 P8", "L", "1!: G0 P0 | G8 P8"}}),

		// Eviction and write-back.
		{"death-eviction", 1, 2, {"G0 P0 | G0 P0", "L", "1!: G0 P0 | G1 P1"}},
		{"death-eviction-dirty", 1, 2, {"G0 D0 | G0 D0", "L", "1!: G0 P0 | G1 D1"}},
		{"death-eviction-sync", 1, 2, {"G0 D0 | S", "L", "1!: G0 P0 | G1 P1"}},
		bounded(1, unwatched({"death-eviction-sync-unwatched", 1, 2, {"G0 D0 | S", "1!: G0 P0 | G1 P1"}})),
		fenced({"death-eviction-fenced", 1, 2, {"G0 D0 | G0 D0", "L", "1!: G0 P0 | G1 D1"}}),
		{"death-eviction-pinned", 1, 2, {"G0 | D0 G0 D0", "L", "1!: G0 P0 | G1 P1"}},
		{"death-rescue", 1, 2, {"G1 P1 | G1 P1", "L", "1!: G0 D0 | G0 P0"}},
		{"death-two-evictors", 2, 4, {"G0 D0 | G2 D2", "L", "1!: G1 D1 | G3 D3"}},
		named("death-evictable", full_of_two("G1 P1 G2 D2 G65 P65", "G64 P64")),
		named("death-evictable-taken", full_of_two("G64 P64 G65 P65 G66 P66", "G67 P67 G68 P68")),

		// Whoever cuts the file dies, or whoever is in the way of it.
		{"death-truncate", 3, 3, {"G2 D2 | Y2 P2", "L", "1!: G0 P0 | s1"}},
		{"death-truncate-new", 3, 3, {"G2 D2 | N D@ Y2 P2", "L", "1!: G0 P0 | s1"}},
		{"death-truncate-sync", 3, 3, {"G2 D2 G0 D0 | S", "L", "1!: G0 P0 | s1"}},
		failing(fail_syncs, {"death-failed-fsync-truncate", 3, 3, {"G0 P0 | L S", "1!: G2 D2 G0 D0 | s1 S"}}),
		{"death-truncate-pinned", 3, 3, {"G2 D2 G1 | D1 Y2 P2", "L", "1!: G0 P0 | s1"}},
		{"death-truncate-abandoned", 3, 3, {"G2 D2 | L s1", "1!: G2 | D2 G0"}},
		{"death-truncate-load", 3, 3, {"G0 P0 | s1", "L", "1!: G0 P0 | Y2 P2"}},
		{"death-truncate-eviction", 1, 3, {"G2 D2 | s1", "L", "1!: G2 P2 | G0 P0"}},
		{"death-truncate-makes", 3, 2, {"G0 P0 | s1 N D@", "L", "1!: G0 P0 | N D@"}},
		{"death-truncate-twice", 3, 3, {"G2 D2 | s2", "L", "1!: G0 P0 | s1"}},
		bounded(1, unwatched({"death-truncate-unwatched", 3, 3, {"G2 D2 | Y2 P2", "1!: G0 P0 | s1"}})),
		by_chance({"death-twice-truncate", 3, 3, {"G2 D2 | L2 Y2 P2", "2!: L", "1!: G0 P0 | s1"}}),
		{"death-invalidate", 2, 2, {"G0 P0 | G0 P0", "L", "1!: G1 P1 | %0 G0 P0"}},
		{"death-invalidate-load", 2, 2, {"G1 P1 | %0 G0 P0", "L", "1!: G1 P1 | G0 P0"}},

		// Sync.
		{"death-sync", 2, 2, {"G0 | D0 S", "L", "1!: G1 | D1 S"}},
		{"death-sync-leader", 2, 2, {"G0 P0 | G0 D0 S", "L", "1!: G1 D1 | S"}},
		{"death-put-twice", 1, 1, {"G0 | D0 S", "L S", "1!: G0 | D0"}},
		{"death-put-marked", 2, 2, {"G1 P1 | L S", "1!: G0 | D0"}},
		bounded(1, {"death-swept", 2, 2, {"L", "1!: G1 P1 | S", "G0 D0 | G0 D0"}}),
		by_chance(failing(fail_syncs, {"death-sync-failed", 2, 2, {"G0 P0 | G0 D0 S", "L", "1!: G1 D1 | S"}})),
		{"death-sync-range", 2, 2, {"G0 | D0 o0", "L", "1!: G1 | D1 o1"}},
		{"death-sync-written", 2, 2, {"G0 | D0 t0", "L", "1!: G1 | D1 S"}},
		{"death-sync-alone", 2, 2, {"G0 P0 | G0 P0", "L S", "1!: G0 D0 G1 D1 | S"}},
		{"death-sync-eviction", 1, 2, {"G0 P0 | G1 D1", "L", "1!: G0 D0 | S"}},
		{"death-sync-of-pinned", 2, 2, {"G0 | D0 G0 D0", "L S", "1!: G1 D1 | S"}},
		{"death-sync-put", 2, 2, {"G0 | D0 S", "L", "1!: G0 D0 | S"}},

		// ... and the kernel's write-back has failed.
		{"death-told", 1, 2, {"G0 D0 | G1 P1 E U T1 L S S", "1!: G1 P1 | W1 S"}},
		{"death-told-in-between", 1, 3, {"G0 D0 | G1 P1 L E U S S", "1!: G2 P2 | G0 D0 S"}},
		{"death-told-any-time", 1, 2, {"G0 D0 | G1 P1 L S S", "1!: G1 P1 | S", "| E U"}},
		{"death-told-all-well", 1, 2, {"G0 D0 | G1 P1 T1 L S", "1!: G1 P1 | W1 S"}},
		failing(fail_syncs, {"death-told-in-memory", 2, 2, {"G0 P0 | L S", "1!: G1 P1 | G0 D0 S"}}),
		{"death-hook-eviction", 1, 3, {"Q G0 P0 | L G0 P0 S", "1!: Q G1 D1 | G2 P2"}},
		{"death-hook-sync", 2, 2, {"Q G0 P0 | L G0 P0 S", "1!: Q G1 P1 | G0 D0 S"}},
		// In before_write, where it is stopped meanwhile.
		{"death-hook-blocks", 2, 3, {"Q G0 P0 | G0 P0 G2 P2 T1 L S", "1!: Q1 G1 D1 | S"}},
		{"death-late", 1, 2, {"G0 D0 | G1 P1 E U L S S", "1!: J S"}},
		silent({"death-late-silent", 1, 2, {"G0 D0 | G1 P1 S T1 L S S", "1!: W1 J G0 D0 G1 P1 E U S"}}),
		by_chance({"death-twice-told", 1, 2,
			{"G0 D0 | G1 P1 E U T1 T2 L2 S S", "1!: G1 P1 | W1 S", "2!: G1 P1 | W2 L S"}}),
		by_chance({"death-twice-well", 1, 2,
			{"G0 D0 | G1 P1 T1 T2 L2 S S", "1!: G1 P1 | W1 S", "2!: G1 P1 | W2 L S"}}),

		// New pages, and deleted ones.
		{"death-new", 2, 1, {"N D@ | N D@", "L", "1!: G0 P0 | N D@"}},
		{"death-new-got-at-once", 1, 1, {"G0 P0 | Y1 D1", "L", "1!: G0 P0 | N D@"}},
		{"death-new-requested", 2, 1, {"G0 P0 | Y1 P1 R2 P2", "L", "1!: G0 P0 | R1 D1"}},
		{"death-delete", 1, 2, {"G1 P1 | G0 P0", "L", "1!: G0 | X0"}},
		{"death-delete-of-modified", 1, 2, {"G1 P1 | G1 P1", "L S", "1!: G0 | D0 G0 X0"}},
		{"death-delete-of-shared", 2, 2, {"G0 | H0 P0 X0", "L", "1!: G0 | X0"}},

		// The table grows, the overflow grows and goes.
		{"death-table-growth", 2, 8, {"G5 P5 | H0 P0 G7 P7", "L", "1!: G0 G1 G2 G3 G4 G5 | G6 P6"}},
		{"death-table-growth-two", 2, 9, {"G0 G1 G2 G3 G4 G5 | G6 P6", "L", "1!: G5 P5 | G7 P7 H0 D0"}},
		{"death-table-drained", 2, 12,
			{"G0 G1 G2 G3 G4 G5 G6 P6 | G7 P7 H0 P0 G9 P9", "L",
				"1!: G5 P5 | G8 P8 H1 P1 G10 P10 G11 P11"}},
		{"death-table-shrinks", 2, 12,
			{"G5 P5 | G5 P5 G0 P0", "L", "1!: G0 G1 G2 G3 G4 G5 G6 P6 P5 P4 P3 P2 P1 P0 | G7 P7 G8 P8"}},
		{"death-overflow-grows", 1, 12, {"G0 P0 | G10 P10", "L", "1!: G0 G1 G2 G3 G4 G5 G6 G7 G8 | G9"}},
		by_chance({"death-overflow-told-over", 1, 3, {"G0 | G1", "L", "1!: G2 P2 | S"}}, kRunsOfRare),
		{"death-overflow-emptied", 1, 4, {"G0 P0 | G0 P0", "L", "1!: G1 G2 P1 P2 | S G3 G0"}},
		{"death-overflow", 1, 4, {"G2 | P2 G2 P2", "L", "1!: G0 | G1 P0 P1"}},
		{"death-segment-given-back", 1, 14,
			{"G0 G1 G2 G3 G4 G5 G6 G7 G8 G9 G10 P0 X1 X2 X3 X4 X5 X6 X7 X8 X9 X10 | G13 P13", "L",
				"1!: G12 P12 | G11 P11"}},
		{"death-overflow-given-back", 1, 14,
			{"G0 G1 G2 G3 G4 G5 G6 G7 G8 G9 G10 P0 P1 P2 P3 P4 P5 P6 P7 P8 P9 P10 | G13 P13 G9 D9", "L",
				"1!: G12 P12 | G11 P11"}},

		// Who recovers dies too.
		by_chance({"death-twice-pinned", 1, 2, {"G0 | L2 A0 P0 G1 P1", "2!: L", "1!: G0 | D0"}}),
		by_chance({"death-twice-load", 2, 2, {"G1 P1 | G0 D0", "L2", "2!: L", "1!: G1 P1 | G0"}}),
		by_chance({"death-twice-eviction", 1, 2, {"G0 D0 | L2 G0 D0", "2!: L", "1!: G0 P0 | G1"}}),
		by_chance({"death-twice-sync", 1, 1, {"G0 D0 | L2 S", "2!: L", "1!: G0 P0 | S"}}),
		by_chance({"death-twice-delete", 1, 2, {"G1 P1 | L2 G0 P0", "2!: L", "1!: G0 | X0"}}),
		by_chance({"death-twice-table-growth", 2, 8,
			{"G5 P5 | L2 H0 P0", "2!: L", "1!: G0 G1 G2 G3 G4 G5 | G6"}}),
		// Two recover at once, by the pool's lock, and one of them dies, with it or waiting for it.
		by_chance({"death-two-recover", 1, 2, {"G1 P1 | L G0 P0", "2: G1 P1 | L", "1!: G0 P0 | G1 D1"}}),
		by_chance({"death-threads-recover", 1, 2, {"G1 P1 | L G0 P0", "G1 P1 | L", "1!: G0 P0 | G1 D1"}}),
		by_chance({"death-lock-waited-for", 1, 2,
			{"G0 D0 | L2 G0 D0", "3: G0 P0 | L2", "2!: G0 P0 | L", "1!: G0 P0 | G1"}}),
		by_chance({"death-of-two", 2, 2, {"G1 P1 | L L2 G0 D0", "2!: G1 P1 | G0", "1!: G1 P1 | G0"}}),

		// Processes come and go.
		attached({"death-file-attach", 1, 4, {"G0 P0 | +1 G1 D1", "L", "1!: G0 P0 | +1 G1 D1 -1"}}),
		attached({"death-file-kept", 1, 4, {"+1 G1 D1 | G1 D1 G3 P3", "L", "1!: +1 | G1 D1 -1"}}),
		attached({"death-file-close", 1, 4, {"G0 P0 | +1 G1 P1 -1", "L", "1!: +1 G1 D1 | -1"}}),
		attached({"death-file-give", 2, 8, {"+5 | G5 D5", "L", "1!: +5 G0 P0 | +1 G1 D1 G5 D5"}}),
		attached({"death-file-again", 1, 8, {"G0 P0 | +5 G5 D5 -5", "L", "1!: +1 G1 D1 | -1 +5 G5 D5"}}),
		attached({"death-file-evicted", 1, 8,
			{"G0 P0 | G0 P0 G2 P2", "L", "1!: +1 | G1 D1 -1", "2: +1 | G1 P1"}}),
		attached({"death-file-evicts", 1, 4, {"+1 G1 D1 | G1 D1", "L", "1!: G2 P2 | G0 P0"}}),
		attached({"death-file-sync", 2, 4, {"+1 G1 D1 | G1 D1 o1", "L", "1!: +1 | G1 D1 o1"}}),
		attached({"death-file-two", 2, 8, {"G0 P0 | +1 G1 D1 +5 G5 D5", "L", "1!: +1 G1 D1 +5 G5 D5 | -5 -1"}}),
		attached({"death-file-join", 1, 4, {"+1 G1 D1 | G1 D1", "L", "1!: J +1 G1 D1 Z"}}),
		unwatched(attached({"death-file-unwatched", 1, 8, {"+1 G1 D1 | +5 G5 D5", "1!: +5 G0 P0 | G5 D5 -5"}})),
		by_chance(attached({"death-twice-file", 1, 4, {"G0 P0 | L2 +1 G1 D1", "2!: L", "1!: +1 G1 D1 | -1"}})),
		by_chance(attached({"death-twice-file-give", 1, 4,
			{"+1 G0 P0 | L2 G1 D1", "2!: +1 | L G3 P3", "1!: +1 G0 P0 | G1 D1"}})),
		{"death-join", 1, 2, {"G0 | D0 G1 P1", "L", "1!: J G0 D0"}},
		growing(3, {"death-join-grows", 1, 3, {"G0 D0 | G1 P1 G2 P2", "L", "1!: J G0 P0"}}),
		{"death-join-recovers", 1, 2, {"G0 | D0 G0 P0", "2: J G1 P1", "1!: G1 P1 | G0 D0"}},
		{"death-leave", 1, 2, {"G0 | D0 G1 P1", "L", "1!: G0 G1 P1 | G1 Z"}},
		{"death-leave-of-another", 1, 2, {"G0 | D0 G1 P1", "2: G0 G1 P1 | Z", "L", "1!: G0 | D0 G1 P1"}},

		// A process forks, and its other threads are not in the child.
		{"fork-limit", 3, 4, {"G0 P0 | C3 G2 D2 G3 P3", "3~: G1 P1 G2 D2 | =1"}},
		{"fork-truncate", 3, 3, {"G0 P0 | C3 Y2 P2 N D@", "3~: G2 D2 | s1"}},
		{"fork-truncate-pinned", 3, 3, {"G0 P0 G1 | C3 D1 Y2 P2", "3~: G2 D2 | s1"}},
		{"fork-invalidate", 2, 2, {"G1 P1 | C3 G0 P0", "3~: G0 P0 | %0 G0 P0"}},
		// Pins.
		{"fork-hit", 2, 2, {"G0 | C3 A0 P0 G1 P1", "3~: G0 P0 | G0 P0 G0 D0 G0"}},
		{"fork-pinned", 1, 2, {"G0 | C3 A0 G0 P0 P0 G1 P1", "3~: G0 G0 | D0"}},
		{"fork-put-by-another", 2, 2, {"G0 | O0 G1 C3 P1 G0 P0", "3~: G1 P1 | F0"}},
		{"fork-puts-locked", 3, 3, {"G2 | G1 C3 P1 P2 G0 P0", "3~: G0 | P0 G0 O0", "3~: G1 P1 | F0"}},
		{"fork-thread-end", 2, 3, {"G2 P2 | C3 G0 P0 G2 P2", "3~: G0 | G1 P1"}},
		{"fork-look", 1, 2, {"G1 P1 | C3 G1 P1", "3~: G0 P0 | I0 G0"}},
		{"fork-many-pins", 9, 10, {"G9 P9 | C3 G9 P9", "3~: G0 G1 G2 G3 G4 G5 G6 G7 | G8 D8 P0"}},
		{"fork-many-pins-of-ours", 9, 10,
			{"G0 G1 G2 G3 G4 G5 G6 G7 G8 | C3 A0 P0 A8 P8 G9 P9", "3~: G9 P9 | G9 G0 P0"}},

		// Latches.
		{"fork-latch", 2, 2, {"G0 | C3 l0 A0 m0 P0 G1 P1", "3~: G0 | l0 m0 l0"}},
		{"fork-latch-shared", 2, 2, {"G0 | C3 l0 m0 d0 u0", "3~: G0 | d0 u0 d0"}},
		{"fork-latch-of-ours", 2, 3, {"G0 l0 G1 d1 | C3 u1 m0 l1 l0 m0 u1", "3~: G2 | l2 P2"}},
		{"fork-peek", 2, 2, {"G0 P0 p0 | C3 p0 G1 P1 p0", "3~: G0 | l0 m0 l0 m0"}},
		{"fork-peek-evicts", 1, 3, {"G0 P0 p0 | C3 p0 G1 P1 p0", "3~: G2 P2 | G0 P0 G2 P2"}},
		{"fork-latch-only", 2, 2, {"i1 G0 | C3 A0 l0 A0 m0", "3~: G0 G1 | l0 m0 l0"}},
		bounded(1, {"fork-latch-turn", 2, 2, {"G0 | C3 l0 A0 m0", "3~: G0 l0 | m0 l0 m0", "3~: G0 P0 | S"}}),
		{"fork-latch-first", 2, 2, {"G0 | C3 l0 m0", "3~: G0 | l0 m0 d0"}},

		// Misses, eviction, write-back.
		{"fork-load", 2, 2, {"G1 P1 | C3 G0 D0", "3~: G1 P1 | G0 P0"}},
		{"fork-load-waited-for", 2, 2, {"G1 P1 | C3 G0 D0", "3~: | G0 P0", "3~: G1 P1 | G0 P0"}},
		{"fork-eviction", 1, 2, {"G0 P0 | C3 G0 P0 G1 P1", "3~: G0 D0 | G1 D1"}},
		fenced({"fork-eviction-fenced", 1, 2, {"G0 P0 | C3 G0 P0 G1 P1", "3~: G0 D0 | G1 D1"}}),
		{"fork-rescue", 1, 2, {"G1 P1 | G1 C3 P1 G0 D0", "3~: G0 D0 | G0 P0"}},
		{"fork-two-evictors", 2, 4, {"| C3 G0 D0 G1 D1", "3~: G0 D0 | G2 D2", "3~: G1 D1 | G3 D3"}},
		{"fork-evictable", kFull, kFullPages,
			{"G" + kLast + " P" + kLast + " | C3 G1 P1 G64 P64",
				"3~: " + filled() + " | G1 P1 G2 D2 G65 P65"}},
		{"fork-sync", 2, 2, {"G0 | C3 D0 S", "3~: G1 | D1 S"}},
		{"fork-put-sync", 2, 2, {"G1 | C3 S D1 S", "3~: G0 | D0 G0 P0"}},
		{"fork-swept", 2, 2, {"G0 D0 | C3 G0 D0 S", "3~: G1 P1 | S"}},
		{"fork-sync-range", 2, 2, {"G0 | C3 D0 o0", "3~: G1 | D1 o1"}},
		{"fork-sync-alone", 2, 2, {"| C3 S G0 D0 S", "3~: G0 D0 G1 D1 | S"}},
		{"fork-sync-of-pinned", 2, 2, {"G0 D0 G0 | C3 D0 S", "3~: G1 D1 | S"}},
		{"fork-sync-eviction", 1, 2, {"G0 D0 | C3 G0 P0 S", "3~: G0 P0 | S", "3~: G1 P1 | G1 D1"}},

		// ... and the kernel's write-back has failed.
		{"fork-told", 1, 2, {"| C3 S S", "3~: G0 D0 G1 P1 | E S"}},
		failing(fail_syncs, {"fork-told-again", 1, 2, {"| C3 S S", "3~: G0 D0 | S G1 P1 E S"}}),
		{"fork-hook", 1, 3, {"Q G0 P0 | C3 G0 D0 G1 P1 S", "3~: G0 D0 | G1 P1"}},
		{"fork-told-in-memory", 2, 2, {"| C3 G0 D0 S S", "3~: G0 D0 | S G0 D0 E S"}},
		{"fork-told-another", 1, 2, {"G0 P0 | C3 G0 D0 G1 P1 S S", "| E U", "3~: G1 P1 | S"}},

		// Several reads in flight, some of them the pool's own.
		{"fork-getv", 2, 4, {"G1 P1 | C3 v12 P1 P2 G0 D0", "3~: | v012 P0 D1 P2"}},
		{"fork-getv-waited-for", 3, 3, {"G2 P2 | C3 v01 D0 P1", "3~: | G0 P0", "3~: | v10 P0 P1"}},
		{"fork-prefetch", 3, 4, {"G3 P3 | C3 G0 P0 v12 P1 D2", "3~: e1 r012 q", "3~: b"}},
		{"fork-prefetch-workers", 3, 4, {"G3 P3 | C3 G0 P0 v12 P1 D2", "3~: r02 q", "3~: b"}},
		{"fork-readahead", 3, 4, {"G3 P3 | C3 G1 P1 G2 D2", "3~: a4 G0 P0 | G1 P1 G2 P2"}},

		// New pages, deleted ones, growth.
		{"fork-new", 2, 1, {"G0 P0 | C3 N D@ G0 P0", "3~: G0 P0 | N D@"}},
		{"fork-delete", 1, 2, {"G1 P1 | C3 G0 P0 G1 P1", "3~: G0 | X0"}},
		{"fork-delete-left-alone", 2, 2, {"G1 | C3 P1", "3~: G0 | X0"}},
		{"fork-delete-of-modified", 1, 2, {"G1 P1 | C3 S G1 P1", "3~: G0 | D0 G0 X0"}},
		{"fork-delete-of-ours", 2, 2, {"G0 | O0 C3 G1 P1 G0 P0", "3~: G1 P1 | x0"}},
		{"fork-table-growth", 2, 8, {"G5 P5 | C3 G0 P0 G7 P7", "3~: G0 G1 G2 G3 G4 G5 | G6 P6"}},
		{"fork-table-drained", 2, 12,
			{"G5 P5 | C3 G8 P8 G1 P1 G10 P10 G11 P11", "3~: G0 G1 G2 G3 G4 G5 G6 P6 | G7 P7 G0 P0 G9 P9"}},
		{"fork-table-shrinks", 2, 12,
			{"G5 P5 | C3 G5 P5 G0 P0", "3~: G0 G1 G2 G3 G4 G5 G6 P6 P5 P4 P3 P2 P1 P0 | G7 P7 G8 P8"}},
		{"fork-overflow-grows", 1, 12, {"G0 P0 | C3 G10 P10", "3~: G0 G1 G2 G3 G4 G5 G6 G7 G8 | G9"}},
		{"fork-overflow", 1, 4, {"G2 | C3 P2 G2 P2", "3~: G0 | G1 P0 P1"}},
		{"fork-segment-given-back", 1, 14,
			{"G0 G1 G2 G3 G4 G5 G6 G7 G8 G9 G10 P0 X1 X2 X3 X4 X5 X6 X7 X8 X9 X10 | C3 G13 P13",
				"3~: G12 P12 | G11 P11"}},
		{"fork-overflow-given-back", 1, 14,
			{"G0 G1 G2 G3 G4 G5 G6 G7 G8 G9 G10 P0 P1 P2 P3 P4 P5 P6 P7 P8 P9 P10 | C3 G13 P13 G9 D9",
				"3~: G12 P12 | G11 P11"}},

		// The child has threads of its own, and forks.
		{"fork-called-by-two", 2, 3, {"G2 | C3 T0 G0 D0 P2", "W0 G1 P1 G0 P0", "3~: G0 P0 | G1 D1"}},
		bounded(1, {"fork-adopted-by-two", 2, 3, {"G2 | C3 T0 P2 G0 W1 A0 P0", "W0 G2 T1 P2", "3~: G1 P1 |"}}),
		bounded(1, {"fork-heir-ends", 2, 3, {"G0 | C3 T0", "W0 G1 P1 G2 P2", "3~: G1 | D1"}}),
		{"fork-twice", 2, 2, {"G0 | C3 T0 C2 A0 P0 G1 P1", "2~: W0 G1 P1", "3~: G1 P1 | G1 D1"}},
		by_chance({"fork-twice-sync", 2, 2, {"G0 | C3 T0 C2 A0 D0 S", "2~: W0 S", "3~: G1 P1 | G1 D1 S"}}),
		{"fork-twice-by-another", 2, 2,
			{"W1 C2 G0 P0 G1 P1", "2~: G0 | C3 T0 T1 P0", "2~: W0 G1 P1", "3~: G1 P1 | G1 D1"}},
	};
}

} // namespace

const std::vector<Scenario> &scenarios()
{
	static const std::vector<Scenario> all = [] {
		std::vector<Scenario> made = make();
		for (Scenario &s : made)
			if (s.bound == 0)
				s.bound = is_deadly(s)           ? kBoundOfDeaths
				          : s.threads.size() > 2 ? kBoundOfMany
				                                 : kBoundOfTwo;
		return made;
	}();
	return all;
}

// ---- by chance -------------------------------------------------------------

namespace {

constexpr unsigned kThreadsLeast = 2, kThreadsMost = 5;
constexpr unsigned kFramesMost = 3, kPagesMost = 4, kOpsMost = 8;
constexpr unsigned kSyncEvery = 12, kLookEvery = 16, kOfferEvery = 10;

} // namespace

Scenario random_scenario(uint64_t seed)
{
	std::mt19937_64 random(seed);
	auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
	Scenario s;
	s.name = "random-" + std::to_string(seed);
	s.frames = 1 + below(kFramesMost);
	s.pages = 2 + below(kPagesMost - 1);
	s.fenced = below(8) == 0;
	unsigned threads = kThreadsLeast + below(kThreadsMost - kThreadsLeast + 1);
	std::string offered;
	for (unsigned t = 0; t < threads; t++) {
		std::string script;
		std::vector<unsigned> held;
		for (unsigned n = 2 + below(kOpsMost); n > 0; n--) {
			std::string page = std::to_string(below(s.pages));
			if (!held.empty() && below(2)) {
				std::string last = std::to_string(held.back());
				bool offer = t + 1 < threads && below(kOfferEvery) == 0;
				script += offer ? " O" + last : (below(2) ? " D" : " P") + last;
				if (offer)
					offered += (below(2) ? " F" : " f") + last;
				held.pop_back();
			} else if (below(kSyncEvery) == 0) {
				script += " S";
			} else if (below(kLookEvery) == 0) {
				script += " I" + page;
			} else {
				script += " G" + page;
				held.push_back(static_cast<unsigned>(std::stoul(page)));
			}
		}
		for (; !held.empty(); held.pop_back())
			script += " P" + std::to_string(held.back());
		s.threads.push_back(script);
	}
	s.threads.back() += offered;
	return s;
}

} // namespace explore
