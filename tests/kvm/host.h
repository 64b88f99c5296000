/*
 * host.h - the host's side of a guest's devices: disks with a pattern, an
 * echo behind vsock, someone who reads and types at the console.
 */
#ifndef KVM_HOST_H
#define KVM_HOST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "virtio/device.h"
#include "vmm/engine.h"

#define DISK_SECTORS 2048u

/* A device, with a thread of its own where it has one in msb-vmm. */
struct unit {
	const struct unit_kind *kind;
	struct virtio_dev *dev;
	struct loop *loop;
	pthread_t thread;
	int disk; /* memfd, or -1 */
};

struct host {
	struct unit units[ENGINE_DEVICES_MAX];
	struct engine_slot slots[ENGINE_DEVICES_MAX];
	size_t n;
	int console[2]; /* the device's end, ours */
	bool slow_console;
	/* what the console's reader has */
	pthread_mutex_t lock;
	char seen[256]; /* the beginning */
	uint64_t seen_bytes;
	char last[256];
};

/* Plan what "rng rng disk" says; then make the models. */
void host_plan(struct host *h, const char *devices);
void host_attach(struct host *h, struct engine *e, struct loop *main_loop);

/* "inflate 4096", "type", ...: what a guest asked for; answers with host_say().
 * False: none of ours. */
bool host_please(struct host *h, const char *words);

/* A line for whoever asserts. */
void host_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void host_check(bool good, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* At the end: what came out of the console. */
void host_report(struct host *h);

/* The set-up failed: say why and end this process. */
_Noreturn void host_die(const char *what, const char *why);

#endif
