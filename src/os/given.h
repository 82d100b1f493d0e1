/*
 * given.h - functions that a program gives: a structure of them, perhaps of another version of mpool.h; and what they say.
 *
 * Owns nothing.
 */
#ifndef MPOOL_GIVEN_H
#define MPOOL_GIVEN_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* *known becomes what was given, `size` bytes; what that has not of `most` bytes is NULL.  0, or EINVAL, and it is not changed. */
static inline int given_take(void *known, size_t most, const void *given, size_t size)
{
	const char *bytes = given;
	/* All members are pointers, in any version. */
	if (size % sizeof(void *) != 0)
		return EINVAL;
	/* Of a later version: what is not known here must not be asked for. */
	for (size_t i = most; i < size; i++)
		if (bytes[i])
			return EINVAL;
	memset(known, 0, most);
	memcpy(known, given, size < most ? size : most);
	return 0;
}

/* The system's errnos are up to this; a program's -1, say, is none. */
#define ERRNO_MOST 4095

/* What a function has said went wrong, or that nothing did. */
static inline int given_errno(int said)
{
	return said >= 0 && said <= ERRNO_MOST ? said : EIO;
}

#endif
