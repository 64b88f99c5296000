#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "lib/fake_guest.h"
#include "virtio/console.h"

#define RX 0
#define TX 1

static struct fake_guest g;
static struct virtio_dev *dev;
static struct loop *loop;
static int ours, theirs; /* the device's end of the socket, and ours */

static int setup(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	theirs = pair[0];
	ours = pair[1];
	assert_int_equal(fcntl(ours, F_SETFL, O_NONBLOCK), 0);
	loop = loop_new();
	assert_non_null(loop);
	assert_int_equal(virtio_console_new(loop, theirs, &dev, NULL), 0);
	fake_init(&g, dev, F_VERSION_1, 8);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_release(&g);
	virtio_free(dev);
	loop_free(loop);
	close(theirs);
	if (ours >= 0)
		close(ours);
	return 0;
}

static void hang_up(void)
{
	close(ours);
	ours = -1;
}

/* Rounds of the loop until it has nothing to do, and how many these were. */
static unsigned settle(void)
{
	unsigned rounds = 0;
	uint64_t before;

	do {
		before = clock_now_ns();
		assert_int_equal(loop_step(loop, 20), 0);
		fake_settle(&g);
		rounds++;
	} while (clock_now_ns() - before < 20 * NS_PER_MS && rounds < 10000);
	return rounds;
}

static unsigned completed(unsigned q)
{
	uint32_t id, len;
	unsigned n = 0;

	while (fake_used(&g, q, &id, &len))
		n++;
	return n;
}

static void say(uint64_t at, uint32_t len)
{
	const struct fake_buf b = {at, len, false};

	fake_chain(&g, TX, &b, 1);
	fake_kick(&g, TX);
}

static uint64_t room(uint32_t len)
{
	const struct fake_buf b = {fake_alloc(&g, len), len, true};

	fake_chain(&g, RX, &b, 1);
	return b.addr;
}

/* Bytes whose value tells their place, so that a gap or repeat is seen. */
static void fill(uint64_t at, size_t len)
{
	uint8_t *p = fake_at(&g, at);

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i % 251);
}

/* Read what is there and check that it goes on at @*done. */
static void take(size_t *done, size_t max)
{
	static uint8_t data[64 * 1024];
	ssize_t n = read(ours, data, MIN(max, sizeof(data)));

	for (ssize_t i = 0; i < n; i++)
		assert_int_equal(data[i], (*done + (size_t)i) % 251);
	*done += n > 0 ? (size_t)n : 0;
}

static void output_arrives_in_order(void **state)
{
	const uint64_t a = fake_alloc(&g, 64);
	const struct fake_buf b[] = {
		{a,      5, false},
                {a + 16, 6, false}
        };
	char got[32] = "";
	uint32_t id, len = 1;

	(void)state;
	memcpy(fake_at(&g, a), "hello", 5);
	memcpy(fake_at(&g, a + 16), " there", 6);
	fake_chain(&g, TX, b, 2);
	fake_kick(&g, TX);
	assert_int_equal(read(ours, got, sizeof(got)), 11);
	assert_string_equal(got, "hello there");
	assert_true(fake_used(&g, TX, &id, &len));
	assert_int_equal(len, 0);
	assert_int_equal(g.interrupts[TX], 1);
}

static void input_waits_for_a_buffer_and_does_not_spin(void **state)
{
	uint32_t id, len = 0;
	uint64_t at;

	(void)state;
	assert_int_equal(write(ours, "typed", 5), 5);
	assert_int_equal(settle(), 1);
	at = room(64);
	fake_kick(&g, RX);
	assert_true(fake_used(&g, RX, &id, &len));
	assert_int_equal(len, 5);
	assert_memory_equal(fake_at(&g, at), "typed", 5);
	assert_int_equal(g.interrupts[RX], 1);
	assert_int_equal(settle(), 1);
}

static void a_buffer_waits_for_input(void **state)
{
	uint64_t at = room(4);
	uint32_t id, len = 0;

	(void)state;
	(void)room(64);
	fake_kick(&g, RX);
	assert_int_equal(settle(), 1);
	assert_int_equal(write(ours, "a long word", 11), 11);
	settle();
	assert_memory_equal(fake_at(&g, at), "a lo", 4);
	assert_true(fake_used(&g, RX, &id, &len));
	assert_int_equal(len, 4);
	assert_true(fake_used(&g, RX, &id, &len));
	assert_int_equal(len, 7);
	/* No buffer is left: more input stays where it is. */
	assert_int_equal(write(ours, "more", 4), 4);
	assert_int_equal(settle(), 1);
}

static void a_full_socket_makes_the_guest_wait(void **state)
{
	size_t done = 0;

	(void)state;
	fill(FAKE_HIGH, MIB);
	say(FAKE_HIGH, MIB);
	settle();
	assert_int_equal(completed(TX), 0);
	/* It is full now: the loop sleeps, and a notification changes that
	 * not. */
	assert_int_equal(settle(), 1);
	fake_kick(&g, TX);
	assert_int_equal(settle(), 1);
	for (int i = 0; i < 1000 && done < MIB; i++) {
		take(&done, 7001);
		settle();
	}
	assert_int_equal(done, MIB);
	assert_int_equal(completed(TX), 1);
	assert_int_equal(settle(), 1);
}

static void a_chain_in_parts_goes_on_at_the_right_byte(void **state)
{
	const struct fake_buf b[] = {
		{FAKE_HIGH,          1001,  false},
		{FAKE_HIGH + 1001,   1,     false},
		{FAKE_HIGH + 1002,   70000, false},
		{FAKE_HIGH + 71002,  90000, false},
		{FAKE_HIGH - 1,      0,     false},
		{FAKE_HIGH + 161002, 39,    false}
        };
	const int small = 4096;
	size_t done = 0;

	(void)state;
	assert_int_equal(setsockopt(theirs, SOL_SOCKET, SO_SNDBUF, &small,
	                            sizeof(small)),
	                 0);
	fill(FAKE_HIGH, 161041);
	fake_chain(&g, TX, b, 6);
	fake_kick(&g, TX);
	for (int i = 0; i < 10000 && done < 161041; i++) {
		take(&done, 997);
		assert_int_equal(loop_step(loop, 0), 0);
		fake_settle(&g);
	}
	assert_int_equal(done, 161041);
	assert_int_equal(completed(TX), 1);
}

/* One turn takes a bounded part, however fast the other end reads. */
static void a_gigantic_request_takes_several_turns(void **state)
{
	const int large = 8 << 20;
	int waiting = 0;

	(void)state;
	(void)setsockopt(theirs, SOL_SOCKET, SO_SNDBUFFORCE, &large,
	                 sizeof(large));
	say(FAKE_HIGH, MIB);
	assert_int_equal(ioctl(ours, FIONREAD, &waiting), 0);
	assert_int_equal(waiting, 64 * 1024);
	assert_int_equal(loop_step(loop, 0), 0);
	assert_int_equal(ioctl(ours, FIONREAD, &waiting), 0);
	assert_int_equal(waiting, 128 * 1024);
}

static void a_request_that_shrinks_in_between_ends_there(void **state)
{
	const int small = 4096;
	size_t done = 0;

	(void)state;
	assert_int_equal(setsockopt(theirs, SOL_SOCKET, SO_SNDBUF, &small,
	                            sizeof(small)),
	                 0);
	fill(FAKE_HIGH, MIB);
	say(FAKE_HIGH, MIB);
	settle();
	fake_desc(&g, g.q[TX].at.desc, 0, FAKE_HIGH, 3, 0, 0);
	take(&done, MIB);
	assert_true(done > 3);
	settle();
	assert_int_equal(completed(TX), 1);
	assert_int_equal(read(ours, &(char){0}, 1), -1);
	assert_int_equal(g.broken, 0);
}

static void output_to_nobody_is_dropped(void **state)
{
	(void)state;
	fill(FAKE_HIGH, MIB);
	say(FAKE_HIGH, MIB);
	settle();
	assert_int_equal(completed(TX), 0);
	hang_up(); /* also no SIGPIPE: it would end this program */
	settle();
	assert_int_equal(completed(TX), 1);
	for (int i = 0; i < 1000; i++) {
		say(FAKE_HIGH, 4096);
		assert_int_equal(completed(TX), 1);
	}
	assert_int_equal(settle(), 1);
	assert_int_equal(g.broken, 0);
}

/* Without a request that waits, who hung up is found by writing. */
static void a_peer_gone_before_the_first_byte_is_no_signal(void **state)
{
	(void)state;
	hang_up();
	say(FAKE_HIGH, 100);
	assert_int_equal(completed(TX), 1);
	assert_true(settle() <= 2);
	assert_int_equal(settle(), 1);
}

static void the_last_words_of_a_peer_are_read(void **state)
{
	uint32_t id, len = 0;
	uint64_t at;

	(void)state;
	assert_int_equal(write(ours, "exit\n", 5), 5);
	hang_up();
	assert_true(settle() <= 2);
	assert_int_equal(settle(), 1);
	at = room(2);
	(void)room(64);
	(void)room(64);
	fake_kick(&g, RX);
	assert_memory_equal(fake_at(&g, at), "ex", 2);
	assert_true(fake_used(&g, RX, &id, &len));
	assert_true(fake_used(&g, RX, &id, &len));
	assert_int_equal(len, 3);
	assert_false(fake_used(&g, RX, &id, &len));
	assert_int_equal(settle(), 1);
}

static void the_end_of_input_leaves_output_alone(void **state)
{
	char got[8] = "";

	(void)state;
	(void)room(64);
	fake_kick(&g, RX);
	assert_int_equal(shutdown(ours, SHUT_WR), 0);
	assert_true(settle() <= 2);
	assert_int_equal(settle(), 1);
	memcpy(fake_at(&g, FAKE_HIGH), "still", 5);
	say(FAKE_HIGH, 5);
	assert_int_equal(read(ours, got, 8), 5);
	assert_string_equal(got, "still");
}

static void an_emergency_byte_needs_no_queue(void **state)
{
	const uint8_t word[4] = {'!', 'x', 'y', 'z'};
	char got[8] = "";

	(void)state;
	assert_true(dev->offered >> 2 & 1);
	assert_false(dev->offered & 3); /* no SIZE, no MULTIPORT */
	vq_stop(&g.vqs[RX]);
	vq_stop(&g.vqs[TX]);
	dev->ops->reset(dev);
	dev->active = false;
	dev->ops->write_config(dev, 8, word, 4);
	assert_int_equal(read(ours, got, 8), 1);
	assert_string_equal(got, "!");
	/* Not the register, or not all of it. */
	dev->ops->write_config(dev, 8, word, 1);
	dev->ops->write_config(dev, 4, word, 4);
	dev->ops->write_config(dev, 9, word, 3);
	assert_int_equal(read(ours, got, 8), -1);
	/* A flood meets a full socket and goes on. */
	for (int i = 0; i < 100000; i++)
		dev->ops->write_config(dev, 8, word, 4);
	hang_up();
	dev->ops->write_config(dev, 8, word, 4);
}

static void the_config_space_is_sized_as_offered(void **state)
{
	static const uint8_t want[16] = {0, 0, 0, 0, 1};
	uint8_t got[16];

	(void)state;
	memset(got, 0xff, sizeof(got));
	dev->ops->read_config(dev, 0, got, sizeof(got));
	assert_memory_equal(got, want, sizeof(got));
	assert_int_equal(dev->ops->config_len, 12);
}

static void a_reset_forgets_a_request_in_parts(void **state)
{
	size_t done = 0;
	char got[8] = "";

	(void)state;
	fill(FAKE_HIGH, MIB);
	say(FAKE_HIGH, MIB);
	settle();
	fake_restart(&g, F_VERSION_1);
	for (size_t last = 1; last != done;) {
		last = done;
		take(&done, MIB);
	}
	assert_int_equal(settle(), 1);
	memcpy(fake_at(&g, FAKE_HIGH), "anew", 4);
	say(FAKE_HIGH, 4);
	assert_int_equal(read(ours, got, 8), 4);
	assert_string_equal(got, "anew");
}

static void a_buffer_outside_ram_stops_the_device(void **state)
{
	(void)state;
	say(FAKE_END - 1, 2);
	assert_int_equal(g.broken, 1);
	assert_int_equal(write(ours, "x", 1), 1);
	assert_int_equal(settle(), 1);
	hang_up();
	assert_true(settle() <= 2);
	assert_int_equal(settle(), 1);
}

/* A flood of tiny requests: others get a turn after each batch. */
static void a_flood_leaves_turns_to_others(void **state)
{
	const struct fake_buf b = {FAKE_HIGH, 1, false};

	(void)state;
	fake_release(&g);
	fake_init(&g, dev, F_VERSION_1, VIRTIO_BATCH);
	for (int i = 0; i < VIRTIO_BATCH; i++)
		fake_chain(&g, TX, &b, 1);
	dev->ops->notify(dev, TX);
	/* It does not even look whether there is more. */
	assert_true(g.again[TX]);
	assert_int_equal(completed(TX), VIRTIO_BATCH);
	fake_chain(&g, TX, &b, 1);
	fake_settle(&g);
	assert_int_equal(completed(TX), 1);
}

/* Attack 14: much output, read slowly, or by nobody; nothing grows here. */
static void a_flood_of_output_costs_no_memory(void **state)
{
	static uint8_t data[64 * 1024];
	struct rusage before, after;
	size_t moved = 0;

	(void)state;
	say(FAKE_HIGH, MIB);
	settle();
	getrusage(RUSAGE_SELF, &before);
	for (int i = 0; i < 4096; i++) {
		ssize_t n = read(ours, data, sizeof(data));

		moved += n > 0 ? (size_t)n : 0;
		assert_int_equal(loop_step(loop, 0), 0);
		fake_settle(&g);
		if (completed(TX))
			say(FAKE_HIGH, MIB);
	}
	getrusage(RUSAGE_SELF, &after);
	assert_true(moved > 64 * MIB);
	assert_true(after.ru_maxrss - before.ru_maxrss < 1024);
}

static void empty_buffers_come_back_empty(void **state)
{
	const struct fake_buf rx = {FAKE_HIGH, 0, true};
	uint32_t id, len = 1;

	(void)state;
	assert_int_equal(write(ours, "x", 1), 1);
	fake_chain(&g, RX, &rx, 1);
	fake_kick(&g, RX);
	assert_true(fake_used(&g, RX, &id, &len));
	assert_int_equal(len, 0);
	say(FAKE_HIGH, 0);
	assert_int_equal(completed(TX), 1);
	/* A zero read of an empty buffer is no end of input. */
	(void)room(8);
	fake_kick(&g, RX);
	assert_true(fake_used(&g, RX, &id, &len));
	assert_int_equal(len, 1);
}

static void only_stream_sockets_are_taken(void **state)
{
	struct virtio_dev *d = NULL;
	int p[2], datagrams[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams), 0);
	assert_int_equal(virtio_console_new(loop, p[1], &d, NULL), -ENOTSOCK);
	assert_int_equal(virtio_console_new(loop, datagrams[0], &d, NULL),
	                 -EPROTOTYPE);
	assert_int_equal(virtio_console_new(loop, -1, &d, NULL), -EBADF);
	assert_null(d);
	for (int i = 0; i < 2; i++) {
		close(p[i]);
		close(datagrams[i]);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(output_arrives_in_order),
		T(input_waits_for_a_buffer_and_does_not_spin),
		T(a_buffer_waits_for_input),
		T(a_full_socket_makes_the_guest_wait),
		T(a_chain_in_parts_goes_on_at_the_right_byte),
		T(a_gigantic_request_takes_several_turns),
		T(a_request_that_shrinks_in_between_ends_there),
		T(output_to_nobody_is_dropped),
		T(a_peer_gone_before_the_first_byte_is_no_signal),
		T(the_last_words_of_a_peer_are_read),
		T(the_end_of_input_leaves_output_alone),
		T(an_emergency_byte_needs_no_queue),
		T(the_config_space_is_sized_as_offered),
		T(a_reset_forgets_a_request_in_parts),
		T(a_buffer_outside_ram_stops_the_device),
		T(a_flood_leaves_turns_to_others),
		T(a_flood_of_output_costs_no_memory),
		T(empty_buffers_come_back_empty),
		T(only_stream_sockets_are_taken),
	};

	return cmocka_run_group_tests_name("virtio/console", tests, NULL, NULL);
}
