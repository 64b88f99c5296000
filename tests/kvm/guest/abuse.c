/*
 * abuse.c - rings as they should be, and requests that are not: what a disk, a
 * balloon and vsock get there. They may refuse or stop, never more than that.
 * answer= what the host's port 1234 says to a stream (3: nobody is there).
 */
#include "virtio.h"

#define NOTHING 0xd8000000ull

static struct virtio *witness;

static void still_good(const char *name, struct virtio *v)
{
	if (!virtio_up(v, ~0ull))
		fail(name, "does not start again: 0x%x", virtio_status(v));
	CHECK(name, rng_works(witness));
}

/* Whatever comes of it: an answer, or the end of the device. */
static void give(struct virtio *v, uint32_t q, const struct part *parts,
                 uint32_t n)
{
	if (virtio_status(v) & S_NEEDS_RESET)
		(void)virtio_up(v, ~0ull);
	queue_describe(v, q, 0, parts, n, 0);
	queue_offer(v, q, 0);
	queue_notify(v, q);
	if (WAIT_FOR(queue_has_used(v, q) || virtio_status(v) & S_NEEDS_RESET))
		v->q[q].last_used = v->q[q].used->idx;
	else
		fail("request", "of device %u has no answer", v->id);
}

/* ---- disk ---- */

static void disk(struct virtio *v)
{
	uint8_t *p = pages(4);
	struct {
		uint32_t type, reserved;
		uint64_t sector, first;
		uint32_t count, flags;
	} *h = (void *)(p + PAGE);
	static const uint32_t types[] = {BLK_IN, BLK_OUT, BLK_FLUSH, BLK_GET_ID,
	                                 11,     13,      ~0u};

	(void)virtio_up(v, ~0ull);
	for (uint32_t i = 0; i < ARRAY_SIZE(types) * 4; i++) {
		const struct part whole[] = {
			{h,     i & 4 ? 32 : 16,                      false},
			{p,     (uint32_t[]){0, 1, 511, PAGE}[i % 4], i & 1},
			{p - 1, 1,				    true },
		};

		h->type = types[i / 4];
		h->sector = h->first = i % 3 ? ~0ull - i : i;
		h->count = i % 5 ? ~0u : 1;
		h->flags = i % 7;
		give(v, 0, whole, 3);
		give(v, 0, whole, 1);     /* no status */
		give(v, 0, whole + 2, 1); /* no header */
		give(v, 0, whole + 1, 2);
	}
	still_good("disk after requests of nonsense", v);
	EQUAL("and reads", blk_do(v, BLK_IN, 0, p, 512, 0), 0);
}

/* ---- balloon ---- */

static void pfn(struct virtio *v, uint32_t q, uint64_t at)
{
	static uint32_t list[2];
	const struct part parts[] = {
		{list, 8, false}
        };

	list[0] = (uint32_t)(at / PAGE);
	list[1] = ~0u;
	give(v, q, parts, 1);
}

/* Pages that are none, and those that the device itself is reading. */
static void balloon(struct virtio *v)
{
	const uint64_t where[] = {ram_end(), NOTHING, LAPIC,
	                          v->base,   ~0ull,   0x40000};
	const struct part odd = {pages(1), 7, false};

	(void)virtio_up(v, ~0ull);
	for (uint32_t i = 0; i < ARRAY_SIZE(where) * 2; i++)
		pfn(v, i % 2, where[i / 2]);
	give(v, 0, &odd, 1);
	give(v, 1, &odd, 1);
	still_good("balloon after pages that are none", v);
	for (uint32_t q = 0; q < v->nqueues; q++) {
		const struct part ring = {v->q[q].desc, PAGE, true};

		queue_describe(v, q, 0, &ring, 1, 0);
		queue_offer(v, q, 0);
		queue_notify(v, q);
		pass(SECOND / 50);
		still_good("balloon after its own rings", v);
	}
	v->q[0].desc = NULL; /* the page is given away */
}

/* ---- vsock ---- */

struct packet {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

static void packet(struct virtio *v, const struct packet *p, uint32_t len)
{
	const struct part parts = {p, len, false};

	queue_describe(v, 1, 0, &parts, 1, 0);
	queue_offer(v, 1, 0);
	queue_notify(v, 1);
	for (int i = 0; i < 20 && !queue_has_used(v, 1); i++)
		relax();
	v->q[1].last_used = v->q[1].used->idx;
}

static void streams(struct virtio *v)
{
	struct packet *p = pages(20);
	const struct part rx = {pages(1), PAGE, true};

	(void)virtio_up(v, 0);
	*p = (struct packet){3, 2, 0, 1234, 0, 1, 1, 0, 0, 0};
	for (p->src_port = 1; p->src_port < 700; p->src_port++)
		packet(v, p, sizeof(*p)); /* and nobody takes answers */
	for (p->op = 0; p->op < 10; p->op++)
		for (uint32_t i = 0; i < 8; i++) {
			p->len = i & 1 ? ~0u : 70000;
			p->fwd_cnt = p->buf_alloc = i & 2 ? ~0u : 0;
			p->src_port = i & 4 ? 3 : 5000;
			packet(v, p, i & 1 ? sizeof(*p) : 70044);
		}
	p->src_cid = 77;
	packet(v, p, sizeof(*p));
	p->type = 99;
	packet(v, p, sizeof(*p));
	packet(v, p, 3);
	still_good("vsock after packets of nonsense", v);
	queue_describe(v, 0, 0, &rx, 1, 0);
	queue_offer(v, 0, 0);
	queue_notify(v, 0);
	*p = (struct packet){3, 2, 900, 1234, 0, 1, 1, 0, 65536, 0};
	packet(v, p, sizeof(*p));
	EQUAL("a stream is answered", queue_wait(v, 0, NULL), 0);
	EQUAL("by what its port makes of it", ((const struct packet *)rx.p)->op,
	      boot_number("answer", 3));
}

void guest_main(void)
{
	witness = virtio_find(VIRTIO_RNG, 0);
	if (!witness || !virtio_up(witness, 0)) {
		fail("witness", "a rng device is needed");
		return;
	}
	if (virtio_find(VIRTIO_BLK, 0))
		disk(virtio_find(VIRTIO_BLK, 0));
	if (virtio_find(VIRTIO_BALLOON, 0))
		balloon(virtio_find(VIRTIO_BALLOON, 0));
	if (virtio_find(VIRTIO_VSOCK, 0))
		streams(virtio_find(VIRTIO_VSOCK, 0));
}
