/*
 * balloon.c - memory given back to the host: by inflating when asked, and by
 * reporting. The host drops it, so it reads zeros afterwards.
 */
#include "virtio.h"

#define F_STATS     (1ull << 1)
#define F_REPORTING (1ull << 5)
#define MIB         (1u << 20)

enum { INFLATE, DEFLATE, STATS };

static uint32_t target(struct virtio *v)
{
	return read32(v->base + R_CONFIG);
}

static void set_actual(struct virtio *v, uint32_t pages_now)
{
	write32(v->base + R_CONFIG + 4, pages_now);
	EQUAL("actual", read32(v->base + R_CONFIG + 4), pages_now);
}

static uint32_t pfns[256];

static void give(struct virtio *v, uint8_t *p, uint32_t q)
{
	const struct part parts = {pfns, sizeof(pfns), false};

	for (uint32_t i = 0; i < 256; i++)
		pfns[i] = (uint32_t)((uint64_t)p / PAGE + i);
	EQUAL(q == INFLATE ? "inflate" : "deflate",
	      virtio_request(v, q, &parts, 1, 0), 0);
}

static uint32_t nonzero(const uint8_t *p, uint32_t len)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < len; i += PAGE / 2)
		n += *(const uint64_t *)(p + i) != 0;
	return n;
}

static void inflate(struct virtio *v)
{
	uint8_t *p = pages(256), *behind = pages(1);
	uint32_t generation = read32(v->base + R_GENERATION);
	const uint32_t had = irq_count[VECTOR(v->gsi)];

	memset(p, 0xaa, MIB);
	memset(behind, 0xaa, PAGE);
	EQUAL("no target at first", target(v), 0);
	irq_on();
	please("inflate %u", MIB);
	CHECK("the host wants 1 MiB", WAIT_FOR(target(v) == 256));
	CHECK("and interrupts", WAIT_FOR(irq_count[VECTOR(v->gsi)] != had));
	irq_off();
	CHECK("for a changed configuration", virtio_ack(v) & 2);
	CHECK("with a new generation",
	      read32(v->base + R_GENERATION) != generation);
	give(v, p, INFLATE);
	set_actual(v, 256);
	EQUAL("given pages that kept their bytes", nonzero(p, MIB), 0);
	EQUAL("the page behind them is untouched", behind[0], 0xaa);
	please("expect inflated %u", MIB);
	p[0] = 1; /* used without asking: only its own loss */
	please("inflate 0");
	CHECK("the host wants nothing", WAIT_FOR(target(v) == 0));
	give(v, p, DEFLATE);
	set_actual(v, 0);
	memset(p, 0x55, MIB);
	EQUAL("deflated memory works", nonzero(p, MIB), 512);
	please("expect inflated 0");
}

/* Statistics: the host keeps the buffer until it wants new ones. */
static void stats(struct virtio *v)
{
	static struct {
		uint16_t tag;
		uint64_t value;
	} __attribute__((packed)) s[] = {
		{4, 11 * MIB},
                {5, 64 * MIB},
                {6, 22 * MIB},
                {7, 3 * MIB }
        };
	const struct part parts = {s, sizeof(s), false};

	queue_describe(v, STATS, 0, &parts, 1, 0);
	queue_offer(v, STATS, 0);
	queue_kick(v, STATS);
	pass(SECOND / 50);
	please("expect free %u", 11 * MIB);
	please("expect available %u", 22 * MIB);
}

static void report(struct virtio *v)
{
	const uint32_t q = v->nqueues - 1;
	uint8_t *p = pages(512), *behind = pages(1);
	const struct part parts[] = {
		{p,       MIB, true},
                {p + MIB, MIB, true}
        };

	memset(p, 0xbb, 2 * MIB);
	memset(behind, 0xbb, PAGE);
	CHECK("report free memory", virtio_request(v, q, parts, 2, 0) >= 0);
	EQUAL("reported pages that kept their bytes", nonzero(p, 2 * MIB), 0);
	EQUAL("the page behind them is untouched", behind[0], 0xbb);
	please("expect reported %u", 2 * MIB);
}

void guest_main(void)
{
	struct virtio *v = virtio_find(VIRTIO_BALLOON, 0);

	lapic_on();
	if (!v || !virtio_up(v, F_STATS | F_REPORTING)) {
		fail("balloon", v ? "does not start" : "not found");
		return;
	}
	say("features 0x%lx, %u queues", v->features, v->nqueues);
	ioapic_route(v->gsi, true);
	inflate(v);
	if (v->features & F_STATS)
		stats(v);
	if (v->features & F_REPORTING)
		report(v);
	EQUAL("status in the end", virtio_status(v), 0xf);
}
