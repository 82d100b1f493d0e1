/*
 * check.h - what must hold, and what is done if it does not.
 *
 * Owns, in a build that checks itself, who the calling thread acts for.  MPOOL_CHECK says how
 * much is checked:
 *
 *   0  what costs nothing: MPOOL_ASSERT, by values that are there anyway.  What is shipped
 *   1  each change of a word against the table of its states, and that it is the one who may
 *      make it: MPOOL_CHECKED.  What is looked at is the thread's own, or the word itself
 *   2  and at some moments what belongs to all: that nobody has pinned a frame that is handed
 *      out, and, when nobody is in a call, all words and counts (api/quiet.h).  The option
 *      MPOOL_CHECK of CMake; on in the presets debug, tsan and asan
 *
 * A check that fails says on standard error in which function and line, what is wrong, and the
 * words that show it, and aborts.  It takes no lock and allocates nothing, and may so fail anywhere.
 *
 * Who acts: the number of a stripe + 1, as the owner's in a frame's word; 0 when that is not
 * known, and then it is not checked.  A call begins and ends it (core/thread.h); who recovers
 * acts for the one that is gone.
 */
#ifndef MPOOL_CHECK_H
#define MPOOL_CHECK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#ifndef MPOOL_CHECK
#define MPOOL_CHECK 0
#endif

_Noreturn __attribute__((cold)) void check_failed(const char *file, unsigned line, const char *function,
                                                  const char *what, uint64_t a, uint64_t b);

/* `what` is wrong if not `holds`; a and b are the words that show it. */
#define MPOOL_ASSERT(holds, what, a, b)                                         \
	do {                                                                    \
		if (__builtin_expect(!(holds), 0))                              \
			check_failed(__FILE__, __LINE__, __func__, what, a, b); \
	} while (0)

/* A word as it is; to the schedule explorer that is no step of the thread's.  For what follows only. */
uint16_t check_look16(const _Atomic uint16_t *word);
uint32_t check_look32(const _Atomic uint32_t *word);
uint64_t check_look64(const _Atomic uint64_t *word);

#if MPOOL_CHECK

#define MPOOL_CHECKED(holds, what, a, b) MPOOL_ASSERT(holds, what, a, b)

/* The same, where a function says what is wrong: NULL: nothing is. */
#define MPOOL_CHECKED_STEP(wrong, a, b)                                           \
	do {                                                                      \
		const char *wrong_ = (wrong);                                     \
		if (__builtin_expect(wrong_ != NULL, 0))                          \
			check_failed(__FILE__, __LINE__, __func__, wrong_, a, b); \
	} while (0)

extern _Thread_local uint32_t check_actor;

/* From now on the thread acts for that one.  Returns for whom it did before. */
static inline uint32_t check_act_for(uint32_t who)
{
	uint32_t before = check_actor;
	check_actor = who;
	return before;
}

#else

/* Nothing is evaluated, and what is named counts as used. */
#define MPOOL_CHECKED(holds, what, a, b)           \
	do {                                       \
		(void)sizeof((holds) ? (a) : (b)); \
	} while (0)
#define MPOOL_CHECKED_STEP(wrong, a, b)  \
	do {                             \
		(void)sizeof((a) + (b)); \
	} while (0)

static inline uint32_t check_act_for(uint32_t who)
{
	return who;
}

#endif

#endif
