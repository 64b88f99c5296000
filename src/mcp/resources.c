/* What can be read besides what tools tell: microsandbox://... */
#include <stdlib.h>

#include "mcp/host.h"
#include "mcp/tools_int.h"

#include "base/banned.h"

#define SCHEME "microsandbox://"
#define JSON   "application/json"

TOOL_DECLARE(sandbox_create);
TOOL_DECLARE(sandbox_list);
TOOL_DECLARE(sandbox_inspect);
TOOL_DECLARE(image_list);
TOOL_DECLARE(volume_list);
TOOL_DECLARE(snapshot_list);

static json_t *strings(const struct strv *s)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->n; i++)
		(void)json_array_append_new(a, text_json_str(s->v[i]));
	return a;
}

static int read_runtime(struct mcp_call *c, const json_t *args, json_t **ret,
                        struct msb_error *error)
{
	(void)args;
	return host_runtime(c, ret, error);
}

/* So that a model knows beforehand what it need not try. */
static int read_policy(struct mcp_call *c, const json_t *args, json_t **ret,
                       struct msb_error *error)
{
	const struct mcp_options *o = c->server->opt;

	(void)args;
	(void)error;
	*ret = json_pack(
		"{s:b, s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I}",
		"readOnly", (int)o->read_only, "hostPathPolicy",
		o->any_path ? "unrestricted" : "allowlist", "hostPaths",
		strings(&c->server->policy.roots), "allowTools",
		strings(&o->allow_tools), "denyTools", strings(&o->deny_tools),
		"images", strings(&o->images), "secrets", strings(&o->secrets),
		"maxOutputBytes", (json_int_t)o->max_output, "timeoutMs",
		(json_int_t)o->timeout_ms, "sessionTtlMs",
		(json_int_t)o->session_ttl_ms, "maxSandboxes",
		(json_int_t)o->max_sandboxes);
	return 0;
}

static int read_schema(struct mcp_call *c, const json_t *args, json_t **ret,
                       struct msb_error *error)
{
	(void)c;
	(void)args;
	(void)error;
	*ret = schema_json(sandbox_create_in, true);
	(void)json_object_set_new(
		*ret, "$schema",
		json_string("https://json-schema.org/draft/2020-12/schema"));
	return 0;
}

static const struct resource {
	const char *path, *title, *description;
	int (*read)(struct mcp_call *c, const json_t *args, json_t **ret,
	            struct msb_error *error);
} resources[] = {
	{"runtime",                "Runtime",                  "Version, home, what this server runs",
         read_runtime												    },
	{"sandboxes",              "Sandboxes",                "All sandboxes on record",
         tool_sandbox_list											       },
	{"volumes",                "Volumes",                  "All volumes",                          tool_volume_list  },
	{"images",                 "Images",                   "All images that are here",             tool_image_list   },
	{"snapshots",              "Snapshots",                "All snapshots",                        tool_snapshot_list},
	{"policy",                 "Policy",
         "What this server may do: tools, folders, images, bounds",                                    read_policy       },
	{"schemas/sandbox-create", "Schema of sandbox_create",
         "JSON Schema of the arguments of sandbox_create",                                             read_schema       },
};

static const struct template
{
	const char *end, *name, *description, *type;
}
templates[] = {
	{"",      "sandbox",      "What is on record about a sandbox", JSON        },
	{"/logs", "sandbox-logs", "What its commands wrote",           "text/plain"},
};

json_t *resources_list(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(resources); i++)
		(void)json_array_append_new(
			list,
			json_pack(
				"{s:o, s:s, s:s, s:s, s:s}", "uri",
				json_sprintf("%s%s", SCHEME, resources[i].path),
				"name", resources[i].path, "title",
				resources[i].title, "description",
				resources[i].description, "mimeType", JSON));
	return list;
}

json_t *resources_templates(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(templates); i++)
		(void)json_array_append_new(
			list, json_pack("{s:o, s:s, s:s, s:s}", "uriTemplate",
		                        json_sprintf("%ssandboxes/{name}%s",
		                                     SCHEME, templates[i].end),
		                        "name", templates[i].name,
		                        "description", templates[i].description,
		                        "mimeType", templates[i].type));
	return list;
}

static int unknown(const char *uri, struct msb_error *error)
{
	return tool_fail(error, MSB_ERR_NOT_FOUND, "Resource not found: %.256s",
	                 uri);
}

static json_t *joined(const json_t *entries)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(MCP_OUTPUT_MAX);
	const json_t *e;
	size_t i;

	json_array_foreach(entries, i, e)
	{
		const json_t *text = json_object_get(e, "text");

		(void)buf_add(&b, json_string_value(text),
		              json_string_length(text));
	}
	return buf_ok(&b) ? text_json(buf_str(&b), b.len) : NULL;
}

static int read_one(struct mcp_call *c, const char *name, size_t len, bool logs,
                    json_t **ret, struct msb_error *error)
{
	json_t *cleanup_json args = json_pack("{s:s%}", "name", name, len);
	json_t *cleanup_json data = NULL;
	char *text;
	int r = logs ? host_logs(c, args, &data, error)
	             : tool_sandbox_inspect(c, args, &data, error);

	if (r < 0)
		return r;
	if (logs) {
		*ret = joined(json_object_get(data, "entries"));
		return *ret ? 0 : tool_no_memory(error);
	}
	text = json_dumps(data, JSON_COMPACT);
	*ret = text ? json_string(text) : NULL;
	free(text);
	return *ret ? 0 : tool_no_memory(error);
}

/* Names have no character that a URI escapes. */
static bool is_name(const char *name, size_t len)
{
	return len && len <= MSB_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz"
	                    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") >= len;
}

static int read_listed(struct mcp_call *c, const struct resource *res,
                       json_t **ret, struct msb_error *error)
{
	json_t *cleanup_json args = json_object();
	json_t *cleanup_json data = NULL;
	char *text;
	int r = res->read(c, args, &data, error);

	if (r < 0)
		return r;
	text = data ? json_dumps(data, JSON_COMPACT) : NULL;
	*ret = text ? json_string(text) : NULL;
	free(text);
	return *ret ? 0 : tool_no_memory(error);
}

int resources_read(struct mcp_call *c, const char *uri, json_t **ret_text,
                   const char **ret_type, struct msb_error *error)
{
	const char *path = uri + strlen(SCHEME), *name, *slash;
	size_t len;

	if (strncmp(uri, SCHEME, strlen(SCHEME)) != 0)
		return unknown(uri, error);
	*ret_type = JSON;
	for (size_t i = 0; i < ARRAY_SIZE(resources); i++)
		if (strcmp(resources[i].path, path) == 0)
			return read_listed(c, &resources[i], ret_text, error);
	if (strncmp(path, "sandboxes/", 10) != 0)
		return unknown(uri, error);
	name = path + 10;
	slash = strchr(name, '/');
	len = slash ? (size_t)(slash - name) : strlen(name);
	if (!is_name(name, len) || (slash && strcmp(slash, "/logs") != 0))
		return unknown(uri, error);
	if (slash)
		*ret_type = "text/plain";
	return read_one(c, name, len, slash, ret_text, error);
}
