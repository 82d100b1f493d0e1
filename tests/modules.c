/*
 * modules.c - see modules.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "modules.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/pool.h"
#include "core/changed.h"
#include "core/epoch.h"
#include "core/frame.h"
#include "core/latch.h"
#include "core/pin.h"
#include "core/region.h"
#include "core/table.h"
#include "evict/policy.h"
#include "io/sync.h"
#include "io/torn.h"
#include "io/writeback.h"
#include "os/descriptor.h"
#include "os/file.h"
#include "os/line.h"
#include "os/notify.h"
#include "os/wait.h"

int module_line_find(const uint64_t words[8], uint32_t key)
{
	struct line line;
	for (int i = 0; i < LINE_WORDS; i++)
		atomic_init(&line.word[i], words[i]);
	return line_find(&line, key);
}

uint64_t module_older_entries(struct MPOOL *mp)
{
	uint64_t n = 0;
	const struct table *t = table_head(&mp->core.tables);
	for (uint32_t id; (id = atomic_load(&t->next)) != TABLE_NONE;) {
		t = region_at(&mp->core.region, id);
		n += table_entries(t);
	}
	return n;
}

void *module_section(struct MPOOL *mp)
{
	uint32_t from = 0;
	struct stripe *s = pin_adopt(&mp->core.pins, true, &from);
	if (s)
		epoch_enter(&mp->core.epoch, s);
	return s;
}

void module_section_leave(void *section)
{
	epoch_leave(section);
}

/* ---- pin ---------------------------------------------------------------- */

bool module_pin_often(struct MPOOL *mp, void *page)
{
	struct stripe *s = thread_last.stripe;
	uint64_t full = slot_pin(frame_at(&mp->core.frames, page)) | SLOT_COUNT_MASK;
	_Atomic uint64_t *slot;
	/* Twice as many as a slot can count, which is 2^31 - 1, and two. */
	for (unsigned i = 0; i < 3; i++) {
		if (!stripe_find(s, 0, &slot))
			return false;
		atomic_store(slot, i < 2 ? full : slot_pin(frame_at(&mp->core.frames, page)) + SLOT_ONE);
	}
	return true;
}

struct module_stripes module_stripes(struct MPOOL *mp)
{
	struct module_stripes n = {atomic_load(&mp->sharing.header->pin.stripes), 0};
	struct listed l = LISTED_FIRST(&mp->core.pins);
	while (listed_next(&l))
		n.looked_at++;
	return n;
}

bool module_stripes_run_out(struct MPOOL *mp)
{
	uint32_t from = STRIPES_MAX, stripes = atomic_exchange(&mp->sharing.header->pin.stripes, STRIPES_MAX);
	bool none = !pin_adopt(&mp->core.pins, true, &from);
	atomic_store(&mp->sharing.header->pin.stripes, stripes);
	return none;
}

/* ---- frame -------------------------------------------------------------- */

size_t module_frame_wrong(uint32_t pagesize, uint32_t frames)
{
	struct region region;
	struct frame_state state = {0};
	struct frames fs;
	size_t wrong = 0;
	region_init(&region);
	if (frames_init(&fs, &region, &state, pagesize, frames, CACHE_LINE) != 0)
		abort();
	for (uint32_t f = 0; f < frames; f++) {
		char *page = frame_page(&fs, f);
		wrong += frame_at_base(&fs, page) != f;
		wrong += frame_at_base(&fs, page + 1) != FRAME_NONE;
		wrong += frame_at_base(&fs, page + fs.stride / 2) != FRAME_NONE;
	}
	wrong += frame_at_base(&fs, fs.base.pages - fs.stride) != FRAME_NONE;
	wrong += frame_at_base(&fs, fs.base.pages + frames * fs.stride) != FRAME_NONE;
	region_fini(&region);
	return wrong;
}

/* ---- changed ------------------------------------------------------------ */

struct looked_at {
	uint32_t all, dirty;
	uint32_t off; /* what becomes of the words */
};

static void look_at(void *looked_at, uint32_t frame, struct frame *fr)
{
	struct looked_at *l = looked_at;
	(void)frame;
	l->all++;
	l->dirty += (atomic_load(&fr->word) & FRAME_DIRTY) != 0;
	atomic_fetch_and(&fr->word, ~l->off);
}

void module_changed(uint32_t frames, uint32_t nth, struct module_changed_result *result)
{
	struct region region;
	struct frame_state state = {0};
	struct frames fs;
	struct looked_at look = {0}, kept = {0}, clean = {.off = FRAME_DIRTY}, after = {0}, dead = {0};
	memset(result, 0, sizeof *result);
	region_init(&region);
	if (frames_init(&fs, &region, &state, 512, frames, CACHE_LINE) != 0)
		abort();
	for (uint32_t f = 0; f < frames; f++) {
		frame_unclaim(&fs.base.frame[frame_take_fresh(&fs, frames, 0)]);
		if (f % nth == 0 && ++result->marked)
			frame_set_dirty_base(&fs, f);
	}
	changed_each(&fs, look_at, &look);
	changed_sweep(&fs, look_at, &kept);
	memset(&kept, 0, sizeof kept);
	changed_each(&fs, look_at, &kept);
	changed_sweep(&fs, look_at, &clean);
	changed_each(&fs, look_at, &after);
	/* As one leaves it who dies while it sweeps the first frames. */
	atomic_store(&state.sweeping, 1);
	changed_recover_sweep(&fs);
	changed_each(&fs, look_at, &dead);
	result->looked_at = look.all;
	result->missed = result->marked - look.dirty;
	result->kept = kept.all;
	result->after = after.all;
	result->dead = dead.all;
	region_fini(&region);
}

/* ---- epoch -------------------------------------------------------------- */

struct modules {
	struct region region;
	struct pin_state pin_state;
	struct pins pins;
	struct epoch_state epoch_state;
	struct epoch epoch;
};

static void modules_init(struct modules *r)
{
	memset(r, 0, sizeof *r);
	region_init(&r->region);
	r->pins = (struct pins){&r->region, &r->pin_state, PUTS_LOCKED, 0};
	r->epoch = (struct epoch){&r->region, &r->pins, &r->epoch_state,
		barrier_available(BARRIER_PROCESS) ? BARRIER_PROCESS : BARRIER_FENCE};
	epoch_init(&r->epoch_state);
}

static void reclaim(struct modules *r, const struct stripe *me)
{
	uint64_t before = epoch_now(&r->epoch);
	barrier_heavy(r->epoch.barrier);
	epoch_reclaim(&r->epoch, me, before);
}

int module_epoch(struct module_epoch_steps *steps)
{
	struct modules r;
	uint32_t from = 0;
	modules_init(&r);
	struct stripe *early = pin_adopt(&r.pins, false, &from), *late = pin_adopt(&r.pins, false, &from);
	void *chunk = region_alloc(&r.region, CHUNK_SEGMENTS, CACHE_LINE, CACHE_LINE);
	if (!early || !late || !chunk || !region_add(&r.region, CHUNK_SEGMENTS, chunk, CACHE_LINE))
		return -1;

	epoch_enter(&r.epoch, early);
	steps->found_before = region_live(&r.region, CHUNK_SEGMENTS) == chunk;
	epoch_retire(&r.epoch, late, CHUNK_SEGMENTS);
	steps->found_retired = region_live(&r.region, CHUNK_SEGMENTS) != NULL;
	reclaim(&r, late);
	steps->kept_in_section = region_at(&r.region, CHUNK_SEGMENTS) == chunk;
	epoch_enter(&r.epoch, late); /* after the withdrawal: of no account */
	epoch_leave(early);
	reclaim(&r, late);
	steps->kept_for_later = region_at(&r.region, CHUNK_SEGMENTS) != NULL;
	epoch_leave(late);
	reclaim(&r, late);
	steps->gone = region_at(&r.region, CHUNK_SEGMENTS) == NULL && !epoch_waiting(&r.epoch);
	region_fini(&r.region);
	return 0;
}

/* ---- torn -------------------------------------------------------------- */

static uint32_t on_list(const struct torn_state *d, uint32_t pages)
{
	uint32_t n = 0;
	for (uint32_t page = 0; page < pages; page++)
		n += torn_has(d, page);
	return n;
}

void module_torn(uint32_t pages, struct module_torn_result *result)
{
	struct torn_state d = {.buckets = TORN_BUCKETS};
	*result = (struct module_torn_result){0};
	for (uint32_t page = 0; page < pages; page++) {
		torn_add(&d, page);
		torn_add(&d, page); /* written again */
		if (result->first == page && on_list(&d, page + 1) == page + 1)
			result->first = page + 1;
	}
	result->all = on_list(&d, pages);
	for (uint32_t page = 0; page < pages; page++)
		torn_remove(&d, page);
	result->removed = on_list(&d, pages);
}

/* ---- wait --------------------------------------------------------------- */

/* Does the event wake those who sleep on the queue? */
static int wakes(struct wait_state *w, struct wait_queue *q, uint64_t what)
{
	uint32_t before = atomic_load(&q->count);
	wait_notify(w, what);
	return atomic_load(&q->count) != before;
}

void module_wait(struct module_wait_result *result)
{
	static struct wait_state w;
	const uint32_t page = 5, other = page + WAIT_QUEUES;
	struct wait_queue *q = wait_queue_of(&w, wait_for_page(page));
	wait_prepare(q, wait_for_page(page));
	wait_prepare(q, wait_for_page(page));
	result->other_page = wakes(&w, q, wait_for_page(other));
	result->frame = wakes(&w, q, wait_for_frame(page));
	result->page = wakes(&w, q, wait_for_page(page));
	wait_prepare(q, wait_for_page(page));
	wait_prepare(q, wait_for_page(other));
	result->other_when_mixed = wakes(&w, q, wait_for_page(other));
	result->after = wakes(&w, q, wait_for_page(page));
}

/* ---- table -------------------------------------------------------------- */

struct table_run {
	struct modules r;
	struct table_state state;
	struct tables tables;
	uint32_t pages;
	_Atomic uint32_t next_owner;
	_Atomic bool over;
	_Atomic bool *published; /* by page */
	_Atomic uint64_t loaders, lost_sight, wrong, moved;
};

/* Insert a page, and load it if that is won; its frame has the page's number. */
static void insert(struct table_run *run, uint32_t page, uint32_t me)
{
	struct table_ref at;
	enum insertion in;
	do {
		uint64_t e = table_find(&run->tables, page, &at);
		if (e != ENTRY_FREE && entry_in_memory(e)) {
			run->wrong += entry_who(e) != page;
			return;
		}
		in = table_insert(&run->tables, page, me, e, &at);
		if (in == INSERT_FULL)
			table_replace(&run->tables, me, at.table, 2 * TABLE_ENTRIES_OF(at.table->buckets), 0);
	} while (in != INSERT_WON);
	run->loaders++;
	table_publish(&at, page, me, page);
	run->published[page] = true;
}

static void *insert_all(void *table_run)
{
	struct table_run *run = table_run;
	struct table_ref at;
	uint32_t me = run->next_owner++;
	for (uint32_t i = 0; i < run->pages; i++)
		insert(run, i, me);
	/* Resident for good now: whatever moves, every one is found. */
	while (!run->over) {
		for (uint32_t page = 0; page < run->pages; page++) {
			bool published = run->published[page];
			uint64_t e = table_find(&run->tables, page, &at);
			run->lost_sight += published && !entry_in_memory(e);
			run->wrong += published && entry_who(e) != page;
		}
		sched_yield();
	}
	return NULL;
}

/* Move all that can be moved from `t` to the newest table; the only one who does. */
static void move_all(struct table_run *run, struct table *t)
{
	for (uint32_t b = 0; b < t->buckets; b++)
		for (unsigned s = 0; s < LINE_WORDS; s++) {
			struct table_ref from = {t, b, &t->bucket[b].word[s]};
			uint64_t e = atomic_load(from.word);
			if (e != ENTRY_FREE && entry_state(e) == ENTRY_RESIDENT)
				run->moved += table_move(&run->tables, &from);
		}
}

int module_table(unsigned threads, uint32_t pages, struct module_table_result *result)
{
	enum { REPLACEMENTS = 12 };
	struct table_run run = {.pages = pages};
	pthread_t *thread = calloc(threads, sizeof *thread);
	modules_init(&run.r);
	run.tables = (struct tables){NULL, &run.r.region, &run.state, false};
	run.published = calloc(pages, sizeof *run.published);
	if (!thread || !run.published || table_init(&run.tables, 0, pages / 4) != 0)
		return -1;
	for (unsigned t = 0; t < threads; t++)
		if (pthread_create(&thread[t], NULL, insert_all, &run) != 0)
			return -1;
	/* Larger and smaller in turn; nothing is retired, so that all may look. */
	for (unsigned n = 0; n < REPLACEMENTS; n++) {
		while (run.loaders < (uint64_t)pages * n / REPLACEMENTS)
			sched_yield(); /* so that there is something to move, and to insert */
		struct table *old = table_head(&run.tables);
		table_replace(&run.tables, threads, old, pages + pages * (n % 3), 0);
		move_all(&run, old);
		sched_yield();
	}
	run.over = true;
	for (unsigned t = 0; t < threads; t++)
		pthread_join(thread[t], NULL);
	*result = (struct module_table_result){run.loaders, run.lost_sight, run.wrong, run.moved, 0};
	for (unsigned id = CHUNK_TABLES; id < CHUNK_COUNT; id++)
		if (region_at(&run.r.region, id))
			result->entries += table_entries(region_at(&run.r.region, id));
	region_fini(&run.r.region);
	free((void *)(uintptr_t)run.published); /* past -Wcast-qual */
	free(thread);
	return 0;
}

/* ---- cached tables ----------------------------------------------------- */

struct rest_run {
	struct modules r;
	struct table_state state;
	struct tables tables;
	struct stripe *me;
	uint32_t pages;
	_Atomic bool over;
	_Atomic uint64_t seen, wrong;
};

static void *peek_all(void *rest_run)
{
	struct rest_run *run = rest_run;
	while (!run->over)
		for (uint32_t page = 0; page < run->pages; page++) {
			_Atomic uint64_t *word = table_peek(&run->tables, entry_key(page));
			uint64_t f = word ? entry_resident_frame(atomic_load(word), entry_key(page)) : FRAMES_MAX;
			run->seen += f < FRAMES_MAX;
			run->wrong += f < FRAMES_MAX && f != page;
		}
	return NULL;
}

/* A resident entry for each page; the frame has the page's number. */
static int insert_stride(struct tables *ts, uint32_t pages, uint32_t stride)
{
	struct table_ref at;
	for (uint32_t i = 0; i < pages; i++) {
		if (table_insert(ts, i * stride, 0, ENTRY_FREE, &at) != INSERT_WON)
			return -1;
		table_publish(&at, i * stride, 0, i);
	}
	return 0;
}

static int rest_init(struct rest_run *run, uint32_t pages)
{
	uint32_t from = 0;
	modules_init(&run->r);
	run->me = pin_adopt(&run->r.pins, true, &from);
	run->pages = pages;
	run->tables = (struct tables){NULL, &run->r.region, &run->state, false};
	return table_init(&run->tables, 0, pages) == 0 ? insert_stride(&run->tables, pages, 1) : -1;
}

/* Replace the table by one of the size whose turn it is; the number of the old one, out of use by then. */
static uint32_t replace_and_retire(struct rest_run *run, unsigned turn)
{
	struct table *old = table_head(&run->tables);
	table_replace(&run->tables, 0, old, run->pages * (1 + turn % 3), turn % TABLE_FACTORS);
	for (uint32_t b = 0; b < old->buckets; b++)
		for (unsigned s = 0; s < LINE_WORDS; s++) {
			struct table_ref from = {old, b, &old->bucket[b].word[s]};
			if (atomic_load(from.word) != ENTRY_FREE)
				table_move(&run->tables, &from);
		}
	table_unlink(&run->tables, old);
	epoch_retire(&run->r.epoch, run->me, old->id);
	reclaim(&run->r, run->me);
	return old->id;
}

static uint64_t backed(const struct table *t)
{
	uintptr_t grain = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = ((uintptr_t)t->bucket + grain - 1) & ~(grain - 1),
		  to = (uintptr_t)&t->bucket[t->buckets] & ~(grain - 1);
	uint64_t n = 0;
	for (; from < to; from += grain) {
		unsigned char in = 0;
		mincore((void *)from, grain, &in);
		n += in & 1;
	}
	return n;
}

int module_table_cached(uint32_t pages, unsigned times, struct module_cached_result *result)
{
	static struct rest_run run;
	pthread_t thread[2];
	memset(&run, 0, sizeof run);
	if (rest_init(&run, pages) != 0)
		return -1;
	for (unsigned t = 0; t < 2; t++)
		if (pthread_create(&thread[t], NULL, peek_all, &run) != 0)
			return -1;
	for (unsigned turn = 1; turn <= times; turn++) {
		replace_and_retire(&run, turn);
		sched_yield();
	}
	while (run.seen == 0)
		sched_yield();
	run.over = true;
	for (unsigned t = 0; t < 2; t++)
		pthread_join(thread[t], NULL);
	*result = (struct module_cached_result){.seen = run.seen, .wrong = run.wrong};
	result->backed = backed(region_at(&run.r.region, replace_and_retire(&run, times + 1)));
	for (uint32_t page = 0; page < pages; page++) {
		struct table_ref at;
		result->lost += !entry_in_memory(table_find(&run.tables, page, &at));
	}
	for (unsigned id = CHUNK_TABLES; id < CHUNK_COUNT; id++)
		result->tables += region_at(&run.r.region, id) != NULL;
	region_fini(&run.r.region);
	return 0;
}

int module_table_clumped(uint32_t entries, uint32_t pages, uint32_t stride, uint32_t factor_number)
{
	struct modules r;
	struct table_state state = {0};
	modules_init(&r);
	struct tables ts = {NULL, &r.region, &state, false};
	if (table_init(&ts, 0, entries) != 0 || table_replace(&ts, 0, table_head(&ts), entries, factor_number) != 0)
		return -1;
	bool all = insert_stride(&ts, pages, stride) == 0;
	bool clumped = table_clumped(table_head(&ts), !all);
	region_fini(&r.region);
	return clumped ? all ? 1 : 2 : 0;
}

uint32_t module_table_lost(uint32_t entries, uint32_t pages, uint32_t stride)
{
	struct modules r;
	struct table_state state = {0};
	modules_init(&r);
	struct tables ts = {NULL, &r.region, &state, false};
	uint32_t lost = pages;
	if (table_init(&ts, 0, entries) == 0 && insert_stride(&ts, pages, stride) == 0) {
		lost = 0;
		for (uint32_t i = 0; i < pages; i++) {
			struct table_ref at;
			lost += !entry_in_memory(table_find(&ts, i * stride, &at));
		}
	}
	region_fini(&r.region);
	return lost;
}

/* ---- policy ------------------------------------------------------------- */

/* One shard, and the pages in it; nobody claims or pins. */
struct policy_run {
	struct region region;
	struct frame_state state;
	struct frames fs;
	struct policy policy;
	struct policy_of of;
	uint32_t *frame_of; /* by page; FRAME_NONE */
};

enum { POLICY_PAGE = 16 };

static int policy_run_init(struct policy_run *run, uint32_t frames, uint32_t pages)
{
	memset(run, 0, sizeof *run);
	region_init(&run->region);
	run->frame_of = malloc(pages * sizeof *run->frame_of);
	if (!run->frame_of || frames_init(&run->fs, &run->region, &run->state, POLICY_PAGE, frames, CACHE_LINE) != 0 ||
		run->fs.base.count != frames)
		return -1;
	for (uint32_t page = 0; page < pages; page++)
		run->frame_of[page] = FRAME_NONE;
	run->of = (struct policy_of){&run->policy, &run->fs, 0, frames, 0};
	return 0;
}

static void policy_run_fini(struct policy_run *run)
{
	free(run->frame_of);
	region_fini(&run->region);
}

/* The page is used.  Steps to the victim that it took, MODULE_NO_VICTIM: none. */
static uint32_t use(struct policy_run *run, uint32_t page, bool once)
{
	struct policy_search search = {.once = true};
	struct policy_of *o = &run->of;
	uint32_t f = run->frame_of[page];
	if (f != FRAME_NONE) {
		if (!once)
			frame_touch(&run->fs, f);
		return MODULE_NO_VICTIM;
	}
	bool fresh = o->used < o->count;
	f = fresh ? o->used++ : policy_victim(o, &search);
	struct frame *fr = &run->fs.base.frame[f];
	if (!fresh) {
		run->frame_of[fr->page] = FRAME_NONE;
		policy_leave(o, o, f, fr->page);
	}
	policy_enter(o, o, f, page, once);
	fr->word = FRAME_USED;
	fr->page = page;
	run->fs.base.mark[f] = 0;
	run->frame_of[page] = f;
	return fresh ? MODULE_NO_VICTIM : search.steps;
}

/* Hot frames, counted by their bits. */
static uint32_t hot_bits(const struct policy_run *run)
{
	uint32_t n = 0;
	for (uint32_t f = 0; f < run->of.count; f++)
		n += run->fs.base.hot_bits[f / 64] >> f % 64 & 1;
	return n;
}

int module_policy(uint32_t frames, const uint32_t *requests, size_t n, struct module_policy_result *result)
{
	struct policy_run run;
	uint32_t pages = 0;
	memset(result, 0, sizeof *result);
	for (size_t i = 0; i < n; i++)
		pages = requests[i] >= pages ? requests[i] + 1 : pages;
	if (policy_run_init(&run, frames, pages) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		uint32_t steps = use(&run, requests[i], false);
		if (steps != MODULE_NO_VICTIM)
			result->victims[steps < MODULE_STEPS ? steps : MODULE_STEPS]++;
	}
	result->bound = POLICY_STEPS;
	result->hot = (uint32_t)run.policy.hot;
	result->hot_bits = hot_bits(&run);
	policy_recount(&run.of);
	result->recounted = (uint32_t)run.policy.hot;
	policy_run_fini(&run);
	return 0;
}

static bool all_but(const void *one, uint32_t frame, uint32_t word)
{
	(void)word;
	return frame != *(const uint32_t *)one;
}

int module_policy_only(uint32_t frames, uint32_t one, struct module_policy_only *result)
{
	struct policy_run run;
	if (policy_run_init(&run, frames, frames) != 0)
		return -1;
	for (uint32_t page = 0; page < frames; page++)
		use(&run, page, false);
	for (uint32_t f = 0; f < frames; f++)
		run.fs.base.mark[f] = 1;
	struct policy_search near = {.skip = all_but, .of = &one};
	struct policy_search all = {.skip = all_but, .of = &one, .everywhere = true};
	policy_victim(&run.of, &near);
	result->steps = near.steps;
	result->bound = POLICY_STEPS;
	result->found = policy_victim(&run.of, &all) == one;
	policy_run_fini(&run);
	return 0;
}

static uint32_t ghosts(const struct policy_run *run)
{
	uint32_t n = 0;
	for (uint32_t f = 0; f < run->of.count; f++)
		n += run->fs.base.ghost[f] != 0;
	return n;
}

int module_policy_once(uint32_t frames, struct module_policy_once *result)
{
	struct policy_run run;
	const uint32_t used = 2 * frames, pages = 10 * frames;
	if (policy_run_init(&run, frames, pages) != 0)
		return -1;
	for (uint32_t page = 0; page < used; page++)
		use(&run, page, false);
	struct policy before = run.policy;
	uint32_t ghosts_before = ghosts(&run);
	for (uint32_t page = used; page < pages; page++)
		use(&run, page, true);
	result->counted = (uint32_t)run.policy.once;
	policy_recount(&run.of);
	result->recounted = (uint32_t)run.policy.once;
	/* The first of them take the frames of pages that are remembered. */
	result->ghosts = ghosts(&run) - ghosts_before;
	result->misses = run.policy.now - before.now;
	result->hot = (int32_t)run.policy.hot - (int32_t)before.hot;
	result->trust = run.policy.trust - before.trust;
	policy_run_fini(&run);
	return 0;
}

/* The page in frame `f` goes; without a ghost, unless it was `evicted`. */
static void leave(struct policy_run *run, uint32_t f, bool evicted)
{
	run->frame_of[run->fs.base.frame[f].page] = FRAME_NONE;
	if (evicted)
		policy_leave(&run->of, &run->of, f, run->fs.base.frame[f].page);
	else
		policy_drop(&run->of, f);
}

/* So many hot pages go, each for one that was never seen: of these so many come in hot. */
static uint32_t replace_hot(struct policy_run *run, uint32_t n, uint32_t page, bool evicted)
{
	uint32_t before = hot_bits(run), left = n;
	for (uint32_t f = 0; f < run->of.count && left > 0; f++)
		if (frame_bit(run->fs.base.hot_bits, f)) {
			leave(run, f, evicted);
			policy_enter(&run->of, &run->of, f, page++, false);
			left--;
		}
	return hot_bits(run) + n - before;
}

int module_policy_room(uint32_t frames, struct module_policy_room *result)
{
	struct policy_run run;
	result->lost = frames / 10;
	for (int evicted = 0; evicted < 2; evicted++) {
		if (policy_run_init(&run, frames, frames) != 0)
			return -1;
		for (uint32_t page = 0; page < frames; page++)
			use(&run, page, false);
		*(evicted ? &result->evicted : &result->forgotten) = replace_hot(&run, result->lost, frames, evicted);
		policy_run_fini(&run);
	}
	return 0;
}

static void hear_all(int instance, const int number[2], struct module_closings *result)
{
	struct closings said;
	while (notify_hear(instance, &said))
		for (int n; notify_next(&said, &n);)
			if (n == NOTIFY_ANY)
				result->any++;
			else if (n == number[0] || n == number[1])
				result->of[n == number[1]]++;
			else
				result->others++;
}

int module_closings(const char *const path[2], unsigned times, struct module_closings *result)
{
	int instance = notify_closings_open(), number[2], error = instance < 0 ? -1 : 0;
	*result = (struct module_closings){{0}, 0, 0};
	for (unsigned i = 0; i < 2 && !error; i++) {
		int fd = file_open_path(path[i], O_RDONLY);
		number[i] = notify_closings_of(instance, fd);
		descriptor_close(fd);
		error = number[i] < 0 ? -1 : 0;
	}
	for (unsigned i = 0; i < 2 * times && !error; i++)
		descriptor_close(file_open_path(path[i % 2], O_WRONLY));
	if (!error)
		hear_all(instance, number, result);
	descriptor_close(instance);
	return error;
}

/* ---- latch, sync -------------------------------------------------------- */

bool module_latch_awaited(struct MPOOL *mp, const void *page)
{
	return latch_now(&mp->core, frame_at(&mp->core.frames, page)) & LATCH_WAITING;
}

bool module_latch_is_anothers(struct MPOOL *mp, const void *latched, uint32_t page)
{
	uint32_t frame = frame_at(&mp->core.frames, latched);
	latch_outlast(&mp->core, thread_last.stripe, frame, page);
	return !latch_take_turn(&mp->core, thread_last.stripe, frame, page) && !module_latch_turn(mp, latched);
}

bool module_latch_again(struct MPOOL *mp, const void *page, bool modified)
{
	uint32_t frame = frame_at(&mp->core.frames, page), me = thread_last.stripe->id;
	_Atomic uint64_t *word = latch_word(&mp->core, frame);
	if (modified)
		frame_set_dirty(&mp->core.frames, frame);
	bool awaited = latch_release(word, me);
	uint64_t w = atomic_load(word);
	bool again = !latch_closed(w) && !(w & LATCH_SHARED) && latch_own(word, &w, me, 0);
	thread_last.a->latches -= !again;
	if (awaited)
		latch_tell_all(&mp->core, frame, word);
	return again;
}

bool module_latch_turn(struct MPOOL *mp, const void *page)
{
	return latch_now(&mp->core, frame_at(&mp->core.frames, page)) & LATCH_TURN;
}

bool module_latch_turn_begin(struct MPOOL *mp, const void *page)
{
	uint32_t frame = frame_at(&mp->core.frames, page);
	const struct frame *fr = frame_of(&mp->core.frames, frame);
	return latch_take_turn(&mp->core, thread_last.stripe, frame, atomic_load(&fr->page));
}

void module_latch_turn_end(struct MPOOL *mp, const void *page)
{
	latch_end_turn(&mp->core, frame_at(&mp->core.frames, page));
}

bool module_distrust_told(struct MPOOL *mp)
{
	struct stripe *me = thread_last.stripe;
	uint64_t since = sync_undone(&mp->io);
	uint32_t number = sync_next(&mp->io);
	bool before = sync_result(&mp->io, number, since) == 0;
	epoch_enter(&mp->core.epoch, me);
	sync_distrust(&mp->io);
	epoch_leave(me);
	return before && sync_result(&mp->io, number, since) == SYNC_AGAIN;
}

uint32_t module_frame_becomes(struct MPOOL *mp, const void *page, uint32_t number)
{
	return atomic_exchange(&frame_of(&mp->core.frames, frame_at(&mp->core.frames, page))->page, number);
}

static int told(struct io *io, uint32_t number, uint64_t since)
{
	int result = sync_result(io, number, since);
	return result == SYNC_AGAIN ? MODULE_AGAIN : result;
}

void module_flushes(struct MPOOL *mp, void (*before_second)(void *), void *to, struct module_flushes *r)
{
	struct io *io = &mp->io;
	struct stripe *me = thread_last.stripe;
	uint64_t since = sync_undone(io);
	uint32_t first = sync_next(io);
	sync_begin(io, me);
	sync_flush(io, me);
	r->first = told(io, first, since);
	uint32_t second = sync_next(io);
	before_second(to);
	sync_flush(io, me);
	r->first_later = told(io, first, since);
	r->second = told(io, second, since);
	sync_end(io);
}

unsigned module_write_buffer_pages(struct MPOOL *mp)
{
	BUFFER(b, &mp->io);
	return write_buffer_get(&mp->io, &b, WINDOW_MAX) ? b.pages : 0;
}
