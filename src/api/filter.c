/* filter.c - mpool_filter. */
#include "api/pool.h"

PUBLIC void mpool_filter(MPOOL *mp, mpool_filter_t *pgin, mpool_filter_t *pgout, void *pgcookie)
{
	mp->io.file.pgin = pgin;
	mp->io.file.pgout = pgout;
	mp->io.file.cookie = pgcookie;
}
