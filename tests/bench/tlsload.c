/*
 * tlsload - the client's side of tests/bench/tls.py, and what hands its
 * connections to msb-tls.
 *
 *	tlsload bulk ADDR PORT NAME CA CONNS BYTES PATH|-   down from PATH; -:
 *up tlsload open ADDR PORT NAME CA CONNS SECONDS        new connections tlsload
 *ping ADDR PORT NAME CA SECONDS HEADER       requests on one tlsload hold ADDR
 *PORT NAME CA CONNS                until stdin ends tlsload bridge PORT
 *SERVER_PORT LINK NAME           base/tlslink.h's FLOWs
 *
 * Every connection is TLS, verified against the file CA, and asks by HTTP/1.1.
 * Answers are one JSON object in a line.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <netinet/tcp.h>

#include "base/tlslink.h"

#define CONNS_MAX 4096
#define SAMPLES   200000

static struct {
	const char *addr, *name;
	int port;
	SSL_CTX *ctx;
	uint64_t bytes, until_ns;
	const char *path;
} g;

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "tlsload: %s: %s\n", what, strerror(errno));
	ERR_print_errors_fp(stderr);
	exit(1);
}

static unsigned long number(const char *s)
{
	return strtoul(s, NULL, 10);
}

static int dial(const char *addr, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	                        .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (inet_pton(AF_INET, addr, &a.sin_addr) != 1 || fd < 0 ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		die("connect");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void setup(char **argv)
{
	static const unsigned char alpn[] = "\x08http/1.1";

	g.addr = argv[2];
	g.port = (int)number(argv[3]);
	g.name = argv[4];
	g.ctx = SSL_CTX_new(TLS_client_method());
	if (!g.ctx || SSL_CTX_load_verify_locations(g.ctx, argv[5], NULL) != 1)
		die(argv[5]);
	SSL_CTX_set_verify(g.ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(g.ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_alpn_protos(g.ctx, alpn, sizeof(alpn) - 1);
}

static SSL *begin(void)
{
	SSL *s = SSL_new(g.ctx);

	if (!s || !SSL_set_tlsext_host_name(s, g.name) ||
	    !SSL_set1_host(s, g.name) || !SSL_set_fd(s, dial(g.addr, g.port)) ||
	    SSL_connect(s) != 1)
		die("handshake");
	return s;
}

static void end(SSL *s)
{
	int fd = SSL_get_fd(s);

	(void)SSL_shutdown(s);
	SSL_free(s);
	(void)close(fd);
}

static void put(SSL *s, const void *data, size_t len)
{
	if (SSL_write(s, data, (int)len) != (int)len)
		die("write");
}

/* Reads an answer; its body's length, which must be told in it. */
static uint64_t answer(SSL *s)
{
	static _Thread_local char buf[64 << 10];
	size_t have = 0;
	uint64_t len, got;
	char *body = NULL, *cl;

	while (!body) {
		int r = SSL_read(s, buf + have, (int)(sizeof(buf) - 1 - have));

		if (r <= 0)
			die("read");
		have += (size_t)r;
		buf[have] = '\0';
		body = strstr(buf, "\r\n\r\n");
	}
	cl = strcasestr(buf, "content-length:");
	if (strncmp(buf, "HTTP/1.1 200", 12) != 0 || !cl || cl > body) {
		fprintf(stderr, "tlsload: answer: %.200s\n", buf);
		exit(1);
	}
	len = strtoull(cl + 15, NULL, 10);
	for (got = have - (size_t)(body + 4 - buf); got < len;) {
		int r = SSL_read(s, buf, sizeof(buf));

		if (r <= 0)
			die("read");
		got += (uint64_t)r;
	}
	return len;
}

static uint64_t get(SSL *s, const char *path, const char *header)
{
	char text[2048];
	int n = snprintf(text, sizeof(text),
	                 "GET %s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n", path,
	                 g.name, header, *header ? "\r\n" : "");

	put(s, text, (size_t)n);
	return answer(s);
}

/* ---- throughput -----------------------------------------------------------
 */

static void upload(SSL *s, uint64_t bytes)
{
	static const char zeros[16 << 10];
	char text[512];
	int n = snprintf(text, sizeof(text),
	                 "POST /sink HTTP/1.1\r\nHost: %s\r\n"
	                 "Content-Length: %llu\r\n\r\n",
	                 g.name, (unsigned long long)bytes);

	put(s, text, (size_t)n);
	for (uint64_t sent = 0; sent < bytes;) {
		size_t len = sizeof(zeros);

		if (len > bytes - sent)
			len = bytes - sent;
		put(s, zeros, len);
		sent += len;
	}
	(void)answer(s);
}

static void *bulk_one(void *arg)
{
	SSL *s = arg;

	if (strcmp(g.path, "-") == 0)
		upload(s, g.bytes);
	else
		for (uint64_t got = 0; got < g.bytes;)
			got += get(s, g.path, "");
	return NULL;
}

static void bulk(unsigned conns)
{
	SSL *s[CONNS_MAX];
	pthread_t t[CONNS_MAX];
	uint64_t from;

	for (unsigned i = 0; i < conns; i++)
		s[i] = begin();
	from = now_ns();
	for (unsigned i = 0; i < conns; i++)
		if (pthread_create(&t[i], NULL, bulk_one, s[i]))
			die("thread");
	for (unsigned i = 0; i < conns; i++)
		(void)pthread_join(t[i], NULL);
	printf("{\"gbit\": %.4f}\n",
	       (double)g.bytes * conns * 8 / (double)(now_ns() - from));
}

/* ---- handshakes -----------------------------------------------------------
 */

static void *open_many(void *arg)
{
	unsigned long n = 0;

	(void)arg;
	while (now_ns() < g.until_ns) {
		SSL *s = begin();

		(void)get(s, "/small", "");
		end(s);
		n++;
	}
	return (void *)(uintptr_t)n;
}

static void opens(unsigned conns, double seconds)
{
	pthread_t t[CONNS_MAX];
	uint64_t n = 0, from = now_ns();

	g.until_ns = from + (uint64_t)(seconds * 1e9);
	for (unsigned i = 0; i < conns; i++)
		if (pthread_create(&t[i], NULL, open_many, NULL))
			die("thread");
	for (unsigned i = 0; i < conns; i++) {
		void *r;

		(void)pthread_join(t[i], &r);
		n += (uintptr_t)r;
	}
	printf("{\"per_s\": %.1f}\n",
	       (double)n * 1e9 / (double)(now_ns() - from));
}

/* ---- latency --------------------------------------------------------------
 */

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void ping(double seconds, const char *header)
{
	static uint32_t us[SAMPLES];
	unsigned n = 0;
	SSL *s = begin();
	uint64_t until;

	for (unsigned i = 0; i < 50; i++)
		(void)get(s, "/small", header);
	until = now_ns() + (uint64_t)(seconds * 1e9);
	while (n < SAMPLES) {
		uint64_t from = now_ns();

		if (from >= until)
			break;
		(void)get(s, "/small", header);
		us[n++] = (uint32_t)((now_ns() - from) / 1000);
	}
	qsort(us, n, sizeof(us[0]), by_size);
	printf("{\"p50\": %u, \"p99\": %u, \"n\": %u}\n", us[n / 2],
	       us[n * 99 / 100], n);
	end(s);
}

static void hold(unsigned conns)
{
	char c;

	for (unsigned i = 0; i < conns; i++)
		(void)get(begin(), "/small", "");
	printf("{\"open\": %u}\n", conns);
	(void)fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
}

/* ---- what msb-vmm's network would do ---------------------------------------
 */

static void hand_over(int link, const struct tlslink_flow *f, int guest,
                      int server)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} c = {0};
	struct iovec v = {(void *)(uintptr_t)f, sizeof(*f)};
	struct msghdr m = {.msg_iov = &v,
	                   .msg_iovlen = 1,
	                   .msg_control = &c,
	                   .msg_controllen = sizeof(c)};
	const int fds[2] = {guest, server};

	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(&c.h), fds, sizeof(fds));
	if (sendmsg(link, &m, MSG_NOSIGNAL) < 0)
		die("link");
	(void)close(guest);
	(void)close(server);
}

/* CONFIG and events are not looked at, but taken. */
static void drain(int link)
{
	static char buf[TLSLINK_PACKET_MAX];
	ssize_t n;

	while ((n = recv(link, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		;
	if (n == 0)
		exit(0);
}

static void bridge(int port, int server_port, int link, const char *name)
{
	struct tlslink_flow f = {
		.type = TLSLINK_FLOW,
		.kind = TLSLINK_TLS,
		.pinned = 1,
		.port = 443,
		.peer = {[10] = 0xff, 0xff, 127, 0, 0, 1}
        };
	struct sockaddr_in a = {.sin_family = AF_INET,
	                        .sin_port = htons((uint16_t)port),
	                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct pollfd p[2] = {
		{.fd = fd,   .events = POLLIN},
                {.fd = link, .events = POLLIN}
        };

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(fd, 1024) < 0)
		die("listen");
	(void)snprintf(f.name, sizeof(f.name), "%s", name);
	while (poll(p, 2, -1) > 0) {
		if (p[1].revents)
			drain(link);
		if (p[0].revents) {
			int guest = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

			(void)setsockopt(guest, IPPROTO_TCP, TCP_NODELAY, &one,
			                 sizeof(one));
			f.id++;
			hand_over(link, &f, guest,
			          dial("127.0.0.1", server_port));
		}
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	(void)signal(SIGPIPE, SIG_IGN);
	if (strcmp(what, "bridge") == 0 && argc == 6) {
		bridge((int)number(argv[2]), (int)number(argv[3]),
		       (int)number(argv[4]), argv[5]);
		return 0;
	}
	if (argc < 7)
		goto usage;
	setup(argv);
	if (strcmp(what, "bulk") == 0 && argc == 9) {
		g.bytes = strtoull(argv[7], NULL, 10);
		g.path = argv[8];
		bulk((unsigned)number(argv[6]));
	} else if (strcmp(what, "open") == 0 && argc == 8) {
		opens((unsigned)number(argv[6]), strtod(argv[7], NULL));
	} else if (strcmp(what, "ping") == 0 && argc == 8) {
		ping(strtod(argv[6], NULL), argv[7]);
	} else if (strcmp(what, "hold") == 0 && argc == 7) {
		hold((unsigned)number(argv[6]));
	} else {
		goto usage;
	}
	return 0;
usage:
	fprintf(stderr, "tlsload: see its head\n");
	return 2;
}
