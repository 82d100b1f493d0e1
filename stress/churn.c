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
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "modes.h"
#include "page.h"
#include "proof.h"
#include "report.h"
#include "soak.h"
#include "storm.h"
#include "watch.h"
#include "worker.h"

enum {
	FILE_MODE = 0666, /* less the umask */
	SYNCERS = 1,
	MILLI = 1000,
	NANO_IN_MILLI = 1000000,
	FIRST_WRITER = 0,
	BYTE_BITS = 8,
	MEBI_BITS = 20,
	OFFSET_MARK = 3,  /* where the descriptor's offset is put, and must stay */
};

/* One slot for each worker; the thread in it changes. */
struct crew {
	struct churn *run;
	unsigned place;
	uint64_t life;
	pthread_t thread;
	/* Guarded by the crew's mutex: */
	bool working; /* the thread is there to be signalled, or cancelled */
	bool ended;
};

static pthread_mutex_t crew_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t crew_changed = PTHREAD_COND_INITIALIZER;
static struct crew *the_crew; /* for the storm */
static bool crew_gone; /* no worker is left; guarded by crew_mutex */

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = number;
}

bool churn_over(const struct churn *run)
{
	return interrupted != 0 || faults_too_many() || report_seconds() >= run->deadline;
}

void churn_add_tally(struct churn *run, const struct tally *t)
{
	pthread_mutex_lock(&run->mutex);
	for (unsigned i = 0; i < OPERATIONS; i++)
		run->sum.operation[i] += t->operation[i];
	run->sum.gets += t->gets;
	run->sum.busy += t->busy;
	run->sum.threads += t->threads;
	run->sum.cancelled += t->cancelled;
	run->sum.orphans += t->orphans;
	run->sum.syncs_checked += t->syncs_checked;
	run->sum.pages_exact += t->pages_exact;
	run->sum.pages_newer += t->pages_newer;
	pthread_mutex_unlock(&run->mutex);
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

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Ours, empty or not there: then it may be overwritten without --force. */
static void check_may_overwrite(const char *path)
{
	char head[PAGE_SIZE_MIN];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return;
	if (fd < 0)
		trouble("opening %s", path);
	n = read(fd, head, sizeof head);
	close(fd);
	if (n == 0 || (n > 0 && page_begins_file(head, (size_t)n)))
		return;
	fprintf(stderr, "mpool-stress: %s exists and was not made by this program; --force overwrites it\n", path);
	exit(EXIT_TROUBLE);
}

static int open_one(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, FILE_MODE);

	if (fd < 0)
		trouble("opening %s", path);
	return fd;
}

/* The temporary file has no name from the start, so it cannot stay behind. */
static void open_temporary(struct churn *run, const char *directory, int direct)
{
	char *path;

	if (asprintf(&path, "%s/mpool-stress.XXXXXX", directory) < 0)
		trouble("no memory for a file name");
	run->fd = mkstemp(path);
	if (run->fd < 0)
		trouble("making %s", path);
	if (direct != 0) {
		close(run->fd);
		run->fd = open_one(path, O_RDWR | direct);
	}
	run->plain_fd = open_one(path, O_RDONLY | direct);
	unlink(path);
	free(path);
}

static void open_files(struct churn *run)
{
	const char *file = run->o->file != NULL ? run->o->file : ".";
	int direct = run->o->direct ? O_DIRECT : 0;

	if (is_directory(file)) {
		open_temporary(run, file, direct);
		return;
	}
	if (!run->o->force)
		check_may_overwrite(file);
	run->fd = open_one(file, O_RDWR | O_CREAT | O_TRUNC | direct);
	run->plain_fd = open_one(file, O_RDONLY | direct);
}

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

/* --- the threads ------------------------------------------------------------------ */

/* However the thread ended. */
static void say_ended(void *crew)
{
	struct crew *c = crew;

	pthread_mutex_lock(&crew_mutex);
	c->working = false;
	c->ended = true;
	pthread_cond_broadcast(&crew_changed);
	pthread_mutex_unlock(&crew_mutex);
}

static void *run_worker(void *arg)
{
	struct crew *c = arg;

	pthread_cleanup_push(say_ended, c);
	worker_live(c->run, c->place, c->life);
	pthread_cleanup_pop(true);
	return NULL;
}

static void start_worker(struct crew *c)
{
	c->life++;
	/* Under the mutex, so that nobody strikes a thread whose name is not there yet. */
	pthread_mutex_lock(&crew_mutex);
	errno = pthread_create(&c->thread, NULL, run_worker, c);
	if (errno != 0)
		trouble("starting a thread");
	c->working = true;
	pthread_mutex_unlock(&crew_mutex);
}

static void signal_worker(unsigned place, int number)
{
	pthread_mutex_lock(&crew_mutex);
	if (the_crew[place].working)
		pthread_kill(the_crew[place].thread, number);
	pthread_mutex_unlock(&crew_mutex);
}

static void cancel_worker(unsigned place)
{
	pthread_mutex_lock(&crew_mutex);
	if (the_crew[place].working)
		pthread_cancel(the_crew[place].thread);
	pthread_mutex_unlock(&crew_mutex);
}

static struct crew *wait_for_end(struct crew *crew, unsigned n)
{
	struct crew *found = NULL;

	pthread_mutex_lock(&crew_mutex);
	for (;;) {
		for (unsigned i = 0; i < n && found == NULL; i++)
			if (crew[i].ended)
				found = &crew[i];
		if (found != NULL)
			break;
		pthread_cond_wait(&crew_changed, &crew_mutex);
	}
	found->ended = false;
	pthread_mutex_unlock(&crew_mutex);
	return found;
}

/* Until the run is over, a thread that ends is replaced by a new one. */
static void work(struct churn *run)
{
	static const struct storm_calls strokes = { .signal = signal_worker, .cancel = cancel_worker };
	unsigned n = run->o->threads, left = n;
	struct crew *crew = calloc(n, sizeof *crew);

	if (crew == NULL)
		trouble("no memory for %u threads", n);
	for (unsigned i = 0; i < n; i++) {
		crew[i] = (struct crew){ .run = run, .place = i };
		start_worker(&crew[i]);
	}
	the_crew = crew;
	storm_start(run->o, &strokes);
	while (left > 0) {
		struct crew *c = wait_for_end(crew, n);

		pthread_join(c->thread, NULL);
		if (churn_over(run))
			left--;
		else
			start_worker(c);
	}
	storm_stop();
	free(crew);
}

static void add_milliseconds(struct timespec *t, unsigned ms)
{
	t->tv_sec += ms / MILLI;
	t->tv_nsec += ms % MILLI * NANO_IN_MILLI;
	if (t->tv_nsec >= MILLI * NANO_IN_MILLI) {
		t->tv_sec++;
		t->tv_nsec -= MILLI * NANO_IN_MILLI;
	}
}

/* False when the workers are gone. */
static bool wait_for_next_sync(const struct churn *run)
{
	struct timespec next;
	bool go_on;

	clock_gettime(CLOCK_MONOTONIC, &next);
	add_milliseconds(&next, run->o->sync_every);
	pthread_mutex_lock(&crew_mutex);
	while (!crew_gone && pthread_cond_clockwait(&crew_changed, &crew_mutex, CLOCK_MONOTONIC, &next) == 0)
		;
	go_on = !crew_gone;
	pthread_mutex_unlock(&crew_mutex);
	return go_on;
}

static unsigned syncer_place(const struct churn *run)
{
	return run->o->threads;
}

static void *run_syncer(void *arg)
{
	struct churn *run = arg;
	struct tally t = { .threads = 1 };

	while (wait_for_next_sync(run)) {
		proof_sync(run, syncer_place(run), &t);
		watch_rest(syncer_place(run));
	}
	churn_add_tally(run, &t);
	return NULL;
}

static void work_and_sync(struct churn *run)
{
	pthread_t syncer;

	if (pthread_create(&syncer, NULL, run_syncer, run) != 0)
		trouble("starting a thread");
	work(run);
	pthread_mutex_lock(&crew_mutex);
	crew_gone = true;
	pthread_cond_broadcast(&crew_changed);
	pthread_mutex_unlock(&crew_mutex);
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
	struct mpool_stats st = { 0 };

	mpool_stats(last->run->pool, &st, sizeof st);
	printf("%5.0f s %9.0f op/s  hits %5.1f %%  cached %" PRIu64 "  dirty %" PRIu64 "  pinned %" PRIu64
	       "  overflow %" PRIu64 "  writes %" PRIu64 "  pages %" PRIu64,
	       now, (double)(operations - last->operations) / (now - last->at),
	       percent(st.hits - last->hits, st.misses - last->misses), st.cached, st.dirty, st.pinned,
	       st.overflow, st.writes, st.pages);
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
	char time[32] = "until a signal";

	if (o->seconds > 0)
		snprintf(time, sizeof time, "%u s", o->seconds);
	printf("churn: %u threads, %s, %" PRIu32 " to %" PRIu32 " pages of %" PRIu32 " bytes, cache %" PRIu32
	       "%s%s%s%s%s, seed %" PRIu64 "\n",
	       o->threads, time, o->pages, o->pages_max, o->page_size, o->cache,
	       o->filter ? ", filters" : "", o->direct ? ", O_DIRECT" : "",
	       o->signals ? ", signals" : "", o->cancel ? ", cancellation" : "", o->soak ? ", soak" : "", o->seed);
}

static void print_summary(const struct tally *t, const struct mpool_stats *st, double seconds)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < OPERATIONS; i++)
		sum += t->operation[i];
	printf("\noperations        %12" PRIu64 "  (%.0f a second)\n", sum, (double)sum / seconds);
	for (unsigned i = 0; i < OPERATIONS; i++)
		printf("  %-16s%12" PRIu64 "\n", operation_name[i], t->operation[i]);
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

/* --- the run -------------------------------------------------------------------------- */

static void open_pool(struct churn *run)
{
	const struct options *o = run->o;

	if (!o->direct && lseek(run->fd, OFFSET_MARK, SEEK_SET) < 0)
		trouble("seeking in the file");
	run->pool = mpool_open(NULL, run->fd, o->page_size, o->cache);
	if (run->pool == NULL)
		trouble("mpool_open");
	if (o->filter)
		mpool_filter(run->pool, churn_to_memory, churn_to_file, run);
}

static void close_pool(struct churn *run)
{
	watch_doing(watch_main_place(), DOING_CLOSE, WATCH_NO_PAGE);
	if (mpool_close(run->pool) != 0)
		fault("mpool_close: %s", strerror(errno));
	watch_rest(watch_main_place());
	if (!run->o->direct && lseek(run->fd, 0, SEEK_CUR) != OFFSET_MARK)
		fault("the pool moved the descriptor's offset");
}

static void prove_the_end(struct churn *run, struct mpool_stats *st)
{
	worker_drain(run);
	proof_idle(run, &run->sum);
	watch_quiet();
	proof_synced(run, &run->sum);
	mpool_stats(run->pool, st, sizeof *st);
	close_pool(run);
	proof_file(run);
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void prepare(struct churn *run)
{
	const struct options *o = run->o;

	filter_page_size = o->page_size;
	pthread_mutex_init(&run->mutex, NULL);
	open_files(run);
	run->truth = truth_make(o->pages_max);
	run->handover = handover_make(o->handover);
	atomic_store(&run->reserved, o->pages);
	write_first_pages(run);
	open_pool(run);
}

static void clean_up(struct churn *run)
{
	handover_free(run->handover);
	truth_free(run->truth);
	close(run->plain_fd);
	close(run->fd);
	pthread_mutex_destroy(&run->mutex);
}

int churn(const struct options *o)
{
	struct churn run = { .o = o };
	struct progress told = { .run = &run, .next = o->progress };
	struct mpool_stats st = { 0 };
	double seconds;

	prepare(&run);
	print_start(o);
	catch_signals();
	report_start(o->faults, o->seed, o->again);
	run.deadline = o->seconds > 0 ? o->seconds : (double)INFINITY;
	run.growth = o->soak && run.deadline > SOAK_GROWTH ? SOAK_GROWTH : run.deadline;
	watch_start(o->threads + SYNCERS, o->watchdog);
	watch_tell(progress, &told);
	work_and_sync(&run);
	seconds = report_seconds();
	prove_the_end(&run, &st);
	watch_stop();
	print_summary(&run.sum, &st, seconds);
	clean_up(&run);
	return report_verdict();
}
