/*
 * Sessions given to an msb-vmm and taken back, both played by the test: the
 * agent at one end of the session, msb-vmm at the other end of the control
 * socket, in a thread.
 */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>

#include "fake_agent.h"
#include "lib/sandbox.h"

/* A sandbox that somebody else started, and what its msb-vmm heard. */
struct world {
	struct msb_sandbox sb;
	struct fake agent;
	pthread_t thread;
	int vmm; /* msb-vmm's end */
	/* what it answers, with @give as the descriptor */
	struct proto_msg answer;
	int give;
	/* what it got */
	struct proto_vmm_keep keep;
	uint8_t rest[PROTO_REST_MAX];
	uint64_t take;
	int got; /* the descriptor */
};

static void vmm_answer(struct world *w)
{
	struct buf b = BUF_INIT;

	assert_int_equal(proto_encode(&b, &w->answer), 0);
	assert_true(fd_send(w->vmm, b.data, b.len, &w->give,
	                    w->give >= 0 ? 1 : 0) > 0);
	buf_release(&b);
}

/* Hears one question, keeps what it said, answers. */
static void *vmm(void *arg)
{
	uint8_t *packet = malloc(PROTO_VMM_MAX);
	struct proto_msg msg = {0};
	struct world *w = arg;
	int fds[FD_PASS_MAX] = {-1};
	size_t nfds = 0;
	ssize_t n = fd_recv(w->vmm, packet, PROTO_VMM_MAX, fds, &nfds);

	assert_true(n > 0);
	assert_int_equal(proto_decode(packet, (size_t)n, &msg), n);
	w->got = nfds ? fds[0] : -1;
	if (msg.type == PROTO_VMM_KEEP) {
		w->keep = msg.vmm_keep;
		memcpy(w->rest, msg.vmm_keep.rest.p, msg.vmm_keep.rest.n);
		w->answer.vmm_kept.session = msg.vmm_keep.session;
	} else {
		assert_int_equal(msg.type, PROTO_VMM_TAKE);
		w->take = msg.vmm_take.session;
	}
	vmm_answer(w);
	proto_release(&msg);
	free(packet);
	return NULL;
}

static void begin(struct world *w)
{
	int pair[2];

	*w = (struct world){.give = -1, .got = -1};
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fd_set_nonblock(pair[0]), 0);
	w->vmm = pair[1];
	w->sb.refs = 1000; /* it is no one's to free */
	w->sb.recorded = MSB_STATE_READY;
	w->sb.machine = (struct machine)MACHINE_INIT;
	w->sb.machine.control = pair[0];
	w->sb.machine.state = MSB_STATE_READY;
	w->sb.machine.joined = true;
	w->sb.machine.ready_ns = 1;
	(void)pthread_mutex_init(&w->sb.lock, NULL);
}

static void ask(struct world *w, struct proto_msg answer)
{
	w->answer = answer;
	assert_int_equal(pthread_create(&w->thread, NULL, vmm, w), 0);
}

static void finish(struct world *w)
{
	close_fd(&w->vmm);
	close_fd(&w->got);
	close_fd(&w->sb.machine.control);
	(void)pthread_mutex_destroy(&w->sb.lock);
}

static const struct proto_msg kept = {.type = PROTO_VMM_KEPT};

static void begin_exec(struct world *w, uint32_t flags)
{
	begin(w);
	started(&w->agent, flags);
	w->agent.x->sandbox = &w->sb;
}

static int detach(struct world *w, struct msb_error *error)
{
	int r;

	ask(w, kept);
	r = msb_exec_detach(w->agent.x, error);
	assert_int_equal(pthread_join(w->thread, NULL), 0);
	return r;
}

static void end_exec(struct world *w)
{
	w->agent.x->sandbox = NULL;
	end(&w->agent);
	finish(w);
}

/* ---- giving ------------------------------------------------------------- */

static void what_was_not_read_goes_along(void **state)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	struct proto_msg msg = {0};
	struct world w;

	(void)state;
	begin_exec(&w, MSB_EXEC_TTY | MSB_EXEC_STDIN);
	agent_out(&w.agent, PROTO_STDOUT, "seen");
	agent_out(&w.agent, PROTO_STDOUT, "unseen");
	assert_int_equal(msb_exec_next(w.agent.x, 1000, &ev, NULL), 1);
	assert_memory_equal(ev.data, "seen", 4);
	assert_int_equal(msb_exec_write(w.agent.x, "input", 5, NULL), 5);
	assert_int_equal(detach(&w, NULL), 0);
	assert_int_equal(w.keep.session, msb_exec_session(w.agent.x));
	assert_int_equal(w.keep.is_main, 0);
	assert_int_equal(w.keep.tty, 1);
	assert_int_equal(w.keep.want_stdin, 1);
	assert_int_equal(w.keep.unacked, 5);
	assert_true(proto_decode(w.rest, w.keep.rest.n, &msg) > 0);
	assert_int_equal(msg.type, PROTO_STDOUT);
	assert_memory_equal(msg.stdout_data.data.p, "unseen", 6);
	proto_release(&msg);
	/* the descriptor is the session */
	expect(&w.agent, PROTO_STDIN);
	agent_out(&w.agent, PROTO_STDOUT, "later");
	assert_true(recv(w.got, w.rest, sizeof(w.rest), 0) > 5);
	/* and the handle is of no use */
	assert_int_equal(msb_exec_next(w.agent.x, 0, &ev, NULL), 0);
	end_exec(&w);
}

/* Takes input only after having said more than the sockets hold. */
static void *slow_agent(void *arg)
{
	static char data[PROTO_DATA_MAX];
	struct fake *f = arg;
	struct proto_msg msg = {.type = PROTO_STDOUT};
	size_t got = 0;

	msg.stdout_data.data =
		(struct proto_bytes){(uint8_t *)data, sizeof(data)};
	agent_send(f, msg);
	agent_send(f, msg);
	while (got < PROTO_STDIN_WINDOW) {
		struct proto_msg in = agent_recv(f);

		got += in.stdin_data.data.n;
		proto_release(&in);
	}
	return NULL;
}

static void input_that_was_taken_is_sent_before(void **state)
{
	static const char data[PROTO_STDIN_WINDOW];
	int small = 4096;
	pthread_t agent;
	struct world w;

	(void)state;
	begin_exec(&w, MSB_EXEC_STDIN);
	assert_int_equal(setsockopt(w.agent.x->sock, SOL_SOCKET, SO_SNDBUF,
	                            &small, sizeof(small)),
	                 0);
	assert_int_equal(msb_exec_write(w.agent.x, data, sizeof(data), NULL),
	                 sizeof(data));
	assert_true(w.agent.x->out.len > 0);
	assert_int_equal(pthread_create(&agent, NULL, slow_agent, &w.agent), 0);
	assert_int_equal(detach(&w, NULL), 0);
	assert_int_equal(pthread_join(agent, NULL), 0);
	assert_int_equal(w.keep.unacked, sizeof(data));
	end_exec(&w);
}

static void closed_input_is_said(void **state)
{
	struct world w;

	(void)state;
	begin_exec(&w, MSB_EXEC_STDIN | MSB_EXEC_MAIN);
	assert_int_equal(msb_exec_close_stdin(w.agent.x, NULL), 0);
	assert_int_equal(detach(&w, NULL), 0);
	assert_int_equal(w.keep.want_stdin, 0);
	assert_int_equal(w.keep.is_main, 1);
	assert_int_equal(w.keep.tty, 0);
	end_exec(&w);
}

static void before_the_start_is_too_early(void **state)
{
	struct msb_error error;
	struct world w;

	(void)state;
	begin(&w);
	start(&w.agent, 0);
	w.agent.x->sandbox = &w.sb;
	assert_int_equal(msb_exec_detach(w.agent.x, &error), -MSB_ERR_BUSY);
	end_exec(&w);
}

static void agent_exits(struct world *w, int code)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;

	agent_send(&w->agent, (struct proto_msg){.type = PROTO_EXITED,
	                                         .exited = {.code = code}});
	assert_int_equal(msb_exec_next(w->agent.x, 1000, &ev, NULL), 1);
	assert_int_equal(ev.kind, MSB_EXEC_EXITED);
}

static void a_main_command_that_ended_says_how(void **state)
{
	struct msb_error error;
	struct proto_msg msg = {0};
	struct world w;

	(void)state;
	begin_exec(&w, MSB_EXEC_MAIN);
	agent_exits(&w, 7);
	assert_int_equal(detach(&w, NULL), 0);
	assert_int_equal(w.keep.is_main, 1);
	assert_int_equal(proto_decode(w.rest, w.keep.rest.n, &msg),
	                 w.keep.rest.n);
	assert_int_equal(msg.type, PROTO_EXITED);
	assert_int_equal(msg.exited.code, 7);
	proto_release(&msg);
	assert_int_equal(msb_exec_detach(w.agent.x, &error), -MSB_ERR_GONE);
	end_exec(&w);
	begin_exec(&w, 0);
	agent_exits(&w, 7);
	assert_int_equal(msb_exec_detach(w.agent.x, &error), -MSB_ERR_GONE);
	end_exec(&w);
}

static void a_refusal_is_an_error(void **state)
{
	struct msb_error error;
	struct world w;
	struct proto_msg no = kept;

	(void)state;
	no.vmm_kept.error = ENOSPC;
	begin_exec(&w, 0);
	ask(&w, no);
	assert_int_equal(msb_exec_detach(w.agent.x, &error), -MSB_ERR_IO);
	assert_non_null(strstr(error.message, "No space"));
	assert_int_equal(pthread_join(w.thread, NULL), 0);
	end_exec(&w);
}

/* ---- taking ------------------------------------------------------------- */

/* Ask for @session; the session's far end is w->agent.sock. */
static int take(struct world *w, uint64_t session, struct proto_msg answer,
                int give, struct msb_exec **ret, struct msb_error *error)
{
	int r;

	w->give = give;
	ask(w, answer);
	r = msb_exec_attach(&w->sb, session, ret, error);
	assert_int_equal(pthread_join(w->thread, NULL), 0);
	close_fd(&w->give);
	return r;
}

static int session_socket(struct world *w, int type)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 0);
	close_fd(&w->agent.sock);
	w->agent = (struct fake){.sock = pair[1], .in = BUF_INIT};
	return pair[0];
}

static struct proto_msg taken(void)
{
	return (struct proto_msg){
		.type = PROTO_VMM_TAKEN,
		.vmm_taken = {.session = 42,
	                      .is_main = 1,
	                      .tty = 1,
	                      .want_stdin = 1,
	                      .no_log = 1,
	                      .unacked = 9}
        };
}

static void a_session_goes_on_where_it_was(void **state)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	struct proto_msg answer = taken(), said = {.type = PROTO_STDOUT};
	struct buf b = BUF_INIT;
	struct msb_exec *x;
	struct world w;

	(void)state;
	begin(&w);
	w.agent.sock = -1;
	said.stdout_data.data = (struct proto_bytes){(uint8_t *)"before", 6};
	assert_int_equal(proto_encode(&b, &said), 0);
	answer.vmm_taken.rest = (struct proto_bytes){b.data, 9}; /* cut */
	assert_int_equal(
		take(&w, 0, answer, session_socket(&w, SOCK_STREAM), &x, NULL),
		0);
	assert_int_equal(w.take, 0);
	assert_int_equal(msb_exec_session(x), 42);
	assert_true(msb_exec_is_tty(x));
	assert_true(x->is_main);
	assert_int_equal(msb_exec_unread(x), 9);
	assert_int_equal(msb_exec_next(x, 0, &ev, NULL), 0);
	assert_int_equal(fd_write_full(w.agent.sock, b.data + 9, b.len - 9), 0);
	assert_int_equal(msb_exec_next(x, 1000, &ev, NULL), 1);
	assert_int_equal(ev.len, 6);
	assert_memory_equal(ev.data, "before", 6);
	assert_int_equal(msb_exec_write(x, "on", 2, NULL), 2);
	expect(&w.agent, PROTO_STDIN);
	agent_send(&w.agent, (struct proto_msg){.type = PROTO_EXITED});
	assert_int_equal(msb_exec_next(x, 1000, &ev, NULL), 1);
	assert_int_equal(ev.kind, MSB_EXEC_EXITED);
	x->sandbox = NULL;
	msb_exec_free(x);
	buf_release(&b);
	buf_release(&w.agent.in);
	close_fd(&w.agent.sock);
	finish(&w);
}

static void nobody_there_is_not_found(void **state)
{
	struct proto_msg answer = taken();
	struct msb_error error;
	struct msb_exec *x = NULL;
	struct world w;

	(void)state;
	begin(&w);
	w.agent.sock = -1;
	answer.vmm_taken = (struct proto_vmm_taken){.error = ENOENT};
	assert_int_equal(take(&w, 77, answer, -1, &x, &error),
	                 -MSB_ERR_NOT_FOUND);
	assert_non_null(strstr(error.message, "77"));
	assert_int_equal(w.take, 77);
	assert_int_equal(take(&w, 0, answer, -1, &x, &error),
	                 -MSB_ERR_NOT_FOUND);
	assert_null(x);
	finish(&w);
}

static void refuse(uint64_t session, struct proto_msg answer, int type)
{
	struct msb_error error;
	struct msb_exec *x = NULL;
	struct world w;
	int fd;

	begin(&w);
	w.agent.sock = -1;
	fd = type < 0 ? -1 : session_socket(&w, type);
	assert_int_equal(take(&w, session, answer, fd, &x, &error),
	                 -MSB_ERR_PROTOCOL);
	assert_null(x);
	close_fd(&w.agent.sock);
	finish(&w);
}

static void a_hostile_msb_vmm_is_refused(void **state)
{
	struct proto_msg m = taken();

	(void)state;
	refuse(0, m, -1);             /* no descriptor */
	refuse(0, m, SOCK_SEQPACKET); /* not a session */
	refuse(0, m, SOCK_DGRAM);
	refuse(43, m, SOCK_STREAM); /* another one than was asked for */
	m.vmm_taken.unacked = PROTO_STDIN_WINDOW + 1;
	refuse(0, m, SOCK_STREAM);
	m = taken();
	m.vmm_taken.session = 0;
	refuse(0, m, SOCK_STREAM);
	m.vmm_taken.session = UINT64_MAX;
	refuse(0, m, SOCK_STREAM);
}

static void a_file_is_no_session(void **state)
{
	struct msb_error error;
	struct msb_exec *x = NULL;
	struct world w;

	(void)state;
	begin(&w);
	w.agent.sock = -1;
	assert_int_equal(take(&w, 0, taken(),
	                      open("/dev/null", O_RDWR | O_CLOEXEC), &x,
	                      &error),
	                 -MSB_ERR_PROTOCOL);
	finish(&w);
}

static void rubbish_in_what_was_read_ends_the_session(void **state)
{
	static const uint8_t garbage[] = {0xff, 0xff, 0xff, 0x7f, 21, 0, 0, 0};
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	struct proto_msg answer = taken();
	struct msb_exec *x;
	struct world w;

	(void)state;
	begin(&w);
	w.agent.sock = -1;
	answer.vmm_taken.rest = (struct proto_bytes){garbage, sizeof(garbage)};
	assert_int_equal(
		take(&w, 0, answer, session_socket(&w, SOCK_STREAM), &x, NULL),
		0);
	assert_int_equal(msb_exec_next(x, 1000, &ev, NULL), -MSB_ERR_PROTOCOL);
	x->sandbox = NULL;
	msb_exec_free(x);
	close_fd(&w.agent.sock);
	finish(&w);
}

static void an_msb_vmm_that_dies_is_gone(void **state)
{
	struct msb_error error;
	struct msb_exec *x = NULL;
	struct world w;

	(void)state;
	begin(&w);
	close_fd(&w.vmm);
	assert_int_equal(msb_exec_attach(&w.sb, 0, &x, &error), -MSB_ERR_GONE);
	finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_not_read_goes_along),
		cmocka_unit_test(input_that_was_taken_is_sent_before),
		cmocka_unit_test(closed_input_is_said),
		cmocka_unit_test(before_the_start_is_too_early),
		cmocka_unit_test(a_main_command_that_ended_says_how),
		cmocka_unit_test(a_refusal_is_an_error),
		cmocka_unit_test(a_session_goes_on_where_it_was),
		cmocka_unit_test(nobody_there_is_not_found),
		cmocka_unit_test(a_hostile_msb_vmm_is_refused),
		cmocka_unit_test(a_file_is_no_session),
		cmocka_unit_test(rubbish_in_what_was_read_ends_the_session),
		cmocka_unit_test(an_msb_vmm_that_dies_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
