/* Requests of proto/tls_setup.h: what is taken, what is refused and how. */
#include "lib/test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/log.h"
#include "base/num.h"
#include "tls/setup.h"

#include "base/banned.h"

/* ---- not flow.c's ---- */

int flow_start(struct tls *t, const struct tlslink_flow *f, int guest_fd,
               int server_fd)
{
	(void)t;
	(void)f;
	(void)close(guest_fd);
	(void)close(server_fd);
	return 0;
}

void flow_end_all(struct tls *t)
{
	(void)t;
}

/* ---- requests ---- */

#define SECRET                                                                 \
	"{\"name\": \"KEY\", \"placeholder\": \"MSB_1234\","                   \
	" \"hosts\": [\"api.test\", \"*.Below.Test.\"],"                       \
	" \"where\": [\"headers\", \"query\"], \"mask\": true,"                \
	" \"violation\": \"block-and-terminate\", \"value\": true}"

#define SETUP                                                                  \
	"{\"version\": 1, \"op\": \"setup\", \"all\": false,"                  \
	" \"ports\": [443, 8443], \"block_quic\": true,"                       \
	" \"bypass\": [\"*.bank.test\"], \"roots\": \"\","                     \
	" \"upstream_cas\": [], \"no_verify\": [\"x.test\"],"                  \
	" \"ca_cert\": \"\", \"secrets\": [" SECRET "]}"

#define UPDATE                                                                 \
	"{\"version\": 1, \"op\": \"update\", \"set\": [" SECRET "],"          \
	" \"remove\": []}"

static void put_part(struct buf *b, const void *data, size_t len)
{
	uint8_t head[4];

	put_le32(head, (uint32_t)len);
	assert_int_equal(buf_add(b, head, 4), 0);
	assert_int_equal(buf_add(b, data, len), 0);
}

/* @step bytes at a time. What setup_input_got() said last. */
static int feed(struct setup_input *in, const struct buf *b, size_t step,
                struct err *err)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < b->len) {
		size_t room, n;
		void *to = setup_input_room(in, &room);

		assert_true(room > 0);
		n = MIN(MIN(step, room), b->len - at);
		memcpy(to, b->data + at, n);
		at += n;
		r = setup_input_got(in, n, err);
	}
	if (r == 1)
		assert_int_equal(at, b->len); /* no byte too much */
	return r;
}

static int feed_request(struct setup_input *in, bool update, const char *json,
                        const char *value, struct err *err)
{
	struct buf b cleanup_buf = BUF_INIT;

	put_part(&b, json, strlen(json));
	if (value)
		put_part(&b, value, strlen(value));
	setup_input_init(in, update);
	return feed(in, &b, SIZE_MAX, err);
}

static void a_setup_is_read_however_it_is_cut(void **state)
{
	struct buf b cleanup_buf = BUF_INIT;

	(void)state;
	put_part(&b, SETUP, strlen(SETUP));
	put_part(&b, "the value", 9);
	for (size_t step = 1; step <= b.len; step++) {
		struct setup_input in;
		struct err err = {0};
		const struct secret *s;

		setup_input_init(&in, false);
		if (feed(&in, &b, step, &err) != 1)
			fail_msg("%s", err.msg);
		assert_false(in.rq.options.all);
		assert_true(in.rq.options.block_quic);
		assert_int_equal(in.rq.options.nports, 2);
		assert_int_equal(in.rq.options.ports[1], 8443);
		assert_string_equal(in.rq.options.bypass.v[0], "*.bank.test");
		assert_string_equal(in.rq.no_verify.v[0], "x.test");
		assert_int_equal(in.rq.nset, 1);
		s = &in.rq.set[0].s;
		assert_string_equal(s->name, "KEY");
		assert_string_equal(s->hosts.v[1], "*.below.test");
		assert_int_equal(s->where, SECRET_HEADERS | SECRET_QUERY);
		assert_true(s->mask);
		assert_int_equal(s->violation, SECRET_BLOCK_TERMINATE);
		assert_int_equal(s->placeholder_len, 8);
		assert_int_equal(s->len, 9);
		assert_memory_equal(s->value, "the value", 9);
		setup_input_release(&in);
	}
}

/* A reader that is given up anywhere has nothing left. */
static void a_setup_that_ends_early_leaves_nothing(void **state)
{
	struct buf b cleanup_buf = BUF_INIT;

	(void)state;
	put_part(&b, SETUP, strlen(SETUP));
	put_part(&b, "the value", 9);
	for (size_t len = 0; len < b.len; len += 7) {
		struct buf part = {.data = b.data, .len = len};
		struct setup_input in;

		setup_input_init(&in, false);
		assert_int_equal(feed(&in, &part, 64, NULL), 0);
		setup_input_release(&in);
		setup_input_release(&in);
	}
}

/* Where a patch goes: into the request, into its secret. */
enum part { TOP, SEC };

static const struct {
	bool update;
	enum part part;
	const char *patch; /* keys to replace; null: to leave out */
	const char *words; /* of the refusal */
} wrong[] = {
	{false, TOP, "{\"more\": 1}",					    "unknown key \"more\""},
	{true,  TOP, "{\"more\": 1}",					    "unknown key \"more\""},
	{true,  TOP, "{\"all\": true}",					  "unknown key \"all\"" },
	{false, SEC, "{\"more\": 1}",					    "unknown key"         },
	{false, TOP, "{\"version\": 2}",					 "version is not 1"    },
	{false, TOP, "{\"version\": \"1\"}",                                     "version is not 1"    },
	{false, TOP, "{\"version\": null}",                                      "version is not 1"    },
	{false, TOP, "{\"op\": \"update\"}",                                     "not \"setup\""       },
	{true,  TOP, "{\"op\": \"setup\"}",                                      "not \"update\""      },
	{true,  TOP, "{\"op\": \"read\"}",                                       "not \"update\""      },
	{false, TOP, "{\"op\": null}",					   "not \"setup\""       },
	{false, TOP, "{\"all\": 0}",					     "\"all\": it is neit" },
	{false, TOP, "{\"all\": null}",					  "no \"all\""          },
	{false, TOP, "{\"block_quic\": \"yes\"}",                                "neither true"        },
	{false, TOP, "{\"ports\": 443}",					 "\"ports\": it is no" },
	{false, TOP, "{\"ports\": [0]}",					 "1 to 65535"          },
	{false, TOP, "{\"ports\": [65536]}",                                     "1 to 65535"          },
	{false, TOP, "{\"ports\": [-1]}",                                        "1 to 65535"          },
	{false, TOP, "{\"ports\": [\"443\"]}",                                   "1 to 65535"          },
	{false, TOP, "{\"ports\": [4.5]}",                                       "1 to 65535"          },
	{false, TOP, "{\"ports\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}",
         "more than 16"										},
	{false, TOP, "{\"bypass\": \"a.test\"}",                                 "it is no list"       },
	{false, TOP, "{\"bypass\": [1]}",                                        "no list of texts"    },
	{false, TOP, "{\"bypass\": [\"\"]}",                                     "not NAME"            },
	{false, TOP, "{\"bypass\": [\"a..b\"]}",                                 "not NAME"            },
	{false, TOP, "{\"bypass\": [\"*\", \"*.\"]}",                            "not NAME"            },
	{false, TOP, "{\"bypass\": [\"**.a\"]}",                                 "not NAME"            },
	{false, TOP, "{\"bypass\": [\"a.*\"]}",                                  "not NAME"            },
	{false, TOP, "{\"bypass\": [\"*a.test\"]}",                              "not NAME"            },
	{false, TOP, "{\"bypass\": [\"a/b\"]}",                                  "not NAME"            },
	{false, TOP, "{\"bypass\": [\"a:443\"]}",                                "not NAME"            },
	{false, TOP, "{\"bypass\": [\"10.0.0.1\"]}",                             "not NAME"            },
	{false, TOP, "{\"bypass\": [\"*.0x7f\"]}",                               "not NAME"            },
	{false, TOP, "{\"bypass\": [\"[::1]\"]}",                                "not NAME"            },
	{false, TOP, "{\"bypass\": [\"b\\u00fccher\"]}",                         "not NAME"            },
	{false, TOP, "{\"bypass\": [\"a\\u0000b\"]}",                            NULL                  },
	{false, TOP, "{\"roots\": [\"PEM\"]}",                                   "it is no text"       },
	{false, TOP, "{\"ca_cert\": true}",                                      "it is no text"       },
	{false, TOP, "{\"upstream_cas\": {}}",                                   "it is no list"       },
	{false, TOP, "{\"upstream_cas\": [1]}",                                  "it is no object"     },
	{false, TOP, "{\"upstream_cas\": [{\"pem\": \"\"}]}",                    "no \"pattern\""      },
	{false, TOP, "{\"upstream_cas\": [{\"pem\": 1, \"pattern\": \"*\"}]}",
         "it is no text"									       },
	{false, TOP,
         "{\"upstream_cas\": [{\"pem\": \"\", \"pattern\": \".\"}]}",            "not NAME"            },
	{false, TOP, "{\"no_verify\": [\"-/-\"]}",                               "not NAME"            },
	{false, TOP, "{\"secrets\": {}}",                                        "it is no list"       },
	{false, TOP, "{\"secrets\": [[]]}",                                      "it is no object"     },
	{true,  TOP, "{\"set\": null}",					  "no \"set\""          },
	{true,  TOP, "{\"remove\": [\"\"]}",                                     "name of a variable"  },
	{true,  TOP, "{\"remove\": [\"A\", \"A\"]}",                             "A is there twice"    },
	{true,  TOP, "{\"remove\": \"KEY\"}",                                    "it is no list"       },
	{false, SEC, "{\"name\": \"\"}",					 "name of a variable"  },
	{false, SEC, "{\"name\": \"A=B\"}",                                      "name of a variable"  },
	{false, SEC, "{\"name\": \"A B\"}",                                      "name of a variable"  },
	{false, SEC, "{\"name\": \"A\\nB\"}",                                    "name of a variable"  },
	{false, SEC, "{\"name\": \"\\u00e4\"}",                                  "name of a variable"  },
	{false, SEC, "{\"name\": 7}",					    "name of a variable"  },
	{false, SEC, "{\"placeholder\": \"MSB\"}",                               "4 to 1024 bytes"     },
	{false, SEC, "{\"placeholder\": \"MSB\\r12\"}",                          "4 to 1024 bytes"     },
	{false, SEC, "{\"placeholder\": \"MSB\\u007f\"}",                        "4 to 1024 bytes"     },
	{false, SEC, "{\"placeholder\": null}",                                  "no \"placeholder\""  },
	{false, SEC, "{\"hosts\": []}",					  "no host is allowed"  },
	{false, SEC, "{\"hosts\": \"a.test\"}",                                  "it is no list"       },
	{false, SEC, "{\"hosts\": [\"1.2.3.4\"]}",                               "not NAME"            },
	{false, SEC, "{\"where\": []}",					  "there is none"       },
	{false, SEC, "{\"where\": [\"header\"]}",                                "one of headers"      },
	{false, SEC, "{\"where\": [3]}",					 "one of headers"      },
	{false, SEC, "{\"where\": [\"body\", \"body\"]}",                        "body is there twi"   },
	{false, SEC, "{\"mask\": 1}",					    "neither true"        },
	{false, SEC, "{\"violation\": \"log\"}",                                 "one of block"        },
	{false, SEC, "{\"violation\": 0}",                                       "one of block"        },
	{false, SEC, "{\"value\": \"geheim\"}",                                  "neither true"        },
};

static char *patched(bool update, enum part part, const char *patch)
{
	json_t *o cleanup_json =
		json_parse(update ? UPDATE : SETUP,
	                   strlen(update ? UPDATE : SETUP), "", NULL);
	/* "\u0000" is nothing that jansson takes: then as it is. */
	json_t *p cleanup_json = json_parse(patch, strlen(patch), "", NULL);
	json_t *to = o, *v;
	const char *key;
	char *text;

	if (!p)
		return strdup(patch);
	if (part == SEC)
		to = json_array_get(
			json_object_get(o, update ? "set" : "secrets"), 0);
	json_object_foreach(p, key, v)
	{
		if (json_is_null(v))
			(void)json_object_del(to, key);
		else
			(void)json_object_set(to, key, v);
	}
	text = json_dumps(o, 0);
	assert_non_null(text);
	return text;
}

static void what_is_wrong_is_told_in_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		char *json cleanup_free =
			patched(wrong[i].update, wrong[i].part, wrong[i].patch);
		struct setup_input in;
		struct err err = {0};
		int r = feed_request(&in, wrong[i].update, json, "geheim",
		                     &err);

		if (r >= 0)
			fail_msg("taken: %s", wrong[i].patch);
		if (wrong[i].words && !strstr(err.msg, wrong[i].words))
			fail_msg("%s: %s", wrong[i].patch, err.msg);
		assert_null(strstr(err.msg, "geheim"));
		setup_input_release(&in);
	}
}

static void json_that_is_none_is_refused(void **state)
{
	static const char *const texts[] = {
		"{",       "[]",       "1",
		"null",    "\"\"",     "{\"op\": \"setup\", \"op\": \"setup\"}",
		SETUP "x", "\xff\xfe",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct setup_input in;
		struct err err = {0};

		assert_true(feed_request(&in, false, texts[i], NULL, &err) < 0);
		assert_true(err.msg[0]);
		setup_input_release(&in);
	}
}

static int feed_len(uint32_t len, struct err *err)
{
	struct setup_input in;
	size_t room;
	int r;

	setup_input_init(&in, false);
	put_le32(setup_input_room(&in, &room), len);
	r = setup_input_got(&in, 4, err);
	setup_input_release(&in);
	return r;
}

static void a_request_has_bounds(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(feed_len(0, &err), -E2BIG);
	assert_int_equal(feed_len(TLS_SETUP_JSON_MAX + 1, &err), -E2BIG);
	assert_int_equal(feed_len(UINT32_MAX, &err), -E2BIG);
	assert_int_equal(feed_len(TLS_SETUP_JSON_MAX, &err), 0);
}

/* The length of a value, then, if taken, its bytes. */
static int feed_value(uint32_t len, const char *bytes, struct err *err)
{
	struct setup_input in;
	size_t room;
	int r = feed_request(&in, false, SETUP, NULL, err);

	assert_int_equal(r, 0);
	put_le32(setup_input_room(&in, &room), len);
	r = setup_input_got(&in, 4, err);
	if (r == 0 && bytes) {
		memcpy(setup_input_room(&in, &room), bytes, len);
		r = setup_input_got(&in, len, err);
	}
	setup_input_release(&in);
	return r;
}

static void a_value_that_cannot_be_is_refused(void **state)
{
	static const struct {
		uint32_t len;
		const char *bytes, *words;
	} cases[] = {
		{0,                 NULL,       "KEY is empty"        },
		{TLS_VALUE_MAX + 1, NULL,       "more than 65536"     },
		{UINT32_MAX,        NULL,       "more than 65536"     },
		{3,                 "a\0b",     "KEY has a zero byte" },
		{1,                 "\0",       "KEY has a zero byte" },
		{8,                 "MSB_1234", "KEY is a placeholder"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = {0};

		assert_true(feed_value(cases[i].len, cases[i].bytes, &err) < 0);
		assert_non_null(strstr(err.msg, cases[i].words));
	}
	assert_int_equal(feed_value(3, "a\nb", NULL), 1);
}

static void names_and_placeholders_must_not_clash(void **state)
{
	static const struct {
		const char *name, *placeholder, *words;
	} cases[] = {
		{"KEY",   "MSB_9999",  "KEY is there twice"         },
		{"OTHER", "MSB_1234",  "KEY and OTHER have the same"},
		{"OTHER", "MSB_12345", "the beginning of the other" },
		{"OTHER", "MSB_",      "the beginning of the other" },
		{"OTHER", "MSB_1235",  NULL                         },
		{"OTHER", "xMSB_1234", NULL                         },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf json cleanup_buf = BUF_INIT;
		struct setup_input in;
		struct err err = {0};
		int r;

		assert_int_equal(
			buf_printf(&json,
		                   "{\"version\": 1, \"op\": \"update\", "
		                   "\"remove\": [], \"set\": [" SECRET
		                   ", {\"name\": \"%s\", \"placeholder\": "
		                   "\"%s\", \"hosts\": [\"*\"], \"where\": "
		                   "[\"body\"], \"mask\": false, "
		                   "\"violation\": \"block\", "
		                   "\"value\": false}]}",
		                   cases[i].name, cases[i].placeholder),
			0);
		r = feed_request(&in, true, buf_str(&json), NULL, &err);
		if (cases[i].words) {
			assert_int_equal(r, -EEXIST);
			assert_non_null(strstr(err.msg, cases[i].words));
		} else {
			assert_int_equal(r, 0); /* KEY's value is to come */
		}
		setup_input_release(&in);
	}
}

static char *many(const char *key, const char *one, size_t n)
{
	struct buf b = BUF_INIT;

	(void)buf_printf(&b, "{\"%s\": [", key);
	for (size_t i = 0; i < n; i++)
		(void)buf_printf(&b, "%s%s", i ? "," : "", one);
	(void)buf_adds(&b, "]}");
	assert_true(buf_ok(&b));
	return buf_steal(&b);
}

static void lists_have_bounds(void **state)
{
	static const struct {
		bool update;
		enum part part;
		const char *key, *one;
		size_t max;
	} cases[] = {
		{false, TOP, "bypass",       "\"a.test\"", TLS_PATTERNS_MAX},
		{false, TOP, "no_verify",    "\"a.test\"", TLS_PATTERNS_MAX},
		{false, TOP, "upstream_cas",
	         "{\"pattern\": \"*\", \"pem\": \"\"}",    TLS_PATTERNS_MAX},
		{false, SEC, "hosts",        "\"a.test\"", TLS_HOSTS_MAX   },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		size_t k = i / 2, extra = i % 2;
		char *patch cleanup_free =
			many(cases[k].key, cases[k].one, cases[k].max + extra);
		char *json cleanup_free =
			patched(cases[k].update, cases[k].part, patch);
		struct setup_input in;
		struct err err = {0};
		int r = feed_request(&in, cases[k].update, json, NULL, &err);

		if (r != (extra ? -E2BIG : 0))
			fail_msg("%s %zu: %s", cases[k].key, extra, err.msg);
		setup_input_release(&in);
	}
}

/* ---- into effect ---- */

struct world {
	struct tls tls;
	int link; /* msb-vmm's end */
};

static void world_up(struct world *w)
{
	int ends[2];

	*w = (struct world){0};
	log_setup("test", 2, LOG_NONE);
	w->tls.loop = loop_new();
	assert_non_null(w->tls.loop);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	w->link = ends[0];
	assert_int_equal(link_new(&w->tls, ends[1], &w->tls.link), 0);
}

static void world_down(struct world *w)
{
	link_free(w->tls.link);
	(void)close(w->link);
	secrets_unref(w->tls.secrets);
	ca_free(w->tls.ca);
	upstreams_free(w->tls.upstreams);
	strv_release(&w->tls.options.bypass);
	loop_free(w->tls.loop);
}

static int apply(struct world *w, bool update, const char *json,
                 const char *value, struct err *err)
{
	struct setup_input in;
	int r = feed_request(&in, update, json, value, err);

	if (r == 1)
		r = setup_apply(&w->tls, &in.rq, err);
	else if (r == 0)
		r = err_set(err, -EAGAIN, "more is wanted");
	setup_input_release(&in);
	return r;
}

/* What the link was told, or NULL. */
static json_t *told(struct world *w)
{
	static char packet[TLSLINK_PACKET_MAX];
	ssize_t n = recv(w->link, packet, sizeof(packet), MSG_DONTWAIT);

	if (n < 0)
		return NULL;
	assert_true(n > 4);
	assert_int_equal(packet[0], TLSLINK_CONFIG);
	return json_parse(packet + 4, (size_t)n - 4, "CONFIG", NULL);
}

static void assert_config(struct world *w, const char *want)
{
	json_t *is cleanup_json = told(w);
	json_t *wanted cleanup_json =
		json_parse(want, strlen(want), "wanted", NULL);
	char *text cleanup_free = is ? json_dumps(is, 0) : NULL;

	assert_non_null(wanted);
	if (!is || !json_equal(is, wanted))
		fail_msg("%s", text ? text : "no CONFIG");
}

static void a_setup_makes_all_that_there_is(void **state)
{
	struct world w;
	struct err err = {0};

	(void)state;
	world_up(&w);
	if (apply(&w, false, SETUP, "value", &err) < 0)
		fail_msg("%s", err.msg);
	assert_non_null(w.tls.ca);
	assert_non_null(strstr(ca_pem(w.tls.ca), "BEGIN CERTIFICATE"));
	assert_non_null(w.tls.upstreams);
	assert_int_equal(w.tls.secrets->n, 1);
	assert_config(&w, "{\"ports\": [443, 8443], \"block_quic\": true, "
	                  "\"intercept\": [\"api.test\", \"*.below.test\"], "
	                  "\"bypass\": [\"*.bank.test\"], \"placeholders\": "
	                  "[{\"name\": \"KEY\", \"text\": \"MSB_1234\", "
	                  "\"violation\": \"block-and-terminate\"}]}");
	world_down(&w);
}

static void all_names_are_one_pattern(void **state)
{
	char *json cleanup_free =
		patched(false, TOP, "{\"all\": true, \"block_quic\": false}");
	json_t *o cleanup_json = NULL;
	struct world w;

	(void)state;
	world_up(&w);
	assert_int_equal(apply(&w, false, json, "value", NULL), 0);
	o = told(&w);
	assert_int_equal(json_array_size(json_object_get(o, "intercept")), 1);
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(o, "intercept"), 0)),
	                    "*");
	assert_true(json_is_false(json_object_get(o, "block_quic")));
	world_down(&w);
}

static void an_update_is_all_or_nothing(void **state)
{
	static const struct {
		enum part part;
		const char *patch;
		const char *words;
	} refused[] = {
		{TOP, "{\"remove\": [\"NONE\"]}",                               "no secret NONE"             },
		{TOP, "{\"remove\": [\"KEY\"]}",                                "both set and removed"       },
		{SEC, "{\"name\": \"NEW\"}",                                    "have the same"              },
		{SEC, "{\"name\": \"NEW\", \"placeholder\": \"MSB_123\"}",
	         "the beginning of the other"								},
		{SEC,
	         "{\"name\": \"NEW\", \"placeholder\": \"MSB_5678\", "
	         "\"value\": false}",	                                   "NEW is new and has no value"},
		{SEC,
	         "{\"hosts\": [\"api.test\", \"c.test\"], \"value\": false}",   "has to come again"          },
		{SEC, "{\"hosts\": [\"*\"], \"value\": false}",
	         "has to come again"									 },
		{SEC, "{\"where\": [\"headers\", \"body\"], \"value\": false}",
	         "has to come again"									 },
		{SEC, "{\"mask\": false, \"value\": false}",
	         "has to come again"									 },
	};
	struct world w;
	struct secrets *was;

	(void)state;
	world_up(&w);
	assert_int_equal(apply(&w, false, SETUP, "value", NULL), 0);
	json_decref(told(&w));
	was = w.tls.secrets;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		char *json cleanup_free =
			patched(true, refused[i].part, refused[i].patch);
		bool value = !strstr(refused[i].patch, "\"value\": false");
		struct err err = {0};

		assert_true(apply(&w, true, json, value ? "other" : NULL,
		                  &err) < 0);
		if (!strstr(err.msg, refused[i].words))
			fail_msg("%s: %s", refused[i].patch, err.msg);
		assert_ptr_equal(w.tls.secrets, was);
		assert_null(told(&w));
	}
	assert_memory_equal(was->v[0].value, "value", 5);
	world_down(&w);
}

static void an_update_adds_changes_keeps_and_removes(void **state)
{
	char *added cleanup_free =
		patched(true, SEC,
	                "{\"name\": \"TWO\", \"placeholder\": \"MSB_two\", "
	                "\"hosts\": [\"two.test\"], \"violation\": \"block\"}");
	char *hosts cleanup_free = patched(
		true, SEC, "{\"hosts\": [\"api.test\"], \"value\": false}");
	char *removed cleanup_free =
		patched(true, TOP, "{\"set\": [], \"remove\": [\"KEY\"]}");
	struct world w;
	struct secrets *in_use;

	(void)state;
	world_up(&w);
	assert_int_equal(apply(&w, false, SETUP, "value", NULL), 0);
	json_decref(told(&w));
	in_use = secrets_ref(w.tls.secrets);

	assert_int_equal(apply(&w, true, UPDATE, "rotated", NULL), 0);
	json_decref(told(&w));
	assert_memory_equal(w.tls.secrets->v[0].value, "rotated", 7);
	assert_memory_equal(in_use->v[0].value, "value", 5);
	secrets_unref(in_use);

	assert_int_equal(apply(&w, true, added, "2222", NULL), 0);
	json_decref(told(&w));
	assert_int_equal(apply(&w, true, hosts, NULL, NULL), 0);
	assert_memory_equal(secrets_find(w.tls.secrets, "KEY")->value,
	                    "rotated", 7);
	assert_config(&w, "{\"ports\": [443, 8443], \"block_quic\": true, "
	                  "\"intercept\": [\"api.test\", \"two.test\"], "
	                  "\"bypass\": [\"*.bank.test\"], \"placeholders\": "
	                  "[{\"name\": \"KEY\", \"text\": \"MSB_1234\", "
	                  "\"violation\": \"block-and-terminate\"}, "
	                  "{\"name\": \"TWO\", \"text\": \"MSB_two\", "
	                  "\"violation\": \"block\"}]}");

	assert_int_equal(apply(&w, true, removed, NULL, NULL), 0);
	assert_int_equal(w.tls.secrets->n, 1);
	assert_string_equal(w.tls.secrets->v[0].name, "TWO");
	json_decref(told(&w));
	world_down(&w);
}

static char *update_of(int from, int n, bool remove_first)
{
	struct buf b = BUF_INIT;

	(void)buf_adds(&b, "{\"version\": 1, \"op\": \"update\", \"set\": [");
	for (int i = from; i < from + n; i++)
		(void)buf_printf(&b,
		                 "%s{\"name\": \"N%d\", \"placeholder\": "
		                 "\"MSB_%06d\", \"hosts\": [\"h%d.test\"], "
		                 "\"where\": [\"body\"], \"mask\": false, "
		                 "\"violation\": \"block\", \"value\": true}",
		                 i > from ? "," : "", i, i, i);
	(void)buf_printf(&b, "], \"remove\": [%s]}",
	                 remove_first ? "\"N0\"" : "");
	assert_true(buf_ok(&b));
	return buf_steal(&b);
}

static int apply_values(struct world *w, const char *json, int n,
                        struct err *err)
{
	struct buf b cleanup_buf = BUF_INIT;
	struct setup_input in;
	int r;

	put_part(&b, json, strlen(json));
	for (int i = 0; i < n; i++)
		put_part(&b, "v", 1);
	setup_input_init(&in, true);
	r = feed(&in, &b, SIZE_MAX, err);
	if (r == 1)
		r = setup_apply(&w->tls, &in.rq, err);
	setup_input_release(&in);
	return r;
}

static void there_are_no_more_secrets_than_bits(void **state)
{
	char *empty cleanup_free = patched(false, TOP, "{\"secrets\": []}");
	char *all cleanup_free = update_of(0, TLS_SECRETS_MAX, false);
	char *one cleanup_free = update_of(TLS_SECRETS_MAX, 1, false);
	char *swap cleanup_free = update_of(TLS_SECRETS_MAX, 1, true);
	char *far cleanup_free = update_of(0, TLS_SECRETS_MAX + 1, false);
	struct err err = {0};
	struct world w;

	(void)state;
	world_up(&w);
	assert_int_equal(apply(&w, false, empty, NULL, NULL), 0);
	assert_int_equal(apply_values(&w, all, TLS_SECRETS_MAX, NULL), 0);
	assert_int_equal(w.tls.secrets->n, TLS_SECRETS_MAX);
	assert_int_equal(apply_values(&w, one, 1, &err), -E2BIG);
	assert_non_null(strstr(err.msg, "more than 64 secrets"));
	assert_int_equal(apply_values(&w, swap, 1, NULL), 0);
	assert_int_equal(w.tls.secrets->n, TLS_SECRETS_MAX);
	assert_null(secrets_find(w.tls.secrets, "N0"));
	assert_int_equal(apply_values(&w, far, 0, &err), -E2BIG);
	world_down(&w);
}

/* What cannot be told to the network must not come into effect here. */
static void an_update_too_long_for_the_link_changes_nothing(void **state)
{
	struct buf hosts cleanup_buf = BUF_INIT;
	struct world w;
	struct secrets *was;
	struct err err = {0};
	int r = 0;

	(void)state;
	world_up(&w);
	assert_int_equal(apply(&w, false, SETUP, "value", NULL), 0);
	for (int k = 0; k < 60 && r == 0; k++) {
		char *json cleanup_free = NULL;

		buf_reset(&hosts);
		(void)buf_printf(&hosts,
		                 "{\"name\": \"N%d\", \"placeholder\": "
		                 "\"MSB_x%06d\", \"hosts\": [",
		                 k, k);
		for (int i = 0; i < TLS_HOSTS_MAX; i++)
			(void)buf_printf(&hosts,
			                 "%s\"n%d.n%d.%060d.%060d.%060d.test\"",
			                 i ? "," : "", i, k, 0, 0, 0);
		(void)buf_adds(&hosts, "]}");
		json = patched(true, SEC, buf_str(&hosts));
		was = w.tls.secrets;
		r = apply(&w, true, json, "v", &err);
		json_decref(told(&w));
	}
	assert_int_equal(r, -E2BIG);
	assert_non_null(strstr(err.msg, "128 KiB is the most"));
	assert_ptr_equal(w.tls.secrets, was);
	world_down(&w);
}

static void who_has_no_network_is_told_so(void **state)
{
	struct world w;
	struct err err = {0};

	(void)state;
	world_up(&w);
	assert_int_equal(apply(&w, false, SETUP, "value", NULL), 0);
	(void)shutdown(w.link, SHUT_RDWR);
	assert_int_equal(apply(&w, true, UPDATE, "value", &err), -EPIPE);
	world_down(&w);
}

static void a_wrong_authority_is_refused(void **state)
{
	char *json cleanup_free =
		patched(false, TOP, "{\"ca_cert\": \"no PEM\"}");
	struct buf b cleanup_buf = BUF_INIT;
	struct setup_input in;
	struct err err = {0};
	struct world w;

	(void)state;
	world_up(&w);
	put_part(&b, json, strlen(json));
	put_part(&b, "no key", 6);
	put_part(&b, "value", 5);
	setup_input_init(&in, false);
	assert_int_equal(feed(&in, &b, 5, &err), 1);
	assert_memory_equal(in.rq.ca_key, "no key", 6);
	assert_memory_equal(in.rq.set[0].s.value, "value", 5);
	assert_true(setup_apply(&w.tls, &in.rq, &err) < 0);
	assert_true(err.msg[0]);
	assert_null(strstr(err.msg, "no key"));
	setup_input_release(&in);
	world_down(&w);
}

/* ---- over sockets ---- */

static void take_answer(int fd, bool *ret_ok, char error[ERR_MSG_MAX])
{
	char text[TLS_SETUP_ANSWER_MAX];
	json_t *o cleanup_json = NULL;
	uint8_t head[4];
	size_t len;

	assert_int_equal(fd_read_full(fd, head, 4), 4);
	len = get_le32(head);
	assert_true(len <= sizeof(text));
	assert_int_equal(fd_read_full(fd, text, len), len);
	o = json_parse(text, len, "answer", NULL);
	assert_non_null(o);
	*ret_ok = json_bool(o, "ok", false);
	if (*ret_ok)
		assert_non_null(strstr(json_str(o, "ca", ""), "BEGIN CERT"));
	(void)snprintf(error, ERR_MSG_MAX, "%s", json_str(o, "error", ""));
}

static void the_first_request_is_answered_with_the_authority(void **state)
{
	struct buf b cleanup_buf = BUF_INIT;
	char error[ERR_MSG_MAX];
	struct err err = {0};
	struct world w;
	int ends[2];
	bool ok;

	(void)state;
	world_up(&w);
	put_part(&b, SETUP, strlen(SETUP));
	put_part(&b, "value", 5);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(fd_write_full(ends[0], b.data, b.len), 0);
	if (setup_read(&w.tls, ends[1], &err) < 0)
		fail_msg("%s", err.msg);
	take_answer(ends[0], &ok, error);
	assert_true(ok);
	(void)close(ends[0]);
	(void)close(ends[1]);
	world_down(&w);
}

static void a_first_request_that_ends_is_refused(void **state)
{
	char error[ERR_MSG_MAX];
	struct err err = {0};
	struct world w;
	int ends[2];
	bool ok;

	(void)state;
	world_up(&w);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(fd_write_full(ends[0], "\x40\0\0\0{", 5), 0);
	(void)shutdown(ends[0], SHUT_WR);
	assert_int_equal(setup_read(&w.tls, ends[1], &err), -EPIPE);
	setup_refuse(ends[1], &err);
	take_answer(ends[0], &ok, error);
	assert_false(ok);
	assert_string_equal(error, err.msg);
	(void)close(ends[0]);
	(void)close(ends[1]);
	world_down(&w);
}

struct served {
	struct world w;
	char folder[32];
	struct sockaddr_un at;
	int listen;
};

static void serve(struct served *s)
{
	world_up(&s->w);
	assert_int_equal(apply(&s->w, false, SETUP, "value", NULL), 0);
	json_decref(told(&s->w));
	(void)snprintf(s->folder, sizeof(s->folder), "/tmp/msb-test-XXXXXX");
	assert_non_null(mkdtemp(s->folder));
	assert_int_equal(chmod(s->folder, 0755), 0);
	s->at = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(s->at.sun_path, sizeof(s->at.sun_path), "%s/tls.sock",
	               s->folder);
	s->listen = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listen, (void *)&s->at, sizeof(s->at)), 0);
	assert_int_equal(chmod(s->at.sun_path, 0666), 0);
	assert_int_equal(listen(s->listen, 16), 0);
	assert_int_equal(setup_listen(&s->w.tls, s->listen), 0);
}

static void serve_end(struct served *s)
{
	(void)close(s->listen);
	(void)unlink(s->at.sun_path);
	(void)rmdir(s->folder);
	world_down(&s->w);
}

static int join(const struct served *s)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const void *)&s->at, sizeof(s->at)), 0);
	return fd;
}

static void turn(struct served *s, int rounds)
{
	for (int i = 0; i < rounds; i++)
		assert_int_equal(loop_step(s->w.tls.loop, 20), 0);
}

static void updates_are_served_while_others_are_slow(void **state)
{
	struct buf b cleanup_buf = BUF_INIT;
	char error[ERR_MSG_MAX];
	struct served s;
	int slow[3], fast;
	bool ok;

	(void)state;
	serve(&s);
	put_part(&b, UPDATE, strlen(UPDATE));
	put_part(&b, "rotated", 7);
	for (size_t i = 0; i < ARRAY_SIZE(slow); i++) {
		slow[i] = join(&s);
		assert_int_equal(fd_write_full(slow[i], b.data, 20), 0);
	}
	fast = join(&s);
	assert_int_equal(fd_write_full(fast, b.data, b.len), 0);
	turn(&s, 12);
	take_answer(fast, &ok, error);
	assert_true(ok);
	assert_memory_equal(s.w.tls.secrets->v[0].value, "rotated", 7);
	/* A slow one that comes to its end after all. */
	for (size_t i = 20; i < b.len; i++) {
		assert_int_equal(fd_write_full(slow[1], b.data + i, 1), 0);
		turn(&s, 1);
	}
	turn(&s, 2);
	take_answer(slow[1], &ok, error);
	assert_true(ok);
	(void)close(fast);
	for (size_t i = 0; i < ARRAY_SIZE(slow); i++)
		(void)close(slow[i]);
	turn(&s, 3);
	serve_end(&s);
}

/* Its msb said that nothing was changed, as msb-tls was stopped meanwhile. */
static void an_update_of_one_who_left_is_not_made(void **state)
{
	struct buf b cleanup_buf = BUF_INIT;
	struct served s;
	int fd;

	(void)state;
	serve(&s);
	put_part(&b, UPDATE, strlen(UPDATE));
	put_part(&b, "rotated", 7);
	fd = join(&s);
	assert_int_equal(fd_write_full(fd, b.data, b.len), 0);
	(void)close(fd);
	turn(&s, 5);
	assert_memory_equal(s.w.tls.secrets->v[0].value, "value", 5);
	serve_end(&s);
}

static void a_client_too_many_waits_for_its_turn(void **state)
{
	struct buf b cleanup_buf = BUF_INIT;
	char error[ERR_MSG_MAX];
	struct served s;
	int idle[4], late;
	bool ok;

	(void)state;
	serve(&s);
	put_part(&b, UPDATE, strlen(UPDATE));
	put_part(&b, "rotated", 7);
	for (size_t i = 0; i < ARRAY_SIZE(idle); i++)
		idle[i] = join(&s);
	late = join(&s);
	assert_int_equal(fd_write_full(late, b.data, b.len), 0);
	turn(&s, 8);
	assert_memory_equal(s.w.tls.secrets->v[0].value, "value", 5);
	(void)close(idle[2]);
	turn(&s, 8);
	take_answer(late, &ok, error);
	assert_true(ok);
	(void)close(late);
	for (size_t i = 0; i < ARRAY_SIZE(idle); i++)
		if (i != 2)
			(void)close(idle[i]);
	turn(&s, 4);
	serve_end(&s);
}

static void a_client_that_says_nothing_is_left_in_time(void **state)
{
	uint64_t start = clock_now_ns();
	struct served s;
	char byte;
	int fd;

	(void)state;
	serve(&s);
	fd = join(&s);
	turn(&s, 2);
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	while (recv(fd, &byte, 1, MSG_DONTWAIT) < 0 &&
	       clock_now_ns() - start < 20 * NS_PER_S)
		assert_int_equal(loop_step(s.w.tls.loop, 100), 0);
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
	assert_true(clock_now_ns() - start >
	            (TLS_SETUP_TIMEOUT_MS - 500) * NS_PER_MS);
	(void)close(fd);
	serve_end(&s);
}

static void a_wrong_update_is_answered_in_words(void **state)
{
	struct buf b cleanup_buf = BUF_INIT;
	char error[ERR_MSG_MAX];
	struct served s;
	bool ok;
	int fd;

	(void)state;
	serve(&s);
	fd = join(&s);
	put_part(&b, SETUP, strlen(SETUP)); /* only at the start */
	assert_int_equal(fd_write_full(fd, b.data, b.len), 0);
	turn(&s, 5);
	take_answer(fd, &ok, error);
	assert_false(ok);
	assert_non_null(strstr(error, "not \"update\""));
	(void)close(fd);
	serve_end(&s);
}

/* What another user's connection reads: 0 is its end. */
static int ask_as_nobody(const struct served *s)
{
	char byte;
	int fd;

	if (setgid(65534) < 0 || setuid(65534) < 0)
		return 3;
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(fd, (const void *)&s->at, sizeof(s->at)) < 0)
		return 4;
	return (int)recv(fd, &byte, 1, 0);
}

static void another_user_is_not_heard(void **state)
{
	struct served s;
	int status = -1;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		return; /* only root can be somebody else */
	serve(&s);
	pid = fork();
	if (pid == 0)
		_exit(ask_as_nobody(&s));
	for (int i = 0; i < 500 && waitpid(pid, &status, WNOHANG) == 0; i++)
		turn(&s, 1);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	serve_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_setup_is_read_however_it_is_cut),
		cmocka_unit_test(a_setup_that_ends_early_leaves_nothing),
		cmocka_unit_test(what_is_wrong_is_told_in_words),
		cmocka_unit_test(json_that_is_none_is_refused),
		cmocka_unit_test(a_request_has_bounds),
		cmocka_unit_test(a_value_that_cannot_be_is_refused),
		cmocka_unit_test(names_and_placeholders_must_not_clash),
		cmocka_unit_test(lists_have_bounds),
		cmocka_unit_test(a_setup_makes_all_that_there_is),
		cmocka_unit_test(all_names_are_one_pattern),
		cmocka_unit_test(an_update_is_all_or_nothing),
		cmocka_unit_test(an_update_adds_changes_keeps_and_removes),
		cmocka_unit_test(there_are_no_more_secrets_than_bits),
		cmocka_unit_test(
			an_update_too_long_for_the_link_changes_nothing),
		cmocka_unit_test(who_has_no_network_is_told_so),
		cmocka_unit_test(a_wrong_authority_is_refused),
		cmocka_unit_test(
			the_first_request_is_answered_with_the_authority),
		cmocka_unit_test(a_first_request_that_ends_is_refused),
		cmocka_unit_test(updates_are_served_while_others_are_slow),
		cmocka_unit_test(a_client_too_many_waits_for_its_turn),
		cmocka_unit_test(a_client_that_says_nothing_is_left_in_time),
		cmocka_unit_test(an_update_of_one_who_left_is_not_made),
		cmocka_unit_test(a_wrong_update_is_answered_in_words),
		cmocka_unit_test(another_user_is_not_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
