/*
 * modify.c - change what is on record about a sandbox: read the row, change a
 * copy of it, check the copy as if it were a new sandbox, list what differs,
 * write it back.
 *
 * Three locks, in this order: the file `modify` in the sandbox's folder, for
 * one change at a time; the folder's own lock, if its machine does not run,
 * so that none starts with half of it; the home's around each look at the
 * record. A machine that runs holds the second: then what it was started with
 * counts until its next start. That configuration is kept in the file `active`
 * by the first modification that has to wait, and goes with the next start.
 *
 * Secrets of a machine that has msb-tls change in it first, in one step, then
 * on record: who is cut off between has a record that says what it said before.
 * Of what was removed or narrowed it then says too much, and the next start
 * asks for it; of what was added nobody knows the placeholder.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/fdio.h"
#include "base/num.h"
#include "lib/command.h"
#include "lib/error.h"
#include "lib/life.h"
#include "lib/modify.h"
#include "lib/modify_int.h"
#include "lib/options.h"
#include "lib/record.h"
#include "lib/tls_launch.h"

#include "base/banned.h"

#define CHANGES_MAX 4096
#define ACTIVE_MAX  (4u << 20)

static void edit_release(struct edit *e)
{
	msb_plan_free(e->plan);
	tls_values_release(&e->update.values);
	strv_release(&e->labels);
	sandbox_config_release(&e->now);
	sandbox_config_release(&e->was);
	state_sandbox_release(&e->row);
	close_fd(&e->lock);
	close_fd(&e->mutex);
	place_release(&e->place);
}
#define cleanup_edit cleanup(edit_release)

/* ---- the plan ------------------------------------------------------------ */

static void change_release(struct msb_change *c)
{
	free((char *)(uintptr_t)c->field);
	free((char *)(uintptr_t)c->before);
	free((char *)(uintptr_t)c->after);
}

void msb_plan_free(struct msb_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->n; i++)
		change_release(&plan->changes[i]);
	free(plan->changes);
	free(plan);
}

size_t msb_plan_count(const struct msb_plan *plan)
{
	return plan->n;
}

const struct msb_change *msb_plan_get(const struct msb_plan *plan, size_t i)
{
	return i < plan->n ? &plan->changes[i] : NULL;
}

int modify_plan(struct edit *e, bool live, const char *field,
                const char *before, const char *after)
{
	struct msb_plan *p = e->plan;
	struct msb_change c, *more;

	if (strcmp(before ? before : "", after ? after : "") == 0)
		return 0;
	if (p->n == CHANGES_MAX)
		return -E2BIG;
	more = reallocarray(p->changes, p->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	p->changes = more;
	c = (struct msb_change){.field = strdup(field),
	                        .before = strdup(before ? before : ""),
	                        .after = strdup(after ? after : ""),
	                        .effect = live || !e->runs
	                                          ? MSB_EFFECT_NOW
	                                          : MSB_EFFECT_NEXT_START};
	p->changes[p->n++] = c;
	return c.field && c.before && c.after ? 0 : -ENOMEM;
}

/* The entry of @assignment's key in @list; NULL. */
static const char *find_key(const struct strv *list, const char *assignment)
{
	size_t key = strcspn(assignment, "=");

	for (size_t i = 0; i < list->n; i++)
		if (strcspn(list->v[i], "=") == key &&
		    strncmp(list->v[i], assignment, key) == 0)
			return list->v[i];
	return NULL;
}

static const char *value_of(const char *assignment)
{
	const char *equals = assignment ? strchr(assignment, '=') : NULL;

	return equals ? equals + 1 : NULL;
}

/* An empty value is told from none by its quotes. */
static const char *shown(const char *assignment)
{
	const char *value = value_of(assignment);

	return value && !*value ? "\"\"" : value;
}

static int plan_pair(struct edit *e, const char *prefix, const char *before,
                     const char *after)
{
	struct buf cleanup_buf field = BUF_INIT;
	const char *one = after ? after : before;

	(void)buf_printf(&field, "%s.", prefix);
	(void)buf_add(&field, one, strcspn(one, "="));
	if (!buf_ok(&field))
		return -ENOMEM;
	return modify_plan(e, true, buf_str(&field), shown(before),
	                   shown(after));
}

static int plan_pairs(struct edit *e, const char *prefix,
                      const struct strv *was, const struct strv *now)
{
	int r = 0;

	for (size_t i = 0; i < now->n && r == 0; i++)
		r = plan_pair(e, prefix, find_key(was, now->v[i]), now->v[i]);
	for (size_t i = 0; i < was->n && r == 0; i++)
		if (!find_key(now, was->v[i]))
			r = plan_pair(e, prefix, was->v[i], NULL);
	return r;
}

static int plan_size(struct edit *e, const char *field, uint64_t was,
                     uint64_t now)
{
	char before[32], after[32];

	if (was == now)
		return 0;
	return modify_plan(e, false, field,
	                   num_format_size(was, before, sizeof(before)),
	                   num_format_size(now, after, sizeof(after)));
}

static int plan_number(struct edit *e, const char *field, const char *unit,
                       uint32_t was, uint32_t now)
{
	char before[32] = "", after[32] = "";

	if (was)
		(void)snprintf(before, sizeof(before), "%u%s", was, unit);
	if (now)
		(void)snprintf(after, sizeof(after), "%u%s", now, unit);
	return modify_plan(e, false, field, before, after);
}

static int make_plan(struct edit *e)
{
	const struct sandbox_config *a = &e->was, *b = &e->now;
	int r;

	e->plan = calloc(1, sizeof(*e->plan));
	if (!e->plan)
		return -ENOMEM;
	r = plan_number(e, "cpus", "", a->cpus, b->cpus);
	if (r == 0)
		r = plan_size(e, "memory", a->memory_bytes, b->memory_bytes);
	if (r == 0)
		r = plan_size(e, "root_disk", a->upper_bytes, b->upper_bytes);
	if (r == 0)
		r = modify_plan(e, false, "hostname", a->hostname, b->hostname);
	if (r == 0)
		r = plan_number(e, "max_duration", "s", a->max_duration_s,
		                b->max_duration_s);
	if (r == 0)
		r = plan_number(e, "idle_timeout", "s", a->idle_timeout_s,
		                b->idle_timeout_s);
	if (r == 0)
		r = modify_plan(e, true, "workdir", a->workdir, b->workdir);
	if (r == 0)
		r = modify_plan(e, true, "user", a->user, b->user);
	if (r == 0)
		r = modify_plan(e, true, "shell", a->shell, b->shell);
	if (r == 0)
		r = plan_pairs(e, "env", &a->env, &b->env);
	if (r == 0)
		r = modify_plan_secrets(e);
	return r < 0 ? r : plan_pairs(e, "label", &e->row.labels, &e->labels);
}

/* ---- the change ---------------------------------------------------------- */

static int put_text(char **to, const char *from)
{
	char *copy = NULL;

	if (!from)
		return 0;
	if (*from) {
		copy = strdup(from);
		if (!copy)
			return -ENOMEM;
	}
	free(*to);
	*to = copy;
	return 0;
}

static void put_limit(uint32_t *to, int32_t from)
{
	if (from)
		*to = from < 0 ? 0 : (uint32_t)from;
}

static bool has_word(const char *const *list, const char *assignment)
{
	size_t key = strcspn(assignment, "=");

	for (; list && *list; list++)
		if (strlen(*list) == key &&
		    strncmp(*list, assignment, key) == 0)
			return true;
	return false;
}

static int put_pairs(struct strv *to, const char *const *set,
                     const char *const *rm)
{
	struct strv cleanup_strv kept = {0};
	int r = 0;

	for (size_t i = 0; i < to->n && r == 0; i++)
		if (!has_word(rm, to->v[i]))
			r = strv_add(&kept, to->v[i]);
	for (; set && *set && r == 0; set++)
		r = strv_env_set(&kept, *set);
	if (r < 0)
		return r;
	strv_release(to);
	*to = kept;
	kept = (struct strv){0};
	return 0;
}

static int apply(struct edit *e)
{
	const struct msb_modify_opts *o = &e->o;
	struct sandbox_config *c = &e->now;
	int r;

	if (o->cpus)
		c->cpus = o->cpus;
	if (o->memory_bytes)
		c->memory_bytes = o->memory_bytes;
	if (o->upper_bytes)
		c->upper_bytes = o->upper_bytes;
	put_limit(&c->max_duration_s, o->max_duration_s);
	put_limit(&c->idle_timeout_s, o->idle_timeout_s);
	r = put_text(&c->workdir, o->workdir);
	if (r == 0)
		r = put_text(&c->user, o->user);
	if (r == 0)
		r = put_text(&c->hostname, o->hostname);
	if (r == 0)
		r = put_text(&c->shell, o->shell);
	if (r == 0)
		r = put_pairs(&c->env, o->env, o->env_rm);
	if (r == 0)
		r = strv_add_all(&e->labels, strv_list(&e->row.labels));
	return r < 0 ? r : put_pairs(&e->labels, o->labels, o->labels_rm);
}

/* ---- checks -------------------------------------------------------------- */

static bool has_key(const char *const *set, const char *key)
{
	size_t len = strlen(key);

	for (; set && *set; set++)
		if (strncmp(*set, key, len) == 0 && (*set)[len] == '=')
			return true;
	return false;
}

static int check_pairs(const char *what, const char *const *set,
                       const char *const *rm, struct err *err)
{
	for (const char *const *s = set; s && *s; s++)
		if (**s == '=' || !strchr(*s, '='))
			return err_set(err, -EINVAL, "%s %s is not KEY=VALUE",
			               what, *s);
	for (; rm && *rm; rm++) {
		if (!**rm || strchr(*rm, '='))
			return err_set(err, -EINVAL, "%s '%s' is not a key",
			               what, *rm);
		if (has_key(set, *rm))
			return err_set(err, -EINVAL,
			               "%s %s cannot be set and removed at "
			               "once",
			               what, *rm);
	}
	return 0;
}

static int check_opts(const struct msb_modify_opts *o, struct err *err)
{
	int r = check_pairs("env", o->env, o->env_rm, err);

	if (r == 0)
		r = check_pairs("label", o->labels, o->labels_rm, err);
	if (r == 0 && (o->max_duration_s < -1 || o->idle_timeout_s < -1))
		r = err_set(err, -EINVAL, "a time limit is below -1");
	return r;
}

/* The same rules as for a new sandbox. */
static int check_result(const struct edit *e, struct err *err)
{
	const struct sandbox_config *c = &e->now;
	struct msb_sandbox_opts o = MSB_SANDBOX_OPTS_INIT;
	int r;

	o.cpus = c->cpus;
	o.memory_bytes = c->memory_bytes;
	o.upper_bytes = c->upper_bytes;
	o.hostname = c->hostname;
	o.labels = (const char *const *)strv_list(&e->labels);
	r = sandbox_check_values(&o, err);
	if (r == 0)
		r = command_check(c, err);
	if (r == 0 && c->upper_bytes < e->was.upper_bytes)
		r = err_set(err, -EINVAL,
		            "root disk: it has %llu MiB and can only grow",
		            (unsigned long long)(e->was.upper_bytes / MIB));
	return r;
}

/* One that is not kept never starts again. */
static int check_kept(const struct edit *e, struct err *err)
{
	for (size_t i = 0; e->row.ephemeral && i < e->plan->n; i++)
		if (e->plan->changes[i].effect != MSB_EFFECT_NOW)
			return err_set(err, -EINVAL,
			               "%s is not kept, it has no next start: "
			               "%s cannot change",
			               e->row.name, e->plan->changes[i].field);
	return 0;
}

/* ---- reading and writing ------------------------------------------------- */

static int take_locks(struct edit *e, struct err *err)
{
	int r;

	e->mutex = place_file(&e->place, "modify", O_RDWR | O_CREAT);
	if (e->mutex == -ENOENT)
		return life_no_such(e->row.name, err);
	if (e->mutex < 0)
		return err_set(err, e->mutex,
		               "cannot write to the folder of %s: %s",
		               e->row.name, strerror(-e->mutex));
	r = cancel_flock(e->mutex, LOCK_EX);
	if (r < 0)
		return r == -ECANCELED
		               ? err_set(err, r, "cancelled")
		               : err_set(err, r, "cannot lock %s", e->row.name);
	/* A plan alone must not be in the way of a start. */
	if (e->o.dry_run) {
		e->runs = place_is_locked(&e->place);
		e->has_tls = e->runs && place_has_tls(&e->place);
		return 0;
	}
	e->lock = life_lock(&e->place, e->row.name, err);
	e->runs = e->lock == -EBUSY;
	e->has_tls = e->runs && place_has_tls(&e->place);
	return e->lock < 0 && !e->runs ? e->lock : 0;
}

/* The row as it is under the locks. */
static int read_row(struct edit *e, struct err *err)
{
	char id[STATE_ID_LEN + 1];
	int r;

	memcpy(id, e->row.id, sizeof(id));
	state_sandbox_release(&e->row);
	r = life_get(e->home, id, &e->row, err);
	if (r == 0)
		r = sandbox_config_read(e->row.config, &e->was, err);
	return r < 0 ? r : sandbox_config_read(e->row.config, &e->now, err);
}

static bool has_deferred(const struct msb_plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->changes[i].effect == MSB_EFFECT_NEXT_START)
			return true;
	return false;
}

/* What the machine runs with, once. */
static int keep_active(const struct edit *e, struct err *err)
{
	int r;

	if (!has_deferred(e->plan) ||
	    faccessat(e->place.dir_fd, MODIFY_ACTIVE_FILE, F_OK,
	              AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	r = file_replace(e->place.dir_fd, MODIFY_ACTIVE_FILE, e->row.config,
	                 strlen(e->row.config), 0600);
	return r < 0 ? err_set(err, r, "cannot write to the folder of %s: %s",
	                       e->row.name, strerror(-r))
	             : 0;
}

/* First the copy beside it, which counts only when state.db is lost. */
static int write_row(struct edit *e, struct err *err)
{
	struct strv labels = e->row.labels;
	struct state *st;
	char *config = sandbox_config_write(&e->now);
	int r;

	if (!config)
		return -ENOMEM;
	free(e->row.config);
	e->row.config = config;
	e->row.labels = e->labels;
	e->labels = labels;
	r = place_write_json(&e->place, &e->row, err);
	if (r == -ENOENT) /* removed, by force */
		return life_no_such(e->row.name, err);
	if (r == 0)
		r = home_lock(e->home, &st, err);
	if (r < 0)
		return r;
	r = state_set_config(st, e->row.id, e->row.config, &e->row.labels, err);
	home_unlock(e->home);
	return r;
}

/* All or nothing: what has begun goes on to its end. */
static int carry_out(struct edit *e, struct err *err)
{
	struct cancel *cleanup_cancel held = cancel_hold();
	int r = keep_active(e, err);

	if (r == 0)
		r = modify_send_secrets(e, err);
	if (r < 0)
		return r;
	r = write_row(e, err);
	if (r < 0 && (e->update.nset || e->update.nremove))
		(void)err_wrap(err, "the machine that runs has the changed "
		                    "secrets, its record has not");
	return r;
}

static int modify(struct edit *e, const char *name, struct err *err)
{
	int r = check_opts(&e->o, err);

	if (r == 0)
		r = life_get(e->home, name, &e->row, err);
	if (r == 0)
		r = place_open(e->home->store, e->row.id, &e->place, err);
	if (r == 0)
		r = take_locks(e, err);
	if (r == 0)
		r = read_row(e, err);
	if (r == 0)
		r = apply(e);
	if (r == 0)
		r = modify_apply_secrets(e, err);
	if (r == 0)
		r = check_result(e, err);
	if (r == 0)
		r = modify_check_secrets(e, err);
	if (r == 0)
		r = make_plan(e);
	if (r == 0)
		r = check_kept(e, err);
	if (r < 0 || e->o.dry_run || e->plan->n == 0)
		return r;
	return carry_out(e, err);
}

int msb_sandbox_modify(struct msb_home *home, const char *name,
                       const struct msb_modify_opts *opts,
                       struct msb_plan **ret_plan, struct msb_error *error)
{
	struct edit cleanup_edit e = {.home = home,
	                              .o = MSB_MODIFY_OPTS_INIT,
	                              .place = PLACE_INIT,
	                              .mutex = -1,
	                              .lock = -1};
	struct err err = {0};
	int r;

	if (!options_take(&e.o, sizeof(e.o), opts))
		return error_set(error, -EINVAL, "msb_modify_opts: wrong size");
	r = modify(&e, name, &err);
	if (r < 0)
		return error_return(error, r, &err);
	if (ret_plan)
		*ret_plan = take_ptr(e.plan);
	return 0;
}

/* ---- what waits ---------------------------------------------------------- */

/* Those of the plan that wait, alone. */
static void keep_deferred(struct msb_plan *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		struct msb_change c = p->changes[i];

		if (c.effect == MSB_EFFECT_NEXT_START) {
			p->changes[i] = p->changes[n];
			p->changes[n++] = c;
		}
	}
	for (size_t i = n; i < p->n; i++)
		change_release(&p->changes[i]);
	p->n = n;
}

static int pending(struct edit *e, const char *name, struct err *err)
{
	struct buf cleanup_buf active = BUF_INIT_MAX(ACTIVE_MAX);
	int r = life_get(e->home, name, &e->row, err);

	if (r < 0)
		return r;
	r = place_open(e->home->store, e->row.id, &e->place, err);
	if (r < 0 && r != -ENOENT)
		return r;
	e->runs = r == 0 && place_is_locked(&e->place);
	e->has_tls = e->runs && place_has_tls(&e->place);
	if (!e->runs ||
	    file_read(e->place.dir_fd, MODIFY_ACTIVE_FILE, &active) < 0)
		(void)buf_adds(&active, e->row.config);
	r = sandbox_config_read(buf_str(&active), &e->was, err);
	if (r == 0)
		r = sandbox_config_read(e->row.config, &e->now, err);
	if (r == 0)
		r = strv_add_all(&e->labels, strv_list(&e->row.labels));
	if (r == 0)
		r = make_plan(e);
	if (r == 0)
		keep_deferred(e->plan);
	return r;
}

int msb_sandbox_pending(struct msb_home *home, const char *name,
                        struct msb_plan **ret_plan, struct msb_error *error)
{
	struct edit cleanup_edit e = {
		.home = home, .place = PLACE_INIT, .mutex = -1, .lock = -1};
	struct err err = {0};
	int r = pending(&e, name, &err);

	if (r < 0)
		return error_return(error, r, &err);
	*ret_plan = take_ptr(e.plan);
	return 0;
}
