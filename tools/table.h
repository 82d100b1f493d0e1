/*
 * table.h - all pools once, for scripts.
 *
 * Owns nothing.  Two tables: a line for each pool, then a line for each process;
 * words that spaces divide, numbers in full, "-" for what is unknown.  A table's
 * first line begins with "#" and names its columns.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MPOOL_TOOLS_TABLE_H
#define MPOOL_TOOLS_TABLE_H

#include <stdio.h>

#include "look.h"

void table_print(FILE *to, const struct look *l);

#endif
