// test_check.cpp - a library that checks itself: each kind of wrong step aborts, and says
// what is wrong; who took a pin that is never put is told to who asks.
//
// SPDX-License-Identifier: BSD-2-Clause
#include <sys/syscall.h>

#include "check_inside.h"
#include "seccomp.hpp"
#include "support.hpp"

using namespace test;

namespace {

struct Ended {
	int status;
	std::string said; // on standard error
};

// Run `body` in a process of its own.
Ended in_child(const std::function<void()> &body)
{
	int end[2];
	REQUIRE(pipe(end) == 0);
	pid_t child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		const rlimit none = {0, 0};
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL); // not Catch's
		dup2(end[1], STDERR_FILENO);
		body();
		_exit(0);
	}
	close(end[1]);
	Ended e = {0, ""};
	char some[512];
	for (ssize_t n; (n = read(end[0], some, sizeof some)) > 0;)
		e.said.append(some, static_cast<size_t>(n));
	close(end[0]);
	REQUIRE(waitpid(child, &e.status, 0) == child);
	return e;
}

} // namespace

// For addr2line(1): not inlined.
__attribute__((noinline)) static void take_and_forget(MPOOL *mp, pgno_t page, unsigned flags)
{
	if (!mpool_get(mp, page, flags))
		abort();
	asm volatile("" ::: "memory"); // so that the call above is no jump
}

__attribute__((noinline)) static void make_and_forget(MPOOL *mp)
{
	pgno_t page;
	if (!mpool_new(mp, &page))
		abort();
	asm volatile("" ::: "memory");
}

TEST_CASE("a step that the tables do not have aborts, and says what is wrong")
{
	File file(512, 64);
	for (size_t i = 0; i < planted_steps; i++) {
		Ended e = in_child([&] {
			MPOOL *mp = mpool_open(nullptr, file.fd(), 512, 4);
			char *page = static_cast<char *>(mpool_get(mp, 0, 0));
			for (pgno_t n = 1; n < 4; n++)
				mpool_put(mp, mpool_get(mp, n, 0), 0);
			planted[i].make(mp, page);
			mpool_close(mp);
		});
		INFO(planted[i].what << ": " << e.said);
		CHECK(WIFSIGNALED(e.status));
		CHECK(WTERMSIG(e.status) == SIGABRT);
		CHECK(e.said.find("libmpool: ") == 0);
		CHECK(e.said.find(planted[i].says) != std::string::npos);
	}
}

TEST_CASE("what nobody has planted a fault in says nothing")
{
	File file(512, 64);
	Ended e = in_child([&] {
		MPOOL *mp = mpool_open(nullptr, file.fd(), 512, 4);
		for (int round = 0; round < 3; round++) {
			for (pgno_t n = 0; n < 64; n++)
				mpool_put(mp, mpool_get(mp, n, 0), n % 3 ? 0 : MPOOL_DIRTY);
			if (mpool_sync(mp) != 0)
				abort();
		}
		mpool_get(mp, 5, 0); // a pin that is left over is no fault of the library's
		mpool_close(mp);
	});
	INFO(e.said);
	CHECK(e.status == 0);
	CHECK(e.said.empty());
}

TEST_CASE("in a child that is refused membarrier each hit has its fence, of an attached file, too")
{
	if (!can_filter())
		return;
	const bool attached = GENERATE(false, true);
	CAPTURE(attached);
	File file(512, 64), other(512, 64);
	Ended e = in_child([&] {
		MPOOL *mp = mpool_open(nullptr, file.fd(), 512, 16), *of = attached ? mpool_attach(mp, other.fd()) : mp;
		mpool_put(of, mpool_get(of, 1, 0), 0);
		pid_t child = fork();
		if (child == 0) {
			if (!install_filter({SYS_membarrier}, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW))
				_exit(2);
			for (int i = 0; i < 3; i++)
				mpool_put(of, mpool_get(of, 1, 0), i ? 0 : MPOOL_DIRTY);
			_exit(mpool_sync(of) == 0 ? 0 : 1);
		}
		int status;
		if (waitpid(child, &status, 0) != child || status != 0)
			abort();
	});
	INFO(e.said);
	CHECK(WIFEXITED(e.status));
	CHECK(WEXITSTATUS(e.status) == 0);
	CHECK(e.said.empty());
}

TEST_CASE("an entry makes the steps of its table, and no other")
{
	size_t of;
	CHECK(planted_entry_steps(&of) == 12);
	CHECK(of == 25);
}

TEST_CASE("who took a pin that is never put is told by function and line")
{
	File file(512, 64);
	Ended e = in_child([&] {
		setenv("MPOOL_PINS", "1", 1);
		MPOOL *mp = mpool_open(nullptr, file.fd(), 512, 4);
		for (pgno_t n = 0; n < 8; n++)
			mpool_put(mp, mpool_get(mp, n, 0), 0);
		take_and_forget(mp, 7, 0); // a hit
		mpool_put(mp, mpool_get(mp, 6, 0), 0);
		take_and_forget(mp, 6, MPOOL_ONCE); // one that is more than three stores
		take_and_forget(mp, 3, 0);          // a miss
		std::thread([=] { make_and_forget(mp); }).join();
		mpool_close(mp);
	});
	INFO(e.said);
	CHECK(e.status == 0);
	// A line a pin; what it says after the last colon is a command.
	unsigned taken = 0, made = 0, lines = 0;
	for (size_t at = 0, end; (end = e.said.find('\n', at)) != std::string::npos; at = end + 1) {
		const std::string line = e.said.substr(at, end - at);
		const std::string command = line.substr(line.find(": addr2line") + 2);
		FILE *p = popen(command.c_str(), "r");
		REQUIRE(p);
		char answer[512] = "";
		CHECK(fgets(answer, sizeof answer, p));
		pclose(p);
		INFO(command << ": " << answer);
		CHECK(strstr(answer, "test_check.cpp:"));
		taken += strstr(answer, "take_and_forget") != nullptr;
		made += strstr(answer, "make_and_forget") != nullptr;
		lines++;
	}
	CHECK(lines == 4);
	CHECK(taken == 3);
	CHECK(made == 1);
	CHECK(e.said.find("page 7 pinned, and 1 ") != std::string::npos);
	CHECK(e.said.find("page 64 ") != std::string::npos);
}
