/* Values in every place, and bodies by each way to say where they end. */
#include "h1_world.h"

#include "base/banned.h"

#define HOST_LINE "Host: api.example\r\n"
#define POST_LINE "POST / HTTP/1.1\r\n" HOST_LINE
#define GET       "GET / HTTP/1.1\r\n" HOST_LINE "\r\n"
#define OK        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define CHUNKED   "Transfer-Encoding: chunked\r\n"

static void check_cuts(unsigned flags, const struct move *moves,
                       const char *server, const char *guest, int end)
{
	const struct want want = {
		.server = server, .guest = guest, .end = end, .dechunk = true};

	check_want(flags, moves, &want);
}

/* ---- heads --------------------------------------------------------------- */

static void values_are_put_into_headers(void **state)
{
	const struct move moves[] = {
		G("GET /a HTTP/1.1\r\n" HOST_LINE "Authorization:  Bearer " KEY
	          " \r\nX:" KEY "," KEY "\r\ny: z\r\n\r\n" GET),
		END};

	(void)state;
	check(0, moves,
	      "GET /a HTTP/1.1\r\n" HOST_LINE "Authorization:  Bearer " VALUE
	      " \r\nX:" VALUE "," VALUE "\r\ny: z\r\n\r\n" GET,
	      "", 0);
}

static void values_are_put_into_basic(void **state)
{
	/* user:MSB_0123456789abcdef0123456789abcdef */
	const struct move moves[] = {
		G("GET / HTTP/1.1\r\n" HOST_LINE "Authorization: Basic "
	          "dXNlcjpNU0JfMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	          "\r\n\r\n"),
		END};

	(void)state;
	check(0, moves,
	      "GET / HTTP/1.1\r\n" HOST_LINE "Authorization: Basic "
	      "dXNlcjpzay10aGUtcmVhbC12YWx1ZQ==\r\n\r\n",
	      "", 0);
}

static void values_are_put_into_queries_by_option(void **state)
{
	const struct move moves[] = {
		G("GET /a?key=" KEY "&x=%20 HTTP/1.1\r\n" HOST_LINE "\r\n"),
		END};

	(void)state;
	check(W_QUERY, moves,
	      "GET /a?key=" VALUE "&x=%20 HTTP/1.1\r\n" HOST_LINE "\r\n", "",
	      0);
	check(0, moves,
	      "GET /a?key=" KEY "&x=%20 HTTP/1.1\r\n" HOST_LINE "\r\n", "", 0);
}

static void a_placeholder_of_another_host_is_refused(void **state)
{
	static const char *const texts[] = {
		"GET / HTTP/1.1\r\n" HOST_LINE "X: " OTHER "\r\n\r\n",
		"GET /" OTHER " HTTP/1.1\r\n" HOST_LINE "\r\n",
		"GET /?" OTHER " HTTP/1.1\r\n" HOST_LINE "\r\n",
		"GET / HTTP/1.1\r\n" HOST_LINE OTHER ": x\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST_LINE "Cookie: a=" OTHER "\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST_LINE "Upgrade: h2c, " OTHER
		"\r\n\r\n",
	};
	struct want want = {.end = -ESHUTDOWN, .server = ""};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const struct move moves[] = {G(texts[i]), END};

		check_refused(0, moves, "403");
		want.said = "OTHER";
		check_want(0, moves, &want);
	}
}

static void no_value_goes_to_a_server_that_is_not_verified(void **state)
{
	const struct move moves[] = {
		G("GET / HTTP/1.1\r\n" HOST_LINE "X: " KEY "\r\n\r\n"), END};

	(void)state;
	check_refused(W_UNVERIFIED, moves, "403");
}

/* HTTP/1.0 may come without Host: then nobody knows for whom it is. */
static void no_value_goes_without_a_host(void **state)
{
	const struct move moves[] = {G("GET / HTTP/1.0\r\nX: " KEY "\r\n\r\n"),
	                             END};

	(void)state;
	check_refused(0, moves, "403");
}

static void each_request_is_checked_anew(void **state)
{
	const struct move moves[] = {
		G("GET / HTTP/1.1\r\n" HOST_LINE "X: " KEY "\r\n\r\n"), S(OK),
		G("GET / HTTP/1.1\r\nHost: evil.example\r\nX: " KEY "\r\n\r\n"),
		END};
	struct want want = {.server = "GET / HTTP/1.1\r\n" HOST_LINE "X: " VALUE
	                              "\r\n\r\n",
	                    .end = -ESHUTDOWN};

	(void)state;
	check_want(0, moves, &want);
}

static void a_request_keeps_the_values_it_began_with(void **state)
{
	struct world w;
	const char first[] = POST_LINE CHUNKED "\r\n",
		   chunk[] = "24\r\n" KEY "\r\n", last[] = "0\r\n\r\n";
	char *text;

	(void)state;
	world_open(&w, W_BODY);
	give(&w, SIDE_GUEST, first, strlen(first), 0);
	secrets_unref(w.secrets);
	w.secrets = make_secrets(W_BODY, "another");
	give(&w, SIDE_GUEST, chunk, strlen(chunk), 0);
	give(&w, SIDE_GUEST, last, strlen(last), 0);
	give(&w, SIDE_GUEST, first, strlen(first), 0);
	give(&w, SIDE_GUEST, chunk, strlen(chunk), 0);
	give(&w, SIDE_GUEST, last, strlen(last), 0);
	text = dechunked(&w.got[SIDE_SERVER]);
	assert_string_equal(text, POST_LINE CHUNKED "\r\n{" VALUE
	                                            "}" POST_LINE CHUNKED
	                                            "\r\n{another}");
	free(text);
	assert_int_equal(w.used, 2);
	world_close(&w);
}

static void trace_does_not_send_a_value_back(void **state)
{
	const struct move with[] = {
		G("TRACE / HTTP/1.1\r\n" HOST_LINE "X: " KEY "\r\n\r\n"), END};
	const struct move without[] = {
		G("TRACE / HTTP/1.1\r\n" HOST_LINE "\r\n"), END};

	(void)state;
	check_refused(0, with, "403");
	check(0, without, "TRACE / HTTP/1.1\r\n" HOST_LINE "\r\n", "", 0);
}

/* Whoever chooses a placeholder may choose any text. */
static void what_frames_a_request_is_no_place_for_values(void **state)
{
	const char text[] = "POST / HTTP/1.1\r\n" HOST_LINE
			    "Content-Length: 1234\r\nX: 1234\r\n\r\n";
	struct world w;

	(void)state;
	world_open(&w, W_NONE);
	secrets_unref(w.secrets);
	w.secrets = secrets_new();
	add_secret(w.secrets, "NUMBER", "1234", "5", HOST, SECRET_HEADERS,
	           false);
	add_secret(w.secrets, "NAME", HOST, "evil.example", HOST,
	           SECRET_HEADERS, false);
	assert_int_equal(secrets_seal(w.secrets), 0);
	give(&w, SIDE_GUEST, text, strlen(text), 0);
	assert_string_equal(buf_str(&w.got[SIDE_SERVER]),
	                    "POST / HTTP/1.1\r\n" HOST_LINE
	                    "Content-Length: 1234\r\nX: 5\r\n\r\n");
	world_close(&w);
}

/* ---- Content-Length ------------------------------------------------------ */

static void a_length_is_told_anew(void **state)
{
	const struct move longer[] = {
		G("POST / HTTP/1.1\r\nA: b\r\ncontent-LENGTH:  76\r\n" HOST_LINE
	          "\r\n" KEY " " KEY "<x>" GET),
		END};
	const struct move shorter[] = {
		G(POST_LINE "Content-Length:73\r\n\r\n" KEY " " KEY GET), END};
	const struct move none[] = {
		G(POST_LINE "Content-Length:5\r\n\r\nMSB_x" GET), END};

	(void)state;
	check(W_BODY, shorter,
	      POST_LINE "Content-Length: 35\r\n\r\n" VALUE " " VALUE GET, "",
	      0);
	check(W_BODY, none, POST_LINE "Content-Length:5\r\n\r\nMSB_x" GET, "",
	      0);
	check(0, none, POST_LINE "Content-Length:5\r\n\r\nMSB_x" GET, "", 0);
	check(W_BODY, longer,
	      "POST / HTTP/1.1\r\nA: b\r\ncontent-LENGTH: 38\r\n" HOST_LINE
	      "\r\n" VALUE " " VALUE "<x>" GET,
	      "", 0);
}

static void a_body_is_not_touched_without_the_option(void **state)
{
	const struct move moves[] = {
		G(POST_LINE "Content-Length: 38\r\n\r\n[" KEY "]" GET), END};

	(void)state;
	check(0, moves, POST_LINE "Content-Length: 38\r\n\r\n[" KEY "]" GET, "",
	      0);
}

static void a_violation_in_a_held_body_is_refused_whole(void **state)
{
	const struct move moves[] = {
		G(POST_LINE "Content-Length: 40\r\n\r\n" OTHER "    " GET),
		END};

	(void)state;
	check_refused(W_BODY, moves, "403");
}

static void a_violation_in_a_body_on_its_way_cuts_it(void **state)
{
	const struct move moves[] = {
		G(POST_LINE "Content-Length: 40\r\n\r\n" OTHER "    " GET),
		END};
	const struct move chunked[] = {
		G(POST_LINE CHUNKED "\r\n24\r\n" OTHER "\r\n0\r\n\r\n" GET),
		END};
	struct world w;

	(void)state;
	check(0, moves, NULL, "", -ECONNABORTED);
	check(0, chunked, NULL, "", -ECONNABORTED);
	check(W_BODY, chunked, NULL, "", -ECONNABORTED);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		world_open(&w, 0);
		play(&w, chunked, steps[i]);
		assert_null(strstr(buf_str(&w.got[SIDE_SERVER]), OTHER));
		assert_int_equal(w.violations, 1);
		world_close(&w);
	}
}

static void a_large_body_is_streamed(void **state)
{
	struct world w;
	char head[256], block[RELAY_CHUNK];
	size_t total = (16u << 20) + 1, sent = 0;

	(void)state;
	memset(block, 'x', sizeof(block));
	memcpy(block + 5000, SAME, strlen(SAME));
	world_open(&w, W_BODY | W_SAME);
	snprintf(head, sizeof(head), POST_LINE "Content-Length: %zu\r\n\r\n",
	         total);
	give(&w, SIDE_GUEST, head, strlen(head), 0);
	assert_string_equal(buf_str(&w.got[SIDE_SERVER]), head);
	while (sent < total) {
		size_t n = MIN(total - sent, sizeof(block));

		buf_reset(&w.got[SIDE_SERVER]);
		give(&w, SIDE_GUEST, block, n, 0);
		assert_int_equal(w.end, 0);
		sent += n;
		assert_int_equal(w.got[SIDE_SERVER].len, n);
		if (n > 6000)
			assert_memory_equal(w.got[SIDE_SERVER].data + 5000,
			                    EQUAL, strlen(EQUAL));
	}
	buf_reset(&w.got[SIDE_SERVER]);
	give(&w, SIDE_GUEST, GET, strlen(GET), 0);
	assert_string_equal(buf_str(&w.got[SIDE_SERVER]), GET);
	/* Another length cannot be told any more. */
	give(&w, SIDE_GUEST, head, strlen(head), 0);
	give(&w, SIDE_GUEST, KEY, strlen(KEY), 0);
	assert_int_equal(w.end, -ECONNABORTED);
	assert_null(strstr(buf_str(&w.got[SIDE_SERVER]), VALUE));
	world_close(&w);
}

static void a_body_of_16_mib_is_held_and_sent(void **state)
{
	struct world w;
	char head[256], want[256], *block;
	size_t total = 16u << 20;

	(void)state;
	block = malloc(total);
	assert_non_null(block);
	memset(block, 'x', total);
	memcpy(block + total - strlen(KEY), KEY, strlen(KEY));
	snprintf(head, sizeof(head), POST_LINE "Content-Length: %zu\r\n\r\n",
	         total);
	snprintf(want, sizeof(want), POST_LINE "Content-Length: %zu\r\n\r\n",
	         total - strlen(KEY) + strlen(VALUE));
	world_open(&w, W_BODY);
	give(&w, SIDE_GUEST, head, strlen(head), 0);
	give(&w, SIDE_GUEST, block, total - 1, 0);
	assert_int_equal(w.got[SIDE_SERVER].len, 0);
	give(&w, SIDE_GUEST, block + total - 1, 1, 0);
	assert_int_equal(w.got[SIDE_SERVER].len,
	                 strlen(want) + total - strlen(KEY) + strlen(VALUE));
	assert_memory_equal(w.got[SIDE_SERVER].data, want, strlen(want));
	assert_string_equal(buf_str(&w.got[SIDE_SERVER]) +
	                            w.got[SIDE_SERVER].len - strlen(VALUE),
	                    VALUE);
	world_close(&w);
	free(block);
}

/* A guest that lets many bodies wait gets no more of our memory. */
static void bodies_that_wait_are_bounded_over_all_flows(void **state)
{
	enum { N = 20 };
	struct world w[N];
	char head[256], *block;
	size_t size = 15u << 20, refused = 0;

	(void)state;
	block = calloc(1, size);
	assert_non_null(block);
	snprintf(head, sizeof(head), POST_LINE "Content-Length: %zu\r\n\r\n",
	         size + 1);
	for (int i = 0; i < N; i++) {
		world_open(&w[i], W_BODY);
		give(&w[i], SIDE_GUEST, head, strlen(head), 0);
		give(&w[i], SIDE_GUEST, block, size, 0);
		if (!w[i].end)
			continue;
		refused++;
		assert_memory_equal(buf_str(&w[i].got[SIDE_GUEST]),
		                    "HTTP/1.1 503 ", 13);
	}
	assert_int_equal(refused, N - (256u << 20) / size);
	for (int i = 0; i < N; i++)
		world_close(&w[i]);
	/* And they are not counted for ever. */
	world_open(&w[0], W_BODY);
	give(&w[0], SIDE_GUEST, head, strlen(head), 0);
	give(&w[0], SIDE_GUEST, block, size, 0);
	assert_int_equal(w[0].end, 0);
	world_close(&w[0]);
	free(block);
}

/* ---- 100-continue -------------------------------------------------------- */

#define EXPECT POST_LINE "Expect: 100-Continue\r\nContent-Length: 36\r\n\r\n"
#define GO     "HTTP/1.1 100 Continue\r\n\r\n"

static void a_held_body_is_asked_for_by_us(void **state)
{
	const struct move moves[] = {G(EXPECT), END};
	const struct move whole[] = {G(EXPECT), G(KEY), S(OK), END};

	(void)state;
	check(W_BODY, moves, "", GO, 0);
	check(W_BODY, whole, POST_LINE "Content-Length: 17\r\n\r\n" VALUE,
	      GO OK, 0);
}

static void our_100_waits_for_the_answers_before_it(void **state)
{
	const struct move moves[] = {G(GET EXPECT), S("HTTP/1.1 200 OK\r\n"),
	                             END};
	const struct move then[] = {G(GET EXPECT), S(OK), END};
	const struct move early[] = {G(GET EXPECT KEY), S(OK), S(OK), END};

	(void)state;
	check(W_BODY, moves, GET, NULL, 0);
	check(W_BODY, then, GET, OK GO, 0);
	check(W_BODY, early, GET POST_LINE "Content-Length: 17\r\n\r\n" VALUE,
	      OK OK, 0);
}

static void a_body_that_streams_is_asked_for_by_the_server(void **state)
{
	const struct move moves[] = {G(EXPECT), S(GO), G(KEY), S(OK), END};

	(void)state;
	check(0, moves, EXPECT KEY, GO OK, 0);
	check(W_NONE, moves, EXPECT KEY, GO OK, 0);
}

/* ---- chunks -------------------------------------------------------------- */

static void chunks_pass_as_they_are_cut(void **state)
{
	static const char body[] =
		"5\r\nhello\r\n00001\r\n \r\nA\r\n0123456789\r\n"
		"0\r\nx-t: y\r\nX-U:z \r\n\r\n";
	const struct move moves[] = {G(POST_LINE CHUNKED "\r\n"), G(body),
	                             G(GET), END};
	char want[512];

	(void)state;
	snprintf(want, sizeof(want), "%s%s%s", POST_LINE CHUNKED "\r\n", body,
	         GET);
	check(0, moves, want, "", 0);
	check(W_NONE, moves, want, "", 0);
}

static void extensions_pass_when_there_is_nothing_to_look_for(void **state)
{
	const struct move moves[] = {G(POST_LINE CHUNKED
	                               "\r\n5;a=\"b;c\" ;d\r\nhello\r\n"
	                               "0;last\r\n\r\n" GET),
	                             END};

	(void)state;
	check(W_NONE, moves,
	      POST_LINE CHUNKED "\r\n5;a=\"b;c\" ;d\r\nhello\r\n"
	                        "0;last\r\n\r\n" GET,
	      "", 0);
	check(0, moves, POST_LINE CHUNKED "\r\n5\r\nhello\r\n0\r\n\r\n" GET, "",
	      0);
}

static void values_are_put_into_chunks(void **state)
{
	const struct move moves[] = {
		G(POST_LINE CHUNKED
	          "\r\n1\r\n<\r\n24;x=y\r\n" KEY "\r\n4\r\nMSB_\r\n8\r\n"
	          "01234567\r\n18\r\n89abcdef0123456789abcdef\r\n1\r\n>\r\n"
	          "0\r\nX-T: " KEY "\r\n\r\n" GET),
		END};

	(void)state;
	check_cuts(W_BODY, moves,
	           POST_LINE CHUNKED "\r\n{<" VALUE VALUE ">}X-T: " VALUE
	                             "\r\n" GET,
	           "", 0);
}

/* What follows a match is not kept back until more comes. */
static void chunks_that_may_change_are_not_delayed(void **state)
{
	struct world w;
	const char head[] = POST_LINE CHUNKED "\r\n";

	(void)state;
	world_open(&w, W_BODY);
	give(&w, SIDE_GUEST, head, strlen(head), 0);
	buf_reset(&w.got[SIDE_SERVER]);
	give(&w, SIDE_GUEST, "9\r\nhel", 6, 0);
	assert_string_equal(buf_str(&w.got[SIDE_SERVER]), "3\r\nhel\r\n");
	buf_reset(&w.got[SIDE_SERVER]);
	give(&w, SIDE_GUEST, "lo MS", 5, 0);
	assert_string_equal(buf_str(&w.got[SIDE_SERVER]), "3\r\nlo \r\n");
	buf_reset(&w.got[SIDE_SERVER]);
	give(&w, SIDE_GUEST, "G", 1, 0);
	assert_string_equal(buf_str(&w.got[SIDE_SERVER]), "3\r\nMSG\r\n");
	world_close(&w);
}

static void chunks_that_are_none_cut_the_connection(void **state)
{
	static const char *const texts[] = {
		"\r\n",
		"\n",
		"x\r\n",
		" 5\r\nhello\r\n",
		"5 \r\nhello\r\n",
		"5\t\r\nhello\r\n",
		"+5\r\nhello\r\n",
		"-5\r\nhello\r\n",
		"0x5\r\nhello\r\n",
		"5\nhello\r\n",
		"5\rhello\r\n",
		"5\r\nhello\n",
		"5\r\nhelloX\r\n",
		"5\r\nhello0\r\n\r\n",
		"5\r\nhello\r\r\n",
		"5,\r\nhello\r\n",
		"5 ;x\r\nhello\r\n",
		"5;x\nhello\r\n",
		"5;x\r\r\nhello\r\n",
		"5;\x01\r\nhello\r\n",
		"5;x\x7f\r\nhello\r\n",
		";x\r\n\r\n",
		"g\r\n",
		"ffffffffffffffff\r\n",
		"10000000000000000\r\n",
		"8000000000000000\r\n",
		"0000000000000005\r\nhello\r\n",
		"0\n\r\n",
		"0\r\n\n",
		"0\r\nX: y\n\r\n",
		"0\r\n X: y\r\n\r\n",
		"0\r\nX : y\r\n\r\n",
		"0\r\nnone\r\n\r\n",
		"0\r\nX: y\r\n z\r\n\r\n",
		"0\r\nX: \x01\r\n\r\n",
		"0\r\nContent-Length: 5\r\n\r\n",
		"0\r\ntransfer-encoding: chunked\r\n\r\n",
		"0\r\nHOST: evil.example\r\n\r\n",
		"0\r\nTransfer_Encoding: chunked\r\n\r\n",
		"0\r\nAuthorization: x\r\n\r\n",
		"0\r\nCookie: x\r\n\r\n",
		"0\r\nConnection: close\r\n\r\n",
		"0\r\nExpect: x\r\n\r\n",
		"0\r\nUpgrade: x\r\n\r\n",
		"0\r\nContent-Encoding: x\r\n\r\n",
		"0\r\nX: " OTHER "\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const struct move moves[] = {G(POST_LINE CHUNKED "\r\n"),
		                             G(texts[i]), G(GET), END};
		const char *at;

		for (unsigned flags = 0; flags <= W_BODY; flags++) {
			struct want want = {.guest = "", .end = -ECONNABORTED};
			struct world w;

			check_want(flags, moves, &want);
			world_open(&w, flags);
			play(&w, moves, 0);
			at = strstr(buf_str(&w.got[SIDE_SERVER]), "GET /");
			assert_null(at);
			world_close(&w);
		}
	}
}

static void an_extension_or_trailers_without_end_are_bounded(void **state)
{
	struct world w;
	char block[1024];

	(void)state;
	for (int trailers = 0; trailers < 2; trailers++) {
		const char *lead = trailers ? POST_LINE CHUNKED "\r\n0\r\nX: "
		                            : POST_LINE CHUNKED "\r\n5;";
		int n = 0;

		memset(block, 'x', sizeof(block));
		world_open(&w, 0);
		give(&w, SIDE_GUEST, lead, strlen(lead), 0);
		for (; !w.end && n < 100; n++)
			give(&w, SIDE_GUEST, block, sizeof(block), 0);
		assert_int_equal(w.end, -ECONNABORTED);
		assert_int_equal(n, trailers ? 64 : 5);
		world_close(&w);
	}
}

/* ---- masking ------------------------------------------------------------- */

static void identity_is_asked_for_where_answers_are_masked(void **state)
{
	const struct move moves[] = {
		G("GET / HTTP/1.1\r\n" HOST_LINE
	          "accept-encoding: gzip\r\nAccept-Encoding: br\r\n"
	          "Range: bytes=1-\r\nIf-Range: x\r\nTE: gzip\r\n"
	          "Accept: */*\r\n\r\n" GET),
		END};

	(void)state;
	check(W_MASK, moves,
	      "GET / HTTP/1.1\r\n" HOST_LINE
	      "accept-encoding: identity\r\nAccept: */*\r\n\r\n"
	      "GET / HTTP/1.1\r\n" HOST_LINE "Accept-Encoding: identity\r\n"
	      "\r\n",
	      "", 0);
	check(0, moves, moves[0].text, "", 0);
}

#define MASKED_GET                                                             \
	"GET / HTTP/1.1\r\n" HOST_LINE "Accept-Encoding: identity\r\n\r\n"

static void values_in_answers_become_placeholders(void **state)
{
	const struct move length[] = {
		G(GET GET),
		S("HTTP/1.1 200 OK " VALUE "\r\nX:  " VALUE
	          " \r\ncontent-length: 21\r\nY: z\r\n\r\n<<" VALUE ">>"),
		S(OK), END};
	const struct move chunked[] = {
		G(GET),
		S("HTTP/1.1 200 OK\r\n" CHUNKED "\r\n4\r\nsk-t\r\nd\r\n"
	          "he-real-value\r\n3;x\r\nsk-\r\n0\r\nX-T: " VALUE "\r\n\r\n"),
		END};
	const struct move until_end[] = {
		G(GET), S("HTTP/1.1 200 OK\r\nX: y\r\n\r\n1" VALUE "2sk-"),
		S_EOF, END};

	(void)state;
	check_cuts(W_MASK, length, MASKED_GET MASKED_GET,
	           "HTTP/1.1 200 OK " KEY "\r\nX:  " KEY
	           " \r\nTransfer-Encoding: chunked\r\nY: z\r\n\r\n{<<" KEY
	           ">>}HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	           "{ok}",
	           0);
	check_cuts(W_MASK, chunked, MASKED_GET,
	           "HTTP/1.1 200 OK\r\n" CHUNKED "\r\n{" KEY "sk-}X-T: " KEY
	           "\r\n",
	           0);
	check(W_MASK, until_end, MASKED_GET,
	      "HTTP/1.1 200 OK\r\nX: y\r\n\r\n1" KEY "2sk-", -ESHUTDOWN);
}

static void masked_answers_to_head_keep_their_length(void **state)
{
	const struct move moves[] = {
		G("HEAD / HTTP/1.1\r\n" HOST_LINE "\r\n"),
		S("HTTP/1.1 200 OK\r\nContent-Length: 21\r\nX: " VALUE
	          "\r\n\r\n"),
		G(GET),
		S("HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n"),
		G(GET),
		S(OK),
		END};

	(void)state;
	check_cuts(W_MASK, moves, NULL,
	           "HTTP/1.1 200 OK\r\nContent-Length: 21\r\nX: " KEY
	           "\r\n\r\nHTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n"
	           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{ok}",
	           0);
}

/* HTTP/1.0 knows no chunks: the end of the connection is the body's. */
static void masked_answers_in_http_1_0_end_the_connection(void **state)
{
	const struct move guest[] = {
		G("GET / HTTP/1.0\r\n" HOST_LINE "\r\n"),
		S("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n"
	          "Content-Length: 17\r\n\r\n" VALUE),
		END};
	const struct move server[] = {
		G(GET),
		S("HTTP/1.0 200 OK\r\nContent-Length: 17\r\n\r\n" VALUE), END};

	(void)state;
	check(W_MASK, guest, NULL,
	      "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" KEY, -ESHUTDOWN);
	check(W_MASK, server, NULL,
	      "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n" KEY, -ESHUTDOWN);
}

static void an_encoded_answer_passes_with_a_line(void **state)
{
	const char answer[] = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
			      "Content-Length: 3\r\n\r\nabc";
	const struct move moves[] = {G(GET), S(answer), END};
	struct want want = {.guest = answer, .said = "a Content-Encoding"};

	(void)state;
	check_want(W_MASK, moves, &want);
}

static void a_masked_event_stream_is_not_delayed(void **state)
{
	struct world w;
	const char head[] = "HTTP/1.1 200 OK\r\n" CHUNKED
			    "Content-Type: text/event-stream\r\n\r\n";

	(void)state;
	world_open(&w, W_MASK);
	give(&w, SIDE_GUEST, GET, strlen(GET), 0);
	give(&w, SIDE_SERVER, head, strlen(head), 0);
	assert_string_equal(buf_str(&w.got[SIDE_GUEST]), head);
	buf_reset(&w.got[SIDE_GUEST]);
	give(&w, SIDE_SERVER, "9\r\ndata: x\n\n\r\n", 14, 0);
	assert_string_equal(buf_str(&w.got[SIDE_GUEST]),
	                    "9\r\ndata: x\n\n\r\n");
	world_close(&w);
}

/* ---- many of them, mixed ------------------------------------------------- */

static void requests_of_all_kinds_follow_each_other(void **state)
{
	const struct move moves[] = {
		G("HEAD /1 HTTP/1.1\r\n" HOST_LINE "\r\n" POST_LINE
	          "Content-Length: 36\r\n\r\n" KEY POST_LINE CHUNKED
	          "\r\n24\r\n" KEY "\r\n0\r\n\r\nGET /?" KEY
	          " HTTP/1.1\r\n" HOST_LINE "X: " KEY "\r\n\r\n" POST_LINE
	          "Content-Length: 0\r\n\r\n"),
		S("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" OK
	          "HTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\n" CHUNKED
	          "\r\n0\r\n\r\n" OK),
		G("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n" GET), END};
	const char want[] =
		"HEAD /1 HTTP/1.1\r\n" HOST_LINE "\r\n" POST_LINE
		"Content-Length: 17\r\n\r\n" VALUE POST_LINE CHUNKED
		"\r\n{" VALUE "}GET /?" VALUE " HTTP/1.1\r\n" HOST_LINE
		"X: " VALUE "\r\n\r\n" POST_LINE "Content-Length: 0\r\n\r\n";

	(void)state;
	check_cuts(W_BODY | W_QUERY, moves, want, NULL, -ESHUTDOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_put_into_headers),
		cmocka_unit_test(values_are_put_into_basic),
		cmocka_unit_test(values_are_put_into_queries_by_option),
		cmocka_unit_test(a_placeholder_of_another_host_is_refused),
		cmocka_unit_test(
			no_value_goes_to_a_server_that_is_not_verified),
		cmocka_unit_test(no_value_goes_without_a_host),
		cmocka_unit_test(each_request_is_checked_anew),
		cmocka_unit_test(a_request_keeps_the_values_it_began_with),
		cmocka_unit_test(trace_does_not_send_a_value_back),
		cmocka_unit_test(what_frames_a_request_is_no_place_for_values),
		cmocka_unit_test(a_length_is_told_anew),
		cmocka_unit_test(a_body_is_not_touched_without_the_option),
		cmocka_unit_test(a_violation_in_a_held_body_is_refused_whole),
		cmocka_unit_test(a_violation_in_a_body_on_its_way_cuts_it),
		cmocka_unit_test(a_large_body_is_streamed),
		cmocka_unit_test(a_body_of_16_mib_is_held_and_sent),
		cmocka_unit_test(bodies_that_wait_are_bounded_over_all_flows),
		cmocka_unit_test(a_held_body_is_asked_for_by_us),
		cmocka_unit_test(our_100_waits_for_the_answers_before_it),
		cmocka_unit_test(
			a_body_that_streams_is_asked_for_by_the_server),
		cmocka_unit_test(chunks_pass_as_they_are_cut),
		cmocka_unit_test(
			extensions_pass_when_there_is_nothing_to_look_for),
		cmocka_unit_test(values_are_put_into_chunks),
		cmocka_unit_test(chunks_that_may_change_are_not_delayed),
		cmocka_unit_test(chunks_that_are_none_cut_the_connection),
		cmocka_unit_test(
			an_extension_or_trailers_without_end_are_bounded),
		cmocka_unit_test(
			identity_is_asked_for_where_answers_are_masked),
		cmocka_unit_test(values_in_answers_become_placeholders),
		cmocka_unit_test(masked_answers_to_head_keep_their_length),
		cmocka_unit_test(masked_answers_in_http_1_0_end_the_connection),
		cmocka_unit_test(an_encoded_answer_passes_with_a_line),
		cmocka_unit_test(a_masked_event_stream_is_not_delayed),
		cmocka_unit_test(requests_of_all_kinds_follow_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
