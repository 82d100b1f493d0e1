/*
 * sqlite.cpp - SQLite: a table WITHOUT ROWID, in the mode with a write-ahead log.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "store.hpp"

#include <cstring>

#include <sched.h>
#include <sqlite3.h>

namespace trees {

namespace {

constexpr uint64_t PAGE_BYTES = 4096;
constexpr uint64_t LOG_PAGES = 16384; /* 64 MiB: then its pages are written, as by default after 1,000 */

[[noreturn]] void fail(sqlite3 *db, const char *doing)
{
	throw std::runtime_error(std::string("SQLite, ") + doing + ": " + sqlite3_errmsg(db));
}

struct Closer {
	void operator()(sqlite3 *db) const { sqlite3_close(db); }
	void operator()(sqlite3_stmt *s) const { sqlite3_finalize(s); }
};
using Connection = std::unique_ptr<sqlite3, Closer>;
using Statement = std::unique_ptr<sqlite3_stmt, Closer>;

void run(sqlite3 *db, const std::string &sql)
{
	if (sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
		fail(db, sql.c_str());
}

/* Another writes: its own way to wait sleeps, for a millisecond at least. */
int try_again(void *, int)
{
	sched_yield();
	return 1;
}

Connection connect(const Setup &s)
{
	/* Without statistics of memory, as its manual advises for speed. */
	static const int configured = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	(void)configured;
	sqlite3 *raw = nullptr;
	int error = sqlite3_open_v2((s.directory + "/tree").c_str(), &raw,
	                            SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
	Connection db(raw);
	if (error != SQLITE_OK)
		fail(raw, "opening");
	sqlite3_busy_handler(raw, try_again, nullptr);
	run(raw, "PRAGMA page_size=" + std::to_string(PAGE_BYTES));
	run(raw, "PRAGMA journal_mode=WAL");
	run(raw, std::string("PRAGMA synchronous=") + (s.durable == Durable::each ? "FULL" : "NORMAL"));
	run(raw, "PRAGMA wal_autocheckpoint=" + std::to_string(LOG_PAGES));
	/* Each connection has a cache of its own. */
	run(raw, "PRAGMA cache_size=" + std::to_string(s.cache_bytes / s.threads / PAGE_BYTES));
	run(raw, "CREATE TABLE IF NOT EXISTS tree(key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID");
	return db;
}

class Thread : public Session {
public:
	explicit Thread(const Setup &s)
	    : db(connect(s)),
	      puts(prepared("INSERT INTO tree VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = ?2")),
	      gets(prepared("SELECT value FROM tree WHERE key = ?1"))
	{
	}

	void put(const Key &key, const Value &value) override
	{
		sqlite3_bind_blob(puts.get(), 1, key.bytes, sizeof key.bytes, SQLITE_STATIC);
		sqlite3_bind_blob(puts.get(), 2, value.words, sizeof value.words, SQLITE_STATIC);
		int result = sqlite3_step(puts.get());
		sqlite3_reset(puts.get());
		if (result != SQLITE_DONE)
			fail(db.get(), "put");
	}

	bool get(const Key &key, Value &value) override
	{
		sqlite3_bind_blob(gets.get(), 1, key.bytes, sizeof key.bytes, SQLITE_STATIC);
		int result = sqlite3_step(gets.get());
		bool found = result == SQLITE_ROW && sqlite3_column_bytes(gets.get(), 0) == sizeof value.words;
		if (found)
			memcpy(value.words, sqlite3_column_blob(gets.get(), 0), sizeof value.words);
		sqlite3_reset(gets.get());
		if (result != SQLITE_ROW && result != SQLITE_DONE)
			fail(db.get(), "get");
		return found;
	}

private:
	Statement prepared(const char *sql)
	{
		sqlite3_stmt *raw = nullptr;
		if (sqlite3_prepare_v3(db.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr) != SQLITE_OK)
			fail(db.get(), sql);
		return Statement(raw);
	}

	Connection db;
	Statement puts, gets;
};

class Sqlite : public Store {
public:
	explicit Sqlite(const Setup &s) : setup(s), own(connect(s)) {}

	std::unique_ptr<Session> session() override { return std::make_unique<Thread>(setup); }
	void checkpoint() override
	{
		if (sqlite3_wal_checkpoint_v2(own.get(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr) !=
		    SQLITE_OK)
			fail(own.get(), "checkpoint");
	}

private:
	const Setup setup;
	Connection own; /* the last to be closed */
};

} // namespace

Kind sqlite_kind()
{
	return {"sqlite", "SQLite", sqlite3_libversion(),
	        "a table WITHOUT ROWID with pages of 4096 bytes, journal_mode WAL, a checkpoint by itself each 64 MiB of log; a "
	        "connection a thread, each with its part of the cache, who tries again at once when another writes; "
	        "synchronous NORMAL, or FULL where it is to be durable",
	        open_as<Sqlite>};
}

} // namespace trees
