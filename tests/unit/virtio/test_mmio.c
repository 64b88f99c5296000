/* Registers, status, queues, and real models driven through them. */
#include "lib/test.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/num.h"
#include "mmio_guest.h"
#include "virtio/balloon.h"
#include "virtio/rng.h"
#include "vmm/disk_dev.h"

#define SECTOR    512u
#define DISK_SIZE (64 * SECTOR)

static struct mmio_guest g;
static struct probe p;
static int disk_fd = -1;

static int setup_probe(void **state)
{
	(void)state;
	guest_attach(&g, probe_new(&p), NULL);
	p.loop = g.loop;
	guest_run(&g);
	return 0;
}

static int setup_rng(void **state)
{
	struct virtio_dev *dev;

	(void)state;
	assert_int_equal(rng_new(&dev, NULL), 0);
	guest_open(&g, dev);
	return 0;
}

static int setup_balloon(void **state)
{
	struct loop *l = loop_new();
	struct virtio_dev *dev;

	(void)state;
	assert_int_equal(balloon_new(l, &dev, NULL), 0);
	guest_attach(&g, dev, l);
	g.owns_loop = true;
	guest_run(&g);
	return 0;
}

static int setup_blk(void **state)
{
	struct disk_dev_config cfg = {.nextents = 1, .serial = "disk"};
	struct virtio_dev *dev;

	(void)state;
	disk_fd = memfd_create("disk", MFD_CLOEXEC);
	assert_int_equal(ftruncate(disk_fd, DISK_SIZE), 0);
	cfg.extents = &(struct disk_extent){disk_fd, 0, DISK_SIZE};
	assert_int_equal(disk_dev_new(&cfg, &dev, NULL), 0);
	guest_open(&g, dev);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_false(p.wrong_thread);
	guest_close(&g);
	if (disk_fd >= 0)
		close(disk_fd);
	disk_fd = -1;
	return 0;
}

/* ---- registers --------------------------------------------------------- */

static void identity_is_told(void **state)
{
	(void)state;
	assert_int_equal(reg_read(&g, R_MAGIC), 0x74726976);
	assert_int_equal(reg_read(&g, R_VERSION), 2);
	assert_int_equal(reg_read(&g, R_DEVICE_ID), 42);
	assert_int_equal(reg_read(&g, R_VENDOR), 0x5842534d);
	assert_int_equal(reg_read(&g, R_FEATURES), 5 | F_EVENT_IDX);
	reg_write(&g, R_FEATURES_SEL, 1);
	assert_int_equal(reg_read(&g, R_FEATURES), F_VERSION_1 >> 32);
	reg_write(&g, R_FEATURES_SEL, 2);
	assert_int_equal(reg_read(&g, R_FEATURES), 0);
	reg_write(&g, R_FEATURES_SEL, UINT32_MAX);
	assert_int_equal(reg_read(&g, R_FEATURES), 0);
}

/* Which registers read as something right after the start. */
static uint32_t at_start(uint32_t off)
{
	static const struct {
		uint32_t off, value;
	} known[] = {
		{R_MAGIC,     0x74726976     },
		{R_VERSION,   2              },
		{R_DEVICE_ID, 42             },
		{R_VENDOR,    0x5842534d     },
		{R_FEATURES,  5 | F_EVENT_IDX},
		{R_QUEUE_MAX, 64             },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].off == off)
			return known[i].value;
	return off >= 0xb0 && off < 0xc0 ? UINT32_MAX : 0; /* no shm */
}

static void all_other_registers_read_zero(void **state)
{
	(void)state;
	for (uint32_t off = 0; off < R_CONFIG; off += 4)
		assert_int_equal(reg_read(&g, off), at_start(off));
}

static void registers_take_four_aligned_bytes_only(void **state)
{
	const uint8_t ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
	const uint8_t zeros[8] = {0};
	uint8_t got[8];

	(void)state;
	for (uint32_t off = 0; off < R_CONFIG; off++) {
		for (uint32_t len = 1; len <= 8; len++) {
			if (len == 4 && off % 4 == 0)
				continue;
			memset(got, 0xee, sizeof(got));
			mmio_read(g.mmio, off, got, len);
			assert_memory_equal(got, zeros, len);
			mmio_write(g.mmio, off, ones, len);
		}
	}
	all_other_registers_read_zero(state);
	assert_int_equal(p.notified, 0);
}

static void accesses_behind_the_page_do_nothing(void **state)
{
	static const uint64_t off[] = {MMIO_SIZE,         MMIO_SIZE + R_STATUS,
	                               1ULL << 32,        (1ULL << 32) + 4,
	                               UINT64_MAX,        UINT64_MAX - 3,
	                               (1ULL << 63) + 256};
	uint8_t v[8] = {1};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(off); i++) {
		mmio_write(g.mmio, off[i], v, 4);
		memset(v, 0xee, sizeof(v));
		mmio_read(g.mmio, off[i], v, 8);
		assert_int_equal(get_le64(v), 0);
		v[0] = 1;
	}
	assert_int_equal(reg_read(&g, R_STATUS), 0);
}

/* ---- config space ------------------------------------------------------ */

static uint64_t config(uint32_t off, uint32_t len)
{
	uint8_t v[8] = {0};

	mmio_read(g.mmio, R_CONFIG + off, v, len);
	return get_le64(v);
}

static void config_is_read_at_any_width_and_place(void **state)
{
	(void)state;
	assert_int_equal(config(0, 1), 0x01);
	assert_int_equal(config(3, 2), 0x0504);
	assert_int_equal(config(5, 4), 0x09080706);
	assert_int_equal(config(4, 8), 0x0c0b0a0908070605);
	assert_int_equal(config(0, 3), 0); /* no such width */
	assert_int_equal(config(10, 8), 0x0c0b);
	assert_int_equal(config(PROBE_CONFIG, 4), 0);
	assert_int_equal(config(MMIO_SIZE - R_CONFIG - 1, 8), 0);
}

static void config_writes_stay_inside(void **state)
{
	const uint8_t v[8] = {0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8};

	(void)state;
	guest_start(&g, F_VERSION_1);
	mmio_write(g.mmio, R_CONFIG + PROBE_CONFIG - 1, v, 2);
	mmio_write(g.mmio, R_CONFIG + PROBE_CONFIG, v, 1);
	mmio_write(g.mmio, R_CONFIG + PROBE_CONFIG - 4, v, 8);
	mmio_write(g.mmio, MMIO_SIZE - 4, v, 8);
	mmio_write(g.mmio, R_CONFIG + 4, v, 3);
	assert_int_equal(p.writes, 0);
	mmio_write(g.mmio, R_CONFIG + PROBE_CONFIG - 4, v, 4);
	mmio_write(g.mmio, R_CONFIG + 1, v, 1);
	assert_int_equal(p.writes, 2);
	assert_int_equal(config(8, 4), 0xa4a3a2a1); /* it reads what it wrote */
	assert_int_equal(config(0, 4), 0x0403a101);
}

static void a_stopped_device_takes_no_config_writes(void **state)
{
	const uint8_t v[4] = {1};

	(void)state;
	reg_write(&g, R_STATUS, S_FAILED);
	mmio_write(g.mmio, R_CONFIG, v, 4);
	assert_int_equal(p.writes, 0);
	reg_write(&g, R_STATUS, 0);
	mmio_write(g.mmio, R_CONFIG, v, 4); /* emergency output */
	assert_int_equal(p.writes, 1);
}

static void a_config_without_a_writer_is_read_only(void **state)
{
	const uint8_t v[8] = {0xff, 0xff};
	const uint64_t capacity = config(0, 8);

	(void)state;
	assert_int_equal(capacity, DISK_SIZE / SECTOR);
	guest_start(&g, F_VERSION_1);
	mmio_write(g.mmio, R_CONFIG, v, 8);
	assert_int_equal(config(0, 8), capacity);
}

static void change_config(void *arg)
{
	struct probe *probe = arg;

	memset(probe->config, 0x77, PROBE_CONFIG);
	virtio_config_changed(&probe->dev);
}

static void a_config_change_is_told_with_a_new_generation(void **state)
{
	const uint32_t before = reg_read(&g, R_GENERATION);

	(void)state;
	guest_start(&g, F_VERSION_1);
	assert_int_equal(loop_post(g.loop, change_config, &p), 0);
	guest_await(&g);
	assert_int_equal(reg_read(&g, R_INTERRUPTS), 2);
	assert_int_equal(reg_read(&g, R_GENERATION), before + 1);
	assert_int_equal(config(4, 4), 0x77777777);
	reg_write(&g, R_ACK, 2);
	assert_int_equal(reg_read(&g, R_INTERRUPTS), 0);
	guest_reset(&g);
	assert_int_equal(reg_read(&g, R_GENERATION), before + 1);
}

/* Without a driver nobody is interrupted; it will read what there is. */
static void a_config_change_before_the_driver_is_quiet(void **state)
{
	(void)state;
	assert_int_equal(loop_post(g.loop, change_config, &p), 0);
	guest_barrier(&g);
	assert_int_equal(guest_interrupts(&g), 0);
	assert_int_equal(reg_read(&g, R_INTERRUPTS), 0);
	assert_int_equal(config(4, 4), 0x77777777);
}

/* ---- status and features ----------------------------------------------- */

static const uint32_t rungs[] = {0, S_ACKNOWLEDGE, S_DRIVER, S_FEATURES_OK,
                                 S_DRIVER_OK};

static void climb(size_t to)
{
	reg_write(&g, R_STATUS, 0);
	for (size_t i = 1; i <= to; i++) {
		if (rungs[i] == S_FEATURES_OK)
			guest_features(&g, F_VERSION_1);
		reg_write(&g, R_STATUS, rungs[i]);
	}
	assert_int_equal(reg_read(&g, R_STATUS), rungs[to]);
}

static void status_goes_up_step_by_step_only(void **state)
{
	(void)state;
	for (size_t at = 0; at < ARRAY_SIZE(rungs); at++) {
		climb(at);
		for (uint32_t v = 1; v < 0x80; v++) {
			if (at + 1 < ARRAY_SIZE(rungs) && v == rungs[at + 1])
				continue;
			reg_write(&g, R_STATUS, v);
			reg_write(&g, R_STATUS, v | 0x100);
			assert_int_equal(reg_read(&g, R_STATUS), rungs[at]);
		}
	}
	assert_int_equal(p.activated, 1);
}

static void failed_is_taken_always_and_left_by_reset_only(void **state)
{
	(void)state;
	for (size_t at = 0; at < ARRAY_SIZE(rungs); at++) {
		climb(at);
		reg_write(&g, R_STATUS, S_FAILED);
		for (uint32_t v = 1; v < 0x100; v++) {
			reg_write(&g, R_STATUS, v);
			assert_int_equal(reg_read(&g, R_STATUS),
			                 rungs[at] | S_FAILED);
		}
		reg_write(&g, R_STATUS, 0);
		assert_int_equal(reg_read(&g, R_STATUS), 0);
	}
	assert_int_equal(p.activated, 1);
	assert_int_equal(p.resets, 1);
}

static bool accepted(uint64_t features)
{
	climb(2);
	guest_features(&g, features);
	reg_write(&g, R_STATUS, S_FEATURES_OK);
	return reg_read(&g, R_STATUS) == S_FEATURES_OK;
}

static void features_must_be_a_subset_with_version_1(void **state)
{
	(void)state;
	assert_true(accepted(F_VERSION_1));
	assert_true(accepted(F_VERSION_1 | 4));
	assert_true(accepted(F_VERSION_1 | F_EVENT_IDX | 5));
	assert_false(accepted(0));
	assert_false(accepted(5));
	assert_false(accepted(F_VERSION_1 | 2));
	assert_false(accepted(F_VERSION_1 | F_INDIRECT));
	assert_false(accepted(UINT64_MAX));
	for (unsigned bit = 0; bit < 64; bit++)
		assert_int_equal(accepted(F_VERSION_1 | 1ULL << bit),
		                 (p.dev.offered >> bit & 1) != 0);
}

/* A refused driver may think again. */
static void features_may_be_chosen_anew(void **state)
{
	(void)state;
	assert_false(accepted(F_VERSION_1 | 2));
	guest_features(&g, F_VERSION_1 | 1);
	reg_write(&g, R_STATUS, S_FEATURES_OK);
	assert_int_equal(reg_read(&g, R_STATUS), S_FEATURES_OK);
}

static void features_are_deaf_before_driver_and_after_features_ok(void **state)
{
	(void)state;
	climb(1);
	guest_features(&g, F_VERSION_1);
	reg_write(&g, R_STATUS, S_DRIVER);
	reg_write(&g, R_STATUS, S_FEATURES_OK);
	assert_int_equal(reg_read(&g, R_STATUS), S_DRIVER);

	guest_start(&g, F_VERSION_1 | 1);
	guest_features(&g, F_VERSION_1 | 4);
	assert_int_equal(p.dev.features, F_VERSION_1 | 1);
	guest_setup(&g, F_VERSION_1 | 1);
	guest_features(&g, F_VERSION_1 | 4);
	reg_write(&g, R_STATUS, S_DRIVER_OK);
	guest_barrier(&g);
	assert_int_equal(p.dev.features, F_VERSION_1 | 1);
}

static void feature_words_beyond_64_bits_go_nowhere(void **state)
{
	(void)state;
	climb(2);
	guest_features(&g, F_VERSION_1);
	for (uint32_t sel = 2; sel < 70; sel++) {
		reg_write(&g, R_DRIVER_SEL, sel);
		reg_write(&g, R_DRIVER, UINT32_MAX);
	}
	reg_write(&g, R_STATUS, S_FEATURES_OK);
	assert_int_equal(reg_read(&g, R_STATUS), S_FEATURES_OK);
}

/* ---- queues ------------------------------------------------------------ */

static void queues_that_do_not_exist_are_harmless(void **state)
{
	static const uint32_t sel[] = {2, 3, 16, 0x10000, UINT32_MAX};

	(void)state;
	guest_setup(&g, F_VERSION_1);
	for (size_t i = 0; i < ARRAY_SIZE(sel); i++) {
		guest_queue(&g, sel[i], &g.ram.q[0].at);
		assert_int_equal(reg_read(&g, R_QUEUE_MAX), 0);
		assert_int_equal(reg_read(&g, R_QUEUE_READY), 0);
		reg_write(&g, R_NOTIFY, sel[i]);
	}
	reg_write(&g, R_STATUS, S_DRIVER_OK);
	for (size_t i = 0; i < ARRAY_SIZE(sel); i++)
		reg_write(&g, R_NOTIFY, sel[i]);
	guest_barrier(&g);
	assert_int_equal(reg_read(&g, R_STATUS), S_DRIVER_OK);
	assert_int_equal(p.notified, 0);
}

static void queues_are_set_up_at_their_time_only(void **state)
{
	(void)state;
	for (size_t at = 0; at < 3; at++) {
		climb(at);
		guest_queue(&g, 0, &g.ram.q[0].at);
		assert_int_equal(reg_read(&g, R_QUEUE_READY), 0);
	}
	climb(3);
	reg_write(&g, R_STATUS, S_FEATURES_OK | S_FAILED);
	guest_queue(&g, 0, &g.ram.q[0].at);
	assert_int_equal(reg_read(&g, R_QUEUE_READY), 0);
	climb(4);
	guest_queue(&g, 0, &g.ram.q[0].at);
	assert_int_equal(reg_read(&g, R_QUEUE_READY), 0);
	reg_write(&g, R_NOTIFY, 0);
	guest_barrier(&g);
	assert_int_equal(p.notified, 0);
}

/* A queue may be taken back before the start, and set up differently. */
static void ready_freezes_a_queue_until_it_is_taken_back(void **state)
{
	const struct vq_layout bad = {.size = 7, .desc = 1, .avail = 1};

	(void)state;
	guest_setup(&g, F_VERSION_1);
	guest_queue(&g, 0, &g.ram.q[0].at);
	guest_queue(&g, 0, &bad);
	reg_write(&g, R_QUEUE_READY, 1);
	reg_write(&g, R_QUEUE_READY, 2);
	assert_int_equal(reg_read(&g, R_QUEUE_READY), 1);
	reg_write(&g, R_STATUS, S_DRIVER_OK);
	assert_int_equal(reg_read(&g, R_STATUS), S_DRIVER_OK);

	guest_setup(&g, F_VERSION_1);
	guest_queue(&g, 0, &bad);
	reg_write(&g, R_QUEUE_READY, 0);
	assert_int_equal(reg_read(&g, R_QUEUE_READY), 0);
	guest_queue(&g, 0, &g.ram.q[0].at);
	reg_write(&g, R_STATUS, S_DRIVER_OK);
	assert_int_equal(reg_read(&g, R_STATUS), S_DRIVER_OK);
}

/* Each is the good layout with one thing wrong. */
static const struct vq_layout wrong[] = {
	{.size = 0},
	{.size = 3},
	{.size = 128}, /* the probe has 64 at most */
	{.size = 1024},
	{.size = 0xffff},
	{.desc = FAKE_LOW + 8},
	{.desc = FAKE_LOW - 16},
	{.desc = FAKE_END - 16},
	{.desc = FAKE_HIGH - 16},
	{.desc = UINT64_MAX - 15},
	{.desc = 1ULL << 40},
	{.avail = FAKE_LOW + 1},
	{.avail = FAKE_END},
	{.avail = UINT64_MAX - 1},
	{.used = FAKE_LOW + 2},
	{.used = FAKE_HIGH - 4},
	{.used = 4},
};

static struct vq_layout spoil(const struct vq_layout *w)
{
	struct vq_layout at = g.ram.q[1].at;

	if (w->desc)
		at.desc = w->desc;
	else if (w->avail)
		at.avail = w->avail;
	else if (w->used)
		at.used = w->used;
	else
		at.size = w->size;
	return at;
}

static void a_wrong_queue_stops_the_device_until_reset(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		const struct vq_layout at = spoil(&wrong[i]);

		guest_setup(&g, F_VERSION_1);
		guest_queue(&g, 0, &g.ram.q[0].at);
		guest_queue(&g, 1, &at);
		reg_write(&g, R_STATUS, S_DRIVER_OK);
		assert_int_equal(reg_read(&g, R_STATUS),
		                 S_DRIVER_OK | S_NEEDS_RESET);
		assert_int_equal(reg_read(&g, R_INTERRUPTS), 2);
		assert_int_equal(guest_interrupts(&g), 1);
		reg_write(&g, R_NOTIFY, 0);
		guest_barrier(&g);
	}
	assert_int_equal(p.activated, 0);
	assert_int_equal(p.notified, 0);
	guest_reset(&g);
	guest_start(&g, F_VERSION_1);
	assert_int_equal(p.activated, 1);
	assert_int_equal(p.resets, 0);
}

static void a_size_of_more_than_16_bits_is_no_size(void **state)
{
	(void)state;
	guest_setup(&g, F_VERSION_1);
	guest_queue(&g, 0, &g.ram.q[0].at);
	reg_write(&g, R_QUEUE_READY, 0);
	reg_write(&g, R_QUEUE_SIZE, 0x10000 | RING_SIZE);
	reg_write(&g, R_QUEUE_READY, 1);
	reg_write(&g, R_STATUS, S_DRIVER_OK);
	assert_int_equal(reg_read(&g, R_STATUS), S_DRIVER_OK | S_NEEDS_RESET);
}

static void a_model_that_cannot_start_needs_reset(void **state)
{
	(void)state;
	p.activate_error = -ENOMEM;
	guest_setup(&g, F_VERSION_1);
	guest_queue(&g, 0, &g.ram.q[0].at);
	reg_write(&g, R_STATUS, S_DRIVER_OK);
	assert_int_equal(reg_read(&g, R_STATUS), S_DRIVER_OK | S_NEEDS_RESET);
	reg_write(&g, R_STATUS, S_DRIVER_OK | S_NEEDS_RESET);
	reg_write(&g, R_STATUS, S_NEEDS_RESET);
	assert_int_equal(reg_read(&g, R_STATUS), S_DRIVER_OK | S_NEEDS_RESET);
	reg_write(&g, R_STATUS, 0);
	p.activate_error = 0;
	guest_start(&g, F_VERSION_1);
	assert_int_equal(p.notified, 2);
}

/* ---- real models ------------------------------------------------------- */

static void rng_fills_what_it_is_given(void **state)
{
	const struct fake_buf b[] = {
		{FAKE_HIGH, 600, true}
        };
	const uint8_t *at = fake_at(&g.ram, FAKE_HIGH);
	unsigned zeros = 0;

	(void)state;
	guest_start(&g, F_VERSION_1);
	for (unsigned i = 0; i < 3 * RING_SIZE; i++)
		assert_int_equal(guest_request(&g, 0, b, 1), 600);
	for (unsigned i = 0; i < 600; i++)
		zeros += !at[i];
	assert_true(zeros < 30);
	assert_int_equal(at[600], 0);
}

static void requests_made_before_driver_ok_are_served(void **state)
{
	const struct fake_buf b[] = {
		{FAKE_HIGH, 64, true}
        };
	uint32_t id, len;

	(void)state;
	guest_setup(&g, F_VERSION_1);
	guest_queue(&g, 0, &g.ram.q[0].at);
	fake_chain(&g.ram, 0, b, 1);
	reg_write(&g, R_NOTIFY, 0);
	guest_barrier(&g);
	assert_false(fake_used(&g.ram, 0, &id, &len));
	assert_int_equal(guest_interrupts(&g), 0);
	reg_write(&g, R_STATUS, S_DRIVER_OK);
	guest_await(&g);
	assert_true(fake_used(&g.ram, 0, &id, &len));
	assert_int_equal(len, 64);
}

/* The way of KVM_IOEVENTFD. */
static void a_kick_through_the_eventfd_is_a_notification(void **state)
{
	const struct fake_buf b[] = {
		{FAKE_HIGH, 64, true}
        };
	const uint64_t one = 1;
	uint32_t id, len;

	(void)state;
	guest_start(&g, F_VERSION_1 | F_EVENT_IDX | F_INDIRECT);
	fake_chain(&g.ram, 0, b, 1);
	assert_int_equal(write(mmio_notify_fd(g.mmio, 0), &one, 8), 8);
	guest_await(&g);
	assert_true(fake_used(&g.ram, 0, &id, &len));
}

static uint32_t disk_request(uint32_t type, uint64_t sector, uint64_t data,
                             uint32_t len, uint8_t *ret_status)
{
	const uint64_t head = fake_alloc(&g.ram, 16);
	const uint64_t status = fake_alloc(&g.ram, 1);
	const struct fake_buf b[] = {
		{head,   16,  false    },
		{data,   len, type == 0},
		{status, 1,   true     },
	};
	uint32_t used;

	put_le32(fake_at(&g.ram, head), type);
	put_le64((uint8_t *)fake_at(&g.ram, head) + 8, sector);
	*(uint8_t *)fake_at(&g.ram, status) = 0xee;
	used = guest_request(&g, 0, b, 3);
	*ret_status = *(uint8_t *)fake_at(&g.ram, status);
	return used;
}

static void blk_moves_sectors(void **state)
{
	uint8_t *data = fake_at(&g.ram, FAKE_HIGH), want[SECTOR], status;

	(void)state;
	guest_start(&g, g.dev->offered);
	memset(data, 0x5a, SECTOR);
	memset(want, 0x5a, SECTOR);
	assert_int_equal(disk_request(1, 7, FAKE_HIGH, SECTOR, &status), 1);
	assert_int_equal(status, 0);
	memset(data, 0, SECTOR);
	assert_int_equal(disk_request(0, 7, FAKE_HIGH, SECTOR, &status),
	                 SECTOR + 1);
	assert_int_equal(status, 0);
	assert_memory_equal(data, want, SECTOR);
	assert_int_equal(disk_request(0, 64, FAKE_HIGH, SECTOR, &status), 1);
	assert_int_equal(status, 1);
}

/* CVE-2026-5747: the rings stay where they were at DRIVER_OK. */
static void geometry_cannot_be_changed_after_the_start(void **state)
{
	const struct vq_layout elsewhere = {.size = 1024,
	                                    .desc = FAKE_END - 16,
	                                    .avail = FAKE_END,
	                                    .used = UINT64_MAX - 3};
	uint8_t status;

	(void)state;
	guest_start(&g, F_VERSION_1);
	reg_write(&g, R_QUEUE_READY, 0);
	guest_queue(&g, 0, &elsewhere);
	assert_int_equal(reg_read(&g, R_QUEUE_READY), 1);
	for (unsigned i = 0; i < RING_SIZE; i++) {
		assert_int_equal(disk_request(0, i, FAKE_HIGH, SECTOR, &status),
		                 SECTOR + 1);
		assert_int_equal(status, 0);
	}
}

/* ---- rings that break the rules ---------------------------------------- */

static void index_jumps(void)
{
	fake_set_avail_idx(&g.ram, 0, RING_SIZE + 1);
}

static void descriptors_loop(void)
{
	fake_desc(&g.ram, g.ram.q[0].at.desc, 0, FAKE_HIGH, 16, D_NEXT, 1);
	fake_desc(&g.ram, g.ram.q[0].at.desc, 1, FAKE_HIGH, 16, D_NEXT, 0);
	fake_avail(&g.ram, 0, 0);
}

static void head_is_beyond_the_table(void)
{
	fake_avail(&g.ram, 0, RING_SIZE);
}

static void buffer_is_outside_ram(void)
{
	fake_desc(&g.ram, g.ram.q[0].at.desc, 0, FAKE_END - 4, 16, D_WRITE, 0);
	fake_avail(&g.ram, 0, 0);
}

static void buffer_wraps(void)
{
	fake_desc(&g.ram, g.ram.q[0].at.desc, 0, UINT64_MAX - 8, 16, D_WRITE,
	          0);
	fake_avail(&g.ram, 0, 0);
}

static void table_in_a_table(void)
{
	uint64_t at = fake_alloc(&g.ram, 16);

	fake_desc(&g.ram, at, 0, at, 16, D_INDIRECT, 0);
	fake_desc(&g.ram, g.ram.q[0].at.desc, 0, at, 16, D_INDIRECT, 0);
	fake_avail(&g.ram, 0, 0);
}

static void nothing_but_a_header(void)
{
	fake_desc(&g.ram, g.ram.q[0].at.desc, 0, FAKE_HIGH, 16, 0, 0);
	fake_avail(&g.ram, 0, 0);
}

static void a_broken_ring_needs_reset_and_then_all_is_well(void **state)
{
	static void (*const breaches[])(void) = {index_jumps,
	                                         descriptors_loop,
	                                         head_is_beyond_the_table,
	                                         buffer_is_outside_ram,
	                                         buffer_wraps,
	                                         table_in_a_table,
	                                         nothing_but_a_header};
	uint8_t status;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(breaches); i++) {
		guest_start(&g, g.dev->offered);
		breaches[i]();
		reg_write(&g, R_NOTIFY, 0);
		guest_await(&g);
		assert_int_equal(reg_read(&g, R_STATUS),
		                 S_DRIVER_OK | S_NEEDS_RESET);
		assert_int_equal(reg_read(&g, R_INTERRUPTS) & 2, 2);
		assert_false(g.dev->vqs[0].ready);
		reg_write(&g, R_NOTIFY, 0); /* nobody listens any more */
		guest_barrier(&g);
		assert_int_equal(guest_interrupts(&g), 0);

		guest_reset(&g);
		assert_int_equal(reg_read(&g, R_INTERRUPTS), 0);
		guest_start(&g, g.dev->offered);
		assert_int_equal(disk_request(0, 1, FAKE_HIGH, SECTOR, &status),
		                 SECTOR + 1);
		guest_reset(&g);
	}
}

/* The timer for another turn included; ASan would see it. */
static void a_freed_device_leaves_nothing_in_its_loop(void **state)
{
	static struct mmio_guest mine;
	static struct probe probe;

	(void)state;
	guest_attach(&mine, probe_new(&probe), NULL);
	assert_int_equal(loop_step(mine.loop, 0), 0);
	probe.greedy = true;
	guest_setup(&mine, F_VERSION_1);
	guest_queue(&mine, 0, &mine.ram.q[0].at);
	reg_write(&mine, R_STATUS, S_DRIVER_OK);
	assert_int_equal(loop_step(mine.loop, 0), 0);
	reg_write(&mine, R_NOTIFY, 0);
	mmio_free(mine.mmio);
	mine.mmio = NULL;
	assert_int_equal(probe.resets, 1);
	assert_true(probe.notified > 0);
	probe.notified = 0;
	for (int i = 0; i < 3; i++)
		assert_int_equal(loop_step(mine.loop, 0), 0);
	assert_int_equal(probe.notified, 0);
	guest_close(&mine);
}

/* A target from any thread, told by an interrupt; an answer by a write. */
static void balloon_and_driver_meet_in_the_config(void **state)
{
	const uint64_t pages = 300;
	uint8_t v[4];

	(void)state;
	guest_setup(&g, g.dev->offered);
	for (uint32_t q = 0; q < 2; q++)
		guest_queue(&g, q, &g.ram.q[q].at);
	reg_write(&g, R_STATUS, S_DRIVER_OK);
	assert_int_equal(balloon_set_target(g.dev, pages * 4096), 0);
	guest_await(&g);
	assert_int_equal(reg_read(&g, R_INTERRUPTS), 2);
	assert_int_equal(config(0, 4), pages);
	put_le32(v, 77);
	mmio_write(g.mmio, R_CONFIG + 4, v, 4);
	assert_int_equal(config(4, 4), 77);
	mmio_write(g.mmio, R_CONFIG, v, 4); /* not the driver's to write */
	assert_int_equal(config(0, 4), pages);
	guest_reset(&g);
	assert_int_equal(config(4, 4), 0);
}

static void a_model_too_large_is_refused(void **state)
{
	struct virtio_dev_ops ops = *p.dev.ops;
	struct virtio_dev dev = {.ops = &ops};
	struct mmio *m;
	struct err err = {0};

	(void)state;
	ops.config_len = MMIO_SIZE - R_CONFIG + 1;
	assert_int_equal(mmio_new(g.loop, &dev, &g.ram.mem, 0, &m, &err),
	                 -EINVAL);
	ops.config_len = 0;
	ops.nqueues = 17;
	assert_int_equal(mmio_new(g.loop, &dev, &g.ram.mem, 0, &m, &err),
	                 -EINVAL);
	mmio_free(NULL);
}

#define T(setup, f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define P(f)        T(setup_probe, f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		P(identity_is_told),
		P(all_other_registers_read_zero),
		P(registers_take_four_aligned_bytes_only),
		P(accesses_behind_the_page_do_nothing),
		P(config_is_read_at_any_width_and_place),
		P(config_writes_stay_inside),
		P(a_stopped_device_takes_no_config_writes),
		T(setup_blk, a_config_without_a_writer_is_read_only),
		P(a_config_change_is_told_with_a_new_generation),
		P(a_config_change_before_the_driver_is_quiet),
		P(status_goes_up_step_by_step_only),
		P(failed_is_taken_always_and_left_by_reset_only),
		P(features_must_be_a_subset_with_version_1),
		P(features_may_be_chosen_anew),
		P(features_are_deaf_before_driver_and_after_features_ok),
		P(feature_words_beyond_64_bits_go_nowhere),
		P(queues_that_do_not_exist_are_harmless),
		P(queues_are_set_up_at_their_time_only),
		P(ready_freezes_a_queue_until_it_is_taken_back),
		P(a_wrong_queue_stops_the_device_until_reset),
		P(a_size_of_more_than_16_bits_is_no_size),
		P(a_model_that_cannot_start_needs_reset),
		P(a_model_too_large_is_refused),
		P(a_freed_device_leaves_nothing_in_its_loop),
		T(setup_balloon, balloon_and_driver_meet_in_the_config),
		T(setup_rng, rng_fills_what_it_is_given),
		T(setup_rng, requests_made_before_driver_ok_are_served),
		T(setup_rng, a_kick_through_the_eventfd_is_a_notification),
		T(setup_blk, blk_moves_sectors),
		T(setup_blk, geometry_cannot_be_changed_after_the_start),
		T(setup_blk, a_broken_ring_needs_reset_and_then_all_is_well),
	};

	return cmocka_run_group_tests_name("virtio/mmio", tests, NULL, NULL);
}
