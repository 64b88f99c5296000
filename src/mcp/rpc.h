/* rpc.h - JSON-RPC 2.0 as the Model Context Protocol has it. */
#ifndef MCP_RPC_H
#define MCP_RPC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define RPC_PARSE_ERROR      (-32700)
#define RPC_INVALID_REQUEST  (-32600)
#define RPC_METHOD_NOT_FOUND (-32601)
#define RPC_INVALID_PARAMS   (-32602)
#define RPC_INTERNAL_ERROR   (-32603)
#define RPC_NO_RESOURCE      (-32002) /* up to 2025-11-25 */
#define RPC_VERSION          (-32022) /* unsupported protocol version */

#define RPC_ID_MAX     512u
#define RPC_METHOD_MAX 128u

enum rpc_kind {
	RPC_REQUEST,
	RPC_NOTIFICATION,
	RPC_RESPONSE, /* nobody asked: dropped */
	RPC_BAD,      /* answered with code and why */
};

/* Pointers are into the message. */
struct rpc_message {
	enum rpc_kind kind;
	json_t *id; /* NULL where there is none that can be believed */
	const char *method;
	json_t *params; /* an object, or NULL */
	int code;
	const char *why;
};

/*
 * The text of a message: NULL and @why when it is no JSON, has a key twice,
 * bytes that are not UTF-8, or more than MCP_DEPTH_MAX levels.
 */
json_t *rpc_parse(const char *text, size_t len, char *why, size_t why_len);

void rpc_read(json_t *message, struct rpc_message *ret);

/* Strings and numbers are never the same. */
bool rpc_same_id(const json_t *a, const json_t *b);

/* All steal @result, @data, @params; NULL when out of memory. */
json_t *rpc_result(json_t *id, json_t *result);
json_t *rpc_error(json_t *id, int code, const char *message, json_t *data);
json_t *rpc_notification(const char *method, json_t *params);

#endif
