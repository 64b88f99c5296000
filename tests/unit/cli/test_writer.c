/* Output that must neither block nor change the descriptor it goes to. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdio.h"
#include "cli/writer.h"

#define BIG (1u << 20)

static char big[BIG];

static size_t drain(int fd)
{
	static char sink[65536];
	ssize_t n = read(fd, sink, sizeof(sink));

	return n > 0 ? (size_t)n : 0;
}

static void more_than_fits(int in, int out, enum writer_kind kind)
{
	struct writer w;
	size_t got = 0;
	int flags = fcntl(out, F_GETFL);

	writer_init(&w, out);
	if (kind == WRITER_CAREFUL && w.kind == WRITER_OWN) {
		close_fd(&w.fd); /* as if the second opening had failed */
		w.fd = out;
		w.kind = WRITER_CAREFUL;
	}
	assert_int_equal(w.kind, kind);
	assert_int_equal(writer_put(&w, big, BIG), 0);
	assert_true(w.pending.len > 0 && w.pending.len < BIG);
	while (w.pending.len > 0) {
		got += drain(in);
		assert_int_equal(writer_flush(&w), 0);
	}
	assert_int_equal(fcntl(out, F_GETFL), flags);
	writer_release(&w);
	assert_true(fcntl(out, F_GETFL) >= 0);
	close(out);
	for (size_t n; (n = drain(in)) > 0;)
		got += n;
	assert_int_equal(got, BIG);
	close(in);
}

static void a_full_pipe_does_not_block(void **state)
{
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	more_than_fits(p[0], p[1], WRITER_OWN);
}

static void a_pipe_that_cannot_be_opened_again_neither(void **state)
{
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	more_than_fits(p[0], p[1], WRITER_CAREFUL);
}

static void a_full_socket_does_not_block(void **state)
{
	int p[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	more_than_fits(p[0], p[1], WRITER_SOCKET);
}

static void a_file_keeps_its_position(void **state)
{
	char path[] = "/tmp/msb-test-XXXXXX", text[8] = "";
	int fd = mkstemp(path);
	struct writer w;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "abc", 3), 3);
	writer_init(&w, fd);
	assert_int_equal(w.kind, WRITER_FILE);
	assert_int_equal(writer_put(&w, "def", 3), 0);
	writer_release(&w);
	assert_int_equal(pread(fd, text, 7, 0), 6);
	assert_string_equal(text, "abcdef");
	close(fd);
	(void)unlink(path);
}

static void a_closed_pipe_is_remembered(void **state)
{
	struct writer w;
	int p[2];

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(p), 0);
	writer_init(&w, p[1]);
	close(p[0]);
	assert_int_equal(writer_put(&w, "x", 1), -EPIPE);
	assert_int_equal(writer_put(&w, "x", 1), -EPIPE);
	assert_int_equal(w.pending.len, 0);
	writer_release(&w);
	close(p[1]);
}

static void a_full_device_is_an_error(void **state)
{
	struct writer w;
	int fd = open("/dev/full", O_WRONLY);

	(void)state;
	assert_true(fd >= 0);
	writer_init(&w, fd);
	assert_int_equal(writer_put(&w, "x", 1), -ENOSPC);
	writer_release(&w);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_pipe_does_not_block),
		cmocka_unit_test(a_pipe_that_cannot_be_opened_again_neither),
		cmocka_unit_test(a_full_socket_does_not_block),
		cmocka_unit_test(a_file_keeps_its_position),
		cmocka_unit_test(a_closed_pipe_is_remembered),
		cmocka_unit_test(a_full_device_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
