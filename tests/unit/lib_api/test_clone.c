#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/test.h"

#include "base/num.h"
#include "lib/clone.h"

/* Run a shell's words; what it printed, and its status. */
static int run(const char *script, bool all_users, char out[512])
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)(uintptr_t)script,
	                NULL};
	char *env[] = {(char *)"PATH=/usr/bin:/bin", NULL};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), pair[2], fds[3], st;
	size_t used = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	fds[0] = fcntl(null, F_DUPFD_CLOEXEC, 20);
	fds[1] = fcntl(pair[1], F_DUPFD_CLOEXEC, 20);
	fds[2] = fcntl(null, F_DUPFD_CLOEXEC, 20);
	assert_int_equal(
		clone_program(&(struct clone_opts){.path = "/bin/sh",
	                                           .argv = argv,
	                                           .env = env,
	                                           .fds = fds,
	                                           .nfds = 3,
	                                           .all_users = all_users},
	                      &pid),
		0);
	for (unsigned i = 0; i < 3; i++)
		close(fds[i]);
	close(null);
	close(pair[1]);
	while ((n = read(pair[0], out + used, 511 - used)) > 0)
		used += (size_t)n;
	out[used] = '\0';
	close(pair[0]);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	return st;
}

static void a_program_is_process_1_and_user_0_alone(void **state)
{
	unsigned inside = 9, outside = 9, count = 9;
	char out[512];

	(void)state;
	if (clone_try_namespaces() < 0)
		return; /* this host allows none: nothing is promised */
	assert_int_equal(run("echo $$; cat /proc/self/uid_map", false, out), 0);
	assert_memory_equal(out, "1\n", 2);
	assert_int_equal(sscanf(out + 2, "%u %u %u", &inside, &outside, &count),
	                 3);
	assert_int_equal(inside, 0);
	assert_int_equal(outside, geteuid());
	assert_int_equal(count, 1);
}

/* Anybody else than the host's root has one user all the same. */
static void root_keeps_all_users_where_it_asks_to(void **state)
{
	unsigned inside = 9, outside = 9, count = 9;
	char out[512];

	(void)state;
	if (clone_try_namespaces() < 0)
		return;
	assert_int_equal(run("echo $$; cat /proc/self/uid_map", true, out), 0);
	assert_memory_equal(out, "1\n", 2);
	assert_int_equal(sscanf(out + 2, "%u %u %u", &inside, &outside, &count),
	                 3);
	assert_int_equal(inside, 0);
	assert_int_equal(outside, geteuid());
	assert_int_equal(count, geteuid() == 0 ? UINT32_MAX : 1);
}

static void exit_codes_come_to_the_caller(void **state)
{
	char out[512];

	(void)state;
	for (int i = 0; i < 200; i++)
		assert_int_equal(WEXITSTATUS(run("exit 7", i % 2, out)), 7);
	/* and nothing is left to wait for */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void a_missing_program_is_an_error_both_ways(void **state)
{
	char *argv[] = {(char *)"x", NULL}, *env[] = {NULL};
	int fds[1] = {fcntl(0, F_DUPFD_CLOEXEC, 20)};
	pid_t pid;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			clone_program(&(struct clone_opts){.path = "/no/such",
		                                           .argv = argv,
		                                           .env = env,
		                                           .fds = fds,
		                                           .nfds = 1,
		                                           .all_users = i},
		                      &pid),
			-ENOENT);
	close(fds[0]);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_is_process_1_and_user_0_alone),
		cmocka_unit_test(root_keeps_all_users_where_it_asks_to),
		cmocka_unit_test(exit_codes_come_to_the_caller),
		cmocka_unit_test(a_missing_program_is_an_error_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
