#include "net/ring.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "lib/test.h"

#define MAX_BYTES (8u << 20)

/* Put, take, compare; around the end of the memory many times. */
static void bytes_come_out_as_they_went_in(void **state)
{
	struct ring_pool p;
	struct ring r = {0};
	uint8_t in = 0, out = 0;

	(void)state;
	ring_pool_init(&p, MAX_BYTES);
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t data[700];
		struct iovec v[2] = {
			{data,       300},
                        {data + 300, 400}
                };
		uint32_t put, len;
		unsigned n;

		for (size_t k = 0; k < sizeof(data); k++)
			data[k] = (uint8_t)(in + k);
		assert_int_equal(ring_reserve(&p, &r, 700), 0);
		put = ring_put(&r, v, 2, i % 700);
		assert_int_equal(put, 700 - i % 700);
		/* What was skipped is no part of it. */
		n = ring_get(&r, r.used - put, put, v);
		for (unsigned k = 0, at = i % 700; k < n; k++)
			for (size_t b = 0; b < v[k].iov_len; b++, at++)
				assert_int_equal(((uint8_t *)v[k].iov_base)[b],
				                 (uint8_t)(in + at));
		in = (uint8_t)(in + put);
		len = i % 3 ? r.used : r.used / 2;
		out = (uint8_t)(out + len);
		ring_drop(&p, &r, len);
	}
	ring_clear(&p, &r);
	assert_int_equal(p.used, 0);
	ring_pool_release(&p);
}

static void it_grows_while_it_is_tight_and_begins_there_again(void **state)
{
	struct ring_pool p;
	struct ring r = {0};
	struct iovec v[2];

	(void)state;
	ring_pool_init(&p, 64u << 20);
	for (unsigned order = RING_ORDER_FIRST; order <= RING_ORDER_MAX;
	     order++) {
		assert_int_equal(ring_reserve(&p, &r, 1), 0);
		assert_int_equal(ring_size(&r), 1u << order);
		assert_int_equal(ring_space(&r, v) > 0, 1);
		ring_added(&r, ring_room(&r));
	}
	assert_int_equal(ring_reserve(&p, &r, 1), -ENOBUFS);
	ring_drop(&p, &r, r.used);
	assert_null(r.data);
	assert_int_equal(p.used, 0);
	assert_int_equal(ring_reserve(&p, &r, 1), 0);
	assert_int_equal(ring_size(&r), 1u << RING_ORDER_MAX);
	/* Without need of it, half, and half of that. */
	for (int i = 0; i < 20; i++) {
		ring_added(&r, 1);
		ring_drop(&p, &r, 1);
		assert_int_equal(ring_reserve(&p, &r, 1), 0);
	}
	assert_int_equal(ring_size(&r), 1u << RING_ORDER_FIRST);
	ring_clear(&p, &r);
	ring_pool_release(&p);
}

static void growing_keeps_what_wraps(void **state)
{
	struct ring_pool p;
	struct ring r = {0};
	uint8_t data[16384], *all;
	struct iovec v[2] = {
		{data, sizeof(data)}
        };

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i / 100);
	ring_pool_init(&p, MAX_BYTES);
	assert_int_equal(ring_reserve(&p, &r, 1), 0);
	assert_int_equal(ring_put(&r, v, 1, 0), 16384);
	ring_drop(&p, &r, 10000);
	assert_int_equal(ring_put(&r, v, 1, 0), 10000);
	assert_int_equal(ring_reserve(&p, &r, 1), 0);
	assert_int_equal(ring_size(&r), 32768);
	assert_int_equal(ring_get(&r, 0, r.used, v), 1);
	all = v[0].iov_base;
	assert_memory_equal(all, data + 10000, 6384);
	assert_memory_equal(all + 6384, data, 10000);
	ring_clear(&p, &r);
	ring_pool_release(&p);
}

static void many_share_and_the_late_get_theirs(void **state)
{
	static struct ring r[3000];
	struct ring_pool p;
	size_t live = 0;

	(void)state;
	memset(r, 0, sizeof(r));
	ring_pool_init(&p, MAX_BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(r); i++) {
		int e;

		while ((e = ring_reserve(&p, &r[i], 1)) == 0)
			ring_added(&r[i], ring_room(&r[i]));
		assert_int_equal(e, r[i].data ? -ENOBUFS : -ENOMEM);
		live += r[i].data != NULL;
		assert_true(p.used + p.spare <= MAX_BYTES);
		assert_true(p.large <= MAX_BYTES / 2);
	}
	/* Half of the memory is for the small ones. */
	assert_true(live > MAX_BYTES / 2 / RING_SMALL);
	for (size_t i = 0; i < ARRAY_SIZE(r); i++)
		ring_clear(&p, &r[i]);
	assert_int_equal(p.used, 0);
	assert_int_equal(p.large, 0);
	assert_int_equal(p.rings, 0);
	assert_true(p.spare <= RING_SPARE_MAX);
	ring_pool_release(&p);
}

static void an_empty_pool_says_so(void **state)
{
	struct ring_pool p;
	struct ring r = {0};

	(void)state;
	ring_pool_init(&p, 4096);
	assert_int_equal(ring_reserve(&p, &r, 100000), 0);
	assert_int_equal(ring_size(&r), 4096);
	{
		struct ring other = {0};

		assert_int_equal(ring_reserve(&p, &other, 1), -ENOMEM);
		assert_null(other.data);
	}
	ring_clear(&p, &r);
	ring_pool_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_come_out_as_they_went_in),
		cmocka_unit_test(
			it_grows_while_it_is_tight_and_begins_there_again),
		cmocka_unit_test(growing_keeps_what_wraps),
		cmocka_unit_test(many_share_and_the_late_get_theirs),
		cmocka_unit_test(an_empty_pool_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
