#include "base/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

/* How far a log may grow once its process is confined. */
#define LOG_ROOM (64 * MIB)

/* What a shell would show for a process that died of SIGSYS. */
#define EXIT_SIGSYS (128 + SIGSYS)

int confine_hide_memory(void)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return -errno;
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

/* ---- namespaces ---------------------------------------------------------- */

int confine_unshare(int what)
{
	if (unshare(what) == 0)
		return 0;
	return errno == EPERM || errno == EACCES || errno == ENOSPC ||
	                       errno == EINVAL || errno == EUSERS
	               ? -EOPNOTSUPP
	               : -errno;
}

static int write_file(const char *path, const char *text)
{
	cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd_write_full(fd, text, strlen(text));
}

static int map_ids(uid_t uid, gid_t gid)
{
	char text[32];
	int r = write_file("/proc/self/setgroups", "deny");

	(void)snprintf(text, sizeof(text), "0 %u 1", uid);
	if (r == 0)
		r = write_file("/proc/self/uid_map", text);
	(void)snprintf(text, sizeof(text), "0 %u 1", gid);
	return r < 0 ? r : write_file("/proc/self/gid_map", text);
}

int confine_own_users(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r = confine_unshare(CLONE_NEWUSER);

	if (r < 0)
		return r;
	/* Who hides its memory does not own its files in /proc: for a moment.
	 */
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	r = map_ids(uid, gid);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return r;
}

/* ---- rights -------------------------------------------------------------- */

void confine_close_capabilities(void)
{
	for (unsigned long cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno == EINVAL)
			break;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	(void)prctl(
		PR_SET_SECUREBITS,
		SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
			SECBIT_NO_SETUID_FIXUP_LOCKED |
			SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
			SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
		0, 0, 0);
}

int confine_set_capabilities(uint64_t caps)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {
		{(uint32_t)caps,         (uint32_t)caps,         0},
		{(uint32_t)(caps >> 32), (uint32_t)(caps >> 32), 0},
	};

	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

/* ---- limits -------------------------------------------------------------- */

/* A log that was long before may go on for a while. */
static uint64_t with_log(uint64_t most, int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		most = MAX(most, (uint64_t)st.st_size + LOG_ROOM);
	return most;
}

int confine_limits(uint64_t most)
{
	const struct rlimit none = {0, 0};
	uint64_t bytes = with_log(with_log(most, 1), 2);
	const struct rlimit size = {bytes, bytes};

	(void)signal(SIGXFSZ, SIG_IGN); /* EFBIG will do */
	return setrlimit(RLIMIT_NPROC, &none) < 0 ||
	                       setrlimit(RLIMIT_FSIZE, &size) < 0
	               ? -errno
	               : 0;
}

/* ---- the report ---------------------------------------------------------- */

static const char *reporter = "";
static _Thread_local const char *thread_name;

static size_t put(char *line, size_t n, size_t size, const char *s)
{
	size_t len = MIN(strlen(s), size - n);

	memcpy(line + n, s, len);
	return n + len;
}

/* No stdio here: the thread may be anywhere, or not itself any more. */
static void trapped(int sig, siginfo_t *si, void *context)
{
	char line[160], digits[12] = {0};
	size_t n, d = sizeof(digits) - 1;
	ssize_t w;

	(void)sig;
	(void)context;
	for (unsigned v = (unsigned)si->si_syscall; v || !digits[d]; v /= 10)
		digits[--d] = (char)('0' + v % 10);
	n = put(line, 0, sizeof(line), reporter);
	if (thread_name) {
		n = put(line, n, sizeof(line), " thread ");
		n = put(line, n, sizeof(line), thread_name);
		n = put(line, n, sizeof(line), " at");
	}
	n = put(line, n, sizeof(line), " system call ");
	n = put(line, n, sizeof(line), digits + d);
	n = put(line, n, sizeof(line), "\n");
	w = write(2, line, n);
	(void)w;
	_exit(EXIT_SIGSYS);
}

int confine_report(const char *said)
{
	struct sigaction sa = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};

	reporter = said;
	return sigaction(SIGSYS, &sa, NULL) < 0 ? -errno : 0;
}

void confine_name_thread(const char *name)
{
	thread_name = name;
}
