#include <string.h>

#include "base/clock.h"
#include "lib/test.h"
#include "vmm/lifetime.h"

struct fixture {
	struct loop *loop;
	struct lifetime t;
	unsigned open, ends;
	const char *why;
};

static unsigned sessions(void *arg)
{
	return ((struct fixture *)arg)->open;
}

static void expired(void *arg, const char *why)
{
	struct fixture *f = arg;

	f->ends++;
	f->why = why;
}

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.loop = loop_new();
	assert_non_null(f.loop);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	lifetime_stop(&f->t);
	loop_free(f->loop);
	return 0;
}

static void start(struct fixture *f, uint32_t max_s, uint32_t idle_s)
{
	lifetime_start(
		&f->t, f->loop,
		&(struct lifetime_opts){max_s, idle_s, sessions, expired, f});
}

static void run_ms(struct fixture *f, uint64_t ms)
{
	uint64_t end = clock_now_ns() + ms * NS_PER_MS;

	while (clock_now_ns() < end)
		assert_int_equal(loop_step(f->loop, 20), 0);
}

static void without_limits_it_lives(void **state)
{
	struct fixture *f = *state;

	start(f, 0, 0);
	run_ms(f, 1200);
	assert_int_equal(f->ends, 0);
}

static void nobody_for_so_long_ends_it_once(void **state)
{
	struct fixture *f = *state;

	start(f, 0, 1);
	run_ms(f, 500);
	assert_int_equal(f->ends, 0);
	run_ms(f, 1500);
	assert_int_equal(f->ends, 1);
	assert_string_equal(f->why, "idle_timeout");
}

static void a_session_or_a_touch_holds_it(void **state)
{
	struct fixture *f = *state;

	f->open = 1;
	start(f, 0, 1);
	run_ms(f, 1500);
	assert_int_equal(f->ends, 0);
	f->open = 0;
	run_ms(f, 600);
	lifetime_touch(&f->t);
	run_ms(f, 600);
	assert_int_equal(f->ends, 0);
	run_ms(f, 1200);
	assert_int_equal(f->ends, 1);
}

static void its_age_ends_it_whoever_is_there(void **state)
{
	struct fixture *f = *state;

	f->open = 1;
	start(f, 1, 100);
	run_ms(f, 500);
	lifetime_touch(&f->t);
	assert_int_equal(f->ends, 0);
	run_ms(f, 1000);
	assert_int_equal(f->ends, 1);
	assert_string_equal(f->why, "max_duration");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(without_limits_it_lives),
		T(nobody_for_so_long_ends_it_once),
		T(a_session_or_a_touch_holds_it),
		T(its_age_ends_it_whoever_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
