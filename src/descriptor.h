/*
 * descriptor.h - descriptors of the library's own.
 *
 * Owns nothing.  A program may run with its standard input, output or error closed.
 * What it prints all the same must not end up in a pool's object or file: so none of
 * those that are kept has one of their numbers.
 */
#ifndef MPOOL_DESCRIPTOR_H
#define MPOOL_DESCRIPTOR_H

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* What was just opened, above the standard ones.  -1 and errno, as they were, or of the moving. */
static inline int descriptor_apart(int fd)
{
	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	int apart = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), error = errno;
	close(fd);
	/* EINVAL: the limit is so low that there can be none above. */
	errno = error == EINVAL ? EMFILE : error;
	return apart;
}

#endif
