#include "lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "forms/yaml_tree.h"

static struct err err;

static int read_text(const char *text, struct ytree_node **ret)
{
	err = (struct err){0};
	return ytree_read(text, strlen(text), "f.yaml", ret, &err);
}

static void refuses(const char *text, const char *message)
{
	struct ytree_node *n = NULL;

	assert_int_equal(read_text(text, &n), -EINVAL);
	assert_null(n);
	if (!strstr(err.msg, message))
		fail_msg("%s: '%s' is not in: %s", text, message, err.msg);
}

static void maps_lists_and_scalars_keep_their_order(void **state)
{
	struct ytree_node *cleanup_ytree n = NULL;
	struct ytree_node *c;

	(void)state;
	assert_int_equal(read_text("a: 1\nb: [x, 'y']\nc: {d: \"\"}\n", &n), 0);
	assert_int_equal(n->kind, YTREE_MAP);
	assert_int_equal(n->n, 3);
	c = n->child;
	assert_string_equal(c->key, "a");
	assert_string_equal(c->text, "1");
	assert_true(c->plain);
	assert_int_equal(c->at.line, 1);
	assert_int_equal(c->at.col, 4);
	c = c->next;
	assert_int_equal(c->kind, YTREE_LIST);
	assert_string_equal(c->child->next->text, "y");
	assert_false(c->child->next->plain);
	c = c->next;
	assert_string_equal(c->child->key, "d");
	assert_int_equal(c->child->key_at.line, 3);
	assert_false(ytree_is_null(c->child));
	assert_null(c->next);
}

static void blocks_keep_their_lines(void **state)
{
	struct ytree_node *cleanup_ytree n = NULL;

	(void)state;
	assert_int_equal(read_text("a: |\n  one\n  two\n", &n), 0);
	assert_string_equal(n->child->text, "one\ntwo\n");
	assert_false(n->child->plain);
}

static void empty_values_are_null(void **state)
{
	struct ytree_node *cleanup_ytree n = NULL;

	(void)state;
	assert_int_equal(read_text("a:\nb: ~\nc: null\n", &n), 0);
	for (struct ytree_node *c = n->child; c; c = c->next)
		assert_true(ytree_is_null(c));
}

static void what_readers_differ_in_is_refused(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"a: 1\nb: 2\na: 3\n",     "f.yaml:3:1: a is given twice, first "
	                               "in line 1"},
		{"a: 1\n---\nb: 2\n",      "f.yaml:2:1: a second document"              },
		{"a: 1\n...\n---\nb: 2\n", "f.yaml:3:1: a second document"              },
		{"a: &x 1\n",              "f.yaml:1:4: anchors"                        },
		{"a: &x [1]\n",            "f.yaml:1:4: anchors"                        },
		{"&x a: 1\n",              "f.yaml:1:1: anchors"                        },
		{"a: &x 1\nb: *x\n",       "f.yaml:1:4: anchors"                        },
		{"a: *x\n",                "f.yaml:1:4: aliases"                        },
		{"a: !!str 1\n",           "f.yaml:1:4: tags"                           },
		{"a: ! 1\n",               "f.yaml:1:4: tags"                           },
		{"a: !x {b: 1}\n",         "f.yaml:1:4: tags"                           },
		{"<<: {b: 1}\n",           "f.yaml:1:1: merge keys"                     },
		{"%YAML 1.1\n---\na: 1\n", "f.yaml:1:1: directives"                     },
		{"a: yes\n",               "f.yaml:1:4: unquoted yes"                   },
		{"a: No\n",                "f.yaml:1:4: unquoted No"                    },
		{"a: [on, x]\n",           "f.yaml:1:5: unquoted on"                    },
		{"off: 1\n",               "f.yaml:1:1: unquoted off"                   },
		{"? [a]\n: 1\n",           "f.yaml:1:3: a key must be a word"           },
		{"\"\": 1\n",              "f.yaml:1:1: a key has 1 to"                 },
		{"a: \"b\\0c\"\n",         "f.yaml:1:4: text has a NUL"                 },
		{"a: [1\n",                "f.yaml:2:1: "                               },
		{"a: \tb: c\n",            "f.yaml:1:"                                  },
		{"",		       "there is nothing in it"                     },
		{"# only words\n",         "there is nothing in it"                     },
		{"a: \xff\n",              "f.yaml: at byte 3: "                        },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		refuses(rows[i].text, rows[i].message);
}

static void quoted_booleans_are_words(void **state)
{
	struct ytree_node *cleanup_ytree n = NULL;

	(void)state;
	assert_int_equal(read_text("a: 'yes'\nb: \"off\"\n\"on\": y\n", &n), 0);
	assert_string_equal(n->child->text, "yes");
}

static void depth_is_bounded(void **state)
{
	char text[2 * YTREE_DEPTH_MAX + 8];
	struct ytree_node *n = NULL;

	(void)state;
	memset(text, '[', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	refuses(text, "nested more than 16 levels");
	memset(text + YTREE_DEPTH_MAX, ']', YTREE_DEPTH_MAX);
	text[2 * YTREE_DEPTH_MAX] = '\0';
	assert_int_equal(read_text(text, &n), 0);
	ytree_free(n);
}

static void number_of_values_is_bounded(void **state)
{
	struct buf cleanup_buf b = BUF_INIT;

	(void)state;
	for (unsigned i = 0; i <= YTREE_NODES_MAX; i++)
		assert_int_equal(buf_adds(&b, "- x\n"), 0);
	refuses(buf_str(&b), "more than 4096 values");
}

static void size_is_bounded(void **state)
{
	static char text[YTREE_SIZE_MAX + 2];
	struct ytree_node *n = NULL;

	(void)state;
	memset(text, ' ', sizeof(text) - 1);
	assert_int_equal(read_text(text, &n), -E2BIG);
	assert_non_null(strstr(err.msg, "larger than 1024 KiB"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_lists_and_scalars_keep_their_order),
		cmocka_unit_test(blocks_keep_their_lines),
		cmocka_unit_test(empty_values_are_null),
		cmocka_unit_test(what_readers_differ_in_is_refused),
		cmocka_unit_test(quoted_booleans_are_words),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(number_of_values_is_bounded),
		cmocka_unit_test(size_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
