/*
 * epoch.h - epoch-based reclamation: when may a retired chunk be freed?
 *
 * Owns the epoch, the stamps of retired chunks, and the section word of every stripe.
 * It protects what a thread may read without a pin while another replaces it: a table
 * that has grown or shrunk, and an overflow segment that is freed.  Pages are protected
 * by pins instead: one thread preempted inside a section would hold up the eviction of
 * all pages, and with more threads than cores there always is one.
 *
 * A reader's section costs two plain stores to its own line.  A hit needs none: the
 * memory that it reads is never freed while the pool is open (table.h).
 *
 *   enter  section <-P- epoch; barrier_light    }  pairs with  { withdraw (L), stamp <- epoch,
 *   look                                        }              { epoch + 1 (L); barrier_heavy;
 *   leave  section <-P- 0                       }              { load the section of each stripe that is listed
 *
 * Either the reclaimer sees the section, or the reader no longer finds the
 * chunk.  A section entered at an epoch above the stamp began after the
 * withdrawal.  Sections do not nest, and nobody sleeps in one.
 *
 * A chunk's stamp, and who may change it:
 *
 *   any --who withdraws the chunk, before that--> RETIRING | its stripe's number
 *   RETIRING --the same--> the epoch; or, if its process died, who recovers it
 *
 * A chunk is withdrawn only by the thread that has proved it unused, so by one at a time.
 */
#ifndef MPOOL_EPOCH_H
#define MPOOL_EPOCH_H

#include "core/pin.h"
#include "core/region.h"

#define EPOCH_OUTSIDE  0
#define EPOCH_FIRST    1
#define STAMP_RETIRING ((uint64_t)1 << 63)

struct epoch_state {
	_Atomic uint64_t now;
	_Atomic bool waiting;       /* there may be retired chunks */
	_Atomic uint32_t reclaimer; /* number of the stripe that reclaims + 1; 0: none */
	_Atomic uint64_t stamp[CHUNK_COUNT];
};

struct epoch {
	struct region *region;
	struct pins *pins;
	struct epoch_state *state;
	enum barrier barrier;
};

void epoch_init(struct epoch_state *e);

static inline void epoch_enter(const struct epoch *e, struct stripe *s)
{
	MPOOL_CHECKED(check_look64(&s->section) == EPOCH_OUTSIDE, "an epoch section begins in another", s->id, 0);
	/* Acquire: a section above a stamp began after that withdrawal. */
	uint64_t now = atomic_load_explicit(&e->state->now, memory_order_acquire);
	/* Release: a reclaimer that sees this section sees the end of the last. */
	atomic_store_explicit(&s->section, now, memory_order_release);
	pin_show(e->pins, s, e->barrier); /* pairs with the barrier_heavy before epoch_reclaim and epoch_passed */
}

static inline void epoch_leave(struct stripe *s)
{
	MPOOL_CHECKED(check_look64(&s->section) != EPOCH_OUTSIDE, "an epoch section ends that did not begin", s->id, 0);
	/* Release: the looking is done before the section is seen to end. */
	atomic_store_explicit(&s->section, EPOCH_OUTSIDE, memory_order_release);
}

/* Withdraw chunk `id`, which nobody can reach any more, and free it in time.  In no section. */
void epoch_retire(const struct epoch *e, const struct stripe *me, unsigned id);

/*
 * Free what may be freed.  `before`: the epoch as loaded (epoch_now) before a
 * barrier_heavy that the caller has made since: evictors lend theirs.
 */
uint64_t epoch_now(const struct epoch *e);
void epoch_reclaim(const struct epoch *e, const struct stripe *me, uint64_t before);

/* A stamp for what has just been changed; once it has passed, every section in which the
 * thing may have been seen as it was before is over. */
uint64_t epoch_stamp(const struct epoch *e);
bool epoch_passed(const struct epoch *e, uint64_t stamp);

static inline bool epoch_waiting(const struct epoch *e)
{
	return atomic_load_explicit(&e->state->waiting, memory_order_relaxed);
}

/*
 * Take over from the stripes of a dead process, those for which `dead` is true: the
 * reclaimer's role, and chunks that were about to be stamped.
 */
void epoch_recover(const struct epoch *e, stripe_test *dead, void *of);

#endif
