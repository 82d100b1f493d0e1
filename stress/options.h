/*
 * options.h - what the command line asks for; and the operations that it can choose among.
 *
 * options.c owns the three modes' options, their defaults and limits; operations.c the one
 * table of what a worker does, one at a time, drawn by weight, for threads that churn and for
 * those that are killed.
 */
#ifndef STRESS_OPTIONS_H
#define STRESS_OPTIONS_H

#include <stdbool.h>

#include "mpool.h"

enum {
	OP_READ,
	OP_WRITE,
	OP_SEVERAL,
	OP_NEST,
	OP_HOLD,
	OP_LOOK,
	OP_RELEASE,
	OP_GIVE,
	OP_TAKE,
	OP_NEW,
	OP_PEEK,
	OP_UNCHANGED,
	OP_UPGRADE,
	OP_CACHED,
	OP_PREFETCH,
	OP_BATCH,
	OP_SCAN,
	OP_DELETE,
	OP_REQUEST,
	OP_SYNC,
	OP_RANGE,
	OP_FILE,
	OP_STATS,
	OP_WRONG,
	OPERATIONS,
};

struct worker;

struct operation {
	const char *name;
	unsigned churn, kill; /* weights */
	bool waits;           /* it may have to wait for a process that is stopped */
	void (*alone)(struct worker *w);
	void (*on_page)(struct worker *w, pgno_t pgno); /* in place of `alone` */
};

extern const struct operation operations[OPERATIONS];

/* Draws one, and does it. */
void operate(struct worker *w);

/* The worker ends; its pins need not. */
void part_with_pins(struct worker *w);
/* Puts what was left to others; but up to `leave` pins, of pages not modified, stay for mpool_close. */
void drain(struct worker *w, unsigned leave);

enum mode { MODE_VERIFY, MODE_CHURN, MODE_KILL, MODES };

enum { PROCESSES_MAX = 8, PERCENT = 100 };

struct options {
	enum mode mode;
	const char *file;   /* verify: what is read; else the directory for a temporary one */
	unsigned processes; /* 0: the pool is private to this one */
	unsigned threads;   /* in each */
	unsigned seconds;   /* 0: no limit */
	unsigned rounds;    /* 0: as the time allows */
	unsigned pages;     /* at the start */
	unsigned pages_max;
	unsigned files; /* attached */
	unsigned cache;
	unsigned page_size;
	unsigned seed;
	unsigned life;     /* operations, of a thread */
	unsigned stay;     /* milliseconds, of a process in the pool */
	unsigned several;  /* pages that one operation has at most */
	unsigned watchdog; /* seconds */
	unsigned latched;  /* of a hundred pages, so many are latched by who looks at them, or changes them */
	bool direct, filter, hooks, signals, cancel, soak;
	unsigned weight[OPERATIONS];
	char *again; /* the command that makes the same choices */
};

/* Ends the program on wrong usage, --help and the like. */
void options_parse(int argc, char **argv, struct options *o);

#endif
