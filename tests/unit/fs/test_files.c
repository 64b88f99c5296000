/* Files by FUSE: made, opened, read, written, made shorter, copied. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "driver.h"
#include "lib/test.h"

static void no_cache(struct driver *d)
{
	d->shares[0].cache = FS_CACHE_NONE;
	d->shares[1].cache = FS_CACHE_ALWAYS;
}

static int setup(void **state)
{
	static struct driver d;

	driver_open(&d, "/tmp", 2, NULL);
	*state = &d;
	return 0;
}

static int setup_caches(void **state)
{
	static struct driver d;

	driver_open(&d, "/tmp", 2, no_cache);
	*state = &d;
	return 0;
}

static int setup_cut(void **state)
{
	(void)setup(state);
	((struct driver *)*state)->cut = 1;
	return 0;
}

static int setup_tmpfs(void **state)
{
	static struct driver d;

	driver_open(&d, "/dev/shm", 2, NULL);
	*state = &d;
	return 0;
}

static int teardown(void **state)
{
	driver_close(*state);
	return 0;
}

static void host_put(const struct driver *d, const char *path, const char *text)
{
	int fd = openat(d->top_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(close(fd), 0);
}

static void host_is(const struct driver *d, const char *path, const char *text)
{
	char data[256] = {0};
	int fd = openat(d->top_fd, path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, data, sizeof(data) - 1), strlen(text));
	assert_string_equal(data, text);
	assert_int_equal(close(fd), 0);
}

static void what_is_written_is_read_and_on_the_host(void **state)
{
	struct driver *d = *state;
	uint64_t node, fh;
	char data[64] = {0};
	int64_t a = d_share(d, "a");

	assert_true(a > 0);
	assert_int_equal(
		d_create(d, (uint64_t)a, "f", O_RDWR, 0640, &node, &fh), 0);
	assert_int_equal(d_write(d, node, fh, 0, "hello, host", 11), 11);
	assert_int_equal(d_write(d, node, fh, 7, "guest", 5), 5);
	assert_int_equal(d_read(d, node, fh, 0, data, sizeof(data)), 12);
	assert_string_equal(data, "hello, guest");
	assert_int_equal(d_read(d, node, fh, 100, data, sizeof(data)), 0);
	assert_int_equal(d_release(d, node, fh, false), 0);
	assert_int_equal(d_release(d, node, fh, false), -EBADF);
	assert_int_equal(d_read(d, node, fh, 0, data, sizeof(data)), -EBADF);
	host_is(d, "a/f", "hello, guest");
}

static void what_the_host_wrote_is_read(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), fh;
	char data[16] = {0};
	int64_t n;

	host_put(d, "a/h", "from host");
	n = d_lookup(d, a, "h");
	assert_true(n > 0);
	assert_int_equal(d_open(d, (uint64_t)n, O_RDONLY, &fh, NULL), 0);
	assert_int_equal(d_read(d, (uint64_t)n, fh, 5, data, sizeof(data)), 4);
	assert_string_equal(data, "host");
	assert_int_equal(d_write(d, (uint64_t)n, fh, 0, "x", 1), -EBADF);
	assert_int_equal(d_release(d, (uint64_t)n, fh, false), 0);
}

static void create_of_what_is_there(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), node, fh;
	char data[16] = {0};

	host_put(d, "a/there", "data");
	assert_int_equal(
		d_create(d, a, "there", O_RDWR | O_EXCL, 0600, &node, &fh),
		-EEXIST);
	assert_int_equal(d_create(d, a, "there", O_RDWR, 0600, &node, &fh), 0);
	assert_int_equal(d_read(d, node, fh, 0, data, sizeof(data)), 4);
	assert_int_equal(d_release(d, node, fh, false), 0);
	assert_int_equal(
		d_create(d, a, "there", O_WRONLY | O_TRUNC, 0600, &node, &fh),
		0);
	assert_int_equal(d_read(d, node, fh, 0, data, sizeof(data)), -EBADF);
	assert_int_equal(d_release(d, node, fh, false), 0);
	host_is(d, "a/there", "");
}

static void truncation(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), fh, n;
	struct fuse_attr at;

	host_put(d, "a/t", "0123456789");
	n = (uint64_t)d_lookup(d, a, "t");
	assert_int_equal(d_truncate(d, n, 4), 0);
	host_is(d, "a/t", "0123");
	assert_int_equal(d_truncate(d, n, 1 << 20), 0);
	assert_int_equal(d_getattr(d, n, &at), 0);
	assert_int_equal(at.size, 1 << 20);
	assert_int_equal(d_truncate(d, n, UINT64_MAX), -EFBIG);
	assert_int_equal(d_open(d, n, O_RDONLY | O_TRUNC, &fh, NULL), 0);
	assert_int_equal(d_release(d, n, fh, false), 0);
	host_is(d, "a/t", "");
	assert_int_equal(d_truncate(d, a, 0), -EISDIR);
}

static void append_goes_to_the_hosts_end(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), fh, n;

	host_put(d, "a/log", "one ");
	n = (uint64_t)d_lookup(d, a, "log");
	assert_int_equal(d_open(d, n, O_WRONLY | O_APPEND, &fh, NULL), 0);
	host_put(d, "a/log", "one two ");
	assert_int_equal(d_write(d, n, fh, 4, "three", 5), 5);
	host_is(d, "a/log", "one two three");
	/* A page of the guest's cache has its place. */
	assert_int_equal(d_write_flags(d, n, fh, 0, "ONE", 3, FUSE_WRITE_CACHE),
	                 3);
	host_is(d, "a/log", "ONE two three");
	assert_int_equal(d_release(d, n, fh, false), 0);
}

static void holes_and_preallocation(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), fh, n;
	struct fuse_lseek_in seek;
	struct fuse_lseek_out at;
	struct fuse_attr attr;

	assert_int_equal(d_create(d, a, "sparse", O_RDWR, 0600, &n, &fh), 0);
	assert_int_equal(d_write(d, n, fh, 1 << 20, "x", 1), 1);
	seek = (struct fuse_lseek_in){.fh = fh, .whence = SEEK_DATA};
	assert_int_equal(driver_call(d, FUSE_LSEEK, n, &seek, sizeof(seek),
	                             NULL, 0, &at, sizeof(at)),
	                 sizeof(at));
	assert_int_equal(at.offset, 1 << 20);
	seek.whence = SEEK_SET;
	assert_int_equal(driver_call(d, FUSE_LSEEK, n, &seek, sizeof(seek),
	                             NULL, 0, &at, sizeof(at)),
	                 -EINVAL);
	assert_int_equal(d_fallocate(d, n, fh, 0, 0, 2 << 20), 0);
	assert_int_equal(d_getattr(d, n, &attr), 0);
	assert_int_equal(attr.size, 2 << 20);
	assert_true(attr.blocks * 512 >= 2 << 20);
	assert_int_equal(d_fallocate(d, n, fh,
	                             FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	                             0, 1 << 20),
	                 0);
	assert_int_equal(d_getattr(d, n, &attr), 0);
	assert_true(attr.blocks * 512 < 2 << 20);
	assert_int_equal(d_fallocate(d, n, fh, 0x40, 0, 1), -EOPNOTSUPP);
	assert_int_equal(d_fallocate(d, n, fh, 0, UINT64_MAX, 2), -EFBIG);
	assert_int_equal(d_release(d, n, fh, false), 0);
}

static void copies_stay_in_the_server(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), from, to, fh_from, fh_to;
	struct fuse_copy_file_range_in c;
	struct fuse_write_out out;

	host_put(d, "a/from", "copy this");
	from = (uint64_t)d_lookup(d, a, "from");
	assert_int_equal(d_open(d, from, O_RDONLY, &fh_from, NULL), 0);
	assert_int_equal(d_create(d, a, "to", O_WRONLY, 0600, &to, &fh_to), 0);
	c = (struct fuse_copy_file_range_in){.fh_in = fh_from,
	                                     .off_in = 5,
	                                     .nodeid_out = to,
	                                     .fh_out = fh_to,
	                                     .len = 100};
	assert_int_equal(driver_call(d, FUSE_COPY_FILE_RANGE, from, &c,
	                             sizeof(c), NULL, 0, &out, sizeof(out)),
	                 sizeof(out));
	assert_int_equal(out.size, 4);
	host_is(d, "a/to", "this");
	c.nodeid_out = from;
	assert_int_equal(driver_call(d, FUSE_COPY_FILE_RANGE, from, &c,
	                             sizeof(c), NULL, 0, &out, sizeof(out)),
	                 -EBADF);
	c.nodeid_out = to;
	c.fh_out = fh_from;
	assert_int_equal(driver_call(d, FUSE_COPY_FILE_RANGE, from, &c,
	                             sizeof(c), NULL, 0, &out, sizeof(out)),
	                 -EBADF);
}

static void a_big_write_goes_through(void **state)
{
	static uint8_t big[WIRE_DATA_MAX], back[WIRE_DATA_MAX];
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, fh;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7 + i / 256);
	d->cut = 4096;
	assert_int_equal(d_create(d, a, "big", O_RDWR, 0600, &n, &fh), 0);
	assert_int_equal(d_write(d, n, fh, 3, big, sizeof(big)), sizeof(big));
	assert_int_equal(d_read(d, n, fh, 3, back, sizeof(back)), sizeof(back));
	assert_memory_equal(big, back, sizeof(big));
	assert_int_equal(d_release(d, n, fh, false), 0);
}

static void a_file_without_name_lives_by_its_handle(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, fh;
	struct fuse_create_in c = {.flags = O_RDWR, .mode = 0600};
	struct {
		struct fuse_entry_out e;
		struct fuse_open_out o;
	} out;
	char data[8] = {0};

	assert_int_equal(driver_call(d, FUSE_TMPFILE, a, &c, sizeof(c), "#x", 3,
	                             &out, sizeof(out)),
	                 sizeof(out));
	n = out.e.nodeid;
	fh = out.o.fh;
	assert_int_equal(out.e.attr.nlink, 0);
	assert_int_equal(d_write(d, n, fh, 0, "tmp", 3), 3);
	assert_int_equal(d_link(d, n, a, "named"), n);
	host_is(d, "a/named", "tmp");
	assert_int_equal(d_release(d, n, fh, false), 0);
	d_forget(d, n, 2);
	assert_int_equal(d_getattr(d, n, NULL), -ESTALE);
	n = (uint64_t)d_lookup(d, a, "named");
	assert_int_equal(d_open(d, n, O_RDONLY, &fh, NULL), 0);
	assert_int_equal(d_read(d, n, fh, 0, data, sizeof(data)), 3);
	assert_int_equal(d_release(d, n, fh, false), 0);
}

static void removed_files_stay_open(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, fh;
	struct fuse_attr at;
	char data[8] = {0};

	assert_int_equal(d_create(d, a, "gone", O_RDWR, 0600, &n, &fh), 0);
	assert_int_equal(d_write(d, n, fh, 0, "still", 5), 5);
	assert_int_equal(d_unlink(d, a, "gone"), 0);
	assert_int_equal(d_lookup(d, a, "gone"), -ENOENT);
	assert_int_equal(d_read(d, n, fh, 0, data, sizeof(data)), 5);
	assert_int_equal(d_release(d, n, fh, false), 0);
	/* Still known: by a descriptor of the guest's without a handle. */
	assert_int_equal(d_getattr(d, n, &at), 0);
	assert_int_equal(at.nlink, 0);
	assert_int_equal(d_chmod(d, n, 0644), 0);
	d_forget(d, n, 1);
	assert_int_equal(d_getattr(d, n, &at), -ESTALE);
}

/* What the guest's cache may keep is said when a file is opened. */
static void cached_data_is_good_until_the_host_changes_it(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, fh, begin;
	uint32_t flags;

	/* So new that another change would have the same time. */
	do {
		begin = clock_now_ns();
		host_put(d, "a/c", "first");
		n = (uint64_t)d_lookup(d, a, "c");
		assert_int_equal(d_open(d, n, O_RDONLY, &fh, &flags), 0);
		assert_int_equal(d_release(d, n, fh, false), 0);
	} while (clock_now_ns() - begin > 50 * NS_PER_MS);
	assert_int_equal(d_open(d, n, O_RDONLY, &fh, &flags), 0);
	assert_int_equal(flags, 0);
	assert_int_equal(d_release(d, n, fh, false), 0);
	(void)usleep(150000);
	assert_int_equal(d_open(d, n, O_RDONLY, &fh, &flags), 0);
	assert_int_equal(flags, 0);
	assert_int_equal(d_release(d, n, fh, false), 0);
	assert_int_equal(d_open(d, n, O_RDWR, &fh, &flags), 0);
	assert_int_equal(flags, FOPEN_KEEP_CACHE);
	/* The guest's own changes are in its cache already. */
	assert_int_equal(d_write(d, n, fh, 0, "FIRST and", 9), 9);
	assert_int_equal(d_release(d, n, fh, false), 0);
	assert_int_equal(d_truncate(d, n, 7), 0);
	assert_int_equal(d_open(d, n, O_RDONLY, &fh, &flags), 0);
	assert_int_equal(flags, FOPEN_KEEP_CACHE);
	assert_int_equal(d_release(d, n, fh, false), 0);
	(void)usleep(20000);
	host_put(d, "a/c", "hosts 7");
	assert_int_equal(d_open(d, n, O_RDWR, &fh, &flags), 0);
	assert_int_equal(flags, 0);
	/* The host's change between two of the guest's is not missed. */
	(void)usleep(150000);
	host_put(d, "a/c", "other");
	assert_int_equal(d_write(d, n, fh, 0, "x", 1), 1);
	assert_int_equal(d_release(d, n, fh, false), 0);
	assert_int_equal(d_open(d, n, O_RDONLY, &fh, &flags), 0);
	assert_int_equal(flags, 0);
	assert_int_equal(d_release(d, n, fh, false), 0);
}

static void caches_none_and_always(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), b = (uint64_t)d_share(d, "b");
	struct fuse_entry_out e;
	uint64_t fh;
	uint32_t flags;

	host_put(d, "a/f", "x");
	host_put(d, "b/f", "x");
	assert_int_equal(d_entry(d, a, "f", &e), 0);
	assert_int_equal(e.entry_valid, 0);
	assert_int_equal(e.attr_valid, 0);
	assert_int_equal(d_open(d, e.nodeid, O_RDONLY, &fh, &flags), 0);
	assert_int_equal(flags, FOPEN_DIRECT_IO);
	assert_int_equal(d_entry(d, b, "f", &e), 0);
	assert_true(e.entry_valid >= 3600);
	assert_true(e.attr_valid >= 3600);
	assert_int_equal(d_open(d, e.nodeid, O_RDONLY, &fh, &flags), 0);
	assert_int_equal(flags, FOPEN_KEEP_CACHE);
}

/* A file system that knows only seconds: a change may have the same time. */
static void whole_seconds_take_longer_to_be_trusted(void **state)
{
	static const struct {
		int age;
		uint32_t flags;
	} cases[] = {
		{1,  0               },
                {10, FOPEN_KEEP_CACHE}
        };
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, fh;
	uint32_t flags;

	host_put(d, "a/s", "x");
	n = (uint64_t)d_lookup(d, a, "s");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct timespec t = {.tv_sec = time(NULL) - cases[i].age};

		assert_int_equal(utimensat(d->top_fd, "a/s",
		                           (struct timespec[]){t, t}, 0),
		                 0);
		for (int k = 0; k < 2; k++) {
			assert_int_equal(d_open(d, n, O_RDONLY, &fh, &flags),
			                 0);
			assert_int_equal(d_release(d, n, fh, false), 0);
		}
		assert_int_equal(flags, cases[i].flags);
	}
}

/* These two requests do not say that they must: who asks decides. */
static void fallocate_by_a_user_ends_setuid(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, fh;
	struct fuse_attr at;

	assert_int_equal(d_create(d, a, "suid", O_RDWR, 06755, &n, &fh), 0);
	d->uid = 0;
	assert_int_equal(d_fallocate(d, n, fh, 0, 0, 100), 0);
	assert_int_equal(d_getattr(d, n, &at), 0);
	assert_int_equal(at.mode & 07777, 06755);
	d->uid = 1000;
	assert_int_equal(d_fallocate(d, n, fh, 0, 100, 100), 0);
	assert_int_equal(d_getattr(d, n, &at), 0);
	assert_int_equal(at.mode & 07777, 0755);
}

/* As Linux asks for with HANDLE_KILLPRIV_V2. */
static void writes_end_setuid_and_capabilities(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, fh;
	struct fuse_attr at;
	struct stat st;

	assert_int_equal(d_create(d, a, "suid", O_RDWR, 06755, &n, &fh), 0);
	assert_int_equal(fstatat(d->top_fd, "a/suid", &st, 0), 0);
	assert_int_equal(st.st_mode & 07000, 0); /* never on the host */
	assert_int_equal(d_getattr(d, n, &at), 0);
	assert_int_equal(at.mode & 07777, 06755);
	assert_int_equal(d_setxattr(d, n, "security.capability", "caps", 4, 0),
	                 0);
	assert_int_equal(d_write(d, n, fh, 0, "x", 1), 1);
	assert_int_equal(d_getxattr(d, n, "security.capability", NULL, 0),
	                 -ENODATA);
	assert_int_equal(d_getattr(d, n, &at), 0);
	assert_int_equal(at.mode & 07777, 06755);
	/* Given again later: the handle must notice. */
	assert_int_equal(d_setxattr(d, n, "security.capability", "caps", 4, 0),
	                 0);
	assert_int_equal(
		d_write_flags(d, n, fh, 0, "x", 1, FUSE_WRITE_KILL_SUIDGID), 1);
	assert_int_equal(d_getxattr(d, n, "security.capability", NULL, 0),
	                 -ENODATA);
	assert_int_equal(d_getattr(d, n, &at), 0);
	assert_int_equal(at.mode & 07777, 0755);
	assert_int_equal(d_chmod(d, n, 06755), 0);
	assert_int_equal(d_setxattr(d, n, "security.capability", "caps", 4, 0),
	                 0);
	assert_int_equal(d_chown(d, n, 5, 6), 0);
	assert_int_equal(d_getattr(d, n, &at), 0);
	assert_int_equal(at.mode & 07777, 0755);
	assert_int_equal(at.uid, 5);
	assert_int_equal(at.gid, 6);
	assert_int_equal(d_getxattr(d, n, "security.capability", NULL, 0),
	                 -ENODATA);
	assert_int_equal(d_release(d, n, fh, false), 0);
}

static void wrong_handles_are_refused(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, m, fh, fh2, dir;
	char data[8];

	assert_int_equal(d_create(d, a, "x", O_RDWR, 0600, &n, &fh), 0);
	assert_int_equal(d_create(d, a, "y", O_RDWR, 0600, &m, &fh2), 0);
	assert_int_equal(d_read(d, m, fh, 0, data, 8), -EBADF);
	assert_int_equal(d_read(d, n, fh ^ (1ull << 32), 0, data, 8), -EBADF);
	assert_int_equal(d_read(d, n, fh + 1000, 0, data, 8), -EBADF);
	assert_int_equal(d_read(d, n, UINT64_MAX, 0, data, 8), -EBADF);
	assert_int_equal(d_read(d, n, fh, UINT64_MAX, data, 8), -EINVAL);
	assert_int_equal(d_write(d, n, fh, INT64_MAX, data, 8), -EFBIG);
	assert_int_equal(d_opendir(d, a, &dir), 0);
	assert_int_equal(d_read(d, a, dir, 0, data, 8), -EBADF);
	assert_int_equal(d_readdir(d, n, fh, 0, false, data, 8), -EBADF);
	assert_int_equal(d_release(d, a, dir, false), -EBADF);
	assert_int_equal(d_release(d, n, fh, true), -EBADF);
	assert_int_equal(d_release(d, a, dir, true), 0);
}

/* Not as root, who is above modes. */
static int setup_user(void **state)
{
	if (geteuid() == 0)
		assert_int_equal(seteuid(12345), 0);
	return setup(state);
}

static int teardown_user(void **state)
{
	int r = teardown(state);

	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	return r;
}

static void a_files_mode_does_not_lock_us_out(void **state)
{
	struct driver *d = *state;
	uint64_t a = (uint64_t)d_share(d, "a"), n, fh;
	struct stat st;

	host_put(d, "a/f", "ro");
	assert_int_equal(fchmodat(d->top_fd, "a/f", 0444, 0), 0);
	n = (uint64_t)d_lookup(d, a, "f");
	assert_int_equal(d_open(d, n, O_RDWR, &fh, NULL), 0);
	assert_int_equal(d_write(d, n, fh, 0, "rw", 2), 2);
	assert_int_equal(d_release(d, n, fh, false), 0);
	assert_int_equal(fstatat(d->top_fd, "a/f", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0444);
	host_is(d, "a/f", "rw");
	/* Where nothing may change, nor does the mode for a moment. */
	d->shares[1].read_only = true;
	host_put(d, "b/f", "no");
	assert_int_equal(fchmodat(d->top_fd, "b/f", 0, 0), 0);
	fs_free(d->fs);
	assert_int_equal(fs_new(&d->cfg, &d->fs, NULL), 0);
	assert_int_equal(driver_init(d, WIRE_MINOR, UINT64_MAX, NULL), 0);
	n = (uint64_t)d_lookup(d, (uint64_t)d_share(d, "b"), "f");
	assert_int_equal(d_open(d, n, O_RDONLY, &fh, NULL), -EACCES);
}

#define BOTH(f)                                                                \
	cmocka_unit_test_setup_teardown(f, setup, teardown),                   \
		cmocka_unit_test_setup_teardown(f, setup_tmpfs, teardown),     \
		cmocka_unit_test_setup_teardown(f, setup_cut, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(what_is_written_is_read_and_on_the_host),
		BOTH(what_the_host_wrote_is_read),
		BOTH(create_of_what_is_there),
		BOTH(truncation),
		BOTH(whole_seconds_take_longer_to_be_trusted),
		BOTH(append_goes_to_the_hosts_end),
		BOTH(holes_and_preallocation),
		BOTH(copies_stay_in_the_server),
		BOTH(a_big_write_goes_through),
		BOTH(a_file_without_name_lives_by_its_handle),
		BOTH(removed_files_stay_open),
		BOTH(cached_data_is_good_until_the_host_changes_it),
		cmocka_unit_test_setup_teardown(caches_none_and_always,
	                                        setup_caches, teardown),
		BOTH(fallocate_by_a_user_ends_setuid),
		cmocka_unit_test_setup_teardown(
			a_files_mode_does_not_lock_us_out, setup_user,
			teardown_user),
		BOTH(writes_end_setuid_and_capabilities),
		BOTH(wrong_handles_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
