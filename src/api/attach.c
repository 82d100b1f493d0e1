/*
 * attach.c - mpool_attach, mpool_attach_store, and mpool_close of what they give.
 *
 * Owns the list of a pool's handles of attached files.  io/extent.h has the files of a private pool, and whose which pages are;
 * of a shared one io/catalog.h and share/files.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/call.h"
#include "api/failed.h"
#include "api/fetch.h"
#include "core/latch.h"
#include "evict/leave.h"
#include "share/files.h"

/* ---- attach ------------------------------------------------------------- */

/* What is attached. */
struct place {
	int fd;
	/* NULL: it is the file. */
	const struct mpool_store *store;
	size_t size;
	void *cookie;
};

/* 0, or an errno. */
static int open_place(struct io *io, MPOOL *mp, const struct place *p, uint32_t *pages, bool *tail)
{
	uint32_t pagesize = mp->io.file.pagesize;
	if (!p->store)
		return pageio_open(&io->file, p->fd, pagesize, pages, tail) != 0 ? errno : 0;
	/* Before a page of it can be in memory. */
	atomic_store(&mp->io.stores, true);
	return pageio_open_store(&io->file, p->store, p->size, p->cookie, pagesize, pages, tail);
}

/* What every handle begins with. */
static void begin_handle(struct attached *a, MPOOL *mp, struct io *io)
{
	a->handle.serial = mp->core.handle.serial;
	a->handle.at_core = a->handle.serial | HANDLE_ATTACHED;
	a->handle.attached = a;
	atomic_init(&a->handle.hits, mp->core.barrier == BARRIER_FENCE ? HITS_OTHER : HITS_ATTACHED);
	a->pool = mp;
	a->io = io;
	a->no_view = (struct mpool_view){.pool = (MPOOL *)(void *)a};
}

/* It can be found by the pool, which closes it in the end. */
static MPOOL *list_handle(struct attached *a)
{
	MPOOL *mp = a->pool;
	(void)handle_io((MPOOL *)(void *)a); /* its map */
	extent_lock();
	a->next = mp->attached;
	a->before = &mp->attached;
	if (a->next)
		a->next->before = &a->next;
	mp->attached = a;
	extent_unlock();
	return (MPOOL *)(void *)a;
}

static void unlist_handle(struct attached *a)
{
	extent_lock();
	*a->before = a->next;
	if (a->next)
		a->next->before = a->before;
	extent_unlock();
}

/* aligned_alloc is for whole multiples of what it aligns to. */
#define WHOLE_LINES(bytes) (((bytes) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE)
_Static_assert(_Alignof(struct attached_file) <= CACHE_LINE, "a handle begins with a line");

static void *new_zeroed(size_t bytes)
{
	void *p = aligned_alloc(CACHE_LINE, WHOLE_LINES(bytes));
	if (p)
		memset(p, 0, bytes);
	return p;
}

/* ---- to a private pool ---------------------------------------------------- */

/* 0, or an errno. */
static int open_file(struct attached_file *f, MPOOL *mp, const struct place *p)
{
	uint32_t pages;
	bool tail;
	begin_handle(&f->attached, mp, &f->io);
	f->io.core = &mp->core;
	f->io.pool = &mp->io;
	f->io.torn = mp->io.torn;
	f->io.handle = &f->attached.handle;
	f->io.counts = f->io.own_counts;
	f->io.file.hooks.pool = &mp->io.file.hooks;
	pageio_none(&f->io.file);
	int error = open_place(&f->io, mp, p, &pages, &tail);
	if (error)
		return error;
	pageio_init(&f->io.file, &f->state, pages, tail);
	error = extents_begin(&mp->io);
	if (error)
		return error;
	/* Before a page of another file can be in memory: calls with the first file's handle compare what they are
	 * given with what that file has. */
	atomic_store(&mp->core.handle.hits, HITS_OTHER);
	peek_slowly(mp);
	return extent_attach(&f->io);
}

static MPOOL *attach_own(MPOOL *mp, const struct place *p)
{
	struct attached_file *f = new_zeroed(sizeof *f);
	if (!f)
		return NULL;
	int error = open_file(f, mp, p);
	if (!error)
		return list_handle(&f->attached);
	pageio_close_store(&f->io.file, false);
	free(f);
	errno = error;
	return NULL;
}

/* ---- to a shared one ------------------------------------------------------ */

static MPOOL *attach_shared(MPOOL *mp, struct attachment *a, const struct place *p)
{
	if (p->store) {
		errno = ENOTSUP;
		return NULL;
	}
	struct attached *f = new_zeroed(sizeof *f);
	if (!f)
		return NULL;
	struct io *io;
	peek_slowly(mp);
	int error = files_attach(&mp->sharing, a->stripe, p->fd, &io);
	if (!error) {
		begin_handle(f, mp, io);
		return list_handle(f);
	}
	free(f);
	errno = error;
	return NULL;
}

static MPOOL *attach(MPOOL *mp, const struct place *p)
{
	CALL(mp, a);
	if (!a)
		return NULL;
	return region_shared(&mp->core.region) ? attach_shared(mp, a, p) : attach_own(mp, p);
}

PUBLIC MPOOL *mpool_attach(MPOOL *mp, int fd)
{
	return attach(handle_pool(mp), &(struct place){.fd = fd});
}

PUBLIC MPOOL *mpool_attach_store(MPOOL *mp, const struct mpool_store *store, size_t size, void *cookie)
{
	if (store)
		return attach(handle_pool(mp), &(struct place){-1, store, size, cookie});
	errno = EINVAL;
	return NULL;
}

/* ---- is a page of it in use? --------------------------------------------- */

struct use {
	MPOOL *mp;
	const struct io *io;
	bool found;
};

/* Of a shared pool others may have the file, and pins of its pages. */
static bool is_ours(const struct use *u, uint32_t stripe)
{
	const struct pins *p = &u->mp->core.pins;
	return !u->io->slot || stripe_of(pin_stripe(p, stripe), p->member);
}

/* In an epoch section. */
static void look_at_frame(void *use, uint32_t frame)
{
	struct use *u = use;
	const struct frame *fr = frame_live(&u->mp->core.frames, frame);
	/* Acquire: before the slot is looked at again. */
	uint32_t page = fr ? atomic_load_explicit(&fr->page, memory_order_acquire) : PAGE_NONE;
	if (fr && atomic_load(&fr->word) != FRAME_FREE && extent_is_of(u->io, page))
		u->found = true;
}

/* A get of another file's page may just have tried the frame: that is no use of ours. */
static bool is_use(uint64_t slot)
{
	return slot_pins(slot, slot_frame(slot)) || slot_peek(slot);
}

static bool still_uses(const struct stripe *s, uint32_t frame)
{
	bool uses = false;
	for (unsigned i = 0; i < LINE_WORDS; i++) {
		uint64_t slot = atomic_load_explicit(&s->slots.word[i], memory_order_acquire);
		uses |= is_use(slot) && slot_frame(slot) == frame;
	}
	return uses;
}

/*
 * The slot may have been of another file's page: it is put, and a page of this file comes into the frame, by another process,
 * before its number is looked at.  So both are looked at again.
 */
static void look_at_slot(void *use, const struct stripe *s, uint64_t slot)
{
	struct use *u = use, now = {u->mp, u->io, false};
	uint32_t frame = slot_frame(slot);
	if (!is_use(slot) || !is_ours(u, s->id))
		return;
	look_at_frame(&now, frame);
	if (!now.found || !still_uses(s, frame))
		return;
	look_at_frame(u, frame);
}

static void look_at_owner(void *use, uint32_t frame, struct frame *fr)
{
	struct use *u = use;
	uint64_t owner = (latch_now(&u->mp->core, frame) & LATCH_OWNER) >> LATCH_OWNER_SHIFT;
	(void)fr;
	if (owner && is_ours(u, (uint32_t)owner - 1))
		look_at_frame(use, frame);
}

static bool in_use(MPOOL *mp, struct attachment *a, const struct io *io)
{
	struct use u = {mp, io, false};
	epoch_enter(&mp->core.epoch, a->stripe);
	pin_scan(&mp->core.pins, look_at_slot, &u);
	if (latches_on(&mp->core)) {
		for (uint32_t i = 0, n = atomic_load(&mp->core.pins.state->stripes); i < n; i++)
			if (is_ours(&u, i))
				latch_marks_of(&mp->core, i, look_at_frame, &u);
		frames_each(&mp->core.frames, look_at_owner, &u);
	}
	epoch_leave(a->stripe);
	return u.found;
}

/* ---- it is closed --------------------------------------------------------- */

/* 0, or an errno. */
static int leave_own(MPOOL *mp, struct attachment *a, struct io *io)
{
	if (in_use(mp, a, io))
		return EBUSY;
	extent_closing(io);
	(void)leave_file(&mp->evict, io, a->stripe, true);
	failed_close(mp, io);
	return 0;
}

/* The same of a shared pool: others of this process's handles may go on. */
static int leave_shared(MPOOL *mp, struct attachment *a, struct io *io)
{
	int error;
	bool last;
	do {
		last = files_is_last(&mp->sharing, io);
		if (last && in_use(mp, a, io))
			return EBUSY;
		error = files_close(&mp->sharing, a->stripe, io, last);
	} while (error == EAGAIN);
	if (!error && last)
		failed_close(mp, io);
	return error;
}

/* 0, or an errno. */
static int leave(struct attached *f)
{
	MPOOL *mp = f->pool;
	CALL(mp, a);
	/* The parent's, which cannot be used here: the file is closed, and no more. */
	if (!a)
		return errno == EBADF ? 0 : errno;
	return region_shared(&mp->core.region) ? leave_shared(mp, a, f->io) : leave_own(mp, a, f->io);
}

/* Of a shared pool's files what this process has of them is in the pool. */
static void end(struct attached *f, bool tell_stores)
{
	unlist_handle(f);
	if (!region_shared(&f->pool->core.region)) {
		extent_detach(f->io);
		pageio_close(&f->io->file, false);
		pageio_close_store(&f->io->file, tell_stores);
	}
	free(f);
}

int attached_close(struct attached *f)
{
	int error = leave(f);
	/* The child of a fork has not what its parent's stores have. */
	if (!error)
		end(f, !thread_is_parents(&f->pool->core));
	errno = error ? error : errno;
	return error ? -1 : 0;
}

void attached_end(MPOOL *mp, bool tell_stores)
{
	while (mp->attached)
		end(mp->attached, tell_stores);
	extents_end(&mp->io);
}
