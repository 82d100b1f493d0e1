/*
 * speed.c - mpool-speed FILE: how many pages a second a file's device gives, one at a time and many at once.
 *
 * For scripts/try.  Pages at random are read through a small pool, past the kernel's cache where the
 * file system lets us (O_DIRECT), by turns one at a time, by mpool_get, and DEPTH at once, by
 * mpool_getv.  It takes about a second, and says what it found in one line.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "draw.h"
#include "mpool.h"

enum { PAGE = 4096, DEPTH = 32, TURNS = 10, PAGES_MIN = 64, STATUS_USAGE = 2 };
#define TURN_SECONDS 0.05

struct rate {
	double seconds;
	uint64_t reads;
};

static void die(const char *what)
{
	fprintf(stderr, "mpool-speed: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct mpool_stats stats_of(MPOOL *mp)
{
	struct mpool_stats s;

	if (mpool_stats(mp, &s, sizeof s) != 0)
		die("mpool_stats");
	return s;
}

/* A pool that holds what is read at once, and little else. */
static MPOOL *open_pool(const char *file, int flags)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | flags);

	return fd < 0 ? NULL : mpool_open(NULL, fd, PAGE, DEPTH);
}

/* Read pages at random for a turn's time, n at once. */
static void turn(MPOOL *mp, pgno_t pages, size_t n, uint64_t *random, struct rate *rate)
{
	uint64_t before = stats_of(mp).reads;
	double began = now(), over;
	pgno_t page[DEPTH];
	void *at[DEPTH];

	do {
		for (size_t i = 0; i < n; i++)
			page[i] = (pgno_t)draw_below(random, pages);
		if (n > 1 && mpool_getv(mp, page, at, n, MPOOL_ONCE) != 0)
			die("mpool_getv");
		if (n == 1 && (at[0] = mpool_get(mp, page[0], MPOOL_ONCE)) == NULL)
			die("mpool_get");
		for (size_t i = 0; i < n; i++)
			mpool_put(mp, at[i], 0);
		over = now() - began;
	} while (over < TURN_SECONDS);
	rate->seconds += over;
	rate->reads += stats_of(mp).reads - before;
}

static void say_engine(const struct mpool_stats *s)
{
	if (s->engine == MPOOL_IO_RING)
		printf(" (io_uring)\n");
	else if (s->engine_errno != 0)
		printf(" (threads: io_uring is refused, %s)\n", strerror((int)s->engine_errno));
	else
		printf(" (threads)\n");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	char **file = state->input;

	if (key == ARGP_KEY_NO_ARGS)
		argp_error(state, "no file given");
	if (key != ARGP_KEY_ARG || state->arg_num > 0)
		return ARGP_ERR_UNKNOWN;
	*file = arg;
	return 0;
}

static const struct argp parser = {
	.parser = parse,
	.args_doc = "FILE",
	.doc = "Say how many pages of a file a pool reads in a second, one at a time and many at once.",
};

int main(int argc, char **argv)
{
	struct rate one = {0}, many = {0};
	uint64_t random = draw_start((uint64_t)time(NULL));
	bool direct = true;
	char *file = NULL;

	argp_program_version = "mpool-speed " MPOOL_VERSION;
	argp_err_exit_status = STATUS_USAGE;
	argp_parse(&parser, argc, argv, 0, NULL, &file);
	MPOOL *mp = open_pool(file, O_DIRECT);
	if (mp == NULL && errno == EINVAL) {
		direct = false;
		mp = open_pool(file, 0);
	}
	if (mp == NULL)
		die(file);
	struct mpool_stats s = stats_of(mp);
	if (s.pages < PAGES_MIN) {
		printf("too few pages to tell how fast they are read: %" PRIu64 "\n", s.pages);
		return 0;
	}
	for (int i = 0; i < TURNS; i++) {
		turn(mp, (pgno_t)s.pages, 1, &random, &one);
		turn(mp, (pgno_t)s.pages, DEPTH, &random, &many);
	}
	double a = (double)one.reads / one.seconds, b = (double)many.reads / many.seconds;
	printf("pages of %d bytes at random, %s: %.0f a second one at a time, %.0f by mpool_getv, %d at once: %.1f times",
	       PAGE, direct ? "from the device" : "out of the kernel's cache (no O_DIRECT here)", a, b, DEPTH, b / a);
	s = stats_of(mp);
	say_engine(&s);
	return mpool_close(mp);
}
