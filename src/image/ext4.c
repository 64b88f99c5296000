#include "image/ext4.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/num.h"
#include "base/spawn.h"

#include "base/banned.h"

#define TOOL_TIMEOUT_MS  60000
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

static int run_tool(char *const *argv, const char *input, struct buf *output,
                    struct err *err)
{
	struct spawn_opts o = {.argv = argv,
	                       .input = input,
	                       .input_len = input ? strlen(input) : 0,
	                       .output = output,
	                       .timeout_ms = TOOL_TIMEOUT_MS};
	int r = spawn_run(&o, err);

	if (r == -ENOENT) {
		err_set(err, r, "%s is not installed", argv[0]);
		err_hint(err, "install the package e2fsprogs");
	}
	return r > 0 ? -EIO : r;
}

#define FEATURES    "^resize_inode,meta_bg"
#define PER_INODE   "65536"
#define PER_INODE_1 "16384" /* of a plain one */

/*
 * meta_bg in place of the resize inode keeps the file system growable and the
 * template small; one inode for 64 KiB is ample for an upper; nothing is
 * reserved for root; prezeroed tables spare the guest from writing them. A
 * small disk gets a small journal.
 */
static int make_as(const char *path, uint64_t size, const char *per_inode,
                   const char *features, struct err *err)
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
		(char *)(uintptr_t)per_inode,
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
 * Newer mke2fs make an orphan file of megabytes, which every clone of the
 * template would copy; older ones refuse to hear its name.
 */
static int make_fs(const char *path, uint64_t size, const char *per_inode,
                   struct err *err)
{
	int r = make_as(path, size, per_inode, FEATURES ",^orphan_file", err);

	return r == -EIO ? make_as(path, size, per_inode, FEATURES, err) : r;
}

/*
 * debugfs makes root's folders whoever runs it. It says success whatever
 * happens, so it is asked what there is: lines of /inode/mode/uid/gid/name/.
 */
static int debugfs(const char *path, const char *commands, struct buf *said,
                   struct err *err)
{
	char tool[64];
	char *argv[] = {
		(char *)find_tool("debugfs", tool, sizeof(tool)),
		"-w",
		"-f",
		"-",
		(char *)path,
		NULL,
	};

	return run_tool(argv, commands, said, err);
}

static int make_folders(const char *path, struct err *err)
{
	struct buf cleanup_buf said = BUF_INIT_MAX(TOOL_OUTPUT_MAX);
	int r = debugfs(path, "mkdir u\nmkdir w\nls -p /\n", &said, err);

	if (r < 0)
		return r;
	if (!strstr(buf_str(&said), "/040755/0/0/u/") ||
	    !strstr(buf_str(&said), "/040755/0/0/w/"))
		return err_set(err, -EIO,
		               "debugfs made no folders in an ext4 image");
	return 0;
}

int ext4_make(const char *path, uint64_t size, struct err *err)
{
	int r = make_fs(path, size, PER_INODE, err);

	return r < 0 ? r : make_folders(path, err);
}

/* Without lost+found: programs want a folder of theirs to be empty. */
int ext4_make_plain(const char *path, uint64_t size, struct err *err)
{
	struct buf cleanup_buf said = BUF_INIT_MAX(TOOL_OUTPUT_MAX);
	int r = make_fs(path, size, PER_INODE_1, err);

	if (r == 0)
		r = debugfs(path, "rmdir lost+found\nls -p /\n", &said, err);
	if (r == 0 && strstr(buf_str(&said), "/lost+found/"))
		r = err_set(err, -EIO,
		            "debugfs left lost+found in an ext4 image");
	return r;
}
