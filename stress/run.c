/*
 * run.c - mpool-stress: does a pool keep its promises when many threads, and processes, use it?
 *
 * Makes the pool, tells of the progress and sums up; see run.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "run.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "report.h"

enum {
	BYTE_BITS = 8,
	MEBI_BITS = 20,
	READ_AHEAD = 8,     /* pages */
	OFFSET_MARK = 3,    /* where the descriptor's offset is put, and must stay */
	SOAK_PROGRESS = 60, /* seconds between lines of progress */
};

#define PLAY_SECONDS 0.1

struct run run;

/* --- places -------------------------------------------------------------------- */

static unsigned processes(void)
{
	return run.o->processes == 0 ? 1 : run.o->processes;
}

unsigned place_number(unsigned process, unsigned thread)
{
	return process * (run.o->threads + 1) + thread;
}

struct place *place_of(unsigned process, unsigned thread)
{
	return watch_place(place_number(process, thread));
}

struct place *main_of(unsigned process)
{
	return place_of(process, run.o->threads);
}

unsigned place_after(unsigned which)
{
	return place_number(processes(), which);
}

/* --- is it over? ---------------------------------------------------------------- */

double run_part(void)
{
	const struct options *o = run.o;
	double by_rounds = o->rounds > 0 ? (double)atomic_load(&run.board->rounds) / o->rounds : 0;
	double by_time = o->seconds > 0 ? report_seconds() / o->seconds : 0;

	return by_rounds > by_time ? by_rounds : by_time;
}

bool run_over(void)
{
	return atomic_load(&run.board->interrupted) || faults_too_many() || run_part() >= 1;
}

bool stay_over(void)
{
	bool is_time = run.leave_at > 0 && report_seconds() >= run.leave_at;

	return run_over() || (is_time && !atomic_load(&run.board->calm));
}

static void on_signal(int number)
{
	(void)number;
	atomic_store(&run.board->interrupted, true);
}

/* --- filters ------------------------------------------------------------------- */

/*
 * In the file every byte is rotated, by an amount that depends on the page: the
 * wrong form, or the wrong page number, does not pass for a page.  Zeros stay
 * zeros, as a page that was never written must read the same with filters.
 */
static void rotate(pgno_t pgno, unsigned char *page, bool back)
{
	unsigned by = 1 + pgno % (BYTE_BITS - 1);

	if (back)
		by = BYTE_BITS - by;
	for (size_t i = 0; i < run.o->page_size; i++)
		page[i] = (unsigned char)(page[i] << by | page[i] >> (BYTE_BITS - by));
}

static pgno_t number_of(const struct file *f, pgno_t pgno)
{
	return f->first + pgno;
}

void to_file(void *cookie, pgno_t pgno, void *page)
{
	rotate(number_of(cookie, pgno), page, false);
}

void to_memory(void *cookie, pgno_t pgno, void *page)
{
	rotate(number_of(cookie, pgno), page, true);
}

/* --- the pool ------------------------------------------------------------------ */

void pool_settings(struct file *f)
{
	struct mpool_hooks hooks = image_hooks;

	hooks.cookie = f;
	if (run.o->filter)
		mpool_filter(handle_of(f), to_memory, to_file, f);
	if (run.o->hooks && mpool_hooks(handle_of(f), &hooks, sizeof hooks) != 0)
		fault_call("mpool_hooks", NO_PAGE);
}

void pool_open(int fd, pgno_t cache)
{
	const struct options *o = run.o;

	if (!o->direct && lseek(run.file->fd, OFFSET_MARK, SEEK_SET) < 0)
		trouble("seeking in the file");
	raise_to(&run.board->cache_asked, cache == 0 ? 1 : cache);
	watch_doing(run.main, DOING_OPEN, NO_PAGE);
	run.pool = mpool_open(run.key, fd, o->page_size, cache);
	if (run.pool == NULL && atomic_load(&run.board->cache_given) == 0)
		trouble("mpool_open");
	if (run.pool == NULL) {
		fault_call("mpool_open of the pool that others have open", NO_PAGE);
		exit(EXIT_FAULTS);
	}
	run.own[0].pool = run.pool;
	atomic_store(&run.board->inside[run.process], true);
	watch_done(run.main);
	raise_to(&run.board->cache_given, cache == 0 ? 1 : cache);
	pool_settings(run.file);
	if (all_latched() && mpool_tune(run.pool, MPOOL_LATCHED, 1) != 0)
		fault_call("mpool_tune", NO_PAGE);
	/* Of those that are killed, or stopped, it must be known which page they read. */
	if (!run.killing && mpool_tune(run.pool, MPOOL_READAHEAD, READ_AHEAD) != 0)
		fault_call("mpool_tune", NO_PAGE);
}

void pool_close(void)
{
	watch_doing(run.main, DOING_CLOSE, NO_PAGE);
	atomic_store(&run.board->inside[run.process], false);
	if (mpool_close(run.pool) != 0)
		fault_call("mpool_close", NO_PAGE);
	watch_done(run.main);
	files_closed();
	if (!run.o->direct && lseek(run.file->fd, 0, SEEK_CUR) != OFFSET_MARK)
		fault("the pool moved the descriptor's offset");
}

struct mpool_stats pool_stats(struct place *at)
{
	struct mpool_stats st = {0};

	watch_doing(at, DOING_STATS, NO_PAGE);
	if (mpool_stats(run.pool, &st, sizeof st) != 0)
		fault_call("mpool_stats", NO_PAGE);
	watch_done(at);
	return st;
}

/* --- what is printed ----------------------------------------------------------- */

static double percent(uint64_t part, uint64_t rest)
{
	return part + rest == 0 ? 0 : 100.0 * (double)part / (double)(part + rest);
}

void print_progress(void)
{
	static uint64_t done_before;
	static double at_before, next;
	struct mpool_stats st = pool_stats(watch_place(place_after(PLACE_TELLER)));
	uint64_t done = watch_operations();
	double now = report_seconds();
	uint64_t resident = run.o->soak ? soak_look(now) : 0;

	if (now < next)
		return;
	printf("%5.0f s %9.0f op/s  hits %5.1f %%  cached %" PRIu64 "  dirty %" PRIu64 "  pinned %" PRIu64
	       "  overflow %" PRIu64 "  writes %" PRIu64 "  pages %" PRIu64,
	       now, (double)(done - done_before) / (now - at_before), percent(st.hits, st.misses), st.cached, st.dirty,
	       st.pinned, st.overflow, st.writes, st.pages);
	if (run.killing)
		printf("  rounds %" PRIu64 "  killed %" PRIu64, atomic_load(&run.board->rounds),
		       watch_sum(COUNT_KILLED));
	if (run.o->soak)
		printf("  resident %" PRIu64 " MiB", resident >> MEBI_BITS);
	printf("\n");
	at_before = now;
	done_before = done;
	next += run.o->soak ? SOAK_PROGRESS : 0;
}

static void print_start(const struct options *o)
{
	printf("%s: %u processes of %u threads, ", run.killing ? "kill" : "churn", processes(), o->threads);
	if (o->seconds > 0)
		printf("%u s, ", o->seconds);
	if (o->rounds > 0)
		printf("%u rounds, ", o->rounds);
	printf("%u to %u pages of %u bytes, %u more files, cache %u, %u%% latched%s%s%s%s%s%s, seed %u\n", o->pages,
	       o->pages_max, o->page_size, o->files, o->cache, o->latched, o->filter ? ", filters" : "",
	       o->hooks ? ", hooks" : "", o->direct ? ", O_DIRECT" : "", o->signals ? ", signals" : "",
	       o->cancel ? ", cancellation" : "", o->soak ? ", soak" : "", o->seed);
}

/* --- the run ------------------------------------------------------------------- */

static void prepare(const struct options *o)
{
	struct sigaction action = {.sa_handler = on_signal};

	run.o = o;
	run.killing = o->mode == MODE_KILL;
	run.board = shared_make(sizeof *run.board);
	run.growth = o->soak ? SOAK_GROWTH : 0;
	atomic_store(&run.board->pause, run.killing);
	files_make();
	watch_make(place_after(PLACES_AFTER), o->watchdog);
	print_start(o);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	report_start(o);
}

static void *be_witness(void *unused)
{
	(void)unused;
	witness_work();
	return NULL;
}

static void run_here(void)
{
	struct ticker guard = {0};
	struct worker *w = worker_make(place_number(0, run.o->threads), 0);
	pthread_t witness;

	run.main = main_of(0);
	ticker_start(&guard, watch_guard);
	pool_open(run.file->fd, run.o->cache);
	files_come(w, FILES_ALL);
	start_thread(&witness, be_witness, NULL);
	crew_work(0);
	drain(w, 0);
	worker_free(w);
	atomic_store(&run.board->last, true);
	atomic_fetch_add(&run.board->order, 1);
	wake(&run.board->order);
	pthread_join(witness, NULL);
	ticker_stop(&guard);
}

static void churn_play(void)
{
	family_doze(PLAY_SECONDS);
	watch_look(false);
}

static int churn(void)
{
	if (run.o->processes > 0)
		family_run(run.killing ? kill_play : churn_play);
	else
		run_here();
	if (run.killing)
		kill_print();
	watch_print_counts();
	return report_verdict();
}

int main(int argc, char **argv)
{
	static struct options o;

	setvbuf(stdout, NULL, _IOLBF, 0); /* progress lines come at once through pipes too */
	options_parse(argc, argv, &o);
	if (o.mode == MODE_VERIFY)
		return verify(&o);
	prepare(&o);
	return churn();
}
