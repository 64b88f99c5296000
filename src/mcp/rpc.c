#include "mcp/rpc.h"

#include <stdio.h>
#include <string.h>

#include "mcp/mcp.h"

#include "base/banned.h"

static bool is_deep(const json_t *j, unsigned left)
{
	const char *key;
	json_t *value;
	size_t i;

	if (!json_is_object(j) && !json_is_array(j))
		return false;
	if (left == 0)
		return true;
	if (json_is_array(j)) {
		json_array_foreach(
			j, i, value) if (is_deep(value, left - 1)) return true;
		return false;
	}
	json_object_foreach((json_t *)(uintptr_t)j, key,
	                    value) if (is_deep(value, left - 1)) return true;
	return false;
}

json_t *rpc_parse(const char *text, size_t len, char *why, size_t why_len)
{
	json_error_t je;
	json_t *j = json_loadb(
		text, len,
		JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &je);

	if (!j)
		(void)snprintf(why, why_len, "not valid JSON: column %d: %s",
		               je.column, je.text);
	if (!j || !is_deep(j, MCP_DEPTH_MAX))
		return j;
	(void)snprintf(why, why_len, "more than %u levels deep", MCP_DEPTH_MAX);
	json_decref(j);
	return NULL;
}

static bool is_id(const json_t *id)
{
	return json_is_integer(id) ||
	       (json_is_string(id) && json_string_length(id) <= RPC_ID_MAX);
}

static void bad(struct rpc_message *m, int code, const char *why)
{
	m->kind = RPC_BAD;
	m->code = code;
	m->why = why;
}

static bool has(const json_t *j, const char *key)
{
	return json_object_get(j, key) != NULL;
}

void rpc_read(json_t *j, struct rpc_message *ret)
{
	struct rpc_message m = {.kind = RPC_REQUEST};
	json_t *id = json_object_get(j, "id");
	const json_t *method = json_object_get(j, "method");
	const char *version = json_string_value(json_object_get(j, "jsonrpc"));

	m.id = is_id(id) ? id : NULL;
	m.method = json_string_value(method);
	m.params = json_object_get(j, "params");
	if (!json_is_object(j))
		bad(&m, RPC_INVALID_REQUEST, "a message is an object");
	else if (!version || strcmp(version, "2.0") != 0)
		bad(&m, RPC_INVALID_REQUEST, "jsonrpc is not \"2.0\"");
	else if (!method && (has(j, "result") || has(j, "error")))
		m.kind = RPC_RESPONSE;
	else if (!m.method || json_string_length(method) > RPC_METHOD_MAX)
		bad(&m, RPC_INVALID_REQUEST, "method is not a short string");
	else if (id && !m.id)
		bad(&m, RPC_INVALID_REQUEST,
		    "id is neither a short string nor an integer");
	else if (!id)
		m.kind = RPC_NOTIFICATION;
	else if (m.params && !json_is_object(m.params))
		bad(&m, RPC_INVALID_PARAMS, "params is not an object");
	*ret = m;
	if (!json_is_object(m.params))
		ret->params = NULL;
}

bool rpc_same_id(const json_t *a, const json_t *b)
{
	return a && b && json_typeof(a) == json_typeof(b) && json_equal(a, b);
}

json_t *rpc_result(json_t *id, json_t *result)
{
	return json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id,
	                 "result", result);
}

json_t *rpc_error(json_t *id, int code, const char *message, json_t *data)
{
	json_t *text = json_string(message);
	json_t *error;

	if (!text)
		text = json_string("the message is not UTF-8");
	error = json_pack("{s:i, s:o}", "code", code, "message", text);
	if (data && json_object_set_new(error, "data", data) < 0) {
		json_decref(error);
		error = NULL;
	}
	return json_pack("{s:s, s:o, s:o}", "jsonrpc", "2.0", "id",
	                 id ? json_incref(id) : json_null(), "error", error);
}

json_t *rpc_notification(const char *method, json_t *params)
{
	return json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method", method,
	                 "params", params);
}
