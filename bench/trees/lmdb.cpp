/*
 * lmdb.cpp - LMDB: a copy-on-write B+tree in a mapped file.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "store.hpp"

#include <cstring>

#include <lmdb.h>

namespace trees {

namespace {

constexpr uint64_t MAP_LEAST = uint64_t{1} << 30, MAP_TIMES = 16;

void check(int error, const char *doing)
{
	if (__builtin_expect(error != MDB_SUCCESS, false))
		throw std::runtime_error(std::string("LMDB, ") + doing + ": " + mdb_strerror(error));
}

MDB_val thing(const void *bytes, size_t n)
{
	return {n, const_cast<void *>(bytes)};
}

struct Closer {
	void operator()(MDB_env *env) const { mdb_env_close(env); }
	void operator()(MDB_txn *txn) const { mdb_txn_abort(txn); }
};

/* A reader is begun once, and renewed for each get, which is to see what was put before. */
class Thread : public Session {
public:
	Thread(MDB_env *environment, MDB_dbi database) : env(environment), dbi(database)
	{
		MDB_txn *raw = nullptr;
		check(mdb_txn_begin(env, nullptr, MDB_RDONLY, &raw), "reader");
		reader.reset(raw);
		mdb_txn_reset(raw);
	}

	void put(const Key &key, const Value &value) override
	{
		MDB_val k = thing(key.bytes, sizeof key.bytes), v = thing(value.words, sizeof value.words);
		MDB_txn *txn = nullptr;
		check(mdb_txn_begin(env, nullptr, 0, &txn), "begin");
		int error = mdb_put(txn, dbi, &k, &v, 0);
		if (error != MDB_SUCCESS) {
			mdb_txn_abort(txn);
			check(error, "put");
		}
		check(mdb_txn_commit(txn), "commit");
	}

	bool get(const Key &key, Value &value) override
	{
		MDB_val k = thing(key.bytes, sizeof key.bytes), v = {};
		check(mdb_txn_renew(reader.get()), "renew");
		int error = mdb_get(reader.get(), dbi, &k, &v);
		bool found = error == MDB_SUCCESS && v.mv_size == sizeof value.words;
		if (found)
			memcpy(value.words, v.mv_data, sizeof value.words);
		mdb_txn_reset(reader.get());
		if (error != MDB_NOTFOUND)
			check(error, "get");
		return found;
	}

private:
	MDB_env *const env;
	const MDB_dbi dbi;
	std::unique_ptr<MDB_txn, Closer> reader;
};

class Lmdb : public Store {
public:
	explicit Lmdb(const Setup &s) : env(opened(s)), dbi(database(env.get())) {}

	std::unique_ptr<Session> session() override { return std::make_unique<Thread>(env.get(), dbi); }
	void checkpoint() override { check(mdb_env_sync(env.get(), 1), "sync"); }

private:
	using Environment = std::unique_ptr<MDB_env, Closer>;

	static Environment opened(const Setup &s)
	{
		MDB_env *raw = nullptr;
		check(mdb_env_create(&raw), "environment");
		Environment e(raw);
		check(mdb_env_set_mapsize(raw, MAP_LEAST + MAP_TIMES * s.log_bytes), "map");
		unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | MDB_NOMEMINIT;
		if (s.durable == Durable::later)
			flags |= MDB_NOSYNC;
		check(mdb_env_open(raw, s.directory.c_str(), flags, 0600), "opening");
		return e;
	}

	static MDB_dbi database(MDB_env *e)
	{
		MDB_txn *txn = nullptr;
		MDB_dbi d = 0;
		check(mdb_txn_begin(e, nullptr, 0, &txn), "begin");
		check(mdb_dbi_open(txn, nullptr, 0, &d), "database");
		check(mdb_txn_commit(txn), "commit");
		return d;
	}

	Environment env;
	const MDB_dbi dbi;
};

std::string version()
{
	int major = 0, minor = 0, patch = 0;
	(void)mdb_version(&major, &minor, &patch);
	return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

} // namespace

Kind lmdb_kind()
{
	return {"lmdb", "LMDB", version(),
	        "each put a transaction; a reader a thread, renewed for each get; MDB_NORDAHEAD, MDB_NOMEMINIT; MDB_NOSYNC "
	        "where it is not to be durable. It has no cache of its own, the kernel's has all of the file",
	        open_as<Lmdb>};
}

} // namespace trees
