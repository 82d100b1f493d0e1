// power.cpp - see power.hpp.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "power.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace power {

namespace {

constexpr unsigned version_bits = 24;
constexpr uint64_t version_mask = (uint64_t{1} << version_bits) - 1;

uint64_t scatter(uint64_t x)
{
	x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9;
	return x ^ (x >> 32);
}

} // namespace

uint64_t word_of(pgno_t pgno, size_t index, Version version)
{
	if (version == 0)
		return 0;
	return scatter(scatter(uint64_t{pgno} << 32 | index) + version) << version_bits | version;
}

bool version_of(pgno_t pgno, size_t index, uint64_t word, Version &version)
{
	version = static_cast<Version>(word & version_mask);
	return word == word_of(pgno, index, version);
}

// ---- The log ------------------------------------------------------------------

void Log::add(Event event)
{
	std::lock_guard<std::mutex> lock(mutex_);
	events_.push_back(std::move(event));
}

uint64_t Log::write_begins(off_t offset, const void *bytes, size_t size)
{
	const char *from = static_cast<const char *>(bytes);
	Event event{Event::write_begins, 0, offset, std::vector<char>(from, from + size), {}};
	std::lock_guard<std::mutex> lock(mutex_);
	event.id = writes_++;
	events_.push_back(std::move(event));
	return writes_ - 1;
}

void Log::write_ends(uint64_t id)
{
	add({Event::write_ends, id, 0, {}, {}});
}

void Log::fsync_begins()
{
	add({Event::fsync_begins, 0, 0, {}, {}});
}

void Log::fsync_ends(bool well)
{
	add({well ? Event::fsync_ends : Event::fsync_fails, 0, 0, {}, {}});
}

void Log::promise(const Versions &versions)
{
	add({Event::promise, 0, 0, {}, versions});
}

// ---- The disk -------------------------------------------------------------------

Disk::Disk(size_t pages) : may_hold_(pages * sectors_a_page), promised_(pages)
{
	for (std::vector<Content> &contents : may_hold_)
		contents.push_back({{}, 0, true, true, false, 0});
}

template <class F> void Disk::each_content(F f)
{
	for (std::vector<Content> &contents : may_hold_)
		for (Content &content : contents)
			f(content);
}

std::string Disk::judge(size_t sector) const
{
	pgno_t pgno = static_cast<pgno_t>(sector / sectors_a_page);
	for (const Content &content : may_hold_[sector])
		if (content.least < promised_[pgno])
			return "page " + std::to_string(pgno) + ", sector " + std::to_string(sector % sectors_a_page) +
			       ", may be of version " + std::to_string(content.least) + "; promised is " +
			       std::to_string(promised_[pgno]);
	return {};
}

std::string Disk::write_begins(const Event &event)
{
	for (size_t done = 0; done < event.bytes.size(); done += sector_size) {
		size_t at = static_cast<size_t>(event.offset) + done, sector = at / sector_size;
		pgno_t pgno = static_cast<pgno_t>(at / page_size);
		if (at % sector_size != 0 || event.bytes.size() - done < sector_size || sector >= may_hold_.size())
			return "a write that is no page's, at " + std::to_string(at);
		if (!may_hold_[sector].back().ended)
			return "two writes of page " + std::to_string(pgno) + " at once";
		const char *from = event.bytes.data() + done;
		Content content{std::vector<char>(from, from + sector_size), event.id, false, false, false, UINT32_MAX};
		for (size_t i = 0; i < words_a_sector; i++) {
			uint64_t word;
			Version version;
			memcpy(&word, from + 8 * i, 8);
			if (!version_of(pgno, at % page_size / 8 + i, word, version))
				return "a write of page " + std::to_string(pgno) + " that holds what nobody put";
			content.least = std::min(content.least, version);
		}
		may_hold_[sector].push_back(std::move(content));
		std::string wrong = judge(sector);
		if (!wrong.empty())
			return wrong;
	}
	return {};
}

std::string Disk::promise(const Versions &versions)
{
	std::string wrong;
	for (size_t i = 0; i < versions.size(); i++)
		promised_[i] = std::max(promised_[i], versions[i]);
	for (size_t i = 0; i < may_hold_.size() && wrong.empty(); i++)
		wrong = judge(i);
	return wrong;
}

std::string Disk::take(const Event &event)
{
	bool fsync = event.kind >= Event::fsync_begins && event.kind <= Event::fsync_fails;
	if (fsync && std::exchange(in_fsync_, !in_fsync_) != (event.kind != Event::fsync_begins))
		return "two fsyncs at once, so that nobody can say which of them covers a write";
	switch (event.kind) {
	case Event::write_begins:
		return write_begins(event);
	case Event::write_ends:
		each_content([&](Content &content) { content.ended |= content.write == event.id; });
		break;
	case Event::fsync_begins:
		each_content([](Content &content) { content.covered |= content.ended && !content.doomed; });
		break;
	case Event::fsync_ends:
		for (std::vector<Content> &contents : may_hold_) {
			size_t certain = contents.size() - 1;
			while (!contents[certain].covered)
				certain--;
			contents.erase(contents.begin(), contents.begin() + static_cast<std::ptrdiff_t>(certain));
		}
		break;
	case Event::fsync_fails:
		for (std::vector<Content> &contents : may_hold_)
			for (size_t i = 1; i < contents.size(); i++) {
				contents[i].covered = false;
				contents[i].doomed = true;
			}
		break;
	case Event::promise:
		return promise(event.versions);
	}
	return {};
}

size_t Disk::uncertain() const
{
	size_t n = 0;
	for (const std::vector<Content> &contents : may_hold_)
		n += contents.size() > 1;
	return n;
}

std::vector<char> Disk::image(const std::function<size_t(size_t)> &choose) const
{
	std::vector<char> file;
	for (size_t i = 0; i < may_hold_.size(); i++) {
		const Content &content = may_hold_[i][choose(may_hold_[i].size())];
		if (content.bytes.empty())
			continue;
		if (file.size() < (i + 1) * sector_size)
			file.resize((i + 1) * sector_size);
		memcpy(file.data() + i * sector_size, content.bytes.data(), sector_size);
	}
	return file;
}

std::string wrong_in(const char *bytes, size_t size, const Versions &promised)
{
	for (size_t i = 0; i < promised.size() * words_a_page; i++) {
		uint64_t word = 0;
		Version version;
		pgno_t pgno = static_cast<pgno_t>(i / words_a_page);
		if ((i + 1) * 8 <= size)
			memcpy(&word, bytes + i * 8, 8);
		if (!version_of(pgno, i % words_a_page, word, version))
			return "page " + std::to_string(pgno) + " holds what nobody put";
		if (version < promised[pgno])
			return "page " + std::to_string(pgno) + " is of version " + std::to_string(version) +
			       "; promised is " + std::to_string(promised[pgno]);
	}
	return {};
}

} // namespace power
