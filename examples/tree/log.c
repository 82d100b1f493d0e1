/* log.c - see log.h. */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LOG_MAGIC  UINT64_C(0x314c4545525450) /* PTREEL1 */
#define LOG_NO_CUT UINT64_MAX

enum {
	HEADER_SLOTS = 2, /* written in turn, so that one is whole */
	HEADER_APART = 4096,
	RING_AT = HEADER_SLOTS * HEADER_APART,
	RECORD_ALIGN = 8,
	NANO = 1000000000,
	LOOK_AGAIN_NANO = 50000000,
};

struct log_header {
	uint64_t magic, size;
	uint64_t redo;  /* recovery begins there */
	uint64_t turn;  /* the slot of the higher one counts */
	uint64_t epoch; /* one more after each recovery: records beyond its end are of an older one */
	uint64_t sum;   /* of all before */
};

/* What processes share. */
struct log_state {
	_Atomic uint64_t begun; /* LOG_MAGIC: all else is valid */
	pthread_mutex_t append, flush, checkpoint;
	_Atomic uint64_t end;     /* `append` */
	_Atomic uint64_t redo;    /* `append` */
	_Atomic uint64_t written; /* `flush` */
	_Atomic uint64_t flushed; /* `flush` */
	_Atomic uint64_t base;    /* `checkpoint` */
	_Atomic int failed;       /* the errno of a write or flush: what is in the file is not known any more */
	uint64_t size, epoch, turn;
	unsigned char ring[LOG_BUFFER];
};

struct record {
	uint64_t sum;   /* of all that follows, and the epoch */
	uint64_t place; /* of its first byte */
	uint32_t bytes; /* all of it: a multiple of RECORD_ALIGN */
	uint32_t changes;
};

/* A change in a record; image before, key and value follow. */
struct part {
	uint32_t pgno;
	uint16_t what, slot;
	uint16_t before, key, value, unused; /* bytes of each */
};

enum {
	PART_MAX = sizeof(struct part) + 2 * IMAGE_MAX + ENTRY_MAX + SEPARATOR_MAX,
	RECORD_MAX = sizeof(struct record) + CHANGES_MAX * PART_MAX,
};

/*
 * Who died in it has left nothing half-done.  And who died just after an unlock woke him may have taken the waking with him, that
 * another needed: robust mutexes are so.  So nobody sleeps for long without another look.
 */
static int lock(pthread_mutex_t *m)
{
	int error = pthread_mutex_trylock(m);
	while (error == EBUSY || error == ETIMEDOUT) {
		struct timespec until;
		(void)clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += LOOK_AGAIN_NANO;
		until.tv_sec += until.tv_nsec / NANO;
		until.tv_nsec %= NANO;
		error = pthread_mutex_timedlock(m, &until);
	}
	return error == EOWNERDEAD ? pthread_mutex_consistent(m) : error;
}

static void unlock(pthread_mutex_t *m)
{
	(void)pthread_mutex_unlock(m);
}

static uint64_t load(const _Atomic uint64_t *place)
{
	return atomic_load_explicit(place, memory_order_acquire);
}

static void store(_Atomic uint64_t *place, uint64_t value)
{
	atomic_store_explicit(place, value, memory_order_release);
}

/* ---- changes --------------------------------------------------------------------- */

struct space {
	uint32_t link, pages;
};

bool change_make(struct page *p, const struct change *c)
{
	union buffer b;
	switch (c->what) {
	case CHANGE_REPLACE:
		page_remove(p, c->slot);
		page_insert(p, c->slot, c->key, c->value);
		return true;
	case CHANGE_INSERT:
		page_insert(p, c->slot, c->key, c->value);
		return true;
	case CHANGE_REMOVE:
		page_remove(p, c->slot);
		return true;
	case CHANGE_CUT:
		page_cut(p, c->slot, c->key);
		return true;
	case CHANGE_SPACE:
		mpool_store32(&p->link, c->link);
		mpool_store32(&p->pages, c->pages);
		return true;
	case CHANGE_IMAGE:
		if (c->image == NULL && !page_from_image(&b, c->value))
			return false;
		page_become(p, c->image != NULL ? c->image : &b.page);
		return true;
	}
	return false;
}

static unsigned char *put(unsigned char *to, const void *from, size_t n)
{
	if (n > 0)
		memcpy(to, from, n);
	return to + n;
}

static unsigned char *encode(unsigned char *to, const struct change *c, uint64_t redo)
{
	unsigned char image[IMAGE_MAX];
	struct space space = {c->link, c->pages};
	struct bytes before = {0}, value = c->value;
	unsigned char *head = to;
	if (c->what == CHANGE_IMAGE)
		value = (struct bytes){image, page_image(c->image, image)};
	else if (c->what == CHANGE_SPACE)
		value = (struct bytes){&space, sizeof space};
	to += sizeof(struct part);
	if (c->what != CHANGE_IMAGE && c->page->lsn <= redo) {
		before.len = page_image(c->page, to);
		to += before.len;
	}
	to = put(put(to, c->key.at, c->key.len), value.at, value.len);
	struct part part = {.pgno = c->pgno,
	                    .what = (uint16_t)c->what,
	                    .slot = (uint16_t)c->slot,
	                    .before = (uint16_t)before.len,
	                    .key = (uint16_t)c->key.len,
	                    .value = (uint16_t)value.len};
	memcpy(head, &part, sizeof part);
	return to;
}

/* Where the next begins; NULL: it is none. */
static const unsigned char *decode(const unsigned char *from, const unsigned char *end, struct change *c)
{
	struct part part;
	if ((size_t)(end - from) < sizeof part)
		return NULL;
	memcpy(&part, from, sizeof part);
	from += sizeof part;
	if (end - from < part.before + part.key + part.value)
		return NULL;
	*c = (struct change){.pgno = part.pgno, .what = part.what, .slot = part.slot};
	c->before = (struct bytes){part.before > 0 ? from : NULL, part.before};
	c->key = (struct bytes){from + part.before, part.key};
	c->value = (struct bytes){from + part.before + part.key, part.value};
	if (c->what == CHANGE_SPACE) {
		struct space space = {0};
		memcpy(&space, c->value.at, c->value.len < sizeof space ? c->value.len : sizeof space);
		c->link = space.link;
		c->pages = space.pages;
	}
	return from + part.before + part.key + part.value;
}

/* ---- the file ----------------------------------------------------------------------- */

static int write_all(int fd, const void *from, size_t n, uint64_t at)
{
	for (size_t done = 0; done < n;) {
		ssize_t w = pwrite(fd, (const char *)from + done, n - done, (off_t)(at + done));
		if (w < 0 && errno != EINTR)
			return errno;
		done += w > 0 ? (size_t)w : 0;
	}
	return 0;
}

/* What is beyond the file's end is zeros. */
static int read_all(int fd, void *to, size_t n, uint64_t at)
{
	memset(to, 0, n);
	for (size_t done = 0; done < n;) {
		ssize_t r = pread(fd, (char *)to + done, n - done, (off_t)(at + done));
		if (r == 0)
			break;
		if (r < 0 && errno != EINTR)
			return errno;
		done += r > 0 ? (size_t)r : 0;
	}
	return 0;
}

/* After a flush that failed nobody knows what is in the file, and the next would not say: so there is none. */
static int fail(struct log_state *s, int error)
{
	int none = 0;
	if (error != 0)
		atomic_compare_exchange_strong(&s->failed, &none, error);
	return atomic_load(&s->failed);
}

static uint64_t header_sum(const struct log_header *h)
{
	return checksum(h, offsetof(struct log_header, sum), LOG_MAGIC);
}

static int header_read(const struct log *log, struct log_header *h)
{
	*h = (struct log_header){0};
	for (unsigned i = 0; i < HEADER_SLOTS; i++) {
		struct log_header one;
		int error = read_all(log->fd, &one, sizeof one, i * HEADER_APART);
		if (error != 0)
			return error;
		if (one.magic == LOG_MAGIC && one.sum == header_sum(&one) && one.turn >= h->turn)
			*h = one;
	}
	return 0;
}

static int header_write(struct log *log, uint64_t redo)
{
	struct log_state *s = log->state;
	struct log_header h = {
		.magic = LOG_MAGIC, .size = s->size, .redo = redo, .turn = s->turn + 1, .epoch = s->epoch};
	h.sum = header_sum(&h);
	int error = write_all(log->fd, &h, sizeof h, h.turn % HEADER_SLOTS * HEADER_APART);
	if (error == 0 && fdatasync(log->fd) != 0)
		error = errno;
	if (error == 0)
		s->turn = h.turn;
	return fail(s, error);
}

static uint64_t file_at(const struct log_state *s, uint64_t place)
{
	return RING_AT + place % s->size;
}

/* With `flush` locked: all of the buffer up to there is in the file.  Ring and file have their bounds together. */
static int write_out(struct log *log, uint64_t end)
{
	struct log_state *s = log->state;
	uint64_t at = load(&s->written);
	int error = atomic_load(&s->failed);
	while (at < end && error == 0) {
		uint64_t n = LOG_BUFFER - at % LOG_BUFFER;
		if (n > end - at)
			n = end - at;
		error = fail(s, write_all(log->fd, s->ring + at % LOG_BUFFER, n, file_at(s, at)));
		if (error == 0)
			store(&s->written, at += n);
	}
	return error;
}

int log_flush(struct log *log, uint64_t lsn)
{
	struct log_state *s = log->state;
	if (load(&s->flushed) >= lsn)
		return 0;
	int error = lock(&s->flush);
	if (error != 0)
		return error;
	/* While this one waited, the others have appended: they are flushed with it. */
	if (load(&s->flushed) < lsn) {
		uint64_t end = load(&s->end);
		error = write_out(log, end);
		if (error == 0 && fdatasync(log->fd) != 0)
			error = fail(s, errno);
		if (error == 0)
			store(&s->flushed, end);
	}
	unlock(&s->flush);
	return error;
}

/* Makes room in the buffer. */
static int log_write(struct log *log)
{
	int error = lock(&log->state->flush);
	if (error != 0)
		return error;
	error = write_out(log, load(&log->state->end));
	unlock(&log->state->flush);
	return error;
}

/* ---- to append ------------------------------------------------------------------------ */

static uint64_t record_sum(const void *record, size_t n, uint64_t epoch)
{
	return checksum((const char *)record + sizeof(uint64_t), n - sizeof(uint64_t), epoch);
}

/* Into `buffer`; but for sum and place, which are not known yet. */
static size_t record_make(unsigned char *buffer, const struct change *c, unsigned n, uint64_t redo)
{
	struct record head = {.changes = n};
	unsigned char *at = buffer + sizeof head;
	for (unsigned i = 0; i < n; i++)
		at = encode(at, &c[i], redo);
	while ((at - buffer) % RECORD_ALIGN != 0)
		*at++ = 0;
	head.bytes = (uint32_t)(at - buffer);
	memcpy(buffer, &head, sizeof head);
	return head.bytes;
}

static void record_add(struct log_state *s, unsigned char *buffer, size_t n, uint64_t place)
{
	struct record head;
	memcpy(&head, buffer, sizeof head);
	head.place = place;
	memcpy(buffer, &head, sizeof head);
	head.sum = record_sum(buffer, n, s->epoch);
	memcpy(buffer, &head, sizeof head);
	size_t at = place % LOG_BUFFER, first = n < LOG_BUFFER - at ? n : LOG_BUFFER - at;
	memcpy(s->ring + at, buffer, first);
	memcpy(s->ring, buffer + first, n - first);
	/* Now it is in the log. */
	store(&s->end, place + n);
}

int log_append(struct log *log, const struct change *c, unsigned n, uint64_t *lsn)
{
	struct log_state *s = log->state;
	_Alignas(struct record) unsigned char buffer[RECORD_MAX];
	for (;;) {
		uint64_t redo = load(&s->redo);
		size_t size = record_make(buffer, c, n, redo);
		int error = lock(&s->append);
		if (error != 0)
			return error;
		uint64_t end = load(&s->end);
		bool same = load(&s->redo) == redo, fits = end + size - load(&s->written) <= LOG_BUFFER;
		if (end + size - load(&s->base) > s->size)
			error = ENOSPC;
		if (error == 0)
			error = atomic_load(&s->failed);
		if (error == 0 && same && fits)
			record_add(s, buffer, size, end);
		unlock(&s->append);
		*lsn = end + size;
		if (error == 0 && !fits)
			error = log_write(log);
		if (error != 0 || (same && fits))
			return error;
	}
}

uint64_t log_end(const struct log *log)
{
	return load(&log->state->end);
}

/* ---- checkpoints -------------------------------------------------------------------------- */

int log_lock(struct log *log, bool only_try)
{
	pthread_mutex_t *m = &log->state->checkpoint;
	int error = only_try ? pthread_mutex_trylock(m) : lock(m);
	return error == EOWNERDEAD ? pthread_mutex_consistent(m) : error;
}

void log_unlock(struct log *log)
{
	unlock(&log->state->checkpoint);
}

int log_mark(struct log *log, uint64_t *redo)
{
	struct log_state *s = log->state;
	/* Not between an appender's look at `redo` and its record. */
	int error = lock(&s->append);
	if (error != 0)
		return error;
	*redo = load(&s->end);
	store(&s->redo, *redo);
	unlock(&s->append);
	return 0;
}

int log_cut(struct log *log, uint64_t redo)
{
	int error = log_flush(log, redo);
	if (error == 0)
		error = header_write(log, redo);
	if (error == 0)
		store(&log->state->base, redo); /* from now on what is before may be overwritten */
	return error;
}

unsigned log_full(const struct log *log)
{
	const struct log_state *s = log->state;
	return (unsigned)((load(&s->end) - load(&s->base)) * 100 / s->size);
}

/* ---- to read it --------------------------------------------------------------------------------- */

/* A piece of the log. */
struct piece {
	unsigned char *bytes;
	uint64_t at, end;
};

/* The bytes of the log from there on, n of them; NULL: no memory, or they cannot be read. */
static const unsigned char *piece_at(struct piece *p, const struct log *log, uint64_t place, size_t n)
{
	const struct log_state *s = log->state;
	if (place >= p->at && place + n <= p->end)
		return p->bytes + (place - p->at);
	uint64_t first = s->size - place % s->size;
	if (first > LOG_BUFFER)
		first = LOG_BUFFER;
	p->at = p->end = place;
	if ((errno = read_all(log->fd, p->bytes, first, file_at(s, place))) != 0 ||
	    (errno = read_all(log->fd, p->bytes + first, LOG_BUFFER - first, RING_AT)) != 0)
		return NULL;
	p->end = place + LOG_BUFFER;
	return p->bytes;
}

/* The record that begins there; *record NULL: there is none. */
static int record_at(struct piece *p, const struct log *log, uint64_t place, const struct record **record)
{
	struct record head;
	const unsigned char *at = piece_at(p, log, place, sizeof head);
	*record = NULL;
	if (at == NULL)
		return errno;
	memcpy(&head, at, sizeof head);
	if (head.place != place || head.bytes < sizeof head || head.bytes > RECORD_MAX ||
	    head.bytes % RECORD_ALIGN != 0)
		return 0;
	if ((at = piece_at(p, log, place, head.bytes)) == NULL)
		return errno;
	if (head.sum == record_sum(at, head.bytes, log->state->epoch))
		*record = (const struct record *)(const void *)at;
	return 0;
}

static int each_change(const struct record *r, log_seen *seen, void *arg)
{
	const unsigned char *at = (const unsigned char *)(r + 1), *end = (const unsigned char *)r + r->bytes;
	int error = 0;
	for (uint32_t i = 0; i < r->changes && error == 0; i++) {
		struct change c;
		at = decode(at, end, &c);
		error = at == NULL ? EBADMSG : seen(arg, &c, r->place + r->bytes);
	}
	return error;
}

/* From base on, to `end` or to the last; *last: where that ends. */
static int read_records(const struct log *log, uint64_t end, uint64_t *last, log_seen *seen, void *arg)
{
	struct piece p = {.bytes = malloc(LOG_BUFFER)};
	const struct record *r;
	int error = p.bytes == NULL ? ENOMEM : 0;
	*last = load(&log->state->base);
	while (error == 0 && *last < end) {
		error = record_at(&p, log, *last, &r);
		if (error != 0 || r == NULL)
			break;
		error = each_change(r, seen, arg);
		*last += r->bytes;
	}
	free(p.bytes);
	return error;
}

int log_read(struct log *log, log_seen *seen, void *arg)
{
	uint64_t end = load(&log->state->end), last;
	int error = log_write(log);
	if (error == 0)
		error = read_records(log, end, &last, seen, arg);
	return error == 0 && last < end ? EBADMSG : error;
}

/* ---- open and close --------------------------------------------------------------------------------- */

static int init_mutex(pthread_mutex_t *m)
{
	pthread_mutexattr_t a;
	int error = pthread_mutexattr_init(&a);
	if (error != 0)
		return error;
	(void)pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	(void)pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	error = pthread_mutex_init(m, &a);
	(void)pthread_mutexattr_destroy(&a);
	return error;
}

static int state_init(struct log_state *s, const struct log_header *h)
{
	memset(s, 0, offsetof(struct log_state, ring));
	int error = init_mutex(&s->append);
	if (error == 0)
		error = init_mutex(&s->flush);
	if (error == 0)
		error = init_mutex(&s->checkpoint);
	s->size = h->size;
	s->epoch = h->epoch;
	s->turn = h->turn;
	store(&s->base, h->redo);
	return error;
}

/* Nothing is appended meanwhile, and all pages that come to be written have their records in the file. */
static void state_place(struct log_state *s, uint64_t place)
{
	store(&s->end, place);
	store(&s->redo, place);
	store(&s->written, place);
	store(&s->flushed, place);
}

int log_begin(struct log *log, uint64_t size, log_seen *seen, void *arg)
{
	struct log_state *s = log->state;
	struct log_header h = {0};
	uint64_t last;
	/* What was written before a crash may not be on stable storage, and is acted upon now. */
	int error = fdatasync(log->fd) != 0 ? errno : header_read(log, &h);
	if (error != 0)
		return error;
	if (h.magic == 0)
		h = (struct log_header){.magic = LOG_MAGIC, .size = size, .epoch = 1};
	error = state_init(s, &h);
	if (error != 0)
		return error;
	state_place(s, LOG_NO_CUT);
	error = read_records(log, LOG_NO_CUT, &last, seen, arg);
	state_place(s, last);
	s->epoch++;
	if (error == 0 && h.turn == 0)
		error = header_write(log, 0); /* of a new one */
	store(&s->begun, error == 0 ? LOG_MAGIC : 0);
	return error;
}

bool log_has_begun(const struct log *log)
{
	return load(&log->state->begun) == LOG_MAGIC;
}

static int map_state(struct log *log, const char *name)
{
	int fd = name != NULL ? open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (name != NULL && (fd < 0 || ftruncate(fd, sizeof(struct log_state)) != 0))
		return errno;
	void *at = mmap(NULL, sizeof(struct log_state), PROT_READ | PROT_WRITE,
	                MAP_SHARED | (name != NULL ? 0 : MAP_ANONYMOUS), fd, 0);
	int error = at == MAP_FAILED ? errno : 0;
	if (fd >= 0)
		close(fd);
	log->state = error == 0 ? at : NULL;
	return error;
}

int log_open(struct log *log, const char *file, bool shared)
{
	char name[PATH_MAX];
	*log = (struct log){.fd = -1};
	if (snprintf(name, sizeof name, "%s.log", file) >= (int)sizeof name)
		return ENAMETOOLONG;
	log->fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (log->fd < 0)
		return errno;
	snprintf(name, sizeof name, "%.*s.shm", PATH_MAX - 5, file);
	return map_state(log, shared ? name : NULL);
}

void log_close(struct log *log)
{
	if (log->state != NULL)
		munmap(log->state, sizeof *log->state);
	if (log->fd >= 0)
		close(log->fd);
}
