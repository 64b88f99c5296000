#include "lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"
#include "guest/user.h"

static char dir[] = "/tmp/msb-test-user-XXXXXX";
static char passwd[64], group[64];

static const char passwd_text[] = "root:x:0:0:root:/root:/bin/sh\n"
				  "# a comment:x:1:1:::\n"
				  "\n"
				  "short:x:5\n"
				  "bad:x:abc:1::/bad:/bin/sh\n"
				  "big:x:4294967296:1::/big:/bin/sh\n"
				  "amy:x:1000:100:Amy:/home/amy:/bin/sh\n"
				  "amy:x:2000:200:second:/other:/bin/sh\n"
				  "odd:x:1001:101::relative:/bin/sh\n"
				  "12:x:3000:300::/twelve:/bin/sh\n"
				  "last:x:7:7::/last:/bin/sh"; /* no newline */
static const char group_text[] = "root:x:0:\n"
				 "users:x:100:amy\n"
				 "wheel:x:10:root,amy\n"
				 "amyx:x:11:amyx,xamy\n"
				 "audio:x:29:bob,amy,eve\n"
				 "bad:x:abc:amy\n";

static void put(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static int start(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(passwd, sizeof(passwd), "%s/passwd", dir);
	(void)snprintf(group, sizeof(group), "%s/group", dir);
	return 0;
}

static int files(void **state)
{
	(void)state;
	(void)unlink(passwd);
	(void)unlink(group);
	put(passwd, passwd_text, strlen(passwd_text));
	put(group, group_text, strlen(group_text));
	return 0;
}

static int end(void **state)
{
	(void)state;
	(void)unlink(passwd);
	(void)unlink(group);
	return rmdir(dir);
}

static int look(const char *spec, struct user *u, struct err *err)
{
	*err = (struct err){0};
	return user_lookup(spec, passwd, group, u, err);
}

struct good {
	const char *spec;
	unsigned uid, gid;
	const char *home;
	size_t ngroups;
};

static const struct good good[] = {
	{"",		 0,          0,          "/root",     1},
	{"root",             0,          0,          "/root",     1},
	{"0",		0,          0,          "/root",     1},
	{"amy",              1000,       100,        "/home/amy", 2},
	{"1000",             1000,       100,        "/home/amy", 2},
	{"amy:wheel",        1000,       10,         "/home/amy", 0},
	{"amy:12345",        1000,       12345,      "/home/amy", 0},
	{"amy:",             1000,       100,        "/home/amy", 2},
	{"2000",             2000,       200,        "/other",    3},
	{"odd",              1001,       101,        "/",         0},
	{"12",	       12,         0,          "/",         0},
	{"last",             7,          7,          "/last",     0},
	{"54321:4294967294", 54321,      4294967294, "/",         0},
	{"4294967294",       4294967294, 0,          "/",         0},
	{":wheel",           0,          10,         "/root",     0},
};

static void users_are_found_by_dockers_rules(void **state)
{
	static struct user u;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		if (look(good[i].spec, &u, &err) < 0)
			fail_msg("'%s': %s", good[i].spec, err.msg);
		if (u.uid != good[i].uid || u.gid != good[i].gid ||
		    u.ngroups != good[i].ngroups ||
		    strcmp(u.home, good[i].home) != 0)
			fail_msg("'%s': %u:%u %s, %zu groups", good[i].spec,
			         u.uid, u.gid, u.home, u.ngroups);
	}
}

static void only_groups_that_list_the_whole_name_are_taken(void **state)
{
	static struct user u;
	struct err err;

	(void)state;
	assert_int_equal(look("amy", &u, &err), 0);
	assert_int_equal(u.groups[0], 10);
	assert_int_equal(u.groups[1], 29);
}

static void what_does_not_exist_is_named(void **state)
{
	static const char *const bad[] = {"nobody-here",
	                                  "AMY",
	                                  "amy:nogroup",
	                                  "4294967295",
	                                  "4294967296",
	                                  "0:4294967295",
	                                  "99999999999999999999",
	                                  "bad",
	                                  "big",
	                                  "short",
	                                  "a comment",
	                                  "amy:wheel:x",
	                                  "-1",
	                                  "1000 ",
	                                  "../root"};
	static struct user u;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		u = (struct user){.uid = 77};
		if (look(bad[i], &u, &err) == 0)
			fail_msg("'%s' is user %u:%u", bad[i], u.uid, u.gid);
		assert_true(err.msg[0]);
		assert_int_equal(u.uid, 77);
	}
}

static void a_name_that_is_too_long_is_refused(void **state)
{
	static char name[5000];
	static struct user u;
	struct err err;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	assert_true(look(name, &u, &err) < 0);
	name[0] = ':';
	assert_true(look(name, &u, &err) < 0);
}

static void missing_files_matter_to_names_only(void **state)
{
	static struct user u;
	struct err err;

	(void)state;
	assert_int_equal(unlink(passwd), 0);
	assert_int_equal(unlink(group), 0);
	assert_int_equal(look("", &u, &err), 0);
	assert_int_equal(look("33:44", &u, &err), 0);
	assert_int_equal(u.gid, 44);
	assert_string_equal(u.home, "/");
	assert_true(look("root", &u, &err) < 0);
	assert_true(look("0:root", &u, &err) < 0);
}

static void a_file_that_never_ends_or_answers_is_not_waited_for(void **state)
{
	static struct user u;
	struct err err;

	(void)state;
	assert_int_equal(unlink(passwd), 0);
	assert_int_equal(mkfifo(passwd, 0600), 0);
	assert_int_equal(look("5", &u, &err), 0);
	assert_true(look("amy", &u, &err) < 0);
	assert_int_equal(unlink(passwd), 0);
	assert_int_equal(symlink("/dev/zero", passwd), 0);
	assert_int_equal(look("5", &u, &err), 0);
	assert_true(look("amy", &u, &err) < 0);
	assert_int_equal(unlink(passwd), 0);
	assert_int_equal(symlink("passwd", passwd), 0);
	assert_int_equal(look("5", &u, &err), 0);
	assert_true(look("amy", &u, &err) < 0);
}

static void a_huge_file_is_refused_for_names(void **state)
{
	static struct user u;
	struct err err;

	(void)state;
	assert_int_equal(truncate(passwd, USER_FILE_MAX + 1L), 0);
	assert_true(look("amy", &u, &err) < 0);
	assert_int_equal(look("5", &u, &err), 0);
}

/* A hostile file: NULs, endless lines, thousands of groups. */
static void hostile_content_does_no_harm(void **state)
{
	static char text[1 << 20];
	static struct user u;
	struct err err;
	size_t at = 0;

	(void)state;
	memset(text, ':', sizeof(text));
	put(passwd, text, sizeof(text));
	assert_true(look("amy", &u, &err) < 0);
	memset(text, 'a', sizeof(text));
	put(passwd, text, sizeof(text));
	assert_true(look("amy", &u, &err) < 0);
	memset(text, 0, sizeof(text));
	put(passwd, text, sizeof(text));
	assert_true(look("amy", &u, &err) < 0);
	put(passwd, passwd_text, strlen(passwd_text));
	for (unsigned i = 0; i < USER_GROUPS_MAX + 1; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
		                       "g%u:x:%u:amy\n", i, 5000 + i);
	put(group, text, at);
	assert_true(look("amy", &u, &err) < 0);
	assert_non_null(strstr(err.msg, "groups"));
	assert_int_equal(look("amy:g1000", &u, &err), 0);
	assert_int_equal(u.gid, 6000);
}

#define TEST(name) cmocka_unit_test_setup(name, files)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(users_are_found_by_dockers_rules),
		TEST(only_groups_that_list_the_whole_name_are_taken),
		TEST(what_does_not_exist_is_named),
		TEST(a_name_that_is_too_long_is_refused),
		TEST(missing_files_matter_to_names_only),
		TEST(a_file_that_never_ends_or_answers_is_not_waited_for),
		TEST(a_huge_file_is_refused_for_names),
		TEST(hostile_content_does_no_harm),
	};

	return cmocka_run_group_tests(tests, start, end);
}
