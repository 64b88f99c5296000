#include "lib/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/num.h"
#include "lib/fake_guest.h"

#define SIZE 8

static struct fake_guest g;
static struct vq_chain c;

static int setup(void **state)
{
	(void)state;
	fake_init(&g, NULL, 0, SIZE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_release(&g);
	return 0;
}

static void begin(uint64_t features)
{
	assert_int_equal(
		vq_start(&g.vqs[0], &g.q[0].at, VQ_SIZE_MAX, &g.mem, features),
		0);
}

/* The next pop fails, for the reason given, and so the queue is dead. */
static void refused(const char *why)
{
	assert_int_equal(vq_pop(&g.vqs[0], &g.mem, &c), -EPROTO);
	assert_string_equal(g.vqs[0].why, why);
	assert_int_equal(vq_pop(&g.vqs[0], &g.mem, &c), 0);
	assert_false(g.vqs[0].ready);
}

/* One descriptor of the queue's own table, then made available. */
static void one_desc(uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	fake_desc(&g, g.q[0].at.desc, 0, addr, len, flags, next);
	fake_avail(&g, 0, 0);
}

static void bad_sizes_are_refused(void **state)
{
	const uint16_t bad[] = {0, 3, 6, 2048, 4096, 65535};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct vq_layout at = g.q[0].at;

		at.size = bad[i];
		assert_int_equal(
			vq_start(&g.vqs[0], &at, VQ_SIZE_MAX, &g.mem, 0),
			-EINVAL);
		assert_false(g.vqs[0].ready);
	}
	assert_int_equal(vq_start(&g.vqs[0], &g.q[0].at, SIZE / 2, &g.mem, 0),
	                 -EINVAL);
}

static void rings_must_be_aligned_and_in_one_region(void **state)
{
	const uint64_t bad[] = {
		0,        FAKE_LOW - 16,   FAKE_HIGH - 16, FAKE_END - 16,
		FAKE_END, UINT64_MAX - 15, 0xfeb00000};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad) + 3; i++) {
		for (int part = 0; part < 3; part++) {
			struct vq_layout at = g.q[0].at;
			uint64_t *p[] = {&at.desc, &at.avail, &at.used};

			/* behind the list: off by 8, 1 and 2 */
			if (i < ARRAY_SIZE(bad))
				*p[part] = bad[i];
			else
				at.desc += i - ARRAY_SIZE(bad) + 1,
					at.avail |= 1, at.used |= 2;
			assert_int_equal(vq_start(&g.vqs[0], &at, VQ_SIZE_MAX,
			                          &g.mem, 0),
			                 -EINVAL);
		}
	}
}

static void a_chain_is_parted_into_readable_and_writable(void **state)
{
	const uint64_t a = fake_alloc(&g, 64);
	const struct fake_buf b[] = {
		{a,      10, false},
		{a + 10, 0,  false},
		{a + 16, 6,  false},
		{a + 32, 20, true }
        };
	uint32_t id = 99, len = 0;

	(void)state;
	begin(0);
	assert_int_equal(vq_pop(&g.vqs[0], &g.mem, &c), 0);
	fake_chain(&g, 0, b, 4);
	assert_int_equal(vq_pop(&g.vqs[0], &g.mem, &c), 1);
	assert_int_equal(c.out.n, 2);
	assert_int_equal(c.out.len, 16);
	assert_int_equal(c.in.n, 1);
	assert_int_equal(c.in.len, 20);
	assert_ptr_equal(c.in.v[0].iov_base, fake_at(&g, a + 32));
	assert_int_equal(vq_pop(&g.vqs[0], &g.mem, &c), 0);
	vq_push(&g.vqs[0], c.head, 20);
	assert_true(fake_used(&g, 0, &id, &len));
	assert_int_equal(id, 0);
	assert_int_equal(len, 20);
}

static void a_buffer_over_two_regions_is_split(void **state)
{
	(void)state;
	begin(0);
	one_desc(FAKE_HIGH - 100, 300, D_WRITE, 0);
	assert_int_equal(vq_pop(&g.vqs[0], &g.mem, &c), 1);
	assert_int_equal(c.in.n, 2);
	assert_int_equal(c.in.len, 300);
	assert_int_equal(c.in.v[0].iov_len, 100);
	assert_ptr_equal(c.in.v[1].iov_base, g.high);
}

static void buffers_outside_ram_are_refused(void **state)
{
	const struct {
		uint64_t addr;
		uint32_t len;
	} bad[] = {
		{0,                1         },
		{FAKE_LOW - 1,     1         },
		{FAKE_END - 1,     2         },
		{FAKE_END,         1         },
		{UINT64_MAX,       1         },
		{UINT64_MAX,       2         },
		{UINT64_MAX - 100, UINT32_MAX},
		{FAKE_LOW,         UINT32_MAX},
		{0xfeb00000,       512       }
        };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		fake_set_avail_idx(&g, 0, 0);
		begin(0);
		one_desc(bad[i].addr, bad[i].len, 0, 0);
		refused("buffer is not in RAM");
	}
}

static void loop_in_chain_is_refused(void **state)
{
	(void)state;
	begin(0);
	fake_desc(&g, g.q[0].at.desc, 1, FAKE_LOW, 1, D_NEXT, 0);
	one_desc(FAKE_LOW, 1, D_NEXT, 1);
	refused("chain loops");
}

static void a_loop_of_empty_buffers_is_refused(void **state)
{
	(void)state;
	begin(0);
	one_desc(0, 0, D_NEXT, 0);
	refused("chain loops");
}

static void indexes_past_the_table_are_refused(void **state)
{
	(void)state;
	begin(0);
	fake_avail(&g, 0, SIZE);
	refused("descriptor index");
	fake_set_avail_idx(&g, 0, 0);
	begin(0);
	fake_avail(&g, 0, 0xffff);
	refused("descriptor index");
	fake_set_avail_idx(&g, 0, 0);
	begin(0);
	one_desc(FAKE_LOW, 1, D_NEXT, SIZE);
	refused("descriptor index");
}

static void readable_behind_writable_is_refused(void **state)
{
	const struct fake_buf b[] = {
		{FAKE_LOW, 1, true },
                {FAKE_LOW, 1, false}
        };

	(void)state;
	begin(0);
	fake_chain(&g, 0, b, 2);
	refused("readable buffer behind a writable one");
}

static void an_index_that_jumps_is_refused(void **state)
{
	(void)state;
	begin(0);
	fake_set_avail_idx(&g, 0, SIZE + 1);
	refused("avail index jumps");
	begin(0);
	fake_set_avail_idx(&g, 0, 0xffff);
	refused("avail index jumps");
}

static void more_than_4_gib_in_a_chain_is_refused(void **state)
{
	const size_t len = 64 * MIB;
	void *big = mmap(NULL, len, PROT_NONE,
	                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const uint64_t table = fake_alloc(&g, 16 * 128);

	(void)state;
	assert_true(big != MAP_FAILED);
	assert_int_equal(guest_mem_add(&g.mem, GIB, len, 0, big), 0);
	begin(F_INDIRECT);
	for (uint16_t i = 0; i < 128; i++)
		fake_desc(&g, table, i, GIB, (uint32_t)len,
		          i < 127 ? D_NEXT : 0, i + 1);
	one_desc(table, 16 * 128, D_INDIRECT, 0);
	refused("chain has more than 4 GiB");
	munmap(big, len);
}

static void too_many_pieces_are_refused(void **state)
{
	const uint16_t n = VQ_CHAIN_MAX;
	const uint64_t table = fake_alloc(&g, 16 * n);

	(void)state;
	begin(F_INDIRECT);
	/* Each crosses the border of the regions, so there are 2n pieces. */
	for (uint16_t i = 0; i < n; i++)
		fake_desc(&g, table, i, FAKE_HIGH - 1, 2,
		          i < n - 1 ? D_NEXT : 0, i + 1);
	one_desc(table, 16 * n, D_INDIRECT, 0);
	refused("chain has too many pieces");
}

static void an_indirect_table_is_followed(void **state)
{
	const uint64_t table = fake_alloc(&g, 16 * VQ_CHAIN_MAX);

	(void)state;
	begin(F_INDIRECT);
	for (uint16_t i = 0; i < VQ_CHAIN_MAX; i++)
		fake_desc(&g, table, i, FAKE_LOW + i, 1,
		          (i < VQ_CHAIN_MAX - 1 ? D_NEXT : 0) |
		                  (i > 9 ? D_WRITE : 0),
		          i + 1);
	/* WRITE on the indirect descriptor itself means nothing. */
	fake_desc(&g, g.q[0].at.desc, 1, table, 16 * VQ_CHAIN_MAX,
	          D_INDIRECT | D_WRITE, 77);
	one_desc(FAKE_LOW, 0, D_NEXT, 1);
	assert_int_equal(vq_pop(&g.vqs[0], &g.mem, &c), 1);
	assert_int_equal(c.out.n, 10);
	assert_int_equal(c.in.n, VQ_CHAIN_MAX - 10);
}

static void bad_indirect_tables_are_refused(void **state)
{
	const uint64_t table = fake_alloc(&g, 64);
	const struct {
		uint64_t addr, features;
		uint32_t len;
		uint16_t flags;
		const char *why;
	} bad[] = {
		{table,           0,          16,         D_INDIRECT,          "indirect table not allowed here"},
		{table,           F_INDIRECT, 16,         D_INDIRECT | D_NEXT,
	         "indirect descriptor with a next"							      },
		{table,           F_INDIRECT, 0,          D_INDIRECT,          "length of indirect table"       },
		{table,           F_INDIRECT, 15,         D_INDIRECT,          "length of indirect table"       },
		{table,           F_INDIRECT, 17,         D_INDIRECT,          "length of indirect table"       },
		{table,           F_INDIRECT, 65536 * 16, D_INDIRECT,
	         "length of indirect table"								     },
		{table,           F_INDIRECT, 0xfffffff0, D_INDIRECT,
	         "length of indirect table"								     },
		{0,               F_INDIRECT, 16,         D_INDIRECT,          "indirect table is not in RAM"   },
		{FAKE_HIGH - 16,  F_INDIRECT, 32,         D_INDIRECT,
	         "indirect table is not in RAM"								 },
		{UINT64_MAX - 15, F_INDIRECT, 16,         D_INDIRECT,
	         "indirect table is not in RAM"								 },
		{table,           F_INDIRECT, 32,         D_INDIRECT,          "descriptor index"               },
		{table + 32,      F_INDIRECT, 16,         D_INDIRECT,
	         "indirect table not allowed here"							      },
	};

	(void)state;
	fake_desc(&g, table, 0, FAKE_LOW, 1, D_NEXT, 2); /* past two entries */
	fake_desc(&g, table, 2, table, 16, D_INDIRECT, 0); /* nested */
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		fake_set_avail_idx(&g, 0, 0);
		begin(bad[i].features);
		one_desc(bad[i].addr, bad[i].len, bad[i].flags, 1);
		refused(bad[i].why);
	}
}

static void a_loop_in_an_indirect_table_is_refused(void **state)
{
	const uint64_t table = fake_alloc(&g, 32);

	(void)state;
	begin(F_INDIRECT);
	fake_desc(&g, table, 0, FAKE_LOW, 1, D_NEXT, 1);
	fake_desc(&g, table, 1, FAKE_LOW, 1, D_NEXT, 0);
	one_desc(table, 32, D_INDIRECT, 0);
	refused("chain loops");
}

static void the_geometry_is_frozen_by_the_start(void **state)
{
	(void)state;
	begin(0);
	g.q[0].at.size = 1024; /* what a driver writes later is not looked at */
	assert_int_equal(g.vqs[0].size, SIZE);
	g.q[0].at.size = SIZE;
}

static void a_request_can_be_put_back(void **state)
{
	(void)state;
	begin(0);
	one_desc(FAKE_LOW, 7, 0, 0);
	assert_int_equal(vq_pop(&g.vqs[0], &g.mem, &c), 1);
	vq_unpop(&g.vqs[0]);
	assert_int_equal(vq_pop(&g.vqs[0], &g.mem, &c), 1);
	assert_int_equal(c.out.len, 7);
}

static void indexes_wrap_at_16_bits(void **state)
{
	uint32_t id, len;

	(void)state;
	g.q[0].at.next = 0xfffe;
	g.q[0].seen_used = 0xfffe;
	put_le16(fake_at(&g, g.q[0].at.used + 2), 0xfffe);
	fake_set_avail_idx(&g, 0, 0xfffe);
	begin(0);
	for (uint32_t i = 0; i < 5; i++) {
		one_desc(FAKE_LOW, 1, 0, 0);
		assert_int_equal(vq_pop(&g.vqs[0], &g.mem, &c), 1);
		vq_push(&g.vqs[0], c.head, i);
		assert_true(fake_used(&g, 0, &id, &len));
		assert_int_equal(len, i);
	}
	assert_int_equal(get_le16(fake_at(&g, g.q[0].at.used + 2)), 3);
	g.q[0].at.next = 0;
}

static void rings_may_lie_over_each_other_without_harm(void **state)
{
	struct vq_layout at = g.q[0].at;

	(void)state;
	at.used = at.avail = at.desc;
	assert_int_equal(
		vq_start(&g.vqs[0], &at, VQ_SIZE_MAX, &g.mem, F_EVENT_IDX), 0);
	for (int i = 0; i < 100; i++) {
		if (vq_pop(&g.vqs[0], &g.mem, &c) == 1)
			vq_push(&g.vqs[0], c.head, UINT32_MAX);
		(void)vq_must_interrupt(&g.vqs[0]);
		(void)vq_rearm(&g.vqs[0]);
	}
}

static void push(unsigned n)
{
	while (n--)
		vq_push(&g.vqs[0], 0, 0);
}

static void flags_suppress_interrupts_and_notifications(void **state)
{
	uint8_t *avail = fake_at(&g, g.q[0].at.avail);
	const uint8_t *used = fake_at(&g, g.q[0].at.used);

	(void)state;
	begin(0);
	assert_false(vq_must_interrupt(&g.vqs[0])); /* nothing was pushed */
	push(1);
	assert_true(vq_must_interrupt(&g.vqs[0]));
	assert_false(vq_must_interrupt(&g.vqs[0]));
	put_le16(avail, 1);
	push(1);
	assert_false(vq_must_interrupt(&g.vqs[0]));
	vq_disarm(&g.vqs[0]);
	assert_int_equal(get_le16(used), 1);
	assert_false(vq_rearm(&g.vqs[0]));
	assert_int_equal(get_le16(used), 0);
	fake_set_avail_idx(&g, 0, 1);
	assert_true(vq_rearm(&g.vqs[0]));
}

static void event_index_says_when_to_interrupt(void **state)
{
	uint8_t *event = fake_at(&g, g.q[0].at.avail + 4 + 2 * SIZE);

	(void)state;
	begin(F_EVENT_IDX);
	push(1);
	assert_true(vq_must_interrupt(&g.vqs[0])); /* the first always */
	put_le16(event, 3); /* "when used.idx passes 3" */
	push(2);
	assert_false(vq_must_interrupt(&g.vqs[0]));
	push(1);
	assert_true(vq_must_interrupt(&g.vqs[0]));
	push(1);
	assert_false(vq_must_interrupt(&g.vqs[0]));
	put_le16(event, 0xffff);
	g.vqs[0].next_used = g.vqs[0].judged_used = 0xfffe;
	push(1);
	assert_false(vq_must_interrupt(&g.vqs[0]));
	push(1);
	assert_true(vq_must_interrupt(&g.vqs[0]));
}

static void event_index_says_when_to_notify(void **state)
{
	const uint8_t *event = fake_at(&g, g.q[0].at.used + 4 + 8 * SIZE);

	(void)state;
	begin(F_EVENT_IDX);
	one_desc(FAKE_LOW, 1, 0, 0);
	assert_true(vq_rearm(&g.vqs[0]));
	assert_int_equal(vq_pop(&g.vqs[0], &g.mem, &c), 1);
	assert_false(vq_rearm(&g.vqs[0]));
	assert_int_equal(get_le16(event), 1);
}

static void a_stopped_queue_does_nothing(void **state)
{
	(void)state;
	begin(F_EVENT_IDX);
	one_desc(FAKE_LOW, 1, 0, 0);
	vq_stop(&g.vqs[0]);
	assert_int_equal(vq_pop(&g.vqs[0], &g.mem, &c), 0);
	assert_false(vq_rearm(&g.vqs[0]));
	vq_push(&g.vqs[0], 0, 0);
	assert_false(vq_must_interrupt(&g.vqs[0]));
}

static atomic_bool flip_on;

/* A second CPU of the guest that changes a descriptor all the time. */
static void *flip(void *arg)
{
	volatile uint64_t *d = arg;

	while (atomic_load(&flip_on)) {
		d[0] = FAKE_END + 4096;
		d[0] = FAKE_LOW;
	}
	return NULL;
}

static void a_descriptor_changed_meanwhile_never_escapes(void **state)
{
	const uint64_t end = clock_now_ns() + 200 * NS_PER_MS;
	uint8_t *d = fake_at(&g, g.q[0].at.desc);
	unsigned good = 0, bad = 0;
	pthread_t t;

	(void)state;
	fake_desc(&g, g.q[0].at.desc, 0, FAKE_LOW, 16, 0, 0);
	fake_set_avail_idx(&g, 0, 1);
	atomic_store(&flip_on, true);
	assert_int_equal(pthread_create(&t, NULL, flip, d), 0);
	while (clock_now_ns() < end) {
		begin(0);
		if (vq_pop(&g.vqs[0], &g.mem, &c) == 1) {
			assert_ptr_equal(c.out.v[0].iov_base, g.low);
			good++;
		} else {
			bad++;
		}
	}
	atomic_store(&flip_on, false);
	pthread_join(t, NULL);
	assert_true(good + bad > 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(bad_sizes_are_refused),
		T(rings_must_be_aligned_and_in_one_region),
		T(a_chain_is_parted_into_readable_and_writable),
		T(a_buffer_over_two_regions_is_split),
		T(buffers_outside_ram_are_refused),
		T(loop_in_chain_is_refused),
		T(a_loop_of_empty_buffers_is_refused),
		T(indexes_past_the_table_are_refused),
		T(readable_behind_writable_is_refused),
		T(an_index_that_jumps_is_refused),
		T(more_than_4_gib_in_a_chain_is_refused),
		T(too_many_pieces_are_refused),
		T(an_indirect_table_is_followed),
		T(bad_indirect_tables_are_refused),
		T(a_loop_in_an_indirect_table_is_refused),
		T(the_geometry_is_frozen_by_the_start),
		T(a_request_can_be_put_back),
		T(indexes_wrap_at_16_bits),
		T(rings_may_lie_over_each_other_without_harm),
		T(flags_suppress_interrupts_and_notifications),
		T(event_index_says_when_to_interrupt),
		T(event_index_says_when_to_notify),
		T(a_stopped_queue_does_nothing),
		T(a_descriptor_changed_meanwhile_never_escapes),
	};

	return cmocka_run_group_tests_name("virtio/queue", tests, NULL, NULL);
}
