#include "lib/record.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "lib/patch.h"

#include "base/banned.h"

enum kind { NUMBER32, NUMBER64, TEXT, LIST, MOUNTS, NETWORK, SECRETS, TLS };

static const struct field {
	const char *key;
	enum kind kind;
	size_t offset;
} fields[] = {
#define NAMED(key, name, kind)                                                 \
	{                                                                      \
		key, kind, offsetof(struct sandbox_config, name)               \
	}
#define FIELD(name, kind) NAMED(#name, name, kind)
	FIELD(memory_bytes, NUMBER64),
	FIELD(upper_bytes, NUMBER64),
	FIELD(cpus, NUMBER32),
	FIELD(boot_timeout_ms, NUMBER32),
	FIELD(max_duration_s, NUMBER32),
	FIELD(idle_timeout_s, NUMBER32),
	FIELD(engine, NUMBER32),
	FIELD(accel, NUMBER32),
	FIELD(hostname, TEXT),
	FIELD(workdir, TEXT),
	FIELD(user, TEXT),
	FIELD(entrypoint, TEXT),
	FIELD(shell, TEXT),
	FIELD(init, TEXT),
	FIELD(env, LIST),
	FIELD(rlimits, LIST),
	FIELD(init_args, LIST),
	FIELD(init_env, LIST),
	FIELD(scripts, LIST),
	FIELD(command, LIST),
	FIELD(mounts, MOUNTS),
	NAMED("root_kind", root.kind, NUMBER32),
	NAMED("root_path", root.path, TEXT),
	NAMED("root_format", root.format, TEXT),
	NAMED("root_fstype", root.fstype, TEXT),
	NAMED("root_no_links", root.no_links, NUMBER32),
	FIELD(upper, NUMBER32),
	FIELD(patches, LIST),
	FIELD(network, NETWORK),
	FIELD(secrets, SECRETS),
	FIELD(tls, TLS),
	FIELD(has_main, NUMBER32),
	NAMED("image_entrypoint", image.entrypoint, LIST),
	NAMED("image_cmd", image.cmd, LIST),
	NAMED("image_env", image.env, LIST),
	NAMED("image_workdir", image.workdir, TEXT),
	NAMED("image_user", image.user, TEXT),
	NAMED("image_stop_signal", image.stop_signal, TEXT),
#undef FIELD
#undef NAMED
};

static void *member(struct sandbox_config *c, const struct field *f)
{
	return (char *)c + f->offset;
}

static const void *member_const(const struct sandbox_config *c,
                                const struct field *f)
{
	return (const char *)c + f->offset;
}

void sandbox_config_release(struct sandbox_config *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i].kind == TEXT)
			free(*(char **)member(c, &fields[i]));
		else if (fields[i].kind == LIST)
			strv_release(member(c, &fields[i]));
		else if (fields[i].kind == MOUNTS)
			mounts_release(member(c, &fields[i]));
		else if (fields[i].kind == NETWORK)
			network_release(member(c, &fields[i]));
		else if (fields[i].kind == SECRETS)
			secrets_release(member(c, &fields[i]));
		else if (fields[i].kind == TLS)
			tls_options_release(member(c, &fields[i]));
	}
	*c = (struct sandbox_config){0};
}

/* ---- from options -------------------------------------------------------- */

static int copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

static int copy_list(struct strv *to, const char *const *from)
{
	return strv_add_all(to, (char *const *)(uintptr_t)from);
}

static int copy_image(struct image_config *to, const struct image_config *from)
{
	int r = strv_add_all(&to->entrypoint, from->entrypoint.v);

	if (r == 0)
		r = strv_add_all(&to->cmd, from->cmd.v);
	if (r == 0)
		r = strv_add_all(&to->env, from->env.v);
	if (r == 0)
		r = copy_text(&to->workdir, from->workdir);
	if (r == 0)
		r = copy_text(&to->user, from->user);
	if (r == 0)
		r = copy_text(&to->stop_signal, from->stop_signal);
	return r;
}

int sandbox_config_take(struct sandbox_config *ret,
                        const struct msb_sandbox_opts *o,
                        const struct image_config *image)
{
	struct sandbox_config cleanup_sandbox_config c = {
		.memory_bytes = o->memory_bytes,
		.upper_bytes = o->upper_bytes || o->upper == MSB_UPPER_TMPFS
	                               ? o->upper_bytes
	                               : MSB_UPPER_DEFAULT,
		.upper = (uint32_t)o->upper,
		.cpus = o->cpus,
		.boot_timeout_ms = o->boot_timeout_ms ? o->boot_timeout_ms
	                                              : MSB_BOOT_TIMEOUT_MS,
		.max_duration_s = o->max_duration_s,
		.idle_timeout_s = o->idle_timeout_s,
		.engine = (uint32_t)o->engine,
		.accel = (uint32_t)o->accel,
		.has_main = o->command != NULL,
	};
	int r = copy_text(&c.hostname, o->hostname);

	if (r == 0)
		r = copy_text(&c.workdir, o->workdir);
	if (r == 0)
		r = copy_text(&c.user, o->user);
	if (r == 0)
		r = copy_text(&c.entrypoint, o->entrypoint);
	if (r == 0)
		r = copy_text(&c.shell, o->shell);
	if (r == 0)
		r = copy_text(&c.init, o->init);
	if (r == 0)
		r = copy_list(&c.env, o->env);
	if (r == 0)
		r = copy_list(&c.rlimits, o->rlimits);
	if (r == 0)
		r = copy_list(&c.init_args, o->init_args);
	if (r == 0)
		r = copy_list(&c.init_env, o->init_env);
	if (r == 0)
		r = copy_list(&c.scripts, o->scripts);
	if (r == 0)
		r = copy_list(&c.command, o->command);
	if (r == 0)
		r = mounts_take(&c.mounts, o->mounts);
	if (r == 0)
		r = lib_patch_list(o->patches, &c.patches);
	if (r == 0)
		r = network_take(&c.network, o->network);
	if (r == 0)
		r = secrets_take(&c.secrets, o->secrets);
	if (r == 0)
		r = tls_options_take(&c.tls, o->tls);
	if (r == 0)
		r = copy_image(&c.image, image);
	if (r < 0)
		return r;
	*ret = c;
	c = (struct sandbox_config){0};
	return 0;
}

/* ---- to JSON ------------------------------------------------------------- */

static json_t *hex_of(const char *s)
{
	struct buf cleanup_buf b = BUF_INIT;

	for (; *s; s++)
		(void)buf_printf(&b, "%02x", (unsigned char)*s);
	return buf_ok(&b) ? json_pack("{s:s}", "hex", buf_str(&b)) : NULL;
}

json_t *record_text(const char *s)
{
	json_t *j = json_string(s);

	return j ? j : hex_of(s);
}

json_t *record_list(const struct strv *s)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < s->n; i++) {
		if (json_array_append_new(list, record_text(s->v[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* That of most sandboxes is the default. */
static json_t *network_value(const struct msb_network *n, bool *skip)
{
	json_t *o = network_json(n);

	*skip = o && json_object_size(o) == 0;
	return o;
}

static json_t *tls_value(const struct msb_tls *t, bool *skip)
{
	json_t *o = tls_options_json(t);

	*skip = o && json_object_size(o) == 0;
	return o;
}

/* NULL with *@skip: its default, which need not be written. */
static json_t *value_of(const struct field *f, const void *m, bool *skip)
{
	const char *const *text = m;
	const struct strv *list = m;
	uint64_t n = f->kind == NUMBER32 ? *(const uint32_t *)m : 0;

	*skip = false;
	switch (f->kind) {
	case NUMBER64:
		n = *(const uint64_t *)m;
		__attribute__((fallthrough));
	case NUMBER32:
		*skip = n == 0;
		return json_integer((json_int_t)n);
	case TEXT:
		*skip = !*text;
		return *text ? record_text(*text) : NULL;
	case LIST:
		*skip = list->n == 0;
		return record_list(list);
	case MOUNTS:
		*skip = ((const struct mounts *)m)->n == 0;
		return mounts_json(m);
	case NETWORK:
		return network_value(m, skip);
	case SECRETS:
		*skip = ((const struct secret_list *)m)->n == 0;
		return secrets_json(m);
	case TLS:
		return tls_value(m, skip);
	}
	return NULL;
}

char *sandbox_config_write(const struct sandbox_config *c)
{
	json_t *cleanup_json o = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct field *f = &fields[i];
		bool skip;
		json_t *v = value_of(f, member_const(c, f), &skip);

		if (skip)
			json_decref(v);
		else if (json_object_set_new(o, f->key, v) < 0)
			return NULL;
	}
	return o ? json_dumps(o, JSON_COMPACT) : NULL;
}

/* ---- from JSON ----------------------------------------------------------- */

static int nibble(char c)
{
	const char *digits = "0123456789abcdef", *at = strchr(digits, c);

	return c && at ? (int)(at - digits) : -1;
}

static char *unhex(const char *hex)
{
	size_t len = strlen(hex);
	char *s = len % 2 ? NULL : malloc(len / 2 + 1);

	for (size_t i = 0; s && i < len / 2; i++) {
		int high = nibble(hex[2 * i]), low = nibble(hex[2 * i + 1]);

		if (high < 0 || low < 0 || high + low == 0) {
			free(s);
			return NULL;
		}
		s[i] = (char)(high << 4 | low);
	}
	if (s)
		s[len / 2] = '\0';
	return s;
}

char *record_read_text(const json_t *j)
{
	const char *s = json_string_value(j), *hex = json_str(j, "hex", NULL);

	if (s)
		return strlen(s) == json_string_length(j) ? strdup(s) : NULL;
	return hex ? unhex(hex) : NULL;
}

static int read_list(const json_t *j, struct strv *ret)
{
	int r = json_is_array(j) ? 0 : -EINVAL;

	for (size_t i = 0; r == 0 && i < json_array_size(j); i++) {
		cleanup_free char *s = record_read_text(json_array_get(j, i));

		r = s ? strv_add(ret, s) : -EINVAL;
	}
	return r;
}

int record_read_list(const json_t *j, char ***ret)
{
	struct strv s = {0};
	int r = read_list(j, &s);

	*ret = s.v;
	return r;
}

static int read_field(const struct field *f, const json_t *j, void *m)
{
	json_int_t n = json_integer_value(j);

	switch (f->kind) {
	case NUMBER32:
		if (!json_is_integer(j) || n < 0 || n > UINT32_MAX)
			return -EINVAL;
		*(uint32_t *)m = (uint32_t)n;
		return 0;
	case NUMBER64:
		if (!json_is_integer(j) || n < 0)
			return -EINVAL;
		*(uint64_t *)m = (uint64_t)n;
		return 0;
	case TEXT:
		*(char **)m = record_read_text(j);
		return *(char **)m ? 0 : -EINVAL;
	case LIST:
		return read_list(j, m);
	case MOUNTS:
		return mounts_read(j, m);
	case NETWORK:
		return network_read(j, m);
	case SECRETS:
		return secrets_read(j, m);
	case TLS:
		return tls_options_read(j, m);
	}
	return -EINVAL;
}

/* What is an index elsewhere. */
static int check_names(const struct sandbox_config *c, struct err *err)
{
	if (c->engine <= MSB_ENGINE_QEMU && c->accel <= MSB_ACCEL_AUTO)
		return 0;
	return err_set(err, -EUCLEAN,
	               "the sandbox's record: there is no such engine");
}

int sandbox_config_read(const char *text, struct sandbox_config *ret,
                        struct err *err)
{
	struct sandbox_config cleanup_sandbox_config c = {
		.network = MSB_NETWORK_INIT, .tls = MSB_TLS_INIT};
	json_t *cleanup_json o =
		json_parse(text, strlen(text), "the sandbox's record", err);

	if (!json_is_object(o))
		return err_set(err, -EUCLEAN,
		               "the sandbox's record is no JSON object");
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct field *f = &fields[i];
		const json_t *j = json_object_get(o, f->key);
		int r = j ? read_field(f, j, member(&c, f)) : 0;

		if (r < 0)
			return err_set(err, r == -ENOMEM ? r : -EUCLEAN,
			               "the sandbox's record: %s is wrong",
			               f->key);
	}
	if (check_names(&c, err) < 0)
		return -EUCLEAN;
	*ret = c;
	c = (struct sandbox_config){0};
	return 0;
}
