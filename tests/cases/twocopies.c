/*
 * twocopies - two copies of the library in one process open a key at once, again and
 * again: it is one pool.
 *
 * twocopies LIBMPOOL.SO
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>

#include "case.h"

enum { ROUNDS = 400, PAGE = 4096, COPIES = 2 };

struct copy {
	__typeof__(&mpool_close) close;
	__typeof__(&mpool_get) get;
	__typeof__(&mpool_put) put;
	MPOOL *(*open)(void *, int, pgno_t, pgno_t);
	MPOOL *mp;
	int error;
};

static struct copy copies[COPIES];
static pthread_barrier_t turn;
static int fd;

static void *symbol(void *library, const char *name)
{
	void *s = dlsym(library, name);
	MUST(s);
	return s;
}

static void load(struct copy *c, const char *name)
{
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		exit(CASE_BROKEN);
	}
	*(void **)&c->open = symbol(library, "mpool_open");
	*(void **)&c->close = symbol(library, "mpool_close");
	*(void **)&c->get = symbol(library, "mpool_get");
	*(void **)&c->put = symbol(library, "mpool_put");
}

/* The library once more, under another name. */
static void duplicate(const char *from, const char *to)
{
	char bytes[1 << 16];
	ssize_t n;
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	MUST(in >= 0 && out >= 0);
	while ((n = read(in, bytes, sizeof bytes)) > 0)
		MUST(write(out, bytes, (size_t)n) == n);
	MUST(n == 0 && close(out) == 0 && close(in) == 0);
}

static void *run(void *which)
{
	struct copy *c = which;
	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&turn);
		c->mp = c->open(case_key(), fd, PAGE, 8);
		c->error = errno;
		pthread_barrier_wait(&turn); /* main looks */
		pthread_barrier_wait(&turn);
		if (c->mp)
			c->close(c->mp);
	}
	return NULL;
}

static void look(int round)
{
	struct copy *a = &copies[0], *b = &copies[1];
	RIGHT(a->mp && b->mp, "an open failed in round %d: %s", round, strerror(a->mp ? b->error : a->error));
	int *p = a->get(a->mp, 1, 0);
	MUST(p);
	*p = round + 1;
	a->put(a->mp, p, MPOOL_DIRTY);
	int *q = b->get(b->mp, 1, 0);
	MUST(q);
	RIGHT(*q == round + 1, "two pools of one key in round %d", round);
	b->put(b->mp, q, 0);
}

int main(int argc, char **argv)
{
	pthread_t thread[COPIES];
	char name[64];
	MUST(argc == 2);
	snprintf(name, sizeof name, "./twocopies.%ld.so", (long)getpid());
	duplicate(argv[1], name);
	load(&copies[0], argv[1]);
	load(&copies[1], name);
	unlink(name);
	MUST(copies[0].open != copies[1].open);
	case_key();
	fd = case_file(4 * PAGE);
	MUST(pthread_barrier_init(&turn, NULL, COPIES + 1) == 0);
	for (int i = 0; i < COPIES; i++)
		MUST(pthread_create(&thread[i], NULL, run, &copies[i]) == 0);
	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&turn);
		pthread_barrier_wait(&turn);
		look(round);
		pthread_barrier_wait(&turn);
	}
	for (int i = 0; i < COPIES; i++)
		MUST(pthread_join(thread[i], NULL) == 0);
	return 0;
}
