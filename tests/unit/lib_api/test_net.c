/* A sandbox's network: what may be, what is on record, what a start opens. */
#include "lib/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "lib/net.h"
#include "lib/net_launch.h"
#include "lib/net_ports.h"
#include "lib/place.h"
#include "lib/record.h"

#define NET(...)                                                               \
	{                                                                      \
		.size = sizeof(struct msb_network), __VA_ARGS__                \
	}
#define LIST(...)                                                              \
	(const char *const[])                                                  \
	{                                                                      \
		__VA_ARGS__, NULL                                              \
	}
#define PORT(...)                                                              \
	(&(const struct msb_port){sizeof(struct msb_port), __VA_ARGS__})
#define PORTS(...)                                                             \
	(const struct msb_port *const[])                                       \
	{                                                                      \
		__VA_ARGS__, NULL                                              \
	}

#define ID "0123456789abcdef"

/* ---- what may be --------------------------------------------------------- */

static void what_may_be_is_taken(void **state)
{
	const struct msb_network good[] = {
		NET(.flags = 0),
		NET(.flags = MSB_NET_DISABLED),
		NET(.flags = MSB_NET_DISABLED, .vsock = LIST("/run/a.sock:1")),
		NET(.profile = "public,private,host"),
		NET(.profile = "none", .rules = LIST("allow@1.1.1.1:tcp:53")),
		NET(.rules = LIST("deny@10.0.0.0/8,allow@any",
	                          "allow@*.example.com:tcp:443")),
		NET(.default_egress = MSB_NET_ALLOW,
	            .default_ingress = MSB_NET_DENY),
		NET(.ports =
	                    PORTS(PORT(NULL, 0, 80, 0), PORT(NULL, 0, 80, 0),
	                          PORT("::1", 80, 80, 0), PORT(NULL, 80, 80, 0),
	                          PORT(NULL, 80, 80, MSB_PORT_UDP))),
		NET(.nameservers = LIST("1.1.1.1", "[::1]:5353", "::1"),
	            .dns_timeout_ms = 600000),
		NET(.mtu = 1280),
		NET(.mtu = 65520),
		NET(.ipv4_pool = "10.0.0.0/8", .ipv6_pool = "fd00::/64"),
		NET(.ipv4_pool = "192.168.7.4/30", .ipv6_pool = "fc00::/7"),
		NET(.ipv4_pool = "100.64.0.0/10"),
		NET(.egress_bytes = {1, 1}, .ingress_packets = {100, 0}),
		NET(.max_connections = MSB_CONNECTIONS_MAX),
		NET(.proxy = "http://[::1]:3128"),
		NET(.proxy = "socks4://1.2.3.4:1080", .socks4_user_id = "me"),
		NET(.proxy = "socks5://1.2.3.4:1080", .socks5_username = "u",
	            .socks5_password_env = "PW"),
		NET(.vsock = LIST("/a:1", "/a:b:2/dgram", "/x/y:4294967294",
	                          "/x:1/dgram")),
		NET(.pcap = "x.pcap"),
	};

	(void)state;
	assert_int_equal(network_check(NULL, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct err err = {0};

		if (network_check(&good[i], &err) != 0)
			fail_msg("%zu: %s", i, err.msg);
	}
}

static void what_cannot_be_is_refused(void **state)
{
	static char long_path[5000];
	const struct {
		struct msb_network n;
		const char *message;
	} bad[] = {
		{{.size = 3},					      "wrong size"                                 },
		{NET(.flags = 1u << 20),                                   "no such flag"                               },
		{NET(.flags = MSB_NET_DISABLED,                            .profile = "public"),
	         "there cannot be a profile"},
		{NET(.flags = MSB_NET_DISABLED,
                 .ports = PORTS(PORT(NULL,									 1, 1, 0))),
	         "there cannot be published ports"},
		{NET(.profile = "bogus"),						       "bogus"                          },
		{NET(.profile = "none,public"),                        "none"								    },
		{NET(.rules = LIST("allow@public","alow@any")),              "alow"},
		{NET(.rules = LIST("allow@*.com")),                           "*.com"   },
		{NET(.rules = LIST("allow@10.0.0.0/33")),                                                  "10.0.0.0/33"									   },
		{NET(.default_egress = 3),                        "allow or deny"                                   },
		{NET(.default_ingress = -1),                  "allow or deny"},
		{NET(.ports = PORTS(PORT(NULL,                                 80,                                        0, 0))), "cannot be 0"},
		{NET(.ports = PORTS(PORT("x",                               80,                                            80, 0))),
	         "'x' is no address"},
		{NET(.ports = PORTS(PORT("1.2.3",                             80,                                        80, 0))), "no address"},
		{NET(.ports = PORTS(PORT(NULL,						    80,										    80, 2))), "no such flag"},
		{NET(.ports = PORTS(&(const struct msb_port){.size = 1})),
	         "wrong size"					  },
		{NET(.ports = PORTS(PORT(NULL,						    80,										     80, 0),
                 PORT("127.0.0.1", 80, 81, 0))),
	         "published twice"},
		{NET(.nameservers = LIST("dns.google")),
	         "'dns.google' is no name server"                                        },
		{NET(.nameservers = LIST("224.0.0.1")),                                                    "no name server"										    },
		{NET(.nameservers = LIST("1.1.1.1:x")),                             "no name server"                    },
		{NET(.nameservers = LIST("1.1.1.1",						    "1.1.1.1",										   "1.1.1.1",
                 "1.1.1.1", "1.1.1.1", "1.1.1.1",
                 "1.1.1.1", "1.1.1.1", "1.1.1.1")),
	         "at most 8"},
		{NET(.dns_timeout_ms = 600001), "600000 ms"											   },
		{NET(.mtu = 1279),                             "MTU 1279"                    },
		{NET(.mtu = 65521),						      "MTU 65521"										       },
		{NET(.ipv4_pool = "10.0.0.0/31"),						      "too small"											      },
		{NET(.ipv4_pool = "10.0.0.1/8"),							"bits behind"							       },
		{NET(.ipv4_pool = "8.8.0.0/16"),							"private"                        },
		{NET(.ipv4_pool = "0.0.0.0/0"),							"private"},
		{NET(.ipv4_pool = "10.0.0.0/7"),							"private"                                                },
		{NET(.ipv4_pool = "fd00::/48"),                                               "IPv4"											      },
		{NET(.ipv4_pool = "10.0.0.0/x"),                                               "no pool"											      },
		{NET(.ipv6_pool = "fd00::/65"),                                             "too small"											    },
		{NET(.ipv6_pool = "2001:db8::/32"),                            "private"							     },
		{NET(.ipv6_pool = "10.0.0.0/8"),                                         "IPv6"                                               },
		{NET(.egress_bytes = {0, 5}),                                        "needs a rate"                    },
		{NET(.egress_bytes = {UINT64_MAX, 5}),                          "too large"      },
		{NET(.max_connections = 10001),                           "at most 10000"   },
		{NET(.proxy = "ftp://1.2.3.4:1"),                           "no proxy"       },
		{NET(.proxy = "socks5://name:1"),                            "no proxy"        },
		{NET(.proxy = "socks5://1.2.3.4"),                           "no proxy"       },
		{NET(.proxy = "socks5://1.2.3.4:0"),                            "no proxy"                    },
		{NET(.proxy = "socks4://[::1]:1"),                           "IPv4 address"                },
		{NET(.socks4_user_id = "u"),                            "socks4://"                 },
		{NET(.proxy = "socks5://1.2.3.4:1",                        .socks4_user_id = "u"),
	         "socks4://"},
		{NET(.proxy = "socks5://1.2.3.4:1",                           .socks5_username = "u"),
	         "together"},
		{NET(.proxy = "socks5://1.2.3.4:1",                              .socks5_password_env = "P"),
	         "together"},
		{NET(.proxy = "socks5://1.2.3.4:1",                     .socks5_username = "",
                 .socks5_password_env = "P"),
	         "1 to 255 bytes"},
		{NET(.vsock = LIST("a.sock:1")),                            "absolute"                               },
		{NET(.vsock = LIST("/a")),                          "not of that form"                                  },
		{NET(.vsock = LIST("/a:0")),                          "from 1 to"                                 },
		{NET(.vsock = LIST("/a:4294967295")),                         "from 1 to"                                 },
		{NET(.vsock = LIST("/a:x")),                       "from 1 to"                              },
		{NET(.vsock = LIST("/a:123")),                         "machine's own"                             },
		{NET(.vsock = LIST("/a:1024")),                               "machine's own"                                     },
		{NET(.vsock = LIST("/a:1/seq")),                        "not of that form"                       },
		{NET(.vsock = LIST("/a/:1")),							"absolute"								    },
		{NET(.vsock = LIST("/a:1",					       "/b:1")),											    "another has that"},
		{NET(.vsock = LIST(long_path)),"not of that form"											     },
		{NET(.pcap = ""),                        "is no file"                           },
		{NET(.pcap = "/tmp/"),					 "is no file"										     },
		{NET(.pcap = long_path),                   "too long"                                },
	};

	(void)state;
	memset(long_path, 'a', sizeof(long_path) - 1);
	*long_path = '/';
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = {0};

		assert_true(network_check(&bad[i].n, &err) < 0);
		if (!strstr(err.msg, bad[i].message))
			fail_msg("%zu: '%s' is not in: %s", i, bad[i].message,
			         err.msg);
	}
}

static void too_many_ports_are_refused(void **state)
{
	static const struct msb_port one = {sizeof(one), NULL, 0, 80, 0};
	const struct msb_port *list[MSB_PORTS_MAX + 2] = {0};
	const struct msb_network n = NET(.ports = list);
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < MSB_PORTS_MAX; i++)
		list[i] = &one;
	assert_int_equal(network_check(&n, &err), 0);
	list[MSB_PORTS_MAX] = &one;
	assert_int_equal(network_check(&n, &err), -E2BIG);
}

/* ---- the record ---------------------------------------------------------- */

static void what_is_written_is_read(void **state)
{
	const struct msb_network n =
		NET(.flags = MSB_NET_STRICT, .profile = "host",
	            .rules = LIST("allow@a.b", "deny@any"),
	            .default_egress = MSB_NET_DENY,
	            .ports = PORTS(PORT("::1", 0, 53, MSB_PORT_UDP),
	                           PORT(NULL, 8080, 80, 0)),
	            .nameservers = LIST("1.1.1.1"), .dns_timeout_ms = 7,
	            .ipv4_pool = "10.0.0.0/8", .mtu = 9000,
	            .egress_bytes = {5, 6}, .max_connections = 9,
	            .proxy = "socks5://1.2.3.4:5", .socks5_username = "u",
	            .socks5_password_env = "PW", .vsock = LIST("/a:1"),
	            .pcap = "dir/\xff.pcap");
	struct msb_network cleanup_network a = {0};
	struct msb_network cleanup_network b = {0};
	json_t *cleanup_json j = NULL;
	json_t *cleanup_json k = NULL;

	(void)state;
	assert_int_equal(network_take(&a, &n), 0);
	assert_int_equal(*a.pcap, '/'); /* wherever msb starts it */
	assert_ptr_not_equal(a.rules[0], n.rules[0]);
	j = network_json(&a);
	assert_non_null(j);
	assert_null(json_object_get(j, "ipv6_pool")); /* sparse */
	assert_null(json_object_get(j, "ingress_bytes"));
	assert_int_equal(network_read(j, &b), 0);
	assert_int_equal(b.flags, MSB_NET_STRICT);
	assert_string_equal(b.rules[1], "deny@any");
	assert_null(b.rules[2]);
	assert_string_equal(b.ports[0]->bind, "::1");
	assert_int_equal(b.ports[0]->flags, MSB_PORT_UDP);
	assert_int_equal(b.ports[1]->host, 8080);
	assert_null(b.ports[1]->bind);
	assert_null(b.ports[2]);
	assert_int_equal(b.egress_bytes.burst, 6);
	assert_string_equal(b.pcap, a.pcap);
	k = network_json(&b);
	assert_true(json_equal(j, k));
}

static void the_default_takes_no_room(void **state)
{
	struct msb_network cleanup_network n = {0};
	json_t *cleanup_json j = NULL;

	(void)state;
	assert_int_equal(network_take(&n, NULL), 0);
	j = network_json(&n);
	assert_int_equal(json_object_size(j), 0);
}

static void a_record_that_is_wrong_is_refused(void **state)
{
	static const char *const bad[] = {
		"[]",
		"{\"flags\": -1}",
		"{\"flags\": 4294967296}",
		"{\"mtu\": \"1\"}",
		"{\"profile\": 1}",
		"{\"rules\": \"a\"}",
		"{\"rules\": [1]}",
		"{\"ports\": {}}",
		"{\"ports\": [{\"host\": 1}]}",
		"{\"ports\": [{\"host\": 65536, \"guest\": 1}]}",
		"{\"ports\": [{\"host\": 1, \"guest\": 1, \"bind\": 1}]}",
		"{\"egress_bytes\": [1]}",
		"{\"egress_bytes\": [-1, 1]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		json_t *cleanup_json j =
			json_parse(bad[i], strlen(bad[i]), "test", NULL);
		struct msb_network n = {0};

		assert_non_null(j);
		if (network_read(j, &n) != -EINVAL)
			fail_msg("%s was read", bad[i]);
	}
}

/* ---- addresses ----------------------------------------------------------- */

static const char *text(const struct addr *a)
{
	static char buf[4][ADDR_TEXT_MAX];
	static unsigned turn;

	return addr_text(a, buf[turn++ % 4]);
}

static void a_sandbox_has_the_same_addresses_each_time(void **state)
{
	const struct msb_network n = NET(.flags = 0);
	struct net_plan a, b, c;

	(void)state;
	assert_int_equal(net_plan_make(&n, ID, &a, NULL), 0);
	assert_int_equal(net_plan_make(&n, ID, &b, NULL), 0);
	assert_int_equal(net_plan_make(&n, "0123456789abcdee", &c, NULL), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_string_not_equal(a.guest_mac, c.guest_mac);
	assert_false(addr_eq(&a.guest4, &c.guest4));
	assert_false(addr_eq(&a.guest6, &c.guest6));
	assert_string_not_equal(a.guest_mac, a.gateway_mac);
	assert_memory_equal(a.guest_mac, "02:", 3);
}

static void addresses_are_in_their_pools(void **state)
{
	const struct msb_network rows[] = {
		NET(.flags = 0),
		NET(.ipv4_pool = "10.1.2.0/24", .ipv6_pool = "fd12:3456::/32"),
		NET(.ipv4_pool = "192.168.0.4/30",
	            .ipv6_pool = "fd00:1:2:3::/64"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cidr pool4, pool6;
		struct net_plan p;

		assert_int_equal(
			network_pool(rows[i].ipv4_pool, false, &pool4, NULL),
			0);
		assert_int_equal(
			network_pool(rows[i].ipv6_pool, true, &pool6, NULL), 0);
		for (unsigned k = 0; k < 200; k++) {
			char id[24];

			(void)snprintf(id, sizeof(id), "%016x", k);
			assert_int_equal(net_plan_make(&rows[i], id, &p, NULL),
			                 0);
			assert_true(cidr_has(&pool4, &p.guest4));
			assert_true(cidr_has(&pool4, &p.gateway4));
			assert_true(cidr_has(&pool6, &p.guest6));
			assert_int_equal(addr_to_v4(&p.guest4) & 3, 2);
			assert_int_equal(addr_to_v4(&p.gateway4) & 3, 1);
			assert_int_equal(addr_to_v4(&p.gateway4) | 3,
			                 addr_to_v4(&p.guest4) | 3);
			assert_int_equal(p.guest6.b[15], 2);
			assert_int_equal(p.gateway6.b[15], 1);
			assert_memory_equal(p.guest6.b, p.gateway6.b, 15);
		}
		if (i == 2) {
			assert_string_equal(text(&p.guest4), "192.168.0.6");
			assert_string_equal(text(&p.gateway6), "fd00:1:2:3::1");
		}
	}
}

/* ---- name servers and certificates --------------------------------------- */

static void name_servers_are_read(void **state)
{
	static const struct {
		const char *text, *servers[4];
	} rows[] = {
		{"nameserver 1.1.1.1\nnameserver ::1\n",
	         {"1.1.1.1:53", "[::1]:53"}						    },
		{"# nameserver 9.9.9.9\nsearch x\nnameserver\t127.0.0.53 # y",
	         {"127.0.0.53:53"}							     },
		{"nameserver fe80::1%eth0\n",                                  {"127.0.0.1:53"}},
		{"",							   {"127.0.0.1:53"}},
		{"nameservers 1.1.1.1\nnameserver\n",                          {"127.0.0.1:53"}},
		{"nameserver 1.1.1.1;x\r\n",                                   {"1.1.1.1:53"}  },
		{" nameserver 1.1.1.1\n",                                      {"127.0.0.1:53"}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct strv cleanup_strv s = {0};
		size_t n = 0;

		assert_int_equal(net_servers_read(rows[i].text, &s), 0);
		for (; rows[i].servers[n]; n++)
			assert_string_equal(s.v[n], rows[i].servers[n]);
		assert_int_equal(s.n, n);
	}
}

static void name_servers_are_bounded(void **state)
{
	struct buf cleanup_buf b = BUF_INIT;
	struct strv cleanup_strv s = {0};

	(void)state;
	for (int i = 0; i < 100; i++)
		(void)buf_printf(&b, "nameserver 10.0.0.%d\n", i);
	assert_int_equal(net_servers_read(buf_str(&b), &s), 0);
	assert_int_equal(s.n, NETWORK_SERVERS_MAX);
}

#define CERT(x)                                                                \
	"-----BEGIN CERTIFICATE-----\n" x "\n-----END CERTIFICATE-----\n"

static void certificates_lose_what_is_around_them(void **state)
{
	cleanup_free char *two = net_cas_read("# A\n" CERT("a") "\n# B\nx" CERT(
				  "b") "tail"),
			  *none = net_cas_read("nothing"),
			  *cut = net_cas_read("-----BEGIN CERTIFICATE-----\na");

	(void)state;
	assert_string_equal(two, CERT("a") CERT("b"));
	assert_null(none);
	assert_null(cut);
}

static void too_many_certificates_are_refused(void **state)
{
	struct buf cleanup_buf b = BUF_INIT;
	cleanup_free char *all = NULL;

	(void)state;
	while (b.len <= NET_LAUNCH_CAS_MAX)
		(void)buf_adds(&b, CERT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	all = net_cas_read(buf_str(&b));
	assert_null(all);
}

/* ---- what a start opens -------------------------------------------------- */

struct fixture {
	char path[64];
	struct place place;
	struct net_launch launch;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	(void)snprintf(f->path, sizeof(f->path), "/tmp/msb-test-net-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	f->place = (struct place)PLACE_INIT;
	f->place.dir_fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->launch = (struct net_launch)NET_LAUNCH_INIT;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	net_launch_release(&f->launch);
	place_release(&f->place);
	assert_int_equal(dir_remove(AT_FDCWD, f->path), 0);
	free(f);
	return 0;
}

static int start(struct fixture *f, const struct msb_network *n,
                 struct err *err)
{
	int r;

	net_launch_release(&f->launch);
	r = net_launch_open(&f->launch, n, ID, NULL, err);
	return r < 0 ? r : net_launch_commit(&f->launch, &f->place, err);
}

static bool is_reached(uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
	                         .sin_port = htons(port),
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;
}

static void ports_are_opened_and_written_down(void **state)
{
	struct fixture *f = *state;
	const struct msb_network n =
		NET(.ports = PORTS(PORT(NULL, 0, 80, 0),
	                           PORT("127.0.0.2", 0, 53, MSB_PORT_UDP)));
	const struct msb_network none = NET(.flags = 0);
	json_t *cleanup_json list = NULL;
	json_t *cleanup_json after = NULL;

	assert_int_equal(start(f, &n, NULL), 0);
	assert_int_equal(f->launch.nports, 2);
	assert_true(f->launch.ports[0].host > 0);
	assert_true(is_reached(f->launch.ports[0].host));
	list = net_ports_read(&f->place);
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(json_int(json_array_get(list, 0), "host", 0),
	                 f->launch.ports[0].host);
	assert_string_equal(json_str(json_array_get(list, 1), "bind", ""),
	                    "127.0.0.2");
	assert_string_equal(json_str(json_array_get(list, 1), "protocol", ""),
	                    "udp");
	/* The next start has none: nor has the file. */
	assert_int_equal(start(f, &none, NULL), 0);
	after = net_ports_read(&f->place);
	assert_int_equal(json_array_size(after), 0);
}

static void a_port_that_is_taken_is_told(void **state)
{
	static const uint32_t kinds[] = {0, MSB_PORT_UDP};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct msb_network n =
			NET(.ports = PORTS(PORT(NULL, 0, 80, kinds[i])));
		struct net_launch other = NET_LAUNCH_INIT;
		struct err err = {0};
		char want[64];

		assert_int_equal(start(f, &n, NULL), 0);
		{
			const struct msb_network same =
				NET(.ports = PORTS(PORT(NULL,
			                                f->launch.ports[0].host,
			                                80, kinds[i])));

			assert_int_equal(
				net_launch_open(&other, &same, ID, NULL, &err),
				-EADDRINUSE);
		}
		(void)snprintf(want, sizeof(want),
		               "port %u (%s) of 127.0.0.1 is taken",
		               f->launch.ports[0].host, i ? "udp" : "tcp");
		assert_string_equal(err.msg, want);
		assert_non_null(strstr(err.hint, "-p 0:80"));
		net_launch_release(&other);
	}
}

/* As TIME_WAIT of an earlier start's connections would keep it. */
static void a_port_can_be_had_again_at_once(void **state)
{
	struct fixture *f = *state;
	const struct msb_network any =
		NET(.ports = PORTS(PORT(NULL, 0, 80, 0)));
	struct msb_port same = MSB_PORT_INIT;
	const struct msb_network again = NET(.ports = PORTS(&same));

	assert_int_equal(start(f, &any, NULL), 0);
	same.host = f->launch.ports[0].host;
	same.guest = 80;
	{
		struct sockaddr_in sa = {.sin_family = AF_INET,
		                         .sin_port = htons(same.host),
		                         .sin_addr.s_addr =
		                                 htonl(INADDR_LOOPBACK)};
		cleanup_close int c =
			socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		cleanup_close int s = -1;

		assert_int_equal(connect(c, (struct sockaddr *)&sa, sizeof(sa)),
		                 0);
		s = accept4(f->launch.ports[0].fd, NULL, NULL, SOCK_CLOEXEC);
		assert_true(s >= 0); /* it closes first: TIME_WAIT is here */
		close_fd(&s);
	}
	assert_int_equal(start(f, &again, NULL), 0);
}

static void an_address_that_is_not_ours_is_told(void **state)
{
	struct fixture *f = *state;
	const struct msb_network n =
		NET(.ports = PORTS(PORT("192.0.2.7", 8080, 80, 0)));
	struct err err = {0};

	assert_int_equal(start(f, &n, &err), -EADDRNOTAVAIL);
	assert_string_equal(err.msg,
	                    "port 8080: this host has no address 192.0.2.7");
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {0};

	if (syscall(SYS_capset, &h, none) < 0)
		_exit(2);
}

static void a_privileged_port_is_refused_with_a_hint(void **state)
{
	struct fixture *f = *state;
	const struct msb_network n = NET(.ports = PORTS(PORT(NULL, 77, 80, 0)));
	pid_t pid = fork();
	int st;

	if (pid == 0) {
		struct err err = {0};

		drop_capabilities();
		_exit(start(f, &n, &err) == -EACCES &&
		                      strstr(err.msg, "port 77 ") &&
		                      strstr(err.hint, "-p 8077:80")
		              ? 0
		              : 1);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(st, 0);
}

static void a_capture_is_made_anew_and_follows_no_link(void **state)
{
	struct fixture *f = *state;
	char path[96], link_path[96];
	struct err err = {0};
	struct stat a, b;
	struct msb_network n = NET(.pcap = path);

	(void)snprintf(path, sizeof(path), "%s/x.pcap", f->path);
	(void)snprintf(link_path, sizeof(link_path), "%s/link", f->path);
	assert_int_equal(start(f, &n, NULL), 0);
	assert_int_equal(stat(path, &a), 0);
	assert_int_equal(a.st_mode & 07777, 0600);
	assert_int_equal(fd_write_full(f->launch.pcap_fd, "old", 3), 0);
	assert_int_equal(link(path, link_path), 0);
	assert_int_equal(start(f, &n, NULL), 0);
	assert_int_equal(stat(path, &b), 0);
	assert_int_equal(b.st_size, 0);
	assert_int_not_equal(a.st_ino, b.st_ino); /* the other name keeps it */
	assert_int_equal(unlink(link_path), 0);
	assert_int_equal(symlink(path, link_path), 0);
	n.pcap = link_path;
	assert_int_equal(start(f, &n, &err), -ELOOP);
	assert_non_null(strstr(err.msg, "symbolic link"));
	n.pcap = f->path;
	assert_true(start(f, &n, &err) < 0); /* a folder */
}

static void the_password_is_of_the_environment(void **state)
{
	struct fixture *f = *state;
	const struct msb_network n =
		NET(.proxy = "socks5://127.0.0.1:1080", .socks5_username = "u",
	            .socks5_password_env = "MSB_TEST_PW");
	struct err err = {0};

	assert_int_equal(unsetenv("MSB_TEST_PW"), 0);
	assert_int_equal(start(f, &n, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "MSB_TEST_PW"));
	assert_int_equal(setenv("MSB_TEST_PW", "secret", 1), 0);
	assert_int_equal(start(f, &n, NULL), 0);
	assert_string_equal(f->launch.password, "secret");
	assert_int_equal(setenv("MSB_TEST_PW", "\xff", 1), 0);
	assert_int_equal(start(f, &n, NULL), -EINVAL);
	assert_int_equal(setenv("MSB_TEST_PW", "secret\n", 1), 0);
	assert_int_equal(start(f, &n, NULL), -EINVAL);
}

static void host_certificates_are_found(void **state)
{
	struct fixture *f = *state;
	const struct msb_network n = NET(.flags = MSB_NET_TRUST_HOST_CAS);
	struct err err = {0};
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/ca.pem", f->path);
	assert_int_equal(setenv("SSL_CERT_FILE", path, 1), 0);
	assert_int_equal(start(f, &n, &err), -ENOENT);
	assert_non_null(strstr(err.hint, "SSL_CERT_FILE"));
	assert_int_equal(file_write_atomic(AT_FDCWD, path, "x", 1, 0600), 0);
	assert_int_equal(start(f, &n, &err), -EINVAL);
	assert_int_equal(file_write_atomic(AT_FDCWD, path, CERT("a"),
	                                   strlen(CERT("a")), 0600),
	                 0);
	assert_int_equal(start(f, &n, NULL), 0);
	assert_string_equal(f->launch.cas, CERT("a"));
	assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
}

static int collect(void *arg, int fd)
{
	int **at = arg;

	*(*at)++ = fd;
	return 0;
}

static void msb_vmm_is_told_all_of_it(void **state)
{
	struct fixture *f = *state;
	char vsock[128], pcap[96];
	const struct msb_network n =
		NET(.profile = "host", .rules = LIST("allow@a.b"),
	            .default_ingress = MSB_NET_DENY,
	            .ports = PORTS(PORT(NULL, 0, 80, 0)),
	            .nameservers = LIST("9.9.9.9"), .egress_bytes = {1000, 0},
	            .ipv4_pool = "192.168.0.4/30",
	            .proxy = "socks4://1.2.3.4:5", .socks4_user_id = "me",
	            .vsock = LIST(vsock), .pcap = pcap);
	json_t *cleanup_json o = json_object();
	int next = 20, fds[8], *at = fds;
	const json_t *net, *one;

	(void)snprintf(vsock, sizeof(vsock), "%s/s:5000/dgram", f->path);
	(void)snprintf(pcap, sizeof(pcap), "%s/p", f->path);
	assert_int_equal(start(f, &n, NULL), 0);
	assert_int_equal(net_launch_json(&f->launch, o, &next), 0);
	assert_int_equal(net_launch_each_fd(&f->launch, collect, &at), 0);
	assert_int_equal(at - fds, 3);
	assert_int_equal(next, 23);
	net = json_object_get(o, "net");
	one = json_array_get(json_object_get(net, "ports"), 0);
	assert_int_equal(json_int(one, "fd", 0), 20);
	assert_int_equal(fds[0], f->launch.ports[0].fd);
	assert_int_equal(json_int(net, "pcap_fd", 0), 21);
	assert_int_equal(fds[1], f->launch.pcap_fd);
	one = json_array_get(json_object_get(o, "vsock"), 0);
	assert_int_equal(json_int(one, "dir_fd", 0), 22);
	assert_int_equal(json_int(one, "port", 0), 5000);
	assert_string_equal(json_str(one, "name", ""), "s");
	assert_true(json_bool(one, "dgram", false));
	assert_string_equal(json_str(net, "guest4", ""), "192.168.0.6");
	assert_string_equal(json_str(net, "gateway4", ""), "192.168.0.5");
	assert_int_equal(json_int(net, "prefix4", 0), 30);
	assert_string_equal(json_str(net, "profile", ""), "host");
	assert_string_equal(json_str(net, "default_egress", ""), "unset");
	assert_string_equal(json_str(net, "default_ingress", ""), "deny");
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(net, "dns_servers"), 0)),
	                    "9.9.9.9:53");
	assert_int_equal(json_int(net, "dns_timeout_ms", 0), 5000);
	assert_true(json_bool(net, "rebind_protection", false));
	assert_int_equal(json_int(net, "max_connections", 0), 4096);
	one = json_object_get(net, "egress_bytes");
	assert_int_equal(json_integer_value(json_array_get(one, 1)), 1000);
	one = json_object_get(net, "proxy");
	assert_string_equal(json_str(one, "kind", ""), "socks4");
	assert_string_equal(json_str(one, "user", ""), "me");
	assert_string_equal(json_str(o, "cas", "?"), "");
}

static void without_an_interface_there_is_no_net(void **state)
{
	struct fixture *f = *state;
	const struct msb_network n = NET(.flags = MSB_NET_DISABLED);
	json_t *cleanup_json o = json_object();
	int next = 20;

	assert_int_equal(start(f, &n, NULL), 0);
	assert_int_equal(net_launch_json(&f->launch, o, &next), 0);
	assert_null(json_object_get(o, "net"));
	assert_int_equal(json_array_size(json_object_get(o, "vsock")), 0);
	assert_int_equal(next, 20);
}

static void ports_on_file_are_checked(void **state)
{
	static const char text[] =
		"[{\"bind\":\"1.2.3.4\",\"host\":1,\"guest\":2,\"protocol\":"
		"\"tcp\"},{\"bind\":\"1.2.3.4\",\"host\":70000,\"guest\":2,"
		"\"protocol\":\"tcp\"},{\"bind\":1},5,{\"bind\":\"x\","
		"\"host\":1,\"guest\":1,\"protocol\":\"x\"}]";
	struct fixture *f = *state;
	json_t *cleanup_json list = NULL;
	json_t *cleanup_json junk = NULL;

	assert_int_equal(file_replace(f->place.dir_fd, "ports.json", text,
	                              strlen(text), 0600),
	                 0);
	list = net_ports_read(&f->place);
	assert_int_equal(json_array_size(list), 1);
	assert_int_equal(
		file_replace(f->place.dir_fd, "ports.json", "{", 1, 0600), 0);
	junk = net_ports_read(&f->place);
	assert_int_equal(json_array_size(junk), 0);
}

#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_may_be_is_taken),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(too_many_ports_are_refused),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(the_default_takes_no_room),
		cmocka_unit_test(a_record_that_is_wrong_is_refused),
		cmocka_unit_test(a_sandbox_has_the_same_addresses_each_time),
		cmocka_unit_test(addresses_are_in_their_pools),
		cmocka_unit_test(name_servers_are_read),
		cmocka_unit_test(name_servers_are_bounded),
		cmocka_unit_test(certificates_lose_what_is_around_them),
		cmocka_unit_test(too_many_certificates_are_refused),
		IN_FOLDER(ports_are_opened_and_written_down),
		IN_FOLDER(a_port_that_is_taken_is_told),
		IN_FOLDER(a_port_can_be_had_again_at_once),
		IN_FOLDER(an_address_that_is_not_ours_is_told),
		IN_FOLDER(a_privileged_port_is_refused_with_a_hint),
		IN_FOLDER(a_capture_is_made_anew_and_follows_no_link),
		IN_FOLDER(the_password_is_of_the_environment),
		IN_FOLDER(host_certificates_are_found),
		IN_FOLDER(msb_vmm_is_told_all_of_it),
		IN_FOLDER(without_an_interface_there_is_no_net),
		IN_FOLDER(ports_on_file_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
