/* wait.c - see wait.h. */
#include "wait.h"

#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WAITING_MIXED ((uint64_t)1 << 33)
#define WAITING_ONE   ((uint64_t)1 << 34)
#define WAITING_WHAT  (WAITING_MIXED - 1)

uint32_t wait_begin(struct wait_queue *q, uint64_t what)
{
	uint64_t w = atomic_load(&q->waiting), more;
	do {
		more = w == 0 ? what : w;
		if ((more & WAITING_WHAT) != what)
			more |= WAITING_MIXED;
		/* Sequentially consistent: pairs with the load of waiting in wait_tell. */
	} while (!atomic_compare_exchange_weak(&q->waiting, &w, more + WAITING_ONE));
	return atomic_load(&q->count);
}

void wait_cancel(struct wait_queue *q)
{
	uint64_t w = atomic_load(&q->waiting), less;
	do
		less = w - WAITING_ONE < WAITING_ONE ? 0 : w - WAITING_ONE;
	while (!atomic_compare_exchange_weak(&q->waiting, &w, less));
}

void wait_sleep(struct wait_queue *q, uint32_t count)
{
	/* Returns at once if an event was told since wait_begin; the caller looks
	 * again however it returns, so a signal or a stray wake does no harm. */
	syscall(SYS_futex, &q->count, FUTEX_WAIT_PRIVATE, count, NULL, NULL, 0);
	wait_cancel(q);
}

static void wake(struct wait_queue *q)
{
	atomic_fetch_add(&q->count, 1);
	syscall(SYS_futex, &q->count, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void wait_tell(struct wait_state *w, uint64_t what)
{
	struct wait_queue *q = wait_queue_of(w, what);
	/* The change before this call was a locked operation, so this load cannot
	 * pass it: a waiter not seen here sees the change in its second look. */
	uint64_t waiting = atomic_load(&q->waiting);
	if (waiting != 0 && ((waiting & WAITING_MIXED) || (waiting & WAITING_WHAT) == what))
		wake(q);
}

void wait_tell_all(struct wait_state *w)
{
	for (unsigned i = 0; i < WAIT_QUEUES; i++)
		/* As above. */
		if (atomic_load(&w->queue[i].waiting) != 0)
			wake(&w->queue[i]);
}
