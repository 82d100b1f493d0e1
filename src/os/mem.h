/*
 * mem.h - where a pool's memory comes from.
 *
 * Owns the arena's number, and the block.  A small pool is opened in one block of malloc's:
 * that needs no system call, shares memory pages with other allocations, and does not place
 * all pools at the same addresses modulo the size of a cache.  For all other memory the pool
 * has a jemalloc arena of its own if the program has jemalloc, from its first allocation
 * until it is closed, and anonymous mappings otherwise.  Memory is zeroed, and is not
 * resident until it is touched.
 */
#ifndef MPOOL_MEM_H
#define MPOOL_MEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values of `arena`; from ARENA_FIRST on it is that of jemalloc's arena 0, 1, ... */
enum { ARENA_UNDECIDED, ARENA_NONE, ARENA_FIRST };

struct mem {
	_Atomic unsigned arena;
	char *block, *block_end; /* NULL: none */
	char *block_next;        /* from here on it is free; only while the pool is opened */
};

void mem_init(struct mem *m);
/* What was not freed of the block is. */
void mem_fini(struct mem *m);

/* A block may have so many bytes. */
#define MEM_BLOCK_MAX ((size_t)64 << 10)
/*
 * The next `bytes` that one thread asks for, gaps for their alignment included, come from a
 * block, until mem_block_ends: in what is left of it.  If there is no memory for it, from elsewhere.
 */
void mem_block_begins(struct mem *m, uint64_t bytes);
void mem_block_ends(struct mem *m);

/* Around a fork; see fork.h. */
void mem_before_fork(void);
void mem_after_fork(void);

/* `align`: a power of two.  NULL: no memory. */
void *mem_alloc(struct mem *m, size_t bytes, size_t align);
/* ... of which the first `raw` bytes need not be zero. */
void *mem_alloc_raw(struct mem *m, size_t bytes, size_t align, size_t raw);
void mem_free(struct mem *m, void *p);
/* Give the memory back, keep the addresses: all whole pages there are zeros from now on. */
void mem_discard(void *p, size_t bytes);

#endif
