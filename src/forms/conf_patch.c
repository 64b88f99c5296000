/* The patches of a configuration file; see patch_opts.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "forms/conf_int.h"

#include "base/banned.h"

#define PATCH_FILES_MAX 64

/* What one entry of the list says. */
struct entry {
	char *path, *source, *content, *base64;
	uint32_t mode, uid, gid;
	bool has_mode, has_owner, has_uid, has_gid, replace;
};

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

static void entry_release(struct entry *e)
{
	free(e->path);
	free(e->source);
	free(e->content);
	free(e->base64);
}

/* As the peer: text, since 0644 is one number to YAML 1.1, another to 1.2. */
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
		err_hint(s->err, "for example \"0644\"");
		return -EINVAL;
	}
	conf_said(s, f);
	return 0;
}

#define PATH_KEY    KEY("path", conf_set_text, path)
#define MODE_KEY    KEY_FLAG("mode", set_mode, mode, has_mode)
#define REPLACE_KEY KEY("replace", conf_set_bool, replace)
#define OWNER_KEYS                                                             \
	KEY_FLAG("uid", conf_set_id, uid, has_uid),                            \
		KEY_FLAG("gid", conf_set_id, gid, has_gid)

static const struct conf_field text_keys[] = {
	PATH_KEY,   KEY("content", conf_set_any_text, content),
	MODE_KEY,   REPLACE_KEY,
	OWNER_KEYS, {0},
};
static const struct conf_field file_keys[] = {
	PATH_KEY,   KEY("content_base64", conf_set_any_text, base64),
	MODE_KEY,   REPLACE_KEY,
	OWNER_KEYS, {0},
};
static const struct conf_field copy_file_keys[] = {
	KEY("src", conf_set_path, source),
	KEY("dst", conf_set_text, path),
	MODE_KEY,
	REPLACE_KEY,
	OWNER_KEYS,
	{0},
};
static const struct conf_field copy_dir_keys[] = {
	KEY("src", conf_set_path, source),
	KEY("dst", conf_set_text, path),
	REPLACE_KEY,
	OWNER_KEYS,
	{0},
};
static const struct conf_field symlink_keys[] = {
	KEY("target", conf_set_text, source),
	KEY("link", conf_set_text, path),
	REPLACE_KEY,
	{0},
};
static const struct conf_field mkdir_keys[] = {
	PATH_KEY,
	MODE_KEY,
	OWNER_KEYS,
	{0},
};
static const struct conf_field remove_keys[] = {PATH_KEY, {0}};
static const struct conf_field append_keys[] = {
	PATH_KEY,
	KEY("content", conf_set_any_text, content),
	{0},
};
static const struct conf_field chmod_keys[] = {PATH_KEY, MODE_KEY, {0}};
static const struct conf_field chown_keys[] = {PATH_KEY, OWNER_KEYS, {0}};

/* Which key an entry has, and what must be said below it. */
static const struct kind {
	const char *name;
	enum msb_patch_kind patch;
	const struct conf_field *keys;
	size_t text; /* a member that must be there besides the path, or 0 */
	const char *text_name;
	size_t flags[2]; /* bools that must be true, or 0 */
	const char *flags_names;
} kinds[] = {
	{"text",      MSB_PATCH_FILE,   text_keys,      AT(content), "content", {0}, NULL},
	{"file",
         MSB_PATCH_FILE,                file_keys,
         AT(base64),
         "content_base64",                                                      {0},
         NULL									    },
	{"copy_file",
         MSB_PATCH_COPY,                copy_file_keys,
         AT(source),
         "src",                                                                 {0},
         NULL									    },
	{"copy_dir",
         MSB_PATCH_COPY,                copy_dir_keys,
         AT(source),
         "src",                                                                 {0},
         NULL									    },
	{"symlink",
         MSB_PATCH_SYMLINK,             symlink_keys,
         AT(source),
         "target",                                                              {0},
         NULL									    },
	{"mkdir",     MSB_PATCH_MKDIR,  mkdir_keys,     0,           NULL,      {0}, NULL},
	{"remove",    MSB_PATCH_REMOVE, remove_keys,    0,           NULL,      {0}, NULL},
	{"append",
         MSB_PATCH_APPEND,              append_keys,
         AT(content),
         "content",                                                             {0},
         NULL									    },
	{"chmod",
         MSB_PATCH_SET_MODE,            chmod_keys,
         0,                                                          NULL,
         {AT(has_mode)},
         "mode"									  },
	{"chown",
         MSB_PATCH_SET_OWNER,           chown_keys,
         0,                                                          NULL,
         {AT(has_uid), AT(has_gid)},
         "uid and gid"								   },
};

static int digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* White space is fine between; what stands for nothing is not. */
static int decode(const char *text, struct buf *out)
{
	uint32_t bits = 0;
	unsigned have = 0;

	for (; *text && *text != '='; text++) {
		int d = digit(*text);

		if (strchr(" \t\r\n", *text))
			continue;
		if (d < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)d;
		if (++have < 4)
			continue;
		for (int shift = 16; shift >= 0; shift -= 8)
			(void)buf_addc(out, (char)(bits >> shift & 0xff));
		have = 0;
		bits = 0;
	}
	if (text[strspn(text, "= \t\r\n")] != '\0' || have == 1)
		return -EINVAL;
	if (have >= 2)
		(void)buf_addc(out, (char)(bits >> (have == 2 ? 4 : 10)));
	if (have == 3)
		(void)buf_addc(out, (char)(bits >> 2));
	return buf_ok(out) ? 0 : -ENOMEM;
}

static int set_content(struct conf_source *s, const struct ytree_node *n,
                       struct entry *e, struct msb_patch *p)
{
	struct buf cleanup_buf b = CONF_VALUE_INIT;
	int r;

	if (e->content) {
		p->data_len = strlen(e->content);
		p->data = take_ptr(e->content);
	}
	if (!e->base64)
		return 0;
	r = decode(e->base64, &b);
	if (r == -EINVAL)
		return CONF_WRONG(s, n, "content_base64 is not base64");
	p->data_len = b.len;
	p->data = r == 0 ? buf_steal(&b) : NULL;
	return p->data ? 0 : conf_no_memory(s);
}

static bool is_said(const struct entry *e, size_t offset)
{
	return !offset || *(const bool *)((const char *)e + offset);
}

static int check_entry(struct conf_source *s, const struct kind *k,
                       const struct entry *e, const struct ytree_node *n)
{
	const char *const *text = (const void *)((const char *)e + k->text);
	const char *path_name = "path";

	for (const struct conf_field *f = k->keys; f->name; f++)
		if (f->offset == AT(path))
			path_name = f->name;
	if (!e->path)
		return CONF_WRONG(s, n, "%s needs %s", k->name, path_name);
	if (k->text_name && !*text)
		return CONF_WRONG(s, n, "%s needs %s", k->name, k->text_name);
	if (!is_said(e, k->flags[0]) || !is_said(e, k->flags[1]))
		return CONF_WRONG(s, n, "%s needs %s", k->name, k->flags_names);
	return *e->path == '/' ? 0
	                       : CONF_WRONG(s, n, "%s is not an absolute path",
	                                    e->path);
}

static int add_entry(struct conf_source *s, const struct kind *k,
                     const struct ytree_node *n, struct patch_list *to)
{
	struct entry cleanup(entry_release) e = {0};
	struct conf_source in = *s;
	struct msb_patch p = MSB_PATCH_INIT;
	int r;

	in.base = &e;
	r = conf_map(&in, k->keys, CONF_ALL, n);
	if (r == 0)
		r = check_entry(s, k, &e, n);
	if (r == 0)
		r = set_content(s, n, &e, &p);
	if (r < 0)
		return r;
	p.kind = (int32_t)k->patch;
	p.flags = (e.replace ? MSB_PATCH_REPLACE : 0u) |
	          (e.has_mode ? MSB_PATCH_MODE : 0u) |
	          (e.has_uid || e.has_gid ? MSB_PATCH_OWNER : 0u);
	p.mode = e.mode;
	p.uid = e.uid;
	p.gid = e.gid;
	p.path = take_ptr(e.path);
	p.source = take_ptr(e.source);
	return patch_list_take(to, &p) < 0 ? conf_no_memory(s) : 0;
}

static int unknown(struct conf_source *s, const struct ytree_node *n)
{
	struct buf cleanup_buf all = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		(void)buf_printf(&all, "%s%s", i ? ", " : "", kinds[i].name);
	ytree_error(s->err, s->path, n->key_at, "there is no patch %s", n->key);
	err_hint(s->err, "known are %s", buf_str(&all));
	return -EINVAL;
}

/* "- mkdir: {path: /x}" */
static int add_one(struct conf_source *s, const struct ytree_node *n,
                   struct patch_list *to)
{
	int r = conf_expect(s, n, YTREE_MAP);

	if (r < 0)
		return r;
	if (n->n != 1)
		return CONF_WRONG(s, n, "a patch has one key: its kind");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].name, n->child->key) == 0)
			return add_entry(s, &kinds[i], n->child, to);
	return unknown(s, n->child);
}

static int add_all(struct conf_source *s, const struct ytree_node *n,
                   struct patch_list *to)
{
	int r = conf_expect(s, n, YTREE_LIST);

	for (const struct ytree_node *c = n->child; c && r == 0; c = c->next)
		r = add_one(s, c, to);
	return r;
}

int conf_set_patches(struct conf_source *s, const struct conf_field *f,
                     const struct ytree_node *n)
{
	struct patch_list *to = conf_member(s, f);

	patch_list_release(to);
	return add_all(s, n, to);
}

/* ---- files of patches ---------------------------------------------------- */

static int append_patches(struct conf_source *s, const struct conf_field *f,
                          const struct ytree_node *n)
{
	return add_all(s, n, conf_member(s, f));
}

static const struct conf_field patch_file_keys[] = {
	{.name = "patches",   .set = append_patches, .scopes = CONF_ALL},
	{0},
};

static int read_one(struct conf_source *s, const struct ytree_node *n,
                    const char *path, struct patch_list *to)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(YTREE_SIZE_MAX);
	struct ytree_node *cleanup_ytree tree = NULL;
	struct conf_source in = *s;
	int r;

	if (s->conf->foreign)
		return CONF_WRONG(s, n,
		                  "other files are not read here: give "
		                  "the patches themselves");
	r = conf_read_file(path, &b);
	if (r == -E2BIG)
		return CONF_WRONG(s, n, "%s is larger than %u KiB", path,
		                  YTREE_SIZE_MAX >> 10);
	if (r < 0)
		return CONF_WRONG(s, n, "cannot read %s: %s", path,
		                  r == -EISDIR ? "not a file" : strerror(-r));
	r = ytree_read(b.data, b.len, path, &tree, s->err);
	if (r < 0)
		return r;
	in.path = path;
	in.base = to;
	return conf_map(&in, patch_file_keys, CONF_ALL, tree);
}

/* One name of the list. */
struct name {
	char *path;
};

static int read_named(struct conf_source *s, const struct ytree_node *n,
                      struct patch_list *to)
{
	static const struct conf_field key = {.name = "a patch file",
	                                      .set = conf_set_path,
	                                      .scopes = CONF_ALL};
	struct conf_source in = *s;
	struct name name = {0};
	int r;

	in.base = &name;
	r = conf_set_path(&in, &key, n);
	if (r == 0)
		r = read_one(s, n, name.path, to);
	free(name.path);
	return r;
}

int conf_set_patch_files(struct conf_source *s, const struct conf_field *f,
                         const struct ytree_node *n)
{
	struct patch_list *to = conf_member(s, f);
	int r = conf_expect(s, n, YTREE_LIST);

	if (r == 0 && n->n > PATCH_FILES_MAX)
		return CONF_WRONG(s, n, "over %d files of patches",
		                  PATCH_FILES_MAX);
	patch_list_release(to);
	for (const struct ytree_node *c = n->child; c && r == 0; c = c->next)
		r = read_named(s, c, to);
	return r;
}
