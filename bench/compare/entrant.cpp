/*
 * entrant.cpp - see entrant.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "entrant.hpp"

#include <filesystem>

#include <unistd.h>

#include "failure.hpp"
#include "verify.hpp"

namespace compare {

Work work_of(const Case &c)
{
	Work w = {};
	w.name = c.workload;
	w.modifies = c.modifies;
	w.appends = c.appends;
	w.syncs = c.syncs;
	w.evicts = c.evicts();
	w.direct = c.direct;
	w.latches = c.shape == Shape::latches;
	return w;
}

Entrant::Entrant(const Subject &subject, const Case &c, std::shared_ptr<PageFile> f, std::string d)
    : which(subject), in(c), file(std::move(f)), directory(std::move(d))
{
}

Entrant::~Entrant()
{
	close();
}

Setup Entrant::setup() const
{
	Setup s = {};
	s.path = file->path().c_str();
	s.fd = descriptor->number();
	s.direct = in.direct;
	s.page_bytes = in.page_bytes;
	s.file_pages = in.file_pages;
	s.shared = which.sharing == Sharing::processes ? directory.c_str() : nullptr;
	s.cache_pages = in.cache_pages;
	return s;
}

void Entrant::open()
{
	descriptor.emplace(file->path(), in.direct);
	if (which.sharing == Sharing::processes)
		std::filesystem::create_directory(directory);
	opened = which.open(setup());
}

std::unique_ptr<Opened> Entrant::join() const
{
	return which.open(setup());
}

void Entrant::close()
{
	opened.reset();
	std::error_code ignored; /* what is left goes with the scratch directories */
	std::filesystem::remove_all(directory, ignored);
	descriptor.reset();
}

void Entrant::load()
{
	uint32_t wrong = opened->load(0, in.file_pages);
	if (wrong != 0)
		throw Wrong(std::to_string(wrong) + " pages had wrong bytes when they were read first");
}

void Entrant::open_empty()
{
	close();
	if (truncate(file->path().c_str(), 0) != 0)
		throw_errno("truncating", file->path());
	open();
}

void Entrant::close_and_check_modified()
{
	opened->sync();
	close();
	uint64_t found = modified_in_file(file->path().c_str(), in.page_bytes, in.file_pages);
	if (found != modified)
		throw Wrong(std::to_string(modified) + " modifications were made, and the file has " +
		            std::to_string(found));
}

void Entrant::close_and_check_appended(uint64_t pages)
{
	opened->sync();
	close();
	check_appended_file(file->path().c_str(), in.page_bytes, pages);
}

} // namespace compare
