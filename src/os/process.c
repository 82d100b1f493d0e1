/* process.c - see process.h. */
#include "os/process.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* It needs little, and a program may have all memory locked. */
#define STACK_BYTES ((size_t)256 << 10)

pid_t process_id(void)
{
	return getpid();
}

unsigned process_user(void)
{
	return geteuid();
}

uint64_t process_file_max(void)
{
	struct rlimit l;
	return getrlimit(RLIMIT_FSIZE, &l) == 0 && l.rlim_cur != RLIM_INFINITY ? l.rlim_cur : (uint64_t)INT64_MAX;
}

pid_t process_thread(void)
{
	return (pid_t)syscall(SYS_gettid);
}

bool process_thread_gone(pid_t thread)
{
	return syscall(SYS_tgkill, getpid(), thread, 0) != 0 && errno == ESRCH;
}

bool process_thread_begin(pthread_t *thread, bool small, void *(*run)(void *), void *of)
{
	sigset_t all, before;
	pthread_attr_t attr;
	if (pthread_attr_init(&attr) != 0)
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = small ? pthread_attr_setstacksize(&attr, STACK_BYTES) : EINVAL;
	if (!error)
		error = pthread_create(thread, &attr, run, of);
	/* The program's thread-local variables, which are on a thread's stack, may be larger. */
	if (error == EINVAL)
		error = pthread_create(thread, NULL, run, of);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return error == 0;
}

void process_thread_end(pthread_t thread)
{
	pthread_join(thread, NULL);
}
