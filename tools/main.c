/*
 * main.c - mpool-top: the shared pools of the user.
 *
 * Owns the command line.  Without a terminal to show them on, or with --once, the
 * pools are printed once (table.h), else live (screen.h).
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "look.h"
#include "process.h"
#include "screen.h"
#include "table.h"
#include "text.h"

/* Options with no short name; above all characters. */
enum { KEY_REMOVE = 256, KEY_REMOVE_STALE };

#define INTERVAL     1.0 /* seconds */
#define INTERVAL_MIN 0.01
#define INTERVAL_MAX 86400.0

struct options {
	double interval;
	bool once, remove_stale;
	char *remove; /* a key */
};

static const struct argp_option options[] = {
	{.name = "interval", .key = 'i', .arg = "SECONDS", .doc = "Between two looks (1)"},
	{.name = "once", .key = '1', .doc = "Print one table, for scripts, as when the output is no terminal"},
	{.name = "remove", .key = KEY_REMOVE, .arg = "KEY", .doc = "Remove the stale pool of that key, as it is shown"},
	{.name = "remove-stale", .key = KEY_REMOVE_STALE, .doc = "Remove all stale pools"},
	{0},
};

static double seconds(struct argp_state *state, const char *text)
{
	char *end;
	double n = strtod(text, &end);

	if (end == text || *end != '\0' || !isfinite(n) || n < INTERVAL_MIN || n > INTERVAL_MAX)
		argp_error(state, "--interval: \"%s\" is no number from %g to %g", text, INTERVAL_MIN, INTERVAL_MAX);
	return n;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'i':
		o->interval = seconds(state, arg);
		return 0;
	case '1':
		o->once = true;
		return 0;
	case KEY_REMOVE:
		o->remove = arg;
		return 0;
	case KEY_REMOVE_STALE:
		o->remove_stale = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\": no arguments are taken", arg);
		return 0;
	case ARGP_KEY_END:
		if (o->remove && o->remove_stale)
			argp_error(state, "--remove and --remove-stale: one at a time");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const char *reason(int error)
{
	switch (error) {
	case EBUSY:
		return "a live process has it";
	case ETIMEDOUT:
		return "a process is just opening or closing it";
	case ENOENT:
		return "there is no such pool";
	case EACCES:
		return "it is not to be trusted: not a plain file that only you may use";
	default:
		return strerror(error);
	}
}

static int remove_key(char *shown)
{
	char *key = strdup(shown);
	size_t bytes;

	if (!key)
		die(STATUS_REFUSED, "no memory");
	if (!text_unescape(key, &bytes))
		die(STATUS_USAGE, "%s: a backslash is to be followed by x and two hexadecimal digits", shown);
	int error = look_remove_key((struct share_key){key, bytes});
	free(key);
	if (error)
		die(STATUS_REFUSED, "%s: not removed: %s", shown, reason(error));
	return STATUS_DONE;
}

/* One that has found a process meanwhile, or was removed by others, is none any more. */
static int remove_stale(void)
{
	struct look l;
	int error = look_all(&l), status = STATUS_DONE;

	if (error)
		die(STATUS_REFUSED, "cannot look at the pools: %s", strerror(error));
	look_sort(&l);
	for (size_t i = 0; i < l.n; i++) {
		if (l.pool[i].state != LOOK_STALE)
			continue;
		char *key = text_escape(l.pool[i].key, l.pool[i].key_bytes);
		error = look_remove(l.pool[i].name);
		if (!error) {
			printf("removed %s (%s)\n", key, l.pool[i].name);
		} else if (error != EBUSY && error != ENOENT) {
			fprintf(stderr, "mpool-top: %s (%s): not removed: %s\n", key, l.pool[i].name, reason(error));
			status = STATUS_REFUSED;
		}
		free(key);
	}
	look_free(&l);
	return status;
}

static int print_once(void)
{
	struct look l;
	int error = look_all(&l);

	if (error)
		die(STATUS_REFUSED, "cannot look at the pools: %s", strerror(error));
	look_sort(&l);
	table_print(stdout, &l);
	look_free(&l);
	return STATUS_DONE;
}

/* What was printed is there, or the status says that it is not. */
static int finish(int status)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		die(STATUS_REFUSED, "writing: %s", strerror(errno));
	return status;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {.options = options,
	                                 .parser = parse,
	                                 .doc = "Show the page pools that your processes share, live; q ends it."};
	struct options o = {.interval = INTERVAL};

	argp_program_version = "mpool-top " MPOOL_VERSION;
	argp_err_exit_status = STATUS_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (o.remove)
		return finish(remove_key(o.remove));
	if (o.remove_stale)
		return finish(remove_stale());
	if (o.once || !isatty(STDOUT_FILENO))
		return finish(print_once());
	screen_show(o.interval);
	return finish(STATUS_DONE);
}
