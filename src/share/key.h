/*
 * key.h - the key of a shared pool, and the name of the object behind it.
 */
#ifndef MPOOL_KEY_H
#define MPOOL_KEY_H

#include <stddef.h>

/* An object's name, and its path. */
#define OBJECT_NAME_MAX 32u
#define OBJECT_PATH_MAX 64u

/* Any bytes, NUL too; with 0 of them it is a key as any other. */
struct share_key {
	const void *at;
	size_t bytes;
};

#endif
