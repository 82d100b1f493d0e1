/*
 * loop.h - who has the connections of a store: whoever waits for its requests, or its thread.
 *
 * Owns the queue by which requests are handed over, and the connections.
 *
 *   request   loop_submit --> queue --who has the lock--> commands wait for a connection --> in flight --> told
 *
 * Who submits takes the lock, and has the command sent by himself.  If another has it, that one finds the request in the queue
 * when he has let go of it: so nobody waits for it who submits.
 *
 * One at a time waits for the server, in poll(2) and without the lock: he *drives*.
 *
 *   nobody --loop_wait--> a caller, as long as what he waits for is in flight --> nobody
 *   nobody, or a caller --there is something that no caller sees to: `serves`--> the thread --nothing is left--> nobody
 *   nobody, for IDLE --> the thread, which looks whether connections end --loop_wait--> a caller
 *
 * A caller has no other threads woken: neither to send, nor to be told.  What no caller sees to: requests that nobody is going to call
 * loop_wait for, those of another caller than the one that has just ended, connections that are to be made, and old ones that
 * are to end.  Whoever comes while another drives sleeps in his own way, and is told.
 *
 * Two can be in poll(2) for a moment: the one that drives no more is woken, and what it was told of is old (`turn`).
 *
 * A connection is made when a command needs one: the first when there is none, another while those that there are have
 * BUSY commands each in flight, and the oldest of each is older than SLOW_NS.  The next command goes by the first connection that is
 * not so: a server that is fast gets on with one, with less to do.  After an attempt that failed, or a connection that was lost before it had answered anything, there
 * is none for a while (`retry`), and commands that need one fail at once.  The thread alone makes connections, which may take
 * its time; and where there is TLS, it does everything: that may send signals to who uses it.
 */
#ifndef NBD_LOOP_H
#define NBD_LOOP_H

#include <pthread.h>
#include <stdbool.h>

#include "connection.h"

#define CONNECTIONS 16u /* of a store, at most */
#define BUSY        8u
#define SLOW_NS     1000000u /* a connection with so much in flight is slow, if the oldest is older */
#define IDLE_MS     100      /* nobody drives for so long: the thread looks whether connections end */

/* Who is in poll(2), or will be when he has let go of the lock. */
struct poller {
	int wake;                         /* an eventfd */
	bool polls;                       /* and was not woken */
	bool rests;                       /* for nothing but that; else */
	uint64_t until;                   /* he waits so long, ns, */
	struct pollfd wants[CONNECTIONS]; /* for these */
};

struct loop {
	struct common common;
	uint64_t retry; /* ns */
	unsigned n;     /* connections, at the most */
	pthread_mutex_t queue;
	struct requests handed; /* guarded by it */
	pthread_mutex_t lock;   /* guards all that follows, and `common` */
	bool driven;            /* by a caller */
	bool serves;            /* the thread drives, or is to */
	bool ends;
	pthread_t thread;
	struct poller own, caller; /* the thread's; a caller's */
	uint64_t turn;             /* counts when connections are seen to */
	struct commands waiting;
	uint64_t not_before; /* the next attempt to connect, ns */
	int refused;         /* what commands fail with until then */
	struct connection connection[CONNECTIONS];
};

/*
 * Connect, and have a thread.  `common.uri`, `common.timeout`, `retry` and `n` are set.  0, or an errno: nothing is left
 * of it.
 */
int loop_open(struct loop *l);
/* Its `io.waiter`: who is going to call loop_wait until it is told; NULL: nobody. */
void loop_submit(struct loop *l, struct request *r);
/*
 * By who has submitted as that waiter: drive, until requests were told, or `fd` can be read (-1: there is none), or the thread
 * has to, or so many ms have passed (-1: there is no limit).  False, at once: another drives, or all of the waiter's are done and being told.
 */
bool loop_wait(struct loop *l, const void *waiter, int fd, int ms);
/* Nothing was submitted that is not told. */
void loop_close(struct loop *l);

#endif
