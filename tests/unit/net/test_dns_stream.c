#include "lib/test.h"

#include "dns_world.h"

/* ---- over TCP ---- */

static int stream_to(const char *dst)
{
	struct tuple t = {.guest = ip(GUEST4),
	                  .peer = ip(dst),
	                  .gport = 5000,
	                  .pport = 53};
	int sp[2];

	assert_int_equal(socketpair(AF_UNIX,
	                            SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	                            0, sp),
	                 0);
	if (dns_stream(r->net, sp[1], &t) < 0) {
		(void)close(sp[0]);
		return -1;
	}
	return sp[0];
}

static size_t put_query(uint8_t *b, const struct query *q)
{
	size_t n = query_bytes(q, b + 2);

	put_be16(b, (uint16_t)n);
	return n + 2;
}

static void stream_say(int fd, const struct query *q)
{
	uint8_t b[DNS_QUERY_MAX + 2];
	size_t n = put_query(b, q);

	assert_int_equal(send(fd, b, n, MSG_NOSIGNAL), n);
	rig_run(r);
}

static bool stream_is_over(int fd)
{
	uint8_t b;

	rig_run(r);
	return readable(fd, 0) && recv(fd, &b, 1, MSG_PEEK) <= 0;
}

static struct dns_msg stream_answer(int fd)
{
	static uint8_t b[DNS_MSG_MAX];
	uint8_t prefix[2];
	struct dns_msg m;
	size_t len, at = 0;

	rig_run(r);
	assert_int_equal(recv(fd, prefix, 2, 0), 2);
	len = get_be16(prefix);
	while (at < len) {
		ssize_t k = recv(fd, b + at, len - at, 0);

		if (k < 0) {
			rig_run(r);
			continue;
		}
		assert_true(k > 0);
		at += (size_t)k;
	}
	assert_int_equal(dns_msg_parse(b, len, &m), 0);
	return m;
}

static void tcp_is_answered_by_tcp(void **state)
{
	uint8_t data[200] = {199};
	struct dns_msg m;
	int fd;

	(void)state;
	stack("public", NULL);
	fd = stream_to(GATEWAY4);
	stream_say(fd, &(struct query){.name = "a.example", .type = 16});
	server_take_tcp(r, s);
	says(s, 0);
	for (int i = 0; i < 200; i++)
		adds(s, DNS_ANSWER, NULL, 16, 60, data, sizeof(data));
	server_send(r, s);
	m = stream_answer(fd);
	assert_int_equal(m.count[DNS_ANSWER], 200);
	assert_int_equal(m.flags & DNS_TC, 0);
	(void)close(fd);
	rig_run(r);
	assert_int_equal(r->net->dns->nconns, 0);
}

static void names_are_judged_over_tcp_too(void **state)
{
	struct dns_msg m;
	int fd, other;

	(void)state;
	stack("public", "deny@evil.example");
	fd = stream_to(GATEWAY4);
	stream_say(fd, &(struct query){.name = "evil.example",
	                               .type = DNS_A,
	                               .opt = true});
	m = stream_answer(fd);
	assert_int_equal(rcode(&m), DNS_NXDOMAIN);
	assert_int_equal(ede(&m), DNS_EDE_BLOCKED);
	/* And servers. */
	other = stream_to("192.168.1.1");
	stream_say(other, &(struct query){.name = "a.example", .type = DNS_A});
	m = stream_answer(other);
	assert_int_equal(rcode(&m), DNS_NXDOMAIN);
	assert_int_equal(r->sockets, 0);
	(void)close(other);
	other = stream_to("9.9.9.9");
	stream_say(other, &(struct query){.name = "a.example", .type = DNS_A});
	server_take_tcp(r, s2);
	says(s2, 0);
	adds_address(s2, NULL, "127.0.0.1", 60);
	server_send(r, s2);
	m = stream_answer(other);
	assert_int_equal(rcode(&m), DNS_NXDOMAIN);
	(void)close(other);
	(void)close(fd);
}

static void questions_may_come_in_a_row_and_in_pieces(void **state)
{
	uint8_t b[3 * (DNS_QUERY_MAX + 2)];
	struct dns_msg m;
	size_t n = 0;
	int fd;

	(void)state;
	stack("none", NULL);
	fd = stream_to(GATEWAY4);
	for (unsigned i = 1; i <= 3; i++)
		n += put_query(b + n, &(struct query){.name = "a.example",
		                                      .type = DNS_A,
		                                      .id = i});
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(send(fd, b + i, 1, MSG_NOSIGNAL), 1);
		(void)loop_step(r->loop, 0);
	}
	for (unsigned i = 1; i <= 3; i++) {
		m = stream_answer(fd);
		assert_int_equal(m.id, i);
	}
	assert_int_equal(send(fd, b, n, MSG_NOSIGNAL), n);
	for (unsigned i = 1; i <= 3; i++) {
		m = stream_answer(fd);
		assert_int_equal(m.id, i);
	}
	(void)close(fd);
}

static void answers_come_as_they_are_known(void **state)
{
	struct dns_msg m;
	int fd;

	(void)state;
	stack("public", "deny@evil.example");
	fd = stream_to(GATEWAY4);
	stream_say(fd, &(struct query){
			       .name = "a.example", .type = DNS_A, .id = 1});
	stream_say(fd, &(struct query){
			       .name = "evil.example", .type = DNS_A, .id = 2});
	m = stream_answer(fd);
	assert_int_equal(m.id, 2);
	server_take_tcp(r, s);
	says(s, 0);
	server_send(r, s);
	m = stream_answer(fd);
	assert_int_equal(m.id, 1);
	(void)close(fd);
}

static void more_questions_than_the_bound_wait(void **state)
{
	char name[32];
	int fd;

	(void)state;
	stack("public", NULL);
	fd = stream_to(GATEWAY4);
	for (unsigned i = 0; i < 6; i++) {
		(void)snprintf(name, sizeof(name), "n%u.example", i);
		stream_say(fd, &(struct query){.name = name, .type = DNS_A});
	}
	assert_int_equal(r->sockets, 4);
	server_take_tcp(r, s);
	says(s, 0);
	server_send(r, s);
	assert_int_equal(r->sockets, 5);
	(void)stream_answer(fd);
	(void)close(fd);
}

static void half_closed_is_still_answered(void **state)
{
	struct dns_msg m;
	int fd;

	(void)state;
	stack("public", NULL);
	fd = stream_to(GATEWAY4);
	stream_say(fd, &(struct query){.name = "a.example", .type = DNS_A});
	(void)shutdown(fd, SHUT_WR);
	server_take_tcp(r, s);
	says(s, 0);
	adds_address(s, NULL, "93.184.216.34", 60);
	server_send(r, s);
	m = stream_answer(fd);
	assert_int_equal(m.count[DNS_ANSWER], 1);
	assert_true(stream_is_over(fd));
	assert_int_equal(r->net->dns->nconns, 0);
	(void)close(fd);
}

static void a_reset_connection_asks_no_more(void **state)
{
	int fd;

	(void)state;
	stack("public", NULL);
	fd = stream_to(GATEWAY4);
	stream_say(fd, &(struct query){.name = "a.example", .type = DNS_A});
	server_take_tcp(r, s);
	(void)close(fd);
	rig_run(r);
	assert_int_equal(r->net->dns->nconns, 0);
	assert_true(r->net->dns->pending == NULL);
	says(s, 0);
	server_send(r, s); /* to nobody */
}

/* Nothing is read of it then, and a hangup cannot be masked. */
static void a_reset_connection_that_asks_all_it_may_is_gone(void **state)
{
	char name[32];
	int fd;

	(void)state;
	stack("public", NULL);
	fd = stream_to(GATEWAY4);
	for (unsigned i = 0; i < 4; i++) {
		(void)snprintf(name, sizeof(name), "n%u.example", i);
		stream_say(fd, &(struct query){.name = name, .type = DNS_A});
	}
	(void)close(fd);
	rig_run(r);
	assert_int_equal(r->net->dns->nconns, 0);
	assert_true(r->net->dns->pending == NULL);
}

static void an_idle_connection_is_closed_after_10_seconds(void **state)
{
	int fd;

	(void)state;
	stack("none", NULL);
	fd = stream_to(GATEWAY4);
	rig_later(r, 9 * NS_PER_S);
	stream_say(fd, &(struct query){.name = "a.example", .type = DNS_A});
	(void)stream_answer(fd);
	rig_later(r, 9 * NS_PER_S);
	assert_false(stream_is_over(fd));
	rig_later(r, 2 * NS_PER_S);
	assert_true(stream_is_over(fd));
	(void)close(fd);
}

static void who_does_not_read_is_not_read(void **state)
{
	uint8_t b[DNS_QUERY_MAX + 2], sink[1 << 16];
	size_t n, asked = 0, got = 0;
	ssize_t k;
	int fd;

	(void)state;
	stack("none", NULL);
	fd = stream_to(GATEWAY4);
	n = put_query(b, &(struct query){.name = "a.example", .type = DNS_A});
	for (int idle = 0; idle < 3;) {
		if (send(fd, b, n, MSG_NOSIGNAL) == (ssize_t)n) {
			asked++;
			idle = 0;
			continue;
		}
		rig_run(r);
		idle++;
	}
	/* Bounded by the sockets' buffers and ours: all is answered in the
	   end. */
	assert_in_range(asked, 100, 100000);
	assert_int_equal(r->net->dns->nconns, 1);
	for (int idle = 0; idle < 3;) {
		k = recv(fd, sink, sizeof(sink), 0);
		if (k > 0) {
			got += (size_t)k;
			idle = 0;
			continue;
		}
		rig_run(r);
		idle++;
	}
	assert_int_equal(got, asked * n);
	(void)close(fd);
}

static void who_does_not_read_is_closed_in_the_end(void **state)
{
	uint8_t b[DNS_QUERY_MAX + 2];
	size_t n;
	int fd;

	(void)state;
	stack("none", NULL);
	fd = stream_to(GATEWAY4);
	n = put_query(b, &(struct query){.name = "a.example", .type = DNS_A});
	for (int full = 0; full < 3; full++) {
		while (send(fd, b, n, MSG_NOSIGNAL) == (ssize_t)n)
			full = 0;
		rig_run(r);
	}
	rig_later(r, 11 * NS_PER_S);
	assert_int_equal(r->net->dns->nconns, 0);
	(void)close(fd);
}

static void lengths_that_cannot_be_end_the_connection(void **state)
{
	static const char *const bad[] = {"\0\0", "\xff\xff", "\x10\1"};

	(void)state;
	stack("none", NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		int fd = stream_to(GATEWAY4);

		assert_int_equal(send(fd, bad[i], 2, MSG_NOSIGNAL), 2);
		assert_true(stream_is_over(fd));
		(void)close(fd);
	}
}

static void the_oldest_idle_connection_makes_room(void **state)
{
	int fd[34];

	(void)state;
	stack("public", NULL);
	for (unsigned i = 0; i < 33; i++) {
		fd[i] = stream_to(GATEWAY4);
		assert_true(fd[i] >= 0);
		if (i == 0)
			stream_say(fd[0], &(struct query){.name = "a.example",
			                                  .type = DNS_A});
	}
	assert_int_equal(r->net->dns->nconns, 32);
	assert_false(stream_is_over(fd[0])); /* it waits for an answer */
	assert_true(stream_is_over(fd[1]));
	for (unsigned i = 0; i < 33; i++)
		(void)close(fd[i]);
}

static void busy_connections_are_bounded(void **state)
{
	char name[32];
	int fd[33];

	(void)state;
	stack("public", NULL);
	for (unsigned i = 0; i < 32; i++) {
		fd[i] = stream_to(GATEWAY4);
		(void)snprintf(name, sizeof(name), "n%u.example", i);
		stream_say(fd[i], &(struct query){.name = name, .type = DNS_A});
	}
	assert_int_equal(stream_to(GATEWAY4), -1);
	assert_int_equal(atomic_load(&net_counters(r->net)->refused), 1);
	for (unsigned i = 0; i < 32; i++)
		(void)close(fd[i]);
}

/* All of one job at one connection that breaks while they are told. */
static void a_broken_connection_takes_its_questions_along(void **state)
{
	int fd, other;

	(void)state;
	stack("public", NULL);
	fd = stream_to(GATEWAY4);
	other = stream_to(GATEWAY4);
	for (unsigned i = 0; i < 3; i++)
		stream_say(fd, &(struct query){.name = "a.example",
		                               .type = DNS_A,
		                               .id = i + 1});
	stream_say(other, &(struct query){.name = "a.example", .type = DNS_A});
	assert_int_equal(r->sockets, 1);
	server_take_tcp(r, s);
	(void)close(fd); /* seen when the first answer is written */
	says(s, 0);
	put_be16(s->b, (uint16_t)s->len);
	assert_int_equal(send(s->conn, s->b, s->len + 2, MSG_NOSIGNAL),
	                 s->len + 2);
	(void)stream_answer(other);
	assert_int_equal(r->net->dns->nconns, 1);
	(void)close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(tcp_is_answered_by_tcp),
		T(names_are_judged_over_tcp_too),
		T(questions_may_come_in_a_row_and_in_pieces),
		T(answers_come_as_they_are_known),
		T(more_questions_than_the_bound_wait),
		T(half_closed_is_still_answered),
		T(a_reset_connection_asks_no_more),
		T(a_reset_connection_that_asks_all_it_may_is_gone),
		T(an_idle_connection_is_closed_after_10_seconds),
		T(who_does_not_read_is_not_read),
		T(who_does_not_read_is_closed_in_the_end),
		T(lengths_that_cannot_be_end_the_connection),
		T(the_oldest_idle_connection_makes_room),
		T(busy_connections_are_bounded),
		T(a_broken_connection_takes_its_questions_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
