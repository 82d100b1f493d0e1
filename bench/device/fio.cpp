/*
 * fio.cpp - see fio.hpp.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "fio.hpp"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "compare/failure.hpp"

namespace device {

static std::string output_of(const std::string &command, int *status)
{
	std::string text;
	char part[4096];

	FILE *f = popen(command.c_str(), "re");
	if (f == nullptr)
		compare::throw_errno("running", command);
	for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;)
		text.append(part, n);
	*status = pclose(f);
	return text;
}

bool has_fio()
{
	static const bool has = [] {
		int status;
		output_of("fio --version 2> /dev/null", &status);
		return status == 0;
	}();
	return has;
}

/* Requests a second of one direction; in fio's JSON the first "iops" of its object. */
static double iops_of(const std::string &json, const char *direction)
{
	const std::string key = "\"iops\" : ";
	size_t at = json.find(std::string("\"") + direction + "\" : {");
	if (at != std::string::npos)
		at = json.find(key, at);
	if (at == std::string::npos)
		throw std::runtime_error("fio does not say how much it did: " + json);
	return strtod(json.c_str() + at + key.size(), nullptr);
}

/* io_uring may be refused; where the kernel answers at once, a thread's own calls are quickest. */
static std::string try_job(const FioJob &job, const char *engine, int *status)
{
	std::string command = "fio --name=device --output-format=json --filename='" + job.path + "'";
	auto add = [&](const char *name, const std::string &value) {
		command += std::string(" --") + name + "=" + value;
	};

	add("ioengine", engine);
	add("rw", job.rw);
	add("bs", std::to_string(job.bytes));
	add("size", std::to_string(uint64_t{job.pages} * PAGE_BYTES));
	add("iodepth", std::to_string(job.depth));
	add("direct", job.place == Place::direct ? "1" : "0");
	add("invalidate", job.place == Place::cold ? "1" : "0");
	add("runtime", std::to_string(job.milliseconds) + "ms");
	add("randrepeat", "0");
	add("fallocate", "none");
	return output_of(command + " 2>&1", status);
}

double fio_pages_per_second(const FioJob &job)
{
	static const char *parallel = "io_uring";
	int status;

	std::string text = try_job(job, job.depth > 1 ? parallel : "psync", &status);
	if (status != 0 && job.depth > 1) {
		parallel = "libaio";
		text = try_job(job, parallel, &status);
	}
	if (status != 0)
		throw std::runtime_error("fio: " + text);
	return (iops_of(text, "read") + iops_of(text, "write")) * job.bytes / PAGE_BYTES;
}

} // namespace device
