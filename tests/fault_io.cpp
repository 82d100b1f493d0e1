// fault_io.cpp - the wrapped calls.  The library is compiled for 64-bit offsets,
// so it may call either name of each.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "fault_io.hpp"

#include <cerrno>
#include <cstdlib>
#include <utility>
#include <vector>

#include <sys/uio.h>

namespace fault {

namespace {

std::atomic<Script *> current{nullptr};

} // namespace

Script::Script(int fd, Decide decide) : fd_(fd), decide_(std::move(decide))
{
	Script *none = nullptr;
	if (!current.compare_exchange_strong(none, this))
		abort();
}

Script::~Script()
{
	current.store(nullptr);
}

Fate Script::ask(int fd, Op op, off_t offset, size_t bytes)
{
	Script *script = current.load(std::memory_order_acquire);
	if (!script || script->fd_ != fd)
		return real();
	uint64_t nth = script->count_[static_cast<int>(op)].fetch_add(1, std::memory_order_relaxed);
	return script->decide_(Call{op, offset, bytes, nth});
}

namespace {

template <class Real>
ssize_t transfer(Op op, int fd, size_t bytes, off_t offset, Real real_call)
{
	Fate fate = Script::ask(fd, op, offset, bytes);
	switch (fate.kind) {
	case Fate::is_error:
		errno = fate.error;
		return -1;
	case Fate::is_short:
		if (fate.bytes == 0)
			return 0;
		return real_call(fate.bytes < bytes ? fate.bytes : bytes);
	default:
		return real_call(bytes);
	}
}

size_t total(const struct iovec *iov, int n)
{
	size_t bytes = 0;
	for (int i = 0; i < n; i++)
		bytes += iov[i].iov_len;
	return bytes;
}

std::vector<struct iovec> first_of(const struct iovec *iov, int n, size_t bytes)
{
	std::vector<struct iovec> first;
	for (int i = 0; i < n && bytes > 0; i++) {
		first.push_back(iov[i]);
		if (first.back().iov_len > bytes)
			first.back().iov_len = bytes;
		bytes -= first.back().iov_len;
	}
	return first;
}

template <class Real> int flush(int fd, Real real_call)
{
	Fate fate = Script::ask(fd, Op::sync, 0, 0);
	if (fate.kind == Fate::is_error) {
		errno = fate.error;
		return -1;
	}
	return real_call();
}

} // namespace
} // namespace fault

using namespace fault;

extern "C" {

#define WRAP_ONE(name, op, pointer)                                              \
	ssize_t __real_##name(int fd, pointer buf, size_t bytes, off_t offset);      \
	ssize_t __wrap_##name(int fd, pointer buf, size_t bytes, off_t offset);      \
	ssize_t __wrap_##name(int fd, pointer buf, size_t bytes, off_t offset)       \
	{                                                                            \
		return transfer(op, fd, bytes, offset,                                   \
		                [=](size_t n) { return __real_##name(fd, buf, n, offset); }); \
	}

#define WRAP_VECTOR(name, op)                                                    \
	ssize_t __real_##name(int fd, const struct iovec *iov, int n, off_t offset); \
	ssize_t __wrap_##name(int fd, const struct iovec *iov, int n, off_t offset); \
	ssize_t __wrap_##name(int fd, const struct iovec *iov, int n, off_t offset)  \
	{                                                                            \
		return transfer(op, fd, total(iov, n), offset, [=](size_t bytes) {       \
			std::vector<struct iovec> v = first_of(iov, n, bytes);               \
			return __real_##name(fd, v.data(), static_cast<int>(v.size()), offset); \
		});                                                                      \
	}

#define WRAP_SYNC(name)                                                          \
	int __real_##name(int fd);                                                   \
	int __wrap_##name(int fd);                                                   \
	int __wrap_##name(int fd)                                                    \
	{                                                                            \
		return flush(fd, [=] { return __real_##name(fd); });                     \
	}

WRAP_ONE(pread, Op::read, void *)
WRAP_ONE(pread64, Op::read, void *)
WRAP_ONE(pwrite, Op::write, const void *)
WRAP_ONE(pwrite64, Op::write, const void *)
WRAP_VECTOR(preadv, Op::read)
WRAP_VECTOR(preadv64, Op::read)
WRAP_VECTOR(pwritev, Op::write)
WRAP_VECTOR(pwritev64, Op::write)
WRAP_SYNC(fsync)
WRAP_SYNC(fdatasync)
}
