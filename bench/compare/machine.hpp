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

/* As 2025-12-31T23:59:59Z. */
std::string date_now();

} // namespace compare
