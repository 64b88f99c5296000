#include "lib/test.h"

#include <errno.h>

#include "tls/subst_encode.h"
#include "tls/subst_world.h"

/* ---- one request --------------------------------------------------------- */

struct got {
	int r;
	bool secret;
	struct buf out;
	char refusal[512];
};

static void got_free(struct got *g)
{
	buf_release(&g->out);
}
#define cleanup_got cleanup(got_free)

static struct got header(struct world *w, const char *name, const void *value,
                         size_t len)
{
	struct got g = {.out = BUF_INIT};
	struct subst *s = world_subst(w);

	assert_non_null(s);
	assert_int_equal(buf_adds(&g.out, "before:"), 0);
	g.r = subst_header(s, name, strlen(name), value, len, &g.out,
	                   &g.secret);
	if (g.r < 0)
		assert_string_equal(buf_str(&g.out), "before:");
	buf_consume(&g.out, strlen("before:"));
	(void)snprintf(g.refusal, sizeof(g.refusal), "%s", subst_refusal(s));
	subst_free(s);
	return g;
}

static void assert_header(struct world *w, const char *name, const char *value,
                          const char *want)
{
	cleanup_got struct got g = header(w, name, value, strlen(value));

	assert_int_equal(g.r, 0);
	assert_string_equal(buf_str(&g.out), want);
	assert_int_equal(g.secret, strcmp(value, want) != 0);
}

static void assert_target(struct world *w, const char *target, int want_r,
                          const char *want)
{
	cleanup_buf struct buf out = BUF_INIT;
	struct subst *s = world_subst(w);

	assert_non_null(s);
	assert_int_equal(subst_target(s, target, strlen(target), &out), want_r);
	assert_string_equal(buf_str(&out), want_r < 0 ? "" : want);
	subst_free(s);
}

/* Nothing of a value is in what was told. */
static void assert_quiet(const struct world *w)
{
	for (unsigned i = 0; i < w->nlines; i++)
		for (unsigned k = 0; k < w->secrets->n; k++) {
			const struct secret *c = &w->secrets->v[k];

			assert_null(memmem(w->lines[i], strlen(w->lines[i]),
			                   c->value, c->len));
		}
}

static void one(struct world *w, struct world_secret s)
{
	assert_int_equal(world_init(w, &s, 1), 0);
}

static struct world w;

static int teardown(void **state)
{
	(void)state;
	world_release(&w);
	return 0;
}

/* ---- headers ------------------------------------------------------------- */

static void a_placeholder_in_a_header_becomes_the_value(void **state)
{
	(void)state;
	one(&w, (struct world_secret){0});
	assert_header(&w, "X-Key", WORLD_PH, WORLD_VALUE);
	assert_header(&w, "Authorization", "Bearer " WORLD_PH,
	              "Bearer " WORLD_VALUE);
	assert_header(&w, "cookie", "a=1; key=" WORLD_PH "; b=" WORLD_PH,
	              "a=1; key=" WORLD_VALUE "; b=" WORLD_VALUE);
	assert_header(&w, "X", WORLD_PH WORLD_PH "MSB_" WORLD_PH,
	              WORLD_VALUE WORLD_VALUE "MSB_" WORLD_VALUE);
	assert_header(&w, "X", "MSB_0123456789abcde", "MSB_0123456789abcde");
	assert_header(&w, "X", "", "");
	assert_int_equal(w.counts[TLSLINK_USED], 7);
	assert_int_equal(w.nlines, 0);
}

/* What is encoded stays encoded in the same way. */
static void an_encoded_placeholder_becomes_the_encoded_value(void **state)
{
	(void)state;
	one(&w, (struct world_secret){.placeholder = "MSB_\"k\xc3\xa9\xf0\x9f"
	                                             "\x98\x80",
	                              .value = "v/\"1\xc3\xa9"});
	assert_header(&w, "Cookie",
	              "%4DSB_%22k%c3%A9%F0%9f%98%80; x=%4DSB_%22k", /* a part */
	              "v%2F%221%C3%A9; x=%4DSB_%22k");
	assert_header(&w, "X", "{\"MSB_\\\"k\\u00e9\\uD83d\\ude00\"}",
	              "{\"v/\\\"1\xc3\xa9\"}");
	assert_header(&w, "X", "%4d%53%42%5f%22%6b%c3%a9%f0%9f%98%80",
	              "v%2F%221%C3%A9");
	assert_header(&w, "X",
	              "\\u004D\\u0053\\u0042\\u005F\\u0022\\u006b\\u00E9"
	              "\\uD83D\\uDE00",
	              "v/\\\"1\xc3\xa9");
	assert_int_equal(w.counts[TLSLINK_USED], 4);
	/* Both at once: what is meant is not clear. */
	assert_header(&w, "X", "%4DSB_\\\"k\xc3\xa9\xf0\x9f\x98\x80",
	              "%4DSB_\\\"k\xc3\xa9\xf0\x9f\x98\x80");
	assert_int_equal(w.nlines, 1);
	assert_non_null(strstr(w.lines[0], "encoded in two ways"));
}

static void what_only_looks_like_an_escape_is_a_byte(void **state)
{
	(void)state;
	one(&w, (struct world_secret){.placeholder = "100%sure\\u"});
	assert_header(&w, "X", "100%sure\\u", WORLD_VALUE);
	assert_header(&w, "X", "%3100%sure\\u", WORLD_VALUE);
	assert_header(&w, "X", "%3g100%sure\\u", "%3g" WORLD_VALUE);
	assert_header(&w, "X", "100%25sure%5cu", "s3cr3t-value");
	assert_header(&w, "X", "100%sure\\\\u", "s3cr3t-value");
	assert_header(&w, "X", "100%sure\\ud8", WORLD_VALUE "d8");
	/* Encoded twice is not looked into. */
	assert_header(&w, "X", "100%2525sure%255cu", "100%2525sure%255cu");
}

static void the_longest_of_placeholders_that_begin_alike_counts(void **state)
{
	const struct world_secret v[] = {
		{.name = "A", .placeholder = "MSB_A",  .value = "first" },
		{.name = "B", .placeholder = "MSB_AB", .value = "second"},
		{.name = "C", .placeholder = "SB_AB",  .value = "never" }
        };

	(void)state;
	assert_int_equal(world_init(&w, v, 3), 0);
	assert_header(&w, "X", "MSB_A MSB_AB MSB_ABB xSB_AB MSB_A\\u0042",
	              "first second secondB xnever second");
}

static void values_of_all_lengths_are_put_in(void **state)
{
	static const size_t lens[] = {1,   2,    35,    36,   37,
	                              255, 4096, 65535, 65536};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		char *value = malloc(lens[i]);
		struct got g;

		assert_non_null(value);
		for (size_t k = 0; k < lens[i]; k++)
			value[k] = (char)(' ' + k % 95);
		one(&w, (struct world_secret){.value = value, .len = lens[i]});
		g = header(&w, "X", "<" WORLD_PH ">", 22);
		assert_int_equal(g.r, 0);
		assert_int_equal(g.out.len, lens[i] + 2);
		assert_memory_equal(g.out.data + 1, value, lens[i]);
		got_free(&g);
		world_release(&w);
		free(value);
	}
}

static void what_would_break_a_header_is_never_put_into_one(void **state)
{
	static const struct {
		const char *value;
		size_t len;
	} v[] = {
		{"a\nb",       3},
                {"trailing\n", 9},
                {"\rx",        2},
                {"nul\0nul",   7}
        };
	static const char basic[] =
		"Basic dTpNU0JfMDEyMzQ1Njc4OWFiY2RlZg=="; /* u:PLACEHOLDER */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		struct got g;

		one(&w, (struct world_secret){.value = v[i].value,
		                              .len = v[i].len});
		g = header(&w, "X-Key", WORLD_PH, strlen(WORLD_PH));
		assert_int_equal(g.r, -EACCES);
		assert_string_equal(g.refusal,
		                    "the value of secret KEY has a line break "
		                    "or a NUL in it, which no header can have");
		assert_int_equal(w.counts[TLSLINK_NOTE], 1);
		assert_string_equal(
			w.lines[0],
			"secret KEY: its value has a line break or a NUL in it "
			"and cannot be put into the header X-Key: blocked "
			"(POST /v1 to api.example.com, HTTP/1.1)");
		got_free(&g);
		g = header(&w, "X-Key", "%4DSB_0123456789abcdef", 22);
		assert_int_equal(g.r, -EACCES);
		got_free(&g);
		g = header(&w, "authorization", basic, strlen(basic));
		assert_int_equal(g.r, -EACCES);
		got_free(&g);
		assert_int_equal(w.counts[TLSLINK_USED], 0);
		world_release(&w);
	}
}

static void out_of_room_leaves_nothing(void **state)
{
	struct buf out = BUF_INIT_MAX(16);
	struct subst *s;
	bool secret = false;

	(void)state;
	one(&w, (struct world_secret){0});
	s = world_subst(&w);
	assert_int_equal(buf_adds(&out, "12"), 0);
	assert_int_equal(
		subst_header(s, "X", 1, "abc" WORLD_PH "d", 24, &out, &secret),
		-E2BIG);
	assert_int_equal(out.len, 2);
	assert_null(memmem(out.data, out.cap, WORLD_VALUE, 6));
	assert_int_equal(subst_used(s), 0);
	subst_free(s);
	buf_release(&out);
}

/* ---- Basic --------------------------------------------------------------- */

static void assert_basic(const char *name, const char *before, const char *in,
                         const char *want)
{
	cleanup_buf struct buf value = BUF_INIT, plain = BUF_INIT;
	struct got g;

	assert_int_equal(buf_adds(&value, before), 0);
	assert_int_equal(base64_add(&value, (const uint8_t *)in, strlen(in)),
	                 0);
	g = header(&w, name, value.data, value.len);
	assert_int_equal(g.r, 0);
	assert_memory_equal(g.out.data, before, strlen(before));
	assert_int_equal(base64_decode(buf_str(&g.out) + strlen(before),
	                               g.out.len - strlen(before), &plain),
	                 0);
	assert_string_equal(buf_str(&plain), want);
	assert_int_equal(g.secret, strcmp(in, want) != 0);
	got_free(&g);
}

static void basic_is_decoded_and_encoded_again(void **state)
{
	(void)state;
	one(&w, (struct world_secret){.value = "p\xc3\xa4ss:w%rd"});
	assert_basic("Authorization", "Basic ", "user:" WORLD_PH,
	             "user:p\xc3\xa4ss:w%rd");
	assert_basic("authorization", "BASIC \t ", WORLD_PH ":",
	             "p\xc3\xa4ss:w%rd:");
	assert_basic("Proxy-Authorization", "basic ",
	             WORLD_PH ":" WORLD_PH "xx",
	             "p\xc3\xa4ss:w%rd:p\xc3\xa4ss:w%rdxx");
	assert_basic("Authorization", "Basic ", "no:thing", "no:thing");
	assert_basic("Authorization", "Basic ", "u:%4DSB_0123456789abcdef",
	             "u:p%C3%A4ss%3Aw%25rd");
	assert_int_equal(w.counts[TLSLINK_USED], 5);
	assert_quiet(&w);
}

static void what_is_behind_basic_is_kept(void **state)
{
	(void)state;
	one(&w, (struct world_secret){.value = "abc"});
	assert_header(
		&w, "Authorization",
		"Basic dTpNU0JfMDEyMzQ1Njc4OWFiY2RlZg==  ", "Basic dTphYmM=  ");
}

static void what_is_not_base64_is_left(void **state)
{
	static const char *const left[] = {
		"Basic dTpNU0JfMDEyMzQ1Njc4OWFiY2RlZg",    /* no padding */
		"Basic dTpNU0JfMDEyMzQ1Njc4OWFiY2RlZg=",   /* too little */
		"Basic dTpNU0JfMDEyMzQ1Njc4OWFiY2RlZh==",  /* bits behind */
		"Basic dTpNU0Jf MDEyMzQ1Njc4OWFiY2RlZg==", /* a blank */
		"Basic dTpNU0Jf=MDEyMzQ1Njc4OWFiY2RlZg=",
		"Basic dTpNU0Jf-DEyMzQ1Njc4OWFiY2RlZg==",
		"Basic",
		"Basic ",
		"BasicdTpNU0JfMDEyMzQ1Njc4OWFiY2RlZg==",
		"Digest dTpNU0JfMDEyMzQ1Njc4OWFiY2RlZg=="};

	(void)state;
	one(&w, (struct world_secret){0});
	for (size_t i = 0; i < ARRAY_SIZE(left); i++)
		assert_header(&w, "Authorization", left[i], left[i]);
	assert_header(&w, "X-Authorization",
	              "Basic dTpNU0JfMDEyMzQ1Njc4OWFiY2RlZg==",
	              "Basic dTpNU0JfMDEyMzQ1Njc4OWFiY2RlZg==");
	/* As it is where base64 is expected: the user has encoded it. */
	assert_header(&w, "Authorization", "Basic " WORLD_PH,
	              "Basic " WORLD_VALUE);
}

static void base64_is_exact_for_all_lengths(void **state)
{
	uint8_t data[300];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	for (size_t len = 1; len < sizeof(data); len++) {
		cleanup_buf struct buf text = BUF_INIT, back = BUF_INIT;

		assert_int_equal(base64_add(&text, data, len), 0);
		assert_int_equal(text.len, (len + 2) / 3 * 4);
		assert_int_equal(base64_decode(buf_str(&text), text.len, &back),
		                 0);
		assert_int_equal(back.len, len);
		assert_memory_equal(back.data, data, len);
	}
}

/* ---- targets ------------------------------------------------------------- */

static void a_query_gets_the_value_percent_encoded(void **state)
{
	(void)state;
	one(&w, (struct world_secret){.value = "a b&c=d%/?#\xc3\xa9~-._Z9"});
	assert_target(&w, "/v1?key=" WORLD_PH "&x=%20+y?" WORLD_PH, 0,
	              "/v1?key=a%20b%26c%3Dd%25%2F%3F%23%C3%A9~-._Z9&x=%20+y?"
	              "a%20b%26c%3Dd%25%2F%3F%23%C3%A9~-._Z9");
	assert_target(
		&w, "/v1?key=%4dSB_0123456789abcdef#" WORLD_PH, 0,
		"/v1?key=a%20b%26c%3Dd%25%2F%3F%23%C3%A9~-._Z9#" WORLD_PH);
	assert_target(&w, "https://api.example.com:443/v1?" WORLD_PH, 0,
	              "https://api.example.com:443/v1?"
	              "a%20b%26c%3Dd%25%2F%3F%23%C3%A9~-._Z9");
	assert_target(&w, "*", 0, "*");
	assert_target(&w, "", 0, "");
	assert_int_equal(w.counts[TLSLINK_USED], 4);
}

/* With a space in it the target would end there, for some servers. */
static void
a_query_that_is_written_in_json_gets_it_percent_encoded(void **state)
{
	(void)state;
	one(&w, (struct world_secret){.value = "a HTTP/1.1 #&x"});
	assert_target(&w, "/v1?key=\\u004dSB_0123456789abcdef&y", 0,
	              "/v1?key=a%20HTTP%2F1.1%20%23%26x&y");
	assert_int_equal(w.counts[TLSLINK_USED], 1);
}

static void a_path_never_gets_a_value(void **state)
{
	(void)state;
	one(&w, (struct world_secret){0});
	assert_target(&w, "/v1/" WORLD_PH "/x?q=1", 0,
	              "/v1/" WORLD_PH "/x?q=1");
	assert_target(&w, "/v1/%4DSB_0123456789abcdef", 0,
	              "/v1/%4DSB_0123456789abcdef");
	assert_target(&w, "/v1#?" WORLD_PH, 0, "/v1#?" WORLD_PH);
	assert_int_equal(w.counts[TLSLINK_USED], 0);
	assert_int_equal(w.nlines, 1); /* once a flow */
	assert_string_equal(w.lines[0],
	                    "secret KEY: its placeholder in the path stays as "
	                    "it is: no value is put there (POST /v1 to "
	                    "api.example.com, HTTP/1.1)");
}

static void a_placeholder_over_the_mark_is_the_paths(void **state)
{
	(void)state;
	one(&w, (struct world_secret){.placeholder = "key?1234"});
	assert_target(&w, "/key?1234", 0, "/key?1234");
	assert_target(&w, "/?key?1234", 0, "/?" WORLD_VALUE);
}

/* ---- what a secret is for ------------------------------------------------ */

static void a_place_that_a_secret_is_not_for_keeps_the_placeholder(void **state)
{
	static const char basic[] = "Basic dTpNU0JfMDEyMzQ1Njc4OWFiY2RlZg==";

	(void)state;
	one(&w, (struct world_secret){.where = SECRET_BASIC});
	assert_header(&w, "X", WORLD_PH, WORLD_PH);
	assert_header(&w, "X", WORLD_PH, WORLD_PH);
	assert_target(&w, "/?" WORLD_PH, 0, "/?" WORLD_PH);
	assert_int_equal(w.nlines, 2);
	assert_string_equal(w.lines[0],
	                    "secret KEY: its placeholder in the header X stays "
	                    "as it is: the secret is not for that place (POST "
	                    "/v1 to api.example.com, HTTP/1.1)");
	assert_non_null(strstr(w.lines[1], "in the query"));
	assert_header(&w, "Authorization", basic, "Basic dTpzM2NyM3QtdmFsdWU=");
	world_release(&w);

	one(&w, (struct world_secret){.where = SECRET_HEADERS | SECRET_QUERY});
	assert_header(&w, "Authorization", basic, basic);
	assert_non_null(strstr(w.lines[0], "in the Basic, header Authoriz"));
	assert_header(&w, "X", WORLD_PH, WORLD_VALUE);
	assert_target(&w, "/?" WORLD_PH, 0, "/?" WORLD_VALUE);
}

/* ---- violations ---------------------------------------------------------- */

static void who_is_not_allowed_gets_no_value(void **state)
{
	static const struct {
		const char *name, *authority;
		bool tls, pinned, verified;
		const char *why;
	} cases[] = {
		{"evil.example",    "evil.example",    true,  true,  true,
	         "sent to evil.example (header X, POST /v1, HTTP/1.1): "
	         "blocked; "
	         "it is allowed for api.example.com"                                                },
		{"evil.example",    WORLD_HOST,        true,  true,  true,
	         "sent to evil.example (header X, POST /v1, HTTP/1.1): "
	         "blocked; "
	         "it is allowed for api.example.com"                                                },
		{WORLD_HOST,        "evil.example",    true,  true,  true,
	         "sent to api.example.com (header X, POST /v1, HTTP/1.1): "
	         "blocked: Host and SNI differ; it is allowed for "
	         "api.example.com"								  },
		{WORLD_HOST,        "",                true,  true,  true,  ": Host and SNI differ;"},
		{WORLD_HOST,        WORLD_HOST,        false, true,  true,  ": clear text;"         },
		{WORLD_HOST,        WORLD_HOST,        true,  false, true,
	         ": the address was not learnt from the sandbox's name "
	         "server;"									  },
		{WORLD_HOST,        WORLD_HOST,        true,  true,  false,
	         ": the server's certificate is not verified;"                                      },
		{"",                WORLD_HOST,        true,  true,  true,
	         "sent to api.example.com (header X, POST /v1, HTTP/1.1): "
	         "blocked: the guest spoke to an address, not to a name;"                           },
		{"",                "",                true,  true,  true,  "sent to an address ("  },
		{"sub." WORLD_HOST, "sub." WORLD_HOST, true,  true,  true,
	         "sent to sub.api.example.com ("						    },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct got g;

		one(&w, (struct world_secret){.violation = SECRET_BLOCK_LOG});
		(void)snprintf(w.gate.name, sizeof(w.gate.name), "%s",
		               cases[i].name);
		w.rq.authority = cases[i].authority;
		w.gate.tls = cases[i].tls;
		w.gate.pinned = cases[i].pinned;
		w.gate.verified = cases[i].verified;
		g = header(&w, "X", WORLD_PH, strlen(WORLD_PH));
		assert_int_equal(g.r, -EACCES);
		assert_int_equal(w.counts[TLSLINK_VIOLATION], 1);
		assert_int_equal(w.counts[TLSLINK_USED], 0);
		assert_int_equal(w.nlines, 1);
		assert_non_null(strstr(w.lines[0], cases[i].why));
		assert_quiet(&w);
		got_free(&g);
		world_release(&w);
	}
}

/* The hosts of a secret for all: only where the name is known. */
static void a_secret_for_all_hosts_still_needs_a_name(void **state)
{
	struct got g;

	(void)state;
	one(&w, (struct world_secret){.hosts = "*"});
	assert_header(&w, "X", WORLD_PH, WORLD_VALUE);
	w.gate.name[0] = '\0';
	w.rq.authority = "";
	g = header(&w, "X", WORLD_PH, strlen(WORLD_PH));
	assert_int_equal(g.r, -EACCES);
	got_free(&g);
}

static void each_option_does_what_it_says(void **state)
{
	static const struct {
		enum secret_violation how;
		int r;
		unsigned lines, terminated;
		const char *done;
	} cases[] = {
		{SECRET_BLOCK,           -EACCES, 0, 0, NULL              },
		{SECRET_BLOCK_LOG,       -EACCES, 1, 0, ": blocked; it is"},
		{SECRET_BLOCK_TERMINATE, -EACCES, 1, 1,
	         ": blocked, and the sandbox ends; it is"                 },
		{SECRET_PASS,            0,       1, 0,
	         ": passed on, the placeholder as it is; it is"           },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct got g;

		one(&w, (struct world_secret){.violation = cases[i].how,
		                              .hosts = "other.example"});
		g = header(&w, "X", "a " WORLD_PH, 2 + strlen(WORLD_PH));
		assert_int_equal(g.r, cases[i].r);
		assert_string_equal(buf_str(&g.out),
		                    cases[i].r < 0 ? "" : "a " WORLD_PH);
		assert_int_equal(w.counts[TLSLINK_VIOLATION], 1);
		assert_int_equal(w.nlines, cases[i].lines);
		assert_int_equal(w.terminated, cases[i].terminated);
		if (cases[i].r < 0)
			assert_non_null(strstr(g.refusal,
			                       "the placeholder of secret KEY "
			                       "must not go to "));
		if (cases[i].done)
			assert_non_null(strstr(w.lines[0], cases[i].done));
		got_free(&g);
		world_release(&w);
	}
}

static void each_place_is_watched_in_each_form(void **state)
{
	static const struct {
		const char *header, *value, *place;
	} cases[] = {
		{"X-A",              "x" WORLD_PH,                             "(header X-A, "                    },
		{"X-A",              "%4DSB_0123456789abcdef",                 "(header X-A, "                    },
		{"Cookie",           "a=MSB\\u005f0123456789abcdef;",          "(header Cookie, "                 },
		{"X-A",              "%4DSB\\u005f0123456789abcdef",           "(header X-A, "                    },
		{"authorization",    "basic dTpNU0JfMDEyMzQ1Njc4OWFiY2RlZg==",
	         "(Basic, header authorization, "								 },
		{"authorization",    "basic JTREU0JfMDEyMzQ1Njc4OWFiY2RlZjph",
	         "(Basic, header authorization, "								 },
		{WORLD_PH,           "x",				      "(header's name " WORLD_PH ", "    },
		{"x-" WORLD_PH "-y", "x",                                      "(header's name x-" WORLD_PH "-y, "},
		{NULL,               "/" WORLD_PH,                             "(path, "                          },
		{NULL,               "/a%4DSB%5F0123456789abcdef?x",           "(path, "                          },
		{NULL,               "/?" WORLD_PH,                            "(query, "                         },
		{NULL,               "/?x=\\u004dSB_0123456789abcdef&",        "(query, "                         },
		{NULL,               "/#" WORLD_PH,                            "(path, "                          },
		{NULL,               "http://" WORLD_PH "@h/",                 "(path, "                          },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		one(&w, (struct world_secret){.hosts = "a.example",
		                              .violation = SECRET_BLOCK_LOG});
		if (cases[i].header) {
			struct got g =
				header(&w, cases[i].header, cases[i].value,
			               strlen(cases[i].value));

			assert_int_equal(g.r, -EACCES);
			got_free(&g);
		} else {
			assert_target(&w, cases[i].value, -EACCES, NULL);
		}
		assert_int_equal(w.nlines, 1);
		assert_non_null(strstr(w.lines[0], cases[i].place));
		world_release(&w);
	}
}

static void a_placeholder_as_a_method_is_refused_with_the_target(void **state)
{
	(void)state;
	one(&w, (struct world_secret){.hosts = "a.example",
	                              .violation = SECRET_BLOCK_LOG});
	w.rq.method = WORLD_PH;
	assert_target(&w, "/", -EACCES, NULL);
	assert_non_null(strstr(w.lines[0], "(method MSB_0123456789abcdef, "));
	world_release(&w);
	one(&w, (struct world_secret){0});
	w.rq.method = WORLD_PH;
	assert_target(&w, "/", 0, "/");
}

static void the_line_is_as_people_are_shown(void **state)
{
	struct got g;

	(void)state;
	one(&w, (struct world_secret){.name = "OPENAI_API_KEY",
	                              .hosts = "api.openai.com",
	                              .violation = SECRET_BLOCK_LOG});
	(void)snprintf(w.gate.name, sizeof(w.gate.name), "evil.example");
	w.rq.authority = "evil.example";
	w.rq.protocol = "HTTP/2";
	g = header(&w, "Authorization", "Bearer " WORLD_PH, 27);
	assert_int_equal(g.r, -EACCES);
	assert_string_equal(
		w.lines[0],
		"secret OPENAI_API_KEY: its placeholder was sent to "
		"evil.example (header Authorization, POST /v1, HTTP/2): "
		"blocked; it is allowed for api.openai.com");
	got_free(&g);
}

static void what_the_guest_wrote_is_short_and_harmless_in_lines(void **state)
{
	char method[4000], path[8000], name[3000];
	struct got g;

	(void)state;
	one(&w, (struct world_secret){.hosts = "a.example b.example c.example "
	                                       "d.example",
	                              .violation = SECRET_BLOCK_LOG});
	memset(method, '\x1b', sizeof(method) - 1);
	memset(path, '\n', sizeof(path) - 1);
	memset(name, '\xff', sizeof(name) - 1);
	method[sizeof(method) - 1] = path[sizeof(path) - 1] =
		name[sizeof(name) - 1] = '\0';
	w.rq.method = method;
	w.rq.path = path;
	g = header(&w, name, WORLD_PH, strlen(WORLD_PH));
	assert_int_equal(g.r, -EACCES);
	assert_true(strlen(w.lines[0]) < 500);
	for (const char *p = w.lines[0]; *p; p++)
		assert_in_range(*p, ' ', '~');
	assert_non_null(strstr(w.lines[0], "a.example, b.example, c.example"));
	got_free(&g);
}

/* It knows it from an answer that was not masked. */
static void a_value_that_the_guest_knows_is_in_no_line(void **state)
{
	char path[300];
	struct got g;

	(void)state;
	one(&w, (struct world_secret){.hosts = "a.example",
	                              .violation = SECRET_BLOCK_LOG});
	memset(path, 'p', sizeof(path));
	(void)snprintf(path, sizeof(path), "/%s/%*s", WORLD_VALUE, 120,
	               WORLD_VALUE WORLD_VALUE);
	w.rq.path = path;
	w.rq.method = WORLD_VALUE;
	g = header(&w, "x-" WORLD_VALUE, WORLD_PH, strlen(WORLD_PH));
	assert_int_equal(g.r, -EACCES);
	assert_int_equal(w.nlines, 1);
	assert_non_null(strstr(w.lines[0], "header x-************, "));
	assert_null(strstr(w.lines[0], "s3c"));
	got_free(&g);
	world_release(&w);
	/* What it becomes is no value again. */
	one(&w, (struct world_secret){.hosts = "a.example",
	                              .value = "********",
	                              .violation = SECRET_BLOCK_LOG});
	w.rq.path = "/****************";
	g = header(&w, "x", WORLD_PH, strlen(WORLD_PH));
	assert_int_equal(g.r, -EACCES);
	got_free(&g);
}

static void many_hosts_are_counted(void **state)
{
	struct buf hosts = BUF_INIT;
	struct got g;

	(void)state;
	for (unsigned i = 0; i < 60; i++)
		assert_int_equal(buf_printf(&hosts, "%shost-%u.long.example",
		                            i ? " " : "", i),
		                 0);
	one(&w, (struct world_secret){.hosts = buf_str(&hosts),
	                              .violation = SECRET_BLOCK_LOG});
	g = header(&w, "X", WORLD_PH, strlen(WORLD_PH));
	assert_int_equal(g.r, -EACCES);
	assert_non_null(strstr(w.lines[0], "host-8.long.example"));
	assert_non_null(strstr(w.lines[0], "example and 51 more"));
	got_free(&g);
	buf_release(&hosts);
}

/* The worst of them counts, wherever it stands. */
static void one_that_passes_does_not_hide_one_that_blocks(void **state)
{
	const struct world_secret v[] = {
		{.name = "A",
	         .placeholder = "MSB_AAAA",
	         .hosts = "a.example",
	         .violation = SECRET_PASS},
		{.name = "B",   .placeholder = "MSB_BBBB",                         .hosts = "b.example"},
		{.name = "C",.placeholder = "MSB_CCCC"}
        };
	struct got g;

	(void)state;
	assert_int_equal(world_init(&w, v, 3), 0);
	g = header(&w, "X", "MSB_CCCC MSB_AAAA MSB_BBBB", 26);
	assert_int_equal(g.r, -EACCES);
	got_free(&g);
	g = header(&w, "X", "MSB_CCCC MSB_AAAA MSB_AAAA", 26);
	assert_int_equal(g.r, 0);
	assert_string_equal(buf_str(&g.out), WORLD_VALUE " MSB_AAAA MSB_AAAA");
	assert_true(g.secret);
	got_free(&g);
	/* 1 + 1, then 2 of the second request: one line, all counted. */
	assert_int_equal(w.counts[TLSLINK_VIOLATION], 4);
	assert_int_equal(w.nlines, 2);
	assert_int_equal(w.counts[TLSLINK_USED], 1);
}

/* ---- nothing to do ------------------------------------------------------- */

static void a_guess_of_a_placeholder_is_text(void **state)
{
	(void)state;
	one(&w, (struct world_secret){.violation = SECRET_BLOCK_TERMINATE});
	assert_header(&w, "X", "MSB_fedcba9876543210", "MSB_fedcba9876543210");
	assert_int_equal(w.nlines + w.counts[TLSLINK_VIOLATION], 0);
}

static void without_secrets_all_is_copied(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct subst *s;

		assert_int_equal(world_init(&w, NULL, 0), 0);
		if (i)
			world_release(&w);
		s = world_subst(&w);
		assert_non_null(s);
		assert_false(subst_looks(s));
		subst_free(s);
		assert_header(&w, "Authorization", "Basic " WORLD_PH " %4d\\",
		              "Basic " WORLD_PH " %4d\\");
		assert_target(&w, "/" WORLD_PH "?" WORLD_PH, 0,
		              "/" WORLD_PH "?" WORLD_PH);
		assert_int_equal(w.nlines, 0);
		world_release(&w);
	}
	subst_free(NULL);
}

/* A rotation in the middle of a request changes nothing for it. */
static void a_request_keeps_the_secrets_that_it_began_with(void **state)
{
	struct buf out = BUF_INIT;
	struct subst *s;
	bool secret;

	(void)state;
	one(&w, (struct world_secret){0});
	s = world_subst(&w);
	secrets_unref(w.secrets);
	w.secrets = NULL;
	assert_true(subst_looks(s));
	assert_int_equal(subst_header(s, "X", 1, WORLD_PH, strlen(WORLD_PH),
	                              &out, &secret),
	                 0);
	assert_string_equal(buf_str(&out), WORLD_VALUE);
	assert_int_equal(subst_used(s), 1);
	subst_free(s);
	buf_release(&out);
}

/* 64 KiB of escapes that all might be of a placeholder. */
static void a_header_full_of_escapes_takes_no_time_to_speak_of(void **state)
{
	static const char bit[] = "%4D%53%42%5F%30%31%32%33%34%35%36%37%38%39"
				  "\\u0061%62%63%64%65%66";
	struct buf in = BUF_INIT;
	struct got g;

	(void)state;
	one(&w, (struct world_secret){0});
	while (in.len + sizeof(bit) < 64 * KIB)
		assert_int_equal(buf_adds(&in, bit), 0);
	g = header(&w, "X", in.data, in.len);
	assert_int_equal(g.r, 0);
	assert_int_equal(g.out.len, in.len);
	assert_int_equal(w.nlines, 1); /* in two ways at once */
	got_free(&g);
	buf_release(&in);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_placeholder_in_a_header_becomes_the_value),
		TEST(an_encoded_placeholder_becomes_the_encoded_value),
		TEST(what_only_looks_like_an_escape_is_a_byte),
		TEST(the_longest_of_placeholders_that_begin_alike_counts),
		TEST(values_of_all_lengths_are_put_in),
		TEST(what_would_break_a_header_is_never_put_into_one),
		TEST(out_of_room_leaves_nothing),
		TEST(basic_is_decoded_and_encoded_again),
		TEST(what_is_behind_basic_is_kept),
		TEST(what_is_not_base64_is_left),
		TEST(base64_is_exact_for_all_lengths),
		TEST(a_query_gets_the_value_percent_encoded),
		TEST(a_query_that_is_written_in_json_gets_it_percent_encoded),
		TEST(a_path_never_gets_a_value),
		TEST(a_placeholder_over_the_mark_is_the_paths),
		TEST(a_place_that_a_secret_is_not_for_keeps_the_placeholder),
		TEST(who_is_not_allowed_gets_no_value),
		TEST(a_secret_for_all_hosts_still_needs_a_name),
		TEST(each_option_does_what_it_says),
		TEST(each_place_is_watched_in_each_form),
		TEST(a_placeholder_as_a_method_is_refused_with_the_target),
		TEST(the_line_is_as_people_are_shown),
		TEST(what_the_guest_wrote_is_short_and_harmless_in_lines),
		TEST(a_value_that_the_guest_knows_is_in_no_line),
		TEST(many_hosts_are_counted),
		TEST(one_that_passes_does_not_hide_one_that_blocks),
		TEST(a_guess_of_a_placeholder_is_text),
		TEST(without_secrets_all_is_copied),
		TEST(a_request_keeps_the_secrets_that_it_began_with),
		TEST(a_header_full_of_escapes_takes_no_time_to_speak_of),
	};

	return cmocka_run_group_tests_name("tls/subst", tests, NULL, NULL);
}
