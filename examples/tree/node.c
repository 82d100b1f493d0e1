/* node.c - see node.h. */
#include "node.h"

#include <errno.h>

/* ---- the pool's hooks --------------------------------------------------------------- */

static uint64_t page_sum(const union buffer *b)
{
	return checksum(b->bytes + sizeof(uint64_t), PAGE_SIZE - sizeof(uint64_t), 0);
}

static bool is_zeros(const union buffer *b)
{
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		if (b->bytes[i] != 0)
			return false;
	return true;
}

/* A page never written is zeros. */
static int came_in(void *tree, pgno_t pgno, void *page)
{
	const union buffer *b = page;
	(void)tree, (void)pgno;
	return b->page.sum == page_sum(b) || is_zeros(b) ? 0 : EBADMSG;
}

static int goes_out(void *tree, pgno_t pgno, void *page)
{
	union buffer *b = page;
	struct tree *t = tree;
	if (b->page.changing) {
		atomic_store(&t->unfinished, pgno);
		return EBUSY;
	}
	b->page.sum = page_sum(b);
	return 0;
}

static int before_write(void *tree, const pgno_t *pgnos, void *const *pages, size_t n)
{
	struct tree *t = tree;
	uint64_t lsn = 0;
	(void)pgnos;
	for (size_t i = 0; i < n; i++) {
		const struct page *p = pages[i];
		lsn = p->lsn > lsn ? p->lsn : lsn;
	}
	return log_flush(&t->log, lsn);
}

int node_hooks(struct tree *t)
{
	struct mpool_hooks hooks = {.in = came_in, .out = goes_out, .before_write = before_write, .cookie = t};
	return mpool_hooks(t->pool, &hooks, sizeof hooks) == 0 ? 0 : errno;
}

/* ---- what was left in the middle ----------------------------------------------------- */

/* What `change_make` does becomes visible to who reads the page after a death only before `changing` is 0. */
static void set_changing(struct page *p, bool on)
{
	atomic_signal_fence(memory_order_seq_cst);
	mpool_store64(&p->changing, on);
	atomic_signal_fence(memory_order_seq_cst);
}

/* As the log says: the page is the caller's alone.  One with an image is made anew from it, older or newer as the page may be. */
static int redo(struct page *p, const struct change *c, uint64_t lsn)
{
	union buffer b;
	if (c->before.at != NULL) {
		if (!page_from_image(&b, c->before))
			return EBADMSG;
		page_become(p, &b.page);
	} else if (c->what != CHANGE_IMAGE && p->lsn >= lsn) {
		return 0;
	}
	if (!change_make(p, c))
		return EBADMSG;
	mpool_store64(&p->lsn, lsn);
	return 0;
}

struct mending {
	pgno_t pgno;
	struct page *page;
};

static int mend_by(void *arg, const struct change *c, uint64_t lsn)
{
	struct mending *m = arg;
	return c->pgno == m->pgno ? redo(m->page, c, lsn) : 0;
}

/* Latched exclusively. */
static int mend(struct tree *t, struct node *n)
{
	struct mending m = {n->pgno, n->page};
	int error = log_read(&t->log, mend_by, &m);
	n->dirty = true;
	if (error == 0)
		set_changing(n->page, false);
	return error;
}

/* ---- latches --------------------------------------------------------------------------- */

static int latch(struct tree *t, struct node *n, unsigned how)
{
	if (mpool_latch(t->pool, n->page, how) != 0)
		return errno;
	n->held = how;
	return 0;
}

static void unlatch(struct tree *t, struct node *n)
{
	(void)mpool_unlatch(t->pool, n->page, n->dirty ? MPOOL_DIRTY : 0);
	n->held = NODE_PEEKED;
	n->dirty = false;
}

/* A page that its last holder did not finish is finished, with the latch taken as it has to be; and is whole then. */
static int finish(struct tree *t, struct node *n, unsigned how)
{
	int error = 0;
	while (error == 0 && mpool_load64(&n->page->changing)) {
		if (how == MPOOL_SHARED) {
			unlatch(t, n);
			error = latch(t, n, MPOOL_EXCLUSIVE);
		}
		if (error == 0 && n->page->changing)
			error = mend(t, n);
		if (error == 0 && how == MPOOL_SHARED) {
			unlatch(t, n);
			error = latch(t, n, MPOOL_SHARED);
		}
	}
	/* It can be peeked at again. */
	if (error == 0 && t->shared && mpool_abandoned(t->pool, n->page, 0) == 1)
		(void)mpool_abandoned(t->pool, n->page, MPOOL_FORGIVE);
	return error;
}

static int take_pinned(struct tree *t, struct node *n, unsigned how)
{
	n->pinned = true;
	int error = latch(t, n, how);
	if (error == 0)
		error = finish(t, n, how);
	if (error != 0)
		node_leave(t, n);
	return error;
}

int node_take(struct tree *t, struct node *n, pgno_t pgno, unsigned how)
{
	*n = (struct node){.pgno = pgno, .page = mpool_get(t->pool, pgno, 0)};
	return n->page == NULL ? errno : take_pinned(t, n, how);
}

/* It may be there: of who took it and did not come to use it. */
int node_take_new(struct tree *t, struct node *n, pgno_t pgno)
{
	*n = (struct node){.pgno = pgno};
	do
		if ((n->page = mpool_new(t->pool, &pgno, MPOOL_PAGE_REQUEST)) == NULL && errno == EEXIST)
			n->page = mpool_get(t->pool, pgno, MPOOL_CACHED);
	while (n->page == NULL && errno == EAGAIN);
	return n->page == NULL ? errno : take_pinned(t, n, MPOOL_EXCLUSIVE);
}

void node_leave(struct tree *t, struct node *n)
{
	if (n->held != NODE_PEEKED)
		unlatch(t, n);
	if (n->pinned)
		(void)mpool_put(t->pool, n->page, 0);
	n->pinned = false;
}

/* ---- changes ----------------------------------------------------------------------------- */

/* The latch keeps the page where it is; the pin has served. */
static int begin_change(struct tree *t, struct node *n)
{
	if (n->pinned && mpool_put(t->pool, n->page, MPOOL_DIRTY) != 0)
		return errno;
	n->pinned = false;
	n->dirty = true; /* once more: it may be written before the change */
	set_changing(n->page, true);
	return 0;
}

int nodes_change(struct tree *t, struct node *const *nodes, struct change *changes, unsigned n)
{
	uint64_t lsn = 0;
	int error = 0;
	for (unsigned i = 0; i < n && error == 0; i++) {
		changes[i].pgno = nodes[i]->pgno;
		changes[i].page = nodes[i]->page;
		error = begin_change(t, nodes[i]);
	}
	if (error == 0)
		error = log_append(&t->log, changes, n, &lsn);
	for (unsigned i = 0; i < n; i++) {
		if (error == 0) {
			(void)change_make(nodes[i]->page, &changes[i]);
			mpool_store64(&nodes[i]->page->lsn, lsn);
		}
		set_changing(nodes[i]->page, false);
	}
	return error;
}

/* ---- recovery and checkpoints ---------------------------------------------------------------- */

static int recover_by(void *arg, const struct change *c, uint64_t lsn)
{
	struct tree *t = arg;
	struct node n;
	bool anew = c->before.at != NULL || c->what == CHANGE_IMAGE;
	/* The first change of each page has its image: what the file has of it, which may be torn, is not looked at. */
	int error = anew ? node_take_new(t, &n, c->pgno) : node_take(t, &n, c->pgno, MPOOL_EXCLUSIVE);
	if (error != 0)
		return error;
	error = begin_change(t, &n);
	if (error == 0)
		error = redo(n.page, c, lsn);
	if (error == 0)
		set_changing(n.page, false);
	node_leave(t, &n);
	return error;
}

/* Who was killed left a page unfinished: it is finished by whoever takes it. */
static int write_pages(struct tree *t)
{
	while (mpool_sync(t->pool) != 0) {
		struct node n;
		if (errno != EBUSY)
			return errno;
		int error = node_take(t, &n, atomic_load(&t->unfinished), MPOOL_EXCLUSIVE);
		if (error != 0)
			return error;
		node_leave(t, &n);
	}
	return 0;
}

int node_checkpoint(struct tree *t)
{
	uint64_t end;
	int error = log_mark(&t->log, &end);
	if (error == 0)
		error = write_pages(t);
	return error != 0 ? error : log_cut(&t->log, end);
}

int node_recover(struct tree *t, uint64_t log_bytes)
{
	int error = log_begin(&t->log, log_bytes, recover_by, t);
	return error != 0 ? error : node_checkpoint(t);
}
