// beside.hpp - a second file in the pool, which is attached, and closed again.
//
// SPDX-License-Identifier: BSD-2-Clause
//
// Owns the file, and what is known of it: each page is filled from one byte, and modified and put at once, so that only a
// close without a sync takes anything back.  Its calls go on beside those of the first file, in the same memory; nothing goes wrong
// in its own reads and writes, but in those of the first file that its calls make room by, and in what memory they ask for.
#ifndef MPOOL_TESTS_FUZZ_BESIDE_HPP
#define MPOOL_TESTS_FUZZ_BESIDE_HPP

#include <set>

#include "model.hpp"

namespace fuzz {

class Beside {
public:
	static constexpr uint32_t pages = 6;

	explicit Beside(uint32_t page_size);
	~Beside();
	Beside(const Beside &) = delete;
	Beside &operator=(const Beside &) = delete;

	bool attached() const { return mp_; }
	void attach(MPOOL *mp, Model &model);
	void get(uint32_t pgno, Model &model); // in place of one that is pinned
	void modify(unsigned char value);      // that one, and put it
	void put();
	void sync(const Model &model);
	void close();
	// The pool was opened, or closed, and this file with it.
	void pool_opened();
	void pool_closed();
	// What the pool's statistics have of it.
	Others others() const;

private:
	Bytes filled(unsigned char value) const;
	void left();

	int fd_;
	uint32_t page_size_;
	MPOOL *mp_ = nullptr;
	unsigned char value_[pages] = {};
	std::set<unsigned char> since_[pages]; // that may be in the file: what it had, and all after it
	bool dirty_[pages] = {};
	void *pinned_ = nullptr;
	uint32_t pinned_page_ = 0;
	uint64_t gets_ = 0, reads_ = 0, writes_ = 0; // the two of earlier handles
};

} // namespace fuzz

#endif
