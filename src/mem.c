/* mem.c - see mem.h. */
#include "mem.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#define MAP_GRAIN ((size_t)4096) /* what an address from mmap is a multiple of, at least */

#if MPOOL_JEMALLOC
/*
 * Weak references: they are null unless the program itself brings jemalloc.
 * Linking it would replace the program's malloc, or stop dlopen from loading us
 * (its thread-local storage is static).
 */
void *mallocx(size_t size, int flags) __attribute__((weak));
void dallocx(void *p, int flags) __attribute__((weak));
int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen) __attribute__((weak));

/* jemalloc(3): the flags argument, spelled out since its header may be absent. */
#define JE_ALIGN(a)    ((int)__builtin_ctzl(a))
#define JE_ZERO        0x40
#define JE_TCACHE_NONE (1 << 8) /* MALLOCX_TCACHE(-1) */
#define JE_ARENA(a)    (((int)(a) + 1) << 20)

/*
 * Arenas of closed pools, for those to come: jemalloc keeps some memory of an
 * arena that is destroyed, 4 KiB and 2 MiB of addresses each time.
 */
#define ARENAS_KEPT 64u
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER; /* a leaf: see fork.h */
static unsigned kept[ARENAS_KEPT], kept_count;

static bool arena_reuse(unsigned *arena)
{
	pthread_mutex_lock(&kept_lock);
	bool any = kept_count > 0;
	if (any)
		*arena = kept[--kept_count];
	pthread_mutex_unlock(&kept_lock);
	return any;
}

static bool arena_keep(unsigned arena)
{
	pthread_mutex_lock(&kept_lock);
	bool room = kept_count < ARENAS_KEPT;
	if (room)
		kept[kept_count++] = arena;
	pthread_mutex_unlock(&kept_lock);
	return room;
}

void mem_before_fork(void)
{
	pthread_mutex_lock(&kept_lock);
}

void mem_after_fork(void)
{
	pthread_mutex_unlock(&kept_lock);
}

static void arena_call(unsigned arena, const char *what, ssize_t *value)
{
	char name[64];
	snprintf(name, sizeof name, "arena.%u.%s", arena, what);
	mallctl(name, NULL, NULL, value, value ? sizeof *value : 0);
}

static bool arena_create(unsigned *arena)
{
	size_t len = sizeof *arena;
	ssize_t at_once = 0;
	if (!mallctl || !mallocx || !dallocx)
		return false;
	if (arena_reuse(arena))
		return true;
	if (mallctl("arenas.create", arena, &len, NULL, 0) != 0)
		return false;
	/* What is given back goes back to the system. */
	arena_call(*arena, "dirty_decay_ms", &at_once);
	arena_call(*arena, "muzzy_decay_ms", &at_once);
	return true;
}

/* All of its memory is free by now. */
static void arena_destroy(unsigned arena)
{
	if (!arena_keep(arena))
		arena_call(arena, "destroy", NULL);
}

static void *arena_alloc(unsigned arena, size_t bytes, size_t align)
{
	return mallocx(bytes, JE_ALIGN(align) | JE_ZERO | JE_TCACHE_NONE | JE_ARENA(arena));
}

static void arena_free(void *p)
{
	dallocx(p, JE_TCACHE_NONE);
}
#else
void mem_before_fork(void)
{
}
void mem_after_fork(void)
{
}
static bool arena_create(unsigned *arena)
{
	(void)arena;
	return false;
}
static void arena_destroy(unsigned arena)
{
	(void)arena;
}
static void *arena_alloc(unsigned arena, size_t bytes, size_t align)
{
	(void)arena;
	(void)bytes;
	(void)align;
	return NULL;
}
static void arena_free(void *p)
{
	(void)p;
}
#endif

void mem_init(struct mem *m)
{
	m->arena_made = arena_create(&m->arena);
}

void mem_fini(struct mem *m)
{
	if (m->arena_made)
		arena_destroy(m->arena);
}

/* Stands right before the bytes of a mapping: what to unmap. */
struct map_head {
	void *map;
	size_t bytes;
};

static void *map_alloc(size_t bytes, size_t align)
{
	size_t slack = align < MAP_GRAIN ? MAP_GRAIN : align;
	if (bytes > SIZE_MAX - 2 * slack)
		return NULL;
	size_t total = bytes + slack;
	char *map = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	uintptr_t at = ((uintptr_t)map + sizeof(struct map_head) + align - 1) & ~(uintptr_t)(align - 1);
	struct map_head *head = (struct map_head *)at - 1;
	*head = (struct map_head){map, total};
	return (void *)at;
}

void *mem_alloc(struct mem *m, size_t bytes, size_t align)
{
	return m->arena_made ? arena_alloc(m->arena, bytes, align) : map_alloc(bytes, align);
}

void mem_free(struct mem *m, void *p)
{
	if (m->arena_made) {
		arena_free(p);
	} else {
		struct map_head *head = (struct map_head *)p - 1;
		munmap(head->map, head->bytes);
	}
}

void mem_discard(void *p, size_t bytes)
{
	uintptr_t grain = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = ((uintptr_t)p + grain - 1) & ~(grain - 1), to = ((uintptr_t)p + bytes) & ~(grain - 1);
	/* It cannot fail on memory of ours; should it, the memory is kept. */
	if (to > from)
		(void)madvise((void *)from, to - from, MADV_DONTNEED);
}
