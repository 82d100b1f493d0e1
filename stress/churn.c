/*
 * churn.c - the churn mode: many threads change a file through one pool.
 *
 * Makes the file and the pool, keeps a worker at every place until the time is
 * over, and has one thread sync and check the file all the while; see churn.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "churn.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crew.h"
#include "files.h"
#include "modes.h"
#include "page.h"
#include "proof.h"
#include "processes.h"
#include "report.h"
#include "shared.h"
#include "soak.h"
#include "watch.h"
#include "worker.h"

enum {
	SYNCERS = 1,
	FIRST_WRITER = 0,
	BYTE_BITS = 8,
	MEBI_BITS = 20,
	OFFSET_MARK = 3, /* where the descriptor's offset is put, and must stay */
};

static struct common *the_common; /* for the handler */

static void on_signal(int number)
{
	(void)number;
	atomic_store(&the_common->interrupted, true);
}

bool churn_over(const struct churn *run)
{
	return atomic_load(&run->common->interrupted) || faults_too_many() || report_seconds() >= run->deadline;
}

void churn_add_tally(struct churn *run, const struct tally *t)
{
	struct tally *sum = &run->common->sum;

	pthread_mutex_lock(&run->common->mutex);
	for (unsigned i = 0; i < OPERATIONS; i++)
		sum->operation[i] += t->operation[i];
	sum->gets += t->gets;
	sum->busy += t->busy;
	sum->processes += t->processes;
	sum->threads += t->threads;
	sum->cancelled += t->cancelled;
	sum->orphans += t->orphans;
	sum->syncs_checked += t->syncs_checked;
	sum->pages_exact += t->pages_exact;
	sum->pages_newer += t->pages_newer;
	pthread_mutex_unlock(&run->common->mutex);
}

/* --- filters ---------------------------------------------------------------- */

/*
 * In the file every byte is rotated, by an amount that depends on the page: the
 * wrong form, or the wrong page number, does not pass for a page.  Zeros stay
 * zeros, as a page that was never written must read the same with filters.
 */
static void rotate(pgno_t pgno, unsigned char *page, size_t size, bool back)
{
	unsigned by = 1 + pgno % (BYTE_BITS - 1);

	if (back)
		by = BYTE_BITS - by;
	for (size_t i = 0; i < size; i++)
		page[i] = (unsigned char)(page[i] << by | page[i] >> (BYTE_BITS - by));
}

static pgno_t filter_page_size; /* the cookie is left to say whose pool it is */

void churn_to_file(void *cookie, pgno_t pgno, void *page)
{
	(void)cookie;
	rotate(pgno, page, filter_page_size, false);
}

void churn_to_memory(void *cookie, pgno_t pgno, void *page)
{
	(void)cookie;
	rotate(pgno, page, filter_page_size, true);
}

/* --- the file ------------------------------------------------------------------ */

/* The pages at the start are written plainly: so the pool must also read what it never wrote. */
static void write_first_pages(struct churn *run)
{
	size_t size = run->o->page_size;
	void *page = NULL;

	if (posix_memalign(&page, (size_t)sysconf(_SC_PAGESIZE), size) != 0)
		trouble("no memory for a page");
	for (pgno_t p = 0; p < run->o->pages; p++) {
		uint64_t version = truth_advance(run->truth, p);

		page_write(page, size, p, version, FIRST_WRITER);
		if (run->o->filter)
			churn_to_file(run, p, page);
		if (pwrite(run->fd, page, size, (off_t)p * (off_t)size) != (ssize_t)size)
			trouble("writing page %" PRIu32, p);
		truth_put(run->truth, p, version);
		truth_allot(run->truth, p);
	}
	free(page);
}

/* --- the syncs ------------------------------------------------------------------- */

static unsigned syncer_place(const struct churn *run)
{
	return run->o->threads;
}

static void *run_syncer(void *arg)
{
	struct churn *run = arg;
	struct tally t = {.threads = 1};

	while (crew_wait(run->o->sync_every)) {
		proof_sync(run, syncer_place(run), &t);
		watch_rest(syncer_place(run));
	}
	churn_add_tally(run, &t);
	return NULL;
}

static void work_and_sync(struct churn *run)
{
	pthread_t syncer;

	errno = pthread_create(&syncer, NULL, run_syncer, run);
	if (errno != 0)
		trouble("starting a thread");
	crew_work(run);
	pthread_join(syncer, NULL);
}

/* --- what is printed ------------------------------------------------------------------ */

struct progress {
	struct churn *run;
	double at, next;
	uint64_t operations, hits, misses;
};

static double percent(uint64_t part, uint64_t rest)
{
	return part + rest == 0 ? 0 : 100.0 * (double)part / (double)(part + rest);
}

static void print_progress(struct progress *last, double now)
{
	uint64_t operations = watch_operations();
	struct mpool_stats st = {0};

	mpool_stats(last->run->pool, &st, sizeof st);
	printf("%5.0f s %9.0f op/s  hits %5.1f %%  cached %" PRIu64 "  dirty %" PRIu64 "  pinned %" PRIu64
	       "  overflow %" PRIu64 "  writes %" PRIu64 "  pages %" PRIu64,
	       now, (double)(operations - last->operations) / (now - last->at),
	       percent(st.hits - last->hits, st.misses - last->misses), st.cached, st.dirty, st.pinned, st.overflow,
	       st.writes, st.pages);
	if (last->run->o->soak)
		printf("  resident %" PRIu64 " MiB", soak_resident() >> MEBI_BITS);
	printf("\n");
	last->at = now;
	last->operations = operations;
	last->hits = st.hits;
	last->misses = st.misses;
}

/* Once a second. */
static void progress(void *arg)
{
	struct progress *p = arg;
	double now = report_seconds();

	if (p->run->o->soak)
		soak_look(now);
	if (now < p->next)
		return;
	print_progress(p, now);
	p->next += p->run->o->progress;
}

static void print_start(const struct options *o)
{
	char time[32] = "until a signal", processes[32] = "";

	if (o->seconds > 0)
		snprintf(time, sizeof time, "%u s", o->seconds);
	if (o->processes > 0)
		snprintf(processes, sizeof processes, "%u processes of ", o->processes);
	printf("churn: %s%u threads, %s, %" PRIu32 " to %" PRIu32 " pages of %" PRIu32 " bytes, cache %" PRIu32
	       "%s%s%s%s%s, seed %" PRIu64 "\n",
	       processes, o->threads, time, o->pages, o->pages_max, o->page_size, o->cache,
	       o->filter ? ", filters" : "", o->direct ? ", O_DIRECT" : "", o->signals ? ", signals" : "",
	       o->cancel ? ", cancellation" : "", o->soak ? ", soak" : "", o->seed);
}

static void print_summary(const struct tally *t, const struct mpool_stats *st, double seconds)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < OPERATIONS; i++)
		sum += t->operation[i];
	printf("\noperations        %12" PRIu64 "  (%.0f a second)\n", sum, (double)sum / seconds);
	for (unsigned i = 0; i < OPERATIONS; i++)
		printf("  %-16s%12" PRIu64 "\n", operation_name[i], t->operation[i]);
	if (t->processes > 0)
		printf("processes         %12" PRIu64 "\n", t->processes);
	printf("threads           %12" PRIu64 "\n", t->threads);
	printf("cancelled         %12" PRIu64 "\n", t->cancelled);
	printf("pins that outlived%12" PRIu64 "\n", t->orphans);
	printf("deletes refused   %12" PRIu64 "\n", t->busy);
	printf("syncs checked     %12" PRIu64 "  (%" PRIu64 " pages exact, %" PRIu64 " being changed)\n",
	       t->syncs_checked, t->pages_exact, t->pages_newer);
	printf("pages             %12" PRIu64 "\n", st->pages);
	printf("hits              %12" PRIu64 "  (%.1f %%)\n", st->hits, percent(st->hits, st->misses));
	printf("misses            %12" PRIu64 "\n", st->misses);
	printf("reads             %12" PRIu64 "\n", st->reads);
	printf("writes            %12" PRIu64 "\n", st->writes);
	printf("evictions         %12" PRIu64 "\n", st->evictions);
	printf("rescues           %12" PRIu64 "\n", st->rescues);
	printf("faults            %12lu\n", faults());
}

/* --- the pool ------------------------------------------------------------------------- */

static void raise_to(_Atomic pgno_t *most, pgno_t cache)
{
	pgno_t seen = atomic_load(most);

	while (seen < cache && !atomic_compare_exchange_weak(most, &seen, cache))
		;
}

void churn_open_pool(struct churn *run, int fd)
{
	const struct options *o = run->o;
	pgno_t cache = run->cache == 0 ? 1 : run->cache;

	if (!o->direct && lseek(run->fd, OFFSET_MARK, SEEK_SET) < 0)
		trouble("seeking in the file");
	raise_to(&run->common->cache_asked, cache);
	watch_doing(watch_main_place(), DOING_OPEN, WATCH_NO_PAGE);
	run->pool = mpool_open(run->key, fd, o->page_size, run->cache);
	if (run->pool == NULL)
		trouble("mpool_open");
	watch_rest(watch_main_place());
	raise_to(&run->common->cache_given, cache);
	if (o->filter)
		mpool_filter(run->pool, churn_to_memory, churn_to_file, run);
}

void churn_close_pool(struct churn *run)
{
	watch_doing(watch_main_place(), DOING_CLOSE, WATCH_NO_PAGE);
	if (mpool_close(run->pool) != 0)
		fault("mpool_close: %s", strerror(errno));
	watch_rest(watch_main_place());
	if (!run->o->direct && lseek(run->fd, 0, SEEK_CUR) != OFFSET_MARK)
		fault("the pool moved the descriptor's offset");
}

/* --- the run -------------------------------------------------------------------------- */

void churn_tell(struct churn *run)
{
	static struct progress told;

	told = (struct progress){.run = run, .at = report_seconds(), .next = run->o->progress};
	watch_tell(progress, &told);
}

void churn_conclude(struct churn *run)
{
	struct tally *sum = &run->common->sum;
	double seconds = report_seconds();
	struct mpool_stats st = {0};

	worker_drain(run, 0);
	proof_idle(run, sum);
	watch_quiet();
	proof_synced(run, sum);
	mpool_stats(run->pool, &st, sizeof st);
	churn_close_pool(run);
	proof_file(run);
	print_summary(sum, &st, seconds);
}

static void catch_signals(struct churn *run)
{
	struct sigaction action = {.sa_handler = on_signal};

	the_common = run->common;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void make_common(struct churn *run)
{
	pthread_mutexattr_t attr;

	run->common = shared_make(sizeof *run->common);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&run->common->mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	atomic_store(&run->common->reserved, run->o->pages);
}

static void prepare(struct churn *run)
{
	const struct options *o = run->o;
	struct files files;

	filter_page_size = o->page_size;
	make_common(run);
	files_open(o, &files);
	run->fd = files.fd;
	run->plain_fd = files.plain_fd;
	run->truth = truth_make(o->pages_max);
	run->handover = handover_make(o->handover);
	write_first_pages(run);
	print_start(o);
	catch_signals(run);
	report_start(o->faults, o->seed, o->again);
	run->deadline = o->seconds > 0 ? o->seconds : (double)INFINITY;
	run->growth = o->soak && run->deadline > SOAK_GROWTH ? SOAK_GROWTH : run->deadline;
}

static void clean_up(struct churn *run)
{
	handover_free(run->handover);
	truth_free(run->truth);
	close(run->plain_fd);
	close(run->fd);
	pthread_mutex_destroy(&run->common->mutex);
	shared_free(run->common, sizeof *run->common);
}

static void run_here(struct churn *run)
{
	watch_start(run->o->threads + SYNCERS, run->o->watchdog);
	churn_open_pool(run, run->fd);
	churn_tell(run);
	work_and_sync(run);
	churn_conclude(run);
	watch_stop();
}

int churn(const struct options *o)
{
	struct churn run = {.o = o, .cache = o->cache};

	prepare(&run);
	if (o->processes > 0)
		processes_run(&run);
	else
		run_here(&run);
	clean_up(&run);
	return report_verdict();
}
