/*
 * berkeley.cpp - Berkeley DB's btree, in a transactional environment.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "store.hpp"

#include <algorithm>

#include <db.h>

#include "compare/berkeley.hpp"

namespace trees {

namespace {

using compare::berkeley::check;
using compare::berkeley::Environment;

constexpr uint32_t PAGE_BYTES = 4096, LOG_BUFFER = 1 << 20;
constexpr uint32_t LOG_FILE_LEAST = 4 * LOG_BUFFER, LOG_FILE_MOST = 1u << 30;

struct Closer {
	void operator()(DB *db) const { db->close(db, 0); }
};
using Database = std::unique_ptr<DB, Closer>;

Environment open_environment(const Setup &s)
{
	DB_ENV *raw = nullptr;
	check(db_env_create(&raw, 0), "environment");
	Environment env(raw);
	env->set_errcall(raw, compare::berkeley::keep_words);
	compare::berkeley::set_cache_size(raw, s.cache_bytes);
	check(env->set_lg_bsize(raw, LOG_BUFFER), "log buffer");
	check(env->set_lg_max(
		      raw, static_cast<uint32_t>(std::clamp<uint64_t>(s.log_bytes / 4, LOG_FILE_LEAST, LOG_FILE_MOST))),
	      "log files");
	check(env->set_lk_detect(raw, DB_LOCK_DEFAULT), "deadlocks");
	check(env->log_set_config(raw, DB_LOG_AUTO_REMOVE, 1), "old log files");
	if (s.durable == Durable::later)
		check(env->set_flags(raw, DB_TXN_NOSYNC, 1), "no syncs");
	check(env->open(raw, s.directory.c_str(),
	                DB_CREATE | DB_RECOVER | DB_PRIVATE | DB_THREAD | DB_INIT_MPOOL | DB_INIT_LOG | DB_INIT_LOCK |
	                        DB_INIT_TXN,
	                0),
	      "opening the environment");
	return env;
}

Database open_database(DB_ENV *env)
{
	DB *raw = nullptr;
	check(db_create(&raw, env, 0), "handle");
	Database db(raw);
	check(db->set_pagesize(raw, PAGE_BYTES), "page size");
	check(db->open(raw, nullptr, "tree", nullptr, DB_BTREE, DB_CREATE | DB_THREAD | DB_AUTO_COMMIT, 0),
	      "opening the tree");
	return db;
}

DBT thing(const void *bytes, size_t n)
{
	DBT d = {};
	d.data = const_cast<void *>(bytes);
	d.size = d.ulen = static_cast<uint32_t>(n);
	d.flags = DB_DBT_USERMEM;
	return d;
}

class Thread : public Session {
public:
	explicit Thread(DB *database) : db(database) {}

	void put(const Key &key, const Value &value) override
	{
		DBT k = thing(key.bytes, sizeof key.bytes), v = thing(value.words, sizeof value.words);
		int error;
		do
			error = db->put(db, nullptr, &k, &v, 0);
		while (error == DB_LOCK_DEADLOCK);
		check(error, "put");
	}

	bool get(const Key &key, Value &value) override
	{
		DBT k = thing(key.bytes, sizeof key.bytes), v = thing(value.words, sizeof value.words);
		int error;
		do
			error = db->get(db, nullptr, &k, &v, 0);
		while (error == DB_LOCK_DEADLOCK);
		if (error == DB_NOTFOUND)
			return false;
		check(error, "get");
		return v.size == sizeof value.words;
	}

private:
	DB *const db;
};

class Berkeley : public Store {
public:
	explicit Berkeley(const Setup &s) : env(open_environment(s)), db(open_database(env.get())) {}

	std::unique_ptr<Session> session() override { return std::make_unique<Thread>(db.get()); }
	void checkpoint() override { check(env->txn_checkpoint(env.get(), 0, 0, 0), "checkpoint"); }

private:
	Environment env;
	Database db; /* closed first */
};

} // namespace

Kind berkeley_kind()
{
	return {"bdb", "Berkeley DB", DB_VERSION_STRING,
	        "a btree with pages of 4096 bytes in a private environment with locks, log and transactions; a log buffer of "
	        "1 MiB; each put a transaction by DB_AUTO_COMMIT, with DB_TXN_NOSYNC where it is not to be durable",
	        open_as<Berkeley>};
}

} // namespace trees
