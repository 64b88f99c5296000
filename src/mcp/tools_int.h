/* tools_int.h - what the files of tools share. */
#ifndef MCP_TOOLS_INT_H
#define MCP_TOOLS_INT_H

#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "mcp/create.h"
#include "mcp/fail.h"
#include "mcp/server.h"
#include "mcp/sessions.h"
#include "mcp/text.h"

#define TOOL(name)                                                             \
	int tool_##name(struct mcp_call *c, const json_t *args, json_t **ret,  \
	                struct msb_error *error)
#define TOOL_DECLARE(name)                                                     \
	extern const struct field name##_in[], name##_out[];                   \
	TOOL(name)

#define NAME_FIELD                                                             \
	FIELD_RANGE("name", FIELD_TEXT, FIELD_REQUIRED, 1, MSB_NAME_MAX,       \
	            "Of the sandbox, or its id")
#define CONFIRM_FIELD                                                          \
	FIELD("confirm", FIELD_BOOL, 0,                                        \
	      "Must be true: what this takes away does not come "              \
	      "back")
#define MAX_BYTES_FIELD                                                        \
	FIELD_RANGE("maxBytes", FIELD_INT, 0, 1, MCP_OUTPUT_MAX,               \
	            "At most so many bytes of output; more is cut off, "       \
	            "and said")
#define ENCODING_FIELD                                                         \
	FIELD_CHOICE("encoding", FIELD_TEXT, 0, 0, "utf8 base64",              \
	             "utf8 (default): bytes that are not become U+FFFD")

/* A handle of a sandbox that runs, for one call. */
int tool_open(struct mcp_call *c, const char *name, struct msb_sandbox **ret,
              struct msb_error *error);
/* The same; one that has stopped is started first if @start. */
int tool_open_started(struct mcp_call *c, const char *name, bool start,
                      struct msb_sandbox **ret, bool *ret_started,
                      struct msb_error *error);
/* Start one that is on record, attached to the server unless @detached. */
int tool_start(struct mcp_call *c, const char *name, bool detached,
               struct msb_error *error);

static inline void cleanup_sandbox_fn(struct msb_sandbox **s)
{
	msb_sandbox_free(*s);
}
#define cleanup_sandbox cleanup(cleanup_sandbox_fn)

/* MSB_ERR_INVALID without "confirm": true. */
int tool_confirmed(const json_t *args, const char *what,
                   struct msb_error *error);
/* What a call may give out: maxBytes, and never more than --max-output. */
size_t tool_max_bytes(const struct mcp_call *c, const json_t *args);

/* Which sandboxes are meant: name, names and labels; each by its name. */
#define SELECT_FIELDS                                                          \
	FIELD_RANGE("name", FIELD_TEXT, 0, 1, MSB_NAME_MAX,                    \
	            "One sandbox, by name or id"),                             \
		FIELD_RANGE("names", FIELD_TEXTS, 0, 0, 256, "Several"),       \
		FIELD("labels", FIELD_PAIRS, 0,                                \
	              "All that have each of these labels")
int tool_select(struct mcp_call *c, const json_t *args, struct strv *ret,
                struct msb_error *error);
/* Do it to each; the result says how it went with whom. */
int tool_each(struct mcp_call *c, const json_t *args,
              int (*fn)(struct mcp_call *c, const char *name,
                        const json_t *args, json_t *result,
                        struct msb_error *error),
              json_t **ret, struct msb_error *error);

#endif
