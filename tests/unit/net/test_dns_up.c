#include "lib/test.h"

#include <stdio.h>
#include <string.h>

#include "dns_rig.h"

static struct rig *r;
static struct server *s, *s2;
static struct dns_up *up;

/* Who waits, and what came. */
static struct waiter {
	struct dns_wait w;
	unsigned done;
	int error;
	unsigned flags, records;
	uint8_t last; /* byte of the message */
	size_t len;
} w[DNS_IN_FLIGHT_MAX + 1];

static void on_done(struct dns_wait *wait, int error, const struct dns_msg *m)
{
	struct waiter *x = container_of(wait, struct waiter, w);

	x->done++;
	x->error = error;
	if (m) {
		x->flags = m->flags;
		x->records = m->count[DNS_ANSWER];
		x->len = m->len;
		x->last = m->b[m->len - 1];
	}
}

static int setup(void **state)
{
	const struct policy_spec spec = {.profile = "all"};

	(void)state;
	s = server_new();
	s2 = server_new();
	r = rig_new(&spec, (const struct server *const[]){s, s2}, 2);
	up = dns_up_new(r->net);
	memset(w, 0, sizeof(w));
	for (size_t i = 0; i < ARRAY_SIZE(w); i++)
		w[i].w.done = on_done;
	return up ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	dns_up_free(up);
	rig_free(r);
	server_free(s);
	server_free(s2);
	return 0;
}

static struct dns_ask ask_of(const char *name)
{
	struct dns_ask a = {
		.q = {.type = DNS_A, .class = DNS_CLASS_IN, .flags = DNS_RD}
        };

	assert_int_equal(dns_name_from_text(name, &a.q.name), 0);
	return a;
}

static void ask(unsigned i, const char *name)
{
	struct dns_ask a = ask_of(name);

	assert_int_equal(dns_up_ask(up, &a, &w[i].w), 0);
}

static void ask_by_tcp(unsigned i, const char *name)
{
	struct dns_ask a = ask_of(name);

	a.tcp = true;
	assert_int_equal(dns_up_ask(up, &a, &w[i].w), 0);
}

/* ---- what is sent ---- */

static void an_answer_gets_to_who_asked(void **state)
{
	(void)state;
	ask(0, "a.example");
	server_answers(r, s, "192.0.2.7", 60);
	assert_int_equal(w[0].done, 1);
	assert_int_equal(w[0].error, 0);
	assert_int_equal(w[0].records, 1);
	assert_int_equal(w[0].last, 7);
	assert_true(server_is_silent(s) && server_is_silent(s2));
}

static bool is_new(const uint32_t *seen, unsigned n, uint32_t x)
{
	for (unsigned i = 0; i < n; i++)
		if (seen[i] == x)
			return false;
	return true;
}

/* 64 of 65536, all different but for chance: 62 are, in 1 of 10^6 runs not. */
static void each_question_has_its_own_port_id_and_spelling(void **state)
{
	uint32_t ports[64], ids[64], cases[64];
	unsigned nports = 0, nids = 0, ncases = 0;
	char name[64];

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		uint32_t spelling = 0;

		(void)snprintf(name, sizeof(name),
		               "%02uabcdefghijklmnopqrstuvwxyzabcd.example", i);
		ask(i, name);
		server_take(s);
		for (unsigned k = 0; k < 30; k++)
			spelling |=
				(uint32_t) !(s->query[DNS_HEAD + 3 + k] & 0x20)
				<< k;
		if (is_new(ports, nports, s->from.sin_port))
			ports[nports++] = s->from.sin_port;
		if (is_new(ids, nids, get_be16(s->query)))
			ids[nids++] = get_be16(s->query);
		if (is_new(cases, ncases, spelling))
			cases[ncases++] = spelling;
	}
	assert_true(nports >= 62 && nids >= 60 && ncases >= 62);
}

static void the_same_question_is_asked_once(void **state)
{
	(void)state;
	ask(0, "a.example");
	ask(1, "A.Example");
	server_take(s);
	assert_true(server_is_silent(s));
	says(s, 0);
	adds_address(s, NULL, "192.0.2.7", 60);
	server_send(r, s);
	assert_int_equal(w[0].done, 1);
	assert_int_equal(w[1].done, 1);
}

static void another_question_is_asked_by_itself(void **state)
{
	struct dns_ask a[6];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(a); i++)
		a[i] = ask_of("a.example");
	a[1].q.opt = true;
	a[2].q.opt = a[2].q.dnssec_ok = true;
	a[3].q.flags |= DNS_CD;
	a[4].q.type = DNS_AAAA;
	a[5].direct = true;
	a[5].server = (struct net_dns_server){ip("127.0.0.1"), s->port};
	for (unsigned i = 0; i < ARRAY_SIZE(a); i++) {
		assert_int_equal(dns_up_ask(up, &a[i], &w[i].w), 0);
		server_take(s);
	}
	assert_true(server_is_silent(s));
}

static void a_lost_question_is_sent_again(void **state)
{
	uint8_t first[64];

	(void)state;
	ask(0, "a.example");
	server_take(s);
	memcpy(first, s->query, 27);
	rig_later(r, 400 * NS_PER_MS);
	assert_true(server_is_silent(s));
	rig_later(r, 200 * NS_PER_MS);
	server_answers(r, s, "192.0.2.7", 60);
	assert_memory_equal(first, s->query, 27);
	assert_int_equal(w[0].done, 1);
}

/* ---- what does not fit ---- */

enum lie { LIE_ID, LIE_NAME, LIE_TYPE, LIE_CLASS, LIE_QR, LIE_OPCODE, LIES };

static void tell(enum lie lie)
{
	uint8_t *b = server_msg(s);

	says(s, 0);
	adds_address(s, NULL, "192.0.2.66", 60);
	if (lie == LIE_ID)
		b[0] ^= 1;
	else if (lie == LIE_NAME)
		b[DNS_HEAD + 1] ^= 1;
	else if (lie == LIE_TYPE)
		b[DNS_HEAD + 12] ^= 1;
	else if (lie == LIE_CLASS)
		b[DNS_HEAD + 14] ^= 2;
	else if (lie == LIE_QR)
		b[2] &= 0x7f;
	else
		b[2] |= 0x10;
	server_send(r, s);
}

static void answers_to_something_else_are_not_taken(void **state)
{
	(void)state;
	ask(0, "a.example");
	server_take(s);
	for (unsigned i = 0; i < LIES; i++) {
		tell((enum lie)i);
		assert_int_equal(w[0].done, 0);
	}
	says(s, 0);
	adds_address(s, NULL, "192.0.2.7", 60);
	server_send(r, s);
	assert_int_equal(w[0].last, 7);
}

static void broken_answers_are_not_taken(void **state)
{
	(void)state;
	ask(0, "a.example");
	server_take(s);
	says(s, 0);
	adds_address(s, NULL, "192.0.2.66", 60);
	for (size_t len = s->len - 1; len > s->len - 12; len--) {
		assert_int_equal(sendto(s->udp, server_msg(s), len, 0,
		                        (struct sockaddr *)&s->from,
		                        sizeof(s->from)),
		                 len);
		rig_run(r);
		assert_int_equal(w[0].done, 0);
	}
	server_send(r, s);
	assert_int_equal(w[0].done, 1);
}

static void another_sender_is_not_heard(void **state)
{
	(void)state;
	ask(0, "a.example");
	server_take(s);
	says(s, 0);
	adds_address(s, NULL, "192.0.2.66", 60);
	assert_int_equal(sendto(s2->udp, server_msg(s), s->len, 0,
	                        (struct sockaddr *)&s->from, sizeof(s->from)),
	                 s->len);
	rig_run(r);
	assert_int_equal(w[0].done, 0);
}

static void a_flood_of_strange_answers_leads_to_tcp(void **state)
{
	(void)state;
	ask(0, "a.example");
	server_take(s);
	for (int i = 0; i < 20; i++)
		tell(LIE_ID);
	server_take_tcp(r, s);
	says(s, 0);
	adds_address(s, NULL, "192.0.2.7", 60);
	server_send(r, s);
	assert_int_equal(w[0].last, 7);
}

static void a_server_that_changes_the_case_is_asked_by_tcp(void **state)
{
	(void)state;
	ask(0, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example");
	server_take(s);
	says(s, 0);
	for (unsigned i = 1; i < 46; i++)
		server_msg(s)[DNS_HEAD + i] = 'a';
	adds_address(s, NULL, "192.0.2.66", 60);
	server_send(r, s);
	assert_int_equal(w[0].done, 0);
	server_take_tcp(r, s);
	says(s, 0);
	adds_address(s, NULL, "192.0.2.7", 60);
	server_send(r, s);
	assert_int_equal(w[0].last, 7);
}

/* ---- TCP ---- */

static void a_cut_answer_is_asked_for_by_tcp(void **state)
{
	(void)state;
	ask(0, "a.example");
	server_take(s);
	says(s, DNS_TC);
	server_send(r, s);
	server_take_tcp(r, s);
	says(s, 0);
	for (int i = 0; i < 500; i++)
		adds_address(s, NULL, "192.0.2.7", 60);
	server_send(r, s);
	assert_int_equal(w[0].done, 1);
	assert_int_equal(w[0].records, 500);
	assert_true(server_is_silent(s2));
}

static void who_asked_by_tcp_is_answered_by_tcp(void **state)
{
	(void)state;
	ask_by_tcp(0, "a.example");
	server_take_tcp(r, s);
	assert_false(readable(s->udp, 10));
	says(s, 0);
	adds_address(s, NULL, "192.0.2.7", 60);
	server_send(r, s);
	assert_int_equal(w[0].last, 7);
}

static void an_answer_may_come_byte_by_byte(void **state)
{
	(void)state;
	ask_by_tcp(0, "a.example");
	server_take_tcp(r, s);
	says(s, 0);
	adds_address(s, NULL, "192.0.2.7", 60);
	put_be16(s->b, (uint16_t)s->len);
	for (size_t i = 0; i < s->len + 2; i++) {
		assert_int_equal(w[0].done, 0);
		assert_int_equal(send(s->conn, s->b + i, 1, MSG_NOSIGNAL), 1);
		(void)loop_step(r->loop, 100);
	}
	assert_int_equal(w[0].last, 7);
}

static void a_connection_that_ends_early_is_no_answer(void **state)
{
	static const char *const said[] = {"", "\1", "\0\100\1\2", "\0\0",
	                                   "\0\13aaaaaaaaaaa"};
	static const size_t lens[] = {0, 1, 4, 2, 13};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(said); i++) {
		ask_by_tcp(i, "a.example");
		server_take_tcp(r, s);
		assert_int_equal(send(s->conn, said[i], lens[i], MSG_NOSIGNAL),
		                 lens[i]);
		server_hang_up(s);
		server_take_tcp(r, s2);
		says(s2, 0);
		adds_address(s2, NULL, "192.0.2.8", 60);
		server_send(r, s2);
		assert_int_equal(w[i].last, 8);
	}
}

static void lies_by_tcp_lead_to_the_next_server(void **state)
{
	(void)state;
	ask_by_tcp(0, "a.example");
	server_take_tcp(r, s);
	tell(LIE_NAME);
	server_take_tcp(r, s2);
	assert_int_equal(w[0].done, 0);
}

/* ---- servers ---- */

static void servers_that_will_not_are_followed_by_the_next(void **state)
{
	static const unsigned codes[] = {DNS_SERVFAIL, DNS_REFUSED, DNS_NOTIMP};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
		ask(i, "a.example");
		server_take(s);
		says(s, codes[i]);
		server_send(r, s);
		server_answers(r, s2, "192.0.2.8", 60);
		assert_int_equal(w[i].last, 8);
	}
}

static void servfail_without_a_question_counts_too(void **state)
{
	(void)state;
	ask(0, "a.example");
	server_take(s);
	says(s, DNS_SERVFAIL);
	s->len = DNS_HEAD;
	put_be16(server_msg(s) + 4, 0);
	server_send(r, s);
	server_answers(r, s2, "192.0.2.8", 60);
	assert_int_equal(w[0].last, 8);
}

static void the_last_servers_answer_is_the_answer(void **state)
{
	(void)state;
	ask(0, "a.example");
	server_take(s);
	says(s, DNS_SERVFAIL);
	server_send(r, s);
	server_take(s2);
	says(s2, DNS_REFUSED);
	server_send(r, s2);
	assert_int_equal(w[0].done, 1);
	assert_int_equal(w[0].error, 0);
	assert_int_equal(w[0].flags & DNS_RCODE, DNS_REFUSED);
}

static void nxdomain_is_final(void **state)
{
	(void)state;
	ask(0, "a.example");
	server_take(s);
	says(s, DNS_NXDOMAIN);
	server_send(r, s);
	assert_int_equal(w[0].flags & DNS_RCODE, DNS_NXDOMAIN);
	assert_true(server_is_silent(s2));
}

static void a_silent_server_is_followed_by_the_next(void **state)
{
	(void)state;
	ask(0, "a.example");
	server_take(s);
	rig_later(r, 1900 * NS_PER_MS);
	assert_true(server_is_silent(s2));
	rig_later(r, 200 * NS_PER_MS);
	server_answers(r, s2, "192.0.2.8", 60);
	assert_int_equal(w[0].last, 8);
}

static void all_silent_is_a_timeout(void **state)
{
	(void)state;
	ask(0, "a.example");
	rig_later(r, 3900 * NS_PER_MS);
	assert_int_equal(w[0].done, 0);
	rig_later(r, 200 * NS_PER_MS);
	assert_int_equal(w[0].done, 1);
	assert_int_equal(w[0].error, -ETIMEDOUT);
}

static void a_silent_server_rests_for_a_while(void **state)
{
	(void)state;
	ask(0, "a.example");
	server_take(s);
	rig_later(r, 2100 * NS_PER_MS);
	(void)recv(s->udp, s->query, sizeof(s->query), MSG_DONTWAIT);
	server_answers(r, s2, "192.0.2.8", 60);
	ask(1, "b.example");
	assert_true(server_is_silent(s));
	server_answers(r, s2, "192.0.2.8", 60);
	assert_int_equal(w[1].done, 1);
	rig_later(r, 31 * NS_PER_S);
	ask(2, "c.example");
	server_answers(r, s, "192.0.2.7", 60);
	assert_int_equal(w[2].last, 7);
}

/* ICMP says at once that nobody listens. */
static void a_closed_port_is_followed_by_the_next(void **state)
{
	(void)state;
	server_down(s);
	ask(0, "a.example");
	rig_run(r);
	server_answers(r, s2, "192.0.2.8", 60);
	assert_int_equal(w[0].last, 8);
	ask_by_tcp(1, "a.example");
	server_take_tcp(r, s2);
}

static void no_route_is_said_at_once(void **state)
{
	(void)state;
	r->connect_error = -ENETUNREACH;
	ask(0, "a.example");
	assert_int_equal(w[0].done, 1);
	assert_int_equal(w[0].error, -ENETUNREACH);
}

static void a_server_of_the_guests_is_the_only_one(void **state)
{
	struct dns_ask a = ask_of("a.example");

	(void)state;
	a.direct = true;
	a.server = (struct net_dns_server){ip("127.0.0.1"), s2->port};
	assert_int_equal(dns_up_ask(up, &a, &w[0].w), 0);
	server_take(s2);
	says(s2, DNS_SERVFAIL);
	server_send(r, s2);
	assert_int_equal(w[0].flags & DNS_RCODE, DNS_SERVFAIL);
	assert_true(server_is_silent(s));
}

static void other_servers_are_used_from_then_on(void **state)
{
	struct net_dns_server other = {ip("127.0.0.1"), s2->port};

	(void)state;
	ask(0, "a.example");
	server_take(s);
	dns_up_servers(up, &other, 1);
	ask(1, "a.example"); /* is not the same question any more */
	server_answers(r, s2, "192.0.2.8", 60);
	assert_int_equal(w[1].last, 8);
	says(s, 0);
	adds_address(s, NULL, "192.0.2.7", 60);
	server_send(r, s);
	assert_int_equal(w[0].last, 7);
}

/* ---- bounds ---- */

static void questions_in_flight_are_bounded(void **state)
{
	struct dns_ask a = ask_of("more.example");
	char name[32];

	(void)state;
	for (unsigned i = 0; i < DNS_IN_FLIGHT_MAX; i++) {
		(void)snprintf(name, sizeof(name), "n%u.example", i);
		ask(i, name);
	}
	assert_int_equal(dns_up_ask(up, &a, &w[DNS_IN_FLIGHT_MAX].w), -EBUSY);
	dns_up_cancel(up, &w[7].w);
	assert_int_equal(dns_up_ask(up, &a, &w[DNS_IN_FLIGHT_MAX].w), 0);
	rig_later(r, 5 * NS_PER_S);
	for (unsigned i = 0; i <= DNS_IN_FLIGHT_MAX; i++)
		assert_int_equal(w[i].done, i != 7);
}

static void the_rate_of_questions_is_bounded(void **state)
{
	unsigned n = 0;

	(void)state;
	for (int second = 0; second < 2; second++) {
		for (int i = 0; i < 4000; i++) {
			struct dns_ask a = ask_of("a.example");

			if (dns_up_ask(up, &a, &w[0].w) < 0)
				break;
			dns_up_cancel(up, &w[0].w);
			n++;
		}
		if (second == 0)
			assert_int_equal(n, DNS_RATE_BURST);
		r->now += NS_PER_S;
	}
	assert_in_range(n, DNS_RATE_BURST + DNS_RATE - 1,
	                DNS_RATE_BURST + DNS_RATE + 1);
}

static void who_does_not_wait_is_not_told(void **state)
{
	(void)state;
	ask(0, "a.example");
	ask(1, "a.example");
	server_take(s);
	dns_up_cancel(up, &w[0].w);
	dns_up_cancel(up, &w[0].w); /* once more is nothing */
	says(s, 0);
	adds_address(s, NULL, "192.0.2.7", 60);
	server_send(r, s);
	assert_int_equal(w[0].done, 0);
	assert_int_equal(w[1].done, 1);
	ask(0, "a.example");
	server_take(s);
	dns_up_cancel(up, &w[0].w); /* the last: its socket is closed */
	server_send(r, s);
	assert_int_equal(w[0].done, 0);
}

static void questions_in_flight_end_with_us(void **state)
{
	(void)state;
	ask(0, "a.example");
	ask_by_tcp(1, "a.example");
	server_take_tcp(r, s);
	dns_up_free(up);
	up = NULL;
	assert_int_equal(w[0].done + w[1].done, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_answer_gets_to_who_asked),
		T(each_question_has_its_own_port_id_and_spelling),
		T(the_same_question_is_asked_once),
		T(another_question_is_asked_by_itself),
		T(a_lost_question_is_sent_again),
		T(answers_to_something_else_are_not_taken),
		T(broken_answers_are_not_taken),
		T(another_sender_is_not_heard),
		T(a_flood_of_strange_answers_leads_to_tcp),
		T(a_server_that_changes_the_case_is_asked_by_tcp),
		T(a_cut_answer_is_asked_for_by_tcp),
		T(who_asked_by_tcp_is_answered_by_tcp),
		T(an_answer_may_come_byte_by_byte),
		T(a_connection_that_ends_early_is_no_answer),
		T(lies_by_tcp_lead_to_the_next_server),
		T(servers_that_will_not_are_followed_by_the_next),
		T(servfail_without_a_question_counts_too),
		T(the_last_servers_answer_is_the_answer),
		T(nxdomain_is_final),
		T(a_silent_server_is_followed_by_the_next),
		T(all_silent_is_a_timeout),
		T(a_silent_server_rests_for_a_while),
		T(a_closed_port_is_followed_by_the_next),
		T(no_route_is_said_at_once),
		T(a_server_of_the_guests_is_the_only_one),
		T(other_servers_are_used_from_then_on),
		T(questions_in_flight_are_bounded),
		T(the_rate_of_questions_is_bounded),
		T(who_does_not_wait_is_not_told),
		T(questions_in_flight_end_with_us),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
