/*
 * node.h - pages of the tree in memory: how they are looked at, latched, and changed by way of the log.
 *
 * A page is changed in this order, by who has it latched exclusively:
 *
 *      put dirty        so that a checkpoint that begins after the record was appended waits for the page
 *      changing = 1     from now on it is not written to the file (the hook `out` refuses it)
 *      append           the record, to the log: now it has happened
 *      change_make      as recovery does it
 *      lsn, changing = 0
 *      unlatch
 *
 * Who dies in between leaves `changing`.  The next who latches the page reads the log, and does with the page what the
 * log says (node_take); if it has no record of the page since the last checkpoint, then the page is as it was.  No
 * checkpoint succeeds before that, so the log has all that is needed.
 *
 * Pages are written when the pool wants to.  before_write then brings the log to stable storage up to their lsn.
 */
#ifndef TREE_NODE_H
#define TREE_NODE_H

#include "log.h"

struct tree {
	MPOOL *pool;
	const struct mpool_view *view; /* for peeks that are no calls */
	struct log log;
	int fd;
	_Atomic pgno_t unfinished; /* the last page that the hook refused to write */
	void *space;               /* page 0, which is pinned: so who finds it in the pool finds a tree in use */
	bool shared;               /* processes share the pool */
};

enum {
	NODE_PEEKED = 0, /* or MPOOL_SHARED, MPOOL_EXCLUSIVE */
	NODE_LINE = 64,  /* of the processor's caches */
	NODE_FETCHED = 5,
};

struct node {
	pgno_t pgno;
	struct page *page;
	unsigned held; /* NODE_PEEKED, or how it is latched */
	bool pinned, dirty;
	uint64_t version; /* of a page that is peeked at */
};

int node_hooks(struct tree *t);

/* 0 or an errno. */
int node_take(struct tree *t, struct node *n, pgno_t pgno, unsigned how);
/* The page as zeros, whatever the file has there; exclusively. */
int node_take_new(struct tree *t, struct node *n, pgno_t pgno);
/*
 * Without a latch, if the page is in memory and nobody has it exclusively.  Where the search for a key begins is fetched at
 * once, not a line after the other.
 */
static inline bool node_peek(struct tree *t, struct node *n, pgno_t pgno)
{
	*n = (struct node){.pgno = pgno};
	n->page = (struct page *)(uintptr_t)mpool_peek_view(t->view, pgno, &n->version);
	for (unsigned i = 0; i < NODE_FETCHED && n->page != NULL; i++)
		__builtin_prefetch((const char *)n->page + (size_t)i * NODE_LINE);
	return n->page != NULL;
}
/* Was all that has been read of it true at one instant? */
static inline bool node_same(struct tree *t, const struct node *n)
{
	return n->held != NODE_PEEKED || mpool_unchanged_view(t->view, n->page, n->version);
}
void node_leave(struct tree *t, struct node *n);

/*
 * Changes up to CHANGES_MAX nodes at once, all latched exclusively: change i is of node i.  0 or an errno: nothing is
 * changed.
 */
int nodes_change(struct tree *t, struct node *const *nodes, struct change *changes, unsigned n);

/* By the first who opens the tree: all pages become what the log says.  0 or an errno. */
int node_recover(struct tree *t, uint64_t log_bytes);
/* A checkpoint, with the log's lock: 0 or an errno. */
int node_checkpoint(struct tree *t);

#endif
