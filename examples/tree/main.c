/*
 * mpool-tree - a tree in a file, from the command line.
 *
 *   mpool-tree load FILE       puts what standard input has: key, tab, value, a line each
 *   mpool-tree get FILE KEY    prints a value
 *   mpool-tree scan FILE [KEY] prints all from the key on, as load takes it
 *   mpool-tree check FILE      says whether the tree is sound, and how many entries it has
 *
 * With MPOOL_TREE_KEY in the environment, processes that have the same there use the file at once.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree.h"

static int load(struct tree *t)
{
	char *line = NULL;
	size_t room = 0;
	unsigned long n = 0;
	for (ssize_t len; (len = getline(&line, &room, stdin)) > 0; n++) {
		if (line[len - 1] == '\n')
			len--;
		char *tab = memchr(line, '\t', (size_t)len), *value = tab != NULL ? tab + 1 : line + len;
		size_t key = tab != NULL ? (size_t)(tab - line) : (size_t)len;
		if (tree_put(t, line, key, value, (size_t)(line + len - value)) != 0)
			err(1, "line %lu", n + 1);
	}
	free(line);
	if (tree_commit(t) != 0)
		err(1, "commit");
	printf("%lu\n", n);
	return 0;
}

static int get(struct tree *t, const char *key)
{
	char value[TREE_ENTRY_MAX];
	ssize_t len = tree_get(t, key, strlen(key), value, sizeof value);
	if (len < 0)
		err(1, "%s", key);
	printf("%.*s\n", (int)len, value);
	return 0;
}

static int print(void *arg, const void *key, size_t keylen, const void *value, size_t len)
{
	(void)arg;
	return printf("%.*s\t%.*s\n", (int)keylen, (const char *)key, (int)len, (const char *)value) < 0;
}

static int check(struct tree *t)
{
	uint64_t entries;
	const char *why = tree_check(t, &entries);
	if (why != NULL)
		errx(1, "%s", why);
	printf("sound, %llu entries\n", (unsigned long long)entries);
	return 0;
}

static int run(struct tree *t, const char *what, const char *key)
{
	if (strcmp(what, "load") == 0)
		return load(t);
	if (strcmp(what, "get") == 0 && key != NULL)
		return get(t, key);
	if (strcmp(what, "scan") == 0)
		return tree_scan(t, TREE_FORWARD, key, key != NULL ? strlen(key) : 0, print, NULL) != 0;
	if (strcmp(what, "check") == 0)
		return check(t);
	errx(2, "usage: mpool-tree load|get|scan|check FILE [KEY]");
}

int main(int argc, char **argv)
{
	struct tree_options options = {.key = getenv("MPOOL_TREE_KEY")};
	struct tree *t;
	if (argc < 3)
		errx(2, "usage: mpool-tree load|get|scan|check FILE [KEY]");
	if (tree_open(&t, argv[2], &options) != 0)
		err(1, "%s", argv[2]);
	int status = run(t, argv[1], argc > 3 ? argv[3] : NULL);
	if (tree_close(t) != 0)
		err(1, "%s", argv[2]);
	return status;
}
