/*
 * Theory
 *
 * A batch of frames goes to the backend before any of their buffers goes back
 * to the driver: the backend hands their payloads to the host's sockets in one
 * call, straight from guest memory. So up to BATCH requests are held, and their
 * pieces of memory in a pool; a batch ends early when that is full.
 *
 * The other way a frame may take many of the driver's buffers (MRG_RXBUF). The
 * driver must see all of them at once, for it takes a frame whose buffers are
 * not all there as broken: they are staged, then committed as one.
 */
#include "virtio/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "virtio/queue.h"

#include "base/banned.h"

#define RX 0
#define TX 1

#define BATCH 64
#define POOL  (4 * VQ_CHAIN_MAX) /* pieces of memory of one batch */

/* A frame of 64 KiB in Linux' smallest buffers takes 46. */
#define MERGE_MAX 128

#define F_CSUM       0
#define F_GUEST_CSUM 1
#define F_MTU        3
#define F_MAC        5
#define F_GUEST_TSO4 7
#define F_GUEST_TSO6 8
#define F_HOST_TSO4  11
#define F_HOST_TSO6  12
#define F_MRG_RXBUF  15
#define F_STATUS     16

#define STATUS_LINK_UP 1

struct net_dev_config {
	uint8_t mac[6];
	uint16_t status;
	uint16_t max_virtqueue_pairs;
	uint16_t mtu;
} __attribute__((packed));

struct vnet {
	struct virtio_dev dev;
	struct virtio_net_backend be;
	struct net_dev_config config;
	bool starved; /* the backend had a frame and the driver no buffers */
	/* One of each for each way: a frame may be answered at once. */
	struct vq_chain out, in;
	struct iovec out_pool[POOL], in_pool[POOL];
	uint16_t out_heads[BATCH], in_heads[MERGE_MAX];
	uint32_t in_lens[MERGE_MAX];
};

static struct vnet *vnet_of(struct virtio_dev *d)
{
	return (struct vnet *)d;
}

static bool has(const struct virtio_dev *d, unsigned bit)
{
	return d->features & 1ULL << bit;
}

/* ---- from the guest ------------------------------------------------------ */

enum turn { TURN_EMPTY, TURN_MORE, TURN_PAUSED, TURN_BROKEN };

/* The frame in n->out, its pieces moved to the pool at @at. */
static int hand_over(struct vnet *n, unsigned at)
{
	struct vq_chain *c = &n->out;
	struct vnet_hdr h;
	struct iov frame;

	if (c->in.len || iov_get(&c->out, &h, sizeof(h)) < 0) {
		virtio_broken(&n->dev, c->in.len
		                               ? "a frame with room for an "
		                                 "answer"
		                               : "a frame without its header");
		return -EPROTO;
	}
	if (c->out.len > VIRTIO_NET_FRAME)
		return 0; /* dropped: longer than any */
	memcpy(n->out_pool + at, c->out.v, c->out.n * sizeof(*c->out.v));
	frame = (struct iov){n->out_pool + at, c->out.n, c->out.len};
	n->be.frame(n->be.arg, &h, &frame);
	return 0;
}

static enum turn take_batch(struct vnet *n, unsigned *ret_n)
{
	struct vq *vq = &n->dev.vqs[TX];
	unsigned at = 0;

	for (*ret_n = 0; *ret_n < BATCH && at + VQ_CHAIN_MAX <= POOL;) {
		int r;

		if (!n->be.wants(n->be.arg))
			return TURN_PAUSED;
		r = vq_pop(vq, n->dev.mem, &n->out);
		if (r == 0 && !vq_rearm(vq))
			return TURN_EMPTY;
		if (r == 0)
			continue;
		if (r < 0) {
			virtio_broken(&n->dev, vq->why);
			return TURN_BROKEN;
		}
		n->out_heads[(*ret_n)++] = n->out.head;
		r = hand_over(n, at);
		if (r < 0)
			return TURN_BROKEN;
		at += n->out.out.n;
	}
	return TURN_MORE;
}

static void serve_tx(struct vnet *n)
{
	struct vq *vq = &n->dev.vqs[TX];
	unsigned taken = 0;
	enum turn turn = take_batch(n, &taken);

	if (taken)
		n->be.batch_end(n->be.arg);
	for (unsigned i = 0; i < taken; i++)
		vq_stage(vq, (uint16_t)i, n->out_heads[i], 0);
	vq_commit(vq, (uint16_t)taken);
	if (turn == TURN_BROKEN)
		return;
	virtio_signal(&n->dev, TX);
	if (turn == TURN_MORE)
		n->dev.transport->again(&n->dev, TX);
}

void virtio_net_resume(struct virtio_dev *d)
{
	if (d->active && !d->broken)
		serve_tx(vnet_of(d));
}

/* ---- to the guest -------------------------------------------------------- */

struct merge {
	unsigned nbufs, niov;
	size_t room;
};

static int put_back(struct vnet *n, unsigned nbufs, int r)
{
	while (nbufs--)
		vq_unpop(&n->dev.vqs[RX]);
	return r;
}

/* One more of the driver's buffers. */
static int add_buffer(struct vnet *n, struct merge *m)
{
	struct vq_chain *c = &n->in;

	if (c->out.len || c->in.len < VNET_HDR_LEN) {
		virtio_broken(&n->dev, "a receive buffer that holds nothing");
		return -EPROTO;
	}
	n->in_heads[m->nbufs] = c->head;
	n->in_lens[m->nbufs++] = (uint32_t)c->in.len;
	if (m->niov + c->in.n > POOL)
		return -E2BIG; /* it is one of those to be put back */
	memcpy(n->in_pool + m->niov, c->in.v, c->in.n * sizeof(*c->in.v));
	m->niov += c->in.n;
	m->room += c->in.len;
	return 0;
}

/* Buffers for @need bytes, or none: -EAGAIN, -E2BIG when they never could. */
static int gather(struct vnet *n, size_t need, struct merge *m)
{
	struct vq *vq = &n->dev.vqs[RX];
	unsigned most = has(&n->dev, F_MRG_RXBUF)
	                        ? MIN((unsigned)MERGE_MAX, vq->size)
	                        : 1;

	*m = (struct merge){0};
	while (m->room < need) {
		int r = m->nbufs == most ? -E2BIG
		                         : vq_pop(vq, n->dev.mem, &n->in);

		if (r == 0 && vq_rearm(vq))
			continue;
		if (r == 0)
			return put_back(n, m->nbufs, -EAGAIN);
		if (r == -EPROTO)
			virtio_broken(&n->dev, vq->why);
		else if (r > 0)
			r = add_buffer(n, m);
		if (r < 0)
			return r == -E2BIG ? put_back(n, m->nbufs, r) : r;
	}
	return 0;
}

static void fill(struct vnet *n, const struct merge *m,
                 const struct vnet_hdr *h, const struct iovec *v, unsigned nv)
{
	struct iov in = {n->in_pool, m->niov, m->room};
	struct vnet_hdr head = *h;

	head.num_buffers = (uint16_t)m->nbufs;
	(void)iov_put(&in, &head, sizeof(head));
	for (unsigned i = 0; i < nv; i++)
		(void)iov_put(&in, v[i].iov_base, v[i].iov_len);
}

int virtio_net_send(struct virtio_dev *d, const struct vnet_hdr *h,
                    const struct iovec *v, unsigned nv, size_t len)
{
	struct vnet *n = vnet_of(d);
	size_t left = len + VNET_HDR_LEN;
	struct merge m;
	int r;

	if (!d->active || d->broken || !d->vqs[RX].ready)
		return 0;
	r = gather(n, left, &m);
	if (r == -EAGAIN) {
		n->starved = true;
		return r;
	}
	if (r < 0)
		return 0;
	fill(n, &m, h, v, nv);
	for (unsigned i = 0; i < m.nbufs; i++) {
		uint32_t used = (uint32_t)MIN(left, n->in_lens[i]);

		vq_stage(&d->vqs[RX], (uint16_t)i, n->in_heads[i], used);
		left -= used;
	}
	vq_commit(&d->vqs[RX], (uint16_t)m.nbufs);
	return 0;
}

void virtio_net_flush(struct virtio_dev *d)
{
	if (d->active && !d->broken && d->vqs[RX].ready)
		virtio_signal(d, RX);
}

/* ---- the device ---------------------------------------------------------- */

void virtio_net_set_link(struct virtio_dev *d, bool up)
{
	struct vnet *n = vnet_of(d);

	n->config.status = up ? STATUS_LINK_UP : 0;
	virtio_config_changed(d);
}

static void net_read_config(struct virtio_dev *d, uint32_t off, void *data,
                            uint32_t len)
{
	struct vnet *n = vnet_of(d);

	virtio_config_copy(&n->config, sizeof(n->config), off, data, len);
}

static int net_activate(struct virtio_dev *d)
{
	struct vnet *n = vnet_of(d);

	n->starved = false;
	n->be.features(n->be.arg, has(d, F_GUEST_CSUM), has(d, F_GUEST_TSO4),
	               has(d, F_GUEST_TSO6));
	return 0;
}

static void net_notify(struct virtio_dev *d, uint16_t q)
{
	struct vnet *n = vnet_of(d);

	if (q == TX) {
		serve_tx(n);
		return;
	}
	if (n->starved) {
		n->starved = false;
		n->be.writable(n->be.arg);
	}
}

static void net_reset(struct virtio_dev *d)
{
	struct vnet *n = vnet_of(d);

	n->starved = false;
	n->be.reset(n->be.arg);
}

static void net_free(struct virtio_dev *d)
{
	free(d);
}

static const struct virtio_dev_ops net_ops = {
	.name = "net",
	.id = VIRTIO_ID_NET,
	.nqueues = 2,
	.queue_max = VQ_SIZE_MAX,
	.queue_offered = VIRTIO_NET_QUEUE,
	.config_len = sizeof(struct net_dev_config),
	.read_config = net_read_config,
	.activate = net_activate,
	.notify = net_notify,
	.reset = net_reset,
	.free = net_free,
};

#define OFFERED                                                                \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_INDIRECT_DESC |         \
	 1ULL << VIRTIO_F_EVENT_IDX | 1ULL << F_CSUM | 1ULL << F_GUEST_CSUM |  \
	 1ULL << F_MTU | 1ULL << F_MAC | 1ULL << F_GUEST_TSO4 |                \
	 1ULL << F_GUEST_TSO6 | 1ULL << F_HOST_TSO4 | 1ULL << F_HOST_TSO6 |    \
	 1ULL << F_MRG_RXBUF | 1ULL << F_STATUS)

int virtio_net_new(const uint8_t mac[6], uint16_t mtu,
                   const struct virtio_net_backend *backend,
                   struct virtio_dev **ret, struct err *err)
{
	struct vnet *n = calloc(1, sizeof(*n));

	if (!n)
		return err_set(err, -ENOMEM, "no memory for the net device");
	n->dev.ops = &net_ops;
	n->dev.offered = OFFERED;
	n->be = *backend;
	n->config = (struct net_dev_config){
		.status = STATUS_LINK_UP, .max_virtqueue_pairs = 1, .mtu = mtu};
	memcpy(n->config.mac, mac, sizeof(n->config.mac));
	*ret = &n->dev;
	return 0;
}
