#include "lib/test.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "virtio/vsock.h"
#include "vmm/relay.h"

/* Whether the other end of @sock is closed. */
static bool is_closed(int sock)
{
	struct pollfd p = {.fd = sock, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP);
}

static void early_sessions_wait_and_one_too_many_is_closed(void **state)
{
	static struct relay r;
	int ours[RELAY_WAITING_MAX + 1];

	(void)state;
	for (size_t i = 0; i <= RELAY_WAITING_MAX; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		ours[i] = pair[0];
		relay_connect(&r, 1025, pair[1]);
	}
	assert_int_equal(r.n, RELAY_WAITING_MAX);
	assert_false(is_closed(ours[0]));
	assert_true(is_closed(ours[RELAY_WAITING_MAX]));
	relay_release(&r);
	for (size_t i = 0; i <= RELAY_WAITING_MAX; i++) {
		assert_true(is_closed(ours[i]));
		(void)close(ours[i]);
	}
}

static void sessions_go_to_vsock_when_the_agent_is_ready(void **state)
{
	static struct relay r;
	struct loop *l = loop_new();
	struct virtio_dev *vsock = NULL;
	int a[2], b[2], p[2];

	(void)state;
	assert_int_equal(vsock_new(l, 3, &vsock, NULL), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
	assert_int_equal(pipe(p), 0);
	relay_connect(&r, 1025, a[1]);
	relay_ready(&r, vsock);
	relay_connect(&r, 1025, b[1]);
	assert_int_equal(r.n, 0);
	assert_false(is_closed(a[0]));
	assert_false(is_closed(b[0]));
	relay_connect(&r, 1025, p[1]); /* no socket: refused and closed */
	assert_true(is_closed(p[0]));
	vsock->ops->free(vsock);
	assert_true(is_closed(a[0]));
	loop_free(l);
	(void)close(a[0]);
	(void)close(b[0]);
	(void)close(p[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			early_sessions_wait_and_one_too_many_is_closed),
		cmocka_unit_test(sessions_go_to_vsock_when_the_agent_is_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
