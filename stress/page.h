/*
 * page.h - pages that say what they are.
 *
 * Owns the form of a page that this program writes: a header with the page's
 * number, its version and who wrote it, a checksum over all of the page, and a
 * body that follows from number and version.  So a page alone tells whether it
 * is whole, whose bytes it has and how old they are.  A version is 1 or more;
 * a page of zeros stands for version 0, "never written".
 *
 * Pages may lie at any address: a page size need not be a multiple of eight.
 */
#ifndef STRESS_PAGE_H
#define STRESS_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "mpool.h"

enum { PAGE_SIZE_MIN = 32 }; /* the header alone */

enum page_state {
	PAGE_INTACT,  /* as page_write left it */
	PAGE_ZERO,    /* zeros throughout */
	PAGE_DAMAGED, /* begins as page_write left it, but is not that page throughout */
	PAGE_FOREIGN, /* does not even begin so */
};

struct page_view {
	enum page_state state;
	pgno_t pgno;      /* with PAGE_INTACT and PAGE_DAMAGED: what the header says */
	uint64_t version; /* 0 with PAGE_ZERO */
	uint64_t writer;
	size_t first_wrong; /* with PAGE_DAMAGED: where the first word is not of that page and version */
};

void page_write(void *page, size_t size, pgno_t pgno, uint64_t version, uint64_t writer);
void page_read(const void *page, size_t size, struct page_view *view);

/* Is it exactly this version of this page? */
bool page_is(const struct page_view *view, pgno_t pgno, uint64_t version);

/* Of all its bytes. */
uint64_t page_hash(const void *page, size_t size);

/* Room for one; good for O_DIRECT. */
char *page_buffer(size_t size);
/* As much as the file has there, read plainly. */
size_t read_at(int fd, char *buffer, size_t size, off_t at);

#endif
