/*
 * config_net.h - the network in a machine's config, checked like the rest.
 */
#ifndef VMM_CONFIG_NET_H
#define VMM_CONFIG_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strv.h"
#include "net/net.h"
#include "vmm/config_field.h"

#define VMM_CAS_MAX   (384u << 10) /* PEM; fits into BOOT beside the rest */
#define VMM_VSOCK_MAX 32
#define VMM_RULES_MAX (1u << 20) /* bytes of rules */

struct vmm_net {
	bool on;               /* there is a device */
	struct net_config cfg; /* net_new() takes the descriptors */
	struct policy *policy; /* owned */
	uint32_t prefix4, prefix6;
	struct strv boot; /* BOOT.net, by net_dev_boot() */
};

/* A port of the host that the guest reaches by vsock: a socket's name. */
struct vmm_vsock {
	uint32_t port;
	int dir_fd;     /* the folder that it is in; O_PATH */
	char name[108]; /* in there */
	bool dgram;
};

/* For config.c's table: a struct vmm_net, a struct vmm_vsock_list. */
struct vmm_vsock_list {
	struct vmm_vsock v[VMM_VSOCK_MAX];
	unsigned n;
};
FIELD_READER(config_net_read);
FIELD_READER(config_vsock_read);

/* A string of at most max bytes: a char *, owned. */
FIELD_READER(config_text_read);

void config_net_release(struct vmm_net *n);

#endif
