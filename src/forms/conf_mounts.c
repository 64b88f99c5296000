/*
 * The mounts of a configuration file: each a text as --volume takes it, or a
 * map that says one of bind, named, tmpfs and disk, and the target.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "forms/conf_int.h"

#include "base/banned.h"

/* What one entry of the list says. */
struct entry {
	char *bind, *named, *disk, *target;
	bool tmpfs;
	char *create, *kind, *cache, *format, *fstype;
	char *stat_virtualization, *host_permissions;
	bool readonly, noexec, nosuid, nodev, follow;
	uint64_t size, quota;
	uint32_t uid, gid, mode;
	bool has_uid, has_gid, has_quota;
};

static void entry_release(struct entry *e)
{
	char *const texts[] = {e->bind,
	                       e->named,
	                       e->disk,
	                       e->target,
	                       e->create,
	                       e->kind,
	                       e->cache,
	                       e->format,
	                       e->fstype,
	                       e->stat_virtualization,
	                       e->host_permissions};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(texts[i]);
}

#define AT(f) offsetof(struct entry, f)
#define KEY(n, s, f)                                                           \
	{                                                                      \
		.name = (n), .set = (s), .offset = AT(f), .scopes = CONF_ALL   \
	}
#define KEY_FLAG(n, s, f, has)                                                 \
	{                                                                      \
		.name = (n), .set = (s), .offset = AT(f), .scopes = CONF_ALL,  \
		.flag = AT(has)                                                \
	}

/* As of patches: text, since 0755 is one number to YAML 1.1, another to 1.2. */
static int set_mode(struct conf_source *s, const struct conf_field *f,
                    const struct ytree_node *n)
{
	struct buf cleanup_buf b = CONF_VALUE_INIT;
	int r = conf_value(s, n, &b);

	if (r < 0)
		return r;
	if (n->plain || patch_parse_mode(buf_str(&b), conf_member(s, f)) < 0) {
		CONF_WRONG(s, n, "%s is not four octal digits in quotes",
		           f->name);
		err_hint(s->err, "for example \"1777\"");
		return -EINVAL;
	}
	return 0;
}

static const struct conf_field tmpfs_keys[] = {
	KEY("size", conf_set_size, size),
	KEY("mode", set_mode, mode),
	{0},
};

static int set_tmpfs(struct conf_source *s, const struct conf_field *f,
                     const struct ytree_node *n)
{
	*(bool *)conf_member(s, f) = true;
	return conf_map(s, tmpfs_keys, CONF_ALL, n);
}

static const struct conf_field keys[] = {
	KEY("bind", conf_set_path, bind),
	KEY("named", conf_set_text, named),
	KEY("tmpfs", set_tmpfs, tmpfs),
	KEY("disk", conf_set_path, disk),
	KEY("target", conf_set_text, target),
	KEY("create", conf_set_text, create),
	KEY("kind", conf_set_text, kind),
	KEY("size", conf_set_size, size),
	KEY_FLAG("quota", conf_set_size, quota, has_quota),
	KEY("format", conf_set_text, format),
	KEY("fstype", conf_set_text, fstype),
	KEY("readonly", conf_set_bool, readonly),
	KEY("noexec", conf_set_bool, noexec),
	KEY("nosuid", conf_set_bool, nosuid),
	KEY("nodev", conf_set_bool, nodev),
	KEY("follow", conf_set_bool, follow),
	KEY("cache", conf_set_text, cache),
	KEY_FLAG("uid", conf_set_id, uid, has_uid),
	KEY_FLAG("gid", conf_set_id, gid, has_gid),
	KEY("stat_virtualization", conf_set_text, stat_virtualization),
	KEY("host_permissions", conf_set_text, host_permissions),
	{0},
};

/* ---- words ----------------------------------------------------------------
 */

/* The index of @text (NULL: 0) in @list, or -EINVAL. */
static int choose(struct conf_source *s, const struct ytree_node *n,
                  const char *key, const char *text, const char *const *list)
{
	struct buf cleanup_buf all = BUF_INIT;

	for (int i = 0; list[i]; i++) {
		if (!text || strcmp(text, list[i]) == 0)
			return i;
		(void)buf_printf(&all, "%s%s", i ? ", " : "", list[i]);
	}
	CONF_WRONG(s, n, "%s: '%s' is not known", key, text);
	err_hint(s->err, "one of: %s", buf_str(&all));
	return -EINVAL;
}

/* Words of the Rust msb: see mount_opts.c. */
static int check_words(struct conf_source *s, const struct ytree_node *n,
                       const struct entry *e)
{
	static const char *const strict[] = {"strict", NULL};
	static const char *const mirror[] = {"mirror", NULL};
	int r = choose(s, n, "stat_virtualization", e->stat_virtualization,
	               strict);

	return r < 0 ? r
	             : choose(s, n, "host_permissions", e->host_permissions,
	                      mirror);
}

static int take_create(struct conf_source *s, const struct ytree_node *n,
                       const struct entry *e, struct msb_mount *m)
{
	static const char *const names[] = {"ensure-exists", "existing", NULL};
	int i;

	if (e->create && m->kind != MSB_MOUNT_NAMED)
		return CONF_WRONG(s, n, "create is of volumes");
	if (e->create && strcmp(e->create, "create") == 0) {
		CONF_WRONG(s, n, "create: create is not here");
		err_hint(s->err, "it would fail at the second start; msb "
		                 "volume create makes one beforehand");
		return -EINVAL;
	}
	i = choose(s, n, "create", e->create, names);
	if (i == 0 && m->kind == MSB_MOUNT_NAMED)
		m->flags |= MSB_MOUNT_CREATE;
	return i < 0 ? i : 0;
}

static int take_choices(struct conf_source *s, const struct ytree_node *n,
                        const struct entry *e, struct msb_mount *m)
{
	static const char *const caches[] = {"auto", "always", "none", NULL};
	static const char *const kinds[] = {"dir", "disk", NULL};
	int r = take_create(s, n, e, m), cache, kind;

	if (r == 0)
		r = check_words(s, n, e);
	if (r < 0)
		return r;
	cache = choose(s, n, "cache", e->cache, caches);
	kind = cache < 0 ? cache : choose(s, n, "kind", e->kind, kinds);
	if (kind < 0)
		return kind;
	m->cache = cache;
	m->volume_kind = kind;
	return 0;
}

/* ---- entries --------------------------------------------------------------
 */

static int take_source(struct conf_source *s, const struct ytree_node *n,
                       const struct entry *e, struct msb_mount *m)
{
	const struct {
		bool said;
		int32_t kind;
		const char *source;
	} sources[] = {
		{e->bind,  0,               e->bind },
		{e->named, MSB_MOUNT_NAMED, e->named},
		{e->tmpfs, MSB_MOUNT_TMPFS, NULL    },
		{e->disk,  MSB_MOUNT_DISK,  e->disk },
	};
	int said = 0, r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		if (!sources[i].said)
			continue;
		said++;
		m->kind = sources[i].kind;
		if (sources[i].source)
			r = mount_opts_text(&m->source, sources[i].source);
	}
	if (said != 1)
		return CONF_WRONG(s, n,
		                  "a mount needs one of bind, named, tmpfs and "
		                  "disk");
	if (!e->target || *e->target != '/')
		return CONF_WRONG(s, n,
		                  "a mount needs a target, an absolute "
		                  "path");
	if (r == 0)
		r = mount_opts_text(&m->target, e->target);
	if (r == 0 && !m->kind)
		m->kind = mount_opts_path_kind(m->source);
	return r < 0 ? conf_no_memory(s) : 0;
}

static void take_flags(const struct entry *e, struct msb_mount *m)
{
	const struct {
		bool set;
		uint32_t flag;
	} flags[] = {
		{e->readonly,              MSB_MOUNT_READ_ONLY},
		{e->noexec,                MSB_MOUNT_NOEXEC   },
		{e->nosuid,                MSB_MOUNT_NOSUID   },
		{e->nodev,                 MSB_MOUNT_NODEV    },
		{e->follow,                MSB_MOUNT_FOLLOW   },
		{e->has_uid && e->has_gid, MSB_MOUNT_OWNER    },
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].set)
			m->flags |= flags[i].flag;
}

static int take_numbers(struct conf_source *s, const struct ytree_node *n,
                        const struct entry *e, struct msb_mount *m)
{
	bool named = m->kind == MSB_MOUNT_NAMED;

	if (e->has_uid != e->has_gid)
		return CONF_WRONG(s, n, "uid and gid are given together");
	if (named && e->has_quota && e->size)
		return CONF_WRONG(s, n, "quota and size: one of them");
	m->uid = e->uid;
	m->gid = e->gid;
	m->mode = e->mode;
	/* Of a volume it is the volume's. */
	m->size_bytes = named && e->has_quota ? e->quota : e->size;
	m->quota_bytes = named ? 0 : e->quota;
	if (e->format && mount_opts_text(&m->format, e->format) < 0)
		return conf_no_memory(s);
	if (e->fstype && mount_opts_text(&m->fstype, e->fstype) < 0)
		return conf_no_memory(s);
	return 0;
}

/* What contradicts each other the library says, when all is known. */
static int add_map(struct conf_source *s, const struct ytree_node *n,
                   struct mount_opts *to)
{
	struct entry cleanup(entry_release) e = {0};
	struct conf_source in = *s;
	struct msb_mount *m;
	int r;

	in.base = &e;
	r = conf_map(&in, keys, CONF_ALL, n);
	if (r < 0)
		return r;
	m = mount_opts_new(to);
	if (!m)
		return conf_no_memory(s);
	r = take_source(s, n, &e, m);
	if (r < 0)
		return r;
	take_flags(&e, m);
	r = take_choices(s, n, &e, m);
	return r < 0 ? r : take_numbers(s, n, &e, m);
}

/* A relative source begins at the file. */
static int add_text(struct conf_source *s, const struct ytree_node *n,
                    struct mount_opts *to)
{
	static const struct conf_field field = {
		.name = "a mount", .set = conf_set_text, .scopes = CONF_ALL};
	struct conf_source in = *s;
	struct err err = {0};
	char *text = NULL;
	int r;

	in.base = &text;
	r = conf_set_text(&in, &field, n);
	if (r == 0 && *text == '.')
		r = conf_set_path(&in, &field, n);
	if (r == 0)
		r = mount_opts_add(to, "volume", text, &err);
	free(text);
	if (err.code) {
		CONF_WRONG(s, n, "%s",
		           err.msg + (strncmp(err.msg, "--volume: ", 10) == 0
		                              ? 10
		                              : 0));
		if (*err.hint)
			err_hint(s->err, "%s", err.hint);
	}
	return r;
}

int conf_set_mounts(struct conf_source *s, const struct conf_field *f,
                    const struct ytree_node *n)
{
	struct mount_opts *to = conf_member(s, f);
	int r = conf_expect(s, n, YTREE_LIST);

	if (r == 0)
		mount_opts_release(to);
	for (const struct ytree_node *c = n->child; c && r == 0; c = c->next)
		r = c->kind == YTREE_SCALAR ? add_text(s, c, to)
		                            : add_map(s, c, to);
	return r;
}
