#include "net/shape.h"

#include "base/clock.h"
#include "base/num.h"

#include "base/banned.h"

/*
 * Tokens count in thousandths, so that one packet a second fills in steps that
 * a millisecond sees. A product of rate and time does not fit 64 bits.
 */
#define UNIT 1000
/* Beyond it tokens would not fit; nobody is slowed by as much. */
#define PER_S_MAX (UINT64_C(1) << 50)

__extension__ typedef unsigned __int128 wide;

static uint64_t tokens_of(uint64_t per_s, uint64_t ns)
{
	wide t = (wide)per_s * ns * UNIT / NS_PER_S;

	return t > PER_S_MAX * UNIT ? PER_S_MAX * UNIT : (uint64_t)t;
}

/* Rounded up: after so long they are there. */
static uint64_t ns_of(uint64_t per_s, uint64_t tokens)
{
	wide part = (wide)per_s * UNIT;
	wide ns = ((wide)tokens * NS_PER_S + part - 1) / part;

	return ns > INT64_MAX ? INT64_MAX : (uint64_t)ns;
}

static void bucket_init(struct shape_bucket *b, const struct net_rate *r,
                        uint64_t now_ns)
{
	uint64_t per_s = MIN(r->per_s, PER_S_MAX);
	uint64_t burst = r->burst ? MIN(r->burst, PER_S_MAX) : per_s;

	*b = (struct shape_bucket){.per_s = per_s,
	                           .burst = burst,
	                           .tokens = (int64_t)(burst * UNIT),
	                           .at_ns = now_ns};
}

/*
 * The time moves on by just what the new tokens took: with a low rate and many
 * calls the rest would be lost in rounding each time.
 */
static void fill(struct shape_bucket *b, uint64_t now_ns)
{
	int64_t most = (int64_t)(b->burst * UNIT);
	uint64_t more;

	if (now_ns <= b->at_ns)
		return;
	if (b->waited)
		most = MAX(most, (int64_t)tokens_of(b->per_s, SHAPE_LATE_NS));
	more = tokens_of(b->per_s, now_ns - b->at_ns);
	if (b->tokens < most && more < (uint64_t)(most - b->tokens)) {
		b->tokens += (int64_t)more;
		b->at_ns += ns_of(b->per_s, more);
	} else {
		b->tokens = MAX(b->tokens, most);
		b->at_ns = now_ns;
	}
}

/* A whole token, or any part of it for bytes: one frame may go into debt. */
static bool bucket_open(struct shape_bucket *b, int64_t need, uint64_t now_ns,
                        uint64_t *at_ns)
{
	if (!b->per_s)
		return true;
	fill(b, now_ns);
	b->waited = b->tokens < need;
	if (b->waited)
		*at_ns = MAX(*at_ns,
		             b->at_ns + ns_of(b->per_s,
		                              (uint64_t)(need - b->tokens)));
	return !b->waited;
}

static void bucket_take(struct shape_bucket *b, uint64_t tokens)
{
	if (b->per_s)
		b->tokens -= (int64_t)(tokens * UNIT);
}

void shape_init(struct shape *s, const struct net_rate *bytes,
                const struct net_rate *packets, uint64_t now_ns)
{
	bucket_init(&s->bytes, bytes, now_ns);
	bucket_init(&s->packets, packets, now_ns);
}

bool shape_open(struct shape *s, uint64_t now_ns, uint64_t *ret_at_ns)
{
	uint64_t at_ns = now_ns;
	bool bytes = bucket_open(&s->bytes, 1, now_ns, &at_ns);
	bool packets = bucket_open(&s->packets, UNIT, now_ns, &at_ns);

	if (bytes && packets)
		return true;
	*ret_at_ns = at_ns;
	return false;
}

void shape_take(struct shape *s, uint64_t len)
{
	bucket_take(&s->bytes, len);
	bucket_take(&s->packets, 1);
}
