/* files.c - see files.h. */
#include "share/files.h"

#include <errno.h>
#include <fcntl.h>

#include "core/resize.h"
#include "core/window.h"
#include "evict/leave.h"
#include "io/extent.h"
#include "os/descriptor.h"
#include "os/time.h"
#include "share/hand.h"
#include "share/object.h"
#include "share/recover.h"
#include "share/slots.h"

/*
 * Who makes room, and has asked in vain, asks no sooner again, for any file; twice as long each time, so that a holder that is
 * stopped does not hold up others, who can do without.
 */
#define ASK_AGAIN_NS    (1000 * NS_PER_MS)
#define ASK_AGAIN_TIMES 4u
/* So often who attaches asks, with so long in between: who is being killed answers nothing, and is not dead yet. */
#define ASK_TIMES  3u
#define ASK_NAP_NS (20 * NS_PER_MS)

static struct catalog *catalog_of(const struct sharing *sh)
{
	return sh->io->catalog;
}

static int lock_pool(const struct sharing *sh, struct hold *lock)
{
	struct member_object object = share_object(sh);
	*lock = (struct hold){NULL, -1};
	return member_lock(lock, &object, LOCK_TIMEOUT_S);
}

/* ---- what this process has of a file, with sh->changing ------------------- */

static void close_descriptors(struct io *io)
{
	if (atomic_load(&io->here) == 0 && io->file.fd < 0)
		return;
	atomic_store(&io->here, 0);
	hand_lock();
	pageio_close_named(&io->file, io->name);
	io->file.fd = -1;
	hand_unlock();
}

/* Of files that were closed since. */
static void close_stale(struct sharing *sh)
{
	struct catalog *c = catalog_of(sh);
	for (uint32_t i = 0, n = catalog_files(c); i < n; i++) {
		struct io *io = catalog_file(c, i);
		if (!file_here(io))
			close_descriptors(io);
	}
}

static void adopt(struct io *io, const struct handed *h, uint64_t generation)
{
	struct pageio *file = &io->file;
	close_descriptors(io);
	hand_lock();
	file->device = atomic_load(&io->slot->device);
	file->inode = atomic_load(&io->slot->inode);
	for (unsigned i = 0; i < h->n; i++)
		atomic_store(&file->witness[i], h->fd[i]);
	atomic_store(&file->generation, h->generation);
	io->name = h->name;
	file->fd = h->fd[0];
	/* Last: whoever finds it uses what is before. */
	atomic_store(&io->here, generation + 1);
	hand_unlock();
}

/* Its filters and hooks are the program's no more. */
static void forget_hooks(struct io *io)
{
	(void)hooks_set(&io->file.hooks, NULL, 0);
	hooks_set_filters(&io->file.hooks, NULL, NULL, NULL);
}

/* ---- closing -------------------------------------------------------------- */

/* Threads of this process that have a page of the file in hand. */
struct own_threads {
	struct sharing *sh;
	const struct io *io;
	uint32_t page, frame; /* one of them: its page; FRAME_NONE: it is being loaded */
	bool found;
};

static void look_for_own(void *own, const struct table_ref *at, uint64_t e)
{
	struct own_threads *o = own;
	const struct pins *p = &o->sh->core->pins;
	(void)at;
	if (o->found || !extent_is_of(o->io, entry_page(e)))
		return;
	uint32_t who = entry_who(e);
	bool in_frame = entry_in_frame(e);
	if (in_frame) {
		const struct frame *fr = frame_live(&o->sh->core->frames, who);
		uint32_t word = fr ? atomic_load(&fr->word) : FRAME_FREE;
		if (!frame_claimed(word))
			return;
		who = (word >> FRAME_OWNER_SHIFT) - 1;
	}
	if (who >= atomic_load(&p->state->stripes) || !stripe_of(pin_stripe(p, who), p->member))
		return;
	o->found = true;
	o->page = entry_page(e);
	o->frame = in_frame ? entry_who(e) : FRAME_NONE;
}

/* `here` is 0: none begins. */
static void outlast_own_threads(struct sharing *sh, const struct io *io, struct stripe *me)
{
	struct core *c = sh->core;
	struct own_threads own = {.sh = sh, .io = io, .found = true};
	while (own.found) {
		own.found = false;
		epoch_enter(&c->epoch, me);
		table_each(&c->tables, look_for_own, &own);
		epoch_leave(me);
		if (own.found && own.frame != FRAME_NONE)
			frame_wait(c, me, own.frame, own.page);
		else if (own.found)
			(void)page_wait(c, me, own.page);
	}
}

/* This process has no handle of the file any more.  `last`: nor has any other. */
static void give_up(struct sharing *sh, struct stripe *me, struct io *io, bool last)
{
	if (last)
		(void)leave_file(sh->evict, io, me, true);
	else
		outlast_own_threads(sh, io, me);
	close_descriptors(io);
	forget_hooks(io);
	extent_map_end(io);
	/* Last: the slot may be another file's then. */
	if (last)
		slot_left(sh, io, me, true, true);
	close_stale(sh);
}

int files_close(struct sharing *sh, struct stripe *me, struct io *io, bool last_of_ours)
{
	struct hold lock;
	pthread_mutex_lock(&sh->changing);
	/* Others may have closed theirs since the caller looked. */
	int error = (io->handles == 1) == last_of_ours ? lock_pool(sh, &lock) : EAGAIN;
	if (!error) {
		io->handles--;
		bool last = last_of_ours && slot_let_go(io->slot, sh->core->pins.member, me->id + 1);
		/*
		 * Sequentially consistent, before any frame is looked at: pairs with may_write of writeback.c.  With the pool's lock:
		 * who recovers flushes by our descriptors, if they are here.
		 */
		if (last_of_ours)
			atomic_store(&io->here, 0);
		member_unlock(&lock);
		if (last_of_ours)
			give_up(sh, me, io, last);
	}
	pthread_mutex_unlock(&sh->changing);
	return error;
}

bool files_is_last(struct sharing *sh, const struct io *io)
{
	pthread_mutex_lock(&sh->changing);
	bool last = io->handles == 1;
	pthread_mutex_unlock(&sh->changing);
	return last;
}

/* ---- attaching ------------------------------------------------------------ */

/* A file is going to be attached: SEVERAL_... of core/table.h.  0, or an errno. */
static int begin_several(struct sharing *sh, struct stripe *me)
{
	_Atomic uint32_t *several = &sh->core->tables.state->several;
	int error = catalog_make(sh->io);
	if (error || atomic_load(several) == SEVERAL_DONE)
		return error;
	/* Sequentially consistent, before the new table is the head: pairs with newest_is. */
	atomic_store(several, SEVERAL_BEGUN);
	core_told(sh->core);
	if (resize_renew(sh->core, me) != 0)
		return ENOMEM;
	atomic_store(several, SEVERAL_DONE);
	return 0;
}

/* This process holds the file from now on. */
static int begin_handle(struct sharing *sh, struct io *io)
{
	int error = io->handles == 0 ? extent_map_begin(io) : 0;
	if (error)
		return error;
	io->handles++;
	slot_hold(io->slot, sh->core->pins.member);
	return 0;
}

/* What a file begins with. */
static void begin_state(const struct sharing *sh, struct io *io, uint32_t pages, bool tail)
{
	struct file_slot *s = io->slot;
	for (unsigned i = 0; i < IO_COUNTERS; i++)
		atomic_store(&s->counts[i], 0);
	for (unsigned i = 0; i < MEMBER_WORDS; i++)
		atomic_store(&s->holders[i], 0);
	s->pageio.name = hand_name(sh, io, file_generation(s));
	pageio_begin(&s->pageio, pages, tail);
}

/* It is in no slot.  0, or an errno. */
static int attach_new(struct sharing *sh, int fd, const struct pageio *probe, uint32_t pages, bool tail, struct io **to)
{
	struct catalog *c = catalog_of(sh);
	uint32_t file = catalog_free_slot(c);
	if (file == FILES_MAX)
		return catalog_files(c) == FILES_MAX ? ENFILE : ENOMEM;
	struct io *io = catalog_file(c, file);
	struct file_slot *s = io->slot;
	close_descriptors(io);
	begin_state(sh, io, pages, tail);
	atomic_store(&s->device, io->file.device = probe->device);
	atomic_store(&s->inode, io->file.inode = probe->inode);
	int error = pageio_reopen(&io->file, fd, WITNESSES, true);
	int w = atomic_load(&io->file.witness[0]);
	if (!error)
		error = begin_handle(sh, io);
	if (error) {
		pageio_close(&io->file, false);
		return error;
	}
	io->file.fd = w >= 0 ? w : fd;
	atomic_store(&io->file.generation, 1);
	io->name = s->pageio.name;
	pageio_establish(&io->file);
	atomic_store(&io->here, file_generation(s) + 1);
	slot_state(s, FILE_IN, file_generation(s));
	*to = io;
	return 0;
}

static bool may_write(int fd)
{
	int flags = descriptor_flags(fd);
	return flags != -1 && (flags & O_ACCMODE) != O_RDONLY;
}

/* What a try of an attach has come to. */
enum next { ATTACH_DONE, ATTACH_AGAIN, ATTACH_ASK, ATTACH_OUTLAST };
struct attaching {
	enum next next;
	struct file_slot *closing; /* to be outlasted */
	struct io *asked;          /* witnesses of that file are to be asked for, or were; of which generation */
	uint64_t generation;
	struct handed h;   /* these; n is 0: nobody has answered */
	unsigned vain;     /* so often */
	uint64_t until_ns; /* until then who is closing it is waited for */
};

/* Others hold it.  0, or an errno. */
static int attach_held(struct sharing *sh, int fd, struct io *io, struct attaching *t)
{
	uint64_t generation = file_generation(io->slot);
	if (!file_here(io) && !(t->asked == io && t->generation == generation)) {
		if (t->asked)
			hand_drop(&t->h);
		t->asked = io;
		t->generation = generation;
		t->next = ATTACH_ASK;
		return 0;
	}
	if (!file_here(io) && t->h.n == 0) {
		/* They may be dead, and nobody have noticed; or about to be. */
		if (!recover_dead_locked(sh) && ++t->vain == ASK_TIMES)
			return EAGAIN;
		t->next = ATTACH_AGAIN;
		t->asked = NULL;
		return 0;
	}
	bool here = file_here(io);
	/* Before they are this process's: by who makes room they may be used from then on. */
	int error = may_write(fd) && !may_write(here ? io->file.fd : t->h.fd[0]) ? EROFS : begin_handle(sh, io);
	if (error)
		return error;
	if (here)
		hand_drop(&t->h);
	else
		adopt(io, &t->h, generation);
	t->h.n = 0;
	return 0;
}

/* With the pool's lock. */
static int attach_once(struct sharing *sh, struct stripe *me, int fd, struct attaching *t, struct io **to)
{
	struct pageio probe;
	uint32_t pages;
	bool tail;
	if (pageio_open(&probe, fd, sh->io->file.pagesize, &pages, &tail) != 0)
		return errno;
	int error = begin_several(sh, me);
	if (error)
		return error;
	struct file_slot *s = slot_find(sh, &probe);
	if (!s)
		return attach_new(sh, fd, &probe, pages, tail, to);
	/* Nobody has it, since one died who let go of it. */
	if (file_holders(s) == 0)
		(void)slot_let_go(s, sh->core->pins.member, 0);
	if (file_state_of(s) == FILE_CLOSING) {
		t->closing = s;
		t->next = ATTACH_OUTLAST;
		return 0;
	}
	*to = catalog_file(catalog_of(sh), s->number);
	return attach_held(sh, fd, *to, t);
}

int files_attach(struct sharing *sh, struct stripe *me, int fd, struct io **to)
{
	struct attaching t = {.next = ATTACH_AGAIN, .until_ns = time_ns() + LOCK_TIMEOUT_S * 1000 * NS_PER_MS};
	int error = 0;
	pthread_mutex_lock(&sh->changing);
	while (t.next != ATTACH_DONE && !error) {
		struct hold lock;
		t.next = ATTACH_DONE;
		error = lock_pool(sh, &lock);
		if (error)
			break;
		error = attach_once(sh, me, fd, &t, to);
		member_unlock(&lock);
		/* Without the lock: they may be slow. */
		if (t.next == ATTACH_OUTLAST) {
			slot_outlast(sh, t.closing, me);
			/* Its closer may be stopped. */
			error = time_ns() > t.until_ns ? ETIMEDOUT : 0;
		} else if (t.next == ATTACH_ASK && !hand_ask(sh, t.asked, &t.h)) {
			t.h.n = 0;
			time_nap(ASK_NAP_NS);
		}
	}
	if (t.asked)
		hand_drop(&t.h);
	close_stale(sh);
	pthread_mutex_unlock(&sh->changing);
	return error;
}

/* ---- a descriptor for who makes room -------------------------------------- */

static bool ask_for(struct sharing *sh, struct io *io)
{
	struct handed h;
	struct io *first = sh->io;
	uint64_t generation = file_generation(io->slot), now = time_ns();
	if (file_state_of(io->slot) != FILE_IN || file_here(io) || now < atomic_load(&first->ask_ns))
		return file_here(io);
	if (!hand_ask(sh, io, &h)) {
		first->vain += first->vain < ASK_AGAIN_TIMES;
		atomic_store(&first->ask_ns, time_ns() + (ASK_AGAIN_NS << (first->vain - 1)));
		return false;
	}
	first->vain = 0;
	if (file_state_of(io->slot) == FILE_IN && file_generation(io->slot) == generation)
		adopt(io, &h, generation);
	else
		hand_drop(&h);
	return file_here(io);
}

bool files_wanted(struct sharing *sh, struct stripe *me)
{
	struct io *io = atomic_exchange(&sh->io->wanted, NULL);
	if (!io)
		return false;
	if (file_state_of(io->slot) == FILE_CLOSING)
		return slot_close_left(sh, io, me);
	/* Another thread is at it: or at a change that may take its time. */
	if (pthread_mutex_trylock(&sh->changing) != 0)
		return false;
	bool here = ask_for(sh, io);
	pthread_mutex_unlock(&sh->changing);
	return here;
}

/* ---- the pool is joined, and left ----------------------------------------- */

int files_join(struct sharing *sh)
{
	pthread_mutex_init(&sh->changing, NULL);
	return catalog_join(sh->io);
}

void files_end(struct sharing *sh, bool parents)
{
	struct catalog *c = catalog_of(sh);
	if (!c)
		return;
	/* The object is mapped still, if it ever was. */
	for (uint32_t b = 0; b < FILE_BLOCKS; b++)
		for (uint32_t i = 0; i < FILE_BLOCK && atomic_load(&c->file_ready[b]); i++) {
			struct io *io = &c->file[b * FILE_BLOCK + i];
			close_descriptors(io);
			extent_map_end(io);
		}
	if (!parents)
		pthread_mutex_destroy(&sh->changing);
	catalog_leave(sh->io);
}
