#include "net/intercept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "base/tlslink.h"
#include "net/tcp_int.h"

#include "base/banned.h"

#define HTTPS_PORT 443

/* Packets in one go; level-triggered, the rest comes in the next round. */
#define PACKETS_MAX 64
/* Too many descriptors are on their way: nobody tells when that is over. */
#define AGAIN_NS (50 * NS_PER_MS)

/* Flows are known to msb-tls by a number of which this is the lower part. */
#define SLOT_BITS 16
#define NO_SLOT   UINT32_MAX

struct slot {
	struct tcp_flow *f; /* NULL: free, or it ended while it waited */
	uint64_t id;        /* 0: not handed over yet */
	uint32_t next;      /* among the free, or those that wait */
	bool waits;
};

struct intercept {
	struct net *n;
	struct loop_fd link; /* .fd -1: it ended */
	bool ready;          /* the first CONFIG came */
	bool violated;
	struct intercept_config config;
	/* Of all flows that are handed over, or wait for it. */
	struct slot *slots;
	uint32_t nslots, free;
	uint64_t serial;
	/* Those that wait for room in the link. */
	uint32_t first, last;
	bool in_turn; /* run_waiting(): one of them tries again */
	struct wheel_timer again;
	uint8_t packet[TLSLINK_PACKET_MAX + 1];
};

_Static_assert(NET_FLOWS_MAX < 1 << SLOT_BITS, "a slot for each flow");
_Static_assert(sizeof(struct addr) == sizeof(((struct tlslink_flow *)0)->peer),
               "an address is an address");
_Static_assert(NET_FRAME_MAX < TLSLINK_PACKET_MAX, "a datagram fits");

static void count(_Atomic uint64_t *counter, uint64_t by)
{
	atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

/* ---- slots --------------------------------------------------------------- */

static int more_slots(struct intercept *i)
{
	uint32_t old = i->nslots, n = old ? 2 * old : 64;
	struct slot *v = realloc(i->slots, n * sizeof(*v));

	if (!v)
		return -ENOMEM;
	i->slots = v;
	i->nslots = n;
	while (n-- > old) {
		v[n] = (struct slot){.next = i->free};
		i->free = n;
	}
	return 0;
}

/* The slot of @f, which may have one already; NULL: no memory. */
static struct slot *slot_for(struct intercept *i, struct tcp_flow *f)
{
	struct slot *s;

	if (f->slot)
		return &i->slots[f->slot - 1];
	if (i->free == NO_SLOT && more_slots(i) < 0)
		return NULL;
	f->slot = i->free + 1;
	s = &i->slots[i->free];
	i->free = s->next;
	*s = (struct slot){.f = f};
	return s;
}

static void give_back(struct intercept *i, uint32_t at)
{
	i->slots[at] = (struct slot){.next = i->free};
	i->free = at;
}

/* One that waits keeps its place in that list until its turn. */
void intercept_gone(struct tcp_flow *f)
{
	struct intercept *i = f->n->intercept;
	uint32_t at = f->slot - 1;

	f->slot = 0;
	i->slots[at].f = NULL;
	if (!i->slots[at].waits)
		give_back(i, at);
}

static struct tcp_flow *find_flow(struct intercept *i, uint64_t id)
{
	uint64_t at = id & ((1u << SLOT_BITS) - 1);

	return id && at < i->nslots && i->slots[at].id == id ? i->slots[at].f
	                                                     : NULL;
}

/* ---- those that wait ----------------------------------------------------- */

static void wait_for_room(struct intercept *i, struct slot *s, bool in_front)
{
	uint32_t at = (uint32_t)(s - i->slots);

	s->waits = true;
	if (in_front || i->first == NO_SLOT) {
		s->next = i->first;
		i->last = i->first == NO_SLOT ? at : i->last;
		i->first = at;
	} else {
		s->next = NO_SLOT;
		i->slots[i->last].next = at;
		i->last = at;
	}
}

/* The first of them, which does not wait any more; NULL: nobody does. */
static struct tcp_flow *next_waiting(struct intercept *i)
{
	while (i->first != NO_SLOT) {
		uint32_t at = i->first;
		struct slot *s = &i->slots[at];

		i->first = s->next;
		s->waits = false;
		if (s->f)
			return s->f;
		give_back(i, at);
	}
	return NULL;
}

static void watch_link(struct intercept *i)
{
	bool waits = i->first != NO_SLOT && !wheel_is_set(&i->again);
	uint32_t events = EPOLLIN | (waits ? EPOLLOUT : 0);

	if (i->link.fd >= 0 && i->link.events != events)
		(void)loop_mod(i->n->loop, &i->link, events);
}

static void run_waiting(struct intercept *i)
{
	struct tcp_flow *f;

	while ((f = next_waiting(i))) {
		i->in_turn = true;
		tcp_look(f, tcp_has(f, TCP_F_GFIN));
		i->in_turn = false;
		tcp_push(f);
		tcp_settle(f);
		if (f->slot && i->slots[f->slot - 1].waits)
			break; /* it is the first again */
	}
	watch_link(i);
}

static void on_again(struct wheel_timer *t)
{
	struct intercept *i = container_of(t, struct intercept, again);

	run_waiting(i);
	tcp_turn_end(i->n);
}

/* ---- the end of the link ------------------------------------------------- */

static void link_lost(struct intercept *i, const char *why)
{
	if (i->link.fd < 0)
		return;
	loop_close(i->n->loop, &i->link);
	wheel_del(&i->n->wheel, &i->again);
	log_limited(LOG_ERROR, "network: the link to msb-tls ended: %s", why);
	net_tell(i->n, "msb-tls has ended: connections that it looked into are "
	               "reset, and new ones are refused, until msb restart "
	               "starts both anew");
	for (uint32_t at = 0; at < i->nslots; at++)
		if (i->slots[at].f)
			tcp_abort(i->slots[at].f);
	while (next_waiting(i))
		;
}

/* ---- what msb-tls says --------------------------------------------------- */

static int take_config(struct intercept *i, const uint8_t *p, size_t len)
{
	struct intercept_config c;
	struct err err = {0};
	const size_t head = sizeof(struct tlslink_config);
	int r;

	if (len < head || len - head > TLSLINK_CONFIG_MAX)
		return -EBADMSG;
	r = intercept_config_parse(p + head, len - head, &c, &err);
	if (r < 0) {
		log_limited(LOG_ERROR,
		            "network: msb-tls's configuration is refused: %s",
		            err.msg);
		return 0;
	}
	intercept_config_release(&i->config);
	i->config = c;
	i->ready = true;
	return 0;
}

static int take_abort(struct intercept *i, const uint8_t *p, size_t len)
{
	struct tlslink_abort a;
	struct tcp_flow *f;

	if (len != sizeof(a))
		return -EBADMSG;
	memcpy(&a, p, sizeof(a));
	if (a.zero || !a.id)
		return -EBADMSG;
	f = find_flow(i, a.id); /* it may be gone */
	if (f)
		tcp_abort(f);
	return 0;
}

static const struct {
	size_t counter; /* of struct net_counters; 0: none */
	bool text;
} events[] = {
#define COUNTER(name) offsetof(struct net_counters, name)
	[TLSLINK_NOTE] = {0,                          true },
	[TLSLINK_USED] = {COUNTER(secrets_used),      false},
	[TLSLINK_VIOLATION] = {COUNTER(secret_violations), true },
	[TLSLINK_REFUSED] = {COUNTER(tls_refused),       true },
	[TLSLINK_MASKED] = {COUNTER(secrets_masked),    false},
#undef COUNTER
};

/* False: it has no end. What is not printable is not printed. */
static bool make_text(struct tlslink_event *e)
{
	if (!memchr(e->text, '\0', sizeof(e->text)))
		return false;
	for (char *c = e->text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return true;
}

static int take_event(struct intercept *i, const uint8_t *p, size_t len)
{
	struct tlslink_event e;

	if (len != sizeof(e))
		return -EBADMSG;
	memcpy(&e, p, sizeof(e));
	if (!e.what || e.what >= ARRAY_SIZE(events) || e.zero ||
	    e.flags & ~TLSLINK_TERMINATE || !make_text(&e))
		return -EBADMSG;
	if (events[e.what].counter)
		count((_Atomic uint64_t *)(void *)((char *)&i->n->counters +
		                                   events[e.what].counter),
		      e.count);
	if (events[e.what].text && *e.text)
		net_tell(i->n, "%s", e.text);
	if (e.flags & TLSLINK_TERMINATE)
		intercept_violated(i->n, e.text);
	return 0;
}

static int (*const takers[])(struct intercept *i, const uint8_t *p,
                             size_t len) = {
	[TLSLINK_CONFIG] = take_config,
	[TLSLINK_ABORT] = take_abort,
	[TLSLINK_EVENT] = take_event,
};

static void take_packet(struct intercept *i, size_t len)
{
	uint32_t type = 0;
	int r = -EBADMSG;

	if (len >= sizeof(type))
		memcpy(&type, i->packet, sizeof(type));
	if (type < ARRAY_SIZE(takers) && takers[type])
		r = takers[type](i, i->packet, len);
	if (r < 0)
		log_limited(LOG_ERROR, "network: a message of msb-tls is "
		                       "broken, and left out");
}

/* One packet: its length; 0: none for now, or for ever. */
static size_t read_packet(struct intercept *i)
{
	int fds[FD_PASS_MAX];
	size_t nfds = 0;
	ssize_t len =
		fd_recv(i->link.fd, i->packet, sizeof(i->packet), fds, &nfds);

	if (len == -EAGAIN)
		return 0;
	if (len == -EMSGSIZE) { /* taken, but not read to its end */
		memset(i->packet, 0, sizeof(uint32_t));
		return 1;
	}
	if (len <= 0) {
		link_lost(i, len ? strerror((int)-len) : "it closed it");
		return 0;
	}
	if (nfds > 0) { /* it has none to give */
		memset(i->packet, 0, sizeof(uint32_t));
		while (nfds)
			(void)close(fds[--nfds]);
	}
	return (size_t)len;
}

static void read_link(struct intercept *i)
{
	for (unsigned k = 0; k < PACKETS_MAX && i->link.fd >= 0; k++) {
		size_t len = read_packet(i);

		if (!len)
			return;
		take_packet(i, len);
	}
}

void intercept_poll(struct net *n)
{
	if (n->intercept)
		read_link(n->intercept);
}

static void on_link(void *arg, uint32_t what)
{
	struct intercept *i = arg;
	struct net *n = i->n;

	read_link(i);
	if (i->link.fd >= 0 && what & EPOLLOUT)
		run_waiting(i);
	tcp_turn_end(n);
}

/* ---- handing over -------------------------------------------------------- */

static bool is_pinned(struct net *n, const struct addr *peer, const char *name)
{
	const char *names[PIN_NAMES_MAX];
	size_t k = pins_names(n->pins, peer, net_now(n), names);

	while (k--)
		if (strcmp(names[k], name) == 0)
			return true;
	return false;
}

static struct tlslink_flow flow_message(struct net *n, const struct tuple *t,
                                        const struct sniff *s, uint64_t id)
{
	bool connect = s->kind == SNIFF_CONNECT;
	struct tlslink_flow m = {
		.type = TLSLINK_FLOW,
		.kind = connect ? TLSLINK_CONNECT : TLSLINK_TLS,
		.port = connect ? s->port : t->pport,
		.id = id,
	};
	const struct addr *peer = connect && s->has_addr ? &s->addr : &t->peer;

	memcpy(m.peer, peer->b, sizeof(m.peer));
	memcpy(m.name, s->name, strlen(s->name) + 1);
	m.pinned = *s->name && (connect || is_pinned(n, &t->peer, s->name));
	return m;
}

/* The flow is to be reset: told, and counted. */
static int refused(struct intercept *i, const struct tcp_flow *f,
                   const struct sniff *s, const char *why, int error)
{
	char addr[ADDR_TEXT_MAX];

	count(&i->n->counters.tls_refused, 1);
	net_tell(i->n, "refused: tls to %s port %u%s%s: %s",
	         addr_text(&f->f.t.peer, addr), f->f.t.pport,
	         *s->name ? " named " : "", s->name, why);
	return error;
}

/* 0, -EAGAIN; else it cannot be sent. */
static int send_flow(struct intercept *i, const struct tlslink_flow *m,
                     int guest_fd, int server_fd)
{
	const int fds[] = {guest_fd, server_fd};
	ssize_t r = fd_send(i->link.fd, m, sizeof(*m), fds, 2);

	if (r == -ETOOMANYREFS) {
		wheel_set(&i->n->wheel, &i->again, net_now(i->n) + AGAIN_NS,
		          on_again);
		return -EAGAIN;
	}
	return r < 0 ? (int)r : 0;
}

/* 0: @f->sock is the pair's end. */
static int exchange(struct intercept *i, struct tcp_flow *f, struct slot *slot,
                    const struct sniff *s)
{
	uint64_t id = (i->serial + 1) << SLOT_BITS | (f->slot - 1);
	const struct tlslink_flow m = flow_message(i->n, &f->f.t, s, id);
	cleanup_close int theirs = -1;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	               pair) < 0)
		return -errno;
	theirs = pair[1];
	dial_keep_alive(f->sock.fd);
	f->watched = true;
	r = send_flow(i, &m, theirs, f->sock.fd);
	if (r < 0) {
		(void)close(pair[0]);
		return r;
	}
	loop_close(i->n->loop, &f->sock); /* others have a copy now */
	f->sock.fd = pair[0];
	i->serial++;
	slot->id = id;
	count(&i->n->counters.tls_flows, 1);
	return 0;
}

int intercept_give(struct tcp_flow *f, const struct sniff *s)
{
	struct intercept *i = f->n->intercept;
	struct slot *slot;
	int r;

	if (i->link.fd < 0 || !i->ready)
		return refused(i, f, s,
		               i->ready ? "msb-tls has ended"
		                        : "msb-tls is not ready",
		               -EPIPE);
	slot = slot_for(i, f);
	if (!slot)
		return refused(i, f, s, "no memory", -ENOMEM);
	if (slot->waits)
		return -EAGAIN;
	/* Behind those that wait; but one of them, whose turn it is, not. */
	r = i->first != NO_SLOT && !i->in_turn ? -EAGAIN
	                                       : exchange(i, f, slot, s);
	if (r == -EAGAIN) {
		wait_for_room(i, slot, i->in_turn);
		watch_link(i);
	} else if (r == -EMFILE || r == -ENFILE || r == -ENOMEM ||
	           r == -ENOBUFS) {
		return refused(i, f, s, strerror(-r), r);
	} else if (r < 0) {
		link_lost(i, strerror(-r));
		return refused(i, f, s, "msb-tls has ended", r);
	}
	return r;
}

/* ---- what others ask ----------------------------------------------------- */

bool intercept_is_on(const struct net *n)
{
	return n->intercept && n->intercept->config.names.n > 0;
}

static bool has_port(const struct intercept_config *c, uint16_t port)
{
	for (unsigned k = 0; k < c->nports; k++)
		if (c->ports[k] == port)
			return true;
	return false;
}

bool intercept_blocks_udp(const struct net *n, uint16_t port)
{
	return intercept_is_on(n) && n->intercept->config.block_quic &&
	       has_port(&n->intercept->config, port);
}

/* Empty lines before a request are skipped by servers, too. */
bool intercept_may_take(const struct net *n, uint16_t port, const uint8_t *data,
                        size_t len)
{
	static const char connect[] = "CONNECT ";
	size_t at = 0;

	if (!intercept_is_on(n))
		return false;
	if (len && data[0] == 0x16)
		return has_port(&n->intercept->config, port);
	while (at < len && (data[at] == '\r' || data[at] == '\n'))
		at++;
	return memcmp(data + at, connect, MIN(len - at, sizeof(connect) - 1)) ==
	       0;
}

bool intercept_takes(const struct net *n, uint16_t port, const struct sniff *s)
{
	if (!n->intercept || (s->kind != SNIFF_TLS && s->kind != SNIFF_CONNECT))
		return false;
	return intercept_config_takes(&n->intercept->config, s->name,
	                              s->kind == SNIFF_CONNECT ? s->port
	                                                       : port);
}

struct clear_texts *intercept_texts(const struct net *n)
{
	return n->intercept ? n->intercept->config.texts : NULL;
}

bool intercept_datagram(struct net *n, const struct tuple *t,
                        const struct iov *data)
{
	struct clear_texts *texts = intercept_texts(n);
	const uint8_t *p;
	size_t at = 0;

	if (!texts || !data->len)
		return true;
	p = data->v[0].iov_base;
	if (data->n > 1) {
		p = n->intercept->packet;
		for (unsigned k = 0; k < data->n; k++) {
			memcpy(n->intercept->packet + at, data->v[k].iov_base,
			       data->v[k].iov_len);
			at += data->v[k].iov_len;
		}
	}
	return clear_datagram(n, texts, t, p, data->len);
}

void intercept_violated(struct net *n, const char *why)
{
	if (n->intercept->violated)
		return;
	n->intercept->violated = true;
	if (n->cfg.violated)
		n->cfg.violated(n->cfg.violated_arg, why);
}

/* ---- life ---------------------------------------------------------------- */

/* Until the first CONFIG: all that could be meant waits in vain. */
static int start_closed(struct intercept_config *c)
{
	c->ports[c->nports++] = HTTPS_PORT;
	c->block_quic = true;
	return strv_add(&c->names, "*");
}

int intercept_new(struct net *n, struct intercept **ret)
{
	struct intercept *i = calloc(1, sizeof(*i));
	int r;

	if (!i)
		return -ENOMEM;
	i->n = n;
	i->link.fd = n->cfg.tls_fd;
	i->free = i->first = i->last = NO_SLOT;
	r = start_closed(&i->config);
	if (r == 0)
		r = fd_set_nonblock(n->cfg.tls_fd);
	if (r == 0)
		r = loop_add(n->loop, &i->link, n->cfg.tls_fd, EPOLLIN, on_link,
		             i);
	if (r < 0) {
		i->link.fd = -1;
		intercept_free(i);
		return r;
	}
	*ret = i;
	read_link(i);
	return 0;
}

void intercept_leave_link(struct intercept *i)
{
	loop_del(i->n->loop, &i->link);
	i->link.fd = -1;
}

void intercept_free(struct intercept *i)
{
	if (!i)
		return;
	loop_close(i->n->loop, &i->link);
	wheel_del(&i->n->wheel, &i->again);
	intercept_config_release(&i->config);
	free(i->slots);
	free(i);
}
