/* check.c - tree_check: is each page where its parent says it is, as its fences say, and in the tree or free, once? */
#include "tree.h"

#include <stdio.h>
#include <stdlib.h>

#include "node.h"

enum { SPACE = 0, ROOT = 1, WHY_MAX = 160 };

struct check {
	struct tree *tree;
	uint32_t pages; /* in use, or free */
	unsigned char *seen;
	uint64_t entries;
	char *why;
};

static bool wrong(const struct check *c, pgno_t pgno, const char *what)
{
	snprintf(c->why, WHY_MAX, "page %lu: %s", (unsigned long)pgno, what);
	return false;
}

/* A copy of a page that was not seen yet. */
static bool see(struct check *c, pgno_t pgno, union buffer *b)
{
	struct node n;
	if (pgno >= c->pages)
		return wrong(c, pgno, "no such page was ever in use");
	if (c->seen[pgno]++)
		return wrong(c, pgno, "is there twice");
	int error = node_take(c->tree, &n, pgno, MPOOL_SHARED);
	if (error != 0)
		return wrong(c, pgno, "it cannot be had");
	mpool_load_bytes(b->bytes, n.page, PAGE_SIZE);
	node_leave(c->tree, &n);
	return true;
}

static bool same_fence(struct bytes a, struct bytes b)
{
	return (a.at == NULL) == (b.at == NULL) && (a.at == NULL || bytes_compare(a, b) == 0);
}

/* level -1: whatever it has. */
static bool check_node(struct check *c, pgno_t pgno, int level, struct bytes lower, struct bytes upper)
{
	union buffer b;
	const struct page *p = &b.page;
	if (!see(c, pgno, &b))
		return false;
	const char *what = page_wrong(p);
	if (what != NULL)
		return wrong(c, pgno, what);
	if (p->changing)
		return wrong(c, pgno, "a change of it has not ended");
	if (level < 0 ? p->level >= LEVEL_META : p->level != level)
		return wrong(c, pgno, "is of another level than its parent says");
	if (!same_fence(page_lower(p), lower) || !same_fence(page_upper(p), upper))
		return wrong(c, pgno, "has other fences than its parent says");
	if (p->level == LEVEL_LEAF) {
		c->entries += p->count;
		return true;
	}
	if (p->count == 0 || bytes_compare(page_key(p, 0), lower) != 0)
		return wrong(c, pgno, "an inner node whose first child does not begin where it does");
	for (unsigned i = 0; i < p->count; i++) {
		struct bytes to = i + 1 < p->count ? page_key(p, i + 1) : upper;
		if (!check_node(c, page_child(p, i), p->level - 1, page_key(p, i), to))
			return false;
	}
	return true;
}

static bool check_all(struct check *c, pgno_t first_free)
{
	union buffer b;
	if (!check_node(c, ROOT, -1, (struct bytes){"", 0}, (struct bytes){0}))
		return false;
	for (pgno_t pgno = first_free; pgno != 0; pgno = b.page.link)
		if (!see(c, pgno, &b))
			return false;
		else if (b.page.level != LEVEL_FREE)
			return wrong(c, pgno, "is no free page, but among them");
	for (pgno_t pgno = ROOT; pgno < c->pages; pgno++)
		if (!c->seen[pgno])
			return wrong(c, pgno, "neither in the tree nor free");
	return true;
}

const char *tree_check(struct tree *t, uint64_t *entries)
{
	static _Thread_local char why[WHY_MAX];
	struct check c = {.tree = t, .why = why};
	struct node space;
	if (node_take(t, &space, SPACE, MPOOL_SHARED) != 0)
		return "page 0 cannot be had";
	c.pages = space.page->pages;
	pgno_t first_free = space.page->link;
	node_leave(t, &space);
	c.seen = calloc(c.pages, 1);
	if (c.seen == NULL)
		return "no memory to check in";
	bool right = check_all(&c, first_free);
	free(c.seen);
	if (entries != NULL)
		*entries = c.entries;
	return right ? NULL : why;
}
