/*
 * net_dev.h - a machine's network device: the stack of src/net behind the
 * model of virtio/net.h, in a thread of its own that alone is in the host's
 * network namespace.
 *
 *	net_dev_start()  the thread, which makes its stack there and waits
 *	net_dev_model()  the device, attached by the engine meanwhile
 *	net_dev_go()     into its jail, and serve
 */
#ifndef VMM_NET_DEV_H
#define VMM_NET_DEV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/strv.h"
#include "net/net.h"
#include "virtio/device.h"
#include "vmm/config_net.h"

struct net_dev;

/* @cfg must outlive it. Waits until the stack is there, or why it is not. */
int net_dev_start(const struct vmm_net *cfg, struct net_dev **ret,
                  struct err *err);

struct loop *net_dev_loop(struct net_dev *nd);
int net_dev_model(struct net_dev *nd, struct virtio_dev **ret, struct err *err);
void net_dev_go(struct net_dev *nd);

/* Any thread. */
const struct net_counters *net_dev_counters(const struct net_dev *nd);

/* Lines from the network, in @loop's thread; NULL: not wanted. */
struct net_dev_lines {
	struct loop *loop;
	void (*said)(void *arg, const char *line); /* for the machine's log */
	/* A secret's placeholder was sent where that ends the machine. */
	void (*violated)(void *arg, const char *why);
	void *arg;
};

/* Before net_dev_go(). */
void net_dev_on_lines(struct net_dev *nd, const struct net_dev_lines *lines);

/* What the agent is told: BOOT.net (proto/proto.h). -ENOMEM */
int net_dev_boot(const struct net_dev *nd, struct strv *ret);

/*
 * net_explain() in its thread; @done comes in @l's, with text to free or NULL.
 * -ENOMEM, -EINVAL for a protocol that is none.
 */
int net_dev_explain(struct net_dev *nd, const char *host, uint16_t port,
                    const char *protocol, struct loop *l,
                    void (*done)(void *arg, char *json), void *arg);

#endif
