/* Secrets and TLS interception: what may be, what is on record, what msb-tls
 * is told, and what it says. */
#include "lib/test.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "lib/command.h"
#include "lib/doctor.h"
#include "lib/record.h"
#include "lib/secret.h"
#include "lib/tls_request.h"
#include "proto/tls_setup.h"

#define LIST(...)                                                              \
	(const char *const[])                                                  \
	{                                                                      \
		__VA_ARGS__, NULL                                              \
	}
#define SECRET(...)                                                            \
	(&(const struct msb_secret){.size = sizeof(struct msb_secret),         \
	                            __VA_ARGS__})
#define SECRETS(...)                                                           \
	(const struct msb_secret *const[])                                     \
	{                                                                      \
		__VA_ARGS__, NULL                                              \
	}
#define TLS(...)                                                               \
	(&(const struct msb_tls){.size = sizeof(struct msb_tls), __VA_ARGS__})
#define NET(...)                                                               \
	(&(const struct msb_network){.size = sizeof(struct msb_network),       \
	                             __VA_ARGS__})
#define KEY(...) SECRET(.env = "KEY", .hosts = LIST("a.example"), __VA_ARGS__)

/* ---- what may be --------------------------------------------------------- */

static void what_may_be_is_taken(void **state)
{
	const struct secret_checked good[] = {
		{.secrets = NULL                    },
		{					    .secrets = SECRETS(KEY(.flags = 0))                                  },
		{ .secrets = SECRETS(
			 SECRET(.env = "_k9",
                 .hosts = LIST("localhost", "A.Example.",
                 "*.a.example", "xn--bcher-kva.example", "*")))},
		{								    .secrets = SECRETS(KEY(.placeholder = "abcd"),
                 SECRET(.env = "B", .hosts = LIST("a.org"),
                 .placeholder = "bcda"))},
		{									.secrets = SECRETS(
			 KEY(.flags = 31,                   .violation = 4, .source = "OTHER"))},
		{					.secrets = SECRETS(KEY(.flags = 0)),
	         .env = LIST("KEY2=a", "KE=b")},
		{				       .secrets = SECRETS(KEY(.flags = 0)),
	         .network = NET(.default_egress = MSB_NET_DENY,
                 .rules = LIST("allow@a.example"))},
		{							   .tls = TLS(.violation = MSB_VIOLATION_PASS)               },
		{						    .tls = TLS(.flags = MSB_TLS_INTERCEPT | MSB_TLS_NO_BLOCK_QUIC,
                 .ports = LIST("443", "65535"),
                 .bypass = LIST("*.bank.example", "*.com"),
                 .ca_cert = "a", .ca_key = "b",
                 .upstream_cas = LIST("/x"),
                 .upstream_cas_for = LIST("*.x.example=/y", "*=/z"),
                 .no_verify_for = LIST("*"))},
		{				    .tls = TLS(.bypass = LIST("a.org")),                                   .recorded = true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct err err = {0};
		int r = secrets_check(&good[i], &err);

		if (r < 0)
			print_message("%zu: %s\n", i, err.msg);
		assert_int_equal(r, 0);
	}
}

static void what_cannot_be_is_refused_with_words(void **state)
{
	static char long_name[200], long_text[1100], no_name[300];
	/* clang-format off */
	const struct {
		struct secret_checked c;
		const char *words;
	} bad[] = {
#define ONE(words, ...)                                                        \
	{                                                                      \
		{.secrets = SECRETS(__VA_ARGS__)}, words                       \
	}
#define HOST(host, words)                                                      \
	ONE(words, SECRET(.env = "KEY", .hosts = LIST(host)))
#define WITH(words, ...)                                                       \
	{                                                                      \
		{.tls = TLS(.flags = MSB_TLS_INTERCEPT, __VA_ARGS__)}, words   \
	}
		ONE("guest's name", SECRET(.hosts = LIST("a.org"))),
		ONE("guest's name", SECRET(.env = "", .hosts = LIST("a.org"))),
		ONE("guest's name",
	            SECRET(.env = "1A", .hosts = LIST("a.org"))),
		ONE("guest's name",
	            SECRET(.env = "A B", .hosts = LIST("a.org"))),
		ONE("guest's name",
	            SECRET(.env = long_name, .hosts = LIST("a.org"))),
		ONE("reserved", SECRET(.env = "MSB_A", .hosts = LIST("a.org"))),
		ONE("the source", KEY(.source = "=")),
		ONE("no host", SECRET(.env = "KEY")),
		ONE("no host",
	            SECRET(.env = "KEY", .hosts = (const char *const[]){NULL})),
		HOST("", "is no name"),
		HOST("*.", "is no name"),
		HOST("a..b", "is no name"),
		HOST("a b", "is no name"),
		HOST("a\n", "'...' is no name"),
		HOST(no_name, "is no name"),
		HOST("b\xc3\xbc"
	             "cher.example",
	             "is not ASCII"),
		HOST("https://a.org", "is no name"),
		HOST("a.org/x", "is no name"),
		HOST("a.org:443", "is no name"),
		HOST("10.0.0.1", "is an address"),
		HOST("::1", "is an address"),
		HOST("1.2", "is an address"),
		HOST("0x7f.1", "is an address"),
		HOST("a.0x7F", "is an address"),
		HOST("a*.org", "has a * inside"),
		HOST("*a.org", "has a * inside"),
		HOST("*.*.org", "has a * inside"),
		HOST("*.com", "public suffix"),
		HOST("*.CO.uk.", "public suffix"),
		HOST("*.github.io", "public suffix"),
		HOST("*.internal", "public suffix"),
		ONE("4 to 1024", KEY(.placeholder = "abc")),
		ONE("4 to 1024", KEY(.placeholder = long_text)),
		ONE("visible ASCII", KEY(.placeholder = "ab cd")),
		ONE("visible ASCII", KEY(.placeholder = "abcd\r\n")),
		ONE("no such flag", KEY(.flags = 32)),
		ONE("no violation action", KEY(.violation = 5)),
		ONE("no violation action", KEY(.violation = -1)),
		ONE("given twice", KEY(.flags = 0), KEY(.flags = 1)),
		ONE("one's placeholder is in the other's",
	            KEY(.placeholder = "abcd"),
	            SECRET(.env = "B", .hosts = LIST("a.org"),
	                   .placeholder = "xabcdx")),
		{{.secrets = SECRETS(KEY(.flags = 0)), .env = LIST("KEY=")},
	         "both a secret and a plain variable"},
		{{.secrets = SECRETS(KEY(.flags = 0)),
	          .network = NET(.flags = MSB_NET_DISABLED)},
	         "the network is disabled"},
		{{.secrets = SECRETS(KEY(.flags = 0)),
	          .network = NET(.default_egress = MSB_NET_DENY)},
	         "may reach nothing"},
		{{.secrets = SECRETS(KEY(.flags = 0)),
	          .network = NET(.profile = "none")},
	         "may reach nothing"},
		{{.secrets = SECRETS(KEY(.flags = 0)),
	          .tls = TLS(.no_verify_for = LIST("a.org", "*"))},
	         "verified servers only"},
		{{.tls = TLS(.flags = MSB_TLS_INTERCEPT),
	          .network = NET(.flags = MSB_NET_DISABLED)},
	         "the network is disabled"},
		{{.tls = TLS(.bypass = LIST("a.org"))},
	         "nothing is intercepted"},
		{{.tls = TLS(.flags = MSB_TLS_NO_BLOCK_QUIC)},
	         "nothing is intercepted"},
		WITH("'0' is not a port", .ports = LIST("0")),
		WITH("'65536' is not a port", .ports = LIST("65536")),
		WITH("'https' is not a port", .ports = LIST("https")),
		WITH("at most 16 ports",
	             .ports = LIST("1", "1", "1", "1", "1", "1", "1", "1", "1",
	                           "1", "1", "1", "1", "1", "1", "1", "1")),
		WITH("would bypass all", .bypass = LIST("a.org", "*")),
		WITH("is no name", .bypass = LIST("a b")),
		WITH("needs both", .ca_cert = "a"),
		WITH("needs both", .ca_key = "a"),
		WITH("not PATTERN=FILE", .upstream_cas_for = LIST("a.org")),
		WITH("not PATTERN=FILE", .upstream_cas_for = LIST("a.org=")),
		WITH("is no name", .upstream_cas_for = LIST("a:1=/x")),
		WITH("is an address", .no_verify_for = LIST("10.0.0.1")),
		WITH("no violation action", .violation = 9),
		{{.tls = TLS(.flags = 4)}, "no such flag"},
		{{.secrets = SECRETS(&(const struct msb_secret){.size = 0})},
	         "wrong size"},
		{{.tls = &(const struct msb_tls){.size = 0}}, "wrong size"},
	};
	/* clang-format on */

	(void)state;
	memset(long_name, 'A', sizeof(long_name) - 1);
	memset(long_text, 'x', sizeof(long_text) - 1);
	memset(no_name, 'x', sizeof(no_name) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = {0};
		int r = secrets_check(&bad[i].c, &err);

		if (r >= 0 || !strstr(err.msg, bad[i].words))
			print_message("%zu: %d '%s', not '%s'\n", i, r, err.msg,
			              bad[i].words);
		assert_true(r < 0);
		assert_non_null(strstr(err.msg, bad[i].words));
	}
}

static void sixty_four_secrets_are_the_most(void **state)
{
	static struct msb_secret s[MSB_SECRETS_MAX + 1];
	static const struct msb_secret *list[MSB_SECRETS_MAX + 2];
	static char names[MSB_SECRETS_MAX + 1][8];
	static const char *const hosts[] = {"a.org", NULL};
	struct secret_checked c = {.secrets = list};
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i <= MSB_SECRETS_MAX; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "K%zu", i);
		s[i] = (struct msb_secret){
			.size = sizeof(s[i]), .env = names[i], .hosts = hosts};
		list[i] = &s[i];
	}
	assert_int_equal(secrets_check(&c, &err), -E2BIG);
	assert_non_null(strstr(err.msg, "at most 64"));
	list[MSB_SECRETS_MAX] = NULL;
	assert_int_equal(secrets_check(&c, &err), 0);
}

static void an_older_struct_is_taken(void **state)
{
	struct {
		size_t size;
		const char *env, *value, *source, *placeholder;
		const char *const *hosts;
	} old = {sizeof(old), "KEY", NULL, NULL, NULL, LIST("a.org")};
	const struct msb_secret *list[] = {(const void *)&old, NULL};
	struct secret_list cleanup_secrets s = {0};

	(void)state;
	assert_int_equal(
		secrets_check(&(struct secret_checked){.secrets = list}, NULL),
		0);
	assert_int_equal(secrets_take(&s, list), 0);
	assert_int_equal(s.v[0]->flags, 0);
	assert_int_equal(s.v[0]->size, sizeof(struct msb_secret));
}

static void values_have_rules(void **state)
{
	static char large[TLS_VALUE_MAX + 1];
	struct err err = {0};

	(void)state;
	memset(large, 'x', sizeof(large));
	assert_int_equal(secret_check_value("K", "v", 1, "MSB_1", &err), 0);
	assert_int_equal(
		secret_check_value("K", large, TLS_VALUE_MAX, "MSB_1", &err),
		0);
	assert_true(secret_check_value("K", "", 0, "MSB_1", &err) < 0);
	assert_non_null(strstr(err.msg, "is empty"));
	assert_true(secret_check_value("K", large, sizeof(large), "MSB_1",
	                               &err) < 0);
	assert_non_null(strstr(err.msg, "more than 64 KiB"));
	assert_true(secret_check_value("K", "a\0b", 3, "MSB_1", &err) < 0);
	assert_non_null(strstr(err.msg, "a NUL"));
	assert_true(secret_check_value("K", "MSB_1", 5, "MSB_1", &err) < 0);
	assert_true(secret_check_value("K", "xMSB_1x", 7, "MSB_1", &err) < 0);
	assert_non_null(strstr(err.msg, "its own placeholder"));
	assert_null(strstr(err.msg, "MSB_1"));
}

/* ---- the record ---------------------------------------------------------- */

static void take_config(const struct msb_secret *const *secrets,
                        const struct msb_tls *tls, struct sandbox_config *ret)
{
	struct msb_sandbox_opts o = MSB_SANDBOX_OPTS_INIT;
	struct image_config image = {0};

	o.secrets = secrets;
	o.tls = tls;
	assert_int_equal(sandbox_config_take(ret, &o, &image), 0);
}

static void the_record_has_all_but_values(void **state)
{
	struct sandbox_config cleanup_sandbox_config
		c = {0},
		cleanup_sandbox_config back = {0};
	cleanup_free char *text = NULL;
	const struct msb_secret *s;

	(void)state;
	take_config(
		SECRETS(KEY(.value = "hunter2", .source = "FROM",
	                    .flags = MSB_SECRET_BODY | MSB_SECRET_MASK,
	                    .violation = MSB_VIOLATION_PASS),
	                SECRET(.env = "B", .hosts = LIST("*.b.org", "c.org"),
	                       .placeholder = "PLACE")),
		TLS(.flags = 3, .violation = 1, .ports = LIST("443", "8443"),
	            .bypass = LIST("x.org"), .ca_cert = "/c", .ca_key = "/k",
	            .upstream_cas = LIST("/u"),
	            .upstream_cas_for = LIST("y.org=/y"),
	            .no_verify_for = LIST("z.org")),
		&c);
	text = sandbox_config_write(&c);
	assert_non_null(text);
	assert_null(strstr(text, "hunter2"));
	assert_int_equal(sandbox_config_read(text, &back, NULL), 0);
	assert_int_equal(back.secrets.n, 2);
	s = back.secrets.v[0];
	assert_string_equal(s->env, "KEY");
	assert_string_equal(s->source, "FROM");
	assert_null(s->value);
	assert_int_equal(s->flags, MSB_SECRET_BODY | MSB_SECRET_MASK);
	assert_int_equal(s->violation, MSB_VIOLATION_PASS);
	assert_string_equal(s->placeholder, c.secrets.v[0]->placeholder);
	s = back.secrets.v[1];
	assert_string_equal(s->placeholder, "PLACE");
	assert_string_equal(s->hosts[0], "*.b.org");
	assert_string_equal(s->hosts[1], "c.org");
	assert_null(s->hosts[2]);
	assert_null(back.secrets.v[2]);
	assert_int_equal(back.tls.flags, 3);
	assert_int_equal(back.tls.violation, 1);
	assert_string_equal(back.tls.ports[1], "8443");
	assert_string_equal(back.tls.ca_key, "/k");
	assert_string_equal(back.tls.upstream_cas_for[0], "y.org=/y");
	assert_string_equal(back.tls.no_verify_for[0], "z.org");
}

static void a_placeholder_is_made_of_chance(void **state)
{
	struct secret_list cleanup_secrets s = {0};
	const struct msb_secret *const two[] = {
		KEY(.flags = 0), SECRET(.env = "B", .hosts = LIST("a.org")),
		NULL};

	(void)state;
	assert_int_equal(secrets_take(&s, two), 0);
	for (size_t i = 0; i < 2; i++) {
		const char *p = s.v[i]->placeholder;

		assert_int_equal(strlen(p), 36);
		assert_int_equal(strncmp(p, "MSB_", 4), 0);
		assert_int_equal(strspn(p + 4, "0123456789abcdef"), 32);
	}
	assert_string_not_equal(s.v[0]->placeholder, s.v[1]->placeholder);
}

static void paths_become_absolute(void **state)
{
	struct msb_tls t;
	char cwd[4096], want[4200];

	(void)state;
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(
		tls_options_take(&t,
	                         TLS(.ca_cert = "c", .ca_key = "/k",
	                             .upstream_cas = LIST("u"),
	                             .upstream_cas_for = LIST("a.org=d/e"))),
		0);
	(void)snprintf(want, sizeof(want), "%s/c", cwd);
	assert_string_equal(t.ca_cert, want);
	assert_string_equal(t.ca_key, "/k");
	(void)snprintf(want, sizeof(want), "%s/u", cwd);
	assert_string_equal(t.upstream_cas[0], want);
	(void)snprintf(want, sizeof(want), "a.org=%s/d/e", cwd);
	assert_string_equal(t.upstream_cas_for[0], want);
	tls_options_release(&t);
}

static void a_wrong_record_is_refused(void **state)
{
	static const char *const wrong[] = {
		"{\"secrets\": {}}",
		"{\"secrets\": [1]}",
		"{\"secrets\": [{}]}",
		"{\"secrets\": [{\"env\": \"A\"}]}",
		"{\"secrets\": [{\"env\": \"A\", \"placeholder\": \"MSB_1\"}]}",
		"{\"secrets\": [{\"env\": 1, \"placeholder\": \"MSB_1\", "
		"\"hosts\": [\"a\"]}]}",
		"{\"secrets\": [{\"env\": \"A\", \"placeholder\": \"MSB_1\", "
		"\"hosts\": \"a\"}]}",
		"{\"secrets\": [{\"env\": \"A\", \"placeholder\": \"MSB_1\", "
		"\"hosts\": [\"a\"], \"violation\": 5}]}",
		"{\"secrets\": [{\"env\": \"A\", \"placeholder\": \"MSB_1\", "
		"\"hosts\": [\"a\"], \"flags\": -1}]}",
		"{\"tls\": []}",
		"{\"tls\": {\"flags\": \"a\"}}",
		"{\"tls\": {\"ports\": [1]}}",
		"{\"tls\": {\"violation\": 7}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct sandbox_config cleanup_sandbox_config c = {0};
		struct err err = {0};

		assert_int_equal(sandbox_config_read(wrong[i], &c, &err),
		                 -EUCLEAN);
	}
}

static void the_guest_gets_the_placeholder(void **state)
{
	struct sandbox_config cleanup_sandbox_config c = {0};
	struct image_config image = {0};
	struct command cleanup_command cmd = {0};
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;
	bool found = false;

	(void)state;
	take_config(SECRETS(KEY(.placeholder = "PLACE", .value = "hunter2")),
	            NULL, &c);
	assert_int_equal(strv_add(&image.env, "KEY=image"), 0);
	o.argv = LIST("true");
	assert_int_equal(command_compose(&image, &c, &o, &cmd, NULL), 0);
	for (size_t i = 0; i < cmd.env.n; i++) {
		assert_null(strstr(cmd.env.v[i], "hunter2"));
		assert_string_not_equal(cmd.env.v[i], "KEY=image");
		found = found || strcmp(cmd.env.v[i], "KEY=PLACE") == 0;
	}
	assert_true(found);
	strv_release(&image.env);
}

static void one_can_be_found_and_dropped(void **state)
{
	struct secret_list cleanup_secrets s = {0};
	const struct msb_secret *const two[] = {
		KEY(.flags = 0), SECRET(.env = "B", .hosts = LIST("a.org")),
		NULL};

	(void)state;
	assert_null(secrets_get(&s)[0]);
	assert_int_equal(secrets_take(&s, two), 0);
	assert_int_equal(secrets_find(&s, "B"), 1);
	assert_int_equal(secrets_find(&s, "C"), -1);
	secrets_drop(&s, 0);
	assert_int_equal(secrets_find(&s, "B"), 0);
	assert_int_equal(s.n, 1);
	assert_null(secrets_get(&s)[1]);
	secrets_drop(&s, 0);
	assert_null(secrets_get(&s)[0]);
}

static void words_for_plans(void **state)
{
	struct buf cleanup_buf b = BUF_INIT;

	(void)state;
	assert_int_equal(secret_describe(KEY(.flags = 0), &b), 0);
	assert_string_equal(buf_str(&b), "a.example (header, basic)");
	buf_reset(&b);
	assert_int_equal(secret_describe(SECRET(.hosts = LIST("a", "*.b"),
	                                        .flags = 28, .violation = 1),
	                                 &b),
	                 0);
	assert_string_equal(buf_str(&b), "a, *.b (query, body, mask; block)");
	assert_string_equal(secret_violation_name(0, NULL), "block-and-log");
	assert_string_equal(secret_violation_name(0, TLS(.violation = 3)),
	                    "block-and-terminate");
	assert_string_equal(secret_violation_name(1, TLS(.violation = 3)),
	                    "block");
}

/* ---- values and the line to msb-tls -------------------------------------- */

static void values_come_from_the_caller_else_the_environment(void **state)
{
	const struct msb_secret *const list[] = {
		KEY(.placeholder = "P1234", .source = "LIB_TEST_SOURCE"),
		SECRET(.env = "LIB_TEST_B", .placeholder = "P2345"), NULL};
	struct tls_values cleanup_tls_values v = {0};
	struct err err = {0};

	(void)state;
	(void)setenv("LIB_TEST_SOURCE", "first", 1);
	(void)unsetenv("LIB_TEST_B");
	assert_int_equal(tls_values_take(&v, list, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "LIB_TEST_B"));
	assert_non_null(strstr(err.hint, "export LIB_TEST_B"));
	assert_null(strstr(err.msg, "first"));
	tls_values_release(&v);
	assert_int_equal(tls_values_take(&v, list,
	                                 SECRETS(SECRET(.env = "LIB_TEST_B",
	                                                .value = "second")),
	                                 &err),
	                 0);
	assert_int_equal(v.n, 2);
	assert_int_equal(v.v[0].len, 5);
	assert_memory_equal(v.v[0].bytes, "first", 5);
	assert_memory_equal(v.v[1].bytes, "second", 6);
	(void)setenv("LIB_TEST_SOURCE", "xP1234", 1);
	tls_values_release(&v);
	assert_true(tls_values_take(&v, list, NULL, &err) < 0);
	assert_non_null(strstr(err.msg, "its own placeholder"));
	(void)unsetenv("LIB_TEST_SOURCE");
}

/* Plays msb-tls: reads until @want bytes came, then answers. */
struct player {
	int fd;
	size_t want, got;
	const char *answer;
	size_t answer_len; /* UINT32_MAX: hang up without one */
	uint8_t *data;
};

static void *play(void *arg)
{
	struct player *p = arg;
	uint8_t head[4];

	p->data = malloc(p->want + 1);
	while (p->got < p->want) {
		ssize_t n = read(p->fd, p->data + p->got, p->want - p->got);

		if (n <= 0)
			break;
		p->got += (size_t)n;
	}
	if (p->answer) {
		put_le32(head, (uint32_t)p->answer_len);
		(void)fd_write_full(p->fd, head, sizeof(head));
		(void)fd_write_full(p->fd, p->answer, strlen(p->answer));
	}
	(void)close(p->fd);
	return NULL;
}

static int talk(struct player *p, const struct tls_values *v, char **ret_ca,
                struct err *err)
{
	json_t *cleanup_json rq = json_pack("{s:s}", "op", "test");
	pthread_t thread;
	int pair[2], r;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	p->fd = pair[1];
	assert_int_equal(pthread_create(&thread, NULL, play, p), 0);
	r = tls_request_send(pair[0], rq, v, ret_ca, err);
	(void)close(pair[0]);
	(void)pthread_join(thread, NULL);
	return r;
}

#define REQUEST "{\"op\":\"test\"}"
#define OK      "{\"ok\": true, \"ca\": \"PEM\"}"
#define NO      "{\"ok\": false, \"error\": \"no such thing\"}"

static void a_request_is_lengths_and_bytes(void **state)
{
	struct player p = {.want = 4 + strlen(REQUEST) + 4 + 5,
	                   .answer = OK,
	                   .answer_len = strlen(OK)};
	struct tls_values cleanup_tls_values v = {0};
	const struct msb_secret *const list[] = {KEY(.placeholder = "P1234"),
	                                         NULL};
	cleanup_free char *ca = NULL;
	struct err err = {0};

	(void)state;
	assert_int_equal(
		tls_values_take(&v, list,
	                        SECRETS(SECRET(.env = "KEY", .value = "value")),
	                        &err),
		0);
	assert_int_equal(talk(&p, &v, &ca, &err), 0);
	assert_string_equal(ca, "PEM");
	assert_int_equal(p.got, p.want);
	assert_int_equal(get_le32(p.data), strlen(REQUEST));
	assert_memory_equal(p.data + 4, REQUEST, strlen(REQUEST));
	assert_int_equal(get_le32(p.data + 4 + strlen(REQUEST)), 5);
	assert_memory_equal(p.data + 8 + strlen(REQUEST), "value", 5);
	free(p.data);
}

static void what_msb_tls_says_is_told(void **state)
{
	static const struct {
		const char *answer;
		size_t len; /* 0: as it is */
		const char *words;
	} cases[] = {
		{NO,       0,        "no such thing"           },
		{NULL,     0,        "ended before it answered"},
		{"[]",     0,        "no JSON object"          },
		{"{",      0,        "no JSON object"          },
		{OK,       1u << 20, "cannot talk"             },
		{"",       0,        "cannot talk"             },
		{"{\"o\"", 100,      "ended before it answered"},
		{"{}",     0,        "refused"                 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *a = cases[i].answer;
		struct player p = {.want = 4 + strlen(REQUEST),
		                   .answer = a,
		                   .answer_len = cases[i].len ? cases[i].len
		                                 : a          ? strlen(a)
		                                              : 0};
		struct tls_values v = {0};
		cleanup_free char *ca = NULL;
		struct err err = {0};

		assert_true(talk(&p, &v, &ca, &err) < 0);
		if (!strstr(err.msg, cases[i].words))
			print_message("%zu: %s\n", i, err.msg);
		assert_non_null(strstr(err.msg, cases[i].words));
		free(p.data);
	}
}

/* Who refuses before it has read all must be heard all the same. */
static void an_early_refusal_is_heard(void **state)
{
	static char large[TLS_VALUE_MAX + 1];
	struct msb_secret s[8];
	const struct msb_secret *list[9] = {NULL};
	static char names[8][4];
	struct player p = {.want = 4, .answer = NO, .answer_len = strlen(NO)};
	struct tls_values cleanup_tls_values v = {0};
	cleanup_free char *ca = NULL;
	struct err err = {0};

	(void)state;
	memset(large, 'x', TLS_VALUE_MAX);
	for (size_t i = 0; i < 8; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "K%zu", i);
		s[i] = (struct msb_secret){.size = sizeof(s[i]),
		                           .env = names[i],
		                           .placeholder = "P1234",
		                           .value = large};
		list[i] = &s[i];
	}
	assert_int_equal(tls_values_take(&v, list, list, &err), 0);
	assert_true(talk(&p, &v, &ca, &err) < 0);
	assert_non_null(strstr(err.msg, "no such thing"));
	free(p.data);
}

/* ---- the request itself -------------------------------------------------- */

static const char pem[] = "-----BEGIN CERTIFICATE-----\nAAAA\n"
			  "-----END CERTIFICATE-----\n";

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
	(void)close(fd);
}

static int make_setup(const struct msb_secret *const *secrets,
                      const struct msb_tls *tls, json_t **ret, struct err *err)
{
	struct sandbox_config cleanup_sandbox_config c = {0};

	take_config(secrets, tls, &c);
	return tls_request_setup(&c.secrets, &c.tls, ret, err);
}

static void the_setup_says_all(void **state)
{
	char dir[] = "/tmp/msb-test-XXXXXX", path[64], pair[64];
	json_t *cleanup_json o = NULL;
	const json_t *s;
	struct err err = {0};

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/ca.pem", dir);
	(void)snprintf(pair, sizeof(pair), "*.X.example=%s", path);
	write_file(path, pem);
	(void)setenv("SSL_CERT_FILE", path, 1);
	assert_int_equal(
		make_setup(SECRETS(SECRET(.env = "KEY", .placeholder = "P1234",
	                                  .hosts = LIST("A.Example.", "*"),
	                                  .flags = MSB_SECRET_QUERY |
	                                           MSB_SECRET_MASK)),
	                   TLS(.violation = MSB_VIOLATION_BLOCK,
	                       .flags = MSB_TLS_NO_BLOCK_QUIC,
	                       .upstream_cas = LIST(path),
	                       .upstream_cas_for = LIST(pair),
	                       .bypass = LIST("*.Bank.example")),
	                   &o, &err),
		0);
	assert_int_equal(json_int(o, "version", 0), TLS_SETUP_VERSION);
	assert_string_equal(json_str(o, "op", ""), "setup");
	assert_false(json_bool(o, "all", true));
	assert_false(json_bool(o, "block_quic", true));
	assert_int_equal(json_integer_value(json_array_get(
				 json_object_get(o, "ports"), 0)),
	                 443);
	assert_string_equal(json_str(o, "roots", ""), pem);
	assert_string_equal(json_str(o, "ca_cert", "-"), "");
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(o, "bypass"), 0)),
	                    "*.bank.example");
	s = json_array_get(json_object_get(o, "upstream_cas"), 0);
	assert_string_equal(json_str(s, "pattern", ""), "*");
	s = json_array_get(json_object_get(o, "upstream_cas"), 1);
	assert_string_equal(json_str(s, "pattern", ""), "*.x.example");
	assert_string_equal(json_str(s, "pem", ""), pem);
	s = json_array_get(json_object_get(o, "secrets"), 0);
	assert_string_equal(json_str(s, "name", ""), "KEY");
	assert_string_equal(json_str(s, "placeholder", ""), "P1234");
	assert_string_equal(json_str(s, "violation", ""), "block");
	assert_true(json_bool(s, "mask", false));
	assert_true(json_bool(s, "value", false));
	assert_int_equal(json_array_size(json_object_get(s, "where")), 1);
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(s, "hosts"), 0)),
	                    "a.example");
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(s, "hosts"), 1)),
	                    "*");
	(void)unlink(path);
	(void)rmdir(dir);
	(void)unsetenv("SSL_CERT_FILE");
}

static void files_that_cannot_be_are_named(void **state)
{
	char dir[] = "/tmp/msb-test-XXXXXX", path[64];
	struct tls_values cleanup_tls_values v = {0};
	json_t *o = NULL;
	struct err err = {0};

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/x.pem", dir);
	write_file(path, pem);
	(void)setenv("SSL_CERT_FILE", path, 1);
	assert_int_equal(make_setup(NULL,
	                            TLS(.flags = MSB_TLS_INTERCEPT,
	                                .upstream_cas = LIST("/none.pem")),
	                            &o, &err),
	                 -ENOENT);
	assert_non_null(strstr(err.msg, "the CA /none.pem"));
	write_file(path, "no certificate");
	assert_int_equal(make_setup(NULL,
	                            TLS(.flags = MSB_TLS_INTERCEPT,
	                                .ca_cert = path, .ca_key = path),
	                            &o, &err),
	                 -EINVAL);
	assert_non_null(strstr(err.msg, path));
	assert_int_equal(
		tls_values_read_file(&v, "/none.key", "the CA's key", &err),
		-ENOENT);
	assert_non_null(strstr(err.msg, "the CA's key /none.key"));
	assert_int_equal(tls_values_read_file(&v, dir, "the CA's key", &err),
	                 -EINVAL);
	assert_int_equal(v.n, 0);
	assert_int_equal(tls_values_read_file(&v, path, "the CA's key", &err),
	                 0);
	assert_memory_equal(v.v[0].bytes, "no certificate", v.v[0].len);
	(void)unlink(path);
	(void)rmdir(dir);
	(void)unsetenv("SSL_CERT_FILE");
}

/* ---- doctor -------------------------------------------------------------- */

static void doctor_says_what_is_missing(void **state)
{
	static const struct {
		struct doctor_tls_facts facts;
		enum msb_check_status status;
		const char *words;
	} cases[] = {
		{{true, UINT64_MAX}, MSB_CHECK_OK,   "out of swap"    },
		{{true, 64 * KIB},   MSB_CHECK_WARN, "written to swap"},
		{{false, 0},         MSB_CHECK_WARN, "msb-tls is not" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct msb_report *r = calloc(1, sizeof(*r));
		const struct msb_check *c;

		assert_non_null(r);
		doctor_tls_explain(r, &cases[i].facts);
		c = msb_report_get(r, 0);
		assert_int_equal(c->status, cases[i].status);
		assert_non_null(strstr(c->message, cases[i].words));
		assert_true(c->status == MSB_CHECK_OK || *c->fix);
		msb_report_free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_may_be_is_taken),
		cmocka_unit_test(what_cannot_be_is_refused_with_words),
		cmocka_unit_test(sixty_four_secrets_are_the_most),
		cmocka_unit_test(an_older_struct_is_taken),
		cmocka_unit_test(values_have_rules),
		cmocka_unit_test(the_record_has_all_but_values),
		cmocka_unit_test(a_placeholder_is_made_of_chance),
		cmocka_unit_test(paths_become_absolute),
		cmocka_unit_test(a_wrong_record_is_refused),
		cmocka_unit_test(the_guest_gets_the_placeholder),
		cmocka_unit_test(one_can_be_found_and_dropped),
		cmocka_unit_test(words_for_plans),
		cmocka_unit_test(
			values_come_from_the_caller_else_the_environment),
		cmocka_unit_test(a_request_is_lengths_and_bytes),
		cmocka_unit_test(what_msb_tls_says_is_told),
		cmocka_unit_test(an_early_refusal_is_heard),
		cmocka_unit_test(the_setup_says_all),
		cmocka_unit_test(files_that_cannot_be_are_named),
		cmocka_unit_test(doctor_says_what_is_missing),
	};

	(void)signal(SIGPIPE, SIG_IGN); /* of play() */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
