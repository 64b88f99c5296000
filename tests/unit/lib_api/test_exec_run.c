/* Collected output against an agent that runs in a thread of its own. */
#include "lib/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "fake_agent.h"

/* ---- agents ------------------------------------------------------------- */

static void exited(struct fake *f, int code)
{
	agent_send(f, (struct proto_msg){.type = PROTO_EXITED,
	                                 .exited = {.code = code}});
}

static void send_bytes(struct fake *f, enum proto_type type, const void *data,
                       uint32_t n)
{
	struct proto_msg msg = {.type = type};

	msg.stdout_data.data = (struct proto_bytes){data, n};
	agent_send(f, msg);
}

/* Gives back all input at once as it comes: as much output as input. */
static void *echo(void *arg)
{
	struct fake *f = arg;
	bool open = true;

	while (open) {
		struct proto_msg msg = agent_recv(f);
		uint32_t n = msg.stdin_data.data.n;

		assert_int_equal(msg.type, PROTO_STDIN);
		open = n > 0;
		if (open) {
			send_bytes(f, PROTO_STDOUT, msg.stdin_data.data.p, n);
			agent_send(f, (struct proto_msg){
					      .type = PROTO_STDIN_ACK,
					      .stdin_ack = {.count = n}});
		}
		proto_release(&msg);
	}
	exited(f, 0);
	return NULL;
}

/* Reads nothing for a while, but writes: more than sockets hold. */
static void *talks_first(void *arg)
{
	static char data[PROTO_DATA_MAX];
	struct fake *f = arg;

	memset(data, 'x', sizeof(data));
	for (int i = 0; i < 200; i++)
		send_bytes(f, i % 2 ? PROTO_STDERR : PROTO_STDOUT, data,
		           sizeof(data));
	return echo(f);
}

static void *never_ran(void *arg)
{
	agent_send(arg, (struct proto_msg){
				.type = PROTO_EXEC_FAILED,
				.exec_failed = {.stage = "exec",
	                                        .error = ENOENT,
	                                        .message = "no such file"}
        });
	return NULL;
}

static void *dies(void *arg)
{
	struct fake *f = arg;

	agent_out(f, PROTO_STDOUT, "so far");
	close_fd(&f->sock);
	return NULL;
}

/* Never ends by itself and never stops talking; a signal makes it go. */
static void *chatters(void *arg)
{
	struct fake *f = arg;
	struct proto_msg msg;
	char c;

	while (recv(f->sock, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0)
		agent_out(f, PROTO_STDOUT, "again ");
	msg = agent_recv(f);
	assert_int_equal(msg.type, PROTO_SIGNAL);
	assert_int_equal(msg.signal.signo, 9);
	proto_release(&msg);
	agent_out(f, PROTO_STDERR, "last words");
	agent_send(f, (struct proto_msg){.type = PROTO_EXITED,
	                                 .exited = {.signo = 9}});
	return NULL;
}

static void *says_nothing(void *arg)
{
	(void)arg;
	return NULL;
}

static void *breaks_the_protocol(void *arg)
{
	agent_send(arg, (struct proto_msg){.type = PROTO_STDIN_ACK,
	                                   .stdin_ack = {.count = 1u << 30}});
	return NULL;
}

/* ---- tests -------------------------------------------------------------- */

struct result {
	int r;
	struct msb_output *out;
	struct msb_error error;
};

static struct result run(void *(*agent)(void *arg), const void *input,
                         size_t len, size_t max, int timeout_ms)
{
	struct result got = {0};
	pthread_t thread;
	struct fake f;

	if (agent == never_ran) {
		start(&f, 0);
		expect(&f, PROTO_EXEC);
	} else {
		started(&f, input ? MSB_EXEC_STDIN : 0);
	}
	assert_int_equal(pthread_create(&thread, NULL, agent, &f), 0);
	got.r = exec_run(f.x, input, len, max, timeout_ms, &got.out,
	                 &got.error);
	assert_int_equal(pthread_join(thread, NULL), 0);
	end(&f);
	return got;
}

#define BIG (8u << 20)

static void input_and_output_larger_than_all_buffers_pass(void **state)
{
	char *data = malloc(BIG);
	struct result got;

	(void)state;
	for (size_t i = 0; i < BIG; i++)
		data[i] = (char)(i * 7 + i / 251);
	got = run(echo, data, BIG, 0, -1);
	assert_int_equal(got.r, 0);
	assert_int_equal(got.out->out_len, BIG);
	assert_memory_equal(got.out->out, data, BIG);
	assert_int_equal(got.out->err_len, 0);
	assert_string_equal(got.out->err, "");
	assert_int_equal(got.out->truncated, 0);
	msb_output_free(got.out);
	free(data);
}

static void a_command_that_writes_before_it_reads_does_not_hang(void **state)
{
	static const char data[300000];
	struct result got;

	(void)state;
	got = run(talks_first, data, sizeof(data), 0, -1);
	assert_int_equal(got.r, 0);
	assert_int_equal(got.out->out_len, 100 * PROTO_DATA_MAX + sizeof(data));
	assert_int_equal(got.out->err_len, 100 * PROTO_DATA_MAX);
	msb_output_free(got.out);
}

static void empty_input_is_an_end_of_file(void **state)
{
	struct result got = run(echo, "", 0, 0, -1);

	(void)state;
	assert_int_equal(got.r, 0);
	assert_int_equal(got.out->code, 0);
	assert_int_equal(got.out->out_len, 0);
	msb_output_free(got.out);
}

static void what_goes_past_the_limit_is_dropped_and_said(void **state)
{
	static const char data[300000];
	struct result got = run(talks_first, data, sizeof(data), 1000, -1);

	(void)state;
	assert_int_equal(got.r, 0);
	assert_int_equal(got.out->out_len, 1000);
	assert_int_equal(got.out->err_len, 1000);
	assert_int_equal(((const char *)got.out->out)[1000], 0);
	assert_int_equal(got.out->truncated, 3);
	msb_output_free(got.out);
	got = run(echo, "12345", 5, 5, -1);
	assert_int_equal(got.out->truncated, 0);
	assert_string_equal(got.out->out, "12345");
	msb_output_free(got.out);
}

static void time_kills_and_leaves_what_was_said(void **state)
{
	struct result got = run(chatters, NULL, 0, 0, 100);

	(void)state;
	assert_int_equal(got.r, -MSB_ERR_TIMEOUT);
	assert_int_equal(got.error.code, MSB_ERR_TIMEOUT);
	assert_int_equal(got.out->signal, 9);
	assert_memory_equal(got.out->out, "again ", 6);
	assert_string_equal(got.out->err, "last words");
	msb_output_free(got.out);
}

static void time_holds_without_an_answer(void **state)
{
	struct result got = run(says_nothing, NULL, 0, 0, 0);

	(void)state;
	assert_int_equal(got.r, -MSB_ERR_TIMEOUT);
	assert_int_equal(got.out->signal, 9);
	msb_output_free(got.out);
}

static void failures_give_no_output(void **state)
{
	struct result got = run(never_ran, NULL, 0, 0, -1);

	(void)state;
	assert_int_equal(got.r, -MSB_ERR_EXEC);
	assert_int_equal(got.error.sys_errno, ENOENT);
	assert_string_equal(got.error.message, "exec: no such file");
	assert_null(got.out);
	got = run(dies, NULL, 0, 0, -1);
	assert_int_equal(got.r, -MSB_ERR_GONE);
	assert_null(got.out);
	got = run(breaks_the_protocol, "x", 1, 0, -1);
	assert_int_equal(got.r, -MSB_ERR_PROTOCOL);
	assert_null(got.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(input_and_output_larger_than_all_buffers_pass),
		cmocka_unit_test(
			a_command_that_writes_before_it_reads_does_not_hang),
		cmocka_unit_test(empty_input_is_an_end_of_file),
		cmocka_unit_test(what_goes_past_the_limit_is_dropped_and_said),
		cmocka_unit_test(time_kills_and_leaves_what_was_said),
		cmocka_unit_test(time_holds_without_an_answer),
		cmocka_unit_test(failures_give_no_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
