/* Options, environment, config.json: who wins, and what a wrong one is told. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "lib/defaults.h"

static char home[64];

static int setup(void **state)
{
	(void)state;
	(void)unsetenv("MSB_ENGINE");
	(void)unsetenv("MSB_ACCEL");
	(void)unsetenv("MSB_CONFIG_PATH");
	(void)snprintf(home, sizeof(home), "/tmp/msb-test-XXXXXX");
	return mkdtemp(home) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)unsetenv("MSB_ENGINE");
	(void)unsetenv("MSB_ACCEL");
	(void)unsetenv("MSB_CONFIG_PATH");
	(void)state;
	return dir_remove(AT_FDCWD, home);
}

static void config_len(const char *text, size_t len)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/config.json", home);
	assert_int_equal(file_write_atomic(AT_FDCWD, path, text, len, 0600), 0);
}

static void config(const char *text)
{
	config_len(text, strlen(text));
}

static struct msb_sandbox_opts fill(struct msb_sandbox_opts o)
{
	struct err err = {0};

	if (defaults_fill(&o, home, &err) < 0)
		fail_msg("%s", err.msg);
	return o;
}

#define OPTS(...)                                                              \
	((struct msb_sandbox_opts){.size = sizeof(struct msb_sandbox_opts),    \
	                           __VA_ARGS__})

static void nothing_said_is_auto(void **state)
{
	struct msb_sandbox_opts o = fill(OPTS(.cpus = 0));

	(void)state;
	assert_int_equal(o.engine, MSB_ENGINE_AUTO);
	assert_int_equal(o.accel, MSB_ACCEL_AUTO);
	assert_int_equal(o.cpus, 1);
	assert_int_equal(o.memory_bytes, MSB_MEMORY_DEFAULT);
}

static void the_file_goes_before_the_program(void **state)
{
	struct msb_sandbox_opts o;

	(void)state;
	config("{\"sandbox_defaults\": {\"cpus\": 3, \"memory_mib\": 128, "
	       "\"engine\": \"qemu\", \"accel\": \"tcg\"}}");
	o = fill(OPTS(.cpus = 0));
	assert_int_equal(o.engine, MSB_ENGINE_QEMU);
	assert_int_equal(o.accel, MSB_ACCEL_TCG);
	assert_int_equal(o.cpus, 3);
	assert_int_equal(o.memory_bytes, 128 * MIB);
}

static void variables_go_before_the_file_and_options_before_both(void **state)
{
	struct msb_sandbox_opts o;

	(void)state;
	config("{\"sandbox_defaults\": {\"cpus\": 3, \"memory_mib\": 128, "
	       "\"engine\": \"qemu\", \"accel\": \"kvm\"}}");
	(void)setenv("MSB_ENGINE", "kvm", 1);
	(void)setenv("MSB_ACCEL", "auto", 1);
	o = fill(OPTS(.cpus = 2));
	assert_int_equal(o.engine, MSB_ENGINE_KVM);
	assert_int_equal(o.accel, MSB_ACCEL_AUTO);
	assert_int_equal(o.cpus, 2);
	o = fill(OPTS(.engine = MSB_ENGINE_AUTO, .accel = MSB_ACCEL_TCG,
	              .memory_bytes = GIB));
	assert_int_equal(o.engine, MSB_ENGINE_AUTO);
	assert_int_equal(o.accel, MSB_ACCEL_TCG);
	assert_int_equal(o.memory_bytes, GIB);
	(void)setenv("MSB_ENGINE", "", 1); /* empty: not set */
	assert_int_equal(fill(OPTS(.cpus = 1)).engine, MSB_ENGINE_QEMU);
}

static void an_empty_file_object_says_nothing(void **state)
{
	(void)state;
	config("{}");
	assert_int_equal(fill(OPTS(.cpus = 0)).engine, MSB_ENGINE_AUTO);
	config("{\"sandbox_defaults\": {}}");
	assert_int_equal(fill(OPTS(.cpus = 0)).cpus, 1);
}

static void refused(struct msb_sandbox_opts o, const char *what)
{
	struct err err = {0};

	assert_true(defaults_fill(&o, home, &err) < 0);
	if (!strstr(err.msg, what))
		fail_msg("\"%s\" is not in: %s", what, err.msg);
	assert_true(strlen(err.hint) > 0 || !strstr(err.msg, "config.json"));
}

static void a_wrong_file_is_named_with_its_key(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"",						     "config.json"               },
		{"[]",						   "config.json: not an object"},
		{"{\"engine\": \"kvm\"}",                                "unknown key engine"        },
		{"{\"sandbox_defaults\": 1}",
	         "sandbox_defaults is not an object"                                                 },
		{"{\"sandbox_defaults\": {\"cpu\": 1}}",
	         "config.json: unknown key sandbox_defaults.cpu"                                     },
		{"{\"sandbox_defaults\": {\"cpus\": 0}}",
	         "sandbox_defaults.cpus is not a number from 1 to 64"                                },
		{"{\"sandbox_defaults\": {\"cpus\": 65}}",               "cpus is not"               },
		{"{\"sandbox_defaults\": {\"cpus\": -1}}",               "cpus is not"               },
		{"{\"sandbox_defaults\": {\"cpus\": \"1\"}}",            "cpus is not"               },
		{"{\"sandbox_defaults\": {\"cpus\": 1.5}}",              "cpus is not"               },
		{"{\"sandbox_defaults\": {\"memory_mib\": 63}}",
	         "sandbox_defaults.memory_mib is not a number from 64 to "                           },
		{"{\"sandbox_defaults\": {\"memory_mib\": "
	         "9223372036854775807}}",               "memory_mib is not"         },
		{"{\"sandbox_defaults\": {\"memory_mib\": "
	         "9223372036854775808}}",               "config.json"               },
		{"{\"sandbox_defaults\": {\"engine\": \"warp\"}}",
	         "sandbox_defaults.engine is not one of: auto, kvm, qemu"                            },
		{"{\"sandbox_defaults\": {\"engine\": \"\"}}",           "engine is not"             },
		{"{\"sandbox_defaults\": {\"engine\": null}}",           "engine is not"             },
		{"{\"sandbox_defaults\": {\"accel\": 1}}",
	         "sandbox_defaults.accel is not one of: tcg, kvm, auto"                              },
		{"{\"sandbox_defaults\": {}, \"sandbox_defaults\": {}}",
	         "config.json"								       },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		config(rows[i].text);
		refused(OPTS(.cpus = 1), rows[i].says);
	}
}

static void a_huge_file_and_what_is_no_file_are_refused(void **state)
{
	static char big[(64 << 10) + 1];
	char path[96];

	(void)state;
	memset(big, ' ', sizeof(big));
	memcpy(big, "{}", 2);
	config_len(big, sizeof(big));
	refused(OPTS(.cpus = 1), "larger than 64 KiB");
	config_len(big, sizeof(big) - 1);
	(void)fill(OPTS(.cpus = 1));
	(void)snprintf(path, sizeof(path), "%s/config.json", home);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0); /* must not block */
	refused(OPTS(.cpus = 1), "not a file");
	(void)setenv("MSB_CONFIG_PATH", "/dev/zero", 1);
	refused(OPTS(.cpus = 1), "/dev/zero: not a file");
}

static void a_deeply_nested_file_is_refused(void **state)
{
	static char deep[60000];

	(void)state;
	memset(deep, '[', sizeof(deep));
	config_len(deep, sizeof(deep));
	refused(OPTS(.cpus = 1), "config.json");
}

static void a_named_file_must_be_there(void **state)
{
	char path[96];

	(void)state;
	config("{\"sandbox_defaults\": {\"cpus\": 3}}");
	(void)setenv("MSB_CONFIG_PATH", "/nonexistent/conf", 1);
	refused(OPTS(.cpus = 0), "/nonexistent/conf: ");
	(void)snprintf(path, sizeof(path), "%s/config.json", home);
	(void)setenv("MSB_CONFIG_PATH", path, 1);
	assert_int_equal(fill(OPTS(.cpus = 0)).cpus, 3);
	(void)setenv("MSB_CONFIG_PATH", "", 1);
	assert_int_equal(fill(OPTS(.cpus = 0)).cpus, 3);
}

static void a_wrong_variable_or_number_is_named(void **state)
{
	(void)state;
	(void)setenv("MSB_ENGINE", "xen", 1);
	refused(OPTS(.cpus = 0), "MSB_ENGINE=xen is not one of: auto, kvm, ");
	(void)fill(OPTS(.engine = MSB_ENGINE_QEMU)); /* it is not asked */
	(void)unsetenv("MSB_ENGINE");
	refused(OPTS(.engine = 4), "no such engine: 4");
	refused(OPTS(.engine = -1), "no such engine: -1");
	refused(OPTS(.accel = 4), "no such accel: 4");
}

static void the_kvm_engine_cannot_emulate(void **state)
{
	(void)state;
	refused(OPTS(.engine = MSB_ENGINE_KVM, .accel = MSB_ACCEL_TCG),
	        "engine kvm contradicts accelerator tcg");
	(void)setenv("MSB_ACCEL", "tcg", 1);
	config("{\"sandbox_defaults\": {\"engine\": \"kvm\"}}");
	refused(OPTS(.cpus = 0), "config.json) contradicts accelerator tcg "
	                         "(from MSB_ACCEL)");
	(void)fill(OPTS(.engine = MSB_ENGINE_AUTO));
	(void)fill(OPTS(.accel = MSB_ACCEL_AUTO));
	(void)fill(OPTS(.accel = MSB_ACCEL_KVM));
}

static void the_file_can_be_checked_alone(void **state)
{
	struct err err = {0};
	char *path = NULL;

	(void)state;
	assert_int_equal(defaults_check_file(home, &path, &err), 0);
	assert_non_null(strstr(path, "/config.json"));
	free(path);
	config("{}");
	assert_int_equal(defaults_check_file(home, &path, &err), 1);
	free(path);
	config("{");
	assert_true(defaults_check_file(home, &path, &err) < 0);
	assert_non_null(strstr(err.msg, path));
	free(path);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_said_is_auto),
		T(the_file_goes_before_the_program),
		T(variables_go_before_the_file_and_options_before_both),
		T(an_empty_file_object_says_nothing),
		T(a_wrong_file_is_named_with_its_key),
		T(a_huge_file_and_what_is_no_file_are_refused),
		T(a_deeply_nested_file_is_refused),
		T(a_named_file_must_be_there),
		T(a_wrong_variable_or_number_is_named),
		T(the_kvm_engine_cannot_emulate),
		T(the_file_can_be_checked_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
