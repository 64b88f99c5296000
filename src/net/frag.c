/*
 * frag.c - a slot is a packet of which not all is here. Its bytes are known as
 * ranges that touch nowhere: of a guest that sends in order (or backwards)
 * there is one, so a piece costs a copy and little else. Whoever sends two
 * pieces for one place wants one of us to see something else than the other,
 * so the packet is spoiled, with what is still to come of it (RFC 5722).
 */
#include "net/frag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/net_int.h"

#include "base/banned.h"

#define IP_MAX    65535
#define IP6_LEN   40
#define HOLES_MAX 16
/* The shortest that a first one of more can be, with all of TCP's header. */
#define FIRST_MIN 24
/* Of one batch; it has 64 frames, and a packet is two at least. */
#define WHOLE_MAX 32

struct range {
	uint32_t from, to;
};

struct slot {
	struct frags *frags;
	struct wheel_timer timer;
	bool used, spoiled;
	struct addr src, dst;
	uint32_t id;
	uint8_t proto;
	uint8_t *data;  /* IP_MAX bytes; NULL when spoiled */
	uint32_t total; /* 0: the last one did not come */
	struct range range[HOLES_MAX];
	unsigned nranges;
	/* From the first one: all before its payload. */
	uint8_t head[PKT_HEAD_MAX], ttl, tos;
	unsigned head_len;
};

/* Who reads the payload moves @v on. */
struct whole {
	uint8_t *data;
	struct iovec v;
};

struct frags {
	struct net *n;
	struct slot slot[FRAG_SLOTS];
	unsigned next; /* the one that was taken the longest ago */
	struct whole whole[WHOLE_MAX];
	unsigned nwhole;
};

int frags_new(struct net *n, struct frags **ret)
{
	struct frags *f = calloc(1, sizeof(*f));
	unsigned i;

	if (!f)
		return -ENOMEM;
	f->n = n;
	for (i = 0; i < FRAG_SLOTS; i++)
		f->slot[i].frags = f;
	*ret = f;
	return 0;
}

static void empty(struct slot *s)
{
	wheel_del(&s->frags->n->wheel, &s->timer);
	free(s->data);
	s->data = NULL;
	s->used = false;
}

void frags_done(struct frags *f)
{
	while (f->nwhole)
		free(f->whole[--f->nwhole].data);
}

void frags_reset(struct frags *f)
{
	unsigned i;

	for (i = 0; i < FRAG_SLOTS; i++)
		empty(&f->slot[i]);
	frags_done(f);
}

void frags_free(struct frags *f)
{
	if (!f)
		return;
	frags_reset(f);
	free(f);
}

/* ---- slots ------------------------------------------------------------- */

static void on_old(struct wheel_timer *t)
{
	empty(container_of(t, struct slot, timer));
}

static struct slot *find(struct frags *f, const struct pkt *p)
{
	unsigned i;

	for (i = 0; i < FRAG_SLOTS; i++) {
		struct slot *s = &f->slot[i];

		if (s->used && s->id == p->frag_id && s->proto == p->proto &&
		    addr_eq(&s->src, &p->src) && addr_eq(&s->dst, &p->dst))
			return s;
	}
	return NULL;
}

/* In turn, so that it is the oldest that makes room. */
static struct slot *take(struct frags *f, const struct pkt *p)
{
	struct slot *s = &f->slot[f->next];
	uint8_t *data = malloc(IP_MAX);

	if (!data)
		return NULL;
	f->next = (f->next + 1) % FRAG_SLOTS;
	empty(s);
	s->used = true;
	s->spoiled = false;
	s->src = p->src;
	s->dst = p->dst;
	s->id = p->frag_id;
	s->proto = p->proto;
	s->data = data;
	s->total = 0;
	s->nranges = 0;
	wheel_set(&f->n->wheel, &s->timer, net_now(f->n) + FRAG_LIFE_NS,
	          on_old);
	return s;
}

/* It stays until it is old, so that what still comes of it is known. */
static void spoil(struct slot *s, const char *why)
{
	net_bad(s->frags->n, why);
	s->spoiled = true;
	free(s->data);
	s->data = NULL;
}

/* ---- ranges ------------------------------------------------------------ */

/* Put [from, to) to the others: NULL, or why not. */
static const char *add_range(struct slot *s, uint32_t from, uint32_t to)
{
	struct range *left = NULL, *right = NULL;
	unsigned i;

	for (i = 0; i < s->nranges; i++) {
		struct range *r = &s->range[i];

		if (from < r->to && r->from < to)
			return "fragments that overlap";
		if (r->to == from)
			left = r;
		if (r->from == to)
			right = r;
	}
	if (left && right) {
		left->to = right->to;
		*right = s->range[--s->nranges];
	} else if (left) {
		left->to = to;
	} else if (right) {
		right->from = from;
	} else if (s->nranges == HOLES_MAX) {
		return "fragments with too many holes";
	} else {
		s->range[s->nranges++] = (struct range){from, to};
	}
	return NULL;
}

static bool has_beyond(const struct slot *s, uint32_t end)
{
	unsigned i;

	for (i = 0; i < s->nranges; i++)
		if (s->range[i].to > end)
			return true;
	return false;
}

/* What one says of the whole's length must be what the others say. */
static const char *check_end(struct slot *s, const struct pkt *p, uint32_t end)
{
	if (p->more)
		return s->total && end >= s->total ? "fragment behind the last"
		                                   : NULL;
	if (s->total || has_beyond(s, end))
		return "two last fragments";
	s->total = end;
	return NULL;
}

static bool is_whole(const struct slot *s)
{
	return s->total && s->nranges == 1 && s->range[0].from == 0 &&
	       s->range[0].to == s->total;
}

/* ---- packets ----------------------------------------------------------- */

/* With so much behind its headers, could a packet say how long it is? */
static bool fits(const struct pkt *p, size_t len)
{
	return p->l4 - p->l3 - (p->v6 ? IP6_LEN : 0) + len <= IP_MAX;
}

/* On its own. */
static const char *check(const struct pkt *p)
{
	size_t len = p->payload.len;

	if (!len || (p->more && len % 8))
		return "fragment of a length that cannot be";
	if (!fits(p, p->frag_off + len))
		return "fragment beyond the largest packet";
	if (!p->frag_off && len < FIRST_MIN)
		return "tiny first fragment";
	return NULL;
}

static void keep_head(struct slot *s, const struct pkt *p)
{
	memcpy(s->head, p->head, p->l4);
	s->head_len = p->l4;
	s->ttl = p->ttl;
	s->tos = p->tos;
}

/* As if it had come in one: for errors that quote it. */
static void mend_head(struct pkt *p)
{
	uint8_t *ip = p->head + p->l3;

	if (p->v6) {
		put_be16(ip + 4, (uint16_t)(p->ip_len - IP6_LEN));
		put_be16(p->head + p->l4 - 6, 0);
		return;
	}
	put_be16(ip + 2, (uint16_t)p->ip_len);
	put_be16(ip + 6, 0);
	put_be16(ip + 10, 0);
	put_be16(ip + 10, (uint16_t)~csum_fold(csum_add(0, ip, p->l4 - p->l3)));
}

/* The slot's packet to @p; its memory is the batch's from now on. */
static bool hand_over(struct frags *f, struct slot *s, struct pkt *p)
{
	struct whole *w = &f->whole[f->nwhole];
	const char *why = "";

	memcpy(p->head, s->head, s->head_len);
	p->head_len = p->l4 = s->head_len;
	if (f->nwhole == WHOLE_MAX || !fits(p, s->total)) {
		spoil(s, "fragments of too large a packet, or too many");
		return false;
	}
	f->nwhole++;
	w->data = take_ptr(s->data);
	w->v = (struct iovec){w->data, s->total};
	p->ttl = s->ttl;
	p->tos = s->tos;
	p->ip_len = p->l4 - p->l3 + s->total;
	p->need_csum = false;
	p->payload = (struct iov){&w->v, 1, s->total};
	mend_head(p);
	empty(s);
	if (pkt_parse_l4(p, &why) == 0)
		return true;
	net_bad(f->n, why);
	return false;
}

bool frags_add(struct frags *f, struct pkt *p)
{
	uint32_t from = p->frag_off, to = from + (uint32_t)p->payload.len;
	const char *why = check(p);
	struct slot *s = find(f, p);

	if (why) {
		net_bad(f->n, why);
		return false;
	}
	if (!s && !(s = take(f, p)))
		return false;
	if (s->spoiled)
		return false;
	if ((why = check_end(s, p, to)) || (why = add_range(s, from, to))) {
		spoil(s, why);
		return false;
	}
	if (!from)
		keep_head(s, p);
	(void)iov_get(&p->payload, s->data + from, to - from);
	return is_whole(s) && hand_over(f, s, p);
}
