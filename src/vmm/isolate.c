#include "vmm/isolate.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/num.h"

#include "base/banned.h"

/* A machine's sessions, disks and layers are descriptors. */
#define FILES_MAX 16384

/* Guest memory is mapped here: no core file, no debugger of the same user. */
static int hide_memory(void)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return -errno;
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

/* No program started from here gains rights, setuid or not. */
static int refuse_privileges(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
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

static const struct {
	const char *what;
	int (*run)(void);
} early[] = {
	{"hide its memory",       hide_memory      },
	{"refuse privileges",     refuse_privileges},
	{"set its file mode",     private_files    },
	{"raise its file limits", allow_files      },
};

int isolate_early(struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(early); i++) {
		int r = early[i].run();

		if (r < 0)
			return err_set(err, r, "msb-vmm cannot %s: %s",
			               early[i].what, strerror(-r));
	}
	return 0;
}
