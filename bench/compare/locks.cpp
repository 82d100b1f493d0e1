/*
 * locks.cpp - what others would guard a page with, each page by one on a line of its own: a get locks it, and a put unlocks it.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <atomic>
#include <memory>

#include <pthread.h>

#include "anonymous.hpp"
#include "register.hpp"

namespace {

using namespace compare;

/* No lock, but what the cheapest one would cost: who comes while it is locked does not wait. */
class Exchange {
public:
	static constexpr const char *name = "exchange pair",
				    *setup = "two atomic exchanges, and no lock: the least that one can cost";

	void lock() { word.exchange(1, std::memory_order_acquire); }
	void unlock() { word.exchange(0, std::memory_order_release); }

private:
	std::atomic<uint64_t> word{0};
};

class Mutex {
public:
	static constexpr const char *name = "pthread mutex", *setup = "a mutex a page, as it comes";

	void lock() { pthread_mutex_lock(&mutex); }
	void unlock() { pthread_mutex_unlock(&mutex); }

private:
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
};

class Rwlock {
public:
	static constexpr const char *name = "pthread rwlock", *setup = "a rwlock a page, as it comes, locked to write";

	void lock() { pthread_rwlock_wrlock(&rwlock); }
	void unlock() { pthread_rwlock_unlock(&rwlock); }

protected:
	pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
};

class SharedRwlock : public Rwlock {
public:
	static constexpr const char *name = "pthread rwlock, shared", *setup = "the same, locked to read";

	void lock() { pthread_rwlock_rdlock(&rwlock); }
};

template <class Lock> class Locked : public ReadsOnly<AddressPin> {
public:
	using Pin = AddressPin;

	static Description describe() { return {Lock::name, "", Lock::setup}; }

	static const char *cannot(const Work &w) { return w.latches ? nullptr : "a lock: measured beside latches"; }

	explicit Locked(const Setup &s)
	    : page_bytes(s.page_bytes), memory(size_t{s.cache_pages} * s.page_bytes), locks(new Line[s.cache_pages])
	{
		memory.read_from(s.fd);
	}

	Pin get(uint32_t page)
	{
		locks[page].lock.lock();
		return {memory.start() + page * page_bytes};
	}

	void put(Pin &p) { locks[static_cast<size_t>(p.bytes - memory.start()) / page_bytes].lock.unlock(); }

	uint64_t reads() const { return NOT_COUNTED; }

private:
	/* Two: processors fetch them in pairs. */
	struct alignas(2 * LINE_BYTES) Line {
		Lock lock;
	};

	const size_t page_bytes;
	Anonymous memory;
	const std::unique_ptr<Line[]> locks;
};

} // namespace

static const compare::Registered<Locked<Exchange>> registered("exchange");
static const compare::Registered<Locked<Mutex>> registered_mutex("pthread-mutex");
static const compare::Registered<Locked<Rwlock>> registered_rwlock("pthread-rwlock");
static const compare::Registered<Locked<SharedRwlock>> registered_shared("pthread-rwlock-shared");
