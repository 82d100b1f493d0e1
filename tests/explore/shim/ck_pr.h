/*
 * ck_pr.h - stands in for Concurrency Kit's where the library is built for the
 * schedule explorer: its fence is an instruction that nothing can see, and the
 * explorer must.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef EXPLORE_CK_PR_H
#define EXPLORE_CK_PR_H

void explore_fence(void);

static inline void ck_pr_fence_memory(void)
{
	explore_fence();
}

static inline void ck_pr_fence_release(void)
{
	explore_fence();
}

static inline void ck_pr_fence_acquire(void)
{
	explore_fence();
}

static inline void ck_pr_stall(void)
{
}

#endif
