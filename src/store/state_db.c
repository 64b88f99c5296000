/*
 * SQLite underneath the record of sandboxes.
 *
 * Waiting. SQLite calls our handler where it can wait, and gives SQLITE_BUSY
 * at once where waiting inside could be a deadlock (a switch to WAL, a log
 * that another process recovers). Both count against one deadline a call, so
 * db_begin() and open_steps() also try again themselves. Once BEGIN IMMEDIATE
 * has the write lock, nothing in WAL mode can be busy any more.
 *
 * The log. Closing does not write the log back into the database, as SQLite's
 * default is: each msb would pay two fsyncs for that. Instead it is written
 * back whenever it has grown by LOG_PAGES; so few that the first process
 * after all others have ended reads it in no time.
 *
 * The path. SQLite takes one, refuses symbolic links in any part of it (which
 * we want for the file, while a home below a link is fine), and cuts it at 512
 * bytes. So it gets the home's real path, which must be the folder that the
 * store has open.
 *
 * The file is never opened by us: the POSIX locks that SQLite has on it in
 * this process would go away when that descriptor is closed. Hence mknod().
 */
#include "store/state_db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/num.h"

#include "base/banned.h"

#define DB_NAME      "state.db"
#define DB_PATH_MAX  500       /* SQLite's is 512, with "-journal" behind it */
#define DB_VALUE_MAX (4 * MIB) /* bytes of a row; see STATE_CONFIG_MAX */
#define LOG_PAGES    128
#define STRING(x)    STRING_(x)
#define STRING_(x)   #x

/*
 * What SQLite says, what we say; code 0 is damage. Our SQL is right, and what
 * people can get wrong is checked before: so SQLITE_ERROR and _CONSTRAINT mean
 * that the tables are not what their number says.
 */
static const struct failure {
	int rc, code;
	const char *text;
} failures[] = {
	{SQLITE_BUSY,       -EBUSY,  "database is locked by another process" },
	{SQLITE_LOCKED,     -EBUSY,  "database is locked by another process" },
	{SQLITE_PROTOCOL,   -EBUSY,  "database is locked by another process" },
	{SQLITE_FULL,       -ENOSPC, "no space left for the database"        },
	{SQLITE_READONLY,   -EROFS,  "the database cannot be written to"     },
	{SQLITE_PERM,       -EACCES, "no permission to use the database"     },
	{SQLITE_AUTH,       -EACCES, "no permission to use the database"     },
	{SQLITE_NOMEM,      -ENOMEM, "out of memory"                         },
	{SQLITE_IOERR,      -EIO,    "the database cannot be read or written"},
	{SQLITE_CANTOPEN,   -EIO,    "the database cannot be opened"         },
	{SQLITE_ERROR,      0,       "tables are missing or changed"         },
	{SQLITE_CORRUPT,    0,       "its content is not consistent"         },
	{SQLITE_NOTADB,     0,       "it is not a database"                  },
	{SQLITE_TOOBIG,     0,       "a value is too long"                   },
	{SQLITE_FORMAT,     0,       "it is not a database"                  },
	{SQLITE_CONSTRAINT, 0,       "its tables refuse what belongs there"  },
	{SQLITE_MISMATCH,   0,       "a value has the wrong type"            },
};

int db_damaged(struct state *st, const char *what, struct err *err)
{
	err_set(err, -EUCLEAN, "the record of sandboxes %s is damaged: %s",
	        st->path, what);
	err_hint(err,
	         "msb doctor --fix puts it aside and makes a new one of what "
	         "the folders in %s/sandboxes say; images are not lost",
	         st->home);
	return -EUCLEAN;
}

/*
 * The system's reason where SQLite's code is only "I/O error" and such. On a
 * read-only disk SQLite goes on, and stumbles over the log that is not there.
 */
static int system_code(struct state *st, int rc, int code)
{
	int no = sqlite3_system_errno(st->db);

	if ((rc & 0xff) != SQLITE_IOERR && (rc & 0xff) != SQLITE_CANTOPEN &&
	    (rc & 0xff) != SQLITE_READONLY)
		return code;
	if (rc == SQLITE_CANTOPEN_SYMLINK)
		return -ELOOP;
	if (access(st->path, W_OK) < 0 && (errno == EROFS || errno == EACCES))
		return -errno;
	return no == EDQUOT ? -ENOSPC : no > 0 ? -no : code;
}

static void fail_hint(struct state *st, int code, struct err *err)
{
	switch (code) {
	case -EBUSY:
		err_hint(err,
		         "wait for other msb commands to end, or find "
		         "who holds it: fuser -v %s",
		         st->path);
		break;
	case -ENOSPC:
		err_hint(err, "remove images with msb image rm and msb image "
		              "prune, or set MSB_HOME to a larger disk");
		break;
	case -EROFS:
	case -EACCES:
		err_hint(err, "set MSB_HOME to a folder that you can write to");
		break;
	default:
		break;
	}
}

int db_fail(struct state *st, int rc, struct err *err)
{
	struct failure f = {.code = -EIO, .text = sqlite3_errstr(rc)};
	char reason[96] = "";
	int code;

	if ((rc & 0xff) == SQLITE_BUSY && cancel_fired())
		return err_set(err, -ECANCELED, "cancelled");
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++)
		if (failures[i].rc == (rc & 0xff))
			f = failures[i];
	if (rc == SQLITE_IOERR_CORRUPTFS)
		f = (struct failure){rc, 0, "its content is not consistent"};
	if (f.code == 0)
		return db_damaged(st, f.text, err);
	code = system_code(st, rc, f.code);
	if (code != f.code || (rc & 0xff) == SQLITE_IOERR)
		(void)snprintf(reason, sizeof(reason), ": %s", strerror(-code));
	if (code == -ENOSPC)
		f.text = "no space left for the database";
	if (code == -EROFS)
		f.text = "the database cannot be written to";
	err_set(err, code, "record of sandboxes %s: %s%s", st->path, f.text,
	        code == -ENOSPC ? "" : reason);
	fail_hint(st, code, err);
	return code;
}

static bool wait_a_bit(struct state *st, int tries)
{
	uint64_t now = clock_now_ns();
	/* 1 to 8 ms, and not the same for all who wait */
	uint64_t ns = NS_PER_MS * (uint64_t)(1 + MIN(tries, 3)) +
	              (now / 64 + (uint64_t)getpid() * 7919) % (4 * NS_PER_MS);
	struct timespec ts = {.tv_nsec = (long)ns};

	if (now >= st->deadline_ns || cancel_fired())
		return false;
	(void)nanosleep(&ts, NULL);
	return true;
}

static int on_busy(void *arg, int tries)
{
	return wait_a_bit(arg, tries);
}

static void start_waiting(struct state *st)
{
	st->deadline_ns = clock_now_ns() + st->busy_ms * NS_PER_MS;
}

/* sqlite3_exec() again and again while that may help. */
static int exec(struct state *st, const char *sql, struct err *err)
{
	int rc;

	for (int tries = 0;; tries++) {
		rc = sqlite3_exec(st->db, sql, NULL, NULL, NULL);
		if ((rc & 0xff) != SQLITE_BUSY || !wait_a_bit(st, tries))
			return rc == SQLITE_OK ? 0 : db_fail(st, rc, err);
	}
}

static int set_synchronous(struct state *st, int level, struct err *err)
{
	int r;

	if (st->synchronous == level)
		return 0;
	r = exec(st,
	         level == 2 ? "PRAGMA synchronous=FULL"
	                    : "PRAGMA synchronous=NORMAL",
	         err);
	if (r == 0)
		st->synchronous = level;
	return r;
}

int db_begin(struct state *st, enum tx kind, struct err *err)
{
	int r = 0;

	start_waiting(st);
	if (kind != TX_READ)
		r = set_synchronous(st, kind == TX_DURABLE ? 2 : 1, err);
	return r < 0 ? r
	             : exec(st, kind == TX_READ ? "BEGIN" : "BEGIN IMMEDIATE",
	                    err);
}

int db_end(struct state *st, int r, struct err *err)
{
	int end = r < 0 ? r : exec(st, "COMMIT", err);

	if (end < 0 && !sqlite3_get_autocommit(st->db))
		(void)sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
	return end < 0 ? end : r;
}

static int bind(sqlite3_stmt *q, const struct value *values, size_t n)
{
	int rc = SQLITE_OK;

	for (size_t i = 0; i < n && rc == SQLITE_OK; i++)
		rc = values[i].text
		             ? sqlite3_bind_text(q, (int)i + 1, values[i].text,
		                                 -1, SQLITE_STATIC)
		             : sqlite3_bind_int64(q, (int)i + 1,
		                                  values[i].number);
	return rc;
}

int db_prepare(struct state *st, const char *sql, const struct value *values,
               size_t n, sqlite3_stmt **ret, struct err *err)
{
	sqlite3_stmt *q cleanup_stmt = NULL;
	int rc = sqlite3_prepare_v2(st->db, sql, -1, &q, NULL);

	if (rc == SQLITE_OK)
		rc = bind(q, values, n);
	if (rc != SQLITE_OK)
		return db_fail(st, rc, err);
	*ret = take_ptr(q);
	return 0;
}

int db_step(struct state *st, sqlite3_stmt *q, struct err *err)
{
	int rc = sqlite3_step(q);

	return rc == SQLITE_ROW    ? 1
	       : rc == SQLITE_DONE ? 0
	                           : db_fail(st, rc, err);
}

int db_run(struct state *st, const char *sql, const struct value *values,
           size_t n, struct err *err)
{
	sqlite3_stmt *q cleanup_stmt = NULL;
	int r = db_prepare(st, sql, values, n, &q, err);

	while (r == 0 && (r = db_step(st, q, err)) == 1)
		r = 0;
	return r < 0 ? r : sqlite3_changes(st->db);
}

int db_number(struct state *st, const char *sql, int64_t *ret, struct err *err)
{
	sqlite3_stmt *q cleanup_stmt = NULL;
	int r = db_prepare(st, sql, NULL, 0, &q, err);

	if (r == 0)
		r = db_step(st, q, err);
	if (r == 1)
		*ret = sqlite3_column_int64(q, 0);
	return r == 1 ? 0 : r < 0 ? r : db_damaged(st, "no number", err);
}

struct identity {
	int64_t application, schema, objects;
};

static int read_identity(struct state *st, struct identity *ret,
                         struct err *err)
{
	int r = db_number(st, "PRAGMA application_id", &ret->application, err);

	if (r == 0)
		r = db_number(st, "PRAGMA user_version", &ret->schema, err);
	if (r == 0)
		r = db_number(st, "SELECT count(*) FROM sqlite_schema",
		              &ret->objects, err);
	return r;
}

/* @ret_schema 0: nothing in it yet. */
static int check_identity(struct state *st, int64_t *ret_schema,
                          struct err *err)
{
	struct identity id = {0};
	int r = read_identity(st, &id, err);

	if (r < 0)
		return r;
	if (id.application == 0 && id.schema == 0 && id.objects == 0) {
		*ret_schema = 0;
		return 0;
	}
	if (id.application != STATE_APPLICATION_ID)
		return db_damaged(st, "it belongs to another program", err);
	if (id.schema > STATE_SCHEMA) {
		err_set(err, -EPROTONOSUPPORT,
		        "the record of sandboxes %s was written by a newer msb "
		        "(schema %lld, this one knows %d)",
		        st->path, (long long)id.schema, STATE_SCHEMA);
		err_hint(err, "update msb, or set MSB_HOME to another folder");
		return -EPROTONOSUPPORT;
	}
	if (id.schema < 1)
		return db_damaged(st, "its schema has no number", err);
	*ret_schema = id.schema;
	return 0;
}

/* Inside the transaction of migrate(): another may have been faster. */
static int migrate_locked(struct state *st, struct err *err)
{
	char number[64];
	int64_t have;
	int r = check_identity(st, &have, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(state_migrations); i++)
		if (state_migrations[i].number > have)
			r = exec(st, state_migrations[i].sql, err);
	(void)snprintf(number, sizeof(number), "PRAGMA user_version=%d",
	               STATE_SCHEMA);
	if (r == 0)
		r = exec(st, number, err);
	if (r == 0)
		r = exec(st,
		         "PRAGMA application_id=" STRING(STATE_APPLICATION_ID),
		         err);
	return r;
}

static int migrate(struct state *st, struct err *err)
{
	int r = db_begin(st, TX_DURABLE, err);

	return r < 0 ? r : db_end(st, migrate_locked(st, err), err);
}

/* SQLite takes a file of a format to come for one to read only, too. */
static int read_only(struct state *st, struct err *err)
{
	if (access(st->path, W_OK) == 0)
		return db_damaged(st, "it has an unknown format", err);
	return db_fail(st, SQLITE_READONLY, err);
}

static int open_steps(struct state *st, struct err *err)
{
	static const char settings[] =
		"PRAGMA foreign_keys=ON;"
		"PRAGMA cell_size_check=ON;"
		"PRAGMA temp_store=MEMORY;"
		"PRAGMA mmap_size=0;"
		"PRAGMA journal_size_limit=1048576;"
		"PRAGMA wal_autocheckpoint=" STRING(LOG_PAGES);
	int64_t have = 0;
	int r = exec(st, settings, err);

	/* A file of another program is looked at, and not changed. */
	if (r == 0)
		r = db_begin(st, TX_READ, err);
	if (r == 0)
		r = db_end(st, check_identity(st, &have, err), err);
	if (r < 0)
		return r;
	if (sqlite3_db_readonly(st->db, "main") != 0)
		return read_only(st, err);
	r = exec(st, "PRAGMA journal_mode=WAL", err);
	return r == 0 && have < STATE_SCHEMA ? migrate(st, err) : r;
}

/* What a statement can do that is not ours, e.g. in a schema made by others. */
static void harden(sqlite3 *db)
{
	static const struct {
		int option, on;
	} options[] = {
		{SQLITE_DBCONFIG_DEFENSIVE,             1},
		{SQLITE_DBCONFIG_TRUSTED_SCHEMA,        0},
		{SQLITE_DBCONFIG_ENABLE_TRIGGER,        0},
		{SQLITE_DBCONFIG_ENABLE_VIEW,           0},
		{SQLITE_DBCONFIG_DQS_DML,               0},
		{SQLITE_DBCONFIG_DQS_DDL,               0},
		{SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
		{SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,      1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		(void)sqlite3_db_config(db, options[i].option, options[i].on,
		                        NULL);
	(void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, DB_VALUE_MAX);
	(void)sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
}

static int open_db(struct state *st, struct err *err)
{
	int rc = sqlite3_open_v2(st->path, &st->db,
	                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW |
	                                 SQLITE_OPEN_NOMUTEX |
	                                 SQLITE_OPEN_EXRESCODE,
	                         NULL);

	if (rc != SQLITE_OK)
		return st->db ? db_fail(st, rc, err)
		              : err_set(err, -ENOMEM, "out of memory");
	harden(st->db);
	rc = sqlite3_busy_handler(st->db, on_busy, st);
	if (rc != SQLITE_OK)
		return db_fail(st, rc, err);
	start_waiting(st);
	return open_steps(st, err);
}

/* Make it, or see that what is there is a file of ours. */
static int make_file(const struct store *s, struct state *st, struct err *err)
{
	struct stat sb;
	int r = 0;

	if (mknodat(s->home_fd, DB_NAME, S_IFREG | 0600, 0) < 0 &&
	    errno != EEXIST)
		r = -errno;
	else if (fstatat(s->home_fd, DB_NAME, &sb, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r < 0) {
		err_set(err, r, "cannot make the record of sandboxes %s: %s",
		        st->path, strerror(-r));
		fail_hint(st, r, err);
		return r;
	}
	if (S_ISLNK(sb.st_mode))
		return err_set(err, -ELOOP, "%s is a symbolic link", st->path);
	if (!S_ISREG(sb.st_mode))
		return db_damaged(st, "it is not a regular file", err);
	if (sb.st_uid != geteuid())
		return err_set(err, -EPERM, "%s belongs to user %u, not to %u",
		               st->path, (unsigned)sb.st_uid,
		               (unsigned)geteuid());
	/* Read-only file systems say so when the file is written to. */
	if ((sb.st_mode & 0777) != 0600)
		(void)!fchmodat(s->home_fd, DB_NAME, 0600, 0);
	return 0;
}

static int find_path(const struct store *s, struct state *st, struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(PATH_MAX);
	struct stat here, there;

	st->home = realpath(s->home, NULL);
	if (!st->home || stat(st->home, &there) < 0 ||
	    fstat(s->home_fd, &here) < 0)
		return err_set(err, -errno, "cannot look at %s: %s", s->home,
		               strerror(errno));
	if (here.st_dev != there.st_dev || here.st_ino != there.st_ino)
		return err_set(err, -ESTALE, "%s is another folder now",
		               s->home);
	if (buf_printf(&b, "%s/%s", st->home, DB_NAME) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	if (b.len > DB_PATH_MAX) {
		err_set(err, -ENAMETOOLONG,
		        "the home folder's path is too long: %zu bytes, and "
		        "%zu are possible",
		        strlen(st->home), DB_PATH_MAX - sizeof(DB_NAME));
		err_hint(err, "set MSB_HOME to a folder with a shorter path");
		return -ENAMETOOLONG;
	}
	st->path = buf_steal(&b);
	return st->path ? 0 : err_set(err, -ENOMEM, "out of memory");
}

int state_open(const struct store *s, struct state **ret, struct err *err)
{
	struct state *st cleanup_state = calloc(1, sizeof(*st));
	int r;

	if (!st)
		return err_set(err, -ENOMEM, "out of memory");
	st->busy_ms = STATE_BUSY_MS;
	st->synchronous = -1;
	r = find_path(s, st, err);
	if (r == 0)
		r = make_file(s, st, err);
	if (r == 0)
		r = open_db(st, err);
	if (r < 0)
		return r;
	*ret = take_ptr(st);
	return 0;
}

/* The log goes first: what is left of it must not meet the next database. */
int state_set_aside(const struct store *s, char ret_name[64], struct err *err)
{
	static const char *const ends[] = {"-wal", "-shm", ""};
	char from[32], to[64], stamp[32];
	time_t now = time(NULL);
	struct tm tm;

	(void)gmtime_r(&now, &tm);
	(void)strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		int r;

		(void)snprintf(from, sizeof(from), DB_NAME "%s", ends[i]);
		(void)snprintf(to, sizeof(to), DB_NAME ".damaged-%s%s", stamp,
		               ends[i]);
		r = renameat2(s->home_fd, from, s->home_fd, to,
		              RENAME_NOREPLACE);
		if (r < 0 && (errno != ENOENT || i + 1 == ARRAY_SIZE(ends)))
			return err_set(err, -errno,
			               "cannot move %s/%s aside: %s", s->home,
			               from, strerror(errno));
	}
	(void)snprintf(ret_name, 64, "%s", to);
	return 0;
}

void state_close(struct state *st)
{
	if (!st)
		return;
	(void)sqlite3_close(st->db);
	free(st->path);
	free(st->home);
	free(st);
}
