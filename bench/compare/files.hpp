/*
 * files.hpp - the files that the pools work on, and the directories they are in.
 *
 * The directories are made for this run and go with it, also when a signal ends
 * the program.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>
#include <string>

namespace compare {

class Scratch {
public:
	/* Takes SIGINT, SIGTERM and SIGHUP: no thread may have been started before. */
	explicit Scratch(const std::string &parent);
	~Scratch();
	Scratch(const Scratch &) = delete;
	Scratch &operator=(const Scratch &) = delete;

	std::string path(const std::string &name) const { return directory + "/" + name; }
	/* In memory, where no disk slows down what processes share. */
	std::string memory_path(const std::string &name) const { return in_memory + "/" + name; }
	/* Bytes that fit there. */
	uint64_t memory_room() const;
	/* Whether files here can be opened with O_DIRECT and read by pages of this size. */
	bool allows_direct(uint32_t page_bytes) const;

private:
	std::string directory;
	std::string in_memory;
};

struct FileForm {
	uint32_t page_bytes;
	uint32_t pages;
	bool settled; /* on the device, not only in the kernel's cache */
};

/* Made in the constructor, gone with the object. */
class PageFile {
public:
	PageFile(std::string path, const FileForm &form);
	~PageFile();
	PageFile(const PageFile &) = delete;
	PageFile &operator=(const PageFile &) = delete;

	const std::string &path() const { return name; }

private:
	std::string name;
};

/* A descriptor for reading and writing, closed with the object. */
class Descriptor {
public:
	Descriptor(const std::string &path, bool direct);
	~Descriptor();
	Descriptor(const Descriptor &) = delete;
	Descriptor &operator=(const Descriptor &) = delete;

	int number() const { return fd; }

private:
	int fd;
};

} // namespace compare
