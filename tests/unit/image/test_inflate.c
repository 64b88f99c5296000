#include "lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "image/inflate.h"
#include "image/tarball.h"

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

/* All of it, read in pieces of @out_step. */
static int inflate_all(const struct tarball *in, size_t in_step,
                       size_t out_step, struct buf *out, struct err *err)
{
	struct mem m = {in, 0, in_step};
	struct layer_source src = {mem_read, &m};
	struct inflate *z cleanup_inflate = inflate_new(&src);
	uint8_t *piece cleanup_free = malloc(out_step);
	ssize_t n;

	assert_non_null(z);
	assert_non_null(piece);
	while ((n = inflate_read(z, piece, out_step, err)) > 0)
		assert_int_equal(buf_add(out, piece, (size_t)n), 0);
	if (n == 0) {
		assert_int_equal(m.at, in->b.len);
		assert_int_equal(inflate_taken(z), in->b.len);
		assert_int_equal(inflate_read(z, piece, out_step, err), 0);
	}
	return (int)n;
}

static void make_plain(struct tarball *t, size_t len)
{
	uint32_t x = 1;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		assert_int_equal(buf_addc(&t->b, (char)('a' + (x >> 29))), 0);
	}
}

static void expect(const struct tarball *in, const struct tarball *want)
{
	static const size_t steps[][2] = {
		{SIZE_MAX, 1 << 20},
                {1,        4096   },
                {7,        1      },
		{SIZE_MAX, 1      },
                {1000,     777    },
	};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct buf cleanup_buf out = BUF_INIT;
		struct err err = {0};

		if (inflate_all(in, steps[i][0], steps[i][1], &out, &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(out.len, want->b.len);
		if (out.len)
			assert_memory_equal(out.data, want->b.data, out.len);
	}
}

static void refused(const struct tarball *in, const char *why)
{
	static const size_t steps[] = {SIZE_MAX, 1};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct buf cleanup_buf out = BUF_INIT;
		struct err err = {0};

		assert_true(inflate_all(in, steps[i], 5000, &out, &err) < 0);
		if (!strstr(err.msg, why))
			fail_msg("\"%s\" is not in \"%s\"", why, err.msg);
	}
}

static void every_coding_gives_the_same(void **state)
{
	struct tarball plain = TARBALL_INIT, gz = TARBALL_INIT,
		       zst = TARBALL_INIT, none = TARBALL_INIT;

	(void)state;
	make_plain(&plain, 30000);
	tb_gzip(&plain, &gz);
	tb_zstd(&plain, &zst);
	expect(&plain, &plain);
	expect(&gz, &plain);
	expect(&zst, &plain);
	expect(&none, &none);
	tb_release(&plain);
	tb_release(&gz);
	tb_release(&zst);
}

static void members_and_frames_are_joined(void **state)
{
	struct tarball a = TARBALL_INIT, both = TARBALL_INIT, gz = TARBALL_INIT,
		       zst = TARBALL_INIT;
	static const uint8_t skip[] = {0x5f, 0x2a, 0x4d, 0x18, 3, 0,
	                               0,    0,    1,    2,    3};

	(void)state;
	make_plain(&a, 9000);
	(void)buf_add(&zst.b, skip, sizeof(skip));
	for (int i = 0; i < 3; i++) {
		tb_gzip(&a, &gz);
		tb_zstd(&a, &zst);
		(void)buf_add(&zst.b, skip, sizeof(skip));
		(void)buf_add(&both.b, a.b.data, a.b.len);
	}
	expect(&gz, &both);
	expect(&zst, &both);
	tb_release(&a);
	tb_release(&both);
	tb_release(&gz);
	tb_release(&zst);
}

static void cut_streams_are_refused(void **state)
{
	struct tarball plain = TARBALL_INIT,
		       z[2] = {TARBALL_INIT, TARBALL_INIT};

	(void)state;
	make_plain(&plain, 3000);
	tb_gzip(&plain, &z[0]);
	tb_zstd(&plain, &z[1]);
	for (size_t i = 0; i < 2; i++)
		for (size_t n = 6; n < z[i].b.len; n++) {
			struct tarball cut = TARBALL_INIT;

			(void)buf_add(&cut.b, z[i].b.data, n);
			refused(&cut, "cut short");
			tb_release(&cut);
		}
	tb_release(&plain);
	tb_release(&z[0]);
	tb_release(&z[1]);
}

static void bytes_behind_the_end_are_refused(void **state)
{
	struct tarball plain = TARBALL_INIT,
		       z[2] = {TARBALL_INIT, TARBALL_INIT};

	(void)state;
	make_plain(&plain, 3000);
	tb_gzip(&plain, &z[0]);
	tb_zstd(&plain, &z[1]);
	for (size_t i = 0; i < 2; i++) {
		(void)buf_adds(&z[i].b, "garbage");
		refused(&z[i], "compressed layer");
	}
	tb_release(&plain);
	tb_release(&z[0]);
	tb_release(&z[1]);
}

/*
 * gzip has a CRC over all of the output; only its header and the padding of a
 * block's last byte hold bits that mean nothing, and those change nothing.
 */
static void flipped_bits_of_gzip_are_found(void **state)
{
	struct tarball plain = TARBALL_INIT, gz = TARBALL_INIT;
	struct buf cleanup_buf out = BUF_INIT;
	unsigned meant_nothing = 0;
	struct err err = {0};

	(void)state;
	make_plain(&plain, 3000);
	tb_gzip(&plain, &gz);
	for (size_t i = 10; i < gz.b.len; i++) {
		gz.b.data[i] ^= 0x10;
		buf_reset(&out);
		if (inflate_all(&gz, SIZE_MAX, 5000, &out, &err) == 0) {
			assert_int_equal(out.len, plain.b.len);
			assert_memory_equal(out.data, plain.b.data, out.len);
			meant_nothing++;
		}
		gz.b.data[i] ^= 0x10;
	}
	assert_in_range(meant_nothing, 0, 2);
	tb_release(&plain);
	tb_release(&gz);
}

static void other_compressions_are_named(void **state)
{
	struct tarball t = TARBALL_INIT;

	(void)state;
	(void)buf_adds(&t.b, "BZh91AY&SY....");
	refused(&t, "bzip2-compressed layer: not supported");
	buf_reset(&t.b);
	(void)buf_add(&t.b,
	              "\xfd"
	              "7zXZ\0\0\4",
	              8);
	refused(&t, "xz-compressed layer: not supported");
	tb_release(&t);
}

static ssize_t broken_read(void *arg, void *data, size_t len, struct err *err)
{
	(void)arg;
	(void)data;
	(void)len;
	return err_set(err, -ECONNRESET, "the registry is gone");
}

static void failures_of_the_source_are_passed_on(void **state)
{
	struct layer_source src = {broken_read, NULL};
	struct inflate *z cleanup_inflate = inflate_new(&src);
	struct err err = {0};
	char c;

	(void)state;
	assert_int_equal(inflate_read(z, &c, 1, &err), -ECONNRESET);
	assert_string_equal(err.msg, "the registry is gone");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_coding_gives_the_same),
		cmocka_unit_test(members_and_frames_are_joined),
		cmocka_unit_test(cut_streams_are_refused),
		cmocka_unit_test(bytes_behind_the_end_are_refused),
		cmocka_unit_test(flipped_bits_of_gzip_are_found),
		cmocka_unit_test(other_compressions_are_named),
		cmocka_unit_test(failures_of_the_source_are_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
