/*
 * transfers.c - transfer.c for the explorer, in which each run begins with none in flight.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "os/transfer.c"

#include "object.h"

void object_transfers_begin(void)
{
	in_flight = 0;
	forks = 0;
}
