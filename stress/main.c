/*
 * main.c - mpool-stress: does a pool keep its promises when many threads, and processes, use it?
 *
 * Picks the mode; each mode has a file of its own.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "modes.h"
#include "options.h"
#include "report.h"

static error_t parse_mode(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_ARG:
		argp_error(state, "no mode is called \"%s\"", arg);
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no mode given");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* For --help, and for complaints about a missing or unknown mode. */
static void parse_without_mode(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse_mode,
		.args_doc = "verify [OPTION...] FILE\nchurn [OPTION...] [FILE|DIRECTORY]\n"
			    "kill [OPTION...] [FILE|DIRECTORY]",
		.doc = "Test libmpool with many threads and processes at once.\v"
		       "verify   compare a file read through a pool with the same file read plainly\n"
		       "churn    change a file through a pool and check that no version of a page is lost\n"
		       "kill     the same in several processes, which are killed at random\n\n"
		       "Each mode has its own --help.  Exit status: 0 all is well, 1 the pool broke a promise, "
		       "2 wrong usage or no way to run the test.",
	};

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, NULL);
}

int main(int argc, char **argv)
{
	static char verify_name[] = "mpool-stress verify";
	static char churn_name[] = "mpool-stress churn";
	static char kill_name[] = "mpool-stress kill";
	struct options o;

	argp_program_version = "mpool-stress " MPOOL_VERSION;
	argp_err_exit_status = EXIT_TROUBLE;
	setvbuf(stdout, NULL, _IOLBF, 0); /* progress lines come at once through pipes too */

	if (argc > 1 && strcmp(argv[1], "verify") == 0) {
		argv[1] = verify_name;
		options_verify(argc - 1, argv + 1, &o);
		return verify(&o);
	}
	if (argc > 1 && strcmp(argv[1], "churn") == 0) {
		argv[1] = churn_name;
		options_churn(argc - 1, argv + 1, &o);
		return churn(&o);
	}
	if (argc > 1 && strcmp(argv[1], "kill") == 0) {
		argv[1] = kill_name;
		options_kill(argc - 1, argv + 1, &o);
		return kill_mode(&o);
	}
	parse_without_mode(argc, argv);
	return EXIT_TROUBLE;
}
