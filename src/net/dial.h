/*
 * dial.h - a TCP connection of the host to where a flow wants to go: direct,
 * or through the user's proxy.
 */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include <stdint.h>

#include "policy/addr.h"

#define DIAL_TIMEOUT_NS (60 * 1000000000ULL)

struct net;
struct dial;

/*
 * Begin. done() comes once, from the loop and never from within this call, with
 * a connected, non-blocking socket that is then the caller's, or -ECONNREFUSED,
 * -ENETUNREACH, -EHOSTUNREACH, -ETIMEDOUT, -ECONNRESET, another errno. @dial is
 * dead by then. @name: a proxy is asked for it instead of the address; or NULL.
 * Negative errno at once: no done().
 *
 * The socket has dial_socket_options(): TCP_NODELAY and TCP_NOTSENT_LOWAT;
 * SO_SNDBUF is never set.
 */
int dial_start(struct net *n, const struct addr *peer, uint16_t port,
               const char *name, void (*done)(void *arg, int fd_or_error),
               void *arg, struct dial **ret);

/* Give up; no done() any more. NULL is fine. */
void dial_cancel(struct dial *d);

/* The options above, for a socket that came another way (accept). */
void dial_socket_options(int fd);

/* Keep-alive, for a flow that stays: after 60 s, every 10 s, 6 times. */
void dial_keep_alive(int fd);

#endif
