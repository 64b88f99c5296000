#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/config.h"

static int setup(void **state)
{
	(void)state;
	return dup2(memfd_create("test", 0), 50) == 50 &&
	                       dup2(socket(AF_INET, SOCK_STREAM, 0), 60) ==
	                               60 &&
	                       dup2(open("/tmp", O_PATH), 70) == 70
	               ? 0
	               : -1;
}

#define MACHINE                                                                \
	"{\"version\": 1, \"name\": \"m\", \"engine\": \"auto\", \"accel\": "  \
	"\"tcg\", \"qemu\": \"/usr/bin/qemu\", \"cpus\": 1, \"memory_mib\": "  \
	"512, \"kernel_fd\": 50, \"initramfs_fd\": 50, \"cmdline\": \"\", "    \
	"\"hostname\": \"m\", \"boot_timeout_ms\": 1000, \"disks\": "          \
	"[{\"serial\": \"root\", \"read_only\": true, \"extents\": [{\"fd\": " \
	"50, \"offset\": 0, \"len\": 4096}]}], "

#define NET                                                                    \
	"\"net\": {\"guest_mac\": \"02:00:00:00:ab:02\", \"gateway_mac\": "    \
	"\"02:00:00:00:ab:01\", \"mtu\": 1500, \"guest4\": \"172.16.0.2\", "   \
	"\"prefix4\": 30, \"gateway4\": \"172.16.0.1\", \"guest6\": "          \
	"\"fd42::2\", \"prefix6\": 64, \"gateway6\": \"fd42::1\", "            \
	"\"profile\": null, \"rules\": [\"allow@10.0.0.0/8:tcp:80\"], "        \
	"\"default_egress\": \"unset\", \"default_ingress\": \"deny\", "       \
	"\"strict\": true, \"dns_servers\": [\"1.1.1.1\", \"[::1]:5353\"], "   \
	"\"dns_timeout_ms\": 5000, \"rebind_protection\": true, \"ports\": "   \
	"[{\"fd\": 60, \"guest\": 80, \"udp\": false}], "                      \
	"\"max_connections\": 100, \"egress_bytes\": [1000, 2000], "           \
	"\"egress_packets\": [0, 0], \"ingress_bytes\": [0, 0], "              \
	"\"ingress_packets\": [7, 8], \"proxy\": {\"kind\": \"socks5\", "      \
	"\"address\": \"127.0.0.1\", \"port\": 1080, \"user\": \"u\", "        \
	"\"password\": \"p\"}, \"pcap_fd\": -1, \"log_denied\": true, "        \
	"\"tls_fd\": 60}, "                                                    \
	"\"cas\": \"PEM\", \"vsock\": [{\"port\": 5000, \"dir_fd\": 70, "      \
	"\"name\": \"s.sock\", \"dgram\": false}]}"

static int parse(struct vmm_config *c, const char *text, struct err *err)
{
	return config_parse(c, text, strlen(text), err);
}

static void a_network_is_taken_as_it_is(void **state)
{
	struct vmm_config cleanup_config c;
	struct err err = {0};
	const struct net_config *n;
	char text[ADDR_TEXT_MAX];

	(void)state;
	if (parse(&c, MACHINE NET, &err) < 0)
		fail_msg("%s", err.msg);
	n = &c.net.cfg;
	assert_true(c.net.on);
	assert_int_equal(n->guest_mac[4], 0xab);
	assert_int_equal(n->gateway_mac[5], 1);
	assert_string_equal(addr_text(&n->guest4, text), "172.16.0.2");
	assert_string_equal(addr_text(&n->gateway6, text), "fd42::1");
	assert_int_equal(c.net.prefix4, 30);
	assert_int_equal(n->nservers, 2);
	assert_int_equal(n->servers[0].port, 53);
	assert_int_equal(n->servers[1].port, 5353);
	assert_int_equal(n->nports, 1);
	assert_int_equal(n->ports[0].fd, 60);
	assert_int_equal(fcntl(60, F_GETFD), FD_CLOEXEC);
	assert_int_equal(n->ports[0].guest, 80);
	assert_int_equal(n->connections_max, 100);
	assert_int_equal(n->egress_bytes.burst, 2000);
	assert_int_equal(n->ingress_packets.per_s, 7);
	assert_int_equal(n->proxy.kind, NET_SOCKS5);
	assert_int_equal(n->proxy.port, 1080);
	assert_string_equal(n->proxy.password, "p");
	assert_int_equal(n->pcap_fd, -1);
	assert_true(n->log_denied && n->rebind_protection);
	assert_int_equal(n->tls_fd, 60);
	assert_ptr_equal(n->policy, c.net.policy);
	assert_true(policy_rules(n->policy) > 0);
	assert_string_equal(c.cas, "PEM");
	assert_int_equal(c.vsock.n, 1);
	assert_string_equal(c.vsock.v[0].name, "s.sock");
}

static void without_the_key_there_is_none(void **state)
{
	struct vmm_config cleanup_config c;

	(void)state;
	assert_int_equal(parse(&c, MACHINE "\"mounts\": []}", NULL), 0);
	assert_false(c.net.on);
	assert_null(c.cas);
	assert_int_equal(c.net.cfg.nports, 0);
}

/* What replaces what, and a word that the error must have. */
static const struct {
	const char *from, *to, *says;
} bad[] = {
	{"02:00:00:00:ab:02",        "02:00:00:00:ab",             "guest_mac"     },
	{"02:00:00:00:ab:02",        "03:00:00:00:ab:02",          "group"         },
	{"02:00:00:00:ab:02",        "02-00:00:00:ab:02",          "guest_mac"     },
	{"\"mtu\": 1500",            "\"mtu\": 1279",              "1280"          },
	{"\"mtu\": 1500",            "\"mtu\": 65521",             "65520"         },
	{"\"172.16.0.2\"",           "\"fd42::5\"",                "guest4"        },
	{"\"fd42::2\"",              "\"10.0.0.1\"",               "guest6"        },
	{"\"172.16.0.1\"",           "7",                          "gateway4"      },
	{"\"prefix4\": 30",          "\"prefix4\": 31",            "prefix4"       },
	{"allow@10.0.0.0/8:tcp:80",  "allow@10.0.0.1/8",           "10.0.0.1/8"    },
	{"allow@10.0.0.0/8:tcp:80",  "allow@*.com",                "*.com"         },
	{"\"profile\": null",        "\"profile\": \"some\"",      "some"          },
	{"\"profile\": null",        "\"profile\": \"\"",          "profile"       },
	{"\"unset\"",                "\"perhaps\"",                "default_egress"},
	{"\"1.1.1.1\", ",            "\"dns.example\", ",          "dns_servers"   },
	{"\"guest\": 80",            "\"guest\": 0",               "guest"         },
	{"\"guest\": 80",            "\"guest\": 65536",           "guest"         },
	{"\"fd\": 60",               "\"fd\": 50",                 "not a socket"  },
	{"\"fd\": 60",               "\"fd\": 61",                 "not open"      },
	{"\"max_connections\": 100", "\"max_connections\": 10001", "10000"         },
	{"[1000, 2000]",             "[1000]",                     "egress_bytes"  },
	{"[1000, 2000]",             "[-1, 2000]",                 "egress_bytes"  },
	{"\"socks5\"",               "\"socks6\"",                 "kind"          },
	{"\"port\": 1080",           "\"port\": 0",                "port"          },
	{"\"user\": \"u\"",          "\"user\": 1",                "user"          },
	{"\"pcap_fd\": -1",          "\"pcap_fd\": 60",            "not a file"    },
	{"\"log_denied\": true",     "\"log_denied\": 1",          "log_denied"    },
	{"\"log_denied\": true",     "\"log\": true",              "unknown key"   },
	{"\"tls_fd\": 60",           "\"tls_fd\": 50",             "not a socket"  },
	{"\"tls_fd\": 60",           "\"tls_fd\": 0",              "tls_fd"        },
	{"\"strict\": true, ",       "",                           "is missing"    },
	{"\"dir_fd\": 70",           "\"dir_fd\": 50",             "not a folder"  },
	{"s.sock",		   "../s",                       "/"             },
	{"\"port\": 5000",           "\"port\": 4294967295",       "port"          },
	{"\"cas\": \"PEM\"",         "\"cas\": null",              "cas"           },
};

static void everything_else_is_refused_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		static char text[8192];
		const char *good = MACHINE NET, *at = strstr(good, bad[i].from);
		struct vmm_config cleanup_config c;
		struct err err = {0};

		assert_non_null(at);
		(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good),
		               good, bad[i].to, at + strlen(bad[i].from));
		if (parse(&c, text, &err) == 0)
			fail_msg("accepted: %s", bad[i].to);
		if (!strstr(err.msg, bad[i].says))
			fail_msg("%s: %s", bad[i].to, err.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_network_is_taken_as_it_is),
		cmocka_unit_test(without_the_key_there_is_none),
		cmocka_unit_test(everything_else_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
