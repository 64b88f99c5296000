/*
 * Writable disks that have a name. e2fsprogs' own tools say
 * what is in them.
 */
#include "lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "base/spawn.h"
#include "image/ext4.h"
#include "image/rootfs.h"
#include "image/tarball.h"

struct fixture {
	struct store *s;
	int dir; /* of a sandbox */
	struct err err;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->s = test_store_open();
	assert_int_equal(mkdirat(f->s->home_fd, "box", 0700), 0);
	f->dir = openat(f->s->home_fd, "box", O_RDONLY | O_DIRECTORY);
	assert_true(f->dir >= 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	(void)close(f->dir);
	test_store_close(f->s);
	free(f);
	return 0;
}

static int run(const struct spawn_opts *o)
{
	struct err err = {0};
	int r = spawn_run(o, &err);

	if (r != 0)
		print_message("# %s\n", err.msg);
	return r;
}

static const char *path_of(int fd, char path[64])
{
	(void)snprintf(path, 64, "/proc/%d/fd/%d", getpid(), fd);
	return path;
}

static int check(int fd)
{
	char path[64];
	char *argv[] = {"/usr/sbin/e2fsck", "-fn", path, NULL};

	(void)path_of(fd, path);
	return run(&(struct spawn_opts){.argv = argv, .timeout_ms = 60000});
}

/* What debugfs says to @script. */
static void debugfs(int fd, const char *script, struct buf *out)
{
	char path[64];
	char *argv[] = {"/usr/sbin/debugfs", "-w", "-f", "-", path, NULL};
	struct spawn_opts o = {.argv = argv,
	                       .input = script,
	                       .input_len = strlen(script),
	                       .output = out,
	                       .timeout_ms = 60000};

	(void)path_of(fd, path);
	assert_int_equal(run(&o), 0);
}

static int make(struct fixture *f, const char *name, uint64_t size)
{
	int fd, r = upper_create_at(f->s, size, f->dir, name, &f->err);

	if (r < 0)
		fail_msg("%s", f->err.msg);
	fd = openat(f->dir, name, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static unsigned count_names(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(fd);
	unsigned n = 0;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..");
	(void)closedir(d);
	return n;
}

static void a_named_one_is_whole_and_private(void **state)
{
	struct fixture *f = *state;
	mode_t old = umask(0);
	cleanup_close int fd = make(f, "upper.ext4", 1 * GIB);
	struct buf cleanup_buf said = BUF_INIT;
	struct stat st;

	(void)umask(old);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 1 * GIB);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(st.st_nlink, 1);
	assert_true(st.st_blocks * 512 <= 1 << 20);
	assert_int_equal(check(fd), 0);
	debugfs(fd, "ls -p /\n", &said);
	assert_non_null(strstr(buf_str(&said), "/040755/0/0/u/"));
	assert_int_equal(count_names(f->dir), 1);
}

static void what_is_there_stays(void **state)
{
	struct fixture *f = *state;
	struct buf cleanup_buf b = BUF_INIT;

	assert_int_equal(
		file_write_atomic(f->dir, "upper.ext4", "mine", 4, 0600), 0);
	assert_int_equal(
		upper_create_at(f->s, 16 * MIB, f->dir, "upper.ext4", &f->err),
		-EEXIST);
	assert_int_equal(file_read(f->dir, "upper.ext4", &b), 0);
	assert_string_equal(buf_str(&b), "mine");
	assert_int_equal(count_names(f->dir), 1);
	assert_int_equal(
		upper_create_at(f->s, 16 * MIB + 1, f->dir, "x", &f->err),
		-EINVAL);
	assert_int_equal(
		upper_create_at(f->s, 16 * MIB, f->dir, "no/x", &f->err),
		-ENOENT);
	assert_int_equal(count_names(f->dir), 1);
}

/* openat() with O_TMPFILE says what it says on overlay of old kernels. */
static int forbid_nameless_files(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
	                 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_openat, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
	                 offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY,
	                 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {ARRAY_SIZE(code), code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	                       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog)
	               ? -errno
	               : 0;
}

static int without_nameless_files(struct fixture *f)
{
	int fd;

	if (forbid_nameless_files() < 0)
		return 1;
	if (openat(f->dir, ".", O_TMPFILE | O_RDWR, 0600) >= 0)
		return 2;
	if (file_write_atomic(f->dir, ".upper.ext4.new", "old", 3, 0600) < 0)
		return 3; /* somebody was killed here */
	if (upper_create_at(f->s, 16 * MIB, f->dir, "upper.ext4", &f->err) < 0)
		return 4;
	if (upper_create_at(f->s, 16 * MIB, f->dir, "upper.ext4", NULL) !=
	    -EEXIST)
		return 5;
	if (upper_create(f->s, 16 * MIB, &fd, &f->err) < 0)
		return 6;
	return 0;
}

static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status)
	                         : 1000 + WTERMSIG(status);
}

static int in_child(struct fixture *f, int (*fn)(struct fixture *f))
{
	pid_t pid = fork();
	int step;

	assert_true(pid >= 0);
	if (pid > 0)
		return status_of(pid);
	step = fn(f);
	if (step)
		(void)fprintf(stderr, "# step %d: %s\n", step, f->err.msg);
	_exit(step);
}

static void file_systems_without_nameless_files_do(void **state)
{
	struct fixture *f = *state;
	cleanup_close int fd = -1;

	assert_int_equal(in_child(f, without_nameless_files), 0);
	assert_int_equal(count_names(f->dir), 1);
	fd = openat(f->dir, "upper.ext4", O_RDONLY);
	assert_int_equal(check(fd), 0);
}

static int make_for_ever(struct fixture *f)
{
	char name[32];

	for (unsigned i = 0; i < 100000; i++) {
		(void)snprintf(name, sizeof(name), "%u.ext4", i);
		if (upper_create_at(f->s, 16 * MIB, f->dir, name, &f->err) < 0)
			return 1;
	}
	return 0;
}

/* Whatever has the name is a whole file system. */
static void who_is_killed_leaves_no_half_one(void **state)
{
	struct fixture *f = *state;
	unsigned made = 0;

	(void)close(make(f, "template-is-there", 16 * MIB));
	/* A busy host makes few in a round. */
	for (int round = 0; round < 10 || (made <= 10 && round < 100);
	     round++) {
		pid_t pid = fork();
		DIR *d;

		assert_true(pid >= 0);
		if (pid == 0)
			_exit(make_for_ever(f));
		(void)usleep(2000 + (useconds_t)round * 3000);
		(void)kill(pid, SIGKILL);
		(void)status_of(pid);
		d = fdopendir(openat(f->dir, ".", O_RDONLY | O_DIRECTORY));
		for (struct dirent *e; (e = readdir(d));) {
			cleanup_close int fd = -1;
			struct stat st;
			uint8_t magic[2];

			if (e->d_name[0] == '.')
				continue;
			fd = openat(f->dir, e->d_name, O_RDONLY);
			assert_int_equal(fstat(fd, &st), 0);
			assert_int_equal(st.st_size, 16 * MIB);
			assert_int_equal(pread(fd, magic, 2, 1024 + 0x38), 2);
			assert_int_equal(get_le16(magic), 0xef53);
			if (made++ % 50 == 0)
				assert_int_equal(check(fd), 0);
			(void)unlinkat(f->dir, e->d_name, 0);
		}
		(void)closedir(d);
		assert_int_equal(count_names(f->dir), 0);
	}
	assert_true(made > 10);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_named_one_is_whole_and_private),
		T(what_is_there_stays),
		T(file_systems_without_nameless_files_do),
		T(who_is_killed_leaves_no_half_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
