/* BOOT.net as a plan, and the plan as an interface of a real kernel. */
#include "lib/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/num.h"
#include "guest/net.h"

#define LIST(...) list_of((char *[]){__VA_ARGS__, NULL})

static struct proto_strs list_of(char **v)
{
	uint32_t n = 0;

	while (v[n])
		n++;
	return (struct proto_strs){v, n};
}

static void values_are_found_by_key_and_number(void **state)
{
	struct proto_strs l =
		LIST("dns=1.1.1.1", "dnsx=no", "ip4=10.0.0.2/30", "dns=::1");

	(void)state;
	assert_string_equal(net_value(&l, "dns", 0), "1.1.1.1");
	assert_string_equal(net_value(&l, "dns", 1), "::1");
	assert_null(net_value(&l, "dns", 2));
	assert_null(net_value(&l, "dn", 0));
	assert_string_equal(net_value(&l, "ip4", 0), "10.0.0.2/30");
}

static void a_plan_has_what_was_given(void **state)
{
	struct proto_strs all =
		LIST("mac=02:6d:73:00:00:02", "mtu=9000", "ip4=172.16.0.2/30",
	             "gw4=172.16.0.1", "ip6=fd42:6d73:62::2/64",
	             "gw6=fd42:6d73:62::1", "route6=0", "later=what");
	struct proto_strs four = LIST("ip4=172.16.0.2/30", "gw4=172.16.0.1");
	struct net_plan p;

	(void)state;
	assert_int_equal(net_parse(&all, &p, NULL), 0);
	assert_int_equal(p.mtu, 9000);
	assert_int_equal(p.ip4.family, AF_INET);
	assert_int_equal(p.ip4.bits, 30);
	assert_memory_equal(p.gw4.addr, "\xac\x10\x00\x01", 4);
	assert_int_equal(p.ip6.bits, 64);
	assert_int_equal(p.gw6.addr[15], 1);
	assert_false(p.route6);
	assert_int_equal(net_parse(&four, &p, NULL), 0);
	assert_int_equal(p.ip6.family, 0);
	assert_int_equal(p.mtu, 0);
	assert_true(p.route6);
}

static void bad_entries_are_named(void **state)
{
	static char *const bad[] = {
		"ip4=172.16.0.2",
		"ip4=172.16.0.2/33",
		"ip4=::1/64",
		"ip4=",
		"gw4=172.16.0.1/30",
		"gw4=x",
		"ip6=172.16.0.2/30",
		"ip6=fd42::2/129",
		"gw6=fd42::1%eth0",
		"mtu=65536",
		"mtu=-1",
		"ip6=fd42:6d73:62:1111:2222:3333:4444:5555:6666:7777:8888/64",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct proto_strs l = LIST(bad[i]);
		struct net_plan p;
		struct err err = {0};

		if (net_parse(&l, &p, &err) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
		assert_memory_equal(strstr(err.msg, "host's ") + 7, bad[i], 3);
	}
}

/* ---- a kernel ---- */

/* A network of our own with a TAP for eth0; false: no right to. */
static bool enter(int *ret_tap)
{
	struct ifreq r = {.ifr_name = NET_INTERFACE,
	                  .ifr_flags = IFF_TAP | IFF_NO_PI};

	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", 0, NULL) < 0)
		return false;
	*ret_tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	return *ret_tap >= 0 && ioctl(*ret_tap, TUNSETIFF, &r) == 0;
}

static bool has(const char *path, const char *text)
{
	struct buf cleanup_buf b = BUF_INIT;

	assert_int_equal(file_read(AT_FDCWD, path, &b), 0);
	return strstr(buf_str(&b), text) != NULL;
}

static void check_interface(void)
{
	cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {.ifr_name = NET_INTERFACE};
	struct sockaddr_in in;

	assert_int_equal(ioctl(fd, SIOCGIFMTU, &r), 0);
	assert_int_equal(r.ifr_mtu, 1400);
	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &r), 0);
	assert_true(r.ifr_flags & IFF_UP);
	assert_int_equal(ioctl(fd, SIOCGIFADDR, &r), 0);
	memcpy(&in, &r.ifr_addr, sizeof(in));
	assert_int_equal(in.sin_addr.s_addr, htonl(0xac100002));
	assert_int_equal(ioctl(fd, SIOCGIFNETMASK, &r), 0);
	memcpy(&in, &r.ifr_netmask, sizeof(in));
	assert_int_equal(in.sin_addr.s_addr, htonl(0xfffffffc));
	/* The default route, by 172.16.0.1. */
	assert_true(has("/proc/net/route", "eth0\t00000000\t010010AC"));
}

static void check_ipv6(bool route)
{
	if (access("/proc/net/if_inet6", R_OK) < 0)
		return;
	/* Global (00), and of flags only permanent (80): not tentative. */
	assert_true(
		has("/proc/net/if_inet6", "fd426d73006200000000000000000002 "));
	assert_true(has("/proc/net/if_inet6", " 40 00 82     eth0") ||
	            has("/proc/net/if_inet6", " 40 00 80     eth0"));
	assert_int_equal(has("/proc/net/ipv6_route",
	                     "00000000000000000000000000000000 00 "
	                     "00000000000000000000000000000000 00 "
	                     "fd426d73006200000000000000000001 "),
	                 route);
	assert_true(has("/proc/sys/net/ipv6/conf/eth0/accept_ra", "0"));
}

static void the_interface_is_as_planned(void **state)
{
	struct proto_strs l = LIST("mtu=1400", "ip4=172.16.0.2/30",
	                           "gw4=172.16.0.1", "ip6=fd42:6d73:62::2/64",
	                           "gw6=fd42:6d73:62::1", "route6=0");
	cleanup_close int tap = -1;
	struct net_plan p;
	struct err err = {0};

	(void)state;
	assert_int_equal(net_parse(&l, &p, NULL), 0);
	if (!enter(&tap)) {
		printf("# no right to a network namespace and a TAP\n");
		skip();
	}
	if (net_up(NET_INTERFACE, &p, &err) < 0)
		fail_msg("%s", err.msg);
	check_interface();
	check_ipv6(false);
	p.route6 = true;
	assert_int_equal(net_up(NET_INTERFACE, &p, &err), 0); /* once more */
	check_interface();
	check_ipv6(true);
}

/* In the namespace of the test before. */
static void ipv6_that_is_off_is_no_error(void **state)
{
	struct proto_strs l =
		LIST("ip4=172.16.0.2/30", "gw4=172.16.0.1",
	             "ip6=fd42:6d73:62::9/64", "gw6=fd42:6d73:62::1");
	cleanup_close int tap = -1, fd = -1;
	struct net_plan p;
	struct err err = {0};

	(void)state;
	assert_int_equal(net_parse(&l, &p, NULL), 0);
	if (!enter(&tap))
		skip();
	fd = open("/proc/sys/net/ipv6/conf/eth0/disable_ipv6",
	          O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		skip();
	assert_int_equal(fd_write_full(fd, "1", 1), 0);
	assert_int_equal(net_up(NET_INTERFACE, &p, &err), 0);
	assert_true(has("/proc/net/route", "eth0\t00000000\t010010AC"));
	assert_false(has("/proc/net/if_inet6", "eth0"));
}

static void a_missing_interface_is_an_error(void **state)
{
	struct net_plan p = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(net_up("msbnone0", &p, &err), -ENODEV);
	assert_non_null(strstr(err.msg, "msbnone0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_found_by_key_and_number),
		cmocka_unit_test(a_plan_has_what_was_given),
		cmocka_unit_test(bad_entries_are_named),
		cmocka_unit_test(the_interface_is_as_planned),
		cmocka_unit_test(ipv6_that_is_off_is_no_error),
		cmocka_unit_test(a_missing_interface_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
