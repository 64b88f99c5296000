/*
 * relay.h - the library's sessions on their way to the guest.
 *
 * Each is a descriptor that the vsock device bridges to a guest port. Until
 * the agent is ready nobody listens there, so sessions wait here, at most
 * RELAY_WAITING_MAX of them; one more is refused, which its peer sees as the
 * end of its socket.
 */
#ifndef VMM_RELAY_H
#define VMM_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtio/device.h"

#define RELAY_WAITING_MAX 256 /* as many as the agent serves at once */

struct relay {
	struct virtio_dev *vsock;
	bool ready;
	size_t n;
	struct {
		uint32_t port;
		int fd;
	} waiting[RELAY_WAITING_MAX];
};

/* Owns @fd. */
void relay_connect(struct relay *r, uint32_t port, int fd);

/* The agent listens: let those that wait go. */
void relay_ready(struct relay *r, struct virtio_dev *vsock);

void relay_release(struct relay *r);

#endif
