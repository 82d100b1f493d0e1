/* mem.c - see mem.h. */
#include "mem.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

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

static bool arena_create(unsigned *arena)
{
	size_t len = sizeof *arena;
	return mallctl && mallocx && dallocx && mallctl("arenas.create", arena, &len, NULL, 0) == 0;
}

static void arena_destroy(unsigned arena)
{
	char name[64];
	snprintf(name, sizeof name, "arena.%u.destroy", arena);
	mallctl(name, NULL, NULL, NULL, 0);
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
