/* dispatch.c - which method a message asks for, and what it gets. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "mcp/fail.h"
#include "mcp/server.h"
#include "mcp/text.h"

#include "base/banned.h"

#define META_VERSION      "io.modelcontextprotocol/protocolVersion"
#define META_CAPABILITIES "io.modelcontextprotocol/clientCapabilities"
#define META_SERVER       "io.modelcontextprotocol/serverInfo"
#define META_SUBSCRIPTION "io.modelcontextprotocol/subscriptionId"

/* What we tell does not change while we run, but by what tools do. */
#define CACHE_MS 3600000

const char *const mcp_revisions[] = {
	[MCP_2024_11_05] = "2024-11-05", [MCP_2025_03_26] = "2025-03-26",
	[MCP_2025_06_18] = "2025-06-18", [MCP_2025_11_25] = "2025-11-25",
	[MCP_2026_07_28] = "2026-07-28", NULL,
};

static int find_revision(const char *text)
{
	for (int i = 0; text && i < MCP_REVISIONS; i++)
		if (strcmp(mcp_revisions[i], text) == 0)
			return i;
	return MCP_NO_REVISION;
}

/* ---- results ------------------------------------------------------------- */

static json_t *server_info(void)
{
	return json_pack("{s:s, s:s, s:s}", "name", "microsandbox", "title",
	                 "microsandbox", "version", msb_version());
}

json_t *result_finish(json_t *result, int revision)
{
	json_t *meta;

	if (revision < MCP_2026_07_28 || !result)
		return result;
	meta = json_object_get(result, "_meta");
	if (!meta) {
		meta = json_object();
		(void)json_object_set_new(result, "_meta", meta);
	}
	(void)json_object_set_new(meta, META_SERVER, server_info());
	(void)json_object_set_new(result, "resultType",
	                          json_string("complete"));
	return result;
}

/* What may be kept, and for how long. */
static json_t *cacheable(json_t *result, int revision, int ms)
{
	if (revision < MCP_2026_07_28 || !result)
		return result;
	(void)json_object_set_new(result, "ttlMs", json_integer(ms));
	(void)json_object_set_new(result, "cacheScope", json_string("private"));
	return result;
}

static json_t *capabilities(void)
{
	return json_pack("{s:{}, s:{}}", "tools", "resources");
}

static json_t *annotations(const struct mcp_tool *t)
{
	return json_pack("{s:b, s:b, s:b, s:b}", "readOnlyHint",
	                 (int)!!(t->flags & TOOL_READ_ONLY), "destructiveHint",
	                 (int)!!(t->flags & TOOL_DESTRUCTIVE), "idempotentHint",
	                 (int)!!(t->flags & (TOOL_IDEMPOTENT | TOOL_READ_ONLY)),
	                 "openWorldHint", (int)!!(t->flags & TOOL_OPEN_WORLD));
}

static json_t *tool_json(const struct mcp_tool *t, int revision)
{
	json_t *o = json_pack("{s:s, s:s, s:o}", "name", t->name, "description",
	                      t->description, "inputSchema",
	                      schema_json(t->input, true));

	if (revision >= MCP_2025_03_26)
		(void)json_object_set_new(o, "annotations", annotations(t));
	if (revision < MCP_2025_06_18)
		return o;
	(void)json_object_set_new(o, "title", json_string(t->title));
	(void)json_object_set_new(o, "outputSchema",
	                          schema_json(t->output, false));
	return o;
}

static bool is_offered(const struct mcp_server *s, const struct mcp_tool *t)
{
	return policy_has_tool(s->opt, t->name, t->flags & TOOL_READ_ONLY);
}

json_t *server_tools(const struct mcp_server *s, int revision)
{
	json_t *list = json_array();

	for (const struct mcp_tool *t = s->app->tools; t->name; t++)
		if (is_offered(s, t))
			(void)json_array_append_new(list,
			                            tool_json(t, revision));
	return json_pack("{s:o}", "tools", list);
}

/* ---- methods that are answered at once ----------------------------------- */

struct request {
	struct mcp_server *s;
	const struct rpc_message *m;
	struct mcp_batch *batch;
	int revision;
};

static void answer(const struct request *q, json_t *result)
{
	json_t *done = result_finish(result, q->revision);

	server_answer(q->s, q->batch,
	              done ? rpc_result(q->m->id, done)
	                   : rpc_error(q->m->id, RPC_INTERNAL_ERROR,
	                               "out of memory", NULL));
}

static void refuse(const struct request *q, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void refuse(const struct request *q, int code, const char *fmt, ...)
{
	char text[640];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	server_answer(q->s, q->batch, rpc_error(q->m->id, code, text, NULL));
}

static void do_discover(const struct request *q)
{
	answer(q, cacheable(json_pack("{s:[s], s:o, s:s}", "supportedVersions",
	                              mcp_revisions[MCP_2026_07_28],
	                              "capabilities", capabilities(),
	                              "instructions", q->s->app->instructions),
	                    q->revision, CACHE_MS));
}

/* What we do not know we answer with what we know best. */
static void do_initialize(const struct request *q)
{
	const char *asked = json_str(q->m->params, "protocolVersion", NULL);
	int revision = find_revision(asked);

	if (q->s->revision != MCP_NO_REVISION) {
		refuse(q, RPC_INVALID_REQUEST, "initialize came before");
		return;
	}
	if (q->batch) {
		refuse(q, RPC_INVALID_REQUEST, "initialize stands alone");
		return;
	}
	if (!asked) {
		refuse(q, RPC_INVALID_PARAMS,
		       "protocolVersion is not a string");
		return;
	}
	if (revision < 0 || revision > MCP_LEGACY_LATEST)
		revision = MCP_LEGACY_LATEST;
	q->s->revision = revision;
	answer(q, json_pack("{s:s, s:o, s:o, s:s}", "protocolVersion",
	                    mcp_revisions[revision], "capabilities",
	                    capabilities(), "serverInfo", server_info(),
	                    "instructions", q->s->app->instructions));
}

static void do_ping(const struct request *q)
{
	answer(q, json_object());
}

/* All is on the first page. */
static bool is_first_page(const struct request *q)
{
	if (!json_object_get(q->m->params, "cursor"))
		return true;
	refuse(q, RPC_INVALID_PARAMS, "cursor: there is no such page");
	return false;
}

static void do_tools_list(const struct request *q)
{
	if (is_first_page(q))
		answer(q, cacheable(server_tools(q->s, q->revision),
		                    q->revision, CACHE_MS));
}

static void do_resources_list(const struct request *q)
{
	if (is_first_page(q))
		answer(q, cacheable(json_pack("{s:o}", "resources",
		                              q->s->app->resources()),
		                    q->revision, CACHE_MS));
}

static void do_templates_list(const struct request *q)
{
	if (is_first_page(q))
		answer(q, cacheable(json_pack("{s:o}", "resourceTemplates",
		                              q->s->app->templates()),
		                    q->revision, CACHE_MS));
}

/* ---- methods that are worked on ------------------------------------------ */

static void do_tools_call(const struct request *q)
{
	const char *name = json_str(q->m->params, "name", NULL);
	const json_t *args = json_object_get(q->m->params, "arguments");
	const struct mcp_tool *t = q->s->app->tools;
	struct mcp_call *c;

	if (!name) {
		refuse(q, RPC_INVALID_PARAMS, "name is not a string");
		return;
	}
	while (t->name && strcmp(t->name, name) != 0)
		t++;
	if (!t->name || !is_offered(q->s, t)) {
		refuse(q, RPC_INVALID_PARAMS, "%s tool: %.128s",
		       t->name ? "Forbidden" : "Unknown", name);
		return;
	}
	if (args && !json_is_object(args)) {
		refuse(q, RPC_INVALID_PARAMS, "arguments is not an object");
		return;
	}
	c = call_new(q->s, q->m, q->revision, q->batch);
	if (!c)
		return;
	c->tool = t;
	call_queue(c);
}

static void do_resources_read(const struct request *q)
{
	struct mcp_call *c;

	if (!json_str(q->m->params, "uri", NULL)) {
		refuse(q, RPC_INVALID_PARAMS, "uri is not a string");
		return;
	}
	c = call_new(q->s, q->m, q->revision, q->batch);
	if (c)
		call_queue(c);
}

/* There is nothing to be told: lists are as they are, resources are read. */
static void do_listen(const struct request *q)
{
	struct mcp_call *c;

	if (!json_is_object(json_object_get(q->m->params, "notifications"))) {
		refuse(q, RPC_INVALID_PARAMS, "notifications is not an object");
		return;
	}
	c = call_new(q->s, q->m, q->revision, NULL);
	if (!c)
		return;
	server_send(q->s,
	            rpc_notification("notifications/subscriptions/acknowledged",
	                             json_pack("{s:{s:O}, s:{}}", "_meta",
	                                       META_SUBSCRIPTION, q->m->id,
	                                       "notifications")),
	            false);
	(void)pthread_mutex_lock(&q->s->lock);
	c->listens = true;
	(void)pthread_mutex_unlock(&q->s->lock);
}

/* ---- the table ----------------------------------------------------------- */

static const struct method {
	const char *name;
	int first, last; /* revisions that have it */
	void (*run)(const struct request *q);
} methods[] = {
	{"initialize",               MCP_2024_11_05, MCP_2025_11_25, do_initialize    },
	{"ping",		     MCP_2024_11_05, MCP_2025_11_25, do_ping          },
	{"server/discover",          MCP_2026_07_28, MCP_2026_07_28, do_discover      },
	{"subscriptions/listen",     MCP_2026_07_28, MCP_2026_07_28, do_listen        },
	{"tools/list",               MCP_2024_11_05, MCP_2026_07_28, do_tools_list    },
	{"tools/call",               MCP_2024_11_05, MCP_2026_07_28, do_tools_call    },
	{"resources/list",           MCP_2024_11_05, MCP_2026_07_28, do_resources_list},
	{"resources/templates/list", MCP_2024_11_05, MCP_2026_07_28,
         do_templates_list							    },
	{"resources/read",           MCP_2024_11_05, MCP_2026_07_28, do_resources_read},
};

static json_t *all_revisions(void)
{
	json_t *a = json_array();

	for (int i = MCP_REVISIONS - 1; i >= 0; i--)
		(void)json_array_append_new(a, json_string(mcp_revisions[i]));
	return a;
}

/*
 * Which revision a request is of: what it says itself, else the handshake's.
 * False when it was refused.
 */
static bool find_era(struct request *q)
{
	const json_t *meta = json_object_get(q->m->params, "_meta");
	const json_t *version = json_object_get(meta, META_VERSION);
	bool handshake = strcmp(q->m->method, "initialize") == 0 ||
	                 strcmp(q->m->method, "ping") == 0;

	if (meta && !json_is_object(meta)) {
		refuse(q, RPC_INVALID_PARAMS, "_meta is not an object");
		return false;
	}
	if (!version) {
		q->revision = q->s->revision != MCP_NO_REVISION
		                      ? q->s->revision
		                      : MCP_LEGACY_LATEST;
		if (handshake || q->s->revision != MCP_NO_REVISION)
			return true;
		refuse(q, RPC_INVALID_PARAMS,
		       "_meta has no " META_VERSION ", and there was no "
		       "initialize");
		return false;
	}
	q->revision = find_revision(json_string_value(version));
	if (!json_is_string(version)) {
		refuse(q, RPC_INVALID_PARAMS, META_VERSION " is not a string");
		return false;
	}
	if (q->revision != MCP_2026_07_28) {
		server_answer(q->s, q->batch,
		              rpc_error(q->m->id, RPC_VERSION,
		                        "Unsupported protocol version",
		                        json_pack("{s:o, s:O}", "supported",
		                                  all_revisions(), "requested",
		                                  version)));
		return false;
	}
	if (json_is_object(json_object_get(meta, META_CAPABILITIES)))
		return true;
	refuse(q, RPC_INVALID_PARAMS,
	       "_meta has no " META_CAPABILITIES " that is an object");
	return false;
}

static void do_request(struct mcp_server *s, const struct rpc_message *m,
                       struct mcp_batch *batch)
{
	struct request q = {.s = s, .m = m, .batch = batch};
	const struct method *found = NULL;

	if (!find_era(&q))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (strcmp(methods[i].name, m->method) == 0)
			found = &methods[i];
	if (found && q.revision >= found->first && q.revision <= found->last)
		found->run(&q);
	else
		refuse(&q, RPC_METHOD_NOT_FOUND, "no such method: %.128s",
		       m->method);
}

static void do_message(struct mcp_server *s, json_t *message,
                       struct mcp_batch *batch)
{
	struct rpc_message m;

	rpc_read(message, &m);
	if (m.kind == RPC_BAD)
		server_answer(s, batch, rpc_error(m.id, m.code, m.why, NULL));
	else if (m.kind == RPC_REQUEST)
		do_request(s, &m, batch);
	else if (m.kind == RPC_NOTIFICATION &&
	         strcmp(m.method, "notifications/cancelled") == 0)
		server_cancel(s, json_object_get(m.params, "requestId"));
}

static void do_batch(struct mcp_server *s, json_t *list)
{
	struct mcp_batch *batch;
	json_t *message;
	size_t i;

	if (s->revision != MCP_2025_03_26 || !json_array_size(list)) {
		server_send(s,
		            rpc_error(NULL, RPC_INVALID_REQUEST,
		                      json_array_size(list)
		                              ? "this revision has no batches"
		                              : "a batch is not empty",
		                      NULL),
		            false);
		return;
	}
	batch = server_batch(s);
	if (!batch)
		return;
	json_array_foreach(list, i, message) do_message(s, message, batch);
	server_batch_done(s, batch);
}

void server_line(struct mcp_server *s, const char *line, size_t len)
{
	char why[256] = "";
	json_t *cleanup_json j = NULL;

	if (line)
		j = rpc_parse(line, len, why, sizeof(why));
	else
		(void)snprintf(why, sizeof(why),
		               "a message has at most %u bytes",
		               MCP_MESSAGE_MAX);
	if (!j)
		server_send(
			s,
			rpc_error(NULL,
		                  line ? RPC_PARSE_ERROR : RPC_INVALID_REQUEST,
		                  why, NULL),
			false);
	else if (json_is_array(j))
		do_batch(s, j);
	else
		do_message(s, j, NULL);
}

/* ---- the work ------------------------------------------------------------ */

static json_t *content(const char *text, size_t len)
{
	return json_pack("[{s:s, s:o}]", "type", "text", "text",
	                 json_stringn(text, len));
}

/* For a model to read; programs find the same in _meta. */
static json_t *failure(const struct mcp_call *c, const struct msb_error *e)
{
	struct buf cleanup_buf text = BUF_INIT;
	json_t *o, *message;

	(void)buf_printf(&text, "error (%s): %s", msb_code_name(e->code),
	                 e->message);
	if (*e->hint)
		(void)buf_printf(&text, "\nhint: %s", e->hint);
	message = json_string(e->message);
	o = json_pack("{s:o, s:b, s:{s:{s:s, s:i, s:i, s:o, s:o}}}", "content",
	              json_pack("[{s:s, s:o}]", "type", "text", "text",
	                        text_json(buf_str(&text), text.len)),
	              "isError", 1, "_meta", "microsandbox/error", "code",
	              msb_code_name(e->code), "number", (int)e->code, "errno",
	              (int)e->sys_errno, "message",
	              message ? message : json_string("?"), "hint",
	              text_json(e->hint, strlen(e->hint)));
	return result_finish(o, c->revision);
}

static json_t *success(const struct mcp_call *c, json_t *data)
{
	char *text = json_dumps(data, JSON_COMPACT);
	json_t *o = NULL;

	if (text)
		o = json_pack("{s:o, s:b}", "content",
		              content(text, strlen(text)), "isError",
		              (int)c->failed);
	free(text);
	if (c->revision >= MCP_2025_06_18)
		(void)json_object_set(o, "structuredContent", data);
	json_decref(data);
	return result_finish(o, c->revision);
}

/* Steals @result. */
static json_t *message_of(const struct mcp_call *c, json_t *result)
{
	return result ? rpc_result(c->id, result) : NULL;
}

static json_t *do_tool(struct mcp_call *c)
{
	json_t *args = json_object_get(c->params, "arguments");
	json_t *cleanup_json none = args ? NULL : json_object();
	struct msb_error e = {0};
	char why[1024];
	json_t *data = NULL;
	int r = 0;

	if (!args)
		args = none;
	if (c->tool->prepare)
		r = c->tool->prepare(c, args, &e);
	if (r == 0 && !schema_check(c->tool->input, args, why, sizeof(why)))
		r = tool_fail(&e, MSB_ERR_INVALID, "%s", why);
	if (r == 0)
		r = c->tool->run(c, args, &data, &e);
	if (r == 0 && !data)
		r = tool_no_memory(&e);
	if (r >= 0)
		return message_of(c, success(c, data));
	json_decref(data);
	return message_of(c, failure(c, &e));
}

static json_t *do_read(struct mcp_call *c)
{
	const char *uri = json_str(c->params, "uri", ""), *type = NULL;
	struct msb_error e = {0};
	json_t *text = NULL, *o;
	int r = c->server->app->read(c, uri, &text, &type, &e);
	int code = RPC_INTERNAL_ERROR;

	if (r == 0) {
		o = json_pack("{s:[{s:s, s:s, s:o}]}", "contents", "uri", uri,
		              "mimeType", type, "text", text);
		return message_of(c, result_finish(cacheable(o, c->revision, 0),
		                                   c->revision));
	}
	if (r == -MSB_ERR_NOT_FOUND)
		code = c->revision >= MCP_2026_07_28 ? RPC_INVALID_PARAMS
		                                     : RPC_NO_RESOURCE;
	return rpc_error(c->id, code, e.message,
	                 json_pack("{s:s}", "uri", uri));
}

json_t *call_work(struct mcp_call *c)
{
	return c->tool ? do_tool(c) : do_read(c);
}
