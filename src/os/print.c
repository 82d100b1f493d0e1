/* print.c - see print.h. */
#include "os/print.h"

#include <stdarg.h>
#include <stdio.h>

void print_error(const char *call)
{
	perror(call);
}

void print_text(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
}
