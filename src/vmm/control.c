#include "vmm/control.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

/* What the library sends is a header and one number. */
#define PACKET_MAX 256

static void close_all(int *fds, size_t nfds)
{
	for (size_t i = 0; i < nfds; i++)
		close_fd(&fds[i]);
}

static int on_connect(struct control *c, const struct proto_msg *m, int *fds,
                      size_t nfds)
{
	if (nfds != 1)
		return -EPROTO;
	c->events.connect(c->events.arg, m->vmm_connect.port, take_fd(fds[0]));
	return 0;
}

static int on_stop(struct control *c, const struct proto_msg *m, int *fds,
                   size_t nfds)
{
	(void)fds;
	if (nfds != 0)
		return -EPROTO;
	c->events.stop(c->events.arg, m->vmm_stop.timeout_ms);
	return 0;
}

static int on_touch(struct control *c, const struct proto_msg *m, int *fds,
                    size_t nfds)
{
	(void)m;
	(void)fds;
	if (nfds != 0)
		return -EPROTO;
	c->events.touch(c->events.arg);
	return 0;
}

static const struct {
	enum proto_type type;
	int (*fn)(struct control *c, const struct proto_msg *m, int *fds,
	          size_t nfds);
} handlers[] = {
	{PROTO_VMM_CONNECT, on_connect},
	{PROTO_VMM_STOP,    on_stop   },
	{PROTO_VMM_TOUCH,   on_touch  },
};

static int dispatch(struct control *c, const void *data, size_t len, int *fds,
                    size_t nfds)
{
	struct proto_msg cleanup_proto m = {0};
	ssize_t n = proto_decode(data, len, &m);

	if (n < 0)
		return (int)n;
	if ((size_t)n != len)
		return -EPROTO;
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
		if (handlers[i].type == m.type)
			return handlers[i].fn(c, &m, fds, nfds);
	return -EPROTO;
}

static void end(struct control *c, const char *why)
{
	loop_del(c->loop, &c->src);
	c->events.closed(c->events.arg, why);
}

static void readable(void *arg, uint32_t events)
{
	struct control *c = arg;
	uint8_t packet[PACKET_MAX];
	int fds[FD_PASS_MAX];
	size_t nfds = 0;
	ssize_t n = fd_recv(c->fd, packet, sizeof(packet), fds, &nfds);
	int r;

	(void)events;
	if (n == -EAGAIN)
		return;
	if (n == -EMSGSIZE) {
		end(c, "a packet is too long");
		return;
	}
	if (n <= 0) {
		end(c, NULL);
		return;
	}
	r = dispatch(c, packet, (size_t)n, fds, nfds);
	close_all(fds, nfds);
	if (r < 0)
		end(c, "a packet is not one of ours");
}

int control_init(struct control *c, struct loop *l, int fd,
                 const struct control_events *events, struct err *err)
{
	int r = fd_set_nonblock(fd);

	*c = (struct control){.loop = l, .fd = fd, .events = *events};
	if (r == 0)
		r = fd_set_cloexec(fd, 1);
	if (r == 0)
		r = loop_add(l, &c->src, fd, EPOLLIN, readable, c);
	if (r < 0)
		return err_set(err, r, "cannot use the control socket: %s",
		               strerror(-r));
	return 0;
}

void control_release(struct control *c)
{
	if (c->loop)
		loop_del(c->loop, &c->src);
}

int control_send(int fd, const struct proto_msg *msg)
{
	struct buf cleanup_buf b = BUF_INIT;
	int r = proto_encode(&b, msg);
	ssize_t n;

	if (r < 0)
		return r;
	n = fd_send(fd, b.data, b.len, NULL, 0);
	return n < 0 ? (int)n : 0;
}
