/*
 * The file state.db under what happens to files: damage, other programs'
 * content, links, read-only and full disks; and under many processes, some of
 * which are killed.
 */
#include "store/state_fixture.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/num.h"
#include "store/state_db.h"

#define STRING(x)  STRING_(x)
#define STRING_(x) #x

static mode_t mode_of(struct fixture *f, const char *name)
{
	struct stat sb;

	assert_int_equal(fstatat(f->s->home_fd, name, &sb, AT_SYMLINK_NOFOLLOW),
	                 0);
	return sb.st_mode & 07777;
}

static void raw(struct fixture *f, const char *sql)
{
	char path[160];
	sqlite3 *db;

	(void)snprintf(path, sizeof(path), "%s/state.db", f->home);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void assert_consistent(struct fixture *f)
{
	sqlite3_stmt *q cleanup_stmt = NULL;

	assert_int_equal(sqlite3_prepare_v2(f->st->db, "PRAGMA integrity_check",
	                                    -1, &q, NULL),
	                 SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(q, 0), "ok");
}

static void put(struct fixture *f, const char *name, const void *data,
                size_t len)
{
	assert_int_equal(
		file_write_atomic(f->s->home_fd, name, data, len, 0600), 0);
}

static void only_the_owner_can_read_it(void **state)
{
	struct fixture *f = *state;
	mode_t old = umask(0);

	open_state(f);
	add(f, "a", NULL, NULL);
	(void)umask(old);
	assert_int_equal(mode_of(f, "state.db"), 0600);
	assert_int_equal(mode_of(f, "state.db-wal"), 0600);
	assert_int_equal(mode_of(f, "state.db-shm"), 0600);
	close_state(f);
	assert_int_equal(fchmodat(f->s->home_fd, "state.db", 0644, 0), 0);
	open_state(f);
	assert_int_equal(mode_of(f, "state.db"), 0600);
}

static void it_is_set_up_as_meant(void **state)
{
	static const struct {
		const char *sql;
		int64_t want;
	} settings[] = {
		{"PRAGMA application_id",                            STATE_APPLICATION_ID},
		{"PRAGMA user_version",                              STATE_SCHEMA        },
		{"PRAGMA foreign_keys",                              1                   },
		{"PRAGMA cell_size_check",                           1                   },
		{"PRAGMA trusted_schema",                            0                   },
		{"PRAGMA mmap_size",                                 0                   },
		{"SELECT (SELECT * FROM pragma_journal_mode)='wal'", 1                   },
		{"SELECT sum(strict) FROM pragma_table_list WHERE name LIKE "
	         "'sandbox%'",	              2		   },
	};
	struct fixture *f = *state;
	int64_t got = -1;

	open_state(f);
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		assert_int_equal(
			db_number(f->st, settings[i].sql, &got, &f->err), 0);
		if (got != settings[i].want)
			fail_msg("%s is %lld", settings[i].sql, (long long)got);
	}
}

/* What is not worth an fsync is written without, the rest with one. */
static void promises_are_synced(void **state)
{
	struct fixture *f = *state;
	int64_t level = 0;
	char id[STATE_ID_LEN + 1];

	open_state(f);
	add(f, "a", NULL, id);
	(void)db_number(f->st, "PRAGMA synchronous", &level, NULL);
	assert_int_equal(level, 2);
	assert_int_equal(state_set_started(f->st, id, 1, NULL), 0);
	(void)db_number(f->st, "PRAGMA synchronous", &level, NULL);
	assert_int_equal(level, 1);
	assert_int_equal(state_remove(f->st, id, NULL), 0);
	(void)db_number(f->st, "PRAGMA synchronous", &level, NULL);
	assert_int_equal(level, 2);
}

static void a_link_in_its_place_is_refused(void **state)
{
	struct fixture *f = *state;
	char target[160];
	struct stat sb;

	(void)snprintf(target, sizeof(target), "%s/elsewhere", f->root);
	assert_int_equal(symlinkat(target, f->s->home_fd, "state.db"), 0);
	assert_int_equal(open_result(f), -ELOOP);
	assert_int_equal(stat(target, &sb), -1);
	assert_int_equal(unlinkat(f->s->home_fd, "state.db", 0), 0);
	open_state(f);
	close_state(f);
	assert_int_equal(renameat(f->s->home_fd, "state.db", AT_FDCWD, target),
	                 0);
	assert_int_equal(symlinkat(target, f->s->home_fd, "state.db"), 0);
	assert_int_equal(open_result(f), -ELOOP);
	assert_non_null(strstr(f->err.msg, "symbolic link"));
}

/* Also when it appears behind our own look at it. */
static void sqlite_itself_refuses_a_link(void **state)
{
	static const char *const names[] = {"state.db-wal", "state.db-shm"};
	struct fixture *f = *state;
	char target[160];
	struct stat sb;

	(void)snprintf(target, sizeof(target), "%s/elsewhere", f->root);
	open_state(f);
	close_state(f);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)unlinkat(f->s->home_fd, names[i], 0);
		assert_int_equal(symlinkat(target, f->s->home_fd, names[i]), 0);
		assert_true(open_result(f) < 0);
		assert_int_equal(stat(target, &sb), -1);
		assert_int_equal(unlinkat(f->s->home_fd, names[i], 0), 0);
	}
	open_state(f);
}

static void what_is_no_file_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkfifoat(f->s->home_fd, "state.db", 0600), 0);
	assert_int_equal(open_result(f), -EUCLEAN);
	assert_int_equal(unlinkat(f->s->home_fd, "state.db", 0), 0);
	assert_int_equal(mkdirat(f->s->home_fd, "state.db", 0700), 0);
	assert_int_equal(open_result(f), -EUCLEAN);
}

static void a_home_below_a_link_is_fine(void **state)
{
	struct fixture *f = *state;
	struct store *s cleanup_store = NULL;
	struct state *st cleanup_state = NULL;
	char link[160], below[200];

	(void)snprintf(link, sizeof(link), "%s/link", f->root);
	assert_int_equal(symlink(f->root, link), 0);
	(void)snprintf(below, sizeof(below), "%s/home", link);
	assert_int_equal(store_open(below, &s, &f->err), 0);
	assert_int_equal(state_open(s, &st, &f->err), 0);
}

static void a_path_too_long_is_told(void **state)
{
	struct fixture *f = *state;
	struct store *s cleanup_store = NULL;
	struct state *st cleanup_state = NULL;
	char home[700];

	/* "/state.db" fits behind 491 bytes and not behind 492 */
	for (size_t len = 492; len >= 491; len--) {
		size_t at =
			(size_t)snprintf(home, sizeof(home), "%s/", f->root);

		for (; at < len; at++)
			home[at] = at % 100 == 0 && at + 1 < len ? '/' : 'h';
		home[at] = '\0';
		assert_int_equal(store_open(home, &s, &f->err), 0);
		assert_int_equal(state_open(s, &st, &f->err),
		                 len == 492 ? -ENAMETOOLONG : 0);
		if (len == 492) {
			store_close(s);
			s = NULL;
		}
	}
	assert_int_equal(try_add(st, "a", NULL, NULL, &f->err), 0);
}

static void content_that_is_no_database_is_told(void **state)
{
	struct fixture *f = *state;
	static const char text[] = "name,image\nweb,nginx\nthis is a text file "
				   "of more than one hundred bytes, so that it "
				   "is as long as the header of a database is";

	put(f, "state.db", text, sizeof(text) - 1);
	assert_int_equal(open_result(f), -EUCLEAN);
	assert_non_null(strstr(f->err.msg, f->home));
	assert_non_null(strstr(f->err.hint, "msb doctor --fix"));
	assert_non_null(strstr(f->err.hint, "images are not lost"));
	put(f, "state.db", "xy", 2);
	assert_int_equal(open_result(f), -EUCLEAN);
}

/* With the log of the old one left over. */
static void moved_away_by_hand_it_is_a_new_one(void **state)
{
	struct fixture *f = *state;

	open_state(f);
	add(f, "a", NULL, NULL);
	close_state(f);
	assert_int_equal(mode_of(f, "state.db-wal"), 0600);
	assert_int_equal(renameat(f->s->home_fd, "state.db", f->s->home_fd,
	                          "state.db.bad"),
	                 0);
	open_state(f);
	assert_int_equal(count_all(f), 0);
	add(f, "b", NULL, NULL);
	assert_int_equal(count_all(f), 1);
	assert_consistent(f);
}

static void set_aside_it_is_whole_elsewhere(void **state)
{
	struct fixture *f = *state;
	char name[64], path[200];
	sqlite3_stmt *q;
	sqlite3 *db;

	assert_int_equal(state_set_aside(f->s, name, &f->err), -ENOENT);
	open_state(f);
	add(f, "a", NULL, NULL);
	assert_int_equal(state_set_aside(f->s, name, &f->err), 0);
	assert_int_equal(strncmp(name, "state.db.damaged-2", 18), 0);
	add(f, "b", NULL, NULL); /* by who has it open */
	close_state(f);
	open_state(f);
	assert_int_equal(count_all(f), 0);
	(void)snprintf(path, sizeof(path), "%s/%s", f->home, name);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
	                                    "SELECT count(*) FROM sandboxes",
	                                    -1, &q, NULL),
	                 SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(q, 0), 2);
	(void)sqlite3_finalize(q);
	(void)sqlite3_close(db);
}

/* What no ordinary call would come across. */
static void a_check_finds_what_calls_do_not(void **state)
{
	static const char *const edits[] = {
		"PRAGMA writable_schema=ON; UPDATE sqlite_schema SET "
		"rootpage=(SELECT rootpage FROM sqlite_schema WHERE "
		"name='sandbox_labels_key') WHERE name='sandboxes_unended'",
		"UPDATE sandboxes SET id='../../../../etc1'",
	};
	struct fixture *f = *state;

	open_state(f);
	assert_int_equal(state_check(f->st, &f->err), 0);
	close_state(f);
	for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
		(void)unlinkat(f->s->home_fd, "state.db", 0);
		open_state(f);
		add(f, "a", NULL, NULL);
		assert_int_equal(state_check(f->st, &f->err), 0);
		close_state(f);
		raw(f, edits[i]);
		open_state(f);
		if (state_check(f->st, &f->err) != -EUCLEAN)
			fail_msg("taken: %s", edits[i]);
		close_state(f);
	}
}

static void an_empty_file_is_a_new_one(void **state)
{
	struct fixture *f = *state;

	put(f, "state.db", "", 0);
	open_state(f);
	add(f, "a", NULL, NULL);
	assert_int_equal(count_all(f), 1);
}

static void assert_untouched(struct fixture *f, int want)
{
	struct buf before cleanup_buf = BUF_INIT;
	struct buf after cleanup_buf = BUF_INIT;

	assert_int_equal(file_read(f->s->home_fd, "state.db", &before), 0);
	assert_int_equal(open_result(f), want);
	assert_int_equal(file_read(f->s->home_fd, "state.db", &after), 0);
	assert_int_equal(before.len, after.len);
	assert_memory_equal(before.data, after.data, before.len);
}

static void a_newer_schema_is_left_alone(void **state)
{
	struct fixture *f = *state;

	open_state(f);
	add(f, "a", NULL, NULL);
	close_state(f);
	raw(f, "PRAGMA user_version=7; PRAGMA wal_checkpoint(TRUNCATE)");
	assert_untouched(f, -EPROTONOSUPPORT);
	assert_non_null(strstr(f->err.msg, "schema 7"));
	assert_non_null(strstr(f->err.msg, "knows 2"));
	assert_non_null(strstr(f->err.hint, "update"));
	raw(f, "PRAGMA user_version=2");
	open_state(f);
	assert_int_equal(count_all(f), 1);
}

/* As the first msb with a record left it: made by its own step. */
static void an_older_schema_is_brought_up(void **state)
{
	static const char row[] =
		"PRAGMA user_version=1; PRAGMA application_id=" STRING(
			STATE_APPLICATION_ID) ";"
					      "INSERT INTO sandboxes (id, "
					      "name, image, image_id, "
					      "ephemeral, "
					      "detached, created_ms, "
					      "started_ms, config) VALUES "
					      "('0123456789abcdef', 'old', "
					      "'alpine', 'sha256:00', 0, 1, 5, "
					      "6, '{}'), ('fedcba9876543210', "
					      "'off', 'alpine', '', 0, 0, 5, "
					      "0, '{}')";
	struct fixture *f = *state;
	struct state_sandbox *list = NULL;
	int64_t schema = 0;
	size_t n = 0;

	put(f, "state.db", "", 0);
	raw(f, state_migrations[0].sql);
	raw(f, row);
	open_state(f);
	assert_int_equal(db_number(f->st, "PRAGMA user_version", &schema, NULL),
	                 0);
	assert_int_equal(schema, STATE_SCHEMA);
	assert_int_equal(count_all(f), 2);
	assert_int_equal(state_unended(f->st, &list, &n, &f->err), 0);
	assert_int_equal(n, 1);
	assert_string_equal(list[0].name, "old");
	assert_true(list[0].detached);
	assert_int_equal(list[0].started_ms, 6);
	state_list_free(list, n);
	assert_consistent(f);
	close_state(f);
	open_state(f);
	add(f, "new", NULL, NULL);
	assert_int_equal(count_all(f), 3);
}

/* All of them at once: one does it, nobody sees half of it. */
static void many_bring_an_older_schema_up(void **state)
{
	struct fixture *f = *state;
	pid_t pids[8];

	for (int round = 0; round < 5; round++) {
		(void)unlinkat(f->s->home_fd, "state.db-wal", 0);
		(void)unlinkat(f->s->home_fd, "state.db-shm", 0);
		put(f, "state.db", "", 0);
		raw(f, state_migrations[0].sql);
		raw(f, "PRAGMA user_version=1; PRAGMA application_id=" STRING(
			       STATE_APPLICATION_ID));
		for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
			pids[i] = fork();
			assert_true(pids[i] >= 0);
			if (pids[i] == 0)
				_exit(open_result(f) == 0 ? 0 : 1);
		}
		for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
			assert_int_equal(status_of(pids[i]), 0);
	}
	open_state(f);
	assert_consistent(f);
}

static int count_step(void *arg)
{
	++*(uint64_t *)arg;
	return 0;
}

/* The index is of no use when the question is asked in other words than its. */
static void the_unended_are_found_by_their_index(void **state)
{
	struct fixture *f = *state;
	struct state_sandbox *list = NULL;
	uint64_t steps = 0;
	size_t n = 0;

	open_state(f);
	raw(f, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c "
	       "LIMIT 50000) INSERT INTO sandboxes (id, name, image, "
	       "image_id, ephemeral, detached, created_ms, started_ms, "
	       "ended_ms, config) SELECT printf('%016x', x), 'n'||x, '', '', "
	       "0, 0, 0, x%2, x%2, '' FROM c");
	raw(f, "UPDATE sandboxes SET ended_ms=0 WHERE name IN ('n7', 'n8')");
	sqlite3_progress_handler(f->st->db, 1, count_step, &steps);
	assert_int_equal(state_unended(f->st, &list, &n, &f->err), 0);
	print_message("# 1 unended of 50000: %llu steps\n",
	              (unsigned long long)steps);
	assert_int_equal(n, 1);
	assert_string_equal(list[0].name, "n7");
	state_list_free(list, n);
	assert_in_range(steps, 10, 1000);
}

static void a_database_of_others_is_left_alone(void **state)
{
	struct fixture *f = *state;

	raw(f, "CREATE TABLE t (x); INSERT INTO t VALUES (1)");
	assert_untouched(f, -EUCLEAN);
	assert_non_null(strstr(f->err.msg, "another program"));
	raw(f, "DROP TABLE t; PRAGMA application_id=77");
	assert_untouched(f, -EUCLEAN);
}

static void tables_that_are_missing_are_damage(void **state)
{
	struct fixture *f = *state;
	struct state_sandbox *list = NULL;
	size_t n = 0;

	open_state(f);
	close_state(f);
	raw(f, "DROP TABLE sandbox_labels");
	open_state(f);
	assert_int_equal(state_list(f->st, NULL, &list, &n, &f->err), -EUCLEAN);
	close_state(f);
	raw(f, "PRAGMA user_version=0");
	assert_int_equal(open_result(f), -EUCLEAN);
}

/* A row that was made by other hands; an id is a folder's name. */
static void rows_that_lie_are_damage(void **state)
{
	static const char *const edits[] = {
		"UPDATE sandboxes SET id='../../../../etc1'",
		"UPDATE sandboxes SET id='ABCDEFABCDEFABCD'",
		"UPDATE sandboxes SET exit_code=1<<40",
		"UPDATE sandboxes SET name='a'||char(0)||'b'",
		"UPDATE sandboxes SET config=replace(hex(zeroblob(600000)),"
		"'0','x')",
		"UPDATE sandboxes SET image=replace(hex(zeroblob(40000)),"
		"'0','x')",
		"UPDATE sandboxes SET config=replace(hex(zeroblob(3000000)),"
		"'0','x')",
	};
	struct fixture *f = *state;
	struct state_sandbox *list = NULL;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
		open_state(f);
		add(f, "a", NULL, NULL);
		raw(f, edits[i]);
		if (state_list(f->st, NULL, &list, &n, &f->err) != -EUCLEAN)
			fail_msg("taken: %s", edits[i]);
		raw(f, "DELETE FROM sandboxes");
		close_state(f);
	}
}

static void too_many_rows_are_damage(void **state)
{
	struct fixture *f = *state;
	struct state_sandbox *list = NULL;
	size_t n = 0;

	open_state(f);
	raw(f, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c "
	       "LIMIT 100000) INSERT INTO sandboxes (id, name, image, "
	       "image_id, ephemeral, detached, created_ms, config) SELECT "
	       "printf('%016x', x), 'n'||x, '', '', 0, 0, 0, '' FROM c");
	assert_int_equal(count_all(f), 100000);
	assert_int_equal(try_add(f->st, "a", NULL, NULL, &f->err), -E2BIG);
	raw(f, "INSERT INTO sandboxes (id, name, image, image_id, ephemeral, "
	       "detached, created_ms, config) VALUES ('ffffffffffffffff', "
	       "'more', '', '', 0, 0, 0, '')");
	assert_int_equal(state_list(f->st, NULL, &list, &n, &f->err), -EUCLEAN);
}

/* Whatever it says, it says it as an error and does not fall over. */
static void assert_told(int r, const char *what, size_t at)
{
	if (r < 0 && r != -EUCLEAN && r != -EPROTONOSUPPORT && r != -ENOENT &&
	    r != -EEXIST)
		fail_msg("%s gave %d, damaged at %zu", what, r, at);
}

static void use_damaged(struct fixture *f, size_t at)
{
	struct state *st cleanup_state = NULL;
	struct state_sandbox *list = NULL;
	struct state_sandbox b cleanup_state_sandbox = {0};
	char id[STATE_ID_LEN + 1] = "0123456789abcdef";
	size_t n = 0;
	int r = state_open(f->s, &st, &f->err);

	assert_told(r, "open", at);
	if (r < 0)
		return;
	assert_told(state_list(st, NULL, &list, &n, &f->err), "list", at);
	state_list_free(list, n);
	assert_told(state_get(st, "box-7", &b, &f->err), "get", at);
	assert_told(try_add(st, "more", NULL, id, &f->err), "add", at);
	assert_told(state_set_started(st, id, 1, &f->err), "start", at);
	assert_told(state_remove(st, b.name ? b.id : id, &f->err), "remove",
	            at);
}

static void fill(struct fixture *f, int n)
{
	char name[32];

	for (int i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "box-%d", i);
		add(f, name, (char *const[]){"env=prod", "a=b", NULL}, NULL);
	}
}

/* A whole database in one file, and no log. */
static void take_image(struct fixture *f, struct buf *ret)
{
	open_state(f);
	fill(f, 30);
	close_state(f);
	raw(f, "PRAGMA wal_checkpoint(TRUNCATE)");
	assert_int_equal(file_read(f->s->home_fd, "state.db", ret), 0);
	assert_true(ret->len >= 4 * 4096);
}

static void put_image(struct fixture *f, const struct buf *image, size_t len)
{
	(void)unlinkat(f->s->home_fd, "state.db-wal", 0);
	(void)unlinkat(f->s->home_fd, "state.db-shm", 0);
	put(f, "state.db", image->data, len);
}

static void flipped_bytes_are_survived(void **state)
{
	static const uint8_t masks[] = {0xff, 0x01, 0x80};
	struct fixture *f = *state;
	struct buf image cleanup_buf = BUF_INIT;

	take_image(f, &image);
	/* All of the header and of the first page's; then here and there. */
	for (size_t at = 0; at < image.len; at += at < 116 ? 1 : 61) {
		uint8_t mask = masks[at % ARRAY_SIZE(masks)];

		image.data[at] ^= mask;
		put_image(f, &image, image.len);
		use_damaged(f, at);
		image.data[at] ^= mask;
	}
	put_image(f, &image, image.len);
	open_state(f);
	assert_int_equal(count_all(f), 30);
}

static void headers_of_all_pages_are_not_believed(void **state)
{
	struct fixture *f = *state;
	struct buf image cleanup_buf = BUF_INIT;
	uint8_t saved[16];

	take_image(f, &image);
	for (size_t at = 4096; at < image.len; at += 4096) {
		memcpy(saved, image.data + at, sizeof(saved));
		for (unsigned fill_with = 0; fill_with < 256; fill_with += 51) {
			memset(image.data + at, (int)fill_with, sizeof(saved));
			put_image(f, &image, image.len);
			use_damaged(f, at);
		}
		memcpy(image.data + at, saved, sizeof(saved));
	}
}

static void a_short_file_is_survived(void **state)
{
	struct fixture *f = *state;
	struct buf image cleanup_buf = BUF_INIT;

	take_image(f, &image);
	for (size_t len = 0; len < image.len; len += 1021) {
		put_image(f, &image, len);
		use_damaged(f, len);
	}
	put_image(f, &image, image.len - 4096);
	use_damaged(f, image.len - 4096);
}

/* Of a damaged log only the transactions before the damage count. */
static void a_damaged_log_is_survived(void **state)
{
	struct fixture *f = *state;
	struct buf db cleanup_buf = BUF_INIT, log cleanup_buf = BUF_INIT;

	open_state(f);
	fill(f, 8);
	close_state(f);
	assert_int_equal(file_read(f->s->home_fd, "state.db", &db), 0);
	assert_int_equal(file_read(f->s->home_fd, "state.db-wal", &log), 0);
	assert_true(log.len > 4 * 4096);
	for (size_t at = 0; at < log.len; at += at < 60 ? 1 : 997) {
		put_image(f, &db, db.len);
		log.data[at] ^= 0x5a;
		put(f, "state.db-wal", log.data, log.len);
		use_damaged(f, at);
		log.data[at] ^= 0x5a;
	}
	for (size_t len = 0; len < log.len; len += 1499) {
		put_image(f, &db, db.len);
		put(f, "state.db-wal", log.data, len);
		use_damaged(f, len);
	}
}

/* Processes. */
#define MANY 50

/* What one of many does with a home that nobody has used; 0 when all went
 * well, else the step's number. No assertions: this is a child. */
static int one_of_many(const char *home, int i, struct err *err)
{
	struct store *s cleanup_store = NULL;
	struct state *st cleanup_state = NULL;
	struct state_sandbox *list = NULL;
	char name[32], id[STATE_ID_LEN + 1];
	bool mine = false;
	size_t n = 0;

	(void)snprintf(name, sizeof(name), "box-%d", i);
	if (store_open(home, &s, err) < 0)
		return 1;
	if (state_open(s, &st, err) < 0)
		return 2;
	if (try_add(st, name, (char *const[]){"k=v", NULL}, id, err) < 0)
		return 3;
	if (state_set_started(st, id, getpid(), err) < 0)
		return 4;
	if (state_list(st, NULL, &list, &n, err) < 0)
		return 5;
	for (size_t k = 0; k < n; k++)
		mine |= strcmp(list[k].id, id) == 0;
	state_list_free(list, n);
	if (!mine)
		return 6;
	return i % 2 && state_remove(st, id, err) < 0 ? 7 : 0;
}

static void many_processes_share_a_fresh_home(void **state)
{
	struct fixture *f = *state;
	uint64_t start = clock_now_ns();
	char home[160];
	pid_t pids[MANY];

	(void)snprintf(home, sizeof(home), "%s/fresh", f->root);
	for (int i = 0; i < MANY; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			int step = one_of_many(home, i, &f->err);

			if (step)
				(void)fprintf(stderr, "# %d: step %d: %s\n", i,
				              step, f->err.msg);
			_exit(step);
		}
	}
	for (int i = 0; i < MANY; i++)
		assert_int_equal(status_of(pids[i]), 0);
	print_message("# %d processes on a fresh home: %.0f ms\n", MANY,
	              (double)(clock_now_ns() - start) / 1e6);
	store_close(f->s);
	f->s = NULL;
	assert_int_equal(store_open(home, &f->s, &f->err), 0);
	open_state(f);
	assert_int_equal(count_all(f), MANY / 2);
	assert_consistent(f);
}

static void one_name_has_one_owner(void **state)
{
	struct fixture *f = *state;
	pid_t pids[16];
	int owners = 0;

	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			int r = state_open(f->s, &f->st, &f->err);

			if (r == 0)
				r = try_add(f->st, "web", NULL, NULL, &f->err);
			_exit(r == 0 ? 0 : r == -EEXIST ? 1 : 2);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		int status = status_of(pids[i]);

		assert_in_range(status, 0, 1);
		owners += status == 0;
	}
	assert_int_equal(owners, 1);
}

/* Write until the end, which comes from outside. */
static void write_for_ever(struct fixture *f)
{
	struct state *st;
	char name[32], id[STATE_ID_LEN + 1];

	if (state_open(f->s, &st, NULL) < 0)
		_exit(1);
	for (unsigned i = 0;; i++) {
		(void)snprintf(name, sizeof(name), "p%d-%u", getpid(), i);
		if (try_add(st, name, (char *const[]){"k=v", "l=w", NULL}, id,
		            NULL) < 0 ||
		    state_set_started(st, id, 1, NULL) < 0 ||
		    (i % 3 && state_remove(st, id, NULL) < 0))
			_exit(2);
	}
}

static void killed_writers_leave_it_whole(void **state)
{
	struct fixture *f = *state;

	for (unsigned round = 0; round < 60; round++) {
		pid_t pids[2];

		for (int i = 0; i < 2; i++) {
			pids[i] = fork();
			assert_true(pids[i] >= 0);
			if (pids[i] == 0)
				write_for_ever(f);
		}
		/* from before the first table to many rows */
		(void)usleep(500 + round * 700);
		for (int i = 0; i < 2; i++)
			(void)kill(pids[i], SIGKILL);
		for (int i = 0; i < 2; i++)
			assert_int_equal(status_of(pids[i]), 1000 + SIGKILL);
		open_state(f);
		(void)count_all(f);
		assert_consistent(f);
		close_state(f);
	}
	open_state(f);
	print_message("# rows after 60 rounds of kill: %zu\n", count_all(f));
}

static void a_half_done_transaction_is_undone(void **state)
{
	struct fixture *f = *state;
	struct state_sandbox b cleanup_state_sandbox = {0};
	char id[STATE_ID_LEN + 1];
	pid_t pid;

	open_state(f);
	add(f, "a", NULL, id);
	close_state(f);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct value v = VALUE_TEXT(id);

		if (state_open(f->s, &f->st, NULL) == 0 &&
		    db_begin(f->st, TX_WRITE, NULL) == 0 &&
		    db_run(f->st, "UPDATE sandboxes SET name='b' WHERE id=?",
		           &v, 1, NULL) == 1 &&
		    sqlite3_db_cacheflush(f->st->db) == SQLITE_OK)
			(void)raise(SIGKILL);
		_exit(1);
	}
	assert_int_equal(status_of(pid), 1000 + SIGKILL);
	open_state(f);
	assert_int_equal(state_get(f->st, "a", &b, &f->err), 0);
	add(f, "c", NULL, NULL);
}

/* A child that holds the write lock until it is killed. */
static pid_t hold_lock(struct fixture *f, const char *sql)
{
	int pipes[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (state_open(f->s, &f->st, NULL) == 0 &&
		    sqlite3_exec(f->st->db, sql, NULL, NULL, NULL) == 0 &&
		    write(pipes[1], "x", 1) == 1)
			(void)pause();
		_exit(1);
	}
	(void)close(pipes[1]);
	assert_int_equal(read(pipes[0], &c, 1), 1);
	(void)close(pipes[0]);
	return pid;
}

static void a_lock_is_waited_for_and_told(void **state)
{
	struct fixture *f = *state;
	uint64_t start;
	pid_t pid;

	open_state(f);
	add(f, "a", NULL, NULL);
	close_state(f);
	pid = hold_lock(f, "BEGIN IMMEDIATE");
	open_state(f);
	assert_int_equal(f->st->busy_ms, STATE_BUSY_MS);
	assert_int_equal(count_all(f), 1);
	f->st->busy_ms = 300;
	start = clock_now_ns();
	assert_int_equal(try_add(f->st, "b", NULL, NULL, &f->err), -EBUSY);
	assert_in_range(clock_now_ns() - start, 300 * NS_PER_MS,
	                3000 * NS_PER_MS);
	assert_non_null(
		strstr(f->err.msg, "database is locked by another process"));
	assert_non_null(strstr(f->err.hint, "state.db"));
	(void)kill(pid, SIGKILL);
	(void)status_of(pid);
	add(f, "b", NULL, NULL);
}

/* Disks: in a mount namespace of a child, which gives its step. */
enum { NO_NAMESPACE = 99 };

static int private_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0 &&
	    unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return -errno;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? -errno
	                                                             : 0;
}

static void in_child(struct fixture *f,
                     int (*fn)(const char *home, struct err *err))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		f->err = (struct err){0};
		status = private_mounts() < 0 ? NO_NAMESPACE
		                              : fn(f->home, &f->err);
		if (status && status != NO_NAMESPACE)
			(void)fprintf(stderr, "# step %d: %d %s\n", status,
			              f->err.code, f->err.msg);
		_exit(status);
	}
	status = status_of(pid);
	if (status == NO_NAMESPACE)
		skip();
	assert_int_equal(status, 0);
}

static int on_read_only(const char *home, struct err *err)
{
	struct store *s cleanup_store = NULL;
	struct state *st cleanup_state = NULL;

	if (mount(home, home, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, home, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		return NO_NAMESPACE;
	if (store_open(home, &s, err) < 0)
		return 1;
	if (state_open(s, &st, err) != -EROFS)
		return 2;
	return strstr(err->hint, "MSB_HOME") && strstr(err->msg, home) ? 0 : 3;
}

static void a_read_only_home_is_told(void **state)
{
	struct fixture *f = *state;

	in_child(f, on_read_only);
	open_state(f);
	add(f, "a", NULL, NULL);
	close_state(f);
	in_child(f, on_read_only);
	(void)unlinkat(f->s->home_fd, "state.db-wal", 0);
	(void)unlinkat(f->s->home_fd, "state.db-shm", 0);
	in_child(f, on_read_only);
	open_state(f);
}

static int small_disk(const char *home, struct store **ret, struct err *err)
{
	if (mount("tmpfs", home, "tmpfs", 0, "size=256k,mode=0700") < 0)
		return -errno;
	return store_open(home, ret, err);
}

/* Take all that is left, in a file that can be given back. */
static int fill_disk(struct store *s)
{
	static const char page[4096];
	cleanup_close int fd =
		openat(s->home_fd, "ballast", O_WRONLY | O_CREAT, 0600);

	while (fd >= 0 && write(fd, page, sizeof(page)) > 0)
		;
	return fd < 0 || errno != ENOSPC ? -EIO : 0;
}

static int on_full_from_the_start(const char *home, struct err *err)
{
	struct store *s cleanup_store = NULL;
	struct state *st cleanup_state = NULL;

	if (small_disk(home, &s, err) < 0)
		return s ? 1 : NO_NAMESPACE;
	if (fill_disk(s) < 0)
		return 2;
	if (state_open(s, &st, err) != -ENOSPC)
		return 3;
	if (!strstr(err->msg, "no space") || !err->hint[0])
		return 4;
	if (unlinkat(s->home_fd, "ballast", 0) < 0)
		return 5;
	return state_open(s, &st, err) < 0 ? 6 : 0;
}

static int on_disk_that_fills(const char *home, struct err *err)
{
	struct store *s cleanup_store = NULL;
	struct state *st cleanup_state = NULL;
	struct state_sandbox *list = NULL;
	char name[32], id[STATE_ID_LEN + 1];
	size_t n = 0, added = 0;
	int r;

	if (small_disk(home, &s, err) < 0)
		return s ? 1 : NO_NAMESPACE;
	if (state_open(s, &st, err) < 0)
		return 2;
	if (try_add(st, "first", NULL, id, err) < 0 || fill_disk(s) < 0)
		return 3;
	do {
		(void)snprintf(name, sizeof(name), "box-%zu", added++);
		r = try_add(st, name, NULL, NULL, err);
	} while (r == 0 && added < 10000);
	if (r != -ENOSPC || !strstr(err->msg, "no space"))
		return 4;
	if (state_list(st, NULL, &list, &n, err) < 0 || n != added)
		return 5;
	state_list_free(list, n);
	if (unlinkat(s->home_fd, "ballast", 0) < 0)
		return 6;
	return state_remove(st, id, err) < 0 ? 7 : 0;
}

static void a_full_disk_is_told(void **state)
{
	in_child(*state, on_full_from_the_start);
	in_child(*state, on_disk_that_fills);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(only_the_owner_can_read_it),
		T(it_is_set_up_as_meant),
		T(promises_are_synced),
		T(a_link_in_its_place_is_refused),
		T(sqlite_itself_refuses_a_link),
		T(what_is_no_file_is_refused),
		T(a_home_below_a_link_is_fine),
		T(a_path_too_long_is_told),
		T(content_that_is_no_database_is_told),
		T(moved_away_by_hand_it_is_a_new_one),
		T(set_aside_it_is_whole_elsewhere),
		T(a_check_finds_what_calls_do_not),
		T(an_empty_file_is_a_new_one),
		T(a_newer_schema_is_left_alone),
		T(an_older_schema_is_brought_up),
		T(many_bring_an_older_schema_up),
		T(the_unended_are_found_by_their_index),
		T(a_database_of_others_is_left_alone),
		T(tables_that_are_missing_are_damage),
		T(rows_that_lie_are_damage),
		T(too_many_rows_are_damage),
		T(flipped_bytes_are_survived),
		T(headers_of_all_pages_are_not_believed),
		T(a_short_file_is_survived),
		T(a_damaged_log_is_survived),
		T(many_processes_share_a_fresh_home),
		T(one_name_has_one_owner),
		T(killed_writers_leave_it_whole),
		T(a_half_done_transaction_is_undone),
		T(a_lock_is_waited_for_and_told),
		T(a_read_only_home_is_told),
		T(a_full_disk_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
