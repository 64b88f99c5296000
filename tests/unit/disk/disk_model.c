#include "disk_model.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/test.h"

#include "base/num.h"

#define STEP_MAX (300 * SECTOR)

uint64_t model_random(struct model *m, uint64_t below)
{
	m->seed ^= m->seed << 13;
	m->seed ^= m->seed >> 7;
	m->seed ^= m->seed << 17;
	return (m->seed >> 11) % below;
}

void model_init(struct model *m, uint64_t size, uint64_t seed)
{
	*m = (struct model){.dir = "/tmp/test_disk.XXXXXX",
	                    .size = size,
	                    .seed = seed * 0x9e3779b97f4a7c15ULL + 1};
	assert_non_null(mkdtemp(m->dir));
	m->bytes = calloc(1, size);
	assert_non_null(m->bytes);
}

static int run(const char *command)
{
	int status = system(command);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void model_release(struct model *m)
{
	char command[128];

	disk_close(m->disk);
	for (uint32_t i = 0; i < m->nlayers; i++)
		close(m->layer[i].fd);
	free(m->bytes);
	(void)snprintf(command, sizeof(command), "rm -rf %s", m->dir);
	assert_int_equal(run(command), 0);
}

const char *model_path(const struct model *m, const char *name)
{
	static char path[8][128];
	static unsigned turn;
	char *p = path[turn++ % 8];

	(void)snprintf(p, sizeof(path[0]), "%s/%s", m->dir, name);
	return p;
}

int model_file(const struct model *m, const char *name)
{
	int fd = open(model_path(m, name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

void model_push(struct model *m, int fd, enum disk_format format)
{
	memmove(m->layer + 1, m->layer, m->nlayers * sizeof(m->layer[0]));
	m->layer[0] = (struct disk_layer){fd, format};
	m->nlayers++;
}

void model_open(struct model *m, bool read_only)
{
	struct err err = {0};
	int r = disk_open_layers(m->layer, m->nlayers, read_only, &m->disk,
	                         &err);

	if (r < 0)
		print_error("%s\n", err.msg);
	assert_int_equal(r, 0);
	assert_int_equal(disk_size(m->disk), m->size);
}

void model_close(struct model *m)
{
	disk_close(m->disk);
	m->disk = NULL;
}

/* @len bytes at @p as buffers of any sizes. */
static unsigned cut(struct model *m, uint8_t *p, uint64_t len, struct iovec *v,
                    unsigned most)
{
	unsigned n = 0;

	while (len) {
		uint64_t part = n + 1 == most ? len : 1 + model_random(m, len);

		v[n++] = (struct iovec){p, part};
		p += part;
		len -= part;
	}
	return n;
}

void model_write(struct model *m, uint64_t pos, uint64_t len)
{
	struct iovec v[80];
	const uint64_t mark = model_random(m, UINT64_MAX);

	for (uint64_t i = 0; i < len; i += 8)
		memcpy(m->bytes + pos + i, &(uint64_t){mark + i}, 8);
	assert_int_equal(
		disk_write(m->disk, v, cut(m, m->bytes + pos, len, v, 80), pos),
		0);
}

void model_check(struct model *m, uint64_t pos, uint64_t len)
{
	uint8_t *got = malloc(len);
	struct iovec v[80];

	assert_non_null(got);
	memset(got, 0xa5, len);
	assert_int_equal(disk_read(m->disk, v, cut(m, got, len, v, 80), pos),
	                 0);
	assert_memory_equal(got, m->bytes + pos, len);
	free(got);
}

void model_check_all(struct model *m)
{
	uint64_t part;

	for (uint64_t pos = 0; pos < m->size; pos += part) {
		part = MIN(m->size - pos, 1 * MIB);
		model_check(m, pos, part);
	}
}

/* Each sector is as it was, or zeros; the array takes what it is. */
static void discard(struct model *m, uint64_t pos, uint64_t len)
{
	static const uint8_t zeros[SECTOR];

	assert_int_equal(disk_discard(m->disk, pos, len), 0);
	for (uint64_t at = pos; at < pos + len; at += SECTOR) {
		uint8_t got[SECTOR];
		struct iovec v = {got, SECTOR};

		assert_int_equal(disk_read(m->disk, &v, 1, at), 0);
		if (memcmp(got, zeros, SECTOR) != 0)
			assert_memory_equal(got, m->bytes + at, SECTOR);
		memcpy(m->bytes + at, got, SECTOR);
	}
}

static void check_map(struct model *m, uint64_t pos, uint64_t len)
{
	bool hole = false;
	uint64_t n = 0;

	assert_int_equal(disk_map(m->disk, pos, len, &hole, &n), 0);
	assert_true(n > 0 && n <= len);
	for (uint64_t i = 0; hole && i < n; i++)
		assert_int_equal(m->bytes[pos + i], 0);
}

void model_step(struct model *m)
{
	const uint64_t sectors = m->size / SECTOR;
	const uint64_t pos = model_random(m, sectors) * SECTOR;
	uint64_t len = (1 + model_random(m, STEP_MAX / SECTOR)) * SECTOR;
	const uint64_t what = model_random(m, 100);

	len = MIN(len, m->size - pos);
	if (what < 45) {
		model_write(m, pos, len);
	} else if (what < 70) {
		model_check(m, pos, len);
	} else if (what < 80) {
		assert_int_equal(disk_zero(m->disk, pos, len, what & 1), 0);
		memset(m->bytes + pos, 0, len);
	} else if (what < 92) {
		discard(m, pos, len);
	} else if (what < 98) {
		check_map(m, pos, len);
	} else {
		assert_int_equal(disk_flush(m->disk), 0);
	}
}

bool have_qemu_img(void)
{
	static int have = -1;

	if (have < 0)
		have = run("qemu-img --version >/dev/null 2>&1") == 0;
	return have;
}

int qemu_img(const char *args, ...)
{
	char words[640], command[768];
	va_list ap;

	va_start(ap, args);
	(void)vsnprintf(words, sizeof(words), args, ap);
	va_end(ap);
	(void)snprintf(command, sizeof(command),
	               "qemu-img %s >/tmp/test_disk.out.%d 2>&1 || "
	               "{ r=$?; [ $r = 3 ] || cat /tmp/test_disk.out.%d >&2; "
	               "exit $r; }; "
	               "rm -f /tmp/test_disk.out.%d",
	               words, getpid(), getpid(), getpid());
	return run(command);
}

void model_judge(struct model *m, const char *name)
{
	int fd;

	if (!have_qemu_img())
		return;
	fd = model_file(m, "judge.raw");
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, m->bytes, m->size, 0), m->size);
	close(fd);
	assert_int_equal(qemu_img("check -q -f qcow2 %s", model_path(m, name)),
	                 0);
	assert_int_equal(qemu_img("compare -q -f qcow2 -F raw %s %s",
	                          model_path(m, name),
	                          model_path(m, "judge.raw")),
	                 0);
}
