/* Who may send what on the link, and who answers. */
#include "lib/test.h"

#include "l3.h"
#include "net/neigh.h"

#define GATEWAY_LL "fe80::ff:fe00:1"
#define GUEST_LL   "fe80::ff:fe00:2"
#define NONE6      "::"
#define ALL_NODES  "ff02::1"

static bool route;

bool hostaddr_has_route(struct hostaddr *h, bool v6)
{
	(void)h;
	assert_true(v6);
	return route;
}

static int setup(void **state)
{
	(void)state;
	l3_setup();
	route = true;
	return 0;
}

/* ---- who sends ----------------------------------------------------------- */

static void udp4(const char *src)
{
	fr_ip4(&f, src, "192.0.2.9", PROTO_UDP);
	fr_udp(&f, 1, 2, 3);
	fr_end4(&f);
}

static void udp6(const char *src, const char *dst)
{
	fr_ip6(&f, src, dst, PROTO_UDP);
	fr_udp(&f, 1, 2, 3);
	fr_end6(&f);
}

static bool is_guest(void)
{
	l3_parse();
	return neigh_is_guest(&n, &p);
}

static void guest_sends_from_its_two_addresses(void **state)
{
	(void)state;
	udp4(GUEST4);
	assert_true(is_guest());
	udp6(GUEST6, "2001:db8::9");
	assert_true(is_guest());
}

static void spoofed_ip_source_is_not_the_guest(void **state)
{
	static const char *const v4[] = {GATEWAY4,  "172.16.0.3",
	                                 "0.0.0.0", "127.0.0.1",
	                                 "8.8.8.8", "255.255.255.255"};
	static const char *const v6[] = {GATEWAY6,  "fd42:6d73:62::3", NONE6,
	                                 "::1",     "2001:db8::1",     GUEST_LL,
	                                 GATEWAY_LL};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(v4); i++) {
		udp4(v4[i]);
		assert_false(is_guest());
	}
	for (i = 0; i < ARRAY_SIZE(v6); i++) {
		udp6(v6[i], "2001:db8::9");
		assert_false(is_guest());
	}
}

static void spoofed_mac_is_not_the_guest(void **state)
{
	(void)state;
	udp4(GUEST4);
	memcpy(f.b + 6, OTHER_MAC, 6);
	assert_false(is_guest());
	memcpy(f.b + 6, GATEWAY_MAC, 6);
	assert_false(is_guest());
	fr_eth(&f, GATEWAY_MAC, OTHER_MAC, ETH_TYPE_ARP);
	fr_fill(&f, 28);
	assert_false(is_guest());
}

static void frame_to_another_mac_is_nobodys(void **state)
{
	(void)state;
	udp4(GUEST4);
	memcpy(f.b, OTHER_MAC, 6);
	assert_false(is_guest());
	memcpy(f.b, "\xff\xff\xff\xff\xff\xff", 6);
	assert_true(is_guest());
	memcpy(f.b, "\x33\x33\0\0\0\1", 6);
	assert_true(is_guest());
}

static void nd(const char *src, const char *dst, uint8_t type)
{
	fr_ip6(&f, src, dst, PROTO_ICMP6);
	fr_add(&f, NULL, 8)[0] = type;
}

static void nd_end(void)
{
	put_be16(f.b + ETH_LEN + 42,
	         (uint16_t)~fr_l4_sum(&f, ETH_LEN + 40, PROTO_ICMP6));
	fr_end6(&f);
}

static void link_local_source_reaches_the_link_only(void **state)
{
	(void)state;
	nd(GUEST_LL, "ff02::2", 133);
	nd_end();
	assert_true(is_guest());
	nd(GUEST_LL, GATEWAY6, 135);
	nd_end();
	assert_true(is_guest());
	nd(GUEST_LL, GATEWAY_LL, 128);
	nd_end();
	assert_true(is_guest());
	nd(GUEST_LL, "2001:db8::9", 128);
	nd_end();
	assert_false(is_guest());
	nd(GATEWAY_LL, "ff02::1", 134);
	nd_end();
	assert_false(is_guest());
	udp6(GUEST_LL, "ff02::fb");
	assert_false(is_guest());
	udp6(GUEST_LL, GATEWAY_LL);
	assert_false(is_guest());
	nd(NONE6, "ff02::1:ff00:2", 135);
	nd_end();
	assert_true(is_guest());
	nd(NONE6, GATEWAY6, 135);
	nd_end();
	assert_false(is_guest());
}

/* ---- ARP ----------------------------------------------------------------- */

static void arp(uint16_t op, const char *mac, const char *sender,
                const char *target)
{
	struct addr s = ip(sender), t = ip(target);

	fr_eth(&f, "\xff\xff\xff\xff\xff\xff", GUEST_MAC, ETH_TYPE_ARP);
	fr_add(&f, "\0\1\x08\0\6\4", 6);
	put_be16(fr_add(&f, NULL, 2), op);
	fr_add(&f, mac, 6);
	fr_add(&f, s.b + 12, 4);
	fr_add(&f, NULL, 6);
	fr_add(&f, t.b + 12, 4);
}

static void give_arp(void)
{
	assert_true(is_guest());
	neigh_arp(&n, &p);
}

static void request_for_the_gateway_is_answered(void **state)
{
	(void)state;
	arp(1, GUEST_MAC, GUEST4, GATEWAY4);
	give_arp();
	assert_int_equal(nsent, 1);
	assert_int_equal(sent[0].f.len, 42);
	assert_memory_equal(sent[0].f.b,
	                    GUEST_MAC GATEWAY_MAC
	                    "\x08\x06\0\1\x08\0\6\4\0\2" GATEWAY_MAC
	                    "\xac\x10\0\1" GUEST_MAC "\xac\x10\0\2",
	                    42);
	assert_int_equal(nbad, 0);
}

static void padded_request_is_answered(void **state)
{
	(void)state;
	arp(1, GUEST_MAC, GUEST4, GATEWAY4);
	fr_add(&f, NULL, 18);
	give_arp();
	assert_int_equal(nsent, 1);
}

static void nobody_else_is_on_the_link(void **state)
{
	(void)state;
	arp(1, GUEST_MAC, GUEST4, "172.16.0.3");
	give_arp();
	arp(1, GUEST_MAC, GUEST4, "8.8.8.8");
	give_arp();
	assert_int_equal(nsent, 0);
	assert_int_equal(nbad, 0);
}

/* Detection of duplicates: an answer would take the address from it. */
static void guests_own_address_is_not_answered_for(void **state)
{
	(void)state;
	arp(1, GUEST_MAC, "0.0.0.0", GUEST4);
	give_arp();
	arp(1, GUEST_MAC, GUEST4, GUEST4);
	give_arp();
	assert_int_equal(nsent, 0);
}

static void spoofed_arp_is_ignored_and_counted(void **state)
{
	(void)state;
	arp(1, OTHER_MAC, GUEST4, GATEWAY4);
	give_arp();
	arp(1, GUEST_MAC, "172.16.0.3", GATEWAY4);
	give_arp();
	arp(1, GUEST_MAC, GATEWAY4, GATEWAY4);
	give_arp();
	arp(2, GATEWAY_MAC, GATEWAY4, GUEST4);
	give_arp();
	assert_int_equal(nbad, 4);
	assert_string_equal(last_bad, "ARP in the name of another");
	arp(2, GUEST_MAC, GUEST4, GATEWAY4);
	give_arp();
	assert_string_equal(last_bad, "ARP that nobody asked for");
	assert_int_equal(nbad, 5);
	assert_int_equal(nsent, 0);
}

static void broken_arp_is_ignored_and_counted(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} spoil[] = {
		{0, 1   },
                {1, 6   },
                {2, 0x86},
                {4, 255 },
                {5, 16  },
                {5, 0   }
        };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(spoil); i++) {
		arp(1, GUEST_MAC, GUEST4, GATEWAY4);
		f.b[ETH_LEN + spoil[i].at] = spoil[i].value;
		give_arp();
	}
	for (i = ETH_LEN; i < ETH_LEN + 28; i++) {
		arp(1, GUEST_MAC, GUEST4, GATEWAY4);
		f.len = i;
		give_arp();
	}
	assert_int_equal(nsent, 0);
	assert_int_equal(nbad, ARRAY_SIZE(spoil) + 28);
}

/* ---- neighbour discovery ------------------------------------------------- */

static void solicit(const char *src, const char *dst, const char *target)
{
	struct addr t = ip(target);

	nd(src, dst, 135);
	fr_add(&f, t.b, 16);
	fr_add(&f, "\1\1" GUEST_MAC, 8);
	nd_end();
}

static bool give_nd(void)
{
	assert_true(is_guest());
	return neigh_nd(&n, &p);
}

static void assert_advertised(const char *from, const char *to, uint8_t flags)
{
	struct pkt got = l3_got(0);
	const uint8_t *m = sent[0].f.b + got.l4;
	struct addr target = ip(from);

	assert_addr(&got.src, from);
	assert_addr(&got.dst, to);
	assert_int_equal(got.ttl, 255);
	assert_int_equal(m[0], 136);
	assert_int_equal(m[4], flags);
	assert_memory_equal(m + 8, target.b, 16);
	assert_memory_equal(m + 24, "\2\1" GATEWAY_MAC, 8);
	assert_int_equal(got.payload.len, 24);
}

static void solicitation_for_the_gateway_is_answered(void **state)
{
	(void)state;
	solicit(GUEST6, "ff02::1:ff00:1", GATEWAY6);
	assert_true(give_nd());
	assert_advertised(GATEWAY6, GUEST6, 0xe0);
	nsent = 0;
	solicit(GUEST_LL, "ff02::1:ff00:1", GATEWAY_LL);
	assert_true(give_nd());
	assert_advertised(GATEWAY_LL, GUEST_LL, 0xe0);
	assert_int_equal(nbad, 0);
}

/* Who wants the gateway's address for itself is told that it is taken. */
static void gateways_address_is_defended(void **state)
{
	(void)state;
	solicit(NONE6, "ff02::1:ff00:1", GATEWAY6);
	assert_true(give_nd());
	assert_advertised(GATEWAY6, ALL_NODES, 0xa0);
}

static void others_are_not_answered_for(void **state)
{
	(void)state;
	solicit(NONE6, "ff02::1:ff00:2", GUEST6);
	assert_true(give_nd());
	solicit(NONE6, "ff02::1:ff00:2", GUEST_LL);
	assert_true(give_nd());
	solicit(GUEST6, "ff02::1:ff00:3", "fd42:6d73:62::3");
	assert_true(give_nd());
	assert_int_equal(nsent, 0);
	assert_int_equal(nbad, 0);
}

static const uint8_t *advertisement(void)
{
	struct pkt got;

	nd(GUEST_LL, "ff02::2", 133);
	nd_end();
	assert_true(give_nd());
	got = l3_got(0);
	assert_addr(&got.src, GATEWAY_LL);
	assert_addr(&got.dst, GUEST_LL);
	assert_int_equal(got.ttl, 255);
	assert_int_equal(got.payload.len, 8 + 8 + 8 + 32 + 24);
	return sent[0].f.b + got.l4;
}

static void router_solicitation_gets_prefix_mtu_and_name_server(void **state)
{
	const uint8_t *m = advertisement();
	struct addr gw = ip(GATEWAY6);

	(void)state;
	assert_int_equal(m[0], 134);
	assert_int_equal(m[5], 0); /* no DHCP */
	assert_int_equal(get_be16(m + 6), 65535);
	assert_memory_equal(m + 16, "\1\1" GATEWAY_MAC, 8);
	assert_memory_equal(m + 24, "\5\1\0\0\0\0\x05\xdc", 8);
	/* On the link, but no address is to be made of it. */
	assert_memory_equal(m + 32, "\3\4\x40\x80", 4);
	assert_memory_equal(m + 48, gw.b, 8);
	assert_memory_equal(m + 56, "\0\0\0\0\0\0\0\0", 8);
	assert_memory_equal(m + 64, "\x19\3", 2);
	assert_memory_equal(m + 72, gw.b, 16);
}

static void without_a_route_of_the_host_it_is_no_router(void **state)
{
	(void)state;
	n.hostaddr = (void *)&n; /* which the fake above is asked for */
	route = false;
	assert_int_equal(get_be16(advertisement() + 6), 0);
}

static void router_solicitation_of_nobody_is_answered_to_all(void **state)
{
	struct pkt got;

	(void)state;
	nd(NONE6, "ff02::2", 133);
	nd_end();
	assert_true(give_nd());
	got = l3_got(0);
	assert_addr(&got.dst, ALL_NODES);
}

static void routers_and_redirects_of_the_guest_are_counted(void **state)
{
	(void)state;
	nd(GUEST_LL, ALL_NODES, 134);
	fr_fill(&f, 40);
	nd_end();
	assert_true(give_nd());
	assert_string_equal(last_bad, "router advertisement of the guest");
	nd(GUEST6, GATEWAY6, 137);
	fr_fill(&f, 32);
	nd_end();
	assert_true(give_nd());
	assert_string_equal(last_bad, "redirect of the guest");
	assert_int_equal(nbad, 2);
	assert_int_equal(nsent, 0);
}

static void advertise(const char *target)
{
	struct addr t = ip(target);

	nd(GUEST6, ALL_NODES, 136);
	f.b[ETH_LEN + 44] = 0x20;
	fr_add(&f, t.b, 16);
	fr_add(&f, "\2\1" GUEST_MAC, 8);
	nd_end();
}

static void advertisement_in_the_gateways_name_is_counted(void **state)
{
	(void)state;
	advertise(GATEWAY6);
	assert_true(give_nd());
	advertise(GATEWAY_LL);
	assert_true(give_nd());
	assert_int_equal(nbad, 2);
	advertise(GUEST6);
	assert_true(give_nd());
	assert_int_equal(nbad, 2);
	assert_int_equal(nsent, 0);
}

static void discovery_that_was_forwarded_is_counted(void **state)
{
	(void)state;
	solicit(GUEST6, "ff02::1:ff00:1", GATEWAY6);
	f.b[ETH_LEN + 7] = 254;
	assert_true(give_nd());
	solicit(GUEST6, "ff02::1:ff00:1", GATEWAY6);
	f.b[ETH_LEN + 41] = 1;
	assert_true(give_nd());
	assert_int_equal(nbad, 2);
	assert_int_equal(nsent, 0);
}

static void solicitation_cut_short_is_counted(void **state)
{
	size_t len;

	(void)state;
	for (len = 0; len < 16; len++) {
		nd(GUEST6, "ff02::1:ff00:1", 135);
		fr_add(&f, NULL, len);
		nd_end();
		assert_true(give_nd());
	}
	assert_int_equal(nbad, 16);
	assert_int_equal(nsent, 0);
}

static void group_membership_is_silence(void **state)
{
	static const uint8_t types[] = {130, 131, 132, 143};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(types); i++) {
		fr_ip6(&f, GUEST_LL, "ff02::16", 0)[7] = 1;
		fr_add(&f, "\x3a\0\5\2\0\0\1\0", 8);
		fr_add(&f, NULL, 28)[0] = types[i];
		fr_end6(&f);
		assert_true(give_nd());
	}
	assert_int_equal(nsent + nbad, 0);
}

static void echo_is_no_discovery(void **state)
{
	(void)state;
	fr_ip6(&f, GUEST6, GATEWAY6, PROTO_ICMP6);
	fr_echo(&f, 128, 1, 1, 10);
	fr_end6(&f);
	assert_false(give_nd());
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(guest_sends_from_its_two_addresses),
		T(spoofed_ip_source_is_not_the_guest),
		T(spoofed_mac_is_not_the_guest),
		T(frame_to_another_mac_is_nobodys),
		T(link_local_source_reaches_the_link_only),
		T(request_for_the_gateway_is_answered),
		T(padded_request_is_answered),
		T(nobody_else_is_on_the_link),
		T(guests_own_address_is_not_answered_for),
		T(spoofed_arp_is_ignored_and_counted),
		T(broken_arp_is_ignored_and_counted),
		T(solicitation_for_the_gateway_is_answered),
		T(gateways_address_is_defended),
		T(others_are_not_answered_for),
		T(router_solicitation_gets_prefix_mtu_and_name_server),
		T(without_a_route_of_the_host_it_is_no_router),
		T(router_solicitation_of_nobody_is_answered_to_all),
		T(routers_and_redirects_of_the_guest_are_counted),
		T(advertisement_in_the_gateways_name_is_counted),
		T(discovery_that_was_forwarded_is_counted),
		T(solicitation_cut_short_is_counted),
		T(group_membership_is_silence),
		T(echo_is_no_discovery),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
