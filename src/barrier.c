/* barrier.c - see barrier.h. */
#include "barrier.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

static long membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

bool barrier_available(void)
{
	return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

void barrier_heavy(bool fenced)
{
	/*
	 * The call also orders this thread.  It cannot fail once registered; were
	 * it refused later (a filter on system calls installed in between), going
	 * on would lose pages, so that is the end of the process.
	 */
	if (fenced)
		ck_pr_fence_memory();
	else if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0)
		__builtin_trap();
	atomic_signal_fence(memory_order_seq_cst);
}
