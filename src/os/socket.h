/*
 * socket.h - messages with descriptors, between processes of one user.
 *
 * Owns nothing.  A socket has a path, or is one of a pair.  Nothing here waits but
 * socket_await: a message that cannot be sent, or received, at once is not.
 */
#ifndef MPOOL_SOCKET_H
#define MPOOL_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

/* A path may have so many bytes, its end included. */
#define SOCKET_PATH_MAX sizeof((struct sockaddr_un *)0)->sun_path
/* ... and a message so many descriptors. */
#define SOCKET_DESCRIPTORS_MAX 3u

/* One for datagrams.  -1 and errno. */
int socket_open(void);
/* Two that are connected, for messages one after the other. */
bool socket_pair(int pair[2]);
/* Give it a path, for the user alone.  False and errno, EADDRINUSE: that is another's. */
bool socket_bind(int socket, const char *path);
/* Is the path one of a socket that nobody has open any more?  `from` is used to ask. */
bool socket_is_left(int from, const char *path);

/* A message of n bytes, to the socket of that path; NULL: to the other of the pair.  False: it was not sent. */
bool socket_send(int socket, const char *to, void *bytes, size_t n, const int *fds, unsigned count);
/* A message of n bytes, and the descriptors that are with it, none of a standard number.  False: there is none, or it is no such. */
bool socket_receive(int socket, void *bytes, size_t n, int *fds, unsigned *count);
/* Wait so long for a message.  1: there is one; 0: not yet; -1: there never will be. */
int socket_await(int socket, int ms);

#endif
