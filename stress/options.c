/*
 * options.c - what the command line asks for; see options.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "../bench/number.h"
#include "page.h"
#include "report.h"

/* Options with no short name; above all characters. */
enum {
	KEY_MAX_PAGES = 256,
	KEY_PASSES,
	KEY_HOLD,
	KEY_HANDOVER,
	KEY_LIFE,
	KEY_WATCHDOG,
	KEY_FAULTS,
	KEY_DIRECT,
	KEY_FILTER,
	KEY_MIX,
	KEY_SYNC_EVERY,
	KEY_SOAK,
	KEY_PROGRESS,
	KEY_SIGNALS,
	KEY_CANCEL,
	KEY_PROCESSES,
	KEY_STAY,
	KEY_ROUNDS
};

enum { KILL_PAGES_MIN = 8, KILL_GROWTH = 3, KILL_SECONDS = 20 };

enum {
	PROCESSES_MAX = 8,
	THREADS_MAX = 4096,
	HOLD_MAX = 1024,
	HANDOVER_MAX = 1 << 16,
	PAGE_SIZE_MAX = 1 << 30,
	SECONDS = 10,
	SOAK_PROGRESS = 60
};

#define WEIGHT_MAX 1000000
#define PAGES_MAX  (MAX_PAGE_NUMBER / 2) /* so that twice as many is still a number */

const char *const operation_name[OPERATIONS] = {
	[OP_READ] = "read",       [OP_WRITE] = "write", [OP_SEVERAL] = "several", [OP_NEST] = "nest",
	[OP_HOLD] = "hold",       [OP_LOOK] = "look",   [OP_RELEASE] = "release", [OP_GIVE] = "give",
	[OP_TAKE] = "take",       [OP_NEW] = "new",     [OP_PEEK] = "peek",       [OP_DELETE] = "delete",
	[OP_REQUEST] = "request", [OP_SYNC] = "sync",   [OP_STATS] = "stats",     [OP_WRONG] = "wrong",
};

/* Reads and writes make up most; a sync flushes the disk, so it must be rare. */
static const unsigned default_weight[OPERATIONS] = {
	[OP_READ] = 4000,   [OP_WRITE] = 2500, [OP_SEVERAL] = 400, [OP_NEST] = 300, [OP_HOLD] = 500, [OP_LOOK] = 500,
	[OP_RELEASE] = 400, [OP_GIVE] = 500,   [OP_TAKE] = 500,    [OP_NEW] = 100,  [OP_PEEK] = 200, [OP_DELETE] = 50,
	[OP_REQUEST] = 50,  [OP_SYNC] = 1,     [OP_STATS] = 10,    [OP_WRONG] = 10,
};

/* NAME=WEIGHT,...: operations that are not named keep their weight; "all" names every one. */
static void parse_mix(struct argp_state *state, char *text, unsigned weight[OPERATIONS])
{
	char *save = NULL;

	for (char *item = strtok_r(text, ",", &save); item != NULL; item = strtok_r(NULL, ",", &save)) {
		char *value = strchr(item, '=');
		bool known = false;

		if (value == NULL)
			argp_error(state, "--mix: \"%s\" is not NAME=WEIGHT", item);
		else
			*value++ = '\0';
		for (unsigned i = 0; i < OPERATIONS; i++) {
			if (strcmp(item, operation_name[i]) != 0 && strcmp(item, "all") != 0)
				continue;
			weight[i] = (unsigned)number(state, value, item, 0, WEIGHT_MAX);
			known = true;
		}
		if (!known)
			argp_error(state, "--mix: no operation is called \"%s\"", item);
	}
}

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 't':
		o->threads = (unsigned)number(state, arg, "--threads", 1, THREADS_MAX);
		return 0;
	case 'c':
		o->cache = (pgno_t)number(state, arg, "--cache", 0, PAGES_MAX);
		return 0;
	case 'b':
		o->page_size = (pgno_t)number(state, arg, "--page-size", 1, PAGE_SIZE_MAX);
		return 0;
	case 'S':
		o->seed = number(state, arg, "--seed", 0, UINT64_MAX);
		return 0;
	case KEY_WATCHDOG:
		o->watchdog = (unsigned)number(state, arg, "--watchdog", 1, UINT32_MAX);
		return 0;
	case KEY_FAULTS:
		o->faults = (unsigned)number(state, arg, "--faults", 1, UINT32_MAX);
		return 0;
	case KEY_DIRECT:
		o->direct = true;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 0)
			argp_error(state, "more than one file");
		o->file = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option common_options[] = {
	{.name = "threads", .key = 't', .arg = "N", .doc = "Working threads (verify: 3, churn: 16, kill: 2 a process)"},
	{.name = "cache", .key = 'c', .arg = "PAGES", .doc = "Pages the pool keeps in memory (64; kill: 8)"},
	{.name = "page-size", .key = 'b', .arg = "BYTES", .doc = "Page size, for churn and kill 32 or more (4096)"},
	{.name = "seed", .key = 'S', .arg = "N", .doc = "For the random choices (a fresh one, printed)"},
	{.name = "direct", .key = KEY_DIRECT, .doc = "Open the file with O_DIRECT"},
	{.name = "watchdog", .key = KEY_WATCHDOG, .arg = "SECONDS", .doc = "Abort when a call takes longer (60)"},
	{.name = "faults", .key = KEY_FAULTS, .arg = "N", .doc = "Stop after so many faults (20)"},
	{0},
};
static const struct argp common_argp = {.options = common_options, .parser = parse_common};
static const struct argp_child common[] = {{.argp = &common_argp}, {0}};

static error_t parse_verify(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = o;
		return 0;
	case KEY_PASSES:
		o->passes = (unsigned)number(state, arg, "--passes", 1, UINT32_MAX);
		return 0;
	case ARGP_KEY_END:
		if (o->file == NULL)
			argp_error(state, "no file given");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void check_churn(struct argp_state *state, struct options *o)
{
	unsigned long sum = 0;

	if (o->page_size < PAGE_SIZE_MIN)
		argp_error(state, "--page-size: a page of this test has at least %d bytes", PAGE_SIZE_MIN);
	if (o->seconds == 0 && !o->soak)
		o->seconds = SECONDS;
	if (o->progress == 0)
		o->progress = o->soak ? SOAK_PROGRESS : 1;
	if (o->pages_max == 0)
		o->pages_max = o->pages == 0 ? 1 : o->pages * 2;
	if (o->pages_max < o->pages)
		argp_error(state, "--max-pages is less than --pages");
	if (o->pages == 0 && o->weight[OP_NEW] == 0)
		argp_error(state, "no pages, and no new ones");
	for (unsigned i = 0; i < OPERATIONS; i++)
		sum += o->weight[i];
	if (sum == 0)
		argp_error(state, "--mix leaves nothing to do");
}

static error_t parse_churn(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = o;
		return 0;
	case 's':
		o->seconds = (unsigned)number(state, arg, "--seconds", 1, UINT32_MAX);
		return 0;
	case 'p':
		o->pages = (pgno_t)number(state, arg, "--pages", 0, PAGES_MAX);
		return 0;
	case 'f':
		o->force = true;
		return 0;
	case KEY_MAX_PAGES:
		o->pages_max = (pgno_t)number(state, arg, "--max-pages", 1, MAX_PAGE_NUMBER - 2);
		return 0;
	case KEY_HOLD:
		o->hold = (unsigned)number(state, arg, "--hold", 0, HOLD_MAX);
		return 0;
	case KEY_HANDOVER:
		o->handover = (unsigned)number(state, arg, "--handover", 1, HANDOVER_MAX);
		return 0;
	case KEY_LIFE:
		o->life = (unsigned)number(state, arg, "--life", 1, INT32_MAX);
		return 0;
	case KEY_PROCESSES:
		o->processes = (unsigned)number(state, arg, "--processes", 1, PROCESSES_MAX);
		return 0;
	case KEY_STAY:
		o->stay = (unsigned)number(state, arg, "--stay", 1, INT32_MAX);
		return 0;
	case KEY_SYNC_EVERY:
		o->sync_every = (unsigned)number(state, arg, "--sync-every", 1, UINT32_MAX);
		return 0;
	case KEY_FILTER:
		o->filter = true;
		return 0;
	case KEY_SIGNALS:
		o->signals = true;
		return 0;
	case KEY_CANCEL:
		o->cancel = true;
		return 0;
	case KEY_SOAK:
		o->soak = true;
		return 0;
	case KEY_PROGRESS:
		o->progress = (unsigned)number(state, arg, "--progress", 1, UINT32_MAX);
		return 0;
	case KEY_MIX:
		parse_mix(state, arg, o->weight);
		return 0;
	case ARGP_KEY_END:
		check_churn(state, o);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void check_kill(struct argp_state *state, struct options *o)
{
	if (o->page_size < PAGE_SIZE_MIN)
		argp_error(state, "--page-size: a page of this test has at least %d bytes", PAGE_SIZE_MIN);
	if (o->seconds == 0 && o->rounds == 0)
		o->seconds = KILL_SECONDS;
	if (o->progress == 0)
		o->progress = 1;
	o->pages_max = o->pages * KILL_GROWTH;
}

static error_t parse_kill(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = o;
		return 0;
	case 's':
		o->seconds = (unsigned)number(state, arg, "--seconds", 1, UINT32_MAX);
		return 0;
	case 'p':
		o->pages = (pgno_t)number(state, arg, "--pages", KILL_PAGES_MIN, PAGES_MAX / KILL_GROWTH);
		return 0;
	case 'f':
		o->force = true;
		return 0;
	case KEY_ROUNDS:
		o->rounds = (unsigned)number(state, arg, "--rounds", 1, UINT32_MAX);
		return 0;
	case KEY_PROCESSES:
		o->processes = (unsigned)number(state, arg, "--processes", 1, PROCESSES_MAX);
		return 0;
	case KEY_LIFE:
		o->life = (unsigned)number(state, arg, "--life", 1, INT32_MAX);
		return 0;
	case KEY_PROGRESS:
		o->progress = (unsigned)number(state, arg, "--progress", 1, UINT32_MAX);
		return 0;
	case ARGP_KEY_END:
		check_kill(state, o);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option verify_options[] = {
	{.name = "passes", .key = KEY_PASSES, .arg = "N", .doc = "Times each thread reads all pages (1)"},
	{0},
};

static const struct argp_option churn_options[] = {
	{.name = "seconds", .key = 's', .arg = "N", .doc = "How long they work (10; with --soak: until SIGINT)"},
	{.name = "pages", .key = 'p', .arg = "N", .doc = "Pages at the start (1024)"},
	{.name = "max-pages",
         .key = KEY_MAX_PAGES,
         .arg = "N",
         .doc = "Pages the file grows to, evenly over the time (twice --pages)"},
	{.name = "hold", .key = KEY_HOLD, .arg = "N", .doc = "Pages a thread keeps pinned at most (4)"},
	{.name = "handover", .key = KEY_HANDOVER, .arg = "N", .doc = "Pins on their way between threads (64)"},
	{.name = "life",
         .key = KEY_LIFE,
         .arg = "N",
         .doc = "Operations until a thread ends and a new one takes its place, on average (5000)"},
	{.name = "processes",
         .key = KEY_PROCESSES,
         .arg = "N",
         .doc = "Processes that share the pool by a key, each with its threads (none: the pool is private)"},
	{.name = "stay",
         .key = KEY_STAY,
         .arg = "MS",
         .doc = "Milliseconds until a process leaves the pool and it, or a new one, joins, on average (500)"},
	{.name = "sync-every",
         .key = KEY_SYNC_EVERY,
         .arg = "MS",
         .doc = "Milliseconds between syncs after which the file is checked (500)"},
	{.name = "mix",
         .key = KEY_MIX,
         .arg = "NAME=WEIGHT,...",
         .doc = "How often to do what: read, write, several, nest, hold, look, release, give, take, new, "
                "peek, delete, request, sync, stats, wrong, or all"},
	{.name = "filter", .key = KEY_FILTER, .doc = "Use mpool_filter: pages look different in the file"},
	{.name = "signals", .key = KEY_SIGNALS, .doc = "A storm of signals that interrupt system calls"},
	{.name = "cancel", .key = KEY_CANCEL, .doc = "Cancel threads at random, wherever they are"},
	{.name = "soak",
         .key = KEY_SOAK,
         .doc = "Until SIGINT or SIGTERM, if no --seconds are given; a warm-up, then memory and "
                "descriptors must not grow"},
	{.name = "progress",
         .key = KEY_PROGRESS,
         .arg = "SECONDS",
         .doc = "Time between lines of progress (1; with --soak: 60)"},
	{.name = "force", .key = 'f', .doc = "Overwrite FILE whatever it is"},
	{0},
};

static const struct argp_option kill_options[] = {
	{.name = "rounds", .key = KEY_ROUNDS, .arg = "N", .doc = "How often they strike (as the time allows)"},
	{.name = "seconds", .key = 's', .arg = "N", .doc = "How long at most (20; with --rounds: no limit)"},
	{.name = "processes", .key = KEY_PROCESSES, .arg = "N", .doc = "Processes that may be killed (4)"},
	{.name = "pages", .key = 'p', .arg = "N", .doc = "Pages at the start; three times as many at the end (64)"},
	{.name = "life",
         .key = KEY_LIFE,
         .arg = "N",
         .doc = "Operations until a process leaves the pool of itself, on average (300)"},
	{.name = "progress", .key = KEY_PROGRESS, .arg = "SECONDS", .doc = "Time between lines of progress (1)"},
	{.name = "force", .key = 'f', .doc = "Overwrite FILE whatever it is"},
	{0},
};

static void common_defaults(struct options *o)
{
	*o = (struct options){.cache = 64, .page_size = 4096, .passes = 1, .watchdog = 60, .faults = 20};
	if (getrandom(&o->seed, sizeof o->seed, 0) != sizeof o->seed)
		trouble("cannot get a random seed");
	o->seed %= UINT32_MAX; /* short enough to be typed again */
}

/* What a shell takes as it stands. */
#define PLAIN "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=,./:+"

static void print_quoted(FILE *out, const char *arg)
{
	if (arg[0] != '\0' && arg[strspn(arg, PLAIN)] == '\0') {
		fputs(arg, out);
		return;
	}
	fputc('\'', out);
	for (; *arg != '\0'; arg++)
		if (*arg == '\'')
			fputs("'\\''", out);
		else
			fputc(*arg, out);
	fputc('\'', out);
}

/* The command line, for a shell.  Before it is parsed: that leaves little of it. */
static char *command_line(int argc, char **argv)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		trouble("no memory for a command");
	fputs(argv[0], out); /* with the mode */
	for (int i = 1; i < argc; i++) {
		fputc(' ', out);
		print_quoted(out, argv[i]);
	}
	if (fclose(out) != 0)
		trouble("no memory for a command");
	return text;
}

static void parse(const struct argp *argp, int argc, char **argv, struct options *o)
{
	char *command = command_line(argc, argv);

	argp_parse(argp, argc, argv, 0, NULL, o);
	/* Of several seeds, the last one counts. */
	if (asprintf(&o->again, "%s --seed=%" PRIu64, command, o->seed) < 0)
		trouble("no memory for a command");
	free(command);
}

void options_verify(int argc, char **argv, struct options *o)
{
	static const struct argp argp = {
		.options = verify_options,
		.parser = parse_verify,
		.children = common,
		.args_doc = "FILE",
		.doc = "Read FILE through a pool, by several threads in different orders, and compare every page, "
		       "and the SHA-256 of it all, with what read(2) gives.",
	};

	common_defaults(o);
	o->threads = 3;
	parse(&argp, argc, argv, o);
}

void options_churn(int argc, char **argv, struct options *o)
{
	static const struct argp argp = {
		.options = churn_options,
		.parser = parse_churn,
		.children = common,
		.args_doc = "[FILE|DIRECTORY]",
		.doc = "Change a file of self-describing pages through a pool, by many threads, and check that every "
		       "get shows the last version put, and that the file holds it at the end. Without FILE: a "
		       "temporary one in DIRECTORY, or here.",
	};

	common_defaults(o);
	o->threads = 16;
	o->pages = 1024;
	o->hold = 4;
	o->handover = 64;
	o->life = 5000;
	o->stay = 500;
	o->sync_every = 500;
	memcpy(o->weight, default_weight, sizeof o->weight);
	parse(&argp, argc, argv, o);
}

void options_kill(int argc, char **argv, struct options *o)
{
	static const struct argp argp = {
		.options = kill_options,
		.parser = parse_kill,
		.children = common,
		.args_doc = "[FILE|DIRECTORY]",
		.doc = "Change a file of self-describing pages through one pool, by several processes, of which one or "
		       "two at a time are killed, wherever they are; check that nothing is lost that was put, nothing "
		       "stays pinned, and nobody hangs. Without FILE: a temporary one in DIRECTORY, or here.",
	};

	common_defaults(o);
	o->processes = 4;
	o->threads = 2;
	o->cache = 8;
	o->pages = 64;
	o->life = 300;
	parse(&argp, argc, argv, o);
}
