/*
 * io.h - a pool's pages and a file of it, put together.
 *
 * Owns nothing.  `struct io` is this process's own: what moves pages between the frames
 * of the core and the file.  A pool has one for each of its files (extent.h); what they share is in that of the first.
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

struct catalog;
struct engine;
struct extents;
struct extent_map;
struct file_slot;

/* What is counted of a file that is attached. */
#define IO_MISSES    0u
#define IO_READS     1u
#define IO_WRITES    2u
#define IO_EVICTIONS 3u
#define IO_COUNTERS  4u

struct io {
	struct core *core;
	struct io *pool; /* of the pool's first file */
	struct pageio file;
	struct torn_state *torn; /* the pool's */
	/* Of an attached file; of extent.h. */
	_Atomic(struct extent_map *) map;
	_Atomic uint64_t *counts; /* its own, or those of its slot */
	_Atomic uint64_t own_counts[IO_COUNTERS];
	/* Of one of a private pool's: its handle, and the list of those that are attached. */
	struct handle *handle;
	struct io *next, **before;
	bool closing; /* nobody takes an extent of it; with extent_lock */
	/* Of one of a shared pool's (catalog.h): what processes share of it; NULL: the pool is private, or this is the first. */
	struct file_slot *slot;
	/* ... with which generation of that this process has its descriptors, and 1; 0: it has none.  See share/files.h. */
	_Atomic uint64_t here;
	uint64_t name;    /* that these descriptors have (pageio_name) */
	uint32_t handles; /* that this process has of it; with `changing` of share/sharing.h */
	/* Of the first file alone. */
	_Atomic(struct engine *) engine;   /* NULL: nobody has needed one so far */
	_Atomic(struct extents *) extents; /* of a private pool; NULL: nothing was ever attached */
	struct catalog *catalog;           /* of a shared one */
	_Atomic uint64_t ask_ns;           /* before then nobody asks for a descriptor again, */
	unsigned vain;                     /* ... since it was so often in vain, as of files.h; with `changing` */
	_Atomic(struct io *) wanted;       /* a page of that file was not written: there is no descriptor of it here */
	_Atomic bool stores;               /* a file of the pool's is a store of the program's, or was */
	_Atomic bool sweeping;             /* sync.c: somebody sweeps the bits of what is changed */
	_Alignas(CACHE_LINE) _Atomic(void *) buffers[WRITE_BUFFERS]; /* not in use, or NULL */
	_Atomic(void *) small[SMALL_BUFFERS];
};

#endif
