// filterthrow.cpp - a filter, or a hook, leaves by an exception, by longjmp, or by the end of its thread,
// in a get that reads, in one that has to write to make room, and in a sync; or it calls
// the pool.  It must not; but what the call held is given back, and nothing is lost.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "case.h"

#include <csetjmp>
#include <pthread.h>
#include <stdexcept>

namespace {

enum How { throws, jumps, ends, calls, HOWS };
enum Where { reading, evicting, syncing, WHERES };
const char *const hows[] = {"throws", "jumps", "ends", "calls the pool"}, *const wheres[] = {
										  "reading", "evicting", "syncing"};
// What goes wrong: a filter; a hook: in, or out; or before_write, which does not run on reads.
enum Who { filters, hooks, before_write, WHOS };
const char *const whos[] = {"a filter", "a hook", "before_write"};
enum { PAGE = 512, PAGES = 40, CACHE = 8 };

Who who;
How how;
Where where;
bool bad; // once
bool refused;
jmp_buf back;
MPOOL *mp;

void leave(pgno_t n)
{
	bad = false;
	if (how == throws)
		throw std::runtime_error("a checksum is wrong");
	if (how == jumps)
		longjmp(back, 1);
	if (how == ends)
		pthread_exit(nullptr);
	// A page that is not in memory, so that it is no hit.
	refused = !mpool_get(mp, n == PAGES - 1 ? PAGES - 2 : PAGES - 1, 0) && errno == EDEADLK &&
	          mpool_sync(mp) == -1 && errno == EDEADLK;
}

void pgin(void *, pgno_t n, void *page)
{
	if (bad && where == reading)
		leave(n);
	for (int i = 0; i < PAGE; i++)
		static_cast<char *>(page)[i] ^= 0x5a;
}

void pgout(void *, pgno_t n, void *page)
{
	if (bad && where != reading)
		leave(n);
	for (int i = 0; i < PAGE; i++)
		static_cast<char *>(page)[i] ^= 0x5a;
}

int hook_in(void *, pgno_t n, void *page)
{
	pgin(nullptr, n, page);
	return 0;
}

int hook_out(void *, pgno_t n, void *page)
{
	pgout(nullptr, n, page);
	return 0;
}

// Those that only look; the filters convert.
void just_in(void *, pgno_t, void *page)
{
	for (int i = 0; i < PAGE; i++)
		static_cast<char *>(page)[i] ^= 0x5a;
}

int announced(void *, const pgno_t *n, void *const *, size_t)
{
	if (bad)
		leave(n[0]);
	return 0;
}

void set_who()
{
	struct mpool_hooks h = {nullptr, nullptr, nullptr, nullptr};
	if (who == filters)
		return mpool_filter(mp, pgin, pgout, nullptr);
	if (who == hooks)
		h.in = hook_in, h.out = hook_out;
	else
		h.before_write = announced;
	MUST(mpool_hooks(mp, &h, sizeof h) == 0);
	if (who == before_write)
		mpool_filter(mp, just_in, just_in, nullptr);
}

// Something in the pool's way, and what is to be done where the filter goes wrong.
void meet()
{
	if (where == syncing)
		mpool_sync(mp);
	else
		for (pgno_t n = CACHE; n < PAGES && bad; n++)
			if (void *page = mpool_get(mp, n, 0))
				mpool_put(mp, page, 0);
}

bool cancellable()
{
	int state;
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
	return state == PTHREAD_CANCEL_ENABLE;
}

void *first(void *stays)
{
	if (how == throws) {
		try {
			meet();
			RIGHT(false, "%s: it was not thrown", wheres[where]);
		} catch (const std::exception &) {
		}
		RIGHT(cancellable(), "%s, %s: the thread cannot be cancelled any more", hows[how], wheres[where]);
	} else if (how == jumps) {
		if (setjmp(back) == 0)
			meet();
		if (stays) {
			// The next call ends the one before.
			void *page = mpool_get(mp, 1, 0);
			RIGHT(page, "%s: %s", wheres[where], strerror(errno));
			MUST(mpool_put(mp, page, 0) == 0);
		}
	} else {
		meet();
	}
	RIGHT(how != ends, "%s: it goes on", wheres[where]);
	return nullptr;
}

void *second(void *)
{
	for (pgno_t n = 0; n < PAGES; n++) {
		char *page = static_cast<char *>(mpool_get(mp, n, 0));
		RIGHT(page, "%s, %s: page %u: %s", hows[how], wheres[where], n, strerror(errno));
		char expected = n < CACHE ? 'm' : 0x5a;
		RIGHT(page[0] == expected && page[PAGE - 1] == expected, "%s, %s: page %u has %#x", hows[how],
			wheres[where], n, page[0]);
		MUST(mpool_put(mp, page, 0) == 0);
	}
	RIGHT(mpool_sync(mp) == 0, "%s, %s: mpool_sync: %s", hows[how], wheres[where], strerror(errno));
	return nullptr;
}

void run(void *stays)
{
	int fd = case_file(PAGES * PAGE);
	struct mpool_stats st;
	pthread_t t;
	mp = mpool_open(nullptr, fd, PAGE, CACHE);
	MUST(mp);
	set_who();
	bad = refused = false;
	for (pgno_t n = 0; n < CACHE; n++) {
		void *page = mpool_get(mp, n, 0);
		MUST(page);
		memset(page, 'm', PAGE);
		MUST(mpool_put(mp, page, MPOOL_DIRTY) == 0);
	}
	bad = true;
	MUST(pthread_create(&t, nullptr, first, stays) == 0 && pthread_join(t, nullptr) == 0);
	RIGHT(!bad, "%s, %s: %s was not called", hows[how], wheres[where], whos[who]);
	RIGHT(how != calls || refused, "%s: its call was not refused", wheres[where]);
	MUST(pthread_create(&t, nullptr, second, nullptr) == 0 && pthread_join(t, nullptr) == 0);
	for (pgno_t n = 0; n < CACHE; n++) {
		char byte = 0;
		MUST(pread(fd, &byte, 1, n * PAGE) == 1);
		RIGHT(byte == ('m' ^ 0x5a), "%s, %s: page %u is %#x in the file", hows[how], wheres[where], n, byte);
	}
	MUST(mpool_stats(mp, &st, sizeof st) == 0);
	RIGHT(st.pinned == 0 && st.dirty == 0 && st.cached <= CACHE, "%s, %s: %u pinned, %u dirty, %u cached",
		hows[how], wheres[where], (unsigned)st.pinned, (unsigned)st.dirty, (unsigned)st.cached);
	MUST(mpool_close(mp) == 0);
}

} // namespace

int main()
{
	for (int i = 0; i < WHOS * HOWS * WHERES; i++) {
		who = static_cast<Who>(i / (HOWS * WHERES));
		how = static_cast<How>(i / WHERES % HOWS);
		where = static_cast<Where>(i % WHERES);
		if (who == before_write && where == reading)
			continue;
		run(nullptr);
		if (how == jumps)
			run(&how);
	}
	return 0;
}
