// test_nbd_store.cpp - the store over NBD, by its functions: what it answers, and what becomes of its requests when the
// server fails, dies, hangs or comes back as another.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "server.hpp"

#include <random>

extern "C" {
#include "stable.h"
}

using namespace test;

namespace {

constexpr size_t BLOCK = 4096;

std::string block(char of)
{
	return std::string(BLOCK, of);
}

// Waits for a server to be there again.
int until_connected(const std::function<int()> &request)
{
	int error;
	await([&] { return (error = request()) != ENOTCONN && error != ECONNRESET; });
	return error;
}

size_t descriptors()
{
	size_t n = 0;
	DIR *dir = opendir("/proc/self/fd");
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

// How often the stores' threads have slept.
unsigned long sleeps()
{
	unsigned long n = 0;
	DIR *dir = opendir("/proc/self/task");
	while (const struct dirent *task = readdir(dir)) {
		std::string path = std::string("/proc/self/task/") + task->d_name, word = "voluntary_ctxt_switches:";
		if (task->d_name[0] == '.' || text_of(path + "/comm") != "mpool-nbd\n")
			continue;
		std::string status = text_of(path + "/status");
		n += std::stoul(status.substr(status.find("\n" + word) + word.size() + 1));
	}
	closedir(dir);
	return n;
}

// A server with files for gates: a read from block N on is answered when there is the file N.
Words gated(const Folder &folder)
{
	return {"eval", "get_size=echo 1M", "thread_model=echo parallel",
		"pread=while [ ! -e " + folder.file("$(($4 / 4096))") +
			" ]; do sleep 0.01; done; dd if=/dev/zero count=$3 iflag=count_bytes status=none"};
}

// Requests that somebody is going to wait for.
class Waiter {
public:
	explicit Waiter(const Store &store) : store_(store) {}
	void read(uint64_t at)
	{
		iov_ = {&bytes_[0], bytes_.size()};
		io_ = {MPOOL_IO_READ, at, &iov_, 1, done, this, this};
		REQUIRE(mpool_nbd_store.submit(store_.cookie(), &io_) == 0);
	}
	// True: it drives, or did.
	bool wait(int fd = -1, int ms = -1) { return mpool_nbd_store.wait(store_.cookie(), this, fd, ms) == 0; }
	bool told() const { return told_; }
	ssize_t result() const { return result_; }

private:
	static void done(struct mpool_io *io, ssize_t bytes)
	{
		Waiter *w = static_cast<Waiter *>(io->own);
		w->result_ = bytes;
		w->told_ = true;
	}
	const Store &store_;
	std::string bytes_ = block('x');
	struct iovec iov_;
	struct mpool_io io_;
	ssize_t result_ = 0;
	std::atomic<bool> told_{false};
};

size_t threads()
{
	size_t n = 0;
	DIR *dir = opendir("/proc/self/task");
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

} // namespace

TEST_CASE("nbd stable: what was answered and lost is told once, by the next flush that ends")
{
	struct stable s = {};
	uint64_t first = stable_answered(&s);
	SECTION("a flush that succeeds covers what was answered when it began")
	{
		REQUIRE(stable_flushed(&s, s.answered, 0) == 0);
		stable_lost(&s, first);
		REQUIRE(stable_flushed(&s, s.answered, 0) == 0);
	}
	SECTION("lost: the next fails, and only that")
	{
		stable_lost(&s, first);
		REQUIRE(stable_flushed(&s, s.answered, 0) == EIO);
		REQUIRE(stable_flushed(&s, s.answered, 0) == 0);
	}
	SECTION("one that began before the last answer does not tell of it, though it fails")
	{
		uint64_t began = s.answered;
		uint64_t second = stable_answered(&s);
		stable_lost(&s, second);
		REQUIRE(stable_flushed(&s, began, GENERATE(as<int>{}, 0, ENOSPC)) != 0);
		REQUIRE(stable_flushed(&s, s.answered, 0) == EIO);
		REQUIRE(stable_flushed(&s, s.answered, 0) == 0);
	}
	SECTION("a flush that could not be made has told nothing")
	{
		stable_lost(&s, first);
		int error = GENERATE(as<int>{}, ENOTCONN, ECONNRESET, ETIMEDOUT, ESHUTDOWN);
		REQUIRE(stable_flushed(&s, s.answered, error) == error);
		REQUIRE(stable_flushed(&s, s.answered, 0) == EIO);
		REQUIRE(stable_flushed(&s, s.answered, 0) == 0);
	}
	SECTION("a flush that failed for another reason has told")
	{
		stable_lost(&s, first);
		REQUIRE(stable_flushed(&s, s.answered, ENOSPC) == ENOSPC);
		REQUIRE(stable_flushed(&s, s.answered, 0) == 0);
	}
	SECTION("an older flush takes nothing back")
	{
		uint64_t began = s.answered;
		uint64_t second = stable_answered(&s);
		REQUIRE(stable_flushed(&s, s.answered, 0) == 0);
		REQUIRE(stable_flushed(&s, began, 0) == 0);
		stable_lost(&s, second);
		REQUIRE(stable_flushed(&s, s.answered, 0) == 0);
	}
	SECTION("nothing was answered on the connection that is lost")
	{
		stable_lost(&s, 0);
		REQUIRE(stable_flushed(&s, s.answered, 0) == 0);
	}
}

TEST_CASE("nbd store: pieces of memory of any size come to the right bytes and from them")
{
	const size_t BLOCKS = 300, BYTES = 512;
	Words limits = {"--filter=blocksize-policy", "blocksize-minimum=512", "blocksize-preferred=4096",
		"blocksize-maximum=65536", "blocksize-error-policy=error"};
	bool limited = GENERATE(true, false);
	Words words = limited ? limits : Words{};
	words.insert(words.end(), {"memory", "size=" + std::to_string(BLOCKS * BYTES)});
	Server server(words);
	Store store(server.uri());
	REQUIRE(store.size() == BLOCKS * BYTES);
	std::string model(BLOCKS * BYTES, '\0');
	std::mt19937 random(1);
	auto below = [&](size_t n) { return random() % n; };
	for (unsigned round = 0; round < shrink(400); round++) {
		size_t from = below(BLOCKS), left = 1 + below(BLOCKS - from);
		uint64_t at = from * BYTES;
		std::vector<std::string> pieces;
		for (size_t n; left > 0; left -= n) {
			n = 1 + below(left < 40 ? left : 40);
			pieces.emplace_back(n * BYTES, static_cast<char>(random()));
		}
		std::string all;
		for (const std::string &piece : pieces)
			all += piece;
		Submitted submitted;
		if (below(2)) {
			submitted.submit(store, MPOOL_IO_WRITE, at, pieces);
			submitted.await_all();
			REQUIRE(submitted.result(0) == static_cast<ssize_t>(all.size()));
			model.replace(at, all.size(), all);
		} else {
			submitted.submit(store, MPOOL_IO_READ, at, pieces);
			submitted.await_all();
			REQUIRE(submitted.result(0) == static_cast<ssize_t>(all.size()));
			all.clear();
			for (const std::string &piece : pieces)
				all += piece;
			REQUIRE(model.compare(at, all.size(), all) == 0);
		}
	}
	REQUIRE(store.flush() == 0);
	if (limited) {
		std::string half(BYTES / 2, 'x');
		CHECK(store.read(half, 0) == EINVAL);
		CHECK(store.write(half, 0) == EINVAL);
		std::string whole(BYTES, 'x');
		CHECK(store.write(whole, BYTES / 2) == EINVAL);
	}
}

TEST_CASE("nbd store: an export has an end, which does not move")
{
	Server server({"memory", "size=10000"});
	Store store(server.uri());
	std::string two(8192, 'x');
	struct iovec iov = {&two[0], two.size()};
	CHECK(mpool_nbd_store.readv(store.cookie(), &iov, 1, 8192) == 10000 - 8192);
	CHECK(mpool_nbd_store.readv(store.cookie(), &iov, 1, 10000) == 0);
	CHECK(mpool_nbd_store.readv(store.cookie(), &iov, 1, UINT64_MAX - 4095) == 0);
	CHECK(mpool_nbd_store.writev(store.cookie(), &iov, 1, 8192) == 10000 - 8192);
	CHECK(store.write(two, 10000) == ENOSPC);
	CHECK(store.write(two, UINT64_MAX - 4095) == ENOSPC);
	CHECK(mpool_nbd_store.truncate == nullptr);
	CHECK(store.size() == 10000);
}

TEST_CASE("nbd store: what a server does not have is said")
{
	SECTION("it is read-only")
	{
		Server server({"-r", "memory", "size=1M"});
		Store store(server.uri());
		std::string bytes = block('x');
		CHECK(store.write(bytes, 0) == EROFS);
		CHECK(store.flush() == 0);
		CHECK(store.read(bytes, 0) == 0);
	}
	SECTION("it can flush nothing")
	{
		Server server(
			{"eval", "get_size=echo 1M", "pread=dd if=/dev/zero count=$3 iflag=count_bytes status=none",
				"can_write=exit 0", "pwrite=cat > /dev/null"});
		Store store(server.uri());
		CHECK(store.write(block('x'), 0) == 0);
		CHECK(store.flush() == EOPNOTSUPP);
	}
	SECTION("each write can be flushed, and is then")
	{
		Folder folder;
		Server server({"eval", "get_size=echo 1M",
			"pread=dd if=/dev/zero count=$3 iflag=count_bytes status=none", "can_write=exit 0",
			"can_fua=echo native", "pwrite=cat > /dev/null; echo \"flags=$5\" >> " + folder.file("f")});
		Store store(server.uri());
		CHECK(store.write(block('x'), 0) == 0);
		CHECK(store.flush() == 0);
		CHECK(text_of(folder.file("f")) == "flags=fua\n");
	}
}

TEST_CASE("nbd store: what the server answers is the errno")
{
	std::string error = GENERATE(as<std::string>{}, "EIO", "ENOSPC", "EPERM", "ENOMEM");
	const int number = error == "EIO" ? EIO : error == "ENOSPC" ? ENOSPC : error == "EPERM" ? EPERM : ENOMEM;
	Folder folder;
	Server server({"--filter=error", "memory", "size=1M", "error=" + error, "error-rate=100%",
		"error-file=" + folder.file("fail")});
	Store store(server.uri());
	REQUIRE(store.write(block('a'), 0) == 0);
	make_file(folder.file("fail"));
	std::string bytes = block('-');
	CHECK(store.read(bytes, 0) == number);
	CHECK(store.write(block('b'), BLOCK) == number);
	CHECK(unlink(folder.file("fail").c_str()) == 0);
	CHECK(store.read(bytes, 0) == 0);
	CHECK(bytes == block('a'));
	CHECK(store.flush() == 0);
}

TEST_CASE("nbd store: of a request that fails in part the bytes up to there are told")
{
	// Fails from the second 64 KiB on.
	Server server({"eval", "get_size=echo 1M", "block_size=echo 1 4096 65536",
		"pread=[ $4 -lt 65536 ] || { echo EIO failed >&2; exit 1; }; dd if=/dev/zero count=$3 iflag=count_bytes status=none"});
	Store store(server.uri());
	Submitted submitted;
	std::vector<std::string> from_0 = {std::string(200000, 'x')}, from_1 = {std::string(200000, 'x')};
	submitted.submit(store, MPOOL_IO_READ, 0, from_0);
	submitted.submit(store, MPOOL_IO_READ, 65536, from_1);
	submitted.await_all();
	CHECK(submitted.result(0) == 65536);
	CHECK(submitted.result(1) == -EIO);
}

TEST_CASE("nbd store: many requests are in flight, on as many connections as are wanted")
{
	unsigned connections = GENERATE(1, 3);
	Folder folder;
	Words words = Pause::filters(folder);
	words.insert(words.end(), {"memory", "size=1M"});
	Server server(words);
	struct mpool_nbd_options options = {};
	options.connections = connections;
	Store store(server.uri(), options);
	Pause pause(folder.file("pause"));
	pause.pause();
	const size_t N = 48;
	std::vector<std::vector<std::string>> memory(N);
	Submitted submitted;
	for (size_t i = 0; i < N; i++) {
		memory[i] = {block('x')};
		submitted.submit(store, MPOOL_IO_READ, i * BLOCK, memory[i]);
		await([&] { return occurrences(text_of(folder.file("log")), " Read id=") > i; });
		// Where eight are in flight on each, another one is made.
		if (i % 9 == 8)
			await([&] {
				return occurrences(text_of(folder.file("log")), " Connect ") >=
				       std::min<size_t>(connections, i / 9 + 2);
			});
	}
	CHECK(submitted.told() == 0);
	pause.resume();
	submitted.await_all();
	for (size_t i = 0; i < N; i++)
		CHECK(submitted.result(i) == static_cast<ssize_t>(BLOCK));
	std::string log = text_of(folder.file("log"));
	for (unsigned i = 1; i <= 4; i++)
		CHECK((occurrences(log, "connection=" + std::to_string(i) + " Read id=") > 0) == (i <= connections));
}

TEST_CASE("nbd store: a server that shares nothing between connections has one")
{
	Folder folder;
	Words words = Pause::filters(folder);
	words.insert(words.begin(), "--filter=multi-conn");
	words.insert(words.end(), {"memory", "size=1M", "multi-conn-mode=disable"});
	Server server(words);
	struct mpool_nbd_options options = {};
	options.connections = 4;
	Store store(server.uri(), options);
	Pause pause(folder.file("pause"));
	pause.pause();
	Submitted submitted;
	std::vector<std::vector<std::string>> memory(48);
	for (size_t i = 0; i < memory.size(); i++) {
		memory[i] = {block('x')};
		submitted.submit(store, MPOOL_IO_READ, i * BLOCK, memory[i]);
	}
	await([&] { return occurrences(text_of(folder.file("log")), "connection=1 Read id=") >= memory.size(); });
	pause.resume();
	submitted.await_all();
	CHECK(occurrences(text_of(folder.file("log")), "connection=2 ") == 0);
}

TEST_CASE("nbd store: who waits for requests has the connection meanwhile, and the thread is not woken")
{
	Server server({"memory", "size=1M"});
	Store store(server.uri());
	constexpr unsigned long N = 2000;
	std::string bytes = block('x');
	unsigned long before = sleeps();
	SECTION("reads, one at a time")
	{
		for (unsigned long i = 0; i < N; i++)
			REQUIRE(store.read(bytes, i % 256 * BLOCK) == 0);
	}
	SECTION("several that are submitted")
	{
		for (unsigned long i = 0; i < N; i += 4) {
			Waiter w[] = {Waiter(store), Waiter(store), Waiter(store), Waiter(store)};
			for (Waiter &one : w)
				one.read(i % 256 * BLOCK);
			for (Waiter &one : w)
				while (!one.told())
					(void)one.wait();
		}
	}
	// It looks around ten times a second.
	CHECK(sleeps() - before < N / 4);
}

TEST_CASE("nbd store: what others wait for goes on when he who had the connection has what he waited for")
{
	Folder folder;
	Server server(gated(folder));
	Store store(server.uri());
	Waiter first(store), second(store);
	first.read(0);
	std::thread drives([&] {
		while (!first.told())
			(void)first.wait();
	});
	second.read(BLOCK);
	// He drives for a moment, unless the other does already.
	await([&] { return !second.wait(-1, 1); });
	make_file(folder.file("0"));
	drives.join();
	CHECK(!second.told());
	make_file(folder.file("1"));
	await([&] { return second.told(); });
	CHECK(first.result() == static_cast<ssize_t>(BLOCK));
	CHECK(second.result() == static_cast<ssize_t>(BLOCK));
}

TEST_CASE("nbd store: who waits returns when a descriptor can be read, and when the time is over")
{
	Folder folder;
	Server server(gated(folder));
	Store store(server.uri());
	Waiter w(store);
	CHECK(!w.wait());
	w.read(0);
	CHECK(w.wait(-1, 1));
	CHECK(!w.told());
	int ends[2];
	REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
	Fd from(ends[0]), to(ends[1]);
	REQUIRE(write(to, "x", 1) == 1);
	CHECK(w.wait(from));
	CHECK(!w.told());
	make_file(folder.file("0"));
	while (!w.told())
		(void)w.wait();
	CHECK(!w.wait());
}

TEST_CASE("nbd store: a request that nobody waits for is made while another's waiter has the connection")
{
	Folder folder;
	Server server(gated(folder));
	Store store(server.uri());
	Waiter w(store);
	w.read(0);
	std::thread drives([&] {
		while (!w.told())
			(void)w.wait();
	});
	Submitted submitted;
	std::vector<std::string> memory = {block('x')};
	submitted.submit(store, MPOOL_IO_READ, BLOCK, memory);
	make_file(folder.file("1"));
	submitted.await_all();
	CHECK(submitted.result(0) == static_cast<ssize_t>(BLOCK));
	CHECK(!w.told());
	make_file(folder.file("0"));
	await([&] {
		(void)w.wait(-1, 1);
		return w.told();
	});
	drives.join();
}

TEST_CASE("nbd store: a server that is started anew between two requests is not noticed by them")
{
	Server server({"memory", "size=1M"});
	Store store(server.uri());
	std::string bytes = block('x');
	for (int i = 0; i < 5; i++) {
		REQUIRE(store.read(bytes, 0) == 0);
		server.end(SIGKILL);
		server.begin();
	}
	CHECK(store.read(bytes, 0) == 0);
}

TEST_CASE("nbd store: a server that ends while nothing is asked of it is let go of")
{
	Server server({"memory", "size=1M"});
	Store store(server.uri());
	std::string bytes = block('x');
	REQUIRE(store.read(bytes, 0) == 0);
	size_t before = descriptors();
	server.end(SIGKILL);
	await([&] { return descriptors() == before - 1; });
}

TEST_CASE("nbd store: where there is TLS it does the same")
{
	if (system("nbdkit --dump-config | grep -q tls=yes") != 0) {
		WARN("skipped: nbdkit has no TLS");
		return;
	}
	Folder folder;
	make_file(folder.file("keys"), "qemu:0123456789abcdef0123456789abcdef\n");
	Server server({"--tls=require", "--tls-psk=" + folder.file("keys"), "memory", "size=1M"});
	Store store("nbds+unix://qemu@/?socket=" + server.uri().substr(server.uri().find('=') + 1) +
		    "&tls-psk-file=" + folder.file("keys"));
	std::string bytes = block('a');
	REQUIRE(store.write(bytes, BLOCK) == 0);
	REQUIRE(store.flush() == 0);
	Waiter w(store);
	w.read(BLOCK);
	CHECK(!w.wait());
	await([&] { return w.told(); });
	CHECK(w.result() == static_cast<ssize_t>(BLOCK));
	std::vector<std::vector<std::string>> memory(64, {block('x')});
	{
		Submitted submitted;
		for (auto &one : memory)
			submitted.submit(store, MPOOL_IO_READ, BLOCK, one);
		submitted.await_all();
	}
	for (auto &one : memory)
		CHECK(one[0] == block('a'));
	server.end(SIGKILL);
	server.begin();
	CHECK(until_connected([&] { return store.read(bytes, 0); }) == 0);
	CHECK(bytes == block('\0'));
}

TEST_CASE("nbd store: a server that dies fails what is in flight, and is found again")
{
	Folder folder;
	File disk(BLOCK, 64);
	Words words = Pause::filters(folder);
	words.insert(words.end(), {"file", "file=" + disk.path()});
	Server server(words);
	struct mpool_nbd_options options = {};
	options.retry = 1;
	options.connections = GENERATE(1, 2);
	Store store(server.uri(), options);
	REQUIRE(store.write(block('a'), 0) == 0);
	REQUIRE(store.flush() == 0);
	Pause(folder.file("pause")).pause();
	const size_t N = 32;
	std::vector<std::vector<std::string>> memory(N);
	Submitted submitted;
	for (size_t i = 0; i < N; i++) {
		memory[i] = {block('x')};
		submitted.submit(store, i % 2 ? MPOOL_IO_READ : MPOOL_IO_WRITE, (i + 1) * BLOCK, memory[i]);
	}
	await([&] { return occurrences(text_of(folder.file("log")), " id=") >= N; });
	server.end(SIGKILL);
	submitted.await_all();
	for (size_t i = 0; i < N; i++)
		CHECK(submitted.result(i) == -ECONNRESET);
	std::string bytes = block('-');
	CHECK(store.read(bytes, 0) == ENOTCONN);
	CHECK(store.write(bytes, 0) == ENOTCONN);
	CHECK(store.flush() == ENOTCONN);
	server.begin();
	CHECK(until_connected([&] { return store.read(bytes, 0); }) == 0);
	CHECK(bytes == block('a'));
	CHECK(store.flush() == 0);
}

TEST_CASE("nbd store: what was written and not flushed on a lost connection fails the next flush, once")
{
	Folder folder;
	Server server({"memory", "size=1M"});
	struct mpool_nbd_options options = {};
	options.retry = 1;
	Store store(server.uri(), options);
	REQUIRE(store.write(block('a'), 0) == 0);
	bool flushed = GENERATE(true, false);
	if (flushed)
		REQUIRE(store.flush() == 0);
	server.end(SIGKILL);
	server.begin();
	std::string bytes = block('-');
	SECTION("at once")
	{
		CHECK(until_connected([&] { return store.flush(); }) == (flushed ? 0 : EIO));
	}
	SECTION("after a write that was answered since")
	{
		CHECK(until_connected([&] { return store.write(block('b'), BLOCK); }) == 0);
		CHECK(store.flush() == (flushed ? 0 : EIO));
	}
	SECTION("after a read")
	{
		CHECK(until_connected([&] { return store.read(bytes, 0); }) == 0);
		CHECK(bytes == std::string(BLOCK, '\0'));
		CHECK(store.flush() == (flushed ? 0 : EIO));
	}
	CHECK(store.flush() == 0);
}

TEST_CASE("nbd store: a flush that fails for want of a server leaves it to the next to tell what may be lost")
{
	Server server({"memory", "size=1M"});
	struct mpool_nbd_options options = {};
	options.retry = 1;
	Store store(server.uri(), options);
	REQUIRE(store.write(block('a'), 0) == 0);
	server.end(SIGKILL);
	int error = store.flush();
	CHECK((error == ENOTCONN || error == ECONNRESET));
	server.begin();
	CHECK(until_connected([&] { return store.flush(); }) == EIO);
	CHECK(store.flush() == 0);
}

TEST_CASE("nbd store: after a server that hangs nothing is written late over what is newer")
{
	Folder folder;
	const std::string disk = folder.file("disk"), held = folder.file("held"), begun = folder.file("begun");
	make_file(disk, std::string(1 << 20, '.'));
	make_file(held);
	// A write waits while `held` is there, and then writes what it had been given.
	Server server({"--filter=log", "logfile=" + folder.file("log"), "eval", "get_size=echo 1M",
		"can_multi_conn=exit 0", "thread_model=echo parallel", "can_write=exit 0", "can_flush=exit 0",
		"flush=exit 0", "pread=dd if=" + disk + " skip=$4 count=$3 iflag=count_bytes,skip_bytes status=none",
		"pwrite=cat > " + folder.file("w") + ".$$; echo > " + begun + "; while [ -e " + held +
			" ]; do sleep 0.01; done; dd if=" + folder.file("w") + ".$$ of=" + disk +
			" seek=$4 oflag=seek_bytes conv=notrunc status=none"});
	struct mpool_nbd_options options = {};
	options.retry = 1;
	options.timeout = 1000;
	options.connections = GENERATE(1, 2);
	Store store(server.uri(), options);
	// Each connection that there is to be, and one that is not there yet.
	bool all_are_there = GENERATE(true, false);
	if (all_are_there)
		await([&] {
			Submitted reads;
			std::vector<std::vector<std::string>> memory(16, {block('-')});
			for (size_t i = 0; i < memory.size(); i++)
				reads.submit(store, MPOOL_IO_READ, i * BLOCK, memory[i]);
			reads.await_all();
			return occurrences(text_of(folder.file("log")), " Connect ") >= options.connections;
		});
	await([&] {
		int error = store.write(block('1'), 0);
		REQUIRE((error == ETIMEDOUT || error == ENOTCONN));
		return is_there(begun);
	});
	// The first one is not done.
	REQUIRE(store.write(block('2'), 0) == ENOTCONN);
	std::string bytes = block('-');
	if (options.connections == 1)
		CHECK(store.read(bytes, 0) == ENOTCONN);
	else
		await([&] { return store.read(bytes, 0) == 0; });
	REQUIRE(store.write(block('2'), 0) == ENOTCONN);
	REQUIRE(unlink(held.c_str()) == 0);
	int error;
	await([&] { return (error = store.write(block('2'), 0)) == 0; });
	server.end(SIGKILL);
	CHECK(text_of(disk).compare(0, BLOCK, block('2')) == 0);
}

TEST_CASE("nbd store: a server that hangs while nothing is being written is left, and found again")
{
	Server server({"memory", "size=1M"});
	struct mpool_nbd_options options = {};
	options.retry = 1;
	options.timeout = 1500;
	Store store(server.uri(), options);
	std::string bytes = block('-');
	REQUIRE(store.write(block('a'), 0) == 0);
	server.signal(SIGSTOP);
	CHECK(store.read(bytes, 0) == ETIMEDOUT);
	// Its system takes connections for it.
	int error = store.read(bytes, 0);
	CHECK((error == ETIMEDOUT || error == ENOTCONN));
	server.signal(SIGCONT);
	await([&] { return store.read(bytes, 0) == 0; });
	CHECK(bytes == block('a'));
	// Nobody knows whether it was the same server.
	CHECK(store.flush() == EIO);
	CHECK(store.flush() == 0);
}

TEST_CASE("nbd store: a server on the network hangs while it writes, and goes on")
{
	Server server({"memory", "size=1M"}, true);
	struct mpool_nbd_options options = {};
	options.retry = 1;
	options.timeout = 1500;
	Store store(server.uri(), options);
	REQUIRE(store.write(block('a'), 0) == 0);
	server.signal(SIGSTOP);
	CHECK(store.write(block('b'), 0) == ETIMEDOUT);
	CHECK(store.write(block('c'), 0) == ENOTCONN);
	server.signal(SIGCONT);
	await([&] { return store.write(block('d'), 0) == 0; });
	CHECK(store.flush() == EIO);
	CHECK(store.flush() == 0);
	std::string bytes = block('-');
	await([&] { return store.read(bytes, 0) == 0; });
	CHECK(bytes == block('d'));
}

TEST_CASE("nbd store: another export than before is not written to")
{
	Words words = {"memory", "size=1M"};
	Words other = GENERATE(as<Words>{}, Words{"memory", "size=512K"}, Words{"-r", "memory", "size=1M"},
		Words{"--filter=blocksize-policy", "memory", "size=1M", "blocksize-minimum=4096",
			"blocksize-preferred=4096", "blocksize-maximum=32M"},
		Words{"--filter=blocksize-policy", "memory", "size=1M", "blocksize-minimum=1",
			"blocksize-preferred=4096", "blocksize-maximum=4096"});
	Server server(words);
	struct mpool_nbd_options options = {};
	options.retry = 1;
	Store store(server.uri(), options);
	std::string bytes = block('-');
	REQUIRE(store.read(bytes, 0) == 0);
	server.end(SIGKILL);
	server.begin(other);
	CHECK(until_connected([&] { return store.read(bytes, 0); }) == ESTALE);
	CHECK(store.write(bytes, 0) == ESTALE);
	server.end(SIGKILL);
	// A larger one will do.
	server.begin({"memory", "size=2M"});
	await([&] { return store.read(bytes, 0) == 0; });
	CHECK(store.size() == 1 << 20);
}

TEST_CASE("nbd store: what cannot be connected to is said, and leaves nothing")
{
	Folder folder;
	Server server({"--filter=exportname", "memory", "size=1M", "exportname=one", "exportname-strict=true"});
	size_t fds = descriptors(), tasks = threads();
	struct mpool_nbd_options o = {};
	auto connect = [&](const std::string &uri) { return mpool_nbd_connect(uri.c_str(), &o, sizeof o); };
	REQUIRE_NULL(connect("nbd+unix:///?socket=" + folder.file("none")), ENOENT);
	REQUIRE_NULL(connect("http://localhost/"), EINVAL);
	REQUIRE_NULL(mpool_nbd_connect(nullptr, nullptr, 0), EINVAL);
	REQUIRE_NULL(mpool_open_nbd(nullptr, nullptr, 0, BLOCK, 16), EINVAL);
	// The server has no TLS.
	REQUIRE_NULL(connect("nbds+unix:///?socket=" + server.folder().file("s")), EOPNOTSUPP);
	REQUIRE_NULL(connect("nbd+unix:///none?socket=" + server.folder().file("s")), ENOENT);
	o.connections = 17;
	REQUIRE_NULL(connect(server.uri()), EINVAL);
	o = {};
	o.timeout = 86400001;
	REQUIRE_NULL(connect(server.uri()), EINVAL);
	o = {};
	server.signal(SIGSTOP);
	o.timeout = 100;
	REQUIRE_NULL(connect("nbd+unix:///one?socket=" + server.folder().file("s")), ETIMEDOUT);
	server.signal(SIGCONT);
	o = {};
	// What a later version may have is no matter while it is not set.
	struct {
		struct mpool_nbd_options o;
		unsigned more;
	} later = {{}, 0};
	std::string uri = "nbd+unix:///one?socket=" + server.folder().file("s");
	void *cookie = mpool_nbd_connect(uri.c_str(), &later.o, sizeof later);
	REQUIRE(cookie);
	mpool_nbd_store.close(cookie);
	later.more = 1;
	REQUIRE_NULL(mpool_nbd_connect(uri.c_str(), &later.o, sizeof later), EINVAL);
	cookie = mpool_nbd_connect(uri.c_str(), nullptr, 0);
	REQUIRE(cookie);
	mpool_nbd_store.close(cookie);
	CHECK(descriptors() == fds);
	CHECK(threads() == tasks);
}

TEST_CASE("nbd store: in a child of fork it is not there")
{
	Server server({"memory", "size=1M"});
	Store store(server.uri());
	std::string bytes = block('-');
	REQUIRE(store.read(bytes, 0) == 0);
	pid_t child = fork();
	if (child == 0) {
		bool right = store.read(bytes, 0) == EBADF && store.write(bytes, 0) == EBADF && store.flush() == EBADF;
		store.close();
		_exit(right ? 0 : 1);
	}
	int status;
	REQUIRE(waitpid(child, &status, 0) == child);
	CHECK(status == 0);
	CHECK(store.read(bytes, 0) == 0);
	CHECK(store.write(bytes, 0) == 0);
}

TEST_CASE("nbd store: threads read and write while servers are killed, and what was flushed stays")
{
	// Each thread has blocks of its own, and writes their versions in turn.
	const size_t THREADS = 4, BLOCKS = 16;
	Folder folder;
	File disk(BLOCK, THREADS * BLOCKS);
	Server server({"file", "file=" + disk.path()});
	struct mpool_nbd_options options = {};
	options.retry = 1;
	Store store(server.uri(), options);
	std::atomic<bool> ends{false};
	Report report;
	Threads all;
	std::atomic<unsigned> written{0};
	for (size_t t = 0; t < THREADS; t++)
		all.start([&, t] {
			std::vector<uint64_t> version(BLOCKS, 0), least(BLOCKS, 0);
			std::mt19937 random(static_cast<unsigned>(t));
			std::string bytes = block('-');
			while (!ends || written < 100) {
				size_t i = random() % BLOCKS, pgno = t * BLOCKS + i;
				if (random() % 2) {
					fill(&bytes[0], BLOCK, pgno, ++version[i]);
					if (store.write(bytes, pgno * BLOCK) == 0) {
						least[i] = version[i];
						written++;
					}
					continue;
				}
				if (store.read(bytes, pgno * BLOCK) != 0)
					continue;
				// The file's server loses nothing: of the answered ones, that or a later one.
				bool any = false;
				for (uint64_t v = least[i]; v <= version[i] && !any; v++)
					any = is(bytes.data(), BLOCK, pgno, v);
				report.check(any, "a block is none that was written since the last answer");
			}
		});
	for (int i = 0; i < 10; i++) {
		unsigned before = written;
		await([&] { return written >= before + 20; });
		server.end(SIGKILL);
		server.begin();
	}
	ends = true;
	all.join();
	report.require_none();
	CHECK(written >= 100);
}
