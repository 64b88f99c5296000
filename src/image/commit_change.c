/* commit_change.c - "CMD [...]" and the like, applied to a configuration. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/num.h"
#include "base/strv.h"
#include "image/commit.h"

#include "base/banned.h"

#define WORDS_MAX 256

/* Words apart by blanks; quotes and backslashes as in a shell. */
static int split(const char *p, struct strv *ret, struct err *err)
{
	struct buf cleanup_buf word = BUF_INIT;
	char quote = '\0';
	bool any = false;
	int r = 0;

	for (; *p && r == 0; p++) {
		if (*p == '\\' && p[1] && quote != '\'') {
			r = buf_addc(&word, *++p);
			any = true;
		} else if (quote ? *p == quote : *p == '"' || *p == '\'') {
			quote = quote ? '\0' : *p;
			any = true;
		} else if (!quote && isspace((unsigned char)*p)) {
			if (any)
				r = strv_add(ret, buf_str(&word));
			buf_reset(&word);
			any = false;
		} else {
			r = buf_addc(&word, *p);
			any = true;
		}
	}
	if (r == 0 && any)
		r = strv_add(ret, buf_str(&word));
	if (r < 0)
		return err_set(err, r, "out of memory");
	if (quote || ret->n == 0 || ret->n > WORDS_MAX)
		return err_set(err, -EINVAL,
		               quote ? "a quote is left open"
		                     : "there is no value");
	return 0;
}

static bool is_string_list(const json_t *j)
{
	size_t i;
	json_t *v;

	if (!json_is_array(j))
		return false;
	json_array_foreach(j, i, v) if (!json_is_string(v)) return false;
	return true;
}

/* ["a","b"], or a line for the shell. */
static int set_command(json_t *config, const char *key, const char *value,
                       struct err *err)
{
	json_t *j = NULL;

	if (*value == '[')
		j = json_loads(value, JSON_REJECT_DUPLICATES, NULL);
	if (j && !is_string_list(j)) {
		json_decref(j);
		j = NULL;
	}
	if (!j)
		j = json_pack("[sss]", "/bin/sh", "-c", value);
	if (!j || json_object_set_new(config, key, j) < 0)
		return err_set(err, -EINVAL, "it is not UTF-8 text");
	return 0;
}

static int set_text(json_t *config, const char *key, const char *value,
                    struct err *err)
{
	json_t *j = json_string(value);

	if (!j || json_object_set_new(config, key, j) < 0)
		return err_set(err, -EINVAL, "it is not UTF-8 text");
	return 0;
}

static json_t *object_of(json_t *config, const char *key)
{
	json_t *j = json_object_get(config, key);

	if (json_is_object(j))
		return j;
	j = json_object();
	return json_object_set_new(config, key, j) < 0 ? NULL : j;
}

/* {"80/tcp": {}} and {"/data": {}} */
static int add_keys(json_t *config, const char *key, const char *value,
                    const char *suffix, struct err *err)
{
	struct strv cleanup_strv words = {0};
	json_t *o = object_of(config, key);
	int r = split(value, &words, err);

	for (size_t i = 0; i < words.n && r == 0; i++) {
		struct buf cleanup_buf name = BUF_INIT;
		const char *end = strchr(words.v[i], '/') ? "" : suffix;

		r = buf_printf(&name, "%s%s", words.v[i], end);
		if (r == 0 &&
		    json_object_set_new(o, buf_str(&name), json_object()) < 0)
			r = err_set(err, -EINVAL, "it is not UTF-8 text");
	}
	return r;
}

static int add_ports(json_t *config, const char *key, const char *value,
                     struct err *err)
{
	if (value[strspn(value, "0123456789-/tcpudsi ")])
		return err_set(err, -EINVAL, "a port is a number, as 80/tcp");
	return add_keys(config, key, value, "/tcp", err);
}

static int add_volumes(json_t *config, const char *key, const char *value,
                       struct err *err)
{
	cleanup_json json_t *list = NULL;
	json_t *o = object_of(config, key), *v;
	size_t i;

	if (*value == '[')
		list = json_loads(value, JSON_REJECT_DUPLICATES, NULL);
	if (!list || !is_string_list(list))
		return add_keys(config, key, value, "", err);
	json_array_foreach(list, i,
	                   v) if (json_object_set_new(o, json_string_value(v),
	                                              json_object()) <
	                          0) return err_set(err, -ENOMEM,
	                                            "out of memory");
	return 0;
}

/* "A=1 B=2", or the old form "A 1 and so on". */
static int each_pair(const char *value,
                     int (*fn)(json_t *config, const char *key,
                               const char *pair, struct err *err),
                     json_t *config, const char *key, struct err *err)
{
	struct strv cleanup_strv words = {0};
	struct buf cleanup_buf old = BUF_INIT;
	size_t name = strcspn(value, " \t="), blank;
	int r;

	blank = strspn(value + name, " \t");
	if (name > 0 && value[name] != '=' && value[name + blank]) {
		r = buf_printf(&old, "%.*s=%s", (int)name, value,
		               value + name + blank);
		return r < 0 ? r : fn(config, key, buf_str(&old), err);
	}
	r = split(value, &words, err);
	for (size_t i = 0; i < words.n && r == 0; i++) {
		if (*words.v[i] == '=' || !strchr(words.v[i], '='))
			return err_set(err, -EINVAL, "%s is not KEY=VALUE",
			               words.v[i]);
		r = fn(config, key, words.v[i], err);
	}
	return r;
}

static int add_variable(json_t *config, const char *key, const char *pair,
                        struct err *err)
{
	size_t name = strcspn(pair, "=") + 1, i;
	json_t *list = json_object_get(config, key), *v;
	json_t *text = json_string(pair);
	int r = -1;

	if (!text)
		return err_set(err, -EINVAL, "it is not UTF-8 text");
	if (!json_is_array(list)) {
		list = json_array();
		if (json_object_set_new(config, key, list) < 0)
			list = NULL;
	}
	json_array_foreach(list, i, v) if (json_is_string(v) &&
	                                   strncmp(json_string_value(v), pair,
	                                           name) == 0) break;
	if (list && i < json_array_size(list))
		r = json_array_set_new(list, i, text);
	else if (list)
		r = json_array_append_new(list, text);
	return r < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int set_env(json_t *config, const char *key, const char *value,
                   struct err *err)
{
	return each_pair(value, add_variable, config, key, err);
}

static int add_label(json_t *config, const char *key, const char *pair,
                     struct err *err)
{
	struct buf cleanup_buf name = BUF_INIT;
	json_t *o = object_of(config, key);
	size_t len = strcspn(pair, "=");

	if (buf_add(&name, pair, len) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	if (!o || json_object_set_new(o, buf_str(&name),
	                              json_string(pair + len + 1)) < 0)
		return err_set(err, -EINVAL, "it is not UTF-8 text");
	return 0;
}

static int set_labels(json_t *config, const char *key, const char *value,
                      struct err *err)
{
	return each_pair(value, add_label, config, key, err);
}

static const struct {
	const char *word, *key;
	int (*fn)(json_t *config, const char *key, const char *value,
	          struct err *err);
} changes[] = {
	{"CMD",        "Cmd",          set_command},
	{"ENTRYPOINT", "Entrypoint",   set_command},
	{"ENV",        "Env",          set_env    },
	{"EXPOSE",     "ExposedPorts", add_ports  },
	{"LABEL",      "Labels",       set_labels },
	{"STOPSIGNAL", "StopSignal",   set_text   },
	{"USER",       "User",         set_text   },
	{"VOLUME",     "Volumes",      add_volumes},
	{"WORKDIR",    "WorkingDir",   set_text   },
};

int commit_change(json_t *config, const char *change, struct err *err)
{
	size_t len = strcspn(change, " \t=");
	const char *value = change + len;

	value += *value == '=' ? 1 : 0;
	value += strspn(value, " \t");
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		int r;

		if (strncasecmp(change, changes[i].word, len) != 0 ||
		    changes[i].word[len])
			continue;
		if (!*value)
			return err_set(err, -EINVAL, "%s has no value",
			               changes[i].word);
		r = changes[i].fn(config, changes[i].key, value, err);
		if (r < 0)
			err_wrap(err, "change %s", changes[i].word);
		return r;
	}
	return err_set(err, -EINVAL,
	               "no such change: %s (CMD, ENTRYPOINT, ENV, EXPOSE, "
	               "LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR)",
	               change);
}
