/* The control socket with an msb-vmm played by the test or a small child. */
#include "lib/test.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "lib/error.h"
#include "lib/machine.h"

struct fake {
	struct machine m;
	int vmm; /* its end */
};

static void setup(struct fake *f)
{
	int pair[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fd_set_nonblock(pair[0]), 0);
	*f = (struct fake){.m = MACHINE_INIT, .vmm = pair[1]};
	f->m.control = pair[0];
}

static void teardown(struct fake *f)
{
	close_fd(&f->vmm);
	machine_release(&f->m);
}

static void say(struct fake *f, struct proto_msg msg)
{
	struct buf b = BUF_INIT;

	assert_int_equal(proto_encode(&b, &msg), 0);
	assert_true(fd_send(f->vmm, b.data, b.len, NULL, 0) > 0);
	buf_release(&b);
}

static struct proto_msg ready_msg(void)
{
	static char *const walls[] = {(char *)"empty-root", (char *)"seccomp",
	                              NULL};

	return (struct proto_msg){
		.type = PROTO_VMM_READY,
		.vmm_ready = {.spawn_ns = 1,
	                      .init_ns = 2,
	                      .ready_ns = 3,
	                      .jail = {walls, 2}}
        };
}

static void ready_carries_the_times(void **state)
{
	struct fake f;

	(void)state;
	setup(&f);
	say(&f,
	    (struct proto_msg){
		    .type = PROTO_VMM_STARTED,
		    .vmm_started = {
				    .engine = "qemu", .accel = "tcg", .spawn_ns = 1}
        });
	say(&f, ready_msg());
	machine_process(&f.m);
	assert_int_equal(f.m.state, MSB_STATE_READY);
	assert_string_equal(f.m.engine, "qemu");
	assert_string_equal(f.m.accel, "tcg");
	assert_int_equal(f.m.walls.n, 2);
	assert_string_equal(f.m.walls.v[0], "empty-root");
	assert_int_equal(f.m.ready_ns, 3);
	teardown(&f);
}

static void failure_keeps_message_hint_and_console(void **state)
{
	struct err err = {0};
	struct fake f;

	(void)state;
	setup(&f);
	say(&f,
	    (struct proto_msg){
		    .type = PROTO_VMM_FAILED,
		    .vmm_failed = {.error = ETIMEDOUT,
	                           .stage = "boot",
	                           .message = "no answer",
	                           .hint = "try more memory",
	                           .console = {(const uint8_t *)"panic!", 6}}
        });
	machine_process(&f.m);
	assert_int_equal(f.m.state, MSB_STATE_FAILED);
	assert_int_equal(machine_end_error(&f.m, &err), -LIB_EBOOT);
	assert_string_equal(err.msg, "no answer");
	assert_string_equal(err.hint, "try more memory");
	assert_string_equal(f.m.console, "panic!");
	teardown(&f);
}

static void an_unasked_end_is_an_error(void **state)
{
	struct err err = {0};
	struct fake f;

	(void)state;
	setup(&f);
	say(&f, ready_msg());
	say(&f, (struct proto_msg){
			.type = PROTO_VMM_EXITED,
			.vmm_exited = {.reason = "panic", .message = "Oops"}
        });
	machine_process(&f.m);
	assert_int_equal(f.m.state, MSB_STATE_CRASHED);
	assert_int_equal(machine_end_error(&f.m, &err), -LIB_EGONE);
	assert_non_null(strstr(err.msg, "panic"));
	assert_non_null(strstr(err.msg, "Oops"));
	teardown(&f);
}

/* As the record tells it by the same reason. */
static void the_reason_of_the_end_is_the_state(void **state)
{
	static const struct {
		const char *reason;
		enum msb_state state;
	} ends[] = {
		{"poweroff",   MSB_STATE_STOPPED},
		{"killed",     MSB_STATE_STOPPED},
		{"agent_lost", MSB_STATE_CRASHED},
		{"crashed",    MSB_STATE_CRASHED},
		{"failed",     MSB_STATE_CRASHED},
		{"",           MSB_STATE_CRASHED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct fake f;

		setup(&f);
		say(&f, ready_msg());
		say(&f, (struct proto_msg){
				.type = PROTO_VMM_EXITED,
				.vmm_exited = {.reason = ends[i].reason,
		                               .message = ""}
                });
		machine_process(&f.m);
		assert_int_equal(f.m.state, ends[i].state);
		assert_true(machine_has_ended(&f.m));
		teardown(&f);
	}
}

static struct proto_msg stats_reply(uint64_t cookie)
{
	return (struct proto_msg){.type = PROTO_VMM_STATS_REPLY,
	                          .vmm_stats_reply = {.cookie = cookie}};
}

static int ask_stats(struct fake *f, uint64_t cookie, int timeout_ms,
                     struct machine_answer *ret)
{
	const struct proto_msg q = {.type = PROTO_VMM_STATS,
	                            .vmm_stats = {cookie}};

	return machine_ask(&f->m, &q, -1, PROTO_VMM_STATS_REPLY, timeout_ms,
	                   ret);
}

/* Answers, once it was asked. */
static void answer(struct fake *f)
{
	uint8_t packet[256];

	if (recv(f->vmm, packet, sizeof(packet), 0) > 0) {
		say(f, stats_reply(6)); /* of a question given up */
		say(f, ready_msg());
		say(f, stats_reply(7));
		say(f, stats_reply(7)); /* nobody asked */
	}
	_exit(0);
}

static void an_answer_is_told_from_older_ones_and_from_news(void **state)
{
	struct machine_answer a = {.fd = -1};
	struct fake f;
	pid_t pid;
	int st;

	(void)state;
	setup(&f);
	pid = fork();
	if (pid == 0)
		answer(&f);
	assert_int_equal(ask_stats(&f, 7, 5000, &a), 0);
	assert_int_equal(a.msg.vmm_stats_reply.cookie, 7);
	assert_int_equal(a.fd, -1);
	assert_int_equal(f.m.state, MSB_STATE_READY);
	machine_answer_release(&a);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	machine_process(&f.m);
	assert_false(f.m.hung_up);
	teardown(&f);
}

static void a_question_has_a_time_limit_and_ends_with_the_machine(void **state)
{
	struct machine_answer a = {.fd = -1};
	struct fake f;

	(void)state;
	setup(&f);
	assert_int_equal(ask_stats(&f, 1, 30, &a), -ETIMEDOUT);
	say(&f, (struct proto_msg){
			.type = PROTO_VMM_EXITED,
			.vmm_exited = {.reason = "exited",
	                               .message = "",
	                               .exit_code = 3}
        });
	assert_int_equal(ask_stats(&f, 2, 1000, &a), -LIB_EGONE);
	assert_string_equal(f.m.end_reason, "exited");
	assert_int_equal(f.m.exit_code, 3);
	assert_int_equal(ask_stats(&f, 3, -1, &a), -LIB_EGONE);
	teardown(&f);
}

static struct proto_msg exited_msg(const char *console)
{
	return (struct proto_msg){
		.type = PROTO_VMM_EXITED,
		.vmm_exited = {.reason = "panic",
	                       .message = "",
	                       .console = {(const uint8_t *)console,
	                                   (uint32_t)strlen(console)}}
        };
}

/* The console's text and the engine's name were given out by then. */
static void it_starts_and_ends_once(void **state)
{
	struct proto_msg started = {
		.type = PROTO_VMM_STARTED,
		.vmm_started = {
				.engine = "qemu", .accel = "tcg", .spawn_ns = 1}
        };
	const char *console;
	struct fake f;

	(void)state;
	setup(&f);
	say(&f, started);
	started.vmm_started.engine = "other";
	say(&f, started);
	machine_process(&f.m);
	assert_string_equal(f.m.engine, "qemu");
	say(&f, exited_msg("first"));
	machine_process(&f.m);
	assert_int_equal(f.m.state, MSB_STATE_FAILED);
	console = f.m.console;
	say(&f, exited_msg("second"));
	say(&f,
	    (struct proto_msg){
		    .type = PROTO_VMM_FAILED,
		    .vmm_failed = {.stage = "", .message = "", .hint = ""}
        });
	say(&f, started);
	say(&f, ready_msg());
	machine_process(&f.m);
	assert_int_equal(f.m.state, MSB_STATE_FAILED);
	assert_ptr_equal(f.m.console, console);
	assert_string_equal(console, "first");
	assert_int_equal(f.m.ready_ns, 0);
	teardown(&f);
}

/* Says the same for ever, as fast as it can. */
static pid_t flood(struct fake *f)
{
	const struct proto_msg msg = stats_reply(1);
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct buf b = BUF_INIT;

		close(f->m.control);
		if (proto_encode(&b, &msg) == 0)
			while (fd_send(f->vmm, b.data, b.len, NULL, 0) > 0)
				;
		_exit(0);
	}
	return pid;
}

static void who_never_stops_talking_holds_nobody(void **state)
{
	struct machine_answer a = {.fd = -1};
	struct fake f;
	int st;

	(void)state;
	setup(&f);
	f.m.pid = flood(&f);
	(void)alarm(20); /* the test's end, if it did */
	machine_process(&f.m);
	assert_int_equal(ask_stats(&f, 7, 50, &a), -ETIMEDOUT);
	assert_int_equal(machine_wait_end(&f.m, 50), -ETIMEDOUT);
	machine_kill(&f.m);
	assert_true(machine_has_ended(&f.m));
	assert_int_equal(waitpid(-1, &st, 0), -1);
	(void)alarm(0);
	teardown(&f);
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* It cleans up and writes its end meanwhile. */
static void a_signal_to_the_caller_does_not_cut_its_end_short(void **state)
{
	const struct sigaction act = {.sa_handler = on_alarm};
	struct sigaction before;
	struct fake f;
	char c;

	(void)state;
	setup(&f);
	assert_int_equal(sigaction(SIGUSR1, &act, &before), 0);
	f.m.pid = fork();
	assert_true(f.m.pid >= 0);
	if (f.m.pid == 0) {
		close(f.m.control);
		(void)!recv(f.vmm, &c, 1, 0); /* the line is closed */
		(void)usleep(50000);
		(void)kill(getppid(), SIGUSR1);
		(void)usleep(200000);
		_exit(3);
	}
	close_fd(&f.vmm);
	machine_kill(&f.m);
	assert_true(WIFEXITED(f.m.wait_status));
	assert_int_equal(WEXITSTATUS(f.m.wait_status), 3);
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
	teardown(&f);
}

static void broken(struct fake *f)
{
	machine_process(&f->m);
	assert_int_equal(f->m.state, MSB_STATE_FAILED);
	assert_true(f->m.hung_up);
	teardown(f);
}

static void a_broken_packet_ends_it(void **state)
{
	struct fake f;

	(void)state;
	setup(&f);
	assert_true(fd_send(f.vmm, "garbage!", 8, NULL, 0) > 0);
	broken(&f);
	setup(&f); /* a message that only the guest sends */
	say(&f, (struct proto_msg){.type = PROTO_READY});
	broken(&f);
	setup(&f); /* shorter than its length says */
	assert_true(fd_send(f.vmm, "\x10\0\0\0\x40\0\0\0", 8, NULL, 0) > 0);
	broken(&f);
}

static void the_reason_is_read_though_it_left_a_packet_unread(void **state)
{
	struct err err = {0};
	struct fake f;
	int pair[2];

	(void)state;
	setup(&f);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(machine_connect(&f.m, pair[1], 1), 0);
	say(&f, (struct proto_msg){
			.type = PROTO_VMM_FAILED,
			.vmm_failed = {.error = ENOMEM,
	                               .stage = "engine",
	                               .message = "too much",
	                               .hint = "less"}
        });
	close_fd(&f.vmm);
	machine_process(&f.m);
	assert_int_equal(machine_end_error(&f.m, &err), -LIB_EBOOT);
	assert_string_equal(err.msg, "too much");
	assert_true(f.m.hung_up);
	close(pair[0]);
	close(pair[1]);
	teardown(&f);
}

static void descriptors_that_it_sends_are_closed(void **state)
{
	struct proto_msg msg = ready_msg();
	struct buf b = BUF_INIT;
	int pipe_fds[2];
	struct fake f;
	char c;

	(void)state;
	setup(&f);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(proto_encode(&b, &msg), 0);
	assert_true(fd_send(f.vmm, b.data, b.len, &pipe_fds[1], 1) > 0);
	close(pipe_fds[1]);
	machine_process(&f.m);
	assert_int_equal(f.m.state, MSB_STATE_READY);
	assert_int_equal(read(pipe_fds[0], &c, 1), 0); /* no writer is left */
	close(pipe_fds[0]);
	buf_release(&b);
	teardown(&f);
}

/* A child that holds the vmm's end until it is killed or told to go. */
static void with_child(struct fake *f, int exit_code)
{
	setup(f);
	f->m.pid = fork();
	assert_true(f->m.pid >= 0);
	if (f->m.pid == 0) {
		close(f->m.control);
		if (exit_code >= 0)
			_exit(exit_code);
		for (;;)
			(void)pause();
	}
	close_fd(&f->vmm);
}

static void a_vmm_that_vanishes_is_explained(void **state)
{
	struct err err = {0};
	struct fake f;

	(void)state;
	with_child(&f, 3);
	assert_int_equal(machine_wait_end(&f.m, 5000), 0);
	assert_int_equal(machine_end_error(&f.m, &err), -LIB_EBOOT);
	assert_non_null(strstr(err.msg, "exit code 3"));
	assert_int_equal(f.m.pid, 0);
	teardown(&f);
}

static void a_vmm_that_its_jail_stopped_is_explained(void **state)
{
	struct err err = {0};
	struct fake f;

	(void)state;
	with_child(&f, 128 + SIGSYS);
	assert_int_equal(machine_wait_end(&f.m, 5000), 0);
	assert_int_equal(machine_end_error(&f.m, &err), -LIB_EBOOT);
	assert_non_null(strstr(err.msg, "its own jail"));
	teardown(&f);
}

static void kill_reaps_the_process(void **state)
{
	struct fake f;
	pid_t pid;

	(void)state;
	with_child(&f, -1);
	pid = f.m.pid;
	assert_int_equal(machine_wait_end(&f.m, 20), -ETIMEDOUT);
	machine_kill(&f.m);
	assert_int_equal(f.m.pid, 0);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_true(machine_has_ended(&f.m));
	teardown(&f);
}

static void a_killed_vmm_hangs_up(void **state)
{
	struct err err = {0};
	struct fake f;

	(void)state;
	with_child(&f, -1);
	assert_int_equal(kill(f.m.pid, SIGKILL), 0);
	assert_int_equal(machine_wait_end(&f.m, 5000), 0);
	assert_int_equal(f.m.state, MSB_STATE_FAILED);
	assert_int_equal(machine_end_error(&f.m, &err), -LIB_EBOOT);
	assert_non_null(strstr(err.msg, "signal 9"));
	teardown(&f);
}

static void a_line_that_ends_without_a_word_is_a_crash(void **state)
{
	struct err err = {0};
	struct fake f;

	(void)state;
	setup(&f);
	f.m.joined = true;
	say(&f, ready_msg());
	machine_process(&f.m);
	close_fd(&f.vmm);
	machine_process(&f.m);
	assert_int_equal(f.m.state, MSB_STATE_CRASHED);
	assert_int_equal(machine_end_error(&f.m, &err), -LIB_EGONE);
	teardown(&f);
}

static void connect_passes_the_socket(void **state)
{
	struct proto_msg msg = {0};
	int pair[2], fds[FD_PASS_MAX];
	size_t nfds = 0;
	uint8_t data[64];
	struct fake f;
	ssize_t n;
	char c;

	(void)state;
	setup(&f);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(machine_connect(&f.m, pair[1], PROTO_PORT_AGENT), 0);
	close(pair[1]);
	n = fd_recv(f.vmm, data, sizeof(data), fds, &nfds);
	assert_int_equal(nfds, 1);
	assert_int_equal(proto_decode(data, (size_t)n, &msg), n);
	assert_int_equal(msg.type, PROTO_VMM_CONNECT);
	assert_int_equal(msg.vmm_connect.port, PROTO_PORT_AGENT);
	assert_int_equal(write(fds[0], "x", 1), 1);
	assert_int_equal(read(pair[0], &c, 1), 1);
	close(fds[0]);
	close(pair[0]);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ready_carries_the_times),
		cmocka_unit_test(failure_keeps_message_hint_and_console),
		cmocka_unit_test(an_unasked_end_is_an_error),
		cmocka_unit_test(the_reason_of_the_end_is_the_state),
		cmocka_unit_test(
			an_answer_is_told_from_older_ones_and_from_news),
		cmocka_unit_test(
			a_question_has_a_time_limit_and_ends_with_the_machine),
		cmocka_unit_test(it_starts_and_ends_once),
		cmocka_unit_test(who_never_stops_talking_holds_nobody),
		cmocka_unit_test(
			a_signal_to_the_caller_does_not_cut_its_end_short),
		cmocka_unit_test(a_broken_packet_ends_it),
		cmocka_unit_test(
			the_reason_is_read_though_it_left_a_packet_unread),
		cmocka_unit_test(descriptors_that_it_sends_are_closed),
		cmocka_unit_test(a_vmm_that_vanishes_is_explained),
		cmocka_unit_test(a_vmm_that_its_jail_stopped_is_explained),
		cmocka_unit_test(kill_reaps_the_process),
		cmocka_unit_test(a_killed_vmm_hangs_up),
		cmocka_unit_test(a_line_that_ends_without_a_word_is_a_crash),
		cmocka_unit_test(connect_passes_the_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
