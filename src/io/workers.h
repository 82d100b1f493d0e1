/*
 * workers.h - reads in flight by threads.
 *
 * Owns a pool's reading threads, and the queue of reads that none has begun.  Threads come as
 * reads do, up to so many, and stay until the pool is closed.  Who waits for reads helps: so
 * they are made where there can be no thread, too.
 *
 *   queued --a thread, or who waits for it--> being read --> done
 *
 * A thread reads for others and knows nothing of pages: its process dies with it, and the
 * kernel ends a process only when what its threads read has arrived.  So these may read into
 * the frames of a shared pool, as a ring may not: its reads outlive the process, and would
 * arrive in frames that others have taken over.
 *
 * In the child of a fork there are no threads: workers_drop.
 */
#ifndef MPOOL_WORKERS_H
#define MPOOL_WORKERS_H

#include <stdbool.h>

#include "io/read.h"

struct workers;

/* At most `room` threads, none so far; NULL: no memory.  And none is added beyond `most` from now on: those that are there stay. */
struct workers *workers_open(const struct pageio *io, unsigned room);
void workers_limit(struct workers *w, unsigned most);
/* Nobody waits for a read, and none is queued. */
void workers_close(struct workers *w);
/* The threads do not exist; nor do the reads. */
void workers_drop(struct workers *w);

/* Make all the reads; when it returns they are done. */
void workers_read(struct workers *w, struct io_read *reads, unsigned n);
/*
 * Have a read made.  `done` is called when it is, by the thread that made it; by this one, before
 * the call returns, if there can be no thread.
 */
void workers_start(struct workers *w, struct io_read *read, void (*done)(void *of, struct io_read *read), void *of);

#endif
