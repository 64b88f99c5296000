#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "image/index.h"
#include "image/layer.h"
#include "image/tarball.h"

static struct buf file = BUF_INIT;

/* The index of a layer with one entry of each kind. */
static int setup(void **state)
{
	struct store *s = test_store_open();
	struct tarball t = TARBALL_INIT;
	char path[LAYER_PATH_LEN], big[5000] = "big";
	struct digest id;
	struct err err = {0};

	(void)state;
	TB_PAX(&t, "SCHILY.xattr.user.a=value");
	tb_dir(&t, "d");
	tb_text(&t, "d/small", "hello");
	tb_file(&t, "d/big", big, sizeof(big));
	tb_sym(&t, "s", "d/small");
	tb_hard(&t, "h", "d/big");
	tb_dev(&t, '3', "c", 1, 3);
	tb_text(&t, ".wh.gone", "");
	if (test_ingest(s, &t, &id, &err) < 0)
		fail_msg("%s", err.msg);
	layer_path(&id, "index", path);
	assert_int_equal(file_read(s->fd, path, &file), 0);
	tb_release(&t);
	test_store_close(s);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_release(&file);
	return 0;
}

static int check(void)
{
	struct index ix;
	const char *why;

	return index_check(file.data, file.len, &ix, &why);
}

/* Make the checksums right again, so that the fields themselves are judged. */
static void sign(void)
{
	struct index_header *h = (void *)file.data;
	uint8_t *entries = file.data + INDEX_HEADER;
	uint64_t len = h->entries * sizeof(struct index_entry);

	h->entries_crc = index_crc(INDEX_CRC_INIT, entries, len);
	h->pool_crc = index_crc(INDEX_CRC_INIT, entries + len, h->pool_bytes);
	h->header_crc = index_header_crc(h);
}

static struct index_entry *entry(uint8_t type)
{
	struct index_entry *e = (void *)(file.data + INDEX_HEADER);

	while (e->type != type)
		e++;
	return e;
}

static void good_one_is_accepted(void **state)
{
	(void)state;
	assert_int_equal(check(), 0);
	sign();
	assert_int_equal(check(), 0);
}

static void every_flipped_bit_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < file.len; i++) {
		if (i == sizeof(struct index_header))
			i = INDEX_HEADER; /* the rest of the page is unused */
		for (int bit = 0; bit < 8; bit++) {
			file.data[i] ^= (uint8_t)(1 << bit);
			assert_int_equal(check(), -EBADMSG);
			file.data[i] ^= (uint8_t)(1 << bit);
		}
	}
}

static void every_cut_is_found(void **state)
{
	size_t len = file.len;

	(void)state;
	for (file.len = 0; file.len < len; file.len++)
		assert_int_equal(check(), -EBADMSG);
}

#define BREAK(type, field, value)                                              \
	do {                                                                   \
		struct index_entry *e = entry(type);                           \
		struct index_entry old = *e;                                   \
		e->field = (value);                                            \
		sign();                                                        \
		assert_int_equal(check(), -EBADMSG);                           \
		*e = old;                                                      \
		sign();                                                        \
		assert_int_equal(check(), 0);                                  \
	} while (0)

static void every_field_is_bounded(void **state)
{
	(void)state;
	BREAK(INDEX_REG, path_off, UINT32_MAX);
	BREAK(INDEX_REG, path_len, UINT32_MAX);
	BREAK(INDEX_SYM, link_off, UINT32_MAX);
	BREAK(INDEX_SYM, link_len, UINT32_MAX);
	BREAK(INDEX_SYM, link_len, 0);
	BREAK(INDEX_DIR, xattr_off, UINT32_MAX);
	BREAK(INDEX_DIR, xattr_len, 5);
	BREAK(INDEX_DIR, xattr_len, UINT32_MAX);
	BREAK(INDEX_DIR, link_len, 1);
	BREAK(INDEX_DIR, mode, 0100000);
	BREAK(INDEX_DIR, mtime_ns, 1000000000);
	BREAK(INDEX_DIR, flags, INDEX_F_INLINE);
	BREAK(INDEX_DIR, flags, 0x80);
	BREAK(INDEX_CHR, rdev, 0);
	BREAK(INDEX_REG, size, 1ULL << 60); /* inline */
	BREAK(INDEX_REG, flags, 0);
	BREAK(INDEX_WHITEOUT, path_len, 1 << 20);
	entry(INDEX_HARD)->type = INDEX_TYPES;
	sign();
	assert_int_equal(check(), -EBADMSG);
}

static void contents_lie_inside_the_data(void **state)
{
	struct index_entry *e = entry(INDEX_REG);

	(void)state;
	while (e->flags)
		e++;
	assert_int_equal(e->size, 5000);
	e->block = 1;
	sign();
	assert_int_equal(check(), -EBADMSG);
	e->block = UINT64_MAX;
	sign();
	assert_int_equal(check(), -EBADMSG);
	e->block = 0;
	e->size = 8193;
	sign();
	assert_int_equal(check(), -EBADMSG);
	e->size = UINT64_MAX;
	sign();
	assert_int_equal(check(), -EBADMSG);
	e->size = 8192;
	sign();
	assert_int_equal(check(), 0);
}

static void hostile_paths_are_refused(void **state)
{
	static const char *const paths[] = {"..", "/s", "d/", "./", "d//", "."};
	struct index_header *h = (void *)file.data;
	struct index_entry *e = entry(INDEX_DIR);
	uint8_t *pool = file.data + INDEX_HEADER +
	                h->entries * sizeof(struct index_entry);
	uint8_t old[4];

	(void)state;
	memcpy(old, pool, sizeof(old));
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		e->path_off = 0;
		e->path_len = (uint32_t)strlen(paths[i]);
		memcpy(pool, paths[i], e->path_len);
		sign();
		assert_int_equal(check(), -EBADMSG);
	}
	memcpy(pool, "a\0b", 3);
	e->path_len = 3;
	sign();
	assert_int_equal(check(), -EBADMSG);
}

static void crc_is_crc32c(void **state)
{
	(void)state;
	/* not inverted at the end: the check value of the standard is */
	assert_int_equal(~index_crc(INDEX_CRC_INIT, "123456789", 9),
	                 0xe3069283u);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(good_one_is_accepted),         T(every_flipped_bit_is_found),
		T(every_cut_is_found),           T(every_field_is_bounded),
		T(contents_lie_inside_the_data), T(hostile_paths_are_refused),
		cmocka_unit_test(crc_is_crc32c),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
