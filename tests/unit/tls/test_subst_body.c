#include "lib/test.h"

#include <errno.h>

#include "tls/find_oracle.h"
#include "tls/subst_encode.h"
#include "tls/subst_world.h"

static struct world w;

static int teardown(void **state)
{
	(void)state;
	world_release(&w);
	return 0;
}

static void one(struct world_secret s)
{
	assert_int_equal(world_init(&w, &s, 1), 0);
}

static struct subst *begin(const char *type, const char *coding)
{
	struct subst *s = world_subst(&w);

	assert_non_null(s);
	assert_int_equal(subst_body_begin(s, type, coding), 0);
	return s;
}

/* In pieces: [0, a), [a, b), the rest. */
static int in_pieces(struct subst *s, const char *in, size_t len, size_t a,
                     size_t b, struct buf *out)
{
	const uint8_t *p = (const uint8_t *)in;
	int r = subst_body(s, p, a, out);

	if (r == 0)
		r = subst_body(s, p + a, b - a, out);
	if (r == 0)
		r = subst_body(s, p + b, len - b, out);
	return r < 0 ? r : subst_body_end(s, out);
}

/* However it is cut. */
static void assert_body(const char *type, const char *in, const char *want)
{
	size_t len = strlen(in);

	for (size_t a = 0; a <= len; a++)
		for (size_t b = a; b <= len; b += b - a < 3 ? 1 : 7) {
			cleanup_buf struct buf out = BUF_INIT;
			struct subst *s = begin(type, "");

			assert_int_equal(in_pieces(s, in, len, a, b, &out), 0);
			assert_string_equal(buf_str(&out), want);
			subst_free(s);
		}
}

static void assert_refused(const char *type, const char *in)
{
	size_t len = strlen(in);

	for (size_t a = 0; a <= len; a++) {
		cleanup_buf struct buf out = BUF_INIT;
		struct subst *s = begin(type, "");
		uint32_t before = w.counts[TLSLINK_VIOLATION];

		assert_int_equal(in_pieces(s, in, len, a, a, &out), -EACCES);
		assert_null(strstr(buf_str(&out), "89abcdef"));
		assert_int_equal(w.counts[TLSLINK_VIOLATION], before + 1);
		/* It stays so. */
		assert_int_equal(subst_body(s, (const uint8_t *)"x", 1, &out),
		                 -EACCES);
		assert_int_equal(subst_body_end(s, &out), -EACCES);
		subst_free(s);
	}
	assert_int_equal(w.counts[TLSLINK_USED], 0);
}

/* ---- what goes in -------------------------------------------------------- */

static void a_body_gets_values_however_it_is_cut(void **state)
{
	(void)state;
	one((struct world_secret){.value = "a\"b\\c d&e\n%"});
	assert_body("text/plain", "k=" WORLD_PH "; " WORLD_PH "MSB_0",
	            "k=a\"b\\c d&e\n%; a\"b\\c d&e\n%MSB_0");
	assert_body("", WORLD_PH, "a\"b\\c d&e\n%");
}

static void a_form_gets_them_percent_encoded(void **state)
{
	(void)state;
	one((struct world_secret){.value = "a\"b\\c d&e\n%"});
	assert_body("application/x-www-form-urlencoded",
	            "k=" WORLD_PH "&l=%4DSB_0123456789abcdef&m=%4D"
	            "&n=\\u004dSB_0123456789abcdef",
	            "k=a%22b%5Cc%20d%26e%0A%25&l=a%22b%5Cc%20d%26e%0A%25&m=%4D"
	            "&n=a%22b%5Cc%20d%26e%0A%25");
}

static void json_gets_them_escaped(void **state)
{
	(void)state;
	one((struct world_secret){.value = "a\"b\\c\xc3\xa9\x01\t\r\n\b\f/"});
	assert_body(
		"application/json",
		"{\"k\":\"" WORLD_PH
		"\",\"l\":\"\\u004dSB\\u005F0123456789abcdef\\n\\u004d\"}",
		"{\"k\":\"a\\\"b\\\\c\xc3\xa9\\u0001\\t\\r\\n\\b\\f/\","
		"\"l\":\"a\\\"b\\\\c\xc3\xa9\\u0001\\t\\r\\n\\b\\f/\\n\\u004d"
		"\"}");
}

static void the_type_is_understood_as_it_is_written(void **state)
{
	static const struct {
		const char *type, *want;
	} cases[] = {
		{"application/json",                              "\\\""},
		{" Application/JSON ; charset=utf-8",             "\\\""},
		{"application/problem+json;x",                    "\\\""},
		{"application/vnd.api+JSON",                      "\\\""},
		{"application/x-ndjson",                          "\\\""},
		{"APPLICATION/X-WWW-FORM-URLENCODED\t;charset=x", "%22" },
		{"application/jsonx",                             "\""  },
		{"application/json, text/plain",                  "\""  },
		{"text/plain; application/json",                  "\""  },
		{"multipart/form-data; boundary=x",               "\""  },
		{"json",					  "\""  },
		{"+json",					 "\\\""},
		{"",					      "\""  },
	};

	(void)state;
	one((struct world_secret){.value = "\""});
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_buf struct buf out = BUF_INIT;
		struct subst *s = begin(cases[i].type, "");

		assert_int_equal(
			in_pieces(s, WORLD_PH, strlen(WORLD_PH), 3, 9, &out),
			0);
		assert_string_equal(buf_str(&out), cases[i].want);
		subst_free(s);
	}
}

static void an_encoded_placeholder_in_plain_text_keeps_its_form(void **state)
{
	(void)state;
	one((struct world_secret){.value = "a b\""});
	assert_body("text/plain",
	            "%4DSB_0123456789abcdef MSB_0123456789abcde\\u0066",
	            "a%20b%22 a b\\\"");
}

static void prefixes_and_overlaps_do_not_depend_on_cuts(void **state)
{
	const struct world_secret v[] = {
		{.name = "A", .placeholder = "MSB_A",  .value = "<a>"},
		{.name = "B", .placeholder = "MSB_AB", .value = "<b>"},
		{.name = "C", .placeholder = "_ABMSB", .value = "<c>"},
		{.name = "D", .placeholder = "%4xyz",  .value = "<d>"}
        };

	(void)state;
	assert_int_equal(world_init(&w, v, 4), 0);
	assert_body("text/plain",
	            "MSB_AMSB_ABMSB_A_ABMSB_AB%4xyzMSB_%41MSB_A\\u0042%4%4xyz",
	            "<a><b><a><c>_AB<d>%3Ca%3E<b>%4<d>");
}

/* Against the plainest search, random texts of few letters. */
static void it_agrees_with_the_oracle(void **state)
{
	static const char *const bits[] = {
		"MSB_A", "MSB_",    "AB",      "%4D", "%5",   "\\u00",
		"4d",    "\\u005f", "\\ud83d", "\\",  "\\\\", "_A",
		"é",     "%C3%A9",  "%",       "x"};
	const struct world_secret v[] = {
		{.name = "A", .placeholder = "MSB_A",       .value = "<a>"        },
		{.name = "B", .placeholder = "_AB\xc3\xa9", .value = "\"b"        },
		{.name = "C", .placeholder = "4d\\x",       .value = "long enough"}
        };
	struct needle needles[3];
	uint64_t seed = 42;

	(void)state;
	assert_int_equal(world_init(&w, v, 3), 0);
	for (unsigned i = 0; i < 3; i++)
		needles[i] = (struct needle){v[i].placeholder,
		                             strlen(v[i].placeholder)};
	for (unsigned round = 0; round < 3000; round++) {
		cleanup_buf struct buf in = BUF_INIT, want = BUF_INIT;
		cleanup_buf struct buf out = BUF_INIT;
		struct subst *s = begin("text/plain", "");
		struct find_hit hit;
		size_t done = 0;

		for (unsigned k = 0; k < 12; k++) {
			seed = seed * 6364136223846793005ULL + 1;
			assert_int_equal(buf_adds(&in, bits[seed >> 60]), 0);
		}
		while (oracle_next(needles, 3, in.data, in.len, done, &hit)) {
			const char *value = v[hit.index].value;

			(void)buf_add(&want, in.data + done, hit.at - done);
			done = hit.at + hit.len;
			if (hit.form == FIND_MIXED)
				(void)buf_add(&want, in.data + hit.at, hit.len);
			else
				(void)encode_add(
					&want,
					hit.form == FIND_JSON ? ENCODE_JSON
					: hit.form == FIND_PERCENT
						? ENCODE_PERCENT
						: ENCODE_RAW,
					(const uint8_t *)value, strlen(value));
		}
		(void)buf_add(&want, in.data + done, in.len - done);
		assert_int_equal(in_pieces(s, buf_str(&in), in.len,
		                           seed >> 32 & 7, 8 + (seed >> 40 & 3),
		                           &out),
		                 0);
		assert_string_equal(buf_str(&out), buf_str(&want));
		subst_free(s);
	}
}

static void large_values_and_many_placeholders_fit(void **state)
{
	static char value[64 << 10];
	struct buf in = BUF_INIT, out = BUF_INIT;
	struct subst *s;

	(void)state;
	memset(value, '"', sizeof(value));
	one((struct world_secret){.value = value, .len = sizeof(value)});
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(buf_adds(&in, "," WORLD_PH), 0);
	s = begin("application/json", "");
	assert_int_equal(subst_body(s, in.data, in.len, &out), 0);
	assert_int_equal(subst_body_end(s, &out), 0);
	assert_int_equal(out.len, 40 * (1 + 2 * sizeof(value)));
	assert_int_equal(subst_used(s), 40);
	subst_free(s);
	assert_int_equal(w.counts[TLSLINK_USED], 40);
	buf_release(&in);
	buf_release(&out);
}

/* ---- what is held back --------------------------------------------------- */

static void only_what_may_begin_a_placeholder_is_held_back(void **state)
{
	static const struct {
		const char *in;
		size_t held;
	} cases[] = {
		{"data: hello\n\n",      0 },
		{"data: MSB_0",          5 },
		{"data: MSB_x",          0 },
		{"M",                    1 },
		{"MMSB",                 3 },
		{"MSB_0123456789abcde",  19},
		{"MSB_0123456789abcdeg", 0 },
		{"%",                    1 },
		{"100%",                 1 },
		{"%4",                   2 },
		{"%g",                   0 },
		{"%4D",                  3 },
		{"%4E",                  0 },
		{"x%4DS\\u0042",         10},
		{"C:\\",                 1 },
		{"C:\\dir",              0 },
		{"\\u",                  2 },
		{"\\n",                  0 },
		{"M\\u00",               5 },
		{"MSB_\\u0030%31",       13},
		{"\\ud83d",              6 },
		{"\\ud83dx",             0 },
	};

	(void)state;
	one((struct world_secret){0});
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_buf struct buf out = BUF_INIT;
		struct subst *s = begin("text/plain", "");
		size_t len = strlen(cases[i].in);

		assert_int_equal(
			subst_body(s, (const uint8_t *)cases[i].in, len, &out),
			0);
		assert_int_equal(out.len, len - cases[i].held);
		assert_int_equal(subst_body_end(s, &out), 0);
		assert_string_equal(buf_str(&out), cases[i].in);
		subst_free(s);
	}
}

static void random_bytes_pass_untouched(void **state)
{
	enum { SIZE = 1 << 20 };
	uint8_t *in = malloc(SIZE);
	struct buf out = BUF_INIT;
	struct subst *s;
	uint64_t seed = 7;

	(void)state;
	assert_non_null(in);
	for (size_t i = 0; i < SIZE; i++) {
		seed = seed * 6364136223846793005ULL + 1;
		in[i] = (uint8_t)(seed >> 56);
	}
	one((struct world_secret){0});
	s = begin("application/octet-stream", "identity");
	for (size_t at = 0, step; at < SIZE; at += step) {
		seed = seed * 6364136223846793005ULL + 1;
		step = MIN(SIZE - at, (seed >> 40) % 40000);
		assert_int_equal(subst_body(s, in + at, step, &out), 0);
		assert_true(at + step - out.len < 32);
	}
	assert_int_equal(subst_body_end(s, &out), 0);
	assert_int_equal(out.len, SIZE);
	assert_memory_equal(out.data, in, SIZE);
	subst_free(s);
	buf_release(&out);
	free(in);
}

/* ---- bodies that are not looked into, or not changed ----------------------
 */

static void a_coded_body_is_passed_unseen(void **state)
{
	static const char *const coded[] = {"gzip", "br", "identity, gzip",
	                                    "identityx", "deflate;x"};
	static const char *const plain[] = {"", "identity", " IDENTITY ",
	                                    "Identity;q=1"};

	(void)state;
	one((struct world_secret){.hosts = WORLD_HOST " " WORLD_HOST});
	for (size_t i = 0; i < ARRAY_SIZE(coded); i++) {
		cleanup_buf struct buf out = BUF_INIT;
		struct subst *s = begin("text/plain", coded[i]);

		assert_false(subst_body_changes(s));
		assert_int_equal(in_pieces(s, WORLD_PH, 20, 5, 9, &out), 0);
		assert_string_equal(buf_str(&out), WORLD_PH);
		subst_free(s);
	}
	assert_int_equal(w.nlines, 1); /* once a flow */
	assert_string_equal(w.lines[0],
	                    "a body in the coding gzip cannot be seen into: "
	                    "placeholders in it stay as they are (POST /v1 to "
	                    "api.example.com, HTTP/1.1)");
	memset(w.told, 0, sizeof(w.told));
	subst_free(begin("text/plain", WORLD_VALUE)); /* a guest that knows */
	assert_non_null(strstr(w.lines[1], "coding ************ cannot"));
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		cleanup_buf struct buf out = BUF_INIT;
		struct subst *s = begin("text/plain", plain[i]);

		assert_true(subst_body_changes(s));
		assert_int_equal(in_pieces(s, WORLD_PH, 20, 5, 9, &out), 0);
		assert_string_equal(buf_str(&out), WORLD_VALUE);
		subst_free(s);
	}
}

static void without_the_option_the_placeholder_stays(void **state)
{
	static const char in[] = WORLD_PH " \\u004dSB_0123456789abcdef";
	struct subst *s;

	(void)state;
	one((struct world_secret){.where = SECRET_HEADERS});
	s = begin("application/json", "");
	assert_false(subst_body_changes(s));
	subst_free(s);
	assert_body("application/json", in, in);
	assert_int_equal(w.counts[TLSLINK_USED], 0);
	assert_int_equal(w.nlines, 1);
	assert_string_equal(w.lines[0],
	                    "secret KEY: its placeholder in the body stays as "
	                    "it is: the secret is not for that place (POST /v1 "
	                    "to api.example.com, HTTP/1.1)");
}

static void only_a_secret_that_may_be_put_in_changes_a_body(void **state)
{
	struct subst *s;

	(void)state;
	one((struct world_secret){.hosts = "other.example"});
	s = begin("", "");
	assert_false(subst_body_changes(s));
	subst_free(s);
	world_release(&w);
	one((struct world_secret){0});
	w.gate.verified = false;
	s = begin("", "");
	assert_false(subst_body_changes(s));
	subst_free(s);
	w.gate.verified = true;
	s = begin("", "");
	assert_true(subst_body_changes(s));
	subst_free(s);
	/* Before the body begins nothing is known of it. */
	s = world_subst(&w);
	assert_false(subst_body_changes(s));
	subst_free(s);
	world_release(&w);
	assert_int_equal(world_init(&w, NULL, 0), 0);
	s = begin("", "");
	assert_false(subst_body_changes(s));
	subst_free(s);
	assert_body("", WORLD_PH "%4", WORLD_PH "%4");
}

static void a_length_that_was_told_is_kept(void **state)
{
	static const char in[] = "a " WORLD_PH " b",
			  same[] = "0123456789.123456789";
	struct buf out = BUF_INIT;
	struct subst *s;

	(void)state;
	one((struct world_secret){.value = same});
	s = begin("text/plain", "");
	subst_body_fixed(s);
	assert_false(subst_body_changes(s));
	assert_int_equal(in_pieces(s, in, strlen(in), 4, 9, &out), 0);
	assert_string_equal(buf_str(&out), "a 0123456789.123456789 b");
	subst_free(s);
	world_release(&w);
	buf_reset(&out);

	one((struct world_secret){.value = "shorter"});
	s = begin("text/plain", "");
	subst_body_fixed(s);
	assert_int_equal(in_pieces(s, in, strlen(in), 4, 9, &out), -EFBIG);
	assert_null(strstr(buf_str(&out), "shorter"));
	assert_int_equal(w.nlines, 1);
	assert_non_null(strstr(w.lines[0], "send the body chunked"));
	assert_non_null(strstr(w.lines[0], "secret KEY: "));
	assert_null(strstr(w.lines[0], "shorter"));
	subst_free(s);
	world_release(&w);
	buf_reset(&out);

	/* Encoded it is longer: as long as the value, but not in the body. */
	one((struct world_secret){.value = "\"123456789.12345678\""});
	s = begin("application/json", "");
	subst_body_fixed(s);
	assert_int_equal(in_pieces(s, in, strlen(in), 4, 9, &out), -EFBIG);
	subst_free(s);
	buf_release(&out);
}

/* ---- violations ---------------------------------------------------------- */

static void a_body_for_another_host_is_refused_however_it_is_cut(void **state)
{
	static const char *const bodies[] = {
		"x=" WORLD_PH "&y",
		"{\"k\":\"%4DSB_0123456789abcdef\"}",
		"%4d%53%42%5f%30%31%32%33%34%35%36%37%38%39%61%62%63%64%65%66",
		"\"MSB\\u005f0123456789abcde\\u0066\"",
		"\\u004D%53B_0123456789abcdef and on",
		"MSB_MSB_MSB_0123456789abcdef"};

	(void)state;
	one((struct world_secret){.hosts = "other.example"});
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		assert_refused("application/json", bodies[i]);
		assert_refused("text/plain", bodies[i]);
	}
	assert_int_equal(w.nlines, 0);
}

static void the_line_says_it_was_the_body(void **state)
{
	struct buf out = BUF_INIT;
	struct subst *s;

	(void)state;
	one((struct world_secret){.hosts = "*.other.example",
	                          .violation = SECRET_BLOCK_TERMINATE});
	s = begin("", "");
	assert_int_equal(in_pieces(s, WORLD_PH, 20, 1, 2, &out), -EACCES);
	assert_string_equal(w.lines[0],
	                    "secret KEY: its placeholder was sent to "
	                    "api.example.com (body, POST /v1, HTTP/1.1): "
	                    "blocked, and the sandbox ends; it is allowed for "
	                    "*.other.example");
	assert_int_equal(w.terminated, 1);
	subst_free(s);
	buf_release(&out);
}

static void what_stood_before_in_the_buffer_stays(void **state)
{
	struct buf out = BUF_INIT;
	struct subst *s;

	(void)state;
	one((struct world_secret){.hosts = "other.example"});
	s = begin("", "");
	assert_int_equal(buf_adds(&out, "head"), 0);
	assert_int_equal(subst_body(s, (const uint8_t *)"more", 4, &out), 0);
	assert_int_equal(
		subst_body(s, (const uint8_t *)"again " WORLD_PH, 26, &out),
		-EACCES);
	assert_string_equal(buf_str(&out), "headmore");
	subst_free(s);
	buf_release(&out);
}

static void all_that_pass_are_counted_with_one_line(void **state)
{
	enum { TIMES = 20000 };
	struct buf in = BUF_INIT, out = BUF_INIT;
	struct subst *s;

	(void)state;
	one((struct world_secret){.hosts = "other.example",
	                          .violation = SECRET_PASS});
	for (unsigned i = 0; i < TIMES; i++)
		assert_int_equal(buf_adds(&in, WORLD_PH), 0);
	s = begin("", "");
	assert_int_equal(subst_body(s, in.data, in.len, &out), 0);
	assert_int_equal(subst_body_end(s, &out), 0);
	assert_int_equal(out.len, in.len);
	assert_memory_equal(out.data, in.data, in.len);
	subst_free(s);
	assert_int_equal(w.nlines, 1);
	assert_int_equal(w.counts[TLSLINK_VIOLATION], TIMES);
	buf_release(&in);
	buf_release(&out);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_body_gets_values_however_it_is_cut),
		TEST(a_form_gets_them_percent_encoded),
		TEST(json_gets_them_escaped),
		TEST(the_type_is_understood_as_it_is_written),
		TEST(an_encoded_placeholder_in_plain_text_keeps_its_form),
		TEST(prefixes_and_overlaps_do_not_depend_on_cuts),
		TEST(it_agrees_with_the_oracle),
		TEST(large_values_and_many_placeholders_fit),
		TEST(only_what_may_begin_a_placeholder_is_held_back),
		TEST(random_bytes_pass_untouched),
		TEST(a_coded_body_is_passed_unseen),
		TEST(without_the_option_the_placeholder_stays),
		TEST(only_a_secret_that_may_be_put_in_changes_a_body),
		TEST(a_length_that_was_told_is_kept),
		TEST(a_body_for_another_host_is_refused_however_it_is_cut),
		TEST(the_line_says_it_was_the_body),
		TEST(what_stood_before_in_the_buffer_stays),
		TEST(all_that_pass_are_counted_with_one_line),
	};

	return cmocka_run_group_tests_name("tls/subst_body", tests, NULL, NULL);
}
