/*
 * hooks.h - the program's own functions, which pages go through on their way from the file and to it.
 *
 * Owns this process's filters and hooks of a file, and, of a pool, how many threads are in out or before_write.
 *
 *   from the file  read -> in -> pgin -> memory
 *   to the file    copy -> pgout -> out -> before_write, once for all the copies of a batch -> write
 *
 * A filter cannot fail; a hook can: in fails the load, out keeps its page from being written,
 * before_write its batch, of which who needs room asks for parts then (writeback.c).  Such pages stay
 * modified, as after a write that has failed.
 *
 * Those of a write may block, before_write for as long as a log takes: so who writes holds nothing then
 * that a getter needs, and not the turn to sync.  Pages that it has claimed can be got (core/window.h); it has no load
 * of its own that others may wait for (the frame comes before the entry: hooks_write, fetch.c); and
 * while somebody is in one, others that need a frame look for one that needs no write first (hooks_held_up,
 * clock.c).  in and pgin run while their page is loading, and those that were read with it.
 *
 * They belong to each process.  A process without them must not read or write pages of a pool
 * that has them, nor the other way round: the first process that uses a shared pool decides which it has, and one
 * that differs is refused (pageio_agrees).
 */
#ifndef MPOOL_HOOKS_H
#define MPOOL_HOOKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpool.h"

/* What a pool's pages go through, as the processes that share it have agreed upon: one of the first two, and the others. */
#define FORM_OPEN         0u /* nobody has made a call so far */
#define FORM_PLAIN        1u
#define FORM_FILTERED     2u
#define FORM_IN           4u
#define FORM_OUT          8u
#define FORM_BEFORE_WRITE 16u

struct hooks {
	void (*pgin)(void *, pgno_t, void *);
	void (*pgout)(void *, pgno_t, void *);
	void *cookie;            /* of these */
	struct mpool_hooks own;  /* none: all NULL */
	struct hooks *pool;      /* of the pool's first file, which has what follows of all of them: */
	_Atomic uint32_t inside; /* threads in out or before_write; after a longjmp out of it, one too many */
	_Atomic bool others;     /* an attached file has out or before_write, or had */
};

void hooks_set_filters(struct hooks *h, mpool_filter_t *pgin, mpool_filter_t *pgout, void *cookie);
/* As the caller compiled the structure, of `size` bytes; NULL: none.  0, or an errno. */
int hooks_set(struct hooks *h, const struct mpool_hooks *own, size_t size);
/* FORM_... */
uint32_t hooks_form(const struct hooks *h);

/* Is a page another in the file than in memory? */
static inline bool hooks_convert(const struct hooks *h)
{
	return h->pgin || h->pgout || h->own.in || h->own.out;
}

/* Does the program see pages that come in? */
static inline bool hooks_read(const struct hooks *h)
{
	return h->pgin || h->own.in;
}

/* May a write of any of the pool's pages have to wait for the program?  Of the first file's hooks. */
static inline bool hooks_write(const struct hooks *h)
{
	return h->own.out || h->own.before_write || atomic_load_explicit(&h->others, memory_order_relaxed);
}

/* May it have to wait in before_write?  The same. */
static inline bool hooks_announce(const struct hooks *h)
{
	return h->own.before_write || atomic_load_explicit(&h->others, memory_order_relaxed);
}

/* Is a thread of this process's in out or before_write?  Relaxed: who comes just then may meet it in a write of its own. */
static inline bool hooks_held_up(const struct hooks *h)
{
	return atomic_load_explicit(&h->inside, memory_order_relaxed) > 0;
}

/* 0, or the errno that the hook returned; EIO: it returned what is none.  Should one not return, thread_filtering tells (core/thread.h). */
int hooks_in(const struct hooks *h, uint32_t page, void *bytes);
int hooks_out(struct hooks *h, uint32_t page, void *copy);
int hooks_before_write(struct hooks *h, const pgno_t *page, void *const *copy, size_t n);

/* In the child of a fork: nobody is in one. */
void hooks_forked(struct hooks *h);

#endif
