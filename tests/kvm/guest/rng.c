/* rng.c - the entropy device, and with it every way to make a request. */
#include "virtio.h"

static void registers(struct virtio *v)
{
	EQUAL("magic", read32(v->base + R_MAGIC), 0x74726976);
	EQUAL("version", read32(v->base + R_VERSION), 2);
	EQUAL("status after power-on", virtio_status(v), 0);
	CHECK("version 1 is offered", virtio_offered(v) & F_VERSION_1);
	write32(v->base + R_QUEUE_SEL, 0);
	CHECK("queue 0", read32(v->base + R_QUEUE_MAX) >= QSIZE);
	EQUAL("not ready", read32(v->base + R_QUEUE_READY), 0);
	write32(v->base + R_QUEUE_SEL, 1);
	EQUAL("no queue 1", read32(v->base + R_QUEUE_MAX), 0);
}

static void differ(struct virtio *v)
{
	uint8_t *p = pages(1);
	const struct part a = {p, 32, true}, b = {p + 32, 32, true};

	EQUAL("first 32 bytes", virtio_request(v, 0, &a, 1, 0), 32);
	EQUAL("next 32 bytes", virtio_request(v, 0, &b, 1, 0), 32);
	CHECK("they differ", memcmp(p, p + 32, 32));
	EQUAL("nothing behind them", read64((uint64_t)p + 64), 0);
}

static uint32_t count_zeros(const uint8_t *p, uint32_t n)
{
	uint32_t zeros = 0;

	for (uint32_t i = 0; i < n; i++)
		zeros += !p[i];
	return zeros;
}

/* A device may give less than asked, but never more. */
static void large(struct virtio *v)
{
	uint8_t *p = pages(3);
	const struct part parts = {p, 2 * PAGE, true};
	int64_t len = virtio_request(v, 0, &parts, 1, 0);

	CHECK("8 KiB", len > 0 && len <= 2 * PAGE);
	CHECK("are random", count_zeros(p, (uint32_t)len) < (uint64_t)len / 64);
	EQUAL("and end there", count_zeros(p + 2 * PAGE, PAGE), PAGE);
}

static void pieces(struct virtio *v, uint32_t flags, const char *name)
{
	uint8_t *p = pages(2);
	const struct part parts[] = {
		{p + PAGE - 3, 6,  true}, /* across a page */
		{p + 100,      1,  true},
		{p + 200,      0,  true},
		{p + 300,      25, true},
	};

	EQUAL(name, virtio_request(v, 0, parts, 4, flags), 32);
	CHECK("in all pieces", count_zeros(p + 300, 25) < 8 &&
	                               count_zeros(p + PAGE - 3, 6) < 4 &&
	                               !p[99] && !p[101] && !p[325]);
}

/* The last bytes of memory, and the first above 4 GiB, are memory. */
static void edges(struct virtio *v)
{
	const uint64_t high = 1ull << 32;
	struct part parts = {(void *)(ram_end() - 32), 32, true};

	write64(ram_end() - 8, 0);
	EQUAL("at the end of memory", virtio_request(v, 0, &parts, 1, 0), 32);
	CHECK("bytes came there", read64(ram_end() - 8));
	for (uint32_t i = 0; i < boot.nmap; i++) {
		if (boot.map[i].addr != high || boot.map[i].type != 1)
			continue;
		parts.p = (void *)high;
		EQUAL("above 4 GiB", virtio_request(v, 0, &parts, 1, 0), 32);
		CHECK("bytes came there, too", read64(high));
		parts.p = (void *)(high + boot.map[i].size - 32);
		EQUAL("at the very end", virtio_request(v, 0, &parts, 1, 0),
		      32);
	}
}

/* More than once around the ring, several requests at a time. */
static void around(struct virtio *v)
{
	uint8_t *p = pages(1);
	uint32_t len, bad = 0;

	for (int round = 0; round < 6; round++) {
		for (uint16_t i = 0; i < QSIZE; i++) {
			const struct part parts = {p + 16 * i, 16, true};

			queue_describe(v, 0, i, &parts, 1, 0);
			queue_offer(v, 0, i);
		}
		queue_kick(v, 0);
		for (int i = 0; i < QSIZE; i++)
			bad += queue_wait(v, 0, &len) != i || len != 16;
	}
	EQUAL("answers out of order or of a wrong length", bad, 0);
	EQUAL("used index", v->q[0].used->idx, v->q[0].avail->idx);
}

static void all(struct virtio *v, uint64_t features, const char *name)
{
	say("with %s", name);
	if (!virtio_up(v, features)) {
		fail(name, "status 0x%x", virtio_status(v));
		return;
	}
	differ(v);
	large(v);
	pieces(v, 0, "four pieces");
	if (v->features & F_INDIRECT)
		pieces(v, USE_INDIRECT, "four indirect pieces");
	around(v);
	edges(v);
	EQUAL("status in the end", virtio_status(v), 0xf);
}

/* A notification that came before DRIVER_OK is not lost. */
static void early(struct virtio *v)
{
	uint8_t *p = pages(1);
	const struct part parts = {p, 16, true};

	if (!virtio_negotiate(v, F_VERSION_1))
		fail("negotiation", "status 0x%x", virtio_status(v));
	queue_set(v, 0);
	queue_describe(v, 0, 0, &parts, 1, 0);
	queue_offer(v, 0, 0);
	queue_notify(v, 0);
	pass(SECOND / 100);
	CHECK("nothing is used before DRIVER_OK", !queue_has_used(v, 0));
	CHECK("DRIVER_OK", virtio_go(v));
	EQUAL("what was offered before it is served", queue_wait(v, 0, NULL),
	      0);
}

void guest_main(void)
{
	struct virtio *v = virtio_find(VIRTIO_RNG, 0);

	if (!v) {
		fail("rng", "not found");
		return;
	}
	lapic_on();
	registers(v);
	all(v, 0, "no features");
	all(v, F_INDIRECT, "indirect");
	all(v, F_EVENT_IDX, "event idx");
	all(v, F_INDIRECT | F_EVENT_IDX, "both");
	early(v);
}
