/* Questions about a machine, answered by an msb-vmm that the test plays. */
#include "lib/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "lib/error.h"
#include "lib/sandbox.h"

/* What the other side does with a question. */
struct answer {
	bool wrong_cookie_first; /* an old answer comes before the right one */
	bool with_fd, garbage, guests_message, silent, hangs_up;
	int fd_kept; /* our end of the pipe that was sent along */
};

struct fake {
	struct msb_sandbox *sb;
	int vmm; /* its end */
	struct answer how;
	pthread_t thread;
};

static void say(int sock, const struct proto_msg *msg, int fd)
{
	struct buf cleanup_buf b = BUF_INIT;

	if (proto_encode(&b, msg) == 0)
		(void)fd_send(sock, b.data, b.len, &fd, fd >= 0 ? 1 : 0);
}

static struct proto_msg reply_to(const struct proto_msg *q, uint64_t add)
{
	struct proto_msg a = {.type = PROTO_VMM_PONG};

	if (q->type == PROTO_VMM_PING) {
		a.vmm_pong.cookie = q->vmm_ping.cookie + add;
		return a;
	}
	a.type = PROTO_VMM_STATS_REPLY;
	a.vmm_stats_reply = (struct proto_vmm_stats_reply){
		.cookie = q->vmm_stats.cookie + add,
		.time_ns = 1,
		.uptime_ns = 2,
		.cpu_ns = 3,
		.memory_bytes = 4,
		.memory_resident_bytes = 5,
		.memory_returned_bytes = 6,
		.disk_read_bytes = 7,
		.disk_write_bytes = 8,
		.disk_reads = 9,
		.disk_writes = 10,
		.net_rx_bytes = 11,
		.net_tx_bytes = 12,
		.cpus = 13,
		.sessions = 14};
	return a;
}

static void answer(struct fake *f, const struct proto_msg *q)
{
	struct proto_msg old = reply_to(q, 1), right = reply_to(q, 0);
	int pair[2] = {-1, -1};

	if (f->how.garbage)
		(void)fd_send(f->vmm, "garbage!", 8, NULL, 0);
	if (f->how.guests_message)
		say(f->vmm, &(struct proto_msg){.type = PROTO_READY}, -1);
	if (f->how.wrong_cookie_first)
		say(f->vmm, &old, -1);
	if (f->how.with_fd && pipe(pair) == 0)
		f->how.fd_kept = pair[0];
	if (f->how.hangs_up)
		(void)shutdown(f->vmm, SHUT_RDWR);
	else if (!f->how.silent)
		say(f->vmm, &right, pair[1]);
	if (pair[1] >= 0)
		(void)close(pair[1]);
}

static void *play(void *arg)
{
	struct fake *f = arg;
	uint8_t data[256];
	int fds[FD_PASS_MAX];

	for (;;) {
		struct proto_msg cleanup_proto q = {0};
		size_t nfds = 0;
		ssize_t n = fd_recv(f->vmm, data, sizeof(data), fds, &nfds);

		if (n <= 0 || proto_decode(data, (size_t)n, &q) != n)
			return NULL;
		answer(f, &q);
	}
}

static void setup(struct fake *f, struct answer how)
{
	int pair[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fd_set_nonblock(pair[0]), 0);
	*f = (struct fake){.vmm = pair[1], .how = how};
	f->sb = sandbox_new();
	assert_non_null(f->sb);
	f->sb->machine.control = pair[0];
	f->sb->machine.state = MSB_STATE_READY;
	f->sb->machine.ready_ns = 1;
	f->sb->config.upper_bytes = 64 * MIB;
	(void)snprintf(f->sb->name, sizeof(f->sb->name), "box");
	assert_int_equal(pthread_create(&f->thread, NULL, play, f), 0);
}

static void teardown(struct fake *f)
{
	(void)shutdown(f->vmm, SHUT_RDWR);
	assert_int_equal(pthread_join(f->thread, NULL), 0);
	sandbox_unref(f->sb);
	close_fd(&f->vmm);
}

static int get(struct fake *f, struct msb_metrics *ret, struct msb_error *e)
{
	*ret = (struct msb_metrics)MSB_METRICS_INIT;
	return msb_sandbox_metrics(f->sb, ret, e);
}

static void counters_come_as_they_were_sent(void **state)
{
	struct msb_metrics m;
	struct fake f;

	(void)state;
	setup(&f, (struct answer){0});
	assert_int_equal(get(&f, &m, NULL), 0);
	assert_int_equal(m.time_ns, 1);
	assert_int_equal(m.uptime_ns, 2);
	assert_int_equal(m.cpu_ns, 3);
	assert_int_equal(m.memory_bytes, 4);
	assert_int_equal(m.memory_resident_bytes, 5);
	assert_int_equal(m.memory_returned_bytes, 6);
	assert_int_equal(m.disk_read_bytes, 7);
	assert_int_equal(m.disk_write_bytes, 8);
	assert_int_equal(m.disk_reads, 9);
	assert_int_equal(m.disk_writes, 10);
	assert_int_equal(m.net_rx_bytes, 11);
	assert_int_equal(m.net_tx_bytes, 12);
	assert_int_equal(m.cpus, 13);
	assert_int_equal(m.sessions, 14);
	assert_int_equal(m.upper_bytes, 64 * MIB);
	assert_int_equal(m.upper_used_bytes, 0); /* it has no folder */
	assert_true(m.unix_ms > 1600000000000);
	teardown(&f);
}

static void a_smaller_struct_of_the_caller_is_not_overrun(void **state)
{
	struct {
		struct msb_metrics m;
	} both;
	struct fake f;

	(void)state;
	setup(&f, (struct answer){0});
	memset(&both, 0xee, sizeof(both));
	both.m.size = offsetof(struct msb_metrics, uptime_ns);
	assert_int_equal(msb_sandbox_metrics(f.sb, &both.m, NULL), 0);
	assert_int_equal(both.m.time_ns, 1);
	assert_int_equal(both.m.uptime_ns, 0xeeeeeeeeeeeeeeee);
	teardown(&f);
}

static void the_named_upper_is_measured_by_its_blocks(void **state)
{
	char dir[] = "/tmp/msb-test-XXXXXX";
	struct msb_metrics m;
	struct fake f;
	int fd;

	(void)state;
	setup(&f, (struct answer){0});
	assert_non_null(mkdtemp(dir));
	f.sb->place.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(f.sb->place.dir_fd, "upper.ext4", O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, 1 << 30), 0);
	assert_int_equal(pwrite(fd, "x", 1, 1 << 20), 1);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(get(&f, &m, NULL), 0);
	assert_in_range(m.upper_used_bytes, 512, 64 * KIB);
	close(fd);
	assert_int_equal(unlinkat(f.sb->place.dir_fd, "upper.ext4", 0), 0);
	assert_int_equal(rmdir(dir), 0);
	teardown(&f);
}

static void an_old_answer_is_not_taken_for_the_new_one(void **state)
{
	struct msb_metrics m;
	struct fake f;
	uint64_t ns;

	(void)state;
	setup(&f, (struct answer){.wrong_cookie_first = true});
	assert_int_equal(msb_sandbox_ping(f.sb, 2000, &ns, NULL), 0);
	assert_true(ns < 2 * NS_PER_S);
	assert_int_equal(get(&f, &m, NULL), 0);
	assert_int_equal(m.cpu_ns, 3);
	assert_int_equal(msb_sandbox_state(f.sb), MSB_STATE_READY);
	teardown(&f);
}

static void a_descriptor_that_comes_along_is_closed(void **state)
{
	struct msb_metrics m;
	struct fake f;
	char c;

	(void)state;
	setup(&f, (struct answer){.with_fd = true});
	assert_int_equal(get(&f, &m, NULL), 0);
	assert_int_equal(read(f.how.fd_kept, &c, 1), 0); /* no writer left */
	close(f.how.fd_kept);
	assert_int_equal(msb_sandbox_ping(f.sb, 2000, NULL, NULL), 0);
	assert_int_equal(read(f.how.fd_kept, &c, 1), 0);
	close(f.how.fd_kept);
	teardown(&f);
}

/* What breaks the protocol is an end of this machine, and only of it. */
static void broken(struct answer how)
{
	struct msb_error e;
	struct msb_metrics m;
	struct fake f;

	setup(&f, how);
	assert_int_equal(get(&f, &m, &e), -MSB_ERR_GONE);
	assert_true(e.message[0]);
	assert_int_equal(m.cpu_ns, 0);
	assert_true(machine_has_ended(&f.sb->machine));
	assert_int_equal(get(&f, &m, &e), -MSB_ERR_GONE);
	assert_int_equal(msb_sandbox_ping(f.sb, 100, NULL, &e), -MSB_ERR_GONE);
	teardown(&f);
}

static void garbage_ends_it(void **state)
{
	(void)state;
	broken((struct answer){.garbage = true});
}

static void a_message_of_the_guest_ends_it(void **state)
{
	(void)state;
	broken((struct answer){.guests_message = true});
}

static void a_cut_line_is_an_end(void **state)
{
	(void)state;
	broken((struct answer){.hangs_up = true});
}

static void no_answer_is_a_timeout(void **state)
{
	uint64_t begin = clock_now_ns(), ns = 7;
	struct msb_error e;
	struct fake f;

	(void)state;
	setup(&f, (struct answer){.silent = true});
	assert_int_equal(msb_sandbox_ping(f.sb, 50, &ns, &e), -MSB_ERR_TIMEOUT);
	assert_non_null(strstr(e.message, "box"));
	assert_int_equal(ns, 7);
	assert_true(clock_now_ns() - begin < NS_PER_S);
	assert_int_equal(msb_sandbox_ping(f.sb, 0, &ns, &e), -MSB_ERR_TIMEOUT);
	assert_int_equal(msb_sandbox_state(f.sb), MSB_STATE_READY);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_come_as_they_were_sent),
		cmocka_unit_test(a_smaller_struct_of_the_caller_is_not_overrun),
		cmocka_unit_test(the_named_upper_is_measured_by_its_blocks),
		cmocka_unit_test(an_old_answer_is_not_taken_for_the_new_one),
		cmocka_unit_test(a_descriptor_that_comes_along_is_closed),
		cmocka_unit_test(garbage_ends_it),
		cmocka_unit_test(a_message_of_the_guest_ends_it),
		cmocka_unit_test(a_cut_line_is_an_end),
		cmocka_unit_test(no_answer_is_a_timeout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
