// memory.cpp - the library's requests for memory, some of which fail.
//
// SPDX-License-Identifier: BSD-2-Clause
//
// The program is linked with --wrap for these.
#include <cerrno>
#include <cstddef>

#include <sys/mman.h>
#include <sys/types.h>

#include "model.hpp"

namespace {

bool refused()
{
	if (!fuzz::in_call || !fuzz::faults.due(fuzz::Faults::no_memory))
		return false;
	fuzz::faults.strike();
	errno = ENOMEM;
	return true;
}

} // namespace

#define WRAP(type, name, parameters, arguments, nothing)              \
	type __real_##name parameters;                                \
	type __wrap_##name parameters;                                \
	type __wrap_##name parameters                                 \
	{                                                             \
		return refused() ? nothing : __real_##name arguments; \
	}

extern "C" {
WRAP(void *, malloc, (size_t n), (n), nullptr)
WRAP(void *, calloc, (size_t n, size_t size), (n, size), nullptr)
WRAP(void *, realloc, (void *p, size_t n), (p, n), nullptr)
WRAP(void *, aligned_alloc, (size_t align, size_t n), (align, n), nullptr)
WRAP(void *, mmap, (void *p, size_t n, int prot, int flags, int fd, off_t at), (p, n, prot, flags, fd, at), MAP_FAILED)
WRAP(void *, mmap64, (void *p, size_t n, int prot, int flags, int fd, off64_t at), (p, n, prot, flags, fd, at),
	MAP_FAILED)
}
