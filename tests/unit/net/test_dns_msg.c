#include "lib/test.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "net/dns_msg.h"

/* ---- messages by hand ---- */

static uint8_t b[DNS_MSG_MAX];
static size_t len;
static struct dns_query q;
static struct dns_msg m;

static void add(const void *data, size_t n)
{
	assert_true(len + n <= sizeof(b));
	memcpy(b + len, data, n);
	len += n;
}

#define ADD(literal) add(literal, sizeof(literal) - 1)

static void add16(unsigned v)
{
	uint8_t x[2];

	put_be16(x, (uint16_t)v);
	add(x, 2);
}

static void head(unsigned flags, unsigned qd, unsigned an, unsigned ns,
                 unsigned ar)
{
	len = 0;
	add16(0x1234);
	add16(flags);
	add16(qd);
	add16(an);
	add16(ns);
	add16(ar);
}

static void question(const char *name, unsigned type)
{
	struct dns_name n;

	assert_int_equal(dns_name_from_text(name, &n), 0);
	add(n.b, n.len);
	add16(type);
	add16(DNS_CLASS_IN);
}

static void record(const char *owner, unsigned type, uint32_t ttl,
                   const void *data, size_t n)
{
	uint8_t t[4];

	question(owner, type);
	put_be32(t, ttl);
	add(t, 4);
	add16((unsigned)n);
	add(data, n);
}

static void soa(uint32_t ttl, uint32_t minimum)
{
	uint8_t data[22] = {0}; /* two root names, five numbers */

	put_be32(data + 18, minimum);
	record("example", DNS_SOA, ttl, data, sizeof(data));
}

static const uint8_t four[4] = {192, 0, 2, 1};

/* The bytes of @literal, at offset 12 of a message, as a name. */
#define NAME_AT(literal, at_, ret)                                             \
	(head(0, 1, 0, 0, 0), ADD(literal), read_name(DNS_HEAD + (at_), ret))

static size_t name_end;

static int read_name(size_t at, struct dns_name *ret)
{
	int r = dns_name_read(b, len, &at, ret);

	name_end = at;
	return r;
}

static const char *text(const struct dns_name *n)
{
	static char t[POLICY_NAME_MAX + 1];

	assert_int_equal(dns_name_text(n, t), 0);
	return t;
}

/* ---- names ---- */

static void a_name_is_read(void **state)
{
	struct dns_name n;

	(void)state;
	assert_int_equal(NAME_AT("\3www\7eXample\0rest", 0, &n), 0);
	assert_int_equal(n.len, 13);
	assert_int_equal(name_end, DNS_HEAD + 13);
	assert_string_equal(text(&n), "www.example");
}

static void a_compressed_name_is_followed(void **state)
{
	struct dns_name n;

	(void)state;
	assert_int_equal(NAME_AT("\7example\0\3www\xc0\x0c", 9, &n), 0);
	assert_int_equal(name_end, DNS_HEAD + 15);
	assert_string_equal(text(&n), "www.example");
}

static void loop_in_pointers_is_refused(void **state)
{
	struct dns_name n;

	(void)state;
	assert_int_equal(NAME_AT("\xc0\x0c", 0, &n), -EBADMSG);
	assert_int_equal(NAME_AT("\1a\xc0\x0c", 0, &n), -EBADMSG);
	/* Two that lead to each other. */
	assert_int_equal(NAME_AT("\1a\xc0\x10\1b\xc0\x0c", 0, &n), -EBADMSG);
	assert_int_equal(NAME_AT("\1a\xc0\x10\1b\xc0\x0c", 4, &n), -EBADMSG);
}

/* Of a message's length it would make work for all its records. */
static void long_chain_of_pointers_is_refused(void **state)
{
	struct dns_name n;

	(void)state;
	for (unsigned i = 100; i <= 200; i += 100) {
		head(0, 1, 0, 0, 0);
		ADD("\0");
		for (unsigned k = 0; k < i; k++)
			add16(0xc000 | (unsigned)(k ? len - 2 : DNS_HEAD));
		assert_int_equal(read_name(len - 2, &n),
		                 i == 100 ? 0 : -EBADMSG);
	}
}

static void pointer_forward_is_refused(void **state)
{
	struct dns_name n;

	(void)state;
	assert_int_equal(NAME_AT("\xc0\x0e\1a\0", 0, &n), -EBADMSG);
}

static void pointer_past_the_end_is_refused(void **state)
{
	struct dns_name n;

	(void)state;
	assert_int_equal(NAME_AT("\1a\xff\xff", 0, &n), -EBADMSG);
	assert_int_equal(NAME_AT("\1a\xc0", 0, &n), -EBADMSG);
	len--;
	assert_int_equal(NAME_AT("\1a", 0, &n), -EBADMSG);
	assert_int_equal(NAME_AT("\5ab", 0, &n), -EBADMSG);
	assert_int_equal(read_name(len, &n), -EBADMSG);
}

static void pointer_into_the_header_is_refused(void **state)
{
	struct dns_name n;

	(void)state;
	assert_int_equal(NAME_AT("\1a\xc0\x02", 0, &n), -EBADMSG);
}

static void label_over_63_is_refused(void **state)
{
	struct dns_name n;
	uint8_t label[128] = {64};

	(void)state;
	head(0, 1, 0, 0, 0);
	add(label, sizeof(label));
	assert_int_equal(read_name(DNS_HEAD, &n), -EBADMSG);
	b[DNS_HEAD] = 0x80;
	assert_int_equal(read_name(DNS_HEAD, &n), -EBADMSG);
	b[DNS_HEAD] = 63;
	assert_int_equal(read_name(DNS_HEAD, &n), 0);
	assert_int_equal(n.len, 65);
}

static void name_over_255_is_refused(void **state)
{
	struct dns_name n;

	(void)state;
	/* 4 * 63 and what is left: 255 with the root is the most. */
	for (unsigned last = 61; last <= 62; last++) {
		head(0, 1, 0, 0, 0);
		for (int i = 0; i < 4; i++) {
			uint8_t l = i < 3 ? 63 : (uint8_t)last;

			add(&l, 1);
			memset(b + len, 'a', l);
			len += l;
		}
		add("", 1);
		assert_int_equal(read_name(DNS_HEAD, &n),
		                 last == 61 ? 0 : -EBADMSG);
	}
}

static void name_that_pointers_make_long_is_refused(void **state)
{
	struct dns_name n;

	(void)state;
	head(0, 1, 0, 0, 0);
	for (unsigned i = 0; i < 30; i++) {
		ADD("\x0f"
		    "aaaaaaaaaaaaaaa");
		if (i == 0)
			add("", 1);
		else
			add16(0xc000 |
			      (unsigned)(i == 1 ? DNS_HEAD : len - 34));
	}
	assert_int_equal(read_name(len - 18, &n), -EBADMSG);
	assert_int_equal(read_name(DNS_HEAD + 17 + 18 * 13, &n), 0);
	assert_int_equal(n.len, 1 + 16 * 15);
}

static void odd_bytes_in_labels_are_no_text(void **state)
{
	static const struct {
		const char *name;
		size_t len;
	} odd[] = {
		{"\3a\0b\7example",             13},
		{"\3a.b\7example",              13},
		{"\3a b\7example",              13},
		{"\3a\\b\7example",             13},
		{"\3a\x7f"
	         "b\7example", 13},
		{"\3a\xc3\xa4\7example",        13},
		{"\3a\nb\7example",             13},
		{"\1.",			 3 },
	};
	char t[POLICY_NAME_MAX + 1];
	struct dns_name n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		head(0, 1, 0, 0, 0);
		add(odd[i].name, odd[i].len);
		assert_int_equal(read_name(DNS_HEAD, &n), 0);
		assert_int_equal(dns_name_text(&n, t), -EINVAL);
	}
}

static void the_root_is_an_empty_text(void **state)
{
	struct dns_name n;

	(void)state;
	assert_int_equal(NAME_AT("\0", 0, &n), 0);
	assert_string_equal(text(&n), "");
	assert_int_equal(dns_name_from_text("", &n), 0);
	assert_int_equal(n.len, 1);
}

static void the_longest_name_has_a_text(void **state)
{
	char t[POLICY_NAME_MAX + 1];
	struct dns_name n;

	(void)state;
	memset(t, 'a', POLICY_NAME_MAX);
	t[POLICY_NAME_MAX] = '\0';
	for (size_t i = 63; i < POLICY_NAME_MAX; i += 64)
		t[i] = '.';
	assert_int_equal(dns_name_from_text(t, &n), 0);
	assert_int_equal(n.len, DNS_NAME_MAX);
	assert_string_equal(text(&n), t);
	assert_int_equal(dns_name_from_text("a..b", &n), -EINVAL);
	assert_int_equal(dns_name_from_text(".", &n), -EINVAL);
}

static void names_compare_without_case(void **state)
{
	struct dns_name a, c, sub;

	(void)state;
	(void)dns_name_from_text("Example.COM", &a);
	(void)dns_name_from_text("eXAMPLE.com", &c);
	(void)dns_name_from_text("www.example.com", &sub);
	assert_true(dns_name_eq(&a, &c));
	assert_false(dns_name_eq(&a, &sub));
	assert_true(dns_name_under(&sub, &a));
	assert_true(dns_name_under(&a, &c));
	assert_false(dns_name_under(&a, &sub));
	(void)dns_name_from_text("notexample.com", &sub);
	assert_false(dns_name_under(&sub, &a));
	(void)dns_name_from_text("", &c);
	assert_true(dns_name_under(&sub, &c));
	dns_name_lower(&a);
	assert_memory_equal(a.b, "\7example\3com", 13);
}

/* ---- queries ---- */

static int parse_query(void)
{
	return dns_query_parse(b, len, &q);
}

static void a_query_is_read(void **state)
{
	(void)state;
	head(DNS_RD | DNS_CD, 1, 0, 0, 0);
	question("a.example", DNS_AAAA);
	assert_int_equal(parse_query(), 0);
	assert_int_equal(q.id, 0x1234);
	assert_int_equal(q.type, DNS_AAAA);
	assert_int_equal(q.class, DNS_CLASS_IN);
	assert_int_equal(q.size, DNS_UDP_MIN);
	assert_false(q.opt);
	assert_string_equal(text(&q.name), "a.example");
}

static void add_opt(unsigned size, unsigned version, unsigned flags,
                    const void *options, size_t n)
{
	add("", 1);
	add16(DNS_OPT);
	add16(size);
	add16(version);
	add16(flags);
	add16((unsigned)n);
	add(options, n);
}

static void edns_sizes_are_clamped(void **state)
{
	static const unsigned sizes[][2] = {
		{0,     512 },
                {512,   512 },
                {1000,  1000},
		{1232,  1232},
                {4096,  1232},
                {65535, 1232}
        };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		head(DNS_RD, 1, 0, 0, 1);
		question("a.example", DNS_A);
		add_opt(sizes[i][0], 0, DNS_EDNS_DO, "", 0);
		assert_int_equal(parse_query(), 0);
		assert_true(q.opt && q.dnssec_ok);
		assert_int_equal(q.size, sizes[i][1]);
	}
}

static void edns_of_another_version_is_badvers(void **state)
{
	(void)state;
	head(DNS_RD, 1, 0, 0, 1);
	question("a.example", DNS_A);
	add_opt(1232, 1, 0, "", 0);
	assert_int_equal(parse_query(), DNS_BADVERS);
	len = dns_reply(&q, DNS_BADVERS, 0, DNS_EDE_NONE, b, sizeof(b));
	assert_int_equal(b[3] & DNS_RCODE, 0);
	assert_int_equal(b[len - 6], 1);
}

static void two_opt_records_are_a_form_error(void **state)
{
	(void)state;
	head(DNS_RD, 1, 0, 0, 2);
	question("a.example", DNS_A);
	add_opt(1232, 0, 0, "", 0);
	add_opt(1232, 0, 0, "", 0);
	assert_int_equal(parse_query(), DNS_FORMERR);
}

static void not_one_question_is_a_form_error(void **state)
{
	(void)state;
	head(DNS_RD, 0, 0, 0, 0);
	assert_int_equal(parse_query(), DNS_FORMERR);
	head(DNS_RD, 2, 0, 0, 0);
	question("a.example", DNS_A);
	question("b.example", DNS_A);
	assert_int_equal(parse_query(), DNS_FORMERR);
	head(DNS_RD, 65535, 0, 0, 0);
	for (int i = 0; i < 3000; i++)
		question("a.example", DNS_A);
	assert_int_equal(parse_query(), DNS_FORMERR);
}

static void a_query_with_answers_is_a_form_error(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		head(DNS_RD, 1, i, !i, 0);
		question("a.example", DNS_A);
		record("a.example", DNS_A, 60, four, 4);
		assert_int_equal(parse_query(), DNS_FORMERR);
	}
}

static void a_query_cut_anywhere_is_refused(void **state)
{
	size_t whole;

	(void)state;
	head(DNS_RD, 1, 0, 0, 1);
	question("a.example", DNS_A);
	add_opt(1232, 0, 0, "\0\x0c\0\4pad!", 8);
	whole = len;
	for (len = 0; len < whole; len++)
		assert_int_equal(parse_query(),
		                 len < DNS_HEAD ? -EPROTO : DNS_FORMERR);
	assert_int_equal(parse_query(), 0);
}

static void an_answer_is_no_query(void **state)
{
	(void)state;
	head(DNS_QR, 1, 0, 0, 0);
	question("a.example", DNS_A);
	assert_int_equal(parse_query(), -EPROTO);
}

static void other_opcodes_are_not_implemented(void **state)
{
	(void)state;
	for (unsigned op = 1; op < 16; op++) {
		head(op << 11, 1, 0, 0, 0);
		question("a.example", DNS_SOA);
		assert_int_equal(parse_query(), DNS_NOTIMP);
		assert_int_equal(dns_reply(&q, DNS_NOTIMP, 0, DNS_EDE_NONE, b,
		                           sizeof(b)),
		                 DNS_HEAD);
		assert_int_equal(get_be16(b + 2) & DNS_OPCODE, op << 11);
	}
}

static void our_query_has_none_of_the_guests_options(void **state)
{
	uint8_t out[DNS_QUERY_MAX];
	struct dns_name name;
	size_t n;

	(void)state;
	head(DNS_RD | DNS_AD | DNS_AA | DNS_TC | 0x40, 1, 0, 0, 1);
	question("a.example", DNS_A);
	add_opt(4096, 0, 0xffff, "\0\x0c\0\x10secret padding!!", 20);
	assert_int_equal(parse_query(), 0);
	(void)dns_name_from_text("A.eXample", &name);
	n = dns_query_build(&q, &name, 0xbeef, out);
	assert_int_equal(n, DNS_HEAD + name.len + 4 + 11);
	assert_int_equal(get_be16(out), 0xbeef);
	assert_int_equal(get_be16(out + 2), DNS_RD | DNS_AD);
	assert_memory_equal(out + DNS_HEAD, "\1A\7eXample", 11);
	assert_memory_equal(out + n - 11, "\0\0\x29\x04\xd0\0\0\x80\0\0\0", 11);
}

/* ---- messages ---- */

static int parse(void)
{
	return dns_msg_parse(b, len, &m);
}

static void a_message_is_walked(void **state)
{
	struct dns_walk w = {.m = &m};
	struct dns_rr rr;
	struct addr a;

	(void)state;
	head(DNS_QR, 1, 1, 1, 1);
	question("a.example", DNS_A);
	record("a.example", DNS_A, 0x80000000, four, 4);
	soa(60, 60);
	add_opt(4096, 0, 0, "", 0);
	ADD("behind the end");
	assert_int_equal(parse(), 0);
	assert_int_equal(m.len, len - 14);
	assert_int_equal(m.opt, len - 14 - 11);
	assert_true(dns_walk(&w, &rr));
	assert_int_equal(rr.section, DNS_ANSWER);
	assert_int_equal(rr.ttl, 0); /* above 2^31 */
	a = dns_rr_addr(&m, &rr);
	assert_int_equal(addr_to_v4(&a), 0xc0000201);
	assert_true(dns_walk(&w, &rr));
	assert_int_equal(rr.section, DNS_AUTHORITY);
	assert_true(dns_walk(&w, &rr));
	assert_int_equal(rr.type, DNS_OPT);
	assert_false(dns_walk(&w, &rr));
}

static void a_message_cut_anywhere_is_refused(void **state)
{
	size_t whole;

	(void)state;
	head(DNS_QR, 1, 2, 1, 1);
	question("a.example", DNS_A);
	record("a.example", DNS_CNAME, 60, "\1b\xc0\x0c", 4);
	record("b.a.example", DNS_A, 60, four, 4);
	soa(60, 60);
	add_opt(4096, 0, 0, "", 0);
	whole = len;
	assert_int_equal(parse(), 0);
	for (len = 0; len < whole; len++)
		assert_int_equal(parse(), -EBADMSG);
}

static void addresses_of_a_wrong_length_are_refused(void **state)
{
	uint8_t data[17] = {0};

	(void)state;
	for (unsigned n = 0; n <= sizeof(data); n++) {
		head(DNS_QR, 1, 1, 0, 0);
		question("a.example", DNS_A);
		record("a.example", DNS_A, 60, data, n);
		assert_int_equal(parse(), n == 4 ? 0 : -EBADMSG);
		head(DNS_QR, 1, 1, 0, 0);
		question("a.example", DNS_A);
		record("a.example", DNS_AAAA, 60, data, n);
		assert_int_equal(parse(), n == 16 ? 0 : -EBADMSG);
	}
}

static void a_cname_without_a_name_is_refused(void **state)
{
	(void)state;
	head(DNS_QR, 1, 1, 0, 0);
	question("a.example", DNS_A);
	record("a.example", DNS_CNAME, 60, "\1b", 2);
	assert_int_equal(parse(), -EBADMSG);
	head(DNS_QR, 1, 1, 0, 0);
	question("a.example", DNS_A);
	record("a.example", DNS_CNAME, 60, "\1b\0more", 7);
	assert_int_equal(parse(), -EBADMSG);
}

static void an_opt_record_elsewhere_is_refused(void **state)
{
	(void)state;
	head(DNS_QR, 1, 1, 0, 0);
	question("a.example", DNS_A);
	add_opt(4096, 0, 0, "", 0);
	assert_int_equal(parse(), -EBADMSG);
	head(DNS_QR, 1, 0, 0, 1);
	question("a.example", DNS_A);
	record("not.the.root", DNS_OPT, 0, "", 0);
	assert_int_equal(parse(), -EBADMSG);
	head(DNS_QR, 1, 0, 0, 2);
	question("a.example", DNS_A);
	add_opt(4096, 0, 0, "", 0);
	add_opt(4096, 0, 0, "", 0);
	assert_int_equal(parse(), -EBADMSG);
}

static void too_many_records_are_refused(void **state)
{
	(void)state;
	for (unsigned n = DNS_RECORDS_MAX; n <= DNS_RECORDS_MAX + 1; n++) {
		head(DNS_QR, 1, n, 0, 0);
		question("a.example", DNS_A);
		for (unsigned i = 0; i < n; i++)
			record("a.example", DNS_A, 60, four, 4);
		assert_int_equal(parse(), n == DNS_RECORDS_MAX ? 0 : -EBADMSG);
	}
	head(DNS_QR, 1, 65535, 65535, 65535);
	question("a.example", DNS_A);
	assert_int_equal(parse(), -EBADMSG);
}

static uint32_t ttl(void)
{
	assert_int_equal(parse(), 0);
	return dns_msg_ttl(&m);
}

static void the_least_ttl_counts(void **state)
{
	(void)state;
	head(DNS_QR, 1, 2, 0, 1);
	question("a.example", DNS_A);
	record("a.example", DNS_A, 600, four, 4);
	record("a.example", DNS_A, 30, four, 4);
	add_opt(4096, 0, 0, "", 0);
	assert_int_equal(ttl(), 30);
	head(DNS_QR, 1, 1, 0, 0);
	question("a.example", DNS_A);
	record("a.example", DNS_A, 1000000, four, 4);
	assert_int_equal(ttl(), DNS_TTL_MAX);
	head(DNS_QR, 1, 1, 0, 0);
	question("a.example", DNS_A);
	record("a.example", DNS_A, 0, four, 4);
	assert_int_equal(ttl(), 0);
}

static void negative_answers_live_60_seconds_at_most(void **state)
{
	static const struct {
		uint32_t ttl, minimum, want;
	} cases[] = {
		{900, 900, 60},
                {20,  900, 20},
                {900, 10,  10},
                {0,   9,   0 }
        };

	(void)state;
	for (unsigned rcode = 0; rcode <= 3; rcode += 3)
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			head(DNS_QR | rcode, 1, 0, 1, 0);
			question("a.example", DNS_A);
			soa(cases[i].ttl, cases[i].minimum);
			assert_int_equal(ttl(), cases[i].want);
		}
	/* Without a SOA, and a CNAME to nowhere. */
	head(DNS_QR | DNS_NXDOMAIN, 1, 0, 0, 0);
	question("a.example", DNS_A);
	assert_int_equal(ttl(), 0);
	head(DNS_QR | DNS_NXDOMAIN, 1, 1, 1, 0);
	question("a.example", DNS_A);
	record("a.example", DNS_CNAME, 600, "\1b", 3);
	soa(900, 900);
	assert_int_equal(ttl(), 60);
}

static void failures_and_cut_answers_are_not_kept(void **state)
{
	static const unsigned flags[] = {DNS_SERVFAIL, DNS_REFUSED, DNS_FORMERR,
	                                 DNS_NOTIMP, DNS_TC};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		head(DNS_QR | flags[i], 1, 1, 0, 0);
		question("a.example", DNS_A);
		record("a.example", DNS_A, 600, four, 4);
		assert_int_equal(ttl(), 0);
	}
}

/* ---- answers ---- */

static void a_denial_has_its_reason_only_with_edns(void **state)
{
	(void)state;
	head(DNS_RD, 1, 0, 0, 1);
	question("a.example", DNS_A);
	add_opt(4096, 0, DNS_EDNS_DO, "", 0);
	assert_int_equal(parse_query(), 0);
	len = dns_reply(&q, DNS_NXDOMAIN, 0, DNS_EDE_BLOCKED, b, sizeof(b));
	assert_int_equal(parse(), 0);
	assert_int_equal(m.flags, DNS_QR | DNS_RD | DNS_RA | DNS_NXDOMAIN);
	assert_memory_equal(b + m.opt,
	                    "\0\0\x29\x04\xd0\0\0\x80\0\0\6\0\x0f\0\2\0\x0f",
	                    17);
	q.opt = false;
	len = dns_reply(&q, DNS_NXDOMAIN, 0, DNS_EDE_BLOCKED, b, sizeof(b));
	assert_int_equal(parse(), 0);
	assert_int_equal(m.opt, 0);
	assert_int_equal(len, m.question_end);
}

static void what_does_not_fit_is_said(void **state)
{
	struct dns_out o;

	(void)state;
	head(DNS_RD, 1, 0, 0, 0);
	question("a.example", DNS_A);
	assert_int_equal(parse_query(), 0);
	dns_out_begin(&o, b, 60, &q, 0);
	dns_out_record(&o, NULL, DNS_A, 60, four, 4);
	assert_false(o.full);
	assert_int_equal(get_be16(b + 6), 1);
	dns_out_record(&o, &q.name, DNS_A, 60, four, 4);
	assert_true(o.full);
	assert_int_equal(get_be16(b + 6), 1);
}

static int strip(const void *data, size_t n, uint8_t *ret)
{
	static const uint16_t keys[] = {4, 5, 6};
	struct dns_walk w = {.m = &m};
	struct dns_rr rr;

	head(DNS_QR, 1, 1, 0, 0);
	question("a.example", DNS_HTTPS);
	record("a.example", DNS_HTTPS, 60, data, n);
	assert_int_equal(parse(), 0);
	assert_true(dns_walk(&w, &rr));
	return dns_svcb_strip(&m, &rr, keys, ARRAY_SIZE(keys), ret);
}

#define STRIP(literal) strip(literal, sizeof(literal) - 1, out)

static void svcb_loses_hints_and_ech(void **state)
{
	static const char with[] = "\0\1\0"
				   "\0\1\0\3\2h2"
				   "\0\4\0\4\x7f\0\0\1"
				   "\0\5\0\4echo"
				   "\0\6\0\1x"
				   "\0\7\0\1y",
			  without[] = "\0\1\0"
				      "\0\1\0\3\2h2"
				      "\0\7\0\1y";
	uint8_t out[256];

	(void)state;
	assert_int_equal(STRIP(with), sizeof(without) - 1);
	assert_memory_equal(out, without, sizeof(without) - 1);
	assert_int_equal(STRIP(without), sizeof(without) - 1);
	assert_int_equal(STRIP("\0\0\3foo\0"), 7);
}

static void svcb_that_needs_what_is_taken_is_refused(void **state)
{
	uint8_t out[256];

	(void)state;
	assert_int_equal(STRIP("\0\1\0\0\0\0\4\0\1\0\5\0\5\0\1e"), -EBADMSG);
	assert_int_equal(STRIP("\0\1\0\0\0\0\2\0\1\0\5\0\1e"), 9);
}

static void broken_svcb_is_refused(void **state)
{
	uint8_t out[256];

	(void)state;
	assert_int_equal(STRIP(""), -EBADMSG);
	assert_int_equal(STRIP("\0\1"), -EBADMSG);
	assert_int_equal(STRIP("\0\1\5abc"), -EBADMSG);
	assert_int_equal(STRIP("\0\1\xc0\x0c"), -EBADMSG);
	assert_int_equal(STRIP("\0\1\0\0"), -EBADMSG);
	assert_int_equal(STRIP("\0\1\0\0\4\0"), -EBADMSG);
	assert_int_equal(STRIP("\0\1\0\0\4\0\5abcd"), -EBADMSG);
}

/* Random changes of a whole message: nothing is read beyond its end (ASan). */
static void random_damage_is_survived(void **state)
{
	uint8_t whole[512], *copy;
	size_t n;

	(void)state;
	head(DNS_QR, 1, 3, 1, 1);
	question("a.example", DNS_A);
	record("a.example", DNS_CNAME, 60, "\1b\xc0\x0c", 4);
	record("b.a.example", DNS_A, 60, four, 4);
	record("b.a.example", DNS_HTTPS, 60, "\0\1\0\0\4\0\4\x7f\0\0\1", 11);
	soa(60, 60);
	add_opt(4096, 0, 0, "", 0);
	n = len;
	memcpy(whole, b, n);
	srandom(7);
	for (int i = 0; i < 50000; i++) {
		struct dns_walk w = {.m = &m};
		struct dns_rr rr;
		uint8_t out[512];
		static const uint16_t keys[] = {4};

		copy = malloc(n); /* of exactly its size */
		assert_non_null(copy);
		memcpy(copy, whole, n);
		for (long k = random() % 6; k >= 0; k--)
			copy[(size_t)random() % n] = (uint8_t)random();
		(void)dns_query_parse(copy, n, &q);
		if (dns_msg_parse(copy, n - (size_t)random() % 3, &m) == 0)
			while (dns_walk(&w, &rr)) {
				assert_true(rr.data + rr.len <= m.len);
				(void)dns_svcb_strip(&m, &rr, keys, 1, out);
			}
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_read),
		cmocka_unit_test(a_compressed_name_is_followed),
		cmocka_unit_test(loop_in_pointers_is_refused),
		cmocka_unit_test(long_chain_of_pointers_is_refused),
		cmocka_unit_test(pointer_forward_is_refused),
		cmocka_unit_test(pointer_past_the_end_is_refused),
		cmocka_unit_test(pointer_into_the_header_is_refused),
		cmocka_unit_test(label_over_63_is_refused),
		cmocka_unit_test(name_over_255_is_refused),
		cmocka_unit_test(name_that_pointers_make_long_is_refused),
		cmocka_unit_test(odd_bytes_in_labels_are_no_text),
		cmocka_unit_test(the_root_is_an_empty_text),
		cmocka_unit_test(the_longest_name_has_a_text),
		cmocka_unit_test(names_compare_without_case),
		cmocka_unit_test(a_query_is_read),
		cmocka_unit_test(edns_sizes_are_clamped),
		cmocka_unit_test(edns_of_another_version_is_badvers),
		cmocka_unit_test(two_opt_records_are_a_form_error),
		cmocka_unit_test(not_one_question_is_a_form_error),
		cmocka_unit_test(a_query_with_answers_is_a_form_error),
		cmocka_unit_test(a_query_cut_anywhere_is_refused),
		cmocka_unit_test(an_answer_is_no_query),
		cmocka_unit_test(other_opcodes_are_not_implemented),
		cmocka_unit_test(our_query_has_none_of_the_guests_options),
		cmocka_unit_test(a_message_is_walked),
		cmocka_unit_test(a_message_cut_anywhere_is_refused),
		cmocka_unit_test(addresses_of_a_wrong_length_are_refused),
		cmocka_unit_test(a_cname_without_a_name_is_refused),
		cmocka_unit_test(an_opt_record_elsewhere_is_refused),
		cmocka_unit_test(too_many_records_are_refused),
		cmocka_unit_test(the_least_ttl_counts),
		cmocka_unit_test(negative_answers_live_60_seconds_at_most),
		cmocka_unit_test(failures_and_cut_answers_are_not_kept),
		cmocka_unit_test(a_denial_has_its_reason_only_with_edns),
		cmocka_unit_test(what_does_not_fit_is_said),
		cmocka_unit_test(svcb_loses_hints_and_ech),
		cmocka_unit_test(svcb_that_needs_what_is_taken_is_refused),
		cmocka_unit_test(broken_svcb_is_refused),
		cmocka_unit_test(random_damage_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
