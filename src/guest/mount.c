#include "guest/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

#define LOWER MOUNT_LOWER
#define UPPER "/upper"
#define ROOT  "/root"

/* Not in all versions of the kernel's user headers. */
#define IOC_EXT4_RESIZE _IOW('f', 16, uint64_t)

/*
 * What overlayfs may use. xino: inode numbers stay the same and unique over
 * both layers. redirect_dir: folders of the image can be renamed. metacopy: a
 * chmod or chown of a large file copies no data. index: off, it would bind
 * the upper to one lower for ever.
 */
#define OVERLAY_OPTIONS                                                        \
	"lowerdir=" LOWER ",upperdir=" UPPER "/u,workdir=" UPPER "/w,"         \
	"xino=on,redirect_dir=on,metacopy=on,index=off"

struct fs {
	const char *type, *path;
	unsigned long flags;
	const char *data;
};

static const struct fs early[] = {
	{"sysfs",    "/sys", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL       },
	{"devtmpfs", "/dev", MS_NOSUID | MS_NOEXEC,            "mode=0755"},
};

/*
 * In order: a folder below another mount comes after it. /run and /tmp are
 * left as the image has them (packages put folders into /run at build time).
 */
static const struct fs kernel[] = {
	{"proc",     "/proc",          MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL       },
	{"sysfs",    "/sys",           MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL       },
	{"cgroup2",  "/sys/fs/cgroup", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL       },
	{"devtmpfs", "/dev",           MS_NOSUID | MS_NOEXEC,            "mode=0755"},
	{"devpts",   "/dev/pts",       MS_NOSUID | MS_NOEXEC,
         "newinstance,gid=5,mode=620,ptmxmode=666"                                  },
	{"tmpfs",    "/dev/shm",       MS_NOSUID | MS_NODEV,             "mode=1777"},
	{"mqueue",   "/dev/mqueue",    MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL       },
};

static int mount_one(const struct fs *f, struct err *err)
{
	if (mkdir(f->path, 0755) < 0 && errno != EEXIST)
		return err_set(err, -errno, "cannot create the folder %s: %s",
		               f->path, strerror(errno));
	if (mount(f->type, f->path, f->type, f->flags, f->data) < 0)
		return err_set(err, -errno, "cannot mount %s on %s: %s",
		               f->type, f->path, strerror(errno));
	return 0;
}

static int mount_list(const struct fs *f, size_t n, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = mount_one(&f[i], err);
	return r;
}

int mount_early(struct err *err)
{
	return mount_list(early, ARRAY_SIZE(early), err);
}

static const char *node_of(const char *disk, char out[32])
{
	(void)snprintf(out, 32, "/dev/%.20s", disk);
	return out;
}

/* A user's ext4 may have a journal that wants writing: it stays as it is. */
int mount_image(const char *disk, const char *type, struct err *err)
{
	char node[32];

	if (!*type)
		type = "erofs";
	if (mount(node_of(disk, node), LOWER, type, MS_RDONLY, NULL) == 0)
		return 0;
	if (strcmp(type, "ext4") == 0 &&
	    mount(node, LOWER, type, MS_RDONLY, "noload") == 0)
		return 0;
	return err_set(err, -errno,
	               "cannot mount the root image (disk %s, %s): %s", disk,
	               type, strerror(errno));
}

#define SUPERBLOCK_AT 1024

/* Blocks of the ext4 on @fd, and their size; 0 when it is no ext4. */
static uint64_t ext4_blocks(int fd, uint64_t *block_size)
{
	uint8_t sb[SUPERBLOCK_AT];
	uint32_t shift, hi = 0;

	if (fd_pread_full(fd, sb, sizeof(sb), SUPERBLOCK_AT) != sizeof(sb) ||
	    get_le16(sb + 0x38) != 0xef53)
		return 0;
	shift = get_le32(sb + 0x18);
	if (shift > 6)
		return 0;
	if (get_le32(sb + 0x60) & 0x80) /* 64bit */
		hi = get_le32(sb + 0x150);
	*block_size = 1024ULL << shift;
	return (uint64_t)hi << 32 | get_le32(sb + 0x04);
}

/* The blocks that @node has room for, 0 when the file system fills it. */
static int wanted_blocks(const char *node, uint64_t *ret)
{
	cleanup_close int fd = open(node, O_RDONLY | O_CLOEXEC);
	uint64_t have, size, block_size = 1;

	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size) < 0)
		return -errno;
	have = ext4_blocks(fd, &block_size);
	*ret = have && size / block_size > have ? size / block_size : 0;
	return 0;
}

static int mount_ext4(const char *disk, int *ret_fd, struct err *err)
{
	cleanup_close int fd = -1;
	uint64_t blocks = 0;
	char node[32];
	int r = wanted_blocks(node_of(disk, node), &blocks);

	if (r < 0)
		return err_set(err, r, "cannot read the upper disk (%s): %s",
		               disk, strerror(-r));
	/*
	 * noinit_itable: no background thread writes zeros to the disk.
	 * discard: what is deleted takes no room on the host any more.
	 */
	if (mount(node, UPPER, "ext4", MS_NOATIME,
	          "noinit_itable,no_prefetch_block_bitmaps,discard") < 0)
		return err_set(err, -errno,
		               "cannot mount the upper (disk %s): %s", disk,
		               strerror(errno));
	fd = open(UPPER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -errno, "cannot open the upper: %s",
		               strerror(errno));
	if (blocks && ioctl(fd, IOC_EXT4_RESIZE, &blocks) < 0)
		return err_set(err, -errno,
		               "cannot grow the upper (disk %s): %s", disk,
		               strerror(errno));
	*ret_fd = take_fd(fd);
	return 0;
}

static int mount_memory(uint64_t bytes, struct err *err)
{
	char options[48] = "mode=0700";
	const struct fs tmpfs = {"tmpfs", UPPER, MS_NOATIME, options};
	int r;

	if (bytes)
		(void)snprintf(options, sizeof(options), "mode=0700,size=%llu",
		               (unsigned long long)bytes);
	r = mount_one(&tmpfs, err);
	if (r == 0 && (mkdir(UPPER "/u", 0755) < 0 || mkdir(UPPER "/w", 0700)))
		r = err_set(err, -errno, "cannot fill the tmpfs upper: %s",
		            strerror(errno));
	return r;
}

int mount_upper(const char *disk, uint64_t bytes, int *ret_fd, struct err *err)
{
	if (disk)
		return mount_ext4(disk, ret_fd, err);
	*ret_fd = -1;
	return mount_memory(bytes, err);
}

int mount_upper_changes(void)
{
	int fd = open(UPPER "/u", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/*
 * The overlay's root has the upper's attributes. On the first mount (overlayfs
 * has not made its folder "work" yet) they are the template's: give it the
 * image's. Later they are what the user made of them.
 */
static int copy_root_attributes(void)
{
	struct stat st;
	struct timespec t[2];

	if (lstat(UPPER "/w/work", &st) == 0)
		return 0;
	if (stat(LOWER, &st) < 0 || chown(UPPER "/u", st.st_uid, st.st_gid) < 0)
		return -errno;
	if (chmod(UPPER "/u", st.st_mode & 07777) < 0)
		return -errno;
	t[0] = st.st_atim;
	t[1] = st.st_mtim;
	return utimensat(AT_FDCWD, UPPER "/u", t, 0) < 0 ? -errno : 0;
}

/* Without a file system id of its own it is quicker; Linux 6.6 and newer. */
static int mount_overlay(void)
{
	if (mount("overlay", ROOT, "overlay", 0,
	          OVERLAY_OPTIONS ",uuid=null") == 0)
		return 0;
	if (errno != EINVAL)
		return -1;
	return mount("overlay", ROOT, "overlay", 0, OVERLAY_OPTIONS);
}

int mount_root(struct err *err)
{
	int r = copy_root_attributes();

	if (r < 0)
		return err_set(err, r, "cannot prepare the upper: %s",
		               strerror(-r));
	if (mount_overlay() < 0)
		return err_set(err, -errno,
		               "cannot join image and upper by overlayfs: %s",
		               strerror(errno));
	if (chdir(ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 ||
	    chroot(".") < 0 || chdir("/") < 0)
		return err_set(err, -errno, "cannot enter the new root: %s",
		               strerror(errno));
	return 0;
}

int mount_kernel(struct err *err)
{
	return mount_list(kernel, ARRAY_SIZE(kernel), err);
}

#define CGROUP "/sys/fs/cgroup/"

int mount_cgroup_enable(struct err *err)
{
	struct buf cleanup_buf names = BUF_INIT_MAX(4096);
	struct buf cleanup_buf line = BUF_INIT_MAX(4096);
	cleanup_close int fd = -1;
	int r = file_read(AT_FDCWD, CGROUP "cgroup.controllers", &names);
	const char *p = buf_str(&names);

	while (r == 0 && *p && *p != '\n') {
		size_t len = strcspn(p, " \n");

		r = buf_printf(&line, " +%.*s", (int)len, p);
		p += len + (p[len] == ' ');
	}
	if (r == 0)
		fd = open(CGROUP "cgroup.subtree_control",
		          O_WRONLY | O_CLOEXEC);
	if (r == 0)
		r = fd < 0 ? -errno : fd_write_full(fd, line.data, line.len);
	if (r < 0)
		return err_set(err, r,
		               "cannot enable the cgroup controllers: %s",
		               strerror(-r));
	return 0;
}
