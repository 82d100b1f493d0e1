/*
 * place.c - see place.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TEXT_BYTES = 64 };

static bool own;

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		close(fd);
	return done;
}

static bool map_to_itself(const char *path, unsigned id)
{
	char text[TEXT_BYTES];
	snprintf(text, sizeof text, "%u %u 1", id, id);
	return write_file(path, text);
}

/* Whoever makes a user namespace has every right in it, also to his own files, whatever their modes: not here. */
static bool keep_the_right_to_mount(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
	data[0].effective = data[0].permitted = 1u << CAP_SYS_ADMIN;
	return syscall(SYS_capset, &header, data) == 0;
}

static bool enter_namespaces(void)
{
	unsigned user = geteuid(), group = getegid();
	if (unshare(CLONE_NEWNS) == 0)
		return true;
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_file("/proc/self/setgroups", "deny") &&
	       map_to_itself("/proc/self/uid_map", user) && map_to_itself("/proc/self/gid_map", group) &&
	       keep_the_right_to_mount();
}

static bool take(const char *size)
{
	char options[TEXT_BYTES];
	snprintf(options, sizeof options, "mode=1777%s%s", size != NULL ? ",size=" : "", size != NULL ? size : "");
	return enter_namespaces() && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", "/dev/shm", "tmpfs", 0, options) == 0;
}

/* There is no way back from a half of it, so a child goes first. */
static bool would_work(const char *size)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0)
		_exit(take(size) ? 0 : 1);
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool place_own(const char *size)
{
	if (!would_work(size) || !take(size))
		return false;
	own = true;
	return true;
}

bool place_is_own(void)
{
	return own;
}
