/* clean.c - mpool_clean. */
#include <errno.h>
#include <limits.h>

#include "api/call.h"

PUBLIC ssize_t mpool_clean(MPOOL *mp, size_t n)
{
	mp = handle_pool(mp);
	CALL(mp, a);
	if (!a)
		return -1;
	int error = 0;
	uint32_t made = clock_clean(&mp->evict, a->stripe, n < INT32_MAX ? (uint32_t)n : INT32_MAX, &error);
	if (made > 0 || !error)
		return made;
	errno = error;
	return -1;
}
