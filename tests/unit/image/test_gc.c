#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "image/image.h"
#include "image/record.h"
#include "image/tarball.h"

static bool has_layer(struct store *s, const struct digest *d)
{
	return layer_present(s, d) == 1;
}

static void what_is_named_stays(void **state)
{
	struct store *s = test_store_open();
	uint64_t freed = 1;
	uint32_t removed = 1;
	struct digest a;
	struct image img;

	(void)state;
	test_add_image(s, "a:1", "one", &a);
	assert_int_equal(image_gc(s, false, &freed, &removed, NULL), 0);
	assert_int_equal(freed, 0);
	assert_int_equal(removed, 0);
	assert_true(has_layer(s, &a));
	assert_int_equal(image_find(s, "a:1", &img, NULL), 0);
	image_release(&img);
	test_store_close(s);
}

static void what_lost_its_name_goes_what_is_shared_stays(void **state)
{
	struct store *s = test_store_open();
	uint64_t freed = 0;
	struct digest a, b;
	struct image img;

	(void)state;
	test_add_image(s, "a:1", "one", &a);
	test_add_image(s, "a:2", "one", &a);
	test_add_image(s, "b:1", "two", &b);
	assert_int_equal(image_remove(s, "a:1", NULL), 0);
	assert_int_equal(image_remove(s, "b:1", NULL), 0);
	assert_int_equal(image_gc(s, false, &freed, NULL, NULL), 0);
	assert_true(freed > 0);
	assert_true(has_layer(s, &a));
	assert_false(has_layer(s, &b));
	assert_int_equal(image_find(s, "a:2", &img, NULL), 0);
	image_release(&img);
	assert_int_equal(image_find(s, "b:1", &img, NULL), -ENOENT);
	test_store_close(s);
}

static void all_means_all(void **state)
{
	struct store *s = test_store_open();
	uint32_t removed = 0, n = 9;
	struct image *list;
	struct digest a;

	(void)state;
	test_add_image(s, "a:1", "one", &a);
	test_add_image(s, "h.x:5/b/c/d:2", "two", &a);
	assert_int_equal(image_gc(s, true, NULL, &removed, NULL), 0);
	assert_int_equal(removed, 2);
	assert_true(test_store_is_empty(s));
	assert_int_equal(image_list(s, &list, &n, NULL), 0);
	assert_int_equal(n, 0);
	free(list);
	assert_int_equal(unlinkat(s->fd, "refs", AT_REMOVEDIR), 0);
	test_store_close(s);
}

static void a_running_pull_keeps_what_is_young(void **state)
{
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	struct store *s = test_store_open();
	struct digest a, b;
	char path[160];
	int pull;

	(void)state;
	test_add_image(s, "a:1", "one", &a);
	test_add_image(s, "b:1", "two", &b);
	assert_int_equal(image_remove(s, "a:1", NULL), 0);
	assert_int_equal(image_remove(s, "b:1", NULL), 0);
	assert_int_equal(utimensat(s->fd,
	                           record_layer_path(&b, path, sizeof(path)),
	                           old, 0),
	                 0);
	pull = store_lock(s, "pull", STORE_LOCK_SHARED, NULL);
	assert_int_equal(image_gc(s, false, NULL, NULL, NULL), 0);
	assert_true(has_layer(s, &a));
	assert_false(has_layer(s, &b));
	(void)close(pull);
	assert_int_equal(image_gc(s, false, NULL, NULL, NULL), 0);
	assert_false(has_layer(s, &a));
	test_store_close(s);
}

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void interrupted_downloads_go_running_ones_stay(void **state)
{
	struct store *s = test_store_open();
	int lock;

	(void)state;
	assert_int_equal(
		file_write_atomic(s->fd, "blobs/" HEX ".part", "x", 1, 0600),
		0);
	lock = store_lock(s, "blob-" HEX, 0, NULL);
	assert_int_equal(image_gc(s, false, NULL, NULL, NULL), 0);
	assert_int_equal(faccessat(s->fd, "blobs/" HEX ".part", F_OK, 0), 0);
	(void)close(lock);
	assert_int_equal(image_gc(s, false, NULL, NULL, NULL), 0);
	assert_int_equal(faccessat(s->fd, "blobs/" HEX ".part", F_OK, 0), -1);
	test_store_close(s);
}

static void what_is_not_ours_is_not_touched(void **state)
{
	struct store *s = test_store_open();

	(void)state;
	assert_int_equal(store_put(s, "layers/note.txt", "x", 1, NULL), 0);
	assert_int_equal(store_put(s, "layers/aa/note", "x", 1, NULL), 0);
	assert_int_equal(image_gc(s, true, NULL, NULL, NULL), 0);
	assert_int_equal(faccessat(s->fd, "layers/note.txt", F_OK, 0), 0);
	assert_int_equal(faccessat(s->fd, "layers/aa/note", F_OK, 0), 0);
	test_store_close(s);
}

static void a_record_that_cannot_be_read_stops_the_sweep(void **state)
{
	struct store *s = test_store_open();
	struct err err = {0};
	struct digest a;

	(void)state;
	test_add_image(s, "a:1", "one", &a);
	assert_int_equal(
		store_put(s, "refs/docker.io/library/a/_1.json", "{", 1, NULL),
		0);
	assert_int_equal(image_gc(s, false, NULL, NULL, &err), -EBADMSG);
	assert_non_null(strstr(err.msg, "_1.json is damaged"));
	assert_true(has_layer(s, &a));
	assert_int_equal(image_remove(s, "a:1", NULL), 0);
	assert_int_equal(image_gc(s, false, NULL, NULL, NULL), 0);
	assert_false(has_layer(s, &a));
	test_store_close(s);
}

static void an_image_is_found_by_its_id(void **state)
{
	struct store *s = test_store_open();
	char hex[DIGEST_HEX_LEN + 1], text[128];
	struct image img;
	struct digest a;

	(void)state;
	test_add_image(s, "a:1", "one", &a);
	test_add_image(s, "b:1", "two", &a);
	assert_int_equal(image_find(s, "a:1", &img, NULL), 0);
	(void)digest_hex(&img.manifest, hex);
	image_release(&img);
	for (int n = DIGEST_HEX_LEN; n >= 12; n -= 13) {
		(void)snprintf(text, sizeof(text), "%.*s", n, hex);
		assert_int_equal(image_find(s, text, &img, NULL), 0);
		assert_string_equal(img.ref, "docker.io/library/a:1");
		image_release(&img);
		(void)snprintf(text, sizeof(text), "sha256:%.*s", n, hex);
		assert_int_equal(image_find(s, text, &img, NULL), 0);
		image_release(&img);
	}
	(void)snprintf(text, sizeof(text), "%.11s", hex);
	assert_int_equal(image_find(s, text, &img, NULL), -ENOENT);
	(void)snprintf(text, sizeof(text), "a@sha256:%s", hex);
	assert_int_equal(image_find(s, text, &img, NULL), 0);
	image_release(&img);
	(void)snprintf(text, sizeof(text), "b@sha256:%s", hex);
	assert_int_equal(image_find(s, text, &img, NULL), -ENOENT);
	test_store_close(s);
}

static void an_id_with_two_names_is_not_removed(void **state)
{
	struct store *s = test_store_open();
	char text[16], hex[DIGEST_HEX_LEN + 1];
	struct image img;
	struct digest a;

	(void)state;
	test_add_image(s, "a:1", "one", &a);
	test_add_image(s, "a:2", "one", &a);
	assert_int_equal(image_find(s, "a:1", &img, NULL), 0);
	(void)snprintf(text, sizeof(text), "%.12s",
	               digest_hex(&img.manifest, hex));
	image_release(&img);
	assert_int_equal(image_remove(s, text, NULL), -ENOTUNIQ);
	assert_int_equal(image_remove(s, "a:2", NULL), 0);
	assert_int_equal(image_remove(s, text, NULL), 0);
	assert_int_equal(image_remove(s, text, NULL), -ENOENT);
	test_store_close(s);
}

static void the_list_is_sorted_and_leaves_damage_out(void **state)
{
	struct store *s = test_store_open();
	struct image *list;
	struct digest a;
	uint32_t n;

	(void)state;
	test_add_image(s, "z:1", "one", &a);
	test_add_image(s, "a:1", "two", &a);
	test_add_image(s, "m:1", "three", &a);
	assert_int_equal(
		store_put(s, "refs/docker.io/library/m/_1.json", "", 0, NULL),
		0);
	assert_int_equal(image_list(s, &list, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_string_equal(list[0].ref, "docker.io/library/a:1");
	assert_string_equal(list[1].ref, "docker.io/library/z:1");
	while (n > 0)
		image_release(&list[--n]);
	free(list);
	test_store_close(s);
}

static void flipped_documents_are_seen(void **state)
{
	static const char *const kinds[] = {"manifests", "configs"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct store *s = test_store_open();
		struct buf cleanup_buf b = BUF_INIT;
		char path[128], hex[DIGEST_HEX_LEN + 1];
		struct err err = {0};
		struct image img;
		struct digest a;

		test_add_image(s, "a:1", "one", &a);
		assert_int_equal(image_find(s, "a:1", &img, NULL), 0);
		(void)snprintf(
			path, sizeof(path), "%s/%s", kinds[i],
			digest_hex(i ? &img.config_digest : &img.manifest,
		                   hex));
		image_release(&img);
		assert_int_equal(file_read(s->fd, path, &b), 0);
		b.data[b.len / 2] ^= 1;
		assert_int_equal(store_put(s, path, b.data, b.len, NULL), 0);
		assert_int_equal(image_find(s, "a:1", &img, &err), -EBADMSG);
		assert_non_null(strstr(err.msg, "damaged"));
		assert_non_null(strstr(err.hint, "--force"));
		test_store_close(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_named_stays),
		cmocka_unit_test(what_lost_its_name_goes_what_is_shared_stays),
		cmocka_unit_test(all_means_all),
		cmocka_unit_test(a_running_pull_keeps_what_is_young),
		cmocka_unit_test(interrupted_downloads_go_running_ones_stay),
		cmocka_unit_test(what_is_not_ours_is_not_touched),
		cmocka_unit_test(a_record_that_cannot_be_read_stops_the_sweep),
		cmocka_unit_test(an_image_is_found_by_its_id),
		cmocka_unit_test(an_id_with_two_names_is_not_removed),
		cmocka_unit_test(the_list_is_sorted_and_leaves_damage_out),
		cmocka_unit_test(flipped_documents_are_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
