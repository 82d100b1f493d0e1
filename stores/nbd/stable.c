/* stable.c - see stable.h. */
#include "stable.h"

#include <errno.h>
#include <stdbool.h>

/* With these a flush says nothing of earlier writes: see struct mpool_store. */
static bool not_made(int error)
{
	return error == ECONNRESET || error == ENOTCONN || error == ETIMEDOUT || error == ESHUTDOWN;
}

int stable_flushed(struct stable *s, uint64_t began, int error)
{
	if (!error && began > s->flushed)
		s->flushed = began;
	if (!error && s->lost)
		error = EIO;
	if (error && !not_made(error) && s->lost <= began)
		s->lost = 0; /* told */
	return error;
}
