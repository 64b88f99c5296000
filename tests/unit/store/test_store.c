#include "lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "store/store.h"

struct fixture {
	char root[64], home[96];
	struct store *s;
	struct err err;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	(void)snprintf(f->root, sizeof(f->root), "/tmp/msb-store-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	(void)snprintf(f->home, sizeof(f->home), "%s/home", f->root);
	assert_int_equal(store_open(f->home, &f->s, &f->err), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	store_close(f->s);
	assert_int_equal(dir_remove(AT_FDCWD, f->root), 0);
	free(f);
	return 0;
}

static unsigned count(int at, const char *path)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY);
	DIR *d = fdopendir(fd);
	struct dirent *e;
	unsigned n = 0;

	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	(void)closedir(d);
	return n;
}

static mode_t mode_of(int at, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(at, path, &st, 0), 0);
	return st.st_mode & 07777;
}

static void stage_text(struct store_tmp *t, const char *name, const char *text)
{
	int fd = openat(t->dir_fd, name, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
	(void)close(fd);
}

static void assert_text(int at, const char *path, const char *want)
{
	struct buf cleanup_buf b = BUF_INIT;

	assert_int_equal(file_read(at, path, &b), 0);
	assert_string_equal(buf_str(&b), want);
}

static void new_home_is_private_whatever_the_umask(void **state)
{
	struct fixture *f = *state;
	char home[128];
	struct store *s;
	mode_t old = umask(0);

	(void)snprintf(home, sizeof(home), "%s/a/b", f->root);
	assert_int_equal(store_open(home, &s, &f->err), 0);
	umask(old);
	assert_int_equal(mode_of(s->home_fd, "."), 0700);
	assert_int_equal(mode_of(s->home_fd, "store"), 0700);
	assert_int_equal(mode_of(s->fd, "layers"), 0700);
	assert_text(s->fd, "VERSION", "1\n");
	store_close(s);
}

static void second_open_finds_the_same_home(void **state)
{
	struct fixture *f = *state;
	struct store *s;

	assert_int_equal(store_put(f->s, "refs/x", "hi", 2, &f->err), 0);
	assert_int_equal(store_open(f->home, &s, &f->err), 0);
	assert_text(s->fd, "refs/x", "hi");
	store_close(s);
}

static void open_refused(struct fixture *f, const char *home, int code,
                         const char *part)
{
	struct store *s = NULL;

	assert_int_equal(store_open(home, &s, &f->err), code);
	assert_null(s);
	assert_non_null(strstr(f->err.msg, part));
}

static void home_that_others_may_write_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(chmod(f->home, 0777), 0);
	open_refused(f, f->home, -EPERM, "other users may write");
	assert_true(f->err.hint[0]);
}

static void home_of_another_user_is_refused(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(f->home, 12345, 12345), 0);
	open_refused(f, f->home, -EPERM, "belongs to user 12345");
}

static void planted_link_in_the_home_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(dir_remove(f->s->fd, "layers"), 0);
	assert_int_equal(symlinkat("/tmp", f->s->fd, "layers"), 0);
	open_refused(f, f->home, -ENOTDIR, "store/layers");
}

static void home_that_is_a_file_is_refused(void **state)
{
	struct fixture *f = *state;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/store/VERSION", f->home);
	open_refused(f, path, -ENOTDIR, "cannot open the home folder");
}

static void newer_layout_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store_put(f->s, "VERSION", "2\n", 2, NULL), 0);
	open_refused(f, f->home, -ENOTSUP, "newer msb");
	assert_non_null(strstr(f->err.hint, "update msb"));
}

static void damaged_version_is_refused(void **state)
{
	static const char *const bad[] = {"", "x\n", "0\n", "-1\n", "1 2\n"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(store_put(f->s, "VERSION", bad[i],
		                           strlen(bad[i]), NULL),
		                 0);
		open_refused(f, f->home, -EBADMSG, "damaged");
	}
}

static void published_folder_is_whole_and_read_only(void **state)
{
	struct fixture *f = *state;
	struct store_tmp t = {0};

	assert_int_equal(store_tmp_new(f->s, &t, &f->err), 0);
	stage_text(&t, "data", "content");
	assert_int_equal(mkdirat(t.dir_fd, "sub", 0700), 0);
	assert_int_equal(store_publish_dir(f->s, &t, "layers/ab/abcd", NULL),
	                 0);
	assert_text(f->s->fd, "layers/ab/abcd/data", "content");
	assert_int_equal(mode_of(f->s->fd, "layers/ab/abcd/data"), 0444);
	assert_int_equal(count(f->s->fd, "tmp"), 0);
	store_tmp_drop(f->s, &t);
}

static void second_publication_loses_and_is_dropped(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++) {
		struct store_tmp t = {0};

		assert_int_equal(store_tmp_new(f->s, &t, &f->err), 0);
		stage_text(&t, "data", i ? "second" : "first");
		assert_int_equal(
			store_publish_dir(f->s, &t, "chains/x", &f->err), i);
		assert_int_equal(t.name[0], 0);
	}
	assert_text(f->s->fd, "chains/x/data", "first");
	assert_int_equal(count(f->s->fd, "tmp"), 0);
}

static void second_file_loses_but_put_replaces(void **state)
{
	struct fixture *f = *state;
	struct store_tmp t = {0};

	assert_int_equal(store_tmp_new(f->s, &t, &f->err), 0);
	stage_text(&t, "a", "first");
	stage_text(&t, "b", "second");
	assert_int_equal(store_publish_file(f->s, &t, "a", "configs/c", NULL),
	                 0);
	assert_int_equal(store_publish_file(f->s, &t, "b", "configs/c", NULL),
	                 1);
	assert_text(f->s->fd, "configs/c", "first");
	assert_int_equal(count(t.dir_fd, "."), 0);
	assert_int_equal(store_put(f->s, "configs/c", "third", 5, NULL), 0);
	assert_text(f->s->fd, "configs/c", "third");
	store_tmp_drop(f->s, &t);
	store_tmp_drop(f->s, &t);
	assert_int_equal(count(f->s->fd, "tmp"), 0);
}

static void failed_publication_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_tmp t = {0};

	assert_int_equal(store_tmp_new(f->s, &t, &f->err), 0);
	assert_int_equal(symlinkat("/etc/passwd", t.dir_fd, "link"), 0);
	assert_int_equal(store_publish_dir(f->s, &t, "layers/x", &f->err),
	                 -EINVAL);
	assert_int_equal(count(f->s->fd, "tmp"), 0);
	assert_int_equal(faccessat(f->s->fd, "layers/x", F_OK, 0), -1);
	assert_int_equal(mode_of(AT_FDCWD, "/etc/passwd"), 0644);
}

static void publication_never_follows_a_link(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(symlinkat(f->root, f->s->fd, "refs/evil"), 0);
	assert_int_equal(store_put(f->s, "refs/evil/x", "x", 1, &f->err),
	                 -ENOTDIR);
	assert_int_equal(faccessat(f->s->fd, "refs/evil/x", F_OK, 0), -1);
}

static void staging_of_a_dead_process_is_swept(void **state)
{
	struct fixture *f = *state;
	struct store *s;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct store_tmp t = {0};
		int r = store_tmp_new(f->s, &t, NULL);

		if (r == 0)
			stage_text(&t, "half", "written");
		_exit(r < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(count(f->s->fd, "tmp"), 1);
	assert_int_equal(store_open(f->home, &s, &f->err), 0);
	assert_int_equal(count(s->fd, "tmp"), 0);
	store_close(s);
}

static void staging_of_a_living_one_is_not(void **state)
{
	struct fixture *f = *state;
	struct store_tmp t = {0};
	struct store *s;

	assert_int_equal(store_tmp_new(f->s, &t, &f->err), 0);
	assert_int_equal(store_open(f->home, &s, &f->err), 0);
	assert_int_equal(count(s->fd, "tmp"), 1);
	store_close(s);
	store_tmp_drop(f->s, &t);
}

static void *open_and_stage(void *arg)
{
	struct fixture *f = arg;

	for (int i = 0; i < 30; i++) {
		struct store_tmp t = {0};
		struct store *s;

		if (store_open(f->home, &s, NULL) < 0)
			return f;
		if (store_tmp_new(s, &t, NULL) < 0)
			return f;
		stage_text(&t, "x", "y");
		if (store_publish_dir(s, &t, "layers/race", NULL) < 0)
			return f;
		store_close(s);
	}
	return NULL;
}

static void sweepers_and_makers_do_not_meet(void **state)
{
	struct fixture *f = *state;
	pthread_t th[8];

	for (int i = 0; i < 8; i++)
		assert_int_equal(
			pthread_create(&th[i], NULL, open_and_stage, f), 0);
	for (int i = 0; i < 8; i++) {
		void *failed;

		assert_int_equal(pthread_join(th[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(count(f->s->fd, "tmp"), 0);
	assert_text(f->s->fd, "layers/race/x", "y");
}

static void lock_excludes_and_shares(void **state)
{
	struct fixture *f = *state;
	struct store *s = f->s;
	int a = store_lock(s, "layer-x", STORE_LOCK_SHARED, &f->err);
	int b = store_lock(s, "layer-x", STORE_LOCK_SHARED, &f->err);

	assert_true(a >= 0 && b >= 0);
	assert_int_equal(store_lock(s, "layer-x", STORE_LOCK_TRY, &f->err),
	                 -EWOULDBLOCK);
	(void)close(a);
	(void)close(b);
	a = store_lock(s, "layer-x", STORE_LOCK_TRY, &f->err);
	assert_true(a >= 0);
	(void)close(a);
}

static void lock_names_cannot_leave_the_folder(void **state)
{
	static const char *const bad[] = {"",   "..",  "a/b", "../x",
	                                  ".x", "a b", "a\n", "\xc3\xa9"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(store_lock(f->s, bad[i], 0, &f->err), -EINVAL);
	assert_int_equal(count(f->s->fd, "locks"), 0);
}

static void reserve_says_how_much_is_missing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store_reserve(f->s, 4096, &f->err), 0);
	assert_int_equal(store_reserve(f->s, UINT64_MAX, &f->err), -ENOSPC);
	assert_non_null(strstr(f->err.msg, "not enough space"));
	assert_non_null(strstr(f->err.hint, "prune"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(new_home_is_private_whatever_the_umask),
		T(second_open_finds_the_same_home),
		T(home_that_others_may_write_is_refused),
		T(home_of_another_user_is_refused),
		T(planted_link_in_the_home_is_refused),
		T(home_that_is_a_file_is_refused),
		T(newer_layout_is_refused),
		T(damaged_version_is_refused),
		T(published_folder_is_whole_and_read_only),
		T(second_publication_loses_and_is_dropped),
		T(second_file_loses_but_put_replaces),
		T(failed_publication_leaves_nothing),
		T(publication_never_follows_a_link),
		T(staging_of_a_dead_process_is_swept),
		T(staging_of_a_living_one_is_not),
		T(sweepers_and_makers_do_not_meet),
		T(lock_excludes_and_shares),
		T(lock_names_cannot_leave_the_folder),
		T(reserve_says_how_much_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
