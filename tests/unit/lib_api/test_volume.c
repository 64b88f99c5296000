/* Volumes: their folders, locks and trees; kills at every step. */
#include "lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "fs/owner.h"
#include "fs/quota.h"
#include "lib/home.h"
#include "lib/volume.h"
#include "lib/volume_tree.h"

_Static_assert(VOLUME_INODE_BYTES == QUOTA_INODE_BYTES, "both count alike");

struct fixture {
	struct msb_home *home;
	char path[64];
	int fd; /* of the home */
};

static int set_up_in(void **state, const char *folder)
{
	struct fixture *f = calloc(1, sizeof(*f));

	(void)snprintf(f->path, sizeof(f->path), "%s/msb-test-vol-XXXXXX",
	               folder);
	assert_non_null(mkdtemp(f->path));
	assert_int_equal(msb_home_open(f->path, &f->home, NULL), 0);
	f->fd = open(f->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->fd >= 0);
	*state = f;
	return 0;
}

/* Where fsync() costs nothing: there are thousands of them. */
static int set_up(void **state)
{
	return set_up_in(state,
	                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
}

/* Where there are extended attributes. */
static int set_up_on_disk(void **state)
{
	return set_up_in(state, "/tmp");
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	msb_home_free(f->home);
	(void)close(f->fd);
	assert_int_equal(volume_tree_remove(AT_FDCWD, f->path), 0);
	free(f);
	return 0;
}

static void make(const struct fixture *f, const char *name)
{
	assert_int_equal(msb_volume_create(f->home, name, NULL, NULL), 0);
}

static bool exists(const struct fixture *f, const char *name)
{
	struct msb_volumes *l = NULL;
	int r = msb_volume_list(f->home, name, &l, NULL);

	msb_volumes_free(l);
	assert_true(r == 0 || r == -MSB_ERR_NOT_FOUND);
	return r == 0;
}

/* What is in volumes/, hidden ones too. */
static size_t count_folders(const struct fixture *f, const char *prefix)
{
	int fd = openat(f->fd, "volumes", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d)))
		n += strcmp(e->d_name, ".") != 0 &&
		     strcmp(e->d_name, "..") != 0 &&
		     strncmp(e->d_name, prefix, strlen(prefix)) == 0;
	if (d)
		(void)closedir(d);
	return n;
}

/* ---- the life of one ------------------------------------------------------
 */

static void one_is_made_listed_and_removed(void **state)
{
	struct fixture *f = *state;
	struct msb_volume_opts o = MSB_VOLUME_OPTS_INIT;
	struct msb_volumes *l = NULL;
	const struct msb_volume_info *v;

	assert_false(exists(f, "b"));
	assert_int_equal(msb_volume_list(f->home, NULL, &l, NULL), 0);
	assert_int_equal(msb_volumes_count(l), 0);
	msb_volumes_free(l);
	make(f, "b");
	o.size_bytes = 5 * MIB;
	assert_int_equal(msb_volume_create(f->home, "a", &o, NULL), 0);
	assert_int_equal(msb_volume_create(f->home, "a", &o, NULL),
	                 -MSB_ERR_EXISTS);
	assert_int_equal(msb_volume_list(f->home, NULL, &l, NULL), 0);
	assert_int_equal(msb_volumes_count(l), 2);
	v = msb_volumes_get(l, 0);
	assert_string_equal(v->name, "a");
	assert_int_equal(v->kind, MSB_VOLUME_DIR);
	assert_int_equal(v->size_bytes, 5 * MIB);
	assert_int_equal(v->used_bytes, 0);
	assert_int_equal(v->in_use, 0);
	assert_null(v->users[0]);
	assert_true(v->created_ms > 1600000000000LL);
	assert_int_equal(access(v->path, R_OK | W_OK | X_OK), 0);
	assert_null(msb_volumes_get(l, 2));
	msb_volumes_free(l);
	assert_int_equal(msb_volume_remove(f->home, "a", 0, NULL), 0);
	assert_int_equal(msb_volume_remove(f->home, "a", 0, NULL),
	                 -MSB_ERR_NOT_FOUND);
	assert_int_equal(msb_volume_remove(f->home, "../x", 1, NULL),
	                 -MSB_ERR_NOT_FOUND);
	assert_int_equal(count_folders(f, ""), 1);
}

static void a_disk_is_sparse_and_a_file_system(void **state)
{
	struct fixture *f = *state;
	struct msb_volume_opts o = MSB_VOLUME_OPTS_INIT;
	struct msb_volumes *l = NULL;
	const struct msb_volume_info *v;
	struct msb_error e;
	uint8_t magic[2];
	int fd, r;

	o.kind = MSB_VOLUME_DISK;
	o.size_bytes = 1 * GIB;
	r = msb_volume_create(f->home, "d", &o, &e);
	if (r == -MSB_ERR_NOT_FOUND)
		skip(); /* no e2fsprogs */
	assert_int_equal(r, 0);
	assert_int_equal(msb_volume_list(f->home, "d", &l, NULL), 0);
	v = msb_volumes_get(l, 0);
	assert_int_equal(v->kind, MSB_VOLUME_DISK);
	assert_int_equal(v->size_bytes, 1 * GIB);
	assert_in_range(v->used_bytes, 4096, 32 * MIB);
	fd = open(v->path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(lseek(fd, 0, SEEK_END), 1 * GIB);
	assert_int_equal(pread(fd, magic, 2, 1080), 2);
	assert_int_equal(magic[0], 0x53);
	assert_int_equal(magic[1], 0xef);
	(void)close(fd);
	msb_volumes_free(l);
}

static void what_cannot_be_is_refused(void **state)
{
	static const struct {
		const char *name;
		int32_t kind;
		uint64_t size;
	} bad[] = {
		{"",         MSB_VOLUME_DIR,  0           },
		{".x",       MSB_VOLUME_DIR,  0           },
		{"-x",       MSB_VOLUME_DIR,  0           },
		{"a/b",      MSB_VOLUME_DIR,  0           },
		{"..",       MSB_VOLUME_DIR,  0           },
		{"a b",      MSB_VOLUME_DIR,  0           },
		{"a\nb",     MSB_VOLUME_DIR,  0           },
		{"\xc3\xa4", MSB_VOLUME_DIR,  0           },
		{"d",        MSB_VOLUME_DISK, 0           },
		{"d",        MSB_VOLUME_DISK, 16 * MIB - 1},
		{"d",        MSB_VOLUME_DISK, 16 * MIB + 1},
		{"d",        MSB_VOLUME_DISK, 9ULL << 40  },
		{"d",        2,               0           },
		{"d",        -1,              0           },
		{"d",        MSB_VOLUME_DIR,  UINT64_MAX  },
	};
	struct fixture *f = *state;
	char name[MSB_NAME_MAX + 2];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct msb_volume_opts o = MSB_VOLUME_OPTS_INIT;
		struct msb_error e = {0};

		o.kind = bad[i].kind;
		o.size_bytes = bad[i].size;
		assert_int_equal(
			msb_volume_create(f->home, bad[i].name, &o, &e),
			-MSB_ERR_INVALID);
		assert_true(e.message[0]);
	}
	assert_int_equal(msb_volume_create(f->home, NULL, NULL, NULL),
	                 -MSB_ERR_INVALID);
	memset(name, 'a', sizeof(name));
	name[MSB_NAME_MAX + 1] = '\0';
	assert_int_equal(msb_volume_create(f->home, name, NULL, NULL),
	                 -MSB_ERR_INVALID);
	name[MSB_NAME_MAX] = '\0';
	make(f, name);
	assert_int_equal(count_folders(f, ""), 1);
}

static void write_text(const struct fixture *f, const char *path,
                       const char *text)
{
	int fd = openat(f->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
	                0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
	(void)close(fd);
}

static void folders_of_others_are_left_alone(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"{\"version\": 1}",
		"{\"version\": 1, \"kind\": \"tape\", \"size_bytes\": 0}",
		"{\"version\": 1, \"kind\": \"dir\", \"size_bytes\": -1}",
		"{\"version\": 2, \"kind\": \"dir\", \"size_bytes\": 0}",
	};
	struct fixture *f = *state;
	struct msb_volumes *l = NULL;
	struct msb_error e;

	make(f, "good");
	assert_int_equal(mkdirat(f->fd, "volumes/rust", 0755), 0);
	write_text(f, "volumes/rust/file", "x");
	write_text(f, "volumes/plain", "x");
	assert_int_equal(symlinkat("good", f->fd, "volumes/link"), 0);
	assert_int_equal(msb_volume_list(f->home, NULL, &l, NULL), 0);
	assert_int_equal(msb_volumes_count(l), 1);
	msb_volumes_free(l);
	assert_true(msb_volume_list(f->home, "link", &l, NULL) < 0);
	assert_true(msb_volume_list(f->home, "plain", &l, NULL) < 0);
	assert_true(msb_volume_remove(f->home, "rust", 1, &e) < 0);
	assert_non_null(strstr(e.hint, "-v "));
	assert_int_equal(msb_volume_create(f->home, "rust", NULL, NULL),
	                 -MSB_ERR_EXISTS);
	assert_int_equal(faccessat(f->fd, "volumes/rust/file", F_OK, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		write_text(f, "volumes/good/volume.json", bad[i]);
		assert_true(msb_volume_list(f->home, "good", &l, &e) < 0);
		assert_true(e.message[0]);
		assert_true(msb_volume_remove(f->home, "good", 1, NULL) < 0);
	}
}

/* ---- locks ----------------------------------------------------------------
 */

static struct volume opened(const struct fixture *f, const char *name)
{
	struct volume v = VOLUME_INIT;

	assert_int_equal(volume_open(f->home->store, name, &v, NULL), 0);
	return v;
}

static uint64_t usage(const struct volume_use *u)
{
	uint8_t b[8];

	assert_int_equal(pread(u->usage_fd, b, 8, 0), 8);
	return get_le64(b);
}

static void a_folder_is_shared_and_counted_by_the_first(void **state)
{
	struct fixture *f = *state;
	struct volume_use one = VOLUME_USE_INIT, two = VOLUME_USE_INIT;
	struct volume cleanup_volume v = VOLUME_INIT;
	uint8_t other[8];

	make(f, "v");
	write_text(f, "volumes/v/data/file", "hello");
	write_text(f, "volumes/v/usage", "wrong, and long");
	v = opened(f, "v");
	assert_false(volume_is_used(&v));
	assert_int_equal(volume_use(f->home->store, &v, false, &one, NULL), 0);
	assert_true(volume_is_used(&v));
	assert_int_equal(usage(&one), volume_bytes(&v));
	assert_in_range(usage(&one), 513, 70000);
	put_le64(other, 12345); /* by a machine */
	assert_int_equal(pwrite(one.usage_fd, other, 8, 0), 8);
	assert_int_equal(volume_use(f->home->store, &v, true, &two, NULL), 0);
	assert_int_equal(usage(&two), 12345);
	assert_int_equal(volume_bytes(&v), 12345);
	assert_int_equal(msb_volume_remove(f->home, "v", 1, NULL),
	                 -MSB_ERR_BUSY);
	volume_use_release(&one);
	assert_int_equal(msb_volume_remove(f->home, "v", 1, NULL),
	                 -MSB_ERR_BUSY);
	volume_use_release(&two);
	assert_false(volume_is_used(&v));
	assert_int_equal(volume_use(f->home->store, &v, false, &one, NULL), 0);
	assert_int_not_equal(usage(&one), 12345);
	volume_use_release(&one);
	assert_int_equal(msb_volume_remove(f->home, "v", 0, NULL), 0);
	assert_int_equal(volume_use(f->home->store, &v, false, &one, NULL),
	                 -ENOENT);
	make(f, "v"); /* another of that name is not the one that is open */
	assert_int_equal(volume_use(f->home->store, &v, false, &one, NULL),
	                 -ENOENT);
}

static void a_disk_is_of_one_machine(void **state)
{
	struct fixture *f = *state;
	struct volume_use one = VOLUME_USE_INIT, two = VOLUME_USE_INIT;
	struct msb_volume_opts o = MSB_VOLUME_OPTS_INIT;
	struct volume cleanup_volume v = VOLUME_INIT;
	struct err err = {0};

	o.kind = MSB_VOLUME_DISK;
	o.size_bytes = 16 * MIB;
	if (msb_volume_create(f->home, "d", &o, NULL) == -MSB_ERR_NOT_FOUND)
		skip();
	v = opened(f, "d");
	assert_int_equal(volume_use(f->home->store, &v, false, &one, NULL), 0);
	assert_int_equal(volume_use(f->home->store, &v, true, &two, &err),
	                 -EBUSY);
	assert_non_null(strstr(err.msg, "d is in use"));
	assert_int_equal(msb_volume_remove(f->home, "d", 1, NULL),
	                 -MSB_ERR_BUSY);
	volume_use_release(&one);
	assert_int_equal(volume_use(f->home->store, &v, true, &two, NULL), 0);
	assert_int_equal(two.usage_fd, -1);
	volume_use_release(&two);
}

/* Many processes that make, use and remove one volume; none is cut in two. */
static void compete(const struct fixture *f, unsigned seed)
{
	struct msb_home *home;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (msb_home_open(f->path, &home, NULL) < 0)
		_exit(9);
	for (int i = 0; i < 60; i++) {
		struct volume v = VOLUME_INIT;
		struct volume_use u = VOLUME_USE_INIT;
		int r;

		seed = seed * 1103515245 + 12345;
		if (seed >> 16 & 1)
			(void)msb_volume_create(home, "x", NULL, NULL);
		if ((seed >> 17 & 3) == 0)
			(void)msb_volume_remove(home, "x", 1, NULL);
		r = volume_open(home->store, "x", &v, NULL);
		if (r == 0)
			r = volume_use(home->store, &v, false, &u, NULL);
		if (r == 0 && (faccessat(v.dir_fd, "data", F_OK, 0) < 0 ||
		               faccessat(v.dir_fd, "lock", F_OK, 0) < 0))
			_exit(8); /* it was removed under a lock */
		if (r < 0 && r != -ENOENT)
			_exit(7);
		volume_use_release(&u);
		volume_release(&v);
	}
	msb_home_free(home);
	_exit(0);
}

static void processes_that_compete_cut_nothing_in_two(void **state)
{
	struct fixture *f = *state;
	pid_t pids[4];

	for (unsigned i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			compete(f, i * 7919 + 1);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(pids); i++) {
		int st = -1;

		assert_int_equal(waitpid(pids[i], &st, 0), pids[i]);
		assert_int_equal(st, 0);
	}
	(void)msb_volume_remove(f->home, "x", 1, NULL);
	make(f, "y");
	assert_int_equal(count_folders(f, ""), 1);
}

/* ---- kills ----------------------------------------------------------------
 */

/*
 * Let @fn run in a child up to its @stop-th system call's border, and kill it
 * there. False: it ended before.
 */
static bool kill_at(const struct fixture *f, int (*fn)(struct msb_home *),
                    unsigned stop)
{
	pid_t pid = fork();
	int st;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct msb_home *home;

		if (msb_home_open(f->path, &home, NULL) < 0 ||
		    ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(9);
		(void)raise(SIGSTOP);
		_exit(fn(home) < 0);
	}
	for (unsigned i = 0; i <= stop; i++) {
		assert_int_equal(waitpid(pid, &st, 0), pid);
		if (WIFEXITED(st)) {
			assert_int_equal(WEXITSTATUS(st), 0);
			return false;
		}
		assert_true(WIFSTOPPED(st));
		if (i < stop)
			assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, 0),
			                 0);
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	return true;
}

static int create_v(struct msb_home *home)
{
	return msb_volume_create(home, "v", NULL, NULL);
}

static int remove_v(struct msb_home *home)
{
	return msb_volume_remove(home, "v", 0, NULL);
}

/* As if a minute had passed. */
static void age(const struct fixture *f)
{
	int fd = openat(f->fd, "volumes", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(fd);
	const struct timespec old[2] = {{.tv_sec = time(NULL) - 100},
	                                {.tv_sec = time(NULL) - 100}};
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] == '.' && e->d_name[1] == 'n')
			(void)utimensat(dirfd(d), e->d_name, old, 0);
	if (d)
		(void)closedir(d);
}

static void a_creation_killed_anywhere_leaves_all_or_nothing(void **state)
{
	struct fixture *f = *state;
	bool seen_none = false, seen_left = false;
	unsigned stop = 0;

	for (; kill_at(f, create_v, stop); stop++) {
		if (exists(f, "v")) {
			struct volume cleanup_volume v = opened(f, "v");
			struct volume_use u = VOLUME_USE_INIT;

			assert_int_equal(
				volume_use(f->home->store, &v, false, &u, NULL),
				0);
			volume_use_release(&u);
		} else {
			seen_none = true;
		}
		seen_left |= count_folders(f, ".new-") > 0;
		(void)msb_volume_remove(f->home, "v", 0, NULL);
		age(f);
		make(f, "other"); /* takes the rest away */
		assert_int_equal(count_folders(f, ""), 1);
		assert_int_equal(msb_volume_remove(f->home, "other", 0, NULL),
		                 0);
	}
	assert_true(stop > 20);
	assert_true(seen_none);
	assert_true(seen_left);
}

static void a_removal_killed_anywhere_can_go_on(void **state)
{
	struct fixture *f = *state;
	bool seen_gone = false;
	unsigned stop = 0;

	for (bool more = true; more; stop++) {
		if (!exists(f, "v"))
			make(f, "v");
		(void)mkdirat(f->fd, "volumes/v/data/a", 0700);
		(void)mkdirat(f->fd, "volumes/v/data/a/b", 0700);
		write_text(f, "volumes/v/data/a/b/file", "x");
		more = kill_at(f, remove_v, stop);
		/* It is whole, or there is none. */
		if (exists(f, "v"))
			assert_int_equal(faccessat(f->fd,
			                           "volumes/v/data/a/b/file",
			                           F_OK, 0),
			                 0);
		seen_gone |= count_folders(f, ".gone-") > 0;
		make(f, "other");
		assert_int_equal(count_folders(f, ".gone-"), 0);
		assert_int_equal(msb_volume_remove(f->home, "other", 0, NULL),
		                 0);
	}
	assert_true(stop > 20);
	assert_true(seen_gone);
}

/* ---- trees ----------------------------------------------------------------
 */

#define DEEP 20000

/* A chain of folders that no path is long enough for. */
static void make_deep(const struct fixture *f, const char *in)
{
	int fd = openat(f->fd, in, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < DEEP; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "deep", 0700), 0);
		next = openat(fd, "deep", O_PATH | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		(void)close(fd);
		fd = next;
	}
	(void)close(fd);
}

static void make_wide(const struct fixture *f, const char *in)
{
	int fd = openat(f->fd, in, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < 3000; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(mkdirat(fd, name, 0700), 0);
		(void)snprintf(name, sizeof(name), "%d/0", i);
		assert_int_equal(mkdirat(fd, name, 0700), 0);
		(void)snprintf(name, sizeof(name), "%d/0/f", i);
		assert_int_equal(mknodat(fd, name, S_IFREG | 0600, 0), 0);
	}
	(void)close(fd);
}

static uint64_t count(const struct fixture *f, const char *path)
{
	int fd = openat(f->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t n = 0;

	assert_true(fd >= 0);
	assert_int_equal(volume_tree_count(fd, &n), 0);
	(void)close(fd);
	return n;
}

static uint64_t blocks(const struct fixture *f, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(f->fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return (uint64_t)st.st_blocks * 512 + VOLUME_INODE_BYTES;
}

static void deep_and_wide_trees_are_counted_and_removed(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	make(f, "v");
	make_deep(f, "volumes/v/data");
	make_wide(f, "volumes/v/data");
	before = count(f, "volumes/v/data");
	assert_true(before >= (DEEP + 9000) * VOLUME_INODE_BYTES);
	assert_int_equal(before, count(f, "volumes/v/data"));
	assert_int_equal(msb_volume_remove(f->home, "v", 0, NULL), 0);
	assert_int_equal(count_folders(f, ""), 0);
}

static void
blocks_of_one_file_count_once_and_links_are_not_followed(void **state)
{
	struct fixture *f = *state;
	char big[100000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	make(f, "v");
	write_text(f, "outside", big);
	assert_int_equal(mkdirat(f->fd, "folder", 0700), 0);
	write_text(f, "folder/file", big);
	write_text(f, "volumes/v/data/one", big);
	assert_int_equal(linkat(f->fd, "volumes/v/data/one", f->fd,
	                        "volumes/v/data/two", 0),
	                 0);
	assert_int_equal(
		symlinkat("../../../outside", f->fd, "volumes/v/data/l1"), 0);
	assert_int_equal(
		symlinkat("../../../folder", f->fd, "volumes/v/data/l2"), 0);
	assert_int_equal(
		mknodat(f->fd, "volumes/v/data/fifo", S_IFIFO | 0600, 0), 0);
	assert_int_equal(count(f, "volumes/v/data"),
	                 blocks(f, "volumes/v/data/one") +
	                         blocks(f, "volumes/v/data/l1") +
	                         blocks(f, "volumes/v/data/l2") +
	                         blocks(f, "volumes/v/data/fifo") +
	                         VOLUME_INODE_BYTES); /* its second name */
	assert_int_equal(msb_volume_remove(f->home, "v", 0, NULL), 0);
	assert_int_equal(faccessat(f->fd, "outside", F_OK, 0), 0);
	assert_int_equal(faccessat(f->fd, "folder/file", F_OK, 0), 0);
}

/* As another user, for whom modes mean something. */
static void remove_what_nobody_may_read(const struct fixture *f)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/t", f->path);
	if (setresgid(65534, 65534, 65534) < 0 ||
	    setresuid(65534, 65534, 65534) < 0 || mkdir(path, 0700) < 0 ||
	    chdir(path) < 0 || mkdir("a", 0700) < 0 || mkdir("a/b", 0700) < 0 ||
	    mkdir("a/b/c", 0700) < 0 || mknod("a/b/c/f", S_IFREG, 0) < 0 ||
	    mkdir("e", 0) < 0 || chmod("a/b/c", 0) < 0 ||
	    chmod("a/b", 0500) < 0 || chmod("a", 0) < 0 || chdir("/") < 0 ||
	    chmod(path, 0) < 0)
		_exit(9);
	_exit(volume_tree_remove(AT_FDCWD, path) < 0);
}

static void modes_do_not_stop_a_removal(void **state)
{
	struct fixture *f = *state;
	pid_t pid;
	int st = -1;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(f->path, 0777), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		remove_what_nobody_may_read(f);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(st, 0);
	assert_int_not_equal(faccessat(f->fd, "t", F_OK, 0), 0);
}

static bool read_owner(const struct fixture *f, struct owner *ret)
{
	uint8_t b[64];
	int fd = openat(f->fd, "volumes/v/data",
	                O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t n = fgetxattr(fd, OWNER_XATTR, b, sizeof(b));

	(void)close(fd);
	return n > 0 && owner_parse(b, (size_t)n, ret);
}

static void an_empty_folder_is_of_the_first_user(void **state)
{
	struct fixture *f = *state;
	struct volume cleanup_volume v = VOLUME_INIT;
	struct owner o;

	make(f, "v");
	v = opened(f, "v");
	assert_false(read_owner(f, &o));
	volume_give(&v, 1000, 100);
	if (!read_owner(f, &o))
		skip(); /* no such attributes here */
	assert_int_equal(o.uid, 1000);
	assert_int_equal(o.gid, 100);
	assert_int_equal(o.mode, S_IFDIR | 0755);
	volume_give(&v, 7, 7); /* it has an owner */
	assert_true(read_owner(f, &o));
	assert_int_equal(o.uid, 1000);
	volume_release(&v);
	assert_int_equal(msb_volume_remove(f->home, "v", 0, NULL), 0);
	make(f, "v");
	v = opened(f, "v");
	write_text(f, "volumes/v/data/file", "x");
	volume_give(&v, 7, 7); /* it is not empty */
	assert_false(read_owner(f, &o));
}

static void prune_leaves_what_is_in_use(void **state)
{
	struct fixture *f = *state;
	struct volume_use u = VOLUME_USE_INIT;
	struct volume cleanup_volume v = VOLUME_INIT;
	char **names = NULL;
	uint64_t freed = 0;

	make(f, "free");
	write_text(f, "volumes/free/data/file", "x");
	make(f, "used");
	v = opened(f, "used");
	assert_int_equal(volume_use(f->home->store, &v, false, &u, NULL), 0);
	assert_int_equal(msb_volume_prune(f->home, &names, &freed, NULL), 0);
	assert_string_equal(names[0], "free");
	assert_null(names[1]);
	assert_true(freed > 512);
	msb_strings_free(names);
	assert_true(exists(f, "used"));
	volume_use_release(&u);
	assert_int_equal(msb_volume_prune(f->home, &names, &freed, NULL), 0);
	assert_string_equal(names[0], "used");
	msb_strings_free(names);
	assert_int_equal(msb_volume_prune(f->home, &names, &freed, NULL), 0);
	assert_null(names[0]);
	msb_strings_free(names);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_is_made_listed_and_removed),
		TEST(a_disk_is_sparse_and_a_file_system),
		TEST(what_cannot_be_is_refused),
		TEST(folders_of_others_are_left_alone),
		TEST(a_folder_is_shared_and_counted_by_the_first),
		TEST(a_disk_is_of_one_machine),
		TEST(processes_that_compete_cut_nothing_in_two),
		TEST(a_creation_killed_anywhere_leaves_all_or_nothing),
		TEST(a_removal_killed_anywhere_can_go_on),
		TEST(deep_and_wide_trees_are_counted_and_removed),
		TEST(blocks_of_one_file_count_once_and_links_are_not_followed),
		TEST(modes_do_not_stop_a_removal),
		cmocka_unit_test_setup_teardown(
			an_empty_folder_is_of_the_first_user, set_up_on_disk,
			tear_down),
		TEST(prune_leaves_what_is_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
