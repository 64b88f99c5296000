/*
 * roundtrip.c - how long does it take to run a program to its end?
 *
 *	bench_roundtrip THREADS CALLS PROGRAM ARGUMENT... [:: PROGRAM...]...
 *	bench_roundtrip THREADS CALLS --exec HOME SANDBOX ARGUMENT...
 *
 * The first way starts programs of the host and waits for them (msb exec, ssh);
 * the threads take the given ones in turn. The second runs a command by the
 * library, each thread with a handle of its own. CALLS in sum; prints the
 * nanoseconds of each call. A call that fails ends it all.
 */
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "microsandbox.h"

extern char **environ;

#define PROGRAMS_MAX 16

static struct {
	char **programs[PROGRAMS_MAX], **argv;
	unsigned long nprograms;
	struct msb_home *home; /* NULL: programs of the host */
	const char *sandbox;
	long calls;
	uint64_t *took;
	atomic_long next;
} work;

static uint64_t now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *why)
{
	fprintf(stderr, "bench_roundtrip: %s\n", why);
	exit(1);
}

static void spawn_once(char **argv, const posix_spawn_file_actions_t *files)
{
	int status;
	pid_t pid;

	if (posix_spawnp(&pid, argv[0], files, NULL, argv, environ))
		die("cannot start the program");
	if (waitpid(pid, &status, 0) != pid || status != 0)
		die("the program failed");
}

static void exec_once(struct msb_sandbox *sandbox)
{
	struct msb_exec_opts opts = MSB_EXEC_OPTS_INIT;
	struct msb_exec *x;
	struct msb_error e;
	int code;

	opts.argv = (const char *const *)work.argv;
	opts.flags = MSB_EXEC_NO_LOG;
	if (msb_exec_start(sandbox, &opts, &x, &e) < 0 ||
	    msb_exec_wait(x, 60000, &code, &e) < 0)
		die(e.message);
	if (code != 0)
		die("the command failed");
	msb_exec_free(x);
}

static void *run(void *arg)
{
	posix_spawn_file_actions_t files;
	struct msb_sandbox *sandbox = NULL;
	struct msb_error e;
	char **argv = work.programs[(uintptr_t)arg % work.nprograms];
	long i;

	if (work.home &&
	    msb_sandbox_open(work.home, work.sandbox, &sandbox, &e) < 0)
		die(e.message);
	(void)posix_spawn_file_actions_init(&files);
	(void)posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY,
	                                       0);
	while ((i = atomic_fetch_add(&work.next, 1)) < work.calls) {
		uint64_t begin = now();

		if (sandbox)
			exec_once(sandbox);
		else
			spawn_once(argv, &files);
		work.took[i] = now() - begin;
	}
	(void)posix_spawn_file_actions_destroy(&files);
	msb_sandbox_free(sandbox);
	return NULL;
}

/* The lists between "::" words. */
static void split(char **words)
{
	work.programs[work.nprograms++] = words;
	for (; *words; words++) {
		if (strcmp(*words, "::") != 0)
			continue;
		*words = NULL;
		if (work.nprograms == PROGRAMS_MAX)
			die("too many programs");
		work.programs[work.nprograms++] = words + 1;
	}
}

int main(int argc, char **argv)
{
	long threads = argc > 3 ? atol(argv[1]) : 0;
	pthread_t ids[64];
	struct msb_error e;

	work.calls = argc > 3 ? atol(argv[2]) : 0;
	if (threads < 1 || threads > 64 || work.calls < 1)
		die("wrong use");
	work.argv = argv + 3;
	split(work.argv);
	if (strcmp(argv[3], "--exec") == 0) {
		if (argc < 7 || msb_home_open(argv[4], &work.home, &e) < 0)
			die("no home");
		work.sandbox = argv[5];
		work.argv = argv + 6;
	}
	work.took = calloc((size_t)work.calls, sizeof(*work.took));
	if (!work.took)
		die("out of memory");
	for (long i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, run, (void *)(uintptr_t)i) !=
		    0)
			die("cannot start a thread");
	for (long i = 0; i < threads; i++)
		(void)pthread_join(ids[i], NULL);
	for (long i = 0; i < work.calls; i++)
		printf("%llu\n", (unsigned long long)work.took[i]);
	msb_home_free(work.home);
	return 0;
}
