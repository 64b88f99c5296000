/* What kept sandboxes were made of outlives the names of it. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "image/image.h"
#include "image/record.h"
#include "image/tarball.h"

#define ID    "00112233445566ff"
#define OTHER "ffeeddccbbaa9988"

static void make_folder(struct store *s, const char *id)
{
	char path[64];

	(void)mkdirat(s->home_fd, "sandboxes", 0700);
	(void)snprintf(path, sizeof(path), "sandboxes/%s", id);
	assert_int_equal(mkdirat(s->home_fd, path, 0700), 0);
}

static void remove_folder(struct store *s, const char *id)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "sandboxes/%s", id);
	assert_int_equal(unlinkat(s->home_fd, path, AT_REMOVEDIR), 0);
}

static struct store *set_up(void)
{
	struct store *s = test_store_open();

	make_folder(s, ID);
	return s;
}

static bool has_layer(struct store *s, const struct digest *d)
{
	return layer_present(s, d) == 1;
}

/* Add @name, pin it as @id, and keep what it was. */
static void add_pinned(struct store *s, const char *name, const char *content,
                       const char *id, struct digest *ret_layer)
{
	struct image cleanup(image_release) img = {0};
	struct err err = {0};

	test_add_image(s, name, content, ret_layer);
	assert_int_equal(image_find(s, name, &img, NULL), 0);
	if (image_pin(s, &img, id, &err) < 0)
		fail_msg("%s", err.msg);
}

static void gc(struct store *s, bool all)
{
	struct err err = {0};

	if (image_gc(s, all, NULL, NULL, &err) < 0)
		fail_msg("%s", err.msg);
}

static void what_is_pinned_survives_its_name(void **state)
{
	struct store *s = set_up();
	struct image cleanup(image_release) was = {0};
	struct image cleanup(image_release) got = {0};
	struct rootfs cleanup(rootfs_release) fs = {0};
	struct digest a, b;

	(void)state;
	add_pinned(s, "a:1", "one", ID, &a);
	test_add_image(s, "b:1", "two", &b);
	assert_int_equal(image_find(s, "a:1", &was, NULL), 0);
	assert_int_equal(image_remove(s, "a:1", NULL), 0);
	gc(s, false);
	assert_true(has_layer(s, &a) && has_layer(s, &b));
	gc(s, true);
	assert_true(has_layer(s, &a));
	assert_false(has_layer(s, &b));
	assert_int_equal(image_find_pinned(s, ID, &got, NULL), 0);
	assert_string_equal(got.ref, was.ref);
	assert_true(digest_equal(&got.manifest, &was.manifest));
	assert_true(digest_equal(&got.config_digest, &was.config_digest));
	assert_true(digest_equal(&got.chain_id, &was.chain_id));
	assert_string_equal(got.platform, was.platform);
	assert_string_equal(got.config_json, was.config_json);
	assert_int_equal(got.size, was.size);
	assert_int_equal(got.nlayers, 1);
	assert_int_equal(rootfs_open(s, &got.chain_id, &fs, NULL), 0);
	test_store_close(s);
}

/* The name belongs to another image now. */
static void a_moved_tag_leaves_the_pin(void **state)
{
	struct store *s = set_up();
	struct image cleanup(image_release) got = {0};
	struct image cleanup(image_release) now = {0};
	struct digest a, b;

	(void)state;
	add_pinned(s, "a:1", "one", ID, &a);
	test_add_image(s, "a:1", "two", &b);
	gc(s, false);
	assert_true(has_layer(s, &a) && has_layer(s, &b));
	assert_int_equal(image_find_pinned(s, ID, &got, NULL), 0);
	assert_true(digest_equal(&got.diff_ids[0], &a));
	assert_int_equal(image_find(s, "a:1", &now, NULL), 0);
	assert_true(digest_equal(&now.diff_ids[0], &b));
	test_store_close(s);
}

static void unpinned_it_goes(void **state)
{
	struct store *s = set_up();
	struct image img = {0};
	struct digest a;

	(void)state;
	make_folder(s, OTHER);
	add_pinned(s, "a:1", "one", ID, &a);
	add_pinned(s, "a:1", "one", OTHER, &a);
	gc(s, true);
	assert_int_equal(image_unpin(s, ID), 0);
	assert_int_equal(image_unpin(s, ID), 0);
	gc(s, false);
	assert_true(has_layer(s, &a));
	assert_int_equal(image_find_pinned(s, ID, &img, NULL), -ENOENT);
	assert_int_equal(image_unpin(s, OTHER), 0);
	gc(s, false);
	assert_true(test_store_is_empty(s));
	test_store_close(s);
}

static void a_pin_without_a_sandbox_goes(void **state)
{
	struct store *s = set_up();
	struct digest a;

	(void)state;
	add_pinned(s, "a:1", "one", ID, &a);
	remove_folder(s, ID);
	gc(s, true);
	assert_true(test_store_is_empty(s));
	assert_int_equal(faccessat(s->fd, "pins/" ID, F_OK, 0), -1);
	/* also when it cannot be read */
	assert_int_equal(store_put(s, "pins/" ID, "{", 1, NULL), 0);
	gc(s, false);
	assert_int_equal(faccessat(s->fd, "pins/" ID, F_OK, 0), -1);
	test_store_close(s);
}

static void pack(struct store *s, const char *content, struct image *ret)
{
	cleanup_close int fd = -1;

	(void)mkdirat(s->home_fd, "root", 0755);
	fd = openat(s->home_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(
		file_write_atomic(fd, "f", content, strlen(content), 0644), 0);
	*ret = (struct image){.ref = strdup("./root")};
	assert_int_equal(rootfs_pack_dir(s, fd, &ret->chain_id, NULL), 0);
}

static void a_folder_is_pinned_as_well(void **state)
{
	struct store *s = set_up();
	struct image cleanup(image_release) first = {0};
	struct image cleanup(image_release) second = {0};
	struct image cleanup(image_release) got = {0};
	struct rootfs cleanup(rootfs_release) fs = {0};
	struct digest chain;

	(void)state;
	pack(s, "one", &first);
	assert_int_equal(image_pin(s, &first, ID, NULL), 0);
	pack(s, "two", &second);
	gc(s, true);
	assert_true(has_layer(s, &first.chain_id));
	assert_false(has_layer(s, &second.chain_id));
	assert_int_equal(image_find_pinned(s, ID, &got, NULL), 0);
	assert_string_equal(got.ref, "./root");
	assert_true(digest_equal(&got.chain_id, &first.chain_id));
	assert_int_equal(rootfs_open(s, &got.chain_id, &fs, NULL), 0);
	/* Its layers are enough to build the chain of another abi. */
	assert_int_equal(
		rootfs_build(s, got.diff_ids, got.nlayers, &chain, NULL), 0);
	assert_true(digest_equal(&chain, &first.chain_id));
	/* What was found can be pinned for another one. */
	make_folder(s, OTHER);
	assert_int_equal(image_pin(s, &got, OTHER, NULL), 0);
	assert_int_equal(image_unpin(s, ID), 0);
	gc(s, false);
	assert_true(has_layer(s, &first.chain_id));
	assert_int_equal(image_unpin(s, OTHER), 0);
	gc(s, false);
	assert_true(test_store_is_empty(s));
	test_store_close(s);
}

static void what_is_gone_cannot_be_pinned(void **state)
{
	struct store *s = set_up();
	struct image cleanup(image_release) img = {0};
	struct image cleanup(image_release) folder = {0};
	struct err err = {0};
	struct digest a;

	(void)state;
	test_add_image(s, "a:1", "one", &a);
	assert_int_equal(image_find(s, "a:1", &img, NULL), 0);
	pack(s, "two", &folder);
	gc(s, true);
	assert_int_equal(image_pin(s, &img, ID, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "was removed"));
	assert_int_equal(image_pin(s, &folder, ID, &err), -ENOENT);
	assert_int_equal(faccessat(s->fd, "pins/" ID, F_OK, 0), -1);
	test_store_close(s);
}

static void a_pin_waits_for_a_sweep(void **state)
{
	struct store *s = set_up();
	struct image cleanup(image_release) img = {0};
	struct digest a;
	int lock, status;
	pid_t pid;

	(void)state;
	test_add_image(s, "a:1", "one", &a);
	assert_int_equal(image_find(s, "a:1", &img, NULL), 0);
	lock = store_lock(s, "store", 0, NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(lock);
		_exit(image_pin(s, &img, ID, NULL) == 0 ? 0 : 1);
	}
	(void)usleep(100000);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	assert_int_equal(faccessat(s->fd, "pins/" ID, F_OK, 0), -1);
	(void)close(lock);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	gc(s, true);
	assert_true(has_layer(s, &a));
	test_store_close(s);
}

/* As a damaged name does; and both say which file it is. */
static void a_damaged_pin_stops_the_sweep(void **state)
{
	static const char *const damage[] = {
		"",
		"{",
		"[]",
		"{\"folder\":true}",
		"{\"folder\":true,\"ref\":\"x\",\"chain\":\"sha256:zz\"}",
		"{\"ref\":\"x\",\"chain\":\"sha256:zz\"}",
	};
	struct store *s = set_up();
	struct image img = {0};
	struct digest a;

	(void)state;
	test_add_image(s, "a:1", "one", &a);
	assert_int_equal(image_remove(s, "a:1", NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(damage); i++) {
		struct err err = {0};

		assert_int_equal(store_put(s, "pins/" ID, damage[i],
		                           strlen(damage[i]), NULL),
		                 0);
		assert_int_equal(image_gc(s, false, NULL, NULL, &err),
		                 -EBADMSG);
		assert_non_null(strstr(err.msg, "pins/" ID " is damaged"));
		assert_non_null(strstr(err.hint, "remove that file"));
		assert_int_equal(image_find_pinned(s, ID, &img, &err),
		                 -EBADMSG);
	}
	assert_true(has_layer(s, &a));
	assert_int_equal(image_unpin(s, ID), 0);
	gc(s, false);
	assert_false(has_layer(s, &a));
	test_store_close(s);
}

static void ids_are_checked(void **state)
{
	static const char *const bad[] = {"", "../refs/x", "00112233445566F0",
	                                  ID "0"};
	struct store *s = set_up();
	struct image cleanup(image_release) img = {0};
	struct image other = {0};
	struct digest a;

	(void)state;
	test_add_image(s, "a:1", "one", &a);
	assert_int_equal(image_find(s, "a:1", &img, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(image_pin(s, &img, bad[i], NULL), -EINVAL);
		assert_int_equal(image_unpin(s, bad[i]), -EINVAL);
		assert_int_equal(image_find_pinned(s, bad[i], &other, NULL),
		                 -EINVAL);
	}
	/* What is not ours below pins/ is no pin. */
	assert_int_equal(store_put(s, "pins/note.txt", "x", 1, NULL), 0);
	gc(s, false);
	assert_int_equal(faccessat(s->fd, "pins/note.txt", F_OK, 0), 0);
	test_store_close(s);
}

/* A home of an msb that knew no pins. */
static void a_store_without_pins_is_swept(void **state)
{
	struct store *s = set_up();
	struct digest a;

	(void)state;
	assert_int_equal(unlinkat(s->fd, "pins", AT_REMOVEDIR), 0);
	test_add_image(s, "a:1", "one", &a);
	gc(s, true);
	assert_true(test_store_is_empty(s));
	add_pinned(s, "a:1", "one", ID, &a);
	gc(s, true);
	assert_true(has_layer(s, &a));
	test_store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_pinned_survives_its_name),
		cmocka_unit_test(a_moved_tag_leaves_the_pin),
		cmocka_unit_test(unpinned_it_goes),
		cmocka_unit_test(a_pin_without_a_sandbox_goes),
		cmocka_unit_test(a_folder_is_pinned_as_well),
		cmocka_unit_test(what_is_gone_cannot_be_pinned),
		cmocka_unit_test(a_pin_waits_for_a_sweep),
		cmocka_unit_test(a_damaged_pin_stops_the_sweep),
		cmocka_unit_test(ids_are_checked),
		cmocka_unit_test(a_store_without_pins_is_swept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
