/* time.c - see time.h. */
#include "os/time.h"

#include <sched.h>
#include <time.h>

uint64_t time_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t time_ms(void)
{
	return time_ns() / NS_PER_MS;
}

int64_t time_s(void)
{
	return time(NULL);
}

struct time_of_day time_of_day(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (struct time_of_day){(uint64_t)t.tv_sec, (uint64_t)t.tv_nsec};
}

void time_nap(uint64_t ns)
{
	const struct timespec nap = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
	nanosleep(&nap, NULL);
}

void time_yield(void)
{
	sched_yield();
}
