#include "lib/test.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "net/dns_cache.h"

static struct dns_cache *c;
static struct dns_query q;
static uint8_t b[DNS_CACHE_ENTRY_MAX + 512];
static struct dns_msg m;
static size_t age_len;
static uint32_t age;

static int setup(void **state)
{
	(void)state;
	q = (struct dns_query){.type = DNS_A,
	                       .class = DNS_CLASS_IN,
	                       .flags = DNS_RD,
	                       .size = DNS_UDP_MIN};
	c = dns_cache_new();
	return c ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	dns_cache_free(c);
	return 0;
}

static void ask(const char *name)
{
	assert_int_equal(dns_name_from_text(name, &q.name), 0);
}

/* An answer to @q with one TXT record of @len bytes of @fill. */
static void answer(uint32_t ttl, uint8_t fill, size_t len)
{
	static uint8_t data[DNS_CACHE_ENTRY_MAX + 512];
	struct dns_out o;

	memset(data, fill, len);
	dns_out_begin(&o, b, sizeof(b), &q, 0);
	dns_out_record(&o, NULL, 16, ttl, data, len);
	assert_false(o.full);
	assert_int_equal(dns_msg_parse(b, o.len, &m), 0);
}

static void put(const char *name, uint32_t ttl, uint8_t fill, uint64_t now)
{
	ask(name);
	answer(ttl, fill, 16);
	dns_cache_put(c, &q, &m, now);
}

/* What the record of the answer to @name is filled with; -1: none. */
static int get(const char *name, uint64_t now)
{
	const uint8_t *p;

	ask(name);
	p = dns_cache_get(c, &q, now, &age_len, &age);
	return p ? p[age_len - 1] : -1;
}

static void an_answer_is_found_in_any_case(void **state)
{
	(void)state;
	assert_int_equal(get("a.example", 0), -1);
	put("a.Example", 60, 7, 0);
	assert_int_equal(get("A.exaMPLE", 0), 7);
	assert_int_equal(get("b.example", 0), -1);
	assert_int_equal(get("a.example.example", 0), -1);
}

static void an_answer_lives_as_long_as_its_ttl(void **state)
{
	(void)state;
	put("a.example", 60, 7, NS_PER_S);
	assert_int_equal(get("a.example", NS_PER_S), 7);
	assert_int_equal(age, 0);
	assert_int_equal(get("a.example", 61 * NS_PER_S - 1), 7);
	assert_int_equal(age, 59);
	assert_int_equal(get("a.example", 61 * NS_PER_S), -1);
	assert_int_equal(dns_cache_count(c, &age_len), 0);
	assert_int_equal(age_len, 0);
}

static void ttl_0_is_not_kept(void **state)
{
	(void)state;
	put("a.example", 0, 7, 0);
	assert_int_equal(get("a.example", 0), -1);
}

static void the_newer_answer_replaces_the_older(void **state)
{
	(void)state;
	put("a.example", 60, 7, 0);
	put("a.example", 60, 8, 0);
	assert_int_equal(get("a.example", 0), 8);
	assert_int_equal(dns_cache_count(c, &age_len), 1);
}

static void what_the_asker_takes_is_part_of_the_question(void **state)
{
	(void)state;
	put("a.example", 60, 7, 0);
	q.type = DNS_AAAA;
	assert_int_equal(get("a.example", 0), -1);
	q.type = DNS_A;
	q.opt = true;
	assert_int_equal(get("a.example", 0), -1);
	q.dnssec_ok = true;
	assert_int_equal(get("a.example", 0), -1);
	q.opt = q.dnssec_ok = false;
	q.flags |= DNS_CD;
	assert_int_equal(get("a.example", 0), -1);
	q.flags = DNS_RD | DNS_AD;
	assert_int_equal(get("a.example", 0), -1);
	q.flags = DNS_RD;
	assert_int_equal(get("a.example", 0), 7);
}

static void the_one_unused_for_longest_makes_room(void **state)
{
	char name[32];
	size_t bytes;

	(void)state;
	for (unsigned i = 0; i < DNS_CACHE_MAX; i++) {
		(void)snprintf(name, sizeof(name), "n%u.example", i);
		put(name, 600, (uint8_t)i, 0);
	}
	assert_int_equal(dns_cache_count(c, &bytes), DNS_CACHE_MAX);
	assert_int_equal(get("n0.example", 0), 0);
	put("more.example", 600, 1, 0);
	put("yet.more.example", 600, 1, 0);
	assert_int_equal(dns_cache_count(c, &bytes), DNS_CACHE_MAX);
	assert_int_equal(get("n0.example", 0), 0);
	assert_int_equal(get("n1.example", 0), -1);
	assert_int_equal(get("n2.example", 0), -1);
	assert_int_equal(get("n3.example", 0), 3);
}

static void its_bytes_are_bounded(void **state)
{
	char name[32];
	size_t bytes;
	unsigned n;

	(void)state;
	for (unsigned i = 0; i < DNS_CACHE_MAX; i++) {
		(void)snprintf(name, sizeof(name), "n%u.example", i);
		ask(name);
		answer(600, 1, DNS_CACHE_ENTRY_MAX - 200);
		dns_cache_put(c, &q, &m, 0);
		n = dns_cache_count(c, &bytes);
		assert_true(bytes <= DNS_CACHE_BYTES);
	}
	assert_true(n > 100 && n < DNS_CACHE_MAX);
	assert_int_equal(get("n1023.example", 0), 1);
}

static void a_large_answer_is_not_kept(void **state)
{
	(void)state;
	ask("a.example");
	answer(600, 1, DNS_CACHE_ENTRY_MAX);
	dns_cache_put(c, &q, &m, 0);
	assert_int_equal(get("a.example", 0), -1);
}

static void a_cleared_cache_is_empty(void **state)
{
	(void)state;
	put("a.example", 60, 7, 0);
	put("b.example", 60, 7, 0);
	dns_cache_clear(c);
	assert_int_equal(get("a.example", 0), -1);
	assert_int_equal(dns_cache_count(c, &age_len), 0);
	put("b.example", 60, 9, 0);
	assert_int_equal(get("b.example", 0), 9);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_answer_is_found_in_any_case),
		T(an_answer_lives_as_long_as_its_ttl),
		T(ttl_0_is_not_kept),
		T(the_newer_answer_replaces_the_older),
		T(what_the_asker_takes_is_part_of_the_question),
		T(the_one_unused_for_longest_makes_room),
		T(its_bytes_are_bounded),
		T(a_large_answer_is_not_kept),
		T(a_cleared_cache_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
