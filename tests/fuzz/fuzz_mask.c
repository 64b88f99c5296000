/*
 * Answers against a naive replacement of all forms of a value, however they
 * are cut. The base64 forms are made here in another way: letters that stay
 * the same whatever stands before and behind.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "tls/find_oracle.h"
#include "tls/subst_encode.h"
#include "tls/subst_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(ok)                                                               \
	do {                                                                   \
		if (!(ok)) {                                                   \
			(void)fprintf(stderr, "line %d\n", __LINE__);          \
			abort();                                               \
		}                                                              \
	} while (0)

#define FORMS 32

#define SECRET(n, v, m, h)                                                     \
	{                                                                      \
		.name = n, .placeholder = "MSB_" n, .value = v, .mask = m,     \
		.hosts = h                                                     \
	}

static const struct world_secret secrets[] = {
	SECRET("A", "val\"ue%\\", true, NULL),
	SECRET("\"B", "abcabcabc", true, NULL),
	SECRET("C", "\xff\xfe\xfbk\xbf\xff~", true, NULL),
	SECRET("D", "short", true, NULL),
	SECRET("E", "not masked", false, NULL),
	SECRET("F", "elsewhere", true, "x.example"),
};

struct form {
	uint8_t text[64], instead[64];
	size_t len, instead_len;
};

static struct form forms[FORMS];
static struct needle needles[FORMS];
static size_t nforms;

/* base64 of shift bytes of @fill, @data and some more of @fill. */
static size_t letters_with(const uint8_t *data, size_t len, size_t shift,
                           int fill, uint8_t out[128])
{
	uint8_t plain[80];

	memset(plain, fill, sizeof(plain));
	memcpy(plain + shift, data, len);
	return (size_t)EVP_EncodeBlock(out, plain, (int)(shift + len + 3));
}

static size_t stable(const uint8_t *data, size_t len, size_t shift,
                     uint8_t *ret)
{
	uint8_t zeros[128], ones[128];
	size_t n = letters_with(data, len, shift, 0, zeros), from, to;

	must(letters_with(data, len, shift, 0xff, ones) == n);
	for (from = 0; zeros[from] != ones[from]; from++)
		;
	for (to = from; zeros[to] == ones[to] && to < n; to++)
		;
	memcpy(ret, zeros + from, to - from);
	return to - from;
}

static bool to_url(uint8_t *p, size_t len)
{
	bool changed = false;

	for (size_t i = 0; i < len; i++) {
		changed = changed || p[i] == '+' || p[i] == '/';
		p[i] = p[i] == '+' ? '-' : p[i] == '/' ? '_' : p[i];
	}
	return changed;
}

static void add_base64(const struct world_secret *s, size_t shift)
{
	struct form *f = &forms[nforms++], *url;
	size_t len = strlen(s->value), n;
	char ph[64];

	(void)snprintf(ph, sizeof(ph), "%s%s", shift ? "_" : "",
	               s->placeholder);
	for (n = strlen(ph); (shift + len) % 3 && n == strlen(ph);)
		(void)snprintf(ph + n, sizeof(ph) - n, "_");
	while (strlen(ph) % 3 != len % 3) {
		n = strlen(ph);
		(void)snprintf(ph + n, sizeof(ph) - n, "_");
	}
	f->len = stable((const uint8_t *)s->value, len, shift, f->text);
	f->instead_len =
		stable((const uint8_t *)ph, strlen(ph), shift, f->instead);
	must(f->len % 4 == f->instead_len % 4);
	url = &forms[nforms];
	*url = *f;
	(void)to_url(url->instead, url->instead_len);
	nforms += to_url(url->text, url->len);
}

static void make_forms(void)
{
	for (size_t i = 0; i < 3; i++) {
		struct form *f = &forms[nforms++];

		f->len = strlen(secrets[i].value);
		f->instead_len = strlen(secrets[i].placeholder);
		memcpy(f->text, secrets[i].value, f->len);
		memcpy(f->instead, secrets[i].placeholder, f->instead_len);
		for (size_t shift = 0; shift < 3; shift++)
			add_base64(&secrets[i], shift);
	}
	for (size_t i = 0; i < nforms; i++)
		needles[i] = (struct needle){forms[i].text, forms[i].len};
}

static uint32_t expect(const uint8_t *data, size_t len, struct buf *out)
{
	struct find_hit hit;
	uint32_t count = 0;
	size_t done = 0;

	while (oracle_next(needles, nforms, data, len, done, &hit)) {
		const struct form *f = &forms[hit.index];
		enum encoding how = hit.form == FIND_PERCENT ? ENCODE_PERCENT
		                    : hit.form == FIND_JSON  ? ENCODE_JSON
		                                             : ENCODE_RAW;

		must(buf_add(out, data + done, hit.at - done) == 0);
		must(encode_add(out, how, f->instead, f->instead_len) == 0);
		done = hit.at + hit.len;
		count++;
	}
	must(buf_add(out, data + done, len - done) == 0);
	return count;
}

/* No more than this is held back: the longest form, all of it as \uXXXX. */
static void check_held(const struct buf *want, const struct buf *got)
{
	must(got->len <= want->len);
	must(!got->len || !memcmp(got->data, want->data, got->len));
}

static void check(struct world *w, uint8_t cut, const uint8_t *data, size_t len)
{
	struct buf want = BUF_INIT, got = BUF_INIT;
	uint32_t count = expect(data, len, &want);
	size_t step;
	int r;
	struct mask *m = mask_new(w->secrets, &w->gate, &w->sink, &r);

	must(m && r == 0);
	memset(w->counts, 0, sizeof(w->counts));
	must(mask_text(m, (const char *)data, len, &got) == 0);
	must(got.len == want.len);
	check_held(&want, &got);
	buf_reset(&got);
	for (size_t at = 0; at < len; at += step) {
		step = cut ? cut % 7 + (cut % 5 ? 0 : 20) + 1u : len;
		step = MIN(step, len - at);
		cut = cut ? (uint8_t)(cut * 5 + 3) : 0;
		must(mask_body(m, data + at, step, &got) == 0);
		check_held(&want, &got);
	}
	must(mask_body_end(m, &got) == 0);
	must(got.len == want.len);
	check_held(&want, &got);
	mask_free(m);
	must(w->counts[TLSLINK_MASKED] == 2 * count);
	buf_release(&want);
	buf_release(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	uint8_t *text;

	if (!w.secrets) {
		must(world_init(&w, secrets, ARRAY_SIZE(secrets)) == 0);
		make_forms();
	}
	if (size < 2 || size > 1500)
		return 0;
	text = malloc(size - 1);
	must(text != NULL);
	memcpy(text, data + 1, size - 1);
	check(&w, data[0], text, size - 1);
	free(text);
	return 0;
}
