/*
 * The schema of state.db, step by step. A step that was released never
 * changes: who needs another schema adds a step and raises STATE_SCHEMA.
 */
#include "store/state_db.h"

#include "base/banned.h"

/* config is last: it may be long, and what stands behind it would have to be
 * looked for at the end of its chain of pages. */
static const char sql_1[] =
	"CREATE TABLE sandboxes ("
	" rowid INTEGER PRIMARY KEY,"
	" id TEXT NOT NULL UNIQUE CHECK (length(id) = 16),"
	" name TEXT NOT NULL CONSTRAINT name_taken UNIQUE CHECK (name <> ''),"
	" image TEXT NOT NULL,"
	" image_id TEXT NOT NULL,"
	" ephemeral INTEGER NOT NULL CHECK (ephemeral IN (0, 1)),"
	" detached INTEGER NOT NULL CHECK (detached IN (0, 1)),"
	" created_ms INTEGER NOT NULL,"
	" started_ms INTEGER NOT NULL DEFAULT 0,"
	" ready_ms INTEGER NOT NULL DEFAULT 0,"
	" ended_ms INTEGER NOT NULL DEFAULT 0,"
	" pid INTEGER NOT NULL DEFAULT 0,"
	" exit_code INTEGER NOT NULL DEFAULT -1,"
	" engine TEXT NOT NULL DEFAULT '',"
	" accel TEXT NOT NULL DEFAULT '',"
	" end_reason TEXT NOT NULL DEFAULT '',"
	" end_message TEXT NOT NULL DEFAULT '',"
	" config TEXT NOT NULL"
	") STRICT;"
	"CREATE TABLE sandbox_labels ("
	" sandbox TEXT NOT NULL REFERENCES sandboxes (id) ON DELETE CASCADE,"
	" key TEXT NOT NULL CHECK (key <> ''),"
	" value TEXT NOT NULL,"
	" PRIMARY KEY (sandbox, key)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX sandbox_labels_key ON sandbox_labels (key, value);";

/* What state_unended() asks for at each msb call. */
static const char sql_2[] =
	"CREATE INDEX sandboxes_unended ON sandboxes (name)"
	" WHERE ephemeral = 1 OR (started_ms <> 0 AND ended_ms = 0);";

const struct migration state_migrations[STATE_SCHEMA] = {
	{1, sql_1},
	{2, sql_2},
};
