/* CONFIG, and what it means for a name. Strict: both sides are of one build. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "net/intercept.h"

#include "base/banned.h"

static int wrong(struct err *err, const char *what)
{
	return err_set(err, -EBADMSG, "%s", what);
}

/* ---- members ------------------------------------------------------------- */

static int read_ports(const json_t *j, struct intercept_config *c,
                      struct err *err)
{
	size_t n = json_array_size(j);

	if (!json_is_array(j) || n > INTERCEPT_PORTS_MAX)
		return wrong(err, "\"ports\" is no list of so few");
	for (size_t i = 0; i < n; i++) {
		const json_t *p = json_array_get(j, i);
		json_int_t v = json_is_integer(p) ? json_integer_value(p) : 0;

		if (v < 1 || v > 65535)
			return wrong(err, "a port is none");
		c->ports[c->nports++] = (uint16_t)v;
	}
	return 0;
}

static int read_quic(const json_t *j, struct intercept_config *c,
                     struct err *err)
{
	if (!json_is_boolean(j))
		return wrong(err, "\"block_quic\" is neither true nor false");
	c->block_quic = json_is_true(j);
	return 0;
}

/* Names are in their one form already. */
static bool is_pattern(const char *s)
{
	char name[POLICY_NAME_MAX + 1];

	if (strcmp(s, "*") == 0)
		return true;
	s += strncmp(s, "*.", 2) == 0 ? 2 : 0;
	return policy_name(s, name) == 0 && strcmp(s, name) == 0;
}

static int read_patterns(const json_t *j, struct strv *ret, struct err *err)
{
	if (!json_is_array(j))
		return wrong(err, "patterns are no list");
	for (size_t i = 0; i < json_array_size(j); i++) {
		const char *s = json_string_value(json_array_get(j, i));

		if (!s || !is_pattern(s))
			return wrong(err, "a pattern is none");
		if (strv_add(ret, s) < 0)
			return err_set(err, -ENOMEM, "no memory");
	}
	return 0;
}

static int read_names(const json_t *j, struct intercept_config *c,
                      struct err *err)
{
	return read_patterns(j, &c->names, err);
}

static int read_bypass(const json_t *j, struct intercept_config *c,
                       struct err *err)
{
	return read_patterns(j, &c->bypass, err);
}

/* ---- placeholders -------------------------------------------------------- */

static const char *const violations[] = {
	[CLEAR_BLOCK] = "block",
	[CLEAR_LOG] = "block-and-log",
	[CLEAR_TERMINATE] = "block-and-terminate",
	[CLEAR_PASS] = "passthrough",
};

static bool read_violation(const char *s, enum clear_violation *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(violations); i++)
		if (strcmp(s, violations[i]) == 0) {
			*ret = (enum clear_violation)i;
			return true;
		}
	return false;
}

/* It is printed. */
static bool is_name(const char *s)
{
	size_t len = strlen(s);

	for (const char *c = s; *c; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	return len > 0 && len <= CLEAR_NAME_MAX;
}

static bool read_text(const json_t *j, struct clear_text *ret)
{
	const char *violation = json_str(j, "violation", NULL);
	size_t len;

	ret->name = json_str(j, "name", NULL);
	ret->text = json_str(j, "text", NULL);
	if (json_object_size(j) != 3 || !ret->name || !ret->text || !violation)
		return false;
	len = strlen(ret->text);
	return len >= CLEAR_TEXT_MIN && len <= CLEAR_TEXT_MAX &&
	       is_name(ret->name) && read_violation(violation, &ret->violation);
}

static int read_texts(const json_t *j, struct intercept_config *c,
                      struct err *err)
{
	struct clear_text v[CLEAR_TEXTS_MAX];
	size_t n = json_array_size(j);

	if (!json_is_array(j) || n > CLEAR_TEXTS_MAX)
		return wrong(err, "\"placeholders\" is no list of so few");
	for (size_t i = 0; i < n; i++)
		if (!read_text(json_array_get(j, i), &v[i]))
			return wrong(err, "a placeholder is none");
	if (n && clear_texts_new(v, n, &c->texts) < 0)
		return err_set(err, -ENOMEM, "no memory");
	return 0;
}

/* ---- all of it ----------------------------------------------------------- */

static const struct {
	const char *key;
	int (*read)(const json_t *j, struct intercept_config *c,
	            struct err *err);
} members[] = {
	{"ports",        read_ports },
        {"block_quic",   read_quic  },
	{"intercept",    read_names },
        {"bypass",       read_bypass},
	{"placeholders", read_texts },
};

/* All keys are there, and no others. */
static int read_members(const json_t *j, struct intercept_config *c,
                        struct err *err)
{
	int r = 0;

	if (json_object_size(j) != ARRAY_SIZE(members))
		return wrong(err, "it has other keys");
	for (size_t i = 0; i < ARRAY_SIZE(members) && r == 0; i++)
		r = members[i].read(json_object_get(j, members[i].key), c, err);
	return r;
}

int intercept_config_parse(const void *json, size_t len,
                           struct intercept_config *ret, struct err *err)
{
	cleanup_json json_t *j = json_parse(json, len, "it", err);
	struct intercept_config c = {0};
	int r;

	if (!j)
		return -EBADMSG;
	r = read_members(j, &c, err);
	if (r < 0) {
		intercept_config_release(&c);
		return r;
	}
	*ret = c;
	return 0;
}

void intercept_config_release(struct intercept_config *c)
{
	strv_release(&c->names);
	strv_release(&c->bypass);
	clear_texts_unref(c->texts);
	c->texts = NULL;
}

/* ---- names --------------------------------------------------------------- */

/* NAME; *.NAME: it and all below; *: all, nobody ("") too. */
static bool matches(const char *pattern, const char *name)
{
	size_t len = strlen(name), n;

	if (strcmp(pattern, "*") == 0)
		return true;
	if (strncmp(pattern, "*.", 2) != 0)
		return strcmp(pattern, name) == 0;
	pattern += 2;
	n = strlen(pattern);
	return len >= n && strcmp(name + len - n, pattern) == 0 &&
	       (len == n || name[len - n - 1] == '.');
}

static bool any(const struct strv *patterns, const char *name)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (matches(patterns->v[i], name))
			return true;
	return false;
}

bool intercept_config_takes(const struct intercept_config *c, const char *name,
                            uint16_t port)
{
	for (unsigned i = 0; i < c->nports; i++)
		if (c->ports[i] == port)
			return any(&c->names, name) && !any(&c->bypass, name);
	return false;
}
