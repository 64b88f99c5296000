/*
 * flight.c - resets while requests are under way: when the status reads 0, the
 * device has let go of memory, and what was asked before never comes.
 */
#include "virtio.h"

#define SECTOR  512u
#define SECTORS 128u

static struct {
	uint64_t type, sector;
} header;

static uint8_t status;

/* Five long reads to the same place, and no waiting for them. */
static void ask(struct virtio *v, uint8_t *p)
{
	const struct part parts[] = {
		{&header, 16,               false},
		{p,       SECTORS * SECTOR, true },
		{&status, 1,                true },
	};

	for (uint16_t i = 0; i < 5; i++) {
		queue_describe(v, 0, 3 * i, parts, 3, 0);
		queue_offer(v, 0, 3 * i);
	}
	queue_notify(v, 0);
}

static uint32_t count_other(const uint8_t *p, uint8_t want)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < SECTORS * SECTOR; i += 64)
		n += p[i] != want;
	return n;
}

static void disk(struct virtio *v)
{
	uint8_t *p = pages(SECTORS * SECTOR / PAGE);
	uint32_t late = 0, answered = 0, dead = 0;

	for (uint32_t round = 0; round < 16; round++) {
		dead += !virtio_up(v, 0);
		ask(v, p);
		pass(round * 20000);
		virtio_reset(v);
		memset(p, (int)round, SECTORS * SECTOR);
		status = 0xee;
		queue_fresh(v, 0);
		pass(SECOND / 1000);
		late += count_other(p, (uint8_t)round);
		answered += v->q[0].used->idx || status != 0xee;
	}
	EQUAL("times that it did not start", dead, 0);
	EQUAL("words written after a reset", late, 0);
	EQUAL("requests answered after a reset", answered, 0);
	CHECK("and it works", virtio_up(v, 0));
	EQUAL("read", blk_do(v, BLK_IN, 0, p, SECTOR, 0), 0);
}

/* An interrupt that was raised before a reset has no cause after it. */
static void interrupt(struct virtio *v)
{
	uint32_t causes = 0;

	for (int i = 0; i < 50; i++) {
		uint8_t *p = (uint8_t *)&header;
		const struct part parts = {p, 16, true};

		if (!virtio_up(v, 0))
			fail("rng", "does not start");
		queue_describe(v, 0, 0, &parts, 1, 0);
		queue_offer(v, 0, 0);
		queue_notify(v, 0);
		virtio_reset(v);
		causes += read32(v->base + R_INT_STATUS);
	}
	EQUAL("interrupt causes after a reset", causes, 0);
	CHECK("and it works", virtio_up(v, 0) && rng_works(v));
}

void guest_main(void)
{
	struct virtio *d = virtio_find(VIRTIO_BLK, 0);
	struct virtio *r = virtio_find(VIRTIO_RNG, 0);

	if (!d || !r) {
		fail("devices", "a disk and a rng are needed");
		return;
	}
	disk(d);
	interrupt(r);
}
