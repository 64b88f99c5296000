#include "lib/test.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "virtio/vsock_int.h"
#include "vmm/keep.h"

struct fixture {
	struct loop *loop;
	struct virtio_dev *vsock;
	struct keep keep;
	struct buf out;
	enum reclog_source source;
	int ends, code;
	bool was_main;
	uint64_t session;
};

static void on_output(void *arg, enum reclog_source source, uint64_t session,
                      const void *data, size_t len)
{
	struct fixture *f = arg;

	f->source = source;
	f->session = session;
	assert_int_equal(buf_add(&f->out, data, len), 0);
}

static void on_ended(void *arg, uint64_t session, bool is_main, int code)
{
	struct fixture *f = arg;

	f->ends++;
	f->session = session;
	f->was_main = is_main;
	f->code = code;
}

static int setup(void **state)
{
	static struct fixture f;
	const struct keep_events ev = {on_output, on_ended, &f};

	memset(&f, 0, sizeof(f));
	f.out = (struct buf)BUF_INIT;
	f.loop = loop_new();
	assert_int_equal(vsock_new(f.loop, 3, &f.vsock, NULL), 0);
	keep_init(&f.keep, f.loop, f.vsock, &ev);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	keep_release(&f->keep);
	virtio_free(f->vsock);
	loop_free(f->loop);
	buf_release(&f->out);
	return 0;
}

static void settle(struct fixture *f)
{
	for (int i = 0; i < 10; i++)
		assert_int_equal(loop_step(f->loop, 0), 0);
}

/* A session's two ends: @ret_guest stands for what the vsock device does. */
static int session(int *ret_guest)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	*ret_guest = pair[1];
	return pair[0];
}

/* One that the vsock device has the other end of; @ret_host: a copy of ours. */
static int real_session(struct fixture *f, int *ret_host)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(vsock_connect(f->vsock, 1025, pair[1]), 0);
	if (ret_host)
		*ret_host = dup(pair[0]);
	return pair[0];
}

static struct conn *conn_of(struct fixture *f)
{
	return TAILQ_LAST(&((struct vsock *)f->vsock)->conns, conn_list);
}

static int keep(struct fixture *f, uint64_t number, int fd)
{
	const struct proto_vmm_keep m = {.session = number};

	return keep_add(&f->keep, &m, fd);
}

static int keep_main(struct fixture *f, uint64_t number, int fd)
{
	const struct proto_vmm_keep m = {.session = number, .is_main = 1};

	return keep_add(&f->keep, &m, fd);
}

static void add_frame(struct buf *b, const struct proto_msg *m)
{
	assert_int_equal(proto_encode(b, m), 0);
}

static void says(struct fixture *f, int guest, const struct proto_msg *m)
{
	struct buf cleanup_buf b = BUF_INIT;

	add_frame(&b, m);
	assert_int_equal(fd_write_full(guest, b.data, b.len), 0);
	settle(f);
}

static struct proto_msg output_of(enum proto_type type, const char *s)
{
	struct proto_msg m = {.type = type};

	m.stdout_data.data =
		(struct proto_bytes){(const uint8_t *)s, (uint32_t)strlen(s)};
	return m;
}

static struct proto_msg exited(int code, unsigned signo)
{
	return (struct proto_msg){
		.type = PROTO_EXITED, .exited = {.code = code, .signo = signo}
        };
}

static bool is_closed(int guest)
{
	char c;
	ssize_t n = recv(guest, &c, 1, MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN);
}

static void output_goes_to_the_log_by_its_source(void **state)
{
	struct fixture *f = *state;
	struct proto_msg m = output_of(PROTO_STDOUT, "out");
	struct proto_vmm_keep k = {.session = 6, .tty = 1};
	struct proto_vmm_keep silent = {.session = 7, .no_log = 1};
	struct proto_vmm_taken t;
	int guest, tty, other;

	assert_int_equal(keep(f, 5, session(&guest)), 0);
	says(f, guest, &m);
	assert_int_equal(f->source, RECLOG_STDOUT);
	assert_int_equal(f->session, 5);
	m = output_of(PROTO_STDERR, " err");
	says(f, guest, &m);
	assert_int_equal(f->source, RECLOG_STDERR);
	assert_int_equal(keep_add(&f->keep, &k, session(&tty)), 0);
	m = output_of(PROTO_STDOUT, " tty");
	says(f, tty, &m);
	assert_int_equal(f->source, RECLOG_OUTPUT);
	assert_int_equal(f->session, 6);
	assert_string_equal(buf_str(&f->out), "out err tty");
	assert_int_equal(keep_add(&f->keep, &silent, session(&other)), 0);
	m = output_of(PROTO_STDOUT, " secret");
	says(f, other, &m);
	assert_string_equal(buf_str(&f->out), "out err tty");
	assert_non_null(keep_find(&f->keep, 7, &t));
	assert_true(t.no_log);
	(void)close(guest);
	(void)close(tty);
	(void)close(other);
}

static void exited_closes_it_and_tells_the_code(void **state)
{
	static const struct {
		int code;
		unsigned signo;
		int says;
	} ends[] = {
		{0,   0,  0  },
		{255, 0,  255},
		{0,   9,  137},
		{7,   15, 143},
		{0,   64, 192}
        };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct proto_msg m = exited(ends[i].code, ends[i].signo);
		int guest;

		assert_int_equal(keep(f, 5 + i, session(&guest)), 0);
		says(f, guest, &m);
		assert_int_equal(f->ends, i + 1);
		assert_int_equal(f->code, ends[i].says);
		assert_false(f->was_main);
		assert_true(is_closed(guest));
		(void)close(guest);
	}
}

static void a_plain_end_has_no_code(void **state)
{
	struct fixture *f = *state;
	int guest;

	assert_int_equal(keep_main(f, 5, session(&guest)), 0);
	(void)close(guest);
	settle(f);
	assert_int_equal(f->ends, 1);
	assert_int_equal(f->code, KEEP_NO_CODE);
	assert_true(f->was_main);
}

static void frames_come_in_any_portions(void **state)
{
	struct fixture *f = *state;
	struct proto_msg m = output_of(PROTO_STDOUT, "0123456789");
	struct buf cleanup_buf b = BUF_INIT;
	int guest;

	add_frame(&b, &m);
	m = exited(3, 0);
	add_frame(&b, &m);
	assert_int_equal(keep(f, 5, session(&guest)), 0);
	for (size_t i = 0; i < b.len; i++) {
		assert_int_equal(f->ends, 0);
		assert_int_equal(write(guest, b.data + i, 1), 1);
		settle(f);
	}
	assert_string_equal(buf_str(&f->out), "0123456789");
	assert_int_equal(f->code, 3);
	(void)close(guest);
}

static void what_was_read_before_counts(void **state)
{
	struct fixture *f = *state;
	struct proto_msg m = output_of(PROTO_STDOUT, "before");
	struct buf cleanup_buf b = BUF_INIT;
	struct proto_vmm_keep k = {.session = 5};
	int guest;

	for (int i = 0; i < 100; i++)
		add_frame(&b, &m);
	m = exited(4, 0);
	add_frame(&b, &m);
	k.rest = (struct proto_bytes){b.data, (uint32_t)b.len - 3};
	assert_int_equal(keep_add(&f->keep, &k, session(&guest)), 0);
	assert_int_equal(f->out.len, 600);
	assert_int_equal(f->ends, 0);
	assert_int_equal(write(guest, b.data + b.len - 3, 3), 3);
	settle(f);
	assert_int_equal(f->code, 4);
	(void)close(guest);
	/* All of it: the session is over before it began. */
	k.rest.n = (uint32_t)b.len;
	assert_int_equal(keep_add(&f->keep, &k, session(&guest)), 0);
	assert_int_equal(f->ends, 2);
	assert_true(is_closed(guest));
	(void)close(guest);
}

static void a_breach_closes_it(void **state)
{
	static char too_much[PROTO_DATA_MAX + 2];
	struct fixture *f = *state;
	struct proto_msg breach[] = {
		exited(256, 0),
		exited(-1, 0),
		exited(0, 65),
		{.type = PROTO_STARTED},
		{		       .type = PROTO_PING                    },
		{ .type = PROTO_STDIN_ACK,                     .stdin_ack = {.count = 1}},
		output_of(PROTO_STDOUT, ""),
		output_of(PROTO_STDIN, "x"),
	};

	memset(too_much, 'x', PROTO_DATA_MAX + 1);
	breach[6] = output_of(PROTO_STDOUT, too_much);
	for (size_t i = 0; i < ARRAY_SIZE(breach); i++) {
		int guest;

		assert_int_equal(keep(f, 5, session(&guest)), 0);
		says(f, guest, &breach[i]);
		assert_int_equal(f->ends, i + 1);
		assert_int_equal(f->code, KEEP_NO_CODE);
		(void)close(guest);
	}
	assert_int_equal(f->out.len, 0);
}

static void the_longest_output_is_taken(void **state)
{
	static char all[PROTO_DATA_MAX + 1];
	struct fixture *f = *state;
	struct proto_msg m;
	int guest;

	memset(all, 'x', PROTO_DATA_MAX);
	m = output_of(PROTO_STDOUT, all);
	assert_int_equal(keep(f, 5, session(&guest)), 0);
	says(f, guest, &m);
	says(f, guest, &m);
	assert_int_equal(f->out.len, 2 * PROTO_DATA_MAX);
	assert_int_equal(f->ends, 0);
	(void)close(guest);
}

static void input_that_was_taken_is_counted(void **state)
{
	struct fixture *f = *state;
	const struct proto_vmm_keep k = {
		.session = 5, .want_stdin = 1, .unacked = 10};
	const struct proto_msg ack = {.type = PROTO_STDIN_ACK,
	                              .stdin_ack = {.count = 7}};
	struct proto_vmm_taken t;
	int guest;

	assert_int_equal(keep_add(&f->keep, &k, session(&guest)), 0);
	says(f, guest, &ack);
	assert_non_null(keep_find(&f->keep, 5, &t));
	assert_int_equal(t.unacked, 3);
	assert_true(t.want_stdin);
	says(f, guest, &ack); /* more than there was */
	assert_int_equal(f->ends, 1);
	(void)close(guest);
}

static void what_cannot_be_kept_is_closed(void **state)
{
	struct fixture *f = *state;
	struct proto_vmm_keep k = {.session = 5, .unacked = 0};
	int guest, other, first, pair[2];

	assert_int_equal(keep_main(f, 1, session(&first)), 0);
	assert_int_equal(keep(f, 1, session(&guest)), -EEXIST);
	assert_true(is_closed(guest));
	(void)close(guest);
	assert_int_equal(keep_main(f, 2, session(&guest)), -EBUSY);
	assert_true(is_closed(guest));
	(void)close(guest);
	assert_int_equal(keep(f, 0, session(&guest)), -EINVAL);
	(void)close(guest);
	k.unacked = PROTO_STDIN_WINDOW + 1;
	assert_int_equal(keep_add(&f->keep, &k, session(&guest)), -EINVAL);
	(void)close(guest);
	k.unacked = 0;
	k.rest = (struct proto_bytes){(const uint8_t *)"", PROTO_REST_MAX + 1};
	assert_int_equal(keep_add(&f->keep, &k, session(&guest)), -EINVAL);
	(void)close(guest);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	assert_int_equal(keep(f, 5, pair[0]), -EINVAL);
	(void)close(pair[1]);
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(keep(f, 5, pair[0]), -EINVAL);
	(void)close(pair[1]);
	assert_int_equal(f->ends, 0);
	assert_int_equal(keep(f, 6, session(&other)), 0);
	(void)close(other);
	(void)close(first);
}

static void there_is_a_limit(void **state)
{
	struct fixture *f = *state;
	struct proto_vmm_taken t;
	int guest[KEEP_MAX + 1];

	for (int i = 0; i < KEEP_MAX; i++)
		assert_int_equal(keep(f, (uint64_t)i + 1, session(&guest[i])),
		                 0);
	assert_int_equal(keep(f, 1000, session(&guest[KEEP_MAX])), -EMFILE);
	assert_null(keep_find(&f->keep, 0, &t)); /* which one? */
	(void)close(guest[7]);
	settle(f);
	(void)close(guest[KEEP_MAX]);
	assert_int_equal(keep(f, 1000, session(&guest[7])), 0);
	for (int i = 0; i < KEEP_MAX; i++)
		(void)close(guest[i]);
}

static void number_0_is_the_main_one_or_the_only_one(void **state)
{
	struct fixture *f = *state;
	struct proto_vmm_taken t;
	int guest[2];

	assert_null(keep_find(&f->keep, 0, &t));
	assert_int_equal(keep(f, 1, session(&guest[0])), 0);
	assert_non_null(keep_find(&f->keep, 0, &t));
	assert_int_equal(t.session, 1);
	assert_int_equal(keep(f, 2, session(&guest[1])), 0);
	assert_null(keep_find(&f->keep, 0, &t));
	assert_int_equal(keep_main(f, 3, real_session(f, NULL)), 0);
	assert_non_null(keep_find(&f->keep, 0, &t));
	assert_int_equal(t.session, 3);
	assert_true(t.is_main);
	assert_null(keep_find(&f->keep, 4, &t));
	(void)close(guest[0]);
	(void)close(guest[1]);
}

/* Its end could not be noticed. */
static void a_main_one_of_nobodys_is_not_lent(void **state)
{
	struct fixture *f = *state;
	struct proto_vmm_taken t;
	int guest;

	assert_int_equal(keep_main(f, 3, session(&guest)), 0);
	assert_null(keep_find(&f->keep, 0, &t));
	(void)close(guest);
}

static void taken_it_comes_with_the_beginning_of_a_frame(void **state)
{
	struct fixture *f = *state;
	struct proto_msg m = output_of(PROTO_STDOUT, "whole");
	struct buf cleanup_buf b = BUF_INIT;
	struct proto_vmm_taken t;
	struct kept *s;
	int guest;

	add_frame(&b, &m);
	assert_int_equal(keep(f, 5, session(&guest)), 0);
	assert_int_equal(write(guest, b.data, b.len), b.len);
	assert_int_equal(write(guest, b.data, 9), 9);
	settle(f);
	s = keep_find(&f->keep, 5, &t);
	assert_non_null(s);
	assert_int_equal(t.rest.n, 9);
	assert_memory_equal(t.rest.p, b.data, 9);
	keep_lend(s);
	assert_null(keep_find(&f->keep, 5, &t));
	assert_true(is_closed(guest)); /* nobody else had it here */
	assert_int_equal(f->ends, 0);
	(void)close(guest);
}

/* Take the main session 5; its host end, as its new holder has it. */
static int lend_main(struct fixture *f)
{
	struct proto_vmm_taken t;
	struct kept *s;
	int host;

	assert_int_equal(keep_main(f, 5, real_session(f, &host)), 0);
	settle(f);
	s = keep_find(&f->keep, 0, &t);
	assert_non_null(s);
	keep_lend(s);
	settle(f);
	assert_int_equal(f->ends, 0);
	assert_null(keep_find(&f->keep, 0, &t));
	assert_null(keep_find(&f->keep, 5, &t));
	return host;
}

static void a_lent_main_one_is_missed_when_it_ends(void **state)
{
	struct fixture *f = *state;
	int host = lend_main(f);

	conn_reset(conn_of(f));
	assert_int_equal(f->ends, 0); /* not amidst the device's work */
	settle(f);
	assert_int_equal(f->ends, 1);
	assert_int_equal(f->code, KEEP_NO_CODE);
	assert_true(f->was_main);
	(void)close(host);
}

static void a_lent_main_ones_last_words_are_its_code(void **state)
{
	struct fixture *f = *state;
	struct buf cleanup_buf b = BUF_INIT;
	const struct proto_msg m = exited(0, 9);
	int host = lend_main(f);
	struct conn *c = conn_of(f);

	add_frame(&b, &m);
	assert_int_equal(b.len, VSOCK_LAST_MAX);
	memcpy(c->last, b.data, b.len);
	c->nlast = VSOCK_LAST_MAX;
	conn_reset(c);
	settle(f);
	assert_int_equal(f->ends, 1);
	assert_int_equal(f->code, 137);
	(void)close(host);
}

static void a_lent_main_one_may_come_back(void **state)
{
	struct fixture *f = *state;
	struct proto_vmm_taken t;
	int host = lend_main(f), guest;

	/* Another one cannot take its place. */
	assert_int_equal(keep_main(f, 6, session(&guest)), -EBUSY);
	(void)close(guest);
	assert_int_equal(keep_main(f, 5, host), 0);
	assert_non_null(keep_find(&f->keep, 0, &t));
	conn_reset(conn_of(f));
	settle(f);
	assert_int_equal(f->ends, 1);
	assert_true(f->was_main);
}

static void one_that_ended_cannot_be_taken(void **state)
{
	struct fixture *f = *state;
	const struct proto_msg m = exited(3, 0);
	struct buf cleanup_buf b = BUF_INIT;
	struct proto_vmm_taken t;
	struct conn *c;

	assert_int_equal(keep_main(f, 5, real_session(f, NULL)), 0);
	add_frame(&b, &m);
	c = conn_of(f);
	assert_int_equal(write(c->fd, b.data, b.len), b.len);
	conn_reset(c);
	/* Before the loop had a look. */
	assert_null(keep_find(&f->keep, 0, &t));
	assert_int_equal(f->ends, 1);
	assert_int_equal(f->code, 3);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(output_goes_to_the_log_by_its_source),
		T(exited_closes_it_and_tells_the_code),
		T(a_plain_end_has_no_code),
		T(frames_come_in_any_portions),
		T(what_was_read_before_counts),
		T(a_breach_closes_it),
		T(the_longest_output_is_taken),
		T(input_that_was_taken_is_counted),
		T(what_cannot_be_kept_is_closed),
		T(there_is_a_limit),
		T(number_0_is_the_main_one_or_the_only_one),
		T(a_main_one_of_nobodys_is_not_lent),
		T(taken_it_comes_with_the_beginning_of_a_frame),
		T(a_lent_main_one_is_missed_when_it_ends),
		T(a_lent_main_ones_last_words_are_its_code),
		T(a_lent_main_one_may_come_back),
		T(one_that_ended_cannot_be_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
