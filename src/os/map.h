/*
 * map.h - objects and files that are mapped, and the pages of memory behind addresses.
 *
 * Owns nothing.  An object is mapped as a whole, and has memory only where that was asked
 * for: map_populate gives it, for all processes, and map_remove takes it back.
 */
#ifndef MPOOL_MAP_H
#define MPOOL_MAP_H

#include <stdbool.h>
#include <stddef.h>

/* What memory is given and taken back by: 4, 16 or 64 KiB.  Who share an object have one kernel. */
size_t map_page(void);

/* The first bytes of an object, not in core files.  NULL and errno; ENOMEM also if all is to be locked in memory. */
void *map_object(int object, size_t bytes);
/* Addresses of a page's size, not copied by a fork, that keep the file of `fd` open, and are of no other use.  NULL and errno. */
void *map_keeping_open(int fd);
/* End such a mapping. */
void map_end(void *p, size_t bytes);
void map_end_keeping(void *p);

/* Has the process so many addresses, one after the other, that nothing has? */
bool map_addresses_left(size_t bytes);

/* Memory for these whole pages of an object, which it keeps.  False and errno: there is none. */
bool map_populate(void *p, size_t bytes);
/* Take it back: they are zeros.  Where it cannot be done, to locked memory or under an emulator, it is kept, and not zero. */
void map_remove(void *p, size_t bytes);
/* The memory of these may come in large pages, if there are any. */
void map_huge(void *p, size_t bytes);

#endif
