/*
 * sharing.h - what this process knows of a pool that it shares.
 *
 * A private pool has it too: recovery is the same (recover.h).
 */
#ifndef MPOOL_SHARING_H
#define MPOOL_SHARING_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/core.h"
#include "evict/clock.h"
#include "io/io.h"
#include "share/key.h"
#include "share/liveness.h"
#include "share/watch.h"

struct header;

/* What this process knows of the pool that it shares. */
struct sharing {
	struct core *core;
	struct io *io;
	struct evict *evict;
	struct header *header;
	int object;          /* a descriptor of it that holds no lock */
	int file;            /* the pool's file, opened by us; -1: it is had by a witness, or the caller's descriptor */
	uint64_t file_name;  /* it was a witness of that name; 0: it never was */
	uint64_t file_forks; /* when it was opened; see descriptor.h */
	dev_t dev;           /* of the object */
	ino_t ino;
	char name[OBJECT_NAME_MAX];
	uint64_t hash; /* of the key */
	bool last;     /* it was left by us, and nobody else was there */
	void *map;
	size_t bytes;
	char path[OBJECT_PATH_MAX]; /* of the object, when this process opened it */
	struct hold liveness;
	struct stripe *recovery_stripe; /* for recovering others, under the pool's lock */
	struct watch watch;
	pthread_mutex_t changing;    /* files.h: one thread of this process attaches or closes a file */
	struct sharing *next_handed; /* hand.h: in the list of those whose witnesses are handed out */
};

#endif
