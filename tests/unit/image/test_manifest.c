#include "lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "image/manifest.h"

#define HEX               "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define D                 "\"digest\":\"sha256:" HEX "\""
#define OCI               "application/vnd.oci.image."
#define DOCK              "application/vnd.docker.distribution."
#define CONF              "{\"mediaType\":\"" OCI "config.v1+json\"," D ",\"size\":7}"
#define LAYER(type, size) "{\"mediaType\":\"" type "\"," D ",\"size\":" size "}"
#define GZIP              OCI "layer.v1.tar+gzip"
#define MANIFEST(more, layers)                                                 \
	"{\"schemaVersion\":2" more ",\"config\":" CONF ",\"layers\":[" layers \
	"]}"
#define ENTRY(more)                                                            \
	"{\"mediaType\":\"" OCI "manifest.v1+json\"," D ",\"size\":5" more "}"
#define PLATFORM(os, arch, more)                                               \
	",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\"" more  \
	"}"
#define INDEX(entries) "{\"schemaVersion\":2,\"manifests\":[" entries "]}"
#define CONFIG(arch, ids)                                                      \
	"{\"os\":\"linux\",\"architecture\":\"" arch "\",\"created\":"         \
	"\"2024-01-02T03:04:05.5+01:00\",\"config\":{\"Cmd\":[\"a\",\"b\"],"   \
	"\"Env\":null,\"User\":\"\",\"WorkingDir\":\"/w\"},"                   \
	"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" ids "]}}"
#define ID "\"sha256:" HEX "\""

static int parse(const char *text, const char *type, struct manifest_doc *ret,
                 struct err *err)
{
	return manifest_parse(text, strlen(text), type, ret, err);
}

static void a_manifest_gives_config_and_layers(void **state)
{
	static const char text[] =
		MANIFEST("", LAYER(GZIP, "9") "," LAYER(GZIP, "0"));
	struct manifest_doc d;

	(void)state;
	assert_int_equal(parse(text, NULL, &d, NULL), 0);
	assert_int_equal(d.kind, MANIFEST_IMAGE);
	assert_int_equal(d.image.nlayers, 2);
	assert_int_equal(d.image.layers[0].size, 9);
	assert_int_equal(d.image.config.size, 7);
	assert_int_equal(d.image.layers[1].digest.b[0], 0x01);
	manifest_release(&d);
}

static void the_type_may_have_parameters_and_any_case(void **state)
{
	static const char *const types[] = {
		OCI "manifest.v1+json; charset=utf-8", DOCK "Manifest.V2+JSON",
		"application/json", "text/plain", ""};
	struct manifest_doc d;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		assert_int_equal(parse(MANIFEST("", ""), types[i], &d, NULL),
		                 0);
		manifest_release(&d);
	}
}

static void what_is_no_manifest_is_refused(void **state)
{
	static const char *const cases[][2] = {
		{"",							NULL           },
		{"[]",						      NULL           },
		{"null",						    NULL           },
		{"{}",						      NULL           },
		{"{\"schemaVersion\":1}",                                   NULL           },
		{"{\"schemaVersion\":2}",                                   NULL           },
		{"{\"schemaVersion\":\"2\",\"layers\":[]}",                 NULL           },
		{"{\"layers\":[],\"config\":" CONF "}",                     NULL           },
		{"{\"schemaVersion\":2,\"layers\":[],\"manifests\":[]}",    NULL           },
		{"{\"schemaVersion\":2,\"schemaVersion\":2}",               NULL           },
		{"{\"schemaVersion\":2,\"layers\":{},\"config\":" CONF "}",
	         NULL								      },
		{"{\"schemaVersion\":2,\"layers\":[]}",                     NULL           },
		{"{\"schemaVersion\":2,\"manifests\":{}}",                  NULL           },
		{MANIFEST(",\"fsLayers\":[]",                               ""),             NULL},
		{MANIFEST(",\"mediaType\":\"" OCI "index.v1+json\"",                                                         ""),                       NULL},
		{MANIFEST(",\"mediaType\":\"x\"",						     ""),                                              NULL},
		{MANIFEST("",  ""),OCI "index.v1+json"},
		{INDEX(""),					       DOCK "manifest.v2+json"							 },
		{MANIFEST("",							 "1"),								NULL},
		{MANIFEST("",							 "{}"),     NULL},
		{MANIFEST("",						     LAYER("x",     "1")), NULL},
		{MANIFEST("",LAYER(GZIP,   "-1")), NULL},
		{MANIFEST("",					       LAYER(GZIP, "1.0")), NULL},
		{MANIFEST("",						     LAYER(GZIP,								    "9223372036854775807")), NULL},
		{MANIFEST("",						    LAYER(GZIP,							   "9223372036854775808")), NULL},
		{MANIFEST("",							 LAYER(OCI "layer.nondistributable.v1.tar",                                                              "1")),
	         NULL},
		{INDEX("{\"mediaType\":\"" OCI "manifest.v1+json\"}"),                                                  NULL                                                            },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct manifest_doc d = {.kind = 77};
		struct err err = {0};

		if (parse(cases[i][0], cases[i][1], &d, &err) != -EBADMSG)
			fail_msg("accepted: %s", cases[i][0]);
		assert_true(err.msg[0]);
		assert_int_equal(d.kind, 77);
	}
}

static void sizes_and_counts_are_bounded(void **state)
{
	struct buf cleanup_buf b = BUF_INIT;
	struct manifest_doc d;
	struct err err = {0};

	(void)state;
	(void)buf_adds(&b,
	               "{\"schemaVersion\":2,\"config\":" CONF ",\"layers\":[");
	for (int i = 0; i < MANIFEST_MAX_LAYERS + 1; i++)
		(void)buf_printf(&b, "%s%s", i ? "," : "", LAYER(GZIP, "1"));
	(void)buf_adds(&b, "]}");
	assert_int_equal(parse(buf_str(&b), NULL, &d, &err), -EBADMSG);
	assert_non_null(strstr(err.msg, "513 layers"));

	buf_reset(&b);
	for (unsigned i = 0; i <= MANIFEST_MAX_BYTES; i++)
		(void)buf_addc(&b, ' ');
	assert_int_equal(parse(buf_str(&b), NULL, &d, &err), -EBADMSG);
	assert_non_null(strstr(err.msg, "4 MiB"));

	buf_reset(&b);
	for (int i = 0; i < 10000; i++)
		(void)buf_adds(&b, "{\"a\":");
	assert_int_equal(parse(buf_str(&b), NULL, &d, &err), -EBADMSG);
}

static int choose(const char *index, const char *want, uint64_t *ret_size,
                  struct err *err)
{
	struct manifest_doc cleanup_manifest d = {0};
	const struct manifest_entry *e;
	struct platform p;
	int r;

	assert_int_equal(parse(index, NULL, &d, NULL), 0);
	assert_int_equal(platform_parse(want, &p, NULL), 0);
	r = manifest_choose(&d.index, &p, &e, err);
	if (r == 0)
		*ret_size = (uint64_t)(e - d.index.entries);
	return r;
}

static void the_right_platform_is_chosen(void **state)
{
	static const struct {
		const char *index, *want;
		int place; /* -1: none */
	} cases[] = {
		{INDEX(ENTRY(PLATFORM("linux",                       "arm64",                                    "")) "," ENTRY(
			 PLATFORM("linux",												     "amd64", ""))),
	         "linux/amd64", 1},
		{INDEX(ENTRY(
			 PLATFORM("linux",					     "arm64",										  ",\"variant\":\"v8\""))),
	         "linux/aarch64", 0},
		{INDEX(ENTRY(PLATFORM(
			 "linux",          "amd64",
                 ",\"variant\":\"v3\"")) "," ENTRY(PLATFORM("linux",
                 "amd64", ""))),
	         "linux/x86_64", 1},
		{INDEX(ENTRY(PLATFORM(
			 "linux",						 "arm",
                 ",\"variant\":\"v6\"")) "," ENTRY(PLATFORM("linux",
                 "arm", ",\"variant"
	                                                            "\":"
	                                                            "\"v7\""))),
	         "linux/arm/v7", 1},
		{INDEX(ENTRY(PLATFORM("linux", "arm",											",\"variant\":\"v6\""))),
	         "linux/arm/v7", -1},
		{INDEX(ENTRY(PLATFORM("windows",						 "amd64",											   ""))),																				     "linux/amd64",
	         -1},
 /* An attestation is skipped, so it is not counted either. */
		{INDEX(ENTRY(PLATFORM("unknown", "unknown",											  "")) "," ENTRY("")),
	         "linux/amd64", 0},
		{INDEX(ENTRY("") "," ENTRY(PLATFORM("linux",                                                 "amd64",											   ""))),
	         "linux/amd64", 1},
		{INDEX(ENTRY(",\"artifactType\":\"x\"")),                          "linux/amd64",										 -1																						       },
		{INDEX(ENTRY(PLATFORM("$(id)",                     "\\u001b[31m",        ""))),
	         "linux/amd64", -1},
		{INDEX(""),						 "linux/amd64",											   -1																				      },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t place = 99;
		struct err err = {0};
		int r = choose(cases[i].index, cases[i].want, &place, &err);

		if (cases[i].place < 0) {
			assert_int_equal(r, -ENOENT);
			assert_null(strchr(err.msg, '\x1b'));
			assert_null(strstr(err.msg, "$(id)"));
		} else {
			assert_int_equal(r, 0);
			assert_int_equal(place, cases[i].place);
		}
	}
}

static void a_missing_platform_lists_the_others(void **state)
{
	struct err err = {0};
	uint64_t place;

	(void)state;
	assert_int_equal(
		choose(INDEX(ENTRY(PLATFORM("linux", "arm64", "")) "," ENTRY(
			       PLATFORM("linux", "arm",
	                                ",\"variant\":\"v7\""))),
	               "linux/amd64", &place, &err),
		-ENOENT);
	assert_non_null(strstr(err.msg, "linux/arm64, linux/arm/v7"));
}

static void odd_platforms_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"linux",
		"linux/",
		"/amd64",
		"linux/amd64/",
		"Linux/amd64",
		"linux/a b",
		"linux/amd64/v1/x",
		"linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	struct platform p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(platform_parse(bad[i], &p, NULL), -EINVAL);
	assert_int_equal(platform_parse(NULL, &p, NULL), 0);
	assert_string_equal(p.os, "linux");
}

static int config(const char *text, uint32_t nlayers, struct image *img)
{
	memset(img, 0, sizeof(*img));
	return manifest_config(text, strlen(text), nlayers, img, NULL);
}

static void a_config_says_what_to_run(void **state)
{
	struct image img;

	(void)state;
	assert_int_equal(config(CONFIG("x86_64", ID "," ID), 2, &img), 0);
	assert_int_equal(img.nlayers, 2);
	assert_string_equal(img.platform, "linux/amd64");
	assert_int_equal(img.created_unix, 1704161045);
	assert_int_equal(img.config.cmd.n, 2);
	assert_int_equal(img.config.env.n, 0);
	assert_null(img.config.user);
	assert_string_equal(img.config.workdir, "/w");
	image_release(&img);
	image_release(&img);
	image_release(NULL);
}

static void bad_configs_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		CONFIG("amd64", ""),
		CONFIG("amd64", ID "," ID),
		CONFIG("amd64", "1"),
		CONFIG("amd64", "\"sha256:zz\""),
		CONFIG("$(id)", ID),
		CONFIG("a/b/c", ID),
		"{\"rootfs\":{\"type\":\"x\",\"diff_ids\":[" ID "]}}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" ID "]},"
		"\"config\":[],\"architecture\":\"amd64\"}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" ID "]},"
		"\"config\":{\"Env\":[1]},\"architecture\":\"amd64\"}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" ID "]},"
		"\"config\":{\"User\":5},\"architecture\":\"amd64\"}",
	};
	struct image img;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (config(bad[i], 1, &img) != -EBADMSG)
			fail_msg("accepted: %s", bad[i]);
		image_release(&img);
	}
}

static void odd_times_are_no_time(void **state)
{
	static const char *const times[] = {"", "yesterday",
	                                    "0001-01-01T00:00:00Z",
	                                    "2024-13-01T00:00:00Z", "2024"};
	char text[512];
	struct image img;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		(void)snprintf(text, sizeof(text),
		               "{\"created\":\"%s\",\"architecture\":\"amd64\","
		               "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":"
		               "[]}}",
		               times[i]);
		assert_int_equal(config(text, 0, &img), 0);
		assert_int_equal(img.created_unix, 0);
		image_release(&img);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_manifest_gives_config_and_layers),
		cmocka_unit_test(the_type_may_have_parameters_and_any_case),
		cmocka_unit_test(what_is_no_manifest_is_refused),
		cmocka_unit_test(sizes_and_counts_are_bounded),
		cmocka_unit_test(the_right_platform_is_chosen),
		cmocka_unit_test(a_missing_platform_lists_the_others),
		cmocka_unit_test(odd_platforms_are_refused),
		cmocka_unit_test(a_config_says_what_to_run),
		cmocka_unit_test(bad_configs_are_refused),
		cmocka_unit_test(odd_times_are_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
