/*
 * frames.h - frames put together byte by byte, as a guest (or an attacker in
 * it) sends them. Sums and lengths are right unless a test spoils them.
 */
#ifndef TEST_NET_FRAMES_H
#define TEST_NET_FRAMES_H

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "net/frame.h"
#include "net/net.h"

#define GUEST_MAC   "\x02\x00\x00\x00\x00\x02"
#define GATEWAY_MAC "\x02\x00\x00\x00\x00\x01"
#define OTHER_MAC   "\x02\x00\x00\x00\x00\x66"
#define GUEST4      "172.16.0.2"
#define GATEWAY4    "172.16.0.1"
#define GUEST6      "fd42:6d73:62::2"
#define GATEWAY6    "fd42:6d73:62::1"

struct fr {
	size_t len;
	uint8_t b[NET_FRAME_MAX + 64];
};

static inline struct addr ip(const char *text)
{
	struct addr a;

	if (addr_parse(text, &a) < 0)
		abort();
	return a;
}

static inline uint8_t *fr_add(struct fr *f, const void *data, size_t len)
{
	uint8_t *at = f->b + f->len;

	if (f->len + len > sizeof(f->b))
		abort();
	if (data)
		memcpy(at, data, len);
	else
		memset(at, 0, len);
	f->len += len;
	return at;
}

/* Bytes that tell where they are. */
static inline void fr_fill(struct fr *f, size_t len)
{
	uint8_t *at = fr_add(f, NULL, len);

	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)(i * 7 + i / 256);
}

static inline void fr_eth(struct fr *f, const char *dst, const char *src,
                          uint16_t type)
{
	f->len = 0;
	fr_add(f, dst, 6);
	fr_add(f, src, 6);
	put_be16(fr_add(f, NULL, 2), type);
}

/* Ethernet and IPv4 without length and sum: fr_end4(). */
static inline uint8_t *fr_ip4(struct fr *f, const char *src, const char *dst,
                              uint8_t proto)
{
	struct addr s = ip(src), d = ip(dst);
	uint8_t *h;

	fr_eth(f, GATEWAY_MAC, GUEST_MAC, ETH_TYPE_IP4);
	h = fr_add(f, NULL, 20);
	h[0] = 0x45;
	h[8] = 64;
	h[9] = proto;
	memcpy(h + 12, s.b + 12, 4);
	memcpy(h + 16, d.b + 12, 4);
	return h;
}

static inline void fr_sum4(struct fr *f)
{
	uint8_t *h = f->b + ETH_LEN;

	put_be16(h + 10, 0);
	put_be16(h + 10,
	         (uint16_t)~csum_fold(csum_add(0, h, (h[0] & 15) * 4U)));
}

static inline void fr_end4(struct fr *f)
{
	put_be16(f->b + ETH_LEN + 2, (uint16_t)(f->len - ETH_LEN));
	fr_sum4(f);
}

static inline uint8_t *fr_ip6(struct fr *f, const char *src, const char *dst,
                              uint8_t next)
{
	struct addr s = ip(src), d = ip(dst);
	uint8_t *h;

	fr_eth(f, GATEWAY_MAC, GUEST_MAC, ETH_TYPE_IP6);
	h = fr_add(f, NULL, 40);
	h[0] = 0x60;
	h[6] = next;
	h[7] = 255;
	memcpy(h + 8, s.b, 16);
	memcpy(h + 24, d.b, 16);
	return h;
}

static inline void fr_end6(struct fr *f)
{
	put_be16(f->b + ETH_LEN + 4, (uint16_t)(f->len - ETH_LEN - 40));
}

/* The sum of all from @l4 on, with the pseudo header of @f's addresses. */
static inline uint16_t fr_l4_sum(const struct fr *f, size_t l4, uint8_t proto)
{
	const uint8_t *h = f->b + ETH_LEN;
	uint32_t len = (uint32_t)(f->len - l4), s = 0;

	if (h[0] >> 4 == 6)
		s = csum_add(proto + len, h + 8, 32);
	else if (proto != PROTO_ICMP4)
		s = csum_add(proto + len, h + 12, 8);
	return csum_fold(csum_add(s, f->b + l4, len));
}

static inline void fr_udp(struct fr *f, uint16_t sport, uint16_t dport,
                          size_t len)
{
	uint8_t *u = fr_add(f, NULL, 8);

	put_be16(u, sport);
	put_be16(u + 2, dport);
	put_be16(u + 4, (uint16_t)(8 + len));
	fr_fill(f, len);
}

static inline uint8_t *fr_tcp(struct fr *f, uint16_t sport, uint16_t dport,
                              uint8_t flags)
{
	uint8_t *t = fr_add(f, NULL, 20);

	put_be16(t, sport);
	put_be16(t + 2, dport);
	t[12] = 5 << 4;
	t[13] = flags;
	put_be16(t + 14, 65535);
	return t;
}

/* An echo request (or another of that form), with its sum. */
static inline void fr_echo(struct fr *f, uint8_t type, uint16_t id,
                           uint16_t seq, size_t len)
{
	size_t l4 = f->len;
	uint8_t *e = fr_add(f, NULL, 8);
	bool v6 = f->b[ETH_LEN] >> 4 == 6;

	e[0] = type;
	put_be16(e + 4, id);
	put_be16(e + 6, seq);
	fr_fill(f, len);
	put_be16(e + 2,
	         (uint16_t)~fr_l4_sum(f, l4, v6 ? PROTO_ICMP6 : PROTO_ICMP4));
}

#endif
