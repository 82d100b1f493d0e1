/*
 * deaths.hpp - what the death of a process costs the others that share its pool.
 *
 * This library's calls, not an adaptor: that another process goes on after a death is
 * nothing that its peers promise.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <memory>

#include "measure.hpp"
#include "subject.hpp"

namespace compare {

class SharedPool;

/* This process, one that shares a pool with those that die, and outlives them. */
class Survivor {
public:
	/* Opens the pool that `shared` names, all of its pages in memory. */
	explicit Survivor(const Setup &);
	~Survivor();
	Survivor(const Survivor &) = delete;
	Survivor &operator=(const Survivor &) = delete;

	/* One death of each kind, in milliseconds.  Throws Wrong when one goes unnoticed, or takes a page with it. */
	Figures see_deaths();

private:
	void see_holder_die(Figures &);
	void see_worker_die(Figures &);
	void see_reader_die(Figures &);

	const Setup setup;
	std::unique_ptr<SharedPool> pool;
};

} // namespace compare
