/*
 * tree.c - see tree.h.
 *
 * Page 0 has the free pages, page 1 is the root, always: when the tree grows or shrinks, the root's content moves.
 *
 * Who looks for a key goes down without a latch, by optimistic lock coupling (Leis and others, 2016): peek at the child, then
 * see that the parent, which said that it was the child, is unchanged; at last, that the leaf is.  So what is believed was true at
 * one instant.  When a page is not in memory, or somebody has it exclusively, it is latched, shared, and the way goes on from it;
 * and after a few attempts in vain all are.
 *
 * Who modifies goes down in the same way and latches one leaf exclusively.  If that has no room, or few entries, then
 * its parent is latched exclusively first, then the leaf, then its neighbour, then page 0, then a free page.
 * All latches are taken in this order, downwards: so nobody waits for one who waits for him.  If the parent has no
 * room either, it is split first, alone, and the matter looked at afresh.  So never more than four pages are
 * changed at once, each time from one sound tree into another.
 */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node.h"

enum {
	SPACE = 0,
	ROOT = 1,
	PATIENCE = 8, /* ways down without a latch, before one with latches */
	CACHE_DEFAULT = 1024,
	FULL_SOON = 50, /* of the log, in percent: who comes by makes a checkpoint, */
	FULL_NOW = 75,  /* and the others wait for it */
};
#define LOG_BYTES_DEFAULT (UINT64_C(64) << 20)

_Static_assert(TREE_KEY_MAX == KEY_MAX && TREE_ENTRY_MAX == ENTRY_MAX, "as it is told");

/* Where a way leads: to the key; to what is just below it; to the last key (`key` is none). */
struct where {
	struct bytes key;
	bool below, last;
};

enum { AGAIN = -1 }; /* no errno: what was read has changed meanwhile */

static int result(int error)
{
	if (error != 0)
		errno = error;
	return error == 0 ? 0 : -1;
}

/* ---- down ------------------------------------------------------------------------------- */

static unsigned child_slot(const struct page *p, const struct where *w)
{
	unsigned n = page_count(p);
	return w->last ? n - (n > 0) : page_find_child(p, w->key, w->below);
}

/* From a node to a child of it, of that number if the node is what it was; else AGAIN. */
static int step(struct tree *t, struct node *n, pgno_t child, unsigned how)
{
	struct node c = {0};
	int error = 0;
	if (how != NODE_PEEKED || !node_peek(t, &c, child)) {
		/* There may be no such page. */
		error = !node_same(t, n) ? AGAIN : node_take(t, &c, child, how != NODE_PEEKED ? how : MPOOL_SHARED);
	}
	/* After the child's version is known, or its latch taken: it was the child then. */
	if (error == 0 && !node_same(t, n))
		error = AGAIN;
	if (error != 0) {
		node_leave(t, &c);
		return error;
	}
	node_leave(t, n);
	*n = c;
	return 0;
}

static int latch_root(struct tree *t, struct node *n, unsigned level)
{
	node_leave(t, n);
	int error = node_take(t, n, ROOT, MPOOL_EXCLUSIVE);
	return error == 0 && page_level(n->page) != level ? AGAIN : error;
}

/*
 * One attempt to come to the node of that level, latched as `how` says, or without a latch, if all that is asked for is
 * NODE_PEEKED.  The others on the way as `way` says.  AGAIN: in vain.  ERANGE: the root is below that level.
 */
static int try_descend(struct tree *t, const struct where *w, unsigned level, unsigned way, unsigned how,
                       struct node *n)
{
	int error = 0;
	if (way != NODE_PEEKED || !node_peek(t, n, ROOT))
		error = node_take(t, n, ROOT, MPOOL_SHARED);
	while (error == 0) {
		unsigned at = page_level(n->page);
		if (at > level && at < LEVEL_META)
			error = step(t, n, page_child(n->page, child_slot(n->page, w)),
			             at - 1 == level && how != NODE_PEEKED ? how : way);
		else if (!node_same(t, n))
			error = AGAIN;
		else if (at != level)
			error = at < level ? ERANGE : EBADMSG;
		else if (how != MPOOL_EXCLUSIVE || n->held == MPOOL_EXCLUSIVE)
			return 0;
		else
			error = latch_root(t, n, level);
	}
	node_leave(t, n);
	return error;
}

static int descend(struct tree *t, const struct where *w, unsigned level, unsigned how, struct node *n)
{
	int error = AGAIN;
	for (unsigned i = 0; error == AGAIN; i++) {
		*n = (struct node){0};
		error = try_descend(t, w, level, i < PATIENCE ? NODE_PEEKED : MPOOL_SHARED, how, n);
	}
	return error;
}

/* ---- pages come and go ------------------------------------------------------------------------ */

struct space {
	struct node node; /* page 0, latched */
	uint32_t link, pages;
};

static int space_take(struct tree *t, struct space *s)
{
	int error = node_take(t, &s->node, SPACE, MPOOL_EXCLUSIVE);
	if (error == 0) {
		s->link = s->node.page->link;
		s->pages = s->node.page->pages;
	}
	return error;
}

/* A page that nobody uses, latched.  It is the caller's when the change of page 0 is logged. */
static int space_page(struct tree *t, struct space *s, struct node *n)
{
	int error = s->link != 0 ? node_take(t, n, s->link, MPOOL_EXCLUSIVE) : node_take_new(t, n, s->pages);
	if (error != 0)
		return error;
	if (s->link != 0)
		s->link = n->page->link;
	else
		s->pages++;
	return 0;
}

static struct change space_change(const struct space *s)
{
	return (struct change){.what = CHANGE_SPACE, .link = s->link, .pages = s->pages};
}

static struct change image_change(const union buffer *b)
{
	return (struct change){.what = CHANGE_IMAGE, .image = &b->page};
}

/* A node's page becomes the first of the free ones. */
static struct change free_change(struct space *s, const struct node *n, union buffer *b)
{
	page_init(b, LEVEL_FREE, (struct bytes){0}, (struct bytes){0});
	b->page.link = s->link;
	s->link = n->pgno;
	return image_change(b);
}

/* ---- splits -------------------------------------------------------------------------------------- */

/* Nodes that are latched together, in this order. */
struct family {
	struct node parent, node, other;
	struct space space;
};

static void children_leave(struct tree *t, struct family *f)
{
	node_leave(t, &f->other);
	node_leave(t, &f->space.node);
	node_leave(t, &f->node);
}

static void family_leave(struct tree *t, struct family *f)
{
	children_leave(t, f);
	node_leave(t, &f->parent);
}

/* The root's content moves into a new node, its only child. */
static int grow(struct tree *t, struct family *f)
{
	union buffer child, root;
	pgno_t pgno;
	int error = space_take(t, &f->space);
	if (error == 0)
		error = space_page(t, &f->space, &f->node);
	if (error != 0)
		return error;
	pgno = f->node.pgno;
	page_init(&child, page_level(f->parent.page), page_lower(f->parent.page), page_upper(f->parent.page));
	page_append(&child, f->parent.page, 0, page_count(f->parent.page));
	page_init(&root, page_level(f->parent.page) + 1, page_lower(f->parent.page), page_upper(f->parent.page));
	page_insert(&root.page, 0, page_lower(f->parent.page), (struct bytes){&pgno, sizeof pgno});
	struct node *nodes[] = {&f->parent, &f->node, &f->space.node};
	struct change changes[] = {image_change(&root), image_change(&child), space_change(&f->space)};
	return nodes_change(t, nodes, changes, 3);
}

/* What is right of the middle moves into a new node.  The parent has room for it. */
static int split_node(struct tree *t, struct family *f, unsigned slot, bool at_end)
{
	struct page *p = f->node.page;
	unsigned char copy[KEY_MAX];
	struct bytes separator;
	union buffer right;
	unsigned middle = page_middle(p, at_end, &separator);
	int error = space_take(t, &f->space);
	if (error == 0)
		error = space_page(t, &f->space, &f->other);
	if (error != 0)
		return error;
	memcpy(copy, separator.at, separator.len); /* it is in the page that is cut */
	separator.at = copy;
	page_init(&right, p->level, separator, page_upper(p));
	page_append(&right, p, middle, p->count);
	pgno_t pgno = f->other.pgno;
	struct node *nodes[] = {&f->node, &f->other, &f->parent, &f->space.node};
	struct change changes[] = {
		{.what = CHANGE_CUT, .slot = middle, .key = separator},
		image_change(&right),
		{.what = CHANGE_INSERT, .slot = slot + 1, .key = separator, .value = {&pgno, sizeof pgno}},
		space_change(&f->space),
	};
	return nodes_change(t, nodes, changes, 4);
}

/* The parent is latched. */
static int split_child(struct tree *t, struct family *f, const struct where *w, unsigned len)
{
	unsigned slot = page_find_child(f->parent.page, w->key, false);
	bool found;
	int error = node_take(t, &f->node, page_child(f->parent.page, slot), MPOOL_EXCLUSIVE);
	if (error != 0 || page_has_room(f->node.page, len)) /* somebody was faster */
		return error;
	if (f->node.page->count < 2)
		return EBADMSG;
	/* Keys that come in order fill their pages. */
	bool at_end =
		page_upper(f->node.page).at == NULL && page_find(f->node.page, w->key, &found) == f->node.page->count;
	return split_node(t, f, slot, at_end);
}

/*
 * A step towards room for an entry of that length in the node where the key belongs: it is split, or what is above it.
 */
static int make_room(struct tree *t, const struct where *w, unsigned level, unsigned len)
{
	struct family f = {0};
	bool above = false;
	int error = descend(t, w, level + 1, MPOOL_EXCLUSIVE, &f.parent);
	if (error == ERANGE) {
		/* It is the root. */
		error = descend(t, w, level, MPOOL_EXCLUSIVE, &f.parent);
		if (error == 0 && f.parent.pgno == ROOT && !page_has_room(f.parent.page, len))
			error = grow(t, &f);
	} else if (error == 0) {
		above = !page_has_room(f.parent.page, SEPARATOR_MAX);
		if (!above)
			error = split_child(t, &f, w, len);
	}
	family_leave(t, &f);
	return above ? make_room(t, w, level + 1, SEPARATOR_MAX) : error;
}

/* ---- merges ------------------------------------------------------------------------------------------ */

/* The root has one child, whose content moves into it. */
static int shrink(struct tree *t, struct family *f)
{
	union buffer root, gone;
	int error = node_take(t, &f->node, page_child(f->parent.page, 0), MPOOL_EXCLUSIVE);
	if (error == 0)
		error = space_take(t, &f->space);
	if (error != 0)
		return error;
	const struct page *child = f->node.page;
	page_init(&root, child->level, page_lower(child), page_upper(child));
	page_append(&root, child, 0, child->count);
	struct change freed = free_change(&f->space, &f->node, &gone);
	struct node *nodes[] = {&f->parent, &f->node, &f->space.node};
	struct change changes[] = {image_change(&root), freed, space_change(&f->space)};
	return nodes_change(t, nodes, changes, 3);
}

/* Two neighbours become one, if they have not too much for that: the right one's entries move into the left one. */
static int merge_nodes(struct tree *t, struct family *f, unsigned left)
{
	union buffer all, gone;
	int error = node_take(t, &f->node, page_child(f->parent.page, left), MPOOL_EXCLUSIVE);
	if (error == 0)
		error = node_take(t, &f->other, page_child(f->parent.page, left + 1), MPOOL_EXCLUSIVE);
	if (error != 0)
		return error;
	const struct page *l = f->node.page, *r = f->other.page;
	if (page_used(l) + page_used(r) > MANY || (page_used(l) >= FEW && page_used(r) >= FEW))
		return 0;
	if ((error = space_take(t, &f->space)) != 0)
		return error;
	page_init(&all, l->level, page_lower(l), page_upper(r));
	page_append(&all, l, 0, l->count);
	page_append(&all, r, 0, r->count);
	struct change freed = free_change(&f->space, &f->other, &gone);
	struct node *nodes[] = {&f->node, &f->other, &f->parent, &f->space.node};
	struct change changes[] = {
		image_change(&all), freed, {.what = CHANGE_REMOVE, .slot = left + 1}, space_change(&f->space)};
	return nodes_change(t, nodes, changes, 4);
}

/* The node where the key belongs has few entries: it is merged with a neighbour, if that has not too many; and so is what is above it. */
static int make_fewer(struct tree *t, const struct where *w, unsigned level)
{
	struct family f = {0};
	bool above = false;
	int error = descend(t, w, level + 1, MPOOL_EXCLUSIVE, &f.parent);
	if (error == ERANGE) /* the root may have as few as it likes */
		return 0;
	if (error != 0)
		return error;
	struct page *parent = f.parent.page;
	unsigned slot = page_find_child(parent, w->key, false);
	if (parent->count > 1)
		error = merge_nodes(t, &f, slot > 0 ? slot - 1 : slot);
	if (error == 0 && f.parent.pgno == ROOT && parent->count == 1) {
		children_leave(t, &f);
		error = shrink(t, &f);
	}
	above = f.parent.pgno != ROOT && page_used(parent) < FEW;
	family_leave(t, &f);
	return error == 0 && above ? make_fewer(t, w, level + 1) : error;
}

/* ---- the calls ------------------------------------------------------------------------------------------ */

/* Before a latch is taken, since a checkpoint waits for latches. */
static int make_log_room(struct tree *t)
{
	unsigned full = log_full(&t->log);
	if (full < FULL_SOON)
		return 0;
	int error = log_lock(&t->log, full < FULL_NOW);
	if (error != 0)
		return error == EBUSY ? 0 : error;
	if (log_full(&t->log) >= FULL_SOON)
		error = node_checkpoint(t);
	log_unlock(&t->log);
	return error;
}

static int change_one(struct tree *t, struct node *n, struct change c)
{
	struct node *nodes[] = {n};
	return nodes_change(t, nodes, &c, 1);
}

int tree_put(struct tree *t, const void *key, size_t keylen, const void *value, size_t len)
{
	if (keylen > KEY_MAX || len > ENTRY_MAX - keylen)
		return result(EINVAL);
	struct where w = {.key = {key, (unsigned)keylen}};
	struct change c = {.key = w.key, .value = {value, (unsigned)len}};
	unsigned all = (unsigned)(keylen + len);
	int error = make_log_room(t);
	for (bool done = false; error == 0 && !done;) {
		struct node n;
		bool found;
		if ((error = descend(t, &w, LEVEL_LEAF, MPOOL_EXCLUSIVE, &n)) != 0)
			break;
		c.slot = page_find(n.page, w.key, &found);
		c.what = found ? CHANGE_REPLACE : CHANGE_INSERT;
		done = found ? page_has_room_instead(n.page, c.slot, all) : page_has_room(n.page, all);
		if (done)
			error = change_one(t, &n, c);
		node_leave(t, &n);
		if (!done)
			error = make_room(t, &w, LEVEL_LEAF, all);
	}
	return result(error);
}

int tree_delete(struct tree *t, const void *key, size_t keylen)
{
	if (keylen > KEY_MAX)
		return result(EINVAL);
	struct where w = {.key = {key, (unsigned)keylen}};
	struct node n;
	bool found, few;
	int error = make_log_room(t);
	if (error == 0)
		error = descend(t, &w, LEVEL_LEAF, MPOOL_EXCLUSIVE, &n);
	if (error != 0)
		return result(error);
	unsigned slot = page_find(n.page, w.key, &found);
	error = found ? change_one(t, &n, (struct change){.what = CHANGE_REMOVE, .slot = slot}) : ENOENT;
	few = error == 0 && page_used(n.page) < FEW;
	node_leave(t, &n);
	/* The key is gone, whether this succeeds or not. */
	if (few)
		(void)make_fewer(t, &w, LEVEL_LEAF);
	return result(error);
}

ssize_t tree_get(struct tree *t, const void *key, size_t keylen, void *value, size_t room)
{
	if (keylen > KEY_MAX)
		return result(EINVAL);
	struct where w = {.key = {key, (unsigned)keylen}};
	for (unsigned i = 0;; i++) {
		struct node n;
		bool found;
		int error = descend(t, &w, LEVEL_LEAF, i < PATIENCE ? NODE_PEEKED : MPOOL_SHARED, &n);
		if (error != 0)
			return result(error);
		unsigned slot = page_find(n.page, w.key, &found), most = room < PAGE_SIZE ? (unsigned)room : PAGE_SIZE;
		unsigned len = found ? page_value(n.page, slot, value, most) : 0;
		bool same = node_same(t, &n);
		node_leave(t, &n);
		if (same)
			return found ? (ssize_t)len : result(ENOENT);
	}
}

int tree_commit(struct tree *t)
{
	return result(log_flush(&t->log, log_end(&t->log)));
}

int tree_checkpoint(struct tree *t)
{
	int error = log_lock(&t->log, false);
	if (error != 0)
		return result(error);
	error = node_checkpoint(t);
	log_unlock(&t->log);
	return result(error);
}

/* ---- scans --------------------------------------------------------------------------------------------------- */

/* A copy of the leaf, as it was at one instant. */
static int copy_leaf(struct tree *t, const struct where *w, union buffer *b)
{
	for (unsigned i = 0;; i++) {
		struct node n;
		int error = descend(t, w, LEVEL_LEAF, i < PATIENCE ? NODE_PEEKED : MPOOL_SHARED, &n);
		if (error != 0)
			return error;
		mpool_load_bytes(b->bytes, n.page, PAGE_SIZE);
		bool same = node_same(t, &n);
		node_leave(t, &n);
		if (same)
			return 0;
	}
}

/* Entries of one leaf, from w on; not 0: `entry` has returned that. */
static int scan_leaf(const struct page *p, enum tree_direction d, const struct where *w, tree_entry *entry, void *arg)
{
	bool found = false;
	int r = 0;
	unsigned i = w->last ? p->count : page_find(p, w->key, &found);
	if (d == TREE_BACKWARD && found && !w->below)
		i++;
	while (r == 0 && (d == TREE_FORWARD ? i < p->count : i > 0)) {
		unsigned at = d == TREE_FORWARD ? i++ : --i;
		struct bytes key = page_key(p, at);
		unsigned char value[ENTRY_MAX];
		r = entry(arg, key.at, key.len, value, page_value(p, at, value, sizeof value));
	}
	return r;
}

int tree_scan(struct tree *t, enum tree_direction d, const void *from, size_t fromlen, tree_entry *entry, void *arg)
{
	unsigned char fence[KEY_MAX];
	union buffer b;
	if (fromlen > KEY_MAX)
		return result(EINVAL);
	struct where w = {.key = {from, (unsigned)fromlen}, .last = d == TREE_BACKWARD && from == NULL};
	if (from == NULL)
		w.key.len = 0;
	for (;;) {
		int error = copy_leaf(t, &w, &b);
		if (error != 0)
			return result(error);
		int r = scan_leaf(&b.page, d, &w, entry, arg);
		/* On where this leaf ends, wherever in the tree that is by now. */
		struct bytes next = d == TREE_FORWARD ? page_upper(&b.page) : page_lower(&b.page);
		if (r != 0 || next.at == NULL || next.len == 0)
			return r;
		memcpy(fence, next.at, next.len);
		w = (struct where){.key = {fence, next.len}, .below = d == TREE_BACKWARD};
	}
}

/* ---- open and close ------------------------------------------------------------------------------------------- */

/* The empty tree is the log's first record. */
static int create(struct tree *t)
{
	struct node space, root;
	union buffer space_image, root_image;
	int error = node_take_new(t, &space, SPACE);
	if (error != 0)
		return error;
	error = node_take_new(t, &root, ROOT);
	if (error == 0) {
		page_init(&space_image, LEVEL_META, (struct bytes){0}, (struct bytes){0});
		space_image.page.pages = ROOT + 1;
		page_init(&root_image, LEVEL_LEAF, (struct bytes){0}, (struct bytes){0});
		struct node *nodes[] = {&space, &root};
		struct change changes[] = {image_change(&space_image), image_change(&root_image)};
		error = nodes_change(t, nodes, changes, 2);
		node_leave(t, &root);
	}
	node_leave(t, &space);
	return error;
}

/* Is there a tree in the file?  What is not one is left alone. */
static int has_tree(struct tree *t, bool *has)
{
	struct mpool_stats stats;
	struct node n;
	*has = false;
	if (mpool_stats(t->pool, &stats, sizeof stats) != 0)
		return errno;
	if (stats.pages == 0)
		return 0;
	int error = node_take(t, &n, SPACE, MPOOL_SHARED);
	if (error != 0)
		return error;
	*has = page_level(n.page) == LEVEL_META;
	error = *has || n.page->lsn == 0 ? 0 : EBADMSG;
	node_leave(t, &n);
	return error;
}

static int begin_first(struct tree *t, const struct tree_options *o)
{
	struct mpool_stats stats;
	bool has;
	if (mpool_stats(t->pool, &stats, sizeof stats) != 0)
		return errno;
	/* Who had the pool ended, and it is not gone yet. */
	if (stats.processes > 1 || stats.cached > 0)
		return EBUSY;
	int error = node_recover(t, o->log_bytes != 0 ? o->log_bytes : LOG_BYTES_DEFAULT);
	if (error == 0)
		error = has_tree(t, &has);
	return error == 0 && !has ? create(t) : error;
}

/* One process at a time.  Whoever has the tree open has page 0 pinned. */
static int begin(struct tree *t, const struct tree_options *o)
{
	t->space = mpool_get(t->pool, SPACE, MPOOL_CACHED);
	if (t->space != NULL)
		return log_has_begun(&t->log) ? 0 : EBUSY;
	int error = begin_first(t, o);
	if (error == 0 && (t->space = mpool_get(t->pool, SPACE, 0)) == NULL)
		error = errno;
	return error;
}

static int open_pool(struct tree *t, const struct tree_options *o)
{
	struct mpool_stats stats;
	struct stat st;
	t->pool = mpool_open(o->key, t->fd, PAGE_SIZE, o->cache != 0 ? o->cache : CACHE_DEFAULT);
	if (t->pool == NULL)
		return errno;
	t->view = mpool_view(t->pool, MPOOL_VIEW_LAYOUT);
	int error = node_hooks(t);
	if (error != 0)
		return error;
	if (mpool_tune(t->pool, MPOOL_LATCHED, 1) != 0 || mpool_tune(t->pool, MPOOL_CLEANERS, o->cleaners) != 0 ||
	    mpool_stats(t->pool, &stats, sizeof stats) != 0 || fstat(t->fd, &st) != 0)
		return errno;
	return stats.device == st.st_dev && stats.inode == st.st_ino ? 0 : EINVAL;
}

static int open_all(struct tree *t, const char *file, const struct tree_options *o)
{
	t->fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (t->fd < 0)
		return errno;
	/* Until it is closed: for this process alone, or for those that share the pool. */
	if (flock(t->fd, (t->shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? EBUSY : errno;
	int error = log_open(&t->log, file, t->shared);
	if (error != 0)
		return error;
	if (flock(t->log.fd, LOCK_EX) != 0)
		return errno;
	error = open_pool(t, o);
	if (error == 0)
		error = begin(t, o);
	(void)flock(t->log.fd, LOCK_UN);
	return error;
}

static void close_all(struct tree *t)
{
	if (t->space != NULL)
		(void)mpool_put(t->pool, t->space, 0);
	if (t->pool != NULL)
		(void)mpool_close(t->pool);
	log_close(&t->log);
	if (t->fd >= 0)
		close(t->fd);
	free(t);
}

int tree_open(struct tree **t, const char *file, const struct tree_options *options)
{
	static const struct tree_options none;
	const struct tree_options *o = options != NULL ? options : &none;
	if (o->log_bytes != 0 && (o->log_bytes < LOG_SIZE_LEAST || o->log_bytes % LOG_BUFFER != 0))
		return result(EINVAL);
	*t = calloc(1, sizeof **t);
	if (*t == NULL)
		return -1;
	(*t)->log.fd = -1;
	(*t)->fd = -1;
	(*t)->shared = o->key != NULL;
	int error = open_all(*t, file, o);
	if (error != 0) {
		close_all(*t);
		*t = NULL;
	}
	return result(error);
}

int tree_close(struct tree *t)
{
	int error = tree_checkpoint(t) != 0 ? errno : 0;
	close_all(t);
	return result(error);
}
