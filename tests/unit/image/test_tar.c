#include "lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "image/tar_read.h"
#include "image/tar_write.h"
#include "image/tarball.h"

/* Feeds the reader in pieces of `step` bytes and keeps the raw ones. */
struct feed {
	const struct tarball *t;
	size_t at, step;
	uint64_t raw;
};

static ssize_t feed_next(void *arg, const uint8_t **ret, struct err *err)
{
	struct feed *f = arg;
	size_t n = MIN(f->step, f->t->b.len - f->at);

	(void)err;
	*ret = f->t->b.data + f->at;
	f->at += n;
	return (ssize_t)n;
}

static int feed_raw(void *arg, const void *data, size_t len, struct err *err)
{
	struct feed *f = arg;

	(void)data;
	(void)err;
	f->raw += len;
	return 0;
}

/* What a whole archive looks like, as text; or the error. */
static int list(const struct tarball *t, size_t step, struct buf *out,
                struct err *err)
{
	struct feed f = {t, 0, step, 0};
	struct tar_source src = {feed_next, feed_raw, &f};
	struct tar_reader r;
	struct tar_entry e;
	uint64_t given = 0;
	int ret;

	tar_init(&r, &src);
	while ((ret = tar_next(&r, &e, err)) > 0) {
		struct tar_piece p;
		uint64_t off = 0;

		(void)buf_printf(out, "%c %.*s", e.type,
		                 (int)MIN(e.path_len, (size_t)300), e.path);
		if (e.link)
			(void)buf_printf(out, " -> %s", e.link);
		(void)buf_printf(out, " %o %u:%u %lld.%09u %llu", e.mode, e.uid,
		                 e.gid, (long long)e.mtime, e.mtime_ns,
		                 (unsigned long long)e.size);
		if (e.type == TAR_CHR || e.type == TAR_BLK)
			(void)buf_printf(out, " dev %u,%u", e.major, e.minor);
		while ((ret = tar_data(&r, &p, err)) > 0) {
			assert_true(p.off >= off);
			off = p.off + p.len;
			assert_true(off <= e.size);
			if (e.size <= 64 || p.len <= 16)
				(void)buf_printf(out, " [%llu:%.*s]",
				                 (unsigned long long)p.off,
				                 (int)p.len, p.data);
			given += p.len;
		}
		if (ret < 0)
			break;
		(void)buf_addc(out, '\n');
	}
	if (ret == 0) {
		assert_int_equal(f.raw + given, t->b.len);
		assert_int_equal(tar_next(&r, &e, err), 0);
	}
	tar_release(&r);
	return ret;
}

#define NUMBERS " 644 0:0 1700000000.000000000"

/* Small steps split the contents, so there only the end counts. */
static void expect(struct tarball *t, const char *want)
{
	static const size_t steps[] = {SIZE_MAX, 512, 700, 1};
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct buf cleanup_buf out = BUF_INIT;

		if (list(t, steps[i], &out, &err) < 0)
			fail_msg("refused: %s", err.msg);
		if (i < 2)
			assert_string_equal(buf_str(&out), want);
	}
	tb_release(t);
}

static void refused(struct tarball *t, const char *why)
{
	struct buf cleanup_buf out = BUF_INIT;
	struct err err = {0};
	int r = list(t, SIZE_MAX, &out, &err);

	if (r >= 0)
		fail_msg("accepted: %s", buf_str(&out));
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" is not in \"%s\"", why, err.msg);
	tb_release(t);
}

static void all_types_are_read(void **state)
{
	struct tarball t = TARBALL_INIT;

	(void)state;
	tb_text(&t, "f", "hello");
	tb_dir(&t, "d/");
	tb_sym(&t, "s", "target");
	tb_hard(&t, "h", "f");
	tb_dev(&t, '3', "c", 1, 3);
	tb_dev(&t, '4', "b", 8, 1);
	(void)tb_header(&t, '6', "p", 0, NULL);
	tb_end(&t);
	expect(&t, "0 f" NUMBERS " 5 [0:hello]\n"
	           "5 d/ 755 0:0 1700000000.000000000 0\n"
	           "2 s -> target" NUMBERS " 0\n"
	           "1 h -> f" NUMBERS " 0\n"
	           "3 c" NUMBERS " 0 dev 1,3\n"
	           "4 b" NUMBERS " 0 dev 8,1\n"
	           "6 p" NUMBERS " 0\n");
}

static void v7_folder_is_known_by_its_slash(void **state)
{
	struct tarball t = TARBALL_INIT;
	size_t h = tb_header(&t, '\0', "old/", 0, NULL);

	(void)state;
	memset(tb_at(&t, h) + 257, 0, 8);
	tb_sum(&t, h);
	h = tb_header(&t, '\0', "old/f", 1, NULL);
	memset(tb_at(&t, h) + 257, 0, 8);
	tb_sum(&t, h);
	tb_body(&t, "x", 1);
	tb_end(&t);
	expect(&t, "5 old/" NUMBERS " 0\n0 old/f" NUMBERS " 1 [0:x]\n");
}

static void ustar_prefix_is_joined_others_refused(void **state)
{
	struct tarball t = TARBALL_INIT;
	size_t h = tb_header(&t, '0', "name", 0, NULL);

	(void)state;
	memcpy(tb_at(&t, h) + 345, "some/prefix", 11);
	tb_sum(&t, h);
	tb_end(&t);
	expect(&t, "0 some/prefix/name" NUMBERS " 0\n");
	h = tb_header(&t, '0', "name", 0, NULL);
	memcpy(tb_at(&t, h) + 257, "ustar  ", 8);
	memcpy(tb_at(&t, h) + 345, "12345670123", 11); /* access time */
	tb_sum(&t, h);
	refused(&t, "prefix where none belongs");
	h = tb_header(&t, '0', "name", 0, NULL);
	memcpy(tb_at(&t, h) + 257, "ustar\1", 6);
	tb_sum(&t, h);
	refused(&t, "unknown kind of header");
	h = tb_header(&t, '0', "name", 0, NULL);
	tb_at(&t, h)[330] = 'x';
	tb_sum(&t, h);
	refused(&t, "malformed number");
}

static void gnu_long_names_are_used(void **state)
{
	char name[300], link[200], want[700];
	struct tarball t = TARBALL_INIT;

	(void)state;
	memset(name, 'n', 299);
	memset(link, 'l', 199);
	name[299] = link[199] = '\0';
	tb_long(&t, 'L', name);
	tb_long(&t, 'K', link);
	tb_sym(&t, "short", "short");
	tb_end(&t);
	(void)snprintf(want, sizeof(want), "2 %s -> %s" NUMBERS " 0\n", name,
	               link);
	expect(&t, want);
}

static void pax_values_win(void **state)
{
	struct tarball t = TARBALL_INIT;

	(void)state;
	TB_PAX(&t, "path=some/where", "size=5", "uid=3000000", "gid=7",
	       "mtime=-1.25", "comment=x");
	(void)tb_header(&t, '0', "elsewhere", 512, NULL);
	tb_body(&t, "hello", 5);
	TB_PAX(&t, "linkpath=there", "mtime=3.1234567891");
	tb_sym(&t, "l", "not there");
	tb_end(&t);
	expect(&t, "0 some/where 644 3000000:7 -2.750000000 5 [0:hello]\n"
	           "2 l -> there 644 0:0 3.123456789 0\n");
}

/* A pax size in front of a long name belongs to the file behind it. */
static void pax_size_is_not_the_long_names(void **state)
{
	struct tarball t = TARBALL_INIT;

	(void)state;
	TB_PAX(&t, "size=5");
	tb_long(&t, 'L', "long");
	(void)tb_header(&t, '0', "x", 0, NULL);
	tb_body(&t, "hello", 5);
	tb_end(&t);
	expect(&t, "0 long" NUMBERS " 5 [0:hello]\n");
}

static void base_256_numbers_are_read(void **state)
{
	struct tarball t = TARBALL_INIT;
	size_t h = tb_header(&t, '5', "d", 0, NULL);

	(void)state;
	memcpy(tb_at(&t, h) + 108, "\x80\0\0\0\0\x2d\xc6\xc0", 8); /* uid */
	memset(tb_at(&t, h) + 136, 0xff, 12);                      /* -1 */
	tb_sum(&t, h);
	tb_end(&t);
	expect(&t, "5 d 755 3000000:0 -1.000000000 0\n");
}

static void global_header_is_ignored(void **state)
{
	struct tarball t = TARBALL_INIT;

	(void)state;
	tb_pax(&t, 'g', (const char *const[]){"comment=abc", NULL});
	tb_text(&t, "f", "x");
	tb_end(&t);
	expect(&t, "0 f" NUMBERS " 1 [0:x]\n");
}

static void sparse_forms_give_the_same(void **state)
{
	static const char want[] = "0 s" NUMBERS " 40 [5:hello] [30:bye]\n";
	struct tarball t = TARBALL_INIT;
	struct buf cleanup_buf map = BUF_INIT;
	size_t h;

	(void)state;
	TB_PAX(&t, "GNU.sparse.size=40", "GNU.sparse.numblocks=2",
	       "GNU.sparse.offset=5", "GNU.sparse.numbytes=5",
	       "GNU.sparse.offset=30", "GNU.sparse.numbytes=3");
	tb_text(&t, "s", "hellobye");
	expect(&t, want);

	TB_PAX(&t, "GNU.sparse.name=s", "GNU.sparse.size=40",
	       "GNU.sparse.map=5,5,30,3");
	tb_text(&t, "GNUSparseFile.0/s", "hellobye");
	expect(&t, want);

	TB_PAX(&t, "GNU.sparse.major=1", "GNU.sparse.minor=0",
	       "GNU.sparse.name=s", "GNU.sparse.realsize=40");
	(void)tb_header(&t, '0', "x", 512 + 8, NULL);
	(void)buf_adds(&map, "2\n5\n5\n30\n3\n");
	tb_body(&t, map.data, map.len);
	tb_body(&t, "hellobye", 8);
	expect(&t, want);

	h = tb_header(&t, 'S', "s", 8, NULL);
	memcpy(tb_at(&t, h) + 257, "ustar  ", 8);
	memcpy(tb_at(&t, h) + 386, "00000000005\00000000000005\0", 24);
	memcpy(tb_at(&t, h) + 410, "00000000036\00000000000003\0", 24);
	memcpy(tb_at(&t, h) + 483, "00000000050\0", 12);
	tb_sum(&t, h);
	tb_body(&t, "hellobye", 8);
	expect(&t, want);
}

static void old_sparse_goes_on_in_extension_blocks(void **state)
{
	struct tarball t = TARBALL_INIT;
	uint8_t ext[512] = {0};
	size_t h = tb_header(&t, 'S', "s", 5, NULL);

	(void)state;
	memcpy(tb_at(&t, h) + 257, "ustar  ", 8);
	for (int i = 0; i < 4; i++)
		(void)snprintf((char *)tb_at(&t, h) + 386 + 24 * i, 24,
		               "%011o%c%011o", i * 10, 0, 1);
	tb_at(&t, h)[482] = 1;
	memcpy(tb_at(&t, h) + 483, "00000000100\0", 12);
	tb_sum(&t, h);
	memcpy(ext, "00000000074\00000000000001\0", 24);
	tb_body(&t, ext, sizeof(ext));
	tb_body(&t, "abcde", 5);
	tb_end(&t);
	expect(&t, "0 s" NUMBERS " 64 [0:a] [10:b] [20:c] [30:d] [60:e]\n");
}

static void bad_sparse_maps_are_refused(void **state)
{
	static const char *const maps[] = {
		"GNU.sparse.map=30,3,5,5", /* backwards */
		"GNU.sparse.map=5,5,7,3",  /* overlap */
		"GNU.sparse.map=5,5,39,3", /* past the end */
		"GNU.sparse.map=5,5,30,4", /* more than there is */
		"GNU.sparse.map=5,5,30",   /* half */
		"GNU.sparse.map=5,5,,3",   /* empty */
		"GNU.sparse.map=5,9223372036854775807,30,3",
	};
	struct tarball t = TARBALL_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		TB_PAX(&t, "GNU.sparse.size=40", maps[i]);
		tb_text(&t, "s", "hellobye");
		refused(&t, "malformed");
	}
	TB_PAX(&t, "GNU.sparse.map=5,5,30,3");
	tb_text(&t, "s", "hellobye");
	refused(&t, "sparse");
	TB_PAX(&t, "GNU.sparse.size=40", "GNU.sparse.offset=1");
	tb_text(&t, "s", "hellobye");
	refused(&t, "sparse offset");
	TB_PAX(&t, "GNU.sparse.major=2", "GNU.sparse.minor=0",
	       "GNU.sparse.realsize=40");
	tb_text(&t, "s", "hellobye");
	refused(&t, "unknown sparse format");
}

static void malformed_pax_is_refused(void **state)
{
	static const char *const bodies[] = {
		"11 path=x\n",
		"8 path=x\n",
		"path=x\n",
		"10 path=xy",
		"10 pathxyz\n",
		"5 =x\n",
		"0 path=x\n",
		"-9 path=x\n",
		"99999999999999999999 path=x\n",
		"12 size=12a\n",
		"12 size=-12\n",
		"13 mtime=1.x\n",
		"12 mtime=--1\n",
		"12 uid=-123\n",
	};
	struct tarball t = TARBALL_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		tb_pax_raw(&t, 'x', bodies[i], strlen(bodies[i]));
		tb_text(&t, "f", "x");
		refused(&t, "malformed");
	}
	tb_pax_raw(&t, 'x', "13 path=a\0b\n", 12);
	tb_text(&t, "f", "x");
	refused(&t, "malformed");
}

static void doubled_things_are_refused(void **state)
{
	struct tarball t = TARBALL_INIT;

	(void)state;
	TB_PAX(&t, "size=1", "size=2");
	tb_text(&t, "f", "x");
	refused(&t, "malformed value");
	TB_PAX(&t, "path=a");
	TB_PAX(&t, "path=b");
	tb_text(&t, "f", "x");
	refused(&t, "two extended headers");
	tb_long(&t, 'L', "a");
	tb_long(&t, 'L', "b");
	tb_text(&t, "f", "x");
	refused(&t, "two long names");
	tb_long(&t, 'L', "a");
	TB_PAX(&t, "path=b");
	tb_text(&t, "f", "x");
	refused(&t, "two different names");
	TB_PAX(&t, "path=b");
	tb_end(&t);
	refused(&t, "without an entry");
}

static void ambiguous_entries_are_refused(void **state)
{
	struct tarball t = TARBALL_INIT;

	(void)state;
	(void)tb_header(&t, '5', "d", 512, NULL);
	tb_body(&t, "x", 1);
	refused(&t, "not a regular file");
	tb_text(&t, "f/", "x");
	refused(&t, "a slash at the end");
	(void)tb_header(&t, 'Q', "f", 0, NULL);
	refused(&t, "unknown entry type");
	tb_pax(&t, 'g', (const char *const[]){"size=1", NULL});
	refused(&t, "global header");
	tb_pax(&t, 'g', (const char *const[]){"mtime=1", NULL});
	refused(&t, "global header");
	tb_pax(&t, 'g', (const char *const[]){"SCHILY.xattr.user.a=x", NULL});
	refused(&t, "global header");
}

static void wrong_checksum_is_refused(void **state)
{
	struct tarball t = TARBALL_INIT;

	(void)state;
	tb_text(&t, "f", "x");
	tb_at(&t, 0)[0] ^= 1;
	refused(&t, "checksum");
}

static void wrong_numbers_are_refused(void **state)
{
	static const struct {
		unsigned at;
		const char *text;
		const char *why;
	} bad[] = {
		{124, "9",						"malformed number"},
		{124, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
	         "malformed number"							 },
		{124, "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
	         "malformed number"							 },
		{108, "12x",					      "malformed number"},
		{108, "\xff\xff\xff\xff\xff\xff\xff",                     "malformed number"},
	};
	struct tarball t = TARBALL_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		size_t h = tb_header(&t, '0', "f", 1, NULL);

		memcpy(tb_at(&t, h) + bad[i].at, bad[i].text,
		       strlen(bad[i].text));
		tb_sum(&t, h);
		refused(&t, bad[i].why);
	}
}

static void cut_anywhere_is_refused(void **state)
{
	struct tarball t = TARBALL_INIT;

	(void)state;
	TB_PAX(&t, "path=somewhere");
	tb_text(&t, "f", "hello");
	for (size_t n = 1; n < t.b.len; n++) {
		struct tarball cut = TARBALL_INIT;

		(void)buf_add(&cut.b, t.b.data, n);
		refused(&cut, n == 1024 ? "without an entry" : "cut short");
	}
	tb_release(&t);
}

static void huge_claims_cost_nothing(void **state)
{
	struct tarball t = TARBALL_INIT;

	(void)state;
	TB_PAX(&t, "size=4611686018427387904");
	tb_text(&t, "f", "x");
	refused(&t, "cut short");
	TB_PAX(&t, "size=9223372036854775807");
	tb_text(&t, "f", "x");
	refused(&t, "impossible size");
	(void)tb_header(&t, 'x', "pax", 1 << 30, NULL);
	refused(&t, "extended header of 1073741824 bytes");
	(void)tb_header(&t, 'L', "l", 1 << 20, NULL);
	refused(&t, "extended header of 1048576 bytes");
	for (int i = 0; i <= TAR_GLOBAL_MAX; i++)
		(void)tb_header(&t, 'g', "g", 0, NULL);
	refused(&t, "too many global headers");
}

static void end_forms(void **state)
{
	struct tarball t = TARBALL_INIT;

	(void)state;
	expect(&t, "");
	tb_text(&t, "f", "x");
	expect(&t, "0 f" NUMBERS " 1 [0:x]\n");
	tb_text(&t, "f", "x");
	(void)buf_addz(&t.b, 512);
	expect(&t, "0 f" NUMBERS " 1 [0:x]\n");
	tb_text(&t, "f", "x");
	(void)buf_addz(&t.b, 512);
	tb_text(&t, "g", "x");
	refused(&t, "lone zero block");
	tb_text(&t, "f", "x");
	tb_end(&t);
	(void)buf_adds(&t.b, "what follows is nobody's");
	expect(&t, "0 f" NUMBERS " 1 [0:x]\n");
}

static void xattrs_are_collected_last_one_wins(void **state)
{
	struct tarball t = TARBALL_INIT;
	struct feed f = {&t, 0, SIZE_MAX, 0};
	struct tar_source src = {feed_next, NULL, &f};
	struct tar_reader r;
	struct tar_entry e;

	(void)state;
	TB_PAX(&t, "SCHILY.xattr.user.a=1",
	       "SCHILY.xattr.user.b=", "SCHILY.xattr.user.a=22");
	tb_text(&t, "f", "x");
	tar_init(&r, &src);
	assert_int_equal(tar_next(&r, &e, NULL), 1);
	assert_int_equal(e.xattrs_len, 3 + 6 + 3 + 6 + 2);
	assert_memory_equal(e.xattrs, "\6\0\0user.b\6\2\0user.a22", 20);
	tar_release(&r);
	tb_release(&t);
}

static void too_many_xattrs_are_refused(void **state)
{
	struct tarball t = TARBALL_INIT;
	struct buf cleanup_buf b = BUF_INIT;

	(void)state;
	for (int i = 0; i < 10000; i++)
		(void)buf_printf(&b, "27 SCHILY.xattr.u.%06d=x\n", i);
	tb_pax_raw(&t, 'x', b.data, b.len);
	tb_text(&t, "f", "x");
	refused(&t, "too many attributes");
}

static void writer_and_reader_agree(void **state)
{
	char path[200];
	struct tarball t = TARBALL_INIT;
	struct tar_entry e = {.type = TAR_REG,
	                      .path = path,
	                      .path_len = sizeof(path) - 1,
	                      .mode = 04755,
	                      .uid = 4000000,
	                      .gid = 5,
	                      .mtime = -3,
	                      .mtime_ns = 250000000,
	                      .xattrs = (const uint8_t *)"\6\1\0user.ax",
	                      .xattrs_len = 10};
	char want[400];

	(void)state;
	memset(path, 'p', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(tar_put_header(&t.b, &e), 0);
	assert_int_equal(tar_put_end(&t.b), 0);
	(void)snprintf(want, sizeof(want),
	               "0 %s 4755 4000000:5 -3.250000000 0\n", path);
	expect(&t, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_types_are_read),
		cmocka_unit_test(v7_folder_is_known_by_its_slash),
		cmocka_unit_test(ustar_prefix_is_joined_others_refused),
		cmocka_unit_test(gnu_long_names_are_used),
		cmocka_unit_test(pax_values_win),
		cmocka_unit_test(pax_size_is_not_the_long_names),
		cmocka_unit_test(base_256_numbers_are_read),
		cmocka_unit_test(global_header_is_ignored),
		cmocka_unit_test(sparse_forms_give_the_same),
		cmocka_unit_test(old_sparse_goes_on_in_extension_blocks),
		cmocka_unit_test(bad_sparse_maps_are_refused),
		cmocka_unit_test(malformed_pax_is_refused),
		cmocka_unit_test(doubled_things_are_refused),
		cmocka_unit_test(ambiguous_entries_are_refused),
		cmocka_unit_test(wrong_checksum_is_refused),
		cmocka_unit_test(wrong_numbers_are_refused),
		cmocka_unit_test(cut_anywhere_is_refused),
		cmocka_unit_test(huge_claims_cost_nothing),
		cmocka_unit_test(end_forms),
		cmocka_unit_test(xattrs_are_collected_last_one_wins),
		cmocka_unit_test(too_many_xattrs_are_refused),
		cmocka_unit_test(writer_and_reader_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
