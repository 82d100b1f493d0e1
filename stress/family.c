/*
 * family.c - a run in several processes that share one pool; see run.h.
 *
 * Owns the processes.  The parent only starts, strikes and watches the others, so that it
 * has one thread and can fork at any time; they die with it, whatever ends it.
 *
 *   worker   opens the pool by its key, with a maxcache of its own, keeps a crew of threads
 *            at work, closes it; and then opens it again, or ends and is replaced.
 *   witness  is there before the first worker and after the last, and never struck.
 *
 * SIGCHLD is blocked in the parent, and waited for.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "report.h"
#include "run.h"

enum {
	LIFE_OF_PROCESS = 16, /* bits: the lives of its threads are counted below them */
	CACHE_SHARES = 4,     /* a worker asks for up to so many fourths more than --cache */
	LEAVE_PINS = 8,       /* pins left to mpool_close, at most */
	POLL_MICRO = 100,
	SWEEP_SECONDS = 10,
	MILLI = 1000,
	MICRO = 1000000,
	NANO = 1000000000,
};

struct process workers[PROCESSES_MAX];
static struct process witness;

static pid_t parent;
static sigset_t usual, child_ended;

/* --- what a process does ------------------------------------------------------- */

/* One stay in the pool. */
static void stay(uint64_t life, uint64_t *random)
{
	const struct options *o = run.o;
	pgno_t cache = o->cache + (pgno_t)((uint64_t)o->cache * draw_below(random, CACHE_SHARES + 1) / CACHE_SHARES);
	struct worker *w = worker_make(place_number(run.process, o->threads), life);

	run.leave_at = report_seconds() + (1 + draw_below(random, 2 * o->stay)) / (double)MILLI;
	/* The pool has its file from the witness. */
	pool_open(draw_below(random, 2) == 0 ? -1 : run.file->fd, cache);
	watch_count(run.main, COUNT_OPENS, 1);
	files_come(w, FILES_SOME);
	crew_work(life << LIFE_OF_PROCESS);
	drain(w, draw_below(random, LEAVE_PINS + 1));
	worker_free(w);
	pool_close();
}

static _Noreturn void be_worker(unsigned process, uint64_t life)
{
	uint64_t random = draw_start(run.o->seed + ((uint64_t)process << LIFE_OF_PROCESS | life));

	run.process = process;
	run.main = main_of(process);
	do {
		park(run.main);
		if (!run_over())
			stay(life, &random);
	} while (!run_over() && draw_below(&random, 2) == 0);
	watch_doing(run.main, DOING_ENDED, NO_PAGE);
	exit(EXIT_OK);
}

static _Noreturn void be_witness(void)
{
	run.process = run.o->processes;
	run.main = watch_place(place_after(PLACE_WITNESS));
	pool_open(run.file->fd, run.o->cache);
	witness_work();
	exit(EXIT_OK);
}

/* --- starting, and ending ------------------------------------------------------ */

/* As fork(2), but it does not fail. */
static pid_t start_process(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		trouble("starting a process");
	if (pid == 0) {
		/* Dead already?  Then no signal will come. */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
			_exit(EXIT_TROUBLE);
		sigprocmask(SIG_SETMASK, &usual, NULL);
	}
	return pid;
}

static void wait_for_end(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* In a child, for it must not hang this process when it hangs the pool: leaves nothing of the pool. */
static void sweep_away(void)
{
	pid_t pid = start_process();
	MPOOL *pool;

	if (pid == 0) {
		alarm(SWEEP_SECONDS);
		pool = mpool_open(run.key, run.file->fd, run.o->page_size, 1);
		if (pool != NULL)
			mpool_close(pool);
		_exit(EXIT_OK);
	}
	wait_for_end(pid);
}

static void kill_all(void)
{
	for (unsigned i = 0; i <= run.o->processes; i++) {
		pid_t pid = i < run.o->processes ? workers[i].pid : witness.pid;

		if (pid == 0)
			continue;
		kill(pid, SIGKILL);
		wait_for_end(pid);
	}
	sweep_away();
}

/* What ended it was none of the parent's strokes: the others may wait for what it had. */
static void must_have_ended_well(const char *who, int status)
{
	bool no_test = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_TROUBLE;

	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_OK)
		return;
	if (!no_test)
		fault("%s %s %d", who, WIFSIGNALED(status) ? "was killed by signal" : "ended with status",
		      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	kill_all();
	exit(no_test ? EXIT_TROUBLE : report_verdict());
}

void family_ended(unsigned process, int status)
{
	workers[process].pid = 0;
	must_have_ended_well("a worker", status);
	watch_count(watch_place(place_after(PLACE_PARENT)), COUNT_QUIT, 1);
}

void family_see_who_ended(void)
{
	int status;

	for (unsigned i = 0; i < run.o->processes; i++)
		if (family_alive(i) && waitpid(workers[i].pid, &status, WNOHANG) == workers[i].pid)
			family_ended(i, status);
	if (witness.pid != 0 && waitpid(witness.pid, &status, WNOHANG) == witness.pid) {
		witness.pid = 0;
		must_have_ended_well("the witness", status);
	}
}

bool family_alive(unsigned process)
{
	return workers[process].pid != 0 && !workers[process].struck;
}

void family_reap(void)
{
	for (unsigned i = 0; i < run.o->processes; i++) {
		if (!workers[i].struck)
			continue;
		wait_for_end(workers[i].pid);
		workers[i] = (struct process){.life = workers[i].life};
	}
}

void family_start_missing(void)
{
	for (unsigned i = 0; i < run.o->processes; i++) {
		if (workers[i].pid != 0)
			continue;
		workers[i].life++;
		watch_doing(main_of(i), DOING_NOTHING, NO_PAGE);
		workers[i].pid = start_process();
		if (workers[i].pid == 0)
			be_worker(i, workers[i].life);
	}
}

/* --- waiting ------------------------------------------------------------------- */

/* Sleeps for so many seconds, or until a child ends or stops, or a signal comes. */
void family_doze(double seconds)
{
	struct timespec limit = {.tv_sec = (time_t)seconds};

	limit.tv_nsec = (long)((seconds - (double)limit.tv_sec) * NANO);
	sigtimedwait(&child_ended, NULL, &limit);
}

void await(bool (*holds)(void), const char *what)
{
	double begun = watch_seconds(), waited = 0;

	while (!holds()) {
		family_doze((double)POLL_MICRO / MICRO);
		family_see_who_ended();
		watch_look(waited > WATCH_DOUBT);
		waited = watch_seconds() - begun;
		if (waited > run.o->watchdog)
			watch_hang(what);
	}
}

static bool witness_is_ready(void)
{
	return atomic_load(&watch_place(place_after(PLACE_WITNESS))->doing) == DOING_PARKED;
}

static bool witness_is_done(void)
{
	return witness.pid == 0 || atomic_load(&run.board->done) == atomic_load(&run.board->order);
}

static bool all_are_gone(void)
{
	for (unsigned i = 0; i < run.o->processes; i++)
		if (family_alive(i))
			return false;
	return true;
}

static bool witness_is_gone(void)
{
	return witness.pid == 0;
}

void family_pause(bool wanted)
{
	if (is_pause(atomic_load(&run.board->pause)) == wanted)
		return;
	atomic_fetch_add(&run.board->pause, 1);
	wake(&run.board->pause);
}

void order_check(void)
{
	run.board->members = 0;
	for (unsigned i = 0; i < run.o->processes; i++)
		run.board->members += atomic_load(&run.board->inside[i]);
	atomic_fetch_add(&run.board->order, 1);
	wake(&run.board->order);
	await(witness_is_done, "the witness has not done its check");
}

void family_run(void (*play)(void))
{
	parent = getpid();
	sigemptyset(&child_ended);
	sigaddset(&child_ended, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child_ended, &usual);
	watch_before_abort = kill_all;
	if (asprintf(&run.key, "mpool-stress %d %u", (int)parent, run.o->seed) < 0)
		trouble("no memory for a key");
	witness.pid = start_process();
	if (witness.pid == 0)
		be_witness();
	await(witness_is_ready, "the witness does not open the pool");
	while (!run_over()) {
		family_start_missing();
		play();
		family_see_who_ended();
	}
	family_pause(false);
	await(all_are_gone, "all are to leave, and do not");
	atomic_store(&run.board->last, true);
	order_check();
	await(witness_is_gone, "the witness does not leave");
}
