/* Addresses of the host: a network namespace with some, and the kernel asked.
 */
#include "lib/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <net/route.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "net/hostaddr.h"

#define IFACE "t0"

static struct addr addr_of(const char *text)
{
	struct addr a;

	if (addr_parse(text, &a) < 0)
		fail_msg("%s does not parse", text);
	return a;
}

static int up(int sock, const char *name)
{
	struct ifreq r = {0};

	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	return ioctl(sock, SIOCSIFFLAGS, &r);
}

static void put_in(struct sockaddr *sa, const char *text)
{
	struct sockaddr_in in = {.sin_family = AF_INET};

	assert_int_equal(inet_pton(AF_INET, text, &in.sin_addr), 1);
	memcpy(sa, &in, sizeof(in));
}

static void add_v4(int sock, const char *addr, const char *mask)
{
	struct ifreq r = {.ifr_name = IFACE};

	put_in(&r.ifr_addr, addr);
	assert_int_equal(ioctl(sock, SIOCSIFADDR, &r), 0);
	put_in(&r.ifr_netmask, mask);
	assert_int_equal(ioctl(sock, SIOCSIFNETMASK, &r), 0);
}

static int add_v6(const char *addr)
{
	cleanup_close int sock = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct in6_ifreq r = {.ifr6_prefixlen = 64};

	if (sock < 0)
		return -errno;
	r.ifr6_ifindex = (int)if_nametoindex(IFACE);
	assert_int_equal(inet_pton(AF_INET6, addr, &r.ifr6_addr), 1);
	return ioctl(sock, SIOCSIFADDR, &r);
}

static void add_default(int sock)
{
	struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};

	put_in(&route.rt_dst, "0.0.0.0");
	put_in(&route.rt_genmask, "0.0.0.0");
	put_in(&route.rt_gateway, "203.0.113.1");
	assert_int_equal(ioctl(sock, SIOCADDRT, &route), 0);
}

/* An interface whose far side is this process; -1: not allowed. */
static int make_interface(void)
{
	struct ifreq r = {.ifr_name = IFACE, .ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd >= 0 && ioctl(fd, TUNSETIFF, &r) < 0)
		close_fd(&fd);
	return fd;
}

/* The whole program lives in a network of its own. */
struct world {
	int sock, tun;
};

static int enter(void **state)
{
	static struct world w;

	if (unshare(CLONE_NEWNET) < 0 &&
	    unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return 0;
	w.sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	w.tun = make_interface();
	if (w.sock < 0 || w.tun < 0 || up(w.sock, "lo") < 0)
		return 0;
	*state = &w;
	return 0;
}

static const struct world *world_of(void **state)
{
	if (!*state) {
		printf("# no right to make a network namespace with a TUN\n");
		skip();
	}
	return *state;
}

static void check(struct hostaddr *h, const char *text, bool want)
{
	struct addr a = addr_of(text);

	if (hostaddr_is_local(h, &a) != want)
		fail_msg("%s: %s", text, want ? "not local" : "local");
}

static void the_hosts_own_addresses_are_local(void **state)
{
	const struct world *w = world_of(state);
	struct hostaddr *h = hostaddr_new();
	static const char *const own[] = {
		"127.0.0.1",
		"127.1.2.3",
		"::1",
		"0.0.0.0",
		"::",
		"203.0.113.7",
		"64:ff9b::cb00:7107",
		"2002:cb00:7107::1",
		"::203.0.113.7",
		"::ffff:0:203.0.113.7",
		"203.0.113.255",
		"64:ff9b::7f00:1",
		"64:ff9b:1:cb00:71:700::",
	};
	static const char *const others[] = {"203.0.113.8", "8.8.8.8",
	                                     "64:ff9b::808:808", "224.0.0.1",
	                                     "2606::1"};

	assert_non_null(h);
	add_v4(w->sock, "203.0.113.7", "255.255.255.0");
	assert_int_equal(up(w->sock, IFACE), 0);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		check(h, own[i], true);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		check(h, others[i], false);
	hostaddr_free(h);
}

static void ipv6_addresses_are_local_too(void **state)
{
	struct hostaddr *h;

	(void)world_of(state);
	if (add_v6("2001:db8::7") < 0) {
		printf("# this kernel has no IPv6\n");
		skip();
	}
	h = hostaddr_new();
	assert_non_null(h);
	/* Until the kernel is done with detection (DAD), and we look again. */
	for (int i = 0; i < 150; i++) {
		struct addr a = addr_of("2001:db8::7");

		if (i >= 20 && hostaddr_is_local(h, &a))
			break;
		usleep(100000);
	}
	check(h, "2001:db8::7", true);
	check(h, "2001:db8::8", false);
	hostaddr_free(h);
}

static void a_new_address_is_seen_within_a_second(void **state)
{
	const struct world *w = world_of(state);
	struct hostaddr *h = hostaddr_new();

	assert_non_null(h);
	check(h, "203.0.113.99", false);
	add_v4(w->sock, "203.0.113.99", "255.255.255.0");
	usleep(1100000);
	check(h, "203.0.113.99", true);
	hostaddr_free(h);
}

static void default_routes_are_seen(void **state)
{
	const struct world *w = world_of(state);
	struct hostaddr *h = hostaddr_new();

	assert_non_null(h);
	assert_false(hostaddr_has_route(h, false));
	assert_false(hostaddr_has_route(h, true));
	add_default(w->sock);
	assert_false(hostaddr_has_route(h, false)); /* asked just now */
	usleep(1100000);
	assert_true(hostaddr_has_route(h, false));
	assert_false(hostaddr_has_route(h, true));
	hostaddr_free(h);
}

/* A kernel that does not answer: everything is the host's. The descriptor is
   the first member. */
static void in_doubt_all_is_local(void **state)
{
	struct hostaddr *h = hostaddr_new();
	cleanup_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_non_null(h);
	assert_int_equal(dup2(null, *(int *)h), *(int *)h);
	check(h, "8.8.8.8", true);
	check(h, "2606::1", true);
	assert_false(hostaddr_has_route(h, false));
	hostaddr_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hosts_own_addresses_are_local),
		cmocka_unit_test(ipv6_addresses_are_local_too),
		cmocka_unit_test(a_new_address_is_seen_within_a_second),
		cmocka_unit_test(default_routes_are_seen),
		cmocka_unit_test(in_doubt_all_is_local),
	};

	return cmocka_run_group_tests(tests, enter, NULL);
}
