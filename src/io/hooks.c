/* hooks.c - see hooks.h. */
#include "io/hooks.h"

#include <errno.h>
#include <string.h>

#include "core/thread.h"
#include "os/given.h"

/* ---- which there are ---------------------------------------------------- */

void hooks_set_filters(struct hooks *h, mpool_filter_t *pgin, mpool_filter_t *pgout, void *cookie)
{
	h->pgin = pgin;
	h->pgout = pgout;
	h->cookie = cookie;
}

int hooks_set(struct hooks *h, const struct mpool_hooks *own, size_t size)
{
	struct mpool_hooks known = {0};
	int error = own ? given_take(&known, sizeof known, own, size) : 0;
	if (error)
		return error;
	h->own = known;
	/* Before a page of it is modified.  It stays, for other files may have some. */
	if (h->pool != h && (known.out || known.before_write))
		atomic_store(&h->pool->others, true);
	return 0;
}

uint32_t hooks_form(const struct hooks *h)
{
	return (h->pgin || h->pgout ? FORM_FILTERED : FORM_PLAIN) | (h->own.in ? FORM_IN : 0) |
	       (h->own.out ? FORM_OUT : 0) | (h->own.before_write ? FORM_BEFORE_WRITE : 0);
}

void hooks_forked(struct hooks *h)
{
	atomic_store(&h->inside, 0);
}

/* ---- the calls ---------------------------------------------------------- */

/* In the caller's frame: what is called from there is further down the stack. */
__attribute__((always_inline)) static inline struct filtering begin(const struct hooks *h)
{
	struct filtering before = thread_filtering;
	thread_filtering = (struct filtering){h->pool, (uintptr_t)__builtin_frame_address(0)};
	return before;
}

static void filter(const struct hooks *h, mpool_filter_t *by, uint32_t page, void *bytes)
{
	struct filtering before = begin(h);
	by(h->cookie, page, bytes);
	thread_filtering = before;
}

static int hook(const struct hooks *h, int (*by)(void *, pgno_t, void *), uint32_t page, void *bytes)
{
	struct filtering before = begin(h);
	int error = by(h->own.cookie, page, bytes);
	thread_filtering = before;
	return given_errno(error);
}

int hooks_in(const struct hooks *h, uint32_t page, void *bytes)
{
	int error = h->own.in ? hook(h, h->own.in, page, bytes) : 0;
	if (!error && h->pgin)
		filter(h, h->pgin, page, bytes);
	return error;
}

/* Also when the hook does not return; after a longjmp it is one too many, and clean pages go before modified ones. */
static void is_out(_Atomic uint32_t *const *inside)
{
	atomic_fetch_sub_explicit(*inside, 1, memory_order_relaxed);
}
#define INSIDE(h)                                                                                     \
	__attribute__((cleanup(is_out), unused)) _Atomic uint32_t *const inside = &(h)->pool->inside; \
	atomic_fetch_add_explicit(inside, 1, memory_order_relaxed)

static int hook_out(struct hooks *h, uint32_t page, void *copy)
{
	INSIDE(h);
	return hook(h, h->own.out, page, copy);
}

int hooks_out(struct hooks *h, uint32_t page, void *copy)
{
	if (h->pgout)
		filter(h, h->pgout, page, copy);
	return h->own.out ? hook_out(h, page, copy) : 0;
}

int hooks_before_write(struct hooks *h, const pgno_t *page, void *const *copy, size_t n)
{
	INSIDE(h);
	struct filtering before = begin(h);
	int error = h->own.before_write(h->own.cookie, page, copy, n);
	thread_filtering = before;
	return given_errno(error);
}
