/*
 * kinds.cpp - all stores that this build has, in the order of the tables.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "store.hpp"

namespace trees {

const std::vector<Kind> &kinds()
{
	static const std::vector<Kind> all = {
		mpool_kind(),
#ifdef HAVE_BERKELEY
		berkeley_kind(),
#endif
#ifdef HAVE_LMDB
		lmdb_kind(),
#endif
#ifdef HAVE_ROCKSDB
		rocksdb_kind(),
#endif
#ifdef HAVE_SQLITE
		sqlite_kind(),
#endif
	};
	return all;
}

} // namespace trees
