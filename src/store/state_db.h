/*
 * state_db.h - SQLite as state.c uses it: opening, transactions, statements,
 * and its result codes as errors that a person can act on.
 */
#ifndef STORE_STATE_DB_H
#define STORE_STATE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/state.h"

/* "msbS" in the file's header: this database is ours. */
#define STATE_APPLICATION_ID 0x6d736253

struct state {
	sqlite3 *db;
	char *home, *path; /* without symbolic links */
	uint64_t busy_ms;  /* how long a call waits for others */
	uint64_t deadline_ns;
	int synchronous; /* as last set: SQLite's number, -1 unknown */
};

/* One step of the schema; @sql takes it from @number - 1 to @number. */
struct migration {
	int number;
	const char *sql;
};
extern const struct migration state_migrations[STATE_SCHEMA];

/* A bound value: text where @text is not NULL, else the number. */
struct value {
	const char *text;
	int64_t number;
};
#define VALUE_TEXT(s) ((struct value){.text = (s)})
#define VALUE_INT(n)  ((struct value){.number = (n)})

/*
 * A call's transaction. TX_DURABLE is on the disk before db_end() returns;
 * what TX_WRITE wrote may be lost by a power cut (never by a crash of ours),
 * then the last transactions as a whole, newest first.
 */
enum tx { TX_READ, TX_WRITE, TX_DURABLE };

int db_begin(struct state *st, enum tx kind, struct err *err);
/* Commit when @r >= 0, else roll back. Returns @r or the commit's error. */
int db_end(struct state *st, int r, struct err *err);

int db_prepare(struct state *st, const char *sql, const struct value *values,
               size_t n, sqlite3_stmt **ret, struct err *err);
int db_step(struct state *st, sqlite3_stmt *q, struct err *err); /* 1: a row */
/* Run to the end; returns how many rows changed. */
int db_run(struct state *st, const char *sql, const struct value *values,
           size_t n, struct err *err);
/* The number in the first column of the only row. */
int db_number(struct state *st, const char *sql, int64_t *ret, struct err *err);

/* SQLite's @rc while we were to "@doing the state of sandboxes". */
int db_fail(struct state *st, int rc, struct err *err);
/* The file's content cannot be ours; @what says which. -EUCLEAN. */
int db_damaged(struct state *st, const char *what, struct err *err);

static inline void cleanup_stmt_fn(sqlite3_stmt **q)
{
	(void)sqlite3_finalize(*q);
}
#define cleanup_stmt cleanup(cleanup_stmt_fn)

#endif
