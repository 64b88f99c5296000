#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "image/auth.h"

struct fixture {
	char dir[64];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/msb-auth-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)setenv("DOCKER_CONFIG", f->dir, 1);
	(void)unsetenv("XDG_RUNTIME_DIR");
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(dir_remove(AT_FDCWD, f->dir), 0);
	free(f);
	return 0;
}

static void put(const struct fixture *f, const char *name, const char *text,
                mode_t mode)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	assert_int_equal(
		file_write_atomic(AT_FDCWD, path, text, strlen(text), mode), 0);
}

/* "user:secret", "token:secret", or "" when nothing is found. */
static void assert_found(const char *host, const char *repo, const char *want)
{
	struct credentials cleanup_credentials c = {0};
	struct err note = {0};
	char have[256] = "";

	if (auth_find(host, repo, &c, &note) == 1)
		(void)snprintf(have, sizeof(have), "%s:%s",
		               c.identity_token ? "token" : c.user, c.secret);
	assert_string_equal(have, want);
}

static void keys_are_found_in_every_form(void **state)
{
	static const char *const keys[] = {"reg.example:5000",
	                                   "https://reg.example:5000",
	                                   "http://reg.example:5000/",
	                                   "https://reg.example:5000/v1/",
	                                   "https://reg.example:5000/v2",
	                                   "REG.example:5000"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		char text[256];

		(void)snprintf(text, sizeof(text),
		               "{\"auths\":{\"%s\":{\"auth\":\"dTpwOng=\"}}}",
		               keys[i]);
		put(*state, "config.json", text, 0600);
		assert_found("reg.example:5000", "a/b", "u:p:x");
		assert_found("reg.example", "a/b", "");
		assert_found("evil.reg.example:5000", "a", "");
	}
}

static void docker_hub_has_its_own_key(void **state)
{
	put(*state, "config.json",
	    "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":"
	    "\"dTpw\"}}}",
	    0600);
	assert_found("docker.io", "library/x", "u:p");
}

static void the_most_exact_key_wins(void **state)
{
	put(*state, "config.json",
	    "{\"auths\":{\"h.x\":{\"username\":\"a\",\"password\":\"1\"},"
	    "\"h.x/team\":{\"username\":\"b\",\"password\":\"2\"},"
	    "\"h.x/team/app\":{\"identitytoken\":\"3\"}}}",
	    0600);
	assert_found("h.x", "other", "a:1");
	assert_found("h.x", "team/x", "b:2");
	assert_found("h.x", "teamster", "a:1");
	assert_found("h.x", "team/app", "token:3");
}

static void the_second_file_is_asked_when_the_first_knows_nothing(void **state)
{
	const struct fixture *f = *state;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/containers", f->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	put(f, "containers/auth.json",
	    "{\"auths\":{\"h.x\":{\"auth\":\"dTpw\"}}}", 0600);
	(void)setenv("XDG_RUNTIME_DIR", f->dir, 1);
	assert_found("h.x", "a", "u:p");
	put(f, "config.json", "{", 0600);
	assert_found("h.x", "a", "u:p");
}

static void damaged_files_say_why(void **state)
{
	static const char *const bad[] = {
		"{",
		"\xff",
		"{\"auths\":{\"h.x\":{\"auth\":\"%%%\"}}}",
		"{\"auths\":{\"h.x\":{\"auth\":\"dTpwx\"}}}",
		"{\"auths\":{\"h.x\":{\"auth\":\"AAAA\"}}}",
		"{\"auths\":{\"h.x\":{\"auth\":\"OnB3\"}}}",
		"{\"credsStore\":\"../../bin/sh\"}",
		"{\"credsStore\":\"a b\"}",
		"{\"credsStore\":\"X\"}",
		"{\"credsStore\":\"no-such-helper\"}"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct credentials c = {0};
		struct err note = {0};

		put(*state, "config.json", bad[i], 0600);
		assert_int_equal(auth_find("h.x", "a", &c, &note), 0);
		if (!note.code)
			fail_msg("no word about: %s", bad[i]);
		assert_null(c.secret);
	}
}

static void a_helper_is_asked_by_its_name_only(void **state)
{
	const struct fixture *f = *state;
	char path[256];

	(void)snprintf(path, sizeof(path), "%s:/usr/bin:/bin", f->dir);
	(void)setenv("PATH", path, 1);
	put(f, "docker-credential-x-1.y_z",
	    "#!/bin/sh\nread h\ntest \"$#$1$h\" = '1geth.x' || exit 9\n"
	    "echo '{\"Username\":\"<token>\",\"Secret\":\"s\"}'\n",
	    0700);
	put(f, "config.json",
	    "{\"credHelpers\":{\"h.x\":\"x-1.y_z\"},"
	    "\"credsStore\":\"none\"}",
	    0600);
	assert_found("h.x", "a", "token:s");
	assert_found("other.x", "a", "");
}

static void basic_is_encoded(void **state)
{
	struct credentials c = {.user = (char *)(uintptr_t) "Aladdin",
	                        .secret = (char *)(uintptr_t) "open sesame"};
	struct buf cleanup_buf b = BUF_INIT;

	(void)state;
	assert_int_equal(auth_basic(&c, &b), 0);
	assert_string_equal(buf_str(&b), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

static void challenges_are_understood(void **state)
{
	static const struct {
		const char *text;
		enum challenge_scheme scheme;
		const char *realm, *service;
	} cases[] = {
		{"Basic realm=\"x\"\n",                                      CHALLENGE_BASIC,  "x",           ""    },
		{"basic\n",						  CHALLENGE_BASIC,  "",            ""    },
		{"Bearer realm=\"https://a/t\",service=\"s\",scope=\"z\"\n",
	         CHALLENGE_BEARER,							     "https://a/t", "s"   },
		{"Bearer  realm = https , service=\"a\\\"b\"\n",
	         CHALLENGE_BEARER,							     "https",       "a\"b"},
		{"Basic realm=\"x\"\nBearer realm=\"y\"\n",                  CHALLENGE_BEARER,
	         "y",											 ""    },
		{"Basic realm=\"x\", Bearer realm=\"y\"\n",                  CHALLENGE_BEARER,
	         "y",											 ""    },
		{"Negotiate abc\nBasic realm=\"x\"\n",                       CHALLENGE_BASIC,  "x",
	         ""												 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct challenge c;

		if (!auth_challenge(cases[i].text, &c))
			fail_msg("not understood: %s", cases[i].text);
		assert_int_equal(c.scheme, cases[i].scheme);
		assert_string_equal(c.realm, cases[i].realm);
		assert_string_equal(c.service, cases[i].service);
	}
}

static void odd_challenges_are_none(void **state)
{
	static const char *const bad[] = {"",
	                                  "\n",
	                                  ",,,\n",
	                                  "Bearer\n",
	                                  "Bearer realm=\n",
	                                  "Bearer realm=\"\n",
	                                  "Bearer realm=\"a\\\n",
	                                  "=\n",
	                                  "Negotiate\n",
	                                  "Bearer realm=\"a\x01\"\n"};
	struct challenge c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (auth_challenge(bad[i], &c))
			fail_msg("understood: %s", bad[i]);
}

static void the_token_request_is_escaped(void **state)
{
	struct challenge c = {.realm = "https://a/t?x=1",
	                      .service = "a&b=c d",
	                      .scope = "repository:a/b:pull"};
	struct buf cleanup_buf b = BUF_INIT;

	(void)state;
	assert_int_equal(auth_token_url(&c, &b), 0);
	assert_string_equal(buf_str(&b),
	                    "https://a/t?x=1&service=a%26b%3Dc%20d&"
	                    "scope=repository%3Aa%2Fb%3Apull");
}

static void tokens_are_taken_from_either_name(void **state)
{
	static const char *const good[] = {
		"{\"token\":\"t\"}", "{\"access_token\":\"t\"}",
		"{\"token\":\"t\",\"access_token\":\"u\",\"expires_in\":-5}"};
	static const char *const bad[] = {
		"", "[]", "{}", "{\"token\":\"\"}", "{\"token\":1}", "\"t\""};
	uint64_t expires;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct buf cleanup_buf b = BUF_INIT;

		assert_int_equal(auth_token(good[i], strlen(good[i]), &b,
		                            &expires, NULL),
		                 0);
		assert_string_equal(buf_str(&b), "Bearer t");
		assert_true(expires <= 86400);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct buf cleanup_buf b = BUF_INIT;

		assert_int_equal(
			auth_token(bad[i], strlen(bad[i]), &b, &expires, NULL),
			-EBADMSG);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(keys_are_found_in_every_form),
		T(docker_hub_has_its_own_key),
		T(the_most_exact_key_wins),
		T(the_second_file_is_asked_when_the_first_knows_nothing),
		T(damaged_files_say_why),
		T(a_helper_is_asked_by_its_name_only),
		cmocka_unit_test(basic_is_encoded),
		cmocka_unit_test(challenges_are_understood),
		cmocka_unit_test(odd_challenges_are_none),
		cmocka_unit_test(the_token_request_is_escaped),
		cmocka_unit_test(tokens_are_taken_from_either_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
