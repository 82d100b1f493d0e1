/*
 * text.h - keys, sizes and times as they are shown.
 *
 * Owns nothing.  A key is any bytes; it is shown as one word of printable ASCII, in
 * which \xHH is a byte that is not, a space, a quote or a backslash; "" is the
 * empty one.  What is unknown is shown as "-", so that a key "-" is not.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MPOOL_TOOLS_TEXT_H
#define MPOOL_TOOLS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for a number, a size, an age. */
#define TEXT_SHORT 32

/* `n` bytes as a word; NULL: "-".  To be freed; no memory ends the program. */
char *text_escape(const char *bytes, size_t n);
/* The same of a string. */
char *text_escape_string(const char *string);
/* Back, in place; how many bytes they are in *n.  False: it is no such word. */
bool text_unescape(char *word, size_t *n);

/* 1234567 -> "1.23M": three digits; in thousands, or, of a size, in 1024s. */
const char *text_number(char to[TEXT_SHORT], double n);
const char *text_size(char to[TEXT_SHORT], uint64_t bytes);
/* "5s", "3m12s", "2h05m", "4d07h". */
const char *text_age(char to[TEXT_SHORT], int64_t seconds);

/* What was asked for cannot be done: say so and end with this status. */
enum status { STATUS_DONE, STATUS_REFUSED, STATUS_USAGE };
_Noreturn void die(enum status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
