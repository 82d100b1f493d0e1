// store.hpp - a store in memory, whose answers a test chooses: what of a request is done, or what it fails with; when it
// is answered, and by whom.
//
// SPDX-License-Identifier: BSD-2-Clause
#ifndef MPOOL_TESTS_STORE_HPP
#define MPOOL_TESTS_STORE_HPP

#include <deque>

#include <poll.h>

#include "event.hpp"
#include "support.hpp"

namespace test {

class Store {
public:
	struct Request {
		int op; // MPOOL_IO_...
		uint64_t offset;
		size_t bytes;
	};
	enum Answers {
		blocking, // there is no submit
		at_once,  // in submit
		later,    // by a thread, in order
		shuffled, // by a thread, in no order
		together, // by a thread, so many at a time, when they are outstanding
		refused,  // submit fails
		helped,   // by whoever waits, in wait; without a waiter at once
	};

	Store(size_t page_size, pgno_t pages, Answers answers = blocking, unsigned least = 1)
	    : page_size_(page_size), answers_(answers), least_(least), bytes_(page_size * pages)
	{
		for (pgno_t i = 0; i < pages; i++)
			fill(bytes_.data() + i * page_size, page_size, i, 0);
		stable_ = bytes_;
		if (answers == later || answers == shuffled || answers == together)
			server_ = std::thread([this] { serve(); });
	}
	Store(const Store &) = delete;
	Store &operator=(const Store &) = delete;
	~Store() { end(); }

	struct mpool_store calls() const
	{
		struct mpool_store s = {};
		s.size = [](void *c, uint64_t *bytes) { return of(c).size(bytes); };
		s.readv = [](void *c, const struct iovec *iov, int n, uint64_t at) {
			return of(c).direct(MPOOL_IO_READ, iov, n, at);
		};
		s.writev = [](void *c, const struct iovec *iov, int n, uint64_t at) {
			return of(c).direct(MPOOL_IO_WRITE, iov, n, at);
		};
		s.flush = [](void *c) { return static_cast<int>(of(c).direct(MPOOL_IO_FLUSH, nullptr, 0, 0)); };
		s.truncate = [](void *c, uint64_t bytes) { return of(c).truncate(bytes); };
		if (answers_ != blocking)
			s.submit = [](void *c, struct mpool_io *io) { return of(c).submit(io); };
		s.close = [](void *c) { of(c).close(); };
		if (answers_ == helped)
			s.wait = [](void *c, const void *waiter, int fd, int ms) { return of(c).wait(waiter, fd, ms); };
		return s;
	}

	// What comes of a request: so many bytes of it at the most, or minus an errno.  Any thread calls it.
	std::function<ssize_t(const Request &)> fate;
	bool all_said = false; // ... which is said as it is, whatever was done
	std::atomic<int> size_error{0}, truncate_error{0};

	// Who helps waits until this is over, or for his descriptor, or for as long as he says; nothing is answered.
	void hold_up() { held_ = true; }
	void go_on()
	{
		held_ = false;
		resumed_.tell();
	}

	// With nobody in a call.
	bool holds(pgno_t pgno, uint64_t version) const { return page_is(bytes_, pgno, version); }
	bool keeps(pgno_t pgno, uint64_t version) const { return page_is(stable_, pgno, version); }
	size_t bytes() const { return bytes_.size(); }
	// By another, or by truncate.
	void grow(size_t bytes)
	{
		bytes_.resize(bytes);
		changes_.push_back({bytes, {}, true});
	}
	// Power is cut: what was not flushed is gone.
	void cut()
	{
		bytes_ = stable_;
		changes_.clear();
	}
	// What was not flushed is to be seen still, and no later flush brings it to stable storage.
	void forget() { changes_.clear(); }
	// ... of that, each page by chance.
	void cut_some(Random &random)
	{
		stable_.resize(bytes_.size());
		for (size_t at = 0; at < bytes_.size(); at += page_size_)
			if (random.below(2))
				memcpy(bytes_.data() + at, stable_.data() + at, page_size_);
		stable_ = bytes_;
		changes_.clear();
	}

	std::atomic<unsigned> reads{0}, writes{0}, flushes{0}, submitted{0}, closed{0}, most{0}, truncates{0};
	std::atomic<unsigned> outstanding{0};
	std::atomic<unsigned> waited{0}; // submitted with a waiter
	std::atomic<unsigned> helps{0};  // calls of wait

private:
	static Store &of(void *cookie) { return *static_cast<Store *>(cookie); }

	bool page_is(const std::vector<char> &in, pgno_t pgno, uint64_t version) const
	{
		size_t at = pgno * page_size_;
		return at + page_size_ <= in.size() && is(in.data() + at, page_size_, pgno, version);
	}

	// Bytes, or minus an errno.
	ssize_t make(int op, const struct iovec *iov, int n, uint64_t at)
	{
		size_t asked = 0;
		for (int i = 0; i < n; i++)
			asked += iov[i].iov_len;
		(op == MPOOL_IO_READ ? reads : op == MPOOL_IO_WRITE ? writes : flushes)++;
		ssize_t most_of_it = fate ? fate({op, at, asked}) : static_cast<ssize_t>(asked);
		if (most_of_it < 0 || (all_said && most_of_it != static_cast<ssize_t>(asked)))
			return most_of_it;
		std::lock_guard<std::mutex> hold(lock_);
		if (op == MPOOL_IO_FLUSH) {
			for (const Change &c : changes_)
				make_stable(c);
			changes_.clear();
			return 0;
		}
		size_t left = static_cast<size_t>(most_of_it), done = 0;
		for (int i = 0; i < n && left > 0; i++) {
			size_t part = std::min(left, iov[i].iov_len);
			part = copy(op, static_cast<char *>(iov[i].iov_base), part, at + done);
			done += part;
			left -= part;
			if (part == 0)
				break;
		}
		return static_cast<ssize_t>(done);
	}

	// A write, or a new length.
	struct Change {
		uint64_t at;
		std::vector<char> bytes;
		bool length;
	};

	void make_stable(const Change &c)
	{
		if (c.length || stable_.size() < c.at + c.bytes.size())
			stable_.resize(c.at + c.bytes.size());
		if (!c.length)
			memcpy(stable_.data() + c.at, c.bytes.data(), c.bytes.size());
	}

	size_t copy(int op, char *memory, size_t n, uint64_t at)
	{
		if (op == MPOOL_IO_WRITE) {
			if (bytes_.size() < at + n)
				bytes_.resize(at + n);
			memcpy(bytes_.data() + at, memory, n);
			changes_.push_back({at, {memory, memory + n}, false});
			return n;
		}
		n = at < bytes_.size() ? std::min<size_t>(n, bytes_.size() - at) : 0;
		memcpy(memory, bytes_.data() + at, n);
		return n;
	}

	ssize_t direct(int op, const struct iovec *iov, int n, uint64_t at)
	{
		ssize_t r = make(op, iov, n, at);
		if (r >= 0)
			return r;
		errno = static_cast<int>(-r);
		return -1;
	}

	static int failed(int error)
	{
		errno = error;
		return error ? -1 : 0;
	}

	int size(uint64_t *bytes)
	{
		std::lock_guard<std::mutex> hold(lock_);
		*bytes = bytes_.size();
		return failed(size_error);
	}

	int truncate(uint64_t bytes)
	{
		std::lock_guard<std::mutex> hold(lock_);
		truncates++;
		if (!truncate_error)
			grow(bytes);
		return failed(truncate_error);
	}

	void answer(struct mpool_io *io)
	{
		ssize_t r = make(io->op, io->iov, io->iovcnt, io->offset);
		outstanding--;
		io->done(io, r);
	}

	int submit(struct mpool_io *io)
	{
		if (answers_ == refused) {
			errno = EAGAIN;
			return -1;
		}
		submitted++;
		waited += io->waiter != nullptr;
		unsigned n = ++outstanding;
		for (unsigned m = most; n > m && !most.compare_exchange_weak(m, n);)
			;
		if (answers_ == at_once || (answers_ == helped && !io->waiter)) {
			answer(io);
			return 0;
		}
		std::lock_guard<std::mutex> hold(queue_lock_);
		queue_.push_back(io);
		changed_.notify_one();
		return 0;
	}

	// One, whosever it is.  Who comes when another has taken the last is told by that one.
	int wait(const void *waiter, int fd, int ms)
	{
		std::unique_lock<std::mutex> hold(queue_lock_);
		helps++;
		if (!waiter || fd < -1 || ms < -1)
			abort();
		if (queue_.empty())
			return -1;
		if (held_) {
			hold.unlock();
			struct pollfd fds[] = {{fd, POLLIN, 0}, {resumed_, POLLIN, 0}};
			poll(fds, 2, ms);
			return 0;
		}
		struct mpool_io *io = queue_.front();
		queue_.pop_front();
		hold.unlock();
		answer(io);
		return 0;
	}

	void serve()
	{
		std::unique_lock<std::mutex> hold(queue_lock_);
		uint64_t random = 1;
		for (;;) {
			changed_.wait(hold, [this] { return ends_ || queue_.size() >= wanted(); });
			if (queue_.empty())
				return;
			if (left_ == 0)
				left_ = least_;
			left_--;
			random = mix(random);
			auto next =
				queue_.begin() + (answers_ == shuffled ? static_cast<long>(random % queue_.size()) : 0);
			struct mpool_io *io = *next;
			queue_.erase(next);
			hold.unlock();
			answer(io);
			hold.lock();
		}
	}

	// To go on with a round, or to begin one.
	size_t wanted() const { return answers_ == together && left_ == 0 ? least_ : 1; }

	void close()
	{
		closed++;
		end();
	}

	void end()
	{
		{
			std::lock_guard<std::mutex> hold(queue_lock_);
			ends_ = true;
			changed_.notify_one();
		}
		if (server_.joinable())
			server_.join();
	}

	size_t page_size_;
	Answers answers_;
	unsigned least_;
	std::mutex lock_;
	std::vector<char> bytes_, stable_;
	std::vector<Change> changes_; // since the last flush
	std::mutex queue_lock_;
	std::condition_variable changed_;
	std::deque<struct mpool_io *> queue_;
	std::atomic<bool> held_{false};
	Event resumed_;
	bool ends_ = false;
	unsigned left_ = 0; // to be answered of those that are together
	std::thread server_;
};

// A pool whose pages are there.
class StorePool : public Pool {
public:
	StorePool(Store &store, size_t page_size, pgno_t maxcache) : Pool(open(store, page_size, maxcache), page_size)
	{
	}

private:
	static MPOOL *open(Store &store, size_t page_size, pgno_t maxcache)
	{
		struct mpool_store s = store.calls();
		return mpool_open_store(&s, sizeof s, &store, static_cast<pgno_t>(page_size), maxcache);
	}
};

} // namespace test

#endif
