/*
 * halfway.c - what others can see halfway through a write to a page.
 *
 * A page that is made holds zeros until it is written: nobody else is let in before.
 * Where processes share the pool nobody could be kept out, and so no page is made there.
 * If one dies in the middle, each byte is old or new, and what another has read stays so:
 * the page is modified, and reaches the file.  The same holds for a page that is dropped
 * until its hole is punched.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "case.h"
#include "pages.h"

enum { PAGE = 4096, PAGES = 64, CACHED = 8, OLD = 1, NEW = 2, LOOK_US = 1000 };

/* Called where the plugin copies a whole page. */
static void (*halfway)(const unsigned char *page);

void *__real_memcpy(void *to, const void *from, size_t n);
void *__wrap_memcpy(void *to, const void *from, size_t n);
void *__wrap_memcpy(void *to, const void *from, size_t n)
{
	if (!halfway || n != PAGE)
		return __real_memcpy(to, from, n);
	__real_memcpy(to, from, n / 2);
	halfway(to);
	return __real_memcpy((char *)to + n / 2, (const char *)from + n / 2, n - n / 2);
}

static struct pages pages;
static int punched; /* holes */
static char old[PAGE * PAGES];

int __real_fallocate(int fd, int mode, off_t offset, off_t bytes);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t bytes);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t bytes)
{
	struct pages *p = &pages;
	punched++;
	if (!p->shared)
		RIGHT(pthread_rwlock_tryrdlock(&p->groups[0].lock) == EBUSY, "readers are let in");
	return __real_fallocate(fd, mode, offset, bytes);
}

static void open_pages(const char *key, int fd)
{
	MPOOL *mp = mpool_open(key, fd, PAGE, CACHED);
	pages = (struct pages){.size = PAGE, .fd = fd, .shared = key != NULL, .holes = true};
	MUST(mp != NULL && pages_open(&pages, mp) == 0);
}

static void write_first(void)
{
	char new[PAGE];
	memset(new, NEW, sizeof new);
	RIGHT(pages_write(&pages, new, PAGE, 0) == 0, "%s", strerror(errno));
}

static void read_page(char to[PAGE], unsigned page)
{
	RIGHT(pages_read(&pages, to, PAGE, (uint64_t)page * PAGE) == 0, "%s", strerror(errno));
}

/* ---- a page that is made ----------------------------------------------------------- */

static uint64_t reads(void)
{
	struct mpool_stats stats;
	MUST(mpool_stats(pages.mp, &stats, sizeof stats) == 0);
	return stats.reads;
}

static void kept_out(const unsigned char *page)
{
	(void)page;
	RIGHT(pthread_rwlock_tryrdlock(&pages.groups[0].lock) == EBUSY, "readers are let in");
}

static void private_pool(int fd)
{
	open_pages(NULL, fd);
	uint64_t before = reads();
	halfway = kept_out;
	write_first();
	halfway = NULL;
	RIGHT(reads() == before, "a page all of which is written was read");
	RIGHT(pages_zero(&pages, PAGE, 0, true) == 0, "%s", strerror(errno));
	MUST(punched == 1);
	punched = 0;
	pages_close(&pages);
	MUST(pwrite(fd, old, PAGE, 0) == PAGE);
}

/* ---- a pool that is shared ---------------------------------------------------------- */

static void die(const unsigned char *page)
{
	RIGHT(page[PAGE - 1] == OLD, "the rest of the page is %d, which nobody wrote", page[PAGE - 1]);
	kill(getpid(), SIGKILL);
}

static _Noreturn void die_writing(const char *key, int fd)
{
	open_pages(key, fd);
	halfway = die;
	write_first();
	_exit(0);
}

/* The others have noticed, and given its pins back. */
static void wait_for_death(void)
{
	struct mpool_stats stats;
	do {
		usleep(LOOK_US);
		MUST(mpool_stats(pages.mp, &stats, sizeof stats) == 0);
	} while (stats.deaths == 0);
}

static void shared_pool(int fd)
{
	static char seen[PAGE], later[PAGE];
	const char *key = case_key();
	int status;
	open_pages(key, fd);
	pid_t pid = fork();
	MUST(pid >= 0);
	if (pid == 0)
		die_writing(key, fd);
	MUST(waitpid(pid, &status, 0) == pid);
	RIGHT(WIFSIGNALED(status), "it ended with %d", WEXITSTATUS(status));
	wait_for_death();
	read_page(seen, 0);
	MUST(seen[0] == NEW && seen[PAGE - 1] == OLD);
	MUST(mpool_sync(pages.mp) == 0 && pread(fd, later, PAGE, 0) == PAGE);
	RIGHT(memcmp(seen, later, PAGE) == 0, "byte 0 was read as %d, and flushed as %d", seen[0], later[0]);
	RIGHT(pages_zero(&pages, (uint64_t)PAGES * PAGE, 0, true) == 0, "%s", strerror(errno));
	RIGHT(punched == 0, "there were holes punched while others may read");
	pages_close(&pages);
}

int main(void)
{
	int fd = case_file(sizeof old);
	memset(old, OLD, sizeof old);
	MUST(pwrite(fd, old, sizeof old, 0) == (ssize_t)sizeof old);
	private_pool(fd);
	shared_pool(fd);
	return 0;
}
