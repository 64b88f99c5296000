#include "lib/defaults_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"
#include "lib/defaults.h"
#include "lib/toml.h"

#include "base/banned.h"

#define FILE_MAX  (64u << 10)
#define WHERE_MAX 512
#define TEXT_MAX  4096u

static const char section_all[] = "sandbox_defaults";
static const char section_one[] = "sandbox";

const struct default_names default_engines = {"engine", defaults_engines,
                                              DEFAULTS_ENGINES};
const struct default_names default_accels = {"accel", defaults_accels,
                                             DEFAULTS_ACCELS};

/* A value as either file has it. */
struct value {
	enum { VALUE_NUMBER, VALUE_TEXT, VALUE_OTHER } kind;
	int64_t number;
	const char *text;
};

/* Where a value stands, and what it is called there. */
struct spot {
	const char *where;   /* "PATH" or "PATH:LINE" */
	const char *section; /* "sandbox_defaults" */
	const char *source;  /* of the whole section, lives in the result */
};

struct key {
	const char *name;
	enum default_key slot;
	int (*put)(const struct key *k, const struct value *v,
	           struct default_value *to);
	int64_t min, max, unit;
	const struct default_names *names;
	const char *want; /* "is not WANT"; NULL: made of the limits */
};

/* ---- values -------------------------------------------------------------- */

static int put_number(const struct key *k, const struct value *v,
                      struct default_value *to)
{
	if (v->kind != VALUE_NUMBER || v->number < k->min || v->number > k->max)
		return -EINVAL;
	to->number = (uint64_t)(v->number * k->unit);
	return 0;
}

static int put_name(const struct key *k, const struct value *v,
                    struct default_value *to)
{
	int found =
		v->kind == VALUE_TEXT ? default_find(k->names, v->text) : -1;

	if (found < 0)
		return -EINVAL;
	to->number = (uint64_t)found;
	return 0;
}

static int put_text(const struct key *k, const struct value *v,
                    struct default_value *to)
{
	size_t len = v->kind == VALUE_TEXT ? strlen(v->text) : 0;
	char *copy;

	if (len == 0 || len > TEXT_MAX || (k->max && *v->text != k->max))
		return -EINVAL;
	copy = strdup(v->text);
	if (!copy)
		return -ENOMEM;
	free(to->text);
	to->text = copy;
	return 0;
}

/* A bare number counts units. */
static int put_size(const struct key *k, const struct value *v,
                    struct default_value *to)
{
	uint64_t bytes;

	if (v->kind == VALUE_NUMBER)
		return put_number(k, v, to);
	if (v->kind != VALUE_TEXT || !num_parse_size(v->text, MIB, &bytes) ||
	    bytes < (uint64_t)(k->min * k->unit) ||
	    bytes > (uint64_t)(k->max * k->unit))
		return -EINVAL;
	to->number = bytes;
	return 0;
}

static int put_duration(const struct key *k, const struct value *v,
                        struct default_value *to)
{
	uint64_t ms;

	if (v->kind == VALUE_NUMBER)
		return put_number(k, v, to);
	if (v->kind != VALUE_TEXT || !num_parse_duration_ms(v->text, &ms) ||
	    ms == 0 || ms > (uint64_t)(k->max * k->unit))
		return -EINVAL;
	to->number = ms;
	return 0;
}

#define MEMORY_LIMITS MSB_MEMORY_MIN / MIB, MSB_MEMORY_MAX / MIB, MIB
#define SECONDS       1, INT32_MAX, 1000
static const char a_duration[] = "a duration, as \"90s\" or \"2h\"";

static const struct key keys[] = {
	{"cpus",				   DEFAULT_CPUS,         put_number,						 1,MSB_CPUS_MAX, 1, NULL, NULL},
	{"memory_mib",				    DEFAULT_MEMORY,							put_number,												       MEMORY_LIMITS,NULL,NULL},
	{"memory",				    DEFAULT_MEMORY,							put_size,													   MEMORY_LIMITS,NULL,
         "a size from 64 MiB to 1 TiB, as \"2G\""																			     },
	{"engine", DEFAULT_ENGINE,                     put_name,									0,0,0,&default_engines, NULL},
	{"accel",				       DEFAULT_ACCEL,					   put_name,												 0,0,							      0,																																												  &default_accels, NULL},
	{"shell",				       DEFAULT_SHELL,							  put_text,                   0,0,0,NULL, "a text"},
	{"workdir",DEFAULT_WORKDIR,put_text,0,'/',									     0,																																																																							    NULL,
         "an absolute path"},
	{"user",					DEFAULT_USER,						    put_text,													   0, 0,                              0,													     NULL, "a text"},
	{"max_duration",				    DEFAULT_MAX_DURATION,                                             put_duration,												       SECONDS,NULL,
         a_duration},
	{"idle_timeout",				       DEFAULT_IDLE_TIMEOUT,							  put_duration,														SECONDS,NULL,
         a_duration},
};

static void known_keys(struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		(void)buf_printf(&b, "%s, ", keys[i].name);
	err_hint(err, "known are %sand env", buf_str(&b));
}

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}

/* "WHERE: SECTION.KEY is not ..." */
static int bad_value(const struct key *k, const struct spot *p, struct err *err)
{
	char names[128];

	if (k->want)
		return err_set(err, -EINVAL, "%s: %s.%s is not %s", p->where,
		               p->section, k->name, k->want);
	if (!k->names)
		return err_set(err, -EINVAL,
		               "%s: %s.%s is not a number from %lld to %lld",
		               p->where, p->section, k->name, (long long)k->min,
		               (long long)k->max);
	default_list(k->names, names, sizeof(names));
	return err_set(err, -EINVAL, "%s: %s.%s is not one of: %s", p->where,
	               p->section, k->name, names);
}

static int put_value(struct defaults_file *f, const char *name,
                     const struct value *v, const struct spot *p,
                     struct err *err)
{
	const struct key *k = keys, *end = keys + ARRAY_SIZE(keys);
	int r;

	while (k < end && strcmp(k->name, name) != 0)
		k++;
	if (k == end) {
		err_set(err, -EINVAL, "%s: unknown key %s.%s", p->where,
		        p->section, name);
		known_keys(err);
		return -EINVAL;
	}
	if (f->values[k->slot].from == p->source)
		return err_set(err, -EINVAL,
		               "%s: %s.%s says again what another key says",
		               p->where, p->section, name);
	r = k->put(k, v, &f->values[k->slot]);
	if (r == -ENOMEM)
		return no_memory(err);
	if (r < 0)
		return bad_value(k, p, err);
	f->values[k->slot].from = p->source;
	return 0;
}

static int put_env(struct defaults_file *f, const char *name,
                   const struct value *v, const struct spot *p, struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT;

	if (!*name || strchr(name, '=') || strncmp(name, "MSB_", 4) == 0)
		return err_set(err, -EINVAL,
		               "%s: '%s' cannot be a variable of %s.env",
		               p->where, name, p->section);
	if (v->kind != VALUE_TEXT)
		return err_set(err, -EINVAL, "%s: %s.env.%s is not a text",
		               p->where, p->section, name);
	if (buf_printf(&b, "%s=%s", name, v->text) < 0 ||
	    strv_env_set(&f->env, buf_str(&b)) < 0)
		return no_memory(err);
	return 0;
}

/* A name for a section that stays until the release. */
static int add_source(struct defaults_file *f, const char *path,
                      const char *section, const char **ret, struct err *err)
{
	if (strv_addf(&f->sources, "%s%s%s%s", path, section ? " [" : "",
	              section ? section : "", section ? "]" : "") < 0)
		return no_memory(err);
	*ret = f->sources.v[f->sources.n - 1];
	return 0;
}

/* ---- config.json --------------------------------------------------------- */

static struct value json_value_of(const json_t *j)
{
	struct value v = {.kind = VALUE_OTHER};

	if (json_is_integer(j)) {
		v.kind = VALUE_NUMBER;
		v.number = json_integer_value(j);
	} else if (json_is_string(j)) {
		v.kind = VALUE_TEXT;
		v.text = json_string_value(j);
	}
	return v;
}

static int json_env(struct defaults_file *f, json_t *o, const struct spot *p,
                    struct err *err)
{
	const char *name;
	json_t *j;
	int r = 0;

	if (!json_is_object(o))
		return err_set(err, -EINVAL, "%s: %s.env is not an object",
		               p->where, p->section);
	json_object_foreach(o, name, j)
	{
		struct value v = json_value_of(j);

		r = put_env(f, name, &v, p, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int json_section(struct defaults_file *f, json_t *o,
                        const struct spot *p, struct err *err)
{
	const char *name;
	json_t *j;
	int r;

	if (!json_is_object(o))
		return err_set(err, -EINVAL, "%s: %s is not an object",
		               p->where, p->section);
	json_object_foreach(o, name, j)
	{
		struct value v = json_value_of(j);

		r = strcmp(name, "env") == 0 ? json_env(f, j, p, err)
		                             : put_value(f, name, &v, p, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_json(struct defaults_file *f, const struct buf *b,
                      const char *name, struct err *err)
{
	json_t *cleanup_json j = json_parse(b->data, b->len, f->json_path, err);
	struct spot p = {.where = f->json_path, .section = section_all};
	const char *key;
	json_t *v;
	int r;

	(void)name;
	if (!j)
		return -EINVAL;
	if (!json_is_object(j))
		return err_set(err, -EINVAL, "%s: not an object", f->json_path);
	r = add_source(f, f->json_path, NULL, &p.source, err);
	if (r < 0)
		return r;
	json_object_foreach(j, key, v)
	{
		if (strcmp(key, section_all) != 0) {
			err_set(err, -EINVAL, "%s: unknown key %s",
			        f->json_path, key);
			err_hint(err, "known is %s", section_all);
			return -EINVAL;
		}
		r = json_section(f, v, &p, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- config.toml --------------------------------------------------------- */

/* What a table of the file is. */
struct section {
	bool all;         /* [sandbox_defaults] */
	const char *name; /* of [sandbox.NAME] */
	bool env;         /* its [... .env] */
};

static int section_of(const struct toml_table *t, const char *path,
                      struct section *ret, struct err *err)
{
	char *const *v = t->path.v;
	size_t n = t->path.n;
	struct section s = {0};

	if (n > 1 && strcmp(v[n - 1], "env") == 0 &&
	    (n > 2 || strcmp(v[0], section_all) == 0)) {
		s.env = true;
		n--;
	}
	if (n == 1 && strcmp(v[0], section_all) == 0) {
		s.all = true;
	} else if (n == 2 && strcmp(v[0], section_one) == 0) {
		s.name = v[1];
	} else {
		err_set(err, -EINVAL, "%s:%u: unknown table", path, t->line);
		err_hint(err, "known are [sandbox_defaults], "
		              "[sandbox_defaults.env], [sandbox.NAME] and "
		              "[sandbox.NAME.env]");
		return -EINVAL;
	}
	*ret = s;
	return 0;
}

static struct value toml_value_of(const struct toml_entry *e)
{
	struct value v = {.kind = VALUE_OTHER};

	if (e->kind == TOML_NUMBER)
		v.kind = VALUE_NUMBER;
	if (e->kind == TOML_TEXT)
		v.kind = VALUE_TEXT;
	v.number = e->number;
	v.text = e->text;
	return v;
}

static int toml_table_put(struct defaults_file *f, const struct toml *doc,
                          size_t table, const struct section *s,
                          const char *source, struct err *err)
{
	char title[WHERE_MAX], where[WHERE_MAX];
	struct spot p = {.where = where, .section = title, .source = source};
	int r = 0;

	(void)snprintf(title, sizeof(title), "%s%s",
	               s->all ? section_all : "sandbox.",
	               s->all ? "" : s->name);
	for (size_t i = 0; i < doc->nentries && r == 0; i++) {
		const struct toml_entry *e = &doc->entries[i];
		struct value v = toml_value_of(e);

		if (e->table != table)
			continue;
		(void)snprintf(where, sizeof(where), "%s:%u", f->toml_path,
		               e->line);
		r = s->env ? put_env(f, e->key, &v, &p, err)
		           : put_value(f, e->key, &v, &p, err);
	}
	return r;
}

/*
 * All tables are checked, also those of other sandboxes: those go into a
 * struct of no use. First the defaults, then @name's: whatever their order.
 */
static int toml_pass(struct defaults_file *f, const struct toml *doc,
                     const char *name, bool all, struct err *err)
{
	int r = 0;

	for (size_t t = 1; t < doc->ntables && r == 0; t++) {
		struct defaults_file cleanup_defaults_file other = {
			.toml_path = f->toml_path};
		struct defaults_file *to = f;
		const char *source = NULL;
		struct section s;

		r = section_of(&doc->tables[t], f->toml_path, &s, err);
		if (r == 0 && s.all == all) {
			if (!s.all && (!name || strcmp(name, s.name) != 0))
				to = &other;
			r = add_source(to, f->toml_path,
			               s.all ? section_all : s.name, &source,
			               err);
			if (r == 0)
				r = toml_table_put(to, doc, t, &s, source, err);
		}
		other.toml_path = NULL;
	}
	return r;
}

static int parse_toml(struct defaults_file *f, const struct buf *b,
                      const char *name, struct err *err)
{
	struct toml cleanup_toml doc = {0};
	int r = toml_parse(b->data, b->len, f->toml_path, &doc, err);

	if (r < 0)
		return r;
	if (doc.nentries && doc.entries[0].table == 0) {
		err_set(err, -EINVAL, "%s:%u: %s stands before any table",
		        f->toml_path, doc.entries[0].line, doc.entries[0].key);
		err_hint(err, "begin with [%s]", section_all);
		return -EINVAL;
	}
	r = toml_pass(f, &doc, name, true, err);
	return r < 0 ? r : toml_pass(f, &doc, name, false, err);
}

/* ---- files --------------------------------------------------------------- */

/* A fifo must not stop us, a device must not be read. */
static int read_file(const char *path, struct buf *b)
{
	cleanup_close int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? fd_read_all(fd, b) : -EISDIR;
}

typedef int (*parse_fn)(struct defaults_file *f, const struct buf *b,
                        const char *name, struct err *err);

/* 1 read, 0 not there. */
static int read_one(struct defaults_file *f, const char *path, bool must,
                    parse_fn parse, const char *name, struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(FILE_MAX);
	int r = read_file(path, &b);

	if (!must && (r == -ENOENT || r == -ENOTDIR))
		return 0;
	if (r == 0)
		r = parse(f, &b, name, err);
	else if (r == -E2BIG)
		err_set(err, r, "%s: larger than %u KiB", path, FILE_MAX >> 10);
	else
		err_set(err, r, "%s: %s", path,
		        r == -EISDIR ? "not a file" : strerror(-r));
	if (r < 0 && err && !err->hint[0])
		err_hint(err, must ? "repair it, or unset MSB_CONFIG_PATH"
		                   : "repair or remove the file");
	return r < 0 ? r : 1;
}

static int find_json(struct defaults_file *f, const char *home, bool *ret_must)
{
	const char *set = getenv("MSB_CONFIG_PATH");

	*ret_must = set && *set;
	if (asprintf(&f->json_path, "%s%s", *ret_must ? set : home,
	             *ret_must ? "" : "/config.json") < 0) {
		f->json_path = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* A relative XDG_CONFIG_HOME is invalid by its own rules. */
static int find_toml(struct defaults_file *f)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	bool own = xdg && *xdg == '/';

	if (!own && (!home || *home != '/'))
		return 0;
	if (asprintf(&f->toml_path, "%s%s/microsandbox/config.toml",
	             own ? xdg : home, own ? "" : "/.config") < 0) {
		f->toml_path = NULL;
		return -ENOMEM;
	}
	return 0;
}

int defaults_file_read(struct defaults_file *f, const char *home,
                       const char *name, struct err *err)
{
	bool must;
	int r;

	if (find_json(f, home, &must) < 0 || find_toml(f) < 0)
		return no_memory(err);
	r = read_one(f, f->json_path, must, parse_json, name, err);
	if (r < 0)
		return r;
	f->has_json = r;
	if (!f->toml_path)
		return 0;
	r = read_one(f, f->toml_path, false, parse_toml, name, err);
	if (r < 0)
		return r;
	f->has_toml = r;
	return 0;
}

void defaults_file_release(struct defaults_file *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(f->values); i++)
		free(f->values[i].text);
	strv_release(&f->env);
	strv_release(&f->sources);
	free(f->json_path);
	free(f->toml_path);
	*f = (struct defaults_file){0};
}

int default_find(const struct default_names *k, const char *text)
{
	for (int i = 1; text && i < k->n; i++)
		if (strcmp(k->names[i], text) == 0)
			return i;
	return -1;
}

void default_list(const struct default_names *k, char *out, size_t len)
{
	size_t used = 0;

	for (int i = 1; i < k->n && used < len; i++)
		used += (size_t)snprintf(out + used, len - used, "%s%s",
		                         i > 1 ? ", " : "", k->names[i]);
}
