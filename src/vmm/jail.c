/*
 * Theory
 *
 * Two processes are held: ours, which has the device models, and QEMU, where
 * it is the engine. Whoever takes over one of them by a fault in it should
 * find nothing: no file, no network, no other process, no system call but
 * those its work needs.
 *
 *	msb-vmm   user, mount, pid, ipc, net namespace; empty root
 *	  "net"   the same, but the host's network: it alone makes sockets
 *	  QEMU    user, pid, ipc namespace below those
 *
 * QEMU sees the same root and the same empty network as we do, but has no
 * rights there: they belong to the user namespace above its own. Its user
 * namespace has no mapping at all: in it, QEMU is nobody.
 *
 * The pid namespace is made by the library, for a process cannot enter a new
 * one itself. An msb-vmm that was started by hand goes without; QEMU has its
 * own all the same.
 *
 * Where user namespaces are not allowed, Landlock hides the files instead,
 * and the host's processes are out of reach by Landlock's scopes and by the
 * lists of system calls alone.
 *
 * As root (uid 0 of the host) the mapping is from root to root: files of the
 * host's root would still be ours by their owner, which is why the empty root
 * is the wall there and not the uid. Nothing else depends on who starts us.
 */
#include "vmm/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/confine.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "vmm/jail_filter.h"
#include "vmm/jail_landlock.h"
#include "vmm/jail_root.h"

#include "base/banned.h"

/* A machine's sessions, disks and layers are descriptors. */
#define FILES_MAX 16384

/* QEMU: its devices' sockets and eventfds, the firmware while it loads. */
#define QEMU_FILES_MAX 512

/*
 * What root on the host would have anyway: files of all users, of the shares'
 * mounts alone (jail_share.c). In our namespaces they are good for nothing
 * else.
 */
#define FS_CAPS                                                                \
	(1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH |              \
	 1ull << CAP_FOWNER)

static struct {
	atomic_uint state; /* JAIL_* bits */
	uint64_t ns;       /* how long it all took */
	uint64_t file_max; /* see jail_needs */
	int proc_fd;       /* 0: none */
	uint64_t fs_caps;  /* of the file server's thread */
	/* All that a thread of kind FS may open, where no mount holds it. */
	struct jail_needs shares;
} jail;

static void holds(uint32_t bits)
{
	atomic_fetch_or(&jail.state, bits);
}

static bool is_held(uint32_t bit)
{
	return atomic_load(&jail.state) & bit;
}

/* ---- early ---- */

/* No program started from here gains rights, setuid or not. */
static int refuse_privileges(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	holds(JAIL_NO_PRIVS);
	return 0;
}

/* We make no files; should we ever, they are the user's alone. */
static int private_files(void)
{
	(void)umask(077);
	return 0;
}

/* Many guest connections must not run into a shell's low soft limit. */
static int allow_files(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return -errno;
	l.rlim_cur = MAX(l.rlim_cur, MIN(l.rlim_max, (rlim_t)FILES_MAX));
	return setrlimit(RLIMIT_NOFILE, &l) < 0 ? -errno : 0;
}

/* A terminal there could be written to (TIOCSTI); QEMU gets it, too. */
static int empty_stdin(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int r = fd < 0 || dup2(fd, 0) < 0 ? -errno : 0;

	if (fd > 0)
		(void)close(fd);
	return r;
}

/* One arena: others cost memory, and glibc counts processors for them. */
static int one_arena(void)
{
	(void)mallopt(M_ARENA_MAX, 1);
	return 0;
}

struct stage {
	const char *what;
	int (*run)(void);
};

static int run_stages(const struct stage *list, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		int r = list[i].run();

		if (r < 0)
			return err_set(err, r, "msb-vmm cannot %s: %s",
			               list[i].what, strerror(-r));
	}
	return 0;
}

int jail_early(struct err *err)
{
	static const struct stage list[] = {
		{"hide its memory",       confine_hide_memory},
		{"refuse privileges",     refuse_privileges  },
		{"set its file mode",     private_files      },
		{"raise its file limits", allow_files        },
		{"close its input",       empty_stdin        },
		{"bound its memory",      one_arena          },
	};

	return run_stages(list, ARRAY_SIZE(list), err);
}

/* ---- descriptors ---- */

static int by_number(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

int jail_close_others(const int *fds, size_t nfds)
{
	cleanup_free int *sorted = calloc(nfds + 1, sizeof(*sorted));
	int next = 4; /* 0-2, control */

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < nfds; i++)
		sorted[i] = fds[i];
	qsort(sorted, nfds, sizeof(*sorted), by_number);
	for (size_t i = 0; i < nfds; i++) {
		if (sorted[i] > next &&
		    close_range((unsigned)next, (unsigned)sorted[i] - 1, 0) < 0)
			return -errno;
		next = MAX(next, sorted[i] + 1);
	}
	return close_range((unsigned)next, ~0U, 0) < 0 ? -errno : 0;
}

/* ---- enter ---- */

static const char *const names[JAIL_WALLS] = {
	"user-namespace",
	"mount-namespace",
	"pid-namespace",
	"ipc-namespace",
	"net-namespace",
	"empty-root",
	"landlock",
	"seccomp",
	"no-capabilities",
	"no-new-privileges",
	"qemu-user-namespace",
	"qemu-pid-namespace",
	"qemu-ipc-namespace",
	"qemu-seccomp",
};

static void same_paths(const struct jail_needs *needs, struct jail_paths *ret)
{
	(void)snprintf(ret->program, sizeof(ret->program), "%s",
	               needs->program);
	(void)snprintf(ret->kernel, sizeof(ret->kernel), "/proc/self/fd/%d",
	               needs->kernel_fd);
	(void)snprintf(ret->initramfs, sizeof(ret->initramfs),
	               "/proc/self/fd/%d", needs->initramfs_fd);
}

/* What the file server works on; before the host's tree is out of sight. */
static int enter_shares(const struct jail_needs *needs)
{
	int r = -EXDEV;

	if (!needs->nshares)
		return 0;
	if (jail_has_all_users())
		jail.fs_caps = FS_CAPS;
	jail.proc_fd = jail_open_proc_fd();
	if (jail.proc_fd < 0)
		return jail.proc_fd;
	if (is_held(JAIL_MOUNT_NS))
		r = jail_shares_enter(needs);
	if (r == -EXDEV) {
		jail.shares.program = "";
		jail.shares.shares = needs->shares;
		jail.shares.nshares = needs->nshares;
	}
	return r == -EXDEV ? 0 : r;
}

/* Namespaces and an empty root; where that cannot be, Landlock. */
static int hide_files(const struct jail_needs *needs, struct jail_paths *ret)
{
	int r = enter_shares(needs);

	if (r < 0)
		return r;
	if (is_held(JAIL_MOUNT_NS)) {
		(void)jail_sockets_enter(needs);
		r = jail_root_enter(needs, ret);
		if (r == 0) {
			holds(JAIL_ROOT);
			return 0;
		}
		log_warn("no root of its own for this machine: %s",
		         strerror(-r));
	}
	same_paths(needs, ret);
	r = jail_landlock(needs);
	if (r == 0)
		holds(JAIL_LANDLOCK);
	return r == -EOPNOTSUPP ? 0 : r;
}

/*
 * Of root's groups none is needed. Others cannot leave theirs, and need not:
 * there is no file that a group would open.
 */
static void leave_groups(void)
{
	(void)setgroups(0, NULL);
}

int jail_enter(const struct jail_needs *needs, struct jail_paths *ret,
               struct err *err)
{
	uint64_t start = clock_now_ns();
	uint32_t spaces;
	int r;

	jail.file_max = needs->file_max;
	leave_groups();
	r = jail_namespaces(needs, &spaces);
	if (r < 0)
		return err_set(err, r, "msb-vmm cannot start its network: %s",
		               strerror(-r));
	holds(spaces);
	r = hide_files(needs, ret);
	if (r < 0)
		return err_set(err, r,
		               "msb-vmm cannot hide the host's files: "
		               "%s",
		               strerror(-r));
	confine_close_capabilities();
	/* To empty the root when QEMU has started: jail_seal(). */
	r = confine_set_capabilities(
		jail.fs_caps |
		(is_held(JAIL_ROOT) ? 1ull << CAP_SYS_ADMIN : 0));
	if (r == 0)
		r = jail_filter_report();
	if (r < 0)
		return err_set(err, r, "msb-vmm cannot drop privileges: %s",
		               strerror(-r));
	jail.ns = clock_now_ns() - start;
	log_debug("jail: entered in %llu us",
	          (unsigned long long)(jail.ns / 1000));
	return 0;
}

/* ---- QEMU ---- */

unsigned jail_child_flags(void)
{
	return is_held(JAIL_USER_NS)
	               ? CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWIPC
	               : 0;
}

void jail_child_made(unsigned flags)
{
	if (flags & CLONE_NEWUSER)
		holds(JAIL_QEMU_USER_NS);
	if (flags & CLONE_NEWPID)
		holds(JAIL_QEMU_PID_NS);
	if (flags & CLONE_NEWIPC)
		holds(JAIL_QEMU_IPC_NS);
}

static int child_limits(void)
{
	const struct rlimit none = {0, 0};
	const struct rlimit files = {QEMU_FILES_MAX, QEMU_FILES_MAX};

	/* Its threads and its memory's size are set: jail_seal(). */
	return setrlimit(RLIMIT_CORE, &none) < 0 ||
	                       setrlimit(RLIMIT_NOFILE, &files) < 0 ||
	                       setrlimit(RLIMIT_MSGQUEUE, &none) < 0
	               ? -errno
	               : 0;
}

int jail_child(const char *program, int ask)
{
	int listener = -1, r = child_limits();

	confine_close_capabilities();
	if (r == 0)
		r = confine_set_capabilities(0);
	if (r == 0)
		r = jail_filter_load(JAIL_FILTER_QEMU, program,
		                     ask >= 0 ? &listener : NULL);
	if (r == 0 && listener >= 0)
		r = fd_send(ask, "", 1, &listener, 1) == 1 ? 0 : -EPIPE;
	return r == -EOPNOTSUPP ? 0 : r;
}

/* ---- threads ---- */

/* tests/escape: a build of its own tries to get out of each thread here. */
#if defined(JAIL_PROBE)
#include "hook.h"
#else
static const bool escape_without_filter = false;
static void escape_hook(enum jail_thread_kind kind)
{
	(void)kind;
}
#endif

/* No file, but for the file server's where no mount keeps it to its shares. */
static int limit_files(enum jail_thread_kind kind)
{
	int r = 0;

	if (kind == JAIL_NET)
		r = jail_landlock_net();
	else if (kind == JAIL_FS && jail.shares.nshares)
		r = jail_landlock(&jail.shares);
	else if (kind != JAIL_FS && is_held(JAIL_LANDLOCK))
		r = jail_landlock(NULL);
	return r == -EOPNOTSUPP ? 0 : r;
}

int jail_proc_fd(void)
{
	return jail.proc_fd > 0 ? jail.proc_fd : -1;
}

int jail_thread(enum jail_thread_kind kind)
{
	int r;

	if (kind != JAIL_MAIN) /* jail_seal() does that one */
		escape_hook(kind);
	if (kind == JAIL_NET) /* it began before the others gave theirs up */
		confine_close_capabilities();
	r = confine_set_capabilities(kind == JAIL_FS ? jail.fs_caps : 0);
	if (r == 0)
		r = limit_files(kind);
	if (r == 0 && !escape_without_filter) {
		r = jail_filter_load((enum jail_filter)kind, NULL, NULL);
		if (r == -EOPNOTSUPP)
			r = 0;
	}
	if (r < 0)
		log_error("a thread cannot enter the jail: %s", strerror(-r));
	return r;
}

/* ---- seal ---- */

/* All its threads run and its memory has its size: no more of either. */
static int limit_child(pid_t child)
{
	const struct rlimit none = {0, 0};

	if (child <= 0)
		return 0;
	return prlimit(child, RLIMIT_NPROC, &none, NULL) < 0 ||
	                       prlimit(child, RLIMIT_FSIZE, &none, NULL) < 0
	               ? -errno
	               : 0;
}

int jail_seal(pid_t child, struct err *err)
{
	uint64_t start = clock_now_ns();
	int r = 0;

	if (is_held(JAIL_ROOT))
		r = jail_root_empty();
	if (r == 0)
		r = limit_child(child);
	escape_hook(JAIL_MAIN);
	if (r == 0)
		r = confine_limits(jail.file_max);
	if (r == 0)
		r = jail_thread(JAIL_MAIN);
	if (r < 0)
		return err_set(err, r, "msb-vmm cannot close its jail: %s",
		               strerror(-r));
	holds(JAIL_NO_CAPS);
#if !defined(JAIL_NO_FILTERS)
	holds(JAIL_SECCOMP | (child > 0 ? JAIL_QEMU_SECCOMP : 0));
#endif
	jail.ns += clock_now_ns() - start;
	log_debug("jail: sealed in %llu us, %llu us in all",
	          (unsigned long long)((clock_now_ns() - start) / 1000),
	          (unsigned long long)(jail.ns / 1000));
	return 0;
}

/* ---- report ---- */

uint32_t jail_state(void)
{
	return atomic_load(&jail.state);
}

size_t jail_names(char *ret[JAIL_WALLS + 1])
{
	size_t n = 0;

	for (unsigned i = 0; i < JAIL_WALLS; i++)
		if (is_held(1u << i))
			ret[n++] = (char *)(uintptr_t)names[i];
	ret[n] = NULL;
	return n;
}
