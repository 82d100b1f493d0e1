/*
 * proof.h - what must hold in the file after a sync, and everywhere at the end.
 */
#ifndef STRESS_PROOF_H
#define STRESS_PROOF_H

#include "churn.h"

/* One mpool_sync while others work, then the file against what was put before it. */
void proof_sync(struct churn *run, unsigned place, struct tally *t);

/* At the end, when all pins are put: the pool in memory; then, synced; then, closed, the file. */
void proof_idle(struct churn *run, struct tally *t);
void proof_synced(struct churn *run, const struct tally *t);
void proof_file(struct churn *run);

#endif
