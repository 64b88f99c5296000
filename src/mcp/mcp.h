/*
 * mcp.h - a server of the Model Context Protocol over two descriptors, one
 * JSON-RPC message a line.
 *
 * It speaks revision 2026-07-28, where each request says all about itself, and
 * the revisions with a handshake from 2024-11-05 to 2025-11-25. Everything
 * that comes in is hostile: a model may have been told what to ask by a web
 * page. What it may not do is in struct mcp_options.
 *
 * Who does what:
 *
 *	reader   the thread that called: reads lines, answers what is quick,
 *	         gives tools/call and resources/read to a worker, cancels
 *	workers  at most MCP_WORKERS, started when they are needed
 *	writer   one, the only one that writes; others queue, and wait for room
 *	poller   one, while there are background commands
 *
 * Sandboxes that it makes are attached to it unless asked otherwise: when it
 * ends, however it ends, they do.
 */
#ifndef MCP_MCP_H
#define MCP_MCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/strv.h"

#define MCP_MESSAGE_MAX     (4u << 20) /* bytes of one message that comes in */
#define MCP_DEPTH_MAX       64u
#define MCP_WORKERS         64u
#define MCP_QUEUED_MAX      1024u /* calls that wait for a worker */
#define MCP_OUTPUT_DEFAULT  (1u << 20)
#define MCP_OUTPUT_MIN      1024u
#define MCP_OUTPUT_MAX      (64u << 20)
#define MCP_TIMEOUT_MS      120000u
#define MCP_SESSION_TTL_MS  900000u
#define MCP_SANDBOXES       16u
#define MCP_SANDBOXES_LIMIT 1000u

struct mcp_options {
	bool read_only; /* only tools that change nothing */
	bool any_path;  /* all host paths */
	struct strv allow_tools, deny_tools; /* fnmatch(3) patterns */
	struct strv paths;                   /* folders of the host */
	struct strv images;                  /* patterns; empty: all */
	struct strv secrets;                 /* variables of this process */
	size_t max_output;                   /* bytes of a call's output */
	uint64_t timeout_ms;                 /* of a command, unless it says */
	uint64_t session_ttl_ms;
	uint32_t max_sandboxes;
	int log_fd; /* where machines log; 0: nowhere */
	const char *log_level;
};

/*
 * Serve until @in ends, @out is gone or SIGTERM, SIGINT or SIGHUP comes, and
 * end all that was begun. The signals are blocked for the whole process and
 * SIGPIPE is ignored from then on. 0, or a negative errno.
 */
int mcp_serve(const struct mcp_options *opt, int in, int out, struct err *err);

/* The tools that @opt leaves, as a table in Markdown. */
int mcp_list_tools(const struct mcp_options *opt, struct buf *ret);

#endif
