/*
 * regs.c - registers used as no driver would: at a wrong time, of a wrong
 * width, with values that nobody offered. On every device.
 */
#include "virtio.h"

#define NOWHERE 0xd8000000ull
#define DRIVER  (S_ACK | S_DRIVER)

static struct virtio *v;

/* Registers take 4 bytes, aligned; all else is not answered. */
static void widths(void)
{
	const uint64_t b = v->base;

	EQUAL("1 byte of the magic", read8(b), 0);
	EQUAL("2 bytes of the magic", read16(b), 0);
	EQUAL("8 bytes of the magic", read64(b), 0);
	EQUAL("4 bytes, not aligned", read32(b + 2), 0);
	write8(b + R_STATUS, S_ACK);
	write16(b + R_STATUS, S_ACK);
	write64(b + R_STATUS, S_ACK);
	write32(b + R_STATUS - 2, ~0u);
	EQUAL("status written by another width", virtio_status(v), 0);
	for (uint32_t at = 0; at < 0x100; at += 3)
		(void)read64(b + at);
	(void)read64(b + PAGE - 4); /* half of it is the next device's */
	write64(b + PAGE - 4, ~0ull);
	EQUAL("magic is still there", read32(b + R_MAGIC), 0x74726976);
}

/* All of the config space, in each width, read and written. */
static void config(void)
{
	uint64_t sum = 0;

	for (uint64_t at = v->base + R_CONFIG; at < v->base + 0x180; at++) {
		sum += read8(at) + read16(at) + read32(at) + read64(at);
		write8(at, 0xff);
		write64(at, 0);
	}
	sum += read32(v->base + PAGE - 4) + read8(v->base + PAGE - 1);
	EQUAL("config space past its end", read64(v->base + 0x800), 0);
	say("config sum 0x%lx", sum);
}

static bool step(uint32_t to)
{
	write32(v->base + R_STATUS, to);
	return virtio_status(v) == to;
}

static void status_order(void)
{
	virtio_reset(v);
	CHECK("DRIVER_OK first", !step(0xf));
	CHECK("FEATURES_OK first", !step(0xb));
	virtio_reset(v);
	CHECK("driver before acknowledge", step(S_ACK) && step(DRIVER));
	CHECK("DRIVER_OK without FEATURES_OK", !step(DRIVER | S_OK));
	CHECK("bits nobody knows", !step(DRIVER | 0x30));
	virtio_reset(v);
	write32(v->base + R_STATUS, S_FAILED);
	CHECK("failed is kept", virtio_status(v) & S_FAILED);
	virtio_reset(v);
}

static void features(void)
{
	const uint64_t offered = virtio_offered(v);

	CHECK("without version 1", !virtio_negotiate(v, 0));
	CHECK("all that is not offered",
	      !virtio_negotiate(v, ~offered | F_VERSION_1));
	CHECK("bit 63", !virtio_negotiate(v, F_VERSION_1 | 1ull << 63));
	CHECK("what is offered", virtio_negotiate(v, offered));
	virtio_choose(v, ~0ull); /* too late */
	CHECK("still what was offered", virtio_status(v) == 0xb);
	write32(v->base + R_FEATURE_SEL, 2);
	EQUAL("features 64 to 95", read32(v->base + R_FEATURES), 0);
	write32(v->base + R_FEATURE_SEL, ~0u);
	EQUAL("features far away", read32(v->base + R_FEATURES), 0);
	virtio_reset(v);
}

static void no_queue(void)
{
	static const uint32_t none[] = {QUEUES_MAX, 64, 0xffff, ~0u};

	CHECK("negotiation", virtio_negotiate(v, F_VERSION_1));
	for (uint32_t i = 0; i < ARRAY_SIZE(none); i++) {
		queue_place(v, none[i], QSIZE, 0x1000, 0x2000, 0x3000);
		if (read32(v->base + R_QUEUE_MAX) ||
		    read32(v->base + R_QUEUE_READY))
			fail("queue", "%u exists", none[i]);
	}
	CHECK("DRIVER_OK without a queue", virtio_go(v));
	for (uint32_t i = 0; i < 4; i++)
		queue_notify(v, i);
	pass(SECOND / 1000);
	EQUAL("notified without a queue", virtio_status(v), 0xf);
}

/* Rings that cannot be: refused at DRIVER_OK, and a reset makes it good. */
static void bad_rings(void)
{
	const uint64_t p = (uint64_t)pages(4);
	const struct {
		uint32_t size;
		uint64_t desc, avail, used;
	} bad[] = {
		{0,       p,              p + PAGE,     p + 2 * PAGE},
		{3,       p,              p + PAGE,     p + 2 * PAGE},
		{0x8000,  p,              p + PAGE,     p + 2 * PAGE},
		{0x10010, p,              p + PAGE,     p + 2 * PAGE},
		{~0u,     p,              p + PAGE,     p + 2 * PAGE},
		{QSIZE,   p + 8,          p + PAGE,     p + 2 * PAGE},
		{QSIZE,   p,              p + PAGE + 1, p + 2 * PAGE},
		{QSIZE,   p,              p + PAGE,     p + 2       },
		{QSIZE,   NOWHERE,        p + PAGE,     p + 2 * PAGE},
		{QSIZE,   p,              v->base,      p + 2 * PAGE},
		{QSIZE,   p,              p + PAGE,     ram_end()   },
		{QSIZE,   ram_end() - 16, p + PAGE,     p + 2 * PAGE},
		{QSIZE,   ~0ull - 15,     p + PAGE,     p + 2 * PAGE},
		{QSIZE,   p,              ~0ull - 1,    p + 2 * PAGE},
	};
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++) {
		(void)virtio_negotiate(v, F_VERSION_1);
		queue_place(v, 0, bad[i].size, bad[i].desc, bad[i].avail,
		            bad[i].used);
		if (virtio_go(v) || !virtio_needs_reset(v)) {
			say("bad ring %u: status 0x%x", i, virtio_status(v));
			wrong++;
		}
		queue_notify(v, 0);
	}
	EQUAL("bad rings that were taken", wrong, 0);
}

/* Ready is ready: the rest of a queue's registers is closed then. */
static void too_late(void)
{
	CHECK("negotiation", virtio_negotiate(v, F_VERSION_1));
	queue_set(v, 0);
	queue_place(v, 0, 2, NOWHERE, NOWHERE, NOWHERE);
	CHECK("it starts where it was set up first", virtio_go(v));
	if (v->id == VIRTIO_RNG)
		CHECK("and works there", rng_works(v));
}

/* Once it runs, nothing about a queue can be changed. */
static void frozen(void)
{
	CHECK("it starts", virtio_up(v, 0));
	queue_place(v, 0, 2, NOWHERE, NOWHERE, NOWHERE);
	write32(v->base + R_QUEUE_SEL, 0);
	write32(v->base + R_QUEUE_READY, 0);
	EQUAL("queue is still ready", read32(v->base + R_QUEUE_READY), 1);
	if (v->id == VIRTIO_RNG)
		CHECK("and where it was", rng_works(v));
	CHECK("DRIVER_OK again", !virtio_go(v) || virtio_status(v) == 0xf);
	write32(v->base + R_STATUS, 0xf | 0x40);
	write32(v->base + R_INT_ACK, ~0u);
	EQUAL("status in the end", virtio_status(v), 0xf);
	virtio_reset(v);
	EQUAL("queue after reset", read32(v->base + R_QUEUE_READY), 0);
}

void guest_main(void)
{
	for (uint32_t i = 0; i < virtio_count(); i++) {
		v = virtio_at(i);
		say("device %u", v->id);
		virtio_reset(v);
		widths();
		config();
		status_order();
		features();
		no_queue();
		bad_rings();
		too_late();
		frozen();
		CHECK("good again", virtio_up(v, 0));
	}
	EQUAL("a device that is not there",
	      read32(0xd0000000 + 15 * PAGE + R_MAGIC), 0xffffffff);
}
