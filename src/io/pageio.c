/* pageio.c - see pageio.h. */
#include "io/pageio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/frame.h"
#include "core/thread.h"
#include "core/tsan.h"
#include "os/descriptor.h"
#include "os/file.h"

#define SECTOR      512u /* what an O_DIRECT transfer is a multiple of, at least */
#define MEMORY_PAGE 4096u
/* Bytes of a page that are worth prefetching: the processor queues no more. */
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

/* What is there has so many bytes. */
static void size_up(struct pageio *io, uint64_t bytes, uint32_t pagesize, uint32_t *pages, bool *tail)
{
	uint64_t whole = bytes / pagesize;
	*pages = whole < MAX_PAGE_NUMBER ? (uint32_t)whole : MAX_PAGE_NUMBER;
	*tail = bytes % pagesize != 0;
	io->pagesize = pagesize;
	io->align = MEMORY_PAGE;
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
	if (flags != -1 && (flags & O_PATH)) {
		errno = EBADF; /* it names a file, and has none open */
		return -1;
	}
	bool direct = flags != -1 && (flags & O_DIRECT);
	/* Linux's pwrite on such a descriptor writes at the end of the file. */
	bool appends = flags != -1 && (flags & O_APPEND) && (flags & O_ACCMODE) != O_RDONLY;
	if (appends || (direct && pagesize % direct_unit(fd, S_ISBLK(st.st_mode)) != 0)) {
		errno = EINVAL;
		return -1;
	}
	size_up(io, bytes, pagesize, pages, tail);
	io->fd = fd;
	io->device = st.st_dev;
	io->inode = st.st_ino;
	return 0;
}

int pageio_open_store(struct pageio *io, const struct mpool_store *own, size_t size, void *cookie, uint32_t pagesize,
                      uint32_t *pages, bool *tail)
{
	uint64_t bytes;
	struct store *s = NULL;
	int error = pagesize == 0 ? EINVAL : store_open(&s, own, size, cookie, io->hooks.pool);
	if (!error)
		error = store_bytes(s, -1, &bytes);
	if (error) {
		store_close(s, false);
		return error;
	}
	size_up(io, bytes, pagesize, pages, tail);
	io->store = s;
	return 0;
}

bool pageio_direct(const struct pageio *io)
{
	if (io->store)
		return true;
	int flags = fcntl(io->fd, F_GETFL);
	return flags != -1 && (flags & O_DIRECT);
}

/* A program may close what it does not know, and have another file by that number. */
bool pageio_is_file(const struct pageio *io, int fd)
{
	return descriptor_is(fd, io->device, io->inode);
}

/* ---- witnesses ---------------------------------------------------------- */

void pageio_none(struct pageio *io)
{
	io->fd = -1;
	for (unsigned i = 0; i < WITNESSES; i++)
		atomic_init(&io->witness[i], NO_WITNESS);
}

/* Was there no descriptor or memory left?  Any other error means that the system does not allow it. */
static bool no_room(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM;
}

/* A witness, or WITNESS_IS_FD; -1 and errno: there was no descriptor or memory left. */
static int reopen(int fd, int flags)
{
	int again = descriptor_again(fd, flags);
	/* That may be had by the file's owner only. */
	if (again < 0 && errno == EPERM && (flags & O_NOATIME))
		again = descriptor_again(fd, flags & ~O_NOATIME);
	return again >= 0 || no_room(errno) ? again : WITNESS_IS_FD;
}

int pageio_reopen(struct pageio *io, int fd, unsigned n, bool write)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags == -1)
		return errno;
	flags &= FILE_FLAGS;
	atomic_store(&io->forks, descriptor_forks());
	int wanted = write ? (flags & ~O_ACCMODE) | O_RDWR : flags;
	for (unsigned i = 0; i < n; i++) {
		int w = reopen(fd, wanted);
		if (w == WITNESS_IS_FD && i == 0 && wanted != flags)
			w = reopen(fd, wanted = flags);
		if (w == -1) {
			int error = errno;
			pageio_close(io, false);
			return error;
		}
		if (w == WITNESS_IS_FD && i > 0)
			break;
		atomic_store(&io->witness[i], w);
		if (w == WITNESS_IS_FD)
			break;
	}
	return 0;
}

void pageio_establish(const struct pageio *io)
{
	struct pageio_state *st = io->state;
	uint32_t there = 0;
	for (unsigned i = 0; i < WITNESSES; i++)
		if (atomic_load(&io->witness[i]) != NO_WITNESS)
			there |= 1u << i;
	/* `doubtful` last: its bits were of other witnesses, and a process that dies here leaves too many set. */
	uint32_t generation = atomic_load(&io->generation);
	if (atomic_load(&st->newest) < generation)
		atomic_store(&st->newest, generation);
	atomic_store(&st->generation, generation);
	atomic_store(&st->witnesses, there);
	atomic_store(&st->doubtful, 0);
}

uint64_t pageio_name(uint64_t first, uint32_t generation, unsigned i)
{
	return first + (uint64_t)generation * WITNESSES + i;
}

void pageio_close_store(struct pageio *io, bool tell)
{
	store_close(io->store, tell);
	io->store = NULL;
}

static void close_witnesses(struct pageio *io, bool shared, uint64_t name)
{
	if (shared)
		tsan_unused(io);
	for (unsigned i = 0; i < WITNESSES; i++) {
		int w = atomic_exchange(&io->witness[i], NO_WITNESS);
		if (w >= 0 && !descriptor_is_another(w, io->device, io->inode))
			descriptor_let_go(w, shared ? pageio_name(name, atomic_load(&io->generation), i)
			                            : descriptor_since(atomic_load(&io->forks)));
	}
}

void pageio_close(struct pageio *io, bool shared)
{
	/* A pool that could not be joined has no state, and no witnesses. */
	close_witnesses(io, shared, shared && io->state ? io->state->name : 0);
}

void pageio_close_named(struct pageio *io, uint64_t name)
{
	close_witnesses(io, true, name);
}

/* For so long others that are in an fsync are waited for. */
#define OTHERS_NAP_NS 1000000
#define OTHERS_NAPS   2000

/* Without an offset nothing is recorded. */
static int64_t failures(off_t offset)
{
	return offset < 0 ? 0 : offset / TOLD;
}

/*
 * fdatasync does for what is called fsync elsewhere: it leaves out times of the file, which
 * no page needs, and so mostly a commit of the file system's journal; the size, and where the
 * blocks are, is among what it brings to stable storage, for without them what was
 * written could not be read.  It reports failed write-backs as fsync does.
 *
 * EAGAIN has a meaning of its own here (pageio_flush): the kernel's is a failure like any other.
 */
static int flush_by(int fd)
{
	while (fdatasync(fd) != 0)
		if (errno != EINTR)
			return errno == EAGAIN ? EIO : errno;
	return 0;
}

/* fsync, through one of them; 0, or an errno. */
static int flush_through(const struct pageio *io, unsigned i)
{
	int w = atomic_load(&io->witness[i]), fd = w >= 0 ? w : io->fd;
	return pageio_is_file(io, fd) ? flush_by(fd) : EBADF;
}

/* The same, recorded for all processes that have it; *offset: the offset then. */
static int ask(int fd, off_t *offset)
{
	(void)lseek(fd, ASKING, SEEK_CUR);
	int error = flush_by(fd);
	if (error)
		(void)lseek(fd, TOLD, SEEK_CUR);
	*offset = lseek(fd, -ASKING, SEEK_CUR);
	return error;
}

/*
 * One that was let go and that other processes may have, whose witness it may be.  What it
 * has to say of what was before is theirs.  -1: there is none, or somebody is in an fsync.
 */
static int take_over(const struct pageio *io, int flags, int64_t *told)
{
	int fd = descriptor_elsewhere(io->fd, flags);
	off_t offset;
	if (fd < 0)
		return -1;
	(void)ask(fd, &offset);
	*told = failures(offset);
	if (offset >= 0 && !(offset & ASKING_ALL))
		return fd;
	descriptor_let_go(fd, DESCRIPTOR_ELSEWHERE);
	return -1;
}

/*
 * A private pool's, before its first write, so that who only reads does not pay for it.
 * 0, or an errno.
 */
static int witness_write(struct pageio *io)
{
	if (io->shared || io->store || atomic_load_explicit(&io->witness[0], memory_order_relaxed) != NO_WITNESS)
		return 0;
	int flags = fcntl(io->fd, F_GETFL), error = 0;
	if (flags == -1)
		return errno;
	descriptor_begin();
	/* Two threads may come to it at once. */
	if (atomic_load(&io->witness[0]) == NO_WITNESS) {
		int64_t told = 0;
		uint64_t forks = 0;
		int w = take_over(io, flags & FILE_FLAGS, &told);
		if (w < 0) {
			forks = descriptor_forks();
			w = reopen(io->fd, flags & FILE_FLAGS);
		}
		error = w == -1 ? errno : 0;
		atomic_store(&io->told, told);
		atomic_store(&io->forks, forks);
		atomic_store(&io->witness[0], w);
	}
	descriptor_noted();
	return error;
}

/* What others are told just now is on record soon.  The offset, when nobody is in an fsync; or they have died. */
static off_t await_others(int fd, off_t offset)
{
	const struct timespec nap = {.tv_nsec = OTHERS_NAP_NS};
	for (unsigned i = 0; offset >= 0 && (offset & ASKING_ALL) && i < OTHERS_NAPS; i++) {
		nanosleep(&nap, NULL);
		offset = lseek(fd, 0, SEEK_CUR);
	}
	return offset;
}

static int flush_private(struct pageio *io)
{
	int fd = atomic_load(&io->witness[0]);
	off_t offset;
	if (fd < 0 || !pageio_is_file(io, fd))
		return flush_through(io, 0);
	int error = ask(fd, &offset);
	offset = await_others(fd, offset);
	atomic_store(&io->heard, failures(offset) + 1);
	if (failures(offset) != atomic_load(&io->told) && !error)
		error = EIO;
	/* The others are stopped in it, or dead, and may have been told. */
	return !error && offset >= 0 && (offset & ASKING_ALL) ? EAGAIN : error;
}

int pageio_fresh(const struct pageio *io)
{
	descriptor_begin();
	int fd = atomic_load(&io->witness[0]), fresh = fd < 0 ? -1 : reopen(fd, fcntl(fd, F_GETFL) & FILE_FLAGS);
	return fresh >= 0 ? fresh : NO_WITNESS;
}

void pageio_renew(struct pageio *io, int fresh)
{
	uint64_t forks = descriptor_forks();
	if (fresh != NO_WITNESS && !pageio_left_any(io)) {
		fresh = atomic_exchange(&io->witness[0], fresh);
		forks = atomic_exchange(&io->forks, forks);
		atomic_store(&io->told, 0);
		atomic_store(&io->heard, 0);
	}
	if (fresh != NO_WITNESS)
		descriptor_let_go(fresh, descriptor_since(forks));
	descriptor_noted();
}

/* EAGAIN is a failure like any other: flush_by. */
static int flush_store(const struct store *s)
{
	int error = store_flush(s);
	return error == EAGAIN ? EIO : error;
}

bool pageio_unreached(const struct pageio *io, int error)
{
	return io->store && store_unreached(error);
}

int pageio_flush(struct pageio *io)
{
	if (io->store)
		return flush_store(io->store);
	if (!io->shared)
		return flush_private(io);
	struct pageio_state *st = io->state;
	uint32_t there = atomic_load(&st->witnesses), doubtful = atomic_load(&st->doubtful);
	unsigned first = 0;
	while (first + 1 < WITNESSES && (doubtful & 1u << first))
		first++;
	/* Before it may report a failure: a recovery must know that it was used. */
	atomic_store(&st->doubtful, doubtful | 1u << first);
	int error = flush_through(io, first);
	if (!error)
		return 0;
	atomic_store(&st->doubtful, there);
	for (unsigned i = 0; i < WITNESSES; i++)
		if (i != first && (there & 1u << i))
			(void)flush_through(io, i);
	return error;
}

void pageio_noted(struct pageio *io)
{
	atomic_store(&io->state->doubtful, 0);
	int64_t heard = atomic_exchange(&io->heard, 0);
	if (heard > 0)
		atomic_store(&io->told, heard - 1);
}

bool pageio_left_any(const struct pageio *io)
{
	return atomic_load(&io->state->left[0]) || atomic_load(&io->state->left[1]);
}

bool pageio_blind(const struct pageio *io)
{
	if (!io->shared)
		return false; /* its result is recorded */
	uint32_t there = atomic_load(&io->state->witnesses);
	return (atomic_load(&io->state->doubtful) & there) == there;
}

/* ---- pages -------------------------------------------------------------- */

/* Relaxed, all of it: whoever makes the file known does so later, and the state of one that was closed is nobody's. */
#define BEGIN(word, value) atomic_store_explicit(&(word), value, memory_order_relaxed)

static void begin_numbers(struct pageio_state *st, uint32_t pages, bool tail)
{
	BEGIN(st->end, pages);
	BEGIN(st->cut, 0);
	BEGIN(st->uncut, UNCUT_NONE);
	BEGIN(st->recut, 0);
	BEGIN(st->length, 0);
	BEGIN(st->limit, PAGE_NONE);
	BEGIN(st->extent, pages);
	BEGIN(st->tail, tail ? pages : PAGE_NONE);
}

static void begin_syncs(struct pageio_state *st)
{
	BEGIN(st->flushes, 0);
	BEGIN(st->flushed, 0);
	BEGIN(st->left[0], false);
	BEGIN(st->left[1], false);
	BEGIN(st->lost, false);
	BEGIN(st->syncing, 0);
	BEGIN(st->undone, 0);
	BEGIN(st->mended, 0);
	BEGIN(st->came, 0);
	BEGIN(st->came_before, 0);
	BEGIN(st->together, 0);
	BEGIN(st->wanted, 0);
	BEGIN(st->flush_ns, 0);
}

void pageio_begin(struct pageio_state *st, uint32_t pages, bool tail)
{
	begin_numbers(st, pages, tail);
	begin_syncs(st);
	BEGIN(st->form, FORM_OPEN);
	BEGIN(st->doubtful, 0);
	BEGIN(st->witnesses, 1);
	BEGIN(st->generation, 0);
	BEGIN(st->newest, 0);
	BEGIN(st->failed, 0);
}

#undef BEGIN

void pageio_init(struct pageio *io, struct pageio_state *st, uint32_t pages, bool tail)
{
	io->state = st;
	pageio_begin(st, pages, tail);
}

bool pageio_agrees(const struct pageio *io)
{
	if (!io->shared)
		return true;
	uint32_t own = hooks_form(&io->hooks), form = atomic_load(&io->state->form);
	return form == own || (form == FORM_OPEN && atomic_compare_exchange_strong(&io->state->form, &form, own)) ||
	       form == own;
}

uint32_t pageio_pages(const struct pageio *io)
{
	uint32_t pages = (uint32_t)atomic_load(&io->state->end), limit = atomic_load(&io->state->limit);
	return pages < limit ? pages : limit;
}

/*
 * Who makes a page raises the number of pages, and then looks at the limit; who lowers the limit does the one before the
 * other, too.  Sequentially consistent: of a page made at the same time one sees the other, or both.
 */
bool pageio_limit(struct pageio *io, uint32_t limit)
{
	uint32_t before = atomic_exchange(&io->state->limit, limit);
	if ((uint32_t)atomic_load(&io->state->end) <= limit)
		return true;
	atomic_store(&io->state->limit, before);
	return false;
}

uint32_t pageio_extend(const struct pageio *io, uint32_t page, uint64_t *cuts)
{
	uint64_t end = atomic_load(&io->state->end);
	uint32_t made;
	do {
		made = page == PAGE_NONE ? (uint32_t)end : page;
		*cuts = end >> END_CUTS_SHIFT;
		if (made >= atomic_load(&io->state->limit))
			return PAGE_NONE;
	} while (made >= (uint32_t)end &&
	         !atomic_compare_exchange_weak(&io->state->end, &end, end - (uint32_t)end + made + 1));
	return made < atomic_load(&io->state->limit) ? made : PAGE_NONE;
}

enum stands pageio_stands(const struct pageio *io, uint32_t page, const uint64_t *cuts)
{
	for (;;) {
		/* Sequentially consistent, after the entry: pairs with cut_to. */
		uint64_t end = atomic_load(&io->state->end);
		if (cuts && end >> END_CUTS_SHIFT != *cuts)
			return STANDS_NOT;
		uint64_t cut = end & END_CUTTING ? atomic_load(&io->state->cut) : 0;
		/* Another cut begins after the entry was inserted, and finds it. */
		if (cut && page >= (uint32_t)cut)
			return STANDS_LATER;
		if (cut || !(end & END_CUTTING))
			return page < (uint32_t)end && page < atomic_load(&io->state->limit) ? STANDS : STANDS_NOT;
	}
}

static void raise_to(_Atomic uint32_t *word, uint32_t value)
{
	uint32_t n = atomic_load(word);
	while (n < value && !atomic_compare_exchange_weak(word, &n, value))
		;
}

/* The offset of a page that is in the file, or that may be. */
off_t pageio_offset(const struct pageio *io, uint32_t page)
{
	return (off_t)page * io->pagesize;
}

/* Pages `page` to before page + n end within what a file can hold. */
static bool in_file_range(const struct pageio *io, uint32_t page, uint32_t n)
{
	off_t end;
	return !__builtin_mul_overflow((uint64_t)page + n, (uint64_t)io->pagesize, &end);
}

bool pageio_unwritten(const struct pageio *io, uint32_t page)
{
	return page >= atomic_load(&io->state->extent) || page == atomic_load(&io->state->tail);
}

static void lower_to(_Atomic uint32_t *word, uint32_t value)
{
	uint32_t n = atomic_load(word);
	while (n > value && !atomic_compare_exchange_weak(word, &n, value))
		;
}

int pageio_cut(const struct pageio *io, uint32_t pages)
{
	int flags = io->store ? O_RDWR : pageio_is_file(io, io->fd) ? fcntl(io->fd, F_GETFL) : -1;
	if (flags == -1 || (flags & O_ACCMODE) == O_RDONLY)
		return EBADF;
	return in_file_range(io, 0, pages) ? store_set_bytes(io->store, io->fd, (uint64_t)pages * io->pagesize) : EFBIG;
}

bool pageio_is_cut(const struct pageio *io, uint32_t pages)
{
	uint64_t bytes;
	return store_bytes(io->store, io->fd, &bytes) == 0 && bytes <= (uint64_t)pages * io->pagesize;
}

void pageio_cut_noted(const struct pageio *io, uint32_t pages)
{
	struct pageio_state *st = io->state;
	uint32_t tail = atomic_load(&st->tail), extent = atomic_load(&st->extent);
	uint64_t uncut = atomic_load(&st->uncut), to, from;
	do {
		to = pages < (uint32_t)uncut ? pages : (uint32_t)uncut;
		from = extent > uncut >> UNCUT_FROM_SHIFT ? extent : uncut >> UNCUT_FROM_SHIFT;
	} while (!atomic_compare_exchange_weak(&st->uncut, &uncut, from << UNCUT_FROM_SHIFT | to));
	atomic_store(&st->length, pages);
	lower_to(&io->state->extent, pages);
	/* It may be written meanwhile, if it is before the end. */
	if (tail >= pages)
		atomic_store(&io->state->tail, PAGE_NONE);
}

void pageio_cut_doubted(const struct pageio *io)
{
	uint32_t none = 0;
	/* Sequentially consistent, before the frames are dirty: see the head of pageio.h. */
	if (atomic_load(&io->state->uncut) != UNCUT_NONE)
		atomic_compare_exchange_strong(&io->state->recut, &none, RECUT_DOUBT);
}

void pageio_cut_decided(const struct pageio *io)
{
	uint32_t doubt = RECUT_DOUBT;
	/* Sequentially consistent, after the frames are dirty: see the head of pageio.h. */
	atomic_compare_exchange_strong(&io->state->recut, &doubt, pageio_left_any(io) ? 0 : RECUT_AGAIN);
}

void pageio_cut_unseen(const struct pageio *io)
{
	uint32_t none = 0;
	atomic_compare_exchange_strong(&io->state->recut, &none, RECUT_AGAIN);
}

bool pageio_is_cut_again(const struct pageio *io)
{
	return atomic_load(&io->state->recut) & RECUT_AGAIN;
}

int pageio_cut_again(const struct pageio *io)
{
	uint64_t uncut = atomic_load(&io->state->uncut), from = uncut >> UNCUT_FROM_SHIFT, bytes;
	uint32_t to = (uint32_t)uncut, extent = atomic_load(&io->state->extent),
		 length = atomic_load(&io->state->length);
	/* It is no shorter than the last cut made it, which was no shorter than the shortest. */
	if (extent < length)
		extent = length;
	int error = store_bytes(io->store, io->fd, &bytes);
	/* It is longer than it ever was: others have made it so, and what is theirs stays. */
	if (error || bytes / io->pagesize > (from > extent ? from : extent))
		return error;
	/* It is as long as it is to be: that is said again, and what is there is not given up. */
	if (bytes == (uint64_t)extent * io->pagesize)
		return pageio_cut(io, extent);
	error = pageio_cut(io, to);
	return error || extent == to ? error : pageio_cut(io, extent);
}

void pageio_cut_settled(const struct pageio *io, int error)
{
	atomic_store(&io->state->recut, error ? RECUT_AGAIN | (uint32_t)error << RECUT_ERRNO_SHIFT : 0);
}

void pageio_cut_flushed(const struct pageio *io)
{
	if (atomic_load(&io->state->uncut) != UNCUT_NONE)
		atomic_store(&io->state->uncut, UNCUT_NONE);
}

int pageio_look_again(const struct pageio *io)
{
	uint64_t bytes;
	uint32_t pages = pageio_pages(io), tail = atomic_load(&io->state->tail);
	int error = store_bytes(io->store, io->fd, &bytes);
	if (error)
		return error;
	uint64_t whole = bytes / io->pagesize;
	raise_to(&io->state->extent, whole < pages ? (uint32_t)whole : pages);
	if (tail < whole)
		atomic_store(&io->state->tail, PAGE_NONE);
	return 0;
}

static bool all_zeros(const char *bytes, size_t n)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0;
}

/*
 * The frame of an evicted page is not in the processor's caches.  Its lines are fetched while
 * the kernel searches the page, so that the copy does not wait for them (50 ns of 1,300).
 */
static void prefetch(const char *to, size_t bytes)
{
	const char *end = to + (bytes < PREFETCH_BYTES ? bytes : PREFETCH_BYTES);
	/* Four in turn, be it past the end: the frames of a small pool are not cold, and do not pay for the loop. */
	for (; to < end; to += 4 * CACHE_LINE) {
		__builtin_prefetch(to, 1);
		__builtin_prefetch(to + CACHE_LINE, 1);
		__builtin_prefetch(to + 2 * CACHE_LINE, 1);
		__builtin_prefetch(to + 3 * CACHE_LINE, 1);
	}
}

/* The file ends before the page, and may for a moment: it is being cut again, and nothing of the page has been written since. */
static bool cut_off(const struct pageio *io, uint32_t page)
{
	return page >= (uint32_t)atomic_load(&io->state->uncut);
}

/* Read what the file has of the page.  0, or -1 and errno. */
static int read_bytes(const struct pageio *io, uint32_t page, void *to)
{
	prefetch(to, io->pagesize);
	for (size_t done = 0; done < io->pagesize;) {
		ssize_t n = store_read(io->store, io->fd, (char *)to + done, io->pagesize - done,
		                       pageio_offset(io, page) + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 && cut_off(io, page)) {
			memset((char *)to + done, 0, io->pagesize - done);
			return 0;
		}
		if (n <= 0) {
			if (n == 0)
				errno = EIO; /* the file ends here now: it was cut short */
			return -1;
		}
		done += (size_t)n;
	}
	return 0;
}

/* 0, or the errno, kept. */
static int kept(const struct pageio *io, int error)
{
	if (error)
		pageio_failed(io, error);
	return error;
}

int pageio_encode(struct pageio *io, uint32_t page, void *copy)
{
	return kept(io, hooks_out(&io->hooks, page, copy));
}

int pageio_before_write(struct pageio *io, const pgno_t *page, void *const *copy, size_t n)
{
	return io->hooks.own.before_write ? kept(io, hooks_before_write(&io->hooks, page, copy, n)) : 0;
}

int pageio_decode(const struct pageio *io, uint32_t page, void *bytes, bool made)
{
	bool seen = hooks_read(&io->hooks) && !(made && all_zeros(bytes, io->pagesize));
	return seen ? hooks_in(&io->hooks, page, bytes) : 0;
}

int pageio_read(const struct pageio *io, uint32_t page, void *to, bool made)
{
	bool reads = !pageio_unwritten(io, page);
	if (!reads)
		memset(to, 0, io->pagesize);
	else if (read_bytes(io, page, to) != 0)
		return -1;
	int error = pageio_decode(io, page, to, made);
	if (error)
		errno = error;
	return error ? -1 : reads;
}

uint32_t pageio_readv(const struct pageio *io, uint32_t page, struct iovec *iov, uint32_t n, size_t done)
{
	size_t bytes = (size_t)n * io->pagesize;
	while (done < bytes) {
		uint32_t first = (uint32_t)(done / io->pagesize);
		size_t into = done % io->pagesize;
		struct iovec whole = iov[first];
		iov[first] = (struct iovec){(char *)whole.iov_base + into, whole.iov_len - into};
		ssize_t got = store_readv(io->store, io->fd, iov + first, (int)(n - first),
		                          pageio_offset(io, page) + (off_t)done);
		iov[first] = whole;
		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0 && cut_off(io, page + first)) {
			memset((char *)whole.iov_base + into, 0, whole.iov_len - into);
			got = (ssize_t)(whole.iov_len - into);
		}
		if (got <= 0) {
			if (got == 0)
				errno = EIO; /* the file ends here now: it was cut short */
			break;
		}
		done += (size_t)got;
	}
	return (uint32_t)(done / io->pagesize);
}

/* Write the rest, after the first `done` bytes.  Bytes written of `bytes`; fewer: errno tells why. */
static size_t write_bytes(const struct pageio *io, const char *from, size_t bytes, size_t done, off_t at)
{
	while (done < bytes) {
		ssize_t n = store_write(io->store, io->fd, from + done, bytes - done, at + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = EIO; /* the device takes no more, and does not say why */
			break;
		}
		done += (size_t)n;
	}
	if (io->shared)
		tsan_used(io);
	return done;
}

int pageio_may_write(struct pageio *io, uint32_t page, uint32_t n)
{
	/* Behind a cut that could not be made again nothing is written, or all of it would have to stay in memory. */
	uint32_t error = atomic_load_explicit(&io->state->recut, memory_order_relaxed) >> RECUT_ERRNO_SHIFT;
	if (unlikely(error) && (uint64_t)page + n > (uint32_t)atomic_load(&io->state->uncut))
		return (int)error;
	return in_file_range(io, page, n) ? witness_write(io) : EFBIG;
}

uint32_t pageio_write_rest(const struct pageio *io, uint32_t page, uint32_t n, const void *from, size_t done)
{
	size_t bytes = write_bytes(io, from, (size_t)n * io->pagesize, done, pageio_offset(io, page));
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

uint32_t pageio_write(struct pageio *io, uint32_t page, uint32_t n, const void *from)
{
	int error = pageio_may_write(io, page, n);
	if (error) {
		errno = error;
		return 0;
	}
	return pageio_write_rest(io, page, n, from, 0);
}

void pageio_failed(const struct pageio *io, int error)
{
	int32_t none = 0;
	/* Relaxed would do: it tells, and decides nothing. */
	atomic_compare_exchange_strong(&io->state->failed, &none, error);
}

int pageio_failure(const struct pageio *io)
{
	return atomic_load(&io->state->failed);
}

void pageio_forget_failure(const struct pageio *io, int kept)
{
	int32_t was = kept;
	atomic_compare_exchange_strong(&io->state->failed, &was, 0);
}

unsigned pageio_turn(const struct pageio *io)
{
	/* Sequentially consistent, after the pwrite: see the head of pageio.h. */
	return pageio_turn_of(atomic_load(&io->state->flushes));
}

void pageio_left(const struct pageio *io, bool turn0, bool turn1)
{
	if (turn0 && !atomic_load(&io->state->left[0]))
		atomic_store(&io->state->left[0], true);
	if (turn1 && !atomic_load(&io->state->left[1]))
		atomic_store(&io->state->left[1], true);
}
