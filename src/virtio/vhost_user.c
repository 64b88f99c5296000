/*
 * Theory
 *
 * QEMU (the "front end") owns the virtio registers; when the guest's driver
 * is ready, it tells us over this socket which features were chosen, where
 * guest memory is (descriptors to map), where the rings are, and gives an
 * eventfd pair for each ring: kick (guest to us) and call (us to guest). From
 * then on no message is needed: guest and device meet in the rings.
 *
 *	message | request 4 | flags 4 | size 4 | payload size | (+ descriptors)
 *
 * Two kinds of misbehaviour are kept apart. A message that a sane QEMU does
 * not send ends the connection: vu_fail(), reported through closed(). A ring
 * that the *guest* broke stops the device only: vu_broken(); QEMU lives on
 * and hears of it through the ring's error eventfd.
 *
 * A ring runs while it was given everything: address, size, kick, "enabled",
 * and guest memory. update_ring() is the one place that starts and stops it,
 * after whatever message changed one of these. The model is activated with
 * the first ring that runs and reset when the last was taken away.
 */
#include "virtio/vhost_user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/cursor.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "virtio/queue.h"

#include "base/banned.h"

#define VU_VERSION      1u
#define VU_VERSION_MASK 3u
#define VU_REPLY        4u
#define VU_NEED_REPLY   8u

#define VU_F_PROTOCOL_FEATURES (1ULL << 30)

#define VU_P_MQ           (1ULL << 0)
#define VU_P_REPLY_ACK    (1ULL << 3)
#define VU_P_CONFIG       (1ULL << 9)
#define VU_P_RESET_DEVICE (1ULL << 13)

#define VU_HEADER      12u
#define VU_REGIONS_MAX FD_PASS_MAX
#define VU_REGION_LEN  32u
#define VU_CONFIG_MAX  256u
#define VU_CONFIG_HEAD 12u
#define VU_PAYLOAD_MAX (8u + VU_REGIONS_MAX * VU_REGION_LEN)
_Static_assert(VU_PAYLOAD_MAX <= VU_CONFIG_HEAD + VU_CONFIG_MAX, "buffers");

/* Low byte of the u64 that comes with a ring's descriptor. */
#define VU_RING_MASK  0xffu
#define VU_RING_NO_FD 0x100u

/* vsock has the most; network pairs of a later device fit as well. */
#define VU_QUEUES_MAX 16

/* Messages taken before other sources of the loop get their turn. */
#define VU_BATCH 32

struct ring {
	uint16_t index;
	struct vhost_user *vu;
	uint16_t size, next;
	uint64_t desc, avail, used; /* in the front end's address space */
	bool sized, placed, enabled;
	int kick, call, error; /* -1: none */
	struct loop_fd kick_src;
};

struct vhost_user {
	struct loop *l;
	struct virtio_dev *dev;
	void (*closed)(void *arg, const char *why);
	void *arg;

	int sock;
	struct loop_fd sock_src;
	struct loop_timer again, bye;
	uint32_t again_mask;
	const char *why; /* for closed() */
	bool failed;     /* closed() was called or is due */

	uint64_t features, protocol;
	bool spoke; /* SET_PROTOCOL_FEATURES came */
	struct guest_mem mem;
	struct vq vqs[VU_QUEUES_MAX];
	struct ring rings[VU_QUEUES_MAX];

	/* the message that is coming in */
	uint8_t in[VU_HEADER + VU_CONFIG_HEAD + VU_CONFIG_MAX];
	size_t in_len;
	int fds[FD_PASS_MAX];
	size_t nfds;
};

/* A whole message; the handler takes descriptors with take_fd(). */
struct msg {
	uint32_t request, flags, size;
	const uint8_t *payload;
	int *fds;
	size_t nfds;
};

/* ---- rings ------------------------------------------------------------- */

static void ring_signal(int fd)
{
	uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_limited(LOG_DEBUG, "vhost-user: eventfd: %s",
		            err_name(-errno));
}

static void vu_interrupt(struct virtio_dev *d, uint16_t q)
{
	struct vhost_user *vu = d->transport_data;

	ring_signal(vu->rings[q].call);
}

static void vu_broken(struct virtio_dev *d, const char *why)
{
	struct vhost_user *vu = d->transport_data;

	(void)why;
	vu->again_mask = 0;
	for (uint16_t i = 0; i < d->ops->nqueues; i++) {
		struct ring *r = &vu->rings[i];

		loop_del(vu->l, &r->kick_src);
		if (vu->vqs[i].ready)
			r->next = vu->vqs[i].next_avail;
		vu->vqs[i].ready = false;
		ring_signal(r->error);
	}
}

static void on_again(void *arg)
{
	struct vhost_user *vu = arg;
	uint32_t mask = vu->again_mask;

	vu->again_mask = 0;
	for (uint16_t i = 0; i < vu->dev->ops->nqueues; i++)
		if (mask >> i & 1 && vu->vqs[i].ready)
			vu->dev->ops->notify(vu->dev, i);
}

static void vu_again(struct virtio_dev *d, uint16_t q)
{
	struct vhost_user *vu = d->transport_data;

	vu->again_mask |= 1u << q;
	if (!vu->again.armed)
		loop_timer_set(vu->l, &vu->again, clock_now_ns() + 1, on_again,
		               vu);
}

static const struct virtio_transport_ops vu_transport = {
	.interrupt = vu_interrupt,
	.broken = vu_broken,
	.again = vu_again,
};

static void vu_fail(struct vhost_user *vu, const char *why);

static void on_kick(void *arg, uint32_t events)
{
	struct ring *r = arg;
	struct vhost_user *vu = r->vu;
	uint64_t count;
	ssize_t n = read(r->kick, &count, sizeof(count));

	if (n == 0 || (n < 0 && errno != EAGAIN) ||
	    events & (EPOLLHUP | EPOLLERR)) {
		vu_fail(vu, "kick descriptor is not an eventfd");
		return;
	}
	vu->dev->ops->notify(vu->dev, r->index);
}

static bool ring_complete(const struct ring *r)
{
	return r->sized && r->placed && r->enabled && r->kick >= 0 &&
	       r->vu->mem.n && !r->vu->dev->broken && !r->vu->failed;
}

/* The driver chose the addresses, so what is wrong with them is a breach. */
static void ring_start(struct ring *r)
{
	struct vhost_user *vu = r->vu;
	struct virtio_dev *d = vu->dev;
	struct vq *vq = &vu->vqs[r->index];
	struct vq_layout at = {.size = r->size, .next = r->next};
	const uint64_t n = r->size;
	int err;

	if (guest_mem_from_alias(&vu->mem, r->desc, 16 * n, &at.desc) < 0 ||
	    guest_mem_from_alias(&vu->mem, r->avail, 6 + 2 * n, &at.avail) <
	            0 ||
	    guest_mem_from_alias(&vu->mem, r->used, 6 + 8 * n, &at.used) < 0) {
		virtio_broken(d, "ring is not in RAM");
		return;
	}
	if (vq_start(vq, &at, d->ops->queue_max, &vu->mem, d->features) < 0) {
		virtio_broken(d, vq->why);
		return;
	}
	err = loop_add(vu->l, &r->kick_src, r->kick, EPOLLIN, on_kick, r);
	if (err < 0) {
		vq_stop(vq);
		vu_fail(vu, "kick descriptor cannot be watched");
		return;
	}
	if (!d->active) {
		d->active = true;
		if (d->ops->activate(d) < 0) {
			virtio_broken(d, "device cannot start");
			return;
		}
	}
	/* Requests may have been made, and kicks lost, before the start. */
	vu_again(d, r->index);
}

static void ring_stop(struct ring *r)
{
	struct vq *vq = &r->vu->vqs[r->index];

	loop_del(r->vu->l, &r->kick_src);
	r->vu->again_mask &= ~(1u << r->index);
	if (vq->ready)
		r->next = vq->next_avail;
	vq_stop(vq);
}

static void update_ring(struct ring *r)
{
	bool runs = r->vu->vqs[r->index].ready;

	if (ring_complete(r) == runs)
		return;
	if (runs)
		ring_stop(r);
	else
		ring_start(r);
}

static void update_rings(struct vhost_user *vu)
{
	for (uint16_t i = 0; i < vu->dev->ops->nqueues; i++)
		update_ring(&vu->rings[i]);
}

/* When no ring has a kick any more, the device is back at its start. */
static void reset_if_idle(struct vhost_user *vu)
{
	for (uint16_t i = 0; i < vu->dev->ops->nqueues; i++)
		if (vu->rings[i].kick >= 0)
			return;
	vu->dev->broken = false;
	if (!vu->dev->active)
		return;
	vu->dev->ops->reset(vu->dev);
	vu->dev->active = false;
}

static void reset_all(struct vhost_user *vu)
{
	for (uint16_t i = 0; i < vu->dev->ops->nqueues; i++) {
		struct ring *r = &vu->rings[i];

		ring_stop(r);
		close_fd(&r->kick);
		r->sized = r->placed = r->enabled = false;
		r->next = 0;
	}
	reset_if_idle(vu);
	loop_timer_del(vu->l, &vu->again);
}

static void forget_all(struct vhost_user *vu)
{
	reset_all(vu);
	for (uint16_t i = 0; i < vu->dev->ops->nqueues; i++) {
		close_fd(&vu->rings[i].call);
		close_fd(&vu->rings[i].error);
	}
}

/* ---- the end of the connection ----------------------------------------- */

static void on_bye(void *arg)
{
	struct vhost_user *vu = arg;

	vu->closed(vu->arg, vu->why); /* may free @vu */
}

/* closed() is called from the loop, so that it may free us. */
static void vu_fail(struct vhost_user *vu, const char *why)
{
	if (vu->failed)
		return;
	vu->failed = true;
	vu->why = why;
	if (why)
		log_limited(LOG_WARN, "vhost-user %s: %s", vu->dev->ops->name,
		            why);
	loop_del(vu->l, &vu->sock_src);
	close_fd(&vu->sock);
	forget_all(vu);
	loop_timer_set(vu->l, &vu->bye, clock_now_ns(), on_bye, vu);
}

/* ---- messages ---------------------------------------------------------- */

static int reply(struct vhost_user *vu, const struct msg *m,
                 const void *payload, uint32_t len)
{
	uint8_t out[VU_HEADER + VU_CONFIG_HEAD + VU_CONFIG_MAX];
	ssize_t n;

	put_le32(out, m->request);
	put_le32(out + 4, VU_VERSION | VU_REPLY);
	put_le32(out + 8, len);
	memcpy(out + VU_HEADER, payload, len);
	n = fd_send(vu->sock, out, VU_HEADER + len, NULL, 0);
	/* QEMU waits for each reply: a full socket is somebody else's game. */
	return n == (ssize_t)(VU_HEADER + len) ? 0 : -EPROTO;
}

static int reply_u64(struct vhost_user *vu, const struct msg *m, uint64_t v)
{
	uint8_t out[8];

	put_le64(out, v);
	return reply(vu, m, out, sizeof(out));
}

/* The ring that @index names; it must be one of the model's. */
static struct ring *ring_of(struct vhost_user *vu, uint64_t index)
{
	return index < vu->dev->ops->nqueues ? &vu->rings[index] : NULL;
}

static int on_get_features(struct vhost_user *vu, struct msg *m)
{
	return reply_u64(vu, m, vu->dev->offered | VU_F_PROTOCOL_FEATURES);
}

static int on_set_features(struct vhost_user *vu, struct msg *m)
{
	uint64_t f = get_le64(m->payload);

	if (f & ~(vu->dev->offered | VU_F_PROTOCOL_FEATURES))
		return -EPROTO;
	if (vu->dev->active)
		return f == vu->features ? 0 : -EPROTO;
	vu->features = f;
	vu->dev->features = f & vu->dev->offered;
	/* Without protocol features there is no ENABLE: rings just run. */
	for (uint16_t i = 0; i < vu->dev->ops->nqueues; i++)
		if (!(f & VU_F_PROTOCOL_FEATURES))
			vu->rings[i].enabled = true;
	update_rings(vu);
	return 0;
}

/*
 * QEMU warns of a config space for models where it expects none; a network
 * device's it keeps itself.
 */
static uint64_t protocol_features(const struct vhost_user *vu)
{
	return VU_P_MQ | VU_P_REPLY_ACK | VU_P_RESET_DEVICE |
	       (vu->dev->ops->config_len && vu->dev->ops->id != VIRTIO_ID_NET
	                ? VU_P_CONFIG
	                : 0);
}

static int on_get_protocol(struct vhost_user *vu, struct msg *m)
{
	return reply_u64(vu, m, protocol_features(vu));
}

static int on_set_protocol(struct vhost_user *vu, struct msg *m)
{
	uint64_t f = get_le64(m->payload);

	if (f & ~protocol_features(vu))
		return -EPROTO;
	vu->protocol = f;
	vu->spoke = true;
	return 0;
}

static int on_set_owner(struct vhost_user *vu, struct msg *m)
{
	(void)vu;
	(void)m;
	return 0;
}

static int on_reset(struct vhost_user *vu, struct msg *m)
{
	(void)m;
	reset_all(vu); /* who is to be interrupted stays */
	return 0;
}

static int on_get_queue_num(struct vhost_user *vu, struct msg *m)
{
	return reply_u64(vu, m, vu->dev->ops->nqueues);
}

static int map_table(struct msg *m, uint32_t n, struct guest_mem *mem)
{
	struct cursor c = cur_init(m->payload + 8, m->size - 8);

	for (uint32_t i = 0; i < n; i++) {
		uint64_t gpa = cur_le64(&c), len = cur_le64(&c);
		uint64_t alias = cur_le64(&c), offset = cur_le64(&c);
		int r = guest_mem_map(mem, gpa, len, alias, m->fds[i], offset);

		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Memory may change while rings run: they are stopped on the old table and go
 * on at the same place on the new one.
 */
static int on_set_mem_table(struct vhost_user *vu, struct msg *m)
{
	uint32_t n = get_le32(m->payload);
	struct guest_mem new = {.n = 0};
	int r;

	if (!n || n > VU_REGIONS_MAX || m->size != 8 + n * VU_REGION_LEN ||
	    m->nfds != n)
		return -EPROTO;
	r = map_table(m, n, &new);
	if (r < 0) {
		guest_mem_release(&new);
		return r;
	}
	for (uint16_t i = 0; i < vu->dev->ops->nqueues; i++)
		ring_stop(&vu->rings[i]);
	guest_mem_release(&vu->mem);
	vu->mem = new;
	update_rings(vu);
	return 0;
}

/* The messages about one ring's place; a running ring is frozen. */
static struct ring *stopped_ring(struct vhost_user *vu, const struct msg *m)
{
	struct ring *r = ring_of(vu, get_le32(m->payload));

	return r && !vu->vqs[r->index].ready ? r : NULL;
}

static int on_vring_num(struct vhost_user *vu, struct msg *m)
{
	struct ring *r = stopped_ring(vu, m);
	uint32_t n = get_le32(m->payload + 4);

	if (!r || n > UINT16_MAX)
		return -EPROTO;
	r->size = (uint16_t)n;
	r->sized = true;
	update_ring(r);
	return 0;
}

static int on_vring_base(struct vhost_user *vu, struct msg *m)
{
	struct ring *r = stopped_ring(vu, m);
	uint32_t n = get_le32(m->payload + 4);

	if (!r || n > UINT16_MAX)
		return -EPROTO;
	r->next = (uint16_t)n;
	return 0;
}

static int on_vring_addr(struct vhost_user *vu, struct msg *m)
{
	struct ring *r = stopped_ring(vu, m);

	/* The flags ask for a log of dirty pages, which was not offered. */
	if (!r || get_le32(m->payload + 4))
		return -EPROTO;
	r->desc = get_le64(m->payload + 8);
	r->used = get_le64(m->payload + 16);
	r->avail = get_le64(m->payload + 24);
	r->placed = true;
	update_ring(r);
	return 0;
}

static int on_get_vring_base(struct vhost_user *vu, struct msg *m)
{
	struct ring *r = ring_of(vu, get_le32(m->payload));
	uint8_t out[8];

	if (!r)
		return -EPROTO;
	ring_stop(r);
	close_fd(&r->kick);
	put_le32(out, r->index);
	put_le32(out + 4, r->next);
	reset_if_idle(vu);
	return reply(vu, m, out, sizeof(out));
}

/* KICK, CALL and ERR: a ring's index and its descriptor, or the NO_FD bit. */
static int ring_fd(struct vhost_user *vu, struct msg *m, struct ring **ret_ring,
                   int *ret_fd)
{
	uint64_t v = get_le64(m->payload);
	struct ring *r = ring_of(vu, v & VU_RING_MASK);
	bool with_fd = !(v & VU_RING_NO_FD);

	if (!r || v & ~(uint64_t)(VU_RING_MASK | VU_RING_NO_FD) ||
	    m->nfds != (with_fd ? 1u : 0u))
		return -EPROTO;
	if (with_fd && fd_set_nonblock(m->fds[0]) < 0)
		return -EPROTO;
	*ret_ring = r;
	*ret_fd = with_fd ? take_fd(m->fds[0]) : -1;
	return 0;
}

static int on_vring_kick(struct vhost_user *vu, struct msg *m)
{
	struct ring *r = NULL;
	int fd = -1, err = ring_fd(vu, m, &r, &fd);

	if (err < 0 || fd < 0) /* rings that are polled are not for us */
		return -EPROTO;
	ring_stop(r);
	close_fd(&r->kick);
	r->kick = fd;
	update_ring(r);
	return 0;
}

static int on_vring_call(struct vhost_user *vu, struct msg *m)
{
	struct ring *r = NULL;
	int fd = -1, err = ring_fd(vu, m, &r, &fd);

	if (err < 0)
		return err;
	close_fd(&r->call);
	r->call = fd;
	/* An interrupt that was meant for the old one must not be lost. */
	if (vu->vqs[r->index].ready)
		ring_signal(fd);
	return 0;
}

static int on_vring_err(struct vhost_user *vu, struct msg *m)
{
	struct ring *r = NULL;
	int fd = -1, err = ring_fd(vu, m, &r, &fd);

	if (err < 0)
		return err;
	close_fd(&r->error);
	r->error = fd;
	return 0;
}

static int on_vring_enable(struct vhost_user *vu, struct msg *m)
{
	struct ring *r = ring_of(vu, get_le32(m->payload));
	uint32_t on = get_le32(m->payload + 4);

	/* A network device's come before its SET_FEATURES. */
	if (!r || on > 1 ||
	    (!(vu->features & VU_F_PROTOCOL_FEATURES) && !vu->spoke))
		return -EPROTO;
	r->enabled = on;
	update_ring(r);
	return 0;
}

/* | offset 4 | size 4 | flags 4 | size bytes |, the same in the reply */
static int config_range(const struct msg *m, uint32_t *ret_off,
                        uint32_t *ret_len)
{
	uint32_t off = get_le32(m->payload);
	uint32_t len = get_le32(m->payload + 4);

	if (off > VU_CONFIG_MAX || len > VU_CONFIG_MAX - off ||
	    m->size != VU_CONFIG_HEAD + len)
		return -EPROTO;
	*ret_off = off;
	*ret_len = len;
	return 0;
}

static int on_get_config(struct vhost_user *vu, struct msg *m)
{
	uint8_t out[VU_CONFIG_HEAD + VU_CONFIG_MAX];
	uint32_t off = 0, len = 0;

	if (config_range(m, &off, &len) < 0)
		return -EPROTO;
	memcpy(out, m->payload, VU_CONFIG_HEAD);
	vu->dev->ops->read_config(vu->dev, off, out + VU_CONFIG_HEAD, len);
	return reply(vu, m, out, VU_CONFIG_HEAD + len);
}

/* No model has a field that a driver may write: taken and forgotten. */
static int on_set_config(struct vhost_user *vu, struct msg *m)
{
	uint32_t off = 0, len = 0;

	(void)vu;
	return config_range(m, &off, &len);
}

#define MANY UINT32_MAX /* the handler checks */

/*
 * All messages that are understood: payload size and number of descriptors,
 * both exact, and whether the handler itself replies. Others end the
 * connection: none is sent for features that were not offered.
 */
static const struct request {
	uint32_t id, size, size_min;
	bool fds, replies;
	int (*run)(struct vhost_user *vu, struct msg *m);
} requests[] = {
	{1,  0,    0,  false, true,  on_get_features  },
	{2,  8,    8,  false, false, on_set_features  },
	{3,  0,    0,  false, false, on_set_owner     },
	{4,  0,    0,  false, false, on_reset         }, /* RESET_OWNER */
	{5,  MANY, 8,  true,  false, on_set_mem_table },
	{8,  8,    8,  false, false, on_vring_num     },
	{9,  40,   40, false, false, on_vring_addr    },
	{10, 8,    8,  false, false, on_vring_base    },
	{11, 8,    8,  false, true,  on_get_vring_base},
	{12, 8,    8,  true,  false, on_vring_kick    },
	{13, 8,    8,  true,  false, on_vring_call    },
	{14, 8,    8,  true,  false, on_vring_err     },
	{15, 0,    0,  false, true,  on_get_protocol  },
	{16, 8,    8,  false, false, on_set_protocol  },
	{17, 0,    0,  false, true,  on_get_queue_num },
	{18, 8,    8,  false, false, on_vring_enable  },
	{24, MANY, 12, false, true,  on_get_config    },
	{25, MANY, 12, false, false, on_set_config    },
	{34, 0,    0,  false, false, on_reset         }, /* RESET_DEVICE */
};

static const struct request *request_of(const struct msg *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		const struct request *q = &requests[i];

		if (q->id != m->request)
			continue;
		return m->size >= q->size_min && m->size <= q->size &&
		                       (q->fds || !m->nfds)
		               ? q
		               : NULL;
	}
	return NULL;
}

/*
 * A message against the protocol ends the connection; one that failed on our
 * side (memory that cannot be mapped) is answered "no" if an answer is wanted.
 */
static void handle(struct vhost_user *vu, struct msg *m)
{
	const struct request *q = request_of(m);
	bool ack = m->flags & VU_NEED_REPLY && vu->protocol & VU_P_REPLY_ACK;
	int r;

	if (!q || (m->flags & (VU_VERSION_MASK | VU_REPLY)) != VU_VERSION) {
		vu_fail(vu, "malformed or unknown message");
		return;
	}
	log_trace("vhost-user %s: request %u", vu->dev->ops->name, m->request);
	r = q->run(vu, m);
	if (vu->failed)
		return;
	if (r == -EPROTO || (r < 0 && !ack))
		vu_fail(vu, "request that breaks the protocol");
	else if (ack && !q->replies && reply_u64(vu, m, r < 0) < 0)
		vu_fail(vu, "reply cannot be sent");
}

static void drop_fds(struct vhost_user *vu)
{
	for (size_t i = 0; i < vu->nfds; i++)
		close_fd(&vu->fds[i]);
	vu->nfds = 0;
}

/* How long the message is, as far as known; 0 if it is too long. */
static size_t wanted(const struct vhost_user *vu)
{
	uint32_t size;

	if (vu->in_len < VU_HEADER)
		return VU_HEADER;
	size = get_le32(vu->in + 8);
	return size > sizeof(vu->in) - VU_HEADER ? 0 : VU_HEADER + size;
}

/* More of the message. 1: got some, 0: nothing there now. */
static int receive(struct vhost_user *vu, size_t want)
{
	int fds[FD_PASS_MAX];
	size_t nfds = 0;
	ssize_t n = fd_recv(vu->sock, vu->in + vu->in_len, want - vu->in_len,
	                    fds, &nfds);

	if (n == -EAGAIN)
		return 0;
	if (n < 0 && n != -ECONNRESET)
		return (int)n;
	if (n <= 0)
		return -ECONNRESET;
	for (size_t i = 0; i < nfds; i++) {
		if (vu->nfds < FD_PASS_MAX)
			vu->fds[vu->nfds++] = fds[i];
		else
			close_fd(&fds[i]);
	}
	vu->in_len += (size_t)n;
	return 1;
}

static void dispatch(struct vhost_user *vu)
{
	struct msg m = {.request = get_le32(vu->in),
	                .flags = get_le32(vu->in + 4),
	                .size = get_le32(vu->in + 8),
	                .payload = vu->in + VU_HEADER,
	                .fds = vu->fds,
	                .nfds = vu->nfds};

	handle(vu, &m);
	drop_fds(vu);
	vu->in_len = 0;
}

static void on_sock(void *arg, uint32_t events)
{
	struct vhost_user *vu = arg;

	(void)events; /* the end of the stream shows in receive() */
	for (unsigned i = 0; i < VU_BATCH && !vu->failed;) {
		size_t want = wanted(vu);
		int r;

		if (!want) {
			vu_fail(vu, "message is too long");
		} else if (vu->in_len == want) {
			dispatch(vu);
			i++;
		} else {
			r = receive(vu, want);
			if (r == 0)
				return;
			if (r < 0)
				vu_fail(vu, r == -ECONNRESET && !vu->in_len
				                    ? NULL
				                    : "cut message");
		}
	}
}

int vhost_user_new(struct loop *l, int sock, struct virtio_dev *dev,
                   void (*closed)(void *arg, const char *why), void *arg,
                   struct vhost_user **ret, struct err *err)
{
	cleanup_close int own = sock;
	cleanup_free struct vhost_user *vu = calloc(1, sizeof(*vu));
	int r;

	if (!vu)
		return err_set(err, -ENOMEM, "no memory for vhost-user");
	if (dev->ops->nqueues > VU_QUEUES_MAX)
		return err_set(err, -EINVAL, "%s has too many queues",
		               dev->ops->name);
	r = fd_set_nonblock(own);
	if (r == 0)
		r = loop_add(l, &vu->sock_src, own, EPOLLIN, on_sock, vu);
	if (r < 0)
		return err_set(err, r, "cannot watch the socket of %s",
		               dev->ops->name);
	vu->l = l;
	vu->dev = dev;
	vu->closed = closed;
	vu->arg = arg;
	vu->sock = take_fd(own);
	for (uint16_t i = 0; i < VU_QUEUES_MAX; i++)
		vu->rings[i] = (struct ring){.index = i,
		                             .vu = vu,
		                             .kick = -1,
		                             .call = -1,
		                             .error = -1};
	dev->transport = &vu_transport;
	dev->transport_data = vu;
	dev->mem = &vu->mem;
	dev->vqs = vu->vqs;
	*ret = take_ptr(vu);
	return 0;
}

void vhost_user_free(struct vhost_user *vu)
{
	if (!vu)
		return;
	loop_del(vu->l, &vu->sock_src);
	close_fd(&vu->sock);
	forget_all(vu);
	loop_timer_del(vu->l, &vu->bye);
	drop_fds(vu);
	guest_mem_release(&vu->mem);
	vu->dev->transport = NULL;
	vu->dev->transport_data = NULL;
	vu->dev->mem = NULL;
	vu->dev->vqs = NULL;
	free(vu);
}
