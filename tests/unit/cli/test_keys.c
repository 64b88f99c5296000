#include "lib/test.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "cli/keys.h"

static struct keys parse(const char *text)
{
	struct keys k;

	assert_int_equal(keys_parse(text, &k, NULL), 0);
	return k;
}

static void the_grammar_gives_what_a_terminal_sends(void **state)
{
	static const struct {
		const char *text, *want;
		size_t n;
	} rows[] = {
		{"",              "",         0},
		{"ctrl-]",        "\x1d",     1},
		{"ctrl-a",        "\x01",     1},
		{"Ctrl-Z",        "\x1a",     1},
		{"ctrl-@",        "\0",       1},
		{"ctrl-[",        "\x1b",     1},
		{"ctrl-\\",       "\x1c",     1},
		{"ctrl-^",        "\x1e",     1},
		{"ctrl-_",        "\x1f",     1},
		{"~,.",           "~.",       2},
		{"ctrl-p,ctrl-q", "\x10\x11", 2},
		{"ctrl-p,q",      "\x10q",    2},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct keys k = parse(rows[i].text);

		assert_int_equal(k.n, rows[i].n);
		assert_memory_equal(k.seq, rows[i].want, k.n);
	}
}

static void what_is_no_key_is_named(void **state)
{
	static const char *const bad[] = {
		"ctrl-",    "ctrl-1",
		"ctrl- ",   "xy",
		"ctrl-]x",  ",",
		"a,",       ",a",
		"a,,b",     "\x1d",
		"\xc3\xa9", "alt-x",
		"ctrl+x",   "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q",
	};
	struct err err = {0};
	struct keys k;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(keys_parse(bad[i], &k, &err), -EINVAL);
	assert_int_equal(keys_parse("ctrl-a,nope", &k, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "'nope'"));
}

/* Feed @typed in pieces of @step; what passes must be @want. */
static void check(const char *keys, const char *typed, size_t step,
                  const char *want, bool found)
{
	struct keys k = parse(keys);
	char got[256] = "";
	size_t n = 0, len = strlen(typed);
	bool hit = false;

	for (size_t i = 0; i < len && !hit; i += step) {
		size_t passed = 0;

		hit = keys_pass(&k, typed + i, MIN(step, len - i), got + n,
		                &passed);
		assert_true(passed <= step + KEYS_MAX);
		n += passed;
	}
	got[n] = '\0';
	assert_string_equal(got, want);
	assert_int_equal(hit, found);
}

static void all_but_the_sequence_passes_in_order(void **state)
{
	static const struct {
		const char *keys, *typed, *want;
		bool found;
	} rows[] = {
		{"",          "abc",       "abc",   false},
		{"x",         "abc",       "abc",   false},
		{"x",         "abxc",      "ab",    true },
		{"a,b",       "xaby",      "x",     true },
		{"a,b",       "aac",       "aac",   false},
		{"a,b",       "aab",       "a",     true },
		{"a,a,b",     "aaab",      "a",     true },
		{"a,b,a,c",   "abababac",  "abab",  true },
		{"a,b,a,b,c", "ababababc", "abab",  true },
		{"a,b,c",     "ababx",     "ababx", false},
		{"a,b",       "a",         "",      false}, /* held back */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t step = 1; step <= strlen(rows[i].typed); step++)
			check(rows[i].keys, rows[i].typed, step, rows[i].want,
			      rows[i].found);
}

static void it_can_be_typed_again(void **state)
{
	struct keys k = parse("ctrl-p,ctrl-q");
	char out[32];
	size_t n;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_false(keys_pass(&k, "\x10", 1, out, &n));
		assert_int_equal(n, 0);
		assert_true(keys_pass(&k, "\x11", 1, out, &n));
		assert_int_equal(n, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_grammar_gives_what_a_terminal_sends),
		cmocka_unit_test(what_is_no_key_is_named),
		cmocka_unit_test(all_but_the_sequence_passes_in_order),
		cmocka_unit_test(it_can_be_typed_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
