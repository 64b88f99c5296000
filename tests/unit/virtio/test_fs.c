#include <errno.h>
#include <string.h>

#include "lib/test.h"

#include "lib/fake_guest.h"
#include "virtio/fs.h"

/* A backend that remembers what it was asked and does as it is told. */
static struct {
	unsigned requests, resets;
	uint8_t got[64];
	size_t got_len, room;
	int result;
} b;

static int request(void *arg, struct iov *out, struct iov *in,
                   uint32_t *ret_len)
{
	assert_ptr_equal(arg, &b);
	b.requests++;
	b.got_len = out->len;
	b.room = in->len;
	if (b.result < 0)
		return b.result;
	assert_true(out->len <= sizeof(b.got));
	assert_int_equal(iov_get(out, b.got, out->len), 0);
	if (in->len == 0)
		return 0; /* a FORGET */
	assert_int_equal(iov_put(in, "answer", 6), 0);
	*ret_len = 6;
	return 0;
}

static void reset(void *arg)
{
	assert_ptr_equal(arg, &b);
	b.resets++;
}

static const struct virtio_fs_backend backend = {request, reset, &b};
static struct fake_guest g;
static struct virtio_dev *dev;

static int setup(void **state)
{
	(void)state;
	memset(&b, 0, sizeof(b));
	assert_int_equal(virtio_fs_new("msb", &backend, &dev, NULL), 0);
	fake_init(&g, dev, F_VERSION_1, 8);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_release(&g);
	virtio_free(dev);
	return 0;
}

static void the_tag_and_one_request_queue_are_in_the_config(void **state)
{
	uint8_t c[48];

	(void)state;
	memset(c, 0xff, sizeof(c));
	dev->ops->read_config(dev, 0, c, sizeof(c));
	assert_string_equal((char *)c, "msb");
	for (unsigned i = 3; i < 36; i++)
		assert_int_equal(c[i], 0);
	assert_int_equal(c[36], 1);
	assert_int_equal(c[40], 0); /* past the end */
}

static void a_tag_must_fit(void **state)
{
	struct virtio_dev *d;
	char tag[38];

	(void)state;
	memset(tag, 'x', 37);
	tag[37] = '\0';
	assert_int_equal(virtio_fs_new(tag, &backend, &d, NULL), -EINVAL);
	assert_int_equal(virtio_fs_new("", &backend, &d, NULL), -EINVAL);
	tag[36] = '\0';
	assert_int_equal(virtio_fs_new(tag, &backend, &d, NULL), 0);
	virtio_free(d);
}

static void a_request_is_answered_where_the_guest_cut_it(void **state)
{
	const uint64_t a = fake_alloc(&g, 64);
	const struct fake_buf v[] = {
		{a,      3, false},
		{a + 8,  2, false},
		{a + 16, 1, true },
		{a + 24, 9, true }
        };
	uint32_t id, len = 0;

	(void)state;
	memcpy(fake_at(&g, a), "abc", 3);
	memcpy(fake_at(&g, a + 8), "de", 2);
	fake_chain(&g, 1, v, 4);
	fake_kick(&g, 1);
	assert_true(fake_used(&g, 1, &id, &len));
	assert_int_equal(len, 6);
	assert_memory_equal(b.got, "abcde", 5);
	assert_int_equal(b.room, 10);
	assert_memory_equal(fake_at(&g, a + 16), "a", 1);
	assert_memory_equal(fake_at(&g, a + 24), "nswer", 5);
	assert_int_equal(g.interrupts[1], 1);
}

static void a_forget_on_the_first_queue_is_given_back_empty(void **state)
{
	const uint64_t a = fake_alloc(&g, 64);
	const struct fake_buf v[] = {
		{a, 48, false}
        };
	uint32_t id, len = 1;

	(void)state;
	fake_chain(&g, 0, v, 1);
	fake_kick(&g, 0);
	assert_true(fake_used(&g, 0, &id, &len));
	assert_int_equal(len, 0);
	assert_int_equal(b.got_len, 48);
}

static void a_breach_stops_the_device_until_it_is_reset(void **state)
{
	const struct fake_buf v[] = {
		{FAKE_HIGH, 4, false}
        };
	uint32_t id, len;

	(void)state;
	b.result = -EPROTO;
	fake_chain(&g, 1, v, 1);
	fake_kick(&g, 1);
	assert_int_equal(g.broken, 1);
	assert_false(fake_used(&g, 1, &id, &len));
	dev->ops->reset(dev);
	assert_int_equal(b.resets, 1);
}

static void a_buffer_outside_ram_never_reaches_the_backend(void **state)
{
	const struct fake_buf v[] = {
		{FAKE_END - 1, 64, false}
        };

	(void)state;
	fake_chain(&g, 1, v, 1);
	fake_kick(&g, 1);
	assert_int_equal(g.broken, 1);
	assert_int_equal(b.requests, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_tag_and_one_request_queue_are_in_the_config),
		T(a_tag_must_fit),
		T(a_request_is_answered_where_the_guest_cut_it),
		T(a_forget_on_the_first_queue_is_given_back_empty),
		T(a_breach_stops_the_device_until_it_is_reset),
		T(a_buffer_outside_ram_never_reaches_the_backend),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
