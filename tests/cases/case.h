/*
 * case.h - what the cases have in common.
 *
 * A case is a small program that puts the library into a situation that users of
 * page caches have met, and says whether what comes of it is right.  It ends with 0
 * (right), 1 (wrong, and a sentence that says what was seen), 2 (it could not be set
 * up) or 77 (it cannot be tried here: skipped).
 */
#ifndef MPOOL_CASE_H
#define MPOOL_CASE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpool.h>

enum { CASE_WRONG = 1, CASE_BROKEN = 2, CASE_SKIPPED = 77 };

/* A step of the set-up. */
#define MUST(step)                                                                                                     \
	do {                                                                                                           \
		if (!(step)) {                                                                                         \
			fprintf(stderr, "%s:%d: set-up failed: %s: %s\n", __FILE__, __LINE__, #step, strerror(errno)); \
			exit(CASE_BROKEN);                                                                             \
		}                                                                                                      \
	} while (0)

/* What has to be so; the words after it, as for printf, say what was seen. */
#define RIGHT(what, ...)                                                                   \
	do {                                                                               \
		if (!(what)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #what); \
			fprintf(stderr, __VA_ARGS__);                                      \
			fputc('\n', stderr);                                               \
			exit(CASE_WRONG);                                                  \
		}                                                                          \
	} while (0)

#define SKIP(why)                                      \
	do {                                           \
		fprintf(stderr, "skipped: %s\n", why); \
		exit(CASE_SKIPPED);                    \
	} while (0)

/* A file of so many bytes that has no name any more, in the directory the case runs in. */
static inline int case_file(off_t bytes)
{
	char name[] = "case.XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);
	MUST(fd >= 0 && unlink(name) == 0 && ftruncate(fd, bytes) == 0);
	return fd;
}

/* A key that no other run has. */
static inline char *case_key(void)
{
	static char key[64];
	if (!key[0])
		snprintf(key, sizeof key, "libmpool.case.%ld", (long)getpid());
	return key;
}

#endif
