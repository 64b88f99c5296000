/*
 * runtime.h - where the parts of the installation are: msb-vmm, the guest's
 * kernel, initramfs and kernel command line, and QEMU.
 *
 * All but QEMU lie in one folder: MSB_RUNTIME when it is set, else the first
 * of these that has an msb-vmm: the library's own folder (a build tree),
 * ../libexec/microsandbox seen from it (also ../../, where libraries have an
 * architecture folder), microsandbox/ below it.
 */
#ifndef LIB_RUNTIME_H
#define LIB_RUNTIME_H

#include "base/cleanup.h"
#include "base/err.h"

struct runtime {
	char *dir;
	char *vmm;  /* path of msb-vmm */
	char *qemu; /* path of the emulator; NULL: runtime_find_qemu() */
	int kernel_fd, initramfs_fd;
	char *cmdline; /* no newline */
};

#define RUNTIME_INIT                                                           \
	{                                                                      \
		.kernel_fd = -1, .initramfs_fd = -1                            \
	}

/* All but QEMU. -LIB_EINSTALL names what is missing and has a hint. */
int runtime_find(struct runtime *ret, struct err *err);
void runtime_release(struct runtime *rt);

/* The folder alone, for doctor. Free it. */
int runtime_find_dir(char **ret, struct err *err);

/* MSB_QEMU, else qemu-system-x86_64 in PATH. Free it. */
int runtime_find_qemu(char **ret, struct err *err);

/*
 * The absolute path of an executable @name in @path (colon-separated, NULL:
 * the usual folders); NULL when there is none. Free it.
 */
char *runtime_search(const char *name, const char *path);

#define cleanup_runtime cleanup(runtime_release)

#endif
