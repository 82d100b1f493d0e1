/* thread.c - see thread.h. */
#include "thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "pool.h"

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

/*
 * Detach from all pools, or from those that were closed.  Under pools_lock;
 * returns the attachments, to be freed without it.
 */
static struct attachment *detach_some(bool all)
{
	struct attachment *detached = NULL;
	for (struct attachment **at = &attachments, *a; (a = *at);) {
		const struct MPOOL *open = open_pool(a->serial);
		if (open && !all) {
			at = &a->next;
			continue;
		}
		if (open)
			leave_stripes(open, a);
		*at = a->next;
		a->next = detached;
		detached = a;
	}
	thread_last.serial = 0;
	return detached;
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
	struct attachment *detached = detach_some(false);
	pthread_mutex_unlock(&pools_lock);
	free_all(detached);
}

void thread_before_fork(void)
{
	pthread_mutex_lock(&pools_lock);
}

void thread_after_fork(bool child)
{
	for (struct MPOOL *mp = child ? pools : NULL; mp; mp = mp->next) {
		/* Nobody is attached to that number: the next call comes by thread_attach. */
		mp->serial = SERIAL_OF_PARENT;
		mp->io.fd = -1;
	}
	pthread_mutex_unlock(&pools_lock);
}

static struct attachment *attachment_new(struct MPOOL *mp)
{
	pthread_mutex_lock(&pools_lock);
	struct attachment *detached = detach_some(false); /* what other threads closed meanwhile */
	bool keyed = have_key();
	pthread_mutex_unlock(&pools_lock);
	free_all(detached);
	struct attachment *a = calloc(1, sizeof *a);
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
	if (mp->serial == SERIAL_OF_PARENT) {
		errno = EBADF;
		return NULL;
	}
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
	atomic_store_explicit(&a->stripe->busy, 1, memory_order_release);
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

void thread_peek(struct attachment *a, _Atomic uint64_t *slot)
{
	a->peek = slot;
	thread_last.serial = 0; /* so that the thread's next call comes by here */
}
