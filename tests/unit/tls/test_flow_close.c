/* Bytes of a flow, how it ends, and what a slow reader costs. No protocol is
   chosen, and the first byte is no HTTP: they pass as they are. */
#include <malloc.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "tls/flow.h"
#include "tls/world.h"

struct pair {
	struct world w;
	struct peer g, s;
	SSL_CTX *ctx;
};

static void pair_open(struct pair *p, int version)
{
	struct tlslink_flow m;

	world_open(&p->w, NULL);
	p->ctx = world_server_ctx(&p->w, "api.test", NULL);
	if (version)
		SSL_CTX_set_max_proto_version(p->ctx, version);
	m = world_message(&p->w, "api.test");
	assert_int_equal(world_flow(&p->w, &m, &p->g, &p->s), 0);
	peer_client(&p->g, &p->w, "api.test", NULL);
	peer_server(&p->s, p->ctx);
	world_until(&p->w, p->g.secure && p->s.secure, &p->g, &p->s);
	buf_adds(&p->g.out, "\x01");
	world_until(&p->w, p->s.in.len == 1, &p->g, &p->s);
	buf_reset(&p->s.in);
	p->s.total_in = 0;
}

static void pair_close(struct pair *p)
{
	peer_close(&p->g);
	peer_close(&p->s);
	world_until(&p->w, p->w.tls.nflows == 0, &p->g);
	SSL_CTX_free(p->ctx);
	world_close(&p->w);
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 2654435761u >> 13);
}

static void add_pattern(struct buf *b, size_t len)
{
	assert_int_equal(buf_reserve(b, len), 0);
	for (size_t i = 0; i < len; i++)
		b->data[b->len + i] = pattern(i);
	buf_commit(b, len);
}

static void is_pattern(const struct buf *b, size_t len)
{
	assert_int_equal(b->len, len);
	for (size_t i = 0; i < len; i++)
		if (b->data[i] != pattern(i))
			fail_msg("byte %zu is wrong", i);
}

static void many_bytes_pass_unchanged(void **state)
{
	static const size_t len = 3 << 20;
	struct pair p;

	(void)state;
	pair_open(&p, 0);
	add_pattern(&p.g.out, len);
	add_pattern(&p.s.out, len);
	world_until(&p.w, p.s.in.len == len && p.g.in.len == len, &p.g, &p.s);
	is_pattern(&p.s.in, len);
	is_pattern(&p.g.in, len);
	pair_close(&p);
}

static void drops_of_bytes_pass_unchanged(void **state)
{
	static const size_t len = 5000;
	struct pair p;

	(void)state;
	pair_open(&p, 0);
	p.g.chunk = p.s.chunk = 7;
	add_pattern(&p.g.out, len);
	add_pattern(&p.s.out, len);
	world_until(&p.w, p.s.in.len == len && p.g.in.len == len, &p.g, &p.s);
	is_pattern(&p.s.in, len);
	is_pattern(&p.g.in, len);
	pair_close(&p);
}

/* ---- half-closes --------------------------------------------------------- */

/* @a ends its direction, properly or not; the other sees just that, and can
   still answer. */
static void half_close_case(int version, bool guest_first, bool cut)
{
	struct pair p;
	struct peer *a, *b;

	pair_open(&p, version);
	a = guest_first ? &p.g : &p.s;
	b = guest_first ? &p.s : &p.g;
	add_pattern(&a->out, 300000);
	a->shut = true;
	a->cut = cut;
	world_until(&p.w, b->end != PEER_OPEN, &p.g, &p.s);
	is_pattern(&b->in, 300000);
	assert_int_equal(b->end, cut ? PEER_FIN : PEER_NOTIFY);
	if (b->end == PEER_NOTIFY) {
		add_pattern(&b->out, 200000);
		b->shut = true;
		world_until(&p.w, a->end != PEER_OPEN, &p.g, &p.s);
		is_pattern(&a->in, 200000);
		assert_int_equal(a->end, PEER_NOTIFY);
		world_until(&p.w, p.w.tls.nflows == 0, &p.g, &p.s);
		assert_int_equal(p.w.naborts, 0);
	}
	pair_close(&p);
}

static void half_closes_pass_both_ways(void **state)
{
	(void)state;
	half_close_case(TLS1_3_VERSION, true, false);
	half_close_case(TLS1_3_VERSION, false, false);
	half_close_case(TLS1_2_VERSION, true, false);
	half_close_case(TLS1_2_VERSION, false, false);
}

/* Else a body without a length that was cut would look whole. */
static void a_cut_stream_stays_a_cut_stream(void **state)
{
	(void)state;
	half_close_case(TLS1_3_VERSION, false, true);
	half_close_case(TLS1_2_VERSION, false, true);
	half_close_case(TLS1_3_VERSION, true, true);
}

/* The guest has only ended its stream, without close_notify: it still reads. */
static void an_answer_reaches_a_guest_that_only_sent_fin(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, 0);
	assert_int_equal(shutdown(p.g.fd, SHUT_WR), 0);
	world_until(&p.w, p.s.end == PEER_FIN, &p.g, &p.s);
	/* OpenSSL's server cannot write any more after that: a clear one,
	   whose records we make, is too much here; FIN goes back. */
	peer_close(&p.s);
	world_until(&p.w, p.g.end == PEER_FIN, &p.g);
	pair_close(&p);
}

static void a_guest_that_is_gone_ends_the_flow(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, 0);
	add_pattern(&p.g.out, 1000);
	p.g.shut = true;
	peer_step(&p.g);
	peer_close(&p.g);
	world_until(&p.w, p.s.end != PEER_OPEN, &p.s);
	assert_int_equal(p.s.end, PEER_NOTIFY);
	is_pattern(&p.s.in, 1000);
	/* the server may take its time; nobody waits for it */
	world_until(&p.w, p.w.tls.nflows == 0, &p.s);
	pair_close(&p);
}

static void what_a_server_sent_before_it_left_arrives(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, 0);
	p.g.deaf = true;
	add_pattern(&p.s.out, 500000);
	p.s.shut = true;
	world_until(&p.w, p.s.told, &p.g, &p.s);
	peer_close(&p.s);
	p.g.deaf = false;
	world_until(&p.w, p.g.end != PEER_OPEN, &p.g);
	is_pattern(&p.g.in, 500000);
	assert_int_equal(p.g.end, PEER_NOTIFY);
	pair_close(&p);
}

/* An early answer, while the request's body is on its way to nobody. */
static void an_early_answer_arrives(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, 0);
	p.s.deaf = true;
	add_pattern(&p.s.out, 1000);
	p.s.shut = true;
	world_until(&p.w, p.s.told, &p.s);
	peer_close(&p.s);
	buf_addz(&p.g.out, 4 << 20);
	world_until(&p.w, p.g.end != PEER_OPEN, &p.g);
	is_pattern(&p.g.in, 1000);
	pair_close(&p);
}

static void broken_records_cut_the_flow(void **state)
{
	static const uint8_t record[] = {23, 3,  3,  0,  20, 1,  2,  3,  4,
	                                 5,  6,  7,  8,  9,  10, 11, 12, 13,
	                                 14, 15, 16, 17, 18, 19, 20};
	struct pair p;

	(void)state;
	for (int side = 0; side < 2; side++) {
		pair_open(&p, 0);
		assert_int_equal(
			send(side ? p.g.fd : p.s.fd, record, sizeof(record), 0),
			sizeof(record));
		world_until(&p.w, p.w.tls.nflows == 0, &p.g, &p.s);
		assert_int_equal(p.w.naborts, 1);
		pair_close(&p);
	}
}

/* ---- slow readers -------------------------------------------------------- */

static size_t in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void slow_case(bool guest_reads)
{
	struct pair p;
	struct peer *from, *to;
	size_t before, grown = 0;
	uint64_t end;
	unsigned turns = 0;

	pair_open(&p, 0);
	from = guest_reads ? &p.s : &p.g;
	to = guest_reads ? &p.g : &p.s;
	to->deaf = true;
	to->drop = true;
	buf_addz(&from->out, 16 << 20);
	before = in_use();
	end = clock_now_ns() + NS_PER_S / 2;
	while (clock_now_ns() < end) {
		peer_step(from);
		assert_int_equal(loop_step(p.w.tls.loop, 10), 0);
		turns++;
		if (in_use() > before)
			grown = MAX(grown, in_use() - before);
	}
	assert_true(from->out.len > 15 << 20); /* it was made to wait */
	if (grown > 600 << 10)
		fail_msg("%zu bytes for one that does not read", grown);
	assert_true(turns < 200); /* and nobody ran in circles */
	to->deaf = false;
	world_until(&p.w, to->total_in >= 16 << 20, &p.g, &p.s);
	assert_int_equal(to->total_in, 16 << 20);
	pair_close(&p);
}

static void slow_readers_take_little_memory(void **state)
{
	(void)state;
	slow_case(true);
	slow_case(false);
}

/* Neither reads before it has written all. */
static void both_may_write_first(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, 0);
	p.g.drop = p.s.drop = true;
	p.g.deaf = true;
	buf_addz(&p.g.out, 8 << 20);
	buf_addz(&p.s.out, 8 << 20);
	world_until(&p.w, p.g.out.len == 0, &p.g, &p.s);
	p.g.deaf = false;
	world_until(&p.w, p.g.total_in == 8 << 20 && p.s.total_in == 8 << 20,
	            &p.g, &p.s);
	pair_close(&p);
}

/* Hanging up while the other side does not read must not make epoll spin. */
static void one_that_hung_up_does_not_spin(void **state)
{
	struct pair p;
	uint64_t end;
	unsigned turns = 0;

	(void)state;
	pair_open(&p, 0);
	p.s.deaf = true;
	buf_addz(&p.g.out, 1 << 20);
	for (int i = 0; i < 200; i++) {
		peer_step(&p.g);
		(void)loop_step(p.w.tls.loop, 1);
	}
	peer_close(&p.g);
	end = clock_now_ns() + NS_PER_S / 2;
	while (clock_now_ns() < end) {
		(void)loop_step(p.w.tls.loop, 50);
		turns++;
	}
	assert_true(turns < 50);
	p.s.deaf = false;
	p.s.drop = true;
	world_until(&p.w, p.s.end != PEER_OPEN, &p.s);
	pair_close(&p);
}

/* ---- many ---------------------------------------------------------------- */

#define MANY 100

static bool all_in(const struct peer *v, size_t len)
{
	for (int i = 0; i < MANY; i++)
		if (v[i].total_in < len)
			return false;
	return true;
}

static void many_flows_at_once(void **state)
{
	static struct peer g[MANY], s[MANY];
	static const size_t len = 200000;
	struct world w;
	SSL_CTX *ctx;
	uint64_t end = clock_now_ns() + 60 * NS_PER_S;

	(void)state;
	world_open(&w, NULL);
	ctx = world_server_ctx(&w, "api.test", NULL);
	for (int i = 0; i < MANY; i++) {
		struct tlslink_flow m = world_message(&w, "api.test");

		assert_int_equal(world_flow(&w, &m, &g[i], &s[i]), 0);
		peer_client(&g[i], &w, "api.test", NULL);
		peer_server(&s[i], ctx);
		buf_adds(&g[i].out, "\x01");
		buf_addz(&g[i].out, len - 1);
		buf_addz(&s[i].out, len);
		g[i].drop = s[i].drop = true;
	}
	while (!all_in(g, len) || !all_in(s, len)) {
		for (int i = 0; i < MANY; i++) {
			peer_step(&g[i]);
			peer_step(&s[i]);
		}
		assert_int_equal(loop_step(w.tls.loop, 0), 0);
		assert_true(clock_now_ns() < end);
	}
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(g[i].total_in, len);
		assert_int_equal(s[i].total_in, len);
		peer_close(&g[i]);
		peer_close(&s[i]);
	}
	world_until(&w, w.tls.nflows == 0, &g[0]);
	SSL_CTX_free(ctx);
	world_close(&w);
}

#if !defined(__SANITIZE_ADDRESS__)
/* What a flow costs while nothing happens: both ends of TLS, ours alone. */
static void idle_flows_are_small(void **state)
{
	static struct peer g[MANY], s[MANY];
	struct world w;
	SSL_CTX *ctx;
	size_t before, after;
	uint64_t end;

	(void)state;
	world_open(&w, NULL);
	ctx = world_server_ctx(&w, "api.test", NULL);
	for (int i = 0; i < MANY; i++) {
		struct tlslink_flow m = world_message(&w, "api.test");

		assert_int_equal(world_flow(&w, &m, &g[i], &s[i]), 0);
		peer_client(&g[i], &w, "api.test", NULL);
		peer_server(&s[i], ctx);
		buf_adds(&g[i].out, "\x01");
		buf_addz(&g[i].out, 100000);
		buf_addz(&s[i].out, 100000);
		world_until(&w, g[i].in.len == 100000 && s[i].in.len == 100001,
		            &g[i], &s[i]);
	}
	end = clock_now_ns() + 4 * NS_PER_S;
	while (clock_now_ns() < end)
		(void)loop_step(w.tls.loop, 100);
	for (int i = 0; i < MANY; i++) {
		SSL_free(g[i].ssl);
		SSL_free(s[i].ssl);
		g[i].ssl = s[i].ssl = NULL;
		buf_release(&g[i].in);
		buf_release(&s[i].in);
	}
	before = in_use();
	flow_end_all(&w.tls);
	after = in_use();
	printf("# an idle flow: %zu bytes\n", (before - after) / MANY);
	assert_true((before - after) / MANY < 40 << 10);
	for (int i = 0; i < MANY; i++) {
		peer_close(&g[i]);
		peer_close(&s[i]);
	}
	SSL_CTX_free(ctx);
	world_close(&w);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_bytes_pass_unchanged),
		cmocka_unit_test(drops_of_bytes_pass_unchanged),
		cmocka_unit_test(half_closes_pass_both_ways),
		cmocka_unit_test(a_cut_stream_stays_a_cut_stream),
		cmocka_unit_test(an_answer_reaches_a_guest_that_only_sent_fin),
		cmocka_unit_test(a_guest_that_is_gone_ends_the_flow),
		cmocka_unit_test(what_a_server_sent_before_it_left_arrives),
		cmocka_unit_test(an_early_answer_arrives),
		cmocka_unit_test(broken_records_cut_the_flow),
		cmocka_unit_test(slow_readers_take_little_memory),
		cmocka_unit_test(both_may_write_first),
		cmocka_unit_test(one_that_hung_up_does_not_spin),
		cmocka_unit_test(many_flows_at_once),
#if !defined(__SANITIZE_ADDRESS__)
		cmocka_unit_test(idle_flows_are_small),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
