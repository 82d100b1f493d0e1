/*
 * number.h - a number of the command line's, as all programs of the project that use argp take it.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef NUMBER_H
#define NUMBER_H

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

/* `text`, from min to max, "k" behind it being 1024 of them; or the program ends, and says what is wrong. */
static inline uint64_t number(struct argp_state *state, const char *text, const char *option, uint64_t min,
                              uint64_t max)
{
	const unsigned kilo = 1024;
	char *end;

	errno = 0;
	unsigned long long n = strtoull(text, &end, 0);
	if (*end == 'k' && n <= UINT64_MAX / kilo) {
		n *= kilo;
		end++;
	}
	if (errno != 0 || end == text || *end != '\0' || !isdigit((unsigned char)*text) || n < min || n > max)
		argp_error(state, "%s: \"%s\" is no number from %llu to %llu", option, text, (unsigned long long)min,
		           (unsigned long long)max);
	return n;
}

#endif
