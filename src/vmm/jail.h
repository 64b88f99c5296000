/*
 * jail.h - what msb-vmm and QEMU give up before anything hostile runs.
 *
 * The stages are one list in jail.c, each with its reason. They come at four
 * moments:
 *
 *	jail_enter()   the process is single-threaded, the config is read, the
 *	               host's files are still there: namespaces and an empty
 *	               root, or Landlock where there are no namespaces
 *	jail_child()   between fork and exec of QEMU
 *	jail_thread()  a thread's first act: capabilities, seccomp by its kind
 *	jail_seal()    main thread, when the guest's agent says hello, before
 *	               it gets any answer: QEMU's program files vanish, the
 *	               main thread's capabilities and system calls go
 */
#ifndef VMM_JAIL_H
#define VMM_JAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"

/* Each has its own list of system calls. */
enum jail_thread_kind {
	JAIL_MAIN,  /* control, relay, vsock, console */
	JAIL_BLOCK, /* a disk's */
	JAIL_SMALL, /* rng, balloon: work that needs no files */
	JAIL_VCPU,  /* ioctl(KVM_RUN) and the registers' side effects */
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

#endif
