/*
 * virtio.h - a driver for virtio-mmio devices (virtio 1.2, 4.2 and 2.7): the
 * proper way in one call, and each step of it for guests that misbehave.
 *
 *	v = virtio_find(VIRTIO_RNG, 0);
 *	virtio_up(v, F_EVENT_IDX);
 *	virtio_request(v, 0, parts, n, 0);
 */
#ifndef GUEST_VIRTIO_H
#define GUEST_VIRTIO_H

#include "guest.h"

#define VIRTIO_NET     1
#define VIRTIO_BLK     2
#define VIRTIO_CONSOLE 3
#define VIRTIO_RNG     4
#define VIRTIO_BALLOON 5
#define VIRTIO_VSOCK   19
#define VIRTIO_FS      26

#define F_INDIRECT  (1ull << 28)
#define F_EVENT_IDX (1ull << 29)
#define F_VERSION_1 (1ull << 32)

#define R_MAGIC       0x000
#define R_VERSION     0x004
#define R_DEVICE      0x008
#define R_VENDOR      0x00c
#define R_FEATURES    0x010
#define R_FEATURE_SEL 0x014
#define R_DRIVER      0x020
#define R_DRIVER_SEL  0x024
#define R_QUEUE_SEL   0x030
#define R_QUEUE_MAX   0x034
#define R_QUEUE_SIZE  0x038
#define R_QUEUE_READY 0x044
#define R_NOTIFY      0x050
#define R_INT_STATUS  0x060
#define R_INT_ACK     0x064
#define R_STATUS      0x070
#define R_DESC        0x080
#define R_AVAIL       0x090
#define R_USED        0x0a0
#define R_GENERATION  0x0fc
#define R_CONFIG      0x100

#define S_ACK         1
#define S_DRIVER      2
#define S_OK          4
#define S_FEATURES    8
#define S_NEEDS_RESET 0x40
#define S_FAILED      0x80

#define D_NEXT     1
#define D_WRITE    2
#define D_INDIRECT 4

#define QUEUES_MAX 8
#define QSIZE      16

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct avail {
	volatile uint16_t flags, idx, ring[QSIZE];
	volatile uint16_t used_event;
};

struct used {
	volatile uint16_t flags, idx;
	volatile struct {
		uint32_t id, len;
	} ring[QSIZE];
	volatile uint16_t avail_event;
};

struct queue {
	struct desc *desc;
	struct avail *avail;
	struct used *used;
	struct desc *indirect; /* QSIZE of them */
	uint16_t last_used, told;
};

struct virtio {
	uint64_t base, features;
	uint32_t gsi, id;
	uint32_t nqueues;
	bool sleep; /* wait by interrupt, not by looking */
	struct queue q[QUEUES_MAX];
};

/* The @nth device of this kind on the command line, or NULL. */
struct virtio *virtio_find(uint32_t id, uint32_t nth);
uint32_t virtio_count(void);
struct virtio *virtio_at(uint32_t i); /* in the command line's order */

/* All steps. @wanted is cut to what is offered. false: what() said why. */
bool virtio_up(struct virtio *v, uint64_t wanted);

/* The steps. */
void virtio_reset(struct virtio *v);
uint64_t virtio_offered(struct virtio *v);
void virtio_choose(struct virtio *v, uint64_t features);
bool virtio_negotiate(struct virtio *v, uint64_t features); /* to 0xb */
void queue_place(struct virtio *v, uint32_t q, uint32_t size, uint64_t desc,
                 uint64_t avail, uint64_t used);
void queue_fresh(struct virtio *v, uint32_t q); /* empty rings */
void queue_set(struct virtio *v, uint32_t q);   /* fresh, and placed */
bool virtio_go(struct virtio *v);               /* DRIVER_OK */

uint32_t virtio_status(struct virtio *v);
bool virtio_needs_reset(struct virtio *v); /* waits for it */
uint32_t virtio_ack(struct virtio *v);     /* interrupt causes, now gone */

struct part {
	const void *p;
	uint32_t len;
	bool write;
};

#define USE_INDIRECT 1

/* Describe @n parts from descriptor @first on. */
void queue_describe(struct virtio *v, uint32_t q, uint16_t first,
                    const struct part *parts, uint32_t n, uint32_t flags);
void queue_offer(struct virtio *v, uint32_t q, uint16_t head);
void queue_kick(struct virtio *v, uint32_t q); /* if the device wants it */
void queue_notify(struct virtio *v, uint32_t q);

/* The next used entry: its head, or -1 when none came in time. */
int queue_wait(struct virtio *v, uint32_t q, uint32_t *ret_len);
bool queue_has_used(struct virtio *v, uint32_t q);

/* One request from start to end: the used length, or -1. */
int64_t virtio_request(struct virtio *v, uint32_t q, const struct part *parts,
                       uint32_t n, uint32_t flags);

/* One that every device of its kind must serve; false when it does not. */
bool rng_works(struct virtio *v);

/* virtio-blk */
uint8_t blk_do(struct virtio *v, uint32_t type, uint64_t sector, void *data,
               uint32_t len, uint32_t flags);
#define BLK_IN     0
#define BLK_OUT    1
#define BLK_FLUSH  4
#define BLK_GET_ID 8

#endif
