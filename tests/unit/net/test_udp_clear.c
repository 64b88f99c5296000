/* Datagrams where there are secrets and interception: placeholders, QUIC. */
#include "lib/test.h"

#include "tls_link.h"
#include "udp_rig.h"

#define FAR  "203.0.113.9"
#define FAR6 "2a00:1450::9"
#define KEY  "MSB_0123456789abcdef"

static const struct policy_spec all = {.profile = "all"};
static const struct policy_spec nothing = {.profile = "none"};

static struct rig *rig_with(const struct policy_spec *spec, const char *config,
                            int *ret_link)
{
	struct rig *r;
	int pair[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair),
		0);
	if (*config)
		tls_config(pair[1], config);
	rig_tls_fd = pair[0];
	r = rig_new(spec, NULL, 0);
	rig_tls_fd = 0;
	*ret_link = pair[1];
	return r;
}

static void rig_end(struct rig *r, int link)
{
	rig_free(r);
	(void)close(link);
}

/* @data from the guest to @dst, in @pieces of memory. */
static void send_data(struct rig *r, const char *dst, uint16_t port,
                      const void *data, size_t len, unsigned pieces)
{
	const struct vnet_hdr h = {.flags = VNET_NEEDS_CSUM};
	static struct fr f;
	struct iovec v[8];
	struct iov frame = {v, pieces, 0};
	size_t part;

	fr_datagram(&f, 40000, dst, port, len);
	memcpy(f.b + f.len - len, data, len);
	part = f.len / pieces;
	for (unsigned i = 0; i < pieces; i++)
		v[i] = (struct iovec){f.b + i * part,
		                      i + 1 < pieces ? part : f.len - i * part};
	frame.len = f.len;
	net_input(r->net, &h, &frame);
	net_batch_end(r->net);
}

static uint64_t violations(struct rig *r)
{
	return net_counters(r->net)->secret_violations;
}

/* An ICMP error was the last that the guest got: its type and code. */
static unsigned last_error(struct rig *r)
{
	const uint8_t *ip = r->got[(r->n - 1) % RIG_KEPT].b + 14;
	size_t head = ip[0] >> 4 == 6 ? 40 : 20;

	assert_true(r->n > 0);
	return (unsigned)ip[head] << 8 | ip[head + 1];
}

static void its_option_decides(void **state)
{
	static const char *const options[] = {
		"block", "block-and-log", "block-and-terminate", "passthrough"};
	uint8_t buf[100];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		char config[400];
		struct rig *r;
		uint16_t port;
		int link, fd = server_at("127.0.0.1", 0, &port);

		(void)snprintf(config, sizeof(config),
		               TLS_CONFIG("", "", TLS_TEXT("KEY", KEY, "%s")),
		               options[i]);
		r = rig_with(&all, config, &link);
		/* The flow itself goes on: only this one is not sent. */
		send_data(r, FAR, port, "one", 3, 1);
		send_data(r, FAR, port, "x" KEY "y", strlen(KEY) + 2, 1);
		send_data(r, FAR, port, "two", 3, 1);
		assert_int_equal(recv(fd, buf, sizeof(buf), 0), 3);
		if (i == 3)
			assert_int_equal(recv(fd, buf, sizeof(buf), 0),
			                 strlen(KEY) + 2);
		assert_int_equal(recv(fd, buf, sizeof(buf), 0), 3);
		assert_memory_equal(buf, "two", 3);
		assert_int_equal(violations(r), 1);
		assert_int_equal(r->nsaid, i > 0);
		assert_int_equal(r->nviolated, i == 2);
		if (i)
			assert_non_null(strstr(r->said, "secret KEY: "));
		rig_end(r, link);
		(void)close(fd);
	}
}

static void it_is_found_in_pieces_and_at_the_ends(void **state)
{
	static uint8_t data[1400];
	uint16_t port;
	int link, fd = server_at("127.0.0.1", 0, &port);
	struct rig *r = rig_with(
		&all, TLS_CONFIG("", "", TLS_TEXT("KEY", KEY, "block")), &link);
	unsigned n = 0;

	(void)state;
	for (unsigned pieces = 1; pieces <= 8; pieces++)
		for (size_t at = 0; at <= sizeof(data) - strlen(KEY);
		     at += 69) {
			memset(data, 'M', sizeof(data));
			memcpy(data + at, KEY, strlen(KEY));
			send_data(r, FAR, port, data, sizeof(data), pieces);
			n++;
		}
	assert_int_equal(violations(r), n);
	assert_true(is_silent(fd));
	rig_end(r, link);
	(void)close(fd);
}

static void a_question_for_a_placeholder_is_not_asked(void **state)
{
	static const uint8_t head[] = {1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
	uint8_t q[100];
	size_t n = sizeof(head);
	struct rig *r;
	int link;

	(void)state;
	r = rig_with(&nothing,
	             TLS_CONFIG("", "", TLS_TEXT("KEY", KEY, "block")), &link);
	memcpy(q, head, n);
	q[n++] = (uint8_t)strlen(KEY);
	memcpy(q + n, KEY, strlen(KEY));
	n += strlen(KEY);
	memcpy(q + n, "\4evil\4test\0\0\1\0\1", 15);
	n += 15;
	send_data(r, GATEWAY4, 53, q, n, 1);
	send_data(r, FAR, 53, q, n, 3);
	assert_int_equal(violations(r), 2);
	assert_int_equal(net_counters(r->net)->dns_queries, 0);
	assert_int_equal(r->n, 0);
	q[14] = 'X';
	send_data(r, GATEWAY4, 53, q, n, 1);
	assert_int_equal(violations(r), 2);
	assert_int_equal(net_counters(r->net)->dns_queries, 1);
	rig_end(r, link);
}

static void quic_is_refused_at_once(void **state)
{
	static const struct {
		const char *config;
		uint16_t port;
		bool refused;
	} cases[] = {
		{"",                 443,              true   },
		{TLS_CONFIG("\"*\"", "",               ""),     443, true},
		{TLS_CONFIG("\"*\"",              "",                              ""),                    8443, true},
		{TLS_CONFIG("\"*\"",               "",""),444, false},
		{TLS_CONFIG("", "", ""),        443, false},
		{"{\"ports\": [443], \"block_quic\": false, \"intercept\": "
	         "[\"*\"], \"bypass\": [], \"placeholders\": []}",             443,			     false                       },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int link;
		struct rig *r = rig_with(&all, cases[i].config, &link);

		send_data(r, FAR, cases[i].port, "hello", 5, 1);
		assert_int_equal(net_counters(r->net)->udp_flows,
		                 !cases[i].refused);
		assert_int_equal(net_counters(r->net)->denied,
		                 cases[i].refused);
		assert_int_equal(r->nsaid, cases[i].refused);
		if (cases[i].refused) {
			assert_int_equal(last_error(r), 3 << 8 | 3);
			send_data(r, FAR6, cases[i].port, "hello", 5, 1);
			assert_int_equal(last_error(r), 1 << 8 | 4);
		}
		rig_end(r, link);
	}
}

/* What the policy denies is told as such. */
static void the_policy_comes_first(void **state)
{
	int link;
	struct rig *r = rig_with(&nothing, TLS_CONFIG("\"*\"", "", ""), &link);

	(void)state;
	send_data(r, FAR, 443, "hello", 5, 1);
	assert_int_equal(last_error(r), 3 << 8 | 13);
	assert_int_equal(net_counters(r->net)->denied, 1);
	rig_end(r, link);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_option_decides),
		cmocka_unit_test(it_is_found_in_pieces_and_at_the_ends),
		cmocka_unit_test(a_question_for_a_placeholder_is_not_asked),
		cmocka_unit_test(quic_is_refused_at_once),
		cmocka_unit_test(the_policy_comes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
