/* virtio.c - the driver's side of virtio-mmio and of split rings. */
#include "virtio.h"

static struct virtio devices[16];
static uint32_t ndevices;

/* virtio_mmio.device=SIZE@BASE:GSI, as Linux takes it. */
static void scan(void)
{
	static const char word[] = "virtio_mmio.device=";

	for (const char *s = boot.cmdline; *s && ndevices < 16; s++) {
		struct virtio *v = &devices[ndevices];

		if (!starts_with(s, word))
			continue;
		while (*s && *s != '@')
			s++;
		s++;
		v->base = number_at(&s);
		s++;
		v->gsi = (uint32_t)number_at(&s);
		v->id = read32(v->base + R_DEVICE);
		ndevices++;
		s--;
	}
}

uint32_t virtio_count(void)
{
	if (!ndevices)
		scan();
	return ndevices;
}

struct virtio *virtio_at(uint32_t i)
{
	return i < virtio_count() ? &devices[i] : NULL;
}

struct virtio *virtio_find(uint32_t id, uint32_t nth)
{
	for (uint32_t i = 0; i < virtio_count(); i++)
		if (devices[i].id == id && nth-- == 0)
			return &devices[i];
	return NULL;
}

/* ---- the steps ---- */

void virtio_reset(struct virtio *v)
{
	write32(v->base + R_STATUS, 0);
	(void)WAIT_FOR(virtio_status(v) == 0);
	v->features = 0;
}

uint32_t virtio_status(struct virtio *v)
{
	return read32(v->base + R_STATUS);
}

bool virtio_needs_reset(struct virtio *v)
{
	return WAIT_FOR(virtio_status(v) & S_NEEDS_RESET);
}

uint32_t virtio_ack(struct virtio *v)
{
	uint32_t causes = read32(v->base + R_INT_STATUS);

	write32(v->base + R_INT_ACK, causes);
	return causes;
}

uint64_t virtio_offered(struct virtio *v)
{
	uint64_t low;

	write32(v->base + R_FEATURE_SEL, 0);
	low = read32(v->base + R_FEATURES);
	write32(v->base + R_FEATURE_SEL, 1);
	return (uint64_t)read32(v->base + R_FEATURES) << 32 | low;
}

void virtio_choose(struct virtio *v, uint64_t features)
{
	write32(v->base + R_DRIVER_SEL, 0);
	write32(v->base + R_DRIVER, (uint32_t)features);
	write32(v->base + R_DRIVER_SEL, 1);
	write32(v->base + R_DRIVER, (uint32_t)(features >> 32));
	v->features = features;
}

bool virtio_negotiate(struct virtio *v, uint64_t features)
{
	virtio_reset(v);
	write32(v->base + R_STATUS, S_ACK);
	write32(v->base + R_STATUS, S_ACK | S_DRIVER);
	virtio_choose(v, features);
	write32(v->base + R_STATUS, S_ACK | S_DRIVER | S_FEATURES);
	return virtio_status(v) == (S_ACK | S_DRIVER | S_FEATURES);
}

static void write_address(struct virtio *v, uint32_t reg, uint64_t at)
{
	write32(v->base + reg, (uint32_t)at);
	write32(v->base + reg + 4, (uint32_t)(at >> 32));
}

void queue_place(struct virtio *v, uint32_t q, uint32_t size, uint64_t desc,
                 uint64_t avail, uint64_t used)
{
	write32(v->base + R_QUEUE_SEL, q);
	write32(v->base + R_QUEUE_SIZE, size);
	write_address(v, R_DESC, desc);
	write_address(v, R_AVAIL, avail);
	write_address(v, R_USED, used);
	write32(v->base + R_QUEUE_READY, 1);
}

void queue_fresh(struct virtio *v, uint32_t q)
{
	struct queue *k = &v->q[q];

	if (!k->desc) {
		k->desc = pages(1);
		k->avail = (void *)((uint64_t)k->desc + 1024);
		k->used = (void *)((uint64_t)k->desc + 2048);
		k->indirect = (void *)((uint64_t)k->desc + 3072);
	}
	memset(k->desc, 0, PAGE);
	k->last_used = k->told = 0;
}

void queue_set(struct virtio *v, uint32_t q)
{
	struct queue *k = &v->q[q];

	queue_fresh(v, q);
	queue_place(v, q, QSIZE, (uint64_t)k->desc, (uint64_t)k->avail,
	            (uint64_t)k->used);
}

static uint32_t count_queues(struct virtio *v)
{
	uint32_t n = 0;

	for (; n < QUEUES_MAX; n++) {
		write32(v->base + R_QUEUE_SEL, n);
		if (!read32(v->base + R_QUEUE_MAX))
			break;
	}
	return n;
}

bool virtio_go(struct virtio *v)
{
	write32(v->base + R_STATUS, S_ACK | S_DRIVER | S_FEATURES | S_OK);
	return virtio_status(v) == (S_ACK | S_DRIVER | S_FEATURES | S_OK);
}

bool virtio_up(struct virtio *v, uint64_t wanted)
{
	uint64_t offered = virtio_offered(v);

	if (!virtio_negotiate(v, (wanted & offered) | F_VERSION_1))
		return false;
	v->nqueues = count_queues(v);
	for (uint32_t i = 0; i < v->nqueues; i++)
		queue_set(v, i);
	return virtio_go(v);
}

/* ---- rings ---- */

void queue_describe(struct virtio *v, uint32_t q, uint16_t first,
                    const struct part *parts, uint32_t n, uint32_t flags)
{
	struct queue *k = &v->q[q];
	struct desc *d = flags & USE_INDIRECT ? k->indirect : k->desc + first;
	uint16_t base = flags & USE_INDIRECT ? 0 : first;

	for (uint32_t i = 0; i < n; i++)
		d[i] = (struct desc){(uint64_t)parts[i].p, parts[i].len,
		                     (uint16_t)((parts[i].write ? D_WRITE : 0) |
		                                (i + 1 < n ? D_NEXT : 0)),
		                     (uint16_t)(base + i + 1)};
	if (flags & USE_INDIRECT)
		k->desc[first] =
			(struct desc){(uint64_t)k->indirect,
		                      n * (uint32_t)sizeof(*d), D_INDIRECT, 0};
}

void queue_offer(struct virtio *v, uint32_t q, uint16_t head)
{
	struct avail *a = v->q[q].avail;

	a->ring[a->idx % QSIZE] = head;
	__asm__ volatile("" : : : "memory");
	a->idx++;
}

void queue_notify(struct virtio *v, uint32_t q)
{
	write32(v->base + R_NOTIFY, q);
}

void queue_kick(struct virtio *v, uint32_t q)
{
	struct queue *k = &v->q[q];
	uint16_t old = k->told, new = k->avail->idx;

	k->told = new;
	fence();
	if (v->features & F_EVENT_IDX ? (uint16_t)(new - k->used->avail_event -
	                                           1) < (uint16_t)(new - old)
	                              : !(k->used->flags & 1))
		queue_notify(v, q);
}

bool queue_has_used(struct virtio *v, uint32_t q)
{
	return v->q[q].used->idx != v->q[q].last_used;
}

/* Sleep until the device's line was raised, unless there is news already. */
static void sleep_for(struct virtio *v, uint32_t q)
{
	struct queue *k = &v->q[q];

	k->avail->used_event = k->last_used;
	fence();
	if (!queue_has_used(v, q))
		irq_wait();
	(void)virtio_ack(v);
}

int queue_wait(struct virtio *v, uint32_t q, uint32_t *ret_len)
{
	struct queue *k = &v->q[q];
	const uint64_t end = in(PATIENCE);

	while (!queue_has_used(v, q)) {
		if (!before(end))
			return -1;
		if (v->sleep)
			sleep_for(v, q);
	}
	if (ret_len)
		*ret_len = k->used->ring[k->last_used % QSIZE].len;
	return (int)k->used->ring[k->last_used++ % QSIZE].id;
}

int64_t virtio_request(struct virtio *v, uint32_t q, const struct part *parts,
                       uint32_t n, uint32_t flags)
{
	uint32_t len = 0;

	queue_describe(v, q, 0, parts, n, flags);
	queue_offer(v, q, 0);
	queue_kick(v, q);
	return queue_wait(v, q, &len) == 0 ? (int64_t)len : -1;
}

/* ---- what several guests ask of a device ---- */

bool rng_works(struct virtio *v)
{
	uint8_t *p = pages(1), sum = 0;
	const struct part parts = {p, 64, true};

	if (virtio_request(v, 0, &parts, 1, 0) != 64)
		return false;
	for (int i = 0; i < 64; i++)
		sum |= p[i];
	return sum && !p[64];
}

uint8_t blk_do(struct virtio *v, uint32_t type, uint64_t sector, void *data,
               uint32_t len, uint32_t flags)
{
	static struct {
		uint32_t type, reserved;
		uint64_t sector;
	} header;
	static uint8_t status;
	struct part parts[3] = {
		{&header, 16, false}
        };
	uint32_t n = 1;

	header.type = type;
	header.sector = sector;
	status = 0xee;
	if (len)
		parts[n++] = (struct part){data, len, type != BLK_OUT};
	parts[n++] = (struct part){&status, 1, true};
	if (virtio_request(v, 0, parts, n, flags) < 0)
		return 0xff;
	return *(volatile uint8_t *)&status;
}
