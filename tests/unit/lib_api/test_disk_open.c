#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "lib/disk_open.h"

static char dir[64];

static const char *path(const char *name)
{
	static char p[4][128];
	static unsigned turn;

	(void)snprintf(p[turn %= 4], sizeof(p[0]), "%s/%s", dir, name);
	return p[turn++];
}

static int setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/test_open.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return dir_remove(AT_FDCWD, dir);
}

static int make(const char *name, off_t size)
{
	int fd = open(path(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

static void make_qcow2(const char *name, const char *backing)
{
	int fd = make(name, 0);

	assert_int_equal(qcow2_create(fd, MIB, backing, DISK_RAW, NULL), 0);
	close(fd);
}

static int open_image(const char *name, const char *format, bool read_only,
                      struct disk_layer *ret, struct err *err)
{
	const struct disk_image i = {
		.path = path(name), .format = format, .read_only = read_only};

	return disk_open_image(&i, ret, err);
}

static void the_format_is_what_is_said_or_the_names_end(void **state)
{
	static const struct {
		const char *path, *stated;
		int r;
		enum disk_format format;
	} cases[] = {
		{"/a.qcow2",     NULL,    0,       DISK_QCOW2},
		{"/a.raw",       NULL,    0,       DISK_RAW  },
		{"/a.img",       NULL,    0,       DISK_RAW  },
		{"/a.qcow2",     "raw",   0,       DISK_RAW  },
		{"/a.raw",       "qcow2", 0,       DISK_QCOW2},
		{"/a",           "qcow2", 0,       DISK_QCOW2},
		{"/a",           NULL,    -EINVAL, DISK_RAW  },
		{"/a.vmdk",      NULL,    -EINVAL, DISK_RAW  },
		{"/a.qcow2.bak", NULL,    -EINVAL, DISK_RAW  },
		{".raw",         NULL,    -EINVAL, DISK_RAW  },
		{"/a.raw",       "vmdk",  -EINVAL, DISK_RAW  },
		{"/a.raw",       "",      -EINVAL, DISK_RAW  },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum disk_format f = DISK_RAW;
		struct err err = {0};

		assert_int_equal(disk_image_format(cases[i].path,
		                                   cases[i].stated, &f, &err),
		                 cases[i].r);
		assert_int_equal(f, cases[i].format);
		assert_int_equal(*err.msg != 0, cases[i].r < 0);
	}
}

static void one_writes_or_several_read(void **state)
{
	struct disk_layer a, b;
	struct err err = {0};
	const struct disk_image i = {.path = path("a.raw")};
	enum disk_format f;

	(void)state;
	close(make("a.raw", MIB));
	assert_int_equal(open_image("a.raw", NULL, false, &a, &err), 0);
	assert_int_equal(a.format, DISK_RAW);
	assert_int_equal(open_image("a.raw", NULL, true, &b, &err), -EBUSY);
	assert_non_null(strstr(err.msg, path("a.raw")));
	assert_int_equal(open_image("a.raw", NULL, false, &b, &err), -EBUSY);
	assert_int_equal(disk_look_image(&i, &f, &err), 0);
	close(a.fd);
	assert_int_equal(open_image("a.raw", NULL, true, &a, &err), 0);
	assert_int_equal(open_image("a.raw", NULL, true, &b, &err), 0);
	close(a.fd);
	assert_int_equal(open_image("a.raw", NULL, false, &a, &err), -EBUSY);
	close(b.fd);
}

static int fails(const char *name, const char *format, const char *says)
{
	struct disk_layer l = {.fd = -7};
	struct err err = {0};
	int r = open_image(name, format, false, &l, &err);

	if (r >= 0 || !strstr(err.msg, says))
		fail_msg("%s: %d, \"%s\"", name, r, err.msg);
	assert_int_equal(l.fd, -7);
	return r;
}

static void what_is_based_on_another_file_is_refused_by_its_name(void **state)
{
	(void)state;
	make_qcow2("b.qcow2", "/etc/shadow");
	assert_int_equal(fails("b.qcow2", NULL, "/etc/shadow"), -EPERM);
	make_qcow2("c.qcow2", "a\033[31mb");
	assert_int_equal(fails("c.qcow2", NULL, "\\x1b[31m"), -EPERM);
}

static void raw_by_name_that_begins_like_qcow2_is_not_guessed(void **state)
{
	struct disk_layer l;
	struct err err = {0};

	(void)state;
	make_qcow2("d.img", NULL);
	(void)fails("d.img", NULL, "begins like qcow2");
	assert_int_equal(open_image("d.img", "qcow2", true, &l, &err), 0);
	assert_int_equal(l.format, DISK_QCOW2);
	close(l.fd);
	assert_int_equal(open_image("d.img", "raw", true, &l, &err), 0);
	assert_int_equal(l.format, DISK_RAW);
	close(l.fd);
}

static void what_is_no_image_is_named(void **state)
{
	(void)state;
	assert_int_equal(fails("none.raw", NULL, "none.raw"), -ENOENT);
	assert_int_equal(mkdir(path("dir.raw"), 0700), 0);
	(void)fails("dir.raw", NULL, "neither a file nor a block device");
	assert_int_equal(mkfifo(path("pipe.raw"), 0600), 0);
	(void)fails("pipe.raw", NULL, "neither a file nor a block device");
	close(make("odd.raw", 1000));
	(void)fails("odd.raw", NULL, "1000 bytes");
	close(make("zero.qcow2", 4096));
	(void)fails("zero.qcow2", NULL, "no qcow2 file");
	close(make("what.disk", 4096));
	(void)fails("what.disk", NULL, "does not tell its format");
}

static void links_are_refused_by_their_path(void **state)
{
	struct disk_image i = {.read_only = true};
	struct disk_layer l;
	struct err err = {0};
	enum disk_format f;

	(void)state;
	assert_int_equal(mkdir(path("real"), 0700), 0);
	close(make("real/e.raw", MIB));
	assert_int_equal(symlink("real", path("way")), 0);
	assert_int_equal(symlink("e.raw", path("real/last.raw")), 0);
	i.path = path("way/last.raw");
	assert_int_equal(disk_look_image(&i, &f, &err), 0);
	i.links = LINKS_ABOVE;
	assert_int_equal(disk_look_image(&i, &f, &err), -ELOOP);
	i.path = path("way/e.raw");
	assert_int_equal(disk_look_image(&i, &f, &err), 0);
	i.links = LINKS_NONE;
	assert_int_equal(disk_open_image(&i, &l, &err), -ELOOP);
	assert_non_null(strstr(err.msg, path("way/e.raw")));
	assert_non_null(strstr(err.msg, "a part of its path is a symbolic"));
	i.path = path("real/e.raw");
	assert_int_equal(disk_open_image(&i, &l, &err), 0);
	close(l.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_format_is_what_is_said_or_the_names_end),
		cmocka_unit_test(one_writes_or_several_read),
		cmocka_unit_test(
			what_is_based_on_another_file_is_refused_by_its_name),
		cmocka_unit_test(
			raw_by_name_that_begins_like_qcow2_is_not_guessed),
		cmocka_unit_test(what_is_no_image_is_named),
		cmocka_unit_test(links_are_refused_by_their_path),
	};

	return cmocka_run_group_tests_name("lib_api/disk_open", tests, setup,
	                                   teardown);
}
