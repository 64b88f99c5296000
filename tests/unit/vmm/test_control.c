#include "lib/test.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdio.h"
#include "vmm/control.h"

struct fixture {
	struct loop *loop;
	struct control c;
	int ours, lib;
	int count, closes, fd;
	enum proto_type got;
	uint32_t rest;
	uint32_t number;
	bool broke;
};

static void on_got(void *arg, const struct proto_msg *m, int fd)
{
	struct fixture *f = arg;

	f->got = m->type;
	f->count++;
	f->number = m->type == PROTO_VMM_CONNECT ? m->vmm_connect.port
	                                         : m->vmm_stop.timeout_ms;
	if (m->type == PROTO_VMM_KEEP)
		f->rest = m->vmm_keep.rest.n;
	if (fd >= 0)
		f->fd = fd;
}

static void on_closed(void *arg, const char *why)
{
	struct fixture *f = arg;

	f->closes++;
	f->broke = why != NULL;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct control_events ev = {on_got, on_closed, f};
	int pair[2];

	*state = f;
	f->fd = -1;
	f->loop = loop_new();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		return -1;
	f->ours = pair[0];
	f->lib = pair[1];
	return control_init(&f->c, f->loop, f->ours, &ev, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	control_release(&f->c);
	loop_free(f->loop);
	(void)close(f->ours);
	if (f->lib >= 0)
		(void)close(f->lib);
	if (f->fd >= 0)
		(void)close(f->fd);
	free(f);
	return 0;
}

static void lib_sends(struct fixture *f, const void *data, size_t len,
                      const int *fds, size_t nfds)
{
	assert_int_equal(fd_send(f->lib, data, len, fds, nfds), len);
	assert_int_equal(loop_step(f->loop, 1000), 0);
}

static void lib_says(struct fixture *f, const struct proto_msg *m,
                     const int *fds, size_t nfds)
{
	struct buf cleanup_buf b = BUF_INIT;

	assert_int_equal(proto_encode(&b, m), 0);
	lib_sends(f, b.data, b.len, fds, nfds);
}

static const struct proto_msg connect_msg = {.type = PROTO_VMM_CONNECT,
                                             .vmm_connect = {.port = 1025}};
static const struct proto_msg stop_msg = {.type = PROTO_VMM_STOP,
                                          .vmm_stop = {.timeout_ms = 5}};

static void connect_hands_over_its_descriptor(void **state)
{
	struct fixture *f = *state;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	lib_says(f, &connect_msg, &pair[1], 1);
	(void)close(pair[1]);
	assert_int_equal(f->got, PROTO_VMM_CONNECT);
	assert_int_equal(f->number, 1025);
	assert_int_equal(write(pair[0], "x", 1), 1);
	assert_int_equal(read(f->fd, pair, 1), 1);
	(void)close(pair[0]);
}

static void connect_without_or_with_two_descriptors_is_a_breach(void **state)
{
	struct fixture *f = *state;
	int two[] = {0, 0};

	lib_says(f, &connect_msg, NULL, 0);
	assert_int_equal(f->count, 0);
	assert_true(f->broke);
	assert_int_equal(teardown(state), 0);
	assert_int_equal(setup(state), 0);
	f = *state;
	lib_says(f, &connect_msg, two, 2);
	assert_int_equal(f->count, 0);
	assert_true(f->broke);
}

/* All that the library may send, and whether a descriptor comes with it. */
static const struct {
	enum proto_type type;
	bool with_fd;
} kinds[] = {
	{PROTO_VMM_CONNECT, true },
        {PROTO_VMM_STOP,    false},
	{PROTO_VMM_TOUCH,   false},
        {PROTO_VMM_PING,    false},
	{PROTO_VMM_DETACH,  false},
        {PROTO_VMM_KEEP,    true },
	{PROTO_VMM_TAKE,    false},
        {PROTO_VMM_STATS,   false},
};

static void each_kind_is_told_with_what_belongs_to_it(void **state)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct fixture *f = *state;
		const struct proto_msg m = {.type = kinds[i].type};
		int one[] = {0};

		lib_says(f, &m, one, kinds[i].with_fd);
		assert_int_equal(f->got, m.type);
		assert_int_equal(f->count, 1);
		assert_int_equal(f->closes, 0);
		lib_says(f, &m, one, !kinds[i].with_fd);
		assert_int_equal(f->count, 1);
		assert_true(f->broke);
		assert_int_equal(teardown(state), 0);
		assert_int_equal(setup(state), 0);
	}
}

static void the_largest_packet_comes_whole(void **state)
{
	static uint8_t rest[PROTO_REST_MAX];
	struct fixture *f = *state;
	const struct proto_msg m = {
		.type = PROTO_VMM_KEEP,
		.vmm_keep = {.session = 1, .rest = {rest, sizeof(rest)}}
        };
	int one[] = {0};

	lib_says(f, &m, one, 1);
	assert_int_equal(f->got, PROTO_VMM_KEEP);
	assert_int_equal(f->rest, PROTO_REST_MAX);
}

static void an_answer_brings_its_descriptor(void **state)
{
	static uint8_t packet[1024];
	struct fixture *f = *state;
	const struct proto_msg m = {.type = PROTO_VMM_TAKEN};
	int fds[FD_PASS_MAX];
	size_t nfds;

	assert_int_equal(control_send_fd(f->ours, &m, 0), 0);
	assert_true(fd_recv(f->lib, packet, sizeof(packet), fds, &nfds) > 0);
	assert_int_equal(nfds, 1);
	(void)close(fds[0]);
	assert_int_equal(control_send_fd(f->ours, &m, -1), 0);
	assert_true(fd_recv(f->lib, packet, sizeof(packet), fds, &nfds) > 0);
	assert_int_equal(nfds, 0);
}

static void stop_is_told(void **state)
{
	struct fixture *f = *state;

	lib_says(f, &stop_msg, NULL, 0);
	assert_int_equal(f->got, PROTO_VMM_STOP);
	assert_int_equal(f->number, 5);
}

static void a_message_of_ours_is_a_breach(void **state)
{
	struct fixture *f = *state;
	const struct proto_msg m = {.type = PROTO_VMM_READY};

	lib_says(f, &m, NULL, 0);
	assert_true(f->broke);
}

static void two_frames_in_a_packet_are_a_breach(void **state)
{
	struct fixture *f = *state;
	struct buf cleanup_buf b = BUF_INIT;

	assert_int_equal(proto_encode(&b, &stop_msg), 0);
	assert_int_equal(proto_encode(&b, &stop_msg), 0);
	lib_sends(f, b.data, b.len, NULL, 0);
	assert_int_equal(f->count, 0);
	assert_true(f->broke);
}

static void a_long_packet_is_a_breach(void **state)
{
	static const char big[PROTO_VMM_MAX + 1];
	struct fixture *f = *state;

	lib_sends(f, big, sizeof(big), NULL, 0);
	assert_true(f->broke);
}

static void a_plain_close_is_told(void **state)
{
	struct fixture *f = *state;

	(void)close(f->lib);
	f->lib = -1;
	assert_int_equal(loop_step(f->loop, 1000), 0);
	assert_int_equal(f->closes, 1);
	assert_false(f->broke);
}

static void sending_to_nobody_is_an_error_and_no_signal(void **state)
{
	struct fixture *f = *state;

	(void)close(f->lib);
	f->lib = -1;
	assert_int_equal(control_send(f->ours, &stop_msg), -EPIPE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(connect_hands_over_its_descriptor),
		T(connect_without_or_with_two_descriptors_is_a_breach),
		T(stop_is_told),
		T(each_kind_is_told_with_what_belongs_to_it),
		T(the_largest_packet_comes_whole),
		T(an_answer_brings_its_descriptor),
		T(a_message_of_ours_is_a_breach),
		T(two_frames_in_a_packet_are_a_breach),
		T(a_long_packet_is_a_breach),
		T(a_plain_close_is_told),
		T(sending_to_nobody_is_an_error_and_no_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
