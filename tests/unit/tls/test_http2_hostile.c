/* Attacks on the HTTP/2 relay: frames by hand, from both sides. */
#include "h2_world.h"
#include "tls/http2.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static size_t head_of(uint8_t out[9], size_t len, uint8_t type, uint8_t flags,
                      uint32_t id)
{
	out[0] = (uint8_t)(len >> 16);
	out[1] = (uint8_t)(len >> 8);
	out[2] = (uint8_t)len;
	out[3] = type;
	out[4] = flags;
	put_be32(out + 5, id);
	return 9;
}

static void frame(struct world *w, enum side from, uint8_t type, uint8_t flags,
                  uint32_t id, const void *data, size_t len)
{
	cleanup_buf struct buf b = BUF_INIT;
	uint8_t head[9];

	(void)buf_add(&b, head, head_of(head, len, type, flags, id));
	(void)buf_add(&b, data, len);
	w_put(w, from, b.data, b.len);
}

/* A header list, compressed by @d. */
static void list(nghttp2_hd_deflater *d, struct buf *out, const nghttp2_nv *nv,
                 size_t n)
{
	size_t max = nghttp2_hd_deflate_bound(d, nv, n);
	ssize_t len;

	assert_int_equal(buf_reserve(out, max), 0);
	len = nghttp2_hd_deflate_hd(d, out->data + out->len, max, nv, n);
	assert_true(len >= 0);
	buf_commit(out, (size_t)len);
}

struct guest {
	struct world *w;
	nghttp2_hd_deflater *d;
	uint32_t id; /* of the next stream */
};

static struct guest guest_with(struct world *w)
{
	struct guest g = {.w = w, .id = 1};

	w->keep_raw = true;
	assert_int_equal(nghttp2_hd_deflate_new(&g.d, 4096), 0);
	w_put(w, SIDE_GUEST, PREFACE, 24);
	frame(w, SIDE_GUEST, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
	frame(w, SIDE_GUEST, NGHTTP2_WINDOW_UPDATE, 0, 0, "\x70\0\0\0", 4);
	w_run(w);
	return g;
}

static struct guest guest_new(void)
{
	return guest_with(w_new_with(w_usual, 2, true, NULL, 0));
}

static void guest_free(struct guest *g)
{
	nghttp2_hd_deflate_del(g->d);
	w_free(g->w);
}

/* HEADERS with @more behind the usual four; returns its id. */
static uint32_t headers(struct guest *g, uint8_t flags, const char *path,
                        const char *name, const char *value)
{
	nghttp2_nv nv[] = {NV(":method", "GET"), NV(":scheme", "https"),
	                   NV(":path", path), NV(":authority", HOST),
	                   NV(name ? name : "", value ? value : "")};
	cleanup_buf struct buf b = BUF_INIT;
	uint32_t id = g->id;

	list(g->d, &b, nv, name ? 5 : 4);
	frame(g->w, SIDE_GUEST, NGHTTP2_HEADERS, flags, id, b.data, b.len);
	g->id += 2;
	return id;
}

#define WHOLE (NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM)

/* The last frame of @type on @id that went to @to: its code, or -1. */
static int64_t code_of(const struct world *w, enum side to, uint8_t type,
                       uint32_t id)
{
	const struct buf *b = &w->raw[to];
	size_t at = to == SIDE_SERVER ? 24 : 0;
	int64_t code = -1;

	while (at + 9 <= b->len) {
		const uint8_t *p = b->data + at;
		size_t len = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];

		if (p[3] == type && (get_be32(p + 5) & 0x7fffffff) == id &&
		    at + 9 + len <= b->len)
			code = type == NGHTTP2_GOAWAY ? get_be32(p + 13)
			       : len >= 4             ? get_be32(p + 9)
			                              : 0;
		at += 9 + len;
	}
	return code;
}

static void assert_goaway(struct guest *g, uint32_t code)
{
	w_run(g->w);
	if (code_of(g->w, SIDE_GUEST, NGHTTP2_GOAWAY, 0) != code)
		fail_msg("GOAWAY %d, not %u",
		         (int)code_of(g->w, SIDE_GUEST, NGHTTP2_GOAWAY, 0),
		         code);
	assert_true(g->w->ended < 0);
}

static void assert_reset(struct guest *g, uint32_t id, uint32_t code)
{
	w_run(g->w);
	assert_int_equal(code_of(g->w, SIDE_GUEST, NGHTTP2_RST_STREAM, id),
	                 code);
	assert_int_equal(g->w->ended, 0);
}

static struct h2 *h2_of(struct world *w)
{
	return (struct h2 *)w->r;
}

/* ---- from the guest ------------------------------------------------------ */

static void a_wrong_preface_ends_the_connection(void **state)
{
	struct world *w = w_new_with(NULL, 0, true, NULL, 0);

	(void)state;
	w->keep_raw = true;
	w_put(w, SIDE_GUEST, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
	w_run(w);
	assert_int_equal(w->ended, -ESHUTDOWN);
	assert_int_equal(code_of(w, SIDE_GUEST, NGHTTP2_GOAWAY, 0),
	                 NGHTTP2_PROTOCOL_ERROR);
	w_free(w);
}

static void a_flood_of_continuations_ends_the_connection(void **state)
{
	struct guest g = guest_new();
	uint8_t junk[100] = {0};

	(void)state;
	memset(junk, 0x84, sizeof(junk));
	frame(g.w, SIDE_GUEST, NGHTTP2_HEADERS, 0, 1, "\x82\x87", 2);
	for (int i = 0; i < 1000 && !g.w->ended; i++)
		frame(g.w, SIDE_GUEST, NGHTTP2_CONTINUATION, 0, 1, junk, 100);
	w_run(g.w);
	assert_true(g.w->ended < 0);
	assert_null(g.w->server.v[0]);
	guest_free(&g);
}

static void rapid_resets_are_calmed(void **state)
{
	struct guest g = guest_new();
	size_t seen = 0;

	(void)state;
	for (int i = 0; i < 3900 && !g.w->ended; i++) {
		uint32_t id = headers(&g, WHOLE, "/hang", NULL, NULL);

		frame(g.w, SIDE_GUEST, NGHTTP2_RST_STREAM, 0, id, "\0\0\0\x08",
		      4);
		w_run(g.w);
	}
	assert_goaway(&g, NGHTTP2_ENHANCE_YOUR_CALM);
	for (size_t i = 0; i < W_STREAMS; i++)
		seen += g.w->server.v[i] != NULL;
	assert_in_range(seen, 400, 1500);
	guest_free(&g);
}

/* The guest makes us reset, which costs the server as much. */
static void resets_that_we_are_made_to_send_are_calmed(void **state)
{
	struct guest g = guest_new();

	(void)state;
	for (int i = 0; i < 3900 && !g.w->ended; i++) {
		uint32_t id = headers(&g, WHOLE, "/hang", NULL, NULL);

		frame(g.w, SIDE_GUEST, NGHTTP2_WINDOW_UPDATE, 0, id,
		      "\x7f\xff\xff\xff", 4);
		w_run(g.w);
	}
	assert_goaway(&g, NGHTTP2_ENHANCE_YOUR_CALM);
	guest_free(&g);
}

static void violations_by_thousands_are_calmed(void **state)
{
	struct guest g = guest_new();

	(void)state;
	for (int i = 0; i < 3900 && !g.w->ended; i++) {
		headers(&g, WHOLE, "/show", "x", OTHER);
		w_run(g.w);
	}
	assert_goaway(&g, NGHTTP2_ENHANCE_YOUR_CALM);
	guest_free(&g);
}

/* Who does not read answers to its settings and pings is not read. */
static void unread_acknowledgements_are_bounded(void **state)
{
	static const uint8_t types[] = {NGHTTP2_PING, NGHTTP2_SETTINGS};

	(void)state;
	for (size_t t = 0; t < ARRAY_SIZE(types); t++) {
		struct guest g = guest_new();
		int sent = 0;

		g.w->hold_client = true;
		while (sent < 1000000 && !g.w->ended &&
		       g.w->r->ops->wants(g.w->r, SIDE_GUEST)) {
			frame(g.w, SIDE_GUEST, types[t], 0, 0, "12345678",
			      types[t] == NGHTTP2_PING ? 8 : 0);
			sent++;
		}
		assert_true(sent < 20000);
		assert_true(g.w->r->out[SIDE_GUEST].len < 200000);
		guest_free(&g);
	}
}

static void frames_that_do_nothing_are_calmed(void **state)
{
	static const struct {
		uint8_t type, flags;
		size_t len;
	} idle[] = {
		{NGHTTP2_DATA,     0,                   0},
		{NGHTTP2_DATA,     NGHTTP2_FLAG_PADDED, 3},
		{NGHTTP2_PRIORITY, 0,                   5},
	};

	(void)state;
	for (size_t t = 0; t < ARRAY_SIZE(idle); t++) {
		struct guest g = guest_new();
		uint32_t id = headers(&g, NGHTTP2_FLAG_END_HEADERS, "/echo",
		                      NULL, NULL);

		for (int i = 0; i < 40000 && !g.w->ended; i++)
			frame(g.w, SIDE_GUEST, idle[t].type, idle[t].flags, id,
			      "\x02\0\0\0\0", idle[t].len);
		assert_goaway(&g, NGHTTP2_ENHANCE_YOUR_CALM);
		guest_free(&g);
	}
}

static void huge_frames_are_refused(void **state)
{
	struct guest g = guest_new();
	static char big[16385];
	uint32_t id;

	(void)state;
	id = headers(&g, NGHTTP2_FLAG_END_HEADERS, "/echo", NULL, NULL);
	frame(g.w, SIDE_GUEST, NGHTTP2_DATA, 0, id, big, sizeof(big));
	assert_goaway(&g, NGHTTP2_FRAME_SIZE_ERROR);
	guest_free(&g);
}

static void padding_hides_nothing(void **state)
{
	struct guest g = guest_new();
	uint32_t id =
		headers(&g, NGHTTP2_FLAG_END_HEADERS, "/body", NULL, NULL);
	uint8_t piece[3] = {1, 0, 0};

	(void)state;
	for (size_t i = 0; i < strlen(PLACEHOLDER); i++) {
		piece[1] = (uint8_t)PLACEHOLDER[i];
		frame(g.w, SIDE_GUEST, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, id,
		      piece, 3);
	}
	frame(g.w, SIDE_GUEST, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, id, NULL,
	      0);
	w_run(g.w);
	assert_true(w_has(&g.w->raw[SIDE_GUEST], VALUE));
	guest_free(&g);
	g = guest_new();
	id = headers(&g, NGHTTP2_FLAG_END_HEADERS, "/body", NULL, NULL);
	frame(g.w, SIDE_GUEST, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, id, "\x09x",
	      2);
	assert_goaway(&g, NGHTTP2_PROTOCOL_ERROR);
	guest_free(&g);
}

/* Padding counts for windows: it must come back. */
static void padding_gives_its_window_back(void **state)
{
	struct guest g = guest_new();
	uint8_t piece[257] = {255, 'x'};
	uint32_t id =
		headers(&g, NGHTTP2_FLAG_END_HEADERS, "/count", NULL, NULL);

	(void)state;
	piece[1] = w_byte(0);
	for (int i = 0; i < 9000; i++) {
		piece[1] = w_byte((size_t)i);
		frame(g.w, SIDE_GUEST, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, id,
		      piece, 257);
		w_run(g.w);
	}
	assert_int_equal(g.w->ended, 0);
	assert_int_equal(code_of(g.w, SIDE_GUEST, NGHTTP2_RST_STREAM, id), -1);
	guest_free(&g);
}

/* ---- header tables ------------------------------------------------------- */

static void a_placeholder_in_the_table_is_found_each_time(void **state)
{
	struct guest g = guest_new();
	struct w_stream *st;

	(void)state;
	for (int i = 0; i < 3; i++)
		headers(&g, WHOLE, "/show", "x-key", PLACEHOLDER);
	w_run(g.w);
	for (size_t i = 0; i < 3; i++) {
		st = g.w->server.v[i];
		assert_true(w_has(&st->head, "x-key: " VALUE "\n"));
		assert_true(st->never_index);
	}
	/* the second and third are one byte of an index */
	headers(&g, WHOLE, "/show", "y-key", OTHER);
	headers(&g, WHOLE, "/show", "y-key", OTHER);
	w_run(g.w);
	assert_null(g.w->server.v[3]);
	assert_int_equal(g.w->violations, 2);
	guest_free(&g);
}

static void huffman_hides_nothing(void **state)
{
	/* x-key: the placeholder, plain and in the code, never indexed */
	static const char plain[] =
		"\x82\x87\x84\x41\x0b" HOST "\x10\x05x-key\x24" PLACEHOLDER;
	struct guest g = guest_new();

	(void)state;
	frame(g.w, SIDE_GUEST, NGHTTP2_HEADERS, WHOLE, 1, plain,
	      sizeof(plain) - 1);
	w_run(g.w);
	assert_true(w_has(&g.w->server.v[0]->head, "x-key: " VALUE "\n"));
	guest_free(&g);
}

static void broken_tables_end_the_connection(void **state)
{
	static const struct {
		const char *block;
		size_t len;
	} bad[] = {
		{"\xff\xff\xff\xff\x0f",         5}, /* no such index */
		{"\x80",			 1}, /* index 0 */
		{"\x3f\xff\xff\xff\xff\x0f",     6}, /* a table of 4 GiB */
		{"\x82\x87\x84\x20",             4}, /* resized in the middle */
		{"\x40\x85\xff\xff\xff\xff\xff", 7}, /* EOS in a string */
		{"\x40\x7f\xff\xff\xff\xff\x7f", 7}, /* a string of 2^34 */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct guest g = guest_new();

		frame(g.w, SIDE_GUEST, NGHTTP2_HEADERS, WHOLE, 1, bad[i].block,
		      bad[i].len);
		assert_goaway(&g, NGHTTP2_COMPRESSION_ERROR);
		guest_free(&g);
	}
}

/* An entry of 3900 bytes, then @n references to it. */
static void bomb(struct guest *g, size_t n)
{
	cleanup_buf struct buf b = BUF_INIT;
	uint8_t index[16000];

	assert_true(n <= sizeof(index));
	(void)buf_add(&b, "\x82\x87\x84\x41\x0b" HOST "\x40\x01x\x7f\xbd\x1d",
	              5 + 11 + 6);
	for (int i = 0; i < 3900; i++)
		(void)buf_addc(&b, 'a');
	frame(g->w, SIDE_GUEST, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1,
	      b.data, b.len);
	memset(index, 0xbe, sizeof(index));
	frame(g->w, SIDE_GUEST, NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS,
	      1, index, n);
	w_run(g->w);
	assert_int_equal(g->w->ended, 0);
	assert_null(g->w->server.v[0]);
}

static void a_header_bomb_is_431_and_costs_no_memory(void **state)
{
	struct guest g = guest_new();

	(void)state;
	bomb(&g, 1000);
	assert_true(w_has(&g.w->raw[SIDE_GUEST], "microsandbox: the request's "
	                                         "headers are larger"));
	guest_free(&g);
}

static void a_large_header_bomb_is_not_read_to_its_end(void **state)
{
	struct guest g = guest_new();

	(void)state;
	bomb(&g, 16000);
	assert_false(w_has(&g.w->raw[SIDE_GUEST], "microsandbox: "));
	guest_free(&g);
}

/* ---- what is not HTTP ---------------------------------------------------- */

static void malformed_requests_reset_their_stream_only(void **state)
{
#define USUAL ":method GET|:scheme https|:path /|:authority " HOST
	/* name and value, parted by the first space; fields by | */
	static const char *const bad[] = {
		":method GET|:scheme https|:path /",
		":method GET|:scheme https|:authority " HOST,
		":method GET|:path /|:authority " HOST,
		":scheme https|:path /|:authority " HOST,
		USUAL "|X-Upper 1",
		USUAL "|connection close",
		USUAL "|transfer-encoding chunked",
		USUAL "|te gzip",
		USUAL "|:authority " HOST,
		USUAL "|:status 200",
		":method GET|:scheme https|a b|:path /|:authority " HOST,
		":method GET|:scheme https|:path x|:authority " HOST,
		USUAL "|a x\ry",
		USUAL "|a(b x",
		USUAL "|a  x",
		USUAL "|content-length 5",
		USUAL "|content-length x",
		":method GET|:scheme https|:path / a|:authority " HOST,
		":method G T|:scheme https|:path /|:authority " HOST,
		USUAL "|:protocol websocket",
	};
	struct guest g = guest_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cleanup_buf struct buf b = BUF_INIT;
		nghttp2_nv nv[6];
		char text[200];
		size_t n = 0;
		char *rest = text, *field;

		(void)snprintf(text, sizeof(text), "%s", bad[i]);
		while ((field = strsep(&rest, "|"))) {
			char *value = strchr(field + 1, ' ');

			*value++ = '\0';
			nv[n++] = (nghttp2_nv)NV(field, value);
		}
		list(g.d, &b, nv, n);
		frame(g.w, SIDE_GUEST, NGHTTP2_HEADERS, WHOLE, g.id, b.data,
		      b.len);
		w_run(g.w);
		if (code_of(g.w, SIDE_GUEST, NGHTTP2_RST_STREAM, g.id) !=
		    NGHTTP2_PROTOCOL_ERROR)
			fail_msg("case %zu was not refused", i);
		g.id += 2;
	}
	assert_int_equal(g.w->ended, 0);
	assert_null(g.w->server.v[0]);
	headers(&g, WHOLE, "/show", "a", "b");
	w_run(g.w);
	assert_true(w_has(&g.w->server.v[0]->head, "a: b"));
	guest_free(&g);
}

static void lengths_that_lie_reset_the_stream(void **state)
{
	struct guest g = guest_new();
	uint32_t a = headers(&g, NGHTTP2_FLAG_END_HEADERS, "/count",
	                     "content-length", "3");
	uint32_t b = headers(&g, NGHTTP2_FLAG_END_HEADERS, "/count",
	                     "content-length", "3");

	(void)state;
	frame(g.w, SIDE_GUEST, NGHTTP2_DATA, 0, a, "abcd", 4);
	frame(g.w, SIDE_GUEST, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, b, "ab",
	      2);
	assert_reset(&g, a, NGHTTP2_PROTOCOL_ERROR);
	assert_reset(&g, b, NGHTTP2_PROTOCOL_ERROR);
	assert_null(g.w->server.v[0]);
	guest_free(&g);
}

static void the_guests_streams_are_bounded(void **state)
{
	struct guest g = guest_new();

	(void)state;
	for (int i = 0; i < H2_STREAMS_MAX + 1; i++)
		headers(&g, WHOLE, "/hang", NULL, NULL);
	assert_reset(&g, 2 * H2_STREAMS_MAX + 1, NGHTTP2_REFUSED_STREAM);
	assert_int_equal(code_of(g.w, SIDE_GUEST, NGHTTP2_RST_STREAM, 1), -1);
	guest_free(&g);
}

static void more_than_the_window_is_an_error(void **state)
{
	struct guest g = guest_new();
	static char data[16384];

	(void)state;
	g.w->server.no_consume = true;
	headers(&g, NGHTTP2_FLAG_END_HEADERS, "/echo", NULL, NULL);
	for (int i = 0; i < 40 && !g.w->ended; i++) {
		frame(g.w, SIDE_GUEST, NGHTTP2_DATA, 0, 1, data, sizeof(data));
		w_run(g.w);
	}
	w_run(g.w);
	assert_true(g.w->ended < 0 ||
	            code_of(g.w, SIDE_GUEST, NGHTTP2_RST_STREAM, 1) ==
	                    NGHTTP2_FLOW_CONTROL_ERROR);
	guest_free(&g);
}

/* A window of zero for ever: what waits has the connection's bound. */
static void closed_windows_hold_a_bounded_amount(void **state)
{
	static const uint8_t zero[] = {
		0, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0, 0, 0, 0};
	struct world *w = w_new_with(w_usual, 2, true, NULL, 0);
	struct guest g = guest_with(w);

	(void)state;
	frame(w, SIDE_GUEST, NGHTTP2_SETTINGS, 0, 0, zero, 6);
	for (int i = 0; i < H2_STREAMS_MAX; i++)
		headers(&g, WHOLE, "/big50000000", NULL, NULL);
	w_run(w);
	assert_int_equal(w->ended, 0);
	assert_in_range(h2_of(w)->waiting_bytes, 1 << 20, H2_WINDOW_SERVER_ALL);
	guest_free(&g);
}

/* Values that are much longer than their placeholders, as many as fit. */
static void values_do_not_fill_the_memory(void **state)
{
	static char value[60001];
	static const struct w_secret s = {"KEY",
	                                  "MSB_",
	                                  value,
	                                  HOST,
	                                  SECRET_HEADERS | SECRET_BODY |
	                                          SECRET_QUERY,
	                                  SECRET_BLOCK_LOG,
	                                  false};
	static char data[16384];
	struct guest g;
	uint32_t id;

	(void)state;
	memset(value, 'v', 60000);
	g = guest_with(w_new_with(&s, 1, true, NULL, 0));
	for (size_t i = 0; i < sizeof(data); i += 4)
		memcpy(data + i, "MSB_", 4);
	for (int i = 0; i < 20; i++) {
		id = headers(&g, NGHTTP2_FLAG_END_HEADERS, "/hang", NULL, NULL);
		frame(g.w, SIDE_GUEST, NGHTTP2_DATA, 0, id, data, sizeof(data));
		assert_true(h2_of(g.w)->waiting_bytes <= 128u << 20);
	}
	w_run(g.w);
	assert_int_equal(g.w->ended, 0);
	data[1000] = '\0';
	id = headers(&g, WHOLE, "/show", "x", data);
	w_run(g.w);
	assert_true(w_has(&g.w->raw[SIDE_GUEST],
	                  "microsandbox: the request is too large"));
	guest_free(&g);
}

/* ---- from the server ----------------------------------------------------- */

/* A server by hand; the guest is nghttp2's. */
static struct world *raw_server(void)
{
	struct world *w = w_new();

	nghttp2_session_del(w->server.s);
	w->server.s = NULL;
	w->keep_raw = true;
	frame(w, SIDE_SERVER, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
	w_run(w);
	return w;
}

static void answer(struct world *w, nghttp2_hd_deflater *d, uint8_t flags,
                   uint32_t id, const char *name, const char *value)
{
	nghttp2_nv nv[] = {NV(":status", "200"),
	                   NV(name ? name : "", value ? value : "")};
	cleanup_buf struct buf b = BUF_INIT;

	list(d, &b, nv, name ? 2 : 1);
	frame(w, SIDE_SERVER, NGHTTP2_HEADERS, flags, id, b.data, b.len);
}

/* It is refused; an error once the server has acknowledged our settings. */
static void a_push_of_the_server_goes_nowhere(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world *w = raw_server();
		struct w_stream *st = w_get(w, "/", NULL);

		w_run(w);
		if (i)
			frame(w, SIDE_SERVER, NGHTTP2_SETTINGS,
			      NGHTTP2_FLAG_ACK, 0, NULL, 0);
		frame(w, SIDE_SERVER, NGHTTP2_PUSH_PROMISE,
		      NGHTTP2_FLAG_END_HEADERS, 1,
		      "\0\0\0\x02\x82\x87\x84\x41\x0b" HOST, 20);
		w_run(w);
		if (i) {
			assert_true(st->closed);
			assert_int_equal(st->code, NGHTTP2_INTERNAL_ERROR);
			assert_int_equal(w->ended, -ESHUTDOWN);
			assert_int_equal(
				code_of(w, SIDE_SERVER, NGHTTP2_GOAWAY, 0),
				NGHTTP2_PROTOCOL_ERROR);
		} else {
			assert_false(st->closed);
			assert_int_equal(
				code_of(w, SIDE_SERVER, NGHTTP2_RST_STREAM, 2),
				NGHTTP2_CANCEL);
		}
		w_free(w);
	}
}

static void garbage_of_the_server_ends_the_streams(void **state)
{
	struct world *w = raw_server();
	struct w_stream *st = w_get(w, "/", NULL);

	(void)state;
	w_run(w);
	frame(w, SIDE_SERVER, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1,
	      "\xff\xff\xff\xff\x0f", 5);
	w_run(w);
	assert_true(st->closed && st->code == NGHTTP2_INTERNAL_ERROR);
	assert_int_equal(w->ended, -ESHUTDOWN);
	assert_int_equal(code_of(w, SIDE_SERVER, NGHTTP2_GOAWAY, 0),
	                 NGHTTP2_COMPRESSION_ERROR);
	w_free(w);
}

static void floods_of_the_server_end_its_connection(void **state)
{
	static const struct {
		uint8_t type, flags;
		size_t len;
	} idle[] = {
		{NGHTTP2_DATA,         0, 0},
		{NGHTTP2_CONTINUATION, 0, 3},
	};

	(void)state;
	for (size_t t = 0; t < ARRAY_SIZE(idle); t++) {
		struct world *w = raw_server();
		struct w_stream *st = w_get(w, "/", NULL);
		nghttp2_hd_deflater *d;

		assert_int_equal(nghttp2_hd_deflate_new(&d, 4096), 0);
		w_run(w);
		answer(w, d,
		       idle[t].type == NGHTTP2_CONTINUATION
		               ? 0
		               : NGHTTP2_FLAG_END_HEADERS,
		       1, NULL, NULL);
		for (int i = 0; i < 40000 && !w->ended; i++)
			frame(w, SIDE_SERVER, idle[t].type, idle[t].flags, 1,
			      "\x84\x84\x84", idle[t].len);
		w_run(w);
		assert_true(st->closed);
		assert_int_equal(w->ended, -ESHUTDOWN);
		nghttp2_hd_deflate_del(d);
		w_free(w);
	}
}

static void an_answer_with_a_head_too_large_is_502(void **state)
{
	struct world *w = raw_server();
	struct w_stream *st = w_get(w, "/", NULL);
	cleanup_buf struct buf b = BUF_INIT;
	uint8_t index[1000];

	(void)state;
	w_run(w);
	(void)buf_add(&b, "\x88\x40\x01x\x7f\xbd\x1d", 7);
	for (int i = 0; i < 3900; i++)
		(void)buf_addc(&b, 'a');
	memset(index, 0xbe, sizeof(index));
	(void)buf_add(&b, index, sizeof(index));
	frame(w, SIDE_SERVER, NGHTTP2_HEADERS, WHOLE, 1, b.data, b.len);
	w_run(w);
	assert_int_equal(st->status, 502);
	assert_memory_equal(buf_str(&st->body), "microsandbox: ", 14);
	w_free(w);
}

static void data_without_a_head_or_past_its_length_is_reset(void **state)
{
	struct world *w = raw_server();
	struct w_stream *a = w_get(w, "/", NULL), *b = w_get(w, "/", NULL);
	nghttp2_hd_deflater *d;

	(void)state;
	assert_int_equal(nghttp2_hd_deflate_new(&d, 4096), 0);
	w_run(w);
	answer(w, d, NGHTTP2_FLAG_END_HEADERS, 3, "content-length", "2");
	frame(w, SIDE_SERVER, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 3, "abc",
	      3);
	frame(w, SIDE_SERVER, NGHTTP2_DATA, 0, 1, "abc", 3);
	w_run(w);
	assert_true(a->closed && a->code == NGHTTP2_INTERNAL_ERROR);
	assert_int_equal(w->ended, -ESHUTDOWN);
	assert_true(b->closed && b->code == NGHTTP2_PROTOCOL_ERROR);
	assert_int_equal(b->status, 200);
	nghttp2_hd_deflate_del(d);
	w_free(w);
}

static void early_answers_without_end_are_bounded(void **state)
{
	struct world *w = raw_server();
	nghttp2_hd_deflater *d;
	nghttp2_nv nv = NV(":status", "103");
	int sent = 0;

	(void)state;
	assert_int_equal(nghttp2_hd_deflate_new(&d, 4096), 0);
	(void)w_get(w, "/", NULL);
	w_run(w);
	w->hold_client = true;
	while (sent < 1000000 && w->r->out[SIDE_GUEST].len < RELAY_HIGH) {
		cleanup_buf struct buf b = BUF_INIT;

		list(d, &b, &nv, 1);
		frame(w, SIDE_SERVER, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS,
		      1, b.data, b.len);
		sent++;
	}
	assert_true(sent < 20000);
	nghttp2_hd_deflate_del(d);
	w_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wrong_preface_ends_the_connection),
		cmocka_unit_test(a_flood_of_continuations_ends_the_connection),
		cmocka_unit_test(rapid_resets_are_calmed),
		cmocka_unit_test(resets_that_we_are_made_to_send_are_calmed),
		cmocka_unit_test(violations_by_thousands_are_calmed),
		cmocka_unit_test(unread_acknowledgements_are_bounded),
		cmocka_unit_test(frames_that_do_nothing_are_calmed),
		cmocka_unit_test(huge_frames_are_refused),
		cmocka_unit_test(padding_hides_nothing),
		cmocka_unit_test(padding_gives_its_window_back),
		cmocka_unit_test(a_placeholder_in_the_table_is_found_each_time),
		cmocka_unit_test(huffman_hides_nothing),
		cmocka_unit_test(broken_tables_end_the_connection),
		cmocka_unit_test(a_header_bomb_is_431_and_costs_no_memory),
		cmocka_unit_test(a_large_header_bomb_is_not_read_to_its_end),
		cmocka_unit_test(malformed_requests_reset_their_stream_only),
		cmocka_unit_test(lengths_that_lie_reset_the_stream),
		cmocka_unit_test(the_guests_streams_are_bounded),
		cmocka_unit_test(more_than_the_window_is_an_error),
		cmocka_unit_test(closed_windows_hold_a_bounded_amount),
		cmocka_unit_test(values_do_not_fill_the_memory),
		cmocka_unit_test(a_push_of_the_server_goes_nowhere),
		cmocka_unit_test(garbage_of_the_server_ends_the_streams),
		cmocka_unit_test(floods_of_the_server_end_its_connection),
		cmocka_unit_test(an_answer_with_a_head_too_large_is_502),
		cmocka_unit_test(
			data_without_a_head_or_past_its_length_is_reset),
		cmocka_unit_test(early_answers_without_end_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
