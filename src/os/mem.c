/* mem.c - see mem.h. */
#include "os/mem.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* The library may be unloaded; see thread.h. */
__attribute__((destructor)) static void arenas_end(void)
{
	for (unsigned arena; mallctl && arena_reuse(&arena);)
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
	*m = (struct mem){0};
}

void mem_fini(struct mem *m)
{
	unsigned arena = atomic_load(&m->arena);
	free(m->block);
	if (arena >= ARENA_FIRST)
		arena_destroy(arena - ARENA_FIRST);
}

/* One for the pool; of two threads that need it first, one makes it. */
static unsigned arena_of(struct mem *m)
{
	unsigned arena = atomic_load(&m->arena), mine;
	if (arena != ARENA_UNDECIDED)
		return arena;
	unsigned made = arena_create(&mine) ? mine + ARENA_FIRST : ARENA_NONE;
	if (atomic_compare_exchange_strong(&m->arena, &arena, made))
		return made;
	if (made != ARENA_NONE)
		arena_destroy(mine);
	return arena;
}

void mem_block_begins(struct mem *m, uint64_t bytes)
{
	if (bytes > MEM_BLOCK_MAX || !(m->block = malloc((size_t)bytes)))
		return;
	m->block_next = m->block;
	m->block_end = m->block + bytes;
}

void mem_block_ends(struct mem *m)
{
	m->block_next = m->block_end;
}

static void *block_alloc(struct mem *m, size_t bytes, size_t align, size_t raw)
{
	uintptr_t at = ((uintptr_t)m->block_next + align - 1) & ~(uintptr_t)(align - 1), end = (uintptr_t)m->block_end;
	if (at > end || bytes > end - at)
		return NULL;
	m->block_next = (char *)at + bytes;
	memset((char *)at + raw, 0, bytes - raw);
	return (void *)at;
}

static bool in_block(const struct mem *m, const void *p)
{
	return (uintptr_t)p >= (uintptr_t)m->block && (uintptr_t)p < (uintptr_t)m->block_end;
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

void *mem_alloc_raw(struct mem *m, size_t bytes, size_t align, size_t raw)
{
	if (m->block_next != m->block_end) {
		void *p = block_alloc(m, bytes, align, raw);
		if (p)
			return p;
	}
	unsigned arena = arena_of(m);
	return arena >= ARENA_FIRST ? arena_alloc(arena - ARENA_FIRST, bytes, align) : map_alloc(bytes, align);
}

void *mem_alloc(struct mem *m, size_t bytes, size_t align)
{
	return mem_alloc_raw(m, bytes, align, 0);
}

void mem_free(struct mem *m, void *p)
{
	if (in_block(m, p))
		return; /* with all of it */
	if (atomic_load(&m->arena) >= ARENA_FIRST) {
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
