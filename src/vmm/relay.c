#include "vmm/relay.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "virtio/vsock.h"

#include "base/banned.h"

/* vsock_connect() owns the descriptor, also when it fails. */
static void go(struct relay *r, uint32_t port, int fd)
{
	int x = vsock_connect(r->vsock, port, fd);

	if (x < 0)
		log_limited(LOG_WARN, "no session to guest port %u: %s",
		            (unsigned)port, strerror(-x));
}

void relay_connect(struct relay *r, uint32_t port, int fd)
{
	if (r->ready) {
		go(r, port, fd);
	} else if (r->n < RELAY_WAITING_MAX) {
		r->waiting[r->n].port = port;
		r->waiting[r->n++].fd = fd;
	} else {
		log_limited(LOG_WARN, "too many sessions wait for the guest");
		close_fd(&fd);
	}
}

void relay_ready(struct relay *r, struct virtio_dev *vsock)
{
	r->vsock = vsock;
	r->ready = true;
	for (size_t i = 0; i < r->n; i++)
		go(r, r->waiting[i].port, r->waiting[i].fd);
	r->n = 0;
}

void relay_release(struct relay *r)
{
	for (size_t i = 0; i < r->n; i++)
		close_fd(&r->waiting[i].fd);
	r->n = 0;
}
