// fault_mem.cpp - the wrapped calls.  See fault_mem.hpp.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "fault_mem.hpp"

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include <pthread.h>
#include <sys/mman.h>

namespace fault {

namespace {

std::atomic<bool> refusing{false};
Ask refused;
uint64_t first_refused, times_refused;
std::atomic<uint64_t> count{0};

std::atomic<int64_t> maps{0}, map_bytes{0}, blocks{0}, arena_blocks{0}, never_had{0};

bool refuse(Ask ask)
{
	if (!refusing.load(std::memory_order_acquire) || ask != refused)
		return false;
	uint64_t nth = count.fetch_add(1, std::memory_order_relaxed);
	return nth >= first_refused && nth - first_refused < times_refused;
}

void add(std::atomic<int64_t> &what, int64_t n)
{
	what.fetch_add(n, std::memory_order_relaxed);
}

// Of malloc and its kin.
void *refuse_block()
{
	errno = ENOMEM;
	return nullptr;
}

void *given(std::atomic<int64_t> &what, void *p)
{
	add(what, p != nullptr);
	return p;
}

} // namespace

Refusal::Refusal(Ask ask, uint64_t first, uint64_t times)
{
	if (refusing.load())
		abort();
	refused = ask;
	first_refused = first;
	times_refused = times;
	count = 0;
	refusing.store(true);
}

Refusal::~Refusal()
{
	refusing.store(false);
}

uint64_t Refusal::asked() const
{
	return count.load();
}

Held held()
{
	return {maps.load(), map_bytes.load(), blocks.load(), arena_blocks.load(), never_had.load()};
}

} // namespace fault

using namespace fault;

extern "C" {

#define WRAP(type, name, parameters)   \
	type __real_##name parameters; \
	type __wrap_##name parameters; \
	type __wrap_##name parameters

WRAP(void *, malloc, (size_t bytes))
{
	return refuse(Ask::memory) ? refuse_block() : given(blocks, __real_malloc(bytes));
}

WRAP(void *, calloc, (size_t n, size_t bytes))
{
	return refuse(Ask::memory) ? refuse_block() : given(blocks, __real_calloc(n, bytes));
}

WRAP(void *, aligned_alloc, (size_t align, size_t bytes))
{
	return refuse(Ask::memory) ? refuse_block() : given(blocks, __real_aligned_alloc(align, bytes));
}

WRAP(void *, realloc, (void *p, size_t bytes))
{
	if (refuse(Ask::memory))
		return refuse_block();
	bool had = p != nullptr;
	void *to = __real_realloc(p, bytes);
	add(blocks, to && !had);
	return to;
}

WRAP(void, free, (void *p))
{
	add(blocks, p ? -1 : 0);
	__real_free(p);
}

// Refused as by a limit on locked memory, whose errno is none that the pool may give.
WRAP(void *, mmap, (void *at, size_t bytes, int protection, int flags, int fd, off_t offset))
{
	if (refuse(Ask::memory)) {
		errno = EAGAIN;
		return MAP_FAILED;
	}
	void *p = __real_mmap(at, bytes, protection, flags, fd, offset);
	if (p != MAP_FAILED) {
		add(maps, 1);
		add(map_bytes, static_cast<int64_t>(bytes));
	}
	return p;
}

WRAP(int, munmap, (void *p, size_t bytes))
{
	int result = __real_munmap(p, bytes);
	if (result == 0) {
		add(maps, -1);
		add(map_bytes, -static_cast<int64_t>(bytes));
	}
	add(never_had, result != 0);
	return result;
}

WRAP(int, madvise, (void *p, size_t bytes, int advice))
{
	if (refuse(Ask::advice)) {
		errno = EINVAL;
		return -1;
	}
	return __real_madvise(p, bytes, advice);
}

WRAP(int, pthread_key_create, (pthread_key_t * key, void (*destructor)(void *)))
{
	return refuse(Ask::memory) || refuse(Ask::key) ? EAGAIN : __real_pthread_key_create(key, destructor);
}

WRAP(int, pthread_setspecific, (pthread_key_t key, const void *value))
{
	return refuse(Ask::memory) ? ENOMEM : __real_pthread_setspecific(key, value);
}

// jemalloc's, in programs that bring it: weak, as in the library.
void *__real_mallocx(size_t bytes, int flags) __attribute__((weak));
void __real_dallocx(void *p, int flags) __attribute__((weak));
void *__wrap_mallocx(size_t bytes, int flags);
void __wrap_dallocx(void *p, int flags);

void *__wrap_mallocx(size_t bytes, int flags)
{
	return refuse(Ask::memory) ? nullptr : given(arena_blocks, __real_mallocx(bytes, flags));
}

void __wrap_dallocx(void *p, int flags)
{
	add(arena_blocks, -1);
	__real_dallocx(p, flags);
}
}
