#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "files/name.h"

static char folder[] = "/tmp/msb-name-XXXXXX";

static void names_that_lead_out_or_are_not_clean_are_told(void **state)
{
	static const struct {
		const char *name;
		bool clean;
	} cases[] = {
		{"",             true },
                {"a",            true },
                {"a/b c/\xff\n", true },
		{"...",          true },
                {"..a/.b",       true },
                {".",            false},
		{"..",           false},
                {"../x",         false},
                {"a/../../x",    false},
		{"a/..",         false},
                {"a/./b",        false},
                {"/x",           false},
		{"a//b",         false},
                {"a/",           false},
                {"/",            false},
	};
	char long_part[300], long_path[5000];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(files_name_is_clean(cases[i].name),
		                 cases[i].clean);
	memset(long_part, 'x', sizeof(long_part));
	long_part[255] = '\0';
	assert_true(files_name_is_clean(long_part));
	long_part[255] = 'x';
	long_part[256] = '\0';
	assert_false(files_name_is_clean(long_part));
	for (size_t i = 0; i < sizeof(long_path); i++)
		long_path[i] = i % 2 ? '/' : 'x';
	long_path[4095] = '\0';
	assert_true(files_name_is_clean(long_path));
	long_path[4095] = '/';
	long_path[4097] = '\0';
	assert_false(files_name_is_clean(long_path));
}

static void below_means_whole_parts(void **state)
{
	(void)state;
	assert_true(files_name_is_below("a/b", "a"));
	assert_true(files_name_is_below("a", "a"));
	assert_true(files_name_is_below("a", ""));
	assert_false(files_name_is_below("ab", "a"));
	assert_false(files_name_is_below("a", "a/b"));
}

static void sources_are_taken_apart_as_docker_does(void **state)
{
	static const struct {
		const char *text, *path, *name;
		bool content, folder;
	} cases[] = {
		{"/a/b",    "/a/b", "b", false, false},
		{"/a/b/",   "/a/b", "b", false, true },
		{"/a/b//",  "/a/b", "b", false, true },
		{"/a/b/.",  "/a/b", "b", true,  true },
		{"/a/b/./", "/a/b", "b", true,  true },
		{"b",       "b",    "b", false, false},
		{".",       ".",    "",  true,  true },
		{"./",      ".",    "",  true,  true },
		{"..",      "..",   "",  true,  true },
		{"a/..",    "a/..", "",  true,  true },
		{"/",       "/",    "",  true,  true },
		{"/.",      "/.",   "",  true,  true },
	};
	struct files_source s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(files_source_parse(cases[i].text, &s, NULL),
		                 0);
		assert_string_equal(s.path, cases[i].path);
		assert_string_equal(s.name, cases[i].name);
		assert_int_equal(s.content, cases[i].content);
		assert_int_equal(s.folder, cases[i].folder);
	}
	assert_int_equal(files_source_parse("", &s, NULL), -EINVAL);
}

static void
a_target_is_found_through_links_even_if_it_is_not_there(void **state)
{
	char dir[FILES_PATH_MAX], name[FILES_PATH_MAX];

	(void)state;
	assert_int_equal(symlink("two", "one"), 0);
	assert_int_equal(symlink("sub/none", "two"), 0);
	assert_int_equal(symlink("round", "round"), 0);
	assert_int_equal(symlink("/abs/x", "absolute"), 0);
	assert_int_equal(files_split_target("one", dir, name), 0);
	assert_string_equal(name, "none");
	assert_string_equal(dir, "./sub");
	assert_int_equal(files_split_target("absolute", dir, name), 0);
	assert_string_equal(dir, "/abs");
	assert_int_equal(files_split_target("round", dir, name), -ELOOP);
}

/* -1: refused; else the base that is expected. */
static void placed(const char *to, bool is_dir, bool content, int r,
                   const char *base)
{
	struct files_place p;
	int got = files_place(to, "src", is_dir, content, &p, NULL);

	assert_int_equal(got, r);
	if (got < 0)
		return;
	assert_string_equal(p.base, base);
	(void)close(p.dir_fd);
}

static void the_place_follows_dockers_table(void **state)
{
	int fd = open("file", O_CREAT | O_WRONLY, 0600);

	(void)state;
	(void)close(fd);
	assert_int_equal(mkdir("dir", 0700), 0);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	placed("new", false, false, 0, "new");
	placed("new", true, false, 0, "new");
	placed("new", true, true, 0, "new");
	placed("new/", false, false, -ENOENT, NULL);
	placed("new/", true, false, 0, "new");
	placed("file", false, false, 0, "file");
	placed("file", true, false, -EEXIST, NULL);
	placed("file", true, true, -EEXIST, NULL);
	placed("file/", false, false, -ENOTDIR, NULL);
	placed("dir", false, false, 0, "src");
	placed("dir/", false, false, 0, "src");
	placed("dir", true, false, 0, "src");
	placed("dir", true, true, 0, "");
	placed("no/where", false, false, -ENOENT, NULL);
	placed("fifo", false, false, -EINVAL, NULL);
	placed("", false, false, -EINVAL, NULL);
}

/* Who holds a folder is not led out of it, whatever is put there. */
static void a_link_in_a_folder_that_is_held_is_not_followed(void **state)
{
	char to[64];
	int fd;

	(void)state;
	assert_int_equal(mkdir("held", 0700) | mkdir("held/dir", 0700) |
	                         mkdir("outside", 0700),
	                 0);
	assert_int_equal(symlink("../outside", "held/link"), 0);
	assert_int_equal(symlink("../outside/new", "held/to_new"), 0);
	fd = open("held", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	(void)snprintf(to, sizeof(to), "/proc/self/fd/%d", fd);
	assert_false(files_is_held(to));
	placed(to, false, false, 0, "src");
	(void)snprintf(to, sizeof(to), "/proc/self/fd/%d/dir", fd);
	assert_true(files_is_held(to));
	placed(to, true, true, 0, "");
	(void)snprintf(to, sizeof(to), "/proc/self/fd/%d/new", fd);
	placed(to, false, false, 0, "new");
	(void)snprintf(to, sizeof(to), "/proc/self/fd/%d/link", fd);
	placed(to, false, false, -EINVAL, NULL);
	placed(to, true, true, -EEXIST, NULL);
	(void)snprintf(to, sizeof(to), "/proc/self/fd/%d/to_new", fd);
	placed(to, false, false, -EINVAL, NULL);
	(void)close(fd);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	(void)!chdir("/");
	return dir_remove(AT_FDCWD, folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_that_lead_out_or_are_not_clean_are_told),
		cmocka_unit_test(below_means_whole_parts),
		cmocka_unit_test(sources_are_taken_apart_as_docker_does),
		cmocka_unit_test(
			a_target_is_found_through_links_even_if_it_is_not_there),
		cmocka_unit_test(the_place_follows_dockers_table),
		cmocka_unit_test(
			a_link_in_a_folder_that_is_held_is_not_followed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
