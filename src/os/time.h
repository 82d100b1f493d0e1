/*
 * time.h - clocks, and giving the processor away for a moment.
 *
 * Owns nothing.
 */
#ifndef MPOOL_TIME_H
#define MPOOL_TIME_H

#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* Of a clock that goes on whatever the date is set to. */
uint64_t time_ns(void);
uint64_t time_ms(void);

/* The date: seconds since 1970; and with the nanoseconds since that second began. */
int64_t time_s(void);
struct time_of_day {
	uint64_t s, ns;
};
struct time_of_day time_of_day(void);

/* Sleep so long, or less if a signal comes. */
void time_nap(uint64_t ns);
/* Let another thread run that is ready to. */
void time_yield(void);

#endif
