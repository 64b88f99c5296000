#include "lib/test.h"

#include "lib/fake_guest.h"
#include "virtio/rng.h"

static struct fake_guest g;
static struct virtio_dev *dev;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(rng_new(&dev, NULL), 0);
	fake_init(&g, dev, F_VERSION_1, 8);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_release(&g);
	virtio_free(dev);
	return 0;
}

static uint32_t ask(const struct fake_buf *b, unsigned n)
{
	uint32_t id, len = UINT32_MAX;

	fake_chain(&g, 0, b, n);
	fake_kick(&g, 0);
	assert_true(fake_used(&g, 0, &id, &len));
	return len;
}

static unsigned zeros(uint64_t at, uint32_t len)
{
	const uint8_t *p = fake_at(&g, at);
	unsigned n = 0;

	for (uint32_t i = 0; i < len; i++)
		n += !p[i];
	return n;
}

static void buffers_are_filled_exactly(void **state)
{
	const uint64_t a = fake_alloc(&g, 2048);
	const struct fake_buf b[] = {
		{a,        600, true},
                {a + 1000, 500, true}
        };

	(void)state;
	assert_int_equal(ask(b, 2), 1100);
	assert_true(zeros(a, 600) < 30);
	assert_true(zeros(a + 1000, 500) < 30);
	assert_int_equal(zeros(a + 600, 400), 400);
	assert_int_equal(zeros(a + 1500, 500), 500);
	assert_int_equal(g.interrupts[0], 1);
}

static void a_gigantic_wish_is_served_in_part(void **state)
{
	const struct fake_buf b[] = {
		{FAKE_HIGH, 1u << 20, true}
        };

	(void)state;
	assert_int_equal(ask(b, 1), 65536);
	assert_int_equal(zeros(FAKE_HIGH + 65536, 4096), 4096);
	assert_true(zeros(FAKE_HIGH + 65536 - 1024, 1024) < 50);
}

static void readable_buffers_are_not_written(void **state)
{
	const uint64_t a = fake_alloc(&g, 64);
	const struct fake_buf b[] = {
		{a, 64, false}
        };

	(void)state;
	assert_int_equal(ask(b, 1), 0);
	assert_int_equal(zeros(a, 64), 64);
}

static void a_buffer_outside_ram_stops_the_device(void **state)
{
	const struct fake_buf b[] = {
		{FAKE_END - 1, 64, true}
        };
	uint32_t id, len;

	(void)state;
	fake_chain(&g, 0, b, 1);
	fake_kick(&g, 0);
	assert_int_equal(g.broken, 1);
	assert_false(fake_used(&g, 0, &id, &len));
}

/* Requests without end, none of them collected: nothing grows in the host. */
static void two_to_the_16_requests_cost_no_memory(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 65536; i++) {
		const struct fake_buf b[] = {
			{FAKE_HIGH, 1, true}
                };

		fake_chain(&g, 0, b, 1);
		fake_kick(&g, 0);
	}
	assert_int_equal(g.broken, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(buffers_are_filled_exactly),
		T(a_gigantic_wish_is_served_in_part),
		T(readable_buffers_are_not_written),
		T(a_buffer_outside_ram_stops_the_device),
		T(two_to_the_16_requests_cost_no_memory),
	};

	return cmocka_run_group_tests_name("virtio/rng", tests, NULL, NULL);
}
