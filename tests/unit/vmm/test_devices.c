#include "lib/test.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "vmm/devices.h"

/* A machine with a root, an upper, so many more disks, and a share or not. */
static struct vmm_config machine(unsigned disks, bool share)
{
	static const char *const serials[] = {"root",  "upper", "disk0",
	                                      "disk1", "disk2", "disk3"};
	struct vmm_config c = {.ndisks = 2 + disks, .nshares = share};

	for (unsigned i = 0; i < c.ndisks; i++)
		memcpy(c.disks[i].serial, serials[i], strlen(serials[i]) + 1);
	return c;
}

static bool has(const struct devices *d, const char *name)
{
	for (size_t i = 0; i < d->n; i++)
		if (strcmp(d->slots[i].name, name) == 0)
			return true;
	return false;
}

static int plan(struct devices *d, const struct vmm_config *cfg,
                const struct engine_ops *ops, struct err *err)
{
	return devices_plan(d, cfg, ops, NULL, -1, err);
}

static void qemu_has_all_while_there_is_room(void **state)
{
	struct vmm_config cfg = machine(2, false);
	struct devices d;

	(void)state;
	assert_int_equal(plan(&d, &cfg, &engine_qemu, NULL), 0);
	assert_int_equal(d.n, 6);
	assert_true(has(&d, "rng") && has(&d, "disk0") && has(&d, "disk1"));
	assert_false(d.no_balloon);
}

static void the_entropy_source_goes_first_and_the_balloon_next(void **state)
{
	struct vmm_config cfg = machine(3, true);
	struct devices d;

	(void)state;
	assert_int_equal(plan(&d, &cfg, &engine_qemu, NULL), 0);
	assert_int_equal(d.n, 7);
	assert_false(has(&d, "rng"));
	assert_false(d.no_balloon);
	assert_true(has(&d, "fs") && has(&d, "disk2"));
	cfg = machine(4, true);
	assert_int_equal(plan(&d, &cfg, &engine_qemu, NULL), 0);
	assert_int_equal(d.n, 8);
	assert_true(d.no_balloon);
	assert_true(has(&d, "vsock") && has(&d, "disk3"));
}

static void more_than_the_slots_is_an_error_that_names_the_limit(void **state)
{
	struct engine_ops small = engine_qemu;
	struct vmm_config cfg = machine(4, true);
	struct err err = {0};
	struct devices d;

	(void)state;
	small.slots_max = 7;
	assert_int_equal(plan(&d, &cfg, &small, &err), -E2BIG);
	assert_non_null(strstr(err.msg, "takes 7"));
	assert_true(strlen(err.hint) > 0);
}

static void the_kvm_engine_has_room_for_all(void **state)
{
	struct vmm_config cfg = machine(4, true);
	struct devices d;

	(void)state;
	assert_int_equal(plan(&d, &cfg, &engine_kvm, NULL), 0);
	assert_int_equal(d.n, 11);
	assert_true(has(&d, "rng") && has(&d, "balloon") && has(&d, "console"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qemu_has_all_while_there_is_room),
		cmocka_unit_test(
			the_entropy_source_goes_first_and_the_balloon_next),
		cmocka_unit_test(
			more_than_the_slots_is_an_error_that_names_the_limit),
		cmocka_unit_test(the_kvm_engine_has_room_for_all),
	};

	return cmocka_run_group_tests_name("vmm/devices", tests, NULL, NULL);
}
