#include "lib/test.h"

#include <errno.h>
#include <openssl/evp.h>

#include "tls/subst_encode.h"
#include "tls/subst_world.h"

#define PH "MSB_0123456789abcdefgh" /* one more than a group of three */

static struct world w;

static int teardown(void **state)
{
	(void)state;
	world_release(&w);
	return 0;
}

static void one(const char *value)
{
	const struct world_secret s = {
		.placeholder = PH, .value = value, .mask = true};

	assert_int_equal(world_init(&w, &s, 1), 0);
}

static struct mask *begin(void)
{
	int r = -1;
	struct mask *m = mask_new(w.secrets, &w.gate, &w.sink, &r);

	assert_int_equal(r, 0);
	return m;
}

/* As a text, and as a body however it is cut. */
static void assert_masked(const char *in, const char *want)
{
	size_t len = strlen(in);

	for (size_t a = 0; a <= len; a++) {
		cleanup_buf struct buf out = BUF_INIT;
		struct mask *m = begin();
		const uint8_t *p = (const uint8_t *)in;

		assert_non_null(m);
		if (a == 0)
			assert_int_equal(mask_text(m, in, len, &out), 0);
		else
			for (size_t at = 0; at < len; at += a)
				assert_int_equal(mask_body(m, p + at,
				                           MIN(a, len - at),
				                           &out),
				                 0);
		assert_int_equal(mask_body_end(m, &out), 0);
		assert_string_equal(buf_str(&out), want);
		mask_free(m);
	}
}

/* ---- forms --------------------------------------------------------------- */

static void a_value_becomes_the_placeholder(void **state)
{
	(void)state;
	one("sk-live-1234");
	assert_masked("{\"key\":\"sk-live-1234\"} sk-live-1234sk-live-1234 sk",
	              "{\"key\":\"" PH "\"} " PH PH " sk");
	assert_int_equal(w.nlines, 0);
}

static void encoded_values_become_placeholders(void **state)
{
	(void)state;
	one("p\xc3\xa4\"ss/w%rd&\n");
	assert_masked("p%C3%A4%22ss%2Fw%25rd%26%0A", PH);
	assert_masked("p%c3%a4%22ss/w%25rd&%0a!", PH "!");
	assert_masked("\"p\xc3\xa4\\\"ss/w%rd&\\n\"", "\"" PH "\"");
	assert_masked("\"p\\u00e4\\\"ss\\/w\\u0025rd\\u0026\\u000A\"",
	              "\"" PH "\"");
	/* Both ways at once: whatever it means, it is masked. */
	assert_masked("%70\xc3\xa4\\\"ss/w%rd&\\n", PH);
}

/* Decoded, what stands before and behind is whole, and so the placeholder. */
static void assert_base64(const char *before, const char *value,
                          const char *behind, bool url)
{
	uint8_t plain[256], text[400], back[400];
	char in[400];
	struct buf out = BUF_INIT;
	struct mask *m = begin();
	int n = snprintf((char *)plain, sizeof(plain), "%s%s%s", before, value,
	                 behind);
	size_t len = (size_t)EVP_EncodeBlock(text, plain, n);

	for (size_t i = 0; url && i < len; i++)
		text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
	(void)snprintf(in, sizeof(in), "{\"auth\": \"Basic %s\"}\n",
	               (char *)text);
	assert_int_equal(mask_text(m, in, strlen(in), &out), 0);
	mask_free(m);
	assert_int_equal(w.counts[TLSLINK_MASKED], 1);
	w.counts[TLSLINK_MASKED] = 0;
	assert_memory_equal(buf_str(&out), "{\"auth\": \"Basic ", 16);
	assert_string_equal(buf_str(&out) + out.len - 3, "\"}\n");
	out.len -= 3;
	for (size_t i = 0; url && i < out.len; i++)
		out.data[i] = out.data[i] == '-'   ? '+'
		              : out.data[i] == '_' ? '/'
		                                   : out.data[i];
	n = EVP_DecodeBlock(back, out.data + 16, (int)out.len - 16);
	assert_true(n > 0);
	assert_memory_equal(back, before, strlen(before));
	assert_non_null(memmem(back, (size_t)n, PH, strlen(PH)));
	assert_non_null(memmem(back, (size_t)n, behind, strlen(behind)));
	/* Of the value, at most its first and last byte. */
	for (size_t i = 0; i + 4 < strlen(value); i++)
		assert_null(memmem(back, (size_t)n, value + i, 4));
	buf_release(&out);
}

static void base64_of_a_value_is_masked_wherever_it_begins(void **state)
{
	static const char *const values[] = {"sk-live",
	                                     "sk-live-",
	                                     "sk-live-1",
	                                     "sk-live-ZYXWVUTSRQPONMLKJI",
	                                     "\xff\xfe\xfb\xef\xbe\xff\xfb\xff",
	                                     "?\?>>?\?>>~~~"};
	static const char *const before[] = {"", "u", "us", "user:", "user1:"};
	static const char *const behind[] = {"", "x", "xy", "xyz", "\nmore"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		one(values[i]);
		for (size_t k = 0; k < ARRAY_SIZE(before); k++)
			for (size_t l = 0; l < ARRAY_SIZE(behind); l++) {
				assert_base64(before[k], values[i], behind[l],
				              false);
				assert_base64(before[k], values[i], behind[l],
				              true);
			}
		world_release(&w);
	}
}

static void base64_that_is_encoded_again_is_masked(void **state)
{
	(void)state;
	one("\xff\xfe\xfb\xef\xbe\xff\xfb\xff\xfe"); /* //77777/+//+ */
	assert_masked("//77777/+//+", "TVNCXzAxMjM0NTY3ODlhYmNkZWZnaF9f");
	assert_masked("\\/\\/77777\\/+\\/\\/+",
	              "TVNCXzAxMjM0NTY3ODlhYmNkZWZnaF9f");
	assert_masked("%2F%2F77777%2F%2B%2f%2F%2B",
	              "TVNCXzAxMjM0NTY3ODlhYmNkZWZnaF9f");
}

static void values_of_64_kib_are_masked(void **state)
{
	enum { SIZE = 64 << 10 };
	char *value = malloc(SIZE + 1);
	struct buf in = BUF_INIT, out = BUF_INIT;
	struct mask *m;

	(void)state;
	assert_non_null(value);
	for (size_t i = 0; i < SIZE; i++)
		value[i] = (char)('!' + (i * i + i / 7) % 90);
	value[SIZE] = '\0';
	one(value);
	assert_int_equal(buf_adds(&in, "<"), 0);
	assert_int_equal(buf_adds(&in, value), 0);
	assert_int_equal(buf_adds(&in, "><"), 0);
	assert_int_equal(
		encode_add(&in, ENCODE_PERCENT, (uint8_t *)value, SIZE), 0);
	assert_int_equal(buf_adds(&in, "><"), 0);
	assert_int_equal(base64_add(&in, (uint8_t *)value, SIZE), 0);
	assert_int_equal(buf_adds(&in, ">"), 0);
	m = begin();
	for (size_t at = 0; at < in.len; at += 10000)
		assert_int_equal(mask_body(m, in.data + at,
		                           MIN(10000, in.len - at), &out),
		                 0);
	assert_int_equal(mask_body_end(m, &out), 0);
	mask_free(m);
	assert_memory_equal(buf_str(&out), "<" PH "><" PH "><TVNCXzAx", 57);
	assert_true(out.len < 100);
	assert_int_equal(w.counts[TLSLINK_MASKED], 3);
	buf_release(&in);
	buf_release(&out);
	free(value);
}

/* ---- whose values -------------------------------------------------------- */

static void only_values_for_this_host_with_the_option_are_masked(void **state)
{
	const struct world_secret v[] = {
		{.name = "A",            .placeholder = "MSB_A", .value = "value-a"},
		{ .name = "B",
	         .placeholder = "MSB_B",
	         .value = "value-b",
	         .mask = true,
	         .hosts = "other.example"},
		{					     .name = "C",
	         .placeholder = "MSB_C",
	         .value = "value-c",
	         .mask = true}
        };
	struct mask *m;
	int r = -1;

	(void)state;
	assert_int_equal(world_init(&w, v, 3), 0);
	assert_masked("value-a value-b value-c", "value-a value-b MSB_C");
	(void)snprintf(w.gate.name, sizeof(w.gate.name), "other.example");
	assert_masked("value-a value-b value-c", "value-a MSB_B value-c");
	(void)snprintf(w.gate.name, sizeof(w.gate.name), "third.example");
	m = mask_new(w.secrets, &w.gate, &w.sink, &r);
	assert_null(m);
	assert_int_equal(r, 0);
	mask_free(m);
	assert_null(mask_new(NULL, &w.gate, &w.sink, &r));
	assert_int_equal(r, 0);
}

static void a_short_value_is_not_masked_and_people_are_told_once(void **state)
{
	const struct world_secret v[] = {
		{.name = "S",
	         .placeholder = "MSB_S",
	         .value = "12345",
	         .mask = true},
		{.name = "L",
	         .placeholder = "MSB_L",
	         .value = "123456",
	         .mask = true}
        };
	int r = -1;

	(void)state;
	assert_int_equal(world_init(&w, v, 1), 0);
	assert_null(mask_new(w.secrets, &w.gate, &w.sink, &r));
	assert_int_equal(r, 0);
	assert_null(mask_new(w.secrets, &w.gate, &w.sink, &r));
	assert_int_equal(w.nlines, 1);
	assert_string_equal(w.lines[0],
	                    "secret S: its value is shorter than 6 bytes and "
	                    "is not masked in answers of api.example.com");
	world_release(&w);
	assert_int_equal(world_init(&w, v, 2), 0);
	assert_masked("12345 123456", "12345 MSB_L");
	assert_int_equal(w.nlines, 1);
}

static void the_longest_of_values_that_begin_alike_counts(void **state)
{
	const struct world_secret v[] = {
		{.name = "A",
	         .placeholder = "MSB_A",
	         .value = "prefix",
	         .mask = true},
		{.name = "B",
	         .placeholder = "MSB_B",
	         .value = "prefix-more",
	         .mask = true}
        };

	(void)state;
	assert_int_equal(world_init(&w, v, 2), 0);
	assert_masked("prefix-more prefix-mor prefixprefix-more",
	              "MSB_B MSB_A-mor MSB_AMSB_B");
}

/* ---- streams ------------------------------------------------------------- */

static void an_event_stream_is_not_delayed(void **state)
{
	static const char *const events[] = {
		"data: {\"delta\":\"Hello\"}\n\n", ": ping\n\n",
		"data: sk-live and sk\n\n", "data: [DONE]\n\n"};
	struct buf out = BUF_INIT;
	struct mask *m;
	size_t sent = 0;

	(void)state;
	one("sk-live-1234");
	m = begin();
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		sent += strlen(events[i]);
		assert_int_equal(mask_body(m, (const uint8_t *)events[i],
		                           strlen(events[i]), &out),
		                 0);
		assert_int_equal(out.len, sent);
	}
	assert_int_equal(
		mask_body(m, (const uint8_t *)"data: sk-live", 13, &out), 0);
	assert_int_equal(out.len, sent + 6);
	assert_int_equal(mask_body(m, (const uint8_t *)"-1234\n\n", 7, &out),
	                 0);
	assert_int_equal(out.len, sent + 6 + strlen(PH) + 2);
	mask_free(m);
	assert_int_equal(w.counts[TLSLINK_MASKED], 1);
	buf_release(&out);
}

/* A header's text between two pieces of a body does not disturb them. */
static void texts_and_bodies_are_apart(void **state)
{
	struct buf body = BUF_INIT, text = BUF_INIT;
	struct mask *m;

	(void)state;
	one("sk-live-1234");
	m = begin();
	assert_int_equal(mask_body(m, (const uint8_t *)"sk-live", 7, &body), 0);
	assert_int_equal(mask_text(m, "x sk-live", 9, &text), 0);
	assert_string_equal(buf_str(&text), "x sk-live");
	assert_int_equal(mask_body(m, (const uint8_t *)"-1234", 5, &body), 0);
	assert_int_equal(mask_body_end(m, &body), 0);
	assert_string_equal(buf_str(&body), PH);
	mask_free(m);
	buf_release(&body);
	buf_release(&text);
}

static void out_of_room_is_said(void **state)
{
	struct buf out = BUF_INIT_MAX(10);
	struct mask *m;

	(void)state;
	one("sk-live-1234");
	m = begin();
	assert_int_equal(mask_text(m, "sk-live-1234", 12, &out), -E2BIG);
	mask_free(m);
	buf_release(&out);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_value_becomes_the_placeholder),
		TEST(encoded_values_become_placeholders),
		TEST(base64_of_a_value_is_masked_wherever_it_begins),
		TEST(base64_that_is_encoded_again_is_masked),
		TEST(values_of_64_kib_are_masked),
		TEST(only_values_for_this_host_with_the_option_are_masked),
		TEST(a_short_value_is_not_masked_and_people_are_told_once),
		TEST(the_longest_of_values_that_begin_alike_counts),
		TEST(an_event_stream_is_not_delayed),
		TEST(texts_and_bodies_are_apart),
		TEST(out_of_room_is_said),
	};

	return cmocka_run_group_tests_name("tls/mask", tests, NULL, NULL);
}
