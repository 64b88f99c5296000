/* What a guest sends, written on the host: nothing outside of the target. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/num.h"
#include "files/writer.h"

static char folder[] = "/tmp/msb-writer-XXXXXX";

#define DIR_  (S_IFDIR | 0755)
#define FILE_ (S_IFREG | 0644)

static struct files_writer writer;
static struct files_sink sink;
static struct err err;

/* A target, new and empty, beside a file that is not to be touched. */
static void begin(const char *base, uint32_t flags)
{
	struct files_place p = {-1, ""};

	(void)dir_remove(AT_FDCWD, "t");
	assert_int_equal(mkdir("t", 0755), 0);
	assert_int_equal(file_write_atomic(AT_FDCWD, "secret", "host", 4, 0600),
	                 0);
	p.dir_fd = open("t", O_PATH | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(p.base, sizeof(p.base), "%s", base);
	files_writer_init(&writer, &p, flags);
	sink = files_writer_sink(&writer);
	err = (struct err){0};
}

static void end(void)
{
	struct buf cleanup_buf b = BUF_INIT;

	files_writer_release(&writer);
	assert_int_equal(file_read(AT_FDCWD, "secret", &b), 0);
	assert_string_equal(buf_str(&b), "host");
}

static int entry(const char *path, uint32_t mode, uint8_t kind,
                 const char *target, uint32_t nlink)
{
	const struct proto_file_entry e = {.path = path,
	                                   .target = target,
	                                   .kind = kind,
	                                   .mode = mode,
	                                   .nlink = nlink,
	                                   .mtime_s = 1500000000,
	                                   .mtime_ns = 5};

	return sink.entry(sink.arg, &e, &err);
}

static int file_with(const char *path, uint32_t mode, uint32_t nlink,
                     const char *text)
{
	size_t len = strlen(text);
	int r = entry(path, mode, 0, "", nlink);

	if (r == 0 && len)
		r = sink.data(sink.arg, 0, text, (uint32_t)len, &err);
	return r < 0 ? r : sink.data(sink.arg, len, NULL, 0, &err);
}

static int put_file(const char *path, const char *text)
{
	return file_with(path, FILE_, 1, text);
}

static int put_link(const char *path, const char *target)
{
	return entry(path, S_IFLNK | 0777, 0, target, 1);
}

static int put_hard(const char *path, const char *target)
{
	return entry(path, FILE_, PROTO_FILE_HARDLINK, target, 2);
}

static struct stat stat_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static void holds(const char *path, const char *text)
{
	struct buf cleanup_buf b = BUF_INIT;

	assert_int_equal(file_read(AT_FDCWD, path, &b), 0);
	assert_string_equal(buf_str(&b), text);
}

/*
 * In a share it would say who owns the file and what it is: set-id without
 * FILES_WRITE_OWNER, devices.
 */
static void what_msb_keeps_of_owners_is_nobodys_to_send(void **state)
{
	static const uint8_t x[] = "\x0d\x02\x00user.msb.statAB"
				   "\x06\x01\x00user.aC";
	const struct proto_file_entry e = {
		.path = "f",
		.target = "",
		.mode = FILE_,
		.nlink = 1,
		.xattrs = {x, sizeof(x) - 1}
        };
	char value[8];

	(void)state;
	for (int i = 0; i < 2; i++) {
		begin("", FILES_WRITE_STRICT | (i ? FILES_WRITE_OWNER : 0));
		assert_int_equal(sink.entry(sink.arg, &e, &err), 0);
		assert_int_equal(sink.data(sink.arg, 0, NULL, 0, &err), 0);
		assert_int_equal(files_writer_finish(&writer, &err), 0);
		end();
		if (getxattr("t/f", "user.a", value, sizeof(value)) < 0)
			skip(); /* no attributes here */
		assert_int_equal(*value, 'C');
		assert_true(getxattr("t/f", "user.msb.stat", NULL, 0) < 0);
	}
}

static void a_file_does_not_go_through_a_link_that_came_before(void **state)
{
	static const char *const targets[] = {"..", "../secret", "/tmp", ".",
	                                      "/proc/self/root"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		begin("", FILES_WRITE_STRICT);
		assert_int_equal(entry("", DIR_, 0, "", 1), 0);
		assert_int_equal(put_link("l", targets[i]), 0);
		assert_true(put_file("l/secret", "guest") < 0);
		assert_true(entry("l/d", DIR_, 0, "", 1) < 0);
		assert_true(put_link("l/x", "y") < 0);
		/* nor is a folder taken for it */
		assert_int_equal(entry("l", DIR_, 0, "", 1), -EEXIST);
		end();
	}
}

static void a_link_that_was_there_is_not_gone_through_either(void **state)
{
	(void)state;
	begin("", FILES_WRITE_STRICT);
	assert_int_equal(symlink("..", "t/d"), 0);
	assert_int_equal(symlink("../secret", "t/f"), 0);
	assert_int_equal(entry("", DIR_, 0, "", 1), 0);
	assert_int_equal(entry("d", DIR_, 0, "", 1), -EEXIST);
	assert_true(put_file("d/secret", "guest") < 0);
	assert_int_equal(put_file("f", "guest"), 0);
	holds("t/f", "guest");
	assert_true(S_ISREG(stat_of("t/f").st_mode));
	end();
}

static void a_hard_link_names_only_what_came_with_the_tree(void **state)
{
	(void)state;
	begin("", FILES_WRITE_STRICT);
	assert_int_equal(link("secret", "t/theirs"), 0);
	assert_int_equal(entry("", DIR_, 0, "", 1), 0);
	assert_int_equal(file_with("a", FILE_, 2, "x"), 0);
	assert_int_equal(put_hard("b", "a"), 0);
	assert_int_equal(stat_of("t/b").st_ino, stat_of("t/a").st_ino);
	assert_int_equal(put_hard("c", "theirs"), -EXDEV);
	assert_int_equal(put_hard("d", "no"), -ENOENT);
	assert_int_equal(put_link("l", ".."), 0);
	assert_true(put_hard("e", "l/secret") < 0);
	/* a file does not write into what has its name */
	assert_int_equal(put_file("theirs", "guest"), 0);
	assert_int_equal(stat_of("secret").st_nlink, 1);
	end();
}

static void names_stay_below_the_name_that_the_tree_gets(void **state)
{
	(void)state;
	begin("base", FILES_WRITE_STRICT);
	assert_int_equal(file_write_atomic(AT_FDCWD, "t/other", "x", 1, 0600),
	                 0);
	assert_int_equal(entry("", DIR_, 0, "", 1), 0);
	assert_int_equal(put_file("f", "y"), 0);
	assert_int_equal(put_hard("h", "other"), -ENOENT);
	assert_int_equal(files_writer_finish(&writer, &err), 0);
	holds("t/base/f", "y");
	end();
}

static void set_id_bits_and_owners_are_kept_when_asked(void **state)
{
	(void)state;
	begin("", FILES_WRITE_STRICT);
	assert_int_equal(entry("", DIR_, 0, "", 1), 0);
	assert_int_equal(file_with("f", S_IFREG | 06755, 1, ""), 0);
	assert_int_equal(entry("d", S_IFDIR | 07777, 0, "", 1), 0);
	assert_int_equal(files_writer_finish(&writer, &err), 0);
	assert_int_equal(stat_of("t/f").st_mode, S_IFREG | 0755);
	assert_int_equal(stat_of("t/d").st_mode, S_IFDIR | 01777);
	end();
	if (geteuid() != 0)
		return;
	begin("", FILES_WRITE_STRICT | FILES_WRITE_OWNER);
	assert_int_equal(entry("", DIR_, 0, "", 1), 0);
	assert_int_equal(file_with("f", S_IFREG | 06755, 1, ""), 0);
	assert_int_equal(stat_of("t/f").st_mode, S_IFREG | 06755);
	end();
}

static void folders_get_time_and_mode_when_they_are_full(void **state)
{
	(void)state;
	begin("", FILES_WRITE_STRICT);
	assert_int_equal(entry("", DIR_, 0, "", 1), 0);
	assert_int_equal(entry("d", S_IFDIR | 0555, 0, "", 1), 0);
	assert_int_equal(entry("d/e", S_IFDIR | 0700, 0, "", 1), 0);
	assert_int_equal(put_file("d/e/f", "x"), 0);
	assert_int_equal(put_file("d/f", "x"), 0);
	assert_int_equal(put_file("z", "x"), 0);
	assert_int_equal(files_writer_finish(&writer, &err), 0);
	assert_int_equal(stat_of("t/d").st_mtime, 1500000000);
	assert_int_equal(stat_of("t/d").st_mode & 0777, 0555);
	assert_int_equal(stat_of("t/d/e").st_mtime, 1500000000);
	assert_int_equal(stat_of("t/d/e/f").st_mtim.tv_nsec, 5);
	end();
}

static void a_half_file_is_seen_under_no_name(void **state)
{
	(void)state;
	begin("", FILES_WRITE_STRICT);
	assert_int_equal(file_write_atomic(AT_FDCWD, "t/f", "old", 3, 0600), 0);
	assert_int_equal(entry("", DIR_, 0, "", 1), 0);
	assert_int_equal(entry("f", FILE_, 0, "", 1), 0);
	assert_int_equal(sink.data(sink.arg, 0, "new", 3, &err), 0);
	holds("t/f", "old");
	end();
	holds("t/f", "old");
	assert_int_equal(unlink("t/f"), 0);
	assert_int_equal(rmdir("t"), 0);
}

static void neither_folders_nor_devices_are_replaced(void **state)
{
	(void)state;
	begin("", FILES_WRITE_STRICT);
	assert_int_equal(mkdir("t/d", 0700), 0);
	assert_int_equal(entry("", DIR_, 0, "", 1), 0);
	assert_int_equal(put_file("d", "x"), -EEXIST);
	assert_int_equal(put_link("d", "x"), -EEXIST);
	assert_int_equal(put_file("f", "x"), 0);
	assert_int_equal(entry("f", DIR_, 0, "", 1), -EEXIST);
	if (geteuid() == 0 && mknod("t/null", S_IFCHR | 0666, 0x103) == 0)
		assert_int_equal(put_file("null", "x"), -EEXIST);
	/* what it is not is left out */
	assert_int_equal(entry("sock", S_IFSOCK | 0666, 0, "", 1), 0);
	assert_int_equal(entry("dev", S_IFBLK | 0666, 0, "", 1), 0);
	assert_int_equal(access("t/dev", F_OK), -1);
	assert_int_equal(writer.nleft_out, 2);
	assert_int_equal(entry("w", FILE_, PROTO_FILE_WHITEOUT, "", 1),
	                 -EPROTO);
	end();
}

static void holes_take_no_space(void **state)
{
	(void)state;
	begin("", FILES_WRITE_STRICT);
	assert_int_equal(entry("", DIR_, 0, "", 1), 0);
	assert_int_equal(entry("f", FILE_, 0, "", 1), 0);
	assert_int_equal(sink.data(sink.arg, 1 << 20, "x", 1, &err), 0);
	assert_int_equal(sink.data(sink.arg, 1ULL << 33, NULL, 0, &err), 0);
	assert_int_equal(stat_of("t/f").st_size, 1LL << 33);
	assert_true(stat_of("t/f").st_blocks < 64);
	end();
}

static void missing_folders_are_made_only_when_asked(void **state)
{
	(void)state;
	begin("", 0);
	assert_int_equal(entry("", DIR_, 0, "", 1), 0);
	assert_int_equal(put_file("a/b/c", "x"), -ENOENT);
	end();
	begin("", FILES_WRITE_PARENTS);
	assert_int_equal(entry("", DIR_, 0, "", 1), 0);
	assert_int_equal(put_file("a/b/c", "x"), 0);
	holds("t/a/b/c", "x");
	end();
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	(void)!chdir("/");
	return dir_remove(AT_FDCWD, folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_msb_keeps_of_owners_is_nobodys_to_send),
		cmocka_unit_test(
			a_file_does_not_go_through_a_link_that_came_before),
		cmocka_unit_test(
			a_link_that_was_there_is_not_gone_through_either),
		cmocka_unit_test(
			a_hard_link_names_only_what_came_with_the_tree),
		cmocka_unit_test(names_stay_below_the_name_that_the_tree_gets),
		cmocka_unit_test(set_id_bits_and_owners_are_kept_when_asked),
		cmocka_unit_test(folders_get_time_and_mode_when_they_are_full),
		cmocka_unit_test(a_half_file_is_seen_under_no_name),
		cmocka_unit_test(neither_folders_nor_devices_are_replaced),
		cmocka_unit_test(holes_take_no_space),
		cmocka_unit_test(missing_folders_are_made_only_when_asked),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
