/*
 * tool.h - what a tool is. tools.c lists them all: a new one is a function and
 * a line there.
 */
#ifndef MCP_TOOL_H
#define MCP_TOOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mcp/schema.h"
#include "microsandbox.h"

struct mcp_call;

/* As clients are told, as annotations. */
enum tool_flags {
	TOOL_READ_ONLY = 1,
	TOOL_DESTRUCTIVE = 2,
	TOOL_IDEMPOTENT = 4,
	TOOL_OPEN_WORLD = 8, /* reaches beyond this host */
};

struct mcp_tool {
	const char *name, *title, *description;
	uint32_t flags;
	const struct field *input, *output;
	/* May change @args before they are checked; -@error->code. NULL. */
	int (*prepare)(struct mcp_call *c, json_t *args,
	               struct msb_error *error);
	/*
	 * 0 and *@ret, an object as @output says, or -@error->code. A worker
	 * calls it, with the call's token in use.
	 */
	int (*run)(struct mcp_call *c, const json_t *args, json_t **ret,
	           struct msb_error *error);
};

/* What the server serves. */
struct mcp_app {
	const struct mcp_tool *tools; /* ends with one without a name */
	const char *instructions;
	/* Lists as resources/list and resources/templates/list have them. */
	json_t *(*resources)(void);
	json_t *(*templates)(void);
	/*
	 * The text of one, whose type is *@ret_type. MSB_ERR_NOT_FOUND: no such
	 * resource. In a worker, as a tool.
	 */
	int (*read)(struct mcp_call *c, const char *uri, json_t **ret_text,
	            const char **ret_type, struct msb_error *error);
};

extern const struct mcp_app mcp_app;

/* Progress of what goes on, if the client asked for it. Any thread; quick. */
void tool_progress(struct mcp_call *c, uint64_t done, uint64_t total,
                   const char *fmt, ...) __attribute__((format(printf, 4, 5)));
bool tool_cancelled(const struct mcp_call *c);
/* MSB_ERR_CANCELLED. */
int tool_was_cancelled(struct msb_error *error);
/* The result says itself that it failed. */
void tool_set_error(struct mcp_call *c);

#endif
