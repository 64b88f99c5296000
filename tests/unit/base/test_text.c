/* buf, strv, cursor, err, escape, json: what holds and reads text. */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/escape.h"
#include "base/json.h"
#include "base/strv.h"
#include "lib/test.h"

static void a_buffer_never_passes_its_bound(void **state)
{
	struct buf b = BUF_INIT_MAX(10);

	(void)state;
	assert_int_equal(buf_add(&b, "12345678", 8), 0);
	assert_int_equal(buf_adds(&b, "abc"), -E2BIG);
	assert_string_equal(buf_str(&b), "12345678");
	assert_false(buf_ok(&b));
	assert_int_equal(buf_printf(&b, "%d", 123), -E2BIG);
	assert_int_equal(b.len, 8);
	buf_reset(&b);
	assert_true(buf_ok(&b));
	assert_int_equal(buf_printf(&b, "%s-%d", "ab", 7), 0);
	assert_string_equal(buf_str(&b), "ab-7");
	buf_consume(&b, 3);
	assert_string_equal(buf_str(&b), "7");
	buf_release(&b);
	assert_string_equal(buf_str(&b), "");
}

static void a_stolen_buffer_is_empty_and_usable(void **state)
{
	struct buf b = BUF_INIT;
	char *s;

	(void)state;
	s = buf_steal(&b);
	assert_string_equal(s, "");
	free(s);
	assert_int_equal(buf_addz(&b, 1000), 0);
	assert_int_equal(b.len, 1000);
	s = buf_steal(&b);
	assert_non_null(s);
	assert_int_equal(b.len, 0);
	free(s);
}

static void a_list_grows_and_ends_with_null(void **state)
{
	struct strv s = {0};

	(void)state;
	assert_null(strv_list(&s)[0]);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(strv_addf(&s, "item %d", i), 0);
		assert_null(s.v[s.n]);
	}
	assert_int_equal(s.n, 100);
	assert_string_equal(s.v[99], "item 99");
	strv_release(&s);
	strv_release(NULL);
}

static void an_assignment_replaces_its_key_only(void **state)
{
	struct strv s = {0};

	(void)state;
	assert_int_equal(strv_env_set(&s, "PATH=/bin"), 0);
	assert_int_equal(strv_env_set(&s, "PATHS=x"), 0);
	assert_int_equal(strv_env_set(&s, "PATH=/usr/bin"), 0);
	assert_int_equal(s.n, 2);
	assert_string_equal(s.v[0], "PATH=/usr/bin");
	assert_string_equal(s.v[1], "PATHS=x");
	strv_release(&s);
}

static void a_cursor_stays_bad_after_a_short_read(void **state)
{
	static const uint8_t data[] = {1, 2, 3, 4, 5};
	struct cursor c = cur_init(data, sizeof(data));

	(void)state;
	assert_int_equal(cur_u8(&c), 1);
	assert_int_equal(cur_le32(&c), 0x05040302);
	assert_true(cur_done(&c));
	assert_int_equal(cur_le16(&c), 0);
	assert_false(cur_ok(&c));
	assert_int_equal(cur_u8(&c), 0);
	c = cur_init(data, sizeof(data));
	assert_null(cur_bytes(&c, SIZE_MAX));
	assert_int_equal(cur_left(&c), 0);
}

static void an_error_keeps_code_message_and_hint(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(err_set(NULL, -ENOENT, "x"), -ENOENT);
	assert_int_equal(err_set(&e, -ENOENT, "no %s", "tag"), -ENOENT);
	err_hint(&e, "try %s", "latest");
	assert_int_equal(err_wrap(&e, "pulling %s", "a"), -ENOENT);
	assert_string_equal(e.msg, "pulling a: no tag");
	assert_string_equal(e.hint, "try latest");
	assert_string_equal(err_name(-ENOSPC), "ENOSPC");
	assert_string_equal(err_name(4711), "E?");
}

static void check_escape(const char *in, size_t len, const char *want)
{
	struct buf b = BUF_INIT;

	assert_int_equal(escape_text(&b, in, len, 0), 0);
	assert_string_equal(buf_str(&b), want);
	buf_release(&b);
}

static void terminal_sequences_become_text(void **state)
{
	(void)state;
	check_escape("a\033[31mb", 7, "a\\x1b[31mb");
	check_escape("gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f");
	check_escape("\xff\xc0\x80", 3, "\\xff\\xc0\\x80");
	check_escape("\xc2\x9b", 2, "\\x9b");               /* CSI as C1 */
	check_escape("\xe2\x80\xae", 3, "\\u202e");         /* right-to-left */
	check_escape("\xed\xa0\x80", 3, "\\xed\\xa0\\x80"); /* surrogate */
	check_escape("a\tb\nc\0d", 7, "a\tb\\x0ac\\x00d");
	check_escape("\xe2\x82", 2, "\\xe2\\x82"); /* cut short */
}

static void json_refuses_duplicates_and_tells_the_line(void **state)
{
	struct err e = {0};
	json_t *j;

	(void)state;
	assert_null(json_parse("{\"a\":1,\"a\":2}", 13, "x.json", &e));
	assert_int_equal(e.code, -EBADMSG);
	assert_non_null(strstr(e.msg, "x.json"));
	assert_null(json_parse("{", 1, "x.json", NULL));
	j = json_parse("{\"s\":\"t\",\"n\":5,\"b\":true}", 24, "x", &e);
	assert_non_null(j);
	assert_string_equal(json_str(j, "s", NULL), "t");
	assert_null(json_str(j, "n", NULL));
	assert_int_equal(json_int(j, "n", 0), 5);
	assert_int_equal(json_int(j, "s", -1), -1);
	assert_true(json_bool(j, "b", false));
	assert_int_equal(json_int(NULL, "n", 9), 9);
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_buffer_never_passes_its_bound),
		cmocka_unit_test(a_stolen_buffer_is_empty_and_usable),
		cmocka_unit_test(a_list_grows_and_ends_with_null),
		cmocka_unit_test(an_assignment_replaces_its_key_only),
		cmocka_unit_test(a_cursor_stays_bad_after_a_short_read),
		cmocka_unit_test(an_error_keeps_code_message_and_hint),
		cmocka_unit_test(terminal_sequences_become_text),
		cmocka_unit_test(json_refuses_duplicates_and_tells_the_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
