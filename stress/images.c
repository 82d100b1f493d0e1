/*
 * images.c - what goes to the file, and comes from it; see run.h.
 *
 * Owns the hooks, and a look at each write that the library makes: the program is linked so that they come here first.
 * A page that is written must be one version of it, whole, and no older one than was written before.  Only one that is
 * changed under a pin alone may be torn, when it is pinned: by a sync that need not write it whole.  With hooks,
 * before_write must have seen each as it is written, in the batch; and some are refused.
 *
 * Where processes are killed they leave pages half changed, and nothing is looked at.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "page.h"
#include "report.h"
#include "run.h"

enum {
	REFUSAL = EPROTO,    /* no system call that the library makes gives it */
	REFUSE_ONE_IN = 256, /* calls of hooks */
	BATCH_MAX = 1024,    /* pages of a batch that are remembered */
};

/* The thread's own. */
static _Thread_local struct worker *self;
static _Thread_local bool may_tear;
static _Thread_local uint64_t random_state;
/* What before_write has seen, and was not written since. */
static _Thread_local struct {
	pgno_t pgno;
	uint64_t hash;
} seen[BATCH_MAX];
static _Thread_local size_t seen_count;
static _Thread_local bool seen_all = true;

void images_thread(struct worker *w)
{
	self = w;
	random_state = w != NULL ? draw_start(~w->name) : 0;
}

void images_may_tear(bool may)
{
	may_tear = may;
}

bool is_refusal(void)
{
	return run.o->hooks && errno == REFUSAL;
}

static void count(enum count what)
{
	if (self != NULL)
		watch_count(self->at, what, 1);
}

/* --- one image ----------------------------------------------------------------- */

/* Of a page as the file has it. */
static void view_image(pgno_t pgno, const void *image, struct page_view *view)
{
	char *page;

	if (!run.o->filter) {
		page_read(image, run.o->page_size, view);
		return;
	}
	page = page_buffer(run.o->page_size);
	memcpy(page, image, run.o->page_size);
	to_memory(file_of(pgno), page_in(pgno), page);
	page_read(page, run.o->page_size, view);
	free(page);
}

/* False: it is torn, as it may be. */
static bool check_image(const char *where, pgno_t pgno, const void *image, bool tear, struct page_view *view)
{
	uint64_t newest;
	bool torn;

	view_image(pgno, image, view);
	torn = view->state == PAGE_DAMAGED || view->state == PAGE_FOREIGN;
	if (pgno >= run.records) {
		fault("%s: page %" PRIu32 " was never made", where, pgno);
		return false;
	}
	/* After the image was made: its version was begun before. */
	newest = atomic_load(&run.record[pgno].version);
	if (torn && tear && !is_latched(pgno))
		return false;
	if (torn || (view->state == PAGE_INTACT && (view->pgno != pgno || view->version > newest)))
		fault_page(where, pgno, newest, view);
	return !torn;
}

/* --- hooks --------------------------------------------------------------------- */

static int refuse(void)
{
	bool refused = self != NULL && self->hired && draw_below(&random_state, REFUSE_ONE_IN) == 0;

	if (refused)
		count(COUNT_HOOKED);
	return refused ? REFUSAL : 0;
}

/* A sync may have left a torn image, of a page that is not latched. */
static int hook_in(void *cookie, pgno_t pgno, void *page)
{
	struct page_view view;

	pgno += ((struct file *)cookie)->first;
	check_image("brought in", pgno, page, true, &view);
	return refuse();
}

static int hook_out(void *cookie, pgno_t pgno, void *page)
{
	struct page_view view;

	pgno += ((struct file *)cookie)->first;
	check_image("to be written", pgno, page, may_tear, &view);
	return refuse();
}

static int hook_before_write(void *cookie, const pgno_t *pgnos, void *const *pages, size_t n)
{
	const struct file *f = cookie;
	int refused = refuse();

	seen_all = n <= BATCH_MAX;
	seen_count = refused != 0 ? 0 : seen_all ? n : BATCH_MAX;
	for (size_t i = 0; i < seen_count; i++) {
		seen[i].pgno = f->first + pgnos[i];
		seen[i].hash = page_hash(pages[i], run.o->page_size);
	}
	return refused;
}

const struct mpool_hooks image_hooks = {.in = hook_in, .out = hook_out, .before_write = hook_before_write};

static size_t seen_at(pgno_t pgno)
{
	size_t i = 0;

	while (i < seen_count && seen[i].pgno != pgno)
		i++;
	return i;
}

/* --- writes -------------------------------------------------------------------- */

static void look_at_page(pgno_t pgno, const char *image)
{
	struct record *r = &run.record[pgno];
	struct page_view view;
	size_t i = seen_at(pgno);

	count(COUNT_IMAGES);
	if (!check_image("written", pgno, image, may_tear, &view))
		count(COUNT_TORN);
	else if (view.state == PAGE_INTACT && view.version < atomic_load_explicit(&r->image, memory_order_relaxed))
		fault_page("written after a newer version", pgno, atomic_load_explicit(&r->image, memory_order_relaxed),
		           &view);
	else if (view.state == PAGE_INTACT)
		atomic_store_explicit(&r->image, view.version, memory_order_relaxed);
	if (run.o->hooks && (i < seen_count || seen_all) &&
	    (i == seen_count || seen[i].hash != page_hash(image, run.o->page_size)))
		fault("page %" PRIu32 " is written, and before_write has not seen it so", pgno);
}

/* What a write that came short has left of a page was looked at before. */
static size_t rest_of_page(off_t at)
{
	size_t size = run.o->page_size, in = (size_t)at % size;

	return in == 0 ? 0 : size - in;
}

static void look_at_write(const struct file *f, const char *bytes, size_t n, off_t at)
{
	size_t size = run.o->page_size;

	for (size_t i = rest_of_page(at); i + size <= n && !faults_too_many(); i += size)
		look_at_page(f->first + (pgno_t)(((size_t)at + i) / size), bytes + i);
}

/* Each is to be announced anew before it is written again. */
static void was_written(const struct file *f, size_t n, off_t at)
{
	size_t size = run.o->page_size, place;

	for (size_t i = rest_of_page(at); i + size <= n; i += size) {
		place = seen_at(f->first + (pgno_t)(((size_t)at + i) / size));
		if (place < seen_count)
			seen[place].pgno = NO_PAGE;
	}
}

#define WRAP(name)                                                            \
	ssize_t __real_##name(int fd, const void *bytes, size_t n, off_t at); \
	ssize_t __wrap_##name(int fd, const void *bytes, size_t n, off_t at); \
	ssize_t __wrap_##name(int fd, const void *bytes, size_t n, off_t at)  \
	{                                                                     \
		bool look = run.pool != NULL && !run.killing;                 \
		const struct file *f = look ? file_written(fd) : NULL;        \
		ssize_t done;                                                 \
                                                                              \
		if (f != NULL)                                                \
			look_at_write(f, bytes, n, at);                       \
		done = __real_##name(fd, bytes, n, at);                       \
		if (f != NULL && done > 0)                                    \
			was_written(f, (size_t)done, at);                     \
		return done;                                                  \
	}

/* By which name the library calls it is up to the offsets that it is compiled for. */
WRAP(pwrite)
WRAP(pwrite64)
