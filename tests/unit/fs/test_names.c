/* Names by FUSE: found, given, taken away; nodes behind them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"
#include "driver.h"
#include "lib/test.h"

/* Few descriptors, so that nodes must be found again all the time. */
static void few(struct driver *d)
{
	d->cfg.fds_max = 1;
}

static void tiny(struct driver *d)
{
	d->cfg.inodes_max = 100;
	d->cfg.handles_max = 10;
}

static int setup(void **state)
{
	static struct driver d;

	driver_open(&d, "/tmp", 2, few);
	*state = &d;
	return 0;
}

static int setup_tiny(void **state)
{
	static struct driver d;

	driver_open(&d, "/tmp", 2, tiny);
	*state = &d;
	return 0;
}

static int teardown(void **state)
{
	driver_close(*state);
	return 0;
}

/* Push all others out of the cache of descriptors. */
static void flush_fds(struct driver *d, uint64_t share)
{
	char name[16];

	for (int i = 0; i < 70; i++) {
		int64_t n;
		uint64_t fh;

		(void)snprintf(name, sizeof(name), "fill%d", i);
		n = d_lookup(d, share, name);
		if (n < 0)
			n = d_mkdir(d, share, name, 0755);
		assert_true(n > 0);
		assert_int_equal(d_opendir(d, (uint64_t)n, &fh), 0);
		assert_int_equal(d_release(d, (uint64_t)n, fh, true), 0);
	}
}

static void names_that_are_no_names(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		int error;
	} bad[] = {
		{"",     1, -EINVAL},
                {".",    2, -EINVAL},
                {"..",   3, -EINVAL},
		{"/",    2, -EINVAL},
                {"/etc", 5, -EINVAL},
                {"a/b",  4, -EINVAL},
		{"../x", 5, -EINVAL},
                {"x",    1, -EINVAL}, /* no NUL */
		{"x\0y", 4, -EINVAL},
                {"x\0",  3, -EINVAL},
                {NULL,   0, -EINVAL},
	};
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a");
	struct fuse_entry_out e;
	char big[300];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		static const uint32_t ops[] = {FUSE_LOOKUP, FUSE_UNLINK,
		                               FUSE_RMDIR};

		for (size_t k = 0; k < ARRAY_SIZE(ops); k++)
			assert_int_equal(driver_call(d, ops[k], a, NULL, 0,
			                             bad[i].name, bad[i].len,
			                             &e, sizeof(e)),
			                 bad[i].error);
	}
	memset(big, 'x', sizeof(big));
	big[256] = '\0';
	assert_int_equal(d_lookup(d, a, big), -ENAMETOOLONG);
	assert_int_equal(d_mkdir(d, a, big, 0755), -ENAMETOOLONG);
	assert_int_equal(d_mkdir(d, a, "..", 0755), -EINVAL);
	assert_int_equal(d_mkdir(d, a, "../b", 0755), -EINVAL);
	assert_int_equal(d_symlink(d, a, "x/y", "t"), -EINVAL);
	assert_int_equal(d_rename(d, a, "..", a, "z", 0), -EINVAL);
	assert_int_equal(d_rename(d, a, "z", a, "a/z", 0), -EINVAL);
	big[255] = '\0';
	assert_true(d_mkdir(d, a, big, 0755) > 0);
}

static void the_root_lists_shares_and_nothing_changes_it(void **state)
{
	struct driver *d = *state;
	int64_t a = d_share(d, "a"), b = d_share(d, "b");
	uint64_t n, fh;
	char list[512];
	struct fuse_attr at;

	assert_true(a > 0 && b > 0 && a != b);
	assert_int_equal(d_share(d, "c"), -ENOENT);
	assert_int_equal(d_mkdir(d, FUSE_ROOT_ID, "x", 0755), -EPERM);
	assert_int_equal(d_create(d, FUSE_ROOT_ID, "x", O_RDWR, 0644, &n, &fh),
	                 -EPERM);
	assert_int_equal(d_rmdir(d, FUSE_ROOT_ID, "a"), -EPERM);
	assert_int_equal(d_rename(d, FUSE_ROOT_ID, "a", FUSE_ROOT_ID, "z", 0),
	                 -EPERM);
	assert_int_equal(d_rename(d, (uint64_t)a, "x", FUSE_ROOT_ID, "z", 0),
	                 -EXDEV);
	assert_int_equal(d_chmod(d, FUSE_ROOT_ID, 0777), -EPERM);
	assert_int_equal(d_getattr(d, FUSE_ROOT_ID, &at), 0);
	assert_int_equal(at.mode, S_IFDIR | 0555);
	assert_int_equal(d_opendir(d, FUSE_ROOT_ID, &fh), 0);
	assert_int_equal(
		d_readdir(d, FUSE_ROOT_ID, fh, 0, false, list, sizeof(list)),
		4 * 32);
	assert_int_equal(d_release(d, FUSE_ROOT_ID, fh, true), 0);
	/* Counted or not, a share's own node stays. */
	d_forget(d, (uint64_t)a, 1000);
	assert_int_equal(d_getattr(d, (uint64_t)a, NULL), 0);
}

static void numbers_that_were_never_given(void **state)
{
	static const uint64_t forged[] = {0, 4, 99, 1ull << 32, UINT64_MAX};
	struct driver *d = *state;

	for (size_t i = 0; i < ARRAY_SIZE(forged); i++) {
		assert_int_equal(d_getattr(d, forged[i], NULL), -ESTALE);
		assert_int_equal(d_lookup(d, forged[i], "x"), -ESTALE);
		assert_int_equal(d_open(d, forged[i], O_RDONLY, NULL, NULL),
		                 -ESTALE);
		d_forget(d, forged[i], 1);
	}
}

static void forgotten_nodes_are_gone_and_numbers_not_used_again(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a");
	int64_t n = d_mkdir(d, a, "x", 0755), m;

	assert_int_equal(d_lookup(d, a, "x"), n);
	d_forget(d, (uint64_t)n, 1);
	assert_int_equal(d_getattr(d, (uint64_t)n, NULL), 0);
	d_forget(d, (uint64_t)n, UINT64_MAX); /* below zero */
	assert_int_equal(d_getattr(d, (uint64_t)n, NULL), -ESTALE);
	d_forget(d, (uint64_t)n, 1);
	m = d_lookup(d, a, "x");
	assert_true(m > n);
}

static void batches_of_forgets(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a");
	struct fuse_forget_one ones[2];
	struct fuse_batch_forget_in b = {.count = 1000000};
	struct fs_stats st;

	for (int i = 0; i < 2; i++) {
		char name[] = {(char)('p' + i), '\0'};

		ones[i].nodeid = (uint64_t)d_mkdir(d, a, name, 0755);
		ones[i].nlookup = 1;
	}
	fs_get_stats(d->fs, &st);
	assert_int_equal(st.inodes, 2);
	/* It says more than it has. */
	assert_int_equal(driver_call(d, FUSE_BATCH_FORGET, 0, &b, sizeof(b),
	                             ones, sizeof(ones), NULL, 0),
	                 0);
	fs_get_stats(d->fs, &st);
	assert_int_equal(st.inodes, 0);
}

static void hard_links_are_one_node(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, fh;
	struct fuse_attr at;
	char data[8] = {0};

	assert_int_equal(d_create(d, a, "one", O_RDWR, 0600, &n, &fh), 0);
	assert_int_equal(d_write(d, n, fh, 0, "data", 4), 4);
	assert_int_equal(d_link(d, n, a, "two"), n);
	assert_int_equal(d_link(d, n, a, "one"), -EEXIST);
	assert_int_equal(d_release(d, n, fh, false), 0);
	assert_int_equal(d_getattr(d, n, &at), 0);
	assert_int_equal(at.nlink, 2);
	/* The name it was found by last goes; the other is not known yet. */
	assert_int_equal(d_unlink(d, a, "two"), 0);
	flush_fds(d, a);
	assert_int_equal(d_open(d, n, O_RDONLY, &fh, NULL), 0);
	assert_int_equal(d_read(d, n, fh, 0, data, sizeof(data)), 4);
	assert_int_equal(d_release(d, n, fh, false), 0);
	assert_int_equal(d_lookup(d, a, "one"), n);
	assert_int_equal(d_unlink(d, a, "one"), 0);
	assert_int_equal(d_getattr(d, n, &at), 0);
	assert_int_equal(at.nlink, 0);
	assert_int_equal(d_link(d, a, a, "dir"), -EXDEV);
	assert_int_equal(
		d_link(d, (uint64_t)d_mkdir(d, a, "dd", 0755), a, "dir"),
		-EPERM);
}

static void nodes_are_found_again_without_descriptors(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n = a, fh;
	struct fs_stats st;
	char name[16];

	for (int i = 0; i < 100; i++) {
		int64_t next;

		(void)snprintf(name, sizeof(name), "deep%d", i);
		next = d_mkdir(d, n, name, 0755);
		assert_true(next > 0);
		n = (uint64_t)next;
	}
	flush_fds(d, a);
	assert_int_equal(d_create(d, n, "f", O_RDWR, 0600, &n, &fh), 0);
	assert_int_equal(d_release(d, n, fh, false), 0);
	flush_fds(d, a);
	assert_int_equal(d_truncate(d, n, 5), 0);
	fs_get_stats(d->fs, &st);
	assert_true(st.fds <= 64);
}

static void a_path_longer_than_paths_may_be(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n = a, fh;
	char name[256];

	memset(name, 'n', 255);
	name[255] = '\0';
	for (int i = 0; i < 50; i++) {
		n = (uint64_t)d_mkdir(d, n, name, 0755);
		assert_true((int64_t)n > 0);
	}
	flush_fds(d, a);
	assert_int_equal(d_opendir(d, n, &fh), 0);
}

static void renamed_files_keep_their_nodes(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), b = (uint64_t)d_share(d, "b");
	uint64_t x = (uint64_t)d_mkdir(d, a, "x", 0755);
	uint64_t y = (uint64_t)d_mkdir(d, a, "y", 0755);
	uint64_t in = (uint64_t)d_mkdir(d, x, "in", 0755), n, fh, m;

	assert_int_equal(d_create(d, in, "f", O_RDWR, 0600, &n, &fh), 0);
	assert_int_equal(d_release(d, n, fh, false), 0);
	assert_int_equal(d_rename(d, x, "in", y, "moved", 0), 0);
	flush_fds(d, a);
	assert_int_equal(d_truncate(d, n, 1), 0);
	assert_int_equal(d_lookup(d, y, "moved"), in);
	assert_int_equal(d_rename(d, a, "y", y, "z", 0), -EINVAL);
	assert_int_equal(d_rename(d, a, "y", b, "y", 0), -EXDEV);
	assert_int_equal(d_rename(d, a, "none", a, "y", 0), -ENOENT);
	assert_int_equal(d_rename(d, a, "x", a, "y", RENAME_NOREPLACE),
	                 -EEXIST);
	assert_int_equal(d_rename(d, a, "x", a, "y", RENAME_WHITEOUT), -EINVAL);
	assert_int_equal(d_rename(d, a, "x", a, "y", RENAME_EXCHANGE), 0);
	flush_fds(d, a);
	assert_int_equal(d_lookup(d, a, "x"), y);
	assert_int_equal(d_lookup(d, a, "y"), x);
	assert_int_equal(d_lookup(d, y, "moved"), in);
	assert_int_equal(d_truncate(d, n, 2), 0);
	/* Over another file that is in use. */
	assert_int_equal(d_create(d, a, "over", O_RDWR, 0600, &m, &fh), 0);
	assert_int_equal(d_write(d, m, fh, 0, "old", 3), 3);
	assert_int_equal(d_rename(d, in, "f", a, "over", 0), 0);
	assert_int_equal(d_lookup(d, a, "over"), n);
	flush_fds(d, a);
	assert_int_equal(d_truncate(d, m, 1), 0);
	assert_int_equal(d_truncate(d, n, 3), 0);
	assert_int_equal(d_release(d, m, fh, false), 0);
	assert_int_equal(d_getattr(d, m, NULL), 0);
}

static void two_names_of_one_file_are_both_kept_by_rename(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, fh;

	assert_int_equal(d_create(d, a, "p", O_RDWR, 0600, &n, &fh), 0);
	assert_int_equal(d_link(d, n, a, "q"), n);
	assert_int_equal(d_rename(d, a, "p", a, "q", 0), 0);
	assert_int_equal(d_lookup(d, a, "p"), n);
	assert_int_equal(d_lookup(d, a, "q"), n);
	assert_int_equal(d_unlink(d, a, "p"), 0);
	assert_int_equal(d_unlink(d, a, "q"), 0);
	assert_int_equal(d_release(d, n, fh, false), 0);
}

static void removed_folders_stay_known(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a");
	uint64_t x = (uint64_t)d_mkdir(d, a, "x", 0755);
	struct fuse_attr at;

	assert_true(d_mkdir(d, x, "y", 0755) > 0);
	assert_int_equal(d_rmdir(d, a, "x"), -ENOTEMPTY);
	assert_int_equal(d_unlink(d, a, "x"), -EISDIR);
	assert_int_equal(d_rmdir(d, x, "y"), 0);
	assert_int_equal(d_rmdir(d, a, "x"), 0);
	assert_int_equal(d_rmdir(d, a, "x"), -ENOENT);
	assert_int_equal(d_getattr(d, x, &at), 0);
	assert_int_equal(d_mkdir(d, x, "z", 0755), -ENOENT);
	d_forget(d, x, 1);
	assert_int_equal(d_getattr(d, x, &at), -ESTALE);
}

/* The host's changes: what is opened again must be the same file. */
static void a_file_swapped_on_the_host_is_stale(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, m, fh;

	assert_int_equal(d_create(d, a, "f", O_RDWR, 0600, &n, &fh), 0);
	assert_int_equal(d_release(d, n, fh, false), 0);
	flush_fds(d, a);
	assert_int_equal(renameat(d->top_fd, "a/f", d->top_fd, "a/f.old"), 0);
	assert_int_equal(symlinkat("/etc/passwd", d->top_fd, "a/f"), 0);
	assert_int_equal(d_open(d, n, O_RDONLY, &fh, NULL), -ESTALE);
	assert_int_equal(d_getattr(d, n, NULL), -ESTALE);
	m = (uint64_t)d_lookup(d, a, "f");
	assert_true(m != n);
	assert_int_equal(d_open(d, m, O_RDONLY, &fh, NULL), -EPERM);
	/* Found by its new name it is itself again. */
	assert_int_equal(d_lookup(d, a, "f.old"), n);
	assert_int_equal(d_open(d, n, O_RDONLY, &fh, NULL), 0);
	assert_int_equal(d_release(d, n, fh, false), 0);
}

static void folders_turned_upside_down_on_the_host(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a");
	uint64_t x = (uint64_t)d_mkdir(d, a, "x", 0755);
	uint64_t y = (uint64_t)d_mkdir(d, x, "y", 0755), fh;

	assert_int_equal(d_opendir(d, y, &fh), 0);
	assert_int_equal(renameat(d->top_fd, "a/x/y", d->top_fd, "a/y"), 0);
	assert_int_equal(renameat(d->top_fd, "a/x", d->top_fd, "a/y/x"), 0);
	/* y is still anchored in x when x is found in y. */
	assert_int_equal(d_lookup(d, y, "x"), x);
	flush_fds(d, a);
	(void)d_getattr(d, x, NULL);
	(void)d_getattr(d, y, NULL);
	assert_int_equal(d_lookup(d, a, "y"), y);
	assert_int_equal(d_getattr(d, x, NULL), 0);
	d_forget(d, x, UINT64_MAX);
	d_forget(d, y, UINT64_MAX);
}

static void a_folder_moved_out_of_the_share_is_lost(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a");
	uint64_t x = (uint64_t)d_mkdir(d, a, "x", 0755);

	assert_int_equal(mkdirat(d->top_fd, "outside", 0755), 0);
	assert_int_equal(mkdirat(d->top_fd, "outside/secret", 0755), 0);
	assert_int_equal(renameat(d->top_fd, "a/x", d->top_fd, "outside/x"), 0);
	assert_int_equal(d_lookup(d, x, ".."), -EINVAL);
	assert_int_equal(d_lookup(d, x, "secret"), -ENOENT);
	flush_fds(d, a);
	assert_int_equal(d_lookup(d, x, "y"), -ESTALE);
	assert_int_equal(d_getattr(d, x, NULL), -ESTALE);
	assert_int_equal(d_mkdir(d, x, "y", 0755), -ESTALE);
}

static void special_files_of_the_host_are_never_opened(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, fh;
	struct fuse_attr at;

	assert_int_equal(mkfifoat(d->top_fd, "a/fifo", 0666), 0);
	n = (uint64_t)d_lookup(d, a, "fifo");
	assert_int_equal(d_getattr(d, n, &at), 0);
	assert_true(S_ISFIFO(at.mode));
	assert_int_equal(d_open(d, n, O_RDONLY, &fh, NULL), -EPERM);
	assert_int_equal(d_open(d, n, O_WRONLY, &fh, NULL), -EPERM);
	assert_int_equal(d_truncate(d, n, 0), -EINVAL);
	assert_int_equal(d_opendir(d, n, &fh), -ENOTDIR);
}

static void devices_of_the_guest_are_files_of_the_host(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, fh;
	struct fuse_attr at;
	struct stat st;

	n = (uint64_t)d_mknod(d, a, "null", S_IFCHR | 0666, 0x103);
	assert_int_equal(d_getattr(d, n, &at), 0);
	assert_true(S_ISCHR(at.mode));
	assert_int_equal(at.rdev, 0x103);
	assert_int_equal(fstatat(d->top_fd, "a/null", &st, 0), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(d_open(d, n, O_RDONLY, &fh, NULL), -EPERM);
	assert_int_equal(d_truncate(d, n, 10), -EINVAL);
	assert_true(d_mknod(d, a, "sock", S_IFSOCK | 0600, 0) > 0);
	assert_int_equal(d_mknod(d, a, "dir", S_IFDIR | 0600, 0), -EINVAL);
	assert_int_equal(d_mknod(d, a, "link", S_IFLNK | 0600, 0), -EINVAL);
}

static void symlinks_are_text(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, fh;
	char text[4097], big[4098];

	n = (uint64_t)d_symlink(d, a, "l", "../../../etc/passwd");
	assert_true((int64_t)n > 0);
	assert_int_equal(d_readlink(d, n, text, sizeof(text)), 19);
	assert_string_equal(text, "../../../etc/passwd");
	assert_int_equal(d_open(d, n, O_RDONLY, &fh, NULL), -EPERM);
	assert_int_equal(d_opendir(d, n, &fh), -ENOTDIR);
	assert_int_equal(d_lookup(d, n, "x"), -ENOTDIR);
	assert_int_equal(d_chown(d, n, 1000, 1000), 0);
	assert_int_equal(d_chmod(d, n, 0600), -EOPNOTSUPP);
	assert_int_equal(d_readlink(d, a, text, sizeof(text)), -EINVAL);
	memset(big, 'x', sizeof(big));
	big[4096] = '\0';
	assert_int_equal(d_symlink(d, a, "big", big), -ENAMETOOLONG);
	big[4095] = '\0';
	n = (uint64_t)d_symlink(d, a, "big", big);
	assert_int_equal(d_readlink(d, n, text, sizeof(text)), 4095);
}

static void tables_are_bounded(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n = 0, fh;
	struct fs_stats st;
	char name[16];
	int i, r = 0;

	for (i = 0; i < 200; i++) {
		int64_t got;

		(void)snprintf(name, sizeof(name), "n%d", i);
		got = d_mkdir(d, a, name, 0755);
		if (got < 0) {
			r = (int)got;
			break;
		}
		n = (uint64_t)got;
	}
	assert_int_equal(i, 100);
	assert_int_equal(r, -ENFILE);
	/* Nothing half made is left. */
	assert_int_equal(faccessat(d->top_fd, "a/n100", F_OK, 0), -1);
	for (i = 0; i < 20 && d_opendir(d, n, &fh) == 0; i++)
		;
	assert_int_equal(i, 10);
	assert_int_equal(d_opendir(d, n, &fh), -ENFILE);
	fs_get_stats(d->fs, &st);
	assert_int_equal(st.handles, 10);
	assert_int_equal(st.inodes, 100);
	d_forget(d, n - 1, 1);
	assert_true(d_mkdir(d, a, "again", 0755) > 0);
	fs_reset(d->fs);
	fs_get_stats(d->fs, &st);
	assert_int_equal(st.handles + st.inodes + st.fds, 0);
}

static void a_new_session_begins_with_nothing(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a");
	int64_t n = d_mkdir(d, a, "x", 0755);
	struct fuse_init_out out;

	assert_int_equal(
		driver_call(d, FUSE_DESTROY, 0, NULL, 0, NULL, 0, NULL, 0), 0);
	assert_int_equal(d_getattr(d, a, NULL), -EIO);
	assert_int_equal(driver_init(d, 30, 0, &out), -EPROTO);
	assert_int_equal(driver_init(d, 99, UINT64_MAX, &out), 0);
	assert_int_equal(out.minor, WIRE_MINOR);
	assert_true(out.flags & FUSE_HANDLE_KILLPRIV_V2);
	assert_int_equal(out.flags & (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS |
	                              FUSE_WRITEBACK_CACHE),
	                 0);
	assert_int_equal(driver_init(d, 31, 0, &out), 0);
	assert_int_equal(out.minor, 31);
	assert_int_equal(out.flags, 0);
	assert_int_equal(d_getattr(d, (uint64_t)n, NULL), -ESTALE);
	assert_int_equal(d_share(d, "a"), a);
}

static void requests_that_contradict_themselves(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a");
	struct fuse_in_header h = {.len = 40, .opcode = FUSE_GETATTR};
	struct iovec o = {&h, sizeof(h)}, i = {NULL, 0};
	struct iov out = {.v = &o, .n = 1, .len = sizeof(h)};
	struct iov in = {.v = &i, .n = 0, .len = 0};
	uint8_t room[15];
	uint32_t len = 7;

	/* No room for an answer, none at all, and too small a one. */
	assert_int_equal(fs_request(d->fs, &out, &in, &len), -EPROTO);
	o = (struct iovec){&h, sizeof(h)};
	out = (struct iov){.v = &o, .n = 1, .len = sizeof(h)};
	i = (struct iovec){room, sizeof(room)};
	in = (struct iov){.v = &i, .n = 1, .len = sizeof(room)};
	assert_int_equal(fs_request(d->fs, &out, &in, &len), -EPROTO);
	h.len = 41;
	o = (struct iovec){&h, sizeof(h)};
	out = (struct iov){.v = &o, .n = 1, .len = sizeof(h)};
	assert_int_equal(fs_request(d->fs, &out, &in, &len), -EPROTO);
	o = (struct iovec){&h, 39};
	out = (struct iov){.v = &o, .n = 1, .len = 39};
	assert_int_equal(fs_request(d->fs, &out, &in, &len), -EPROTO);
	assert_int_equal(len, 7);
	/* Arguments cut off, or no room for what would be answered. */
	for (uint32_t op = 1; op < 64; op++) {
		int r = driver_call(d, op, a, "", 1, NULL, 0, NULL, 0);

		assert_true(r <= 0);
		assert_int_equal(d->raw, 0);
	}
	assert_int_equal(driver_init(d, WIRE_MINOR, UINT64_MAX, NULL), 0);
	assert_int_equal(driver_call(d, 999, a, NULL, 0, NULL, 0, NULL, 0),
	                 -ENOSYS);
	assert_int_equal(
		driver_call(d, FUSE_FLUSH, a, NULL, 0, NULL, 0, NULL, 0),
		-ENOSYS);
	assert_int_equal(
		driver_call(d, FUSE_IOCTL, a, NULL, 0, NULL, 0, NULL, 0),
		-ENOSYS);
}

/* Nobody counts a folder but the file in it, which the request moves away. */
static void a_forgotten_folder_lives_through_its_request(void **state)
{
	static const uint32_t flags[] = {0, RENAME_EXCHANGE};
	struct driver *d = *state;
	int64_t a = d_share(d, "a");

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		for (int reverse = 0; reverse < 2; reverse++) {
			int64_t from = d_mkdir(d, a, "from", 0755);
			int64_t to = d_mkdir(d, a, "to", 0755);
			int64_t gone = reverse ? to : from;

			assert_true(d_mknod(d, from, "x", S_IFREG | 0644, 0) >
			            0);
			assert_true(d_mknod(d, to, "y", S_IFREG | 0644, 0) > 0);
			d_forget(d, (uint64_t)gone, 1);
			assert_int_equal(
				d_rename(d, from, "x", to, "y", flags[i]), 0);
			from = d_lookup(d, a, "from");
			to = d_lookup(d, a, "to");
			(void)d_unlink(d, from, "x");
			assert_int_equal(d_unlink(d, to, "y"), 0);
			assert_int_equal(d_rmdir(d, a, "from"), 0);
			assert_int_equal(d_rmdir(d, a, "to"), 0);
		}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(names_that_are_no_names),
		T(the_root_lists_shares_and_nothing_changes_it),
		T(numbers_that_were_never_given),
		T(forgotten_nodes_are_gone_and_numbers_not_used_again),
		T(batches_of_forgets),
		T(a_forgotten_folder_lives_through_its_request),
		T(hard_links_are_one_node),
		T(nodes_are_found_again_without_descriptors),
		T(a_path_longer_than_paths_may_be),
		T(renamed_files_keep_their_nodes),
		T(two_names_of_one_file_are_both_kept_by_rename),
		T(removed_folders_stay_known),
		T(a_file_swapped_on_the_host_is_stale),
		T(folders_turned_upside_down_on_the_host),
		T(a_folder_moved_out_of_the_share_is_lost),
		T(special_files_of_the_host_are_never_opened),
		T(devices_of_the_guest_are_files_of_the_host),
		T(symlinks_are_text),
		cmocka_unit_test_setup_teardown(tables_are_bounded, setup_tiny,
	                                        teardown),
		T(a_new_session_begins_with_nothing),
		T(requests_that_contradict_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
