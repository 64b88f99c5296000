#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "vmm/config.h"

/* A descriptor of a file and one of no file, above the fixed ones. */
static int file_fd, pipe_fd;

static int setup(void **state)
{
	int p[2], fd = memfd_create("test", 0);

	(void)state;
	if (fd < 0 || pipe(p) < 0)
		return -1;
	file_fd = fcntl(fd, F_DUPFD, 50);
	pipe_fd = fcntl(p[0], F_DUPFD, 60);
	(void)fcntl(fd, F_DUPFD, 51);
	(void)dup2(open("/proc/self/exe", O_RDONLY), 52);
	(void)dup2(memfd_create("append", 0), 53);
	(void)fcntl(53, F_SETFL, O_APPEND);
	return file_fd == 50 && pipe_fd == 60 ? 0 : -1;
}

#define GOOD                                                                   \
	"{\"version\": 1, \"name\": \"msb-1\", \"engine\": \"auto\", "         \
	"\"accel\": \"tcg\", \"qemu\": \"/usr/bin/qemu\", \"cpus\": 2, "       \
	"\"memory_mib\": 512, \"kernel_fd\": 50, \"initramfs_fd\": 50, "       \
	"\"cmdline\": \"console=ttyS0\", \"hostname\": \"box\", "              \
	"\"boot_timeout_ms\": 1000, \"disks\": [{\"serial\": \"root\", "       \
	"\"read_only\": true, \"extents\": [{\"fd\": 50, \"offset\": 4096, "   \
	"\"len\": 8192}, {\"fd\": 50, \"offset\": 0, \"len\": 4096}]}, "       \
	"{\"serial\": \"upper\", \"read_only\": false, \"extents\": "          \
	"[{\"fd\": 50, \"offset\": 0, \"len\": 512}]}]}"

static int parse(struct vmm_config *c, const char *text, struct err *err)
{
	return config_parse(c, text, strlen(text), err);
}

static void a_good_config_is_taken_as_it_is(void **state)
{
	struct vmm_config cleanup_config c;
	struct err err = {0};

	(void)state;
	assert_int_equal(fcntl(50, F_SETFD, 0), 0);
	if (parse(&c, GOOD, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(c.name, "msb-1");
	assert_string_equal(c.hostname, "box");
	assert_string_equal(c.qemu, "/usr/bin/qemu");
	assert_string_equal(c.cmdline, "console=ttyS0");
	assert_string_equal(vmm_engine_names[c.engine], "auto");
	assert_int_equal(c.accel, ACCEL_TCG);
	assert_int_equal(c.cpus, 2);
	assert_int_equal(c.memory_mib, 512);
	assert_int_equal(c.boot_timeout_ms, 1000);
	assert_int_equal(c.kernel_fd, 50);
	assert_int_equal(c.initramfs_fd, 50);
	assert_int_equal(c.console_fd, -1);
	assert_int_equal(c.ndisks, 2);
	assert_true(c.disks[0].read_only);
	assert_false(c.disks[1].read_only);
	assert_int_equal(c.disks[0].nextents, 2);
	assert_int_equal(c.disks[0].extents[0].offset, 4096);
	assert_int_equal(c.disks[0].extents[0].len, 8192);
	assert_int_equal(c.disks[0].extents[1].fd, 50);
	assert_ptr_equal(config_disk(&c, "upper"), &c.disks[1]);
	assert_null(config_disk(&c, "other"));
	/* QEMU must not get it by chance */
	assert_int_equal(fcntl(50, F_GETFD), FD_CLOEXEC);
}

static void a_config_is_read_from_the_start_of_its_file(void **state)
{
	int fd = memfd_create("config", 0);
	struct vmm_config cleanup_config c;

	(void)state;
	assert_int_equal(fd_write_full(fd, GOOD, strlen(GOOD)), 0);
	assert_int_equal(config_read(&c, fd, NULL), 0);
	assert_string_equal(c.name, "msb-1");
	(void)close(fd);
}

static void a_file_that_is_too_long_is_refused(void **state)
{
	int fd = memfd_create("config", 0);
	struct vmm_config cleanup_config c;

	(void)state;
	assert_int_equal(ftruncate(fd, VMM_CONFIG_MAX + 1), 0);
	assert_int_equal(config_read(&c, fd, NULL), -E2BIG);
	(void)close(fd);
}

/* What replaces what in GOOD, and a word that the error must have. */
static const struct {
	const char *from, *to, *says;
	int code;
} bad[] = {
	{"\"version\": 1",					   "\"version\": 2",                         "version is 2",                 -EPROTONOSUPPORT},
	{"\"version\": 1, ",					 "",				       "version",                      -EPROTONOSUPPORT},
	{"\"cpus\": 2",					      "\"cpu\": 2",                             "\"cpu\"",                      -EINVAL         },
	{"\"cpus\": 2, ",					    "",				       "cpus is missing",              -EINVAL         },
	{"\"cpus\": 2",					      "\"cpus\": 0",                            "cpus is 0",                    -EINVAL         },
	{"\"cpus\": 2",					      "\"cpus\": 65",                           "cpus is 65",                   -EINVAL         },
	{"\"cpus\": 2",					      "\"cpus\": \"2\"",                        "cpus",                         -EINVAL         },
	{"\"cpus\": 2",					      "\"cpus\": 1.5",                          "cpus",                         -EINVAL         },
	{"\"cpus\": 2",					      "\"cpus\": 2, \"cpus\": 2",               "JSON",                         -EBADMSG        },
	{"512, \"kernel",					    "63, \"kernel",                           "memory_mib is 63",             -EINVAL         },
	{"512, \"kernel",					    "-1, \"kernel",                           "memory_mib is -1",             -EINVAL         },
	{"512, \"kernel",					    "1048577, \"kernel",                      "memory_mib",                   -EINVAL         },
	{"512, \"kernel",					    "99999999999999999999, \"k",              "JSON",                         -EBADMSG        },
	{"\"kernel_fd\": 50",					"\"kernel_fd\": 4",                       "kernel_fd is 4",               -EINVAL         },
	{"\"kernel_fd\": 50",					"\"kernel_fd\": 999",                     "999 is not open",              -EBADF          },
	{"\"kernel_fd\": 50",					"\"kernel_fd\": 60",                      "not a file",                   -EINVAL         },
	{"\"initramfs_fd\": 50",				     "\"initramfs_fd\": -1",                   "initramfs_fd",
         -EINVAL																	       },
	{"\"auto\"",						 "\"kvm\"",				"accel is \"tcg\"",             -EINVAL         },
	{"\"auto\"",						 "\"xen\"",				"engine is none of",            -EINVAL         },
	{"\"tcg\"",						  "\"hvf\"",				"accel",                        -EINVAL         },
	{"\"tcg\"",						  "7",				      "accel",                        -EINVAL         },
	{"\"msb-1\"",						"\"a,b\"",                                "name",                         -EINVAL         },
	{"\"msb-1\"",						"\"\"",				   "name is empty",                -EINVAL         },
	{"\"msb-1\"",						"[]",				     "name",                         -EINVAL         },
	{"\"box\"",						  "\"a b\"",				"hostname",                     -EINVAL         },
	{"\"box\"",
         "\"0123456789012345678901234567890123456789012345678901234567890123"
         "4\"",                                                                                                "longer than 64",               -EINVAL         },
	{"\"console=ttyS0\"",					"\"a\\nb\"",                              "cmdline",                      -EINVAL         },
	{"\"console=ttyS0\"",					"\"a\\u0000b\"",                          "JSON",                         -EBADMSG        },
	{"\"boot_timeout_ms\": 1000",                                "\"boot_timeout_ms\": 1",
         "boot_timeout_ms",														    -EINVAL         },
	{"\"serial\": \"root\"",				     "\"serial\": \"upper\"",                  "\"root\"",                     -EINVAL         },
	{"\"serial\": \"upper\"",				    "\"serial\": \"other\"",                  "\"upper\"",
         -EINVAL																	       },
	{"\"serial\": \"root\"",				     "\"serial\": \"0123456789012345678901\"",
         "serial is longer",														   -EINVAL         },
	{"\"read_only\": true",				      "\"read_only\": false",                   "root is not",                  -EINVAL         },
	{"\"read_only\": true",				      "\"read_only\": 1",                       "disks[0].read",                -EINVAL         },
	{"\"len\": 8192",					    "\"len\": 0",                             "extents[0].len",               -EINVAL         },
	{"\"len\": 8192",					    "\"len\": 9223372036854775807",           "extents[0].len",
         -EINVAL																	       },
	{"\"len\": 8192",					    "\"len\": 4611686018427387903",           "too large together",
         -EINVAL																	       },
	{"\"offset\": 4096",					 "\"offset\": -1",                         "offset is -1",                 -EINVAL         },
	{"\"offset\": 4096",					 "\"path\": \"/etc\"",                     "extents[0].path",              -EINVAL         },
	{"[{\"fd\": 50, \"offset\": 0, \"len\": 512}]",              "[]",
         "disks[1].extents",														   -EINVAL         },
	{"[{\"fd\": 50, \"offset\": 0, \"len\": 512}]",              "[7]",
         "is not an object",														   -EINVAL         },
	{"\"serial\": \"upper\"",				    "\"serial\": \"disk4\"",                  "\"disk3\"",
         -EINVAL																	       },
	{"\"serial\": \"upper\"",				    "\"serial\": \"root\"",                   "two are \"root\"",
         -EINVAL																	       },
	{"\"extents\": [{\"fd\": 50, \"offset\": 0, \"len\": 512}]",
         "\"layers\": []",										     "layers is not a list of 1 to", -EINVAL         },
	{"\"extents\": [{\"fd\": 50, \"offset\": 0, \"len\": 512}]",
         "\"layers\": [{\"fd\": 50, \"format\": \"vmdk\"}]",                                                   "layers[0].format",
         -EINVAL																	       },
	{"\"extents\": [{\"fd\": 50, \"offset\": 0, \"len\": 512}]",
         "\"layers\": [{\"fd\": 60, \"format\": \"raw\"}]",                                                    "not a file",
         -EINVAL																	       },
	{"\"extents\": [{\"fd\": 50, \"offset\": 0, \"len\": 512}]",
         "\"layers\": [{\"fd\": 50}]",									 "format is missing",            -EINVAL         },
	{"\"serial\": \"upper\"",
         "\"serial\": \"upper\", \"layers\": [{\"fd\": 50, \"format\": "
         "\"raw\"}]",                                                                                          "has not one of",               -EINVAL         },
	{"{\"version\"",					     "[{\"version\"",                          "JSON",                         -EBADMSG        },
};

static void every_bad_value_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vmm_config cleanup_config c;
		struct err err = {0};
		char text[4096];
		const char *at = strstr(GOOD, bad[i].from);
		int r;

		assert_non_null(at);
		(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - GOOD),
		               GOOD, bad[i].to, at + strlen(bad[i].from));
		r = parse(&c, text, &err);
		if (r != bad[i].code || !strstr(err.msg, bad[i].says))
			fail_msg("%s: %d, \"%s\"", bad[i].to, r, err.msg);
	}
}

static void a_disk_may_have_layers(void **state)
{
	static const char extents[] =
		"\"extents\": [{\"fd\": 50, \"offset\": 0, \"len\": 512}]";
	const char *at = strstr(GOOD, extents);
	struct vmm_config cleanup_config c;
	struct err err = {0};
	char text[4096];

	(void)state;
	assert_non_null(at);
	(void)snprintf(text, sizeof(text),
	               "%.*s\"layers\": [{\"fd\": 50, \"format\": \"qcow2\"}, "
	               "{\"fd\": 51, \"format\": \"raw\"}]%s",
	               (int)(at - GOOD), GOOD, at + strlen(extents));
	if (parse(&c, text, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(c.disks[1].nlayers, 2);
	assert_int_equal(c.disks[1].nextents, 0);
	assert_int_equal(c.disks[1].layers[0].format, DISK_QCOW2);
	assert_int_equal(c.disks[1].layers[1].format, DISK_RAW);
	assert_int_equal(c.disks[1].layers[1].fd, 51);
}

static void each_engine_is_taken(void **state)
{
	static const char *const names[] = {"auto", "kvm", "qemu"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct vmm_config cleanup_config c;
		const char *at = strstr(GOOD, "\"auto\"");
		char text[4096];

		(void)snprintf(text, sizeof(text), "%.*s\"%s\"%s",
		               (int)(at - GOOD), GOOD, names[i],
		               at + strlen("\"auto\""));
		memcpy(strstr(text, "\"tcg\""), "\"kvm\"", 5);
		assert_int_equal(parse(&c, text, NULL), 0);
		assert_string_equal(vmm_engine_names[c.engine], names[i]);
		assert_int_equal(c.accel, ACCEL_KVM);
	}
}

/* GOOD with one more key. */
static int parse_with(struct vmm_config *c, const char *more, struct err *err)
{
	char text[4096];

	(void)snprintf(text, sizeof(text), "{%s, %s", more, GOOD + 1);
	return parse(c, text, err);
}

static void what_the_guest_gets_is_taken_as_it_is(void **state)
{
	struct vmm_config cleanup_config c;
	struct err err = {0};

	(void)state;
	if (parse_with(&c,
	               "\"scripts\": [\"a-1.sh\", \"#!/bin/sh\\necho\", "
	               "\"b\", \"\"], \"init\": [\"/sbin/init\", \"--x\"], "
	               "\"init_env\": [\"A=b=c\", \"D=\"], \"log_fds\": "
	               "[50, 51]",
	               &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(c.scripts.n, 4);
	assert_string_equal(c.scripts.v[1], "#!/bin/sh\necho");
	assert_int_equal(c.init.n, 2);
	assert_string_equal(c.init_env.v[0], "A=b=c");
	assert_int_equal(c.log_fds[0], 50);
	assert_int_equal(c.log_fds[1], 51);
	assert_int_equal(fcntl(51, F_GETFD), FD_CLOEXEC);
}

static const struct {
	const char *key, *says;
} bad_more[] = {
	{"\"scripts\": [\"a\"]",                         "without a script"        },
	{"\"scripts\": \"a\"",                           "scripts is not a list"   },
	{"\"scripts\": [\"a\", 5]",                      "no string"               },
	{"\"scripts\": [\".a\", \"\"]",                  "number 1 is no file name"},
	{"\"scripts\": [\"a/b\", \"\"]",                 "number 1 is no file name"},
	{"\"scripts\": [\"\", \"\"]",                    "number 1 is no file name"},
	{"\"scripts\": [\"..\", \"\"]",                  "number 1 is no file name"},
	{"\"scripts\": [\"x\", \"\", \"a b\", \"\"]",
         "number 2 is no file name"						},
	{"\"init\": [\"init\"]",                         "neither an absolute path"},
	{"\"init\": [\"\"]",			     "neither an absolute path"},
	{"\"init\": {}",				 "init is not a list"      },
	{"\"init_env\": [\"A=b\"]",                      "init_env without init"   },
	{"\"init\": [\"auto\"], \"init_env\": [\"A\"]",
         "number 1 is not KEY=VALUE"					       },
	{"\"init\": [\"auto\"], \"init_env\": [\"=a\"]",
         "number 1 is not KEY=VALUE"					       },
	{"\"log_fds\": 50",			      "log_fds is not a list"   },
	{"\"log_fds\": [50]",                            "log_fds is not a list"   },
	{"\"log_fds\": [50, 50]",                        "one file twice"          },
	{"\"log_fds\": [50, 4]",                         "log_fds is 4"            },
	{"\"log_fds\": [50, 60]",                        "not a file"              },
	{"\"log_fds\": [50, 52]",                        "reading and writing"     },
	{"\"log_fds\": [53, 50]",                        "reading and writing"     },
	{"\"detached\": true",                           "unknown key \"detached\""},
};

static void every_other_bad_value_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_more) / sizeof(bad_more[0]); i++) {
		struct vmm_config cleanup_config c;
		struct err err = {0};
		int r = parse_with(&c, bad_more[i].key, &err);

		if (r >= 0 || !strstr(err.msg, bad_more[i].says))
			fail_msg("%s: %d, \"%s\"", bad_more[i].key, r, err.msg);
	}
}

static void scripts_have_a_bound_together(void **state)
{
	static char text[2 * VMM_SCRIPTS_BYTES];

	(void)state;
	for (int over = 0; over < 2; over++) {
		struct vmm_config cleanup_config c;
		size_t n = VMM_SCRIPTS_BYTES - 1 + (size_t)over;
		int head = snprintf(text, sizeof(text),
		                    "{\"scripts\": [\"a\", \"");

		memset(text + head, 'x', n);
		(void)snprintf(text + head + n, sizeof(text) - n - (size_t)head,
		               "\"], %s", GOOD + 1);
		assert_int_equal(parse(&c, text, NULL), over ? -E2BIG : 0);
	}
}

static void what_is_no_object_is_refused(void **state)
{
	static const char *const texts[] = {"", "[]", "[1]", "{", "{}"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct vmm_config cleanup_config c;

		assert_true(parse(&c, texts[i], NULL) < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_config_is_taken_as_it_is),
		cmocka_unit_test(a_config_is_read_from_the_start_of_its_file),
		cmocka_unit_test(a_file_that_is_too_long_is_refused),
		cmocka_unit_test(every_bad_value_is_named),
		cmocka_unit_test(each_engine_is_taken),
		cmocka_unit_test(a_disk_may_have_layers),
		cmocka_unit_test(what_the_guest_gets_is_taken_as_it_is),
		cmocka_unit_test(every_other_bad_value_is_named),
		cmocka_unit_test(scripts_have_a_bound_together),
		cmocka_unit_test(what_is_no_object_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
