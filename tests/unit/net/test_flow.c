#include "net/flow.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "lib/test.h"

static struct tuple tuple_of(unsigned i)
{
	struct tuple t = {.gport = (uint16_t)i, .pport = (uint16_t)(i >> 16)};

	t.guest.b[15] = 2;
	t.peer.b[15] = (uint8_t)(i % 7);
	return t;
}

/* Vectors of the SipHash paper's reference: key 00..0f, data 00, 01, ... */
static void siphash_is_the_one_of_the_paper(void **state)
{
	static const struct {
		size_t len;
		uint64_t hash;
	} known[] = {
		{0,  0x726fdb47dd0e0e31ULL},
                {1,  0x74f839c593dc67fdULL},
		{7,  0xab0200f58b01d137ULL},
                {8,  0x93f5f5799a932462ULL},
		{15, 0xa129ca6149be45e5ULL},
	};
	const uint64_t key[2] = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};
	uint8_t data[64];

	(void)state;
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		assert_true(siphash(key, data, known[i].len) == known[i].hash);
}

static void finds_each_of_many_and_no_other(void **state)
{
	static struct flow f[5000];
	struct flow_table t;
	struct tuple k;

	(void)state;
	assert_int_equal(flow_table_init(&t, ARRAY_SIZE(f)), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(f); i++) {
		memset(&f[i], 0, sizeof(f[i]));
		k = tuple_of(i);
		assert_null(flow_find(&t, &k));
		assert_int_equal(flow_add(&t, &f[i], &k, i), 0);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(f); i += 2)
		flow_del(&t, &f[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(f); i++) {
		k = tuple_of(i);
		assert_ptr_equal(flow_find(&t, &k), i % 2 ? &f[i] : NULL);
	}
	assert_int_equal(t.n, ARRAY_SIZE(f) / 2);
	flow_table_release(&t);
}

static void a_full_table_refuses(void **state)
{
	struct flow f[3] = {0};
	struct flow_table t;
	struct tuple k;

	(void)state;
	assert_int_equal(flow_table_init(&t, 2), 0);
	for (unsigned i = 0; i < 3; i++) {
		k = tuple_of(i);
		assert_int_equal(flow_add(&t, &f[i], &k, 0),
		                 i < 2 ? 0 : -ENFILE);
	}
	flow_del(&t, &f[0]);
	assert_int_equal(flow_add(&t, &f[2], &k, 0), 0);
	flow_table_release(&t);
}

static void the_one_idle_longest_is_the_oldest(void **state)
{
	struct flow f[4] = {0};
	struct flow_table t;

	(void)state;
	assert_int_equal(flow_table_init(&t, 4), 0);
	for (unsigned i = 0; i < 4; i++) {
		struct tuple k = tuple_of(i);

		assert_int_equal(flow_add(&t, &f[i], &k, i), 0);
	}
	flow_touch(&t, &f[0], 10);
	flow_touch(&t, &f[2], 11);
	flow_touch(&t, &f[2], 12);
	assert_ptr_equal(t.oldest, &f[1]);
	flow_del(&t, &f[1]);
	assert_ptr_equal(t.oldest, &f[3]);
	assert_ptr_equal(t.oldest->newer, &f[0]);
	assert_ptr_equal(t.newest, &f[2]);
	assert_true(f[2].used_ns == 12);
	flow_del(&t, &f[2]);
	flow_del(&t, &f[3]);
	flow_del(&t, &f[0]);
	assert_null(t.oldest);
	assert_null(t.newest);
	flow_table_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_is_the_one_of_the_paper),
		cmocka_unit_test(finds_each_of_many_and_no_other),
		cmocka_unit_test(a_full_table_refuses),
		cmocka_unit_test(the_one_idle_longest_is_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
