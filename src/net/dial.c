#include "net/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/num.h"
#include "net/dial_proxy.h"
#include "net/net_int.h"

#include "base/banned.h"

#define KEEP_IDLE_S     60
#define KEEP_INTERVAL_S 10
#define KEEP_PROBES     6
#define NOTSENT_LOWAT   (1 << 20)

/*
 * Until connect() is through, EPOLLOUT says how it ended; then a proxy has its
 * say. An end that is known within dial_start() waits for `soon`.
 */
struct dial {
	struct net *n;
	struct loop_fd io;
	struct wheel_timer timeout;
	struct loop_timer soon;
	struct dial_proxy *proxy; /* NULL: direct */
	struct addr target;
	uint16_t port; /* of @target */
	int fd, error;
	bool connected;
	void (*done)(void *arg, int fd_or_error);
	void *arg;
};

struct option {
	int level, name, value;
};

static const struct option from_start[] = {
	{IPPROTO_TCP, TCP_NODELAY,       1            },
	{IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT},
};

static const struct option keep_alive[] = {
	{SOL_SOCKET,  SO_KEEPALIVE,  1              },
	{IPPROTO_TCP, TCP_KEEPIDLE,  KEEP_IDLE_S    },
	{IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL_S},
	{IPPROTO_TCP, TCP_KEEPCNT,   KEEP_PROBES    },
};

/* A socket without one of them works as well. */
static void set(int fd, const struct option *o, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)setsockopt(fd, o[i].level, o[i].name, &o[i].value,
		                 sizeof(o[i].value));
}

void dial_socket_options(int fd)
{
	set(fd, from_start, ARRAY_SIZE(from_start));
}

void dial_keep_alive(int fd)
{
	set(fd, keep_alive, ARRAY_SIZE(keep_alive));
}

void dial_cancel(struct dial *d)
{
	if (!d)
		return;
	loop_del(d->n->loop, &d->io);
	loop_timer_del(d->n->loop, &d->soon);
	wheel_del(&d->n->wheel, &d->timeout);
	dial_proxy_free(d->proxy);
	close_fd(&d->fd);
	free(d);
}

/* From the loop only. */
static void finish(struct dial *d, int error)
{
	void (*done)(void *arg, int fd_or_error) = d->done;
	void *arg = d->arg;
	struct net *n = d->n;
	int fd = error < 0 ? -1 : take_fd(d->fd);

	dial_cancel(d);
	done(arg, error < 0 ? error : fd);
	net_turn_end(n);
}

/*
 * Two ends of one socket: a port of this host that nobody listens at may be
 * the very one that the kernel chose for us, and TCP joins it with itself.
 */
static bool is_own_echo(const struct dial *d)
{
	struct sockaddr_storage here, there;
	socklen_t len = sizeof(here);

	if (addr_kind(&d->target) != ADDR_LOOPBACK)
		return false;
	if (getsockname(d->fd, (struct sockaddr *)&here, &len) < 0 ||
	    here.ss_family == AF_UNIX) /* of a drill; it has no name */
		return false;
	return len == addr_to_sockaddr(&d->target, d->port, &there) &&
	       memcmp(&here, &there, len) == 0;
}

static int connect_result(const struct dial *d)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	if (error == 0 && is_own_echo(d))
		return -ECONNREFUSED;
	return -error;
}

/* 0: the flow's; -EAGAIN: at *@ret_events again. */
static int go_on(struct dial *d, uint32_t *ret_events)
{
	if (!d->connected) {
		int r = connect_result(d);

		if (r < 0 && d->proxy)
			log_limited(LOG_WARN, "network: the proxy: %s",
			            strerror(-r));
		if (r < 0)
			return r;
		d->connected = true;
	}
	return d->proxy ? dial_proxy_step(d->proxy, d->fd, ret_events) : 0;
}

static void on_ready(void *arg, uint32_t events)
{
	struct dial *d = arg;
	uint32_t wanted = d->io.events;
	int r = go_on(d, &wanted);

	(void)events;
	if (r == -EAGAIN)
		r = loop_mod(d->n->loop, &d->io, wanted) < 0 ? -EIO : r;
	if (r != -EAGAIN)
		finish(d, r);
}

static void on_timeout(struct wheel_timer *t)
{
	finish(container_of(t, struct dial, timeout), -ETIMEDOUT);
}

static void on_soon(void *arg)
{
	struct dial *d = arg;

	finish(d, d->error);
}

/*
 * The flow goes through the proxy, but for one to this host itself: that was
 * allowed as such, and the proxy's host is another one.
 */
static int choose_way(struct dial *d, const struct addr *peer, uint16_t port,
                      const char *name, uint16_t *ret_port)
{
	const struct net_proxy *p = &d->n->cfg.proxy;
	int r;

	d->target = gate_target(d->n, peer);
	*ret_port = port;
	if (p->kind == NET_DIRECT || gate_is_host(d->n, peer))
		return 0;
	r = dial_proxy_new(p, &d->target, port, name, &d->proxy);
	if (r < 0)
		return r;
	d->target = p->addr;
	*ret_port = p->port;
	return 0;
}

/* 0, or -errno as the flow's end; -EAGAIN: of ours, nothing was begun. */
static int begin(struct dial *d, uint16_t port)
{
	int family = addr_is_v4(&d->target) ? AF_INET : AF_INET6;
	int r;

	d->fd = net_socket(d->n, family, SOCK_STREAM, IPPROTO_TCP);
	if (d->fd < 0)
		return d->fd;
	d->port = port;
	dial_socket_options(d->fd);
	r = net_connect(d->n, d->fd, &d->target, port);
	return r == -EINPROGRESS ? 0 : r;
}

/* Errors that say something of this process and nothing of the peer. */
static bool is_ours(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM ||
	       error == -ENOBUFS;
}

static int watch(struct dial *d)
{
	if (d->error < 0) {
		loop_timer_set(d->n->loop, &d->soon, 0, on_soon, d);
		return 0;
	}
	wheel_set(&d->n->wheel, &d->timeout, net_now(d->n) + DIAL_TIMEOUT_NS,
	          on_timeout);
	return loop_add(d->n->loop, &d->io, d->fd, EPOLLOUT, on_ready, d);
}

int dial_start(struct net *n, const struct addr *peer, uint16_t port,
               const char *name, void (*done)(void *arg, int fd_or_error),
               void *arg, struct dial **ret)
{
	struct dial *d = calloc(1, sizeof(*d));
	uint16_t to;
	int r;

	if (!d)
		return -ENOMEM;
	*d = (struct dial){.n = n, .fd = -1, .done = done, .arg = arg};
	r = choose_way(d, peer, port, name, &to);
	if (r == 0)
		r = begin(d, to);
	if (r == -EAFNOSUPPORT) /* a host without IPv6 */
		r = -ENETUNREACH;
	d->error = r;
	if (is_ours(r) || (r = watch(d)) < 0) {
		dial_cancel(d);
		return r;
	}
	*ret = d;
	return 0;
}
