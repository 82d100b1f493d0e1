/*
 * keys.c - what is a key, by the type of mpool_open's argument.
 *
 * Programs that were written when no pool looked at the key pass whatever they have
 * at hand; two files must not become one pool for that.
 *
 * Built for several standards of C, and of C++ (keys.cpp).
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <sys/stat.h>

#include "case.h"

enum { PAGE = 512 };

/* As DB 1.85 has it. */
typedef struct {
	void *data;
	size_t size;
} DBT;

union bytes {
	char name[64];
	DBT dbt;
};

static int one, two; /* the two files */

static void files(void)
{
	char page[PAGE];
	one = case_file(0);
	two = case_file(0);
	memset(page, 1, sizeof page);
	MUST(pwrite(one, page, sizeof page, 0) == PAGE);
	memset(page, 2, sizeof page);
	MUST(pwrite(two, page, sizeof page, 0) == PAGE);
}

/* The file whose page a pool has, 1 or 2; the pool is closed. */
static int file_of(MPOOL *mp)
{
	struct mpool_stats st;
	struct stat of_file;
	char *page;
	int first;
	MUST(mp);
	page = (char *)mpool_get(mp, 0, 0);
	MUST(page);
	first = page[0];
	MUST(mpool_put(mp, page, 0) == 0);
	MUST(mpool_stats(mp, &st, sizeof st) == 0 && fstat(first == 1 ? one : two, &of_file) == 0);
	RIGHT(st.device == of_file.st_dev && st.inode == of_file.st_ino, "device %lx, inode %ld", (long)st.device,
		(long)st.inode);
	MUST(mpool_close(mp) == 0);
	return first;
}

/* `what` is a key: who opens it with file 2 gets the pool of file 1. */
#define KEY(what)                                                                         \
	do {                                                                              \
		MPOOL *first = mpool_open(what, one, PAGE, 4);                            \
		RIGHT(file_of(mpool_open(what, two, PAGE, 4)) == 1, "a pool of its own"); \
		MUST(file_of(first) == 1);                                                \
	} while (0)

/* ... is none. */
#define NO_KEY(what)                                                                              \
	do {                                                                                      \
		MPOOL *first = mpool_open(what, one, PAGE, 4);                                    \
		RIGHT(file_of(mpool_open(what, two, PAGE, 4)) == 2, "the pages of another file"); \
		MUST(file_of(first) == 1);                                                        \
	} while (0)

#define TWO_FILES two, PAGE, 4

static int evaluated;

static char *once(char *key)
{
	evaluated++;
	return key;
}

static DBT *once_of_another_type(DBT *key)
{
	evaluated++;
	return key;
}

int main(void)
{
	union bytes bytes;
	DBT dbt, *no_dbt = NULL;
	const DBT *constant = &dbt;
	char array[64];
	const char *string = array;
	MPOOL *(*function)(void *, int, pgno_t, pgno_t) = &mpool_open;
	MPOOL *mp;

	files();
	snprintf(array, sizeof array, "%s", case_key());
	memcpy(bytes.name, array, sizeof array);
	memcpy(&dbt, array, sizeof dbt);

	KEY(array);
	KEY(string);
	KEY((signed char *)array);
	KEY((const signed char *)array);
	KEY((unsigned char *)array);
	KEY((const unsigned char *)array);
	KEY((void *)array);
	KEY((const void *)array);
	KEY(&array[1]);
	KEY("libmpool.case.keys");

	NO_KEY(0);
	NO_KEY(NULL);
	NO_KEY((void *)0);
	NO_KEY((char *)0);
	NO_KEY(no_dbt);
	NO_KEY(&dbt);
	NO_KEY(constant);
	NO_KEY(&bytes);
	NO_KEY(&bytes.dbt);
	NO_KEY(&array);
	NO_KEY((int *)(void *)array);
	NO_KEY((volatile char *)array);
#ifdef __cplusplus
#if __cplusplus >= 201103L
	NO_KEY(nullptr);
#endif
#endif

	/* Evaluated once, be it a key or not. */
	evaluated = 0;
	MUST(file_of(mpool_open(once(array), one, PAGE, 4)) == 1);
	RIGHT(evaluated == 1, "%d times", evaluated);
	MUST(file_of(mpool_open(once_of_another_type(&dbt), one, PAGE, 4)) == 1);
	RIGHT(evaluated == 2, "%d times", evaluated - 1);

	/* The function takes a string, whatever leads to it; so do arguments that are a macro. */
	mp = mpool_open(array, one, PAGE, 4);
	RIGHT(file_of((mpool_open)(array, two, PAGE, 4)) == 1, "a pool of its own");
	RIGHT(file_of(function(array, two, PAGE, 4)) == 1, "a pool of its own");
	RIGHT(file_of(mpool_open(array, TWO_FILES)) == 1, "a pool of its own");
	MUST(file_of(mp) == 1);
	return 0;
}
