/*
 * The files of a sandbox's logs, as whoever took over msb-vmm may write them:
 * the first byte says how the rest is dealt out to exec.log and the pair, and
 * whether sums are made right, so that what lies behind them is reached.
 * Reading must end, and give out records within their bounds only.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "base/reclog.h"
#include "lib/log_stream.h"

static char path[] = "/dev/shm/fuzz_logs.XXXXXX";
static int dir_fd = -1;

static void remove_folder(void)
{
	(void)dir_remove(AT_FDCWD, path);
}

static void put_file(const char *name, const uint8_t *data, size_t len)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
	                0600);

	if (fd < 0 || fd_write_full(fd, data, len) < 0)
		abort();
	(void)close(fd);
}

/* Records by the writer, each of a few bytes of the input; then the rest. */
static void put_written(const uint8_t *data, size_t len)
{
	struct reclog_file log = RECLOG_FILE_INIT(dir_fd, "exec.log");

	(void)unlinkat(dir_fd, "exec.log", 0);
	while (len > 2) {
		size_t n = MIN(len - 2, data[0]);

		if (reclog_append(&log, 1u << (data[1] % 5), data[1], data + 2,
		                  n) < 0)
			abort();
		data += 2 + n;
		len -= 2 + n;
	}
	if (log.fd >= 0 && len)
		(void)!write(log.fd, data, len);
	reclog_file_close(&log);
}

static void read_all(const char *name, bool pair, bool over, size_t max)
{
	struct log_stream s;
	const struct reclog_record *rec;
	size_t sum = 0;

	if (log_stream_init(&s, dir_fd, name, pair) < 0)
		abort();
	for (int round = 0; round < 2; round++) {
		sum = 0;
		while (log_stream_peek(&s, over, &rec) > 0) {
			uint8_t last = 0;

			if (rec->len > RECLOG_DATA_MAX || rec->unix_ms < 0 ||
			    rec->source == RECLOG_HEAD)
				abort();
			for (size_t i = 0; i < rec->len; i++)
				last ^= rec->data[i];
			sum += rec->len + (last & 0);
			if (sum > max)
				abort();
			log_stream_take(&s);
		}
		log_stream_rewind(&s);
	}
	log_stream_release(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t cut;

	if (dir_fd < 0) {
		if (!mkdtemp(path) || atexit(remove_folder) != 0)
			abort();
		dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (len < 3 || len > 1 << 20)
		return 0;
	cut = MIN((size_t)get_le16(data + 1), len - 3);
	if (data[0] & 1)
		put_written(data + 3, len - 3);
	else
		put_file("exec.log", data + 3, len - 3);
	put_file("exec.log.1", data + 3, cut);
	put_file("vm.log.0", data + 3, cut);
	put_file("vm.log.1", data + 3 + cut, len - 3 - cut);
	read_all("exec.log", false, data[0] & 2, 2 * len);
	read_all("vm.log", true, data[0] & 2, 2 * len);
	return 0;
}
