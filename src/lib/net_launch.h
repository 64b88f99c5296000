/*
 * net_launch.h - what a start opens for a machine's network, and what it tells
 * msb-vmm about it: "net", "vsock" and "cas" of its configuration.
 *
 * Sockets of published ports and host sockets are opened here, by the user's
 * process: an error reaches the user, and msb-vmm opens none by a name.
 *
 * Addresses follow from the sandbox's id and the pools alone, so that a sandbox
 * has the same at each start. Two sandboxes may have the same: each network is
 * its own, they never meet.
 */
#ifndef LIB_NET_LAUNCH_H
#define LIB_NET_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/strv.h"
#include "lib/net.h"
#include "microsandbox.h"

struct msb_home;
struct place;

#define NET_LAUNCH_MAC     18 /* 02:..., with its NUL */
#define NET_LAUNCH_NAME    92
#define NET_LAUNCH_CAS_MAX (384u << 10)

struct net_plan {
	char guest_mac[NET_LAUNCH_MAC], gateway_mac[NET_LAUNCH_MAC];
	struct addr guest4, gateway4, guest6, gateway6;
};

struct net_launch_port {
	int fd; /* owned */
	struct addr bind;
	uint16_t host, guest;
	bool udp;
};

struct net_launch_vsock {
	int dir_fd; /* owned, O_PATH */
	uint32_t port;
	char name[NET_LAUNCH_NAME];
	bool dgram;
};

struct net_launch {
	const struct msb_network *opts; /* borrowed; NULL: no network at all */
	struct net_plan plan;
	struct strv servers; /* ADDR:PORT */
	struct net_launch_port *ports;
	size_t nports;
	struct net_launch_vsock *vsock;
	size_t nvsock;
	int pcap_fd;
	int tls_fd; /* owned, to msb-tls; -1: nothing is intercepted */
	struct network_proxy proxy; /* kind NULL: none */
	char *password, *cas;       /* NULL: none */
};

#define NET_LAUNCH_INIT                                                        \
	{                                                                      \
		.pcap_fd = -1, .tls_fd = -1                                    \
	}

void net_launch_release(struct net_launch *n);

/*
 * All that can fail without having changed anything: checks, ports, folders of
 * host sockets, password, certificates. @home (may be NULL) is to find who has
 * a port. -EADDRINUSE, -EACCES, -EADDRNOTAVAIL for ports.
 */
int net_launch_open(struct net_launch *n, const struct msb_network *opts,
                    const char *id, struct msb_home *home, struct err *err);

/* The rest: the capture's file, and ports.json in the sandbox's folder. */
int net_launch_commit(struct net_launch *n, const struct place *p,
                      struct err *err);

/* Its descriptors, in the order of their numbers in the configuration. */
int net_launch_each_fd(const struct net_launch *n, int (*fn)(void *arg, int fd),
                       void *arg);

/* Add "net" (if it has one), "vsock" and "cas"; numbers begin at *@next. */
int net_launch_json(const struct net_launch *n, json_t *config, int *next);

/* One more certificate for the guest to trust. */
int net_launch_add_ca(struct net_launch *n, const char *pem, struct err *err);

/* ---- parts of it --------------------------------------------------------- */

int net_plan_make(const struct msb_network *opts, const char *id,
                  struct net_plan *ret, struct err *err);

/* The name servers of resolv.conf's @text as ADDR:PORT; 127.0.0.1 if none. */
int net_servers_read(const char *text, struct strv *ret);

/* The certificates of PEM @text without what is around them; NULL: none. */
char *net_cas_read(const char *text);

/* Those that this host trusts. -ENOENT: there are none to be found. Free it. */
int net_host_cas(char **ret, struct err *err);

#endif
