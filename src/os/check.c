/* check.c - see check.h. */
#include "os/check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A line that is longer is cut. */
#define MESSAGE_BYTES 512u
#define HEX_DIGITS    16u

struct message {
	char text[MESSAGE_BYTES];
	size_t length;
};

static void say(struct message *m, const char *s)
{
	while (*s && m->length < MESSAGE_BYTES - 1)
		m->text[m->length++] = *s++;
}

static void say_number(struct message *m, uint64_t n, unsigned base)
{
	char digits[3 * sizeof n + 1];
	char *at = &digits[sizeof digits - 1];
	*at = '\0';
	do
		*--at = "0123456789abcdef"[n % base];
	while (n /= base);
	say(m, at);
}

/* The file's folder and name. */
static const char *short_name(const char *file)
{
	const char *name = file, *folder = file;
	for (const char *c = file; *c; c++)
		if (*c == '/') {
			folder = name;
			name = c + 1;
		}
	return folder;
}

void check_failed(const char *file, unsigned line, const char *function, const char *what, uint64_t a, uint64_t b)
{
	struct message m = {.length = 0};
	say(&m, "libmpool: ");
	say(&m, short_name(file));
	say(&m, ":");
	say_number(&m, line, 10);
	say(&m, ": ");
	say(&m, function);
	say(&m, ": ");
	say(&m, what);
	say(&m, ": 0x");
	say_number(&m, a, HEX_DIGITS);
	say(&m, ", 0x");
	say_number(&m, b, HEX_DIGITS);
	m.text[m.length++] = '\n';
	/* If it cannot be said, the program ends all the same. */
	ssize_t said = write(STDERR_FILENO, m.text, m.length);
	(void)said;
	abort();
}

#if MPOOL_CHECK

_Thread_local uint32_t check_actor;

__attribute__((no_sanitize("thread"), noinline)) uint16_t check_look16(const _Atomic uint16_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

__attribute__((no_sanitize("thread"), noinline)) uint32_t check_look32(const _Atomic uint32_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

__attribute__((no_sanitize("thread"), noinline)) uint64_t check_look64(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

#endif
