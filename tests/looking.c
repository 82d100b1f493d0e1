/*
 * looking.c - see looking.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "looking.h"

#include <string.h>

#include "look.h"

int looking_counted(const char *object)
{
	struct look l;
	int counted = -1, error = look_all(&l);

	for (size_t i = 0; i < l.n && !error; i++)
		if (strcmp(l.pool[i].name, object) == 0)
			counted = l.pool[i].counted;
	look_free(&l);
	return counted;
}
