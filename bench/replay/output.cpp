/*
 * output.cpp - see output.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "output.hpp"

#include <algorithm>
#include <cstdio>

#include "compare/failure.hpp"

namespace replay {

using compare::throw_errno;

/* Computed here, exactly; or Belady's, which is OPT. */
static bool is_reference(const Anchor &a)
{
	return a.policy == "LRU" || a.policy == "Belady";
}

static double ratio_of(uint64_t misses, const Cell &c)
{
	return static_cast<double>(misses) / c.trace.requests();
}

Output::Output(const Options &o) : options(o)
{
	if (o.tsv.empty())
		return;
	tsv.open(o.tsv);
	tsv << "trace\tkind\trequests\tdistinct\tcache_pages\tsplit\tthreads\tpolicy\tmiss_ratio\n" << std::flush;
	if (!tsv)
		throw_errno("writing", o.tsv);
}

/* ---- for a person ---- */

/* The best of the others that do not know the future. */
static std::string best_anchor(const Cell &c)
{
	const Anchor *best = nullptr;
	for (const Anchor &a : c.anchors)
		if (a.policy != "Belady" && (best == nullptr || a.miss_ratio < best->miss_ratio))
			best = &a;
	if (best == nullptr)
		return "-";
	char ratio[20];
	snprintf(ratio, sizeof ratio, "%.4f ", best->miss_ratio);
	return ratio + best->policy;
}

void Output::print(const Cell &c)
{
	if (!headed)
		printf("%-18s %9s %9s %8s %7s %9s %7s %7s %7s  %s\n", "trace", "requests", "distinct", "cache",
		       "threads", "misses", "ratio", "LRU", "OPT", "best anchor");
	headed = true;
	printf("%-18s %9u %9u %8u %7u %9llu %7.4f %7.4f %7.4f  %s\n", c.trace.name.c_str(), c.trace.requests(),
	       c.trace.distinct, c.cache_pages, c.threads, static_cast<unsigned long long>(c.misses),
	       ratio_of(c.misses, c), ratio_of(c.lru, c), ratio_of(c.opt, c), best_anchor(c).c_str());
	if (fflush(stdout) != 0)
		throw_errno("writing to standard output");
}

/* ---- for report.py ---- */

void Output::row(const Cell &c, const std::string &policy, double miss_ratio)
{
	char text[40];

	snprintf(text, sizeof text, "%.7f", miss_ratio);
	tsv << c.trace.name << '\t' << (c.trace.own() ? "own" : "file") << '\t' << c.trace.requests() << '\t'
	    << c.trace.distinct << '\t' << c.cache_pages << '\t' << (options.pieces ? "pieces" : "turns") << '\t'
	    << c.threads << '\t' << policy << '\t' << text << '\n';
}

void Output::rows(const Cell &c)
{
	row(c, "libmpool", ratio_of(c.misses, c));
	row(c, "LRU", ratio_of(c.lru, c));
	row(c, "OPT", ratio_of(c.opt, c));
	for (const Anchor &a : c.anchors)
		if (!is_reference(a))
			row(c, a.policy, a.miss_ratio);
	tsv.flush();
	if (!tsv)
		throw_errno("writing", options.tsv);
}

void Output::cell(const Cell &c)
{
	print(c);
	if (tsv.is_open())
		rows(c);
}

} // namespace replay
