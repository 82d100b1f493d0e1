/*
 * tree.c [alone|shared] - processes that use examples/tree are killed, at any instant, or where it matters.
 *
 * alone   One has the tree: who opens it next finds what was committed, and of the rest a beginning.
 * shared  Three share its pool: when some are killed the others go on, and find of their work all that they had done, and of the
 *         operation that they were in all or nothing.  When all are killed at once, it is as with one.
 *
 * Each worker has keys of its own and goes through a list of operations, which its number determines; it tells how far it is.
 * So whoever looks at its keys knows what they have to be, by goings through the list.
 */
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "case.h"
#include "log.h"
#include "tree.h"

enum { WORKERS = 3, KEYS = 400, ROUNDS = 25, WORK_MICRO = 30000, COMMIT_EVERY = 50, POINTS = 200, KEY_NAME_MORE = 60 };
#define LOG_BYTES (UINT64_C(4) << 20)

/* How far a worker is: these operations were begun, have returned, and were committed. */
struct progress {
	_Atomic uint64_t begun, done, committed;
	_Atomic uint64_t points; /* it dies after so many of the points below; 0: not by itself */
	atomic_bool rests;
};

static struct progress *progress; /* by worker; all processes' */
static atomic_bool *resting;      /* all are to rest between two operations */
static char file[64], key[64];

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

/* ---- the list of operations ------------------------------------------------------------- */

struct operation {
	unsigned key;
	bool delete;
};

/* More are deleted than put in one thousand, more put than deleted in the next. */
static struct operation operation(unsigned worker, uint64_t n)
{
	uint64_t r = mix(n * WORKERS + worker);
	return (struct operation){(unsigned)(r % KEYS), (r >> 32) % 8 < (n / 1000 % 2 ? 5 : 2)};
}

static const char more[KEY_NAME_MORE] = "-----------------------------------------------------------";

static int key_name(char *to, size_t room, unsigned worker, unsigned k)
{
	return snprintf(to, room, "%03u/%u%.*s", k, worker, (int)(mix(k) % KEY_NAME_MORE), more);
}

/* Of that key, put by operation n. */
static size_t make_value(unsigned char value[TREE_ENTRY_MAX], unsigned worker, unsigned k, uint64_t n)
{
	uint64_t seed = mix(mix(n * WORKERS + worker) + k);
	size_t len = sizeof n + seed % 500;
	memcpy(value, &n, sizeof n);
	for (size_t i = sizeof n; i < len; i++)
		value[i] = (unsigned char)(seed >> i % 32);
	return len;
}

/* ---- where a worker dies ------------------------------------------------------------------- */

bool __real_change_make(struct page *p, const struct change *c);
bool __wrap_change_make(struct page *p, const struct change *c);
int __real_log_append(struct log *log, const struct change *c, unsigned n, uint64_t *lsn);
int __wrap_log_append(struct log *log, const struct change *c, unsigned n, uint64_t *lsn);
ssize_t __real_pwrite(int fd, const void *from, size_t n, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *from, size_t n, off_t offset);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

static struct progress *mine; /* in a worker */

static bool is_last_point(void)
{
	return mine != NULL && atomic_load(&mine->points) > 0 && atomic_fetch_sub(&mine->points, 1) == 1;
}

static void point(void)
{
	if (is_last_point())
		(void)raise(SIGKILL);
}

/* In the middle of a change a page may be anything. */
bool __wrap_change_make(struct page *p, const struct change *c)
{
	if (is_last_point()) {
		memset((unsigned char *)p + PAGE_BODY, 0xee, PAGE_SIZE - PAGE_BODY);
		(void)raise(SIGKILL);
	}
	bool made = __real_change_make(p, c);
	point();
	return made;
}

int __wrap_log_append(struct log *log, const struct change *c, unsigned n, uint64_t *lsn)
{
	point();
	int error = __real_log_append(log, c, n, lsn);
	point();
	return error;
}

ssize_t __wrap_pwrite(int fd, const void *from, size_t n, off_t offset)
{
	point();
	return __real_pwrite(fd, from, n, offset);
}

int __wrap_fdatasync(int fd)
{
	point();
	return __real_fdatasync(fd);
}

/* ---- a worker ------------------------------------------------------------------------------ */

static struct tree *open_tree(bool shared)
{
	struct tree_options options = {.key = shared ? key : NULL, .cache = 64, .log_bytes = LOG_BYTES};
	struct tree *t;
	MUST(tree_open(&t, file, &options) == 0);
	return t;
}

static void do_operation(struct tree *t, unsigned worker, uint64_t n)
{
	struct operation o = operation(worker, n);
	unsigned char value[TREE_ENTRY_MAX];
	char name[TREE_KEY_MAX];
	size_t len = (size_t)key_name(name, sizeof name, worker, o.key);
	int failed = o.delete ? tree_delete(t, name, len)
	                      : tree_put(t, name, len, value, make_value(value, worker, o.key, n));
	RIGHT(failed == 0 || (o.delete && errno == ENOENT), "operation %" PRIu64 ": %s", n, strerror(errno));
}

__attribute__((noreturn)) static void work(unsigned worker, bool shared)
{
	struct progress *p = &progress[worker];
	mine = p;
	/* What was begun and not done was looked at: `done` is right. */
	struct tree *t = open_tree(shared);
	for (uint64_t n = atomic_load(&p->done) + 1;; n++) {
		atomic_store(&p->begun, n);
		do_operation(t, worker, n);
		atomic_store(&p->done, n);
		while (atomic_load(resting)) {
			atomic_store(&p->rests, true);
			sched_yield();
		}
		atomic_store(&p->rests, false);
		if (n % COMMIT_EVERY == 0) {
			MUST(tree_commit(t) == 0);
			atomic_store(&p->committed, n);
		}
	}
}

static pid_t start(unsigned worker, bool shared)
{
	pid_t pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		work(worker, shared);
	}
	return pid;
}

/* ---- who looks ------------------------------------------------------------------------------- */

/* By key: the operation that put what is there; 0: nothing is. */
struct seen {
	unsigned worker;
	uint64_t by[KEYS];
};

static int see(void *arg, const void *name, size_t keylen, const void *value, size_t len)
{
	struct seen *s = arg;
	char right_name[TREE_KEY_MAX];
	unsigned char right[TREE_ENTRY_MAX];
	uint64_t n;
	unsigned k = 0, worker = 0;
	MUST(len >= sizeof n);
	memcpy(&n, value, sizeof n);
	snprintf(right_name, sizeof right_name, "%.*s", (int)keylen, (const char *)name);
	RIGHT(sscanf(right_name, "%3u/%u", &k, &worker) == 2 && k < KEYS, "a key that nobody put");
	RIGHT((size_t)key_name(right_name, sizeof right_name, worker, k) == keylen &&
			memcmp(name, right_name, keylen) == 0,
		"key %u of %u is half a key", k, worker);
	RIGHT(make_value(right, worker, k, n) == len && memcmp(value, right, len) == 0,
		"the value of key %u of %u is half", k, worker);
	if (worker == s->worker)
		s->by[k] = n;
	return 0;
}

/* After so many operations of that worker's. */
static void go_through(struct seen *s, uint64_t from, uint64_t to)
{
	for (uint64_t n = from + 1; n <= to; n++) {
		struct operation o = operation(s->worker, n);
		s->by[o.key] = o.delete ? 0 : n;
	}
}

/* After which operation, of least to most, were its keys as they are? */
static uint64_t reached(struct tree *t, unsigned worker, uint64_t least, uint64_t most)
{
	static struct seen is, right;
	is = right = (struct seen){.worker = worker};
	MUST(tree_scan(t, TREE_FORWARD, NULL, 0, see, &is) == 0);
	go_through(&right, 0, least);
	for (uint64_t n = least;; n++) {
		if (memcmp(is.by, right.by, sizeof is.by) == 0)
			return n;
		RIGHT(n < most, "worker %u: its keys are not those after any operation from %" PRIu64 " to %" PRIu64,
			worker, least, most);
		go_through(&right, n, n + 1);
	}
}

static void check_sound(struct tree *t)
{
	uint64_t entries;
	const char *why = tree_check(t, &entries);
	RIGHT(why == NULL, "%s", why);
}

static void await_death(pid_t pid)
{
	int status;
	MUST(waitpid(pid, &status, 0) == pid);
	RIGHT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "a worker ended by itself: %x", (unsigned)status);
}

/* At an instant that nobody chooses, or at a point. */
static void kill_now(pid_t pid, unsigned worker, uint64_t random)
{
	if (random % 3 > 0)
		atomic_store(&progress[worker].points, 1 + (random >> 8) % POINTS);
	else
		MUST(kill(pid, SIGKILL) == 0);
	await_death(pid);
	atomic_store(&progress[worker].points, 0);
}

/* It must not end meanwhile. */
static void wait_a_little(pid_t pid)
{
	int status;
	RIGHT(waitpid(pid, &status, WNOHANG) == 0, "a worker ended by itself: %x", (unsigned)status);
	sched_yield();
}

static void await(pid_t pid, unsigned worker, uint64_t done)
{
	while (atomic_load(&progress[worker].done) < done)
		wait_a_little(pid);
}

static void alone(uint64_t seed)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct progress *p = &progress[0];
		pid_t pid = start(0, false);
		await(pid, 0, atomic_load(&p->done) + 1 + mix(seed + round) % 300);
		usleep((useconds_t)(mix(seed - round) % WORK_MICRO));
		kill_now(pid, 0, mix(seed + round));
		struct tree *t = open_tree(false);
		check_sound(t);
		uint64_t n = reached(t, 0, atomic_load(&p->committed), atomic_load(&p->begun));
		MUST(tree_close(t) == 0);
		atomic_store(&p->done, n);
		atomic_store(&p->committed, n);
	}
}

/* By a process of its own, as others have the pool in memory of theirs: each worker's keys, of the operations from `least` to the last begun. */
static void look(uint64_t (*least)(const struct progress *p))
{
	int status;
	pid_t pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		struct tree *t = open_tree(true);
		/* Before anybody has come to pages that the dead left in the middle of a change. */
		MUST(tree_checkpoint(t) == 0);
		check_sound(t);
		for (unsigned w = 0; w < WORKERS; w++) {
			struct progress *p = &progress[w];
			uint64_t n = reached(t, w, least(p), atomic_load(&p->begun));
			atomic_store(&p->done, n);
		}
		MUST(tree_close(t) == 0); /* a checkpoint */
		_exit(0);
	}
	MUST(waitpid(pid, &status, 0) == pid);
	RIGHT(WIFEXITED(status) && WEXITSTATUS(status) == 0, "who looks ended with %x", (unsigned)status);
}

static uint64_t done_by(const struct progress *p)
{
	return atomic_load(&p->done);
}

static uint64_t committed_by(const struct progress *p)
{
	return atomic_load(&p->committed);
}

static void await_rest(pid_t pid, unsigned worker)
{
	while (!atomic_load(&progress[worker].rests))
		wait_a_little(pid);
}

static void shared(uint64_t seed)
{
	pid_t pid[WORKERS] = {0};
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned dead = 1u << mix(seed - round) % WORKERS; /* one, often two, sometimes all */
		if (round % 3 == 1)
			dead |= 1u << mix(seed * 3 - round) % WORKERS;
		if (round % 5 == 4)
			dead = (1u << WORKERS) - 1;
		for (unsigned w = 0; w < WORKERS; w++)
			if (pid[w] == 0)
				pid[w] = start(w, true);
		for (unsigned w = 0; w < WORKERS; w++)
			await(pid[w], w, done_by(&progress[w]) + 20);
		usleep((useconds_t)(mix(seed + round) % WORK_MICRO));
		for (unsigned w = 0; w < WORKERS; w++)
			if (dead & 1u << w) {
				kill_now(pid[w], w, mix(seed + round + w));
				pid[w] = 0;
			}
		/* The others go on, and then rest while one looks. */
		for (unsigned w = 0; w < WORKERS; w++)
			if (pid[w] != 0)
				await(pid[w], w, done_by(&progress[w]) + 20);
		atomic_store(resting, true);
		for (unsigned w = 0; w < WORKERS; w++)
			if (pid[w] != 0)
				await_rest(pid[w], w);
		look(dead == (1u << WORKERS) - 1 ? committed_by : done_by);
		atomic_store(resting, false);
	}
	for (unsigned w = 0; w < WORKERS; w++)
		if (pid[w] != 0)
			kill_now(pid[w], w, 0);
	look(committed_by);
}

int main(int argc, char **argv)
{
	bool is_shared = argc > 1 && strcmp(argv[1], "shared") == 0;
	const char *given = getenv("MPOOL_TEST_SEED");
	uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : mix((uint64_t)getpid());
	fprintf(stderr, "MPOOL_TEST_SEED=%" PRIu64 "\n", seed);
	snprintf(file, sizeof file, "tree.%ld", (long)getpid());
	snprintf(key, sizeof key, "%s", case_key());
	progress = mmap(NULL, WORKERS * sizeof *progress + sizeof *resting, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(progress != MAP_FAILED);
	resting = (atomic_bool *)(progress + WORKERS);
	(is_shared ? shared : alone)(seed);
	for (const char *const *end = (const char *const[]){"", ".log", ".shm", NULL}; *end != NULL; end++) {
		char name[sizeof file + sizeof ".log"];
		snprintf(name, sizeof name, "%s%s", file, *end);
		(void)unlink(name);
	}
	return 0;
}
