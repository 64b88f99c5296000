/* Processes that hold a sandbox's lock, played by children of the test. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "lib/life.h"

#define ID "0123456789abcdef"

struct fixture {
	struct msb_home *home;
	struct place place;
	char path[64];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	(void)snprintf(f->path, sizeof(f->path), "/tmp/msb-test-life-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	assert_int_equal(msb_home_open(f->path, &f->home, NULL), 0);
	assert_int_equal(place_make(f->home->store, ID, &f->place, NULL), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	place_release(&f->place);
	msb_home_free(f->home);
	assert_int_equal(dir_remove(AT_FDCWD, f->path), 0);
	free(f);
	return 0;
}

/* A process that holds the lock; it ends after @ms, or never (-1). */
static pid_t holder(const struct fixture *f, const char *name, int ms)
{
	int lock = place_lock(&f->place, NULL);
	int ready[2];
	pid_t pid;
	char c;

	assert_true(lock >= 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)prctl(PR_SET_NAME, name);
		(void)!write(ready[1], "x", 1);
		if (ms >= 0) {
			(void)usleep((useconds_t)ms * 1000);
			_exit(7);
		}
		for (;;)
			(void)pause();
	}
	(void)close(lock);
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	return pid;
}

static int end_of(pid_t pid)
{
	int st = 0;

	assert_int_equal(waitpid(pid, &st, 0), pid);
	return st;
}

static void who_holds_on_is_killed(void **state)
{
	struct fixture *f = *state;
	pid_t pid = holder(f, "msb-vmm", -1);

	assert_true(place_is_locked(&f->place));
	assert_int_equal(life_kill(&f->place, pid, 20), 0);
	assert_false(place_is_locked(&f->place));
	assert_int_equal(WTERMSIG(end_of(pid)), SIGKILL);
}

static void who_is_about_to_end_may(void **state)
{
	struct fixture *f = *state;
	pid_t pid = holder(f, "msb-vmm", 50);

	assert_int_equal(life_kill(&f->place, pid, 20000), 0);
	assert_int_equal(WEXITSTATUS(end_of(pid)), 7);
}

static void nobody_else_is_killed(void **state)
{
	struct fixture *f = *state;
	pid_t pid = holder(f, "another", -1);

	assert_int_equal(life_kill(&f->place, pid, 0), 0);
	assert_int_equal(life_kill(&f->place, 0, 0), 0);
	assert_int_equal(life_kill(&f->place, INT64_MAX, 0), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	(void)end_of(pid);
	pid = fork(); /* of the right name, but it holds no lock */
	if (pid == 0) {
		(void)prctl(PR_SET_NAME, "msb-vmm");
		(void)usleep(100000);
		_exit(7);
	}
	(void)usleep(20000);
	assert_int_equal(life_kill(&f->place, pid, 0), 0);
	assert_int_equal(WEXITSTATUS(end_of(pid)), 7);
}

/* What joined the machine of @pid, whose line is @control. */
static struct msb_sandbox *joined(const struct fixture *f, pid_t pid,
                                  int control)
{
	struct msb_sandbox *sb = sandbox_new();

	assert_non_null(sb);
	sb->machine.joined = true;
	sb->machine.control = control;
	sb->vmm_pid = pid;
	sb->home = home_ref(f->home);
	memcpy(sb->id, ID, sizeof(ID));
	assert_int_equal(place_open(f->home->store, ID, &sb->place, NULL), 0);
	return sb;
}

/* A guest that took its msb-vmm over must not outlive `msb kill` by a lie. */
static void who_says_it_ended_and_goes_on_is_killed(void **state)
{
	const struct proto_msg lie = {
		.type = PROTO_VMM_EXITED,
		.vmm_exited = {.reason = "poweroff", .message = ""}
        };
	struct fixture *f = *state;
	pid_t pid = holder(f, "msb-vmm", -1);
	struct msb_error error = {0};
	struct buf b = BUF_INIT;
	struct msb_sandbox *sb;
	int pair[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair),
		0);
	assert_int_equal(proto_encode(&b, &lie), 0);
	assert_true(fd_send(pair[1], b.data, b.len, NULL, 0) > 0);
	sb = joined(f, pid, pair[0]);
	assert_int_equal(msb_sandbox_stop(sb, 1000, &error), 0);
	assert_false(place_is_locked(&f->place));
	assert_int_equal(WTERMSIG(end_of(pid)), SIGKILL);
	msb_sandbox_free(sb);
	(void)close(pair[1]);
	buf_release(&b);
}

static void write_end(const struct fixture *f, const char *text)
{
	cleanup_close int fd =
		place_file(&f->place, "end.json", O_WRONLY | O_CREAT | O_TRUNC);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
}

/* Written by msb-vmm, so by anybody. */
static void an_end_at_no_time_is_settled(void **state)
{
	static const char *const ends[] = {
		"{\"reason\":\"exited\",\"ended_ms\":-5}",
		"{\"reason\":\"exited\",\"ended_ms\":9223372036854775807}",
		"{\"reason\":\"exited\"}",
	};
	struct fixture *f = *state;
	struct state_sandbox b cleanup_state_sandbox = {
		.id = ID,
		.name = strdup("web"),
		.image = strdup(""),
		.image_id = strdup(""),
		.config = strdup("{}"),
	};
	struct state *st;

	assert_int_equal(home_lock(f->home, &st, NULL), 0);
	assert_int_equal(state_add(st, &b, NULL), 0);
	home_unlock(f->home);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		assert_int_equal(home_lock(f->home, &st, NULL), 0);
		assert_int_equal(state_set_started(st, ID, 1, NULL), 0);
		home_unlock(f->home);
		write_end(f, ends[i]);
		state_sandbox_release(&b);
		assert_int_equal(life_get(f->home, "web", &b, NULL), 0);
		assert_string_equal(b.end_reason, "exited");
		assert_true(b.ended_ms >= b.created_ms);
		assert_true(b.ended_ms < INT64_MAX / 2);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(who_holds_on_is_killed),
		T(who_is_about_to_end_may),
		T(nobody_else_is_killed),
		T(an_end_at_no_time_is_settled),
		T(who_says_it_ended_and_goes_on_is_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
