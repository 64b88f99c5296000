/*
 * What the process can still do in its cage, and what ends it. Each try is a
 * process of its own; what can only be seen from outside is in
 * tests/tls/test_helper.py.
 */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "tls/tls.h"

#include "base/banned.h"

/* Its runtime has needs of its own, so the list of calls is left out. */
#if defined(__SANITIZE_ADDRESS__)
#define FILTERS false
#else
#define FILTERS true
#endif

#define SIGSYS_CODE (128 + SIGSYS)
#define SURVIVED    99

static int pair[2], udp, epfd; /* what it was given before */
static char said[512];         /* its log */

/* How @fn's process ends in the cage: its code, or 1000 and its signal. */
static int in_cage(int (*fn)(void))
{
	int status, ends[2];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct err err = {0};

		(void)dup2(ends[1], 2);
		if (cage_early(&err) < 0 || cage_enter(&err) < 0) {
			log_error("%s", err.msg);
			_exit(77);
		}
		_exit(fn());
	}
	(void)close(ends[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	n = fd_read_full(ends[0], said, sizeof(said) - 1);
	said[MAX(n, 0)] = '\0';
	(void)close(ends[0]);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status)
	                           : WEXITSTATUS(status);
}

static int up(void **state)
{
	(void)state;
	log_setup("test", 2, LOG_WARN);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	assert_true(udp >= 0 && epfd >= 0);
	return 0;
}

static int down(void **state)
{
	(void)state;
	(void)close(pair[0]);
	(void)close(pair[1]);
	(void)close(udp);
	(void)close(epfd);
	return 0;
}

/* ---- what must go on ---- */

static int do_sockets(void)
{
	struct epoll_event ev = {.events = EPOLLIN};
	char text[8] = {0};

	if (epoll_ctl(epfd, EPOLL_CTL_ADD, pair[0], &ev) < 0 ||
	    fd_set_nonblock(pair[0]) < 0 || write(pair[1], "hello", 5) != 5 ||
	    epoll_wait(epfd, &ev, 1, 1000) != 1 ||
	    recv(pair[0], text, sizeof(text), MSG_DONTWAIT) != 5 ||
	    send(pair[0], "x", 1, MSG_NOSIGNAL) != 1 ||
	    fd_send(pair[0], "y", 1, &udp, 1) != 1)
		return 1;
	return shutdown(pair[1], SHUT_WR) < 0 || close(pair[1]) < 0 ? 2 : 0;
}

static int do_memory(void)
{
	uint8_t *v = value_new(70);
	char *p = malloc(8 << 20);

	if (!v || !p)
		return 1;
	memset(p, 1, 8 << 20);
	p = realloc(p, 16 << 20);
	if (!p)
		return 2;
	free(p);
	value_unref(v, 70);
	return clock_now_ns() ? 0 : 3;
}

static int do_log(void)
{
	log_warn("a line");
	return 0;
}

static void its_work_goes_on(void **state)
{
	(void)state;
	assert_int_equal(in_cage(do_sockets), 0);
	assert_int_equal(in_cage(do_memory), 0);
	assert_int_equal(in_cage(do_log), 0);
	assert_non_null(strstr(said, "a line"));
}

static int go_wrong(void)
{
	abort();
}

static void abort_still_ends_it(void **state)
{
	(void)state;
	if (!FILTERS)
		return; /* not under the sanitizers */
	assert_int_equal(in_cage(go_wrong), 1000 + SIGABRT);
}

/* ---- what ends it ---- */

static struct sockaddr_in somewhere = {.sin_family = AF_INET, .sin_port = 80};

static const struct {
	const char *what;
	long nr, arg[6];
} forbidden[] = {
	{"open",           SYS_open,             {(long)"/", 0}						      },
	{"openat",         SYS_openat,           {AT_FDCWD, (long)"/", O_PATH}                                       },
	{"openat2",        SYS_openat2,          {AT_FDCWD, (long)"/", 0, 0}                                         },
	{"stat",           SYS_stat,             {(long)"/", 0}						      },
	{"readlink",       SYS_readlink,         {(long)"/", 0, 0}                                                   },
	{"unlink",         SYS_unlink,           {(long)"/x"}							},
	{"chdir",          SYS_chdir,            {(long)"/"}							 },
	{"socket",         SYS_socket,           {AF_INET, SOCK_STREAM, 0}                                           },
	{"socketpair",     SYS_socketpair,       {AF_UNIX, SOCK_STREAM, 0, 0}                                        },
	{"connect",        SYS_connect,          {3, (long)&somewhere, 16}                                           },
	{"bind",           SYS_bind,             {3, (long)&somewhere, 16}                                           },
	{"listen",         SYS_listen,           {3, 1}							      },
	{"accept",         SYS_accept,           {3, 0, 0}							   },
	{"sendto a name",
         SYS_sendto,                             {3, (long)"x", 1, 0, (long)&somewhere, 16}                          },
	{"sendmmsg",       SYS_sendmmsg,         {3, 0, 0, 0}							},
	{"fork",           SYS_fork,             {0}								 },
	{"vfork",          SYS_vfork,            {0}								 },
	{"clone",          SYS_clone,            {SIGCHLD}							   },
	{"clone3",         SYS_clone3,           {0, 0}							      },
	{"execve",         SYS_execve,           {(long)"/", 0, 0}						   },
	{"execveat",       SYS_execveat,         {AT_FDCWD, (long)"/", 0, 0, 0}                                      },
	{"kill",           SYS_kill,             {1, 0}							      },
	{"tgkill",         SYS_tgkill,           {1, 1, SIGKILL}						     },
	{"ptrace",         SYS_ptrace,           {PTRACE_TRACEME}						    },
	{"vm_readv",       SYS_process_vm_readv, {1, 0, 0, 0, 0, 0}                                                  },
	{"mmap exec",
         SYS_mmap,                               {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}},
	{"mprotect exec",  SYS_mprotect,         {0, 4096, PROT_EXEC}                                                },
	{"pkey_mprotect",  SYS_pkey_mprotect,    {0, 4096, PROT_EXEC, -1}                                            },
	{"shmat",          SYS_shmat,            {0, 0, 0}							   },
	{"memfd_create",   SYS_memfd_create,     {(long)"x", 0}                                                      },
	{"dup",            SYS_dup,              {0}								 },
	{"dup3",           SYS_dup3,             {0, 9, 0}							   },
	{"fcntl dup",      SYS_fcntl,            {0, F_DUPFD, 9}						     },
	{"fcntl owner",    SYS_fcntl,            {0, F_SETOWN, 1}						    },
	{"ioctl",          SYS_ioctl,            {0, TIOCSTI, 0}						     },
	{"prctl dumpable", SYS_prctl,            {PR_SET_DUMPABLE, 1, 0, 0, 0}                                       },
	{"prctl seccomp",  SYS_prctl,            {PR_GET_SECCOMP, 0, 0, 0, 0}                                        },
	{"seccomp",        SYS_seccomp,          {0, 0, 0}							   },
	{"rt_sigaction",   SYS_rt_sigaction,     {SIGSYS, 0, 0, 8}                                                   },
	{"setuid",         SYS_setuid,           {0}								 },
	{"capset",         SYS_capset,           {0, 0}							      },
	{"setrlimit",      SYS_setrlimit,        {RLIMIT_CORE, 0}                                                    },
	{"prlimit64",      SYS_prlimit64,        {0, RLIMIT_CORE, 0, 0}                                              },
	{"unshare",        SYS_unshare,          {CLONE_NEWUSER}						     },
	{"setns",          SYS_setns,            {0, 0}							      },
	{"mount",          SYS_mount,            {0, 0, 0, 0, 0}						     },
	{"chroot",         SYS_chroot,           {(long)"/"}							 },
	{"pivot_root",     SYS_pivot_root,       {(long)"/", (long)"/"}                                              },
	{"io_uring_setup", SYS_io_uring_setup,   {1, 0}							      },
	{"bpf",            SYS_bpf,              {0, 0, 0}							   },
	{"userfaultfd",    SYS_userfaultfd,      {0}								 },
	{"keyctl",         SYS_keyctl,           {0}								 },
	{"add_key",        SYS_add_key,          {0}								 },
	{"perf",           SYS_perf_event_open,  {0, 0, 0, 0, 0}						     },
	{"pidfd_open",     SYS_pidfd_open,       {1, 0}							      },
	{"pidfd_getfd",    SYS_pidfd_getfd,      {0, 0, 0}							   },
	{"no such call",   100000,               {0}								 },
};

static size_t try_number;

static int try_it(void)
{
	const long *a = forbidden[try_number].arg;

	(void)syscall(forbidden[try_number].nr, a[0], a[1], a[2], a[3], a[4],
	              a[5]);
	return SURVIVED;
}

static void another_call_ends_it_with_a_line(void **state)
{
	char line[64];

	(void)state;
	if (!FILTERS)
		return; /* not under the sanitizers */
	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++) {
		int code;

		try_number = i;
		code = in_cage(try_it);
		(void)snprintf(line, sizeof(line), "stopped system call %ld\n",
		               forbidden[i].nr);
		if (code != SIGSYS_CODE || !strstr(said, line))
			fail_msg("%s: %d, %s", forbidden[i].what, code, said);
	}
}

static int try_with_the_signal_blocked(void)
{
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	(void)syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY);
	return SURVIVED;
}

static void the_end_cannot_be_put_off(void **state)
{
	(void)state;
	if (!FILTERS)
		return; /* not under the sanitizers */
	assert_int_equal(in_cage(try_with_the_signal_blocked), 1000 + SIGSYS);
}

#if defined(__x86_64__)
/* The calls of 32-bit programs have other numbers: 5 is open(). */
static int try_the_old_way(void)
{
	long r;

	__asm__ volatile("int $0x80"
	                 : "=a"(r)
	                 : "a"(5), "b"("/"), "c"(0), "d"(0)
	                 : "memory");
	return SURVIVED;
}

static void calls_of_another_kind_end_it(void **state)
{
	int code;

	(void)state;
	if (!FILTERS)
		return; /* not under the sanitizers */
	code = in_cage(try_the_old_way);
	/* A kernel without them: SIGSEGV. */
	assert_true(code == 1000 + SIGSYS || code == 1000 + SIGSEGV);
}
#endif

/* ---- early ---- */

static int early_only(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct err err = {0};

		_exit(cage_early(&err) < 0 ? 77 : fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status)
	                           : WEXITSTATUS(status);
}

static int is_hidden(void)
{
	struct rlimit core, files;

	return getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_max ||
	       getrlimit(RLIMIT_NOFILE, &files) < 0 ||
	       files.rlim_cur != files.rlim_max ||
	       prctl(PR_GET_DUMPABLE) != 0 ||
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
}

static void its_memory_is_for_nobody_else(void **state)
{
	(void)state;
	assert_int_equal(early_only(is_hidden), 0);
}

static char *in_environment;

static int environment_is_left(void)
{
	return getenv("MSB_TEST_CANARY") || (environ && environ[0]) ||
	       strstr(in_environment, "canary");
}

/* As libc keeps it: the block that the program was started with. */
static void its_environment_is_forgotten(void **state)
{
	char text[] = "MSB_TEST_CANARY=a canary";

	(void)state;
	in_environment = text;
	assert_int_equal(putenv(text), 0);
	assert_int_equal(early_only(environment_is_left), 0);
	assert_non_null(getenv("MSB_TEST_CANARY"));
	(void)unsetenv("MSB_TEST_CANARY");
}

static int write_to_nobody(void)
{
	(void)shutdown(pair[0], SHUT_RDWR);
	return write(pair[1], "x", 1) == -1 && errno == EPIPE ? 0 : 1;
}

static void who_hangs_up_does_not_end_it(void **state)
{
	(void)state;
	assert_int_equal(in_cage(write_to_nobody), 0);
}

#define CAGE_TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CAGE_TEST(its_work_goes_on),
		CAGE_TEST(abort_still_ends_it),
		CAGE_TEST(another_call_ends_it_with_a_line),
		CAGE_TEST(the_end_cannot_be_put_off),
#if defined(__x86_64__)
		CAGE_TEST(calls_of_another_kind_end_it),
#endif
		CAGE_TEST(its_memory_is_for_nobody_else),
		CAGE_TEST(its_environment_is_forgotten),
		CAGE_TEST(who_hangs_up_does_not_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
