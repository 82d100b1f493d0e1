/*
 * mpool-device - how libmpool and others bring pages from a device, and write while they do.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * works.cpp lists who does what; reading.cpp and mixing.cpp measure; fio.cpp asks the device itself;
 * the other files are the peers.  The rounds of a group of cells, which have all but the subject in common,
 * go round the subjects, each beginning one further on.
 */
#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>

#include "compare/failure.hpp"
#include "compare/json.hpp"
#include "compare/machine.hpp"
#include "works.hpp"

namespace device {

using compare::throw_errno;
using compare::json::number;
using compare::json::object;
using compare::json::quoted;

class Output {
public:
	explicit Output(const Options &o) : options(o), csv(o.csv)
	{
		csv << "work,place,parameter,subject,round,metric,value\n" << std::flush;
		if (!csv)
			throw_errno("writing", o.csv);
	}

	/* No name of ours has a comma or a quotation mark.  Rounds are counted from 1. */
	void figures(const Cell &c, unsigned round, const Figures &figures)
	{
		printf("%2u %-11s %-6s %2u %-14s", round + 1, c.work->name, name_of(c.place), c.parameter,
		       c.subject.c_str());
		for (const Figure &f : figures) {
			printf("  %s %s", f.metric.c_str(), number(f.value).c_str());
			csv << c.work->name << ',' << name_of(c.place) << ',' << c.parameter << ',' << c.subject << ','
			    << round + 1 << ',' << f.metric << ',' << number(f.value) << '\n';
		}
		printf("\n");
		csv.flush();
		if (!csv)
			throw_errno("writing", options.csv);
		if (fflush(stdout) != 0)
			throw_errno("writing to standard output");
	}

	/* What was measured, and on what. */
	void finish() const
	{
		std::string path = options.csv.substr(0, options.csv.rfind(".csv")) + ".json";
		std::ofstream json(path);
		json << "{\n  \"program\": \"mpool-device\",\n  \"date\": " << quoted(compare::date_now())
		     << ",\n  \"rounds\": " << options.rounds << ",\n  \"milliseconds\": " << options.milliseconds
		     << ",\n  \"pages\": " << options.pages << ",\n  \"machine\": " << object(compare::machine_facts())
		     << ",\n  \"others\": " << object(others.facts()) << ",\n  \"subjects\": "
		     << compare::json::list(
				here(),
				[](const Subject &s) {
					return object({{"id", s.id}, {"name", name_of(s)}, {"setup", setup_of(s)}});
				})
		     << ",\n  \"workloads\": "
		     << compare::json::list(
				works(),
				[](const Work &w) {
					return object({{"name", w.name}, {"what", w.what}, {"parameter", w.parameter}});
				})
		     << "\n}\n"
		     << std::flush;
		if (!json)
			throw_errno("writing", path);
	}

	static std::vector<Subject> here()
	{
		std::vector<Subject> some;
		for (const Subject &s : subjects())
			if (is_subject(s.id))
				some.push_back(s);
		return some;
	}

private:
	const Options &options;
	std::ofstream csv;
	const compare::Others others;
};

static void list()
{
	printf("workloads:\n");
	for (const Work &w : works())
		printf("  %-15s %s\n", w.name, w.what);
	printf("subjects:\n");
	for (const Subject &s : Output::here())
		printf("  %-15s %s\n", s.id, name_of(s).c_str());
}

static bool is_for(const Work &w, const Options &o)
{
	return o.wants_workload(w.name);
}

/* Without those that need O_DIRECT where there is none. */
static std::vector<std::vector<Cell>> possible_groups(const Work &w, const Bench &b)
{
	auto groups = groups_of(w, b.options);
	if (!b.scratch.allows_direct(PAGE_BYTES))
		groups.erase(std::remove_if(groups.begin(), groups.end(),
		                            [](const auto &group) { return group.front().place == Place::direct; }),
		             groups.end());
	return groups;
}

static void measure(const Work &w, Bench &b, Output &output)
{
	const auto groups = possible_groups(w, b);

	for (b.round = 0; b.round < b.options.rounds; b.round++)
		for (const auto &group : groups)
			for (size_t i = 0; i < group.size(); i++) {
				const Cell &c = group[(i + b.round) % group.size()];
				output.figures(c, b.round, w.measure(b, c));
			}
}

static void measure_all(const Options &options)
{
	Output output(options);
	compare::Scratch scratch(options.directory);
	if (!scratch.allows_direct(PAGE_BYTES))
		fprintf(stderr, "mpool-device: no file in %s can be opened with O_DIRECT: all is buffered\n",
		        options.directory.c_str());
	compare::set_page_bytes(PAGE_BYTES);
	compare::PageFile file(scratch.path("pages"), {PAGE_BYTES, options.pages, true});
	compare::PageFile overwritten(scratch.path("overwritten"), {PAGE_BYTES, options.pages, true});
	Bench bench = {options, scratch, file, overwritten, 0};

	for (const Work &w : works())
		if (is_for(w, options))
			measure(w, bench, output);
	output.finish();
}

} // namespace device

int main(int argc, char **argv)
{
	device::Options options = device::parse_options(argc, argv);
	try {
		if (options.list)
			device::list();
		else
			device::measure_all(options);
	} catch (const std::exception &e) {
		fprintf(stderr, "mpool-device: %s\n", e.what());
		return 1;
	}
	return 0;
}
