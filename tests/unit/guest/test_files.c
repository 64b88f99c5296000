/*
 * File sessions of the agent, run as an ordinary process: the test is the
 * host, over a socket pair, and turns the agent's loop in a thread of its own
 * while it waits. Paths are below a temporary folder.
 */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "files/link.h"
#include "files/walk.h"
#include "files/writer.h"
#include "guest/server.h"

static struct loop *loop;
static struct server server;
static char folder[] = "/tmp/msb-files-XXXXXX";

struct host {
	struct files_link link;
	struct proto_file_done done; /* its message in `message` */
	char message[600];
	struct buf text; /* entries as lines, content */
};

static int turn(void *arg)
{
	(void)arg;
	return loop_step(loop, 0) < 0 ? -EIO : 0;
}

/* A session that began with this request. */
static void begin(struct host *h, const struct proto_file_req *req)
{
	struct proto_msg m = {.type = PROTO_FILE_REQ, .file_req = *req};
	int s[2];

	*h = (struct host){.text = BUF_INIT};
	if (!m.file_req.path)
		m.file_req.path = "";
	if (!m.file_req.path2)
		m.file_req.path2 = "";
	assert_int_equal(socketpair(AF_UNIX,
	                            SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	                            0, s),
	                 0);
	files_link_init(&h->link, s[0], 20000);
	h->link.tick = turn;
	assert_int_equal(server_adopt(&server, s[1]), 0);
	assert_int_equal(files_link_send(&h->link, &m), 0);
	assert_int_equal(files_link_flush(&h->link), 0);
}

static void idle(void)
{
	uint64_t end = clock_now_ns() + 10 * NS_PER_S;

	while (!server_idle(&server) && clock_now_ns() < end)
		assert_int_equal(loop_step(loop, 10), 0);
	assert_true(server_idle(&server));
}

static void over(struct host *h)
{
	files_link_release(&h->link);
	(void)close(h->link.sock);
	buf_release(&h->text);
	idle();
}

static int see_entry(void *arg, const struct proto_file_entry *e,
                     struct err *err)
{
	(void)err;
	return buf_printf(&((struct host *)arg)->text, "%s%s%s %o\n", e->path,
	                  *e->target ? ">" : "", e->target, e->mode);
}

static int see_data(void *arg, uint64_t off, const void *data, uint32_t len,
                    struct err *err)
{
	(void)off;
	(void)err;
	return buf_add(&((struct host *)arg)->text, data, len);
}

/* All of the answer; its error. */
static int answer(struct host *h)
{
	const struct proto_msg *m;
	int r = 0;

	while ((r = files_link_next(&h->link, &m)) == 0) {
		if (m->type == PROTO_FILE_DONE)
			break;
		if (m->type == PROTO_FILE_ENTRY)
			r = see_entry(h, &m->file_entry, NULL);
		else if (m->type == PROTO_FILE_DATA)
			r = see_data(h, 0, m->file_data.data.p,
			             m->file_data.data.n, NULL);
		else
			fail_msg("unexpected %s", proto_type_name(m->type));
		assert_int_equal(r, 0);
	}
	assert_int_equal(r, 0);
	h->done = m->file_done;
	(void)snprintf(h->message, sizeof(h->message), "%s",
	               m->file_done.message);
	return h->done.error;
}

static int ask(struct proto_file_req req, struct host *h)
{
	struct host own;
	struct host *use = h ? h : &own;
	int error;

	begin(use, &req);
	error = answer(use);
	if (!h)
		over(use);
	return error;
}

#define REQ(op_, ...)                                                          \
	((struct proto_file_req){.op = PROTO_FILE_##op_, __VA_ARGS__})

/* In the folder: the agent's relative paths are below "/". */
static const char *in(const char *name)
{
	static char text[4][256];
	static unsigned n;
	char *out = text[n++ % 4];

	(void)snprintf(out, 256, "%s/%s", folder, name);
	return out;
}

static void put(const char *name, const char *text)
{
	assert_int_equal(
		file_write_atomic(AT_FDCWD, in(name), text, strlen(text), 0640),
		0);
}

static void holds(const char *name, const char *text)
{
	struct buf cleanup_buf b = BUF_INIT;

	assert_int_equal(file_read(AT_FDCWD, in(name), &b), 0);
	assert_string_equal(buf_str(&b), text);
}

static struct stat stat_of(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(in(name), &st), 0);
	return st;
}

static void operations_on_names(void **state)
{
	(void)state;
	assert_int_equal(ask(REQ(MKDIR, .path = in("d")), NULL), 0);
	assert_int_equal(stat_of("d").st_mode & 07777, 0755);
	assert_int_equal(ask(REQ(MKDIR, .path = in("d")), NULL), EEXIST);
	assert_int_equal(ask(REQ(MKDIR, .path = in("d/x/y"), .mode = 0700,
	                         .flags = PROTO_FILE_RECURSIVE),
	                     NULL),
	                 0);
	assert_int_equal(ask(REQ(MKDIR, .path = in("d/x/y"),
	                         .flags = PROTO_FILE_RECURSIVE),
	                     NULL),
	                 0);
	put("d/f", "x");
	assert_int_equal(
		ask(REQ(CHMOD, .path = in("d/f"), .mode = 04711), NULL), 0);
	assert_int_equal(stat_of("d/f").st_mode & 07777, 04711);
	assert_int_equal(
		ask(REQ(CHMOD, .path = in("d/f"), .mode = 0100644), NULL),
		EINVAL);
	assert_int_equal(
		ask(REQ(SYMLINK, .path = in("d/l"), .path2 = "f"), NULL), 0);
	assert_int_equal(ask(REQ(RENAME, .path = in("d/f"), .path2 = in("d/g"),
	                         .flags = PROTO_FILE_NO_REPLACE),
	                     NULL),
	                 0);
	put("d/f", "y");
	assert_int_equal(ask(REQ(RENAME, .path = in("d/f"), .path2 = in("d/g"),
	                         .flags = PROTO_FILE_NO_REPLACE),
	                     NULL),
	                 EEXIST);
	if (geteuid() == 0) {
		assert_int_equal(
			ask(REQ(CHOWN, .path = in("d/l"), .uid = 5, .gid = 6,
		                .flags = PROTO_FILE_NO_FOLLOW),
		            NULL),
			0);
		assert_int_equal(stat_of("d/l").st_uid, 5);
		assert_int_equal(stat_of("d/f").st_uid, 0);
	}
}

static void removal_takes_no_root_and_what_is_asked_only(void **state)
{
	static const char *const never[] = {"/",  "",        ".",      "..",
	                                    "//", "/tmp/..", "/tmp/.", "/./"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		assert_int_equal(ask(REQ(REMOVE, .path = never[i],
		                         .flags = PROTO_FILE_RECURSIVE |
		                                  PROTO_FILE_FORCE),
		                     NULL),
		                 EINVAL);
	assert_int_equal(mkdir(in("r"), 0755), 0);
	assert_int_equal(mkdir(in("r/s"), 0755), 0);
	put("r/s/f", "x");
	put("kept", "x");
	assert_int_equal(symlink("..", in("r/up")), 0);
	assert_int_equal(symlink("r", in("rl")), 0);
	assert_int_equal(ask(REQ(REMOVE, .path = in("r")), NULL), ENOTEMPTY);
	assert_int_equal(ask(REQ(REMOVE, .path = in("rl"),
	                         .flags = PROTO_FILE_RECURSIVE),
	                     NULL),
	                 0);
	holds("r/s/f", "x");
	assert_int_equal(
		ask(REQ(REMOVE, .path = in("r"), .flags = PROTO_FILE_RECURSIVE),
	            NULL),
		0);
	holds("kept", "x");
	assert_int_equal(ask(REQ(REMOVE, .path = in("r")), NULL), ENOENT);
	assert_int_equal(
		ask(REQ(REMOVE, .path = in("r"), .flags = PROTO_FILE_FORCE),
	            NULL),
		0);
}

static void stat_and_list(void **state)
{
	struct host h;

	(void)state;
	assert_int_equal(mkdir(in("ls"), 0755), 0);
	put("ls/b\n", "x");
	put("ls/a", "xy");
	assert_int_equal(symlink("a", in("ls/l")), 0);
	assert_int_equal(ask(REQ(LIST, .path = in("ls")), &h), 0);
	assert_string_equal(buf_str(&h.text),
	                    "a 100640\nb\n 100640\nl>a 120777\n");
	assert_int_equal(h.done.count, 3);
	over(&h);
	assert_int_equal(ask(REQ(STAT, .path = in("ls/l"),
	                         .flags = PROTO_FILE_NO_FOLLOW),
	                     &h),
	                 0);
	assert_non_null(strstr(buf_str(&h.text), ">a 120777"));
	over(&h);
	assert_int_equal(ask(REQ(STAT, .path = in("ls/none")), &h), ENOENT);
	assert_non_null(strstr(h.message, "ls/none"));
	over(&h);
	assert_int_equal(ask(REQ(LIST, .path = in("ls/a")), NULL), ENOTDIR);
}

static void reading_waits_for_nothing_and_opens_no_device(void **state)
{
	struct host h;
	int fd;

	(void)state;
	put("f", "0123456789");
	assert_int_equal(mkfifo(in("p"), 0600), 0);
	assert_int_equal(symlink("p", in("lp")), 0);
	assert_int_equal(
		ask(REQ(READ, .path = in("f"), .offset = 2, .length = 3), &h),
		0);
	assert_non_null(strstr(buf_str(&h.text), "\n234"));
	assert_int_equal(h.done.count, 3);
	over(&h);
	assert_int_equal(ask(REQ(READ, .path = in("f"), .offset = 50), NULL),
	                 0);
	assert_int_equal(
		ask(REQ(READ, .path = in("f"), .offset = UINT64_MAX), NULL),
		EINVAL);
	assert_int_equal(ask(REQ(READ, .path = in("p")), NULL), EINVAL);
	assert_int_equal(ask(REQ(READ, .path = in("lp")), NULL), EINVAL);
	assert_int_equal(ask(REQ(READ, .path = "/dev/zero"), NULL), EINVAL);
	assert_int_equal(ask(REQ(READ, .path = folder), NULL), EISDIR);
	fd = open(in("huge"), O_CREAT | O_WRONLY, 0600);
	assert_int_equal(ftruncate(fd, 1LL << 40), 0);
	(void)close(fd);
	assert_int_equal(ask(REQ(READ, .path = in("huge")), &h), 0);
	assert_true(h.text.len < 200);
	over(&h);
}

static void send_data(struct host *h, uint64_t off, const char *text)
{
	struct files_sink sink = files_link_sink(&h->link);

	assert_int_equal(
		sink.data(sink.arg, off, text, (uint32_t)strlen(text), NULL),
		0);
}

static void send_done(struct host *h)
{
	struct proto_msg m = {.type = PROTO_FILE_DONE,
	                      .file_done = {.message = ""}};

	assert_int_equal(files_link_send(&h->link, &m), 0);
}

static int write_all(struct proto_file_req req, const char *text)
{
	struct host h;
	int error;

	begin(&h, &req);
	send_data(&h, 0, text);
	send_done(&h);
	error = answer(&h);
	over(&h);
	return error;
}

static void writing_replaces_as_a_whole_and_keeps_owner_and_mode(void **state)
{
	(void)state;
	put("w", "old");
	assert_int_equal(chmod(in("w"), 0604), 0);
	assert_int_equal(link(in("w"), in("w2")), 0);
	assert_int_equal(symlink("w", in("wl")), 0);
	assert_int_equal(write_all(REQ(WRITE, .path = in("wl")), "new"), 0);
	holds("w", "new");
	holds("w2", "old");
	assert_int_equal(stat_of("w").st_mode & 07777, 0604);
	assert_true(S_ISLNK(stat_of("wl").st_mode));
	assert_int_equal(write_all(REQ(WRITE, .path = in("w"),
	                               .flags = PROTO_FILE_APPEND),
	                           "er"),
	                 0);
	holds("w", "newer");
	assert_int_equal(write_all(REQ(WRITE, .path = in("w"),
	                               .flags = PROTO_FILE_EXCLUSIVE),
	                           "x"),
	                 EEXIST);
	assert_int_equal(
		write_all(REQ(WRITE, .path = in("fresh"),
	                      .flags = PROTO_FILE_EXCLUSIVE, .mode = 0751),
	                  "x"),
		0);
	assert_int_equal(stat_of("fresh").st_mode & 07777, 0751);
	assert_int_equal(mkfifo(in("wp"), 0600), 0);
	assert_int_equal(write_all(REQ(WRITE, .path = in("wp")), "x"), EINVAL);
	assert_int_equal(write_all(REQ(WRITE, .path = folder), "x"), EISDIR);
	assert_int_equal(write_all(REQ(WRITE, .path = in("no/f")), "x"),
	                 ENOENT);
}

static unsigned count_in(const char *path)
{
	struct files_names n;
	unsigned found;

	assert_int_equal(
		files_names_read(open(path, O_RDONLY | O_DIRECTORY), &n), 0);
	found = (unsigned)n.n;
	files_names_release(&n);
	return found;
}

static void what_is_not_finished_leaves_nothing(void **state)
{
	struct host h;
	uint64_t end = clock_now_ns() + 5 * NS_PER_S;

	(void)state;
	assert_int_equal(mkdir(in("half"), 0755), 0);
	begin(&h, &REQ(WRITE, .path = in("half/f")));
	send_data(&h, 0, "some");
	assert_int_equal(files_link_flush(&h.link), 0);
	while (count_in(in("half")) == 0 && clock_now_ns() < end)
		assert_int_equal(loop_step(loop, 10), 0);
	assert_int_equal(count_in(in("half")), 1);
	over(&h);
	assert_int_equal(count_in(in("half")), 0);
}

static void what_breaks_the_order_is_told_to_the_host(void **state)
{
	struct host h;

	(void)state;
	begin(&h, &REQ(WRITE, .path = in("bad")));
	send_data(&h, 5, "x");
	send_data(&h, 1, "x");
	assert_int_equal(answer(&h), EPROTO);
	over(&h);
	assert_int_equal(access(in("bad"), F_OK), -1);
	begin(&h, &REQ(TREE_WRITE, .path = folder, .path2 = "bad"));
	send_data(&h, 0, "x");
	assert_int_equal(answer(&h), EPROTO);
	over(&h);
	assert_int_equal(
		ask(REQ(TREE_WRITE, .path = folder, .path2 = "../x"), NULL),
		EPROTO);
	assert_int_equal(ask((struct proto_file_req){.op = 99}, NULL),
	                 EOPNOTSUPP);
	assert_int_equal(ask((struct proto_file_req){.op = 0}, NULL),
	                 EOPNOTSUPP);
	assert_int_equal(ask(REQ(UPPER_READ, .path = ""), NULL), EOPNOTSUPP);
}

static void a_tree_goes_in_and_comes_out(void **state)
{
	struct files_sink sink;
	struct host h;

	(void)state;
	assert_int_equal(mkdir(in("t"), 0755), 0);
	assert_int_equal(mkdir(in("t/d"), 0700), 0);
	put("t/d/f", "hello");
	assert_int_equal(link(in("t/d/f"), in("t/g")), 0);
	begin(&h, &REQ(TREE_WRITE, .path = in("u"), .path2 = "t"));
	sink = files_link_sink(&h.link);
	assert_int_equal(files_walk(AT_FDCWD, in("t"), 0, NULL, &sink, NULL),
	                 0);
	send_done(&h);
	assert_int_equal(answer(&h), 0);
	over(&h);
	holds("u/d/f", "hello");
	assert_int_equal(stat_of("u/d/f").st_ino, stat_of("u/g").st_ino);
	assert_int_equal(stat_of("u/d").st_mtime, stat_of("t/d").st_mtime);
	assert_int_equal(ask(REQ(TREE_READ, .path = in("u")), &h), 0);
	assert_string_equal(buf_str(&h.text),
	                    " 40755\nd 40700\nd/f 100640\nhello"
	                    "g>d/f 100640\n");
	over(&h);
	assert_int_equal(
		ask(REQ(COPY, .path = in("u"), .path2 = in("v")), NULL), 0);
	holds("v/d/f", "hello");
	assert_int_equal(
		ask(REQ(COPY, .path = in("u"), .path2 = in("u/d")), NULL),
		EINVAL);
}

/* Neither a host that goes away nor one that never reads holds up anything. */
static void sessions_end_with_their_connection(void **state)
{
	struct host many[20], h;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		begin(&many[i], &REQ(WRITE, .path = in("never")));
	begin(&h, &REQ(TREE_READ, .path = "/usr/include"));
	for (int i = 0; i < 20; i++)
		assert_int_equal(loop_step(loop, 10), 0);
	assert_int_equal(server.nsessions, ARRAY_SIZE(many) + 1);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
		files_link_release(&many[i].link);
		(void)close(many[i].link.sock);
		buf_release(&many[i].text);
	}
	over(&h);
	assert_int_equal(server.nsessions, 0);
}

static int setup(void **state)
{
	struct err err = {0};

	(void)state;
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)umask(022);
	loop = loop_new();
	if (!loop || !mkdtemp(folder) ||
	    server_init(&server, loop, NULL, NULL) < 0)
		return -1;
	return server_open_env(&server, &err);
}

static int teardown(void **state)
{
	(void)state;
	server_release(&server);
	loop_free(loop);
	return dir_remove(AT_FDCWD, folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operations_on_names),
		cmocka_unit_test(removal_takes_no_root_and_what_is_asked_only),
		cmocka_unit_test(stat_and_list),
		cmocka_unit_test(reading_waits_for_nothing_and_opens_no_device),
		cmocka_unit_test(
			writing_replaces_as_a_whole_and_keeps_owner_and_mode),
		cmocka_unit_test(what_is_not_finished_leaves_nothing),
		cmocka_unit_test(what_breaks_the_order_is_told_to_the_host),
		cmocka_unit_test(a_tree_goes_in_and_comes_out),
		cmocka_unit_test(sessions_end_with_their_connection),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
