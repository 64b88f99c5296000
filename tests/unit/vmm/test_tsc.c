#include "lib/test.h"

#include "vmm/tsc.h"

static void a_rate_is_ticks_by_time(void **state)
{
	(void)state;
	assert_int_equal(tsc_rate(4900000, 2000000), 2450000);
	assert_int_equal(tsc_rate(3000000000ull, 1000000000), 3000000);
}

static void a_rate_that_no_processor_has_is_refused(void **state)
{
	(void)state;
	assert_int_equal(tsc_rate(0, 2000000), 0);
	assert_int_equal(tsc_rate(4900000, 0), 0);
	assert_int_equal(tsc_rate(UINT64_MAX, 2000000), 0);
	assert_int_equal(tsc_rate(200000000, 2000000), 0);
	assert_int_equal(tsc_rate(20000, 2000000), 0);
}

/* Where the host keeps time by something else both are 0. */
static void two_measurements_agree(void **state)
{
	uint32_t a = tsc_khz_since(tsc_now()), b = tsc_khz_since(tsc_now());

	(void)state;
	assert_in_range(a, b - b / 1000, b + b / 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rate_is_ticks_by_time),
		cmocka_unit_test(a_rate_that_no_processor_has_is_refused),
		cmocka_unit_test(two_measurements_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
