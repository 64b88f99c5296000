/*
 * Read-only shares, guests without measure, forged attributes (attacks.md C4,
 * C5, C6).
 */
#include "hostile.h"
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/num.h"
#include "fs/owner.h"

static int setup_with(void **state, void (*tune)(struct driver *d))
{
	struct world *w = calloc(1, sizeof(*w));

	world_open(w, "/var/tmp", tune);
	*state = w;
	return 0;
}

/* ---- read-only ---- */

static void read_only(struct driver *d)
{
	d->shares[0].read_only = true;
}

static int ro_setup(void **state)
{
	return setup_with(state, read_only);
}

#define RO(call)                                                               \
	do {                                                                   \
		int64_t ro_ = (call);                                          \
		if (ro_ != -EROFS)                                             \
			fail_msg("%s: %lld", #call, (long long)ro_);           \
	} while (0)

static void fill_tree(struct world *w)
{
	int fd;

	host_file(w->a_fd, "f", INSIDE);
	host_file(w->a_fd, "g", INSIDE);
	fd = openat(w->a_fd, "f", O_RDONLY);
	assert_int_equal(fsetxattr(fd, "user.x", "y", 1, 0), 0);
	(void)close(fd);
	assert_int_equal(fchmodat(w->a_fd, "g", 04755, 0), 0);
	assert_int_equal(mkdirat(w->a_fd, "d", 0755), 0);
	assert_int_equal(mkdirat(w->a_fd, "d/e", 0755), 0);
	assert_int_equal(symlinkat("f", w->a_fd, "l"), 0);
	assert_int_equal(mkfifoat(w->a_fd, "p", 0644), 0);
}

static void change_names(struct world *w, uint64_t f, uint64_t d)
{
	struct driver *x = &w->d;
	struct fuse_create_in a = {.flags = O_RDWR, .mode = 0600};
	char out[200];
	uint64_t n, fh;

	RO(d_mkdir(x, w->a, "new", 0755));
	RO(d_mkdir(x, d, "new", 0755));
	RO(d_mknod(x, w->a, "new", S_IFREG | 0644, 0));
	RO(d_mknod(x, w->a, "new", S_IFCHR | 0644, 0x103));
	RO(d_symlink(x, w->a, "new", "f"));
	RO(d_create(x, w->a, "new", O_RDWR, 0644, &n, &fh));
	RO(d_create(x, w->a, "new", O_RDONLY, 0644, &n, &fh));
	RO(d_create(x, w->a, "f", O_RDWR | O_TRUNC, 0644, &n, &fh));
	RO(driver_call(x, FUSE_TMPFILE, w->a, &a, sizeof(a), "", 1, out,
	               sizeof(out)));
	RO(d_link(x, f, w->a, "new"));
	RO(d_unlink(x, w->a, "f"));
	RO(d_unlink(x, w->a, "p"));
	RO(d_unlink(x, w->a, "none"));
	RO(d_rmdir(x, d, "e"));
	RO(d_rename(x, w->a, "f", w->a, "new", 0));
	RO(d_rename(x, w->a, "f", w->a, "g", RENAME_EXCHANGE));
	RO(d_rename(x, w->a, "f", w->b, "f", 0));
	assert_int_equal(d_rename(x, w->b, "h", w->a, "h", 0), -EXDEV);
	assert_int_equal(d_link(x, f, w->b, "h2"), -EXDEV);
}

static void change_files(struct world *w, uint64_t f, uint64_t link)
{
	struct driver *x = &w->d;
	static const uint32_t valid[] = {FATTR_MODE,
	                                 FATTR_UID,
	                                 FATTR_GID,
	                                 FATTR_SIZE,
	                                 FATTR_ATIME,
	                                 FATTR_MTIME,
	                                 FATTR_ATIME_NOW,
	                                 FATTR_MTIME_NOW,
	                                 FATTR_SIZE | FATTR_KILL_SUIDGID,
	                                 0x3fff};
	static const uint32_t flags[] = {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC,
	                                 O_WRONLY | O_APPEND, O_RDWR | O_TRUNC};
	struct fuse_copy_file_range_in copy = {.len = 4, .nodeid_out = f};
	uint64_t fh, h, hh;
	char data[16] = "data";
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(valid); i++) {
		struct fuse_setattr_in a = {.valid = valid[i], .mode = 0777};

		RO(d_setattr(x, f, &a, NULL));
		RO(d_setattr(x, link, &a, NULL));
		RO(d_setattr(x, w->a, &a, NULL));
	}
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		RO(d_open(x, f, flags[i], &fh, NULL));
	RO(d_setxattr(x, f, "user.n", "v", 1, 0));
	RO(d_setxattr(x, f, "security.capability", "v", 1, 0));
	RO(d_removexattr(x, f, "user.x"));
	/* With a handle that may read. */
	assert_int_equal(d_open(x, f, O_RDONLY, &fh, NULL), 0);
	RO(d_write(x, f, fh, 0, data, 4));
	RO(d_write_flags(x, f, fh, 0, data, 4, FUSE_WRITE_CACHE));
	RO(d_fallocate(x, f, fh, 0, 0, 10000));
	RO(d_fallocate(x, f, fh, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
	               10));
	h = (uint64_t)d_lookup(x, w->b, "h");
	assert_int_equal(d_open(x, h, O_RDWR, &hh, NULL), 0);
	copy.fh_in = hh;
	copy.fh_out = fh;
	r = driver_call(x, FUSE_COPY_FILE_RANGE, h, &copy, sizeof(copy), NULL,
	                0, data, 8);
	assert_true(r == -EROFS || r == -EBADF);
	/* Out of it, that is reading. */
	copy.fh_in = fh;
	copy.fh_out = hh;
	copy.nodeid_out = h;
	assert_int_equal(driver_call(x, FUSE_COPY_FILE_RANGE, f, &copy,
	                             sizeof(copy), NULL, 0, data, 8),
	                 8);
	assert_int_equal(d_read(x, f, fh, 0, data, 6), 6);
}

static void nothing_of_a_read_only_share_changes(void **state)
{
	struct world *w = *state;
	uint64_t f, d, l;
	char *before, *after;

	fill_tree(w);
	host_file(w->b_fd, "h", INSIDE);
	before = tree_text(w->a_fd);
	f = (uint64_t)d_lookup(&w->d, w->a, "f");
	d = (uint64_t)d_lookup(&w->d, w->a, "d");
	l = (uint64_t)d_lookup(&w->d, w->a, "l");
	change_names(w, f, d);
	change_files(w, f, l);
	change_names(w, (uint64_t)d_lookup(&w->d, w->a, "g"), d);
	after = tree_text(w->a_fd);
	assert_string_equal(before, after);
	free(before);
	free(after);
}

/* ---- without measure ---- */

static void small_tables(struct driver *d)
{
	d->cfg.inodes_max = 1000;
	d->cfg.handles_max = 100;
	d->cfg.fds_max = 64;
}

static int small_setup(void **state)
{
	return setup_with(state, small_tables);
}

static long resident(void)
{
	long pages = 0, all;
	FILE *f = fopen("/proc/self/statm", "re");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld %ld", &all, &pages), 2);
	(void)fclose(f);
	return pages * 4096;
}

static void many_files(int dir_fd, int n)
{
	char name[32];

	for (int i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(mknodat(dir_fd, name, S_IFREG | 0644, 0), 0);
	}
}

/* 1,000,000 lookups of which none is taken back. */
static void lookups_without_end_fill_a_table_and_nothing_else(void **state)
{
	struct world *w = *state;
	unsigned long full = 0;
	struct fs_stats s;
	long before;
	char name[32];
	uint64_t fh;

	many_files(w->a_fd, 2000);
	host_file(w->b_fd, "f", INSIDE);
	assert_true(d_lookup(&w->d, w->b, "f") > 0);
	before = resident();
	for (int i = 0; i < 1000000; i++) {
		int64_t n;

		(void)snprintf(name, sizeof(name), "n%d",
		               i < 4000 ? i % 2000 : i % 900);
		n = d_lookup(&w->d, w->a, name);
		full += n == -ENFILE;
		assert_true(n > 0 || n == -ENFILE);
	}
	fs_get_stats(w->d.fs, &s);
	assert_int_equal(s.inodes, 1000);
	assert_true(s.fds <= 200);
	assert_true(full > 1000);
	assert_true(resident() - before < 64l << 20);
	/* What is known works on, in both shares; no name gets lost. */
	assert_true(d_lookup(&w->d, w->b, "f") > 0);
	assert_int_equal(d_open(&w->d, (uint64_t)d_lookup(&w->d, w->b, "f"),
	                        O_RDWR, &fh, NULL),
	                 0);
	assert_int_equal(d_mkdir(&w->d, w->b, "d", 0755), -ENFILE);
	assert_int_equal(faccessat(w->b_fd, "d", F_OK, 0), -1);
	assert_int_equal(d_mknod(&w->d, w->b, "m", S_IFREG | 0600, 0), -ENFILE);
	assert_int_equal(faccessat(w->b_fd, "m", F_OK, 0), -1);
	/* Taken back, there is room again. */
	d_forget(&w->d, (uint64_t)d_lookup(&w->d, w->a, "n0"), UINT64_MAX);
	assert_true(d_mkdir(&w->d, w->b, "d", 0755) > 0);
}

static void handles_without_end_are_refused(void **state)
{
	struct world *w = *state;
	uint64_t f, fh[100], dh, n;

	host_file(w->a_fd, "f", INSIDE);
	f = (uint64_t)d_lookup(&w->d, w->a, "f");
	for (size_t i = 0; i < ARRAY_SIZE(fh); i++)
		assert_int_equal(d_open(&w->d, f, O_RDONLY, &fh[i], NULL), 0);
	for (int i = 0; i < 100000; i++) {
		int r = i % 2 ? d_open(&w->d, f, O_RDONLY, &dh, NULL)
		              : d_opendir(&w->d, w->a, &dh);

		assert_true(r == -ENFILE || r == -EMFILE);
	}
	assert_true(d_create(&w->d, w->a, "new", O_RDWR, 0644, &n, &dh) < 0);
	assert_int_equal(faccessat(w->a_fd, "new", F_OK, 0), -1);
	assert_int_equal(d_getattr(&w->d, f, NULL), 0);
	assert_int_equal(d_release(&w->d, f, fh[7], false), 0);
	assert_int_equal(d_opendir(&w->d, w->b, &dh), 0);
}

/* The process's own limit is less than what the guest may have. */
static void descriptors_that_run_out_are_an_answer(void **state)
{
	struct world *w = *state;
	struct rlimit was, lim = {300, 300};
	uint64_t f, fh;
	int64_t n;
	int r = 0;
	char name[32];

	many_files(w->a_fd, 400);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	lim.rlim_max = was.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
	for (int i = 0; i < 1000 && r == 0; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i % 400);
		n = d_lookup(&w->d, w->a, name);
		if (n < 0)
			break;
		r = d_open(&w->d, (uint64_t)n, O_RDONLY, &fh, NULL);
	}
	assert_true(r == -EMFILE || r == -ENFILE);
	f = (uint64_t)d_lookup(&w->d, w->a, "n1");
	assert_int_equal(d_getattr(&w->d, f, NULL), 0);
	assert_int_equal(d_lookup(&w->d, w->a, "none"), -ENOENT);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(d_open(&w->d, f, O_RDONLY, &fh, NULL), 0);
}

static void attributes_of_any_size_are_an_answer(void **state)
{
	static const size_t sizes[] = {0, 1, 4000, 65535, 65536, 65537, 70000};
	struct world *w = *state;
	char *value = calloc(1, 80000), *got = malloc(1 << 20);
	struct fuse_getxattr_in a = {.size = UINT32_MAX};
	uint64_t f;
	int r;

	host_file(w->a_fd, "f", INSIDE);
	f = (uint64_t)d_lookup(&w->d, w->a, "f");
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		r = d_setxattr(&w->d, f, "user.big", value, sizes[i], 0);
		assert_true(r == 0 || r == -ENOSPC || r == -E2BIG ||
		            r == -EINVAL);
		assert_true(sizes[i] <= 65536 || r < 0);
	}
	/* A length that is a lie, either way. */
	{
		uint32_t lie[2] = {1u << 30, 0};
		char text[] = "user.big\0abc";

		assert_true(driver_call(&w->d, FUSE_SETXATTR, f, lie,
		                        sizeof(lie), text, sizeof(text), NULL,
		                        0) < 0);
		lie[0] = 0;
		assert_true(driver_call(&w->d, FUSE_SETXATTR, f, lie,
		                        sizeof(lie), text, sizeof(text), NULL,
		                        0) < 0);
	}
	r = driver_call(&w->d, FUSE_GETXATTR, f, &a, sizeof(a), "user.big", 9,
	                got, 1 << 20);
	assert_true(r >= 0 && r <= 65536);
	r = driver_call(&w->d, FUSE_LISTXATTR, f, &a, sizeof(a), NULL, 0, got,
	                1 << 20);
	assert_true(r > 0 && r < 65536);
	free(value);
	free(got);
}

/* 100,000 entries (attacks.md has 1,000,000: the same code, a minute more). */
#define ENTRIES 100000

static void a_folder_without_end_is_listed_in_bounded_memory(void **state)
{
	struct world *w = *state;
	uint8_t *seen = calloc(1, ENTRIES);
	static char data[65536];
	uint64_t fh, off = 0;
	struct fs_stats s;
	long before;
	int64_t dir;
	int fd, r;

	assert_int_equal(mkdirat(w->a_fd, "d", 0755), 0);
	fd = openat(w->a_fd, "d", O_RDONLY);
	many_files(fd, ENTRIES);
	(void)close(fd);
	dir = d_lookup(&w->d, w->a, "d");
	assert_int_equal(d_opendir(&w->d, (uint64_t)dir, &fh), 0);
	before = resident();
	while ((r = d_readdir(&w->d, (uint64_t)dir, fh, off, true, data,
	                      sizeof(data))) > 0) {
		int i = 0;

		for (char *p = data; p < data + r;) {
			const struct fuse_direntplus *e = (void *)p;

			if (sscanf(e->dirent.name, "n%d", &i) == 1) {
				assert_in_range(i, 0, ENTRIES - 1);
				assert_false(seen[i]);
				seen[i] = 1;
			}
			off = e->dirent.off;
			p += FUSE_DIRENTPLUS_SIZE(e);
		}
	}
	assert_int_equal(r, 0);
	for (int i = 0; i < ENTRIES; i++)
		assert_true(seen[i]);
	fs_get_stats(w->d.fs, &s);
	assert_true(s.inodes <= 1000);
	assert_true(resident() - before < 64l << 20);
	free(seen);
}

/* What is too deep for any path: each folder's child moves up. */
static void remove_deep(int dir_fd, const char *name)
{
	for (;;) {
		int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY);
		int r = renameat(fd, name, dir_fd, "next");

		assert_true(fd >= 0);
		(void)close(fd);
		assert_int_equal(unlinkat(dir_fd, name, AT_REMOVEDIR), 0);
		if (r < 0)
			return;
		assert_int_equal(renameat(dir_fd, "next", dir_fd, name), 0);
	}
}

/* As deep as a guest likes: paths are never put together beyond PATH_MAX. */
static void folders_without_end_are_walked_back_or_refused(void **state)
{
	struct world *w = *state;
	uint64_t n = w->a;
	char name[201];
	int depth = 0;

	memset(name, 'd', sizeof(name));
	name[200] = '\0';
	for (; depth < 900; depth++) {
		int64_t next = d_mkdir(&w->d, n, name, 0755);

		if (next < 0)
			break;
		n = (uint64_t)next;
	}
	assert_true(depth > 500);
	assert_int_equal(d_getattr(&w->d, n, NULL), 0);
	assert_int_equal(d_lookup(&w->d, n, "x"), -ENOENT);
	assert_int_equal(d_getattr(&w->d, w->b, NULL), 0);
	remove_deep(w->a_fd, name);
}

/* ---- forged attributes ---- */

static void the_guest_cannot_name_what_is_ours(void **state)
{
	static const char *const ours[] = {"user.msb.stat",
	                                   "user.msb.override_stat",
	                                   "user.msb.",
	                                   "user.msb.x.security.capability",
	                                   "user.msb.x.trusted.a",
	                                   "user.msb.x.user.msb.stat",
	                                   "user.msb.x."};
	static const char *const not_theirs[] = {"system.posix_acl_access",
	                                         "system.posix_acl_default",
	                                         "msb",
	                                         "",
	                                         "user",
	                                         "btrfs.x",
	                                         "os2.x",
	                                         "security",
	                                         "."};
	struct world *w = *state;
	uint8_t forged[20] = "MSB1";
	char list[4096], name[300];
	uint64_t f, fh;
	int fd, r;

	put_le32(forged + 12, S_IFREG | 06777);
	assert_int_equal(d_create(&w->d, w->a, "f", O_RDWR, 0444, &f, &fh), 0);
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		assert_int_equal(d_setxattr(&w->d, f, ours[i], forged, 20, 0),
		                 -EPERM);
		assert_int_equal(d_removexattr(&w->d, f, ours[i]), -EPERM);
		assert_int_equal(d_getxattr(&w->d, f, ours[i], list, 64),
		                 -ENODATA);
	}
	for (size_t i = 0; i < ARRAY_SIZE(not_theirs); i++) {
		assert_true(d_setxattr(&w->d, f, not_theirs[i], forged, 20, 0) <
		            0);
		assert_true(d_getxattr(&w->d, f, not_theirs[i], list, 64) < 0);
	}
	/* Through the translation: what it makes is never one of ours. */
	assert_int_equal(d_setxattr(&w->d, f, "security.../../user.msb.stat",
	                            forged, 20, 0),
	                 0);
	assert_int_equal(
		d_setxattr(&w->d, f, "trusted.user.msb.stat", forged, 20, 0),
		0);
	memset(name, 'x', sizeof(name));
	memcpy(name, "security.", 9);
	for (size_t len = 230; len < 299; len++) {
		name[len] = '\0';
		r = d_setxattr(&w->d, f, name, forged, 20, 0);
		assert_true(r == 0 || r == -ERANGE || r == -ENOSPC);
		if (r == 0)
			assert_int_equal(d_removexattr(&w->d, f, name), 0);
		name[len] = 'x';
	}
	fd = openat(w->a_fd, "f", O_RDONLY);
	r = (int)flistxattr(fd, list, sizeof(list));
	for (char *p = list; p < list + r; p += strlen(p) + 1)
		assert_true(strcmp(p, OWNER_XATTR) == 0 ||
		            strncmp(p, "user.msb.x.", 11) == 0);
	(void)close(fd);
	r = d_listxattr(&w->d, f, list, sizeof(list));
	assert_true(r > 0);
	for (char *p = list; p < list + r; p += strlen(p) + 1)
		assert_false(owner_is_hidden(p));
}

static void put(struct world *w, const char *name, const char *xattr,
                const void *data, size_t len)
{
	int fd = openat(w->a_fd, name, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fsetxattr(fd, xattr, data, len, 0), 0);
	(void)close(fd);
}

static struct fuse_attr attr_of(struct world *w, const char *name)
{
	struct fuse_attr a;
	int64_t n = d_lookup(&w->d, w->a, name);

	assert_true(n > 0);
	assert_int_equal(d_getattr(&w->d, (uint64_t)n, &a), 0);
	return a;
}

/* As owner_parse() alone is tested in test_owner.c; here by the server. */
static void attributes_forged_on_the_host_count_as_missing(void **state)
{
	static const struct {
		const char *name, *head;
		uint32_t mode;
		size_t len;
	} cases[] = {
		{"f", "MSB1", S_IFDIR | 0755,  20  },
		{"f", "MSB1", S_IFLNK | 0777,  20  },
		{"f", "MSB1", S_IFCHR | 0666,  20  }, /* it has data */
		{"f", "MSB1", S_IFREG | 06755, 19  },
		{"f", "MSB1", S_IFREG | 06755, 21  },
		{"f", "MSB1", S_IFREG | 06755, 3000},
		{"f", "MSB2", S_IFREG | 06755, 20  },
		{"f", "MSB1", 0xffffffff,      20  },
		{"d", "MSB1", S_IFREG | 0644,  20  },
		{"d", "MSB1", S_IFCHR | 0666,  20  },
		{"d", "MSB1", S_IFLNK | 0777,  20  },
		{"d", "MSB1", 0,               20  },
	};
	struct world *w = *state;
	uint8_t data[3000] = {0};

	host_file(w->a_fd, "f", INSIDE);
	assert_int_equal(mkdirat(w->a_fd, "d", 0755), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool dir = cases[i].name[0] == 'd';
		struct fuse_attr a;

		memcpy(data, cases[i].head, 4);
		put_le32(data + 4, 77);
		put_le32(data + 12, cases[i].mode);
		put(w, cases[i].name, OWNER_XATTR, data, cases[i].len);
		a = attr_of(w, cases[i].name);
		assert_int_equal(a.mode, dir ? S_IFDIR | 0755 : S_IFREG | 0644);
		assert_int_not_equal(a.uid, 77);
		assert_int_equal(a.rdev, 0);
	}
}

/* An empty file is a device by its attribute, until it has data. */
static void a_type_ends_when_the_file_gets_data(void **state)
{
	struct world *w = *state;
	uint8_t data[20] = "MSB1";
	uint64_t fh;
	int64_t n;

	host_file(w->a_fd, "f", "");
	put_le32(data + 12, S_IFBLK | 0666);
	put_le32(data + 16, 0xfe00);
	put(w, "f", OWNER_XATTR, data, 20);
	assert_int_equal(attr_of(w, "f").mode, S_IFBLK | 0666);
	n = d_lookup(&w->d, w->a, "f");
	assert_int_equal(d_open(&w->d, (uint64_t)n, O_RDWR, &fh, NULL), -EPERM);
	host_file(w->a_fd, "f", INSIDE);
	assert_int_equal(attr_of(w, "f").mode, S_IFREG | 0644);
	assert_int_equal(attr_of(w, "f").rdev, 0);
	assert_int_equal(d_open(&w->d, (uint64_t)n, O_RDWR, &fh, NULL), 0);
}

int main(void)
{
#define T(f, s) cmocka_unit_test_setup_teardown(f, s, world_teardown)
	const struct CMUnitTest tests[] = {
		T(nothing_of_a_read_only_share_changes, ro_setup),
		T(lookups_without_end_fill_a_table_and_nothing_else,
	          small_setup),
		T(handles_without_end_are_refused, small_setup),
		T(descriptors_that_run_out_are_an_answer, world_setup),
		T(attributes_of_any_size_are_an_answer, world_setup),
		T(a_folder_without_end_is_listed_in_bounded_memory,
	          small_setup),
		T(folders_without_end_are_walked_back_or_refused, small_setup),
		T(the_guest_cannot_name_what_is_ours, world_setup),
		T(attributes_forged_on_the_host_count_as_missing, world_setup),
		T(a_type_ends_when_the_file_gets_data, world_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
