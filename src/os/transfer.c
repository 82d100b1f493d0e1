/* transfer.c - see transfer.h. */
#include "os/transfer.h"

#include <pthread.h>
#include <stdint.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static uint64_t in_flight;
static unsigned forks; /* threads that are about to fork, or do */

bool transfer_try(void)
{
	pthread_mutex_lock(&lock);
	bool may = forks == 0;
	in_flight += may;
	pthread_mutex_unlock(&lock);
	return may;
}

void transfer_begin(void)
{
	pthread_mutex_lock(&lock);
	while (forks > 0)
		pthread_cond_wait(&changed, &lock);
	in_flight++;
	pthread_mutex_unlock(&lock);
}

void transfer_end(void)
{
	pthread_mutex_lock(&lock);
	if (--in_flight == 0 && forks > 0)
		pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

void transfer_before_fork(void)
{
	pthread_mutex_lock(&lock);
	forks++;
	while (in_flight > 0)
		pthread_cond_wait(&changed, &lock);
}

void transfer_after_fork(bool child)
{
	if (child) {
		/* Other threads that are about to fork, or wait, are not in it; a condition that these wait for is of no use. */
		static const pthread_cond_t fresh = PTHREAD_COND_INITIALIZER;
		changed = fresh;
		forks = 1;
	}
	forks--;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}
