/*
 * files.cpp - see files.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "files.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "failure.hpp"
#include "page.hpp"

namespace compare {

namespace fs = std::filesystem;

/* ---- the directory ---- */

static sigset_t ending_signals()
{
	sigset_t set;

	sigemptyset(&set);
	for (int s : {SIGINT, SIGTERM, SIGHUP})
		sigaddset(&set, s);
	return set;
}

static void remove_tree(const std::string &directory)
{
	std::error_code ignored; /* what is left is a temporary file */
	fs::remove_all(directory, ignored);
}

/* A thread of its own may do what a signal handler must not. */
static void remove_at_signal(const std::string &directory, const std::string &in_memory)
{
	sigset_t set = ending_signals();
	int got = 0;

	if (sigwait(&set, &got) != 0)
		return;
	remove_tree(directory);
	remove_tree(in_memory);
	_exit(128 + got);
}

static std::string make_directory(const std::string &parent)
{
	std::string name = parent + "/mpool-bench-XXXXXX";

	if (mkdtemp(name.data()) == nullptr)
		throw_errno("making a directory in", parent);
	return name;
}

constexpr const char *SHARED_MEMORY = "/dev/shm";

Scratch::Scratch(const std::string &parent)
    : directory(make_directory(parent)), in_memory(make_directory(SHARED_MEMORY))
{
	sigset_t set = ending_signals();

	pthread_sigmask(SIG_BLOCK, &set, nullptr);
	std::thread(remove_at_signal, directory, in_memory).detach();
}

Scratch::~Scratch()
{
	remove_tree(directory);
	remove_tree(in_memory);
}

uint64_t Scratch::memory_room() const
{
	struct statvfs st;

	if (statvfs(in_memory.c_str(), &st) != 0)
		throw_errno("looking at", in_memory);
	return static_cast<uint64_t>(st.f_bavail) * st.f_frsize;
}

bool Scratch::allows_direct(uint32_t page_bytes) const
{
	PageFile file(path("direct"), {page_bytes, 1, true});
	int fd = open(file.path().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		return false;
	void *page = aligned_alloc(page_bytes, page_bytes);
	bool read = page != nullptr && pread(fd, page, page_bytes, 0) == static_cast<ssize_t>(page_bytes);
	free(page);
	close(fd);
	return read;
}

/* ---- a file ---- */

static void write_all(int fd, const unsigned char *bytes, size_t size, const std::string &path)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);
		if (n < 0)
			throw_errno("writing", path);
		bytes += n;
		size -= static_cast<size_t>(n);
	}
}

/* Many pages a call. */
static void write_pages(int fd, const FileForm &form, const std::string &path)
{
	const uint32_t together = std::max<uint32_t>(1, (1u << 20) / form.page_bytes);
	std::vector<unsigned char> buffer(static_cast<size_t>(together) * form.page_bytes);

	for (uint32_t first = 0; first < form.pages; first += together) {
		uint32_t n = std::min(together, form.pages - first);
		for (uint32_t i = 0; i < n; i++)
			fill_page(&buffer[static_cast<size_t>(i) * form.page_bytes], form.page_bytes, first + i);
		write_all(fd, buffer.data(), static_cast<size_t>(n) * form.page_bytes, path);
	}
}

PageFile::PageFile(std::string path, const FileForm &form) : name(std::move(path))
{
	int fd = open(name.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		throw_errno("making", name);
	write_pages(fd, form, name);
	if (form.settled && fsync(fd) != 0)
		throw_errno("flushing", name);
	close(fd);
}

PageFile::~PageFile()
{
	unlink(name.c_str());
}

Descriptor::Descriptor(const std::string &path, bool direct)
    : fd(open(path.c_str(), O_RDWR | O_CLOEXEC | (direct ? O_DIRECT : 0)))
{
	if (fd < 0)
		throw_errno("opening", path);
}

Descriptor::~Descriptor()
{
	close(fd);
}

} // namespace compare
