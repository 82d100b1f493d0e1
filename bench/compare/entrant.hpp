/*
 * entrant.hpp - a subject in a case: its file, its open pool, and what is known of both.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "cases.hpp"
#include "files.hpp"
#include "register.hpp"

namespace compare {

/* What a case asks of those who take part. */
Work work_of(const Case &);

class Entrant {
public:
	/* The file is shared with others unless the case changes it.  `directory`: to be
	 * made, for a pool that processes share. */
	Entrant(const Subject &, const Case &, std::shared_ptr<PageFile>, std::string directory);
	~Entrant();
	Entrant(const Entrant &) = delete;
	Entrant &operator=(const Entrant &) = delete;

	void open();
	/* The pool as another process opens it; only there. */
	std::unique_ptr<Opened> join() const;
	/* Gets every page once and checks all of its bytes.  Throws Wrong. */
	void load();
	/* A new pool on the file, which is made empty. */
	void open_empty();
	/* Syncs, closes, and reads the file itself: it must hold what was done.  Throws Wrong. */
	void close_and_check_modified();
	void close_and_check_appended(uint64_t pages);

	Opened &pool() { return *opened; }
	const Subject &subject() const { return which; }

	uint64_t modified = 0;      /* words, in all rounds */
	uint32_t scan_position = 0; /* where the next cell's scan goes on */

private:
	void close();
	Setup setup() const;

	const Subject &which;
	const Case &in;
	const std::shared_ptr<PageFile> file;
	const std::string directory; /* there while the pool is open, if the pool is shared */
	std::optional<Descriptor> descriptor;
	std::unique_ptr<Opened> opened; /* closed before the descriptor */
};

} // namespace compare
