/*
 * Files that somebody made to do harm: attacks.md C8, each line a case. A
 * damaged header is refused when it is opened, a damaged table when it is
 * used; what is refused has changed nothing.
 */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/num.h"
#include "disk/disk.h"

#define SECTOR  512u
#define CLUSTER 65536u
#define SIZE    (8 * MIB)

/* header | table of counts | counts | L1 | L2 | data ... */
#define L1_AT   (3 * CLUSTER)
#define L2_AT   (4 * CLUSTER)
#define DATA_AT (5 * CLUSTER)

static int write_at(struct disk *d, uint64_t pos, uint8_t byte, uint64_t len)
{
	uint8_t *b = malloc(len);
	struct iovec v = {b, len};
	int r;

	memset(b, byte, len);
	r = disk_write(d, &v, 1, pos);
	free(b);
	return r;
}

static int read_at(struct disk *d, uint64_t pos, uint8_t *ret)
{
	uint8_t b[SECTOR];
	struct iovec v = {b, SECTOR};
	int r = disk_read(d, &v, 1, pos);

	*ret = b[0];
	return r;
}

static int open_fd(int fd, bool read_only, struct disk **ret, struct err *err)
{
	return disk_open_layers(&(struct disk_layer){fd, DISK_QCOW2}, 1,
	                        read_only, ret, err);
}

/* A good file with data in its first two clusters. */
static int good_file(void)
{
	int fd = memfd_create("qcow2", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct disk *d;

	assert_int_equal(qcow2_create(fd, SIZE, NULL, DISK_RAW, NULL), 0);
	assert_int_equal(open_fd(fd, false, &d, NULL), 0);
	assert_int_equal(write_at(d, 0, 7, 2 * CLUSTER), 0);
	disk_close(d);
	return fd;
}

static void put(int fd, uint64_t at, uint64_t v, unsigned bytes)
{
	uint8_t b[8];

	put_be64(b, v);
	assert_int_equal(pwrite(fd, b + 8 - bytes, bytes, (off_t)at), bytes);
}

static const struct {
	const char *what;
	unsigned at, bytes;
	uint64_t v;
	const char *says;
} headers[] = {
	{"another magic",                 0,   4, 0x514649fa,   "no qcow2"        },
	{"version 1",                     4,   4, 1,            "version 1"       },
	{"version 4",                     4,   4, 4,            "version 4"       },
	{"cluster bits 8",                20,  4, 8,            "cluster size"    },
	{"cluster bits 22",               20,  4, 22,           "cluster size"    },
	{"cluster bits 63",               20,  4, 63,           "cluster size"    },
	{"cluster bits 2^32 - 1",         20,  4, UINT32_MAX,   "cluster size"    },
	{"no size",		       24,  8, 0,            "size"            },
	{"half a sector",                 24,  8, SIZE + 1,     "size"            },
	{"more than the L1 table maps",   24,  8, 1ULL << 40,   "size of a table" },
	{"a size of 2^64 - 512",          24,  8, 0ULL - 512,   "size"            },
	{"encrypted, AES",                32,  4, 1,            "encrypted"       },
	{"encrypted, LUKS",               32,  4, 2,            "encrypted"       },
	{"an L1 table of 2^32 - 1",       36,  4, UINT32_MAX,   "size of a table" },
	{"an L1 table longer than all",   36,  4, 4000000,      "outside"         },
	{"an L1 table of none",           36,  4, 0,            "size of a table" },
	{"an L1 table past the end",      40,  8, 1ULL << 40,   "outside"         },
	{"an L1 table at 2^64 - 65536",   40,  8, 0ULL - 65536, "outside"         },
	{"an L1 table off a border",      40,  8, L1_AT + 512,  "outside"         },
	{"an L1 table over the header",   40,  8, 0,            "over the header" },
	{"counts over the header",        48,  8, 0,            "over the"        },
	{"counts over the L1 table",      48,  8, L1_AT,        "over the"        },
	{"counts past the end",           48,  8, 1ULL << 50,   "outside"         },
	{"counts of 2^32 - 1 clusters",   56,  4, UINT32_MAX,   "size of a table" },
	{"counts of no cluster",          56,  4, 0,            "size of a table" },
	{"2^32 - 1 snapshots",            60,  4, UINT32_MAX,   "number of snap"  },
	{"60000 snapshots past the end",  60,  4, 60000,        "snapshot table"  },
	{"data in another file",          72,  8, 4,            "another file"    },
	{"subclusters",                   72,  8, 16,           "subclusters"     },
	{"a feature of tomorrow",         72,  8, 1ULL << 40,   "not known"       },
	{"another packer, not said",      72,  8, 8,            "compressed"      },
	{"counts of 128 bits",            96,  4, 7,            "width of counts" },
	{"a header of 96 bytes",          100, 4, 96,           "header's length" },
	{"a header of 2^31 bytes",        100, 4, 1U << 31,     "header's length" },
	{"a backing name past a cluster", 8,   8, CLUSTER,      "name"            },
	{"a backing name in the header",  8,   8, 8,            "name"            },
	{"a backing file not given",      8,   8, 112,          "based on another"},
};

static void a_damaged_header_is_refused_and_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		for (unsigned read_only = 0; read_only < 2; read_only++) {
			int fd = good_file();
			struct disk *d = NULL;
			struct err err = {0};
			int r;

			put(fd, headers[i].at, headers[i].v, headers[i].bytes);
			if (headers[i].at == 8)
				put(fd, 16, 11, 4);
			r = open_fd(fd, read_only, &d, &err);
			if (r >= 0 || d || !strstr(err.msg, headers[i].says))
				fail_msg("%s: %d, \"%s\"", headers[i].what, r,
				         err.msg);
			close(fd);
		}
	}
}

static void a_backing_name_of_4_gib_is_refused(void **state)
{
	struct qcow2_info info;
	int fd = good_file();

	(void)state;
	put(fd, 8, 200, 8);
	put(fd, 16, UINT32_MAX, 4);
	assert_true(qcow2_look(fd, &info, NULL) < 0);
	put(fd, 16, 1024, 4);
	assert_true(qcow2_look(fd, &info, NULL) < 0);
	put(fd, 16, 11, 4);
	assert_int_equal(pwrite(fd, "/etc/shadow", 11, 200), 11);
	assert_int_equal(qcow2_look(fd, &info, NULL), 0);
	assert_string_equal(info.backing, "/etc/shadow");
	close(fd);
}

/* Nothing of a name in the header is opened: the chain is what was given. */
static void a_chain_is_what_was_given_not_what_it_says(void **state)
{
	int fd = memfd_create("top", MFD_CLOEXEC), base = good_file();
	const struct disk_layer l[] = {
		{fd,   DISK_QCOW2},
                {base, DISK_QCOW2}
        };
	struct disk *d;
	uint8_t b = 0;

	(void)state;
	assert_int_equal(qcow2_create(fd, SIZE, "/etc/passwd", DISK_RAW, NULL),
	                 0);
	assert_int_equal(disk_open_layers(l, 2, true, &d, NULL), 0);
	assert_int_equal(read_at(d, 0, &b), 0);
	assert_int_equal(b, 7);
	disk_close(d);
	close(fd);
	close(base);
}

static void a_short_file_is_refused(void **state)
{
	const unsigned lengths[] = {0, 1, 4, 71, 72, 103, 4096};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		int fd = good_file();
		struct disk *d = NULL;

		assert_int_equal(ftruncate(fd, lengths[i]), 0);
		assert_true(open_fd(fd, true, &d, NULL) < 0);
		assert_true(open_fd(fd, false, &d, NULL) < 0);
		assert_null(d);
		close(fd);
	}
}

#define COPIED (1ULL << 63)
#define PACKED (1ULL << 62)

static const struct {
	const char *what;
	uint64_t at, v;
	bool write_only; /* who only reads does not need it */
} tables[] = {
	{"L2 is the header",       L1_AT,       COPIED | 0,              false},
	{"L2 is the L1 table",     L1_AT,       COPIED | L1_AT,          false},
	{"L2 is the refcounts'",   L1_AT,       COPIED | CLUSTER,        false},
	{"L2 is past the end",     L1_AT,       COPIED | 1ULL << 45,     false},
	{"L2 is off a border",     L1_AT,       COPIED | (L2_AT + 512),  false},
	{"L2 has reserved bits",   L1_AT,       COPIED | L2_AT | 1 << 3, false},
	{"L2 has a high bit",      L1_AT,       COPIED | L2_AT | PACKED, false},
	{"L2 is a refcount block", L1_AT,       COPIED | 2 * CLUSTER,    true },
	{"block is past the end",  CLUSTER,     1ULL << 45,              true },
	{"block is off a border",  CLUSTER,     2 * CLUSTER + 512,       true },
	{"block is the header",    CLUSTER,     511,                     true },
	{"block is the L2 table",  CLUSTER,     L2_AT,                   true },
	{"block is the L1 table",  CLUSTER,     L1_AT,                   true },
	{"two blocks are one",     CLUSTER + 8, 2 * CLUSTER,             true },
};

static void tables_that_point_to_the_wrong_place_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		for (unsigned read_only = 0; read_only < 2; read_only++) {
			int fd = good_file();
			struct disk *d = NULL;
			struct err err = {0};
			bool ok = read_only && tables[i].write_only;
			int r;

			put(fd, tables[i].at, tables[i].v, 8);
			r = open_fd(fd, read_only, &d, &err);
			if (ok ? r != 0 : r >= 0 || !*err.msg)
				fail_msg("%s: %d, \"%s\"", tables[i].what, r,
				         err.msg);
			disk_close(d);
			close(fd);
		}
	}
}

/* A disk of two L2 tables, which are one. */
static void two_l2_tables_in_one_place_are_refused(void **state)
{
	int fd = memfd_create("qcow2", MFD_CLOEXEC);
	struct disk *d = NULL;

	(void)state;
	assert_int_equal(qcow2_create(fd, GIB, NULL, DISK_RAW, NULL), 0);
	assert_int_equal(open_fd(fd, false, &d, NULL), 0);
	assert_int_equal(write_at(d, 0, 7, CLUSTER), 0);
	disk_close(d);
	put(fd, L1_AT + 8, COPIED | L2_AT, 8);
	d = NULL;
	assert_true(open_fd(fd, true, &d, NULL) < 0);
	assert_null(d);
	close(fd);
}

static const struct {
	const char *what;
	uint64_t entry;
} entries[] = {
	{"the header",                COPIED | 1                              },
	{"the table itself",          COPIED | L2_AT                          },
	{"the L1 table",              COPIED | L1_AT                          },
	{"the table of counts",       COPIED | CLUSTER                        },
	{"the counts",                COPIED | 2 * CLUSTER                    },
	{"past the end",              COPIED | 1ULL << 40                     },
	{"the last place there is",   COPIED | 0x00ffffffffff0000ULL          },
	{"off a border",              COPIED | (DATA_AT + 512)                },
	{"reserved bits",             COPIED | DATA_AT | 1 << 5               },
	{"reserved high bits",        COPIED | DATA_AT | 1ULL << 58           },
	{"packed, past the end",      PACKED | 1ULL << 50                     },
	{"packed, what is no stream", PACKED | DATA_AT                        },
	{"packed, the header",        PACKED | 100                            },
	{"packed, the L2 table",      PACKED | (L2_AT + 77)                   },
	{"packed and its own",        COPIED | PACKED | DATA_AT               },
	{"packed, all of the rest",   PACKED | 0x3fc0000000000000ULL | DATA_AT},
};

/* The third cluster's entry. Reading fails, and from then on all writing. */
static void a_damaged_entry_fails_and_ends_writing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		int fd = good_file();
		struct disk *d = NULL;
		uint8_t b = 0;
		bool is_counts = entries[i].entry == (COPIED | 2 * CLUSTER);

		put(fd, L2_AT + 16, entries[i].entry, 8);
		assert_int_equal(open_fd(fd, false, &d, NULL), 0);
		assert_int_equal(read_at(d, 0, &b), 0);
		assert_int_equal(b, 7);
		if (entries[i].entry == (COPIED | 1)) { /* zeros without room */
			assert_int_equal(read_at(d, 2 * CLUSTER, &b), 0);
			assert_int_equal(b, 0);
		} else if (read_at(d, 2 * CLUSTER, &b) != -EIO) {
			fail_msg("%s", entries[i].what);
		} else {
			assert_int_equal(write_at(d, 0, 8, SECTOR), -EIO);
			assert_int_equal(disk_flush(d), -EIO);
		}
		disk_close(d);
		d = NULL;
		/* Who only reads has no list of the blocks of counts. */
		assert_int_equal(open_fd(fd, true, &d, NULL), 0);
		if (!is_counts && entries[i].entry != (COPIED | 1))
			assert_int_equal(read_at(d, 2 * CLUSTER, &b), -EIO);
		assert_int_equal(read_at(d, CLUSTER, &b), 0);
		assert_int_equal(b, 7);
		disk_close(d);
		close(fd);
	}
}

/* Counts of 0 for what is in use: told when it is given up. */
static void wrong_counts_end_writing(void **state)
{
	int fd = good_file();
	struct disk *d = NULL;

	(void)state;
	put(fd, 2 * CLUSTER + 2 * 5, 0, 2); /* of the first data cluster */
	assert_int_equal(open_fd(fd, false, &d, NULL), 0);
	assert_int_equal(disk_discard(d, 0, CLUSTER), 0);
	assert_int_equal(disk_flush(d), -EIO);
	assert_int_equal(write_at(d, 0, 8, SECTOR), -EIO);
	disk_close(d);
	close(fd);
}

/* Two entries with one cluster: only the bytes of this file get mixed up. */
static void a_cluster_that_two_entries_have_harms_nobody_else(void **state)
{
	int fd = good_file();
	struct disk *d = NULL;
	uint8_t b = 0;

	(void)state;
	put(fd, L2_AT + 16, COPIED | DATA_AT, 8);
	assert_int_equal(open_fd(fd, false, &d, NULL), 0);
	assert_int_equal(write_at(d, 2 * CLUSTER, 9, SECTOR), 0);
	assert_int_equal(read_at(d, 0, &b), 0);
	assert_int_equal(b, 9);
	assert_int_equal(disk_discard(d, 0, 3 * CLUSTER), 0);
	assert_int_equal(disk_flush(d), -EIO); /* given up twice */
	disk_close(d);
	close(fd);
}

static void an_l2_table_that_others_have_is_not_written(void **state)
{
	int fd = good_file();
	struct disk *d = NULL;
	uint8_t b = 0;

	(void)state;
	put(fd, L1_AT, L2_AT, 8); /* not COPIED */
	assert_int_equal(open_fd(fd, false, &d, NULL), 0);
	assert_int_equal(read_at(d, 0, &b), 0);
	assert_int_equal(write_at(d, 2 * CLUSTER, 9, SECTOR), -EIO);
	disk_close(d);
	close(fd);
}

static const struct {
	unsigned at, bytes;
	uint64_t v;
	const char *says;
} unwritable[] = {
	{72, 8, 1, "not closed properly"},
	{72, 8, 2, "damaged"            },
	{60, 4, 1, "1 snapshots"        },
};

static void dirty_damaged_and_with_snapshots_can_only_be_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(unwritable); i++) {
		int fd = good_file();
		struct disk *d = NULL;
		struct err err = {0};

		put(fd, unwritable[i].at, unwritable[i].v, unwritable[i].bytes);
		if (unwritable[i].at == 60)
			put(fd, 64, 6 * CLUSTER, 8);
		assert_true(open_fd(fd, false, &d, &err) < 0);
		if (!strstr(err.msg, unwritable[i].says))
			fail_msg("%s", err.msg);
		assert_int_equal(open_fd(fd, true, &d, NULL), 0);
		disk_close(d);
		close(fd);
	}
}

/* The guest wrote a header to its raw disk: it stays a raw disk. */
static void a_raw_disk_that_begins_like_qcow2_is_raw(void **state)
{
	int fd = memfd_create("raw", MFD_CLOEXEC);
	struct disk *d = NULL;
	uint8_t b = 0;

	(void)state;
	assert_int_equal(qcow2_create(fd, GIB, "/etc/shadow", DISK_RAW, NULL),
	                 0);
	assert_int_equal(disk_open_layers(&(struct disk_layer){fd, DISK_RAW}, 1,
	                                  false, &d, NULL),
	                 0);
	assert_int_equal(disk_size(d), lseek(fd, 0, SEEK_END));
	assert_int_equal(read_at(d, 0, &b), 0);
	assert_int_equal(b, 'Q');
	disk_close(d);
	close(fd);
}

static void raw_below_the_top_only_and_not_too_many(void **state)
{
	int fd = good_file();
	struct disk_layer l[DISK_LAYERS_MAX + 1];
	struct disk *d = NULL;

	(void)state;
	for (unsigned i = 0; i <= DISK_LAYERS_MAX; i++)
		l[i] = (struct disk_layer){fd, DISK_QCOW2};
	assert_int_equal(
		disk_open_layers(l, DISK_LAYERS_MAX + 1, true, &d, NULL),
		-EINVAL);
	assert_int_equal(disk_open_layers(l, 0, true, &d, NULL), -EINVAL);
	assert_int_equal(disk_open_layers(l, 2, true, &d, NULL), -EINVAL);
	l[0].format = DISK_RAW;
	assert_int_equal(disk_open_layers(l, 2, true, &d, NULL), -EINVAL);
	assert_null(d);
	close(fd);
}

/* A file system that is full: the guest's write fails, nothing else. */
static void a_full_host_fails_the_write_only(void **state)
{
	int fd = good_file(), sealed;
	struct disk *d = NULL;
	uint8_t b = 0;

	(void)state;
	sealed = fcntl(fd, F_ADD_SEALS, F_SEAL_GROW);
	if (sealed < 0)
		skip();
	assert_int_equal(open_fd(fd, false, &d, NULL), 0);
	assert_true(write_at(d, 4 * MIB, 9, CLUSTER) < 0);
	assert_int_equal(read_at(d, 4 * MIB, &b), 0);
	assert_int_equal(b, 0);
	assert_int_equal(write_at(d, 0, 8, CLUSTER), 0);
	assert_int_equal(read_at(d, 0, &b), 0);
	assert_int_equal(b, 8);
	disk_close(d);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_damaged_header_is_refused_and_named),
		cmocka_unit_test(a_backing_name_of_4_gib_is_refused),
		cmocka_unit_test(a_chain_is_what_was_given_not_what_it_says),
		cmocka_unit_test(a_short_file_is_refused),
		cmocka_unit_test(
			tables_that_point_to_the_wrong_place_are_refused),
		cmocka_unit_test(two_l2_tables_in_one_place_are_refused),
		cmocka_unit_test(a_damaged_entry_fails_and_ends_writing),
		cmocka_unit_test(wrong_counts_end_writing),
		cmocka_unit_test(
			a_cluster_that_two_entries_have_harms_nobody_else),
		cmocka_unit_test(an_l2_table_that_others_have_is_not_written),
		cmocka_unit_test(
			dirty_damaged_and_with_snapshots_can_only_be_read),
		cmocka_unit_test(a_raw_disk_that_begins_like_qcow2_is_raw),
		cmocka_unit_test(raw_below_the_top_only_and_not_too_many),
		cmocka_unit_test(a_full_host_fails_the_write_only),
	};

	return cmocka_run_group_tests_name("disk/hostile", tests, NULL, NULL);
}
