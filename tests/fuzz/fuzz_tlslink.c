/*
 * What msb-tls says to the network: packets of any kind and length, after a
 * good CONFIG, with a flow that was handed over and one that was not. What it
 * says must leave a configuration that answers, and a network that works.
 *
 * Input: packets, each behind its length in two bytes (little-endian; the
 * highest bit: with a descriptor). A first byte of 'C' stands for the head of a
 * CONFIG, so that JSON needs no other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "base/tlslink.h"
#include "net/tcp_int.h"

#define GOOD                                                                   \
	"{\"ports\": [443], \"block_quic\": true, \"intercept\": [\"*\"], "    \
	"\"bypass\": [], \"placeholders\": []}"

static struct policy *policy;
static uint64_t now;

static void check(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

static uint64_t host_now(void *arg)
{
	(void)arg;
	return now;
}

static int host_socket(void *arg, int domain, int type, int protocol)
{
	(void)arg;
	(void)domain;
	(void)type;
	(void)protocol;
	return -EMFILE;
}

static int host_connect(void *arg, int fd, const struct sockaddr *sa,
                        socklen_t len)
{
	(void)arg;
	(void)fd;
	(void)sa;
	(void)len;
	return -ECONNREFUSED;
}

static bool host_is_local(void *arg, const struct addr *a)
{
	(void)arg;
	(void)a;
	return false;
}

static const struct net_host_ops host = {host_now, host_socket, host_connect,
                                         host_is_local, NULL};

static int link_send(void *arg, const struct vnet_hdr *h, const struct iovec *v,
                     unsigned n, size_t len)
{
	(void)arg;
	(void)h;
	(void)v;
	(void)n;
	(void)len;
	return 0;
}

static void link_nothing(void *arg)
{
	(void)arg;
}

static void on_said(void *arg, const char *line)
{
	size_t len = strlen(line);

	(void)arg;
	check(len < NET_SAY_MAX, "a line's length");
	for (size_t i = 0; i < len; i++)
		check(line[i] >= ' ' && line[i] <= '~', "a line's letters");
}

static void on_violated(void *arg, const char *why)
{
	check(++*(unsigned *)arg == 1, "it ends twice");
	on_said(NULL, why);
}

static struct net *start(struct loop *loop, int link, unsigned *violated)
{
	static const struct net_link l = {.send = link_send,
	                                  .flush = link_nothing,
	                                  .resume = link_nothing};
	struct net_config c = {.mtu = NET_MTU_DEFAULT,
	                       .policy = policy,
	                       .pcap_fd = -1,
	                       .tls_fd = link,
	                       .say = on_said,
	                       .violated = on_violated,
	                       .violated_arg = violated,
	                       .host = &host};
	struct net *n;

	c.guest4 = addr_v4(0xac100002);
	c.gateway4 = addr_v4(0xac100001);
	check(net_new(&c, loop, &l, &n, NULL) == 0, "start");
	return n;
}

/* A flow as after its handshake. */
static struct tcp_flow *open_flow(struct net *n, uint16_t port, int *ret_far)
{
	struct tuple t = {.guest = n->cfg.guest4,
	                  .peer = addr_v4(0x5db8d822),
	                  .gport = port,
	                  .pport = 443};
	int pair[2], r;
	struct tcp_flow *f = tcp_flow_new(n, &t, &r);

	check(f && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) ==
	                      0,
	      "a flow");
	f->sock.fd = pair[0];
	f->mss = 1460;
	f->open_text = f->first = true;
	tcp_state(f, TCP_OPEN);
	*ret_far = pair[1];
	return f;
}

static void drop_flows(int link)
{
	struct tlslink_flow m;
	int fds[FD_PASS_MAX];
	size_t nfds = 0;

	while (fd_recv(link, &m, sizeof(m), fds, &nfds) > 0) {
		check(nfds == 2, "two descriptors");
		while (nfds)
			(void)close(fds[--nfds]);
	}
}

static void say(int link, const uint8_t *p, size_t len, bool with_fd)
{
	uint8_t packet[0x8000 + sizeof(struct tlslink_config)];
	const struct tlslink_config head = {TLSLINK_CONFIG};
	size_t n = 0;

	if (len && *p == 'C') {
		memcpy(packet, &head, n = sizeof(head));
		p++;
		len--;
	}
	memcpy(packet + n, p, len);
	(void)fd_send(link, packet, n + len, &link, with_fd);
}

/* It answers, and finds what is in it. */
static void use(struct net *n)
{
	static const char text[] = "a MSB_0123456789abcdef z";
	const struct tuple t = {.peer = addr_v4(0x5db8d822), .pport = 80};
	struct iovec v = {(void *)(uintptr_t)text, sizeof(text)};
	const struct iov data = {&v, 1, sizeof(text)};
	struct sniff s = {.kind = SNIFF_TLS, .name = "a.example.com"};

	(void)intercept_takes(n, 443, &s);
	(void)intercept_blocks_udp(n, 443);
	(void)intercept_datagram(n, &t, &data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct policy_spec spec = {.profile = "all"};
	const uint8_t *end = data + size;
	struct sniff s = {.kind = SNIFF_TLS, .name = "a.example.com"};
	struct loop *loop = loop_new();
	unsigned violated = 0;
	int pair[2], far[2];
	struct net *n;

	if (!policy) {
		log_setup("fuzz", 2, LOG_NONE);
		check(policy_new(&spec, &policy, NULL) == 0, "the policy");
	}
	now = clock_now_ns() + 1000000 * NS_PER_S;
	check(loop && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0,
	                         pair) == 0,
	      "the link");
	say(pair[1], (const uint8_t *)"C" GOOD, sizeof(GOOD), false);
	n = start(loop, pair[0], &violated);
	check(intercept_is_on(n), "the good one");
	check(intercept_give(open_flow(n, 1, &far[0]), &s) == 0, "give");
	(void)open_flow(n, 2, &far[1]);
	while (end - data >= 2) {
		uint16_t len = get_le16(data);
		bool with_fd = len & 0x8000;

		data += 2;
		len = (uint16_t)MIN(len & 0x7fff, end - data);
		if (len)
			say(pair[1], data, len, with_fd);
		data += len;
		check(loop_step(loop, 0) == 0, "the loop");
		use(n);
	}
	check(n->tcp->table.n >= 1, "the flow that it does not have");
	net_free(n);
	drop_flows(pair[1]);
	(void)close(pair[1]);
	(void)close(far[0]);
	(void)close(far[1]);
	loop_free(loop);
	return 0;
}
