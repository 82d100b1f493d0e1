/* wait.c - see wait.h. */
#include "os/wait.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WAITING_MIXED ((uint64_t)1 << 34)
#define WAITING_ANY   ((uint64_t)1 << 35)
#define WAITING_WHAT  (WAITING_MIXED - 1)

#define MS_PER_S  1000u
#define NS_PER_MS 1000000L
#define NS_PER_S  1000000000u

uint32_t wait_prepare(struct wait_queue *q, uint64_t what)
{
	/* The count first: a thread that clears our announcement (wake) raises it after that. */
	uint32_t count = atomic_load(&q->count);
	uint64_t w = atomic_load(&q->waiting), more;
	do {
		more = w == 0 ? what : w;
		if ((more & WAITING_WHAT) != what)
			more |= WAITING_MIXED;
		/* Sequentially consistent: pairs with the load of waiting in wait_notify. */
	} while (!atomic_compare_exchange_weak(&q->waiting, &w, more | WAITING_ANY));
	return count;
}

/* Where long is of 32 bits, the call by this name has times of 32 bits too, and the C library perhaps not. */
#ifdef SYS_futex_time64
#define FUTEX_CALL (sizeof(time_t) > sizeof(long) ? SYS_futex_time64 : SYS_futex)
#else
#define FUTEX_CALL SYS_futex
#endif

static long futex(const struct wait_state *w, struct wait_queue *q, int op, uint32_t value,
                  const struct timespec *limit)
{
	return syscall(FUTEX_CALL, &q->count, w->shared ? op : op | FUTEX_PRIVATE_FLAG, value, limit, NULL, 0);
}

bool wait_sleep_ns(const struct wait_state *w, struct wait_queue *q, uint32_t count, uint64_t timeout_ns)
{
	struct timespec limit = {(time_t)(timeout_ns / NS_PER_S), (long)(timeout_ns % NS_PER_S)};
	return futex(w, q, FUTEX_WAIT, count, &limit) == 0 || errno != ETIMEDOUT;
}

bool wait_sleep(const struct wait_state *w, struct wait_queue *q, uint32_t count, unsigned timeout_ms)
{
	struct timespec limit = {timeout_ms / MS_PER_S, (long)(timeout_ms % MS_PER_S) * NS_PER_MS};
	/* Returns at once if an event came since wait_prepare; the caller checks
	 * again however it returns, so a signal or a stray wake does no harm. */
	return futex(w, q, FUTEX_WAIT, count, timeout_ms == WAIT_FOR_EVER ? NULL : &limit) == 0 || errno != ETIMEDOUT;
}

static void wake(const struct wait_state *w, struct wait_queue *q)
{
	/* Before the count: an announcement that this clears was made, like the
	 * load of the count before it, while the count was lower (wait_prepare). */
	atomic_store(&q->waiting, 0);
	atomic_fetch_add(&q->count, 1);
	futex(w, q, FUTEX_WAKE, INT_MAX, NULL);
}

void wait_notify(struct wait_state *w, uint64_t what)
{
	struct wait_queue *q = wait_queue_of(w, what);
	/* The change before this call was a locked operation, so this load cannot
	 * pass it: a waiter not seen here sees the change when it checks again. */
	uint64_t waiting = atomic_load(&q->waiting);
	if (waiting != 0 && ((waiting & WAITING_MIXED) || (waiting & WAITING_WHAT) == what))
		wake(w, q);
}

void wait_wake_all(struct wait_state *w)
{
	for (unsigned i = 0; i < WAIT_QUEUES; i++)
		wake(w, &w->queue[i]);
}

void wait_notify_all(struct wait_state *w)
{
	for (unsigned i = 0; i < WAIT_QUEUES; i++)
		/* As above. */
		if (atomic_load(&w->queue[i].waiting) != 0)
			wake(w, &w->queue[i]);
}
