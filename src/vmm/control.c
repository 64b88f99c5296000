#include "vmm/control.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

/* What the library may send. */
static const struct {
	enum proto_type type;
	bool with_fd;
} kinds[] = {
	{PROTO_VMM_CONNECT,     true },
        {PROTO_VMM_STOP,        false},
	{PROTO_VMM_TOUCH,       false},
        {PROTO_VMM_DETACH,      false},
	{PROTO_VMM_KEEP,        true },
        {PROTO_VMM_TAKE,        false},
	{PROTO_VMM_PING,        false},
        {PROTO_VMM_STATS,       false},
	{PROTO_VMM_NET_EXPLAIN, false},
};

static bool is_allowed(enum proto_type type, size_t nfds)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].type == type)
			return nfds == (kinds[i].with_fd ? 1 : 0);
	return false;
}

static void close_all(int *fds, size_t nfds)
{
	for (size_t i = 0; i < nfds; i++)
		close_fd(&fds[i]);
}

static int dispatch(struct control *c, const void *data, size_t len, int *fds,
                    size_t nfds)
{
	struct proto_msg cleanup_proto m = {0};
	ssize_t n = proto_decode(data, len, &m);

	if (n < 0)
		return (int)n;
	if ((size_t)n != len || !is_allowed(m.type, nfds))
		return -EPROTO;
	c->events.got(c->events.arg, &m, nfds ? take_fd(fds[0]) : -1);
	return 0;
}

static void end(struct control *c, const char *why)
{
	loop_del(c->loop, &c->src);
	c->events.closed(c->events.arg, why);
}

static void readable(void *arg, uint32_t events)
{
	/* One for all lines: they are read by one thread, one at a time. */
	static uint8_t packet[PROTO_VMM_MAX];
	struct control *c = arg;
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

int control_send_fd(int sock, const struct proto_msg *msg, int fd)
{
	struct buf cleanup_buf b = BUF_INIT;
	int r = proto_encode(&b, msg);
	ssize_t n;

	if (r < 0)
		return r;
	n = fd_send(sock, b.data, b.len, &fd, fd >= 0);
	return n < 0 ? (int)n : 0;
}

int control_send(int sock, const struct proto_msg *msg)
{
	return control_send_fd(sock, msg, -1);
}
