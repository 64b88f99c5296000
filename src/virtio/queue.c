#include "virtio/queue.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/num.h"
#include "virtio/device.h"

#include "base/banned.h"

#define DESC_LEN   16u
#define USED_LEN   8u
#define DESC_NEXT  1u
#define DESC_WRITE 2u
#define DESC_TABLE 4u

#define AVAIL_NO_INTERRUPT 1u
#define USED_NO_NOTIFY     1u

/* Both rings begin with u16 flags, u16 idx; avail goes on with u16 entries. */
#define RING_FLAGS 0
#define RING_IDX   1
#define RING_FIRST 2

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

static uint16_t ring_load(const uint16_t *p, int order)
{
	return le16_to_host(order == __ATOMIC_ACQUIRE
	                            ? __atomic_load_n(p, __ATOMIC_ACQUIRE)
	                            : __atomic_load_n(p, __ATOMIC_RELAXED));
}

static void ring_store(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, le16_to_host(v), __ATOMIC_RELEASE);
}

/* The driver's wish and ours sit behind the last entry of the other's ring. */
static const uint16_t *used_event(const struct vq *vq)
{
	return vq->avail + RING_FIRST + vq->size;
}

static uint16_t *avail_event(const struct vq *vq)
{
	return vq->used + RING_FIRST + (size_t)vq->size * (USED_LEN / 2);
}

static void *ring_part(const struct guest_mem *mem, uint64_t gpa, uint64_t len,
                       unsigned align)
{
	void *p = guest_mem_at(mem, gpa, len);

	return (uintptr_t)p % align || gpa % align ? NULL : p;
}

static int refuse(struct vq *vq, int code, const char *why)
{
	vq->ready = false;
	vq->why = why;
	return code;
}

int vq_start(struct vq *vq, const struct vq_layout *at, uint16_t size_max,
             const struct guest_mem *mem, uint64_t features)
{
	uint64_t n = at->size;

	*vq = (struct vq){.size = at->size, .next_avail = at->next};
	if (!num_is_pow2(n) || n > MIN(size_max, VQ_SIZE_MAX))
		return refuse(vq, -EINVAL, "queue size");
	vq->desc = ring_part(mem, at->desc, DESC_LEN * n, 16);
	vq->avail = ring_part(mem, at->avail, 6 + 2 * n, 2);
	vq->used = ring_part(mem, at->used, 6 + USED_LEN * n, 4);
	if (!vq->desc || !vq->avail || !vq->used)
		return refuse(vq, -EINVAL, "ring is not in RAM or misaligned");
	vq->indirect = features >> VIRTIO_F_INDIRECT_DESC & 1;
	vq->event_idx = features >> VIRTIO_F_EVENT_IDX & 1;
	vq->next_used = ring_load(&vq->used[RING_IDX], __ATOMIC_RELAXED);
	vq->judged_used = vq->next_used;
	vq->ready = true;
	return 0;
}

void vq_stop(struct vq *vq)
{
	vq->ready = false;
	vq->desc = NULL;
	vq->avail = vq->used = NULL;
}

/*
 * The only read of a descriptor. The barrier keeps the compiler from reading
 * guest memory a second time when the copy is used.
 */
static struct desc desc_copy(const uint8_t *table, uint32_t i)
{
	uint8_t raw[DESC_LEN];

	memcpy(raw, table + (size_t)i * DESC_LEN, sizeof(raw));
	atomic_signal_fence(memory_order_seq_cst);
	__asm__ volatile("" : "+m"(raw) : : "memory");
	return (struct desc){get_le64(raw), get_le32(raw + 8),
	                     get_le16(raw + 12), get_le16(raw + 14)};
}

static const char *add_buffer(const struct guest_mem *mem, const struct desc *d,
                              struct vq_chain *c)
{
	struct iov *part = d->flags & DESC_WRITE ? &c->in : &c->out;
	unsigned used = c->out.n + c->in.n;
	int n;

	if (part == &c->out && c->in.n)
		return "readable buffer behind a writable one";
	if (!d->len)
		return NULL;
	if (c->out.len + c->in.len + d->len > UINT32_MAX)
		return "chain has more than 4 GiB";
	n = guest_mem_iov(mem, d->addr, d->len, c->iov + used,
	                  VQ_CHAIN_MAX - used);
	if (n < 0)
		return n == -E2BIG ? "chain has too many pieces"
		                   : "buffer is not in RAM";
	part->n += (unsigned)n;
	part->len += d->len;
	return NULL;
}

/* A table of descriptors: the queue's own, or an indirect one. */
struct table {
	const uint8_t *p;
	uint32_t n;
	bool nested;
};

static const char *open_indirect(const struct vq *vq,
                                 const struct guest_mem *mem,
                                 const struct desc *d, struct table *t)
{
	if (!vq->indirect || t->nested)
		return "indirect table not allowed here";
	if (d->flags & DESC_NEXT)
		return "indirect descriptor with a next";
	if (!d->len || d->len % DESC_LEN || d->len / DESC_LEN > VQ_CHAIN_MAX)
		return "length of indirect table";
	t->p = guest_mem_at(mem, d->addr, d->len);
	t->n = d->len / DESC_LEN;
	t->nested = true;
	return t->p ? NULL : "indirect table is not in RAM";
}

/*
 * Follow a chain to its end. Each table may be walked for as many steps as it
 * has entries, so a loop ends; there are at most two tables.
 */
static const char *walk(const struct vq *vq, const struct guest_mem *mem,
                        struct vq_chain *c)
{
	struct table t = {vq->desc, vq->size, false};
	uint32_t i = c->head, steps = 0;
	const char *why;

	for (;;) {
		struct desc d;

		if (i >= t.n)
			return "descriptor index";
		if (steps++ == t.n)
			return "chain loops";
		d = desc_copy(t.p, i);
		if (d.flags & DESC_TABLE) {
			why = open_indirect(vq, mem, &d, &t);
			i = steps = 0;
		} else {
			why = add_buffer(mem, &d, c);
			i = d.next;
		}
		if (why)
			return why;
		if (!(d.flags & (DESC_NEXT | DESC_TABLE)))
			return NULL;
	}
}

int vq_pop(struct vq *vq, const struct guest_mem *mem, struct vq_chain *ret)
{
	uint16_t pending;
	const char *why;

	if (!vq->ready)
		return 0;
	pending = ring_load(&vq->avail[RING_IDX], __ATOMIC_ACQUIRE);
	pending -= vq->next_avail;
	if (!pending)
		return 0;
	if (pending > vq->size)
		return refuse(vq, -EPROTO, "avail index jumps");
	ret->head = ring_load(
		&vq->avail[RING_FIRST + (vq->next_avail & (vq->size - 1))],
		__ATOMIC_RELAXED);
	ret->out = ret->in = (struct iov){0};
	why = walk(vq, mem, ret);
	if (why)
		return refuse(vq, -EPROTO, why);
	ret->out.v = ret->iov;
	ret->in.v = ret->iov + ret->out.n;
	vq->next_avail++;
	return 1;
}

void vq_unpop(struct vq *vq)
{
	vq->next_avail--;
}

void vq_stage(struct vq *vq, uint16_t i, uint16_t head, uint32_t len)
{
	uint16_t *e;

	if (!vq->ready)
		return;
	e = vq->used + RING_FIRST +
	    (size_t)((uint16_t)(vq->next_used + i) & (vq->size - 1)) *
	            (USED_LEN / 2);
	put_le32(e, head);
	put_le32(e + 2, len);
}

void vq_commit(struct vq *vq, uint16_t n)
{
	if (!vq->ready)
		return;
	vq->next_used = (uint16_t)(vq->next_used + n);
	ring_store(&vq->used[RING_IDX], vq->next_used);
}

void vq_push(struct vq *vq, uint16_t head, uint32_t len)
{
	vq_stage(vq, 0, head, len);
	vq_commit(vq, 1);
}

bool vq_must_interrupt(struct vq *vq)
{
	uint16_t old = vq->judged_used, new = vq->next_used;
	bool first = !vq->signalled;

	if (!vq->ready || old == new)
		return false;
	vq->judged_used = new;
	vq->signalled = true;
	atomic_thread_fence(memory_order_seq_cst);
	if (!vq->event_idx)
		return !(ring_load(&vq->avail[RING_FLAGS], __ATOMIC_RELAXED) &
		         AVAIL_NO_INTERRUPT);
	if (first)
		return true;
	return (uint16_t)(new - ring_load(used_event(vq), __ATOMIC_RELAXED) -
	                  1) < (uint16_t)(new - old);
}

bool vq_rearm(struct vq *vq)
{
	if (!vq->ready)
		return false;
	if (vq->event_idx)
		ring_store(avail_event(vq), vq->next_avail);
	else
		ring_store(&vq->used[RING_FLAGS], 0);
	atomic_thread_fence(memory_order_seq_cst);
	return ring_load(&vq->avail[RING_IDX], __ATOMIC_ACQUIRE) !=
	       vq->next_avail;
}

void vq_disarm(struct vq *vq)
{
	if (vq->ready && !vq->event_idx)
		ring_store(&vq->used[RING_FLAGS], USED_NO_NOTIFY);
}
