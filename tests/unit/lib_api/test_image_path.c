/* Images by their path, and the links that such a path may have or not. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "lib/image.h"

struct fixture {
	char path[64];
	struct msb_home *home;
};

static void put(const char *path, off_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	(void)close(fd);
}

/* real/ has one of each kind, way leads to it. */
static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	(void)snprintf(f->path, sizeof(f->path), "/tmp/msb-test-img-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	assert_int_equal(chdir(f->path), 0);
	assert_int_equal(msb_home_open("home", &f->home, NULL), 0);
	assert_int_equal(mkdir("real", 0700) | mkdir("real/root", 0700), 0);
	put("real/root/file", 5);
	put("real/disk.raw", 1 * MIB);
	put("real/none.tar", 10 * KIB);
	assert_int_equal(symlink("real", "way") |
	                         symlink("disk.raw", "real/last.raw"),
	                 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	msb_home_free(f->home);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(dir_remove(AT_FDCWD, f->path), 0);
	free(f);
	return 0;
}

static int pull(struct fixture *f, const char *path, int32_t root,
                uint32_t flags, struct msb_image **ret, struct msb_error *e)
{
	struct msb_pull_opts o = MSB_PULL_OPTS_INIT;

	o.root = root;
	o.flags = flags;
	return msb_image_pull(f->home, path, &o, ret, e);
}

static void no_part_of_a_path_is_a_link_when_it_may_not(void **state)
{
	static const struct {
		const char *path;
		int32_t root;
	} cases[] = {
		{"./way/root",                 MSB_ROOT_PACKED},
		{"./way/root",                 MSB_ROOT_LIVE  },
		{"./way/disk.raw",             MSB_ROOT_PACKED},
		{"./real/last.raw",            MSB_ROOT_PACKED},
		{"./way/disk.raw:fstype=ext4", MSB_ROOT_PACKED},
		{"./way/none.tar",             MSB_ROOT_PACKED},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct msb_image *image = NULL;
		struct msb_error e;
		int r = pull(f, cases[i].path, cases[i].root, 0, &image, &e);

		/* An empty file is no archive, but it was opened. */
		if (r < 0 && !strstr(cases[i].path, ".tar"))
			fail_msg("%s: %s", cases[i].path, e.message);
		msb_image_free(image);
		r = pull(f, cases[i].path, cases[i].root, MSB_PULL_NO_LINKS,
		         &image, &e);
		if (r != -MSB_ERR_INVALID ||
		    !strstr(e.message, "a part of its path is a symbolic link"))
			fail_msg("%s: %d %s", cases[i].path, r, e.message);
	}
}

static void a_path_without_links_is_kept_as_it_is(void **state)
{
	static const struct {
		const char *path;
		int32_t root;
		uint32_t kind;
	} cases[] = {
		{"./real/root",     MSB_ROOT_PACKED, ROOT_IMAGE},
		{"./real/root",     MSB_ROOT_LIVE,   ROOT_LIVE },
		{"./real/disk.raw", MSB_ROOT_PACKED, ROOT_DISK },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct msb_image *image = NULL;
		struct msb_error e;
		char want[128];

		if (pull(f, cases[i].path, cases[i].root, MSB_PULL_NO_LINKS,
		         &image, &e) < 0)
			fail_msg("%s: %s", cases[i].path, e.message);
		assert_int_equal(image->root.kind, cases[i].kind);
		if (cases[i].kind != ROOT_IMAGE) {
			(void)snprintf(want, sizeof(want), "%s/%s", f->path,
			               cases[i].path + 2);
			assert_string_equal(image->root.path, want);
			assert_int_equal(image->root.no_links, 1);
		}
		msb_image_free(image);
	}
}

static void flags_are_known(void **state)
{
	struct fixture *f = *state;
	struct msb_image *image;
	struct msb_error e;

	assert_int_equal(pull(f, "./real/root", MSB_ROOT_PACKED, 2, &image, &e),
	                 -MSB_ERR_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_part_of_a_path_is_a_link_when_it_may_not),
		TEST(a_path_without_links_is_kept_as_it_is),
		TEST(flags_are_known),
	};

	return cmocka_run_group_tests_name("lib_api/image_path", tests, NULL,
	                                   NULL);
}
