/*
 * request.h - a request of the pool's, and the commands of NBD that it becomes.
 *
 * Owns the memory that commands read to or write from where the pool's is in several pieces: NBD takes one range of bytes from one
 * place, and a command costs the server more than a copy of its bytes costs us.
 *
 *   request   made by whoever submits it --> handed over (loop.h) --> all its commands are done --> told, and freed
 *   command   not begun --> in flight on a connection (connection.h) --> done, with an errno or 0
 *
 * From when it is handed over until all its commands are done it is guarded by the loop's lock; then it is of him who tells.
 */
#ifndef NBD_REQUEST_H
#define NBD_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include <mpool.h>

/* Bytes of a command, at the most: large reads and writes are several, which the server makes at the same time. */
#define COMMAND_BYTES ((size_t)256 << 10)

struct connection;
struct request;

struct command {
	struct command *before, *after; /* of a list */
	struct request *of;
	struct connection *on; /* while it is in flight */
	uint64_t offset;
	size_t bytes;
	char *at;       /* its memory */
	uint64_t begun; /* when, ns */
	uint64_t wrote; /* a flush: so many writes had been answered by then (stable.h) */
	int error;
};

/* First in, first out, or out of the middle. */
struct commands {
	struct command *first, *last;
};

void commands_push(struct commands *l, struct command *c);
void commands_remove(struct commands *l, struct command *c);

/* A queue. */
struct requests {
	struct request *first, *last;
};

void requests_push(struct requests *l, struct request *r);

struct request {
	struct request *next; /* of a queue */
	struct mpool_io *io;
	char *copy;       /* of all its bytes; NULL: the pool's memory serves */
	unsigned n, left; /* commands; of these: not done */
	struct command command[];
};

/* `bytes`: so many of them.  `most`: of a command.  NULL and errno: no memory. */
struct request *request_make(struct mpool_io *io, size_t bytes, size_t most);
/* A command is done.  True: it was the last one. */
bool request_done(struct request *r);
/* All are: tell who has made it, and free it. */
void request_tell(struct request *r);

size_t iov_bytes(const struct iovec *iov, int n);

#endif
