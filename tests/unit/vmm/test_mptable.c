/* The MP table, read back by the words of the specification. */
#include "loader_files.h"

#define AT      0x9fc00u
#define IOAPICS 0xfec00000u

static unsigned sum(const uint8_t *p, size_t len)
{
	unsigned s = 0;

	for (size_t i = 0; i < len; i++)
		s += p[i];
	return s & 0xff;
}

static const uint8_t *table(const struct ram *r, size_t *ret_len)
{
	const uint8_t *f = r->p + AT;
	const uint8_t *t = r->p + get_le32(f + 4);

	assert_memory_equal(f, "_MP_", 4);
	assert_int_equal(f[8], 1); /* times 16 bytes */
	assert_int_equal(f[9], 4);
	assert_int_equal(sum(f, 16), 0);
	assert_memory_equal(f + 11, "\0\0\0\0\0", 5); /* a table, no IMCR */
	assert_memory_equal(t, "PCMP", 4);
	*ret_len = get_le16(t + 4);
	assert_int_equal(t[6], 4);
	assert_int_equal(sum(t, *ret_len), 0);
	assert_int_equal(get_le32(t + 36), 0xfee00000);
	assert_in_range(t + *ret_len - r->p, AT, 0x100000);
	return t;
}

struct seen {
	unsigned n[5], boot, last;
	bool ids[256];
};

static void check_cpu(const uint8_t *p, struct seen *s)
{
	assert_false(s->ids[p[1]]);
	s->ids[p[1]] = true;
	assert_int_equal(p[3] & 1, 1); /* enabled */
	s->boot += p[3] >> 1 & 1;
	assert_int_equal((p[3] >> 1 & 1), p[1] == 0);
	assert_int_equal(get_le32(p + 8) & 0x201, 0x201); /* FPU, APIC */
}

static void check_bus(const uint8_t *p, struct seen *s)
{
	(void)s;
	assert_int_equal(p[1], 0);
	assert_memory_equal(p + 2, "ISA   ", 6);
}

static void check_ioapic(const uint8_t *p, struct seen *s)
{
	assert_false(s->ids[p[1]]); /* shares none with a processor */
	assert_int_not_equal(p[1], 0xff);
	s->ids[p[1]] = true;
	assert_int_equal(p[3] & 1, 1);
	assert_int_equal(get_le32(p + 4), IOAPICS);
}

static void check_line(const uint8_t *p, struct seen *s)
{
	assert_int_equal(p[1], 0); /* INT */
	assert_int_equal(get_le16(p + 2), 0);
	assert_int_equal(p[4], 0);
	assert_int_equal(p[5], s->n[3]);
	assert_int_equal(p[6], s->n[0]);
	assert_int_equal(p[7], s->n[3]);
}

static void check_local(const uint8_t *p, struct seen *s)
{
	static const uint8_t want[2][7] = {
		{3, 0, 0, 0, 0, 0,    0}, /* ExtINT, processor 0, LINT0 */
		{1, 0, 0, 0, 0, 0xff, 1}, /* NMI, all processors, LINT1 */
	};

	assert_in_range(s->n[4], 0, 1);
	assert_memory_equal(p + 1, want[s->n[4]], 7);
}

static const struct {
	size_t len;
	void (*check)(const uint8_t *p, struct seen *s);
} kinds[] = {
	{20, check_cpu   },
        {8,  check_bus   },
        {8,  check_ioapic},
	{8,  check_line  },
        {8,  check_local },
};

static void check_entries(const uint8_t *t, size_t len, uint32_t cpus)
{
	const unsigned want[5] = {cpus, 1, 1, 24, 2};
	struct seen s = {0};
	size_t at = 44;
	unsigned entries = 0;

	for (; at < len; entries++) {
		uint8_t type = t[at];

		assert_in_range(type, s.last, 4); /* in ascending order */
		s.last = type;
		kinds[type].check(t + at, &s);
		s.n[type]++;
		at += kinds[type].len;
	}
	assert_int_equal(at, len);
	assert_int_equal(entries, get_le16(t + 34));
	assert_int_equal(s.boot, 1);
	assert_memory_equal(s.n, want, sizeof(want));
}

static void every_number_of_processors_reads_back(void **state)
{
	struct ram r = ram_new(RAM_LEN);

	(void)state;
	for (uint32_t cpus = 1; cpus <= 254; cpus++) {
		size_t len;
		const uint8_t *t;

		assert_int_equal(loader_mptable(&r.mem, cpus), 0);
		t = table(&r, &len);
		check_entries(t, len, cpus);
		assert_int_equal(len, 44 + 20 * cpus + 8 + 8 + 24 * 8 + 16);
	}
	ram_free(&r);
}

static void nothing_is_written_outside(void **state)
{
	struct ram r = ram_new(RAM_LEN);
	uint64_t end = AT + 16 + 44 + 20 * 254 + 8 + 8 + 24 * 8 + 16;

	(void)state;
	assert_int_equal(loader_mptable(&r.mem, 254), 0);
	for (uint64_t at = 0; at < MIB; at += 4)
		if (at < AT || at >= end)
			assert_int_equal(ram32(&r, at), 0);
	ram_free(&r);
}

static void other_numbers_are_refused(void **state)
{
	struct ram r = ram_new(RAM_LEN);

	(void)state;
	assert_int_equal(loader_mptable(&r.mem, 0), -EINVAL);
	assert_int_equal(loader_mptable(&r.mem, 255), -EINVAL);
	assert_int_equal(loader_mptable(&r.mem, UINT32_MAX), -EINVAL);
	assert_int_equal(ram32(&r, AT), 0);
	ram_free(&r);
}

static void memory_that_ends_before_is_refused(void **state)
{
	struct ram r = ram_new(0xa0000);

	(void)state;
	assert_int_equal(loader_mptable(&r.mem, 254), -EFAULT);
	assert_int_equal(loader_mptable(&r.mem, 32), 0);
	ram_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number_of_processors_reads_back),
		cmocka_unit_test(nothing_is_written_outside),
		cmocka_unit_test(other_numbers_are_refused),
		cmocka_unit_test(memory_that_ends_before_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
