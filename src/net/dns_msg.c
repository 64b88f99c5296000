#include "net/dns_msg.h"

#include <errno.h>
#include <string.h>

#include "base/cursor.h"
#include "base/num.h"

#include "base/banned.h"

#define POINTER        0xc0
#define QUESTION_MIN   5
#define RUNS_MAX       127 /* a name has no more labels */
#define RR_FIXED       10  /* type, class, TTL, length */
#define OPT_EDE        15
#define SVCB_MANDATORY 0

/* ---- names ---- */

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 0x20) : c;
}

/*
 * @floor is where the present run of labels began: a pointer leads before it,
 * so the runs go strictly backwards and come to an end; soon, as empty ones
 * count, too: each of a thousand names could lead through all of a message.
 */
int dns_name_read(const uint8_t *msg, size_t len, size_t *at,
                  struct dns_name *ret)
{
	size_t p = *at, floor = p, end = 0, n = 0, to;
	unsigned runs = 0;
	uint8_t b[DNS_NAME_MAX];

	for (;;) {
		if (p >= len)
			return -EBADMSG;
		if ((msg[p] & POINTER) == POINTER) {
			if (p + 1 >= len)
				return -EBADMSG;
			to = (size_t)get_be16(msg + p) & 0x3fff;
			if (!end)
				end = p + 2;
			if (to >= floor || to < DNS_HEAD || ++runs > RUNS_MAX)
				return -EBADMSG;
			p = floor = to;
			continue;
		}
		to = 1 + (size_t)msg[p];
		if (msg[p] > DNS_LABEL_MAX || p + to > len ||
		    n + to > sizeof(b))
			return -EBADMSG;
		memcpy(b + n, msg + p, to);
		n += to;
		p += to;
		if (to == 1)
			break;
	}
	memcpy(ret->b, b, n);
	ret->len = (uint8_t)n;
	*at = end ? end : p;
	return 0;
}

static bool same_letters(const uint8_t *a, const uint8_t *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

/* Lengths of labels are below 'A', so they may be compared like letters. */
bool dns_name_eq(const struct dns_name *a, const struct dns_name *b)
{
	return a->len == b->len && same_letters(a->b, b->b, a->len);
}

bool dns_name_under(const struct dns_name *n, const struct dns_name *top)
{
	size_t at = 0;

	while (n->len - at > top->len)
		at += 1 + (size_t)n->b[at];
	return n->len - at == top->len &&
	       same_letters(n->b + at, top->b, top->len);
}

void dns_name_lower(struct dns_name *n)
{
	for (size_t i = 0; i < n->len; i++)
		n->b[i] = lower(n->b[i]);
}

/* The last label's length byte is no dot but the end. */
int dns_name_text(const struct dns_name *n, char ret[POLICY_NAME_MAX + 1])
{
	char text[DNS_NAME_MAX];
	size_t at = 0, end;

	while (n->b[at]) {
		end = at + n->b[at];
		if (at)
			text[at - 1] = '.';
		for (at++; at <= end; at++) {
			uint8_t c = n->b[at];

			if (c <= ' ' || c > '~' || c == '.' || c == '\\')
				return -EINVAL;
			text[at - 1] = (char)lower(c);
		}
	}
	if (at)
		at--; /* a text of one label: its length byte is no byte */
	text[at] = '\0';
	memcpy(ret, text, at + 1);
	return 0;
}

int dns_name_from_text(const char *text, struct dns_name *ret)
{
	size_t n = 0;

	while (*text) {
		size_t len = strcspn(text, ".");

		if (len == 0 || len > DNS_LABEL_MAX ||
		    n + 1 + len + 1 > DNS_NAME_MAX)
			return -EINVAL;
		ret->b[n] = (uint8_t)len;
		memcpy(ret->b + n + 1, text, len);
		n += 1 + len;
		text += len;
		if (*text == '.')
			text++;
	}
	ret->b[n++] = 0;
	ret->len = (uint8_t)n;
	return 0;
}

/* ---- records ---- */

/* @ret->section is the caller's. */
static int rr_read(const uint8_t *b, size_t len, size_t *at, struct dns_rr *ret)
{
	ret->at = *at;
	if (dns_name_read(b, len, at, &ret->owner) < 0 || len - *at < RR_FIXED)
		return -EBADMSG;
	ret->type = get_be16(b + *at);
	ret->class = get_be16(b + *at + 2);
	ret->ttl_at = *at + 4;
	ret->ttl = get_be32(b + ret->ttl_at);
	if (ret->ttl > INT32_MAX)
		ret->ttl = 0;
	ret->len = get_be16(b + *at + 8);
	ret->data = *at + RR_FIXED;
	if (ret->len > len - ret->data)
		return -EBADMSG;
	*at = ret->data + ret->len;
	return 0;
}

/* What is used of it has its form. */
static bool rr_is_sound(const uint8_t *b, const struct dns_rr *rr)
{
	struct dns_name target;
	size_t at = rr->data, end = rr->data + rr->len;

	if (rr->type == DNS_A)
		return rr->len == 4;
	if (rr->type == DNS_AAAA)
		return rr->len == 16;
	if (rr->type == DNS_CNAME || rr->type == DNS_DNAME)
		return dns_name_read(b, end, &at, &target) == 0 && at == end;
	return true;
}

struct addr dns_rr_addr(const struct dns_msg *m, const struct dns_rr *rr)
{
	struct addr a;

	if (rr->type == DNS_A)
		return addr_v4(get_be32(m->b + rr->data));
	memcpy(a.b, m->b + rr->data, sizeof(a.b));
	return a;
}

/* ---- queries ---- */

static int question_read(const uint8_t *msg, size_t len, size_t *at,
                         struct dns_name *name, uint16_t *type, uint16_t *class)
{
	if (dns_name_read(msg, len, at, name) < 0 || len - *at < 4)
		return -EBADMSG;
	*type = get_be16(msg + *at);
	*class = get_be16(msg + *at + 2);
	*at += 4;
	return 0;
}

/* EDNS, RFC 6891: the class is a size, the TTL a version and flags. */
static int opt_read(const uint8_t *msg, const struct dns_rr *rr,
                    struct dns_query *q)
{
	if (q->opt || rr->owner.len != 1)
		return DNS_FORMERR;
	q->opt = true;
	q->size = rr->class < DNS_UDP_MIN   ? DNS_UDP_MIN
	          : rr->class > DNS_UDP_MAX ? DNS_UDP_MAX
	                                    : rr->class;
	q->dnssec_ok = get_be16(msg + rr->ttl_at + 2) & DNS_EDNS_DO;
	return msg[rr->ttl_at + 1] != 0 ? DNS_BADVERS : DNS_NOERROR;
}

int dns_query_parse(const uint8_t *msg, size_t len, struct dns_query *ret)
{
	size_t at = DNS_HEAD;
	unsigned additional;
	struct dns_rr rr;
	int rcode = 0;

	*ret = (struct dns_query){.size = DNS_UDP_MIN};
	if (len < DNS_HEAD)
		return -EPROTO;
	ret->id = get_be16(msg);
	ret->flags = get_be16(msg + 2);
	if (ret->flags & DNS_QR)
		return -EPROTO;
	if (ret->flags & DNS_OPCODE)
		return DNS_NOTIMP;
	additional = get_be16(msg + 10);
	if (get_be16(msg + 4) != 1 || get_be16(msg + 6) != 0 ||
	    get_be16(msg + 8) != 0 || additional > DNS_RECORDS_MAX)
		return DNS_FORMERR;
	if (question_read(msg, len, &at, &ret->name, &ret->type, &ret->class) <
	    0) {
		ret->name.len = 0;
		return DNS_FORMERR;
	}
	while (additional-- && !rcode) {
		if (rr_read(msg, len, &at, &rr) < 0)
			return DNS_FORMERR;
		if (rr.type == DNS_OPT)
			rcode = opt_read(msg, &rr, ret);
	}
	return rcode;
}

/* ---- messages ---- */

/* Records of one section; the sections' ends are the caller's. */
static int parse_section(struct dns_msg *m, enum dns_section section,
                         size_t len, size_t *at)
{
	struct dns_rr rr;

	for (unsigned i = 0; i < m->count[section]; i++) {
		size_t begin = *at;

		if (rr_read(m->b, len, at, &rr) < 0 || !rr_is_sound(m->b, &rr))
			return -EBADMSG;
		if (rr.type != DNS_OPT)
			continue;
		if (section != DNS_ADDITIONAL || m->opt || rr.owner.len != 1)
			return -EBADMSG;
		m->opt = begin;
	}
	return 0;
}

int dns_msg_parse(const uint8_t *b, size_t len, struct dns_msg *ret)
{
	struct dns_msg m = {.b = b};
	size_t at = DNS_HEAD;

	if (len < DNS_HEAD + QUESTION_MIN)
		return -EBADMSG;
	m.id = get_be16(b);
	m.flags = get_be16(b + 2);
	for (unsigned i = 0; i < ARRAY_SIZE(m.count); i++)
		m.count[i] = get_be16(b + 4 + 2 * i);
	if (m.count[0] != 1 || m.count[DNS_ANSWER] + m.count[DNS_AUTHORITY] +
	                                       m.count[DNS_ADDITIONAL] >
	                               DNS_RECORDS_MAX)
		return -EBADMSG;
	if (question_read(b, len, &at, &m.name, &m.type, &m.class) < 0)
		return -EBADMSG;
	m.question_end = at;
	if (parse_section(&m, DNS_ANSWER, len, &at) < 0)
		return -EBADMSG;
	m.answers_end = at;
	if (parse_section(&m, DNS_AUTHORITY, len, &at) < 0 ||
	    parse_section(&m, DNS_ADDITIONAL, len, &at) < 0)
		return -EBADMSG;
	m.len = at;
	*ret = m;
	return 0;
}

bool dns_walk(struct dns_walk *w, struct dns_rr *ret)
{
	const struct dns_msg *m = w->m;
	unsigned to_authority = m->count[DNS_ANSWER],
		 to_additional = to_authority + m->count[DNS_AUTHORITY];

	if (w->i == to_additional + m->count[DNS_ADDITIONAL])
		return false;
	if (w->i == 0)
		w->at = m->question_end;
	if (rr_read(m->b, m->len, &w->at, ret) < 0)
		return false;
	ret->section = w->i < to_authority    ? DNS_ANSWER
	               : w->i < to_additional ? DNS_AUTHORITY
	                                      : DNS_ADDITIONAL;
	w->i++;
	return true;
}

/* A negative answer lives as long as its SOA says, both ways that it does. */
static uint32_t negative_ttl(const struct dns_msg *m)
{
	struct dns_walk w = {.m = m};
	struct dns_rr rr;

	while (dns_walk(&w, &rr))
		if (rr.section == DNS_AUTHORITY && rr.type == DNS_SOA &&
		    rr.len > 4) {
			uint32_t minimum =
				get_be32(m->b + rr.data + rr.len - 4);

			minimum = MIN(minimum, rr.ttl);
			return MIN(minimum, DNS_NEGATIVE_MAX);
		}
	return 0;
}

uint32_t dns_msg_ttl(const struct dns_msg *m)
{
	unsigned rcode = m->flags & DNS_RCODE;
	struct dns_walk w = {.m = m};
	uint32_t ttl = DNS_TTL_MAX;
	bool answered = false;
	struct dns_rr rr;

	if ((rcode != DNS_NOERROR && rcode != DNS_NXDOMAIN) ||
	    m->flags & DNS_TC)
		return 0;
	while (dns_walk(&w, &rr)) {
		if (rr.type == DNS_OPT)
			continue;
		ttl = MIN(ttl, rr.ttl);
		if (rr.section == DNS_ANSWER && rr.type != DNS_CNAME)
			answered = true;
	}
	if (rcode == DNS_NOERROR && (answered || m->type == DNS_CNAME))
		return ttl;
	return MIN(ttl, negative_ttl(m));
}

/* ---- answers ---- */

static uint8_t *out_room(struct dns_out *o, size_t len)
{
	uint8_t *p = o->b + o->len;

	if (o->full || len > o->max - o->len) {
		o->full = true;
		return NULL;
	}
	o->len += len;
	return p;
}

static void out_bytes(struct dns_out *o, const void *data, size_t len)
{
	uint8_t *p = out_room(o, len);

	if (p && len)
		memcpy(p, data, len);
}

static void out_be16(struct dns_out *o, uint16_t v)
{
	uint8_t *p = out_room(o, 2);

	if (p)
		put_be16(p, v);
}

static void out_be32(struct dns_out *o, uint32_t v)
{
	uint8_t *p = out_room(o, 4);

	if (p)
		put_be32(p, v);
}

static void count_one(struct dns_out *o, enum dns_section section)
{
	uint8_t *p = o->b + 4 + 2 * section;

	if (!o->full)
		put_be16(p, (uint16_t)(get_be16(p) + 1));
}

static void out_question(struct dns_out *o, const struct dns_name *name,
                         uint16_t type, uint16_t class)
{
	out_bytes(o, name->b, name->len);
	out_be16(o, type);
	out_be16(o, class);
	count_one(o, 0);
}

static void out_head(struct dns_out *o, uint16_t id, uint16_t flags)
{
	out_be16(o, id);
	out_be16(o, flags);
	for (int i = 0; i < 4; i++)
		out_be16(o, 0);
}

size_t dns_query_build(const struct dns_query *q, const struct dns_name *name,
                       uint16_t id, uint8_t ret[DNS_QUERY_MAX])
{
	struct dns_out o = {.b = ret, .max = DNS_QUERY_MAX};

	out_head(&o, id, q->flags & (DNS_RD | DNS_AD | DNS_CD));
	out_question(&o, name, q->type, q->class);
	dns_out_opt(&o, q, 0, DNS_EDE_NONE);
	return o.len;
}

void dns_out_begin(struct dns_out *o, uint8_t *buf, size_t max,
                   const struct dns_query *q, uint16_t flags)
{
	*o = (struct dns_out){.b = buf, .max = max};
	out_head(o, q->id,
	         (uint16_t)(DNS_QR | DNS_RA | flags |
	                    (q->flags & (DNS_OPCODE | DNS_RD | DNS_CD))));
	if (q->name.len)
		out_question(o, &q->name, q->type, q->class);
}

void dns_out_record(struct dns_out *o, const struct dns_name *owner,
                    uint16_t type, uint32_t ttl, const void *data, size_t len)
{
	if (owner)
		out_bytes(o, owner->b, owner->len);
	else
		out_be16(o, POINTER << 8 | DNS_HEAD);
	out_be16(o, type);
	out_be16(o, DNS_CLASS_IN);
	out_be32(o, ttl);
	out_be16(o, (uint16_t)len);
	out_bytes(o, data, len);
	count_one(o, DNS_ANSWER);
}

void dns_out_opt(struct dns_out *o, const struct dns_query *q,
                 unsigned extended_rcode, enum dns_ede ede)
{
	if (!q->opt)
		return;
	out_bytes(o, "", 1); /* the root's name */
	out_be16(o, DNS_OPT);
	out_be16(o, DNS_UDP_MAX);
	out_be32(o, extended_rcode << 24 | (q->dnssec_ok ? DNS_EDNS_DO : 0));
	out_be16(o, ede ? 6 : 0);
	if (ede) {
		out_be16(o, OPT_EDE);
		out_be16(o, 2);
		out_be16(o, (uint16_t)ede);
	}
	count_one(o, DNS_ADDITIONAL);
}

size_t dns_reply(const struct dns_query *q, unsigned rcode, uint16_t flags,
                 enum dns_ede ede, uint8_t *buf, size_t max)
{
	struct dns_out o;

	dns_out_begin(&o, buf, max, q, (uint16_t)(flags | (rcode & DNS_RCODE)));
	dns_out_opt(&o, q, rcode >> 4, ede);
	return o.len;
}

/* ---- SVCB, RFC 9460 ---- */

static bool is_listed(uint16_t key, const uint16_t *keys, size_t nkeys)
{
	for (size_t i = 0; i < nkeys; i++)
		if (keys[i] == key)
			return true;
	return false;
}

static bool lists_one_of(const uint8_t *value, size_t len, const uint16_t *keys,
                         size_t nkeys)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		if (is_listed(get_be16(value + i), keys, nkeys))
			return true;
	return false;
}

int dns_svcb_strip(const struct dns_msg *m, const struct dns_rr *rr,
                   const uint16_t *keys, size_t nkeys, uint8_t *ret)
{
	size_t at = rr->data + 2, end = rr->data + rr->len, n;
	struct dns_name target;
	struct cursor c;

	/* Priority and target, whose name is not compressed; then keys. */
	if (rr->len < 3 || dns_name_read(m->b, end, &at, &target) < 0 ||
	    at - (rr->data + 2) != target.len)
		return -EBADMSG;
	n = at - rr->data;
	memcpy(ret, m->b + rr->data, n);
	c = cur_init(m->b + at, end - at);
	while (cur_left(&c)) {
		const uint8_t *param = c.p, *value;
		uint16_t key = cur_be16(&c), len = cur_be16(&c);

		value = cur_bytes(&c, len);
		if (!value || (key == SVCB_MANDATORY &&
		               lists_one_of(value, len, keys, nkeys)))
			return -EBADMSG;
		if (is_listed(key, keys, nkeys))
			continue;
		memcpy(ret + n, param, 4 + (size_t)len);
		n += 4 + (size_t)len;
	}
	return (int)n;
}
