/* Mounts: what may be, what is on record, what a start opens. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "lib/home.h"
#include "lib/launch.h"
#include "lib/mounts.h"
#include "lib/mounts_user.h"
#include "lib/record.h"
#include "lib/sandbox.h"
#include "lib/volume_tree.h"

struct fixture {
	struct msb_sandbox sb; /* as far as mounts_open() looks at it */
	struct image image;
	char path[64];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	(void)snprintf(f->path, sizeof(f->path), "/tmp/msb-test-mnt-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	assert_int_equal(chdir(f->path), 0);
	assert_int_equal(msb_home_open("home", &f->sb.home, NULL), 0);
	assert_int_equal(mkdir("dir", 0700), 0);
	assert_int_equal(mkdir("dir/sub", 0700), 0);
	assert_int_equal(mknod("file", S_IFREG | 0600, 0), 0);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(symlink("dir", "dirlink"), 0);
	assert_int_equal(symlink("file", "filelink"), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	sandbox_config_release(&f->sb.config);
	msb_home_free(f->sb.home);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(volume_tree_remove(AT_FDCWD, f->path), 0);
	free(f);
	return 0;
}

#define MOUNT(k, s, t, ...)                                                    \
	{                                                                      \
		.size = sizeof(struct msb_mount), .kind = MSB_MOUNT_##k,       \
		.source = (s), .target = (t), ##__VA_ARGS__                    \
	}

/* ---- what may be ----------------------------------------------------------
 */

static int check(const struct msb_mount *m, struct err *err)
{
	const struct msb_mount *const list[] = {m, NULL};

	return mounts_check(list, err);
}

static void what_may_be_is_taken(void **state)
{
	static const struct msb_mount good[] = {
		MOUNT(DIR, "/src", "/dst"),
		MOUNT(DIR, "/", "/host", .flags = MSB_MOUNT_READ_ONLY),
		MOUNT(DIR, "rel", "/a//b/./c/", .cache = MSB_CACHE_NONE),
		MOUNT(DIR, "x", "/p", .flags = MSB_MOUNT_OWNER,
	              .uid = 4294967294u),
		MOUNT(DIR, "x", "/devices", .quota_bytes = 1),
		MOUNT(FILE, "\xff\xfe", "/etc/f", .flags = MSB_MOUNT_FOLLOW),
		MOUNT(FILE, "x", "/etc/f", .flags = MSB_MOUNT_NO_LINKS),
		MOUNT(NAMED, "v", "/v"),
		MOUNT(NAMED, "v.1_x-y", "/v",
	              .flags = MSB_MOUNT_CREATE | MSB_MOUNT_NOEXEC,
	              .volume_kind = MSB_VOLUME_DISK, .size_bytes = 16 * MIB),
		MOUNT(NAMED, "v", "/v", .flags = MSB_MOUNT_CREATE,
	              .volume_kind = MSB_VOLUME_DISK),
		MOUNT(DISK, "d.qcow2", "/d", .format = "qcow2",
	              .fstype = "ext4"),
		MOUNT(TMPFS, NULL, "/t"),
		MOUNT(TMPFS, "", "/t", .size_bytes = 4096, .mode = 01777),
		MOUNT(DIR, "x", "/.msbx"),
		MOUNT(DIR, "x", "/a..b/..."),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct err err = {0};

		if (check(&good[i], &err) != 0)
			fail_msg("%zu: %s", i, err.msg);
	}
}

static void what_cannot_be_is_refused(void **state)
{
	static char long_path[5000];
	static const struct msb_mount bad[] = {
		MOUNT(DIR, "/src", NULL),
		MOUNT(DIR, "/src", ""),
		MOUNT(DIR, "/src", "dst"),
		MOUNT(DIR, "/src", "/"),
		MOUNT(DIR, "/src", "//./"),
		MOUNT(DIR, "/src", "/a/../b"),
		MOUNT(DIR, "/src", "/.."),
		MOUNT(DIR, "/src", "/proc"),
		MOUNT(DIR, "/src", "//proc//"),
		MOUNT(DIR, "/src", "/proc/1"),
		MOUNT(TMPFS, NULL, "/sys/x"),
		MOUNT(TMPFS, NULL, "/dev"),
		MOUNT(TMPFS, NULL, "/dev/./shm"),
		MOUNT(NAMED, "v", "/.msb"),
		MOUNT(NAMED, "v", "/.msb/scripts"),
		MOUNT(DIR, "/src", "/\xff"),
		MOUNT(DIR, "/src", long_path),
		MOUNT(DIR, long_path, "/x"),
		MOUNT(DIR, NULL, "/x"),
		MOUNT(DIR, "", "/x"),
		MOUNT(FILE, "", "/x"),
		MOUNT(DISK, NULL, "/x"),
		MOUNT(NAMED, NULL, "/x"),
		MOUNT(NAMED, "a/b", "/x"),
		MOUNT(NAMED, "..", "/x"),
		MOUNT(NAMED, "-a", "/x"),
		MOUNT(TMPFS, "/src", "/x"),
		{.size = sizeof(struct msb_mount),
	                               .source = "a",
	                               .target = "/x"						 },
		{ .size = sizeof(struct msb_mount),
	                               .kind = 6,
	                               .source = "a",
	                               .target = "/x"},
		{						  .size = 3,                       .kind = 1, .source = "a", .target = "/x"},
		MOUNT(DIR, "a", "/x", .flags = 256),
		MOUNT(DIR, "a", "/x",
	              .flags = MSB_MOUNT_FOLLOW | MSB_MOUNT_NO_LINKS),
		MOUNT(NAMED, "a", "/x", .flags = MSB_MOUNT_NO_LINKS),
		MOUNT(TMPFS, NULL, "/x", .flags = MSB_MOUNT_NO_LINKS),
		MOUNT(DIR, "a", "/x", .flags = MSB_MOUNT_CREATE),
		MOUNT(NAMED, "a", "/x", .flags = MSB_MOUNT_FOLLOW),
		MOUNT(TMPFS, NULL, "/x", .flags = MSB_MOUNT_FOLLOW),
		MOUNT(DISK, "a", "/x", .flags = MSB_MOUNT_OWNER),
		MOUNT(TMPFS, NULL, "/x", .flags = MSB_MOUNT_OWNER),
		MOUNT(DIR, "a", "/x", .uid = 1),
		MOUNT(DIR, "a", "/x", .gid = 1),
		MOUNT(DIR, "a", "/x", .flags = MSB_MOUNT_OWNER,
	              .uid = UINT32_MAX),
		MOUNT(DIR, "a", "/x", .cache = 3),
		MOUNT(DIR, "a", "/x", .cache = -1),
		MOUNT(DISK, "a", "/x", .cache = MSB_CACHE_NONE),
		MOUNT(TMPFS, NULL, "/x", .cache = MSB_CACHE_NONE),
		MOUNT(DISK, "a", "/x", .quota_bytes = 1),
		MOUNT(TMPFS, NULL, "/x", .quota_bytes = 1),
		MOUNT(DIR, "a", "/x", .quota_bytes = UINT64_MAX),
		MOUNT(DIR, "a", "/x", .size_bytes = 1),
		MOUNT(NAMED, "a", "/x", .size_bytes = 1),
		MOUNT(NAMED, "a", "/x", .volume_kind = MSB_VOLUME_DISK),
		MOUNT(NAMED, "a", "/x", .flags = MSB_MOUNT_CREATE,
	              .volume_kind = 2, .size_bytes = 16 * MIB),
		MOUNT(NAMED, "a", "/x", .flags = MSB_MOUNT_CREATE,
	              .volume_kind = MSB_VOLUME_DISK, .size_bytes = 4096),
		MOUNT(DIR, "a", "/x", .volume_kind = MSB_VOLUME_DISK),
		MOUNT(DIR, "a", "/x", .mode = 0755),
		MOUNT(TMPFS, NULL, "/x", .mode = 010000),
		MOUNT(DIR, "a", "/x", .format = "raw"),
		MOUNT(DISK, "a", "/x", .format = "vmdk"),
		MOUNT(DISK, "a", "/x", .fstype = ""),
		MOUNT(DISK, "a", "/x", .fstype = "ext4,ro"),
		MOUNT(TMPFS, NULL, "/x", .fstype = "ext4"),
	};

	(void)state;
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[0] = '/';
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = {0};

		if (check(&bad[i], &err) != -EINVAL || !err.msg[0])
			fail_msg("%zu was taken", i);
	}
}

static void two_at_one_place_are_refused(void **state)
{
	static const struct msb_mount a = MOUNT(DIR, "/a", "/x/y");
	static const struct msb_mount b = MOUNT(TMPFS, NULL, "/x//y/");
	static const struct msb_mount c = MOUNT(TMPFS, NULL, "/x");
	const struct msb_mount *const twice[] = {&a, &c, &b, NULL};
	const struct msb_mount *const once[] = {&a, &c, NULL};
	struct err err = {0};

	(void)state;
	assert_int_equal(mounts_check(twice, &err), -EINVAL);
	assert_string_equal(err.msg, "two mounts at /x/y");
	assert_int_equal(mounts_check(once, NULL), 0);
	assert_int_equal(mounts_check(NULL, NULL), 0);
}

static void there_are_only_so_many(void **state)
{
	struct msb_mount v[MSB_MOUNTS_MAX + 1];
	const struct msb_mount *list[MSB_MOUNTS_MAX + 2] = {0};
	char targets[MSB_MOUNTS_MAX + 1][16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		(void)snprintf(targets[i], sizeof(targets[i]), "/t%zu", i);
		v[i] = (struct msb_mount)MOUNT(TMPFS, NULL, targets[i]);
		list[i] = &v[i];
	}
	assert_int_equal(mounts_check(list, NULL), -E2BIG);
	list[MSB_MOUNTS_MAX] = NULL;
	assert_int_equal(mounts_check(list, NULL), 0);
}

/* ---- the record -----------------------------------------------------------
 */

static void what_is_written_is_read(void **state)
{
	static const struct msb_mount a = MOUNT(
		DIR, "./rel//x\xff", "/a/./b/", .flags = 1 | 16, .uid = 1,
		.gid = 2, .cache = MSB_CACHE_ALWAYS, .quota_bytes = 5ULL << 40);
	static const struct msb_mount b = MOUNT(TMPFS, NULL, "/tmp");
	static const struct msb_mount c =
		MOUNT(DISK, "/d", "/d", .format = "raw", .fstype = "xfs");
	static const struct msb_mount d =
		MOUNT(NAMED, "v", "/v", .flags = MSB_MOUNT_CREATE,
	              .volume_kind = 1, .size_bytes = 1 * GIB);
	const struct msb_mount *const list[] = {&a, &b, &c, &d, NULL};
	struct sandbox_config cleanup_sandbox_config one = {0}, two = {0};
	struct msb_sandbox_opts o = MSB_SANDBOX_OPTS_INIT;
	struct image_config image = {0};
	cleanup_free char *text = NULL, *again = NULL, *cwd = NULL;
	char want[128];

	(void)state;
	o.mounts = list;
	assert_int_equal(sandbox_config_take(&one, &o, &image), 0);
	text = sandbox_config_write(&one);
	assert_non_null(text);
	assert_int_equal(sandbox_config_read(text, &two, NULL), 0);
	again = sandbox_config_write(&two);
	assert_string_equal(text, again);
	assert_int_equal(two.mounts.n, 4);
	cwd = getcwd(NULL, 0);
	(void)snprintf(want, sizeof(want), "%s/rel/x\xff", cwd);
	assert_string_equal(two.mounts.v[0]->source, want);
	assert_string_equal(two.mounts.v[0]->target, "/a/b");
	assert_int_equal(two.mounts.v[0]->quota_bytes, 5ULL << 40);
	assert_int_equal(two.mounts.v[0]->gid, 2);
	assert_int_equal(two.mounts.v[0]->cache, MSB_CACHE_ALWAYS);
	assert_int_equal(two.mounts.v[1]->mode, 01777); /* of /tmp */
	assert_null(two.mounts.v[1]->source);
	assert_string_equal(two.mounts.v[2]->fstype, "xfs");
	assert_int_equal(two.mounts.v[3]->volume_kind, 1);
	assert_null(two.mounts.v[4]);
}

static void a_record_that_is_wrong_is_refused(void **state)
{
	static const char *const bad[] = {
		"{\"mounts\": 1}",
		"{\"mounts\": {}}",
		"{\"mounts\": [1]}",
		"{\"mounts\": [{}]}",
		"{\"mounts\": [{\"kind\": 1, \"source\": \"/\"}]}",
		"{\"mounts\": [{\"kind\": 9, \"source\": \"/\", \"target\": "
		"\"/x\"}]}",
		"{\"mounts\": [{\"kind\": -1, \"source\": \"/\", \"target\": "
		"\"/x\"}]}",
		"{\"mounts\": [{\"kind\": 1, \"source\": \"/\", \"target\": "
		"\"/\"}]}",
		"{\"mounts\": [{\"kind\": 1, \"source\": \"/\", \"target\": "
		"\"/proc\"}]}",
		"{\"mounts\": [{\"kind\": 1, \"source\": 7, \"target\": "
		"\"/x\"}]}",
		"{\"mounts\": [{\"kind\": 3, \"source\": \"../x\", "
		"\"target\": \"/x\"}]}",
		"{\"mounts\": [{\"kind\": 1, \"source\": \"/\", \"target\": "
		"\"/x\", \"cache\": 4294967296}]}",
		"{\"mounts\": [{\"kind\": 1, \"source\": \"/\", \"target\": "
		"\"/x\", \"cache\": 77}]}",
	};
	struct sandbox_config c = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = {0};

		if (sandbox_config_read(bad[i], &c, &err) != -EUCLEAN)
			fail_msg("%s was taken", bad[i]);
		assert_non_null(strstr(err.msg, "mounts"));
	}
	assert_int_equal(
		sandbox_config_read("{\"mounts\": [{\"kind\": 1, \"source\": "
	                            "\"/\", \"target\": \"/x\", \"new\": 1}]}",
	                            &c, NULL),
		0);
	sandbox_config_release(&c);
}

/* ---- a start --------------------------------------------------------------
 */

static void take(struct fixture *f, const struct msb_mount *const *list)
{
	mounts_release(&f->sb.config.mounts);
	assert_int_equal(mounts_check(list, NULL), 0);
	assert_int_equal(mounts_take(&f->sb.config.mounts, list), 0);
}

static int open_them(struct fixture *f, struct launch *l, struct err *err)
{
	*l = (struct launch)LAUNCH_INIT;
	return mounts_open(&f->sb, &f->image, l, err);
}

static int open_one(struct fixture *f, const struct msb_mount *m,
                    struct err *err)
{
	const struct msb_mount *const list[] = {m, NULL};
	struct launch cleanup_launch l = LAUNCH_INIT;
	int looked;

	*err = (struct err){0};
	take(f, list);
	looked = mounts_look(f->sb.home, &f->sb.config.mounts, NULL);
	if (looked < 0)
		assert_int_equal(open_them(f, &l, err), looked);
	else
		return open_them(f, &l, err);
	return looked;
}

static void a_start_opens_what_the_agent_mounts(void **state)
{
	static const struct msb_mount inner =
		MOUNT(TMPFS, NULL, "/data/x", .size_bytes = 4096,
	              .flags = MSB_MOUNT_NOEXEC);
	static const struct msb_mount outer =
		MOUNT(DIR, "dir", "/data", .cache = MSB_CACHE_NONE,
	              .quota_bytes = 1 * MIB);
	static const struct msb_mount file =
		MOUNT(FILE, "file", "/data-file",
	              .flags = MSB_MOUNT_READ_ONLY | MSB_MOUNT_OWNER, .uid = 7,
	              .gid = 8);
	static const struct msb_mount named =
		MOUNT(NAMED, "v", "/v", .flags = MSB_MOUNT_CREATE,
	              .size_bytes = 9 * MIB);
	const struct msb_mount *const list[] = {&inner, &named, &file, &outer,
	                                        NULL};
	static const char *const want[] = {
		"share", "s0", "/data",      "",
		"share", "s1", "/data-file", "ro",
		"tmpfs", "",   "/data/x",    "noexec,size=4096,mode=755",
		"share", "s2", "/v",         "",
	};
	struct fixture *f = *state;
	struct launch cleanup_launch l = LAUNCH_INIT;
	struct stat st, dir;

	f->sb.config.user = strdup("1000:50");
	take(f, list);
	assert_int_equal(open_them(f, &l, NULL), 0);
	assert_int_equal(l.mounts.n, ARRAY_SIZE(want));
	/* Parents before what is below them, whatever the order. */
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_string_equal(l.mounts.v[i], want[i]);
	assert_int_equal(l.nshares, 3);
	assert_int_equal(l.nlocks, 1);
	assert_int_equal(l.shares[0].uid, 1000);
	assert_int_equal(l.shares[0].gid, 50);
	assert_false(l.shares[0].squash);
	assert_false(l.shares[0].read_only);
	assert_int_equal(l.shares[0].cache, MSB_CACHE_NONE);
	assert_int_equal(l.shares[0].quota_bytes, 1 * MIB);
	assert_int_equal(l.shares[0].usage_fd, -1);
	assert_int_equal(fcntl(l.shares[0].fd, F_GETFL) & O_PATH, O_PATH);
	assert_int_equal(fstat(l.shares[0].fd, &st), 0);
	assert_int_equal(stat("dir", &dir), 0);
	assert_int_equal(st.st_ino, dir.st_ino);
	assert_true(l.shares[1].squash);
	assert_true(l.shares[1].read_only);
	assert_int_equal(l.shares[1].uid, 7);
	assert_int_equal(fstat(l.shares[1].fd, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(l.shares[2].uid, 0); /* of a volume: root's */
	assert_int_equal(l.shares[2].quota_bytes, 9 * MIB);
	assert_true(l.shares[2].usage_fd >= 0);
	assert_int_equal(access("home/volumes/v/data", F_OK), 0);
	assert_int_equal(msb_volume_remove(f->sb.home, "v", 1, NULL),
	                 -MSB_ERR_BUSY);
	launch_release(&l);
	assert_int_equal(msb_volume_remove(f->sb.home, "v", 1, NULL), 0);
}

static void sources_are_what_they_must_be(void **state)
{
	static const struct {
		struct msb_mount m;
		int r;
		const char *words;
	} cases[] = {
		{MOUNT(DIR,   "missing",          "/x"), -ENOENT,                    "does not exist"       },
		{MOUNT(FILE,  "missing",          "/x"), -ENOENT,                    "does not exist"       },
		{MOUNT(DISK,  "missing",          "/x"), -ENOENT,                    "does not exist"       },
		{MOUNT(DIR,   "file",             "/x"), -ENOTDIR,                   "a file, not a folder" },
		{MOUNT(FILE,  "dir",              "/x"), -EINVAL,                    "a folder, not a file" },
		{MOUNT(DIR,   "fifo",             "/x"), -ENOTDIR,                   "neither a folder nor" },
		{MOUNT(FILE,  "fifo",             "/x"), -EINVAL,                    "neither a folder nor" },
		{MOUNT(FILE,  "/dev/null",        "/x"), -EINVAL,                    "neither a folder"     },
		{MOUNT(DIR,   "dirlink",          "/x"), -ELOOP,                     "symbolic link"        },
		{MOUNT(DIR,   "dirlink/",         "/x"), -ELOOP,                     "symbolic link"        },
		{MOUNT(FILE,  "filelink",         "/x"), -ELOOP,                     "symbolic link"        },
		{MOUNT(DIR,   "file/x",           "/x"), -ENOTDIR,                   "Not a directory"      },
		{MOUNT(NAMED, "missing",          "/x"), -ENOENT,                    "no volume missing"    },
		{MOUNT(DIR,   "dirlink",          "/x",  .flags = MSB_MOUNT_FOLLOW), 0,                       ""},
		{MOUNT(FILE,           "filelink",                    "/x",     .flags = MSB_MOUNT_FOLLOW),        0,
	         ""},
		{MOUNT(FILE,          "dirlink",                            "/x",                        .flags = MSB_MOUNT_FOLLOW),
	         -EINVAL,                        "a folder, not a file"},
		{MOUNT(DIR,     "dirlink/sub", "/x"),      0,                        ""      },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = {0};
		int r = open_one(f, &cases[i].m, &err);

		if (r != cases[i].r || !strstr(err.msg, cases[i].words))
			fail_msg("%zu: %d %s", i, r, err.msg);
		if (r < 0 && cases[i].m.kind != MSB_MOUNT_NAMED)
			assert_non_null(strstr(err.msg, "at /x"));
	}
	assert_int_equal(access("missing", F_OK), -1);
}

/* Also when it is one between the look and the opening: both are by name. */
static void no_part_of_a_path_is_a_link_when_it_may_not(void **state)
{
	static const uint32_t flag = MSB_MOUNT_NO_LINKS;
	static const struct msb_mount bad[] = {
		MOUNT(DIR, "dirlink", "/x", .flags = flag),
		MOUNT(DIR, "dirlink/sub", "/x", .flags = flag),
		MOUNT(DIR, "dirlink/none", "/x", .flags = flag),
		MOUNT(FILE, "filelink", "/x", .flags = flag),
		MOUNT(DISK, "dirlink/d.raw", "/x", .flags = flag),
	};
	static const struct msb_mount good =
		MOUNT(DIR, "dir/sub", "/x", .flags = flag);
	struct fixture *f = *state;
	struct err err = {0};

	assert_int_equal(mknod("dir/d.raw", S_IFREG | 0600, 0), 0);
	assert_int_equal(truncate("dir/d.raw", 1 * MIB), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct msb_mount m = bad[i];

		if (open_one(f, &bad[i], &err) != -ELOOP)
			fail_msg("%s: %s", bad[i].source, err.msg);
		assert_non_null(strstr(err.msg, bad[i].source));
		assert_non_null(strstr(err.msg, "symbolic link"));
		m.flags = MSB_MOUNT_FOLLOW;
		assert_int_equal(open_one(f, &m, &err),
		                 strstr(m.source, "none") ? -ENOENT : 0);
	}
	assert_int_equal(open_one(f, &good, &err), 0);
}

/* The same of all that is on record, as MSB_START_NO_LINKS has it. */
static void links_of_a_record_can_be_refused(void **state)
{
	static const struct msb_mount a =
		MOUNT(DIR, "dirlink", "/a", .flags = MSB_MOUNT_FOLLOW);
	static const struct msb_mount b = MOUNT(TMPFS, NULL, "/b");
	const struct msb_mount *const list[] = {&a, &b, NULL};
	struct fixture *f = *state;
	struct launch cleanup_launch l = LAUNCH_INIT;

	take(f, list);
	mounts_refuse_links(&f->sb.config.mounts);
	assert_int_equal(
		mounts_check(
			(const struct msb_mount *const *)f->sb.config.mounts.v,
			NULL),
		0);
	assert_int_equal(open_them(f, &l, NULL), -ELOOP);
}

static void nothing_is_created_when_something_is_missing(void **state)
{
	static const struct msb_mount a =
		MOUNT(NAMED, "new", "/a", .flags = MSB_MOUNT_CREATE);
	static const struct msb_mount b = MOUNT(DIR, "missing", "/b");
	const struct msb_mount *const list[] = {&a, &b, NULL};
	struct fixture *f = *state;
	struct launch cleanup_launch l = LAUNCH_INIT;

	take(f, list);
	assert_int_equal(open_them(f, &l, NULL), -ENOENT);
	assert_int_equal(access("home/volumes/new", F_OK), -1);
}

static void a_volume_is_what_it_was_made_as(void **state)
{
	static const struct {
		struct msb_mount m;
		int r;
	} cases[] = {
		{MOUNT(NAMED, "v",  "/x",                      .flags = MSB_MOUNT_CREATE), 0},
		{ MOUNT(NAMED,        "v", "/x", .flags = MSB_MOUNT_CREATE,
                 .size_bytes = 8 * MIB),
	         0},
		{									   MOUNT(NAMED,        "v", "/x", .flags = MSB_MOUNT_CREATE,
                 .size_bytes = 9 * MIB),
	         -EEXIST},
		{								     MOUNT(NAMED,        "v", "/x", .flags = MSB_MOUNT_CREATE,
                 .volume_kind = MSB_VOLUME_DISK),
	         -EEXIST},
		{								     MOUNT(NAMED,        "w", "/x", .flags = MSB_MOUNT_CREATE,
                 .volume_kind = MSB_VOLUME_DISK),
	         -EINVAL}, /* there is none, and no size */
	};
	struct msb_volume_opts o = MSB_VOLUME_OPTS_INIT;
	struct fixture *f = *state;

	o.size_bytes = 8 * MIB;
	assert_int_equal(msb_volume_create(f->sb.home, "v", &o, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = {0};

		if (open_one(f, &cases[i].m, &err) != cases[i].r)
			fail_msg("%zu: %s", i, err.msg);
	}
	assert_int_equal(access("home/volumes/w", F_OK), -1);
}

static void a_quota_of_one_start_is_what_it_may_add(void **state)
{
	static const struct msb_mount m =
		MOUNT(NAMED, "v", "/x", .quota_bytes = 1 * MIB);
	const struct msb_mount *const list[] = {&m, NULL};
	struct fixture *f = *state;
	struct launch cleanup_launch l = LAUNCH_INIT;
	char text[200000] = {0};
	int fd;

	assert_int_equal(msb_volume_create(f->sb.home, "v", NULL, NULL), 0);
	fd = open("home/volumes/v/data/file", O_WRONLY | O_CREAT | O_CLOEXEC,
	          0600);
	assert_int_equal(fd_write_full(fd, text, sizeof(text)), 0);
	assert_int_equal(fsync(fd), 0);
	(void)close(fd);
	take(f, list);
	assert_int_equal(open_them(f, &l, NULL), 0);
	assert_in_range(l.shares[0].quota_bytes, 1 * MIB + 200000,
	                1 * MIB + 300000);
}

static void a_disk_volume_is_of_one(void **state)
{
	static const struct msb_mount m =
		MOUNT(NAMED, "d", "/d", .flags = MSB_MOUNT_CREATE,
	              .volume_kind = MSB_VOLUME_DISK, .size_bytes = 16 * MIB);
	static const struct msb_mount shared = MOUNT(
		NAMED, "d", "/d", .flags = MSB_MOUNT_OWNER, .uid = 1, .gid = 1);
	const struct msb_mount *const list[] = {&m, NULL};
	struct fixture *f = *state;
	struct launch cleanup_launch l = LAUNCH_INIT;
	struct err err = {0};
	int r;

	take(f, list);
	r = open_them(f, &l, &err);
	if (r == -ENOENT)
		skip(); /* no e2fsprogs */
	assert_int_equal(r, 0);
	assert_int_equal(l.ndisks, 1);
	assert_string_equal(l.disks[0].serial, "disk0");
	assert_string_equal(l.mounts.v[0], "disk");
	assert_string_equal(l.mounts.v[1], "disk0");
	assert_string_equal(l.mounts.v[3], "fstype=ext4");
	assert_int_equal(open_one(f, &m, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "d"));
	assert_true(err.hint[0]);
	assert_int_equal(open_one(f, &shared, &err), -EINVAL);
	launch_release(&l);
	assert_int_equal(open_one(f, &m, &err), 0);
}

static void numbers_need_no_image(void **state)
{
	static const struct {
		const char *spec;
		uint32_t uid, gid;
	} cases[] = {
		{NULL,           0,    0          },
                {"",             0,    0          },
		{"0",            0,    0          },
                {"1000",         1000, 0          },
		{"1000:7",       1000, 7          },
                {"7:0",          7,    0          },
		{"root:5",       0,    5          },
                {"nobody",       0,    0          },
		{"4294967295",   0,    0          },
                {"x:4294967294", 0,    4294967294u},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mounts_user u = {9, 9};

		mounts_find_user(f->sb.home->store, &f->image, cases[i].spec,
		                 &u);
		assert_int_equal(u.uid, cases[i].uid);
		assert_int_equal(u.gid, cases[i].gid);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_may_be_is_taken),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(two_at_one_place_are_refused),
		cmocka_unit_test(there_are_only_so_many),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(a_record_that_is_wrong_is_refused),
		TEST(a_start_opens_what_the_agent_mounts),
		TEST(sources_are_what_they_must_be),
		TEST(no_part_of_a_path_is_a_link_when_it_may_not),
		TEST(links_of_a_record_can_be_refused),
		TEST(nothing_is_created_when_something_is_missing),
		TEST(a_volume_is_what_it_was_made_as),
		TEST(a_quota_of_one_start_is_what_it_may_add),
		TEST(a_disk_volume_is_of_one),
		TEST(numbers_need_no_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
