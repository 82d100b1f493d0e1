// memory.hpp - the memory of a run: what a load may give, and who raced.
//
// Owns the arena that all of the library's memory comes from, the stores made to
// each word of it, and the shadow that plain accesses leave.
//
// Atomic words.  A word keeps its stores, oldest first.  A store takes its place
// when it is executed; a locked operation works on the newest.  A load gives any
// store that its thread can have missed so far: not one that is older than
// another it knows of.  A thread knows its own stores, what it has read, and
// what those knew whose release it has acquired (C11's happens-before); after
// barrier_heavy and fences, all that was fenced before.  So a plain store may
// stay invisible to others, as in a store buffer, for as long as C11 allows; a
// relaxed one may be overtaken by later ones, as no x86 would.
//
//   sequentially consistent   A load does not miss what such stores, and fenced
//                             threads, wrote to its word before.
//   heavy barrier             A fence in the caller, in each other thread of the
//                             process, or of all processes, at
//                             one instant each, and in the caller again.
//
// With `x86`, locked operations and sequentially consistent stores are fences,
// every store releases and every load acquires.
//
// Not to be had: a load that gives a store which is executed later (load
// buffering), and stores to one word that change places.
//
// Plain memory.  A load gives the newest value, and two accesses, one of them a
// store, that neither happens before the other are a race, which is a fault.
// Hidden are the library's copies that race on purpose.
//
// SPDX-License-Identifier: BSD-2-Clause
#ifndef EXPLORE_MEMORY_HPP
#define EXPLORE_MEMORY_HPP

#include <cstddef>
#include <cstdint>
#include <string>

#include "schedule.hpp"

namespace explore {

enum class Model { c11, x86 };

// ---- the arena -------------------------------------------------------------

// Start a run with nothing: no memory, no stores, no knowledge.
void memory_begin(Model model);
void *memory_get(size_t bytes, size_t align);
void memory_give(void *p);
size_t memory_size(const void *p);
// Blocks that were not given back, but for those of processes that died.
size_t memory_blocks();
bool in_arena(const void *p);

// An object that processes share, of whole pages: it has memory, zeros, only where
// that was asked for, and whoever touches it elsewhere is found.
constexpr size_t kMemoryPage = 128; // as small as it may be: so that frames' memory is given back, two at a time
void *memory_object(size_t bytes);
bool in_object(const void *p);
void memory_populate(void *p, size_t bytes);
void memory_remove(void *p, size_t bytes);
bool memory_is_there(const void *p);

// ---- accesses --------------------------------------------------------------

enum class Order { relaxed, acquire, release, acq_rel, seq_cst };

using Change = uint64_t (*)(uint64_t old, uint64_t operand);

uint64_t load(const void *at, unsigned bytes, Order order, const void *code);
void store(void *at, unsigned bytes, uint64_t value, Order order, const void *code);
// Returns the value before.
uint64_t modify(void *at, unsigned bytes, Change change, uint64_t operand, Order order, const void *code);
bool compare_exchange(
	void *at, unsigned bytes, uint64_t *expected, uint64_t value, Order order, Order failure, const void *code);
void fence();
// Of all threads of this process, or of all processes.
void heavy_barrier(bool of_all);

void plain_read(const void *at, size_t bytes, const void *code);
void plain_write(void *at, size_t bytes, const void *code);
// Called after a plain store; nullptr: it is not.
extern void (*stored)(const void *at);

// Synchronization that is not the library's: a mutex, or one thread telling
// another.
struct Token {
	Clock order, visible;
	void release();
	// A thread that died has done so: all its stores are there.
	void release_of(unsigned thread);
	void acquire() const;
};

// ---- which words matter ----------------------------------------------------

// A thread need only be preempted before it touches a word that others touch
// too.  Which those are is learnt from run to run of one scenario.
void words_forget();
// All of them do, for runs that are not told by what was learnt before.
void words_all_matter(bool all);
// Were more learnt?  Then what was explored since the last call was too little.
bool words_learnt();
// Will they be?
bool words_to_learn();

// ---- what is told of a run -------------------------------------------------

// Print each access from now on.
void trace(bool on);
void trace_line(const char *what, const void *at, uint64_t value, const void *code);
bool tracing();
// Names a word; set by who knows.
extern std::string (*name_word)(const void *at);
// Called after each locked operation and store, with the newest values in
// memory: looks for what is wrong.
extern void (*watch)();
void look();

} // namespace explore

#endif
