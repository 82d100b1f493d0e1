/* thread.c - see thread.h. */
#include "thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "pool.h"
#include "recover.h"

_Thread_local struct last_used thread_last;

/* The calling thread's attachments, the last one used first. */
static _Thread_local struct attachment *attachments;

/* Guards the list of open pools and the making of the key; taken when a pool
 * opens or closes, a thread first uses a pool, a thread ends, and the process
 * forks.  Nobody who holds it takes another lock, or allocates or frees: see
 * fork.h. */
static pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;
static struct MPOOL *pools;
static uint64_t last_serial;

/* How many forks lead from the process that was not forked, with the library, to this one. */
static uint64_t forks;
/* In the child of a fork: what the thread that forked knew of its parent's pools.  Under
 * pools_lock. */
static struct attachment *inherited;
/* That thread, by its list; NULL: it has ended. */
static struct attachment **heir;
/* What an earlier heir had that is in no process any more: to be freed. */
static struct attachment *forgotten;
/* One thread at a time adopts; not held at a fork: a child's is made anew. */
static pthread_mutex_t adopting = PTHREAD_MUTEX_INITIALIZER;

static pthread_key_t key; /* its destructor tells us that a thread ends */
static bool key_made;

/* Spill stripes in the first n groups; group n has one more. */
static uint32_t spills(unsigned groups)
{
	return ((uint32_t)1 << groups) - 1;
}

/* The open pool of that serial, or NULL. */
static const struct MPOOL *open_pool(uint64_t serial)
{
	const struct MPOOL *mp = pools;
	while (mp && mp->serial != serial)
		mp = mp->next;
	return mp;
}

static void drop_peek(struct attachment *a)
{
	if (a->peek)
		pin_back_out(a->peek);
	a->peek = NULL;
}

/* The thread leaves the pool, which is open, its stripes. */
static void leave_stripes(const struct MPOOL *mp, struct attachment *a)
{
	drop_peek(a);
	pin_orphan(&mp->pins, a->stripe);
	for (uint32_t i = 0; i < spills(a->groups); i++)
		pin_orphan(&mp->pins, a->spill[i]);
}

/* Every process that was forked since adopted the pool.  Acquire: pairs with adopt. */
static bool is_adopted(const struct MPOOL *mp)
{
	return likely(atomic_load_explicit(&mp->forks, memory_order_acquire) == forks);
}

bool thread_is_parents(const struct MPOOL *mp)
{
	return !is_adopted(mp);
}

/* From the list that it is in to another. */
static void move_to(struct attachment **list, struct attachment **at)
{
	struct attachment *a = *at;
	*at = a->next;
	a->next = *list;
	*list = a;
}

/* Of a list, those of closed pools, or `all`; but those that wait for their pool to be adopted stay. */
static void detach_from(struct attachment **list, bool all, struct attachment **detached)
{
	for (struct attachment **at = list; *at;) {
		const struct MPOOL *open = open_pool((*at)->serial);
		if (open && (!all || !is_adopted(open))) {
			at = &(*at)->next;
			continue;
		}
		if (open)
			leave_stripes(open, *at);
		move_to(detached, at);
	}
}

/*
 * Detach from all pools, or from those that were closed.  Under pools_lock;
 * returns the attachments, to be freed without it.
 */
static struct attachment *detach_some(bool all)
{
	struct attachment *detached = forgotten;
	forgotten = NULL;
	detach_from(&attachments, all, &detached);
	if (all && heir == &attachments) {
		detach_from(&inherited, all, &detached);
		heir = NULL;
	}
	thread_last.serial = 0;
	return detached;
}

/* Where the heir's attachment to the pool is in the list, at whose end NULL is.  Under pools_lock. */
static struct attachment **inherited_of(const struct MPOOL *mp)
{
	struct attachment **at = &inherited;
	while (*at && (*at)->serial != mp->serial)
		at = &(*at)->next;
	return at;
}

static void free_all(struct attachment *a)
{
	while (a) {
		struct attachment *next = a->next;
		free(a->spill);
		free(a);
		a = next;
	}
}

/*
 * A later destructor of the program's that uses the pool makes a new
 * attachment, and this one runs once more.
 */
static void thread_ends(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&pools_lock);
	struct attachment *detached = detach_some(true);
	pthread_mutex_unlock(&pools_lock);
	free_all(detached);
}

/* Under pools_lock.  False: there is none to be had, now; the next call tries again. */
static bool have_key(void)
{
	if (!key_made)
		key_made = pthread_key_create(&key, thread_ends) == 0;
	return key_made;
}

void thread_pool_opened(struct MPOOL *mp)
{
	pthread_mutex_lock(&pools_lock);
	mp->serial = ++last_serial;
	atomic_store(&mp->forks, forks);
	mp->next = pools;
	pools = mp;
	pthread_mutex_unlock(&pools_lock);
}

void thread_pool_closed(struct MPOOL *mp)
{
	pthread_mutex_lock(&pools_lock);
	struct MPOOL **at = &pools;
	while (*at != mp)
		at = &(*at)->next;
	*at = mp->next;
	struct attachment **its = inherited_of(mp);
	if (*its)
		move_to(&forgotten, its);
	struct attachment *detached = detach_some(false);
	pthread_mutex_unlock(&pools_lock);
	free_all(detached);
}

void thread_before_fork(void)
{
	pthread_mutex_lock(&pools_lock);
}

/* `list` ends with `more`. */
static void append(struct attachment **list, struct attachment *more)
{
	while (*list)
		list = &(*list)->next;
	*list = more;
}

/* The calling thread is the only one. */
static void inherit(void)
{
	/* An heir before us is a thread like any other that is gone. */
	if (heir != &attachments) {
		append(&forgotten, inherited);
		inherited = NULL;
	}
	append(&inherited, attachments);
	attachments = NULL;
	heir = &attachments;
	/* So its next call on any of them comes by thread_attach. */
	thread_last.serial = 0;
	forks++;
	adopting = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

void thread_after_fork(bool child)
{
	if (child)
		inherit();
	pthread_mutex_unlock(&pools_lock);
}

/* The calling thread's, if it is the heir, from now on. */
static struct attachment *take_inherited(const struct MPOOL *mp)
{
	struct attachment *a = NULL;
	if (heir == &attachments) {
		struct attachment **at = inherited_of(mp);
		if ((a = *at))
			*at = a->next;
	}
	return a;
}

/*
 * The pool is the parent's.  Under `adopting`; false: the thread that forked was in a
 * call on it, in a filter.
 */
static bool adopt_with_heir(struct MPOOL *mp)
{
	pthread_mutex_lock(&pools_lock);
	/* It stays while its pool is not adopted. */
	struct attachment *a = *inherited_of(mp);
	pthread_mutex_unlock(&pools_lock);
	if (a && atomic_load(&a->stripe->busy) == BUSY_IN_CALL)
		return false;
	recover_fork(mp, a);
	pthread_mutex_lock(&pools_lock);
	/* Release: whoever finds the pool adopted finds it whole. */
	atomic_store_explicit(&mp->forks, forks, memory_order_release);
	/* The heir has ended, and could not leave them before. */
	if (!heir && a) {
		leave_stripes(mp, a);
		move_to(&forgotten, inherited_of(mp));
	}
	pthread_mutex_unlock(&pools_lock);
	return true;
}

static bool adopt(struct MPOOL *mp)
{
	pthread_mutex_lock(&adopting);
	bool done = is_adopted(mp) || (!region_shared(&mp->region) && adopt_with_heir(mp));
	pthread_mutex_unlock(&adopting);
	if (!done)
		errno = EBADF;
	return done;
}

static struct attachment *attachment_new(struct MPOOL *mp)
{
	pthread_mutex_lock(&pools_lock);
	struct attachment *detached = detach_some(false); /* what other threads closed meanwhile */
	bool keyed = have_key();
	struct attachment *a = take_inherited(mp);
	pthread_mutex_unlock(&pools_lock);
	free_all(detached);
	if (a)
		return a;
	a = calloc(1, sizeof *a);
	/* Any value but NULL makes the destructor run. */
	if (!a || !keyed || pthread_setspecific(key, &key) != 0)
		goto no_memory;
	a->serial = mp->serial;
	uint32_t from = 0;
	a->stripe = pin_adopt(&mp->pins, false, &from);
	if (!a->stripe)
		goto no_memory;
	return a;
no_memory:
	free(a);
	errno = ENOMEM;
	return NULL;
}

struct attachment *thread_attach(struct MPOOL *mp)
{
	struct attachment **at = &attachments, *a;
	if (!is_adopted(mp) && !adopt(mp))
		return NULL;
	if (!pageio_agrees(&mp->io)) {
		errno = ENOTSUP;
		return NULL;
	}
	while ((a = *at) && a->serial != mp->serial)
		at = &a->next;
	if (a)
		*at = a->next;
	else if (!(a = attachment_new(mp)))
		return NULL;
	a->next = attachments;
	attachments = a;
	drop_peek(a);
	thread_last = (struct last_used){mp->serial, a->stripe};
	/* Before whatever the call takes: the kernel stops a process between two
	 * instructions, with what came before them done. */
	atomic_store_explicit(&a->stripe->busy, BUSY_IN_CALL, memory_order_release);
	return a;
}

/* One of the two stripes of a group that may have pins of `frame`. */
static struct stripe *spill_of(const struct attachment *a, unsigned group, uint32_t frame, unsigned choice)
{
	uint64_t h = number_hash(frame);
	return a->spill[spills(group) + hash_place(choice ? h << 32 : h, (uint32_t)1 << group)];
}

static bool spill_grow(struct MPOOL *mp, struct attachment *a)
{
	uint32_t have = spills(a->groups), want = spills(a->groups + 1), from = 0;
	struct stripe **spill = realloc(a->spill, want * sizeof(struct stripe *));
	if (!spill)
		return false;
	a->spill = spill;
	for (uint32_t i = have; i < want; i++)
		if (!(spill[i] = pin_adopt(&mp->pins, true, &from))) {
			while (i > have)
				pin_orphan(&mp->pins, spill[--i]);
			return false;
		}
	a->groups++;
	return true;
}

_Atomic uint64_t *thread_slot(struct MPOOL *mp, struct attachment *a, uint32_t frame)
{
	_Atomic uint64_t *slot;
	if (stripe_find(a->stripe, 0, &slot))
		return slot;
	do {
		/* The same stripes that thread_slot_of looks at. */
		for (unsigned look = 2 * a->groups; look-- > 0;)
			if (stripe_find(spill_of(a, look / 2, frame, look % 2), 0, &slot))
				return slot;
	} while (spill_grow(mp, a));
	return NULL;
}

_Atomic uint64_t *thread_slot_of(const struct attachment *a, uint32_t frame)
{
	_Atomic uint64_t *slot = stripe_slot_of(a->stripe, frame);
	for (unsigned look = 2 * a->groups; !slot && look-- > 0;)
		slot = stripe_slot_of(spill_of(a, look / 2, frame, look % 2), frame);
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
	thread_last.serial = 0; /* so that the thread's next call comes by here */
}
