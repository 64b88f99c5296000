/*
 * race.c - every processor does what it likes with the same devices: resets,
 * requests, notifications, config; for so many rounds= and seconds=. please=
 * what the host shall do meanwhile. Then one drives them properly.
 */
#include "virtio.h"

#define CPUS_MAX 8

static volatile uint32_t running, go;
static uint64_t rounds, end;

static uint32_t random(uint32_t *state)
{
	*state = *state * 1103515245 + 12345;
	return *state >> 8;
}

static void poke(struct virtio *v, uint32_t *state)
{
	static const uint16_t regs[] = {
		R_STATUS,     R_STATUS,      R_NOTIFY,  R_QUEUE_SEL,
		R_QUEUE_SIZE, R_QUEUE_READY, R_INT_ACK, R_DRIVER,
		R_DESC,       R_AVAIL,       R_USED,    R_CONFIG,
		R_CONFIG + 4};
	static const uint32_t values[] = {0, 1, 3, 0xb, 0xf, 0, 16, ~0u};
	uint16_t reg = regs[random(state) % ARRAY_SIZE(regs)];

	write32(v->base + reg, values[random(state) % ARRAY_SIZE(values)]);
	(void)read32(v->base + regs[random(state) % ARRAY_SIZE(regs)]);
}

/*
 * Rings of its own, offered to a device that others reset meanwhile. So it
 * must not wait for any status: another processor may just have changed it.
 */
static void drive(struct virtio *v, uint32_t *state, uint8_t *page)
{
	const struct part parts = {page + 2048, 64, true};
	struct virtio mine = {.base = v->base, .id = v->id};

	mine.q[0].desc = (void *)page;
	mine.q[0].avail = (void *)(page + 1024);
	mine.q[0].used = (void *)(page + 1536);
	write32(v->base + R_STATUS, 0);
	write32(v->base + R_STATUS, S_ACK);
	write32(v->base + R_STATUS, S_ACK | S_DRIVER);
	virtio_choose(&mine, F_VERSION_1);
	write32(v->base + R_STATUS, S_ACK | S_DRIVER | S_FEATURES);
	queue_set(&mine, 0);
	(void)virtio_go(&mine);
	queue_describe(&mine, 0, 0, &parts, 1, 0);
	for (uint32_t i = random(state) % 4; i; i--) {
		queue_offer(&mine, 0, 0);
		queue_notify(&mine, 0);
	}
}

static void run(uint32_t number)
{
	static uint8_t memory[CPUS_MAX][PAGE] __attribute__((aligned(PAGE)));
	uint32_t state = number * 77 + 1;

	__atomic_fetch_add(&running, 1, __ATOMIC_SEQ_CST);
	while (!go)
		relax();
	for (uint64_t i = 0; i < rounds || before(end); i++)
		for (uint32_t d = 0; d < virtio_count(); d++) {
			if (random(&state) % 8 == 0)
				drive(virtio_at(d), &state, memory[number]);
			else
				poke(virtio_at(d), &state);
		}
	__atomic_fetch_sub(&running, 1, __ATOMIC_SEQ_CST);
}

void guest_main(void)
{
	uint8_t ids[CPUS_MAX], *p = pages(1);
	uint32_t n = mptable_cpus(ids, CPUS_MAX);

	lapic_on();
	rounds = boot_number("rounds", 60);
	end = in(boot_number("seconds", 0) * SECOND);
	(void)virtio_count();
	CHECK("more than one processor", n > 1);
	smp_start(ids, n, run);
	if (boot_word("please"))
		please("%s", boot_is("please", "kill") ? "kill" : "jolt");
	go = 1;
	run(0);
	CHECK("all came through", WAIT_FOR(running == 0));
	for (uint32_t d = 0; d < virtio_count(); d++) {
		struct virtio *v = virtio_at(d);

		if (!virtio_up(v, 0))
			fail("device", "%u status 0x%x", v->id,
			     virtio_status(v));
		if (v->id == VIRTIO_RNG)
			CHECK("rng works", rng_works(v));
		if (v->id == VIRTIO_BLK)
			EQUAL("disk works", blk_do(v, BLK_IN, 0, p, 512, 0), 0);
	}
}
