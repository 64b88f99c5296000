/* The host's side of an exec session against an agent played by the test. */
#include "lib/test.h"

#include <errno.h>
#include <poll.h>

#include "fake_agent.h"

static void exec_carries_everything(void **state)
{
	struct fake f;
	struct proto_msg msg;

	(void)state;
	start(&f, MSB_EXEC_TTY);
	msg = agent_recv(&f);
	assert_int_equal(msg.type, PROTO_EXEC);
	assert_int_equal(msg.exec.argv.n, 2);
	assert_string_equal(msg.exec.argv.v[0], "cat");
	assert_string_equal(msg.exec.cwd, "/");
	assert_string_equal(msg.exec.user, "");
	assert_int_equal(msg.exec.tty, 1);
	assert_int_equal(msg.exec.rows, 30);
	assert_int_equal(msg.exec.cols, 100);
	assert_int_equal(msg.exec.want_stdin, 0);
	proto_release(&msg);
	end(&f);
}

static void events_come_in_order_and_end(void **state)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	struct fake f;

	(void)state;
	started(&f, 0);
	assert_int_equal(msb_exec_next(f.x, 0, &ev, NULL), 0);
	agent_out(&f, PROTO_STDOUT, "out");
	agent_out(&f, PROTO_STDERR, "err");
	agent_send(&f, (struct proto_msg){.type = PROTO_EXITED,
	                                  .exited = {.code = 3}});
	assert_int_equal(msb_exec_next(f.x, 1000, &ev, NULL), 1);
	assert_int_equal(ev.kind, MSB_EXEC_STDOUT);
	assert_memory_equal(ev.data, "out", 3);
	assert_int_equal(ev.len, 3);
	assert_int_equal(msb_exec_next(f.x, 1000, &ev, NULL), 1);
	assert_int_equal(ev.kind, MSB_EXEC_STDERR);
	assert_memory_equal(ev.data, "err", 3);
	assert_int_equal(msb_exec_next(f.x, 1000, &ev, NULL), 1);
	assert_int_equal(ev.kind, MSB_EXEC_EXITED);
	assert_int_equal(ev.code, 3);
	assert_int_equal(ev.signal, 0);
	assert_int_equal(msb_exec_next(f.x, -1, &ev, NULL), 0);
	end(&f);
}

static void a_frame_in_pieces_is_put_together(void **state)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	struct proto_msg msg = {.type = PROTO_STDOUT};
	struct buf b = BUF_INIT;
	struct fake f;

	(void)state;
	started(&f, 0);
	msg.stdout_data.data =
		(struct proto_bytes){(const uint8_t *)"pieces", 6};
	assert_int_equal(proto_encode(&b, &msg), 0);
	for (size_t i = 0; i + 1 < b.len; i++) {
		assert_int_equal(fd_write_full(f.sock, b.data + i, 1), 0);
		assert_int_equal(msb_exec_next(f.x, 0, &ev, NULL), 0);
	}
	assert_int_equal(fd_write_full(f.sock, b.data + b.len - 1, 1), 0);
	assert_int_equal(msb_exec_next(f.x, 1000, &ev, NULL), 1);
	assert_memory_equal(ev.data, "pieces", 6);
	buf_release(&b);
	end(&f);
}

static void death_by_signal_is_told_apart(void **state)
{
	struct fake f;
	int code = -1;

	(void)state;
	started(&f, 0);
	agent_send(&f, (struct proto_msg){.type = PROTO_EXITED,
	                                  .exited = {.signo = 9}});
	assert_int_equal(msb_exec_wait(f.x, 1000, &code, NULL), 0);
	assert_int_equal(code, 137);
	end(&f);
}

static void a_command_that_never_ran_says_why(void **state)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	struct fake f;

	(void)state;
	start(&f, 0);
	expect(&f, PROTO_EXEC);
	agent_send(&f, (struct proto_msg){
			       .type = PROTO_EXEC_FAILED,
			       .exec_failed = {.stage = "exec",
	                                       .error = ENOENT,
	                                       .message = "no"}
        });
	assert_int_equal(msb_exec_next(f.x, 1000, &ev, NULL), 1);
	assert_int_equal(ev.kind, MSB_EXEC_FAILED);
	assert_int_equal(ev.error_no, ENOENT);
	assert_string_equal(ev.stage, "exec");
	assert_int_equal(msb_exec_next(f.x, -1, &ev, NULL), 0);
	end(&f);
}

static void input_stops_at_the_window_and_goes_on_after_an_ack(void **state)
{
	static const char data[PROTO_STDIN_WINDOW + 5000];
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	struct fake f;
	size_t got = 0;

	(void)state;
	started(&f, MSB_EXEC_STDIN);
	assert_int_equal(msb_exec_write(f.x, data, sizeof(data), NULL),
	                 PROTO_STDIN_WINDOW);
	assert_int_equal(msb_exec_unread(f.x), PROTO_STDIN_WINDOW);
	assert_int_equal(msb_exec_write(f.x, data, 1, NULL), 0);
	while (got < PROTO_STDIN_WINDOW) {
		struct proto_msg msg = agent_recv(&f);

		assert_int_equal(msg.type, PROTO_STDIN);
		assert_true(msg.stdin_data.data.n <= PROTO_DATA_MAX);
		got += msg.stdin_data.data.n;
		proto_release(&msg);
	}
	agent_send(&f, (struct proto_msg){.type = PROTO_STDIN_ACK,
	                                  .stdin_ack = {.count = 5000}});
	assert_int_equal(msb_exec_next(f.x, 1000, &ev, NULL), 1);
	assert_int_equal(ev.kind, MSB_EXEC_WRITABLE);
	assert_int_equal(msb_exec_write(f.x, data, 9000, NULL), 5000);
	end(&f);
}

static void a_signal_passes_a_full_window(void **state)
{
	static const char data[PROTO_STDIN_WINDOW];
	struct fake f;

	(void)state;
	started(&f, MSB_EXEC_STDIN);
	assert_int_equal(msb_exec_write(f.x, data, sizeof(data), NULL),
	                 sizeof(data));
	assert_int_equal(msb_exec_signal(f.x, 15, NULL), 0);
	for (size_t i = 0; i < sizeof(data) / PROTO_DATA_MAX; i++)
		expect(&f, PROTO_STDIN);
	expect(&f, PROTO_SIGNAL);
	end(&f);
}

static void closing_input_sends_one_end_of_file(void **state)
{
	struct msb_error error;
	struct proto_msg msg;
	struct fake f;

	(void)state;
	started(&f, MSB_EXEC_STDIN);
	assert_int_equal(msb_exec_close_stdin(f.x, NULL), 0);
	assert_int_equal(msb_exec_close_stdin(f.x, NULL), 0);
	assert_int_equal(msb_exec_write(f.x, "x", 1, &error), -MSB_ERR_INVALID);
	assert_int_equal(msb_exec_resize(f.x, 50, 132, NULL), 0);
	msg = agent_recv(&f);
	assert_int_equal(msg.type, PROTO_STDIN);
	assert_int_equal(msg.stdin_data.data.n, 0);
	proto_release(&msg);
	msg = agent_recv(&f);
	assert_int_equal(msg.type, PROTO_RESIZE);
	assert_int_equal(msg.resize.cols, 132);
	proto_release(&msg);
	end(&f);
}

static void refuse(struct proto_msg msg)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	struct msb_error error = {0};
	struct fake f;

	started(&f, MSB_EXEC_STDIN);
	agent_send(&f, msg);
	assert_int_equal(msb_exec_next(f.x, 1000, &ev, &error),
	                 -MSB_ERR_PROTOCOL);
	assert_int_equal(error.code, MSB_ERR_PROTOCOL);
	assert_int_equal(msb_exec_next(f.x, 1000, &ev, &error), 0);
	end(&f);
}

static void a_hostile_agent_ends_the_session(void **state)
{
	(void)state;
	refuse((struct proto_msg){.type = PROTO_STARTED});
	refuse((struct proto_msg){.type = PROTO_STDIN_ACK,
	                          .stdin_ack = {.count = 1}});
	refuse((struct proto_msg){.type = PROTO_STDIN_ACK,
	                          .stdin_ack = {.count = 0}});
	refuse((struct proto_msg){.type = PROTO_EXITED,
	                          .exited = {.code = 256}});
	refuse((struct proto_msg){.type = PROTO_EXITED,
	                          .exited = {.code = -1}});
	refuse((struct proto_msg){.type = PROTO_EXITED,
	                          .exited = {.signo = 65}});
	refuse((struct proto_msg){.type = PROTO_SIGNAL});
	refuse((struct proto_msg){.type = PROTO_VMM_READY});
}

static void output_before_started_is_refused(void **state)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	struct fake f;

	(void)state;
	start(&f, 0);
	agent_out(&f, PROTO_STDOUT, "early");
	assert_int_equal(msb_exec_next(f.x, 1000, &ev, NULL),
	                 -MSB_ERR_PROTOCOL);
	end(&f);
}

static void garbage_is_refused(void **state)
{
	static const uint8_t garbage[] = {0xff, 0xff, 0xff, 0x7f, 21, 0, 0, 0};
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	struct fake f;

	(void)state;
	started(&f, 0);
	assert_int_equal(fd_write_full(f.sock, garbage, sizeof(garbage)), 0);
	assert_int_equal(msb_exec_next(f.x, 1000, &ev, NULL),
	                 -MSB_ERR_PROTOCOL);
	end(&f);
}

static void a_cut_session_is_an_error_not_an_end(void **state)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	struct fake f;

	(void)state;
	started(&f, 0);
	agent_out(&f, PROTO_STDOUT, "last");
	close_fd(&f.sock);
	assert_int_equal(msb_exec_next(f.x, 1000, &ev, NULL), 1);
	assert_int_equal(ev.kind, MSB_EXEC_STDOUT);
	assert_int_equal(msb_exec_next(f.x, 1000, &ev, NULL), -MSB_ERR_GONE);
	end(&f);
}

static void the_descriptor_polls_readable_when_there_is_work(void **state)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	struct pollfd pf = {.events = POLLIN};
	struct fake f;

	(void)state;
	started(&f, 0);
	pf.fd = msb_exec_fd(f.x);
	assert_int_equal(poll(&pf, 1, 0), 0);
	agent_out(&f, PROTO_STDOUT, "x");
	assert_int_equal(poll(&pf, 1, 1000), 1);
	assert_int_equal(msb_exec_next(f.x, 0, &ev, NULL), 1);
	assert_int_equal(msb_exec_next(f.x, 0, &ev, NULL), 0);
	assert_int_equal(poll(&pf, 1, 0), 0);
	end(&f);
}

static void waiting_has_a_time_limit(void **state)
{
	struct msb_error error = {0};
	struct fake f;
	int code;

	(void)state;
	started(&f, 0);
	assert_int_equal(msb_exec_wait(f.x, 20, &code, &error),
	                 -MSB_ERR_TIMEOUT);
	end(&f);
}

static void sessions_have_numbers_of_their_own(void **state)
{
	struct fake a, b;

	(void)state;
	start(&a, MSB_EXEC_TTY);
	start(&b, 0);
	assert_true(msb_exec_session(a.x) > 0);
	assert_true(msb_exec_session(a.x) <= INT64_MAX);
	assert_true(msb_exec_session(a.x) != msb_exec_session(b.x));
	assert_true(msb_exec_is_tty(a.x));
	assert_false(msb_exec_is_tty(b.x));
	end(&a);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exec_carries_everything),
		cmocka_unit_test(events_come_in_order_and_end),
		cmocka_unit_test(a_frame_in_pieces_is_put_together),
		cmocka_unit_test(death_by_signal_is_told_apart),
		cmocka_unit_test(a_command_that_never_ran_says_why),
		cmocka_unit_test(
			input_stops_at_the_window_and_goes_on_after_an_ack),
		cmocka_unit_test(a_signal_passes_a_full_window),
		cmocka_unit_test(closing_input_sends_one_end_of_file),
		cmocka_unit_test(a_hostile_agent_ends_the_session),
		cmocka_unit_test(output_before_started_is_refused),
		cmocka_unit_test(garbage_is_refused),
		cmocka_unit_test(a_cut_session_is_an_error_not_an_end),
		cmocka_unit_test(
			the_descriptor_polls_readable_when_there_is_work),
		cmocka_unit_test(waiting_has_a_time_limit),
		cmocka_unit_test(sessions_have_numbers_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
