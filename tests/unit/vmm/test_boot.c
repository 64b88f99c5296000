#include "lib/test.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"
#include "vmm/boot.h"

struct fixture {
	struct loop *loop;
	struct vmm_config cfg;
	struct boot b;
	int guest;
	int hellos, readies, failures, closes, pongs;
	uint64_t cookie;
	char why[256];
};

static void on_hello(void *arg, const struct proto_hello *m)
{
	(void)m;
	((struct fixture *)arg)->hellos++;
}

static void on_ready(void *arg, const struct proto_ready *m)
{
	(void)m;
	((struct fixture *)arg)->readies++;
}

static void on_failed(void *arg, const struct proto_failed *m)
{
	struct fixture *f = arg;

	f->failures++;
	(void)snprintf(f->why, sizeof(f->why), "%s", m->message);
}

static void on_pong(void *arg, uint64_t cookie)
{
	struct fixture *f = arg;

	f->pongs++;
	f->cookie = cookie;
}

static void on_closed(void *arg, const char *why)
{
	struct fixture *f = arg;

	f->closes++;
	(void)snprintf(f->why, sizeof(f->why), "%s", why ? why : "plain");
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct boot_events ev = {on_hello, on_ready,  on_failed,
	                               on_pong,  on_closed, f};

	*state = f;
	f->loop = loop_new();
	f->cfg.ndisks = 1;
	(void)strncpy(f->cfg.disks[0].serial, "root", 5);
	(void)strncpy(f->cfg.root_name, "root", 5);
	(void)strncpy(f->cfg.hostname, "box", 4);
	boot_init(&f->b, f->loop, &f->cfg, &ev);
	f->guest = boot_accept(&f->b);
	return f->guest < 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	boot_release(&f->b);
	loop_free(f->loop);
	if (f->guest >= 0)
		(void)close(f->guest);
	free(f);
	return 0;
}

static void guest_says(struct fixture *f, const struct proto_msg *m)
{
	struct buf cleanup_buf b = BUF_INIT;

	assert_int_equal(proto_encode(&b, m), 0);
	assert_int_equal(write(f->guest, b.data, b.len), b.len);
	assert_int_equal(loop_step(f->loop, 1000), 0);
}

/* The answer, decoded; @b must live as long as @ret. */
static void guest_hears(struct fixture *f, struct buf *b, struct proto_msg *ret)
{
	assert_int_equal(buf_reserve(b, 4096), 0);
	buf_commit(b, (size_t)recv(f->guest, b->data, 4096, MSG_DONTWAIT));
	assert_int_equal(proto_decode(b->data, b->len, ret), b->len);
}

static const struct proto_msg hello = {.type = PROTO_HELLO,
                                       .hello = {.version = PROTO_VERSION}};
static const struct proto_msg ready = {.type = PROTO_READY,
                                       .ready = {.agent_version = "1"}};
static const struct proto_msg ping = {.type = PROTO_PING,
                                      .ping = {.cookie = 42}};

static void make_ready(struct fixture *f)
{
	char sink[4096];

	guest_says(f, &hello);
	assert_true(recv(f->guest, sink, sizeof(sink), MSG_DONTWAIT) > 0);
	guest_says(f, &ready);
	assert_int_equal(f->b.state, BOOT_READY);
}

static void hello_gets_boot_and_ready_is_told(void **state)
{
	struct fixture *f = *state;
	struct buf cleanup_buf b = BUF_INIT;
	struct proto_msg cleanup_proto m = {0};

	guest_says(f, &hello);
	guest_hears(f, &b, &m);
	assert_int_equal(m.type, PROTO_BOOT);
	assert_int_equal(m.boot.version, PROTO_VERSION);
	assert_string_equal(m.boot.hostname, "box");
	assert_string_equal(m.boot.root_serial, "root");
	assert_string_equal(m.boot.upper_serial, "");
	assert_true(m.boot.entropy.n >= 32);
	assert_true(m.boot.unix_ns > 1700000000ULL * 1000000000);
	guest_says(f, &ready);
	assert_int_equal(f->readies, 1);
	assert_int_equal(f->closes, 0);
}

static void a_failure_is_told_with_its_words(void **state)
{
	struct fixture *f = *state;
	const struct proto_msg m = {
		.type = PROTO_FAILED, .failed = {"root disk", 2, "no disk"}
        };

	guest_says(f, &hello);
	guest_says(f, &m);
	assert_int_equal(f->failures, 1);
	assert_string_equal(f->why, "no disk");
}

static void frames_may_come_byte_by_byte(void **state)
{
	struct fixture *f = *state;
	struct buf cleanup_buf b = BUF_INIT;

	assert_int_equal(proto_encode(&b, &hello), 0);
	for (size_t i = 0; i < b.len; i++) {
		assert_int_equal(f->hellos, 0);
		assert_int_equal(write(f->guest, b.data + i, 1), 1);
		assert_int_equal(loop_step(f->loop, 1000), 0);
	}
	assert_int_equal(f->hellos, 1);
}

static void another_version_ends_the_session(void **state)
{
	struct fixture *f = *state;
	const struct proto_msg m = {.type = PROTO_HELLO,
	                            .hello = {.version = 999}};

	guest_says(f, &m);
	assert_int_equal(f->closes, 1);
	assert_non_null(strstr(f->why, "version"));
}

static void ready_without_hello_ends_the_session(void **state)
{
	struct fixture *f = *state;

	guest_says(f, &ready);
	assert_int_equal(f->readies, 0);
	assert_int_equal(f->closes, 1);
}

static void ready_twice_ends_the_session(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	guest_says(f, &ready);
	assert_int_equal(f->readies, 1);
	assert_int_equal(f->closes, 1);
	assert_int_equal(boot_shutdown(&f->b, 1), -ENOTCONN);
}

static void messages_of_other_sessions_end_the_session(void **state)
{
	struct fixture *f = *state;
	const struct proto_msg m = {.type = PROTO_VMM_STOP,
	                            .vmm_stop = {.timeout_ms = 0}};

	make_ready(f);
	guest_says(f, &m);
	assert_int_equal(f->closes, 1);
}

static void a_long_frame_ends_the_session_at_its_header(void **state)
{
	struct fixture *f = *state;
	uint8_t head[8] = {0};

	put_le32(head, BOOT_FRAME_MAX + 1);
	put_le16(head + 4, PROTO_FAILED);
	assert_int_equal(write(f->guest, head, sizeof(head)), 8);
	assert_int_equal(loop_step(f->loop, 1000), 0);
	assert_int_equal(f->closes, 1);
	assert_non_null(strstr(f->why, "too long"));
}

static void garbage_ends_the_session(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(write(f->guest, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	assert_int_equal(loop_step(f->loop, 1000), 0);
	assert_int_equal(f->closes, 1);
}

static void ping_is_answered(void **state)
{
	struct fixture *f = *state;
	struct buf cleanup_buf b = BUF_INIT;
	struct proto_msg cleanup_proto m = {0};

	make_ready(f);
	guest_says(f, &ping);
	guest_hears(f, &b, &m);
	assert_int_equal(m.type, PROTO_PONG);
	assert_int_equal(m.pong.cookie, 42);
}

static void pings_without_end_and_no_reader_end_the_session(void **state)
{
	struct fixture *f = *state;

	make_ready(f);
	for (int i = 0; i < 100000 && !f->closes; i++)
		guest_says(f, &ping);
	assert_int_equal(f->closes, 1);
}

static void shutdown_reaches_a_ready_agent_only(void **state)
{
	struct fixture *f = *state;
	struct buf cleanup_buf b = BUF_INIT;
	struct proto_msg cleanup_proto m = {0};

	assert_int_equal(boot_shutdown(&f->b, 7), -ENOTCONN);
	make_ready(f);
	assert_int_equal(boot_shutdown(&f->b, 7), 0);
	guest_hears(f, &b, &m);
	assert_int_equal(m.type, PROTO_SHUTDOWN);
	assert_int_equal(m.shutdown.timeout_ms, 7);
}

static void there_is_one_session_a_machine(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(boot_accept(&f->b), -EBUSY);
	(void)close(f->guest);
	f->guest = -1;
	assert_int_equal(loop_step(f->loop, 1000), 0);
	assert_int_equal(f->closes, 1);
	assert_string_equal(f->why, "plain");
	assert_int_equal(boot_accept(&f->b), -EBUSY);
}

static void a_pong_is_told(void **state)
{
	struct fixture *f = *state;
	const struct proto_msg pong = {.type = PROTO_PONG,
	                               .pong = {.cookie = 77}};
	struct buf cleanup_buf b = BUF_INIT;
	struct proto_msg cleanup_proto m = {0};

	assert_int_equal(boot_ping(&f->b, 77), -ENOTCONN);
	make_ready(f);
	assert_int_equal(boot_ping(&f->b, 77), 0);
	guest_hears(f, &b, &m);
	assert_int_equal(m.type, PROTO_PING);
	assert_int_equal(m.ping.cookie, 77);
	guest_says(f, &pong);
	guest_says(f, &pong); /* twice is no breach: whose it is others know */
	assert_int_equal(f->pongs, 2);
	assert_int_equal(f->cookie, 77);
	assert_int_equal(f->closes, 0);
}

static void a_pong_before_ready_is_a_breach(void **state)
{
	struct fixture *f = *state;
	const struct proto_msg pong = {.type = PROTO_PONG};

	guest_says(f, &hello);
	guest_says(f, &pong);
	assert_int_equal(f->closes, 1);
	assert_int_equal(f->pongs, 0);
}

/* More than a socket takes at once: the rest goes as the guest reads. */
static void scripts_reach_the_guest_whole(void **state)
{
	static char body[VMM_SCRIPTS_BYTES - 4];
	static uint8_t all[PROTO_FRAME_MAX + PROTO_HEADER_LEN];
	struct fixture *f = *state;
	struct proto_msg cleanup_proto m = {0};
	size_t len = 0;

	memset(body, 's', sizeof(body) - 1);
	assert_int_equal(strv_add(&f->cfg.scripts, "name"), 0);
	assert_int_equal(strv_add(&f->cfg.scripts, body), 0);
	assert_int_equal(strv_add(&f->cfg.init, "auto"), 0);
	assert_int_equal(strv_add(&f->cfg.init_env, "A=b"), 0);
	guest_says(f, &hello);
	for (int i = 0; i < 1000 && proto_decode(all, len, &m) == 0; i++) {
		ssize_t n = recv(f->guest, all + len, 10000, MSG_DONTWAIT);

		len += n > 0 ? (size_t)n : 0;
		assert_int_equal(loop_step(f->loop, 0), 0);
	}
	assert_int_equal(m.type, PROTO_BOOT);
	assert_int_equal(m.boot.scripts.n, 2);
	assert_string_equal(m.boot.scripts.v[1], body);
	assert_string_equal(m.boot.init.v[0], "auto");
	assert_string_equal(m.boot.init_env.v[0], "A=b");
	assert_int_equal(f->b.out.len, 0);
	assert_int_equal(f->b.src.events, EPOLLIN);
	guest_says(f, &ready);
	assert_int_equal(f->readies, 1);
	config_release(&f->cfg);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(hello_gets_boot_and_ready_is_told),
		T(a_failure_is_told_with_its_words),
		T(frames_may_come_byte_by_byte),
		T(another_version_ends_the_session),
		T(ready_without_hello_ends_the_session),
		T(ready_twice_ends_the_session),
		T(messages_of_other_sessions_end_the_session),
		T(a_long_frame_ends_the_session_at_its_header),
		T(garbage_ends_the_session),
		T(ping_is_answered),
		T(pings_without_end_and_no_reader_end_the_session),
		T(shutdown_reaches_a_ready_agent_only),
		T(there_is_one_session_a_machine),
		T(a_pong_is_told),
		T(a_pong_before_ready_is_a_breach),
		T(scripts_reach_the_guest_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
