/* wal TRANSFERS - money goes from account to account, and whenever this is killed none is lost: run it again, and see. */
#include <err.h>
#include <fcntl.h>
#include <mpool.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wal.h"

enum { ACCOUNTS = 1000, CACHE = 100, THREADS = 4, OFTEN = 1000 };

/* A page each. */
struct account {
	uint64_t lsn; /* first: what wal_before_write looks at */
	uint64_t money;
	char rest[4096 - 2 * sizeof(uint64_t)];
};

static struct wal wal = {.lock = PTHREAD_MUTEX_INITIALIZER};
/* Held by who has appended a record and not put its pages yet: so a checkpoint knows where none is. */
static pthread_rwlock_t updating = PTHREAD_RWLOCK_INITIALIZER;
static MPOOL *mp;
static unsigned long transfers;

static struct account *lock(pgno_t pgno)
{
	struct account *a = mpool_get(mp, pgno, 0);
	if (!a || mpool_latch(mp, a, MPOOL_EXCLUSIVE) != 0)
		err(EXIT_FAILURE, "account %u", pgno);
	return a;
}

static void change(struct account *a, uint64_t lsn, uint64_t money)
{
	a->lsn = lsn;
	a->money = money;
	mpool_unlatch(mp, a, MPOOL_DIRTY);
	mpool_put(mp, a, MPOOL_DIRTY);
}

/* Committed when it returns. */
static void transfer(pgno_t from, pgno_t to, uint64_t money)
{
	struct account *first = lock(from < to ? from : to), *second = lock(from < to ? to : from);
	struct account *a = from < to ? first : second, *b = from < to ? second : first;
	if (money > a->money)
		money = a->money;
	uint32_t at = offsetof(struct account, money);
	struct wal_change changes[WAL_CHANGES] = {{from, at, a->money - money}, {to, at, b->money + money}};
	pthread_rwlock_rdlock(&updating);
	uint64_t lsn = wal_append(&wal, changes);
	if (!lsn)
		err(EXIT_FAILURE, "log");
	change(a, lsn, changes[0].value);
	change(b, lsn, changes[1].value);
	pthread_rwlock_unlock(&updating);
	if ((errno = wal_flush(&wal, lsn)) != 0)
		err(EXIT_FAILURE, "log");
}

/* Note the log's end, bring to the disk what is before it, cut the log there. */
static void checkpoint(void)
{
	pthread_rwlock_wrlock(&updating);
	uint64_t end = wal.end;
	pthread_rwlock_unlock(&updating);
	ssize_t left = mpool_sync_range(mp, 0, MAX_PAGE_NUMBER, MPOOL_WRITE | MPOOL_FLUSH | MPOOL_WHOLE);
	if (left == -1)
		err(EXIT_FAILURE, "checkpoint");
	if (left == 0 && (errno = wal_cut(&wal, end)) != 0)
		err(EXIT_FAILURE, "log");
}

static void *work(void *number)
{
	unsigned random = 1 + *(unsigned *)number;
	for (unsigned long i = 0; i < transfers; i++) {
		pgno_t from = (pgno_t)rand_r(&random) % ACCOUNTS;
		transfer(from, (from + 1 + (pgno_t)rand_r(&random) % (ACCOUNTS - 1)) % ACCOUNTS,
		         (uint64_t)rand_r(&random) % 100);
		if (i % OFTEN == OFTEN - 1)
			checkpoint();
	}
	return NULL;
}

static uint64_t money(void)
{
	uint64_t sum = 0;
	for (pgno_t i = 0; i < ACCOUNTS; i++) {
		struct account *a = mpool_get(mp, i, MPOOL_ONCE);
		if (!a)
			err(EXIT_FAILURE, "account %u", i);
		sum += a->money;
		mpool_put(mp, a, 0);
	}
	return sum;
}

/* The first run makes them, a thousand in each, and renames the file when all are on the disk. */
static void make_accounts(void)
{
	static struct account account = {.money = 1000};
	int fd = open("accounts.new", O_WRONLY | O_CREAT | O_TRUNC, 0666);
	for (int i = 0; i < ACCOUNTS; i++)
		if (pwrite(fd, &account, sizeof account, i * (off_t)sizeof account) != (ssize_t)sizeof account)
			err(EXIT_FAILURE, "accounts.new");
	if (fsync(fd) != 0 || close(fd) != 0 || rename("accounts.new", "accounts") != 0)
		err(EXIT_FAILURE, "accounts.new");
}

int main(int argc, char *argv[])
{
	pthread_t thread[THREADS];
	unsigned number[THREADS];
	if (argc != 2)
		errx(EXIT_FAILURE, "usage: %s TRANSFERS", argv[0]);
	transfers = strtoul(argv[1], NULL, 10) / THREADS;
	if (access("accounts", F_OK) != 0)
		make_accounts();
	int fd = open("accounts", O_RDWR), log = open("log", O_RDWR | O_CREAT, 0666);
	struct mpool_hooks hooks = {.before_write = wal_before_write, .cookie = &wal};
	mp = fd == -1 ? NULL : mpool_open(NULL, fd, sizeof(struct account), CACHE);
	if (!mp || log == -1 || mpool_tune(mp, MPOOL_LATCHED, 1) != 0)
		err(EXIT_FAILURE, "accounts, or log");
	mpool_hooks(mp, &hooks, sizeof hooks);

	long replayed = wal_replay(&wal, log, mp);
	if (replayed == -1)
		err(EXIT_FAILURE, "log");
	checkpoint();
	printf("%ld records replayed, %lu in all accounts\n", replayed, (unsigned long)money());
	fflush(stdout);
	for (unsigned i = 0; i < THREADS; i++) {
		number[i] = i;
		if (pthread_create(&thread[i], NULL, work, &number[i]) != 0)
			errx(EXIT_FAILURE, "no thread");
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	printf("%lu transfers, %lu in all accounts\n", THREADS * transfers, (unsigned long)money());
	return mpool_close(mp);
}
