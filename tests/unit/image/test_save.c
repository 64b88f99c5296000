/* Images to an archive, and back. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "image/archive_out.h"
#include "image/tarball.h"

#define CONTENT_MAX 4000

static struct store *store;

static int setup(void **state)
{
	static char content[CONTENT_MAX];
	struct digest layer;

	(void)state;
	store = test_store_open();
	memset(content, 'c', sizeof(content) - 1);
	test_add_image(store, "one", content, &layer);
	test_add_image(store, "two", "small", &layer);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	test_store_close(store);
	return 0;
}

static int memory(void)
{
	int fd = memfd_create("archive", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void digest_all(int fd, struct digest *ret)
{
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(digest_of_fd(fd, ret), 0);
}

static void save(struct store *s, enum archive_format form, int fd)
{
	static const char *const refs[] = {"one", "two", "one"};
	struct err err = {0};

	if (archive_save(s, refs, ARRAY_SIZE(refs), form, fd, NULL, &err) < 0)
		fail_msg("%s", err.msg);
}

static void it_comes_back_the_same(void **state)
{
	for (int form = ARCHIVE_DOCKER; form <= ARCHIVE_OCI; form++) {
		struct store *other = NULL;
		struct strv cleanup_strv refs = {0};
		cleanup_close int a = memory(), b = memory();
		char home[128], path[64];
		struct digest x, y;
		struct err err = {0};

		(void)state;
		(void)snprintf(home, sizeof(home), "%s/other%d", store->home,
		               form);
		save(store, (enum archive_format)form, a);
		if (store_open(home, &other, &err) < 0)
			fail_msg("%s", err.msg);
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", a);
		if (image_load(other, path, NULL, NULL, &refs, &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(refs.n, 2);
		for (int i = 0; i < 2; i++) {
			struct image cleanup(image_release) was = {0};
			struct image cleanup(image_release) got = {0};
			const char *name = i ? "two" : "one";

			assert_int_equal(image_find(store, name, &was, NULL),
			                 0);
			assert_int_equal(image_find(other, name, &got, NULL),
			                 0);
			assert_true(digest_equal(&was.manifest, &got.manifest));
			assert_true(digest_equal(&was.chain_id, &got.chain_id));
		}
		save(other, (enum archive_format)form, b);
		digest_all(a, &x);
		digest_all(b, &y);
		assert_true(digest_equal(&x, &y));
		store_close(other);
	}
}

static void what_is_not_there_is_told(void **state)
{
	static const char *const refs[] = {"one", "three"};
	cleanup_close int fd = memory();
	struct err err = {0};

	(void)state;
	assert_int_equal(
		archive_save(store, refs, 2, ARCHIVE_OCI, fd, NULL, &err),
		-ENOENT);
	assert_non_null(strstr(err.msg, "three"));
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	assert_int_equal(
		archive_save(store, refs, 0, ARCHIVE_OCI, fd, NULL, &err),
		-EINVAL);
}

static void a_full_disk_is_told(void **state)
{
	static const char *const refs[] = {"one"};
	cleanup_close int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct err err = {0};

	(void)state;
	assert_int_equal(
		archive_save(store, refs, 1, ARCHIVE_DOCKER, fd, NULL, &err),
		-ENOSPC);
}

static void a_pipe_that_nobody_reads_kills_nobody(void **state)
{
	static const char *const refs[] = {"one"};
	struct err err = {0};
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	(void)close(ends[0]);
	assert_int_equal(
		image_save(store, refs, 1, ARCHIVE_DOCKER, ends[1], NULL, &err),
		-EPIPE);
	(void)close(ends[1]);
}

static int refuse(void *arg, const struct image_event *ev)
{
	unsigned *seen = arg;

	if (ev->kind != IMAGE_EV_LAYER && ev->kind != IMAGE_EV_LAYER_DONE)
		return 0;
	return ++*seen;
}

static void the_caller_may_end_it(void **state)
{
	static const char *const refs[] = {"one", "two"};
	cleanup_close int fd = memory();
	unsigned seen = 0;
	const struct image_pull_opts opts = {.event = refuse,
	                                     .event_arg = &seen};
	struct err err = {0};

	(void)state;
	assert_int_equal(
		archive_save(store, refs, 2, ARCHIVE_OCI, fd, &opts, &err),
		-ECANCELED);
	assert_int_equal(seen, 1);
}

/* A header's checksum covers all that it says, not the room behind. */
static void a_damaged_layer_is_not_saved(void **state)
{
	static const char *const refs[] = {"one"};
	static const char *const files[] = {"index", "hdr.zst"};
	struct image cleanup(image_release) img = {0};

	(void)state;
	assert_int_equal(image_find(store, "one", &img, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char path[LAYER_PATH_LEN];
		cleanup_close int fd = -1, out = memory();
		struct err err = {0};
		uint8_t byte;
		off_t at;

		layer_path(&img.diff_ids[0], files[i], path);
		fd = openat(store->fd, path, O_RDWR | O_CLOEXEC);
		assert_true(fd >= 0);
		at = lseek(fd, 0, SEEK_END);
		at = i ? at / 2 : at - 1;
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= 0x10;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		if (archive_save(store, refs, 1, ARCHIVE_OCI, out, NULL,
		                 &err) != -EBADMSG)
			fail_msg("%s: %s", files[i], err.msg);
		byte ^= 0x10;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(it_comes_back_the_same),
		T(what_is_not_there_is_told),
		T(a_full_disk_is_told),
		T(a_pipe_that_nobody_reads_kills_nobody),
		T(the_caller_may_end_it),
		T(a_damaged_layer_is_not_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
