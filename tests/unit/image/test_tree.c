#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "image/index.h"
#include "image/layer.h"
#include "image/tarball.h"
#include "image/tree.h"

#define LAYERS_MAX 4

static struct store *store;

/* Layers on their way to a tree. */
static struct tarball layers[LAYERS_MAX];
static struct index indexes[LAYERS_MAX];
static unsigned nlayers;
static struct tree *tree;

static int setup(void **state)
{
	(void)state;
	store = test_store_open();
	for (size_t i = 0; i < LAYERS_MAX; i++)
		layers[i] = (struct tarball)TARBALL_INIT;
	nlayers = 0;
	tree = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree_free(tree);
	for (size_t i = 0; i < LAYERS_MAX; i++) {
		tb_release(&layers[i]);
		index_close(&indexes[i]);
	}
	test_store_close(store);
	return 0;
}

static struct tarball *layer(void)
{
	return &layers[nlayers++];
}

static int merge(struct err *err)
{
	for (unsigned i = 0; i < nlayers; i++) {
		char path[LAYER_PATH_LEN];
		cleanup_close int fd = -1;
		struct digest id;

		if (test_ingest(store, &layers[i], &id, err) < 0)
			fail_msg("layer refused: %s", err->msg);
		layer_path(&id, "index", path);
		fd = openat(store->fd, path, O_RDONLY);
		assert_int_equal(index_open(fd, &indexes[i], err), 0);
	}
	return tree_build(indexes, nlayers, &tree, err);
}

/* "path[/] [-> text] [=content] [xN]" for every name, in order. */
static void show(struct buf *out, uint32_t dir, const char *prefix)
{
	uint32_t i = tree->inodes[dir].first_child;

	for (; i != TREE_NONE; i = tree->names[i].next) {
		const struct tree_name *d = &tree->names[i];
		const struct tree_inode *n = &tree->inodes[d->inode];
		const uint8_t *pool = tree->layers[n->layer].pool;
		char path[600];

		assert_int_equal(d->parent, dir);
		(void)snprintf(path, sizeof(path), "%s%.*s", prefix, d->len,
		               d->text);
		(void)buf_adds(out, path);
		if (tree_is_dir(tree, d->inode)) {
			(void)buf_printf(out, "/%o\n", n->e ? n->e->mode : 1);
			(void)snprintf(path + strlen(path), 2, "/");
			show(out, d->inode, path);
			continue;
		}
		if (n->e->type == INDEX_SYM)
			(void)buf_printf(out, "->%.*s", (int)n->e->link_len,
			                 pool + n->e->link_off);
		if (n->e->type == INDEX_REG)
			(void)buf_printf(out, "=%.*s", (int)n->e->link_len,
			                 pool + n->e->link_off);
		if (n->nlink > 1)
			(void)buf_printf(out, " x%u", n->nlink);
		(void)buf_addc(out, '\n');
	}
}

static void expect(const char *want)
{
	struct buf cleanup_buf out = BUF_INIT;
	struct err err = {0};

	if (merge(&err) < 0)
		fail_msg("refused: %s", err.msg);
	show(&out, TREE_ROOT, "");
	assert_string_equal(buf_str(&out), want);
}

static void refused(const char *why)
{
	struct err err = {0};

	assert_true(merge(&err) < 0);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" is not in \"%s\"", why, err.msg);
}

static void whiteouts_take_from_lower_layers_only(void **state)
{
	struct tarball *a = layer(), *b = layer();

	(void)state;
	tb_text(a, "f", "old");
	tb_text(a, "g", "old");
	tb_text(a, "d/x", "old");
	tb_text(b, "f", "new"); /* stands before its whiteout */
	tb_text(b, ".wh.f", "");
	tb_text(b, ".wh.g", "");
	tb_text(b, ".wh.never", "");
	tb_text(b, "no/such/.wh.folder", "");
	tb_text(b, "d/.wh.x", "");
	expect("d/1\nf=new\n");
}

static void opaque_folders_lose_lower_content_only(void **state)
{
	struct tarball *a = layer(), *b = layer();

	(void)state;
	tb_text(a, "d/old", "x");
	tb_text(a, "d/sub/old", "x");
	tb_text(a, "keep", "x");
	tb_text(b, "d/new", "y");
	tb_text(b, "d/.wh..wh..opq", "");
	tb_text(b, "d/sub/new", "y");
	expect("d/1\nd/new=y\nd/sub/1\nd/sub/new=y\nkeep=x\n");
}

static void opaque_root_loses_everything(void **state)
{
	struct tarball *a = layer(), *b = layer();

	(void)state;
	tb_text(a, "a", "x");
	tb_text(b, ".wh..wh..opq", "");
	tb_text(b, "b", "y");
	expect("b=y\n");
}

static void removed_folder_comes_back_empty(void **state)
{
	struct tarball *a = layer(), *b = layer(), *c = layer();

	(void)state;
	tb_text(a, "d/old", "x");
	tb_text(b, ".wh.d", "");
	tb_text(c, "d/new", "y");
	expect("d/1\nd/new=y\n");
}

static void folder_over_folder_keeps_content(void **state)
{
	struct tarball *a = layer(), *b = layer();

	(void)state;
	tb_dir(a, "d");
	tb_text(a, "d/f", "x");
	(void)snprintf((char *)tb_at(b, tb_header(b, '5', "d", 0, NULL)) + 100,
	               8, "%07o", 0700);
	tb_sum(b, 0);
	expect("d/700\nd/f=x\n");
}

static void everything_else_replaces(void **state)
{
	struct tarball *a = layer(), *b = layer();

	(void)state;
	tb_text(a, "file-dir", "x");
	tb_text(a, "dir-file/f", "x");
	tb_text(a, "dir-link/f", "x");
	tb_sym(a, "link-dir", "dir-link");
	tb_text(a, "twice", "1");
	tb_text(a, "twice", "2");
	tb_dir(b, "file-dir");
	tb_text(b, "dir-file", "y");
	tb_sym(b, "dir-link", "t");
	tb_dir(b, "link-dir");
	expect("dir-file=y\ndir-link->t\nfile-dir/755\nlink-dir/755\n"
	       "twice=2\n");
}

static void names_differ_by_case_and_bytes(void **state)
{
	struct tarball *a = layer();

	(void)state;
	tb_text(a, "a", "1");
	tb_text(a, "A", "2");
	tb_text(a, "\xc3\xa9", "3");
	tb_text(a, "e\xcc\x81", "4");
	expect("A=2\na=1\ne\xcc\x81=4\n\xc3\xa9=3\n");
}

static void links_are_followed_inside_the_tree(void **state)
{
	struct tarball *a = layer(), *b = layer();

	(void)state;
	tb_dir(a, "etc");
	tb_dir(a, "usr/bin");
	tb_sym(a, "bin", "usr/bin");
	tb_sym(a, "evil", "/etc");
	tb_sym(a, "worse", "../../../../../etc");
	tb_sym(a, "usr/up", "..");
	tb_text(b, "bin/x", "1");
	tb_text(b, "evil/pwn", "2");
	tb_text(b, "worse/pwn2", "3");
	tb_text(b, "usr/up/usr/up/root", "4");
	expect("bin->usr/bin\netc/755\netc/pwn=2\netc/pwn2=3\nevil->/etc\n"
	       "root=4\nusr/1\nusr/bin/755\nusr/bin/x=1\nusr/up->..\n"
	       "worse->../../../../../etc\n");
}

static void dangling_links_lead_to_new_folders(void **state)
{
	struct tarball *a = layer();

	(void)state;
	tb_sym(a, "var", "private/var");
	tb_text(a, "var/log", "x");
	expect("private/1\nprivate/var/1\nprivate/var/log=x\n"
	       "var->private/var\n");
}

static void whiteouts_follow_links_too(void **state)
{
	struct tarball *a = layer(), *b = layer();

	(void)state;
	tb_text(a, "real/f", "x");
	tb_sym(a, "alias", "real");
	tb_text(b, "alias/.wh.f", "");
	expect("alias->real\nreal/1\n");
}

static void parent_cache_sees_replaced_folders(void **state)
{
	struct tarball *a = layer();

	(void)state;
	tb_text(a, "d/f", "1");
	tb_sym(a, "d", "e");
	tb_text(a, "d/g", "2");
	expect("d->e\ne/1\ne/g=2\n");
}

static void link_loops_are_refused(void **state)
{
	struct tarball *a = layer();

	(void)state;
	tb_sym(a, "x", "y");
	tb_sym(a, "y", "x");
	tb_text(a, "x/f", "1");
	refused("too many links");
}

static void files_are_no_parents(void **state)
{
	struct tarball *a = layer(), *b = layer();

	(void)state;
	tb_text(a, "f", "x");
	tb_text(b, "f/g", "x");
	refused("layer 2, entry f/g: lies below a non-folder");
}

static void hard_links_share_an_inode(void **state)
{
	struct tarball *a = layer(), *b = layer(), *c = layer();

	(void)state;
	tb_text(a, "one", "x");
	tb_hard(a, "two", "one");
	tb_hard(b, "sub/three", "/one"); /* a lower layer's file */
	tb_sym(b, "s", "one");
	tb_hard(b, "s2", "s"); /* the link itself */
	tb_text(c, ".wh.one", "");
	tb_text(c, "over", "y");
	tb_hard(c, "over", "two");
	expect("over=x x3\ns->one x2\ns2->one x2\nsub/1\nsub/three=x x3\n"
	       "two=x x3\n");
}

static void hard_link_follows_parents_inside(void **state)
{
	struct tarball *a = layer();

	(void)state;
	tb_text(a, "etc/passwd", "image");
	tb_sym(a, "out", "/../../etc");
	tb_hard(a, "h", "out/passwd");
	expect("etc/1\netc/passwd=image x2\nh=image x2\nout->/../../etc\n");
}

static void bad_hard_links_are_refused(void **state)
{
	struct tarball *a = layer();

	(void)state;
	tb_hard(a, "h", "missing");
	refused("hard link to a missing file");
}

static void hard_links_to_folders_are_refused(void **state)
{
	struct tarball *a = layer();

	(void)state;
	tb_dir(a, "d");
	tb_hard(a, "h", "d");
	refused("hard link to a folder");
}

static void hard_links_over_themselves_are_refused(void **state)
{
	struct tarball *a = layer();

	(void)state;
	tb_text(a, "d/f", "x");
	tb_sym(a, "s", "d");
	tb_hard(a, "s/f", "d/f");
	refused("hard link to itself");
}

static void many_names_stay_sorted_and_found(void **state)
{
	struct tarball *a = layer(), *b = layer();
	char name[32];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		(void)snprintf(name, sizeof(name), "d/%d", i * 7919 % 20000);
		tb_text(a, name, "");
		if (i % 2 == 0) {
			(void)snprintf(name, sizeof(name), "d/.wh.%d", i);
			tb_text(b, name, "");
		}
	}
	assert_int_equal(merge(NULL), 0);
	assert_int_equal(tree->norder, 10000 + 2);
	for (uint32_t i = 3; i < tree->norder; i++) {
		const struct index_entry *e = tree->inodes[tree->order[i]].e;
		const struct index_entry *p =
			tree->inodes[tree->order[i - 1]].e;

		assert_true(memcmp(indexes[0].pool + p->path_off,
		                   indexes[0].pool + e->path_off,
		                   MIN(p->path_len, e->path_len)) <= 0);
	}
}

static void deep_trees_need_no_stack(void **state)
{
	struct tarball *a = layer();
	char path[64];

	(void)state;
	/* each link leads into the folder that the last one made */
	tb_dir(a, "0");
	for (int i = 0; i < 3000; i++) {
		(void)snprintf(path, sizeof(path), "%d/d/d/d/d/d/d", i);
		tb_dir(a, path);
		(void)snprintf(path, sizeof(path), "%d", i + 1);
		if (i == 0)
			tb_sym(a, path, "0/d/d/d/d/d/d");
		else if (i < 30)
			tb_sym(a, path, "1/d/d/d/d/d/d");
		else
			tb_dir(a, path);
	}
	assert_int_equal(merge(NULL), 0);
	assert_true(tree->norder > 10000);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(whiteouts_take_from_lower_layers_only),
		T(opaque_folders_lose_lower_content_only),
		T(opaque_root_loses_everything),
		T(removed_folder_comes_back_empty),
		T(folder_over_folder_keeps_content),
		T(everything_else_replaces),
		T(names_differ_by_case_and_bytes),
		T(links_are_followed_inside_the_tree),
		T(dangling_links_lead_to_new_folders),
		T(whiteouts_follow_links_too),
		T(parent_cache_sees_replaced_folders),
		T(link_loops_are_refused),
		T(files_are_no_parents),
		T(hard_links_share_an_inode),
		T(hard_link_follows_parents_inside),
		T(bad_hard_links_are_refused),
		T(hard_links_to_folders_are_refused),
		T(hard_links_over_themselves_are_refused),
		T(many_names_stay_sorted_and_found),
		T(deep_trees_need_no_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
