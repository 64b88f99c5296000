/*
 * Compressed header lists through the relay: the input's blocks, as heads and
 * trailers of requests, to nghttp2's own server. Whatever a guest compresses,
 * the server gets lists that it can read, for the right host, and no
 * placeholder that is not for it.
 */
#include "fuzz_h2.h"

static int on_header(nghttp2_session *session, const nghttp2_frame *f,
                     const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t len, uint8_t flags, void *arg)
{
	(void)session, (void)f, (void)arg;
	MUST(!memmem(value, len, OTHER, strlen(OTHER)));
	MUST(!memmem(name, name_len, OTHER, strlen(OTHER)));
	if (memmem(value, len, VALUE, strlen(VALUE)) &&
	    !(flags & NGHTTP2_NV_FLAG_NO_INDEX) && !memmem(value, len, "/", 1))
		MUST(*(const int *)arg); /* the guest knew it by itself */
	if ((name_len == 10 && memcmp(name, ":authority", 10) == 0) ||
	    (name_len == 4 && memcmp(name, "host", 4) == 0))
		MUST(len >= strlen(HOST) &&
		     strncasecmp((const char *)value, HOST, strlen(HOST)) == 0);
	return 0;
}

static int on_begin(nghttp2_session *session, const nghttp2_frame *f, void *arg)
{
	(void)arg;
	if (f->headers.cat == NGHTTP2_HCAT_REQUEST &&
	    f->hd.stream_id % 4 == 1) {
		nghttp2_nv nv = {(uint8_t *)":status", (uint8_t *)"204", 7, 3,
		                 0};

		MUST(nghttp2_submit_response(session, f->hd.stream_id, &nv, 1,
		                             NULL) == 0);
	}
	return 0;
}

static nghttp2_session *make_server(int *knows)
{
	nghttp2_session_callbacks *c;
	nghttp2_session *s;

	MUST(nghttp2_session_callbacks_new(&c) == 0);
	nghttp2_session_callbacks_set_on_header_callback(c, on_header);
	nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin);
	MUST(nghttp2_session_server_new(&s, c, knows) == 0);
	nghttp2_session_callbacks_del(c);
	MUST(nghttp2_submit_settings(s, 0, NULL, 0) == 0);
	return s;
}

/* Both ways until nothing moves; what we send is never wrong. */
static int exchange(struct relay *r, nghttp2_session *server)
{
	struct buf *out = &r->out[SIDE_SERVER];
	const uint8_t *data;
	int e = 0;
	ssize_t n;

	do {
		n = nghttp2_session_mem_recv(server, out->data, out->len);
		MUST(n == (ssize_t)out->len);
		buf_reset(out);
		buf_reset(&r->out[SIDE_GUEST]);
		n = nghttp2_session_mem_send(server, &data);
		MUST(n >= 0);
		if (n)
			e = put(r, SIDE_SERVER, data, (size_t)n);
		if (e >= 0)
			e = r->ops->room(r);
	} while (e >= 0 && (n || out->len));
	return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = {data, len};
	struct secrets *s = make_secrets(false);
	struct relay *r = make_relay(s);
	int knows = memmem(data, len, "value", 5) != NULL ||
	            memmem(data, len, "-v", 2) != NULL;
	nghttp2_session *server = make_server(&knows);
	uint32_t id = 1;
	int e = put(r, SIDE_GUEST,
	            (const uint8_t *)"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	                             "\0\0\0\4\0\0\0\0\0",
	            33);

	while (in.len && e >= 0) {
		uint8_t op = next(&in);
		size_t n = next(&in) | (op & 0x80 ? next(&in) << 8 : 0);
		uint8_t block[16384];
		size_t head = 0;
		const uint8_t *more;

		n = n > 12000 ? 12000 : n;
		if (!(op & 4)) {
			static const char usual[] = "\x82\x87\x41\x0b" HOST;

			head = sizeof(usual) - 1;
			memcpy(block, usual, head);
		}
		more = piece(&in, &n);
		memcpy(block + head, more, n);
		if (op & 8 && id > 1) /* trailers */
			e = put_frame(r, SIDE_GUEST, NGHTTP2_HEADERS, 5, id - 2,
			              more, n);
		else
			e = put_frame(r, SIDE_GUEST, NGHTTP2_HEADERS,
			              op & 2 ? 4 : 5, id, block, head + n);
		id += op & 8 ? 0 : 2;
		if (e >= 0)
			e = exchange(r, server);
	}
	r->ops->free(r);
	nghttp2_session_del(server);
	secrets_unref(s);
	return 0;
}
