// test_rados.cpp - the store over RADOS, by its own functions: bytes, sizes, errors; who is the writer; what is told to readers.
//
// MPOOL_RADOS_CONF has the ceph.conf of a cluster with the pool `pages`; without it the cases that need one say so and pass.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "../support.hpp"

extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include <mpool_rados.h>
#pragma GCC diagnostic pop
#include "ranges.h"
}

#include <rados/librados.h>

#include <map>
#include <memory>
#include <random>

namespace {

uint64_t now_ns()
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

const char *conf()
{
	const char *file = getenv("MPOOL_RADOS_CONF");
	return file != nullptr && access(file, R_OK) == 0 ? file : nullptr;
}

#define NEEDS_CLUSTER()                                                                   \
	do {                                                                              \
		if (conf() == nullptr) {                                                  \
			WARN("SKIPPED: MPOOL_RADOS_CONF names no ceph.conf: no cluster"); \
			return;                                                           \
		}                                                                         \
	} while (0)

// Nobody else's, in this run or another.
std::string fresh()
{
	static int n;
	return "test." + std::to_string(getpid()) + "." + std::to_string(now_ns()) + "." + std::to_string(n++);
}

constexpr unsigned OBJECT = 64 << 10;

struct mpool_rados_how how(const std::string &name, unsigned flags)
{
	struct mpool_rados_how h = {};
	h.conf = conf();
	h.pool = "pages";
	h.name = name.c_str();
	h.flags = flags;
	h.object = OBJECT;
	h.lease = 4;
	return h;
}

using Store = std::unique_ptr<MPOOL_RADOS, void (*)(MPOOL_RADOS *)>;

Store opened(const struct mpool_rados_how &h)
{
	MPOOL_RADOS *r = mpool_rados_open(&h, sizeof h);
	INFO("errno " << errno);
	REQUIRE(r != nullptr);
	return {r, [](MPOOL_RADOS *s) { mpool_rados_close(s); }};
}

Store writer(const std::string &name)
{
	return opened(how(name, MPOOL_RADOS_WRITER | MPOOL_RADOS_CREATE));
}

Store reader(const std::string &name)
{
	return opened(how(name, MPOOL_RADOS_READER));
}

const struct mpool_store &calls()
{
	return *mpool_rados_calls();
}

uint64_t size_of(const Store &s)
{
	uint64_t bytes = 0;
	REQUIRE(calls().size(s.get(), &bytes) == 0);
	return bytes;
}

ssize_t write_at(const Store &s, uint64_t offset, const std::string &bytes)
{
	struct iovec v = {const_cast<char *>(bytes.data()), bytes.size()};
	return calls().writev(s.get(), &v, 1, offset);
}

std::string read_at(const Store &s, uint64_t offset, size_t bytes)
{
	std::string got(bytes, 'x');
	struct iovec v = {&got[0], bytes};
	ssize_t n = calls().readv(s.get(), &v, 1, offset);
	INFO("errno " << errno);
	REQUIRE(n >= 0);
	got.resize((size_t)n);
	return got;
}

struct mpool_rados_stats stats(const Store &s)
{
	struct mpool_rados_stats st;
	REQUIRE(mpool_rados_stats(s.get(), &st, sizeof st) == 0);
	return st;
}

// The cluster, as any other client has it.
struct Cluster {
	rados_t cluster = nullptr;
	rados_ioctx_t io = nullptr;
	Cluster()
	{
		REQUIRE(rados_create(&cluster, "admin") == 0);
		REQUIRE(rados_conf_read_file(cluster, conf()) == 0);
		REQUIRE(rados_connect(cluster) == 0);
		REQUIRE(rados_ioctx_create(cluster, "pages", &io) == 0);
	}
	~Cluster()
	{
		rados_ioctx_destroy(io);
		rados_shutdown(cluster);
	}
	std::string object(const std::string &name, unsigned number) const
	{
		char oid[512];
		snprintf(oid, sizeof oid, "%s.%016x", name.c_str(), number);
		std::string got(OBJECT + 1, 0);
		int n = rados_read(io, oid, &got[0], got.size(), 0);
		if (n == -ENOENT)
			return "none";
		REQUIRE(n >= 0);
		got.resize((size_t)n);
		return got;
	}
};

std::string pattern(size_t bytes, unsigned seed)
{
	std::string s(bytes, 0);
	std::mt19937 random(seed);
	for (char &c : s)
		c = (char)random();
	return s;
}

// Requests in flight at once.
struct Flight {
	struct Request {
		struct mpool_io io = {};
		struct iovec v = {};
		std::string bytes;
		ssize_t result = -12345;
		Flight *of = nullptr;
	};
	std::mutex lock;
	std::condition_variable over;
	size_t left = 0;
	std::vector<std::unique_ptr<Request>> all;

	Request &begin(const Store &s, int op, uint64_t offset, std::string bytes)
	{
		all.push_back(std::make_unique<Request>());
		Request &q = *all.back();
		q.bytes = std::move(bytes);
		q.v = {&q.bytes[0], q.bytes.size()};
		q.of = this;
		q.io = {op, offset, &q.v, 1, done, &q, nullptr};
		if (op == MPOOL_IO_FLUSH) {
			q.io.iov = nullptr;
			q.io.iovcnt = 0;
		}
		{
			std::lock_guard<std::mutex> hold(lock);
			left++;
		}
		REQUIRE(calls().submit(s.get(), &q.io) == 0);
		return q;
	}
	static void done(struct mpool_io *io, ssize_t result)
	{
		auto &q = *(Request *)io->own;
		std::lock_guard<std::mutex> hold(q.of->lock);
		q.result = result;
		q.of->left--;
		q.of->over.notify_all();
	}
	void wait()
	{
		std::unique_lock<std::mutex> hold(lock);
		over.wait(hold, [&] { return left == 0; });
	}
};

} // namespace

// ---- ranges, which need no cluster -----------------------------------------------

TEST_CASE("a set of ranges has at least what was added, in order and apart")
{
	std::mt19937 random(1);
	for (unsigned round = 0; round < 60; round++) {
		auto s = std::make_unique<struct ranges>();
		std::vector<std::pair<uint64_t, uint64_t>> added;
		uint64_t space = round % 2 ? 1000 : 1u << 20;
		for (unsigned i = 0; i < 20 + round * 30; i++) {
			uint64_t first = random() % space * 4096, end = first + (1 + random() % 3) * 4096;
			added.emplace_back(first, end);
			ranges_add(s.get(), first, end);
			REQUIRE(s->n <= RANGES_MAX);
		}
		for (unsigned i = 0; i < s->n; i++) {
			CHECK(s->at[i].first < s->at[i].end);
			if (i > 0)
				CHECK(s->at[i - 1].end < s->at[i].first);
		}
		for (auto &a : added) {
			bool there = false;
			for (unsigned i = 0; i < s->n && !there; i++)
				there = s->at[i].first <= a.first && a.second <= s->at[i].end;
			REQUIRE(there);
		}
	}
}

TEST_CASE("a set of few ranges has nothing else")
{
	struct ranges s = {};
	std::vector<bool> model(300);
	std::mt19937 random(2);
	for (unsigned i = 0; i < 60; i++) {
		unsigned first = random() % 290, end = first + 1 + random() % 4;
		ranges_add(&s, first, end);
		std::fill(model.begin() + first, model.begin() + end, true);
	}
	std::vector<bool> is(300);
	for (unsigned i = 0; i < s.n; i++)
		std::fill(is.begin() + (long)s.at[i].first, is.begin() + (long)s.at[i].end, true);
	CHECK(is == model);
	ranges_add(&s, 7, 7);
	CHECK(s.n <= 60);
}

// ---- bytes ------------------------------------------------------------------------

TEST_CASE("what is written over RADOS is read, by one request and by many, and is in objects of the name")
{
	NEEDS_CLUSTER();
	Cluster cluster;
	std::string name = fresh(), all = pattern(5 * OBJECT / 2, 3);
	Store w = writer(name);
	CHECK(size_of(w) == 0);
	CHECK(read_at(w, 0, 100).empty());
	REQUIRE(write_at(w, 0, all) == (ssize_t)all.size());
	CHECK(size_of(w) == all.size());
	CHECK(read_at(w, 0, all.size() + 1000) == all);
	CHECK(read_at(w, OBJECT - 5, 10) == all.substr(OBJECT - 5, 10));
	for (unsigned i = 0; i < 3; i++)
		CHECK(cluster.object(name, i) == all.substr(i * OBJECT, OBJECT));
	CHECK(cluster.object(name, 3) == "none");

	// Memory in pieces that end elsewhere than objects do.
	std::string other = pattern(2 * OBJECT, 4), got(2 * OBJECT, 0);
	std::vector<struct iovec> out, in;
	for (size_t at = 0; at < other.size(); at += 4096) {
		out.push_back({&other[at], 4096});
		in.push_back({&got[at], 4096});
	}
	REQUIRE(calls().writev(w.get(), out.data(), (int)out.size(), 4096) == (ssize_t)other.size());
	REQUIRE(calls().readv(w.get(), in.data(), (int)in.size(), 4096) == (ssize_t)other.size());
	CHECK(got == other);
	all.replace(4096, other.size(), other);
	CHECK(read_at(w, 0, all.size()) == all);
	REQUIRE(calls().flush(w.get()) == 0);
	w.reset();
	CHECK(read_at(reader(name), 0, all.size()) == all);
}

TEST_CASE("what nobody has written over RADOS is zeros, up to the end")
{
	NEEDS_CLUSTER();
	std::string name = fresh();
	Store w = writer(name);
	REQUIRE(write_at(w, 3 * OBJECT + 100, "far") == 3);
	CHECK(size_of(w) == 3 * OBJECT + 103);
	CHECK(read_at(w, 0, 2 * OBJECT) == std::string(2 * OBJECT, 0));
	CHECK(read_at(w, 3 * OBJECT + 90, 100) == std::string(10, 0) + "far");
	CHECK(read_at(w, 4 * OBJECT, 100).empty());
	REQUIRE(calls().truncate(w.get(), OBJECT) == 0);
	CHECK(size_of(w) == OBJECT);
	REQUIRE(calls().truncate(w.get(), 5 * OBJECT) == 0);
	CHECK(read_at(w, 0, 6 * OBJECT) == std::string(5 * OBJECT, 0));
}

TEST_CASE("a random history of writes, reads and ends over RADOS is that of a string")
{
	NEEDS_CLUSTER();
	Cluster cluster;
	std::string name = fresh(), model;
	Store w = writer(name);
	std::mt19937 random(5);
	for (unsigned i = 0; i < 150; i++) {
		size_t at = random() % (6 * OBJECT) / 512 * 512, bytes = 512 * (1 + random() % 300);
		INFO("step " << i);
		switch (random() % 8) {
		case 0:
			REQUIRE(calls().truncate(w.get(), at) == 0);
			model.resize(at);
			break;
		case 1:
			REQUIRE(calls().flush(w.get()) == 0);
			break;
		case 2:
		case 3:
		case 4: {
			std::string s = pattern(bytes, i);
			if (model.size() < at + bytes)
				model.resize(at + bytes);
			model.replace(at, bytes, s);
			REQUIRE(write_at(w, at, s) == (ssize_t)bytes);
			break;
		}
		case 5:
			if (i % 3 == 0) {
				// Closed and opened anew; what was flushed is there, and nothing is behind the end.
				REQUIRE(calls().flush(w.get()) == 0);
				w.reset();
				w = writer(name);
			}
			break;
		default:
			REQUIRE(read_at(w, at, bytes) == (at < model.size() ? model.substr(at, bytes) : ""));
		}
		REQUIRE(size_of(w) == model.size());
	}
	REQUIRE(calls().flush(w.get()) == 0);
	CHECK(read_at(reader(name), 0, model.size()) == model);
	for (unsigned i = 0; i < 12; i++) {
		std::string object = cluster.object(name, i),
			    expected = i * OBJECT < model.size() ? model.substr(i * OBJECT, OBJECT) : "";
		if (object == "none")
			object.clear();
		CHECK(object.size() <= expected.size());
		object.resize(expected.size());
		CHECK(object == expected);
	}
}

TEST_CASE("many requests to RADOS are in flight at once, and each is done once")
{
	NEEDS_CLUSTER();
	constexpr unsigned N = 600;
	std::string name = fresh();
	Store w = writer(name);
	{
		Flight f;
		for (unsigned i = 0; i < N; i++)
			f.begin(w, MPOOL_IO_WRITE, i * UINT64_C(4096), pattern(4096, i));
		f.begin(w, MPOOL_IO_FLUSH, 0, "");
		f.wait();
		for (unsigned i = 0; i < N; i++)
			REQUIRE(f.all[i]->result == 4096);
		CHECK(f.all[N]->result == 0);
	}
	CHECK(size_of(w) == N * 4096);
	Flight f;
	for (unsigned i = 0; i < N; i++)
		f.begin(w, MPOOL_IO_READ, i * UINT64_C(4096), std::string(4096, 0));
	f.begin(w, MPOOL_IO_READ, N * UINT64_C(4096), std::string(4096, 0));
	f.wait();
	for (unsigned i = 0; i < N; i++) {
		REQUIRE(f.all[i]->result == 4096);
		REQUIRE(f.all[i]->bytes == pattern(4096, i));
	}
	CHECK(f.all[N]->result == 0);
}

// ---- errors -----------------------------------------------------------------------

TEST_CASE("what cannot be opened of RADOS says why")
{
	NEEDS_CLUSTER();
	Cluster cluster;
	std::string name = fresh();
	auto fails = [](struct mpool_rados_how h, int error) { REQUIRE_NULL(mpool_rados_open(&h, sizeof h), error); };
	fails(how(name, MPOOL_RADOS_READER), ENOENT);
	fails(how(name, MPOOL_RADOS_WRITER), ENOENT);
	fails(how(name, 0), EINVAL);
	fails(how(name, MPOOL_RADOS_READER | MPOOL_RADOS_WRITER), EINVAL);
	fails(how(name, MPOOL_RADOS_READER | 0x80), EINVAL);
	fails(how("", MPOOL_RADOS_READER), EINVAL);
	fails(how(std::string(201, 'n'), MPOOL_RADOS_READER), EINVAL);
	struct mpool_rados_how h = how(name, MPOOL_RADOS_WRITER | MPOOL_RADOS_CREATE);
	h.object = 100000;
	fails(h, EINVAL);
	h.object = 0;
	h.pool = "no such pool";
	fails(h, ENOENT);
	h.pool = "pages";
	h.conf = "/no/such/ceph.conf";
	fails(h, ENOENT);
	// What is something else's is left as it is.
	REQUIRE(rados_write_full(cluster.io, name.c_str(), "mine", 4) == 0);
	fails(how(name, MPOOL_RADOS_WRITER | MPOOL_RADOS_CREATE), EINVAL);
	fails(how(name, MPOOL_RADOS_READER), EINVAL);
}

TEST_CASE("a reader of RADOS writes nothing")
{
	NEEDS_CLUSTER();
	std::string name = fresh();
	Store w = writer(name), r = reader(name);
	struct iovec v = {&name[0], 4};
	errno = 0;
	CHECK(calls().writev(r.get(), &v, 1, 0) == -1);
	CHECK(errno == EBADF);
	REQUIRE_FAILS(calls().truncate(r.get(), 4096), EBADF);
	CHECK(calls().flush(r.get()) == 0);
}

// ---- one writer ---------------------------------------------------------------------

TEST_CASE("there is one writer of a name; the next begins when it is closed, at once")
{
	NEEDS_CLUSTER();
	std::string name = fresh(), other = fresh();
	Store w = writer(name);
	CHECK(stats(w).generation == 1);
	struct mpool_rados_how h = how(name, MPOOL_RADOS_WRITER);
	REQUIRE_NULL(mpool_rados_open(&h, sizeof h), EBUSY);
	Store elsewhere = writer(other);
	REQUIRE(write_at(w, 0, "one") == 3);
	REQUIRE(calls().flush(w.get()) == 0);
	w.reset();
	w = writer(name);
	CHECK(stats(w).generation == 2);
	CHECK(stats(w).fenced == 0);
	CHECK(read_at(w, 0, 3) == "one");
}

TEST_CASE("a writer keeps its place for many times its lease")
{
	NEEDS_CLUSTER();
	std::string name = fresh();
	struct mpool_rados_how h = how(name, MPOOL_RADOS_WRITER | MPOOL_RADOS_CREATE);
	h.lease = 1;
	Store w = opened(h);
	for (uint64_t begun = now_ns(); now_ns() - begun < UINT64_C(3000000000);) {
		errno = 0;
		MPOOL_RADOS *second = mpool_rados_open(&h, sizeof h);
		// A machine so slow that the lease ends between two renewals: the other is the writer, and this one knows.
		if (second != nullptr) {
			mpool_rados_close(second);
			CHECK(write_at(w, 0, "late") == -1);
			WARN("the lease has ended meanwhile");
			return;
		}
		REQUIRE(errno == EBUSY);
	}
	CHECK(write_at(w, 0, "mine") == 4);
	CHECK(calls().flush(w.get()) == 0);
}

// ---- notices ------------------------------------------------------------------------

TEST_CASE("a reader is told of each flush, before it returns, and follows the size")
{
	NEEDS_CLUSTER();
	std::string name = fresh();
	Store w = writer(name), r = reader(name);
	for (unsigned i = 1; i <= 5; i++) {
		uint64_t told = stats(r).notices;
		REQUIRE(write_at(w, i * 1000, std::string(1000, 'a')) == 1000);
		REQUIRE(calls().flush(w.get()) == 0);
		CHECK(stats(r).notices == told + 1);
		CHECK(size_of(r) == (i + 1) * 1000);
		CHECK(stats(r).sequence == stats(w).sequence);
	}
	CHECK(stats(w).unanswered == 0);
	CHECK(stats(r).dropped == 0);
	// Nothing was written: nobody is told.
	uint64_t told = stats(r).notices;
	REQUIRE(calls().flush(w.get()) == 0);
	CHECK(stats(r).notices == told);
	REQUIRE(calls().truncate(w.get(), 500) == 0);
	REQUIRE(calls().flush(w.get()) == 0);
	CHECK(size_of(r) == 500);
	REQUIRE(mpool_rados_refresh(r.get()) == 0);
	CHECK(stats(r).age_ms < 60000);
	CHECK(stats(r).dropped == 0);
	w.reset();
	w = writer(name);
	REQUIRE(mpool_rados_refresh(r.get()) == 0);
	CHECK(stats(r).dropped >= 1);
	CHECK(stats(r).generation == 2);
}

TEST_CASE("a notice of garbage makes a reader forget all, and is not answered")
{
	NEEDS_CLUSTER();
	Cluster cluster;
	std::string name = fresh();
	Store w = writer(name), r = reader(name);
	char *reply = nullptr;
	size_t bytes = 0;
	CHECK(rados_notify2(cluster.io, name.c_str(), "what?", 5, 1000, &reply, &bytes) == -ETIMEDOUT);
	rados_buffer_free(reply);
	REQUIRE(mpool_rados_refresh(r.get()) == 0);
	/* More than once where the machine is slow: who is slow to look has missed notices, for all that is known. */
	CHECK(stats(r).dropped >= 1);
}

// ---- pools ---------------------------------------------------------------------------

TEST_CASE("a pool over RADOS is as its model: new, get, getv, prefetch, sync, truncate, cleaners")
{
	NEEDS_CLUSTER();
	constexpr pgno_t PAGE = 4096, CACHE = 24;
	std::string name = fresh();
	struct mpool_rados_how h = how(name, MPOOL_RADOS_WRITER | MPOOL_RADOS_CREATE);
	std::vector<uint32_t> model;
	std::mt19937 random(7);
	auto fill = [](void *page, pgno_t pgno, uint32_t v) {
		for (unsigned i = 0; i < PAGE / 8; i++)
			((uint64_t *)page)[i] = (uint64_t)v << 32 | (pgno ^ i);
	};
	auto is = [&](const void *page, pgno_t pgno) {
		std::vector<uint64_t> expected(PAGE / 8);
		if (model[pgno] != 0)
			fill(expected.data(), pgno, model[pgno]);
		return memcmp(page, expected.data(), PAGE) == 0;
	};
	for (unsigned opened = 0; opened < 3; opened++) {
		MPOOL_RADOS *store = nullptr;
		MPOOL *mp = mpool_open_rados(&h, sizeof h, PAGE, CACHE, &store);
		REQUIRE(mp != nullptr);
		if (opened > 0)
			REQUIRE(mpool_tune(mp, MPOOL_CLEANERS, 1) == 0);
		struct mpool_stats st;
		mpool_stats(mp, &st, sizeof st);
		REQUIRE(st.pages == model.size());
		for (unsigned step = 1; step <= 600; step++) {
			INFO("opened " << opened << " step " << step);
			pgno_t n = (pgno_t)model.size(), pgno = n ? random() % n : 0;
			uint32_t v = opened * 1000 + step;
			unsigned what = n < 30 ? 0 : random() % 20;
			if (what <= 1) {
				REQUIRE(mpool_new(mp, &pgno) != nullptr);
				REQUIRE(pgno == n);
				void *page = mpool_get(mp, pgno, 0);
				model.push_back(0);
				CHECK(is(page, pgno));
				fill(page, pgno, model[pgno] = v);
				REQUIRE(mpool_put(mp, page, MPOOL_DIRTY) == 0);
				REQUIRE(mpool_put(mp, page, 0) == 0);
			} else if (what == 2) {
				REQUIRE(mpool_sync(mp) == 0);
			} else if (what == 3) {
				if (random() % 4 == 0) {
					REQUIRE(mpool_truncate(mp, n - n / 8) == 0);
					model.resize(n - n / 8);
				}
			} else if (what <= 6) {
				pgno_t which[16];
				void *at[16];
				for (pgno_t &p : which)
					p = random() % n;
				if (what == 6)
					mpool_prefetch(mp, which, 16, -1);
				REQUIRE(mpool_getv(mp, which, at, 16, 0) == 0);
				for (unsigned i = 0; i < 16; i++) {
					REQUIRE(is(at[i], which[i]));
					REQUIRE(mpool_put(mp, at[i], 0) == 0);
				}
			} else {
				void *page = mpool_get(mp, pgno, 0);
				REQUIRE(page != nullptr);
				REQUIRE(is(page, pgno));
				if (what < 14)
					fill(page, pgno, model[pgno] = v);
				REQUIRE(mpool_put(mp, page, what < 14 ? MPOOL_DIRTY : 0) == 0);
			}
		}
		REQUIRE(mpool_sync(mp) == 0);
		mpool_stats(mp, &st, sizeof st);
		CHECK(st.reads > 0);
		CHECK(st.dirty == 0);
		REQUIRE(mpool_rados_serve(store, mp) == 0);
		REQUIRE(mpool_rados_close(store) == 0);
	}
	h = how(name, MPOOL_RADOS_READER);
	MPOOL_RADOS *store = nullptr;
	MPOOL *mp = mpool_open_rados(&h, sizeof h, PAGE, CACHE, &store);
	REQUIRE(mp != nullptr);
	for (pgno_t pgno = 0; pgno < model.size(); pgno++) {
		void *page = mpool_get(mp, pgno, 0);
		REQUIRE(page != nullptr);
		CHECK(is(page, pgno));
		mpool_put(mp, page, 0);
	}
	mpool_rados_close(store);
}

TEST_CASE("two names of RADOS in one pool, one written and one read: each is told of its own")
{
	NEEDS_CLUSTER();
	constexpr pgno_t PAGE = 4096;
	std::string one = fresh(), other = fresh();
	Store w = writer(other);
	REQUIRE(write_at(w, 0, std::string(PAGE, 'a')) == PAGE);
	REQUIRE(calls().flush(w.get()) == 0);
	struct mpool_rados_how h = how(one, MPOOL_RADOS_WRITER | MPOOL_RADOS_CREATE);
	MPOOL_RADOS *first = nullptr;
	MPOOL *mp = mpool_open_rados(&h, sizeof h, PAGE, 16, &first);
	REQUIRE(mp != nullptr);
	h = how(other, MPOOL_RADOS_READER);
	MPOOL_RADOS *second = mpool_rados_open(&h, sizeof h);
	REQUIRE(second != nullptr);
	MPOOL *handle = mpool_attach_store(mp, &calls(), sizeof calls(), second);
	REQUIRE(handle != nullptr);
	REQUIRE(mpool_rados_serve(second, handle) == 0);
	pgno_t pgno;
	void *mine = mpool_new(mp, &pgno), *theirs = mpool_get(handle, 0, 0);
	memset(mine, 'm', PAGE);
	REQUIRE(theirs != nullptr);
	CHECK(*(char *)theirs == 'a');
	mpool_put(handle, theirs, 0);
	mpool_put(mp, mine, MPOOL_DIRTY);
	REQUIRE(mpool_sync(mp) == 0);
	REQUIRE(write_at(w, 0, std::string(PAGE, 'b')) == PAGE);
	REQUIRE(calls().flush(w.get()) == 0);
	theirs = mpool_get(handle, 0, 0);
	CHECK(*(char *)theirs == 'b');
	mpool_put(handle, theirs, 0);
	REQUIRE(mpool_rados_close(second) == 0);
	mine = mpool_get(mp, 0, 0);
	CHECK(*(char *)mine == 'm');
	mpool_put(mp, mine, 0);
	REQUIRE(mpool_rados_close(first) == 0);
}

// ---- what is seen to be missing ---------------------------------------------------------

TEST_CASE("a reader drops everything for a number that it was not told: in a notice, or in the head")
{
	NEEDS_CLUSTER();
	Cluster cluster;
	std::string name = fresh();
	Store w = writer(name);
	struct mpool_rados_how h = how(name, MPOOL_RADOS_READER);
	h.check_ms = 3600 * 1000;
	Store r = opened(h);
	REQUIRE(mpool_rados_refresh(r.get()) == 0);
	uint64_t dropped = stats(r).dropped, generation = stats(r).generation, sequence = stats(r).sequence;
	auto notice = [&](uint64_t number) {
		uint64_t words[] = {UINT64_C(0x313065746f6e706d), generation, number, 0, 0, 0, 4096};
		char *reply = nullptr;
		size_t bytes = 0;
		REQUIRE(rados_notify2(cluster.io, name.c_str(), (const char *)words, sizeof words, 60000, &reply,
				&bytes) == 0);
		rados_buffer_free(reply);
	};
	notice(sequence + 1);
	CHECK(stats(r).dropped == dropped);
	CHECK(stats(r).sequence == sequence + 1);
	notice(sequence + 3);
	CHECK(stats(r).dropped == dropped + 1);
	CHECK(stats(r).sequence == sequence + 3);
	// One that comes again is followed, and nothing else.
	notice(sequence + 2);
	CHECK(stats(r).dropped == dropped + 1);
	CHECK(stats(r).sequence == sequence + 3);

	std::string state = "mpool 1 object 65536 size 0 reach 0 generation " + std::to_string(generation) +
	                    " sequence " + std::to_string(sequence + 4);
	REQUIRE(rados_setxattr(cluster.io, name.c_str(), "mpool.state", state.data(), state.size()) == 0);
	REQUIRE(mpool_rados_refresh(r.get()) == 0);
	CHECK(stats(r).dropped == dropped + 2);
	CHECK(stats(r).sequence == sequence + 4);
}

TEST_CASE("who has another generation than the head changes nothing in it, and writes no more")
{
	NEEDS_CLUSTER();
	Cluster cluster;
	std::string name = fresh();
	Store w = writer(name);
	REQUIRE(write_at(w, 0, "one") == 3);
	REQUIRE(calls().flush(w.get()) == 0);
	REQUIRE(rados_setxattr(cluster.io, name.c_str(), "mpool.generation", "99", 2) == 0);
	REQUIRE(write_at(w, 0, "two") == 3);
	REQUIRE_FAILS(calls().flush(w.get()), ESHUTDOWN);
	CHECK(stats(w).fenced == 1);
	errno = 0;
	CHECK(write_at(w, 0, "three") == -1);
	CHECK(errno == ESHUTDOWN);
	CHECK(read_at(w, 0, 3) == "two");
}

TEST_CASE("a writer that cannot tell its lease for half of its fence writes nothing until it can")
{
	NEEDS_CLUSTER();
	std::string name = fresh();
	struct mpool_rados_how h = how(name, MPOOL_RADOS_WRITER | MPOOL_RADOS_CREATE);
	h.lease = 60;
	h.fence = 2; // so it renews its lease too seldom
	Store w = opened(h);
	while (stats(w).fenced == 0) {
	}
	errno = 0;
	CHECK(write_at(w, 0, "late") == -1);
	CHECK(errno == ESHUTDOWN);
	REQUIRE_FAILS(calls().flush(w.get()), ESHUTDOWN);
	CHECK(read_at(w, 0, 3).empty());
}
