#include "net/wheel.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "lib/test.h"

#define START (1000 * NS_PER_S + 3)

struct alarm {
	struct wheel_timer t; /* first */
	unsigned rings;
	struct wheel *w;
	struct alarm *kill;
	uint64_t again_ns;
};

static void ring(struct wheel_timer *t)
{
	struct alarm *a = (struct alarm *)t;

	a->rings++;
	if (a->kill)
		wheel_del(a->w, &a->kill->t);
	if (a->again_ns)
		wheel_set(a->w, t, a->again_ns, ring);
}

static void rings_once_and_not_before_its_time(void **state)
{
	struct wheel w;
	struct alarm a = {0};

	(void)state;
	wheel_init(&w, NULL, START);
	for (uint64_t in = 0; in < 50 * NS_PER_MS; in += 1234567) {
		uint64_t base = START + in * 100, at = base + in;

		wheel_run(&w, base);
		a.rings = 0;
		wheel_set(&w, &a.t, at, ring);
		assert_true(wheel_is_set(&a.t));
		for (uint64_t now = base; now < at; now += NS_PER_MS) {
			wheel_run(&w, now);
			assert_int_equal(a.rings, 0);
		}
		wheel_run(&w, MAX(at, base + WHEEL_TICK_NS) + WHEEL_TICK_NS);
		assert_int_equal(a.rings, 1);
		assert_false(wheel_is_set(&a.t));
	}
	assert_int_equal(w.n, 0);
}

static void one_a_turn_away_is_passed_by(void **state)
{
	struct wheel w;
	struct alarm a = {0};
	uint64_t at = START + 3600 * NS_PER_S;

	(void)state;
	wheel_init(&w, NULL, START);
	wheel_set(&w, &a.t, at, ring);
	for (uint64_t now = START; now < at; now += NS_PER_S)
		wheel_run(&w, now);
	assert_int_equal(a.rings, 0);
	wheel_run(&w, at + WHEEL_TICK_NS);
	assert_int_equal(a.rings, 1);
}

static void after_a_long_sleep_all_ring(void **state)
{
	struct wheel w;
	static struct alarm a[3000];

	(void)state;
	wheel_init(&w, NULL, START);
	for (unsigned i = 0; i < ARRAY_SIZE(a); i++)
		wheel_set(&w, &a[i].t, START + i * 20 * NS_PER_MS, ring);
	assert_int_equal(w.n, ARRAY_SIZE(a));
	wheel_run(&w, START + 100 * NS_PER_S);
	for (unsigned i = 0; i < ARRAY_SIZE(a); i++)
		assert_int_equal(a[i].rings, 1);
	assert_int_equal(w.n, 0);
}

static void one_that_was_deleted_is_silent(void **state)
{
	struct wheel w;
	struct alarm a = {0}, b = {0}, c = {0};

	(void)state;
	wheel_init(&w, NULL, START);
	wheel_set(&w, &a.t, START, ring);
	wheel_set(&w, &b.t, START, ring);
	wheel_set(&w, &c.t, START, ring);
	wheel_del(&w, &b.t);
	wheel_del(&w, &b.t);
	wheel_run(&w, START + NS_PER_S);
	assert_int_equal(a.rings + c.rings, 2);
	assert_int_equal(b.rings, 0);
}

/* Two of one slot, each of which deletes the other: one rings. */
static void a_callback_may_delete_its_neighbour(void **state)
{
	struct wheel w;
	struct alarm a = {.w = &w}, b = {.w = &w, .kill = &a};

	(void)state;
	a.kill = &b;
	wheel_init(&w, NULL, START);
	wheel_set(&w, &a.t, START, ring);
	wheel_set(&w, &b.t, START, ring);
	wheel_run(&w, START + NS_PER_S);
	assert_int_equal(a.rings + b.rings, 1);
	assert_int_equal(w.n, 0);
}

/* Also for a time that is over: it waits for the next tick, no endless loop. */
static void a_callback_may_set_itself_again(void **state)
{
	struct wheel w;
	struct alarm a = {.w = &w, .again_ns = 1};

	(void)state;
	wheel_init(&w, NULL, START);
	wheel_set(&w, &a.t, START, ring);
	wheel_run(&w, START + 10 * WHEEL_TICK_NS);
	assert_int_equal(a.rings, 10);
	assert_true(wheel_is_set(&a.t));
	wheel_release(&w);
	assert_false(wheel_is_set(&a.t));
}

static void the_loop_drives_it(void **state)
{
	struct loop *l = loop_new();
	struct wheel w;
	struct alarm a = {0}, far = {0};
	uint64_t now = clock_now_ns(), at = now + 35 * NS_PER_MS;

	(void)state;
	wheel_init(&w, l, now);
	wheel_set(&w, &far.t, now + 3600 * NS_PER_S, ring);
	wheel_set(&w, &a.t, at, ring);
	while (!a.rings)
		assert_int_equal(loop_step(l, 1000), 0);
	assert_true(clock_now_ns() >= at);
	assert_int_equal(far.rings, 0);
	assert_true(w.timer.armed);
	/* It sleeps a turn of the wheel, as the slot that is next has none. */
	assert_true(w.timer.deadline_ns > clock_now_ns() + 5 * NS_PER_S);
	wheel_release(&w);
	assert_false(w.timer.armed);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rings_once_and_not_before_its_time),
		cmocka_unit_test(one_a_turn_away_is_passed_by),
		cmocka_unit_test(after_a_long_sleep_all_ring),
		cmocka_unit_test(one_that_was_deleted_is_silent),
		cmocka_unit_test(a_callback_may_delete_its_neighbour),
		cmocka_unit_test(a_callback_may_set_itself_again),
		cmocka_unit_test(the_loop_drives_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
