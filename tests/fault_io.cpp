// fault_io.cpp - the wrapped calls.  The library is compiled for 64-bit offsets,
// so it may call either name of each.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "fault_io.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

namespace fault {

namespace {

std::atomic<Script *> current{nullptr};

// By statx: ThreadSanitizer takes fstat of a number for a use of whatever other threads have opened by it.
bool same_file(const struct stat &a, int fd)
{
	struct statx st;
	return statx(fd, "", AT_EMPTY_PATH, STATX_INO, &st) == 0 &&
	       makedev(st.stx_dev_major, st.stx_dev_minor) == a.st_dev && st.stx_ino == a.st_ino;
}

} // namespace

Script::Script(int fd, Decide decide, After after) : Script(fd, std::move(decide), std::move(after), nobody_looks)
{
}

Script::Script(int fd, Decide decide, After after, int by)
    : fd_(fd), by_(by), decide_(std::move(decide)), after_(std::move(after))
{
	if (fstat(fd, &file_) != 0)
		file_ = {};
	Script *none = nullptr;
	if (!current.compare_exchange_strong(none, this))
		abort();
}

Script::~Script()
{
	current.store(nullptr);
}

// The library has descriptors of its own of the file.
bool Script::is_of(int fd) const
{
	return fd != by_ && (fd == fd_ || fd == also_.load(std::memory_order_relaxed) || same_file(file_, fd));
}

void Script::also(int fd)
{
	also_ = fd;
}

namespace {

ssize_t transfer(const Fate &fate, size_t bytes, const Script::Real &real_call)
{
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

} // namespace

namespace {

constexpr int to_be_told = SIGURG;

} // namespace

void write_back_fails(int fd)
{
	constexpr int most = 1024;
	struct stat file;
	if (fstat(fd, &file) != 0)
		abort();
	for (int other = 0; other < most; other++)
		if (same_file(file, other) && fcntl(other, F_SETSIG, to_be_told) != 0)
			abort();
}

bool is_told(int fd)
{
	return fcntl(fd, F_GETSIG) == to_be_told && fcntl(fd, F_SETSIG, 0) == 0;
}

ssize_t Script::make(int fd, Call call, const Real &real_call)
{
	Script *script = current.load(std::memory_order_acquire);
	if (!script || !script->is_of(fd))
		return real_call(call.bytes);
	call.nth = script->count_[static_cast<int>(call.op)].fetch_add(1, std::memory_order_relaxed);
	ssize_t result = transfer(script->decide_(call), call.bytes, real_call);
	int error = errno;
	if (script->after_)
		script->after_(call, result);
	errno = error;
	return result;
}

namespace {

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

} // namespace
} // namespace fault

using namespace fault;

extern "C" {

#define WRAP_ONE(name, op, pointer)                                                   \
	ssize_t __real_##name(int fd, pointer buf, size_t bytes, off_t offset);       \
	ssize_t __wrap_##name(int fd, pointer buf, size_t bytes, off_t offset);       \
	ssize_t __wrap_##name(int fd, pointer buf, size_t bytes, off_t offset)        \
	{                                                                             \
		return Script::make(fd, Call{op, offset, bytes, 0, buf, fd},          \
			[=](size_t n) { return __real_##name(fd, buf, n, offset); }); \
	}

#define WRAP_VECTOR(name, op)                                                                                     \
	ssize_t __real_##name(int fd, const struct iovec *iov, int n, off_t offset);                              \
	ssize_t __wrap_##name(int fd, const struct iovec *iov, int n, off_t offset);                              \
	ssize_t __wrap_##name(int fd, const struct iovec *iov, int n, off_t offset)                               \
	{                                                                                                         \
		return Script::make(fd, Call{op, offset, total(iov, n), 0, n == 1 ? iov->iov_base : nullptr, fd}, \
			[=](size_t bytes) {                                                                       \
				std::vector<struct iovec> v = first_of(iov, n, bytes);                            \
				return __real_##name(fd, v.data(), static_cast<int>(v.size()), offset);           \
			});                                                                                       \
	}

#define WRAP_SYNC(name)                                                                                        \
	int __real_##name(int fd);                                                                             \
	int __wrap_##name(int fd);                                                                             \
	int __wrap_##name(int fd)                                                                              \
	{                                                                                                      \
		return static_cast<int>(Script::make(                                                          \
			fd, Call{Op::sync, 0, 0, 0, nullptr, fd}, [=](size_t) { return __real_##name(fd); })); \
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
