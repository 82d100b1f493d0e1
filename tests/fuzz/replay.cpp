// replay.cpp - runs the inputs in files, and others made at random from a seed.
//
// SPDX-License-Identifier: BSD-2-Clause
//
// For compilers without libFuzzer, for ctest, and to see what one input does.  An
// input that fails is left in a file, and the command to run it again is printed.
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

#include "model.hpp"
#include "../watchdog/watchdog.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

namespace {

constexpr size_t size_most = 900;
constexpr unsigned seconds_per_input = 300; // of the watchdog

const char *program, *current_file = "";
char kept_as[64]; // where the current input would be left; "": it is in a file already
std::vector<uint8_t> input;

void say(const char *text)
{
	ssize_t done = write(STDERR_FILENO, text, strlen(text));
	(void)done;
}

void left_behind(int number)
{
	const char *file = kept_as[0] ? kept_as : current_file;
	if (kept_as[0]) {
		int fd = open(kept_as, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		ssize_t done = write(fd, input.data(), input.size());
		(void)done;
	}
	say(number == SIGALRM ? "fuzz: FAILED: out of time\nfuzz: again: " : "fuzz: again: ");
	say(program);
	say(" ");
	say(file);
	say("\n");
	signal(number, SIG_DFL);
	raise(number);
}

void run()
{
	watchdog_begin("a fuzzed input");
	LLVMFuzzerTestOneInput(input.data(), input.size());
	watchdog_end();
}

unsigned long run_files(const std::vector<std::string> &names)
{
	unsigned long n = 0;
	std::vector<std::string> files;
	for (const std::string &name : names) {
		if (!std::filesystem::is_directory(name))
			files.push_back(name);
		else
			for (const auto &entry : std::filesystem::directory_iterator(name))
				files.push_back(entry.path().string());
	}
	std::sort(files.begin(), files.end());
	for (const std::string &file : files) {
		std::ifstream stream(file, std::ios::binary);
		if (!stream) {
			fprintf(stderr, "fuzz: cannot read %s\n", file.c_str());
			exit(2);
		}
		input.assign(std::istreambuf_iterator<char>(stream), {});
		current_file = file.c_str();
		run();
		n++;
	}
	return n;
}

void run_random(uint64_t seed, unsigned long count)
{
	for (unsigned long n = 0; n < count; n++) {
		std::mt19937_64 random(seed + n);
		input.resize(random() % size_most);
		for (uint8_t &byte : input)
			byte = static_cast<uint8_t>(random());
		snprintf(kept_as, sizeof kept_as, "fuzz-calls-%llu", static_cast<unsigned long long>(seed + n));
		run();
	}
}

unsigned long long number(const char *text)
{
	char *end;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 0);
	if (errno != 0 || *end != '\0' || end == text) {
		fprintf(stderr, "usage: %s [--seed N] [--runs N] [FILE|DIRECTORY]...\n", program);
		exit(2);
	}
	return n;
}

} // namespace

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seed", required_argument, nullptr, 's'}, {"runs", required_argument, nullptr, 'r'}, {}};
	uint64_t seed = std::random_device()();
	unsigned long runs = 0;
	program = argv[0];
	for (int option; (option = getopt_long(argc, argv, "", options, nullptr)) != -1;)
		if (option == 's')
			seed = number(optarg);
		else
			runs = number(option == 'r' ? optarg : "");
	for (int fatal : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGALRM})
		signal(fatal, left_behind);
	if (runs > 0)
		printf("fuzz: %lu random inputs from seed %llu on\n", runs, static_cast<unsigned long long>(seed));
	fflush(stdout);
	watchdog_start(seconds_per_input);
	unsigned long files = run_files({argv + optind, argv + argc});
	run_random(seed, runs);
	watchdog_stop();
	printf("fuzz: OK: %lu inputs of files, %lu random ones, %lu calls, %lu evictions\n", files, runs,
		fuzz::calls_made, fuzz::evictions_seen);
	return 0;
}
