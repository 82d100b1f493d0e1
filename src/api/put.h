/*
 * put.h - one pin less.
 *
 * Owns no state.
 */
#ifndef MPOOL_PUT_H
#define MPOOL_PUT_H

#include "api/call.h"

/* In a call: 0, or -1 and EINVAL. */
int page_put(MPOOL *mp, struct attachment *a, const void *pgaddr, unsigned flags);

#endif
