#include "lib/test.h"

#include <stdio.h>
#include <string.h>

#include "base/needle.h"
#include "base/num.h"

#define NEEDLE(s)                                                              \
	{                                                                      \
		s, sizeof(s) - 1                                               \
	}

static uint64_t seed = 88172645463325252ULL;

static unsigned dice(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 33) % n;
}

/* ---- what is right, tried at every place --------------------------------- */

static int naive_at(const struct needle *v, size_t n, const uint8_t *p,
                    size_t left)
{
	int best = -1;

	for (size_t i = 0; i < n; i++)
		if (v[i].len <= left && memcmp(v[i].text, p, v[i].len) == 0 &&
		    (best < 0 || v[i].len > v[best].len))
			best = (int)i;
	return best;
}

static size_t naive_tail(const struct needle *v, size_t n, const uint8_t *data,
                         size_t len)
{
	for (size_t left = len; left > 0; left--)
		for (size_t i = 0; i < n; i++)
			if (v[i].len > left &&
			    memcmp(v[i].text, data + len - left, left) == 0)
				return left;
	return 0;
}

static void assert_as_naive(const struct needle *v, size_t n,
                            const uint8_t *data, size_t len)
{
	struct needles *s = needles_new(v, n);

	assert_non_null(s);
	for (size_t from = 0; from <= len; from++) {
		size_t at = from, got_at = 0;
		int want = -1, got;

		while (at < len &&
		       (want = naive_at(v, n, data + at, len - at)) < 0)
			at++;
		got = needles_find(s, data, len, from, &got_at);
		assert_int_equal(got, want);
		if (want >= 0)
			assert_int_equal(got_at, at);
		assert_int_equal(needles_tail(s, data, from),
		                 naive_tail(v, n, data, from));
	}
	needles_free(s);
}

/* ---- tests --------------------------------------------------------------- */

static void the_first_match_is_found(void **state)
{
	static const struct needle v[] = {NEEDLE("MSB_abc"), NEEDLE("xyz")};
	static const char text[] = "..xy..MSB_abxyzMSB_abc";
	struct needles *s = needles_new(v, 2);
	const uint8_t *data = (const uint8_t *)text;
	size_t at = 99;

	(void)state;
	assert_non_null(s);
	assert_int_equal(needles_longest(s), 7);
	assert_int_equal(needles_find(s, data, strlen(text), 0, &at), 1);
	assert_int_equal(at, 12);
	assert_int_equal(needles_find(s, data, strlen(text), 13, &at), 0);
	assert_int_equal(at, 15);
	assert_int_equal(needles_find(s, data, strlen(text) - 1, 13, &at), -1);
	assert_int_equal(needles_find(s, data, strlen(text), 16, &at), -1);
	assert_int_equal(needles_find(s, data, strlen(text), 4096, &at), -1);
	assert_int_equal(at, 15); /* written on success only */
	needles_free(s);
}

static void the_longest_of_one_place_wins(void **state)
{
	static const struct needle v[] = {NEEDLE("MSB_A"), NEEDLE("MSB_AB"),
	                                  NEEDLE("MSB_ABC"), NEEDLE("SB_ABCD")};

	(void)state;
	assert_as_naive(v, 4, (const uint8_t *)"MSB_A MSB_AB MSB_ABCD", 21);
}

static void the_first_of_two_that_are_equal_is_told(void **state)
{
	static const struct needle v[] = {NEEDLE("no"), NEEDLE("same"),
	                                  NEEDLE("same")};
	struct needles *s = needles_new(v, 3);
	size_t at;

	(void)state;
	assert_int_equal(needles_find(s, (const uint8_t *)"same", 4, 0, &at),
	                 1);
	needles_free(s);
}

/* Few letters, so that nearly all is the beginning of something. */
static void it_agrees_with_a_naive_search(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 400; round++) {
		uint8_t texts[6][40], data[160];
		struct needle v[6];
		unsigned n = 1 + dice(6), letters = 1 + dice(4);
		size_t len = dice(sizeof(data) + 1);

		for (unsigned i = 0; i < n; i++) {
			v[i] = (struct needle){texts[i], 2 + dice(38)};
			if (i && dice(2)) /* mostly as the one before */
				v[i].len = 2 + dice(6);
			for (size_t k = 0; k < v[i].len; k++)
				texts[i][k] = (uint8_t)(0xfe + dice(letters));
		}
		for (size_t k = 0; k < len; k++)
			data[k] = (uint8_t)(0xfe + dice(letters));
		if (len > v[0].len)
			memcpy(data + dice((unsigned)(len - v[0].len)),
			       texts[0], v[0].len);
		assert_as_naive(v, n, data, len);
	}
}

static void needles_longer_than_a_shift_are_found(void **state)
{
	static uint8_t text[3][NEEDLE_LEN_MAX];
	struct needle v[] = {
		{text[0], 70000         },
                {text[1], 300           },
                {text[2], NEEDLE_LEN_MAX}
        };
	uint8_t *data = malloc(2 * NEEDLE_LEN_MAX);
	struct needles *s;
	size_t at = 0;

	(void)state;
	assert_non_null(data);
	for (unsigned i = 0; i < 3; i++)
		for (size_t k = 0; k < v[i].len; k++)
			text[i][k] = (uint8_t)dice(256);
	s = needles_new(v, 3);
	assert_non_null(s);
	memset(data, 'x', 2 * NEEDLE_LEN_MAX);
	memcpy(data + 12345, text[0], v[0].len);
	memcpy(data + 500000, text[2], v[2].len);
	assert_int_equal(needles_find(s, data, 2 * NEEDLE_LEN_MAX, 0, &at), 0);
	assert_int_equal(at, 12345);
	assert_int_equal(needles_find(s, data, 2 * NEEDLE_LEN_MAX, 12346, &at),
	                 2);
	assert_int_equal(at, 500000);
	assert_int_equal(needles_tail(s, data, 500000 + 400000), 400000);
	assert_int_equal(
		needles_find(s, data, 500000 + v[2].len - 1, 12346, &at), -1);
	needles_free(s);
	free(data);
}

static void a_text_of_one_letter_is_searched_to_its_end(void **state)
{
	static uint8_t needle[512], data[1 << 16];
	const struct needle v = {needle, sizeof(needle)};
	struct needles *s = needles_new(&v, 1);
	size_t at;

	(void)state;
	needles_free(s);
	memset(data, 'a', sizeof(data));
	memset(needle, 'a', sizeof(needle));
	needle[0] = 'b';
	s = needles_new(&v, 1);
	assert_int_equal(needles_find(s, data, sizeof(data), 0, &at), -1);
	assert_int_equal(needles_tail(s, data, sizeof(data)), 0);
	data[sizeof(data) - 512] = 'b';
	assert_int_equal(needles_find(s, data, sizeof(data), 0, &at), 0);
	assert_int_equal(at, sizeof(data) - 512);
	needles_free(s);
}

static void what_cannot_be_searched_for_is_refused(void **state)
{
	static uint8_t big[NEEDLE_LEN_MAX + 1];
	struct needle many[NEEDLES_MAX + 1], one = {"x", 1};
	struct needles *s;

	(void)state;
	assert_null(needles_new(&one, 1));
	one = (struct needle){big, sizeof(big)};
	assert_null(needles_new(&one, 1));
	for (unsigned i = 0; i <= NEEDLES_MAX; i++)
		many[i] = (struct needle)NEEDLE("ab");
	assert_null(needles_new(many, NEEDLES_MAX + 1));
	s = needles_new(many, NEEDLES_MAX);
	assert_non_null(s);
	needles_free(s);
	needles_free(NULL);
}

static void no_needles_find_nothing(void **state)
{
	struct needles *s = needles_new(NULL, 0);
	struct needle_watch w = {.s = s};
	size_t at;

	(void)state;
	assert_non_null(s);
	assert_int_equal(needles_longest(s), 0);
	assert_int_equal(needles_find(s, (const uint8_t *)"abc", 3, 0, &at),
	                 -1);
	assert_int_equal(needles_tail(s, (const uint8_t *)"abc", 3), 0);
	assert_int_equal(needle_watch(&w, (const uint8_t *)"abc", 3), -1);
	assert_null(w.carry);
	needles_free(s);
}

static void lengths_and_bytes_are_told(void **state)
{
	static const struct needle v[] = {NEEDLE("ab"), NEEDLE("cdef"),
	                                  NEEDLE("a\xff\x00")};
	struct needles *s = needles_new(v, 3);

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(needles_len(s, i), v[i].len);
	for (unsigned c = 0; c < 256; c++)
		assert_int_equal(needles_has(s, (uint8_t)c),
		                 memchr("abcdef\xff\x00", (int)c, 8) != NULL);
	needles_free(s);
}

struct hits {
	unsigned n, index[16];
};

static void note_hit(void *arg, unsigned index)
{
	struct hits *h = arg;

	if (h->n < ARRAY_SIZE(h->index))
		h->index[h->n] = index;
	h->n++;
}

static const struct needle watched[] = {NEEDLE("MSB_one"), NEEDLE("SB_two"),
                                        NEEDLE("oneone")};
static const char stream[] = "xMSB_oneone MSB_MSB_two SB_onSB_two";

/* Two cuts, at every two places. */
static void a_stream_is_watched_however_it_is_cut(void **state)
{
	struct needles *s = needles_new(watched, 3);
	size_t len = strlen(stream);

	(void)state;
	for (size_t a = 0; a <= len; a++)
		for (size_t b = a; b <= len; b++) {
			struct needle_watch w = {.s = s};
			const uint8_t *p = (const uint8_t *)stream;
			struct hits h = {0};

			assert_int_equal(
				needle_watch_all(&w, p, a, note_hit, &h), 0);
			assert_int_equal(needle_watch_all(&w, p + a, b - a,
			                                  note_hit, &h),
			                 0);
			assert_int_equal(needle_watch_all(&w, p + b, len - b,
			                                  note_hit, &h),
			                 0);
			assert_int_equal(h.n, 4);
			assert_int_equal(h.index[0], 0);
			assert_int_equal(h.index[1], 2);
			assert_int_equal(h.index[2], 1);
			assert_int_equal(h.index[3], 1);
			assert_int_equal(w.len, 1); /* "o" */
			needle_watch_release(&w);
		}
	needles_free(s);
}

static void a_watch_tells_the_first_and_goes_on(void **state)
{
	struct needles *s = needles_new(watched, 3);
	struct needle_watch w = {.s = s};

	(void)state;
	assert_int_equal(needle_watch(&w, (const uint8_t *)"MSB_on", 6), -1);
	assert_int_equal(w.len, 6);
	assert_int_equal(needle_watch(&w, (const uint8_t *)"eoneSB_t", 8), 0);
	assert_int_equal(needle_watch(&w, (const uint8_t *)"w", 1), -1);
	assert_int_equal(needle_watch(&w, (const uint8_t *)"", 0), -1);
	assert_int_equal(needle_watch(&w, (const uint8_t *)"o", 1), 1);
	/* What was told is not told again. */
	assert_int_equal(needle_watch(&w, (const uint8_t *)"....", 4), -1);
	needle_watch_release(&w);
	assert_null(w.carry);
	needles_free(s);
}

static void a_match_inside_what_is_kept_is_told_once(void **state)
{
	static const struct needle v[] = {NEEDLE("SB"), NEEDLE("MSB_long")};
	struct needles *s = needles_new(v, 2);
	struct needle_watch w = {.s = s};

	(void)state;
	assert_int_equal(needle_watch(&w, (const uint8_t *)"MSB", 3), 0);
	assert_int_equal(needle_watch(&w, (const uint8_t *)"_lo", 3), -1);
	assert_int_equal(needle_watch(&w, (const uint8_t *)"ng", 2), 1);
	needle_watch_release(&w);
	needles_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_match_is_found),
		cmocka_unit_test(the_longest_of_one_place_wins),
		cmocka_unit_test(the_first_of_two_that_are_equal_is_told),
		cmocka_unit_test(it_agrees_with_a_naive_search),
		cmocka_unit_test(needles_longer_than_a_shift_are_found),
		cmocka_unit_test(a_text_of_one_letter_is_searched_to_its_end),
		cmocka_unit_test(what_cannot_be_searched_for_is_refused),
		cmocka_unit_test(no_needles_find_nothing),
		cmocka_unit_test(lengths_and_bytes_are_told),
		cmocka_unit_test(a_stream_is_watched_however_it_is_cut),
		cmocka_unit_test(a_watch_tells_the_first_and_goes_on),
		cmocka_unit_test(a_match_inside_what_is_kept_is_told_once),
	};

	return cmocka_run_group_tests_name("base/needle", tests, NULL, NULL);
}
