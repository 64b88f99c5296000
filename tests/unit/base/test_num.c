#include "base/num.h"
#include "lib/test.h"

static void whole_numbers_parse_exactly(void **state)
{
	static const char *const bad[] = {
		"", " 1", "1 ", "+1", "-1", "0x", "1a", "18446744073709551616"};
	uint64_t v;

	(void)state;
	assert_true(num_parse_u64("0", UINT64_MAX, &v));
	assert_int_equal(v, 0);
	assert_true(num_parse_u64("18446744073709551615", UINT64_MAX, &v));
	assert_true(v == UINT64_MAX);
	assert_false(num_parse_u64("256", 255, &v));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(num_parse_u64(bad[i], UINT64_MAX, &v));
	assert_true(num_parse_octal("7755", 07777, &v));
	assert_int_equal(v, 07755);
	assert_false(num_parse_octal("8", 07777, &v));
}

static void sizes_have_binary_suffixes(void **state)
{
	static const struct {
		const char *text;
		uint64_t unit, want;
	} ok[] = {
		{"512",   MIB, 512 * MIB     },
		{"512",   1,   512           },
		{"1k",    1,   KIB           },
		{"1KB",   1,   KIB           },
		{"1KiB",  1,   KIB           },
		{"2G",    MIB, 2 * GIB       },
		{"1.5g",  MIB, GIB + GIB / 2 },
		{"0.25M", 1,   MIB / 4       },
		{"3T",    1,   3 * 1024 * GIB},
		{"7b",    MIB, 7             },
	};
	static const char *const bad[] = {
		"",    "G",   "1X",         "1.G", "-1G",
		"1 G", "1GG", "1.1234567G", "1e3", "99999999999999T"};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ok); i++) {
		assert_true(num_parse_size(ok[i].text, ok[i].unit, &v));
		assert_true(v == ok[i].want);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(num_parse_size(bad[i], MIB, &v));
}

static void durations_have_units(void **state)
{
	uint64_t v;

	(void)state;
	assert_true(num_parse_duration_ms("250ms", &v) && v == 250);
	assert_true(num_parse_duration_ms("30", &v) && v == 30000);
	assert_true(num_parse_duration_ms("5m", &v) && v == 300000);
	assert_true(num_parse_duration_ms("2h", &v) && v == 7200000);
	assert_true(num_parse_duration_ms("1d", &v) && v == 86400000);
	assert_false(num_parse_duration_ms("", &v));
	assert_false(num_parse_duration_ms("5w", &v));
	assert_false(num_parse_duration_ms("18446744073709551615d", &v));
}

static void sizes_are_shown_for_people(void **state)
{
	char out[32];

	(void)state;
	assert_string_equal(num_format_size(0, out, sizeof(out)), "0 B");
	assert_string_equal(num_format_size(1023, out, sizeof(out)), "1023 B");
	assert_string_equal(num_format_size(1536, out, sizeof(out)), "1.5 KiB");
	assert_string_equal(num_format_size(GIB, out, sizeof(out)), "1.0 GiB");
}

static void arithmetic_says_when_it_overflows(void **state)
{
	uint64_t v;

	(void)state;
	assert_false(num_add(UINT64_MAX, 1, &v));
	assert_false(num_mul(UINT64_MAX, 2, &v));
	assert_true(num_add(1, 2, &v) && v == 3);
	assert_true(num_align_up(4097, 4096) == 8192);
	assert_false(num_is_pow2(0));
	assert_true(num_is_pow2(64));
	assert_false(num_is_pow2(65));
}

static void wire_order_is_the_same_everywhere(void **state)
{
	uint8_t b[8];

	(void)state;
	put_le32(b, 0x01020304);
	assert_int_equal(b[0], 4);
	assert_int_equal(get_le32(b), 0x01020304);
	put_be16(b, 0x0102);
	assert_int_equal(b[0], 1);
	put_be64(b, 0x0102030405060708);
	assert_int_equal(b[7], 8);
	assert_true(get_be64(b) == 0x0102030405060708);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_numbers_parse_exactly),
		cmocka_unit_test(sizes_have_binary_suffixes),
		cmocka_unit_test(durations_have_units),
		cmocka_unit_test(sizes_are_shown_for_people),
		cmocka_unit_test(arithmetic_says_when_it_overflows),
		cmocka_unit_test(wire_order_is_the_same_everywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
