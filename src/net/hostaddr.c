/*
 * hostaddr.c - the kernel is asked what it would do with a packet to an
 * address (RTM_GETROUTE); nothing is known here of interfaces, so nothing has
 * to be followed when they change.
 *
 * Netlink handles a request within send(), so the answer is there when recv()
 * is called; when it is not, the address counts as the host's own. An answer
 * is kept for a second: a guest that opens many flows to one address costs two
 * system calls a second.
 */
#include "net/hostaddr.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#include "base/banned.h"

#define CACHE_SLOTS   256 /* a power of two */
#define CACHE_LIFE_NS NS_PER_S
#define STALE_MAX     16 /* answers to older questions that are skipped */

struct cached {
	struct addr a;
	uint64_t until_ns; /* 0: empty */
	bool local;
};

struct hostaddr {
	int fd;
	uint32_t seq;
	struct cached cache[CACHE_SLOTS];
	uint64_t route_until_ns[2]; /* by family: IPv4, IPv6 */
	bool route[2];
};

struct hostaddr *hostaddr_new(void)
{
	struct hostaddr *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
	               NETLINK_ROUTE);
	if (h->fd < 0) {
		free(h);
		return NULL;
	}
	return h;
}

void hostaddr_free(struct hostaddr *h)
{
	if (!h)
		return;
	close_fd(&h->fd);
	free(h);
}

/* ---- one question ------------------------------------------------------- */

struct question {
	struct nlmsghdr head;
	struct rtmsg route;
	struct rtattr dst;
	uint8_t addr[16];
};

/* The largest answer: a route with metrics and next hops. */
union answer {
	struct nlmsghdr head;
	uint8_t bytes[8192];
};

static int ask(struct hostaddr *h, const struct addr *a)
{
	size_t len = addr_is_v4(a) ? 4 : 16;
	struct question q = {
		.head = {.nlmsg_len =
	                         (uint32_t)(offsetof(struct question, addr) +
	                                    len),
	                 .nlmsg_type = RTM_GETROUTE,
	                 .nlmsg_flags = NLM_F_REQUEST,
	                 .nlmsg_seq = ++h->seq},
		.route = {.rtm_family = len == 4 ? AF_INET : AF_INET6,
                         .rtm_dst_len = (uint8_t)(len * 8)												},
		.dst = {.rta_len = (uint16_t)RTA_LENGTH(len),
	                 .rta_type = RTA_DST										    },
	};

	memcpy(q.addr, a->b + 16 - len, len);
	if (send(h->fd, &q, q.head.nlmsg_len, MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

/* The route's type, or what the kernel says instead. */
static int read_type(const union answer *m, size_t len)
{
	const struct nlmsgerr *error = NLMSG_DATA(&m->head);
	const struct rtmsg *route = NLMSG_DATA(&m->head);

	if (m->head.nlmsg_type == NLMSG_ERROR &&
	    len >= NLMSG_LENGTH(sizeof(*error)))
		return error->error < 0 ? error->error : -EPROTO;
	if (m->head.nlmsg_type != RTM_NEWROUTE ||
	    len < NLMSG_LENGTH(sizeof(*route)))
		return -EPROTO;
	return route->rtm_type;
}

/* RTN_*; negative errno: no route, or no answer. */
static int route_type(struct hostaddr *h, const struct addr *a)
{
	union answer m;
	int r = ask(h, a);

	if (r < 0)
		return r;
	for (int i = 0; i < STALE_MAX; i++) {
		struct sockaddr_nl from = {0};
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(h->fd, &m, sizeof(m), MSG_DONTWAIT,
		                     (struct sockaddr *)&from, &from_len);

		if (n < 0)
			return -EIO; /* no answer, whatever the reason */
		if (from.nl_pid == 0 && (size_t)n >= sizeof(m.head) &&
		    m.head.nlmsg_seq == h->seq)
			return read_type(&m, (size_t)n);
	}
	return -EIO;
}

/* ---- what it means ------------------------------------------------------ */

/* No packet to it can be delivered here. */
static bool is_elsewhere(int type)
{
	switch (type) {
	case RTN_UNICAST:
	case RTN_MULTICAST:
	case -ENETUNREACH:
	case -EHOSTUNREACH:
	case -EACCES: /* a prohibiting route */
	/* The family is off. */
	case -EAFNOSUPPORT:
	case -EOPNOTSUPP:
		return true;
	default:
		return false;
	}
}

static bool lookup(struct hostaddr *h, const struct addr *a)
{
	static const uint8_t zero[16];
	const uint32_t v4 = addr_is_v4(a) ? addr_to_v4(a) : UINT32_MAX;

	/* connect() takes these for the loopback, whatever the routes. */
	if (v4 == 0 || memcmp(a->b, zero, sizeof(zero)) == 0)
		return true;
	if (addr_kind(a) == ADDR_LOOPBACK)
		return true;
	return !is_elsewhere(route_type(h, a));
}

static struct cached *slot_of(struct hostaddr *h, const struct addr *a)
{
	uint64_t v[2];

	memcpy(v, a->b, sizeof(v));
	return &h->cache[((v[0] ^ v[1]) * 0x9e3779b97f4a7c15ULL >> 32) &
	                 (CACHE_SLOTS - 1)];
}

static bool is_local(struct hostaddr *h, const struct addr *a, uint64_t now)
{
	struct cached *c = slot_of(h, a);

	if (c->until_ns <= now || !addr_eq(&c->a, a))
		*c = (struct cached){*a, now + CACHE_LIFE_NS, lookup(h, a)};
	return c->local;
}

bool hostaddr_is_local(struct hostaddr *h, const struct addr *a)
{
	struct addr forms[ADDR_FORMS_MAX];
	unsigned n = addr_forms(a, forms);
	uint64_t now = clock_now_ns();

	for (unsigned i = 0; i < n; i++)
		if (is_local(h, &forms[i], now))
			return true;
	return false;
}

bool hostaddr_has_route(struct hostaddr *h, bool v6)
{
	/* A root name server's: public, far, and never asked by us. */
	static const char *const far[] = {"198.41.0.4", "2001:503:ba3e::2:30"};
	uint64_t now = clock_now_ns();
	struct addr a;

	if (h->route_until_ns[v6] <= now && addr_parse(far[v6], &a) == 0) {
		h->route[v6] = route_type(h, &a) == RTN_UNICAST;
		h->route_until_ns[v6] = now + CACHE_LIFE_NS;
	}
	return h->route[v6];
}
