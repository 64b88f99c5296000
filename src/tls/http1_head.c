/*
 * Lines and fields of HTTP/1 (RFC 9112 sections 2 to 6).
 *
 * A guest's lines end with CR LF and have no other control bytes but tabs. A
 * server's may end with LF alone, and may be folded, as all clients take them:
 * whoever gets the answer reads it by itself, so that nothing is lost by it.
 */
#include "tls/http1.h"

#include <string.h>
#include <strings.h>

#include "base/num.h"

#include "base/banned.h"

#define HEAD_KEEP 4096 /* memory that an idle connection keeps */

/* ---- lines --------------------------------------------------------------- */

void h1_head_release(struct h1_head *h)
{
	buf_release(&h->text);
	*h = (struct h1_head){0};
}

void h1_head_reset(struct h1_head *h)
{
	if (h->text.cap > HEAD_KEEP)
		buf_release(&h->text);
	else if (h->text.len)
		explicit_bzero(h->text.data, h->text.len);
	buf_reset(&h->text);
	h->line = 0;
	h->lines = 0;
}

/* A whole line, its LF included. */
static int line_check(const uint8_t *p, size_t len, enum h1_reader reader,
                      struct err *err)
{
	size_t n = len - 1;

	if (n && p[n - 1] == '\r')
		n--;
	else if (reader == H1_STRICT)
		return err_set(err, H1_BAD,
		               "a line of the request ends without CR");
	for (size_t i = 0; i < n; i++)
		if ((p[i] < ' ' && p[i] != '\t') || p[i] == 0x7f)
			return err_set(err, H1_BAD,
			               "there is a control byte in a head");
	return 0;
}

static bool is_empty_line(const uint8_t *p, size_t len)
{
	return len == 1 || (len == 2 && p[0] == '\r');
}

int h1_head_add(struct h1_head *h, const uint8_t *data, size_t len, size_t max,
                enum h1_reader reader, size_t *ret_used, struct err *err)
{
	size_t used = 0;

	h->text.max = max;
	while (used < len) {
		const uint8_t *lf = memchr(data + used, '\n', len - used);
		size_t n = lf ? (size_t)(lf - data) + 1 - used : len - used;
		const uint8_t *line;
		int r = buf_add(&h->text, data + used, n);

		if (r == -E2BIG)
			return err_set(err, H1_LONG,
			               "a head is larger than %zu KiB",
			               max >> 10);
		if (r < 0)
			return r;
		used += n;
		if (!lf)
			break;
		line = h->text.data + h->line;
		n = h->text.len - h->line;
		r = line_check(line, n, reader, err);
		if (r < 0)
			return r;
		if (is_empty_line(line, n)) {
			*ret_used = used;
			return 1;
		}
		if (++h->lines > H1_FIELDS_MAX + 1) /* and the first line */
			return err_set(err, H1_LONG,
			               "a head has more than %d fields",
			               H1_FIELDS_MAX);
		h->line = h->text.len;
	}
	*ret_used = used;
	return 0;
}

static size_t line_at(const struct h1_head *h, size_t at, struct h1_text *ret)
{
	const char *p = (const char *)h->text.data + at;
	const char *lf = memchr(p, '\n', h->text.len - at);
	size_t len = (size_t)(lf - p);

	*ret = h1_text(p, len && p[len - 1] == '\r' ? len - 1 : len);
	return at + len + 1;
}

struct h1_text h1_head_first(const struct h1_head *h, size_t *ret_next)
{
	struct h1_text line;

	*ret_next = line_at(h, 0, &line);
	return line;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static struct h1_text trim(struct h1_text t)
{
	while (t.len && is_space(t.p[0])) {
		t.p++;
		t.len--;
	}
	while (t.len && is_space(t.p[t.len - 1]))
		t.len--;
	return t;
}

bool h1_field_at(const struct h1_head *h, size_t at, struct h1_field *ret)
{
	struct h1_field f = {0};
	const char *colon;

	f.next = line_at(h, at, &f.line);
	if (!f.line.len)
		return false;
	f.name = h1_text(f.line.p, 0);
	f.value = trim(f.line);
	colon = is_space(f.line.p[0]) ? NULL
	                              : memchr(f.line.p, ':', f.line.len);
	if (colon) {
		f.name.len = (size_t)(colon - f.line.p);
		f.value = trim(h1_text(colon + 1, f.line.len - f.name.len - 1));
	}
	*ret = f;
	return true;
}

/* ---- words --------------------------------------------------------------- */

bool h1_is(struct h1_text t, const char *s)
{
	return t.len == strlen(s) && strncasecmp(t.p, s, t.len) == 0;
}

static bool is_token_byte(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') ||
	       (c && c < 0x80 && strchr("!#$%&'*+-.^_`|~", c));
}

bool h1_is_token(struct h1_text t)
{
	for (size_t i = 0; i < t.len; i++)
		if (!is_token_byte((unsigned char)t.p[i]))
			return false;
	return t.len > 0;
}

bool h1_list_next(struct h1_text *rest, struct h1_text *ret)
{
	const char *comma;
	size_t n;

	if (!rest->p)
		return false;
	comma = memchr(rest->p, ',', rest->len);
	n = comma ? (size_t)(comma - rest->p) : rest->len;
	*ret = trim(h1_text(rest->p, n));
	if (comma)
		*rest = h1_text(comma + 1, rest->len - n - 1);
	else
		rest->p = NULL;
	return true;
}

void h1_copy(struct h1_text t, char *ret, size_t size)
{
	size_t n = MIN(t.len, size - 1);

	if (n)
		memcpy(ret, t.p, n);
	ret[n] = '\0';
}

/* ---- fields -------------------------------------------------------------- */

#define NAME(s)                                                                \
	{                                                                      \
		s, sizeof(s) - 1                                               \
	}

static const struct h1_text names[H1_NAMES] = {
	[H1_HOST] = NAME("host"),
	[H1_CONTENT_LENGTH] = NAME("content-length"),
	[H1_TRANSFER_ENCODING] = NAME("transfer-encoding"),
	[H1_CONTENT_TYPE] = NAME("content-type"),
	[H1_CONTENT_ENCODING] = NAME("content-encoding"),
	[H1_CONNECTION] = NAME("connection"),
	[H1_UPGRADE] = NAME("upgrade"),
	[H1_HTTP2_SETTINGS] = NAME("http2-settings"),
	[H1_EXPECT] = NAME("expect"),
	[H1_ACCEPT_ENCODING] = NAME("accept-encoding"),
	[H1_RANGE] = NAME("range"),
	[H1_IF_RANGE] = NAME("if-range"),
	[H1_TE] = NAME("te"),
};

static bool equal(struct h1_text a, struct h1_text b)
{
	return a.len == b.len && strncasecmp(a.p, b.p, a.len) == 0;
}

enum h1_name h1_name_of(struct h1_text name)
{
	for (size_t i = 1; i < H1_NAMES; i++)
		if (equal(name, names[i]))
			return (enum h1_name)i;
	return H1_OTHER;
}

/*
 * Servers that hand fields on as variables (CGI, WSGI) cannot tell "_" from
 * "-": Content_Length would be a second length to them.
 */
static bool is_disguised(struct h1_text name)
{
	static const char *const framing[] = {"content_length",
	                                      "transfer_encoding"};

	for (size_t i = 0; i < ARRAY_SIZE(framing); i++)
		if (h1_is(name, framing[i]))
			return true;
	return false;
}

/*
 * A proxy behind the server's door drops the fields that Connection names: with
 * those that frame the body it would read another request than we do.
 */
static int connection_check(struct h1_text list, struct err *err)
{
	static const enum h1_name kept[] = {H1_HOST, H1_CONTENT_LENGTH,
	                                    H1_TRANSFER_ENCODING};
	struct h1_text option;

	while (h1_list_next(&list, &option))
		for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
			if (equal(option, names[kept[i]]))
				return err_set(err, H1_BAD,
				               "Connection names %s",
				               names[kept[i]].p);
	return 0;
}

static int field_check(const struct h1_field *f, struct err *err)
{
	if (is_space(f->line.p[0]))
		return err_set(err, H1_BAD,
		               "a header goes on in the next line");
	if (!h1_is_token(f->name))
		return err_set(err, H1_BAD,
		               "a header has no name, or one with a space or "
		               "another byte that names do not have");
	if (is_disguised(f->name))
		return err_set(err, H1_BAD,
		               "the name of a header that says where the body "
		               "ends is written with _");
	if (h1_name_of(f->name) == H1_CONNECTION)
		return connection_check(f->value, err);
	return 0;
}

int h1_fields(const struct h1_head *h, size_t at, enum h1_reader reader,
              struct h1_says *ret, struct err *err)
{
	struct h1_field f;

	*ret = (struct h1_says){0};
	for (; h1_field_at(h, at, &f); at = f.next) {
		enum h1_name name = h1_name_of(f.name);
		int r = reader == H1_STRICT ? field_check(&f, err) : 0;

		if (r < 0)
			return r;
		if (ret->count[name]++ == 0)
			ret->first[name] = f.value;
	}
	return 0;
}

/*
 * What a server that adds trailers to the headers would act upon: where the
 * body ends, whom it is for, who asks, how it is read (RFC 9110 section 6.5.1).
 */
static const char *const not_trailers[] = {
	"transfer-encoding",
	"content-length",
	"host",
	"trailer",
	"content-encoding",
	"content-type",
	"content-range",
	"connection",
	"keep-alive",
	"proxy-connection",
	"te",
	"upgrade",
	"expect",
	"max-forwards",
	"range",
	"authorization",
	"cookie",
	"proxy-authorization",
	"cache-control",
	"pragma",
	"if-match",
	"if-none-match",
	"if-modified-since",
	"if-unmodified-since",
	"if-range",
};

int h1_trailers_check(const struct h1_head *h, struct err *err)
{
	struct h1_field f;

	for (size_t at = 0; h1_field_at(h, at, &f); at = f.next) {
		int r = field_check(&f, err);

		if (r < 0)
			return r;
		for (size_t i = 0; i < ARRAY_SIZE(not_trailers); i++)
			if (h1_is(f.name, not_trailers[i]))
				return err_set(err, H1_BAD, "%s is no trailer",
				               not_trailers[i]);
	}
	return 0;
}

/* ---- framing ------------------------------------------------------------- */

/*
 * Digits only, and as one would write them: a zero in front is another number
 * to some.
 */
static bool length_parse(struct h1_text t, uint64_t *ret)
{
	uint64_t v = 0;

	if (!t.len || t.len > 19 || (t.p[0] == '0' && t.len > 1))
		return false;
	for (size_t i = 0; i < t.len; i++) {
		if (t.p[i] < '0' || t.p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(t.p[i] - '0');
	}
	if (v > INT64_MAX)
		return false;
	*ret = v;
	return true;
}

int h1_request_framing(const struct h1_says *s, bool old,
                       struct h1_framing *ret, struct err *err)
{
	unsigned nlength = s->count[H1_CONTENT_LENGTH];
	unsigned ncoding = s->count[H1_TRANSFER_ENCODING];
	uint64_t length = 0;

	if (nlength && ncoding)
		return err_set(err, H1_BAD,
		               "Content-Length and Transfer-Encoding in one "
		               "request");
	if (nlength > 1 ||
	    (nlength && !length_parse(s->first[H1_CONTENT_LENGTH], &length)))
		return err_set(err, H1_BAD,
		               "Content-Length must be there once, and be a "
		               "number");
	if (ncoding && old)
		return err_set(err, H1_BAD, "Transfer-Encoding in HTTP/1.0");
	if (ncoding > 1 ||
	    (ncoding && !h1_is(s->first[H1_TRANSFER_ENCODING], "chunked")))
		return err_set(err, H1_BAD,
		               "Transfer-Encoding must be \"chunked\"");
	*ret = (struct h1_framing){ncoding   ? H1_CHUNKED
	                           : nlength ? H1_LENGTH
	                                     : H1_NONE,
	                           length};
	return 0;
}

/* All lengths, in several fields or as lists, must be one number. */
static int answer_length(const struct h1_head *h, size_t at, uint64_t *ret)
{
	struct h1_field f;
	bool any = false;
	uint64_t v;

	for (; h1_field_at(h, at, &f); at = f.next) {
		struct h1_text rest = f.value, one;

		if (h1_name_of(f.name) != H1_CONTENT_LENGTH)
			continue;
		while (h1_list_next(&rest, &one)) {
			if (!length_parse(one, &v) || (any && v != *ret))
				return H1_ANSWER;
			*ret = v;
			any = true;
		}
	}
	return 0;
}

/* Chunked must be the last coding, and there once. */
static int answer_coding(const struct h1_head *h, size_t at, bool *ret_chunked)
{
	struct h1_field f;
	bool chunked = false;

	for (; h1_field_at(h, at, &f); at = f.next) {
		struct h1_text rest = f.value, one;

		if (h1_name_of(f.name) != H1_TRANSFER_ENCODING)
			continue;
		while (h1_list_next(&rest, &one)) {
			if (chunked)
				return H1_ANSWER;
			chunked = h1_is(one, "chunked");
		}
	}
	*ret_chunked = chunked;
	return 0;
}

/* A framing field that goes on in the next line, or has a space in its name. */
static bool answer_is_odd(const struct h1_head *h, size_t at)
{
	bool framing = false;
	struct h1_field f;

	for (; h1_field_at(h, at, &f); at = f.next) {
		struct h1_text name = trim(f.name);
		enum h1_name n = h1_name_of(name);

		if (!f.name.len && framing)
			return true;
		framing = n == H1_CONTENT_LENGTH || n == H1_TRANSFER_ENCODING;
		if (framing && name.len != f.name.len)
			return true;
	}
	return false;
}

int h1_answer_framing(const struct h1_head *h, size_t at,
                      const struct h1_says *s, unsigned status, bool asked_head,
                      struct h1_framing *ret, struct err *err)
{
	struct h1_framing f = {.kind = H1_CLOSE};
	bool chunked = false;

	if (asked_head || status == 204 || status == 304) {
		*ret = (struct h1_framing){.kind = H1_NONE};
		return 0;
	}
	if (s->count[H1_CONTENT_LENGTH] && s->count[H1_TRANSFER_ENCODING])
		return err_set(err, H1_ANSWER,
		               "the server's answer has both Content-Length "
		               "and Transfer-Encoding");
	if (answer_is_odd(h, at) || answer_length(h, at, &f.length) < 0 ||
	    answer_coding(h, at, &chunked) < 0)
		return err_set(err, H1_ANSWER,
		               "the server's answer does not say clearly where "
		               "it ends");
	if (chunked)
		f.kind = H1_CHUNKED;
	else if (s->count[H1_CONTENT_LENGTH])
		f.kind = H1_LENGTH;
	*ret = f;
	return 0;
}
