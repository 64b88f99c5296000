#include <stdint.h>
#include <string.h>

#include "lib/test.h"
#include "vmm/kvm/cpuid.h"

#define INTEL                                                                  \
	{                                                                      \
		.function = 0, .ebx = 0x756e6547, .ecx = 0x6c65746e            \
	}
#define AMD                                                                    \
	{                                                                      \
		.function = 0, .ebx = 0x68747541, .ecx = 0x444d4163            \
	}

static struct cpuid cpu;

static void fill(const struct kvm_cpuid_entry2 *entries, uint32_t n)
{
	memset(&cpu, 0, sizeof(cpu));
	memcpy(cpu.entries, entries, n * sizeof(*entries));
	cpu.n = n;
}

static const struct kvm_cpuid_entry2 *leaf(uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < cpu.n; i++)
		if (cpu.entries[i].function == function &&
		    cpu.entries[i].index == index)
			return &cpu.entries[i];
	fail();
	return NULL;
}

static void the_apic_id_is_the_processors_number(void **state)
{
	const struct kvm_cpuid_entry2 e[] = {
		INTEL,
		{.function = 1,   .ebx = 0xffffffff},
		{.function = 0xb, .index = 0,        .edx = 77},
		{.function = 0xb,               .index = 1                 },
	};

	(void)state;
	fill(e, 4);
	for (uint32_t id = 0; id < 5; id++) {
		cpuid_patch(&cpu, id, 5);
		assert_int_equal(leaf(1, 0)->ebx >> 24, id);
		assert_int_equal(leaf(0xb, 0)->edx, id);
		assert_int_equal(leaf(0xb, 1)->edx, id);
	}
	assert_int_equal(leaf(1, 0)->ebx >> 16 & 0xff, 8); /* 5, rounded */
	assert_int_equal(leaf(0xb, 0)->ebx, 1);
	assert_int_equal(leaf(0xb, 1)->ebx, 5);
	assert_int_equal(leaf(0xb, 1)->eax, 3);
	assert_int_equal(leaf(0xb, 1)->ecx, 0x201);
}

static void one_processor_has_no_hyper_threads(void **state)
{
	const struct kvm_cpuid_entry2 e[] = {
		INTEL, {.function = 1, .edx = 1u << 28}
        };

	(void)state;
	fill(e, 2);
	cpuid_patch(&cpu, 0, 1);
	assert_int_equal(leaf(1, 0)->edx >> 28 & 1, 0);
	cpuid_patch(&cpu, 0, 2);
	assert_int_equal(leaf(1, 0)->edx >> 28 & 1, 1);
}

static void virtualization_and_counters_are_hidden(void **state)
{
	const struct kvm_cpuid_entry2 e[] = {
		AMD,
		{.function = 1,   .ecx = 1u << 5   },
		{.function = 0xa, .eax = 0x07300404, .edx = 0x603},
		{.function = 0x80000001,               .ecx = 1u << 2 | 1u << 5          },
		{.function = 0x80000022,               .eax = 1},
	};

	(void)state;
	fill(e, 5);
	cpuid_patch(&cpu, 0, 1);
	assert_int_equal(leaf(1, 0)->ecx & 1u << 5, 0);
	assert_int_not_equal(leaf(1, 0)->ecx & 1u << 31, 0);
	assert_int_equal(leaf(0xa, 0)->eax, 0);
	assert_int_equal(leaf(0xa, 0)->edx, 0);
	assert_int_equal(leaf(0x80000001, 0)->ecx, 1u << 5);
	assert_int_equal(leaf(0x80000022, 0)->eax, 0);
}

/* With Intel 0x80000001 ECX bit 1 is reserved. */
static void amds_leaves_are_left_alone_on_intel(void **state)
{
	const struct kvm_cpuid_entry2 e[] = {
		INTEL,
		{.function = 0x80000001, .ecx = 4     },
		{.function = 0x80000008, .ecx = 0x1234}
        };

	(void)state;
	fill(e, 3);
	cpuid_patch(&cpu, 1, 4);
	assert_int_equal(leaf(0x80000001, 0)->ecx, 4);
	assert_int_equal(leaf(0x80000008, 0)->ecx, 0x1234);
}

static void no_processor_shares_a_cache(void **state)
{
	const struct kvm_cpuid_entry2 e[] = {
		INTEL,
		{.function = 4, .index = 0, .eax = 0xfc004121},
		{.function = 4, .index = 1, .eax = 0         },
	};

	(void)state;
	fill(e, 3);
	cpuid_patch(&cpu, 0, 4);
	assert_int_equal(leaf(4, 0)->eax >> 14 & 0xfff, 0);
	assert_int_equal(leaf(4, 0)->eax >> 26, 3);
	assert_int_equal(leaf(4, 0)->eax & 0x3fff, 0x121);
	assert_int_equal(leaf(4, 1)->eax, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_apic_id_is_the_processors_number),
		cmocka_unit_test(one_processor_has_no_hyper_threads),
		cmocka_unit_test(virtualization_and_counters_are_hidden),
		cmocka_unit_test(amds_leaves_are_left_alone_on_intel),
		cmocka_unit_test(no_processor_shares_a_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
