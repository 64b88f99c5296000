/*
 * addr.h - an IP address of either family in one form: IPv4 as the mapped
 * ::ffff:a.b.c.d, so that all that follows has one code path.
 */
#ifndef POLICY_ADDR_H
#define POLICY_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

struct addr {
	uint8_t b[16];
};

#define ADDR_TEXT_MAX 46 /* INET6_ADDRSTRLEN */

/* The kinds of address, each in one of them; see addr_kind(). */
enum addr_kind {
	ADDR_PUBLIC,
	ADDR_META,       /* of clouds: 169.254.169.254, fd00:ec2::254, ... */
	ADDR_LOOPBACK,   /* 127/8, ::1 */
	ADDR_PRIVATE,    /* RFC 1918, carrier NAT 100.64/10, fc00::/7 */
	ADDR_LINK_LOCAL, /* 169.254/16, fe80::/10 */
	ADDR_MULTICAST,  /* 224/4, ff00::/8, 255.255.255.255 */
	/* 0/8, 240/4, ::, documentation, benches, all of IPv6 that nobody gives
	   out: no group has them. */
	ADDR_RESERVED,
};

static inline bool addr_eq(const struct addr *a, const struct addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

/* ::ffff:0:0/96 */
bool addr_is_v4(const struct addr *a);
struct addr addr_v4(uint32_t v4); /* host byte order: 0x7f000001 */
uint32_t addr_to_v4(const struct addr *a);

/*
 * Dotted quad (four decimal numbers, no leading zeros) or IPv6 as in RFC 4291,
 * without a zone. -EINVAL.
 */
int addr_parse(const char *text, struct addr *ret);

/* As RFC 5952 has it, IPv4 as a dotted quad; returns @buf. */
const char *addr_text(const struct addr *a, char buf[ADDR_TEXT_MAX]);

/*
 * The address that packets to @a may reach in truth: the IPv4 one inside of
 * ::/96, 64:ff9b::/96, 64:ff9b:1::/96, 2002::/16 and ::ffff:0:0:0/96; else @a
 * (the rest of 64:ff9b:1::/48, whose layout nobody knows, is ADDR_RESERVED).
 */
struct addr addr_embedded(const struct addr *a);

/* How long the prefix is by which @a is one that embeds IPv4; 0: it is not. */
unsigned addr_embeds(const struct addr *a);

/*
 * @a, and each address that could be meant by it: denials look at all of them.
 * How many.
 */
#define ADDR_FORMS_MAX 5
unsigned addr_forms(const struct addr *a, struct addr ret[ADDR_FORMS_MAX]);

/* Of addr_embedded(@a). */
enum addr_kind addr_kind(const struct addr *a);
const char *addr_kind_name(enum addr_kind k);

/* ---- networks ---- */

struct cidr {
	struct addr net;
	uint8_t bits; /* of 128; an IPv4 /8 is 104 */
};

#define CIDR_TEXT_MAX (ADDR_TEXT_MAX + 4)

/* ADDR or ADDR/BITS; -EINVAL, -ERANGE when bits below the prefix are set. */
int cidr_parse(const char *text, struct cidr *ret);
/* The same, but clears those bits. */
int cidr_parse_masked(const char *text, struct cidr *ret);
/* Of one family: ::/0 has no IPv4 address. */
bool cidr_has(const struct cidr *c, const struct addr *a);
const char *cidr_text(const struct cidr *c, char buf[CIDR_TEXT_MAX]);

/* ---- sockets ---- */

/* AF_INET for IPv4, AF_INET6 otherwise; the length. */
socklen_t addr_to_sockaddr(const struct addr *a, uint16_t port,
                           struct sockaddr_storage *ret);
/* -EAFNOSUPPORT for other families. */
int addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret,
                       uint16_t *ret_port);

/* "1.2.3.4:80", "[::1]:80", "1.2.3.4" (port 0). -EINVAL */
int addr_parse_port(const char *text, struct addr *ret, uint16_t *ret_port);

#endif
