/* socket.c - see socket.h. */
#include "os/socket.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/descriptor.h"

/* Of who may enter the directory it is in. */
#define SOCKET_MODE 0600

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int) * SOCKET_DESCRIPTORS_MAX)];
};

int socket_open(void)
{
	return descriptor_apart(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

bool socket_pair(int pair[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0;
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	memcpy(a.sun_path, path, strnlen(path, sizeof a.sun_path - 1));
	return a;
}

bool socket_bind(int socket, const char *path)
{
	struct sockaddr_un a = address(path);
	return bind(socket, (struct sockaddr *)&a, sizeof a) == 0 && chmod(path, SOCKET_MODE) == 0;
}

bool socket_is_left(int from, const char *path)
{
	struct sockaddr_un a = address(path);
	return connect(from, (struct sockaddr *)&a, sizeof a) != 0 && errno == ECONNREFUSED;
}

bool socket_send(int socket, const char *to, void *bytes, size_t n, const int *fds, unsigned count)
{
	struct sockaddr_un a = address(to ? to : "");
	union control c = {0};
	struct iovec iov = {bytes, n};
	struct msghdr m = {.msg_name = to ? &a : NULL,
	                   .msg_namelen = to ? sizeof a : 0,
	                   .msg_iov = &iov,
	                   .msg_iovlen = 1,
	                   .msg_control = &c,
	                   .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
	c.header = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(sizeof(int) * count), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&c.header), fds, sizeof(int) * count);
	return sendmsg(socket, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n;
}

bool socket_receive(int socket, void *bytes, size_t n, int *fds, unsigned *count)
{
	union control c;
	struct iovec iov = {bytes, n};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
	struct low low;
	descriptor_take_low(&low);
	ssize_t got = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	descriptor_give_low(&low);
	*count = 0;
	for (struct cmsghdr *h = got < 0 ? NULL : CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h))
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
			*count = (unsigned)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(fds, CMSG_DATA(h), sizeof(int) * *count);
		}
	return got == (ssize_t)n && !(m.msg_flags & MSG_CTRUNC);
}

int socket_await(int socket, int ms)
{
	struct pollfd p = {.fd = socket, .events = POLLIN};
	if (poll(&p, 1, ms) <= 0)
		return 0;
	return p.revents & POLLIN ? 1 : -1;
}
