/*
 * subst_find.c - the search, in two ways at once.
 *
 * As they are, needles_find() has them. An encoded match has at least one
 * escape in it that means bytes of a needle; nearly all texts have no such
 * escape, and are only looked through for % and \, many bytes at once. Where
 * one is, its surroundings are decoded: a region, from as far before the escape
 *as a match could begin to as far behind the last such escape as one could end,
 *and searched.
 *
 *	text     ......... %4 1 ..... \u0042 .........   .........
 *	region      [longest-1 | ............ | longest-1]
 *
 * A region never goes over an escape that is in no needle. It is cut when it
 * grows long, so that a text full of escapes costs no more than a few times its
 * length.
 */
#include "tls/subst_find.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "tls/subst_unit.h"

#include "base/banned.h"

#define PIECE  (64u << 10) /* of a stream, at most at once */
#define GROWTH 6 /* bytes of an escape for one of what it means, at most */

struct region {
	size_t at;   /* where it begins in the text */
	size_t most; /* a match that begins behind this may not be whole */
	bool cut;    /* so that there is a `most` */
	bool open;   /* it reaches the end of the text */
};

static inline struct unit unit(const struct find *f, size_t at)
{
	return unit_at(f->data + at, f->len - at, f->last);
}

/* May it be in a match? */
static bool in_needle(const struct find *f, const struct unit *u)
{
	for (unsigned i = 0; i < u->n; i++)
		if (!needles_has(f->needles, u->bytes[i]))
			return false;
	return u->n > 0;
}

/* No match takes more of a text than this. */
static size_t span_most(const struct find *f)
{
	return GROWTH * needles_longest(f->needles) + UNIT_MAX;
}

typedef uint8_t lanes __attribute__((vector_size(16)));

static bool any(lanes v)
{
	uint64_t half[2];

	memcpy(half, &v, sizeof(half));
	return half[0] | half[1];
}

/* The first % or \ in [from, to) that is an escape by the byte behind it, or is
   the last byte; @to: there is none. */
static size_t escape_in(const struct find *f, size_t from, size_t to)
{
	const uint8_t *data = f->data;

	for (;; from++) {
		for (; to - from >= sizeof(lanes); from += sizeof(lanes)) {
			lanes v;

			memcpy(&v, data + from, sizeof(v));
			if (any((lanes)((v == '%') | (v == '\\'))))
				break;
		}
		while (from < to && data[from] != '%' && data[from] != '\\')
			from++;
		if (from == to || from + 1 == f->len ||
		    unit_begins(data[from], data[from + 1]))
			return from;
	}
}

/* The next such from @from on; the length when there is none. */
static size_t next_escape(struct find *f, size_t from)
{
	if (from > f->escape) {
		f->escape = escape_in(f, from, f->len);
		f->clear = from;
	} else if (from < f->clear) {
		size_t at = escape_in(f, from, f->clear);

		if (at < f->clear)
			f->escape = at;
		f->clear = from;
	}
	return f->escape;
}

/* An escape was passed: what is held must not begin in the middle of it. */
static void pass(struct find *f, size_t at, const struct unit *u)
{
	if (at < f->hold && f->hold < at + u->len)
		f->hold = at;
	f->bound = f->cursor = at + u->len;
}

/* The next escape that may be in a match; false: none. */
static bool next_candidate(struct find *f, size_t *ret)
{
	for (;;) {
		size_t at = next_escape(f, f->cursor);
		struct unit u;

		if (at >= f->len)
			return false;
		u = unit(f, at);
		if (u.cut || in_needle(f, &u)) {
			*ret = at;
			return true;
		}
		if (u.form == FIND_RAW)
			f->cursor = at + 1;
		else
			pass(f, at, &u);
	}
}

static int add_text(struct find *f, size_t from, size_t to)
{
	return buf_add(&f->text, f->data + from, to - from);
}

/*
 * Decode from the escape at @at on, behind what is in f->text already: to where
 * no match can go on, or all that begin at rg->most or before it are whole.
 */
static int decode_on(struct find *f, struct region *rg, size_t at)
{
	size_t far = needles_longest(f->needles) - 1;
	size_t quiet = 0; /* bytes since the last escape */
	size_t after = 0; /* the first unit behind rg->most */
	int r;

	for (;;) {
		size_t run = MIN(next_escape(f, at) - at, far - quiet);
		struct unit u;

		if (!after && at + run > rg->most)
			after = MAX(at, rg->most + 1);
		r = add_text(f, at, at + run);
		if (r < 0)
			return r;
		at += run;
		quiet += run;
		if (quiet == far)
			return 0;
		if (after && at > rg->most + span_most(f)) {
			f->cursor = f->bound = after;
			rg->cut = true;
			return 0;
		}
		rg->open = at == f->len;
		if (rg->open)
			return 0;
		u = unit(f, at);
		if (u.cut) {
			rg->open = true;
			f->cursor = f->len;
			return 0;
		}
		if (u.form == FIND_RAW) {
			r = add_text(f, at, at + 1);
			at++;
			quiet++;
		} else {
			pass(f, at, &u);
			if (!in_needle(f, &u))
				return 0;
			r = buf_add(&f->text, u.bytes, u.n);
			at += u.len;
			quiet = 0;
		}
		if (r < 0)
			return r;
	}
}

/* The next region where a match begins at @stop or before it. 1, 0, -ENOMEM. */
static int next_region(struct find *f, size_t stop, struct region *rg)
{
	size_t far = needles_longest(f->needles) - 1, at;
	int r;

	if (!next_candidate(f, &at))
		return 0;
	rg->at = MAX(f->bound, at > far ? at - far : 0);
	if (rg->at > stop)
		return 0;
	rg->most = MIN(stop, rg->at + 2 * far + UNIT_MAX);
	rg->open = false;
	buf_reset(&f->text);
	rg->cut = false;
	r = add_text(f, rg->at, at);
	if (r == 0)
		r = decode_on(f, rg, at);
	if (!rg->cut)
		rg->most = f->len;
	return r < 0 ? r : 1;
}

/* Where @n decoded bytes, from @from on, stand in the text. */
static void locate(const struct find *f, const struct region *rg, size_t from,
                   size_t n, struct find_hit *hit)
{
	size_t at = rg->at, done = 0;

	hit->form = FIND_RAW;
	while (done < from + n) {
		struct unit u = unit(f, at);
		size_t bytes = u.form == FIND_RAW ? 1 : u.n;

		if (done <= from)
			hit->at = at;
		if (done + bytes > from && u.form != FIND_RAW)
			hit->form = hit->form == FIND_RAW || hit->form == u.form
			                    ? u.form
			                    : FIND_MIXED;
		done += bytes;
		at += u.len;
	}
	if (n == 0)
		hit->at = at;
	hit->len = at - hit->at;
}

/* The first match with an escape in it that begins at @most or before it. */
static bool encoded_in(const struct find *f, const struct region *rg,
                       size_t most, struct find_hit *ret)
{
	const struct buf *text = &f->text;
	size_t from = 0, at;

	for (; from < text->len; from = at + 1) {
		int i = needles_find(f->needles, text->data, text->len, from,
		                     &at);

		if (i < 0)
			return false;
		ret->index = (unsigned)i;
		locate(f, rg, at, needles_len(f->needles, ret->index), ret);
		if (ret->at > most)
			return false;
		if (ret->form != FIND_RAW)
			return true;
	}
	return false;
}

static void hold_region(struct find *f, const struct region *rg)
{
	size_t tail = needles_tail(f->needles, f->text.data, f->text.len);
	struct find_hit end;

	locate(f, rg, f->text.len - tail, 0, &end);
	f->hold = MIN(f->hold, end.at);
}

/*
 * The first encoded match from f->pos on that begins at @most or before it. 1,
 * 0, -ENOMEM. Up to @stop also what is to be held is found.
 */
static int find_encoded(struct find *f, size_t most, size_t stop,
                        struct find_hit *ret)
{
	bool found = false;
	struct region rg;
	int r;

	f->cursor = f->bound = f->pos;
	while ((r = next_region(f, stop, &rg)) > 0) {
		found = found || encoded_in(f, &rg, MIN(most, rg.most), ret);
		if (rg.open && !f->last)
			hold_region(f, &rg);
		if (rg.open || (found && ret->at + span_most(f) < f->len))
			break;
	}
	return r < 0 ? r : found;
}

static void find_raw(struct find *f)
{
	int i;

	if (f->raw_known && (!f->raw_any || f->raw.at >= f->pos))
		return;
	i = needles_find(f->needles, f->data, f->len, f->pos, &f->raw.at);
	f->raw_known = true;
	f->raw_any = i >= 0;
	if (i < 0)
		return;
	f->raw.index = (unsigned)i;
	f->raw.len = needles_len(f->needles, f->raw.index);
}

void find_begin(struct find *f, const uint8_t *data, size_t len, bool last)
{
	f->data = len ? data : (const uint8_t *)"";
	f->len = len;
	f->last = last;
	f->pos = f->hold = 0;
	f->raw_known = f->raw_any = false;
	f->raw.form = FIND_RAW;
	f->clear = 0;
	f->escape = escape_in(f, 0, len);
}

int find_next(struct find *f, struct find_hit *ret)
{
	struct find_hit hit;
	bool near;
	int r;

	find_raw(f);
	near = !f->raw_any || f->raw.at + span_most(f) >= f->len;
	f->hold = f->len;
	if (near && !f->last)
		f->hold -= needles_tail(f->needles, f->data + f->pos,
		                        f->len - f->pos);
	r = find_encoded(f, f->raw_any ? f->raw.at : f->len,
	                 near ? f->len : f->raw.at, &hit);
	if (r < 0)
		return r;
	if (f->raw_any && (r == 0 || hit.at > f->raw.at ||
	                   (hit.at == f->raw.at && hit.len <= f->raw.len))) {
		hit = f->raw;
		r = 1;
	}
	if (r == 0 || hit.at >= f->hold)
		return 0;
	f->pos = hit.at + hit.len;
	*ret = hit;
	return 1;
}

void find_release(struct find *f)
{
	if (f->text.data) /* values of an answer may be in it */
		explicit_bzero(f->text.data, f->text.cap);
	buf_release(&f->text);
}

/* What can be told of the text, to where it is held. */
static int copy_on(struct find *f, find_fn *fn, void *arg, struct buf *out)
{
	struct find_hit hit;
	size_t done = 0;
	int r;

	while ((r = find_next(f, &hit)) > 0) {
		r = buf_add(out, f->data + done, hit.at - done);
		if (r == 0)
			r = fn(arg, f->data, &hit, out);
		if (r < 0)
			return r;
		done = hit.at + hit.len;
	}
	return r < 0 ? r : buf_add(out, f->data + done, f->hold - done);
}

int find_copy(struct find *f, const uint8_t *data, size_t len, find_fn *fn,
              void *arg, struct buf *out)
{
	find_begin(f, data, len, true);
	return copy_on(f, fn, arg, out);
}

static int piece(struct find *f, struct buf *carry, const uint8_t *data,
                 size_t len, bool last, find_fn *fn, void *arg, struct buf *out)
{
	int r;

	if (!carry->len) {
		find_begin(f, data, len, last);
		r = copy_on(f, fn, arg, out);
		if (r < 0 || f->hold == len)
			return r;
		return buf_add(carry, data + f->hold, len - f->hold);
	}
	r = buf_add(carry, data, len);
	if (r < 0)
		return r;
	find_begin(f, carry->data, carry->len, last);
	r = copy_on(f, fn, arg, out);
	if (r == 0)
		buf_consume(carry, f->hold);
	return r;
}

int find_stream(struct find *f, struct buf *carry, const uint8_t *data,
                size_t len, bool last, find_fn *fn, void *arg, struct buf *out)
{
	int r = 0;

	while (r == 0 && len > PIECE) {
		r = piece(f, carry, data, PIECE, false, fn, arg, out);
		data += PIECE;
		len -= PIECE;
	}
	return r < 0 ? r : piece(f, carry, data, len, last, fn, arg, out);
}
