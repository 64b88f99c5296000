#include "guest/link.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"

#include "base/banned.h"

int link_connect(struct link *l, struct err *err)
{
	struct sockaddr_vm a = {.svm_family = AF_VSOCK,
	                        .svm_cid = VMADDR_CID_HOST,
	                        .svm_port = PROTO_PORT_BOOT};
	cleanup_close int fd =
		socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_set(err, -errno, "cannot open a vsock socket: %s",
		               strerror(errno));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 &&
	    errno != EINPROGRESS)
		return err_set(err, -errno,
		               "cannot connect to the host (vsock port %d): %s",
		               PROTO_PORT_BOOT, strerror(errno));
	l->fd = take_fd(fd);
	return 0;
}

int link_adopt(struct link *l, int fd)
{
	l->fd = fd;
	return fd_set_nonblock(fd);
}

static int wait_for(int fd, short events)
{
	struct pollfd pf = {.fd = fd, .events = events};
	int r;

	do {
		r = poll(&pf, 1, LINK_TIMEOUT_MS);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return r == 0 ? -ETIMEDOUT : 0;
}

/* While the connection is being made, EAGAIN stands for "not yet", too. */
static int send_some(struct link *l, const uint8_t *p, size_t len, size_t *done)
{
	ssize_t n = send(l->fd, p + *done, len - *done, MSG_NOSIGNAL);

	if (n >= 0) {
		*done += (size_t)n;
		return 0;
	}
	if (errno == EINTR)
		return 0;
	if (errno == EAGAIN)
		return wait_for(l->fd, POLLOUT);
	return -errno;
}

/* Until a connection stands, sending fails: wait for it, learn how it went. */
static int finish_connect(struct link *l)
{
	int code = 0, r = wait_for(l->fd, POLLOUT);
	socklen_t len = sizeof(code);

	if (r == 0 && getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
		r = -errno;
	return r < 0 ? r : -code;
}

int link_send(struct link *l, const struct proto_msg *msg)
{
	struct buf cleanup_buf b = BUF_INIT;
	size_t done = 0;
	int r = l->fd < 0 ? -ENOTCONN : proto_encode(&b, msg);

	if (r == 0)
		r = finish_connect(l);
	while (r == 0 && done < b.len)
		r = send_some(l, b.data, b.len, &done);
	return r;
}

/* 1 when bytes came, 0 when none are there, -ECONNRESET at the end. */
static int fill(struct link *l)
{
	ssize_t n;
	int r;

	buf_consume(&l->in, l->taken);
	l->taken = 0;
	r = buf_reserve(&l->in, LINK_CHUNK);
	if (r < 0)
		return r;
	do {
		n = recv(l->fd, l->in.data + l->in.len, LINK_CHUNK, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return n < 0 ? -errno : -ECONNRESET;
	buf_commit(&l->in, (size_t)n);
	return 1;
}

static ssize_t take(struct link *l, struct proto_msg *ret)
{
	ssize_t n =
		proto_decode(l->in.data + l->taken, l->in.len - l->taken, ret);

	if (n > 0)
		l->taken += (size_t)n;
	return n;
}

static int receive(struct link *l, enum proto_type type, struct proto_msg *ret)
{
	struct proto_msg msg;
	ssize_t n = 0;
	int r = 0;

	while (r >= 0 && n == 0) {
		r = fill(l);
		if (r == 0)
			r = wait_for(l->fd, POLLIN);
		else if (r > 0)
			n = take(l, &msg);
	}
	if (r < 0 || n < 0)
		return r < 0 ? r : (int)n;
	if (msg.type != type) {
		proto_release(&msg);
		return -EPROTO;
	}
	*ret = msg;
	return 0;
}

int link_receive(struct link *l, enum proto_type type, struct proto_msg *ret,
                 struct err *err)
{
	int r = receive(l, type, ret);

	if (r < 0)
		return err_set(err, r, "no %s message from the host: %s",
		               proto_type_name(type), strerror(-r));
	return 0;
}

void link_linger(struct link *l, int timeout_ms)
{
	struct pollfd pf = {.fd = l->fd, .events = POLLIN};

	if (l->fd >= 0)
		(void)poll(&pf, 1, timeout_ms);
}

/* ---- in the event loop --------------------------------------------------- */

static int on_shutdown(struct link *l, const struct proto_msg *m)
{
	l->ops->shutdown(l->arg, m->shutdown.timeout_ms);
	return 0;
}

static int on_clock(struct link *l, const struct proto_msg *m)
{
	l->ops->clock(l->arg, m->clock.unix_ns);
	return 0;
}

static int on_ping(struct link *l, const struct proto_msg *m)
{
	struct proto_msg pong = {.type = PROTO_PONG,
	                         .pong = {.cookie = m->ping.cookie}};

	return link_send(l, &pong);
}

static int on_pong(struct link *l, const struct proto_msg *m)
{
	(void)l;
	(void)m;
	return 0;
}

static const struct {
	enum proto_type type;
	int (*fn)(struct link *l, const struct proto_msg *m);
} handlers[] = {
	{PROTO_SHUTDOWN, on_shutdown},
	{PROTO_CLOCK,    on_clock   },
	{PROTO_PING,     on_ping    },
	{PROTO_PONG,     on_pong    },
};

static int dispatch(struct link *l, const struct proto_msg *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
		if (handlers[i].type == m->type)
			return handlers[i].fn(l, m);
	return -EPROTO;
}

/* All whole frames that are there. */
static int drain(struct link *l)
{
	struct proto_msg msg;
	ssize_t n;
	int r = 0;

	while (r >= 0 && (n = take(l, &msg)) != 0) {
		if (n < 0)
			return (int)n;
		r = dispatch(l, &msg);
		proto_release(&msg);
	}
	return r;
}

static void on_readable(void *arg, uint32_t events)
{
	struct link *l = arg;
	int r = fill(l);

	(void)events;
	if (r > 0)
		r = drain(l);
	if (r >= 0)
		return;
	if (r != -ECONNRESET)
		log_warn("boot connection: %s", strerror(-r));
	loop_del(l->loop, &l->source);
	l->ops->lost(l->arg);
}

int link_watch(struct link *l, struct loop *loop, const struct link_ops *ops,
               void *arg)
{
	int r;

	/* BOOT may have been large, and nothing like it comes again. */
	if (l->taken == l->in.len) {
		buf_release(&l->in);
		l->taken = 0;
	}
	l->loop = loop;
	l->ops = ops;
	l->arg = arg;
	r = loop_add(loop, &l->source, l->fd, EPOLLIN, on_readable, l);
	/* What came together with BOOT waits here already. */
	return r < 0 ? r : drain(l);
}

void link_release(struct link *l)
{
	if (l->loop)
		loop_del(l->loop, &l->source);
	close_fd(&l->fd);
	buf_release(&l->in);
}
