/* Errors, options structs, search paths, QEMU's version. */
#include "lib/test.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "lib/doctor.h"
#include "lib/error.h"
#include "lib/options.h"
#include "lib/runtime.h"

static void errno_becomes_a_code(void **state)
{
	static const struct {
		int r;
		enum msb_code code;
	} rows[] = {
		{0,                MSB_OK             },
		{-ENOENT,          MSB_ERR_NOT_FOUND  },
		{-EACCES,          MSB_ERR_PERMISSION },
		{-ENOSPC,          MSB_ERR_NO_SPACE   },
		{-ENOMEM,          MSB_ERR_NO_MEMORY  },
		{-EBADMSG,         MSB_ERR_DIGEST     },
		{-ECONNREFUSED,    MSB_ERR_NETWORK    },
		{-ECANCELED,       MSB_ERR_CANCELLED  },
		{-LIB_EBOOT,       MSB_ERR_BOOT       },
		{-LIB_EGONE,       MSB_ERR_GONE       },
		{-LIB_EINSTALL,    MSB_ERR_INSTALL    },
		{-EIO,             MSB_ERR_IO         },
 /* what the store says of a home */
		{-EUCLEAN,         MSB_ERR_IO         },
		{-ESTALE,          MSB_ERR_IO         },
		{-EPROTONOSUPPORT, MSB_ERR_UNSUPPORTED},
		{-ENAMETOOLONG,    MSB_ERR_INVALID    },
		{-ELOOP,           MSB_ERR_INVALID    },
		{-ENOTUNIQ,        MSB_ERR_INVALID    },
		{-EROFS,           MSB_ERR_PERMISSION },
		{-EBUSY,           MSB_ERR_BUSY       },
		{-9999,            MSB_ERR_IO         },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(error_code(rows[i].r), rows[i].code);
}

static void an_error_carries_message_and_hint(void **state)
{
	struct msb_error error;
	struct err err = {0};

	(void)state;
	err_set(&err, -ENOENT, "no image x");
	err_hint(&err, "pull it");
	assert_int_equal(error_return(&error, -ENOENT, &err),
	                 -MSB_ERR_NOT_FOUND);
	assert_int_equal(error.code, MSB_ERR_NOT_FOUND);
	assert_int_equal(error.sys_errno, ENOENT);
	assert_string_equal(error.message, "no image x");
	assert_string_equal(error.hint, "pull it");
	assert_int_equal(error_return(NULL, -ENOENT, NULL), -MSB_ERR_NOT_FOUND);
	assert_int_equal(error_return(&error, -ENOMEM, NULL),
	                 -MSB_ERR_NO_MEMORY);
	assert_true(error.message[0] != '\0');
	assert_string_equal(error.hint, "");
	/* who ran out of room seldom knows what to do about it */
	(void)error_return(&error, -ENOSPC, NULL);
	assert_non_null(strstr(error.hint, "MSB_HOME"));
}

static void every_code_has_a_name(void **state)
{
	(void)state;
	for (int32_t c = MSB_OK; c <= MSB_ERR_EXEC; c++)
		assert_string_not_equal(msb_code_name(c), "unknown");
	assert_string_equal(msb_code_name(-1), "unknown");
	assert_string_equal(msb_code_name(MSB_ERR_EXEC + 1), "unknown");
}

struct old_opts {
	size_t size;
	int a;
};
struct new_opts {
	size_t size;
	int a, b;
};

static void older_and_newer_callers_are_understood(void **state)
{
	struct old_opts old = {sizeof(old), 7};
	struct new_opts ours = {sizeof(ours), 1, 2};
	struct new_opts newer[2] = {
		{sizeof(newer), 8, 9}
        };
	struct new_opts zero = {0};

	(void)state;
	assert_true(options_take(&ours, offsetof(struct new_opts, b), &old));
	assert_int_equal(ours.a, 7);
	assert_int_equal(ours.b, 2);
	assert_true(options_take(&ours, sizeof(ours), newer));
	assert_int_equal(ours.b, 9);
	assert_false(options_take(&ours, sizeof(ours), &zero));
	assert_true(options_take(&ours, sizeof(ours), NULL));
}

static void only_what_the_caller_has_room_for_is_given(void **state)
{
	struct new_opts result = {sizeof(struct new_opts), 5, 6};
	struct new_opts small = {offsetof(struct new_opts, b), 0, 99};

	(void)state;
	options_give(&small, &result, sizeof(result));
	assert_int_equal(small.a, 5);
	assert_int_equal(small.b, 99);
	assert_int_equal(small.size, offsetof(struct new_opts, b));
}

static void programs_are_found_in_absolute_folders_only(void **state)
{
	char *path = runtime_search("sh", "/nonexistent:/bin:/usr/bin");

	(void)state;
	assert_non_null(path);
	assert_string_equal(path, "/bin/sh");
	free(path);
	assert_null(runtime_search("sh", ""));
	assert_null(runtime_search("sh", ".:bin::"));
	assert_null(runtime_search("no-such-program", NULL));
	path = runtime_search("sh", NULL);
	assert_non_null(path);
	free(path);
}

static void a_wrong_msb_qemu_is_named(void **state)
{
	struct err err = {0};
	char *path = NULL;

	(void)state;
	(void)setenv("MSB_QEMU", "/nonexistent", 1);
	assert_int_equal(runtime_find_qemu(&path, &err), -LIB_EINSTALL);
	assert_non_null(strstr(err.msg, "/nonexistent"));
	assert_true(err.hint[0] != '\0');
	(void)setenv("MSB_QEMU", "/bin/sh", 1);
	assert_int_equal(runtime_find_qemu(&path, &err), 0);
	assert_string_equal(path, "/bin/sh");
	free(path);
	(void)unsetenv("MSB_QEMU");
}

static void a_wrong_msb_runtime_is_named(void **state)
{
	struct runtime rt = RUNTIME_INIT;
	struct err err = {0};

	(void)state;
	(void)setenv("MSB_RUNTIME", "/nonexistent", 1);
	assert_int_equal(runtime_find(&rt, &err), -LIB_EINSTALL);
	assert_non_null(strstr(err.msg, "/nonexistent"));
	(void)unsetenv("MSB_RUNTIME");
}

static void qemu_versions_are_read(void **state)
{
	unsigned major = 0, minor = 0;

	(void)state;
	assert_true(doctor_qemu_version(
		"QEMU emulator version 7.2.22 (Debian 1:7.2)\nCopy", &major,
		&minor));
	assert_int_equal(major, 7);
	assert_int_equal(minor, 2);
	assert_true(doctor_qemu_version("QEMU emulator version 10.0", &major,
	                                &minor));
	assert_int_equal(major, 10);
	assert_false(doctor_qemu_version("", &major, &minor));
	assert_false(
		doctor_qemu_version("QEMU emulator version", &major, &minor));
	assert_false(doctor_qemu_version("QEMU emulator version x.y", &major,
	                                 &minor));
	assert_false(doctor_qemu_version(
		"QEMU emulator version 99999999999999999999.1", &major,
		&minor));
	assert_false(doctor_qemu_version("bash 5.2", &major, &minor));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errno_becomes_a_code),
		cmocka_unit_test(an_error_carries_message_and_hint),
		cmocka_unit_test(every_code_has_a_name),
		cmocka_unit_test(older_and_newer_callers_are_understood),
		cmocka_unit_test(only_what_the_caller_has_room_for_is_given),
		cmocka_unit_test(programs_are_found_in_absolute_folders_only),
		cmocka_unit_test(a_wrong_msb_qemu_is_named),
		cmocka_unit_test(a_wrong_msb_runtime_is_named),
		cmocka_unit_test(qemu_versions_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
