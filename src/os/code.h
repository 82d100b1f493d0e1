/*
 * code.h - what an address in the program's code is called, and whether somebody asks for that.
 *
 * Owns nothing.  In builds that check themselves.
 */
#ifndef MPOOL_CODE_H
#define MPOOL_CODE_H

#include <stdbool.h>
#include <stdint.h>

/* The environment has MPOOL_PINS. */
bool code_asked(void);

struct code_place {
	const char *object;   /* the program's file, or a library's */
	const char *function; /* NULL: the object does not tell others of it */
	uintptr_t offset;     /* in the object, as addr2line(1) wants it */
};

/* Of the call that returns to `to`.  False: no object has it. */
bool code_place_of(const void *to, struct code_place *p);

#endif
