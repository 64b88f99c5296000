/*
 * Lines into the MCP server: the first byte says which revision was agreed on
 * before, the rest are lines. The tools touch nothing but what they are given.
 *
 * Whatever comes, each message that goes out is JSON-RPC, an answer has the id
 * of a request of this input, once, or none; what a tool is called with is what
 * its table says; and nothing is left when the input ends.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "mcp/fail.h"
#include "mcp/lines.h"
#include "mcp/server.h"
#include "mcp/sessions.h"
#include "mcp/text.h"

#include "base/banned.h"

/* ---- the library: what a server without sandboxes calls ------------------ */

struct msb_cancel {
	int fired;
};

int msb_cancel_new(struct msb_cancel **ret, struct msb_error *error)
{
	(void)error;
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -MSB_ERR_NO_MEMORY;
}

void msb_cancel_free(struct msb_cancel *c)
{
	free(c);
}

void msb_cancel_use(struct msb_cancel *c)
{
	(void)c;
}

void msb_cancel_fire(struct msb_cancel *c)
{
	c->fired = 1;
}

const char *msb_version(void)
{
	return "fuzz";
}

const char *msb_code_name(int32_t code)
{
	return code == MSB_ERR_INVALID ? "invalid" : "other";
}

#define NEVER(...)                                                             \
	__VA_ARGS__                                                            \
	{                                                                      \
		abort();                                                       \
	}
NEVER(int msb_home_open(const char *p, struct msb_home **r,
                        struct msb_error *e))
NEVER(int msb_exec_next(struct msb_exec *x, int t, struct msb_exec_event *v,
                        struct msb_error *e))
NEVER(int msb_exec_fd(const struct msb_exec *x))
NEVER(int64_t msb_exec_write(struct msb_exec *x, const void *d, size_t n,
                             struct msb_error *e))
NEVER(int msb_exec_close_stdin(struct msb_exec *x, struct msb_error *e))
NEVER(int msb_exec_signal(struct msb_exec *x, int n, struct msb_error *e))
NEVER(void msb_sandbox_free(struct msb_sandbox *s))
NEVER(enum msb_state msb_sandbox_state(struct msb_sandbox *s))
NEVER(const char *msb_sandbox_name(const struct msb_sandbox *s))
NEVER(const char *msb_sandbox_id(const struct msb_sandbox *s))

void msb_home_free(struct msb_home *h)
{
	if (h)
		abort();
}

void msb_exec_free(struct msb_exec *x)
{
	if (x)
		abort();
}

/* ---- tools --------------------------------------------------------------- */

static const struct field sub[] = {
	FIELD_CHOICE("a", FIELD_TEXT, FIELD_REQUIRED, 9, "one two", NULL),
	FIELD_RANGE("b", FIELD_INT, 0, 2, 9, NULL),
	{0},
};
static const struct field in[] = {
	FIELD_RANGE("text", FIELD_TEXT, FIELD_REQUIRED, 1, 5, "x"),
	FIELD("bytes", FIELD_BYTES, 0, NULL),
	FIELD_RANGE("int", FIELD_INT, 0, -5, 70000, NULL),
	FIELD("number", FIELD_NUMBER, 0, NULL),
	FIELD("bool", FIELD_BOOL, 0, NULL),
	FIELD_RANGE("texts", FIELD_TEXTS, 0, 1, 3, NULL),
	FIELD_RANGE("ints", FIELD_INTS, 0, 0, 3, NULL),
	FIELD_RANGE("words", FIELD_WORDS, 0, 0, 3, NULL),
	FIELD("pairs", FIELD_PAIRS, 0, NULL),
	FIELD_SUB("object", FIELD_OBJECT, 0, 0, sub, NULL),
	FIELD("any", FIELD_OBJECT, 0, NULL),
	FIELD_SUB("objects", FIELD_OBJECTS, 0, 2, sub, NULL),
	FIELD_SUB("conf", FIELD_CONF, 0, 0, sub, NULL),
	{0},
};
static const struct field out[] = {{0}};

static size_t characters(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/* The table's promises, checked once more by hand. */
static int echo(struct mcp_call *c, const json_t *args, json_t **ret,
                struct msb_error *error)
{
	const json_t *text = json_object_get(args, "text");
	const json_t *object = json_object_get(args, "object");
	const json_t *n = json_object_get(args, "int"), *one;
	size_t i;

	(void)error;
	if (!json_is_string(text) ||
	    strlen(json_string_value(text)) != json_string_length(text) ||
	    characters(json_string_value(text)) < 1 ||
	    characters(json_string_value(text)) > 5)
		abort();
	if (n && (!json_is_integer(n) || json_integer_value(n) < -5 ||
	          json_integer_value(n) > 70000))
		abort();
	if (object && !json_is_string(json_object_get(object, "a")))
		abort();
	if (json_array_size(json_object_get(args, "objects")) > 2)
		abort();
	json_array_foreach(json_object_get(args, "texts"), i,
	                   one) if (!json_is_string(one)) abort();
	tool_progress(c, 1, 2, "%s", json_string_value(text));
	*ret = json_pack("{s:O}", "args", args);
	return 0;
}

static int broken(struct mcp_call *c, const json_t *args, json_t **ret,
                  struct msb_error *error)
{
	(void)c;
	(void)args;
	(void)ret;
	return tool_fail(error, MSB_ERR_INVALID, "\xff no");
}

static json_t *nothing(void)
{
	return json_array();
}

static int read_one(struct mcp_call *c, const char *uri, json_t **ret_text,
                    const char **ret_type, struct msb_error *error)
{
	(void)c;
	if (strlen(uri) % 2)
		return tool_fail(error, MSB_ERR_NOT_FOUND, "no");
	*ret_text = text_json(uri, strlen(uri));
	*ret_type = "text/plain";
	return 0;
}

static const struct mcp_tool tools[] = {
	{"echo", "t", "d", TOOL_READ_ONLY, in, out, NULL, echo},
	{"broken",   "t", "d", 0, in + 12, out, NULL, broken},
	{0   },
};
static const struct mcp_app app = {tools, "i", nothing, nothing, read_one};

/* ---- the rules ----------------------------------------------------------- */

static size_t lines_in, answers;

static void check_one(const json_t *m)
{
	const char *version = json_string_value(json_object_get(m, "jsonrpc"));
	const json_t *id = json_object_get(m, "id");
	const json_t *error = json_object_get(m, "error");
	bool result = json_object_get(m, "result") != NULL;

	if (!version || strcmp(version, "2.0") != 0)
		abort();
	if (json_object_get(m, "method")) {
		if (id || result || error)
			abort();
		return;
	}
	if (result == (error != NULL))
		abort();
	if (result && !json_is_string(id) && !json_is_integer(id))
		abort();
	if (error && (!json_is_integer(json_object_get(error, "code")) ||
	              !json_is_string(json_object_get(error, "message"))))
		abort();
	answers++;
}

static void sink(void *arg, json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);
	const json_t *one;
	size_t i;

	(void)arg;
	if (!text || strchr(text, '\n'))
		abort();
	free(text);
	if (!json_is_array(message)) {
		check_one(message);
		return;
	}
	json_array_foreach(message, i, one) check_one(one);
}

static void on_line(void *arg, const char *line, size_t len)
{
	lines_in++;
	server_line(arg, line, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct mcp_options opt = {.max_output = 4096, .max_sandboxes = 1};
	struct lines lines = LINES_INIT(8192);
	struct mcp_server s;
	size_t half;

	if (len < 2)
		return 0;
	lines_in = answers = 0;
	if (server_init(&s, &app, &opt, NULL) < 0)
		return 0;
	s.sink = sink;
	s.revision = data[0] % MCP_2026_07_28 - (data[0] >= 0x80);
	half = data[1] * (len - 2) / 255;
	if (lines_feed(&lines, (const char *)data + 2, half, on_line, &s) < 0 ||
	    lines_feed(&lines, (const char *)data + 2 + half, len - 2 - half,
	               on_line, &s) < 0)
		abort();
	lines_end(&lines, on_line, &s);
	lines_release(&lines);
	server_end(&s);
	if (s.calls || s.ncalls || s.queued)
		abort();
	server_release(&s);
	return 0;
}
