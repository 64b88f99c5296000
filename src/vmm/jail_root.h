/*
 * jail_root.h - namespaces of msb-vmm's own, and a root with nothing in it but
 * what the engine's program is made of, for as long as that is needed.
 */
#ifndef VMM_JAIL_ROOT_H
#define VMM_JAIL_ROOT_H

#include "vmm/jail.h"

/*
 * Which of JAIL_*_NS this process has now, in *ret; 0: the host allows none. A
 * negative errno is that of @needs' before_net().
 */
int jail_namespaces(const struct jail_needs *needs, uint32_t *ret);

/*
 * Whether files of all the host's users may be worked on: it is root who
 * started us, and our user namespace knows them all.
 */
bool jail_has_all_users(void);

/*
 * The new root. Needs a mount namespace of our own. A negative errno: the old
 * root is still there.
 */
int jail_root_enter(const struct jail_needs *needs, struct jail_paths *ret);

/*
 * Shares as mounts of their own, before the root is left; those that cannot
 * be so stay as they are: -EXDEV tells that some did.
 */
int jail_shares_enter(const struct jail_needs *needs);

/* The same for the folders of host sockets. */
int jail_sockets_enter(const struct jail_needs *needs);

/* As jail_proc_fd(); a new descriptor or a negative errno. */
int jail_open_proc_fd(void);

/* The program's files go; who has them open or mapped keeps that. */
int jail_root_empty(void);

/*
 * Every path that a program at @program needs, for jail_root_enter() and for
 * Landlock: calls @fn until it fails. Those that are missing are left out by
 * @fn.
 */
int jail_program_paths(const char *program, bool kvm,
                       int (*fn)(void *arg, const char *path), void *arg);

#endif
