#include "guest/child.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

#define PASSES 3 /* a process may fork while the list is read */

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
		if (!num_parse_u64(e->d_name, INT32_MAX, &pid) || pid == 0 ||
		    getsid((pid_t)pid) != sid)
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
