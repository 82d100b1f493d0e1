/*
 * memlock - a program that has all its memory locked, and may lock only so much: a
 * shared pool is there and works, or cannot be had for lack of memory; it is not said
 * that too many processes share it.
 */
#include <linux/capability.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "case.h"

enum { PAGE = 4096 };

/* Whoever may do it anyway is no case. */
static bool may_lock_no_more(rlim_t bytes)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	struct rlimit limit = {bytes, bytes};
	if (syscall(SYS_capget, &header, data) != 0)
		return false;
	data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &= ~CAP_TO_MASK(CAP_IPC_LOCK);
	data[CAP_TO_INDEX(CAP_IPC_LOCK)].permitted &= ~CAP_TO_MASK(CAP_IPC_LOCK);
	return syscall(SYS_capset, &header, data) == 0 && setrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
	       mlockall(MCL_FUTURE) == 0;
}

static void works_or_no_memory(const char *what, char *key, int file, rlim_t mb)
{
	errno = 0;
	MPOOL *mp = mpool_open(key, file, PAGE, 100);
	int error = errno;
	RIGHT(mp || error == ENOMEM, "%s, %lu MiB to be locked: %s", what, (unsigned long)mb, strerror(error));
	if (!mp)
		return;
	void *page = mpool_get(mp, 1, 0);
	RIGHT(page || errno == ENOMEM, "%s, a page of it: %s", what, strerror(errno));
	if (page)
		mpool_put(mp, page, 0);
	mpool_close(mp);
}

int main(void)
{
	static const rlim_t mbs[] = {1, 8, 16, 32, 33, 40, 64, 128, 100000};
	struct rlimit most;
	int file = case_file(4 * PAGE), status;
	char own[96];
	case_key();
	MPOOL *mp = mpool_open(case_key(), file, PAGE, 100);
	MUST(mp);
	snprintf(own, sizeof own, "%s.own", case_key());
	MUST(getrlimit(RLIMIT_MEMLOCK, &most) == 0);
	for (unsigned i = 0; i < sizeof mbs / sizeof *mbs && mbs[i] << 20 <= most.rlim_max; i++) {
		pid_t pid = fork();
		MUST(pid >= 0);
		if (pid == 0) {
			if (!may_lock_no_more(mbs[i] << 20))
				_exit(CASE_SKIPPED);
			works_or_no_memory("a pool made", own, file, mbs[i]);
			works_or_no_memory("a pool joined", case_key(), file, mbs[i]);
			_exit(0);
		}
		MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
		if (WEXITSTATUS(status))
			return WEXITSTATUS(status);
	}
	struct mpool_stats st;
	MUST(mpool_stats(mp, &st, sizeof st) == 0);
	RIGHT(st.processes == 1 && st.deaths == 0, "%lu processes, %lu deaths", (unsigned long)st.processes,
		(unsigned long)st.deaths);
	mpool_close(mp);
	return 0;
}
