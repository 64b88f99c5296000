#include "lib/test.h"

#include "vmm/ping.h"

static struct client *client(uintptr_t n)
{
	return (struct client *)n; /* only compared */
}

static void each_answer_finds_who_asked(void **state)
{
	struct pings p = {0};
	uint64_t one = pings_add(&p, client(16), 7);
	uint64_t two = pings_add(&p, client(32), 7);
	struct client *from = NULL;
	uint64_t cookie = 0;

	(void)state;
	assert_true(one && two && one != two);
	assert_true(pings_take(&p, two, &from, &cookie));
	assert_ptr_equal(from, client(32));
	assert_int_equal(cookie, 7);
	assert_true(pings_take(&p, one, &from, &cookie));
	assert_ptr_equal(from, client(16));
	assert_false(pings_take(&p, one, &from, &cookie)); /* once */
}

static void an_answer_to_nobody_is_known_as_such(void **state)
{
	struct pings p = {0};
	uint64_t n = pings_add(&p, client(16), 1);
	struct client *from = NULL;
	uint64_t cookie = 0;

	(void)state;
	assert_false(pings_take(&p, 0, &from, &cookie));
	assert_false(pings_take(&p, n + 1, &from, &cookie));
	pings_forget(&p, client(16));
	assert_false(pings_take(&p, n, &from, &cookie));
}

static void so_many_wait_and_no_more(void **state)
{
	struct pings p = {0};
	uint64_t n[PINGS_MAX];
	struct client *from = NULL;
	uint64_t cookie = 0;

	(void)state;
	for (unsigned i = 0; i < PINGS_MAX; i++) {
		n[i] = pings_add(&p, client(16), i);
		assert_true(n[i] > 0);
	}
	assert_int_equal(pings_add(&p, client(16), 99), 0);
	/* Who leaves does not make room: the agent still owes an answer. */
	pings_forget(&p, client(16));
	assert_int_equal(pings_add(&p, client(32), 99), 0);
	assert_false(pings_take(&p, n[3], &from, &cookie));
	assert_true(pings_add(&p, client(32), 99) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_answer_finds_who_asked),
		cmocka_unit_test(an_answer_to_nobody_is_known_as_such),
		cmocka_unit_test(so_many_wait_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
