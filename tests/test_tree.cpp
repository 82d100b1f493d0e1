// test_tree.cpp - examples/tree beside a map: whatever is done to one and the other, they hold the same, and the tree is
// sound.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <map>

#include <sys/resource.h>

#include "tree.h"

using namespace test;

namespace {

using Map = std::map<std::string, std::string>;

// A file, and its log, for one test; where a flush costs nothing, as a small cache makes many.
class TreeFile {
public:
	TreeFile() : path_("/dev/shm/mpool-test-tree-" + std::to_string(getpid())) { remove(); }
	~TreeFile() { remove(); }
	const char *path() const { return path_.c_str(); }

private:
	void remove()
	{
		for (const char *end : {"", ".log", ".shm"})
			unlink((path_ + end).c_str());
	}
	std::string path_;
};

class Tree {
public:
	explicit Tree(const TreeFile &file, uint32_t cache = 0, uint64_t log_bytes = 4 << 20, const char *key = nullptr,
		uint32_t cleaners = 0)
	{
		tree_options options = {key, cache, log_bytes, cleaners};
		REQUIRE(tree_open(&tree_, file.path(), &options) == 0);
	}
	~Tree() { CHECK(tree_close(tree_) == 0); }
	operator tree *() const { return tree_; }

private:
	tree *tree_;
};

int put(tree *t, const std::string &key, const std::string &value)
{
	return tree_put(t, key.data(), key.size(), value.data(), value.size());
}

int remove(tree *t, const std::string &key)
{
	return tree_delete(t, key.data(), key.size());
}

// "": there is none.
bool get(tree *t, const std::string &key, std::string &value)
{
	char buffer[TREE_ENTRY_MAX];
	ssize_t len = tree_get(t, key.data(), key.size(), buffer, sizeof buffer);
	if (len >= 0)
		value.assign(buffer, static_cast<size_t>(len));
	return len >= 0;
}

using Entries = std::vector<std::pair<std::string, std::string>>;

struct Scan {
	Entries entries;
	size_t most;
};

int add_entry(void *arg, const void *key, size_t keylen, const void *value, size_t len)
{
	Scan *scan = static_cast<Scan *>(arg);
	scan->entries.emplace_back(std::string(static_cast<const char *>(key), keylen),
		std::string(static_cast<const char *>(value), len));
	return scan->entries.size() == scan->most ? 7 : 0;
}

Entries scan(tree *t, tree_direction d, const std::string *from = nullptr, size_t most = SIZE_MAX)
{
	Scan s{{}, most};
	int result = tree_scan(t, d, from ? from->data() : nullptr, from ? from->size() : 0, add_entry, &s);
	REQUIRE(result == (s.entries.size() == most ? 7 : 0));
	return s.entries;
}

void require_sound(tree *t, uint64_t entries)
{
	uint64_t counted = 0;
	const char *why = tree_check(t, &counted);
	INFO((why ? why : "sound"));
	REQUIRE(why == nullptr);
	REQUIRE(counted == entries);
}

void require_same(tree *t, const Map &map)
{
	require_sound(t, map.size());
	REQUIRE(scan(t, TREE_FORWARD) == Entries(map.begin(), map.end()));
	REQUIRE(scan(t, TREE_BACKWARD) == Entries(map.rbegin(), map.rend()));
}

// Some from there on, either way.
void require_same_from(tree *t, const Map &map, const std::string &from)
{
	Entries forward, backward;
	for (auto i = map.lower_bound(from); i != map.end() && forward.size() < 50; ++i)
		forward.push_back(*i);
	for (auto i = map.upper_bound(from); i != map.begin() && backward.size() < 50;)
		backward.push_back(*--i);
	CHECK(scan(t, TREE_FORWARD, &from, 50) == forward);
	CHECK(scan(t, TREE_BACKWARD, &from, 50) == backward);
}

// Keys and values of all lengths, many with a long beginning in common, or zeros in them.
struct Kind {
	uint64_t keys;
	size_t key_more, value_most;
};

std::string key_of(const Kind &kind, uint64_t n)
{
	std::string key = n % 3 == 0 ? std::string(mix(n) % 40, 'p') : n % 3 == 1 ? std::string(n % 5, '\0') : "";
	key += std::to_string(n);
	key.append(kind.key_more ? mix(n + 1) % kind.key_more : 0, 'k');
	return key;
}

void operate(tree *t, Map &map, Random &random, const Kind &kind, unsigned deletes)
{
	std::string key = key_of(kind, random.below(kind.keys)), value;
	if (random.below(100) < deletes) {
		bool had = map.erase(key) > 0;
		errno = 0;
		REQUIRE(remove(t, key) == (had ? 0 : -1));
		REQUIRE((had || errno == ENOENT));
	} else {
		value.assign(random.below(kind.value_most + 1), static_cast<char>('a' + random.below(26)));
		REQUIRE(put(t, key, value) == 0);
		map[key] = value;
	}
	std::string other = key_of(kind, random.below(kind.keys));
	auto at = map.find(other);
	REQUIRE(get(t, other, value) == (at != map.end()));
	if (at != map.end())
		REQUIRE(value == at->second);
}

} // namespace

TEST_CASE("a tree holds what a map does")
{
	const Kind kind = GENERATE(Kind{3000, 0, 60}, Kind{600, 200, 700}, Kind{100000, 20, 8}, Kind{40, 200, 700});
	uint32_t cache = GENERATE(16u, 2000u);
	CAPTURE(kind.keys, cache);
	TreeFile file;
	Map map;
	Random random(kind.keys + cache);
	for (unsigned round = 0; round < 3; round++) {
		Tree t(file, cache, 4 << 20, nullptr, round); // with as many cleaners
		require_same(t, map);                         // as it was closed
		for (unsigned deletes : {20u, 60u, 95u, 30u}) {
			for (size_t i = 0; i < shrink(1500); i++)
				operate(t, map, random, kind, deletes);
			require_same(t, map);
			for (unsigned i = 0; i < 5; i++)
				require_same_from(t, map, key_of(kind, random.below(kind.keys)));
		}
	}
}

TEST_CASE("a tree grows by keys in order, and shrinks to nothing")
{
	TreeFile file;
	Map map;
	Tree t(file, 100);
	const unsigned keys = 20000;
	bool down = GENERATE(false, true);
	for (unsigned i = 0; i < keys; i++) {
		char key[16];
		snprintf(key, sizeof key, "%08u", down ? keys - i : i);
		REQUIRE(put(t, key, "value") == 0);
		map[key] = "value";
	}
	require_same(t, map);
	uint64_t bytes;
	{
		struct stat st;
		REQUIRE(tree_checkpoint(t) == 0);
		REQUIRE(stat(file.path(), &st) == 0);
		bytes = static_cast<uint64_t>(st.st_size);
	}
	// An entry takes 24 bytes of 4,048: in order, pages are full.
	CHECK(bytes < (down ? 55u : 30u) * keys);
	for (const auto &entry : map)
		REQUIRE(remove(t, entry.first) == 0);
	require_same(t, {});
	// What was freed is used again.
	for (const auto &entry : map)
		REQUIRE(put(t, entry.first, entry.second) == 0);
	require_same(t, map);
	REQUIRE(tree_checkpoint(t) == 0);
	struct stat st;
	REQUIRE(stat(file.path(), &st) == 0);
	CHECK(static_cast<uint64_t>(st.st_size) <= (down ? 1 : 2) * bytes);
}

TEST_CASE("the bounds of a tree's keys and values")
{
	TreeFile file;
	Map map;
	{
		Tree t(file, 16);
		std::string longest(TREE_KEY_MAX, 'k'), value(TREE_ENTRY_MAX - TREE_KEY_MAX, 'v'), got;
		REQUIRE_FAILS(put(t, longest + "k", ""), EINVAL);
		REQUIRE_FAILS(put(t, longest, value + "v"), EINVAL);
		REQUIRE_FAILS(put(t, "", std::string(TREE_ENTRY_MAX + 1, 'v')), EINVAL);
		REQUIRE_FAILS(remove(t, longest + "k"), EINVAL);
		REQUIRE_FAILS(get(t, longest + "k", got) ? 0 : -1, EINVAL);
		map[""] = std::string(TREE_ENTRY_MAX, 'v');
		map["empty"] = "";
		map[longest] = value;
		// Keys that differ in their last byte only: separators, and fences, are as long as keys can be.
		for (unsigned i = 0; i < 1000; i++)
			map[std::string(TREE_KEY_MAX - 2, 'x') + static_cast<char>(i / 250) +
				static_cast<char>(i % 250)] = value;
		for (const auto &entry : map)
			REQUIRE(put(t, entry.first, entry.second) == 0);
		require_same(t, map);
		char small[3];
		CHECK(tree_get(t, longest.data(), longest.size(), small, sizeof small) ==
			static_cast<ssize_t>(value.size()));
		CHECK(std::string(small, 3) == "vvv");
	}
	Tree t(file, 16);
	require_same(t, map);
	for (const auto &entry : map)
		REQUIRE(put(t, entry.first, "") == 0);
	for (auto &entry : map)
		entry.second = "";
	require_same(t, map);
}

TEST_CASE("what is no tree is not opened, nor one that another has")
{
	TreeFile file;
	tree *t = nullptr;
	tree_options options = {};
	SECTION("a file of something else")
	{
		int fd = open(file.path(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
		std::string text(8192, 'x');
		REQUIRE(write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
		REQUIRE_FAILS(tree_open(&t, file.path(), nullptr), EBADMSG);
		REQUIRE(pread(fd, &text[0], text.size(), 0) == static_cast<ssize_t>(text.size()));
		CHECK(text == std::string(8192, 'x'));
		close(fd);
	}
	SECTION("one that is damaged")
	{
		{
			Tree made(file);
			REQUIRE(put(made, "key", "value") == 0);
		}
		int fd = open(file.path(), O_RDWR | O_CLOEXEC);
		REQUIRE(pwrite(fd, "x", 1, 4096 + 100) == 1); // the root
		close(fd);
		Tree damaged(file);
		std::string value;
		REQUIRE_FAILS(get(damaged, "key", value) ? 0 : -1, EBADMSG);
	}
	SECTION("one that is open")
	{
		Tree open(file);
		REQUIRE_FAILS(tree_open(&t, file.path(), nullptr), EBUSY);
		options.key = "libmpool.test_tree";
		REQUIRE_FAILS(tree_open(&t, file.path(), &options), EBUSY);
	}
	SECTION("a log that is too small")
	{
		options.log_bytes = 1 << 20;
		REQUIRE_FAILS(tree_open(&t, file.path(), &options), EINVAL);
	}
	SECTION("a folder that is not there")
	{
		REQUIRE_FAILS(tree_open(&t, "/nonexistent/tree", nullptr), ENOENT);
	}
}

namespace {

// A process that ends without closing the tree.
void crash_after(const TreeFile &file, const std::function<bool(tree *)> &work)
{
	pid_t pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		tree *t = nullptr;
		tree_options options = {nullptr, 0, 4 << 20, 0};
		bool well = tree_open(&t, file.path(), &options) == 0 && work(t) && tree_commit(t) == 0;
		_exit(well ? 0 : 1);
	}
	int status = 0;
	REQUIRE(waitpid(pid, &status, 0) == pid);
	REQUIRE((WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

// A record is lost, as that of a sector that has not reached the disk.
void lose_from_log(const TreeFile &file, const std::string &bytes)
{
	int fd = open((file.path() + std::string(".log")).c_str(), O_RDWR | O_CLOEXEC);
	REQUIRE(fd >= 0);
	std::string log(1 << 20, '\0');
	ssize_t n = pread(fd, &log[0], log.size(), 0);
	REQUIRE(n > 0);
	size_t at = log.find(bytes);
	REQUIRE(at != std::string::npos);
	REQUIRE(pwrite(fd, "\0", 1, static_cast<off_t>(at)) == 1);
	close(fd);
}

} // namespace

TEST_CASE("what a power cut has left behind the log's end is not taken up again")
{
	TreeFile file;
	std::string value;
	crash_after(file, [](tree *t) {
		return put(t, "none", "value") == 0 && tree_checkpoint(t) == 0 && put(t, "one", "value one") == 0 &&
		       put(t, "two", "value two") == 0;
	});
	lose_from_log(file, "value one");
	// A record of the same length is in its place, and behind it is one that was valid.
	crash_after(file, [](tree *t) {
		char had[1];
		return tree_get(t, "one", 3, had, 1) == -1 && tree_get(t, "two", 3, had, 1) == -1 &&
		       put(t, "one", "other one") == 0;
	});
	Tree t(file);
	require_same(t, {{"none", "value"}, {"one", "other one"}});
}

namespace {

constexpr unsigned own_keys = 300, shared_keys = 40;

std::string own_key(unsigned thread, uint64_t n)
{
	return std::to_string(n) + ":" + std::to_string(thread); // neighbours are other threads'
}

// Values of shared keys: ten times the same byte.
bool is_whole(const std::string &value)
{
	return value.size() >= 10 && value == std::string(value.size(), value[0]);
}

// Entries are in order, and each is whole.
int look(void *arg, const void *key, size_t keylen, const void *value, size_t len)
{
	auto *before = static_cast<std::pair<std::string, bool> *>(arg);
	std::string k(static_cast<const char *>(key), keylen), v(static_cast<const char *>(value), len);
	before->second &= (before->first.empty() || before->first < k) && (k[0] != 's' || is_whole(v));
	before->first = k;
	return 0;
}

void work(tree *t, unsigned thread, Map &map, Report &report, uint64_t rounds)
{
	Random random(thread + 1);
	std::string value;
	for (uint64_t i = 0; i < rounds && !report.any(); i++) {
		std::string key = own_key(thread, random.below(own_keys));
		if (random.below(3) == 0) {
			report.check((remove(t, key) == 0) == (map.erase(key) == 1), "delete");
		} else {
			map[key] = std::string(random.below(300), static_cast<char>('a' + thread));
			report.check(put(t, key, map[key]) == 0, "put");
		}
		key = own_key(thread, random.below(own_keys));
		auto at = map.find(key);
		bool found = get(t, key, value);
		report.check(found == (at != map.end()) && (!found || value == at->second), "an own key");
		key = "s" + std::to_string(random.below(shared_keys));
		if (random.below(2) == 0)
			report.check(
				put(t, key, std::string(10 + random.below(200), static_cast<char>('A' + i % 26))) == 0,
				"put of a shared key");
		else if (random.below(4) == 0)
			report.check(remove(t, key) == 0 || errno == ENOENT, "delete of a shared key");
		else if (get(t, key, value))
			report.check(is_whole(value), "a shared key's value");
		if (random.below(200) == 0)
			report.check(tree_commit(t) == 0, "commit");
		if (random.below(1000) == 0)
			report.check(tree_checkpoint(t) == 0, "checkpoint");
	}
}

} // namespace

TEST_CASE("threads have keys of their own, and some that all have, in one tree")
{
	uint32_t cache = GENERATE(20u, 2000u);
	CAPTURE(cache);
	constexpr unsigned workers = 4, scanners = 2;
	TreeFile file;
	Tree t(file, cache);
	std::vector<Map> maps(workers);
	Report report;
	std::atomic<unsigned> working{workers};
	run_threads(workers + scanners, [&](unsigned n) {
		if (n < workers) {
			work(t, n, maps[n], report, shrink(4000));
			working--;
			return;
		}
		while (working > 0 && !report.any()) {
			std::pair<std::string, bool> seen{"", true};
			tree_direction d = TREE_FORWARD;
			report.check(tree_scan(t, d, nullptr, 0, look, &seen) == 0 && seen.second, "a scan");
		}
	});
	report.require_none();
	uint64_t entries = 0;
	require_sound(t, (tree_check(t, &entries), entries));
	Map all;
	for (const Map &map : maps)
		all.insert(map.begin(), map.end());
	for (const auto &entry : scan(t, TREE_FORWARD))
		if (entry.first[0] == 's')
			all.insert(entry);
	require_same(t, all);
}
