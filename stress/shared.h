/*
 * shared.h - memory that all processes of a run see.
 *
 * Owns nothing: each piece belongs to whoever made it.  A piece is made before
 * the fork and lies at the same address in every process after it, so pointers
 * into it may stand in it.  It is zeros at first.
 */
#ifndef STRESS_SHARED_H
#define STRESS_SHARED_H

#include <stddef.h>

void *shared_make(size_t size);
void shared_free(void *memory, size_t size);

#endif
