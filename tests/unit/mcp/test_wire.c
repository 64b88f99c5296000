/* Lines, JSON-RPC, schemas, text: what a message is before a tool has it. */
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "mcp/lines.h"
#include "mcp/mcp.h"
#include "mcp/rpc.h"
#include "mcp/schema.h"
#include "mcp/text.h"

/* ---- lines --------------------------------------------------------------- */

struct seen {
	char text[256];
	int n, too_long;
};

static void on_line(void *arg, const char *line, size_t len)
{
	struct seen *s = arg;

	s->n++;
	if (!line) {
		s->too_long++;
		strncat(s->text, "!|", sizeof(s->text) - strlen(s->text) - 1);
		return;
	}
	strncat(s->text, line, len);
	strncat(s->text, "|", 2);
}

static void check_lines(const char *data, size_t piece, const char *want)
{
	struct lines l = LINES_INIT(8);
	struct seen s = {0};
	size_t len = strlen(data);

	for (size_t i = 0; i < len; i += piece) {
		size_t n = len - i < piece ? len - i : piece;

		assert_int_equal(lines_feed(&l, data + i, n, on_line, &s), 0);
	}
	lines_end(&l, on_line, &s);
	assert_string_equal(s.text, want);
	lines_release(&l);
}

static void lines_in_any_pieces(void **state)
{
	static const struct {
		const char *data, *want;
	} rows[] = {
		{"",			       ""             },
		{"\n\n\r\n",                       ""             },
		{"a\nbc\r\n\nd",                   "a|bc|d|"      },
		{"12345678\n123456789\nx\n",       "12345678|!|x|"},
		{"123456789012345678901234\nok\n", "!|ok|"        },
		{"x\n123456789012345678901234",    "x|!|"         },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (size_t piece = 1; piece < 30; piece++)
			check_lines(rows[i].data, piece, rows[i].want);
}

/* ---- JSON-RPC ------------------------------------------------------------ */

static struct rpc_message read_text(const char *text, json_t **ret)
{
	char why[256];
	struct rpc_message m;

	*ret = rpc_parse(text, strlen(text), why, sizeof(why));
	assert_non_null(*ret);
	rpc_read(*ret, &m);
	return m;
}

static void messages(void **state)
{
	static const struct {
		const char *text;
		enum rpc_kind kind;
		int code;
		bool id;
	} rows[] = {
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\"}",              RPC_REQUEST,
	         0,												     true },
		{"{\"jsonrpc\":\"2.0\",\"id\":\"\",\"method\":\"a\",\"params\":"
	         "{}}",	                                 RPC_REQUEST,      0,                   true },
		{"{\"jsonrpc\":\"2.0\",\"method\":\"a\"}",                       RPC_NOTIFICATION, 0,
	         false												       },
		{"{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"params\":[]}",
	         RPC_NOTIFICATION,								 0,                   false},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}",                 RPC_RESPONSE,
	         0,												     true },
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{}}",                  RPC_RESPONSE,     0,
	         true													},
		{"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"a\"}",           RPC_BAD,
	         RPC_INVALID_REQUEST,										   false},
		{"{\"jsonrpc\":\"2.0\",\"id\":1.0,\"method\":\"a\"}",            RPC_BAD,
	         RPC_INVALID_REQUEST,										   false},
		{"{\"jsonrpc\":\"2.0\",\"id\":1}",                               RPC_BAD,          RPC_INVALID_REQUEST,
	         true													},
		{"{\"jsonrpc\":2.0,\"id\":1,\"method\":\"a\"}",                  RPC_BAD,
	         RPC_INVALID_REQUEST,										   true },
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":1}",
	         RPC_BAD,									  RPC_INVALID_PARAMS,  true },
		{"7",							    RPC_BAD,          RPC_INVALID_REQUEST, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		json_t *j;
		struct rpc_message m = read_text(rows[i].text, &j);

		assert_int_equal(m.kind, rows[i].kind);
		assert_int_equal(m.code, rows[i].code);
		assert_int_equal(m.id != NULL, rows[i].id);
		assert_int_equal(m.kind == RPC_BAD, m.why != NULL);
		json_decref(j);
	}
}

static char *nested(unsigned depth)
{
	char *text = calloc(2 * depth + 1, 1);

	assert_non_null(text);
	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	return text;
}

static void depth_is_bounded(void **state)
{
	char why[256];

	(void)state;
	for (unsigned d = MCP_DEPTH_MAX - 1; d <= MCP_DEPTH_MAX + 1; d++) {
		char *text = nested(d);
		json_t *j = rpc_parse(text, strlen(text), why, sizeof(why));

		assert_int_equal(j != NULL, d <= MCP_DEPTH_MAX);
		json_decref(j);
		free(text);
	}
}

static void ids(void **state)
{
	json_t *one = json_integer(1), *text = json_string("1"),
	       *other = json_integer(1);

	(void)state;
	assert_true(rpc_same_id(one, other));
	assert_false(rpc_same_id(one, text));
	assert_false(rpc_same_id(one, NULL));
	json_decref(one);
	json_decref(text);
	json_decref(other);
}

/* ---- schemas ------------------------------------------------------------- */

static const struct field inner[] = {
	FIELD_CHOICE("k", FIELD_TEXT, FIELD_REQUIRED, 0, "x y", NULL),
	{0},
};
static const struct field fields[] = {
	FIELD_RANGE("t", FIELD_TEXT, FIELD_REQUIRED, 1, 3, "help"),
	FIELD_RANGE("i", FIELD_INT, 0, 2, 5, NULL),
	FIELD_RANGE("l", FIELD_TEXTS, 0, 0, 2, NULL),
	FIELD("w", FIELD_WORDS, 0, NULL),
	FIELD("p", FIELD_PAIRS, 0, NULL),
	FIELD_SUB("o", FIELD_OBJECTS, 0, 0, inner, NULL),
	FIELD_SUB("c", FIELD_CONF, 0, 0, inner, NULL),
	{0},
};

static void values(void **state)
{
	static const struct {
		const char *text, *why; /* why NULL: fine */
	} rows[] = {
		{"{\"t\":\"a\"}",                           NULL                              },
		{"{\"t\":\"\xc3\xbc\xc3\xbc\xc3\xbc\"}",    NULL                              },
		{"{}",				      "t: is missing"                   },
		{"{\"t\":\"abcd\"}",                        "t: is too long"                  },
		{"{\"t\":\"\"}",                            "t: is empty"                     },
		{"{\"t\":\"a\\u0000\"}",                    "t: has a NUL in it"              },
		{"{\"t\":\"a\",\"x\":1}",
	         "x: is not known here; known are t, i, l, w, p, o, c"                        },
		{"{\"t\":\"a\",\"i\":1}",                   "i: is not an integer from 2 to 5"},
		{"{\"t\":\"a\",\"i\":5}",                   NULL                              },
		{"{\"t\":\"a\",\"i\":\"3\"}",
	         "i: is not an integer from 2 to 5"                                           },
		{"{\"t\":\"a\",\"l\":[\"a\",\"b\",\"c\"]}",
	         "l: has too many entries"						    },
		{"{\"t\":\"a\",\"l\":[\"a\",7]}",           "l[1]: is not a string"           },
		{"{\"t\":\"a\",\"w\":\"x\"}",               NULL                              },
		{"{\"t\":\"a\",\"w\":[\"x\"]}",             NULL                              },
		{"{\"t\":\"a\",\"w\":{}}",                  "w: is not a list"                },
		{"{\"t\":\"a\",\"p\":{\"a\":\"b\"}}",       NULL                              },
		{"{\"t\":\"a\",\"p\":{\"a\":1}}",           "p.a: is not a string"            },
		{"{\"t\":\"a\",\"p\":{\"a=\":\"1\"}}",      "p.a=: is no name"                },
		{"{\"t\":\"a\",\"o\":[{\"k\":\"x\"},{}]}",
	         "o[1].k: is missing"							 },
		{"{\"t\":\"a\",\"o\":[{\"k\":\"z\"}]}",
	         "o[0].k: is not one of: x y"						 },
		{"{\"t\":\"a\",\"c\":\"word\"}",            NULL                              },
		{"{\"t\":\"a\",\"c\":{\"k\":\"y\"}}",       NULL                              },
		{"[]",				      "is not an object"                },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char why[512] = "";
		json_t *j = json_loads(rows[i].text, JSON_ALLOW_NUL, NULL);

		assert_non_null(j);
		assert_int_equal(schema_check(fields, j, why, sizeof(why)),
		                 rows[i].why == NULL);
		assert_string_equal(why, rows[i].why ? rows[i].why : "");
		json_decref(j);
	}
}

static void as_schema(void **state)
{
	json_t *j = schema_json(fields, true), *p, *t;

	(void)state;
	p = json_object_get(j, "properties");
	t = json_object_get(p, "t");
	assert_int_equal(json_object_size(p), 7);
	assert_true(json_is_false(json_object_get(j, "additionalProperties")));
	assert_int_equal(json_array_size(json_object_get(j, "required")), 1);
	assert_int_equal(json_integer_value(json_object_get(t, "maxLength")),
	                 3);
	assert_string_equal(
		json_string_value(json_object_get(t, "description")), "help");
	assert_int_equal(json_array_size(json_object_get(
				 json_object_get(p, "c"), "anyOf")),
	                 2);
	json_decref(j);
}

/* ---- text ---------------------------------------------------------------- */

static void cuts(void **state)
{
	static const char text[] = "a\xc3\xbc\xe2\x82\xac\xf0\x9f\x90\x8dz";
	static const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};

	(void)state;
	for (size_t max = 1; max < sizeof(want) / sizeof(*want); max++)
		assert_int_equal(text_cut(text, 11, max), want[max]);
	assert_int_equal(text_cut(text, 11, 100), 11);
	assert_int_equal(text_cut("\x80\x80\x80\x80\x80\x80", 6, 5), 5);
	for (size_t n = 0; n <= 11; n++)
		assert_int_equal(text_open_end(text, n), n - (n ? want[n] : 0));
	assert_int_equal(text_open_end("\xff", 1), 0);
	assert_int_equal(text_open_end("\xe0\x80", 2), 0);
	assert_int_equal(text_open_end("\x80\x80\x80", 3), 0);
}

static void check_text(const char *data, size_t len, const char *want)
{
	json_t *j = text_json(data, len);

	assert_non_null(j);
	assert_string_equal(json_string_value(j), want);
	json_decref(j);
}

static void bytes_as_text(void **state)
{
	(void)state;
	check_text("", 0, "");
	check_text("\xc3\xbc", 2, "\xc3\xbc");
	check_text("a\xff"
	           "b",
	           3,
	           "a\xef\xbf\xbd"
	           "b");
	check_text("\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	check_text("x\xc3", 2, "x\xef\xbf\xbd");
}

static void base64(void **state)
{
	static const char *const bad[] = {"a",        "ab",   "abc",  "ab=c",
	                                  "a===",     "====", "ab c", "ab\nc",
	                                  "aa==aa==", "a*bc"};

	(void)state;
	for (size_t len = 0; len < 40; len++) {
		uint8_t data[40];
		struct buf cleanup_buf b = BUF_INIT;
		json_t *j;

		for (size_t i = 0; i < len; i++)
			data[i] = (uint8_t)(i * 41 + len);
		j = text_base64(data, len);
		assert_true(text_from_base64(json_string_value(j),
		                             json_string_length(j), &b));
		assert_int_equal(b.len, len);
		if (len)
			assert_memory_equal(b.data, data, len);
		json_decref(j);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct buf cleanup_buf b = BUF_INIT;

		assert_false(text_from_base64(bad[i], strlen(bad[i]), &b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_in_any_pieces),
		cmocka_unit_test(messages),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(ids),
		cmocka_unit_test(values),
		cmocka_unit_test(as_schema),
		cmocka_unit_test(cuts),
		cmocka_unit_test(bytes_as_text),
		cmocka_unit_test(base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
