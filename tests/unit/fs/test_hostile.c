/*
 * A guest that breaks FUSE's own rules: names, numbers, lengths
 * (attacks.md C1).
 */
#include "hostile.h"
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"

static const unsigned cuts[] = {0, 1, 7};

/* Operations with names, and how long the arguments before them are. */
static const struct {
	uint32_t op;
	unsigned args, names;
} named[] = {
	{FUSE_LOOKUP,  0,  1},
        {FUSE_MKDIR,   8,  1},
        {FUSE_MKNOD,   16, 1},
	{FUSE_CREATE,  16, 1},
        {FUSE_UNLINK,  0,  1},
        {FUSE_RMDIR,   0,  1},
	{FUSE_LINK,    8,  1},
        {FUSE_SYMLINK, 0,  2},
        {FUSE_RENAME,  8,  2},
	{FUSE_RENAME2, 16, 2},
};

/* @node in all places where arguments may have one. */
static int named_call(struct world *w, size_t i, uint64_t dir, uint64_t node,
                      const char *text, size_t len)
{
	uint64_t args[2] = {named[i].op == FUSE_LINK ||
	                                    named[i].op == FUSE_RENAME ||
	                                    named[i].op == FUSE_RENAME2
	                            ? node
	                            : 0600,
	                    0};
	struct {
		struct fuse_entry_out e;
		struct fuse_open_out o;
	} out;

	return driver_call(&w->d, named[i].op, dir, args, named[i].args, text,
	                   len, &out, sizeof(out));
}

/* ---- names ---- */

static void check_bad_name(struct world *w, uint64_t file, const char *bad,
                           size_t bad_len)
{
	char text[16384];

	for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
		int r;

		/* The bad name first. */
		memcpy(text, bad, bad_len);
		memcpy(text + bad_len, "\0other", 7);
		r = named_call(w, i, w->a,
		               named[i].op == FUSE_LINK ? file : w->a, text,
		               bad_len + (named[i].names == 2 ? 7 : 1));
		if (r != -EINVAL && r != -ENAMETOOLONG)
			fail_msg("op %u, name \"%s\": %d", named[i].op, text,
			         r);
		if (named[i].names < 2 || named[i].op == FUSE_SYMLINK)
			continue;
		memcpy(text, "file\0", 5);
		memcpy(text + 5, bad, bad_len);
		text[5 + bad_len] = '\0';
		r = named_call(w, i, w->a, w->a, text, bad_len + 6);
		if (r != -EINVAL && r != -ENAMETOOLONG)
			fail_msg("op %u, second name \"%s\": %d", named[i].op,
			         text + 5, r);
	}
}

static void names_that_are_no_single_component_are_refused(void **state)
{
	static const char *const bad[] = {"",
	                                  ".",
	                                  "..",
	                                  "/",
	                                  "//",
	                                  "../outside",
	                                  "../outside/secret",
	                                  "/etc/passwd",
	                                  "file/",
	                                  "/file",
	                                  "dir/file",
	                                  "dir/../file",
	                                  "./file",
	                                  "..//",
	                                  ".../x"};
	struct world *w = *state;
	char longer[5000], *before, *after;
	uint64_t file;

	host_file(w->a_fd, "file", INSIDE);
	assert_int_equal(mkdirat(w->a_fd, "dir", 0755), 0);
	file = (uint64_t)d_lookup(&w->d, w->a, "file");
	memset(longer, 'x', sizeof(longer));
	before = tree_text(w->d.top_fd);
	for (size_t c = 0; c < ARRAY_SIZE(cuts); c++) {
		w->d.cut = cuts[c];
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
			check_bad_name(w, file, bad[i], strlen(bad[i]));
		check_bad_name(w, file, longer, 256);
		check_bad_name(w, file, longer, 4096);
	}
	after = tree_text(w->d.top_fd);
	assert_string_equal(before, after);
	free(before);
	free(after);
	/* The longest that is one. */
	w->d.cut = 0;
	longer[255] = '\0';
	assert_true(d_mkdir(&w->d, w->a, longer, 0755) > 0);
}

static void names_without_one_end_are_refused(void **state)
{
	struct world *w = *state;
	char *before = tree_text(w->d.top_fd), *after;
	char text[600];

	for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
		/* None, no end, and something behind the last end. */
		assert_int_equal(named_call(w, i, w->a, w->a, "", 0), -EINVAL);
		memset(text, 'n', sizeof(text));
		assert_int_equal(named_call(w, i, w->a, w->a, text, 8),
		                 -EINVAL);
		memset(text, 0, sizeof(text));
		text[0] = 'a';
		text[2] = 'b';
		assert_int_equal(named_call(w, i, w->a, w->a, text, 8),
		                 -EINVAL);
		text[4] = 'c';
		assert_int_equal(named_call(w, i, w->a, w->a, text, 6),
		                 -EINVAL);
	}
	after = tree_text(w->d.top_fd);
	assert_string_equal(before, after);
	free(before);
	free(after);
}

/* Escape codes, newlines, bytes that are no UTF-8: names like any other. */
static void odd_names_are_names(void **state)
{
	static const char *const odd[] = {"\n",  "\x1b[2J", "\xff\xfe",
	                                  " ",   "...",     "..x",
	                                  "-rf", "*",       "\\"};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		struct stat st;

		assert_true(d_mkdir(&w->d, w->a, odd[i], 0755) > 0);
		assert_int_equal(fstatat(w->a_fd, odd[i], &st, 0), 0);
		assert_int_equal(d_rmdir(&w->d, w->a, odd[i]), 0);
	}
}

static void tmpfile_leaves_no_name_whatever_it_is_called(void **state)
{
	static const char *const names[] = {"", "..", "../outside/x", "/x",
	                                    "x"};
	struct world *w = *state;
	char *before = tree_text(w->out_fd), *after;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct fuse_create_in a = {.flags = O_RDWR, .mode = 04755};
		char out[sizeof(struct fuse_entry_out) +
		         sizeof(struct fuse_open_out)];

		(void)driver_call(&w->d, FUSE_TMPFILE, w->a, &a, sizeof(a),
		                  names[i], strlen(names[i]) + 1, out,
		                  sizeof(out));
		assert_int_equal(unlinkat(w->a_fd, "x", 0), -1);
	}
	after = tree_text(w->out_fd);
	assert_string_equal(before, after);
	free(before);
	free(after);
}

/* ---- numbers ---- */

/* All operations, and how long their arguments are. */
static const struct {
	uint32_t op;
	unsigned args;
	const char *text;
	size_t text_len;
} all[] = {
	{FUSE_LOOKUP,          0,  "n",        2},
	{FUSE_GETATTR,         16, "",         0},
	{FUSE_SETATTR,         88, "",         0},
	{FUSE_READLINK,        0,  "",         0},
	{FUSE_SYMLINK,         0,  "n\0t",     4},
	{FUSE_MKNOD,           16, "n",        2},
	{FUSE_MKDIR,           8,  "n",        2},
	{FUSE_UNLINK,          0,  "n",        2},
	{FUSE_RMDIR,           0,  "n",        2},
	{FUSE_RENAME,          8,  "n\0t",     4},
	{FUSE_RENAME2,         16, "n\0t",     4},
	{FUSE_LINK,            8,  "n",        2},
	{FUSE_OPEN,            8,  "",         0},
	{FUSE_READ,            40, "",         0},
	{FUSE_WRITE,           40, "",         0},
	{FUSE_STATFS,          0,  "",         0},
	{FUSE_FSYNC,           16, "",         0},
	{FUSE_SETXATTR,        8,  "user.n\0", 7},
	{FUSE_GETXATTR,        8,  "user.n",   7},
	{FUSE_LISTXATTR,       8,  "",         0},
	{FUSE_REMOVEXATTR,     0,  "user.n",   7},
	{FUSE_OPENDIR,         8,  "",         0},
	{FUSE_READDIR,         40, "",         0},
	{FUSE_READDIRPLUS,     40, "",         0},
	{FUSE_FSYNCDIR,        16, "",         0},
	{FUSE_CREATE,          16, "n",        2},
	{FUSE_FALLOCATE,       32, "",         0},
	{FUSE_LSEEK,           24, "",         0},
	{FUSE_COPY_FILE_RANGE, 56, "",         0},
	{FUSE_TMPFILE,         16, "n",        2},
};

static int any_call(struct world *w, size_t i, uint64_t node, const void *args)
{
	char out[4096];

	return driver_call(&w->d, all[i].op, node, args, all[i].args,
	                   all[i].text, all[i].text_len, out, sizeof(out));
}

static void check_unknown_node(struct world *w, uint64_t node)
{
	const uint8_t args[88] = {0};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		int r = any_call(w, i, node, args);

		if (r != -ESTALE && r != -EBADF)
			fail_msg("op %u of node %llx: %d", all[i].op,
			         (unsigned long long)node, r);
	}
	/* As an argument. */
	for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
		if (named[i].op != FUSE_LINK && named[i].names < 2)
			continue;
		if (named[i].op == FUSE_SYMLINK)
			continue;
		assert_int_equal(named_call(w, i, w->a, node, "f\0g",
		                            named[i].names * 2),
		                 -ESTALE);
	}
}

static void nodes_that_were_never_given_are_stale(void **state)
{
	struct world *w = *state;
	static const uint64_t never[] = {
		0,          4711,       1ull << 31,     1ull << 32,
		1ull << 63, UINT64_MAX, UINT64_MAX - 1, 0xdeadbeefcafebabe};

	host_file(w->a_fd, "f", INSIDE);
	assert_true(d_lookup(&w->d, w->a, "f") > 0);
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		check_unknown_node(w, never[i]);
}

static void nodes_are_stale_after_they_were_forgotten(void **state)
{
	struct world *w = *state;
	uint64_t node, again;

	host_file(w->a_fd, "f", INSIDE);
	node = (uint64_t)d_lookup(&w->d, w->a, "f");
	for (int i = 0; i < 9; i++)
		assert_int_equal(d_lookup(&w->d, w->a, "f"), node);
	d_forget(&w->d, node, 9);
	assert_int_equal(d_getattr(&w->d, node, NULL), 0);
	d_forget(&w->d, node, 1);
	check_unknown_node(w, node);
	/* Its number is not given again. */
	again = (uint64_t)d_lookup(&w->d, w->a, "f");
	assert_int_not_equal(again, node);
	check_unknown_node(w, node);
}

static void forgetting_more_than_was_counted_ends_at_nothing(void **state)
{
	static const uint64_t too_many[] = {2, 1ull << 32, 1ull << 63,
	                                    UINT64_MAX};
	struct world *w = *state;
	struct fs_stats stats;

	host_file(w->a_fd, "f", INSIDE);
	for (size_t i = 0; i < ARRAY_SIZE(too_many); i++) {
		uint64_t node = (uint64_t)d_lookup(&w->d, w->a, "f");

		d_forget(&w->d, node, too_many[i]);
		assert_int_equal(d_getattr(&w->d, node, NULL), -ESTALE);
		d_forget(&w->d, node, too_many[i]);
	}
	/* What cannot be forgotten. */
	d_forget(&w->d, FUSE_ROOT_ID, UINT64_MAX);
	d_forget(&w->d, w->a, UINT64_MAX);
	d_forget(&w->d, 0, UINT64_MAX);
	d_forget(&w->d, UINT64_MAX, 1);
	assert_int_equal(d_getattr(&w->d, FUSE_ROOT_ID, NULL), 0);
	assert_int_equal(d_getattr(&w->d, w->a, NULL), 0);
	fs_get_stats(w->d.fs, &stats);
	assert_int_equal(stats.inodes, 0);
}

static void a_file_that_is_open_outlives_its_forgetting(void **state)
{
	struct world *w = *state;
	uint64_t node, fh;
	char data[64];

	host_file(w->a_fd, "f", INSIDE);
	node = (uint64_t)d_lookup(&w->d, w->a, "f");
	assert_int_equal(d_open(&w->d, node, O_RDONLY, &fh, NULL), 0);
	d_forget(&w->d, node, UINT64_MAX);
	/* The guest may ask with the number that the handle had. */
	assert_int_equal(d_read(&w->d, node, fh, 0, data, sizeof(data)),
	                 sizeof(INSIDE) - 1);
	assert_int_equal(d_release(&w->d, node, fh, false), 0);
	assert_int_equal(d_getattr(&w->d, node, NULL), -ESTALE);
	assert_int_equal(d_release(&w->d, node, fh, false), -EBADF);
}

static void lists_of_forgets_may_lie_about_their_length(void **state)
{
	static const uint32_t counts[] = {0, 1, 3, 1u << 30, UINT32_MAX};
	struct world *w = *state;

	host_file(w->a_fd, "f", INSIDE);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		struct fuse_batch_forget_in a = {.count = counts[i]};
		uint64_t node = (uint64_t)d_lookup(&w->d, w->a, "f");
		struct fuse_forget_one list[2] = {
			{0,    1},
                        {node, 1}
                };
		char reply[16];

		assert_int_equal(driver_call(&w->d, FUSE_BATCH_FORGET, 0, &a,
		                             sizeof(a), list, sizeof(list) - 1,
		                             reply, sizeof(reply)),
		                 0);
		assert_int_equal(d_getattr(&w->d, node, NULL), 0);
		(void)driver_call(&w->d, FUSE_BATCH_FORGET, 0, &a, sizeof(a),
		                  list, sizeof(list), reply, sizeof(reply));
		d_forget(&w->d, node, 100);
		assert_int_equal(d_getattr(&w->d, node, NULL), -ESTALE);
	}
}

/* ---- handles ---- */

/* The same for each operation that has a handle. */
static int handle_call(struct world *w, uint32_t op, uint64_t node, uint64_t fh)
{
	uint64_t args[7] = {fh, 0, 0, 0, 0, 0, 0};
	unsigned len = 0;
	char out[256];

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].op == op)
			len = all[i].args;
	assert_true(len > 0);
	return driver_call(&w->d, op, node, args, len, NULL, 0, out,
	                   sizeof(out));
}

static void check_unknown_handle(struct world *w, uint64_t node, uint64_t fh)
{
	static const uint32_t ops[] = {
		FUSE_READ,    FUSE_WRITE,       FUSE_FSYNC,
		FUSE_READDIR, FUSE_READDIRPLUS, FUSE_FSYNCDIR,
		FUSE_LSEEK,   FUSE_FALLOCATE,   FUSE_COPY_FILE_RANGE};

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		int r = handle_call(w, ops[i], node, fh);

		if (r != -EBADF)
			fail_msg("op %u, handle %llx: %d", ops[i],
			         (unsigned long long)fh, r);
	}
}

static void handles_that_were_never_given_are_bad(void **state)
{
	static const uint64_t never[] = {
		0,          1,          63,
		64,         1ull << 32, (1ull << 32) + 1,
		1ull << 63, UINT32_MAX, UINT64_MAX};
	struct world *w = *state;
	uint64_t file, other, dir, fh, dfh;

	host_file(w->a_fd, "f", INSIDE);
	host_file(w->a_fd, "g", INSIDE);
	file = (uint64_t)d_lookup(&w->d, w->a, "f");
	other = (uint64_t)d_lookup(&w->d, w->a, "g");
	dir = w->a;
	for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
		check_unknown_handle(w, file, never[i]);
		check_unknown_handle(w, dir, never[i]);
		assert_int_equal(d_release(&w->d, file, never[i], false),
		                 -EBADF);
		assert_int_equal(d_release(&w->d, file, never[i], true),
		                 -EBADF);
	}
	assert_int_equal(d_open(&w->d, file, O_RDWR, &fh, NULL), 0);
	assert_int_equal(d_opendir(&w->d, dir, &dfh), 0);
	/* Another's, another kind's. */
	check_unknown_handle(w, other, fh);
	check_unknown_handle(w, w->b, dfh);
	assert_int_equal(handle_call(w, FUSE_READDIR, dir, fh), -EBADF);
	assert_int_equal(handle_call(w, FUSE_READ, file, dfh), -EBADF);
	assert_int_equal(handle_call(w, FUSE_READ, dir, dfh), -EBADF);
	assert_int_equal(d_release(&w->d, dir, dfh, false), -EBADF);
	assert_int_equal(d_release(&w->d, file, fh, true), -EBADF);
	/* After its release, and when its place has another. */
	assert_int_equal(d_release(&w->d, file, fh, false), 0);
	check_unknown_handle(w, file, fh);
	for (int i = 0; i < 100; i++) {
		uint64_t again;

		assert_int_equal(d_open(&w->d, file, O_RDWR, &again, NULL), 0);
		assert_int_not_equal(again, fh);
		check_unknown_handle(w, file, fh);
		assert_int_equal(d_release(&w->d, file, again, false), 0);
	}
}

static void handles_do_what_they_were_opened_for_and_no_more(void **state)
{
	struct world *w = *state;
	uint64_t file, r, wr;
	char data[8] = "abcdefg";

	host_file(w->a_fd, "f", INSIDE);
	file = (uint64_t)d_lookup(&w->d, w->a, "f");
	assert_int_equal(d_open(&w->d, file, O_RDONLY, &r, NULL), 0);
	assert_int_equal(d_open(&w->d, file, O_WRONLY, &wr, NULL), 0);
	assert_int_equal(d_write(&w->d, file, r, 0, data, 7), -EBADF);
	assert_int_equal(d_fallocate(&w->d, file, r, 0, 0, 100), -EBADF);
	assert_int_equal(d_read(&w->d, file, wr, 0, data, 7), -EBADF);
	assert_int_equal(d_open(&w->d, file, O_ACCMODE, &r, NULL), -EINVAL);
}

/* ---- shares among each other ---- */

static void one_share_is_no_way_into_another(void **state)
{
	struct world *w = *state;
	struct fuse_copy_file_range_in copy = {.len = 5};
	uint64_t f, g;

	host_file(w->a_fd, "f", INSIDE);
	host_file(w->b_fd, "g", INSIDE);
	f = (uint64_t)d_lookup(&w->d, w->a, "f");
	g = (uint64_t)d_lookup(&w->d, w->b, "g");
	assert_int_equal(d_rename(&w->d, w->a, "f", w->b, "f", 0), -EXDEV);
	assert_int_equal(d_rename(&w->d, w->a, "f", FUSE_ROOT_ID, "f", 0),
	                 -EXDEV);
	assert_int_equal(d_rename(&w->d, FUSE_ROOT_ID, "a", w->b, "x", 0),
	                 -EPERM);
	assert_int_equal(d_link(&w->d, f, w->b, "f"), -EXDEV);
	assert_int_equal(d_link(&w->d, w->a, w->b, "f"), -EXDEV);
	assert_int_equal(d_link(&w->d, w->a, w->a, "f2"), -EXDEV);
	assert_int_equal(d_unlink(&w->d, w->a, "g"), -ENOENT);
	assert_true(d_lookup(&w->d, f, "g") < 0);
	/* A copy is reading and writing, which it may do by hand, too. */
	assert_int_equal(d_open(&w->d, f, O_RDONLY, &copy.fh_in, NULL), 0);
	assert_int_equal(d_open(&w->d, g, O_RDONLY, &copy.fh_out, NULL), 0);
	copy.nodeid_out = g;
	assert_int_equal(driver_call(&w->d, FUSE_COPY_FILE_RANGE, f, &copy,
	                             sizeof(copy), NULL, 0, NULL, 0),
	                 -EBADF);
	check_outside(w);
}

static void the_root_cannot_be_changed(void **state)
{
	struct world *w = *state;
	const uint8_t args[88] = {0};
	static const uint32_t reading[] = {
		FUSE_LOOKUP,   FUSE_GETATTR,   FUSE_STATFS,
		FUSE_OPENDIR,  FUSE_READDIR,   FUSE_READDIRPLUS,
		FUSE_FSYNCDIR, FUSE_READLINK,  FUSE_OPEN,
		FUSE_READ,     FUSE_FSYNC,     FUSE_LSEEK,
		FUSE_GETXATTR, FUSE_LISTXATTR, FUSE_COPY_FILE_RANGE};
	char *before = tree_text(w->d.top_fd), *after;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		bool reads = false;
		int r = any_call(w, i, FUSE_ROOT_ID, args);

		for (size_t k = 0; k < ARRAY_SIZE(reading); k++)
			reads |= reading[k] == all[i].op;
		if (!reads && r != -EPERM && r != -EROFS)
			fail_msg("op %u of the root: %d", all[i].op, r);
	}
	after = tree_text(w->d.top_fd);
	assert_string_equal(before, after);
	free(before);
	free(after);
}

/* ---- lengths ---- */

/* One request with its header as given, and room as given. */
static int raw_call(struct world *w, const struct fuse_in_header *h,
                    const void *body, size_t body_len, size_t room)
{
	uint8_t request[8192], reply[8192];
	struct iovec out_v[1] = {
		{request, sizeof(*h) + body_len}
        };
	struct iovec in_v[1] = {
		{reply, room}
        };
	struct iov out = {out_v, 1, out_v[0].iov_len};
	struct iov in = {in_v, room ? 1 : 0, room};
	uint32_t len = 0;
	int r;

	assert_true(out.len <= sizeof(request) && room <= sizeof(reply));
	memcpy(request, h, sizeof(*h));
	memcpy(request + sizeof(*h), body, body_len);
	memset(reply, 0xee, sizeof(reply));
	r = fs_request(w->d.fs, &out, &in, &len);
	assert_true(len <= room);
	for (size_t i = len; i < sizeof(reply); i++)
		assert_true(i < room || reply[i] == 0xee);
	return r;
}

static void headers_that_lie_break_the_device(void **state)
{
	struct world *w = *state;
	struct fuse_in_header h = {.opcode = FUSE_GETATTR, .nodeid = w->a};
	static const uint32_t lens[] = {0,  1,  39,       40,
	                                55, 57, 1u << 31, UINT32_MAX};
	uint8_t body[16] = {0};
	struct iovec none[1] = {
		{body, 0}
        };

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		h.len = lens[i];
		assert_int_equal(raw_call(w, &h, body, sizeof(body), 200),
		                 -EPROTO);
	}
	h.len = 56;
	assert_int_equal(raw_call(w, &h, body, sizeof(body), 0), -EPROTO);
	assert_int_equal(raw_call(w, &h, body, sizeof(body), 15), -EPROTO);
	assert_int_equal(raw_call(w, &h, body, sizeof(body), 16), 0);
	assert_int_equal(raw_call(w, &h, body, sizeof(body), 200), 0);
	for (size_t n = 0; n < sizeof(h); n++) {
		struct iovec v[1] = {
			{&h, n}
                };
		struct iov out = {v, 1, n}, in = {none, 1, 0};
		uint32_t len;

		assert_int_equal(fs_request(w->d.fs, &out, &in, &len), -EPROTO);
	}
}

/* Arguments too short, answers without room: an error, nothing done. */
static void short_requests_and_answers_change_nothing(void **state)
{
	struct world *w = *state;
	uint8_t args[88] = {0};
	char *before, *after;
	struct fs_stats was, is;

	host_file(w->a_fd, "n", INSIDE);
	before = tree_text(w->d.top_fd);
	fs_get_stats(w->d.fs, &was);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		for (unsigned n = 0; n < all[i].args; n++) {
			struct fuse_in_header h = {.opcode = all[i].op,
			                           .nodeid = w->a,
			                           .len = (uint32_t)sizeof(h) +
			                                  n};

			assert_int_equal(raw_call(w, &h, args, n, 300), 0);
		}
		/* No room at all behind the header. */
		if (all[i].op == FUSE_UNLINK || all[i].op == FUSE_RENAME ||
		    all[i].op == FUSE_RENAME2 || all[i].op == FUSE_SETXATTR)
			continue;
		(void)driver_call(&w->d, all[i].op, w->a, args, all[i].args,
		                  all[i].text, all[i].text_len, NULL, 0);
	}
	after = tree_text(w->d.top_fd);
	assert_string_equal(before, after);
	fs_get_stats(w->d.fs, &is);
	assert_int_equal(was.inodes, is.inodes);
	assert_int_equal(was.handles, is.handles);
	free(before);
	free(after);
}

static void operations_that_are_none_are_not_there(void **state)
{
	struct world *w = *state;
	uint8_t args[128] = {0};

	for (uint32_t op = 0; op < 5000; op++) {
		char out[256];
		bool known = op == FUSE_FORGET || op == FUSE_INIT ||
		             op == FUSE_DESTROY || op == FUSE_BATCH_FORGET ||
		             op == FUSE_INTERRUPT || op == FUSE_RELEASE ||
		             op == FUSE_RELEASEDIR || op == FUSE_SYNCFS;

		for (size_t i = 0; i < ARRAY_SIZE(all); i++)
			known |= all[i].op == op;
		if (!known)
			assert_int_equal(driver_call(&w->d, op, w->a, args,
			                             sizeof(args), NULL, 0, out,
			                             sizeof(out)),
			                 -ENOSYS);
	}
	assert_int_equal(
		driver_call(&w->d, UINT32_MAX, w->a, NULL, 0, NULL, 0, NULL, 0),
		-ENOSYS);
	/* Control of devices: of none of FS_IOC_*, TIOCSTI, ... */
	assert_int_equal(driver_call(&w->d, FUSE_IOCTL, w->a, args, 32, NULL, 0,
	                             NULL, 0),
	                 -ENOSYS);
}

static void reads_and_writes_end_where_files_may(void **state)
{
	struct world *w = *state;
	static const uint64_t far[] = {1ull << 63, UINT64_MAX,
	                               INT64_MAX - 3ull};
	uint64_t f, fh;
	char data[16] = {0};

	host_file(w->a_fd, "f", INSIDE);
	f = (uint64_t)d_lookup(&w->d, w->a, "f");
	assert_int_equal(d_open(&w->d, f, O_RDWR, &fh, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(far); i++) {
		assert_true(d_read(&w->d, f, fh, far[i], data, 16) <= 0);
		assert_true(d_write(&w->d, f, fh, far[i], data, 16) < 0);
		assert_true(d_fallocate(&w->d, f, fh, 0, far[i], 16) < 0);
		assert_true(d_fallocate(&w->d, f, fh, 0, 0, far[i]) < 0);
		assert_true(d_truncate(&w->d, f, far[i]) < 0);
	}
	assert_int_equal(d_fallocate(&w->d, f, fh, 0x80000000, 0, 1),
	                 -EOPNOTSUPP);
	assert_int_equal(d_fallocate(&w->d, f, fh, 0, 0, 0), -EINVAL);
}

/* ---- anything ---- */

static void small(struct driver *d)
{
	d->shares[0].quota_bytes = 16 * MIB;
	d->shares[1].quota_bytes = 16 * MIB;
}

static int small_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	world_open(w, "/var/tmp", small);
	*state = w;
	return 0;
}

/* Requests of any kind with numbers that exist; nothing outside, no end. */
static void anything_at_all_stays_inside(void **state)
{
	static const char *const names[] = {"n",
	                                    "f",
	                                    "dir",
	                                    "..",
	                                    "outside",
	                                    "link",
	                                    "x",
	                                    "../outside",
	                                    "a/b",
	                                    "",
	                                    "user.msb.stat",
	                                    "security.capability"};
	struct world *w = *state;
	uint64_t nodes[64], handles[64];
	unsigned seed = 20;

	assert_int_equal(symlinkat("../outside/secret", w->a_fd, "link"), 0);
	for (size_t i = 0; i < 64; i++) {
		nodes[i] = w->a;
		handles[i] = 0;
	}
	for (int round = 0; round < 20000; round++) {
		size_t i = (size_t)rand_r(&seed) % ARRAY_SIZE(all);
		uint64_t args[11];
		char text[128] = {0}, out[4200];
		struct fuse_entry_out e;
		size_t len = 0;
		int r;

		for (size_t k = 0; k < ARRAY_SIZE(args); k++) {
			unsigned what = (unsigned)rand_r(&seed) % 8;

			args[k] = what < 2   ? handles[rand_r(&seed) % 64]
			          : what < 3 ? nodes[rand_r(&seed) % 64]
			          : what < 4 ? (uint64_t)rand_r(&seed) % 8192
			          : what < 5 ? (uint64_t)rand_r(&seed) *
			                               (uint64_t)rand_r(&seed)
			                     : (uint64_t)rand_r(&seed) % 64;
		}
		if (all[i].op == FUSE_SETATTR)
			args[3] %= 1 << 20; /* sizes: the disk is small */
		for (int k = 0; all[i].text_len && k < 2; k++) {
			const char *name = names[(size_t)rand_r(&seed) %
			                         ARRAY_SIZE(names)];

			(void)snprintf(text + len, sizeof(text) - len, "%s",
			               name);
			len += strlen(name) + 1;
			if (memchr(all[i].text, '\0', all[i].text_len - 1) ==
			    NULL)
				break;
		}
		r = driver_call(&w->d, all[i].op, nodes[rand_r(&seed) % 64],
		                args, all[i].args, text, len, out,
		                (size_t)rand_r(&seed) % 8
		                        ? sizeof(out)
		                        : (size_t)rand_r(&seed) % 200);
		if (r < (int)sizeof(e)) {
			if (r == 16 && (all[i].op == FUSE_OPEN ||
			                all[i].op == FUSE_OPENDIR))
				memcpy(&handles[rand_r(&seed) % 64], out, 8);
			continue;
		}
		memcpy(&e, out, sizeof(e));
		if (all[i].op == FUSE_LOOKUP || all[i].op == FUSE_MKDIR ||
		    all[i].op == FUSE_CREATE || all[i].op == FUSE_MKNOD ||
		    all[i].op == FUSE_SYMLINK)
			nodes[rand_r(&seed) % 64] = e.nodeid ? e.nodeid : w->a;
		if (all[i].op == FUSE_CREATE)
			memcpy(&handles[rand_r(&seed) % 64], out + sizeof(e),
			       8);
		if (rand_r(&seed) % 4 == 0)
			d_forget(&w->d, nodes[rand_r(&seed) % 64],
			         (uint64_t)rand_r(&seed) % 3);
	}
	check_outside(w);
	check_harmless(w->a_fd);
	assert_int_equal(d_getattr(&w->d, w->a, NULL), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(names_that_are_no_single_component_are_refused),
		T(names_without_one_end_are_refused),
		T(odd_names_are_names),
		T(tmpfile_leaves_no_name_whatever_it_is_called),
		T(nodes_that_were_never_given_are_stale),
		T(nodes_are_stale_after_they_were_forgotten),
		T(forgetting_more_than_was_counted_ends_at_nothing),
		T(a_file_that_is_open_outlives_its_forgetting),
		T(lists_of_forgets_may_lie_about_their_length),
		T(handles_that_were_never_given_are_bad),
		T(handles_do_what_they_were_opened_for_and_no_more),
		T(one_share_is_no_way_into_another),
		T(the_root_cannot_be_changed),
		T(headers_that_lie_break_the_device),
		T(short_requests_and_answers_change_nothing),
		T(operations_that_are_none_are_not_there),
		T(reads_and_writes_end_where_files_may),
		cmocka_unit_test_setup_teardown(anything_at_all_stays_inside,
	                                        small_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
