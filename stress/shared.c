/*
 * shared.c - memory that all processes of a run see; see shared.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "shared.h"

#include <sys/mman.h>

#include "report.h"

void *shared_make(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		trouble("no memory of %zu bytes for all processes", size);
	return memory;
}

void shared_free(void *memory, size_t size)
{
	munmap(memory, size);
}
