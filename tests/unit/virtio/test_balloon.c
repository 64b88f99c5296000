#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "lib/fake_guest.h"
#include "virtio/balloon.h"

#define INFLATE   0
#define DEFLATE   1
#define STATS     2
#define REPORTING 3

#define F_STATS     (1ULL << 1)
#define F_OOM       (1ULL << 2)
#define F_REPORTING (1ULL << 5)
#define F_ALL       (F_VERSION_1 | F_STATS | F_OOM | F_REPORTING)

#define PAGE 4096u

/* RAM that is a shared memfd, far behind the rest. */
#define SHARED     0x10000000ULL
#define SHARED_LEN (4 * MIB)

static struct fake_guest g;
static struct virtio_dev *dev;
static struct loop *loop;
static int memfd = -1;

static unsigned removes, dontneeds; /* that worked */

/* In place of libc's: the real thing, counted. */
int madvise(void *p, size_t len, int advice)
{
	int r = (int)syscall(SYS_madvise, p, len, advice);

	removes += r == 0 && advice == MADV_REMOVE;
	dontneeds += r == 0 && advice == MADV_DONTNEED;
	return r;
}

static void start(uint64_t features, uint16_t size)
{
	fake_init(&g, dev, features, size);
	if (memfd < 0)
		memfd = memfd_create("ram", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	assert_int_equal(ftruncate(memfd, SHARED_LEN), 0);
	assert_int_equal(fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(
		guest_mem_map(&g.mem, SHARED, SHARED_LEN, 1ULL << 41, memfd, 0),
		0);
	removes = dontneeds = 0;
}

static int setup(void **state)
{
	(void)state;
	loop = loop_new();
	assert_non_null(loop);
	assert_int_equal(balloon_new(loop, &dev, NULL), 0);
	start(F_ALL, 16);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_release(&g);
	virtio_free(dev);
	loop_free(loop);
	close(memfd);
	memfd = -1;
	return 0;
}

/* The same device with other features or another queue size. */
static void again_with(uint64_t features, uint16_t size)
{
	fake_release(&g);
	start(features, size);
}

static uint8_t *ram(uint64_t gpa)
{
	uint8_t *p = guest_mem_at(&g.mem, gpa, 1);

	assert_non_null(p);
	return p;
}

static void touch(uint64_t gpa, size_t len)
{
	memset(ram(gpa), 0xaa, len);
}

/* How many of the pages at @gpa this process has in memory. */
static unsigned resident(uint64_t gpa, unsigned pages)
{
	unsigned char in[512];
	unsigned n = 0;

	assert_true(pages <= sizeof(in));
	assert_int_equal(mincore(ram(gpa), (size_t)pages * PAGE, in), 0);
	for (unsigned i = 0; i < pages; i++)
		n += in[i] & 1;
	return n;
}

static uint64_t memfd_bytes(void)
{
	struct stat st;

	assert_int_equal(fstat(memfd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

/* Submit and expect that it comes back, nothing written. */
static void submit(unsigned q, const struct fake_buf *b, unsigned n)
{
	uint32_t id, len = 1;

	fake_chain(&g, q, b, n);
	fake_kick(&g, q);
	assert_true(fake_used(&g, q, &id, &len));
	assert_int_equal(len, 0);
}

static void list(unsigned q, const uint32_t *pfn, unsigned n)
{
	const struct fake_buf b = {fake_alloc(&g, n * 4), n * 4, false};

	for (unsigned i = 0; i < n; i++)
		put_le32((uint8_t *)fake_at(&g, b.addr) + i * 4UL, pfn[i]);
	submit(q, &b, 1);
}

static uint32_t pfn(uint64_t gpa)
{
	return (uint32_t)(gpa / PAGE);
}

static uint64_t inflated(void)
{
	struct balloon_stats s;

	balloon_get_stats(dev, &s);
	return s.inflated;
}

static uint64_t reported(void)
{
	struct balloon_stats s;

	balloon_get_stats(dev, &s);
	return s.reported;
}

/* ---- inflate and deflate ----------------------------------------------- */

static void inflated_pages_leave_private_memory(void **state)
{
	const uint32_t p[] = {pfn(FAKE_HIGH), pfn(FAKE_HIGH) + 1,
	                      pfn(FAKE_HIGH) + 3};

	(void)state;
	touch(FAKE_HIGH, 5 * PAGE);
	assert_int_equal(resident(FAKE_HIGH, 5), 5);
	list(INFLATE, p, 3);
	assert_int_equal(resident(FAKE_HIGH, 5), 2);
	assert_int_equal(*ram(FAKE_HIGH), 0);
	assert_int_equal(*ram(FAKE_HIGH + 2 * PAGE), 0xaa);
	assert_int_equal(*ram(FAKE_HIGH + 4 * PAGE), 0xaa);
	assert_int_equal(inflated(), 3 * PAGE);
	assert_int_equal(balloon_returned(dev), 3 * PAGE);
	assert_int_equal(dontneeds, 2);
	assert_int_equal(removes, 0);
}

static void inflated_pages_leave_a_shared_memfd(void **state)
{
	uint32_t p[256];

	(void)state;
	touch(SHARED, 256 * PAGE);
	assert_int_equal(memfd_bytes(), 256 * PAGE);
	/* What works on private memory does nothing here. */
	assert_int_equal(madvise(ram(SHARED), 256UL * PAGE, MADV_DONTNEED), 0);
	assert_int_equal(memfd_bytes(), 256 * PAGE);
	for (uint32_t i = 0; i < 255; i++)
		p[i] = pfn(SHARED) + i;
	list(INFLATE, p, 255);
	assert_int_equal(memfd_bytes(), PAGE);
	assert_int_equal(*ram(SHARED), 0);
	assert_int_equal(*ram(SHARED + 255UL * PAGE), 0xaa);
	assert_int_equal(removes, 1);
	assert_int_equal(dontneeds, 1);
}

static void neighbours_go_in_one_call_up_or_down(void **state)
{
	uint32_t p[200];

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		p[i] = pfn(FAKE_HIGH) + 99 - i;
		p[100 + i] = pfn(FAKE_HIGH) + 120 + i;
	}
	list(INFLATE, p, 200);
	assert_int_equal(dontneeds, 2);
	assert_int_equal(inflated(), 200 * PAGE);
}

static void regions_are_not_joined(void **state)
{
	const uint32_t p[] = {pfn(FAKE_HIGH) - 1, pfn(FAKE_HIGH)};

	(void)state;
	touch(FAKE_HIGH - PAGE, PAGE);
	touch(FAKE_HIGH, 2 * PAGE);
	list(INFLATE, p, 2);
	assert_int_equal(resident(FAKE_HIGH - PAGE, 1), 0);
	assert_int_equal(resident(FAKE_HIGH, 2), 1);
	assert_int_equal(inflated(), 2 * PAGE);
}

static void pages_that_are_no_ram_are_skipped(void **state)
{
	const uint32_t p[] = {
		0,          pfn(FAKE_LOW) - 1,       pfn(FAKE_END),
		UINT32_MAX, pfn(FAKE_HIGH),          pfn(SHARED) - 1,
		1u << 31,   pfn(SHARED + SHARED_LEN)};

	(void)state;
	touch(FAKE_HIGH, 2 * PAGE);
	list(INFLATE, p, ARRAY_SIZE(p));
	assert_int_equal(g.broken, 0);
	assert_int_equal(dontneeds + removes, 1);
	assert_int_equal(inflated(), PAGE);
	assert_int_equal(resident(FAKE_HIGH, 2), 1);
}

static void the_same_page_twice_does_no_harm(void **state)
{
	uint32_t p[64];

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		p[i] = pfn(FAKE_HIGH);
	for (unsigned i = 0; i < 100; i++)
		list(INFLATE, p, 64);
	assert_int_equal(g.broken, 0);
	/* What is counted stays below what there is. */
	assert_int_equal(inflated(), FAKE_END - FAKE_LOW + SHARED_LEN);
}

static void deflation_ends_at_zero(void **state)
{
	const uint32_t p[] = {pfn(FAKE_HIGH), pfn(FAKE_HIGH) + 1, 77};

	(void)state;
	list(DEFLATE, p, 3);
	assert_int_equal(inflated(), 0);
	list(INFLATE, p, 2);
	list(DEFLATE, p, 1);
	assert_int_equal(inflated(), PAGE);
	list(DEFLATE, p, 3);
	list(DEFLATE, p, 3);
	assert_int_equal(inflated(), 0);
	list(INFLATE, p, 1);
	assert_int_equal(inflated(), PAGE);
	assert_int_equal(g.broken, 0);
}

static void an_empty_request_is_none(void **state)
{
	const struct fake_buf b = {FAKE_HIGH, 0, false};
	const struct fake_buf in = {FAKE_HIGH, PAGE, true};

	(void)state;
	touch(FAKE_HIGH, PAGE);
	submit(INFLATE, &b, 1);
	submit(DEFLATE, &b, 1);
	submit(REPORTING, &b, 1);
	submit(INFLATE, &in, 1); /* a list in the wrong direction */
	assert_int_equal(resident(FAKE_HIGH, 1), 1);
	assert_int_equal(g.broken, 0);
}

static void half_a_page_number_stops_the_device(void **state)
{
	const struct fake_buf b = {FAKE_HIGH, 7, false};
	uint32_t id, len;

	(void)state;
	for (unsigned q = INFLATE; q <= DEFLATE; q++) {
		fake_restart(&g, F_ALL);
		fake_chain(&g, q, &b, 1);
		fake_kick(&g, q);
		assert_int_equal(g.broken, 1);
		assert_false(fake_used(&g, q, &id, &len));
	}
	assert_int_equal(dontneeds + removes, 0);
}

/* Every other page of 1 MiB, listed over and over: 2^18 single drops. */
static uint64_t gigantic_list(void)
{
	uint8_t *p = fake_at(&g, FAKE_HIGH);

	for (uint32_t i = 0; i < MIB / 4; i++)
		put_le32(p + 4UL * i, pfn(SHARED) + 2 * (i % 128));
	return FAKE_HIGH;
}

static void a_gigantic_list_takes_many_bounded_turns(void **state)
{
	const struct fake_buf b = {gigantic_list(), (uint32_t)MIB, false};
	unsigned turns = 0;
	uint32_t id, len = 1;

	(void)state;
	fake_chain(&g, INFLATE, &b, 1);
	do {
		removes = 0;
		g.again[INFLATE] = false;
		dev->ops->notify(dev, INFLATE);
		assert_true(removes <= 1024);
		turns++;
	} while (g.again[INFLATE] && turns < 1000);
	assert_in_range(turns, 256, 260);
	assert_true(fake_used(&g, INFLATE, &id, &len));
	assert_int_equal(len, 0);
	assert_int_equal(g.broken, 0);
}

static void a_list_that_shrinks_between_turns_ends(void **state)
{
	const struct fake_buf b = {gigantic_list(), (uint32_t)MIB, false};
	uint32_t id, len;

	(void)state;
	fake_chain(&g, INFLATE, &b, 1);
	dev->ops->notify(dev, INFLATE);
	assert_true(g.again[INFLATE]);
	fake_desc(&g, g.q[INFLATE].at.desc, 0, FAKE_HIGH, 4, 0, 0);
	removes = 0;
	fake_settle(&g);
	assert_true(fake_used(&g, INFLATE, &id, &len));
	assert_int_equal(removes, 0);
	assert_int_equal(g.broken, 0);
}

static void a_reset_forgets_a_list_in_parts(void **state)
{
	const struct fake_buf b = {gigantic_list(), (uint32_t)MIB, false};
	const uint32_t p = pfn(FAKE_HIGH);

	(void)state;
	fake_chain(&g, INFLATE, &b, 1);
	dev->ops->notify(dev, INFLATE);
	assert_true(inflated() > 0);
	fake_restart(&g, F_ALL);
	assert_int_equal(inflated(), 0);
	removes = dontneeds = 0;
	list(INFLATE, &p, 1);
	assert_int_equal(dontneeds, 1);
	assert_int_equal(inflated(), PAGE);
}

/* ---- reporting --------------------------------------------------------- */

static void reported_pages_leave_private_memory(void **state)
{
	const struct fake_buf b[] = {
		{FAKE_HIGH,            8 * PAGE, true},
		{FAKE_HIGH + 9 * PAGE, PAGE,     true}
        };

	(void)state;
	touch(FAKE_HIGH, 12 * PAGE);
	submit(REPORTING, b, 2);
	assert_int_equal(resident(FAKE_HIGH, 12), 3);
	assert_int_equal(reported(), 9 * PAGE);
	assert_int_equal(inflated(), 0);
	assert_int_equal(balloon_returned(dev), 9 * PAGE);
	submit(REPORTING, b, 2);
	assert_int_equal(balloon_returned(dev), 18 * PAGE); /* ever */
	dontneeds -= 2;
	g.interrupts[REPORTING]--;
	assert_int_equal(dontneeds, 2);
	assert_int_equal(g.interrupts[REPORTING], 1);
}

static void reported_pages_leave_a_shared_memfd(void **state)
{
	const struct fake_buf b = {SHARED, 2 * MIB, true};

	(void)state;
	touch(SHARED, SHARED_LEN);
	submit(REPORTING, &b, 1);
	assert_int_equal(memfd_bytes(), 2 * MIB);
	assert_int_equal(*ram(SHARED + 2 * MIB - 1), 0);
	assert_int_equal(*ram(SHARED + 2 * MIB), 0xaa);
	assert_int_equal(reported(), 2 * MIB);
}

static void only_whole_pages_are_dropped(void **state)
{
	static const struct {
		uint32_t off, len;
		unsigned dropped;
	} t[] = {
		{1,        PAGE,         0},
                {0,        PAGE - 1,     0},
                {PAGE / 2, PAGE / 2,     0},
		{1,        2 * PAGE,     1},
                {1,        2 * PAGE - 1, 1},
                {1,        2 * PAGE - 2, 0},
		{0,        PAGE + 1,     1},
                {5,        10,           0},
                {0,        1,            0},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		const struct fake_buf b = {FAKE_HIGH + t[i].off, t[i].len,
		                           true};

		touch(FAKE_HIGH, 4 * PAGE);
		submit(REPORTING, &b, 1);
		assert_int_equal(resident(FAKE_HIGH, 4), 4 - t[i].dropped);
		for (uint32_t at = 0; at < t[i].off; at++)
			assert_int_equal(*ram(FAKE_HIGH + at), 0xaa);
		for (uint32_t at = t[i].off + t[i].len; at < 4 * PAGE; at++)
			assert_int_equal(*ram(FAKE_HIGH + at), 0xaa);
	}
}

/* Both sides of the border, which are apart in the host. */
static void a_report_across_regions_is_cut_there(void **state)
{
	const struct fake_buf b = {FAKE_HIGH - PAGE, 3 * PAGE, true};

	(void)state;
	touch(FAKE_HIGH - PAGE, PAGE);
	touch(FAKE_HIGH, 3 * PAGE);
	submit(REPORTING, &b, 1);
	assert_int_equal(resident(FAKE_HIGH - PAGE, 1), 0);
	assert_int_equal(resident(FAKE_HIGH, 3), 1);
	assert_int_equal(reported(), 3 * PAGE);
}

static void a_report_outside_ram_stops_the_device(void **state)
{
	const struct fake_buf b = {FAKE_END - PAGE, 2 * PAGE, true};

	(void)state;
	touch(FAKE_END - PAGE, PAGE);
	fake_chain(&g, REPORTING, &b, 1);
	fake_kick(&g, REPORTING);
	assert_int_equal(g.broken, 1);
	assert_int_equal(resident(FAKE_END - PAGE, 1), 1);
}

static void a_readable_report_drops_nothing(void **state)
{
	const struct fake_buf b = {FAKE_HIGH, PAGE, false};

	(void)state;
	touch(FAKE_HIGH, PAGE);
	submit(REPORTING, &b, 1);
	assert_int_equal(resident(FAKE_HIGH, 1), 1);
}

/* The guest drops its own rings, of this queue and all others. */
static void reporting_the_rings_harms_the_guest_only(void **state)
{
	const struct fake_buf b = {FAKE_LOW, (uint32_t)(FAKE_HIGH - FAKE_LOW),
	                           true};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		fake_chain(&g, REPORTING, &b, 1);
		fake_kick(&g, REPORTING);
		for (unsigned q = 0; q < 3; q++)
			dev->ops->notify(dev, (uint16_t)q);
		fake_settle(&g);
		fake_restart(&g, F_ALL);
	}
	submit(REPORTING, &(struct fake_buf){FAKE_HIGH, PAGE, true}, 1);
}

/* All RAM at once, by as many pieces as fit, again and again. */
static void gigantic_reports_take_bounded_turns(void **state)
{
	struct fake_buf b[64];
	uint64_t before;
	unsigned turns = 0;
	uint32_t id, len;

	(void)state;
	again_with(F_ALL, 128);
	for (unsigned i = 0; i < ARRAY_SIZE(b); i++)
		b[i] = (struct fake_buf){SHARED, SHARED_LEN, true};
	fake_chain(&g, REPORTING, b, ARRAY_SIZE(b));
	fake_chain(&g, REPORTING, b, ARRAY_SIZE(b));
	do {
		before = reported();
		g.again[REPORTING] = false;
		dev->ops->notify(dev, REPORTING);
		assert_true(reported() - before <= 64 * MIB + 16 * MIB);
		turns++;
	} while (g.again[REPORTING] && turns < 100);
	assert_in_range(turns, 8, 9);
	assert_int_equal(reported(), 128 * SHARED_LEN);
	assert_true(fake_used(&g, REPORTING, &id, &len));
	assert_true(fake_used(&g, REPORTING, &id, &len));
}

/* One buffer of 1 GiB that begins and ends inside a page. */
static void a_gigantic_buffer_is_dropped_in_parts(void **state)
{
	const struct fake_buf b = {(1ULL << 32) + 1, (uint32_t)GIB - 2, true};
	uint64_t before;
	unsigned turns = 0;
	uint32_t id, len;
	uint8_t *p = mmap(NULL, GIB, PROT_READ | PROT_WRITE,
	                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)state;
	assert_true(p != MAP_FAILED);
	assert_int_equal(guest_mem_add(&g.mem, 1ULL << 32, GIB, 1ULL << 42, p),
	                 0);
	for (uint64_t at = 0; at < GIB; at += 4 * MIB - PAGE)
		p[at] = 1;
	fake_chain(&g, REPORTING, &b, 1);
	do {
		before = reported();
		g.again[REPORTING] = false;
		dev->ops->notify(dev, REPORTING);
		assert_true(reported() - before <= 64 * MIB + 16 * MIB);
		turns++;
	} while (g.again[REPORTING] && turns < 100);
	assert_in_range(turns, 16, 17);
	assert_int_equal(reported(), GIB - 2 * PAGE);
	assert_true(fake_used(&g, REPORTING, &id, &len));
	assert_int_equal(p[0], 1);
	for (uint64_t at = 4 * MIB - PAGE; at < GIB; at += 4 * MIB - PAGE)
		assert_int_equal(p[at], 0);
	(void)munmap(p, GIB);
}

/* Attack 7: many small reports; a turn does VIRTIO_BATCH of them. */
static void a_storm_of_reports_leaves_turns_to_others(void **state)
{
	const struct fake_buf b = {FAKE_HIGH, PAGE, true};
	const unsigned rounds = 800;
	unsigned n = 0;
	uint64_t start_ns;
	uint32_t id, len;

	(void)state;
	again_with(F_ALL, 128);
	start_ns = clock_now_ns();
	for (unsigned round = 0; round < rounds; round++) {
		for (unsigned i = 0; i < 128; i++)
			fake_chain(&g, REPORTING, &b, 1);
		for (unsigned turn = 0; turn < 3; turn++) {
			dontneeds = 0;
			dev->ops->notify(dev, REPORTING);
			assert_true(dontneeds <= VIRTIO_BATCH);
		}
		while (fake_used(&g, REPORTING, &id, &len))
			n++;
	}
	assert_int_equal(n, rounds * 128);
	print_message("# %u reports, %llu ns each\n", n,
	              (unsigned long long)(clock_now_ns() - start_ns) / n);
	assert_int_equal(g.broken, 0);
}

/* ---- which queue is which ---------------------------------------------- */

static void queues_are_numbered_by_what_was_negotiated(void **state)
{
	const struct fake_buf b = {FAKE_HIGH, PAGE, true};

	(void)state;
	touch(FAKE_HIGH, PAGE);
	again_with(F_VERSION_1 | F_REPORTING, 16);
	touch(FAKE_HIGH, PAGE);
	submit(2, &b, 1);
	assert_int_equal(resident(FAKE_HIGH, 1), 0);

	/* Now the third is for stats, and there is no fourth. */
	again_with(F_VERSION_1 | F_STATS, 16);
	touch(FAKE_HIGH, PAGE);
	fake_chain(&g, 2, &b, 1);
	fake_chain(&g, 3, &b, 1);
	fake_kick(&g, 2);
	fake_kick(&g, 3);
	assert_int_equal(resident(FAKE_HIGH, 1), 1);

	/* Only the first two. */
	again_with(F_VERSION_1, 16);
	touch(FAKE_HIGH, PAGE);
	fake_chain(&g, 2, &b, 1);
	fake_kick(&g, 2);
	assert_int_equal(resident(FAKE_HIGH, 1), 1);
	assert_int_equal(g.broken, 0);
}

static void what_is_offered_is_what_is_kept(void **state)
{
	(void)state;
	assert_int_equal(dev->offered, F_ALL | F_INDIRECT | F_EVENT_IDX);
	assert_int_equal(dev->ops->config_len, 8);
}

/* ---- numbers of the guest ---------------------------------------------- */

static uint64_t stats_at;

static void put_stat(unsigned i, uint16_t tag, uint64_t value)
{
	uint8_t *p = fake_at(&g, stats_at + 10ULL * i);

	put_le16(p, tag);
	put_le64(p + 2, value);
}

static void give_stats(unsigned n)
{
	const struct fake_buf b = {stats_at, n * 10, false};

	fake_chain(&g, STATS, &b, 1);
	fake_kick(&g, STATS);
}

static bool stats_returned(uint64_t ms)
{
	const uint64_t until = clock_now_ns() + ms * NS_PER_MS;
	uint32_t id, len;

	while (clock_now_ns() < until) {
		assert_int_equal(loop_step(loop, 10), 0);
		if (fake_used(&g, STATS, &id, &len)) {
			assert_int_equal(len, 0);
			return true;
		}
	}
	return false;
}

static void numbers_of_the_guest_are_read(void **state)
{
	struct balloon_stats s;

	(void)state;
	balloon_get_stats(dev, &s);
	assert_true(s.free == UINT64_MAX && s.total == UINT64_MAX);
	assert_true(s.available == UINT64_MAX && s.disk_caches == UINT64_MAX);
	stats_at = fake_alloc(&g, 100);
	put_stat(0, 0, 1);
	put_stat(1, 4, 1000);
	put_stat(2, 5, 2000);
	put_stat(3, 7, 4000);
	put_stat(4, 77, 5000);
	put_stat(5, 6, 3000);
	give_stats(6);
	balloon_get_stats(dev, &s);
	assert_int_equal(s.free, 1000);
	assert_int_equal(s.total, 2000);
	assert_int_equal(s.available, 3000);
	assert_int_equal(s.disk_caches, 4000);
}

static void newer_numbers_are_asked_for_at_most_each_second(void **state)
{
	struct balloon_stats s;

	(void)state;
	stats_at = fake_alloc(&g, 100);
	put_stat(0, 4, 1000);
	give_stats(1);
	/* Nobody wants to know: it is kept. */
	assert_false(stats_returned(50));
	balloon_get_stats(dev, &s);
	assert_true(stats_returned(10000));
	assert_int_equal(g.interrupts[STATS], 1);
	put_stat(0, 4, 1234);
	give_stats(1);
	for (unsigned i = 0; i < 1000; i++)
		balloon_get_stats(dev, &s);
	assert_int_equal(s.free, 1234);
	assert_false(stats_returned(300));
	assert_true(stats_returned(10000));
}

static void asking_without_a_buffer_is_no_debt(void **state)
{
	struct balloon_stats s;

	(void)state;
	balloon_get_stats(dev, &s);
	assert_false(stats_returned(20));
	stats_at = fake_alloc(&g, 100);
	put_stat(0, 4, 42);
	give_stats(1);
	assert_false(stats_returned(20));
	balloon_get_stats(dev, &s);
	assert_int_equal(s.free, 42);
}

/* The guest's notification is still on its way when the buffer is wanted. */
static void numbers_of_a_buffer_not_yet_seen_are_read(void **state)
{
	struct fake_buf b = {0, 10, false};
	struct balloon_stats s;

	(void)state;
	stats_at = b.addr = fake_alloc(&g, 100);
	put_stat(0, 4, 4711);
	fake_chain(&g, STATS, &b, 1);
	balloon_get_stats(dev, &s);
	assert_true(stats_returned(10000));
	balloon_get_stats(dev, &s);
	assert_int_equal(s.free, 4711);
}

static void hostile_numbers_are_just_numbers(void **state)
{
	const struct fake_buf big = {FAKE_HIGH, (uint32_t)MIB, false};
	struct balloon_stats s;

	(void)state;
	stats_at = fake_alloc(&g, 100);
	put_stat(0, 4, UINT64_MAX - 1);
	put_stat(1, 4, 7);
	put_stat(2, 65535, 7);
	give_stats(0);
	fake_restart(&g, F_ALL);
	stats_at = fake_alloc(&g, 100);
	put_stat(0, 4, UINT64_MAX - 1);
	put_stat(1, 4, 7);
	give_stats(2);
	balloon_get_stats(dev, &s);
	assert_int_equal(s.free, 7);
	fake_restart(&g, F_ALL);
	balloon_get_stats(dev, &s);
	assert_true(s.free == UINT64_MAX);
	memset(fake_at(&g, FAKE_HIGH), 4, MIB);
	for (unsigned i = 0; i < 10; i++)
		fake_chain(&g, STATS, &big, 1);
	for (unsigned i = 0; i < 1000; i++)
		fake_kick(&g, STATS);
	assert_int_equal(g.broken, 0);
	/* Asked for above, so one comes back and no more. */
	assert_true(stats_returned(10000));
	assert_false(stats_returned(20));
}

/* ---- the target -------------------------------------------------------- */

static void *set_from_thread(void *arg)
{
	assert_int_equal(balloon_set_target(dev, *(uint64_t *)arg), 0);
	return NULL;
}

static uint32_t config(uint32_t off)
{
	uint8_t raw[4];

	dev->ops->read_config(dev, off, raw, sizeof(raw));
	return get_le32(raw);
}

static void a_target_reaches_the_guest_from_any_thread(void **state)
{
	uint64_t bytes = 64 * MIB + 100;
	pthread_t t;

	(void)state;
	assert_int_equal(config(0), 0);
	assert_int_equal(pthread_create(&t, NULL, set_from_thread, &bytes), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(g.config_changes, 0);
	assert_int_equal(loop_step(loop, 1000), 0);
	assert_int_equal(config(0), 64 * MIB / PAGE);
	assert_int_equal(g.config_changes, 1);
	/* Many at once are told as one, the last. */
	for (bytes = 0; bytes <= 100 * MIB; bytes += MIB)
		assert_int_equal(balloon_set_target(dev, bytes), 0);
	assert_int_equal(loop_step(loop, 1000), 0);
	assert_int_equal(config(0), 100 * MIB / PAGE);
	assert_int_equal(g.config_changes, 2);
	assert_int_equal(balloon_set_target(dev, UINT64_MAX), -EINVAL);
	assert_int_equal(balloon_set_target(dev, 1ULL << 44), -EINVAL);
	/* It is our wish, not the guest's state. */
	fake_restart(&g, F_ALL);
	assert_int_equal(config(0), 100 * MIB / PAGE);
}

static void a_guest_writes_only_what_it_gave(void **state)
{
	static const uint8_t data[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

	(void)state;
	dev->ops->write_config(dev, 4, data, 4);
	assert_int_equal(config(4), 0x04030201);
	dev->ops->write_config(dev, 0, data, 8);
	assert_int_equal(config(0), 0);
	assert_int_equal(config(4), 0x08070605);
	dev->ops->write_config(dev, 7, data, 1);
	assert_int_equal(config(4), 0x01070605);
	dev->ops->write_config(dev, 0, data, 4);
	dev->ops->write_config(dev, 4, data, 0);
	dev->ops->write_config(dev, 8, data, 4);
	assert_int_equal(config(0), 0);
	assert_int_equal(config(4), 0x01070605);
	assert_int_equal(config(8), 0);
	fake_restart(&g, F_ALL);
	assert_int_equal(config(4), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(inflated_pages_leave_private_memory),
		T(inflated_pages_leave_a_shared_memfd),
		T(neighbours_go_in_one_call_up_or_down),
		T(regions_are_not_joined),
		T(pages_that_are_no_ram_are_skipped),
		T(the_same_page_twice_does_no_harm),
		T(deflation_ends_at_zero),
		T(an_empty_request_is_none),
		T(half_a_page_number_stops_the_device),
		T(a_gigantic_list_takes_many_bounded_turns),
		T(a_list_that_shrinks_between_turns_ends),
		T(a_reset_forgets_a_list_in_parts),
		T(reported_pages_leave_private_memory),
		T(reported_pages_leave_a_shared_memfd),
		T(only_whole_pages_are_dropped),
		T(a_report_across_regions_is_cut_there),
		T(a_report_outside_ram_stops_the_device),
		T(a_readable_report_drops_nothing),
		T(reporting_the_rings_harms_the_guest_only),
		T(gigantic_reports_take_bounded_turns),
		T(a_gigantic_buffer_is_dropped_in_parts),
		T(a_storm_of_reports_leaves_turns_to_others),
		T(queues_are_numbered_by_what_was_negotiated),
		T(what_is_offered_is_what_is_kept),
		T(numbers_of_the_guest_are_read),
		T(newer_numbers_are_asked_for_at_most_each_second),
		T(asking_without_a_buffer_is_no_debt),
		T(numbers_of_a_buffer_not_yet_seen_are_read),
		T(hostile_numbers_are_just_numbers),
		T(a_target_reaches_the_guest_from_any_thread),
		T(a_guest_writes_only_what_it_gave),
	};

	return cmocka_run_group_tests_name("virtio/balloon", tests, NULL, NULL);
}
