/*
 * no_verify.c - in place of verify.c where there is no OpenSSL: cross builds.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <stdio.h>

#include "report.h"
#include "run.h"

int verify(const struct options *o)
{
	(void)o;
	fprintf(stderr, "mpool-stress: verify is not in this build, which has no OpenSSL\n");
	return EXIT_TROUBLE;
}
