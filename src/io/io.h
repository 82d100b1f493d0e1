/*
 * io.h - a pool's pages and its file, put together.
 *
 * Owns nothing.  `struct io` is this process's own: what moves pages between the frames
 * of the core and the file.
 */
#ifndef MPOOL_IO_H
#define MPOOL_IO_H

#include "core/core.h"
#include "io/pageio.h"
#include "io/torn.h"

/* Write buffers that are kept: so many threads write back at once without allocating memory. */
#define WRITE_BUFFERS 4u
/* The same of small ones, for who syncs a page or a few: many threads do so at once. */
#define SMALL_BUFFERS 16u
#define SMALL_PAGES   16u

struct engine;

struct io {
	struct core *core;
	_Atomic(struct engine *) engine; /* NULL: nobody has needed one so far */
	struct pageio file;
	struct torn_state *torn;
	_Alignas(CACHE_LINE) _Atomic(void *) buffers[WRITE_BUFFERS]; /* not in use, or NULL */
	_Atomic(void *) small[SMALL_BUFFERS];
};

#endif
