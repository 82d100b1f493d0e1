/*
 * options.h - what the command line asks for.
 *
 * Owns the three modes' options, their defaults and limits.
 */
#ifndef STRESS_OPTIONS_H
#define STRESS_OPTIONS_H

#include <stdbool.h>

#include "operations.h"

enum mode { MODE_VERIFY, MODE_CHURN, MODE_KILL, MODES };

enum { PROCESSES_MAX = 8 };

struct options {
	enum mode mode;
	const char *file;   /* verify: what is read; else the directory for a temporary one */
	unsigned processes; /* 0: the pool is private to this one */
	unsigned threads;   /* in each */
	unsigned seconds;   /* 0: no limit */
	unsigned rounds;    /* 0: as the time allows */
	unsigned pages;     /* at the start */
	unsigned pages_max;
	unsigned cache;
	unsigned page_size;
	unsigned seed;
	unsigned life;     /* operations, of a thread */
	unsigned stay;     /* milliseconds, of a process in the pool */
	unsigned several;  /* pages that one operation has at most */
	unsigned watchdog; /* seconds */
	bool direct, filter, signals, cancel, soak;
	unsigned weight[OPERATIONS];
	char *again; /* the command that makes the same choices */
};

/* Ends the program on wrong usage, --help and the like. */
void options_parse(int argc, char **argv, struct options *o);

#endif
