/*
 * ranges.c - see ranges.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "ranges.h"

#include <string.h>

enum { FIRST_GRAIN = 4096 };

static uint64_t down(const struct ranges *s, uint64_t at)
{
	return s->grain == 0 ? at : at - at % s->grain;
}

static uint64_t up(const struct ranges *s, uint64_t at)
{
	return s->grain == 0 || at % s->grain == 0 ? at : at - at % s->grain + s->grain;
}

/* Make one of those, from `from` on, that touch. */
static void join(struct ranges *s, unsigned int from, unsigned int to)
{
	unsigned int kept = from;
	for (unsigned int i = from + 1; i < to; i++) {
		if (s->at[i].first > s->at[kept].end)
			s->at[++kept] = s->at[i];
		else if (s->at[i].end > s->at[kept].end)
			s->at[kept].end = s->at[i].end;
	}
	memmove(&s->at[kept + 1], &s->at[to], (s->n - to) * sizeof s->at[0]);
	s->n -= to - (kept + 1);
}

/* Half of them at the most: each coarser grain joins more, and the coarsest all. */
static void coarser(struct ranges *s)
{
	while (s->n > RANGES_MAX / 2) {
		s->grain = s->grain == 0 ? FIRST_GRAIN : s->grain * 2;
		for (unsigned int i = 0; i < s->n; i++) {
			s->at[i].first = down(s, s->at[i].first);
			s->at[i].end = up(s, s->at[i].end);
		}
		join(s, 0, s->n);
	}
}

void ranges_add(struct ranges *s, uint64_t first, uint64_t end)
{
	unsigned int low = 0, high = s->n;
	if (first >= end)
		return;
	first = down(s, first);
	end = up(s, end);
	/* The first that does not end before it. */
	while (low < high) {
		unsigned int middle = (low + high) / 2;
		if (s->at[middle].end < first)
			low = middle + 1;
		else
			high = middle;
	}
	unsigned int after = low;
	while (after < s->n && s->at[after].first <= end)
		after++;
	memmove(&s->at[low + 1], &s->at[low], (s->n - low) * sizeof s->at[0]);
	s->at[low] = (struct range){first, end};
	s->n++;
	/* What it touches may begin before it. */
	if (after > low && s->at[low + 1].first < first)
		s->at[low].first = s->at[low + 1].first;
	join(s, low, after + 1);
	if (s->n > RANGES_MAX)
		coarser(s);
}

void ranges_add_all(struct ranges *s, const struct ranges *other)
{
	for (unsigned int i = 0; i < other->n; i++)
		ranges_add(s, other->at[i].first, other->at[i].end);
}
