/* The sources of a sandbox's mounts, opened for one start of its machine. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/num.h"
#include "lib/disk_open.h"
#include "lib/launch.h"
#include "lib/life.h"
#include "lib/mounts.h"
#include "lib/mounts_user.h"
#include "lib/volume.h"

#include "base/banned.h"

#define TEXT_MAX 200 /* of a path in a message */

static int cannot(const struct msb_mount *m, int r, struct err *err,
                  const char *why)
{
	return err_set(err, r, "cannot mount %.*s at %.*s: %s", TEXT_MAX,
	               m->source, TEXT_MAX, m->target, why);
}

/* ---- folders and files of the host ----------------------------------------
 */

static int not_there(const struct msb_mount *m, struct err *err)
{
	cannot(m, -ENOENT, err, "it does not exist");
	err_hint(err, "nothing is made on the host: make it first, or give "
	              "another path");
	return -ENOENT;
}

static enum file_links links_of(const struct msb_mount *m)
{
	if (m->flags & MSB_MOUNT_NO_LINKS)
		return LINKS_NONE;
	return m->flags & MSB_MOUNT_FOLLOW ? LINKS_ANY : LINKS_ABOVE;
}

static int cannot_open(const struct msb_mount *m, int r, struct err *err)
{
	const enum file_links links = links_of(m);

	cannot(m, r, err, file_open_text(r, links));
	if (r == -ELOOP && links != LINKS_ANY)
		err_hint(err, links == LINKS_NONE
		                      ? "none of its parts may be one: give "
		                        "the path it leads to"
		                      : "give the path it leads to, or the "
		                        "option follow");
	return r;
}

static int wrong_kind(const struct msb_mount *m, mode_t mode, struct err *err)
{
	bool dir = m->kind == MSB_MOUNT_DIR;

	cannot(m, dir ? -ENOTDIR : -EINVAL, err,
	       S_ISREG(mode)   ? "it is a file, not a folder"
	       : S_ISDIR(mode) ? "it is a folder, not a file"
	                       : "it is neither a folder nor a file");
	if (S_ISREG(mode) || S_ISDIR(mode))
		err_hint(err, dir ? "--mount-file takes a file, --mount-disk a "
		                    "disk image"
		                  : "--mount-dir takes a folder");
	return dir ? -ENOTDIR : -EINVAL;
}

/* What its path leads to now, without opening what it is. */
static int find_source(const struct msb_mount *m, struct err *err)
{
	cleanup_close int fd = file_open(m->source, O_PATH, links_of(m));
	struct stat st;

	if (fd == -ENOENT)
		return not_there(m, err);
	if (fd < 0)
		return cannot_open(m, fd, err);
	if (fstat(fd, &st) < 0)
		return cannot(m, -errno, err, strerror(errno));
	if (m->kind == MSB_MOUNT_DISK && S_ISBLK(st.st_mode))
		return take_fd(fd);
	if (m->kind == MSB_MOUNT_DIR ? !S_ISDIR(st.st_mode)
	                             : !S_ISREG(st.st_mode))
		return wrong_kind(m, st.st_mode, err);
	return take_fd(fd);
}

/* ---- what the agent is told -----------------------------------------------
 */

static void add_word(struct buf *b, const char *word)
{
	(void)buf_printf(b, "%s%s", b->len ? "," : "", word);
}

static void add_flags(struct buf *b, const struct msb_mount *m)
{
	static const struct {
		uint32_t flag;
		const char *word;
	} words[] = {
		{MSB_MOUNT_READ_ONLY, "ro"    },
		{MSB_MOUNT_NOEXEC,    "noexec"},
		{MSB_MOUNT_NOSUID,    "nosuid"},
		{MSB_MOUNT_NODEV,     "nodev" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (m->flags & words[i].flag)
			add_word(b, words[i].word);
}

static int tell_agent(struct launch *l, const struct msb_mount *m,
                      const char *kind, const char *source)
{
	struct buf cleanup_buf b = BUF_INIT;
	int r;

	add_flags(&b, m);
	if (strcmp(kind, "disk") == 0)
		(void)buf_printf(&b, "%sfstype=%s", b.len ? "," : "",
		                 m->fstype ? m->fstype : "ext4");
	if (m->kind == MSB_MOUNT_TMPFS && m->size_bytes)
		(void)buf_printf(&b, "%ssize=%llu", b.len ? "," : "",
		                 (unsigned long long)m->size_bytes);
	if (m->kind == MSB_MOUNT_TMPFS)
		(void)buf_printf(&b, "%smode=%o", b.len ? "," : "",
		                 (unsigned)m->mode);
	r = strv_add(&l->mounts, kind);
	if (r == 0)
		r = strv_add(&l->mounts, source);
	if (r == 0)
		r = strv_add(&l->mounts, m->target);
	return r < 0 ? r : strv_add(&l->mounts, buf_str(&b));
}

/* ---- shares ---------------------------------------------------------------
 */

/* Takes the descriptors. */
static int add_share(struct launch *l, const struct msb_mount *m,
                     const struct mounts_user *user, int fd, int usage_fd,
                     uint64_t quota)
{
	struct launch_share *s = launch_add_share(l);

	if (!s) {
		close_fd(&fd);
		close_fd(&usage_fd);
		return -E2BIG;
	}
	s->fd = fd;
	s->usage_fd = usage_fd;
	s->cache = m->cache;
	s->read_only = m->flags & MSB_MOUNT_READ_ONLY;
	s->squash = m->flags & MSB_MOUNT_OWNER;
	s->uid = s->squash ? m->uid : user->uid;
	s->gid = s->squash ? m->gid : user->gid;
	s->quota_bytes = quota;
	return tell_agent(l, m, "share", s->name);
}

static int open_path(struct launch *l, const struct msb_mount *m,
                     const struct mounts_user *user, struct err *err)
{
	int fd = find_source(m, err), r;

	if (fd < 0)
		return fd;
	r = add_share(l, m, user, fd, -1, m->quota_bytes);
	return r < 0 ? cannot(m, r, err, strerror(-r)) : 0;
}

/* ---- disks ----------------------------------------------------------------
 */

#define MORE_DISKS_MAX 4 /* vmm/config.h: disk0 ... disk3 */

/* Those of mounts; root and upper have names of their own. */
static unsigned more_disks(const struct launch *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->ndisks; i++)
		n += strncmp(l->disks[i].serial, "disk", 4) == 0;
	return n;
}

/* Takes @layer's descriptor. */
static int add_disk(struct launch *l, const struct msb_mount *m,
                    struct disk_layer layer, struct err *err)
{
	const unsigned n = more_disks(l);
	struct launch_disk *d;
	char serial[16];
	int r;

	(void)snprintf(serial, sizeof(serial), "disk%u", n);
	d = n < MORE_DISKS_MAX ? launch_add_disk(l, serial) : NULL;
	if (!d) {
		close_fd(&layer.fd);
		return cannot(m, -E2BIG, err,
		              "a sandbox can have 4 disks besides its own");
	}
	d->read_only = m->flags & MSB_MOUNT_READ_ONLY;
	d->layers[0] = layer;
	d->nlayers = 1;
	r = tell_agent(l, m, "disk", serial);
	return r < 0 ? cannot(m, r, err, strerror(-r)) : 0;
}

static struct disk_image image_of(const struct msb_mount *m)
{
	return (struct disk_image){
		.path = m->source,
		.format = m->format,
		.read_only = m->flags & MSB_MOUNT_READ_ONLY,
		.links = links_of(m),
	};
}

static int open_image(struct launch *l, const struct msb_mount *m,
                      struct err *err)
{
	const struct disk_image image = image_of(m);
	struct disk_layer layer = {.fd = -1};
	int r = disk_open_image(&image, &layer, err);

	return r < 0 ? r : add_disk(l, m, layer, err);
}

/* ---- volumes --------------------------------------------------------------
 */

void mounts_must_exist(struct mounts *list)
{
	for (size_t i = 0; i < list->n; i++)
		list->v[i]->flags &= ~(uint32_t)MSB_MOUNT_CREATE;
}

static bool may_create(const struct msb_mount *m)
{
	return m->kind == MSB_MOUNT_NAMED && (m->flags & MSB_MOUNT_CREATE);
}

static const char *const volume_kinds[] = {"folder", "disk"};

/* What was asked for, and what there is. */
static int check_volume(const struct msb_mount *m, const struct volume *v,
                        struct err *err)
{
	char have[32], want[32];

	if (m->volume_kind && m->volume_kind != v->kind) {
		err_set(err, -EEXIST, "volume %s is a %s, not a %s", v->name,
		        volume_kinds[v->kind], volume_kinds[m->volume_kind]);
		err_hint(err, "leave kind out, or take another name");
		return -EEXIST;
	}
	if (m->size_bytes && m->size_bytes != v->size_bytes) {
		err_set(err, -EEXIST, "volume %s is there with %s%s, not %s",
		        v->name, v->size_bytes ? "" : "no quota",
		        v->size_bytes ? num_format_size(v->size_bytes, have,
		                                        sizeof(have))
		                      : "",
		        num_format_size(m->size_bytes, want, sizeof(want)));
		err_hint(err, "a volume's size does not change: leave it out");
		return -EEXIST;
	}
	if (v->kind == MSB_VOLUME_DISK &&
	    (m->quota_bytes || m->cache || (m->flags & MSB_MOUNT_OWNER)))
		return err_set(err, -EINVAL,
		               "volume %s is a disk: quota, cache, uid and gid "
		               "are of folders",
		               v->name);
	return 0;
}

/* 1: there is none, and it may be created. */
static int find_volume(struct store *s, const struct msb_mount *m,
                       struct volume *ret, struct err *err)
{
	struct err why = {0};
	int r = volume_open(s, m->source, ret, &why);

	if (r == -ENOENT && may_create(m))
		return m->volume_kind == MSB_VOLUME_DISK && !m->size_bytes
		               ? err_set(err, -EINVAL,
		                         "a disk volume needs a size: there "
		                         "is no volume %s yet",
		                         m->source)
		               : 1;
	if (r < 0) {
		if (err)
			*err = why;
		return r;
	}
	r = check_volume(m, ret, err);
	if (r < 0)
		volume_release(ret);
	return r;
}

/* Somebody else may make or remove it at the same moment. */
static int get_volume(struct store *s, const struct msb_mount *m,
                      struct volume *ret, struct err *err)
{
	int r = find_volume(s, m, ret, err);

	if (r <= 0)
		return r;
	r = volume_create(s, m->source, m->volume_kind, m->size_bytes, err);
	if (r < 0 && r != -EEXIST)
		return r;
	r = find_volume(s, m, ret, err);
	return r > 0 ? volume_no_such(m->source, err) : r;
}

static int tell_users(struct msb_sandbox *sb, const char *name, int r,
                      struct err *err)
{
	struct strv cleanup_strv users = {0};
	struct buf cleanup_buf b = BUF_INIT;

	if (mounts_volume_users(sb->home, name, true, &users, NULL) < 0)
		return r;
	for (size_t i = 0; i < users.n; i++)
		if (strcmp(users.v[i], sb->name) != 0)
			(void)buf_printf(&b, "%s%s", b.len ? ", " : "",
			                 users.v[i]);
	if (b.len)
		err_set(err, r, "volume %s is a disk, and %s has it mounted",
		        name, buf_str(&b));
	err_hint(err, "one machine at a time has a disk; msb stop ends it");
	return r;
}

/* Of what the volume may have, what this machine may add. */
static uint64_t quota_of(const struct msb_mount *m, const struct volume *v)
{
	uint64_t most;

	if (!m->quota_bytes || !num_add(volume_bytes(v), m->quota_bytes, &most))
		return v->size_bytes;
	return v->size_bytes ? MIN(v->size_bytes, most) : most;
}

/*
 * What no guest gave to anybody is root's in all of them: sandboxes of several
 * users share a volume.
 */
static int add_volume(struct launch *l, const struct msb_mount *m,
                      const struct mounts_user *user, const struct volume *v,
                      struct volume_use *u, struct err *err)
{
	static const struct mounts_user root;
	int r = launch_add_lock(l, take_fd(u->lock_fd));

	if (r < 0)
		return cannot(m, r, err, strerror(-r));
	if (v->kind == MSB_VOLUME_DISK)
		return add_disk(l, m,
		                (struct disk_layer){take_fd(u->fd), DISK_RAW},
		                err);
	if (!(m->flags & MSB_MOUNT_READ_ONLY) && (user->uid || user->gid))
		volume_give(v, user->uid, user->gid);
	r = add_share(l, m, &root, take_fd(u->fd), take_fd(u->usage_fd),
	              quota_of(m, v));
	return r < 0 ? cannot(m, r, err, strerror(-r)) : 0;
}

static int open_volume(struct msb_sandbox *sb, struct launch *l,
                       const struct msb_mount *m,
                       const struct mounts_user *user, struct err *err)
{
	struct volume cleanup_volume v = VOLUME_INIT;
	struct volume_use cleanup_volume_use u = VOLUME_USE_INIT;
	struct store *s = sb->home->store;
	int r = get_volume(s, m, &v, err);

	if (r < 0)
		return r;
	r = volume_use(s, &v, m->flags & MSB_MOUNT_READ_ONLY, &u, err);
	if (r == -EBUSY)
		return tell_users(sb, v.name, r, err);
	return r < 0 ? r : add_volume(l, m, user, &v, &u, err);
}

/* ---- all ------------------------------------------------------------------
 */

static int open_one(struct msb_sandbox *sb, struct launch *l,
                    const struct msb_mount *m, const struct mounts_user *user,
                    struct err *err)
{
	switch ((enum msb_mount_kind)m->kind) {
	case MSB_MOUNT_DIR:
	case MSB_MOUNT_FILE:
		return open_path(l, m, user, err);
	case MSB_MOUNT_NAMED:
		return open_volume(sb, l, m, user, err);
	case MSB_MOUNT_DISK:
		return open_image(l, m, err);
	case MSB_MOUNT_TMPFS:
		return tell_agent(l, m, "tmpfs", "");
	}
	return -EINVAL;
}

/*
 * From now on its format is what it was taken for: the guest may write what it
 * likes to the beginning of its disk.
 */
static int look_at_image(struct msb_mount *m, struct err *err)
{
	const struct disk_image image = image_of(m);
	enum disk_format format;
	int r = disk_look_image(&image, &format, err);

	if (r < 0 || m->format)
		return r;
	m->format = strdup(disk_format_names[format]);
	return m->format ? 0 : -ENOMEM;
}

static int look_at(struct store *s, struct msb_mount *m, struct err *err)
{
	struct volume cleanup_volume v = VOLUME_INIT;
	cleanup_close int fd = -1;
	int r = 0;

	if (m->kind == MSB_MOUNT_NAMED)
		r = find_volume(s, m, &v, err);
	else if (m->kind != MSB_MOUNT_TMPFS)
		r = fd = find_source(m, err);
	if (r >= 0 && m->kind == MSB_MOUNT_DISK)
		r = look_at_image(m, err);
	return r < 0 ? r : 0;
}

int mounts_look(struct msb_home *home, const struct mounts *m, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < m->n && r == 0; i++)
		r = look_at(home->store, m->v[i], err);
	return r;
}

static int by_target(const void *a, const void *b)
{
	const struct msb_mount *const *x = a, *const *y = b;

	return strcmp((*x)->target, (*y)->target);
}

/* As in exec.c: what the sandbox was made with, else the image's. */
static const char *user_of(const struct sandbox_config *c)
{
	return c->user && *c->user ? c->user : c->image.user;
}

int mounts_open(struct msb_sandbox *sb, const struct image *image,
                struct launch *l, struct err *err)
{
	const struct mounts *m = &sb->config.mounts;
	cleanup_free const struct msb_mount **sorted = NULL;
	struct mounts_user user = {0, 0};
	int r = m->n ? mounts_look(sb->home, m, err) : 0;

	if (r < 0 || m->n == 0)
		return r;
	sorted = calloc(m->n, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	memcpy(sorted, m->v, m->n * sizeof(*sorted));
	qsort(sorted, m->n, sizeof(*sorted), by_target);
	mounts_find_user(sb->home->store, image, user_of(&sb->config), &user);
	r = 0;
	for (size_t i = 0; i < m->n && r == 0; i++)
		r = open_one(sb, l, sorted[i], &user, err);
	return r < 0 && err && !err->code
	               ? err_set(err, r, "cannot open a mount: %s",
	                         strerror(-r))
	               : r;
}

/* ---- who mounts a volume --------------------------------------------------
 */

typedef int (*mounter_fn)(void *arg, const char *volume,
                          const struct state_sandbox *row);

/* A record that cannot be read mounts nothing: it cannot be started. */
static int each_mount(const struct state_sandbox *row, mounter_fn fn, void *arg)
{
	struct sandbox_config cleanup_sandbox_config c = {0};
	int r = 0;

	/* Most have none, and to read a record is not cheap. */
	if (!strstr(row->config, "\"mounts\"") ||
	    sandbox_config_read(row->config, &c, NULL) < 0)
		return 0;
	for (size_t i = 0; i < c.mounts.n && r == 0; i++)
		if (c.mounts.v[i]->kind == MSB_MOUNT_NAMED)
			r = fn(arg, c.mounts.v[i]->source, row);
	return r;
}

static int each_mounter(struct msb_home *home, mounter_fn fn, void *arg,
                        struct err *err)
{
	struct state_sandbox *list = NULL;
	struct state *st;
	size_t n = 0;
	int r = home_lock(home, &st, err);

	if (r < 0)
		return r;
	r = state_list(st, NULL, &list, &n, err);
	home_unlock(home);
	for (size_t i = 0; i < n && r == 0; i++)
		r = each_mount(&list[i], fn, arg);
	state_list_free(list, n);
	return r;
}

struct pairs {
	void (*fn)(void *arg, const char *volume, const char *sandbox);
	void *arg;
};

static int give_pair(void *arg, const char *volume,
                     const struct state_sandbox *row)
{
	const struct pairs *p = arg;

	p->fn(p->arg, volume, row->name);
	return 0;
}

int mounts_each_volume(struct msb_home *home,
                       void (*fn)(void *arg, const char *volume,
                                  const char *sandbox),
                       void *arg, struct err *err)
{
	struct pairs p = {fn, arg};

	return each_mounter(home, give_pair, &p, err);
}

struct wanted {
	const struct store *store;
	const char *name;
	bool running;
	struct strv *ret;
};

static bool runs(const struct store *s, const char *id)
{
	struct place cleanup_place p = PLACE_INIT;

	return place_open(s, id, &p, NULL) == 0 && place_is_locked(&p);
}

static int add_user(void *arg, const char *volume,
                    const struct state_sandbox *row)
{
	const struct wanted *w = arg;
	bool last =
		w->ret->n && strcmp(w->ret->v[w->ret->n - 1], row->name) == 0;

	if (last || strcmp(volume, w->name) != 0 ||
	    (w->running && !runs(w->store, row->id)))
		return 0;
	return strv_add(w->ret, row->name);
}

int mounts_volume_users(struct msb_home *home, const char *name, bool running,
                        struct strv *ret, struct err *err)
{
	struct wanted w = {home->store, name, running, ret};

	return each_mounter(home, add_user, &w, err);
}
