/* Every case is given whole, and at every cut: what is said once stays true. */
#include "lib/test.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "net/sniff.h"

static const char *const kinds[] = {
	[SNIFF_MORE] = "more",   [SNIFF_TLS] = "tls",
	[SNIFF_HTTP] = "http",   [SNIFF_CONNECT] = "connect",
	[SNIFF_OTHER] = "other", [SNIFF_BAD] = "bad",
};

static bool same(const struct sniff *a, const struct sniff *b)
{
	return a->kind == b->kind && strcmp(a->name, b->name) == 0 &&
	       a->port == b->port && a->ech == b->ech &&
	       strcmp(a->alpn, b->alpn) == 0;
}

/* In memory of its own length, so that a step too far is seen. */
static struct sniff look(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct sniff s;

	assert_non_null(copy);
	memcpy(copy, data, len);
	sniff(copy, len, &s);
	free(copy);
	return s;
}

/* The verdict on all of it; the same as at each cut where there is one. */
static struct sniff whole(const char *what, const uint8_t *data, size_t len)
{
	struct sniff first = {.kind = SNIFF_MORE}, s;

	for (size_t n = 0; n <= len; n++) {
		s = look(data, n);
		if (first.kind == SNIFF_MORE)
			first = s;
		else if (!same(&first, &s))
			fail_msg("%s: %s and then, with %zu bytes, %s", what,
			         kinds[first.kind], n, kinds[s.kind]);
	}
	return first;
}

/* ---- HTTP ---------------------------------------------------------------- */

#define END "\r\n\r\n"

/* clang-format off */
static const struct {
	const char *head;
	enum sniff_kind kind;
	const char *name;
	uint16_t port;
} heads[] = {
	{"GET / HTTP/1.1\r\nHost: Example.COM" END "body", SNIFF_HTTP, "example.com", 0},
	{"GET / HTTP/1.1\r\nhost:example.com.:8080" END, SNIFF_HTTP, "example.com", 0},
	{"GET / HTTP/1.1\r\nA: b\r\nHOST: \t a.b \t\r\nC:\r\n\r\n", SNIFF_HTTP, "a.b", 0},
	{"OPTIONS * HTTP/1.1\r\nHost: a.b" END, SNIFF_HTTP, "a.b", 0},
	{"M-SEARCH /x HTTP/1.1\r\nHost: a.b:" END, SNIFF_HTTP, "a.b", 0},
	{"GET / HTTP/1.1\r\nHost:" END, SNIFF_HTTP, "", 0},
	{"GET / HTTP/1.0" END, SNIFF_HTTP, "", 0},
	{"GET / HTTP/1.1\r\nHost: 1.2.3.4:80" END, SNIFF_HTTP, "", 0},
	{"GET / HTTP/1.1\r\nHost: [2001:db8::1]" END, SNIFF_HTTP, "", 0},
	{"GET / HTTP/1.1\r\nHost: [2001:db8::1]:80" END, SNIFF_HTTP, "", 0},
	{"\r\n\r\nGET / HTTP/1.1\r\nHost: a.b" END, SNIFF_HTTP, "a.b", 0},
	{"GET / HTTP/1.1\r\nHost: xn--bcher-kva.example" END, SNIFF_HTTP, "xn--bcher-kva.example", 0},
	/* an authority in the first line */
	{"GET http://a.b/ HTTP/1.1\r\nHost: a.b" END, SNIFF_HTTP, "a.b", 0},
	{"GET HTTP://A.b./?x HTTP/1.1\r\nHost: a.B" END, SNIFF_HTTP, "a.b", 0},
	{"GET http://a.b:80/ HTTP/1.1\r\nHost: a.b" END, SNIFF_HTTP, "a.b", 0},
	{"GET https://a.b?q HTTP/1.1\r\nHost: a.b:443" END, SNIFF_HTTP, "a.b", 0},
	{"GET http://a.b HTTP/1.0" END, SNIFF_HTTP, "a.b", 0},
	{"GET http://1.2.3.4/ HTTP/1.1\r\nHost: 1.2.3.4" END, SNIFF_HTTP, "", 0},
	{"GET http://[::1]:80/ HTTP/1.1\r\nHost: [0::1]" END, SNIFF_HTTP, "", 0},
	{"GET http://a.b/ HTTP/1.1\r\nHost: c.d" END, SNIFF_BAD, "", 0},
	{"GET http://a.b:81/ HTTP/1.1\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET http://1.2.3.4/ HTTP/1.1\r\nHost: 1.2.3.5" END, SNIFF_BAD, "", 0},
	{"GET http://1.2.3.4/ HTTP/1.1\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET http://u@a.b/ HTTP/1.1\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET http://a.b\\@c.d/ HTTP/1.1\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET http:///x HTTP/1.1\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET ftp://a.b/ HTTP/1.1\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET a.b:80 HTTP/1.1\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	/* CONNECT */
	{"CONNECT a.b:443 HTTP/1.1\r\nHost: a.b:443" END, SNIFF_CONNECT, "a.b", 443},
	{"CONNECT A.b.:8443 HTTP/1.1\r\nHost: a.b" END, SNIFF_CONNECT, "a.b", 8443},
	{"CONNECT a.b:443 HTTP/1.0" END, SNIFF_CONNECT, "a.b", 443},
	{"CONNECT [2001:db8::1]:443 HTTP/1.0" END, SNIFF_CONNECT, "", 443},
	{"CONNECT a.b HTTP/1.1\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"CONNECT a.b:0 HTTP/1.1\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"CONNECT a.b:65536 HTTP/1.1\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"CONNECT a.b:443 HTTP/1.1\r\nHost: c.d:443" END, SNIFF_BAD, "", 0},
	{"CONNECT a.b:443 HTTP/1.1\r\nHost: a.b:444" END, SNIFF_BAD, "", 0},
	{"CONNECT u@a.b:443 HTTP/1.1\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"CONNECT https://a.b:443 HTTP/1.1\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	/* two servers could see two hosts */
	{"GET / HTTP/1.1" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nHost: a.b\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nHost: a.b\r\nhOST: c.d" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nHost: a.b\r\n Host: c.d" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nHost: a.b\r\n\tc.d" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nHost : a.b" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nX: y\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\nHost: a.b\n\n", SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nX: y\rHost: c.d\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nHost: a.b, c.d" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nHost: a.b c.d" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nHost: a.b/c" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nHost: u:p@a.b" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nHost: a..b" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nHost: a.b:+80" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nHost: a.b:80:80" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nHost: :80" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nHost: [::1" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nHost: [::1]x" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nHost: [1.2.3.4]" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nno colon\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\n: empty\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET / x HTTP/1.1\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET  HTTP/1.1\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET HTTP/1.1\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1 \r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET\t/\tHTTP/1.1\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET / http/1.1\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.10\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/2.0\r\nHost: a.b" END, SNIFF_BAD, "", 0},
	{"GET / HTTP/1.1\r\nHost: a.b\x7f" END, SNIFF_BAD, "", 0},
	/* nobody */
	{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", SNIFF_OTHER, "", 0},
	{"SSH-2.0-OpenSSH_9.2\r\n", SNIFF_OTHER, "", 0},
	{"EHLO a.b\r\n", SNIFF_OTHER, "", 0},
	{"EHLO a.b\n", SNIFF_OTHER, "", 0},
	{"GET /\r\n", SNIFF_OTHER, "", 0},
	{"* OK IMAP\r\n", SNIFF_OTHER, "", 0},
	{"\x80\x2e\x01", SNIFF_OTHER, "", 0},
	{" GET / HTTP/1.1\r\n", SNIFF_OTHER, "", 0},
	{"\x16\x02\x01", SNIFF_OTHER, "", 0},
	/* not yet */
	{"", SNIFF_MORE, "", 0},
	{"G", SNIFF_MORE, "", 0},
	{"GET / HTTP/1.1\r\nHost: a.b\r\n", SNIFF_MORE, "", 0},
	{"\x16", SNIFF_MORE, "", 0},
};
/* clang-format on */

static void heads_name_whom_they_should(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		const char *h = heads[i].head;
		struct sniff s = whole(h, (const uint8_t *)h, strlen(h));

		if (s.kind != heads[i].kind || strcmp(s.name, heads[i].name) ||
		    s.port != heads[i].port)
			fail_msg("%s\n%s \"%s\" %u", h, kinds[s.kind], s.name,
			         s.port);
	}
}

static void zeros_in_a_head_are_refused(void **state)
{
	static const char host[] = "GET / HTTP/1.1\r\nHost: a.b\0.c.d" END;
	static const char value[] = "GET / HTTP/1.1\r\nHost: a.b\r\nX: \0" END;
	static const char target[] = "GET /\0 HTTP/1.1\r\nHost: a.b" END;

	(void)state;
#define BAD(t)                                                                 \
	assert_int_equal(whole(#t, (const uint8_t *)(t), sizeof(t) - 1).kind,  \
	                 SNIFF_BAD)
	BAD(host);
	BAD(value);
	BAD(target);
#undef BAD
}

static void head_without_an_end_is_refused_in_bounds(void **state)
{
	static uint8_t text[SNIFF_MAX + 100];
	struct sniff s;
	int n;

	(void)state;
	memset(text, 'x', sizeof(text));
	n = snprintf((char *)text, sizeof(text),
	             "GET / HTTP/1.1\r\nHost: a.b\r\nX: ");
	text[n] = 'x';
	s = look(text, SNIFF_MAX - 1);
	assert_int_equal(s.kind, SNIFF_MORE);
	s = look(text, SNIFF_MAX);
	assert_int_equal(s.kind, SNIFF_BAD);
	memcpy(text + SNIFF_MAX, END, 4);
	s = look(text, SNIFF_MAX + 4);
	assert_int_equal(s.kind, SNIFF_BAD);
}

/* ---- TLS ----------------------------------------------------------------- */

struct bytes {
	uint8_t b[SNIFF_MAX * 2];
	size_t n;
};

static void add(struct bytes *t, const void *p, size_t len)
{
	assert_true(t->n + len <= sizeof(t->b));
	memcpy(t->b + t->n, p, len);
	t->n += len;
}

static void add_be(struct bytes *t, uint32_t v, unsigned bytes)
{
	while (bytes-- > 0) {
		uint8_t b = (uint8_t)(v >> (8 * bytes));

		add(t, &b, 1);
	}
}

static void add_extension(struct bytes *t, uint16_t type, const void *p,
                          size_t len)
{
	add_be(t, type, 2);
	add_be(t, (uint32_t)len, 2);
	add(t, p, len);
}

static void add_name(struct bytes *t, const char *name, size_t len)
{
	struct bytes x = {.n = 0};

	add_be(&x, (uint32_t)len + 3, 2);
	add_be(&x, 0, 1);
	add_be(&x, (uint32_t)len, 2);
	add(&x, name, len);
	add_extension(t, 0, x.b, x.n);
}

/* A handshake message with these extensions; NULL: not even an empty list. */
static void make_hello(struct bytes *ret, const struct bytes *ext)
{
	struct bytes body = {.n = 0};

	add_be(&body, 0x0303, 2);
	for (int i = 0; i < 32; i++)
		add_be(&body, (uint32_t)i, 1);
	add_be(&body, 4, 1);
	add(&body, "sess", 4);
	add_be(&body, 6, 2);
	add(&body, "\x3a\x3a\x13\x01\xc0\x2f", 6);
	add(&body, "\1\0", 2);
	if (ext) {
		add_be(&body, (uint32_t)ext->n, 2);
		add(&body, ext->b, ext->n);
	}
	ret->n = 0;
	add_be(ret, 1, 1);
	add_be(ret, (uint32_t)body.n, 3);
	add(ret, body.b, body.n);
}

/* In records of @piece bytes. */
static void make_records(struct bytes *ret, const struct bytes *msg,
                         size_t piece)
{
	ret->n = 0;
	for (size_t at = 0; at < msg->n; at += piece) {
		size_t n = MIN(piece, msg->n - at);

		add_be(ret, 0x16, 1);
		add_be(ret, 0x0301, 2);
		add_be(ret, (uint32_t)n, 2);
		add(ret, msg->b + at, n);
	}
}

static struct sniff hello(const char *what, const struct bytes *ext)
{
	struct bytes msg, rec;

	make_hello(&msg, ext);
	make_records(&rec, &msg, msg.n);
	return whole(what, rec.b, rec.n);
}

static void full_extensions(struct bytes *x)
{
	x->n = 0;
	add_extension(x, 0x0a0a, "", 0); /* GREASE */
	add_name(x, "WWW.Example.com", 15);
	add_extension(x, 16, "\0\x0f\2\x5a\x5a\2h2\x08http/1.1", 17);
	add_extension(x, 43, "\2\3\4", 3);
	add_extension(x, 0xdada, "x", 1);
}

static void hello_in_any_records_names_its_server(void **state)
{
	struct bytes x, msg, rec;

	(void)state;
	full_extensions(&x);
	make_hello(&msg, &x);
	for (size_t piece = 1; piece <= msg.n; piece++) {
		struct sniff s;

		make_records(&rec, &msg, piece);
		s = look(rec.b, rec.n);
		assert_int_equal(s.kind, SNIFF_TLS);
		assert_string_equal(s.name, "www.example.com");
		assert_string_equal(s.alpn, "h2,http/1.1");
		assert_false(s.ech);
		if (piece < 8 || piece == msg.n)
			(void)whole("records", rec.b, rec.n);
	}
}

static void what_follows_the_hello_changes_nothing(void **state)
{
	struct bytes x, msg, rec;
	struct sniff a, b;

	(void)state;
	full_extensions(&x);
	make_hello(&msg, &x);
	make_records(&rec, &msg, msg.n);
	a = look(rec.b, rec.n);
	add(&rec, "\x14\3\3\0\1\1 and early data", 22);
	b = whole("early data", rec.b, rec.n);
	assert_true(same(&a, &b));
}

static void hello_without_a_name_has_none(void **state)
{
	struct bytes x = {.n = 0};
	struct sniff s;

	(void)state;
	s = hello("no extensions at all", NULL);
	assert_int_equal(s.kind, SNIFF_TLS);
	assert_string_equal(s.name, "");
	s = hello("an empty list", &x);
	assert_int_equal(s.kind, SNIFF_TLS);
	assert_string_equal(s.name, "");
	add_name(&x, "192.0.2.1", 9);
	s = hello("an address", &x);
	assert_int_equal(s.kind, SNIFF_TLS);
	assert_string_equal(s.name, "");
}

static void encrypted_hello_is_told(void **state)
{
	struct bytes x = {.n = 0};
	struct sniff s;

	(void)state;
	add_name(&x, "outer.example", 13);
	add_extension(&x, 0xfe0d, "\0\0\1\0\1", 5);
	s = hello("ech", &x);
	assert_int_equal(s.kind, SNIFF_TLS);
	assert_true(s.ech);
	assert_string_equal(s.name, "outer.example");
}

static void long_alpn_is_cut_between_names(void **state)
{
	struct bytes x = {.n = 0}, list = {.n = 0};
	struct sniff s;

	(void)state;
	add_be(&list, 3 * 31, 2);
	for (int i = 0; i < 3; i++) {
		add_be(&list, 30, 1);
		add(&list, "abcdefghijklmnopqrstuvwxyz0123", 30);
	}
	add_extension(&x, 16, list.b, list.n);
	s = hello("alpn", &x);
	assert_int_equal(s.kind, SNIFF_TLS);
	assert_int_equal(strlen(s.alpn), 61);
}

static void wrong_names_are_refused(void **state)
{
	static const struct {
		const char *what, *ext;
		size_t len;
	} bad[] = {
		{"empty",               "",                     0 },
		{"an empty list",       "\0\0",                 2 },
		{"an empty name",       "\0\3\0\0\0",           5 },
		{"a zero in it",        "\0\6\0\0\3a\0b",       8 },
		{"two names",           "\0\x08\0\0\1a\0\0\1b", 10},
		{"another kind",        "\0\4\1\0\1a",          6 },
		{"a list too short",    "\0\3\0\0\1a",          6 },
		{"a list too long",     "\0\5\0\0\1a",          6 },
		{"a name too long",     "\0\4\0\0\2a",          6 },
		{"something behind it", "\0\4\0\0\1ab",         7 },
		{"a space",             "\0\6\0\0\3a b",        8 },
		{"a slash",             "\0\6\0\0\3a/b",        8 },
		{"two dots",            "\0\7\0\0\4a..b",       9 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct bytes x = {.n = 0};

		add_extension(&x, 0, bad[i].ext, bad[i].len);
		if (hello(bad[i].what, &x).kind != SNIFF_BAD)
			fail_msg("%s is taken", bad[i].what);
	}
}

static void wrong_hellos_are_refused(void **state)
{
	struct bytes x = {.n = 0};
	static char name[400];

	(void)state;
	add_name(&x, "a.b", 3);
	add_name(&x, "a.b", 3);
	assert_int_equal(hello("two extensions of names", &x).kind, SNIFF_BAD);
	x.n = 0;
	memset(name, 'a', sizeof(name));
	add_name(&x, name, sizeof(name));
	assert_int_equal(hello("a giant name", &x).kind, SNIFF_BAD);
	x.n = 0;
	add_extension(&x, 16, "\0\3\2h2x", 6);
	assert_int_equal(hello("alpn", &x).kind, SNIFF_BAD);
	x.n = 0;
	add_extension(&x, 16, "\0\1\0", 3);
	assert_int_equal(hello("an empty protocol", &x).kind, SNIFF_BAD);
	x.n = 0;
	add_be(&x, 5, 2);
	assert_int_equal(hello("half an extension", &x).kind, SNIFF_BAD);
	x.n = 0;
	add_be(&x, 5, 2);
	add_be(&x, 9, 2);
	add_be(&x, 0, 4);
	assert_int_equal(hello("one that is too long", &x).kind, SNIFF_BAD);
}

/* Each byte of a good one, changed to anything: bounds are held (ASan). */
static void any_byte_may_lie(void **state)
{
	struct bytes x, msg, rec;
	unsigned kept = 0;

	(void)state;
	full_extensions(&x);
	make_hello(&msg, &x);
	make_records(&rec, &msg, 50);
	for (size_t i = 0; i < rec.n; i++)
		for (unsigned v = 0; v < 256; v++) {
			uint8_t old = rec.b[i];
			struct sniff s;

			rec.b[i] = (uint8_t)v;
			s = look(rec.b, rec.n);
			rec.b[i] = old;
			kept += s.kind == SNIFF_TLS;
		}
	assert_true(kept > 0);
}

static void wrong_records_are_refused(void **state)
{
	struct bytes x, msg, rec;

	(void)state;
	full_extensions(&x);
	make_hello(&msg, &x);
	make_records(&rec, &msg, 40);
	rec.b[45] = 0x15; /* an alert amidst it */
	assert_int_equal(whole("alert", rec.b, rec.n).kind, SNIFF_BAD);
	make_records(&rec, &msg, 40);
	rec.b[3] = rec.b[4] = 0;
	assert_int_equal(whole("empty", rec.b, rec.n).kind, SNIFF_BAD);
	make_records(&rec, &msg, 40);
	rec.b[3] = 0x40;
	rec.b[4] = 1;
	assert_int_equal(whole("large", rec.b, rec.n).kind, SNIFF_BAD);
	msg.b[0] = 2;
	make_records(&rec, &msg, msg.n);
	assert_int_equal(whole("no hello", rec.b, rec.n).kind, SNIFF_BAD);
	msg.b[0] = 1;
	add(&msg, "more", 4);
	make_records(&rec, &msg, msg.n);
	assert_int_equal(whole("behind it", rec.b, rec.n).kind, SNIFF_BAD);
	msg.b[1] = 1;
	make_records(&rec, &msg, msg.n);
	assert_int_equal(whole("giant", rec.b, rec.n).kind, SNIFF_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_name_whom_they_should),
		cmocka_unit_test(zeros_in_a_head_are_refused),
		cmocka_unit_test(head_without_an_end_is_refused_in_bounds),
		cmocka_unit_test(hello_in_any_records_names_its_server),
		cmocka_unit_test(what_follows_the_hello_changes_nothing),
		cmocka_unit_test(hello_without_a_name_has_none),
		cmocka_unit_test(encrypted_hello_is_told),
		cmocka_unit_test(long_alpn_is_cut_between_names),
		cmocka_unit_test(wrong_names_are_refused),
		cmocka_unit_test(wrong_hellos_are_refused),
		cmocka_unit_test(any_byte_may_lie),
		cmocka_unit_test(wrong_records_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
