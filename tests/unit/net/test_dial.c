/*
 * Dials to real sockets of this host, directly and through proxies that the
 * test plays: it says what it is told, however it is cut.
 */
#include "lib/test.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "net/dial.h"
#include "net/net_int.h"

#define GATEWAY 0xac100001
#define TURNS   2000

struct bed {
	struct net n;
	struct net_host_ops ops;
	uint64_t now;
	bool peer_is_local;
	int connect_error; /* 0: the kernel's */
	bool self;         /* connect a socket to itself */
	int socket_error;
	/* the server */
	int listener, client;
	uint16_t port;
	/* what came of it */
	unsigned ndone;
	int result;
};

static uint64_t op_now(void *arg)
{
	struct bed *b = arg;

	return b->now;
}

static int op_socket(void *arg, int domain, int type, int protocol)
{
	struct bed *b = arg;

	if (b->socket_error)
		return b->socket_error;
	return socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

static int op_connect(void *arg, int fd, const struct sockaddr *sa,
                      socklen_t len)
{
	struct bed *b = arg;

	if (b->connect_error)
		return b->connect_error;
	if (b->self)
		assert_int_equal(bind(fd, sa, len), 0);
	return connect(fd, sa, len) < 0 ? -errno : 0;
}

static bool op_is_local(void *arg, const struct addr *a)
{
	struct bed *b = arg;

	(void)a;
	return b->peer_is_local;
}

static void server_open(struct bed *b, int backlog)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);

	b->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_true(b->listener >= 0);
	assert_int_equal(bind(b->listener, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(b->listener, backlog), 0);
	assert_int_equal(getsockname(b->listener, (struct sockaddr *)&sa, &len),
	                 0);
	b->port = ntohs(sa.sin_port);
}

static int setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->listener = b->client = -1;
	b->result = -1;
	b->now = NS_PER_S;
	b->ops = (struct net_host_ops){op_now, op_socket, op_connect,
	                               op_is_local, b};
	b->n.cfg.host = &b->ops;
	b->n.cfg.gateway4 = addr_v4(GATEWAY);
	b->n.cfg.guest4 = addr_v4(GATEWAY + 1);
	b->n.loop = loop_new();
	assert_non_null(b->n.loop);
	wheel_init(&b->n.wheel, NULL, b->now);
	server_open(b, 16);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	if (b->ndone && b->result >= 0)
		(void)close(b->result);
	close_fd(&b->listener);
	close_fd(&b->client);
	wheel_release(&b->n.wheel);
	loop_free(b->n.loop);
	free(b);
	return 0;
}

static void on_done(void *arg, int fd_or_error)
{
	struct bed *b = arg;

	b->ndone++;
	b->result = fd_or_error;
}

static struct dial *start(struct bed *b, const struct addr *peer, uint16_t port,
                          const char *name)
{
	struct dial *d = NULL;

	assert_int_equal(dial_start(&b->n, peer, port, name, on_done, b, &d),
	                 0);
	assert_non_null(d);
	assert_int_equal(b->ndone, 0);
	return d;
}

static void turns(struct bed *b)
{
	for (int i = 0; i < TURNS && !b->ndone; i++)
		assert_int_equal(loop_step(b->n.loop, 1), 0);
	assert_int_equal(b->ndone, 1);
}

static int sockopt(int fd, int level, int name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	assert_int_equal(getsockopt(fd, level, name, &v, &len), 0);
	return v;
}

/* ---- direct -------------------------------------------------------------- */

static void gateway_leads_to_loopback_with_options(void **state)
{
	struct bed *b = *state;
	struct addr peer = addr_v4(GATEWAY);

	(void)start(b, &peer, b->port, NULL);
	turns(b);
	assert_true(b->result >= 0);
	assert_true(sockopt(b->result, IPPROTO_TCP, TCP_NODELAY) != 0);
	assert_int_equal(sockopt(b->result, SOL_SOCKET, SO_KEEPALIVE), 0);
	dial_keep_alive(b->result); /* once it stays */
	assert_true(sockopt(b->result, SOL_SOCKET, SO_KEEPALIVE) != 0);
	assert_int_equal(sockopt(b->result, IPPROTO_TCP, TCP_KEEPIDLE), 60);
	assert_int_equal(sockopt(b->result, IPPROTO_TCP, TCP_KEEPINTVL), 10);
	assert_int_equal(sockopt(b->result, IPPROTO_TCP, TCP_KEEPCNT), 6);
	assert_int_equal(sockopt(b->result, IPPROTO_TCP, TCP_NOTSENT_LOWAT),
	                 1 << 20);
	b->client = accept(b->listener, NULL, NULL);
	assert_true(b->client >= 0);
	assert_int_equal(write(b->result, "x", 1), 1);
	assert_int_equal(b->n.wheel.n, 0);
}

static void closed_port_is_refused(void **state)
{
	struct bed *b = *state;
	struct addr peer = addr_v4(0x7f000001);

	close_fd(&b->listener);
	(void)start(b, &peer, b->port, NULL);
	turns(b);
	assert_int_equal(b->result, -ECONNREFUSED);
}

static void error_at_once_comes_later(void **state)
{
	struct bed *b = *state;
	struct addr peer = addr_v4(0x01020304);

	b->connect_error = -ENETUNREACH;
	(void)start(b, &peer, 80, NULL);
	turns(b);
	assert_int_equal(b->result, -ENETUNREACH);
}

static void host_without_ipv6_is_unreachable(void **state)
{
	struct bed *b = *state;
	struct addr peer;

	assert_int_equal(addr_parse("2001:db8::1", &peer), 0);
	b->socket_error = -EAFNOSUPPORT;
	(void)start(b, &peer, 80, NULL);
	turns(b);
	assert_int_equal(b->result, -ENETUNREACH);
}

static void no_descriptors_is_told_at_once(void **state)
{
	struct bed *b = *state;
	struct addr peer = addr_v4(0x01020304);
	struct dial *d = NULL;

	b->socket_error = -EMFILE;
	assert_int_equal(dial_start(&b->n, &peer, 80, NULL, on_done, b, &d),
	                 -EMFILE);
	assert_null(d);
	assert_int_equal(loop_step(b->n.loop, 0), 0);
	assert_int_equal(b->ndone, 0);
}

/* Connections that fill the server's queue, so that the next one hangs. */
static void fill_queue(struct bed *b, int *fds, size_t n)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
	                         .sin_port = htons(b->port),
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	for (size_t i = 0; i < n; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		assert_true(fds[i] >= 0);
		(void)connect(fds[i], (struct sockaddr *)&sa, sizeof(sa));
	}
	(void)usleep(20000);
}

static void silence_is_a_timeout_after_a_minute(void **state)
{
	struct bed *b = *state;
	struct addr peer = addr_v4(0x7f000001);
	int fds[8];

	close_fd(&b->listener);
	server_open(b, 0);
	fill_queue(b, fds, ARRAY_SIZE(fds));
	(void)start(b, &peer, b->port, NULL);
	for (int i = 0; i < 20; i++)
		assert_int_equal(loop_step(b->n.loop, 1), 0);
	b->now += DIAL_TIMEOUT_NS - NS_PER_S;
	wheel_run(&b->n.wheel, b->now);
	assert_int_equal(b->ndone, 0);
	b->now += NS_PER_S + 2 * WHEEL_TICK_NS;
	wheel_run(&b->n.wheel, b->now);
	assert_int_equal(b->ndone, 1);
	assert_int_equal(b->result, -ETIMEDOUT);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		(void)close(fds[i]);
}

static void cancelled_one_is_silent_and_closed(void **state)
{
	struct bed *b = *state;
	struct addr peer = addr_v4(0x7f000001);
	struct dial *d = start(b, &peer, b->port, NULL);
	char c;

	dial_cancel(d);
	dial_cancel(NULL);
	for (int i = 0; i < 20; i++)
		assert_int_equal(loop_step(b->n.loop, 1), 0);
	assert_int_equal(b->ndone, 0);
	b->client = accept(b->listener, NULL, NULL);
	assert_true(b->client >= 0);
	assert_true(read(b->client, &c, 1) <= 0);
	b->connect_error = -EACCES;
	dial_cancel(start(b, &peer, b->port, NULL));
	assert_int_equal(loop_step(b->n.loop, 1), 0);
	assert_int_equal(b->ndone, 0);
}

static void socket_joined_with_itself_is_refused(void **state)
{
	struct bed *b = *state;
	struct addr peer = addr_v4(0x7f000001);

	close_fd(&b->listener);
	b->self = true;
	(void)start(b, &peer, b->port, NULL);
	turns(b);
	assert_int_equal(b->result, -ECONNREFUSED);
}

/* ---- through a proxy ----------------------------------------------------- */

#define BYTES(s) (s), sizeof(s) - 1

/* What the proxy waits for, then what it says. */
struct line {
	const char *hear;
	size_t hear_len;
	const char *say;
	size_t say_len;
};

struct talk {
	const char *what;
	enum net_proxy_kind kind;
	const char *user, *password, *peer, *name;
	uint16_t port;
	struct line line[3];
	int result; /* 0: joined */
};

#define GREETING "220 a peer that speaks first\r\n\r\n"

static void use_proxy(struct bed *b, const struct talk *t)
{
	struct net_proxy *p = &b->n.cfg.proxy;

	p->kind = t->kind;
	p->addr = addr_v4(0x7f000001);
	p->port = b->port;
	(void)snprintf(p->user, sizeof(p->user), "%s", t->user ? t->user : "");
	(void)snprintf(p->password, sizeof(p->password), "%s",
	               t->password ? t->password : "");
}

/* Let the dial go on until @len bytes are here, and compare them. */
static void hear(struct bed *b, const struct talk *t, const struct line *l)
{
	char got[4096];
	size_t n = 0;

	for (int i = 0; i < TURNS && n < l->hear_len; i++) {
		ssize_t r;

		assert_int_equal(loop_step(b->n.loop, 1), 0);
		r = recv(b->client, got + n, sizeof(got) - n, MSG_DONTWAIT);
		if (r > 0)
			n += (size_t)r;
	}
	if (n != l->hear_len || memcmp(got, l->hear, n) != 0)
		fail_msg("%s: the proxy heard %.*s (%zu)", t->what, (int)n, got,
		         n);
}

/* In pieces of @piece bytes, each of which is there before the next. */
static void tell(struct bed *b, const struct line *l, size_t piece)
{
	for (size_t at = 0; at < l->say_len; at += piece) {
		size_t n = MIN(piece, l->say_len - at);

		(void)send(b->client, l->say + at, n, MSG_NOSIGNAL);
		if (piece < l->say_len)
			assert_int_equal(loop_step(b->n.loop, 1), 0);
	}
}

static void take_client(struct bed *b)
{
	int one = 1;

	for (int i = 0; i < TURNS && b->client < 0; i++) {
		assert_int_equal(loop_step(b->n.loop, 1), 0);
		b->client = accept(b->listener, NULL, NULL);
	}
	assert_true(b->client >= 0);
	(void)setsockopt(b->client, IPPROTO_TCP, TCP_NODELAY, &one,
	                 sizeof(one));
}

static void check_joined(struct bed *b, const struct talk *t, bool greeting)
{
	char got[sizeof(GREETING)] = "";
	size_t want = greeting ? strlen(GREETING) : 0;
	ssize_t n = -1;

	if (b->result < 0)
		fail_msg("%s: %s", t->what, strerror(-b->result));
	/* Many small segments wait for delayed ACKs; none comes for nothing. */
	for (int i = 0; i < 1000; i++) {
		n = recv(b->result, got, sizeof(got), MSG_DONTWAIT | MSG_PEEK);
		if (n >= (ssize_t)want)
			break;
		(void)usleep(1000);
		if (!greeting && i > 0)
			break;
	}
	if (n != (greeting ? (ssize_t)want : -1) ||
	    memcmp(got, GREETING, want) != 0)
		fail_msg("%s: the peer said %zd bytes: %s", t->what, n, got);
}

/* Answers in pieces of @piece bytes; @greeting: the peer's follows the last. */
static void play(struct bed *b, const struct talk *t, size_t piece,
                 bool greeting)
{
	char last[2048];
	struct addr peer;

	assert_int_equal(addr_parse(t->peer, &peer), 0);
	use_proxy(b, t);
	b->ndone = 0;
	(void)start(b, &peer, t->port, t->name);
	take_client(b);
	for (size_t i = 0; i < 3 && t->line[i].hear; i++) {
		struct line l = t->line[i];
		bool is_last = i == 2 || !t->line[i + 1].hear;

		hear(b, t, &l);
		if (is_last && greeting) {
			memcpy(last, l.say, l.say_len);
			memcpy(last + l.say_len, GREETING, strlen(GREETING));
			l.say = last;
			l.say_len += strlen(GREETING);
		}
		tell(b, &l, piece);
	}
	if (t->result == -ECONNRESET)
		close_fd(&b->client);
	turns(b);
	if (t->result == 0)
		check_joined(b, t, greeting);
	else if (b->result != t->result)
		fail_msg("%s: %d", t->what, b->result);
	if (b->result >= 0)
		close_fd(&b->result);
	close_fd(&b->client);
	assert_int_equal(b->n.wheel.n, 0);
}

/* clang-format off */
static const struct talk talks[] = {
	{"socks5 by address", NET_SOCKS5, NULL, NULL, "93.184.216.34", NULL, 443, {
		{BYTES("\5\1\0"), BYTES("\5\0")},
		{BYTES("\5\1\0\1\x5d\xb8\xd8\x22\1\xbb"), BYTES("\5\0\0\1\x0a\0\0\1\1\2")},
	}, 0},
	{"socks5 by name", NET_SOCKS5, NULL, NULL, "93.184.216.34", "example.com", 80, {
		{BYTES("\5\1\0"), BYTES("\5\0")},
		{BYTES("\5\1\0\3\x0b" "example.com\0\x50"), BYTES("\5\0\0\3\3abc\1\2")},
	}, 0},
	{"socks5 IPv6, bound to nothing", NET_SOCKS5, NULL, NULL, "2606:2800::1", NULL, 80, {
		{BYTES("\5\1\0"), BYTES("\5\0")},
		{BYTES("\5\1\0\4\x26\6\x28\0\0\0\0\0\0\0\0\0\0\0\0\1\0\x50"),
		 BYTES("\5\0\0\4ABCDEFGHIJKLMNOP\1\2")},
	}, 0},
	{"socks5 with the shortest answer", NET_SOCKS5, NULL, NULL, "1.2.3.4", NULL, 80, {
		{BYTES("\5\1\0"), BYTES("\5\0")},
		{BYTES("\5\1\0\1\1\2\3\4\0\x50"), BYTES("\5\0\0\3\0\1\2")},
	}, 0},
	{"socks5 with a password", NET_SOCKS5, "me", "secret", "1.2.3.4", NULL, 80, {
		{BYTES("\5\2\0\2"), BYTES("\5\2")},
		{BYTES("\1\2me\6secret"), BYTES("\1\0")},
		{BYTES("\5\1\0\1\1\2\3\4\0\x50"), BYTES("\5\0\0\1\0\0\0\0\0\0")},
	}, 0},
	{"socks5 that asks no password", NET_SOCKS5, "me", "secret", "1.2.3.4", NULL, 80, {
		{BYTES("\5\2\0\2"), BYTES("\5\0")},
		{BYTES("\5\1\0\1\1\2\3\4\0\x50"), BYTES("\5\0\0\1\0\0\0\0\0\0")},
	}, 0},
	{"socks5, wrong password", NET_SOCKS5, "me", "", "1.2.3.4", NULL, 80, {
		{BYTES("\5\2\0\2"), BYTES("\5\2")},
		{BYTES("\1\2me\0"), BYTES("\1\1")},
	}, -EACCES},
	{"socks5 that wants a user", NET_SOCKS5, NULL, NULL, "1.2.3.4", NULL, 80, {
		{BYTES("\5\1\0"), BYTES("\5\xff")},
	}, -EACCES},
	{"socks5 that picks what was not offered", NET_SOCKS5, NULL, NULL, "1.2.3.4", NULL, 80, {
		{BYTES("\5\1\0"), BYTES("\5\2")},
	}, -EPROTO},
	{"socks5 of version 4", NET_SOCKS5, NULL, NULL, "1.2.3.4", NULL, 80, {
		{BYTES("\5\1\0"), BYTES("\4\0")},
	}, -EPROTO},
	{"socks5: refused, in two bytes", NET_SOCKS5, NULL, NULL, "1.2.3.4", NULL, 80, {
		{BYTES("\5\1\0"), BYTES("\5\0")},
		{BYTES("\5\1\0\1\1\2\3\4\0\x50"), BYTES("\5\5")},
	}, -ECONNREFUSED},
	{"socks5: not allowed", NET_SOCKS5, NULL, NULL, "1.2.3.4", NULL, 80, {
		{BYTES("\5\1\0"), BYTES("\5\0")},
		{BYTES("\5\1\0\1\1\2\3\4\0\x50"), BYTES("\5\2\0\1\0\0\0\0\0\0")},
	}, -EACCES},
	{"socks5: no network", NET_SOCKS5, NULL, NULL, "1.2.3.4", NULL, 80, {
		{BYTES("\5\1\0"), BYTES("\5\0")},
		{BYTES("\5\1\0\1\1\2\3\4\0\x50"), BYTES("\5\3\0\1\0\0\0\0\0\0")},
	}, -ENETUNREACH},
	{"socks5: no host", NET_SOCKS5, NULL, NULL, "1.2.3.4", NULL, 80, {
		{BYTES("\5\1\0"), BYTES("\5\0")},
		{BYTES("\5\1\0\1\1\2\3\4\0\x50"), BYTES("\5\4\0\1\0\0\0\0\0\0")},
	}, -EHOSTUNREACH},
	{"socks5: an error of the future", NET_SOCKS5, NULL, NULL, "1.2.3.4", NULL, 80, {
		{BYTES("\5\1\0"), BYTES("\5\0")},
		{BYTES("\5\1\0\1\1\2\3\4\0\x50"), BYTES("\5\x63\0\1\0\0\0\0\0\0")},
	}, -EPROTO},
	{"socks5: an unknown kind of address", NET_SOCKS5, NULL, NULL, "1.2.3.4", NULL, 80, {
		{BYTES("\5\1\0"), BYTES("\5\0")},
		{BYTES("\5\1\0\1\1\2\3\4\0\x50"), BYTES("\5\0\0\2\0\0\0\0\0\0")},
	}, -EPROTO},
	{"socks5 that hangs up", NET_SOCKS5, NULL, NULL, "1.2.3.4", NULL, 80, {
		{BYTES("\5\1\0"), BYTES("\5\0")},
		{BYTES("\5\1\0\1\1\2\3\4\0\x50"), BYTES("\5\0\0\1\0\0")},
	}, -ECONNRESET},
	{"socks5: a name that is an address goes by the flow's", NET_SOCKS5, NULL, NULL,
	 "1.2.3.4", "10.0.0.1", 80, {
		{BYTES("\5\1\0"), BYTES("\5\0")},
		{BYTES("\5\1\0\1\1\2\3\4\0\x50"), BYTES("\5\0\0\1\0\0\0\0\0\0")},
	}, 0},
	{"socks4 by address", NET_SOCKS4, "uid", NULL, "1.2.3.4", NULL, 80, {
		{BYTES("\4\1\0\x50\1\2\3\4uid\0"), BYTES("\0\x5a\0\0\0\0\0\0")},
	}, 0},
	{"socks4a by name", NET_SOCKS4, NULL, NULL, "2606:2800::1", "example.com", 80, {
		{BYTES("\4\1\0\x50\0\0\0\1\0example.com\0"), BYTES("\0\x5a\0\0\0\0\0\0")},
	}, 0},
	{"socks4: refused", NET_SOCKS4, NULL, NULL, "1.2.3.4", NULL, 80, {
		{BYTES("\4\1\0\x50\1\2\3\4\0"), BYTES("\0\x5b\0\0\0\0\0\0")},
	}, -ECONNREFUSED},
	{"socks4: user unknown", NET_SOCKS4, NULL, NULL, "1.2.3.4", NULL, 80, {
		{BYTES("\4\1\0\x50\1\2\3\4\0"), BYTES("\0\x5d\0\0\0\0\0\0")},
	}, -EACCES},
	{"socks4 of version 4", NET_SOCKS4, NULL, NULL, "1.2.3.4", NULL, 80, {
		{BYTES("\4\1\0\x50\1\2\3\4\0"), BYTES("\4\x5a\0\0\0\0\0\0")},
	}, -EPROTO},
	{"connect by address", NET_CONNECT, NULL, NULL, "1.2.3.4", NULL, 443, {
		{BYTES("CONNECT 1.2.3.4:443 HTTP/1.1\r\nHost: 1.2.3.4:443\r\n\r\n"),
		 BYTES("HTTP/1.1 200 Connection established\r\nA: b\r\n\r\n")},
	}, 0},
	{"connect, IPv6", NET_CONNECT, NULL, NULL, "2606:2800::1", NULL, 443, {
		{BYTES("CONNECT [2606:2800::1]:443 HTTP/1.1\r\nHost: [2606:2800::1]:443\r\n\r\n"),
		 BYTES("HTTP/1.0 200\r\n\r\n")},
	}, 0},
	{"connect by name with a password", NET_CONNECT, "Aladdin", "open sesame", "1.2.3.4",
	 "example.com", 443, {
		{BYTES("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n"
		       "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"),
		 BYTES("HTTP/1.1 200 OK\n\n")},
	}, 0},
	{"connect: a name that would be more goes by address", NET_CONNECT, NULL, NULL, "1.2.3.4",
	 "a.b\r\nX: y", 443, {
		{BYTES("CONNECT 1.2.3.4:443 HTTP/1.1\r\nHost: 1.2.3.4:443\r\n\r\n"),
		 BYTES("HTTP/1.1 100 Continue\r\nQ: 1\r\n\r\nHTTP/1.1 204 x\r\nContent-Length: 9\r\n\r\n")},
	}, 0},
	{"connect: 407", NET_CONNECT, NULL, NULL, "1.2.3.4", NULL, 443, {
		{BYTES("CONNECT 1.2.3.4:443 HTTP/1.1\r\nHost: 1.2.3.4:443\r\n\r\n"),
		 BYTES("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")},
	}, -EACCES},
	{"connect: 504", NET_CONNECT, NULL, NULL, "1.2.3.4", NULL, 443, {
		{BYTES("CONNECT 1.2.3.4:443 HTTP/1.1\r\nHost: 1.2.3.4:443\r\n\r\n"),
		 BYTES("HTTP/1.1 504 Gateway Timeout\r\n\r\n")},
	}, -ETIMEDOUT},
	{"connect: 502", NET_CONNECT, NULL, NULL, "1.2.3.4", NULL, 443, {
		{BYTES("CONNECT 1.2.3.4:443 HTTP/1.1\r\nHost: 1.2.3.4:443\r\n\r\n"),
		 BYTES("HTTP/1.1 502 Bad Gateway\r\n\r\n")},
	}, -ECONNREFUSED},
	{"connect: 101 is no tunnel", NET_CONNECT, NULL, NULL, "1.2.3.4", NULL, 443, {
		{BYTES("CONNECT 1.2.3.4:443 HTTP/1.1\r\nHost: 1.2.3.4:443\r\n\r\n"),
		 BYTES("HTTP/1.1 101 Switching\r\n\r\n")},
	}, -EPROTO},
	{"connect: not HTTP", NET_CONNECT, NULL, NULL, "1.2.3.4", NULL, 443, {
		{BYTES("CONNECT 1.2.3.4:443 HTTP/1.1\r\nHost: 1.2.3.4:443\r\n\r\n"),
		 BYTES("SSH-2.0-OpenSSH_9.2\r\n")},
	}, -EPROTO},
	{"connect: a code of four digits", NET_CONNECT, NULL, NULL, "1.2.3.4", NULL, 443, {
		{BYTES("CONNECT 1.2.3.4:443 HTTP/1.1\r\nHost: 1.2.3.4:443\r\n\r\n"),
		 BYTES("HTTP/1.1 2000\r\n\r\n")},
	}, -EPROTO},
	{"connect: a zero", NET_CONNECT, NULL, NULL, "1.2.3.4", NULL, 443, {
		{BYTES("CONNECT 1.2.3.4:443 HTTP/1.1\r\nHost: 1.2.3.4:443\r\n\r\n"),
		 BYTES("HTTP/1.1 200 \0\r\n\r\n")},
	}, -EPROTO},
	{"connect that hangs up", NET_CONNECT, NULL, NULL, "1.2.3.4", NULL, 443, {
		{BYTES("CONNECT 1.2.3.4:443 HTTP/1.1\r\nHost: 1.2.3.4:443\r\n\r\n"),
		 BYTES("HTTP/1.1 200 OK\r\nHalf: a he")},
	}, -ECONNRESET},
};
/* clang-format on */

static void proxies_talk_as_they_should(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(talks); i++)
		play(*state, &talks[i], sizeof(GREETING) + 2048, false);
}

static void answers_may_be_cut_anywhere(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(talks); i++)
		for (size_t piece = 1; piece <= 3; piece++)
			play(*state, &talks[i], piece, false);
}

static void peers_first_words_stay_in_the_socket(void **state)
{
	static const size_t pieces[] = {1, 2, 3, 5, 7, 13, 2048};

	for (size_t i = 0; i < ARRAY_SIZE(talks); i++)
		for (size_t k = 0; k < ARRAY_SIZE(pieces); k++)
			if (talks[i].result == 0)
				play(*state, &talks[i], pieces[k], true);
}

static void endless_head_is_given_up(void **state)
{
	static char head[16384];
	struct bed *b = *state;
	struct talk t = talks[0];
	int n;

	n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nX: ");
	memset(head + n, 'y', sizeof(head) - (size_t)n);
	t = (struct talk){
		"an endless head",
		NET_CONNECT,
		NULL,
		NULL,
		"1.2.3.4",
		NULL,
		443,
		{{BYTES("CONNECT 1.2.3.4:443 HTTP/1.1\r\nHost: 1.2.3.4:443\r\n"
	                "\r\n"),
	          head, sizeof(head)}},
		-EPROTO};
	play(b, &t, 1000, false);
}

static void socks4_has_no_words_for_ipv6(void **state)
{
	struct bed *b = *state;
	struct addr peer;

	assert_int_equal(addr_parse("2606:2800::1", &peer), 0);
	b->n.cfg.proxy.kind = NET_SOCKS4;
	(void)start(b, &peer, 80, NULL);
	turns(b);
	assert_int_equal(b->result, -ENETUNREACH);
}

static void proxy_that_is_down_refuses(void **state)
{
	struct bed *b = *state;
	struct addr peer = addr_v4(0x01020304);

	use_proxy(b, &talks[0]);
	close_fd(&b->listener);
	(void)start(b, &peer, 80, NULL);
	turns(b);
	assert_int_equal(b->result, -ECONNREFUSED);
}

static void silent_proxy_is_a_timeout(void **state)
{
	struct bed *b = *state;
	struct addr peer = addr_v4(0x01020304);

	use_proxy(b, &talks[0]);
	(void)start(b, &peer, 80, NULL);
	take_client(b);
	hear(b, &talks[0], &talks[0].line[0]);
	b->now += DIAL_TIMEOUT_NS + 2 * WHEEL_TICK_NS;
	wheel_run(&b->n.wheel, b->now);
	assert_int_equal(b->ndone, 1);
	assert_int_equal(b->result, -ETIMEDOUT);
}

static void host_itself_needs_no_proxy(void **state)
{
	struct bed *b = *state;
	struct addr peer = addr_v4(GATEWAY);
	uint16_t port = b->port;

	use_proxy(b, &talks[0]);
	b->n.cfg.proxy.port = 1;
	(void)start(b, &peer, port, "host.microsandbox.internal");
	turns(b);
	assert_true(b->result >= 0);
}

static void longest_words_fit(void **state)
{
	struct bed *b = *state;
	struct net_proxy *p = &b->n.cfg.proxy;
	struct addr peer = addr_v4(0x01020304);
	char name[POLICY_NAME_MAX + 1], got[4096];
	size_t n = 0;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	use_proxy(b, &talks[0]);
	p->kind = NET_CONNECT;
	memset(p->user, 'u', sizeof(p->user) - 1);
	memset(p->password, 'p', sizeof(p->password) - 1);
	(void)start(b, &peer, 65535, name);
	take_client(b);
	for (int i = 0; i < 50; i++) {
		ssize_t r;

		assert_int_equal(loop_step(b->n.loop, 1), 0);
		r = recv(b->client, got + n, sizeof(got) - n, MSG_DONTWAIT);
		n += r > 0 ? (size_t)r : 0;
	}
	/* 511 bytes make 684 of base64 */
	assert_int_equal(n, strlen("CONNECT :65535 HTTP/1.1\r\n"
	                           "Host: :65535\r\n"
	                           "Proxy-Authorization: Basic \r\n\r\n") +
	                            (2 * 253) + 684);
	close_fd(&b->client);
	turns(b);
	assert_int_equal(b->result, -ECONNRESET);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(gateway_leads_to_loopback_with_options),
		T(closed_port_is_refused),
		T(error_at_once_comes_later),
		T(host_without_ipv6_is_unreachable),
		T(no_descriptors_is_told_at_once),
		T(silence_is_a_timeout_after_a_minute),
		T(cancelled_one_is_silent_and_closed),
		T(socket_joined_with_itself_is_refused),
		T(proxies_talk_as_they_should),
		T(answers_may_be_cut_anywhere),
		T(peers_first_words_stay_in_the_socket),
		T(endless_head_is_given_up),
		T(socks4_has_no_words_for_ipv6),
		T(proxy_that_is_down_refuses),
		T(silent_proxy_is_a_timeout),
		T(host_itself_needs_no_proxy),
		T(longest_words_fit),
	};

	log_setup("test_dial", 2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
