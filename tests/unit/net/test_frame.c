/* What a guest's frame must be, and what is made of it. */
#include "lib/test.h"

#include <errno.h>

#include "frames.h"

static struct fr f;
static struct pkt p;
static const char *why;
static struct vnet_hdr vh;
static uint8_t in_place[sizeof(f.b)];

/* In three pieces, cut at odd places, so that no header is in one. */
static int parse_cut(size_t a, size_t b)
{
	static struct iovec v[3];
	struct iov s = {v, 3, f.len};

	memcpy(in_place, f.b, f.len);
	v[0] = (struct iovec){in_place, a};
	v[1] = (struct iovec){in_place + a, b - a};
	v[2] = (struct iovec){in_place + b, f.len - b};
	why = "";
	return pkt_parse(&vh, &s, &p, &why);
}

static int parse(void)
{
	static struct iovec v;
	struct iov s = {&v, 1, f.len};

	v = (struct iovec){f.b, f.len};
	why = "";
	return pkt_parse(&vh, &s, &p, &why);
}

static void refused(const char *expected)
{
	assert_int_equal(parse(), -EPROTO);
	assert_string_equal(why, expected);
}

static int setup(void **state)
{
	(void)state;
	memset(&vh, 0, sizeof(vh));
	return 0;
}

static void udp4(size_t len)
{
	fr_ip4(&f, GUEST4, "192.0.2.9", PROTO_UDP);
	fr_udp(&f, 4000, 5000, len);
	fr_end4(&f);
}

static void udp6(size_t len)
{
	fr_ip6(&f, GUEST6, "2001:db8::9", PROTO_UDP);
	fr_udp(&f, 4000, 5000, len);
	fr_end6(&f);
}

/* ---- what is fine -------------------------------------------------------- */

static void datagram_of_either_family_is_taken_apart(void **state)
{
	struct addr want4 = ip("192.0.2.9"), want6 = ip("2001:db8::9");

	(void)state;
	udp4(100);
	f.b[ETH_LEN + 1] = 0xb8;
	fr_sum4(&f);
	assert_int_equal(parse(), 0);
	assert_false(p.v6);
	assert_int_equal(p.tos, 0xb8);
	assert_int_equal(p.proto, PROTO_UDP);
	assert_int_equal(p.l4, 34);
	assert_int_equal(p.payload.len, 100);
	assert_ptr_equal(p.payload.v[0].iov_base, f.b + 42);
	assert_memory_equal(&p.dst, &want4, sizeof(p.dst));
	udp6(100);
	assert_int_equal(parse(), 0);
	assert_true(p.v6);
	assert_true(p.df);
	assert_int_equal(p.ttl, 255);
	assert_int_equal(p.ip_len, 148);
	assert_int_equal(p.l4, 54);
	assert_int_equal(p.payload.len, 100);
	assert_memory_equal(&p.dst, &want6, sizeof(p.dst));
}

static void frame_may_be_cut_at_every_two_bytes(void **state)
{
	size_t a, b;

	(void)state;
	fr_ip4(&f, GUEST4, "192.0.2.9", PROTO_TCP);
	fr_tcp(&f, 1, 2, 2)[12] = 7 << 4;
	fr_fill(&f, 8 + 5);
	fr_end4(&f);
	for (a = 1; a < f.len - 1; a++)
		for (b = a + 1; b < f.len; b++) {
			uint8_t tail[5];

			assert_int_equal(parse_cut(a, b), 0);
			assert_int_equal(p.l4_len, 28);
			assert_int_equal(p.payload.len, 5);
			assert_memory_equal(p.head, f.b, p.head_len);
			assert_int_equal(iov_get(&p.payload, tail, 5), 0);
			assert_memory_equal(tail, f.b + f.len - 5, 5);
		}
}

static void padding_of_short_frames_is_no_payload(void **state)
{
	(void)state;
	udp4(3);
	fr_add(&f, NULL, 15);
	assert_int_equal(parse(), 0);
	assert_int_equal(p.payload.len, 3);
	udp6(3);
	fr_add(&f, NULL, 15);
	assert_int_equal(parse(), 0);
	assert_int_equal(p.payload.len, 3);
}

static void every_shorter_frame_is_refused(void **state)
{
	size_t len, whole;

	(void)state;
	udp4(4);
	for (len = 0, whole = f.len; len < whole; len++) {
		f.len = len;
		assert_int_equal(parse(), -EPROTO);
	}
	udp6(4);
	for (len = 0, whole = f.len; len < whole; len++) {
		f.len = len;
		assert_int_equal(parse(), -EPROTO);
	}
}

static void ip4_options_are_stepped_over(void **state)
{
	static const uint8_t opts[] = {1, 7, 7, 4, 0, 0, 0, 0};

	(void)state;
	fr_ip4(&f, GUEST4, "192.0.2.9", PROTO_UDP)[0] = 0x47;
	fr_add(&f, opts, sizeof(opts));
	fr_udp(&f, 1, 2, 9);
	fr_end4(&f);
	assert_int_equal(parse(), 0);
	assert_int_equal(p.l4, 42);
	assert_int_equal(p.payload.len, 9);
}

/* @n destination options headers of 8 bytes behind each other. */
static void with_extensions(unsigned n)
{
	static const uint8_t ext[] = {60, 0, 1, 4, 0, 0, 0, 0};
	unsigned i;

	fr_ip6(&f, GUEST6, "2001:db8::9", n ? 60 : PROTO_UDP);
	for (i = 0; i < n; i++)
		*fr_add(&f, ext, 8) = i + 1 < n ? 60 : PROTO_UDP;
	fr_udp(&f, 1, 2, 9);
	fr_end6(&f);
}

static void eight_extension_headers_are_walked_and_no_more(void **state)
{
	(void)state;
	with_extensions(8);
	assert_int_equal(parse(), 0);
	assert_int_equal(p.proto, PROTO_UDP);
	assert_int_equal(p.payload.len, 9);
	with_extensions(9);
	refused("too many extension headers");
}

static void atomic_fragment_is_no_fragment(void **state)
{
	static const uint8_t frag[] = {PROTO_UDP, 0, 0, 0, 1, 2, 3, 4};

	(void)state;
	fr_ip6(&f, GUEST6, "2001:db8::9", 44);
	fr_add(&f, frag, 8);
	fr_udp(&f, 1, 2, 9);
	fr_end6(&f);
	assert_int_equal(parse(), 0);
	assert_false(p.fragment);
	assert_int_equal(p.payload.len, 9);
}

static void fragments_say_where_they_belong(void **state)
{
	(void)state;
	fr_ip4(&f, GUEST4, "192.0.2.9", PROTO_UDP);
	put_be16(f.b + ETH_LEN + 4, 0x1234);
	put_be16(f.b + ETH_LEN + 6, 0x2000 | 185);
	fr_fill(&f, 16);
	fr_end4(&f);
	assert_int_equal(parse(), 0);
	assert_true(p.fragment && p.more);
	assert_int_equal(p.frag_off, 1480);
	assert_int_equal(p.frag_id, 0x1234);
	assert_int_equal(p.payload.len, 16);
	fr_ip6(&f, GUEST6, "2001:db8::9", 44);
	fr_add(&f, "\x11\x00\x05\xc8\x01\x02\x03\x04", 8);
	fr_fill(&f, 16);
	fr_end6(&f);
	assert_int_equal(parse(), 0);
	assert_true(p.fragment && !p.more);
	assert_int_equal(p.frag_off, 1480);
	assert_int_equal(p.frag_id, 0x01020304);
	assert_int_equal(p.proto, PROTO_UDP);
	assert_int_equal(p.payload.len, 16);
}

static void lengths_of_the_virtio_header_mean_nothing(void **state)
{
	(void)state;
	udp4(10);
	vh = (struct vnet_hdr){.flags = VNET_NEEDS_CSUM,
	                       .hdr_len = 0xffff,
	                       .gso_size = 0xffff,
	                       .csum_start = 0xffff,
	                       .csum_offset = 0xffff,
	                       .num_buffers = 0xffff};
	assert_int_equal(parse(), 0);
	assert_true(p.need_csum);
	assert_int_equal(p.l4, 34);
}

static void largest_segment_to_cut_is_taken(void **state)
{
	(void)state;
	fr_ip4(&f, GUEST4, "192.0.2.9", PROTO_TCP);
	fr_tcp(&f, 1, 2, 16);
	fr_fill(&f, 65535 - 40);
	fr_end4(&f);
	vh.gso_type = VNET_GSO_TCPV4 | VNET_GSO_ECN;
	assert_int_equal(parse(), 0);
	assert_int_equal(p.gso_type, VNET_GSO_TCPV4);
	assert_int_equal(p.payload.len, 65535 - 40);
}

static void protocols_of_others_are_left_to_the_caller(void **state)
{
	static const uint8_t others[] = {47, 50, 132, 2, 4, 41, 255};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(others); i++) {
		fr_ip4(&f, GUEST4, "192.0.2.9", others[i]);
		fr_fill(&f, 3);
		fr_end4(&f);
		assert_int_equal(parse(), 0);
		assert_int_equal(p.proto, others[i]);
		assert_int_equal(p.l4_len, 0);
	}
}

static void vlan_8023_and_foreign_ethertypes_are_marked(void **state)
{
	static const uint16_t types[] = {0x8100, 0x88a8, 100, 0x88cc, 0x8847};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		fr_eth(&f, GATEWAY_MAC, GUEST_MAC, types[i]);
		fr_fill(&f, 100);
		assert_int_equal(parse(), 0);
		assert_true(p.vlan_or_odd);
	}
}

/* ---- what is not --------------------------------------------------------- */

static void runt_and_giant_are_refused(void **state)
{
	(void)state;
	fr_eth(&f, GATEWAY_MAC, GUEST_MAC, ETH_TYPE_IP4);
	f.len = 13;
	refused("cut short");
	udp4(10);
	fr_add(&f, NULL, NET_FRAME_MAX + 1 - f.len);
	refused("giant");
}

static void ip4_header_length_is_checked(void **state)
{
	unsigned ihl;

	(void)state;
	for (ihl = 0; ihl < 5; ihl++) {
		udp4(10);
		f.b[ETH_LEN] = (uint8_t)(0x40 | ihl);
		fr_sum4(&f);
		refused("IP version or header length");
	}
	udp4(10);
	f.b[ETH_LEN] = 0x4f;
	refused("IP length");
	udp4(10);
	f.b[ETH_LEN] = 0x65;
	refused("IP version or header length");
}

static void ip4_total_length_is_checked(void **state)
{
	static const uint16_t wrong[] = {0, 1, 19, 39, 65535};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		udp4(10);
		put_be16(f.b + ETH_LEN + 2, wrong[i]);
		fr_sum4(&f);
		assert_int_equal(parse(), -EPROTO);
	}
}

/* Where a length that is added to wraps in 16 bits, or is signed. */
static void lengths_at_the_edges_of_16_bits_are_refused(void **state)
{
	static const uint16_t edges[] = {0x7fff, 0x8000, 0xfff8, 0xffff};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(edges); i++) {
		udp6(10);
		put_be16(f.b + ETH_LEN + 4, edges[i]);
		refused("IPv6 length");
		udp6(10);
		put_be16(f.b + ETH_LEN + 44, edges[i]);
		refused("UDP length");
		udp4(10);
		put_be16(f.b + ETH_LEN + 24, edges[i]);
		refused("UDP length");
		udp4(10);
		put_be16(f.b + ETH_LEN + 2, edges[i]);
		fr_sum4(&f);
		refused("IP length");
	}
}

static void ip4_sum_and_time_to_live_are_checked(void **state)
{
	(void)state;
	udp4(10);
	f.b[ETH_LEN + 10] ^= 1;
	refused("IP header checksum");
	udp4(10);
	f.b[ETH_LEN + 8] = 0;
	fr_sum4(&f);
	refused("TTL 0");
	udp6(10);
	f.b[ETH_LEN + 7] = 0;
	refused("TTL 0");
}

static void with_option(const char *opt, size_t len)
{
	fr_ip4(&f, GUEST4, "192.0.2.9", PROTO_UDP)[0] =
		(uint8_t)(0x45 + len / 4);
	fr_add(&f, opt, len);
	fr_udp(&f, 1, 2, 9);
	fr_end4(&f);
}

static void source_routing_is_refused(void **state)
{
	(void)state;
	with_option("\x83\x07\x04\x0a\x00\x00\x01\x00", 8);
	refused("source routing");
	with_option("\x01\x89\x07\x04\x0a\x00\x00\x01", 8);
	refused("source routing");
	fr_ip6(&f, GUEST6, "2001:db8::9", 43);
	fr_add(&f, "\x11\x02\x00\x01\x00\x00\x00\x00", 8);
	fr_fill(&f, 16);
	fr_udp(&f, 1, 2, 9);
	fr_end6(&f);
	refused("routing header");
}

static void ip4_option_lengths_0_1_and_255_are_refused(void **state)
{
	(void)state;
	with_option("\x07\x00\x04\x00", 4);
	refused("IP options");
	with_option("\x07\x01\x04\x00", 4);
	refused("IP options");
	with_option("\x07\xff\x04\x00", 4);
	refused("IP options");
	with_option("\x01\x01\x01\x07", 4);
	refused("IP options");
}

static void ip6_option_lengths_are_checked(void **state)
{
	(void)state;
	fr_ip6(&f, GUEST6, "2001:db8::9", 0);
	fr_add(&f, "\x11\x00\x01\x05\x00\x00\x00\x00", 8);
	fr_udp(&f, 1, 2, 9);
	fr_end6(&f);
	refused("IPv6 options");
	f.b[ETH_LEN + 43] = 255;
	refused("IPv6 options");
}

static void jumbogram_is_refused(void **state)
{
	(void)state;
	fr_ip6(&f, GUEST6, "2001:db8::9", 0);
	fr_add(&f, "\x11\x00\xc2\x04\x00\x01\x00\x00", 8);
	fr_udp(&f, 1, 2, 9);
	refused("IPv6 length");
	fr_end6(&f);
	refused("IPv6 option that forbids it");
}

static void extension_header_past_the_end_is_refused(void **state)
{
	(void)state;
	with_extensions(1);
	f.b[ETH_LEN + 41] = 9;
	refused("cut short");
	f.b[ETH_LEN + 41] = 255;
	refused("headers too long");
}

static void hop_by_hop_options_stand_first(void **state)
{
	(void)state;
	with_extensions(2);
	f.b[ETH_LEN + 40] = 0;
	refused("hop-by-hop options not first");
}

static void fragment_inside_of_an_atomic_one_is_refused(void **state)
{
	(void)state;
	fr_ip6(&f, GUEST6, "2001:db8::9", 44);
	fr_add(&f, "\x2c\x00\x00\x00\x01\x02\x03\x04", 8);
	fr_add(&f, "\x11\x00\x00\x01\x01\x02\x03\x04", 8);
	fr_udp(&f, 1, 2, 9);
	fr_end6(&f);
	refused("fragment of a fragment");
}

static void ip4_address_in_ip6_is_refused(void **state)
{
	(void)state;
	udp6(1);
	memcpy(f.b + ETH_LEN + 24, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1",
	       16);
	refused("IPv4 address in IPv6");
}

static void tcp_header_length_is_checked(void **state)
{
	unsigned words;

	(void)state;
	for (words = 0; words < 16; words++) {
		fr_ip4(&f, GUEST4, "192.0.2.9", PROTO_TCP);
		fr_tcp(&f, 1, 2, 2)[12] = (uint8_t)(words << 4);
		fr_end4(&f);
		assert_int_equal(parse(), words == 5 ? 0 : -EPROTO);
	}
}

static void udp_length_is_checked(void **state)
{
	static const uint16_t wrong[] = {0, 7, 19, 65535};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		udp4(10);
		put_be16(f.b + ETH_LEN + 24, wrong[i]);
		refused("UDP length");
	}
}

static void icmp_of_the_other_family_is_refused(void **state)
{
	(void)state;
	fr_ip4(&f, GUEST4, "192.0.2.9", PROTO_ICMP6);
	fr_fill(&f, 8);
	fr_end4(&f);
	refused("ICMP of the other family");
	fr_ip6(&f, GUEST6, "2001:db8::9", PROTO_ICMP4);
	fr_fill(&f, 8);
	fr_end6(&f);
	refused("ICMP of the other family");
}

static void segmentation_must_agree_with_the_packet(void **state)
{
	unsigned type;

	(void)state;
	for (type = 1; type < 128; type++) {
		vh.gso_type = (uint8_t)type;
		udp4(10);
		refused("segmentation of another protocol");
		fr_ip4(&f, GUEST4, "192.0.2.9", PROTO_TCP);
		fr_tcp(&f, 1, 2, 2);
		fr_end4(&f);
		assert_int_equal(parse(), type == VNET_GSO_TCPV4 ? 0 : -EPROTO);
		put_be16(f.b + ETH_LEN + 6, 0x2000);
		fr_sum4(&f);
		refused("segmentation of another protocol");
	}
}

/* ---- sums ---------------------------------------------------------------- */

/* As the RFC has it, two bytes at a time. */
static uint16_t slow_sum(const uint8_t *d, size_t len)
{
	uint32_t s = 0;
	size_t i;

	for (i = 0; i < len; i++)
		s += (uint32_t)d[i] << (i % 2 ? 0 : 8);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

static void sum_is_that_of_the_rfc_at_every_length(void **state)
{
	uint8_t d[300];
	size_t i, at;

	(void)state;
	for (i = 0; i < sizeof(d); i++)
		d[i] = (uint8_t)(i * 151 + 200);
	for (at = 0; at < 9; at++)
		for (i = 0; i < sizeof(d) - at; i++)
			assert_int_equal(csum_fold(csum_add(0, d + at, i)),
			                 slow_sum(d + at, i));
	memset(d, 0xff, sizeof(d));
	for (i = 1; i < sizeof(d); i++)
		assert_int_equal(csum_fold(csum_add(0xffffffff, d, i)),
		                 slow_sum(d, i));
}

static void sum_of_pieces_is_that_of_the_whole(void **state)
{
	uint8_t d[100];
	size_t a, b, i;

	(void)state;
	for (i = 0; i < sizeof(d); i++)
		d[i] = (uint8_t)(i * 201 + 3);
	for (a = 0; a <= sizeof(d); a++)
		for (b = a; b <= sizeof(d); b++) {
			struct iovec v[3] = {
				{d,     a            },
                                {d + a, b - a        },
                                {d + b, sizeof(d) - b}
                        };

			assert_int_equal(csum_fold(csum_add_iov(0, v, 3)),
			                 slow_sum(d, sizeof(d)));
		}
}

static void pseudo_header_of_ip4_is_as_short_as_it_is(void **state)
{
	struct addr a = ip("10.1.2.3"), b = ip("192.0.2.200");
	uint8_t real[12] = {10, 1, 2, 3, 192, 0, 2, 200, 0, 6, 0x12, 0x34};

	(void)state;
	assert_int_equal(csum_fold(csum_pseudo(&a, &b, 6, 0x1234)),
	                 slow_sum(real, sizeof(real)));
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(datagram_of_either_family_is_taken_apart),
		T(frame_may_be_cut_at_every_two_bytes),
		T(padding_of_short_frames_is_no_payload),
		T(every_shorter_frame_is_refused),
		T(ip4_options_are_stepped_over),
		T(eight_extension_headers_are_walked_and_no_more),
		T(atomic_fragment_is_no_fragment),
		T(fragments_say_where_they_belong),
		T(lengths_of_the_virtio_header_mean_nothing),
		T(largest_segment_to_cut_is_taken),
		T(protocols_of_others_are_left_to_the_caller),
		T(vlan_8023_and_foreign_ethertypes_are_marked),
		T(runt_and_giant_are_refused),
		T(ip4_header_length_is_checked),
		T(ip4_total_length_is_checked),
		T(lengths_at_the_edges_of_16_bits_are_refused),
		T(ip4_sum_and_time_to_live_are_checked),
		T(source_routing_is_refused),
		T(ip4_option_lengths_0_1_and_255_are_refused),
		T(ip6_option_lengths_are_checked),
		T(jumbogram_is_refused),
		T(extension_header_past_the_end_is_refused),
		T(hop_by_hop_options_stand_first),
		T(fragment_inside_of_an_atomic_one_is_refused),
		T(ip4_address_in_ip6_is_refused),
		T(tcp_header_length_is_checked),
		T(udp_length_is_checked),
		T(icmp_of_the_other_family_is_refused),
		T(segmentation_must_agree_with_the_packet),
		T(sum_is_that_of_the_rfc_at_every_length),
		T(sum_of_pieces_is_that_of_the_whole),
		T(pseudo_header_of_ip4_is_as_short_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
