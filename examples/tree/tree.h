/*
 * tree.h - a B+tree in a file: keys and values of any bytes, many threads, and many processes.
 *
 * Keys are in the order of memcmp, the shorter first.  Calls return 0 or -1 and errno, unless told otherwise, and may be made by any
 * threads at the same time.  Each is atomic: others see all of it or nothing, and so does who
 * opens the tree after a crash.  It is durable when tree_commit has returned 0 after it.
 *
 * EINVAL   the key has more than TREE_KEY_MAX bytes, or with its value more than TREE_ENTRY_MAX
 * ENOENT   there is no such key (tree_get, tree_delete)
 * EIO, ENOSPC, ...  as the pool's calls or the log's file gave it.  When the log could not be written, all that modifies
 *          fails from then on, and the tree is to be closed and opened again by all who have it
 */
#ifndef TREE_H
#define TREE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TREE_KEY_MAX   256
#define TREE_ENTRY_MAX 1000

struct tree;

struct tree_options {
	const char *key;    /* not NULL: the pool's, by which processes share it; they open the same file */
	uint32_t cache;     /* pages of 4096 bytes to keep in memory; 0: 1024 */
	uint64_t log_bytes; /* of a new log, in MiB of 2^20 bytes at least 4; 0: 64 MiB */
	uint32_t cleaners;  /* threads that write pages ahead of need, so that others do not wait for that; 0: none */
};

/*
 * Opens FILE, and FILE.log, and with a key FILE.shm; makes them if they are not there.  Who is the first to open it
 * does again what a crash may have left undone.  options NULL: all are 0.
 *
 * EBUSY    another process has it open without a key, or has just ended
 * EBADMSG  the file is no tree, or damaged
 */
int tree_open(struct tree **t, const char *file, const struct tree_options *options);
/* Makes a checkpoint.  The tree is closed even if that fails. */
int tree_close(struct tree *t);

/* Copies the first `room` bytes of the value.  How long it is, or -1. */
ssize_t tree_get(struct tree *t, const void *key, size_t keylen, void *value, size_t room);
/* Inserts the key, or replaces its value. */
int tree_put(struct tree *t, const void *key, size_t keylen, const void *value, size_t len);
int tree_delete(struct tree *t, const void *key, size_t keylen);

/* All that was done before this call, by whatever thread or process, survives a power cut. */
int tree_commit(struct tree *t);
/* Writes all pages, so that recovery has less to do, and the log may be used again.  The tree makes one itself when need be. */
int tree_checkpoint(struct tree *t);

/*
 * Calls for each entry from the key on, that itself too; from NULL: from the first, or last.  Until there is no more, or one returns not
 * 0, which the scan then returns; or -1.  It may call the tree.  The entries of one page are as they were at one
 * instant, different pages at different ones.
 */
enum tree_direction { TREE_FORWARD, TREE_BACKWARD };
typedef int tree_entry(void *arg, const void *key, size_t keylen, const void *value, size_t len);
int tree_scan(struct tree *t, enum tree_direction d, const void *from, size_t fromlen, tree_entry *entry, void *arg);

/*
 * Is the tree's structure sound?  NULL, or what is wrong.  While nobody modifies it.  `entries`, not NULL: how many
 * there are.
 */
const char *tree_check(struct tree *t, uint64_t *entries);

#ifdef __cplusplus
}
#endif

#endif
