/*
 * Namespaces of our own. The order matters: the user namespace comes first,
 * for in it we may have the others without any right on the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/confine.h"
#include "base/fdio.h"
#include "base/num.h"
#include "vmm/jail_root.h"

#include "base/banned.h"

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
	else if (confine_own_users() == 0)
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
