/* Scripts of BOOT as files: what is refused, and what is written. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "base/strv.h"
#include "guest/scripts.h"

#define HELLO "#!/bin/sh\necho hello\n"

static int check(const struct strv *s, struct err *err)
{
	struct proto_strs pairs = {strv_list(s), (uint32_t)s->n};

	return scripts_check(&pairs, err);
}

static int check_name(const char *name)
{
	struct strv cleanup_strv s = {0};
	struct err err = {0};

	assert_int_equal(strv_add(&s, name), 0);
	assert_int_equal(strv_add(&s, HELLO), 0);
	return check(&s, &err);
}

static void names_are_plain_words(void **state)
{
	static const char *const good[] = {
		"a", "Z9", "build-it.sh", "_x", "-r", "a..b", "0"};
	static const char *const bad[] = {
		"",       ".",    "..",    ".hidden", "../x", "a/b",
		"/abs",   "a b",  "a\nb",  "a=b",     "a;b",  "\xc3\xa4",
		"x/../y", "a\tb", "$(id)", "a\\b",    "a\x7f"};
	char longest[SCRIPTS_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(check_name(good[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(check_name(bad[i]), -EINVAL);
	memset(longest, 'n', sizeof(longest));
	longest[SCRIPTS_NAME_MAX + 1] = '\0';
	assert_int_equal(check_name(longest), -EINVAL);
	longest[SCRIPTS_NAME_MAX] = '\0';
	assert_int_equal(check_name(longest), 0);
}

static void a_name_without_a_body_is_refused(void **state)
{
	struct strv cleanup_strv s = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(check(&s, &err), 0);
	assert_int_equal(strv_add(&s, "a"), 0);
	assert_int_equal(check(&s, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "no body"));
}

static void too_many_are_refused(void **state)
{
	struct strv cleanup_strv s = {0};
	struct err err = {0};

	(void)state;
	for (int i = 0; i < SCRIPTS_COUNT_MAX; i++) {
		assert_int_equal(strv_addf(&s, "s%d", i), 0);
		assert_int_equal(strv_add(&s, ""), 0);
	}
	assert_int_equal(check(&s, &err), 0);
	assert_int_equal(strv_add(&s, "more"), 0);
	assert_int_equal(strv_add(&s, ""), 0);
	assert_int_equal(check(&s, &err), -E2BIG);
}

static void too_many_bytes_are_refused(void **state)
{
	static char body[SCRIPTS_BYTES_MAX / 2 + 1];
	struct strv cleanup_strv s = {0};
	struct err err = {0};

	(void)state;
	memset(body, 'x', sizeof(body) - 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(strv_addf(&s, "s%d", i), 0);
		assert_int_equal(strv_add(&s, body), 0);
	}
	assert_int_equal(check(&s, &err), 0);
	assert_int_equal(strv_add(&s, "last"), 0);
	assert_int_equal(strv_add(&s, "x"), 0);
	assert_int_equal(check(&s, &err), -E2BIG);
}

/* A folder to write into, removed at the end. */
struct folder {
	char path[64];
	int fd;
};

static void folder_remove(struct folder *f)
{
	close_fd(&f->fd);
	assert_int_equal(dir_remove(AT_FDCWD, f->path), 0);
}
#define cleanup_folder cleanup(folder_remove)

static struct folder folder_new(void)
{
	struct folder f = {.path = "/tmp/msb-scripts-XXXXXX"};

	assert_non_null(mkdtemp(f.path));
	f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f.fd >= 0);
	return f;
}

static void files_are_whole_and_executable(void **state)
{
	char *v[] = {"a", HELLO, "empty", "", NULL};
	struct proto_strs pairs = {v, 4};
	struct folder cleanup_folder f = folder_new();
	struct buf cleanup_buf text = BUF_INIT;
	struct err err = {0};
	struct stat st;
	mode_t before = umask(077);

	(void)state;
	assert_int_equal(scripts_write(f.fd, &pairs, &err), 0);
	(void)umask(before);
	assert_int_equal(file_read(f.fd, "a", &text), 0);
	assert_string_equal(buf_str(&text), HELLO);
	assert_int_equal(fstatat(f.fd, "a", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0755);
	assert_int_equal(fstatat(f.fd, "empty", &st, 0), 0);
	assert_int_equal(st.st_size, 0);
}

static void a_name_given_twice_is_refused(void **state)
{
	char *v[] = {"a", HELLO, "a", "other", NULL};
	struct proto_strs pairs = {v, 4};
	struct folder cleanup_folder f = folder_new();
	struct err err = {0};

	(void)state;
	assert_int_equal(scripts_write(f.fd, &pairs, &err), -EEXIST);
	assert_string_equal(err.msg, "two scripts are called a");
}

static void a_link_in_the_way_is_not_followed(void **state)
{
	char *v[] = {"a", HELLO, NULL};
	struct proto_strs pairs = {v, 2};
	struct folder cleanup_folder f = folder_new();
	struct err err = {0};
	struct stat st;

	(void)state;
	assert_int_equal(symlinkat("target", f.fd, "a"), 0);
	assert_true(scripts_write(f.fd, &pairs, &err) < 0);
	assert_true(fstatat(f.fd, "target", &st, 0) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_plain_words),
		cmocka_unit_test(a_name_without_a_body_is_refused),
		cmocka_unit_test(too_many_are_refused),
		cmocka_unit_test(too_many_bytes_are_refused),
		cmocka_unit_test(files_are_whole_and_executable),
		cmocka_unit_test(a_name_given_twice_is_refused),
		cmocka_unit_test(a_link_in_the_way_is_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
