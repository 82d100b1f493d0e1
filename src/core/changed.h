/*
 * changed.h - where frames are whose pages are modified, being written, or written and not flushed.
 *
 * Owns a bit for each line of frames' words (eight frames): some of them may have dirty, writing or
 * unsynced on.  So a sync looks at what is changed, and not at all that is in memory; of a million
 * frames the bits are 16 KiB, and to look at a line of words is no more than to look at one.
 *
 * Dirty comes first in a frame's life: writing and unsynced take its place in one step each, or
 * stand beside it.  So it is enough that who makes a word dirty sees to the bit:
 *
 *   put      dirty on, or found on; then the bit loaded; off: on (L)        }  pairs with
 *   sweep    bit off (L); then the words loaded again; changed: on (L)      }
 *
 * One of the two sees the other.  The put looks also when it finds the word dirty already: who made it so
 * may not have come to the bit yet, and this put may be before a sync that will not find it.
 *
 * Bits go off in a sweep alone, which is made by who has the turn to flush, or nobody.
 * While it looks again, a bit may be off though a word is dirty.  So it says where it sweeps (a count, and the
 * first of the frames whose bits are in one word), and who looks for changed frames meanwhile looks at all words there:
 *
 *   sweep    sweeping <- here; bit off; words; bit on; sweeping <- nowhere   }  pairs with
 *   look     sweeping loaded; bits; sweeping loaded: the same, and not here  }
 *
 * Who dies in a put has the page pinned, or latched, or is in a call; who dies in a sweep has the turn.  Who recovers
 * sets the bits that they may not have come to.
 */
#ifndef MPOOL_CHANGED_H
#define MPOOL_CHANGED_H

#include "core/frame.h"

#define FRAME_CHANGED   (FRAME_DIRTY | FRAME_WRITING | FRAME_UNSYNCED_ANY)
#define CHANGED_BITS    64u                              /* of a word */
#define CHANGED_STRETCH (CHANGED_BITS * FRAMES_PER_LINE) /* frames to such a word */

/* Is the bit on, of frame number `i` of the segment whose bits these are? */
static inline bool changed_bit(const _Atomic uint64_t *bits, uint64_t i)
{
	/* Sequentially consistent, after the frame's word was stored or loaded: pairs with a sweep. */
	return atomic_load(&bits[i / CHANGED_STRETCH]) >> i / FRAMES_PER_LINE % CHANGED_BITS & 1;
}

/* The frame is dirty: see to its bit. */
static inline void changed_note(_Atomic uint64_t *bits, uint64_t i)
{
	if (unlikely(!changed_bit(bits, i)))
		atomic_fetch_or(&bits[i / CHANGED_STRETCH], (uint64_t)1 << i / FRAMES_PER_LINE % CHANGED_BITS);
}

/*
 * A put's mark.  The caller's pin keeps the page; should it be somebody else's,
 * and put meanwhile, a frame that is free by now must stay so.
 */
static inline void frame_mark_dirty(struct frame *fr)
{
	/* Sequentially consistent, as the rescue before it was: who takes the mark off
	 * for a copy looks for a rescue afterwards (writeback_copy_unpinned), so that either we
	 * find it off, or the copy is thrown away. */
	uint32_t w = atomic_load(&fr->word);
	while ((w & FRAME_USED) && !(w & FRAME_DIRTY))
		if (frame_step(fr, &w, w | FRAME_DIRTY))
			return;
}

static inline void frame_set_dirty_base(const struct frames *fs, uint64_t f)
{
	frame_mark_dirty(&fs->base.frame[f]);
	changed_note(fs->base.changed_bits, f);
}
void frame_set_dirty(const struct frames *fs, uint32_t f);

/* Call `see` for every frame whose word may have one of FRAME_CHANGED.  In an epoch section. */
void changed_each(const struct frames *fs, frame_seen *see, void *to);
/* The same, with the turn to flush; and afterwards the bits are off of those that have none. */
void changed_sweep(const struct frames *fs, frame_seen *see, void *to);

/* Is the frame's bit on, if its word has one of them? */
bool changed_told(const struct frames *fs, uint32_t f);
/* See to the bit of a frame for who has made it dirty: he may be gone, or not have come to it.  In an epoch section, or claimed. */
void changed_see_to(const struct frames *fs, uint32_t f);
/* ... and whoever may have swept. */
void changed_recover_sweep(const struct frames *fs);

#endif
