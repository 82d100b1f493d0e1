/*
 * connection.h - a connection to the server: made, used, lost.
 *
 * Owns the handle of libnbd's, and the commands that are in flight on it.  Guarded by the loop's lock (loop.h).
 *
 *   CLOSED     --connection_begin--> CONNECTING
 *   CONNECTING --the server agrees, and has what we want--> READY
 *              --it does not; or not in time--> CLOSED
 *   READY      --it ends, or fails--> CLOSED
 *              --no answer in time--> CLOSED; or ENDING, if writes are in flight
 *   ENDING     --the server has ended it too--> CLOSED
 *
 * When a connection leaves READY its handle is closed first: from then on nobody writes to the memory of its commands, or reads
 * it.  Then they are done, with the errno of the loss.
 *
 * ENDING: we have ended our half.  The server may still be at the writes that it had read, and is believed to be done
 * with them when it ends its half.  Meanwhile no write is begun on another connection (loop.c), and where there is one
 * connection only, there is none.
 */
#ifndef NBD_CONNECTION_H
#define NBD_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include <poll.h>

#include "request.h"
#include "stable.h"

struct nbd_handle;

/* What the server has said of the export. */
struct export
{
	uint64_t size;
	size_t least, most; /* bytes of a command: a multiple of `least`, up to `most` */
	bool read_only;
	bool can_flush, can_fua;
	bool several; /* connections see the same */
};

/* What all connections of a store have. */
struct common {
	const char *uri;
	uint64_t timeout;     /* ns */
	struct export export; /* of the first connection; size 0 and least 0: there was none */
	struct stable stable;
	struct requests done; /* which are to be told (request.h) */
	bool tls;             /* the first connection has it */
};

enum connection_state { CLOSED, CONNECTING, READY, ENDING };

struct connection {
	enum connection_state state;
	struct common *common;
	struct nbd_handle *handle; /* CONNECTING, READY */
	int old;                   /* ENDING: the socket */
	uint64_t begun;            /* CONNECTING: when, ns */
	struct commands flying;    /* READY: in flight, the oldest first */
	unsigned n;                /* ... so many */
	size_t heard;              /* bytes of answers (connection.c) */
	uint64_t answered;         /* the number of the last write that was answered on it (stable.h); 0: none */
	bool proved;               /* it has answered anything */
	int why;                   /* CLOSED: errno with which it became so, when it was CONNECTING; 0: it was READY */
};

void connection_init(struct connection *c, struct common *common);
/* CLOSED: begin to connect.  False: that has failed, see `why`. */
bool connection_begin(struct connection *c);
/* READY: begin a command.  False: it has not begun, and the connection is lost. */
bool connection_command(struct connection *c, struct command *command);
/* What to wait for; and what came of that. */
void connection_wants(const struct connection *c, struct pollfd *fd);
void connection_event(struct connection *c, const struct pollfd *fd);
/* When patience with it ends, ns; UINT64_MAX: never.  If that is past: it ends. */
uint64_t connection_until(const struct connection *c);
void connection_overdue(struct connection *c, uint64_t now);
/* Nothing is in flight: say goodbye. */
void connection_close(struct connection *c);

/* It is not in flight, or not any more; a flush that never was has `wrote` set. */
void command_done(struct common *common, struct command *command, int error);

uint64_t now_ns(void);

#endif
