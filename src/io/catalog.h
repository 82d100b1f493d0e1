/*
 * catalog.h - the files of a pool that processes share, and which of the pool's page numbers are whose.
 *
 * Owns CHUNK_CATALOG, which the first attach makes (share/files.h), what it leads to, and the role of who changes it; and of
 * this process a `struct io` for each of the files, be it that another process has attached it: any process may have to write
 * any page.
 *
 * A slot has a file, and its number is the file's as long as any process has it attached:
 *
 *   free     --an attach, with the pool's lock-->                                in
 *   in       --nobody has it any more, with the pool's lock-->                   closing
 *   closing  --who has `closer`: none of its pages is in memory, none of its
 *              extents is its own any more-->                                    free, one generation on
 *
 * `holders` says which members have it, one bit each.  It changes with the pool's lock (share/liveness.h), as the members do.
 *
 * An extent (io/extent.h) has an owner, in one word: a slot, with its generation, and which 256 of its pages.  It is given once,
 * and stays until the file is closed.  So a number that a get has in hand is the page's for as long as that get can last, and a
 * process may keep in a map of its own (extent.h) what it has found here: it need not look again.
 *
 *   free --the role-->                            a file's
 *   a file's --the role, who closes the file-->   free
 *
 * The owners are the truth.  Beside them stand links, by which an extent is found: chains by a hash of slot and index, and the
 * list of those that are free.  Who has the role changes them, and nobody else reads them; where he died, they are made anew
 * from the owners, and so is the limit of the first file, which ends where the extents begin.
 *
 *   role   nobody's --L--> a stripe's --L--> nobody's; or who recovers that stripe
 *   low    lowered with the role: extents from there on have been used
 *
 * Whoever has the role waits for nothing, and calls nothing of the program's.
 */
#ifndef MPOOL_CATALOG_H
#define MPOOL_CATALOG_H

#include "core/member.h"
#include "io/io.h"

/* The explorer has smaller ones, and fewer. */
#ifndef EXTENT_PAGES
#define EXTENT_PAGES 256u
#define EXTENT_BLOCK 4096u
/* The topmost: that above it has PAGE_NONE, which is no page. */
#define EXTENT_TOP      (PAGE_NONE / EXTENT_PAGES - 1)
#define FILE_BLOCK      64u
#define OWNER_SLOT_BITS 14u
#define CATALOG_CHAINS  16384u
#endif
#define EXTENT_NONE 0u /* the first file has it, be it empty; as a word of a map: it has none */
/* Extents are kept in blocks of EXTENT_BLOCK, counted from the top, which are made when they are needed, and stay. */
#define EXTENT_BLOCKS (EXTENT_TOP / EXTENT_BLOCK + 1)

/* Files that are attached at once; in blocks, too. */
#define FILES_MAX   (1u << OWNER_SLOT_BITS)
#define FILE_BLOCKS (FILES_MAX / FILE_BLOCK)

enum file_state { FILE_FREE, FILE_IN, FILE_CLOSING };
#define FILE_STATE_BITS 2u
#define MEMBER_WORDS    (MEMBERS_MAX / 64)

/*
 * Who makes the pages of a closing file leave memory: above, of which generation; below, the stripe + 1; 0: nobody, and whoever
 * comes may take it over.  It stays when the slot is free: so who finds a file closing, and is slow, takes over no other.
 */
#define CLOSER_GENERATION_SHIFT 32

struct file_slot {
	/* FILE_..., and above: how many files it has had. */
	_Atomic uint64_t state;
	uint32_t number;
	_Atomic uint64_t device, inode; /* while it is in, and closing */
	_Atomic uint64_t holders[MEMBER_WORDS];
	_Atomic uint64_t closer; /* CLOSER_... */
	_Atomic uint64_t counts[IO_COUNTERS];
	struct pageio_state pageio;
};

/* Of an owner: from the lowest bit on; 0: nobody's. */
#define OWNER_INDEX_BITS      32u
#define OWNER_GENERATION_BITS (63u - OWNER_INDEX_BITS - OWNER_SLOT_BITS)
#define OWNER_IS              ((uint64_t)1 << 63)

struct extent_owner {
	_Atomic uint64_t owner;
	_Atomic uint32_t next; /* in its chain, or in the list of free ones; EXTENT_NONE: it is the last */
};

struct catalog_state {
	_Atomic uint32_t who;   /* the stripe that has the role + 1; 0: nobody */
	_Atomic uint32_t low;   /* extents from there on have been in use */
	_Atomic uint32_t free;  /* the first of the free ones; EXTENT_NONE */
	_Atomic uint32_t files; /* slots below this have been in use; with the pool's lock */
	/* Where they are in the region; 0: not there. */
	_Atomic uint64_t file_block[FILE_BLOCKS], extent_block[EXTENT_BLOCKS];
	_Atomic uint32_t chain[CATALOG_CHAINS];
};

/* This process's own. */
struct catalog {
	struct region *region;
	struct io *first;
	struct io *file; /* FILES_MAX of them, in memory that is there when it is written to; NULL: not yet */
	_Atomic bool file_ready[FILE_BLOCKS]; /* those of the block are as file_begin leaves them */
};

/* In a process that makes or joins a pool.  0, or ENOMEM. */
int catalog_join(struct io *first);
void catalog_leave(struct io *first);
/* Make it, with the pool's lock held.  0, or an errno. */
int catalog_make(struct io *first);

/* Is there one?  Then the pool has, or had, more files than one. */
static inline struct catalog_state *catalog_state(const struct catalog *c)
{
	return region_live(c->region, CHUNK_CATALOG);
}
static inline bool catalog_is(const struct io *io)
{
	const struct catalog *c = io->pool->catalog;
	return unlikely(c != NULL) && catalog_state(c);
}

/* Slots below this have been in use. */
uint32_t catalog_files(const struct catalog *c);
/* The slot, which has been in use, and this process's own part of it. */
struct file_slot *catalog_slot(const struct catalog *c, uint32_t file);
struct io *catalog_file(struct catalog *c, uint32_t file);
/* One that is free, by its number; FILES_MAX: there is none, or no memory.  With the pool's lock. */
uint32_t catalog_free_slot(struct catalog *c);

static inline enum file_state file_state_of(const struct file_slot *s)
{
	return (enum file_state)(atomic_load(&s->state) & ((1u << FILE_STATE_BITS) - 1));
}
static inline uint64_t file_generation(const struct file_slot *s)
{
	return atomic_load(&s->state) >> FILE_STATE_BITS;
}

/* Has this process descriptors of the file, as it is now in the slot? */
static inline bool file_here(const struct io *io)
{
	return atomic_load(&io->here) == file_generation(io->slot) + 1;
}

static inline uint64_t member_bit(uint32_t member)
{
	return (uint64_t)1 << member % 64;
}
static inline bool file_held_by(const struct file_slot *s, uint32_t member)
{
	return atomic_load(&s->holders[member / 64]) & member_bit(member);
}

/* How many members have it. */
uint32_t file_holders(const struct file_slot *s);

/* Whose page is that, and which of its pages?  The first file's: its `io` is the first. */
struct whose {
	struct io *io;
	uint32_t page; /* of the file's */
};
struct whose catalog_whose(struct catalog *c, uint32_t page);

/*
 * The extent of the slot's pages from index * EXTENT_PAGES on; `give`: it is given one, if it has none.  EXTENT_NONE: it has none;
 * EFBIG or ENOMEM in *error: it can have none; EAGAIN: others have used up the memory that was prepared, and it is to be tried again.
 */
uint32_t catalog_extent(struct catalog *c, struct stripe *me, struct file_slot *s, uint32_t index, bool give,
                        int *error);
/* Call `see` for each of the slot's extents, while nobody gives it any. */
typedef void extent_seen(void *to, uint32_t e, uint32_t index);
void catalog_each(struct catalog *c, const struct file_slot *s, extent_seen *see, void *to);
/* None is the slot's any more: none of their pages is in memory.  False: not `waits`, and another has the role. */
bool catalog_take_back(struct catalog *c, struct stripe *me, const struct file_slot *s, bool waits);

/* Whoever has the role may be gone: `dead` tells. */
void catalog_recover(struct catalog *c, stripe_test *dead, void *of);
/* Does it look as this code leaves it? */
bool catalog_sound(const struct catalog *c, uint64_t end);

/* Around a fork: the lock of what this process has of its own here, and in extent.h. */
void extent_lock(void);
void extent_unlock(void);

#endif
