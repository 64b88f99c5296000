/*
 * openat2.h - openat2(2), for which neither glibc nor musl has a function.
 */
#ifndef BASE_OPENAT2_H
#define BASE_OPENAT2_H

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * @path from @dir_fd on, close-on-exec; @resolve: RESOLVE_ bits. @mode is for
 * O_CREAT, else 0. A descriptor, or a negative errno.
 */
static inline int open_resolved(int dir_fd, const char *path, int flags,
                                uint32_t mode, uint64_t resolve)
{
	const struct open_how how = {.flags = (uint32_t)(flags | O_CLOEXEC),
	                             .mode = mode,
	                             .resolve = resolve};
	long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

#endif
