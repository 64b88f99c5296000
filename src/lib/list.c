/*
 * What is on record, as programs and people see it. An info owns its row and
 * its configuration: all its strings live there. In a list, those that were
 * made alike share one configuration: to parse each is most of what a long
 * list costs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/num.h"
#include "lib/error.h"
#include "lib/life.h"
#include "lib/walls.h"

#include "base/banned.h"

#define MS_PER_S   1000
#define INSPECT_MS 500

struct inspection {
	struct msb_sandbox_info info; /* first */
	struct state_sandbox row;
	struct sandbox_config own;
	const struct sandbox_config *config; /* own, or another's of the list */
	struct strv walls, scripts;
};

#define RECENT 16

struct msb_sandbox_list {
	struct inspection *v;
	size_t n;
	/* those that parsed theirs, in turn; while it is filled */
	const struct inspection *recent[RECENT];
	size_t parsed;
};

const char *msb_state_name(int32_t state)
{
	static const char *const names[] = {
		[MSB_STATE_STARTING] = "starting",
		[MSB_STATE_READY] = "running",
		[MSB_STATE_FAILED] = "failed",
		[MSB_STATE_STOPPED] = "stopped",
		[MSB_STATE_CREATED] = "created",
		[MSB_STATE_CRASHED] = "crashed",
	};

	return state >= 0 && state < (int32_t)ARRAY_SIZE(names) ? names[state]
	                                                        : "unknown";
}

static void release(struct inspection *x)
{
	state_sandbox_release(&x->row);
	sandbox_config_release(&x->own);
	strv_release(&x->walls);
	strv_release(&x->scripts);
}

void msb_sandbox_info_free(struct msb_sandbox_info *info)
{
	struct inspection *x = (void *)info;

	_Static_assert(offsetof(struct inspection, info) == 0, "it is first");
	if (x)
		release(x);
	free(x);
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static const char *const *list(const struct strv *s)
{
	return (const char *const *)strv_list(s);
}

static uint64_t time_ms(int64_t ms)
{
	return ms > 0 ? (uint64_t)ms : 0;
}

static void fill_row(struct msb_sandbox_info *i, const struct state_sandbox *b)
{
	i->name = b->name;
	i->id = b->id;
	i->image = b->image;
	i->image_id = b->image_id;
	i->engine = b->engine;
	i->accel = b->accel;
	i->labels = list(&b->labels);
	i->end_reason = b->end_reason;
	i->end_message = b->end_message;
	i->exit_code = b->exit_code;
	i->created_ms = time_ms(b->created_ms);
	i->started_ms = time_ms(b->started_ms);
	i->ready_ms = time_ms(b->ready_ms);
	i->ended_ms = time_ms(b->ended_ms);
	i->created_unix = b->created_ms / MS_PER_S;
	i->started_unix = b->started_ms / MS_PER_S;
	i->ended_unix = b->ended_ms / MS_PER_S;
	i->flags = (b->ephemeral ? 0u : (uint32_t)MSB_SANDBOX_KEEP) |
	           (b->detached ? (uint32_t)MSB_SANDBOX_DETACHED : 0u);
}

static const struct msb_mount *const no_mounts[] = {NULL};

static void fill_config(struct msb_sandbox_info *i,
                        const struct sandbox_config *c)
{
	i->cpus = c->cpus;
	i->memory_bytes = c->memory_bytes;
	i->upper_bytes = c->upper_bytes;
	i->max_duration_s = c->max_duration_s;
	i->idle_timeout_s = c->idle_timeout_s;
	i->hostname = or_empty(c->hostname);
	i->workdir = or_empty(c->workdir);
	i->user = or_empty(c->user);
	i->entrypoint = or_empty(c->entrypoint);
	i->shell = or_empty(c->shell);
	i->init = or_empty(c->init);
	i->env = list(&c->env);
	i->rlimits = list(&c->rlimits);
	i->command = list(&c->command);
	i->patches = list(&c->patches);
	i->network = &c->network;
	i->secrets = secrets_get(&c->secrets);
	i->tls = &c->tls;
	i->mounts = c->mounts.n ? (const struct msb_mount *const *)c->mounts.v
	                        : no_mounts;
}

static int name_scripts(struct inspection *x)
{
	int r = 0;

	for (size_t k = 0; k < x->config->scripts.n && r == 0; k++)
		r = strv_addn(&x->scripts, x->config->scripts.v[k],
		              strcspn(x->config->scripts.v[k], "="));
	return r;
}

/*
 * Takes the row. A record that cannot be read shows what the row says. @like
 * (may be NULL) has the same configuration, and lives as long.
 */
static int fill(struct inspection *x, struct state_sandbox *row, bool locked,
                const struct inspection *like)
{
	int r = 0;

	x->row = *row;
	*row = (struct state_sandbox){0};
	x->config = like ? like->config : &x->own;
	if (!like)
		r = sandbox_config_read(x->row.config, &x->own, NULL);
	if (r == 0)
		r = name_scripts(x);
	if (r == -ENOMEM)
		return r;
	fill_row(&x->info, &x->row);
	fill_config(&x->info, x->config);
	x->info.scripts = list(&x->scripts);
	x->info.state = life_state(&x->row, locked);
	x->info.pid = locked ? x->row.pid : 0;
	x->info.walls = list(&x->walls);
	x->info.boundary = ""; /* ask_machine() */
	return 0;
}

static bool is_locked(const struct store *s, const char *id)
{
	struct place cleanup_place p = PLACE_INIT;

	return place_open(s, id, &p, NULL) == 0 && place_is_locked(&p);
}

/* ---- one ----------------------------------------------------------------- */

/* The process that started it, for people: 0 when it cannot be told. */
static int64_t parent_of(int64_t pid)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(1024);
	long long parent = 0;
	char path[64];
	const char *at;

	(void)snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid);
	if (pid <= 0 || file_read(AT_FDCWD, path, &b) < 0)
		return 0;
	at = strrchr(buf_str(&b), ')');
	if (!at || sscanf(at + 1, " %*c %lld", &parent) != 1)
		return 0;
	return parent;
}

/* What only msb-vmm knows; it tells whoever joins. */
static void ask_machine(struct msb_home *home, struct inspection *x)
{
	struct msb_sandbox *sb = NULL;

	if (msb_sandbox_open(home, x->row.id, &sb, NULL) < 0)
		return;
	if (x->info.state == MSB_STATE_READY)
		(void)msb_sandbox_wait_ready(sb, INSPECT_MS, NULL);
	(void)strv_add_all(&x->walls, strv_list(&sb->machine.walls));
	msb_sandbox_free(sb);
	x->info.walls = list(&x->walls);
	x->info.boundary = walls_boundary(x->info.accel, x->info.walls);
}

static int inspect(struct msb_home *home, const char *name,
                   struct inspection *x, struct err *err)
{
	struct state_sandbox cleanup_state_sandbox row = {0};
	struct place cleanup_place p = PLACE_INIT;
	bool locked;
	int r = life_get(home, name, &row, err);

	if (r < 0)
		return r;
	r = place_open(home->store, row.id, &p, NULL);
	locked = r == 0 && place_is_locked(&p);
	if (r == 0)
		x->info.disk_bytes = place_disk_bytes(&p);
	r = fill(x, &row, locked, NULL);
	if (r == 0 && locked)
		ask_machine(home, x);
	if (r == 0 && locked && !x->row.detached)
		x->info.owner_pid = parent_of(x->row.pid);
	return r;
}

int msb_sandbox_inspect(struct msb_home *home, const char *name,
                        struct msb_sandbox_info **ret_info,
                        struct msb_error *error)
{
	struct inspection *x = calloc(1, sizeof(*x));
	struct err err = {0};
	int r = x ? inspect(home, name, x, &err) : -ENOMEM;

	if (r < 0) {
		if (x)
			release(x);
		free(x);
		return error_return(error, r, &err);
	}
	*ret_info = &x->info;
	return 0;
}

/* ---- all ----------------------------------------------------------------- */

/* The ids of all rows, sorted. */
struct known {
	const char **ids;
	size_t n;
};

static int by_id(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_known(void *arg, const char *id)
{
	const struct known *k = arg;

	return bsearch(&id, k->ids, k->n, sizeof(*k->ids), by_id) != NULL;
}

static void sweep(struct msb_home *home, const struct state_sandbox *rows,
                  size_t n)
{
	struct known k = {calloc(n + 1, sizeof(char *)), n};

	if (!k.ids)
		return; /* another time */
	for (size_t i = 0; i < n; i++)
		k.ids[i] = rows[i].id;
	qsort(k.ids, n, sizeof(*k.ids), by_id);
	(void)place_sweep(home->store, is_known, &k);
	free(k.ids);
}

static int read_rows(struct msb_home *home, const char *const *labels,
                     struct state_sandbox **ret, size_t *ret_n, struct err *err)
{
	struct strv cleanup_strv filter = {0};
	struct state *st;
	int r = strv_add_all(&filter, (char *const *)(uintptr_t)labels);

	if (r < 0)
		return r;
	r = home_lock(home, &st, err);
	if (r < 0)
		return r;
	r = state_list(st, &filter, ret, ret_n, err);
	home_unlock(home);
	return r;
}

static const struct inspection *find_like(const struct msb_sandbox_list *l,
                                          const char *config)
{
	for (size_t i = 0; i < MIN(l->parsed, (size_t)RECENT); i++)
		if (strcmp(l->recent[i]->row.config, config) == 0)
			return l->recent[i];
	return NULL;
}

static int fill_list(struct msb_home *home, struct msb_sandbox_list *l,
                     struct state_sandbox *rows, size_t n)
{
	int r = 0;

	l->v = calloc(n + 1, sizeof(*l->v));
	if (!l->v)
		return -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++) {
		bool live = rows[i].started_ms && !rows[i].ended_ms;
		const struct inspection *like = find_like(l, rows[i].config);

		r = fill(&l->v[i], &rows[i],
		         live && is_locked(home->store, rows[i].id), like);
		if (!like)
			l->recent[l->parsed++ % RECENT] = &l->v[i];
		l->n++;
	}
	return r;
}

int msb_sandbox_list(struct msb_home *home, const char *const *labels,
                     struct msb_sandbox_list **ret_list,
                     struct msb_error *error)
{
	struct msb_sandbox_list *l = calloc(1, sizeof(*l));
	struct state_sandbox *rows = NULL;
	struct err err = {0};
	size_t n = 0;
	int r = l ? 0 : -ENOMEM;

	if (r == 0)
		life_reap(home);
	if (r == 0)
		r = read_rows(home, labels, &rows, &n, &err);
	if (r == 0 && (!labels || !*labels))
		sweep(home, rows, n);
	if (r == 0)
		r = fill_list(home, l, rows, n);
	state_list_free(rows, n);
	if (r < 0) {
		msb_sandbox_list_free(l);
		return error_return(error, r, &err);
	}
	*ret_list = l;
	return 0;
}

void msb_sandbox_list_free(struct msb_sandbox_list *l)
{
	for (size_t i = 0; l && i < l->n; i++)
		release(&l->v[i]);
	if (l)
		free(l->v);
	free(l);
}

size_t msb_sandbox_list_count(const struct msb_sandbox_list *l)
{
	return l->n;
}

const struct msb_sandbox_info *
msb_sandbox_list_get(const struct msb_sandbox_list *l, size_t i)
{
	return i < l->n ? &l->v[i].info : NULL;
}
