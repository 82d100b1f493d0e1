/*
 * object.c - join.c for the explorer: the object is memory, and not a file, and who is
 * asked for descriptors is asked without sockets.
 *
 * What join.c does in an object, and in which order, is its own: it stands below,
 * all of it.  Only finding, making and mapping one by its key is not: there is one
 * object for all processes of a run, and one address.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#define share_open  share_open_by_key
#define share_close share_close_by_key
#include "share/join.c"
#undef share_open
#undef share_close

#include "inside.h"
#include "object.h"

/* As join.h has them. */
int share_open(struct sharing *sh, struct share_key key, int fd, uint32_t pagesize, uint32_t maxcache);
void share_close(struct sharing *sh, bool parents);

/* What is in it beside frames: room for tables, stripes and segments. */
#define CHUNKS_BYTES ((uint64_t)224 << 10)

const off_t object_liveness = LIVENESS_BYTES;

static struct preamble preamble;
static char *object;
static uint32_t limit;
static bool watched, silent;
static struct sharing *joined[OBJECT_PROCESSES];

void object_begin(void *at, uint32_t most, bool watch, bool quiet)
{
	silent = quiet;
	memset(joined, 0, sizeof joined);
	object = at;
	limit = most;
	watched = watch;
	memset(&preamble, 0, sizeof preamble);
}

static uint64_t lay_out(struct preamble *p, uint32_t pagesize, uint32_t frames)
{
	p->limit = frames;
	p->unit = frames_unit(1);
	p->header_at = object_round_up(sizeof *p, map_page());
	p->frames_at = object_round_up(p->header_at + sizeof(struct header), map_page());
	p->chunks_at = object_round_up(p->frames_at + frames_bytes(pagesize, frames), map_page());
	return p->total = p->chunks_at + CHUNKS_BYTES;
}

size_t object_bytes(uint32_t pagesize, uint32_t most)
{
	struct preamble p;
	return lay_out(&p, pagesize, most);
}

/* As make() has it. */
static int make_object(struct sharing *sh, int fd, uint32_t pagesize, uint32_t frames)
{
	uint32_t pages;
	bool tail;
	if (pageio_open(&sh->io->file, fd, pagesize, &pages, &tail) != 0)
		return errno;
	int error = witness_make(sh, fd);
	if (error)
		return error;
	preamble.pagesize = pagesize;
	preamble.align = (uint32_t)sh->io->file.align;
	preamble.barrier = barrier_available(BARRIER_PROCESSES) ? BARRIER_PROCESSES : BARRIER_FENCE;
	lay_out(&preamble, pagesize, limit);
	return fill_object(sh, &preamble, "", frames, pages, tail);
}

/* As join_object() has it. */
static int join_made(struct sharing *sh, int fd)
{
	attach(sh, &preamble, MEMBERS_MAX);
	if (!share_sound(sh, &preamble))
		return EBADMSG;
	if (core_untold(sh->core))
		core_told(sh->core);
	table_join(&sh->core->tables);
	sh->io->file.align = preamble.align;
	if (!witness_join(sh)) {
		/* As find_file() has it: by the file's path. */
		sh->io->file.fd = sh->file = descriptor_again(fd, O_RDWR);
		sh->file_name = 0;
	}
	return sh->io->file.fd < 0 ? errno : 0;
}

/* Any process that lives, and has them, answers at once.  That of hand.c has another name here: see CMakeLists.txt. */
bool hand_ask(struct sharing *sh, struct io *io, struct handed *h)
{
	h->name = hand_name(sh, io, io->slot ? file_generation(io->slot) : 0);
	for (unsigned p = 0; p < OBJECT_PROCESSES && !silent; p++)
		if (joined[p] && joined[p] != sh && object_lives(p) && inside_hand(joined[p], io, h))
			return true;
	return false;
}

int share_open(struct sharing *sh, struct share_key key, int fd, uint32_t pagesize, uint32_t maxcache)
{
	(void)key;
	sh->object = OBJECT_FD;
	sh->file = -1;
	sh->map = object;
	sh->io->file.pagesize = pagesize;
	if (files_join(sh) != 0)
		return ENOMEM;
	int error = preamble.total == 0 ? make_object(sh, fd, pagesize, maxcache) : join_made(sh, fd);
	if (!error)
		error = become_member(sh, fd, maxcache);
	if (error) {
		files_end(sh, false);
		hold_end(&sh->liveness);
		return error;
	}
	joined[object_process_now()] = sh;
	atomic_store(&sh->core->deaths_told, watched);
	return error;
}

void share_close(struct sharing *sh, bool parents)
{
	for (unsigned p = 0; p < OBJECT_PROCESSES; p++)
		if (joined[p] == sh)
			joined[p] = NULL;
	/* As leave() has it. */
	struct hold lock = {NULL, -1};
	struct member_object o = share_object(sh);
	if (!object_dead() && member_lock(&lock, &o, LOCK_TIMEOUT_S) == 0) {
		recover_leave(sh);
		member_unlock(&lock);
	}
	files_end(sh, parents);
	hold_end(&sh->liveness);
}
