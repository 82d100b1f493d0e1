/*
 * files.c - the files of the pool; see run.h.
 *
 * Owns their pages' numbers, and who may use an attached one: it goes, and comes again, while others use the pool.  While
 * anybody has a share of it, it stays; who takes it when nobody has one is alone with it, its pages' records and what is
 * in the file: so it must close, and whatever was put before a last sync must be there.  One that was not synced is made
 * anew, around the pool: what is left of its pages would be of an older version.
 *
 * Where processes share the pool, shares are each process's own.  Half of the files the witness has attached all the time: nothing
 * of these may be lost, whoever closes them, or dies.  The others are lossy, and do not grow.
 *
 * A count of shares orders those who use one attached file, and so hides from ThreadSanitizer what the pool fails to
 * order among them; of the first file, which stays, there is none.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "page.h"
#include "report.h"
#include "run.h"

enum {
	LOST_MAX = 1 << 14, /* page numbers that the dead may take with them */
	FILE_PAGES = 24,    /* of an attached file, at the start */
	LARGE_PAGES = 256,  /* ... of one of so many: the pool gives numbers out 256 at a time */
	LARGE_ONE_IN = 8,
	FILE_GROWTH = 20,
	FILE_RECORDS = LARGE_PAGES + FILE_GROWTH,
	HOT_FILES = 3,    /* that every thread goes for, the first one too */
	HOT_ONE_IN = 3,   /* choices */
	STAY_ONE_IN = 16, /* tries to close one: it has a page pinned */
	AWAY_ONE_IN = 4,  /* closed ones, that are attached by another thread, later */
};

/* Of shares: nobody has one, and it is in one thread's hands; and it is closed. */
#define TAKEN (UINT32_C(1) << 31)
#define AWAY  (UINT32_C(1) << 30)

/* --- numbers ------------------------------------------------------------------- */

unsigned files(void)
{
	return 1 + run.o->files;
}

struct file *file_of(pgno_t pgno)
{
	pgno_t first = run.file[0].records;

	return pgno < first ? run.file : &run.file[1 + (pgno - first) / FILE_RECORDS];
}

pgno_t page_in(pgno_t pgno)
{
	return pgno - file_of(pgno)->first;
}

pgno_t page_end(const struct file *f)
{
	return f->first + (pgno_t)atomic_load(&f->allotted);
}

static struct own *own(const struct file *f)
{
	return &run.own[f - run.file];
}

MPOOL *handle_of(const struct file *f)
{
	return own(f)->pool;
}

MPOOL *any_handle(struct worker *w, pgno_t pgno)
{
	return run.o->files == 0 || flip(w) ? run.pool : handle_of(file_of(pgno));
}

struct file *file_written(int fd)
{
	struct stat st;
	struct file *f = run.file;

	/* Processes open them themselves. */
	if (fstat(fd, &st) != 0)
		trouble("a descriptor that is written to");
	while (f < run.file + files() && f->inode != st.st_ino)
		f++;
	return f < run.file + files() && f->plain_fd != fd ? f : NULL;
}

bool is_lossy(const struct file *f)
{
	return run.o->processes > 0 && f != run.file && (f - run.file) % 2 == 0;
}

bool may_be_older(pgno_t pgno)
{
	const struct record *r = &run.record[pgno];

	return is_lossy(file_of(pgno)) && atomic_load(&r->image) != atomic_load(&r->version);
}

struct file *choose_file(struct worker *w)
{
	unsigned hot = files() < HOT_FILES ? files() : HOT_FILES;

	return run.o->files == 0 ? run.file : &run.file[below(w, below(w, HOT_ONE_IN) == 0 ? hot : files())];
}

/* --- shares -------------------------------------------------------------------- */

bool share_file(struct file *f)
{
	_Atomic uint32_t *shares = &own(f)->shares;
	uint32_t seen = atomic_load_explicit(shares, memory_order_relaxed);

	if (f == run.file)
		return true;
	do
		if (seen & (TAKEN | AWAY))
			return false;
	while (!atomic_compare_exchange_weak_explicit(shares, &seen, seen + 1, memory_order_acquire,
	                                              memory_order_relaxed));
	return true;
}

void unshare_file(struct file *f)
{
	if (f != run.file)
		atomic_fetch_sub_explicit(&own(f)->shares, 1, memory_order_release);
}

bool share_page(pgno_t pgno)
{
	struct file *f = file_of(pgno);
	bool shared = share_file(f);

	/* It may have come again with fewer pages than it had. */
	if (!shared || pgno < page_end(f))
		return shared;
	unshare_file(f);
	return false;
}

void unshare_page(pgno_t pgno)
{
	unshare_file(file_of(pgno));
}

/* From this state, to be alone with it. */
static bool take(struct file *f, uint32_t from)
{
	return atomic_compare_exchange_strong(&own(f)->shares, &from, from | TAKEN);
}

/* --- around the pool ----------------------------------------------------------- */

static int open_one(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		trouble("opening %s", path);
	return fd;
}

/* A temporary file without a name, which cannot stay behind, open twice: for the pool; to look, and write, around it. */
static void make_file(struct file *f, const char *directory, bool direct)
{
	int flags = O_RDWR | (direct ? O_DIRECT : 0), made;
	struct stat st;
	char *path;

	if (asprintf(&path, "%s/mpool-stress.XXXXXX", directory) < 0)
		trouble("no memory for a file name");
	made = mkstemp(path);
	if (made < 0 || fstat(made, &st) != 0)
		trouble("making %s", path);
	f->inode = st.st_ino;
	f->fd = open_one(path, flags);
	f->plain_fd = open_one(path, flags);
	unlink(path);
	close(made);
	free(path);
}

/* All pages are these; later ones were never made. */
static void pages_are(struct file *f, pgno_t pages)
{
	for (pgno_t i = pages; i < f->records; i++) {
		struct record *r = &run.record[f->first + i];

		atomic_store(&r->version, 0);
		atomic_store(&r->put, 0);
		atomic_store(&r->image, 0);
		atomic_store(&r->allotted, false);
	}
	atomic_store(&f->allotted, pages);
	atomic_store(&f->reserved, pages);
}

/* The pages at the start, in their next version, written plainly: so the pool must also read what it never wrote. */
static void write_anew(struct file *f)
{
	size_t size = run.o->page_size;
	char *page = page_buffer(size);

	for (pgno_t i = 0; i < f->pages; i++) {
		pgno_t pgno = f->first + i;
		struct record *r = &run.record[pgno];
		uint64_t version = atomic_load(&r->version) + 1;

		page_write(page, size, pgno, version, 0);
		if (run.o->filter)
			to_file(f, i, page);
		if (pwrite(f->plain_fd, page, size, (off_t)i * (off_t)size) != (ssize_t)size)
			trouble("writing page %" PRIu32, pgno);
		atomic_store(&r->version, version);
		atomic_store(&r->put, version);
		atomic_store(&r->image, version);
		atomic_store(&r->allotted, true);
	}
	if (ftruncate(f->plain_fd, (off_t)f->pages * (off_t)size) != 0)
		trouble("cutting a file");
	pages_are(f, f->pages);
	free(page);
}

void files_make(void)
{
	const struct options *o = run.o;

	run.file = shared_make(files() * sizeof *run.file);
	run.own = calloc(files(), sizeof *run.own);
	if (run.own == NULL)
		trouble("no memory for the files' handles");
	for (unsigned i = 0; i < files(); i++) {
		struct file *f = &run.file[i];

		f->first = run.records;
		f->pages = i == 0 ? o->pages : i % LARGE_ONE_IN == 0 ? LARGE_PAGES : FILE_PAGES;
		f->pages_max = i == 0 ? o->pages_max : f->pages + (is_lossy(f) ? 0 : FILE_GROWTH);
		f->records = i > 0 ? FILE_RECORDS : o->pages_max + (run.killing ? LOST_MAX : 0);
		atomic_store(&own(f)->shares, i == 0 ? 0 : AWAY);
		run.records += f->records;
	}
	run.record = shared_make(run.records * sizeof *run.record);
	for (unsigned i = 0; i < files(); i++) {
		make_file(&run.file[i], o->file != NULL ? o->file : ".", o->direct);
		write_anew(&run.file[i]);
	}
}

/* --- files come, and go ---------------------------------------------------------- */

/* One that is taken, and away. */
static void come(struct worker *w, struct file *f)
{
	MPOOL *pool;

	watch_doing(w->at, DOING_ATTACH, NO_PAGE);
	pool = own(f)->pool = mpool_attach(run.pool, f->fd);
	if (pool != NULL)
		pool_settings(f);
	else if (run.o->processes == 0 || errno != EAGAIN) /* those who have it are stopped, or dead just now */
		fault_call("mpool_attach", f->first);
	watch_done(w->at);
	watch_count(w->at, COUNT_ATTACHED, pool != NULL);
	atomic_store(&own(f)->shares, pool != NULL ? 0 : AWAY);
}

void files_come(struct worker *w, enum which which)
{
	for (struct file *f = run.file + 1; f < run.file + files(); f++)
		while ((which == FILES_ALL || !is_lossy(f)) && (which != FILES_SOME || flip(w)) && !faults_too_many() &&
		       take(f, AWAY))
			come(w, f);
}

/* Nobody uses it, nor will: the file has all that was put. */
static void check_left(struct worker *w, struct file *f)
{
	pgno_t end = page_end(f);

	for (pgno_t p = f->first; p < end && !faults_too_many(); p++) {
		struct before before = look_before(&run.record[p]);

		if (!check_saved(w, "in the file after a sync, and mpool_close", p, &before))
			fault("page %" PRIu32 ": this program lost a put", p);
	}
	/* Pages that were never written need not be there any more. */
	pages_are(f, (pgno_t)(lseek(f->plain_fd, 0, SEEK_END) / run.o->page_size));
}

/* One that is taken. */
static void go(struct worker *w, struct file *f)
{
	bool synced = flip(w) && check_sync(w, f);

	watch_doing(w->at, DOING_DETACH, NO_PAGE);
	if (mpool_close(handle_of(f)) != 0)
		fault_call("mpool_close of an attached file that nobody uses", f->first);
	watch_done(w->at);
	if (run.o->processes == 0 && synced)
		check_left(w, f);
	else if (run.o->processes == 0)
		write_anew(f);
}

void files_go(struct worker *w)
{
	for (struct file *f = run.file + 1; f < run.file + files(); f++) {
		if (!is_lossy(f) || !take(f, 0))
			continue;
		go(w, f);
		atomic_store(&own(f)->shares, AWAY);
	}
}

void files_closed(void)
{
	for (unsigned i = 1; i < files(); i++)
		atomic_store(&run.own[i].shares, AWAY);
}

/* The calling thread alone has a share of it, and a page pinned. */
static void must_stay(struct worker *w, struct file *f)
{
	watch_doing(w->at, DOING_DETACH, NO_PAGE);
	if (mpool_close(handle_of(f)) == 0 || errno != EBUSY)
		fault("mpool_close of an attached file with a pinned page does not fail with EBUSY");
	watch_done(w->at);
}

static void go_or_come(struct worker *w, struct file *f)
{
	struct pin pin;

	if (take(f, AWAY)) {
		come(w, f);
	} else if (below(w, STAY_ONE_IN) == 0 && get_page(w, f->first, &pin)) {
		bool alone = take(f, 1);

		if (alone)
			must_stay(w, f);
		put_page(w, &pin);
		if (alone)
			atomic_store(&own(f)->shares, 0);
	} else if (take(f, 0)) {
		go(w, f);
		if (below(w, AWAY_ONE_IN) == 0)
			atomic_store(&own(f)->shares, AWAY);
		else
			come(w, f);
	}
}

/* Nothing that a worker does is a cancellation point: crew.c. */
void file_go_or_come(struct worker *w)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	go_or_come(w, &run.file[1 + below(w, run.o->files)]);
	pthread_setcancelstate(state, NULL);
}
