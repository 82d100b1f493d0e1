/* pageio.c - see pageio.h. */
#include "pageio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frame.h"
#include "thread.h"

#define SECTOR      512u /* what an O_DIRECT transfer is a multiple of, at least */
#define MEMORY_PAGE 4096u
/* Lines of a page that are worth fetching ahead: the processor has room for no more. */
#define PREFETCH_BYTES 4096u

/* The unit of O_DIRECT transfers on `fd`, in bytes. */
static unsigned direct_unit(int fd, bool block_device)
{
	int sector;
	if (block_device && ioctl(fd, BLKSSZGET, &sector) == 0)
		return (unsigned)sector;
#ifdef STATX_DIOALIGN
	struct statx sx;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) == 0 && (sx.stx_mask & STATX_DIOALIGN) &&
	    sx.stx_dio_offset_align)
		return sx.stx_dio_offset_align;
#endif
	return SECTOR;
}

int pageio_open(struct pageio *io, int fd, uint32_t pagesize, uint32_t *pages, bool *tail)
{
	struct stat st;
	if (pagesize == 0) {
		errno = EINVAL;
		return -1;
	}
	if (fstat(fd, &st) != 0)
		return -1;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		errno = ESPIPE;
		return -1;
	}
	uint64_t bytes = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &bytes) != 0)
		return -1;
	int flags = fcntl(fd, F_GETFL);
	bool direct = flags != -1 && (flags & O_DIRECT);
	/* Linux's pwrite on such a descriptor writes at the end of the file. */
	bool appends = flags != -1 && (flags & O_APPEND) && (flags & O_ACCMODE) != O_RDONLY;
	if (appends || (direct && pagesize % direct_unit(fd, S_ISBLK(st.st_mode)) != 0)) {
		errno = EINVAL;
		return -1;
	}
	uint64_t whole = bytes / pagesize;
	*pages = whole < MAX_PAGE_NUMBER ? (uint32_t)whole : MAX_PAGE_NUMBER;
	*tail = bytes % pagesize != 0;
	io->fd = fd;
	io->device = st.st_dev;
	io->inode = st.st_ino;
	io->pagesize = pagesize;
	io->align = MEMORY_PAGE;
	return 0;
}

void pageio_init(struct pageio *io, struct pageio_state *st, uint32_t pages, bool tail)
{
	io->state = st;
	atomic_init(&st->pages, pages);
	atomic_init(&st->extent, pages);
	atomic_init(&st->tail, tail ? pages : PAGE_NONE);
}

bool pageio_agrees(const struct pageio *io)
{
	if (!io->shared)
		return true;
	uint32_t own = io->pgin || io->pgout ? FORM_FILTERED : FORM_PLAIN, form = atomic_load(&io->state->form);
	return form == own || (form == FORM_OPEN && atomic_compare_exchange_strong(&io->state->form, &form, own)) ||
	       form == own;
}

uint32_t pageio_pages(const struct pageio *io)
{
	return atomic_load(&io->state->pages);
}

uint32_t pageio_extend(const struct pageio *io, uint32_t page)
{
	uint32_t n = atomic_load(&io->state->pages), made;
	do {
		made = page == PAGE_NONE ? n : page;
		if (made == PAGE_NONE)
			break;
	} while (made >= n && !atomic_compare_exchange_weak(&io->state->pages, &n, made + 1));
	return made;
}

static void raise_to(_Atomic uint32_t *word, uint32_t value)
{
	uint32_t n = atomic_load(word);
	while (n < value && !atomic_compare_exchange_weak(word, &n, value))
		;
}

/* Of a page that is in the file, or for which there is room in one. */
static off_t page_offset(const struct pageio *io, uint32_t page)
{
	return (off_t)page * io->pagesize;
}

/* Pages `page` to before page + n end within what a file can hold. */
static bool in_file_range(const struct pageio *io, uint32_t page, uint32_t n)
{
	off_t end;
	return !__builtin_mul_overflow((uint64_t)page + n, (uint64_t)io->pagesize, &end);
}

/* Was the page never written?  Then it is zeros, whatever the file has there. */
static bool unwritten(const struct pageio *io, uint32_t page)
{
	return page >= atomic_load(&io->state->extent) || page == atomic_load(&io->state->tail);
}

static bool all_zeros(const char *bytes, size_t n)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0;
}

/*
 * The frame of a page that was evicted is cold.  Its lines come while the kernel
 * looks for the page, and its copy does not wait for them (50 ns of 1,300).
 */
static void prefetch(const char *to, size_t bytes)
{
	for (size_t at = 0; at < bytes && at < PREFETCH_BYTES; at += CACHE_LINE)
		__builtin_prefetch(to + at, 1);
}

/* What the file has of a page there.  0, or -1 and errno. */
static int read_bytes(const struct pageio *io, uint32_t page, void *to)
{
	prefetch(to, io->pagesize);
	for (size_t done = 0; done < io->pagesize;) {
		ssize_t n = pread(io->fd, (char *)to + done, io->pagesize - done, page_offset(io, page) + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = EIO; /* the file ends here now: it was cut short */
			return -1;
		}
		done += (size_t)n;
	}
	return 0;
}

/* Should the filter not return, thread_filtering tells (thread.h). */
static void filter(const struct pageio *io, void (*by)(void *, pgno_t, void *), uint32_t page, void *bytes)
{
	struct filtering before = thread_filtering;
	thread_filtering = (struct filtering){io, (uintptr_t)__builtin_frame_address(0)};
	by(io->cookie, page, bytes);
	thread_filtering = before;
}

void pageio_encode(const struct pageio *io, uint32_t page, void *copy)
{
	if (io->pgout)
		filter(io, io->pgout, page, copy);
}

int pageio_read(const struct pageio *io, uint32_t page, void *to, bool made)
{
	bool reads = !unwritten(io, page);
	if (!reads)
		memset(to, 0, io->pagesize);
	else if (read_bytes(io, page, to) != 0)
		return -1;
	if (io->pgin && !(made && all_zeros(to, io->pagesize)))
		filter(io, io->pgin, page, to);
	return reads;
}

/* Bytes written of `bytes`; fewer: errno tells why. */
static size_t write_bytes(const struct pageio *io, const char *from, size_t bytes, off_t at)
{
	size_t done = 0;
	while (done < bytes) {
		ssize_t n = pwrite(io->fd, from + done, bytes - done, at + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = EIO; /* the device takes no more, and does not say why */
			break;
		}
		done += (size_t)n;
	}
	return done;
}

uint32_t pageio_write(const struct pageio *io, uint32_t page, uint32_t n, const void *from)
{
	if (!in_file_range(io, page, n)) {
		errno = EFBIG;
		return 0;
	}
	size_t bytes = write_bytes(io, from, (size_t)n * io->pagesize, page_offset(io, page));
	uint32_t written = (uint32_t)(bytes / io->pagesize);
	if (written == 0)
		return 0;
	/* Before the caller ends the writing: a later read must find the page. */
	raise_to(&io->state->extent, page + written);
	uint32_t tail = atomic_load(&io->state->tail);
	if (tail >= page && tail - page < written)
		atomic_store(&io->state->tail, PAGE_NONE);
	return written;
}

unsigned pageio_turn(const struct pageio *io)
{
	/* Sequentially consistent, after the pwrite: see the head of pageio.h. */
	return atomic_load(&io->state->turn);
}

void pageio_left(const struct pageio *io, bool turn0, bool turn1)
{
	if (turn0 && !atomic_load(&io->state->left[0]))
		atomic_store(&io->state->left[0], true);
	if (turn1 && !atomic_load(&io->state->left[1]))
		atomic_store(&io->state->left[1], true);
}
