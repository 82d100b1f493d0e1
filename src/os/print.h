/*
 * print.h - what a call is asked to print, on standard error.
 *
 * Owns nothing.
 */
#ifndef MPOOL_PRINT_H
#define MPOOL_PRINT_H

void print_error(const char *call); /* that it failed, and errno */
__attribute__((format(printf, 1, 2))) void print_text(const char *format, ...);

#endif
