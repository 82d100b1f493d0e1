/*
 * tsan.h - tell ThreadSanitizer of an order that it cannot see.
 *
 * ThreadSanitizer sees one process.  In a shared pool the order between two threads of one
 * process often goes through another process, which evicts the page that the first thread
 * has written, so that the second reads another page into its frame, or which moves its
 * entry in the table.  So it is told: a thread that has filled a frame, or puts a page,
 * releases the frame's bytes (tsan_give), and one that gets a page, or is to fill a frame,
 * acquires them (tsan_take).  In shared pools ThreadSanitizer therefore does not see an order
 * that get and put fail to make; in private ones, where nothing is told, it does.
 *
 * The same is so of a descriptor of a file that others have attached: who makes room writes by it (tsan_used), another process
 * sees that the page is not being written, and closes the file, and then it is closed here (tsan_unused).
 *
 * Nor does it see what the kernel writes by itself: a read that a ring has completed is told as
 * a write of the thread that takes the completion (tsan_written).
 */
#ifndef MPOOL_TSAN_H
#define MPOOL_TSAN_H

#include <stddef.h>

#include "core/region.h"

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>

void __tsan_write_range(void *bytes, long n);

static inline void tsan_written(void *bytes, size_t n)
{
	__tsan_write_range(bytes, (long)n);
}

static inline void tsan_give(const struct region *r, const void *bytes)
{
	if (region_shared(r))
		__tsan_release((void *)(uintptr_t)bytes); /* which it does not change */
}

static inline void *tsan_take(const struct region *r, void *bytes)
{
	if (region_shared(r))
		__tsan_acquire(bytes);
	return bytes;
}

/* Of a shared pool's. */
static inline void tsan_used(const void *file)
{
	__tsan_release((void *)(uintptr_t)file);
}

static inline void tsan_unused(void *file)
{
	__tsan_acquire(file);
}
#else
static inline void tsan_written(void *bytes, size_t n)
{
	(void)bytes;
	(void)n;
}

static inline void tsan_give(const struct region *r, const void *bytes)
{
	(void)r;
	(void)bytes;
}

static inline void *tsan_take(const struct region *r, void *bytes)
{
	(void)r;
	return bytes;
}

static inline void tsan_used(const void *file)
{
	(void)file;
}

static inline void tsan_unused(void *file)
{
	(void)file;
}
#endif

#endif
