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

#include "works.hpp"

namespace device {

using compare::json::object;

static void write_about(const FigureFile &output, const Options &options)
{
	const auto subject = [](const Subject &s) {
		return object({{"id", s.id}, {"name", name_of(s)}, {"setup", setup_of(s)}});
	};
	const auto work = [](const Work &w) {
		return object({{"name", w.name}, {"what", w.what}, {"parameter", w.parameter}});
	};
	output.finish("mpool-device", {{"rounds", std::to_string(options.rounds)},
	                               {"milliseconds", std::to_string(options.milliseconds)},
	                               {"pages", std::to_string(options.pages)},
	                               {"subjects", compare::json::list(subjects_here(), subject)},
	                               {"workloads", compare::json::list(works(), work)}});
}

static void list()
{
	printf("workloads:\n");
	for (const Work &w : works())
		printf("  %-15s %s\n", w.name, w.what);
	printf("subjects:\n");
	for (const Subject &s : subjects_here())
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

static void measure(const Work &w, Bench &b, FigureFile &output)
{
	const auto groups = possible_groups(w, b);

	for (b.round = 0; b.round < b.options.rounds; b.round++)
		for (const auto &group : groups)
			for (size_t i = 0; i < group.size(); i++) {
				const Cell &c = group[(i + b.round) % group.size()];
				output.add({c.work->name, name_of(c.place), std::to_string(c.parameter), c.subject},
				           b.round, w.measure(b, c));
			}
}

static void measure_all(const Options &options)
{
	FigureFile output(options.csv, "work,place,parameter,subject");
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
	write_about(output, options);
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
