/* Captures: what is in the file, when, and what a full disk does. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "net/net.h"
#include "net/pcap.h"

#define AT_NS 1700000000123456789ULL

static uint8_t got[1 << 20];

static uint32_t word(size_t off)
{
	uint32_t w;

	memcpy(&w, got + off, sizeof(w));
	return w;
}

static size_t size_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (size_t)st.st_size;
}

static size_t file_of(int fd)
{
	ssize_t n = fd_pread_full(fd, got, sizeof(got), 0);

	assert_true(n >= 0);
	return (size_t)n;
}

/* A file, and the capture's own descriptor of it. */
static struct pcap *start(int *ret_fd)
{
	struct pcap *p;

	*ret_fd = memfd_create("pcap", MFD_CLOEXEC);
	assert_true(*ret_fd >= 0);
	p = pcap_new(dup(*ret_fd));
	assert_non_null(p);
	return p;
}

static void capture_without_frames_is_a_whole_file(void **state)
{
	int fd;
	struct pcap *p = start(&fd);

	(void)state;
	pcap_free(p);
	assert_int_equal(file_of(fd), 24);
	assert_int_equal(word(0), 0xa1b23c4d);
	assert_int_equal(word(4), 2 | 4 << 16);
	assert_true(word(16) >= NET_FRAME_MAX);
	assert_int_equal(word(20), 1);
	close(fd);
}

static void frame_in_pieces_is_one_record(void **state)
{
	int fd;
	struct pcap *p = start(&fd);
	struct iovec v[] = {
		{"abc",   3},
                {NULL,    0},
                {"defgh", 5},
                {"xxx",   3}
        };

	(void)state;
	pcap_write(p, AT_NS, v, 4, 10);
	pcap_flush(p);
	assert_int_equal(file_of(fd), 24 + 16 + 10);
	assert_int_equal(word(24), 1700000000);
	assert_int_equal(word(28), 123456789);
	assert_int_equal(word(32), 10);
	assert_int_equal(word(36), 10);
	assert_memory_equal(got + 40, "abcdefghxx", 10);
	pcap_free(p);
	assert_int_equal(file_of(fd), 24 + 16 + 10);
	close(fd);
}

static void little_is_written_at_once_and_not_frame_by_frame(void **state)
{
	static uint8_t frame[1500];
	struct iovec v = {frame, sizeof(frame)};
	int fd;
	struct pcap *p = start(&fd);

	(void)state;
	for (int i = 0; i < 43; i++)
		pcap_write(p, AT_NS, &v, 1, sizeof(frame));
	assert_int_equal(size_of(fd), 0);
	pcap_write(p, AT_NS, &v, 1, sizeof(frame));
	assert_int_equal(size_of(fd), 24 + 44 * 1516);
	pcap_free(p);
	close(fd);
}

static void largest_frame_is_whole_and_what_is_larger_is_cut(void **state)
{
	static uint8_t frame[NET_FRAME_MAX + 100];
	struct iovec v = {frame, sizeof(frame)};
	int fd;
	struct pcap *p = start(&fd);

	(void)state;
	memset(frame, 7, sizeof(frame));
	for (int i = 0; i < 43; i++)
		pcap_write(p, AT_NS, &v, 1, 1500);
	pcap_write(p, AT_NS, &v, 1, NET_FRAME_MAX);
	pcap_write(p, AT_NS, &v, 1, sizeof(frame));
	pcap_free(p);
	assert_int_equal(file_of(fd),
	                 24 + 43 * 1516 + 2 * (16 + NET_FRAME_MAX));
	assert_int_equal(word(24 + 43 * 1516 + 8), NET_FRAME_MAX);
	assert_int_equal(word(24 + 43 * 1516 + 16 + NET_FRAME_MAX + 8),
	                 NET_FRAME_MAX);
	assert_int_equal(word(24 + 43 * 1516 + 16 + NET_FRAME_MAX + 12),
	                 sizeof(frame));
	close(fd);
}

/* /dev/full: every write is ENOSPC. */
static void failed_write_ends_the_capture_with_one_line(void **state)
{
	static uint8_t frame[65536];
	struct iovec v = {frame, sizeof(frame)};
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), log[2];
	struct pcap *p = pcap_new(full);
	ssize_t n;

	(void)state;
	assert_true(full >= 0);
	assert_non_null(p);
	assert_int_equal(pipe2(log, O_CLOEXEC | O_NONBLOCK), 0);
	log_setup("test", log[1], LOG_WARN);
	for (int i = 0; i < 100; i++)
		pcap_write(p, AT_NS, &v, 1, sizeof(frame));
	pcap_flush(p);
	assert_int_equal(fcntl(full, F_GETFD), -1);
	pcap_free(p);
	log_setup("test", 2, LOG_WARN);
	n = read(log[0], got, sizeof(got) - 1);
	assert_true(n > 0);
	got[n] = 0;
	assert_non_null(strstr((char *)got, "No space left"));
	assert_ptr_equal(strchr((char *)got, '\n'), got + n - 1);
	close(log[0]);
	close(log[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capture_without_frames_is_a_whole_file),
		cmocka_unit_test(frame_in_pieces_is_one_record),
		cmocka_unit_test(
			little_is_written_at_once_and_not_frame_by_frame),
		cmocka_unit_test(
			largest_frame_is_whole_and_what_is_larger_is_cut),
		cmocka_unit_test(failed_write_ends_the_capture_with_one_line),
	};

	return cmocka_run_group_tests_name("net/pcap", tests, NULL, NULL);
}
