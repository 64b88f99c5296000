/*
 * addr.c - addresses and what kind they are of.
 *
 * Embedded IPv4. Some IPv6 addresses stand for an IPv4 one: a translator or a
 * relay of the host, or of its network, turns the packet into an IPv4 packet.
 * A policy that judged them by their IPv6 look would let 10.0.0.1 through as
 * 64:ff9b::a00:1. So the kind is that of the embedded address:
 *
 *	::a.b.c.d          ::/96          IPv4-compatible, RFC 4291 2.5.5.1
 *	::ffff:0:a.b.c.d   ::ffff:0:0:0/96  IPv4-translated, RFC 2765 2.1
 *	64:ff9b::a.b.c.d   64:ff9b::/96   NAT64, RFC 6052
 *	64:ff9b:1::a.b.c.d 64:ff9b:1::/48 NAT64 of a local network, RFC 8215
 *	2002:AABB:CCDD::   2002::/16      6to4, RFC 3056
 *
 * In 64:ff9b:1::/48 an operator may cut prefixes of 48, 56, 64 or 96 bits, each
 * with the IPv4 bytes elsewhere, and nobody here knows which. Only the usual
 * 64:ff9b:1::/96 is read as an IPv4 address; all others are of no kind, that
 * is, never public, and a denial looks at every reading (addr_forms()).
 */
#include "policy/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/num.h"

#include "base/banned.h"

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
static const uint8_t translated[12] = {[8] = 0xff, [9] = 0xff};
static const uint8_t compatible[12];
static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
static const uint8_t nat64_local[12] = {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01};

#define NAT64_LOCAL_BYTES 6 /* of the /48 */

bool addr_is_v4(const struct addr *a)
{
	return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

struct addr addr_v4(uint32_t v4)
{
	struct addr a;

	memcpy(a.b, mapped, sizeof(mapped));
	put_be32(a.b + 12, v4);
	return a;
}

uint32_t addr_to_v4(const struct addr *a)
{
	return get_be32(a->b + 12);
}

int addr_parse(const char *text, struct addr *ret)
{
	struct in6_addr a6;
	struct in_addr a4;

	/* Both refuse zones, leading zeros, hex quads and missing parts. */
	if (inet_pton(AF_INET, text, &a4) == 1) {
		*ret = addr_v4(ntohl(a4.s_addr));
		return 0;
	}
	if (inet_pton(AF_INET6, text, &a6) != 1)
		return -EINVAL;
	memcpy(ret->b, &a6, sizeof(ret->b));
	return 0;
}

const char *addr_text(const struct addr *a, char buf[ADDR_TEXT_MAX])
{
	if (addr_is_v4(a))
		(void)snprintf(buf, ADDR_TEXT_MAX, "%u.%u.%u.%u", a->b[12],
		               a->b[13], a->b[14], a->b[15]);
	else
		(void)inet_ntop(AF_INET6, a->b, buf, ADDR_TEXT_MAX);
	return buf;
}

/* ---- what is embedded --------------------------------------------------- */

static bool begins(const struct addr *a, const uint8_t *prefix, size_t len)
{
	return memcmp(a->b, prefix, len) == 0;
}

unsigned addr_embeds(const struct addr *a)
{
	if (a->b[0] == 0x20 && a->b[1] == 0x02)
		return 16;
	if (begins(a, nat64_local, NAT64_LOCAL_BYTES))
		return NAT64_LOCAL_BYTES * 8;
	if (begins(a, nat64, 12) || begins(a, translated, 12))
		return 96;
	return begins(a, compatible, 12) && get_be32(a->b + 12) > 1 ? 96 : 0;
}

struct addr addr_embedded(const struct addr *a)
{
	uint32_t low = get_be32(a->b + 12);

	if (a->b[0] == 0x20 && a->b[1] == 0x02)
		return addr_v4(get_be32(a->b + 2));
	if (a->b[0] != 0)
		return *a;
	if (begins(a, nat64, 12) || begins(a, nat64_local, 12) ||
	    begins(a, translated, 12))
		return addr_v4(low);
	/* :: and ::1 are addresses of their own. */
	if (begins(a, compatible, 12) && low > 1)
		return addr_v4(low);
	return *a;
}

/*
 * RFC 6052 2.2: where the IPv4 bytes lie behind prefixes of 48, 56, 64 and 96
 * bits; byte 8 is never one of them.
 */
static const uint8_t nat64_places[][4] = {
	{6,  7,  9,  10},
	{7,  9,  10, 11},
	{9,  10, 11, 12},
	{12, 13, 14, 15},
};

unsigned addr_forms(const struct addr *a, struct addr ret[ADDR_FORMS_MAX])
{
	unsigned n = 0;

	ret[n++] = *a;
	if (!begins(a, nat64_local, NAT64_LOCAL_BYTES)) {
		struct addr inner = addr_embedded(a);

		if (!addr_eq(&inner, a))
			ret[n++] = inner;
		return n;
	}
	for (size_t i = 0; i < ARRAY_SIZE(nat64_places); i++) {
		const uint8_t *at = nat64_places[i];

		ret[n++] = addr_v4((uint32_t)a->b[at[0]] << 24 |
		                   (uint32_t)a->b[at[1]] << 16 |
		                   (uint32_t)a->b[at[2]] << 8 | a->b[at[3]]);
	}
	return n;
}

/* ---- kinds -------------------------------------------------------------- */

#define IP(a, b, c, d)                                                         \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

/*
 * The first that has the address tells its kind, so the order is that of the
 * groups. The last lines have every address.
 *
 * Metadata: what each cloud's manual names, as of 2026: 169.254.169.254 (AWS,
 * Google, Azure, OpenStack, DigitalOcean, Oracle and others) and fd00:ec2::254
 * (AWS "Instance metadata"), fd20:ce::254 (Google "About VM metadata"),
 * fd00:c1::a9fe:a9fe (Oracle), fe80::a9fe:a9fe (OpenStack "Metadata service"),
 * fd00:a9fe:a9fe::1 (Akamai), 169.254.42.42 and fd00:42::42 (Scaleway),
 * 169.254.0.23 and 169.254.10.10 (Tencent), 100.100.100.200 and
 * fd00:100::100:200 (Alibaba), 192.0.0.192 (Oracle Classic), 168.63.129.16
 * (Azure "What is IP address 168.63.129.16": the wire server). The credentials
 * of containers and pods: 169.254.170.2 (ECS), 169.254.170.23 and fd00:ec2::23
 * (EKS), 169.254.169.252 (GKE).
 *
 * Reserved: IANA's registries of special-purpose addresses (RFC 6890). Of IPv6
 * only 2000::/3 is given out; overlays squat in the rest. 198.18/15 is meant
 * for benches, and used by proxies for addresses of their own.
 */
static const struct {
	enum addr_kind kind;
	uint32_t net;
	uint8_t bits;
} kinds4[] = {
	{ADDR_META,       IP(169, 254, 169, 254), 32},
	{ADDR_META,       IP(169, 254, 169, 252), 32},
	{ADDR_META,       IP(169, 254, 170, 2),   32},
	{ADDR_META,       IP(169, 254, 170, 23),  32},
	{ADDR_META,       IP(169, 254, 42,  42),  32},
	{ADDR_META,       IP(169, 254, 0,   23),  32},
	{ADDR_META,       IP(169, 254, 10,  10),  32},
	{ADDR_META,       IP(100, 100, 100, 200), 32},
	{ADDR_META,       IP(168, 63,  129, 16),  32},
	{ADDR_META,       IP(192, 0,   0,   192), 32},
	{ADDR_LOOPBACK,   IP(127, 0,   0,   0),   8 },
	{ADDR_PRIVATE,    IP(10,  0,   0,   0),   8 },
	{ADDR_PRIVATE,    IP(172, 16,  0,   0),   12},
	{ADDR_PRIVATE,    IP(192, 168, 0,   0),   16},
	{ADDR_PRIVATE,    IP(100, 64,  0,   0),   10},
	{ADDR_LINK_LOCAL, IP(169, 254, 0,   0),   16},
	{ADDR_MULTICAST,  IP(224, 0,   0,   0),   4 },
	{ADDR_MULTICAST,  IP(255, 255, 255, 255), 32},
	{ADDR_RESERVED,   IP(0,   0,   0,   0),   8 },
	{ADDR_RESERVED,   IP(192, 0,   0,   0),   24},
	{ADDR_RESERVED,   IP(192, 0,   2,   0),   24},
	{ADDR_RESERVED,   IP(192, 88,  99,  0),   24},
	{ADDR_RESERVED,   IP(198, 18,  0,   0),   15},
	{ADDR_RESERVED,   IP(198, 51,  100, 0),   24},
	{ADDR_RESERVED,   IP(203, 0,   113, 0),   24},
	{ADDR_RESERVED,   IP(240, 0,   0,   0),   4 },
	{ADDR_PUBLIC,     IP(0,   0,   0,   0),   0 },
};

static const struct {
	enum addr_kind kind;
	uint64_t high, low;
	uint8_t bits;
} kinds6[] = {
	{ADDR_META,       0xfd000ec200000000, 0x254,      128},
	{ADDR_META,       0xfd000ec200000000, 0x23,       128},
	{ADDR_META,       0xfd2000ce00000000, 0x254,      128},
	{ADDR_META,       0xfd0000c100000000, 0xa9fea9fe, 128},
	{ADDR_META,       0xfe80000000000000, 0xa9fea9fe, 128},
	{ADDR_META,       0xfd00a9fea9fe0000, 0x1,        128},
	{ADDR_META,       0xfd00004200000000, 0x42,       128},
	{ADDR_META,       0xfd00010000000000, 0x1000200,  128},
	{ADDR_LOOPBACK,   0,                  1,          128},
	{ADDR_PRIVATE,    0xfc00000000000000, 0,          7  },
	{ADDR_LINK_LOCAL, 0xfe80000000000000, 0,          10 },
	{ADDR_MULTICAST,  0xff00000000000000, 0,          8  },
	{ADDR_RESERVED,   0x2001000000000000, 0,          32 }, /* Teredo */
	{ADDR_RESERVED,   0x2001000200000000, 0,          48 }, /* benches */
	{ADDR_RESERVED,   0x2001001000000000, 0,          28 }, /* ORCHID */
	{ADDR_RESERVED,   0x2001002000000000, 0,          28 }, /* ORCHIDv2 */
	{ADDR_RESERVED,   0x20010db800000000, 0,          32 }, /* documentation */
	{ADDR_RESERVED,   0x3fff000000000000, 0,          20 }, /* documentation */
	{ADDR_PUBLIC,     0x2000000000000000, 0,          3  },
	{ADDR_RESERVED,   0,                  0,          0  },
};

/* The first @bits of 64; none of them by a shift that C does not know. */
static uint64_t ones(unsigned bits)
{
	if (bits == 0)
		return 0;
	return bits >= 64 ? ~0ULL : ~0ULL << (64 - bits);
}

static enum addr_kind kind_of_v4(uint32_t v4)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds4); i++) {
		uint32_t mask = (uint32_t)(ones(kinds4[i].bits) >> 32);

		if (((v4 ^ kinds4[i].net) & mask) == 0)
			return kinds4[i].kind;
	}
	return ADDR_RESERVED;
}

static enum addr_kind kind_of_v6(uint64_t high, uint64_t low)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds6); i++) {
		unsigned bits = kinds6[i].bits;

		if (((high ^ kinds6[i].high) & ones(bits)) == 0 &&
		    ((low ^ kinds6[i].low) & ones(bits > 64 ? bits - 64 : 0)) ==
		            0)
			return kinds6[i].kind;
	}
	return ADDR_RESERVED;
}

enum addr_kind addr_kind(const struct addr *a)
{
	struct addr inner = addr_embedded(a);

	if (addr_is_v4(&inner))
		return kind_of_v4(addr_to_v4(&inner));
	return kind_of_v6(get_be64(inner.b), get_be64(inner.b + 8));
}

const char *addr_kind_name(enum addr_kind k)
{
	static const char *const names[] = {
		[ADDR_PUBLIC] = "public",
		[ADDR_META] = "meta",
		[ADDR_LOOPBACK] = "loopback",
		[ADDR_PRIVATE] = "private",
		[ADDR_LINK_LOCAL] = "link-local",
		[ADDR_MULTICAST] = "multicast",
		[ADDR_RESERVED] = "reserved",
	};

	return (size_t)k < ARRAY_SIZE(names) ? names[k] : "unknown";
}

/* ---- networks ----------------------------------------------------------- */

/* The bits of byte @i that a prefix of @bits has. */
static uint8_t mask_of(unsigned bits, unsigned i)
{
	unsigned left = bits > i * 8 ? bits - i * 8 : 0;

	return left >= 8 ? 0xff : (uint8_t)(0xff00 >> left);
}

bool cidr_has(const struct cidr *c, const struct addr *a)
{
	unsigned whole = c->bits / 8;

	/* ::/0 is all of IPv6, and none of IPv4. */
	if (addr_is_v4(&c->net) != addr_is_v4(a))
		return false;
	if (memcmp(c->net.b, a->b, whole) != 0)
		return false;
	return whole == 16 ||
	       ((c->net.b[whole] ^ a->b[whole]) & mask_of(c->bits, whole)) == 0;
}

/* Without a look at the bits below the prefix. */
static int parse_cidr(const char *text, struct cidr *ret)
{
	char addr[ADDR_TEXT_MAX];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	struct cidr c = {.bits = 128};
	uint64_t bits;
	bool v4;

	if (len >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (addr_parse(addr, &c.net) < 0)
		return -EINVAL;
	if (slash) {
		v4 = !strchr(addr, ':'); /* ::ffff:10.0.0.0/104 counts to 128 */
		if (!num_parse_u64(slash + 1, v4 ? 32 : 128, &bits))
			return -EINVAL;
		c.bits = (uint8_t)(v4 ? bits + 96 : bits);
	}
	*ret = c;
	return 0;
}

int cidr_parse(const char *text, struct cidr *ret)
{
	struct cidr c;

	if (parse_cidr(text, &c) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < 16; i++)
		if (c.net.b[i] & (uint8_t)~mask_of(c.bits, i))
			return -ERANGE;
	*ret = c;
	return 0;
}

int cidr_parse_masked(const char *text, struct cidr *ret)
{
	struct cidr c;

	if (parse_cidr(text, &c) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < 16; i++)
		c.net.b[i] &= mask_of(c.bits, i);
	*ret = c;
	return 0;
}

const char *cidr_text(const struct cidr *c, char buf[CIDR_TEXT_MAX])
{
	unsigned bits = c->bits;
	size_t len;

	(void)addr_text(&c->net, buf);
	if (bits == 128)
		return buf;
	if (addr_is_v4(&c->net))
		bits -= 96;
	len = strlen(buf);
	(void)snprintf(buf + len, CIDR_TEXT_MAX - len, "/%u", bits);
	return buf;
}

/* ---- sockets ------------------------------------------------------------ */

socklen_t addr_to_sockaddr(const struct addr *a, uint16_t port,
                           struct sockaddr_storage *ret)
{
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(port),
	};
	struct sockaddr_in in4 = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(addr_to_v4(a)),
	};

	memset(ret, 0, sizeof(*ret));
	if (addr_is_v4(a)) {
		memcpy(ret, &in4, sizeof(in4));
		return sizeof(in4);
	}
	memcpy(&in6.sin6_addr, a->b, sizeof(a->b));
	memcpy(ret, &in6, sizeof(in6));
	return sizeof(in6);
}

int addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret,
                       uint16_t *ret_port)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in4;

	if (sa->sa_family == AF_INET) {
		memcpy(&in4, sa, sizeof(in4));
		*ret = addr_v4(ntohl(in4.sin_addr.s_addr));
		*ret_port = ntohs(in4.sin_port);
		return 0;
	}
	if (sa->sa_family != AF_INET6)
		return -EAFNOSUPPORT;
	memcpy(&in6, sa, sizeof(in6));
	memcpy(ret->b, &in6.sin6_addr, sizeof(ret->b));
	*ret_port = ntohs(in6.sin6_port);
	return 0;
}

/* "[v6]" or "[v6]:port" at @text, without the bracket. */
static int split_bracket(const char *text, char addr[ADDR_TEXT_MAX],
                         const char **ret_port)
{
	const char *end = strchr(text, ']');

	if (!end || (size_t)(end - text) >= ADDR_TEXT_MAX ||
	    (end[1] && end[1] != ':'))
		return -EINVAL;
	memcpy(addr, text, (size_t)(end - text));
	addr[end - text] = '\0';
	*ret_port = end[1] ? end + 2 : NULL;
	return strchr(addr, ':') ? 0 : -EINVAL; /* no IPv4 in brackets */
}

int addr_parse_port(const char *text, struct addr *ret, uint16_t *ret_port)
{
	char addr[ADDR_TEXT_MAX];
	const char *port = NULL;
	uint64_t n = 0;

	if (*text == '[') {
		if (split_bracket(text + 1, addr, &port) < 0)
			return -EINVAL;
	} else {
		const char *colon = strchr(text, ':');
		size_t len = strlen(text);

		/* More than one colon: an IPv6 address without brackets. */
		if (colon && !strchr(colon + 1, ':')) {
			len = (size_t)(colon - text);
			port = colon + 1;
		}
		if (len >= sizeof(addr))
			return -EINVAL;
		memcpy(addr, text, len);
		addr[len] = '\0';
	}
	if (port && !num_parse_u64(port, 65535, &n))
		return -EINVAL;
	if (addr_parse(addr, ret) < 0)
		return -EINVAL;
	*ret_port = (uint16_t)n;
	return 0;
}
