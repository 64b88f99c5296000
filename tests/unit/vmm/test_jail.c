/* The jail's parts alone; whole machines in it: tests/e2e/test_jail.py. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/num.h"
#include "vmm/jail.h"
#include "vmm/jail_filter.h"
#include "vmm/jail_landlock.h"
#include "vmm/jail_root.h"

#define STOPPED (128 + SIGSYS)

#if defined(JAIL_NO_FILTERS)
#define FILTERED 0
#else
#define FILTERED 1
#endif

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* In a process of its own: what it closes is not the test's. */
static int in_child(int (*fn)(void))
{
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int close_others(void)
{
	int keep[] = {40, 20, 20, 30};

	for (int fd = 3; fd < 60; fd++)
		if (dup2(1, fd) < 0)
			return 1;
	if (jail_close_others(keep, ARRAY_SIZE(keep)) < 0)
		return 2;
	for (int fd = 0; fd < 60; fd++) {
		bool want = fd <= 3 || fd == 20 || fd == 30 || fd == 40;

		if (is_open(fd) != want)
			return 100 + fd;
	}
	return 0;
}

static void what_nobody_named_is_closed(void **state)
{
	(void)state;
	assert_int_equal(in_child(close_others), 0);
}

static int close_all(void)
{
	if (dup2(1, 50) < 0 || jail_close_others(NULL, 0) < 0)
		return 1;
	return is_open(50) || !is_open(2);
}

static void with_no_names_only_the_first_four_stay(void **state)
{
	(void)state;
	assert_int_equal(in_child(close_all), 0);
}

static int early(void)
{
	struct err err = {0};

	if (jail_early(&err) < 0)
		return 1;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 ||
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 2;
	return jail_state() == JAIL_NO_PRIVS ? 0 : 3;
}

static void the_first_stages_hide_memory_and_refuse_privileges(void **state)
{
	(void)state;
	assert_int_equal(in_child(early), 0);
}

static void names_come_in_order_and_end(void **state)
{
	char *names[JAIL_WALLS + 1] = {(char *)"x"};

	(void)state;
	assert_int_equal(jail_names(names), 0); /* nothing was done here */
	assert_null(names[0]);
}

struct paths {
	char text[32][256];
	size_t n;
};

static int note_path(void *arg, const char *path)
{
	struct paths *p = arg;

	(void)snprintf(p->text[p->n], sizeof(p->text[0]), "%s", path);
	p->n++;
	return 0;
}

static bool has_path(const struct paths *p, const char *path)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->text[i], path) == 0)
			return true;
	return false;
}

static void a_program_of_the_system_needs_the_system_only(void **state)
{
	struct paths p = {.n = 0};

	(void)state;
	assert_int_equal(
		jail_program_paths("/usr/bin/qemu", false, note_path, &p), 0);
	assert_true(has_path(&p, "/usr"));
	assert_false(has_path(&p, "/usr/bin/qemu"));
	assert_false(has_path(&p, "/dev/kvm"));
	assert_false(has_path(&p, "/etc"));
	assert_false(has_path(&p, "/home"));
}

static void
a_program_elsewhere_brings_its_own_folders_not_its_parent(void **state)
{
	struct paths p = {.n = 0};

	(void)state;
	assert_int_equal(
		jail_program_paths("/home/me/bin/qemu", true, note_path, &p),
		0);
	assert_true(has_path(&p, "/home/me/bin/qemu"));
	assert_true(has_path(&p, "/home/me/lib"));
	assert_true(has_path(&p, "/home/me/share/qemu"));
	assert_true(has_path(&p, "/dev/kvm"));
	assert_false(has_path(&p, "/home/me"));
	assert_false(has_path(&p, "/home/me/bin"));
}

/* ---- lists of system calls ---- */

static enum jail_filter which;
static int (*act)(void);

/* 0: it worked, 1: it failed, STOPPED: not on the list. */
static int filtered(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    jail_filter_report() < 0)
		return 99;
	if (jail_filter_load(which, "/x", NULL) < 0)
		return 98;
	return act() < 0;
}

static int try(enum jail_filter f, int (*fn)(void))
{
	which = f;
	act = fn;
	return in_child(filtered);
}

static int do_getpid(void)
{
	return getpid() > 0 ? 0 : -1;
}

static int do_open(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int do_mmap(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? -1 : 0;
}

static int do_mmap_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC,
	               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? -1 : 0;
}

static int do_pair(void)
{
	int pair[2];

	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
}

static int do_seqpacket_pair(void)
{
	int pair[2];

	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int do_fdatasync(void)
{
	(void)fdatasync(1);
	return 0;
}

static int do_abort(void)
{
	return (int)syscall(SYS_tgkill, getpid(), getpid(), 0);
}

static int do_x32(void)
{
	return (int)syscall(0x40000000 | SYS_getpid);
}

static void each_thread_has_what_it_needs(void **state)
{
	(void)state;
	for (enum jail_filter f = JAIL_FILTER_MAIN; f <= JAIL_FILTER_VCPU;
	     f++) {
		assert_int_equal(try(f, do_getpid), 0);
		assert_int_equal(try(f, do_mmap), 0);
	}
	assert_int_equal(try(JAIL_FILTER_MAIN, do_pair), 0);
	assert_int_equal(try(JAIL_FILTER_BLOCK, do_fdatasync), 0);
}

static void and_nothing_else(void **state)
{
	(void)state;
	for (enum jail_filter f = JAIL_FILTER_MAIN; f <= JAIL_FILTER_VCPU;
	     f++) {
		assert_int_equal(try(f, do_open), STOPPED);
		assert_int_equal(try(f, do_mmap_code), STOPPED);
		assert_int_equal(try(f, do_abort), STOPPED); /* signal 0 */
	}
	assert_int_equal(try(JAIL_FILTER_MAIN, do_seqpacket_pair), STOPPED);
	assert_int_equal(try(JAIL_FILTER_MAIN, do_fdatasync), STOPPED);
	assert_int_equal(try(JAIL_FILTER_SMALL, do_fdatasync), STOPPED);
	assert_int_equal(try(JAIL_FILTER_VCPU, do_pair), STOPPED);
}

static void qemus_list_says_no_softly(void **state)
{
	(void)state;
	assert_int_equal(try(JAIL_FILTER_QEMU, do_open), 0);
	assert_int_equal(try(JAIL_FILTER_QEMU, do_mmap_code), 0);
	assert_int_equal(try(JAIL_FILTER_QEMU, do_pair), 1);
}

/* The other numbers of the same calls are no way around a list. */
static void calls_of_another_kind_end_the_process(void **state)
{
	int status = -1;
	pid_t pid;

	(void)state;
	which = JAIL_FILTER_QEMU;
	act = do_x32;
	pid = fork();
	if (pid == 0)
		_exit(filtered());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) ||
	            (WIFEXITED(status) && WEXITSTATUS(status) != 0));
}

/* ---- Landlock ---- */

static int landlocked(void)
{
	int before = open("/etc/passwd", O_RDONLY | O_CLOEXEC), r;
	char c;

	if (before < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return 1;
	r = jail_landlock(&(struct jail_needs){.program = ""});
	if (r == -EOPNOTSUPP)
		return 77;
	if (r < 0)
		return 2;
	if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
		return 3;
	if (read(before, &c, 1) != 1) /* what is open stays */
		return 4;
	return jail_landlock(NULL) < 0 ? 5 : 0;
}

static void landlock_hides_files_and_keeps_what_is_open(void **state)
{
	int r = in_child(landlocked);

	(void)state;
	if (r == 77)
		skip();
	assert_int_equal(r, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_nobody_named_is_closed),
		cmocka_unit_test(with_no_names_only_the_first_four_stay),
		cmocka_unit_test(
			the_first_stages_hide_memory_and_refuse_privileges),
		cmocka_unit_test(names_come_in_order_and_end),
		cmocka_unit_test(a_program_of_the_system_needs_the_system_only),
		cmocka_unit_test(
			a_program_elsewhere_brings_its_own_folders_not_its_parent),
		cmocka_unit_test(landlock_hides_files_and_keeps_what_is_open),
		/* These need filters, which sanitizer builds do not have. */
		cmocka_unit_test(each_thread_has_what_it_needs),
		cmocka_unit_test(and_nothing_else),
		cmocka_unit_test(qemus_list_says_no_softly),
		cmocka_unit_test(calls_of_another_kind_end_the_process),
	};
	const size_t n = ARRAY_SIZE(tests) - (FILTERED ? 0 : 4);

	return _cmocka_run_group_tests("tests", tests, n, NULL, NULL);
}
