/* Folders and attributes by FUSE: listings, modes, owners, times, xattrs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/num.h"
#include "driver.h"
#include "lib/test.h"

static int setup(void **state)
{
	static struct driver d;

	driver_open(&d, "/tmp", 2, NULL);
	*state = &d;
	return 0;
}

static void read_only(struct driver *d)
{
	d->shares[1].read_only = true;
}

static int setup_ro(void **state)
{
	static struct driver d;

	driver_open(&d, "/tmp", 2, read_only);
	*state = &d;
	return 0;
}

static void one_file(struct driver *d)
{
	int fd = openat(d->top_fd, "single", O_RDWR | O_CREAT, 0644);

	assert_int_equal(write(fd, "one file", 8), 8);
	assert_int_equal(close(fd), 0);
	assert_int_equal(close(d->shares[1].fd), 0);
	d->shares[1].fd = openat(d->top_fd, "single", O_PATH | O_CLOEXEC);
}

static int setup_file(void **state)
{
	static struct driver d;

	driver_open(&d, "/tmp", 2, one_file);
	*state = &d;
	return 0;
}

static void limited(struct driver *d)
{
	d->shares[0].quota_bytes = 1 << 20;
}

static int setup_quota(void **state)
{
	static struct driver d;

	driver_open(&d, "/tmp", 1, limited);
	*state = &d;
	return 0;
}

static int teardown(void **state)
{
	driver_close(*state);
	return 0;
}

#define FILES 3000

static void fill(struct driver *d, const char *path, int n)
{
	char name[64];

	assert_int_equal(mkdirat(d->top_fd, path, 0755), 0);
	for (int i = 0; i < n; i++) {
		int fd;

		(void)snprintf(name, sizeof(name), "%s/%d", path, i);
		fd = openat(d->top_fd, name, O_CREAT | O_WRONLY, 0644);
		assert_true(fd >= 0);
		assert_int_equal(close(fd), 0);
	}
}

/* Mark the numbers that a listing names; returns how many entries it had. */
static int mark(const char *data, int len, bool plus, uint8_t *seen,
                uint64_t *ret_off)
{
	int count = 0;

	for (int at = 0; at < len; count++) {
		const char *p = data + at + (plus ? 128 : 0);
		struct fuse_dirent e;
		char name[256] = {0};
		uint64_t i;

		memcpy(&e, p, sizeof(e));
		assert_true(e.namelen < sizeof(name));
		memcpy(name, p + sizeof(e), e.namelen);
		if (num_parse_u64(name, FILES - 1, &i)) {
			assert_int_equal(seen[i], 0);
			seen[i] = 1;
		}
		*ret_off = e.off;
		at += (int)num_align_up((plus ? 128 : 0) + 24 + e.namelen, 8);
	}
	return count;
}

static void list_all(struct driver *d, uint64_t n, bool plus, size_t room)
{
	static uint8_t seen[FILES];
	char *data = malloc(room);
	uint64_t fh, off = 0;
	int r, count = 0;

	memset(seen, 0, sizeof(seen));
	assert_non_null(data);
	assert_int_equal(d_opendir(d, n, &fh), 0);
	while ((r = d_readdir(d, n, fh, off, plus, data, room)) > 0)
		count += mark(data, r, plus, seen, &off);
	assert_int_equal(r, 0);
	assert_int_equal(count, FILES + 2);
	/* Any offset that was given can be gone back to. */
	assert_true(d_readdir(d, n, fh, 0, plus, data, room) > 0);
	assert_int_equal(d_release(d, n, fh, true), 0);
	free(data);
}

static void big_folders_are_listed_in_pieces(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n;
	struct fs_stats st;

	fill(d, "a/many", FILES);
	n = (uint64_t)d_lookup(d, a, "many");
	list_all(d, n, false, 4096);
	list_all(d, n, false, 300);
	fs_get_stats(d->fs, &st);
	assert_int_equal(st.inodes, 1);
	list_all(d, n, true, 4096);
	fs_get_stats(d->fs, &st);
	assert_int_equal(st.inodes, FILES + 1);
	list_all(d, n, true, 500);
}

static void who_asks_again_at_the_end_sees_what_is_new(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, fh, off = 0;
	uint8_t seen[FILES] = {0};
	char data[4096];
	int r;

	fill(d, "a/few", 3);
	n = (uint64_t)d_lookup(d, a, "few");
	assert_int_equal(d_opendir(d, n, &fh), 0);
	r = d_readdir(d, n, fh, 0, false, data, sizeof(data));
	assert_int_equal(mark(data, r, false, seen, &off), 5);
	assert_int_equal(d_readdir(d, n, fh, off, false, data, sizeof(data)),
	                 0);
	assert_int_equal(mkdirat(d->top_fd, "a/few/9", 0755), 0);
	/* From the start it is there in any case. */
	memset(seen, 0, sizeof(seen));
	r = d_readdir(d, n, fh, 0, false, data, sizeof(data));
	assert_int_equal(mark(data, r, false, seen, &off), 6);
	assert_int_equal(seen[9], 1);
}

static void two_listings_at_once(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, fh[2], off[2] = {0};
	static uint8_t seen[2][FILES];
	char data[1000];
	int count[2] = {0}, r;

	memset(seen, 0, sizeof(seen));
	fill(d, "a/many", 200);
	n = (uint64_t)d_lookup(d, a, "many");
	assert_int_equal(d_opendir(d, n, &fh[0]), 0);
	assert_int_equal(d_opendir(d, n, &fh[1]), 0);
	do {
		for (int i = 0; i < 2; i++) {
			r = d_readdir(d, n, fh[i], off[i], i, data,
			              sizeof(data));
			assert_true(r >= 0);
			count[i] += mark(data, r, i, seen[i], &off[i]);
		}
	} while (count[0] < 202 || count[1] < 202);
	assert_int_equal(count[0], 202);
	assert_int_equal(count[1], 202);
}

static void a_listing_without_room_counts_nothing(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, fh;
	struct fs_stats st;
	char data[4096];

	fill(d, "a/few", 3);
	n = (uint64_t)d_lookup(d, a, "few");
	assert_int_equal(d_opendir(d, n, &fh), 0);
	assert_int_equal(d_readdir(d, n, fh, 0, true, data, 100), 0);
	assert_int_equal(d_readdir(d, n, fh, 0, true, data, 0), 0);
	fs_get_stats(d->fs, &st);
	assert_int_equal(st.inodes, 1);
	/* Offsets that were never given. */
	(void)d_readdir(d, n, fh, 12345, true, data, sizeof(data));
	(void)d_readdir(d, n, fh, UINT64_MAX, true, data, sizeof(data));
	assert_int_equal(d->raw, 0);
}

static void owners_and_modes_are_the_guests(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, fh;
	struct fuse_attr at;
	struct stat st;

	d->uid = 1000;
	d->gid = 100;
	assert_int_equal(d_create(d, a, "f", O_RDWR, 0, &n, &fh), 0);
	assert_int_equal(d_getattr(d, n, &at), 0);
	assert_int_equal(at.uid, 1000);
	assert_int_equal(at.gid, 100);
	assert_int_equal(at.mode, S_IFREG);
	/* Without rights in the guest, still ours to work with. */
	assert_int_equal(d_write(d, n, fh, 0, "x", 1), 1);
	assert_int_equal(d_release(d, n, fh, false), 0);
	assert_int_equal(d_open(d, n, O_RDWR, &fh, NULL), 0);
	assert_int_equal(fstatat(d->top_fd, "a/f", &st, 0), 0);
	assert_int_equal(st.st_uid, getuid());
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(d_chmod(d, n, 04751), 0);
	assert_int_equal(d_getattr(d, n, &at), 0);
	assert_int_equal(at.mode, S_IFREG | 04751);
	assert_int_equal(at.uid, 1000);
	assert_int_equal(d_chown(d, n, 7, 8), 0);
	assert_int_equal(d_getattr(d, n, &at), 0);
	assert_int_equal(at.mode, S_IFREG | 0751);
	assert_int_equal(at.uid, 7);
	assert_int_equal(at.gid, 8);
}

static void setgid_folders_give_their_group(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), x, n, fh;
	struct fuse_attr at;

	x = (uint64_t)d_mkdir(d, a, "x", 0755);
	assert_int_equal(d_chown(d, x, 0, 55), 0);
	assert_int_equal(d_chmod(d, x, 02775), 0);
	d->uid = 1000;
	d->gid = 1000;
	assert_int_equal(d_create(d, x, "f", O_RDWR, 0644, &n, &fh), 0);
	assert_int_equal(d_getattr(d, n, &at), 0);
	assert_int_equal(at.gid, 55);
	assert_int_equal(at.mode & 07777, 0644);
	n = (uint64_t)d_mkdir(d, x, "sub", 0755);
	assert_int_equal(d_getattr(d, n, &at), 0);
	assert_int_equal(at.gid, 55);
	assert_int_equal(at.mode & 07777, 02755);
}

static void times_are_set(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n;
	struct fuse_setattr_in s = {.valid = FATTR_MTIME | FATTR_ATIME,
	                            .mtime = 1000000000,
	                            .mtimensec = 123456789,
	                            .atime = 5};
	struct fuse_attr at;

	n = (uint64_t)d_mknod(d, a, "f", S_IFREG | 0644, 0);
	assert_int_equal(d_setattr(d, n, &s, &at), 0);
	assert_int_equal(at.mtime, 1000000000);
	assert_int_equal(at.mtimensec, 123456789);
	assert_int_equal(at.atime, 5);
	s.valid |= FATTR_MTIME_NOW;
	assert_int_equal(d_setattr(d, n, &s, &at), 0);
	assert_true(at.mtime > 1000000000);
	s.valid = FATTR_MTIME;
	s.mtimensec = 1000000000;
	assert_int_equal(d_setattr(d, n, &s, &at), -EINVAL);
	/* Of a link: its own, not its target's. */
	n = (uint64_t)d_symlink(d, a, "l", "f");
	s.mtimensec = 0;
	assert_int_equal(d_setattr(d, n, &s, &at), 0);
	assert_true(S_ISLNK(at.mode));
	assert_int_equal(at.mtime, 1000000000);
}

static void attributes_and_what_is_ours_among_them(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n;
	char list[256], value[65537], host[256];
	int r;

	n = (uint64_t)d_mknod(d, a, "f", S_IFREG | 04644, 0);
	assert_int_equal(d_setxattr(d, n, "user.x", "1", 1, 0), 0);
	assert_int_equal(d_setxattr(d, n, "user.x", "2", 1, XATTR_CREATE),
	                 -EEXIST);
	assert_int_equal(d_setxattr(d, n, "user.y", "2", 1, XATTR_REPLACE),
	                 -ENODATA);
	assert_int_equal(d_setxattr(d, n, "user.y", "2", 1, 8), -EINVAL);
	assert_int_equal(d_setxattr(d, n, "security.selinux", "lab", 3, 0), 0);
	assert_int_equal(d_setxattr(d, n, "trusted.t", "", 0, 0), 0);
	assert_int_equal(d_setxattr(d, n, "user.msb.stat", "x", 1, 0), -EPERM);
	assert_int_equal(
		d_setxattr(d, n, "user.msb.x.security.capability", "x", 1, 0),
		-EPERM);
	assert_int_equal(d_getxattr(d, n, "user.msb.stat", value, 100),
	                 -ENODATA);
	assert_int_equal(d_removexattr(d, n, "user.msb.stat"), -EPERM);
	assert_int_equal(d_setxattr(d, n, "system.posix_acl_access", "x", 1, 0),
	                 -EOPNOTSUPP);
	r = d_listxattr(d, n, list, sizeof(list));
	assert_int_equal(r, (int)sizeof("user.x") +
	                            (int)sizeof("security.selinux") +
	                            (int)sizeof("trusted.t"));
	assert_int_equal(d_listxattr(d, n, NULL, 0), r);
	assert_int_equal(d_listxattr(d, n, list, 5), -ERANGE);
	assert_int_equal(d_getxattr(d, n, "security.selinux", value, 10), 3);
	assert_int_equal(d_getxattr(d, n, "security.selinux", NULL, 0), 3);
	assert_int_equal(d_getxattr(d, n, "security.selinux", value, 2),
	                 -ERANGE);
	(void)snprintf(host, sizeof(host), "%s/a/f", d->top);
	assert_int_equal(getxattr(host, "security.selinux", value, 10), -1);
	assert_int_equal(
		getxattr(host, "user.msb.x.security.selinux", value, 10), 3);
	assert_int_equal(d_removexattr(d, n, "security.selinux"), 0);
	assert_int_equal(d_removexattr(d, n, "security.selinux"), -ENODATA);
	memset(value, 'v', sizeof(value));
	assert_int_equal(d_setxattr(d, n, "user.big", value, 65537, 0), -E2BIG);
	n = (uint64_t)d_symlink(d, a, "l", "f");
	assert_int_equal(d_setxattr(d, n, "user.x", "1", 1, 0), -EOPNOTSUPP);
	assert_int_equal(d_listxattr(d, n, list, sizeof(list)), 0);
}

static void a_share_that_must_not_change(void **state)
{
	struct driver *d = *state;
	uint64_t b = (uint64_t)d_share(d, "b"), a = (uint64_t)d_share(d, "a");
	uint64_t n, fh, m, wh;
	struct fuse_copy_file_range_in c;
	int fd = openat(d->top_fd, "b/f", O_CREAT | O_WRONLY, 0644);

	assert_int_equal(write(fd, "ro", 2), 2);
	assert_int_equal(close(fd), 0);
	n = (uint64_t)d_lookup(d, b, "f");
	assert_int_equal(d_open(d, n, O_RDWR, &fh, NULL), -EROFS);
	assert_int_equal(d_open(d, n, O_WRONLY, &fh, NULL), -EROFS);
	assert_int_equal(d_open(d, n, O_RDONLY | O_TRUNC, &fh, NULL), -EROFS);
	assert_int_equal(d_open(d, n, O_RDONLY, &fh, NULL), 0);
	assert_int_equal(d_write(d, n, fh, 0, "x", 1), -EROFS);
	assert_int_equal(d_fallocate(d, n, fh, 0, 0, 10), -EROFS);
	assert_int_equal(d_truncate(d, n, 0), -EROFS);
	assert_int_equal(d_chmod(d, n, 0777), -EROFS);
	assert_int_equal(d_setxattr(d, n, "user.x", "1", 1, 0), -EROFS);
	assert_int_equal(d_removexattr(d, n, "user.x"), -EROFS);
	assert_int_equal(d_unlink(d, b, "f"), -EROFS);
	assert_int_equal(d_rmdir(d, b, "f"), -EROFS);
	assert_int_equal(d_mkdir(d, b, "x", 0755), -EROFS);
	assert_int_equal(d_mknod(d, b, "x", S_IFREG, 0), -EROFS);
	assert_int_equal(d_symlink(d, b, "x", "y"), -EROFS);
	assert_int_equal(d_link(d, n, b, "x"), -EROFS);
	assert_int_equal(d_link(d, n, a, "x"), -EXDEV);
	assert_int_equal(d_rename(d, b, "f", b, "g", 0), -EROFS);
	assert_int_equal(d_rename(d, a, "f", b, "g", 0), -EXDEV);
	assert_int_equal(d_create(d, b, "x", O_RDWR, 0644, &m, &wh), -EROFS);
	assert_int_equal(d_create(d, a, "x", O_RDWR, 0644, &m, &wh), 0);
	c = (struct fuse_copy_file_range_in){
		.fh_in = wh, .nodeid_out = n, .fh_out = fh, .len = 1};
	assert_int_equal(driver_call(d, FUSE_COPY_FILE_RANGE, m, &c, sizeof(c),
	                             NULL, 0, NULL, 8),
	                 -EBADF); /* the handle cannot write */
	assert_int_equal(driver_call(d, FUSE_TMPFILE, b,
	                             &(struct fuse_create_in){.flags = O_RDWR},
	                             16, "x", 2, NULL, 200),
	                 -EROFS);
}

static void a_share_that_is_one_file(void **state)
{
	struct driver *d = *state;
	uint64_t b = (uint64_t)d_share(d, "b"), fh;
	struct fuse_attr at;
	char data[16] = {0};

	assert_int_equal(d_getattr(d, b, &at), 0);
	assert_true(S_ISREG(at.mode));
	assert_int_equal(d_open(d, b, O_RDWR, &fh, NULL), 0);
	assert_int_equal(d_write(d, b, fh, 0, "ONE", 3), 3);
	assert_int_equal(d_read(d, b, fh, 0, data, sizeof(data)), 8);
	assert_string_equal(data, "ONE file");
	assert_int_equal(d_truncate(d, b, 3), 0);
	assert_int_equal(d_lookup(d, b, "x"), -ENOTDIR);
	assert_int_equal(d_mkdir(d, b, "x", 0755), -ENOTDIR);
	assert_int_equal(d_opendir(d, b, &fh), -ENOTDIR);
	assert_int_equal(d_link(d, b, (uint64_t)d_share(d, "a"), "x"), -EXDEV);
}

static void numbers_of_inodes_differ_between_devices(void **state)
{
	struct driver *d = *state;
	struct driver other;
	struct fuse_attr at, bt;
	uint64_t a, b;

	/* The other share is on another file system. */
	driver_open(&other, "/dev/shm", 1, NULL);
	fs_free(d->fs);
	d->shares[1] = other.shares[0];
	d->shares[1].name[0] = 'b';
	assert_int_equal(fs_new(&d->cfg, &d->fs, NULL), 0);
	assert_int_equal(driver_init(d, WIRE_MINOR, UINT64_MAX, NULL), 0);
	a = (uint64_t)d_share(d, "a");
	b = (uint64_t)d_share(d, "b");
	assert_int_equal(d_getattr(d, a, &at), 0);
	assert_int_equal(d_getattr(d, b, &bt), 0);
	assert_int_equal(at.ino >> 56, 0);
	assert_int_equal(bt.ino >> 56, 1);
	d->shares[1].fd = -1;
	driver_close(&other);
}

static void a_quota_counts_what_is_there(void **state)
{
	static char data[256 << 10];
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, fh;
	struct fuse_statfs_out st;
	int r, wrote = 0;

	assert_int_equal(d_create(d, a, "f", O_RDWR, 0600, &n, &fh), 0);
	d->cut = 4096;
	while ((r = d_write(d, n, fh, (uint64_t)wrote, data, sizeof(data))) > 0)
		wrote += r;
	assert_int_equal(r, -ENOSPC);
	assert_true(wrote >= 512 << 10 && wrote < 1 << 20);
	/* What is full can still be written over. */
	assert_int_equal(d_write(d, n, fh, 0, data, 4096), 4096);
	assert_int_equal(d_fallocate(d, n, fh, FALLOC_FL_KEEP_SIZE, 0, 8 << 20),
	                 -ENOSPC);
	assert_int_equal(driver_call(d, FUSE_STATFS, a, NULL, 0, NULL, 0, &st,
	                             sizeof(st)),
	                 sizeof(st));
	assert_int_equal(st.st.blocks * st.st.bsize, 1 << 20);
	assert_true(st.st.bfree * st.st.bsize < (1u << 20) - (unsigned)wrote);
	/* Open without a name it still takes its room. */
	assert_int_equal(d_unlink(d, a, "f"), 0);
	assert_int_equal(d_release(d, n, fh, false), 0);
	assert_int_equal(driver_call(d, FUSE_STATFS, a, NULL, 0, NULL, 0, &st,
	                             sizeof(st)),
	                 sizeof(st));
	assert_true(st.st.bfree * st.st.bsize < 1u << 19);
	d_forget(d, n, 1);
	assert_int_equal(driver_call(d, FUSE_STATFS, a, NULL, 0, NULL, 0, &st,
	                             sizeof(st)),
	                 sizeof(st));
	assert_int_equal(st.st.bfree, st.st.blocks);
	/* Names, folders, links: all of it comes back. */
	n = (uint64_t)d_mkdir(d, a, "d", 0755);
	assert_true(d_symlink(d, n, "l", "t") > 0);
	assert_int_equal(d_create(d, n, "f", O_RDWR, 0600, &fh, &fh), 0);
	assert_true(d_link(d, (uint64_t)d_lookup(d, n, "f"), n, "g") > 0);
	assert_int_equal(d_unlink(d, n, "l"), 0);
	assert_int_equal(d_rename(d, n, "f", n, "h", 0), 0);
	assert_int_equal(d_unlink(d, n, "g"), 0);
	assert_int_equal(d_unlink(d, n, "h"), 0);
	assert_int_equal(d_rmdir(d, a, "d"), 0);
	assert_int_equal(driver_call(d, FUSE_STATFS, a, NULL, 0, NULL, 0, &st,
	                             sizeof(st)),
	                 sizeof(st));
	assert_int_equal(st.st.bfree, st.st.blocks);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(big_folders_are_listed_in_pieces),
		T(who_asks_again_at_the_end_sees_what_is_new),
		T(two_listings_at_once),
		T(a_listing_without_room_counts_nothing),
		T(owners_and_modes_are_the_guests),
		T(setgid_folders_give_their_group),
		T(times_are_set),
		T(attributes_and_what_is_ours_among_them),
		cmocka_unit_test_setup_teardown(a_share_that_must_not_change,
	                                        setup_ro, teardown),
		cmocka_unit_test_setup_teardown(a_share_that_is_one_file,
	                                        setup_file, teardown),
		T(numbers_of_inodes_differ_between_devices),
		cmocka_unit_test_setup_teardown(a_quota_counts_what_is_there,
	                                        setup_quota, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
