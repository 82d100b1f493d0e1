/*
 * disk.h - a file as a disk of any size, through a pool.
 *
 * Owns the file's descriptors, from disk_open on, and the pool, from disk_start to
 * disk_stop.  The pool has the file's whole pages, the body.  What the last, partial page
 * would be is the tail, which no pool has: its bytes are read and written by the system's
 * calls, whose copy of them all processes see.
 *
 * Calls return 0, or -1 and errno.  disk_open and disk_start besides tell in words what is
 * wrong.
 */
#ifndef NBD_DISK_H
#define NBD_DISK_H

#include <sys/types.h>

#include "pages.h"

enum { DISK_WHY_MAX = 256 };

struct disk_options {
	const char *file;
	const char *key;   /* NULL: the pool is this process's alone */
	uint64_t cache;    /* bytes */
	uint32_t page;     /* bytes */
	uint32_t cleaners; /* threads that write ahead of need */
	bool direct;       /* O_DIRECT */
};

struct disk {
	struct disk_options options;
	int fd;        /* the pool's */
	int plain;     /* never O_DIRECT: the tail, holes */
	uint64_t size; /* bytes */
	uint64_t body; /* bytes of these that are pages */
	bool writable;
	struct pages pages;
	/* Modifications that have ended, and how many of them were in the file when somebody
	 * last saw to it: disk_extents. */
	_Atomic uint64_t modified, written;
};

int disk_open(struct disk *d, const struct disk_options *options, char why[DISK_WHY_MAX]);
int disk_start(struct disk *d, char why[DISK_WHY_MAX]);
void disk_stop(struct disk *d);
void disk_close(struct disk *d);

int disk_read(struct disk *d, void *to, uint64_t bytes, uint64_t offset);
int disk_write(struct disk *d, const void *from, uint64_t bytes, uint64_t offset);
int disk_zero(struct disk *d, uint64_t bytes, uint64_t offset, bool holes);
int disk_prefetch(struct disk *d, uint64_t bytes, uint64_t offset);
/* All that was modified before is on stable storage. */
int disk_flush(struct disk *d);
/* The same of these bytes. */
int disk_flush_range(struct disk *d, uint64_t bytes, uint64_t offset);
/* Can disk_zero punch holes? */
bool disk_punches(const struct disk *d);

/* Told of a stretch of the disk, in ascending order without gaps; -1 and errno: no more. */
typedef int disk_extent_fn(void *of, uint64_t offset, uint64_t bytes, bool hole);
/* Of which of these bytes the file has nothing, so that they are zeros; the first stretch only if `one`. */
int disk_extents(struct disk *d, uint64_t bytes, uint64_t offset, bool one, disk_extent_fn *tell, void *of);

#endif
