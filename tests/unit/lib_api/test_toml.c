#include "lib/test.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "lib/toml.h"

static struct toml doc;
static struct err err;

static int teardown(void **state)
{
	(void)state;
	toml_release(&doc);
	return 0;
}

static int parse(const char *text)
{
	toml_release(&doc);
	err = (struct err){0};
	return toml_parse(text, strlen(text), "f.toml", &doc, &err);
}

static void accepts(const char *text)
{
	if (parse(text) < 0)
		fail_msg("%s", err.msg);
}

static void every_kind_of_value_is_read(void **state)
{
	(void)state;
	accepts("# settings\r\n"
	        "a = 1_000 # a thousand\r\n"
	        "b=\"x\\ty\\\"\\u00e9\\U0001F600\"\n"
	        "\n"
	        "[t]\n"
	        "c = 'as \\it is'\n"
	        "d = true\n"
	        "\"a key\" = false\n"
	        "[ t . \"na.me\" ]\n"
	        "e = [ \"1\", # one\n"
	        "  '2',\n"
	        "]\n"
	        "f = []\n"
	        "g = -5");
	assert_int_equal(doc.ntables, 3);
	assert_int_equal(doc.nentries, 8);
	assert_int_equal(doc.tables[0].path.n, 0);
	assert_string_equal(doc.tables[2].path.v[1], "na.me");
	assert_int_equal(doc.entries[0].number, 1000);
	assert_int_equal(doc.entries[0].line, 2);
	assert_string_equal(doc.entries[1].text, "x\ty\"é\xf0\x9f\x98\x80");
	assert_string_equal(doc.entries[2].text, "as \\it is");
	assert_int_equal(doc.entries[3].kind, TOML_BOOL);
	assert_int_equal(doc.entries[3].number, 1);
	assert_string_equal(doc.entries[4].key, "a key");
	assert_int_equal(doc.entries[5].table, 2);
	assert_int_equal(doc.entries[5].list.n, 2);
	assert_string_equal(doc.entries[5].list.v[1], "2");
	assert_int_equal(doc.entries[6].kind, TOML_LIST);
	assert_int_equal(doc.entries[7].number, -5);
	assert_int_equal(doc.entries[7].line, 14);
}

static void an_empty_file_says_nothing(void **state)
{
	(void)state;
	accepts("");
	assert_int_equal(doc.nentries, 0);
	accepts("# nothing");
	accepts("\n\n  \n");
}

static void what_is_not_of_the_subset_is_refused_by_line(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"a = 1\nb = 2\na = 3\n",
	         "f.toml:3: a is given twice, first in line 1"                             },
		{"[a]\n[b]\n[a]\n",                   "f.toml:3: this table is there twice"},
		{"a = 1.5",                           "f.toml:1: '1.5' is not a value"     },
		{"a = 0x10",                          "'0x10' is not a value"              },
		{"a = 012",                           "'012' is not a value"               },
		{"a = 1__0",                          "'1__0' is not a value"              },
		{"a = _1",			    "'_1' is not a value"                },
		{"a = 1_",			    "'1_' is not a value"                },
		{"a = word",                          "'word' is not a value"              },
		{"a = 2020-01-01",                    "is not a value"                     },
		{"a = ",			      "'' is not a value"                  },
		{"a = 9223372036854775808",           "is not a value"                     },
		{"a = 99999999999999999999999999999", "is not a value"                     },
		{"a = {b = 1}",                       "inline tables"                      },
		{"[[a]]",			     "arrays of tables"                   },
		{"a.b = 1",                           "dotted keys"                        },
		{"a 1",			       "a = is missing behind a"            },
		{"= 1",			       "a name was expected"                },
		{"[]",				"a name was expected"                },
		{"[a",				"a ] is missing"                     },
		{"[a.b.c.d.e]",                       "a table of more than 4 parts"       },
		{"a = 1 b = 2",                       "something is left behind"           },
		{"[a] b = 2",                         "something is left behind"           },
		{"a = \"x\ny\"",                      "f.toml:1: a text does not end"      },
		{"a = \"x",                           "a text does not end"                },
		{"a = \"\\",                          "an unknown escape"                  },
		{"a = \"\"\"x\"\"\"",                 "several lines"                      },
		{"a = \"\\q\"",                       "an unknown escape"                  },
		{"a = \"\\u12\"",                     "needs 4 hex digits"                 },
		{"a = \"\\u0000\"",                   "an escape of no character"          },
		{"a = \"\\ud800\"",                   "an escape of no character"          },
		{"a = [1]",                           "a list holds texts"                 },
		{"a = [\"b\" \"c\"]",                 "a list wants a comma"               },
		{"a = [\"b\",",                       "a list holds texts"                 },
		{"\n\na = \x01",                      "f.toml:3: a control character"      },
		{"a = \rb",                           "a control character"                },
		{"a = '\xff'",                        "f.toml:1: not UTF-8"                },
		{"a = '\xc0\xaf'",                    "not UTF-8"                          },
		{"a = '\xed\xa0\x80'",                "not UTF-8"                          },
		{"a = '\xe2\x82'",                    "not UTF-8"                          },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(parse(rows[i].text), -EINVAL);
		if (!strstr(err.msg, rows[i].message))
			fail_msg("'%s' is not in: %s", rows[i].message,
			         err.msg);
	}
}

static void a_nul_is_refused(void **state)
{
	(void)state;
	assert_int_equal(toml_parse("a = 1\0", 6, "f", &doc, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "a control character"));
}

static void sizes_are_bounded(void **state)
{
	struct buf cleanup_buf b = BUF_INIT;

	(void)state;
	for (unsigned i = 0; i <= TOML_ENTRIES_MAX; i++)
		assert_int_equal(buf_printf(&b, "k%u = 1\n", i), 0);
	assert_int_equal(parse(buf_str(&b)), -EINVAL);
	assert_non_null(strstr(err.msg, "f.toml:1025: more than 1024 entries"));
	buf_reset(&b);
	for (unsigned i = 0; i < TOML_TABLES_MAX; i++)
		assert_int_equal(buf_printf(&b, "[k%u]\n", i), 0);
	assert_int_equal(parse(buf_str(&b)), -EINVAL);
	assert_non_null(strstr(err.msg, "more than 256 tables"));
	buf_reset(&b);
	for (unsigned i = 0; i <= TOML_SIZE_MAX / 4; i++)
		assert_int_equal(buf_adds(&b, "    "), 0);
	assert_int_equal(parse(buf_str(&b)), -EINVAL);
	assert_non_null(strstr(err.msg, "larger than 64 KiB"));
	buf_reset(&b);
	assert_int_equal(buf_adds(&b, "a = '"), 0);
	for (unsigned i = 0; i < 1100; i++)
		assert_int_equal(buf_adds(&b, "xxxx"), 0);
	assert_int_equal(parse(buf_str(&b)), -EINVAL);
	assert_non_null(strstr(err.msg, "a text is longer than 4096 bytes"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_kind_of_value_is_read),
		TEST(an_empty_file_says_nothing),
		TEST(what_is_not_of_the_subset_is_refused_by_line),
		TEST(a_nul_is_refused),
		TEST(sizes_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
