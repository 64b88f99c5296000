#include "guest/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"

#include "base/banned.h"

/* ---- the plan ---- */

const char *net_value(const struct proto_strs *list, const char *key,
                      unsigned nth)
{
	size_t len = strlen(key);

	for (uint32_t i = 0; i < list->n; i++) {
		const char *s = list->v[i];

		if (strncmp(s, key, len) == 0 && s[len] == '=' && nth-- == 0)
			return s + len + 1;
	}
	return NULL;
}

/* ADDR, or ADDR/BITS when @has_bits. */
static int parse_address(const char *text, int family, bool has_bits,
                         struct net_address *ret)
{
	struct net_address a = {.family = family};
	char addr[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "/");
	uint64_t max = family == AF_INET ? 32 : 128, bits = max;

	if (len >= sizeof(addr) || (text[len] == '/') != has_bits)
		return -EINVAL;
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (has_bits && !num_parse_u64(text + len + 1, max, &bits))
		return -EINVAL;
	if (inet_pton(family, addr, a.addr) != 1)
		return -EINVAL;
	a.bits = (uint8_t)bits;
	*ret = a;
	return 0;
}

int net_parse(const struct proto_strs *list, struct net_plan *ret,
              struct err *err)
{
	struct net_plan p = {.route6 = true};
	const struct {
		const char *key;
		int family;
		bool has_bits;
		struct net_address *to;
	} addresses[] = {
		{"ip4", AF_INET,  true,  &p.ip4},
		{"gw4", AF_INET,  false, &p.gw4},
		{"ip6", AF_INET6, true,  &p.ip6},
		{"gw6", AF_INET6, false, &p.gw6},
	};
	const char *mtu = net_value(list, "mtu", 0);
	const char *route6 = net_value(list, "route6", 0);
	uint64_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		const char *key = addresses[i].key;
		const char *text = net_value(list, key, 0);

		if (text &&
		    parse_address(text, addresses[i].family,
		                  addresses[i].has_bits, addresses[i].to) < 0)
			return err_set(err, -EINVAL,
			               "the host's %s=%.64s is no address", key,
			               text);
	}
	if (mtu && !num_parse_u64(mtu, 65535, &n))
		return err_set(err, -EINVAL, "the host's mtu=%.64s is no MTU",
		               mtu);
	p.mtu = (uint32_t)n;
	p.route6 = !route6 || strcmp(route6, "0") != 0;
	*ret = p;
	return 0;
}

/* ---- netlink ---- */

struct request {
	struct nlmsghdr head;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg addr;
		struct rtmsg route;
	} u;
	uint8_t attrs[96];
};

static struct request request_of(uint16_t type, size_t body, uint16_t flags)
{
	return (struct request){
		.head = {.nlmsg_len = (uint32_t)NLMSG_LENGTH(body),
	                 .nlmsg_type = type,
	                 .nlmsg_flags =
	                         (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags)},
	};
}

/* At most three of at most 16 bytes: they fit. */
static void add(struct request *q, uint16_t type, const void *data, size_t len)
{
	struct rtattr a = {.rta_len = (uint16_t)RTA_LENGTH(len),
	                   .rta_type = type};
	uint8_t *at = (uint8_t *)q + NLMSG_ALIGN(q->head.nlmsg_len);

	memcpy(at, &a, sizeof(a));
	memcpy(at + RTA_LENGTH(0), data, len);
	q->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(q->head.nlmsg_len) +
	                               RTA_ALIGN(a.rta_len));
}

/* The kernel answers a request at once. */
static int talk(int fd, const struct request *q)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		uint8_t rest[512]; /* it repeats the request */
	} answer;
	ssize_t n;

	if (send(fd, q, q->head.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(fd, &answer, sizeof(answer), 0);
	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(answer.head) + sizeof(answer.error) ||
	    answer.head.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return answer.error.error;
}

static size_t size_of(const struct net_address *a)
{
	return a->family == AF_INET ? 4 : 16;
}

static int link_up(int fd, unsigned index, uint32_t mtu)
{
	struct request q = request_of(RTM_NEWLINK, sizeof(struct ifinfomsg), 0);

	q.u.link.ifi_index = (int)index;
	q.u.link.ifi_flags = IFF_UP;
	q.u.link.ifi_change = IFF_UP;
	if (mtu)
		add(&q, IFLA_MTU, &mtu, sizeof(mtu));
	return talk(fd, &q);
}

/* Nobody else is on this wire: IPv6 need not look for a double (DAD). */
static int add_address(int fd, unsigned index, const struct net_address *a)
{
	struct request q = request_of(RTM_NEWADDR, sizeof(struct ifaddrmsg),
	                              NLM_F_CREATE | NLM_F_REPLACE);

	q.u.addr.ifa_family = (uint8_t)a->family;
	q.u.addr.ifa_prefixlen = a->bits;
	q.u.addr.ifa_flags = a->family == AF_INET6 ? IFA_F_NODAD : 0;
	q.u.addr.ifa_index = index;
	add(&q, IFA_LOCAL, a->addr, size_of(a));
	add(&q, IFA_ADDRESS, a->addr, size_of(a));
	return talk(fd, &q);
}

static int add_default(int fd, unsigned index, const struct net_address *via)
{
	struct request q = request_of(RTM_NEWROUTE, sizeof(struct rtmsg),
	                              NLM_F_CREATE | NLM_F_REPLACE);

	q.u.route.rtm_family = (uint8_t)via->family;
	q.u.route.rtm_table = RT_TABLE_MAIN;
	q.u.route.rtm_protocol = RTPROT_BOOT;
	q.u.route.rtm_scope = RT_SCOPE_UNIVERSE;
	q.u.route.rtm_type = RTN_UNICAST;
	add(&q, RTA_GATEWAY, via->addr, size_of(via));
	add(&q, RTA_OIF, &index, sizeof(index));
	return talk(fd, &q);
}

/* ---- the interface ---- */

/* Before it is up: nothing is asked of the wire, and nothing believed. */
static bool quiet_ipv6(const char *interface)
{
	static const char *const off[] = {"accept_ra", "accept_dad",
	                                  "router_solicitations"};
	char path[96];

	for (size_t i = 0; i < ARRAY_SIZE(off); i++) {
		cleanup_close int fd = -1;

		(void)snprintf(path, sizeof(path),
		               "/proc/sys/net/ipv6/conf/%s/%s", interface,
		               off[i]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || fd_write_full(fd, "0", 1) < 0) {
			log_debug("%s: %s", path, strerror(errno));
			return false;
		}
	}
	return true;
}

static int give(int fd, unsigned index, const struct net_address *ip,
                const struct net_address *gateway)
{
	int r = ip->family ? add_address(fd, index, ip) : 0;

	if (r == 0 && ip->family && gateway && gateway->family)
		r = add_default(fd, index, gateway);
	return r;
}

int net_up(const char *interface, const struct net_plan *plan, struct err *err)
{
	cleanup_close int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	unsigned index = if_nametoindex(interface);
	bool ipv6;
	int r;

	if (index == 0)
		return err_set(err, -ENODEV, "there is no network interface %s",
		               interface);
	if (fd < 0)
		return err_set(err, -errno, "cannot talk to the kernel: %s",
		               strerror(errno));
	ipv6 = quiet_ipv6(interface);
	r = link_up(fd, index, plan->mtu);
	if (r < 0)
		return err_set(err, r, "cannot bring up %s with MTU %u: %s",
		               interface, plan->mtu, strerror(-r));
	r = give(fd, index, &plan->ip4, &plan->gw4);
	if (r < 0)
		return err_set(err, r, "cannot set the IPv4 address of %s: %s",
		               interface, strerror(-r));
	r = ipv6 ? give(fd, index, &plan->ip6, plan->route6 ? &plan->gw6 : NULL)
	         : 0;
	if (r < 0)
		log_warn("%s has no IPv6: %s", interface, strerror(-r));
	return 0;
}
