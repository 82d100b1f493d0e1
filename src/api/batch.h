/*
 * batch.h - several pages that are loaded together.
 *
 * Owns no state.  A batch is a list of pages whose insertions its maker has won, each with a
 * frame.  They are read in the file's order, neighbours by one system call, all of them in
 * flight at once, and then given the memory's form; whoever made the batch publishes them, or
 * lets them fail, one by one.  No filter runs while a read is in flight: should it not return,
 * the frames are given back (share/recover.h).
 *
 * A batch does not wait for pages that others load: whoever wants those too waits when all of
 * his own are published.  So calls with overlapping lists never wait for each other in a circle.
 */
#ifndef MPOOL_BATCH_H
#define MPOOL_BATCH_H

#include "api/load.h"
#include "io/run.h"

/* Pages of a batch at the most. */
#define BATCH_PAGES 256u

struct batch {
	MPOOL *mp;
	unsigned n, room;
	struct load *load; /* the start of the memory of all three */
	struct iovec *iov;
	struct io_run *reads;
};

/* Until the end of the block, whichever way it is left. */
#define BATCH(b) __attribute__((cleanup(batch_put))) struct batch b = {0}
/* Room for at most `pages`; false and ENOMEM: no memory. */
bool batch_get(struct batch *b, MPOOL *mp, size_t pages);
void batch_put(struct batch *b);

static inline struct load *batch_add(struct batch *b, uint32_t page, uint32_t frame, const struct table_ref *at,
                                     unsigned index)
{
	struct load *l = &b->load[b->n++];
	*l = (struct load){.page = page, .frame = frame, .at = *at, .index = index};
	return l;
}

/* Sort the batch by page. */
void batch_sort(struct batch *b);
/* Of the pages from `from` on, the next that are adjacent and to be read by one call: how many; 0: the first is zeros. */
unsigned batch_run(const struct batch *b, unsigned from);
/* Read them all, the batch being sorted.  Of each page its `error` and `read` are set then. */
void batch_read(struct batch *b);

/* A read of the `n` pages from `page` on, which batch_run has found. */
struct io_run read_of(MPOOL *mp, uint32_t page, unsigned n, struct iovec *iov);
/* A read of the pages of `l`, which is done by an engine's one try: complete it, and set what batch_read does. */
void loads_finish(MPOOL *mp, struct io_run *read, struct load *l);
/* Give the page, if it was filled, the memory's form. */
void load_decode(MPOOL *mp, struct load *l);

#endif
