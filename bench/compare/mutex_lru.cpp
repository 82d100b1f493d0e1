/*
 * mutex_lru.cpp - what a pool like 4.4BSD's does when one mutex makes it fit for threads.
 *
 * Our own few lines, not 4.4BSD's: the structure of its mpool.c (a hash table, a
 * queue of all pages from least to most recently used, a pin count and a dirty
 * flag), with every call, its reads and writes included, under one lock.  Kinder
 * than the original in one thing: the hash table grows with the cache, where
 * the original has 128 chains always.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include <sys/queue.h>
#include <unistd.h>

#include "failure.hpp"
#include "page_io.hpp"
#include "register.hpp"

namespace {

using namespace compare;

struct Page {
	TAILQ_ENTRY(Page) in_chain;
	TAILQ_ENTRY(Page) in_queue;
	unsigned char *bytes;
	uint32_t number;
	uint32_t pins;
	bool dirty;
};

class MutexLru {
public:
	struct Pin {
		unsigned char *bytes;
		Page *page;
	};

	static Description describe()
	{
		return {"mutex + LRU", "",
		        "our own few lines after the structure of 4.4BSD's mpool.c: a hash table, an LRU queue, a pin "
		        "count and a dirty flag under one pthread mutex, reads and writes too; the hash table has a "
		        "chain a page, where 4.4BSD has 128"};
	}

	static const char *cannot(const Work &) { return nullptr; }

	explicit MutexLru(const Setup &s)
	    : fd(s.fd), page_bytes(s.page_bytes), most(s.cache_pages), file_pages(s.file_pages),
	      chains(power_above(most))
	{
		for (Chain &c : chains)
			TAILQ_INIT(&c);
		TAILQ_INIT(&queue);
	}

	~MutexLru()
	{
		Page *page;
		while ((page = TAILQ_FIRST(&queue)) != nullptr) {
			TAILQ_REMOVE(&queue, page, in_queue);
			free(page->bytes);
			delete page;
		}
	}
	MutexLru(const MutexLru &) = delete;
	MutexLru &operator=(const MutexLru &) = delete;

	Pin get(uint32_t number)
	{
		std::lock_guard<std::mutex> lock(mutex);
		Page *page = find(number);
		if (page == nullptr)
			page = read(number);
		else
			use(page);
		if (page == nullptr)
			return {nullptr, nullptr};
		page->pins++;
		return {page->bytes, page};
	}

	Pin get_to_modify(uint32_t number) { return get(number); }

	void put(Pin &pin)
	{
		std::lock_guard<std::mutex> lock(mutex);
		pin.page->pins--;
	}

	void put_modified(Pin &pin)
	{
		std::lock_guard<std::mutex> lock(mutex);
		pin.page->dirty = true;
		pin.page->pins--;
	}

	Pin append(uint32_t *number)
	{
		std::lock_guard<std::mutex> lock(mutex);
		Page *page = room();
		*number = file_pages++;
		memset(page->bytes, 0, page_bytes);
		page->pins = 1;
		enter(page, *number);
		return {page->bytes, page};
	}

	void sync()
	{
		std::lock_guard<std::mutex> lock(mutex);
		Page *page;
		TAILQ_FOREACH(page, &queue, in_queue)
		if (page->dirty)
			write(page);
		if (fsync(fd) != 0)
			throw_errno("fsync");
	}

	uint64_t reads() const
	{
		std::lock_guard<std::mutex> lock(mutex);
		return pages_read;
	}

private:
	TAILQ_HEAD(Chain, Page);

	static size_t power_above(size_t n)
	{
		size_t power = 1;
		while (power < n)
			power *= 2;
		return power;
	}

	Chain *chain_of(uint32_t number) { return &chains[number & (chains.size() - 1)]; }

	Page *find(uint32_t number)
	{
		Page *page;
		TAILQ_FOREACH(page, chain_of(number), in_chain)
		if (page->number == number)
			break;
		return page;
	}

	/* To the front of its chain and the end of the queue. */
	void use(Page *page)
	{
		Chain *chain = chain_of(page->number);
		TAILQ_REMOVE(chain, page, in_chain);
		TAILQ_INSERT_HEAD(chain, page, in_chain);
		TAILQ_REMOVE(&queue, page, in_queue);
		TAILQ_INSERT_TAIL(&queue, page, in_queue);
	}

	void enter(Page *page, uint32_t number)
	{
		page->number = number;
		page->dirty = false;
		TAILQ_INSERT_HEAD(chain_of(number), page, in_chain);
		TAILQ_INSERT_TAIL(&queue, page, in_queue);
	}

	/* A page in neither list: a new one, or the one not pinned that was used the longest ago. */
	Page *room()
	{
		if (pages >= most)
			if (Page *page = evict())
				return page;
		auto *bytes = static_cast<unsigned char *>(aligned_alloc(page_bytes, page_bytes));
		if (bytes == nullptr)
			throw std::bad_alloc();
		pages++;
		return new Page{{}, {}, bytes, 0, 0, false};
	}

	Page *evict()
	{
		Page *page;
		TAILQ_FOREACH(page, &queue, in_queue)
		if (page->pins == 0)
			break;
		if (page == nullptr)
			return nullptr;
		if (page->dirty)
			write(page);
		TAILQ_REMOVE(chain_of(page->number), page, in_chain);
		TAILQ_REMOVE(&queue, page, in_queue);
		return page;
	}

	Page *read(uint32_t number)
	{
		Page *page = room();
		if (!read_whole_page(fd, page->bytes, page_bytes, number)) {
			free(page->bytes);
			delete page;
			pages--;
			return nullptr;
		}
		pages_read++;
		page->pins = 0;
		enter(page, number);
		return page;
	}

	void write(Page *page)
	{
		if (!write_whole_page(fd, page->bytes, page_bytes, page->number))
			throw_errno("pwrite");
		page->dirty = false;
	}

	const int fd;
	const size_t page_bytes;
	const size_t most;
	uint32_t file_pages;
	size_t pages = 0;
	uint64_t pages_read = 0;
	mutable std::mutex mutex;
	std::vector<Chain> chains;
	TAILQ_HEAD(, Page) queue;
};

} // namespace

static const compare::Registered<MutexLru> registered("mutex");
