// system.cpp - the system that the library calls in a run.
//
// Linked with --wrap for each of these: waits and mutexes become the schedule's,
// memory the arena's, the file one in memory.  Outside of runs they do what they
// must and no more.  What processes share is one object, at one address for all of
// them; of its descriptor there are the liveness locks and nothing else.
//
// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <map>
#include <poll.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "file.hpp"
#include "memory.hpp"
#include "object.h"

using namespace explore;

// ---- the file --------------------------------------------------------------

namespace {

struct Page {
	bool reading, writing; // by a call under way
};

// A thread's call under way.
struct Call {
	size_t at = 0, bytes = 0;   // 0: none
	const void *from = nullptr; // what it writes; nullptr: it reads
};
Call call[kThreads];

struct File {
	size_t page_bytes = 0;
	std::vector<char> bytes, stable;
	std::vector<Page> page;
	Faults faults;
	unsigned reads = 0, writes = 0, syncs = 0, memories = 0, hooks = 0;
	bool faulted = false;
	// Failed write-backs, as the kernel keeps them (errseq_t): their number, and whether anybody
	// was told of the last.  By open file description: how many it was told of.
	unsigned failures = 0;
	bool told = true;
	std::map<int, unsigned> known;
	std::map<int, off_t> offset;
	std::map<int, unsigned> of; // descriptors' files; the first's are not in it
	int synced_by[kThreads];
} file;

constexpr int kAnother = kFile - 1; // another program's

// One that is new need not be told of what somebody was told of.
void open_description(int fd)
{
	file.known[fd] = file.told ? file.failures : file.failures - 1;
}

void write_back_failed()
{
	file.bytes = file.stable;
	file.page.resize(file.bytes.size() / file.page_bytes);
	file.failures += file.told;
	file.told = false;
}

// Is it told of one now?
bool is_told(int fd)
{
	if (file.known[fd] == file.failures)
		return false;
	file.known[fd] = file.failures;
	return file.told = true;
}

bool fenced;

bool fails(unsigned *count, unsigned nth)
{
	bool fail = ++*count == nth;
	file.faulted |= fail;
	return fail;
}

bool refused()
{
	return fails(&file.memories, file.faults.memory);
}

} // namespace

void explore::file_begin(size_t page_bytes, unsigned pages)
{
	file.page_bytes = page_bytes;
	file.bytes.assign(page_bytes * pages, 0);
	file.stable = file.bytes;
	file.page.assign(pages, {});
	file.failures = 0;
	file.told = true;
	file.known.clear();
	file.offset.clear();
	file.of.clear();
	for (int &fd : file.synced_by)
		fd = -1;
	open_description(kFile);
	open_description(kAnother);
	for (unsigned f = 1; f < kFiles; f++) {
		file.of[kOtherFile + static_cast<int>(f)] = f;
		open_description(kOtherFile + static_cast<int>(f));
	}
	file_faults(Faults{});
}

void explore::file_write_back_fails()
{
	if (running())
		point();
	if (file.bytes != file.stable)
		write_back_failed();
	if (tracing())
		trace_line("the kernel's write-back FAILS", nullptr, 0, nullptr);
}

void explore::file_sync_by_another()
{
	if (running())
		point();
	bool told = is_told(kAnother);
	file.stable = file.bytes;
	if (tracing())
		trace_line(told ? "another's fsync FAILS" : "another's fsync", nullptr, 0, nullptr);
}

void explore::file_write_by_another(unsigned n, unsigned word, uint64_t value)
{
	if (running())
		point();
	size_t at = n * file.page_bytes + word * sizeof value;
	std::memcpy(&file.bytes[at], &value, sizeof value);
	std::memcpy(&file.stable[at], &value, sizeof value);
	if (tracing())
		trace_line("another machine WRITES", nullptr, n, nullptr);
}

unsigned explore::file_pages()
{
	return static_cast<unsigned>(file.bytes.size() / file.page_bytes);
}

off_t explore::file_offset(int fd)
{
	return file.offset[fd];
}

int explore::file_synced_by()
{
	return file.synced_by[current()];
}

bool explore::file_lost_some()
{
	return file.failures > 0;
}

void explore::file_filled()
{
	file.stable = file.bytes;
}

void explore::file_faults(const Faults &faults)
{
	file.faults = faults;
	file.reads = file.writes = file.syncs = file.memories = file.hooks = 0;
	file.faulted = false;
}

bool explore::file_faulted()
{
	return file.faulted;
}

bool explore::hook_fails()
{
	return fails(&file.hooks, file.faults.hook);
}

void (*explore::file_writes)(unsigned page);

const char *explore::file_stable(unsigned n)
{
	return (n + 1) * file.page_bytes <= file.stable.size() ? &file.stable[n * file.page_bytes] : nullptr;
}

char *explore::file_fill(unsigned n)
{
	return &file.bytes[n * file.page_bytes];
}

unsigned (*explore::file_has)(unsigned n);

// By a descriptor of another file these pages would be other bytes.
static void check_file_has(int fd, size_t at, size_t bytes)
{
	for (size_t n = at / file.page_bytes; file_has && n * file.page_bytes < at + bytes; n++)
		if (file_has(static_cast<unsigned>(n)) != file.of[fd])
			fail("page %zu is read or written in another file", n);
}

static void grow_to(size_t bytes)
{
	if (file.bytes.size() < bytes) {
		file.bytes.resize(bytes);
		file.page.resize((bytes + file.page_bytes - 1) / file.page_bytes);
	}
}

// The pages of a call under way.  The kernel gives no order to two calls that
// overlap: the library must not make them.
static void claim_pages(size_t at, size_t bytes, bool write, bool begin)
{
	for (size_t n = at / file.page_bytes; n * file.page_bytes < at + bytes; n++) {
		Page &p = file.page[n];
		if (begin && (p.writing || (write && p.reading)))
			fail("page %zu is %s while another thread %s it", n, write ? "written" : "read",
				p.writing ? "writes" : "reads");
		if (begin && !write && p.reading)
			fail("page %zu is read by two threads at once", n);
		(write ? p.writing : p.reading) = begin;
	}
}

// While the call is under way, others run.
static void pass_over_pages(size_t at, size_t bytes, const void *from)
{
	if (!running())
		return;
	claim_pages(at, bytes, from, true);
	call[current()] = {at, bytes, from};
	point();
	call[current()] = {};
	claim_pages(at, bytes, from, false);
}

// Its thread is dead: what it was to write is torn in the middle.
static void stop_call(Call *c)
{
	if (c->bytes == 0)
		return;
	if (c->from)
		std::memcpy(&file.bytes[c->at], c->from, c->bytes / 2);
	claim_pages(c->at, c->bytes, c->from, false);
	*c = {};
}

// Its thread is gone in the child of a fork; in the parent it goes on, and so does the call.
static void forget_call(Call *c)
{
	if (c->bytes == 0)
		return;
	if (c->from)
		std::memcpy(&file.bytes[c->at], c->from, c->bytes);
	claim_pages(c->at, c->bytes, c->from, false);
	*c = {};
}

static bool call_begins(int fd)
{
	bool known = file.known.count(fd) > 0;
	if (!known)
		errno = EBADF;
	else if (running())
		point();
	return known;
}

static ssize_t read_file(int fd, void *to, size_t bytes, off_t offset)
{
	size_t at = static_cast<size_t>(offset);
	if (!call_begins(fd))
		return -1;
	if (fails(&file.reads, file.faults.read)) {
		errno = file.faults.error;
		return -1;
	}
	if (at + bytes > file.bytes.size())
		return 0;
	check_file_has(fd, at, bytes);
	if (tracing())
		trace_line("pread", to, at / file.page_bytes, __builtin_return_address(0));
	pass_over_pages(at, bytes, nullptr);
	plain_write(to, bytes, __builtin_return_address(0));
	std::memcpy(to, &file.bytes[at], bytes);
	return static_cast<ssize_t>(bytes);
}

static ssize_t read_vector(int fd, const struct iovec *iov, int n, off_t offset)
{
	size_t at = static_cast<size_t>(offset), bytes = 0;
	for (int i = 0; i < n; i++)
		bytes += iov[i].iov_len;
	if (!call_begins(fd))
		return -1;
	if (fails(&file.reads, file.faults.read)) {
		errno = file.faults.error;
		return -1;
	}
	if (at >= file.bytes.size())
		return 0;
	bytes = std::min(bytes, file.bytes.size() - at);
	check_file_has(fd, at, bytes);
	if (tracing())
		trace_line("preadv", iov->iov_base, at / file.page_bytes, __builtin_return_address(0));
	pass_over_pages(at, bytes, nullptr);
	size_t left = bytes;
	for (int i = 0; left > 0; i++) {
		size_t part = std::min(left, iov[i].iov_len);
		plain_write(iov[i].iov_base, part, __builtin_return_address(0));
		std::memcpy(iov[i].iov_base, &file.bytes[at], part);
		at += part;
		left -= part;
	}
	return static_cast<ssize_t>(bytes);
}

// A call that changes the file from byte `at` on.  False: it fails.
static bool change_begins(int fd, const char *call, size_t at, const void *caller)
{
	if (!call_begins(fd))
		return false;
	if (fails(&file.writes, file.faults.write)) {
		errno = file.faults.error;
		return false;
	}
	if (tracing())
		trace_line(call, nullptr, at / file.page_bytes, caller);
	return true;
}

static ssize_t write_file(int fd, const void *from, size_t bytes, off_t offset)
{
	size_t at = static_cast<size_t>(offset);
	if (!change_begins(fd, "pwrite", at, __builtin_return_address(0)))
		return -1;
	check_file_has(fd, at, bytes);
	grow_to(at + bytes);
	pass_over_pages(at, bytes, from);
	for (size_t n = at / file.page_bytes; file_writes && n * file.page_bytes < at + bytes; n++)
		file_writes(static_cast<unsigned>(n));
	plain_read(from, bytes, __builtin_return_address(0));
	std::memcpy(&file.bytes[at], from, bytes);
	return static_cast<ssize_t>(bytes);
}

static void make_stable(int fd, const std::vector<char> &covered)
{
	if (!file_has) {
		file.stable = covered;
		return;
	}
	file.stable.resize(covered.size());
	for (unsigned n = 0; n < covered.size() / file.page_bytes; n++)
		if (file_has(n) == file.of[fd])
			std::memcpy(&file.stable[n * file.page_bytes], &covered[n * file.page_bytes], file.page_bytes);
}

static int sync_file(int fd)
{
	if (!call_begins(fd))
		return -1;
	bool failed = fails(&file.syncs, file.faults.sync);
	file.synced_by[current()] = fd;
	if (tracing())
		trace_line(failed ? "fsync FAILS" : "fsync", nullptr, 0, __builtin_return_address(0));
	std::vector<char> covered = file.bytes; // what is written from here on need not be
	if (running())
		point();
	// As Linux does it: what was not written out is thrown away, and said once to each.
	if (failed)
		write_back_failed();
	else
		make_stable(fd, covered);
	if (!is_told(fd))
		return 0;
	errno = file.faults.error;
	return -1;
}

// On stable storage it is what it was, until an fsync; and comes back with one that fails, as a network's file system may have it.
static int cut_file(int fd, size_t bytes)
{
	if (!change_begins(fd, "ftruncate", bytes, __builtin_return_address(0)))
		return -1;
	// A cut that is made again is so while pages behind it are written, which are written again then, too.
	for (size_t n = bytes / file.page_bytes; n < file.page.size() && !file_lost_some(); n++)
		if (file.page[n].reading || file.page[n].writing)
			fail("page %zu is cut off while a thread reads or writes it", n);
	file.bytes.resize(bytes);
	file.page.resize(bytes / file.page_bytes);
	return 0;
}

// ---- threads ---------------------------------------------------------------

namespace {

struct Mutex {
	bool locked = false;
	Token token;
};
// One for each process.
std::map<std::pair<void *, unsigned>, Mutex> mutexes;

Mutex &mutex_of(void *m)
{
	return mutexes[{m, space_of(current())}];
}

// The pool's lock: the kernel's, on the object; of an open file, and of what is mapped of it.
struct PoolLock {
	bool held = false;
	unsigned process = 0;
	int fd = 0; // by which it was taken
	void *map = nullptr;
	Token token;
} pool_lock;

// Threads that the library makes, a process one at the most: a thread of the scenario is it.
struct Maid {
	bool wanted = false; // the scenario has such a thread
	bool made = false;   // ... which was asked for
	bool over = false;   // it has ended; or it will not be asked for
	void *(*run)(void *) = nullptr;
	void *of = nullptr;
	Token made_by, ended;
	unsigned events = 0; // that were told, by whichever thread
} maid[kProcesses];

// Liveness locks, by member.
struct Life {
	bool held = false, died = false;
	unsigned process = 0;
	void *map = nullptr;
	Token end;
} life[kProcesses];

const unsigned kKeys = 4;
void (*key_destructor[kKeys])(void *);
const void *key_value[kThreads][kKeys];
unsigned keys;

} // namespace

void explore::system_begin(bool f)
{
	fenced = f;
	// One of them is the library's for good: nothing of the run before is in it.
	for (auto &m : mutexes)
		m.second = Mutex{};
	for (auto &of_thread : key_value)
		for (const void *&value : of_thread)
			value = nullptr;
	for (Life &l : life)
		l = Life{};
	pool_lock = PoolLock{};
	for (Call &c : call)
		c = Call{};
	for (Maid &m : maid)
		m = Maid{};
	object_transfers_begin();
}

// ---- the library's own thread -----------------------------------------------

void explore::maid_wanted(unsigned process)
{
	maid[process].wanted = true;
}

void explore::maid_works()
{
	Maid &m = maid[space_of(current())];
	point();
	while (!m.made && !m.over)
		block(&m);
	if (!m.made)
		return;
	m.made_by.acquire();
	m.run(m.of);
	point();
	m.ended.release();
	m.over = true;
	wake(&m);
}

unsigned explore::maid_ends()
{
	Maid &m = maid[space_of(current())];
	point();
	if (!m.made)
		m.over = true;
	wake(&m);
	while (!m.over)
		block(&m);
	m.ended.acquire();
	return m.events;
}

void explore::system_died(unsigned process)
{
	for (unsigned t = 1; t < kThreads; t++)
		if (process_of(t) == process) {
			if (!is_gone(process))
				stop_call(&call[t]);
			else
				forget_call(&call[t]);
			for (Life &l : life)
				if (l.held && l.process == process)
					l.end.release_of(t);
			if (pool_lock.held && pool_lock.process == process)
				pool_lock.token.release_of(t);
		}
	if (pool_lock.process == process)
		pool_lock.held = false;
	for (Life &l : life)
		if (l.held && l.process == process) {
			l.held = false;
			l.died = true;
		}
}

void explore::thread_end()
{
	for (unsigned k = 0; k < keys; k++)
		if (const void *value = key_value[current()][k]) {
			key_value[current()][k] = nullptr;
			key_destructor[k](const_cast<void *>(value));
		}
}

// ---- processes -------------------------------------------------------------

extern "C" {

bool object_lives(unsigned process)
{
	return alive(process);
}

bool object_dead()
{
	return !alive(process_of(current()));
}

void *__real_memset(void *, int, size_t);

// Others have all the time they want.
int __wrap_nanosleep(const struct timespec *, struct timespec *)
{
	if (running())
		yield();
	return 0;
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *)
{
	mutex_of(mutex) = Mutex{};
	return 0;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (!running())
		return 0;
	point();
	Mutex &m = mutex_of(mutex);
	while (m.locked)
		block(&m);
	m.locked = true;
	m.token.acquire();
	if (object_fork_waits_for(mutex))
		hold();
	return 0;
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	if (!running())
		return 0;
	point();
	Mutex &m = mutex_of(mutex);
	if (m.locked)
		return EBUSY;
	m.locked = true;
	m.token.acquire();
	if (object_fork_waits_for(mutex))
		hold();
	return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);

int __wrap_pthread_cond_init(pthread_cond_t *, const pthread_condattr_t *)
{
	return 0;
}

int __wrap_pthread_cond_destroy(pthread_cond_t *)
{
	return 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	if (!running())
		return 0;
	__wrap_pthread_mutex_unlock(mutex);
	block(cond);
	return __wrap_pthread_mutex_lock(mutex);
}

// As long as it takes: that it takes too long is not tried.
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *)
{
	return __wrap_pthread_cond_wait(cond, mutex);
}

// In a run no time goes by.
int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	if (!running())
		return __real_clock_gettime(clock, t);
	*t = {1, 0};
	return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *cond)
{
	if (!running())
		return 0;
	point();
	wake(cond);
	return 0;
}

// All are woken: that may be.
int __wrap_pthread_cond_signal(pthread_cond_t *cond)
{
	return __wrap_pthread_cond_broadcast(cond);
}

int __wrap_pthread_create(pthread_t *, const pthread_attr_t *, void *(*run)(void *), void *of)
{
	Maid &m = maid[space_of(current())];
	point();
	if (!m.wanted || m.made || m.over)
		return EAGAIN;
	m.made = true;
	m.run = run;
	m.of = of;
	m.made_by.release();
	wake(&m);
	return 0;
}

// Whoever is joined has ended in the run: maid_ends.
int __wrap_pthread_join(pthread_t, void **)
{
	return 0;
}

pthread_t __wrap_pthread_self()
{
	return current() + 1;
}

int __wrap_pthread_sigmask(int, const sigset_t *, sigset_t *)
{
	return 0;
}

int __wrap_eventfd(unsigned, int)
{
	return kWake;
}
ssize_t __wrap_read(int fd, void *, size_t bytes)
{
	if (fd != kWake)
		fail("read, of what is no event");
	return static_cast<ssize_t>(bytes);
}
// Of an event.
ssize_t __wrap_write(int fd, const void *, size_t bytes)
{
	if (fd == kWake)
		return static_cast<ssize_t>(bytes);
	if (fd != kEvent)
		fail("write, to what is no event");
	point();
	maid[space_of(current())].events++;
	return static_cast<ssize_t>(bytes);
}

// It has room.
int __wrap_poll(struct pollfd *fds, nfds_t n, int)
{
	if (n != 1 || fds->fd != kEvent)
		fail("poll, of what is no event");
	fds->revents = POLLOUT;
	return 1;
}

// A fork waits until they are over.
void __real_transfer_begin();
void __wrap_transfer_begin()
{
	__real_transfer_begin();
	if (running())
		hold();
}
bool __real_transfer_try();
bool __wrap_transfer_try()
{
	bool may = __real_transfer_try();
	if (running() && may)
		hold();
	return may;
}
void __real_transfer_end();
void __wrap_transfer_end()
{
	__real_transfer_end();
	if (running())
		let_go();
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	if (!running())
		return 0;
	Mutex &m = mutex_of(mutex);
	if (object_fork_waits_for(mutex))
		let_go();
	m.token.release();
	m.locked = false;
	wake(&m);
	return 0;
}

static void give_pool_lock()
{
	if (running())
		point();
	if (tracing())
		trace_line("unlock", nullptr, 0, __builtin_return_address(0));
	pool_lock.token.release();
	pool_lock.held = false;
	pool_lock.map = nullptr;
}

int __wrap_flock(int fd, int operation)
{
	bool its = pool_lock.held && pool_lock.process == process_of(current()) && pool_lock.fd == fd && !pool_lock.map;
	if (operation == LOCK_UN) {
		if (its)
			give_pool_lock();
		return 0;
	}
	if (running())
		point();
	if (pool_lock.held) {
		errno = EWOULDBLOCK;
		return -1;
	}
	pool_lock.held = true;
	pool_lock.process = process_of(current());
	pool_lock.fd = fd;
	pool_lock.map = nullptr;
	pool_lock.token.acquire(); // whoever had it before, and died, has left it so
	if (tracing())
		trace_line("lock", nullptr, 0, __builtin_return_address(0));
	return 0;
}

int __wrap_pthread_once(pthread_once_t *once, void (*init)())
{
	if (*once == PTHREAD_ONCE_INIT) {
		*once = PTHREAD_ONCE_INIT + 1;
		init();
	}
	return 0;
}

int __wrap_pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
	*key = keys;
	key_destructor[keys++] = destructor;
	return 0;
}

int __wrap_pthread_key_delete(pthread_key_t)
{
	return 0;
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
	key_value[current()][key] = value;
	return 0;
}

int __wrap_sched_yield()
{
	if (running())
		yield();
	return 0;
}

static long futex(uint32_t *word, int operation, uint32_t value, const struct timespec *limit)
{
	// A private one is met by the process's own threads only.
	const char *where = reinterpret_cast<const char *>(word);
	if (operation & FUTEX_PRIVATE_FLAG)
		where += 1 + space_of(current());
	if ((operation & FUTEX_CMD_MASK) == FUTEX_WAIT) {
		point();
		// The kernel's look: the newest value, after a full barrier.
		fence();
		if (*word != value) {
			errno = EAGAIN;
			return -1;
		}
		if (tracing())
			trace_line("sleeps", word, value, __builtin_return_address(0));
		bool woken = true;
		if (limit)
			woken = block_for_a_time(where);
		else
			block(where);
		fence();
		if (!woken) {
			errno = ETIMEDOUT;
			return -1;
		}
	} else {
		point();
		fence();
		if (tracing())
			trace_line("wakes", word, 0, __builtin_return_address(0));
		wake(where);
	}
	return 0;
}

long __wrap_syscall(long number, ...)
{
	va_list args;
	va_start(args, number);
	long result = 0;
	if (number == SYS_membarrier) {
		int command = va_arg(args, int);
		if (fenced) {
			errno = ENOSYS;
			result = -1;
		} else if (command == MEMBARRIER_CMD_PRIVATE_EXPEDITED || command == MEMBARRIER_CMD_GLOBAL_EXPEDITED) {
			if (tracing())
				trace_line("membarrier", nullptr, 0, __builtin_return_address(0));
			heavy_barrier(command == MEMBARRIER_CMD_GLOBAL_EXPEDITED);
		}
	} else if (number == SYS_futex && running()) {
		uint32_t *word = va_arg(args, uint32_t *);
		int operation = va_arg(args, int);
		uint32_t value = va_arg(args, uint32_t);
		result = futex(word, operation, value, va_arg(args, const struct timespec *));
	} else if (number != SYS_futex && number != SYS_gettid && number != SYS_tgkill) {
		fail("system call %ld, which is not here", number);
	}
	va_end(args);
	return result;
}

// ---- memory ----------------------------------------------------------------

static void *memory(size_t bytes, size_t align)
{
	if (refused()) {
		errno = ENOMEM;
		return nullptr;
	}
	return memory_get(bytes, align);
}

void *__wrap_mmap(void *, size_t bytes, int, int, int fd, off_t)
{
	void *p = memory(bytes, 1);
	if (!p || fd != OBJECT_AGAIN)
		return p ? p : MAP_FAILED;
	// The mapping holds the locks of the open file; see member.c, hold.
	for (Life &l : life)
		if (l.held && !l.map && l.process == process_of(current()))
			l.map = p;
	if (pool_lock.held && !pool_lock.map && pool_lock.fd == fd && pool_lock.process == process_of(current()))
		pool_lock.map = p;
	return p ? p : MAP_FAILED;
}

int __wrap_munmap(void *p, size_t)
{
	for (Life &l : life)
		if (l.held && l.map == p)
			l = Life{};
	if (pool_lock.held && pool_lock.map == p)
		give_pool_lock();
	memory_give(p);
	return 0;
}

// Of memory, the size of a page; nothing else is asked.
long __wrap_sysconf(int)
{
	return kMemoryPage;
}

int __wrap_madvise(void *p, size_t bytes, int advice)
{
	if (advice == MADV_DONTNEED) {
		__real_memset(p, 0, bytes);
	} else if (advice == MADV_POPULATE_WRITE) {
		memory_populate(p, bytes);
	} else if (advice == MADV_REMOVE) {
		if (running())
			point();
		if (tracing())
			trace_line("removes", p, bytes, __builtin_return_address(0));
		memory_remove(p, bytes);
		if (running())
			look();
	}
	return 0;
}

// The file, once more, or the object.
int __wrap_open(const char *path, int, ...)
{
	int of = OBJECT_AGAIN;
	const char *last = std::strrchr(path, '/');
	if (!last || std::sscanf(last, "/%d", &of) != 1 || !file.known.count(of))
		return OBJECT_AGAIN;
	if (running())
		point();
	if (refused()) {
		errno = ENOMEM;
		return -1;
	}
	int fd = kOpened + static_cast<int>(file.known.size());
	open_description(fd);
	file.of[fd] = file.of[of];
	return fd;
}
int __wrap_open64(const char *path, int flags, ...)
{
	return __wrap_open(path, flags);
}

// What nothing maps goes.
int __wrap_close(int fd)
{
	if (fd == OBJECT_AGAIN)
		__wrap_flock(fd, LOCK_UN);
	return 0;
}

void *__wrap_malloc(size_t bytes)
{
	return memory(bytes, 1);
}
void *__wrap_calloc(size_t n, size_t bytes)
{
	return memory(n * bytes, 1);
}
void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
	return memory(bytes, align);
}

void __wrap_free(void *p)
{
	if (p)
		memory_give(p);
}

void *__wrap_realloc(void *p, size_t bytes)
{
	void *to = memory(bytes, 1);
	if (to && p) {
		std::memcpy(to, p, memory_size(p) < bytes ? memory_size(p) : bytes);
		memory_give(p);
	}
	return to;
}

void *__wrap_memset(void *to, int c, size_t bytes)
{
	plain_write(to, bytes, __builtin_return_address(0));
	return __real_memset(to, c, bytes);
}

// ---- the file's calls ------------------------------------------------------

ssize_t __wrap_pread(int fd, void *to, size_t n, off_t at)
{
	return read_file(fd, to, n, at);
}
ssize_t __wrap_pread64(int fd, void *to, size_t n, off_t at)
{
	return read_file(fd, to, n, at);
}
ssize_t __wrap_preadv(int fd, const struct iovec *iov, int n, off_t at)
{
	return read_vector(fd, iov, n, at);
}
ssize_t __wrap_preadv64(int fd, const struct iovec *iov, int n, off_t at)
{
	return read_vector(fd, iov, n, at);
}
ssize_t __wrap_pwrite(int fd, const void *from, size_t n, off_t at)
{
	return write_file(fd, from, n, at);
}
ssize_t __wrap_pwrite64(int fd, const void *from, size_t n, off_t at)
{
	return write_file(fd, from, n, at);
}
int __wrap_ftruncate(int fd, off_t bytes)
{
	return cut_file(fd, static_cast<size_t>(bytes));
}
int __wrap_ftruncate64(int fd, off_t bytes)
{
	return cut_file(fd, static_cast<size_t>(bytes));
}
int __wrap_fsync(int fd)
{
	return sync_file(fd);
}
int __wrap_fdatasync(int fd)
{
	return sync_file(fd);
}

// A witness's: by steps from where it is.  Only who is not in the child of a fork can be seen in between.
off_t __wrap_lseek(int fd, off_t by, int)
{
	if (running() && is_gone(process_of(current())))
		point();
	if (tracing())
		trace_line("lseek", nullptr, static_cast<uint64_t>(by), __builtin_return_address(0));
	return file.offset[fd] += by;
}
off_t __wrap_lseek64(int fd, off_t by, int whence)
{
	return __wrap_lseek(fd, by, whence);
}

int __wrap_fstat(int fd, struct stat *st)
{
	__real_memset(st, 0, sizeof *st);
	st->st_ino = file.of[fd];
	st->st_mode = S_IFREG;
	st->st_size = static_cast<off_t>(file.bytes.size());
	return 0;
}
int __wrap_fstat64(int fd, struct stat *st)
{
	return __wrap_fstat(fd, st);
}

// A liveness lock, or several.
static int liveness_fcntl(int command, struct flock *lock)
{
	auto first = static_cast<unsigned>(lock->l_start - object_liveness);
	bool held = false;
	if (running())
		point(command == F_OFD_SETLK);
	for (unsigned m = first; m < first + static_cast<unsigned>(lock->l_len) && m < kProcesses; m++) {
		held |= life[m].held;
		if (life[m].died && !life[m].held)
			life[m].end.acquire(); // the kernel's own locks order that
	}
	if (command == F_OFD_GETLK) {
		lock->l_type = held ? F_WRLCK : F_UNLCK;
	} else if (held || first >= kProcesses) {
		errno = EAGAIN;
		return -1;
	} else {
		life[first] = {true, false, process_of(current()), nullptr, {}};
	}
	return 0;
}

int __wrap_fcntl(int, int command, ...)
{
	va_list args;
	va_start(args, command);
	int result = O_RDWR;
	if (command == F_OFD_SETLK || command == F_OFD_GETLK)
		result = liveness_fcntl(command, va_arg(args, struct flock *));
	va_end(args);
	return result;
}
int __wrap_fcntl64(int fd, int command, ...)
{
	va_list args;
	va_start(args, command);
	int result = __wrap_fcntl(fd, command, va_arg(args, void *));
	va_end(args);
	return result;
}

// ---- what is not here ------------------------------------------------------

// Those that CMakeLists.txt names so.
#define REFUSED(call)                                 \
	[[noreturn]] void __wrap_##call()             \
	{                                             \
		fail("%s, which is not here", #call); \
	}
REFUSED_CALLS
#undef REFUSED
}

// ---- what the library checks itself -----------------------------------------

// os/check.h: a run in which that fails goes wrong like any other.
extern "C" [[noreturn]] void __wrap_check_failed(
	const char *, unsigned line, const char *function, const char *what, uint64_t a, uint64_t b);
void __wrap_check_failed(const char *, unsigned line, const char *function, const char *what, uint64_t a, uint64_t b)
{
	fail("%s, line %u: %s: %#llx, %#llx", function, line, what, static_cast<unsigned long long>(a),
		static_cast<unsigned long long>(b));
}
