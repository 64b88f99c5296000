/* Requests and answers as they pair up: order, refusals, upgrades, ends. */
#include "h1_world.h"

#include "base/banned.h"

#define GET  "GET / HTTP/1.1\r\nHost: api.example\r\n\r\n"
#define OK   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define HEAD "HEAD / HTTP/1.1\r\nHost: api.example\r\n\r\n"
#define BAD  "GET / HTTP/1.1\r\nHost : api.example\r\n\r\n"

/* ---- untouched ----------------------------------------------------------- */

static void what_has_no_placeholder_passes_byte_for_byte(void **state)
{
	static const char req[] =
		"POST /a/../b?x=1&y=%20#z HTTP/1.1\r\n"
		"hOST:   api.example  \r\nX-Empty:\r\nX-empty: \t \r\n"
		"Cookie: a=b; c=\"d\"\r\nContent-Length:5\r\n"
		"X-Bytes: \xc3\xa9\xff\r\n\r\nhello"
		"GET http://api.example/ HTTP/1.1\r\n";
	static const char second[] =
		"DELETE / HTTP/1.0\r\nhost: API.Example.:443\r\n\r\n";
	const struct move moves[] = {G("POST /a/../b?x=1&y=%20#z HTTP/1.1\r\n"
	                               "hOST:   api.example  \r\nX-Empty:\r\n"
	                               "X-empty: \t \r\n"
	                               "Cookie: a=b; c=\"d\"\r\n"
	                               "Content-Length:5\r\n"
	                               "X-Bytes: \xc3\xa9\xff\r\n\r\nhello"),
	                             G(second), END};
	char want[sizeof(req) + sizeof(second)];

	(void)state;
	snprintf(want, sizeof(want), "%.*s%s",
	         (int)(strstr(req, "GET http") - req), req, second);
	for (unsigned flags = 0; flags <= W_NONE; flags++)
		if (!(flags & W_MASK))
			check(flags, moves, want, "", 0);
}

static void answers_pass_byte_for_byte(void **state)
{
	static const char answers[] =
		"HTTP/1.1 200 Fine, thanks\r\nserver:x\r\nX:\r\n"
		"content-length: 3\r\n\r\nabc"
		"HTTP/1.1 404\r\nTransfer-Encoding:  chunked\r\n\r\n"
		"3;x=\"y\"\r\nabc\r\n0005 \r\nhello\r\n0\r\nX-T: 1\r\n\r\n"
		"HTTP/1.0 200 OK\nX: bare LF\n folded\n\nuntil the end";
	const struct move moves[] = {G(GET),     G(GET), G(GET),
	                             S(answers), S_EOF,  END};

	(void)state;
	check(0, moves, GET GET GET, answers, -ESHUTDOWN);
}

static void one_empty_line_before_a_request_is_dropped(void **state)
{
	const struct move moves[] = {G("\r\n" GET), G("\r\n" GET), END};
	const struct move two[] = {G("\r\n\r\n" GET), END};

	(void)state;
	check(0, moves, GET GET, "", 0);
	check_refused(0, two, "400");
}

/* ---- pairs --------------------------------------------------------------- */

static void answers_to_head_have_no_body(void **state)
{
	static const char to_head[] =
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
	const struct move moves[] = {G(HEAD GET BAD), S(to_head), S(OK), END};
	struct want want = {HEAD GET, NULL, -ESHUTDOWN, "space", false};

	(void)state;
	check_want(0, moves, &want);
}

static void a_refusal_waits_for_the_answers_before_it(void **state)
{
	struct world w;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		world_open(&w, 0);
		give(&w, SIDE_GUEST, GET GET BAD GET, strlen(GET GET BAD GET),
		     steps[i]);
		assert_int_equal(w.end, 0);
		assert_string_equal(buf_str(&w.got[SIDE_GUEST]), "");
		assert_false(wanted(&w, SIDE_GUEST));
		give(&w, SIDE_SERVER, OK, strlen(OK), steps[i]);
		assert_string_equal(buf_str(&w.got[SIDE_GUEST]), OK);
		assert_int_equal(w.end, 0);
		give(&w, SIDE_SERVER, OK, strlen(OK), steps[i]);
		assert_int_equal(w.end, -ESHUTDOWN);
		assert_memory_equal(w.got[SIDE_GUEST].data,
		                    OK OK "HTTP/1.1 400 ",
		                    strlen(OK OK "HTTP/1.1 400 "));
		assert_string_equal(buf_str(&w.got[SIDE_SERVER]), GET GET);
		world_close(&w);
	}
}

static void a_refused_head_request_gets_no_body(void **state)
{
	const struct move moves[] = {
		G("HEAD / HTTP/1.1\r\nHost: evil.example\r\n\r\n"), END};
	struct world w;
	const char *end;

	(void)state;
	world_open(&w, 0);
	play(&w, moves, 0);
	end = strstr(buf_str(&w.got[SIDE_GUEST]), "\r\n\r\n");
	assert_non_null(end);
	assert_string_equal(end, "\r\n\r\n");
	world_close(&w);
}

static void not_more_than_a_hundred_wait(void **state)
{
	struct world w;
	size_t one = strlen(GET);

	(void)state;
	for (size_t step = 0; step < 3; step++) {
		world_open(&w, 0);
		for (int i = 0; i < 130; i++)
			give(&w, SIDE_GUEST, GET, one, step);
		assert_int_equal(w.got[SIDE_SERVER].len, 100 * one);
		assert_false(wanted(&w, SIDE_GUEST));
		give(&w, SIDE_SERVER, OK, strlen(OK), step);
		assert_int_equal(w.got[SIDE_SERVER].len, 101 * one);
		for (int i = 0; i < 129; i++)
			give(&w, SIDE_SERVER, OK, strlen(OK), step);
		assert_int_equal(w.got[SIDE_SERVER].len, 130 * one);
		assert_int_equal(w.got[SIDE_GUEST].len, 130 * strlen(OK));
		assert_true(wanted(&w, SIDE_GUEST));
		world_close(&w);
	}
}

static void a_full_server_side_stops_reading(void **state)
{
	struct world w;
	char req[4096];
	size_t n;
	int r = 0;

	(void)state;
	world_open(&w, 0);
	n = (size_t)snprintf(req, sizeof(req),
	                     "GET /%03000d HTTP/1.1\r\nHost: api.example\r\n"
	                     "\r\n",
	                     7);
	while (r == 0 && w.r->out[SIDE_SERVER].len < RELAY_HIGH)
		r = w.r->ops->input(w.r, SIDE_GUEST, (uint8_t *)req, n);
	assert_int_equal(r, 0);
	assert_true(w.r->out[SIDE_SERVER].len < RELAY_HIGH + n);
	/* Still taken, not yet read. */
	assert_int_equal(w.r->ops->input(w.r, SIDE_GUEST, (uint8_t *)req, n),
	                 0);
	assert_true(w.r->out[SIDE_SERVER].len < RELAY_HIGH + n);
	assert_false(wanted(&w, SIDE_GUEST));
	buf_reset(&w.r->out[SIDE_SERVER]);
	assert_int_equal(w.r->ops->room(w.r), 0);
	assert_int_equal(w.r->out[SIDE_SERVER].len, n);
	assert_true(wanted(&w, SIDE_GUEST));
	world_close(&w);
}

/* ---- interim and early answers ------------------------------------------- */

static void interim_answers_pass(void **state)
{
	static const char answer[] =
		"HTTP/1.1 100 Continue\r\n\r\n"
		"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n"
		"Content-Length: 5\r\n\r\n" OK;
	const struct move moves[] = {
		G("PUT / HTTP/1.1\r\nHost: api.example\r\n"
	          "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
		S("HTTP/1.1 100 Continue\r\n\r\n"
	          "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n"
	          "Content-Length: 5\r\n\r\n"),
		G("hi" GET),
		S(OK),
		S(OK),
		END};
	char want[512];

	(void)state;
	snprintf(want, sizeof(want), "%s%s", answer, OK);
	check(0, moves,
	      "PUT / HTTP/1.1\r\nHost: api.example\r\n"
	      "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
	      "hi" GET,
	      want, 0);
}

static void endless_interim_answers_are_refused(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, 0);
	give(&w, SIDE_GUEST, GET, strlen(GET), 0);
	for (int i = 0; i < 70; i++)
		give(&w, SIDE_SERVER, "HTTP/1.1 100 C\r\n\r\n", 18, 0);
	assert_int_equal(w.end, -ESHUTDOWN);
	assert_non_null(strstr(buf_str(&w.got[SIDE_GUEST]), " 502 "));
	world_close(&w);
}

static void an_early_answer_does_not_end_the_body(void **state)
{
	static const char post[] = "POST / HTTP/1.1\r\nHost: api.example\r\n"
				   "Content-Length: 10\r\n\r\n01234";
	static const char no[] = "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n";
	const struct move moves[] = {G(post), S(no), G("56789" GET), S(OK),
	                             END};
	const struct move closed[] = {G(post), S(no), S_EOF, G("56789"), END};

	(void)state;
	check(0, moves,
	      "POST / HTTP/1.1\r\nHost: api.example\r\n"
	      "Content-Length: 10\r\n\r\n0123456789" GET,
	      "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n" OK, 0);
	check(0, closed, NULL, no, 0);
}

/* ---- upgrades ------------------------------------------------------------ */

#define UPGRADE                                                                \
	"GET /ws HTTP/1.1\r\nHost: api.example\r\nConnection: Upgrade\r\n"     \
	"Upgrade: websocket\r\n\r\n"
#define SWITCH "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n"

static void after_101_all_is_opaque(void **state)
{
	const struct move moves[] = {G(UPGRADE), S(SWITCH "\x81\x01x"),
	                             G("GET \x01\x02 \n\n"), S("\n\nHTTP"),
	                             END};

	(void)state;
	check(0, moves, UPGRADE "GET \x01\x02 \n\n", SWITCH "\x81\x01x\n\nHTTP",
	      0);
}

/* What was sent before the answer is neither sent on nor a request, yet. */
static void nothing_is_read_behind_an_upgrade_before_its_answer(void **state)
{
	const char smuggled[] = "POST /x HTTP/1.1\r\nHost: api.example\r\n"
				"Authorization: " KEY "\r\n"
				"Content-Length: 0\r\n\r\n";
	struct world w;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		world_open(&w, 0);
		give(&w, SIDE_GUEST, UPGRADE, strlen(UPGRADE), 0);
		give(&w, SIDE_GUEST, "GET / HT", 8, steps[i]);
		assert_string_equal(buf_str(&w.got[SIDE_SERVER]), UPGRADE);
		assert_false(wanted(&w, SIDE_GUEST));
		give(&w, SIDE_SERVER, SWITCH, strlen(SWITCH), steps[i]);
		assert_string_equal(buf_str(&w.got[SIDE_SERVER]),
		                    UPGRADE "GET / HT");
		world_close(&w);

		/* As a request only if the server declines; with 101 it is a
		   placeholder in the clear: a violation. */
		world_open(&w, 0);
		give(&w, SIDE_GUEST, UPGRADE, strlen(UPGRADE), 0);
		give(&w, SIDE_GUEST, smuggled, strlen(smuggled), steps[i]);
		give(&w, SIDE_SERVER, SWITCH, strlen(SWITCH), steps[i]);
		assert_null(strstr(buf_str(&w.got[SIDE_SERVER]), VALUE));
		world_close(&w);

		world_open(&w, 0);
		give(&w, SIDE_GUEST, UPGRADE, strlen(UPGRADE), 0);
		give(&w, SIDE_GUEST, smuggled, strlen(smuggled), steps[i]);
		give(&w, SIDE_SERVER, OK, strlen(OK), steps[i]);
		assert_non_null(strstr(buf_str(&w.got[SIDE_SERVER]), VALUE));
		world_close(&w);
	}
}

static void an_upgrade_in_one_piece_with_the_next_request_waits(void **state)
{
	const struct move moves[] = {G(UPGRADE GET), S(OK), S(OK), END};
	const struct move before[] = {G(UPGRADE GET), END};

	(void)state;
	check(0, before, UPGRADE, "", 0);
	check(0, moves, UPGRADE GET, OK OK, 0);
}

static void a_101_that_nobody_asked_for_is_refused(void **state)
{
	const struct move moves[] = {G(GET), S(SWITCH), END};
	const struct move early[] = {
		G("POST / HTTP/1.1\r\nHost: api.example\r\nUpgrade: x\r\n"
	          "Content-Length: 5\r\n\r\nab"),
		S(SWITCH), END};
	struct want want = {GET, NULL, -ESHUTDOWN, "nobody asked", false};

	(void)state;
	check_want(0, moves, &want);
	want.server = NULL;
	check_want(0, early, &want);
}

static void h2c_is_taken_out(void **state)
{
	const struct move only[] = {
		G("GET / HTTP/1.1\r\nHost: api.example\r\n"
	          "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
	          "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n" GET),
		END};
	const struct move both[] = {
		G("GET / HTTP/1.1\r\nHost: api.example\r\n"
	          "Upgrade: H2C , websocket,HTTP/2.0,foo\r\n\r\n"),
		END};

	(void)state;
	check(0, only,
	      "GET / HTTP/1.1\r\nHost: api.example\r\n"
	      "Connection: Upgrade, HTTP2-Settings\r\n\r\n" GET,
	      "", 0);
	check(0, both,
	      "GET / HTTP/1.1\r\nHost: api.example\r\n"
	      "Upgrade: websocket, foo\r\n\r\n",
	      "", 0);
}

/* ---- answers that cannot be -------------------------------------------- */

static void an_answer_with_two_ends_is_refused(void **state)
{
	static const char *const heads[] = {
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
		"Content-Length: 5\r\nContent-Length: 6\r\n",
		"Content-Length: 5, 6\r\n",
		"Content-Length: +5\r\n",
		"Content-Length: 0x5\r\n",
		"Content-Length: 99999999999999999999\r\n",
		"Content-Length:\r\n",
		"Content-Length: 5\r\n 6\r\n",
		"Content-Length : 5\r\n",
		"Transfer-Encoding: chunked, chunked\r\n",
		"Transfer-Encoding: chunked, gzip\r\n",
		"Transfer-Encoding : chunked\r\n",
	};
	char answer[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		const struct move moves[] = {G(GET GET), S(answer), END};
		struct want want = {GET GET, NULL, -ESHUTDOWN, "answer", false};
		struct world w;

		snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\n%s\r\n",
		         heads[i]);
		check_want(0, moves, &want);
		world_open(&w, 0);
		play(&w, moves, 0);
		assert_memory_equal(buf_str(&w.got[SIDE_GUEST]),
		                    "HTTP/1.1 502 ", 13);
		world_close(&w);
	}
}

static void equal_lengths_are_one(void **state)
{
	const struct move moves[] = {
		G(GET GET),
		S("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n"
	          "Content-Length: 2\r\n\r\nok" OK),
		END};

	(void)state;
	check(0, moves, GET GET,
	      "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n"
	      "Content-Length: 2\r\n\r\nok" OK,
	      0);
}

static void what_is_no_answer_is_refused(void **state)
{
	static const char *const texts[] = {
		"HTTP/2.0 200 OK\r\n\r\n",     "hello\r\n\r\n",
		"HTTP/1.1 20 OK\r\n\r\n",      "HTTP/1.1 2000\r\n\r\n",
		"HTTP/1.1 099 OK\r\n\r\n",     "HTTP/1.1 200\tOK\r\n\r\n",
		"HTTP/1.1 200 O\x01K\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const struct move moves[] = {G(GET), S(texts[i]), END};
		struct want want = {GET, NULL, -ESHUTDOWN, "answer", false};

		check_want(0, moves, &want);
	}
}

static void broken_chunks_of_an_answer_cut_the_connection(void **state)
{
	const struct move moves[] = {
		G(GET),
		S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	          "5\r\nhelloX"),
		END};

	(void)state;
	check(0, moves, GET, NULL, -ECONNABORTED);
}

static void a_timeout_that_nobody_asked_for_ends_both(void **state)
{
	const char answer[] = "HTTP/1.1 408 Timeout\r\nContent-Length: 2\r\n"
			      "\r\nno";
	const struct move moves[] = {G(GET), S(OK), S(answer), G(GET), END};
	const struct move other[] = {G(GET), S(OK OK), END};

	(void)state;
	check(0, moves, GET,
	      OK "HTTP/1.1 408 Timeout\r\n"
	         "Content-Length: 2\r\n\r\nno",
	      -ESHUTDOWN);
	check(0, other, GET, OK, -ESHUTDOWN);
}

/* ---- ends ---------------------------------------------------------------- */

static void a_guest_may_close_behind_a_whole_request(void **state)
{
	const struct move moves[] = {G(GET), G_EOF, S(OK), END};
	const struct move idle[] = {G(GET), S(OK), G_EOF, END};

	(void)state;
	check(0, moves, GET, OK, 0);
	check(0, idle, GET, OK, -ESHUTDOWN);
}

static void a_guest_that_ends_in_a_request_cuts_it(void **state)
{
	static const char *const texts[] = {
		"GET / HTTP/1.1\r\nHost: api.ex",
		"POST / HTTP/1.1\r\nHost: api.example\r\n"
		"Content-Length: 5\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: api.example\r\n"
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"\r\nG",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const struct move moves[] = {G(texts[i]), G_EOF, END};

		check(0, moves, NULL, "", -ECONNABORTED);
	}
}

static void a_server_that_ends_ends_both(void **state)
{
	const struct move idle[] = {G(GET), S(OK), S_EOF, END};
	const struct move owing[] = {G(GET GET), S(OK), S_EOF, END};
	const struct move cut_off[] = {
		G(GET), S("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
		S_EOF, END};

	(void)state;
	check(0, idle, GET, OK, -ESHUTDOWN);
	check(0, owing, GET GET, OK, -ESHUTDOWN);
	check(0, cut_off, GET, NULL, -ESHUTDOWN);
}

static void nothing_is_taken_after_the_end(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, 0);
	give(&w, SIDE_GUEST, BAD, strlen(BAD), 0);
	assert_int_equal(w.end, -ESHUTDOWN);
	assert_int_equal(w.r->ops->input(w.r, SIDE_GUEST, (const uint8_t *)GET,
	                                 strlen(GET)),
	                 -ESHUTDOWN);
	assert_int_equal(w.r->out[SIDE_SERVER].len, 0);
	assert_false(wanted(&w, SIDE_GUEST));
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_has_no_placeholder_passes_byte_for_byte),
		cmocka_unit_test(answers_pass_byte_for_byte),
		cmocka_unit_test(one_empty_line_before_a_request_is_dropped),
		cmocka_unit_test(answers_to_head_have_no_body),
		cmocka_unit_test(a_refusal_waits_for_the_answers_before_it),
		cmocka_unit_test(a_refused_head_request_gets_no_body),
		cmocka_unit_test(not_more_than_a_hundred_wait),
		cmocka_unit_test(a_full_server_side_stops_reading),
		cmocka_unit_test(interim_answers_pass),
		cmocka_unit_test(endless_interim_answers_are_refused),
		cmocka_unit_test(an_early_answer_does_not_end_the_body),
		cmocka_unit_test(after_101_all_is_opaque),
		cmocka_unit_test(
			nothing_is_read_behind_an_upgrade_before_its_answer),
		cmocka_unit_test(
			an_upgrade_in_one_piece_with_the_next_request_waits),
		cmocka_unit_test(a_101_that_nobody_asked_for_is_refused),
		cmocka_unit_test(h2c_is_taken_out),
		cmocka_unit_test(an_answer_with_two_ends_is_refused),
		cmocka_unit_test(equal_lengths_are_one),
		cmocka_unit_test(what_is_no_answer_is_refused),
		cmocka_unit_test(broken_chunks_of_an_answer_cut_the_connection),
		cmocka_unit_test(a_timeout_that_nobody_asked_for_ends_both),
		cmocka_unit_test(a_guest_may_close_behind_a_whole_request),
		cmocka_unit_test(a_guest_that_ends_in_a_request_cuts_it),
		cmocka_unit_test(a_server_that_ends_ends_both),
		cmocka_unit_test(nothing_is_taken_after_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
