#include "image/ext4.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/num.h"
#include "base/spawn.h"

#include "base/banned.h"

#define TOOL_TIMEOUT_MS  60000
#define GROW_TIMEOUT_MS  600000 /* a full disk is read as a whole */
#define TOOL_OUTPUT_MAX  (64 * 1024)
#define BIG_JOURNAL_FROM (512 * MIB)

/*
 * e2fsprogs is in /sbin, which is not in every user's PATH. A name without a
 * slash is left to PATH.
 */
static const char *find_tool(const char *name, char *out, size_t len)
{
	static const char *const places[] = {"/usr/sbin", "/sbin",
	                                     "/usr/local/sbin"};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		(void)snprintf(out, len, "%s/%s", places[i], name);
		if (access(out, X_OK) == 0)
			return out;
	}
	return name;
}

/* As spawn_run(). */
static int run(const struct spawn_opts *o, struct err *err)
{
	int r = spawn_run(o, err);

	if (r == -ENOENT) {
		err_set(err, r, "%s is not installed", o->argv[0]);
		err_hint(err, "install the package e2fsprogs");
	}
	return r;
}

static int run_tool(char *const *argv, const char *input, struct buf *output,
                    struct err *err)
{
	struct spawn_opts o = {.argv = argv,
	                       .input = input,
	                       .input_len = input ? strlen(input) : 0,
	                       .output = output,
	                       .timeout_ms = TOOL_TIMEOUT_MS};
	int r = run(&o, err);

	return r > 0 ? -EIO : r;
}

#define FEATURES "^resize_inode,meta_bg"

/*
 * meta_bg in place of the resize inode keeps the file system growable and the
 * template small; one inode for 64 KiB is ample for an upper; nothing is
 * reserved for root; prezeroed tables spare the guest from writing them. A
 * small disk gets a small journal.
 */
static int make_fs(const char *path, uint64_t size, const char *features,
                   struct err *err)
{
	char tool[64], blocks[32];
	char *argv[] = {
		(char *)find_tool("mke2fs", tool, sizeof(tool)),
		"-q",
		"-F",
		"-t",
		"ext4",
		"-b",
		"4096",
		"-O",
		(char *)(uintptr_t)features,
		"-i",
		"65536",
		"-J",
		size >= BIG_JOURNAL_FROM ? "size=64" : "size=4",
		"-m",
		"0",
		"-E",
		"assume_storage_prezeroed=1",
		"--",
		(char *)path,
		blocks,
		NULL,
	};

	(void)snprintf(blocks, sizeof(blocks), "%llu",
	               (unsigned long long)(size / 4096));
	return run_tool(argv, NULL, NULL, err);
}

/*
 * debugfs makes root's folders whoever runs it. It says success whatever
 * happens, so it is asked what there is: lines of /inode/mode/uid/gid/name/.
 */
static int make_folders(const char *path, struct err *err)
{
	struct buf cleanup_buf said = BUF_INIT_MAX(TOOL_OUTPUT_MAX);
	char tool[64];
	char *argv[] = {
		(char *)find_tool("debugfs", tool, sizeof(tool)),
		"-w",
		"-f",
		"-",
		(char *)path,
		NULL,
	};
	int r = run_tool(argv, "mkdir u\nmkdir w\nls -p /\n", &said, err);

	if (r < 0)
		return r;
	if (!strstr(buf_str(&said), "/040755/0/0/u/") ||
	    !strstr(buf_str(&said), "/040755/0/0/w/"))
		return err_set(err, -EIO, "%s made no folders in an ext4 image",
		               argv[0]);
	return 0;
}

int ext4_make(const char *path, uint64_t size, struct err *err)
{
	/*
	 * Newer mke2fs make an orphan file of megabytes, which every clone of
	 * the template would copy; older ones refuse to hear its name.
	 */
	int r = make_fs(path, size, FEATURES ",^orphan_file", err);

	if (r == -EIO)
		r = make_fs(path, size, FEATURES, err);
	return r < 0 ? r : make_folders(path, err);
}

/* Where things are in the superblock; little-endian, as all of ext4. */
#define SB_OFFSET       1024
#define SB_BLOCKS       0x04
#define SB_LOG_SIZE     0x18
#define SB_MAGIC        0x38
#define SB_INCOMPAT     0x60
#define SB_BLOCKS_HIGH  0x150
#define INCOMPAT_64BIT  0x80
#define LOG_SIZE_MAX    6 /* 64 KiB */
#define SB_BLOCKS_BOUND (1ULL << 48)

int ext4_read_size(int fd, uint64_t *ret, struct err *err)
{
	uint8_t sb[1024];
	ssize_t n = fd_pread_full(fd, sb, sizeof(sb), SB_OFFSET);
	uint64_t blocks;
	uint32_t log;

	if (n < 0)
		return err_set(err, (int)n, "cannot read a writable disk: %s",
		               strerror((int)-n));
	if (n != sizeof(sb) || get_le16(sb + SB_MAGIC) != 0xef53)
		return err_set(err, -EUCLEAN,
		               "there is no ext4 on a writable disk");
	blocks = get_le32(sb + SB_BLOCKS);
	log = get_le32(sb + SB_LOG_SIZE);
	if (get_le32(sb + SB_INCOMPAT) & INCOMPAT_64BIT)
		blocks |= (uint64_t)get_le32(sb + SB_BLOCKS_HIGH) << 32;
	if (log > LOG_SIZE_MAX || blocks == 0 || blocks >= SB_BLOCKS_BOUND)
		return err_set(err, -EUCLEAN,
		               "the ext4 on a writable disk is damaged");
	*ret = blocks << (10 + log);
	return 0;
}

/*
 * e2fsck's exit code is a set of bits: 1 and 2 say that it repaired something,
 * 4 that there is damage left, the rest that it did not work.
 */
int ext4_repair(const char *path, struct err *err)
{
	char tool[64];
	char *argv[] = {
		(char *)find_tool("e2fsck", tool, sizeof(tool)),
		"-f",
		"-p",
		(char *)(uintptr_t)path,
		NULL,
	};
	struct spawn_opts o = {.argv = argv, .timeout_ms = GROW_TIMEOUT_MS};
	int r = run(&o, err);

	if (r < 0)
		return r;
	if (r & ~7)
		return -EIO;
	if (r & 4)
		return err_set(err, -EUCLEAN,
		               "a writable disk is damaged beyond what e2fsck "
		               "repairs by itself");
	return 0;
}

/*
 * By force: without it, resize2fs compares the time of the check with the time
 * of the last mount, which the guest's clock wrote.
 */
int ext4_resize(const char *path, uint64_t size, struct err *err)
{
	char tool[64], blocks[32];
	char *argv[] = {
		(char *)find_tool("resize2fs", tool, sizeof(tool)),
		"-f",
		(char *)(uintptr_t)path,
		blocks,
		NULL,
	};
	struct spawn_opts o = {.argv = argv, .timeout_ms = GROW_TIMEOUT_MS};
	int r;

	(void)snprintf(blocks, sizeof(blocks), "%lluK",
	               (unsigned long long)(size / 1024));
	r = run(&o, err);
	return r > 0 ? -EIO : r;
}
