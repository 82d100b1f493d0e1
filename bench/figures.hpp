/*
 * figures.hpp - the files that a report.py reads: a table of figures, and beside it what was measured where.
 *
 * The table, a CSV file, has a line a round, cell and figure, and grows while the program runs; it is
 * printed, too, a line a cell.  The JSON file is written last.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "compare/failure.hpp"
#include "compare/json.hpp"
#include "compare/machine.hpp"

struct Figure {
	std::string metric;
	double value;
};

using Figures = std::vector<Figure>;

class FigureFile {
public:
	/* `columns`: those before the round. */
	FigureFile(std::string csv, const std::string &columns) : path(std::move(csv)), table(path)
	{
		table << columns << ",round,metric,value\n" << std::flush;
		if (!table)
			compare::throw_errno("writing", path);
	}

	/* No name of ours has a comma or a quotation mark.  Rounds are counted from 1. */
	void add(const std::vector<std::string> &cell, unsigned round, const Figures &figures)
	{
		std::string start;
		printf("%2u", round + 1);
		for (const std::string &field : cell) {
			start += field + ',';
			printf(" %-13s", field.c_str());
		}
		for (const Figure &f : figures) {
			const std::string value = compare::json::number(f.value);
			printf("  %s %s", f.metric.c_str(), value.c_str());
			table << start << round + 1 << ',' << f.metric << ',' << value << '\n';
		}
		printf("\n");
		table.flush();
		if (!table)
			compare::throw_errno("writing", path);
		if (fflush(stdout) != 0)
			compare::throw_errno("writing to standard output");
	}

	/* What is as it is in JSON: numbers of the program's own, and lists of those who took part and of what they did. */
	void finish(const std::string &program, const compare::json::Fields &own) const
	{
		const std::string about = path.substr(0, path.rfind(".csv")) + ".json";
		std::ofstream json(about);
		json << "{\n  \"program\": " << compare::json::quoted(program)
		     << ",\n  \"date\": " << compare::json::quoted(compare::date_now())
		     << ",\n  \"machine\": " << compare::json::object(compare::machine_facts())
		     << ",\n  \"others\": " << compare::json::object(others.facts());
		for (const auto &[name, value] : own)
			json << ",\n  " << compare::json::quoted(name) << ": " << value;
		json << "\n}\n" << std::flush;
		if (!json)
			compare::throw_errno("writing", about);
	}

private:
	const std::string path;
	std::ofstream table;
	const compare::Others others;
};
