/* One end of a file session, the test at the other. */
#include "lib/test.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"
#include "files/link.h"

static const uint8_t one[] = {'x'};
static const uint8_t bad_xattrs[] = {5, 200, 0, 'a'};

/* What a sink was given. */
struct seen {
	unsigned entries, pieces, ends;
};

static int see_entry(void *arg, const struct proto_file_entry *e,
                     struct err *err)
{
	(void)e;
	(void)err;
	((struct seen *)arg)->entries++;
	return 0;
}

static int see_data(void *arg, uint64_t off, const void *data, uint32_t len,
                    struct err *err)
{
	struct seen *s = arg;

	(void)off;
	(void)data;
	(void)err;
	s->pieces += len > 0;
	s->ends += len == 0;
	return 0;
}

#define ENTRY(path_, mode_, ...)                                               \
	{                                                                      \
		.type = PROTO_FILE_ENTRY, .file_entry = {                      \
			.path = (path_),                                       \
			.target = "",                                          \
			.mode = (mode_),                                       \
			##__VA_ARGS__                                          \
		}                                                              \
	}
#define LINK(path_, mode_, kind_, target_)                                     \
	{                                                                      \
		.type = PROTO_FILE_ENTRY, .file_entry = {                      \
			.path = (path_),                                       \
			.target = (target_),                                   \
			.mode = (mode_),                                       \
			.kind = (kind_)                                        \
		}                                                              \
	}
#define DATA(off_, n_)                                                         \
	{                                                                      \
		.type = PROTO_FILE_DATA, .file_data = {                        \
			.offset = (off_),                                      \
			.data = {one, (n_)}                                    \
		}                                                              \
	}
#define DONE                                                                   \
	{                                                                      \
		.type = PROTO_FILE_DONE, .file_done = {.message = "" }         \
	}
#define DIR_  (S_IFDIR | 0755)
#define FILE_ (S_IFREG | 0644)

static int receive(const struct proto_msg *msgs, size_t n, struct seen *seen)
{
	struct files_sink sink = {see_entry, see_data, seen};
	const struct proto_file_done *done;
	struct files_link a, b;
	int s[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	files_link_init(&a, s[0], 1000);
	files_link_init(&b, s[1], 1000);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(files_link_send(&a, &msgs[i]), 0);
	assert_int_equal(files_link_flush(&a), 0);
	assert_int_equal(shutdown(s[0], SHUT_WR), 0);
	r = files_link_receive(&b, &sink, &done, NULL);
	files_link_release(&a);
	files_link_release(&b);
	(void)close(s[0]);
	(void)close(s[1]);
	return r;
}

static void a_tree_in_order_is_given_on(void **state)
{
	const struct proto_msg msgs[] = {
		ENTRY("", DIR_),
		ENTRY("f", FILE_),
		DATA(0, 1),
		DATA(1, 1),
		DATA(100, 1),
		DATA(200, 0),
		{.type = PROTO_PING},
		LINK("l", S_IFREG, PROTO_FILE_HARDLINK, "f"),
		LINK("s", S_IFLNK | 0777, 0, "../../any"),
		DONE,
	};
	struct seen seen = {0};

	(void)state;
	assert_int_equal(receive(msgs, ARRAY_SIZE(msgs), &seen), 0);
	assert_int_equal(seen.entries, 4);
	assert_int_equal(seen.pieces, 3);
	assert_int_equal(seen.ends, 1);
}

/* Each is wrong at its last message; a DONE follows that must not count. */
static const struct {
	struct proto_msg msgs[4];
} wrong[] = {
	{{DATA(0, 1)}},
	{{ENTRY("f", FILE_)}},
	{{ENTRY("", DIR_), ENTRY("", DIR_)}},
	{{ENTRY("", DIR_), DATA(0, 1)}},
	{{ENTRY("", DIR_), ENTRY("f", FILE_), ENTRY("g", FILE_)}},
	{{ENTRY("", FILE_), DATA(5, 1), DATA(4, 1)}},
	{{ENTRY("", FILE_), DATA(0, 0), DATA(1, 1)}},
	{{ENTRY("", FILE_), DATA(UINT64_MAX, 1)}},
	{{ENTRY("", FILE_), DATA(UINT64_MAX, 0)}},
	{{ENTRY("", FILE_), DONE}},
	{{ENTRY("", DIR_), ENTRY("../x", FILE_)}},
	{{ENTRY("", DIR_), ENTRY("/x", FILE_)}},
	{{ENTRY("", DIR_), ENTRY("a/../../x", FILE_)}},
	{{ENTRY("", DIR_), ENTRY("a//b", FILE_)}},
	{{ENTRY("", DIR_), ENTRY("a/.", DIR_)}},
	{{ENTRY("", DIR_), ENTRY("h", FILE_, .kind = PROTO_FILE_HARDLINK)}},
	{{ENTRY("", DIR_),
          LINK("h", FILE_, PROTO_FILE_HARDLINK, "../etc/passwd")}},
	{{ENTRY("", DIR_),
          LINK("h", FILE_, PROTO_FILE_HARDLINK, "/etc/passwd")}},
	{{LINK("", FILE_, PROTO_FILE_HARDLINK, "x")}},
	{{ENTRY("", DIR_), ENTRY("s", S_IFLNK)}},
	{{ENTRY("", DIR_, .kind = 9)}},
	{{ENTRY("", DIR_, .mtime_ns = 1000000000)}},
	{{ENTRY("", FILE_, .size = UINT64_MAX)}},
	{{ENTRY("", DIR_, .xattrs = {bad_xattrs, sizeof(bad_xattrs)})}},
	{{{.type = PROTO_PONG}}},
	{{ENTRY("", DIR_), {.type = PROTO_STDOUT}}},
};

static void what_breaks_the_order_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct proto_msg msgs[5] = {0};
		struct seen seen = {0};
		size_t n = 0;

		while (n < 4 && wrong[i].msgs[n].type) {
			msgs[n] = wrong[i].msgs[n];
			n++;
		}
		msgs[n] = (struct proto_msg)DONE;
		if (receive(msgs, n + 1, &seen) != -EPROTO)
			fail_msg("case %zu is taken", i);
	}
}

static void an_end_in_the_middle_is_no_end(void **state)
{
	const struct proto_msg msgs[] = {ENTRY("", FILE_), DATA(0, 1)};
	struct seen seen = {0};

	(void)state;
	assert_int_equal(receive(msgs, 0, &seen), -ECONNRESET);
	assert_int_equal(receive(msgs, 2, &seen), -ECONNRESET);
}

static int never(void *arg)
{
	++*(unsigned *)arg;
	return 0;
}

static int cancel(void *arg)
{
	return ++*(unsigned *)arg == 3 ? -ECANCELED : 0;
}

static void silence_has_a_limit_and_waiting_can_be_cancelled(void **state)
{
	const struct proto_msg *m;
	struct files_link l;
	unsigned ticks = 0;
	int s[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	files_link_init(&l, s[0], 200);
	l.tick = never;
	l.arg = &ticks;
	assert_int_equal(files_link_next(&l, &m), -ETIMEDOUT);
	assert_in_range(ticks, 2, 10);
	ticks = 0;
	l.tick = cancel;
	assert_int_equal(files_link_next(&l, &m), -ECANCELED);
	files_link_release(&l);
	(void)close(s[0]);
	(void)close(s[1]);
}

static void a_peer_that_does_not_read_is_given_up(void **state)
{
	static uint8_t chunk[PROTO_FILE_MAX];
	struct proto_msg m = {.type = PROTO_FILE_DATA,
	                      .file_data = {.data = {chunk, sizeof(chunk)}}};
	struct files_link l;
	int s[2], r = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	files_link_init(&l, s[0], 200);
	for (int i = 0; i < 100 && r == 0; i++)
		r = files_link_send(&l, &m);
	assert_int_equal(r, -ETIMEDOUT);
	(void)close(s[1]);
	assert_int_equal(files_link_send(&l, &m), 0);
	assert_int_equal(files_link_send(&l, &m), -EPIPE);
	files_link_release(&l);
	(void)close(s[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tree_in_order_is_given_on),
		cmocka_unit_test(what_breaks_the_order_is_refused),
		cmocka_unit_test(an_end_in_the_middle_is_no_end),
		cmocka_unit_test(
			silence_has_a_limit_and_waiting_can_be_cancelled),
		cmocka_unit_test(a_peer_that_does_not_read_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
