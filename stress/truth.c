/*
 * truth.c - what every page must hold; see truth.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "truth.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "report.h"
#include "shared.h"

#define STRIPES   256u        /* a power of two; enough that few pages share one by chance */
#define HASH_STEP 0x9e3779b1u /* 2^32 / the golden ratio: spreads neighbouring numbers */
#define HASH_BITS 24          /* 32 less the bits of a stripe's number */

struct record {
	_Atomic uint64_t version;
	_Atomic uint64_t version_put;
	_Atomic uint64_t upsets;
	_Atomic bool allotted;
};

struct truth {
	pthread_rwlock_t lock[STRIPES];
	pgno_t pages_max;
	_Atomic pgno_t allotted;
	struct record record[];
};

static size_t size_for(pgno_t pages_max)
{
	return sizeof(struct truth) + (size_t)pages_max * sizeof(struct record);
}

struct truth *truth_make(pgno_t pages_max)
{
	struct truth *t = shared_make(size_for(pages_max));
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	t->pages_max = pages_max;
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_rwlock_init(&t->lock[i], &attr);
	pthread_rwlockattr_destroy(&attr);
	return t;
}

void truth_free(struct truth *t)
{
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_rwlock_destroy(&t->lock[i]);
	shared_free(t, size_for(t->pages_max));
}

pgno_t truth_pages_max(const struct truth *t)
{
	return t->pages_max;
}

static pthread_rwlock_t *lock_of(struct truth *t, pgno_t pgno)
{
	return &t->lock[(pgno * HASH_STEP) >> HASH_BITS];
}

/* A lock call that fails is this program's fault, not the pool's. */
static void must(int error, const char *what)
{
	if (error == 0)
		return;
	errno = error;
	trouble("%s", what);
}

void truth_lock(struct truth *t, pgno_t pgno, enum truth_access access)
{
	pthread_rwlock_t *lock = lock_of(t, pgno);
	int error;

	/* Too many readers at once (EAGAIN) passes. */
	do
		error = access == TRUTH_WRITE ? pthread_rwlock_wrlock(lock) : pthread_rwlock_rdlock(lock);
	while (error == EAGAIN);
	must(error, "locking a page");
}

bool truth_try_lock(struct truth *t, pgno_t pgno, enum truth_access access)
{
	pthread_rwlock_t *lock = lock_of(t, pgno);

	return access == TRUTH_WRITE ? pthread_rwlock_trywrlock(lock) == 0 : pthread_rwlock_tryrdlock(lock) == 0;
}

void truth_unlock(struct truth *t, pgno_t pgno)
{
	must(pthread_rwlock_unlock(lock_of(t, pgno)), "unlocking a page");
}

uint64_t truth_version(const struct truth *t, pgno_t pgno)
{
	return atomic_load(&t->record[pgno].version);
}

uint64_t truth_advance(struct truth *t, pgno_t pgno)
{
	return atomic_fetch_add(&t->record[pgno].version, 1) + 1;
}

void truth_put(struct truth *t, pgno_t pgno, uint64_t version)
{
	_Atomic uint64_t *put = &t->record[pgno].version_put;
	uint64_t last = atomic_load(put);

	/* Puts made after the unlocking can come back in any order: the highest counts. */
	while (last < version && !atomic_compare_exchange_weak(put, &last, version))
		;
}

uint64_t truth_version_put(const struct truth *t, pgno_t pgno)
{
	return atomic_load(&t->record[pgno].version_put);
}

void truth_upset_begin(struct truth *t, pgno_t pgno)
{
	atomic_fetch_add(&t->record[pgno].upsets, 1);
}

void truth_upset_end(struct truth *t, pgno_t pgno)
{
	atomic_fetch_add(&t->record[pgno].upsets, 1);
}

uint64_t truth_upsets(const struct truth *t, pgno_t pgno)
{
	return atomic_load(&t->record[pgno].upsets);
}

bool truth_allot(struct truth *t, pgno_t pgno)
{
	pgno_t seen = atomic_load(&t->allotted);

	if (atomic_exchange(&t->record[pgno].allotted, true))
		return false;
	while (seen <= pgno && !atomic_compare_exchange_weak(&t->allotted, &seen, pgno + 1))
		;
	return true;
}

pgno_t truth_allotted(const struct truth *t)
{
	return atomic_load(&t->allotted);
}
