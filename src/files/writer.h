/*
 * writer.h - the sink that makes files below a folder.
 *
 * Nothing is written outside of it. With FILES_WRITE_STRICT (a host that takes
 * what a guest sends) no symbolic link is ever gone through, whoever made it,
 * and a hard link may only name a file that this very tree brought. Without
 * (a guest that takes what its host sends) a folder on the way may be reached
 * through a link, as everywhere in that guest.
 *
 * A file replaces what has its name as a whole: no half of it is ever seen but
 * in folders that are new, and nothing is written into what was there. As
 * docker cp: a folder is never replaced by a file nor a file by a folder;
 * devices are never replaced. Folders get their mode and time when all in them
 * is there; when something comes for one that was left before, its time is that
 * of the change.
 */
#ifndef FILES_WRITER_H
#define FILES_WRITER_H

#include "files/links.h"
#include "files/name.h"
#include "files/sink.h"
#include "files/whole.h"

enum files_write_flags {
	FILES_WRITE_OWNER = 1,   /* uid, gid, set-id bits and capabilities */
	FILES_WRITE_STRICT = 2,  /* see above */
	FILES_WRITE_PARENTS = 4, /* missing folders are made, 0755 */
};

struct files_folder; /* one that waits for its mode and time */

struct files_writer {
	struct files_place place; /* the folder is closed with the writer */
	uint32_t flags;
	int parent_fd;
	char parent[FILES_PATH_MAX]; /* whose that is */
	char path[FILES_PATH_MAX];   /* of the file under way */
	struct files_whole file;
	struct files_folder *folders;
	struct files_links links;
	/* Of the file that is being written. */
	uint32_t mode, uid, gid, nlink, mtime_ns;
	uint64_t mtime_s, written; /* up to there there is something */
	struct buf xattrs;
	uint64_t nfiles, nbytes, nleft_out; /* what came so far */
};

/* Takes the folder of @place. */
void files_writer_init(struct files_writer *w, const struct files_place *place,
                       uint32_t flags);
struct files_sink files_writer_sink(struct files_writer *w);

/* All has come: what waited is done. */
int files_writer_finish(struct files_writer *w, struct err *err);
/* Drops a file that is not complete. */
void files_writer_release(struct files_writer *w);

#endif
