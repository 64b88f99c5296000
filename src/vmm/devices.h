/*
 * devices.h - the one list of what a machine has.
 *
 * devices_plan() says which devices there will be, so that the engine can
 * start; devices_start() makes the models, attaches them to the engine and
 * starts their threads. Disks and the entropy source have a thread and a loop
 * each (their work blocks); vsock lives in the main loop, where its peers are.
 */
#ifndef VMM_DEVICES_H
#define VMM_DEVICES_H

#include <pthread.h>

#include "base/err.h"
#include "base/loop.h"
#include "virtio/device.h"
#include "vmm/config.h"
#include "vmm/engine.h"
#include "vmm/net_dev.h"

struct device_class;

struct device {
	const struct device_class *class;
	struct virtio_dev *model;
	struct loop *loop; /* its own, or the main one */
	pthread_t thread;  /* never joined: the process ends by _exit() */
	bool running;      /* the thread */
};

struct devices {
	const struct vmm_config *cfg;
	struct loop *main_loop;
	int console_fd; /* borrowed */
	struct device list[ENGINE_DEVICES_MAX];
	struct engine_slot slots[ENGINE_DEVICES_MAX];
	size_t n;
	bool no_balloon;          /* no slot is left for it */
	struct net_dev *net;      /* borrowed; set after the plan */
	struct virtio_dev *vsock; /* one of the list */
};

/*
 * @console_fd: a stream socket for what the guest prints; borrowed. -E2BIG:
 * the engine has not enough slots.
 */
int devices_plan(struct devices *d, const struct vmm_config *cfg,
                 const struct engine_ops *ops, struct loop *main_loop,
                 int console_fd, struct err *err);

/* The model of that name, or NULL when this machine has none (of ours). */
struct virtio_dev *devices_find(const struct devices *d, const char *name);

/*
 * When the guest is gone: what disks have in memory only reaches their files.
 * Waits for their threads, but not for ever.
 */
void devices_settle(struct devices *d);

int devices_start(struct devices *d, const struct engine_ops *ops,
                  struct engine *e, struct err *err);

#endif
