/* barrier.c - see barrier.h. */
#include "os/barrier.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

static long membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

bool barrier_available(enum barrier kind)
{
	/* Within the process it is wanted in any case (pin_lock_puts). */
	return kind != BARRIER_FENCE && membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0 &&
	       (kind == BARRIER_PROCESS || membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) == 0);
}

void barrier_heavy(enum barrier kind)
{
	/*
	 * The call also orders this thread.  It cannot fail once registered; were
	 * it refused later (a filter on system calls installed in between), going
	 * on would lose pages, so that is the end of the process.
	 */
	if (kind == BARRIER_FENCE)
		ck_pr_fence_memory();
	else if (membarrier(kind == BARRIER_PROCESS ? MEMBARRIER_CMD_PRIVATE_EXPEDITED
	                                            : MEMBARRIER_CMD_GLOBAL_EXPEDITED) != 0)
		__builtin_trap();
	atomic_signal_fence(memory_order_seq_cst);
}
