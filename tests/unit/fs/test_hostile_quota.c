/*
 * A guest that wants more room than its volume has (attacks.md C5): whatever
 * it does, the volume's number is what its tree takes by the rules of quota.h.
 */
#include "hostile.h"
#include "lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/num.h"
#include "fs/quota.h"

#define LIMIT (4 * MIB)

static uint64_t limit_now = LIMIT;

static int usage_file(void)
{
	uint8_t zero[8] = {0};
	int fd = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, zero, sizeof(zero)), sizeof(zero));
	return fd;
}

static void tune(struct driver *d)
{
	for (size_t i = 0; i < d->cfg.nshares; i++) {
		d->shares[i].quota_bytes = limit_now;
		d->shares[i].usage_fd = usage_file();
		/* Few, so that they run out here. */
		d->cfg.fds_max = 64;
	}
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	world_open(w, "/var/tmp", tune);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	int a = w->d.shares[0].usage_fd, b = w->d.shares[1].usage_fd;

	limit_now = LIMIT;
	world_close(w);
	(void)close(a);
	(void)close(b);
	free(w);
	return 0;
}

static uint64_t usage_of(int fd)
{
	uint8_t raw[8];

	assert_int_equal(pread(fd, raw, sizeof(raw), 0), sizeof(raw));
	return get_le64(raw);
}

static uint64_t usage(const struct world *w)
{
	return usage_of(w->d.shares[0].usage_fd);
}

struct seen {
	uint64_t ino[4096];
	size_t n;
};

static bool is_new(struct seen *s, uint64_t ino)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->ino[i] == ino)
			return false;
	assert_true(s->n < ARRAY_SIZE(s->ino));
	s->ino[s->n++] = ino;
	return true;
}

static uint64_t count(int dir_fd, struct seen *seen)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY);
	uint64_t sum = 0;
	DIR *dir = fdopendir(fd);
	struct dirent *e;

	assert_non_null(dir);
	while ((e = readdir(dir))) {
		struct stat st;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		assert_int_equal(
			fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
		sum += QUOTA_INODE_BYTES;
		if (S_ISDIR(st.st_mode)) {
			int below =
				openat(fd, e->d_name, O_RDONLY | O_DIRECTORY);

			sum += QUOTA_FOLDER_BYTES + count(below, seen);
			(void)close(below);
		} else if (st.st_nlink == 1 || is_new(seen, st.st_ino)) {
			sum += (uint64_t)st.st_blocks * 512;
		}
	}
	(void)closedir(dir);
	return sum;
}

static uint64_t recount(const struct world *w)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	uint64_t sum = count(w->a_fd, seen);

	free(seen);
	return sum;
}

static void check_exact(const struct world *w)
{
	assert_int_equal(usage(w), recount(w));
}

/* Write until it is refused: bytes that were. */
static uint64_t fill(struct world *w, uint64_t node, uint64_t fh, uint64_t off)
{
	static char data[256 * 1024];
	size_t step = sizeof(data);
	uint64_t sum = 0;

	memset(data, 'd', sizeof(data));
	while (step >= 4096) {
		int n = d_write(&w->d, node, fh, off + sum, data, step);

		if (n == -ENOSPC) {
			step /= 2;
			continue;
		}
		assert_true(n > 0);
		sum += (uint64_t)n;
	}
	return sum;
}

static void make(struct world *w, const char *name, uint64_t *node,
                 uint64_t *fh)
{
	assert_int_equal(d_create(&w->d, w->a, name, O_RDWR, 0644, node, fh),
	                 0);
}

/* ---- the limit ---- */

static void
writing_ends_at_the_limit_and_goes_on_when_there_is_room(void **state)
{
	struct world *w = *state;
	uint64_t f, fh;
	char data[8192] = "again";

	make(w, "f", &f, &fh);
	assert_in_range(fill(w, f, fh, 0), LIMIT - 64 * KIB, LIMIT);
	assert_true(usage(w) <= LIMIT);
	check_exact(w);
	/* What is there can be written over, at any place. */
	for (uint64_t at = 0; at < LIMIT / 2; at += 100 * KIB + 77)
		assert_int_equal(d_write(&w->d, f, fh, at, data, sizeof(data)),
		                 sizeof(data));
	assert_int_equal(d_truncate(&w->d, f, MIB), 0);
	assert_in_range(fill(w, f, fh, MIB), 3 * MIB - 64 * KIB, 3 * MIB);
	assert_true(usage(w) <= LIMIT);
	check_exact(w);
	assert_int_equal(d_release(&w->d, f, fh, false), 0);
	assert_int_equal(d_unlink(&w->d, w->a, "f"), 0);
	d_forget(&w->d, f, 1);
	assert_int_equal(usage(w), 0);
}

static void holes_are_free_until_they_are_filled(void **state)
{
	struct world *w = *state;
	uint64_t f, fh;

	make(w, "f", &f, &fh);
	assert_int_equal(d_truncate(&w->d, f, 1ull << 40), 0);
	check_exact(w);
	assert_in_range(fill(w, f, fh, 512 * GIB), LIMIT - 64 * KIB, LIMIT);
	assert_true(usage(w) <= LIMIT);
	check_exact(w);
}

/*
 * Blocks beyond the end make a file look full that has holes: filling them
 * takes room all the same.
 */
static void blocks_beyond_the_end_do_not_hide_holes(void **state)
{
	struct world *w = *state;
	uint64_t f, fh;

	make(w, "f", &f, &fh);
	assert_int_equal(d_truncate(&w->d, f, 2 * MIB), 0);
	assert_int_equal(d_fallocate(&w->d, f, fh, FALLOC_FL_KEEP_SIZE,
	                             512 * MIB, 5 * MIB / 2),
	                 0);
	(void)fill(w, f, fh, 0);
	assert_true(usage(w) <= LIMIT);
	check_exact(w);
}

static void preallocation_takes_room(void **state)
{
	struct world *w = *state;
	uint64_t f, fh;

	make(w, "f", &f, &fh);
	assert_int_equal(d_fallocate(&w->d, f, fh, 0, 0, 8 * MIB), -ENOSPC);
	assert_int_equal(d_fallocate(&w->d, f, fh, 0, 0, 3 * MIB), 0);
	check_exact(w);
	assert_int_equal(d_fallocate(&w->d, f, fh, 0, 64 * MIB, 2 * MIB),
	                 -ENOSPC);
	assert_int_equal(d_fallocate(&w->d, f, fh,
	                             FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	                             0, 3 * MIB),
	                 0);
	check_exact(w);
	assert_true(usage(w) < 64 * KIB);
}

/* Where it says that it writes is not where an append goes. */
static void appending_takes_room_whatever_the_offset(void **state)
{
	struct world *w = *state;
	static char data[4096];
	uint64_t f, fh, fh2;

	make(w, "f", &f, &fh);
	(void)fill(w, f, fh, 0);
	assert_int_equal(d_open(&w->d, f, O_WRONLY | O_APPEND, &fh2, NULL), 0);
	for (int i = 0; i < 64; i++)
		(void)d_write(&w->d, f, fh2, 0, data, sizeof(data));
	assert_true(usage(w) <= LIMIT);
	assert_int_equal(d_write(&w->d, f, fh2, 0, data, sizeof(data)),
	                 -ENOSPC);
	check_exact(w);
}

/* ---- names ---- */

static void each_hard_link_costs_and_gives_back_the_same(void **state)
{
	struct world *w = *state;
	uint64_t f, fh, first;
	char name[32];

	make(w, "f", &f, &fh);
	(void)fill(w, f, fh, 3 * MIB + 512 * KIB);
	assert_int_equal(d_truncate(&w->d, f, 0), 0);
	first = usage(w);
	for (int i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "l%d", i);
		assert_int_equal(d_link(&w->d, f, w->a, name), f);
	}
	assert_int_equal(usage(w), first + 200 * QUOTA_INODE_BYTES);
	check_exact(w);
	for (int i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "l%d", i);
		assert_int_equal(d_unlink(&w->d, w->a, name), 0);
	}
	assert_int_equal(usage(w), first);
	check_exact(w);
}

static void names_end_at_the_limit_too(void **state)
{
	struct world *w = *state;
	int64_t n = 1;
	char name[32];
	int i;

	for (i = 0; n > 0; i++) {
		(void)snprintf(name, sizeof(name), "d%d", i);
		n = i % 2 ? d_mkdir(&w->d, w->a, name, 0755)
		          : d_mknod(&w->d, w->a, name, S_IFIFO | 0600, 0);
	}
	assert_int_equal(n, -ENOSPC);
	assert_in_range(i, LIMIT / 6000, LIMIT / 2400);
	check_exact(w);
	assert_true(usage(w) <= LIMIT);
	n = d_symlink(&w->d, w->a, "l", "x");
	assert_true(n == -ENOSPC || n > 0);
	check_exact(w);
}

/* A folder that was big once gives back no more than was taken for it. */
static void big_folders_are_no_source_of_room(void **state)
{
	struct world *w = *state;
	int64_t dir = d_mkdir(&w->d, w->a, "d", 0755);
	char name[256];

	memset(name, 'n', sizeof(name));
	for (int i = 0; i < 2000; i++) {
		(void)snprintf(name + 200, sizeof(name) - 200, "%d", i);
		assert_true(d_mknod(&w->d, (uint64_t)dir, name, S_IFREG | 0644,
		                    0) > 0);
	}
	for (int i = 0; i < 2000; i++) {
		(void)snprintf(name + 200, sizeof(name) - 200, "%d", i);
		assert_int_equal(d_unlink(&w->d, (uint64_t)dir, name), 0);
	}
	check_exact(w);
	assert_int_equal(d_rmdir(&w->d, w->a, "d"), 0);
	assert_int_equal(usage(w), 0);
}

static void attributes_count_and_are_given_back_once(void **state)
{
	struct world *w = *state;
	char value[3000];

	memset(value, 'v', sizeof(value));
	for (int i = 0; i < 20; i++) {
		uint64_t f, fh;

		make(w, "f", &f, &fh);
		assert_int_equal(d_setxattr(&w->d, f, "user.big", value,
		                            sizeof(value), 0),
		                 0);
		check_exact(w);
		/* The owner's goes to the block that is there now. */
		assert_int_equal(d_chown(&w->d, f, 5, 5), 0);
		assert_int_equal(d_chmod(&w->d, f, 04755), 0);
		check_exact(w);
		if (i % 2)
			assert_int_equal(d_removexattr(&w->d, f, "user.big"),
			                 0);
		check_exact(w);
		assert_int_equal(d_release(&w->d, f, fh, false), 0);
		assert_int_equal(d_unlink(&w->d, w->a, "f"), 0);
		d_forget(&w->d, f, 1);
		assert_int_equal(usage(w), 0);
	}
}

/* An attribute of its own that makes the file need one more block. */
static void the_owners_attribute_counts_where_it_takes_a_block(void **state)
{
	struct world *w = *state;
	char value[80];

	memset(value, 'v', sizeof(value));
	for (size_t len = 0; len < sizeof(value); len += 4) {
		uint64_t f, fh;

		make(w, "f", &f, &fh);
		if (len)
			assert_int_equal(
				d_setxattr(&w->d, f, "user.a", value, len, 0),
				0);
		check_exact(w);
		assert_int_equal(d_chmod(&w->d, f, 0), 0);
		check_exact(w);
		assert_int_equal(d_chmod(&w->d, f, 0644), 0);
		check_exact(w);
		assert_int_equal(d_release(&w->d, f, fh, false), 0);
		assert_int_equal(d_unlink(&w->d, w->a, "f"), 0);
		d_forget(&w->d, f, 1);
		assert_int_equal(usage(w), 0);
	}
}

static void renaming_over_gives_back_what_was_there(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 10; i++) {
		uint64_t f, g, fh, gh;

		make(w, "f", &f, &fh);
		make(w, "g", &g, &gh);
		assert_int_equal(d_fallocate(&w->d, f, fh, 0, 0, MIB), 0);
		assert_int_equal(d_fallocate(&w->d, g, gh, 0, 0, MIB), 0);
		assert_int_equal(d_rename(&w->d, w->a, "f", w->a, "g", 0), 0);
		/* Open still. */
		assert_true(usage(w) > 2 * MIB);
		assert_int_equal(d_release(&w->d, g, gh, false), 0);
		assert_int_equal(d_release(&w->d, f, fh, false), 0);
		d_forget(&w->d, g, 1);
		check_exact(w);
		assert_int_equal(d_unlink(&w->d, w->a, "g"), 0);
		d_forget(&w->d, f, 1);
		assert_int_equal(usage(w), 0);
	}
}

/* ---- files without a name ---- */

/* As many as there may be: none of them is room that nobody pays for. */
static void files_that_are_open_without_a_name_count(void **state)
{
	struct world *w = *state;
	uint64_t f[400], fh[400];
	char name[32];
	size_t n = 0;
	struct stat st;
	uint64_t sum = 0;

	for (; n < ARRAY_SIZE(f); n++) {
		(void)snprintf(name, sizeof(name), "f%zu", n);
		if (d_create(&w->d, w->a, name, O_RDWR, 0644, &f[n], &fh[n]) <
		    0)
			break;
		if (d_write(&w->d, f[n], fh[n], 0, "data", 4) != 4 ||
		    d_unlink(&w->d, w->a, name) < 0) {
			/* No more of them: it still has its name. */
			assert_int_equal(fstatat(w->a_fd, name, &st, 0), 0);
			n++;
			break;
		}
		/* The guest's kernel forgets at the last close only. */
		sum += 4096;
		assert_true(usage(w) >= sum);
	}
	assert_true(n > 10);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(d_release(&w->d, f[i], fh[i], false), 0);
		d_forget(&w->d, f[i], 1);
	}
	check_exact(w);
}

static void tmpfiles_count_and_are_given_back(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 10; i++) {
		struct fuse_create_in a = {.flags = O_RDWR, .mode = 0600};
		struct {
			struct fuse_entry_out e;
			struct fuse_open_out o;
		} out;

		assert_int_equal(driver_call(&w->d, FUSE_TMPFILE, w->a, &a,
		                             sizeof(a), "", 1, &out,
		                             sizeof(out)),
		                 sizeof(out));
		assert_int_equal(d_fallocate(&w->d, out.e.nodeid, out.o.fh, 0,
		                             0, 3 * MIB),
		                 0);
		assert_true(usage(w) >= 3 * MIB);
		if (i % 2)
			assert_int_equal(d_link(&w->d, out.e.nodeid, w->a, "t"),
			                 out.e.nodeid);
		assert_int_equal(
			d_release(&w->d, out.e.nodeid, out.o.fh, false), 0);
		d_forget(&w->d, out.e.nodeid, 1 + i % 2);
		check_exact(w);
		if (i % 2)
			assert_int_equal(d_unlink(&w->d, w->a, "t"), 0);
		assert_int_equal(usage(w), 0);
	}
}

/* ---- anything ---- */

struct open_file {
	uint64_t node, fh, lookups;
};

static void random_step(struct world *w, unsigned *seed, struct open_file *o,
                        size_t n)
{
	static char data[70000];
	struct open_file *f = &o[(size_t)rand_r(seed) % n];
	char name[16], other[16];
	uint64_t at = (uint64_t)rand_r(seed) % 300000;
	size_t len = 1 + (size_t)rand_r(seed) % sizeof(data);
	int64_t node;

	(void)snprintf(name, sizeof(name), "n%d", rand_r(seed) % 12);
	(void)snprintf(other, sizeof(other), "n%d", rand_r(seed) % 12);
	switch (rand_r(seed) % 16) {
	case 0:
	case 1:
		if (f->fh || d_create(&w->d, w->a, name, O_RDWR, 0644, &f->node,
		                      &f->fh) < 0)
			return;
		f->lookups = 1;
		return;
	case 2:
		if (!f->fh)
			return;
		assert_int_equal(d_release(&w->d, f->node, f->fh, false), 0);
		d_forget(&w->d, f->node, f->lookups);
		*f = (struct open_file){0};
		return;
	case 3:
	case 4:
		(void)d_unlink(&w->d, w->a, name);
		return;
	case 5:
		(void)d_rename(&w->d, w->a, name, w->a, other,
		               rand_r(seed) % 3 ? 0 : RENAME_EXCHANGE);
		return;
	case 6:
		if (f->fh && d_link(&w->d, f->node, w->a, other) > 0)
			f->lookups++;
		return;
	case 7:
		node = d_mkdir(&w->d, w->a, name, 0755);
		if (node > 0)
			d_forget(&w->d, (uint64_t)node, 1);
		return;
	case 8:
		(void)d_rmdir(&w->d, w->a, name);
		return;
	case 9:
		node = d_symlink(&w->d, w->a, name,
		                 rand_r(seed) % 2 ? "short" : w->d.top);
		if (node > 0)
			d_forget(&w->d, (uint64_t)node, 1);
		return;
	default:
		break;
	}
	if (!f->fh)
		return;
	switch (rand_r(seed) % 7) {
	case 0:
		(void)d_truncate(&w->d, f->node, at);
		return;
	case 1:
		(void)d_fallocate(&w->d, f->node, f->fh,
		                  rand_r(seed) % 2 ? FALLOC_FL_KEEP_SIZE : 0,
		                  at, len);
		return;
	case 2:
		(void)d_fallocate(&w->d, f->node, f->fh,
		                  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		                  at, len);
		return;
	case 3:
		(void)d_setxattr(&w->d, f->node, "user.x", data, len % 3000, 0);
		return;
	case 4:
		(void)d_chmod(&w->d, f->node, (uint32_t)rand_r(seed) % 010000);
		return;
	default:
		(void)d_write(&w->d, f->node, f->fh, at, data, len);
	}
}

static void the_number_is_the_trees_after_anything(void **state)
{
	struct world *w = *state;
	struct open_file files[8] = {0};
	unsigned seed = 5;

	for (int i = 0; i < 12000; i++) {
		random_step(w, &seed, files, ARRAY_SIZE(files));
		assert_true(usage(w) <= LIMIT);
		if (i % 1500 != 1499)
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(files); k++) {
			struct open_file *f = &files[k];

			if (!f->fh)
				continue;
			assert_int_equal(
				d_release(&w->d, f->node, f->fh, false), 0);
			d_forget(&w->d, f->node, f->lookups);
			*f = (struct open_file){0};
		}
		check_exact(w);
	}
}

static void each_share_has_its_own_number(void **state)
{
	struct world *w = *state;
	uint64_t f, fh, g, gh;

	make(w, "f", &f, &fh);
	(void)fill(w, f, fh, 0);
	assert_int_equal(usage_of(w->d.shares[1].usage_fd), 0);
	assert_int_equal(d_create(&w->d, w->b, "g", O_RDWR, 0644, &g, &gh), 0);
	assert_in_range(fill(w, g, gh, 0), LIMIT - 64 * KIB, LIMIT);
	assert_true(usage(w) <= LIMIT);
	/* A copy counts where it goes to. */
	assert_int_equal(d_truncate(&w->d, g, 0), 0);
	{
		struct fuse_copy_file_range_in a = {.fh_in = fh,
		                                    .nodeid_out = g,
		                                    .fh_out = gh,
		                                    .len = 2 * MIB};
		struct fuse_write_out out;
		uint64_t before = usage(w);
		struct stat st;

		assert_int_equal(driver_call(&w->d, FUSE_COPY_FILE_RANGE, f, &a,
		                             sizeof(a), NULL, 0, &out,
		                             sizeof(out)),
		                 sizeof(out));
		assert_int_equal(fstatat(w->b_fd, "g", &st, 0), 0);
		assert_int_equal(usage(w), before);
		assert_int_equal(usage_of(w->d.shares[1].usage_fd),
		                 QUOTA_INODE_BYTES +
		                         (uint64_t)st.st_blocks * 512);
	}
}

/* ---- two sandboxes with one volume ---- */

static int second(struct world *w, unsigned seed, int rounds)
{
	static char data[20000];
	struct fs_share share = w->d.shares[0];
	struct driver d = w->d;
	char link[64];
	uint64_t a, f[3], fh[3];

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", share.usage_fd);
	share.usage_fd = open(link, O_RDWR | O_CLOEXEC);
	d.cfg.shares = &share;
	d.cfg.nshares = 1;
	d.cfg.proc_fd = open("/proc/self/fd", O_PATH | O_CLOEXEC);
	if (fs_new(&d.cfg, &d.fs, NULL) < 0 ||
	    driver_init(&d, WIRE_MINOR, UINT64_MAX, NULL) < 0)
		return 1;
	a = (uint64_t)d_share(&d, "a");
	for (int i = 0; i < 3; i++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "f%d", i);
		if (d_create(&d, a, name, O_RDWR, 0644, &f[i], &fh[i]) < 0)
			return 2;
	}
	for (int i = 0; i < rounds; i++) {
		int k = rand_r(&seed) % 3;
		uint64_t at = (uint64_t)rand_r(&seed) % 200000;

		if (rand_r(&seed) % 3 == 0)
			(void)d_truncate(&d, f[k], at / 2);
		else
			(void)d_write(&d, f[k], fh[k], at, data,
			              1 + (size_t)rand_r(&seed) % sizeof(data));
		if (usage(w) > LIMIT)
			return 3;
	}
	fs_free(d.fs);
	return 0;
}

static void two_sandboxes_that_cut_and_grow_one_file_count_it_once(void **state)
{
	struct world *w = *state;
	pid_t pids[2];

	for (int i = 0; i < 3; i++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "f%d", i);
		assert_true(d_mknod(&w->d, w->a, name, S_IFREG | 0644, 0) > 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(second(w, i + 1, 4000));
	}
	for (unsigned i = 0; i < 2; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	check_exact(w);
}

/* ---- the host's own limits ---- */

/* A disk of 16 MiB and no quota: the reserve stays, the server lives. */
static int on_small_disk(void)
{
	char dir[] = "/tmp/test_hostile_q.XXXXXX";
	struct world w;
	uint64_t f, fh;
	struct stat st;
	uint64_t n;

	if (!mkdtemp(dir) || mount("none", dir, "tmpfs", 0, "size=16m") < 0)
		return 77;
	world_open(&w, dir, NULL);
	make(&w, "f", &f, &fh);
	n = fill(&w, f, fh, 0);
	if (n < 14 * MIB || n > 15 * MIB + 512 * KIB)
		return 1;
	/* Somebody else takes the rest. */
	{
		int fd = openat(w.out_fd, "rest", O_CREAT | O_WRONLY, 0600);
		static char data[4096];

		while (write(fd, data, sizeof(data)) > 0)
			;
		(void)close(fd);
	}
	if (d_write(&w.d, f, fh, n, "x", 1) != -ENOSPC ||
	    d_mkdir(&w.d, w.a, "d", 0755) != -ENOSPC ||
	    d_mknod(&w.d, w.a, "n", S_IFREG | 0600, 0) != -ENOSPC ||
	    fstatat(w.a_fd, "n", &st, 0) == 0)
		return 2;
	if (d_truncate(&w.d, f, 0) != 0 || fill(&w, f, fh, 0) < 13 * MIB)
		return 3;
	(void)unlinkat(w.out_fd, "rest", 0);
	world_close(&w);
	(void)umount2(dir, MNT_DETACH);
	(void)rmdir(dir);
	return 0;
}

static void a_full_disk_is_an_answer(void **state)
{
	int rc = in_child(on_small_disk);

	(void)state;
	if (rc == 77)
		print_message("# no mounts of our own here: not tried\n");
	else
		assert_int_equal(rc, 0);
}

static int with_file_limit(void)
{
	struct rlimit lim = {MIB, MIB};
	struct world w;
	uint64_t f, fh;
	char data[4096] = {0};

	(void)signal(SIGXFSZ, SIG_IGN);
	world_open(&w, "/var/tmp", NULL);
	if (setrlimit(RLIMIT_FSIZE, &lim) < 0)
		return 1;
	make(&w, "f", &f, &fh);
	if (d_write(&w.d, f, fh, MIB - 4096, data, 4096) != 4096 ||
	    d_write(&w.d, f, fh, MIB, data, 4096) != -EFBIG ||
	    d_write(&w.d, f, fh, 1ull << 50, data, 4096) != -EFBIG ||
	    d_truncate(&w.d, f, 1ull << 40) != -EFBIG ||
	    d_fallocate(&w.d, f, fh, 0, MIB, 4096) != -EFBIG ||
	    d_getattr(&w.d, f, NULL) != 0)
		return 2;
	world_close(&w);
	return 0;
}

static void a_limit_of_file_sizes_is_an_answer(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0)
		_exit(with_file_limit());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(writing_ends_at_the_limit_and_goes_on_when_there_is_room),
		T(holes_are_free_until_they_are_filled),
		T(blocks_beyond_the_end_do_not_hide_holes),
		T(preallocation_takes_room),
		T(appending_takes_room_whatever_the_offset),
		T(each_hard_link_costs_and_gives_back_the_same),
		T(names_end_at_the_limit_too),
		T(big_folders_are_no_source_of_room),
		T(attributes_count_and_are_given_back_once),
		T(the_owners_attribute_counts_where_it_takes_a_block),
		T(renaming_over_gives_back_what_was_there),
		T(files_that_are_open_without_a_name_count),
		T(tmpfiles_count_and_are_given_back),
		T(the_number_is_the_trees_after_anything),
		T(each_share_has_its_own_number),
		T(two_sandboxes_that_cut_and_grow_one_file_count_it_once),
		cmocka_unit_test(a_full_disk_is_an_answer),
		cmocka_unit_test(a_limit_of_file_sizes_is_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
