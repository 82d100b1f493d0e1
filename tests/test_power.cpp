// test_power.cpp - when mpool_sync has returned 0, the power may fail: threads
// modify, evict and sync, and at each point of the log of their writes the file,
// whatever the disk may hold of it by then, has all that was promised.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "fault_io.hpp"
#include "power.hpp"
#include "support.hpp"

using namespace test;
using fault::Call;
using fault::Op;
using namespace power;

namespace {

constexpr unsigned modifiers = 3, syncers = 2;
constexpr pgno_t pages_at_first = 60, pages_at_last = 90;
constexpr size_t rounds = 5000; // modifications by each thread, at least
constexpr size_t syncs_least = 20;
constexpr size_t images_a_run = 300, cuts_with_pool = 20;

// The seed of the threads' choices and of the cuts: the environment's, to see the
// same again, or this run's own.
uint64_t seed_of_run()
{
	const char *given = getenv("MPOOL_TEST_SEED");
	return given ? strtoull(given, nullptr, 0)
	             : mix(static_cast<uint64_t>(getpid()) ^ static_cast<uint64_t>(time(nullptr)));
}

// Lets other threads get between two steps, now and then.
void pause_sometimes(uint64_t n)
{
	for (uint64_t i = mix(n) % 8; i-- > 5;)
		std::this_thread::yield();
}

struct Setup {
	pgno_t maxcache;
	bool fsyncs_fail; // one in four
	bool writes_fail; // one in nine, and as many come short
};

// A run of threads on a pool, and its log.
class Churn {
public:
	Churn(const Setup &setup, uint64_t seed)
	    : setup_(setup), seed_(seed), file_(page_size), put_(pages_at_last), made_(pages_at_first)
	{
		file_.truncate(off_t{pages_at_first} * page_size);
	}

	void run()
	{
		fault::Script script(
			file_.fd(), [this](const Call &call) { return begins(call); },
			[this](const Call &call, ssize_t result) { ends(call, result); });
		Pool pool(file_.fd(), page_size, setup_.maxcache);
		std::atomic<unsigned> modifying{modifiers};
		run_threads(modifiers + syncers, [&](unsigned t) {
			if (t < modifiers) {
				modify(pool, t);
				modifying--;
			} else {
				while (modifying > 0 && !report_.any())
					sync(pool);
			}
		});
		report_.require_none();
		for (int n = 0; n < 100 && !sync(pool); n++)
			;
		report_.require_none();
		evictions = pool.stats().evictions;
		CHECK(pool.stats().pinned == 0);
	}

	const Log &log() const { return log_; }
	Versions last() const { return Versions(put_.begin(), put_.end()); }
	uint64_t syncs() const { return syncs_; }
	uint64_t evictions = 0;

private:
	// A call of the library's: what becomes of it, and the log.
	fault::Fate begins(const Call &call)
	{
		pause_sometimes(seed_ + call.nth);
		if (call.op == Op::sync) {
			log_.fsync_begins();
			for (int n = 0; n < 20; n++)
				std::this_thread::yield(); // a disk takes its time
			bool fails = setup_.fsyncs_fail && mix(seed_ ^ call.nth) % 4 == 0;
			return fails ? fault::error(EIO) : fault::at_most(0); // none of this disk's
		}
		if (call.op == Op::read)
			return fault::real();
		size_t bytes = call.bytes;
		if (setup_.writes_fail && mix(seed_ ^ call.nth) % 9 == 0)
			return fault::error(ENOSPC);
		if (setup_.writes_fail && mix(seed_ ^ call.nth) % 9 == 1 && bytes > page_size)
			bytes = page_size + sector_size;
		write_ = log_.write_begins(call.offset, call.from, bytes);
		return fault::at_most(bytes);
	}

	void ends(const Call &call, ssize_t result)
	{
		pause_sometimes(seed_ + call.nth + 1);
		if (call.op == Op::write && result > 0)
			log_.write_ends(write_);
		else if (call.op == Op::sync)
			log_.fsync_ends(result == 0);
	}

	// The calling thread's pages are those of its number.
	void modify(const Pool &pool, unsigned t)
	{
		Random random(seed_ * (modifiers + 1) + t);
		std::vector<pgno_t> own;
		for (pgno_t i = t; i < pages_at_first; i += modifiers)
			own.push_back(i);
		// Where others leave the syncers little time, until they have had enough of it.
		for (size_t n = 0; (n < shrink(rounds) || syncs_ < shrink(syncs_least)) && !report_.any(); n++) {
			pgno_t pgno = own[random.below(own.size())];
			if (random.below(50) == 0 && made_.fetch_add(1) < pages_at_last) {
				void *page = (mpool_new)(pool, &pgno);
				if (!page) { // there was no room
					report_.check(errno == ENOSPC, "mpool_new");
					made_--;
					continue;
				}
				own.push_back(pgno);
				rewrite(pool, page, pgno);
			} else if (void *page = mpool_get(pool, pgno, 0)) {
				rewrite(pool, page, pgno);
			} else {
				report_.check(errno == ENOSPC && setup_.writes_fail, "mpool_get");
			}
			if (random.below(100) == 0)
				sync(pool);
		}
	}

	// Words whole, since a sync may copy the page meanwhile.
	void rewrite(const Pool &pool, void *page, pgno_t pgno)
	{
		uint64_t *words = static_cast<uint64_t *>(page);
		Version had = put_[pgno].load(std::memory_order_relaxed);
		for (size_t i = 0; i < words_a_page; i++) {
			if (words[i] != word_of(pgno, i, had))
				report_.wrong("page " + std::to_string(pgno) + " in memory");
			__atomic_store_n(&words[i], word_of(pgno, i, had + 1), __ATOMIC_RELAXED);
			if (i == words_a_page / 2)
				pause_sometimes(had + pgno);
		}
		report_.check(mpool_put(pool, page, MPOOL_DIRTY) == 0, "mpool_put");
		put_[pgno].store(had + 1, std::memory_order_release);
	}

	bool sync(const Pool &pool)
	{
		Versions put;
		for (const std::atomic<Version> &version : put_)
			put.push_back(version.load(std::memory_order_acquire));
		errno = 0;
		if (mpool_sync(pool) != 0) {
			report_.check((errno == EIO && setup_.fsyncs_fail) || (errno == ENOSPC && setup_.writes_fail),
				"mpool_sync");
			return false;
		}
		log_.promise(put);
		syncs_++;
		return true;
	}

	Setup setup_;
	uint64_t seed_;
	File file_;
	Log log_;
	Report report_;
	std::vector<std::atomic<Version>> put_; // by page: what its last put was of
	std::atomic<pgno_t> made_;
	std::atomic<uint64_t> syncs_{0};
	static thread_local uint64_t write_; // that this thread is making
};

thread_local uint64_t Churn::write_;

// The file is read again, through a pool, by who comes after the power was cut.
std::string wrong_through_pool(const std::vector<char> &image, const Versions &promised)
{
	File file(page_size);
	if (pwrite(file.fd(), image.data(), image.size(), 0) != static_cast<ssize_t>(image.size()))
		return "the image could not be written";
	Pool pool(file.fd(), page_size, 10);
	std::vector<char> seen(image.size() / page_size * page_size);
	for (pgno_t i = 0; i < seen.size() / page_size; i++) {
		void *page = pool.get(i);
		memcpy(seen.data() + size_t{i} * page_size, page, page_size);
		pool.put(page);
	}
	// A last page of which only some sectors are there is no page, nor promised.
	seen.insert(seen.end(), image.begin() + static_cast<std::ptrdiff_t>(seen.size()), image.end());
	return wrong_in(seen.data(), seen.size(), promised);
}

// What is wrong at the first cut where something is; empty: nothing at any.
std::string cut_everywhere(const std::vector<Event> &events, size_t pages)
{
	Disk disk(pages);
	for (size_t i = 0; i < events.size(); i++) {
		std::string wrong = disk.take(events[i]);
		if (!wrong.empty())
			return "cut after event " + std::to_string(i) + ": " + wrong;
	}
	return {};
}

// Files that may be there after cuts, one at chance in each of so many equal parts.
unsigned check_images(const std::vector<Event> &events, size_t pages, uint64_t seed)
{
	Disk disk(pages);
	Random random(seed);
	unsigned images = 0;
	const size_t kinds = 4; // nothing uncertain is there; all of it; and two by chance
	const size_t share = std::max<size_t>(1, events.size() / (shrink(images_a_run) / kinds));
	size_t cut = random.below(share);
	for (size_t i = 0; i < events.size(); i++) {
		disk.take(events[i]);
		if (i != cut && i + 1 < events.size())
			continue;
		cut = (i / share + 1) * share + random.below(share);
		for (size_t kind = 0; kind < kinds; kind++, images++) {
			std::vector<char> image = disk.image([&](size_t n) {
				return kind == 0 ? 0 : kind == 1 ? n - 1 : static_cast<size_t>(random.below(n));
			});
			INFO("cut after event " << i << ", image " << kind);
			REQUIRE(wrong_in(image.data(), image.size(), disk.promised()) == "");
			if (images % cuts_with_pool == 0 || i + 1 == events.size())
				REQUIRE(wrong_through_pool(image, disk.promised()) == "");
		}
	}
	return images;
}

} // namespace

TEST_CASE("wherever the power fails, the file has what a sync promised")
{
	const Setup setup = GENERATE(Setup{6, false, false}, Setup{30, false, false}, Setup{200, false, false},
		Setup{200, true, false}, Setup{8, false, true});
	const uint64_t seed = seed_of_run();
	INFO("MPOOL_TEST_SEED=" << seed << ", maxcache " << setup.maxcache);
	Churn churn(setup, seed);
	churn.run();
	const std::vector<Event> &events = churn.log().events();
	REQUIRE(cut_everywhere(events, pages_at_last) == "");
	unsigned images = check_images(events, pages_at_last, seed);

	// Is this the run that it is meant to be?
	CHECK(churn.syncs() >= shrink(syncs_least));
	CHECK((churn.evictions > 0) == (setup.maxcache < pages_at_first));
	CHECK(images >= shrink(images_a_run) / 2);
	size_t uncertain = 0;
	Disk disk(pages_at_last);
	for (const Event &event : events) {
		disk.take(event);
		uncertain = std::max(uncertain, disk.uncertain());
	}
	CHECK(uncertain >= sectors_a_page);
	// The last sync promised everything.
	Versions last = churn.last();
	CHECK(disk.promised() == last);
	WARN("maxcache " << setup.maxcache << ": " << events.size() << " cuts, " << churn.syncs() << " syncs, "
			 << images << " images");
}

// ---- The log's judge ------------------------------------------------------------

namespace {

// Writes, fsyncs and promises of page 0 of a file of two.
class Story {
public:
	uint64_t begin(Version version)
	{
		std::vector<uint64_t> words;
		for (size_t i = 0; i < words_a_page; i++)
			words.push_back(word_of(0, i, version));
		return log_.write_begins(0, words.data(), page_size);
	}
	Story &write(Version version)
	{
		log_.write_ends(begin(version));
		return *this;
	}
	Story &end(uint64_t id)
	{
		log_.write_ends(id);
		return *this;
	}
	Story &flush(bool well = true)
	{
		log_.fsync_begins();
		log_.fsync_ends(well);
		return *this;
	}
	Story &promise(Version version)
	{
		log_.promise({version, 0});
		return *this;
	}
	Log &log() { return log_; }
	bool right() const { return cut_everywhere(log_.events(), 2).empty(); }

private:
	Log log_;
};

} // namespace

TEST_CASE("a log is found right, or wrong")
{
	// A promise needs a write and an fsync that began after it.
	CHECK(Story().write(1).flush().promise(1).right());
	CHECK_FALSE(Story().write(1).promise(1).right());
	CHECK_FALSE(Story().flush().promise(1).right());
	CHECK_FALSE(Story().flush().write(1).promise(1).right());
	CHECK_FALSE(Story().write(1).flush().promise(2).right());
	{
		Story overlaps;
		uint64_t id = overlaps.begin(1);
		overlaps.log().fsync_begins();
		overlaps.end(id);
		overlaps.log().fsync_ends(true);
		CHECK(overlaps.right());
		CHECK_FALSE(overlaps.promise(1).right());
	}
	// What is written later is of what was promised, or newer.
	CHECK(Story().write(1).flush().promise(1).write(2).right());
	CHECK_FALSE(Story().write(2).flush().promise(2).write(1).right());
	CHECK(Story().write(1).write(2).flush().promise(2).right());
	// What a failed fsync may have dropped is not covered by the next.
	CHECK_FALSE(Story().write(1).flush(false).promise(1).right());
	CHECK_FALSE(Story().write(1).flush(false).flush().promise(1).right());
	CHECK(Story().write(1).flush(false).write(1).flush().promise(1).right());
	CHECK(Story().write(1).flush().write(2).flush(false).promise(1).right());
	// Bytes that nobody put, and writes of one page at once.
	{
		Story foreign;
		std::vector<char> bytes(page_size, 'x');
		foreign.log().write_begins(0, bytes.data(), bytes.size());
		CHECK_FALSE(foreign.right());
		Story twice;
		twice.begin(1);
		twice.begin(1);
		CHECK_FALSE(twice.right());
	}
}
