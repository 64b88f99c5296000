/*
 * hostaddr.h - is an address one of this host's own? By the kernel's routes,
 * through a netlink socket that is opened before the jail closes.
 */
#ifndef NET_HOSTADDR_H
#define NET_HOSTADDR_H

#include <stdbool.h>

#include "policy/addr.h"

struct hostaddr;

/* NULL with errno set. */
struct hostaddr *hostaddr_new(void);
void hostaddr_free(struct hostaddr *h);

/*
 * The kernel would deliver to @a (or what is embedded in it) here: its route
 * is local, broadcast or anycast. True also when the kernel does not answer:
 * closed when in doubt. Never waits.
 */
bool hostaddr_is_local(struct hostaddr *h, const struct addr *a);

/* Has the host a default route of this family? Asked at most once a second. */
bool hostaddr_has_route(struct hostaddr *h, bool v6);

#endif
