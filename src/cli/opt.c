#include "cli/opt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"

#include "base/banned.h"

#define NEAREST_MAX 64
#define NAMES_MAX   128
#define COUNT_MAX   100000u

const char *const opt_format_choices[] = {"text", "json", NULL};

static int bad_value(const struct opt *o, const char *text, const char *want,
                     struct err *err)
{
	return err_set(err, -EINVAL, "--%s: '%s' is not %s", o->name, text,
	               want);
}

static int set_count(const struct opt *o, void *v, const char *text,
                     struct err *err)
{
	uint64_t n;

	if (!num_parse_u64(text, COUNT_MAX, &n) || n == 0)
		return bad_value(o, text, "a number of 1 or more", err);
	*(uint32_t *)v = (uint32_t)n;
	return 0;
}

static int set_memory(const struct opt *o, void *v, const char *text,
                      struct err *err)
{
	if (!num_parse_size(text, MIB, v) || *(uint64_t *)v == 0) {
		bad_value(o, text, "a size", err);
		err_hint(err, "for example 512M or 2G; a bare number is MiB");
		return -EINVAL;
	}
	return 0;
}

static int set_duration(const struct opt *o, void *v, const char *text,
                        struct err *err)
{
	if (!num_parse_duration_ms(text, v) || *(uint64_t *)v == 0) {
		bad_value(o, text, "a duration", err);
		err_hint(err, "for example 500ms, 30s, 5m or 2h; a bare number "
		              "is seconds");
		return -EINVAL;
	}
	return 0;
}

static int set_choice(const struct opt *o, void *v, const char *text,
                      struct err *err)
{
	struct buf cleanup_buf all = BUF_INIT;
	size_t n = 0;

	for (; o->choices[n]; n++) {
		if (!*o->choices[n])
			continue;
		if (strcmp(o->choices[n], text) == 0) {
			*(int32_t *)v = (int32_t)n;
			return 0;
		}
		(void)buf_printf(&all, "%s%s", all.len ? ", " : "",
		                 o->choices[n]);
	}
	bad_value(o, text, "known", err);
	err_hint(err, "one of: %s", buf_str(&all));
	return -EINVAL;
}

static int set_env(const struct opt *o, void *v, const char *text,
                   struct err *err)
{
	const char *host;

	if (*text == '=' || *text == '\0')
		return bad_value(o, text, "KEY=VALUE or KEY", err);
	if (strchr(text, '='))
		return strv_add(v, text);
	host = getenv(text);
	if (!host) {
		err_set(err, -EINVAL, "--%s: %s is not set here", o->name,
		        text);
		err_hint(err, "give it a value: -e %s=VALUE", text);
		return -EINVAL;
	}
	return strv_addf(v, "%s=%s", text, host);
}

static int set_value(const struct opt *o, void *values, const char *text,
                     struct err *err)
{
	void *v = (char *)values + o->offset;

	switch (o->kind) {
	case OPT_FLAG:
		*(bool *)v = true;
		return 0;
	case OPT_STRING:
		*(const char **)v = text;
		return 0;
	case OPT_LIST:
		return strv_add(v, text);
	case OPT_ENV:
		return set_env(o, v, text, err);
	case OPT_NAMED:
		return strv_addf(v, "%s:%s", o->name, text);
	case OPT_COUNT:
		return set_count(o, v, text, err);
	case OPT_MEMORY:
		return set_memory(o, v, text, err);
	case OPT_DURATION:
		return set_duration(o, v, text, err);
	case OPT_CHOICE:
		return set_choice(o, v, text, err);
	}
	return -EINVAL;
}

static const struct opt *find(const struct opt_parser *p, const char *name,
                              size_t len, char letter, void **ret_values)
{
	for (size_t t = 0; t < ARRAY_SIZE(p->targets); t++) {
		const struct opt *o = p->targets[t].opts;

		for (; o && o->name; o++) {
			bool same = name ? strlen(o->name) == len &&
			                            !strncmp(o->name, name, len)
			                 : o->letter == letter;

			if (same) {
				*ret_values = p->targets[t].values;
				return o;
			}
		}
	}
	return NULL;
}

static size_t min3(size_t a, size_t b, size_t c)
{
	return MIN(a, MIN(b, c));
}

/* Edits (insert, delete, replace) from @a to @b. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NEAREST_MAX + 1], la = strlen(a), lb = strlen(b);

	if (la > NEAREST_MAX || lb > NEAREST_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t up = row[j];

			row[j] = min3(up + 1, row[j - 1] + 1,
			              diagonal + (a[i - 1] != b[j - 1]));
			diagonal = up;
		}
	}
	return row[lb];
}

const char *opt_nearest(const char *word, const char *const *names, size_t n)
{
	size_t len = strlen(word), best = MAX(len / 3, len < 3 ? 1u : 2u) + 1;
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(word, names[i]);

		if (d < best) {
			best = d;
			found = names[i];
		}
	}
	return found;
}

static int unknown_long(const struct opt_parser *p, const char *name,
                        size_t len, struct err *err)
{
	const char *names[NAMES_MAX], *near;
	char word[NEAREST_MAX + 1];
	size_t n = 0;

	(void)snprintf(word, sizeof(word), "%.*s", (int)len, name);
	for (size_t t = 0; t < ARRAY_SIZE(p->targets); t++)
		for (const struct opt *o = p->targets[t].opts; o && o->name;
		     o++)
			if (o->help && n < ARRAY_SIZE(names))
				names[n++] = o->name;
	near = opt_nearest(word, names, n);
	err_set(err, -EINVAL, "unknown option '--%.*s'", (int)len, name);
	if (near)
		err_hint(err, "did you mean '--%s'?", near);
	return -EINVAL;
}

static int stop_code(const struct opt *o)
{
	static const struct {
		const char *name;
		enum opt_stop stop;
	} stops[] = {
		{"help",    OPT_HELP   },
		{"tree",    OPT_TREE   },
		{"version", OPT_VERSION},
	};

	for (size_t i = 0; i < ARRAY_SIZE(stops); i++)
		if (strcmp(o->name, stops[i].name) == 0)
			return (int)stops[i].stop;
	return OPT_DONE;
}

/* The option's value: behind it, else the next argument. */
static int take(struct opt_parser *p, const struct opt *o, void *values,
                const char *attached, struct err *err)
{
	if (o->kind == OPT_FLAG) {
		int r = set_value(o, values, NULL, err);

		return r < 0 ? r : stop_code(o);
	}
	if (!attached) {
		attached = *p->argv;
		if (!attached)
			return err_set(err, -EINVAL, "--%s needs a value: <%s>",
			               o->name, o->value);
		p->argv++;
	}
	return set_value(o, values, attached, err);
}

static int parse_long(struct opt_parser *p, const char *arg, struct err *err)
{
	size_t len = strcspn(arg, "=");
	void *values;
	const struct opt *o = find(p, arg, len, 0, &values);

	if (!o)
		return unknown_long(p, arg, len, err);
	if (o->kind == OPT_FLAG && arg[len] == '=')
		return err_set(err, -EINVAL, "--%s takes no value", o->name);
	return take(p, o, values, arg[len] == '=' ? arg + len + 1 : NULL, err);
}

static int parse_short(struct opt_parser *p, const char *arg, struct err *err)
{
	for (; *arg; arg++) {
		void *values;
		const struct opt *o = find(p, NULL, 0, *arg, &values);
		int r;

		if (!o)
			return err_set(err, -EINVAL, "unknown option '-%c'",
			               *arg);
		if (o->kind != OPT_FLAG)
			return take(p, o, values,
			            arg[1] ? arg + 1 + (arg[1] == '=') : NULL,
			            err);
		r = take(p, o, values, NULL, err);
		if (r != OPT_DONE)
			return r;
	}
	return OPT_DONE;
}

static int after_dashes(struct opt_parser *p)
{
	if (p->tail) {
		p->rest = p->argv;
		return OPT_DONE;
	}
	while (*p->argv)
		p->words[p->nwords++] = *p->argv++;
	return OPT_DONE;
}

int opt_parse(struct opt_parser *p, struct err *err)
{
	p->rest = NULL;
	while (*p->argv) {
		char *arg = *p->argv;
		int r = OPT_DONE;

		if (arg[0] != '-' || arg[1] == '\0') {
			bool over = p->tail && p->nwords >= p->words_max;

			if (p->stop_at_word || over) {
				p->rest = p->argv;
				return over ? OPT_DONE : OPT_SUBCOMMAND;
			}
			p->words[p->nwords++] = arg;
			p->argv++;
			continue;
		}
		p->argv++;
		if (strcmp(arg, "--") == 0)
			return after_dashes(p);
		if (arg[1] == '-')
			r = parse_long(p, arg + 2, err);
		else
			r = parse_short(p, arg + 1, err);
		if (r != OPT_DONE)
			return r;
	}
	return OPT_DONE;
}

/* Only choices have variables: index 0, their default, means "not given". */
int opt_defaults(const struct opt_target *t, struct err *err)
{
	for (const struct opt *o = t->opts; o && o->name; o++) {
		const char *text = o->env ? getenv(o->env) : NULL;
		int32_t *v = (int32_t *)((char *)t->values + o->offset);
		int r;

		if (!text || !*text || o->kind != OPT_CHOICE || *v)
			continue;
		r = set_choice(o, v, text, err);
		if (r < 0)
			return err_wrap(err, "%s", o->env);
	}
	return 0;
}

static int unparse_list(const struct opt *o, const struct strv *list,
                        struct strv *out)
{
	int r = 0;

	for (size_t i = 0; i < list->n && r == 0; i++)
		r = strv_addf(out, "--%s=%s", o->name, list->v[i]);
	return r;
}

static int unparse_named(const struct strv *list, struct strv *out)
{
	int r = 0;

	for (size_t i = 0; i < list->n && r == 0; i++) {
		const char *text = list->v[i];
		size_t len = strcspn(text, ":");

		r = strv_addf(out, "--%.*s=%s", (int)len, text,
		              text + len + (text[len] == ':'));
	}
	return r;
}

static int unparse_choice(const struct opt *o, int32_t v, struct strv *out)
{
	const char *env = o->env ? getenv(o->env) : NULL;

	if (!v || (env && strcmp(env, o->choices[v]) == 0))
		return 0;
	return strv_addf(out, "--%s=%s", o->name, o->choices[v]);
}

static int unparse_number(const struct opt *o, uint64_t v, struct strv *out)
{
	if (!v)
		return 0;
	if (o->kind == OPT_MEMORY)
		return strv_addf(
			out, "--%s=%lluK", o->name,
			(unsigned long long)(v / KIB + (v % KIB != 0)));
	return strv_addf(out, "--%s=%llu%s", o->name, (unsigned long long)v,
	                 o->kind == OPT_DURATION ? "ms" : "");
}

static int unparse_one(const struct opt *o, const void *v, struct strv *out)
{
	const char *const *text = v;

	switch (o->kind) {
	case OPT_FLAG:
		return *(const bool *)v ? strv_addf(out, "--%s", o->name) : 0;
	case OPT_STRING:
		return *text ? strv_addf(out, "--%s=%s", o->name, *text) : 0;
	case OPT_LIST:
	case OPT_ENV:
		return unparse_list(o, v, out);
	case OPT_NAMED:
		return unparse_named(v, out);
	case OPT_COUNT:
		return unparse_number(o, *(const uint32_t *)v, out);
	case OPT_MEMORY:
	case OPT_DURATION:
		return unparse_number(o, *(const uint64_t *)v, out);
	case OPT_CHOICE:
		return unparse_choice(o, *(const int32_t *)v, out);
	}
	return -EINVAL;
}

/* An option before has the same value: that one has said it. */
static bool is_shared(const struct opt *opts, const struct opt *o)
{
	for (const struct opt *p = opts; p < o; p++)
		if (p->offset == o->offset)
			return true;
	return false;
}

int opt_unparse(const struct opt *opts, const void *values, struct strv *out)
{
	int r = 0;

	for (const struct opt *o = opts; o && o->name && r == 0; o++)
		if (!is_shared(opts, o))
			r = unparse_one(o, (const char *)values + o->offset,
			                out);
	return r;
}

bool opt_is_list(const struct opt *o)
{
	return o->kind == OPT_LIST || o->kind == OPT_ENV ||
	       o->kind == OPT_NAMED;
}

void opt_release(const struct opt *opts, void *values)
{
	for (const struct opt *o = opts; o && o->name; o++)
		if (opt_is_list(o))
			strv_release((void *)((char *)values + o->offset));
}

const char *opt_spelling(const struct opt *o, char *out, size_t len)
{
	char letter[5] = "    ";

	if (o->letter)
		(void)snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	if (o->value)
		(void)snprintf(out, len, "%s--%s <%s>", letter, o->name,
		               o->value);
	else
		(void)snprintf(out, len, "%s--%s", letter, o->name);
	return out;
}
