/*
 * owner.h - who a file belongs to, what it is and what its mode is, as the
 * guest sees it: what the host's user cannot hold is kept in one extended
 * attribute of the file.
 *
 *	user.msb.stat = "MSB1" | u32 uid | u32 gid | u32 mode | u32 rdev  (LE)
 *
 * mode has the type as well: a device, fifo or socket of the guest is an empty
 * regular file on the host, whose attribute says what it is. rdev is Linux's
 * number of 32 bits (as in FUSE, and in a small st_rdev), 0 of what is no
 * device. uid or gid 0xffffffff: none is kept, ask the host's.
 *
 * What the guest sees (owner_show)
 *
 *   of the host      without a valid attribute         with one
 *   ---------------  --------------------------------  -----------------------
 *   uid              host_uid: @uid of the share       the attribute's
 *                    another: itself where host_uid
 *                    is 0, else 65534
 *   gid              the same with gid                 the attribute's
 *   type             the host's                        the attribute's
 *   mode             the host's                        the attribute's, unless
 *                                                      changed on the host
 *   link, fifo, ...  the host's, uid and gid as above  (cannot have one)
 *
 * @squash comes last: uid and gid are the share's, whatever is kept.
 * (In msb-vmm's user namespace the host's user is 0 and all others are shown as
 * 65534 by the kernel already.)
 *
 * What the host gets (owner_keep): owner_host_mode(), so that we can go on
 * working and nothing of the guest gains a right on the host, whoever runs msb,
 * root too:
 *   - files at least 0600, folders 0700; the other read, write and execute bits
 *     as the guest sets them;
 *   - never setuid, setgid, sticky; a sticky folder is not writable for group
 *     and others either, as nothing would protect what is in it;
 *   - never a device, fifo, socket: their files are 0600;
 *   - of the host's own devices, fifos, sockets no bit more than they have;
 *   - never another owner.
 * The attribute is written only where this says less than the guest set, so an
 * ordinary tree has none.
 *
 * "Changed on the host": the host's mode is not what owner_host_mode() makes of
 * the attribute's. Then chmod on the host came after, and its mode counts: all
 * of it for a file, with the attribute's setgid and sticky for a folder.
 *
 * Of a symbolic link nothing can be kept: chown of it succeeds without effect,
 * as archives are full of links and would not unpack otherwise.
 *
 * An attribute that is damaged, of another version, or that grants a type
 * which the file cannot be (a folder as a file, a file with data as a device,
 * a link) counts as missing: anybody may have written it. The guest never
 * sees, sets or removes the attribute by its name, nor any other that begins
 * with OWNER_PREFIX.
 *
 * msb's Rust predecessor writes user.msb.override_stat (20 bytes: version 1,
 * 3 zero bytes, uid, gid, mode, rdev): it is read where ours is missing, so
 * that its volumes keep their owners. Its mode counts whatever the host's is.
 *
 * How it is read, and what that costs: fgetxattr() refuses an O_PATH
 *descriptor, and getxattrat() with an empty path does, too. So, best first
 *(Linux 6.18, ext4; a LOOKUP by the server is 2.3 us without):
 *   - the same ctime as at the last look: not asked (the caller's node);
 *   - @name in the folder @fd: +1.0 us without attribute, +2.6 us with;
 *   - @proc_fd's magic link of the descriptor: +2.3 us, +5 us.
 * Both by getxattrat() and listxattrat() (Linux 6.13); on an older kernel by
 * fchdir() and the calls with a path where xattr_calls() allowed it (+0.5 us
 * more), else by opening it for reading (+7 us more). Which names a file has
 * is asked first, where the last file had none: one call then says that both
 * are missing.
 */
#ifndef FS_OWNER_H
#define FS_OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "fs/fs.h"

#define OWNER_PREFIX    "user.msb."
#define OWNER_XATTR     "user.msb.stat"
#define OWNER_XATTR_OLD "user.msb.override_stat"

#define OWNER_UNSET  UINT32_MAX /* uid, gid: the host's count */
#define OWNER_NOBODY 65534u     /* another user of the host's */

/* What the attribute says. */
struct owner {
	uint32_t uid, gid, mode, rdev;
};

/*
 * Of a file open for reading, or of /proc/self/fd/N by @proc_fd for O_PATH.
 * With @name (one component, checked) the entry of that name in the folder
 * @fd, never followed: a walk needs no descriptor for each file. Who swaps the
 * name after the caller's fstatat() gets another file's attribute shown for
 * this one until the next look, nothing else: the folder is the same.
 * @fresh is optional.
 */
struct owner_file {
	int fd;
	int proc_fd;
	bool is_path;     /* @fd is O_PATH */
	const char *name; /* NULL: @fd itself */
	bool fresh;       /* this request made it: it has no attribute yet */
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
 * without one. @st: the host's, of now; with @name -ESTALE when the entry is
 * no longer that file. With @map->squash @o's uid and gid are
 * not looked at, and what was kept of them stays.
 */
int owner_keep(const struct owner_file *f, const struct fs_owners *map,
               const struct stat *st, const struct owner *o);

/*
 * What a new file of the guest's gets on the host until owner_keep(), and
 * after. @guest_mode may have a type: of what is neither a file nor a folder
 * it is 0600.
 */
uint32_t owner_host_mode(uint32_t guest_mode, bool is_dir);

/* Whether the guest may not see this attribute. */
bool owner_is_hidden(const char *xattr);

/* @len bytes of the attribute; false when they are not one. */
bool owner_parse(const void *data, size_t len, struct owner *ret);
/* The same of OWNER_XATTR_OLD. */
bool owner_parse_old(const void *data, size_t len, struct owner *ret);

#endif
