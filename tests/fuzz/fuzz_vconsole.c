/*
 * The virtio console: guest memory with the rings, changes to it between
 * turns, and what the other end of the socket does meanwhile.
 *
 *	| n | n times (u16 address, u8 byte, u8 what) | memory |
 */
#include "fuzz_guest.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "virtio/console.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct world {
	struct fuzz_guest g;
	struct loop *loop;
	struct virtio_dev *dev;
	int pair[2];
};

static void host_does(struct world *w, unsigned what)
{
	static uint8_t bytes[8192];
	ssize_t n = 0;

	switch (what) {
	case 1:
		n = send(w->pair[1], bytes, 100, MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case 2:
		n = recv(w->pair[1], bytes, sizeof(bytes), MSG_DONTWAIT);
		break;
	case 3:
		n = shutdown(w->pair[1], SHUT_WR);
		break;
	case 4:
		close_fd(&w->pair[1]);
		break;
	default:
		break;
	}
	(void)n;
}

static void change(struct world *w, const uint8_t *c)
{
	uint8_t *p = guest_mem_at(&w->g.mem, get_le16(c), 1);
	uint16_t q = c[3] & 1;

	*p = c[2];
	host_does(w, c[3] >> 1 & 7);
	if (c[3] & 0x10)
		w->dev->ops->write_config(w->dev, c[2] & 8, c, 4);
	if (w->g.vqs[q].ready && !(c[3] & 0x20))
		w->dev->ops->notify(w->dev, q);
	(void)loop_step(w->loop, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const int small = 4096;
	struct world w;
	size_t n;

	if (!len)
		return 0;
	log_setup("fuzz", 2, LOG_NONE);
	w.loop = loop_new();
	if (!w.loop || socketpair(AF_UNIX, SOCK_STREAM, 0, w.pair) < 0 ||
	    virtio_console_new(w.loop, w.pair[0], &w.dev, NULL) < 0)
		abort();
	(void)setsockopt(w.pair[0], SOL_SOCKET, SO_SNDBUF, &small,
	                 sizeof(small));
	n = MIN(data[0], (len - 1) / 4);
	fuzz_ram(&w.g, data + 1 + 4 * n, len - 1 - 4 * n);
	fuzz_start(&w.g, w.dev);
	for (unsigned q = 0; q < w.dev->ops->nqueues; q++)
		fuzz_kick(&w.g, w.dev, q);
	for (size_t i = 0; i < n; i++)
		change(&w, data + 1 + 4 * i);
	fuzz_stop(&w.g, w.dev);
	virtio_free(w.dev);
	loop_free(w.loop);
	close_fd(&w.pair[0]);
	close_fd(&w.pair[1]);
	return 0;
}
