/*
 * engine.h - what runs a machine's processors and memory.
 *
 * An engine is a table of functions. It gets device models, never makes them,
 * and brings the transport through which its guest reaches them: the kvm
 * engine over virtio-mmio, the qemu engine over vhost-user.
 *
 *	probe() -> (jail) -> start() -> attach() each device -> run() -> ended()
 *
 * probe() says whether it could run a config here, and opens what only the
 * host's paths give, before the jail hides them. start() gets the machine
 * going as early as possible and needs only to know which devices there will
 * be; the models are made while it comes up. After run() the guest may be
 * anywhere. All calls and callbacks are in the main loop's thread, except that
 * attach() may leave work to the device's own loop.
 */
#ifndef VMM_ENGINE_H
#define VMM_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/loop.h"
#include "virtio/device.h"
#include "vmm/config.h"
#include "vmm/jail.h"
#include "vmm/tsc.h"

#define ENGINE_DEVICES_MAX 16

struct engine;

/* One device as the guest will see it, before its model exists. */
struct engine_slot {
	const char *name;
	uint32_t virtio_id;
};

/* How a machine ended; text lives until the callback returns. */
struct engine_end {
	bool clean;       /* the guest powered off or reset */
	int error;        /* negative errno when not clean */
	const char *text; /* what went wrong in words, "" when clean */
	const char *hint; /* the next step for the user, or "" */
};

struct engine_events {
	void (*started)(void *arg); /* once, or ended() without it */
	void (*ended)(void *arg, const struct engine_end *end); /* once */
	void *arg;
};

/* What probe() opened for start(). */
struct engine_host {
	int kvm_fd; /* /dev/kvm; -1: not opened */
	/* The qemu engine's: TCG or KVM; when its clock was first read. */
	enum accel accel;
	struct tsc_point tsc;
};

struct engine_opts {
	struct loop *loop;
	const struct vmm_config *cfg;
	const struct engine_host *host;
	const struct jail_paths *paths;  /* of the program that it is */
	const struct engine_slot *slots; /* must outlive the engine */
	size_t nslots;
	bool no_balloon; /* its own is left out */
	int serial_fd;   /* a socket for the guest's serial port; borrowed */
	struct engine_events events;
};

struct engine_ops {
	const char *name;
	bool own_console;   /* console and balloon are not ours to make */
	unsigned slots_max; /* virtio devices, with a balloon of its own */
	/*
	 * Can it run this config here? @named: the user asked for this engine,
	 * so that only what makes it impossible counts.
	 */
	int (*probe)(const struct vmm_config *cfg, bool named,
	             struct engine_host *host, struct err *err);
	int (*start)(const struct engine_opts *opts, struct engine **ret,
	             struct err *err);
	/* Serve slot @i by @dev in @l's thread, which does not run yet. */
	int (*attach)(struct engine *e, size_t i, struct virtio_dev *dev,
	              struct loop *l, struct err *err);
	/* All devices are attached: the guest may run. NULL: it does. */
	int (*run)(struct engine *e, struct err *err);
	/* Stop its processors, and let them go on; both may be repeated. */
	int (*pause)(struct engine *e);
	int (*resume)(struct engine *e);
	/* "tcg", "kvm", and when the machine was started (CLOCK_MONOTONIC). */
	const char *(*accel)(const struct engine *e);
	uint64_t (*spawn_ns)(const struct engine *e);
	/* The engine's own process; NULL: it is in this one. */
	pid_t (*child)(const struct engine *e);
	/* End it now. ended() follows from the loop. */
	void (*kill)(struct engine *e);
	/* Kill it and wait until it is gone; no callback comes any more. */
	void (*free)(struct engine *e);
};

#define ENGINE_MEMORY_HINT "ask for less memory (-m), or free some on this host"

/* More than the host has is refused: every engine's probe() asks. */
int engine_check_memory(const struct vmm_config *cfg, struct err *err);

extern const struct engine_ops engine_kvm, engine_qemu;

#endif
