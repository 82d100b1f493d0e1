/* wait.c - see wait.h. */
#include "wait.h"

#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

uint32_t wait_begin(struct wait_queue *q)
{
	/* Sequentially consistent: pairs with the load of waiters in wait_tell. */
	atomic_fetch_add(&q->waiters, 1);
	return atomic_load(&q->count);
}

void wait_cancel(struct wait_queue *q)
{
	atomic_fetch_sub(&q->waiters, 1);
}

void wait_sleep(struct wait_queue *q, uint32_t count)
{
	/* Returns at once if an event was told since wait_begin; the caller looks
	 * again however it returns, so a signal or a stray wake does no harm. */
	syscall(SYS_futex, &q->count, FUTEX_WAIT_PRIVATE, count, NULL, NULL, 0);
	wait_cancel(q);
}

void wait_tell(struct wait_queue *q)
{
	/* The change before this call was a locked operation, so this load cannot
	 * pass it: a waiter not seen here sees the change in its second look. */
	if (atomic_load(&q->waiters) == 0)
		return;
	atomic_fetch_add(&q->count, 1);
	syscall(SYS_futex, &q->count, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
