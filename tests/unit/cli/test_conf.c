#include "lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/num.h"
#include "forms/conf.h"
#include "microsandbox.h"

static struct conf conf;
static struct err err;

static int parse_as(const char *option, const char *text)
{
	err = (struct err){0};
	return conf_parse(&conf, option, "dir/f.yaml", text, strlen(text),
	                  &err);
}

static int teardown(void **state)
{
	(void)state;
	conf_release(&conf);
	return 0;
}

static void accepts(const char *text)
{
	if (parse_as("conf", text) < 0)
		fail_msg("%s: %s", text, err.msg);
}

static void refuses_as(const char *option, const char *text,
                       const char *message)
{
	assert_true(parse_as(option, text) < 0);
	if (!strstr(err.msg, message))
		fail_msg("%s: '%s' is not in: %s", text, message, err.msg);
	conf_release(&conf);
}

static void every_key_of_today_is_taken(void **state)
{
	(void)state;
	assert_int_equal(setenv("MSB_TEST_WORD", "w", 1), 0);
	accepts("image: alpine\n"
	        "pull_policy: never\n"
	        "cpus: 3\n"
	        "memory: 1.5G\n"
	        "max_duration: 2m\n"
	        "idle_timeout: 90\n"
	        "rlimits:\n"
	        "  - {resource: nofile, soft: 10, hard: 20}\n"
	        "  - {resource: nproc, soft: unlimited}\n"
	        "workdir: /srv/${MSB_TEST_WORD}\n"
	        "shell: /bin/bash\n"
	        "user: 1000\n"
	        "hostname: box\n"
	        "entrypoint: [/bin/sh, -c]\n"
	        "cmd: ['echo $$', '$${HOME}', \"a${MSB_TEST_WORD}b\"]\n"
	        "env: {A: 1, B: 'yes', C: 1.10}\n"
	        "labels: {team: x}\n"
	        "init: {cmd: auto, args: [a], env: {K: v}}\n"
	        "scripts:\n"
	        "  hi: |\n"
	        "    echo hi\n"
	        "network: none\n"
	        "security: default\n"
	        "mounts: []\n"
	        "secrets: {}\n");
	assert_string_equal(conf.image, "alpine");
	assert_int_equal(conf.pull, MSB_PULL_NEVER + 1);
	assert_int_equal(conf.cpus, 3);
	assert_int_equal(conf.memory, 1536 * MIB);
	assert_int_equal(conf.max_duration_ms, 120000);
	assert_int_equal(conf.idle_timeout_ms, 90000);
	assert_string_equal(conf.rlimits.v[0], "nofile=10:20");
	assert_string_equal(conf.rlimits.v[1], "nproc=unlimited");
	assert_string_equal(conf.workdir, "/srv/w");
	assert_string_equal(conf.shell, "/bin/bash");
	assert_string_equal(conf.user, "1000");
	assert_string_equal(conf.hostname, "box");
	assert_string_equal(conf.entrypoint.v[1], "-c");
	assert_string_equal(conf.cmd.v[0], "echo $$");
	assert_string_equal(conf.cmd.v[1], "${HOME}");
	assert_string_equal(conf.cmd.v[2], "awb");
	assert_string_equal(conf.env.v[0], "A=1");
	assert_string_equal(conf.env.v[1], "B=yes");
	assert_string_equal(conf.env.v[2], "C=1.10");
	assert_string_equal(conf.labels.v[0], "team=x");
	assert_string_equal(conf.init, "auto");
	assert_string_equal(conf.init_args.v[0], "a");
	assert_string_equal(conf.init_env.v[0], "K=v");
	assert_string_equal(conf.scripts.v[0], "hi=echo hi\n");
}

static void later_files_go_over_earlier_ones(void **state)
{
	(void)state;
	accepts("{image: a, cpus: 1, memory: 1G, env: {A: 1, B: 2}, "
	        "cmd: [x, y], init: {cmd: i, args: [p]}, labels: {l: 1}}");
	accepts("{cpus: 2, env: {B: 3, C: 4}, cmd: [z], "
	        "init: {env: {K: v}}, rlimits: []}");
	assert_string_equal(conf.image, "a");
	assert_int_equal(conf.cpus, 2);
	assert_int_equal(conf.memory, GIB);
	assert_int_equal(conf.env.n, 3);
	assert_string_equal(conf.env.v[1], "B=3");
	assert_int_equal(conf.cmd.n, 1);
	assert_string_equal(conf.cmd.v[0], "z");
	assert_string_equal(conf.init, "i");
	assert_string_equal(conf.init_args.v[0], "p");
	assert_int_equal(conf.init_env.n, 1);
	accepts("cmd: []");
	assert_int_equal(conf.cmd.n, 0);
	assert_true(conf.has_cmd);
}

static void wrong_values_name_their_place(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"image: a\nworkdirr: /\n",                                 "dir/f.yaml:2:1: unknown key"      },
		{"[a]",						     "1:1: the value is not a map"      },
		{"cpus: many",					      "1:7: cpus is not a number from 1" },
		{"cpus: 0",						 "cpus is not a number"             },
		{"cpus: 65",						"cpus is not a number"             },
		{"cpus: [1]",					       "cpus is a list, not a text"       },
		{"memory: lots",					    "1:9: memory is not a size"        },
		{"memory: 0",					       "memory is not a size"             },
		{"max_duration: long",                                      "max_duration is not a duration"   },
		{"pull_policy: often",                                      "pull_policy is not missing"       },
		{"workdir:",						"workdir has no value"             },
		{"workdir: ''",					     "workdir is empty"                 },
		{"workdir: {a: b}",					 "workdir is a map, not a text"     },
		{"shell: true",					     "shell is a boolean, not a text"   },
		{"entrypoint: /bin/sh",                                     "1:13: entrypoint is not a list"   },
		{"cmd: [a, [b]]",					   "1:10: the value is a list"        },
		{"env: [A=1]",					      "1:6: env is not a map"            },
		{"env: {A: }",					      "A has no value"                   },
		{"env: {A: no}",					    "1:10: unquoted no"                },
		{"env: {'A=B': 1}",					 "1:7: 'A=B' has a ="               },
		{"rlimits: [nofile=1]",                                     "the value is not a map"           },
		{"rlimits: [{resource: nofile}]",                           "needs resource and soft"          },
		{"rlimits: [{resource: a, max: 1}]",                        "unknown key max"                  },
		{"init: auto",					      "1:7: init is not a map"           },
		{"init: {cmd: a, arg: b}",                                  "1:16: unknown key arg"            },
		{"scripts: {../a: x}",                                      "1:11: '../a' cannot be a script's"},
		{"scripts: {a: {path: x}}",                                 "a is a map, not a text"           },
		{"image: {oci: a, bind: ./b}",                              "image needs one of oci, bind"     },
		{"image: {upper_size: 1G}",                                 "image needs one of oci, bind"     },
		{"image: {bind: b}",					"b is not a path"                  },
		{"image: {disk: ./a.raw, oci: a}",
	         "image needs one of oci, bind"								},
		{"image: {oci: a, fstype: ext4}",                           "fstype is a disk's"               },
		{"workdir: ${MSB_TEST_UNSET}",
	         "1:10: variable MSB_TEST_UNSET is"							    },
		{"workdir: ${A:-b}",					"only ${NAME} stands for"          },
		{"workdir: \"${}\"",					"only ${NAME} stands for"          },
		{"workdir: \"${HOME\"",                                     "only ${NAME} stands for"          },
		{"mounts: ['/a']",					  "1:10: '/a' is not SOURCE:TARGET"  },
		{"patches: [{mkdir: {path: a}}]",                           "a is not an absolute path"        },
		{"network: pubic",					  "1:10: network: 'pubic' is no"     },
		{"network: {policy: 'host,'}",                              "policy: 'host,' is no policy"     },
		{"network: []",					     "1:10: network is not a map"       },
		{"network: {tls: {enabled: 1}}",                            "is neither true nor false"        },
		{"network: {tls: {block: true}}",                           "unknown key block"                },
		{"network: {tls: {on_secret_violation: no}}",               "unquoted no"                      },
		{"network: {tls: {on_secret_violation: x}}",
	         "is one of block, block-and-log"							      },
		{"network: {tls: {upstream_ca_certs_for: []}}",             "is not a map"                     },
		{"network: {allow: [allow@x.org]}",                         "'allow@x.org' is none"            },
		{"network: {allow: ['']}",                                  "allow has targets: '' is none"    },
		{"network: {default_egress: maybe}",
	         "is neither allow nor deny"								   },
		{"network: {mtu: many}",                                    "mtu is not a number"              },
		{"network: {strict: 1}",                                    "is neither true nor false"        },
		{"network: {ports: [80]}",                                  "1:19: '80' is not [BIND:]HOST"    },
		{"network: {limits: {up: 1}}",                              "unknown key up"                   },
		{"ports: ['::1:80:80']",                                    "1:9: '::1:80:80' is not"          },
		{"secrets: [A]",					    "1:10: secrets is not a map"       },
		{"secrets: {A: b}",					 "1:14: A is not a map"             },
		{"secrets: {A: {allow: [b], x: c}}",                        "1:27: unknown key x"              },
		{"secrets: {A: {}}",					"1:11: secret A has no host"       },
		{"secrets: {A: {allow: []}}",                               "1:11: secret A has no host"       },
		{"secrets: {A: {allow: [b], value: c}}",
	         "1:34: a secret's value cannot stand in a file"                                               },
		{"secrets: {A: {allow: [b], value: \"x${B}\"}}",
	         "a secret's value cannot stand in a file"                                                     },
		{"secrets: {A: {allow: [b], value: [c]}}",
	         "a secret's value cannot stand in a file"                                                     },
		{"secrets: {A: {allow: [b], inject: [x]}}",
	         "inject is one of headers"								    },
		{"secrets: {A: {allow: [b], mask: 1}}",
	         "is neither true nor false"								   },
		{"secrets: {A: {allow: [b], require_tls_identity: false}}",
	         "is always true here"									 },
		{"secrets: {A: {allow: [b], on_violation: x}}",
	         "on_violation is one of block"								},
		{"registry: {username: a}",                                 "registry cannot be set yet"       },
		{"security: restricted",                                    "security cannot be set yet"       },
		{"sandboxes: {a: {}}",                                      "unknown key sandboxes"            },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		refuses_as("conf", rows[i].text, rows[i].message);
}

static void host_paths_start_at_the_file(void **state)
{
	static const struct {
		const char *path, *text, *image;
	} rows[] = {
		{"dir/f.yaml",  "image: ./root",         "./dir/./root" },
		{"dir/f.yaml",  "image: ../root",        "./dir/../root"},
		{"/d/f.yaml",   "image: {bind: ./root}", "/d/./root"    },
		{"./d/f.yaml",  "image: .",              "./d/."        },
		{"../d/f.yaml", "image: ./a.tar",        "../d/./a.tar" },
		{"f.yaml",      "image: ./root",         "./root"       },
		{"dir/f.yaml",  "image: /root",          "/root"        },
		{"dir/f.yaml",  "image: alpine",         "alpine"       },
		{"dir/f.yaml",  "image: {oci: a/b}",     "a/b"          },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(conf_parse(&conf, "conf", rows[i].path,
		                            rows[i].text, strlen(rows[i].text),
		                            &err),
		                 0);
		assert_string_equal(conf.image, rows[i].image);
		conf_release(&conf);
	}
}

static void scoped_files_have_their_keys_only(void **state)
{
	(void)state;
	assert_int_equal(parse_as("resource-conf", "{cpus: 2, memory: 1G}"), 0);
	assert_int_equal(parse_as("runtime-conf", "{workdir: /a, user: b}"), 0);
	assert_int_equal(parse_as("script-conf", "{a: b, env: c}"), 0);
	assert_int_equal(conf.cpus, 2);
	assert_string_equal(conf.user, "b");
	assert_int_equal(conf.scripts.n, 2);
	refuses_as("resource-conf", "image: a", "unknown key image");
	refuses_as("resource-conf", "workdir: /", "unknown key workdir");
	refuses_as("runtime-conf", "cpus: 1", "unknown key cpus");
	refuses_as("runtime-conf", "scripts: {}", "unknown key scripts");
	refuses_as("script-conf", "a: [b]", "a is a list");
}

static void a_network_is_read(void **state)
{
	(void)state;
	assert_int_equal(
		parse_as("conf",
	                 "network:\n"
	                 "  policy: open\n"
	                 "  allow: [example.com, 'public:tcp:443']\n"
	                 "  deny: [evil.org]\n"
	                 "  rules: ['allow@dns']\n"
	                 "  default_ingress: deny\n"
	                 "  ports: ['8080:80']\n"
	                 "  dns: {rebind_protection: false, nameservers: "
	                 "[1.1.1.1], query_timeout: 3s}\n"
	                 "  tls: {}\n"
	                 "  trust_host_cas: true\n"
	                 "  max_connections: 100\n"
	                 "  strict: true\n"
	                 "  mtu: 9000\n"
	                 "  limits: {egress: {bandwidth: 1M/2s, ops: 10}}\n"
	                 "  proxy: socks5://127.0.0.1:1080\n"
	                 "  pcap: ./a.pcap\n"
	                 "ports: ['[::1]:9090:90/udp']\n"),
		0);
	assert_string_equal(conf.net.profile, "all");
	assert_string_equal(conf.net.allow.v[1], "public:tcp:443");
	assert_string_equal(conf.net.deny.v[0], "evil.org");
	assert_string_equal(conf.net.rules.v[0], "allow@dns");
	assert_int_equal(conf.net.ingress, MSB_NET_DENY);
	assert_string_equal(conf.net.ports.v[0], "8080:80");
	assert_string_equal(conf.net.more_ports.v[0], "[::1]:9090:90/udp");
	assert_true(conf.net.no_rebind);
	assert_int_equal(conf.net.dns_timeout_ms, 3000);
	assert_true(conf.net.trust_host_cas && conf.net.strict);
	assert_int_equal(conf.net.max_connections, 100);
	assert_int_equal(conf.net.mtu, 9000);
	assert_string_equal(conf.net.rate[NET_RATE_EGRESS_BYTES], "1M/2s");
	assert_string_equal(conf.net.rate[NET_RATE_EGRESS_PACKETS], "10");
	assert_null(conf.net.rate[NET_RATE_INGRESS_BYTES]);
	/* The next file: a list takes the place of a list, a key of a key. */
	assert_int_equal(parse_as("net-conf", "{allow: [], dns: "
	                                      "{rebind_protection: true}, "
	                                      "enabled: false}"),
	                 0);
	assert_int_equal(conf.net.allow.n, 0);
	assert_false(conf.net.no_rebind);
	assert_true(conf.net.disabled);
	assert_string_equal(conf.net.nameservers.v[0], "1.1.1.1");
	conf_release(&conf);
}

static void an_option_that_is_no_file_is_refused(void **state)
{
	(void)state;
	err = (struct err){0};
	assert_int_equal(conf_read(&conf, "ssh-conf:x.yaml", &err), -EINVAL);
	assert_non_null(strstr(err.msg, "--ssh-conf: no such option"));
}

static void reads(const char *option, const char *text)
{
	if (parse_as(option, text) < 0)
		fail_msg("%s: %s", text, err.msg);
}

static void secrets_are_read_and_laid_over(void **state)
{
	const struct secret_conf *s = &conf.secret;

	(void)state;
	(void)unsetenv("CONF_TEST_NOT_SET");
	reads("conf", "secrets:\n"
	              "  A: {value: \"${CONF_TEST_NOT_SET}\", allow: [a.org], "
	              "inject: [body, query_params], mask: true}\n"
	              "  B:\n"
	              "    allow: [b.org, \"*.c.org\"]\n"
	              "    require_tls_identity: true\n"
	              "    placeholder: PLACE\n"
	              "    on_violation: passthrough\n"
	              "network:\n"
	              "  tls: {enabled: true, ports: [443, 8443], bypass: [x], "
	              "block_quic: false, verify_upstream: false, "
	              "ca_cert: c.pem, ca_key: /k.pem, "
	              "upstream_ca_certs: [u.pem], "
	              "upstream_ca_certs_for: {y: y.pem}, no_verify_for: [z], "
	              "on_secret_violation: block}\n");
	reads("secret-conf", "B: {allow: [d.org]}\nC: {allow: [e.org]}\n");
	assert_int_equal(s->n, 3);
	assert_string_equal(s->v[0]->source, "CONF_TEST_NOT_SET");
	assert_int_equal(s->v[0]->flags,
	                 MSB_SECRET_BODY | MSB_SECRET_QUERY | MSB_SECRET_MASK);
	assert_string_equal(s->v[1]->env, "B");
	assert_null(s->v[1]->source);
	assert_int_equal(s->v[1]->hosts.n, 1);
	assert_string_equal(s->v[1]->hosts.v[0], "d.org");
	assert_string_equal(s->v[1]->placeholder, "PLACE");
	assert_int_equal(s->v[1]->violation, MSB_VIOLATION_PASS);
	assert_string_equal(s->v[2]->env, "C");
	assert_true(s->intercept && s->no_block_quic && s->no_verify_any);
	assert_int_equal(s->ports.n, 2);
	assert_string_equal(s->ca_key, "/k.pem");
	assert_string_equal(s->cas_for.v[0] + strlen(s->cas_for.v[0]) - 5,
	                    "y.pem");
	assert_int_equal(s->violation, MSB_VIOLATION_BLOCK);
	conf_release(&conf);
}

static void what_variables_stand_for_is_bounded(void **state)
{
	static char big[100001];
	struct buf cleanup_buf b = BUF_INIT;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	assert_int_equal(setenv("MSB_TEST_BIG", big, 1), 0);
	refuses_as("conf",
	           "workdir: \"${MSB_TEST_BIG}${MSB_TEST_BIG}${MSB_TEST_BIG}"
	           "${MSB_TEST_BIG}${MSB_TEST_BIG}${MSB_TEST_BIG}"
	           "${MSB_TEST_BIG}${MSB_TEST_BIG}${MSB_TEST_BIG}"
	           "${MSB_TEST_BIG}${MSB_TEST_BIG}\"",
	           "1:10: the value is too long");
	assert_int_equal(buf_adds(&b, "cmd:\n"), 0);
	for (int i = 0; i < 50; i++)
		assert_int_equal(buf_adds(&b, "- ${MSB_TEST_BIG}\n"), 0);
	refuses_as("conf", buf_str(&b),
	           "43:3: variables stand for more than 4 MiB");
	assert_int_equal(unsetenv("MSB_TEST_BIG"), 0);
}

static void what_is_no_file_is_refused(void **state)
{
	(void)state;
	assert_int_equal(conf_read(&conf, "conf:/nonexistent.yaml", &err),
	                 -ENOENT);
	assert_non_null(
		strstr(err.msg, "--conf: cannot read '/nonexistent.yaml': "));
	assert_int_equal(conf_read(&conf, "conf:/dev/zero", &err), -EISDIR);
	assert_int_equal(conf_read(&conf, "conf:/", &err), -EISDIR);
}

static void a_disk_may_say_its_file_system(void **state)
{
	(void)state;
	accepts("image: {disk: /a.raw}");
	assert_string_equal(conf.image, "/a.raw");
	accepts("image: {disk: /a.raw, fstype: ext4}");
	assert_string_equal(conf.image, "/a.raw:fstype=ext4");
	accepts("image: {disk: '/a:format=raw', fstype: erofs}");
	assert_string_equal(conf.image, "/a:format=raw,fstype=erofs");
}

static void upper_size_of_an_image_is_taken(void **state)
{
	(void)state;
	accepts("image: {oci: a, upper_size: 2G}");
	assert_int_equal(conf.upper, 2 * GIB);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_key_of_today_is_taken),
		TEST(later_files_go_over_earlier_ones),
		TEST(wrong_values_name_their_place),
		TEST(host_paths_start_at_the_file),
		TEST(scoped_files_have_their_keys_only),
		TEST(a_network_is_read),
		TEST(an_option_that_is_no_file_is_refused),
		cmocka_unit_test(secrets_are_read_and_laid_over),
		TEST(what_variables_stand_for_is_bounded),
		TEST(what_is_no_file_is_refused),
		TEST(a_disk_may_say_its_file_system),
		TEST(upper_size_of_an_image_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
