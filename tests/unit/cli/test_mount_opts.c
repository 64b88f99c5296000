/* -v, --mount-*, --tmpfs, and `mounts` of a file. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/num.h"
#include "forms/conf.h"
#include "forms/describe.h"
#include "forms/mount_opts.h"

static char folder[64];

static int in_a_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/msb-test-opts-XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	assert_int_equal(mknod("file", S_IFREG | 0600, 0), 0);
	assert_int_equal(mkdir("dir", 0700), 0);
	assert_int_equal(setenv("HOME", folder, 1), 0);
	return 0;
}

static int out_of_it(void **state)
{
	(void)state;
	(void)unlink("file");
	(void)rmdir("dir");
	assert_int_equal(chdir("/"), 0);
	return rmdir(folder);
}

/* As inspect shows it; "#KIND,SIZE" of a volume that is made. */
static void as_text(const struct msb_mount *m, struct buf *b)
{
	describe_mount(m, b);
	if (m->flags & MSB_MOUNT_CREATE)
		(void)buf_printf(b, " #%d", m->volume_kind);
}

static void what_is_written_is_meant(void **state)
{
	static const struct {
		const char *option, *text, *want;
	} cases[] = {
#define CASE(option, text, want) {option, text, want}
		CASE("volume", "/src:/dst", "dir /src at /dst"),
		CASE("volume", "./dir:/dst:ro", "dir ./dir at /dst (ro)"),
		CASE("volume", "./file:/dst:rw", "file ./file at /dst"),
		CASE("volume", "file:/dst", "named file at /dst #0"),
		CASE("volume", ".:/dst", "dir . at /dst"),
		CASE("volume", "..:/dst", "dir .. at /dst"),
		CASE("volume", "dir/x:/dst", "dir dir/x at /dst"),
		CASE("volume", "cache:/dst:ro,noexec,nosuid,nodev",
	             "named cache at /dst (ro, noexec, nosuid, nodev) #0"),
		CASE("volume", "c:/dst:kind=disk,size=1G",
	             "named c at /dst (size=1.0 GiB) #1"),
		CASE("volume", "c:/dst:quota=10",
	             "named c at /dst "
	             "(size=10.0 MiB) #0"),
		CASE("volume", "/s:/d:quota=1.5G",
	             "dir /s at /d (quota=1.5 GiB)"),
		CASE("volume", "/s:/d:uid=1000,gid=0",
	             "dir /s at /d (uid=1000, gid=0)"),
		CASE("volume", "/s:/d:cache=none", "dir /s at /d (cache=none)"),
		CASE("volume", "/s:/d:cache=auto", "dir /s at /d"),
		CASE("volume", "/s:/d:follow", "dir /s at /d (follow)"),
		CASE("volume",
	             "/s:/d:follow-root-symlinks,stat-virt=strict,"
	             "host-perms=mirror",
	             "dir /s at /d (follow)"),
		CASE("volume", "/a\\:b:/c\\:d", "dir /a:b at /c:d"),
		CASE("volume", "/a\\\\:/c", "dir /a\\ at /c"),
		CASE("volume", "/a\\b:/c", "dir /a\\b at /c"),
		CASE("volume", "/a b,=:/c", "dir /a b,= at /c"),
		CASE("mount-dir", "src:/dst", "dir src at /dst"),
		CASE("mount-dir", "./file:/dst", "dir ./file at /dst"),
		CASE("mount-file", "dir:/dst", "file dir at /dst"),
		CASE("mount-named", "v:/dst", "named v at /dst #0"),
		CASE("mount-disk", "d.raw:/dst", "disk d.raw at /dst"),
		CASE("mount-disk", "d:/dst:format=qcow2,fstype=xfs,ro",
	             "disk d at /dst (ro, format=qcow2, fstype=xfs)"),
		CASE("tmpfs", "/t", "tmpfs at /t"),
		CASE("tmpfs", "/t:64M", "tmpfs at /t (size=64.0 MiB)"),
		CASE("tmpfs", "/t:64M:mode=1777,noexec",
	             "tmpfs at /t (noexec, size=64.0 MiB, mode=1777)"),
		CASE("tmpfs", "/t:ro", "tmpfs at /t (ro)"),
		CASE("tmpfs", "/t:size=1", "tmpfs at /t (size=1.0 MiB)"),
#undef CASE
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mount_opts cleanup_mount_opts m = {0};
		struct buf cleanup_buf b = BUF_INIT;
		struct err err = {0};

		if (mount_opts_add(&m, cases[i].option, cases[i].text, &err) <
		    0)
			fail_msg("%s: %s", cases[i].text, err.msg);
		assert_int_equal(m.n, 1);
		assert_null(m.v[1]);
		as_text(m.v[0], &b);
		assert_string_equal(buf_str(&b), cases[i].want);
	}
}

static void what_is_wrong_is_said_with_its_option(void **state)
{
	static const struct {
		const char *option, *text, *message;
	} cases[] = {
#define CASE(option, text, message) {option, text, message}
		CASE("volume", "", "is not SOURCE:TARGET"),
		CASE("volume", "foo", "is not SOURCE:TARGET"),
		CASE("volume", "foo:", "TARGET is an absolute path"),
		CASE("volume", "foo:bar", "TARGET is an absolute path"),
		CASE("volume", ":/x", "the source is missing"),
		CASE("volume", "/a:/b:/c", "unknown mount option '/c'"),
		CASE("volume", "/a:/b:ro:x", "too many parts"),
		CASE("volume", "./a:b:/c", "TARGET is an absolute path"),
		CASE("volume", "/a\\:/b", "is not SOURCE:TARGET"),
		CASE("volume", "/a:/b:", "an empty mount option"),
		CASE("volume", "/a:/b:ro,", "an empty mount option"),
		CASE("volume", "/a:/b:,ro", "an empty mount option"),
		CASE("volume", "/a:/b:bad", "unknown mount option 'bad'"),
		CASE("volume", "/a:/b:suid", "unknown mount option 'suid'"),
		CASE("volume", "/a:/b:exec", "unknown mount option 'exec'"),
		CASE("volume", "/a:/b:ro,rw", "ro and rw: one of them"),
		CASE("volume", "/a:/b:ro,ro", "ro and rw: one of them"),
		CASE("volume", "/a:/b:noexec,noexec", "noexec is given twice"),
		CASE("volume", "/a:/b:follow,follow-root-symlinks",
	             "follow-root-symlinks is given twice"),
		CASE("volume", "/a:/b:ro=1", "ro takes no value"),
		CASE("volume", "/a:/b:quota", "quota needs a value"),
		CASE("volume", "/a:/b:quota=", "quota '' is not a size"),
		CASE("volume", "/a:/b:quota=0", "quota '0' is not a size"),
		CASE("volume", "/a:/b:quota=-1", "quota '-1' is not a size"),
		CASE("volume", "/a:/b:uid=1", "uid and gid are given together"),
		CASE("volume", "/a:/b:gid=1", "uid and gid are given together"),
		CASE("volume", "/a:/b:uid=root,gid=1", "is not a number"),
		CASE("volume", "/a:/b:uid=4294967295,gid=1", "is not a number"),
		CASE("volume", "/a:/b:uid=-1,gid=1", "is not a number"),
		CASE("volume", "/a:/b:cache=never", "cache=never is not known"),
		CASE("volume", "/a:/b:cache=", "cache= is not known"),
		CASE("volume", "/a:/b:kind=disk", "kind is not an option of"),
		CASE("volume", "/a:/b:size=1G", "size is not an option of"),
		CASE("volume", "/a:/b:mode=0755", "mode is not an option of"),
		CASE("volume", "/a:/b:format=raw", "format is not an option"),
		CASE("volume", "v:/b:follow", "follow is not an option of a v"),
		CASE("volume", "v:/b:kind=tape", "kind=tape is not known"),
		CASE("volume", "v:/b:quota=1G,size=1G", "quota and size: one"),
		CASE("volume", "/a:/b:stat-virt=relaxed", "is not here"),
		CASE("volume", "/a:/b:stat-virt=off", "is not here"),
		CASE("volume", "/a:/b:host-perms=private", "is not here"),
		CASE("mount-dir", "/a", "--mount-dir: '/a' is not SOURCE"),
		CASE("mount-named", "./x:/x", "is a path, not a volume's name"),
		CASE("mount-named", "a/b:/x", "is a path, not a volume's name"),
		CASE("mount-named", "v", "is not NAME:TARGET"),
		CASE("mount-disk", "d:/x:quota=1G", "not an option of a disk"),
		CASE("mount-disk", "d:/x:format=vmdk", "format=vmdk is not"),
		CASE("mount-disk", "d:/x:fstype=", "is not a file system type"),
		CASE("mount-disk", "d:/x:fstype=a b", "is not a file system"),
		CASE("tmpfs", "", "TARGET is an absolute path"),
		CASE("tmpfs", "x", "TARGET is an absolute path"),
		CASE("tmpfs", "/x:", "an empty mount option"),
		CASE("tmpfs", "/x:abc", "unknown mount option 'abc'"),
		CASE("tmpfs", "/x:10Q", "SIZE '10Q' is not a size"),
		CASE("tmpfs", "/x:abc:ro", "SIZE 'abc' is not a size"),
		CASE("tmpfs", "/x::ro", "SIZE '' is not a size"),
		CASE("tmpfs", "/x:10M:size=1G", "one of them, once"),
		CASE("tmpfs", "/x:10M:mode=9", "mode=9 is not a mode"),
		CASE("tmpfs", "/x:10M:mode=17777", "is not a mode"),
		CASE("tmpfs", "/x:10M:uid=1,gid=1", "uid is not an option"),
		CASE("tmpfs", "/x:1M:ro:ro", "too many parts"),
		CASE("nothing", "/x", "--nothing is no mount"),
#undef CASE
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mount_opts cleanup_mount_opts m = {0};
		struct err err = {0};

		if (mount_opts_add(&m, cases[i].option, cases[i].text, &err) !=
		            -EINVAL ||
		    !strstr(err.msg, cases[i].message) ||
		    strncmp(err.msg, "--", 2) != 0)
			fail_msg("%s %s: '%s' is not in: %s", cases[i].option,
			         cases[i].text, cases[i].message, err.msg);
		assert_int_equal(m.n, 0);
	}
}

static void a_path_that_the_shell_left_begins_at_home(void **state)
{
	struct mount_opts cleanup_mount_opts m = {0};
	char want[128];

	(void)state;
	assert_int_equal(mount_opts_add(&m, "volume", "~/file:/x", NULL), 0);
	(void)snprintf(want, sizeof(want), "%s/file", folder);
	assert_string_equal(m.v[0]->source, want);
	assert_int_equal(m.v[0]->kind, MSB_MOUNT_FILE);
}

static void an_installed_command_is_called_from_anywhere(void **state)
{
	static const char *const given[] = {
		"volume:./a:/x",  "volume:a:/x",         "volume:/a:/x:ro",
		"mount-dir:a:/x", "mount-named:a:/x",    "tmpfs:/x:1M",
		"volume:~/a:/x",  "mount-disk:a\\:b:/x", NULL,
	};
	static const char *const want[] = {
		"volume:%s/./a:/x", "volume:a:/x",
		"volume:/a:/x:ro",  "mount-dir:%s/a:/x",
		"mount-named:a:/x", "tmpfs:/x:1M",
		"volume:~/a:/x",    "mount-disk:%s/a\\:b:/x",
	};
	struct strv cleanup_strv list = {0}, made = {0};

	(void)state;
	assert_int_equal(strv_add_all(&list, (char *const *)(uintptr_t)given),
	                 0);
	assert_int_equal(mount_opts_absolute(&list, &made), 0);
	assert_int_equal(made.n, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		struct buf cleanup_buf b = BUF_INIT;
		const char *at = strstr(want[i], "%s");

		if (at)
			(void)buf_printf(&b, "%.*s%s%s", (int)(at - want[i]),
			                 want[i], folder, at + 2);
		else
			(void)buf_adds(&b, want[i]);
		assert_string_equal(made.v[i], buf_str(&b));
	}
}

/* ---- files ----------------------------------------------------------------
 */

static int parse(struct conf *c, const char *option, const char *text,
                 struct err *err)
{
	*err = (struct err){0};
	return conf_parse(c, option, "f.yaml", text, strlen(text), err);
}

static void a_file_says_them_as_text_or_map(void **state)
{
	static const char text[] =
		"mounts:\n"
		"- ./dir:/a:ro\n"
		"- cache:/b:quota=1G\n"
		"- {bind: file, target: /c, readonly: true, follow: true}\n"
		"- {bind: /s, target: /d, uid: 1, gid: 2, cache: none,\n"
		"   quota: 5, stat_virtualization: strict,\n"
		"   host_permissions: mirror}\n"
		"- {named: v, target: /e, create: existing, noexec: true}\n"
		"- {named: w, target: /f, kind: disk, size: 2G,\n"
		"   create: ensure-exists}\n"
		"- {tmpfs: {size: 64M, mode: \"1777\"}, target: /g,\n"
		"   nosuid: true, nodev: false}\n"
		"- {tmpfs: {}, target: /h}\n"
		"- {disk: ./d.qcow2, target: /i, format: qcow2, fstype: ext4}\n"
		"- {named: x, target: /j, quota: 3M}\n";
	static const char *const want[] = {
		"dir ./dir at /a (ro)",
		"named cache at /b (size=1.0 GiB) #0",
		"file file at /c (ro, follow)",
		"dir /s at /d (uid=1, gid=2, cache=none, quota=5.0 MiB)",
		"named v at /e (noexec)",
		"named w at /f (size=2.0 GiB) #1",
		"tmpfs at /g (nosuid, size=64.0 MiB, mode=1777)",
		"tmpfs at /h",
		"disk ./d.qcow2 at /i (format=qcow2, fstype=ext4)",
		"named x at /j (size=3.0 MiB) #0",
	};
	static const char *const options[] = {"conf", "fs-conf"};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(options); k++) {
		struct conf c = {0};
		struct err err;

		if (parse(&c, options[k], text, &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(c.mounts.n, ARRAY_SIZE(want));
		for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
			struct buf cleanup_buf b = BUF_INIT;

			as_text(c.mounts.v[i], &b);
			assert_string_equal(buf_str(&b), want[i]);
		}
		/* A list of a later file takes the place of this one. */
		assert_int_equal(parse(&c, options[k], "mounts: []", &err), 0);
		assert_int_equal(c.mounts.n, 0);
		conf_release(&c);
	}
}

static void what_is_wrong_in_a_file_is_found(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
#define CASE(text, message) {text, message}
		CASE("1", "is not a list"),
		CASE("{}", "is not a list"),
		CASE("[[]]", "is not a map"),
		CASE("[{}]", "needs one of bind, named, tmpfs and disk"),
		CASE("[{bind: /a}]", "needs a target"),
		CASE("[{bind: /a, target: x}]", "needs a target"),
		CASE("[{target: /x}]", "needs one of bind"),
		CASE("[{bind: /a, named: b, target: /x}]", "needs one of bind"),
		CASE("[{bind: /a, tmpfs: {}, target: /x}]", "needs one of"),
		CASE("[{tmpfs: 64M, target: /x}]", "is not a map"),
		CASE("[{tmpfs: {siz: 1}, target: /x}]", "unknown key siz"),
		CASE("[{tmpfs: {size: x}, target: /x}]", "is not a size"),
		CASE("[{tmpfs: {mode: 1777}, target: /x}]", "in quotes"),
		CASE("[{bind: /a, target: /x, ro: true}]", "unknown key ro"),
		CASE("[{bind: /a, target: /x, readonly: yes}]", "yes"),
		CASE("[{bind: /a, target: /x, readonly: 'true'}]", "readonly"),
		CASE("[{bind: /a, target: /x, uid: 1}]", "given together"),
		CASE("[{bind: /a, target: /x, uid: -1, gid: 0}]", "not a num"),
		CASE("[{bind: /a, target: /x, cache: no-such}]",
	             "is not known"),
		CASE("[{bind: /a, target: /x, create: existing}]",
	             "create is of volumes"),
		CASE("[{named: a, target: /x, create: create}]", "is not here"),
		CASE("[{named: a, target: /x, create: maybe}]", "not known"),
		CASE("[{named: a, target: /x, kind: tape}]", "is not known"),
		CASE("[{named: a, target: /x, quota: 1G, size: 1G}]",
	             "quota and size: one of them"),
		CASE("[{bind: /a, target: /x, stat_virtualization: off}]",
	             "off"),
		CASE("[{bind: /a, target: /x, stat_virtualization: relaxed}]",
	             "is not known"),
		CASE("[{bind: /a, target: /x, host_permissions: private}]",
	             "is not known"),
		CASE("['foo']", "'foo' is not SOURCE:TARGET"),
		CASE("['/a:/b:bad']", "unknown mount option 'bad'"),
		CASE("[/a, '/a:/b']", "is not SOURCE:TARGET"),
#undef CASE
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf cleanup_buf b = BUF_INIT;
		struct conf c = {0};
		struct err err;

		(void)buf_printf(&b, "mounts: %s\n", cases[i].text);
		if (parse(&c, "fs-conf", buf_str(&b), &err) != -EINVAL ||
		    !strstr(err.msg, cases[i].message) ||
		    strncmp(err.msg, "f.yaml:1:", 9) != 0)
			fail_msg("%s: '%s' is not in: %s", cases[i].text,
			         cases[i].message, err.msg);
		conf_release(&c);
	}
}

static void a_file_of_files_has_nothing_else(void **state)
{
	struct conf c = {0};
	struct err err;

	(void)state;
	assert_int_equal(parse(&c, "fs-conf", "image: x\n", &err), -EINVAL);
	assert_int_equal(parse(&c, "runtime-conf", "mounts: []\n", &err),
	                 -EINVAL);
	conf_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_meant),
		cmocka_unit_test(what_is_wrong_is_said_with_its_option),
		cmocka_unit_test(a_path_that_the_shell_left_begins_at_home),
		cmocka_unit_test(an_installed_command_is_called_from_anywhere),
		cmocka_unit_test(a_file_says_them_as_text_or_map),
		cmocka_unit_test(what_is_wrong_in_a_file_is_found),
		cmocka_unit_test(a_file_of_files_has_nothing_else),
	};

	return cmocka_run_group_tests(tests, in_a_folder, out_of_it);
}
