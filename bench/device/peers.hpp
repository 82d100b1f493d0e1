/*
 * peers.hpp - the peers, file by file; peers.cpp puts them together.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <memory>
#include <vector>

#include "peer.hpp"

namespace device {

std::vector<Kind> mpool_kinds();
std::vector<Kind> system_kinds();   /* pread, mmap */
std::vector<Kind> berkeley_kinds(); /* with libdb */
std::vector<Kind> rocksdb_kinds();  /* with librocksdb */

template <class P> std::unique_ptr<Peer> open_as(const Setup &s)
{
	return std::make_unique<P>(s);
}

} // namespace device
