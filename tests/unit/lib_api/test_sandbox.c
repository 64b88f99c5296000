/* One sandbox in the hands of many threads, with a msb-vmm of our own. */
#include "lib/test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "lib/exec.h"
#include "lib/sandbox.h"

#define CROWD   12
#define ROUNDS  200
#define SOON_NS (2000 * NS_PER_MS)

struct world {
	struct msb_sandbox *sb;
	pthread_t vmm;
	int line;           /* msb-vmm's end */
	atomic_bool silent; /* it answers nothing */
};

static void say(const struct world *w, struct proto_msg msg)
{
	struct buf cleanup_buf b = BUF_INIT;
	struct pollfd pf = {.fd = w->line, .events = POLLOUT};
	ssize_t n;

	assert_int_equal(proto_encode(&b, &msg), 0);
	while ((n = fd_send(w->line, b.data, b.len, NULL, 0)) == -EAGAIN)
		(void)poll(&pf, 1, 1000);
	assert_true(n > 0);
}

static void say_ready(const struct world *w)
{
	say(w, (struct proto_msg){
		       .type = PROTO_VMM_READY,
		       .vmm_ready = {.spawn_ns = 1, .ready_ns = 2}
        });
}

static void say_exited(const struct world *w)
{
	say(w, (struct proto_msg){
		       .type = PROTO_VMM_EXITED,
		       .vmm_exited = {.reason = "poweroff", .message = ""}
        });
}

static void answer(const struct world *w, const struct proto_msg *q)
{
	if (q->type == PROTO_VMM_PING)
		say(w, (struct proto_msg){.type = PROTO_VMM_PONG,
		                          .vmm_pong = {q->vmm_ping.cookie}});
	if (q->type == PROTO_VMM_TAKE)
		say(w, (struct proto_msg){
			       .type = PROTO_VMM_TAKEN,
			       .vmm_taken = {.session = q->vmm_take.session,
		                             .error = EIO}
                });
	if (q->type == PROTO_VMM_STATS)
		say(w, (struct proto_msg){
			       .type = PROTO_VMM_STATS_REPLY,
			       .vmm_stats_reply = {
						   .cookie = q->vmm_stats.cookie,
						   .time_ns = q->vmm_stats.cookie}
                });
}

/* Until its line ends, or it was told to stop. */
static void *vmm(void *arg)
{
	static const size_t max = PROTO_VMM_MAX;
	struct world *w = arg;
	cleanup_free uint8_t *packet = malloc(max);
	bool stopped = false;

	assert_non_null(packet);
	while (!stopped) {
		struct proto_msg cleanup_proto q = {0};
		ssize_t n = recv(w->line, packet, max, 0);

		if (n <= 0)
			break;
		assert_int_equal(proto_decode(packet, (size_t)n, &q), n);
		stopped = q.type == PROTO_VMM_STOP && !w->silent;
		if (stopped)
			say_exited(w);
		else if (!w->silent)
			answer(w, &q);
	}
	(void)shutdown(w->line, SHUT_RDWR);
	return NULL;
}

static void begin(struct world *w)
{
	int pair[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fd_set_nonblock(pair[0]), 0);
	w->line = pair[1];
	w->sb = sandbox_new();
	assert_non_null(w->sb);
	(void)snprintf(w->sb->name, sizeof(w->sb->name), "box");
	w->sb->machine.control = pair[0];
	assert_int_equal(pthread_create(&w->vmm, NULL, vmm, w), 0);
}

static void end(struct world *w)
{
	(void)shutdown(w->line, SHUT_RDWR);
	assert_int_equal(pthread_join(w->vmm, NULL), 0);
	msb_sandbox_free(w->sb);
	close_fd(&w->line);
}

/* Counts what went wrong: cmocka's asserts are for its own thread. */
static void *ask_often(void *arg)
{
	struct msb_metrics m = MSB_METRICS_INIT;
	struct world *w = arg;
	uint64_t before = 0, ns;
	intptr_t bad = 0;

	for (int i = 0; i < ROUNDS; i++) {
		if (msb_sandbox_ping(w->sb, 5000, &ns, NULL) < 0)
			bad++;
		/* Numbers of one's own answers grow. */
		if (msb_sandbox_metrics(w->sb, &m, NULL) < 0 ||
		    m.time_ns <= before)
			bad++;
		before = m.time_ns;
		if (msb_sandbox_state(w->sb) != MSB_STATE_READY)
			bad++;
	}
	return (void *)bad;
}

static void each_thread_gets_its_answers(void **state)
{
	struct world all = {0}, *w = &all;
	pthread_t threads[CROWD];
	void *bad;

	(void)state;
	begin(w);
	say_ready(w);
	assert_int_equal(msb_sandbox_wait_ready(w->sb, 5000, NULL), 0);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, ask_often, w), 0);
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(pthread_join(threads[i], &bad), 0);
		assert_null(bad);
	}
	end(w);
}

static void *wait_ready(void *arg)
{
	return (void *)(intptr_t)msb_sandbox_wait_ready(arg, 10000, NULL);
}

static void *wait_end(void *arg)
{
	return (void *)(intptr_t)msb_sandbox_wait(arg, 10000, NULL);
}

static void *stop(void *arg)
{
	return (void *)(intptr_t)msb_sandbox_stop(arg, 5000, NULL);
}

static void all_who_wait_hear_of_a_state(void **state)
{
	pthread_t threads[2 * CROWD];
	struct world w = {0};
	void *r;

	(void)state;
	begin(&w);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, wait_ready, w.sb), 0);
	(void)usleep(20000);
	say_ready(&w);
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(pthread_join(threads[i], &r), 0);
		assert_null(r);
	}
	for (int i = 0; i < 2 * CROWD; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
		                                i % 4 ? wait_end : stop, w.sb),
		                 0);
	for (int i = 0; i < 2 * CROWD; i++) {
		assert_int_equal(pthread_join(threads[i], &r), 0);
		assert_null(r);
	}
	assert_int_equal(msb_sandbox_state(w.sb), MSB_STATE_STOPPED);
	end(&w);
}

/* Also what another call took from the line. */
static void the_descriptor_tells_of_each_state(void **state)
{
	struct pollfd pf = {.events = POLLIN};
	struct world w = {0};

	(void)state;
	begin(&w);
	pf.fd = msb_sandbox_fd(w.sb);
	assert_int_equal(pf.fd, msb_sandbox_fd(w.sb));
	assert_int_equal(poll(&pf, 1, 10000), 1); /* nobody has looked yet */
	assert_int_equal(msb_sandbox_state(w.sb), MSB_STATE_STARTING);
	assert_int_equal(poll(&pf, 1, 0), 0);
	say_ready(&w);
	assert_int_equal(msb_sandbox_wait_ready(w.sb, 5000, NULL), 0);
	assert_int_equal(poll(&pf, 1, 0), 1);
	assert_int_equal(msb_sandbox_state(w.sb), MSB_STATE_READY);
	assert_int_equal(poll(&pf, 1, 0), 0);
	assert_int_equal(msb_sandbox_ping(w.sb, 5000, NULL, NULL), 0);
	assert_int_equal(poll(&pf, 1, 0), 0); /* an answer is no state */
	say_exited(&w);
	assert_int_equal(poll(&pf, 1, 5000), 1);
	assert_int_equal(msb_sandbox_state(w.sb), MSB_STATE_STOPPED);
	end(&w);
}

/* ---- cancelled ----------------------------------------------------------- */

struct later {
	struct msb_cancel *token;
	pthread_t thread;
	uint64_t fired_ns;
};

static void *fire_later(void *arg)
{
	struct later *l = arg;

	(void)usleep(30000);
	l->fired_ns = clock_now_ns();
	msb_cancel_fire(l->token);
	return NULL;
}

static void use_token(struct later *l)
{
	assert_int_equal(msb_cancel_new(&l->token, NULL), 0);
	msb_cancel_use(l->token);
	assert_int_equal(pthread_create(&l->thread, NULL, fire_later, l), 0);
}

static void free_token(struct later *l)
{
	uint64_t now = clock_now_ns();

	assert_int_equal(pthread_join(l->thread, NULL), 0);
	assert_true(now < l->fired_ns + SOON_NS);
	msb_cancel_use(NULL);
	msb_cancel_free(l->token);
}

static int do_ready(struct msb_sandbox *sb, struct msb_error *e)
{
	return msb_sandbox_wait_ready(sb, -1, e);
}

static int do_wait(struct msb_sandbox *sb, struct msb_error *e)
{
	return msb_sandbox_wait(sb, -1, e);
}

static int do_stop(struct msb_sandbox *sb, struct msb_error *e)
{
	return msb_sandbox_stop(sb, 60000, e);
}

static int do_ping(struct msb_sandbox *sb, struct msb_error *e)
{
	return msb_sandbox_ping(sb, 60000, NULL, e);
}

static int do_metrics(struct msb_sandbox *sb, struct msb_error *e)
{
	struct msb_metrics m = MSB_METRICS_INIT;

	return msb_sandbox_metrics(sb, &m, e);
}

static int do_attach(struct msb_sandbox *sb, struct msb_error *e)
{
	struct msb_exec *x;

	return msb_exec_attach(sb, 7, &x, e);
}

static void each_wait_ends_by_a_token(void **state)
{
	static int (*const calls[])(struct msb_sandbox *,
	                            struct msb_error *) = {
		do_ready, do_wait, do_ping, do_metrics, do_attach, do_stop};
	struct world w = {.silent = true};

	(void)state;
	begin(&w);
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		struct later l = {0};
		struct msb_error e = {0};

		use_token(&l);
		assert_int_equal(calls[i](w.sb, &e), -MSB_ERR_CANCELLED);
		assert_int_equal(e.code, MSB_ERR_CANCELLED);
		assert_string_equal(e.message, "cancelled");
		free_token(&l);
	}
	/* It goes on, and so does the handle. */
	assert_int_equal(msb_sandbox_state(w.sb), MSB_STATE_STARTING);
	say_ready(&w);
	assert_int_equal(msb_sandbox_wait_ready(w.sb, 5000, NULL), 0);
	say_exited(&w);
	assert_int_equal(msb_sandbox_wait(w.sb, 5000, NULL), 0);
	end(&w);
}

/* The one that was given up is answered first. */
static void an_answer_nobody_waits_for_is_nobody_elses(void **state)
{
	const struct proto_msg taken = {
		.type = PROTO_VMM_TAKEN,
		.vmm_taken = {.session = 7, .error = ENOENT}
        };
	struct world w = {.silent = true};
	struct later l = {0};
	struct msb_error e;
	struct msb_exec *x;

	(void)state;
	begin(&w);
	say_ready(&w);
	use_token(&l);
	assert_int_equal(msb_exec_attach(w.sb, 7, &x, NULL),
	                 -MSB_ERR_CANCELLED);
	free_token(&l);
	say(&w, taken);
	w.silent = false;
	assert_int_equal(msb_exec_attach(w.sb, 8, &x, &e), -MSB_ERR_IO);
	end(&w);
}

static void *attach_8(void *arg)
{
	struct msb_exec *x;
	struct msb_error e;

	return (void *)(intptr_t)msb_exec_attach(arg, 8, &x, &e);
}

/* Nor is the answer of who asked before it thrown away. */
static void who_asked_before_one_that_gave_up_is_answered(void **state)
{
	struct proto_msg taken = {
		.type = PROTO_VMM_TAKEN,
		.vmm_taken = {.session = 8, .error = EIO}
        };
	struct world w = {.silent = true};
	struct later l = {0};
	struct msb_exec *x;
	pthread_t thread;
	void *first;

	(void)state;
	begin(&w);
	say_ready(&w);
	assert_int_equal(pthread_create(&thread, NULL, attach_8, w.sb), 0);
	while (!pthread_mutex_lock(&w.sb->lock) && !w.sb->machine.takes) {
		(void)pthread_mutex_unlock(&w.sb->lock);
		(void)usleep(1000);
	}
	(void)pthread_mutex_unlock(&w.sb->lock);
	use_token(&l);
	assert_int_equal(msb_exec_attach(w.sb, 7, &x, NULL),
	                 -MSB_ERR_CANCELLED);
	free_token(&l);
	say(&w, taken);
	taken.vmm_taken.session = 7;
	taken.vmm_taken.error = ENOENT;
	say(&w, taken);
	assert_int_equal(pthread_join(thread, &first), 0);
	assert_int_equal((int)(intptr_t)first, -MSB_ERR_IO);
	end(&w);
}

static void a_token_that_was_fired_is_for_waits(void **state)
{
	struct world w = {0};
	struct msb_cancel *token;

	(void)state;
	begin(&w);
	say_ready(&w);
	assert_int_equal(msb_sandbox_wait_ready(w.sb, 5000, NULL), 0);
	assert_int_equal(msb_cancel_new(&token, NULL), 0);
	msb_cancel_use(token);
	msb_cancel_fire(token);
	assert_int_equal(msb_sandbox_wait_ready(w.sb, 5000, NULL), 0);
	assert_int_equal(msb_sandbox_touch(w.sb, NULL), 0);
	assert_int_equal(msb_sandbox_wait(w.sb, 5000, NULL),
	                 -MSB_ERR_CANCELLED);
	msb_cancel_reset(token);
	assert_int_equal(msb_sandbox_ping(w.sb, 5000, NULL, NULL), 0);
	msb_cancel_fire(token);
	end(&w);                /* what is freed is waited for */
	msb_cancel_free(token); /* and is not used any more */
	assert_int_equal(msb_cancel_new(&token, NULL), 0);
	msb_cancel_free(token);
	msb_cancel_free(NULL);
}

/* ---- a stream that ended early ------------------------------------------- */

/* A command whose guest has just cut its stream. */
static struct msb_exec *cut_exec(const struct world *w)
{
	struct msb_exec *x;
	int pair[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fd_set_nonblock(pair[0]), 0);
	assert_int_equal(exec_new(pair[0], w->sb, &x), 0);
	assert_int_equal(close(pair[1]), 0);
	return x;
}

/* Without waiting: what it returned. */
static int next_now(struct msb_exec *x, struct msb_error *e)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	uint64_t begun = clock_now_ns();
	int r = msb_exec_next(x, 0, &ev, e);

	assert_true(clock_now_ns() - begun < SOON_NS);
	return r;
}

static void who_does_not_wait_is_told_later_why_it_ended(void **state)
{
	struct pollfd pf = {.events = POLLIN};
	struct msb_error e = {0};
	struct world w = {0};
	struct msb_exec *x;

	(void)state;
	begin(&w);
	say_ready(&w);
	assert_int_equal(msb_sandbox_wait_ready(w.sb, 5000, NULL), 0);
	x = cut_exec(&w);
	pf.fd = msb_exec_fd(x);
	assert_int_equal(poll(&pf, 1, 1000), 1);
	assert_int_equal(next_now(x, &e), 0);
	assert_int_equal(next_now(x, &e), 0);
	/* Nothing to do until somebody knows: an event loop sleeps. */
	assert_int_equal(poll(&pf, 1, 50), 0);
	assert_int_equal(msb_exec_signal(x, 9, &e), 0);
	assert_int_equal(msb_exec_next(x, 20, NULL, &e), 0);
	/* News that are no end of it. */
	assert_int_equal(msb_sandbox_ping(w.sb, 5000, NULL, NULL), 0);
	assert_int_equal(next_now(x, &e), 0);
	assert_int_equal(poll(&pf, 1, 0), 0);
	say_exited(&w);
	/* Another thread may have taken it from the line. */
	assert_int_equal(msb_sandbox_wait(w.sb, 5000, NULL), 0);
	assert_int_equal(poll(&pf, 1, 0), 1);
	assert_int_equal(next_now(x, &e), -MSB_ERR_GONE);
	assert_non_null(strstr(e.message, "the machine ended (poweroff)"));
	assert_int_equal(next_now(x, &e), 0);
	msb_exec_free(x);
	end(&w);
}

/* The machine lives: the guest cut it, which is certain after a while. */
static void a_guest_that_cuts_a_stream_is_found_out(void **state)
{
	struct pollfd pf = {.events = POLLIN};
	struct msb_error e = {0};
	struct world w = {0};
	struct msb_exec *x;
	uint64_t begun;

	(void)state;
	begin(&w);
	say_ready(&w);
	x = cut_exec(&w);
	pf.fd = msb_exec_fd(x);
	begun = clock_now_ns();
	while (next_now(x, &e) == 0) {
		assert_int_equal(poll(&pf, 1, 10000), 1);
		assert_true(clock_now_ns() - begun < 20 * NS_PER_S);
	}
	assert_int_equal(e.code, MSB_ERR_GONE);
	assert_non_null(strstr(e.message, "the guest dropped the command"));
	assert_non_null(strstr(e.hint, "at most 1024"));
	assert_int_equal(msb_sandbox_state(w.sb), MSB_STATE_READY);
	msb_exec_free(x);
	end(&w);
}

/* Freed while nobody knows yet: nothing is told to it any more. */
static void a_lost_command_may_be_freed(void **state)
{
	struct msb_error e = {0};
	struct world w = {0};
	struct msb_exec *x;

	(void)state;
	begin(&w);
	say_ready(&w);
	x = cut_exec(&w);
	assert_int_equal(next_now(x, &e), 0);
	msb_exec_free(x);
	say_exited(&w);
	assert_int_equal(msb_sandbox_wait(w.sb, 5000, NULL), 0);
	x = cut_exec(&w); /* its end is known: told at once */
	assert_int_equal(next_now(x, &e), -MSB_ERR_GONE);
	msb_exec_free(x);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_thread_gets_its_answers),
		cmocka_unit_test(all_who_wait_hear_of_a_state),
		cmocka_unit_test(the_descriptor_tells_of_each_state),
		cmocka_unit_test(each_wait_ends_by_a_token),
		cmocka_unit_test(an_answer_nobody_waits_for_is_nobody_elses),
		cmocka_unit_test(who_asked_before_one_that_gave_up_is_answered),
		cmocka_unit_test(a_token_that_was_fired_is_for_waits),
		cmocka_unit_test(who_does_not_wait_is_told_later_why_it_ended),
		cmocka_unit_test(a_guest_that_cuts_a_stream_is_found_out),
		cmocka_unit_test(a_lost_command_may_be_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
