/*
 * netload - both ends of what tests/bench/net.py and tests/net measure beside
 * iperf3: short connections, ping-pong, connections that are held.
 *
 *	netload serve PORT                    one server for all of the below
 *	netload cps ADDR PORT OPEN SECONDS    connect, hear a byte and the end
 *	netload count ADDR PORT OPEN N        the same, N of them
 *	netload pingpong ADDR PORT SECONDS    64 bytes there and back
 *	netload hold ADDR PORT N [SECONDS]    N connections that only stay
 *
 * The server's first byte from the client says what it wants: 'c' close at
 * once behind one byte of the server's (so the server closes first), 'e' echo.
 * Answers are one JSON object in a line.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS  256
#define SAMPLES 200000
#define PING    64

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "netload: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned long number(const char *s)
{
	return strtoul(s, NULL, 10);
}

static socklen_t address(const char *host, const char *port,
                         struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (void *)ret;
	struct sockaddr_in6 *v6 = (void *)ret;

	memset(ret, 0, sizeof(*ret));
	v4->sin_port = htons((uint16_t)number(port));
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
		die(host);
	return sizeof(*v6);
}

/* ---- server -------------------------------------------------------------- */

static void watch(int ep, int fd, int op)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(ep, op, fd, &ev) < 0)
		die("epoll_ctl");
}

static void serve_one(int fd)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n > 0 && buf[0] == 'c') {
		(void)!write(fd, "x", 1);
		(void)close(fd);
	} else if (n > 0) {
		(void)!write(fd, buf, (size_t)n);
	} else if (n == 0 || errno != EAGAIN) {
		(void)close(fd);
	}
}

static void serve(const char *port)
{
	struct sockaddr_storage ss;
	socklen_t len = address("::", port, &ss);
	int s = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
	int ep = epoll_create1(0);
	struct epoll_event ev[EVENTS];

	(void)setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s, (struct sockaddr *)&ss, len) < 0 || listen(s, 4096) < 0)
		die("listen");
	watch(ep, s, EPOLL_CTL_ADD);
	for (;;) {
		int n = epoll_wait(ep, ev, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd;

			if (fd != s) {
				serve_one(fd);
				continue;
			}
			while ((fd = accept4(s, NULL, NULL, SOCK_NONBLOCK)) >=
			       0) {
				(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY,
				                 &one, sizeof(one));
				watch(ep, fd, EPOLL_CTL_ADD);
			}
		}
	}
}

/* ---- short connections --------------------------------------------------- */

struct load {
	int ep;
	struct sockaddr_storage ss;
	socklen_t len;
	uint64_t done, failed;
};

static void begin(struct load *l)
{
	int fd = socket(l->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct epoll_event ev = {.events = EPOLLOUT, .data.fd = fd};

	if (fd < 0)
		die("socket");
	if (connect(fd, (struct sockaddr *)&l->ss, l->len) < 0 &&
	    errno != EINPROGRESS)
		die("connect");
	if (epoll_ctl(l->ep, EPOLL_CTL_ADD, fd, &ev) < 0)
		die("epoll_ctl");
}

/* True when the connection is over. */
static bool step(struct load *l, int fd, uint32_t events)
{
	char buf[64];
	ssize_t n;

	if (events & EPOLLOUT) {
		if (write(fd, "c", 1) != 1) {
			l->failed++;
			return true;
		}
		watch(l->ep, fd, EPOLL_CTL_MOD);
		return false;
	}
	n = read(fd, buf, sizeof(buf));
	if (n > 0)
		return false;
	l->failed += n < 0;
	l->done += n == 0;
	return true;
}

/* @count 0: for so many @seconds. */
static void connections(const char *host, const char *port, unsigned long open,
                        uint64_t count, unsigned long seconds)
{
	struct load l = {.ep = epoll_create1(0)};
	struct epoll_event ev[EVENTS];
	uint64_t start = now_ns(), begun = open;
	uint64_t until = start + seconds * 1000000000ull, last = start;

	l.len = address(host, port, &l.ss);
	for (unsigned long i = 0; i < open; i++)
		begin(&l);
	while (count ? l.done + l.failed < count : now_ns() < until) {
		int n = epoll_wait(l.ep, ev, EVENTS, 1000);

		if (n > 0)
			last = now_ns();
		if (now_ns() - last > 10000000000ull)
			break; /* nothing moves any more */
		for (int i = 0; i < n; i++) {
			if (!step(&l, ev[i].data.fd, ev[i].events))
				continue;
			(void)close(ev[i].data.fd);
			if (!count || begun < count) {
				begin(&l);
				begun++;
			}
		}
	}
	printf("{\"done\": %llu, \"failed\": %llu, \"seconds\": %.6f}\n",
	       (unsigned long long)l.done, (unsigned long long)l.failed,
	       (double)(now_ns() - start) / 1e9);
}

/* ---- latency ------------------------------------------------------------- */

static int connected(const char *host, const char *port)
{
	struct sockaddr_storage ss;
	socklen_t len = address(host, port, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM, 0), one = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&ss, len) < 0)
		die("connect");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void pingpong(const char *host, const char *port, unsigned long seconds)
{
	static uint64_t t[SAMPLES];
	int fd = connected(host, port);
	uint64_t until = now_ns() + seconds * 1000000000ull;
	char buf[PING];
	size_t n = 0;

	memset(buf, 'e', sizeof(buf));
	while (n < SAMPLES && now_ns() < until) {
		uint64_t at = now_ns();

		if (write(fd, buf, sizeof(buf)) != sizeof(buf) ||
		    recv(fd, buf, sizeof(buf), MSG_WAITALL) != sizeof(buf))
			die("pingpong");
		t[n++] = now_ns() - at;
	}
	if (!n)
		die("pingpong");
	qsort(t, n, sizeof(*t), by_value);
	printf("{\"n\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", n,
	       (double)t[n / 2] / 1e3, (double)t[n * 99 / 100] / 1e3);
}

/* ---- connections that stay ----------------------------------------------- */

static void hold(const char *host, const char *port, unsigned long n,
                 unsigned long seconds)
{
	struct timespec rest = {(time_t)seconds, 0};
	unsigned long i = 0;
	char byte = 'e';
	int fd;

	for (; i < n; i++) {
		fd = connected(host, port);
		if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
			die("hold");
	}
	printf("{\"held\": %lu}\n", i);
	(void)fflush(stdout);
	if (seconds)
		(void)nanosleep(&rest, NULL);
	else
		(void)!read(0, &byte, 1);
}

int main(int argc, char **argv)
{
	struct rlimit r;

	(void)signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		serve(argv[2]);
	else if (argc == 6 && strcmp(argv[1], "cps") == 0)
		connections(argv[2], argv[3], number(argv[4]), 0,
		            number(argv[5]));
	else if (argc == 6 && strcmp(argv[1], "count") == 0)
		connections(argv[2], argv[3], number(argv[4]), number(argv[5]),
		            0);
	else if (argc == 5 && strcmp(argv[1], "pingpong") == 0)
		pingpong(argv[2], argv[3], number(argv[4]));
	else if (argc >= 5 && strcmp(argv[1], "hold") == 0)
		hold(argv[2], argv[3], number(argv[4]),
		     argc > 5 ? number(argv[5]) : 0);
	else
		return 2;
	return 0;
}
