/* Fragments of a guest, put together or not at all. */
#include "lib/test.h"

#include "base/clock.h"
#include "frames.h"
#include "net/frag.h"
#include "net/net_int.h"

static struct net n;
static uint64_t now;
static unsigned nbad;
static const char *last_bad;

void net_bad(struct net *net, const char *why)
{
	assert_ptr_equal(net, &n);
	nbad++;
	last_bad = why;
}

static uint64_t now_ns(void *arg)
{
	(void)arg;
	return now;
}

static const struct net_host_ops ops = {.now_ns = now_ns};

static int setup(void **state)
{
	(void)state;
	memset(&n, 0, sizeof(n));
	now = 5 * NS_PER_S;
	n.cfg.host = &ops;
	wheel_init(&n.wheel, NULL, now);
	assert_int_equal(frags_new(&n, &n.frags), 0);
	nbad = 0;
	last_bad = "";
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	frags_free(n.frags);
	wheel_release(&n.wheel);
	return 0;
}

/* The datagram that the fragments are of: UDP header and bytes. */
static struct fr whole;
static struct fr f;
static struct pkt p;

static void datagram(size_t len)
{
	whole.len = 0;
	fr_udp(&whole, 4000, 5000, len - 8);
}

static bool give(void)
{
	static struct iovec v;
	struct iov s = {&v, 1, f.len};
	struct vnet_hdr h = {0};
	const char *why;

	v = (struct iovec){f.b, f.len};
	assert_int_equal(pkt_parse(&h, &s, &p, &why), 0);
	assert_true(p.fragment);
	return frags_add(n.frags, &p);
}

static bool piece4(uint16_t id, size_t from, size_t to, bool more)
{
	fr_ip4(&f, GUEST4, "192.0.2.9", PROTO_UDP);
	put_be16(f.b + ETH_LEN + 4, id);
	put_be16(f.b + ETH_LEN + 6, (uint16_t)(from / 8 | (more ? 0x2000 : 0)));
	fr_add(&f, whole.b + from, to - from);
	fr_end4(&f);
	return give();
}

static bool piece6(uint32_t id, size_t from, size_t to, bool more)
{
	uint8_t *h;

	fr_ip6(&f, GUEST6, "2001:db8::9", 44);
	h = fr_add(&f, NULL, 8);
	h[0] = PROTO_UDP;
	put_be16(h + 2, (uint16_t)(from | more));
	put_be32(h + 4, id);
	fr_add(&f, whole.b + from, to - from);
	fr_end6(&f);
	return give();
}

typedef bool piece_fn(unsigned id, size_t from, size_t to, bool more);

static bool any4(unsigned id, size_t from, size_t to, bool more)
{
	return piece4((uint16_t)id, from, to, more);
}

static bool any6(unsigned id, size_t from, size_t to, bool more)
{
	return piece6(id, from, to, more);
}

static piece_fn *const families[] = {any4, any6};

static void assert_datagram(void)
{
	static uint8_t got[65536];

	assert_false(p.fragment);
	assert_int_equal(p.proto, PROTO_UDP);
	assert_int_equal(p.l4_len, 8);
	assert_int_equal(get_be16(p.head + p.l4 + 2), 5000);
	assert_int_equal(p.payload.len, whole.len - 8);
	assert_int_equal(p.ip_len, p.l4 - p.l3 + whole.len);
	assert_int_equal(iov_get(&p.payload, got, whole.len - 8), 0);
	assert_memory_equal(got, whole.b + 8, whole.len - 8);
}

static void pieces_in_order_make_a_datagram(void **state)
{
	size_t i;

	(void)state;
	datagram(4000);
	for (i = 0; i < 2; i++) {
		assert_false(families[i](7, 0, 1480, true));
		assert_false(families[i](7, 1480, 2960, true));
		assert_true(families[i](7, 2960, 4000, false));
		assert_datagram();
		frags_done(n.frags);
	}
	assert_int_equal(nbad, 0);
}

static void pieces_backwards_make_a_datagram(void **state)
{
	size_t i;

	(void)state;
	datagram(4000);
	for (i = 0; i < 2; i++) {
		assert_false(families[i](7, 2960, 4000, false));
		assert_false(families[i](7, 1480, 2960, true));
		assert_true(families[i](7, 0, 1480, true));
		assert_datagram();
		frags_done(n.frags);
	}
}

static void pieces_in_any_order_make_a_datagram(void **state)
{
	unsigned order, i, k;

	(void)state;
	datagram(4 * 800 + 5);
	for (order = 0; order < 256; order++) {
		bool done = false, used[4] = {false};

		for (i = 0; i < 4; i++) {
			k = order >> 2 * i & 3;
			if (used[k])
				break;
			used[k] = true;
			done = any4(order, k * 800U,
			            k == 3 ? whole.len : k * 800U + 800, k < 3);
		}
		if (i < 4) {
			frags_reset(n.frags);
			continue;
		}
		assert_true(done);
		assert_datagram();
		frags_done(n.frags);
	}
	assert_int_equal(nbad, 0);
}

static void largest_datagram_is_put_together(void **state)
{
	size_t at;

	(void)state;
	datagram(65515);
	for (at = 0; at + 1480 < whole.len; at += 1480)
		assert_false(any4(1, at, at + 1480, true));
	assert_true(any4(1, at, whole.len, false));
	assert_datagram();
}

static void whole_packet_looks_as_if_it_came_in_one(void **state)
{
	struct vnet_hdr h = {0};
	struct pkt again;
	const char *why = "";
	struct iovec v;
	struct iov s = {&v, 1, 0};
	size_t i;

	(void)state;
	datagram(2000);
	for (i = 0; i < 2; i++) {
		static struct fr all;

		assert_false(families[i](7, 0, 1480, true));
		assert_true(families[i](7, 1480, 2000, false));
		all.len = 0;
		fr_add(&all, p.head, p.l4);
		fr_add(&all, whole.b, whole.len);
		v = (struct iovec){all.b, all.len};
		s = (struct iov){&v, 1, all.len};
		assert_int_equal(pkt_parse(&h, &s, &again, &why), 0);
		assert_false(again.fragment);
		assert_int_equal(again.ip_len, p.ip_len);
		frags_done(n.frags);
	}
}

static void packets_of_one_id_but_other_addresses_do_not_mix(void **state)
{
	(void)state;
	datagram(2000);
	assert_false(any4(7, 0, 1480, true));
	assert_false(any6(7, 1480, 2000, false));
	assert_false(any4(8, 1480, 2000, false));
	assert_true(any4(7, 1480, 2000, false));
	assert_true(any6(7, 0, 1480, true));
}

static void many_whole_ones_live_until_the_batch_ends(void **state)
{
	static struct pkt kept[32];
	unsigned i;

	(void)state;
	datagram(200);
	for (i = 0; i < 32; i++) {
		assert_false(any4(i, 0, 96, true));
		assert_true(any4(i, 96, 200, false));
		kept[i] = p;
	}
	for (i = 0; i < 32; i++) {
		uint8_t got[192];

		assert_int_equal(iov_get(&kept[i].payload, got, 192), 0);
		assert_memory_equal(got, whole.b + 8, 192);
	}
	/* No batch has more; who ends none gets no more memory. */
	assert_false(any4(99, 0, 96, true));
	assert_false(any4(99, 96, 200, false));
	frags_done(n.frags);
	assert_false(any4(100, 0, 96, true));
	assert_true(any4(100, 96, 200, false));
}

/* ---- attacks ------------------------------------------------------------- */

static void overlap_spoils_the_packet_and_what_comes_of_it(void **state)
{
	static const struct {
		size_t from, to;
	} evil[] = {
		{0,    1480}, /* the same again */
		{24,   48  }, /* inside */
		{1472, 1480}, /* the last eight bytes */
		{1472, 1600}, /* across the end */
		{800,  2400}, /* across the hole to the next */
	};
	size_t i, fam;

	(void)state;
	datagram(4000);
	for (fam = 0; fam < 2; fam++)
		for (i = 0; i < ARRAY_SIZE(evil); i++) {
			unsigned id = (unsigned)(10 + i);

			assert_false(families[fam](id, 0, 1480, true));
			assert_false(families[fam](id, 2000, 2960, true));
			nbad = 0;
			assert_false(families[fam](id, evil[i].from, evil[i].to,
			                           true));
			assert_int_equal(nbad, 1);
			assert_string_equal(last_bad, "fragments that overlap");
			/* All that was missing, and then all of it. */
			assert_false(families[fam](id, 1480, 2000, true));
			assert_false(families[fam](id, 2960, 4000, false));
			assert_false(families[fam](id, 0, 2000, true));
			assert_false(families[fam](id, 2000, 4000, false));
		}
}

static void tiny_first_fragment_is_dropped(void **state)
{
	(void)state;
	datagram(200);
	assert_false(any4(1, 0, 8, true));
	assert_string_equal(last_bad, "tiny first fragment");
	assert_false(any4(1, 8, 200, false));
	assert_false(any6(1, 0, 16, true));
	assert_int_equal(nbad, 2);
}

static void piece_of_odd_length_that_is_not_the_last_is_dropped(void **state)
{
	(void)state;
	datagram(200);
	assert_false(any4(1, 0, 101, true));
	assert_int_equal(nbad, 1);
	assert_false(any4(1, 104, 104, false));
	assert_int_equal(nbad, 2);
}

/* The ping of death. */
static void giant_is_dropped_before_it_is_copied(void **state)
{
	(void)state;
	datagram(65528);
	assert_false(any4(1, 65528, 65528 + 16, false));
	assert_string_equal(last_bad, "fragment beyond the largest packet");
	assert_false(any4(1, 65512, 65512 + 8, true));
	assert_string_equal(last_bad, "fragment beyond the largest packet");
	assert_false(any6(1, 65528, 65528 + 8, false));
	assert_int_equal(nbad, 3);
}

static void first_with_options_may_not_make_it_giant(void **state)
{
	size_t at;

	(void)state;
	datagram(65515);
	fr_ip4(&f, GUEST4, "192.0.2.9", PROTO_UDP)[0] = 0x4f;
	put_be16(f.b + ETH_LEN + 4, 1);
	put_be16(f.b + ETH_LEN + 6, 0x2000);
	memset(fr_add(&f, NULL, 40), 1, 40);
	fr_add(&f, whole.b, 1440);
	fr_end4(&f);
	assert_false(give());
	for (at = 1440; at + 1480 < whole.len; at += 1480)
		assert_false(any4(1, at, at + 1480, true));
	assert_int_equal(nbad, 0);
	assert_false(any4(1, at, whole.len, false));
	assert_int_equal(nbad, 1);
}

static void two_ends_spoil_the_packet(void **state)
{
	(void)state;
	datagram(4000);
	assert_false(any4(1, 1480, 2000, false));
	assert_false(any4(1, 2960, 4000, false));
	assert_string_equal(last_bad, "two last fragments");
	assert_false(any4(2, 2960, 4000, true));
	assert_false(any4(2, 1480, 2000, false));
	assert_string_equal(last_bad, "two last fragments");
	assert_false(any4(3, 1480, 2000, false));
	assert_false(any4(3, 2960, 4000, true));
	assert_string_equal(last_bad, "fragment behind the last");
	assert_int_equal(nbad, 3);
	assert_false(any4(1, 0, 1480, true));
}

static void more_holes_than_can_be_known_spoil_the_packet(void **state)
{
	size_t i;

	(void)state;
	datagram(60000);
	for (i = 0; i < 16; i++)
		assert_false(any4(1, i * 200, i * 200 + 96, true));
	assert_int_equal(nbad, 0);
	assert_false(any4(1, i * 200, i * 200 + 96, true));
	assert_string_equal(last_bad, "fragments with too many holes");
}

static void thousand_starters_leave_room_for_who_comes_then(void **state)
{
	unsigned i;

	(void)state;
	datagram(4000);
	for (i = 0; i < 1000; i++)
		assert_false(any4(i, 0, 1480, true));
	assert_false(any4(5000, 0, 1480, true));
	assert_true(any4(5000, 1480, 4000, false));
	/* The oldest made room: the rest of it is a starter again. */
	assert_false(any4(0, 1480, 4000, false));
}

static void starters_are_forgotten_when_they_are_old(void **state)
{
	(void)state;
	datagram(4000);
	assert_false(any4(1, 0, 1480, true));
	now += FRAG_LIFE_NS - NS_PER_S;
	wheel_run(&n.wheel, now);
	assert_int_equal(n.wheel.n, 1);
	now += 2 * NS_PER_S;
	wheel_run(&n.wheel, now);
	assert_int_equal(n.wheel.n, 0);
	assert_false(any4(1, 1480, 4000, false));
}

static void reset_forgets_what_was_there(void **state)
{
	(void)state;
	datagram(4000);
	assert_false(any4(1, 0, 1480, true));
	frags_reset(n.frags);
	assert_int_equal(n.wheel.n, 0);
	assert_false(any4(1, 1480, 4000, false));
}

static void broken_datagram_in_fragments_is_dropped(void **state)
{
	(void)state;
	datagram(4000);
	put_be16(whole.b + 4, 4001);
	assert_false(any4(1, 0, 1480, true));
	assert_false(any4(1, 1480, 4000, false));
	assert_string_equal(last_bad, "UDP length");
	assert_int_equal(nbad, 1);
}

static void extension_headers_inside_of_fragments_are_walked(void **state)
{
	uint8_t *h;

	(void)state;
	whole.len = 0;
	fr_add(&whole, "\x11\x00\x01\x04\x00\x00\x00\x00", 8);
	fr_udp(&whole, 4000, 5000, 100);
	fr_ip6(&f, GUEST6, "2001:db8::9", 44);
	h = fr_add(&f, NULL, 8);
	h[0] = 60;
	h[3] = 1;
	fr_add(&f, whole.b, 64);
	fr_end6(&f);
	assert_false(give());
	fr_ip6(&f, GUEST6, "2001:db8::9", 44);
	h = fr_add(&f, NULL, 8);
	h[0] = 60;
	h[3] = 64;
	fr_add(&f, whole.b + 64, whole.len - 64);
	fr_end6(&f);
	assert_true(give());
	assert_int_equal(p.proto, PROTO_UDP);
	assert_int_equal(p.payload.len, 100);
	/* And a fragment inside of one is not. */
	whole.b[0] = 44;
	fr_ip6(&f, GUEST6, "2001:db8::9", 44);
	h = fr_add(&f, NULL, 8);
	h[0] = 60;
	h[3] = 1;
	h[7] = 2;
	fr_add(&f, whole.b, 64);
	fr_end6(&f);
	assert_false(give());
	fr_ip6(&f, GUEST6, "2001:db8::9", 44);
	h = fr_add(&f, NULL, 8);
	h[0] = 60;
	h[3] = 64;
	h[7] = 2;
	fr_add(&f, whole.b + 64, whole.len - 64);
	fr_end6(&f);
	assert_false(give());
	assert_string_equal(last_bad, "fragment of a fragment");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pieces_in_order_make_a_datagram),
		T(pieces_backwards_make_a_datagram),
		T(pieces_in_any_order_make_a_datagram),
		T(largest_datagram_is_put_together),
		T(whole_packet_looks_as_if_it_came_in_one),
		T(packets_of_one_id_but_other_addresses_do_not_mix),
		T(many_whole_ones_live_until_the_batch_ends),
		T(overlap_spoils_the_packet_and_what_comes_of_it),
		T(tiny_first_fragment_is_dropped),
		T(piece_of_odd_length_that_is_not_the_last_is_dropped),
		T(giant_is_dropped_before_it_is_copied),
		T(first_with_options_may_not_make_it_giant),
		T(two_ends_spoil_the_packet),
		T(more_holes_than_can_be_known_spoil_the_packet),
		T(thousand_starters_leave_room_for_who_comes_then),
		T(starters_are_forgotten_when_they_are_old),
		T(reset_forgets_what_was_there),
		T(broken_datagram_in_fragments_is_dropped),
		T(extension_headers_inside_of_fragments_are_walked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
