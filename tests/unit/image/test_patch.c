/* Changes to an image before it starts: what a guest would see of them. */
#include "lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "image/gc.h"
#include "image/index.h"
#include "image/install.h"
#include "image/layer.h"
#include "image/patch.h"
#include "image/tarball.h"
#include "image/tree.h"

#define LAYERS_MAX 4
#define CREATED    1700000000

static struct store *store;
static struct image base;
static struct digest ids[LAYERS_MAX];
static struct tarball layers[LAYERS_MAX];
static char folder[128]; /* of the host, to copy from */

static int setup(void **state)
{
	(void)state;
	store = test_store_open();
	for (size_t i = 0; i < LAYERS_MAX; i++)
		layers[i] = (struct tarball)TARBALL_INIT;
	base = (struct image){.ref = (char *)(uintptr_t) "test",
	                      .config_json = (char *)(uintptr_t) "{}",
	                      .created_unix = CREATED,
	                      .diff_ids = ids};
	(void)snprintf(folder, sizeof(folder), "%s/host", store->home);
	assert_int_equal(mkdir(folder, 0755), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAYERS_MAX; i++)
		tb_release(&layers[i]);
	test_store_close(store);
	return 0;
}

static void add_layer(void)
{
	struct err err = {0};

	if (test_ingest(store, &layers[base.nlayers], &ids[base.nlayers],
	                &err) < 0)
		fail_msg("%s", err.msg);
	base.nlayers++;
	rootfs_chain_id(ids, base.nlayers, &base.chain_id);
}

/* What most tests change. */
static void usual(void)
{
	struct tarball *t = &layers[base.nlayers];

	tb_dir(t, "etc/");
	tb_text(t, "etc/hosts", "localhost\n");
	tb_text(t, "etc/passwd", "root\n");
	tb_sym(t, "etc/link", "hosts");
	tb_sym(t, "etc/away", "/usr/lib/far");
	tb_dir(t, "usr/");
	tb_dir(t, "usr/lib/");
	tb_dir(t, "usr/lib/far/");
	tb_text(t, "usr/lib/far/f", "far");
	tb_sym(t, "lib", "usr/lib");
	tb_sym(t, "loop", "loop");
	tb_end(t);
	add_layer();
}

/* ---- what came out ------------------------------------------------------- */

static void show_content(struct buf *out, const struct image *img,
                         const struct tree_inode *n, const struct index *ix)
{
	const struct index_entry *e = n->e;
	char path[LAYER_PATH_LEN];
	cleanup_close int fd = -1;
	uint8_t head[16];
	size_t len = MIN(e->size, sizeof(head));

	if (e->flags & INDEX_F_INLINE) {
		(void)buf_printf(out, "=%.*s", (int)e->link_len,
		                 ix->pool + e->link_off);
		return;
	}
	layer_path(&img->diff_ids[n->layer], "data", path);
	fd = openat(store->fd, path, O_RDONLY);
	assert_int_equal(fd_pread_full(fd, head, len, e->block * INDEX_BLOCK),
	                 len);
	(void)buf_printf(out, "=%.4s...(%llu)", (char *)head,
	                 (unsigned long long)e->size);
}

static void show(struct buf *out, const struct image *img, const struct tree *t,
                 uint32_t dir, const char *prefix)
{
	uint32_t i = t->inodes[dir].first_child;

	for (; i != TREE_NONE; i = t->names[i].next) {
		const struct tree_name *d = &t->names[i];
		const struct tree_inode *n = &t->inodes[d->inode];
		const struct index *ix = &t->layers[n->layer];
		const struct index_entry *e = n->e;
		char path[600];

		(void)snprintf(path, sizeof(path), "%s%.*s", prefix, d->len,
		               d->text);
		(void)buf_adds(out, path);
		if (e && (e->uid || e->gid))
			(void)buf_printf(out, " %u:%u", e->uid, e->gid);
		if (e && e->mode != 0644 && e->type != INDEX_SYM)
			(void)buf_printf(out, " %o", e->mode);
		if (n->nlink > 1 && !tree_is_dir(t, d->inode))
			(void)buf_printf(out, " x%u", n->nlink);
		if (tree_is_dir(t, d->inode)) {
			(void)buf_adds(out, " /\n");
			(void)snprintf(path + strlen(path), 2, "/");
			show(out, img, t, d->inode, path);
			continue;
		}
		if (e->type == INDEX_SYM)
			(void)buf_printf(out, "->%.*s", (int)e->link_len,
			                 ix->pool + e->link_off);
		if (e->type == INDEX_REG)
			show_content(out, img, n, ix);
		(void)buf_addc(out, '\n');
	}
}

static void tree_of(const struct image *img, struct buf *out)
{
	struct index ix[LAYERS_MAX + 1] = {0};
	struct tree *t cleanup_tree = NULL;
	struct err err = {0};

	for (uint32_t i = 0; i < img->nlayers; i++) {
		char path[LAYER_PATH_LEN];
		cleanup_close int fd = -1;

		layer_path(&img->diff_ids[i], "index", path);
		fd = openat(store->fd, path, O_RDONLY);
		if (index_open(fd, &ix[i], &err) < 0)
			fail_msg("%s", err.msg);
	}
	if (tree_build(ix, img->nlayers, &t, &err) < 0)
		fail_msg("%s", err.msg);
	show(out, img, t, TREE_ROOT, "");
	for (uint32_t i = 0; i < img->nlayers; i++)
		index_close(&ix[i]);
}

static struct image patched(const struct patch *patches, size_t n)
{
	struct rootfs cleanup(rootfs_release) fs = {0};
	struct image img = {0};
	struct err err = {0};

	if (image_patch(store, &base, patches, n, &img, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(img.nlayers, MAX(base.nlayers, 1u) + 1);
	assert_true(img.patched);
	assert_int_equal(rootfs_open(store, &img.chain_id, &fs, &err), 0);
	return img;
}

/* Lines of @want are all in the result, in order; "!x" is a path that is not.
 */
static void expect_list(const struct patch *patches, size_t n, const char *want)
{
	struct image cleanup(image_release) img = patched(patches, n);
	struct buf cleanup_buf out = BUF_INIT;
	const char *at;

	tree_of(&img, &out);
	at = buf_str(&out);
	while (*want) {
		size_t len = strcspn(want, "\n");
		char line[512];

		(void)snprintf(line, sizeof(line), "%.*s\n", (int)len, want);
		if (*want == '!') {
			line[len] = '\0';
			if (strstr(buf_str(&out), line + 1))
				fail_msg("%s is in:\n%s", line + 1,
				         buf_str(&out));
		} else {
			at = strstr(at, line);
			if (!at)
				fail_msg("%s is not in:\n%s", line,
				         buf_str(&out));
		}
		want += len + (want[len] == '\n');
	}
}
#define EXPECT(want, ...)                                                      \
	do {                                                                   \
		const struct patch list[] = {__VA_ARGS__};                     \
                                                                               \
		expect_list(list, ARRAY_SIZE(list), want);                     \
	} while (0)

static void refuse_list(const struct patch *patches, size_t n, int code,
                        const char *why)
{
	struct err err = {0};
	struct image img = {0};
	int r = image_patch(store, &base, patches, n, &img, &err);

	if (r != code || !strstr(err.msg, why))
		fail_msg("%d \"%s\", not %d \"%s\"", r, err.msg, code, why);
}
#define REFUSE(code, why, ...)                                                 \
	do {                                                                   \
		const struct patch list[] = {__VA_ARGS__};                     \
                                                                               \
		refuse_list(list, ARRAY_SIZE(list), code, why);                \
	} while (0)

#define FILE_OF(p, text, f)                                                    \
	{                                                                      \
		.kind = PATCH_FILE, .path = (p), .data = (text),               \
		.data_len = strlen(text), .flags = (f)                         \
	}
#define APPEND_TO(p, text)                                                     \
	{                                                                      \
		.kind = PATCH_APPEND, .path = (p), .data = (text),             \
		.data_len = strlen(text)                                       \
	}
#define KIND(k, p)                                                             \
	{                                                                      \
		.kind = (k), .path = (p)                                       \
	}
#define FROM(k, p, src, f)                                                     \
	{                                                                      \
		.kind = (k), .path = (p), .source = (src), .flags = (f)        \
	}

/* ---- the kinds ----------------------------------------------------------- */

static void a_file_is_there_with_its_folders(void **state)
{
	(void)state;
	usual();
	EXPECT("etc 755 /\netc/new=hello\nopt 755 /\nopt/a 755 /\n"
	       "opt/a/b=deep\n",
	       FILE_OF("/etc/new", "hello", 0), FILE_OF("/opt/a/b", "deep", 0));
}

static void mode_and_owner_are_as_said(void **state)
{
	(void)state;
	usual();
	EXPECT("etc/new 7:8 4755=x\nvar 7:8 700 /\n",
	       {.kind = PATCH_FILE,
	        .path = "/etc/new",
	        .data = "x",
	        .data_len = 1,
	        .flags = PATCH_F_MODE | PATCH_F_OWNER,
	        .mode = 04755,
	        .uid = 7,
	        .gid = 8},
	       {.kind = PATCH_MKDIR,
	        .path = "/var",
	        .flags = PATCH_F_MODE | PATCH_F_OWNER,
	        .mode = 0700,
	        .uid = 7,
	        .gid = 8});
}

static void an_empty_file_is_one(void **state)
{
	(void)state;
	usual();
	EXPECT("etc/empty=\n", FILE_OF("/etc/empty", "", 0));
}

static void what_exists_needs_replace(void **state)
{
	(void)state;
	usual();
	REFUSE(-EEXIST, "/etc/hosts: it exists already",
	       FILE_OF("/etc/hosts", "x", 0));
	REFUSE(-EEXIST, "it exists", FILE_OF("/etc/link", "x", 0));
	REFUSE(-EEXIST, "it exists", FILE_OF("/usr", "x", 0));
	REFUSE(-EEXIST, "it exists", FROM(PATCH_SYMLINK, "/lib", "x", 0));
	REFUSE(-EEXIST, "it exists", KIND(PATCH_MKDIR, "/etc/hosts"));
	REFUSE(-EEXIST, "it exists", FILE_OF("/n", "x", 0),
	       FILE_OF("/n", "y", 0));
}

static void replace_takes_what_was_there(void **state)
{
	(void)state;
	usual();
	EXPECT("etc/hosts=new\netc/link=file\n!usr/lib 755\nusr=flat\n",
	       FILE_OF("/etc/hosts", "new", PATCH_F_REPLACE),
	       FILE_OF("/etc/link", "file", PATCH_F_REPLACE),
	       FILE_OF("/usr", "flat", PATCH_F_REPLACE));
}

static void a_folder_in_place_of_one_is_empty(void **state)
{
	(void)state;
	usual();
	EXPECT("usr 755 /\nusr/only=1\n!usr/lib 755\n",
	       KIND(PATCH_REMOVE, "/usr"), KIND(PATCH_MKDIR, "/usr"),
	       FILE_OF("/usr/only", "1", 0));
}

static void mkdir_leaves_a_folder_as_it_is(void **state)
{
	(void)state;
	usual();
	EXPECT("etc 755 /\netc/hosts=localhost\n",
	       {.kind = PATCH_MKDIR,
	        .path = "/etc",
	        .flags = PATCH_F_MODE,
	        .mode = 0700},
	       KIND(PATCH_MKDIR, "/lib"), KIND(PATCH_MKDIR, "/"));
}

static void remove_is_content_with_nothing(void **state)
{
	(void)state;
	usual();
	EXPECT("etc 755 /\n!etc/hosts\n!lib->\n!nowhere\nusr/lib/far/f=far\n",
	       KIND(PATCH_REMOVE, "/etc/hosts"),
	       KIND(PATCH_REMOVE, "/etc/hosts"), KIND(PATCH_REMOVE, "/lib"),
	       KIND(PATCH_REMOVE, "/nowhere/at/all"),
	       KIND(PATCH_REMOVE, "/etc/passwd/x"));
	REFUSE(-EINVAL, "the root itself", KIND(PATCH_REMOVE, "/"));
}

static void removed_names_come_back(void **state)
{
	(void)state;
	usual();
	EXPECT("etc/hosts=again\n", KIND(PATCH_REMOVE, "/etc/hosts"),
	       FILE_OF("/etc/hosts", "again", 0));
}

static void append_needs_a_file(void **state)
{
	(void)state;
	usual();
	EXPECT("etc/hosts=localhost\nmoreagain\n",
	       APPEND_TO("/etc/hosts", "more"),
	       APPEND_TO("/etc/link", "again"));
	EXPECT("etc/n=12\n", FILE_OF("/etc/n", "1", 0),
	       APPEND_TO("/etc/n", "2"));
	REFUSE(-ENOENT, "no such file", APPEND_TO("/etc/nothing", "x"));
	REFUSE(-ENOENT, "no such file", KIND(PATCH_REMOVE, "/etc/hosts"),
	       APPEND_TO("/etc/hosts", "x"));
	REFUSE(-EINVAL, "not a regular file", APPEND_TO("/etc", "x"));
	REFUSE(-ELOOP, "too many links", APPEND_TO("/loop", "x"));
	REFUSE(-ENOTDIR, "no folder", APPEND_TO("/etc/hosts/x", "x"));
}

static void append_to_a_big_file_keeps_it(void **state)
{
	static uint8_t big[3 << 20];
	struct tarball *t = &layers[0];

	(void)state;
	memset(big, 'b', sizeof(big));
	tb_file(t, "big", big, sizeof(big));
	tb_end(t);
	add_layer();
	EXPECT("big=bbbb...(3145731)\n", APPEND_TO("/big", "end"));
	EXPECT("big 1:2=bbbb...(3145728)\n",
	       {.kind = PATCH_SET_OWNER, .path = "/big", .uid = 1, .gid = 2});
}

static void attributes_are_set_alone(void **state)
{
	(void)state;
	usual();
	EXPECT(" 3:4 700 /\n",
	       {.kind = PATCH_SET_MODE, .path = "/usr/lib/far", .mode = 0700},
	       {.kind = PATCH_SET_OWNER,
	        .path = "/etc/away",
	        .uid = 3,
	        .gid = 4});
	EXPECT("etc 1777 /\netc/hosts 600=localhost\n",
	       {.kind = PATCH_SET_MODE, .path = "/etc/link", .mode = 0600},
	       {.kind = PATCH_SET_MODE, .path = "/etc", .mode = 01777},
	       {.kind = PATCH_SET_MODE, .path = "/", .mode = 0711});
	REFUSE(-ENOENT, "no such file",
	       {.kind = PATCH_SET_MODE, .path = "/none", .mode = 0600});
	REFUSE(-EINVAL, "four octal digits",
	       {.kind = PATCH_SET_MODE, .path = "/etc", .mode = 010000});
}

static void links_on_the_way_are_followed_inside(void **state)
{
	(void)state;
	usual();
	EXPECT("lib->usr/lib\nusr/lib/far 755 /\nusr/lib/far/f=far\n"
	       "usr/lib/far/g=1\nusr/lib/x=2\n",
	       FILE_OF("/etc/away/g", "1", 0), FILE_OF("/lib/x", "2", 0));
	REFUSE(-ELOOP, "too many links", FILE_OF("/loop/x", "1", 0));
	REFUSE(-ENOTDIR, "no folder", FILE_OF("/etc/hosts/x", "1", 0));
}

/* "/" ends at the image's root, whatever a link of a patch says. */
static void a_link_leads_nowhere_out(void **state)
{
	(void)state;
	usual();
	EXPECT("etc/up->../../../../..\nout 755 /\nout/f=1\nup->/../../out\n",
	       FROM(PATCH_SYMLINK, "/up", "/../../out", 0),
	       FROM(PATCH_SYMLINK, "/etc/up", "../../../../..", 0),
	       FILE_OF("/etc/up/up/f", "1", 0));
}

static void paths_are_plain(void **state)
{
	static char part[300], deep[5000];

	(void)state;
	usual();
	memset(part, 'x', sizeof(part) - 1);
	part[0] = '/';
	for (size_t i = 0; i + 2 < sizeof(deep); i += 2)
		memcpy(deep + i, "/a", 2);
	REFUSE(-EINVAL, "not an absolute path", FILE_OF("etc/x", "", 0));
	REFUSE(-EINVAL, "not an absolute path", FILE_OF("", "", 0));
	REFUSE(-EINVAL, "not a plain path", FILE_OF("/etc/../x", "", 0));
	REFUSE(-EINVAL, "not a plain path", FILE_OF("/..", "", 0));
	REFUSE(-EINVAL, "not a plain path", FILE_OF("/./x", "", 0));
	REFUSE(-EINVAL, "not a plain path", FILE_OF("//x", "", 0));
	REFUSE(-EINVAL, "not a plain path", FILE_OF("/etc/x/", "", 0));
	REFUSE(-EINVAL, "not a plain path", FILE_OF(part, "", 0));
	REFUSE(-EINVAL, "not a plain path", FILE_OF(deep, "", 0));
	REFUSE(-EINVAL, ".wh.", FILE_OF("/etc/.wh.hosts", "", 0));
	REFUSE(-EINVAL, ".wh.", KIND(PATCH_MKDIR, "/.wh..wh..opq"));
	REFUSE(-EINVAL, "the root itself", FILE_OF("/", "", PATCH_F_REPLACE));
	REFUSE(-EINVAL, "no patch of kind", {.kind = 99, .path = "/x"});
	REFUSE(-EINVAL, "unknown flags",
	       {.kind = PATCH_MKDIR, .path = "/x", .flags = 64});
	REFUSE(-EINVAL, "a source is missing", KIND(PATCH_COPY, "/x"));
}

/* Raw bytes are fine in names: control characters and what is no UTF-8. */
static void names_are_bytes(void **state)
{
	struct image cleanup(image_release) img = {0};
	const struct patch p = FILE_OF("/etc/\xff\n\x1b[31m", "odd", 0);
	struct buf cleanup_buf out = BUF_INIT;

	(void)state;
	usual();
	img = patched(&p, 1);
	tree_of(&img, &out);
	assert_non_null(strstr(buf_str(&out), "etc/\xff\n\x1b[31m=odd\n"));
}

static void messages_have_no_control_characters(void **state)
{
	struct err err = {0};
	struct image img = {0};
	const struct patch p = APPEND_TO("/etc/\x1b[31m", "x");

	(void)state;
	usual();
	assert_int_equal(image_patch(store, &base, &p, 1, &img, &err), -ENOENT);
	assert_null(strchr(err.msg, '\x1b'));
}

/* ---- the layer ----------------------------------------------------------- */

static void the_same_patches_are_the_same_layer(void **state)
{
	const struct patch one[] = {FILE_OF("/b/x", "1", 0),
	                            FILE_OF("/a/y", "2", 0)};
	const struct patch other[] = {FILE_OF("/a/y", "2", 0),
	                              FILE_OF("/b/x", "1", 0)};
	struct image cleanup(image_release) a = {0};
	struct image cleanup(image_release) b = {0};

	(void)state;
	usual();
	a = patched(one, 2);
	b = patched(other, 2);
	assert_true(digest_equal(&a.chain_id, &b.chain_id));
	assert_true(digest_equal(&a.diff_ids[1], &b.diff_ids[1]));
	assert_false(digest_equal(&a.chain_id, &base.chain_id));
}

/* Two layers with a whiteout: what the image hides stays hidden. */
static void layers_below_stay_as_they_are(void **state)
{
	struct tarball *t = &layers[1];
	struct image cleanup(image_release) img = {0};
	const struct patch p = FILE_OF("/etc/new", "x", 0);
	struct index ix = {0};
	struct err err = {0};
	char path[LAYER_PATH_LEN];
	cleanup_close int fd = -1;

	(void)state;
	usual();
	tb_text(t, "etc/.wh.passwd", "");
	tb_text(t, "usr/.wh..wh..opq", "");
	tb_end(t);
	add_layer();
	img = patched(&p, 1);
	layer_path(&img.diff_ids[2], "index", path);
	fd = openat(store->fd, path, O_RDONLY);
	assert_int_equal(index_open(fd, &ix, &err), 0);
	assert_int_equal(ix.n, 1);
	index_close(&ix);
	EXPECT("etc/passwd=mine\n!usr/lib 755\n",
	       FILE_OF("/etc/passwd", "mine", 0));
}

static void xattrs_stay_with_a_changed_file(void **state)
{
	struct image cleanup(image_release) img = {0};
	const struct patch p = {
		.kind = PATCH_SET_MODE, .path = "/f", .mode = 0600};
	struct tarball *t = &layers[0];
	struct index ix = {0};
	char path[LAYER_PATH_LEN];
	cleanup_close int fd = -1;

	(void)state;
	TB_PAX(t, "SCHILY.xattr.user.colour=blue", "mtime=1234567890.5");
	tb_text(t, "f", "x");
	tb_end(t);
	add_layer();
	img = patched(&p, 1);
	layer_path(&img.diff_ids[1], "index", path);
	fd = openat(store->fd, path, O_RDONLY);
	assert_int_equal(index_open(fd, &ix, NULL), 0);
	assert_int_equal(ix.n, 1);
	assert_int_equal(ix.entries[0].mtime, 1234567890);
	assert_int_equal(ix.entries[0].mtime_ns, 500000000);
	assert_int_equal(ix.entries[0].xattr_len, 3 + 11 + 4);
	assert_memory_equal(ix.pool + ix.entries[0].xattr_off + 3,
	                    "user.colourblue", 15);
	index_close(&ix);
}

static void times_are_the_images(void **state)
{
	struct image cleanup(image_release) img = {0};
	const struct patch p = FILE_OF("/a/b", "x", 0);
	struct index ix = {0};
	char path[LAYER_PATH_LEN];
	cleanup_close int fd = -1;

	(void)state;
	usual();
	img = patched(&p, 1);
	layer_path(&img.diff_ids[1], "index", path);
	fd = openat(store->fd, path, O_RDONLY);
	assert_int_equal(index_open(fd, &ix, NULL), 0);
	assert_int_equal(ix.n, 2);
	assert_int_equal(ix.entries[0].mtime, CREATED);
	assert_int_equal(ix.entries[1].mtime, CREATED);
	index_close(&ix);
}

static void a_packed_folder_can_be_patched(void **state)
{
	struct image cleanup(image_release) img = {0};
	const struct patch p = FILE_OF("/in", "x", 0);
	struct buf cleanup_buf out = BUF_INIT;
	cleanup_close int fd = open(folder, O_RDONLY | O_DIRECTORY);
	struct err err = {0};

	(void)state;
	assert_int_equal(file_write_atomic(fd, "own", "1", 1, 0644), 0);
	base.config_json = NULL;
	if (rootfs_pack_dir(store, fd, &base.chain_id, &err) < 0)
		fail_msg("%s", err.msg);
	img = patched(&p, 1);
	assert_null(img.config_json);
	tree_of(&img, &out);
	assert_non_null(strstr(buf_str(&out), "in=x\n"));
	assert_non_null(strstr(buf_str(&out), "own"));
}

/* ---- copies of the host -------------------------------------------------- */

static void put(const char *name, const char *text, mode_t mode)
{
	char path[256];
	cleanup_close int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
	assert_int_equal(fchmod(fd, mode), 0);
}

static const char *at(const char *name)
{
	static char path[4][256];
	static unsigned turn;

	turn = (turn + 1) % 4;
	(void)snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
	return path[turn];
}

static void a_file_is_copied(void **state)
{
	(void)state;
	usual();
	put("f", "content", 04750);
	assert_int_equal(symlink("f", at("l")), 0);
	EXPECT("f 750=content\nl 750=content\nm 4711=content\n",
	       FROM(PATCH_COPY, "/f", at("f"), 0),
	       FROM(PATCH_COPY, "/l", at("l"), 0),
	       {.kind = PATCH_COPY,
	        .path = "/m",
	        .source = at("f"),
	        .flags = PATCH_F_MODE,
	        .mode = 04711});
	REFUSE(-ENOENT, "cannot copy", FROM(PATCH_COPY, "/x", at("none"), 0));
	REFUSE(-EEXIST, "it exists",
	       FROM(PATCH_COPY, "/etc/hosts", at("f"), 0));
	EXPECT("etc/hosts 750=content+\n",
	       FROM(PATCH_COPY, "/etc/hosts", at("f"), PATCH_F_REPLACE),
	       APPEND_TO("/etc/hosts", "+"));
}

/* Of the source's own path; links in a tree are copied as links. */
static void no_part_of_a_source_is_a_link_when_it_may_not(void **state)
{
	const char *why = "a part of its path is a symbolic link";

	(void)state;
	usual();
	assert_int_equal(mkdir(at("d"), 0755), 0);
	put("d/f", "content", 0644);
	assert_int_equal(symlink("d", at("way")), 0);
	assert_int_equal(symlink("f", at("d/l")), 0);
	EXPECT("f=content\n",
	       FROM(PATCH_COPY, "/f", at("d/f"), PATCH_F_NO_LINKS));
	EXPECT("to/f=content\nto/l->f\n",
	       FROM(PATCH_COPY, "/to", at("d"), PATCH_F_NO_LINKS));
	REFUSE(-ELOOP, why,
	       FROM(PATCH_COPY, "/f", at("way/f"), PATCH_F_NO_LINKS));
	REFUSE(-ELOOP, why,
	       FROM(PATCH_COPY, "/f", at("d/l"), PATCH_F_NO_LINKS));
	REFUSE(-ELOOP, why,
	       FROM(PATCH_COPY, "/f", at("way"), PATCH_F_NO_LINKS));
	REFUSE(-EINVAL, "only what is copied",
	       FILE_OF("/f", "x", PATCH_F_NO_LINKS));
}

static void a_tree_is_copied_with_its_links(void **state)
{
	(void)state;
	usual();
	assert_int_equal(mkdir(at("d"), 0755), 0);
	assert_int_equal(mkdir(at("d/sub"), 0700), 0);
	put("d/a", "one", 0600);
	assert_int_equal(link(at("d/a"), at("d/sub/b")), 0);
	assert_int_equal(symlink("/etc/shadow", at("d/s")), 0);
	assert_int_equal(symlink("../..", at("d/up")), 0);
	EXPECT("to 755 /\nto/a 600 x2=one\nto/s->/etc/shadow\nto/sub 700 /\n"
	       "to/sub/b 600 x2=one\nto/up->../..\n",
	       FROM(PATCH_COPY, "/to", at("d"), 0));
	EXPECT("etc 755 /\netc/a 5:6 600 x2=one\n!etc/hosts\n",
	       {.kind = PATCH_COPY,
	        .path = "/etc",
	        .source = at("d"),
	        .flags = PATCH_F_REPLACE | PATCH_F_OWNER,
	        .uid = 5,
	        .gid = 6},
	       {.kind = PATCH_SET_MODE, .path = "/etc", .mode = 0755},
	       {.kind = PATCH_SET_OWNER, .path = "/etc", .uid = 0, .gid = 0});
	REFUSE(-EEXIST, "it exists", FROM(PATCH_COPY, "/etc", at("d"), 0));
	REFUSE(-EINVAL, "none can be given",
	       {.kind = PATCH_COPY,
	        .path = "/x",
	        .source = at("d"),
	        .flags = PATCH_F_MODE,
	        .mode = 0700});
	/* Changed by a later patch, both names of a file change. */
	EXPECT("to/a 640 x2=one\nto/sub/b 640 x2=one\n",
	       FROM(PATCH_COPY, "/to", at("d"), 0),
	       {.kind = PATCH_SET_MODE, .path = "/to/sub/b", .mode = 0640});
}

static void special_files_are_not_copied(void **state)
{
	(void)state;
	usual();
	assert_int_equal(mkdir(at("d"), 0755), 0);
	assert_int_equal(mkfifo(at("d/pipe"), 0644), 0);
	REFUSE(-EINVAL, "pipe: a device, pipe or socket",
	       FROM(PATCH_COPY, "/x", at("d"), 0));
	REFUSE(-EINVAL, "a device, pipe or socket",
	       FROM(PATCH_COPY, "/x", at("d/pipe"), 0));
	REFUSE(-EINVAL, "a device, pipe or socket",
	       FROM(PATCH_COPY, "/x", "/dev/null", 0));
	assert_int_equal(unlink(at("d/pipe")), 0);
	put("d/.wh.x", "", 0644);
	REFUSE(-EINVAL, ".wh.", FROM(PATCH_COPY, "/x", at("d"), 0));
}

/* A writer that never stops: a copy is refused or whole, never a mixture. */
static void a_file_that_changes_is_refused(void **state)
{
	static char text[8 << 20];
	struct image img = {0};
	struct err err = {0};
	unsigned refused = 0;
	pid_t pid;

	(void)state;
	usual();
	memset(text, 'a', sizeof(text) - 1);
	put("f", text, 0644);
	pid = fork();
	if (pid == 0) {
		cleanup_close int fd = open(at("f"), O_WRONLY);

		for (uint64_t i = 0;; i++)
			if (pwrite(fd, "z", 1, (off_t)(i % sizeof(text))) != 1)
				_exit(1);
	}
	for (int i = 0; i < 3; i++) {
		const struct patch p = FROM(PATCH_COPY, "/f", at("f"), 0);
		int r = image_patch(store, &base, &p, 1, &img, &err);

		assert_true(r == 0 || r == -EBUSY);
		refused += r == -EBUSY;
		image_release(&img);
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	assert_true(refused > 0);
	assert_non_null(strstr(err.msg, "changed while it was copied"));
}

static void too_many_patches_are_refused(void **state)
{
	static struct patch many[PATCHES_MAX + 1];

	(void)state;
	usual();
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct patch)KIND(PATCH_MKDIR, "/a");
	refuse_list(many, ARRAY_SIZE(many), -E2BIG, "over 4096");
	expect_list(many, PATCHES_MAX, "a 755 /\n");
}

static unsigned count(const char *name)
{
	char path[256];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/store/%s", store->home, name);
	d = opendir(path);
	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.';
	if (d)
		(void)closedir(d);
	return n;
}

static void a_refusal_leaves_nothing(void **state)
{
	(void)state;
	usual();
	REFUSE(-EEXIST, "it exists", FILE_OF("/new", "x", 0),
	       FILE_OF("/etc", "x", 0));
	put("f", "x", 0644);
	REFUSE(-ENOENT, "cannot copy", FROM(PATCH_COPY, "/a", at("f"), 0),
	       FROM(PATCH_COPY, "/b", at("none"), 0));
	assert_int_equal(count("layers"), 1);
	assert_int_equal(count("chains"), 0);
	assert_int_equal(count("tmp"), 0);
}

static struct image made_dir(unsigned i)
{
	char name[32];
	struct patch p = KIND(PATCH_MKDIR, name);

	(void)snprintf(name, sizeof(name), "/d%u", i);
	return patched(&p, 1);
}

static bool is_there(const struct image *img)
{
	struct rootfs cleanup(rootfs_release) fs = {0};

	return layer_present(store, &img->diff_ids[img->nlayers - 1]) == 1 &&
	       rootfs_open(store, &img->chain_id, &fs, NULL) == 0;
}

/* The oldest go when there are many; what was used lately stays. */
static void unused_ones_do_not_pile_up(void **state)
{
	struct image all[3 * GC_PATCHED_KEEP] = {0};
	struct image again;
	unsigned left = 0;

	(void)state;
	usual();
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		gc_trim_patched(store);
		all[i] = made_dir(i);
		again = made_dir(0);
		assert_true(digest_equal(&again.chain_id, &all[0].chain_id));
		image_release(&again);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		left += is_there(&all[i]);
	assert_in_range(left, GC_PATCHED_KEEP / 2, GC_PATCHED_KEEP + 1);
	assert_true(is_there(&all[0]));
	assert_true(is_there(&all[ARRAY_SIZE(all) - 1]));
	assert_int_equal(layer_present(store, &ids[0]), 1);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		image_release(&all[i]);
}

/* Who is patching may be about to use one: nothing goes. */
static void nothing_goes_while_another_patches(void **state)
{
	struct image all[2 * GC_PATCHED_KEEP] = {0};
	cleanup_close int guard = -1;

	(void)state;
	usual();
	guard = install_guard(store, NULL);
	assert_true(guard >= 0);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		gc_trim_patched(store);
		all[i] = made_dir(i);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		assert_true(is_there(&all[i]));
		image_release(&all[i]);
	}
}

static void a_pinned_one_stays(void **state)
{
	struct image cleanup(image_release) first = {0};
	struct image cleanup(image_release) got = {0};
	struct digest layer;
	struct err err = {0};
	const struct patch p = KIND(PATCH_MKDIR, "/pinned");

	(void)state;
	test_add_image(store, "real", "x", &layer);
	assert_int_equal(image_find(store, "real", &got, &err), 0);
	if (image_patch(store, &got, &p, 1, &first, &err) < 0)
		fail_msg("%s", err.msg);
	image_release(&got);
	(void)mkdirat(store->home_fd, "sandboxes", 0700);
	assert_int_equal(
		mkdirat(store->home_fd, "sandboxes/00112233445566ff", 0700), 0);
	if (image_pin(store, &first, "00112233445566ff", &err) < 0)
		fail_msg("%s", err.msg);
	usual();
	for (unsigned i = 0; i < 3 * GC_PATCHED_KEEP; i++) {
		struct image other = made_dir(i);

		image_release(&other);
		gc_trim_patched(store);
	}
	assert_true(is_there(&first));
	/* The image's name goes, and all that nobody has pinned. */
	assert_int_equal(image_gc(store, true, NULL, NULL, &err), 0);
	assert_true(is_there(&first));
	assert_int_equal(count("patched"), 1);
	if (image_find_pinned(store, "00112233445566ff", &got, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(got.patched);
	assert_int_equal(got.nlayers, first.nlayers);
	assert_true(digest_equal(&got.diff_ids[1], &first.diff_ids[1]));
	assert_int_equal(image_unpin(store, "00112233445566ff"), 0);
	assert_int_equal(image_gc(store, true, NULL, NULL, &err), 0);
	assert_false(is_there(&first));
	assert_int_equal(count("patched"), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_file_is_there_with_its_folders),
		T(mode_and_owner_are_as_said),
		T(an_empty_file_is_one),
		T(what_exists_needs_replace),
		T(replace_takes_what_was_there),
		T(a_folder_in_place_of_one_is_empty),
		T(mkdir_leaves_a_folder_as_it_is),
		T(remove_is_content_with_nothing),
		T(removed_names_come_back),
		T(append_needs_a_file),
		T(append_to_a_big_file_keeps_it),
		T(attributes_are_set_alone),
		T(links_on_the_way_are_followed_inside),
		T(a_link_leads_nowhere_out),
		T(paths_are_plain),
		T(names_are_bytes),
		T(messages_have_no_control_characters),
		T(the_same_patches_are_the_same_layer),
		T(layers_below_stay_as_they_are),
		T(xattrs_stay_with_a_changed_file),
		T(times_are_the_images),
		T(a_packed_folder_can_be_patched),
		T(a_file_is_copied),
		T(no_part_of_a_source_is_a_link_when_it_may_not),
		T(a_tree_is_copied_with_its_links),
		T(special_files_are_not_copied),
		T(a_file_that_changes_is_refused),
		T(too_many_patches_are_refused),
		T(a_refusal_leaves_nothing),
		T(unused_ones_do_not_pile_up),
		T(nothing_goes_while_another_patches),
		T(a_pinned_one_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
