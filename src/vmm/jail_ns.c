/*
 * Namespaces of our own. The order matters: the user namespace comes first,
 * for in it we may have the others without any right on the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/num.h"
#include "vmm/jail_root.h"

#include "base/banned.h"

static int write_file(const char *path, const char *text)
{
	cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fd_write_full(fd, text, strlen(text));
}

/* One user and one group, ourselves, who are called 0 in there. */
static int map_ids(uid_t uid, gid_t gid)
{
	char text[64];
	int r = write_file("/proc/self/setgroups", "deny");

	(void)snprintf(text, sizeof(text), "0 %u 1", uid);
	if (r == 0)
		r = write_file("/proc/self/uid_map", text);
	(void)snprintf(text, sizeof(text), "0 %u 1", gid);
	return r < 0 ? r : write_file("/proc/self/gid_map", text);
}

struct map {
	unsigned inside, outside, count;
};

static bool read_map(struct map *m)
{
	cleanup_close int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	char text[128] = {0};

	return fd >= 0 && fd_read_full(fd, text, sizeof(text) - 1) > 0 &&
	       sscanf(text, "%u %u %u", &m->inside, &m->outside, &m->count) ==
	               3 &&
	       m->inside == 0;
}

/*
 * The library's clone() made us the first process of namespaces of our own:
 * with one user, or with all of them, see clone.h there.
 */
static bool library_made_them(void)
{
	struct map m;

	return getpid() == 1 && read_map(&m) &&
	       (m.count == 1 || jail_has_all_users());
}

bool jail_has_all_users(void)
{
	struct map m;

	return getpid() == 1 && read_map(&m) && m.outside == 0 &&
	       m.count == UINT32_MAX;
}

static bool own_user_namespace(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r;

	if (unshare(CLONE_NEWUSER) < 0)
		return false;
	/* A process that hides its memory does not own its files in /proc. */
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	r = map_ids(uid, gid);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return false;
	return r == 0;
}

static int before_net(const struct jail_needs *needs)
{
	return needs->before_net ? needs->before_net(needs->before_net_arg) : 0;
}

/*
 * A network namespace is a thread's, as all but those of users and processes
 * are: who was started before stays where it was.
 */
int jail_namespaces(const struct jail_needs *needs, uint32_t *ret)
{
	int r;

	*ret = 0;
	if (library_made_them())
		*ret = JAIL_USER_NS | JAIL_PID_NS;
	else if (own_user_namespace())
		*ret = JAIL_USER_NS;
	else
		return before_net(needs);
	if (unshare(CLONE_NEWNS) == 0)
		*ret |= JAIL_MOUNT_NS;
	if (unshare(CLONE_NEWIPC) == 0)
		*ret |= JAIL_IPC_NS;
	r = before_net(needs);
	if (r == 0 && unshare(CLONE_NEWNET) == 0)
		*ret |= JAIL_NET_NS;
	return r;
}
