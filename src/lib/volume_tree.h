/*
 * volume_tree.h - the tree of files in a volume, as a guest left it: counted,
 * and removed.
 *
 * A guest may make folders as deep and as wide as it likes, and people on the
 * host may take all rights from one. So neither function recurses or keeps a
 * descriptor for each level, no path is ever put together, no link followed,
 * and nothing on another file system touched.
 */
#ifndef LIB_VOLUME_TREE_H
#define LIB_VOLUME_TREE_H

#include <stdint.h>

/*
 * As src/fs/quota.h counts: each name has so many bytes, a folder's these
 * besides, and each file once st_blocks * 512.
 */
#define VOLUME_INODE_BYTES  512u
#define VOLUME_FOLDER_BYTES 4096u

/*
 * What all in the folder @fd takes, but the folder itself; a file with several
 * names has its blocks once. What cannot be read does not count. -ESTALE when
 * somebody moves folders about meanwhile.
 */
int volume_tree_count(int fd, uint64_t *ret_bytes);

/*
 * Remove the folder @name of @dir_fd with all in it. Fine when it is gone.
 * What was begun and cut off can be begun again.
 */
int volume_tree_remove(int dir_fd, const char *name);

#endif
