/*
 * notice.c - see notice.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "notice.h"
#include "store.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC, GENERATION, SEQUENCE, SIZE, FLAGS, FIELDS };
enum { ALL = 1, PAIR = 2, WORDS_MAX = FIELDS + PAIR * RANGES_MAX };
#define MAGIC_OF_1 UINT64_C(0x313065746f6e706d) /* "mpnote01" */

static uint64_t word(const void *data, size_t i)
{
	uint64_t value;
	memcpy(&value, (const char *)data + i * sizeof value, sizeof value);
	return le64toh(value);
}

struct notice *notice_read(const void *data, size_t bytes)
{
	size_t words = bytes / sizeof(uint64_t);
	if (words < FIELDS || word(data, MAGIC) != MAGIC_OF_1)
		return NULL;
	unsigned int n = (unsigned int)((words - FIELDS) / PAIR);
	struct notice *notice = malloc(sizeof *notice + n * sizeof notice->at[0]);
	if (notice == NULL)
		return NULL;
	*notice = (struct notice){.generation = word(data, GENERATION),
	                          .sequence = word(data, SEQUENCE),
	                          .size = word(data, SIZE),
	                          .all = (word(data, FLAGS) & ALL) != 0,
	                          .n = n};
	for (unsigned int i = 0; i < n; i++)
		notice->at[i] = (struct range){word(data, FIELDS + PAIR * (size_t)i),
		                               word(data, FIELDS + PAIR * (size_t)i + 1)};
	return notice;
}

/* How many have not answered, of a reply that is there: who is gone is none of them. */
static size_t silent(char *reply, size_t bytes)
{
	struct notify_ack_t *acks = NULL;
	struct notify_timeout_t *timeouts = NULL;
	size_t answers = 0, none = 0;
	if (rados_decode_notify_response(reply, bytes, &acks, &answers, &timeouts, &none) != 0)
		return 0;
	rados_free_notify_response(acks, answers, timeouts);
	return none;
}

int notice_send(struct mpool_rados *r, const struct head *h, const struct ranges *changed, bool all)
{
	uint64_t words[WORDS_MAX];
	size_t n = FIELDS;
	words[MAGIC] = htole64(MAGIC_OF_1);
	words[GENERATION] = htole64(h->generation);
	words[SEQUENCE] = htole64(h->sequence);
	words[SIZE] = htole64(h->size);
	words[FLAGS] = htole64(all ? ALL : 0);
	for (unsigned int i = 0; !all && i < changed->n; i++) {
		words[n++] = htole64(changed->at[i].first);
		words[n++] = htole64(changed->at[i].end);
	}
	char *reply = NULL;
	size_t bytes = 0, none = 0;
	int error = rados_notify2(r->io, r->name, (const char *)words, (int)(n * sizeof words[0]),
	                          (uint64_t)r->how.notice * MS, &reply, &bytes);
	/* With a reply it was sent to all, and some have not answered; without, nobody may have got it. */
	if (reply != NULL) {
		none = silent(reply, bytes);
		if (error == -ETIMEDOUT)
			error = 0;
		rados_buffer_free(reply);
	}
	pthread_mutex_lock(&r->lock);
	r->notices++;
	r->unanswered += none;
	pthread_mutex_unlock(&r->lock);
	return error;
}
