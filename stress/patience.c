/*
 * patience.c - see patience.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "patience.h"

#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

#include "../tests/watchdog/fair.h"
#include "report.h"
#include "shared.h"

#define LOOK_EVERY 0.25 /* seconds */
enum { MICRO = 1000000 };

static struct fair fair;
static bool doubted; /* at the last look */
static double looked_at, now;
static _Atomic uint64_t *micros;

void patience_start(void)
{
	micros = shared_make(sizeof *micros);
}

void patience_look(bool doubt)
{
	double wall = report_seconds();

	if (wall - looked_at < LOOK_EVERY)
		return;
	if (doubt && doubted) {
		double before = fair.now;

		fair_look(&fair);
		now += fair.now - before;
	} else {
		now += wall - looked_at;
		fair_end(&fair);
		if (doubt)
			fair_begin(&fair, getpid());
	}
	doubted = doubt;
	looked_at = wall;
	atomic_store(micros, (uint64_t)(now * MICRO));
}

double patience_seconds(void)
{
	return (double)atomic_load(micros) / MICRO;
}
