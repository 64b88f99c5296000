/* msb mcp: options and variables of the server in src/mcp. */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "cli/command.h"
#include "cli/out.h"
#include "mcp/mcp.h"

#include "base/banned.h"

#define LARGE (128 << 10)

COMMAND_DECLARE(mcp)

struct mcp_values {
	struct strv paths, allow_tools, deny_tools, images, secrets;
	const char *max_output;
	uint64_t timeout_ms, session_ttl_ms;
	uint32_t max_sandboxes;
	bool read_only, any_path, list_tools;
};
static_assert(sizeof(struct mcp_values) <= COMMAND_VALUES_MAX, "grow it");

#define FIELD(f) offsetof(struct mcp_values, f)
const struct opt cmd_mcp_opts[] = {
	OPT_ROW(0, "read-only", NULL, OPT_FLAG, FIELD(read_only),
                "Offer only tools that change nothing"),
	OPT_ROW(0, "allow-tool", "PATTERN", OPT_LIST, FIELD(allow_tools),
                "Offer only tools that match, as 'sandbox_*' (repeatable)"),
	OPT_ROW(0, "deny-tool", "PATTERN", OPT_LIST, FIELD(deny_tools),
                "Do not offer tools that match (repeatable)"),
	OPT_ROW(0, "allow-path", "DIR", OPT_LIST, FIELD(paths),
                "Mount and copy folders and files of this host below DIR "
                "(the working folder) (repeatable)"),
	OPT_ROW(0, "allow-any-path", NULL, OPT_FLAG, FIELD(any_path),
                "... below any folder"),
	OPT_ROW(0, "allow-image", "PATTERN", OPT_LIST, FIELD(images),
                "Use only images that match, as 'python:3.*' or "
                "'ghcr.io/acme/*' (repeatable)"),
	OPT_ROW(0, "allow-secret", "NAME", OPT_LIST, FIELD(secrets),
                "Sandboxes may have the variable NAME of here as a secret "
                "(repeatable)"),
	OPT_ROW(0, "max-sandboxes", "N", OPT_COUNT, FIELD(max_sandboxes),
                "So many sandboxes of its own at once (16)"),
	OPT_ROW(0, "max-output", "BYTES", OPT_STRING, FIELD(max_output),
                "So much output of one call; more is cut off (1M)"),
	OPT_ROW(0, "timeout", "TIME", OPT_DURATION, FIELD(timeout_ms),
                "How long a command may take that does not say (2m)"),
	OPT_ROW(0, "session-ttl", "TIME", OPT_DURATION, FIELD(session_ttl_ms),
                "A background command that nobody asks about ends after so "
                "long (15m)"),
	OPT_ROW(0, "list-tools", NULL, OPT_FLAG, FIELD(list_tools),
                "Print the tools as a table, and end"),
	{0},
};

/* A number of a variable, as the Rust msb's server has them. */
static int number_of(const char *name, uint64_t max, uint64_t *ret)
{
	const char *text = getenv(name);

	if (!text || !*text)
		return 0;
	if (num_parse_u64(text, max, ret) && *ret)
		return 0;
	out_errorf("a number of 1 or more, or nothing", "%s: '%s'", name, text);
	return -EINVAL;
}

/* What was not said comes from variables, then is as it always is. */
static int take_numbers(const struct mcp_values *v, struct mcp_options *o)
{
	uint64_t bytes = MCP_OUTPUT_DEFAULT, timeout = MCP_TIMEOUT_MS,
		 ttl = MCP_SESSION_TTL_MS;
	const uint64_t ms_max = 86400000;

	if (number_of("MICROSANDBOX_MCP_MAX_OUTPUT_BYTES", UINT32_MAX, &bytes) <
	            0 ||
	    number_of("MICROSANDBOX_MCP_DEFAULT_TIMEOUT_MS", ms_max, &timeout) <
	            0 ||
	    number_of("MICROSANDBOX_MCP_SESSION_TTL_MS", ms_max, &ttl) < 0)
		return -EINVAL;
	if (v->max_output && !num_parse_size(v->max_output, 1, &bytes)) {
		out_errorf("for example 65536, 256K or 1M",
		           "--max-output: '%s' is not a size", v->max_output);
		return -EINVAL;
	}
	if (bytes < MCP_OUTPUT_MIN || bytes > MCP_OUTPUT_MAX) {
		out_errorf("from 1K to 64M", "--max-output is out of bounds");
		return -EINVAL;
	}
	o->max_output = (size_t)bytes;
	o->timeout_ms = v->timeout_ms ? MIN(v->timeout_ms, ms_max) : timeout;
	o->session_ttl_ms =
		v->session_ttl_ms ? MIN(v->session_ttl_ms, ms_max) : ttl;
	o->max_sandboxes = v->max_sandboxes ? v->max_sandboxes : MCP_SANDBOXES;
	if (o->max_sandboxes <= MCP_SANDBOXES_LIMIT)
		return 0;
	out_errorf("at most 1000", "--max-sandboxes is out of bounds");
	return -EINVAL;
}

static int split_paths(const char *text, struct strv *to)
{
	while (*text) {
		size_t n = strcspn(text, ":");

		if (n && strv_addn(to, text, n) < 0)
			return -ENOMEM;
		text += n + (text[n] == ':');
	}
	return 0;
}

/* "/" is where programs with windows start: it is not meant. */
static int take_paths(const struct mcp_values *v, struct mcp_options *o)
{
	const char *policy = getenv("MICROSANDBOX_MCP_HOST_PATH_POLICY"),
		   *paths = getenv("MICROSANDBOX_MCP_HOST_PATHS");
	char cwd[PATH_MAX];

	o->any_path =
		v->any_path || (policy && strcmp(policy, "unrestricted") == 0);
	if (v->paths.n)
		return strv_add_all(&o->paths, strv_list(&v->paths));
	if (paths && *paths)
		return split_paths(paths, &o->paths);
	if (!getcwd(cwd, sizeof(cwd)) || strcmp(cwd, "/") == 0)
		return 0;
	return strv_add(&o->paths, cwd);
}

static int take_lists(const struct mcp_values *v, struct mcp_options *o)
{
	if (take_paths(v, o) < 0 ||
	    strv_add_all(&o->allow_tools, strv_list(&v->allow_tools)) < 0 ||
	    strv_add_all(&o->deny_tools, strv_list(&v->deny_tools)) < 0 ||
	    strv_add_all(&o->images, strv_list(&v->images)) < 0 ||
	    strv_add_all(&o->secrets, strv_list(&v->secrets)) < 0) {
		out_errorf(NULL, "out of memory");
		return -ENOMEM;
	}
	return 0;
}

static void release(struct mcp_options *o)
{
	strv_release(&o->paths);
	strv_release(&o->allow_tools);
	strv_release(&o->deny_tools);
	strv_release(&o->images);
	strv_release(&o->secrets);
}

static int list_tools(const struct mcp_options *o)
{
	struct buf cleanup_buf b = BUF_INIT;

	if (mcp_list_tools(o, &b) < 0) {
		out_errorf(NULL, "out of memory");
		return EXIT_FAILED;
	}
	(void)fputs(buf_str(&b), stdout);
	return out_finish(EXIT_OK);
}

/*
 * Hours of calls, some of which hold megabytes for a moment: a few arenas, and
 * what is large goes back to the kernel at once, which glibc would stop to do
 * after the first time.
 */
static void keep_small(void)
{
	(void)mallopt(M_ARENA_MAX, 2);
	(void)mallopt(M_MMAP_THRESHOLD, LARGE);
}

static int serve(const struct mcp_options *o)
{
	struct err err = {0};

	keep_small();
	if (isatty(0) && isatty(1))
		out_note("msb mcp speaks JSON-RPC on standard input and "
		         "output: it is for agents to start, see msb mcp "
		         "--help. Ctrl-D ends it.");
	if (mcp_serve(o, 0, 1, &err) == 0)
		return EXIT_OK;
	out_err(&err);
	return EXIT_FAILED;
}

int cmd_mcp(struct cli *cli, void *values)
{
	const struct mcp_values *v = values;
	struct mcp_options o = {.read_only = v->read_only};
	int code = EXIT_USAGE;

	o.log_fd = cli->log_level ? 2 : 0;
	o.log_level = cli->log_level;
	if (take_numbers(v, &o) == 0 && take_lists(v, &o) == 0)
		code = v->list_tools ? list_tools(&o) : serve(&o);
	release(&o);
	return code;
}
