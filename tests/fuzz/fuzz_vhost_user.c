/*
 * The vhost-user protocol: the input is a row of writes to the socket, each
 * one byte that says which descriptors go along, one byte of length, and that
 * many bytes. Guest memory begins with what was behind them.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/fdio.h"
#include "base/log.h"
#include "virtio/rng.h"
#include "virtio/vhost_user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define RAM 0x8000

static unsigned closed;

static void on_closed(void *arg, const char *why)
{
	(void)arg;
	(void)why;
	if (closed++)
		abort();
}

static int make_ram(int seals)
{
	int fd = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, RAM) < 0 ||
	    fcntl(fd, F_ADD_SEALS, seals) < 0)
		abort();
	return fd;
}

static void drop_replies(int sock)
{
	char buf[4096];

	while (recv(sock, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

static void play(struct cursor *c, struct loop *l, int sock, const int *fd)
{
	const uint64_t one = 1;

	while (cur_left(c) >= 2 && !closed) {
		uint8_t kind = cur_u8(c), n = cur_u8(c);
		const int fds[2] = {fd[kind & 3], fd[kind >> 2 & 3]};
		const void *p = cur_bytes(c, n);

		if (p && n)
			(void)fd_send(sock, p, n, fds,
			              kind >> 4 & 3 & 1 ? 1 : kind >> 4 & 2);
		if (kind & 0x80 && write(fd[2], &one, 8) < 0)
			abort();
		for (int i = 0; i < 3; i++)
			if (loop_step(l, 0) < 0)
				abort();
		drop_replies(sock);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor c = cur_init(data, len);
	struct virtio_dev *dev;
	struct vhost_user *vu;
	struct loop *l = loop_new();
	int sp[2], fd[4];

	log_setup("fuzz", 2, LOG_NONE);
	closed = 0;
	fd[0] = make_ram(F_SEAL_SHRINK);
	fd[1] = make_ram(F_SEAL_GROW);
	fd[2] = eventfd(0, EFD_NONBLOCK);
	fd[3] = eventfd(0, EFD_NONBLOCK);
	if (len && pwrite(fd[0], data, len < RAM ? len : RAM, 0) < 0)
		abort();
	if (!l || socketpair(AF_UNIX, SOCK_STREAM, 0, sp) < 0 ||
	    rng_new(&dev, NULL) < 0 ||
	    vhost_user_new(l, sp[1], dev, on_closed, NULL, &vu, NULL) < 0)
		abort();
	play(&c, l, sp[0], fd);
	close(sp[0]);
	for (int i = 0; i < 3; i++)
		(void)loop_step(l, 0);
	if (closed != 1 || dev->active)
		abort();
	vhost_user_free(vu);
	virtio_free(dev);
	loop_free(l);
	for (int i = 0; i < 4; i++)
		close(fd[i]);
	return 0;
}
