/* thread.c - see thread.h. */
#include "core/thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/latch.h"
#include "os/process.h"

/* The low bits of a serial are a place among the open pools; the others count the pools opened. */
#define PLACE_BITS 22u
#define PLACE_MASK ((UINT64_C(1) << PLACE_BITS) - 1)
/* Places that need no memory. */
#define PLACES_FIRST 64u
#define PLACE_NONE   UINT32_MAX
/* Lines of a thread's first table. */
#define KNOWN_FIRST 4u
/* Older threads for which each new one asks the kernel: more than one, so that their list gets shorter. */
#define ASK_FOR 2u

/* A thread that uses pools. */
struct user {
	/* In the list of users; other threads look at these. */
	struct user *next, *before;
	pid_t tid;
	/* The thread's own. */
	struct known *known;
	uint64_t mask;
	uint32_t count; /* lines of its table with an attachment */
};

/* The table of a thread that has used no pool; never written. */
static struct known known_none;
_Thread_local struct last_used thread_last = {.known = &known_none};
_Thread_local struct filtering thread_filtering;
static _Thread_local struct user *self;

/* Guards all that follows; taken when a pool opens or closes, a thread first uses a
 * pool, a thread ends, and the process forks.  Nobody who holds it takes another lock,
 * or allocates or frees (see fork.h), or goes from pool to pool or thread to thread. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The open pools, by place. */
struct place {
	struct core *c;     /* NULL: free */
	uint32_t next_free; /* PLACE_NONE: none */
};
static struct place places_first[PLACES_FIRST];
static struct place *places = places_first;
static uint32_t places_size = PLACES_FIRST, places_used; /* places from there on were never used */
static uint32_t place_free = PLACE_NONE;
static uint32_t pools_open, pools_viewed; /* those of thread_views */
static uint64_t last_serial;              /* its upper bits count the pools that were opened */

/* The threads that use pools, in a ring: first those for which the kernel was asked longest ago. */
static struct user users = {.next = &users, .before = &users};

/* How many forks there were between the process that loaded the library and this one. */
static uint64_t forks;
/* In the child of a fork: what the thread that forked knew of its parent's pools; for
 * forks of forks, each time one more. */
static struct user *inherited;
/* The calling thread is the one that forked (the heir).  The heir is alive; is about to end,
 * and leaves what it can; or has ended. */
static _Thread_local bool heir;
static enum { HEIR_LIVES, HEIR_LEAVES, HEIR_GONE } heir_state;
/* What an earlier heir had, which does not exist any more: to be freed. */
static struct user *forgotten;
/* One thread at a time adopts; not held at a fork: a child's is made anew.  The lock above is taken after it. */
static pthread_mutex_t adopting = PTHREAD_MUTEX_INITIALIZER;

static pthread_key_t key; /* its destructor tells us that a thread ends */
static bool key_made;
static bool ended;  /* the library is being unloaded, or the process ends: no key is made any more */
static bool erased; /* ... and what is known of threads was freed */

/* Spill stripes in the first n groups; group n has one more. */
static uint32_t spills(unsigned groups)
{
	return ((uint32_t)1 << groups) - 1;
}

/* ---- what a thread knows ------------------------------------------------ */

static uint32_t place_of(uint64_t serial)
{
	return serial & PLACE_MASK;
}

/* The open pool of that serial, or NULL.  Under the lock. */
static const struct core *open_pool(uint64_t serial)
{
	const struct core *c = places[place_of(serial)].c;
	return c && c->handle.serial == serial ? c : NULL;
}

static void drop_peek(struct attachment *a)
{
	if (a->peek)
		pin_back_out(a->peek);
	a->peek = NULL;
}

static bool is_stripe(void *of, uint32_t stripe)
{
	return ((const struct stripe *)of)->id == stripe;
}

/* Its latches are nobody's, and the pages of exclusive ones abandoned. */
static void leave_latches(const struct core *c, const struct attachment *a)
{
	if (!latches_on(c))
		return;
	latch_drop_marks(c, a->stripe);
	for (uint32_t i = 0; i < spills(a->groups); i++)
		latch_drop_marks(c, a->spill[i]);
	if (a->latches == 0)
		return;
	epoch_enter(&c->epoch, a->stripe);
	latch_recover(c, is_stripe, a->stripe, true);
	epoch_leave(a->stripe);
}

/* The thread leaves the pool, which is open, its stripes. */
static void leave_stripes(const struct core *c, struct attachment *a)
{
	drop_peek(a);
	if (atomic_load(&a->stripe->busy) == BUSY_IN_CALL)
		a->core->above->left(a->core, a->stripe); /* it has left its last call by longjmp */
	leave_latches(c, a);
	pin_orphan(&c->pins, a->stripe);
	for (uint32_t i = 0; i < spills(a->groups); i++)
		pin_orphan(&c->pins, a->spill[i]);
}

/* Every process that was forked since adopted the pool.  Acquire: pairs with adopted_now. */
static bool is_adopted(const struct core *c)
{
	return likely(atomic_load_explicit(&c->forks, memory_order_acquire) == forks);
}

bool thread_is_parents(const struct core *c)
{
	return !is_adopted(c);
}

static void attachment_free(struct attachment *a)
{
	if (a)
		free(a->spill);
	free(a);
}

/* Take the attachment out of a line of the table. */
static struct attachment *take_out(struct user *u, struct known *k)
{
	struct attachment *a = k->a;
	u->count -= a != NULL;
	*k = (struct known){0};
	return a;
}

/*
 * A thread ends, or has ended, whose this was: it leaves its pools, but those that
 * wait to be adopted.
 */
static void user_leaves(struct user *u)
{
	for (uint64_t i = 0; i <= u->mask; i++) {
		pthread_mutex_lock(&lock); /* so that the pool is not closed meanwhile */
		struct attachment *a = u->known[i].a;
		const struct core *c = a ? open_pool(a->serial) : NULL;
		if (c && !is_adopted(c))
			a = NULL;
		else if (c)
			leave_stripes(c, a);
		if (a)
			take_out(u, &u->known[i]);
		pthread_mutex_unlock(&lock);
		attachment_free(a);
	}
}

/* A list of them, and what is left in their tables. */
static void users_free(struct user *u)
{
	for (struct user *next; u; u = next) {
		next = u->next;
		for (uint64_t i = 0; i <= u->mask; i++)
			attachment_free(u->known[i].a);
		free(u->known);
		free(u);
	}
}

/* The calling thread knows no pool. */
static void forget(void)
{
	self = NULL;
	thread_last = (struct last_used){.known = &known_none};
}

static void table_is(struct user *u, struct known *known, uint64_t mask)
{
	u->known = thread_last.known = known;
	u->mask = thread_last.mask = mask;
}

/* Twice as large: each line goes to one of two, and no two meet. */
static bool table_double(struct user *u)
{
	uint64_t mask = 2 * u->mask + 1;
	struct known *known = calloc(mask + 1, sizeof *known);
	if (!known)
		return false;
	for (uint64_t i = 0; i <= u->mask; i++)
		if (u->known[i].a)
			known[u->known[i].a->serial & mask] = u->known[i];
	free(u->known);
	table_is(u, known, mask);
	return true;
}

static bool is_open(uint64_t serial)
{
	pthread_mutex_lock(&lock);
	bool open = open_pool(serial);
	pthread_mutex_unlock(&lock);
	return open;
}

/*
 * What the heir has inherited of the pool, or NULL; its line, and whose that is, in
 * *line and *of.  Under the lock.
 */
static struct attachment *inherited_of(const struct core *c, struct user **of, struct known **line)
{
	for (struct user *u = inherited; u; u = u->next) {
		struct known *k = &u->known[c->handle.serial & u->mask];
		if (k->a && k->a->serial == c->handle.serial) {
			*of = u;
			*line = k;
			return k->a;
		}
	}
	return NULL;
}

/* ... and it is inherited no more. */
static struct attachment *take_inherited(const struct core *c)
{
	struct user *of;
	struct known *line;
	return inherited_of(c, &of, &line) ? take_out(of, line) : NULL;
}

/* What was inherited and has come to its end, of an heir that is gone. */
static struct user *take_empty(void)
{
	struct user *empty = NULL;
	for (struct user **at = &inherited, *u; (u = *at);)
		if (u->count > 0) {
			at = &u->next;
		} else {
			*at = u->next;
			u->next = empty;
			empty = u;
		}
	return empty;
}

/* The line for a pool that the thread does not know yet; NULL: no memory. */
static struct known *line_for(struct user *u, uint64_t serial)
{
	for (;;) {
		struct known *k = &u->known[serial & u->mask];
		if (k->a && !is_open(k->a->serial))
			attachment_free(take_out(u, k)); /* another thread has closed it */
		if (!k->a)
			return k;
		if (!table_double(u))
			return NULL;
	}
}

/* ---- threads come and go ------------------------------------------------ */

/* These under the lock. */
static void list_remove(struct user *u)
{
	u->next->before = u->before;
	u->before->next = u->next;
}

static void list_append(struct user *u)
{
	u->next = &users;
	u->before = users.before;
	users.before->next = u;
	users.before = u;
}

/* Put `u` on the list, and take some off whose threads are gone, by `next`. */
static struct user *list_renew(struct user *u)
{
	struct user *gone = NULL, *old;
	int error = errno;
	for (unsigned i = 0; i < ASK_FOR && (old = users.next) != &users; i++) {
		list_remove(old);
		if (process_thread_gone(old->tid)) {
			old->next = gone;
			gone = old;
		} else {
			list_append(old);
		}
	}
	list_append(u);
	errno = error;
	return gone;
}

/*
 * A later destructor of the program's that uses the pool makes a new
 * attachment, and this one runs once more.
 */
static void thread_ends(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&lock);
	struct user *u = erased ? NULL : self;
	if (u)
		list_remove(u);
	struct user *old = heir ? inherited : NULL;
	if (heir)
		heir_state = HEIR_LEAVES; /* before: what waits for its pool's adoption is left by who adopts */
	pthread_mutex_unlock(&lock);
	if (u) {
		user_leaves(u);
		u->next = NULL;
		users_free(u);
	}
	for (; old; old = old->next)
		user_leaves(old);
	if (heir) {
		pthread_mutex_lock(&lock);
		heir_state = HEIR_GONE;
		old = take_empty();
		pthread_mutex_unlock(&lock);
		heir = false;
		users_free(old);
	}
	forget();
}

/* Under the lock.  False: there is none to be had, now; the next call tries again. */
static bool have_key(void)
{
	if (!key_made && !ended)
		key_made = pthread_key_create(&key, thread_ends) == 0;
	return key_made;
}

/* The calling thread as a user, from now on; NULL: no memory. */
static struct user *user_new(void)
{
	struct user *u = calloc(1, sizeof *u);
	struct known *known = calloc(KNOWN_FIRST, sizeof *known);
	if (!u || !known)
		goto no_memory;
	u->tid = process_thread();
	pthread_mutex_lock(&lock);
	bool keyed = have_key(), last = ended;
	pthread_mutex_unlock(&lock);
	/* Any value but NULL makes the destructor run. */
	if (!last && (!keyed || pthread_setspecific(key, &key) != 0))
		goto no_memory;
	u->next = u->before = u; /* a list of its own, until it is in the one of all */
	table_is(u, known, KNOWN_FIRST - 1);
	self = u;
	pthread_mutex_lock(&lock);
	struct user *gone = list_renew(u), *old = forgotten;
	forgotten = NULL;
	pthread_mutex_unlock(&lock);
	for (struct user *g = gone; g; g = g->next)
		user_leaves(g);
	users_free(gone);
	users_free(old);
	return u;
no_memory:
	free(known);
	free(u);
	return NULL;
}

/* Before the code of the key's destructor goes. */
__attribute__((destructor)) static void library_ends(void)
{
	struct user *u = NULL, *own = NULL, *old = NULL;
	struct place *mine = NULL;
	pthread_mutex_lock(&lock);
	if (key_made)
		(void)pthread_key_delete(key); /* it is one */
	key_made = false;
	ended = true;
	if (pools_open == 0) {
		erased = true;
		users.before->next = NULL;
		u = users.next == &users ? NULL : users.next;
		users.next = users.before = &users;
		own = inherited;
		old = forgotten;
		inherited = forgotten = NULL;
		mine = places == places_first ? NULL : places;
		places = places_first;
		places_size = PLACES_FIRST;
		places_used = 0;
		place_free = PLACE_NONE;
	}
	pthread_mutex_unlock(&lock);
	free(mine);
	users_free(u);
	users_free(own);
	users_free(old);
}

/* ---- pools come and go -------------------------------------------------- */

/* Make sure that there is a free place.  Takes the lock, and keeps it.  False: no memory. */
static bool lock_with_place(void)
{
	struct place *more = NULL;
	pthread_mutex_lock(&lock);
	while (place_free == PLACE_NONE && places_used == places_size) {
		uint32_t size = places_size;
		pthread_mutex_unlock(&lock);
		more = size > PLACE_MASK / 2 ? NULL : calloc(2 * (size_t)size, sizeof *more);
		pthread_mutex_lock(&lock);
		if (!more)
			return false;
		if (places_size != size) {
			/* Another thread was first: its will do. */
		} else {
			struct place *fewer = places == places_first ? NULL : places;
			memcpy(more, places, size * sizeof *more);
			places = more;
			places_size = 2 * size;
			more = fewer;
		}
		pthread_mutex_unlock(&lock);
		free(more);
		pthread_mutex_lock(&lock);
	}
	return true;
}

bool thread_pool_opened(struct core *c)
{
	bool may = lock_with_place() && !erased;
	if (may) {
		c->place = place_free != PLACE_NONE ? place_free : places_used++;
		if (c->place == place_free)
			place_free = places[c->place].next_free;
		places[c->place].c = c;
		last_serial += UINT64_C(1) << PLACE_BITS;
		c->handle.serial = last_serial | c->place;
		c->handle.at_core = c->handle.serial;
		atomic_store(&c->forks, forks);
		pools_open++;
	}
	pthread_mutex_unlock(&lock);
	return may;
}

void thread_pool_closed(struct core *c)
{
	struct user *u = self;
	struct known *k = u ? &u->known[c->place & u->mask] : NULL;
	struct attachment *a = NULL;
	pthread_mutex_lock(&lock);
	struct attachment *old = take_inherited(c);
	places[c->place] = (struct place){NULL, place_free};
	place_free = c->place;
	pools_open--;
	pools_viewed -= c->view != NULL;
	/* Also what was known of a pool that had the place before. */
	if (k && k->a && place_of(k->a->serial) == c->place)
		a = take_out(u, k);
	bool last = u && u->count == 0;
	if (last)
		list_remove(u);
	pthread_mutex_unlock(&lock);
	attachment_free(a);
	attachment_free(old);
	thread_last.serial = 0;
	if (last) {
		u->next = NULL;
		users_free(u);
		forget();
	}
}

void thread_views(struct core *c, uint64_t *frames)
{
	pthread_mutex_lock(&lock);
	pools_viewed += c->view == NULL;
	c->view = frames;
	pthread_mutex_unlock(&lock);
}

void thread_before_fork(void)
{
	pthread_mutex_lock(&lock);
}

/* The calling thread is the only one. */
static void end_views(void)
{
	for (uint32_t i = 0; i < places_used && pools_viewed > 0; i++)
		if (places[i].c && places[i].c->view) {
			*places[i].c->view = places[i].c->handle.frames = 0;
			atomic_store_explicit(&places[i].c->peeked, 0, memory_order_relaxed);
		}
}

/* The same. */
static void inherit(void)
{
	/* An heir before us is a thread like any other that is gone. */
	if (!heir) {
		struct user **last = &inherited;
		while (*last)
			last = &(*last)->next;
		*last = forgotten;
		forgotten = inherited;
		inherited = NULL;
	}
	/* The other threads do not exist here, and may have been changing what was theirs: its memory is lost. */
	users.next = users.before = &users;
	if (self) {
		self->next = inherited;
		inherited = self;
	}
	heir = true;
	heir_state = HEIR_LIVES;
	/* So that its next call on any pool takes the slow path, to thread_enter. */
	forget();
	end_views();
	forks++;
	(void)pthread_mutex_init(&adopting, NULL); /* it cannot fail, so made */
}

void thread_after_fork(bool child)
{
	if (child)
		inherit();
	pthread_mutex_unlock(&lock);
}

bool thread_adopt_begin(const struct core *c, const struct attachment **forked)
{
	struct user *of;
	struct known *line;
	pthread_mutex_lock(&adopting);
	if (is_adopted(c))
		return false;
	pthread_mutex_lock(&lock);
	/* It stays while its pool is not adopted. */
	*forked = inherited_of(c, &of, &line);
	pthread_mutex_unlock(&lock);
	return true;
}

static void adopted_now(struct core *c)
{
	struct attachment *a = NULL;
	struct user *of;
	struct known *line;
	pthread_mutex_lock(&lock);
	/* Release: whoever finds the pool adopted finds it whole. */
	atomic_store_explicit(&c->forks, forks, memory_order_release);
	/* The heir has ended, and could not leave them before. */
	if (heir_state != HEIR_LIVES && inherited_of(c, &of, &line)) {
		a = take_out(of, line);
		leave_stripes(c, a);
	}
	struct user *empty = heir_state == HEIR_GONE ? take_empty() : NULL;
	pthread_mutex_unlock(&lock);
	users_free(empty);
	attachment_free(a);
}

void thread_adopt_end(struct core *c, bool adopted)
{
	if (adopted)
		adopted_now(c);
	pthread_mutex_unlock(&adopting);
}

/* ---- attachments -------------------------------------------------------- */

/* What the calling thread has inherited of the pool, or NULL. */
static struct attachment *own_inherited(const struct core *c)
{
	pthread_mutex_lock(&lock);
	struct attachment *a = heir ? take_inherited(c) : NULL;
	pthread_mutex_unlock(&lock);
	return a;
}

/* NULL: no memory. */
static struct attachment *attachment_new(const struct core *c)
{
	struct attachment *a = calloc(1, sizeof *a);
	uint32_t from = 0;
	pin_enter_user(&c->pins);
	if (!a || !(a->stripe = pin_adopt(&c->pins, false, &from))) {
		free(a);
		return NULL;
	}
	a->serial = c->handle.serial;
	return a;
}

/* The calling thread's line of a pool that it does not know yet; NULL and ENOMEM. */
static struct known *attach(const struct core *c)
{
	struct user *u = self ? self : user_new();
	struct known *k = u ? line_for(u, c->handle.serial) : NULL;
	struct attachment *a = k && forks > 0 ? own_inherited(c) : NULL;
	if (k && !a)
		a = attachment_new(c);
	if (!a) {
		errno = ENOMEM;
		return NULL;
	}
	*k = (struct known){0, a->stripe, a};
	u->count++;
	return k;
}

/* The thread is in a call on the pool.  True: no more, it has left it by longjmp. */
static bool has_left(struct attachment *a, uintptr_t stack)
{
	/* Further down: in a filter, or in a handler of a signal. */
	if (stack < (thread_filtering.of ? thread_filtering.stack : a->stack))
		return false;
	thread_filtering.of = NULL;
	a->core->above->left(a->core, a->stripe);
	return true;
}

struct attachment *thread_enter(struct core *c, uintptr_t stack)
{
	struct known *k = &thread_last.known[c->handle.serial & thread_last.mask];
	if (!(k->a && k->a->serial == c->handle.serial) && !(k = attach(c)))
		return NULL;
	if (unlikely(atomic_load_explicit(&k->stripe->busy, memory_order_relaxed) != BUSY_NOT) &&
	    !has_left(k->a, stack)) {
		errno = EDEADLK;
		return NULL;
	}
	k->a->core = c;
	k->a->stack = stack;
	drop_peek(k->a);
	k->serial = thread_last.serial = c->handle.serial;
	thread_last.stripe = k->stripe;
	thread_last.a = k->a;
	/* Before whatever the call takes: the kernel stops a process between two
	 * instructions, with what came before them done. */
	atomic_store_explicit(&k->stripe->busy, BUSY_IN_CALL, memory_order_release);
#if MPOOL_CHECK
	k->a->acted_before = check_act_for(k->stripe->id + 1);
#endif
	return k->a;
}

/* One of the two stripes of a group that may have pins of `frame`. */
static struct stripe *spill_of(const struct attachment *a, unsigned group, uint32_t frame, unsigned choice)
{
	uint64_t h = number_hash(frame);
	return a->spill[spills(group) + hash_place(choice ? h << 32 : h, (uint32_t)1 << group)];
}

struct stripe *thread_stripe(const struct attachment *a, uint32_t frame, unsigned number)
{
	/* The latest group, which is the largest, first. */
	unsigned look = 2 * a->groups - number;
	return number == 0 ? a->stripe : number > 2 * a->groups ? NULL : spill_of(a, look / 2, frame, look % 2);
}

bool thread_more(struct core *c, struct attachment *a)
{
	uint32_t have = spills(a->groups), want = spills(a->groups + 1), from = 0;
	struct stripe **spill = realloc(a->spill, want * sizeof(struct stripe *));
	if (!spill)
		return false;
	a->spill = spill;
	for (uint32_t i = have; i < want; i++)
		if (!(spill[i] = pin_adopt(&c->pins, true, &from))) {
			while (i > have)
				pin_orphan(&c->pins, spill[--i]);
			return false;
		}
	a->groups++;
	return true;
}

_Atomic uint64_t *thread_slot(struct core *c, struct attachment *a, uint32_t frame)
{
	_Atomic uint64_t *slot;
	unsigned number = 0;
	do {
		for (struct stripe *s; (s = thread_stripe(a, frame, number)); number++)
			if (stripe_find(s, 0, &slot))
				return slot;
		number = 1;
	} while (thread_more(c, a));
	return NULL;
}

_Atomic uint64_t *thread_slot_of(const struct attachment *a, uint32_t frame)
{
	_Atomic uint64_t *slot = stripe_slot_of(a->stripe, frame);
	unsigned number = 1;
	for (struct stripe *s; !slot && (s = thread_stripe(a, frame, number)); number++)
		slot = stripe_slot_of(s, frame);
	return slot;
}

void thread_each_stripe(const struct attachment *a, void (*see)(struct stripe *s))
{
	see(a->stripe);
	for (uint32_t i = 0; i < spills(a->groups); i++)
		see(a->spill[i]);
}

void thread_peek(struct attachment *a, _Atomic uint64_t *slot)
{
	a->peek = slot;
	/* So that the thread's next call on the pool takes the slow path, to here. */
	thread_last.serial = 0;
	thread_last.known[a->serial & thread_last.mask].serial = 0;
}
