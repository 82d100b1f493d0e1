// fault_io.hpp - the library's reads, writes and fsyncs, as a test wants them.
//
// SPDX-License-Identifier: BSD-2-Clause
//
// Programs that use it are linked with --wrap for the calls in fault_io.cpp.
// Without a script, and for other files than the script's, every call is the real
// one.
#ifndef MPOOL_TESTS_FAULT_IO_HPP
#define MPOOL_TESTS_FAULT_IO_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include <sys/stat.h>
#include <sys/types.h>

namespace fault {

enum class Op { read, write, sync };

struct Call {
	Op op;
	off_t offset;
	size_t bytes;
	uint64_t nth;     // of its kind, from 0
	const void *from; // of a write in one piece: its bytes
	int fd;

	bool covers(uint64_t pgno, size_t page_size) const
	{
		off_t at = static_cast<off_t>(pgno * page_size);
		return op != Op::sync && at < offset + static_cast<off_t>(bytes) &&
		       offset < at + static_cast<off_t>(page_size);
	}
};

// What becomes of a call.
struct Fate {
	enum Kind { is_real, is_error, is_short } kind;
	int error;
	size_t bytes;
};
inline Fate real()
{
	return {Fate::is_real, 0, 0};
}
inline Fate error(int number)
{
	return {Fate::is_error, number, 0};
}
// The real one, of no more bytes than this; 0: nothing is done, and it gives 0, so
// that an fsync does not happen and succeeds.
inline Fate at_most(size_t bytes)
{
	return {Fate::is_short, 0, bytes};
}

// The kernel's write-back of the file that `fd` is has failed: each open file description
// that this process has of it is to be told, once, whoever has it too.  is_told: it is, by
// this fsync.  (What is kept of it is the number of a signal that nobody sends.)
void write_back_fails(int fd);
bool is_told(int fd);

// Decides about each call on the file that `fd` is, by whatever descriptor, while it lives; it may block the caller.  It
// runs on the threads that make the calls, with no lock held, so that it orders
// nothing that the library must order.  One at a time, and no call may be under
// way at its end.  `after` is told what came of each call, on the same thread
// and before the library knows.
class Script {
public:
	using Decide = std::function<Fate(const Call &)>;
	using After = std::function<void(const Call &, ssize_t result)>;
	Script(int fd, Decide decide, After after = nullptr);
	// `by`: a descriptor of the file that the test itself looks with; nobody_looks: none.
	static constexpr int nobody_looks = -1;
	Script(int fd, Decide decide, After after, int by);
	// Those on that file too, from now on.
	void also(int fd);
	~Script();
	Script(const Script &) = delete;
	Script &operator=(const Script &) = delete;

	// Calls until now.
	uint64_t reads() const { return count_[0].load(); }
	uint64_t writes() const { return count_[1].load(); }
	uint64_t syncs() const { return count_[2].load(); }

	// What the wrapped calls do: the call, which `real_call` makes of so many bytes.
	using Real = std::function<ssize_t(size_t bytes)>;
	static ssize_t make(int fd, Call call, const Real &real_call);

private:
	bool is_of(int fd) const;
	int fd_, by_;
	struct stat file_;
	std::atomic<int> also_{nobody_looks};
	Decide decide_;
	After after_;
	std::atomic<uint64_t> count_[3] = {};
};

} // namespace fault

#endif
