/*
 * escape - the table of acts.h in a process of its own.
 *
 * Started by msb-vmm in QEMU's place it finds its targets in the kernel's
 * command line and answers through the guest's serial port. Started by hand
 * (escape TARGETS) there is no jail and the answers go to standard output;
 * each act then has a process of its own, for it may well work.
 */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "acts.h"

static int out = 1;

static void say(const char *name, int r, int error)
{
	char line[128];
	int n = r == 0 ? snprintf(line, sizeof(line), "escape %s done\n", name)
	               : snprintf(line, sizeof(line), "escape %s refused %d\n",
	                          name, error);

	if (write(out, line, (size_t)n) != n)
		_exit(3);
}

/* A successful exec leaves what was written before it. */
static void in_own_process(const struct act *a, const struct targets *t)
{
	int *error = mmap(NULL, sizeof(*error), PROT_READ | PROT_WRITE,
	                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)unshare(CLONE_NEWNS); /* mounts stay in here */
		if (a->run(t) < 0)
			*error = errno;
		_exit(0);
	}
	(void)waitpid(pid, &status, 0);
	say(a->name, pid > 0 && WIFEXITED(status) && *error == 0 ? 0 : -1,
	    *error);
}

static const char *word_after(char **argv, const char *word)
{
	for (; *argv; argv++)
		if (strncmp(*argv, word, strlen(word)) == 0)
			return argv[0][strlen(word)] ? *argv + strlen(word)
			                             : argv[1];
	return NULL;
}

int main(int argc, char **argv)
{
	const char *serial = word_after(argv, "socket,id=serial,fd=");
	const char *text = serial ? word_after(argv, "-append") : argv[1];
	struct targets t;

	if (argc < 2 || !text || !parse_targets(text, &t) ||
	    (serial && sscanf(serial, "%d", &out) != 1))
		return 2;
	for (size_t i = 0; i < nacts; i++) {
		if (!serial) {
			in_own_process(&acts[i], &t);
			continue;
		}
		errno = 0;
		if (acts[i].run(&t) == 0)
			say(acts[i].name, 0, 0);
		else
			say(acts[i].name, -1, errno);
	}
	say("end", 0, 0);
	return 0;
}
