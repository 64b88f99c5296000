#include "virtio/vsock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/cursor.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "virtio/vsock_int.h"

#include "base/banned.h"

#define TYPE_STREAM 1u

/* Packets sent before other sources of the loop get their turn. */
#define RX_BATCH 256

/* Host ports of connections that the host opens, as ephemeral ports. */
#define PORT_FIRST (1u << 30)

/* ---- to the guest ------------------------------------------------------ */

static void put_packet(const struct vsock_packet *p, uint8_t *raw)
{
	put_le64(raw, p->src_cid);
	put_le64(raw + 8, p->dst_cid);
	put_le32(raw + 16, p->src_port);
	put_le32(raw + 20, p->dst_port);
	put_le32(raw + 24, p->len);
	put_le16(raw + 28, p->type);
	put_le16(raw + 30, p->op);
	put_le32(raw + 32, p->flags);
	put_le32(raw + 36, p->buf_alloc);
	put_le32(raw + 40, p->fwd_cnt);
}

static struct vsock_packet packet_of(struct conn *c, enum vsock_op op,
                                     uint32_t len)
{
	c->told_fwd = c->fwd;
	return (struct vsock_packet){
		.src_cid = VSOCK_HOST_CID,
		.dst_cid = c->v->guest_cid,
		.src_port = c->host_port,
		.dst_port = c->guest_port,
		.len = len,
		.type = TYPE_STREAM,
		.op = (uint16_t)op,
		.flags = op == OP_SHUTDOWN ? c->host_shut : 0,
		.buf_alloc = c->alloc,
		.fwd_cnt = c->fwd,
	};
}

/* Each of these puts one packet into @room and returns its length, or 0. */

static uint32_t send_reply(struct vsock *v, struct iov *room)
{
	const struct reply *r = &v->reply[v->reply_head];
	const struct vsock_packet p = {
		.src_cid = VSOCK_HOST_CID,
		.dst_cid = v->guest_cid,
		.src_port = r->host_port,
		.dst_port = r->guest_port,
		.type = r->type,
		.op = OP_RST,
	};
	uint8_t raw[VSOCK_HEADER];

	put_packet(&p, raw);
	(void)iov_put(room, raw, sizeof(raw));
	v->reply_head = (v->reply_head + 1) % VSOCK_REPLIES_MAX;
	v->nreplies--;
	return VSOCK_HEADER;
}

static uint32_t send_ctl(struct vsock *v, struct iov *room)
{
	struct conn *c = TAILQ_FIRST(&v->ctl);
	enum vsock_op op = (enum vsock_op)__builtin_ctz(c->ctl);
	const struct vsock_packet p = packet_of(c, op, 0);
	uint8_t raw[VSOCK_HEADER];

	put_packet(&p, raw);
	(void)iov_put(room, raw, sizeof(raw));
	c->ctl &= (uint8_t) ~(1u << op);
	if (!c->ctl) {
		TAILQ_REMOVE(&v->ctl, c, ctl_link);
		c->in_ctl = false;
	}
	conn_sent(c, op);
	return VSOCK_HEADER;
}

static uint32_t send_data(struct vsock *v, struct iov *room)
{
	struct conn *c = TAILQ_FIRST(&v->data);
	struct iovec head_v[VQ_CHAIN_MAX];
	struct iov head = {head_v, 0, VSOCK_HEADER};
	uint8_t raw[VSOCK_HEADER];
	struct vsock_packet p;
	bool more;
	size_t n;

	head.n = iov_take(room, VSOCK_HEADER, head_v);
	n = conn_fill(c, room, &more);
	if (!n)
		return 0;
	p = packet_of(c, OP_RW, (uint32_t)n);
	put_packet(&p, raw);
	(void)iov_put(&head, raw, sizeof(raw));
	TAILQ_REMOVE(&v->data, c, data_link);
	c->in_data = more;
	if (more)
		TAILQ_INSERT_TAIL(&v->data, c, data_link);
	else
		conn_watch(c);
	return VSOCK_HEADER + (uint32_t)n;
}

static uint32_t send_next(struct vsock *v, struct iov *room)
{
	if (v->nreplies)
		return send_reply(v, room);
	if (!TAILQ_EMPTY(&v->ctl))
		return send_ctl(v, room);
	return send_data(v, room);
}

static bool work_waits(const struct vsock *v)
{
	return v->nreplies || !TAILQ_EMPTY(&v->ctl) || !TAILQ_EMPTY(&v->data);
}

/* 1 and a buffer with room for a packet, 0 if there is none, or a breach. */
static int take_buffer(struct vsock *v, struct vq_chain *c)
{
	struct vq *vq = &v->dev.vqs[VSOCK_RX];
	int r;

	do {
		r = vq_pop(vq, v->dev.mem, c);
	} while (r == 0 && vq_rearm(vq));
	if (r == 1 && c->in.len <= VSOCK_HEADER)
		return -EPROTO;
	return r;
}

/* Returns 0 when the guest has no more buffers, or a breach. */
static int send_batch(struct vsock *v)
{
	struct vq *vq = &v->dev.vqs[VSOCK_RX];
	struct vq_chain c;

	for (unsigned i = 0; i < RX_BATCH && work_waits(v); i++) {
		int r = take_buffer(v, &c);
		uint32_t n;

		if (r <= 0)
			return r;
		n = send_next(v, &c.in);
		if (n)
			vq_push(vq, c.head, n);
		else
			vq_unpop(vq);
	}
	return 1;
}

/* Out of rx buffers: descriptors that have bytes are not asked again. */
static void stop_watching(struct vsock *v)
{
	struct conn *c, *next;

	v->rx_empty = true;
	for (c = TAILQ_FIRST(&v->data); c; c = next) {
		next = TAILQ_NEXT(c,
		                  data_link); /* conn_watch() may take c out */
		conn_watch(c);
	}
}

/* Connections that the guest never heard of go on waiting. */
static void drop_all(struct vsock *v)
{
	struct conn *c, *next;

	for (c = TAILQ_FIRST(&v->conns); c; c = next) {
		next = TAILQ_NEXT(c, all);
		if (c->state != CONN_ASKED || c->requested)
			conn_free(c);
	}
	v->nreplies = 0;
	v->tx_blocked = false;
	v->rx_empty = false;
}

void vsock_run_rx(struct vsock *v)
{
	struct virtio_dev *d = &v->dev;
	int r;

	if (!d->active || d->broken || v->rx_empty || !work_waits(v))
		return;
	r = send_batch(v);
	virtio_signal(d, VSOCK_RX);
	if (r < 0) {
		const char *why = d->vqs[VSOCK_RX].why;

		virtio_broken(d, why ? why : "rx buffer without room");
		drop_all(v);
		return;
	}
	if (r == 0)
		stop_watching(v);
	else if (work_waits(v))
		d->transport->again(d, VSOCK_RX);
	if (v->tx_blocked && v->nreplies < VSOCK_REPLIES_MAX) {
		v->tx_blocked = false;
		d->transport->again(d, VSOCK_TX);
	}
}

void vsock_run_soon(struct vsock *v)
{
	struct virtio_dev *d = &v->dev;

	if (!d->active || d->broken || v->rx_empty || !work_waits(v))
		return;
	if (d->vqs[VSOCK_RX].ready)
		d->transport->again(d, VSOCK_RX);
	else
		v->rx_empty = true; /* notify() comes with its start */
}

/* ---- from the guest ---------------------------------------------------- */

static void refuse(struct vsock *v, const struct vsock_packet *p)
{
	unsigned at = (v->reply_head + v->nreplies) % VSOCK_REPLIES_MAX;

	if (p->op == OP_RST)
		return;
	/* tx_one() made sure that there is room for one. */
	v->reply[at] = (struct reply){p->src_port, p->dst_port, p->type};
	v->nreplies++;
}

/* Only stream sockets can be half-closed and polled as we need. */
static int check_stream(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return -errno;
	return type == SOCK_STREAM ? fd_set_nonblock(fd) : -EPROTOTYPE;
}

static struct listener *find_listener(struct vsock *v, uint32_t port)
{
	for (unsigned i = 0; i < v->nlisteners; i++)
		if (v->listener[i].port == port)
			return &v->listener[i];
	return NULL;
}

/* Who answers later: until then there is a connection without descriptor. */
static int ask_listener(struct vsock *v, struct listener *l,
                        const struct vsock_packet *p)
{
	struct conn *c;
	int r;

	if (l->n >= l->max)
		return -EMFILE;
	r = conn_new(v, p->src_port, p->dst_port, -1, CONN_WAITING, &c);
	if (r < 0)
		return r;
	c->listener = l;
	l->n++;
	c->id = ++v->next_id;
	c->peer_alloc = p->buf_alloc;
	c->peer_fwd = p->fwd_cnt;
	r = l->ask(l->arg, c->id);
	if (r < 0)
		conn_free(c);
	else
		conn_await(c);
	return r;
}

static int accept_conn(struct vsock *v, const struct vsock_packet *p)
{
	struct listener *l = find_listener(v, p->dst_port);
	cleanup_close int fd = -1;
	struct conn *c;
	int r;

	if (!l)
		return -ECONNREFUSED;
	if (!conn_room(v, true))
		return -EMFILE;
	if (l->ask)
		return ask_listener(v, l, p);
	fd = l->accept(l->arg);
	if (fd < 0)
		return fd;
	r = check_stream(fd);
	if (r < 0)
		return r;
	r = conn_new(v, p->src_port, p->dst_port, take_fd(fd), CONN_OPEN, &c);
	if (r < 0)
		return r;
	c->peer_alloc = p->buf_alloc;
	c->peer_fwd = p->fwd_cnt;
	conn_queue(c, OP_RESPONSE);
	conn_watch(c);
	return 0;
}

static struct vsock_packet get_packet(const uint8_t *raw)
{
	struct cursor c = cur_init(raw, VSOCK_HEADER);
	struct vsock_packet p;

	p.src_cid = cur_le64(&c);
	p.dst_cid = cur_le64(&c);
	p.src_port = cur_le32(&c);
	p.dst_port = cur_le32(&c);
	p.len = cur_le32(&c);
	p.type = cur_le16(&c);
	p.op = cur_le16(&c);
	p.flags = cur_le32(&c);
	p.buf_alloc = cur_le32(&c);
	p.fwd_cnt = cur_le32(&c);
	return p;
}

static void deliver(struct vsock *v, const struct vsock_packet *p,
                    struct iov *data)
{
	struct conn *c;

	if (p->type != TYPE_STREAM) {
		refuse(v, p);
		return;
	}
	c = conn_find(v, p->src_port, p->dst_port);
	if (!c) {
		if (p->op != OP_REQUEST || accept_conn(v, p) < 0)
			refuse(v, p);
	} else if (p->op >= OP_COUNT || p->len > VSOCK_PACKET_MAX ||
	           p->len > data->len) {
		conn_reset(c);
	} else {
		iov_keep(data, p->len);
		conn_packet(c, p, data);
	}
}

static int tx_one(struct virtio_dev *d, struct vq_chain *c, uint32_t *ret_len)
{
	struct vsock *v = (struct vsock *)d;
	uint8_t raw[VSOCK_HEADER];
	struct vsock_packet p;

	*ret_len = 0;
	if (v->nreplies == VSOCK_REPLIES_MAX) {
		v->tx_blocked = true;
		return -EAGAIN;
	}
	if (iov_get(&c->out, raw, sizeof(raw)) < 0)
		return -EPROTO;
	p = get_packet(raw);
	if (p.src_cid != v->guest_cid || p.dst_cid != VSOCK_HOST_CID) {
		log_limited(LOG_WARN, "vsock: packet with a forged address");
		return 0;
	}
	deliver(v, &p, &c->out);
	return 0;
}

/* ---- the device -------------------------------------------------------- */

static void vsock_notify(struct virtio_dev *d, uint16_t q)
{
	struct vsock *v = (struct vsock *)d;

	if (q == VSOCK_RX)
		v->rx_empty = false;
	else if (q == VSOCK_TX && !v->tx_blocked)
		virtio_serve(d, VSOCK_TX, tx_one);
	vsock_run_rx(v);
	if (d->broken)
		drop_all(v);
}

static void vsock_read_config(struct virtio_dev *d, uint32_t off, void *data,
                              uint32_t len)
{
	uint8_t config[8];

	put_le64(config, ((struct vsock *)d)->guest_cid);
	virtio_config_copy(config, sizeof(config), off, data, len);
}

static int vsock_activate(struct virtio_dev *d)
{
	(void)d; /* what waits goes out with the first rx buffer */
	return 0;
}

static void vsock_reset(struct virtio_dev *d)
{
	drop_all((struct vsock *)d);
}

static void vsock_free(struct virtio_dev *d)
{
	struct vsock *v = (struct vsock *)d;

	while (!TAILQ_EMPTY(&v->conns))
		conn_free(TAILQ_FIRST(&v->conns));
	free(v);
}

static const struct virtio_dev_ops vsock_ops = {
	.name = "vsock",
	.id = VIRTIO_ID_VSOCK,
	.nqueues = VSOCK_QUEUES,
	.queue_max = VQ_SIZE_MAX,
	.queue_offered = 128, /* Linux: a page for each of rx */
	.config_len = 8,
	.read_config = vsock_read_config,
	.activate = vsock_activate,
	.notify = vsock_notify,
	.reset = vsock_reset,
	.free = vsock_free,
};

int vsock_new(struct loop *l, uint64_t guest_cid, struct virtio_dev **ret,
              struct err *err)
{
	struct vsock *v;

	if (guest_cid <= VSOCK_HOST_CID || guest_cid > UINT32_MAX - 1u)
		return err_set(err, -EINVAL, "vsock address %llu is reserved",
		               (unsigned long long)guest_cid);
	v = calloc(1, sizeof(*v));
	if (!v)
		return err_set(err, -ENOMEM, "no memory for vsock");
	v->l = l;
	v->guest_cid = guest_cid;
	v->next_port = PORT_FIRST;
	TAILQ_INIT(&v->conns);
	TAILQ_INIT(&v->ctl);
	TAILQ_INIT(&v->data);
	v->dev.ops = &vsock_ops;
	v->dev.offered = 1ULL << VIRTIO_F_VERSION_1 |
	                 1ULL << VIRTIO_F_INDIRECT_DESC |
	                 1ULL << VIRTIO_F_EVENT_IDX;
	*ret = &v->dev;
	return 0;
}

unsigned vsock_sessions(const struct virtio_dev *d)
{
	const struct vsock *v = (const struct vsock *)d;

	return v->nconns - v->nby_guest;
}

/*
 * A name is the one thing that both ends of a pair of sockets can see: the end
 * at hand gets one from the kernel (unless it has one), then each of ours is
 * asked for its peer's.
 */
static int name_it(int fd, struct sockaddr_un *ret, socklen_t *ret_len)
{
	struct sockaddr_un any = {.sun_family = AF_UNIX};

	if (bind(fd, (void *)&any, sizeof(any.sun_family)) < 0)
		return -errno;
	*ret_len = sizeof(*ret);
	memset(ret, 0, sizeof(*ret));
	if (getsockname(fd, (void *)ret, ret_len) < 0)
		return -errno;
	return *ret_len > sizeof(any.sun_family) ? 0 : -ENOTCONN;
}

static bool is_peer(int fd, const struct sockaddr_un *name, socklen_t len)
{
	struct sockaddr_un peer = {0};
	socklen_t n = sizeof(peer);

	return fd >= 0 && getpeername(fd, (void *)&peer, &n) == 0 && n == len &&
	       memcmp(&peer, name, n) == 0;
}

int vsock_follow(struct virtio_dev *d, int fd, const struct vsock_follower *f)
{
	struct vsock *v = (struct vsock *)d;
	struct sockaddr_un name;
	socklen_t len;
	struct conn *c;
	int r = name_it(fd, &name, &len);

	if (r < 0)
		return r;
	TAILQ_FOREACH(c, &v->conns, all)
	{
		if (!is_peer(c->fd, &name, len))
			continue;
		c->follower = f ? *f : (struct vsock_follower){0};
		return 0;
	}
	return -ENOTCONN;
}

void vsock_unfollow(struct virtio_dev *d, const void *arg)
{
	struct vsock *v = (struct vsock *)d;
	struct conn *c;

	TAILQ_FOREACH(c, &v->conns, all)
	if (c->follower.arg == arg)
		c->follower.ended = NULL;
}

int vsock_connect(struct virtio_dev *d, uint32_t port, int fd)
{
	struct vsock *v = (struct vsock *)d;
	cleanup_close int own = fd;
	struct conn *c;
	int r = check_stream(own);

	if (r < 0)
		return r;
	do {
		v->next_port = MAX(v->next_port + 1, PORT_FIRST);
	} while (conn_find(v, port, v->next_port));
	r = conn_new(v, port, v->next_port, take_fd(own), CONN_ASKED, &c);
	if (r < 0)
		return r;
	conn_queue(c, OP_REQUEST);
	vsock_run_rx(v);
	return 0;
}

static int add_listener(struct virtio_dev *d, const struct listener *l)
{
	struct vsock *v = (struct vsock *)d;

	if (find_listener(v, l->port))
		return -EEXIST;
	if (v->nlisteners == VSOCK_LISTENERS_MAX)
		return -ENOSPC;
	v->listener[v->nlisteners++] = *l;
	return 0;
}

int vsock_listen(struct virtio_dev *d, uint32_t port, int (*accept)(void *arg),
                 void *arg)
{
	return add_listener(
		d,
		&(struct listener){.port = port, .accept = accept, .arg = arg});
}

int vsock_listen_later(struct virtio_dev *d, uint32_t port, unsigned max,
                       int (*ask)(void *arg, uint64_t id), void *arg)
{
	return add_listener(
		d, &(struct listener){
			   .port = port, .ask = ask, .arg = arg, .max = max});
}

void vsock_answer(struct virtio_dev *d, uint64_t id, int fd_or_error)
{
	struct vsock *v = (struct vsock *)d;
	cleanup_close int own = fd_or_error;
	struct conn *c;

	TAILQ_FOREACH(c, &v->conns, all)
	if (c->id == id && c->state == CONN_WAITING)
		break;
	if (!c)
		return;
	if (own < 0 || check_stream(own) < 0)
		conn_reset(c);
	else
		conn_accept(c, take_fd(own));
	vsock_run_rx(v);
}
