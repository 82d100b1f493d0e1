/*
 * modules.h - modules of the library by themselves, for test_modules.cpp: C++ cannot
 * include their headers.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MODULES_H
#define MODULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct MPOOL;
/* table: entries of a pool that are not in its newest table. */
uint64_t module_older_entries(struct MPOOL *mp);

/* epoch: a thread of the pool that is in a section until it leaves. */
void *module_section(struct MPOOL *mp);
void module_section_leave(void *section);

/* pin: the page is pinned 2^32 times more, in the calling thread's slots.  False: it has not so many free. */
bool module_pin_often(struct MPOOL *mp, void *page);
/* pin: stripes that there are, and that a scan looks at. */
struct module_stripes {
	uint32_t all, looked_at;
};
struct module_stripes module_stripes(struct MPOOL *mp);
/* pin: with as many stripes as there may be, no thread gets one more. */
bool module_stripes_run_out(struct MPOOL *mp);

/* line: the place of `key` among the low halves of eight words, or -1. */
int module_line_find(const uint64_t words[8], uint32_t key);

/* frame: of `frames` pages, how many addresses are not told apart right. */
size_t module_frame_wrong(uint32_t pagesize, uint32_t frames);

/* changed: of `frames` frames, every `nth` is marked dirty: how many a sync looks at, before and after they are clean and swept. */
struct module_changed_result {
	uint32_t marked, looked_at, missed;
	uint32_t kept;  /* still looked at after a sweep that found them dirty */
	uint32_t after; /* ... and clean */
	uint32_t dead;  /* ... and one who swept there has died */
};
void module_changed(uint32_t frames, uint32_t nth, struct module_changed_result *result);

/* epoch: what is left of a chunk at each step; see test_modules.cpp. */
struct module_epoch_steps {
	int found_before;    /* region_live finds it */
	int found_retired;   /* ... after it was retired */
	int kept_in_section; /* its memory is there while an earlier section is open */
	int kept_for_later;  /* ... and while only a later section is */
	int gone;            /* the number can be used again */
};
int module_epoch(struct module_epoch_steps *steps);

/* wait: is a waiter for page 5 woken by what is told of another page of its queue, of a frame, and of page 5? */
struct module_wait_result {
	int other_page, frame, page;
	int other_when_mixed; /* ... by another page's event, while somebody waits for that page too */
	int after;            /* is anybody woken when nobody waits? */
};
void module_wait(struct module_wait_result *result);

/* torn: of pages 0 to pages - 1, put on the list in turn, how many are on it; and the same after all were taken off. */
struct module_torn_result {
	uint32_t first; /* of how many the list forgot none */
	uint32_t all;
	uint32_t removed;
};
void module_torn(uint32_t pages, struct module_torn_result *result);

/*
 * table: `threads` threads insert `pages` pages, each of them every page, while
 * one more replaces the table and moves the entries.  Counts what must not be.
 */
struct module_table_result {
	uint64_t loaders;    /* insertions won: one a page is right */
	uint64_t lost_sight; /* a page that was resident was not found */
	uint64_t wrong;      /* ... or with another's frame */
	uint64_t moved;      /* entries moved meanwhile */
	uint64_t entries;    /* counted in all tables at the end */
};
int module_table(unsigned threads, uint32_t pages, struct module_table_result *result);

/*
 * table: replaced `times` times, each old one emptied and withdrawn, while two
 * threads look at the newest as hits do, in no epoch section.
 */
struct module_cached_result {
	uint64_t seen;   /* pages found by them */
	uint64_t wrong;  /* ... with another's frame */
	uint64_t lost;   /* pages not found in the end */
	uint64_t tables; /* chunks in the end */
	uint64_t backed; /* of the last one withdrawn: pages of the system's that it still has, its head aside */
};
int module_table_cached(uint32_t pages, unsigned times, struct module_cached_result *result);

/* table: pages 0, stride, 2 * stride, ... in one for `entries` with the factor of that number: is it clumped?  2: so that not all found a place. */
int module_table_clumped(uint32_t entries, uint32_t pages, uint32_t stride, uint32_t factor_number);

/* table: ... in one for `entries`: of these how many are not found?  They are as many if one has no place. */
uint32_t module_table_lost(uint32_t entries, uint32_t pages, uint32_t stride);

/*
 * policy: one shard of so many frames, through which pages are used; nothing is
 * claimed or pinned.
 */
#define MODULE_NO_VICTIM UINT32_MAX
#define MODULE_STEPS     1024u /* more are counted as so many */
struct module_policy_result {
	uint64_t victims[MODULE_STEPS + 1]; /* by the steps that they took */
	uint32_t bound;                     /* on them, that the module promises */
	uint32_t hot, hot_bits;             /* hot frames as they are counted, and as they are */
	uint32_t recounted;                 /* ... counted as after a death */
};
int module_policy(uint32_t frames, const uint32_t *requests, size_t n, struct module_policy_result *result);

/* policy: all frames are in use and marked, and all but `one` pinned. */
struct module_policy_only {
	uint32_t steps, bound; /* of a search that may end in vain */
	int found;             /* by the one that may not */
};
int module_policy_only(uint32_t frames, uint32_t one, struct module_policy_only *result);

/* A pool in full use, then a scan of pages wanted once only: what that changed. */
struct module_policy_once {
	uint32_t ghosts;             /* more than before */
	uint64_t misses;             /* in the shard's time */
	int32_t hot, trust;          /* more than before */
	uint32_t counted, recounted; /* frames wanted once, as counted and by their bits */
};
int module_policy_once(uint32_t frames, struct module_policy_once *result);

/* policy: a pool in full use, of which some hot pages go, and others come that were never seen: how many of these are hot. */
struct module_policy_room {
	uint32_t lost;      /* so many go: less than the room that is kept for pages that come back */
	uint32_t evicted;   /* ... where they were evicted */
	uint32_t forgotten; /* ... where they were not */
};
int module_policy_room(uint32_t frames, struct module_policy_room *result);

/* writeback: for how many pages is a buffer, if no fewer are needed? */
unsigned module_write_buffer_pages(struct MPOOL *mp);

/* notify: of two files, one after the other, each is closed so many times; what is told of it.  -1: no instance to be had. */
struct module_closings {
	unsigned of[2], any, others;
};
int module_closings(const char *const path[2], unsigned times, struct module_closings *result);

/* latch: does anybody sleep until the page of the pool that the caller has latched is unlatched? */
bool module_latch_awaited(struct MPOOL *mp, const void *page);
/* ... if who is to copy page `page`, which is not in its frame any more, finds that latched: does it not wait, and take no turn? */
bool module_latch_is_anothers(struct MPOOL *mp, const void *latched, uint32_t page);
/* ... end the caller's exclusive latch, and take it again before anybody who sleeps is told.  False: it is not to be had again. */
bool module_latch_again(struct MPOOL *mp, const void *page, bool modified);
/* ... take the turn of its latch, until it is given back; has anybody the turn? */
bool module_latch_turn_begin(struct MPOOL *mp, const void *page);
void module_latch_turn_end(struct MPOOL *mp, const void *page);
bool module_latch_turn(struct MPOOL *mp, const void *page);

/* frame: the page's frame has the number of another from now on.  The number that it had. */
uint32_t module_frame_becomes(struct MPOOL *mp, const void *page, uint32_t number);

/* sync: a flush, and one after it, that fails: what those are told whom the first covers, before and after it, and those whom the second covers. */
#define MODULE_AGAIN (-1) /* to write again */
struct module_flushes {
	int first, first_later, second; /* 0, an errno, or MODULE_AGAIN */
};
void module_flushes(struct MPOOL *mp, void (*before_second)(void *), void *to, struct module_flushes *told);

/* sync: is who began before writes were distrusted told to write again? */
bool module_distrust_told(struct MPOOL *mp);

#ifdef __cplusplus
}
#endif

#endif
