/*
 * page.h - what a page of the tree holds, and how it is searched and changed.
 *
 * A page is a head, an array of slots that grows upwards, and a heap of entries that grows downwards.  An entry
 * is a key and a value; of an inner node the value is the number of a child, and the key the least that may be in it.
 * A slot has where its entry is, how long its key, and the key's head: four bytes of it, as a number, so that a search
 * rarely leaves the slots.  The head begins behind the prefix that all keys of the page have in common.
 *
 * Each node knows its fences: it has the keys from `lower` up to, and without, `upper`.  They are what its parent
 * says of it, so a scan needs no links between neighbours: the next leaf is the one where the upper fence belongs.
 * And a split or merge changes two nodes and their parent, and no third.
 *
 * Who reads: those with a latch, and those without (mpool_peek).  To the latter anything may be garbage until
 * it was checked.  So all that is found in a page is loaded by <mpool_peek.h>, once, and made to lie within the page; and all that
 * is changed in place is stored by it.  What is said to be "private" is a copy that nobody else has.
 */
#ifndef TREE_PAGE_H
#define TREE_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mpool_peek.h>

enum {
	PAGE_SIZE = 4096,
	KEY_MAX = 256,    /* bytes of a key */
	ENTRY_MAX = 1000, /* bytes of a key and its value: a quarter of a page, so that halves have room for another */
	LEVEL_LEAF = 0,
	LEVEL_META = 0xfffe, /* page 0: the free pages */
	LEVEL_FREE = 0xffff,
};

/* Bytes that are somebody else's. */
struct bytes {
	const void *at;
	unsigned len;
};

struct page {
	uint64_t sum;      /* of all that follows; in the file */
	uint64_t lsn;      /* where the record ends, in the log, of the last change */
	uint64_t changing; /* 1: a change of the page is being logged or made; never in the file */
	uint16_t level;    /* of a node above the leaves, or LEVEL_... */
	uint16_t count;    /* slots */
	uint16_t heap;     /* where it begins */
	uint16_t dead;     /* bytes of it that are nobody's */
	uint16_t prefix;   /* bytes that all keys have in common */
	uint16_t lower, lower_len;
	uint16_t upper, upper_len; /* upper 0: there is none, the node is the last of its level */
	uint16_t unused;
	uint32_t link;  /* of a free page: the next; of page 0: the first; 0: none */
	uint32_t pages; /* of page 0: that were ever in use */
	uint32_t unused2;
	uint64_t slot[];
};

enum {
	PAGE_HEAD = offsetof(struct page, slot),
	PAGE_BODY = offsetof(struct page, level), /* what changes change begins here */
	SLOTS_MAX = (PAGE_SIZE - PAGE_HEAD) / sizeof(uint64_t),
	/* An inner node has room for another entry if it has that for the longest. */
	SEPARATOR_MAX = KEY_MAX + sizeof(uint32_t),
	/* Neighbours are merged when one of them has less in it, if both together have no more than this. */
	FEW = (PAGE_SIZE - PAGE_HEAD) / 4,
	MANY = (PAGE_SIZE - PAGE_HEAD) * 3 / 4,
};

/* Memory for a private page. */
union buffer {
	struct page page;
	unsigned char bytes[PAGE_SIZE];
};

uint64_t checksum(const void *bytes, size_t len, uint64_t seed);

/* ---- of a page that may be changing -------------------------------------- */

static inline unsigned page_level(const struct page *p)
{
	return mpool_load16(&p->level);
}
static inline unsigned page_count(const struct page *p)
{
	unsigned n = mpool_load16(&p->count);
	return n < SLOTS_MAX ? n : SLOTS_MAX;
}
/* The first slot whose key is not less; `found`: it is the same. */
unsigned page_find(const struct page *p, struct bytes key, bool *found);
/* The slot of the child where the key belongs; `below`: where those just below it do. */
unsigned page_find_child(const struct page *p, struct bytes key, bool below);
/* Copies the first `room` bytes of the value; how long it is. */
unsigned page_value(const struct page *p, unsigned i, void *to, unsigned room);
pgno_t page_child(const struct page *p, unsigned i);

/* ---- of one that is not ---------------------------------------------------- */

struct bytes page_key(const struct page *p, unsigned i);
struct bytes page_lower(const struct page *p);
/* at NULL: there is none. */
struct bytes page_upper(const struct page *p);
/* Bytes that slots and entries take. */
unsigned page_used(const struct page *p);
/* Is there room for one more entry whose key and value are that long together? */
bool page_has_room(const struct page *p, unsigned len);
/* ... or for that instead of the entry there? */
bool page_has_room_instead(const struct page *p, unsigned i, unsigned len);
/* What is wrong with it; NULL: nothing. */
const char *page_wrong(const struct page *p);

/* Less than 0, 0, more, as memcmp. */
int bytes_compare(struct bytes a, struct bytes b);

/* ---- to change it, where there is room ------------------------------------- */

void page_insert(struct page *p, unsigned i, struct bytes key, struct bytes value);
void page_remove(struct page *p, unsigned i);
/* Entries from slot n on go, and the upper fence is this one. */
void page_cut(struct page *p, unsigned n, struct bytes upper);
/* All but sum, lsn and `changing` becomes as in a private page. */
void page_become(struct page *p, const struct page *from);

/* A private page without entries; upper.at NULL: none. */
void page_init(union buffer *b, unsigned level, struct bytes lower, struct bytes upper);
/* Adds slots first to last - 1 of another page to a private one. */
void page_append(union buffer *b, const struct page *from, unsigned first, unsigned last);
/* Where to split one of two entries at least: from this slot on go right; and the least key that may be there, which lies in the page. */
unsigned page_middle(const struct page *p, bool at_end, struct bytes *separator);

/* ---- its image: without what is between slots and heap --------------------- */

enum { IMAGE_MAX = PAGE_SIZE };
unsigned page_image(const struct page *p, void *to);
/* false: it is none. */
bool page_from_image(union buffer *b, struct bytes image);

#endif
