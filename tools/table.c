/*
 * table.c - see table.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "process.h"
#include "text.h"

/* Cells, row by row, each to be freed. */
struct table {
	unsigned columns;
	size_t n;
	char **cell;
};

static void add(struct table *t, char *cell)
{
	t->cell = realloc(t->cell, (t->n + 1) * sizeof *t->cell);
	if (t->cell == NULL || cell == NULL)
		die(STATUS_REFUSED, "no memory");
	t->cell[t->n++] = cell;
}

static void add_word(struct table *t, const char *word)
{
	add(t, strdup(word));
}

static void add_number(struct table *t, bool known, uint64_t n)
{
	char word[TEXT_SHORT];

	snprintf(word, sizeof word, "%" PRIu64, n);
	add_word(t, known ? word : "-");
}

static void add_names(struct table *t, const char *const *names)
{
	for (; *names != NULL; names++, t->columns++)
		add_word(t, *names);
}

static void print(FILE *to, struct table *t)
{
	size_t *width = calloc(t->columns + 1, sizeof *width);

	if (width == NULL)
		die(STATUS_REFUSED, "no memory");
	for (size_t i = 0; i < t->n; i++)
		if (strlen(t->cell[i]) > width[i % t->columns])
			width[i % t->columns] = strlen(t->cell[i]);
	for (size_t i = 0; i < t->n; i++) {
		bool last = (i + 1) % t->columns == 0;
		fprintf(to, "%-*s%s", last ? 0 : (int)width[i % t->columns], t->cell[i], last ? "\n" : " ");
		free(t->cell[i]);
	}
	free(t->cell);
	free(width);
}

static void add_pool(struct table *t, const struct look_pool *lp)
{
	const struct mpool_stats *s = &lp->stats;
	const uint64_t number[] = {lp->processes, s->deaths,    s->pagesize,   s->maxcache, s->cached, s->dirty,
	                           s->pinned,     s->overflow,  lp->abandoned, s->hits,     s->misses, s->reads,
	                           s->writes,     s->evictions, s->rescues,    s->pages};
	const uint64_t early[] = {s->ahead, s->ahead_used, s->ahead_wasted, s->cleaned, s->write_waits, s->write_errno};

	add_word(t, "pool");
	add(t, text_escape(lp->key, lp->key_bytes));
	add_word(t, state_name(lp->state));
	for (size_t i = 0; i < sizeof number / sizeof *number; i++)
		add_number(t, lp->counted, number[i]);
	add_number(t, lp->state != LOOK_UNTRUSTED, lp->memory);
	add_word(t, lp->name);
	add_number(t, lp->counted, s->device);
	add_number(t, lp->counted, s->inode);
	add(t, text_escape_string(lp->path != NULL && *lp->path != '\0' ? lp->path : NULL));
	for (size_t i = 0; i < sizeof early / sizeof *early; i++)
		add_number(t, lp->counted, early[i]);
}

static void add_process(struct table *t, const struct look_pool *lp, const struct look_process *p)
{
	struct process process = process_of(p);
	char since[TEXT_SHORT];
	time_t seconds = (time_t)p->since;
	struct tm tm;

	/* A number that is no time: the object may say what it likes. */
	if (gmtime_r(&seconds, &tm) == NULL || strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		strcpy(since, "-");
	add_word(t, "process");
	add(t, text_escape(lp->key, lp->key_bytes));
	add_number(t, p->pid > 0, (uint64_t)p->pid);
	add_word(t, process.state);
	add_number(t, true, p->pinned);
	add_word(t, since);
	add(t, text_escape_string(*process.command != '\0' ? process.command : NULL));
}

void table_print(FILE *to, const struct look *l)
{
	static const char *const of_pool[] = {
		"#pool",       "key",         "state",     "processes", "deaths",     "pagesize",     "maxcache",
		"cached",      "dirty",       "pinned",    "overflow",  "abandoned",  "hits",         "misses",
		"reads",       "writes",      "evictions", "rescues",   "pages",      "memory",       "object",
		"device",      "inode",       "file",      "ahead",     "ahead_used", "ahead_wasted", "cleaned",
		"write_waits", "write_errno", NULL};
	static const char *const of_process[] = {"#process", "key", "pid", "state", "pinned", "since", "command", NULL};
	struct table pools = {0}, processes = {0};

	add_names(&pools, of_pool);
	add_names(&processes, of_process);
	for (size_t i = 0; i < l->n; i++) {
		add_pool(&pools, &l->pool[i]);
		for (uint32_t p = 0; p < l->pool[i].processes; p++)
			add_process(&processes, &l->pool[i], &l->pool[i].process[p]);
	}
	print(to, &pools);
	print(to, &processes);
}
