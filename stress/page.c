/*
 * page.c - pages that say what they are; see page.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "report.h"

#define MAGIC 0x6c6f6f70 /* "pool" */

/* The numbers of the splitmix64 generator, which mixes well and is short. */
#define MIX_STEP  0x9e3779b97f4a7c15u
#define MIX_FIRST 0xbf58476d1ce4e5b9u
#define MIX_LAST  0x94d049bb133111ebu

struct header {
	uint32_t magic;
	pgno_t pgno;
	uint64_t checksum; /* of all bytes after it; the page number is its seed */
	uint64_t version;
	uint64_t writer;
};

enum { ALIGNMENT = 4096 /* good for O_DIRECT */ };

enum { CHECKED_FROM = offsetof(struct header, version) };

_Static_assert(sizeof(struct header) == PAGE_SIZE_MIN, "the header has no holes");

static uint64_t mixed(uint64_t x)
{
	x = (x ^ (x >> 30)) * MIX_FIRST;
	x = (x ^ (x >> 27)) * MIX_LAST;
	return x ^ (x >> 31);
}

/* Where the body's words start to count. */
static uint64_t body_start(pgno_t pgno, uint64_t version)
{
	return mixed(((uint64_t)pgno << 32) + version);
}

static uint64_t body_word(uint64_t start, size_t at)
{
	return mixed(start + at * MIX_STEP);
}

static uint64_t checksum(const void *page, size_t size, pgno_t pgno)
{
	return XXH3_64bits_withSeed((const char *)page + CHECKED_FROM, size - CHECKED_FROM, pgno);
}

static void write_body(char *page, size_t size, pgno_t pgno, uint64_t version)
{
	uint64_t start = body_start(pgno, version), word;
	size_t at = sizeof(struct header);

	for (; size - at >= sizeof word; at += sizeof word) {
		word = body_word(start, at);
		memcpy(page + at, &word, sizeof word);
	}
	word = body_word(start, at);
	memcpy(page + at, &word, size - at);
}

void page_write(void *page, size_t size, pgno_t pgno, uint64_t version, uint64_t writer)
{
	struct header h = {.magic = MAGIC, .pgno = pgno, .version = version, .writer = writer};

	write_body(page, size, pgno, version);
	memcpy(page, &h, sizeof h);
	h.checksum = checksum(page, size, pgno);
	memcpy(page, &h, sizeof h);
}

/* Where the first word of the body is that does not follow from number and version, or `size`. */
static size_t body_first_wrong(const char *page, size_t size, pgno_t pgno, uint64_t version)
{
	uint64_t start = body_start(pgno, version), word, expected;
	size_t at = sizeof(struct header), length;

	for (; at < size; at += length) {
		length = size - at < sizeof word ? size - at : sizeof word;
		expected = body_word(start, at);
		word = expected;
		memcpy(&word, page + at, length);
		if (word != expected)
			break;
	}
	return at;
}

static bool all_zero(const char *page, size_t size)
{
	return page[0] == 0 && memcmp(page, page + 1, size - 1) == 0;
}

void page_read(const void *page, size_t size, struct page_view *view)
{
	struct header h;

	*view = (struct page_view){.state = PAGE_FOREIGN};
	memcpy(&h, page, sizeof h);
	if (h.magic != MAGIC) {
		if (all_zero(page, size))
			view->state = PAGE_ZERO;
		return;
	}
	view->pgno = h.pgno;
	view->version = h.version;
	view->writer = h.writer;
	view->first_wrong = body_first_wrong(page, size, h.pgno, h.version);
	/* The body is compared too, and not for its own sake alone: libxxhash's
	   reads are invisible to ThreadSanitizer, these are not. */
	view->state =
		view->first_wrong == size && h.checksum == checksum(page, size, h.pgno) ? PAGE_INTACT : PAGE_DAMAGED;
}

bool page_is(const struct page_view *view, pgno_t pgno, uint64_t version)
{
	if (version == 0)
		return view->state == PAGE_ZERO;
	return view->state == PAGE_INTACT && view->pgno == pgno && view->version == version;
}

uint64_t page_hash(const void *page, size_t size)
{
	return XXH3_64bits(page, size);
}

char *page_buffer(size_t size)
{
	char *buffer = aligned_alloc(ALIGNMENT, (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);

	if (buffer == NULL)
		trouble("no memory for a page");
	return buffer;
}

size_t read_at(int fd, char *buffer, size_t size, off_t at)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, buffer + done, size - done, at + (off_t)done);

		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			trouble("reading the file");
		if (n > 0)
			done += (size_t)n;
	}
	return done;
}
