#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"
#include "disk_model.h"

#define SIZE (8 * MIB + SECTOR)

static void random_steps_equal_an_array(void **state)
{
	struct model m;
	int fd;

	(void)state;
	model_init(&m, SIZE, 1);
	fd = model_file(&m, "a.raw");
	assert_int_equal(ftruncate(fd, SIZE), 0);
	model_push(&m, fd, DISK_RAW);
	model_open(&m, false);
	for (unsigned i = 0; i < 2000; i++)
		model_step(&m);
	model_check_all(&m);
	model_close(&m);
	assert_int_equal(lseek(fd, 0, SEEK_END), SIZE);
	model_open(&m, true);
	model_check_all(&m);
	model_release(&m);
}

static void discard_and_unmapping_zeros_make_holes(void **state)
{
	struct model m;
	struct stat st;
	int fd;

	(void)state;
	model_init(&m, SIZE, 2);
	fd = model_file(&m, "a.raw");
	assert_int_equal(ftruncate(fd, SIZE), 0);
	model_push(&m, fd, DISK_RAW);
	model_open(&m, false);
	model_write(&m, 0, 8 * MIB);
	assert_int_equal(disk_discard(m.disk, 0, 4 * MIB), 0);
	assert_int_equal(disk_zero(m.disk, 4 * MIB, 4 * MIB, true), 0);
	memset(m.bytes, 0, 8 * MIB);
	model_check_all(&m);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_blocks * 512 <= 64 * 1024);
	model_release(&m);
}

/* A file that got shorter under us is an error, not zeros. */
static void a_file_that_shrank_fails_the_read(void **state)
{
	uint8_t b[SECTOR];
	struct iovec v = {b, SECTOR};
	struct model m;
	int fd;

	(void)state;
	model_init(&m, SIZE, 3);
	fd = model_file(&m, "a.raw");
	assert_int_equal(ftruncate(fd, SIZE), 0);
	model_push(&m, fd, DISK_RAW);
	model_open(&m, false);
	assert_int_equal(ftruncate(fd, MIB), 0);
	assert_int_equal(disk_read(m.disk, &v, 1, 2 * MIB), -EIO);
	model_release(&m);
}

static void sizes_that_are_no_sectors_are_refused(void **state)
{
	const off_t sizes[] = {0, 1, 511, 513};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct disk *d = NULL;
		struct err err = {0};
		int fd = memfd_create("raw", MFD_CLOEXEC);

		assert_int_equal(ftruncate(fd, sizes[i]), 0);
		assert_int_equal(
			disk_open_layers(&(struct disk_layer){fd, DISK_RAW}, 1,
		                         true, &d, &err),
			-EINVAL);
		assert_non_null(strstr(err.msg, "multiple of 512"));
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_steps_equal_an_array),
		cmocka_unit_test(discard_and_unmapping_zeros_make_holes),
		cmocka_unit_test(a_file_that_shrank_fails_the_read),
		cmocka_unit_test(sizes_that_are_no_sectors_are_refused),
	};

	return cmocka_run_group_tests_name("disk/raw", tests, NULL, NULL);
}
