#include "lib/mounts.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/num.h"
#include "lib/options.h"
#include "lib/record.h"
#include "lib/volume.h"

#include "base/banned.h"

#define FSTYPE_MAX 31

static const char *const kind_names[] = {
	[MSB_MOUNT_DIR] = "dir",     [MSB_MOUNT_FILE] = "file",
	[MSB_MOUNT_NAMED] = "named", [MSB_MOUNT_DISK] = "disk",
	[MSB_MOUNT_TMPFS] = "tmpfs",
};

const char *mounts_kind_name(int32_t kind)
{
	return kind > 0 && (size_t)kind < ARRAY_SIZE(kind_names)
	               ? kind_names[kind]
	               : NULL;
}

static bool is_kind(const struct msb_mount *m, unsigned kinds)
{
	return kinds >> m->kind & 1;
}

#define DIR   (1u << MSB_MOUNT_DIR)
#define FILE_ (1u << MSB_MOUNT_FILE)
#define NAMED (1u << MSB_MOUNT_NAMED)
#define DISK  (1u << MSB_MOUNT_DISK)
#define TMPFS (1u << MSB_MOUNT_TMPFS)
#define ANY   (DIR | FILE_ | NAMED | DISK | TMPFS)

/* ---- paths ----------------------------------------------------------------
 */

/*
 * A path without what means nothing. ".." is kept or, in a target, refused
 * before: it means something where there are links.
 */
static char *tidy(const char *path)
{
	char *out = strdup(path), *to = out;

	if (!out)
		return NULL;
	for (const char *p = path; *p;) {
		size_t len;

		p += strspn(p, "/");
		len = strcspn(p, "/");
		if (len && !(len == 1 && *p == '.')) {
			*to++ = '/';
			memmove(to, p, len);
			to += len;
		}
		p += len;
	}
	if (to == out)
		*to++ = '/';
	*to = '\0';
	return out;
}

static bool has_part(const char *path, const char *part)
{
	size_t want = strlen(part);

	for (const char *p = path; *p;) {
		size_t len = strcspn(p, "/");

		if (len == want && strncmp(p, part, len) == 0)
			return true;
		p += len + (p[len] == '/');
	}
	return false;
}

static bool is_in(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 &&
	       (path[len] == '\0' || path[len] == '/');
}

static bool is_utf8(const char *s)
{
	json_t *cleanup_json j = json_string(s);

	return j;
}

static int bad_target(const char *target, const char *why, struct err *err)
{
	return err_set(err, -EINVAL, "nothing can be mounted at '%.200s': %s",
	               target, why);
}

/* What the machine itself has there, and the agent needs. */
static int check_place(const char *tidied, struct err *err)
{
	static const char *const ours[] = {"/proc", "/sys", "/dev", "/.msb"};

	if (strcmp(tidied, "/") == 0)
		return bad_target(tidied, "it is the root", err);
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (is_in(tidied, ours[i]))
			return bad_target(tidied, "that is the machine's own",
			                  err);
	return 0;
}

static int check_target(const char *target, struct err *err)
{
	cleanup_free char *tidied = NULL;

	if (!target || *target != '/')
		return bad_target(target ? target : "",
		                  "it is not an absolute path", err);
	if (strlen(target) >= PATH_MAX)
		return bad_target(target, "it is too long", err);
	if (has_part(target, ".."))
		return bad_target(target, "it has a ..", err);
	if (!is_utf8(target))
		return bad_target("...", "it is not UTF-8 text", err);
	tidied = tidy(target);
	return tidied ? check_place(tidied, err)
	              : err_set(err, -ENOMEM, "out of memory");
}

/* ---- check ----------------------------------------------------------------
 */

static int wrong(const struct msb_mount *m, struct err *err, const char *what)
{
	return err_set(err, -EINVAL, "mount at %.200s: %s", m->target, what);
}

/* What is set must mean something for the kind. */
static int check_kinds(const struct msb_mount *m, struct err *err)
{
	const bool make = m->flags & MSB_MOUNT_CREATE;
	const struct {
		bool set;
		unsigned kinds;
		const char *what;
	} rules[] = {
		{m->flags & MSB_MOUNT_OWNER,    DIR | FILE_ | NAMED,
	         "uid and gid are of folders, files and volumes"                                                  },
		{m->flags & MSB_MOUNT_CREATE,   NAMED,
	         "only volumes are created"								       },
		{m->flags & MSB_MOUNT_FOLLOW,   DIR | FILE_ | DISK,
	         "only a source on the host may be a symbolic link"                                               },
		{m->flags & MSB_MOUNT_NO_LINKS, DIR | FILE_ | DISK,
	         "only a source on the host has a path"							   },
		{m->cache != MSB_CACHE_AUTO,    DIR | FILE_ | NAMED,
	         "a cache mode is of folders, files and volumes"                                                  },
		{m->quota_bytes,                DIR | FILE_ | NAMED,
	         "a quota is of folders, files and volumes"                                                       },
		{m->size_bytes,                 TMPFS | (make ? NAMED : 0),
	         "a size is of tmpfs, and of volumes that may be created"                                         },
		{m->mode,                       TMPFS,                      "a mode is of tmpfs"                  },
		{m->volume_kind,                make ? NAMED : 0,
	         "a volume's kind is of volumes that may be created"                                              },
		{m->format,                     DISK,                       "a format is of disk images"          },
		{m->fstype,                     DISK,                       "a file system type is of disk images"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i].set && !is_kind(m, rules[i].kinds))
			return wrong(m, err, rules[i].what);
	return 0;
}

static bool is_word(const char *s)
{
	size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return len && len <= FSTYPE_MAX && s[len] == '\0';
}

static int check_values(const struct msb_mount *m, struct err *err)
{
	const uint32_t known = MSB_MOUNT_READ_ONLY | MSB_MOUNT_NOEXEC |
	                       MSB_MOUNT_NOSUID | MSB_MOUNT_NODEV |
	                       MSB_MOUNT_OWNER | MSB_MOUNT_CREATE |
	                       MSB_MOUNT_FOLLOW | MSB_MOUNT_NO_LINKS;
	const uint32_t both = MSB_MOUNT_FOLLOW | MSB_MOUNT_NO_LINKS;

	if (m->flags & ~known)
		return wrong(m, err, "there is no such flag");
	if ((m->flags & both) == both)
		return wrong(m, err, "links are followed, or refused");
	if (m->cache < MSB_CACHE_AUTO || m->cache > MSB_CACHE_NONE)
		return wrong(m, err, "there is no such cache mode");
	if ((m->uid || m->gid) && !(m->flags & MSB_MOUNT_OWNER))
		return wrong(m, err, "uid and gid are given, but not the flag");
	if (m->uid == UINT32_MAX || m->gid == UINT32_MAX)
		return wrong(m, err, "nobody has the uid or gid 4294967295");
	if (m->mode > 07777)
		return wrong(m, err, "the mode is not one");
	if (m->quota_bytes > INT64_MAX || m->size_bytes > INT64_MAX)
		return wrong(m, err, "the size is too large");
	if (m->format && strcmp(m->format, "raw") != 0 &&
	    strcmp(m->format, "qcow2") != 0)
		return wrong(m, err, "a disk image is raw or qcow2");
	if (m->fstype && !is_word(m->fstype))
		return wrong(m, err, "that is no file system type");
	return 0;
}

static int check_source(const struct msb_mount *m, struct err *err)
{
	bool none = !m->source || !*m->source;
	int r;

	if (m->kind == MSB_MOUNT_TMPFS)
		return none ? 0 : wrong(m, err, "a tmpfs has no source");
	if (none)
		return wrong(m, err, "the source is missing");
	if (strlen(m->source) >= PATH_MAX)
		return wrong(m, err, "the source's path is too long");
	if (m->kind != MSB_MOUNT_NAMED)
		return 0;
	/* A disk that exists needs no size. */
	r = volume_check(m->source, m->volume_kind,
	                 m->volume_kind && !m->size_bytes ? VOLUME_DISK_MIN
	                                                  : m->size_bytes,
	                 err);
	return r < 0 ? err_wrap(err, "mount at %.200s", m->target) : 0;
}

static int check_one(const struct msb_mount *m, struct err *err)
{
	int r = check_target(m->target, err);

	if (r == 0 && !mounts_kind_name(m->kind))
		r = wrong(m, err, "there is no such kind of mount");
	if (r == 0)
		r = check_kinds(m, err);
	if (r == 0)
		r = check_values(m, err);
	return r < 0 ? r : check_source(m, err);
}

void mounts_refuse_links(struct mounts *list)
{
	for (size_t i = 0; i < list->n; i++) {
		struct msb_mount *m = list->v[i];

		if (!is_kind(m, DIR | FILE_ | DISK))
			continue;
		m->flags &= ~(uint32_t)MSB_MOUNT_FOLLOW;
		m->flags |= MSB_MOUNT_NO_LINKS;
	}
}

/* A caller's struct, of whatever version. */
static int take_given(const struct msb_mount *from, struct msb_mount *ret)
{
	*ret = (struct msb_mount)MSB_MOUNT_INIT;
	return options_take(ret, sizeof(*ret), from) ? 0 : -EINVAL;
}

static int check_twice(const struct mounts *m, struct err *err)
{
	for (size_t i = 0; i < m->n; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(m->v[i]->target, m->v[k]->target) == 0)
				return err_set(err, -EINVAL,
				               "two mounts at %.200s",
				               m->v[i]->target);
	return 0;
}

int mounts_check(const struct msb_mount *const *list, struct err *err)
{
	struct mounts cleanup_mounts taken = {0};
	int r = 0;

	for (size_t n = 0; list && list[n] && r == 0; n++) {
		struct msb_mount m;

		if (n == MSB_MOUNTS_MAX)
			return err_set(err, -E2BIG,
			               "too many mounts: at most %d",
			               MSB_MOUNTS_MAX);
		if (take_given(list[n], &m) < 0)
			return err_set(err, -EINVAL, "msb_mount: wrong size");
		r = check_one(&m, err);
	}
	if (r == 0)
		r = mounts_take(&taken, list);
	if (r < 0)
		return err && err->code
		               ? r
		               : err_set(err, r, "mounts: %s", strerror(-r));
	return check_twice(&taken, err);
}

/* ---- copies ---------------------------------------------------------------
 */

static void free_one(struct msb_mount *m)
{
	if (!m)
		return;
	free((char *)(uintptr_t)m->source);
	free((char *)(uintptr_t)m->target);
	free((char *)(uintptr_t)m->format);
	free((char *)(uintptr_t)m->fstype);
	free(m);
}

void mounts_release(struct mounts *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++)
		free_one(m->v[i]);
	free(m->v);
	*m = (struct mounts){0};
}

/* Takes @one, also on failure. */
static int append(struct mounts *m, struct msb_mount *one)
{
	struct msb_mount **v =
		one ? reallocarray(m->v, m->n + 2, sizeof(*v)) : NULL;

	if (!v) {
		free_one(one);
		return -ENOMEM;
	}
	m->v = v;
	v[m->n++] = one;
	v[m->n] = NULL;
	return 0;
}

static int copy_text(const char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

static int copy_source(const struct msb_mount *from, const char **to)
{
	cleanup_free char *cwd = NULL;
	struct buf cleanup_buf b = BUF_INIT;

	if (from->kind == MSB_MOUNT_NAMED || from->kind == MSB_MOUNT_TMPFS)
		return from->kind == MSB_MOUNT_TMPFS
		               ? 0
		               : copy_text(to, from->source);
	if (*from->source != '/') {
		cwd = getcwd(NULL, 0);
		if (!cwd)
			return -errno;
	}
	if (buf_printf(&b, "%s%s%s", cwd ? cwd : "", cwd ? "/" : "",
	               from->source) < 0)
		return -ENOMEM;
	*to = tidy(buf_str(&b));
	return *to ? 0 : -ENOMEM;
}

static uint32_t default_mode(const char *target)
{
	bool shared =
		strcmp(target, "/tmp") == 0 || strcmp(target, "/var/tmp") == 0;

	return shared ? 01777 : 0755;
}

static int copy_one(struct mounts *ret, const struct msb_mount *from)
{
	struct msb_mount *m = calloc(1, sizeof(*m));
	int r = m ? 0 : -ENOMEM;

	if (r == 0) {
		*m = *from;
		m->size = sizeof(*m);
		m->source = m->format = m->fstype = NULL;
		m->target = tidy(from->target);
		r = m->target ? copy_source(from, &m->source) : -ENOMEM;
	}
	if (r == 0)
		r = copy_text(&m->format, from->format);
	if (r == 0)
		r = copy_text(&m->fstype, from->fstype);
	if (r < 0) {
		free_one(m);
		return r;
	}
	if (m->kind == MSB_MOUNT_TMPFS && !m->mode)
		m->mode = default_mode(m->target);
	return append(ret, m);
}

int mounts_take(struct mounts *ret, const struct msb_mount *const *list)
{
	int r = 0;

	for (; list && *list && r == 0; list++) {
		struct msb_mount m;

		r = take_given(*list, &m);
		if (r == 0)
			r = copy_one(ret, &m);
	}
	return r;
}

/* ---- the record -----------------------------------------------------------
 */

static const struct member {
	const char *key;
	size_t offset, size; /* size 0: a text */
} members[] = {
#define NUMBER(name)                                                           \
	{                                                                      \
#name, offsetof(struct msb_mount, name),                       \
			sizeof(((struct msb_mount *)0)->name)                  \
	}
#define TEXT(name)                                                             \
	{                                                                      \
#name, offsetof(struct msb_mount, name), 0                     \
	}
	NUMBER(kind), NUMBER(flags),       TEXT(source),
	TEXT(target), NUMBER(cache),       NUMBER(uid),
	NUMBER(gid),  NUMBER(quota_bytes), NUMBER(size_bytes),
	NUMBER(mode), NUMBER(volume_kind), TEXT(format),
	TEXT(fstype),
#undef NUMBER
#undef TEXT
};

static json_t *member_json(const struct msb_mount *m, const struct member *f)
{
	const char *at = (const char *)m + f->offset, *text;
	uint64_t wide;
	uint32_t n;

	if (f->size == 0) {
		memcpy(&text, at, sizeof(text));
		return text ? record_text(text) : json_null();
	}
	if (f->size == sizeof(wide)) {
		memcpy(&wide, at, sizeof(wide));
		return json_integer((json_int_t)wide);
	}
	memcpy(&n, at, sizeof(n));
	return json_integer(n);
}

/* Defaults, which are zero or NULL, need not be written. */
static bool is_default(const json_t *j)
{
	return json_is_null(j) ||
	       (json_is_integer(j) && json_integer_value(j) == 0);
}

static json_t *one_json(const struct msb_mount *m)
{
	json_t *o = json_object();

	for (size_t i = 0; o && i < ARRAY_SIZE(members); i++) {
		json_t *j = member_json(m, &members[i]);

		if (j && is_default(j)) {
			json_decref(j);
		} else if (json_object_set_new(o, members[i].key, j) < 0) {
			json_decref(o);
			return NULL;
		}
	}
	return o;
}

json_t *mounts_json(const struct mounts *m)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < m->n; i++) {
		if (json_array_append_new(list, one_json(m->v[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static int read_member(const json_t *j, const struct member *f,
                       struct msb_mount *m)
{
	char *at = (char *)m + f->offset, *text;
	json_int_t n = json_integer_value(j);
	uint64_t wide = (uint64_t)n;
	uint32_t narrow = (uint32_t)n;

	if (f->size == 0) {
		text = record_read_text(j);
		memcpy(at, &text, sizeof(text));
		return text ? 0 : -EINVAL;
	}
	if (!json_is_integer(j) || n < 0 ||
	    (f->size == sizeof(narrow) && n > UINT32_MAX))
		return -EINVAL;
	if (f->size == sizeof(wide))
		memcpy(at, &wide, sizeof(wide));
	else
		memcpy(at, &narrow, sizeof(narrow));
	return 0;
}

static int read_one(const json_t *o, struct mounts *ret)
{
	struct msb_mount *m = calloc(1, sizeof(*m));
	int r = !m ? -ENOMEM : json_is_object(o) ? 0 : -EINVAL;

	if (m)
		m->size = sizeof(*m);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(members); i++) {
		const json_t *j = json_object_get(o, members[i].key);

		r = j ? read_member(j, &members[i], m) : 0;
	}
	if (r < 0) {
		free_one(m);
		return r;
	}
	return append(ret, m);
}

int mounts_read(const json_t *j, struct mounts *ret)
{
	struct mounts cleanup_mounts m = {0};
	struct err err = {0};
	int r = json_is_array(j) ? 0 : -EINVAL;

	for (size_t i = 0; r == 0 && i < json_array_size(j); i++)
		r = read_one(json_array_get(j, i), &m);
	if (r == 0 && m.n)
		r = mounts_check((const struct msb_mount *const *)m.v, &err);
	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	*ret = m;
	m = (struct mounts){0};
	return 0;
}
