#include "forms/mount_opts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/num.h"

#include "base/banned.h"

#define PARTS_MAX 3
#define WORD_MAX  256
#define ID_MAX    4294967294u

/* ---- the list -------------------------------------------------------------
 */

static void free_one(struct msb_mount *m)
{
	free((char *)(uintptr_t)m->source);
	free((char *)(uintptr_t)m->target);
	free((char *)(uintptr_t)m->format);
	free((char *)(uintptr_t)m->fstype);
	free(m);
}

void mount_opts_release(struct mount_opts *m)
{
	for (size_t i = 0; i < m->n; i++)
		free_one(m->v[i]);
	free(m->v);
	*m = (struct mount_opts){0};
}

struct msb_mount *mount_opts_new(struct mount_opts *m)
{
	struct msb_mount **v = reallocarray(m->v, m->n + 2, sizeof(*v));
	struct msb_mount *one = v ? calloc(1, sizeof(*one)) : NULL;

	if (v)
		m->v = v;
	if (!one)
		return NULL;
	one->size = sizeof(*one);
	v[m->n++] = one;
	v[m->n] = NULL;
	return one;
}

int mount_opts_text(const char **to, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free((char *)(uintptr_t)*to);
	*to = copy;
	return 0;
}

int mount_opts_move(struct mount_opts *to, struct mount_opts *from)
{
	struct msb_mount **v;

	if (from->n == 0)
		return 0;
	v = reallocarray(to->v, to->n + from->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	memcpy(v + to->n, from->v, (from->n + 1) * sizeof(*v));
	to->v = v;
	to->n += from->n;
	free(from->v);
	*from = (struct mount_opts){0};
	return 0;
}

/* ---- what each option takes -----------------------------------------------
 */

#define DIR   (1u << MSB_MOUNT_DIR)
#define FILE_ (1u << MSB_MOUNT_FILE)
#define NAMED (1u << MSB_MOUNT_NAMED)
#define DISK  (1u << MSB_MOUNT_DISK)
#define TMPFS (1u << MSB_MOUNT_TMPFS)
#define SHARE (DIR | FILE_ | NAMED)
#define ANY   (SHARE | DISK | TMPFS)

static const struct form {
	const char *option;
	int32_t kind; /* 0: as SOURCE looks */
	const char *shape;
} forms[] = {
#define FORM(option, kind, shape)                                              \
	{                                                                      \
		option, kind, shape                                            \
	}
	FORM("volume", 0, "SOURCE:TARGET[:OPTIONS]"),
	FORM("mount-dir", MSB_MOUNT_DIR, "SOURCE:TARGET[:OPTIONS]"),
	FORM("mount-file", MSB_MOUNT_FILE, "SOURCE:TARGET[:OPTIONS]"),
	FORM("mount-named", MSB_MOUNT_NAMED, "NAME:TARGET[:OPTIONS]"),
	FORM("mount-disk", MSB_MOUNT_DISK, "SOURCE:TARGET[:OPTIONS]"),
	FORM("tmpfs", MSB_MOUNT_TMPFS, "TARGET[:SIZE][:OPTIONS]"),
#undef FORM
};

static const struct form *find_form(const char *option)
{
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if (strcmp(forms[i].option, option) == 0)
			return &forms[i];
	return NULL;
}

static const char *const kind_words[] = {
	[MSB_MOUNT_DIR] = "a folder",   [MSB_MOUNT_FILE] = "a file",
	[MSB_MOUNT_NAMED] = "a volume", [MSB_MOUNT_DISK] = "a disk image",
	[MSB_MOUNT_TMPFS] = "a tmpfs",
};

/* ---- one word of OPTIONS --------------------------------------------------
 */

/* One option that is read. */
struct reader {
	const struct form *form;
	struct msb_mount *m;
	uint64_t seen; /* rows of words[] */
	bool uid, gid;
	struct err *err;
};

struct word {
	const char *name;
	unsigned kinds;
	/* NULL: it takes no value. */
	int (*set)(struct reader *rd, const struct word *w, const char *value);
	uint32_t flag;
	const char *group; /* those of one group exclude each other */
};

static int wrong(const struct reader *rd, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int wrong(const struct reader *rd, const char *fmt, ...)
{
	struct buf cleanup_buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	(void)buf_vprintf(&b, fmt, ap);
	va_end(ap);
	return err_set(rd->err, -EINVAL, "--%s: %s", rd->form->option,
	               buf_str(&b));
}

static int set_flag(struct reader *rd, const struct word *w, const char *value)
{
	(void)value;
	rd->m->flags |= w->flag;
	return 0;
}

static int set_id(struct reader *rd, const struct word *w, const char *value)
{
	bool gid = *w->name == 'g';
	uint64_t id;

	if (!num_parse_u64(value, ID_MAX, &id))
		return wrong(rd, "%s=%s is not a number from 0 to %u", w->name,
		             value, ID_MAX);
	*(gid ? &rd->m->gid : &rd->m->uid) = (uint32_t)id;
	*(gid ? &rd->gid : &rd->uid) = true;
	rd->m->flags |= MSB_MOUNT_OWNER;
	return 0;
}

static int take_size(struct reader *rd, const char *name, const char *value,
                     uint64_t *ret)
{
	if (num_parse_size(value, MIB, ret) && *ret)
		return 0;
	wrong(rd, "%s '%s' is not a size", name, value);
	err_hint(rd->err, "for example 512M or 2G; a bare number is MiB");
	return -EINVAL;
}

static int set_size(struct reader *rd, const struct word *w, const char *value)
{
	return take_size(rd, w->name, value, &rd->m->size_bytes);
}

/* Of a volume it is the volume's, as of msb volume create --size. */
static int set_quota(struct reader *rd, const struct word *w, const char *value)
{
	return take_size(rd, w->name, value,
	                 rd->m->kind == MSB_MOUNT_NAMED ? &rd->m->size_bytes
	                                                : &rd->m->quota_bytes);
}

static int set_mode(struct reader *rd, const struct word *w, const char *value)
{
	uint64_t mode;

	if (!num_parse_octal(value, 07777, &mode) || mode == 0)
		return wrong(rd, "%s=%s is not a mode such as 0755", w->name,
		             value);
	rd->m->mode = (uint32_t)mode;
	return 0;
}

/* The index of @value in @list, which ends with NULL; or an error. */
static int choose(struct reader *rd, const struct word *w, const char *value,
                  const char *const *list)
{
	struct buf cleanup_buf all = BUF_INIT;
	int i = 0;

	for (; list[i]; i++) {
		if (strcmp(list[i], value) == 0)
			return i;
		(void)buf_printf(&all, "%s%s", i ? ", " : "", list[i]);
	}
	wrong(rd, "%s=%s is not known", w->name, value);
	err_hint(rd->err, "one of: %s", buf_str(&all));
	return -EINVAL;
}

static int set_cache(struct reader *rd, const struct word *w, const char *value)
{
	static const char *const names[] = {"auto", "always", "none", NULL};
	int i = choose(rd, w, value, names);

	if (i < 0)
		return i;
	rd->m->cache = i;
	return 0;
}

static int set_kind(struct reader *rd, const struct word *w, const char *value)
{
	static const char *const names[] = {"dir", "disk", NULL};
	int i = choose(rd, w, value, names);

	if (i < 0)
		return i;
	rd->m->volume_kind = i;
	return 0;
}

static int set_format(struct reader *rd, const struct word *w,
                      const char *value)
{
	static const char *const names[] = {"raw", "qcow2", NULL};
	int i = choose(rd, w, value, names);

	return i < 0 ? i : mount_opts_text(&rd->m->format, names[i]);
}

static int set_fstype(struct reader *rd, const struct word *w,
                      const char *value)
{
	size_t len = strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789_");

	if (!len || value[len])
		return wrong(rd, "%s=%s is not a file system type", w->name,
		             value);
	return mount_opts_text(&rd->m->fstype, value);
}

/*
 * Words of the Rust msb. What is always so here is fine to say; what is not
 * must not be taken for granted.
 */
static int set_stat_virt(struct reader *rd, const struct word *w,
                         const char *value)
{
	if (strcmp(value, "strict") == 0)
		return 0;
	wrong(rd, "%s=%s is not here", w->name, value);
	err_hint(rd->err, "owners and modes that the guest sets are always "
	                  "kept, which is strict; uid= and gid= show one owner "
	                  "instead");
	return -EINVAL;
}

static int set_host_perms(struct reader *rd, const struct word *w,
                          const char *value)
{
	if (strcmp(value, "mirror") == 0)
		return 0;
	wrong(rd, "%s=%s is not here", w->name, value);
	err_hint(rd->err, "read, write and execute bits that the guest sets "
	                  "are always the host's, too, which is mirror; a "
	                  "folder of mode 0700 keeps others out");
	return -EINVAL;
}

#define WORD(name_, kinds_, set_, flag_, group_)                               \
	{                                                                      \
		.name = (name_), .kinds = (kinds_), .set = (set_),             \
		.flag = (flag_), .group = (group_)                             \
	}
#define READ_WRITE "ro and rw"
#define SIZES      "quota and size"

static const struct word words[] = {
	WORD("ro", ANY, NULL, MSB_MOUNT_READ_ONLY, READ_WRITE),
	WORD("rw", ANY, NULL, 0, READ_WRITE),
	WORD("noexec", ANY, NULL, MSB_MOUNT_NOEXEC, NULL),
	WORD("nosuid", ANY, NULL, MSB_MOUNT_NOSUID, NULL),
	WORD("nodev", ANY, NULL, MSB_MOUNT_NODEV, NULL),
	WORD("uid", SHARE, set_id, 0, NULL),
	WORD("gid", SHARE, set_id, 0, NULL),
	WORD("cache", SHARE, set_cache, 0, NULL),
	WORD("quota", SHARE, set_quota, 0, SIZES),
	WORD("kind", NAMED, set_kind, 0, NULL),
	WORD("size", NAMED | TMPFS, set_size, 0, SIZES),
	WORD("format", DISK, set_format, 0, NULL),
	WORD("fstype", DISK, set_fstype, 0, NULL),
	WORD("mode", TMPFS, set_mode, 0, NULL),
	WORD("follow", DIR | FILE_ | DISK, NULL, MSB_MOUNT_FOLLOW, "follow"),
	WORD("follow-root-symlinks", DIR | FILE_ | DISK, NULL, MSB_MOUNT_FOLLOW,
             "follow"),
	WORD("stat-virt", SHARE, set_stat_virt, 0, NULL),
	WORD("host-perms", SHARE, set_host_perms, 0, NULL),
};

static bool is_seen(const struct reader *rd, const struct word *w)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if ((rd->seen >> i & 1) &&
		    (w == &words[i] || (w->group && words[i].group &&
		                        strcmp(w->group, words[i].group) == 0)))
			return true;
	return false;
}

static int unknown_word(struct reader *rd, const char *name)
{
	struct buf cleanup_buf all = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (words[i].kinds >> rd->m->kind & 1)
			(void)buf_printf(&all, "%s%s%s", all.len ? ", " : "",
			                 words[i].name,
			                 words[i].set ? "=" : "");
	wrong(rd, "unknown mount option '%s'", name);
	err_hint(rd->err, "of %s: %s", kind_words[rd->m->kind], buf_str(&all));
	return -EINVAL;
}

static int check_word(struct reader *rd, const struct word *w, bool has_value)
{
	if (!(w->kinds >> rd->m->kind & 1))
		return wrong(rd, "%s is not an option of %s", w->name,
		             kind_words[rd->m->kind]);
	if (w->set && !has_value)
		return wrong(rd, "%s needs a value: %s=...", w->name, w->name);
	if (!w->set && has_value)
		return wrong(rd, "%s takes no value", w->name);
	if (!is_seen(rd, w))
		return 0;
	return w->group && strchr(w->group, ' ')
	               ? wrong(rd, "%s: one of them, once", w->group)
	               : wrong(rd, "%s is given twice", w->name);
}

static int take_word(struct reader *rd, char *text)
{
	char *value = strchr(text, '=');
	const struct word *w = NULL;
	int r;

	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(words) && !w; i++)
		if (strcmp(words[i].name, text) == 0)
			w = &words[i];
	if (!w)
		return unknown_word(rd, text);
	r = check_word(rd, w, value != NULL);
	if (r < 0)
		return r;
	rd->seen |= 1ULL << (w - words);
	return w->set ? w->set(rd, w, value) : set_flag(rd, w, NULL);
}

static int take_words(struct reader *rd, char *text)
{
	int r = 0;

	for (char *next; text && r == 0; text = next) {
		next = strchr(text, ',');
		if (next)
			*next++ = '\0';
		r = *text ? take_word(rd, text)
		          : wrong(rd, "an empty mount option");
	}
	if (r == 0 && rd->uid != rd->gid)
		r = wrong(rd, "uid and gid are given together");
	return r;
}

/* ---- the whole ------------------------------------------------------------
 */

/* Cut at ':'; "\:" and "\\" are undone. -E2BIG: more than PARTS_MAX. */
static int split(char *text, char *parts[PARTS_MAX])
{
	char *to = text;
	int n = 0;

	parts[n++] = to;
	for (const char *p = text; *p; p++) {
		if (*p == '\\' && (p[1] == ':' || p[1] == '\\')) {
			*to++ = *++p;
		} else if (*p == ':') {
			*to++ = '\0';
			if (n == PARTS_MAX)
				return -E2BIG;
			parts[n++] = to;
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
	return n;
}

static int bad_shape(struct reader *rd, const char *text, const char *why)
{
	wrong(rd, "'%.200s' is not %s%s", text, rd->form->shape, why);
	err_hint(rd->err, "a ':' of a path is written \\: (in quotes, for "
	                  "the shell)");
	return -EINVAL;
}

bool mount_opts_is_path(const char *source)
{
	return *source == '.' || strncmp(source, "~/", 2) == 0 ||
	       strchr(source, '/');
}

int32_t mount_opts_path_kind(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? MSB_MOUNT_FILE
	                                                   : MSB_MOUNT_DIR;
}

/* The shell does this only where a word begins: not in --volume=~/x. */
static int set_path(struct msb_mount *m, const char *source)
{
	const char *home = getenv("HOME");
	char *path;

	if (strncmp(source, "~/", 2) != 0 || !home || *home != '/')
		return mount_opts_text(&m->source, source);
	if (asprintf(&path, "%s/%s", home, source + 2) < 0)
		return -ENOMEM;
	m->source = path;
	return 0;
}

static int set_source(struct reader *rd, const char *source)
{
	struct msb_mount *m = rd->m;
	bool path = mount_opts_is_path(source);
	int r;

	if (!*source)
		return wrong(rd, "the source is missing");
	if (m->kind == MSB_MOUNT_NAMED && path)
		return wrong(rd, "'%.200s' is a path, not a volume's name",
		             source);
	if (m->kind == MSB_MOUNT_NAMED || (!m->kind && !path)) {
		m->kind = MSB_MOUNT_NAMED;
		m->flags |= MSB_MOUNT_CREATE;
		return mount_opts_text(&m->source, source);
	}
	r = set_path(m, source);
	if (r == 0 && !m->kind)
		m->kind = mount_opts_path_kind(m->source);
	return r;
}

static int read_mount(struct reader *rd, const char *text, char *parts[], int n)
{
	int r;

	if (n < 2 || *parts[1] != '/')
		return bad_shape(rd, text,
		                 n < 2 ? "" : ": TARGET is an absolute path");
	r = set_source(rd, parts[0]);
	if (r == 0)
		r = mount_opts_text(&rd->m->target, parts[1]);
	return r < 0 || n < 3 ? r : take_words(rd, parts[2]);
}

/* TARGET:SIZE, TARGET:OPTIONS, TARGET:SIZE:OPTIONS. */
static int read_tmpfs(struct reader *rd, const char *text, char *parts[], int n)
{
	bool size =
		n == 3 || (n == 2 && parts[1][0] >= '0' && parts[1][0] <= '9');
	int r = 0;

	if (*parts[0] != '/')
		return bad_shape(rd, text, ": TARGET is an absolute path");
	if (size) {
		r = take_size(rd, "SIZE", parts[1], &rd->m->size_bytes);
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			if (words[i].set == set_size)
				rd->seen |= 1ULL << i;
	}
	if (r == 0)
		r = mount_opts_text(&rd->m->target, parts[0]);
	if (r == 0 && n == 2 + size)
		r = take_words(rd, parts[1 + size]);
	return r;
}

static int read_text(struct reader *rd, const char *text)
{
	cleanup_free char *copy = strdup(text);
	char *parts[PARTS_MAX];
	int n = copy ? split(copy, parts) : -ENOMEM;

	if (n == -ENOMEM)
		return n;
	if (n < 0)
		return bad_shape(rd, text, ": it has too many parts");
	return rd->m->kind == MSB_MOUNT_TMPFS ? read_tmpfs(rd, text, parts, n)
	                                      : read_mount(rd, text, parts, n);
}

int mount_opts_add(struct mount_opts *m, const char *option, const char *text,
                   struct err *err)
{
	struct reader rd = {.form = find_form(option), .err = err};
	int r;

	if (!rd.form)
		return err_set(err, -EINVAL, "--%s is no mount", option);
	rd.m = mount_opts_new(m);
	if (!rd.m)
		return err_set(err, -ENOMEM, "out of memory");
	rd.m->kind = rd.form->kind;
	r = read_text(&rd, text);
	if (r == -ENOMEM)
		return err_set(err, r, "out of memory");
	if (r < 0) {
		free_one(rd.m);
		m->v[--m->n] = NULL;
	}
	return r;
}

static int split_named(const char *named, char option[WORD_MAX],
                       const char **ret_text)
{
	size_t len = strcspn(named, ":");

	if (len >= WORD_MAX)
		return -EINVAL;
	memcpy(option, named, len);
	option[len] = '\0';
	*ret_text = named + len + (named[len] == ':');
	return 0;
}

int mount_opts_add_all(struct mount_opts *m, const struct strv *list,
                       struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < list->n && r == 0; i++) {
		char option[WORD_MAX];
		const char *text;

		r = split_named(list->v[i], option, &text);
		if (r == 0)
			r = mount_opts_add(m, option, text, err);
	}
	return r;
}

/* ---- for a launcher -------------------------------------------------------
 */

/* A path as the grammar wants it. */
static void add_escaped(struct buf *b, const char *path)
{
	for (; *path; path++) {
		if (*path == ':' || *path == '\\')
			(void)buf_addc(b, '\\');
		(void)buf_addc(b, *path);
	}
}

/* The source ends at the first ':' without a backslash. */
static size_t source_length(const char *text)
{
	size_t n = 0;

	while (text[n] && text[n] != ':')
		n += text[n] == '\\' &&
		                     (text[n + 1] == ':' || text[n + 1] == '\\')
		             ? 2
		             : 1;
	return n;
}

static bool is_relative(const char *option, const char *text)
{
	bool any = strcmp(option, "volume") == 0;
	cleanup_free char *source = strndup(text, source_length(text));

	if (strcmp(option, "tmpfs") == 0 || strcmp(option, "mount-named") == 0)
		return false;
	return source && *source && *source != '/' &&
	       strncmp(source, "~/", 2) != 0 &&
	       (!any || mount_opts_is_path(source));
}

int mount_opts_absolute(const struct strv *list, struct strv *ret)
{
	cleanup_free char *cwd = getcwd(NULL, 0);
	int r = cwd ? 0 : -errno;

	for (size_t i = 0; i < list->n && r == 0; i++) {
		struct buf cleanup_buf b = BUF_INIT;
		char option[WORD_MAX];
		const char *text;

		r = split_named(list->v[i], option, &text);
		if (r < 0)
			return r;
		(void)buf_printf(&b, "%s:", option);
		if (is_relative(option, text)) {
			add_escaped(&b, cwd);
			(void)buf_addc(&b, '/');
		}
		(void)buf_adds(&b, text);
		r = buf_ok(&b) ? strv_add(ret, buf_str(&b)) : -ENOMEM;
	}
	return r;
}
