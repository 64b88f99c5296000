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
