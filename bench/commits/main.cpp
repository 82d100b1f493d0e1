// mpool-commits [DIRECTORY] [ROUNDS] [MILLISECONDS] - how long it takes to make a modified page durable.
//
// Each round runs each way once, in turn, for so long, in a file in the directory; what is
// printed is the median of all rounds, the least and the most, and the ratio to pwrite and
// fdatasync of the same page.  The ratio is of one round each, so what slows the machine for a
// while slows both.
//
// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <mpool.h>

#include "number.h"

namespace {

constexpr unsigned kCommitters = 16;
constexpr pgno_t kBeside = 900;
constexpr pgno_t kMany = 1000000, kFew = 100;
constexpr size_t kPage = 4096, kSmallPage = 512;

void must(bool right, const char *what)
{
	if (!right)
		throw std::system_error(errno, std::generic_category(), what);
}

// A file of so many pages, all of them written, and a pool that has them in memory.
class Pages {
public:
	Pages(const std::string &directory, size_t page, pgno_t pages) : page_(page)
	{
		std::string path = directory + "/mpool-commits.XXXXXX";
		fd_ = mkstemp(&path[0]);
		must(fd_ >= 0, path.c_str());
		unlink(path.c_str());
		std::vector<char> zeros(size_t{1} << 20);
		for (size_t left = page * pages; left > 0;) {
			ssize_t n = write(fd_, zeros.data(), std::min(left, zeros.size()));
			must(n > 0, "write");
			left -= static_cast<size_t>(n);
		}
		must(fsync(fd_) == 0, "fsync");
		mp_ = mpool_open(nullptr, fd_, static_cast<pgno_t>(page), pages);
		must(mp_ != nullptr, "mpool_open");
		for (pgno_t i = 0; i < pages; i++)
			touch(i, 0);
		modify(0);
		must(mpool_sync(mp_) == 0, "mpool_sync");
	}
	~Pages()
	{
		mpool_close(mp_);
		close(fd_);
	}
	Pages(const Pages &) = delete;
	Pages &operator=(const Pages &) = delete;

	void modify(pgno_t i) { touch(i, MPOOL_DIRTY); }
	void by_sync(pgno_t i)
	{
		modify(i);
		must(mpool_sync(mp_) == 0, "mpool_sync");
	}
	void by_range(pgno_t i)
	{
		modify(i);
		must(mpool_sync_range(mp_, i, 1, MPOOL_WRITE | MPOOL_FLUSH) == 0, "mpool_sync_range");
	}
	void by_pwrite(pgno_t i)
	{
		thread_local std::vector<char> bytes(kPage);
		bytes[0]++;
		must(pwrite(fd_, bytes.data(), page_, static_cast<off_t>(i * page_)) == static_cast<ssize_t>(page_),
		     "pwrite");
		must(fdatasync(fd_) == 0, "fdatasync");
	}

private:
	void touch(pgno_t i, unsigned flags)
	{
		char *page = static_cast<char *>(mpool_get(mp_, i, 0));
		must(page != nullptr, "mpool_get");
		if (flags)
			page[0]++;
		must(mpool_put(mp_, page, flags) == 0, "mpool_put");
	}

	size_t page_;
	int fd_;
	MPOOL *mp_;
};

// Microseconds for one commit, by so many threads, each of its own page.
double measure(unsigned threads, std::chrono::milliseconds time, const std::function<void(pgno_t)> &commit)
{
	std::atomic<bool> over{false};
	std::atomic<uint64_t> commits{0};
	std::vector<std::thread> all;
	auto began = std::chrono::steady_clock::now();
	for (unsigned t = 0; t < threads; t++)
		all.emplace_back([&, t] {
			uint64_t n = 0;
			for (; !over; n++)
				commit(t);
			commits += n;
		});
	std::this_thread::sleep_for(time);
	over = true;
	for (std::thread &t : all)
		t.join();
	std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - began;
	return took.count() / static_cast<double>(commits);
}

struct Way {
	const char *name;
	unsigned threads;
	std::function<void(pgno_t)> commit;
	size_t against; // which way its ratio is to
	std::vector<double> us = {}, ratio = {};
};

std::string summary(std::vector<double> values, int digits)
{
	std::sort(values.begin(), values.end());
	char text[100];
	snprintf(text, sizeof text, "%.*f (%.*f, %.*f)", digits, values[values.size() / 2], digits, values.front(),
	         digits, values.back());
	return text;
}

void run(const std::string &directory, unsigned rounds, std::chrono::milliseconds time)
{
	Pages small(directory, kPage, kFew), beside(directory, kPage, kFew + kBeside);
	Pages few(directory, kSmallPage, kFew), many(directory, kSmallPage, kMany);
	for (pgno_t i = 0; i < kBeside; i++)
		beside.modify(kFew + i);
	std::vector<Way> ways = {
		{"16 threads: pwrite, fdatasync", kCommitters, [&](pgno_t i) { small.by_pwrite(i); }, 0},
		{"16 threads: mpool_sync_range", kCommitters, [&](pgno_t i) { small.by_range(i); }, 0},
		{"16 threads: mpool_sync", kCommitters, [&](pgno_t i) { small.by_sync(i); }, 0},
		{"1 thread: pwrite, fdatasync", 1, [&](pgno_t i) { small.by_pwrite(i); }, 3},
		{"1 thread: mpool_sync_range", 1, [&](pgno_t i) { small.by_range(i); }, 3},
		{"1 thread, beside 900 modified pages: mpool_sync_range", 1, [&](pgno_t i) { beside.by_range(i); }, 3},
		{"1 thread, 100 pages in memory: mpool_sync", 1, [&](pgno_t i) { few.by_sync(i); }, 6},
		{"1 thread, 1,000,000 pages in memory: mpool_sync", 1, [&](pgno_t i) { many.by_sync(i); }, 6},
	};
	for (unsigned r = 0; r < rounds; r++)
		for (Way &w : ways) {
			w.us.push_back(measure(w.threads, time, w.commit));
			w.ratio.push_back(w.us.back() / ways[w.against].us.back());
		}
	printf("| way | us a commit: median (least, most) | times the first of its kind |\n|---|--:|--:|\n");
	for (const Way &w : ways)
		printf("| %s | %s | %s |\n", w.name, summary(w.us, 1).c_str(), summary(w.ratio, 2).c_str());
}

struct Asked {
	std::string directory = ".";
	unsigned rounds = 9;
	std::chrono::milliseconds time{500};
};

constexpr int kStatusUsage = 2;

error_t parse(int key, char *arg, argp_state *state)
{
	constexpr unsigned kMaxRounds = 1000, kMaxMilliseconds = 60'000;
	auto &o = *static_cast<Asked *>(state->input);

	if (key != ARGP_KEY_ARG || state->arg_num > 2)
		return ARGP_ERR_UNKNOWN;
	if (state->arg_num == 0)
		o.directory = arg;
	else if (state->arg_num == 1)
		o.rounds = static_cast<unsigned>(number(state, arg, "ROUNDS", 1, kMaxRounds));
	else
		o.time = std::chrono::milliseconds(number(state, arg, "MILLISECONDS", 1, kMaxMilliseconds));
	return 0;
}

const argp parser = {
	nullptr,
	parse,
	"[DIRECTORY] [ROUNDS] [MILLISECONDS]",
	"Measure how long it takes to make a modified page durable, in a file in the directory (.): so many rounds (9) "
	"of each way in turn, each for so long (500).",
	nullptr,
	nullptr,
	nullptr,
};

} // namespace

int main(int argc, char **argv)
try {
	Asked o;
	argp_program_version = "mpool-commits " MPOOL_VERSION;
	argp_err_exit_status = kStatusUsage;
	argp_parse(&parser, argc, argv, 0, nullptr, &o);
	run(o.directory, o.rounds, o.time);
	return 0;
} catch (const std::exception &e) {
	fprintf(stderr, "mpool-commits: %s\n", e.what());
	return 1;
}
