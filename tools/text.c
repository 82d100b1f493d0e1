/*
 * text.c - see text.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN "-"
#define EMPTY   "\"\""

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };
enum { ESCAPED = 4 /* bytes of \xHH */, HEX = 16 };

void die(enum status status, const char *format, ...)
{
	va_list arguments;

	fputs("mpool-top: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit((int)status);
}

static bool plain(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '\\' && c != '"';
}

char *text_escape(const char *bytes, size_t n)
{
	char *word = malloc((bytes ? n : 0) * ESCAPED + sizeof EMPTY), *to = word;

	if (word == NULL)
		die(STATUS_REFUSED, "no memory");
	if (bytes == NULL || n == 0)
		return strcpy(word, bytes ? EMPTY : UNKNOWN);
	bool dash = n == strlen(UNKNOWN) && memcmp(bytes, UNKNOWN, n) == 0;
	for (const unsigned char *c = (const unsigned char *)bytes; n > 0; c++, n--)
		if (plain(*c) && !dash)
			*to++ = (char)*c;
		else
			to += sprintf(to, "\\x%02x", *c);
	*to = '\0';
	return word;
}

char *text_escape_string(const char *string)
{
	return text_escape(string, string ? strlen(string) : 0);
}

bool text_unescape(char *word, size_t *n)
{
	char *to = word;

	if (strcmp(word, EMPTY) == 0)
		*word = '\0';
	for (const char *from = word; *from != '\0';) {
		if (*from != '\\') {
			*to++ = *from++;
			continue;
		}
		char digits[] = {from[1] == 'x' ? from[2] : '\0', '\0', '\0'}, *end;
		if (digits[0] != '\0')
			digits[1] = from[3];
		unsigned long byte = strtoul(digits, &end, HEX);
		if (strspn(digits, "0123456789abcdefABCDEF") != 2)
			return false;
		*to++ = (char)byte;
		from += ESCAPED;
	}
	*n = (size_t)(to - word);
	return true;
}

static const char *scaled(char to[TEXT_SHORT], double n, double unit, const char *prefixes)
{
	const char *p = prefixes;

	/* What would be rounded up to a unit is one. */
	while (n >= unit - 0.5 && p[1] != '\0') {
		n /= unit;
		p++;
	}
	int decimals = p == prefixes || n >= 99.95 || n == floor(n) ? 0 : n >= 9.995 ? 1 : 2;
	snprintf(to, TEXT_SHORT, "%.*f%.1s", decimals, n, *p == ' ' ? "" : p);
	return to;
}

const char *text_number(char to[TEXT_SHORT], double n)
{
	return scaled(to, n, 1000, " kMGTPE");
}

const char *text_size(char to[TEXT_SHORT], uint64_t bytes)
{
	return scaled(to, (double)bytes, 1024, " KMGTPE");
}

const char *text_age(char to[TEXT_SHORT], int64_t s)
{
	if (s < 0)
		s = 0; /* the day's clock was set back */
	if (s < MINUTE)
		snprintf(to, TEXT_SHORT, "%" PRId64 "s", s);
	else if (s < HOUR)
		snprintf(to, TEXT_SHORT, "%" PRId64 "m%02" PRId64 "s", s / MINUTE, s % MINUTE);
	else if (s < DAY)
		snprintf(to, TEXT_SHORT, "%" PRId64 "h%02" PRId64 "m", s / HOUR, s % HOUR / MINUTE);
	else
		snprintf(to, TEXT_SHORT, "%" PRId64 "d%02" PRId64 "h", s / DAY, s % DAY / HOUR);
	return to;
}
