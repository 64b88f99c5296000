/*
 * launch.h - start one msb-vmm: its descriptors, its configuration, its
 * process.
 *
 * The program that loads this library may have many threads, many open files
 * and its own signal handlers: clone.h says how the child is made all the
 * same. All descriptors of ours are close-on-exec from their birth, and the
 * child closes all it was not given.
 *
 *	0 /dev/null   1,2 log   3 control socket   4 configuration (memfd)
 *	5 kernel   6 initramfs   7 listening socket   8 lock   9 end.json
 *	10,11 the log's two files   12.. the root disk's files, then the upper
 */
#ifndef LIB_LAUNCH_H
#define LIB_LAUNCH_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "image/rootfs.h"
#include "lib/record.h"
#include "lib/runtime.h"
#include "microsandbox.h"

#define LAUNCH_FD_CONTROL   3
#define LAUNCH_FD_CONFIG    4
#define LAUNCH_FD_KERNEL    5
#define LAUNCH_FD_INITRAMFS 6
#define LAUNCH_FD_LISTEN    7
#define LAUNCH_FD_LOCK      8
#define LAUNCH_FD_END       9
#define LAUNCH_FD_LOG       10
#define LAUNCH_FD_DISKS     12

/* Layers are at most 127 by OCI practice; the rest is a generous bound. */
#define LAUNCH_DISK_FDS_MAX 1024

struct launch {
	const struct runtime *runtime;
	const struct rootfs *root;
	int upper_fd;
	uint64_t upper_bytes;
	const char *name, *hostname;
	const struct sandbox_config *config; /* engine, accel: not DEFAULT */
	int listen_fd, lock_fd, end_fd, log_fds[2];
	int stderr_fd;         /* where msb-vmm logs; -1: /dev/null */
	const char *log_level; /* NULL: msb-vmm's default */
};

/* The configuration as JSON; NULL when out of memory. Free it. */
char *launch_config(const struct launch *l);

/*
 * Start it. The caller owns the control socket and must wait for the process.
 * The descriptors in @l may be closed afterwards.
 */
int launch_start(const struct launch *l, pid_t *ret_pid, int *ret_control,
                 struct err *err);

#endif
