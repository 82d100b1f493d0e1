/*
 * run.cpp - see run.hpp.
 *
 * The pools of a case are open side by side, and every round runs every cell
 * (threads, subject) once, each round starting one cell further on than the one
 * before: what slows the machine for a while slows all subjects.  Where the pools
 * would not fit into memory together, they take their rounds one after the other.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "run.hpp"

#include <algorithm>
#include <functional>
#include <stdexcept>

#include "deaths.hpp"
#include "failure.hpp"
#include "machine.hpp"
#include "measure.hpp"
#include "memory.hpp"

namespace compare {

/* ---- who takes part ---- */

using Participants = std::vector<const Subject *>;

/* nullptr when the subject takes part. */
static const char *why_not(const Case &c, const Subject &s)
{
	if (c.only.empty() && s.sharing == Sharing::processes)
		return "what processes share is looked at where they do";
	if (!c.only.empty() && std::find(c.only.begin(), c.only.end(), s.id) == c.only.end())
		return c.why_only;
	return s.cannot(work_of(c));
}

static bool takes_part(const Case &c, const Subject &s, By by)
{
	return by == By::threads || (c.shape == Shape::processes && s.sharing == Sharing::processes);
}

static Participants participants(const Case &c, const std::vector<Subject> &subjects)
{
	Participants who;
	for (const Subject &s : subjects)
		if (why_not(c, s) == nullptr)
			who.push_back(&s);
	return who;
}

static void tell_absent(const Case &c, Bench &b)
{
	for (const Subject &s : b.subjects)
		if (const char *why = why_not(c, s))
			b.output.absent(c.workload, s, why);
}

static void skip(const Case &c, const Participants &who, const std::string &why, Bench &b)
{
	b.progress.say(c.name() + " is left out: " + why);
	for (const Subject *s : who)
		b.output.absent(c.name(), *s, why);
}

/* ---- a group whose pools are open together ---- */

namespace {

class Group {
public:
	Group(const Case &, const Participants &, Bench &);

	void run();

private:
	struct Cell {
		Entrant *entrant;
		unsigned threads;
		By by;
	};

	void open();
	void run_round(unsigned round);
	void check_files();

	const Case &in;
	Bench &bench;
	const CellTime time;
	std::vector<uint32_t> sequence;
	std::vector<std::unique_ptr<Entrant>> entrants;
	std::vector<Cell> cells;
};

} // namespace

/* The error, with the names of those it is about. */
static void for_subject(const Case &c, const Subject &s, const std::function<void()> &what)
{
	try {
		what();
	} catch (const std::exception &error) {
		throw std::runtime_error(s.id + ", workload " + c.name() + ": " + error.what());
	}
}

/* A settled file is on the device: its pages will be written or read there. */
static std::shared_ptr<PageFile> make_file(const Case &c, const std::string &name, Bench &b)
{
	bool settled = c.direct || c.shape == Shape::sync;
	return std::make_shared<PageFile>(b.scratch.path(name), FileForm{c.page_bytes, c.file_pages, settled});
}

/* With warming up, starting threads, and adding up what they must have read. */
static double cell_seconds(const Options &o)
{
	return o.milliseconds * 1.4e-3;
}

Group::Group(const Case &c, const Participants &who, Bench &b)
    : in(c), bench(b), time{b.options.milliseconds / 6 + 1, b.options.milliseconds, c.evicts() ? 0 : c.file_pages}
{
	if (c.loop == Loop::sequence)
		sequence = zipf_draws(c.file_pages);
	std::shared_ptr<PageFile> shared;
	if (!c.own_file())
		shared = make_file(c, "pages", b);
	for (const Subject *s : who) {
		std::shared_ptr<PageFile> file = shared ? shared : make_file(c, s->id, b);
		entrants.push_back(std::make_unique<Entrant>(*s, c, file, b.scratch.memory_path(s->id)));
	}
	for (unsigned n : c.threads)
		for (auto &e : entrants)
			for (By by : {By::threads, By::processes})
				if (takes_part(c, e->subject(), by))
					cells.push_back({e.get(), n, by});
}

void Group::open()
{
	for (auto &e : entrants)
		for_subject(in, e->subject(), [&] {
			e->open();
			e->load();
		});
}

void Group::run_round(unsigned round)
{
	Conditions conditions = {in, time, bench.processors, sequence};
	for (size_t i = 0; i < cells.size(); i++) {
		const Cell &cell = cells[(round + i) % cells.size()];
		for_subject(in, cell.entrant->subject(), [&] {
			bench.output.figures(in, cell.entrant->subject(), cell.threads, round,
			                     measure(conditions, *cell.entrant, cell.by, cell.threads, round));
		});
		bench.progress.done(cell_seconds(bench.options));
	}
}

/* Appended pages are looked at when they are appended. */
void Group::check_files()
{
	if (!in.modifies)
		return;
	for (auto &e : entrants)
		for_subject(in, e->subject(), [&] { e->close_and_check_modified(); });
}

void Group::run()
{
	open();
	std::vector<Opened *> pools;
	for (auto &e : entrants)
		pools.push_back(&e->pool());
	{
		Idlers idlers(in.idle, pools, in.file_pages);
		for (unsigned round = 0; round < bench.options.rounds; round++)
			run_round(round);
	}
	check_files();
}

/* ---- memory ---- */

/* The same in every round, so there is one. */
static void run_memory(const Case &c, const Participants &who, Bench &b)
{
	std::shared_ptr<PageFile> file = make_file(c, "pages", b);
	for (const Subject *s : who) {
		Entrant e(*s, c, file, b.scratch.memory_path(s->id));
		for_subject(c, *s,
		            [&] { b.output.figures(c, *s, 1, 0, {{"bytes_per_page", bytes_beside_a_page(e, c)}}); });
	}
}

/* ---- deaths ---- */

/* One of each kind, with the processes that are made for it. */
constexpr double DEATH_SECONDS = 0.12;

/* Some at each round, each a round of its own in the results. */
static unsigned deaths_of(const Options &o)
{
	constexpr unsigned IN_A_ROUND = 10;
	return o.rounds * IN_A_ROUND;
}

static void run_deaths(const Case &c, const Participants &who, Bench &b)
{
	std::shared_ptr<PageFile> file = make_file(c, "pages", b);
	Descriptor descriptor(file->path(), c.direct);
	std::string key = b.scratch.memory_path("deaths");
	for (const Subject *s : who)
		for_subject(c, *s, [&] {
			Survivor survivor({file->path().c_str(), descriptor.number(), c.direct, c.page_bytes,
			                   c.file_pages, key.c_str(), c.cache_pages});
			for (unsigned i = 0; i < deaths_of(b.options); i++) {
				b.output.figures(c, *s, c.threads.front(), i, survivor.see_deaths());
				b.progress.done(DEATH_SECONDS);
			}
		});
}

/* ---- a case ---- */

static bool is_shared(const Case &c)
{
	return c.shape == Shape::processes || c.shape == Shape::deaths;
}

/* What a pool of the case takes, and some more for what its page headers are. */
static uint64_t memory_of_one(const Case &c)
{
	constexpr uint64_t A_PAGE_BESIDE = 256;
	return c.cache_pages * (c.page_bytes + A_PAGE_BESIDE);
}

static uint64_t size_of_file(const Case &c)
{
	return static_cast<uint64_t>(c.file_pages) * c.page_bytes;
}

static void run_groups(const Case &c, const Participants &who, Bench &b)
{
	/* The file should stay in the kernel's cache, and others need memory, too. */
	uint64_t room = available_memory() / 8 * 7;
	room -= std::min(room, size_of_file(c));
	if (memory_of_one(c) > room)
		return skip(c, who, "its pages do not fit into this machine's memory", b);
	if (memory_of_one(c) * who.size() <= room)
		return Group(c, who, b).run();
	b.progress.say(c.name() + ": one subject after the other, as they do not fit into memory together");
	for (const Subject *s : who)
		Group(c, {s}, b).run();
}

/* Not only rounds: files, loading, checking. */
static double expected_beside_rounds(const Case &c, size_t subjects)
{
	constexpr double BYTES_A_SECOND = 1e9, DIRECT_READS_A_SECOND = 1e4, SYNC_SECONDS = 0.05;
	double bytes = static_cast<double>(size_of_file(c)) * static_cast<double>(subjects + 1);
	double direct = c.direct ? c.file_pages * static_cast<double>(subjects) / DIRECT_READS_A_SECOND : 0;
	return bytes / BYTES_A_SECOND + direct + (c.shape == Shape::sync ? SYNC_SECONDS : 0);
}

double expected_seconds(const Case &c, const Options &o, const std::vector<Subject> &subjects)
{
	size_t taking_part = participants(c, subjects).size();
	if (c.shape == Shape::deaths)
		return deaths_of(o) * DEATH_SECONDS + expected_beside_rounds(c, taking_part);
	double cells = c.shape == Shape::memory ? 0 : static_cast<double>(taking_part * c.threads.size());
	return cells * o.rounds * cell_seconds(o) + expected_beside_rounds(c, taking_part);
}

void run_case(const Case &c, Bench &b)
{
	b.progress.begin(c.name(), expected_seconds(c, b.options, b.subjects));
	tell_absent(c, b);
	Participants who = participants(c, b.subjects);
	if (who.empty())
		return;
	set_page_bytes(c.page_bytes);
	if (c.threads.empty())
		return skip(c, who, "it takes two threads at least", b);
	if (c.direct && !b.scratch.allows_direct(c.page_bytes))
		return skip(c, who, "files in " + b.options.directory + " cannot be read with O_DIRECT", b);
	if (is_shared(c) && memory_of_one(c) * who.size() > b.scratch.memory_room())
		return skip(c, who, "its pages do not fit into the memory that processes can share", b);
	if (c.shape == Shape::memory)
		run_memory(c, who, b);
	else if (c.shape == Shape::deaths)
		run_deaths(c, who, b);
	else
		run_groups(c, who, b);
}

} // namespace compare
