#include "lib/test.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "net/pins.h"

#define S NS_PER_S

static struct pins *p;
static const char *names[PIN_NAMES_MAX];

static int setup(void **state)
{
	(void)state;
	p = pins_new();
	return p ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	pins_free(p);
	return 0;
}

static size_t names_of(uint32_t v4, uint64_t now)
{
	struct addr a = addr_v4(v4);

	return pins_names(p, &a, now, names);
}

static void add(uint32_t v4, const char *name, uint32_t ttl, uint64_t now)
{
	struct addr a = addr_v4(v4);

	assert_int_equal(pins_add(p, &a, name, ttl, now), 0);
}

static void an_unknown_address_has_no_name(void **state)
{
	(void)state;
	assert_int_equal(names_of(0x01020304, 0), 0);
}

static void the_newest_name_comes_first(void **state)
{
	(void)state;
	add(1, "a.example", 300, 0);
	add(1, "b.example", 300, 0);
	assert_int_equal(names_of(1, S), 2);
	assert_string_equal(names[0], "b.example");
	add(1, "a.example", 300, S);
	assert_int_equal(names_of(1, S), 2);
	assert_string_equal(names[0], "a.example");
}

static void a_pin_lives_120_seconds_with_ttl_0(void **state)
{
	(void)state;
	add(1, "a.example", 0, 10 * S);
	assert_int_equal(names_of(1, 130 * S - 1), 1);
	assert_int_equal(names_of(1, 130 * S), 0);
}

static void a_pin_lives_as_long_as_its_ttl(void **state)
{
	(void)state;
	add(1, "a.example", 3600, 0);
	assert_int_equal(names_of(1, 3600 * S - 1), 1);
	assert_int_equal(names_of(1, 3600 * S), 0);
}

static void a_shorter_answer_does_not_cut_a_pin(void **state)
{
	(void)state;
	add(1, "a.example", 3600, 0);
	add(1, "a.example", 0, S);
	assert_int_equal(names_of(1, 3000 * S), 1);
}

static void a_ttl_of_all_ones_does_not_wrap(void **state)
{
	(void)state;
	add(1, "a.example", UINT32_MAX, 0);
	assert_int_equal(names_of(1, 1000000 * S), 1);
}

static void a_flow_keeps_its_pin(void **state)
{
	struct addr a = addr_v4(1);

	(void)state;
	add(1, "a.example", 0, 0);
	pins_hold(p, &a);
	add(2, "b.example", 0, 9000 * S); /* would sweep what is over */
	assert_int_equal(names_of(1, 9000 * S), 1);
	pins_hold(p, &a);
	pins_drop(p, &a, 9000 * S);
	assert_int_equal(names_of(1, 9000 * S), 1);
	pins_drop(p, &a, 9000 * S);
	assert_int_equal(names_of(1, 9000 * S), 0);
}

static void a_flow_before_its_name_holds_it_too(void **state)
{
	struct addr a = addr_v4(1);

	(void)state;
	pins_hold(p, &a);
	assert_int_equal(names_of(1, 0), 0);
	add(1, "a.example", 0, 0);
	pins_hold(p, &a);
	pins_drop(p, &a, 0);
	assert_int_equal(names_of(1, 9000 * S), 1);
	pins_drop(p, &a, 9000 * S);
	assert_int_equal(names_of(1, 9000 * S), 0);
	pins_drop(p, &a, 9000 * S); /* one too many is nothing */
}

static void a_pin_that_is_over_is_not_brought_back_by_a_flow(void **state)
{
	struct addr a = addr_v4(1);

	(void)state;
	add(1, "a.example", 0, 0);
	assert_int_equal(names_of(1, 500 * S), 0);
	pins_hold(p, &a);
	assert_int_equal(names_of(1, 500 * S), 0);
	add(1, "a.example", 0, 500 * S); /* but by a new answer */
	assert_int_equal(names_of(1, 9000 * S), 1);
	pins_drop(p, &a, 9000 * S);
	assert_int_equal(names_of(1, 9000 * S), 0);
}

static void an_address_keeps_its_newest_16_names(void **state)
{
	char name[32];

	(void)state;
	for (int i = 0; i < 20; i++) {
		(void)snprintf(name, sizeof(name), "n%d.example", i);
		add(1, name, 300, 0);
	}
	assert_int_equal(names_of(1, 0), PIN_NAMES_MAX);
	assert_string_equal(names[0], "n19.example");
	assert_string_equal(names[15], "n4.example");
}

static void the_pin_that_ends_next_makes_room(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < PINS_MAX; i++)
		add(i + 10, "many.example", 1000 + (i * 7919) % PINS_MAX, 0);
	add(1, "new.example", 5000, 0);
	add(2, "new.example", 5000, 0);
	assert_int_equal(names_of(1, 0), 1);
	assert_int_equal(names_of(2, 0), 1);
	for (uint32_t i = 0; i < PINS_MAX; i++)
		assert_int_equal(names_of(i + 10, 0),
		                 (i * 7919) % PINS_MAX < 2 ? 0 : 1);
}

static void a_held_pin_is_the_last_to_make_room(void **state)
{
	struct addr a = addr_v4(1);

	(void)state;
	add(1, "held.example", 0, 0);
	pins_hold(p, &a);
	for (uint32_t i = 0; i < 3 * PINS_MAX; i++)
		add(i + 10, "many.example", 86400, 0);
	assert_int_equal(names_of(1, 0), 1);
	pins_drop(p, &a, 0);
	add(2, "more.example", 86400, 0);
	assert_int_equal(names_of(1, 0), 0);
}

static void room_is_made_when_all_are_held(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < PINS_MAX + 10; i++) {
		struct addr a = addr_v4(i + 10);

		pins_hold(p, &a);
		add(i + 10, "many.example", 300, 0);
	}
	assert_int_equal(names_of(PINS_MAX + 19, 0), 1);
	for (uint32_t i = 0; i < PINS_MAX + 10; i++) {
		struct addr a = addr_v4(i + 10);

		pins_drop(p, &a, 0);
	}
}

/* The first pin to go is one of the address that gets a new name. */
static void an_address_makes_room_for_itself(void **state)
{
	(void)state;
	add(1, "old.example", 0, 0);
	for (uint32_t i = 1; i < PINS_MAX; i++)
		add(i + 10, "many.example", 3600, 0);
	add(1, "new.example", 300, 0);
	assert_int_equal(names_of(1, 0), 1);
	assert_string_equal(names[0], "new.example");
}

static void addresses_of_a_name_are_found(void **state)
{
	struct addr a[4];

	(void)state;
	add(1, "a.example", 300, 0);
	add(2, "a.example", 100, 0);
	add(3, "b.example", 300, 0);
	assert_int_equal(pins_addrs(p, "a.example", 0, a, 4), 2);
	assert_int_equal(pins_addrs(p, "a.example", 0, a, 1), 1);
	assert_int_equal(pins_addrs(p, "a.example", 200 * S, a, 4), 1);
	assert_int_equal(addr_to_v4(&a[0]), 1);
	assert_int_equal(pins_addrs(p, "c.example", 0, a, 4), 0);
}

/* Against a plain list: random adds, holds, drops and passing time. */
static void it_agrees_with_a_plain_list(void **state)
{
	enum { ADDRS = 8, NAMES = 4 };
	uint64_t until[ADDRS][NAMES] = {0}, now = S;
	int users[ADDRS] = {0};
	char name[] = "0.example";

	(void)state;
	srandom(1);
	for (int step = 0; step < 20000; step++) {
		uint32_t i = (uint32_t)random() % ADDRS;
		int k = (int)(random() % NAMES);
		uint32_t ttl = (uint32_t)random() % 300;
		struct addr a = addr_v4(i);
		size_t want = 0;

		now += (uint64_t)(random() % 20) * S;
		name[0] = (char)('0' + k);
		switch (random() % 3) {
		case 0:
			add(i, name, ttl, now);
			until[i][k] = MAX(until[i][k],
			                  now + MAX(ttl, PIN_LIFE_MIN) * S);
			break;
		case 1:
			if (users[i] < 3) {
				users[i]++;
				pins_hold(p, &a);
			}
			break;
		default:
			if (users[i]) {
				users[i]--;
				pins_drop(p, &a, now);
			}
		}
		/* What ends while nobody holds it is gone for good. */
		for (int j = 0; j < NAMES; j++) {
			for (int x = 0; x < ADDRS; x++)
				if (!users[x] && until[x][j] <= now)
					until[x][j] = 0;
			want += until[i][j] != 0;
		}
		assert_int_equal(names_of(i, now), want);
	}
	for (uint32_t i = 0; i < ADDRS; i++) {
		struct addr a = addr_v4(i);

		while (users[i]--)
			pins_drop(p, &a, now);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_unknown_address_has_no_name),
		T(the_newest_name_comes_first),
		T(a_pin_lives_120_seconds_with_ttl_0),
		T(a_pin_lives_as_long_as_its_ttl),
		T(a_shorter_answer_does_not_cut_a_pin),
		T(a_ttl_of_all_ones_does_not_wrap),
		T(a_flow_keeps_its_pin),
		T(a_flow_before_its_name_holds_it_too),
		T(a_pin_that_is_over_is_not_brought_back_by_a_flow),
		T(an_address_keeps_its_newest_16_names),
		T(the_pin_that_ends_next_makes_room),
		T(a_held_pin_is_the_last_to_make_room),
		T(room_is_made_when_all_are_held),
		T(an_address_makes_room_for_itself),
		T(addresses_of_a_name_are_found),
		T(it_agrees_with_a_plain_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
