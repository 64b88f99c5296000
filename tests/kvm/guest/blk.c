/*
 * blk.c - disks. The first is read-only, the second is not; both begin with
 * the host's pattern: byte i is i * 7 + i / 512.
 */
#include "virtio.h"

#define SECTOR  512u
#define F_RO    (1ull << 5)
#define F_FLUSH (1ull << 9)

enum { GOOD, IOERR, UNSUPP };

static uint8_t pattern(uint64_t i)
{
	return (uint8_t)(i * 7 + i / SECTOR);
}

static bool is_pattern(const uint8_t *p, uint64_t from, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (p[i] != pattern(from + i))
			return false;
	return true;
}

static uint64_t capacity(struct virtio *v)
{
	return read32(v->base + R_CONFIG) |
	       (uint64_t)read32(v->base + R_CONFIG + 4) << 32;
}

static void reads(struct virtio *v, uint32_t flags)
{
	uint8_t *p = pages(2);
	uint64_t last = capacity(v) - 1;

	EQUAL("read sector 0", blk_do(v, BLK_IN, 0, p, SECTOR, flags), GOOD);
	CHECK("its bytes", is_pattern(p, 0, SECTOR) && !p[SECTOR]);
	EQUAL("read 3 sectors", blk_do(v, BLK_IN, 5, p, 3 * SECTOR, flags),
	      GOOD);
	CHECK("their bytes", is_pattern(p, 5 * SECTOR, 3 * SECTOR));
	EQUAL("read the last", blk_do(v, BLK_IN, last, p, SECTOR, flags), GOOD);
	CHECK("its bytes", is_pattern(p, last * SECTOR, SECTOR));
	memset(p, 0x77, PAGE);
	EQUAL("read past the end",
	      blk_do(v, BLK_IN, last, p, 2 * SECTOR, flags), IOERR);
	EQUAL("read far past it", blk_do(v, BLK_IN, ~0ull, p, SECTOR, flags),
	      IOERR);
	EQUAL("read a part of a sector", blk_do(v, BLK_IN, 0, p, 100, flags),
	      IOERR);
	EQUAL("no byte came", p[0] + p[99], 0x77 * 2);
	EQUAL("unknown request", blk_do(v, 77, 0, p, SECTOR, flags), UNSUPP);
}

static void id(struct virtio *v, const char *name)
{
	uint8_t *p = pages(1);

	EQUAL("id", blk_do(v, BLK_GET_ID, 0, p, 20, 0), GOOD);
	CHECK("its text", starts_with((char *)p, name) && !p[strlen(name)]);
}

/* Header, data and status cut where no driver would. */
static void cut(struct virtio *v)
{
	static uint64_t header[2] = {BLK_IN, 9};
	uint8_t *p = pages(1), *h = (uint8_t *)header;
	const struct part parts[] = {
		{h,       7,   false},
                {h + 7,   9,   false},
                {p,       1,   true },
		{p + 1,   500, true },
                {p + 501, 12,  true }, /* the last one is the
  status */
	};

	p[512] = 0xee;
	EQUAL("cut anywhere", virtio_request(v, 0, parts, 5, 0), 513);
	CHECK("its bytes", is_pattern(p, 9 * SECTOR, SECTOR));
	EQUAL("its status", p[512], GOOD);
}

static void writes(struct virtio *v)
{
	uint8_t *p = pages(2);

	for (uint32_t i = 0; i < 2 * SECTOR; i++)
		p[i] = (uint8_t)(i ^ 0x5a);
	EQUAL("write", blk_do(v, BLK_OUT, 100, p, 2 * SECTOR, 0), GOOD);
	if (virtio_offered(v) & F_FLUSH)
		EQUAL("flush", blk_do(v, BLK_FLUSH, 0, NULL, 0, 0), GOOD);
	EQUAL("read back", blk_do(v, BLK_IN, 100, p + PAGE, 3 * SECTOR, 0),
	      GOOD);
	CHECK("what was written", !memcmp(p, p + PAGE, 2 * SECTOR));
	CHECK("and the sector behind it",
	      is_pattern(p + PAGE + 2 * SECTOR, 102 * SECTOR, SECTOR));
	EQUAL("write past the end",
	      blk_do(v, BLK_OUT, capacity(v) - 1, p, 2 * SECTOR, 0), IOERR);
	please("verify %u %u", 100 * SECTOR, 2 * SECTOR);
}

static void no_writes(struct virtio *v)
{
	uint8_t *p = pages(1);

	CHECK("says that it is read-only", virtio_offered(v) & F_RO);
	EQUAL("write", blk_do(v, BLK_OUT, 3, p, SECTOR, 0), IOERR);
	EQUAL("read back", blk_do(v, BLK_IN, 3, p, SECTOR, 0), GOOD);
	CHECK("nothing was written", is_pattern(p, 3 * SECTOR, SECTOR));
}

/* Five requests in the ring before the device hears of the first. */
static void several(struct virtio *v)
{
	static struct {
		uint64_t type, sector;
	} header[5];
	uint8_t *p = pages(2), *status = p + PAGE;
	uint32_t bad = 0, len;

	for (uint16_t i = 0; i < 5; i++) {
		const struct part parts[] = {
			{&header[i],     16,     false},
			{p + i * SECTOR, SECTOR, true },
			{status + i,     1,      true },
		};

		header[i].type = BLK_IN;
		header[i].sector = 20u - i;
		status[i] = 0xee;
		queue_describe(v, 0, 3 * i, parts, 3, 0);
		queue_offer(v, 0, 3 * i);
	}
	queue_kick(v, 0);
	for (int i = 0; i < 5; i++)
		bad += queue_wait(v, 0, &len) < 0 || len != SECTOR + 1;
	for (uint32_t i = 0; i < 5; i++)
		bad += status[i] ||
		       !is_pattern(p + i * SECTOR, (20 - i) * SECTOR, SECTOR);
	EQUAL("five requests at once: wrong ones", bad, 0);
}

static struct virtio *disk(uint32_t nth, uint64_t features)
{
	struct virtio *v = virtio_find(VIRTIO_BLK, nth);

	say("disk %u", nth);
	if (v && virtio_up(v, features))
		return v;
	fail("disk", v ? "does not start" : "not found");
	return NULL;
}

void guest_main(void)
{
	struct virtio *v = disk(0, F_RO | F_INDIRECT);

	lapic_on();
	if (v) {
		reads(v, 0);
		id(v, "root");
		cut(v);
		several(v);
		no_writes(v);
	}
	v = disk(1, F_FLUSH | F_INDIRECT | F_EVENT_IDX);
	if (v) {
		EQUAL("sectors", capacity(v), boot_number("sectors", 0));
		reads(v, v->features & F_INDIRECT ? USE_INDIRECT : 0);
		id(v, "upper");
		several(v);
		writes(v);
	}
}
