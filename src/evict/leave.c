/* leave.c - see leave.h. */
#include "evict/leave.h"

#include "core/latch.h"
#include "core/window.h"
#include "io/extent.h"
#include "os/time.h"

/* A window's worth of pages, which are taken out together: one barrier, and one scan, is for all of them. */
struct leaving {
	struct evict *ev;
	struct io *io;
	struct stripe *me;
	bool waits, all; /* none has to be tried again */
	struct window w;
	uint32_t page[WINDOW_MAX];
};

/* Of a page that nobody has claimed any more. */
static bool is_busy(const struct victim *v, uint32_t page)
{
	return v->page != page || victim_busy(v);
}

static bool take_out(struct evict *ev, struct stripe *me, const struct victim *v)
{
	epoch_enter(&ev->core->epoch, me);
	latch_changed(ev->core, v->frame);
	bool freed = table_free(&v->entry, entry_word(v->page, ENTRY_CLOSING, v->frame));
	epoch_leave(me);
	if (freed)
		frame_free(ev, v->frame);
	return freed;
}

/*
 * The window's pages are taken out, and what is not its file's is open again.  Some page has to be tried again, if another
 * file's get has tried it by a number that is not its any more.  Were it not waited for, the number might be its file's again when
 * it looks, and the page in its hand none.
 */
static void leave_together(struct leaving *l)
{
	if (l->w.n > 0)
		window_scan(l->ev->core, l->me, &l->w);
	for (unsigned i = 0; i < l->w.n; i++) {
		const struct victim *v = &l->w.victim[i];
		if (!is_busy(v, l->page[i]) && take_out(l->ev, l->me, v))
			continue;
		l->all = false;
		victim_reopen(v);
		victim_release(l->ev->core, v);
	}
	l->w.n = 0;
}

/* Who has tried a page may be stopped just then. */
#define AGAIN_NS 20000u

enum found { FOUND_NOT, FOUND_LOADING, FOUND_CLAIMED, FOUND_OURS };

/* Where is the page?  OURS: its frame, in *f, is claimed by the calling thread. */
static enum found find(struct core *c, struct stripe *me, uint32_t page, uint32_t *f)
{
	struct table_ref at;
	enum found found = FOUND_LOADING;
	epoch_enter(&c->epoch, me);
	uint64_t e = table_find(&c->tables, page, &at);
	*f = entry_who(e);
	if (e == ENTRY_FREE) {
		found = FOUND_NOT;
	} else if (entry_in_memory(e)) {
		struct frame *fr = frame_live(&c->frames, *f);
		found = fr && frame_claim(fr, me->id) ? FOUND_OURS : FOUND_CLAIMED;
	}
	epoch_leave(me);
	return found;
}

/* Have the page in the window, if it is in memory. */
static void leave_page(struct leaving *l, uint32_t page)
{
	struct core *c = l->ev->core;
	uint32_t f;
	enum found found = find(c, l->me, page, &f);
	if (found == FOUND_OURS && window_add(c, &l->w, f))
		l->page[l->w.n - 1] = page;
	else if (found != FOUND_NOT)
		l->all = false;
	/* With nothing claimed. */
	if (l->w.n == WINDOW_MAX || found == FOUND_LOADING || found == FOUND_CLAIMED)
		leave_together(l);
	if (found == FOUND_LOADING && l->waits)
		(void)page_wait(c, l->me, page);
	else if (found == FOUND_CLAIMED && l->waits)
		frame_wait(c, l->me, f, page);
}

static void leave_extent(void *leaving, uint32_t e, uint32_t index)
{
	struct leaving *l = leaving;
	uint32_t pages = pageio_pages(&l->io->file), before = index * EXTENT_PAGES;
	for (uint32_t i = 0; i < EXTENT_PAGES && before + i < pages; i++)
		leave_page(l, e * EXTENT_PAGES + i);
}

static void forget_torn(void *of, uint32_t e, uint32_t index)
{
	struct io *io = of;
	(void)index;
	for (uint32_t i = 0; i < EXTENT_PAGES; i++)
		torn_remove(io->torn, e * EXTENT_PAGES + i);
}

bool leave_file(struct evict *ev, struct io *io, struct stripe *me, bool waits)
{
	struct leaving l;
	l.ev = ev;
	l.io = io;
	l.me = me;
	l.waits = waits;
	l.w.n = 0;
	do {
		l.all = true;
		extent_each(io, leave_extent, &l);
		leave_together(&l);
		if (!l.all && waits)
			time_nap(AGAIN_NS);
	} while (!l.all && waits);
	if (l.all && atomic_load(&io->torn->any))
		extent_each(io, forget_torn, io);
	return l.all;
}
