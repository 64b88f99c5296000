#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "image/index.h"
#include "image/layer.h"
#include "image/layer_path.h"
#include "image/tarball.h"

static struct store *store;

static int setup(void **state)
{
	(void)state;
	store = test_store_open();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	test_store_close(store);
	return 0;
}

static void good_layer(struct tarball *t)
{
	char big[10000];

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i / 3);
	memset(big + 4096, 0, 4096);
	tb_dir(t, "./");
	tb_dir(t, "etc/");
	tb_text(t, "etc/small", "hello");
	tb_file(t, "etc/big", big, sizeof(big));
	tb_file(t, "etc/page", big, 4096);
	tb_text(t, "empty", "");
	TB_PAX(t, "GNU.sparse.size=100000", "GNU.sparse.map=50000,5");
	tb_text(t, "etc/sparse", "later");
	tb_sym(t, "link", "etc/small");
	tb_end(t);
}

static void ok(struct tarball *t, struct digest *ret)
{
	struct err err = {0};

	if (test_ingest(store, t, ret, &err) < 0)
		fail_msg("%s", err.msg);
	tb_release(t);
}

static void refused(struct tarball *t, const char *why)
{
	struct err err = {0};
	struct digest id;

	if (test_ingest(store, t, &id, &err) >= 0)
		fail_msg("accepted, but: %s", why);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" is not in \"%s\"", why, err.msg);
	assert_true(test_store_is_empty(store));
	tb_release(t);
}

static void open_index(const struct digest *id, struct index *ret)
{
	char path[LAYER_PATH_LEN];
	cleanup_close int fd = -1;
	struct err err = {0};

	layer_path(id, "index", path);
	fd = openat(store->fd, path, O_RDONLY);
	if (index_open(fd, ret, &err) < 0)
		fail_msg("%s", err.msg);
}

static const struct index_entry *find(const struct index *ix, const char *path)
{
	for (uint32_t i = 0; i < ix->n; i++)
		if (ix->entries[i].path_len == strlen(path) &&
		    memcmp(ix->pool + ix->entries[i].path_off, path,
		           strlen(path)) == 0)
			return &ix->entries[i];
	return NULL;
}

/* The content of a file in the data file. */
static void read_data(const struct digest *id, const struct index_entry *e,
                      void *to)
{
	char path[LAYER_PATH_LEN];
	cleanup_close int fd = -1;

	layer_path(id, "data", path);
	fd = openat(store->fd, path, O_RDONLY);
	assert_int_equal(fd_pread_full(fd, to, e->size, e->block * 4096),
	                 e->size);
}

static void files_are_aligned_small_ones_inline(void **state)
{
	struct tarball t = TARBALL_INIT;
	const struct index_entry *e;
	struct index ix cleanup_index = {0};
	struct digest id;
	char big[10000], sparse[100000], zeros[50000] = {0};

	(void)state;
	good_layer(&t);
	ok(&t, &id);
	open_index(&id, &ix);
	assert_int_equal(ix.n, 8);
	e = find(&ix, "etc/small");
	assert_int_equal(e->flags, INDEX_F_INLINE);
	assert_memory_equal(ix.pool + e->link_off, "hello", 5);
	e = find(&ix, "etc/big");
	assert_int_equal(e->size, 10000);
	read_data(&id, e, big);
	assert_memory_equal(big, "\0\0\0\1\1\1", 6);
	assert_int_equal(big[5000], 0);
	assert_int_equal(big[9999], (char)(9999 / 3));
	e = find(&ix, "etc/sparse");
	assert_int_equal(e->size, 100000);
	read_data(&id, e, sparse);
	assert_memory_equal(sparse, zeros, 50000);
	assert_memory_equal(sparse + 50000, "later", 5);
	assert_memory_equal(sparse + 50005, zeros, 49995);
}

static void zero_pages_are_holes(void **state)
{
	struct tarball t = TARBALL_INIT;
	char path[LAYER_PATH_LEN];
	struct digest id;
	struct stat st;
	size_t len = 8 << 20;
	char *zeros = calloc(1, len);

	(void)state;
	zeros[len - 1] = 'x';
	tb_file(&t, "zeros", zeros, len);
	ok(&t, &id);
	free(zeros);
	layer_path(&id, "data", path);
	assert_int_equal(fstatat(store->fd, path, &st, 0), 0);
	assert_int_equal(st.st_size, len);
	assert_true(st.st_blocks * 512 <= 64 * 1024);
}

/* Whatever the compression and the pieces, the same folder comes out. */
static void result_depends_on_the_tar_only(void **state)
{
	struct tarball t = TARBALL_INIT, gz = TARBALL_INIT, zst = TARBALL_INIT;
	const struct tarball *const forms[] = {&t, &gz, &zst};
	struct layer_info first, info;
	struct digest want;

	(void)state;
	good_layer(&t);
	tb_gzip(&t, &gz);
	tb_zstd(&t, &zst);
	digest_of(t.b.data, t.b.len, &want);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		assert_int_equal(test_ingest_step(store, forms[i], 1 + i * 999,
		                                  &want, NULL,
		                                  i ? &info : &first, NULL),
		                 0);
		assert_int_equal(layer_present(store, &want), 1);
		if (i)
			assert_memory_equal(&info, &first, sizeof(info));
	}
	tb_release(&t);
	tb_release(&gz);
	tb_release(&zst);
}

struct sink {
	const struct tarball *t;
	size_t at;
};

static int compare(void *arg, const void *data, size_t len, struct err *err)
{
	struct sink *k = arg;

	(void)err;
	assert_true(len <= k->t->b.len - k->at);
	assert_memory_equal(data, k->t->b.data + k->at, len);
	k->at += len;
	return 0;
}

static void the_very_same_tar_can_be_made_again(void **state)
{
	struct tarball t = TARBALL_INIT;
	struct sink k = {&t, 0};
	struct digest id;
	struct err err = {0};

	(void)state;
	tb_pax(&t, 'g', (const char *const[]){"comment=abc", NULL});
	tb_text(&t, "etc/.wh.gone", "content of a whiteout");
	good_layer(&t);
	(void)buf_adds(&t.b, "behind the end");
	assert_int_equal(test_ingest(store, &t, &id, &err), 0);
	if (layer_export(store, &id, compare, &k, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(k.at, t.b.len);
	assert_int_equal(layer_verify(store, &id, &err), 0);
	tb_release(&t);
}

static void wrong_diff_id_leaves_nothing(void **state)
{
	struct tarball t = TARBALL_INIT;
	struct layer_info info;
	struct digest want = {{1}};
	struct err err = {0};

	(void)state;
	good_layer(&t);
	assert_int_equal(
		test_ingest_step(store, &t, 4096, &want, NULL, &info, &err),
		-EBADMSG);
	assert_non_null(strstr(err.msg, "config names sha256:0100"));
	assert_true(test_store_is_empty(store));
	tb_release(&t);
}

static void remove_layer(const struct digest *id)
{
	char path[LAYER_PATH_LEN];
	struct err err = {0};

	assert_int_equal(layer_verify(store, id, &err), 0);
	layer_path(id, NULL, path);
	assert_int_equal(dir_remove(store->fd, path), 0);
}

/*
 * A bit at every 1 % of the stream, and a cut at every 1 %. A bit that means
 * nothing (see test_inflate.c) must give the very layer.
 */
static void damaged_streams_leave_nothing(void **state)
{
	struct tarball t = TARBALL_INIT,
		       z[3] = {TARBALL_INIT, TARBALL_INIT, TARBALL_INIT};
	struct layer_info info;
	struct digest want;
	unsigned meant_nothing = 0;

	(void)state;
	good_layer(&t);
	digest_of(t.b.data, t.b.len, &want);
	tb_gzip(&t, &z[0]);
	tb_zstd(&t, &z[1]);
	(void)buf_add(&z[2].b, t.b.data, t.b.len);
	for (size_t i = 0; i < ARRAY_SIZE(z); i++)
		for (size_t pc = 1; pc < 100; pc++) {
			size_t at = z[i].b.len * pc / 100, len = z[i].b.len;

			z[i].b.data[at] ^= 4;
			if (test_ingest_step(store, &z[i], 4096, &want, NULL,
			                     &info, NULL) == 0) {
				meant_nothing++;
				remove_layer(&want);
			}
			z[i].b.data[at] ^= 4;
			z[i].b.len = at;
			assert_true(test_ingest_step(store, &z[i], 4096, &want,
			                             NULL, &info, NULL) < 0);
			z[i].b.len = len;
			assert_true(test_store_is_empty(store));
		}
	assert_in_range(meant_nothing, 0, 6);
	tb_release(&t);
	for (size_t i = 0; i < ARRAY_SIZE(z); i++)
		tb_release(&z[i]);
}

static void hostile_names_are_refused(void **state)
{
	static const char *const names[] = {
		"../x", "a/../../x", "..", "/..", "a/..", "./../x",
	};
	struct tarball t = TARBALL_INIT;
	char deep[2 * 300 + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		tb_text(&t, names[i], "x");
		refused(&t, "\"..\" in a name");
		tb_hard(&t, "h", names[i]);
		refused(&t, "\"..\" in a name");
	}
	memset(deep, 'n', 256);
	deep[256] = '\0';
	tb_long(&t, 'L', deep);
	tb_text(&t, "x", "x");
	refused(&t, "too long or too deep");
	for (size_t i = 0; i < sizeof(deep) - 1; i++)
		deep[i] = i % 2 ? '/' : 'd';
	deep[sizeof(deep) - 1] = '\0';
	tb_long(&t, 'L', deep);
	tb_dir(&t, "x");
	refused(&t, "too long or too deep");
	tb_text(&t, "", "x");
	refused(&t, "no name");
	tb_text(&t, ".", "x");
	refused(&t, "the root is no folder");
	tb_sym(&t, "./", "etc");
	refused(&t, "");
}

static void harmless_names_are_cleaned(void **state)
{
	struct tarball t = TARBALL_INIT;
	struct index ix cleanup_index = {0};
	struct digest id;

	(void)state;
	tb_text(&t, "/abs", "x");
	tb_text(&t, ".//a/./b//c", "x");
	tb_text(&t, "..a/...", "x");
	tb_text(&t, "bad\xff\xfeutf8", "x");
	tb_dir(&t, "./");
	ok(&t, &id);
	open_index(&id, &ix);
	assert_non_null(find(&ix, "abs"));
	assert_non_null(find(&ix, "a/b/c"));
	assert_non_null(find(&ix, "..a/..."));
	assert_non_null(find(&ix, "bad\xff\xfeutf8"));
	assert_non_null(find(&ix, ""));
}

static void hostile_entries_are_refused(void **state)
{
	struct tarball t = TARBALL_INIT;

	(void)state;
	tb_dev(&t, '3', "null", 0, 0);
	refused(&t, "device 0:0");
	tb_dev(&t, '4', "big", 4096, 0);
	refused(&t, "device 4096:0");
	tb_hard(&t, "h", "h");
	refused(&t, "hard link to itself");
	tb_hard(&t, "h", "/");
	refused(&t, "hard link to itself or to the root");
	tb_sym(&t, "s", "");
	refused(&t, "link text of 0 bytes");
	tb_text(&t, "a/.wh.", "");
	refused(&t, "malformed whiteout");
	tb_text(&t, ".wh.", "");
	refused(&t, "malformed whiteout");
	tb_text(&t, ".wh..", "");
	refused(&t, "malformed whiteout");
	tb_text(&t, "a/.wh...", "");
	refused(&t, "malformed whiteout");
	tb_text(&t, ".wh.a/b", "");
	refused(&t, "a folder with a whiteout's name");
	TB_PAX(&t, "size=5497558138880");
	(void)tb_header(&t, '0', "f", 0, NULL);
	refused(&t, "too large");
	TB_PAX(&t, "GNU.sparse.size=5497558138880", "GNU.sparse.map=0,1");
	tb_text(&t, "s", "x");
	refused(&t, "too large");
}

static void whiteouts_are_told_from_files(void **state)
{
	struct tarball t = TARBALL_INIT;
	struct index ix cleanup_index = {0};
	struct digest id;

	(void)state;
	tb_text(&t, "a/.wh.b", "");
	tb_text(&t, "o/.wh..wh..opq", "");
	tb_text(&t, ".wh..wh..opq", "");
	tb_text(&t, ".wh..wh.plnk/12.3", "");
	tb_text(&t, "a/.wh..wh.aufs", "");
	tb_hard(&t, "a/.wh.hard", "a/.wh.b");
	ok(&t, &id);
	open_index(&id, &ix);
	assert_int_equal(ix.n, 4);
	assert_int_equal(find(&ix, "a/b")->type, INDEX_WHITEOUT);
	assert_int_equal(find(&ix, "a/hard")->type, INDEX_WHITEOUT);
	assert_int_equal(find(&ix, "o")->type, INDEX_OPAQUE);
	assert_int_equal(find(&ix, "")->type, INDEX_OPAQUE);
}

static void overlay_attributes_are_dropped(void **state)
{
	struct tarball t = TARBALL_INIT;
	struct index ix cleanup_index = {0};
	const struct index_entry *e;
	struct digest id;

	(void)state;
	TB_PAX(&t, "SCHILY.xattr.trusted.overlay.opaque=y",
	       "SCHILY.xattr.user.overlay.redirect=/etc",
	       "SCHILY.xattr.user.kept=1", "SCHILY.xattr.system.strange=1",
	       "SCHILY.xattr.user.=1");
	tb_dir(&t, "d");
	ok(&t, &id);
	open_index(&id, &ix);
	e = find(&ix, "d");
	assert_int_equal(e->xattr_len, 3 + 9 + 1);
	assert_memory_equal(ix.pool + e->xattr_off, "\11\1\0user.kept1", 13);
}

static void limits_are_kept(void **state)
{
	struct tarball t = TARBALL_INIT;
	struct layer_limits entries = {.entries = 3},
			    bytes = {.tar_bytes = 4096};
	struct layer_info info;
	struct err err = {0};

	(void)state;
	good_layer(&t);
	assert_int_equal(
		test_ingest_step(store, &t, 4096, NULL, &entries, &info, &err),
		-E2BIG);
	assert_int_equal(
		test_ingest_step(store, &t, 4096, NULL, &bytes, &info, &err),
		-EFBIG);
	assert_true(test_store_is_empty(store));
	tb_release(&t);
}

/*
 * A file of 4 GiB of zeros in a zstd stream: a block with the header, and then
 * four bytes for each 128 KiB.
 */
struct bomb {
	struct tarball t;
	unsigned n;
};

static ssize_t bomb_read(void *arg, void *data, size_t len, struct err *err)
{
	static const uint8_t head[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00,
	                               0x70, 0x00, 0x10, 0x00};
	static const uint8_t block[] = {0x02, 0x00, 0x10, 0x00}; /* repeat 0 */
	struct bomb *b = arg;

	(void)err;
	assert_true(len >= sizeof(head) + 512);
	if (b->n++) {
		memcpy(data, block, sizeof(block));
		return sizeof(block);
	}
	memcpy(data, head, sizeof(head));
	memcpy((uint8_t *)data + sizeof(head), b->t.b.data, 512);
	return sizeof(head) + 512;
}

static void decompression_bombs_are_refused(void **state)
{
	struct bomb b = {TARBALL_INIT, 0};
	struct layer_source src = {bomb_read, &b};
	struct layer_info info;
	struct err err = {0};

	(void)state;
	(void)tb_header(&b.t, '0', "zeros", 4ULL << 30, NULL);
	assert_int_equal(
		layer_ingest(store, &src, NULL, NULL, NULL, NULL, &info, &err),
		-EFBIG);
	assert_non_null(strstr(err.msg, "decompression bomb"));
	assert_true(test_store_is_empty(store));
	tb_release(&b.t);
}

/* As on a full disk: no file may grow past the limit. */
static void failing_writes_leave_nothing(void **state)
{
	struct tarball t = TARBALL_INIT;
	struct layer_info info;
	struct rlimit old, low;
	unsigned failed = 0;

	(void)state;
	good_layer(&t);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	low = old;
	for (low.rlim_cur = 0; low.rlim_cur < 120000; low.rlim_cur += 4096) {
		int r;

		assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
		r = test_ingest_step(store, &t, 4096, NULL, NULL, &info, NULL);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
		if (r == 0)
			break;
		failed++;
		assert_true(test_store_is_empty(store));
	}
	assert_true(failed > 2);
	tb_release(&t);
}

static void damaged_layers_are_not_present(void **state)
{
	struct tarball t = TARBALL_INIT;
	char path[LAYER_PATH_LEN];
	struct layer_info info;
	struct digest id;
	struct err err = {0};
	int fd;

	(void)state;
	good_layer(&t);
	assert_int_equal(test_ingest(store, &t, &id, &err), 0);
	assert_int_equal(layer_present(store, &id), 1);

	layer_path(&id, "data", path);
	assert_int_equal(fchmodat(store->fd, path, 0600, 0), 0);
	fd = openat(store->fd, path, O_RDWR);
	assert_int_equal(fd_pwrite_full(fd, "!", 1, 5), 0);
	assert_int_equal(layer_present(store, &id), 1); /* lengths only */
	assert_int_equal(layer_verify(store, &id, &err), -EBADMSG);
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(layer_present(store, &id), 0);
	(void)close(fd);

	assert_int_equal(
		test_ingest_step(store, &t, 512, &id, NULL, &info, &err), 0);
	assert_int_equal(layer_present(store, &id), 1);
	assert_int_equal(layer_verify(store, &id, &err), 0);
	tb_release(&t);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(files_are_aligned_small_ones_inline),
		T(zero_pages_are_holes),
		T(result_depends_on_the_tar_only),
		T(the_very_same_tar_can_be_made_again),
		T(wrong_diff_id_leaves_nothing),
		T(damaged_streams_leave_nothing),
		T(hostile_names_are_refused),
		T(harmless_names_are_cleaned),
		T(hostile_entries_are_refused),
		T(whiteouts_are_told_from_files),
		T(overlay_attributes_are_dropped),
		T(limits_are_kept),
		T(decompression_bombs_are_refused),
		T(failing_writes_leave_nothing),
		T(damaged_layers_are_not_present),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
