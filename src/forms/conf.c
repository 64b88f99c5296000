#include "forms/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "forms/conf_int.h"
#include "forms/scripts.h"
#include "microsandbox.h"

#include "base/banned.h"

#define EXPAND_MAX (4u << 20)
#define WORD_MAX   128

enum scope {
	SCOPE_SANDBOX = 1,
	SCOPE_RESOURCE = 2,
	SCOPE_RUNTIME = 4,
	SCOPE_SCRIPT = 8,
	SCOPE_FS = 16,
	SCOPE_NET = 32,
	SCOPE_SECRET = 64,
};

void conf_release(struct conf *c)
{
	char *const texts[] = {c->image,    c->root_fstype, c->snapshot,
	                       c->workdir,  c->shell,       c->user,
	                       c->hostname, c->init};
	struct strv *const lists[] = {
		&c->entrypoint, &c->cmd,       &c->env,      &c->labels,
		&c->scripts,    &c->init_args, &c->init_env, &c->rlimits};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(texts[i]);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		strv_release(lists[i]);
	patch_list_release(&c->patch_files);
	patch_list_release(&c->patches);
	mount_opts_release(&c->mounts);
	net_conf_release(&c->net);
	secret_conf_release(&c->secret);
	*c = (struct conf){0};
}

int conf_no_memory(struct conf_source *s)
{
	return err_set(s->err, -ENOMEM, "%s: out of memory", s->path);
}

void *conf_member(struct conf_source *s, const struct conf_field *f)
{
	return (char *)s->base + f->offset;
}

static bool is_name_char(char c, bool first)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
	       (!first && c >= '0' && c <= '9');
}

/* The length of NAME in "NAME}", 0 when it is none. */
static size_t name_length(const char *text)
{
	size_t n = 0;

	while (is_name_char(text[n], n == 0))
		n++;
	return n < WORD_MAX && text[n] == '}' ? n : 0;
}

/* @text stands behind "${"; *@ret_next behind the "}". */
static int expand_one(struct conf_source *s, const struct ytree_node *n,
                      const char *text, struct buf *out, const char **ret_next)
{
	size_t len = name_length(text);
	char name[WORD_MAX];
	const char *value;

	if (!len) {
		CONF_WRONG(s, n, "only ${NAME} stands for something: '${%.40s'",
		           text);
		err_hint(s->err, "a plain ${ is written $${");
		return -EINVAL;
	}
	memcpy(name, text, len);
	name[len] = '\0';
	value = getenv(name);
	if (!value)
		return CONF_WRONG(s, n, "variable %s is not set", name);
	*s->expanded += strlen(value);
	if (*s->expanded > EXPAND_MAX)
		return CONF_WRONG(s, n, "variables stand for more than %u MiB",
		                  EXPAND_MAX >> 20);
	*ret_next = text + len + 1;
	return buf_adds(out, value);
}

static int expand(struct conf_source *s, const struct ytree_node *n,
                  struct buf *out)
{
	const char *p = n->text, *at;
	int r = 0;

	while (r == 0 && !s->conf->foreign && (at = strstr(p, "${")) != NULL) {
		bool plain = at > p && at[-1] == '$';

		(void)buf_add(out, p, (size_t)(at - p) - plain);
		p = at + 2;
		if (plain)
			r = buf_adds(out, "${");
		else
			r = expand_one(s, n, p, out, &p);
		if (r == -E2BIG)
			return CONF_WRONG(s, n, "the value is too long");
	}
	if (r == 0)
		r = buf_adds(out, p);
	return r == -ENOMEM ? conf_no_memory(s) : r;
}

static bool is_boolean(const struct ytree_node *n)
{
	static const char *const words[] = {"true",  "True",  "TRUE",
	                                    "false", "False", "FALSE"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (n->plain && strcmp(n->text, words[i]) == 0)
			return true;
	return false;
}

static const char *label(const struct ytree_node *n)
{
	return n->key ? n->key : "the value";
}

/* A scalar as text, with its variables. */
int conf_value(struct conf_source *s, const struct ytree_node *n,
               struct buf *out)
{
	if (n->kind != YTREE_SCALAR)
		return CONF_WRONG(s, n, "%s is a %s, not a text", label(n),
		                  n->kind == YTREE_LIST ? "list" : "map");
	if (ytree_is_null(n))
		return CONF_WRONG(s, n, "%s has no value", label(n));
	if (is_boolean(n)) {
		CONF_WRONG(s, n, "%s is a boolean, not a text", label(n));
		err_hint(s->err, "put it in quotes");
		return -EINVAL;
	}
	return expand(s, n, out);
}

int conf_expect(struct conf_source *s, const struct ytree_node *n,
                enum ytree_kind kind)
{
	if (n->kind == kind)
		return 0;
	return CONF_WRONG(s, n, "%s is not a %s", label(n),
	                  kind == YTREE_LIST ? "list" : "map");
}

int conf_set_any_text(struct conf_source *s, const struct conf_field *f,
                      const struct ytree_node *n)
{
	struct buf cleanup_buf b = CONF_VALUE_INIT;
	char **to = conf_member(s, f), *text;
	int r = conf_value(s, n, &b);

	if (r < 0)
		return r;
	text = buf_steal(&b);
	if (!text)
		return conf_no_memory(s);
	free(*to);
	*to = text;
	return 0;
}

int conf_set_text(struct conf_source *s, const struct conf_field *f,
                  const struct ytree_node *n)
{
	const char *const *to = conf_member(s, f);
	int r = conf_set_any_text(s, f, n);

	return r == 0 && !**to ? CONF_WRONG(s, n, "%s is empty", f->name) : r;
}

int conf_set_bool(struct conf_source *s, const struct conf_field *f,
                  const struct ytree_node *n)
{
	if (n->kind != YTREE_SCALAR || !is_boolean(n))
		return CONF_WRONG(s, n, "%s is neither true nor false",
		                  f->name);
	*(bool *)conf_member(s, f) = (*n->text | 0x20) == 't';
	return 0;
}

int conf_set_not(struct conf_source *s, const struct conf_field *f,
                 const struct ytree_node *n)
{
	bool *to = conf_member(s, f);
	int r = conf_set_bool(s, f, n);

	if (r == 0)
		*to = !*to;
	return r;
}

int conf_put_beside(struct conf_source *s, char **path)
{
	const char *slash = strrchr(s->path, '/');
	char *text;

	if (**path == '/' || !slash)
		return 0;
	if (asprintf(&text, "%s%.*s%s", strchr("./", *s->path) ? "" : "./",
	             (int)(slash + 1 - s->path), s->path, *path) < 0)
		return conf_no_memory(s);
	free(*path);
	*path = text;
	return 0;
}

int conf_set_path(struct conf_source *s, const struct conf_field *f,
                  const struct ytree_node *n)
{
	int r = conf_set_text(s, f, n);

	return r < 0 ? r : conf_put_beside(s, conf_member(s, f));
}

/* A path of the host begins with a dot or slash. */
static int set_image_text(struct conf_source *s, const struct conf_field *f,
                          const struct ytree_node *n)
{
	int r = conf_set_text(s, f, n);

	return r < 0 || *s->conf->image != '.'
	               ? r
	               : conf_put_beside(s, &s->conf->image);
}

static int set_bind(struct conf_source *s, const struct conf_field *f,
                    const struct ytree_node *n)
{
	int r = set_image_text(s, f, n);

	if (r == 0 && !strchr("./", *s->conf->image))
		return CONF_WRONG(s, n,
		                  "%s is not a path: it begins with . or /",
		                  s->conf->image);
	return r;
}

static int set_count(struct conf_source *s, const struct conf_field *f,
                     const struct ytree_node *n)
{
	struct buf cleanup_buf b = CONF_VALUE_INIT;
	uint64_t count;
	int r = conf_value(s, n, &b);

	if (r < 0)
		return r;
	if (!num_parse_u64(buf_str(&b), MSB_CPUS_MAX, &count) || count == 0)
		return CONF_WRONG(s, n, "%s is not a number from 1 to %d",
		                  f->name, MSB_CPUS_MAX);
	*(uint32_t *)conf_member(s, f) = (uint32_t)count;
	return 0;
}

void conf_said(struct conf_source *s, const struct conf_field *f)
{
	if (f->flag)
		*(bool *)((char *)s->base + f->flag) = true;
}

int conf_set_size(struct conf_source *s, const struct conf_field *f,
                  const struct ytree_node *n)
{
	struct buf cleanup_buf b = CONF_VALUE_INIT;
	uint64_t *to = conf_member(s, f), size;
	int r = conf_value(s, n, &b);

	if (r < 0)
		return r;
	if (!num_parse_size(buf_str(&b), MIB, &size) || size == 0) {
		CONF_WRONG(s, n, "%s is not a size", f->name);
		err_hint(s->err, "for example 512M or 2G; a bare number is "
		                 "MiB");
		return -EINVAL;
	}
	*to = size;
	conf_said(s, f);
	return 0;
}

#define ID_MAX (UINT32_MAX - 1)

int conf_set_id(struct conf_source *s, const struct conf_field *f,
                const struct ytree_node *n)
{
	struct buf cleanup_buf b = CONF_VALUE_INIT;
	uint64_t id;
	int r = conf_value(s, n, &b);

	if (r < 0)
		return r;
	if (!num_parse_u64(buf_str(&b), ID_MAX, &id))
		return CONF_WRONG(s, n, "%s is not a number from 0 to %u",
		                  f->name, ID_MAX);
	*(uint32_t *)conf_member(s, f) = (uint32_t)id;
	conf_said(s, f);
	return 0;
}

int conf_set_duration(struct conf_source *s, const struct conf_field *f,
                      const struct ytree_node *n)
{
	struct buf cleanup_buf b = CONF_VALUE_INIT;
	uint64_t *to = conf_member(s, f), ms;
	int r = conf_value(s, n, &b);

	if (r < 0)
		return r;
	if (!num_parse_duration_ms(buf_str(&b), &ms) || ms == 0) {
		CONF_WRONG(s, n, "%s is not a duration", f->name);
		err_hint(s->err, "for example 30s, 5m or 2h; a bare number is "
		                 "seconds");
		return -EINVAL;
	}
	*to = ms;
	return 0;
}

static int set_pull(struct conf_source *s, const struct conf_field *f,
                    const struct ytree_node *n)
{
	static const struct {
		const char *word;
		enum msb_pull_policy policy;
	} words[] = {
		{"missing",    MSB_PULL_MISSING},
		{"if-missing", MSB_PULL_MISSING},
		{"always",     MSB_PULL_ALWAYS },
		{"never",      MSB_PULL_NEVER  },
	};
	struct buf cleanup_buf b = CONF_VALUE_INIT;
	int r = conf_value(s, n, &b);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(buf_str(&b), words[i].word) == 0) {
			s->conf->pull = (int32_t)words[i].policy + 1;
			return 0;
		}
	return CONF_WRONG(s, n, "%s is not missing, always or never", f->name);
}

int conf_set_list(struct conf_source *s, const struct conf_field *f,
                  const struct ytree_node *n)
{
	struct strv *to = conf_member(s, f);
	int r = conf_expect(s, n, YTREE_LIST);

	if (r < 0)
		return r;
	strv_release(to);
	for (const struct ytree_node *c = n->child; c && r == 0; c = c->next) {
		struct buf cleanup_buf b = CONF_VALUE_INIT;

		r = conf_value(s, c, &b);
		if (r == 0 && strv_add(to, buf_str(&b)) < 0)
			r = conf_no_memory(s);
	}
	if (r == 0)
		conf_said(s, f);
	return r;
}

static int set_pair(struct conf_source *s, struct strv *to,
                    const struct ytree_node *n)
{
	struct buf cleanup_buf b = CONF_VALUE_INIT;
	int r;

	if (strchr(n->key, '='))
		return ytree_error(s->err, s->path, n->key_at,
		                   "'%s' has a =", n->key);
	(void)buf_printf(&b, "%s=", n->key);
	r = conf_value(s, n, &b);
	if (r == 0 && strv_env_set(to, buf_str(&b)) < 0)
		r = conf_no_memory(s);
	return r;
}

static int set_pairs(struct conf_source *s, const struct conf_field *f,
                     const struct ytree_node *n)
{
	int r = conf_expect(s, n, YTREE_MAP);

	for (const struct ytree_node *c = n->child; c && r == 0; c = c->next)
		r = set_pair(s, conf_member(s, f), c);
	return r;
}

static int set_scripts(struct conf_source *s, const struct conf_field *f,
                       const struct ytree_node *n)
{
	int r = conf_expect(s, n, YTREE_MAP);

	for (const struct ytree_node *c = n->child; c && r == 0; c = c->next) {
		if (!scripts_name_ok(c->key, strlen(c->key)))
			return ytree_error(s->err, s->path, c->key_at,
			                   "'%s' cannot be a script's name",
			                   c->key);
		r = set_pair(s, conf_member(s, f), c);
	}
	return r;
}

/* Nothing in it is nothing refused. */
int conf_set_later(struct conf_source *s, const struct conf_field *f,
                   const struct ytree_node *n)
{
	if (n->kind != YTREE_SCALAR && !n->n)
		return 0;
	ytree_error(s->err, s->path, n->key ? n->key_at : n->at,
	            "%s cannot be set yet", f->name);
	err_hint(s->err, "this msb does not know it; it comes with %s",
	         f->later);
	return -EINVAL;
}

static int set_security(struct conf_source *s, const struct conf_field *f,
                        const struct ytree_node *n)
{
	if (n->kind == YTREE_SCALAR && strcmp(n->text, "default") == 0)
		return 0;
	return conf_set_later(s, f, n);
}

static int unknown(struct conf_source *s, const struct conf_field *known,
                   unsigned scopes, const struct ytree_node *n)
{
	struct buf cleanup_buf all = BUF_INIT;

	for (const struct conf_field *f = known; f->name; f++)
		if ((f->scopes & scopes) && !f->later)
			(void)buf_printf(&all, "%s%s", all.len ? ", " : "",
			                 f->name);
	ytree_error(s->err, s->path, n->key_at, "unknown key %s", n->key);
	err_hint(s->err, "known are %s", buf_str(&all));
	return -EINVAL;
}

/* A map whose keys are those of @known that have one of @scopes. */
int conf_map(struct conf_source *s, const struct conf_field *known,
             unsigned scopes, const struct ytree_node *n)
{
	int r = conf_expect(s, n, YTREE_MAP);

	for (const struct ytree_node *c = n->child; c && r == 0; c = c->next) {
		const struct conf_field *f = known;

		while (f->name &&
		       (strcmp(f->name, c->key) != 0 || !(f->scopes & scopes)))
			f++;
		r = f->name ? f->set(s, f, c) : unknown(s, known, scopes, c);
	}
	return r;
}

#define AT(f) offsetof(struct conf, f)

#define FIELD(n, s, f, sc)                                                     \
	{                                                                      \
		.name = (n), .set = (s), .offset = AT(f), .scopes = (sc)       \
	}
#define FIELD_LATER(n, s, l, sc)                                               \
	{                                                                      \
		.name = (n), .set = (s), .later = (l), .scopes = (sc)          \
	}

#define FIELD_LIST(n, f, has)                                                  \
	{                                                                      \
		.name = (n), .set = conf_set_list, .offset = AT(f),            \
		.scopes = SCOPE_SANDBOX | SCOPE_RUNTIME, .flag = AT(has)       \
	}

static const struct conf_field init_fields[] = {
	FIELD("cmd", conf_set_text, init, CONF_ALL),
	FIELD("args", conf_set_list, init_args, CONF_ALL),
	FIELD("env", set_pairs, init_env, CONF_ALL),
	{0},
};

static int set_init(struct conf_source *s, const struct conf_field *f,
                    const struct ytree_node *n)
{
	(void)f;
	return conf_map(s, init_fields, CONF_ALL, n);
}

static const struct conf_field image_fields[] = {
	FIELD("oci", conf_set_text, image, CONF_ALL),
	FIELD("upper_size", conf_set_size, upper, CONF_ALL),
	FIELD("bind", set_bind, image, CONF_ALL),
	FIELD("disk", set_bind, image, CONF_ALL),
	FIELD("fstype", conf_set_text, root_fstype, CONF_ALL),
	FIELD("snapshot", conf_set_text, snapshot, CONF_ALL),
	{0},
};

static bool has_key(const struct ytree_node *n, const char *key)
{
	for (const struct ytree_node *c = n->child; c; c = c->next)
		if (strcmp(c->key, key) == 0)
			return true;
	return false;
}

/* As msb_image_pull() takes it: PATH:format=...,fstype=... */
static int add_fstype(struct conf_source *s)
{
	const struct conf *c = s->conf;
	const char *colon = strrchr(c->image, ':');
	char *whole;

	if (asprintf(&whole, "%s%cfstype=%s", c->image,
	             colon && strncmp(colon, ":format=", 8) == 0 ? ',' : ':',
	             c->root_fstype) < 0)
		return conf_no_memory(s);
	free(s->conf->image);
	s->conf->image = whole;
	return 0;
}

static int set_image(struct conf_source *s, const struct conf_field *f,
                     const struct ytree_node *n)
{
	int r;

	if (n->kind == YTREE_SCALAR)
		return set_image_text(s, f, n);
	r = conf_map(s, image_fields, CONF_ALL, n);
	if (r == 0 && has_key(n, "oci") + has_key(n, "bind") +
	                              has_key(n, "disk") +
	                              has_key(n, "snapshot") !=
	                      1)
		return CONF_WRONG(
			s, n, "image needs one of oci, bind, disk, snapshot");
	if (r == 0 && has_key(n, "fstype"))
		return has_key(n, "disk")
		               ? add_fstype(s)
		               : CONF_WRONG(s, n, "fstype is a disk's");
	return r;
}

/* A resource limit is gathered first. */
struct limit {
	char *resource, *soft, *hard;
};

static const struct conf_field limit_fields[] = {
	{"resource",             conf_set_text, offsetof(struct limit, resource), CONF_ALL,
         NULL, 0},
	{"soft", conf_set_text, offsetof(struct limit, soft), CONF_ALL, NULL,
         0},
	{"hard",              conf_set_text, offsetof(struct limit, hard), CONF_ALL, NULL,
         0},
	{0		    },
};

static void limit_release(struct limit *l)
{
	free(l->resource);
	free(l->soft);
	free(l->hard);
}

static int set_limit(struct conf_source *s, struct strv *to,
                     const struct ytree_node *n)
{
	struct limit cleanup(limit_release) l = {0};
	struct conf_source in = *s;
	int r;

	in.base = &l;
	r = conf_map(&in, limit_fields, CONF_ALL, n);
	if (r < 0)
		return r;
	if (!l.resource || !l.soft)
		return CONF_WRONG(s, n, "a limit needs resource and soft");
	if (strv_addf(to, "%s=%s%s%s", l.resource, l.soft, l.hard ? ":" : "",
	              l.hard ? l.hard : "") < 0)
		return conf_no_memory(s);
	return 0;
}

static int set_limits(struct conf_source *s, const struct conf_field *f,
                      const struct ytree_node *n)
{
	struct strv *to = conf_member(s, f);
	int r = conf_expect(s, n, YTREE_LIST);

	if (r == 0)
		strv_release(to);
	for (const struct ytree_node *c = n->child; c && r == 0; c = c->next)
		r = set_limit(s, to, c);
	return r;
}

static const struct conf_field fields[] = {
	FIELD("image", set_image, image, SCOPE_SANDBOX),
	FIELD("pull_policy", set_pull, pull, SCOPE_SANDBOX),
	FIELD("cpus", set_count, cpus, SCOPE_SANDBOX | SCOPE_RESOURCE),
	FIELD("memory", conf_set_size, memory, SCOPE_SANDBOX | SCOPE_RESOURCE),
	FIELD("max_duration", conf_set_duration, max_duration_ms,
              SCOPE_SANDBOX | SCOPE_RESOURCE),
	FIELD("idle_timeout", conf_set_duration, idle_timeout_ms,
              SCOPE_SANDBOX | SCOPE_RESOURCE),
	FIELD("rlimits", set_limits, rlimits, SCOPE_SANDBOX | SCOPE_RESOURCE),
	FIELD("workdir", conf_set_text, workdir, SCOPE_SANDBOX | SCOPE_RUNTIME),
	FIELD("shell", conf_set_text, shell, SCOPE_SANDBOX | SCOPE_RUNTIME),
	FIELD("user", conf_set_text, user, SCOPE_SANDBOX | SCOPE_RUNTIME),
	FIELD("hostname", conf_set_text, hostname,
              SCOPE_SANDBOX | SCOPE_RUNTIME),
	FIELD_LIST("entrypoint", entrypoint, has_entrypoint),
	FIELD_LIST("cmd", cmd, has_cmd),
	FIELD("env", set_pairs, env, SCOPE_SANDBOX | SCOPE_RUNTIME),
	FIELD("labels", set_pairs, labels, SCOPE_SANDBOX | SCOPE_RUNTIME),
	FIELD("init", set_init, init, SCOPE_SANDBOX | SCOPE_RUNTIME),
	FIELD("scripts", set_scripts, scripts, SCOPE_SANDBOX),
	FIELD_LATER("registry", conf_set_later,
                    "other credentials than msb's own", SCOPE_SANDBOX),
	FIELD_LATER("security", set_security, "a later version",
                    SCOPE_SANDBOX | SCOPE_RUNTIME),
	FIELD("mounts", conf_set_mounts, mounts, SCOPE_SANDBOX | SCOPE_FS),
	FIELD("patch_files", conf_set_patch_files, patch_files,
              SCOPE_SANDBOX | SCOPE_FS),
	FIELD("patches", conf_set_patches, patches, SCOPE_SANDBOX | SCOPE_FS),
	FIELD("network", conf_set_network, net, SCOPE_SANDBOX),
	FIELD("ports", conf_set_ports, net.more_ports, SCOPE_SANDBOX),
	FIELD("secrets", conf_set_secrets, secret, SCOPE_SANDBOX),
	{0},
};

/* What a document of an option is. */
static const struct document {
	const char *option;
	unsigned scope;
} documents[] = {
	{"conf",          SCOPE_SANDBOX },
        {"resource-conf", SCOPE_RESOURCE},
	{"runtime-conf",  SCOPE_RUNTIME },
        {"script-conf",   SCOPE_SCRIPT  },
	{"net-conf",      SCOPE_NET     },
        {"fs-conf",       SCOPE_FS      },
	{"secret-conf",   SCOPE_SECRET  },
};

static const struct document *find_document(const char *option, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++)
		if (strlen(documents[i].option) == len &&
		    strncmp(documents[i].option, option, len) == 0)
			return &documents[i];
	return NULL;
}

static int parse(struct conf *c, const struct document *d, const char *path,
                 const struct buf *b, struct err *err)
{
	static const struct conf_field scripts =
		FIELD("scripts", set_scripts, scripts, CONF_ALL);
	struct ytree_node *cleanup_ytree tree = NULL;
	size_t expanded = 0;
	struct conf_source s = {.conf = c,
	                        .base = c,
	                        .path = path,
	                        .err = err,
	                        .expanded = &expanded};
	int r = ytree_read(b->data, b->len, path, &tree, err);

	if (r < 0)
		return r;
	if (d->scope == SCOPE_NET)
		return conf_read_net(&s, tree);
	if (d->scope == SCOPE_SECRET)
		return conf_read_secrets(&s, tree);
	if (d->scope == SCOPE_SCRIPT)
		return set_scripts(&s, &scripts, tree);
	return conf_map(&s, fields, d->scope, tree);
}

/* A pipe is fine, as in --conf <(...); a device is not. */
int conf_read_file(const char *path, struct buf *b)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
		return -EISDIR;
	return fd_read_all(fd, b);
}

int conf_parse(struct conf *c, const char *option, const char *path,
               const void *data, size_t len, struct err *err)
{
	const struct document *d = find_document(option, strlen(option));
	struct buf b = {.data = (uint8_t *)(uintptr_t)data, .len = len};

	if (!d)
		return err_set(err, -EINVAL, "--%s: no such option", option);
	return parse(c, d, path, &b, err);
}

int conf_read(struct conf *c, const char *what, struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(YTREE_SIZE_MAX);
	size_t len = strcspn(what, ":");
	const char *path = what + len + (what[len] == ':');
	const struct document *d = find_document(what, len);
	int r;

	if (!d)
		return err_set(err, -EINVAL, "--%.*s: no such option", (int)len,
		               what);
	r = conf_read_file(path, &b);
	if (r == -E2BIG)
		return err_set(err, r, "%s: larger than %u KiB", path,
		               YTREE_SIZE_MAX >> 10);
	if (r < 0)
		return err_set(err, r, "--%.*s: cannot read '%s': %s", (int)len,
		               what, path,
		               r == -EISDIR ? "not a file" : strerror(-r));
	return parse(c, d, path, &b, err);
}
