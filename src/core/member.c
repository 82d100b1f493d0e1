/* member.c - see member.h. */
#include "core/member.h"

uint32_t member_count(const struct member_state *ms)
{
	uint32_t n = 0, top = member_top(ms);
	for (uint32_t i = 0; i < top; i++)
		n += member_in(&ms->member[i]);
	return n;
}

uint64_t member_deaths(const struct member_state *ms)
{
	uint64_t n = 0;
	uint32_t top = member_top(ms);
	for (uint32_t i = 0; i < top; i++)
		n += atomic_load(&ms->member[i].state) / MEMBER_DEATH;
	return n;
}
