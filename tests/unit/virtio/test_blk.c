#include "lib/test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"
#include "lib/fake_guest.h"
#include "virtio/blk.h"
#include "vmm/disk_dev.h"

#define SECTOR       512u
#define SIZE         32
#define FILE_SECTORS 96u

enum { OK, IOERR, UNSUPP };
enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, DISCARD = 11, ZEROES = 13 };

/* A disk of three extents in two files, the first of them twice. */
static struct fake_guest g;
static struct virtio_dev *dev;
static int fd_a, fd_b;

static uint8_t pattern(uint32_t i)
{
	return (uint8_t)((i * 2654435761u) >> 13 | 1);
}

static int make_file(void)
{
	uint8_t data[FILE_SECTORS * SECTOR];
	int fd = memfd_create("disk", MFD_CLOEXEC);

	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = pattern(i);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
	return fd;
}

static void make_disk(bool read_only)
{
	const struct disk_extent e[] = {
		{fd_a, 8 * SECTOR,  16 * SECTOR},
		{fd_b, 0,           8 * SECTOR },
		{fd_a, 64 * SECTOR, 24 * SECTOR},
	};
	const struct disk_dev_config cfg = {e, 3, read_only, "upper", NULL, 0};

	assert_int_equal(disk_dev_new(&cfg, &dev, NULL), 0);
	fake_init(&g, dev, F_VERSION_1 | F_INDIRECT | F_EVENT_IDX, SIZE);
}

static int setup(void **state)
{
	(void)state;
	fd_a = make_file();
	fd_b = make_file();
	make_disk(false);
	return 0;
}

static int setup_read_only(void **state)
{
	(void)state;
	fd_a = make_file();
	fd_b = make_file();
	make_disk(true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_release(&g);
	virtio_free(dev);
	close(fd_a);
	close(fd_b);
	return 0;
}

/* Which byte of which file a byte of the disk is. */
static uint8_t on_disk(uint32_t pos)
{
	uint32_t at = pos < 16 * SECTOR   ? pos + 8 * SECTOR
	              : pos < 24 * SECTOR ? pos - 16 * SECTOR
	                                  : pos - 24 * SECTOR + 64 * SECTOR;
	uint8_t b = 0;
	bool in_b = pos >= 16 * SECTOR && pos < 24 * SECTOR;

	assert_int_equal(pread(in_b ? fd_b : fd_a, &b, 1, at), 1);
	return b;
}

static uint64_t header(uint32_t type, uint64_t sector)
{
	uint64_t at = fake_alloc(&g, 16);
	uint8_t *p = fake_at(&g, at);

	put_le32(p, type);
	put_le32(p + 4, 0);
	put_le64(p + 8, sector);
	return at;
}

/* Run one request made of @bufs; the used length, and the status. */
static uint32_t run(const struct fake_buf *bufs, unsigned n, int *ret_status)
{
	const struct fake_buf *last = &bufs[n - 1];
	uint8_t *status = (uint8_t *)fake_at(&g, last->addr) + last->len - 1;
	uint32_t id = 0, len = 0;
	uint16_t head;

	*status = 0xee;
	head = fake_chain(&g, 0, bufs, n);
	fake_kick(&g, 0);
	assert_int_equal(g.broken, 0);
	assert_true(fake_used(&g, 0, &id, &len));
	assert_int_equal(id, head);
	*ret_status = *status;
	return len;
}

/* The plain form: header, data, status, each a buffer. */
static uint32_t simple(uint32_t type, uint64_t sector, uint64_t data,
                       uint32_t len, int *ret_status)
{
	const struct fake_buf b[] = {
		{header(type, sector), 16,                           false},
		{data,        len,     type == IN || type == GET_ID},
		{fake_alloc(&g,         1),       1,                         true     },
	};

	return run(b, 3, ret_status);
}

static void check_data(uint64_t data, uint32_t pos, uint32_t len)
{
	const uint8_t *p = fake_at(&g, data);

	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(p[i], on_disk(pos + i));
}

static void reads_cross_extent_borders(void **state)
{
	const uint64_t data = fake_alloc(&g, 48 * SECTOR);
	int status;

	(void)state;
	assert_int_equal(simple(IN, 0, data, 48 * SECTOR, &status),
	                 48 * SECTOR + 1);
	assert_int_equal(status, OK);
	check_data(data, 0, 48 * SECTOR);
	assert_int_equal(simple(IN, 15, data, 2 * SECTOR, &status),
	                 2 * SECTOR + 1);
	check_data(data, 15 * SECTOR, 2 * SECTOR);
	assert_int_equal(simple(IN, 47, data, SECTOR, &status), SECTOR + 1);
	check_data(data, 47 * SECTOR, SECTOR);
	assert_true(g.interrupts[0] > 0);
}

static void writes_cross_extent_borders(void **state)
{
	const uint64_t data = fake_alloc(&g, 12 * SECTOR);
	int status;

	(void)state;
	memset(fake_at(&g, data), 0x5a, 12 * SECTOR);
	assert_int_equal(simple(OUT, 14, data, 12 * SECTOR, &status), 1);
	assert_int_equal(status, OK);
	for (uint32_t i = 0; i < 48 * SECTOR; i++)
		assert_true((on_disk(i) == 0x5a) ==
		            (i / SECTOR >= 14 && i / SECTOR < 26));
	assert_int_equal(simple(FLUSH, 0, data, 0, &status), 1);
	assert_int_equal(status, OK);
}

static void what_was_moved_is_counted(void **state)
{
	const uint64_t data = fake_alloc(&g, 48 * SECTOR);
	struct blk_stats s;
	int status;

	(void)state;
	(void)simple(IN, 0, data, 48 * SECTOR, &status);
	(void)simple(IN, 0, data, SECTOR, &status);
	(void)simple(OUT, 14, data, 12 * SECTOR, &status);
	(void)simple(IN, 48, data, SECTOR, &status); /* past the end */
	(void)simple(FLUSH, 0, data, 0, &status);
	blk_get_stats(dev, &s);
	assert_int_equal(s.reads, 2);
	assert_int_equal(s.read_bytes, 49 * SECTOR);
	assert_int_equal(s.writes, 1);
	assert_int_equal(s.write_bytes, 12 * SECTOR);
}

/* Any cut of header, data and status is the same request. */
static void a_request_may_be_cut_anywhere(void **state)
{
	(void)state;
	for (unsigned cut = 0; cut <= 16; cut++) {
		const uint64_t h = header(IN, 20);
		const uint64_t data = fake_alloc(&g, 2 * SECTOR + 1);
		const struct fake_buf b[] = {
			{h,                           cut,              false},
			{h + cut,                     16 - cut,         false},
			{data,                        cut * 7 + 1,      true },
			{data + cut * 7 + 1,          SECTOR,           true },
			{data + cut * 7 + 1 + SECTOR, SECTOR - cut * 7, true },
		};
		int status;

		assert_int_equal(run(b, 5, &status), 2 * SECTOR + 1);
		assert_int_equal(status, OK);
		check_data(data, 20 * SECTOR, 2 * SECTOR);
	}
}

static void header_and_written_data_may_share_a_buffer(void **state)
{
	const uint64_t h = header(OUT, 3);
	const uint64_t more = fake_alloc(&g, SECTOR);
	const struct fake_buf b[] = {
		{h,                  16 + SECTOR, false},
                {more + SECTOR + 64, 1,           true }
        };
	int status;

	(void)state;
	assert_int_equal(more, h + 16); /* they follow each other */
	g.heap += 2 * SECTOR;
	memset(fake_at(&g, more), 0x77, SECTOR);
	assert_int_equal(run(b, 2, &status), 1);
	assert_int_equal(status, OK);
	assert_int_equal(on_disk(3 * SECTOR), 0x77);
	assert_int_equal(on_disk(4 * SECTOR - 1), 0x77);
}

static void requests_past_the_end_fail(void **state)
{
	const uint64_t data = fake_alloc(&g, 4 * SECTOR);
	const uint64_t bad[] = {48,
	                        47,
	                        1000,
	                        UINT64_MAX,
	                        UINT64_MAX - 1,
	                        UINT64_MAX / SECTOR,
	                        UINT64_MAX / SECTOR + 1};
	int status;

	(void)state;
	memset(fake_at(&g, data), 0x11, 4 * SECTOR);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(simple(IN, bad[i], data, 2 * SECTOR, &status),
		                 1);
		assert_int_equal(status, IOERR);
		assert_int_equal(simple(OUT, bad[i], data, 2 * SECTOR, &status),
		                 1);
		assert_int_equal(status, IOERR);
	}
	assert_int_equal(simple(IN, 47, data, SECTOR, &status), SECTOR + 1);
	for (uint32_t i = 0; i < SECTOR; i++)
		assert_int_equal(on_disk(47 * SECTOR + i),
		                 pattern(87 * SECTOR + i));
}

static void data_that_is_no_whole_sector_fails(void **state)
{
	const uint64_t data = fake_alloc(&g, 2 * SECTOR);
	int status;

	(void)state;
	assert_int_equal(simple(IN, 0, data, 511, &status), 1);
	assert_int_equal(status, IOERR);
	assert_int_equal(simple(OUT, 0, data, 513, &status), 1);
	assert_int_equal(status, IOERR);
	assert_int_equal(simple(IN, 0, data, 0, &status), 1);
	assert_int_equal(status, OK); /* nothing asked, nothing done */
}

static void unknown_requests_are_unsupported(void **state)
{
	const uint32_t bad[] = {2,  3,  5,  7,          9,
	                        10, 12, 14, 0x80000000, UINT32_MAX};
	const uint64_t data = fake_alloc(&g, SECTOR);
	int status;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(simple(bad[i], 0, data, SECTOR, &status), 1);
		assert_int_equal(status, UNSUPP);
	}
}

static void id_is_20_bytes_or_an_error(void **state)
{
	const uint64_t data = fake_alloc(&g, 64);
	const char want[20] = "upper";
	int status;

	(void)state;
	assert_int_equal(simple(GET_ID, 0, data, 20, &status), 21);
	assert_int_equal(status, OK);
	assert_memory_equal(fake_at(&g, data), want, 20);
	memset(fake_at(&g, data), 0xcc, 64);
	assert_int_equal(simple(GET_ID, 0, data, 19, &status), 1);
	assert_int_equal(status, IOERR);
	assert_int_equal(*(uint8_t *)fake_at(&g, data), 0xcc);
	assert_int_equal(simple(GET_ID, 0, data, 40, &status), 21);
	assert_int_equal(((uint8_t *)fake_at(&g, data))[20], 0xcc);
}

static uint64_t ranges(const uint64_t (*r)[3], unsigned n)
{
	uint64_t at = fake_alloc(&g, n * 16);

	for (unsigned i = 0; i < n; i++) {
		uint8_t *p = fake_at(&g, at + i * 16ULL);

		put_le64(p, r[i][0]);
		put_le32(p + 8, (uint32_t)r[i][1]);
		put_le32(p + 12, (uint32_t)r[i][2]);
	}
	return at;
}

static void discard_and_zeroes_clear_exactly_their_range(void **state)
{
	const uint64_t cut[][3] = {
		{14, 4, 0},
                {30, 2, 0}
        };
	const uint64_t zero[][3] = {
		{1,  2, 0},
                {22, 4, 1}
        };
	int status;

	(void)state;
	assert_int_equal(simple(DISCARD, 0, ranges(cut, 2), 32, &status), 1);
	assert_int_equal(status, OK);
	assert_int_equal(simple(ZEROES, 0, ranges(zero, 2), 32, &status), 1);
	assert_int_equal(status, OK);
	for (uint32_t i = 0; i < 48 * SECTOR; i++) {
		uint32_t s = i / SECTOR;
		bool clear = (s >= 14 && s < 18) || (s >= 30 && s < 32) ||
		             (s >= 1 && s < 3) || (s >= 22 && s < 26);

		assert_true((on_disk(i) == 0) == clear);
	}
}

static void bad_ranges_are_refused_as_a_whole(void **state)
{
	const struct {
		uint32_t type, len;
		int status;
		uint64_t r[2][3];
	} bad[] = {
		{DISCARD, 1,  IOERR,  {{0, 1, 0}}            },
		{DISCARD, 0,  IOERR,  {{0, 1, 0}}            },
		{DISCARD, 17, IOERR,  {{0, 1, 0}}            },
		{DISCARD, 16, IOERR,  {{47, 2, 0}}           },
		{DISCARD, 16, IOERR,  {{UINT64_MAX, 2, 0}}   },
		{DISCARD, 16, IOERR,  {{0, UINT32_MAX, 0}}   },
		{DISCARD, 16, UNSUPP, {{0, 1, 1}}            },
		{DISCARD, 16, UNSUPP, {{0, 1, 0x80000000}}   },
		{DISCARD, 32, IOERR,  {{0, 4, 0}, {48, 1, 0}}},
		{ZEROES,  32, IOERR,  {{0, 4, 0}, {48, 1, 0}}},
		{ZEROES,  16, UNSUPP, {{0, 4, 2}}            },
		{ZEROES,  16, IOERR,  {{1ULL << 55, 4, 0}}   },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int status;

		assert_int_equal(simple(bad[i].type, 0, ranges(bad[i].r, 2),
		                        bad[i].len, &status),
		                 1);
		assert_int_equal(status, bad[i].status);
	}
	for (uint32_t i = 0; i < 48 * SECTOR; i++)
		assert_int_not_equal(on_disk(i), 0);
}

static void too_many_ranges_are_refused(void **state)
{
	const uint64_t data = fake_alloc(&g, 16 * 64);
	int status;

	(void)state;
	assert_int_equal(simple(DISCARD, 0, data, 16 * 17, &status), 1);
	assert_int_equal(status, IOERR);
}

/* The shared root image must not change through any door. */
static void a_read_only_disk_refuses_all_writing(void **state)
{
	const uint64_t all[][3] = {
		{0, 48, 0}
        };
	const uint64_t data = fake_alloc(&g, SECTOR);
	struct stat before, after;
	int status;

	(void)state;
	assert_true(dev->offered >> 5 & 1);
	assert_false(dev->offered >> 9 & 1 || dev->offered >> 13 & 1 ||
	             dev->offered >> 14 & 1);
	assert_int_equal(fstat(fd_a, &before), 0);
	memset(fake_at(&g, data), 0x11, SECTOR);
	simple(OUT, 0, data, SECTOR, &status);
	assert_int_equal(status, IOERR);
	simple(DISCARD, 0, ranges(all, 1), 16, &status);
	assert_int_equal(status, IOERR);
	simple(ZEROES, 0, ranges(all, 1), 16, &status);
	assert_int_equal(status, IOERR);
	simple(FLUSH, 0, data, SECTOR, &status);
	assert_int_equal(status, OK);
	assert_int_equal(fstat(fd_a, &after), 0);
	assert_int_equal(before.st_blocks, after.st_blocks);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	for (uint32_t i = 0; i < 16 * SECTOR; i++)
		assert_int_equal(on_disk(i), pattern(i + 8 * SECTOR));
}

static void a_file_shorter_than_its_extent_is_an_error(void **state)
{
	const uint64_t data = fake_alloc(&g, 24 * SECTOR);
	int status;

	(void)state;
	assert_int_equal(ftruncate(fd_a, 70 * SECTOR), 0);
	/* sector 24 is 64 of the file; 70 and up are not there */
	assert_int_equal(simple(IN, 24, data, 24 * SECTOR, &status),
	                 6 * SECTOR + 1);
	assert_int_equal(status, IOERR);
	assert_int_equal(simple(IN, 20, data, 2 * SECTOR, &status),
	                 2 * SECTOR + 1);
	assert_int_equal(status, OK);
}

static void a_broken_chain(const struct fake_buf *b, unsigned n)
{
	uint32_t id, len;

	fake_chain(&g, 0, b, n);
	fake_kick(&g, 0);
	assert_int_equal(g.broken, 1);
	assert_false(fake_used(&g, 0, &id, &len));
	fake_kick(&g, 0); /* dead, and silent */
	assert_int_equal(g.broken, 1);
	fake_restart(&g, F_VERSION_1);
}

static void requests_without_header_or_status_break_the_device(void **state)
{
	const struct fake_buf no_status[] = {
		{header(IN, 0), 16, false}
        };
	const struct fake_buf no_header[] = {
		{FAKE_HIGH, 100, true}
        };
	const struct fake_buf short_header[] = {
		{FAKE_HIGH, 15, false},
                {FAKE_HIGH, 1,  true }
        };
	const struct fake_buf outside[] = {
		{FAKE_HIGH, 16,  false},
		{FAKE_END,  512, true },
		{FAKE_HIGH, 1,   true }
        };
	int status;

	(void)state;
	a_broken_chain(no_status, 1);
	a_broken_chain(no_header, 1);
	a_broken_chain(short_header, 2);
	a_broken_chain(outside, 3);
	simple(IN, 0, fake_alloc(&g, SECTOR), SECTOR, &status);
	assert_int_equal(status, OK); /* alive again after the reset */
}

static void data_may_lie_over_its_own_header_and_ring(void **state)
{
	const uint64_t h = header(IN, 0);
	const struct fake_buf b[] = {
		{h,       16,   false},
		{             g.q[0].at.desc, SECTOR, true     },
		{ fake_alloc(&g,      1),      1,      true},
	};
	int status;

	(void)state;
	run(b, 3, &status);
	assert_int_equal(status, OK);
	fake_kick(&g, 0);
}

/* More than a batch waits: all of it is served, by several turns. */
static void a_full_ring_is_served_in_turns(void **state)
{
	uint32_t id, len;
	unsigned n = 0;

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		const uint64_t mark = g.heap;

		for (unsigned i = 0; i < SIZE / 2; i++) {
			const uint64_t h = header(GET_ID, 0);
			const struct fake_buf b[] = {
				{h,    16, false},
                                { fake_alloc(&g, 21), 21,  true}
                        };

			fake_chain(&g, 0, b, 2);
		}
		fake_kick(&g, 0);
		while (fake_used(&g, 0, &id, &len))
			n++;
		g.heap = mark;
	}
	assert_int_equal(n, 200 * SIZE / 2);
	assert_int_equal(g.broken, 0);
}

static void config_is_bounded(void **state)
{
	uint8_t data[128];

	(void)state;
	dev->ops->read_config(dev, 0, data, 8);
	assert_int_equal(get_le64(data), 48);
	dev->ops->read_config(dev, 12, data, 4);
	assert_int_equal(get_le32(data), 254);
	memset(data, 0xff, sizeof(data));
	dev->ops->read_config(dev, 56, data, 64);
	for (unsigned i = 4; i < 64; i++)
		assert_int_equal(data[i], 0);
	dev->ops->read_config(dev, UINT32_MAX, data, 64);
	assert_int_equal(data[0], 0);
}

static void malformed_disks_are_refused(void **state)
{
	const struct disk_extent bad[] = {
		{fd_a, 0,                0         },
                {fd_a, 0,                100       },
		{-1,   0,                512       },
                {fd_a, UINT64_MAX - 511, 512       },
		{fd_a, 0,                1ULL << 63},
	};
	struct virtio_dev *d = NULL;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct disk_dev_config cfg = {&bad[i], 1,    false,
		                                    "x",     NULL, 0};

		assert_true(disk_dev_new(&cfg, &d, &err) < 0);
		assert_true(strlen(err.msg) > 0);
	}
	assert_true(disk_dev_new(&(struct disk_dev_config){bad, 0, false, "x",
	                                                   NULL, 0},
	                         &d, &err) < 0);
	assert_true(disk_dev_new(
			    &(struct disk_dev_config){
				    &(struct disk_extent){fd_a, 0, 512},
                                     1,
				    false, "123456789012345678901", NULL, 0
        },
			    &d, &err) < 0);
	assert_null(d);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(reads_cross_extent_borders),
		T(writes_cross_extent_borders),
		T(what_was_moved_is_counted),
		T(a_request_may_be_cut_anywhere),
		T(header_and_written_data_may_share_a_buffer),
		T(requests_past_the_end_fail),
		T(data_that_is_no_whole_sector_fails),
		T(unknown_requests_are_unsupported),
		T(id_is_20_bytes_or_an_error),
		T(discard_and_zeroes_clear_exactly_their_range),
		T(bad_ranges_are_refused_as_a_whole),
		T(too_many_ranges_are_refused),
		cmocka_unit_test_setup_teardown(
			a_read_only_disk_refuses_all_writing, setup_read_only,
			teardown),
		T(a_file_shorter_than_its_extent_is_an_error),
		T(requests_without_header_or_status_break_the_device),
		T(data_may_lie_over_its_own_header_and_ring),
		T(a_full_ring_is_served_in_turns),
		T(config_is_bounded),
		T(malformed_disks_are_refused),
	};

	return cmocka_run_group_tests_name("virtio/blk", tests, NULL, NULL);
}
