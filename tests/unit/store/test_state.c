#include "store/state_fixture.h"

#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/num.h"

#define LABELS(...) ((char *const[]){__VA_ARGS__, NULL})

/* Names that match @labels, joined by spaces. */
static void assert_list(struct fixture *f, char *const *labels,
                        const char *want)
{
	struct strv filter cleanup_strv = {0};
	struct buf got cleanup_buf = BUF_INIT;
	struct state_sandbox *list = NULL;
	size_t n = 0;

	assert_int_equal(strv_add_all(&filter, labels), 0);
	if (state_list(f->st, &filter, &list, &n, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(
			buf_printf(&got, "%s%s", i ? " " : "", list[i].name),
			0);
	state_list_free(list, n);
	assert_string_equal(buf_str(&got), want);
}

static struct state_sandbox get(struct fixture *f, const char *name)
{
	struct state_sandbox b = {0};

	if (state_get(f->st, name, &b, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	return b;
}

static void what_was_added_is_read_back(void **state)
{
	struct fixture *f = *state;
	struct state_sandbox in cleanup_state_sandbox = {
		.id = "00112233445566ff",
		.name = strdup("web"),
		.image = strdup("docker.io/library/nginx:1"),
		.image_id = strdup("sha256:abcd"),
		.config = strdup("{\"memory\":512}"),
		.ephemeral = true,
		.detached = true,
	};
	struct state_sandbox out cleanup_state_sandbox = {0};

	assert_int_equal(strv_add_all(&in.labels, LABELS("z=1", "a=2=3", "m=")),
	                 0);
	assert_int_equal(state_add(f->st, &in, &f->err), 0);
	assert_true(in.created_ms > 1600000000000);
	out = get(f, "web");
	assert_string_equal(out.id, "00112233445566ff");
	assert_string_equal(out.name, in.name);
	assert_string_equal(out.image, in.image);
	assert_string_equal(out.image_id, in.image_id);
	assert_string_equal(out.config, in.config);
	assert_true(out.ephemeral && out.detached);
	assert_int_equal(out.created_ms, in.created_ms);
	assert_int_equal(out.labels.n, 3);
	assert_string_equal(out.labels.v[0], "a=2=3");
	assert_string_equal(out.labels.v[1], "m=");
	assert_string_equal(out.labels.v[2], "z=1");
	assert_string_equal(out.engine, "");
	assert_string_equal(out.accel, "");
	assert_string_equal(out.end_reason, "");
	assert_string_equal(out.end_message, "");
	assert_int_equal(out.exit_code, -1);
	assert_true(!out.started_ms && !out.ready_ms && !out.ended_ms);
	assert_int_equal(out.pid, 0);
}

static void it_outlives_the_one_who_wrote(void **state)
{
	struct fixture *f = *state;

	add(f, "one", NULL, NULL);
	state_close(f->st);
	f->st = NULL;
	open_state(f);
	assert_list(f, NULL, "one");
}

static void one_is_found_by_its_id(void **state)
{
	struct fixture *f = *state;
	struct state_sandbox b cleanup_state_sandbox = {0};
	char first[STATE_ID_LEN + 1];

	add(f, "first", NULL, first);
	b = get(f, first);
	assert_string_equal(b.name, "first");
}

static void a_taken_name_is_refused(void **state)
{
	struct fixture *f = *state;
	char id[STATE_ID_LEN + 1];

	add(f, "web", LABELS("a=1"), NULL);
	add(f, "other", NULL, id);
	assert_int_equal(try_add(f->st, "web", LABELS("b=1"), NULL, &f->err),
	                 -EEXIST);
	assert_non_null(strstr(f->err.msg, "web"));
	assert_int_equal(f->err.code, -EEXIST);
	assert_int_equal(state_rename(f->st, id, "web", &f->err), -EEXIST);
	assert_list(f, NULL, "other web");
	assert_list(f, LABELS("b"), "");
}

static void a_refused_one_has_no_date(void **state)
{
	struct fixture *f = *state;
	struct state_sandbox b cleanup_state_sandbox = {
		.id = "0000000000000000",
		.name = strdup("web"),
		.image = strdup(""),
		.image_id = strdup(""),
		.config = strdup(""),
	};

	add(f, "web", NULL, NULL);
	assert_int_equal(state_add(f->st, &b, NULL), -EEXIST);
	assert_int_equal(b.created_ms, 0);
}

/* Who removes or modifies one means its id by that. */
static void nobody_is_called_as_anothers_id(void **state)
{
	struct fixture *f = *state;
	struct state_sandbox b cleanup_state_sandbox = {
		.image = strdup(""),
		.image_id = strdup(""),
		.config = strdup(""),
	};
	char id[STATE_ID_LEN + 1], mine[STATE_ID_LEN + 1];

	add(f, "web", NULL, id);
	add(f, "mine", NULL, mine);
	assert_int_equal(state_new_id(b.id, &f->err), 0);
	b.name = strdup(id);
	assert_int_equal(state_add(f->st, &b, &f->err), -EEXIST);
	assert_non_null(strstr(f->err.msg, "id of another"));
	assert_int_equal(state_rename(f->st, mine, id, &f->err), -EEXIST);
	assert_list(f, NULL, "mine web");
}

static void ids_differ_and_malformed_ones_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"0123456789abcde",
		"0123456789ABCDEF",
		"0123456789abcdeg",
		"../../../../etc1",
	};
	struct fixture *f = *state;
	struct state_sandbox b cleanup_state_sandbox = {
		.name = strdup("web"),
		.image = strdup(""),
		.image_id = strdup(""),
		.config = strdup(""),
	};
	char id[STATE_ID_LEN + 1], other[STATE_ID_LEN + 1];

	assert_int_equal(state_new_id(id, &f->err), 0);
	assert_int_equal(state_new_id(other, &f->err), 0);
	assert_string_not_equal(id, other);
	assert_int_equal(strspn(id, "0123456789abcdef"), STATE_ID_LEN);
	assert_int_equal(strlen(id), STATE_ID_LEN);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		(void)snprintf(b.id, sizeof(b.id), "%s", bad[i]);
		assert_int_equal(state_add(f->st, &b, &f->err), -EINVAL);
	}
	memcpy(b.id, id, sizeof(id));
	assert_int_equal(state_add(f->st, &b, &f->err), 0);
	b.name[0] = 'x';
	assert_int_equal(state_add(f->st, &b, &f->err), -EEXIST);
	assert_non_null(strstr(f->err.msg, "id"));
	assert_list(f, NULL, "web");
}

static void who_is_not_there_is_not_found(void **state)
{
	struct fixture *f = *state;
	struct state_sandbox b = {0};
	const char *id = "0123456789abcdef";

	assert_int_equal(state_get(f->st, "nobody", &b, &f->err), -ENOENT);
	assert_non_null(strstr(f->err.msg, "nobody"));
	assert_null(b.name);
	assert_int_equal(state_get(f->st, "", &b, NULL), -ENOENT);
	assert_int_equal(state_remove(f->st, id, &f->err), -ENOENT);
	assert_int_equal(state_rename(f->st, id, "x", &f->err), -ENOENT);
	assert_int_equal(state_set_started(f->st, id, 1, &f->err), -ENOENT);
	assert_int_equal(state_set_ready(f->st, id, "e", "a", &f->err),
	                 -ENOENT);
	assert_int_equal(state_set_config(f->st, id, "{}", NULL, &f->err),
	                 -ENOENT);
	assert_int_equal(state_set_ended(f->st, id, 0, 1, "x", "", 0, &f->err),
	                 0);
}

static void labels_choose(void **state)
{
	struct fixture *f = *state;

	add(f, "a", LABELS("env=prod", "team=x"), NULL);
	add(f, "b", LABELS("env=test", "team=x"), NULL);
	add(f, "c", LABELS("env=prod"), NULL);
	add(f, "d", NULL, NULL);
	assert_list(f, NULL, "a b c d");
	assert_list(f, LABELS("env"), "a b c");
	assert_list(f, LABELS("env=prod"), "a c");
	assert_list(f, LABELS("env=prod", "team"), "a");
	assert_list(f, LABELS("env=prod", "env=test"), "");
	assert_list(f, LABELS("env="), "");
	assert_list(f, LABELS("ENV"), "");
	assert_list(f, LABELS("en_"), "");
	assert_list(f, LABELS("env=%"), "");
}

static void the_last_of_equal_keys_wins(void **state)
{
	struct fixture *f = *state;
	struct state_sandbox b cleanup_state_sandbox = {0};

	add(f, "a", LABELS("k=1", "k=2"), NULL);
	b = get(f, "a");
	assert_int_equal(b.labels.n, 1);
	assert_string_equal(b.labels.v[0], "k=2");
}

static void malformed_labels_are_refused(void **state)
{
	struct fixture *f = *state;
	struct strv filter cleanup_strv = {0};
	struct state_sandbox *list = NULL;
	size_t n = 77;

	assert_int_equal(try_add(f->st, "a", LABELS("=x"), NULL, &f->err),
	                 -EINVAL);
	assert_int_equal(try_add(f->st, "a", LABELS("key"), NULL, &f->err),
	                 -EINVAL);
	assert_int_equal(try_add(f->st, "a", LABELS(""), NULL, &f->err),
	                 -EINVAL);
	assert_int_equal(strv_add(&filter, "=x"), 0);
	assert_int_equal(state_list(f->st, &filter, &list, &n, &f->err),
	                 -EINVAL);
	assert_true(n == 77 && !list);
	assert_list(f, NULL, "");
}

static void a_start_forgets_the_last_end(void **state)
{
	struct fixture *f = *state;
	struct state_sandbox b cleanup_state_sandbox = {0};
	char id[STATE_ID_LEN + 1];
	int64_t first, ready;

	add(f, "a", NULL, id);
	assert_int_equal(state_set_started(f->st, id, 4711, &f->err), 0);
	b = get(f, "a");
	first = b.started_ms;
	assert_true(first >= b.created_ms && b.ready_ms == 0);
	assert_int_equal(b.pid, 4711);
	assert_int_equal(state_set_ready(f->st, id, "kvm", "kvm", &f->err), 0);
	state_sandbox_release(&b);
	b = get(f, "a");
	ready = b.ready_ms;
	(void)usleep(5000); /* who comes later is told, too, and tells us */
	assert_int_equal(state_set_ready(f->st, id, "kvm", "kvm", &f->err), 0);
	assert_int_equal(state_set_ended(f->st, id, first, first + 5, "killed",
	                                 "by signal 9", 137, &f->err),
	                 1);
	state_sandbox_release(&b);
	b = get(f, "a");
	assert_true(ready >= first && b.ready_ms == ready);
	assert_true(b.ended_ms == first + 5);
	assert_string_equal(b.engine, "kvm");
	assert_string_equal(b.accel, "kvm");
	assert_string_equal(b.end_reason, "killed");
	assert_string_equal(b.end_message, "by signal 9");
	assert_int_equal(b.exit_code, 137);
	assert_int_equal(state_set_started(f->st, id, 4712, &f->err), 0);
	state_sandbox_release(&b);
	b = get(f, "a");
	assert_true(b.started_ms > first);
	assert_true(!b.ready_ms && !b.ended_ms);
	assert_int_equal(b.pid, 4712);
	assert_int_equal(b.exit_code, -1);
	assert_string_equal(b.engine, "");
	assert_string_equal(b.end_reason, "");
	assert_string_equal(b.end_message, "");
}

static void detached_lasts_until_the_next_start(void **state)
{
	struct fixture *f = *state;
	char id[STATE_ID_LEN + 1];

	add(f, "a", NULL, id);
	assert_int_equal(state_set_started(f->st, id, 1, &f->err), 0);
	for (int i = 0; i < 3; i++) {
		struct state_sandbox b cleanup_state_sandbox = get(f, "a");

		assert_int_equal(b.detached, i == 1);
		assert_int_equal(i ? state_set_started(f->st, id, 1, &f->err)
		                   : state_set_detached(f->st, id, &f->err),
		                 0);
	}
	assert_int_equal(state_set_detached(f->st, "0123456789abcdef", &f->err),
	                 -ENOENT);
}

/* Names that state_unended() gives, joined by spaces. */
static void assert_unended(struct fixture *f, const char *want)
{
	struct buf got cleanup_buf = BUF_INIT;
	struct state_sandbox *list = NULL;
	size_t n = 0;

	if (state_unended(f->st, &list, &n, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(
			buf_printf(&got, "%s%s", i ? " " : "", list[i].name),
			0);
	if (n)
		assert_int_equal(list[0].labels.n, 1);
	state_list_free(list, n);
	assert_string_equal(buf_str(&got), want);
}

static void what_may_have_died_is_listed(void **state)
{
	struct fixture *f = *state;
	char id[STATE_ID_LEN + 1];
	struct state_sandbox b cleanup_state_sandbox = {
		.id = "0123456789abcdef",
		.name = strdup("brief"),
		.image = strdup(""),
		.image_id = strdup(""),
		.config = strdup(""),
		.ephemeral = true,
	};
	struct state_sandbox seen cleanup_state_sandbox = {0};

	assert_unended(f, "");
	assert_int_equal(strv_add(&b.labels, "k=v"), 0);
	add(f, "kept", LABELS("k=v"), id);
	assert_unended(f, "");
	assert_int_equal(state_add(f->st, &b, &f->err), 0);
	assert_unended(f, "brief");
	assert_int_equal(state_set_started(f->st, id, 1, &f->err), 0);
	assert_int_equal(state_set_started(f->st, b.id, 1, &f->err), 0);
	assert_unended(f, "brief kept");
	seen = get(f, "kept");
	assert_int_equal(state_set_ended(f->st, id, seen.started_ms, 9, "x", "",
	                                 0, &f->err),
	                 1);
	assert_unended(f, "brief");
	state_sandbox_release(&seen);
	seen = get(f, "brief");
	assert_int_equal(state_set_ended(f->st, b.id, seen.started_ms, 9, "x",
	                                 "", 0, &f->err),
	                 1);
	assert_unended(f, "brief");
	assert_int_equal(state_remove(f->st, b.id, &f->err), 0);
	assert_unended(f, "");
}

static void only_the_first_writes_the_end(void **state)
{
	struct fixture *f = *state;
	struct state_sandbox b cleanup_state_sandbox = {0};
	char id[STATE_ID_LEN + 1];
	int64_t first;

	add(f, "a", NULL, id);
	assert_int_equal(state_set_started(f->st, id, 1, &f->err), 0);
	b = get(f, "a");
	first = b.started_ms;
	state_sandbox_release(&b);
	assert_int_equal(state_set_ended(f->st, id, first, 0, "x", "", 0, NULL),
	                 -EINVAL);
	assert_int_equal(
		state_set_ended(f->st, id, first, 9, "one", NULL, 0, NULL), 1);
	assert_int_equal(
		state_set_ended(f->st, id, first, 9, "two", NULL, 1, NULL), 0);
	assert_int_equal(state_set_started(f->st, id, 1, &f->err), 0);
	assert_int_equal(
		state_set_ended(f->st, id, first, 9, "old", NULL, 1, NULL), 0);
	b = get(f, "a");
	assert_int_equal(b.ended_ms, 0);
	assert_string_equal(b.end_reason, "");
}

static void two_starts_in_one_ms_differ(void **state)
{
	struct fixture *f = *state;
	char id[STATE_ID_LEN + 1];
	int64_t last = 0;

	add(f, "a", NULL, id);
	for (int i = 0; i < 50; i++) {
		struct state_sandbox b cleanup_state_sandbox = {0};

		assert_int_equal(state_set_started(f->st, id, 1, NULL), 0);
		b = get(f, "a");
		assert_true(b.started_ms > last);
		last = b.started_ms;
	}
}

static void config_and_labels_are_replaced(void **state)
{
	struct fixture *f = *state;
	struct strv labels cleanup_strv = {0};
	struct state_sandbox b cleanup_state_sandbox = {0};
	char id[STATE_ID_LEN + 1];

	add(f, "a", LABELS("x=1", "y=1"), id);
	assert_int_equal(state_set_config(f->st, id, "[1]", NULL, NULL), 0);
	b = get(f, "a");
	assert_string_equal(b.config, "[1]");
	assert_int_equal(b.labels.n, 2);
	state_sandbox_release(&b);
	assert_int_equal(strv_add(&labels, "y=2"), 0);
	assert_int_equal(state_set_config(f->st, id, "[2]", &labels, NULL), 0);
	b = get(f, "a");
	assert_string_equal(b.config, "[2]");
	assert_int_equal(b.labels.n, 1);
	assert_string_equal(b.labels.v[0], "y=2");
	assert_int_equal(strv_add(&labels, "bad"), 0);
	assert_int_equal(state_set_config(f->st, id, "[3]", &labels, NULL),
	                 -EINVAL);
	assert_int_equal(state_set_config(f->st, id, NULL, NULL, NULL),
	                 -EINVAL);
}

static void a_new_name_replaces_the_old(void **state)
{
	struct fixture *f = *state;
	struct state_sandbox b = {0};
	char id[STATE_ID_LEN + 1];

	add(f, "old", NULL, id);
	assert_int_equal(state_rename(f->st, id, "new", NULL), 0);
	assert_int_equal(state_rename(f->st, id, "new", NULL), 0);
	assert_int_equal(state_rename(f->st, id, "", NULL), -EINVAL);
	assert_list(f, NULL, "new");
	assert_int_equal(state_get(f->st, "old", &b, NULL), -ENOENT);
	add(f, "old", NULL, NULL);
	assert_list(f, NULL, "new old");
}

static void removing_takes_the_labels_along(void **state)
{
	struct fixture *f = *state;
	char id[STATE_ID_LEN + 1];

	add(f, "a", LABELS("x=1"), id);
	assert_int_equal(state_remove(f->st, id, &f->err), 0);
	assert_int_equal(state_remove(f->st, id, &f->err), -ENOENT);
	assert_list(f, NULL, "");
	add(f, "a", NULL, NULL);
	assert_list(f, LABELS("x"), "");
}

static const char *const odd_texts[] = {
	"'; DROP TABLE sandboxes; --",
	"\" OR 1=1 --",
	"a') ON CONFLICT DO NOTHING; --",
	"?1",
	":name",
	"%s%n%99999d",
	"*",
	"_",
	"back\\slash",
	"line\nbreak\ttab\r",
	"\x1b[31mred",
	"Käse 日本語 🦀 \u202e rtl",
	"\xff\xfe not utf-8 \xc0\x80",
	" ",
	"NULL",
	"0",
	"1e400",
	"file:x?mode=memory",
};

static void odd_texts_stay_as_they_are(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(odd_texts); i++) {
		struct state_sandbox b cleanup_state_sandbox = {0};
		char label[256], id[STATE_ID_LEN + 1];

		(void)snprintf(label, sizeof(label), "%s=%s", odd_texts[i],
		               odd_texts[i]);
		add(f, odd_texts[i], LABELS(label), id);
		assert_int_equal(
			state_set_config(f->st, id, odd_texts[i], NULL, NULL),
			0);
		assert_int_equal(state_set_ready(f->st, id, odd_texts[i],
		                                 odd_texts[i], NULL),
		                 0);
		b = get(f, odd_texts[i]);
		assert_string_equal(b.name, odd_texts[i]);
		assert_string_equal(b.config, odd_texts[i]);
		assert_string_equal(b.engine, odd_texts[i]);
		assert_string_equal(b.labels.v[0], label);
	}
	assert_int_equal(count_all(f), ARRAY_SIZE(odd_texts));
}

/* A label's KEY ends at its first "=", so those with one are left out. */
static void odd_texts_as_filters_find_one_each(void **state)
{
	struct fixture *f = *state;
	char label[256];

	for (size_t i = 0; i < ARRAY_SIZE(odd_texts); i++) {
		(void)snprintf(label, sizeof(label), "%s=%s", odd_texts[i],
		               odd_texts[i]);
		add(f, odd_texts[i], LABELS(label), NULL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(odd_texts); i++) {
		if (strchr(odd_texts[i], '='))
			continue;
		(void)snprintf(label, sizeof(label), "%s=%s", odd_texts[i],
		               odd_texts[i]);
		assert_list(f, LABELS(label), odd_texts[i]);
		assert_list(f, LABELS((char *)(uintptr_t)odd_texts[i]),
		            odd_texts[i]);
	}
}

static void sql_in_an_id_finds_nothing(void **state)
{
	struct fixture *f = *state;
	struct state_sandbox b = {0};

	add(f, "a", NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(odd_texts); i++) {
		const char *t = odd_texts[i];

		assert_int_equal(state_get(f->st, t, &b, NULL), -ENOENT);
		assert_int_equal(state_remove(f->st, t, NULL), -ENOENT);
		assert_int_equal(state_rename(f->st, t, "b", NULL), -ENOENT);
		assert_int_equal(state_set_started(f->st, t, 1, NULL), -ENOENT);
	}
	assert_list(f, NULL, "a");
}

static char *long_text(size_t len)
{
	char *text = malloc(len + 1);

	assert_non_null(text);
	memset(text, 'x', len);
	text[len] = '\0';
	return text;
}

static void sizes_have_bounds(void **state)
{
	struct fixture *f = *state;
	struct state_sandbox b cleanup_state_sandbox = {0};
	char *config cleanup_free = long_text(MIB);
	char *over cleanup_free = long_text(MIB + 1);
	char *name cleanup_free = long_text(64 * KIB + 1);
	char id[STATE_ID_LEN + 1];

	add(f, "a", NULL, id);
	assert_int_equal(state_set_config(f->st, id, config, NULL, &f->err), 0);
	b = get(f, "a");
	assert_string_equal(b.config, config);
	assert_int_equal(state_set_config(f->st, id, over, NULL, &f->err),
	                 -E2BIG);
	assert_int_equal(try_add(f->st, name, NULL, NULL, &f->err), -E2BIG);
	assert_int_equal(state_rename(f->st, id, name, &f->err), -E2BIG);
	assert_int_equal(
		state_set_ended(f->st, id, 0, 1, "x", name, 0, &f->err),
		-E2BIG);
	assert_list(f, NULL, "a");
}

static void what_must_be_there_is_asked_for(void **state)
{
	struct fixture *f = *state;
	struct state_sandbox b = {0};

	assert_int_equal(state_add(f->st, &b, &f->err), -EINVAL);
	assert_int_equal(try_add(f->st, "", NULL, NULL, &f->err), -EINVAL);
}

static void count_labels(struct fixture *f, size_t n, int want)
{
	struct strv labels cleanup_strv = {0};

	for (size_t i = 0; i < n; i++)
		assert_int_equal(strv_addf(&labels, "k%zu=v", i), 0);
	assert_int_equal(try_add(f->st, "labels", labels.v, NULL, &f->err),
	                 want);
}

static void labels_have_a_bound(void **state)
{
	struct fixture *f = *state;
	struct strv filter cleanup_strv = {0};
	struct state_sandbox *list = NULL;
	size_t n = 0;

	count_labels(f, 1025, -E2BIG);
	count_labels(f, 1024, 0);
	for (int i = 0; i < 64; i++)
		assert_int_equal(strv_addf(&filter, "k%d=v", i), 0);
	assert_int_equal(state_list(f->st, &filter, &list, &n, &f->err), 0);
	assert_int_equal(n, 1);
	state_list_free(list, n);
	assert_int_equal(strv_add(&filter, "k65"), 0);
	assert_int_equal(state_list(f->st, &filter, &list, &n, &f->err),
	                 -E2BIG);
}

/* What `msb ls` pays: open, read all, close. */
static void a_thousand_are_listed_at_once(void **state)
{
	struct fixture *f = *state;
	uint64_t start, opened, listed, closed;
	char name[32];

	start = clock_now_ns();
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "box-%04d", i);
		add(f, name, LABELS("env=prod", "team=x"), NULL);
	}
	print_message("# add: %.0f us each, durable\n",
	              (double)(clock_now_ns() - start) / 1e6);
	state_close(f->st);
	f->st = NULL;
	start = clock_now_ns();
	open_state(f);
	opened = clock_now_ns();
	assert_int_equal(count_all(f), 1000);
	listed = clock_now_ns();
	state_close(f->st);
	f->st = NULL;
	closed = clock_now_ns();
	print_message("# 1000 sandboxes: open %.2f ms, list %.2f ms, close "
	              "%.2f ms\n",
	              (double)(opened - start) / 1e6,
	              (double)(listed - opened) / 1e6,
	              (double)(closed - listed) / 1e6);
	assert_true(closed - start < 500 * NS_PER_MS);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up_open, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_was_added_is_read_back),
		T(it_outlives_the_one_who_wrote),
		T(one_is_found_by_its_id),
		T(a_taken_name_is_refused),
		T(a_refused_one_has_no_date),
		T(nobody_is_called_as_anothers_id),
		T(ids_differ_and_malformed_ones_are_refused),
		T(who_is_not_there_is_not_found),
		T(labels_choose),
		T(the_last_of_equal_keys_wins),
		T(malformed_labels_are_refused),
		T(a_start_forgets_the_last_end),
		T(detached_lasts_until_the_next_start),
		T(what_may_have_died_is_listed),
		T(only_the_first_writes_the_end),
		T(two_starts_in_one_ms_differ),
		T(config_and_labels_are_replaced),
		T(a_new_name_replaces_the_old),
		T(removing_takes_the_labels_along),
		T(odd_texts_stay_as_they_are),
		T(odd_texts_as_filters_find_one_each),
		T(sql_in_an_id_finds_nothing),
		T(sizes_have_bounds),
		T(what_must_be_there_is_asked_for),
		T(labels_have_a_bound),
		T(a_thousand_are_listed_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
