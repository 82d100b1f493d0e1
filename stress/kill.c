/*
 * kill.c - the kill mode: processes die anywhere, and the others must not notice.
 *
 * Owns the processes and the rounds.  In each round the workers change pages until, at
 * a random instant or in the middle of a chosen call, one is struck: killed, or stopped
 * for a while, or both, sometimes two at once.  The dead are replaced; then all park,
 * and the witness looks at everything.  See kill.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "kill.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "draw.h"
#include "family.h"
#include "files.h"
#include "modes.h"
#include "page.h"
#include "patience.h"
#include "report.h"
#include "shared.h"

enum {
	LOST_MAX = 1 << 14,     /* page numbers that the dead may take with them */
	PACE_MICRO = 6000,      /* at most so long they work before one is struck */
	AFTER_MICRO = 3000,     /* and after it */
	AIM_MICRO = 4000,       /* at most so long the parent waits for a chosen call */
	AIM_DELAY_NANO = 30000, /* from the begin of a call to the stroke, at most */
	POLL_MICRO = 100,
	PER_SECOND = 1000000,
	NANO_PER_SECOND = 1000000000,
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

struct process {
	pid_t pid;   /* 0: none */
	bool struck; /* dead, but accounted for already, and perhaps not yet reaped */
	uint64_t incarnation;
};

/* A page that a dead process had pinned. */
struct loss {
	pgno_t pgno;
	bool surely;
};

static const struct kill *the_run;
static struct process *workers, witness;
static struct kill_tally tally;
static uint64_t random_state;
static struct loss *losses; /* since the last check */
static size_t losses_count, losses_room;
static bool lost_a_new_page;
static uint64_t *steps_before; /* of each actor, when a process was stopped */
static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = number;
}

static unsigned below(unsigned n)
{
	return draw_below(&random_state, n);
}

static struct actor *actor_of(unsigned process, unsigned thread)
{
	return &the_run->board->actor[kill_actor_number(the_run->o, process, thread)];
}

static struct actor *main_of(unsigned process)
{
	return actor_of(process, the_run->o->threads);
}

static bool alive(unsigned process)
{
	return workers[process].pid != 0 && !workers[process].struck;
}

/* --- the end of everything ----------------------------------------------------------- */

static void kill_everybody(void)
{
	for (unsigned i = 0; i < the_run->o->processes; i++)
		family_kill(workers[i].pid);
	family_kill(witness.pid);
	family_sweep_away(the_run->key, the_run->fd, the_run->o->page_size);
}

static _Noreturn void hang(const char *what)
{
	fflush(stdout);
	fprintf(stderr, "mpool-stress: hang: for %u s, %s\n", the_run->o->watchdog, what);
	kill_print_actors(the_run);
	report_again();
	kill_everybody();
	abort();
}

/* What it was struck with was none of the parent's strokes. */
static _Noreturn void give_up(const char *who, pid_t pid, int status)
{
	bool no_test = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_TROUBLE;

	if (!no_test)
		fault("%s, process %d, %s %d", who, (int)pid,
		      WIFSIGNALED(status) ? "was killed by signal" : "ended with status",
		      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	kill_everybody();
	exit(no_test ? EXIT_TROUBLE : report_verdict());
}

/* --- who comes and goes ---------------------------------------------------------------- */

static void worker_ended(unsigned process, int status)
{
	pid_t pid = workers[process].pid;

	workers[process].pid = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_OK)
		give_up("a worker", pid, status);
	tally.quit++;
}

/* Those that ended of themselves. */
static void see_who_ended(void)
{
	int status;

	for (unsigned i = 0; i < the_run->o->processes; i++)
		if (alive(i) && waitpid(workers[i].pid, &status, WNOHANG) == workers[i].pid)
			worker_ended(i, status);
	if (witness.pid != 0 && waitpid(witness.pid, &status, WNOHANG) == witness.pid) {
		pid_t pid = witness.pid;

		witness.pid = 0;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_OK)
			give_up("the witness", pid, status);
	}
}

static void reap_the_struck(void)
{
	for (unsigned i = 0; i < the_run->o->processes; i++) {
		if (!workers[i].struck)
			continue;
		waitpid(workers[i].pid, NULL, 0);
		workers[i] = (struct process){.incarnation = workers[i].incarnation};
	}
}

static void start_missing(void)
{
	for (unsigned i = 0; i < the_run->o->processes; i++) {
		if (workers[i].pid != 0)
			continue;
		workers[i].incarnation++;
		kill_begin(main_of(i), CALL_NONE, KILL_NO_PAGE);
		workers[i].pid = family_fork();
		if (workers[i].pid == 0)
			kill_worker(the_run, i, workers[i].incarnation);
	}
}

static void start_witness(void)
{
	witness.pid = family_fork();
	if (witness.pid == 0)
		kill_witness(the_run);
}

/* Waits until something holds, which must come to hold. */
static void await(bool (*holds)(void), const char *what)
{
	double begun = patience_seconds(), waited = 0;

	while (!holds()) {
		family_doze((double)POLL_MICRO / PER_SECOND);
		see_who_ended();
		patience_look(waited > PATIENCE_DOUBT);
		waited = patience_seconds() - begun;
		if (waited > the_run->o->watchdog)
			hang(what);
	}
}

/* --- what a dead process leaves ---------------------------------------------------------- */

static void lose(pgno_t pgno, bool surely)
{
	if (losses_count == losses_room) {
		losses_room = losses_room * 2 + 1;
		losses = realloc(losses, losses_room * sizeof *losses);
		if (losses == NULL)
			trouble("no memory for what was lost");
	}
	losses[losses_count++] = (struct loss){.pgno = pgno, .surely = surely};
}

static unsigned take_pins(struct actor *a)
{
	pgno_t pgno = atomic_load(&a->pgno);
	unsigned pins = 0;

	if (pgno != KILL_NO_PAGE)
		lose(pgno, false);
	for (unsigned i = 0; i < KILL_HELD_MAX; i++) {
		pgno_t held = atomic_exchange(&a->held[i], KILL_NOT_HELD);

		if (held == KILL_NOT_HELD)
			continue;
		lose(held - 1, true);
		pins++;
	}
	return pins;
}

/* The owner word comes last: whoever takes it then finds the page as the dead left it. */
static unsigned take_pages(unsigned owner)
{
	pgno_t pages = atomic_load(&the_run->board->allotted);
	unsigned changing = 0;

	for (pgno_t p = 0; p < pages; p++) {
		struct record *r = &the_run->record[p];

		if (atomic_load(&r->owner) != owner + 1)
			continue;
		changing += atomic_load(&r->phase) != PHASE_SURE;
		atomic_store(&r->owner, 0);
	}
	return changing;
}

static void bury_thread(unsigned process, unsigned thread)
{
	struct actor *a = actor_of(process, thread);
	int call = atomic_load(&a->call);
	unsigned pins = take_pins(a), changing = take_pages(kill_actor_number(the_run->o, process, thread));

	if (call == CALL_NEW) {
		atomic_fetch_add(&the_run->board->lost_new, 1);
		lost_a_new_page = true;
	}
	if (call != CALL_ENDED && call != CALL_THREADS) {
		tally.by_call[call].threads++;
		tally.by_call[call].with_pins += pins > 0;
		tally.by_call[call].with_half += changing > 0;
	}
	kill_begin(a, CALL_ENDED, KILL_NO_PAGE);
}

/* It has no thread left: what it did is done. */
static void bury(unsigned process)
{
	struct board *b = the_run->board;
	int main_call = atomic_load(&main_of(process)->call);
	bool inside = atomic_exchange(&b->member[process].inside, false);

	workers[process].struck = true;
	tally.killed++;
	tally.killed_inside += inside;
	b->deaths_least += inside;
	b->deaths_most += inside || main_call == CALL_OPEN || main_call == CALL_CLOSE;
	for (unsigned i = 0; i <= the_run->o->threads; i++)
		bury_thread(process, i);
}

/* --- strokes ---------------------------------------------------------------------------- */

static void spin(double seconds)
{
	double until = report_seconds() + seconds;

	while (report_seconds() < until)
		;
}

static unsigned any_alive(void)
{
	unsigned n = the_run->o->processes, i = below(n);

	for (unsigned tried = 0; tried < n && !alive(i); tried++)
		i = (i + 1) % n;
	return i;
}

/* A process one of whose threads is in this call; or none. */
static unsigned who_is_in(int call)
{
	unsigned n = the_run->o->processes, from = below(n);

	for (unsigned i = 0; i < n; i++) {
		unsigned p = (from + i) % n;

		for (unsigned t = 0; t <= the_run->o->threads && alive(p); t++)
			if (atomic_load(&actor_of(p, t)->call) == call)
				return p;
	}
	return n;
}

/* Waits for a thread to be in a call, drawn among all, and then a little. */
static unsigned aim(void)
{
	double until = report_seconds() + (double)AIM_MICRO / PER_SECOND;
	int call = (int)below(CALL_AIMS);
	unsigned p;

	do
		p = who_is_in(call);
	while (p == the_run->o->processes && report_seconds() < until);
	if (p == the_run->o->processes)
		return any_alive();
	tally.aimed++;
	spin((double)below(AIM_DELAY_NANO) / NANO_PER_SECOND);
	return p;
}

static void strike(unsigned process)
{
	if (alive(process))
		kill(workers[process].pid, SIGKILL);
}

/* It stays a zombie, which is as dead as can be. */
static void see_dead(unsigned process)
{
	siginfo_t info = {0};
	int status;

	if (!alive(process))
		return;
	while (waitid(P_PID, (id_t)workers[process].pid, &info, WEXITED | WNOWAIT) != 0)
		if (errno != EINTR)
			trouble("waiting for a killed process");
	if (info.si_code == CLD_KILLED && info.si_status == SIGKILL)
		bury(process);
	else
		/* Its end came before the stroke, or something else did. */
		worker_ended(process, waitpid(workers[process].pid, &status, 0) > 0 ? status : 0);
}

static void strike_some(void)
{
	unsigned first = below(AIM_OF) < AIM_IN ? aim() : any_alive(), second = first;
	unsigned n = the_run->o->processes;

	strike(first);
	if (below(TWO_OF) == 0 && n > 1) {
		second = (first + 1 + below(n - 1)) % n;
		/* While others deal with the first death, or before they can. */
		spin(below(2) == 0 ? 0 : (double)below(AFTER_MICRO) / PER_SECOND);
		tally.together += alive(second);
		strike(second);
	}
	see_dead(first);
	see_dead(second);
}

/* --- one is stopped ----------------------------------------------------------------------- */

/* False: it ended before. */
static bool stop(unsigned process)
{
	int status;

	if (!alive(process))
		return false;
	kill(workers[process].pid, SIGSTOP);
	while (waitpid(workers[process].pid, &status, WUNTRACED) < 0)
		if (errno != EINTR)
			trouble("waiting for a process to stop");
	if (!WIFSTOPPED(status)) {
		worker_ended(process, status);
		return false;
	}
	tally.stopped++;
	return true;
}

static void go_on_or_die(unsigned process)
{
	if (below(KILL_STOPPED_OF) == 0) {
		strike(process);
		see_dead(process);
	} else {
		kill(workers[process].pid, SIGCONT);
	}
}

static unsigned the_stopped;

/* May this thread wait for one that is stopped? */
static bool may_wait(const struct actor *a)
{
	struct board *b = the_run->board;
	uint64_t count = atomic_load(&b->avoid_count);

	switch (atomic_load(&a->call)) {
	case CALL_SYNC:
	case CALL_DELETE:
	case CALL_REQUEST:
	case CALL_OPEN:
	case CALL_CLOSE:
	case CALL_PARKED:
	case CALL_ENDED:
		return true;
	case CALL_GET:
		for (uint64_t i = 0; i < count; i++)
			if (atomic_load(&b->avoid[i]) == atomic_load(&a->pgno))
				return true;
		return false;
	default:
		return false;
	}
}

static bool went_on(unsigned process, unsigned thread)
{
	unsigned number = kill_actor_number(the_run->o, process, thread);

	return atomic_load(&the_run->board->actor[number].steps) - steps_before[number] >= GOES_ON;
}

static bool others_go_on(void)
{
	for (unsigned p = 0; p < the_run->o->processes; p++)
		for (unsigned t = 0; t < the_run->o->threads && p != the_stopped && alive(p); t++)
			if (!went_on(p, t) && !may_wait(actor_of(p, t)))
				return false;
	return true;
}

/* The pages that the stopped process may be loading, or dropping. */
static void avoid_its_pages(void)
{
	struct board *b = the_run->board;
	uint64_t count = 0;

	for (unsigned t = 0; t < the_run->o->threads; t++) {
		struct actor *a = actor_of(the_stopped, t);
		int call = atomic_load(&a->call);

		if (call == CALL_GET || call == CALL_DELETE || call == CALL_REQUEST)
			atomic_store(&b->avoid[count++], atomic_load(&a->pgno));
	}
	atomic_store(&b->avoid_count, count);
}

/* Whatever it is in: the others' gets of other pages, puts and new pages go on. */
static void stop_one_and_see(void)
{
	const struct options *o = the_run->o;
	struct board *b = the_run->board;

	the_stopped = below(2) == 0 ? aim() : any_alive();
	if (!stop(the_stopped))
		return;
	avoid_its_pages();
	atomic_store(&b->calm, true);
	for (unsigned i = 0; i < kill_witness_number(o); i++)
		steps_before[i] = atomic_load(&b->actor[i].steps);
	await(others_go_on, "a process is stopped, and others are held up in calls that need not wait for it");
	for (unsigned p = 0; p < o->processes; p++)
		for (unsigned t = 0; t < o->threads && p != the_stopped; t++)
			went_on(p, t) ? tally.went_on++ : tally.waited++;
	go_on_or_die(the_stopped);
	atomic_store(&b->calm, false);
	atomic_store(&b->avoid_count, 0);
}

/* The stopped one may hold up whoever deals with the death, until it goes on. */
static void strike_beside_one_stopped(void)
{
	unsigned stopped = any_alive();
	unsigned long killed = tally.killed;
	bool is = stop(stopped);

	strike_some();
	tally.while_stopped += is ? tally.killed - killed : 0;
	family_doze((double)below(AFTER_MICRO) / PER_SECOND);
	if (is && alive(stopped))
		go_on_or_die(stopped);
}

/* --- a round ------------------------------------------------------------------------------- */

static void change_pause(void)
{
	_Atomic int *pause = &the_run->board->pause;

	atomic_fetch_add(pause, 1);
	kill_wake(pause);
}

/* For this pause: one that has not noticed the end of the last is on its way. */
static bool is_parked(const struct actor *a)
{
	return atomic_load(&a->call) == CALL_PARKED &&
	       atomic_load(&a->parked_for) == atomic_load(&the_run->board->pause);
}

static bool thread_rests(unsigned process, unsigned *parked)
{
	for (unsigned t = 0; t < the_run->o->threads; t++) {
		struct actor *a = actor_of(process, t);

		if (!is_parked(a) && atomic_load(&a->call) != CALL_ENDED)
			return false;
		*parked += is_parked(a);
	}
	return true;
}

static bool all_rest(void)
{
	for (unsigned p = 0; p < the_run->o->processes; p++) {
		unsigned parked = 0;

		if (!alive(p) || is_parked(main_of(p)))
			continue;
		if (atomic_load(&main_of(p)->call) != CALL_THREADS || !thread_rests(p, &parked) || parked == 0)
			return false;
	}
	return true;
}

static bool all_are_gone(void)
{
	for (unsigned p = 0; p < the_run->o->processes; p++)
		if (alive(p))
			return false;
	return true;
}

static bool witness_is_done(void)
{
	return witness.pid == 0 || atomic_load(&the_run->board->done) == atomic_load(&the_run->board->order);
}

static bool witness_is_gone(void)
{
	return witness.pid == 0;
}

static bool witness_is_ready(void)
{
	const struct options *o = the_run->o;

	return witness.pid == 0 || atomic_load(&the_run->board->actor[kill_witness_number(o)].call) == CALL_PARKED;
}

/* Now that all rest: what is known of the dead is what the pool knows. */
static void settle_losses(void)
{
	struct board *b = the_run->board;
	pgno_t given = atomic_load(&b->allotted) + (pgno_t)atomic_load(&b->lost_new) + MARK_BEYOND;

	for (size_t i = 0; i < losses_count; i++) {
		struct record *r = &the_run->record[losses[i].pgno];

		r->deaths++;
		r->sure_deaths += losses[i].surely;
	}
	for (pgno_t p = 0; lost_a_new_page && p < given && p < the_run->records; p++)
		the_run->record[p].deaths += !atomic_load(&the_run->record[p].allotted);
	losses_count = 0;
	lost_a_new_page = false;
}

static void have_it_checked(void)
{
	struct board *b = the_run->board;

	b->members = 0;
	for (unsigned p = 0; p < the_run->o->processes; p++)
		b->members += atomic_load(&b->member[p].inside);
	settle_losses();
	atomic_fetch_add(&b->order, 1);
	kill_wake(&b->order);
	await(witness_is_done, "the witness has not done its check");
}

static double part_done(void)
{
	const struct options *o = the_run->o;
	double by_rounds = o->rounds > 0 ? (double)tally.rounds / o->rounds : 0;
	double by_time = o->seconds > 0 ? report_seconds() / o->seconds : 0;

	return by_rounds > by_time ? by_rounds : by_time;
}

static void let_the_file_grow(void)
{
	const struct options *o = the_run->o;
	double part = part_done();

	atomic_store(&the_run->board->may_reserve,
	             o->pages + (pgno_t)((o->pages_max - o->pages) * (part < 1 ? part : 1)));
}

static void play_round(void)
{
	struct board *b = the_run->board;
	bool late = below(LATE_OF) == 0;

	let_the_file_grow();
	atomic_store(&b->flushing, below(FLUSH_OF) == 0);
	change_pause();
	family_doze((double)below(PACE_MICRO) / PER_SECOND);
	see_who_ended();
	switch (below(STOP_OF)) {
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
	if (late)
		for (unsigned p = 0; p < the_run->o->processes; p++)
			tally.reaped_late += workers[p].struck;
	else
		reap_the_struck();
	start_missing();
	family_doze((double)below(AFTER_MICRO) / PER_SECOND);
	change_pause();
	await(all_rest, "all are to park, and do not");
	have_it_checked();
	reap_the_struck();
	start_missing();
	tally.rounds++;
}

/* --- the run ---------------------------------------------------------------------------------- */

static bool over(void)
{
	return interrupted != 0 || faults_too_many() || part_done() >= 1;
}

static void play(void)
{
	double next = the_run->o->progress;

	while (!over()) {
		play_round();
		if (report_seconds() < next)
			continue;
		kill_print_progress(the_run, &tally);
		next = report_seconds() + the_run->o->progress;
	}
}

static void end(void)
{
	struct board *b = the_run->board;

	atomic_store(&b->stop, true);
	change_pause();
	await(all_are_gone, "all are to leave, and do not");
	atomic_store(&b->last, true);
	have_it_checked();
	await(witness_is_gone, "the witness does not leave");
}

static void write_first_pages(const struct kill *k)
{
	size_t size = k->o->page_size;
	void *page = NULL;

	if (posix_memalign(&page, (size_t)sysconf(_SC_PAGESIZE), size) != 0)
		trouble("no memory for a page");
	for (pgno_t p = 0; p < k->o->pages; p++) {
		page_write(page, size, p, 1, kill_witness_number(k->o));
		if (pwrite(k->fd, page, size, (off_t)p * (off_t)size) != (ssize_t)size)
			trouble("writing page %" PRIu32, p);
		atomic_store(&k->record[p].version, 1);
		atomic_store(&k->record[p].version_put, 1);
		record_allot(k, p);
	}
	atomic_store(&k->board->reserved, k->o->pages);
	free(page);
}

static void prepare(struct kill *k)
{
	const struct options *o = k->o;
	unsigned actors = kill_witness_number(o) + kill_actors_each(o);
	struct files files;

	files_open(o, &files);
	k->fd = files.fd;
	k->plain_fd = files.plain_fd;
	k->records = o->pages_max + LOST_MAX;
	k->record = shared_make(k->records * sizeof *k->record);
	k->board_size = sizeof *k->board + actors * sizeof k->board->actor[0];
	k->board = shared_make(k->board_size);
	for (unsigned i = 0; i < actors; i++)
		kill_begin(&k->board->actor[i], CALL_ENDED, KILL_NO_PAGE);
	workers = calloc(o->processes, sizeof *workers);
	steps_before = calloc(actors, sizeof *steps_before);
	if (workers == NULL || steps_before == NULL ||
	    asprintf(&k->key, "mpool-stress kill %d %" PRIu64, (int)getpid(), o->seed) < 0)
		trouble("no memory for %u processes", o->processes);
	write_first_pages(k);
	random_state = draw_start(o->seed);
	the_run = k;
}

static void clean_up(struct kill *k)
{
	free(losses);
	free(steps_before);
	free(workers);
	free(k->key);
	close(k->plain_fd);
	close(k->fd);
	shared_free(k->record, k->records * sizeof *k->record);
	shared_free(k->board, k->board_size);
}

int kill_mode(const struct options *o)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct kill k = {.o = o};

	prepare(&k);
	kill_print_start(o);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	report_start(o->faults, o->seed, o->again);
	family_start();
	start_witness();
	await(witness_is_ready, "the witness does not open the pool");
	change_pause();
	start_missing();
	play();
	end();
	kill_print_summary(&k, &tally);
	clean_up(&k);
	return report_verdict();
}
