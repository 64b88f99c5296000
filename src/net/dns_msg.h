/*
 * dns_msg.h - DNS messages on the wire, RFC 1035: taken apart with every bound
 * checked, and put together. Both ends are hostile: the guest that asks and
 * the server that answers.
 *
 * A name is read by following its pointers strictly backwards, so there is no
 * loop, and is bounded to 255 bytes, so there is no bomb. A message is walked
 * once as a whole when it is parsed; who walks it again cannot fail.
 */
#ifndef NET_DNS_MSG_H
#define NET_DNS_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

#define DNS_HEAD        12
#define DNS_NAME_MAX    255
#define DNS_LABEL_MAX   63
#define DNS_MSG_MAX     65535
#define DNS_RECORDS_MAX 1024 /* of one message */
#define DNS_UDP_MIN     512
#define DNS_UDP_MAX     1232 /* fits IPv6's least MTU */
#define DNS_QUERY_MAX   (DNS_HEAD + DNS_NAME_MAX + 4 + 11) /* one of ours */

#define DNS_QR     0x8000
#define DNS_OPCODE 0x7800
#define DNS_AA     0x0400
#define DNS_TC     0x0200
#define DNS_RD     0x0100
#define DNS_RA     0x0080
#define DNS_AD     0x0020
#define DNS_CD     0x0010
#define DNS_RCODE  0x000f

#define DNS_EDNS_DO 0x8000

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_BADVERS = 16,
};

enum dns_type {
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_AAAA = 28,
	DNS_DNAME = 39,
	DNS_OPT = 41,
	DNS_SVCB = 64,
	DNS_HTTPS = 65,
	DNS_TKEY = 249, /* from here on: no types of records */
	DNS_IXFR = 251,
	DNS_AXFR = 252,
	DNS_ANY = 255,
};

#define DNS_CLASS_IN 1

/* Extended errors, RFC 8914. */
enum dns_ede {
	DNS_EDE_NONE = 0,
	DNS_EDE_BLOCKED = 15,
	DNS_EDE_NO_REACHABLE = 22,
	DNS_EDE_NETWORK = 23,
};

/* ---- names ---- */

/* Uncompressed, with the root's byte at the end, spelled as it came. */
struct dns_name {
	uint8_t len;
	uint8_t b[DNS_NAME_MAX];
};

/* The name at @at of the message; @at moves behind it. -EBADMSG. */
int dns_name_read(const uint8_t *msg, size_t len, size_t *at,
                  struct dns_name *ret);

/* The case of letters does not count. */
bool dns_name_eq(const struct dns_name *a, const struct dns_name *b);

/* Is it @top or below it? */
bool dns_name_under(const struct dns_name *n, const struct dns_name *top);

void dns_name_lower(struct dns_name *n);

/*
 * As policy.h has names: lower case, without the last dot; "" is the root.
 * -EINVAL: a label has a byte that no such text can have (a dot, a NUL, a
 * space, a backslash, what is not ASCII).
 */
int dns_name_text(const struct dns_name *n, char ret[POLICY_NAME_MAX + 1]);

/* -EINVAL for an empty or long label or name. "" is the root. */
int dns_name_from_text(const char *text, struct dns_name *ret);

/* ---- queries ---- */

struct dns_query {
	uint16_t id, flags;
	struct dns_name name; /* len 0: could not be read */
	uint16_t type, class;
	bool opt, dnssec_ok;
	uint16_t size; /* UDP answers that the asker takes */
};

/*
 * A guest's message: 0, the rcode of the answer that it gets (then @ret has
 * what could be read), or -EPROTO: nothing to answer to.
 */
int dns_query_parse(const uint8_t *msg, size_t len, struct dns_query *ret);

/*
 * The query of ours in @q's place: the same question in the spelling of @name,
 * EDNS if @q has it, none of its options. Returns the length.
 */
size_t dns_query_build(const struct dns_query *q, const struct dns_name *name,
                       uint16_t id, uint8_t ret[DNS_QUERY_MAX]);

/* ---- messages ---- */

struct dns_msg {
	const uint8_t *b; /* borrowed */
	size_t len;       /* up to the end of the last record */
	uint16_t id, flags, count[4];
	struct dns_name name; /* of the only question */
	uint16_t type, class;
	size_t question_end, answers_end;
	size_t opt; /* where the OPT record begins; 0: none */
};

enum dns_section { DNS_ANSWER = 1, DNS_AUTHORITY, DNS_ADDITIONAL };

struct dns_rr {
	enum dns_section section;
	struct dns_name owner;
	uint16_t type, class;
	uint32_t ttl;            /* RFC 2181: above 2^31 is 0 */
	size_t at, ttl_at, data; /* offsets */
	size_t len;              /* of its data */
};

/*
 * A whole message with one question; -EBADMSG. A and AAAA records have their
 * lengths, CNAMEs a name.
 */
int dns_msg_parse(const uint8_t *b, size_t len, struct dns_msg *ret);

/* All records in order: start with {.m = m}. */
struct dns_walk {
	const struct dns_msg *m;
	size_t at;
	unsigned i;
};
bool dns_walk(struct dns_walk *w, struct dns_rr *ret);

static inline bool dns_rr_is_address(const struct dns_rr *rr)
{
	return rr->type == DNS_A || rr->type == DNS_AAAA;
}

/* The address of an A or AAAA record. */
struct addr dns_rr_addr(const struct dns_msg *m, const struct dns_rr *rr);

/* How long a message may be kept, RFC 2308; 0: not at all. */
#define DNS_TTL_MAX      86400
#define DNS_NEGATIVE_MAX 60
uint32_t dns_msg_ttl(const struct dns_msg *m);

/* ---- answers ---- */

/* A message that is written; what does not fit sets @full. */
struct dns_out {
	uint8_t *b;
	size_t len, max;
	bool full;
};

/* Header and question of an answer to @q, nothing else yet. */
void dns_out_begin(struct dns_out *o, uint8_t *buf, size_t max,
                   const struct dns_query *q, uint16_t flags);

/* A record in the answer section; its owner is the question's when NULL. */
void dns_out_record(struct dns_out *o, const struct dns_name *owner,
                    uint16_t type, uint32_t ttl, const void *data, size_t len);

/* The OPT record, last of all, when @q has one. */
void dns_out_opt(struct dns_out *o, const struct dns_query *q,
                 unsigned extended_rcode, enum dns_ede ede);

/* A whole answer without records; TC and the like in @flags. */
size_t dns_reply(const struct dns_query *q, unsigned rcode, uint16_t flags,
                 enum dns_ede ede, uint8_t *buf, size_t max);

/*
 * The data of a SVCB record without @nkeys parameters, to @ret (of at least
 * rr->len bytes). Returns the length; -EBADMSG also when a parameter that is
 * taken away was mandatory.
 */
int dns_svcb_strip(const struct dns_msg *m, const struct dns_rr *rr,
                   const uint16_t *keys, size_t nkeys, uint8_t *ret);

#endif
