/*
 * modes.h - the three things this program does.  Each returns the exit status.
 */
#ifndef STRESS_MODES_H
#define STRESS_MODES_H

#include "options.h"

int verify(const struct options *o);
int churn(const struct options *o);
int kill_mode(const struct options *o);

#endif
