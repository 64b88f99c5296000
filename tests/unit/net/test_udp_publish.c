/* Published UDP ports: clients of the host and the guest that serves them. */
#include "lib/test.h"

#include "udp_rig.h"

#define SERVED 5000 /* the guest's port */

static const struct policy_spec by_default;
static uint8_t buf[70000];

/* A port of the host at @addr that leads to the guest's SERVED. */
struct published {
	struct rig *r;
	uint16_t port;
};

static struct published publish(const struct policy_spec *spec,
                                const char *addr)
{
	struct published p;
	struct net_port port = {.guest = SERVED, .udp = true};

	port.fd = server_at(addr, 0, &p.port);
	p.r = rig_new(spec, &port, 1);
	return p;
}

/* A client at @from that sends @data to @to. */
static int client(const struct published *p, const char *from, const char *to,
                  const char *data)
{
	struct addr a = ip(to);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&a, p->port, &ss);
	uint16_t mine;
	int fd = server_at(from, 0, &mine);

	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(send(fd, data, strlen(data), 0), strlen(data));
	return fd;
}

/* The guest sends @len bytes to where @g came from. */
static void reply(struct rig *r, const struct got *g, size_t len)
{
	char to[ADDR_TEXT_MAX];

	rig_say(r, g->dport, addr_text(&g->src, to), g->sport, len);
}

static void serves(const char *bound, const char *from, const char *to,
                   const char *guest, const char *gateway)
{
	struct published p = publish(&by_default, bound);
	int fd = client(&p, from, to, "hello");
	struct addr me = ip(guest), gw = ip(gateway);
	struct got g;

	rig_run(p.r);
	assert_int_equal(p.r->n, 1);
	assert_int_equal(p.r->flushes, 1);
	g = rig_got(p.r, 0);
	assert_true(addr_eq(&g.src, &gw));
	assert_true(addr_eq(&g.dst, &me));
	assert_int_equal(g.dport, SERVED);
	assert_true(g.sport >= 49152);
	assert_int_equal(g.len, 5);
	assert_memory_equal(g.data, "hello", 5);
	reply(p.r, &g, 300);
	/* A connected client hears only who it sent to. */
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 300);
	assert_true(is_filled(buf, 300));
	assert_int_equal(p.r->sockets, 0);
	assert_int_equal(p.r->n, 1);
	close(fd);
	rig_free(p.r);
}

static void client_reaches_the_guest_and_is_answered(void **state)
{
	(void)state;
	serves("127.0.0.1", "127.0.0.1", "127.0.0.1", GUEST4, GATEWAY4);
}

static void client_of_ipv6_reaches_the_guests_ipv6(void **state)
{
	(void)state;
	serves("::1", "::1", "::1", GUEST6, GATEWAY6);
	serves("::", "::1", "::1", GUEST6, GATEWAY6);
}

static void client_of_ipv4_at_a_socket_of_ipv6_is_one_of_ipv4(void **state)
{
	(void)state;
	serves("::", "127.0.0.1", "127.0.0.1", GUEST4, GATEWAY4);
	serves("::", "127.0.0.3", "127.0.0.2", GUEST4, GATEWAY4);
}

static void answer_comes_from_the_address_that_was_asked(void **state)
{
	(void)state;
	serves("0.0.0.0", "127.0.0.3", "127.0.0.2", GUEST4, GATEWAY4);
}

static void each_client_is_a_port_of_its_own(void **state)
{
	struct published p = publish(&by_default, "127.0.0.1");
	struct got g[3];
	int fd[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		fd[i] = client(&p, "127.0.0.1", "127.0.0.1", "x");
		rig_run(p.r);
		g[i] = rig_got(p.r, (unsigned)i);
	}
	assert_int_not_equal(g[0].sport, g[1].sport);
	assert_int_not_equal(g[1].sport, g[2].sport);
	for (int i = 2; i >= 0; i--) {
		reply(p.r, &g[i], 10 + (size_t)i);
		assert_int_equal(recv(fd[i], buf, sizeof(buf), 0), 10 + i);
		close(fd[i]);
	}
	assert_int_equal(rig_open(p.r), 3);
	assert_int_equal(atomic_load(&net_counters(p.r->net)->udp_flows), 3);
	rig_free(p.r);
}

static void answers_of_one_batch_go_each_to_its_client(void **state)
{
	static struct fr f[6];
	struct published p = publish(&by_default, "127.0.0.1");
	struct got g;
	int fd[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		fd[i] = client(&p, "127.0.0.1", "127.0.0.1", "x");
		rig_run(p.r);
	}
	for (unsigned i = 0; i < 6; i++) {
		char to[ADDR_TEXT_MAX];

		g = rig_got(p.r, i % 3);
		fr_datagram(&f[i], SERVED, addr_text(&g.src, to), g.sport,
		            10 + i);
		rig_frame(p.r, &f[i]);
	}
	net_batch_end(p.r->net);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(recv(fd[i % 3], buf, sizeof(buf), 0), 10 + i);
	for (unsigned i = 0; i < 3; i++)
		close(fd[i]);
	rig_free(p.r);
}

static void empty_datagrams_pass_both_ways(void **state)
{
	struct published p = publish(&by_default, "127.0.0.1");
	int fd = client(&p, "127.0.0.1", "127.0.0.1", "");
	struct got g;

	(void)state;
	rig_run(p.r);
	assert_int_equal(p.r->n, 1);
	g = rig_got(p.r, 0);
	assert_int_equal(g.len, 0);
	reply(p.r, &g, 0);
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 0);
	close(fd);
	rig_free(p.r);
}

static void denied_client_gets_nowhere(void **state)
{
	const char *rules[] = {"deny:ingress@127.0.0.2", NULL};
	struct strv v = {0};
	struct policy_spec spec = {.rules = &v};
	struct published p;
	int a, b;

	(void)state;
	assert_int_equal(strv_add(&v, rules[0]), 0);
	p = publish(&spec, "0.0.0.0");
	a = client(&p, "127.0.0.2", "127.0.0.1", "no");
	rig_run(p.r);
	assert_int_equal(p.r->n, 0);
	assert_int_equal(rig_open(p.r), 0);
	assert_int_equal(atomic_load(&net_counters(p.r->net)->denied), 1);
	b = client(&p, "127.0.0.1", "127.0.0.1", "yes");
	rig_run(p.r);
	assert_int_equal(p.r->n, 1);
	close(a);
	close(b);
	rig_free(p.r);
	strv_release(&v);
}

static void silent_client_is_forgotten_after_180_s(void **state)
{
	struct published p = publish(&by_default, "127.0.0.1");
	int fd = client(&p, "127.0.0.1", "127.0.0.1", "x");
	struct got g, error;

	(void)state;
	rig_run(p.r);
	g = rig_got(p.r, 0);
	rig_later(p.r, 179 * NS_PER_S);
	reply(p.r, &g, 10);
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 10);
	rig_later(p.r, 179 * NS_PER_S);
	assert_int_equal(rig_open(p.r), 1);
	rig_later(p.r, 2 * NS_PER_S);
	assert_int_equal(rig_open(p.r), 0);
	/* Now it is a port of the host, which the policy denies. */
	reply(p.r, &g, 10);
	assert_true(is_silent(fd));
	error = rig_got(p.r, 1);
	assert_int_equal(error.proto, PROTO_ICMP4);
	assert_int_equal(error.code, 13);
	close(fd);
	rig_free(p.r);
}

static void clients_beyond_1024_take_the_place_of_the_oldest(void **state)
{
	struct published p = publish(&by_default, "127.0.0.1");
	int steady = client(&p, "127.0.0.1", "127.0.0.1", "first");
	struct got g;

	(void)state;
	rig_run(p.r);
	g = rig_got(p.r, 0);
	for (int i = 0; i < 3000; i++) {
		close(client(&p, "127.0.0.1", "127.0.0.1", "x"));
		if (i % 100 == 0) {
			while (loop_step(p.r->loop, 0) == 0 &&
			       i + 2 > (int)p.r->n)
				;
			reply(p.r, &g, 7);
			assert_int_equal(recv(steady, buf, sizeof(buf), 0), 7);
		}
		assert_true(rig_open(p.r) <= UDP_FLOWS_MAX);
	}
	rig_run(p.r);
	assert_int_equal(rig_open(p.r), UDP_FLOWS_MAX);
	close(steady);
	rig_free(p.r);
}

static void guests_own_flows_keep_their_gateway_ports(void **state)
{
	const struct policy_spec all = {.profile = "all"};
	struct published p = publish(&all, "127.0.0.1");
	uint16_t mine;
	int service = server_at("127.0.0.1", 49152, &mine), fd;
	struct got g;

	(void)state;
	rig_say(p.r, SERVED, GATEWAY4, mine, 33);
	assert_int_equal(recv(service, buf, sizeof(buf), 0), 33);
	fd = client(&p, "127.0.0.1", "127.0.0.1", "x");
	rig_run(p.r);
	g = rig_got(p.r, 0);
	assert_int_not_equal(g.sport, mine);
	rig_say(p.r, SERVED, GATEWAY4, mine, 44);
	assert_int_equal(recv(service, buf, sizeof(buf), 0), 44);
	assert_true(is_silent(fd));
	close(fd);
	close(service);
	rig_free(p.r);
}

/* The new driver's queue is empty, so nobody ever says that there is room. */
static void what_waited_for_the_driver_before_stops_nobody(void **state)
{
	struct published p = publish(&by_default, "127.0.0.1");
	int fd[2];

	(void)state;
	p.r->room = 0;
	fd[0] = client(&p, "127.0.0.1", "127.0.0.1", "old");
	rig_run(p.r);
	net_reset(p.r->net);
	p.r->room = -1;
	fd[1] = client(&p, "127.0.0.1", "127.0.0.1", "new");
	rig_run(p.r);
	assert_in_range(p.r->n, 1, 2);
	assert_memory_equal(rig_got(p.r, p.r->n - 1).data, "new", 3);
	close(fd[0]);
	close(fd[1]);
	rig_free(p.r);
}

static void without_room_clients_wait_in_order(void **state)
{
	struct published p = publish(&by_default, "127.0.0.1");
	int fd = client(&p, "127.0.0.1", "127.0.0.1", "a");

	(void)state;
	p.r->room = 1;
	for (char c = 'b'; c <= 'z'; c++)
		assert_int_equal(send(fd, &c, 1, 0), 1);
	rig_run(p.r);
	assert_int_equal(p.r->n, 1);
	while (p.r->n < 26) {
		p.r->room = 3;
		net_writable(p.r->net);
		rig_run(p.r);
	}
	for (unsigned i = 0; i < 26; i++)
		assert_int_equal(rig_got(p.r, i).data[0], 'a' + i);
	assert_int_equal(rig_open(p.r), 1);
	close(fd);
	rig_free(p.r);
}

static void reset_forgets_clients_and_keeps_the_port(void **state)
{
	struct published p = publish(&by_default, "127.0.0.1");
	int fd = client(&p, "127.0.0.1", "127.0.0.1", "x");

	(void)state;
	rig_run(p.r);
	net_reset(p.r->net);
	assert_int_equal(rig_open(p.r), 0);
	assert_int_equal(send(fd, "y", 1, 0), 1);
	rig_run(p.r);
	assert_int_equal(p.r->n, 2);
	assert_memory_equal(rig_got(p.r, 1).data, "y", 1);
	close(fd);
	rig_free(p.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client_reaches_the_guest_and_is_answered),
		cmocka_unit_test(client_of_ipv6_reaches_the_guests_ipv6),
		cmocka_unit_test(
			client_of_ipv4_at_a_socket_of_ipv6_is_one_of_ipv4),
		cmocka_unit_test(answer_comes_from_the_address_that_was_asked),
		cmocka_unit_test(each_client_is_a_port_of_its_own),
		cmocka_unit_test(answers_of_one_batch_go_each_to_its_client),
		cmocka_unit_test(empty_datagrams_pass_both_ways),
		cmocka_unit_test(denied_client_gets_nowhere),
		cmocka_unit_test(silent_client_is_forgotten_after_180_s),
		cmocka_unit_test(
			clients_beyond_1024_take_the_place_of_the_oldest),
		cmocka_unit_test(guests_own_flows_keep_their_gateway_ports),
		cmocka_unit_test(
			what_waited_for_the_driver_before_stops_nobody),
		cmocka_unit_test(without_room_clients_wait_in_order),
		cmocka_unit_test(reset_forgets_clients_and_keeps_the_port),
	};

	return cmocka_run_group_tests_name("net/udp_publish", tests, NULL,
	                                   NULL);
}
