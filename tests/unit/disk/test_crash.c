/*
 * The host loses power at any moment: what fdatasync() confirmed is there, of
 * all else each 512 bytes are either the old ones or the new. fdatasync() of
 * this program notes what is stable; the file after a crash is put together
 * from that and from what was written since. It must be without errors
 * (clusters that nobody uses are none), and have what the disk was flushed
 * with.
 */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"
#include "disk_model.h"

#define SIZE     (6 * MIB)
#define FILE_MAX (16 * MIB)

static struct model *model;
static int watched = -1;      /* the file */
static int pending = -1;      /* a crash in the midst of what goes on now */
static uint8_t *stable, *now; /* its bytes */
static uint64_t stable_len;

static uint64_t take(uint8_t *to)
{
	ssize_t n = pread(watched, to, FILE_MAX, 0);

	assert_true(n >= 0 && (uint64_t)n < FILE_MAX);
	memset(to + n, 0, FILE_MAX - (size_t)n);
	return (uint64_t)n;
}

/* What is found after the crash, in a file of its own. */
static int crash(struct model *m, const char *name)
{
	const uint64_t now_len = take(now);
	int fd = model_file(m, name);
	uint64_t odds = 1 + model_random(m, 10), len;

	for (uint64_t i = 0; i < FILE_MAX; i += SECTOR)
		if (memcmp(now + i, stable + i, SECTOR) != 0 &&
		    model_random(m, 10) < odds)
			memcpy(now + i, stable + i, SECTOR);
	assert_int_equal(ftruncate(fd, 0), 0);
	len = model_random(m, 2) ? now_len : MIN(stable_len, now_len);
	assert_int_equal(pwrite(fd, now, len, 0), len);
	return fd;
}

/* In place of libc's: the crash may come before it, in the midst of a flush. */
int fdatasync(int fd)
{
	if (fd != watched)
		return 0;
	if (pending < 0 && model_random(model, 3) == 0)
		pending = crash(model, "crashed");
	stable_len = take(stable);
	return 0;
}

/* Sectors that were not touched since the last flush are as they were. */
struct history {
	uint8_t *flushed; /* the array at that time */
	bool *touched;    /* a sector each */
};

static void check_after(struct model *m, int fd, const struct disk_layer *base,
                        const struct history *h)
{
	struct disk_layer l[2] = {
		{fd, DISK_QCOW2}
        };
	struct disk *d = NULL;
	struct err err = {0};
	uint8_t *got = malloc(SIZE);
	struct iovec v = {got, SIZE};

	if (base)
		l[1] = *base;
	if (disk_open_layers(l, base ? 2 : 1, true, &d, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(disk_read(d, &v, 1, 0), 0);
	for (uint64_t i = 0; i < SIZE; i += SECTOR)
		if (!h->touched[i / SECTOR])
			assert_memory_equal(got + i, h->flushed + i, SECTOR);
	disk_close(d);
	free(got);
	(void)m;
}

static void note(struct history *h, const struct model *m, const uint8_t *old)
{
	for (uint64_t i = 0; i < SIZE; i += SECTOR)
		if (memcmp(m->bytes + i, old + i, SECTOR) != 0)
			h->touched[i / SECTOR] = true;
}

/* The crash that came meanwhile, or one that comes now. */
static void look(struct model *m, const struct disk_layer *base,
                 const struct history *h)
{
	if (pending < 0 && model_random(m, 6) == 0)
		pending = crash(m, "crashed");
	if (pending < 0)
		return;
	check_after(m, pending, base, h);
	close(pending);
	pending = -1;
	if (have_qemu_img() && model_random(m, 8) == 0) {
		int r = qemu_img("check -q -f qcow2 %s",
		                 model_path(m, "crashed"));

		assert_true(r == 0 || r == 3); /* 3: leaks */
	}
}

static void flush(struct model *m, const struct disk_layer *base,
                  struct history *h)
{
	assert_int_equal(disk_flush(m->disk), 0);
	look(m, base, h);
	memcpy(h->flushed, m->bytes, SIZE);
	memset(h->touched, 0, SIZE / SECTOR);
}

static void run(struct model *m, bool over_raw, unsigned n)
{
	struct history h = {malloc(SIZE), calloc(SIZE / SECTOR, 1)};
	uint8_t *old = malloc(SIZE);
	const struct disk_layer *base = over_raw ? &m->layer[1] : NULL;

	stable = malloc(FILE_MAX);
	now = malloc(FILE_MAX);
	model = m;
	watched = m->layer[0].fd;
	stable_len = take(stable);
	model_open(m, false);
	flush(m, base, &h);
	for (unsigned i = 0; i < n; i++) {
		memcpy(old, m->bytes, SIZE);
		model_step(m);
		note(&h, m, old);
		look(m, base, &h);
		if (model_random(m, 12) == 0)
			flush(m, base, &h);
	}
	model_check_all(m);
	model_close(m);
	close_fd(&pending);
	watched = -1;
	free(stable);
	free(now);
	free(old);
	free(h.flushed);
	free(h.touched);
}

static void a_crash_leaks_at_worst(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 2; seed++) {
		struct model m;
		int fd;

		model_init(&m, SIZE, seed);
		fd = model_file(&m, "a.qcow2");
		assert_int_equal(qcow2_create(fd, SIZE, NULL, DISK_RAW, NULL),
		                 0);
		model_push(&m, fd, DISK_QCOW2);
		run(&m, false, 250);
		model_judge(&m, "a.qcow2");
		model_release(&m);
	}
}

/* Copies of what is below must be stable before the table says so. */
static void a_crash_over_a_base_leaks_at_worst(void **state)
{
	struct model m;
	int fd;

	(void)state;
	model_init(&m, SIZE, 3);
	fd = model_file(&m, "base");
	assert_int_equal(ftruncate(fd, SIZE), 0);
	model_push(&m, fd, DISK_RAW);
	model_open(&m, false);
	model_write(&m, 0, SIZE);
	model_close(&m);
	fd = model_file(&m, "a.qcow2");
	assert_int_equal(qcow2_create(fd, SIZE, "base", DISK_RAW, NULL), 0);
	model_push(&m, fd, DISK_QCOW2);
	run(&m, true, 250);
	model_judge(&m, "a.qcow2");
	model_release(&m);
}

/* Many tables, blocks and a table of counts that moves. */
static void a_crash_with_small_clusters_leaks_at_worst(void **state)
{
	struct model m;

	(void)state;
	if (!have_qemu_img())
		skip();
	model_init(&m, SIZE, 4);
	assert_int_equal(qemu_img("create -q -f qcow2 -o "
	                          "cluster_size=512,refcount_bits=64 %s %llu",
	                          model_path(&m, "a.qcow2"), SIZE),
	                 0);
	model_push(&m, model_file(&m, "a.qcow2"), DISK_QCOW2);
	run(&m, false, 250);
	model_judge(&m, "a.qcow2");
	model_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_crash_leaks_at_worst),
		cmocka_unit_test(a_crash_over_a_base_leaks_at_worst),
		cmocka_unit_test(a_crash_with_small_clusters_leaks_at_worst),
	};

	return cmocka_run_group_tests_name("disk/crash", tests, NULL, NULL);
}
