/*
 * mpool-trees - the tree of examples/tree beside other stores of keys and values.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * What keeps the comparison fair: the same keys and values in the same order, memory of the same size, and the
 * same promise of what survives a power cut; interleaved rounds; and every value that is looked up is compared, all
 * of it.  store.hpp says what a store has to offer, measure.cpp has the workloads.
 */
#include <cstdio>
#include <exception>

#include "measure.hpp"

namespace trees {

static void list()
{
	printf("workloads:\n");
	for (const Work &w : works())
		printf("  %-15s %s\n", w.name, w.what);
	printf("subjects:\n");
	for (const Kind &k : kinds())
		printf("  %-15s %s %s\n", k.id, k.name, k.version.c_str());
}

static void write_about(const FigureFile &output, const Options &options)
{
	using compare::json::object;
	const auto subject = [](const Kind &k) {
		return object({{"id", k.id}, {"name", k.name}, {"version", k.version}, {"setup", k.setup}});
	};
	const auto work = [](const Work &w) { return object({{"name", w.name}, {"what", w.what}}); };
	output.finish("mpool-trees", {{"rounds", std::to_string(options.rounds)},
	                              {"milliseconds", std::to_string(options.milliseconds)},
	                              {"keys", std::to_string(options.keys)},
	                              {"subjects", compare::json::list(wanted_kinds(options), subject)},
	                              {"workloads", compare::json::list(works(), work)}});
}

static void measure(const Options &options)
{
	FigureFile output(options.csv, "work,threads,subject");
	compare::Scratch scratch(options.directory);
	measure_all(options, scratch, output);
	write_about(output, options);
}

} // namespace trees

int main(int argc, char **argv)
{
	trees::Options options = trees::parse_options(argc, argv);
	try {
		if (options.list)
			trees::list();
		else
			trees::measure(options);
	} catch (const std::exception &e) {
		fprintf(stderr, "mpool-trees: %s\n", e.what());
		return 1;
	}
	return 0;
}
