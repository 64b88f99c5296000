/*
 * net.c - frames that no kernel made, to the product's stack behind the device:
 * ARP, an echo of the gateway, a connection that the host refuses, and what a
 * guest must not send.
 */
#include "virtio.h"

#define RX      0
#define TX      1
#define VNET    12u
#define BUFFERS 8

#define F_MAC      (1ull << 5)
#define F_MRG      (1ull << 15)
#define ETH_ARP    0x0806u
#define ETH_IP     0x0800u
#define IP_ICMP    1u
#define IP_TCP     6u
#define GUEST      0xac100002u
#define GATEWAY    0xac100001u
#define OTHER      0x0a000001u
#define CLOSED     1u /* a port of the host where nobody listens */
#define RST_ACK    0x14u
#define FRAMES_MAX 3 /* frames that may come before the one that is meant */

static const uint8_t guest_mac[6] = {2, 0, 0, 0, 0, 2};
static const uint8_t gateway_mac[6] = {2, 0, 0, 0, 0, 1};

static struct virtio *dev;
static uint8_t *rx, *tx; /* BUFFERS pages; one */

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static void give_back(int i)
{
	const struct part part = {rx + (uint32_t)i * PAGE, PAGE, true};

	queue_describe(dev, RX, (uint16_t)i, &part, 1, 0);
	queue_offer(dev, RX, (uint16_t)i);
	queue_kick(dev, RX);
}

static void send(uint32_t len)
{
	const struct part part = {tx, VNET + len, false};

	if (virtio_request(dev, TX, &part, 1, 0) != 0)
		fail("frame", "was not taken");
}

/* An Ethernet header in the buffer; what follows it. */
static uint8_t *ethernet(const uint8_t *to, uint32_t type)
{
	uint8_t *p = tx + VNET;

	memset(tx, 0, PAGE);
	memcpy(p, to, 6);
	memcpy(p + 6, guest_mac, 6);
	put16(p + 12, type);
	return p + 14;
}

static uint32_t sum(const uint8_t *p, uint32_t len)
{
	uint32_t s = 0;

	for (uint32_t i = 0; i < len; i += 2)
		s += get16(p + i);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return ~s & 0xffff;
}

static uint8_t *ip(uint32_t from, uint32_t to, uint32_t proto, uint32_t len)
{
	uint8_t *p = ethernet(gateway_mac, ETH_IP);

	p[0] = 0x45;
	put16(p + 2, 20 + len);
	p[8] = 64;
	p[9] = (uint8_t)proto;
	put32(p + 12, from);
	put32(p + 16, to);
	put16(p + 10, sum(p, 20));
	return p + 20;
}

/*
 * The next frame of that type, and of that protocol if it is IP: its content
 * behind the Ethernet header, copied out; NULL when none came.
 */
static const uint8_t *next(uint32_t type, uint32_t proto)
{
	static uint8_t copy[PAGE];

	for (int k = 0; k < FRAMES_MAX; k++) {
		int i = queue_wait(dev, RX, NULL);

		if (i < 0)
			return NULL;
		memcpy(copy, rx + (uint32_t)i * PAGE + VNET, PAGE - VNET);
		give_back(i);
		if (get16(copy + 12) == type &&
		    (type != ETH_IP || copy[14 + 9] == proto))
			return copy + 14;
	}
	return NULL;
}

static void asks_who_has(void)
{
	static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};
	uint8_t *p = ethernet(all, ETH_ARP);
	const uint8_t *got;

	put16(p, 1);
	put16(p + 2, ETH_IP);
	p[4] = 6;
	p[5] = 4;
	put16(p + 6, 1);
	memcpy(p + 8, guest_mac, 6);
	put32(p + 14, GUEST);
	put32(p + 24, GATEWAY);
	send(14 + 28);
	got = next(ETH_ARP, 0);
	CHECK("the gateway's answer", got && get16(got + 6) == 2);
	EQUAL("its address", got ? get32(got + 14) : 0, GATEWAY);
	EQUAL("its MAC address", got ? got[8 + 5] : 0, 1);
}

static void pings(uint32_t from)
{
	uint8_t *p = ip(from, GATEWAY, IP_ICMP, 16);

	p[0] = 8;
	put16(p + 4, 77);
	put16(p + 6, 1);
	memcpy(p + 8, "12345678", 8);
	put16(p + 2, sum(p, 16));
	send(14 + 20 + 16);
}

static void hears_the_echo(void)
{
	const uint8_t *got;

	pings(GUEST);
	got = next(ETH_IP, IP_ICMP);
	CHECK("an echo reply", got && got[20] == 0);
	EQUAL("its id", got ? get16(got + 24) : 0, 77);
	CHECK("its sum", got && sum(got + 20, 16) == 0);
}

static void is_refused(void)
{
	uint8_t *p = ip(GUEST, GATEWAY, IP_TCP, 20);
	const uint8_t *got;

	put16(p, 40000);
	put16(p + 2, CLOSED);
	put32(p + 4, 1000);
	p[12] = 5 << 4;
	p[13] = 2; /* SYN */
	put16(p + 14, 65535);
	send(14 + 20 + 20);
	got = next(ETH_IP, IP_TCP);
	EQUAL("refused", got ? got[20 + 13] : 0, RST_ACK);
	EQUAL("it is of our SYN", got ? get32(got + 28) : 0, 1001);
}

static void sends_what_it_must_not(void)
{
	pings(OTHER); /* not our address */
	(void)ip(GUEST, GATEWAY, IP_ICMP, 4000);
	send(14 + 20); /* says more than there is */
	send(3);       /* no Ethernet header */
	memset(tx, 0xff, PAGE);
	send(PAGE - VNET);
	/* The flags and offsets of the device's header mean nothing to it. */
	pings(GUEST);
	(void)next(ETH_IP, IP_ICMP);
	tx[0] = 1;
	put32(tx + 2, 0xffffffffu);
	put32(tx + 6, 0xffffffffu);
	send(14 + 20 + 16);
	CHECK("an answer all the same", next(ETH_IP, IP_ICMP) != NULL);
}

void guest_main(void)
{
	dev = virtio_find(VIRTIO_NET, 0);
	if (!dev || !virtio_up(dev, F_INDIRECT | F_EVENT_IDX | F_MAC | F_MRG)) {
		fail("net", "does not start");
		guest_done();
	}
	EQUAL("our MAC address", read8(dev->base + R_CONFIG + 5), 2);
	rx = pages(BUFFERS);
	tx = pages(1);
	for (int i = 0; i < BUFFERS; i++)
		give_back(i);
	asks_who_has();
	hears_the_echo();
	is_refused();
	sends_what_it_must_not();
	hears_the_echo();
	guest_done();
}
