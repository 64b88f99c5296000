/*
 * The record of sandboxes: what each call reads and writes.
 *
 * All values are bound; SQL is put together from constants only. The file is
 * the user's own, but it may be damaged or edited, and an id becomes a
 * folder's name: so what is read is checked as what is written is.
 */
#include "store/state.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/buf.h"
#include "base/num.h"
#include "store/state_db.h"

#include "base/banned.h"

/* Far above what the library makes; beyond is damage, or somebody's mistake. */
#define STATE_TEXT_MAX    (64 * KIB)
#define STATE_CONFIG_MAX  (1 * MIB)
#define STATE_LABELS_MAX  1024
#define STATE_FILTERS_MAX 64
#define STATE_ROWS_MAX    100000
#define STATE_LIST_MAX    (1 * GIB) /* bytes of all texts of a list */

/*
 * The columns in the order in which they are read. Each is either a text or a
 * number (an int64_t, an int32_t or a bool).
 */
enum column_type { COL_TEXT, COL_INT64, COL_INT32, COL_BOOL };

#define COLUMNS                                                                \
	"SELECT b.id, b.name, b.image, b.image_id, b.engine, b.accel, "        \
	"b.end_reason, b.end_message, b.config, b.ephemeral, b.detached, "     \
	"b.created_ms, b.started_ms, b.ready_ms, b.ended_ms, b.pid, "          \
	"b.exit_code FROM sandboxes b "

#define FIELD(f) offsetof(struct state_sandbox, f)
static const struct column {
	size_t offset;
	enum column_type type;
	size_t max; /* of a text */
} columns[] = {
  /* column 0 is the id */
	{FIELD(name),        COL_TEXT,  STATE_TEXT_MAX  },
	{FIELD(image),       COL_TEXT,  STATE_TEXT_MAX  },
	{FIELD(image_id),    COL_TEXT,  STATE_TEXT_MAX  },
	{FIELD(engine),      COL_TEXT,  STATE_TEXT_MAX  },
	{FIELD(accel),       COL_TEXT,  STATE_TEXT_MAX  },
	{FIELD(end_reason),  COL_TEXT,  STATE_TEXT_MAX  },
	{FIELD(end_message), COL_TEXT,  STATE_TEXT_MAX  },
	{FIELD(config),      COL_TEXT,  STATE_CONFIG_MAX},
	{FIELD(ephemeral),   COL_BOOL,  0               },
	{FIELD(detached),    COL_BOOL,  0               },
	{FIELD(created_ms),  COL_INT64, 0               },
	{FIELD(started_ms),  COL_INT64, 0               },
	{FIELD(ready_ms),    COL_INT64, 0               },
	{FIELD(ended_ms),    COL_INT64, 0               },
	{FIELD(pid),         COL_INT64, 0               },
	{FIELD(exit_code),   COL_INT32, 0               },
};
#undef FIELD

void state_sandbox_release(struct state_sandbox *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		if (columns[i].type == COL_TEXT)
			free(*(char **)((char *)b + columns[i].offset));
	strv_release(&b->labels);
	*b = (struct state_sandbox){0};
}

void state_list_free(struct state_sandbox *list, size_t n)
{
	for (size_t i = 0; list && i < n; i++)
		state_sandbox_release(&list[i]);
	free(list);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* What a call was given. */
static int check_text(const char *what, const char *text, size_t max,
                      struct err *err)
{
	size_t len = text ? strlen(text) : 0;

	if (len <= max)
		return 0;
	return err_set(err, -E2BIG,
	               "the sandbox's %s is too long: %zu bytes, at most %zu",
	               what, len, max);
}

/* Where KEY ends; its length must not be 0. */
static size_t key_len(const char *label)
{
	return strcspn(label, "=");
}

static int check_labels(const struct strv *labels, struct err *err)
{
	int r = 0;

	if (labels->n > STATE_LABELS_MAX)
		return err_set(err, -E2BIG, "too many labels: at most %d",
		               STATE_LABELS_MAX);
	for (size_t i = 0; i < labels->n && r == 0; i++) {
		size_t len = key_len(labels->v[i]);

		if (len == 0 || labels->v[i][len] == '\0')
			return err_set(err, -EINVAL,
			               "a label must be KEY=VALUE");
		r = check_text("label", labels->v[i], STATE_TEXT_MAX, err);
	}
	return r;
}

static bool is_id(const char *id)
{
	return strlen(id) == STATE_ID_LEN &&
	       strspn(id, "0123456789abcdef") == STATE_ID_LEN;
}

static int check_sandbox(const struct state_sandbox *b, struct err *err)
{
	int r;

	if (!is_id(b->id))
		return err_set(err, -EINVAL,
		               "a sandbox's id must be %d digits of 0-9a-f",
		               STATE_ID_LEN);
	if (!b->name || !b->name[0] || !b->image || !b->image_id || !b->config)
		return err_set(err, -EINVAL,
		               "a sandbox must have a name, an image and a "
		               "configuration");
	r = check_text("name", b->name, STATE_TEXT_MAX, err);
	if (r == 0)
		r = check_text("image", b->image, STATE_TEXT_MAX, err);
	if (r == 0)
		r = check_text("image id", b->image_id, STATE_TEXT_MAX, err);
	if (r == 0)
		r = check_text("configuration", b->config, STATE_CONFIG_MAX,
		               err);
	return r < 0 ? r : check_labels(&b->labels, err);
}

/* Reading. */
static int read_text(struct state *st, sqlite3_stmt *q, int i, size_t max,
                     char **ret, struct err *err)
{
	const char *text;
	size_t len;

	if (sqlite3_column_type(q, i) != SQLITE_TEXT)
		return db_damaged(st, "a value has the wrong type", err);
	text = (const char *)sqlite3_column_text(q, i);
	len = (size_t)sqlite3_column_bytes(q, i);
	if (!text)
		return db_fail(st, SQLITE_NOMEM, err);
	if (len > max || memchr(text, '\0', len))
		return db_damaged(st, "a value is too long or not text", err);
	*ret = malloc(len + 1);
	if (!*ret)
		return db_fail(st, SQLITE_NOMEM, err);
	memcpy(*ret, text, len);
	(*ret)[len] = '\0';
	return 0;
}

static int read_column(struct state *st, sqlite3_stmt *q, int i,
                       const struct column *c, void *field, struct err *err)
{
	int64_t v;

	if (c->type == COL_TEXT)
		return read_text(st, q, i, c->max, field, err);
	if (sqlite3_column_type(q, i) != SQLITE_INTEGER)
		return db_damaged(st, "a value has the wrong type", err);
	v = sqlite3_column_int64(q, i);
	if (c->type == COL_INT64)
		*(int64_t *)field = v;
	else if (c->type == COL_BOOL)
		*(bool *)field = v != 0;
	else if (v >= INT32_MIN && v <= INT32_MAX)
		*(int32_t *)field = (int32_t)v;
	else
		return db_damaged(st, "a number is out of range", err);
	return 0;
}

static int read_id(struct state *st, sqlite3_stmt *q, char *ret,
                   struct err *err)
{
	char *id cleanup_free = NULL;
	int r = read_text(st, q, 0, STATE_TEXT_MAX, &id, err);

	if (r < 0)
		return r;
	if (!is_id(id))
		return db_damaged(st, "a sandbox's id is malformed", err);
	memcpy(ret, id, STATE_ID_LEN + 1);
	return 0;
}

static int read_row(struct state *st, sqlite3_stmt *q,
                    struct state_sandbox *ret, struct err *err)
{
	struct state_sandbox b cleanup_state_sandbox = {0};
	int r = read_id(st, q, b.id, err);

	for (size_t i = 0; i < ARRAY_SIZE(columns) && r == 0; i++)
		r = read_column(st, q, (int)i + 1, &columns[i],
		                (char *)&b + columns[i].offset, err);
	if (r < 0)
		return r;
	*ret = b;
	b = (struct state_sandbox){0};
	return 0;
}

static int read_label(struct state *st, sqlite3_stmt *q, struct strv *labels,
                      struct err *err)
{
	char *key cleanup_free = NULL, *value cleanup_free = NULL;
	int r;

	if (labels->n >= STATE_LABELS_MAX)
		return db_damaged(st, "too many labels", err);
	r = read_text(st, q, 0, STATE_TEXT_MAX, &key, err);
	if (r == 0)
		r = read_text(st, q, 1, STATE_TEXT_MAX, &value, err);
	if (r == 0 && strv_addf(labels, "%s=%s", key, value) < 0)
		r = db_fail(st, SQLITE_NOMEM, err);
	return r;
}

#define SQL_LABELS                                                             \
	"SELECT key, value FROM sandbox_labels WHERE sandbox=?1 ORDER BY key"

/* @q is SQL_LABELS, and may be used again afterwards. */
static int read_labels(struct state *st, sqlite3_stmt *q,
                       struct state_sandbox *b, struct err *err)
{
	int r, rc = sqlite3_bind_text(q, 1, b->id, -1, SQLITE_STATIC);

	if (rc != SQLITE_OK)
		return db_fail(st, rc, err);
	while ((r = db_step(st, q, err)) == 1) {
		r = read_label(st, q, &b->labels, err);
		if (r < 0)
			break;
	}
	(void)sqlite3_reset(q);
	(void)sqlite3_clear_bindings(q);
	return r;
}

static size_t text_bytes(const struct state_sandbox *b)
{
	size_t sum = sizeof(*b);

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		if (columns[i].type == COL_TEXT)
			sum += strlen(*(char *const *)((const char *)b +
			                               columns[i].offset));
	for (size_t i = 0; i < b->labels.n; i++)
		sum += strlen(b->labels.v[i]) + sizeof(char *);
	return sum;
}

struct list {
	struct state_sandbox *v;
	size_t n, cap, bytes;
};

static void cleanup_list_fn(struct list *l)
{
	state_list_free(l->v, l->n);
}
#define cleanup_list cleanup(cleanup_list_fn)

/* Room for one more, zeroed. */
static int list_grow(struct state *st, struct list *l, struct err *err)
{
	size_t cap = l->cap ? l->cap * 2 : 16;
	struct state_sandbox *v;

	if (l->n >= STATE_ROWS_MAX)
		return db_damaged(st, "it has too many sandboxes", err);
	if (l->bytes > STATE_LIST_MAX)
		return err_set(err, -E2BIG,
		               "the list of sandboxes is too long "
		               "for one answer");
	if (l->n < l->cap)
		return 0;
	v = realloc(l->v, cap * sizeof(*v));
	if (!v)
		return db_fail(st, SQLITE_NOMEM, err);
	l->v = v;
	l->cap = cap;
	return 0;
}

static int read_list(struct state *st, const char *sql,
                     const struct value *values, size_t n, struct list *l,
                     struct err *err)
{
	sqlite3_stmt *q cleanup_stmt = NULL, *labels cleanup_stmt = NULL;
	int r = db_prepare(st, sql, values, n, &q, err);

	if (r == 0)
		r = db_prepare(st, SQL_LABELS, NULL, 0, &labels, err);
	while (r == 0 && (r = db_step(st, q, err)) == 1) {
		r = list_grow(st, l, err);
		if (r == 0)
			r = read_row(st, q, &l->v[l->n], err);
		if (r == 0)
			r = read_labels(st, labels, &l->v[l->n++], err);
		if (r == 0)
			l->bytes += text_bytes(&l->v[l->n - 1]);
	}
	return r;
}

/* A list in a transaction of its own. */
static int list_tx(struct state *st, const char *sql,
                   const struct value *values, size_t n, struct list *l,
                   struct err *err)
{
	int r = db_begin(st, TX_READ, err);

	return r < 0 ? r
	             : db_end(st, read_list(st, sql, values, n, l, err), err);
}

static int no_such(struct err *err, const char *name)
{
	err_set(err, -ENOENT, "there is no sandbox %s", name);
	err_hint(err, "msb ls shows which there are");
	return -ENOENT;
}

int state_get(struct state *st, const char *name_or_id,
              struct state_sandbox *ret, struct err *err)
{
	struct list l cleanup_list = {0};
	struct value key = VALUE_TEXT(name_or_id ? name_or_id : "");
	int r = list_tx(st,
	                COLUMNS "WHERE name=?1 OR id=?1 "
	                        "ORDER BY name<>?1 LIMIT 1",
	                &key, 1, &l, err);

	if (r < 0)
		return r;
	if (l.n == 0)
		return no_such(err, key.text);
	*ret = l.v[0];
	l.n = 0; /* handed over; the array is freed */
	return 0;
}

/* A part of the statement and its values for each filter. */
static int add_filters(struct buf *sql, const struct strv *labels,
                       struct strv *keys, struct value *values, size_t *ret_n)
{
	size_t n = 0;

	for (size_t i = 0; i < labels->n; i++) {
		const char *label = labels->v[i];
		size_t len = key_len(label);

		if (strv_addn(keys, label, len) < 0)
			return -ENOMEM;
		values[n++] = VALUE_TEXT(keys->v[i]);
		(void)buf_adds(sql, "AND EXISTS (SELECT 1 FROM sandbox_labels "
		                    "WHERE sandbox=b.id AND key=?");
		if (label[len] == '=') {
			values[n++] = VALUE_TEXT(label + len + 1);
			(void)buf_adds(sql, " AND value=?");
		}
		(void)buf_adds(sql, ") ");
	}
	*ret_n = n;
	return 0;
}

static int check_filters(const struct strv *labels, struct err *err)
{
	if (labels->n > STATE_FILTERS_MAX)
		return err_set(err, -E2BIG, "too many labels: at most %d",
		               STATE_FILTERS_MAX);
	for (size_t i = 0; i < labels->n; i++) {
		int r = check_text("label", labels->v[i], STATE_TEXT_MAX, err);

		if (r < 0)
			return r;
		if (key_len(labels->v[i]) == 0)
			return err_set(err, -EINVAL,
			               "a label must be KEY or KEY=VALUE");
	}
	return 0;
}

int state_list(struct state *st, const struct strv *labels,
               struct state_sandbox **ret, size_t *ret_n, struct err *err)
{
	static const struct strv none;
	struct value values[2 * STATE_FILTERS_MAX];
	struct strv keys cleanup_strv = {0};
	struct buf sql cleanup_buf = BUF_INIT;
	struct list l cleanup_list = {0};
	size_t n = 0;
	int r;

	labels = labels ? labels : &none;
	r = check_filters(labels, err);
	if (r < 0)
		return r;
	(void)buf_adds(&sql, COLUMNS "WHERE 1 ");
	r = add_filters(&sql, labels, &keys, values, &n);
	(void)buf_adds(&sql, "ORDER BY b.name");
	if (r < 0 || !buf_ok(&sql))
		return err_set(err, -ENOMEM, "out of memory");
	r = list_tx(st, buf_str(&sql), values, n, &l, err);
	if (r < 0)
		return r;
	*ret_n = l.n;
	*ret = take_ptr(l.v);
	return 0;
}

int state_unended(struct state *st, struct state_sandbox **ret, size_t *ret_n,
                  struct err *err)
{
	struct list l cleanup_list = {0};
	/* The words of the index, or it is not used. */
	int r = list_tx(st,
	                COLUMNS "WHERE ephemeral = 1 OR "
	                        "(started_ms <> 0 AND ended_ms = 0) "
	                        "ORDER BY b.name",
	                NULL, 0, &l, err);

	if (r < 0)
		return r;
	*ret_n = l.n;
	*ret = take_ptr(l.v);
	return 0;
}

/* Its own view of itself: "ok", or what is wrong with it. */
static int check_integrity(struct state *st, struct err *err)
{
	sqlite3_stmt *q cleanup_stmt = NULL;
	char *said cleanup_free = NULL;
	int r = db_prepare(st, "PRAGMA integrity_check(1)", NULL, 0, &q, err);

	if (r == 0)
		r = db_step(st, q, err);
	if (r == 1)
		r = read_text(st, q, 0, STATE_TEXT_MAX, &said, err);
	if (r == 0 && (!said || strcmp(said, "ok") != 0))
		r = db_damaged(st, said ? said : "no answer", err);
	return r;
}

int state_check(struct state *st, struct err *err)
{
	struct state_sandbox *list = NULL;
	size_t n = 0;
	int r = db_begin(st, TX_READ, err);

	if (r == 0)
		r = db_end(st, check_integrity(st, err), err);
	if (r == 0)
		r = state_list(st, NULL, &list, &n, err);
	state_list_free(list, n);
	return r;
}

/* Writing. A name that is taken is the one conflict that people can cause. */
static int write_row(struct state *st, const char *sql,
                     const struct value *values, size_t n, const char *name,
                     struct err *err)
{
	int r = db_run(st, sql, values, n, err);

	if (r >= 0 ||
	    sqlite3_extended_errcode(st->db) != SQLITE_CONSTRAINT_UNIQUE)
		return r;
	if (strstr(sqlite3_errmsg(st->db), "sandboxes.id"))
		return err_set(err, -EEXIST, "a sandbox has this id already");
	err_set(err, -EEXIST, "there is a sandbox %s already", name);
	err_hint(err,
	         "msb start and msb exec use it; run --replace removes it, and "
	         "what was written in it, before, and so does msb rm %s",
	         name);
	return -EEXIST;
}

/* The last of several with the same key wins, as in an environment. */
static int write_labels(struct state *st, const char *id,
                        const struct strv *labels, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < labels->n && r >= 0; i++) {
		const char *label = labels->v[i];
		struct strv key cleanup_strv = {0};

		if (strv_addn(&key, label, key_len(label)) < 0)
			return err_set(err, -ENOMEM, "out of memory");
		r = db_run(st,
		           "INSERT INTO sandbox_labels (sandbox, key, value) "
		           "VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET "
		           "value=excluded.value",
		           (struct value[]){
				   VALUE_TEXT(id), VALUE_TEXT(key.v[0]),
				   VALUE_TEXT(label + key_len(label) + 1)},
		           3, err);
	}
	return r < 0 ? r : 0;
}

/* Readers take more for damage, so nobody may get there. */
static int check_count(struct state *st, struct err *err)
{
	int64_t n;
	int r = db_number(st, "SELECT count(*) FROM sandboxes", &n, err);

	if (r == 0 && n >= STATE_ROWS_MAX) {
		err_set(err, -E2BIG, "there are %lld sandboxes already",
		        (long long)n);
		err_hint(err, "remove some with msb rm");
		r = -E2BIG;
	}
	return r;
}

/* Else the id would mean the one that is called so: state_get(). */
static int check_name(struct state *st, const char *name, struct err *err)
{
	sqlite3_stmt *q cleanup_stmt = NULL;
	int r = db_prepare(st, "SELECT 1 FROM sandboxes WHERE id=?1",
	                   (struct value[]){VALUE_TEXT(name)}, 1, &q, err);

	if (r == 0)
		r = db_step(st, q, err);
	if (r <= 0)
		return r;
	err_set(err, -EEXIST, "%s is the id of another sandbox", name);
	err_hint(err, "take another name");
	return -EEXIST;
}

static int add_locked(struct state *st, const struct state_sandbox *b,
                      int64_t created_ms, struct err *err)
{
	const struct value values[] = {
		VALUE_TEXT(b->id),       VALUE_TEXT(b->name),
		VALUE_TEXT(b->image),    VALUE_TEXT(b->image_id),
		VALUE_INT(b->ephemeral), VALUE_INT(b->detached),
		VALUE_INT(created_ms),   VALUE_TEXT(b->config),
	};
	int r = check_count(st, err);

	if (r == 0)
		r = check_name(st, b->name, err);
	if (r == 0)
		r = write_row(st,
		              "INSERT INTO sandboxes (id, name, image, "
		              "image_id, ephemeral, detached, created_ms, "
		              "config) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		              values, ARRAY_SIZE(values), b->name, err);
	return r < 0 ? r : write_labels(st, b->id, &b->labels, err);
}

int state_new_id(char ret[STATE_ID_LEN + 1], struct err *err)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_set(err, -EIO, "no random numbers");
	(void)snprintf(ret, STATE_ID_LEN + 1, "%016llx",
	               (unsigned long long)random);
	return 0;
}

int state_add(struct state *st, struct state_sandbox *b, struct err *err)
{
	int64_t created_ms = b->created_ms ? b->created_ms : now_ms();
	int r = check_sandbox(b, err);

	if (r < 0)
		return r;
	/* An ephemeral one does not survive a power cut, nor need its row. */
	r = db_begin(st, b->ephemeral ? TX_WRITE : TX_DURABLE, err);
	if (r == 0)
		r = db_end(st, add_locked(st, b, created_ms, err), err);
	if (r < 0)
		return r;
	b->created_ms = created_ms;
	return 0;
}

/* One statement in a transaction of its own; how many rows it changed. */
static int write_tx(struct state *st, enum tx kind, const char *sql,
                    const struct value *values, size_t n, const char *name,
                    struct err *err)
{
	int r = db_begin(st, kind, err);

	return r < 0 ? r
	             : db_end(st, write_row(st, sql, values, n, name, err),
	                      err);
}

/* The same for a sandbox that must be there; its id is the first value. */
static int update(struct state *st, enum tx kind, const char *sql,
                  const struct value *values, size_t n, const char *name,
                  struct err *err)
{
	int r = write_tx(st, kind, sql, values, n, name, err);

	return r < 0 ? r : r == 0 ? no_such(err, values[0].text) : 0;
}

/* started_ms tells one start from another, so each is later than the last. */
int state_set_started(struct state *st, const char *id, int64_t pid,
                      struct err *err)
{
	return update(
		st, TX_WRITE,
		"UPDATE sandboxes SET "
		"started_ms=max(?2, started_ms + 1), pid=?3, ready_ms=0, "
		"ended_ms=0, detached=0, engine='', accel='', end_reason='', "
		"end_message='', exit_code=-1 WHERE id=?1",
		(struct value[]){VALUE_TEXT(id), VALUE_INT(now_ms()),
	                         VALUE_INT(pid)},
		3, id, err);
}

int state_set_ready(struct state *st, const char *id, const char *engine,
                    const char *accel, struct err *err)
{
	int r = check_text("engine", engine, STATE_TEXT_MAX, err);

	if (r == 0)
		r = check_text("accel", accel, STATE_TEXT_MAX, err);
	return r < 0 ? r
	             : update(st, TX_WRITE,
	                      "UPDATE sandboxes SET "
	                      "ready_ms=iif(ready_ms=0, ?2, ready_ms), "
	                      "engine=?3, accel=?4 WHERE id=?1",
	                      (struct value[]){VALUE_TEXT(id),
	                                       VALUE_INT(now_ms()),
	                                       VALUE_TEXT(engine ? engine : ""),
	                                       VALUE_TEXT(accel ? accel : "")},
	                      4, id, err);
}

int state_set_ended(struct state *st, const char *id, int64_t started_ms,
                    int64_t ended_ms, const char *reason, const char *message,
                    int32_t exit_code, struct err *err)
{
	const struct value values[] = {
		VALUE_TEXT(id),
		VALUE_INT(started_ms),
		VALUE_INT(ended_ms),
		VALUE_TEXT(reason ? reason : ""),
		VALUE_TEXT(message ? message : ""),
		VALUE_INT(exit_code),
	};
	int r = check_text("end", reason, STATE_TEXT_MAX, err);

	if (r == 0)
		r = check_text("end", message, STATE_TEXT_MAX, err);
	if (r == 0 && ended_ms <= 0)
		r = err_set(err, -EINVAL, "no time of the end");
	return r < 0 ? r
	             : write_tx(st, TX_WRITE,
	                        "UPDATE sandboxes SET ended_ms=?3, "
	                        "end_reason=?4, end_message=?5, exit_code=?6 "
	                        "WHERE id=?1 AND started_ms=?2 AND ended_ms=0",
	                        values, ARRAY_SIZE(values), id, err);
}

int state_set_detached(struct state *st, const char *id, struct err *err)
{
	return update(st, TX_WRITE,
	              "UPDATE sandboxes SET detached=1 WHERE id=?1",
	              (struct value[]){VALUE_TEXT(id)}, 1, id, err);
}

static int set_config_locked(struct state *st, const char *id,
                             const char *config, const struct strv *labels,
                             struct err *err)
{
	const struct value values[] = {VALUE_TEXT(id), VALUE_TEXT(config)};
	int r = db_run(st, "UPDATE sandboxes SET config=?2 WHERE id=?1", values,
	               2, err);

	if (r == 0)
		return no_such(err, id);
	if (r > 0 && labels)
		r = db_run(st, "DELETE FROM sandbox_labels WHERE sandbox=?1",
		           values, 1, err);
	if (r >= 0 && labels)
		r = write_labels(st, id, labels, err);
	return r < 0 ? r : 0;
}

int state_set_config(struct state *st, const char *id, const char *config,
                     const struct strv *labels, struct err *err)
{
	int r = config ? check_text("configuration", config, STATE_CONFIG_MAX,
	                            err)
	               : err_set(err, -EINVAL, "no configuration");

	if (r == 0 && labels)
		r = check_labels(labels, err);
	if (r == 0)
		r = db_begin(st, TX_DURABLE, err);
	return r < 0 ? r
	             : db_end(st,
	                      set_config_locked(st, id, config, labels, err),
	                      err);
}

static int rename_locked(struct state *st, const char *id, const char *name,
                         struct err *err)
{
	int r = check_name(st, name, err);

	if (r < 0)
		return r;
	r = write_row(st, "UPDATE sandboxes SET name=?2 WHERE id=?1",
	              (struct value[]){VALUE_TEXT(id), VALUE_TEXT(name)}, 2,
	              name, err);
	return r == 0 ? no_such(err, id) : r;
}

int state_rename(struct state *st, const char *id, const char *name,
                 struct err *err)
{
	int r = name && name[0] ? check_text("name", name, STATE_TEXT_MAX, err)
	                        : err_set(err, -EINVAL, "no name");

	if (r == 0)
		r = db_begin(st, TX_DURABLE, err);
	if (r == 0)
		r = db_end(st, rename_locked(st, id, name, err), err);
	return MIN(r, 0);
}

int state_remove(struct state *st, const char *id, struct err *err)
{
	const struct value values[] = {VALUE_TEXT(id)};
	int r;

	/* The row of an ephemeral one may come back after a power cut: its
	 * next reader sees that nothing is there and removes it again. */
	r = write_tx(st, TX_WRITE,
	             "DELETE FROM sandboxes WHERE id=?1 AND ephemeral=1",
	             values, 1, id, err);
	if (r == 0)
		r = write_tx(st, TX_DURABLE,
		             "DELETE FROM sandboxes WHERE id=?1", values, 1, id,
		             err);
	return r < 0 ? r : r == 0 ? no_such(err, id) : 0;
}
