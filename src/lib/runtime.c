#include "lib/runtime.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/num.h"
#include "lib/error.h"

#include "base/banned.h"

#define CMDLINE_MAX  2048
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       access(path, X_OK) == 0;
}

char *runtime_search(const char *name, const char *path)
{
	for (const char *p = path ? path : DEFAULT_PATH; *p;) {
		size_t len = strcspn(p, ":");
		char *full = NULL;

		/* An empty or relative part would mean the working folder. */
		if (*p == '/' &&
		    asprintf(&full, "%.*s/%s", (int)len, p, name) < 0)
			return NULL;
		if (full && is_program(full))
			return full;
		free(full);
		p += len;
		p += *p == ':';
	}
	return NULL;
}

int runtime_find_qemu(char **ret, struct err *err)
{
	const char *set = getenv("MSB_QEMU");
	char *path;

	if (set && *set && is_program(set)) {
		path = strdup(set);
		if (!path)
			return -ENOMEM;
	} else if (set && *set) {
		err_set(err, -LIB_EINSTALL, "MSB_QEMU=%s is not a program",
		        set);
		err_hint(err, "unset MSB_QEMU, or let it name a "
		              "qemu-system-x86_64");
		return -LIB_EINSTALL;
	} else {
		path = runtime_search("qemu-system-x86_64", getenv("PATH"));
	}
	if (!path) {
		err_set(err, -LIB_EINSTALL,
		        "qemu-system-x86_64 is not installed (looked in PATH)");
		err_hint(err, "install it (Debian: apt install "
		              "qemu-system-x86), or set MSB_QEMU to its path");
		return -LIB_EINSTALL;
	}
	*ret = path;
	return 0;
}

/* The folder of the file that this code was loaded from. */
static int own_dir(char **ret)
{
	Dl_info info;
	char *path, *slash;

	if (!dladdr((void *)(uintptr_t)&own_dir, &info) || !info.dli_fname)
		return -ENOENT;
	path = realpath(info.dli_fname, NULL);
	if (!path)
		return -errno;
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	*ret = path;
	return 0;
}

static bool has_vmm(const char *dir)
{
	cleanup_free char *path = NULL;

	return asprintf(&path, "%s/msb-vmm", dir) > 0 && is_program(path);
}

static int search_dirs(const char *own, char **ret, struct err *err)
{
	static const char *const below[] = {
		"",
		"/../libexec/microsandbox",
		"/../../libexec/microsandbox",
		"/microsandbox",
	};

	for (size_t i = 0; i < ARRAY_SIZE(below); i++) {
		char *dir = NULL;

		if (asprintf(&dir, "%s%s", own, below[i]) < 0)
			return -ENOMEM;
		if (has_vmm(dir)) {
			*ret = realpath(dir, NULL);
			free(dir);
			return *ret ? 0 : -errno;
		}
		free(dir);
	}
	err_set(err, -LIB_EINSTALL, "msb-vmm is not beside %s", own);
	err_hint(err, "run make in the source tree, install again, or set "
	              "MSB_RUNTIME to the folder that has msb-vmm");
	return -LIB_EINSTALL;
}

int runtime_find_dir(char **ret, struct err *err)
{
	const char *set = getenv("MSB_RUNTIME");
	cleanup_free char *own = NULL;
	int r;

	if (set && *set) {
		if (!has_vmm(set)) {
			err_set(err, -LIB_EINSTALL,
			        "MSB_RUNTIME=%s has no msb-vmm", set);
			err_hint(err, "unset MSB_RUNTIME, or let it name the "
			              "folder that has msb-vmm");
			return -LIB_EINSTALL;
		}
		*ret = strdup(set);
		return *ret ? 0 : -ENOMEM;
	}
	r = own_dir(&own);
	if (r < 0)
		return err_set(err, -LIB_EINSTALL,
		               "cannot tell where libmicrosandbox is");
	return search_dirs(own, ret, err);
}

static int open_part(const char *dir, const char *name, const char *what,
                     struct err *err)
{
	cleanup_free char *path = NULL;
	struct stat st;
	int fd;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err_set(err, -LIB_EINSTALL, "%s %s: %s", what, path,
		        strerror(errno));
		err_hint(err, "run make in the source tree, or install again");
		return -LIB_EINSTALL;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
		(void)close(fd);
		err_set(err, -LIB_EINSTALL, "%s %s is empty or not a file",
		        what, path);
		err_hint(err, "run make in the source tree, or install again");
		return -LIB_EINSTALL;
	}
	return fd;
}

static int read_cmdline(const char *dir, char **ret, struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(CMDLINE_MAX);
	cleanup_close int fd =
		open_part(dir, "cmdline", "the kernel's command line", err);
	int r = fd;

	if (fd >= 0)
		r = fd_read_all(fd, &b);
	if (r < 0)
		return r;
	while (b.len > 0 && b.data[b.len - 1] == '\n')
		b.data[--b.len] = '\0';
	*ret = buf_steal(&b);
	return *ret ? 0 : -ENOMEM;
}

int runtime_find(struct runtime *ret, struct err *err)
{
	struct runtime cleanup_runtime rt = RUNTIME_INIT;
	int r = runtime_find_dir(&rt.dir, err);

	if (r < 0)
		return r;
	if (asprintf(&rt.vmm, "%s/msb-vmm", rt.dir) < 0)
		return -ENOMEM;
	rt.kernel_fd = open_part(rt.dir, "vmlinux", "the guest's kernel", err);
	if (rt.kernel_fd < 0)
		return rt.kernel_fd;
	rt.initramfs_fd =
		open_part(rt.dir, "initramfs.cpio", "the guest's agent", err);
	if (rt.initramfs_fd < 0)
		return rt.initramfs_fd;
	r = read_cmdline(rt.dir, &rt.cmdline, err);
	if (r < 0)
		return r;
	*ret = rt;
	rt = (struct runtime)RUNTIME_INIT;
	return 0;
}

void runtime_release(struct runtime *rt)
{
	if (!rt)
		return;
	free(rt->dir);
	free(rt->vmm);
	free(rt->qemu);
	free(rt->cmdline);
	close_fd(&rt->kernel_fd);
	close_fd(&rt->initramfs_fd);
	*rt = (struct runtime)RUNTIME_INIT;
}
