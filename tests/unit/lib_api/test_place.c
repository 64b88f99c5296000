/* The folder of a sandbox: its lock, its mark, its socket, its files. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "lib/place.h"

#define ID  "0123456789abcdef"
#define ID2 "fedcba9876543210"

struct fixture {
	struct store *store;
	char path[512];
};

/* A home whose path is longer than a socket's may be. */
static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char base[] = "/tmp/msb-test-place-XXXXXX";

	assert_non_null(mkdtemp(base));
	(void)snprintf(f->path, sizeof(f->path), "%s/%0150d", base, 0);
	assert_int_equal(store_open(f->path, &f->store, NULL), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	store_close(f->store);
	*strrchr(f->path, '/') = '\0';
	assert_int_equal(dir_remove(AT_FDCWD, f->path), 0);
	free(f);
	return 0;
}

static struct place make(struct fixture *f, const char *id)
{
	struct place p = PLACE_INIT;

	assert_int_equal(place_make(f->store, id, &p, NULL), 0);
	return p;
}

static bool exists(const struct fixture *f, const char *id)
{
	struct place cleanup_place p = PLACE_INIT;

	return place_open(f->store, id, &p, NULL) == 0;
}

static void a_folder_is_private_and_made_once(void **state)
{
	struct place cleanup_place p = make(*state, ID);
	struct fixture *f = *state;
	struct place again = PLACE_INIT;
	struct stat st;

	assert_int_equal(fstat(p.dir_fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(place_make(f->store, ID, &again, NULL), -EEXIST);
	assert_int_equal(place_open(f->store, ID2, &again, NULL), -ENOENT);
	assert_int_equal(place_remove(f->store, ID, NULL), 0);
	assert_int_equal(place_remove(f->store, ID, NULL), 0);
}

static void the_lock_goes_with_the_descriptor(void **state)
{
	struct place cleanup_place p = make(*state, ID);
	struct err err = {0};
	int lock = place_lock(&p, NULL), st;
	pid_t pid;

	assert_true(lock >= 0);
	assert_true(place_is_locked(&p));
	assert_int_equal(place_lock(&p, &err), -EBUSY);
	assert_int_equal(fcntl(lock, F_GETFD), FD_CLOEXEC);
	pid = fork();
	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	close(lock);
	assert_true(place_is_locked(&p)); /* the child holds it */
	assert_int_equal(place_wait_unlocked(&p, 20), -ETIMEDOUT);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(place_wait_unlocked(&p, 5000), 0);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_false(place_is_locked(&p));
}

/* Many look while somebody takes it: he must not be told that it is taken. */
static void looking_takes_nothing(void **state)
{
	struct place cleanup_place p = make(*state, ID);
	pid_t pid = fork();
	int st;

	if (pid == 0)
		for (;;)
			(void)place_is_locked(&p);
	for (int i = 0; i < 2000; i++) {
		int lock = place_lock(&p, NULL);

		assert_true(lock >= 0);
		close(lock);
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &st, 0), pid);
}

static void the_socket_does_not_mind_a_long_path(void **state)
{
	struct place cleanup_place p = make(*state, ID);
	int first = place_listen(&p, NULL), fd, listen_fd;
	struct stat st;

	assert_true(first >= 0);
	fd = place_connect(&p);
	assert_true(fd >= 0);
	close(fd);
	close(first); /* its file stays, as after a kill */
	assert_int_equal(place_connect(&p), -ECONNREFUSED);
	listen_fd = place_listen(&p, NULL);
	assert_true(listen_fd >= 0);
	fd = place_connect(&p);
	assert_true(fd >= 0);
	assert_int_equal(fstatat(p.dir_fd, "agent.sock", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	close(fd);
	close(listen_fd);
}

static void put(const struct place *p, const char *name, const char *text)
{
	int fd = place_file(p, name, O_WRONLY | O_CREAT | O_TRUNC);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
	close(fd);
}

static void the_end_is_read_whatever_it_says(void **state)
{
	struct place cleanup_place p = make(*state, ID);
	static char big[8192];
	struct place_end end;

	assert_int_equal(place_read_end(&p, &end), 0);
	assert_string_equal(end.reason, "");
	assert_int_equal(end.exit_code, -1);
	put(&p, "end.json", "");
	assert_int_equal(place_read_end(&p, &end), 0);
	assert_string_equal(end.reason, "");
	put(&p, "end.json",
	    "{\"reason\":\"exited\",\"message\":\"m\",\"ended_ms\":5,"
	    "\"exit_code\":3}");
	assert_int_equal(place_read_end(&p, &end), 0);
	assert_string_equal(end.reason, "exited");
	assert_string_equal(end.message, "m");
	assert_int_equal(end.ended_ms, 5);
	assert_int_equal(end.exit_code, 3);
	put(&p, "end.json", "{\"reason\":");
	assert_int_equal(place_read_end(&p, &end), 0);
	assert_string_equal(end.reason, "");
	memset(big, 'x', sizeof(big) - 1);
	put(&p, "end.json", big);
	assert_true(place_read_end(&p, &end) < 0);
	assert_string_equal(end.reason, "");
	assert_int_equal(unlinkat(p.dir_fd, "end.json", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", p.dir_fd, "vm.log.0"), 0);
	assert_int_equal(place_file(&p, "vm.log.0", O_RDWR), -ELOOP);
}

static void the_record_is_there_without_the_database(void **state)
{
	struct place cleanup_place p = make(*state, ID);
	struct state_sandbox cleanup_state_sandbox row = {.created_ms = 77};
	struct state_sandbox cleanup_state_sandbox got = {0};

	memcpy(row.id, ID, sizeof(row.id));
	row.name = strdup("n");
	row.image = strdup("/caf\xe9"); /* a folder's name may be any bytes */
	row.image_id = strdup("");
	row.config = strdup("{\"cpus\":1}");
	assert_int_equal(strv_add(&row.labels, "a=b"), 0);
	assert_int_equal(strv_add(&row.labels, "c=\xff"), 0);
	assert_int_equal(place_write_json(&p, &row, NULL), 0);
	assert_int_equal(place_read_json(&p, &got, NULL), 0);
	assert_string_equal(got.name, "n");
	assert_string_equal(got.config, row.config);
	assert_string_equal(got.image, row.image);
	assert_int_equal(got.labels.n, 2);
	assert_string_equal(got.labels.v[0], "a=b");
	assert_string_equal(got.labels.v[1], "c=\xff");
	assert_int_equal(got.created_ms, 77);
	put(&p, "sandbox.json", "{\"id\":\"" ID2 "\"}");
	assert_int_equal(place_read_json(&p, &row, NULL), -EINVAL);
}

static bool is_second(void *arg, const char *id)
{
	(void)arg;
	return strcmp(id, ID2) == 0;
}

static void age(const struct place *p)
{
	const struct timespec long_ago[2] = {
		{1000, 0},
                {1000, 0}
        };

	assert_int_equal(futimens(p->dir_fd, long_ago), 0);
}

static void only_marked_old_unlocked_unknown_folders_are_swept(void **state)
{
	struct fixture *f = *state;
	static const char *const ids[] = {
		"000000000000000a", ID2,
		"000000000000000c", "000000000000000d",
		"000000000000000e", "000000000000000f"};
	struct place p[6];
	int lock;

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		p[i] = make(f, ids[i]);
	lock = place_lock(&p[2], NULL);
	assert_int_equal(/* somebody's data */
	                 renameat(p[3].dir_fd, "unkept", p[3].dir_fd, "data"),
	                 0);
	assert_int_equal(place_unmark(&p[5]), 0);
	for (size_t i = 0; i < 6; i++)
		if (i != 4)
			age(&p[i]);
	assert_int_equal(place_sweep(f->store, is_second, NULL), 0);
	assert_false(exists(f, ids[0]));
	assert_true(exists(f, ids[1]));  /* known */
	assert_true(exists(f, ids[2]));  /* locked */
	assert_true(exists(f, ids[3]));  /* not marked */
	assert_true(exists(f, ids[4]));  /* young */
	assert_false(exists(f, ids[5])); /* cut off before it was marked */
	close(lock);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		place_release(&p[i]);
}

static bool none(void *arg, const char *id)
{
	(void)arg;
	(void)id;
	return false;
}

/* Cut off in its midst, also when the mark has gone already. */
static void a_removal_that_was_cut_off_is_finished(void **state)
{
	struct fixture *f = *state;
	struct place p = make(f, ID2);
	char gone[64];

	(void)snprintf(gone, sizeof(gone), "%s.gone", ID2);
	assert_int_equal(place_unmark(&p), 0);
	assert_int_equal(renameat(p.parent_fd, ID2, p.parent_fd, gone), 0);
	assert_int_equal(mkdirat(p.parent_fd, "somebodys.gone", 0700), 0);
	assert_int_equal(place_sweep(f->store, none, NULL), 0);
	assert_false(exists(f, gone));
	assert_true(exists(f, "somebodys.gone"));
	place_release(&p);
	/* or by the next one, of the same name */
	p = make(f, ID2);
	assert_int_equal(mkdirat(p.parent_fd, gone, 0700), 0);
	assert_int_equal(place_remove(f->store, ID2, NULL), 0);
	assert_false(exists(f, gone) || exists(f, ID2));
	place_release(&p);
}

/* Who has it open makes files in it all the time. */
static void a_folder_goes_whoever_writes_to_it(void **state)
{
	struct fixture *f = *state;
	struct place p = make(f, ID2);
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		for (unsigned i = 0; i < 2000000; i++) {
			cleanup_close int fd =
				place_file(&p, "lock", O_RDWR | O_CREAT);

			if (fd == -ENOENT)
				_exit(0);
		}
		_exit(1);
	}
	(void)usleep(20000);
	assert_int_equal(place_remove(f->store, ID2, NULL), 0);
	assert_false(exists(f, ID2));
	/* what may be left of it is a sweep's */
	for (int i = 0; i < 100; i++)
		(void)place_sweep(f->store, none, NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	place_release(&p);
}

/* One that was taken over, or that was stopped. */
static void who_accepts_nobody_holds_nobody(void **state)
{
	struct place cleanup_place p = make(*state, ID);
	cleanup_close int listener = place_listen(&p, NULL);
	int lines[256], n = 0, r;

	assert_true(listener >= 0);
	(void)alarm(20); /* the test's end, if it did */
	while (n < (int)ARRAY_SIZE(lines) && (r = place_connect(&p)) >= 0)
		lines[n++] = r;
	(void)alarm(0);
	assert_int_equal(r, -EAGAIN);
	while (n)
		(void)close(lines[--n]);
	assert_int_equal(
		place_remove(((struct fixture *)*state)->store, ID, NULL), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_folder_is_private_and_made_once),
		T(the_lock_goes_with_the_descriptor),
		T(looking_takes_nothing),
		T(the_socket_does_not_mind_a_long_path),
		T(the_end_is_read_whatever_it_says),
		T(the_record_is_there_without_the_database),
		T(only_marked_old_unlocked_unknown_folders_are_swept),
		T(a_removal_that_was_cut_off_is_finished),
		T(a_folder_goes_whoever_writes_to_it),
		T(who_accepts_nobody_holds_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
