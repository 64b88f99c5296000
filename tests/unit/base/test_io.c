/* fdio, digest, spawn, loop: files, processes and events. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/fdio.h"
#include "base/loop.h"
#include "base/num.h"
#include "base/spawn.h"
#include "lib/test.h"

static int tmp_dir(char *name)
{
	assert_non_null(mkdtemp(name));
	return open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void an_atomic_write_leaves_one_whole_file(void **state)
{
	char name[] = "/tmp/test_io.XXXXXX";
	int dir = tmp_dir(name);
	struct buf b = BUF_INIT;
	struct stat st;

	(void)state;
	assert_int_equal(dir_make(dir, "a/b/c", 0700), 0);
	assert_int_equal(dir_make(dir, "a/b/c", 0700), 0);
	assert_int_equal(file_write_atomic(dir, "a/b/f", "one", 3, 0640), 0);
	assert_int_equal(file_write_atomic(dir, "a/b/f", "two!", 4, 0640), 0);
	assert_int_equal(file_read(dir, "a/b/f", &b), 0);
	assert_string_equal(buf_str(&b), "two!");
	assert_int_equal(fstatat(dir, "a/b/f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(file_write_atomic(dir, "no/f", "x", 1, 0600), -ENOENT);
	b.max = 2;
	buf_reset(&b);
	assert_int_equal(file_read(dir, "a/b/f", &b), -E2BIG);
	buf_release(&b);
	close(dir);
	assert_int_equal(dir_remove(AT_FDCWD, name), 0);
	assert_int_equal(access(name, F_OK), -1);
}

static void what_a_killed_writer_left_is_overwritten(void **state)
{
	char name[] = "/tmp/test_io.XXXXXX";
	int dir = tmp_dir(name);
	struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(file_write_atomic(dir, "r.new", "long", 4, 0600), 0);
	assert_int_equal(file_replace(dir, "r", "ab", 2, 0640), 0);
	assert_int_equal(file_read(dir, "r", &b), 0);
	assert_string_equal(buf_str(&b), "ab");
	assert_int_equal(faccessat(dir, "r.new", F_OK, 0), -1);
	buf_release(&b);
	close(dir);
	assert_int_equal(dir_remove(AT_FDCWD, name), 0);
}

static void a_file_as_long_as_the_bound_is_read(void **state)
{
	char name[] = "/tmp/test_io.XXXXXX";
	int dir = tmp_dir(name);
	struct buf b = BUF_INIT_MAX(4);

	(void)state;
	assert_int_equal(file_write_atomic(dir, "f", "four", 4, 0600), 0);
	assert_int_equal(file_read(dir, "f", &b), 0);
	assert_string_equal(buf_str(&b), "four");
	buf_reset(&b);
	b.max = 3;
	assert_int_equal(file_read(dir, "f", &b), -E2BIG);
	buf_release(&b);
	close(dir);
	assert_int_equal(dir_remove(AT_FDCWD, name), 0);
}

static void removal_does_not_follow_links(void **state)
{
	char name[] = "/tmp/test_io.XXXXXX", other[] = "/tmp/test_io.XXXXXX";
	int dir = tmp_dir(name), out = tmp_dir(other);

	(void)state;
	assert_int_equal(file_write_atomic(out, "keep", "x", 1, 0600), 0);
	assert_int_equal(dir_make(dir, "d", 0700), 0);
	assert_int_equal(symlinkat(other, dir, "d/link"), 0);
	assert_int_equal(dir_remove(dir, "d"), 0);
	assert_int_equal(faccessat(out, "keep", F_OK, 0), 0);
	assert_int_equal(dir_remove(dir, "absent"), 0);
	close(dir);
	close(out);
	assert_int_equal(dir_remove(AT_FDCWD, name), 0);
	assert_int_equal(dir_remove(AT_FDCWD, other), 0);
}

/* DIR/real/f, DIR/link -> real, DIR/real/g -> f */
static void links_are_followed_as_far_as_they_may(void **state)
{
	static const struct {
		const char *path;
		enum file_links links;
		int r;
	} cases[] = {
		{"real/f",         LINKS_ANY,   0      },
		{"real/f",         LINKS_ABOVE, 0      },
		{"real/f",         LINKS_NONE,  0      },
		{"real/../real/f", LINKS_NONE,  0      },
		{"real/g",         LINKS_ANY,   0      },
		{"real/g",         LINKS_ABOVE, -ELOOP },
		{"real/g",         LINKS_NONE,  -ELOOP },
		{"link/f",         LINKS_ANY,   0      },
		{"link/f",         LINKS_ABOVE, 0      },
		{"link/f",         LINKS_NONE,  -ELOOP },
		{"link",           LINKS_ABOVE, -ELOOP },
		{"link",           LINKS_NONE,  -ELOOP },
		{"link/none",      LINKS_NONE,  -ELOOP },
		{"away",           LINKS_NONE,  -ELOOP },
		{"away",           LINKS_ANY,   -ENOENT},
		{"real/none",      LINKS_NONE,  -ENOENT},
	};
	char name[] = "/tmp/test_io.XXXXXX", path[64];
	int dir = tmp_dir(name);

	(void)state;
	assert_int_equal(dir_make(dir, "real", 0700), 0);
	assert_int_equal(file_write_atomic(dir, "real/f", "x", 1, 0600), 0);
	assert_int_equal(symlinkat("f", dir, "real/g"), 0);
	assert_int_equal(symlinkat("real", dir, "link"), 0);
	assert_int_equal(symlinkat("/none", dir, "away"), 0);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		const int flags = i % 2 ? O_PATH : O_RDONLY;
		int fd;

		(void)snprintf(path, sizeof(path), "%s/%s", name,
		               cases[i / 2].path);
		fd = file_open(path, flags, cases[i / 2].links);
		if (cases[i / 2].r ? fd != cases[i / 2].r : fd < 0)
			fail_msg("%s %d: %d", cases[i / 2].path,
			         cases[i / 2].links, fd);
		if (fd < 0)
			continue;
		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
		close(fd);
	}
	/* A descriptor is no way around it. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/real/f", dir);
	assert_int_equal(file_open(path, O_RDONLY, LINKS_NONE), -ELOOP);
	assert_non_null(
		strstr(file_open_text(-ELOOP, LINKS_NONE), "symbolic link"));
	close(dir);
	assert_int_equal(dir_remove(AT_FDCWD, name), 0);
}

static void descriptors_travel_and_are_counted(void **state)
{
	int sock[2], fds[FD_PASS_MAX], p[2];
	char data[8];
	size_t n;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock), 0);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(fd_send(sock[0], "hi", 2, p, 2), 2);
	assert_int_equal(fd_recv(sock[1], data, sizeof(data), fds, &n), 2);
	assert_int_equal(n, 2);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(read(p[0], data, 1), 1);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(fd_send(sock[0], "too long!", 9, p, 1), 9);
	assert_int_equal(fd_recv(sock[1], data, sizeof(data), fds, &n),
	                 -EMSGSIZE);
	close(p[0]);
	close(p[1]);
	close(sock[0]);
	assert_int_equal(fd_recv(sock[1], data, sizeof(data), fds, &n), 0);
	close(sock[1]);
}

static void digests_have_one_text_form(void **state)
{
	static const char empty[] = "sha256:e3b0c44298fc1c149afbf4c8996fb924"
				    "27ae41e4649b934ca495991b7852b855";
	char text[DIGEST_TEXT_LEN + 1], upper[sizeof(text)];
	struct digest d, e;

	(void)state;
	digest_of("", 0, &d);
	assert_string_equal(digest_text(&d, text), empty);
	assert_true(digest_parse(empty, &e) && digest_equal(&d, &e));
	memcpy(upper, text, sizeof(upper));
	upper[7] = 'E';
	assert_false(digest_parse(upper, &e));
	text[DIGEST_TEXT_LEN - 1] = '\0';
	assert_false(digest_parse(text, &e));
	assert_false(digest_parse("sha256:../../x", &e));
	assert_false(digest_parse("sha512:00", &e));
	assert_false(digest_parse("", &e));
}

static int run_sh(const char *script, const char *input, struct buf *out,
                  int timeout_ms, struct err *err)
{
	char *const argv[] = {"sh", "-c", (char *)(uintptr_t)script, NULL};
	const struct spawn_opts o = {argv, input, input ? strlen(input) : 0,
	                             out, timeout_ms};

	return spawn_run(&o, err);
}

static void helpers_are_bounded_in_time_and_output(void **state)
{
	static char big[1 << 20];
	struct buf out = BUF_INIT_MAX(1000);
	struct err e = {0};
	uint64_t start;
	char *const missing[] = {"/nonexistent/helper", NULL};
	const struct spawn_opts o = {.argv = missing, .timeout_ms = 1000};

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	assert_int_equal(run_sh("cat", "hello", &out, 5000, &e), 0);
	assert_string_equal(buf_str(&out), "hello");
	assert_int_equal(run_sh("echo why >&2; exit 3", NULL, NULL, 5000, &e),
	                 3);
	assert_non_null(strstr(e.msg, "why"));
	assert_int_equal(run_sh("kill -9 $$", NULL, NULL, 5000, &e), 128 + 9);
	buf_reset(&out);
	assert_int_equal(run_sh("yes", NULL, &out, 5000, &e), -E2BIG);
	start = clock_now_ns();
	assert_int_equal(run_sh("sleep 30 & sleep 30", NULL, NULL, 100, &e),
	                 -ETIMEDOUT);
	assert_true(clock_now_ns() - start < 5 * NS_PER_S);
	assert_int_equal(spawn_run(&o, &e), -ENOENT);
	/* Its exit with input unread is not our end by SIGPIPE. */
	assert_int_equal(run_sh("exit 4", big, NULL, 5000, &e), 4);
	buf_release(&out);
}

struct counted {
	struct loop *l;
	struct loop_fd src;
	struct loop_timer timer;
	int calls, stop_after;
};

static void on_readable(void *arg, uint32_t events)
{
	struct counted *c = arg;

	assert_true(events & EPOLLIN);
	if (++c->calls == c->stop_after)
		loop_stop(c->l);
}

static void on_time(void *arg)
{
	struct counted *c = arg;

	if (++c->calls == c->stop_after)
		loop_stop(c->l);
}

static void timers_run_in_order_and_once(void **state)
{
	struct loop *l = loop_new();
	struct counted a = {.l = l}, b = {.l = l, .stop_after = 1};
	uint64_t now = clock_now_ns();

	(void)state;
	loop_timer_set(l, &b.timer, now + 20 * NS_PER_MS, on_time, &b);
	loop_timer_set(l, &a.timer, now + 5 * NS_PER_MS, on_time, &a);
	assert_int_equal(loop_run(l), 0);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 1);
	assert_true(clock_now_ns() - now >= 20 * NS_PER_MS);
	loop_free(l);
}

/* Both are readable in one round; whichever runs first removes the other. */
static struct counted pair[2];

struct again {
	struct loop *loop;
	struct loop_timer timer;
	int count;
};

static void arm_again(void *arg)
{
	struct again *a = arg;

	a->count++;
	loop_timer_set(a->loop, &a->timer, 0, arm_again, a);
}

static void a_timer_in_the_past_runs_once_a_round(void **state)
{
	struct loop *l = loop_new();
	struct again a = {.loop = l}, b = {.loop = l};

	(void)state;
	loop_timer_set(l, &a.timer, 0, arm_again, &a);
	loop_timer_set(l, &b.timer, 1, arm_again, &b);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(loop_step(l, 0), 0);
		assert_int_equal(a.count, i);
		assert_int_equal(b.count, i);
	}
	loop_timer_del(l, &a.timer);
	loop_timer_del(l, &b.timer);
	loop_free(l);
}

static void remove_other(void *arg, uint32_t events)
{
	struct counted *c = arg, *other = c == &pair[0] ? &pair[1] : &pair[0];

	(void)events;
	c->calls++;
	loop_del(c->l, &other->src);
	loop_stop(c->l);
}

static void a_removed_source_gets_no_event_of_the_round(void **state)
{
	struct loop *l = loop_new();
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	pair[0] = pair[1] = (struct counted){.l = l};
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(loop_add(l, &pair[0].src, p[0], EPOLLIN, remove_other,
	                          &pair[0]),
	                 0);
	assert_int_equal(loop_add(l, &pair[1].src, dup(p[0]), EPOLLIN,
	                          remove_other, &pair[1]),
	                 0);
	assert_int_equal(loop_run(l), 0);
	assert_int_equal(pair[0].calls + pair[1].calls, 1);
	close(pair[1].src.fd);
	close(p[0]);
	close(p[1]);
	loop_free(l);
}

/* Somebody else has it open as well: what it says is not ours any more. */
static void a_closed_source_is_out_whoever_has_a_copy(void **state)
{
	struct loop *l = loop_new();
	struct counted c = {.l = l};
	int p[2], copy;

	(void)state;
	assert_int_equal(pipe(p), 0);
	copy = dup(p[0]);
	assert_int_equal(loop_add(l, &c.src, p[0], EPOLLIN, on_readable, &c),
	                 0);
	loop_close(l, &c.src);
	loop_close(l, &c.src);
	assert_int_equal(c.src.fd, -1);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(loop_step(l, 20), 0);
	assert_int_equal(c.calls, 0);
	assert_int_equal(loop_add(l, &c.src, copy, EPOLLIN, on_readable, &c),
	                 0);
	assert_int_equal(loop_step(l, 20), 0);
	assert_int_equal(c.calls, 1);
	loop_close_sole(l, &c.src);
	assert_int_equal(loop_step(l, 0), 0);
	assert_int_equal(c.calls, 1);
	close(p[1]);
	loop_free(l);
}

static void *post_from_thread(void *arg)
{
	struct counted *c = arg;

	for (int i = 0; i < 1000; i++)
		assert_int_equal(loop_post(c->l, on_time, c), 0);
	return NULL;
}

static void posted_work_arrives_from_other_threads(void **state)
{
	struct loop *l = loop_new();
	struct counted c = {.l = l, .stop_after = 2000};
	pthread_t t[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			pthread_create(&t[i], NULL, post_from_thread, &c), 0);
	assert_int_equal(loop_run(l), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_int_equal(c.calls, 2000);
	loop_free(l);
}

static void readable_descriptors_are_level_triggered(void **state)
{
	struct loop *l = loop_new();
	struct counted c = {.l = l, .stop_after = 3};
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(loop_add(l, &c.src, p[0], EPOLLIN, on_readable, &c),
	                 0);
	assert_int_equal(loop_run(l), 0);
	assert_int_equal(c.calls, 3);
	loop_del(l, &c.src);
	loop_del(l, &c.src);
	close(p[0]);
	close(p[1]);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_atomic_write_leaves_one_whole_file),
		cmocka_unit_test(what_a_killed_writer_left_is_overwritten),
		cmocka_unit_test(a_file_as_long_as_the_bound_is_read),
		cmocka_unit_test(removal_does_not_follow_links),
		cmocka_unit_test(links_are_followed_as_far_as_they_may),
		cmocka_unit_test(descriptors_travel_and_are_counted),
		cmocka_unit_test(digests_have_one_text_form),
		cmocka_unit_test(helpers_are_bounded_in_time_and_output),
		cmocka_unit_test(timers_run_in_order_and_once),
		cmocka_unit_test(a_timer_in_the_past_runs_once_a_round),
		cmocka_unit_test(a_removed_source_gets_no_event_of_the_round),
		cmocka_unit_test(a_closed_source_is_out_whoever_has_a_copy),
		cmocka_unit_test(posted_work_arrives_from_other_threads),
		cmocka_unit_test(readable_descriptors_are_level_triggered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
