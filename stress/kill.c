/*
 * kill.c - processes die anywhere, and the others must not notice; see run.h.
 *
 * Owns the rounds.  In each the workers change pages until, at a random instant or in the
 * middle of a chosen call, one is struck: killed, or stopped for a while, or both, sometimes
 * two at once.  The dead are replaced; then all park, and the witness looks at everything.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "report.h"
#include "run.h"

enum {
	PACE_MICRO = 6000,      /* at most so long they work before one is struck */
	AFTER_MICRO = 3000,     /* and after it */
	AIM_MICRO = 4000,       /* at most so long the parent waits for a chosen call */
	AIM_DELAY_NANO = 30000, /* from the begin of a call to the stroke, at most */
	MICRO = 1000000,
	NANO = 1000000000,
	AIM_OF = 4,
	AIM_IN = 3,          /* three of four strokes are aimed */
	STOP_OF = 6,         /* one round in six is a stop, one in six a stop and a stroke */
	TWO_OF = 4,          /* one stroke in four is followed by another */
	FLUSH_OF = 4,        /* one round in four is one of many syncs */
	LATE_OF = 4,         /* one of the dead in four stays a zombie over the check */
	KILL_STOPPED_OF = 4, /* one of the stopped in four dies so */
	GOES_ON = 8,         /* calls that show that a thread is not held up */
	MARK_BEYOND = 8,     /* page numbers after the last known that may have been given */
};

static uint64_t random_state;
static bool lost_a_new_page;
static unsigned the_stopped;
/* Threads killed in a call: all, those with pins, those in a change. */
static unsigned long killed_in[DOINGS][3];

static unsigned chance(unsigned n)
{
	return draw_below(&random_state, n);
}

static double below_micro(unsigned most)
{
	return (double)chance(most) / MICRO;
}

static void count(enum count what, uint64_t more)
{
	watch_count(watch_place(place_after(PLACE_PARENT)), what, more);
}

/* --- what a dead process leaves ------------------------------------------------ */

/* Who died in this call may have had its page so that it is marked: pinned; or, where pins say nothing, latched. */
static bool may_mark(int doing)
{
	switch (doing) {
	case DOING_LATCH:
	case DOING_TRY:
	case DOING_UPGRADE:
	case DOING_UNLATCH:
	case DOING_DELETE:
		return true;
	default:
		return !all_latched();
	}
}

/* Those that the dead noted, of pages that are surely marked, if it is by these; how many. */
static unsigned take_notes(_Atomic uint64_t *note, unsigned n, bool mark)
{
	unsigned noted = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t page = atomic_exchange(&note[i], 0);

		if (page == 0)
			continue;
		run.record[page - 1].deaths_since += mark;
		run.record[page - 1].sure_deaths += mark;
		noted++;
	}
	return noted;
}

static unsigned take_pins(struct place *at)
{
	pgno_t pgno = atomic_load(&at->pgno);

	if (pgno != NO_PAGE && may_mark(atomic_load(&at->doing)))
		run.record[pgno].deaths_since++;
	return take_notes(at->held, HELD_MAX, !all_latched());
}

static unsigned take_latches(struct place *at)
{
	unsigned changing = 0;

	for (unsigned i = 0; i < LATCHED_MAX; i++) {
		uint64_t page = atomic_load(&at->latched[i]);

		changing += page != 0 && !record_sure(&run.record[page - 1]);
	}
	count(COUNT_DIED_LATCHED, take_notes(at->latched, LATCHED_MAX, true));
	return changing;
}

/* The lock comes last: whoever takes it then finds the page as the dead left it. */
static unsigned take_pages(unsigned place)
{
	unsigned changing = 0;

	for (unsigned i = 0; i < files(); i++)
		for (pgno_t p = run.file[i].first; p < page_end(&run.file[i]); p++) {
			if (atomic_load(&run.record[p].lock) != place + 1)
				continue;
			changing += !record_sure(&run.record[p]);
			record_unlock(&run.record[p]);
		}
	return changing;
}

static void bury_thread(unsigned process, unsigned thread)
{
	struct place *at = place_of(process, thread);
	int doing = atomic_load(&at->doing);
	unsigned pins = take_pins(at), changing = take_pages(place_number(process, thread)) + take_latches(at);

	if (doing == DOING_NEW) {
		atomic_fetch_add(&run.board->lost_new, 1);
		lost_a_new_page = true;
	}
	killed_in[doing][0]++;
	killed_in[doing][1] += pins > 0;
	killed_in[doing][2] += changing > 0;
	watch_doing(at, DOING_ENDED, NO_PAGE);
}

/* It has no thread left: what it did is done. */
static void bury(unsigned process)
{
	int doing = atomic_load(&main_of(process)->doing);
	bool inside = atomic_exchange(&run.board->inside[process], false);

	workers[process].struck = true;
	count(COUNT_KILLED, 1);
	count(COUNT_INSIDE, inside);
	run.board->deaths_least += inside;
	run.board->deaths_most += inside || doing == DOING_OPEN || doing == DOING_CLOSE;
	for (unsigned i = 0; i <= run.o->threads; i++)
		bury_thread(process, i);
}

/* Now that all rest: what is known of the dead is what the pool knows. */
static void settle_losses(void)
{
	uint64_t lost = atomic_load(&run.board->lost_new) + MARK_BEYOND;

	for (const struct file *f = run.file; f < run.file + files(); f++)
		for (pgno_t p = f->first; p < page_end(f) + lost && p < f->first + f->records; p++) {
			struct record *r = &run.record[p];

			r->deaths += r->deaths_since + (lost_a_new_page && !atomic_load(&r->allotted));
			r->deaths_since = 0;
		}
	lost_a_new_page = false;
}

/* --- strokes ------------------------------------------------------------------- */

static void spin(double seconds)
{
	double until = report_seconds() + seconds;

	while (report_seconds() < until)
		;
}

static unsigned any_alive(void)
{
	unsigned n = run.o->processes, i = chance(n);

	for (unsigned tried = 0; tried < n && !family_alive(i); tried++)
		i = (i + 1) % n;
	return i;
}

/* A process one of whose threads is in this call; or none. */
static unsigned who_is_in(int call)
{
	unsigned n = run.o->processes, from = chance(n);

	for (unsigned i = 0; i < n; i++) {
		unsigned p = (from + i) % n;

		for (unsigned t = 0; t <= run.o->threads && family_alive(p); t++)
			if (atomic_load(&place_of(p, t)->doing) == call)
				return p;
	}
	return n;
}

/* Waits for a thread to be in a call, drawn among all, and then a little. */
static unsigned aim(void)
{
	double until = report_seconds() + (double)AIM_MICRO / MICRO;
	int call = (int)chance(DOING_AIMS);
	unsigned p;

	do
		p = who_is_in(call);
	while (p == run.o->processes && report_seconds() < until);
	if (p == run.o->processes)
		return any_alive();
	count(COUNT_AIMED, 1);
	spin((double)chance(AIM_DELAY_NANO) / NANO);
	return p;
}

static void strike(unsigned process)
{
	if (family_alive(process))
		kill(workers[process].pid, SIGKILL);
}

/* It stays a zombie, which is as dead as can be. */
static void see_dead(unsigned process)
{
	siginfo_t info = {0};
	int status = 0;

	if (!family_alive(process))
		return;
	while (waitid(P_PID, (id_t)workers[process].pid, &info, WEXITED | WNOWAIT) != 0)
		if (errno != EINTR)
			trouble("waiting for a killed process");
	if (info.si_code == CLD_KILLED && info.si_status == SIGKILL) {
		bury(process);
		return;
	}
	/* Its end came before the stroke, or something else did. */
	waitpid(workers[process].pid, &status, 0);
	family_ended(process, status);
}

static void strike_some(void)
{
	unsigned first = chance(AIM_OF) < AIM_IN ? aim() : any_alive(), second = first;
	unsigned n = run.o->processes;

	strike(first);
	if (chance(TWO_OF) == 0 && n > 1) {
		second = (first + 1 + chance(n - 1)) % n;
		/* While others deal with the first death, or before they can. */
		spin(chance(2) == 0 ? 0 : below_micro(AFTER_MICRO));
		strike(second);
	}
	see_dead(first);
	see_dead(second);
}

/* --- one is stopped ------------------------------------------------------------ */

/* False: it ended before. */
static bool stop(unsigned process)
{
	int status;

	if (!family_alive(process))
		return false;
	kill(workers[process].pid, SIGSTOP);
	while (waitpid(workers[process].pid, &status, WUNTRACED) < 0)
		if (errno != EINTR)
			trouble("waiting for a process to stop");
	if (!WIFSTOPPED(status)) {
		family_ended(process, status);
		return false;
	}
	count(COUNT_STOPPED, 1);
	return true;
}

static void go_on_or_die(unsigned process)
{
	if (chance(KILL_STOPPED_OF) == 0) {
		strike(process);
		see_dead(process);
	} else {
		kill(workers[process].pid, SIGCONT);
	}
}

/* May this thread wait for one that is stopped? */
static bool may_wait(const struct place *at)
{
	switch (atomic_load(&at->doing)) {
	case DOING_SYNC:
	case DOING_DELETE:
	case DOING_REQUEST:
	case DOING_ATTACH:
	case DOING_DETACH:
	case DOING_OPEN:
	case DOING_CLOSE:
	case DOING_PARKED:
	case DOING_ENDED:
	case DOING_LATCH: /* begun before it was stopped */
	case DOING_SHARE:
	case DOING_UPGRADE:
		return true;
	case DOING_GET:
		return to_be_avoided(atomic_load(&at->pgno));
	default:
		return false;
	}
}

static bool went_on(unsigned process, unsigned thread)
{
	const struct place *at = place_of(process, thread);

	return atomic_load(&at->steps) - at->steps_then >= GOES_ON;
}

static bool others_go_on(void)
{
	for (unsigned p = 0; p < run.o->processes; p++)
		for (unsigned t = 0; t < run.o->threads && p != the_stopped && family_alive(p); t++)
			if (!went_on(p, t) && !may_wait(place_of(p, t)))
				return false;
	return true;
}

/* The pages that the stopped process may be loading, or dropping. */
static void avoid_its_pages(void)
{
	unsigned count = 0;

	for (unsigned t = 0; t < run.o->threads; t++) {
		struct place *at = place_of(the_stopped, t);
		int doing = atomic_load(&at->doing);

		if (doing == DOING_GET || doing == DOING_DELETE || doing == DOING_REQUEST)
			atomic_store(&run.board->avoid[count++], atomic_load(&at->pgno));
	}
	atomic_store(&run.board->avoid_count, count);
}

/* Whatever it is in: the others' gets of other pages, puts and new pages go on. */
static void stop_one_and_see(void)
{
	the_stopped = chance(2) == 0 ? aim() : any_alive();
	if (!stop(the_stopped))
		return;
	avoid_its_pages();
	atomic_store(&run.board->calm, true);
	for (unsigned i = 0; i < place_number(run.o->processes, 0); i++)
		watch_place(i)->steps_then = atomic_load(&watch_place(i)->steps);
	await(others_go_on, "a process is stopped, and others are held up in calls that need not wait for it");
	for (unsigned p = 0; p < run.o->processes; p++)
		for (unsigned t = 0; t < run.o->threads && p != the_stopped; t++)
			count(went_on(p, t) ? COUNT_WENT_ON : COUNT_WAITED, 1);
	go_on_or_die(the_stopped);
	atomic_store(&run.board->calm, false);
	atomic_store(&run.board->avoid_count, 0);
}

/* The stopped one may hold up whoever deals with the death, until it goes on. */
static void strike_beside_one_stopped(void)
{
	unsigned stopped = any_alive();
	uint64_t killed = watch_sum(COUNT_KILLED);
	bool is = stop(stopped);

	strike_some();
	count(COUNT_BESIDE, is ? watch_sum(COUNT_KILLED) - killed : 0);
	family_doze(below_micro(AFTER_MICRO));
	if (is && family_alive(stopped))
		go_on_or_die(stopped);
}

/* --- a round ------------------------------------------------------------------- */

/* For this pause: one that has not noticed the end of the last is on its way. */
static bool is_parked(const struct place *at)
{
	return atomic_load(&at->doing) == DOING_PARKED &&
	       atomic_load(&at->parked_for) == atomic_load(&run.board->pause);
}

/* Its main thread waits for some thread that is parked: it goes on with nothing. */
static bool threads_rest(unsigned process)
{
	unsigned parked = 0;

	for (unsigned t = 0; t < run.o->threads; t++) {
		struct place *at = place_of(process, t);

		if (!is_parked(at) && atomic_load(&at->doing) != DOING_ENDED)
			return false;
		parked += is_parked(at);
	}
	return parked > 0 && atomic_load(&main_of(process)->doing) == DOING_THREADS;
}

static bool all_rest(void)
{
	for (unsigned p = 0; p < run.o->processes; p++)
		if (family_alive(p) && !is_parked(main_of(p)) && !threads_rest(p))
			return false;
	return true;
}

void kill_play(void)
{
	if (random_state == 0)
		random_state = draw_start(run.o->seed);
	atomic_store(&run.board->flushing, chance(FLUSH_OF) == 0);
	family_pause(false);
	family_doze(below_micro(PACE_MICRO));
	family_see_who_ended();
	switch (chance(STOP_OF)) {
	case 0:
		stop_one_and_see();
		break;
	case 1:
		strike_beside_one_stopped();
		break;
	default:
		strike_some();
		break;
	}
	if (chance(LATE_OF) != 0)
		family_reap();
	family_start_missing();
	family_doze(below_micro(AFTER_MICRO));
	family_pause(true);
	await(all_rest, "all are to park, and do not");
	settle_losses();
	order_check();
	family_reap();
	atomic_fetch_add(&run.board->rounds, 1);
}

void kill_print(void)
{
	printf("%-26s%12s%12s%16s\n", "threads killed in", "", "with pins", "in a change");
	for (int i = 0; i < DOINGS; i++)
		if (killed_in[i][0] > 0 && i != DOING_THREADS && i != DOING_ENDED)
			printf("  %-24s%12lu%12lu%16lu\n", doing_name[i], killed_in[i][0], killed_in[i][1],
			       killed_in[i][2]);
	printf("%-26s%12" PRIu64 "\n", "rounds", atomic_load(&run.board->rounds));
}
