/*
 * peers.cpp - all peers that this build has.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "peers.hpp"

namespace device {

static void add(std::vector<Kind> &all, const std::vector<Kind> &some)
{
	all.insert(all.end(), some.begin(), some.end());
}

static std::vector<Kind> collected()
{
	std::vector<Kind> all;

	add(all, mpool_kinds());
	add(all, system_kinds());
#ifdef HAVE_BERKELEY
	add(all, berkeley_kinds());
#endif
#ifdef HAVE_ROCKSDB
	add(all, rocksdb_kinds());
#endif
	return all;
}

const std::vector<Kind> &kinds()
{
	static const std::vector<Kind> all = collected();
	return all;
}

const Kind *kind_of(const std::string &id)
{
	for (const Kind &k : kinds())
		if (id == k.id)
			return &k;
	return nullptr;
}

} // namespace device
