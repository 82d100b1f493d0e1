/*
 * mpool.cpp - the B+tree of examples/tree, on this library.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "store.hpp"

#include <algorithm>

#include <tree.h>

#include "compare/failure.hpp"

namespace trees {

namespace {

using compare::throw_errno;

constexpr uint64_t PAGE_BYTES = 4096;
constexpr uint32_t CLEANERS = 1;
constexpr uint64_t LOG_GRAIN = 1 << 20, LOG_LEAST = 4 * LOG_GRAIN;

/* A checkpoint is made when it is half full. */
uint64_t log_of(const Setup &s)
{
	return std::max(LOG_LEAST, 2 * s.log_bytes / LOG_GRAIN * LOG_GRAIN);
}

tree *opened(const Setup &s)
{
	tree_options options = {};
	options.cache = static_cast<uint32_t>(s.cache_bytes / PAGE_BYTES);
	options.log_bytes = log_of(s);
	options.cleaners = CLEANERS;
	tree *t = nullptr;
	if (tree_open(&t, (s.directory + "/tree").c_str(), &options) != 0)
		throw_errno("tree_open");
	return t;
}

class Thread : public Session {
public:
	Thread(tree *of, Durable d) : t(of), commits(d == Durable::each) {}

	void put(const Key &key, const Value &value) override
	{
		if (tree_put(t, key.bytes, sizeof key.bytes, value.words, sizeof value.words) != 0)
			throw_errno("tree_put");
		if (commits && tree_commit(t) != 0)
			throw_errno("tree_commit");
	}

	bool get(const Key &key, Value &value) override
	{
		ssize_t n = tree_get(t, key.bytes, sizeof key.bytes, value.words, sizeof value.words);
		if (n < 0 && errno != ENOENT)
			throw_errno("tree_get");
		return n == static_cast<ssize_t>(sizeof value.words);
	}

private:
	tree *const t;
	const bool commits;
};

class Tree : public Store {
public:
	explicit Tree(const Setup &s) : t(opened(s)), durable(s.durable) {}
	~Tree() override { tree_close(t); }
	Tree(const Tree &) = delete;
	Tree &operator=(const Tree &) = delete;

	std::unique_ptr<Session> session() override { return std::make_unique<Thread>(t, durable); }
	void checkpoint() override
	{
		if (tree_checkpoint(t) != 0)
			throw_errno("tree_checkpoint");
	}

private:
	tree *const t;
	const Durable durable;
};

} // namespace

Kind mpool_kind()
{
	return {"mpool", "libmpool", MPOOL_VERSION,
	        "the tree of examples/tree, in one process, with one cleaner; durable: tree_commit after each tree_put",
	        open_as<Tree>};
}

} // namespace trees
