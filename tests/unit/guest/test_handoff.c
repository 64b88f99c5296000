/*
 * The change of process 1, played by ordinary processes: the test forks one
 * that becomes "the init", and its child says how it went.
 */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "guest/handoff.h"

static char folder[] = "/tmp/msb-handoff-XXXXXX";

static const char *put_file(const char *name, const char *text, mode_t mode)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(
		file_write_atomic(AT_FDCWD, path, text, strlen(text), mode), 0);
	return path;
}

static int find_code(const char *name)
{
	const char *path = NULL;
	struct err err = {0};
	int r = handoff_find(name, &path, &err);

	if (r == 0)
		assert_string_equal(path, name);
	else
		assert_true(err.msg[0] && !path);
	return r;
}

static void only_a_program_with_a_full_path_is_taken(void **state)
{
	(void)state;
	assert_int_equal(find_code("init"), -EINVAL);
	assert_int_equal(find_code(""), -EINVAL);
	assert_int_equal(find_code("./init"), -EINVAL);
	assert_int_equal(find_code("/nowhere/init"), -ENOENT);
	assert_int_equal(find_code(folder), -EACCES);
	assert_int_equal(find_code(put_file("text", "x", 0644)), -EACCES);
	assert_int_equal(find_code("/dev/null"), -EACCES);
	assert_int_equal(find_code(put_file("good", "#!/bin/sh\n", 0755)), 0);
}

/* What the agent in the test tells: its result, and whose child it is. */
struct told {
	int forked, started;
	pid_t parent;
	char message[ERR_MSG_MAX];
};

static void __attribute__((noreturn)) play(char **argv, char **env, int fd)
{
	struct proto_strs a = {argv, 0}, e = {env, 0};
	struct handoff h = HANDOFF_INIT;
	struct told t = {0};
	struct err err = {0};

	while (argv[a.n])
		a.n++;
	while (env[e.n])
		e.n++;
	t.forked = handoff_fork(&h, &a, &e, NULL, &err);
	t.parent = getppid();
	if (t.forked == 0)
		t.started = handoff_start(&h, &err);
	memcpy(t.message, err.msg, sizeof(t.message));
	(void)fd_write_full(fd, &t, sizeof(t));
	_exit(0);
}

/* The exit status of what played PID 1. */
static int hand_over(char **argv, char **env, struct told *t, pid_t *ret_pid)
{
	int p[2], status;
	pid_t pid;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0)
		play(argv, env, p[1]);
	(void)close(p[1]);
	assert_int_equal(fd_read_full(p[0], t, sizeof(*t)), sizeof(*t));
	(void)close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	*ret_pid = pid;
	return WEXITSTATUS(status);
}

static const char init[] = "#!/bin/sh\n"
			   "exec 2>/dev/null </dev/null\n"
			   "echo $$ $1 $A $TERM $HOME >\"$OUT\"\n"
			   "ls -l /proc/$$/fd | grep -c socket: >>\"$OUT\"\n"
			   "exit 5\n";

static void the_process_becomes_the_init(void **state)
{
	char path[128], out[64], want[128];
	char *argv[] = {path, "word", NULL};
	char *env[] = {"A=first", out, "A=last", "TERM=mine", NULL};
	struct buf cleanup_buf text = BUF_INIT;
	struct told t;
	pid_t pid;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s", put_file("init", init, 0755));
	(void)snprintf(out, sizeof(out), "OUT=%s/out", folder);
	assert_int_equal(hand_over(argv, env, &t, &pid), 5);
	assert_int_equal(t.forked, 0);
	assert_int_equal(t.started, 0);
	assert_int_equal(t.parent, pid);
	(void)snprintf(want, sizeof(want), "%d word last mine /\n0\n",
	               (int)pid);
	assert_int_equal(file_read(AT_FDCWD, out + 4, &text), 0);
	assert_string_equal(buf_str(&text), want);
}

static void an_init_that_cannot_run_says_why(void **state)
{
	char path[128];
	char *argv[] = {path, NULL}, *env[] = {NULL};
	struct told t;
	pid_t pid;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s",
	               put_file("broken", "#!/no/such/shell\n", 0755));
	assert_int_equal(hand_over(argv, env, &t, &pid), 127);
	assert_int_equal(t.forked, 0);
	assert_int_equal(t.started, -ENOENT);
	assert_non_null(strstr(t.message, "interpreter"));
}

static void what_is_wrong_from_the_start_forks_nothing(void **state)
{
	char *none[] = {"/nowhere/init", NULL}, *shell[] = {"/bin/sh", NULL};
	char *env[] = {NULL}, *bad_env[] = {"=x", NULL};
	struct told t;
	pid_t pid;

	(void)state;
	/* The process that asked tells itself: its parent is this one. */
	assert_int_equal(hand_over(none, env, &t, &pid), 0);
	assert_int_equal(t.forked, -ENOENT);
	assert_int_equal(t.parent, getpid());
	assert_int_equal(hand_over(shell, bad_env, &t, &pid), 0);
	assert_int_equal(t.forked, -EINVAL);
	assert_int_equal(t.parent, getpid());
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return dir_remove(AT_FDCWD, folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_program_with_a_full_path_is_taken),
		cmocka_unit_test(the_process_becomes_the_init),
		cmocka_unit_test(an_init_that_cannot_run_says_why),
		cmocka_unit_test(what_is_wrong_from_the_start_forks_nothing),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
