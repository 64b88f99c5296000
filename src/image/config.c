/* The image config: what to run, and which layers there must be. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/num.h"
#include "image/manifest.h"

#include "base/banned.h"

#define CONFIG_STRINGS_MAX 4096

static int bad(struct err *err, const char *why)
{
	return err_set(err, -EBADMSG, "bad image config: %s", why);
}

static int get_list(const json_t *o, const char *key, struct strv *ret,
                    struct err *err)
{
	const json_t *list = json_object_get(o, key), *item;
	size_t i;

	if (!list || json_is_null(list))
		return 0;
	if (!json_is_array(list) || json_array_size(list) > CONFIG_STRINGS_MAX)
		return bad(err, "a list is not one, or too long");
	json_array_foreach(list, i, item)
	{
		if (!json_is_string(item))
			return bad(err, "a list holds what is not text");
		if (strv_add(ret, json_string_value(item)) < 0)
			return err_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

/* Empty means absent, as everywhere in these documents. */
static int get_text(const json_t *o, const char *key, char **ret,
                    struct err *err)
{
	const json_t *v = json_object_get(o, key);

	if (!v || json_is_null(v))
		return 0;
	if (!json_is_string(v))
		return bad(err, "a value is not text");
	if (json_string_length(v) == 0)
		return 0;
	*ret = strdup(json_string_value(v));
	return *ret ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int get_command(const json_t *doc, struct image_config *c,
                       struct err *err)
{
	const json_t *o = json_object_get(doc, "config");
	int r;

	if (o && !json_is_null(o) && !json_is_object(o))
		return bad(err, "\"config\" is not an object");
	r = get_list(o, "Entrypoint", &c->entrypoint, err);
	if (r == 0)
		r = get_list(o, "Cmd", &c->cmd, err);
	if (r == 0)
		r = get_list(o, "Env", &c->env, err);
	if (r == 0)
		r = get_text(o, "WorkingDir", &c->workdir, err);
	if (r == 0)
		r = get_text(o, "User", &c->user, err);
	if (r == 0)
		r = get_text(o, "StopSignal", &c->stop_signal, err);
	return r;
}

static int get_diff_ids(const json_t *doc, uint32_t nlayers, struct image *ret,
                        struct err *err)
{
	const json_t *rootfs = json_object_get(doc, "rootfs"), *item;
	const json_t *ids = json_object_get(rootfs, "diff_ids");
	size_t i;

	if (strcmp(json_str(rootfs, "type", ""), "layers") != 0)
		return bad(err, "rootfs.type is not \"layers\"");
	if (json_array_size(ids) != nlayers)
		return err_set(err, -EBADMSG,
		               "the config names %zu layers, the manifest %u",
		               json_array_size(ids), nlayers);
	ret->diff_ids = calloc(nlayers + 1u, sizeof(*ret->diff_ids));
	if (!ret->diff_ids)
		return err_set(err, -ENOMEM, "out of memory");
	json_array_foreach(ids, i, item)
	{
		const char *text = json_string_value(item);

		if (!text || !digest_parse(text, &ret->diff_ids[i]))
			return bad(err, "a diff_id is not a sha256 digest");
	}
	ret->nlayers = nlayers;
	return 0;
}

/* RFC 3339; 0 when absent or odd: it is for display only. */
static int64_t parse_time(const char *s)
{
	struct tm tm = {0};
	const char *p = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t sign, t;

	if (!p)
		return 0;
	t = (int64_t)timegm(&tm);
	if (*p == '.')
		p += 1 + strspn(p + 1, "0123456789");
	sign = *p == '-' ? 1 : -1;
	if ((*p == '+' || *p == '-') && strptime(p + 1, "%H:%M", &tm))
		t += sign * (tm.tm_hour * 3600 + tm.tm_min * 60);
	return t > 0 ? t : 0;
}

static int get_platform(const json_t *doc, struct image *ret, struct err *err)
{
	char text[80], shown[80];
	struct platform p;

	(void)snprintf(text, sizeof(text), "%.20s/%.20s%s%.20s",
	               json_str(doc, "os", "linux"),
	               json_str(doc, "architecture", "unknown"),
	               *json_str(doc, "variant", "") ? "/" : "",
	               json_str(doc, "variant", ""));
	if (platform_parse(text, &p, NULL) < 0)
		return bad(err, "its platform is not a valid one");
	ret->platform = strdup(platform_text(&p, shown));
	return ret->platform ? 0 : err_set(err, -ENOMEM, "out of memory");
}

int manifest_config(const void *data, size_t len, uint32_t nlayers,
                    struct image *ret, struct err *err)
{
	json_t *cleanup_json doc = NULL;
	int r;

	if (len > MANIFEST_MAX_BYTES)
		return bad(err, "larger than 4 MiB");
	doc = json_parse(data, len, "the image config", err);
	if (!doc)
		return -EBADMSG;
	r = get_diff_ids(doc, nlayers, ret, err);
	if (r == 0)
		r = get_platform(doc, ret, err);
	if (r == 0)
		r = get_command(doc, &ret->config, err);
	if (r < 0)
		return r;
	ret->created_unix = parse_time(json_str(doc, "created", ""));
	ret->config_json = strndup(data, len);
	return ret->config_json ? 0 : err_set(err, -ENOMEM, "out of memory");
}
