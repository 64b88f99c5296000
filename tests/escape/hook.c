/*
 * hook.c - the table of acts.h in a thread of msb-vmm.
 *
 * jail.c calls it, in a test build only, just before a thread gets its jail.
 * Each act has a process of its own, a copy of msb-vmm made at this very
 * place: it enters the thread's jail and tries. Then the thread goes on, so
 * that one machine's start shows all of its threads. What each act came to
 * goes to the log.
 */
#include "hook.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "acts.h"

enum { WORKS = 0, FAILED = 1, STOPPED = 128 + SIGSYS };

static _Thread_local bool inside;
_Thread_local bool escape_without_filter;

static void __attribute__((noreturn))
try(enum jail_thread_kind kind, const struct act *a, const struct targets *t,
    int *error)
{
	inside = true;
	escape_without_filter = getenv("MSB_ESCAPE_NO_FILTER");
	if (jail_thread(kind) < 0)
		_exit(STOPPED + 1);
	if (a->run(t) == 0)
		_exit(WORKS);
	*error = errno;
	_exit(FAILED);
}

/* What the log says of it: a word and a number. */
static void report(const char *thread, const char *act, int status, int error)
{
	const char *word = "broken";
	char line[160];
	int n;

	if (WIFEXITED(status) && WEXITSTATUS(status) == STOPPED)
		word = "stopped";
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		word = "stopped";
	else if (WIFEXITED(status) && WEXITSTATUS(status) == FAILED)
		word = "refused";
	else if (WIFEXITED(status) && WEXITSTATUS(status) == WORKS)
		word = "done";
	n = snprintf(line, sizeof(line), "escape %s %s %s %d\n", thread, act,
	             word, error);
	if (write(2, line, (size_t)n) != n)
		abort();
}

void escape_hook(enum jail_thread_kind kind)
{
	static const char *const names[] = {"main", "block", "small",  "vcpu",
	                                    "fs",   "net",   "sockets"};
	const char *text = getenv("MSB_ESCAPE");
	struct targets t;
	int *error;

	if (inside || !text || !parse_targets(text, &t))
		return;
	error = mmap(NULL, sizeof(*error), PROT_READ | PROT_WRITE,
	             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < nacts; i++) {
		int status = -1;
		pid_t pid;

		*error = 0;
		pid = fork();
		if (pid == 0)
			try(kind, &acts[i], &t, error);
		if (pid > 0)
			(void)waitpid(pid, &status, 0);
		report(names[kind], acts[i].name, status, *error);
	}
	(void)munmap(error, sizeof(*error));
}
