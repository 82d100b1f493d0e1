// test_limits.cpp - the kernel's own limits, one after the other: of address
// space, of a file's size, of a file system; sweep.hpp says what must be true
// below each, and when it is raised.
//
// SPDX-License-Identifier: BSD-2-Clause
#include <csignal>

#include <sched.h>
#include <sys/mount.h>

#include "sweep_child.hpp"

using namespace sweep;
using test::sanitized;

namespace {

// A soft limit of this process, while it lives.
class Limit {
public:
	Limit(int resource, rlim_t limit) : resource_(static_cast<__rlimit_resource>(resource))
	{
		getrlimit(resource_, &old_);
		struct rlimit now = old_;
		now.rlim_cur = limit;
		if (setrlimit(resource_, &now) != 0)
			throw Wrong("setrlimit");
	}
	~Limit() { setrlimit(resource_, &old_); }

private:
	__rlimit_resource resource_;
	struct rlimit old_;
};

const Fault no_addresses = {Fault::memory, "address space", {}, true, {ENOMEM}};
const Fault too_large = {Fault::writes, "file size", {}, true, {EFBIG}};
const Fault no_space = {Fault::writes, "file system", {}, true, {ENOSPC}};

const Workload &named(const std::string &name)
{
	for (const Workload &work : small)
		if (work.name == name)
			return work;
	throw Wrong("no workload is named " + name);
}

// The workload under ever higher limits, until no call fails.
uint64_t raise(const Workload &work, const Fault &fault, const std::function<void(uint64_t step)> &begin,
	const std::function<void()> &end)
{
	const uint64_t steps_at_most = 5000;
	uint64_t step = 0;
	try {
		while (within(work, fault, [&] { begin(step); }, end) > 0)
			if (++step == steps_at_most)
				throw Wrong("calls fail at any limit");
	} catch (const Wrong &wrong) {
		throw Wrong(work.name + (", " + std::string(fault.name)) + ", step " + std::to_string(step) + ": " +
			    wrong.what());
	}
	return step;
}

} // namespace

TEST_CASE("with ever more address space the pool fails with ENOMEM, or works")
{
	if (sanitized) {
		WARN("skipped: sanitizers need addresses without end");
		return;
	}
	const rlim_t step_bytes = 4096;
	const size_t for_the_test = 8 << 20; // bytes
	uint64_t cases = in_child([&] {
		mallopt(M_MMAP_THRESHOLD, INT32_MAX);
		mallopt(M_TRIM_THRESHOLD, INT32_MAX);
		uint64_t n = 0;
		for (const char *name : {"evict", "write back", "append", "filters", "pins"}) {
			std::unique_ptr<Limit> limit;
			size_t size = test::statm().size + for_the_test;
			// The test itself must not run out: what it needs is in the heap from here on.
			void *volatile block = malloc(for_the_test);
			free(block);
			n += raise(
				named(name), no_addresses,
				[&](uint64_t step) {
					limit = std::make_unique<Limit>(RLIMIT_AS, size + step * step_bytes);
				},
				[&] { limit.reset(); });
		}
		return n;
	});
	WARN(cases << " cases");
	CHECK(cases >= 200);
}

TEST_CASE("with ever larger limits of a file's size the pool fails with EFBIG, or works")
{
	uint64_t cases = in_child([&] {
		signal(SIGXFSZ, SIG_IGN);
		uint64_t n = 0;
		for (const char *name : {"append", "filters"}) {
			const Workload &work = named(name);
			const rlim_t before = rlim_t{work.shape.pages} * work.shape.page_size + work.shape.tail,
				     step_bytes = 100;
			std::unique_ptr<Limit> limit;
			n += raise(
				work, too_large,
				[&](uint64_t step) {
					limit = std::make_unique<Limit>(RLIMIT_FSIZE, before + step * step_bytes);
				},
				[&] { limit.reset(); });
		}
		return n;
	});
	WARN(cases << " cases");
	CHECK(cases >= 50);
}

namespace {

void write_to(const char *path, const std::string &text)
{
	test::Fd fd(open(path, O_WRONLY | O_CLOEXEC));
	if (fd < 0 || write(fd, text.data(), text.size()) < 0)
		throw Wrong(path);
}

// May this process mount from here on?  As root, or as the root of a namespace of
// its own.
bool may_mount()
{
	std::string uid = std::to_string(geteuid()), gid = std::to_string(getegid());
	if (geteuid() == 0)
		return unshare(CLONE_NEWNS) == 0;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
		return false;
	write_to("/proc/self/setgroups", "deny");
	write_to("/proc/self/uid_map", "0 " + uid + " 1");
	write_to("/proc/self/gid_map", "0 " + gid + " 1");
	return true;
}

} // namespace

TEST_CASE("on a file system with ever more room the pool fails with ENOSPC, or works")
{
	const size_t block = 4096, blocks = 256;
	uint64_t cases = in_child([&]() -> uint64_t {
		if (!may_mount())
			return 0;
		std::string dir = test::tmp_dir(), size = "size=" + std::to_string(block * blocks);
		mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
		if (mount("tmpfs", dir.c_str(), "tmpfs", 0, size.c_str()) != 0)
			return 0;
		setenv("MPOOL_TEST_TMPDIR", dir.c_str(), 1);
		test::Fd filler(open((dir + "/filler").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
		std::vector<char> some(block, 'f');
		uint64_t n = 0;
		// Pages of a block's size: each of them needs room of its own.
		for (const char *name : {"append", "grow"}) {
			Workload work = name == std::string("grow") ? large.front() : named(name);
			if (work.name != std::string("grow"))
				work.shape.page_size = static_cast<pgno_t>(block);
			n += raise(
				work, no_space,
				[&](uint64_t step) {
					while (write(filler, some.data(), some.size()) > 0)
						;
					struct stat st;
					if (fstat(filler, &st) != 0 ||
						ftruncate(filler, st.st_size - static_cast<off_t>(step * block)) != 0)
						throw Wrong("the filler");
				},
				[&] {
					if (ftruncate(filler, 0) != 0)
						throw Wrong("the filler");
				});
		}
		return n;
	});
	if (cases == 0) {
		WARN("skipped: no file system can be mounted here");
		return;
	}
	WARN(cases << " cases");
	CHECK(cases >= 10);
}
