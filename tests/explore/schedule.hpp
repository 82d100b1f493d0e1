// schedule.hpp - threads as fibres, and who decides what happens next.
//
// Owns the fibres of a run and the sequence of its decisions.  All of them run
// on one operating-system thread; one gives way to another only in `point`,
// `block`, `yield` and at its end, so a run is determined by the decisions, and
// can be had again from them.  Moments are counted wherever a decision could be
// made, made or not.
//
// A decision picks one of several alternatives.  The first is what would happen
// by itself: the thread goes on, a load gives the newest value.  Any other is a
// deviation: the thread is preempted, the load gives an older value.  Who runs
// when a thread has ended or blocks is free.
//
// Threads belong to processes.  One that is doomed dies in every run: before a
// step of one of its threads that others could notice, or when all of them have
// ended.  Where it does is a decision too, and free: it dies everywhere in turn.
// Its threads stop for good at that instant.
//
// Those of process 0 that are not in the child of a fork are a process of that kind too,
// of process 0's memory, whose instant is one at which the thread that forks does so.
//
// SPDX-License-Identifier: BSD-2-Clause
#ifndef EXPLORE_SCHEDULE_HPP
#define EXPLORE_SCHEDULE_HPP

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "clock.hpp"

namespace explore {

struct Choice {
	unsigned moment, taken; // the alternative that was taken then
};
using Choices = std::vector<Choice>; // those that are not the first alternative

std::string to_string(const Choices &choices);
bool from_string(const std::string &text, Choices *choices);

// Decides.  One object lives for all runs of a scenario.
class Decider {
public:
	virtual ~Decider() = default;
	virtual void begin() { choices_.clear(); }
	// One of n > 1 alternatives; `free`: any of them is as good as the first.
	unsigned choose(unsigned moment, unsigned n, bool free);
	// One of n > 1 threads; thread[0] goes on, unless `free`.
	unsigned choose_thread(unsigned moment, const unsigned *thread, unsigned n, bool free);
	// Does a process that is doomed die here?
	bool choose_death(unsigned moment);
	// To the next run; false: all have been made.
	virtual bool next() = 0;
	// So far the run is the one before, step by step.
	virtual bool as_before() const { return false; }
	const Choices &choices() const { return choices_; }

protected:
	virtual unsigned decide(unsigned moment, unsigned n, bool free) = 0;
	virtual unsigned decide_thread(unsigned moment, const unsigned *, unsigned n, bool free)
	{
		return decide(moment, n, free);
	}
	virtual unsigned decide_death(unsigned moment) { return decide(moment, 2, true); }

private:
	unsigned noted(unsigned moment, unsigned taken);
	Choices choices_;
};

// Every run with at most `bound` deviations, depth first.
class Exhaustive : public Decider {
public:
	explicit Exhaustive(unsigned bound) : bound_(bound) {}
	void begin() override;
	bool next() override;
	bool as_before() const override { return at_ < same_; }

protected:
	unsigned decide(unsigned moment, unsigned n, bool free) override;

private:
	struct Step {
		unsigned taken, n;
		bool free;
	};
	unsigned bound_, used_ = 0;
	size_t at_ = 0;
	size_t same_ = 0; // up to the decision of that number all are as in the run before
	std::vector<Step> steps_;
};

// PCT: threads have random priorities, the highest that can run does; at a few
// random moments the running one becomes the lowest.  Loads are stale at random.
class Random : public Decider {
public:
	Random(uint64_t seed, uint64_t runs, unsigned changes) : seed_(seed), last_(seed + runs), changes_(changes) {}
	void begin() override;
	bool next() override { return ++seed_ < last_; }
	uint64_t seed() const { return seed_; }

protected:
	unsigned decide(unsigned moment, unsigned n, bool free) override;
	unsigned decide_thread(unsigned moment, const unsigned *thread, unsigned n, bool free) override;
	unsigned decide_death(unsigned moment) override;

private:
	uint64_t seed_, last_;
	unsigned changes_;
	std::mt19937_64 random_;
	int priority_[kThreads] = {};
	int lowest_ = 0;
	unsigned length_ = 0;
	std::vector<unsigned> change_at_;
	unsigned die_every_ = 1; // so many steps, on average
};

// One run again.
class Replay : public Decider {
public:
	explicit Replay(Choices choices) : wanted_(std::move(choices)) {}
	void begin() override { Decider::begin(), at_ = 0; }
	bool next() override { return false; }

protected:
	unsigned decide(unsigned moment, unsigned n, bool free) override;

private:
	Choices wanted_;
	size_t at_ = 0;
};

// ---- the run ---------------------------------------------------------------

// Run threads 1 .. n, `body(thread)` each, until all have ended or something was
// found wrong.  Empty: all is well.
std::string run(Decider &decider, unsigned n, const std::function<void(unsigned)> &body);

// Before the run: all threads are process 0's, which is not doomed.
void set_process(unsigned thread, unsigned process);
void doom(unsigned process);
unsigned process_of(unsigned thread);
bool alive(unsigned process);
// The threads of `process` are process 0's, and gone in a child of its.
void set_gone(unsigned process);
bool is_gone(unsigned process);
// Whose memory, locks and pools the thread's are.
unsigned space_of(unsigned thread);
// The current thread forks, as soon as `process` is gone; what is held by a thread of that
// meanwhile (hold, let_go) it waits for.
void fork_without(unsigned process);
void hold();
void let_go();
// A thread of the process runs from now on.
extern void (*process_runs)(unsigned process);
// A process has just died; its last step was to be from `code`.
extern void (*died)(unsigned process, const void *code);

// Who runs; schedule.cpp alone changes it.  Every access of every thread asks.
struct Now {
	unsigned thread;
	bool active; // in a run
};
extern Now now;

// True in the threads of `run`; false before and after, when only thread 0 is.
inline bool running()
{
	return now.active;
}
inline unsigned current()
{
	return now.thread;
}
// Thread `t` takes part in the run.
bool started(unsigned t);
// Let `body` be thread `t` for a moment, undisturbed: for preparations.
void as_thread(unsigned t, const std::function<void()> &body);

// The current thread is about to do what others may notice: they may be faster.
// `changes`: it is no mere look, so a process that dies before it dies otherwise
// than after it.
void point(bool changes = true, const void *code = __builtin_return_address(0));
// ... or not: nobody would notice.
void no_point();
// Wait until `wake(what)`.  `busy`: nobody may have to do so during a hit.
void block(const void *what);
void wake(const void *what);
// The same, but not for ever: false when nobody else can do anything any more.
bool block_for_a_time(const void *what);
// Let others go first until one of them changes something.
void yield();
void changed();
// One of n >= 1 alternatives.
unsigned choose(unsigned n);

// Something is wrong: the run ends here.
[[noreturn]] __attribute__((format(printf, 1, 2))) void fail(const char *format, ...);

// Between these two the current thread may neither block nor yield, nor take
// more than `kHitSteps` steps.
constexpr unsigned kHitSteps = 500;
void hit_begins();
void hit_ends();

// What stands here was looked at in the run before.
bool as_before();

uint64_t steps_of_all_runs();

// The calling thread's clocks; see memory.hpp.
struct Knowledge {
	Clock order;   // what happened before
	Clock visible; // what it cannot help seeing: more, after barriers
	uint64_t fenced = 0;
};
Knowledge &knowledge(unsigned thread);
inline Knowledge &knowledge()
{
	return knowledge(current());
}

} // namespace explore

#endif
