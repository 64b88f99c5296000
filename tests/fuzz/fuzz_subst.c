/*
 * Bodies, headers and targets against a naive replacement: however they are
 * cut, the output is the oracle's, or they are refused where it says so.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tls/find_oracle.h"
#include "tls/subst_encode.h"
#include "tls/subst_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SETS 4

static const struct world_secret sets[SETS][4] = {
	{{.name = "A", .placeholder = "MSB_A", .value = "val\"u e\\%"},
         {.name = "B", .placeholder = "MSB_AB", .value = "V"},
         {.name = "C", .placeholder = "SB_%4", .value = "\x01\xc3\xa9"},
         {.name = "D",
          .placeholder = "zzzz",
          .violation = SECRET_PASS,
          .hosts = "x.example"}				       },
	{{.name = "A", .placeholder = "abab\\", .value = "long value here"},
         {.name = "B", .placeholder = "4DSBx", .value = "0123456789"},
         {.name = "C",
          .placeholder = "\xc3\xa9\xf0\x9f\x98\x80/",
          .value = "line\r\nbreak"},
         {.name = "D",
          .placeholder = "MSB_EVIL",
          .hosts = "x.example",
          .violation = SECRET_BLOCK_LOG}                              },
	{{.name = "A", .placeholder = "aaaa", .value = "b"},
         {.name = "B", .placeholder = "aaaab", .value = "aaaa"},
         {.name = "C", .placeholder = "%61%61", .value = "%61"},
         {.name = "D", .placeholder = "baaa\"", .hosts = "*"}         },
	{{.name = "A", .placeholder = "$KEY", .where = SECRET_HEADERS},
         {.name = "B", .placeholder = "$KEY2", .where = SECRET_QUERY},
         {.name = "C", .placeholder = "$KEY_BODY", .where = SECRET_BODY},
         {.name = "D", .placeholder = "$BASIC", .where = SECRET_BASIC}},
};

static const char *const kinds[] = {"text/plain", "application/json; x=y",
                                    "Application/X-WWW-form-urlencoded",
                                    "application/ld+json"};

#define must(ok)                                                               \
	do {                                                                   \
		if (!(ok)) {                                                   \
			(void)fprintf(stderr, "line %d\n", __LINE__);          \
			abort();                                               \
		}                                                              \
	} while (0)

struct oracle {
	struct world *w;
	struct needle needles[4];
	unsigned where; /* the place, as SECRET_*; 0: none */
	enum encoding how;
	bool header;
};

/* What becomes of a hit: 1 the value, 0 as it is, or refused. */
static int verdict(const struct oracle *o, const struct find_hit *hit)
{
	const struct secret *c = &o->w->secrets->v[hit->index];

	if (!pattern_any(&c->hosts, WORLD_HOST))
		return c->violation == SECRET_PASS ? 0 : -EACCES;
	if (!(c->where & o->where) || hit->form == FIND_MIXED)
		return 0;
	if (o->header && (memchr(c->value, '\n', c->len)))
		return -EACCES;
	return 1;
}

/* 0, or how it is refused: then @out has what stood before. */
static int expect(const struct oracle *o, const uint8_t *data, size_t len,
                  struct buf *out, unsigned *used)
{
	struct find_hit hit;
	size_t done = 0;

	while (oracle_next(o->needles, 4, data, len, done, &hit)) {
		const struct secret *c = &o->w->secrets->v[hit.index];
		enum encoding how =
			hit.form == FIND_PERCENT ? ENCODE_PERCENT
			: hit.form == FIND_JSON && o->how != ENCODE_PERCENT
				? ENCODE_JSON
				: o->how;
		int r = verdict(o, &hit);

		must(buf_add(out, data + done, hit.at - done) == 0);
		if (r < 0)
			return r;
		if (r == 1)
			must(encode_add(out, how, c->value, c->len) == 0);
		else
			must(buf_add(out, data + hit.at, hit.len) == 0);
		*used += r == 1;
		done = hit.at + hit.len;
	}
	must(buf_add(out, data + done, len - done) == 0);
	return 0;
}

static void check_lines(const struct world *w)
{
	for (unsigned i = 0; i < w->nlines; i++)
		for (unsigned k = 0; k < w->secrets->n; k++)
			must(w->secrets->v[k].len < 8 ||
			     !memmem(w->lines[i], strlen(w->lines[i]),
			             w->secrets->v[k].value,
			             w->secrets->v[k].len));
}

static void check_body(struct oracle *o, const char *type, uint8_t cut,
                       const uint8_t *data, size_t len)
{
	struct buf want = BUF_INIT, got = BUF_INIT;
	struct subst *s = world_subst(o->w);
	unsigned used = 0;
	size_t at = 0, step;
	int r = 0, wr;

	must(s && subst_body_begin(s, type, cut & 1 ? "identity" : "") == 0);
	o->where = SECRET_BODY;
	o->header = false;
	o->how = strstr(type, "json")   ? ENCODE_JSON
	         : strstr(type, "form") ? ENCODE_PERCENT
	                                : ENCODE_RAW;
	wr = expect(o, data, len, &want, &used);
	for (; at < len && r == 0; at += step) {
		step = cut ? cut % 7 + (cut % 5 ? 0 : 20) + 1u : len;
		step = MIN(step, len - at);
		cut = cut ? (uint8_t)(cut * 5 + 3) : 0;
		r = subst_body(s, data + at, step, &got);
		must(got.len <= want.len);
		must(!got.len || !memcmp(got.data, want.data, got.len));
	}
	if (r == 0)
		r = subst_body_end(s, &got);
	must(r == wr);
	must(got.len <= want.len);
	must(!got.len || !memcmp(got.data, want.data, got.len));
	must(r < 0 || (got.len == want.len && subst_used(s) == used));
	if (r < 0)
		must(subst_body(s, data, len, &got) == r);
	subst_free(s);
	buf_release(&want);
	buf_release(&got);
}

static void check_header(struct oracle *o, const uint8_t *data, size_t len)
{
	struct buf want = BUF_INIT, got = BUF_INIT;
	struct subst *s = world_subst(o->w);
	unsigned used = 0;
	bool secret;
	int r, wr;

	o->where = SECRET_HEADERS;
	o->header = true;
	o->how = ENCODE_RAW;
	wr = expect(o, data, len, &want, &used);
	must(buf_adds(&got, "x") == 0);
	r = subst_header(s, "Cookie", 6, (const char *)data, len, &got,
	                 &secret);
	must(r == wr);
	if (r == 0)
		must(got.len == want.len + 1 && secret == (used > 0) &&
		     memcmp(got.data + 1, want.data ? want.data : got.data,
		            want.len) == 0);
	else
		must(got.len == 1);
	must(subst_used(s) == (r == 0 ? used : 0));
	subst_free(s);
	buf_release(&want);
	buf_release(&got);
}

/* Basic, whose inside is the text: decoded again it is as in a header. */
static void check_basic(struct oracle *o, const uint8_t *data, size_t len)
{
	struct buf want = BUF_INIT, got = BUF_INIT, in = BUF_INIT;
	struct buf plain = BUF_INIT;
	struct subst *s = world_subst(o->w);
	unsigned used = 0;
	bool secret;
	int r, wr;

	o->where = SECRET_BASIC;
	wr = expect(o, data, len, &want, &used);
	must(buf_adds(&in, "basic \t") == 0);
	must(base64_add(&in, data, len) == 0);
	r = subst_header(s, "authorization", 13, (const char *)in.data, in.len,
	                 &got, &secret);
	/* The letters themselves may be a placeholder of a fuzzer's luck. */
	if (r == wr && r == 0 && used) {
		must(secret && base64_decode((char *)got.data + 7, got.len - 7,
		                             &plain) == 0);
		must(plain.len == want.len &&
		     memcmp(plain.data, want.data, want.len) == 0);
	}
	must(wr == 0 || r == wr);
	subst_free(s);
	buf_release(&want);
	buf_release(&got);
	buf_release(&in);
	buf_release(&plain);
}

static size_t count(const void *data, size_t len, char c)
{
	const char *p = data;
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += p[i] == c;
	return n;
}

/* Only the query is changed, and nothing that ends a target comes into it. */
static void check_target(struct oracle *o, const uint8_t *data, size_t len)
{
	const uint8_t *mark = memchr(data, '?', len), *end;
	struct subst *s = world_subst(o->w);
	struct buf got = BUF_INIT;
	size_t before, behind;
	int r = subst_target(s, (const char *)data, len, &got);

	end = memchr(data, '#', len);
	if (!end)
		end = data + len;
	before = mark && mark < end ? (size_t)(mark - data) + 1 : len;
	behind = mark && mark < end ? (size_t)(data + len - end) : 0;
	if (r == 0) {
		must(got.len >= before || before == len);
		must(!before || !memcmp(got.data, data, before));
		must(!behind ||
		     !memcmp(got.data + got.len - behind, end, behind));
		must(before < len || got.len == len);
		for (const char *c = " #\r\n\t\""; *c; c++)
			must(count(got.data, got.len, *c) <=
			     count(data, len, *c));
	} else {
		must(r == -EACCES && got.len == 0);
	}
	(void)o;
	subst_free(s);
	buf_release(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world worlds[SETS];
	struct oracle o = {0};
	uint8_t *text;

	if (size < 3 || size > 1500)
		return 0;
	o.w = &worlds[data[0] % SETS];
	if (!o.w->secrets)
		must(world_init(o.w, sets[data[0] % SETS], 4) == 0);
	for (unsigned i = 0; i < 4; i++)
		o.needles[i] =
			(struct needle){o.w->secrets->v[i].placeholder,
		                        o.w->secrets->v[i].placeholder_len};
	o.w->nlines = 0;
	memset(o.w->told, 0, sizeof(o.w->told));
	text = malloc(size - 2);
	must(text != NULL);
	memcpy(text, data + 2, size - 2);
	check_body(&o, kinds[data[0] / SETS % 4], data[1], text, size - 2);
	check_header(&o, text, size - 2);
	check_basic(&o, text, size - 2);
	check_target(&o, text, size - 2);
	check_lines(o.w);
	free(text);
	return 0;
}
