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
static struct defaults defaults;

static int setup(void **state)
{
	(void)state;
	(void)unsetenv("MSB_ENGINE");
	(void)unsetenv("MSB_ACCEL");
	(void)unsetenv("MSB_CONFIG_PATH");
	(void)snprintf(home, sizeof(home), "/tmp/msb-test-XXXXXX");
	return mkdtemp(home) && setenv("XDG_CONFIG_HOME", home, 1) == 0 ? 0
	                                                                : -1;
}

static int teardown(void **state)
{
	(void)unsetenv("MSB_ENGINE");
	(void)unsetenv("MSB_ACCEL");
	(void)unsetenv("MSB_CONFIG_PATH");
	(void)unsetenv("XDG_CONFIG_HOME");
	defaults_release(&defaults);
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

	defaults_release(&defaults);
	if (defaults_fill(&o, home, &defaults, &err) < 0)
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

	defaults_release(&defaults);
	assert_true(defaults_fill(&o, home, &defaults, &err) < 0);
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

static void toml(const char *text)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/microsandbox", home);
	assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
	(void)snprintf(path, sizeof(path), "%s/microsandbox/config.toml", home);
	assert_int_equal(
		file_write_atomic(AT_FDCWD, path, text, strlen(text), 0600), 0);
}

static void the_files_that_are_there_are_told(void **state)
{
	(void)state;
	(void)fill(OPTS(.cpus = 1));
	assert_false(defaults.file.has_json || defaults.file.has_toml);
	assert_non_null(strstr(defaults.file.json_path, "/config.json"));
	config("{}");
	toml("");
	(void)fill(OPTS(.cpus = 1));
	assert_true(defaults.file.has_json && defaults.file.has_toml);
	assert_non_null(
		strstr(defaults.file.toml_path, "/microsandbox/config.toml"));
}

static void every_key_of_config_toml_is_taken(void **state)
{
	struct msb_sandbox_opts o;

	(void)state;
	toml("# mine\n"
	     "[sandbox_defaults]\n"
	     "cpus = 2\n"
	     "memory = \"2G\"\n"
	     "engine = \"qemu\"\n"
	     "accel = \"tcg\"\n"
	     "shell = \"/bin/bash\"\n"
	     "workdir = \"/srv\"\n"
	     "user = \"1000\"\n"
	     "max_duration = \"2h\"\n"
	     "idle_timeout = 90\n"
	     "[sandbox_defaults.env]\n"
	     "A = \"1\"\n"
	     "B = \"2\"\n");
	o = fill(OPTS(.env = (const char *const[]){"B=3", "C=4", NULL}));
	assert_int_equal(o.cpus, 2);
	assert_int_equal(o.memory_bytes, 2 * GIB);
	assert_int_equal(o.engine, MSB_ENGINE_QEMU);
	assert_int_equal(o.accel, MSB_ACCEL_TCG);
	assert_string_equal(o.shell, "/bin/bash");
	assert_string_equal(o.workdir, "/srv");
	assert_string_equal(o.user, "1000");
	assert_int_equal(o.max_duration_s, 7200);
	assert_int_equal(o.idle_timeout_s, 90);
	assert_string_equal(o.env[0], "A=1");
	assert_string_equal(o.env[1], "B=3");
	assert_string_equal(o.env[2], "C=4");
	assert_null(o.env[3]);
	o = fill(OPTS(.shell = "/bin/ash", .workdir = "/", .user = "root",
	              .max_duration_s = 1, .idle_timeout_s = 2));
	assert_string_equal(o.shell, "/bin/ash");
	assert_string_equal(o.workdir, "/");
	assert_string_equal(o.user, "root");
	assert_int_equal(o.max_duration_s, 1);
	assert_int_equal(o.idle_timeout_s, 2);
}

/* built-in < config.json < config.toml < its [sandbox.NAME] < environment. */
static void each_source_goes_before_the_one_below(void **state)
{
	(void)state;
	assert_int_equal(fill(OPTS(.name = "box")).cpus, 1);
	config("{\"sandbox_defaults\": {\"cpus\": 2, \"engine\": \"qemu\", "
	       "\"shell\": \"/j\", \"env\": {\"A\": \"j\", \"B\": \"j\"}}}");
	assert_int_equal(fill(OPTS(.name = "box")).cpus, 2);
	toml("[sandbox.box]\ncpus = 4\nengine = \"kvm\"\n"
	     "[sandbox.box.env]\nA = \"s\"\n"
	     "[sandbox_defaults]\ncpus = 3\n"
	     "[sandbox_defaults.env]\nA = \"t\"\n");
	assert_int_equal(fill(OPTS(.name = "other")).cpus, 3);
	assert_int_equal(fill(OPTS(.name = NULL)).cpus, 3);
	assert_int_equal(fill(OPTS(.name = "other")).engine, MSB_ENGINE_QEMU);
	assert_string_equal(fill(OPTS(.name = "other")).env[0], "A=t");
	assert_int_equal(fill(OPTS(.name = "box")).cpus, 4);
	assert_int_equal(fill(OPTS(.name = "box")).engine, MSB_ENGINE_KVM);
	assert_string_equal(fill(OPTS(.name = "box")).env[0], "A=s");
	assert_string_equal(fill(OPTS(.name = "box")).env[1], "B=j");
	assert_string_equal(fill(OPTS(.name = "box")).shell, "/j");
	(void)setenv("MSB_ENGINE", "auto", 1);
	assert_int_equal(fill(OPTS(.name = "box")).engine, MSB_ENGINE_AUTO);
	assert_int_equal(fill(OPTS(.name = "box", .cpus = 5)).cpus, 5);
}

static void a_wrong_config_toml_is_named_with_its_line(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"cpus = 1",				 "config.toml:1: cpus stands before any table"},
		{"[other]",				  "config.toml:1: unknown table"               },
		{"[sandbox]",				"config.toml:1: unknown table"               },
		{"[sandbox.a.b]",                            "config.toml:1: unknown table"               },
		{"\n[sandbox_defaults]\ncpu = 1",
	         "config.toml:3: unknown key sandbox_defaults.cpu"                                        },
		{"[sandbox.box]\ncpus = 0",
	         "config.toml:2: sandbox.box.cpus is not a"                                               },
		{"[sandbox_defaults]\nmemory = 1",
	         "is not a size from 64 MiB to"							   },
		{"[sandbox_defaults]\nmemory = \"lots\"",
	         "is not a size from 64 MiB to"							   },
		{"[sandbox_defaults]\nmemory = \"2T\"",
	         "is not a size from 64 MiB to"							   },
		{"[sandbox_defaults]\nmemory = 99\n"
	         "memory_mib = 99",         "says again what another key"                },
		{"[sandbox_defaults]\nengine = true",
	         "is not one of: auto, kvm, qemu"							 },
		{"[sandbox_defaults]\nworkdir = \"a\"",
	         "workdir is not an absolute path"							},
		{"[sandbox_defaults]\nshell = \"\"",         "shell is not a text"                        },
		{"[sandbox_defaults]\nshell = [\"a\"]",      "shell is not a text"                        },
		{"[sandbox_defaults]\nidle_timeout = 0",     "is not a duration"                          },
		{"[sandbox_defaults]\nidle_timeout = \"x\"",
	         "is not a duration"								      },
		{"[sandbox_defaults.env]\nMSB_A = \"1\"",
	         "config.toml:2: 'MSB_A' cannot be"						       },
		{"[sandbox_defaults.env]\nA = 1",
	         "sandbox_defaults.env.A is not a text"                                                   },
		{"[sandbox_defaults]\ncpus = 1.5",
	         "config.toml:2: '1.5' is not a value"                                                    },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		toml(rows[i].text);
		refused(OPTS(.cpus = 1), rows[i].says);
	}
}

static void config_toml_is_in_the_home_folder_else(void **state)
{
	const char *old = getenv("HOME");
	static const char text[] = "[sandbox_defaults]\ncpus = 7\n";
	cleanup_free char *kept = old ? strdup(old) : NULL;
	char path[128];

	(void)state;
	(void)setenv("XDG_CONFIG_HOME", "relative", 1);
	(void)setenv("HOME", home, 1);
	(void)snprintf(path, sizeof(path), "%s/.config/microsandbox", home);
	assert_int_equal(dir_make(AT_FDCWD, path, 0700), 0);
	(void)snprintf(path, sizeof(path),
	               "%s/.config/microsandbox/config.toml", home);
	assert_int_equal(
		file_write_atomic(AT_FDCWD, path, text, strlen(text), 0600), 0);
	assert_int_equal(fill(OPTS(.name = NULL)).cpus, 7);
	(void)unsetenv("HOME");
	assert_int_equal(fill(OPTS(.name = NULL)).cpus, 1);
	if (kept)
		(void)setenv("HOME", kept, 1);
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
		T(the_files_that_are_there_are_told),
		T(every_key_of_config_toml_is_taken),
		T(each_source_goes_before_the_one_below),
		T(a_wrong_config_toml_is_named_with_its_line),
		T(config_toml_is_in_the_home_folder_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
