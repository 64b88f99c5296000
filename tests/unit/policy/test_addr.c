/* Addresses: text, what is embedded in them, kinds, networks. */
#include "lib/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "policy/addr.h"

static struct addr addr_of(const char *text)
{
	struct addr a;

	if (addr_parse(text, &a) < 0)
		fail_msg("%s does not parse", text);
	return a;
}

static void check_text(const char *in, const char *out)
{
	struct addr a = addr_of(in);
	char buf[ADDR_TEXT_MAX];

	assert_string_equal(addr_text(&a, buf), out);
}

static void addresses_have_one_text(void **state)
{
	(void)state;
	check_text("1.2.3.4", "1.2.3.4");
	check_text("::ffff:1.2.3.4", "1.2.3.4");
	check_text("::FFFF:102:304", "1.2.3.4");
	check_text("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1");
	check_text("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
	check_text("::", "::");
	check_text("::1", "::1");
	check_text("fe80:0:0:0:0:0:0:1", "fe80::1");
}

static void other_spellings_are_no_addresses(void **state)
{
	static const char *const bad[] = {
		"",
		"1.2.3",
		"1.2.3.4.5",
		"01.2.3.4",
		"1.2.3.04",
		"0x7f.0.0.1",
		"2130706433",
		"0177.0.0.1",
		"1.2.3.4 ",
		" 1.2.3.4",
		"1.2.3.256",
		"1.2.3.-4",
		"::1%lo",
		"fe80::1%1",
		":::",
		"1::2::3",
		"12345::",
		"[::1]",
		"::1.2.3",
		"::01.2.3.4",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"::g",
		"1.2.3.4:80",
		"１.2.3.4",
	};
	struct addr a = addr_v4(7);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (addr_parse(bad[i], &a) != -EINVAL)
			fail_msg("\"%s\" parsed", bad[i]);
	assert_int_equal(addr_to_v4(&a), 7); /* nothing written */
}

static void embedded_addresses_are_found(void **state)
{
	static const struct {
		const char *outer, *inner;
	} cases[] = {
		{"::ffff:10.0.0.1",      "10.0.0.1"          },
		{"::10.0.0.1",           "10.0.0.1"          },
		{"::2",                  "0.0.0.2"           },
		{"64:ff9b::a00:1",       "10.0.0.1"          },
		{"64:ff9b::7f00:1",      "127.0.0.1"         },
		{"64:ff9b:1::a9fe:a9fe", "169.254.169.254"   },
		{"64:ff9b:1:1::a00:1",   "64:ff9b:1:1::a00:1"},
		{"64:ff9b:0:1::a00:1",   "64:ff9b:0:1::a00:1"},
		{"2002:7f00:1::1",       "127.0.0.1"         },
		{"2002:a00:1:ffff::9",   "10.0.0.1"          },
		{"::ffff:0:192.168.1.1", "192.168.1.1"       },
		{"::ffff:1:192.168.1.1", "::ffff:1:c0a8:101" },
		{"::",                   "::"                },
		{"::1",                  "::1"               },
		{"2001:4860::8888",      "2001:4860::8888"   },
	};
	char got[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct addr a = addr_of(cases[i].outer);
		struct addr inner = addr_embedded(&a);

		assert_string_equal(addr_text(&inner, got), cases[i].inner);
	}
}

static void every_reading_of_a_local_translator_is_a_form(void **state)
{
	/* 10.0.0.1 behind prefixes of 48, 56, 64, 96 bits: RFC 6052 2.2. */
	static const char *const outer[] = {
		"64:ff9b:1:a00:0:100::",
		"64:ff9b:1:ff0a:0:1::",
		"64:ff9b:1:ffff:a:0:100:0",
		"64:ff9b:1:ffff:ffff:ffff:a00:1",
	};
	struct addr forms[ADDR_FORMS_MAX], want = addr_of("10.0.0.1");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(outer); i++) {
		struct addr a = addr_of(outer[i]);
		unsigned n = addr_forms(&a, forms), found = 0;

		assert_int_equal(n, 5);
		for (unsigned k = 0; k < n; k++)
			found += addr_eq(&forms[k], &want);
		if (found == 0)
			fail_msg("%s is not read as 10.0.0.1", outer[i]);
		assert_int_not_equal(addr_kind(&a), ADDR_PUBLIC);
	}
}

static const struct {
	const char *text;
	enum addr_kind kind;
} kind_cases[] = {
	{"8.8.8.8",                ADDR_PUBLIC    },
	{"172.15.255.255",         ADDR_PUBLIC    },
	{"172.32.0.0",             ADDR_PUBLIC    },
	{"100.63.255.255",         ADDR_PUBLIC    },
	{"100.128.0.0",            ADDR_PUBLIC    },
	{"223.255.255.255",        ADDR_PUBLIC    },
	{"192.0.1.0",              ADDR_PUBLIC    },
	{"198.20.0.0",             ADDR_PUBLIC    },
	{"2606:4700::1111",        ADDR_PUBLIC    },
	{"3ffe::1",                ADDR_PUBLIC    },
	{"64:ff9b::808:808",       ADDR_PUBLIC    },
	{"2002:808:808::1",        ADDR_PUBLIC    },
	{"169.254.169.254",        ADDR_META      },
	{"::ffff:169.254.169.254", ADDR_META      },
	{"64:ff9b::a9fe:a9fe",     ADDR_META      },
	{"2002:a9fe:a9fe::",       ADDR_META      },
	{"fd00:ec2::254",          ADDR_META      },
	{"fd00:ec2::23",           ADDR_META      },
	{"fd20:ce::254",           ADDR_META      },
	{"fd00:c1::a9fe:a9fe",     ADDR_META      },
	{"fe80::a9fe:a9fe",        ADDR_META      },
	{"fd00:42::42",            ADDR_META      },
	{"fd00:a9fe:a9fe::1",      ADDR_META      },
	{"fd00:100::100:200",      ADDR_META      },
	{"100.100.100.200",        ADDR_META      },
	{"168.63.129.16",          ADDR_META      },
	{"169.254.170.2",          ADDR_META      },
	{"192.0.0.192",            ADDR_META      },
	{"127.0.0.1",              ADDR_LOOPBACK  },
	{"127.255.255.255",        ADDR_LOOPBACK  },
	{"::1",		    ADDR_LOOPBACK  },
	{"::127.0.0.1",            ADDR_LOOPBACK  },
	{"64:ff9b::7f00:1",        ADDR_LOOPBACK  },
	{"10.0.0.0",               ADDR_PRIVATE   },
	{"10.255.255.255",         ADDR_PRIVATE   },
	{"172.16.0.0",             ADDR_PRIVATE   },
	{"172.31.255.255",         ADDR_PRIVATE   },
	{"192.168.0.0",            ADDR_PRIVATE   },
	{"100.64.0.0",             ADDR_PRIVATE   },
	{"100.127.255.255",        ADDR_PRIVATE   },
	{"fc00::1",                ADDR_PRIVATE   },
	{"fdff::1",                ADDR_PRIVATE   },
	{"169.254.0.1",            ADDR_LINK_LOCAL},
	{"fe80::1",                ADDR_LINK_LOCAL},
	{"febf::1",                ADDR_LINK_LOCAL},
	{"224.0.0.1",              ADDR_MULTICAST },
	{"239.255.255.255",        ADDR_MULTICAST },
	{"255.255.255.255",        ADDR_MULTICAST },
	{"ff02::1",                ADDR_MULTICAST },
	{"0.0.0.0",                ADDR_RESERVED  },
	{"0.1.2.3",                ADDR_RESERVED  },
	{"::",		     ADDR_RESERVED  },
	{"240.0.0.1",              ADDR_RESERVED  },
	{"255.255.255.254",        ADDR_RESERVED  },
	{"192.0.2.1",              ADDR_RESERVED  },
	{"198.18.0.1",             ADDR_RESERVED  },
	{"198.51.100.1",           ADDR_RESERVED  },
	{"203.0.113.1",            ADDR_RESERVED  },
	{"fec0::1",                ADDR_RESERVED  },
	{"2001:db8::1",            ADDR_RESERVED  },
	{"2001::1",                ADDR_RESERVED  },
	{"3fff:0fff::1",           ADDR_RESERVED  },
	{"200::1",                 ADDR_RESERVED  },
	{"4000::1",                ADDR_RESERVED  },
	{"64:ff9b:1:2::808:808",   ADDR_RESERVED  },
};

static void kinds_are_as_listed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kind_cases); i++) {
		struct addr a = addr_of(kind_cases[i].text);

		if (addr_kind(&a) != kind_cases[i].kind)
			fail_msg("%s is %s", kind_cases[i].text,
			         addr_kind_name(addr_kind(&a)));
	}
}

static void check_cidr(const char *net, const char *in, const char *out)
{
	struct addr a = addr_of(in), b = addr_of(out);
	struct cidr c;

	assert_int_equal(cidr_parse(net, &c), 0);
	if (!cidr_has(&c, &a) || cidr_has(&c, &b))
		fail_msg("%s: %s, %s", net, in, out);
}

static void networks_end_where_their_prefix_ends(void **state)
{
	(void)state;
	check_cidr("10.0.0.0/8", "10.255.255.255", "11.0.0.0");
	check_cidr("10.0.0.0/9", "10.127.255.255", "10.128.0.0");
	check_cidr("1.2.3.4", "1.2.3.4", "1.2.3.5");
	check_cidr("1.2.3.4/32", "1.2.3.4", "1.2.3.5");
	check_cidr("1.2.3.4/31", "1.2.3.5", "1.2.3.6");
	check_cidr("0.0.0.0/0", "255.255.255.255", "::1");
	check_cidr("::/0", "ffff::1", "1.2.3.4");
	check_cidr("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1");
	check_cidr("::1/128", "::1", "::2");
	check_cidr("::ffff:10.0.0.0/104", "10.1.1.1", "11.0.0.0");
}

static void bad_networks_are_refused(void **state)
{
	static const char *const bad[] = {
		"10.0.0.0/33",
		"10.0.0.0/",
		"10.0.0.0/-1",
		"10.0.0.0/8/8",
		"/8",
		"10.0.0/8",
		"::/129",
		"::/+1",
		"10.0.0.0/ 8",
		"x/8",
		"",
		"1:2:3:4:5:6:7:8:1:2:3:4:5:6:7:8:1:2:3:4:5:6:7:8:1:2:3:4:5/1",
	};
	struct cidr c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (cidr_parse(bad[i], &c) != -EINVAL)
			fail_msg("\"%s\" parsed", bad[i]);
	assert_int_equal(cidr_parse("10.0.0.1/8", &c), -ERANGE);
	assert_int_equal(cidr_parse("2001:db8::1/64", &c), -ERANGE);
	assert_int_equal(cidr_parse("128.0.0.0/0", &c), -ERANGE);
}

static void host_bits_can_be_cleared(void **state)
{
	char buf[CIDR_TEXT_MAX];
	struct cidr c;

	(void)state;
	assert_int_equal(cidr_parse_masked("10.1.2.3/12", &c), 0);
	assert_string_equal(cidr_text(&c, buf), "10.0.0.0/12");
	assert_int_equal(cidr_parse_masked("2001:db8::ffff/112", &c), 0);
	assert_string_equal(cidr_text(&c, buf), "2001:db8::/112");
}

static void sockets_get_both_families(void **state)
{
	struct addr a4 = addr_of("1.2.3.4"), a6 = addr_of("2001:db8::7"), b;
	struct sockaddr_storage ss;
	uint16_t port = 0;

	(void)state;
	assert_int_equal(addr_to_sockaddr(&a4, 80, &ss),
	                 sizeof(struct sockaddr_in));
	assert_int_equal(ss.ss_family, AF_INET);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, &b, &port),
	                 0);
	assert_true(addr_eq(&a4, &b) && port == 80);
	assert_int_equal(addr_to_sockaddr(&a6, 443, &ss),
	                 sizeof(struct sockaddr_in6));
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, &b, &port),
	                 0);
	assert_true(addr_eq(&a6, &b) && port == 443);
	ss.ss_family = AF_UNIX;
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, &b, &port),
	                 -EAFNOSUPPORT);
}

static void addresses_with_ports_parse(void **state)
{
	static const char *const bad[] = {
		"",        "1.2.3.4:", "1.2.3.4:65536", "[::1",
		"[::1]80", "[::1]:",   "::1:",          "[1.2.3.4]:80",
		"[]:80",   ":80",      "name:1",        "1.2.3.4:8 0",
	};
	struct addr a;
	uint16_t port = 7;

	(void)state;
	assert_int_equal(addr_parse_port("1.2.3.4:80", &a, &port), 0);
	assert_true(addr_to_v4(&a) == 0x01020304 && port == 80);
	assert_int_equal(addr_parse_port("1.2.3.4", &a, &port), 0);
	assert_int_equal(port, 0);
	assert_int_equal(addr_parse_port("[2001:db8::1]:53", &a, &port), 0);
	assert_int_equal(port, 53);
	assert_int_equal(addr_parse_port("[::1]", &a, &port), 0);
	assert_int_equal(port, 0);
	assert_int_equal(addr_parse_port("2001:db8::1", &a, &port), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (addr_parse_port(bad[i], &a, &port) != -EINVAL)
			fail_msg("\"%s\" parsed", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_have_one_text),
		cmocka_unit_test(other_spellings_are_no_addresses),
		cmocka_unit_test(embedded_addresses_are_found),
		cmocka_unit_test(every_reading_of_a_local_translator_is_a_form),
		cmocka_unit_test(kinds_are_as_listed),
		cmocka_unit_test(networks_end_where_their_prefix_ends),
		cmocka_unit_test(bad_networks_are_refused),
		cmocka_unit_test(host_bits_can_be_cleared),
		cmocka_unit_test(sockets_get_both_families),
		cmocka_unit_test(addresses_with_ports_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
