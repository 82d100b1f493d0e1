/* abandoned.c - mpool_abandoned: did a process die that had the page pinned? */
#include <errno.h>

#include "api/call.h"

/* Returns the pinned frame's word as it was.  The word before the list: torn.h. */
static uint32_t forgive(MPOOL *mp, struct frame *fr)
{
	uint32_t word = frame_forgive(fr);
	torn_remove(mp->io.torn, atomic_load_explicit(&fr->page, memory_order_relaxed));
	return word;
}

PUBLIC int mpool_abandoned(MPOOL *mp, void *pgaddr, unsigned int flags)
{
	mp = handle_pool(mp);
	CALL(mp, a);
	if (!a)
		return -1;
	epoch_enter(&mp->core.epoch, a->stripe);
	uint32_t f = frame_at(&mp->core.frames, pgaddr);
	struct frame *fr = f == FRAME_NONE ? NULL : frame_live(&mp->core.frames, f);
	bool pinned = fr && (thread_slot_of(a, f) || pin_find(&mp->core.pins, f));
	uint32_t word = !pinned ? 0 : flags & MPOOL_FORGIVE ? forgive(mp, fr) : atomic_load(&fr->word);
	epoch_leave(a->stripe);
	if (pinned)
		return (word & FRAME_ABANDONED) != 0;
	errno = EINVAL;
	return -1;
}
