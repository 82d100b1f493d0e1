/*
 * processes.h - a churn in several processes that share one pool.
 *
 * Owns the processes.  This one only starts and watches the others, so that it has
 * one thread and can fork at any time:
 *
 *   worker   opens the pool by its key, with a maxcache of its own, keeps a crew of
 *            threads at work, closes it; and then opens it again, or ends and is
 *            replaced by a new process.  The first one stays for the whole run.
 *   witness  is there before the first worker and after the last.  It prints the
 *            progress, syncs and checks the file, and what must hold at the end.
 *
 * All of them die with this one.  What they have to tell each other is in struct
 * common, in the truth, and in the watch table.
 */
#ifndef STRESS_PROCESSES_H
#define STRESS_PROCESSES_H

#include "churn.h"

/* The run, from the first open of the pool to the last close. */
void processes_run(struct churn *run);

#endif
