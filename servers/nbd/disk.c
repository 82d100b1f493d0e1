/*
 * disk.c - see disk.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* With O_DIRECT a tail must share no page of the kernel's cache with the body. */
enum { KERNEL_PAGE = 4096 };

/* Say why, and keep errno. */
__attribute__((format(printf, 2, 3))) static int because(char *why, const char *format, ...)
{
	int error = errno;
	va_list args;
	va_start(args, format);
	vsnprintf(why, DISK_WHY_MAX, format, args);
	va_end(args);
	errno = error;
	return -1;
}

/* The same, of what the system refused. */
static int refused(char *why, const struct disk *d, const char *what)
{
	return because(why, "%s: %s: %s", d->options.file, what, strerror(errno));
}

/* ---- open and close ------------------------------------------------------------ */

static int open_file(const struct disk *d, int flags)
{
	return open(d->options.file, flags | O_CLOEXEC | (d->writable ? O_RDWR : O_RDONLY));
}

static int open_files(struct disk *d, char *why)
{
	d->writable = true;
	d->plain = open_file(d, 0);
	if (d->plain < 0 && (errno == EACCES || errno == EROFS || errno == EPERM)) {
		d->writable = false;
		d->plain = open_file(d, 0);
	}
	if (d->plain < 0)
		return refused(why, d, "open");
	d->fd = open_file(d, d->options.direct ? O_DIRECT : 0);
	if (d->fd < 0)
		return refused(why, d, d->options.direct ? "open with O_DIRECT" : "open");
	return 0;
}

static int measure(struct disk *d, char *why)
{
	const struct disk_options *o = &d->options;
	struct stat st;
	if (fstat(d->plain, &st) != 0)
		return refused(why, d, "stat");
	errno = EINVAL;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return because(why, "%s is neither a regular file nor a block device", o->file);
	off_t size = lseek(d->plain, 0, SEEK_END);
	if (size < 0)
		return refused(why, d, "seek");
	d->size = (uint64_t)size;
	d->body = d->size - d->size % o->page;
	errno = EINVAL;
	if (d->body / o->page > MAX_PAGE_NUMBER)
		return because(why,
		               "%s has more pages of %u bytes than a pool can have: choose a larger page=", o->file,
		               (unsigned)o->page);
	if (o->direct && d->body < d->size && o->page % KERNEL_PAGE != 0)
		return because(
			why,
			"%s: its size, %llu bytes, is no multiple of page=%u, which with direct=true must then be one of %d",
			o->file, (unsigned long long)d->size, (unsigned)o->page, KERNEL_PAGE);
	return 0;
}

int disk_open(struct disk *d, const struct disk_options *options, char why[DISK_WHY_MAX])
{
	*d = (struct disk){.options = *options, .fd = -1, .plain = -1};
	if (open_files(d, why) == 0 && measure(d, why) == 0) {
		d->pages.size = options->page;
		d->pages.fd = d->plain;
		d->pages.shared = options->key != NULL;
		d->pages.holes = true;
		return 0;
	}
	disk_close(d);
	return -1;
}

void disk_close(struct disk *d)
{
	int error = errno;
	if (d->fd >= 0)
		close(d->fd);
	if (d->plain >= 0)
		close(d->plain);
	d->fd = d->plain = -1;
	errno = error;
}

static MPOOL *open_pool(const struct disk *d, char *why)
{
	const struct disk_options *o = &d->options;
	uint64_t pages = o->cache / o->page;
	MPOOL *mp = mpool_open(o->key, d->fd, o->page, pages < MAX_PAGE_NUMBER ? (pgno_t)pages : MAX_PAGE_NUMBER);
	if (mp != NULL)
		return mp;
	if (errno == EINVAL && o->key != NULL)
		(void)because(why, "key %s: its pages are of another size than %u, or %s does not allow it", o->key,
		              (unsigned)o->page, o->file);
	else if (errno == EINVAL)
		(void)because(why, "%s: no pages of %u bytes can be read from it with direct=true", o->file,
		              (unsigned)o->page);
	else if (o->key != NULL)
		(void)because(why, "key %s: %s", o->key, strerror(errno));
	else
		(void)refused(why, d, "the pool");
	return NULL;
}

/* Whoever made a shared pool gave the file. */
static int is_its_pool(const struct disk *d, MPOOL *mp, char *why)
{
	const struct disk_options *o = &d->options;
	struct mpool_stats stats;
	struct stat st;
	if (mpool_stats(mp, &stats, sizeof stats) != 0 || fstat(d->plain, &st) != 0)
		return refused(why, d, "the pool");
	errno = EINVAL;
	if (stats.device != st.st_dev || stats.inode != st.st_ino)
		return because(why, "key %s is in use for another file than %s", o->key ? o->key : "", o->file);
	if (stats.pages != d->body / o->page)
		return because(why,
		               "%s has another size than when the pool of key %s was made: end all its servers first",
		               o->file, o->key ? o->key : "");
	return 0;
}

/* Whoever cannot write has nothing to be written. */
static int begin_cleaners(const struct disk *d, MPOOL *mp, char *why)
{
	if (!d->writable || mpool_tune(mp, MPOOL_CLEANERS, d->options.cleaners) == 0)
		return 0;
	return refused(why, d, "cleaners");
}

int disk_start(struct disk *d, char why[DISK_WHY_MAX])
{
	MPOOL *mp = open_pool(d, why);
	if (mp == NULL)
		return -1;
	if (is_its_pool(d, mp, why) == 0 && begin_cleaners(d, mp, why) == 0) {
		if (pages_open(&d->pages, mp) == 0)
			return 0;
		(void)refused(why, d, "locks");
	}
	int error = errno;
	(void)mpool_close(mp);
	errno = error;
	return -1;
}

void disk_stop(struct disk *d)
{
	pages_close(&d->pages);
}

/* ---- the tail ------------------------------------------------------------------- */

/* A request in two parts; those of the tail begin `skip` bytes after the request's beginning. */
struct split {
	uint64_t body, tail, skip, tail_at;
};

static struct split split_at(const struct disk *d, uint64_t bytes, uint64_t offset)
{
	uint64_t body = offset >= d->body ? 0 : d->body - offset < bytes ? d->body - offset : bytes;
	return (struct split){.body = body, .tail = bytes - body, .skip = body, .tail_at = offset + body};
}

static int read_tail(const struct disk *d, char *to, uint64_t bytes, uint64_t offset)
{
	for (uint64_t done = 0; done < bytes;) {
		ssize_t n = pread(d->plain, to + done, bytes - done, (off_t)(offset + done));
		if (n == 0)
			errno = EIO; /* cut short underneath */
		if (n == 0 || (n < 0 && errno != EINTR))
			return -1;
		done += n > 0 ? (uint64_t)n : 0;
	}
	return 0;
}

static int write_tail(const struct disk *d, const char *from, uint64_t bytes, uint64_t offset)
{
	for (uint64_t done = 0; done < bytes;) {
		ssize_t n = pwrite(d->plain, from + done, bytes - done, (off_t)(offset + done));
		if (n < 0 && errno != EINTR)
			return -1;
		done += n > 0 ? (uint64_t)n : 0;
	}
	return 0;
}

/* It is less than a page. */
static int zero_tail(const struct disk *d, uint64_t bytes, uint64_t offset)
{
	static const char zeros[KERNEL_PAGE];
	for (uint64_t done = 0; done < bytes;) {
		uint64_t n = bytes - done < sizeof zeros ? bytes - done : sizeof zeros;
		if (write_tail(d, zeros, n, offset + done) != 0)
			return -1;
		done += n;
	}
	return 0;
}

static int flush_tail(const struct disk *d)
{
	if (d->body == d->size)
		return 0;
	while (fdatasync(d->plain) != 0)
		if (errno != EINTR)
			return -1;
	return 0;
}

/* ---- requests ------------------------------------------------------------------- */

/* A modification has ended, well or not: after its last page was put. */
static int has_modified(struct disk *d, int result)
{
	atomic_fetch_add(&d->modified, 1);
	return result;
}

int disk_read(struct disk *d, void *to, uint64_t bytes, uint64_t offset)
{
	struct split s = split_at(d, bytes, offset);
	if (pages_read(&d->pages, to, s.body, offset) != 0)
		return -1;
	return read_tail(d, (char *)to + s.skip, s.tail, s.tail_at);
}

int disk_write(struct disk *d, const void *from, uint64_t bytes, uint64_t offset)
{
	struct split s = split_at(d, bytes, offset);
	int result = pages_write(&d->pages, from, s.body, offset);
	if (result == 0)
		result = write_tail(d, (const char *)from + s.skip, s.tail, s.tail_at);
	return has_modified(d, result);
}

int disk_zero(struct disk *d, uint64_t bytes, uint64_t offset, bool holes)
{
	struct split s = split_at(d, bytes, offset);
	int result = pages_zero(&d->pages, s.body, offset, holes);
	if (result == 0)
		result = zero_tail(d, s.tail, s.tail_at);
	return has_modified(d, result);
}

int disk_prefetch(struct disk *d, uint64_t bytes, uint64_t offset)
{
	return pages_prefetch(&d->pages, split_at(d, bytes, offset).body, offset);
}

int disk_flush(struct disk *d)
{
	/* The pool flushes the file even if no page is modified, and so the holes that were punched. */
	return mpool_sync(d->pages.mp) != 0 ? -1 : flush_tail(d);
}

int disk_flush_range(struct disk *d, uint64_t bytes, uint64_t offset)
{
	struct split s = split_at(d, bytes, offset);
	if (s.body > 0) {
		/* The file is flushed even if no page of them is modified, as above. */
		pgno_t first = (pgno_t)(offset / d->pages.size), last = (pgno_t)((offset + s.body - 1) / d->pages.size);
		if (mpool_sync_range(d->pages.mp, first, last - first + 1, MPOOL_WRITE | MPOOL_FLUSH) != 0)
			return -1;
	}
	return s.tail > 0 ? flush_tail(d) : 0;
}

bool disk_punches(const struct disk *d)
{
	return pages_punch(&d->pages);
}

/* ---- extents -------------------------------------------------------------------- */

/*
 * Every modification that ended before is in the file.  Those of other processes are not
 * counted; nor is there anything to be written by who cannot write.
 *
 * Sequentially consistent: `modified` is loaded before the pages are written, and counted
 * up after a page was put, so a count that was seen is of pages that are written.
 */
static int write_modified(struct disk *d)
{
	uint64_t modified = atomic_load(&d->modified);
	if (!d->pages.shared && (!d->writable || atomic_load(&d->written) == modified))
		return 0;
	if (mpool_sync(d->pages.mp) != 0)
		return -1;
	atomic_store(&d->written, modified);
	return 0;
}

/* The stretch that begins at `at`; it may be of no bytes when the file changes meanwhile. */
static int next_extent(const struct disk *d, uint64_t at, uint64_t end, uint64_t *bytes, bool *hole)
{
	off_t to = lseek(d->plain, (off_t)at, SEEK_DATA);
	if (to < 0 && errno != ENXIO)
		return -1;
	*hole = to < 0 || (uint64_t)to > at;
	if (!*hole && (to = lseek(d->plain, (off_t)at, SEEK_HOLE)) < 0)
		return -1;
	*bytes = (to < 0 || (uint64_t)to > end ? end : (uint64_t)to) - at;
	return 0;
}

int disk_extents(struct disk *d, uint64_t bytes, uint64_t offset, bool one, disk_extent_fn *tell, void *of)
{
	uint64_t end = offset + bytes;
	if (write_modified(d) != 0)
		return -1;
	for (uint64_t at = offset, n; at < end; at += n) {
		bool hole;
		if (next_extent(d, at, end, &n, &hole) != 0)
			return -1;
		if (n > 0 && tell(of, at, n, hole) != 0)
			return -1;
		if (n > 0 && one)
			break;
	}
	return 0;
}
