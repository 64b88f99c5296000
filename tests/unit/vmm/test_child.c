#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "vmm/child.h"

static int spawn(char *const *argv, const int *fds, size_t nfds,
                 struct child *ret)
{
	unsigned namespaces;

	return child_spawn(&(struct child_opts){argv, fds, nfds, 0, NULL, -1},
	                   ret, &namespaces, NULL);
}

/* Run a shell script as the child and give what it printed. */
static void run_script(const char *script, const int *fds, size_t nfds,
                       struct buf *out)
{
	char sh[] = "/bin/sh", flag[] = "-c";
	char *argv[] = {sh, flag, (char *)(uintptr_t)script, NULL};
	struct child c = CHILD_INIT;
	struct pollfd p;
	int code;

	assert_int_equal(spawn(argv, fds, nfds, &c), 0);
	p = (struct pollfd){.fd = c.pidfd, .events = POLLIN};
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(read(c.execfd, &code, sizeof(code)), 0);
	assert_int_equal(fd_read_all(c.errfd, out), 0);
	child_release(&c);
	assert_int_equal(c.pid, -1);
}

static void the_environment_is_empty(void **state)
{
	struct buf cleanup_buf out = BUF_INIT;

	(void)state;
	assert_int_equal(setenv("SECRET", "1", 1), 0);
	run_script("/usr/bin/tr '\\0' '\\n' </proc/$$/environ", NULL, 0, &out);
	assert_string_equal(buf_str(&out), "");
}

static void only_named_descriptors_are_inherited(void **state)
{
	struct buf cleanup_buf out = BUF_INIT;
	int open_fd = fcntl(memfd_create("leak", 0), F_DUPFD, 70);
	int given =
		fcntl(memfd_create("given", MFD_CLOEXEC), F_DUPFD_CLOEXEC, 80);

	(void)state;
	assert_int_equal(open_fd, 70);
	run_script("i=0; while [ $i -lt 200 ]; do "
	           "[ -e /proc/$$/fd/$i ] && echo $i; i=$((i+1)); done",
	           &given, 1, &out);
	assert_string_equal(buf_str(&out), "0\n1\n2\n80\n");
	assert_int_equal(fcntl(given, F_GETFD), FD_CLOEXEC);
	(void)close(open_fd);
	(void)close(given);
}

static void rights_and_signals_are_as_they_should_be(void **state)
{
	struct buf cleanup_buf out = BUF_INIT;
	const char *ignored;
	sigset_t set;

	(void)state;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	/* By exec: a shell blocks signals while it starts a program. */
	run_script("ulimit -c; exec /bin/grep -E "
	           "'^(NoNewPrivs|SigBlk|SigIgn)' /proc/self/status",
	           NULL, 0, &out);
	(void)signal(SIGHUP, SIG_DFL);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	/* 32 and 33 are libc's own: they stay as whoever ran us had them. */
	ignored = strstr(buf_str(&out), "SigIgn:\t0000000");
	assert_non_null(ignored);
	assert_memory_equal(ignored + 17, "0000000\n", 8);
	assert_non_null(strstr(ignored, "NoNewPrivs:\t1\n"));
	assert_memory_equal(buf_str(&out), "0\nSigBlk:\t0000000000000000\n",
	                    27);
}

static void a_program_that_is_missing_gives_its_errno(void **state)
{
	char path[] = "/nonexistent/qemu";
	char *argv[] = {path, NULL};
	struct child c = CHILD_INIT;
	struct pollfd p;
	int code = 0;

	(void)state;
	assert_int_equal(spawn(argv, NULL, 0, &c), 0);
	p = (struct pollfd){.fd = c.pidfd, .events = POLLIN};
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(read(c.execfd, &code, sizeof(code)), sizeof(code));
	assert_int_equal(code, ENOENT);
	child_release(&c);
}

static void release_kills(void **state)
{
	char sleep_path[] = "/bin/sleep", time[] = "600";
	char *argv[] = {sleep_path, time, NULL};
	struct child c = CHILD_INIT;
	pid_t pid;

	(void)state;
	assert_int_equal(spawn(argv, NULL, 0, &c), 0);
	pid = c.pid;
	child_release(&c);
	assert_int_equal(kill(pid, 0), -1);
	child_release(&c); /* again is fine */
}

/* The process between us and the child is killed: the child must follow. */
static void the_child_dies_with_its_parent(void **state)
{
	int up[2];
	char byte;
	struct pollfd p;
	pid_t middle;

	(void)state;
	assert_int_equal(pipe(up), 0);
	middle = fork();
	if (middle == 0) {
		char sh[] = "/bin/sh", flag[] = "-c";
		char script[64];
		char *argv[] = {sh, flag, script, NULL};
		struct child c = CHILD_INIT;

		(void)snprintf(script, sizeof(script),
		               "echo >&%d; exec sleep 600", up[1]);
		if (spawn(argv, &up[1], 1, &c) == 0)
			(void)pause();
		_exit(1);
	}
	(void)close(up[1]);
	assert_int_equal(read(up[0], &byte, 1), 1); /* it runs */
	assert_int_equal(kill(middle, SIGKILL), 0);
	assert_int_equal(waitpid(middle, NULL, 0), middle);
	/* the pipe's last writer was the child */
	p = (struct pollfd){.fd = up[0], .events = POLLIN};
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(read(up[0], &byte, 1), 0);
	(void)close(up[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_environment_is_empty),
		cmocka_unit_test(only_named_descriptors_are_inherited),
		cmocka_unit_test(rights_and_signals_are_as_they_should_be),
		cmocka_unit_test(a_program_that_is_missing_gives_its_errno),
		cmocka_unit_test(release_kills),
		cmocka_unit_test(the_child_dies_with_its_parent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
