#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "base/spawn.h"
#include "image/rootfs.h"
#include "image/tarball.h"

static struct store *store;

static int setup(void **state)
{
	(void)state;
	log_setup("test", 2, LOG_NONE);
	store = test_store_open();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	test_store_close(store);
	return 0;
}

static bool have(const char *tool)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/usr/bin/%s", tool);
	if (access(path, X_OK) == 0)
		return true;
	(void)snprintf(path, sizeof(path), "/usr/sbin/%s", tool);
	return access(path, X_OK) == 0;
}

/* Run a tool on an open file; its exit code, its output in @out. */
static int run(const char *tool, const char *arg, int fd, struct buf *out)
{
	char path[64];
	char *argv[] = {(char *)tool, (char *)arg, path, NULL};
	struct spawn_opts o = {
		.argv = argv, .output = out, .timeout_ms = 60000};
	struct err err = {0};
	int r;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	r = spawn_run(&o, &err);
	if (r != 0)
		print_message("# %s: %s\n", tool, err.msg);
	return r;
}

/* The whole disk in one unlinked file. */
static int make_disk(const struct rootfs *fs)
{
	int fd = openat(store->home_fd, ".", O_TMPFILE | O_RDWR, 0600);
	static uint8_t chunk[1 << 16];
	uint64_t at = 0;

	assert_true(fd >= 0);
	for (uint32_t i = 0; i < fs->nextents; i++) {
		const struct rootfs_extent *x = &fs->extents[i];

		for (uint64_t done = 0; done < x->len;) {
			size_t n = MIN(sizeof(chunk), x->len - done);

			assert_int_equal(fd_pread_full(fs->fds[x->fd], chunk, n,
			                               x->offset + done),
			                 n);
			assert_int_equal(fd_pwrite_full(fd, chunk, n, at), 0);
			done += n;
			at += n;
		}
	}
	assert_int_equal(at, fs->size);
	return fd;
}

static void digest_of_disk(const struct digest *chain, struct digest *ret)
{
	struct rootfs fs;
	cleanup_close int fd = -1;

	assert_int_equal(rootfs_open(store, chain, &fs, NULL), 0);
	fd = make_disk(&fs);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(digest_of_fd(fd, ret), 0);
	rootfs_release(&fs);
}

static void build(const struct digest *ids, uint32_t n, struct digest *ret)
{
	struct err err = {0};

	if (rootfs_build(store, ids, n, ret, &err) < 0)
		fail_msg("%s", err.msg);
}

static void two_layers(struct digest *ids)
{
	struct tarball a = TARBALL_INIT, b = TARBALL_INIT;
	static char data[3][9100];
	char name[300];

	for (int i = 0; i < 3; i++)
		memset(data[i], 'A' + i, sizeof(data[i]));
	for (int i = 0; i < 700; i++) {
		(void)snprintf(name, sizeof(name), "many/%0*d", i % 200 + 1, i);
		tb_file(&a, name, data[i % 3], (size_t)i * 13);
	}
	tb_sym(&a, "link", "many/somewhere");
	TB_PAX(&a,
	       "SCHILY.xattr.user.long="
	       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	       "SCHILY.xattr.security.capability=xxxxxxxx");
	tb_text(&a, "attr", "x");
	tb_text(&b, "many/.wh.0", "");
	tb_file(&b, "new", data[1], sizeof(data[1]));
	tb_hard(&b, "new2", "new");
	tb_dev(&b, '3', "null", 1, 3);
	assert_int_equal(test_ingest(store, &a, &ids[0], NULL), 0);
	assert_int_equal(test_ingest(store, &b, &ids[1], NULL), 0);
	tb_release(&a);
	tb_release(&b);
}

/* sha256("CHAIN DIFF_ID"), as the image specification says. */
static void chain_id_is_the_specifications(void **state)
{
	struct digest ids[2], chain, want;
	char text[160];

	(void)state;
	digest_of("a", 1, &ids[0]);
	digest_of("b", 1, &ids[1]);
	rootfs_chain_id(ids, 1, &chain);
	assert_true(digest_equal(&chain, &ids[0]));
	digest_text(&ids[0], text);
	text[DIGEST_TEXT_LEN] = ' ';
	digest_text(&ids[1], text + DIGEST_TEXT_LEN + 1);
	digest_of(text, strlen(text), &want);
	rootfs_chain_id(ids, 2, &chain);
	assert_true(digest_equal(&chain, &want));
}

static void fsck_finds_nothing_wrong(void **state)
{
	struct digest ids[2], chain;
	struct rootfs fs;
	cleanup_close int fd = -1;

	(void)state;
	if (!have("fsck.erofs"))
		skip();
	two_layers(ids);
	build(ids, 2, &chain);
	assert_int_equal(rootfs_open(store, &chain, &fs, NULL), 0);
	assert_int_equal(fs.nextents, 3);
	assert_int_equal(fs.size % 4096, 0);
	fd = make_disk(&fs);
	rootfs_release(&fs);
	assert_int_equal(run("fsck.erofs", "-d0", fd, NULL), 0);
}

/*
 * Link texts and names of every length move the tails over every place in a
 * block; fsck reads them all back.
 */
static void tails_fit_at_every_offset(void **state)
{
	struct tarball t = TARBALL_INIT;
	struct digest id, chain;
	struct rootfs fs;
	cleanup_close int fd = -1;
	char text[4096], name[32], body[1024] = {0};

	(void)state;
	if (!have("fsck.erofs"))
		skip();
	memset(text, 't', sizeof(text));
	for (int i = 1; i < 4096; i += 5) {
		text[i] = '\0';
		(void)snprintf(name, sizeof(name), "l%d", i);
		tb_long(&t, 'K', text);
		tb_sym(&t, name, "x");
		text[i] = 't';
		(void)snprintf(name, sizeof(name), "f%d", i);
		tb_file(&t, name, body, (size_t)i % 1025);
		(void)snprintf(name, sizeof(name), "d%d/%d", i % 7, i);
		tb_dir(&t, name);
	}
	assert_int_equal(test_ingest(store, &t, &id, NULL), 0);
	build(&id, 1, &chain);
	assert_int_equal(rootfs_open(store, &chain, &fs, NULL), 0);
	fd = make_disk(&fs);
	rootfs_release(&fs);
	assert_int_equal(run("fsck.erofs", "-d0", fd, NULL), 0);
	tb_release(&t);
}

static void same_layers_give_the_same_bytes(void **state)
{
	struct digest ids[2], chain, first, second;
	char path[128] = "chains/", hex[DIGEST_HEX_LEN + 1];

	(void)state;
	two_layers(ids);
	build(ids, 2, &chain);
	digest_of_disk(&chain, &first);
	digest_hex(&chain, hex);
	(void)snprintf(path, sizeof(path), "chains/%.2s/%s.1", hex, hex);
	assert_int_equal(dir_remove(store->fd, path), 0);
	assert_int_equal(rootfs_open(store, &chain, &(struct rootfs){0}, NULL),
	                 -ENOENT);
	build(ids, 2, &chain);
	digest_of_disk(&chain, &second);
	assert_true(digest_equal(&first, &second));
}

static int open_in_chain(const struct digest *chain, const char *name)
{
	char path[160], hex[DIGEST_HEX_LEN + 1];

	digest_hex(chain, hex);
	(void)snprintf(path, sizeof(path), "chains/%.2s/%s.1/%s", hex, hex,
	               name);
	assert_int_equal(fchmodat(store->fd, path, 0600, 0), 0);
	return openat(store->fd, path, O_RDWR);
}

/* A flipped bit anywhere in the metadata is seen, and building mends it. */
static void damage_is_found_at_open(void **state)
{
	struct digest ids[2], chain;
	struct rootfs fs;
	struct stat st;

	(void)state;
	two_layers(ids);
	build(ids, 2, &chain);
	for (unsigned i = 0; i < 50; i++) {
		int fd = open_in_chain(&chain, "fsmeta");
		uint8_t c;

		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(
			fd_pread_full(fd, &c, 1, (uint64_t)st.st_size * i / 50),
			1);
		c ^= 1;
		assert_int_equal(fd_pwrite_full(fd, &c, 1,
		                                (uint64_t)st.st_size * i / 50),
		                 0);
		(void)close(fd);
		assert_int_equal(rootfs_open(store, &chain, &fs, NULL),
		                 -EBADMSG);
		build(ids, 2, &chain);
		assert_int_equal(rootfs_open(store, &chain, &fs, NULL), 0);
		rootfs_release(&fs);
	}
}

static void short_data_is_found_at_open(void **state)
{
	struct digest ids[2], chain;
	struct rootfs fs;
	struct err err = {0};
	char path[LAYER_PATH_LEN];
	int fd;

	(void)state;
	two_layers(ids);
	build(ids, 2, &chain);
	layer_path(&ids[0], "data", path);
	assert_int_equal(fchmodat(store->fd, path, 0600, 0), 0);
	fd = openat(store->fd, path, O_RDWR);
	assert_int_equal(ftruncate(fd, 4096), 0);
	(void)close(fd);
	assert_int_equal(rootfs_open(store, &chain, &fs, &err), -EBADMSG);
	assert_non_null(strstr(err.hint, "msb pull"));
	assert_int_equal(rootfs_build(store, ids, 2, &chain, &err), -EBADMSG);
	layer_path(&ids[0], "index", path);
	assert_int_equal(unlinkat(store->fd, path, 0), 0);
	assert_int_equal(rootfs_build(store, ids, 2, &chain, &err), -ENOENT);
}

static void garbage_descriptions_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"{}",
		"[]",
		"{\"layers\":[]}",
		"{\"layers\":[{}],\"bytes\":4096}",
		"{\"layers\":[{}],\"bytes\":-4096,\"split\":0}",
		"{\"layers\":[1],\"bytes\":9223372036854775807,\"split\":1}",
		"{\"bytes\":4096,\"split\":99999999,\"layers\":[{}]}",
	};
	struct digest ids[2], chain;
	struct rootfs fs;

	(void)state;
	two_layers(ids);
	build(ids, 2, &chain);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		int fd = open_in_chain(&chain, "chain.json");

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(
			fd_pwrite_full(fd, texts[i], strlen(texts[i]), 0), 0);
		(void)close(fd);
		assert_int_equal(rootfs_open(store, &chain, &fs, NULL),
		                 -EBADMSG);
	}
}

static void layer_counts_are_bounded(void **state)
{
	struct digest *ids cleanup_free = calloc(513, sizeof(*ids)), chain;

	(void)state;
	assert_int_equal(rootfs_build(store, ids, 0, &chain, NULL), -EINVAL);
	assert_int_equal(rootfs_build(store, ids, 513, &chain, NULL), -EINVAL);
}

static void upper_is_clean_sparse_and_private(void **state)
{
	struct buf cleanup_buf out = BUF_INIT;
	cleanup_close int a = -1, b = -1;
	struct stat st;
	struct err err = {0};
	char path[64];
	char *argv[] = {"/usr/sbin/debugfs", "-R", "ls -p /", path, NULL};
	struct spawn_opts o = {
		.argv = argv, .output = &out, .timeout_ms = 60000};

	(void)state;
	if (upper_create(store, 8 * GIB, &a, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(upper_create(store, 8 * GIB, &b, &err), 0);
	assert_int_equal(fstat(a, &st), 0);
	assert_int_equal(st.st_size, 8 * GIB);
	assert_int_equal(st.st_nlink, 0);
	assert_true(st.st_blocks * 512 <= 1 << 20);
	assert_int_equal(run("/usr/sbin/e2fsck", "-fn", a, NULL), 0);
	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), b);
	assert_int_equal(spawn_run(&o, &err), 0);
	assert_non_null(strstr(buf_str(&out), "/040755/0/0/u/"));
	assert_non_null(strstr(buf_str(&out), "/040755/0/0/w/"));
}

static void small_and_odd_uppers(void **state)
{
	cleanup_close int a = -1, b = -1;
	struct err err = {0};

	(void)state;
	if (upper_create(store, 16 * MIB, &a, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(run("/usr/sbin/e2fsck", "-fn", a, NULL), 0);
	if (upper_create(store, 300 * MIB + 4096, &b, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(run("/usr/sbin/e2fsck", "-fn", b, NULL), 0);
	assert_int_equal(upper_create(store, 4096, &a, &err), -EINVAL);
	assert_int_equal(upper_create(store, 16 * MIB + 1, &a, &err), -EINVAL);
	assert_int_equal(upper_create(store, UINT64_MAX, &a, &err), -EINVAL);
}

/* --- a host directory -------------------------------------------------- */

static int host_dir(void)
{
	int fd;

	assert_int_equal(mkdirat(store->home_fd, "dir", 0700), 0);
	fd = openat(store->home_fd, "dir", O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	return fd;
}

static void put(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
	(void)close(fd);
}

static void packing_again_gives_the_same_chain(void **state)
{
	cleanup_close int dir = host_dir();
	struct digest first, second, third;
	struct err err = {0};

	(void)state;
	put(dir, "file", "content");
	assert_int_equal(linkat(dir, "file", dir, "hard", 0), 0);
	assert_int_equal(symlinkat("/etc/shadow", dir, "link"), 0);
	assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
	assert_int_equal(mkdirat(dir, "sub", 0711), 0);
	if (rootfs_pack_dir(store, dir, &first, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(rootfs_pack_dir(store, dir, &second, &err), 0);
	assert_true(digest_equal(&first, &second));
	put(dir, "another", "x");
	assert_int_equal(rootfs_pack_dir(store, dir, &third, &err), 0);
	assert_false(digest_equal(&first, &third));
}

static void links_are_packed_not_followed(void **state)
{
	cleanup_close int dir = host_dir();
	struct digest chain;
	char path[LAYER_PATH_LEN];
	struct buf cleanup_buf pool = BUF_INIT;
	struct err err = {0};

	(void)state;
	put(store->home_fd, "secret", "do not pack this");
	assert_int_equal(symlinkat("../secret", dir, "link"), 0);
	assert_int_equal(symlinkat("..", dir, "up"), 0);
	assert_int_equal(rootfs_pack_dir(store, dir, &chain, &err), 0);
	layer_path(&chain, "index", path); /* one layer: chain id = diff_id */
	assert_int_equal(file_read(store->fd, path, &pool), 0);
	assert_non_null(memmem(pool.data, pool.len, "../secret", 9));
	assert_null(memmem(pool.data, pool.len, "do not pack", 11));
}

static void sockets_are_left_out(void **state)
{
	cleanup_close int dir = host_dir(),
			  s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct digest chain;
	char path[LAYER_PATH_LEN];
	struct buf cleanup_buf pool = BUF_INIT;

	(void)state;
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path),
	               "/proc/self/fd/%d/sock", dir);
	assert_int_equal(bind(s, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(rootfs_pack_dir(store, dir, &chain, NULL), 0);
	layer_path(&chain, "index", path);
	assert_int_equal(file_read(store->fd, path, &pool), 0);
	assert_null(memmem(pool.data, pool.len, "sock", 4));
}

static void whiteout_names_cannot_be_packed(void **state)
{
	cleanup_close int dir = host_dir();
	struct digest chain;
	struct err err = {0};

	(void)state;
	put(dir, ".wh.x", "");
	assert_int_equal(rootfs_pack_dir(store, dir, &chain, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "cannot pack .wh.x"));
	assert_true(test_store_is_empty(store));
}

/* A store in a folder of the packed tree: its own name, but nothing of it. */
static void the_store_does_not_pack_itself(void **state)
{
	cleanup_close int dir = host_dir();
	struct store *inner = NULL;
	struct digest chain;
	struct err err = {0};
	char home[128], path[LAYER_PATH_LEN];
	struct buf cleanup_buf pool = BUF_INIT;

	(void)state;
	(void)snprintf(home, sizeof(home), "%s/dir/home", store->home);
	assert_int_equal(store_open(home, &inner, &err), 0);
	assert_int_equal(rootfs_pack_dir(inner, dir, &chain, &err), 0);
	layer_path(&chain, "index", path);
	assert_int_equal(file_read(inner->fd, path, &pool), 0);
	assert_non_null(memmem(pool.data, pool.len, "home", 4));
	assert_null(memmem(pool.data, pool.len, "layers", 6));
	store_close(inner);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(chain_id_is_the_specifications),
		T(fsck_finds_nothing_wrong),
		T(tails_fit_at_every_offset),
		T(same_layers_give_the_same_bytes),
		T(damage_is_found_at_open),
		T(short_data_is_found_at_open),
		T(garbage_descriptions_are_refused),
		T(layer_counts_are_bounded),
		T(upper_is_clean_sparse_and_private),
		T(small_and_odd_uppers),
		T(packing_again_gives_the_same_chain),
		T(links_are_packed_not_followed),
		T(sockets_are_left_out),
		T(whiteout_names_cannot_be_packed),
		T(the_store_does_not_pack_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
