#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"
#include "disk_model.h"

#define SIZE (24 * MIB + 3 * SECTOR)

static void an_empty_file_is_one_for_qemu_and_for_us(void **state)
{
	const uint64_t sizes[] = {SECTOR, 1 * MIB, 8 * GIB, 512 * GIB,
	                          64 * 1024 * GIB};
	struct model m;

	(void)state;
	model_init(&m, SECTOR, 1);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct qcow2_info info;
		struct disk *d = NULL;
		struct stat st;
		int fd = model_file(&m, "new.qcow2");

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(
			qcow2_create(fd, sizes[i], NULL, DISK_RAW, NULL), 0);
		assert_int_equal(fstat(fd, &st), 0);
		assert_true(st.st_blocks * 512 <= 16 * 1024);
		assert_int_equal(qcow2_look(fd, &info, NULL), 0);
		assert_int_equal(info.size, sizes[i]);
		assert_int_equal(info.version, 3);
		assert_string_equal(info.backing, "");
		assert_int_equal(
			disk_open_layers(&(struct disk_layer){fd, DISK_QCOW2},
		                         1, false, &d, NULL),
			0);
		assert_int_equal(disk_size(d), sizes[i]);
		disk_close(d);
		close(fd);
		if (have_qemu_img()) {
			assert_int_equal(qemu_img("check -q %s",
			                          model_path(&m, "new.qcow2")),
			                 0);
			assert_int_equal(qemu_img("info %s",
			                          model_path(&m, "new.qcow2")),
			                 0);
		}
	}
	model_release(&m);
}

static void sizes_and_names_out_of_bounds_make_no_file(void **state)
{
	char name[1200];
	int fd = memfd_create("new", MFD_CLOEXEC);
	struct err err;

	(void)state;
	assert_true(qcow2_create(fd, 0, NULL, DISK_RAW, &err) < 0);
	assert_true(qcow2_create(fd, 100, NULL, DISK_RAW, &err) < 0);
	assert_true(qcow2_create(fd, UINT64_MAX - 511, NULL, DISK_RAW, &err) <
	            0);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	assert_true(qcow2_create(fd, MIB, name, DISK_RAW, &err) < 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	close(fd);
}

static void steps(struct model *m, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		model_step(m);
		if (model_random(m, 100) == 0) {
			model_close(m);
			model_open(m, false);
		}
	}
}

static void random_steps_on_our_file_equal_an_array(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 3; seed++) {
		struct model m;
		int fd;

		model_init(&m, SIZE, seed);
		fd = model_file(&m, "a.qcow2");
		assert_int_equal(qcow2_create(fd, SIZE, NULL, DISK_RAW, NULL),
		                 0);
		model_push(&m, fd, DISK_QCOW2);
		model_open(&m, false);
		steps(&m, 1500);
		model_check_all(&m);
		model_close(&m);
		model_judge(&m, "a.qcow2");
		model_open(&m, true);
		model_check_all(&m);
		model_release(&m);
	}
}

/* What qemu-img can make: versions, cluster sizes, widths of counts. */
static void random_steps_on_any_layout_equal_an_array(void **state)
{
	static const struct {
		const char *options;
		uint64_t size;
	} layouts[] = {
		{"compat=0.10,cluster_size=512",                       8 * MIB },
		{"compat=1.1,cluster_size=512,refcount_bits=64",       8 * MIB },
		{"compat=1.1,cluster_size=512,refcount_bits=1",        8 * MIB },
		{"compat=1.1,cluster_size=4k,refcount_bits=2",         24 * MIB},
		{"compat=1.1,cluster_size=4k,refcount_bits=8",         24 * MIB},
		{"compat=0.10,cluster_size=64k",                       24 * MIB},
		{"compat=1.1,cluster_size=64k,refcount_bits=4",        24 * MIB},
		{"compat=1.1,cluster_size=256k,refcount_bits=32",      24 * MIB},
		{"compat=1.1,cluster_size=2M,lazy_refcounts=on",       40 * MIB},
		{"compat=1.1,cluster_size=64k,preallocation=metadata",
	         24 * MIB						      },
	};

	(void)state;
	if (!have_qemu_img())
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		struct model m;

		model_init(&m, layouts[i].size, i + 77);
		assert_int_equal(qemu_img("create -q -f qcow2 -o %s %s %llu",
		                          layouts[i].options,
		                          model_path(&m, "a.qcow2"),
		                          (unsigned long long)layouts[i].size),
		                 0);
		model_push(&m, model_file(&m, "a.qcow2"), DISK_QCOW2);
		model_open(&m, false);
		steps(&m, 500);
		model_check_all(&m);
		model_close(&m);
		model_judge(&m, "a.qcow2");
		model_release(&m);
	}
}

static void a_chain_of_eight_and_a_raw_disk_equals_an_array(void **state)
{
	struct model m;
	int fd;

	(void)state;
	model_init(&m, SIZE, 8);
	fd = model_file(&m, "0");
	assert_int_equal(ftruncate(fd, SIZE), 0);
	model_push(&m, fd, DISK_RAW);
	for (unsigned i = 1; i <= 8; i++) {
		char name[2] = {(char)('0' + i), 0}, below[2] = {name[0], 0};

		model_open(&m, false);
		for (unsigned k = 0; k < 60; k++)
			model_step(&m);
		model_close(&m);
		below[0]--;
		fd = model_file(&m, name);
		assert_int_equal(qcow2_create(fd, SIZE, below,
		                              i == 1 ? DISK_RAW : DISK_QCOW2,
		                              NULL),
		                 0);
		model_push(&m, fd, DISK_QCOW2);
		model_open(&m, false);
		model_check_all(&m);
		model_close(&m);
	}
	model_open(&m, false);
	steps(&m, 400);
	model_check_all(&m);
	model_close(&m);
	model_judge(&m, "8");
	model_release(&m);
}

/* A fork is an empty file; what is below never changes. */
static void forks_differ_only_where_they_wrote(void **state)
{
	struct model m;
	uint8_t *before, *after;
	int fd, base;

	(void)state;
	model_init(&m, 4 * MIB, 5);
	base = model_file(&m, "base");
	assert_int_equal(ftruncate(base, 4 * MIB), 0);
	model_push(&m, base, DISK_RAW);
	model_open(&m, false);
	model_write(&m, 0, 3 * MIB);
	model_close(&m);
	before = malloc(4 * MIB);
	after = malloc(4 * MIB);
	assert_int_equal(pread(base, before, 4 * MIB, 0), 4 * MIB);
	fd = model_file(&m, "fork");
	assert_int_equal(qcow2_create(fd, 4 * MIB, "base", DISK_RAW, NULL), 0);
	model_push(&m, fd, DISK_QCOW2);
	model_open(&m, false);
	model_write(&m, 100 * SECTOR, 3 * SECTOR);
	model_write(&m, 7 * SECTOR, 500 * SECTOR);
	model_check_all(&m);
	model_close(&m);
	model_judge(&m, "fork");
	assert_int_equal(pread(base, after, 4 * MIB, 0), 4 * MIB);
	assert_memory_equal(before, after, 4 * MIB);
	free(before);
	free(after);
	model_release(&m);
}

/* The end of the shorter one below reads as zeros, not what is further down. */
static void a_shorter_disk_below_ends_in_zeros(void **state)
{
	struct model m;
	int fd;

	(void)state;
	model_init(&m, 4 * MIB, 6);
	fd = model_file(&m, "base");
	assert_int_equal(ftruncate(fd, 4 * MIB), 0);
	model_push(&m, fd, DISK_RAW);
	model_open(&m, false);
	model_write(&m, 0, 4 * MIB);
	model_close(&m);
	fd = model_file(&m, "mid");
	assert_int_equal(
		qcow2_create(fd, 2 * MIB + SECTOR, "base", DISK_RAW, NULL), 0);
	model_push(&m, fd, DISK_QCOW2);
	fd = model_file(&m, "top");
	assert_int_equal(qcow2_create(fd, 4 * MIB, "mid", DISK_QCOW2, NULL), 0);
	model_push(&m, fd, DISK_QCOW2);
	memset(m.bytes + 2 * MIB + SECTOR, 0, 2 * MIB - SECTOR);
	model_open(&m, false);
	model_check_all(&m);
	model_write(&m, 2 * MIB + 4 * SECTOR, SECTOR); /* copies zeros */
	model_check_all(&m);
	model_close(&m);
	model_judge(&m, "top");
	model_release(&m);
}

static void compressed(const char *type)
{
	struct model m;
	int fd;

	model_init(&m, 12 * MIB, 9);
	fd = model_file(&m, "plain");
	for (uint64_t i = 0; i < 8 * MIB; i += 8)
		put_le64(m.bytes + i, i / 100);
	assert_int_equal(pwrite(fd, m.bytes, 12 * MIB, 0), 12 * MIB);
	close(fd);
	assert_int_equal(qemu_img("convert -q -c -f raw -O qcow2 -o "
	                          "compression_type=%s %s %s",
	                          type, model_path(&m, "plain"),
	                          model_path(&m, "packed")),
	                 0);
	model_push(&m, model_file(&m, "packed"), DISK_QCOW2);
	model_open(&m, true);
	model_check_all(&m);
	model_close(&m);
	model_open(&m, false);
	steps(&m, 600);
	model_check_all(&m);
	model_close(&m);
	model_judge(&m, "packed");
	model_release(&m);
}

static void compressed_clusters_are_read_and_written_over(void **state)
{
	(void)state;
	if (!have_qemu_img())
		skip();
	compressed("zlib");
	compressed("zstd");
}

static uint64_t room_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void discard_gives_room_back_and_it_is_used_again(void **state)
{
	struct model m;
	uint64_t len = 0;
	int fd;

	(void)state;
	model_init(&m, 64 * MIB, 10);
	fd = model_file(&m, "a.qcow2");
	assert_int_equal(qcow2_create(fd, m.size, NULL, DISK_RAW, NULL), 0);
	model_push(&m, fd, DISK_QCOW2);
	model_open(&m, false);
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < 32; i++)
			model_write(&m, i * MIB, MIB);
		assert_int_equal(disk_flush(m.disk), 0);
		assert_true(room_of(fd) >= 32 * MIB);
		assert_int_equal(disk_discard(m.disk, 0, 32 * MIB), 0);
		memset(m.bytes, 0, 32 * MIB);
		assert_int_equal(disk_flush(m.disk), 0);
		assert_true(room_of(fd) <= 512 * KIB);
		if (round == 1)
			len = (uint64_t)lseek(fd, 0, SEEK_END);
	}
	assert_int_equal(lseek(fd, 0, SEEK_END), len);
	model_check_all(&m);
	model_close(&m);
	model_judge(&m, "a.qcow2");
	model_release(&m);
}

/* Opened anew each time, so that what is free is not known. */
static void a_file_never_grows_beyond_its_bound(void **state)
{
	struct qcow2_info info;
	struct model m;
	int fd;

	(void)state;
	model_init(&m, 16 * MIB, 11);
	fd = model_file(&m, "a.qcow2");
	assert_int_equal(qcow2_create(fd, m.size, NULL, DISK_RAW, NULL), 0);
	model_push(&m, fd, DISK_QCOW2);
	assert_int_equal(qcow2_look(fd, &info, NULL), 0);
	for (unsigned round = 0; round < 8; round++) {
		model_open(&m, false);
		for (unsigned i = 0; i < 16; i++)
			model_write(&m, i * MIB, MIB);
		model_check_all(&m);
		assert_int_equal(disk_discard(m.disk, 0, 16 * MIB), 0);
		memset(m.bytes, 0, 16 * MIB);
		model_close(&m);
		assert_true((uint64_t)lseek(fd, 0, SEEK_END) <=
		            qcow2_file_max(&info));
	}
	model_open(&m, false);
	model_write(&m, 0, 16 * MIB);
	model_close(&m);
	model_judge(&m, "a.qcow2");
	model_release(&m);
}

static void a_read_only_disk_refuses_all_writing(void **state)
{
	uint8_t b[SECTOR] = {1};
	struct iovec v = {b, SECTOR};
	struct model m;
	struct stat before, after;
	int fd;

	(void)state;
	model_init(&m, MIB, 12);
	fd = model_file(&m, "a.qcow2");
	assert_int_equal(qcow2_create(fd, m.size, NULL, DISK_RAW, NULL), 0);
	model_push(&m, fd, DISK_QCOW2);
	assert_int_equal(fstat(fd, &before), 0);
	model_open(&m, true);
	assert_int_equal(disk_write(m.disk, &v, 1, 0), -EROFS);
	assert_int_equal(disk_zero(m.disk, 0, SECTOR, true), -EROFS);
	assert_int_equal(disk_discard(m.disk, 0, SECTOR), -EROFS);
	assert_int_equal(disk_flush(m.disk), 0);
	model_close(&m);
	assert_int_equal(fstat(fd, &after), 0);
	assert_memory_equal(&before.st_mtim, &after.st_mtim,
	                    sizeof(before.st_mtim));
	model_release(&m);
}

static void ranges_outside_of_the_disk_are_refused(void **state)
{
	uint8_t b[2 * SECTOR] = {1};
	struct model m;
	int fd;

	(void)state;
	model_init(&m, MIB, 13);
	fd = model_file(&m, "a.qcow2");
	assert_int_equal(qcow2_create(fd, m.size, NULL, DISK_RAW, NULL), 0);
	model_push(&m, fd, DISK_QCOW2);
	model_open(&m, false);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t pos = i ? UINT64_MAX - SECTOR : MIB - SECTOR;
		struct iovec v = {b, sizeof(b)};

		assert_int_equal(disk_write(m.disk, &v, 1, pos), -EINVAL);
		assert_int_equal(disk_read(m.disk, &v, 1, pos), -EINVAL);
		assert_int_equal(disk_zero(m.disk, pos, sizeof(b), false),
		                 -EINVAL);
		assert_int_equal(disk_discard(m.disk, pos, sizeof(b)), -EINVAL);
	}
	model_check_all(&m);
	model_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_file_is_one_for_qemu_and_for_us),
		cmocka_unit_test(sizes_and_names_out_of_bounds_make_no_file),
		cmocka_unit_test(random_steps_on_our_file_equal_an_array),
		cmocka_unit_test(random_steps_on_any_layout_equal_an_array),
		cmocka_unit_test(
			a_chain_of_eight_and_a_raw_disk_equals_an_array),
		cmocka_unit_test(forks_differ_only_where_they_wrote),
		cmocka_unit_test(a_shorter_disk_below_ends_in_zeros),
		cmocka_unit_test(compressed_clusters_are_read_and_written_over),
		cmocka_unit_test(discard_gives_room_back_and_it_is_used_again),
		cmocka_unit_test(a_file_never_grows_beyond_its_bound),
		cmocka_unit_test(a_read_only_disk_refuses_all_writing),
		cmocka_unit_test(ranges_outside_of_the_disk_are_refused),
	};

	return cmocka_run_group_tests_name("disk/qcow2", tests, NULL, NULL);
}
