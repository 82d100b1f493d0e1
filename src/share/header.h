/*
 * header.h - the words of a pool that its processes share.
 *
 * Owns nothing: it puts the states of all modules together.  A private pool has a header
 * too, whose end differs: as many shards as it needs, then the states that are elsewhere in
 * a shared one (api/open.c).
 */
#ifndef MPOOL_HEADER_H
#define MPOOL_HEADER_H

#include "core/core.h"
#include "core/latch.h"
#include "evict/clock.h"
#include "io/torn.h"
#include "io/pageio.h"
#include "share/sharing.h"

struct header {
	/* Loaded by every hit, written seldom. */
	_Alignas(CACHE_LINE) struct table_state table;
	struct epoch_state epoch;
	_Alignas(CACHE_LINE) struct pageio_state pageio;
	_Alignas(CACHE_LINE) struct frame_state frame;
	struct latch_state latch;
	struct pin_state pin;
	struct wait_state wait;
	struct clock_state clock; /* the last of a private pool's, with as many shards as it needs */
	struct torn_state torn;
	struct member_state members;
	struct region_state region;
};

/* This process's handles are of that header; `member` is its number. */
void header_attach(struct sharing *sh, struct header *h, enum barrier barrier, unsigned member);

#endif
