/*
 * line.h - a cache line of eight words, and a branch-free search in it.
 *
 * Buckets of the table and stripes of pins have one layout: eight 64-bit words whose low 32
 * bits are the key.  line_find compares all eight at once.  Its result is a hint, and may be
 * stale by the time it returns: callers load the word atomically before they rely on it.
 */
#ifndef MPOOL_LINE_H
#define MPOOL_LINE_H

#include <stdatomic.h>
#include <stdint.h>

#define CACHE_LINE 64
#define LINE_WORDS 8

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#if defined(__SANITIZE_THREAD__)
#define LINE_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LINE_THREAD_SANITIZER 1
#endif
#endif

/* Of words in memory that processes share there is no other kind; on x86 of 32 bits it takes an i586. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit words are not atomic on this processor");

struct line {
	_Alignas(CACHE_LINE) _Atomic uint64_t word[LINE_WORDS];
};

#define LINE_NONE (-1)

/* ThreadSanitizer takes a vector load for a race: it gets the portable form. */
#if defined(__SSE2__) && !defined(LINE_THREAD_SANITIZER)
#include <emmintrin.h>

/* The low halves of the four words at `v`, in order, compared with `key`. */
static inline __m128i line_match_half(const __m128i *v, __m128i key)
{
	__m128 low = _mm_shuffle_ps(_mm_castsi128_ps(_mm_load_si128(v)), _mm_castsi128_ps(_mm_load_si128(v + 1)),
	                            _MM_SHUFFLE(2, 0, 2, 0));
	return _mm_cmpeq_epi32(_mm_castps_si128(low), key);
}

/* The first word whose low half is `key`, or LINE_NONE. */
static inline int line_find(const struct line *l, uint32_t key)
{
	const __m128i *v = (const void *)l;
	__m128i k = _mm_set1_epi32((int)key);
	__m128i equal = _mm_packs_epi32(line_match_half(v, k), line_match_half(v + 2, k));
	/* Two bits a word. */
	unsigned m = (unsigned)_mm_movemask_epi8(equal);
	return likely(m) ? (int)((unsigned)__builtin_ctz(m) / 2) : LINE_NONE;
}
#else
static inline int line_find(const struct line *l, uint32_t key)
{
	unsigned m = 0;
	for (unsigned i = 0; i < LINE_WORDS; i++)
		m |= (unsigned)((uint32_t)atomic_load_explicit(&l->word[i], memory_order_relaxed) == key) << i;
	return likely(m) ? __builtin_ctz(m) : LINE_NONE;
}
#endif

#endif
