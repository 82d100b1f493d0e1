#include <err.h>
#include <fcntl.h>
#include <mpool_peek.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PAGES    16u
#define ACCOUNTS 512u /* in a page */
#define READERS  2

static MPOOL *mp;
static int over;

/* From one account of a page to another. */
static void transfer(unsigned n)
{
	uint64_t *account = mpool_get(mp, n % PAGES, 0);
	if (account == NULL || mpool_latch(mp, account, MPOOL_EXCLUSIVE) != 0)
		err(1, "page %u", n % PAGES);
	uint64_t *from = &account[n % ACCOUNTS], *to = &account[n / 7 % ACCOUNTS];
	mpool_store64(from, *from - 1); /* others may be looking at it: the loads of mpool_peek.h, and these stores */
	mpool_store64(to, *to + 1);
	if (mpool_unlatch(mp, account, MPOOL_DIRTY) != 0 || mpool_put(mp, account, 0) != 0)
		err(1, "page %u", n % PAGES);
}

struct sum {
	uint64_t all;
	unsigned long looks;
};

/* Any time but the last, what is loaded here may be of two instants. */
static int add_up(void *arg, const void *page)
{
	struct sum *sum = arg;
	sum->all = 0;
	sum->looks++;
	for (unsigned i = 0; i < ACCOUNTS; i++)
		sum->all += mpool_load64((const uint64_t *)page + i);
	return 0;
}

static void *read_pages(void *unused)
{
	static unsigned long sums, again;
	(void)unused;
	for (unsigned n = 0; n < PAGES || !__atomic_load_n(&over, __ATOMIC_ACQUIRE); n++) {
		struct sum sum = {0, 0};
		if (mpool_look(mp, n % PAGES, add_up, &sum) != 0)
			err(1, "page %u", n % PAGES);
		if (sum.all != 0) /* as much goes as comes */
			errx(1, "page %u has %lu", n % PAGES, (unsigned long)sum.all);
		__atomic_add_fetch(&sums, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&again, sum.looks - 1, __ATOMIC_RELAXED);
	}
	static int ended;
	if (__atomic_add_fetch(&ended, 1, __ATOMIC_ACQ_REL) == READERS)
		printf("%lu sums, %lu looks more\n", sums, again);
	return NULL;
}

int main(int argc, char **argv)
{
	int fd = open("accounts", O_RDWR | O_CREAT, 0666);
	if (fd < 0 || ftruncate(fd, (off_t)PAGES * ACCOUNTS * sizeof(uint64_t)) != 0)
		err(1, "accounts");
	mp = mpool_open(NULL, fd, ACCOUNTS * sizeof(uint64_t), PAGES / 2); /* some must go for others to come */
	if (mp == NULL)
		err(1, "mpool_open");
	pthread_t reader[READERS];
	for (unsigned i = 0; i < READERS; i++)
		if (pthread_create(&reader[i], NULL, read_pages, NULL) != 0)
			errx(1, "no thread");
	for (unsigned n = 0, end = argc > 1 ? (unsigned)atoi(argv[1]) : 100000; n < end; n++)
		transfer(n);
	__atomic_store_n(&over, 1, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(reader[i], NULL);
	return mpool_sync(mp) == 0 && mpool_close(mp) == 0 ? 0 : 1;
}
