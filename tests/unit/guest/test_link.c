/* The boot connection, with the test as msb-vmm at the other end. */
#include "lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "base/strv.h"
#include "guest/link.h"

/* The agent's side, and what it was told. */
struct side {
	struct link link;
	struct loop *loop;
	int host;
	uint32_t timeout_ms;
	uint64_t clock;
	int shutdowns, clocks, losts;
};

static void on_shutdown(void *arg, uint32_t timeout_ms)
{
	struct side *s = arg;

	s->shutdowns++;
	s->timeout_ms = timeout_ms;
}

static void on_clock(void *arg, uint64_t unix_ns)
{
	struct side *s = arg;

	s->clocks++;
	s->clock = unix_ns;
}

static void on_lost(void *arg)
{
	struct side *s = arg;

	s->losts++;
}

static const struct link_ops ops = {on_shutdown, on_clock, on_lost};

static void side_open(struct side *s)
{
	int pair[2];

	*s = (struct side){.link = LINK_INIT};
	s->loop = loop_new();
	assert_non_null(s->loop);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	s->host = pair[0];
	assert_int_equal(link_adopt(&s->link, pair[1]), 0);
}

static void side_close(struct side *s)
{
	link_release(&s->link);
	loop_free(s->loop);
	close_fd(&s->host);
}

static void put(int fd, const struct proto_msg *m)
{
	struct buf cleanup_buf b = BUF_INIT;

	assert_int_equal(proto_encode(&b, m), 0);
	assert_int_equal(fd_write_full(fd, b.data, b.len), 0);
}

static void watch(struct side *s)
{
	assert_int_equal(link_watch(&s->link, s->loop, &ops, s), 0);
}

static uint64_t pong_from(struct side *s)
{
	struct proto_msg cleanup_proto m = {0};
	uint8_t frame[PROTO_HEADER_LEN + 8];

	assert_int_equal(fd_read_full(s->host, frame, sizeof(frame)),
	                 sizeof(frame));
	assert_int_equal(proto_decode(frame, sizeof(frame), &m), sizeof(frame));
	assert_int_equal(m.type, PROTO_PONG);
	return m.pong.cookie;
}

static const struct proto_msg ping = {.type = PROTO_PING,
                                      .ping = {.cookie = 77}};

static void ping_is_answered(void **state)
{
	struct side s;

	(void)state;
	side_open(&s);
	watch(&s);
	put(s.host, &ping);
	assert_int_equal(loop_step(s.loop, 1000), 0);
	assert_int_equal(pong_from(&s), 77);
	side_close(&s);
}

/* A BOOT as large as a frame can be, by a child: no socket holds it. */
static void put_largest_boot(int fd)
{
	static char body[PROTO_FRAME_MAX - 4096];
	char *v[] = {"big", body, NULL};
	struct proto_msg m = {
		.type = PROTO_BOOT,
		.boot = {.version = PROTO_VERSION,
	                 .hostname = "h",
	                 .scripts = {v, 2}}
        };

	memset(body, 'b', sizeof(body) - 1);
	put(fd, &m);
	put(fd, &ping);
}

static void the_largest_boot_arrives_and_what_came_behind_it(void **state)
{
	struct proto_msg cleanup_proto m = {0};
	struct err err = {0};
	struct side s;
	pid_t pid;
	int status;

	(void)state;
	side_open(&s);
	pid = fork();
	if (pid == 0) {
		put_largest_boot(s.host);
		_exit(0);
	}
	assert_int_equal(link_receive(&s.link, PROTO_BOOT, &m, &err), 0);
	assert_int_equal(m.boot.scripts.n, 2);
	assert_int_equal(strlen(m.boot.scripts.v[1]), PROTO_FRAME_MAX - 4097);
	assert_string_equal(m.boot.hostname, "h");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	proto_release(&m);
	watch(&s);
	assert_int_equal(loop_step(s.loop, 1000), 0);
	assert_int_equal(pong_from(&s), 77);
	side_close(&s);
}

/* The frame's memory is given back when nothing of it is needed. */
static void after_boot_no_memory_is_held(void **state)
{
	const struct proto_msg boot = {.type = PROTO_BOOT,
	                               .boot = {.version = PROTO_VERSION}};
	struct proto_msg cleanup_proto m = {0};
	struct err err = {0};
	struct side s;

	(void)state;
	side_open(&s);
	put(s.host, &boot);
	assert_int_equal(link_receive(&s.link, PROTO_BOOT, &m, &err), 0);
	proto_release(&m);
	watch(&s);
	assert_null(s.link.in.data);
	put(s.host, &ping);
	assert_int_equal(loop_step(s.loop, 1000), 0);
	assert_int_equal(pong_from(&s), 77);
	side_close(&s);
}

static void a_longer_frame_is_a_breach(void **state)
{
	static const uint8_t head[PROTO_HEADER_LEN] = {1, 0, 0x10, 0, 2};
	struct proto_msg m;
	struct err err = {0};
	struct side s;

	(void)state;
	side_open(&s);
	assert_int_equal(fd_write_full(s.host, head, sizeof(head)), 0);
	assert_int_equal(link_receive(&s.link, PROTO_BOOT, &m, &err), -EPROTO);
	side_close(&s);
}

static void another_message_than_boot_is_a_breach(void **state)
{
	struct proto_msg m;
	struct err err = {0};
	struct side s;

	(void)state;
	side_open(&s);
	put(s.host, &ping);
	assert_int_equal(link_receive(&s.link, PROTO_BOOT, &m, &err), -EPROTO);
	assert_non_null(strstr(err.msg, "no BOOT message"));
	side_close(&s);
}

static void clock_and_shutdown_reach_the_owner(void **state)
{
	const struct proto_msg clock = {.type = PROTO_CLOCK,
	                                .clock = {.unix_ns = 5}};
	const struct proto_msg end = {.type = PROTO_SHUTDOWN,
	                              .shutdown = {.timeout_ms = 9}};
	struct side s;

	(void)state;
	side_open(&s);
	watch(&s);
	put(s.host, &clock);
	put(s.host, &end);
	assert_int_equal(loop_step(s.loop, 1000), 0);
	assert_int_equal(s.clocks, 1);
	assert_int_equal(s.clock, 5);
	assert_int_equal(s.shutdowns, 1);
	assert_int_equal(s.timeout_ms, 9);
	side_close(&s);
}

static void the_owner_hears_of_the_end_once(void **state)
{
	struct side s;

	(void)state;
	side_open(&s);
	watch(&s);
	close_fd(&s.host);
	assert_int_equal(loop_step(s.loop, 1000), 0);
	assert_int_equal(loop_step(s.loop, 0), 0);
	assert_int_equal(s.losts, 1);
	side_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ping_is_answered),
		cmocka_unit_test(
			the_largest_boot_arrives_and_what_came_behind_it),
		cmocka_unit_test(after_boot_no_memory_is_held),
		cmocka_unit_test(a_longer_frame_is_a_breach),
		cmocka_unit_test(another_message_than_boot_is_a_breach),
		cmocka_unit_test(clock_and_shutdown_reach_the_owner),
		cmocka_unit_test(the_owner_hears_of_the_end_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
