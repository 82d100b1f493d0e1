/*
 * extent.h - many files in one pool: which of the pool's page numbers are whose.
 *
 * Owns the extents, 256 page numbers each, of the pool's own; the maps of files to them; the list of the
 * files that are attached; and one lock, for all pools, under which these change.
 *
 * An entry (core/table.h) has 32 bits for the number of a page, and they are all in use.  So a pool has numbers of
 * its own.  Of the first file they are the file's, from 0 up.  The others' pages get them an extent at a time, from
 * the top down, when the first page of 256 is asked for:
 *
 *   forwards   file's map[number / 256] -> extent; 0: it has none
 *   backwards  extent -> file, and which 256 of its pages
 *
 *   never used --a page of it is asked for; the first file has no such numbers-->  a file's
 *   a file's   --it is closed, and none of its pages is in memory-->               free
 *   free       --a page is asked for-->                                           a file's
 *   a file's   --numbers have run out, and none of its pages is in memory-->      another's; not of one that is being closed
 *
 * The last is what has to be done with care: a get may have been stopped with a number in hand that is another
 * file's by now.  So who has a number by the map looks at the map again when nobody can take the extent any more:
 *
 *   get    number by the map -> entry inserted (L), or pin shown and found in memory -> the map again: another
 *          number, or none: it backs out, and begins anew                                      }  pairs with
 *   reuse  word of the map <- 0 (L) -> heavy barrier -> no entry has a page of the extent      }
 *
 * Of an insertion one sees the other.  A pin needs an entry: of the old page, then reuse has found it; or of a page of
 * the extent's next file, which was inserted after the word was cleared, so that who finds the entry finds that too.
 * An entry keeps the extent, in whatever state it is, and so does whoever has the claim of a frame with such a page:
 * what they do with the page's number (reads, writes, runs) needs no second look.
 *
 * (Of a pool that processes share catalog.h has the extents, and maps are of what this process has found there: no word of
 * theirs changes as long as it has the file, so that the second look finds what the first did.)
 *
 * A fork waits for the lock (api/fork.h).  Who has it allocates nothing, calls nothing of the program's, and takes no other
 * lock but one that a fork takes later.
 */
#ifndef MPOOL_EXTENT_H
#define MPOOL_EXTENT_H

#include "io/catalog.h"
#include "io/io.h"

struct extent {
	_Atomic(struct io *) of; /* whose; NULL: it is free */
	_Atomic uint32_t index;  /* of the file's pages from index * EXTENT_PAGES on; of a free one: the next that is */
};

struct extents {
	_Atomic uint32_t low;                          /* those from there on have been in use */
	uint32_t free;                                 /* the first of the free ones; EXTENT_NONE */
	uint32_t hand;                                 /* where reuse looks next */
	struct io *files;                              /* that are attached */
	_Atomic(struct extent *) block[EXTENT_BLOCKS]; /* counted from the top */
};

/* A file's map.  One that was too short stays, for who is looking at it, until the file is closed; who takes an extent away clears its words, too. */
struct extent_map {
	struct extent_map *shorter;
	uint32_t n;
	_Atomic uint32_t word[];
};

/* Have what a pool needs whose files are more than one.  0, or an errno. */
int extents_begin(struct io *first);
void extents_end(struct io *first);
/* Does the pool have more than one file, or did it? */
static inline bool extents_are(const struct io *io)
{
	/* Acquire: pairs with extents_begin. */
	return atomic_load_explicit(&io->pool->extents, memory_order_acquire) != NULL || catalog_is(io);
}

/* The file is one of the private pool's, io->pool, from now on; none of its pages has a number.  0, or an errno. */
int extent_attach(struct io *io);
/* It is about to be none: nobody makes a call on it, and its extents stay as they are.  Before its pages leave. */
void extent_closing(struct io *io);
/* It is none any more; none of its pages is in memory. */
void extent_detach(struct io *io);
/* This process has the file of a shared pool from now on, and not any more: its map.  0, or ENOMEM. */
int extent_map_begin(struct io *io);
void extent_map_end(struct io *io);
/* Call `see` for each file that is attached, while nobody attaches or detaches one. */
void extent_each_file(const struct io *first, void (*see)(struct io *io, void *to), void *to);

/* The word of that map for the file's page `number`; NULL: the map is too short. */
static inline _Atomic uint32_t *extent_word(const _Atomic(struct extent_map *) *map, uint32_t number)
{
	/* Acquire: pairs with use_map, and extent_map_begin. */
	struct extent_map *m = atomic_load_explicit(map, memory_order_acquire);
	return likely(number / EXTENT_PAGES < m->n) ? &m->word[number / EXTENT_PAGES] : NULL;
}
/*
 * A word says how much greater the keys (core/table.h) of 256 pages are than their numbers in the file, modulo 2^32.  Keys begin
 * with 1: so no word of an extent is NONE.
 */
_Static_assert(EXTENT_PAGES > 1, "a word with an extent is not NONE");
static inline uint32_t extent_to_word(uint32_t e, uint32_t index)
{
	return (e - index) * EXTENT_PAGES + 1;
}
static inline uint32_t extent_of_word(uint32_t word, uint32_t index)
{
	return (word / EXTENT_PAGES + index) % (PAGE_NONE / EXTENT_PAGES + 1);
}
/* The key of the file's page `number`, and its number in the pool, by the word, which is not NONE. */
static inline uint64_t extent_key(uint32_t word, uint32_t number)
{
	return number + word;
}
static inline uint32_t extent_number(uint32_t word, uint32_t number)
{
	return number + word - 1;
}

/* The number in the pool of the file's page `number`, as far as this process knows; PAGE_NONE: it has none now. */
static inline uint32_t extent_page(const struct io *io, uint32_t number)
{
	if (io == io->pool)
		return number;
	const _Atomic uint32_t *word = extent_word(&io->map, number);
	/* Sequentially consistent, after an insertion: pairs with the clearing in take_away. */
	uint32_t w = word ? atomic_load(word) : EXTENT_NONE;
	return w == EXTENT_NONE ? PAGE_NONE : extent_number(w, number);
}
/* The same; it is given one, if it has none.  0, or an errno: EFBIG, ENOMEM. */
int extent_give(struct io *io, struct stripe *me, uint32_t number, uint32_t *page);
static inline int extent_have(struct io *io, struct stripe *me, uint32_t number, uint32_t *page)
{
	*page = extent_page(io, number);
	return likely(*page != PAGE_NONE) ? 0 : extent_give(io, me, number, page);
}

struct whose extent_whose(struct io *first, const struct extents *x, uint32_t page);
/* For who holds the page: see above.  For others it is a hint, and a file to compare with, not to look into. */
static inline struct whose whose_page(struct io *io, uint32_t page)
{
	/* Acquire: pairs with extents_begin. */
	const struct extents *x = atomic_load_explicit(&io->pool->extents, memory_order_acquire);
	if (likely(!x))
		return catalog_is(io) ? catalog_whose(io->pool->catalog, page) : (struct whose){io->pool, page};
	return extent_whose(io->pool, x, page);
}
/* For who holds the page, or as a hint: is it the file's? */
static inline bool extent_is_of(const struct io *io, uint32_t page)
{
	return whose_page(io->pool, page).io == io;
}
/* For who holds the page.  (Of the first file nothing is counted: stripes count what the pool does.)  Relaxed: it is a count. */
static inline void extent_count(struct io *io, uint32_t page, unsigned which, uint64_t n)
{
	if (n > 0 && extents_are(io))
		atomic_fetch_add_explicit(&whose_page(io, page).io->counts[which], n, memory_order_relaxed);
}
/* The same: one is taken back. */
static inline void extent_count_not(struct io *io, uint32_t page, unsigned which)
{
	if (extents_are(io))
		atomic_fetch_sub_explicit(&whose_page(io, page).io->counts[which], 1, memory_order_relaxed);
}
/* For who is in a call: the same, as far as any process knows. */
uint32_t extent_find(struct io *io, struct stripe *me, uint32_t number);
/* Call `see` for each of the file's extents, while nobody gives it any. */
void extent_each(struct io *io, extent_seen *see, void *to);
/* From `page` on so many numbers of the pool are neighbours in the file, too; at the most. */
static inline uint32_t extent_neighbours(const struct io *io, uint32_t page)
{
	return extents_are(io) ? EXTENT_PAGES - page % EXTENT_PAGES : PAGE_NONE;
}

#endif
