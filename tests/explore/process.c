/*
 * process.c - thread.c for the explorer, and what of its variables each process has
 * for itself.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "../../src/thread.c"

#include "object.h"

static struct MPOOL *pools_of[OBJECT_PROCESSES];
static unsigned process;

void object_process(unsigned p)
{
	pools_of[process] = pools;
	process = p;
	pools = pools_of[p];
}
