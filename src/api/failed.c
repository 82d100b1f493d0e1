/* failed.c - see failed.h. */
#include "api/failed.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

bool failed_begin(MPOOL *mp)
{
	struct failed *f = atomic_load(&mp->failed), *made;
	if (f)
		return true;
	if (!(made = calloc(1, sizeof *made)))
		return false;
	pthread_mutex_init(&made->lock, NULL);
	if (atomic_compare_exchange_strong(&mp->failed, &f, made))
		return true;
	pthread_mutex_destroy(&made->lock);
	free(made); /* another thread was first */
	return true;
}

void failed_end(MPOOL *mp)
{
	struct failed *f = atomic_exchange(&mp->failed, NULL);
	if (f)
		pthread_mutex_destroy(&f->lock);
	free(f);
}

void failed_forked(MPOOL *mp)
{
	free(atomic_exchange(&mp->failed, NULL));
}

void failed_note(MPOOL *mp, uint32_t page, int error)
{
	struct failed *f = atomic_load(&mp->failed);
	pthread_mutex_lock(&f->lock);
	struct whose is = whose_page(&mp->io, page);
	unsigned i = f->next++ % FAILED_PAGES;
	atomic_fetch_add(&f->n, f->of[i].error == 0);
	f->of[i].io = is.io;
	f->of[i].page = is.page;
	f->of[i].error = error;
	pthread_mutex_unlock(&f->lock);
}

/* Forget the page's.  The last errno of it, or 0. */
static int take(struct failed *f, struct whose of)
{
	int error = 0;
	pthread_mutex_lock(&f->lock);
	for (unsigned i = 0; i < FAILED_PAGES; i++)
		if (f->of[i].error && f->of[i].io == of.io && f->of[i].page == of.page) {
			error = f->of[i].error;
			f->of[i].error = 0;
			atomic_fetch_sub(&f->n, 1);
		}
	pthread_mutex_unlock(&f->lock);
	return error;
}

void failed_tell(MPOOL *mp, const struct io *io, uint32_t number)
{
	struct failed *f = atomic_load(&mp->failed);
	int error = f && atomic_load(&f->n) > 0 ? take(f, (struct whose){(struct io *)(uintptr_t)io, number}) : 0;
	errno = error ? error : errno;
}

void failed_forget_one(MPOOL *mp, struct failed *f, uint32_t page)
{
	(void)take(f, whose_page(&mp->io, page));
}

void failed_close(MPOOL *mp, const struct io *io)
{
	struct failed *f = atomic_load(&mp->failed);
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	for (unsigned i = 0; i < FAILED_PAGES; i++)
		if (f->of[i].error && f->of[i].io == io) {
			f->of[i].error = 0;
			atomic_fetch_sub(&f->n, 1);
		}
	pthread_mutex_unlock(&f->lock);
}
