// test_old_clients.cpp - programs for 4.4BSD and the later BSDs compile
// unmodified (old_client.c, old_client_bsd.c), and run.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "support.hpp"

extern "C" {
int old_client(int fd);
int old_client_bsd(int fd);
}

using namespace test;

TEST_CASE("a program of 1994 runs unmodified")
{
	File file;
	CHECK(old_client(file.fd()) == 0);
	CHECK(file.length() == 20 * 512);
}

TEST_CASE("a program for the later BSDs runs unmodified")
{
	File file(1024);
	CHECK(old_client_bsd(file.fd()) == 0);
	CHECK(file.length() == 6 * 1024);
	CHECK(file.holds_bytes(4, 'r'));
	CHECK(file.holds_bytes(5, 'n'));
}
