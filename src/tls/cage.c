/*
 * Theory
 *
 * This process has what everybody is after, and talks to the guest and to
 * servers. So it gets nothing else: no file, no network but the sockets that
 * it is handed, no other process, no system call but those its work needs; and
 * nobody of the same user looks into its memory.
 *
 * All of it is up before the first value comes. The walls, each by itself
 * where the host allows it:
 *
 *	namespaces    of users (the library's clone() gives that one and the
 *	              one of processes, if it could), mounts, network, ipc, uts
 *	root          an empty tmpfs, read-only
 *	capabilities  none, and none to be had
 *	limits        no child, no core file, a log that ends somewhere
 *	calls         a list; another one ends the process, with a line
 *
 * What freed memory held is wiped by heap.c.
 */
#include <errno.h>
#include <grp.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/confine.h"
#include "base/log.h"
#include "base/num.h"
#include "tls/cage.h"
#include "tls/tls.h"

#include "base/banned.h"

/* 0: it is up; -EOPNOTSUPP: the host does not allow it; else the start ends. */
struct wall {
	const char *what;
	int (*build)(void);
};

static int build_all(const struct wall *list, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		int r = list[i].build();

		if (r == -EOPNOTSUPP)
			log_debug("cage: this host does not let us %s",
			          list[i].what);
		else if (r < 0)
			return err_set(err, r, "msb-tls cannot %s: %s",
			               list[i].what, strerror(-r));
	}
	return 0;
}

/* ---- early --------------------------------------------------------------- */

static int refuse_privileges(void)
{
	(void)umask(077);
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* Nothing in it is for us, and libraries must not take orders from it. */
static int forget_environment(void)
{
	for (char **e = environ; e && *e; e++)
		explicit_bzero(*e, strlen(*e));
	return clearenv() ? -EINVAL : 0;
}

/* Values have pages that are locked each; the rest is if it always can be. */
static int lock_memory(void)
{
	const struct rlimit endless = {RLIM_INFINITY, RLIM_INFINITY};
	struct rlimit l;

	(void)mallopt(M_ARENA_MAX, 1);
	if (setrlimit(RLIMIT_MEMLOCK, &endless) < 0) {
		if (getrlimit(RLIMIT_MEMLOCK, &l) < 0)
			return -errno;
		l.rlim_cur = l.rlim_max;
		if (setrlimit(RLIMIT_MEMLOCK, &l) < 0)
			return -errno;
		/* Below a limit, malloc() would fail where it is reached. */
		if (l.rlim_cur != RLIM_INFINITY)
			return -EOPNOTSUPP;
	}
	return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0
	               ? -EOPNOTSUPP
	               : 0;
}

/* Two descriptors a flow. */
static int allow_files(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return -errno;
	l.rlim_cur = l.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &l) < 0 ? -errno : 0;
}

static int ignore_signals(void)
{
	return signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
	                       signal(SIGXFSZ, SIG_IGN) == SIG_ERR
	               ? -errno
	               : 0;
}

int cage_early(struct err *err)
{
	static const struct wall list[] = {
		{"hide its memory",          confine_hide_memory},
		{"refuse privileges",        refuse_privileges  },
		{"forget its environment",   forget_environment },
		{"lock all of its memory",   lock_memory        },
		{"raise its limit of files", allow_files        },
		{"ignore signals",           ignore_signals     },
	};

	return build_all(list, ARRAY_SIZE(list), err);
}

/* ---- namespaces ---------------------------------------------------------- */

/* The first process of a namespace of processes has one of users as well. */
static int leave_users(void)
{
	return getpid() == 1 ? 0 : confine_own_users();
}

static int leave_network(void)
{
	return confine_unshare(CLONE_NEWNET);
}

static int leave_ipc(void)
{
	return confine_unshare(CLONE_NEWIPC);
}

static int leave_uts(void)
{
	return confine_unshare(CLONE_NEWUTS);
}

/* ---- root ---------------------------------------------------------------- */

/* Where the new root hangs for a moment; it exists on every Linux. */
#define FOOTHOLD "/proc"

/* The host's first root (an initramfs) cannot be left by pivot_root(). */
static int change_root(void)
{
	if (syscall(SYS_pivot_root, ".", ".") == 0)
		return umount2(".", MNT_DETACH) < 0 ? -errno : 0;
	if (errno != EINVAL || mount(".", "/", NULL, MS_MOVE, NULL) < 0)
		return -errno;
	return chroot(".") < 0 ? -errno : 0;
}

static int leave_files(void)
{
	int r = confine_unshare(CLONE_NEWNS);

	if (r < 0)
		return r;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", FOOTHOLD, "tmpfs",
	          MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
	          "size=4k,nr_inodes=2,mode=0555") < 0 ||
	    chdir(FOOTHOLD) < 0)
		return -errno;
	r = change_root();
	return r < 0 ? r : chdir("/") < 0 ? -errno : 0;
}

/* ---- rights -------------------------------------------------------------- */

static int drop_capabilities(void)
{
	(void)setgroups(0, NULL); /* those that root may have */
	confine_close_capabilities();
	return confine_set_capabilities(0);
}

static int limit_self(void)
{
	return confine_limits(0);
}

int cage_enter(struct err *err)
{
	static const struct wall list[] = {
		{"leave the host's users",   leave_users      },
		{"leave the host's network", leave_network    },
		{"leave the host's ipc",     leave_ipc        },
		{"leave the host's name",    leave_uts        },
		{"leave the host's files",   leave_files      },
		{"drop its capabilities",    drop_capabilities},
		{"limit itself",             limit_self       },
		{"give up system calls",     cage_filter      },
	};

	return build_all(list, ARRAY_SIZE(list), err);
}
