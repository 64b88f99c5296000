#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "image/image.h"
#include "image/tar_index.h"
#include "image/tarball.h"

/* A descriptor with the archive in it. */
static int file_of(const void *data, size_t len)
{
	int fd = memfd_create("archive", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, data, len), 0);
	return fd;
}

static int index_of(const struct tarball *t, struct tar_index *ix)
{
	int fd = file_of(t->b.data, t->b.len);
	int r;

	memset(ix, 0, sizeof(*ix));
	r = tar_index_build(fd, t->b.len, ix, NULL);
	(void)close(fd);
	return r;
}

static int find(const struct tar_index *ix, const char *name, uint64_t *size)
{
	const struct tar_member *m;
	int r = tar_index_find(ix, name, &m, NULL);

	if (r == 0)
		*size = m->size;
	return r;
}

static void members_and_links_are_found(void **state)
{
	static const struct {
		const char *name;
		int code;
		uint64_t size;
	} cases[] = {
		{"a",      0,       1},
                {"d/b",    0,       2},
                {"d/up",   0,       1},
		{"d/same", 0,       2},
                {"hard",   0,       2},
                {"d",      -ENOENT, 0},
		{"none",   -ENOENT, 0},
                {"loop",   -ELOOP,  0},
                {"out",    -ENOENT, 0},
		{"abs",    -ENOENT, 0},
                {"../a",   -ENOENT, 0},
                {"/a",     -ENOENT, 0},
		{"x/a",    -ENOENT, 0},
                {"",       -ENOENT, 0},
	};
	struct tarball t = TARBALL_INIT;
	struct tar_index ix;
	uint64_t size = 0;

	(void)state;
	tb_text(&t, "./a", "1");
	tb_dir(&t, "d");
	tb_text(&t, "d//b", "22");
	tb_sym(&t, "d/up", "../a");
	tb_sym(&t, "d/same", "b");
	tb_hard(&t, "hard", "d/b");
	tb_sym(&t, "loop", "loop");
	tb_sym(&t, "out", "../../etc/passwd");
	tb_sym(&t, "abs", "/etc/passwd");
	tb_text(&t, "../x", "333");
	tb_text(&t, "/y", "333");
	tb_end(&t);
	assert_int_equal(index_of(&t, &ix), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (find(&ix, cases[i].name, &size) != cases[i].code)
			fail_msg("wrong answer for \"%s\"", cases[i].name);
		if (cases[i].code == 0)
			assert_int_equal(size, cases[i].size);
	}
	tar_index_release(&ix);
	tb_release(&t);
}

static void long_names_are_joined(void **state)
{
	struct tarball t = TARBALL_INIT;
	struct tar_index ix;
	char name[301];
	uint64_t size;

	(void)state;
	memset(name, 'n', 300);
	name[300] = '\0';
	tb_long(&t, 'L', name);
	tb_text(&t, "short", "1");
	TB_PAX(&t, "path=pax/name", "size=2");
	tb_text(&t, "other", "22");
	tb_end(&t);
	assert_int_equal(index_of(&t, &ix), 0);
	assert_int_equal(find(&ix, name, &size), 0);
	assert_int_equal(find(&ix, "pax/name", &size), 0);
	assert_int_equal(size, 2);
	assert_int_equal(find(&ix, "short", &size), -ENOENT);
	assert_int_equal(find(&ix, "other", &size), -ENOENT);
	tar_index_release(&ix);
	tb_release(&t);
}

static void a_name_that_is_there_twice_cannot_be_used(void **state)
{
	struct tarball t = TARBALL_INIT;
	struct tar_index ix;
	uint64_t size;

	(void)state;
	tb_text(&t, "a", "1");
	tb_text(&t, "./a", "22");
	tb_text(&t, "b", "1");
	tb_end(&t);
	assert_int_equal(index_of(&t, &ix), 0);
	assert_int_equal(find(&ix, "a", &size), -EBADMSG);
	assert_int_equal(find(&ix, "b", &size), 0);
	tar_index_release(&ix);
	tb_release(&t);
}

static void damaged_tars_are_refused(void **state)
{
	struct tarball t = TARBALL_INIT;
	struct tar_index ix;
	size_t whole;

	(void)state;
	tb_text(&t, "a", "1");
	whole = t.b.len;
	for (size_t n = 0; n < whole; n += 97) {
		int fd = file_of(t.b.data, n);

		assert_int_equal(tar_index_build(fd, n, &ix, NULL), -EBADMSG);
		(void)close(fd);
	}
	for (size_t at = 0; at < 512; at++) {
		if (at >= 148 && at < 156)
			continue; /* the sum itself: spaces may vary */
		t.b.data[at] ^= 0x40;
		assert_int_equal(index_of(&t, &ix), -EBADMSG);
		t.b.data[at] ^= 0x40;
	}
	tb_release(&t);
}

static void sizes_beyond_the_file_are_refused(void **state)
{
	static const char *const sizes[] = {"77777777777", "00000001001"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct tarball t = TARBALL_INIT;
		struct tar_index ix;
		size_t h = tb_header(&t, '0', "a", 0, "");

		memcpy(tb_at(&t, h) + 124, sizes[i], 12);
		tb_sum(&t, h);
		assert_int_equal(index_of(&t, &ix), -EBADMSG);
		memset(tb_at(&t, h) + 124, 0xff, 12);
		tb_sum(&t, h);
		assert_int_equal(index_of(&t, &ix), -EBADMSG);
		tb_release(&t);
	}
}

static void bad_pax_records_are_refused(void **state)
{
	static const char *const bad[] = {
		"5 a=b", "99999999 a=b\n", "x a=b\n",      "6 a=b\n",
		"0 \n",  "7 path\n",       "11 size=-1\n", "11 size=1x\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct tarball t = TARBALL_INIT;
		struct tar_index ix;

		tb_pax_raw(&t, 'x', bad[i], strlen(bad[i]));
		tb_text(&t, "a", "1");
		tb_end(&t);
		if (strcmp(bad[i], "6 a=b\n") == 0) {
			assert_int_equal(index_of(&t, &ix), 0);
			tar_index_release(&ix);
		} else {
			assert_int_equal(index_of(&t, &ix), -EBADMSG);
		}
		tb_release(&t);
	}
}

/* A docker-archive of one layer, as the tests want it. */
struct archive_plan {
	const char *tags; /* JSON */
	const char *layer_name;
	bool wrong_diff_id;
};

static void build(struct tarball *t, const struct archive_plan *plan)
{
	struct tarball layer = TARBALL_INIT;
	char config[512], manifest[512], text[DIGEST_TEXT_LEN + 1];
	struct digest d;

	tb_text(&layer, "hello", "world");
	tb_end(&layer);
	digest_of(layer.b.data, layer.b.len, &d);
	d.b[0] ^= plan->wrong_diff_id;
	(void)snprintf(config, sizeof(config),
	               "{\"architecture\":\"%s\",\"rootfs\":{\"type\":"
	               "\"layers\",\"diff_ids\":[\"%s\"]}}",
#ifdef __aarch64__
	               "arm64",
#else
	               "amd64",
#endif
	               digest_text(&d, text));
	(void)snprintf(manifest, sizeof(manifest),
	               "[{\"Config\":\"c\",\"RepoTags\":%s,\"Layers\":[\"%s\"]"
	               "}]",
	               plan->tags, plan->layer_name);
	tb_file(t, "l", layer.b.data, layer.b.len);
	tb_text(t, "c", config);
	tb_text(t, "manifest.json", manifest);
	tb_end(t);
	tb_release(&layer);
}

static int load(struct store *s, const struct tarball *t, const char *tag,
                const struct image_pull_opts *o, struct strv *refs,
                struct err *err)
{
	char path[] = "/tmp/msb-archive-XXXXXX";
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, t->b.data, t->b.len), 0);
	(void)close(fd);
	r = image_load(s, path, tag, o, refs, err);
	(void)unlink(path);
	return r;
}

static void an_archive_becomes_an_image_with_all_its_names(void **state)
{
	const struct archive_plan plan = {"[\"a:1\",\"h.x/b:2\"]", "l", false};
	struct tarball t = TARBALL_INIT;
	struct store *s = test_store_open();
	struct strv cleanup_strv refs = {0};
	struct image a, b;

	(void)state;
	build(&t, &plan);
	assert_int_equal(load(s, &t, NULL, NULL, &refs, NULL), 0);
	assert_int_equal(refs.n, 2);
	assert_string_equal(refs.v[0], "docker.io/library/a:1");
	assert_int_equal(image_find(s, "a:1", &a, NULL), 0);
	assert_int_equal(image_find(s, "h.x/b:2", &b, NULL), 0);
	assert_true(digest_equal(&a.manifest, &b.manifest));
	assert_int_equal(a.nlayers, 1);
	assert_true(a.size > 0);
	image_release(&a);
	image_release(&b);
	tb_release(&t);
	test_store_close(s);
}

static void compressed_once_gives_the_same_twice_is_refused(void **state)
{
	const struct archive_plan plan = {"[\"a:1\"]", "l", false};
	struct tarball t = TARBALL_INIT, gz = TARBALL_INIT, zst = TARBALL_INIT;
	struct tarball twice = TARBALL_INIT;
	struct store *s = test_store_open();
	struct strv cleanup_strv refs = {0};
	struct err err = {0};

	(void)state;
	build(&t, &plan);
	tb_gzip(&t, &gz);
	tb_zstd(&t, &zst);
	tb_zstd(&gz, &twice);
	assert_int_equal(load(s, &gz, "g:1", NULL, &refs, NULL), 0);
	assert_int_equal(load(s, &zst, "z:1", NULL, &refs, NULL), 0);
	assert_int_equal(load(s, &twice, "t:1", NULL, &refs, &err), -EBADMSG);
	assert_non_null(strstr(err.msg, "twice"));
	assert_int_equal(refs.n, 2);
	tb_release(&t);
	tb_release(&gz);
	tb_release(&zst);
	tb_release(&twice);
	test_store_close(s);
}

static void bad_archives_leave_nothing(void **state)
{
	static const struct archive_plan plans[] = {
		{"[\"a:1\"]",        "l",           true },
		{"[\"a:1\"]",        "none",        false},
		{"[\"a:1\"]",        "../l",        false},
		{"[\"a:1\"]",        "/etc/passwd", false},
		{"[\"../../x\"]",    "l",           false},
		{"[\"a:1\",\"-x\"]", "l",           false},
		{"[7]",              "l",           false},
		{"7",                "l",           false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(plans); i++) {
		struct tarball t = TARBALL_INIT;
		struct store *s = test_store_open();
		struct strv cleanup_strv refs = {0};
		struct err err = {0};

		build(&t, &plans[i]);
		assert_true(load(s, &t, NULL, NULL, &refs, &err) < 0);
		assert_true(err.msg[0]);
		assert_int_equal(refs.n, 0);
		assert_true(test_store_is_empty(s));
		tb_release(&t);
		test_store_close(s);
	}
}

static int refuse(void *arg, const struct image_event *ev)
{
	int *left = arg;

	(void)ev;
	return (*left)-- <= 0;
}

static void loading_can_be_cancelled_at_every_event(void **state)
{
	const struct archive_plan plan = {"[\"a:1\"]", "l", false};
	struct tarball t = TARBALL_INIT;
	int r = -ECANCELED;

	(void)state;
	build(&t, &plan);
	for (int n = 0; r == -ECANCELED; n++) {
		struct store *s = test_store_open();
		struct strv cleanup_strv refs = {0};
		int left = n;
		const struct image_pull_opts o = {.event = refuse,
		                                  .event_arg = &left};

		assert_true(n < 50);
		r = load(s, &t, NULL, &o, &refs, NULL);
		assert_true(r == 0 || r == -ECANCELED);
		test_store_close(s);
	}
	tb_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_and_links_are_found),
		cmocka_unit_test(long_names_are_joined),
		cmocka_unit_test(a_name_that_is_there_twice_cannot_be_used),
		cmocka_unit_test(damaged_tars_are_refused),
		cmocka_unit_test(sizes_beyond_the_file_are_refused),
		cmocka_unit_test(bad_pax_records_are_refused),
		cmocka_unit_test(
			an_archive_becomes_an_image_with_all_its_names),
		cmocka_unit_test(
			compressed_once_gives_the_same_twice_is_refused),
		cmocka_unit_test(bad_archives_leave_nothing),
		cmocka_unit_test(loading_can_be_cancelled_at_every_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
