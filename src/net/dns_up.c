#include "net/dns_up.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "net/net_int.h"

#include "base/banned.h"

#define UDP_ROOM    4096 /* larger answers than that were not asked for */
#define STRANGE_MAX 16   /* answers to something else, then TCP */
#define RECV_MAX    16   /* a turn */
#define RESEND_PART 4    /* a lost query is sent again at 1/4 of its time */
#define TCP_PREFIX  2

/*
 * One question on its way.
 *
 *	UDP --answer--> end             any --time, error, SERVFAIL--> next
 *	 | cut, strange answers         server, by UDP or (guest's) TCP
 *	 v
 *	TCP --answer--> end
 */
struct dns_job {
	struct dns_up *up;
	struct dns_job *next, **prev;
	struct dns_wait *waits;
	struct dns_ask ask;
	struct net_dns_server server[NET_SERVERS_MAX];
	unsigned index[NET_SERVERS_MAX]; /* in up->server */
	unsigned nservers, at;
	uint64_t servers_age;
	struct loop_fd fd; /* fd.fd < 0: none */
	struct wheel_timer timer;
	bool resent;
	bool ending; /* who waits is being told */
	uint64_t deadline_ns;
	unsigned strange;
	/* What was sent, with room for TCP's prefix. */
	struct dns_name sent_name;
	uint16_t id;
	uint8_t out[TCP_PREFIX + DNS_QUERY_MAX];
	size_t out_len, out_at;
	/* TCP's answer; NULL until its length is known. */
	uint8_t prefix[TCP_PREFIX];
	uint8_t *in;
	size_t in_len, in_at; /* in_at counts the prefix, too */
};

struct dns_up {
	struct net *n;
	struct dns_job *jobs;
	unsigned nwaits;
	struct net_dns_server server[NET_SERVERS_MAX];
	uint64_t rests_until_ns[NET_SERVERS_MAX];
	unsigned nservers;
	uint64_t servers_age;
	struct shape rate;
	uint8_t buf[UDP_ROOM + 1];
};

static void try_next(struct dns_job *j, int error);

/* ---- servers ---- */

struct dns_up *dns_up_new(struct net *n)
{
	struct dns_up *u = calloc(1, sizeof(*u));
	struct net_rate none = {0}, rate = {DNS_RATE, DNS_RATE_BURST};

	if (!u)
		return NULL;
	u->n = n;
	shape_init(&u->rate, &none, &rate, net_now(n));
	dns_up_servers(u, n->cfg.servers, n->cfg.nservers);
	return u;
}

void dns_up_servers(struct dns_up *u, const struct net_dns_server *s,
                    unsigned n)
{
	u->nservers = MIN(n, NET_SERVERS_MAX);
	for (unsigned i = 0; i < u->nservers; i++)
		u->server[i] = s[i];
	memset(u->rests_until_ns, 0, sizeof(u->rests_until_ns));
	u->servers_age++;
}

unsigned dns_up_nservers(const struct dns_up *u)
{
	return u->nservers;
}

static void take_servers(struct dns_job *j, bool resting)
{
	const struct dns_up *u = j->up;
	uint64_t now = net_now(u->n);

	for (unsigned i = 0; i < u->nservers; i++)
		if ((u->rests_until_ns[i] > now) == resting) {
			j->index[j->nservers] = i;
			j->server[j->nservers++] = u->server[i];
		}
}

/* In order, those that did not answer lately behind the others. */
static void choose_servers(struct dns_job *j)
{
	j->servers_age = j->up->servers_age;
	if (j->ask.direct) {
		j->server[0] = j->ask.server;
		j->nservers = 1;
		return;
	}
	take_servers(j, false);
	take_servers(j, true);
}

static void server_is_silent(struct dns_job *j)
{
	struct dns_up *u = j->up;

	if (!j->ask.direct && j->servers_age == u->servers_age)
		u->rests_until_ns[j->index[j->at]] =
			net_now(u->n) + DNS_SERVER_REST_NS;
}

/* ---- jobs ---- */

static void job_disconnect(struct dns_job *j)
{
	loop_del(j->up->n->loop, &j->fd);
	close_fd(&j->fd.fd);
	wheel_del(&j->up->n->wheel, &j->timer);
	free(j->in);
	j->in = NULL;
	j->in_at = j->in_len = j->out_at = 0;
}

static void wait_unlink(struct dns_up *u, struct dns_wait *w)
{
	*w->prev = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->job = NULL;
	u->nwaits--;
}

static void job_free(struct dns_job *j)
{
	job_disconnect(j);
	while (j->waits)
		wait_unlink(j->up, j->waits);
	*j->prev = j->next;
	if (j->next)
		j->next->prev = j->prev;
	free(j);
}

/*
 * Who is told may cancel others that wait here. @m may lie in j->in, so the
 * job goes last.
 */
static void job_end(struct dns_job *j, int error, const struct dns_msg *m)
{
	j->ending = true;
	while (j->waits) {
		struct dns_wait *w = j->waits;

		wait_unlink(j->up, w);
		w->done(w, error, m);
	}
	job_free(j);
}

static uint64_t timeout_ns(const struct net *n)
{
	uint32_t ms = n->cfg.dns_timeout_ms;

	return (ms ? ms : DNS_TIMEOUT_DEFAULT) * NS_PER_MS;
}

/* A new id and, for UDP, a new spelling. */
static int make_query(struct dns_job *j, bool tcp)
{
	uint8_t random[2 + DNS_NAME_MAX / 8 + 1];
	struct dns_name *name = &j->sent_name;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	*name = j->ask.q.name;
	for (unsigned i = 0; i < name->len && !tcp; i++) {
		uint8_t c = name->b[i] | 0x20;

		if (c >= 'a' && c <= 'z' && random[2 + i / 8] >> i % 8 & 1)
			name->b[i] ^= 0x20;
	}
	j->id = get_be16(random);
	j->out_len = TCP_PREFIX + dns_query_build(&j->ask.q, name, j->id,
	                                          j->out + TCP_PREFIX);
	put_be16(j->out, (uint16_t)(j->out_len - TCP_PREFIX));
	return 0;
}

static int job_connect(struct dns_job *j, int type)
{
	const struct net_dns_server *s = &j->server[j->at];
	cleanup_close int fd = -1;
	struct net *n = j->up->n;
	int r;

	fd = net_socket(n, addr_is_v4(&s->addr) ? AF_INET : AF_INET6, type, 0);
	if (fd < 0)
		return fd;
	r = net_connect(n, fd, &s->addr, s->port);
	if (r < 0 && r != -EINPROGRESS)
		return r;
	j->fd.fd = take_fd(fd);
	return 0;
}

/* ---- answers ---- */

static bool spelled_alike(const struct dns_name *a, const struct dns_name *b)
{
	return a->len == b->len && memcmp(a->b, b->b, a->len) == 0;
}

/* Servers that cannot or will not may leave the question out. */
static bool server_gives_up(const struct dns_job *j, const uint8_t *b,
                            size_t len)
{
	return len >= DNS_HEAD && get_be16(b) == j->id &&
	       get_be16(b + 2) & DNS_QR && get_be16(b + 4) == 0 &&
	       (get_be16(b + 2) & DNS_RCODE) != DNS_NOERROR;
}

static bool is_our_answer(const struct dns_job *j, const struct dns_msg *m)
{
	return m->id == j->id && m->flags & DNS_QR &&
	       !(m->flags & DNS_OPCODE) && m->type == j->ask.q.type &&
	       m->class == j->ask.q.class &&
	       dns_name_eq(&m->name, &j->sent_name);
}

static bool another_may_know(const struct dns_job *j, const struct dns_msg *m)
{
	unsigned rcode = m->flags & DNS_RCODE;

	return j->at + 1 < j->nservers &&
	       (rcode == DNS_SERVFAIL || rcode == DNS_NOTIMP ||
	        rcode == DNS_REFUSED);
}

static int start_tcp(struct dns_job *j);

static void go_tcp(struct dns_job *j)
{
	int r;

	job_disconnect(j);
	r = start_tcp(j);
	if (r < 0)
		try_next(j, r);
}

/* True: the job is over or elsewhere, its socket is not to be read again. */
static bool take_datagram(struct dns_job *j, const uint8_t *b, size_t len)
{
	struct dns_msg m;

	if (server_gives_up(j, b, len)) {
		try_next(j, -EPROTO);
		return true;
	}
	if (len > UDP_ROOM || dns_msg_parse(b, len, &m) < 0 ||
	    !is_our_answer(j, &m)) {
		if (++j->strange < STRANGE_MAX)
			return false;
		go_tcp(j);
		return true;
	}
	if (m.flags & DNS_TC || !spelled_alike(&m.name, &j->sent_name)) {
		go_tcp(j);
		return true;
	}
	if (another_may_know(j, &m))
		try_next(j, -EPROTO);
	else
		job_end(j, 0, &m);
	return true;
}

/* Over TCP all must fit: nobody else writes there. */
static void take_stream(struct dns_job *j)
{
	struct dns_msg m;

	if (server_gives_up(j, j->in, j->in_len) ||
	    dns_msg_parse(j->in, j->in_len, &m) < 0 || !is_our_answer(j, &m) ||
	    m.flags & DNS_TC || another_may_know(j, &m))
		try_next(j, -EPROTO);
	else
		job_end(j, 0, &m);
}

/* ---- UDP ---- */

static void udp_receive(struct dns_job *j)
{
	struct dns_up *u = j->up;

	for (int i = 0; i < RECV_MAX; i++) {
		ssize_t r =
			recv(j->fd.fd, u->buf, sizeof(u->buf), MSG_DONTWAIT);

		if (r < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (r < 0) {
			try_next(j, -errno);
			return;
		}
		if (take_datagram(j, u->buf, (size_t)r))
			return;
	}
}

static void on_udp(void *arg, uint32_t events)
{
	struct dns_job *j = arg;
	struct net *n = j->up->n;

	(void)events;
	udp_receive(j);
	net_turn_end(n);
}

static int udp_send(struct dns_job *j)
{
	ssize_t r = send(j->fd.fd, j->out + TCP_PREFIX, j->out_len - TCP_PREFIX,
	                 MSG_NOSIGNAL | MSG_DONTWAIT);

	return r < 0 ? -errno : 0;
}

/*
 * Time is over, or it is time to send once more, in case it was lost. An error
 * of sending again is the server's (it refuses), and its time is over.
 */
static void on_timer(struct wheel_timer *t)
{
	struct dns_job *j = container_of(t, struct dns_job, timer);
	struct net *n = j->up->n;

	if (!j->resent && udp_send(j) == 0) {
		j->resent = true;
		wheel_set(&n->wheel, &j->timer, j->deadline_ns, on_timer);
		return;
	}
	server_is_silent(j);
	try_next(j, -ETIMEDOUT);
	net_turn_end(n);
}

static int start_udp(struct dns_job *j)
{
	struct net *n = j->up->n;
	uint64_t now = net_now(n);
	int r;

	r = make_query(j, false);
	if (r == 0)
		r = job_connect(j, SOCK_DGRAM);
	if (r == 0)
		r = udp_send(j);
	if (r == 0)
		r = loop_add(n->loop, &j->fd, j->fd.fd, EPOLLIN, on_udp, j);
	if (r < 0)
		return r;
	j->strange = 0;
	j->resent = false;
	j->deadline_ns = now + timeout_ns(n);
	wheel_set(&n->wheel, &j->timer, now + timeout_ns(n) / RESEND_PART,
	          on_timer);
	return 0;
}

/* ---- TCP ---- */

/* 0: all was sent or must wait. */
static int tcp_send(struct dns_job *j)
{
	while (j->out_at < j->out_len) {
		ssize_t r = send(j->fd.fd, j->out + j->out_at,
		                 j->out_len - j->out_at,
		                 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return errno == EAGAIN ? 0 : -errno;
		j->out_at += (size_t)r;
	}
	return loop_mod(j->up->n->loop, &j->fd, EPOLLIN);
}

/* Of the prefix or of the message; -EAGAIN. */
static int tcp_read_some(struct dns_job *j)
{
	bool head = j->in_at < TCP_PREFIX;
	uint8_t *to =
		head ? j->prefix + j->in_at : j->in + (j->in_at - TCP_PREFIX);
	size_t room = head ? TCP_PREFIX - j->in_at
	                   : TCP_PREFIX + j->in_len - j->in_at;
	ssize_t r = recv(j->fd.fd, to, room, MSG_DONTWAIT);

	if (r <= 0)
		return r < 0 ? -errno : -ECONNRESET;
	j->in_at += (size_t)r;
	if (j->in_at != TCP_PREFIX || !head)
		return 0;
	j->in_len = get_be16(j->prefix);
	if (j->in_len < DNS_HEAD)
		return -EPROTO;
	j->in = malloc(j->in_len);
	return j->in ? 0 : -ENOMEM;
}

static void tcp_receive(struct dns_job *j)
{
	int r;

	do {
		r = tcp_read_some(j);
		if (r == 0 && j->in && j->in_at == TCP_PREFIX + j->in_len) {
			take_stream(j);
			return;
		}
	} while (r == 0 || r == -EINTR);
	if (r != -EAGAIN)
		try_next(j, r);
}

static void on_tcp(void *arg, uint32_t events)
{
	struct dns_job *j = arg;
	struct net *n = j->up->n;
	int r = 0;

	if (j->out_at < j->out_len && events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
		r = tcp_send(j);
	if (r < 0)
		try_next(j, r);
	else if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		tcp_receive(j);
	net_turn_end(n);
}

static int start_tcp(struct dns_job *j)
{
	struct net *n = j->up->n;
	int r;

	r = make_query(j, true);
	if (r == 0)
		r = job_connect(j, SOCK_STREAM);
	if (r == 0)
		r = loop_add(n->loop, &j->fd, j->fd.fd, EPOLLIN | EPOLLOUT,
		             on_tcp, j);
	if (r < 0)
		return r;
	j->resent = true; /* the kernel does that */
	j->deadline_ns = net_now(n) + timeout_ns(n);
	wheel_set(&n->wheel, &j->timer, j->deadline_ns, on_timer);
	return 0;
}

/* ---- who asks ---- */

/* The job ends when there is no further server. */
static void start(struct dns_job *j, int error)
{
	for (; j->at < j->nservers; j->at++) {
		error = j->ask.tcp ? start_tcp(j) : start_udp(j);
		if (error == 0)
			return;
		job_disconnect(j);
	}
	job_end(j, error, NULL);
}

static void try_next(struct dns_job *j, int error)
{
	job_disconnect(j);
	j->at++;
	start(j, error);
}

static bool same_question(const struct dns_ask *a, const struct dns_ask *b)
{
	const uint16_t flags = DNS_RD | DNS_AD | DNS_CD;

	return a->q.type == b->q.type && a->q.class == b->q.class &&
	       (a->q.flags & flags) == (b->q.flags & flags) &&
	       a->q.opt == b->q.opt && a->q.dnssec_ok == b->q.dnssec_ok &&
	       a->tcp == b->tcp && a->direct == b->direct &&
	       (!a->direct || (addr_eq(&a->server.addr, &b->server.addr) &&
	                       a->server.port == b->server.port)) &&
	       dns_name_eq(&a->q.name, &b->q.name);
}

static struct dns_job *find_job(const struct dns_up *u,
                                const struct dns_ask *ask)
{
	for (struct dns_job *j = u->jobs; j; j = j->next)
		if (!j->ending && j->servers_age == u->servers_age &&
		    same_question(&j->ask, ask))
			return j;
	return NULL;
}

static struct dns_job *job_new(struct dns_up *u, const struct dns_ask *ask)
{
	struct dns_job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->up = u;
	j->ask = *ask;
	j->fd.fd = -1;
	choose_servers(j);
	j->next = u->jobs;
	j->prev = &u->jobs;
	if (j->next)
		j->next->prev = &j->next;
	u->jobs = j;
	return j;
}

static void wait_link(struct dns_job *j, struct dns_wait *w)
{
	w->job = j;
	w->next = j->waits;
	w->prev = &j->waits;
	if (w->next)
		w->next->prev = &w->next;
	j->waits = w;
	j->up->nwaits++;
}

int dns_up_ask(struct dns_up *u, const struct dns_ask *ask, struct dns_wait *w)
{
	struct dns_job *j;
	uint64_t at;

	w->job = NULL;
	if (u->nwaits >= DNS_IN_FLIGHT_MAX)
		return -EBUSY;
	j = find_job(u, ask);
	if (j) {
		wait_link(j, w);
		return 0;
	}
	if (!shape_open(&u->rate, net_now(u->n), &at))
		return -EDQUOT;
	j = job_new(u, ask);
	if (!j)
		return -ENOMEM;
	shape_take(&u->rate, 0);
	wait_link(j, w);
	start(j, -ENETUNREACH);
	return 0;
}

void dns_up_cancel(struct dns_up *u, struct dns_wait *w)
{
	struct dns_job *j = w->job;

	if (!j)
		return;
	wait_unlink(u, w);
	if (!j->waits && !j->ending)
		job_free(j);
}

void dns_up_free(struct dns_up *u)
{
	if (!u)
		return;
	while (u->jobs)
		job_free(u->jobs);
	free(u);
}
