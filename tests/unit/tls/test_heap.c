/* This program has msb-tls' free(): what is freed is gone. */
#include "lib/test.h"

#include <string.h>

#include "tls/heap.c"

#if defined(NO_HEAP)
#define WIPES false
#else
#define WIPES true
#endif

static const char mark[] = "a value that nobody must find";

/* The compiler must not know that it looks at what is free. */
static bool is_found(uintptr_t at, size_t len)
{
	const volatile char *p;

	__asm__ volatile("" : "=r"(p) : "0"(at));
	for (size_t i = 0; i + sizeof(mark) <= len; i++) {
		size_t k = 0;

		while (k < sizeof(mark) && p[i + k] == mark[k])
			k++;
		if (k == sizeof(mark))
			return true;
	}
	return false;
}

static char *filled(size_t len)
{
	char *p = malloc(len);

	assert_non_null(p);
	for (size_t i = 0; i + sizeof(mark) <= len; i += sizeof(mark))
		memcpy(p + i, mark, sizeof(mark));
	return p;
}

/* Small enough that the heap keeps its pages. */
static const size_t sizes[] = {32, 100, 600, 1000, 1032, 1100, 5000, 30000};

static void what_is_freed_is_wiped(void **state)
{
	(void)state;
	if (!WIPES)
		return; /* not under the sanitizers */
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *p = filled(sizes[i]), *fence = malloc(64);
		uintptr_t at = (uintptr_t)p;

		assert_true(is_found(at, sizes[i]));
		free(p);
		assert_false(is_found(at, sizes[i]));
		free(fence);
	}
}

static void a_block_that_moves_leaves_nothing(void **state)
{
	(void)state;
	if (!WIPES)
		return; /* not under the sanitizers */
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *p = filled(sizes[i]), *fence = malloc(64), *q;
		uintptr_t at = (uintptr_t)p;

		q = realloc(p, sizes[i] * 4);
		assert_non_null(q);
		assert_memory_equal(q, mark, sizeof(mark));
		if ((uintptr_t)q != at)
			assert_false(is_found(at, sizes[i]));
		free(q);
		free(fence);
	}
}

static void what_a_block_gives_back_is_wiped(void **state)
{
	char *p, *q;
	uintptr_t at;

	(void)state;
	if (!WIPES)
		return; /* not under the sanitizers */
	p = filled(1000);
	at = (uintptr_t)p;
	q = realloc(p, 600);
	assert_ptr_equal(q, (char *)at);
	assert_memory_equal(q, mark, sizeof(mark));
	assert_false(is_found(at + 600, 400));
	q = realloc(q, 30); /* by much: it moves */
	assert_memory_equal(q, mark, 30);
	assert_true((uintptr_t)q == at || !is_found(at, 1000));
	assert_null(realloc(q, 0));
}

static void it_is_an_allocator_all_the_same(void **state)
{
	volatile size_t huge = SIZE_MAX / 2;
	uint32_t seed = 1;
	struct {
		uint8_t *p;
		size_t len;
	} slot[64] = {{0}};

	(void)state;
	for (int i = 0; i < 20000; i++) {
		unsigned n = (seed = seed * 1103515245 + 12345) >> 26;
		size_t len = (seed >> 8) % 3000 + 1;
		size_t same = MIN(slot[n].len, len);
		uint8_t *p = realloc(slot[n].p, len);

		assert_non_null(p);
		for (size_t k = 0; k < same; k++)
			assert_int_equal(p[k], n);
		memset(p, (int)n, len);
		slot[n].p = p;
		slot[n].len = len;
	}
	for (size_t i = 0; i < ARRAY_SIZE(slot); i++)
		free(slot[i].p);
	if (WIPES) /* ASan ends the program there */
		assert_null(reallocarray(NULL, huge, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_freed_is_wiped),
		cmocka_unit_test(a_block_that_moves_leaves_nothing),
		cmocka_unit_test(what_a_block_gives_back_is_wiped),
		cmocka_unit_test(it_is_an_allocator_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
