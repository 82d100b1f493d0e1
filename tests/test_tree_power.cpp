// test_tree_power.cpp - examples/tree, when the power fails: threads modify, commit and make checkpoints; at any point of
// their writes, and whatever the disk may hold by then, who opens the tree finds all that was committed, and of each
// thread's operations a beginning.  And so after another cut, while it is recovered.
//
// What a disk may hold of a sector is as in power.hpp: what the last flush that ended has covered, or what any later write
// brought; each sector for itself.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

#include <map>

#include <sys/uio.h>

#include "tree.h"

using namespace test;

extern "C" {
ssize_t __real_pwrite(int fd, const void *from, size_t n, off_t offset);
ssize_t __real_pwritev(int fd, const struct iovec *iov, int n, off_t offset);
int __real_fdatasync(int fd);
ssize_t __wrap_pwrite(int fd, const void *from, size_t n, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int n, off_t offset);
int __wrap_fdatasync(int fd);
}

namespace {

constexpr unsigned workers = 2, keys = 250, commit_every = 25, checkpoint_every = 600;
constexpr uint64_t operations = 2500;
constexpr size_t sector_size = 512, files = 2; // the tree and its log
constexpr uint64_t log_bytes = 4 << 20;

// ---- What the threads do ----------------------------------------------------------

struct Operation {
	unsigned key;
	bool remove;
};

Operation operation(unsigned worker, uint64_t n)
{
	uint64_t r = mix(n * workers + worker);
	return {static_cast<unsigned>(r % keys), (r >> 32) % 8 < (n / 500 % 2 ? 6u : 2u)};
}

std::string key_of(unsigned worker, unsigned key)
{
	return std::to_string(key) + "/" + std::to_string(worker) + std::string(mix(key) % 50, '-');
}

std::string value_of(unsigned worker, unsigned key, uint64_t n)
{
	uint64_t seed = mix(mix(n * workers + worker) + key);
	return std::to_string(n) + ":" + std::string(seed % 400, static_cast<char>('a' + seed % 26));
}

// By key, the operation that put it; 0: it is not there.
using Keys = std::vector<uint64_t>;

void go_through(Keys &k, unsigned worker, uint64_t from, uint64_t to)
{
	for (uint64_t n = from + 1; n <= to; n++) {
		Operation o = operation(worker, n);
		k[o.key] = o.remove ? 0 : n;
	}
}

// How far each is: operations begun, and committed.
struct Progress {
	uint64_t begun[workers], committed[workers];
};

std::atomic<uint64_t> begun[workers], committed[workers];

// ---- What they write ----------------------------------------------------------------

struct Event {
	enum Kind { write_begins, write_ends, flush_begins, flush_ends } kind;
	size_t file;
	size_t id; // of what ends: the event with which it began
	off_t offset;
	std::vector<char> bytes;
	Progress progress; // by then
};

class Recorder {
public:
	explicit Recorder(const std::string &path)
	{
		for (size_t f = 0; f < files; f++) {
			std::string name = path + (f == 0 ? "" : ".log");
			int fd = open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
			REQUIRE(fd >= 0);
			REQUIRE(fstat(fd, &file_[f]) == 0);
			close(fd);
		}
		now = this;
	}
	~Recorder() { now = nullptr; }

	// `files`: none of the two.
	size_t which(int fd) const
	{
		struct stat st;
		for (size_t f = 0; fstat(fd, &st) == 0 && f < files; f++)
			if (st.st_dev == file_[f].st_dev && st.st_ino == file_[f].st_ino)
				return f;
		return files;
	}

	size_t add(Event event)
	{
		std::lock_guard<std::mutex> lock(mutex_);
		for (unsigned w = 0; w < workers; w++) {
			event.progress.committed[w] = committed[w];
			event.progress.begun[w] = begun[w];
		}
		events_.push_back(std::move(event));
		return events_.size() - 1;
	}

	const std::vector<Event> &events() const { return events_; }
	static Recorder *now;

private:
	struct stat file_[files];
	std::mutex mutex_;
	std::vector<Event> events_;
};

Recorder *Recorder::now;

// ---- What the disk may hold ------------------------------------------------------------

class Disk {
public:
	void take(const Event &event, size_t index)
	{
		Sectors &sectors = sectors_[event.file];
		switch (event.kind) {
		case Event::write_begins:
			for (size_t done = 0; done < event.bytes.size();) {
				size_t at = static_cast<size_t>(event.offset) + done, from = at % sector_size;
				size_t n = std::min(sector_size - from, event.bytes.size() - done);
				std::vector<Content> &contents = sectors[at / sector_size];
				if (contents.empty())
					contents.push_back({std::vector<char>(sector_size), 0, 0, true});
				Content content{contents.back().bytes, index, 0, false};
				memcpy(&content.bytes[from], &event.bytes[done], n);
				contents.push_back(std::move(content));
				done += n;
			}
			break;
		case Event::write_ends:
			for (auto &sector : sectors)
				for (Content &content : sector.second)
					if (!content.ended && content.write == event.id) {
						content.ended = true;
						content.ended_at = index;
					}
			break;
		case Event::flush_begins:
			break;
		case Event::flush_ends:
			for (auto &sector : sectors) {
				std::vector<Content> &c = sector.second;
				size_t certain = c.size() - 1;
				while (certain > 0 && !(c[certain].ended && c[certain].ended_at < event.id))
					certain--;
				c.erase(c.begin(), c.begin() + static_cast<std::ptrdiff_t>(certain));
			}
			break;
		}
	}

	// Of what the disk may hold, something; it is what the disk holds from now on.
	void cut(Random &random)
	{
		// Often all of it, or nothing that was not flushed, for whole stretches.
		uint64_t mood = random.below(4);
		for (Sectors &sectors : sectors_)
			for (auto &sector : sectors) {
				std::vector<Content> &c = sector.second;
				size_t i = mood == 0 ? c.size() - 1 : mood == 1 ? 0 : random.below(c.size());
				c = {{c[i].bytes, 0, 0, true}};
			}
	}

	// The process is killed; what it wrote is in the kernel's cache.
	void kill(size_t index)
	{
		for (Sectors &sectors : sectors_)
			for (auto &sector : sectors)
				for (Content &content : sector.second)
					if (!content.ended) {
						content.ended = true;
						content.ended_at = index;
					}
	}

	// What who reads the files sees: after a cut, what the disk holds.
	void write(const std::string &path) const
	{
		for (size_t f = 0; f < files; f++) {
			std::string name = path + (f == 0 ? "" : ".log");
			int fd = open(name.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
			REQUIRE(fd >= 0);
			for (const auto &sector : sectors_[f])
				REQUIRE(__real_pwrite(fd, sector.second.back().bytes.data(), sector_size,
						static_cast<off_t>(sector.first * sector_size)) ==
					static_cast<ssize_t>(sector_size));
			close(fd);
		}
	}

private:
	struct Content {
		std::vector<char> bytes;
		size_t write, ended_at;
		bool ended;
	};
	using Sectors = std::map<size_t, std::vector<Content>>;
	Sectors sectors_[files];
};

// ---- The run ------------------------------------------------------------------------------

std::string path_of(const char *which)
{
	return "/dev/shm/mpool-test-tree-power-" + std::to_string(getpid()) + "-" + which;
}

void remove_files(const std::string &path)
{
	unlink(path.c_str());
	unlink((path + ".log").c_str());
}

tree *open_tree(const std::string &path)
{
	tree *t = nullptr;
	tree_options options = {nullptr, 24, log_bytes, 0};
	INFO("tree_open: " << strerror(errno));
	REQUIRE(tree_open(&t, path.c_str(), &options) == 0);
	return t;
}

void work(tree *t, unsigned worker, Report &report)
{
	for (uint64_t n = 1; n <= shrink(operations) && !report.any(); n++) {
		Operation o = operation(worker, n);
		std::string key = key_of(worker, o.key), value = value_of(worker, o.key, n);
		begun[worker] = n;
		int failed = o.remove ? tree_delete(t, key.data(), key.size())
		                      : tree_put(t, key.data(), key.size(), value.data(), value.size());
		report.check(failed == 0 || (o.remove && errno == ENOENT), "an operation");
		if (n % commit_every == 0) {
			report.check(tree_commit(t) == 0, "commit");
			committed[worker] = n;
		}
		if (n % checkpoint_every == 0)
			report.check(tree_checkpoint(t) == 0, "checkpoint");
	}
}

struct Seen {
	Keys keys[workers];
	std::string wrong;
};

int see(void *arg, const void *key, size_t keylen, const void *value, size_t len)
{
	Seen *seen = static_cast<Seen *>(arg);
	std::string k(static_cast<const char *>(key), keylen), v(static_cast<const char *>(value), len);
	unsigned number = 0, worker = 0;
	uint64_t n = strtoull(v.c_str(), nullptr, 10);
	if (sscanf(k.c_str(), "%u/%u", &number, &worker) != 2 || number >= keys || worker >= workers ||
		k != key_of(worker, number) || v != value_of(worker, number, n))
		seen->wrong = k;
	else
		seen->keys[worker][number] = n;
	return 0;
}

// Each worker's keys are those after an operation from the last committed to the last begun.
void require_right(tree *t, const Progress &progress)
{
	const char *why = tree_check(t, nullptr);
	INFO((why ? why : "sound"));
	REQUIRE(why == nullptr);
	Seen seen{{Keys(keys), Keys(keys)}, ""};
	REQUIRE(tree_scan(t, TREE_FORWARD, nullptr, 0, see, &seen) == 0);
	REQUIRE(seen.wrong == "");
	for (unsigned w = 0; w < workers; w++) {
		CAPTURE(w, progress.committed[w], progress.begun[w]);
		Keys right(keys);
		uint64_t n = progress.committed[w];
		go_through(right, w, 0, n);
		for (; right != seen.keys[w]; n++) {
			REQUIRE(n < progress.begun[w]);
			go_through(right, w, n, n + 1);
		}
	}
}

// As the power fails now, or the process is killed; and the power once more while the tree is recovered.
void cut_twice(Disk disk, size_t index, const Progress &progress, Random &random)
{
	std::string path = path_of("cut");
	bool killed = random.below(2) == 0;
	for (bool again : {true, false}) {
		if (again && killed)
			disk.kill(index);
		else
			disk.cut(random);
		remove_files(path);
		disk.write(path);
		Recorder recorder(path);
		tree *t = open_tree(path);
		require_right(t, progress);
		REQUIRE(tree_close(t) == 0);
		if (!again)
			break;
		const std::vector<Event> &events = recorder.events();
		for (size_t i = 0, end = random.below(events.size() + 1), before = index + 1; i < end; i++) {
			Event event = events[i];
			event.id += before;
			disk.take(event, i + before);
		}
	}
	remove_files(path);
}

} // namespace

ssize_t __wrap_pwrite(int fd, const void *from, size_t n, off_t offset)
{
	struct iovec iov = {const_cast<void *>(from), n};
	return __wrap_pwritev(fd, &iov, 1, offset);
}

ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
	size_t file = Recorder::now ? Recorder::now->which(fd) : files;
	if (file == files)
		return __real_pwritev(fd, iov, n, offset);
	std::vector<char> bytes;
	for (int i = 0; i < n; i++) {
		const char *from = static_cast<const char *>(iov[i].iov_base);
		bytes.insert(bytes.end(), from, from + iov[i].iov_len);
	}
	size_t id = Recorder::now->add({Event::write_begins, file, 0, offset, bytes, {}});
	ssize_t written = __real_pwrite(fd, bytes.data(), bytes.size(), offset);
	Recorder::now->add({Event::write_ends, file, id, 0, {}, {}});
	return written;
}

int __wrap_fdatasync(int fd)
{
	size_t file = Recorder::now ? Recorder::now->which(fd) : files;
	if (file == files)
		return __real_fdatasync(fd);
	size_t id = Recorder::now->add({Event::flush_begins, file, 0, 0, {}, {}});
	for (int n = 0; n < 20; n++)
		std::this_thread::yield(); // a disk takes its time
	Recorder::now->add({Event::flush_ends, file, id, 0, {}, {}});
	return 0;
}

TEST_CASE("a tree has all that was committed, after any power cut")
{
	const char *given = getenv("MPOOL_TEST_SEED");
	uint64_t seed = given ? strtoull(given, nullptr, 0) : mix(static_cast<uint64_t>(getpid()));
	CAPTURE(seed);
	Random random(seed);
	std::string path = path_of("run");
	remove_files(path);
	std::vector<Event> events;
	{
		for (unsigned w = 0; w < workers; w++)
			begun[w] = committed[w] = 0;
		Recorder recorder(path);
		tree *t = open_tree(path);
		Report report;
		run_threads(workers, [&](unsigned w) { work(t, w, report); });
		report.require_none();
		REQUIRE(tree_close(t) == 0);
		events = recorder.events();
	}
	remove_files(path);
	Disk disk;
	uint64_t cuts = shrink(60), apart = std::max<uint64_t>(events.size() / cuts, 1), next = random.below(apart);
	for (size_t i = 0; i < events.size(); i++) {
		disk.take(events[i], i);
		if (i != next)
			continue;
		INFO("cut after event " << i << " of " << events.size());
		cut_twice(disk, i, events[i].progress, random);
		next += 1 + random.below(2 * apart);
	}
}
