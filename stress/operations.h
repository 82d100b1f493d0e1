/*
 * operations.h - what a worker does, one at a time, drawn by weight.
 *
 * Owns the one table of operations, for threads that churn and for those that are killed.
 */
#ifndef STRESS_OPERATIONS_H
#define STRESS_OPERATIONS_H

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
	OP_DELETE,
	OP_REQUEST,
	OP_SYNC,
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

#endif
