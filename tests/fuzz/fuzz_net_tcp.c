/*
 * TCP as a guest may speak it: connections whose segments have any flags,
 * numbers (near to those that fit), windows and lengths, a host that writes,
 * reads, closes and resets, time that passes, a link that is full, memory that
 * is short. What each side gets must be what the other has sent, in order: a
 * byte tells its place in the stream.
 *
 * There is a link to msb-tls, which is played here and says what it likes:
 * connection 2 begins with a ClientHello, 3 with a CONNECT, and their bytes go
 * on where they are handed over; 4 has a placeholder in it, of which nobody
 * ever gets the end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "base/tlslink.h"
#include "net/tcp_int.h"

#define CONNS 6
#define SIDES 64
#define OPENS 8
#define PORT  1000

#define NAME    "api.example.com"
#define KEY     "MSB_0123456789abcdef"
#define KEY_AT  300
#define KEY_LEN (sizeof(KEY) - 1)

enum { CONN_HELLO = 2, CONN_CONNECT, CONN_KEY };

/* The far end of what the stack dialled. */
struct side {
	int fd;
	unsigned conn; /* CONNS: not known yet */
	ino_t inner;   /* the stack's end, to know it by */
	bool known;    /* the two below are right */
	uint32_t seq, iss;
	uint32_t got, put;
};

static struct fuzz {
	const uint8_t *p, *end;
	struct net *net;
	struct loop *loop;
	uint64_t now;
	int connect_error;
	bool blocked, batching;
	unsigned room;
	struct side side[SIDES];
	unsigned nsides, opens;
	uint32_t isn;
	void *keep[64];
	unsigned nkeep;
	int tls;     /* msb-tls's end of the link; -1: closed */
	uint64_t id; /* of the last flow that it got */
} z;

static void check(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

static uint8_t byte(void)
{
	return z.p < z.end ? *z.p++ : 0;
}

static uint32_t number(unsigned bytes)
{
	uint32_t v = 0;

	while (bytes--)
		v = v << 8 | byte();
	return v;
}

static uint8_t pattern(uint32_t at)
{
	return (uint8_t)(at * 167 + (at >> 8));
}

/* A ClientHello for NAME. */
static const char hello[] =
	"\x16\3\1\0\x4d\1\0\0\x49\3\3"
	"01234567890123456789012345678901"
	"\0\0\2\x13\1\1\0\0\x1e\0\0\0\x14\0\x12\0\0\x0f" NAME
	"\x0a\x0a\0\2\0\0";

static const char connect_head[] =
	"CONNECT " NAME ":80 HTTP/1.1\r\nHost: " NAME ":80\r\n\r\n";

/* The @at-th byte that the guest says, whose number is @seq. */
static uint8_t said(unsigned conn, uint32_t at, uint32_t seq)
{
	if (conn == CONN_HELLO && at < sizeof(hello) - 1)
		return (uint8_t)hello[at];
	if (conn == CONN_CONNECT && at < sizeof(connect_head) - 1)
		return (uint8_t)connect_head[at];
	if (conn == CONN_KEY && at >= KEY_AT && at < KEY_AT + KEY_LEN)
		return (uint8_t)KEY[at - KEY_AT];
	return pattern(seq);
}

static ino_t inode(int fd)
{
	struct stat st = {0};

	(void)fstat(fd, &st);
	return st.st_ino;
}

/* ---- the host ------------------------------------------------------------ */

static uint64_t host_now(void *arg)
{
	(void)arg;
	return z.now;
}

static int host_socket(void *arg, int domain, int type, int protocol)
{
	struct side *s = &z.side[z.nsides];
	int fd[2];

	(void)arg;
	(void)domain;
	(void)type;
	(void)protocol;
	if (z.nsides == SIDES)
		return -EMFILE;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) < 0)
		return -errno;
	z.nsides++;
	*s = (struct side){.fd = fd[1], .conn = CONNS, .inner = inode(fd[0])};
	return fd[0];
}

static int host_connect(void *arg, int fd, const struct sockaddr *sa,
                        socklen_t len)
{
	(void)arg;
	(void)fd;
	(void)sa;
	(void)len;
	return z.connect_error;
}

static bool host_is_local(void *arg, const struct addr *a)
{
	(void)arg;
	(void)a;
	return false;
}

static const struct net_host_ops host = {host_now, host_socket, host_connect,
                                         host_is_local, NULL};

static struct side *pick_side(void)
{
	unsigned i = byte();

	return z.nsides ? &z.side[i % z.nsides] : NULL;
}

static void host_writes(void)
{
	struct side *s = pick_side();
	uint8_t data[65536];
	size_t len = number(2);
	ssize_t n;

	if (!s || s->fd < 0)
		return;
	for (size_t i = 0; i < len; i++)
		data[i] = pattern(s->put + (uint32_t)i);
	n = send(s->fd, data, len, MSG_NOSIGNAL);
	s->put += n > 0 ? (uint32_t)n : 0;
}

static void host_reads(void)
{
	struct side *s = pick_side();
	uint8_t data[65536];
	ssize_t n;

	if (!s || s->fd < 0)
		return;
	n = recv(s->fd, data, number(2), 0);
	for (ssize_t i = 0; i < n; i++)
		check(s->known &&
		              data[i] == said(s->conn, s->got + (uint32_t)i,
		                              s->seq + s->got + (uint32_t)i),
		      "the host got other bytes");
	s->got += n > 0 ? (uint32_t)n : 0;
	check(s->conn != CONN_KEY || s->got < KEY_AT + KEY_LEN,
	      "a placeholder got out");
}

static void host_ends(void)
{
	struct side *s = pick_side();
	unsigned how = byte() % 3;

	if (!s || s->fd < 0)
		return;
	if (how < 2)
		(void)shutdown(s->fd, how ? SHUT_WR : SHUT_RDWR);
	else
		close_fd(&s->fd);
}

/* ---- the link ------------------------------------------------------------ */

static struct tcp_flow *flow_of(unsigned conn)
{
	struct tuple t = {.guest = z.net->cfg.guest4,
	                  .peer = z.net->cfg.gateway4,
	                  .gport = (uint16_t)(PORT + conn),
	                  .pport = 80};
	struct flow *f = flow_find(&z.net->tcp->table, &t);

	return f ? container_of(f, struct tcp_flow, f) : NULL;
}

/* The last that was known to be its. */
static struct side *side_of(const struct tcp_flow *f)
{
	if (!f || f->active || f->state == TCP_DIALLING)
		return NULL;
	for (unsigned i = z.nsides; i--;)
		if (z.side[i].conn == f->f.t.gport - PORT)
			return &z.side[i];
	return NULL;
}

/* That it is connected with: one may be dialled several times. */
static struct side *dialled_for(const struct tcp_flow *f)
{
	const ino_t inner = inode(f->sock.fd);

	for (unsigned i = z.nsides; i--;)
		if (z.side[i].inner == inner)
			return &z.side[i];
	return NULL;
}

static void guest_gets(const uint8_t *tcp, size_t len)
{
	unsigned conn = get_be16(tcp + 2) - PORT;
	size_t head = (size_t)(tcp[12] >> 4) * 4;
	uint32_t seq = get_be32(tcp + 4);
	const struct side *s;

	check(head >= 20 && head <= len, "a header's length");
	if (conn >= CONNS || get_be16(tcp) != 80)
		return;
	s = side_of(flow_of(conn));
	for (size_t i = head; i < len; i++)
		check(s && s->known &&
		              tcp[i] == pattern(seq - s->iss +
		                                (uint32_t)(i - head)),
		      "the guest got other bytes");
}

static int link_send(void *arg, const struct vnet_hdr *h, const struct iovec *v,
                     unsigned n, size_t len)
{
	static uint8_t f[NET_FRAME_MAX];
	size_t at = 0;

	(void)arg;
	(void)h;
	if (z.blocked)
		return -EAGAIN;
	if (z.room && !--z.room)
		z.blocked = true;
	check(len <= sizeof(f), "a frame's length");
	for (unsigned i = 0; i < n; i++) {
		memcpy(f + at, v[i].iov_base, v[i].iov_len);
		at += v[i].iov_len;
	}
	check(at == len, "a frame's pieces");
	if (len >= 54 && get_be16(f + 12) == ETH_TYPE_IP4 && f[23] == PROTO_TCP)
		guest_gets(f + 34, len - 34);
	return 0;
}

static void link_nothing(void *arg)
{
	(void)arg;
}

static void end_batch(void)
{
	net_batch_end(z.net);
	while (z.nkeep)
		free(z.keep[--z.nkeep]);
}

static void give(uint8_t *f, size_t len, bool large)
{
	const struct vnet_hdr h = {
		.flags = VNET_NEEDS_CSUM,
		.gso_type = large ? VNET_GSO_TCPV4 : VNET_GSO_NONE,
		.gso_size = large ? 1460 : 0,
	};
	size_t cut = MIN(len, 60 + number(1));
	struct iovec v[2] = {
		{f,       cut      },
                {f + cut, len - cut}
        };
	struct iov frame = {v, len > cut ? 2 : 1, len};

	z.keep[z.nkeep++] = f;
	net_input(z.net, &h, &frame);
	if (!z.batching || z.nkeep == ARRAY_SIZE(z.keep))
		end_batch();
}

static void put_ip(uint8_t *ip, size_t len)
{
	uint32_t sum;

	ip[0] = 0x45;
	put_be16(ip + 2, (uint16_t)len);
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = PROTO_TCP;
	memcpy(ip + 12, z.net->cfg.guest4.b + 12, 4);
	memcpy(ip + 16, z.net->cfg.gateway4.b + 12, 4);
	sum = csum_add(0, ip, 20);
	put_be16(ip + 10, (uint16_t)~csum_fold(sum));
}

/* Near to what fits: most of what a guest does wrong is. */
static uint32_t near_to(uint32_t right)
{
	unsigned how = byte();

	if (how < 160)
		return right;
	if (how < 200)
		return right + (uint32_t)(int8_t)byte();
	if (how < 240)
		return right + (uint32_t)(int16_t)number(2);
	return number(4);
}

static void guest_sends(unsigned conn, uint8_t flags)
{
	static const uint8_t syn[] = {2, 4, 5, 0xb4, 1, 3, 3, 7};
	struct tcp_flow *f = flow_of(conn);
	const struct side *s = side_of(f);
	size_t opt = flags & TCP_SYN ? byte() % 3 * 4 : 0;
	size_t len = flags & TCP_SYN ? 0 : number(2) % 65400;
	uint32_t right = f ? f->rcv_nxt : (z.isn += 0x01234567), seq;
	uint8_t *frame = calloc(1, 54 + opt + len);
	uint8_t *t = frame + 34;

	if (byte() & 1)
		len %= 1500;
	if (flags & TCP_SYN && f && f->state == TCP_SYN_RCVD)
		right--;
	seq = near_to(right);
	memcpy(frame, z.net->cfg.gateway_mac, 6);
	memcpy(frame + 6, z.net->cfg.guest_mac, 6);
	put_be16(frame + 12, ETH_TYPE_IP4);
	put_ip(frame + 14, 40 + opt + len);
	put_be16(t, (uint16_t)(PORT + conn));
	put_be16(t + 2, 80);
	put_be32(t + 4, seq);
	put_be32(t + 8, near_to(f ? f->snd_nxt : 0));
	t[12] = (uint8_t)((20 + opt) << 2);
	t[13] = flags;
	put_be16(t + 14, byte() & 1 ? 65535 : (uint16_t)number(2));
	memcpy(t + 20, syn, opt);
	for (size_t i = 0; i < len; i++) {
		uint32_t at = seq + (uint32_t)i;
		uint32_t first = s && s->known ? s->seq : f ? f->rcv_nxt : at;

		t[20 + opt + i] = said(conn, at - first, at);
	}
	give(frame, 54 + opt + len, len > 1460);
}

/* ---- what must hold ------------------------------------------------------ */

static void check_flow(const struct tcp_flow *f, size_t *memory)
{
	struct side *s = f->state == TCP_SYN_RCVD ? dialled_for(f) : NULL;
	uint32_t flight = tcp_in_flight(f);
	bool fin = tcp_has(f, TCP_F_FIN) && !tcp_has(f, TCP_F_ACKED);

	/* From here on both ends' numbers are known. */
	if (s && !s->known) {
		s->conn = f->f.t.gport - PORT;
		s->known = true;
		s->seq = f->rcv_nxt;
		s->iss = f->snd_una + 1;
	}
	check(f->state < TCP_DEAD, "a dead flow in the table");
	check(f->up.used <= ring_size(&f->up), "up");
	check(f->down.used <= ring_size(&f->down), "down");
	check(!f->up.data == !f->up.used, "an empty ring's memory");
	check(!f->down.data == !f->down.used, "an empty ring's memory");
	check(!f->batch || z.nkeep, "noted behind the batch");
	if (f->state == TCP_OPEN)
		check(flight - fin <= f->down.used,
		      "more is out than there is");
	/* Something wakes it: the guest's ACK, the clock, the link, the host.
	 */
	if (f->state == TCP_OPEN && !f->batch && f->down.used)
		check(f->deadline_ns && wheel_is_set(&f->timer), "no timer");
	if (f->state == TCP_OPEN && !f->batch && f->up.used && !f->first)
		check(f->sock.added && f->sock.events & EPOLLOUT,
		      "no EPOLLOUT");
	*memory += ring_size(&f->up) + ring_size(&f->down);
}

static void check_all(void)
{
	const struct tcp *t = z.net->tcp;
	size_t memory = 0, half = 0;

	for (struct flow *f = t->table.oldest; f; f = f->newer) {
		const struct tcp_flow *tf = container_of(f, struct tcp_flow, f);

		check_flow(tf, &memory);
		half += tf->state == TCP_DIALLING || tf->state == TCP_SYN_SENT;
	}
	check(memory == t->pool.used, "the pool's sum");
	check(half == t->half, "the half-open");
	check(t->table.n == z.net->counters.open, "the open");
	check(!t->dead || z.nkeep, "the dead are freed");
}

/* ---- steps --------------------------------------------------------------- */

static void on_opened(void *arg, int error)
{
	if (error)
		(void)close((int)(intptr_t)arg);
}

static void open_into(void)
{
	int fd[2];

	if (z.opens++ >= OPENS ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) < 0)
		return;
	(void)close(fd[1]);
	if (tcp_open(z.net, fd[0], &z.net->cfg.gateway4, PORT, on_opened,
	             (void *)(intptr_t)fd[0]) < 0)
		(void)close(fd[0]);
	net_turn_end(z.net);
}

/* Our SYN's answer: any flags to the port that it came from. */
static void answer_open(void)
{
	for (struct flow *f = z.net->tcp->table.newest; f; f = f->older) {
		struct tcp_flow *tf = container_of(f, struct tcp_flow, f);
		uint8_t *frame;

		if (!tf->active)
			continue;
		frame = calloc(1, 54);
		memcpy(frame, z.net->cfg.gateway_mac, 6);
		memcpy(frame + 6, z.net->cfg.guest_mac, 6);
		put_be16(frame + 12, ETH_TYPE_IP4);
		put_ip(frame + 14, 40);
		put_be16(frame + 34, tf->f.t.gport);
		put_be16(frame + 36, tf->f.t.pport);
		put_be32(frame + 38, near_to(tf->rcv_nxt));
		put_be32(frame + 42, near_to(tf->snd_nxt));
		frame[46] = 0x50;
		frame[47] = byte();
		put_be16(frame + 48, 65535);
		give(frame, 54, false);
		return;
	}
}

/* ---- msb-tls ------------------------------------------------------------- */

static void tls_sends(const void *p, size_t len)
{
	if (z.tls >= 0)
		(void)send(z.tls, p, len, MSG_NOSIGNAL);
}

static void tls_config(const char *names)
{
	char text[600];
	uint32_t type = TLSLINK_CONFIG;
	int n = snprintf(text + 4, sizeof(text) - 4,
	                 "{\"ports\": [80], \"block_quic\": true, "
	                 "\"intercept\": [%s], \"bypass\": [], "
	                 "\"placeholders\": [{\"name\": \"KEY\", \"text\": "
	                 "\"" KEY "\", \"violation\": \"block-and-log\"}]}",
	                 names);

	memcpy(text, &type, 4);
	tls_sends(text, 4 + (size_t)n);
}

/* It is the far end from now on, with what the old one still had. */
static void take_over(struct side *s, int guest, int server)
{
	uint8_t data[65536];
	ssize_t n;

	while ((n = recv(server, data, sizeof(data), 0)) > 0)
		(void)send(guest, data, (size_t)n, MSG_NOSIGNAL);
	(void)close(server);
	close_fd(&s->fd);
	s->fd = guest;
}

static void tls_takes(void)
{
	struct tlslink_flow m;
	int fds[FD_PASS_MAX];
	size_t nfds = 0;
	unsigned i = 0;

	if (z.tls < 0 || fd_recv(z.tls, &m, sizeof(m), fds, &nfds) <= 0)
		return;
	check(nfds == 2 && m.type == TLSLINK_FLOW && m.id > z.id, "a FLOW");
	check(memchr(m.name, 0, sizeof(m.name)) && strcmp(m.name, NAME) == 0,
	      "its name");
	z.id = m.id;
	while (i < z.nsides && z.side[i].inner != inode(fds[1]))
		i++;
	check(i < z.nsides && (z.side[i].conn == CONN_HELLO ||
	                       z.side[i].conn == CONN_CONNECT),
	      "nobody's socket");
	take_over(&z.side[i], fds[0], fds[1]);
}

/* One that nobody took. */
static bool drop_flow(void)
{
	struct tlslink_flow m;
	int fds[FD_PASS_MAX];
	size_t nfds = 0;
	ssize_t n = fd_recv(z.tls, &m, sizeof(m), fds, &nfds);

	while (nfds)
		(void)close(fds[--nfds]);
	return n > 0;
}

static void says_abort(void)
{
	const struct tlslink_abort a = {.type = TLSLINK_ABORT,
	                                .id = byte() & 1 ? z.id : number(2)};

	tls_sends(&a, sizeof(a));
}

static void says_event(void)
{
	struct tlslink_event e = {.type = TLSLINK_EVENT, .what = byte()};

	e.flags = byte();
	e.count = byte();
	memcpy(e.text, "text", 5);
	tls_sends(&e, sizeof(e));
}

static void says_config(void)
{
	static const char *const names[] = {"\"*\"", "\"" NAME "\"", ""};

	tls_config(names[byte() % ARRAY_SIZE(names)]);
}

static void says_anything(void)
{
	uint8_t raw[64];
	size_t len = byte() % sizeof(raw) + 1;

	for (size_t i = 0; i < len; i++)
		raw[i] = byte();
	tls_sends(raw, len);
}

static void ends_link(void)
{
	if (byte() == 0xaa)
		close_fd(&z.tls);
}

static void tls_says(void)
{
	static void (*const words[])(void) = {
		says_abort,  says_abort,    says_event,
		says_config, says_anything, ends_link,
	};

	words[byte() % ARRAY_SIZE(words)]();
}

static void pass_time(void)
{
	z.now += (uint64_t)number(2) << (byte() % 30);
	wheel_run(&z.net->wheel, z.now);
}

static void set_connect(void)
{
	static const int errors[] = {
		0, 0, -EINPROGRESS, -ECONNREFUSED, -ENETUNREACH, -ETIMEDOUT};

	z.connect_error = errors[byte() % ARRAY_SIZE(errors)];
}

static void set_link(void)
{
	z.room = byte() % 8;
	z.blocked = byte() & 1;
	if (!z.blocked)
		net_writable(z.net);
}

static void set_memory(void)
{
	z.net->tcp->pool.max =
		MAX((size_t)4096 << (byte() % 15), z.net->tcp->pool.used);
}

static void set_batch(void)
{
	z.batching = !z.batching;
	if (!z.batching)
		end_batch();
}

static void any_segment(void)
{
	unsigned conn = byte() % CONNS;

	guest_sends(conn, byte());
}

static void syn(void)
{
	guest_sends(byte() % CONNS, TCP_SYN);
}

static void ack(void)
{
	guest_sends(byte() % CONNS, TCP_ACK);
}

static void fin(void)
{
	guest_sends(byte() % CONNS, TCP_ACK | TCP_FIN);
}

static void turn(void)
{
	check(loop_step(z.loop, 0) == 0, "the loop");
}

/* Rare, or an input is over before it has begun. */
static void reset(void)
{
	if (byte() == 0xaa)
		net_reset(z.net);
}

static void (*const steps[])(void) = {
	any_segment, syn,         ack,       ack,         fin,
	host_writes, host_reads,  host_ends, pass_time,   turn,
	turn,        set_link,    set_batch, set_connect, set_memory,
	open_into,   answer_open, reset,     tls_takes,   tls_says,
};

static void start(const struct policy *policy)
{
	static const struct net_link link = {
		.send = link_send,
		.flush = link_nothing,
		.resume = link_nothing,
		.csum = true,
		.tso4 = true,
	};
	struct net_config c = {.mtu = NET_MTU_DEFAULT,
	                       .policy = policy,
	                       .pcap_fd = -1,
	                       .host = &host};
	struct err err = {0};
	int pair[2];

	check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) == 0,
	      "the link");
	z.tls = pair[1];
	c.tls_fd = pair[0];
	tls_config("\"" NAME "\"");
	memcpy(c.guest_mac, "\2\0\0\0\0\2", 6);
	memcpy(c.gateway_mac, "\2\0\0\0\0\1", 6);
	c.guest4 = addr_v4(0xac100002);
	c.gateway4 = addr_v4(0xac100001);
	z.now = clock_now_ns() + 1000000 * NS_PER_S;
	z.loop = loop_new();
	check(z.loop && net_new(&c, z.loop, &link, &z.net, &err) == 0, "start");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct policy *policy;
	struct policy_spec spec = {.profile = "all"};
	struct err err = {0};

	if (!policy) {
		log_setup("fuzz", 2, LOG_NONE);
		check(policy_new(&spec, &policy, &err) == 0, "the policy");
	}
	memset(&z, 0, sizeof(z));
	z.p = data;
	z.end = data + size;
	start(policy);
	for (unsigned i = 0; z.p < z.end && i < 4000; i++) {
		steps[byte() % ARRAY_SIZE(steps)]();
		check_all();
	}
	end_batch();
	net_reset(z.net); /* who waits for tcp_open() closes what is its own */
	for (unsigned i = 0; i < z.nsides; i++)
		close_fd(&z.side[i].fd);
	net_free(z.net);
	while (z.tls >= 0 && drop_flow())
		;
	close_fd(&z.tls);
	loop_free(z.loop);
	return 0;
}
