/*
 * machine.hpp - what the figures were measured on.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace compare {

/* Names and values, for the head of a report. */
std::vector<std::pair<std::string, std::string>> machine_facts();

/* Memory that programs can have without swapping, in bytes. */
uint64_t available_memory();

/* The memory of this process that is resident, in bytes, the program's own code
 * and other mapped files aside. */
uint64_t resident_memory();

/* What else the machine did, from when this is made on: figures of a busy machine say less. */
class Others {
public:
	Others();

	/* Names and values: the processors that other programs took, and the hypervisor, on average; and
	 * the load average when it began.  Empty where the kernel does not tell. */
	std::vector<std::pair<std::string, std::string>> facts() const;

private:
	struct Times {
		double at, busy, stolen, own; /* seconds */
	};

	static Times now();

	Times begin;
	std::string load_average;
};

/* As 2025-12-31T23:59:59Z. */
std::string date_now();

} // namespace compare
