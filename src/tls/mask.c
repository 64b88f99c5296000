/*
 * mask.c - values in answers become placeholders.
 *
 * As they are, percent-encoded and JSON-escaped, subst_find.c has them. In
 * base64 the same bytes look different at each of the three places where they
 * can begin in a group, and share their first and last letter with what stands
 * before and behind; all letters between are the value's alone. These three are
 * looked for, in both alphabets:
 *
 *	what stands before   V V V V V V   what is behind
 *	.... .... ..pp ppvv  vvvv vv...vv  vvnn nnnn
 *	            (shared) [the value's] (shared)
 *
 * They become as many letters, modulo 4, of the placeholder's base64 at the
 * same place, with underlines before and behind it, so that what follows stays
 * readable, and the placeholder is whole in what is decoded. Up
 * to four bits of the value's first and last byte stay in the shared letters.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "tls/subst_own.h"

#include "base/banned.h"

#define SHORTEST 6 /* of a value that is masked: less is in any text */
#define GROUP    3 /* bytes, four letters */
#define FORMS    (1 + 2 * GROUP) /* of one value */

_Static_assert(FORMS *TLS_SECRETS_MAX <= NEEDLES_MAX, "all fit");

/* What is looked for, and what it becomes. */
struct mask_form {
	uint8_t *text;
	size_t len;
	char *instead;
	size_t instead_len;
};

struct mask {
	const struct sink *sink;
	struct needles *needles;
	struct find find;
	struct buf carry;
	uint32_t count;
	unsigned n;
	struct mask_form v[]; /* text is gone after mask_new() */
};

static void forget(struct mask_form *f)
{
	if (f->text)
		explicit_bzero(f->text, f->len);
	free(f->text);
	f->text = NULL;
}

void mask_free(struct mask *m)
{
	if (!m)
		return;
	sink_count(m->sink, TLSLINK_MASKED, m->count);
	for (unsigned i = 0; i < m->n; i++) {
		forget(&m->v[i]);
		free(m->v[i].instead);
	}
	needles_free(m->needles);
	find_release(&m->find);
	if (m->carry.data) /* beginnings of values */
		explicit_bzero(m->carry.data, m->carry.cap);
	buf_release(&m->carry);
	free(m);
}

/* The letters that are @data's alone when @shift bytes stand before it. */
static int inner_letters(const uint8_t *data, size_t len, unsigned shift,
                         uint8_t **ret, size_t *ret_len)
{
	size_t size = shift + len, from = (8 * shift + 5) / 6;
	size_t to = 8 * size / 6;
	struct buf letters = BUF_INIT;
	uint8_t *plain = calloc(1, size);
	int r = -ENOMEM;

	if (!plain)
		return r;
	memcpy(plain + shift, data, len);
	r = buf_reserve(&letters, (size + 2) / 3 * 4);
	if (r == 0)
		r = base64_add(&letters, plain, size);
	explicit_bzero(plain, size);
	free(plain);
	if (r == 0) {
		memmove(letters.data, letters.data + from, to - from);
		explicit_bzero(letters.data + to - from,
		               letters.len - (to - from));
		*ret = take_ptr(letters.data);
		*ret_len = to - from;
	}
	buf_release(&letters);
	return r;
}

/* RFC 4648's other alphabet. Were they in it? */
static bool other_alphabet(uint8_t *letters, size_t len)
{
	bool changed = false;

	for (size_t i = 0; i < len; i++) {
		if (letters[i] != '+' && letters[i] != '/')
			continue;
		letters[i] = letters[i] == '+' ? '-' : '_';
		changed = true;
	}
	return changed;
}

/*
 * The placeholder with underlines: as long as the value, modulo a group, and
 * with one of them wherever a letter is shared.
 */
static int padded(const struct secret *c, unsigned shift, struct buf *ret)
{
	int r = shift ? buf_addc(ret, '_') : 0;

	if (r == 0)
		r = buf_add(ret, c->placeholder, c->placeholder_len);
	if (r == 0 && (shift + c->len) % GROUP)
		r = buf_addc(ret, '_');
	while (r == 0 && ret->len % GROUP != c->len % GROUP)
		r = buf_addc(ret, '_');
	return r;
}

static struct mask_form *new_form(struct mask *m)
{
	return &m->v[m->n++];
}

static int add_raw(struct mask *m, const struct secret *c)
{
	struct mask_form *f = new_form(m);

	f->text = malloc(c->len);
	f->instead = strdup(c->placeholder);
	if (!f->text || !f->instead)
		return -ENOMEM;
	memcpy(f->text, c->value, c->len);
	f->len = c->len;
	f->instead_len = c->placeholder_len;
	return 0;
}

static int add_base64(struct mask *m, const struct secret *c, unsigned shift,
                      bool other)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct mask_form *f = new_form(m);
	uint8_t *instead;
	int r = inner_letters(c->value, c->len, shift, &f->text, &f->len);

	if (r == 0)
		r = padded(c, shift, &text);
	if (r == 0)
		r = inner_letters(text.data, text.len, shift, &instead,
		                  &f->instead_len);
	if (r < 0)
		return r;
	f->instead = (char *)instead;
	if (!other)
		return 0;
	(void)other_alphabet(instead, f->instead_len);
	if (!other_alphabet(f->text, f->len)) {
		forget(f);
		free(take_ptr(f->instead));
		m->n--;
	}
	return 0;
}

static int add_secret(struct mask *m, const struct secret *c)
{
	int r = add_raw(m, c);

	for (unsigned shift = 0; shift < GROUP && r == 0; shift++) {
		r = add_base64(m, c, shift, false);
		if (r == 0)
			r = add_base64(m, c, shift, true);
	}
	return r;
}

static int make_needles(struct mask *m)
{
	struct needle *v = calloc(m->n, sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (unsigned i = 0; i < m->n; i++)
		v[i] = (struct needle){m->v[i].text, m->v[i].len};
	m->needles = needles_new(v, m->n);
	m->find.needles = m->needles;
	free(v);
	for (unsigned i = 0; i < m->n; i++)
		forget(&m->v[i]);
	return m->needles ? 0 : -ENOMEM;
}

static void say_short(const struct gate *g, const struct sink *sink,
                      const struct secret *c, unsigned i)
{
	uint64_t once[GATE_TOLD] = {0};

	if (!subst_told(g->told ? g->told : once, TOLD_SHORT, i))
		sink_say(sink, TLSLINK_NOTE, false,
		         "secret %.128s: its value is shorter than %d bytes "
		         "and is not masked in answers of %s",
		         c->name, SHORTEST, g->name);
}

/* Those to be masked, of which there are any. */
static uint64_t masked(const struct secrets *s, const struct gate *g,
                       const struct sink *sink)
{
	uint64_t mask = g->name[0] ? secrets_for(s, g->name) : 0;

	for (unsigned i = 0; i < s->n; i++) {
		uint64_t bit = 1ULL << i;

		if (!(mask & bit))
			continue;
		if (!s->v[i].mask || s->v[i].len == 0) {
			mask &= ~bit;
		} else if (s->v[i].len < SHORTEST) {
			mask &= ~bit;
			say_short(g, sink, &s->v[i], i);
		}
	}
	return mask;
}

struct mask *mask_new(struct secrets *s, const struct gate *g,
                      const struct sink *sink, int *ret_r)
{
	uint64_t which = s ? masked(s, g, sink) : 0;
	struct mask *m;
	int r = 0;

	*ret_r = 0;
	if (!which)
		return NULL;
	m = calloc(1, sizeof(*m) + (size_t)__builtin_popcountll(which) * FORMS *
	                                   sizeof(m->v[0]));
	*ret_r = -ENOMEM;
	if (!m)
		return NULL;
	m->sink = sink;
	m->carry = m->find.text = (struct buf)BUF_INIT;
	for (unsigned i = 0; i < s->n && r == 0; i++)
		if (which >> i & 1)
			r = add_secret(m, &s->v[i]);
	if (r == 0)
		r = make_needles(m);
	if (r < 0) {
		mask_free(m);
		return NULL;
	}
	*ret_r = 0;
	return m;
}

static int replace(void *arg, const uint8_t *text, const struct find_hit *hit,
                   struct buf *out)
{
	struct mask *m = arg;
	const struct mask_form *f = &m->v[hit->index];
	enum encoding how = hit->form == FIND_PERCENT ? ENCODE_PERCENT
	                    : hit->form == FIND_JSON  ? ENCODE_JSON
	                                              : ENCODE_RAW;

	(void)text;
	m->count++;
	return encode_add(out, how, (const uint8_t *)f->instead,
	                  f->instead_len);
}

int mask_text(struct mask *m, const char *value, size_t len, struct buf *out)
{
	return find_copy(&m->find, (const uint8_t *)value, len, replace, m,
	                 out);
}

int mask_body(struct mask *m, const uint8_t *data, size_t len, struct buf *out)
{
	return find_stream(&m->find, &m->carry, data, len, false, replace, m,
	                   out);
}

int mask_body_end(struct mask *m, struct buf *out)
{
	return find_stream(&m->find, &m->carry, (const uint8_t *)"", 0, true,
	                   replace, m, out);
}
