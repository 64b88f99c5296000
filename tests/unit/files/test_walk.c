#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/num.h"
#include "files/walk.h"
#include "files/writer.h"

static char folder[] = "/tmp/msb-walk-XXXXXX";

/* Everything as lines. */
static struct buf text = BUF_INIT;
static uint64_t bytes;
static const char *cut; /* truncated when its entry comes */

static int see_entry(void *arg, const struct proto_file_entry *e,
                     struct err *err)
{
	(void)arg;
	(void)err;
	assert_int_equal(buf_printf(&text, "%s%s%s%s\n", e->path,
	                            S_ISDIR(e->mode) ? "/" : "",
	                            *e->target ? ">" : "", e->target),
	                 0);
	if (cut && strcmp(e->path, cut) == 0)
		assert_int_equal(truncate(cut, 1000), 0);
	return 0;
}

static int see_data(void *arg, uint64_t off, const void *data, uint32_t len,
                    struct err *err)
{
	(void)arg;
	(void)data;
	(void)err;
	bytes += len;
	if (len == 0)
		assert_int_equal(
			buf_printf(&text, " %llu\n", (unsigned long long)off),
			0);
	return 0;
}

static int walk(const char *path, uint32_t flags)
{
	const struct files_sink sink = {see_entry, see_data, NULL};

	buf_reset(&text);
	bytes = 0;
	return files_walk(AT_FDCWD, path, flags, NULL, &sink, NULL);
}

static void put(const char *path, const char *content)
{
	assert_int_equal(file_write_atomic(AT_FDCWD, path, content,
	                                   strlen(content), 0644),
	                 0);
}

static void a_tree_comes_in_order_with_links_as_links(void **state)
{
	(void)state;
	assert_int_equal(mkdir("o", 0755), 0);
	assert_int_equal(mkdir("o/b", 0755), 0);
	assert_int_equal(mkdir("o/b/c", 0755), 0);
	put("o/b/c/f", "12");
	put("o/b/z", "");
	put("o/a", "abc");
	assert_int_equal(link("o/a", "o/b/again"), 0);
	assert_int_equal(symlink("/etc", "o/etc"), 0);
	assert_int_equal(mkfifo("o/fifo", 0600), 0);
	assert_int_equal(walk("o", 0), 0);
	assert_string_equal(buf_str(&text), "/\na\n 3\nb/\nb/again>a\nb/c/\n"
	                                    "b/c/f\n 2\nb/z\n 0\netc>/etc\n"
	                                    "fifo\n");
}

static void roots_of_every_type(void **state)
{
	(void)state;
	put("f", "1234");
	assert_int_equal(symlink("f", "lf"), 0);
	assert_int_equal(symlink("o/b", "lo"), 0);
	assert_int_equal(walk("f", 0), 0);
	assert_string_equal(buf_str(&text), "\n 4\n");
	assert_int_equal(walk("f", FILES_WALK_DIR), -ENOTDIR);
	assert_int_equal(walk("lf", 0), 0);
	assert_string_equal(buf_str(&text), ">f\n");
	assert_int_equal(walk("lf", FILES_WALK_FOLLOW), 0);
	assert_string_equal(buf_str(&text), "\n 4\n");
	assert_int_equal(walk("lo", FILES_WALK_FOLLOW), 0);
	assert_true(strncmp(buf_str(&text), "/\nagain\n", 8) == 0);
	assert_int_equal(walk("no", 0), -ENOENT);
	assert_int_equal(walk("/dev/null", 0), -EINVAL);
	assert_int_equal(walk("f/x", 0), -ENOTDIR);
}

static void sockets_and_devices_are_left_out(void **state)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "s/sock"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(mkdir("s", 0755), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	if (geteuid() == 0)
		(void)!mknod("s/zero", S_IFCHR | 0666, 0x105);
	assert_int_equal(walk("s", 0), 0);
	assert_string_equal(buf_str(&text), "/\n");
	(void)close(fd);
}

static void holes_are_not_read(void **state)
{
	int fd = open("sparse", O_CREAT | O_WRONLY, 0600);

	(void)state;
	assert_int_equal(pwrite(fd, "x", 1, 1LL << 30), 1);
	assert_int_equal(ftruncate(fd, 1LL << 40), 0);
	(void)close(fd);
	assert_int_equal(walk("sparse", 0), 0);
	assert_string_equal(buf_str(&text), "\n 1099511627776\n");
	assert_in_range(bytes, 1, 1 << 20);
}

static void a_file_that_shrinks_ends_where_it_ends(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(mkdir("k", 0755), 0);
	assert_int_equal(chdir("k"), 0);
	fd = open("f", O_CREAT | O_WRONLY, 0600);
	assert_int_equal(ftruncate(fd, 0), 0);
	for (int i = 0; i < 64; i++)
		assert_int_equal(write(fd, folder, 16), 16);
	(void)close(fd);
	assert_int_equal(truncate("f", 1024), 0);
	cut = "f";
	assert_int_equal(walk(".", 0), 0);
	cut = NULL;
	assert_string_equal(buf_str(&text), "/\nf\n 1000\n");
	assert_int_equal(chdir(".."), 0);
}

static void files_of_proc_have_content_too(void **state)
{
	(void)state;
	assert_int_equal(walk("/proc/version", 0), 0);
	assert_true(bytes > 10);
}

static void a_deep_tree_needs_few_descriptors(void **state)
{
	static const char name[] = "dddddddddddddddddddd";
	int at = open(".", O_RDONLY | O_DIRECTORY), top = dup(at);
	unsigned depth = 0;

	(void)state;
	assert_int_equal(mkdir("deep", 0755), 0);
	for (at = openat(at, "deep", O_RDONLY); depth < 190; depth++) {
		int next;

		assert_int_equal(mkdirat(at, name, 0755), 0);
		next = openat(at, name, O_RDONLY);
		(void)close(at);
		at = next;
	}
	assert_int_equal(walk("deep", 0), 0);
	/* and one that no path can name is refused, not overrun */
	for (; depth < 200; depth++) {
		int next;

		assert_int_equal(mkdirat(at, name, 0755), 0);
		next = openat(at, name, O_RDONLY);
		(void)close(at);
		at = next;
	}
	assert_int_equal(walk("deep", 0), -ENAMETOOLONG);
	for (; depth > 0; depth--) {
		int up = openat(at, "..", O_RDONLY);

		assert_int_equal(unlinkat(up, name, AT_REMOVEDIR), 0);
		(void)close(at);
		at = up;
	}
	(void)close(at);
	(void)close(top);
}

static void a_copy_by_walk_and_writer_is_the_same(void **state)
{
	struct files_place p = {-1, "copy"};
	struct files_writer w;
	struct files_sink sink;
	struct buf cleanup_buf first = BUF_INIT;

	(void)state;
	p.dir_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	files_writer_init(&w, &p, FILES_WRITE_STRICT);
	sink = files_writer_sink(&w);
	assert_int_equal(files_walk(AT_FDCWD, "o", 0, NULL, &sink, NULL), 0);
	assert_int_equal(files_writer_finish(&w, NULL), 0);
	files_writer_release(&w);
	assert_int_equal(walk("o", 0), 0);
	assert_int_equal(buf_add(&first, text.data, text.len), 0);
	assert_int_equal(walk("copy", 0), 0);
	assert_string_equal(buf_str(&text), buf_str(&first));
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
	buf_release(&text);
	return dir_remove(AT_FDCWD, folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tree_comes_in_order_with_links_as_links),
		cmocka_unit_test(roots_of_every_type),
		cmocka_unit_test(sockets_and_devices_are_left_out),
		cmocka_unit_test(holes_are_not_read),
		cmocka_unit_test(a_file_that_shrinks_ends_where_it_ends),
		cmocka_unit_test(files_of_proc_have_content_too),
		cmocka_unit_test(a_deep_tree_needs_few_descriptors),
		cmocka_unit_test(a_copy_by_walk_and_writer_is_the_same),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
