/*
 * net.h - a sandbox's network as its user wants it: checked when it is made,
 * kept in its record, and looked at again by each start (net_launch.h).
 *
 * It is the public struct msb_network, of which these functions make copies
 * that own all they point to.
 */
#ifndef LIB_NET_H
#define LIB_NET_H

#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"
#include "microsandbox.h"
#include "policy/addr.h"
#include "policy/policy.h"

#define NETWORK_IPV4_POOL   "172.16.0.0/12"
#define NETWORK_IPV6_POOL   "fd42:6d73:62::/48"
#define NETWORK_MTU         1500u
#define NETWORK_DNS_MS      5000u
#define NETWORK_SERVERS_MAX 8
#define NETWORK_VSOCK_MAX   32

/* As a caller gave it (NULL: the default): -EINVAL says what cannot be. */
int network_check(const struct msb_network *n, struct err *err);

/*
 * A copy of what was checked, or of NULL; paths of the host become absolute. On
 * failure @ret is to be released all the same.
 */
int network_take(struct msb_network *ret, const struct msb_network *from);
void network_release(struct msb_network *n); /* of a copy; zeroed is fine */

/* For the record: what differs from the default. NULL when out of memory. */
json_t *network_json(const struct msb_network *n);
/* -EINVAL: not what network_json() writes. A start checks it again. */
int network_read(const json_t *j, struct msb_network *ret);

/* The rules that it makes. */
int network_policy(const struct msb_network *n, struct policy **ret,
                   struct err *err);

/* "unset", "allow", "deny". */
const char *network_action_name(int32_t action);

/* ---- parts of it ---------------------------------------------------------
 */

struct network_proxy {
	const char *kind; /* "socks4", "socks5", "connect" */
	struct addr addr;
	uint16_t port;
};

/* Of socks4://, socks5://, http://ADDR:PORT. */
int network_proxy_parse(const char *url, struct network_proxy *ret,
                        struct err *err);

struct network_vsock {
	const char *path; /* points into the text */
	size_t path_len;
	uint32_t port;
	bool dgram;
};

/* Of HOST_PATH:PORT[/stream|/dgram]. */
int network_vsock_parse(const char *text, struct network_vsock *ret,
                        struct err *err);

/* UTF-8 without control characters: may go into JSON, and to a proxy. */
bool network_is_plain(const char *text, size_t len);

/* The pool that is asked for, else the default. */
int network_pool(const char *text, bool v6, struct cidr *ret, struct err *err);

#define cleanup_network cleanup(network_release)

#endif
