/* fork.c - see fork.h. */
#include "api/fork.h"

#include <pthread.h>
#include <stdbool.h>

#include "core/thread.h"
#include "io/extent.h"
#include "os/descriptor.h"
#include "os/mem.h"
#include "os/transfer.h"
#include "share/hand.h"
#include "share/liveness.h"
#include "share/watch.h"

static int error;

static void before_fork(void)
{
	transfer_before_fork(); /* first: nobody who has a transfer in flight waits for what follows */
	extent_lock();
	thread_before_fork();
	watch_before_fork();
	member_before_fork();
	mem_before_fork();
	hand_lock();
	descriptor_before_fork(); /* after it: who holds it lets go of descriptors */
}

static void after_fork(bool child)
{
	descriptor_after_fork();
	hand_unlock();
	mem_after_fork();
	member_after_fork(child);
	watch_after_fork(child);
	thread_after_fork(child);
	extent_unlock();
	if (child)
		hand_after_fork_child();
	transfer_after_fork(child);
}

static void after_fork_parent(void)
{
	after_fork(false);
}

static void after_fork_child(void)
{
	after_fork(true);
}

__attribute__((constructor)) static void register_handlers(void)
{
	error = pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

int fork_error(void)
{
	return error;
}
