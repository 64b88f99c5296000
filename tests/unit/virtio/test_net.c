#include "lib/test.h"

#include <errno.h>

#include "base/num.h"
#include "lib/fake_guest.h"
#include "virtio/net.h"

#define RX      0
#define TX      1
#define F_MRG   (1ULL << 15)
#define F_GUEST (1ULL << 1 | 1ULL << 7)
#define QUEUE   64

static struct fake_guest g;
static struct virtio_dev *dev;

/* What the backend saw. */
static struct {
	unsigned frames, batches, writables, resets, used_in_batch;
	struct vnet_hdr h;
	uint8_t data[2048];
	size_t len;
	bool full, csum, tso4, tso6, echo;
	int sent;
} be;

static void on_features(void *arg, bool csum, bool tso4, bool tso6)
{
	(void)arg;
	be.csum = csum;
	be.tso4 = tso4;
	be.tso6 = tso6;
}

static bool on_wants(void *arg)
{
	(void)arg;
	return !be.full;
}

static void on_frame(void *arg, const struct vnet_hdr *h, struct iov *frame)
{
	(void)arg;
	be.frames++;
	be.h = *h;
	be.len = frame->len;
	if (be.echo) {
		be.sent =
			virtio_net_send(dev, h, frame->v, frame->n, frame->len);
		virtio_net_flush(dev);
	}
	(void)iov_get(frame, be.data, MIN(be.len, sizeof(be.data)));
}

static void on_batch_end(void *arg)
{
	uint32_t id, len;

	(void)arg;
	be.batches++;
	be.used_in_batch += fake_used(&g, TX, &id, &len);
}

static void on_writable(void *arg)
{
	(void)arg;
	be.writables++;
}

static void on_reset(void *arg)
{
	(void)arg;
	be.resets++;
}

static const struct virtio_net_backend backend = {
	on_features, on_wants, on_frame, on_batch_end,
	on_writable, on_reset, NULL,
};

static int setup(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 7};

	(void)state;
	memset(&be, 0, sizeof(be));
	assert_int_equal(virtio_net_new(mac, 1500, &backend, &dev, NULL), 0);
	fake_init(&g, dev, F_VERSION_1 | F_MRG | F_GUEST, QUEUE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_release(&g);
	virtio_free(dev);
	return 0;
}

/* A frame of @len bytes, the header in a buffer of its own. */
static void send_frame(const void *data, uint32_t len)
{
	const uint64_t h = fake_alloc(&g, VNET_HDR_LEN),
		       d = fake_alloc(&g, len + 1);
	const struct fake_buf b[] = {
		{h, VNET_HDR_LEN, false},
                {d, len,          false}
        };

	memset(fake_at(&g, h), 0, VNET_HDR_LEN);
	memcpy(fake_at(&g, d), data, len);
	fake_chain(&g, TX, b, len ? 2 : 1);
}

static uint64_t add_buffer(uint32_t len)
{
	const uint64_t at = fake_alloc(&g, len);
	const struct fake_buf b = {at, len, true};

	fake_chain(&g, RX, &b, 1);
	return at;
}

static int send_bytes(const void *data, size_t len)
{
	const struct vnet_hdr h = {.flags = VNET_NEEDS_CSUM};
	const struct iovec v = {(void *)(uintptr_t)data, len};

	return virtio_net_send(dev, &h, &v, 1, len);
}

static void frames_arrive_whole_and_before_their_buffers_go_back(void **state)
{
	uint32_t id, len;

	(void)state;
	send_frame("hello", 5);
	send_frame("world", 5);
	fake_kick(&g, TX);
	assert_int_equal(be.frames, 2);
	assert_int_equal(be.batches, 1);
	assert_int_equal(be.used_in_batch, 0);
	assert_int_equal(be.len, 5);
	assert_memory_equal(be.data, "world", 5);
	for (int i = 0; i < 2; i++) {
		assert_true(fake_used(&g, TX, &id, &len));
		assert_int_equal(len, 0);
	}
	assert_int_equal(g.interrupts[TX], 1);
}

static void a_batch_is_bounded_and_the_rest_gets_its_turn(void **state)
{
	(void)state;
	for (int i = 0; i < QUEUE / 2; i++)
		send_frame("x", 1);
	dev->ops->notify(dev, TX);
	fake_settle(&g);
	assert_int_equal(be.frames, QUEUE / 2);
}

static void what_the_driver_takes_is_told(void **state)
{
	(void)state;
	assert_true(be.csum);
	assert_true(be.tso4);
	assert_false(be.tso6);
}

static void the_device_says_who_it_is(void **state)
{
	uint8_t c[12];

	(void)state;
	dev->ops->read_config(dev, 0, c, sizeof(c));
	assert_int_equal(c[0], 2);
	assert_int_equal(c[5], 7);
	assert_int_equal(c[6], 1); /* link up */
	assert_int_equal(c[10] | c[11] << 8, 1500);
	virtio_net_set_link(dev, false);
	dev->ops->read_config(dev, 6, c, 2);
	assert_int_equal(c[0], 0);
}

static void a_frame_may_be_answered_at_once(void **state)
{
	uint64_t at;
	uint32_t id, len;

	(void)state;
	be.echo = true;
	at = add_buffer(2048);
	send_frame("ping", 4);
	send_frame("last", 4);
	add_buffer(2048);
	fake_kick(&g, TX);
	assert_int_equal(be.sent, 0);
	assert_int_equal(be.frames, 2);
	assert_memory_equal(be.data, "last", 4);
	assert_true(fake_used(&g, RX, &id, &len));
	assert_int_equal(len, VNET_HDR_LEN + 4);
	assert_memory_equal((uint8_t *)fake_at(&g, at) + VNET_HDR_LEN, "ping",
	                    4);
}

static void a_large_frame_takes_many_buffers_at_once(void **state)
{
	static uint8_t data[40000], got[40000];
	uint64_t at[32];
	uint32_t id, len;
	size_t have = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	for (int i = 0; i < 32; i++)
		at[i] = add_buffer(1526);
	assert_int_equal(send_bytes(data, sizeof(data)), 0);
	virtio_net_flush(dev);
	for (int i = 0; fake_used(&g, RX, &id, &len); i++) {
		const uint8_t *p = fake_at(&g, at[i]);
		size_t skip = i ? 0 : VNET_HDR_LEN;

		if (!i) {
			assert_int_equal(p[0], VNET_NEEDS_CSUM);
			assert_int_equal(p[10] | p[11] << 8, 27);
		}
		memcpy(got + have, p + skip, len - skip);
		have += len - skip;
	}
	assert_int_equal(have, sizeof(data));
	assert_memory_equal(got, data, sizeof(data));
	assert_int_equal(g.interrupts[RX], 1);
}

static void without_room_nothing_is_taken(void **state)
{
	static const uint8_t data[4000];
	uint32_t id, len;

	(void)state;
	add_buffer(1526);
	add_buffer(1526);
	assert_int_equal(send_bytes(data, sizeof(data)), -EAGAIN);
	assert_false(fake_used(&g, RX, &id, &len));
	assert_int_equal(be.writables, 0);
	add_buffer(1526);
	fake_kick(&g, RX);
	assert_int_equal(be.writables, 1);
	assert_int_equal(send_bytes(data, sizeof(data)), 0);
	assert_true(fake_used(&g, RX, &id, &len));
	fake_kick(&g, RX); /* nobody waits any more */
	assert_int_equal(be.writables, 1);
}

static void what_no_buffer_can_hold_is_dropped(void **state)
{
	static const uint8_t data[4000];
	uint32_t id, len;

	(void)state;
	fake_restart(&g, F_VERSION_1);
	assert_false(be.csum);
	add_buffer(1526);
	assert_int_equal(send_bytes(data, sizeof(data)), 0);
	assert_false(fake_used(&g, RX, &id, &len));
	assert_int_equal(send_bytes(data, 1000), 0);
	assert_true(fake_used(&g, RX, &id, &len));
	assert_int_equal(g.broken, 0);
}

/* All of the driver's buffers are there, and more there never will be. */
static void what_all_buffers_cannot_hold_is_dropped(void **state)
{
	static const uint8_t data[QUEUE * 100];
	uint32_t id, len;

	(void)state;
	for (unsigned i = 0; i < QUEUE; i++)
		add_buffer(100);
	assert_int_equal(send_bytes(data, sizeof(data)), 0);
	assert_false(fake_used(&g, RX, &id, &len));
	assert_int_equal(send_bytes(data, 1000), 0);
	assert_true(fake_used(&g, RX, &id, &len));
	assert_int_equal(id, 0); /* the first, as if nothing had been */
	assert_int_equal(g.broken, 0);
}

static void frames_wait_while_the_backend_is_full(void **state)
{
	(void)state;
	be.full = true;
	send_frame("a", 1);
	fake_kick(&g, TX);
	assert_int_equal(be.frames, 0);
	be.full = false;
	virtio_net_resume(dev);
	assert_int_equal(be.frames, 1);
}

static void a_frame_without_its_header_is_a_breach(void **state)
{
	const struct fake_buf b = {fake_alloc(&g, 8), 8, false};

	(void)state;
	fake_chain(&g, TX, &b, 1);
	fake_kick(&g, TX);
	assert_int_equal(g.broken, 1);
	assert_int_equal(be.frames, 0);
	assert_int_equal(send_bytes("x", 1), 0);
}

static void a_frame_with_a_writable_part_is_a_breach(void **state)
{
	const struct fake_buf b[] = {
		{fake_alloc(&g, 64), 64, false},
		{fake_alloc(&g, 64), 64, true }
        };

	(void)state;
	fake_chain(&g, TX, b, 2);
	fake_kick(&g, TX);
	assert_int_equal(g.broken, 1);
}

static void a_receive_buffer_to_read_is_a_breach(void **state)
{
	const struct fake_buf b = {fake_alloc(&g, 2048), 2048, false};

	(void)state;
	fake_chain(&g, RX, &b, 1);
	assert_int_equal(send_bytes("x", 1), 0);
	assert_int_equal(g.broken, 1);
}

static void a_receive_buffer_below_the_header_is_a_breach(void **state)
{
	(void)state;
	add_buffer(VNET_HDR_LEN - 1);
	assert_int_equal(send_bytes("x", 1), 0);
	assert_int_equal(g.broken, 1);
}

static void tiny_receive_buffers_cost_a_frame_no_more(void **state)
{
	static const uint8_t data[4000];

	(void)state;
	for (int i = 0; i + 1 < QUEUE; i++)
		add_buffer(16);
	/* One more may still come; more than that never will. */
	assert_int_equal(send_bytes(data, sizeof(data)), -EAGAIN);
	add_buffer(16);
	assert_int_equal(send_bytes(data, sizeof(data)), 0);
	assert_int_equal(g.broken, 0);
}

static void a_frame_longer_than_any_is_dropped(void **state)
{
	const struct fake_buf b = {FAKE_HIGH, 70000, false};
	uint32_t id, len;

	(void)state;
	fake_chain(&g, TX, &b, 1);
	send_frame("ok", 2);
	fake_kick(&g, TX);
	assert_int_equal(be.frames, 1);
	assert_int_equal(be.len, 2);
	assert_true(fake_used(&g, TX, &id, &len));
	assert_int_equal(g.broken, 0);
}

static void a_reset_is_told(void **state)
{
	unsigned before = be.resets;

	(void)state;
	fake_restart(&g, F_VERSION_1);
	assert_true(be.resets > before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(frames_arrive_whole_and_before_their_buffers_go_back),
		TEST(a_batch_is_bounded_and_the_rest_gets_its_turn),
		TEST(what_the_driver_takes_is_told),
		TEST(the_device_says_who_it_is),
		TEST(a_frame_may_be_answered_at_once),
		TEST(a_large_frame_takes_many_buffers_at_once),
		TEST(without_room_nothing_is_taken),
		TEST(what_no_buffer_can_hold_is_dropped),
		TEST(what_all_buffers_cannot_hold_is_dropped),
		TEST(frames_wait_while_the_backend_is_full),
		TEST(a_frame_without_its_header_is_a_breach),
		TEST(a_frame_with_a_writable_part_is_a_breach),
		TEST(a_receive_buffer_to_read_is_a_breach),
		TEST(a_receive_buffer_below_the_header_is_a_breach),
		TEST(tiny_receive_buffers_cost_a_frame_no_more),
		TEST(a_frame_longer_than_any_is_dropped),
		TEST(a_reset_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
