/*
 * Theory
 *
 * A client of the host was let in by the kernel already when we hear of it: the
 * guest's refusal can only be shown as a reset. So a client is accepted,
 *judged, and then *pending* until the guest answered; tcp_open() has its socket
 *then.
 *
 *	listener -accept-> client -tcp_open()-> the flow's
 *	                     ^  |  refused in the first seconds: again in 100 ms
 *	                     +--+
 *
 * Who starts a machine with a published port connects at once, long before the
 * server in the guest listens. Until GRACE_NS after the guest's first frame
 * (and as long as there was none, but for a minute at most) such a client waits
 * instead of being reset. Later a refusal is a refusal.
 *
 * Two things stop the accepting and leave clients in the kernel's queue: too
 * many that are pending at that port (each has its share, so that one whose
 * server is silent does not keep others' clients out), and no descriptors left.
 */
#include "net/publish.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "net/dial.h"
#include "net/net_int.h"

#include "base/banned.h"

#define PENDING_MAX 128 /* half of what tcp.c opens and dials at once */
#define BATCH       16  /* clients that are accepted at once */
#define GRACE_NS    (10 * NS_PER_S)
#define BOOT_NS     (60 * NS_PER_S)
#define AGAIN_NS    (100 * NS_PER_MS)

struct listener {
	struct publish *p;
	struct loop_fd io;
	uint16_t guest;
	unsigned npending;
};

struct client {
	struct publish *p;
	struct listener *l;
	struct client *next, **prev;
	struct wheel_timer again;
	struct addr from; /* the gateway's, of the client's family */
	int fd;
};

struct publish {
	struct net *n;
	struct listener *listener;
	size_t nlisteners;
	struct client *clients;
	unsigned share; /* of PENDING_MAX, that each listener has */
	uint64_t start_ns, first_ns; /* the guest's first frame; 0: none yet */
	struct wheel_timer boot, rest;
	bool resting; /* no descriptors: until `rest` */
};

/* ---- the guest's first seconds ------------------------------------------- */

static bool is_booting(const struct publish *p)
{
	return !p->first_ns && net_now(p->n) - p->start_ns < BOOT_NS;
}

static bool is_grace(const struct publish *p)
{
	return is_booting(p) ||
	       (p->first_ns && net_now(p->n) - p->first_ns < GRACE_NS);
}

static void on_boot(struct wheel_timer *t)
{
	struct publish *p = container_of(t, struct publish, boot);

	if (atomic_load_explicit(&p->n->counters.tx_packets,
	                         memory_order_relaxed) > 0)
		p->first_ns = net_now(p->n);
	else if (is_booting(p))
		wheel_set(&p->n->wheel, t, net_now(p->n) + AGAIN_NS, on_boot);
}

/* ---- clients ------------------------------------------------------------- */

/* With a reset: what a closed port would have said. */
static void turn_away(int fd)
{
	const struct linger hard = {.l_onoff = 1};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	(void)close(fd);
}

static void watch(struct listener *l)
{
	bool open = !l->p->resting && l->npending < l->p->share;

	(void)loop_mod(l->p->n->loop, &l->io, open ? EPOLLIN : 0);
}

static void watch_all(struct publish *p)
{
	for (size_t i = 0; i < p->nlisteners; i++)
		watch(&p->listener[i]);
}

/* Its socket has another owner now, or none. */
static void forget(struct client *c)
{
	struct listener *l = c->l;

	wheel_del(&c->p->n->wheel, &c->again);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	free(c);
	l->npending--;
	watch(l);
}

static void reject(struct client *c)
{
	turn_away(c->fd);
	forget(c);
}

static void on_again(struct wheel_timer *t);

static void wait_a_while(struct client *c)
{
	wheel_set(&c->p->n->wheel, &c->again, net_now(c->p->n) + AGAIN_NS,
	          on_again);
}

static void on_opened(void *arg, int error)
{
	struct client *c = arg;

	if (error == 0)
		forget(c);
	else if (is_grace(c->p))
		wait_a_while(c);
	else
		reject(c);
}

static void try(struct client *c)
{
	struct net *n = c->p->n;

	if (is_booting(c->p))
		wait_a_while(c);
	else if (tcp_open(n, c->fd, &c->from, c->l->guest, on_opened, c) < 0)
		reject(c);
}

/* Both directions are over: nobody waits any more. */
static bool is_gone(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 0) > 0;
}

static void on_again(struct wheel_timer *t)
{
	struct client *c = container_of(t, struct client, again);
	struct net *n = c->p->n;

	if (is_gone(c->fd))
		reject(c);
	else
		try(c);
	net_turn_end(n);
}

/* Owns @fd. */
static void welcome(struct listener *l, int fd, const struct sockaddr *sa)
{
	struct publish *p = l->p;
	struct addr from;
	uint16_t port;
	struct client *c;

	if (addr_from_sockaddr(sa, &from, &port) < 0 ||
	    gate_ingress(p->n, POLICY_TCP, &from, l->guest) != VERDICT_ALLOW) {
		turn_away(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		turn_away(fd);
		return;
	}
	dial_socket_options(fd);
	*c = (struct client){
		.p = p,
		.l = l,
		.next = p->clients,
		.prev = &p->clients,
		.from = addr_is_v4(&from) ? p->n->cfg.gateway4
	                                  : p->n->cfg.gateway6,
		.fd = fd,
	};
	if (c->next)
		c->next->prev = &c->next;
	p->clients = c;
	l->npending++;
	watch(l);
	try(c);
}

/* ---- listeners ----------------------------------------------------------- */

static void on_rested(struct wheel_timer *t)
{
	struct publish *p = container_of(t, struct publish, rest);

	p->resting = false;
	watch_all(p);
}

/* The queue stays full, so epoll would call again at once. */
static void take_a_rest(struct publish *p, int error)
{
	log_limited(LOG_WARN, "network: published ports have to wait: %s",
	            strerror(error));
	p->resting = true;
	watch_all(p);
	wheel_set(&p->n->wheel, &p->rest, net_now(p->n) + AGAIN_NS, on_rested);
}

static void on_client(void *arg, uint32_t events)
{
	struct listener *l = arg;
	struct publish *p = l->p;

	(void)events;
	for (int i = 0; i < BATCH && l->npending < p->share; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		int fd = accept4(l->io.fd, (struct sockaddr *)&ss, &len,
		                 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			welcome(l, fd, (const struct sockaddr *)&ss);
		} else if (errno == EMFILE || errno == ENFILE ||
		           errno == ENOMEM || errno == ENOBUFS) {
			take_a_rest(p, errno);
			break;
		} else if (errno == EAGAIN) {
			break;
		}
	}
	net_turn_end(p->n);
}

static int listen_at(struct publish *p, const struct net_port *port)
{
	struct listener *l = &p->listener[p->nlisteners];
	int r = fd_set_nonblock(port->fd);

	l->p = p;
	l->guest = port->guest;
	if (r == 0)
		r = loop_add(p->n->loop, &l->io, port->fd, EPOLLIN, on_client,
		             l);
	if (r == 0)
		p->nlisteners++;
	return r;
}

/* ---- life ---------------------------------------------------------------- */

/* All but the listeners' descriptors. */
static void release(struct publish *p)
{
	while (p->clients)
		reject(p->clients);
	for (size_t i = 0; i < p->nlisteners; i++)
		loop_del(p->n->loop, &p->listener[i].io);
	wheel_del(&p->n->wheel, &p->boot);
	wheel_del(&p->n->wheel, &p->rest);
	free(p->listener);
	free(p);
}

static int open_ports(struct publish *p, struct err *err)
{
	const struct net_config *cfg = &p->n->cfg;

	for (unsigned i = 0; i < cfg->nports; i++) {
		const struct net_port *port = &cfg->ports[i];
		int r = port->udp ? udp_publish(p->n, port->fd, port->guest)
		                  : listen_at(p, port);

		if (r < 0)
			return err_set(err, r,
			               "cannot publish port %u of the guest: "
			               "%s",
			               port->guest, strerror(-r));
	}
	return 0;
}

int publish_new(struct net *n, struct publish **ret, struct err *err)
{
	struct publish *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(err, -ENOMEM, "no memory for the network");
	p->n = n;
	p->start_ns = net_now(n);
	p->listener = calloc(NET_PORTS_MAX, sizeof(*p->listener));
	r = p->listener ? open_ports(p, err)
	                : err_set(err, -ENOMEM, "no memory for the network");
	if (r < 0) {
		release(p);
		return r;
	}
	p->share = MAX(PENDING_MAX / MAX((unsigned)p->nlisteners, 1u), 1u);
	if (p->nlisteners > 0)
		wheel_set(&n->wheel, &p->boot, p->start_ns + AGAIN_NS, on_boot);
	*ret = p;
	return 0;
}

void publish_free(struct publish *p)
{
	int fds[NET_PORTS_MAX];
	size_t n = 0;

	if (!p)
		return;
	for (; n < p->nlisteners; n++)
		fds[n] = p->listener[n].io.fd;
	release(p);
	while (n > 0)
		(void)close(fds[--n]);
}
