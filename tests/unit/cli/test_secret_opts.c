/* Secrets as people write them on a command line. */
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "forms/secret_opts.h"

static void what_is_said_is_taken(void **state)
{
	struct secret_item i;
	struct err err = {0};

	(void)state;
	assert_int_equal(secret_opts_parse("KEY@a.org", false, &i, &err), 0);
	assert_string_equal(i.env, "KEY");
	assert_int_equal(i.hosts.n, 1);
	assert_int_equal(i.flags, 0);
	assert_null(i.source);
	secret_item_release(&i);

	assert_int_equal(
		secret_opts_parse("_k:header,basic_auth,query-params,body,"
	                          "mask,placeholder=a=b:c@d,violation=block,"
	                          "from=OTHER@a.org,*.b.org,*",
	                          false, &i, &err),
		0);
	assert_int_equal(i.flags, 31);
	assert_string_equal(i.placeholder, "a=b:c@d");
	assert_string_equal(i.source, "OTHER");
	assert_int_equal(i.violation, MSB_VIOLATION_BLOCK);
	assert_int_equal(i.hosts.n, 3);
	assert_string_equal(i.hosts.v[2], "*");
	secret_item_release(&i);

	assert_int_equal(secret_opts_parse("KEY", true, &i, &err), 0);
	assert_int_equal(i.hosts.n, 0);
	secret_item_release(&i);
	assert_int_equal(secret_opts_parse("KEY:from=X", true, &i, &err), 0);
	assert_string_equal(i.source, "X");
	secret_item_release(&i);
}

/* "v4lue" stands for what must not be repeated. */
static void what_is_wrong_is_said_without_what_may_be_a_value(void **state)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
		{"",			"is not ENV"       },
		{"KEY",                     "is not ENV"       },
		{"v4lue-v4lue",             "is not ENV"       },
		{"@a.org",                  "is not ENV"       },
		{"1K@a.org",                "is not ENV"       },
		{"K-Y@a.org",               "is not ENV"       },
		{"KEY=v4lue@a.org",         "--secret KEY=..." },
		{"KEY=v4lue",               "--secret KEY=..." },
		{"KEY=v4lue:x@a.org",       "--secret KEY=..." },
		{"KEY:v4lue@a.org",         "option '...'"     },
		{"KEY:haeder@a.org",        "option 'haeder'"  },
		{"KEY:@a.org",              "option '...'"     },
		{"KEY:header,,body@a.org",  "option '...'"     },
		{"KEY:violation=@a.org",    "violation=..."    },
		{"KEY:violation=log@a.org", "violation=log"    },
		{"KEY@",                    "a host is missing"},
		{"KEY@a.org,",              "a host is missing"},
		{"KEY@,a.org",              "a host is missing"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct secret_item item;
		struct err err = {0};

		assert_int_equal(
			secret_opts_parse(rows[i].text, false, &item, &err),
			-EINVAL);
		if (!strstr(err.msg, rows[i].words))
			fail_msg("%s: %s", rows[i].text, err.msg);
		assert_null(strstr(err.msg, "v4lue"));
		assert_null(strstr(err.hint, "v4lue"));
	}
}

static void options_go_over_files(void **state)
{
	struct secret_conf cleanup(secret_conf_release) c = {0};
	struct secret_values v = {.violation = MSB_VIOLATION_PASS,
	                          .ca_cert = "c"};
	struct secret_made *m = NULL;
	struct secret_item *a;
	struct err err = {0};

	(void)state;
	a = secret_conf_item(&c, "A");
	assert_non_null(a);
	a->flags = MSB_SECRET_BODY;
	assert_int_equal(strv_add(&a->hosts, "file.org"), 0);
	assert_ptr_equal(secret_conf_item(&c, "A"), a);
	assert_int_equal(strv_add(&v.secrets, "A@option.org"), 0);
	assert_int_equal(strv_add(&v.secrets, "B@b.org"), 0);
	assert_int_equal(strv_add(&v.secrets, "B@c.org"), 0);
	assert_int_equal(strv_add(&v.ports, "8443"), 0);
	c.no_verify_any = true;
	assert_int_equal(secret_opts_put(&c, &v, &err), 0);
	/* Twice on the command line is for the library to refuse. */
	assert_int_equal(c.n, 3);
	assert_int_equal(c.v[0]->flags, 0);
	assert_string_equal(c.v[0]->hosts.v[0], "option.org");
	assert_int_equal(secret_conf_make(&c, &m, &err), 0);
	assert_string_equal(m->pointers[2]->hosts[0], "c.org");
	assert_null(m->pointers[3]);
	assert_null(m->pointers[0]->value);
	assert_int_equal(m->tls.violation, MSB_VIOLATION_PASS);
	assert_string_equal(m->tls.ports[0], "8443");
	assert_string_equal(m->tls.ca_cert, "c");
	assert_string_equal(m->tls.no_verify_for[0], "*");
	secret_made_free(m);
	strv_release(&v.secrets);
	strv_release(&v.ports);
}

static void without_options_there_is_nothing(void **state)
{
	struct secret_conf c = {0};
	struct secret_made *m = NULL;
	struct err err = {0};

	(void)state;
	assert_int_equal(secret_conf_make(&c, &m, &err), 0);
	assert_null(m->pointers[0]);
	assert_int_equal(m->tls.flags, 0);
	assert_null(m->tls.ports);
	assert_null(m->tls.no_verify_for);
	secret_made_free(m);
}

static void paths_hold_from_any_folder(void **state)
{
	struct secret_values v = {.ca_cert = "c", .ca_key = "/k"};
	struct secret_paths p;
	char cwd[4096], want[4200];

	(void)state;
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(strv_add(&v.cas, "u"), 0);
	assert_int_equal(strv_add(&v.cas_for, "a.org=d"), 0);
	assert_int_equal(secret_opts_absolute(&v, &p), 0);
	(void)snprintf(want, sizeof(want), "%s/c", cwd);
	assert_string_equal(p.ca_cert, want);
	assert_string_equal(p.ca_key, "/k");
	(void)snprintf(want, sizeof(want), "%s/u", cwd);
	assert_string_equal(p.cas.v[0], want);
	(void)snprintf(want, sizeof(want), "a.org=%s/d", cwd);
	assert_string_equal(p.cas_for.v[0], want);
	secret_paths_release(&p);
	strv_release(&v.cas);
	strv_release(&v.cas_for);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_said_is_taken),
		cmocka_unit_test(
			what_is_wrong_is_said_without_what_may_be_a_value),
		cmocka_unit_test(options_go_over_files),
		cmocka_unit_test(without_options_there_is_nothing),
		cmocka_unit_test(paths_hold_from_any_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
