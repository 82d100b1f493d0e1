/*
 * pages.h - the bytes of a file through a pool: any offset, any length.
 *
 * Owns the pool's handle while it is open, and the locks below.  Calls return 0, or -1 and
 * errno; one that failed may have done a part.
 *
 * Bytes are modified in place, in the pinned page, of which there is one copy however many
 * threads and processes have it pinned.  So two who write different bytes of one page need
 * no lock: nobody ever puts a whole page back that was read before.  That holds between
 * processes too, and if one of them dies in the middle: then each byte is old or new, which
 * is what NBD leaves open, and the page is marked as modified, so that it stays so.  Of those
 * who write and read the same bytes at once, NBD promises nothing.
 *
 * What needs a lock is a page that is made, so as not to read what is overwritten anyway:
 * between mpool_new and the copying it is zeros, which nobody wrote; and a hole that is
 * punched in the file, while nobody may bring the page in.  Both are done under the
 * group's lock, exclusively; all else holds it shared.  (So the pool may not read ahead by
 * itself, MPOOL_READAHEAD.  A prefetch that is under way is waited for by who drops the page.)
 * A lock is of one process.  In a
 * pool that others share, therefore, pages are never made nor holes punched: they are got,
 * and written to.
 */
#ifndef NBD_PAGES_H
#define NBD_PAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>

#include <mpool.h>

enum {
	GROUP_PAGES = 32, /* neighbours that have one lock, and are got together */
	GROUPS = 4096,    /* locks: group g has lock g % GROUPS */
	GROUP_ALIGN = 64, /* no two locks in one cache line */
};

struct group {
	_Alignas(GROUP_ALIGN) pthread_rwlock_t lock;
};

struct pages {
	MPOOL *mp;
	uint32_t size;     /* bytes of a page */
	int fd;            /* the file, to punch holes in; not the pool's descriptor */
	bool shared;       /* other processes may be in the pool */
	atomic_bool holes; /* the file can have holes punched: true until it was refused */
	struct group *groups;
};

/* Takes the pool over: pages_close closes it.  The other fields are set.  -1: no memory. */
int pages_open(struct pages *p, MPOOL *mp);
void pages_close(struct pages *p);

/* All bytes are of pages of the pool. */
int pages_read(struct pages *p, void *to, uint64_t bytes, uint64_t offset);
int pages_write(struct pages *p, const void *from, uint64_t bytes, uint64_t offset);
/* `holes`: what is zero need not be allocated in the file any more. */
int pages_zero(struct pages *p, uint64_t bytes, uint64_t offset, bool holes);
/* Start to bring them into memory, as far as there is room. */
int pages_prefetch(struct pages *p, uint64_t bytes, uint64_t offset);

/* Would pages_zero with holes be faster than writing zeros? */
bool pages_punch(const struct pages *p);

#endif
