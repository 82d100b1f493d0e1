// schedule.cpp - see schedule.hpp.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "schedule.hpp"

#include <algorithm>
#include <cerrno>
#include <csetjmp>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <link.h>
#include <memory>
#include <sstream>
#include <ucontext.h>

namespace explore {

// ---- decisions -------------------------------------------------------------

std::string to_string(const Choices &choices)
{
	std::string text;
	for (const Choice &c : choices)
		text += (text.empty() ? "" : ",") + std::to_string(c.moment) + ":" + std::to_string(c.taken);
	return text;
}

bool from_string(const std::string &text, Choices *choices)
{
	std::istringstream in(text);
	choices->clear();
	for (std::string one; std::getline(in, one, ',');) {
		Choice c;
		char end;
		if (std::sscanf(one.c_str(), "%u:%u%c", &c.moment, &c.taken, &end) != 2)
			return false;
		choices->push_back(c);
	}
	return true;
}

unsigned Decider::noted(unsigned moment, unsigned taken)
{
	if (taken != 0)
		choices_.push_back({moment, taken});
	return taken;
}

unsigned Decider::choose(unsigned moment, unsigned n, bool free)
{
	return noted(moment, decide(moment, n, free));
}

unsigned Decider::choose_thread(unsigned moment, const unsigned *thread, unsigned n, bool free)
{
	return noted(moment, decide_thread(moment, thread, n, free));
}

bool Decider::choose_death(unsigned moment)
{
	return noted(moment, decide_death(moment)) != 0;
}

void Exhaustive::begin()
{
	Decider::begin();
	at_ = 0;
	used_ = 0;
}

unsigned Exhaustive::decide(unsigned, unsigned n, bool free)
{
	if (!free && used_ == bound_)
		return 0; // and so whenever the run comes by here again
	if (at_ == steps_.size())
		steps_.push_back({0, n, free});
	const Step &step = steps_[at_++];
	if (step.n != n || step.free != free)
		fail("the run is not determined by its decisions: a defect of the explorer");
	used_ += !free && step.taken != 0;
	return step.taken;
}

bool Exhaustive::next()
{
	while (!steps_.empty() && steps_.back().taken + 1 == steps_.back().n)
		steps_.pop_back();
	if (steps_.empty())
		return false;
	steps_.back().taken++;
	same_ = steps_.size();
	return true;
}

// A load is stale, where it can be, once in so many.
static const unsigned kStaleEvery = 8;
// A process dies at any step, once in so many; that, doubled up to so often.
static const unsigned kDieOften = 8, kDieRates = 7;
// A first guess of how many decisions a run takes.
static const unsigned kFirstLength = 200;

void Random::begin()
{
	Decider::begin();
	random_.seed(seed_);
	length_ = std::max(length_, kFirstLength);
	lowest_ = 0;
	for (unsigned t = 0; t < kThreads; t++)
		priority_[t] = static_cast<int>(t) + 1;
	std::shuffle(priority_, priority_ + kThreads, random_);
	change_at_.resize(changes_);
	for (unsigned &at : change_at_)
		at = static_cast<unsigned>(random_() % length_);
	die_every_ = kDieOften << random_() % kDieRates;
}

unsigned Random::decide(unsigned, unsigned n, bool)
{
	return random_() % kStaleEvery == 0 ? static_cast<unsigned>(random_() % n) : 0;
}

unsigned Random::decide_death(unsigned)
{
	return random_() % die_every_ == 0;
}

unsigned Random::decide_thread(unsigned moment, const unsigned *thread, unsigned n, bool free)
{
	length_ = std::max(length_, moment);
	// The moments between two decisions belong to the later one.
	auto due = std::find_if(change_at_.begin(), change_at_.end(), [&](unsigned at) { return at <= moment; });
	bool change = due != change_at_.end();
	if (change)
		change_at_.erase(due);
	if (change && !free)
		priority_[thread[0]] = --lowest_;
	unsigned best = 0;
	for (unsigned i = 1; i < n; i++)
		if (priority_[thread[i]] > priority_[thread[best]])
			best = i;
	return best;
}

unsigned Replay::decide(unsigned moment, unsigned n, bool)
{
	if (at_ == wanted_.size() || wanted_[at_].moment != moment)
		return 0;
	unsigned taken = wanted_[at_++].taken;
	if (taken >= n)
		fail("moment %u has %u alternatives only: this is not a run of this scenario", moment, n);
	return taken;
}

// ---- fibres ----------------------------------------------------------------

static const size_t kStack = 256 << 10;
// Far more than any run takes that comes to an end.
static const unsigned kRunSteps = 20000;

enum class State { ready, blocked, ended };

// What a thread has for itself beside its stack: the thread-local variables of
// this program, which are the library's, and errno.
class Local {
public:
	static void find()
	{
		dl_iterate_phdr(
			[](dl_phdr_info *info, size_t, void *) {
				for (int i = 0; i < info->dlpi_phnum; i++)
					if (info->dlpi_phdr[i].p_type == PT_TLS) {
						block_ = static_cast<char *>(info->dlpi_tls_data);
						bytes_ = info->dlpi_phdr[i].p_memsz;
						const char *first = reinterpret_cast<const char *>(
							info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
						initial_.assign(first, first + info->dlpi_phdr[i].p_filesz);
					}
				return 1; // the program comes first
			},
			nullptr);
	}
	void save()
	{
		kept_.assign(block_, block_ + bytes_);
		errno_ = errno;
	}
	void load()
	{
		kept_.resize(bytes_);
		std::copy(kept_.begin(), kept_.end(), block_);
		errno = errno_;
	}
	void reset()
	{
		kept_ = initial_;
		kept_.resize(bytes_, 0);
		errno_ = 0;
	}

private:
	static char *block_;
	static size_t bytes_;
	static std::vector<char> initial_; // what is not zero at first
	std::vector<char> kept_;
	int errno_ = 0;
};
char *Local::block_;
size_t Local::bytes_;
std::vector<char> Local::initial_;

struct Fibre {
	State state = State::ended;
	const void *waits_for = nullptr;
	bool started = false, yielded = false, hit = false;
	bool for_a_time = false; // it is blocked so
	unsigned hit_steps = 0;
	unsigned process = 0;
	Local local;
	Knowledge knowledge;
	jmp_buf at;
	std::unique_ptr<char[]> stack;
};

struct Process {
	bool doomed = false, dead = false;
	bool gone = false;       // in the child of a fork, which is to be, or is
	bool fork_waits = false; // somebody forks
	unsigned holds = 0;      // what a fork waits for
};

static Fibre fibre[kThreads];
static Process process[kProcesses];
void (*died)(unsigned process, const void *code);
void (*process_runs)(unsigned process);
Now now;
static unsigned &me = now.thread;
static unsigned threads;
static Decider *decider;
static const std::function<void(unsigned)> *thread_body;
static std::string wrong;
static unsigned steps, moment;
static uint64_t all_steps;

bool started(unsigned t)
{
	return t >= 1 && t <= threads;
}
bool as_before()
{
	return decider->as_before();
}
uint64_t steps_of_all_runs()
{
	return all_steps;
}
Knowledge &knowledge(unsigned thread)
{
	return fibre[thread].knowledge;
}

void fail(const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	std::vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (!now.active) {
		std::printf("WRONG before or after the run: %s\n", text);
		std::exit(1);
	}
	wrong = "thread " + std::to_string(me) + ": " + text;
	_longjmp(fibre[0].at, 1);
}

unsigned process_of(unsigned thread)
{
	return fibre[thread].process;
}
bool alive(unsigned p)
{
	return !process[p].dead;
}
void set_process(unsigned thread, unsigned p)
{
	fibre[thread].process = p;
}
void doom(unsigned p)
{
	process[p].doomed = true;
}
void set_gone(unsigned p)
{
	process[p].gone = true;
}
bool is_gone(unsigned p)
{
	return process[p].gone;
}
unsigned space_of(unsigned thread)
{
	return is_gone(process_of(thread)) ? 0 : process_of(thread);
}
void hold()
{
	process[process_of(me)].holds++;
}
void let_go()
{
	process[process_of(me)].holds--;
}

static void go_on();

// The current thread's process is no more: no thread of it runs again.
static void die(const void *code)
{
	unsigned p = fibre[me].process;
	process[p].dead = true;
	for (unsigned t = 1; t <= threads; t++)
		if (fibre[t].process == p)
			fibre[t].state = State::ended;
	died(p, code);
	wake(&process[p]);
}

// Here, perhaps.
static void may_die(unsigned at_moment, const void *code)
{
	const Process &p = process[fibre[me].process];
	if (!p.doomed || p.dead || (p.gone && (!p.fork_waits || p.holds > 0)) || !decider->choose_death(at_moment))
		return;
	die(code);
	go_on();
	std::abort();
}

static bool last_of_process()
{
	for (unsigned t = 1; t <= threads; t++)
		if (fibre[t].process == fibre[me].process && fibre[t].state != State::ended)
			return false;
	return true;
}

static void enter()
{
	(*thread_body)(me);
	fibre[me].state = State::ended;
	Process &p = process[fibre[me].process];
	if (p.doomed && last_of_process() && (!p.gone || p.fork_waits))
		die(nullptr);
	go_on();
	std::abort(); // nobody goes on with a thread that has ended
}

// The current thread is `t` from now on.
static void become(unsigned t)
{
	if (process_runs && space_of(t) != space_of(me))
		process_runs(space_of(t));
	me = t;
	fibre[t].local.load();
}

static void switch_to(unsigned t)
{
	if (t == me)
		return;
	Fibre &from = fibre[me], &to = fibre[t];
	from.local.save();
	if (_setjmp(from.at) != 0)
		return;
	become(t);
	if (to.started)
		_longjmp(to.at, 1);
	to.started = true;
	ucontext_t context;
	getcontext(&context);
	context.uc_stack.ss_sp = to.stack.get();
	context.uc_stack.ss_size = kStack;
	context.uc_link = nullptr;
	makecontext(&context, enter, 0);
	setcontext(&context);
}

// Those who can run: the current one first, if it can.
static unsigned candidates(unsigned *thread, bool with_yielded)
{
	unsigned n = 0;
	auto can = [&](unsigned t) { return fibre[t].state == State::ready && (with_yielded || !fibre[t].yielded); };
	if (can(me))
		thread[n++] = me;
	for (unsigned t = 1; t <= threads; t++)
		if (t != me && can(t))
			thread[n++] = t;
	return n;
}

// Nobody can do anything: those who wait for a time only have waited long enough.
static bool time_passes()
{
	bool any = false;
	for (unsigned t = 1; t <= threads; t++)
		if (fibre[t].state == State::blocked && fibre[t].for_a_time) {
			fibre[t].state = State::ready;
			any = true;
		}
	return any;
}

// The current thread cannot go on, or lets others go first.
static void go_on()
{
	unsigned thread[kThreads], n = candidates(thread, false);
	if (n == 0)
		n = candidates(thread, true);
	if (n == 0 && time_passes())
		n = candidates(thread, false);
	moment++;
	if (n > 0) {
		switch_to(thread[n == 1 ? 0 : decider->choose_thread(moment, thread, n, true)]);
		return;
	}
	for (unsigned t = 1; t <= threads; t++)
		if (fibre[t].state == State::blocked) {
			me = t;
			fail("waits for ever");
		}
	fibre[me].local.save();
	_longjmp(fibre[0].at, 1); // all have ended
}

static void step()
{
	all_steps++;
	if (++steps > kRunSteps)
		fail("the run does not come to an end");
	if (fibre[me].hit && ++fibre[me].hit_steps > kHitSteps)
		fail("a hit takes more than %u steps", kHitSteps);
}

void no_point()
{
	moment += 2; // one to die at, one to be preempted at
	step();
}

void point(bool changes, const void *code)
{
	no_point();
	if (changes)
		may_die(moment - 1, code);
	unsigned thread[kThreads], n = candidates(thread, false);
	if (n > 1)
		switch_to(thread[decider->choose_thread(moment, thread, n, false)]);
}

static void block(const void *what, bool for_a_time, const void *code)
{
	step();
	if (fibre[me].hit)
		fail("a hit has to wait for another thread");
	may_die(++moment, code);
	fibre[me].state = State::blocked;
	fibre[me].waits_for = what;
	fibre[me].for_a_time = for_a_time;
	go_on();
}

void block(const void *what)
{
	block(what, false, __builtin_return_address(0));
}

bool block_for_a_time(const void *what)
{
	block(what, true, __builtin_return_address(0));
	// Who wakes us says so.
	return !fibre[me].for_a_time;
}

void changed()
{
	for (unsigned t = 1; t <= threads; t++)
		fibre[t].yielded &= t == me;
}

void wake(const void *what)
{
	changed();
	for (unsigned t = 1; t <= threads; t++)
		if (fibre[t].state == State::blocked && fibre[t].waits_for == what) {
			fibre[t].state = State::ready;
			fibre[t].for_a_time = false;
		}
}

void yield()
{
	step();
	if (fibre[me].hit)
		fail("a hit gives way to another thread");
	fibre[me].yielded = true;
	go_on();
}

unsigned choose(unsigned n)
{
	moment++;
	return n == 1 ? 0 : decider->choose(moment, n, false);
}

void fork_without(unsigned p)
{
	process[p].fork_waits = true;
	bool any = false;
	for (unsigned t = 1; t <= threads; t++)
		any |= fibre[t].process == p && fibre[t].state != State::ended;
	if (!any && !process[p].dead) {
		process[p].dead = true; // they have all ended before
		died(p, nullptr);
	}
	while (!process[p].dead)
		block(&process[p]);
}

void hit_begins()
{
	fibre[me].hit = true;
	fibre[me].hit_steps = 0;
}

void hit_ends()
{
	fibre[me].hit = false;
}

void as_thread(unsigned t, const std::function<void()> &body)
{
	unsigned before = me;
	fibre[before].local.save();
	become(t);
	body();
	fibre[t].local.save();
	become(before);
}

std::string run(Decider &d, unsigned n, const std::function<void(unsigned)> &body)
{
	decider = &d;
	threads = n;
	thread_body = &body;
	wrong.clear();
	steps = moment = 0;
	for (unsigned t = 1; t <= n; t++) {
		Fibre &f = fibre[t];
		f.state = State::ready;
		f.started = f.yielded = f.hit = f.for_a_time = false;
		if (!f.stack)
			f.stack.reset(new char[kStack]);
	}
	fibre[0].local.save();
	if (_setjmp(fibre[0].at) == 0) {
		now.active = true;
		go_on();
	}
	now.active = false;
	become(0);
	return wrong;
}

// What no run has left of the one before.
void forget_threads()
{
	static const bool found = (Local::find(), true);
	(void)found;
	for (Process &p : process)
		p = Process{};
	for (unsigned t = 0; t < kThreads; t++) {
		fibre[t].knowledge = Knowledge{};
		fibre[t].process = 0;
		if (t > 0)
			fibre[t].local.reset();
	}
}

} // namespace explore
