// file.hpp - the file of a run, in memory, and what goes wrong with it.
//
// Owns the bytes that the kernel has and those that are on stable storage.
//
// SPDX-License-Identifier: BSD-2-Clause
#ifndef EXPLORE_FILE_HPP
#define EXPLORE_FILE_HPP

#include <cstddef>
#include <cstdint>
#include <vector>

#include <sys/types.h>

namespace explore {

constexpr int kFile = 1000; // its descriptor, the caller's
// ... and those of two other files, of which each has some of the pages, if `file_has` says so.
constexpr int kOtherFile = 900;
constexpr unsigned kFiles = 3;
// Those that are opened in the run; each is an open file description, whoever has it.
constexpr int kOpened = 2000;
// An eventfd of the program's.
constexpr int kEvent = 1500;
// One of the library's, for whoever waits in a store (scenario.cpp): nobody there does for long.
constexpr int kWake = 1501;

struct Faults {
	// The n-th call from the run's start on fails (1: the first; 0: none).
	unsigned read = 0, write = 0, sync = 0, memory = 0, hook = 0;
	int error = 5; // EIO
};

void file_begin(size_t page_bytes, unsigned pages);
// Which of the files has page `n`; NULL: all have the same pages.
extern unsigned (*file_has)(unsigned n);
// Bytes of page `n` on stable storage; nullptr: beyond the end.
const char *file_stable(unsigned n);
// ... as the kernel has them.
char *file_fill(unsigned n);
// What was filled in is on stable storage.
void file_filled();
// Calls are counted from here on.
void file_faults(const Faults &faults);
// One has failed since.
bool file_faulted();
// A hook of the program's is called, which counts as one of these: does it fail?
bool hook_fails();
// Told of each page that is written; NULL: nobody is.
extern void (*file_writes)(unsigned page);
// The kernel writes what it has, and cannot: it is thrown away, and will be told of.
void file_write_back_fails();
// Another machine writes a word of page `n`, which is on stable storage at once.
void file_write_by_another(unsigned n, unsigned word, uint64_t value);
// Pages that the file has.
unsigned file_pages();
// Another program's fsync.
void file_sync_by_another();
// Where an open file description is, and by which of them the current thread made its last fsync.
off_t file_offset(int fd);
int file_synced_by();
// Has a write-back failed in this run?
bool file_lost_some();
// A run begins.  `fenced`: membarrier is refused.
void system_begin(bool fenced);
// The kernel ends a process: its locks go, its calls stop halfway.
void system_died(unsigned process);

// A thread of that process is to be what the library makes as a thread of its own: the current
// one is, from here to that thread's end.
void maid_wanted(unsigned process);
void maid_works();
// Wait for that end, if there is such a thread.  How many events were told.
unsigned maid_ends();

// The thread's end: destructors of its keys.
void thread_end();

} // namespace explore

#endif
