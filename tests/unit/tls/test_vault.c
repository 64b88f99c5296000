/* Patterns, values in their pages, sets of secrets. */
#include "lib/test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/num.h"
#include "tls/vault.h"

#include "base/banned.h"

/* Its runtime makes mlock() do nothing. */
#if defined(__SANITIZE_ADDRESS__)
#define LOCKS false
#else
#define LOCKS true
#endif

/* ---- patterns ---- */

static void a_pattern_matches_its_name_or_what_is_below(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool match;
	} cases[] = {
		{"api.test",   "api.test",      true },
		{"api.test",   "x.api.test",    false},
		{"api.test",   "xapi.test",     false},
		{"api.test",   "api.tes",       false},
		{"api.test",   "api.testx",     false},
		{"api.test",   "",              false},
		{"*.api.test", "api.test",      true },
		{"*.api.test", "x.api.test",    true },
		{"*.api.test", "y.x.api.test",  true },
		{"*.api.test", "xapi.test",     false},
		{"*.api.test", ".api.test",     true },
		{"*.api.test", "api.test.evil", false},
		{"*.api.test", "test",          false},
		{"*.api.test", "",              false},
		{"*.test",     "test",          true },
		{"*",          "anything",      true },
		{"*",          "",              true },
		{"*.",         "",              false},
		{"*.",         "a",             false},
		{"",           "",              false},
		{"",           "a",             false},
		{"a*",         "ab",            false},
		{"*a",         "ba",            false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (pattern_match(cases[i].pattern, cases[i].name) !=
		    cases[i].match)
			fail_msg("\"%s\" and \"%s\"", cases[i].pattern,
			         cases[i].name);
}

static void any_pattern_of_a_list_will_do(void **state)
{
	struct strv list cleanup_strv = {0};

	(void)state;
	assert_false(pattern_any(&list, "a.test"));
	assert_int_equal(strv_add(&list, "b.test"), 0);
	assert_int_equal(strv_add(&list, "*.a.test"), 0);
	assert_true(pattern_any(&list, "x.a.test"));
	assert_true(pattern_any(&list, "b.test"));
	assert_false(pattern_any(&list, "c.test"));
}

/* ---- values ---- */

/* VmFlags of the mapping that has @p. */
static void flags_of(const void *p, char *ret, size_t room)
{
	FILE *f cleanup_fclose = fopen("/proc/self/smaps", "r");
	unsigned long begin, end;
	char line[512];
	bool here = false;

	ret[0] = '\0';
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
			here = (uintptr_t)p >= begin && (uintptr_t)p < end;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			(void)snprintf(ret, room, "%s", line);
	}
}

static void a_value_is_locked_and_in_no_core_file(void **state)
{
	uint8_t *v = value_new(100);
	char flags[512];

	(void)state;
	assert_non_null(v);
	memset(v, 'v', 100);
	flags_of(v, flags, sizeof(flags));
	assert_true(!LOCKS || strstr(flags, " lo"));
	assert_non_null(strstr(flags, " dd"));
	assert_non_null(strstr(flags, " wf"));
	value_unref(v, 100);
}

/* Whether a process that does it dies of SIGSEGV. */
static bool is_deadly(uint8_t *at)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)signal(SIGSEGV, SIG_DFL);
		*(volatile uint8_t *)at = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void what_is_behind_a_value_cannot_be_reached(void **state)
{
	static const size_t sizes[] = {1,    7,    4080,  4088, 4091,
	                               4092, 4096, 65535, 65536};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint8_t *v = value_new(sizes[i]);
		size_t page = (size_t)sysconf(_SC_PAGESIZE);
		uint8_t *first;

		assert_non_null(v);
		memset(v, 'v', sizes[i]);
		assert_false(is_deadly(v + sizes[i] - 1));
		assert_true(is_deadly(v + sizes[i]));
		first = v - (uintptr_t)v % page;
		/* Its count may be in the page before. */
		assert_true(is_deadly(first - 1) ||
		            is_deadly(first - 1 - page));
		value_unref(v, sizes[i]);
	}
}

static void a_child_sees_no_value(void **state)
{
	uint8_t *v = value_new(6);
	int status;
	pid_t pid;

	(void)state;
	memcpy(v, "secret", 6);
	pid = fork();
	if (pid == 0)
		_exit(memcmp(v, "\0\0\0\0\0\0", 6) == 0 ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_memory_equal(v, "secret", 6);
	value_unref(v, 6);
}

static bool is_mapped(const void *p)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return msync((void *)((uintptr_t)p / page * page), page, MS_ASYNC) == 0;
}

static void the_last_user_of_a_value_takes_it_away(void **state)
{
	uint8_t *v = value_new(10);

	(void)state;
	assert_ptr_equal(value_ref(v, 10), v);
	value_unref(v, 10);
	assert_true(is_mapped(v));
	value_unref(v, 10);
	assert_false(is_mapped(v));
	value_unref(NULL, 0);
}

static void a_value_has_bounds(void **state)
{
	(void)state;
	assert_null(value_new(0));
	assert_null(value_new(TLS_VALUE_MAX + 1));
}

/* Where little may be locked, a value is still kept, with a line. */
static void a_value_that_cannot_be_locked_is_kept(void **state)
{
	int status, ends[2];
	char text[512] = {0};
	ssize_t n;
	pid_t pid;

	(void)state;
	if (!LOCKS)
		return; /* not under the sanitizers */
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		const struct rlimit none = {0, 0};
		uint8_t *a, *b;

		(void)dup2(ends[1], 2);
		(void)setrlimit(RLIMIT_MEMLOCK, &none);
		/* Root's right to lock goes by its user. */
		if (geteuid() == 0 && setuid(65534) < 0)
			_exit(3);
		a = value_new(5);
		b = value_new(5);
		if (!a || !b)
			_exit(1);
		memcpy(a, "value", 5);
		value_unref(a, 5);
		value_unref(b, 5);
		_exit(0);
	}
	(void)close(ends[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	n = read(ends[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	assert_non_null(strstr(text, "swapped"));
	assert_ptr_equal(strchr(text, '\n'), text + n - 1); /* one line */
	(void)close(ends[0]);
}

/* ---- sets ---- */

static int put(struct secrets *s, const char *name, const char *placeholder,
               const char *value, const char *host, const struct secrets *old)
{
	struct secret c = {.name = (char *)(uintptr_t)name,
	                   .placeholder = (char *)(uintptr_t)placeholder,
	                   .placeholder_len = strlen(placeholder),
	                   .value = (uint8_t *)(uintptr_t)value,
	                   .len = value ? strlen(value) : 0,
	                   .where = SECRET_HEADERS,
	                   .violation = SECRET_PASS,
	                   .mask = true};
	int r;

	assert_int_equal(strv_add(&c.hosts, host), 0);
	r = secrets_set(s, &c, old);
	strv_release(&c.hosts);
	return r;
}

static void assert_value(const struct secret *c, const char *value)
{
	assert_int_equal(c->len, strlen(value));
	assert_memory_equal(c->value, value, c->len);
}

static void a_set_has_copies_of_all(void **state)
{
	struct secrets *s = secrets_new();
	char placeholder[] = "MSB_one", value[] = "1111";

	(void)state;
	assert_int_equal(put(s, "ONE", placeholder, value, "a.test", NULL), 0);
	memset(placeholder, 'x', sizeof(placeholder) - 1);
	memset(value, 'x', sizeof(value) - 1);
	assert_int_equal(secrets_seal(s), 0);
	assert_int_equal(s->n, 1);
	assert_string_equal(s->v[0].placeholder, "MSB_one");
	assert_int_equal(s->v[0].placeholder_len, 7);
	assert_value(&s->v[0], "1111");
	assert_int_equal(s->v[0].where, SECRET_HEADERS);
	assert_int_equal(s->v[0].violation, SECRET_PASS);
	assert_true(s->v[0].mask);
	assert_non_null(s->placeholders);
	assert_ptr_equal(secrets_find(s, "ONE"), &s->v[0]);
	assert_null(secrets_find(s, "TWO"));
	assert_null(secrets_find(NULL, "ONE"));
	secrets_unref(s);
}

static void a_set_without_secrets_looks_for_nothing(void **state)
{
	struct secrets *s = secrets_new();

	(void)state;
	assert_int_equal(secrets_seal(s), 0);
	assert_null(s->placeholders);
	assert_true(secrets_for(s, "a.test") == 0);
	secrets_unref(s);
	secrets_unref(NULL);
}

static void a_rotation_shares_what_it_keeps_and_the_old_set_stays(void **state)
{
	struct secrets *old = secrets_new(), *now = secrets_new();
	uint8_t *kept, *gone;

	(void)state;
	assert_int_equal(put(old, "A", "MSB_aaaa", "AAAA", "a.test", NULL), 0);
	assert_int_equal(put(old, "B", "MSB_bbbb", "BBBB", "b.test", NULL), 0);
	assert_int_equal(secrets_seal(old), 0);
	assert_int_equal(put(now, "A", "MSB_aaaa", NULL, "x.test", old), 0);
	assert_int_equal(put(now, "B", "MSB_bbbb", "new", "b.test", old), 0);
	assert_int_equal(secrets_seal(now), 0);
	kept = old->v[0].value;
	gone = old->v[1].value;
	assert_ptr_equal(now->v[0].value, kept);
	assert_string_equal(now->v[0].hosts.v[0], "x.test");
	assert_value(&now->v[1], "new");
	assert_value(&old->v[1], "BBBB");

	assert_ptr_equal(secrets_ref(old), old); /* a request */
	secrets_unref(old);
	assert_value(&old->v[1], "BBBB");
	secrets_unref(old);
	assert_false(is_mapped(gone));
	assert_value(&now->v[0], "AAAA");
	secrets_unref(now);
	assert_false(is_mapped(kept));
}

static void a_secret_is_replaced_by_one_of_its_name(void **state)
{
	struct secrets *s = secrets_new();
	uint8_t *first;

	(void)state;
	assert_int_equal(put(s, "A", "MSB_aaaa", "old", "a.test", NULL), 0);
	first = s->v[0].value;
	assert_int_equal(put(s, "A", "MSB_cccc", "fresh", "b.test", NULL), 0);
	assert_int_equal(s->n, 1);
	assert_false(is_mapped(first) && s->v[0].value != first &&
	             memcmp(first, "old", 3) == 0);
	assert_value(&s->v[0], "fresh");
	assert_string_equal(s->v[0].placeholder, "MSB_cccc");
	/* Also by what itself had. */
	assert_int_equal(put(s, "A", "MSB_dddd", NULL, "b.test", s), 0);
	assert_value(&s->v[0], "fresh");
	secrets_unref(s);
}

static void a_new_secret_needs_a_value(void **state)
{
	struct secrets *s = secrets_new();

	(void)state;
	assert_int_equal(put(s, "A", "MSB_aaaa", NULL, "a.test", NULL),
	                 -ENOENT);
	assert_int_equal(put(s, "A", "MSB_aaaa", NULL, "a.test", s), -ENOENT);
	assert_int_equal(s->n, 0);
	secrets_unref(s);
}

static void a_set_holds_as_many_as_a_mask_has_bits(void **state)
{
	struct secrets *s = secrets_new();
	char name[16], placeholder[16];

	(void)state;
	for (int i = 0; i < TLS_SECRETS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "N%d", i);
		(void)snprintf(placeholder, sizeof(placeholder), "MSB_%04d", i);
		assert_int_equal(put(s, name, placeholder, "v",
		                     i % 2 ? "odd.test" : "even.test", NULL),
		                 0);
	}
	assert_int_equal(put(s, "X", "MSB_xxxx", "v", "a.test", NULL), -E2BIG);
	assert_int_equal(s->n, TLS_SECRETS_MAX);
	assert_int_equal(secrets_seal(s), 0);
	assert_true(secrets_for(s, "odd.test") == 0xaaaaaaaaaaaaaaaa);
	assert_true(secrets_for(s, "even.test") == 0x5555555555555555);
	secrets_unref(s);
}

static void nothing_is_allowed_for_who_has_no_name(void **state)
{
	struct secrets *s = secrets_new();

	(void)state;
	assert_int_equal(put(s, "A", "MSB_aaaa", "v", "*", NULL), 0);
	assert_int_equal(secrets_seal(s), 0);
	assert_true(secrets_for(s, "a.test") == 1);
	assert_true(secrets_for(s, "") == 0);
	secrets_unref(s);
}

static void equal_placeholders_are_refused(void **state)
{
	struct secrets *s = secrets_new();

	(void)state;
	assert_int_equal(put(s, "A", "MSB_same", "v", "*", NULL), 0);
	assert_int_equal(put(s, "B", "MSB_same", "w", "*", NULL), 0);
	assert_int_equal(secrets_seal(s), -EEXIST);
	secrets_unref(s);
}

static void values_become_stars_and_stars_end(void **state)
{
	struct secrets *s = secrets_new();
	char text[] = "a s3cret-one, twice s3cret-one, ******* and short";

	(void)state;
	assert_int_equal(put(s, "A", "MSB_aaaa", "s3cret-one", "*", NULL), 0);
	assert_int_equal(put(s, "B", "MSB_bbbb", "******", "*", NULL), 0);
	assert_int_equal(put(s, "C", "MSB_cccc", "short", "*", NULL), 0);
	secrets_blot(s, text);
	assert_string_equal(
		text, "a **********, twice **********, ******* and short");
	secrets_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pattern_matches_its_name_or_what_is_below),
		cmocka_unit_test(any_pattern_of_a_list_will_do),
		cmocka_unit_test(a_value_is_locked_and_in_no_core_file),
		cmocka_unit_test(what_is_behind_a_value_cannot_be_reached),
		cmocka_unit_test(a_child_sees_no_value),
		cmocka_unit_test(the_last_user_of_a_value_takes_it_away),
		cmocka_unit_test(a_value_has_bounds),
		cmocka_unit_test(a_value_that_cannot_be_locked_is_kept),
		cmocka_unit_test(a_set_has_copies_of_all),
		cmocka_unit_test(a_set_without_secrets_looks_for_nothing),
		cmocka_unit_test(
			a_rotation_shares_what_it_keeps_and_the_old_set_stays),
		cmocka_unit_test(a_secret_is_replaced_by_one_of_its_name),
		cmocka_unit_test(a_new_secret_needs_a_value),
		cmocka_unit_test(a_set_holds_as_many_as_a_mask_has_bits),
		cmocka_unit_test(nothing_is_allowed_for_who_has_no_name),
		cmocka_unit_test(equal_placeholders_are_refused),
		cmocka_unit_test(values_become_stars_and_stars_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
