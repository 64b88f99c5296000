/* Real clients of this host, and a guest that the test plays by frames. */
#include "lib/test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "udp_rig.h"

#define GUEST_PORT 80
#define PENDING    128
#define GRACE      (10 * NS_PER_S)

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

static uint16_t port; /* of the listener */

static int listener(const char *addr)
{
	struct addr a = ip(addr), got;
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&a, 0, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(fd, 1024), 0);
	len = sizeof(ss);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(
		addr_from_sockaddr((struct sockaddr *)&ss, &got, &port), 0);
	return fd;
}

static int client_of(const char *addr)
{
	struct addr a = ip(addr);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&a, port, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static int client(void)
{
	return client_of("127.0.0.1");
}

/* A frame of the guest that means nothing: it is there. */
static void first_frame(struct rig *r)
{
	static struct fr f;

	fr_ip4(&f, GUEST4, GATEWAY4, PROTO_ICMP4);
	fr_echo(&f, 8, 1, 1, 0);
	fr_end4(&f);
	rig_frame(r, &f);
	net_batch_end(r->net);
}

static struct rig *start_with(const char *addr, const struct policy_spec *spec)
{
	struct net_port p = {.guest = GUEST_PORT};

	p.fd = listener(addr);
	return rig_new(spec, &p, 1);
}

/* The guest has been there for long. */
static struct rig *start(const char *addr)
{
	const struct policy_spec spec = {.profile = "all"};
	struct rig *r = start_with(addr, &spec);

	first_frame(r);
	rig_later(r, NS_PER_S);
	rig_later(r, GRACE + NS_PER_S);
	r->n = 0;
	return r;
}

struct seg {
	struct addr from;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;
	const uint8_t *data;
	size_t len;
};

static struct seg seg(struct rig *r, unsigned i)
{
	static struct pkt p;
	const struct vnet_hdr h = {0};
	struct fr *f = &r->got[i % RIG_KEPT];
	struct iovec v = {f->b, f->len};
	struct iov frame = {&v, 1, f->len};
	const char *why;
	const uint8_t *t;

	assert_true(i < r->n && r->n - i <= RIG_KEPT);
	assert_int_equal(pkt_parse(&h, &frame, &p, &why), 0);
	assert_int_equal(p.proto, PROTO_TCP);
	t = p.head + p.l4;
	return (struct seg){.from = p.src,
	                    .sport = get_be16(t),
	                    .dport = get_be16(t + 2),
	                    .seq = get_be32(t + 4),
	                    .ack = get_be32(t + 8),
	                    .flags = t[13],
	                    .data = f->b + p.l4 + p.l4_len,
	                    .len = p.payload.len};
}

/* The guest's answer to @s, with @text behind it. */
static void answer(struct rig *r, const struct seg *s, uint8_t flags,
                   uint32_t seq, uint32_t ack, const char *text)
{
	static struct fr f;
	bool v4 = addr_is_v4(&s->from);
	uint8_t *t;

	if (v4)
		fr_ip4(&f, GUEST4, GATEWAY4, PROTO_TCP);
	else
		fr_ip6(&f, GUEST6, GATEWAY6, PROTO_TCP);
	t = fr_tcp(&f, s->dport, s->sport, flags);
	put_be32(t + 4, seq);
	put_be32(t + 8, ack);
	fr_add(&f, text, strlen(text));
	if (v4)
		fr_end4(&f);
	else
		fr_end6(&f);
	rig_frame(r, &f);
	net_batch_end(r->net);
}

static struct seg the_syn(struct rig *r, unsigned i)
{
	struct seg s = seg(r, i);

	assert_int_equal(s.flags & (SYN | ACK | RST), SYN);
	assert_int_equal(s.dport, GUEST_PORT);
	return s;
}

static void refuse(struct rig *r, unsigned i)
{
	struct seg s = the_syn(r, i);

	answer(r, &s, RST | ACK, 0, s.seq + 1, "");
	rig_run(r);
}

/* Two words go each way. */
static void accept_and_talk(struct rig *r, unsigned i, int c)
{
	struct seg s = the_syn(r, i), data;
	char got[8] = "";

	answer(r, &s, SYN | ACK, 1000, s.seq + 1, "");
	rig_run(r);
	assert_int_equal(write(c, "ping", 4), 4);
	rig_run(r);
	data = seg(r, r->n - 1);
	assert_int_equal(data.len, 4);
	assert_memory_equal(data.data, "ping", 4);
	answer(r, &s, ACK, 1001, data.seq + 4, "pong");
	rig_run(r);
	assert_int_equal(read(c, got, sizeof(got)), 4);
	assert_memory_equal(got, "pong", 4);
}

static int error_of(int fd)
{
	char c;

	return read(fd, &c, 1) < 0 ? -errno : 0;
}

/* ---- tests --------------------------------------------------------------- */

static void client_reaches_the_guest(void **state)
{
	struct rig *r = start("127.0.0.1");
	struct addr gateway = ip(GATEWAY4);
	struct seg s;
	int c = client();

	(void)state;
	rig_run(r);
	assert_int_equal(r->n, 1);
	s = seg(r, 0);
	assert_true(addr_eq(&s.from, &gateway));
	accept_and_talk(r, 0, c);
	(void)close(c);
	rig_free(r);
}

static void client_by_ipv6_reaches_its_address(void **state)
{
	struct rig *r = start("::1");
	struct addr gateway = ip(GATEWAY6);
	struct seg s;
	int c = client_of("::1");

	(void)state;
	rig_run(r);
	assert_int_equal(r->n, 1);
	s = seg(r, 0);
	assert_true(addr_eq(&s.from, &gateway));
	accept_and_talk(r, 0, c);
	(void)close(c);
	rig_free(r);
}

static void refusal_is_a_reset(void **state)
{
	struct rig *r = start("127.0.0.1");
	int c = client();

	(void)state;
	rig_run(r);
	refuse(r, 0);
	assert_int_equal(error_of(c), -ECONNRESET);
	rig_later(r, NS_PER_S);
	assert_int_equal(r->n, 1);
	(void)close(c);
	rig_free(r);
}

static void server_that_comes_again_is_reached(void **state)
{
	struct rig *r = start("127.0.0.1");
	int c = client();

	(void)state;
	rig_run(r);
	refuse(r, 0);
	(void)close(c);
	c = client();
	rig_run(r);
	assert_int_equal(r->n, 2);
	accept_and_talk(r, 1, c);
	(void)close(c);
	rig_free(r);
}

static void first_clients_wait_for_the_guest(void **state)
{
	const struct policy_spec spec = {0};
	struct rig *r = start_with("127.0.0.1", &spec);
	int c = client();

	(void)state;
	rig_run(r);
	rig_later(r, 20 * NS_PER_S);
	assert_int_equal(r->n, 0); /* it is not there yet */
	first_frame(r);
	r->n = 0;
	for (int i = 0; i < 4; i++)
		rig_later(r, 100 * NS_PER_MS);
	assert_int_equal(r->n, 1);
	refuse(r, 0); /* its server is not */
	assert_int_equal(error_of(c), -EAGAIN);
	rig_later(r, 200 * NS_PER_MS);
	assert_int_equal(r->n, 2);
	accept_and_talk(r, 1, c);
	(void)close(c);
	rig_free(r);
}

static void patience_ends_with_the_first_seconds(void **state)
{
	const struct policy_spec spec = {0};
	struct rig *r = start_with("127.0.0.1", &spec);
	int c = client();
	unsigned tries = 0;
	int e = -EAGAIN;

	(void)state;
	first_frame(r);
	rig_later(r, NS_PER_S);
	r->n = 0;
	rig_run(r);
	for (; e == -EAGAIN && tries < 1000; tries++) {
		refuse(r, r->n - 1);
		rig_later(r, 150 * NS_PER_MS);
		e = error_of(c);
	}
	assert_int_equal(e, -ECONNRESET);
	assert_true(tries > 30 && tries < 100);
	(void)close(c);
	rig_free(r);
}

static void silent_boot_is_not_waited_for_forever(void **state)
{
	const struct policy_spec spec = {0};
	struct rig *r = start_with("127.0.0.1", &spec);
	int c = client();

	(void)state;
	rig_run(r);
	rig_later(r, 61 * NS_PER_S);
	rig_later(r, NS_PER_S);
	assert_true(r->n >= 1);
	refuse(r, 0);
	assert_int_equal(error_of(c), -ECONNRESET);
	(void)close(c);
	rig_free(r);
}

static void client_that_leaves_is_forgotten(void **state)
{
	const struct policy_spec spec = {0};
	struct rig *r = start_with("127.0.0.1", &spec);
	const struct linger hard = {.l_onoff = 1};
	int c = client();

	(void)state;
	rig_run(r);
	assert_int_equal(
		setsockopt(c, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
	(void)close(c);
	rig_later(r, NS_PER_S);
	first_frame(r);
	r->n = 0;
	rig_later(r, 3 * NS_PER_S);
	assert_int_equal(r->n, 0);
	rig_free(r);
}

static void denied_client_is_reset(void **state)
{
	char *rules[] = {"deny:ingress@loopback"};
	const struct strv list = {.v = rules, .n = 1};
	const struct policy_spec spec = {.profile = "public", .rules = &list};
	struct rig *r = start_with("127.0.0.1", &spec);
	int c = client();

	(void)state;
	first_frame(r);
	rig_later(r, NS_PER_S);
	r->n = 0;
	rig_run(r);
	assert_int_equal(r->n, 0);
	assert_int_equal(error_of(c), -ECONNRESET);
	assert_int_equal(atomic_load(&net_counters(r->net)->denied), 1);
	(void)close(c);
	rig_free(r);
}

static void pending_clients_are_bounded(void **state)
{
	struct rig *r = start("127.0.0.1");
	int c[PENDING + 40];
	unsigned n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		c[i] = client();
	for (int i = 0; i < 60; i++)
		(void)loop_step(r->loop, 1);
	assert_int_equal(r->n, PENDING);
	for (n = r->n; n > r->n - 60; n--) {
		struct seg s = the_syn(r, n - 1);

		answer(r, &s, RST | ACK, 0, s.seq + 1, "");
		if (n == PENDING - 38)
			break;
	}
	for (int i = 0; i < 60; i++)
		(void)loop_step(r->loop, 1);
	assert_int_equal(r->n, PENDING + 39);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		(void)close(c[i]);
	rig_free(r); /* with all that wait */
}

static void silent_port_does_not_keep_others_out(void **state)
{
	const struct policy_spec spec = {.profile = "all"};
	struct net_port p[2] = {{.guest = 81}, {.guest = GUEST_PORT}};
	int c[PENDING];
	uint16_t silent;
	struct rig *r;
	int one;

	(void)state;
	p[0].fd = listener("127.0.0.1");
	silent = port;
	p[1].fd = listener("127.0.0.1");
	r = rig_new(&spec, p, 2);
	first_frame(r);
	rig_later(r, NS_PER_S);
	r->n = 0;
	one = client();
	port = silent;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		c[i] = client();
	for (int i = 0; i < 60; i++)
		(void)loop_step(r->loop, 1);
	assert_int_equal(r->n, PENDING / 2 + 1);
	for (unsigned i = 0; i < r->n; i++)
		if (seg(r, i).dport == GUEST_PORT) {
			accept_and_talk(r, i, one);
			break;
		}
	(void)close(one);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		(void)close(c[i]);
	rig_free(r);
}

/* Without descriptors nothing is accepted, and nothing spins meanwhile. */
static void no_descriptors_make_a_pause(void **state)
{
	struct rig *r = start("127.0.0.1");
	struct rlimit old, low;
	int c = client();

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)c + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	for (int i = 0; i < 3; i++)
		(void)loop_step(r->loop, 1);
	assert_int_equal(r->n, 0);
	for (int i = 0; i < 20; i++) { /* no event any more */
		uint64_t at = clock_now_ns();

		(void)loop_step(r->loop, 5);
		assert_true(clock_now_ns() - at >= 4 * NS_PER_MS);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	rig_later(r, 200 * NS_PER_MS);
	rig_run(r);
	assert_int_equal(r->n, 1);
	accept_and_talk(r, 0, c);
	(void)close(c);
	rig_free(r);
}

static void failed_start_leaves_the_descriptors(void **state)
{
	const struct policy_spec spec = {.profile = "all"};
	struct rig *r = start_with("127.0.0.1", &spec);
	struct publish *p = NULL;
	struct err err;
	int fds[2] = {listener("127.0.0.1"),
	              open("/dev/null", O_RDONLY | O_CLOEXEC)};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		r->net->cfg.ports[i] =
			(struct net_port){.fd = fds[i], .guest = GUEST_PORT};
	r->net->cfg.nports = 2;
	assert_int_equal(publish_new(r->net, &p, &err), -EPERM);
	assert_null(p);
	assert_non_null(strstr(err.msg, "port 80"));
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		assert_int_equal(close(fds[i]), 0);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client_reaches_the_guest),
		cmocka_unit_test(client_by_ipv6_reaches_its_address),
		cmocka_unit_test(refusal_is_a_reset),
		cmocka_unit_test(server_that_comes_again_is_reached),
		cmocka_unit_test(first_clients_wait_for_the_guest),
		cmocka_unit_test(patience_ends_with_the_first_seconds),
		cmocka_unit_test(silent_boot_is_not_waited_for_forever),
		cmocka_unit_test(client_that_leaves_is_forgotten),
		cmocka_unit_test(denied_client_is_reset),
		cmocka_unit_test(pending_clients_are_bounded),
		cmocka_unit_test(silent_port_does_not_keep_others_out),
		cmocka_unit_test(no_descriptors_make_a_pause),
		cmocka_unit_test(failed_start_leaves_the_descriptors),
	};

	log_setup("test_publish", 2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
