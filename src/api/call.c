/* call.c - see call.h. */
#include "api/call.h"

#include <errno.h>
#include <stdlib.h>

#include "api/failed.h"
#include "io/engine.h"
#include "share/files.h"
#include "share/recover.h"

void call_forked(MPOOL *mp)
{
	cleaner_forked(&mp->cleaners);
	engine_forked(&mp->io);
	/* Their locks may be held by threads that are not here: they are not destroyed. */
	free(atomic_exchange(&mp->prefetch, NULL));
	failed_forked(mp);
	later_now(&mp->later);
}

/* In the child of a fork: the pool was the parent's.  False: it cannot be this process's. */
static bool adopt(MPOOL *mp)
{
	const struct attachment *forked;
	bool first = thread_adopt_begin(&mp->core, &forked);
	/* The thread that forked was in a call on it, in a filter: nobody can end that. */
	bool can = first && !region_shared(&mp->core.region) && !atomic_load(&mp->io.stores) &&
	           !(forked && atomic_load(&forked->stripe->busy) == BUSY_IN_CALL);
	if (can) {
		/* The threads and rings are the parent's; what they were loading is ended as what any thread was. */
		call_forked(mp);
		hooks_forked(&mp->io.file.hooks);
		recover_fork(&mp->sharing, forked);
	}
	thread_adopt_end(&mp->core, can);
	if (can)
		cleaner_again(&mp->cleaners);
	if (first && !can)
		errno = EBADF;
	return can || !first;
}

struct attachment *call_begin_on(MPOOL *mp, const struct io *io)
{
	/* The pool's own first: it says whose the pool is. */
	struct attachment *a = call_begin(mp);
	if (!a || io == &mp->io || pageio_agrees(&io->file))
		return a;
	thread_leave(a);
	errno = ENOTSUP;
	return NULL;
}

struct attachment *call_begin(MPOOL *mp)
{
	uintptr_t stack = (uintptr_t)__builtin_frame_address(0);
	if (thread_is_parents(&mp->core) && !adopt(mp))
		return NULL;
	if (!pageio_agrees(&mp->io.file)) {
		errno = ENOTSUP;
		return NULL;
	}
	if (unlikely(core_untold(&mp->core))) {
		/* Peeks before hits, for who has been told is asked no more. */
		peek_slowly(mp);
		core_told(&mp->core);
	}
	return thread_enter(&mp->core, stack);
}

void call_left(struct attachment *a)
{
	MPOOL *mp = pool_of(a->core);
	if (thread_filtering.of != &mp->io.file.hooks)
		return; /* another pool's, whose filter has called this one */
	thread_filtering.of = NULL;
	recover_call(&mp->sharing, a->stripe);
}

/* ---- the core's calls upwards ------------------------------------------- */

static bool overdue(struct core *c)
{
	return recover_dead(&pool_of(c)->sharing);
}

static void left(struct core *c, struct stripe *s)
{
	recover_call(&pool_of(c)->sharing, s);
}

static bool wanted(struct core *c, struct stripe *me)
{
	return files_wanted(&pool_of(c)->sharing, me);
}

const struct core_above call_above = {overdue, left, wanted};
