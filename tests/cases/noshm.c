/*
 * noshm - there is no /dev/shm: shared pools are not supported there.  It is not said
 * that there is no such file, which the pool's might be taken for; private ones work.
 */
#include <sched.h>
#include <sys/mount.h>

#include "case.h"

enum { PAGE = 4096 };

int main(void)
{
	int file = case_file(4 * PAGE);
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("none", "/dev", "tmpfs", 0, "size=64k") != 0)
		SKIP("no mount namespace of one's own");
	MPOOL *mp = mpool_open(case_key(), file, PAGE, 4);
	RIGHT(!mp && errno == ENOTSUP, "a shared pool: %s", mp ? "is there" : strerror(errno));
	mp = mpool_open(NULL, file, PAGE, 4);
	RIGHT(mp, "a private pool: %s", strerror(errno));
	mpool_close(mp);
	return 0;
}
