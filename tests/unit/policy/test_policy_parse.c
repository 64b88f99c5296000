/* The grammar of rules: what is taken, as what, and what is said otherwise. */
#include "lib/test.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "policy/policy.h"

static struct policy *policy_of(const char *profile, const char *rules)
{
	cleanup_strv struct strv list = {0};
	struct policy_spec spec = {.profile = profile, .rules = &list};
	struct policy *p = NULL;
	struct err err = {0};

	if (rules)
		assert_int_equal(strv_add(&list, rules), 0);
	if (policy_new(&spec, &p, &err) < 0)
		fail_msg("%s: %s", rules, err.msg);
	return p;
}

static void check_rule(const char *token, const char *text)
{
	cleanup_policy struct policy *p = policy_of("none", token);
	char buf[POLICY_RULE_TEXT];

	assert_int_equal(policy_rules(p), 1);
	(void)policy_rule_text(p, POLICY_EGRESS, (struct policy_answer){0, 0},
	                       buf);
	assert_string_equal(buf, text);
}

static void rules_have_one_text(void **state)
{
	static const struct {
		const char *token, *text;
	} cases[] = {
		{"allow@any",                      "allow@any"                  },
		{"deny@public",                    "deny@public"                },
		{"allow:egress@private",           "allow@private"              },
		{"allow:ingress@private",          "allow:ingress@private"      },
		{"deny:any@loopback",              "deny:any@loopback"          },
		{"allow@link-local:udp",           "allow@link-local:udp"       },
		{"deny@meta:any",                  "deny@meta"                  },
		{"deny@meta:any:any",              "deny@meta"                  },
		{"deny@multicast:udp:5353",        "deny@multicast:udp:5353"    },
		{"allow@host:tcp:8000-8100",       "allow@host:tcp:8000-8100"   },
		{"allow@host:any:80",              "allow@host:any:80"          },
		{"allow@host:tcp:1-65535",         "allow@host:tcp:1-65535"     },
		{"allow@dns",                      "allow@dns"                  },
		{"allow@1.2.3.4:icmpv4",           "allow@1.2.3.4:icmpv4"       },
		{"allow@1.2.3.4/32",               "allow@1.2.3.4"              },
		{"allow@10.0.0.0/8:tcp:443",       "allow@10.0.0.0/8:tcp:443"   },
		{"allow@[2001:DB8::1]:tcp:443",    "allow@[2001:db8::1]:tcp:443"},
		{"allow@[2001:db8::/32]",          "allow@[2001:db8::/32]"      },
		{"allow@[::ffff:10.0.0.0/104]",    "allow@10.0.0.0/8"           },
		{"allow@[::1]:icmpv6",             "allow@[::1]:icmpv6"         },
		{"ALLOW@API.Example.COM.:TCP:443",
	         "allow@api.example.com:tcp:443"                                },
		{"allow@domain=public",            "allow@domain=public"        },
		{"allow@domain=localhost",         "allow@domain=localhost"     },
		{"allow@domain=a.example.com",     "allow@a.example.com"        },
		{"allow@*.example.com",            "allow@*.example.com"        },
		{"allow@suffix=example.com",       "allow@suffix=example.com"   },
		{"allow@_dmarc.example.com",       "allow@_dmarc.example.com"   },
		{"allow@xn--bcher-kva.example",    "allow@xn--bcher-kva.example"},
		{"allow:any@example.com",          "allow@example.com"          },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_rule(cases[i].token, cases[i].text);
}

static void a_rules_text_is_a_rule_again(void **state)
{
	cleanup_policy struct policy *p = policy_of(
		"public,host", "allow@any:any:7,deny:any@[::/0]:icmpv6,"
			       "allow@domain=meta,deny@*.a.b:udp:1-2");
	char a[POLICY_RULE_TEXT], b[POLICY_RULE_TEXT];

	(void)state;
	assert_int_equal(policy_rules(p), 7);
	for (int i = 0; i < 7; i++) {
		struct policy_answer at = {0, i}, first = {0, 0};
		cleanup_policy struct policy *again = NULL;

		(void)policy_rule_text(p, POLICY_EGRESS, at, a);
		again = policy_of("none", a);
		(void)policy_rule_text(again, POLICY_EGRESS, first, b);
		assert_string_equal(a, b);
	}
}

/* @message and @hint: parts of what is said. */
static const struct {
	const char *rule, *message, *hint;
} refused[] = {
	{"",			   "empty",			 "comma"                   },
	{"allow@public,",              "empty",                         "comma"                   },
	{",allow@public",              "empty",                         "comma"                   },
	{"allow",		      "\"allow\" has no @",            "allow@"                  },
	{"alow@public",                "no action \"alow\"",            "did you mean \"allow\""  },
	{"@public",		    "no action \"\"",                "allow, deny"             },
	{"permit@public",              "no action \"permit\"",          "allow, deny"             },
	{"allow:out@public",           "no direction \"out\"",          "egress, ingress, any"    },
	{"allow:ingres@any",           "no direction",                  "did you mean \"ingress\""},
	{"allow@",		     "no target",                     "public"                  },
	{"allow@:tcp",                 "no target",                     "public"                  },
	{"allow@publc",                "no target \"publc\"",           "did you mean \"public\"" },
	{"allow@localhost",            "no target \"localhost\"",       "domain=localhost"        },
	{"allow@com",                  "no target \"com\"",             "domain=com"              },
	{"allow@*",		    "has a *",                       "any"                     },
	{"allow@*.com",                "too many",                      "*.example.com"           },
	{"allow@*.com.",               "too many",                      "at least two labels"     },
	{"allow@suffix=local",         "too many",                      "at least two labels"     },
	{"allow@suffix=",              "not a DNS name",                "letters"                 },
	{"allow@domain=",              "not a DNS name",                "letters"                 },
	{"allow@a*.example.com",       "has a *",                       "only *.example.com"      },
	{"allow@a*.b",                 "has a *",                       "only *.example.com"      },
	{"allow@*.*.example.com",      "has a *",                       "only *.example.com"      },
	{"allow@foo.*.com",            "has a *",                       "only *.example.com"      },
	{"allow@*example.com",         "has a *",                       "only *.example.com"      },
	{"allow@suffix=*.example.com", "not a DNS name",                "letters"                 },
	{"deny@host.docker.internal",  "call this host \"host\"",
         "write deny@host"									},
	{"allow@Host.Docker.Internal", "call this host",                "write allow@host"        },
	{"allow@.example.com",         "not a DNS name",                "letters"                 },
	{"allow@a..example.com",       "not a DNS name",                "letters"                 },
	{"allow@example.com..",        "not a DNS name",                "letters"                 },
	{"allow@exa$mple.com",         "not a DNS name",                "letters"                 },
	{"allow@user@example.com",     "not a DNS name",                "letters"                 },
	{"allow@b\xc3\xbc"
         "cher.example",      "character",                     "xn--"                    },
	{"allow@exa mple.com",         "character",                     "commas"                  },
	{"allow@\x01",                 "character",                     "commas"                  },
	{"allow@1.2.3",                "not an address",                "10.0.0.0/8"              },
	{"allow@010.0.0.1",            "not an address",                "10.0.0.1"                },
	{"allow@0x7f.0.0.1",           "neither an address nor a name", "decimal"                 },
	{"allow@127.1",                "not an address",                "10.0.0.1"                },
	{"allow@2130706433",           "not an address",                "10.0.0.1"                },
	{"allow@0x7f000001",           "neither",                       "decimal"                 },
	{"allow@domain=1.2.3.4",       "neither",                       "decimal"                 },
	{"allow@1.2.3.256",            "not an address",                "10.0.0.1"                },
	{"allow@example.com/24",       "not an address or network",     "10.0.0.0/8"              },
	{"allow@10.0.0.0/33",          "not an address or network",     "10.0.0.0/8"              },
	{"allow@10.1.2.3/8",           "10.1.2.3/8 has bits set",
         "the network is 10.0.0.0/8; the address alone is 10.1.2.3"                               },
	{"allow@[2001:db8::1/32]",     "has bits set",
         "the network is [2001:db8::/32]; the address alone is [2001:db8::1]"                     },
	{"allow@2001:db8::1",          "needs brackets",                "[2001:db8::1]"           },
	{"allow@::/0",                 "needs brackets",                "[::/0]"                  },
	{"allow@[2001:db8::1",         "bracket",                       "[2001:db8::1]"           },
	{"allow@[2001:db8::1]x",       "bracket",                       "[2001:db8::1]"           },
	{"allow@[fe80::1%eth0]",       "not an address",                "zone"                    },
	{"allow@[]",                   "not an address",                "2001:db8"                },
	{"allow@[example.com]",        "not an address",                "2001:db8"                },
	{"allow@public:",              "no protocol \"\"",              "any, tcp"                },
	{"allow@public:443",           "no protocol \"443\"",           "any, tcp"                },
	{"allow@public:tpc",           "no protocol",                   "did you mean \"tcp\""    },
	{"allow@public:icmp",          "no protocol",                   "icmpv4"                  },
	{"allow@public:tcp:",          "\"\" is not a port",            "1 to 65535"              },
	{"allow@public:tcp:0",         "\"0\" is not a port",           "1 to 65535"              },
	{"allow@public:tcp:65536",     "is not a port",                 "1 to 65535"              },
	{"allow@public:tcp:0-10",      "is not a port",                 "1 to 65535"              },
	{"allow@public:tcp:10-65536",  "is not a port",                 "1 to 65535"              },
	{"allow@public:tcp:20-10",     "is not a port",                 "1 to 65535"              },
	{"allow@public:tcp:-1",        "is not a port",                 "1 to 65535"              },
	{"allow@public:tcp:1-",        "is not a port",                 "1 to 65535"              },
	{"allow@public:tcp:+80",       "is not a port",                 "1 to 65535"              },
	{"allow@public:tcp:80:90",     "is not a port",                 "1 to 65535"              },
	{"allow@public:tcp:http",      "is not a port",                 "1 to 65535"              },
	{"allow@public:tcp:80,443",    "\"443\" has no @",              "allow@"                  },
	{"allow@public:icmpv4:80",     "ICMP has no ports",             "leave :80 out"           },
	{"allow:ingress@example.com",  "clients have no names",         "ingress@"                },
	{"allow:ingress@dns",          "clients have no names",         "ingress@"                },
};

static void bad_rules_are_named_with_a_next_step(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		cleanup_strv struct strv list = {0};
		struct policy_spec spec = {.rules = &list};
		struct policy *p = NULL;
		struct err err = {0};

		assert_int_equal(strv_add(&list, refused[i].rule), 0);
		if (policy_new(&spec, &p, &err) != -EINVAL)
			fail_msg("\"%s\" was taken", refused[i].rule);
		assert_null(p);
		if (!strstr(err.msg, refused[i].message) ||
		    !strstr(err.hint, refused[i].hint))
			fail_msg("\"%s\": %s; %s", refused[i].rule, err.msg,
			         err.hint);
	}
}

static void long_tokens_are_refused(void **state)
{
	char rule[5000] = "allow@";
	cleanup_strv struct strv list = {0};
	struct policy_spec spec = {.rules = &list};
	struct policy *p = NULL;
	struct err err = {0};

	(void)state;
	memset(rule + 6, 'a', sizeof(rule) - 7);
	assert_int_equal(strv_add(&list, rule), 0);
	assert_int_equal(policy_new(&spec, &p, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "too long"));
}

static void profiles_come_behind_the_rules(void **state)
{
	cleanup_policy struct policy *p =
		policy_of("host,private,public", "deny@1.2.3.4");
	static const char *const want[] = {"deny@1.2.3.4", "allow@dns",
	                                   "allow@public", "allow@private",
	                                   "allow@host"};
	char buf[POLICY_RULE_TEXT];

	(void)state;
	assert_int_equal(policy_rules(p), ARRAY_SIZE(want));
	for (int i = 0; i < (int)ARRAY_SIZE(want); i++)
		assert_string_equal(
			policy_rule_text(p, POLICY_EGRESS,
		                         (struct policy_answer){0, i}, buf),
			want[i]);
}

static void bad_profiles_are_refused(void **state)
{
	static const struct {
		const char *profile, *message, *hint;
	} cases[] = {
		{"",           "no network profile \"\"",       "public, private, host"},
		{"publik",     "no network profile \"publik\"", "\"public\""           },
		{"public,",    "no network profile \"\"",       "public"               },
		{"all,public", "stand alone",                   "put together"         },
		{"none,host",  "stand alone",                   "put together"         },
		{"none,all",   "stand alone",                   "put together"         },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct policy_spec spec = {.profile = cases[i].profile};
		struct policy *p = NULL;
		struct err err = {0};

		assert_int_equal(policy_new(&spec, &p, &err), -EINVAL);
		if (!strstr(err.msg, cases[i].message) ||
		    !strstr(err.hint, cases[i].hint))
			fail_msg("%s: %s; %s", cases[i].profile, err.msg,
			         err.hint);
	}
}

static void white_space_around_tokens_is_nothing(void **state)
{
	cleanup_policy struct policy *p =
		policy_of(" public , host ", " allow@1.2.3.4 ,\tdeny@meta\n");

	(void)state;
	assert_int_equal(policy_rules(p), 5);
}

static void ten_thousand_rules_are_the_limit(void **state)
{
	cleanup_strv struct strv list = {0};
	struct policy_spec spec = {.profile = "none", .rules = &list};
	cleanup_policy struct policy *p = NULL;
	struct policy *more = NULL;
	struct err err = {0};

	(void)state;
	for (int i = 0; i < POLICY_RULES_MAX; i++)
		assert_int_equal(strv_addf(&list, "allow@h%d.example.com", i),
		                 0);
	assert_int_equal(policy_new(&spec, &p, &err), 0);
	assert_int_equal(policy_rules(p), POLICY_RULES_MAX);
	assert_int_equal(strv_add(&list, "allow@a.b"), 0);
	assert_int_equal(policy_new(&spec, &more, &err), -E2BIG);
	assert_non_null(strstr(err.msg, "10000"));
}

static void names_have_one_form(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"Example.COM",  "example.com"},
		{"example.com.", "example.com"},
		{"a",            "a"          },
		{"_x._tcp.a",    "_x._tcp.a"  },
		{"",             NULL         },
		{".",            NULL         },
		{"..",           NULL         },
		{".a",           NULL         },
		{"a..b",         NULL         },
		{"a b",          NULL         },
		{"a\tb",         NULL         },
		{"a*b",          NULL         },
		{"b\xc3\xbc",    NULL         },
		{"a:1",          NULL         },
		{"a\\.b",        NULL         },
	};
	char buf[POLICY_NAME_MAX + 1], big[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int code = policy_name(cases[i].in, buf);

		assert_int_equal(code, cases[i].out ? 0 : -EINVAL);
		if (cases[i].out)
			assert_string_equal(buf, cases[i].out);
	}
	memset(big, 'a', sizeof(big));
	for (size_t i = 63; i < sizeof(big); i += 64)
		big[i] = '.';
	big[253] = '\0'; /* 63.63.63.61 */
	assert_int_equal(policy_name(big, buf), 0);
	assert_int_equal(strlen(buf), 253);
	big[253] = 'a';
	big[254] = '\0';
	assert_int_equal(policy_name(big, buf), -EINVAL);
	memset(big, 'a', 64);
	big[64] = '\0';
	assert_int_equal(policy_name(big, buf), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_have_one_text),
		cmocka_unit_test(a_rules_text_is_a_rule_again),
		cmocka_unit_test(bad_rules_are_named_with_a_next_step),
		cmocka_unit_test(long_tokens_are_refused),
		cmocka_unit_test(profiles_come_behind_the_rules),
		cmocka_unit_test(bad_profiles_are_refused),
		cmocka_unit_test(white_space_around_tokens_is_nothing),
		cmocka_unit_test(ten_thousand_rules_are_the_limit),
		cmocka_unit_test(names_have_one_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
