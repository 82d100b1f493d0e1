/*
 * store.hpp - a store of keys and values: what it has to offer to take part in mpool-trees.
 *
 * Keys have 8 bytes and are in the order of their bytes; values have 120.  A key stands for a number, the greatest
 * byte first, and its value follows from that: so every lookup can be compared with what was put.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "compare/page.hpp"

namespace trees {

constexpr size_t KEY_BYTES = 8, VALUE_WORDS = 15;

struct Key {
	explicit Key(uint64_t number)
	{
		for (size_t i = KEY_BYTES; i-- > 0; number >>= 8)
			bytes[i] = static_cast<unsigned char>(number);
	}

	unsigned char bytes[KEY_BYTES];
};

struct Value {
	Value() = default;
	explicit Value(uint64_t number)
	{
		for (size_t i = 0; i < VALUE_WORDS; i++)
			words[i] = word(number, i);
	}

	bool is_of(uint64_t number) const
	{
		uint64_t wrong = 0;
		for (size_t i = 0; i < VALUE_WORDS; i++)
			wrong |= words[i] ^ word(number, i);
		return wrong == 0;
	}

	uint64_t words[VALUE_WORDS];

private:
	static uint64_t word(uint64_t number, size_t i) { return (number + 1) * (2 * i + 3); }
};

constexpr size_t VALUE_BYTES = sizeof(Value), ENTRY_BYTES = KEY_BYTES + VALUE_BYTES;

/* When what was put is to survive a power cut. */
enum class Durable {
	later, /* after the next checkpoint at the latest; none of it is there in part */
	each,  /* when put() has returned */
};

struct Setup {
	std::string directory; /* there, and the store's own; empty, or as the store has left it */
	uint64_t cache_bytes;  /* in memory, of its own; about */
	uint64_t log_bytes;    /* for a log, if it has one and has to know: it need not make a checkpoint before */
	Durable durable;
	unsigned threads; /* use it at once, at most */
};

/* What one thread uses of it at a time. */
class Session {
public:
	virtual ~Session() = default;

	/* An operation of its own: others see it when it has returned. */
	virtual void put(const Key &, const Value &) = 0;
	/* false: there is no such key. */
	virtual bool get(const Key &, Value &) = 0;
};

class Store {
public:
	virtual ~Store() = default;

	virtual std::unique_ptr<Session> session() = 0;

	/* What was put is on stable storage, in its place; the log, if there is one, is not needed any more. */
	virtual void checkpoint() = 0;

	/* Nothing that it does by itself goes on any more. */
	virtual void settle() {}
};

struct Kind {
	const char *id;
	const char *name; /* in tables */
	std::string version;
	const char *setup; /* how, and why so */
	std::unique_ptr<Store> (*open)(const Setup &);
};

template <class S> std::unique_ptr<Store> open_as(const Setup &s)
{
	return std::make_unique<S>(s);
}

/* The stores, file by file. */
Kind mpool_kind();
Kind berkeley_kind();
Kind lmdb_kind();
Kind rocksdb_kind();
Kind sqlite_kind();

/* All that this build has. */
const std::vector<Kind> &kinds();

} // namespace trees
