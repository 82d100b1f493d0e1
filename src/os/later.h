/*
 * later.h - memory that is given back later.
 *
 * Owns nothing.  A fork waits until no transfer is in flight (transfer.h), and may have locked before
 * what free(3) locks: so who has some in flight does not free, but lists what he does not need
 * any more, and who has none frees the list.
 */
#ifndef MPOOL_LATER_H
#define MPOOL_LATER_H

#include <stdatomic.h>
#include <stdlib.h>

/* Such memory; the next is where it begins. */
struct later {
	struct later *next;
};
typedef _Atomic(struct later *) later_list;

static inline void later_free(later_list *list, void *memory)
{
	struct later *l = memory;
	l->next = atomic_load(list);
	/* Release: pairs with later_now.  Nothing is taken off but all at once: no element comes back meanwhile. */
	while (!atomic_compare_exchange_weak(list, &l->next, l))
		;
}

static inline void later_now(later_list *list)
{
	/* Acquire: whoever listed it is done with it. */
	struct later *l = atomic_load(list) ? atomic_exchange(list, NULL) : NULL;
	for (struct later *next; l; l = next) {
		next = l->next;
		free(l);
	}
}

#endif
