// scenario.hpp - small programs for a pool, and what must come of them.
//
// Owns the truth about a run: what each thread has put into each page, who holds
// which pin, what a sync has promised.
//
// A thread's script: what stands before '|' is done before the run, undisturbed.
//
//   G<p>  get page p, and hold it            P<p>  put it
//   D<p>  modify it, put it dirty            H<p>  get it: a hit, which waits for nobody
//   Y<p>  get it, if it exists already       I<p>  look at it with MPOOL_IGNOREPIN
//   N     make a new page; '@' for p is it   R<p>  make page p
//   X<p>  delete it                          S     sync
//   O<p>  leave the pin to another thread    F<p>  wait for such a pin, put it
//   f<p>  the same, modified                 x<p>  wait for such a pin, delete the page
//   V<p>  put it, which nobody has pinned    B<p>  put another thread's pin, which it may put itself
//   M     make the last page there can be  c<n>  make n frames evictable
//   o<p>  sync page p: mpool_sync_range    t<p>  the same, written by one call, flushed by another
//   w<p>  the same, unless it is pinned: MPOOL_WHOLE
//   E     the kernel writes back, and fails  U     another program's fsync of the file
//   T<n>  give token n                       W<n>  wait for token n
//
//   s<n>  cut the file: n pages are left     %<p>  another machine writes page p, which this one forgets
//
//   v<p>  get pages, as many as there are digits: mpool_getv
//   r<p>  prefetch pages, the same way       k<p>  get page p, if it is in memory
//   Q     have hooks, which look at each page; before all calls of the process
//   Q<n>  the same; this thread's before_write waits for token n, of 1 to 3
//   a<n>  read ahead n pages at the most     e<n>  have that engine
//   /<n>  have n requests in flight at the most
//   h<n>  have n cleaners; 0: and wait until the one that there was has ended
//   l<p>  latch page p, which is held, exclusively; d<p>: shared
//   y<p>  try to; z<p>: the same, shared
//   u<p>  unlatch it, if it is latched      m<p>  modify it, unlatch it dirty
//   p<p>  peek at page p, and read it; if it is unchanged then, it was as it should be
//   j<p>  note its version                  g<p>  latch it exclusively, if that has not changed
//   =<n>  MPOOL_MAXCACHE is n
//   &     be the thread of a store's that answers what it was asked for, until ^
//   i<n>  MPOOL_LATCHED is n            $<p>  close the attached file of page p, attach it again
//   +<p>  attach the file of page p     -<p>  close it
//   #<p>  get, of the first file, the number that page p of an attached file has in the pool: there is no such page
//
//   b     be the thread of its own that the library makes in this process, until q
//   q     wait until that has finished what it was given, and ends
//
// All puts of a thread's own pins must be as quick as hits.  What a thread holds
// at its end stays pinned.
//
// A script that begins with a number and ':' is of a thread of that process, '!:'
// of one that is doomed.  Then the pool is shared by all of them; the others are
// threads of process 0, which is never doomed.
//
//   L     wait until one more process has died, and recover it; L<n>: until n have
//   A<p>  ask whether page p, which is held, was abandoned
//   K<p>  forgive it; those who had it pinned and died have been recovered by then
//   J     join the pool, which the process has not done before
//   Z     leave it
//
// A script that begins with a number and '~:' is of a thread of process 0's, and of a
// private pool, that is not in the child of a fork.
//
//   C<n>  fork, and go on as the child, in which those of number n are not: at whatever they
//         are just then.  Threads that have called nothing before may be the child's.
//
// SPDX-License-Identifier: BSD-2-Clause
#ifndef EXPLORE_SCENARIO_HPP
#define EXPLORE_SCENARIO_HPP

#include <string>
#include <vector>

#include "file.hpp"
#include "memory.hpp"
#include "schedule.hpp"

namespace explore {

// Pages of an extent: a page and the one so far behind it may have one number in the pool.
constexpr unsigned kFar = 4;

enum Kind { fail_nothing, fail_reads, fail_writes, fail_syncs, fail_memory, fail_hooks };

struct Scenario {
	std::string name;
	unsigned frames; // maxcache
	unsigned pages;  // in the file
	std::vector<std::string> threads;
	bool one_bucket = false;   // all pages have one home
	bool fenced = false;       // membarrier is refused
	Kind fails = fail_nothing; // the first such call, the second, ... in turn
	unsigned bound = 0;        // deviations, in the short run
	bool watched = true;       // somebody looks for the dead; else those who wait do
	uint64_t by_chance = 0;    // so many random runs, in the short run
	bool silent = false;       // nobody hands out descriptors: they are all stopped when they are asked
	unsigned joins = 0;        // maxcache of who joins in the run; 0: as above
	bool unlisting = false;    // every scan unlists the stripes that it finds empty
	// The file is attached twice, too: by the one handle odd pages are had, by the other those from kFar on.
	// Of a pool that is shared these are two files more, which processes attach by '+', and close.
	bool attached = false;
	// The pool is a store's, which is the file; with a submit, answered in it, or by a thread.
	enum Store { no_store, store_blocks, store_at_once, store_later, store_helped } store = no_store;
	bool narrow = false; // ... and the pool has one extent for both: there may be EFBIG
};

// Does a process die in it?
bool is_deadly(const Scenario &scenario);
// Does one fork?
bool forks(const Scenario &scenario);

const std::vector<Scenario> &scenarios();
// One of any size, by chance.
Scenario random_scenario(uint64_t seed);

struct Options {
	Model model = Model::c11;
	unsigned nth = 0; // which call fails
};

// One run.  Empty: all is well.
std::string run_once(const Scenario &scenario, const Options &options, Decider &decider);
// The call that was to fail was made in one of the runs since the last question.
bool fault_happened();

// The deaths in all runs, by the call in which they were.
struct Deaths {
	uint64_t all = 0;
	unsigned places = 0; // lines of the source
	std::string by_call;
};
Deaths deaths_so_far();

} // namespace explore

#endif
