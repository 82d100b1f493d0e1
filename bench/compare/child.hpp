/*
 * child.hpp - processes that the program starts, and memory that they have in common.
 *
 * A child is made by fork, does its work and ends.  It is alive from the constructor
 * until it ends by itself, is killed, or the object goes; then it is waited for, once.
 * Only the process that made a child may touch its object.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstddef>
#include <ctime>
#include <functional>
#include <new>
#include <string>
#include <utility>

#include <semaphore.h>
#include <sys/mman.h>
#include <sys/types.h>

#include "failure.hpp"

namespace compare {

/* One T, in memory that this process and all that it forks afterwards write alike. */
template <class T> class Common {
public:
	template <class... Arguments> explicit Common(Arguments &&...arguments)
	{
		void *got = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (got == MAP_FAILED)
			throw_errno("mmap");
		value = new (got) T{std::forward<Arguments>(arguments)...};
	}
	~Common()
	{
		value->~T();
		munmap(value, sizeof(T));
	}
	Common(const Common &) = delete;
	Common &operator=(const Common &) = delete;

	T &operator*() const { return *value; }
	T *operator->() const { return value; }

private:
	T *value;
};

/* A semaphore that processes may share, where it stands in memory that they do. */
class Semaphore {
public:
	Semaphore() { sem_init(&semaphore, 1, 0); }
	~Semaphore() { sem_destroy(&semaphore); }
	Semaphore(const Semaphore &) = delete;
	Semaphore &operator=(const Semaphore &) = delete;

	void post() { sem_post(&semaphore); }
	void wait();
	/* Looks around whenever nothing has come for a while: what is awaited may have died. */
	void wait(const std::function<void()> &look);

private:
	sem_t semaphore;
};

class Child {
public:
	/* What `work` throws is the child's failure. */
	explicit Child(const std::function<void()> &work);
	/* Killed, if it has not ended. */
	~Child();
	Child(const Child &) = delete;
	Child &operator=(const Child &) = delete;

	bool has_ended();
	/* Throws std::runtime_error if it has ended, though it should not have yet. */
	void look();
	/* Waits for its end; throws std::runtime_error if it failed. */
	void join();
	/* SIGKILL, without waiting for anything. */
	void kill();

private:
	static constexpr size_t LONGEST = 400; /* of what a child says */
	struct Words {
		char text[LONGEST];
	};

	[[noreturn]] void run(const std::function<void()> &work);
	bool wait(int flags);
	std::string end() const;

	Common<Words> last_words;
	pid_t id = -1;
	bool ended = false;
	int status = 0;
};

} // namespace compare
