/*
 * options.h - what the command line asks for.
 *
 * Owns the three modes' options, their defaults and limits.
 */
#ifndef STRESS_OPTIONS_H
#define STRESS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "mpool.h"

/* What a worker of the churn mode does, one at a time, drawn by weight. */
enum operation {
	OP_READ,    /* get, check, put */
	OP_WRITE,   /* get, check, write the next version, put dirty */
	OP_SEVERAL, /* the same with several pages at a time */
	OP_NEST,    /* one page got twice */
	OP_HOLD,    /* get a page and keep it */
	OP_LOOK,    /* check, or write, a page kept */
	OP_RELEASE, /* put a page kept */
	OP_GIVE,    /* get a page, or take one kept, for another thread to put */
	OP_TAKE,    /* check or write a page that another thread got, and put it */
	OP_NEW,     /* a new page */
	OP_PEEK,    /* get without pinning */
	OP_DELETE,  /* drop a page from memory */
	OP_REQUEST, /* make a page afresh */
	OP_SYNC,
	OP_STATS,
	OP_WRONG, /* calls that must fail */
	OPERATIONS,
};

extern const char *const operation_name[OPERATIONS];

struct options {
	const char *file;   /* NULL: none given */
	unsigned processes; /* 0: the pool is private to this one */
	unsigned threads;
	unsigned seconds;
	pgno_t pages; /* at the start */
	pgno_t pages_max;
	pgno_t cache;
	pgno_t page_size;
	uint64_t seed;
	unsigned passes;
	unsigned rounds; /* 0: as the time allows */
	unsigned hold;
	unsigned handover; /* places */
	unsigned life;
	unsigned stay;       /* milliseconds */
	unsigned sync_every; /* milliseconds */
	unsigned watchdog;   /* seconds */
	unsigned faults;
	unsigned progress; /* seconds between lines */
	bool soak;         /* seconds 0: until a signal */
	bool signals;
	bool cancel;
	char *again; /* the command that makes the same choices */
	bool force;
	bool direct;
	bool filter;
	unsigned weight[OPERATIONS];
};

/* They end the program on wrong usage, --help and the like. */
void options_verify(int argc, char **argv, struct options *o);
void options_churn(int argc, char **argv, struct options *o);
void options_kill(int argc, char **argv, struct options *o);

#endif
