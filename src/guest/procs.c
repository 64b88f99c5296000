#include "guest/child.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

#define PASSES 3 /* a process may fork while the list is read */

/* The session id is the fourth word behind the command's name in ")". */
static bool parse_session(char *stat, uint64_t *ret)
{
	char *p = strrchr(stat, ')');

	for (int i = 0; i < 4 && p; i++) {
		p = strchr(p, ' ');
		if (p)
			p++;
	}
	if (!p)
		return false;
	p[strcspn(p, " ")] = '\0';
	return num_parse_u64(p, INT32_MAX, ret);
}

static bool in_session(int proc_fd, const char *pid, pid_t sid)
{
	cleanup_close int dir = openat(proc_fd, pid, O_DIRECTORY | O_CLOEXEC);
	cleanup_close int fd =
		dir < 0 ? -1 : openat(dir, "stat", O_RDONLY | O_CLOEXEC);
	char stat[512];
	uint64_t session;
	ssize_t n;

	if (fd < 0)
		return false;
	n = fd_read_full(fd, stat, sizeof(stat) - 1);
	if (n <= 0)
		return false;
	stat[n] = '\0';
	return parse_session(stat, &session) && session == (uint64_t)sid;
}

/* Number of processes that were still there. */
static int kill_pass(int proc_fd, pid_t sid)
{
	int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	uint64_t pid;
	int found = 0;

	if (!dir) {
		close_fd(&fd);
		return 0;
	}
	while ((e = readdir(dir))) {
		if (!num_parse_u64(e->d_name, INT32_MAX, &pid) ||
		    !in_session(proc_fd, e->d_name, sid))
			continue;
		(void)kill((pid_t)pid, SIGKILL);
		found++;
	}
	(void)closedir(dir);
	return found;
}

void child_kill_session(int proc_fd, pid_t sid)
{
	(void)kill(-sid, SIGKILL);
	(void)kill(sid, SIGKILL); /* before setsid() it leads no group */
	for (int i = 0; i < PASSES; i++)
		if (kill_pass(proc_fd, sid) == 0)
			break;
}
