/* Token buckets: rate, burst, debt, and numbers at the edge. */
#include "lib/test.h"

#include "base/clock.h"
#include "net/shape.h"

static const struct net_rate none;

/* How much passes in @ns when the sender comes back as told, @late behind. */
static uint64_t passed(struct shape *s, uint64_t from, uint64_t ns,
                       uint64_t late, uint64_t frame)
{
	uint64_t now = from, at, sum = 0;

	while (now < from + ns) {
		if (shape_open(s, now, &at)) {
			shape_take(s, frame);
			sum += frame;
		} else {
			assert_true(at > now);
			now = at + late;
		}
	}
	return sum;
}

static void without_a_rate_all_passes(void **state)
{
	struct shape s;
	uint64_t at;

	(void)state;
	shape_init(&s, &none, &none, 5);
	for (int i = 0; i < 100000; i++) {
		assert_true(shape_open(&s, 5, &at));
		shape_take(&s, 65549);
	}
}

static void burst_passes_at_once_and_then_the_rate(void **state)
{
	const struct net_rate r = {1000000, 50000};
	struct shape s;
	uint64_t at = 0, sum = 0;

	(void)state;
	shape_init(&s, &r, &none, 7);
	while (shape_open(&s, 7, &at)) {
		shape_take(&s, 1000);
		sum += 1000;
	}
	assert_int_equal(sum, 50000);
	assert_true(at > 7);
	sum = passed(&s, 7, 10 * NS_PER_S, 0, 1000);
	assert_in_range(sum, 9990000, 10010000);
}

static void rate_without_a_burst_has_a_seconds_worth(void **state)
{
	const struct net_rate r = {100, 0};
	struct shape s;
	uint64_t at, n = 0;

	(void)state;
	shape_init(&s, &none, &r, 0);
	while (shape_open(&s, 0, &at)) {
		shape_take(&s, 1500);
		n++;
	}
	assert_int_equal(n, 100);
	assert_int_equal(at, NS_PER_S / 100);
}

static void one_large_frame_goes_into_debt_and_is_paid_for(void **state)
{
	const struct net_rate r = {1000, 1000};
	struct shape s;
	uint64_t at;

	(void)state;
	shape_init(&s, &r, &none, 0);
	assert_true(shape_open(&s, 0, &at));
	shape_take(&s, 61000);
	assert_false(shape_open(&s, 0, &at));
	assert_in_range(at, 60 * NS_PER_S, 60 * NS_PER_S + 10 * NS_PER_MS);
	assert_false(shape_open(&s, at - 1, &at));
	assert_true(shape_open(&s, at, &at));
}

static void many_calls_do_not_lose_what_a_low_rate_gives(void **state)
{
	const struct net_rate r = {1, 1};
	struct shape s;
	uint64_t at, n = 0;

	(void)state;
	shape_init(&s, &none, &r, 0);
	for (uint64_t now = 0; now < 10 * NS_PER_S; now += 100000)
		if (shape_open(&s, now, &at)) {
			shape_take(&s, 60);
			n++;
		}
	assert_int_equal(n, 10);
}

static void late_timer_does_not_lower_the_rate_of_a_small_burst(void **state)
{
	const struct net_rate r = {10000000, 16384};
	struct shape s;
	uint64_t sum;

	(void)state;
	shape_init(&s, &r, &none, 0);
	sum = passed(&s, 0, 5 * NS_PER_S, 12 * NS_PER_MS, 1500);
	assert_in_range(sum, 48500000, 50500000);
}

static void idle_bucket_holds_no_more_than_its_burst(void **state)
{
	const struct net_rate r = {10000000, 20000};
	struct shape s;
	uint64_t at, sum = 0;

	(void)state;
	shape_init(&s, &r, &none, 0);
	assert_true(shape_open(&s, 0, &at));
	shape_take(&s, 1000);
	assert_true(shape_open(&s, 3600 * NS_PER_S, &at));
	while (shape_open(&s, 3600 * NS_PER_S, &at)) {
		shape_take(&s, 1000);
		sum += 1000;
	}
	assert_int_equal(sum, 20000);
}

static void bytes_and_packets_both_have_to_have_some(void **state)
{
	const struct net_rate bytes = {1000000, 1000000}, packets = {10, 2};
	struct shape s;
	uint64_t at;

	(void)state;
	shape_init(&s, &bytes, &packets, 0);
	shape_take(&s, 100);
	shape_take(&s, 100);
	assert_false(shape_open(&s, 0, &at));
	assert_int_equal(at, NS_PER_S / 10);
	assert_true(shape_open(&s, at, &at));
}

static void rates_beyond_all_measure_are_no_overflow(void **state)
{
	const struct net_rate huge = {UINT64_MAX, UINT64_MAX};
	const struct net_rate tiny = {1, UINT64_MAX};
	struct shape s;
	uint64_t at;

	(void)state;
	shape_init(&s, &huge, &tiny, 0);
	for (uint64_t now = 0; now < 1000; now++) {
		assert_true(shape_open(&s, now << 52, &at));
		shape_take(&s, 65549);
	}
	assert_true(shape_open(&s, UINT64_MAX, &at));
}

static void clock_that_stands_still_gives_nothing(void **state)
{
	const struct net_rate r = {1000, 1};
	struct shape s;
	uint64_t at;

	(void)state;
	shape_init(&s, &r, &none, 1000);
	assert_true(shape_open(&s, 1000, &at));
	shape_take(&s, 1);
	for (int i = 0; i < 1000; i++)
		assert_false(shape_open(&s, 1000, &at));
	assert_false(shape_open(&s, 999, &at));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_rate_all_passes),
		cmocka_unit_test(burst_passes_at_once_and_then_the_rate),
		cmocka_unit_test(rate_without_a_burst_has_a_seconds_worth),
		cmocka_unit_test(
			one_large_frame_goes_into_debt_and_is_paid_for),
		cmocka_unit_test(many_calls_do_not_lose_what_a_low_rate_gives),
		cmocka_unit_test(
			late_timer_does_not_lower_the_rate_of_a_small_burst),
		cmocka_unit_test(idle_bucket_holds_no_more_than_its_burst),
		cmocka_unit_test(bytes_and_packets_both_have_to_have_some),
		cmocka_unit_test(rates_beyond_all_measure_are_no_overflow),
		cmocka_unit_test(clock_that_stands_still_gives_nothing),
	};

	return cmocka_run_group_tests_name("net/shape", tests, NULL, NULL);
}
