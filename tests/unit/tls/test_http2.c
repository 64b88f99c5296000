/* The HTTP/2 relay between nghttp2's own client and server. */
#include "h2_world.h"

static const char *const auth[] = {"authorization", "Bearer " PLACEHOLDER,
                                   NULL};

static void assert_status(const struct w_stream *st, unsigned status)
{
	if (st->status != status)
		fail_msg("status %u, not %u; code %u, closed %d: %s",
		         st->status, status, st->code, st->closed,
		         buf_str(&st->body));
}

static void assert_own(const struct w_stream *st, unsigned status)
{
	assert_status(st, status);
	assert_true(st->ended);
	assert_memory_equal(buf_str(&st->body), "microsandbox: ", 14);
	assert_true(w_has(&st->head, "content-type: text/plain"));
	assert_int_equal(st->body.data[st->body.len - 1], '\n');
}

static void post(struct world *w, struct w_stream *st, const char *body)
{
	w_write(&w->client, st, body, strlen(body));
	w_end_stream(&w->client, st);
}

/* ---- heads --------------------------------------------------------------- */

static void a_value_is_put_into_a_header(void **state)
{
	struct world *w = w_new();
	struct w_stream *st = w_get(w, "/show", auth);

	(void)state;
	w_run(w);
	assert_status(st, 200);
	assert_true(w_has(&st->body, "authorization: Bearer " VALUE "\n"));
	assert_true(w->server.v[0]->never_index);
	assert_true(st->closed && st->code == 0);
	w_free(w);
}

static void any_cut_of_bytes_gives_the_same(void **state)
{
	static const size_t cuts[] = {1, 2, 3, 7, 9, 10, 64, 1000};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		struct world *w = w_new();
		struct w_stream *a = w_get(w, "/show?k=" PLACEHOLDER, auth);
		struct w_stream *b = w_request(
			w, "POST", "/echo", HOST, true,
			(const char *const[]){"te", "trailers", NULL});

		w->cut = cuts[i];
		post(w, b, "some text " PLACEHOLDER " and more");
		w_run(w);
		assert_status(a, 200);
		assert_true(w_has(&a->body, ":path: /show?k=" VALUE "\n"));
		assert_true(w_has(&a->body, "Bearer " VALUE "\n"));
		assert_status(b, 200);
		assert_string_equal(buf_str(&b->body),
		                    "some text " VALUE " and more");
		assert_string_equal(buf_str(&b->trailers),
		                    "grpc-status: 0\nx-trailer: " PLACEHOLDER
		                    "\n");
		w_free(w);
	}
}

static void a_body_of_two_codings_is_as_it_was(void **state)
{
	struct world *w = w_new();
	struct w_stream *st = w_request(
		w, "POST", "/body", HOST, true,
		(const char *const[]){"content-encoding", "identity",
	                              "content-encoding", "gzip", NULL});

	(void)state;
	post(w, st, "a " PLACEHOLDER);
	w_run(w);
	assert_string_equal(buf_str(&st->body), "a " PLACEHOLDER);
	w_free(w);
}

static void headers_keep_their_order(void **state)
{
	static const char *const more[] = {
		"b", "1", "a",  "2",        "cookie", "x=1",
		"b", "3", "te", "trailers", "cookie", "y=" PLACEHOLDER,
		"z", "",  NULL};
	struct world *w = w_new();
	struct w_stream *st = w_get(w, "/show", more);

	(void)state;
	w_run(w);
	assert_string_equal(buf_str(&st->body),
	                    ":method: GET\n:scheme: https\n:path: /show\n"
	                    ":authority: " HOST "\nb: 1\na: 2\ncookie: x=1\n"
	                    "b: 3\nte: trailers\ncookie: y=" VALUE "\nz: \n");
	w_free(w);
}

static void a_placeholder_split_over_crumbs_is_none(void **state)
{
	static const char *const more[] = {"cookie", "MSB_0123456789abcdef",
	                                   "cookie", "0123456789abcdef", NULL};
	struct world *w = w_new();
	struct w_stream *st = w_get(w, "/show", more);

	(void)state;
	w_run(w);
	assert_status(st, 200);
	assert_false(w_has(&st->body, VALUE));
	assert_true(w_has(&st->body, "cookie: MSB_0123456789abcdef\n"));
	w_free(w);
}

static void names_of_the_gate_are_taken_in_all_their_forms(void **state)
{
	static const char *const good[] = {HOST, HOST ":443", "API.Example",
	                                   "api.example.:443"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct world *w = w_new();
		struct w_stream *st =
			w_request(w, "GET", "/show", good[i], false, auth);

		w_run(w);
		assert_status(st, 200);
		assert_true(w_has(&st->body, VALUE));
		w_free(w);
	}
}

static void another_authority_is_421_on_its_stream_only(void **state)
{
	static const char *const bad[] = {"other.example",
	                                  HOST ":444",
	                                  HOST ":",
	                                  "user@" HOST,
	                                  HOST ":443:443",
	                                  "[::1]",
	                                  "1.2.3.4",
	                                  HOST "x",
	                                  "x" HOST,
	                                  "*.example",
	                                  HOST ":0443x",
	                                  "api.example..",
	                                  "xn--pi-xla.example",
	                                  "api%2eexample"};
	struct world *w = w_new();
	struct w_stream *st;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		st = w_request(w, "GET", "/show", bad[i], false, auth);
		w_run(w);
		assert_own(st, 421);
		st = w_get(w, "/show", auth);
		w_run(w);
		assert_status(st, 200);
	}
	for (size_t i = 0; i < W_STREAMS && w->server.v[i]; i++)
		assert_true(w_has(&w->server.v[i]->head, ":authority: " HOST));
	assert_int_equal(w->ended, 0);
	w_free(w);
}

static void host_must_be_the_authority(void **state)
{
	struct world *w = w_new();
	struct w_stream *a =
		w_get(w, "/show",
	              (const char *const[]){"host", "other.example", NULL});
	struct w_stream *b =
		w_get(w, "/show", (const char *const[]){"host", HOST, NULL});

	(void)state;
	w_run(w);
	assert_own(a, 421);
	assert_status(b, 200);
	w_free(w);
}

static void the_scheme_must_be_https(void **state)
{
	struct world *w = w_new();
	nghttp2_nv nv[] = {NV(":method", "GET"), NV(":scheme", "http"),
	                   NV(":path", "/show"), NV(":authority", HOST)};
	int32_t id =
		nghttp2_submit_request(w->client.s, NULL, nv, 4, NULL, NULL);

	(void)state;
	w_run(w);
	assert_own(w_stream(&w->client, id), 400);
	w_free(w);
}

static void connect_is_refused(void **state)
{
	struct world *w = w_new();
	nghttp2_nv nv[] = {NV(":method", "CONNECT"), NV(":authority", HOST)};
	int32_t id =
		nghttp2_submit_request(w->client.s, NULL, nv, 2, NULL, NULL);

	(void)state;
	w_run(w);
	assert_own(w_stream(&w->client, id), 403);
	assert_int_equal(w->notes, 1);
	assert_null(w->server.v[0]);
	w_free(w);
}

static void trace_gets_no_value(void **state)
{
	struct world *w = w_new();
	struct w_stream *a = w_request(w, "TRACE", "/show", HOST, false, auth);
	struct w_stream *b = w_request(w, "TRACE", "/show", HOST, false, NULL);

	(void)state;
	w_run(w);
	assert_own(a, 403);
	assert_status(b, 200);
	assert_null(w->server.v[1]);
	w_free(w);
}

static void a_head_of_64_kib_is_431(void **state)
{
	struct world *w = w_new();
	char *big = calloc(1, 17000);
	struct w_stream *a, *b;

	(void)state;
	memset(big, 'a', 16000);
	a = w_get(w, "/show",
	          (const char *const[]){"a", big, "b", big, "c", big, NULL});
	w_run(w);
	assert_status(a, 200);
	memset(big, 'a', 16500);
	a = w_get(w, "/show",
	          (const char *const[]){"a", big, "b", big, "c", big, "d", big,
	                                NULL});
	b = w_get(w, "/show", auth);
	w_run(w);
	assert_own(a, 431);
	assert_status(b, 200);
	free(big);
	w_free(w);
}

static void too_many_fields_are_431(void **state)
{
	struct world *w = w_new();
	nghttp2_nv nv[1200] = {NV(":method", "GET"), NV(":scheme", "https"),
	                       NV(":path", "/show"), NV(":authority", HOST)};
	int32_t id;

	(void)state;
	for (size_t i = 4; i < 1200; i++)
		nv[i] = (nghttp2_nv)NV("a", "b");
	id = nghttp2_submit_request(w->client.s, NULL, nv, 1024, NULL, NULL);
	w_run(w);
	assert_status(w_stream(&w->client, id), 200);
	id = nghttp2_submit_request(w->client.s, NULL, nv, 1025, NULL, NULL);
	w_run(w);
	assert_own(w_stream(&w->client, id), 431);
	w_free(w);
}

/* ---- violations ---------------------------------------------------------- */

static void a_violation_is_403_and_other_streams_go_on(void **state)
{
	struct world *w = w_new();
	struct w_stream *a =
		w_get(w, "/show", (const char *const[]){"x-key", OTHER, NULL});
	struct w_stream *b = w_request(
		w, "POST", "/echo", HOST, true,
		(const char *const[]){"x-key", "a " OTHER " b", NULL});
	struct w_stream *c = w_get(w, "/show", auth);

	(void)state;
	w_run(w);
	assert_own(a, 403);
	assert_own(b, 403);
	assert_true(b->closed && b->code == NGHTTP2_NO_ERROR);
	assert_status(c, 200);
	assert_int_equal(w->violations, 2);
	assert_null(w->server.v[1]); /* only one stream reached the server */
	w_free(w);
}

static void a_violation_in_a_body_resets_the_stream(void **state)
{
	struct world *w = w_new();
	struct w_stream *a = w_request(w, "POST", "/echo", HOST, true, NULL);
	struct w_stream *b = w_request(w, "POST", "/echo", HOST, true, NULL);

	(void)state;
	w_write(&w->client, a, "begin ", 6);
	w_run(w);
	post(w, a, OTHER);
	post(w, b, "fine");
	w_run(w);
	assert_true(a->closed && a->code == NGHTTP2_CANCEL);
	assert_true(w->server.v[0]->closed);
	assert_int_equal(w->server.v[0]->code, NGHTTP2_CANCEL);
	assert_status(b, 200);
	assert_string_equal(buf_str(&b->body), "fine");
	w_free(w);
}

static void a_placeholder_in_a_method_or_name_is_a_violation(void **state)
{
	static const struct w_secret s = {
		"OTHER",        "zzsecretzz",           "v",  "other.example",
		SECRET_HEADERS, SECRET_BLOCK_TERMINATE, false};
	struct world *w = w_new_with(&s, 1, false, NULL, 0);
	struct w_stream *a =
		w_request(w, "zzsecretzz", "/show", HOST, false, NULL);
	struct w_stream *b = w_get(
		w, "/show", (const char *const[]){"x-zzsecretzz", "1", NULL});

	(void)state;
	w_run(w);
	assert_own(a, 403);
	assert_own(b, 403);
	assert_int_equal(w->terminated, 2);
	w_free(w);
}

static void nothing_is_put_in_when_the_gate_is_closed(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct world *w = w_new();
		struct w_stream *st;

		w->gate.pinned = i != 0;
		w->gate.verified = i != 1;
		if (i == 2)
			w->gate.name[0] = '\0';
		st = w_get(w, "/show", auth);
		w_run(w);
		assert_own(st, 403);
		assert_int_equal(w->violations, 1);
		w_free(w);
	}
}

/* ---- bodies -------------------------------------------------------------- */

static void a_body_of_told_length_is_counted_again(void **state)
{
	static const char body[] = "{\"key\": \"" PLACEHOLDER "\"}";
	char length[60];
	struct world *w = w_new();
	struct w_stream *st;

	(void)state;
	(void)snprintf(length, sizeof(length), "%zu", sizeof(body) - 1);
	st = w_request(w, "POST", "/body", HOST, true,
	               (const char *const[]){"content-length", length,
	                                     "content-type", "application/json",
	                                     "z", "1", NULL});
	w_run(w);
	assert_null(w->server.v[0]); /* held */
	post(w, st, body);
	w_run(w);
	assert_status(st, 200);
	assert_string_equal(buf_str(&st->body), "{\"key\": \"" VALUE "\"}");
	(void)snprintf(length, sizeof(length), "content-length: %zu\nc",
	               sizeof(body) - 1 + strlen(VALUE) - strlen(PLACEHOLDER));
	assert_true(w_has(&w->server.v[0]->head, length));
	assert_int_equal(w->used, 1);
	w_free(w);
}

static void a_client_that_expects_100_gets_it_from_us_when_held(void **state)
{
	struct world *w = w_new();
	struct w_stream *st =
		w_request(w, "POST", "/body", HOST, true,
	                  (const char *const[]){"content-length", "4", "expect",
	                                        "100-continue", NULL});

	(void)state;
	w_run(w);
	assert_string_equal(buf_str(&st->early), "100\n");
	post(w, st, "abcd");
	w_run(w);
	assert_status(st, 200);
	assert_false(w_has(&w->server.v[0]->head, "expect"));
	assert_true(w_has(&w->server.v[0]->head, "content-length: 4\n"));
	w_free(w);
}

static void held_bodies_have_a_bound_and_are_refused_past_it(void **state)
{
	struct world *w = w_new();
	struct w_stream *st[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		st[i] = w_request(w, "POST", "/body", HOST, true,
		                  (const char *const[]){"content-length",
		                                        "16777216", NULL});
	w_run(w);
	assert_false(st[0]->closed || st[1]->closed);
	assert_true(st[2]->closed);
	assert_int_equal(st[2]->code, NGHTTP2_REFUSED_STREAM);
	(void)nghttp2_submit_rst_stream(w->client.s, 0, st[0]->id,
	                                NGHTTP2_CANCEL);
	st[2] = w_request(
		w, "POST", "/body", HOST, true,
		(const char *const[]){"content-length", "16777216", NULL});
	w_run(w);
	assert_false(st[2]->closed);
	w_free(w);
}

static void all_connections_together_hold_a_bounded_amount(void **state)
{
	struct world *w[9];
	struct w_stream *st = NULL;

	(void)state;
	for (int i = 0; i < 9; i++) {
		w[i] = w_new();
		for (int k = 0; k < 2; k++)
			st = w_request(w[i], "POST", "/body", HOST, true,
			               (const char *const[]){"content-length",
			                                     "16777216", NULL});
		w_run(w[i]);
		assert_int_equal(st->closed, i == 8);
	}
	assert_int_equal(st->code, NGHTTP2_REFUSED_STREAM);
	w_free(w[0]);
	st = w_request(
		w[8], "POST", "/body", HOST, true,
		(const char *const[]){"content-length", "16777216", NULL});
	w_run(w[8]);
	assert_false(st->closed);
	for (int i = 1; i < 9; i++)
		w_free(w[i]);
}

static void sixteen_mib_are_held_and_counted(void **state)
{
	const size_t n = 16 << 20;
	struct world *w = w_new();
	struct w_stream *st;
	char *body = malloc(n + 1);

	(void)state;
	memset(body, 'x', n);
	body[n] = '\0';
	memcpy(body + n / 2 - 5, PLACEHOLDER, strlen(PLACEHOLDER));
	st = w_request(
		w, "POST", "/body", HOST, true,
		(const char *const[]){"content-length", "16777216", NULL});
	post(w, st, body);
	w_run(w);
	assert_status(st, 200);
	assert_int_equal(st->body.len, n - strlen(PLACEHOLDER) + strlen(VALUE));
	assert_memory_equal(st->body.data + n / 2 - 5, VALUE, strlen(VALUE));
	free(body);
	w_free(w);
}

static void a_body_without_length_is_streamed(void **state)
{
	struct world *w = w_new();
	struct w_stream *st = w_request(w, "POST", "/echo", HOST, true, NULL);

	(void)state;
	w_write(&w->client, st, "one ", 4);
	w_run(w);
	assert_string_equal(buf_str(&st->body), "one ");
	w_write(&w->client, st, "two MSB_0123456789abcdef", 24);
	w_run(w);
	assert_string_equal(buf_str(&st->body), "one two ");
	w_write(&w->client, st, "0123456789abcdef three", 22);
	w_run(w);
	assert_string_equal(buf_str(&st->body), "one two " VALUE " three");
	w_end_stream(&w->client, st);
	w_run(w);
	assert_true(st->closed && st->code == 0);
	w_free(w);
}

static void a_placeholder_may_be_split_over_any_frames(void **state)
{
	static const char text[] = "<" PLACEHOLDER ">";

	(void)state;
	for (size_t at = 1; at < sizeof(text) - 1; at++) {
		struct world *w = w_new();
		struct w_stream *st =
			w_request(w, "POST", "/body", HOST, true, NULL);

		w_write(&w->client, st, text, at);
		w_run(w);
		w_write(&w->client, st, text + at, sizeof(text) - 1 - at);
		w_end_stream(&w->client, st);
		w_run(w);
		assert_string_equal(buf_str(&st->body), "<" VALUE ">");
		w_free(w);
	}
}

static void trailers_of_a_request_are_substituted(void **state)
{
	struct world *w = w_new();
	struct w_stream *st = w_request(w, "POST", "/show", HOST, true, NULL);

	(void)state;
	st->out_trailers = true;
	post(w, st, "body");
	w_run(w);
	assert_status(st, 200);
	assert_true(w_has(&st->body, "grpc-status: 0\nx-trailer: " VALUE));
	w_free(w);
}

static void early_answers_pass_and_the_rest_is_refused(void **state)
{
	struct world *w = w_new();
	struct w_stream *st = w_request(w, "POST", "/early", HOST, true, NULL);

	(void)state;
	w_write(&w->client, st, "x", 1);
	w_run(w);
	assert_status(st, 200);
	assert_string_equal(buf_str(&st->body), "early");
	assert_true(st->ended && !st->closed);
	(void)nghttp2_submit_rst_stream(w->server.s, 0, 1, NGHTTP2_NO_ERROR);
	w_run(w);
	assert_true(st->closed && st->code == NGHTTP2_NO_ERROR);
	w_free(w);
}

/* ---- answers ------------------------------------------------------------- */

static void informational_answers_pass(void **state)
{
	struct world *w = w_new();
	struct w_stream *a = w_get(w, "/hints", NULL);
	struct w_stream *b = w_request(
		w, "POST", "/continue", HOST, true,
		(const char *const[]){"expect", "100-continue", NULL});

	(void)state;
	w_run(w);
	assert_string_equal(buf_str(&a->early), "103\n");
	assert_status(a, 200);
	assert_string_equal(buf_str(&b->early), "100\n");
	assert_false(b->ended);
	post(w, b, "x");
	w_run(w);
	assert_status(b, 200);
	w_free(w);
}

static void head_and_empty_answers_pass(void **state)
{
	struct world *w = w_new();
	struct w_stream *a = w_request(w, "HEAD", "/head", HOST, false, NULL);
	struct w_stream *b = w_get(w, "/empty", NULL);

	(void)state;
	w_run(w);
	assert_status(a, 200);
	assert_true(a->ended && w_has(&a->head, "content-length: 1234"));
	assert_status(b, 204);
	assert_true(b->ended);
	w_free(w);
}

static void events_are_not_held_back(void **state)
{
	struct world *w = w_new();
	struct w_stream *st = w_get(w, "/events", NULL);

	(void)state;
	w_run(w);
	for (int i = 0; i < 5; i++) {
		size_t before = st->body.len;

		w_write(&w->server, w->server.v[0], "data: x\n\n", 9);
		w_run(w);
		assert_int_equal(st->body.len, before + 9);
	}
	w_free(w);
}

static void resets_keep_their_code_both_ways(void **state)
{
	struct world *w = w_new();
	struct w_stream *a = w_get(w, "/reset", NULL);
	struct w_stream *b = w_get(w, "/hang", NULL);

	(void)state;
	w_run(w);
	assert_true(a->closed);
	assert_int_equal(a->code, NGHTTP2_ENHANCE_YOUR_CALM);
	(void)nghttp2_submit_rst_stream(w->client.s, 0, b->id,
	                                NGHTTP2_INTERNAL_ERROR);
	w_run(w);
	assert_true(w->server.v[1]->closed);
	assert_int_equal(w->server.v[1]->code, NGHTTP2_INTERNAL_ERROR);
	w_free(w);
}

static void a_reset_comes_behind_the_data(void **state)
{
	struct world *w = w_new();
	struct w_stream *st = w_get(w, "/events", NULL);

	(void)state;
	w_run(w);
	w->client.no_consume = true;
	for (int i = 0; i < 40000; i++)
		w_write(&w->server, w->server.v[0], "0123456789", 10);
	w_run(w);
	(void)nghttp2_submit_rst_stream(w->server.s, 0, 1, NGHTTP2_CANCEL);
	w_run(w);
	assert_false(st->closed);
	w->client.no_consume = false;
	(void)nghttp2_session_consume(w->client.s, 1, w->client.received);
	w_run(w);
	assert_true(st->closed && st->code == NGHTTP2_CANCEL);
	assert_int_equal(st->body.len, 400009);
	w_free(w);
}

static const struct w_secret masked[] = {
	{"KEY", PLACEHOLDER, VALUE, HOST, SECRET_HEADERS, SECRET_BLOCK_LOG,
         true},
};

static void answers_are_masked(void **state)
{
	struct world *w = w_new_with(masked, 1, false, NULL, 0);
	struct w_stream *st = w_get(
		w, "/leak",
		(const char *const[]){"accept-encoding", "gzip, br", "range",
	                              "bytes=1-2", "z", "1", NULL});

	(void)state;
	w->cut = 1;
	w_run(w);
	assert_status(st, 200);
	assert_string_equal(buf_str(&st->body),
	                    "the value is " PLACEHOLDER ", yes");
	assert_true(w_has(&st->head, "x-value: " PLACEHOLDER));
	assert_true(w_has(&w->server.v[0]->head,
	                  "accept-encoding: identity\nz: 1\n"));
	assert_false(w_has(&w->server.v[0]->head, "range"));
	w_free(w);
}

static void an_answer_encoded_all_the_same_passes_with_a_line(void **state)
{
	struct world *w = w_new_with(masked, 1, false, NULL, 0);
	struct w_stream *a = w_get(w, "/packed", NULL);
	struct w_stream *b = w_get(w, "/packed", NULL);

	(void)state;
	w_run(w);
	assert_string_equal(buf_str(&a->body), VALUE);
	assert_status(b, 200);
	assert_true(w->notes >= 1);
	assert_true(
		w_has(&w->server.v[0]->head, "accept-encoding: identity\n"));
	w_free(w);
}

/* ---- streams and windows ------------------------------------------------- */

static void many_streams_go_at_once(void **state)
{
	struct world *w = w_new();
	struct w_stream *st[100];

	(void)state;
	for (int i = 0; i < 100; i++) {
		st[i] = w_get(w, "/big300000", auth);
		st[i]->counts = true;
	}
	w_run(w);
	for (int i = 0; i < 100; i++) {
		assert_status(st[i], 200);
		assert_int_equal(st[i]->counted, 300000);
		assert_true(st[i]->closed && st[i]->code == 0);
	}
	w_free(w);
}

static void a_body_of_64_mib_passes_each_way(void **state)
{
	struct world *w = w_new();
	struct w_stream *a = w_get(w, "/big67108864", NULL);
	struct w_stream *b = w_request(w, "POST", "/count", HOST, true, NULL);

	(void)state;
	a->counts = true;
	b->pattern = 64 << 20;
	w_run(w);
	assert_int_equal(a->counted, 64 << 20);
	assert_string_equal(buf_str(&b->body), "67108864");
	assert_true(w->most_out[SIDE_GUEST] <= RELAY_HIGH + 20000);
	assert_true(w->most_out[SIDE_SERVER] <= RELAY_HIGH + 20000);
	w_free(w);
}

/* What one does not read, the other cannot send without end. */
static void windows_of_both_sides_are_one(void **state)
{
	struct world *w = w_new();
	struct w_stream *a = w_get(w, "/big67108864", NULL);
	struct w_stream *b = w_request(w, "POST", "/count", HOST, true, NULL);

	(void)state;
	w->client.no_consume = w->server.no_consume = true;
	a->counts = true;
	b->pattern = 64 << 20;
	w_run(w);
	assert_true(w->server.v[0]->pattern_at < 3 << 20);
	assert_true(b->pattern_at < 2 << 20);
	w->client.no_consume = w->server.no_consume = false;
	(void)nghttp2_session_consume(w->client.s, a->id, a->counted);
	(void)nghttp2_session_consume(w->server.s, 3, w->server.v[1]->counted);
	w_run(w);
	assert_int_equal(a->counted, 64 << 20);
	assert_string_equal(buf_str(&b->body), "67108864");
	w_free(w);
}

/* Bytes of streams that were broken off give their window back. */
static void broken_streams_leave_the_connection_its_window(void **state)
{
	struct world *w = w_new();
	struct w_stream *st;

	(void)state;
	for (int i = 0; i < 60; i++) {
		st = w_get(w, "/big67108864", NULL);
		st->counts = true;
		w->client.no_consume = true;
		w_run(w);
		(void)nghttp2_submit_rst_stream(w->client.s, 0, st->id,
		                                NGHTTP2_CANCEL);
		(void)nghttp2_session_consume(w->client.s, st->id, st->counted);
		st = w_request(w, "POST", "/hang", HOST, true, NULL);
		st->pattern = 1 << 20;
		w->server.no_consume = true;
		w_run(w);
		(void)nghttp2_submit_rst_stream(w->client.s, 0, st->id,
		                                NGHTTP2_CANCEL);
		w_run(w);
		(void)nghttp2_session_consume_connection(
			w->server.s,
			(size_t)nghttp2_session_get_effective_recv_data_length(
				w->server.s));
	}
	w->client.no_consume = w->server.no_consume = false;
	w_run(w);
	st = w_get(w, "/big3000000", NULL);
	st->counts = true;
	w_run(w);
	assert_int_equal(st->counted, 3000000);
	st = w_request(w, "POST", "/count", HOST, true, NULL);
	st->pattern = 3000000;
	w_run(w);
	assert_string_equal(buf_str(&st->body), "3000000");
	w_free(w);
}

static void streams_beyond_the_servers_number_wait(void **state)
{
	static const nghttp2_settings_entry iv = {
		NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2};
	struct world *w = w_new_with(w_usual, 2, false, &iv, 1);
	struct w_stream *st[6];

	(void)state;
	st[0] = w_get(w, "/hang", NULL);
	w_run(w);
	for (int i = 1; i < 6; i++)
		st[i] = w_get(w, i < 3 ? "/hang" : "/show", NULL);
	w_run(w);
	assert_null(w->server.v[2]);
	(void)nghttp2_submit_rst_stream(w->client.s, 0, st[3]->id,
	                                NGHTTP2_CANCEL);
	(void)nghttp2_submit_rst_stream(w->client.s, 0, st[0]->id,
	                                NGHTTP2_CANCEL);
	(void)nghttp2_submit_rst_stream(w->client.s, 0, st[1]->id,
	                                NGHTTP2_CANCEL);
	w_run(w);
	assert_status(st[4], 200);
	assert_status(st[5], 200);
	assert_false(st[2]->closed);
	assert_null(w->server.v[5]); /* the one that gave up never came */
	w_free(w);
}

/* ---- ends ---------------------------------------------------------------- */

static void goaway_of_the_server_lets_answers_end(void **state)
{
	struct world *w = w_new();
	struct w_stream *a = w_get(w, "/events", NULL);
	struct w_stream *b;

	(void)state;
	w_run(w);
	b = w_get(w, "/away", NULL);
	w_run(w);
	assert_status(b, 200);
	assert_string_equal(buf_str(&b->body), "last");
	assert_true(w->client.went_away && w->client.goaway == 0);
	assert_int_equal(w->ended, 0);
	w_write(&w->server, w->server.v[0], "tail", 4);
	w_end_stream(&w->server, w->server.v[0]);
	w_run(w);
	assert_true(a->closed && a->code == 0);
	assert_int_equal(a->body.len, 13);
	assert_int_equal(w->ended, -ESHUTDOWN);
	w_free(w);
}

static void goaway_refuses_what_the_server_did_not_begin(void **state)
{
	struct world *w = w_new();
	struct w_stream *a = w_get(w, "/hang", NULL);
	struct w_stream *b = w_get(w, "/hang", NULL);

	(void)state;
	w_run(w);
	(void)nghttp2_submit_goaway(w->server.s, 0, 1,
	                            NGHTTP2_ENHANCE_YOUR_CALM, NULL, 0);
	w_run(w);
	assert_true(b->closed);
	assert_int_equal(b->code, NGHTTP2_REFUSED_STREAM);
	assert_false(a->closed);
	assert_int_equal(w->client.goaway, NGHTTP2_ENHANCE_YOUR_CALM);
	w_free(w);
}

/* More of them than the server takes at once: none may keep its place. */
static void requests_that_are_taken_back_at_once_cost_no_place(void **state)
{
	static const nghttp2_settings_entry iv = {
		NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 10};
	struct world *w = w_new_with(w_usual, 2, false, &iv, 1);
	struct w_stream *st;

	(void)state;
	w_run(w);
	for (int i = 0; i < 50; i++) {
		cleanup_buf struct buf both = BUF_INIT;
		const uint8_t *p;
		ssize_t n;

		st = w_get(w, "/hang", NULL);
		n = nghttp2_session_mem_send(w->client.s, &p);
		assert_int_equal(buf_add(&both, p, (size_t)n), 0);
		(void)nghttp2_submit_rst_stream(w->client.s, 0, st->id,
		                                NGHTTP2_CANCEL);
		n = nghttp2_session_mem_send(w->client.s, &p);
		assert_int_equal(buf_add(&both, p, (size_t)n), 0);
		w_put(w, SIDE_GUEST, both.data, both.len);
	}
	w_run(w);
	st = w_get(w, "/", NULL);
	w_run(w);
	assert_status(st, 200);
	w_free(w);
}

static void goaway_of_the_guest_lets_answers_end(void **state)
{
	struct world *w = w_new();
	struct w_stream *st = w_get(w, "/events", NULL);

	(void)state;
	w_run(w);
	(void)nghttp2_submit_goaway(w->client.s, 0, 0, 0, NULL, 0);
	w_run(w);
	assert_int_equal(w->ended, 0);
	w_end_stream(&w->server, w->server.v[0]);
	w_run(w);
	assert_true(st->closed && st->code == 0);
	assert_int_equal(w->ended, -ESHUTDOWN);
	assert_true(w->server.went_away);
	w_free(w);
}

static void the_servers_end_delivers_what_came(void **state)
{
	struct world *w = w_new();
	struct w_stream *a = w_get(w, "/events", NULL);
	struct w_stream *b;

	(void)state;
	w_run(w);
	b = w_get(w, "/big500000", NULL);
	b->counts = true;
	w->client.no_consume = true;
	w_run(w);
	assert_int_equal(w->r->ops->eof(w->r, SIDE_SERVER), 1);
	w_run(w);
	assert_int_equal(w->ended, 0);
	w->client.no_consume = false;
	(void)nghttp2_session_consume(w->client.s, b->id, b->counted);
	w_run(w);
	assert_int_equal(b->counted, 500000);
	assert_true(b->closed && b->code == 0);
	assert_true(a->closed && a->code == NGHTTP2_INTERNAL_ERROR);
	assert_int_equal(w->ended, -ESHUTDOWN);
	w_free(w);
}

static void the_guests_end_gets_its_answers(void **state)
{
	struct world *w = w_new();
	struct w_stream *a = w_get(w, "/events", NULL);
	struct w_stream *b = w_request(w, "POST", "/echo", HOST, true, NULL);

	(void)state;
	w_run(w);
	assert_int_equal(w->r->ops->eof(w->r, SIDE_GUEST), 1);
	w_run(w);
	assert_true(w->server.v[1]->closed);
	assert_int_equal(w->server.v[1]->code, NGHTTP2_CANCEL);
	w_end_stream(&w->server, w->server.v[0]);
	w_run(w);
	assert_true(a->ended);
	assert_int_equal(w->ended, -ESHUTDOWN);
	(void)b;
	w_free(w);
}

static void an_end_without_streams_is_one_at_once(void **state)
{
	struct world *w = w_new();

	(void)state;
	w_run(w);
	assert_int_equal(w->r->ops->eof(w->r, SIDE_GUEST), -ESHUTDOWN);
	w_free(w);
	w = w_new();
	w_run(w);
	assert_int_equal(w->r->ops->eof(w->r, SIDE_SERVER), -ESHUTDOWN);
	w_free(w);
}

/* ---- tunnels ------------------------------------------------------------- */

static int32_t open_tunnel(struct world *w, const char *protocol)
{
	nghttp2_nv nv[] = {NV(":method", "CONNECT"), NV(":protocol", protocol),
	                   NV(":scheme", "https"), NV(":path", "/tunnel"),
	                   NV(":authority", HOST)};
	struct w_stream *st = w_stream(
		&w->client, nghttp2_session_get_next_stream_id(w->client.s));
	nghttp2_data_provider p = {.source.ptr = st, .read_callback = w_read};

	return nghttp2_submit_request(w->client.s, NULL, nv, 5, &p, NULL);
}

static void websockets_pass_and_are_searched(void **state)
{
	static const nghttp2_settings_entry iv = {
		NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};
	struct world *w = w_new_with(w_usual, 2, false, &iv, 1);
	struct w_stream *st, *other;

	(void)state;
	w_run(w);
	assert_int_equal(
		nghttp2_session_get_remote_settings(
			w->client.s, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL),
		1);
	st = w_stream(&w->client, open_tunnel(w, "websocket"));
	other = w_stream(&w->client, open_tunnel(w, "connect-udp"));
	w_run(w);
	assert_status(st, 200);
	assert_own(other, 403);
	w_write(&w->client, st, "ping", 4);
	w_run(w);
	assert_string_equal(buf_str(&st->body), "ping");
	w_write(&w->client, st, PLACEHOLDER, strlen(PLACEHOLDER));
	w_run(w);
	assert_true(st->closed && st->code == NGHTTP2_CANCEL);
	assert_int_equal(w->violations, 1);
	assert_false(w_has(&w->server.v[0]->body, "MSB_"));
	w_free(w);
}

static struct world *tunnel_world(const struct w_secret *v, unsigned n)
{
	static const nghttp2_settings_entry iv = {
		NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};
	struct world *w = w_new_with(v, n, false, &iv, 1);

	w_run(w);
	return w;
}

static void one_that_may_pass_through_a_tunnel_hides_no_other(void **state)
{
	static const struct w_secret two[] = {
		{"MAY", "MSB_may-pass", VALUE, HOST, SECRET_HEADERS,
	         SECRET_PASS,      false},
		{"KEY", PLACEHOLDER,    VALUE, HOST, SECRET_HEADERS,
	         SECRET_BLOCK_LOG, false},
	};
	struct world *w = tunnel_world(two, 2);
	struct w_stream *st = w_stream(&w->client, open_tunnel(w, "websocket"));

	(void)state;
	w_run(w);
	assert_status(st, 200);
	w_write(&w->client, st, "MSB_may-pass" PLACEHOLDER,
	        strlen("MSB_may-pass" PLACEHOLDER));
	w_run(w);
	assert_true(st->closed);
	assert_false(w_has(&w->server.v[0]->body, "MSB_"));
	w_free(w);
}

static void the_head_of_a_tunnels_answer_is_masked(void **state)
{
	struct world *w = tunnel_world(masked, 1);
	struct w_stream *st = w_stream(&w->client, open_tunnel(w, "websocket"));

	(void)state;
	w_run(w);
	assert_status(st, 200);
	assert_true(w_has(&st->head, "x-value: " PLACEHOLDER));
	assert_false(w_has(&st->head, VALUE));
	w_write(&w->client, st, "ping", 4);
	w_run(w);
	assert_string_equal(buf_str(&st->body), "ping");
	w_free(w);
}

static void websockets_need_the_servers_word(void **state)
{
	struct world *w = w_new();
	struct w_stream *st;

	(void)state;
	w_run(w);
	st = w_stream(&w->client, open_tunnel(w, "websocket"));
	w_run(w);
	assert_true(st->closed);
	assert_int_equal(st->code, NGHTTP2_PROTOCOL_ERROR);
	assert_null(w->server.v[0]);
	w_free(w);
}

/* ---- secrets that change ------------------------------------------------- */

static void a_rotation_counts_from_the_next_request(void **state)
{
	static const struct w_secret next = {"KEY",
	                                     PLACEHOLDER,
	                                     "next-value",
	                                     HOST,
	                                     SECRET_HEADERS | SECRET_BODY,
	                                     SECRET_BLOCK_LOG,
	                                     false};
	struct world *w = w_new();
	struct secrets *old = w->secrets;
	struct w_stream *a = w_request(w, "POST", "/echo", HOST, true, auth);
	struct w_stream *b;

	(void)state;
	w_run(w);
	w->secrets = secrets_new();
	w_add_secret(w, &next);
	assert_int_equal(secrets_seal(w->secrets), 0);
	secrets_unref(old);
	post(w, a, PLACEHOLDER);
	b = w_get(w, "/show", auth);
	w_run(w);
	assert_string_equal(buf_str(&a->body), VALUE);
	assert_true(w_has(&b->body, "Bearer next-value\n"));
	w_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_is_put_into_a_header),
		cmocka_unit_test(any_cut_of_bytes_gives_the_same),
		cmocka_unit_test(a_body_of_two_codings_is_as_it_was),
		cmocka_unit_test(headers_keep_their_order),
		cmocka_unit_test(a_placeholder_split_over_crumbs_is_none),
		cmocka_unit_test(
			names_of_the_gate_are_taken_in_all_their_forms),
		cmocka_unit_test(another_authority_is_421_on_its_stream_only),
		cmocka_unit_test(host_must_be_the_authority),
		cmocka_unit_test(the_scheme_must_be_https),
		cmocka_unit_test(connect_is_refused),
		cmocka_unit_test(trace_gets_no_value),
		cmocka_unit_test(a_head_of_64_kib_is_431),
		cmocka_unit_test(too_many_fields_are_431),
		cmocka_unit_test(a_violation_is_403_and_other_streams_go_on),
		cmocka_unit_test(a_violation_in_a_body_resets_the_stream),
		cmocka_unit_test(
			a_placeholder_in_a_method_or_name_is_a_violation),
		cmocka_unit_test(nothing_is_put_in_when_the_gate_is_closed),
		cmocka_unit_test(a_body_of_told_length_is_counted_again),
		cmocka_unit_test(
			a_client_that_expects_100_gets_it_from_us_when_held),
		cmocka_unit_test(
			held_bodies_have_a_bound_and_are_refused_past_it),
		cmocka_unit_test(
			all_connections_together_hold_a_bounded_amount),
		cmocka_unit_test(sixteen_mib_are_held_and_counted),
		cmocka_unit_test(a_body_without_length_is_streamed),
		cmocka_unit_test(a_placeholder_may_be_split_over_any_frames),
		cmocka_unit_test(trailers_of_a_request_are_substituted),
		cmocka_unit_test(early_answers_pass_and_the_rest_is_refused),
		cmocka_unit_test(informational_answers_pass),
		cmocka_unit_test(head_and_empty_answers_pass),
		cmocka_unit_test(events_are_not_held_back),
		cmocka_unit_test(resets_keep_their_code_both_ways),
		cmocka_unit_test(a_reset_comes_behind_the_data),
		cmocka_unit_test(answers_are_masked),
		cmocka_unit_test(
			an_answer_encoded_all_the_same_passes_with_a_line),
		cmocka_unit_test(many_streams_go_at_once),
		cmocka_unit_test(a_body_of_64_mib_passes_each_way),
		cmocka_unit_test(windows_of_both_sides_are_one),
		cmocka_unit_test(
			broken_streams_leave_the_connection_its_window),
		cmocka_unit_test(streams_beyond_the_servers_number_wait),
		cmocka_unit_test(goaway_of_the_server_lets_answers_end),
		cmocka_unit_test(goaway_refuses_what_the_server_did_not_begin),
		cmocka_unit_test(
			requests_that_are_taken_back_at_once_cost_no_place),
		cmocka_unit_test(goaway_of_the_guest_lets_answers_end),
		cmocka_unit_test(the_servers_end_delivers_what_came),
		cmocka_unit_test(the_guests_end_gets_its_answers),
		cmocka_unit_test(an_end_without_streams_is_one_at_once),
		cmocka_unit_test(websockets_pass_and_are_searched),
		cmocka_unit_test(
			one_that_may_pass_through_a_tunnel_hides_no_other),
		cmocka_unit_test(the_head_of_a_tunnels_answer_is_masked),
		cmocka_unit_test(websockets_need_the_servers_word),
		cmocka_unit_test(a_rotation_counts_from_the_next_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
