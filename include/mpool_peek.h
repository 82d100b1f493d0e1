/*
 * mpool_peek.h - optimistic reads of a pool's pages: the usual loop, loads that are right in it, and
 * mpool_peek and mpool_unchanged as inline functions.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * For C and C++, with the compilers that have the __atomic built-in functions: GCC and clang.  mpool_peek(3)
 * has an example of each.
 *
 *   mpool_read        copy some bytes of a page
 *   mpool_look        call a function that looks at a page
 *                     ... as the page was at one instant; without a pin if that will do, else with a pin and
 *                     a shared latch.
 *
 *   mpool_load8 ...   what may be used to look at a page that is peeked at: others may be
 *   mpool_load_bytes  changing it
 *   mpool_store8 ...  what may be used to change a page that others peek at, with an exclusive latch
 *   mpool_store_bytes
 *
 *   mpool_view        what the two inline calls need of a pool
 *   mpool_peek_view, mpool_unchanged_view    they do what mpool_peek and mpool_unchanged do
 *
 * Why not any load: what C and C++ call a data race, a plain load of what another thread changes, may give anything,
 * whatever is checked afterwards.  So the loads here are relaxed atomic ones, of a size that the processor loads at
 * once; and so must be the stores of who changes pages that are peeked at, to the letter of the standard.  (With plain stores
 * nothing goes wrong on any processor that is known, since what was read while they were made is thrown away.)
 * ThreadSanitizer is not shown these loads, as it knows nothing of checks that come after: so plain stores will do there.
 */
#ifndef MPOOL_PEEK_H
#define MPOOL_PEEK_H

#include <errno.h>
#include <mpool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__SANITIZE_THREAD__)
#define MPOOL_PEEK_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MPOOL_PEEK_TSAN 1
#endif
#endif

#ifdef MPOOL_PEEK_TSAN
/* Not to be inlined into what it watches. */
#define MPOOL_UNWATCHED static __attribute__((noinline, unused, no_sanitize("thread")))
#else
#define MPOOL_UNWATCHED static __inline__ __attribute__((always_inline, unused))
#endif
#define MPOOL_PEEK_INLINE static __inline__ __attribute__((always_inline, unused))

/* ---- loads and stores of a page's bytes ---------------------------------- */

/* The value at `from`, which is aligned for it. */
MPOOL_UNWATCHED uint8_t mpool_load8(const void *from)
{
	return __atomic_load_n((const uint8_t *)from, __ATOMIC_RELAXED);
}
MPOOL_UNWATCHED uint16_t mpool_load16(const void *from)
{
	return __atomic_load_n((const uint16_t *)from, __ATOMIC_RELAXED);
}
MPOOL_UNWATCHED uint32_t mpool_load32(const void *from)
{
	return __atomic_load_n((const uint32_t *)from, __ATOMIC_RELAXED);
}
MPOOL_UNWATCHED uint64_t mpool_load64(const void *from)
{
	return __atomic_load_n((const uint64_t *)from, __ATOMIC_RELAXED);
}

/* memcpy(to, from, n), where `to` is the caller's own memory and `from` is in a page. */
MPOOL_UNWATCHED void mpool_load_bytes(void *to, const void *from, size_t n)
{
	unsigned char *t = (unsigned char *)to;
	const unsigned char *f = (const unsigned char *)from;
	for (; n > 0 && (uintptr_t)f % sizeof(uint64_t) != 0; n--)
		*t++ = __atomic_load_n(f++, __ATOMIC_RELAXED);
	for (; n >= sizeof(uint64_t); n -= sizeof(uint64_t)) {
		uint64_t word = __atomic_load_n((const uint64_t *)(const void *)f, __ATOMIC_RELAXED);
		__builtin_memcpy(t, &word, sizeof word);
		t += sizeof word;
		f += sizeof word;
	}
	for (; n > 0; n--)
		*t++ = __atomic_load_n(f++, __ATOMIC_RELAXED);
}

MPOOL_UNWATCHED void mpool_store8(void *to, uint8_t value)
{
	__atomic_store_n((uint8_t *)to, value, __ATOMIC_RELAXED);
}
MPOOL_UNWATCHED void mpool_store16(void *to, uint16_t value)
{
	__atomic_store_n((uint16_t *)to, value, __ATOMIC_RELAXED);
}
MPOOL_UNWATCHED void mpool_store32(void *to, uint32_t value)
{
	__atomic_store_n((uint32_t *)to, value, __ATOMIC_RELAXED);
}
MPOOL_UNWATCHED void mpool_store64(void *to, uint64_t value)
{
	__atomic_store_n((uint64_t *)to, value, __ATOMIC_RELAXED);
}

/* memcpy(to, from, n), where `to` is in a page and `from` is the caller's own memory. */
MPOOL_UNWATCHED void mpool_store_bytes(void *to, const void *from, size_t n)
{
	unsigned char *t = (unsigned char *)to;
	const unsigned char *f = (const unsigned char *)from;
	for (; n > 0 && (uintptr_t)t % sizeof(uint64_t) != 0; n--)
		__atomic_store_n(t++, *f++, __ATOMIC_RELAXED);
	for (; n >= sizeof(uint64_t); n -= sizeof(uint64_t)) {
		uint64_t word;
		__builtin_memcpy(&word, f, sizeof word);
		__atomic_store_n((uint64_t *)(void *)t, word, __ATOMIC_RELAXED);
		t += sizeof word;
		f += sizeof word;
	}
	for (; n > 0; n--)
		__atomic_store_n(t++, *f++, __ATOMIC_RELAXED);
}

/* ---- the calls, inline --------------------------------------------------- */

/*
 * What the inline calls look at, in the layout of this number.  mpool_view gives what the calls do without where it is
 * another's: then all peeks are calls.  It is the pool's, until mpool_close; nothing in it is for the program.
 */
#define MPOOL_VIEW_LAYOUT 1u

struct mpool_view_table {
	uint32_t number, buckets;
	uint64_t factor;
};
#define MPOOL_VIEW_BUCKETS 128 /* bytes from there to the first bucket */
#define MPOOL_VIEW_WORDS   8   /* a bucket */

struct mpool_view {
	/* So in every layout. */
	uint64_t frames; /* 0: ask mpool_peek, and mpool_unchanged */
	MPOOL *pool;
	/* Where there are frames. */
	const uint64_t *words;
	struct mpool_view_table *const *table;
	const char *pages;
	uint64_t stride;
	uint8_t *marks;
};

const struct mpool_view *mpool_view(MPOOL *mp, uint32_t layout);

#define MPOOL_VIEW_USED    1  /* a mark of use */
#define MPOOL_VIEW_SHIFT   28 /* of a word's version */
#define MPOOL_VIEW_VERSION 36 /* bits of a version; above them a caller's has the frame */
/* Bits of a word: the exclusive latch's owner; those with which to ask mpool_peek; those that say nothing of a change. */
#define MPOOL_VIEW_OWNER ((UINT64_C(1) << MPOOL_VIEW_SHIFT) - 64)
#define MPOOL_VIEW_ASK   (MPOOL_VIEW_OWNER | 4)
#define MPOOL_VIEW_OTHER UINT64_C(63)

/* Which of the eight words at `bucket` has that number in its lower half; or more than there are.  It may be another by now. */
#if defined(__SSE2__) && !defined(MPOOL_PEEK_TSAN)
MPOOL_PEEK_INLINE __m128i mpool_view_half(const __m128i *v, __m128i number)
{
	__m128 low = _mm_shuffle_ps(_mm_castsi128_ps(_mm_load_si128(v)), _mm_castsi128_ps(_mm_load_si128(v + 1)),
	                            _MM_SHUFFLE(2, 0, 2, 0));
	return _mm_cmpeq_epi32(_mm_castps_si128(low), number);
}
MPOOL_PEEK_INLINE unsigned mpool_view_find(const uint64_t *bucket, uint32_t number)
{
	const __m128i *v = (const __m128i *)(const void *)bucket;
	__m128i n = _mm_set1_epi32((int)number);
	unsigned m = (unsigned)_mm_movemask_epi8(_mm_packs_epi32(mpool_view_half(v, n), mpool_view_half(v + 2, n)));
	return __builtin_expect(m != 0, 1) ? (unsigned)__builtin_ctz(m) / 2 : MPOOL_VIEW_WORDS;
}
#else
MPOOL_UNWATCHED unsigned mpool_view_find(const uint64_t *bucket, uint32_t number)
{
	unsigned m = 1u << MPOOL_VIEW_WORDS;
	for (unsigned i = 0; i < MPOOL_VIEW_WORDS; i++)
		m |= (unsigned)((uint32_t)__atomic_load_n(&bucket[i], __ATOMIC_RELAXED) == number) << i;
	return (unsigned)__builtin_ctz(m);
}
#endif

/* Where a page's entry stands, or NULL: it is not where it is looked for, which says little. */
MPOOL_PEEK_INLINE const uint64_t *mpool_view_entry(const struct mpool_view_table *t, pgno_t pgno)
{
#ifdef __SIZEOF_INT128__
	__extension__ typedef unsigned __int128 mpool_wide;
	uint64_t place = ((uint64_t)pgno + 1) * __atomic_load_n(&t->factor, __ATOMIC_RELAXED);
	const uint64_t *bucket = (const uint64_t *)(const void *)((const char *)t + MPOOL_VIEW_BUCKETS);
	unsigned i;
	bucket += (size_t)(uint64_t)((mpool_wide)place * t->buckets >> 64) * MPOOL_VIEW_WORDS;
	if (__builtin_expect((i = mpool_view_find(bucket, pgno + 1)) == MPOOL_VIEW_WORDS, 0)) {
		bucket += MPOOL_VIEW_WORDS; /* next door */
		i = mpool_view_find(bucket, pgno + 1);
	}
	return __builtin_expect(i < MPOOL_VIEW_WORDS, 1) ? &bucket[i] : NULL;
#else
	(void)t;
	(void)pgno;
	return NULL;
#endif
}

/* mpool_peek. */
MPOOL_PEEK_INLINE const void *mpool_peek_view(const struct mpool_view *v, pgno_t pgno, uint64_t *version)
{
	uint64_t frames = __atomic_load_n(&v->frames, __ATOMIC_ACQUIRE), e, frame, word;
	const uint64_t *entry;
	if (__builtin_expect(!frames, 0) ||
	    __builtin_expect(!(entry = mpool_view_entry(__atomic_load_n(v->table, __ATOMIC_ACQUIRE), pgno)), 0))
		return mpool_peek(v->pool, pgno, version);
	e = __atomic_load_n(entry, __ATOMIC_ACQUIRE);
	/* Of a resident page nothing is left beside the frame; what is of another is turned to where it makes a huge number. */
	frame = e - ((uint64_t)pgno + 1);
	frame = frame >> 32 | frame << 32;
	if (__builtin_expect(frame >= frames, 0))
		return mpool_peek(v->pool, pgno, version);
	word = __atomic_load_n(&v->words[frame], __ATOMIC_ACQUIRE);
	if (__builtin_expect((word & MPOOL_VIEW_ASK) || __atomic_load_n(entry, __ATOMIC_ACQUIRE) != e, 0))
		return mpool_peek(v->pool, pgno, version);
	if (__builtin_expect(__atomic_load_n(&v->marks[frame], __ATOMIC_RELAXED) != MPOOL_VIEW_USED, 0))
		__atomic_store_n(&v->marks[frame], (uint8_t)MPOOL_VIEW_USED, __ATOMIC_RELAXED);
	*version = frame << MPOOL_VIEW_VERSION | word >> MPOOL_VIEW_SHIFT;
	return v->pages + frame * v->stride;
}

/* mpool_unchanged. */
MPOOL_PEEK_INLINE int mpool_unchanged_view(const struct mpool_view *v, const void *page, uint64_t version)
{
#ifdef MPOOL_PEEK_TSAN
	/* Which does not know fences. */
	return mpool_unchanged(v->pool, page, version);
#else
	uint64_t frame = version >> MPOOL_VIEW_VERSION;
	if (__builtin_expect(frame >= __atomic_load_n(&v->frames, __ATOMIC_RELAXED), 0))
		return mpool_unchanged(v->pool, page, version);
	/* What was read of the page is read before. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return !((__atomic_load_n(&v->words[frame], __ATOMIC_RELAXED) ^ version << MPOOL_VIEW_SHIFT) &
	         ~MPOOL_VIEW_OTHER);
#endif
}

/* ---- the usual loop ------------------------------------------------------ */

/* So often without a pin, before it is taken with one. */
#define MPOOL_PEEKS 3

/*
 * mpool_look - have `look` look at a page, as it was at one instant.
 *
 * It may be called several times, and what it did is to count the last time only.  Any time but the last the page may
 * be changing under it: it is to load by the functions above, to believe nothing that it loads, such as an
 * offset or a length, before it has compared it with the page's size, and not to go on for ever.
 *
 * Returns what `look` returned the last time; or -1 and errno, as mpool_get and mpool_latch give it, if
 * the page cannot be had.
 */
MPOOL_PEEK_INLINE int mpool_look(MPOOL *mp, pgno_t pgno, int (*look)(void *arg, const void *page), void *arg)
{
	uint64_t version;
	const void *page;
	void *pinned;
	int result, latched, error;
	for (unsigned i = 0; i < MPOOL_PEEKS && (page = mpool_peek(mp, pgno, &version)); i++) {
		result = look(arg, page);
		if (mpool_unchanged(mp, page, version))
			return result;
	}
	if (!(pinned = mpool_get(mp, pgno, 0)))
		return -1;
	latched = mpool_latch(mp, pinned, MPOOL_SHARED) == 0;
	/* The caller may have latched the page itself. */
	result = latched || errno == EDEADLK ? look(arg, pinned) : -1;
	error = errno;
	if (latched)
		mpool_unlatch(mp, pinned, 0);
	mpool_put(mp, pinned, 0);
	errno = error;
	return result;
}

struct mpool_read_of {
	void *to;
	size_t offset, n;
};

MPOOL_PEEK_INLINE int mpool_read_look(void *arg, const void *page)
{
	const struct mpool_read_of *r = (const struct mpool_read_of *)arg;
	mpool_load_bytes(r->to, (const char *)page + r->offset, r->n);
	return 0;
}

/* mpool_read - copy n bytes of a page, from `offset` on, which are in it.  0, or -1 and errno, as mpool_look. */
MPOOL_PEEK_INLINE int mpool_read(MPOOL *mp, pgno_t pgno, size_t offset, void *to, size_t n)
{
	struct mpool_read_of r;
	r.to = to;
	r.offset = offset;
	r.n = n;
	return mpool_look(mp, pgno, mpool_read_look, &r);
}

#ifdef __cplusplus
}
#endif

#endif /* MPOOL_PEEK_H */
