/*
 * mem.h - where a pool's memory comes from.
 *
 * Owns nothing but the arena's number.  A program that has jemalloc gives the
 * pool an arena of its own for as long as it is open; any other gets anonymous
 * mappings.  Memory is zeroed, and costs nothing until it is touched.
 */
#ifndef MPOOL_MEM_H
#define MPOOL_MEM_H

#include <stdbool.h>
#include <stddef.h>

struct mem {
	bool arena_made; /* memory is jemalloc's, from the arena below */
	unsigned arena;
};

void mem_init(struct mem *m);
void mem_fini(struct mem *m);

/* Around a fork; see fork.h. */
void mem_before_fork(void);
void mem_after_fork(void);

/* `align`: a power of two.  NULL: no memory. */
void *mem_alloc(struct mem *m, size_t bytes, size_t align);
void mem_free(struct mem *m, void *p);
/* Give the memory back, keep the addresses: all whole pages there are zeros from now on. */
void mem_discard(void *p, size_t bytes);

#endif
