/*
 * confine.h - what a process that a guest may take over gives up. The jail of
 * msb-vmm and the cage of msb-tls are made of it; see there for which of it,
 * when, and why.
 *
 * Functions return 0 or a negative errno.
 */
#ifndef BASE_CONFINE_H
#define BASE_CONFINE_H

#include <stdint.h>

/* No core file, no debugger of the same user, no /proc/PID/mem. */
int confine_hide_memory(void);

/* unshare(); -EOPNOTSUPP: this host does not let us. */
int confine_unshare(int what);

/*
 * A user namespace with one user and one group, ourselves, who are called 0 in
 * there. -EOPNOTSUPP as above. The memory is hidden afterwards.
 */
int confine_own_users(void);

/*
 * What an exec could give back: the bounding set, and what uid 0 means. Both
 * take CAP_SETPCAP, which those who have nothing to give back may lack.
 */
void confine_close_capabilities(void);
/* Have these (1 << CAP_...), and no other. */
int confine_set_capabilities(uint64_t caps);

/*
 * No process or thread is made any more, no file grows past @most bytes. 1 and
 * 2, where they are files, may still grow a while: they are logs.
 */
int confine_limits(uint64_t most);

/*
 * When a filter of system calls traps one, say so and end: "SAID system call
 * N", or "SAID thread NAME at system call N" in a thread with a name. @said and
 * the name must live for ever.
 */
int confine_report(const char *said);
void confine_name_thread(const char *name);

#endif
