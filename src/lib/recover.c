/*
 * recover.c - the record of sandboxes brought back. A kept sandbox's folder
 * says what its row said (place.h), so a database that is lost costs nobody
 * their data: what has no row gets one, as if it had just been made. When it
 * was started and how it ended is not in there, and is not made up; but one
 * that runs is seen by its lock, and on record as running again.
 *
 * A folder with the mark `unkept` is of something that was coming or going, or
 * ephemeral; it is left to place_sweep().
 *
 * Two that recover at once: the lock "recover" of the store.
 */
#include "lib/recover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"
#include "lib/error.h"
#include "lib/place.h"
#include "lib/sandbox.h"

#include "base/banned.h"

#define FOLDERS_MAX 100000

struct recovery {
	struct store *s;
	struct state *st; /* NULL: there is none, or a damaged one */
	bool dry_run;
	struct recovered *ret;
	struct strv known; /* ids on record, sorted */
};

/* ---- what is there ------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(struct strv *v)
{
	if (v->n)
		qsort(v->v, v->n, sizeof(*v->v), by_text);
}

static bool is_known(const struct recovery *rc, const char *id)
{
	return rc->known.n && bsearch(&id, rc->known.v, rc->known.n,
	                              sizeof(*rc->known.v), by_text);
}

static int list_known(struct recovery *rc, struct err *err)
{
	struct state_sandbox *list = NULL;
	size_t n = 0;
	int r = rc->st ? state_list(rc->st, NULL, &list, &n, err) : 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = strv_add(&rc->known, list[i].id);
	state_list_free(list, n);
	sort(&rc->known);
	return r;
}

/* All folders that have no row, by id. */
static int list_folders(struct recovery *rc, struct strv *ret, struct err *err)
{
	int fd = openat(rc->s->home_fd, "sandboxes",
	                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!d) {
		r = errno == ENOENT ? 0
		                    : err_set(err, -errno,
		                              "cannot read %s/sandboxes: %s",
		                              rc->s->home, strerror(errno));
		close_fd(&fd);
		return r;
	}
	while (r == 0 && (e = readdir(d)))
		if (strlen(e->d_name) == STATE_ID_LEN && ret->n < FOLDERS_MAX &&
		    !is_known(rc, e->d_name))
			r = strv_add(ret, e->d_name);
	(void)closedir(d);
	sort(ret);
	return r;
}

/* ---- one sandbox --------------------------------------------------------- */

/* Nothing of it is believed but that it is a text. */
static int check_row(const struct state_sandbox *row, struct err *err)
{
	struct sandbox_config cleanup_sandbox_config config = {0};

	if (!sandbox_is_name(row->name, MSB_NAME_MAX))
		return err_set(err, -EUCLEAN, "its name cannot be");
	if (row->created_ms < 0)
		return err_set(err, -EUCLEAN, "its date cannot be");
	return sandbox_config_read(row->config, &config, err);
}

/* "web", or when somebody has that by now "web-0011". */
static int other_name(struct state_sandbox *row, struct err *err)
{
	char *name = NULL;

	if (asprintf(&name, "%.*s-%.4s", MSB_NAME_MAX - 5, row->name, row->id) <
	    0)
		return err_set(err, -ENOMEM, "out of memory");
	free(row->name);
	row->name = name;
	return 0;
}

static bool has_row(struct recovery *rc, const char *id)
{
	struct state_sandbox cleanup_state_sandbox row = {0};

	return state_get(rc->st, id, &row, NULL) == 0 &&
	       strcmp(row.id, id) == 0;
}

/* 0: it was made while we looked, and has a row. */
static int add_row(struct recovery *rc, struct state_sandbox *row,
                   struct err *err)
{
	struct err taken = {0};
	int r = state_add(rc->st, row, &taken);

	if (r == 0)
		return 1;
	if (r == -EEXIST && has_row(rc, row->id))
		return 0;
	if (r == -EEXIST) {
		r = other_name(row, err);
		if (r == 0)
			r = state_add(rc->st, row, err);
		return r < 0 ? r : 1;
	}
	if (err)
		*err = taken;
	return r;
}

/* It says so itself when it is asked; the rest is not known any more. */
static int add_run(struct recovery *rc, const char *id, struct err *err)
{
	int r = state_set_started(rc->st, id, 0, err);

	if (r == 0)
		r = state_set_ready(rc->st, id, "", "", err);
	if (r == 0)
		r = state_set_detached(rc->st, id, err);
	return r;
}

/* Its lock is free, and ours until the row is there; or it runs. */
static int bring_back(struct recovery *rc, const struct place *p,
                      struct state_sandbox *row, struct err *err)
{
	cleanup_close int lock = rc->dry_run ? -1 : place_lock(p, NULL);
	bool runs = place_is_locked(p) && lock < 0;
	int r = rc->dry_run ? 1 : add_row(rc, row, err);

	if (r <= 0)
		return r;
	r = runs && !rc->dry_run ? add_run(rc, row->id, err) : 0;
	if (r < 0)
		return r;
	rc->ret->doable++;
	return strv_addf(
		&rc->ret->done, "sandbox %s (%s), made of %s%s: %s", row->name,
		row->id, *row->image ? row->image : "a folder",
		runs ? ", which runs" : "",
		rc->dry_run ? "can be brought back" : "is on record again");
}

static int restore(struct recovery *rc, const char *id, struct err *err)
{
	struct state_sandbox cleanup_state_sandbox row = {0};
	struct place cleanup_place p = PLACE_INIT;
	struct err why = {0};
	int r = place_open(rc->s, id, &p, &why);

	if (r == -ENOENT || (r == 0 && place_is_marked(&p)))
		return 0;
	if (r == 0)
		r = place_read_json(&p, &row, &why);
	if (r == 0)
		r = check_row(&row, &why);
	if (r == 0)
		return bring_back(rc, &p, &row, err);
	return strv_addf(&rc->ret->done, "%s/sandboxes/%s is left as it is: %s",
	                 rc->s->home, id, why.msg);
}

/* ---- the record ---------------------------------------------------------- */

static int replace_record(struct recovery *rc, const struct err *why,
                          struct err *err)
{
	char name[64];
	int r;

	rc->ret->doable++;
	if (rc->dry_run)
		return strv_addf(&rc->ret->done, "%s; it can be put aside",
		                 why->msg);
	r = state_set_aside(rc->s, name, err);
	if (r == 0)
		r = strv_addf(&rc->ret->done, "%s; it is %s/%s now", why->msg,
		              rc->s->home, name);
	return r < 0 ? r : state_open(rc->s, &rc->st, err);
}

/* A look alone makes no file. */
static int open_record(struct recovery *rc, struct err *err)
{
	struct err why = {0};
	int r;

	if (rc->dry_run && faccessat(rc->s->home_fd, "state.db", F_OK,
	                             AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	r = state_open(rc->s, &rc->st, &why);
	if (r == 0)
		r = state_check(rc->st, &why);
	if (r == 0)
		return 0;
	state_close(rc->st);
	rc->st = NULL;
	if (r == -EUCLEAN)
		return replace_record(rc, &why, err);
	if (err)
		*err = why;
	return r;
}

static int restore_all(struct recovery *rc, struct err *err)
{
	struct strv cleanup_strv folders = {0};
	int r = list_known(rc, err);

	if (r == 0)
		r = list_folders(rc, &folders, err);
	for (size_t i = 0; r == 0 && i < folders.n; i++)
		r = restore(rc, folders.v[i], err);
	return r;
}

int recover(struct store *s, bool dry_run, struct recovered *ret,
            struct err *err)
{
	struct recovery rc = {.s = s, .dry_run = dry_run, .ret = ret};
	cleanup_close int lock =
		dry_run ? -1 : store_lock(s, "recover", 0, err);
	int r = !dry_run && lock < 0 ? lock : open_record(&rc, err);

	if (r == 0)
		r = restore_all(&rc, err);
	ret->on_record = rc.known.n;
	strv_release(&rc.known);
	state_close(rc.st);
	return r;
}

int msb_repair(const char *home_path, int dry_run, char ***ret_done,
               struct msb_error *error)
{
	struct store *cleanup_store s = NULL;
	struct recovered rec = {0};
	struct err err = {0};
	int r = store_open(home_path, &s, &err);

	if (r == 0)
		r = recover(s, dry_run != 0, &rec, &err);
	if (r == 0 && !rec.done.v) {
		rec.done.v = calloc(1, sizeof(*rec.done.v));
		r = rec.done.v ? 0 : -ENOMEM;
	}
	if (r < 0) {
		strv_release(&rec.done);
		return error_return(error, r, &err);
	}
	*ret_done = rec.done.v;
	return 0;
}

void doctor_record(struct msb_report *r)
{
	struct store *cleanup_store s = NULL;
	struct recovered rec = {0};
	struct err err = {0};

	if (store_open(r->home_path, &s, NULL) < 0)
		return; /* said already */
	if (recover(s, true, &rec, &err) < 0)
		doctor_add_err(r, "record", MSB_CHECK_FAIL, &err);
	else if (rec.done.n)
		doctor_add(r, "record", MSB_CHECK_WARN,
		           rec.doable
		                   ? "msb doctor --fix"
		                   : "repair that file, or remove the folder "
		                     "with all that was written in it",
		           "%s%s", rec.done.v[0],
		           rec.done.n > 1 ? "; and more" : "");
	else
		doctor_add(r, "record", MSB_CHECK_OK, "",
		           "%zu sandbox%s on record", rec.on_record,
		           rec.on_record == 1 ? "" : "es");
	strv_release(&rec.done);
}
