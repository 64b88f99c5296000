/* Patches as options and files say them. */
#include "lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "forms/conf.h"

static struct patch_list list;
static struct conf conf;
static struct err err;

static int teardown(void **state)
{
	(void)state;
	patch_list_release(&list);
	conf_release(&conf);
	return 0;
}

static int options(const char *const *words)
{
	struct strv cleanup_strv given = {0};

	err = (struct err){0};
	assert_int_equal(strv_add_all(&given, (char *const *)(uintptr_t)words),
	                 0);
	return patch_options(&list, &given, &err);
}
#define OPTIONS(...) options((const char *const[]){__VA_ARGS__, NULL})

static void options_keep_their_order(void **state)
{
	(void)state;
	assert_int_equal(OPTIONS("rm:/a", "copy:/etc/passwd:/b", "mkdir:/c:d"),
	                 0);
	assert_int_equal(list.n, 3);
	assert_int_equal(list.v[0].kind, MSB_PATCH_REMOVE);
	assert_int_equal(list.v[1].kind, MSB_PATCH_COPY);
	assert_string_equal(list.v[1].source, "/etc/passwd");
	assert_string_equal(list.v[1].path, "/b");
	assert_string_equal(list.v[2].path, "/c:d");
}

static void a_copy_has_options(void **state)
{
	const struct msb_patch *p;

	(void)state;
	assert_int_equal(
		OPTIONS("copy-file:/etc/passwd:/b:uid=7,replace,mode=4755"), 0);
	p = &list.v[0];
	assert_int_equal(p->flags,
	                 MSB_PATCH_REPLACE | MSB_PATCH_MODE | MSB_PATCH_OWNER);
	assert_int_equal(p->mode, 04755);
	assert_int_equal(p->uid, 7);
	assert_int_equal(p->gid, 0);
}

static void wrong_options_are_told(void **state)
{
	static const char *const wrong[] = {
		"copy:",
		"copy:x",
		"copy:/x:y",
		"copy::/x",
		"copy:/etc/passwd:/x:",
		"copy:/etc/passwd:/x:replace,",
		"copy:/etc/passwd:/x:mode=755",
		"copy:/etc/passwd:/x:mode=0888",
		"copy:/etc/passwd:/x:uid=-1",
		"copy:/etc/passwd:/x:gid=x",
		"copy:/no/such/file:/x",
		"copy-file:/etc:/x",
		"copy-dir:/etc/passwd:/x",
		"mkdir:x",
		"rm:",
		"touch:/x",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		if (OPTIONS(wrong[i]) == 0)
			fail_msg("%s is taken", wrong[i]);
		assert_int_not_equal(err.msg[0], 0);
	}
	assert_int_equal(list.n, 0);
}

static void relative_sources_are_made_absolute(void **state)
{
	struct strv cleanup_strv given = {0}, out = {0};

	(void)state;
	assert_int_equal(strv_add(&given, "copy:.:/x:replace"), 0);
	assert_int_equal(strv_add(&given, "mkdir:/x"), 0);
	assert_int_equal(strv_add(&given, "copy:/etc/passwd:/x"), 0);
	assert_int_equal(patch_opts_absolute(&given, &out), 0);
	assert_int_equal(out.n, 3);
	assert_memory_equal(out.v[0], "copy:/", 6);
	assert_non_null(strstr(out.v[0], ":/x:replace"));
	assert_string_equal(out.v[1], "mkdir:/x");
	assert_string_equal(out.v[2], "copy:/etc/passwd:/x");
}

static void parse(const char *text)
{
	err = (struct err){0};
	if (conf_parse(&conf, "fs-conf", "dir/f.yaml", text, strlen(text),
	               &err) < 0)
		fail_msg("%s", err.msg);
}

static void files_say_every_kind(void **state)
{
	static const int32_t kinds[] = {
		MSB_PATCH_FILE,     MSB_PATCH_FILE,    MSB_PATCH_COPY,
		MSB_PATCH_COPY,     MSB_PATCH_SYMLINK, MSB_PATCH_MKDIR,
		MSB_PATCH_REMOVE,   MSB_PATCH_APPEND,  MSB_PATCH_SET_MODE,
		MSB_PATCH_SET_OWNER};

	(void)state;
	parse("patches:\n"
	      "- text: {path: /a, content: \"x\\n\", mode: \"0600\"}\n"
	      "- file: {path: /b, content_base64: \"AAEC/w==\"}\n"
	      "- copy_file: {src: here, dst: /c, replace: true}\n"
	      "- copy_dir: {src: /there, dst: /d, uid: 1, gid: 2}\n"
	      "- symlink: {target: t, link: /e}\n"
	      "- mkdir: {path: /f, mode: \"1777\"}\n"
	      "- remove: {path: /g}\n"
	      "- append: {path: /h, content: ''}\n"
	      "- chmod: {path: /i, mode: \"0000\"}\n"
	      "- chown: {path: /j, uid: 3, gid: 0}\n");
	assert_int_equal(conf.patches.n, ARRAY_SIZE(kinds));
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		assert_int_equal(conf.patches.v[i].kind, kinds[i]);
		assert_int_equal(conf.patches.v[i].path[1], 'a' + (int)i);
	}
	assert_int_equal(conf.patches.v[0].mode, 0600);
	assert_int_equal(conf.patches.v[0].data_len, 2);
	assert_int_equal(conf.patches.v[1].data_len, 4);
	assert_memory_equal(conf.patches.v[1].data, "\0\1\2\377", 4);
	assert_string_equal(conf.patches.v[2].source, "./dir/here");
	assert_int_equal(conf.patches.v[2].flags, MSB_PATCH_REPLACE);
	assert_string_equal(conf.patches.v[3].source, "/there");
	assert_int_equal(conf.patches.v[7].data_len, 0);
}

static void base64_is_what_it_should_be(void **state)
{
	static const struct {
		const char *text, *bytes;
	} good[] = {
		{"",         ""   },
                {"YQ==",     "a"  },
                {"YWI=",     "ab" },
		{"YWJj",     "abc"},
                {"Y W\\nJj", "abc"},
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		(void)snprintf(text, sizeof(text),
		               "patches: [{file: {path: /a, content_base64: "
		               "\"%s\"}}]",
		               good[i].text);
		parse(text);
		assert_int_equal(conf.patches.v[0].data_len,
		                 strlen(good[i].bytes));
		assert_string_equal(conf.patches.v[0].data, good[i].bytes);
	}
}

static void a_higher_list_replaces(void **state)
{
	(void)state;
	parse("patches: [{remove: {path: /low}}, {remove: {path: /low2}}]");
	parse("patches: [{remove: {path: /high}}]");
	assert_int_equal(conf.patches.n, 1);
	assert_string_equal(conf.patches.v[0].path, "/high");
	parse("patches: []");
	assert_int_equal(conf.patches.n, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		T(options_keep_their_order),
		T(a_copy_has_options),
		T(wrong_options_are_told),
		T(relative_sources_are_made_absolute),
		T(files_say_every_kind),
		T(base64_is_what_it_should_be),
		T(a_higher_list_replaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
