/* Archives of snapshots: round trips, damage, and strangers' ones. */
#include "snapshots.h"

#include "base/digest.h"
#include "image/tar_write.h"
#include "lib/disk_tree.h"
#include "lib/snapshot_archive.h"

struct both {
	struct fixture f, other; /* the second has no image */
	char archive[128], plain[128];
	uint64_t kept; /* snapshots that the other has anyhow */
};

static int set_up(void **state)
{
	struct both *b = calloc(1, sizeof(*b));
	static uint8_t noise[300 * KIB];

	open_home(&b->f, fast_folder());
	open_home(&b->other, fast_folder());
	(void)snprintf(b->archive, sizeof(b->archive), "%s/s.tar.zst",
	               b->f.path);
	(void)snprintf(b->plain, sizeof(b->plain), "%s/s.tar", b->f.path);
	must(&b->f, make(&b->f, "a", NULL, BYTES));
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)(i * i >> 7 ^ i);
	put(&b->f, "a", SPOT + 4096, noise, sizeof(noise));
	must(&b->f, snap(&b->f, "a", "below", 0));
	write_text(&b->f, "a", SPOT, "saved");
	write_text(&b->f, "a", BYTES - 4096, "the end");
	must(&b->f, snap(&b->f, "a", "s", 0));
	must(&b->f, msb_snapshot_save(b->f.home, "s", b->archive,
	                              MSB_SNAPSHOT_WITH_IMAGE, &b->f.error));
	must(&b->f, msb_snapshot_save(b->f.home, "s", b->plain,
	                              MSB_SNAPSHOT_PLAIN, &b->f.error));
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct both *b = *state;

	close_home(&b->f);
	close_home(&b->other);
	free(b);
	return 0;
}

static int load(struct fixture *f, const char *path, const char *name)
{
	char *loaded = NULL;
	int r = msb_snapshot_load(f->home, path, name, &loaded, &f->error);

	msb_free(loaded);
	return r;
}

static void no_image(struct fixture *f)
{
	uint64_t freed;
	uint32_t names;

	must(f, msb_image_prune(f->home, 1, &freed, &names, &f->error));
}

static const char *digest_of_snapshot(struct fixture *f, const char *name)
{
	static char text[2][DIGEST_TEXT_LEN + 1];
	static unsigned turn;
	struct msb_snapshots *l;

	turn = !turn;
	must(f, msb_snapshot_list(f->home, name, &l, &f->error));
	(void)snprintf(text[turn], sizeof(text[turn]), "%s",
	               msb_snapshots_get(l, 0)->digest);
	msb_snapshots_free(l);
	return text[turn];
}

static void nothing_is_left(struct both *b)
{
	assert_int_equal(count(&b->other, "snapshots"), b->kept);
	assert_int_equal(count(&b->other, "disks"), b->kept);
}

/* Its image is here then. */
static void keep_one(struct both *b)
{
	must(&b->other, load(&b->other, b->archive, "kept"));
	b->kept = 1;
}

static void one_goes_to_another_home(void **state)
{
	struct both *b = *state;

	no_image(&b->other);
	must(&b->other, load(&b->other, b->archive, NULL));
	assert_string_equal(digest_of_snapshot(&b->other, "s"),
	                    digest_of_snapshot(&b->f, "s"));
	assert_int_equal(load(&b->other, b->archive, NULL), -MSB_ERR_EXISTS);
	must(&b->other, load(&b->other, b->archive, "t"));
	no_image(&b->other); /* it is kept all the same */
	must(&b->other, make(&b->other, "fork", "t", 0));
	assert_string_equal(read_text(&b->other, "fork", SPOT), "saved");
	assert_string_equal(read_text(&b->other, "fork", BYTES - 4096),
	                    "the end");
	/* Again, from there: the same. */
	must(&b->other,
	     msb_snapshot_save(b->other.home, "t", b->plain,
	                       MSB_SNAPSHOT_PLAIN | MSB_SNAPSHOT_WITH_IMAGE,
	                       &b->other.error));
	must(&b->f, load(&b->f, b->plain, "back"));
	assert_string_equal(digest_of_snapshot(&b->f, "back"),
	                    digest_of_snapshot(&b->f, "s"));
}

static void without_its_image_it_needs_that(void **state)
{
	struct both *b = *state;

	no_image(&b->other);
	assert_int_equal(load(&b->other, b->plain, NULL), -MSB_ERR_NOT_FOUND);
	assert_non_null(strstr(b->other.error.message, "not here"));
	nothing_is_left(b);
}

/* ---- damage -------------------------------------------------------------- */

static uint8_t *slurp(const char *path, size_t *len)
{
	struct buf b = BUF_INIT;

	assert_int_equal(file_read(AT_FDCWD, path, &b), 0);
	*len = b.len;
	return (uint8_t *)buf_steal(&b);
}

static int load_bytes(struct both *b, const void *data, size_t len)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/other.tar", b->f.path);
	assert_int_equal(file_write_atomic(AT_FDCWD, path, data, len, 0600), 0);
	return load(&b->other, path, NULL);
}

/* Where a changed byte means nothing the content is what it was. */
static void check_flipped(struct both *b, int r)
{
	if (r < 0) {
		nothing_is_left(b);
		return;
	}
	must(&b->other, make(&b->other, "fork", "s", 0));
	assert_string_equal(read_text(&b->other, "fork", SPOT), "saved");
	assert_string_equal(digest_of_snapshot(&b->other, "s"),
	                    digest_of_snapshot(&b->f, "s"));
	must(&b->other,
	     msb_sandbox_remove(b->other.home, "fork", 0, &b->other.error));
	must(&b->other,
	     msb_snapshot_remove(b->other.home, "s", &b->other.error));
}

static unsigned flip_all(struct both *b, const char *path)
{
	size_t len;
	uint8_t *data = slurp(path, &len);
	unsigned refused = 0;

	for (unsigned i = 0; i < 100; i++) {
		size_t at = len * i / 100 + i % 7;
		int r;

		data[at] ^= (uint8_t)(1u << i % 8);
		r = load_bytes(b, data, len);
		refused += r < 0;
		check_flipped(b, r);
		data[at] ^= (uint8_t)(1u << i % 8);
	}
	free(data);
	return refused;
}

static void a_flipped_bit_is_found(void **state)
{
	struct both *b = *state;

	assert_int_equal(flip_all(b, b->archive), 100);
}

/* In a plain one there is padding. */
static void a_flipped_bit_of_a_plain_one_changes_nothing(void **state)
{
	struct both *b = *state;

	assert_true(flip_all(b, b->plain) > 80);
}

static void one_that_was_cut_is_refused(void **state)
{
	struct both *b = *state;
	const char *const paths[] = {b->archive, b->plain};

	for (size_t k = 0; k < ARRAY_SIZE(paths); k++) {
		size_t len;
		uint8_t *data = slurp(paths[k], &len);

		for (unsigned i = 0; i < 100; i++) {
			assert_true(load_bytes(b, data, len * i / 100) < 0);
			nothing_is_left(b);
		}
		free(data);
	}
}

/* ---- strangers ----------------------------------------------------------- */

struct part {
	const char *path;
	const void *data;
	size_t len;
	enum tar_type type; /* 0: a file */
};

static int load_parts(struct both *b, const struct part *parts, size_t n)
{
	struct buf cleanup_buf tar = BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		struct tar_entry e = {
			.type = parts[i].type ? parts[i].type : TAR_REG,
			.path = parts[i].path,
			.path_len = strlen(parts[i].path),
			.link = parts[i].type ? "/etc/passwd" : NULL,
			.link_len = parts[i].type ? 11 : 0,
			.size = parts[i].len};

		assert_int_equal(tar_put_header(&tar, &e), 0);
		(void)buf_add(&tar, parts[i].data, parts[i].len);
		(void)buf_addz(&tar, tar_padding(parts[i].len));
	}
	(void)tar_put_end(&tar);
	assert_true(buf_ok(&tar));
	return load_bytes(b, tar.data, tar.len);
}

static struct snapshot read_s(struct both *b)
{
	struct snapshot sn;

	assert_int_equal(snapshot_find(b->f.home->store, "s", &sn, NULL), 0);
	return sn;
}

/* A disk of zeros, and what goes with it. */
static char *digests_of(const char *json, uint64_t bytes)
{
	char snapshot[DIGEST_TEXT_LEN + 1], disk[DIGEST_TEXT_LEN + 1], *text;
	struct disk_tree t;
	struct digest d;

	snapshot_text_digest(json, snapshot);
	assert_int_equal(disk_tree_init(&t, bytes), 0);
	disk_tree_final(&t, &d);
	disk_tree_release(&t);
	assert_true(asprintf(&text,
	                     "{\"disk\":\"%s\",\"schema\":1,\"snapshot\":"
	                     "\"%s\"}",
	                     digest_text(&d, disk), snapshot) > 0);
	return text;
}

static void what_a_stranger_puts_in_is_refused(void **state)
{
	struct both *b = *state;
	struct snapshot cleanup_snapshot sn = read_s(b);
	cleanup_free char *json = NULL, *digests = NULL;
	uint8_t *zeros = calloc(1, BYTES);
	const char layer[] = ARCHIVE_LAYERS
		"0000000000000000000000000000000000000000000000000000000000000"
		"000" ARCHIVE_LAYER;
	const char up[] = ARCHIVE_LAYERS "../../../../etc/passwd";

	keep_one(b);
	sn.text.bytes = BYTES;
	json = snapshot_text_write(&sn.text);
	digests = digests_of(json, BYTES);
#define JSON {ARCHIVE_TEXT, json, strlen(json), 0}
#define DISK                                                                   \
	{                                                                      \
		ARCHIVE_DISK, zeros, BYTES, 0                                  \
	}
#define DIGESTS                                                                \
	{                                                                      \
		ARCHIVE_DIGESTS, digests, strlen(digests), 0                   \
	}
	{
		const struct part good[] = {JSON, DISK, DIGESTS};
		const struct part lists[][4] = {
			{{"../" ARCHIVE_TEXT, json, strlen(json), 0},
		         DISK,		                                                            DIGESTS									 },
			{{"/" ARCHIVE_TEXT, json, strlen(json), 0},
		         DISK,		                                                            DIGESTS									 },
			{DISK,					JSON,                               DIGESTS									 },
			{JSON,					DIGESTS,                            DISK									    },
			{JSON,					JSON,                               DISK,									     DIGESTS},
			{JSON,					   DISK,									  DISK,													    DIGESTS},
			{JSON,				    DISK,								      DIGESTS,                                        DIGESTS},
			{JSON,				    DISK,DIGESTS,                                   {"more", "x", 1, 0}},
			{JSON,    {"../../x", "x", 1, 0},                                      DISK,								 DIGESTS},
			{JSON,					{up, "x", 1, 0},						 DISK,											DIGESTS},
			{JSON,					   {layer, "x", 1, 0},									  DISK,												    DIGESTS},
			{JSON,				    {ARCHIVE_CONFIG, "{}", 2, 0},								      DISK,                                                            DIGESTS},
			{JSON,				       {ARCHIVE_MANIFEST, "{}", 2, 0},DISK,DIGESTS},
			{JSON,{ARCHIVE_DISK, "", 0, TAR_SYM},DISK,DIGESTS},
			{JSON,					{ARCHIVE_DISK, "", 0, TAR_HARD},      DISK,											  DIGESTS},
			{JSON,					   {ARCHIVE_DISK, "", 0, TAR_DIR},									  DISK,																		 DIGESTS},
			{JSON,				    {ARCHIVE_DISK, "", 0, TAR_CHR},								      DISK,																								 DIGESTS},
			{JSON,				       {ARCHIVE_DISK, zeros, 4096, 0},                                                             DIGESTS                                                   },
			{JSON,{ARCHIVE_DISK, zeros, BYTES - 1, 0},DIGESTS},
			{JSON,					DISK,         {ARCHIVE_DIGESTS, "{}", 2, 0}               },
			{JSON,					   DISK,									  {ARCHIVE_DIGESTS, "", 0, 0}										     },
			{JSON,					   DISK									 },
			{JSON					  },
			{{ARCHIVE_TEXT, "{}", 2, 0},                                           DISK,									  DIGESTS												 },
			{{ARCHIVE_TEXT, "", 0, 0},                                           DISK,									  DIGESTS																															      },
		};

		must(&b->other, load_parts(b, good, ARRAY_SIZE(good)));
		must(&b->other,
		     msb_snapshot_remove(b->other.home, "s", &b->other.error));
		for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
			size_t n = 0;

			while (n < 4 && lists[i][n].path)
				n++;
			if (load_parts(b, lists[i], n) >= 0)
				fail_msg("list %zu was taken", i);
			nothing_is_left(b);
		}
	}
	zeros[SPOT] = 1; /* its digest is of zeros */
	{
		const struct part wrong[] = {JSON, DISK, DIGESTS};

		assert_int_equal(load_parts(b, wrong, ARRAY_SIZE(wrong)),
		                 -MSB_ERR_DIGEST);
		nothing_is_left(b);
	}
	free(zeros);
}

/* The description, changed in one thing, with digests that are right. */
static int load_changed(struct both *b, struct snapshot *sn)
{
	cleanup_free char *json = snapshot_text_write(&sn->text);
	cleanup_free char *digests = digests_of(json, sn->text.bytes);
	uint8_t *zeros = calloc(1, BYTES);
	const struct part parts[] = {
		JSON,
		{ARCHIVE_DISK, zeros, MIN(sn->text.bytes, BYTES), 0},
		DIGESTS
        };
	int r = load_parts(b, parts, ARRAY_SIZE(parts));

	free(zeros);
	return r;
}

static void swap_text(char **at, const char *text)
{
	free(*at);
	*at = strdup(text);
}

static void what_a_stranger_says_is_refused(void **state)
{
	static const char *const names[] = {
		"../x", "/x", "", ".", "-rf", "a\nb", "_0123456789abcdef"};
	struct both *b = *state;
	struct snapshot cleanup_snapshot sn = read_s(b);
	cleanup_free char *right = strdup(sn.text.diff_ids.v[0]);
	char digest[DIGEST_TEXT_LEN + 1];

	keep_one(b);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		swap_text(&sn.text.name, names[i]);
		assert_true(load_changed(b, &sn) < 0);
		nothing_is_left(b);
	}
	swap_text(&sn.text.name, "s");
	sn.text.bytes = 0;
	assert_true(load_changed(b, &sn) < 0);
	sn.text.bytes = 1ULL << 62;
	assert_true(load_changed(b, &sn) < 0);
	sn.text.bytes = BYTES + 1;
	assert_true(load_changed(b, &sn) < 0);
	sn.text.bytes = BYTES;
	swap_text(&sn.text.diff_ids.v[0], "sha256:../../../../etc/passwd");
	assert_true(load_changed(b, &sn) < 0);
	memcpy(digest, right, sizeof(digest));
	digest[20] = digest[20] == '0' ? '1' : '0';
	swap_text(&sn.text.diff_ids.v[0], digest);
	assert_int_equal(load_changed(b, &sn), -MSB_ERR_NOT_FOUND);
	swap_text(&sn.text.diff_ids.v[0], right);
	/* Another chain, another image than it is. */
	memcpy(sn.text.chain, digest, sizeof(digest));
	assert_int_equal(load_changed(b, &sn), -MSB_ERR_DIGEST);
	memcpy(sn.text.chain, right, sizeof(digest));
	memcpy(sn.text.image_id, digest, sizeof(digest));
	memcpy(sn.text.config, digest, sizeof(digest));
	assert_int_equal(load_changed(b, &sn), -MSB_ERR_NOT_FOUND);
	sn.text.image_id[0] = sn.text.config[0] = '\0';
	sn.text.patched = true;
	assert_true(load_changed(b, &sn) < 0);
	nothing_is_left(b);
	sn.text.patched = false;
	must(&b->other, load_changed(b, &sn));
}

/* ---- places -------------------------------------------------------------- */

static void it_appears_as_a_whole_or_not_at_all(void **state)
{
	struct both *b = *state;
	char path[160];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/no/such/folder.tar", b->f.path);
	assert_true(msb_snapshot_save(b->f.home, "s", path, 0, &b->f.error) <
	            0);
	assert_true(msb_snapshot_save(b->f.home, "s", b->f.path, 0,
	                              &b->f.error) < 0);
	assert_true(msb_snapshot_save(b->f.home, "s", "/dev/full", 0,
	                              &b->f.error) < 0);
	assert_int_equal(b->f.error.code, MSB_ERR_NO_SPACE);
	assert_int_equal(
		msb_snapshot_save(b->f.home, "none", b->plain, 0, &b->f.error),
		-MSB_ERR_NOT_FOUND);
	/* Over what is there; for our eyes only. */
	must(&b->f,
	     msb_snapshot_save(b->f.home, "s", b->plain, 0, &b->f.error));
	assert_int_equal(stat(b->plain, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_goes_to_another_home),
		TEST(without_its_image_it_needs_that),
		TEST(a_flipped_bit_is_found),
		TEST(a_flipped_bit_of_a_plain_one_changes_nothing),
		TEST(one_that_was_cut_is_refused),
		TEST(what_a_stranger_puts_in_is_refused),
		TEST(what_a_stranger_says_is_refused),
		TEST(it_appears_as_a_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
