/*
 * open_key.c - mpool_open_key: keys of any bytes, told apart by all of them; and how
 * long they may be.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "case.h"

enum { PAGE = 512 };

/* Do two keys lead to one pool? */
static int same(const void *a, size_t a_bytes, const void *b, size_t b_bytes, int fd)
{
	struct mpool_stats st;
	MPOOL *one = mpool_open_key(a, a_bytes, fd, PAGE, 4), *two = mpool_open_key(b, b_bytes, fd, PAGE, 4);
	MUST(one && two && mpool_stats(one, &st, sizeof st) == 0);
	MUST(mpool_close(one) == 0 && mpool_close(two) == 0);
	return st.processes == 2;
}

static int refused(MPOOL *mp, int error)
{
	return !mp && errno == error;
}

int main(void)
{
	char bytes[80], other[80], *longest = malloc(MPOOL_KEY_MAX + 2);
	size_t n = (size_t)snprintf(bytes, sizeof bytes, "%s", case_key());
	int fd = case_file(0);
	struct mpool_stats st;
	MUST(longest);

	/* By all its bytes, also those after a 0, and by its length. */
	memcpy(bytes + n, "\0one", 4);
	memcpy(other, bytes, sizeof other);
	RIGHT(same(bytes, n + 4, other, n + 4, fd), "two pools of one key");
	other[n + 3] = 'E';
	RIGHT(!same(bytes, n + 4, other, n + 4, fd), "one pool of two keys, with other last bytes");
	RIGHT(!same(bytes, n + 4, bytes, n + 3, fd), "one pool of two keys, one longer");
	RIGHT(!same(bytes, n, bytes, n + 1, fd), "one pool of two keys, one with a 0 more");
	RIGHT(same("", 0, bytes, 0, fd), "two pools of the empty key");

	/* The same key as mpool_open's. */
	MPOOL *string = mpool_open(case_key(), fd, PAGE, 4), *key = mpool_open_key(bytes, n, -1, PAGE, 4);
	RIGHT(string && key && mpool_stats(key, &st, sizeof st) == 0 && st.processes == 2, "two pools of one key");
	MUST(mpool_close(string) == 0 && mpool_close(key) == 0);

	RIGHT(refused(mpool_open_key(NULL, 0, fd, PAGE, 4), EINVAL), "NULL is a key");
	RIGHT(refused(mpool_open_key(NULL, 5, fd, PAGE, 4), EINVAL), "NULL is a key");

	/* The longest, and longer ones. */
	memset(longest, 'k', MPOOL_KEY_MAX + 1);
	memcpy(longest, bytes, n);
	longest[MPOOL_KEY_MAX + 1] = 0;
	RIGHT(refused(mpool_open(longest, fd, PAGE, 4), ENAMETOOLONG), "a string that is too long");
	RIGHT(refused(mpool_open_key(longest, MPOOL_KEY_MAX + 1, fd, PAGE, 4), ENAMETOOLONG), "too long a key");
	/* Of that many bytes the length is all that is looked at. */
#if SIZE_MAX > UINT32_MAX
	RIGHT(refused(mpool_open_key(longest, ((size_t)1 << 32) + n, fd, PAGE, 4), ENAMETOOLONG), "its length was cut");
#endif
	RIGHT(refused(mpool_open_key(longest, (size_t)-1, fd, PAGE, 4), ENAMETOOLONG), "its length was cut");
	longest[MPOOL_KEY_MAX] = 0;
	string = mpool_open(longest, fd, PAGE, 4);
	key = mpool_open_key(longest, MPOOL_KEY_MAX, -1, PAGE, 4);
	RIGHT(string && key && mpool_stats(key, &st, sizeof st) == 0 && st.processes == 2,
		"two pools of the longest key");
	MUST(mpool_close(string) == 0 && mpool_close(key) == 0);
	free(longest);
	return 0;
}
