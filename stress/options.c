/*
 * options.c - what the command line asks for; see options.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "options.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "../bench/number.h"
#include "page.h"
#include "report.h"

enum {
	THREADS_MAX = 4096,
	FILES_MAX = 150 /* of two descriptors each, and the pool's */,
	PAGE_SIZE_MAX = 1 << 30,
	WEIGHT_MAX = 1000000,
	KILL_PAGES_MIN = 8,
	KILL_GROWTH = 3
};

#define PAGES_MAX (MAX_PAGE_NUMBER / 4) /* so that some times as many is still a number */

enum { V = 1 << MODE_VERIFY, C = 1 << MODE_CHURN, K = 1 << MODE_KILL };

#define FIELD(name) offsetof(struct options, name)

/* A number, of type unsigned, or a bool, where there is no argument. */
struct choice {
	const char *name;
	int letter;
	const char *arg;
	size_t field;
	unsigned modes, min, max;
	const char *doc;
};

static const struct choice table[] = {
	{"threads", 't', "N", FIELD(threads), V | C | K, 1, THREADS_MAX,
         "Working threads (3; churn 16; kill 2 a process)"},
	{"cache", 'c', "PAGES", FIELD(cache), V | C | K, 0, PAGES_MAX, "Pages the pool keeps in memory (64; kill: 8)"},
	{"page-size", 'b', "BYTES", FIELD(page_size), V | C | K, 1, PAGE_SIZE_MAX,
         "For churn and kill 32 or more (4096)"},
	{"seed", 'S', "N", FIELD(seed), V | C | K, 0, UINT32_MAX, "For the random choices (a fresh one, printed)"},
	{"watchdog", 0, "SECONDS", FIELD(watchdog), V | C | K, 1, UINT32_MAX, "Abort when a call takes longer (60)"},
	{"direct", 0, NULL, FIELD(direct), V | C | K, 0, 0, "Open the file with O_DIRECT"},
	{"pages", 'p', "N", FIELD(pages), C | K, 0, PAGES_MAX, "Pages at the start (1024; kill: 64)"},
	{"seconds", 's', "N", FIELD(seconds), C | K, 1, UINT32_MAX, "How long (10; kill: 20, or as --rounds take)"},
	{"processes", 0, "N", FIELD(processes), C | K, 1, PROCESSES_MAX,
         "Processes that share the pool (none; kill: 4)"},
	{"files", 0, "N", FIELD(files), C | K, 0, FILES_MAX, "More files, that are attached, and come and go (0)"},
	{"life", 0, "N", FIELD(life), C | K, 1, INT32_MAX,
         "Operations until a thread ends, on average (5000; kill: 300)"},
	{"rounds", 0, "N", FIELD(rounds), K, 1, UINT32_MAX, "How often somebody is struck (as the time allows)"},
	{"latched", 0, "PERCENT", FIELD(latched), C | K, 0, PERCENT,
         "Pages that are latched, not locked by this program (50); 100: by MPOOL_LATCHED"},
	{"mix", 0, "NAME=WEIGHT,...", FIELD(weight), C, 0, 0,
         "How often to do what, of what the summary lists; or all"},
	{"filter", 0, NULL, FIELD(filter), C, 0, 0, "Use mpool_filter: pages look different in the file"},
	{"hooks", 0, NULL, FIELD(hooks), C, 0, 0,
         "Use mpool_hooks: some refuse; nothing is written that they have not seen"},
	{"signals", 0, NULL, FIELD(signals), C, 0, 0, "A storm of signals that interrupt system calls"},
	{"cancel", 0, NULL, FIELD(cancel), C, 0, 0, "Cancel threads at random, wherever they are"},
	{"soak", 0, NULL, FIELD(soak), C, 0, 0, "Until a signal, if no --seconds are given; and nothing may grow"},
};

enum { ROWS = sizeof table / sizeof table[0], KEY_OF_ROW = 256 /* of options with no letter; above all characters */ };

static const struct options defaults[MODES] = {
	[MODE_VERIFY] = {.threads = 3, .cache = 64, .page_size = 4096, .watchdog = 60},
	[MODE_CHURN] = {.threads = 16,
                        .cache = 64,
                        .page_size = 4096,
                        .watchdog = 60,
                        .pages = 1024,
                        .life = 5000,
                        .stay = 500,
                        .several = 8,
                        .latched = 50},
	[MODE_KILL] = {.threads = 2,
                       .cache = 8,
                       .page_size = 4096,
                       .watchdog = 60,
                       .pages = 64,
                       .life = 300,
                       .stay = 30,
                       .several = 3,
                       .processes = 4,
                       .latched = 50},
};
static const unsigned seconds[MODES] = {[MODE_CHURN] = 10, [MODE_KILL] = 20};

static const struct {
	const char *name, *args, *doc;
} modes[MODES] = {
	[MODE_VERIFY] = {"verify", "FILE",
                         "Read FILE through a pool, by several threads in different orders, and compare "
                         "every page, and the SHA-256 of it all, with what read(2) gives."},
	[MODE_CHURN] =
		{"churn", "[DIRECTORY]",
                 "Change a temporary file, in DIRECTORY or here, of self-describing pages "
                 "through a pool, by many threads, and check that every get shows the last version put, and that "
                 "the file holds it at the end."},
	[MODE_KILL] = {"kill", "[DIRECTORY]",
                       "The same through one pool by several processes, of which one or two at a "
                       "time are killed, wherever they are; check that nothing is lost that was put, nothing stays "
                       "pinned, and nobody hangs."},
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
			if (strcmp(item, operations[i].name) != 0 && strcmp(item, "all") != 0)
				continue;
			weight[i] = (unsigned)number(state, value, item, 0, WEIGHT_MAX);
			known = true;
		}
		if (!known)
			argp_error(state, "--mix: no operation is called \"%s\"", item);
	}
}

static void check(struct argp_state *state, struct options *o)
{
	unsigned long sum = 0;

	if (o->mode == MODE_VERIFY) {
		if (o->file == NULL)
			argp_error(state, "no file given");
		return;
	}
	if (o->page_size < PAGE_SIZE_MIN)
		argp_error(state, "--page-size: a page of this test has at least %d bytes", PAGE_SIZE_MIN);
	if (o->mode == MODE_KILL && o->pages < KILL_PAGES_MIN)
		argp_error(state, "--pages: %d or more", KILL_PAGES_MIN);
	if (o->seconds == 0 && o->rounds == 0 && !o->soak)
		o->seconds = seconds[o->mode];
	o->pages_max = o->pages == 0 ? 1 : o->pages * (o->mode == MODE_KILL ? KILL_GROWTH : 2);
	if (o->pages == 0 && o->weight[OP_NEW] == 0)
		argp_error(state, "no pages, and no new ones");
	if (o->files == 0)
		o->weight[OP_FILE] = 0;
	for (unsigned i = 0; i < OPERATIONS; i++)
		sum += o->weight[i];
	if (sum == 0)
		argp_error(state, "--mix leaves nothing to do");
}

static void set(struct argp_state *state, const struct choice *row, char *arg, struct options *o)
{
	void *field = (char *)o + row->field;

	if (row->field == FIELD(weight))
		parse_mix(state, arg, o->weight);
	else if (row->arg == NULL)
		*(bool *)field = true;
	else
		*(unsigned *)field = (unsigned)number(state, arg, row->name, row->min, row->max);
}

static int key_of(unsigned row)
{
	return table[row].letter != 0 ? table[row].letter : KEY_OF_ROW + (int)row;
}

static error_t parse_one(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	if (key == ARGP_KEY_ARG) {
		if (state->arg_num > 0)
			argp_error(state, "more than one file");
		o->file = arg;
		return 0;
	}
	if (key == ARGP_KEY_END)
		check(state, o);
	for (unsigned i = 0; i < ROWS; i++) {
		if (key_of(i) != key)
			continue;
		set(state, &table[i], arg, o);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

/* Before it is parsed: that leaves little of it. */
static char *command_line(int argc, char **argv)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (int i = 0; out != NULL && i < argc; i++)
		fprintf(out, "%s ", argv[i]);
	if (out == NULL || fclose(out) != 0)
		trouble("no memory for a command");
	return text;
}

static void parse_mode(enum mode mode, int argc, char **argv, struct options *o)
{
	struct argp_option rows[ROWS + 1] = {0};
	struct argp argp = {.options = rows, .parser = parse_one, .args_doc = modes[mode].args, .doc = modes[mode].doc};
	char *command;
	size_t n = 0;

	*o = defaults[mode];
	o->mode = mode;
	if (getrandom(&o->seed, sizeof o->seed, 0) != sizeof o->seed)
		trouble("cannot get a random seed");
	for (unsigned i = 0; i < OPERATIONS; i++)
		o->weight[i] = mode == MODE_KILL ? operations[i].kill : operations[i].churn;
	for (unsigned i = 0; i < ROWS; i++)
		if (table[i].modes & 1u << mode)
			rows[n++] = (struct argp_option){
				.name = table[i].name, .key = key_of(i), .arg = table[i].arg, .doc = table[i].doc};
	if (asprintf(&argv[0], "mpool-stress %s", modes[mode].name) < 0)
		trouble("no memory for a command");
	command = command_line(argc, argv);
	argp_parse(&argp, argc, argv, 0, NULL, o);
	/* Of several seeds, the last one counts. */
	if (asprintf(&o->again, "%s--seed=%u", command, o->seed) < 0)
		trouble("no memory for a command");
	free(command);
}

static error_t refuse(int key, char *arg, struct argp_state *state)
{
	if (key == ARGP_KEY_ARG)
		argp_error(state, "no mode is called \"%s\"", arg);
	else if (key == ARGP_KEY_NO_ARGS)
		argp_error(state, "no mode given");
	return ARGP_ERR_UNKNOWN;
}

void options_parse(int argc, char **argv, struct options *o)
{
	/* For --help, and for complaints about a missing or unknown mode. */
	static const struct argp no_mode = {
		.parser = refuse,
		.args_doc = "verify [OPTION...] FILE\nchurn [OPTION...] [DIRECTORY]\nkill [OPTION...] [DIRECTORY]",
		.doc = "Test libmpool with many threads and processes at once.\v"
		       "Each mode has its own --help.  Exit status: 0 all is well, 1 the pool broke a promise, "
		       "2 wrong usage or no way to run the test.",
	};

	argp_program_version = "mpool-stress " MPOOL_VERSION;
	argp_err_exit_status = EXIT_TROUBLE;
	for (enum mode mode = 0; argc > 1 && mode < MODES; mode++) {
		if (strcmp(argv[1], modes[mode].name) != 0)
			continue;
		parse_mode(mode, argc - 1, argv + 1, o);
		return;
	}
	argp_parse(&no_mode, argc, argv, ARGP_IN_ORDER, NULL, NULL);
	exit(EXIT_TROUBLE);
}
