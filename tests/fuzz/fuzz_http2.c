/*
 * Bytes and frames from both sides of the HTTP/2 relay, windows that open and
 * close, ends of either side. It must take them all; what it keeps is bounded.
 */
#include "fuzz_h2.h"

#define STEPS 4000

/* Heads that get somewhere, before the input's own headers. */
static size_t usual_head(enum side from, uint8_t kind, uint8_t *out)
{
	static const char *const request[] = {
		"\x82\x87\x84\x41\x0b" HOST,
		"\x83\x87\x04\x0e/?k=" ALLOWED "\x41\x0b" HOST "\x0f\x0d\x02"
		"16",
		"\x83\x87\x84\x41\x0b" HOST "\x40\x01x\x0b" OTHER,
		"\x83\x87\x84\x41\x0b" HOST "\x40\x01x\x0b" ALLOWED,
	};
	static const char *const reply[] = {"\x88", "\x48\x03\x31\x30\x33",
	                                    "\x88\x0f\x0d\x02\x31\x36",
	                                    "\x88\x40\x01x\x09" VALUE};
	const char *text = (from == SIDE_GUEST ? request : reply)[kind & 3];
	size_t len = strlen(text);

	memcpy(out, text, len);
	return len;
}

static int frame(struct relay *r, enum side from, uint8_t op, struct input *in)
{
	uint8_t type = next(in) % 11, flags = next(in), pick = next(in);
	uint32_t id = pick & 31;
	size_t len = next(in), n = 0;
	uint8_t data[1024];
	const uint8_t *more;

	if (type == 0 && flags & 0x40)
		len *= 64;
	if (type == NGHTTP2_HEADERS && !(op & 0x80)) {
		flags = NGHTTP2_FLAG_END_HEADERS | (flags & 1);
		n = usual_head(from, pick >> 5, data);
	}
	more = piece(in, &len);
	if (n == 0)
		return put_frame(r, from, type, flags, id, more,
		                 len > 16384 ? 16384 : len);
	len = len > 500 ? 500 : len;
	memcpy(data + n, more, len);
	return put_frame(r, from, type, flags, id, data, n + len);
}

static int drain(struct relay *r, enum side to, size_t len)
{
	if (len > r->out[to].len)
		len = r->out[to].len;
	buf_consume(&r->out[to], len);
	return r->ops->room(r);
}

static void check(const struct relay *r)
{
	const struct h2 *h = (const struct h2 *)r;

	MUST(h->waiting_bytes <= (H2_WINDOW_ALL + H2_WINDOW_SERVER_ALL) * 3);
	MUST(r->out[SIDE_GUEST].len <= 8 * RELAY_HIGH);
	MUST(r->out[SIDE_SERVER].len <= 8 * RELAY_HIGH);
}

static int step(struct relay *r, struct input *in)
{
	uint8_t op = next(in);
	enum side side = op & 1 ? SIDE_SERVER : SIDE_GUEST;
	const uint8_t *data;
	size_t len;

	switch (op >> 1 & 7) {
	case 0:
		len = next(in);
		data = piece(in, &len);
		return put(r, side, data, len);
	case 1:
		return drain(r, side, next(in) * 512u);
	case 2:
		return (op & 0xf0) == 0xf0 ? r->ops->eof(r, side) : 0;
	default:
		return frame(r, side, op, in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = {data, len};
	uint8_t mode = next(&in);
	struct secrets *s = make_secrets(mode & 4);
	struct relay *r = make_relay(s);
	int e = 0;

	if (mode & 1)
		e = put(r, SIDE_GUEST,
		        (const uint8_t *)"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
		                         "\0\0\0\4\0\0\0\0\0",
		        33);
	if (mode & 2 && e >= 0) /* and tunnels */
		e = put(r, SIDE_SERVER,
		        (const uint8_t *)"\0\0\6\4\0\0\0\0\0\0\x8\0\0\0\1", 15);
	for (int i = 0; i < STEPS && in.len && e >= 0; i++) {
		e = step(r, &in);
		check(r);
	}
	r->ops->free(r);
	secrets_unref(s);
	return 0;
}
