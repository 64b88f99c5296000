/*
 * owner.h - who a file belongs to, what it is and what its mode is, as the
 * guest sees it: what the host's user cannot hold is kept in one extended
 * attribute of the file.
 *
 *	user.msb.stat = "MSB1" | u32 uid | u32 gid | u32 mode | u32 rdev  (LE)
 *
 * mode has the type as well: a device, fifo or socket of the guest is an empty
 * regular file on the host, whose attribute says what it is. Of a symbolic
 * link (no user.* attributes there) nothing is kept but what the host holds.
 * On the host modes are such that we can go on working: at least 0600 or 0700,
 * never setuid, setgid or sticky. The read, write and execute bits go there as
 * well, where the host's owner may have them.
 *
 * An attribute that is damaged, of another version, or that grants a type
 * which the file cannot be (a folder as a file, a link) counts as missing:
 * anybody may have written it. The guest never sees, sets or removes the
 * attribute by its name.
 *
 * msb's Rust predecessor writes user.msb.override_stat (20 bytes: version 1,
 * 3 zero bytes, uid, gid, mode, rdev): it is read where ours is missing, so
 * that its volumes keep their owners.
 */
#ifndef FS_OWNER_H
#define FS_OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "fs/fs.h"

#define OWNER_XATTR     "user.msb.stat"
#define OWNER_XATTR_OLD "user.msb.override_stat"

/* What the attribute says. */
struct owner {
	uint32_t uid, gid, mode, rdev;
};

/*
 * Of a file open for reading, or of /proc/self/fd/N by @proc_fd for O_PATH.
 * With @name (one component, checked) the entry of that name in the folder
 * @fd, never followed: a walk needs no descriptor for each file
 * (getxattrat(fd, name, AT_SYMLINK_NOFOLLOW), else opened for a moment).
 */
struct owner_file {
	int fd;
	int proc_fd;
	bool is_path;     /* @fd is O_PATH */
	const char *name; /* NULL: @fd itself */
};

/*
 * Turn the host's @st of that file into what the guest sees. Fine when the
 * file has no attribute, or cannot have one.
 */
void owner_show(const struct owner_file *f, const struct fs_owners *map,
                struct stat *st);

/*
 * Keep @o for it: the attribute, and the permission bits that the host can
 * hold. -EPERM (or the host's reason) when it cannot be kept, and nothing
 * changed; fine without an attribute where @o is what owner_show() would say
 * without one. @st: the host's.
 */
int owner_keep(const struct owner_file *f, const struct fs_owners *map,
               const struct stat *st, const struct owner *o);

/* What a new file of the guest's gets on the host until owner_keep(). */
uint32_t owner_host_mode(uint32_t guest_mode, bool is_dir);

/* Whether the guest may not see this attribute. */
bool owner_is_hidden(const char *xattr);

/* @len bytes of the attribute; false when they are not one. */
bool owner_parse(const void *data, size_t len, struct owner *ret);

#endif
