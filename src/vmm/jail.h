/*
 * jail.h - what msb-vmm and QEMU give up before anything hostile runs.
 *
 * The stages are one list in jail.c, each with its reason. They come at five
 * moments:
 *
 *	jail_early()   first thing in main(): memory, privileges, files
 *	jail_enter()   the process is single-threaded, the config is read, the
 *	               host's files are still there: namespaces and an empty
 *	               root, or Landlock where there are no namespaces
 *	jail_child()   between fork and exec of QEMU
 *	jail_thread()  a thread's first act: capabilities, seccomp by its kind
 *	jail_seal()    main thread, when the guest's agent says hello, before
 *	               it gets any answer: QEMU's program files vanish, the
 *	               main thread's capabilities and system calls go
 *
 * Only our own kernel and agent run in the guest before jail_seal(): no file
 * of the image is opened before BOOT is sent. An engine without a program of
 * its own (kvm) is sealed before the guest runs.
 *
 * A stage that the host does not allow is left out and not reported by
 * jail_state(); one that is allowed and fails ends the start.
 */
#ifndef VMM_JAIL_H
#define VMM_JAIL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Each has its own list of system calls (jail_rules.c). */
enum jail_thread_kind {
	JAIL_MAIN,    /* control, relay, vsock, console */
	JAIL_BLOCK,   /* a disk's */
	JAIL_SMALL,   /* rng, balloon: work that needs no files */
	JAIL_VCPU,    /* ioctl(KVM_RUN) and the registers' side effects */
	JAIL_FS,      /* the file server: files, but only below the shares */
	JAIL_NET,     /* the network: sockets of the host, and nothing else */
	JAIL_SOCKETS, /* Unix sockets of the host: connect(), no file */
};

/* What holds now; JAIL_* bits for reports. */
#define JAIL_USER_NS  (1u << 0)
#define JAIL_MOUNT_NS (1u << 1)
#define JAIL_PID_NS   (1u << 2)
#define JAIL_IPC_NS   (1u << 3)
#define JAIL_NET_NS   (1u << 4)
#define JAIL_ROOT     (1u << 5) /* an empty root */
#define JAIL_LANDLOCK (1u << 6)
#define JAIL_SECCOMP  (1u << 7)
#define JAIL_NO_CAPS  (1u << 8)
#define JAIL_NO_PRIVS (1u << 9)
/* QEMU's own, inside of msb-vmm's. */
#define JAIL_QEMU_USER_NS (1u << 10)
#define JAIL_QEMU_PID_NS  (1u << 11)
#define JAIL_QEMU_IPC_NS  (1u << 12)
#define JAIL_QEMU_SECCOMP (1u << 13)
#define JAIL_WALLS        14

/*
 * A folder or file that the guest gets to see. jail_enter() puts a mount of
 * its own in the descriptor's place: nothing is above its root, links are not
 * followed, there are no devices in it, and a read-only one is read-only.
 */
struct jail_share {
	int fd;
	bool read_only;
};

/* The program that the engine is, and what it opens by name. */
struct jail_needs {
	const char *program; /* absolute; "": the engine is in this process */
	bool kvm;            /* it opens /dev/kvm */
	int kernel_fd, initramfs_fd;
	uint64_t file_max; /* no file that may be written grows beyond */
	/*
	 * Called, if set, when this process has its namespaces but for that of
	 * the network: a thread that it starts, which stays in the host's. 0,
	 * or a negative errno, which ends the start.
	 */
	int (*before_net)(void *arg);
	void *before_net_arg;
	const struct jail_share *shares; /* must outlive the call to seal */
	size_t nshares;
	/* Folders of host sockets, which get such mounts, too. */
	const struct jail_share *sockets;
	size_t nsockets;
};

/* Where they are for the program, after jail_enter(). */
struct jail_paths {
	char program[PATH_MAX];
	char kernel[32], initramfs[32];
};

int jail_early(struct err *err);

/* Close all but 0-3 and @fds: what the caller of this program left open. */
int jail_close_others(const int *fds, size_t nfds);

int jail_enter(const struct jail_needs *needs, struct jail_paths *ret,
               struct err *err);

/*
 * A folder with this process's descriptors by number, as /proc/self/fd, for
 * who has shares; -1 otherwise.
 */
int jail_proc_fd(void);

/*
 * Flags for the clone() that makes QEMU: the namespaces of its own that this
 * host allows. If it fails all the same, clone without flags and say so here.
 */
unsigned jail_child_flags(void);
void jail_child_made(unsigned flags);

/*
 * In the child; @program is the pointer that execve() will get. @ask: a socket
 * for the listener of its filter (qemu_sock.h), or -1.
 */
int jail_child(const char *program, int ask);

/* Never fails half: a thread that cannot be jailed must not go on. */
int jail_thread(enum jail_thread_kind kind);

/* @child: QEMU's process, or -1. Main thread only; once. */
int jail_seal(pid_t child, struct err *err);

uint32_t jail_state(void);

/* Names of the walls in jail_state(), in order, then NULL; how many. */
size_t jail_names(char *ret[JAIL_WALLS + 1]);

#endif
