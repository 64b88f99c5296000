/* Which relay is chosen; the two are marked, and do nothing but show that. */
#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "tls/relay.h"

#include "lib/test.h"

struct marked {
	struct relay r;
	char mark;
};

static int marked_input(struct relay *r, enum side from, const uint8_t *data,
                        size_t len)
{
	struct marked *m = container_of(r, struct marked, r);
	struct buf *out = &r->out[side_other(from)];

	buf_addc(out, m->mark);
	buf_add(out, data, len);
	return memchr(data, '!', len) ? -ESHUTDOWN : 0;
}

static int marked_eof(struct relay *r, enum side from)
{
	buf_adds(&r->out[side_other(from)], "<eof>");
	return 0;
}

static int marked_room(struct relay *r)
{
	buf_adds(&r->out[SIDE_GUEST], "<room>");
	return 0;
}

static bool marked_wants(const struct relay *r, enum side from)
{
	(void)r;
	return from == SIDE_SERVER;
}

static void marked_free(struct relay *r)
{
	relay_release(r);
	free(container_of(r, struct marked, r));
}

static const struct relay_ops marked_ops = {.input = marked_input,
                                            .eof = marked_eof,
                                            .room = marked_room,
                                            .wants = marked_wants,
                                            .free = marked_free};

static struct relay *marked(const struct relay_env *env, char mark)
{
	struct marked *m = calloc(1, sizeof(*m));

	relay_init(&m->r, &marked_ops, env);
	m->mark = mark;
	return &m->r;
}

struct relay *http1_new(const struct relay_env *env)
{
	return marked(env, 'H');
}

struct relay *opaque_new(const struct relay_env *env)
{
	return marked(env, 'O');
}

static struct relay *guess(void)
{
	static const struct relay_env env;

	return guess_new(&env);
}

static int put(struct relay *r, enum side from, const char *text)
{
	return r->ops->input(r, from, (const uint8_t *)text, strlen(text));
}

/* @want: 'H', 'O', or '?': not known yet. At once, and by single bytes. */
static void is(const char *text, char want)
{
	struct relay *r = guess();
	struct buf *out = &r->out[SIDE_SERVER];

	assert_int_equal(put(r, SIDE_GUEST, text), 0);
	if (want == '?' ? out->len != 0 : buf_str(out)[0] != want)
		fail_msg("\"%s\" is \"%s\"", text, buf_str(out));
	r->ops->free(r);

	r = guess();
	out = &r->out[SIDE_SERVER];
	for (const char *p = text; *p; p++) {
		char byte[2] = {*p, '\0'};

		assert_int_equal(put(r, SIDE_GUEST, byte), 0);
	}
	if (want != '?')
		assert_int_equal(out->data[0], want);
	else
		assert_int_equal(out->len, 0);
	r->ops->free(r);
}

static void request_lines_are_http(void **state)
{
	(void)state;
	is("GET / HTTP/1.1\r\n", 'H');
	is("get /x", 'H');
	is("PROPFIND /", 'H');
	is("X-ODD~ /", 'H');
	is("OPTIONS *", 'H');
	is("GET http://x/ HTTP/1.1", 'H');
	is("GET https://x/", 'H');
	is("CONNECT x:443 HTTP/1.1", 'H');
}

static void what_may_become_one_is_held(void **state)
{
	(void)state;
	is("G", '?');
	is("GET", '?');
	is("GET ", '?');
	is("GET htt", '?');
	is("PRI * HTTP", '?');
}

static void all_else_is_opaque(void **state)
{
	(void)state;
	is("EHLO x\r\n", 'O');
	is("QUIT\r\n", 'O');
	is("\x16\x03\x01", 'O');
	is(" GET /", 'O');
	is("GET\t/", 'O');
	is("GET  /", 'O');
	is("GET hello", 'O');
	is("GET httpx", 'O');
	is("PRI * HTTP/2.0\r\n", 'O');
	is("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 'O');
	is("{\"json\": 1}", 'O');
}

static void who_speaks_first_as_a_server_is_opaque(void **state)
{
	struct relay *r = guess();

	(void)state;
	assert_int_equal(put(r, SIDE_SERVER, "220 hello"), 0);
	assert_string_equal(buf_str(&r->out[SIDE_GUEST]), "O220 hello");
	assert_int_equal(put(r, SIDE_GUEST, "GET / "), 0);
	assert_string_equal(buf_str(&r->out[SIDE_SERVER]), "OGET / ");
	r->ops->free(r);

	/* also when the guest has begun */
	r = guess();
	assert_int_equal(put(r, SIDE_GUEST, "PASS"), 0);
	assert_int_equal(put(r, SIDE_SERVER, "x"), 0);
	assert_string_equal(buf_str(&r->out[SIDE_SERVER]), "OPASS");
	assert_string_equal(buf_str(&r->out[SIDE_GUEST]), "Ox");
	r->ops->free(r);
}

static void the_chosen_one_is_in_charge(void **state)
{
	struct relay *r = guess();

	(void)state;
	assert_true(r->ops->wants(r, SIDE_GUEST));
	assert_int_equal(r->ops->room(r), 0);
	assert_int_equal(put(r, SIDE_GUEST, "GET /"), 0);
	assert_false(r->ops->wants(r, SIDE_GUEST));
	assert_true(r->ops->wants(r, SIDE_SERVER));
	assert_int_equal(r->ops->room(r), 0);
	assert_string_equal(buf_str(&r->out[SIDE_GUEST]), "<room>");
	assert_int_equal(put(r, SIDE_GUEST, "!"), -ESHUTDOWN);
	assert_int_equal(r->ops->eof(r, SIDE_GUEST), 0);
	assert_string_equal(buf_str(&r->out[SIDE_SERVER]), "HGET /H!<eof>");
	r->ops->free(r);
}

static void an_end_gives_what_was_held(void **state)
{
	struct relay *r = guess();

	(void)state;
	assert_int_equal(put(r, SIDE_GUEST, "PING"), 0);
	assert_int_equal(r->ops->eof(r, SIDE_GUEST), 0);
	assert_string_equal(buf_str(&r->out[SIDE_SERVER]), "OPING<eof>");
	r->ops->free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_lines_are_http),
		cmocka_unit_test(what_may_become_one_is_held),
		cmocka_unit_test(all_else_is_opaque),
		cmocka_unit_test(who_speaks_first_as_a_server_is_opaque),
		cmocka_unit_test(the_chosen_one_is_in_charge),
		cmocka_unit_test(an_end_gives_what_was_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
