/*
 * works.hpp - the workloads: who takes part in each, and what is measured.
 *
 * A cell is a workload, a place, a parameter (the depth, or the number of threads) and a subject: a
 * peer, in the way in which the workload uses it, or fio.  A cell opens its peer anew, so that nothing
 * is in its memory that the workload does not put there.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compare/files.hpp"
#include "figures.hpp"
#include "options.hpp"
#include "peer.hpp"

namespace device {

struct Work;

struct Cell {
	const Work *work;
	Place place;
	unsigned parameter;
	std::string subject;
};

/* What the cells of a run share. */
struct Bench {
	const Options &options;
	const compare::Scratch &scratch;
	const compare::PageFile &file;
	const compare::PageFile &overwritten; /* of the same size; fio writes what it likes there */
	unsigned round;
};

struct Subject {
	const char *id;
	const char *peer; /* as which it is opened; nullptr: fio */
	const char *name; /* nullptr: the peer's */
	const char *setup;
};

struct Work {
	const char *name;
	const char *what;
	const char *parameter; /* what it is */
	std::vector<Place> places;
	std::vector<unsigned> parameters; /* empty: the depths asked for */
	std::vector<const char *> subjects;
	Figures (*measure)(const Bench &, const Cell &);
};

const std::vector<Work> &works();

const std::vector<Subject> &subjects();
const Subject &subject_of(const std::string &id);
bool is_subject(const std::string &id);
/* Those that this build and this machine have. */
std::vector<Subject> subjects_here();

const char *name_of(Place);
std::string name_of(const Subject &);
std::string setup_of(const Subject &);

/* Of a work: those of one place and parameter, which are to be measured one after the other; nobody
 * who cannot take part. */
std::vector<std::vector<Cell>> groups_of(const Work &, const Options &);

} // namespace device
