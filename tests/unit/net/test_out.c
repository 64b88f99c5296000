/* Packets to the guest: sums, sizes, and what happens without room. */
#include "lib/test.h"

#include <errno.h>

#include "base/num.h"
#include "frames.h"
#include "net/net_int.h"
#include "net/out.h"

#define SENT_MAX 600

static struct net n;
static struct {
	struct vnet_hdr h;
	struct fr f;
} sent[SENT_MAX];
static unsigned nsent, room;

/* The link: so much room as the test says. */
int net_transmit(struct net *net, const struct vnet_hdr *h,
                 const struct iovec *v, unsigned nv, size_t len)
{
	unsigned i;

	assert_ptr_equal(net, &n);
	if (!room)
		return -EAGAIN;
	room--;
	assert_true(nsent < SENT_MAX);
	sent[nsent].h = *h;
	sent[nsent].f.len = 0;
	for (i = 0; i < nv; i++)
		fr_add(&sent[nsent].f, v[i].iov_base, v[i].iov_len);
	assert_int_equal(sent[nsent].f.len, len);
	nsent++;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	memset(&n, 0, sizeof(n));
	n.kept_end = &n.kept;
	n.cfg.mtu = 1500;
	memcpy(n.cfg.guest_mac, GUEST_MAC, 6);
	memcpy(n.cfg.gateway_mac, GATEWAY_MAC, 6);
	nsent = 0;
	room = SENT_MAX;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	out_release(&n);
	return 0;
}

static uint8_t data[65536], head[60];
static struct addr src, dst;
static struct iovec pieces[3];

/* @len bytes in three pieces of odd lengths behind the transport's header. */
static struct out packet(bool v6, uint8_t proto, size_t head_len, size_t len)
{
	size_t a = len / 3 | 1, b = len / 2 | 1, i;

	src = v6 ? ip("2001:db8::9") : ip("192.0.2.9");
	dst = v6 ? ip(GUEST6) : ip(GUEST4);
	for (i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 13 + i / 256);
	memset(head, 0x5a, sizeof(head));
	if (proto == PROTO_TCP)
		head[12] = (uint8_t)(head_len / 4 << 4);
	if (proto == PROTO_UDP)
		put_be16(head + 4, (uint16_t)(8 + len));
	if (len < 3)
		a = b = len;
	pieces[0] = (struct iovec){data, a};
	pieces[1] = (struct iovec){data + a, b - a};
	pieces[2] = (struct iovec){data + b, len - b};
	return (struct out){.src = &src,
	                    .dst = &dst,
	                    .proto = proto,
	                    .head = head,
	                    .head_len = head_len,
	                    .data = pieces,
	                    .ndata = 3,
	                    .data_len = len};
}

/* A frame as the guest's kernel would see it. */
static struct pkt parsed(unsigned i)
{
	static struct iovec v;
	struct iov s = {&v, 1, sent[i].f.len};
	const char *why = "";
	struct pkt p;

	v = (struct iovec){sent[i].f.b, sent[i].f.len};
	if (pkt_parse(&sent[i].h, &s, &p, &why) < 0)
		fail_msg("frame %u: %s", i, why);
	assert_memory_equal(p.head, GUEST_MAC GATEWAY_MAC, 12);
	assert_true(addr_eq(&p.src, &src) && addr_eq(&p.dst, &dst));
	return p;
}

static size_t header_of(uint8_t proto)
{
	return proto == PROTO_TCP ? 20 : 8;
}

static const struct {
	bool v6;
	uint8_t proto;
} kinds[] = {
	{false, PROTO_TCP  },
        {false, PROTO_UDP  },
        {false, PROTO_ICMP4},
	{true,  PROTO_TCP  },
        {true,  PROTO_UDP  },
        {true,  PROTO_ICMP6},
};

static void sum_is_whole_when_the_guest_takes_no_partial_one(void **state)
{
	size_t i, len;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		for (len = 0; len < 40; len++) {
			struct out o = packet(kinds[i].v6, kinds[i].proto,
			                      header_of(kinds[i].proto), len);
			struct pkt p;

			nsent = 0;
			assert_int_equal(out_send(&n, &o), 0);
			p = parsed(0);
			assert_int_equal(p.proto, kinds[i].proto);
			assert_int_equal(p.payload.len, len);
			assert_int_equal(p.ttl, 64);
			assert_int_equal(sent[0].h.flags, 0);
			assert_int_equal(fr_l4_sum(&sent[0].f, p.l4, p.proto),
			                 0xffff);
			assert_memory_equal(sent[0].f.b + p.l4 + p.l4_len, data,
			                    len);
		}
}

static void partial_sum_is_of_the_pseudo_header(void **state)
{
	static const size_t at[] = {16, 6};
	size_t i;

	(void)state;
	n.link.csum = true;
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		bool icmp = i % 3 == 2;
		struct out o = packet(kinds[i].v6, kinds[i].proto,
		                      header_of(kinds[i].proto), 101);
		uint8_t *l4;
		struct pkt p;

		nsent = 0;
		assert_int_equal(out_send(&n, &o), 0);
		p = parsed(0);
		assert_int_equal(sent[0].h.flags, icmp ? 0 : VNET_NEEDS_CSUM);
		if (icmp)
			continue;
		assert_int_equal(sent[0].h.csum_start, p.l4);
		assert_int_equal(sent[0].h.csum_offset, at[i % 3]);
		/* What the guest's kernel does then. */
		l4 = sent[0].f.b + p.l4;
		put_be16(l4 + at[i % 3], (uint16_t)~csum_fold(csum_add(
						 0, l4, sent[0].f.len - p.l4)));
		assert_int_equal(fr_l4_sum(&sent[0].f, p.l4, p.proto), 0xffff);
	}
}

/* A sum of zero would say that there is none: RFC 768. */
static void udp_sum_is_never_zero(void **state)
{
	struct out o = packet(true, PROTO_UDP, 8, 2);
	uint16_t sum;

	(void)state;
	memset(data, 0, 2);
	assert_int_equal(out_send(&n, &o), 0);
	sum = get_be16(sent[0].f.b + ETH_LEN + 46);
	/* With that in the data the sum would be zero. */
	put_be16(data, sum);
	assert_int_equal(out_send(&n, &o), 0);
	assert_int_equal(get_be16(sent[1].f.b + ETH_LEN + 46), 0xffff);
}

static void ttl_tos_and_df_are_as_asked(void **state)
{
	struct out o = packet(false, PROTO_UDP, 8, 5);
	struct pkt p;

	(void)state;
	o.ttl = 3;
	o.tos = 0xb8;
	o.df = true;
	assert_int_equal(out_send(&n, &o), 0);
	p = parsed(0);
	assert_int_equal(p.ttl, 3);
	assert_int_equal(p.tos, 0xb8);
	assert_true(p.df);
	o = packet(true, PROTO_UDP, 8, 5);
	o.ttl = 3;
	o.tos = 0xb8;
	assert_int_equal(out_send(&n, &o), 0);
	p = parsed(1);
	assert_int_equal(p.ttl, 3);
	assert_int_equal(p.tos, 0xb8);
}

static void large_segment_is_one_frame_with_orders_to_cut(void **state)
{
	int v6;

	(void)state;
	n.link.csum = n.link.tso4 = n.link.tso6 = true;
	for (v6 = 0; v6 < 2; v6++) {
		struct out o = packet(v6, PROTO_TCP, 32, 65000);
		struct pkt p;

		o.gso_size = 1448;
		nsent = 0;
		assert_int_equal(out_send(&n, &o), 0);
		assert_int_equal(nsent, 1);
		p = parsed(0);
		assert_int_equal(p.gso_type,
		                 v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4);
		assert_int_equal(sent[0].h.gso_size, 1448);
		assert_int_equal(sent[0].h.hdr_len, p.l4 + 32);
		assert_int_equal(sent[0].h.flags, VNET_NEEDS_CSUM);
		assert_int_equal(p.payload.len, 65000);
	}
}

/* What a frame of the link can hold, of either family. */
static void segment_beyond_the_largest_frame_is_refused(void **state)
{
	int v6;

	(void)state;
	n.link.csum = n.link.tso4 = n.link.tso6 = true;
	for (v6 = 0; v6 < 2; v6++) {
		size_t most = 65535 - 20 - (v6 ? 40 : 20);
		struct out o = packet(v6, PROTO_TCP, 20, most);

		o.gso_size = 1440;
		nsent = 0;
		assert_int_equal(out_send(&n, &o), 0);
		assert_true(sent[0].f.len <= NET_FRAME_MAX);
		o = packet(v6, PROTO_TCP, 20, most + 1);
		o.gso_size = 1440;
		assert_int_equal(out_send(&n, &o), -EMSGSIZE);
		assert_int_equal(nsent, 1);
	}
}

static void small_segment_is_plain(void **state)
{
	struct out o = packet(false, PROTO_TCP, 20, 1448);

	(void)state;
	n.link.csum = n.link.tso4 = true;
	o.gso_size = 1448;
	assert_int_equal(out_send(&n, &o), 0);
	assert_int_equal(sent[0].h.gso_type, VNET_GSO_NONE);
}

static void tcp_beyond_the_mtu_needs_segmentation(void **state)
{
	struct out o = packet(false, PROTO_TCP, 20, 1461);

	(void)state;
	assert_int_equal(out_send(&n, &o), -EMSGSIZE);
	o.gso_size = 1460; /* but the guest takes none */
	assert_int_equal(out_send(&n, &o), -EMSGSIZE);
	n.link.csum = n.link.tso4 = true;
	assert_int_equal(out_send(&n, &o), 0);
	o = packet(true, PROTO_TCP, 20, 1461);
	o.gso_size = 1440;
	assert_int_equal(out_send(&n, &o), -EMSGSIZE);
	assert_int_equal(nsent, 1);
}

static void what_no_packet_can_hold_is_refused(void **state)
{
	struct out o = packet(false, PROTO_UDP, 8, 65535 - 28);

	(void)state;
	assert_int_equal(out_send(&n, &o), 0);
	o = packet(false, PROTO_UDP, 8, 65535 - 27);
	assert_int_equal(out_send(&n, &o), -EMSGSIZE);
	o = packet(true, PROTO_UDP, 8, 65535 - 8);
	assert_int_equal(out_send(&n, &o), 0);
	o = packet(true, PROTO_UDP, 8, 65535 - 7);
	assert_int_equal(out_send(&n, &o), -EMSGSIZE);
}

/* Put the fragments together as the RFCs have it and check the sum. */
static void assert_whole(bool v6, uint8_t proto, size_t len)
{
	static struct fr whole;
	uint32_t id = 0;
	size_t at = 0;
	unsigned i;

	if (v6)
		fr_ip6(&whole, "2001:db8::9", GUEST6, proto);
	else
		fr_ip4(&whole, "192.0.2.9", GUEST4, proto);
	for (i = 0; i < nsent; i++) {
		struct pkt p = parsed(i);

		assert_true(p.fragment);
		assert_true(p.ip_len <= 1500);
		assert_int_equal(p.frag_off, at);
		assert_int_equal(p.more, i + 1 < nsent);
		assert_int_equal(p.proto, proto);
		assert_int_equal(sent[i].h.flags, 0);
		if (i)
			assert_int_equal(p.frag_id, id);
		id = p.frag_id;
		fr_add(&whole, sent[i].f.b + p.l4, p.payload.len);
		at += p.payload.len;
	}
	assert_int_equal(at, len);
	assert_int_equal(fr_l4_sum(&whole, ETH_LEN + (v6 ? 40 : 20), proto),
	                 0xffff);
}

static void datagram_beyond_the_mtu_goes_in_fragments(void **state)
{
	static const size_t lens[] = {1473, 1480, 3000, 30001, 65507};
	size_t i, k;

	(void)state;
	n.link.csum = true;
	for (k = 0; k < ARRAY_SIZE(kinds); k++)
		for (i = 0; i < ARRAY_SIZE(lens); i++) {
			struct out o =
				packet(kinds[k].v6, kinds[k].proto, 8, lens[i]);

			if (kinds[k].proto == PROTO_TCP)
				continue;
			nsent = 0;
			assert_int_equal(out_send(&n, &o), 0);
			assert_true(nsent > 1);
			assert_whole(kinds[k].v6, kinds[k].proto, lens[i] + 8);
		}
}

static void without_room_the_sender_is_told(void **state)
{
	struct out o = packet(false, PROTO_TCP, 20, 10);

	(void)state;
	room = 0;
	assert_int_equal(out_send(&n, &o), -EAGAIN);
	assert_int_equal(n.nkept, 0);
	assert_true(out_run(&n));
}

static void what_is_kept_goes_first_and_in_order(void **state)
{
	struct out o = packet(false, PROTO_UDP, 8, 10);
	unsigned i;

	(void)state;
	o.keep = true;
	room = 0;
	for (i = 0; i < 5; i++) {
		head[0] = (uint8_t)i;
		assert_int_equal(out_send(&n, &o), 0);
	}
	room = 3;
	assert_false(out_run(&n));
	/* There is room, but not for who would overtake. */
	room = 1;
	o.keep = false;
	assert_int_equal(out_send(&n, &o), -EAGAIN);
	room = 9;
	assert_true(out_run(&n));
	assert_int_equal(n.kept_bytes, 0);
	assert_int_equal(nsent, 5);
	for (i = 0; i < 5; i++)
		assert_int_equal(sent[i].f.b[34], i);
	assert_int_equal(out_send(&n, &o), 0);
}

static void what_is_kept_is_bounded_by_number_and_size(void **state)
{
	struct out o = packet(false, PROTO_UDP, 8, 10);
	unsigned i;

	(void)state;
	o.keep = true;
	room = 0;
	for (i = 0; i < 1000; i++)
		assert_int_equal(out_send(&n, &o), 0);
	assert_int_equal(n.nkept, 256);
	assert_int_equal(n.counters.lost, 1000 - 256);
	out_release(&n);
	assert_int_equal(n.nkept, 0);
	o = packet(false, PROTO_UDP, 8, 60000);
	o.keep = true;
	for (i = 0; i < 20; i++)
		assert_int_equal(out_send(&n, &o), 0);
	assert_true(n.kept_bytes <= 512 * KIB);
	assert_true(n.nkept <= 256);
}

static void datagram_that_began_is_not_torn(void **state)
{
	struct out o = packet(false, PROTO_UDP, 8, 9000);

	(void)state;
	room = 2;
	assert_int_equal(out_send(&n, &o), 0);
	assert_int_equal(nsent, 2);
	room = 20;
	assert_true(out_run(&n));
	assert_whole(false, PROTO_UDP, 9008);
}

static void whole_frames_are_kept_too(void **state)
{
	(void)state;
	room = 0;
	out_frame(&n, "a frame of ARP", 14);
	room = 1;
	assert_true(out_run(&n));
	assert_int_equal(sent[0].f.len, 14);
	assert_memory_equal(sent[0].f.b, "a frame of ARP", 14);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sum_is_whole_when_the_guest_takes_no_partial_one),
		T(partial_sum_is_of_the_pseudo_header),
		T(udp_sum_is_never_zero),
		T(ttl_tos_and_df_are_as_asked),
		T(large_segment_is_one_frame_with_orders_to_cut),
		T(segment_beyond_the_largest_frame_is_refused),
		T(small_segment_is_plain),
		T(tcp_beyond_the_mtu_needs_segmentation),
		T(what_no_packet_can_hold_is_refused),
		T(datagram_beyond_the_mtu_goes_in_fragments),
		T(without_room_the_sender_is_told),
		T(what_is_kept_goes_first_and_in_order),
		T(what_is_kept_is_bounded_by_number_and_size),
		T(datagram_that_began_is_not_torn),
		T(whole_frames_are_kept_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
