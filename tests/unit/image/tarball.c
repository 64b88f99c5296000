#include "lib/test.h"

#include "image/tarball.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "image/image.h"

size_t tb_header(struct tarball *t, char type, const char *name, uint64_t size,
                 const char *link)
{
	uint8_t h[512] = {0};
	size_t at = t->b.len;

	memcpy(h, name, MIN(strlen(name), (size_t)100));
	(void)snprintf((char *)h + 100, 8, "%07o", type == '5' ? 0755 : 0644);
	(void)snprintf((char *)h + 108, 8, "%07o", 0);
	(void)snprintf((char *)h + 116, 8, "%07o", 0);
	(void)snprintf((char *)h + 124, 12, "%011llo",
	               (unsigned long long)size);
	(void)snprintf((char *)h + 136, 12, "%011o", 1700000000);
	h[156] = (uint8_t)type;
	if (link)
		memcpy(h + 157, link, MIN(strlen(link), (size_t)100));
	memcpy(h + 257, "ustar", 6);
	memcpy(h + 263, "00", 2);
	assert_int_equal(buf_add(&t->b, h, sizeof(h)), 0);
	tb_sum(t, at);
	return at;
}

uint8_t *tb_at(struct tarball *t, size_t header)
{
	return t->b.data + header;
}

void tb_sum(struct tarball *t, size_t header)
{
	uint8_t *h = tb_at(t, header);
	unsigned sum = 0;

	memset(h + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += h[i];
	(void)snprintf((char *)h + 148, 8, "%06o", sum);
}

void tb_body(struct tarball *t, const void *data, size_t len)
{
	assert_int_equal(buf_add(&t->b, data, len), 0);
	assert_int_equal(buf_addz(&t->b, -len & 511), 0);
}

void tb_file(struct tarball *t, const char *name, const void *data, size_t len)
{
	(void)tb_header(t, '0', name, len, NULL);
	tb_body(t, data, len);
}

void tb_text(struct tarball *t, const char *name, const char *text)
{
	tb_file(t, name, text, strlen(text));
}

void tb_dir(struct tarball *t, const char *name)
{
	(void)tb_header(t, '5', name, 0, NULL);
}

void tb_sym(struct tarball *t, const char *name, const char *text)
{
	(void)tb_header(t, '2', name, 0, text);
}

void tb_hard(struct tarball *t, const char *name, const char *target)
{
	(void)tb_header(t, '1', name, 0, target);
}

void tb_dev(struct tarball *t, char type, const char *name, unsigned major,
            unsigned minor)
{
	size_t at = tb_header(t, type, name, 0, NULL);

	(void)snprintf((char *)tb_at(t, at) + 329, 8, "%07o", major);
	(void)snprintf((char *)tb_at(t, at) + 337, 8, "%07o", minor);
	tb_sum(t, at);
}

void tb_pax_raw(struct tarball *t, char type, const void *body, size_t len)
{
	(void)tb_header(t, type, "pax", len, NULL);
	tb_body(t, body, len);
}

void tb_pax(struct tarball *t, char type, const char *const *records)
{
	struct buf cleanup_buf b = BUF_INIT;

	for (; *records; records++) {
		size_t rest = strlen(*records) + 2, total = rest + 1;
		char n[24];

		while ((size_t)snprintf(n, sizeof(n), "%zu", total) + rest !=
		       total)
			total = rest + strlen(n);
		(void)buf_printf(&b, "%zu %s\n", total, *records);
	}
	tb_pax_raw(t, type, b.data, b.len);
}

void tb_long(struct tarball *t, char type, const char *name)
{
	(void)tb_header(t, type, "././@LongLink", strlen(name) + 1, NULL);
	tb_body(t, name, strlen(name) + 1);
}

void tb_end(struct tarball *t)
{
	assert_int_equal(buf_addz(&t->b, 1024), 0);
}

void tb_release(struct tarball *t)
{
	buf_release(&t->b);
}

void tb_gzip(const struct tarball *t, struct tarball *to)
{
	struct isal_zstream z;
	uint8_t *level = malloc(ISAL_DEF_LVL1_DEFAULT);

	assert_non_null(level);
	isal_deflate_init(&z);
	z.gzip_flag = IGZIP_GZIP;
	z.end_of_stream = 1;
	z.level = 1;
	z.level_buf = level;
	z.level_buf_size = ISAL_DEF_LVL1_DEFAULT;
	z.next_in = t->b.data;
	z.avail_in = (uint32_t)t->b.len;
	do {
		uint8_t out[65536];

		z.next_out = out;
		z.avail_out = sizeof(out);
		assert_int_equal(isal_deflate(&z), COMP_OK);
		assert_int_equal(
			buf_add(&to->b, out, sizeof(out) - z.avail_out), 0);
	} while (z.internal_state.state != ZSTATE_END);
	free(level);
}

void tb_zstd(const struct tarball *t, struct tarball *to)
{
	size_t max = ZSTD_compressBound(t->b.len), n;

	assert_int_equal(buf_reserve(&to->b, max), 0);
	n = ZSTD_compress(to->b.data + to->b.len, max, t->b.data, t->b.len, 1);
	assert_false(ZSTD_isError(n));
	buf_commit(&to->b, n);
}

struct store *test_store_open(void)
{
	char path[] = "/tmp/msb-test-image-XXXXXX";
	struct err err = {0};
	struct store *s;

	assert_non_null(mkdtemp(path));
	if (store_open(path, &s, &err) < 0)
		fail_msg("%s", err.msg);
	return s;
}

void test_store_close(struct store *s)
{
	char *home = strdup(s->home);

	store_close(s);
	assert_int_equal(dir_remove(AT_FDCWD, home), 0);
	free(home);
}

/* Does the folder hold anything but (empty) folders? */
static bool dir_is_empty(int at, const char *name, int depth)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	bool empty = true;

	if (!d)
		return false; /* a file */
	while (empty && (e = readdir(d)))
		if (e->d_name[0] != '.')
			empty = depth &&
			        dir_is_empty(dirfd(d), e->d_name, depth - 1);
	(void)closedir(d);
	return empty;
}

bool test_store_is_empty(struct store *s)
{
	return dir_is_empty(s->fd, "layers", 1) &&
	       dir_is_empty(s->fd, "tmp", 0);
}

struct mem {
	const struct tarball *t;
	size_t at, step;
};

static ssize_t mem_read(void *arg, void *data, size_t len, struct err *err)
{
	struct mem *m = arg;
	size_t n = MIN(m->t->b.len - m->at, MIN(len, m->step));

	(void)err;
	if (n)
		memcpy(data, m->t->b.data + m->at, n);
	m->at += n;
	return (ssize_t)n;
}

int test_ingest_step(struct store *s, const struct tarball *t, size_t step,
                     const struct digest *want, const struct layer_limits *lim,
                     struct layer_info *ret, struct err *err)
{
	struct mem m = {t, 0, step};
	struct layer_source src = {mem_read, &m};

	return layer_ingest(s, &src, want, lim, NULL, NULL, ret, err);
}

int test_ingest(struct store *s, const struct tarball *t, struct digest *ret,
                struct err *err)
{
	struct layer_info info;
	int r = test_ingest_step(s, t, SIZE_MAX, NULL, NULL, &info, err);

	if (r == 0 && ret)
		*ret = info.diff_id;
	return r;
}

#ifdef __aarch64__
#define ARCH "arm64"
#else
#define ARCH "amd64"
#endif

void test_add_image(struct store *s, const char *name, const char *content,
                    struct digest *ret)
{
	struct tarball layer = TARBALL_INIT, t = TARBALL_INIT;
	char config[512], text[DIGEST_TEXT_LEN + 1];
	char path[] = "/tmp/msb-gc-XXXXXX";
	struct strv cleanup_strv refs = {0};
	int fd = mkstemp(path);

	tb_text(&layer, "f", content);
	tb_end(&layer);
	digest_of(layer.b.data, layer.b.len, ret);
	(void)snprintf(config, sizeof(config),
	               "{\"architecture\":\"" ARCH "\",\"rootfs\":{\"type\":"
	               "\"layers\",\"diff_ids\":[\"%s\"]}}",
	               digest_text(ret, text));
	tb_file(&t, "l", layer.b.data, layer.b.len);
	tb_text(&t, "c", config);
	tb_text(&t, "manifest.json", "[{\"Config\":\"c\",\"Layers\":[\"l\"]}]");
	tb_end(&t);
	assert_int_equal(fd_write_full(fd, t.b.data, t.b.len), 0);
	(void)close(fd);
	assert_int_equal(image_load(s, path, name, NULL, &refs, NULL), 0);
	(void)unlink(path);
	tb_release(&layer);
	tb_release(&t);
}
