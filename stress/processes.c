/*
 * processes.c - a churn in several processes that share one pool; see processes.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "processes.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crew.h"
#include "draw.h"
#include "family.h"
#include "proof.h"
#include "report.h"
#include "watch.h"
#include "worker.h"

enum {
	SYNCERS = 1,
	LIFE_OF_PROCESS = 16, /* bits: the lives of its threads are counted below them */
	CACHE_SHARES = 4,     /* a worker asks for up to so many fourths more than --cache */
	LEAVE_PINS = 8,       /* pins left to mpool_close, at most */
	MILLI = 1000,
};

struct process {
	pid_t pid; /* 0: none */
	unsigned life;
};

/* In this process alone. */
static struct process *workers, witness;
static const struct churn *the_run;

/* --- a worker ------------------------------------------------------------------------- */

static unsigned worker_places(const struct options *o)
{
	return o->threads + 1; /* the main thread's, for open and close */
}

/* One stay in the pool. */
static void stay(struct churn *run, unsigned number, uint64_t *random)
{
	const struct options *o = run->o;
	struct tally t = {.processes = 1};
	double deadline = run->deadline, leave_at;

	leave_at = report_seconds() + (1 + draw_below(random, 2 * o->stay)) / (double)MILLI;
	if (number > 0 && leave_at < deadline)
		run->deadline = leave_at;
	run->cache = o->cache + (pgno_t)((uint64_t)o->cache * draw_below(random, CACHE_SHARES + 1) / CACHE_SHARES);
	/* The pool has its file from the witness. */
	churn_open_pool(run, draw_below(random, 2) == 0 ? -1 : run->fd);
	churn_add_tally(run, &t);
	crew_work(run);
	worker_drain(run, draw_below(random, LEAVE_PINS + 1));
	churn_close_pool(run);
	run->deadline = deadline;
}

static _Noreturn void be_worker(const struct churn *common_run, unsigned number, unsigned life)
{
	struct churn run = *common_run;
	uint64_t name = (uint64_t)number << LIFE_OF_PROCESS | life;
	uint64_t random = draw_start(run.o->seed + name);

	run.first_place = number * worker_places(run.o);
	run.first_life = (uint64_t)life << LIFE_OF_PROCESS;
	watch_move_main(run.first_place + run.o->threads);
	do
		stay(&run, number, &random);
	while (!churn_over(&run) && draw_below(&random, 2) == 0);
	exit(EXIT_OK);
}

/* --- the witness ------------------------------------------------------------------------ */

static unsigned syncer_place(const struct options *o)
{
	return o->processes * worker_places(o);
}

/* False when the pipe is closed: the workers are gone. */
static bool wait_for_next_sync(const struct options *o, int workers_gone)
{
	struct pollfd end = {.fd = workers_gone, .events = POLLIN};

	return poll(&end, 1, (int)o->sync_every) <= 0;
}

static _Noreturn void be_witness(const struct churn *common_run, int opened, int workers_gone)
{
	struct churn run = *common_run;
	struct tally t = {.threads = 1};
	char byte = 0;

	churn_open_pool(&run, run.fd);
	if (write(opened, &byte, 1) != 1)
		trouble("telling that the pool is open");
	churn_tell(&run);
	while (wait_for_next_sync(run.o, workers_gone)) {
		proof_sync(&run, syncer_place(run.o), &t);
		watch_rest(syncer_place(run.o));
	}
	churn_add_tally(&run, &t);
	churn_conclude(&run);
	exit(EXIT_OK);
}

/* --- the parent ------------------------------------------------------------------------- */

static void kill_all(void)
{
	for (unsigned i = 0; i < the_run->o->processes; i++)
		family_kill(workers[i].pid);
	family_kill(witness.pid);
	family_sweep_away(the_run->key, the_run->fd, the_run->o->page_size);
}

/* The others may wait for what it had: there is no going on. */
static _Noreturn void give_up(const char *what, pid_t pid, int status)
{
	bool no_test = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_TROUBLE;

	if (!no_test)
		fault("%s, process %d, %s %d", what, (int)pid,
		      WIFSIGNALED(status) ? "was killed by signal" : "ended with status",
		      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	kill_all();
	exit(no_test ? EXIT_TROUBLE : report_verdict());
}

static void start_witness(const struct churn *run, int workers_gone, int still_there)
{
	int opened[2], status;
	ssize_t n;
	char byte;

	if (pipe(opened) != 0)
		trouble("making a pipe");
	witness.pid = family_fork();
	if (witness.pid == 0) {
		close(opened[0]);
		close(still_there);
		be_witness(run, opened[1], workers_gone);
	}
	close(opened[1]);
	do
		n = read(opened[0], &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1) { /* it could not open the pool, and has said so */
		pid_t pid = witness.pid;

		waitpid(pid, &status, 0);
		witness.pid = 0;
		give_up("the witness", pid, status);
	}
	close(opened[0]);
}

static void start_worker(const struct churn *run, unsigned number)
{
	struct process *p = &workers[number];

	p->life++;
	p->pid = family_fork();
	if (p->pid == 0)
		be_worker(run, number, p->life);
}

/* One process has ended: which? */
static void account_for(const struct churn *run, pid_t pid, int status, unsigned *left)
{
	bool ended_well = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_OK;

	if (pid == witness.pid) {
		witness.pid = 0;
		if (!ended_well)
			give_up("the witness", pid, status);
		return;
	}
	for (unsigned i = 0; i < run->o->processes; i++) {
		if (workers[i].pid != pid)
			continue;
		workers[i].pid = 0;
		if (!ended_well)
			give_up("a worker", pid, status);
		if (churn_over(run))
			(*left)--;
		else
			start_worker(run, i);
	}
}

/* Until `*left`, a number of workers, is 0, and then, if so asked, until the witness is gone. */
static void wait_for(const struct churn *run, unsigned *left, bool for_witness)
{
	double next_check = report_seconds() + 1;

	while (for_witness ? witness.pid != 0 : *left > 0) {
		int status;
		pid_t pid = family_wait(next_check - report_seconds(), &status);

		if (pid > 0)
			account_for(run, pid, status, left);
		if (report_seconds() >= next_check) {
			watch_look();
			next_check = report_seconds() + 1;
		}
	}
}

static void make_key(struct churn *run)
{
	if (asprintf(&run->key, "mpool-stress churn %d %" PRIu64, (int)getpid(), run->o->seed) < 0)
		trouble("no memory for a key");
}

void processes_run(struct churn *run)
{
	const struct options *o = run->o;
	unsigned left = o->processes;
	int workers_gone[2];

	the_run = run;
	workers = calloc(o->processes, sizeof *workers);
	if (workers == NULL || pipe(workers_gone) != 0)
		trouble("no memory or pipe for %u processes", o->processes);
	make_key(run);
	family_start();
	watch_make(o->processes * worker_places(o) + SYNCERS, o->watchdog);
	watch_before_abort(kill_all);
	start_witness(run, workers_gone[0], workers_gone[1]);
	for (unsigned i = 0; i < o->processes; i++)
		start_worker(run, i);
	wait_for(run, &left, false);
	close(workers_gone[1]);
	wait_for(run, &left, true);
	close(workers_gone[0]);
	watch_free();
	free(workers);
	free(run->key);
}
