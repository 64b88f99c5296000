/* Changes of a configuration, as a Dockerfile's instructions. */
#include "lib/test.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "image/commit.h"

static const struct {
	const char *change, *want; /* NULL: refused */
} cases[] = {
	{"CMD [\"a\", \"b c\"]",               "{\"Cmd\":[\"a\",\"b c\"]}"             },
	{"cmd echo \"hi\" $X",
         "{\"Cmd\":[\"/bin/sh\",\"-c\",\"echo \\\"hi\\\" $X\"]}"                       },
	{"CMD [1]",			    "{\"Cmd\":[\"/bin/sh\",\"-c\",\"[1]\"]}"},
	{"ENTRYPOINT [\"/x\"]",                "{\"Entrypoint\":[\"/x\"]}"             },
	{"ENV A=1 B='two words' C=\"x\\\"y\"",
         "{\"Env\":[\"A=1\",\"B=two words\",\"C=x\\\"y\"]}"                            },
	{"ENV A one and two",                  "{\"Env\":[\"A=one and two\"]}"         },
	{"ENV A=",			     "{\"Env\":[\"A=\"]}"                    },
	{"LABEL a=b c=d",                      "{\"Labels\":{\"a\":\"b\",\"c\":\"d\"}}"},
	{"EXPOSE 80 53/udp",
         "{\"ExposedPorts\":{\"53/udp\":{},\"80/tcp\":{}}}"                            },
	{"VOLUME [\"/a\"]",                    "{\"Volumes\":{\"/a\":{}}}"             },
	{"VOLUME /a /b",                       "{\"Volumes\":{\"/a\":{},\"/b\":{}}}"   },
	{"USER  me:us",			"{\"User\":\"me:us\"}"                  },
	{"WORKDIR /a b",                       "{\"WorkingDir\":\"/a b\"}"             },
	{"STOPSIGNAL SIGINT",                  "{\"StopSignal\":\"SIGINT\"}"           },
	{"USER=me",			    "{\"User\":\"me\"}"                     },
	{"FROM x",			     NULL				    },
	{"",				   NULL				    },
	{"C x",				NULL				    },
	{"CMD",				NULL				    },
	{"CMD  ",			      NULL				    },
	{"ENV x",			      NULL				    },
	{"ENV =x",			     NULL				    },
	{"ENV A='x",			   NULL				    },
	{"ENV A=1 B",			  NULL				    },
	{"LABEL x",			    NULL				    },
	{"EXPOSE http",			NULL				    },
	{"USER \xff",			  NULL				    },
	{"ENV A=\xff",			 NULL				    },
	{"LABEL a=\xff",                       NULL				    },
};

static void changes_do_what_a_dockerfile_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_json json_t *j = json_object();
		int r = commit_change(j, cases[i].change, NULL);
		cleanup_free char *got =
			json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);

		if (!cases[i].want)
			assert_int_equal(r, -EINVAL);
		else
			assert_string_equal(got, cases[i].want);
	}
}

static void a_variable_is_replaced_and_a_wrong_type_too(void **state)
{
	cleanup_json json_t *j =
		json_pack("{s[s,s] si}", "Env", "A=1", "AB=2", "Labels", 5);
	cleanup_free char *got = NULL;

	(void)state;
	assert_int_equal(commit_change(j, "ENV A=new", NULL), 0);
	assert_int_equal(commit_change(j, "LABEL a=b", NULL), 0);
	got = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(
		got, "{\"Env\":[\"A=new\",\"AB=2\"],\"Labels\":{\"a\":\"b\"}}");
}

static void what_cannot_be_is_told_before_any_work(void **state)
{
	static const char *const bad[] = {"ENV", NULL};
	struct commit_info info = {.reference = "a/b:c"};
	struct err err = {0};

	(void)state;
	assert_int_equal(commit_check(&info, &err), 0);
	info.changes = bad;
	assert_int_equal(commit_check(&info, &err), -EINVAL);
	info.changes = NULL;
	info.reference = "Not A Name";
	assert_true(commit_check(&info, &err) < 0);
	info.reference = "a@sha256:0123456789012345678901234567890123456789012"
			 "345678901234567890123";
	assert_true(commit_check(&info, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_do_what_a_dockerfile_says),
		cmocka_unit_test(a_variable_is_replaced_and_a_wrong_type_too),
		cmocka_unit_test(what_cannot_be_is_told_before_any_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
