/*
 * What the guest sees of owners, modes and types, and what of it is on the
 * host. Run as anybody; what only root or only others can see says so.
 */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/num.h"
#include "fs/owner.h"
#include "fs/xattr.h"

#define ARRAY(a) (sizeof(a) / sizeof(*(a)))

struct state {
	char dir[64];
	int dir_fd, proc_fd;
	struct fs_owners map;
};

/* As the machine does it, and as older kernels do. */
static const struct {
	bool at, cwd;
} ways[] = {
	{true,  false},
	{false, false},
	{false, true },
};

static int setup(void **state)
{
	struct state *s = calloc(1, sizeof(*s));

	(void)snprintf(s->dir, sizeof(s->dir), "/var/tmp/test_owner.XXXXXX");
	if (!mkdtemp(s->dir))
		return -1;
	s->dir_fd = open(s->dir, O_PATH | O_DIRECTORY);
	s->proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY);
	s->map = (struct fs_owners){.uid = 1000,
	                            .gid = 1001,
	                            .host_uid = geteuid(),
	                            .host_gid = getegid()};
	*state = s;
	return s->dir_fd < 0 || s->proc_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct state *s = *state;
	static const char *const names[] = {"f", "d", "l", "p", "s", "f2"};

	xattr_calls(true, false);
	if (chdir("/") < 0)
		return -1;
	for (size_t i = 0; i < ARRAY(names); i++) {
		(void)unlinkat(s->dir_fd, names[i], 0);
		(void)unlinkat(s->dir_fd, names[i], AT_REMOVEDIR);
	}
	(void)close(s->dir_fd);
	(void)close(s->proc_fd);
	(void)rmdir(s->dir);
	free(s);
	return 0;
}

static struct owner_file path_of(const struct state *s, const char *name)
{
	int fd = openat(s->dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	assert_true(fd >= 0);
	return (struct owner_file){
		.fd = fd, .proc_fd = s->proc_fd, .is_path = true};
}

static void make(const struct state *s, const char *name, mode_t mode)
{
	if (S_ISDIR(mode)) {
		assert_int_equal(mkdirat(s->dir_fd, name, 0700), 0);
		assert_int_equal(fchmodat(s->dir_fd, name, mode & 07777, 0), 0);
	} else {
		int fd = openat(s->dir_fd, name, O_CREAT | O_EXCL | O_RDWR,
		                0600);

		assert_true(fd >= 0);
		assert_int_equal(fchmod(fd, mode & 07777), 0);
		(void)close(fd);
	}
}

static struct stat host(const struct owner_file *f)
{
	struct stat st;

	assert_int_equal(fstat(f->fd, &st), 0);
	return st;
}

static struct stat shown(const struct state *s, const struct owner_file *f)
{
	struct stat st = host(f);

	owner_show(f, &s->map, &st);
	return st;
}

static int keep(const struct state *s, const struct owner_file *f, uint32_t uid,
                uint32_t gid, uint32_t mode)
{
	struct stat st = host(f);
	struct owner o = {uid, gid, mode, 0};

	return owner_keep(f, &s->map, &st, &o);
}

/* The raw attribute, through a descriptor of its own. */
static void put_raw(const struct state *s, const char *name, const char *xattr,
                    const void *data, size_t len)
{
	int fd = openat(s->dir_fd, name, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fsetxattr(fd, xattr, data, len, 0), 0);
	(void)close(fd);
}

static ssize_t raw(const struct state *s, const char *name, const char *xattr)
{
	uint8_t data[64];
	int fd = openat(s->dir_fd, name, O_RDONLY);
	ssize_t n = fgetxattr(fd, xattr, data, sizeof(data));

	if (n < 0)
		n = -errno;
	(void)close(fd);
	return n;
}

static void pack(uint8_t out[20], const char *head, uint32_t uid, uint32_t gid,
                 uint32_t mode, uint32_t rdev)
{
	memcpy(out, head, 4);
	put_le32(out + 4, uid);
	put_le32(out + 8, gid);
	put_le32(out + 12, mode);
	put_le32(out + 16, rdev);
}

#define OLD "\1\0\0\0"

/* ---- without an attribute ---- */

static void owners_of_the_host_are_mapped(void **state)
{
	static const struct {
		uint32_t host_uid, host_gid, st_uid, st_gid, uid, gid;
		bool squash;
	} cases[] = {
		{1234, 1235, 1234, 1235, 1000,  1001,  false},
		{1234, 1235, 1234, 7,    1000,  65534, false},
		{1234, 1235, 0,    0,    65534, 65534, false},
		{1234, 1235, 1235, 1234, 65534, 65534, false},
		{0,    0,    0,    0,    1000,  1001,  false},
		{0,    0,    33,   34,   33,    34,    false},
		{0,    0,    0,    34,   1000,  34,    false},
		{1234, 1235, 99,   98,   1000,  1001,  true },
		{0,    0,    99,   98,   1000,  1001,  true },
	};
	struct state *s = *state;
	struct owner_file f;

	make(s, "f", 0644);
	f = path_of(s, "f");
	for (size_t i = 0; i < ARRAY(cases); i++) {
		struct fs_owners map = {.squash = cases[i].squash,
		                        .uid = 1000,
		                        .gid = 1001,
		                        .host_uid = cases[i].host_uid,
		                        .host_gid = cases[i].host_gid};
		struct stat st = host(&f);

		st.st_uid = cases[i].st_uid;
		st.st_gid = cases[i].st_gid;
		owner_show(&f, &map, &st);
		assert_int_equal(st.st_uid, cases[i].uid);
		assert_int_equal(st.st_gid, cases[i].gid);
		assert_int_equal(st.st_mode, S_IFREG | 0644);
	}
	(void)close(f.fd);
}

static void what_the_host_can_hold_has_no_attribute(void **state)
{
	static const uint32_t modes[] = {0600, 0644, 0755, 0777, 0666, 0701};
	struct state *s = *state;
	struct owner_file f;

	make(s, "f", 0600);
	f = path_of(s, "f");
	for (size_t i = 0; i < ARRAY(modes); i++) {
		assert_int_equal(keep(s, &f, 1000, 1001, S_IFREG | modes[i]),
		                 0);
		assert_int_equal(raw(s, "f", OWNER_XATTR), -ENODATA);
		assert_int_equal(host(&f).st_mode, S_IFREG | modes[i]);
		assert_int_equal(shown(s, &f).st_mode, S_IFREG | modes[i]);
	}
	(void)close(f.fd);
}

/* ---- keeping ---- */

static const struct {
	uint32_t mode, host;
} files[] = {
	{S_IFREG | 0000,  0600},
        {S_IFREG | 0444,  0644},
	{S_IFREG | 04755, 0755},
        {S_IFREG | 02750, 0750},
	{S_IFREG | 06711, 0711},
        {S_IFREG | 01644, 0644},
	{S_IFREG | 07777, 0777},
        {S_IFCHR | 0666,  0600},
	{S_IFBLK | 0660,  0600},
        {S_IFIFO | 0622,  0600},
	{S_IFSOCK | 0777, 0600},
        {S_IFCHR | 06777, 0600},
};

static const struct {
	uint32_t mode, host;
} folders[] = {
	{S_IFDIR | 0000,  0700},
        {S_IFDIR | 0555,  0755},
	{S_IFDIR | 01777, 0755},
        {S_IFDIR | 02775, 0775},
	{S_IFDIR | 03777, 0755},
        {S_IFDIR | 04711, 0711},
	{S_IFDIR | 01700, 0700},
};

static void check_kept(const struct state *s, const char *name, uint32_t mode,
                       uint32_t host_mode)
{
	struct owner_file f = path_of(s, name);
	struct stat st = host(&f), was = st;
	struct owner o = {70000, 80000, mode, 0x12345678};

	assert_int_equal(owner_keep(&f, &s->map, &st, &o), 0);
	st = host(&f);
	assert_int_equal(st.st_mode, (was.st_mode & S_IFMT) | host_mode);
	assert_int_equal(st.st_uid, was.st_uid);
	assert_int_equal(st.st_gid, was.st_gid);
	assert_int_equal(st.st_rdev, 0);
	st = shown(s, &f);
	assert_int_equal(st.st_mode, mode);
	assert_int_equal(st.st_uid, 70000);
	assert_int_equal(st.st_gid, 80000);
	assert_int_equal(st.st_rdev,
	                 S_ISCHR(mode) || S_ISBLK(mode) ? 0x12345678 : 0);
	assert_int_equal(st.st_size, S_ISDIR(mode) ? was.st_size : 0);
	/* By its name in the folder, too. */
	(void)close(f.fd);
	f = (struct owner_file){.fd = s->dir_fd,
	                        .proc_fd = s->proc_fd,
	                        .is_path = true,
	                        .name = name};
	st = was;
	st.st_mode = (was.st_mode & S_IFMT) | host_mode;
	owner_show(&f, &s->map, &st);
	assert_int_equal(st.st_mode, mode);
	assert_int_equal(st.st_uid, 70000);
}

static void
each_mode_and_type_comes_back_and_the_host_has_no_right_of_it(void **state)
{
	struct state *s = *state;

	make(s, "f", S_IFREG | 0600);
	make(s, "d", S_IFDIR | 0700);
	for (size_t w = 0; w < ARRAY(ways); w++) {
		xattr_calls(ways[w].at, ways[w].cwd);
		for (size_t i = 0; i < ARRAY(files); i++)
			check_kept(s, "f", files[i].mode, files[i].host);
		for (size_t i = 0; i < ARRAY(folders); i++)
			check_kept(s, "d", folders[i].mode, folders[i].host);
	}
}

static void host_modes_are_what_owner_host_mode_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY(files); i++)
		assert_int_equal(owner_host_mode(files[i].mode, false),
		                 files[i].host);
	for (size_t i = 0; i < ARRAY(folders); i++)
		assert_int_equal(owner_host_mode(folders[i].mode, true),
		                 folders[i].host);
	for (uint32_t m = 0; m <= 07777; m++) {
		assert_int_equal(owner_host_mode(m, false) & ~0777u, 0);
		assert_int_equal(owner_host_mode(m, true) & ~0777u, 0);
		assert_int_equal(owner_host_mode(m, false) & 0600, 0600);
		assert_int_equal(owner_host_mode(m, true) & 0700, 0700);
		/* No bit that the guest did not set, but the owner's. */
		assert_int_equal(owner_host_mode(m, false) & 077 & ~m, 0);
		assert_int_equal(owner_host_mode(m, true) & 077 & ~m, 0);
	}
}

static void owners_come_back_by_an_open_file_too(void **state)
{
	struct state *s = *state;
	struct owner_file f = {.proc_fd = s->proc_fd};
	struct stat st;

	make(s, "f", 0644);
	f.fd = openat(s->dir_fd, "f", O_RDONLY);
	assert_int_equal(keep(s, &f, 5, 6, S_IFREG | 04711), 0);
	st = shown(s, &f);
	assert_int_equal(st.st_uid, 5);
	assert_int_equal(st.st_gid, 6);
	assert_int_equal(st.st_mode, S_IFREG | 04711);
	assert_int_equal(host(&f).st_mode, S_IFREG | 0711);
	(void)close(f.fd);
}

static void what_is_no_longer_needed_goes(void **state)
{
	struct state *s = *state;
	uint8_t old[20];
	struct owner_file f;

	make(s, "f", 0644);
	f = path_of(s, "f");
	pack(old, OLD, 9, 9, S_IFREG | 0600, 0);
	put_raw(s, "f", OWNER_XATTR_OLD, old, sizeof(old));
	assert_int_equal(keep(s, &f, 3, 4, S_IFREG | 0640), 0);
	assert_int_equal(raw(s, "f", OWNER_XATTR), 20);
	assert_int_equal(keep(s, &f, 1000, 1001, S_IFREG | 0640), 0);
	assert_int_equal(raw(s, "f", OWNER_XATTR), -ENODATA);
	assert_int_equal(raw(s, "f", OWNER_XATTR_OLD), -ENODATA);
	assert_int_equal(shown(s, &f).st_uid, 1000);
	(void)close(f.fd);
}

/* A setuid file of the host's that the guest may write is none afterwards. */
static void special_bits_of_the_host_go_with_the_first_keep(void **state)
{
	struct state *s = *state;
	struct owner_file f;

	make(s, "f", 0644);
	assert_int_equal(fchmodat(s->dir_fd, "f", 06755, 0), 0);
	f = path_of(s, "f");
	assert_int_equal(shown(s, &f).st_mode, S_IFREG | 06755);
	assert_int_equal(keep(s, &f, 1000, 1001, S_IFREG | 06755), 0);
	assert_int_equal(host(&f).st_mode, S_IFREG | 0755);
	assert_int_equal(shown(s, &f).st_mode, S_IFREG | 06755);
	(void)close(f.fd);
}

static void a_fresh_file_needs_one_call_less(void **state)
{
	struct state *s = *state;
	struct owner_file f;

	make(s, "f", 0644);
	f = path_of(s, "f");
	f.fresh = true;
	assert_int_equal(keep(s, &f, 1000, 1001, S_IFREG | 0600), 0);
	assert_int_equal(host(&f).st_mode, S_IFREG | 0600);
	assert_int_equal(keep(s, &f, 1, 1, S_IFREG | 0600), 0);
	assert_int_equal(shown(s, &f).st_uid, 1);
	(void)close(f.fd);
}

static void modes_changed_on_the_host_are_seen(void **state)
{
	static const struct {
		uint32_t guest, host, seen;
	} cases[] = {
		{S_IFREG | 04755, 0700,  S_IFREG | 0700 },
		{S_IFREG | 0400,  0644,  S_IFREG | 0644 },
		{S_IFREG | 0400,  0600,  S_IFREG | 0400 }, /* as we left it */
		{S_IFREG | 0644,  04755, S_IFREG | 04755},
		{S_IFDIR | 01777, 0700,  S_IFDIR | 01700},
		{S_IFDIR | 02755, 0777,  S_IFDIR | 02777},
		{S_IFCHR | 0666,  0777,  S_IFCHR | 0666 }, /* it holds nothing */
	};
	struct state *s = *state;

	make(s, "f", S_IFREG | 0600);
	make(s, "d", S_IFDIR | 0700);
	for (size_t i = 0; i < ARRAY(cases); i++) {
		const char *name = S_ISDIR(cases[i].guest) ? "d" : "f";
		struct owner_file f = path_of(s, name);

		assert_int_equal(keep(s, &f, 7, 7, cases[i].guest), 0);
		assert_int_equal(fchmodat(s->dir_fd, name, cases[i].host, 0),
		                 0);
		assert_int_equal(shown(s, &f).st_mode, cases[i].seen);
		assert_int_equal(shown(s, &f).st_uid, 7);
		(void)close(f.fd);
	}
}

/* ---- squash ---- */

static void squash_shows_one_owner_and_keeps_what_was(void **state)
{
	struct state *s = *state;
	struct owner_file f;

	make(s, "f", 0644);
	make(s, "f2", 0644);
	f = path_of(s, "f");
	assert_int_equal(keep(s, &f, 5, 6, S_IFREG | 0644), 0);
	s->map.squash = true;
	assert_int_equal(shown(s, &f).st_uid, 1000);
	assert_int_equal(shown(s, &f).st_gid, 1001);
	assert_int_equal(keep(s, &f, 77, 78, S_IFREG | 04755), 0);
	assert_int_equal(shown(s, &f).st_uid, 1000);
	assert_int_equal(shown(s, &f).st_mode, S_IFREG | 04755);
	s->map.squash = false;
	assert_int_equal(shown(s, &f).st_uid, 5);
	assert_int_equal(shown(s, &f).st_gid, 6);
	(void)close(f.fd);

	f = path_of(s, "f2");
	s->map.squash = true;
	assert_int_equal(keep(s, &f, 77, 78, S_IFREG | 04755), 0);
	s->map.squash = false;
	s->map.uid = 4242;
	assert_int_equal(shown(s, &f).st_uid, 4242); /* none is kept */
	assert_int_equal(shown(s, &f).st_mode, S_IFREG | 04755);
	(void)close(f.fd);
}

/* ---- forged attributes ---- */

static void check_missing(const struct state *s, const char *name)
{
	struct owner_file f = path_of(s, name);
	struct stat st = shown(s, &f), plain = host(&f);

	assert_int_equal(st.st_mode, plain.st_mode);
	assert_int_equal(st.st_uid, 1000);
	assert_int_equal(st.st_gid, 1001);
	assert_int_equal(st.st_rdev, plain.st_rdev);
	assert_int_equal(st.st_size, plain.st_size);
	(void)close(f.fd);
}

static void damaged_attributes_count_as_missing(void **state)
{
	struct state *s = *state;
	uint8_t data[4000];
	static const char *const heads[] = {"MSB0",     "MSB2",     "msb1",
	                                    "MSB\0",    "\2\0\0\0", "\1\1\0\0",
	                                    "\1\0\0\1", "\0\0\0\0", OLD};

	make(s, "f", 0644);
	memset(data, 0, sizeof(data));
	for (size_t n = 0; n < 64; n++) {
		pack(data, "MSB1", 1, 2, S_IFREG | 0600, 0);
		if (n == 20)
			continue;
		put_raw(s, "f", OWNER_XATTR, data, n);
		check_missing(s, "f");
	}
	put_raw(s, "f", OWNER_XATTR, data, sizeof(data));
	check_missing(s, "f");
	for (size_t i = 0; i < ARRAY(heads); i++) {
		pack(data, heads[i], 1, 2, S_IFREG | 0600, 0);
		put_raw(s, "f", OWNER_XATTR, data, 20);
		check_missing(s, "f");
	}
	/* Ours under the predecessor's name. */
	assert_int_equal(raw(s, "f", OWNER_XATTR), 20);
	pack(data, "MSB1", 1, 2, S_IFREG | 0600, 0);
	put_raw(s, "f", OWNER_XATTR_OLD, data, 20);
	check_missing(s, "f");
}

static void types_that_the_file_cannot_be_count_as_missing(void **state)
{
	static const uint32_t for_file[] = {S_IFDIR | 0755,
	                                    S_IFLNK | 0777,
	                                    0644,
	                                    0,
	                                    S_IFREG | 0200644,
	                                    S_IFREG | 1u << 31,
	                                    0xffffffff,
	                                    S_IFREG | 010000000,
	                                    0030644,
	                                    0150644};
	static const uint32_t for_folder[] = {S_IFREG | 0644,
	                                      S_IFLNK | 0777,
	                                      S_IFCHR | 0600,
	                                      S_IFBLK | 0600,
	                                      S_IFIFO | 0600,
	                                      S_IFSOCK | 0600,
	                                      0,
	                                      0755};
	static const uint32_t for_data[] = {S_IFCHR | 0600, S_IFBLK | 0600,
	                                    S_IFIFO | 0600, S_IFSOCK | 0600};
	struct state *s = *state;
	uint8_t data[20];
	int fd;

	make(s, "f", S_IFREG | 0644);
	make(s, "d", S_IFDIR | 0755);
	for (size_t i = 0; i < ARRAY(for_file); i++) {
		pack(data, "MSB1", 1, 2, for_file[i], 3);
		put_raw(s, "f", OWNER_XATTR, data, 20);
		check_missing(s, "f");
	}
	for (size_t i = 0; i < ARRAY(for_folder); i++) {
		pack(data, "MSB1", 1, 2, for_folder[i], 3);
		put_raw(s, "d", OWNER_XATTR, data, 20);
		check_missing(s, "d");
	}
	fd = openat(s->dir_fd, "f", O_WRONLY);
	assert_int_equal(write(fd, "x", 1), 1);
	(void)close(fd);
	for (size_t i = 0; i < ARRAY(for_data); i++) {
		pack(data, "MSB1", 1, 2, for_data[i], 3);
		put_raw(s, "f", OWNER_XATTR, data, 20);
		check_missing(s, "f");
	}
}

static void ids_that_are_none_are_the_hosts(void **state)
{
	struct state *s = *state;
	uint8_t data[20];
	struct owner_file f;

	make(s, "f", 0644);
	f = path_of(s, "f");
	pack(data, "MSB1", UINT32_MAX, UINT32_MAX, S_IFREG | 0444, 0);
	put_raw(s, "f", OWNER_XATTR, data, 20);
	assert_int_equal(shown(s, &f).st_uid, 1000);
	assert_int_equal(shown(s, &f).st_gid, 1001);
	assert_int_equal(shown(s, &f).st_mode, S_IFREG | 0444);
	(void)close(f.fd);
}

static void the_predecessors_attribute_is_read(void **state)
{
	struct state *s = *state;
	uint8_t data[20];
	struct owner_file f;
	struct stat st;

	make(s, "f", 0600);
	f = path_of(s, "f");
	pack(data, OLD, 12, 13, S_IFCHR | 0664, 0x0103);
	put_raw(s, "f", OWNER_XATTR_OLD, data, 20);
	for (size_t w = 0; w < ARRAY(ways); w++) {
		xattr_calls(ways[w].at, ways[w].cwd);
		st = shown(s, &f);
		assert_int_equal(st.st_uid, 12);
		assert_int_equal(st.st_gid, 13);
		assert_int_equal(st.st_mode, S_IFCHR | 0664);
		assert_int_equal(st.st_rdev, makedev(1, 3));
	}
	/* Whatever the host's mode is. */
	pack(data, OLD, 12, 13, S_IFREG | 04755, 0);
	put_raw(s, "f", OWNER_XATTR_OLD, data, 20);
	assert_int_equal(shown(s, &f).st_mode, S_IFREG | 04755);
	/* Ours comes first. */
	assert_int_equal(keep(s, &f, 1, 2, S_IFREG | 0400), 0);
	st = shown(s, &f);
	assert_int_equal(st.st_uid, 1);
	assert_int_equal(st.st_mode, S_IFREG | 0400);
	(void)close(f.fd);
}

static void parsing_says_no_to_all_but_one_form(void **state)
{
	uint8_t data[24];
	struct owner o = {1, 1, 1, 1};

	(void)state;
	pack(data, "MSB1", 10, 20, S_IFREG | 0600, 30);
	assert_true(owner_parse(data, 20, &o));
	assert_int_equal(o.uid, 10);
	assert_int_equal(o.gid, 20);
	assert_int_equal(o.mode, S_IFREG | 0600);
	assert_int_equal(o.rdev, 0); /* of no device */
	assert_false(owner_parse(data, 19, &o));
	assert_false(owner_parse(data, 21, &o));
	assert_false(owner_parse(data, 0, &o));
	assert_false(owner_parse_old(data, 20, &o));
	pack(data, OLD, 11, 20, S_IFBLK | 0600, 30);
	assert_false(owner_parse(data, 20, &o));
	assert_int_equal(o.uid, 10);
	assert_true(owner_parse_old(data, 20, &o));
	assert_int_equal(o.rdev, 30);
}

static void our_names_are_hidden_and_no_other(void **state)
{
	(void)state;
	assert_true(owner_is_hidden(OWNER_XATTR));
	assert_true(owner_is_hidden(OWNER_XATTR_OLD));
	assert_true(owner_is_hidden("user.msb."));
	assert_true(owner_is_hidden("user.msb.x.security.capability"));
	assert_false(owner_is_hidden("user.msb"));
	assert_false(owner_is_hidden("user.msbx"));
	assert_false(owner_is_hidden("user.MSB.stat"));
	assert_false(owner_is_hidden("security.capability"));
	assert_false(owner_is_hidden(""));
}

/* ---- what cannot have one ---- */

static void links_and_specials_of_the_host_are_shown_as_they_are(void **state)
{
	struct state *s = *state;
	struct owner_file f;

	assert_int_equal(symlinkat("/etc/passwd", s->dir_fd, "l"), 0);
	assert_int_equal(mkfifoat(s->dir_fd, "p", 0640), 0);
	for (size_t w = 0; w < ARRAY(ways); w++) {
		xattr_calls(ways[w].at, ways[w].cwd);
		f = path_of(s, "l");
		assert_int_equal(shown(s, &f).st_mode, S_IFLNK | 0777);
		assert_int_equal(shown(s, &f).st_uid, 1000);
		assert_int_equal(keep(s, &f, 5, 5, S_IFLNK | 0777), 0);
		assert_int_equal(shown(s, &f).st_uid, 1000);
		(void)close(f.fd);
		f = path_of(s, "p");
		assert_true(S_ISFIFO(shown(s, &f).st_mode));
		assert_int_equal(keep(s, &f, 5, 5, S_IFIFO | 0600), -EPERM);
		assert_int_equal(keep(s, &f, 1000, 1001, S_IFIFO | 04600),
		                 -EPERM);
		/* Who may use it on the host is not for a guest to widen. */
		assert_int_equal(keep(s, &f, 1000, 1001, S_IFIFO | 0666),
		                 -EPERM);
		assert_int_equal(host(&f).st_mode, S_IFIFO | 0640);
		assert_int_equal(keep(s, &f, 1000, 1001, S_IFIFO | 0600), 0);
		assert_int_equal(host(&f).st_mode, S_IFIFO | 0600);
		assert_int_equal(fchmodat(s->dir_fd, "p", 0640, 0), 0);
		/* The third way must not open it: it would hang, or wake. */
		assert_int_equal(xattr_set(&f, "user.a", "", 0, 0), -EPERM);
		(void)close(f.fd);
	}
}

static void a_type_is_not_changed_by_keeping(void **state)
{
	struct state *s = *state;
	struct owner_file f;
	int fd;

	make(s, "f", S_IFREG | 0644);
	make(s, "d", S_IFDIR | 0755);
	fd = openat(s->dir_fd, "f", O_WRONLY);
	assert_int_equal(write(fd, "x", 1), 1);
	(void)close(fd);
	f = path_of(s, "f");
	assert_int_equal(keep(s, &f, 0, 0, S_IFDIR | 0755), -EINVAL);
	assert_int_equal(keep(s, &f, 0, 0, S_IFLNK | 0755), -EINVAL);
	assert_int_equal(keep(s, &f, 0, 0, S_IFCHR | 0755), -EINVAL);
	assert_int_equal(host(&f).st_mode, S_IFREG | 0644);
	(void)close(f.fd);
	f = path_of(s, "d");
	assert_int_equal(keep(s, &f, 0, 0, S_IFREG | 0755), -EINVAL);
	(void)close(f.fd);
}

static void a_name_that_is_another_file_now_is_left_alone(void **state)
{
	struct state *s = *state;
	struct owner o = {1, 1, S_IFREG | 04755, 0};
	struct owner_file f = {.fd = s->dir_fd,
	                       .proc_fd = s->proc_fd,
	                       .is_path = true,
	                       .name = "f"};
	struct stat st;

	make(s, "f", 0644);
	make(s, "f2", 0644);
	assert_int_equal(fstatat(s->dir_fd, "f", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(owner_keep(&f, &s->map, &st, &o), 0);
	assert_int_equal(renameat(s->dir_fd, "f2", s->dir_fd, "f"), 0);
	assert_int_equal(owner_keep(&f, &s->map, &st, &o), -ESTALE);
	assert_int_equal(raw(s, "f", OWNER_XATTR), -ENODATA);
	assert_int_equal(unlinkat(s->dir_fd, "f", 0), 0);
	assert_int_equal(owner_keep(&f, &s->map, &st, &o), -ENOENT);
	assert_int_equal(symlinkat("/etc/passwd", s->dir_fd, "f"), 0);
	assert_int_equal(owner_keep(&f, &s->map, &st, &o), -ESTALE);
}

/* ---- as an ordinary user ---- */

static int as_user(const struct state *s)
{
	struct fs_owners map = s->map;
	struct owner o = {5, 6, S_IFREG | 0000, 0};
	int proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY);
	int fd = openat(s->dir_fd, "f", O_PATH | O_NOFOLLOW);
	int other = openat(s->dir_fd, "f2", O_PATH | O_NOFOLLOW);
	struct owner_file f = {.fd = fd, .proc_fd = proc_fd, .is_path = true};
	struct stat st;

	map.host_uid = geteuid();
	map.host_gid = getegid();
	/* Mode 0 on the host: nothing can be read of it, all can be kept. */
	if (fstat(fd, &st) < 0 || (st.st_mode & 0777) != 0)
		return 1;
	owner_show(&f, &map, &st);
	if (st.st_uid != map.uid || st.st_mode != (S_IFREG | 0000))
		return 2;
	if (fstat(fd, &st) < 0 || owner_keep(&f, &map, &st, &o) != 0)
		return 3;
	if (fstat(fd, &st) < 0 || (st.st_mode & 07777) != 0600)
		return 4;
	owner_show(&f, &map, &st);
	if (st.st_uid != 5 || st.st_mode != (S_IFREG | 0000))
		return 5;
	/* Somebody else's: the reason, and nothing changed. */
	f.fd = other;
	if (fstat(other, &st) < 0 || owner_keep(&f, &map, &st, &o) != -EPERM)
		return 6;
	owner_show(&f, &map, &st);
	return st.st_uid == 65534 && st.st_mode == (S_IFREG | 0644) ? 0 : 7;
}

static void files_of_mode_0_are_not_locked_out(void **state)
{
	struct state *s = *state;

	make(s, "f", 0000);
	make(s, "f2", 0644);
	assert_int_equal(chmod(s->dir, 0755), 0);
	for (size_t w = 0; w < ARRAY(ways); w++) {
		pid_t pid;
		int status;

		xattr_calls(ways[w].at, ways[w].cwd);
		if (geteuid() == 0)
			assert_int_equal(
				fchownat(s->dir_fd, "f", 4321, 4321, 0), 0);
		pid = fork();
		if (pid == 0) {
			/* Without root there is nobody else's file to try. */
			if (geteuid() == 0 &&
			    (setgid(4321) < 0 || setuid(4321) < 0))
				_exit(99);
			_exit(as_user(s));
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), geteuid() ? 6 : 0);
		(void)unlinkat(s->dir_fd, "f", 0);
		make(s, "f", 0000);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(owners_of_the_host_are_mapped),
		T(what_the_host_can_hold_has_no_attribute),
		T(each_mode_and_type_comes_back_and_the_host_has_no_right_of_it),
		T(host_modes_are_what_owner_host_mode_says),
		T(owners_come_back_by_an_open_file_too),
		T(what_is_no_longer_needed_goes),
		T(special_bits_of_the_host_go_with_the_first_keep),
		T(a_fresh_file_needs_one_call_less),
		T(modes_changed_on_the_host_are_seen),
		T(squash_shows_one_owner_and_keeps_what_was),
		T(damaged_attributes_count_as_missing),
		T(types_that_the_file_cannot_be_count_as_missing),
		T(ids_that_are_none_are_the_hosts),
		T(the_predecessors_attribute_is_read),
		T(parsing_says_no_to_all_but_one_form),
		T(our_names_are_hidden_and_no_other),
		T(links_and_specials_of_the_host_are_shown_as_they_are),
		T(a_type_is_not_changed_by_keeping),
		T(a_name_that_is_another_file_now_is_left_alone),
		T(files_of_mode_0_are_not_locked_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
