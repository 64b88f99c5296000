#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "tls/relay.h"

#include "lib/test.h"

#define ONE "MSB_0123456789abcdef"
#define TWO "MSB_fedcba9876543210fedcba"

struct scene {
	struct secrets *secrets;
	struct gate gate;
	struct sink sink;
	unsigned count, lines, ends;
	char text[TLSLINK_TEXT_MAX + 1];
	struct relay *r;
};

static void on_event(void *arg, const struct tls_event *ev)
{
	struct scene *c = arg;

	assert_int_equal(ev->what, TLSLINK_VIOLATION);
	c->count += ev->count;
	c->lines += ev->text != NULL;
	c->ends += ev->terminate;
	if (ev->text)
		strncpy(c->text, ev->text, sizeof(c->text) - 1);
}

static struct secrets *now(void *arg)
{
	return ((struct scene *)arg)->secrets;
}

static void add(struct secrets *s, const char *name, const char *placeholder,
                enum secret_violation v)
{
	struct secret c = {.name = (char *)(uintptr_t)name,
	                   .placeholder = (char *)(uintptr_t)placeholder,
	                   .placeholder_len = strlen(placeholder),
	                   .value = (uint8_t *)(uintptr_t) "real",
	                   .len = 4,
	                   .where = SECRET_HEADERS,
	                   .violation = v};

	assert_int_equal(strv_add(&c.hosts, "api.test"), 0);
	assert_int_equal(secrets_set(s, &c, NULL), 0);
	strv_release(&c.hosts);
}

static void open_scene(struct scene *c, enum secret_violation one,
                       enum secret_violation two)
{
	struct relay_env env = {.gate = &c->gate,
	                        .secrets = now,
	                        .secrets_arg = c,
	                        .sink = &c->sink};

	*c = (struct scene){
		.gate = {.name = "api.test",
	                 .port = 443,
	                 .tls = true,
	                 .pinned = true,
	                 .verified = true}
        };
	c->sink = (struct sink){on_event, c};
	c->secrets = secrets_new();
	add(c->secrets, "ONE", ONE, one);
	add(c->secrets, "TWO", TWO, two);
	assert_int_equal(secrets_seal(c->secrets), 0);
	c->r = opaque_new(&env);
	assert_non_null(c->r);
}

static void close_scene(struct scene *c)
{
	c->r->ops->free(c->r);
	secrets_unref(c->secrets);
}

static int put(struct scene *c, enum side from, const char *text, size_t len)
{
	return c->r->ops->input(c->r, from, (const uint8_t *)text, len);
}

static void bytes_are_not_changed(void **state)
{
	struct scene c;

	(void)state;
	open_scene(&c, SECRET_BLOCK, SECRET_BLOCK);
	assert_int_equal(put(&c, SIDE_GUEST, "a\0b", 3), 0);
	assert_int_equal(put(&c, SIDE_SERVER, "c\r\n", 3), 0);
	assert_int_equal(c.r->out[SIDE_SERVER].len, 3);
	assert_memory_equal(c.r->out[SIDE_SERVER].data, "a\0b", 3);
	assert_memory_equal(c.r->out[SIDE_GUEST].data, "c\r\n", 3);
	assert_int_equal(c.r->ops->eof(c.r, SIDE_GUEST), 0);
	assert_int_equal(c.r->ops->eof(c.r, SIDE_SERVER), 0);
	close_scene(&c);
}

static void servers_may_send_placeholders(void **state)
{
	struct scene c;

	(void)state;
	open_scene(&c, SECRET_BLOCK, SECRET_BLOCK);
	assert_int_equal(put(&c, SIDE_SERVER, ONE, strlen(ONE)), 0);
	assert_int_equal(c.count, 0);
	close_scene(&c);
}

static void a_placeholder_is_found_however_it_is_cut(void **state)
{
	static const char text[] = "head " ONE " tail";

	(void)state;
	for (size_t a = 0; a <= sizeof(text) - 1; a++) {
		for (size_t b = a; b <= sizeof(text) - 1; b++) {
			struct scene c;
			int r;

			open_scene(&c, SECRET_BLOCK, SECRET_BLOCK);
			r = put(&c, SIDE_GUEST, text, a);
			if (r == 0)
				r = put(&c, SIDE_GUEST, text + a, b - a);
			if (r == 0)
				r = put(&c, SIDE_GUEST, text + b,
				        sizeof(text) - 1 - b);
			assert_int_equal(r, -ECONNABORTED);
			assert_int_equal(c.count, 1);
			assert_int_equal(c.lines, 0);
			close_scene(&c);
		}
	}
}

static void single_bytes_are_put_together(void **state)
{
	static const char text[] = "xxMSB_01" TWO;
	struct scene c;
	int r = 0;

	(void)state;
	open_scene(&c, SECRET_BLOCK, SECRET_BLOCK_LOG);
	for (size_t i = 0; i < sizeof(text) - 1 && r == 0; i++)
		r = put(&c, SIDE_GUEST, text + i, 1);
	assert_int_equal(r, -ECONNABORTED);
	assert_non_null(strstr(c.text, "TWO"));
	close_scene(&c);
}

static void each_option_does_what_it_says(void **state)
{
	static const struct {
		enum secret_violation v;
		int r;
		unsigned lines, ends;
	} cases[] = {
		{SECRET_BLOCK,           -ECONNABORTED, 0, 0},
		{SECRET_BLOCK_LOG,       -ECONNABORTED, 1, 0},
		{SECRET_BLOCK_TERMINATE, -ECONNABORTED, 1, 1},
		{SECRET_PASS,            0,             1, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scene c;

		open_scene(&c, cases[i].v, SECRET_BLOCK);
		assert_int_equal(
			put(&c, SIDE_GUEST, "a" ONE "b", strlen(ONE) + 2),
			cases[i].r);
		assert_int_equal(c.count, 1);
		assert_int_equal(c.lines, cases[i].lines);
		assert_int_equal(c.ends, cases[i].ends);
		if (c.lines) {
			assert_non_null(strstr(c.text, "api.test:443"));
			assert_non_null(strstr(c.text, ONE));
			assert_null(strstr(c.text, "real"));
		}
		if (cases[i].r == 0)
			assert_int_equal(c.r->out[SIDE_SERVER].len,
			                 strlen(ONE) + 2);
		else
			assert_int_equal(c.r->out[SIDE_SERVER].len, 0);
		close_scene(&c);
	}
}

/* One that may pass does not hide another behind it, nor is it told twice. */
static void what_passes_hides_nothing(void **state)
{
	struct scene c;

	(void)state;
	open_scene(&c, SECRET_PASS, SECRET_BLOCK_LOG);
	assert_int_equal(put(&c, SIDE_GUEST, ONE ONE, 2 * strlen(ONE)), 0);
	assert_int_equal(c.count, 2);
	assert_int_equal(c.lines, 1);
	/* across the border, none is counted twice */
	assert_int_equal(put(&c, SIDE_GUEST, ONE, 5), 0);
	assert_int_equal(put(&c, SIDE_GUEST, &ONE[5], strlen(ONE) - 5), 0);
	assert_int_equal(c.count, 3);
	assert_int_equal(put(&c, SIDE_GUEST, ONE TWO, strlen(ONE TWO)),
	                 -ECONNABORTED);
	assert_int_equal(c.count, 5);
	close_scene(&c);
}

static void clear_text_is_called_so(void **state)
{
	struct scene c;

	(void)state;
	open_scene(&c, SECRET_BLOCK_LOG, SECRET_BLOCK);
	c.gate.tls = false;
	assert_int_equal(put(&c, SIDE_GUEST, ONE, strlen(ONE)), -ECONNABORTED);
	assert_non_null(strstr(c.text, "not encrypted"));
	close_scene(&c);
}

static void without_secrets_nothing_is_looked_for(void **state)
{
	struct scene c;
	struct secrets *had;

	(void)state;
	open_scene(&c, SECRET_BLOCK, SECRET_BLOCK);
	had = c.secrets;
	c.secrets = secrets_new();
	assert_int_equal(secrets_seal(c.secrets), 0);
	assert_int_equal(put(&c, SIDE_GUEST, ONE, strlen(ONE)), 0);
	/* they may be changed while the stream goes on */
	secrets_unref(c.secrets);
	c.secrets = had;
	assert_int_equal(put(&c, SIDE_GUEST, ONE, strlen(ONE)), -ECONNABORTED);
	close_scene(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_not_changed),
		cmocka_unit_test(servers_may_send_placeholders),
		cmocka_unit_test(a_placeholder_is_found_however_it_is_cut),
		cmocka_unit_test(single_bytes_are_put_together),
		cmocka_unit_test(each_option_does_what_it_says),
		cmocka_unit_test(what_passes_hides_nothing),
		cmocka_unit_test(clear_text_is_called_so),
		cmocka_unit_test(without_secrets_nothing_is_looked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
