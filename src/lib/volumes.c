/* Volumes for programs and people: the functions of files.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "lib/error.h"
#include "lib/home.h"
#include "lib/mounts.h"
#include "lib/options.h"
#include "lib/recover.h"
#include "lib/volume.h"

#include "base/banned.h"

#define USERS_SHOWN 5

/* ---- create ---------------------------------------------------------------
 */

int msb_volume_create(struct msb_home *home, const char *name,
                      const struct msb_volume_opts *opts,
                      struct msb_error *error)
{
	struct msb_volume_opts o = MSB_VOLUME_OPTS_INIT;
	struct err err = {0};
	int r;

	if (!options_take(&o, sizeof(o), opts))
		return error_set(error, -EINVAL, "msb_volume_opts: wrong size");
	r = volume_check(name ? name : "", o.kind, o.size_bytes, &err);
	if (r == 0)
		r = volume_create(home->store, name, o.kind, o.size_bytes,
		                  &err);
	return r < 0 ? error_return(error, r, &err) : 0;
}

/* ---- list -----------------------------------------------------------------
 */

struct item {
	struct msb_volume_info info;
	char *name, *path;
	struct strv users;
};

struct msb_volumes {
	struct item *v;
	size_t n;
};

void msb_volumes_free(struct msb_volumes *list)
{
	for (size_t i = 0; list && i < list->n; i++) {
		free(list->v[i].name);
		free(list->v[i].path);
		strv_release(&list->v[i].users);
	}
	if (list)
		free(list->v);
	free(list);
}

size_t msb_volumes_count(const struct msb_volumes *list)
{
	return list->n;
}

const struct msb_volume_info *msb_volumes_get(const struct msb_volumes *list,
                                              size_t i)
{
	return i < list->n ? &list->v[i].info : NULL;
}

static int fill(const struct msb_home *home, const struct volume *v,
                struct item *ret)
{
	bool disk = v->kind == MSB_VOLUME_DISK;

	ret->name = strdup(v->name);
	if (!ret->name ||
	    asprintf(&ret->path, "%s/volumes/%s/%s", home->store->home, v->name,
	             disk ? VOLUME_DISK : "data") < 0) {
		ret->path = NULL;
		return -ENOMEM;
	}
	ret->info = (struct msb_volume_info){
		.size = sizeof(ret->info),
		.name = ret->name,
		.path = ret->path,
		.kind = v->kind,
		.size_bytes = v->size_bytes,
		.used_bytes = volume_bytes(v),
		.created_ms = v->created_ms,
		.in_use = volume_is_used(v),
	};
	return 0;
}

/* One that was just removed, or that is not ours, is left out of a list. */
static int add(struct msb_home *home, struct msb_volumes *l, const char *name,
               bool must, struct err *err)
{
	struct volume cleanup_volume v = VOLUME_INIT;
	struct item *more = reallocarray(l->v, l->n + 1, sizeof(*more));
	int r;

	if (!more)
		return -ENOMEM;
	l->v = more;
	r = volume_open(home->store, name, &v, must ? err : NULL);
	if (r < 0)
		return must || r == -ENOMEM ? r : 0;
	l->v[l->n] = (struct item){0};
	return fill(home, &v, &l->v[l->n++]);
}

static int add_all(struct msb_home *home, struct msb_volumes *l,
                   struct err *err)
{
	struct strv cleanup_strv names = {0};
	int r = volume_names(home->store, &names, err);

	for (size_t i = 0; i < names.n && r == 0; i++)
		r = add(home, l, names.v[i], false, err);
	return r;
}

struct users {
	struct msb_volumes *list;
	int r;
};

static int by_name(const void *name, const void *item)
{
	return strcmp(name, ((const struct item *)item)->name);
}

static void add_user(void *arg, const char *volume, const char *sandbox)
{
	struct users *u = arg;
	struct item *i =
		bsearch(volume, u->list->v, u->list->n, sizeof(*i), by_name);

	if (i && u->r == 0)
		u->r = strv_add(&i->users, sandbox);
}

static int find_users(struct msb_home *home, struct msb_volumes *l,
                      struct err *err)
{
	struct users u = {l, 0};
	int r = l->n ? mounts_each_volume(home, add_user, &u, err) : 0;

	for (size_t i = 0; i < l->n; i++)
		l->v[i].info.users =
			(const char *const *)strv_list(&l->v[i].users);
	return r < 0 ? r : u.r;
}

int msb_volume_list(struct msb_home *home, const char *name,
                    struct msb_volumes **ret_list, struct msb_error *error)
{
	struct msb_volumes *l = calloc(1, sizeof(*l));
	struct err err = {0};
	int r = l ? 0 : -ENOMEM;

	if (r == 0)
		r = name ? add(home, l, name, true, &err)
		         : add_all(home, l, &err);
	if (r == 0)
		r = find_users(home, l, &err);
	if (r < 0) {
		msb_volumes_free(l);
		return error_return(error, r, &err);
	}
	*ret_list = l;
	return 0;
}

/* ---- remove ---------------------------------------------------------------
 */

static int in_use(const char *name, const struct strv *users, bool running,
                  struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT;

	for (size_t i = 0; i < users->n && i < USERS_SHOWN; i++)
		(void)buf_printf(&b, "%s%s", i ? ", " : "", users->v[i]);
	if (users->n > USERS_SHOWN)
		(void)buf_printf(&b, " and %zu more", users->n - USERS_SHOWN);
	err_set(err, -EBUSY, "volume %s is %s%s%s", name,
	        running ? "in use" : "mounted",
	        users->n == 0   ? ""
	        : users->n == 1 ? " by sandbox "
	                        : " by sandboxes ",
	        buf_str(&b));
	if (running && users->n)
		err_hint(err, "msb stop %s first", users->v[0]);
	else if (running)
		err_hint(err, "its machine is about to end: try again");
	else
		err_hint(err, "remove it first with msb rm, or the volume all "
		              "the same with --force");
	return -EBUSY;
}

static int check_unused(struct msb_home *home, const char *name, bool running,
                        struct err *err)
{
	struct strv cleanup_strv users = {0};
	int r = mounts_volume_users(home, name, running, &users, err);

	return r == 0 && (users.n || running)
	               ? in_use(name, &users, running, err)
	               : r;
}

/*
 * A sandbox whose row was lost with state.db is there still, and its volumes
 * are not unused because nobody knows of it.
 */
static int check_record(struct msb_home *home, struct err *err)
{
	struct recovered rec = {0};
	int r = recover(home->store, true, &rec, err);

	/* One that is being made has a folder first, then a row. */
	if (r == 0 && rec.doable) {
		strv_release(&rec.done);
		rec = (struct recovered){0};
		r = recover(home->store, true, &rec, err);
	}
	if (r == 0 && rec.doable) {
		err_set(err, -EBUSY,
		        "there are sandboxes that are not on record: nobody "
		        "knows which volumes they mount");
		err_hint(err, "msb doctor --fix brings them back");
		r = -EBUSY;
	}
	strv_release(&rec.done);
	return r;
}

static int remove_one(struct msb_home *home, const char *name, bool force,
                      struct err *err)
{
	struct volume cleanup_volume v = VOLUME_INIT;
	int r = volume_open(home->store, name, &v, err);

	if (r == 0 && volume_is_used(&v))
		return check_unused(home, name, true, err);
	if (r == 0 && !force)
		r = check_unused(home, name, false, err);
	if (r == 0 && !force)
		r = check_record(home, err);
	if (r == 0)
		r = volume_remove(home->store, name, err);
	return r == -EBUSY && force ? check_unused(home, name, true, err) : r;
}

int msb_volume_remove(struct msb_home *home, const char *name, int force,
                      struct msb_error *error)
{
	struct err err = {0};
	int r = remove_one(home, name ? name : "", force != 0, &err);

	return r < 0 ? error_return(error, r, &err) : 0;
}

/* ---- prune ----------------------------------------------------------------
 */

/* One that somebody takes or removes meanwhile stays out of it. */
static int prune_one(struct msb_home *home, const struct msb_volume_info *v,
                     struct strv *names, uint64_t *freed, struct err *err)
{
	int r;

	if (v->in_use || *v->users)
		return 0;
	r = volume_remove(home->store, v->name, err);
	if (r == -EBUSY || r == -ENOENT) {
		*err = (struct err){0};
		return 0;
	}
	*freed += v->used_bytes;
	return r < 0 ? r : strv_add(names, v->name);
}

static int list_all(struct msb_home *home, struct msb_volumes *l,
                    struct err *err)
{
	int r = add_all(home, l, err);

	return r < 0 ? r : find_users(home, l, err);
}

int msb_volume_prune(struct msb_home *home, char ***ret_names,
                     uint64_t *ret_freed_bytes, struct msb_error *error)
{
	struct msb_volumes *l = calloc(1, sizeof(*l));
	struct strv cleanup_strv names = {0};
	struct err err = {0};
	uint64_t freed = 0;
	int r = l ? check_record(home, &err) : -ENOMEM;

	if (r == 0)
		r = list_all(home, l, &err);
	for (size_t i = 0; r == 0 && i < l->n; i++)
		r = prune_one(home, &l->v[i].info, &names, &freed, &err);
	msb_volumes_free(l);
	if (r == 0 && !names.v) {
		names.v = calloc(1, sizeof(*names.v));
		r = names.v ? 0 : -ENOMEM;
	}
	if (r < 0)
		return error_return(error, r, &err);
	*ret_names = names.v;
	*ret_freed_bytes = freed;
	names = (struct strv){0};
	return 0;
}
