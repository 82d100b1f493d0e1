/*
 * mpool-bench-hit - what a get and a put of a page in memory cost.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Two subjects do the same work on the same pages: draw a page number, read
 * one 8-byte word of that page.  The pool gets the page, reads, and puts it.
 * The array computes the address from the page number: nothing can be
 * cheaper, so the ratio of the two is what the pool costs its user.
 *
 * What keeps the comparison fair:
 *
 *  - Both subjects draw the same numbers from the same generator, in a loop of
 *    the same shape; the generator's cost is in both, in the one-page case too.
 *  - The word is read through a volatile pointer and added to a sum.  The load
 *    cannot be left out, and no fence keeps the processor from overlapping
 *    loads: the array gains most from that, and the ratio counts it.
 *  - The word's place in the page depends on the page number, or all words
 *    would compete for one set of the first-level cache and the array would
 *    look slower than it is.
 *  - The array is plain anonymous memory from mmap(2), aligned to 4096; the
 *    pool's buffers come from there too, or from there by way of jemalloc.
 *    Nobody asks anything about huge pages, so the system's setting, which is
 *    printed, governs both; --no-huge turns them off for the whole process.
 *  - A cell (case, threads, subject) is a number of operations, calibrated
 *    before: no clock is read in the loop.  The array goes through the
 *    pool's sequence as often as fills the same time.
 *  - Each round runs every cell once and starts one cell further on than the
 *    round before; ratios are taken within a round.  What slows the machine
 *    for a while slows both subjects.
 *  - Every sum must be the one computed from the page numbers alone, and no
 *    measured get may have missed.
 */
#define _GNU_SOURCE 1

#include <mpool.h>

#include <argp.h>
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, PAGE_WORDS = PAGE_BYTES / 8, LINE_BYTES = 64 };
enum { HOT, UNIFORM, CASES };
enum { ARRAY, POOL, SUBJECTS };
enum { MAX_THREADS = 2, CELLS = CASES * MAX_THREADS * SUBJECTS };

static const char *const case_name[CASES] = { "hot page", "uniform" };
static const char *const subject_name[SUBJECTS] = { "array", "pool" };

/* The goals, which are stated beside the results and fail nothing. */
static const double goal_scaling = 1.9;
static const double goal_ratio[CASES] = { 5.0, 3.0 };

struct options {
	unsigned rounds;
	unsigned milliseconds; /* a cell's length */
	unsigned pages;        /* of the uniform case */
	bool no_huge;
	const char *csv;
};

struct cell {
	int kind;      /* HOT or UNIFORM */
	int threads;
	int subject;   /* ARRAY or POOL */
	uint64_t ops;  /* of one thread, once through its sequence */
	uint64_t reps; /* times through the sequence */
	double *ns;    /* [rounds]: an operation, per thread */
	double *mops;  /* [rounds]: million operations a second, all threads */
};

struct bench {
	struct options opt;
	MPOOL *mp;
	const unsigned char *array;
	int cpu[MAX_THREADS];
	bool pinned;
	bool shared_core;
	struct cell cells[CELLS];
	/* The sum of one pass over a thread's sequence. */
	uint64_t expected[CASES][MAX_THREADS][MAX_THREADS];
};

/* One thread's part of one run of a cell. */
struct worker {
	const struct bench *b;
	const struct cell *c;
	pthread_barrier_t *barrier;
	int index;
	uint64_t sum;
	uint64_t start, end; /* nanoseconds */
};

/* The array's cell and the pool's, in this order. */
static struct cell *pair_of(struct bench *b, int kind, int threads)
{
	return &b->cells[(kind * MAX_THREADS + threads - 1) * SUBJECTS];
}

/* ---- pages and page numbers ---- */

/* The word with which page `pgno` is filled: splitmix64's mixing. */
static uint64_t page_word(uint32_t pgno)
{
	uint64_t x = (pgno + 1) * UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* The words of a page differ, so that a wrong offset shows in the sum. */
static void fill_page(uint64_t *page, uint32_t pgno)
{
	uint64_t word = page_word(pgno);

	for (unsigned i = 0; i < PAGE_WORDS; i++)
		page[i] = word + i;
}

/* Pages take turns over the cache lines of a page. */
static inline size_t word_offset(uint32_t pgno)
{
	return (pgno % (PAGE_BYTES / LINE_BYTES)) * (size_t)LINE_BYTES;
}

/* Knuth's MMIX generator: one multiplication and one addition. */
static inline uint64_t next(uint64_t state)
{
	return state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
}

/* `range` is a variable, so that one page costs the same draw as many. */
static inline uint32_t draw(uint64_t state, uint64_t range)
{
	return (uint32_t)(((state >> 32) * range) >> 32);
}

static uint64_t seed_of(int thread)
{
	return page_word(1000000u + (uint32_t)thread);
}

static inline uint64_t load(const unsigned char *page, uint32_t pgno)
{
	return *(const volatile uint64_t *)(const void *)(page + word_offset(pgno));
}

static uint64_t range_of(const struct bench *b, int kind)
{
	return kind == HOT ? 1 : b->opt.pages;
}

/* ---- the measured loops, and what they must come to ---- */

static __attribute__((noinline)) uint64_t
read_array(const unsigned char *array, uint64_t state, uint64_t range, uint64_t ops)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < ops; i++) {
		state = next(state);
		uint32_t pgno = draw(state, range);
		sum += load(array + (size_t)pgno * PAGE_BYTES, pgno);
	}
	return sum;
}

/* Results are looked at, as by any caller that is right. */
static __attribute__((noinline)) uint64_t
read_pool(MPOOL *mp, uint64_t state, uint64_t range, uint64_t ops)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < ops; i++) {
		state = next(state);
		uint32_t pgno = draw(state, range);
		unsigned char *page = mpool_get(mp, pgno, 0);
		if (page == NULL)
			err(EXIT_FAILURE, "mpool_get of page %u", pgno);
		sum += load(page, pgno);
		if (mpool_put(mp, page, 0) != 0)
			err(EXIT_FAILURE, "mpool_put of page %u", pgno);
	}
	return sum;
}

/* The same sum from the page numbers, no page being read. */
static uint64_t expect(uint64_t state, uint64_t range, uint64_t ops)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < ops; i++) {
		state = next(state);
		uint32_t pgno = draw(state, range);
		sum += page_word(pgno) + word_offset(pgno) / 8;
	}
	return sum;
}

/* ---- one run of one cell ---- */

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static uint64_t run_pass(const struct worker *w, uint64_t ops)
{
	uint64_t seed = seed_of(w->index);
	uint64_t range = range_of(w->b, w->c->kind);

	if (w->c->subject == POOL)
		return read_pool(w->b->mp, seed, range, ops);
	return read_array(w->b->array, seed, range, ops);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t sum = 0;

	/* Caches, the pool's memory of this thread, the core's frequency. */
	run_pass(w, w->c->ops / 16 + 1);
	pthread_barrier_wait(w->barrier);

	uint64_t start = now();
	for (uint64_t i = 0; i < w->c->reps; i++)
		sum += run_pass(w, w->c->ops);
	w->end = now();
	w->start = start;
	w->sum = sum;
	return NULL;
}

static void start_thread(const struct bench *b, struct worker *w, pthread_t *id)
{
	pthread_attr_t attr;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((unsigned)b->cpu[w->index], &one);
	pthread_attr_init(&attr);
	if (b->pinned)
		pthread_attr_setaffinity_np(&attr, sizeof one, &one);
	errno = pthread_create(id, &attr, work, w);
	if (errno != 0)
		err(EXIT_FAILURE, "pthread_create");
	pthread_attr_destroy(&attr);
}

static void run_threads(const struct bench *b, const struct cell *c, struct worker *w)
{
	pthread_t id[MAX_THREADS];
	pthread_barrier_t barrier;

	pthread_barrier_init(&barrier, NULL, (unsigned)c->threads);
	for (int i = 0; i < c->threads; i++) {
		w[i] = (struct worker){ .b = b, .c = c, .barrier = &barrier, .index = i };
		start_thread(b, &w[i], &id[i]);
	}
	for (int i = 0; i < c->threads; i++)
		pthread_join(id[i], NULL);
	pthread_barrier_destroy(&barrier);
}

static double ops_of(const struct cell *c)
{
	return (double)c->ops * (double)c->reps;
}

/* The mean over the threads of what an operation took each of them. */
static double cost_of(const struct cell *c, const struct worker *w)
{
	double ns = 0;

	for (int i = 0; i < c->threads; i++)
		ns += (double)(w[i].end - w[i].start);
	return ns / c->threads / ops_of(c);
}

/* From the first start to the last end: a thread that lags counts against it. */
static double throughput_of(const struct cell *c, const struct worker *w)
{
	uint64_t start = w[0].start, end = w[0].end;

	for (int i = 1; i < c->threads; i++) {
		start = w[i].start < start ? w[i].start : start;
		end = w[i].end > end ? w[i].end : end;
	}
	return ops_of(c) * c->threads * 1e3 / (double)(end - start);
}

static void verify(const struct bench *b, const struct cell *c, const struct worker *w)
{
	for (int i = 0; i < c->threads; i++)
		if (w[i].sum != b->expected[c->kind][c->threads - 1][i] * c->reps)
			errx(EXIT_FAILURE, "%s, %s, thread %d of %d: wrong bytes were read",
			    subject_name[c->subject], case_name[c->kind], i + 1, c->threads);
}

static void measure(const struct bench *b, struct cell *c, unsigned round)
{
	struct worker w[MAX_THREADS];

	run_threads(b, c, w);
	verify(b, c, w);
	c->ns[round] = cost_of(c, w);
	c->mops[round] = throughput_of(c, w);
}

/* ---- calibration ---- */

/* What an operation of the cell costs, from a run long enough to tell. */
static double probe(const struct bench *b, struct cell *c)
{
	struct worker w[MAX_THREADS];
	double want = b->opt.milliseconds * 1e6 / 4;
	double ns;

	c->reps = 1;
	for (c->ops = 4096;; c->ops *= 2) {
		run_threads(b, c, w);
		ns = cost_of(c, w);
		if (ns * ops_of(c) >= want)
			return ns;
	}
}

/* The pool's time fixes the sequence; the array repeats it to fill its own. */
static void calibrate_pair(struct bench *b, struct cell *pair, uint64_t *expected)
{
	double want = b->opt.milliseconds * 1e6;
	double pool_ns = probe(b, &pair[POOL]);
	double array_ns = probe(b, &pair[ARRAY]);
	uint64_t ops = (uint64_t)(want / pool_ns) + 1;

	pair[POOL].ops = pair[ARRAY].ops = ops;
	pair[ARRAY].reps = (uint64_t)(want / (array_ns * (double)ops) + 0.5);
	if (pair[ARRAY].reps == 0)
		pair[ARRAY].reps = 1;
	for (int i = 0; i < pair[POOL].threads; i++)
		expected[i] = expect(seed_of(i), range_of(b, pair[POOL].kind), ops);
}

static void calibrate(struct bench *b)
{
	for (int kind = 0; kind < CASES; kind++)
		for (int threads = 1; threads <= MAX_THREADS; threads++)
			calibrate_pair(b, pair_of(b, kind, threads),
			    b->expected[kind][threads - 1]);
}

/* ---- the subjects' memory ---- */

static void write_page(int fd, const void *page, uint32_t pgno)
{
	if (pwrite(fd, page, PAGE_BYTES, (off_t)pgno * PAGE_BYTES) != PAGE_BYTES)
		err(EXIT_FAILURE, "writing the temporary file");
}

/* The same pages go to the array and, behind the pool's back, to its file. */
static void make_pages(struct bench *b, int fd)
{
	size_t size = (size_t)b->opt.pages * PAGE_BYTES;
	unsigned char *array = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (array == MAP_FAILED)
		err(EXIT_FAILURE, "mmap");
	for (uint32_t p = 0; p < b->opt.pages; p++) {
		void *page = array + (size_t)p * PAGE_BYTES;
		fill_page(page, p);
		write_page(fd, page, p);
	}
	b->array = array;
}

static void open_pool(struct bench *b, int fd)
{
	b->mp = mpool_open(NULL, fd, PAGE_BYTES, b->opt.pages);
	if (b->mp == NULL)
		err(EXIT_FAILURE, "mpool_open");
	for (uint32_t p = 0; p < b->opt.pages; p++) {
		void *page = mpool_get(b->mp, p, 0);
		if (page == NULL || mpool_put(b->mp, page, 0) != 0)
			err(EXIT_FAILURE, "loading page %u", p);
	}
}

static uint64_t misses(const struct bench *b)
{
	struct mpool_stats st;

	if (mpool_stats(b->mp, &st, sizeof st) != 0)
		err(EXIT_FAILURE, "mpool_stats");
	return st.misses;
}

/* ---- processors ---- */

/* A number of /sys/devices/system/cpu/cpuN/topology; -1 when unknown. */
static int topology(int cpu, const char *name)
{
	char path[128];
	int value = -1;

	snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, name);
	FILE *f = fopen(path, "r");
	if (f == NULL)
		return -1;
	if (fscanf(f, "%d", &value) != 1)
		value = -1;
	fclose(f);
	return value;
}

static bool same_core(int a, int b)
{
	int core = topology(a, "core_id");

	if (a == b)
		return true;
	return core != -1 && core == topology(b, "core_id") &&
	    topology(a, "physical_package_id") == topology(b, "physical_package_id");
}

/* The first processor we may use, and the next that is on another core. */
static void choose_cpus(struct bench *b)
{
	cpu_set_t set;
	int found = 0;

	if (sched_getaffinity(0, sizeof set, &set) != 0)
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE && found < MAX_THREADS; cpu++)
		if (CPU_ISSET((unsigned)cpu, &set) &&
		    (found == 0 || !same_core(b->cpu[0], cpu)))
			b->cpu[found++] = cpu;
	b->pinned = found == MAX_THREADS;
	b->shared_core = found < MAX_THREADS;
}

/* ---- the report ---- */

struct spread {
	double median, min, max;
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts the values. */
static struct spread spread_of(double *v, unsigned n)
{
	qsort(v, n, sizeof *v, by_value);
	return (struct spread){ (v[(n - 1) / 2] + v[n / 2]) / 2, v[0], v[n - 1] };
}

static double *numbers(unsigned n)
{
	double *v = calloc(n, sizeof *v);

	if (v == NULL)
		err(EXIT_FAILURE, "memory");
	return v;
}

static struct spread spread_of_copy(const double *v, unsigned n)
{
	double *copy = numbers(n);

	memcpy(copy, v, n * sizeof *v);
	struct spread s = spread_of(copy, n);
	free(copy);
	return s;
}

/* Round by round, so that both sides met the same machine. */
static struct spread ratio(const double *over, const double *under, unsigned n)
{
	double *v = numbers(n);

	for (unsigned i = 0; i < n; i++)
		v[i] = over[i] / under[i];
	struct spread s = spread_of(v, n);
	free(v);
	return s;
}

/* The rest of the first line of `path` that starts with `name`. */
static void print_line_of(const char *path, const char *name)
{
	char line[512];
	FILE *f = fopen(path, "r");

	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, name, strlen(name)) == 0) {
			const char *value = line + strlen(name);
			printf("%s", value + strspn(value, "\t :"));
			fclose(f);
			return;
		}
	if (f != NULL)
		fclose(f);
	printf("unknown\n");
}

static const char *placement(const struct bench *b)
{
	if (b->pinned)
		return "each on a core of its own";
	if (b->shared_core)
		return "NOT ON A CORE EACH: fewer than two cores to run on";
	return "not bound to cores";
}

static void print_machine(const struct bench *b)
{
	struct utsname u;

	printf("- CPU: ");
	print_line_of("/proc/cpuinfo", "model name");
	if (uname(&u) == 0)
		printf("- kernel: %s %s %s\n", u.sysname, u.release, u.machine);
#ifdef __clang__
	printf("- compiler: %s\n", __VERSION__);
#else
	printf("- compiler: GCC %s\n", __VERSION__);
#endif
	printf("- threads: %s\n", placement(b));
	printf("- huge pages: ");
	if (b->opt.no_huge)
		printf("off for this process\n");
	else
		print_line_of("/sys/kernel/mm/transparent_hugepage/enabled", "");
	printf("- %u rounds of %u ms a cell; uniform over %u pages of %d bytes\n\n",
	    b->opt.rounds, b->opt.milliseconds, b->opt.pages, PAGE_BYTES);
}

static void print_cells(const struct bench *b)
{
	printf("| case | threads | subject | ns/op per thread: median | min | max "
	    "| Mop/s in all: median | min | max |\n"
	    "|---|--:|---|--:|--:|--:|--:|--:|--:|\n");
	for (int i = 0; i < CELLS; i++) {
		const struct cell *c = &b->cells[i];
		struct spread ns = spread_of_copy(c->ns, b->opt.rounds);
		struct spread mops = spread_of_copy(c->mops, b->opt.rounds);
		printf("| %s | %d | %s | %.2f | %.2f | %.2f | %.1f | %.1f | %.1f |\n",
		    case_name[c->kind], c->threads, subject_name[c->subject],
		    ns.median, ns.min, ns.max, mops.median, mops.min, mops.max);
	}
	printf("\n| ratio | median | min | max | goal | |\n|---|--:|--:|--:|---|---|\n");
}

static void print_verdict(double short_by)
{
	if (short_by <= 0)
		printf(" reached |\n");
	else
		printf(" missed by %.2f |\n", short_by);
}

static void print_cost_ratio(struct bench *b, int kind, int threads)
{
	const struct cell *pair = pair_of(b, kind, threads);
	struct spread s = ratio(pair[POOL].ns, pair[ARRAY].ns, b->opt.rounds);

	printf("| %s, %d thread%s: cost of pool / array | %.2f | %.2f | %.2f | at most %.1f |",
	    case_name[kind], threads, threads == 1 ? "" : "s",
	    s.median, s.min, s.max, goal_ratio[kind]);
	print_verdict(s.median - goal_ratio[kind]);
}

/* The array's scaling shows what the machine itself allows. */
static void print_scaling(struct bench *b, int kind, int subject)
{
	const struct cell *one = pair_of(b, kind, 1) + subject;
	const struct cell *two = pair_of(b, kind, 2) + subject;
	struct spread s = ratio(two->mops, one->mops, b->opt.rounds);

	printf("| %s, %s: throughput of 2 threads / 1 | %.2f | %.2f | %.2f |",
	    case_name[kind], subject_name[subject], s.median, s.min, s.max);
	if (kind != HOT || subject != POOL) {
		printf(" | |\n");
		return;
	}
	printf(" at least %.1f |", goal_scaling);
	print_verdict(goal_scaling - s.median);
}

static void report(struct bench *b)
{
	print_machine(b);
	print_cells(b);
	for (int kind = 0; kind < CASES; kind++)
		for (int threads = 1; threads <= MAX_THREADS; threads++)
			print_cost_ratio(b, kind, threads);
	for (int kind = 0; kind < CASES; kind++)
		for (int subject = SUBJECTS; subject-- > 0;)
			print_scaling(b, kind, subject);
}

static void write_csv(const struct bench *b)
{
	FILE *f = fopen(b->opt.csv, "w");

	if (f == NULL)
		err(EXIT_FAILURE, "%s", b->opt.csv);
	fprintf(f, "round,case,threads,subject,ops_per_thread,ns_per_op,mops_total\n");
	for (unsigned r = 0; r < b->opt.rounds; r++)
		for (int i = 0; i < CELLS; i++) {
			const struct cell *c = &b->cells[i];
			fprintf(f, "%u,%s,%d,%s,%.0f,%.4f,%.3f\n", r + 1, case_name[c->kind],
			    c->threads, subject_name[c->subject], ops_of(c), c->ns[r], c->mops[r]);
		}
	if (fclose(f) != 0)
		err(EXIT_FAILURE, "%s", b->opt.csv);
}

/* ---- the program ---- */

/* A terminal gets one line that is written over; a log gets a line a round. */
static void progress(const struct bench *b, unsigned round, int i)
{
	bool terminal = isatty(STDERR_FILENO);

	if (terminal)
		fprintf(stderr, "\rround %u of %u, cell %d of %d ", round + 1, b->opt.rounds,
		    i + 1, CELLS);
	else if (i == 0)
		fprintf(stderr, "round %u of %u\n", round + 1, b->opt.rounds);
	if (terminal && round + 1 == b->opt.rounds && i + 1 == CELLS)
		fprintf(stderr, "\n");
}

static void run_rounds(struct bench *b)
{
	for (unsigned round = 0; round < b->opt.rounds; round++)
		for (int i = 0; i < CELLS; i++) {
			progress(b, round, i);
			measure(b, &b->cells[(round + (unsigned)i) % CELLS], round);
		}
}

static void make_cells(struct bench *b)
{
	for (int i = 0; i < CELLS; i++) {
		struct cell *c = &b->cells[i];
		c->kind = i / (MAX_THREADS * SUBJECTS);
		c->threads = i / SUBJECTS % MAX_THREADS + 1;
		c->subject = i % SUBJECTS;
		c->ns = numbers(b->opt.rounds);
		c->mops = numbers(b->opt.rounds);
	}
}

static void free_bench(struct bench *b)
{
	for (int i = 0; i < CELLS; i++) {
		free(b->cells[i].ns);
		free(b->cells[i].mops);
	}
	munmap((void *)(uintptr_t)b->array, (size_t)b->opt.pages * PAGE_BYTES);
	mpool_close(b->mp);
}

static void bench(struct bench *b)
{
	FILE *file = tmpfile();

	if (file == NULL)
		err(EXIT_FAILURE, "temporary file");
	choose_cpus(b);
	make_cells(b);
	make_pages(b, fileno(file));
	open_pool(b, fileno(file));

	uint64_t before = misses(b);
	fprintf(stderr, "calibrating\n");
	calibrate(b);
	run_rounds(b);
	if (misses(b) != before)
		errx(EXIT_FAILURE, "%llu gets missed: these would not be the costs of hits",
		    (unsigned long long)(misses(b) - before));
	report(b);
	if (b->opt.csv != NULL)
		write_csv(b);
	free_bench(b);
	fclose(file);
}

static unsigned parse_number(const char *arg, unsigned long max, struct argp_state *state)
{
	char *end;

	errno = 0;
	unsigned long n = strtoul(arg, &end, 10);
	if (errno != 0 || end == arg || *end != '\0' || n == 0 || n > max)
		argp_error(state, "'%s' is not a number from 1 to %lu", arg, max);
	return (unsigned)n;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'r': o->rounds = parse_number(arg, 100000, state); return 0;
	case 't': o->milliseconds = parse_number(arg, 60000, state); return 0;
	case 'p': o->pages = parse_number(arg, 1u << 24, state); return 0;
	case 'c': o->csv = arg; return 0;
	case 'H': o->no_huge = true; return 0;
	case ARGP_KEY_ARG: argp_usage(state); return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option argp_options[] = {
	{ "rounds", 'r', "N", 0, "Run every cell N times (15)", 0 },
	{ "time", 't', "MS", 0, "Milliseconds a cell (100)", 0 },
	{ "pages", 'p', "N", 0, "Pages of the uniform case (10000)", 0 },
	{ "csv", 'c', "FILE", 0, "Write every round's numbers to FILE", 0 },
	{ "no-huge", 'H', NULL, 0, "Use no transparent huge pages, for either subject", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const struct argp argp = {
	.options = argp_options,
	.parser = parse,
	.doc = "Measure mpool_get and mpool_put of pages in memory "
	       "against reading the same pages from a plain array.",
};

int main(int argc, char **argv)
{
	static struct bench b = {
		.opt = { .rounds = 15, .milliseconds = 100, .pages = 10000 },
	};

	argp_parse(&argp, argc, argv, 0, NULL, &b.opt);
	if (b.opt.no_huge && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0)
		err(EXIT_FAILURE, "prctl(PR_SET_THP_DISABLE)");
	bench(&b);
	return EXIT_SUCCESS;
}
