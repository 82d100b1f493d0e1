/*
 * load.h - bring a page into memory: from the entry that was inserted for it to the published page.
 *
 * Owns no state.  Who has won a page's insertion is its only loader until it publishes the
 * page, or frees the entry.  (core/table.h has the states of the entry.)
 *
 *   load_begin   the entry is loading
 *   ...          a frame is claimed for it, and filled
 *   load_publish the page is in memory, and pinned by the caller
 *   load_leave   the page is in memory, for whoever comes
 *   load_fail    the entry and the frame are free: the next get tries again
 *
 * While it loads, the page may be forgotten, or cut off the file (evict/cut.h): then the load is stale, and is given up
 * when it is to be published.
 *
 * Whoever ends a load notifies those who wait for the page.
 */
#ifndef MPOOL_LOAD_H
#define MPOOL_LOAD_H

#include <limits.h>

#include "api/call.h"
#include "core/tsan.h"

/* What is wanted of a page. */
enum fill_mode {
	FILL_READ,     /* mpool_get: read it, unless it is in memory */
	FILL_ZERO,     /* mpool_new: zeros, unless a get came first */
	FILL_ZERO_EXCL /* mpool_new, requested: zeros; EEXIST if it is in memory */
};

struct want {
	struct io *io;   /* of the file */
	uint32_t number; /* of its page */
	enum fill_mode fill;
	uint64_t slot_flags; /* 0: a pin; SLOT_PEEK */
	bool once;           /* MPOOL_ONCE */
	uint32_t frame;      /* one to load it into, claimed already; FRAME_NONE: none yet */
	uint64_t cuts;       /* of mpool_new: how often the file was cut when it was given the number */
	uint32_t page;       /* the page's number in the pool, as fetch.c has found it */
};

/* As an errno: the load was stale; the number is worth nothing.  It is to be done again.  No errno, nor what a hook gives. */
#define LOAD_STALE INT_MIN

/* Has the page another number by now, or none?  To be asked when its entry is inserted, or its frame pinned (io/extent.h). */
static inline bool want_moved(const struct want *want)
{
	return unlikely(extent_page(want->io, want->number) != want->page);
}

/* A pin, or peek, of the calling thread's. */
struct pinned {
	uint32_t frame; /* FRAME_NONE: not pinned */
	_Atomic uint64_t *slot;
};
extern const struct pinned not_pinned;

/* A page that is being loaded. */
struct load {
	uint32_t page;
	uint32_t frame;      /* FRAME_NONE: there was none */
	struct table_ref at; /* its loading entry */
	/* Of several (batch.h): */
	unsigned index; /* which of the caller's list it is */
	int error;      /* errno of its read; 0: the frame is filled */
	bool read;      /* from the file; false: it is zeros */
};

/* Become the loader of a page, as table_insert does, in an epoch section.  LOST: look again. */
enum load_state { LOAD_WON, LOAD_LOST, LOAD_NO_MEMORY };
enum load_state load_begin(MPOOL *mp, struct attachment *a, uint32_t page, uint64_t seen, struct table_ref *at);

/* The bytes that are to be filled. */
static inline char *load_bytes(MPOOL *mp, const struct load *l)
{
	return tsan_take(&mp->core.region, frame_page(&mp->core.frames, l->frame));
}

/*
 * The frame is filled: publish the page, and pin it.  Not pinned and errno, ENOMEM, LOAD_STALE: the load has
 * failed.  `reads`: pages that were read from the file for it.
 */
struct pinned load_publish(MPOOL *mp, struct attachment *a, const struct load *l, const struct want *want,
                           unsigned reads);
/* The same, of a page that nobody has asked for yet.  If it is stale nobody asks for it now. */
void load_leave(MPOOL *mp, struct attachment *a, const struct load *l, unsigned reads);
/* The page is not to be loaded: its entry is free, in an epoch section. */
void load_withdraw(MPOOL *mp, const struct attachment *a, uint32_t page, const struct table_ref *at);
/* The load has failed; errno stays. */
struct pinned load_fail(MPOOL *mp, struct attachment *a, const struct load *l);

#endif
