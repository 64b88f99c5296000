/*
 * server.c - a server's life; theory in server.h.
 *
 * System calls of this folder (vmm/jail_rules.c allows the device's thread
 * these), all with descriptors and single names that are never followed; paths
 * have none but cfg.proc_fd's numbers:
 *
 *	openat2     O_PATH|O_NOFOLLOW, O_CREAT|O_EXCL|O_RDWR, O_DIRECTORY,
 *	            O_TMPFILE; always RESOLVE_BENEATH|NO_SYMLINKS|NO_MAGICLINKS
 *	openat      (proc_fd, "N"): data, or O_PATH of an O_TMPFILE file
 *	statx fstat fstatfs fstatvfs close
 *	preadv pwritev2 lseek ftruncate fallocate copy_file_range
 *	fsync fdatasync syncfs getdents64
 *	mkdirat symlinkat readlinkat unlinkat renameat2 utimensat
 *	linkat      (proc_fd, "N", dir, name, AT_SYMLINK_FOLLOW)
 *	fchmod, fchmodat (proc_fd, "N")
 *	getxattrat setxattrat listxattrat removexattrat (463-466, Linux 6.13);
 *	before: fgetxattr and its like, fchdir with getxattr and its like
 *	fcntl       F_OFD_SETLK on the usage file; nanosleep while it waits
 *	clock_gettime (vDSO), getrandom (fs_new), what malloc needs
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "fs/server.h"

#include "base/banned.h"

static int check_name(const struct fs_config *cfg, size_t i, struct err *err)
{
	const char *name = cfg->shares[i].name;

	if (!memchr(name, '\0', sizeof(cfg->shares[i].name)) ||
	    !name_is_plain(name, strlen(name)))
		return err_set(err, -EINVAL, "share %zu has a bad name", i);
	for (size_t k = 0; k < i; k++)
		if (strcmp(cfg->shares[k].name, name) == 0)
			return err_set(err, -EEXIST, "two shares are named %s",
			               name);
	return 0;
}

static int add_share(struct fs *fs, const struct fs_share *cfg, struct err *err)
{
	struct share *share = &fs->shares[fs->nshares];
	struct owner_file f = {.fd = cfg->fd, .is_path = true};
	struct view v;
	int r = view_take(&f, &v);

	if (r < 0)
		return err_set(err, r, "cannot look at share %s", cfg->name);
	if (!S_ISDIR(v.host.st_mode) && !S_ISREG(v.host.st_mode))
		return err_set(err, -EINVAL,
		               "share %s is neither a folder nor a file",
		               cfg->name);
	if (share_is_proc(cfg->fd))
		return err_set(err, -EPERM,
		               "the host's /proc cannot be shared");
	share->cfg = *cfg;
	share->index = (uint8_t)fs->nshares;
	r = quota_init(&share->quota, cfg->quota_bytes, cfg->usage_fd, cfg->fd,
	               err);
	if (r < 0)
		return r;
	fs->nshares++;
	r = node_add_permanent(fs, share, &v);
	if (r < 0)
		return err_set(err, r, "cannot add share %s", cfg->name);
	(void)wire_ino(fs, v.host.st_dev, v.host.st_ino);
	share->root->parent = &fs->root;
	share->root->name = share->cfg.name;
	return 0;
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

static int init(struct fs *fs, const struct fs_config *cfg, struct err *err)
{
	int r;

	fs->proc_fd = cfg->proc_fd;
	fs->nodes_max = or_default(cfg->inodes_max, FS_INODES_DEFAULT);
	fs->nodes_max += (uint32_t)cfg->nshares;
	fs->handles_max = or_default(cfg->handles_max, FS_HANDLES_DEFAULT);
	fs->fds_max = MAX(or_default(cfg->fds_max, FS_FDS_DEFAULT), FDS_MIN);
	fs->pins_max = fs->fds_max / 2;
	fs->shares = calloc(cfg->nshares + 1, sizeof(*fs->shares));
	fs->text = malloc(WIRE_TEXT_MAX + 1);
	fs->dir.data = malloc(DIR_CHUNK);
	if (!fs->shares || !fs->text || !fs->dir.data)
		return err_set(err, -ENOMEM, "no memory for the file server");
	r = nodes_init(fs);
	if (r < 0)
		return err_set(err, r, "cannot start the file server");
	for (size_t i = 0; i < cfg->nshares; i++) {
		r = check_name(cfg, i, err);
		if (r == 0)
			r = add_share(fs, &cfg->shares[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

int fs_new(const struct fs_config *cfg, struct fs **ret, struct err *err)
{
	struct fs *fs;
	int r;

	if (cfg->nshares > FS_SHARES_MAX)
		return err_set(err, -E2BIG, "more than %d shares",
		               FS_SHARES_MAX);
	fs = calloc(1, sizeof(*fs));
	if (!fs)
		return err_set(err, -ENOMEM, "no memory for the file server");
	r = init(fs, cfg, err);
	if (r < 0) {
		fs_free(fs);
		return r;
	}
	*ret = fs;
	return 0;
}

void fs_reset(struct fs *fs)
{
	handles_release(fs);
	nodes_clear(fs);
	fs->dir.valid = false;
	fs->ready = false;
}

void fs_free(struct fs *fs)
{
	if (!fs)
		return;
	handles_release(fs);
	nodes_release(fs);
	for (size_t i = 0; i < fs->nshares; i++)
		quota_release(&fs->shares[i].quota);
	free(fs->handles);
	free(fs->shares);
	free(fs->dir.data);
	free(fs->text);
	free(fs);
}

void fs_get_stats(const struct fs *fs, struct fs_stats *ret)
{
	*ret = (struct fs_stats){
		.requests = fs->requests,
		.read_bytes = fs->read_bytes,
		.write_bytes = fs->write_bytes,
		.inodes = fs->nnodes - (uint32_t)fs->nshares,
		.handles = fs->nhandles,
		.fds = fs->nfds + fs->npins,
	};
}
