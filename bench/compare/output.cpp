/*
 * output.cpp - see output.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "output.hpp"

#include <algorithm>

#include "failure.hpp"
#include "json.hpp"
#include "machine.hpp"

namespace compare {

using namespace json;

/* ---- CSV ---- */

Output::Output(const Options &o) : options(o), csv(o.csv)
{
	csv << "workload,parameter,threads,subject,round,metric,value\n" << std::flush;
	if (!csv)
		throw_errno("writing", o.csv);
}

/* No name of ours has a comma or a quotation mark.  Rounds are counted from 1. */
void Output::figures(const Case &c, const Subject &s, unsigned threads, unsigned round, const Figures &figures)
{
	for (const Figure &f : figures)
		csv << c.workload << ',' << c.parameter << ',' << threads << ',' << s.id << ',' << round + 1 << ','
		    << f.metric << ',' << number(f.value) << '\n';
	csv.flush();
	if (!csv)
		throw_errno("writing", options.csv);
}

/* ---- JSON ---- */

/* A workload of several cases is named once. */
static std::vector<Case> one_each(const std::vector<Case> &cases)
{
	std::vector<Case> first;
	for (const Case &c : cases)
		if (first.empty() || first.back().workload != std::string(c.workload))
			first.push_back(c);
	return first;
}

static std::string subject_text(const Subject &s)
{
	Description d = s.describe();
	return object({{"id", s.id}, {"name", d.name}, {"version", d.version}, {"setup", d.setup}});
}

void Output::absent(const std::string &workload, const Subject &s, const std::string &why)
{
	Absent a = {workload, s.id, why};
	auto same = [&](const Absent &b) {
		return a.workload == b.workload && a.subject == b.subject && a.why == b.why;
	};
	if (std::none_of(absentees.begin(), absentees.end(), same))
		absentees.push_back(a);
}

std::string Output::about(const std::vector<Case> &cases, const std::vector<Subject> &subjects, double took) const
{
	std::string text = "{\n  \"program\": \"mpool-bench\",\n";
	text += "  \"date\": " + quoted(date_now()) + ",\n";
	text += "  \"mode\": " + quoted(options.full ? "full" : "quick") + ",\n";
	text += "  \"rounds\": " + std::to_string(options.rounds) + ",\n";
	text += "  \"milliseconds\": " + std::to_string(options.milliseconds) + ",\n";
	text += "  \"took_seconds\": " + number(took) + ",\n";
	text += "  \"machine\": " + object(machine_facts()) + ",\n";
	text += "  \"others\": " + object(others.facts()) + ",\n";
	text += "  \"subjects\": " + list(subjects, subject_text) + ",\n";
	text += "  \"workloads\": " +
	        list(one_each(cases), [](const Case &c) { return object({{"name", c.workload}, {"what", c.what}}); }) +
	        ",\n";
	text += "  \"absent\": " +
	        list(absentees,
	             [](const Absent &a) {
			     return object({{"workload", a.workload}, {"subject", a.subject}, {"why", a.why}});
		     }) +
	        "\n}\n";
	return text;
}

void Output::finish(const std::vector<Case> &cases, const std::vector<Subject> &subjects, double took)
{
	std::ofstream json(options.about);
	json << about(cases, subjects, took) << std::flush;
	if (!json)
		throw_errno("writing", options.about);
}

} // namespace compare
