#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/fake_guest.h"

static void addresses_outside_ram_have_no_pointer(void **state)
{
	struct fake_guest g;
	const struct {
		uint64_t gpa, len;
	} bad[] = {
		{0,            1			    },
		{FAKE_LOW - 1, 1                            },
		{FAKE_LOW - 1, 2                            },
		{FAKE_END,     1			    },
		{FAKE_END - 1, 2                            },
		{FAKE_LOW,     FAKE_END - FAKE_LOW + 1      },
		{UINT64_MAX,   1                            },
		{UINT64_MAX,   UINT64_MAX                   },
		{FAKE_LOW,     UINT64_MAX                   },
		{FAKE_LOW + 8, UINT64_MAX - 8 - FAKE_LOW + 1},
		{FAKE_LOW,     0			    },
		{0xfeb00000,   4                            },
	};

	(void)state;
	fake_init(&g, NULL, 0, 8);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct iovec v[4];

		assert_null(guest_mem_at(&g.mem, bad[i].gpa, bad[i].len));
		if (bad[i].len)
			assert_true(guest_mem_iov(&g.mem, bad[i].gpa,
			                          bad[i].len, v, 4) < 0);
	}
	assert_ptr_equal(guest_mem_at(&g.mem, FAKE_END - 1, 1),
	                 g.high + (FAKE_END - FAKE_HIGH) - 1);
	fake_release(&g);
}

static void a_range_over_two_regions_is_split_but_has_no_pointer(void **state)
{
	struct fake_guest g;
	struct iovec v[2];

	(void)state;
	fake_init(&g, NULL, 0, 8);
	assert_null(guest_mem_at(&g.mem, FAKE_HIGH - 8, 16));
	assert_int_equal(guest_mem_iov(&g.mem, FAKE_HIGH - 8, 24, v, 2), 2);
	assert_ptr_equal(v[0].iov_base, fake_at(&g, FAKE_HIGH - 8));
	assert_int_equal(v[0].iov_len, 8);
	assert_ptr_equal(v[1].iov_base, g.high);
	assert_int_equal(v[1].iov_len, 16);
	assert_int_equal(guest_mem_iov(&g.mem, FAKE_HIGH - 8, 24, v, 1),
	                 -E2BIG);
	fake_release(&g);
}

static void regions_may_not_overlap_wrap_or_be_empty(void **state)
{
	struct fake_guest g;
	void *p;

	(void)state;
	fake_init(&g, NULL, 0, 8);
	p = g.low;
	assert_int_equal(guest_mem_add(&g.mem, FAKE_END - 4096, 8192, 0, p),
	                 -EEXIST);
	assert_int_equal(guest_mem_add(&g.mem, FAKE_LOW - 4096, 8192, 0, p),
	                 -EEXIST);
	assert_int_equal(guest_mem_add(&g.mem, FAKE_END, 0, 0, p), -EINVAL);
	assert_int_equal(guest_mem_add(&g.mem, FAKE_END, 100, 0, p), -EINVAL);
	assert_int_equal(guest_mem_add(&g.mem, ~0xfffULL, 8192, 0, p), -EINVAL);
	assert_int_equal(guest_mem_add(&g.mem, FAKE_END, 4096, ~0ULL, p),
	                 -EINVAL);
	assert_int_equal(
		guest_mem_add(&g.mem, FAKE_END, 4096, 0, (uint8_t *)p + 1),
		-EINVAL);
	assert_int_equal(g.mem.n, 2);
	fake_release(&g);
}

static void the_table_is_bounded_and_sorted(void **state)
{
	static uint8_t page[4096] __attribute__((aligned(4096)));
	struct guest_mem m = {.n = 0};

	(void)state;
	for (uint64_t i = GUEST_MEM_MAX; i > 0; i--)
		assert_int_equal(guest_mem_add(&m, i << 20, 4096, 0, page), 0);
	assert_int_equal(guest_mem_add(&m, 0, 4096, 0, page), -ENOSPC);
	for (uint32_t i = 1; i < m.n; i++)
		assert_true(m.region[i - 1].gpa < m.region[i].gpa);
	assert_int_equal(guest_mem_remove(&m, 5ULL << 20, 8192), -ENOENT);
	assert_int_equal(guest_mem_remove(&m, 5ULL << 20, 4096), 0);
	assert_null(guest_mem_at(&m, 5ULL << 20, 1));
	assert_non_null(guest_mem_at(&m, 6ULL << 20, 1));
	guest_mem_release(&m);
}

static void an_alias_is_checked_with_its_length(void **state)
{
	struct fake_guest g;
	uint64_t gpa = 0;

	(void)state;
	fake_init(&g, NULL, 0, 8);
	assert_int_equal(
		guest_mem_from_alias(&g.mem, (1ULL << 40) + 16, 16, &gpa), 0);
	assert_true(gpa == FAKE_HIGH + 16);
	assert_int_equal(guest_mem_from_alias(
				 &g.mem, (1ULL << 40) + 0x100000 - 8, 16, &gpa),
	                 -EFAULT);
	assert_int_equal(
		guest_mem_from_alias(&g.mem, (1ULL << 40) - 1, 1, &gpa),
		-EFAULT);
	assert_int_equal(guest_mem_from_alias(&g.mem, ~0ULL, ~0ULL, &gpa),
	                 -EFAULT);
	assert_int_equal(guest_mem_from_alias(&g.mem, 0, 0, &gpa), -EFAULT);
	fake_release(&g);
}

static void a_file_that_can_shrink_is_not_mapped(void **state)
{
	struct guest_mem m = {.n = 0};
	int fd = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(guest_mem_map(&m, 0, 8192, 0, fd, 0), -EACCES);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(guest_mem_map(&m, 0, 12288, 0, fd, 0), -EINVAL);
	assert_int_equal(guest_mem_map(&m, 0, 8192, 0, fd, 4096), -EINVAL);
	assert_int_equal(guest_mem_map(&m, 0, 8192, 0, fd, ~0xfffULL), -EINVAL);
	assert_int_equal(guest_mem_map(&m, 0, 4096, 0, fd, 1), -EINVAL);
	assert_int_equal(guest_mem_map(&m, 0, 4096, 0, fd, 4096), 0);
	memcpy(guest_mem_at(&m, 0, 5), "hello", 5);
	close(fd);
	assert_memory_equal(guest_mem_at(&m, 0, 5), "hello", 5);
	guest_mem_release(&m);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(guest_mem_map(&m, 0, 4096, 0, fd, 0), -EACCES);
	close(fd);
}

static void what_the_host_holds_is_told(void **state)
{
	struct guest_mem m = {.n = 0};
	const size_t len = 40UL << 20; /* more than is asked at once */
	uint8_t *anon =
		mmap(NULL, len, PROT_READ | PROT_WRITE,
	             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int fd = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_ptr_not_equal(anon, MAP_FAILED);
	(void)madvise(anon, len, MADV_NOHUGEPAGE);
	assert_int_equal(ftruncate(fd, 4 << 20), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	/* Two parts of one file, of which only the second is touched. */
	assert_int_equal(guest_mem_map(&m, 0, 1 << 20, 0, fd, 0), 0);
	assert_int_equal(
		guest_mem_map(&m, 2 << 20, 1 << 20, 1ULL << 40, fd, 1 << 20),
		0);
	assert_int_equal(guest_mem_resident(&m), 0);
	memset(guest_mem_at(&m, 2 << 20, 8192), 1, 8192);
	assert_int_equal(guest_mem_resident(&m), 8192);
	assert_int_equal(guest_mem_add(&m, 1ULL << 32, len, 1ULL << 41, anon),
	                 0);
	assert_int_equal(guest_mem_resident(&m), 8192);
	anon[0] = anon[len - 1] = 1;
	assert_int_equal(guest_mem_resident(&m), 8192 + 8192);
	close(fd);
	assert_int_equal(guest_mem_resident(&m), 8192 + 8192);
	guest_mem_release(&m);
	(void)munmap(anon, len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_outside_ram_have_no_pointer),
		cmocka_unit_test(
			a_range_over_two_regions_is_split_but_has_no_pointer),
		cmocka_unit_test(regions_may_not_overlap_wrap_or_be_empty),
		cmocka_unit_test(the_table_is_bounded_and_sorted),
		cmocka_unit_test(an_alias_is_checked_with_its_length),
		cmocka_unit_test(what_the_host_holds_is_told),
		cmocka_unit_test(a_file_that_can_shrink_is_not_mapped),
	};

	return cmocka_run_group_tests_name("virtio/mem", tests, NULL, NULL);
}
