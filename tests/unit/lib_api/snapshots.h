/* snapshots.h - a home with a sandbox whose disk the test writes itself. */
#ifndef TEST_LIB_API_SNAPSHOTS_H
#define TEST_LIB_API_SNAPSHOTS_H

#include "lib/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "lib/life.h"
#include "lib/snapshot.h"

#define BYTES (16 * MIB)
/* Where the tests write: apart from what mke2fs wrote. */
#define SPOT (9 * MIB)

struct fixture {
	char path[64];
	struct msb_home *home;
	struct msb_image *image; /* a packed folder */
	struct msb_error error;
};

static inline void open_home(struct fixture *f, const char *parent)
{
	char root[96];
	int fd;

	(void)snprintf(f->path, sizeof(f->path), "%s/msb-test-snap-XXXXXX",
	               parent);
	assert_non_null(mkdtemp(f->path));
	assert_int_equal(msb_home_open(f->path, &f->home, &f->error), 0);
	(void)snprintf(root, sizeof(root), "%s/root", f->path);
	assert_int_equal(mkdir(root, 0700), 0);
	fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(file_write_atomic(fd, "file", "text", 4, 0644), 0);
	(void)close(fd);
	if (msb_image_pull(f->home, root, NULL, &f->image, &f->error) < 0)
		fail_msg("%s", f->error.message);
}

static inline void close_home(struct fixture *f)
{
	msb_image_free(f->image);
	msb_home_free(f->home);
	assert_int_equal(dir_remove(AT_FDCWD, f->path), 0);
}

/* Where fsync() costs nothing. */
static inline const char *fast_folder(void)
{
	return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

static inline int make(struct fixture *f, const char *name,
                       const char *snapshot, uint64_t bytes)
{
	struct msb_sandbox_opts o = MSB_SANDBOX_OPTS_INIT;
	struct msb_sandbox *sb = NULL;

	o.name = name;
	o.image = snapshot ? NULL : f->image;
	o.snapshot = snapshot;
	o.upper_bytes = bytes;
	o.flags = MSB_SANDBOX_KEEP | MSB_SANDBOX_NO_START;
	return msb_sandbox_create(f->home, &o, &sb, &f->error);
}

static inline void must(const struct fixture *f, int r)
{
	if (r < 0)
		fail_msg("%s", f->error.message);
}

static inline void place_of(struct fixture *f, const char *name,
                            struct place *ret)
{
	struct state_sandbox cleanup_state_sandbox row = {0};

	assert_int_equal(life_get(f->home, name, &row, NULL), 0);
	assert_int_equal(place_open(f->home->store, row.id, ret, NULL), 0);
}

/* As its machine would have it. */
static inline void open_disk(struct fixture *f, const char *name,
                             struct upper *u, struct disk **ret)
{
	struct place cleanup_place p = PLACE_INIT;
	struct err err = {0};

	place_of(f, name, &p);
	if (upper_open(f->home->store, &p, 0, false, u, &err) < 0 ||
	    disk_open_layers(u->layers, u->n, false, ret, &err) < 0)
		fail_msg("%s: %s", name, err.msg);
}

static inline void put(struct fixture *f, const char *name, uint64_t at,
                       const void *data, size_t len)
{
	struct upper cleanup_upper u = {0};
	struct disk *cleanup_disk d = NULL;
	struct iovec iov = {(void *)(uintptr_t)data, len};

	open_disk(f, name, &u, &d);
	assert_int_equal(disk_write(d, &iov, 1, at), 0);
	assert_int_equal(disk_flush(d), 0);
}

static inline void write_text(struct fixture *f, const char *name, uint64_t at,
                              const char *text)
{
	char block[4096] = "";

	(void)snprintf(block, sizeof(block), "%s", text);
	put(f, name, at, block, sizeof(block));
}

/* Static; of one call at a time. */
static inline const char *read_text(struct fixture *f, const char *name,
                                    uint64_t at)
{
	struct upper cleanup_upper u = {0};
	struct disk *cleanup_disk d = NULL;
	static char block[4096];
	struct iovec iov = {block, sizeof(block)};

	open_disk(f, name, &u, &d);
	assert_int_equal(disk_read(d, &iov, 1, at), 0);
	block[sizeof(block) - 1] = '\0';
	return block;
}

static inline int snap(struct fixture *f, const char *sandbox, const char *name,
                       uint32_t flags)
{
	struct msb_snapshot_opts o = MSB_SNAPSHOT_OPTS_INIT;

	o.flags = flags;
	return msb_snapshot_create(f->home, sandbox, name, &o, &f->error);
}

/* Entries of a folder of the home, or bytes that they occupy. */
static inline uint64_t look_in(const struct fixture *f, const char *folder,
                               bool bytes)
{
	char path[96];
	struct dirent *e;
	uint64_t sum = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/%s", f->path, folder);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		struct stat st;

		if (e->d_name[0] == '.')
			continue;
		assert_int_equal(fstatat(dirfd(d), e->d_name, &st, 0), 0);
		sum += bytes ? (uint64_t)st.st_blocks * 512 : 1;
	}
	if (d)
		(void)closedir(d);
	return sum;
}

static inline uint64_t count(const struct fixture *f, const char *folder)
{
	return look_in(f, folder, false);
}

static inline void chain_of(struct fixture *f, const char *name,
                            struct disk_chain *ret)
{
	struct place cleanup_place p = PLACE_INIT;

	place_of(f, name, &p);
	assert_int_equal(upper_chain(&p, ret, NULL), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
