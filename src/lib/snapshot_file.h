/*
 * snapshot_file.h - the folders of snapshots, HOME/snapshots/NAME (0700):
 *
 *	snapshot.json  what it is; the SHA-256 of these bytes is its identity,
 *	               here and wherever it is saved to and loaded
 *	disk.json      the files of HOME/disks that hold its content (disks.h)
 *	image          what it was written over (image.h), kept by this
 *
 * One is made in a folder called _RANDOM and renamed when it is complete; one
 * that goes is renamed so first. The sweep of disks.h removes such folders.
 */
#ifndef LIB_SNAPSHOT_FILE_H
#define LIB_SNAPSHOT_FILE_H

#include "base/digest.h"
#include "base/strv.h"
#include "image/image.h"
#include "lib/disks.h"
#include "microsandbox.h"

#define SNAPSHOT_JSON_MAX (1u << 20)
#define SNAPSHOT_SCHEMA   1

/* What snapshot.json says. */
struct snapshot_text {
	char id[17]; /* 16 hex digits: no two are alike */
	char *name;  /* that it was made with */
	char *sandbox;
	char *image;                        /* reference, or path of a folder */
	char image_id[DIGEST_TEXT_LEN + 1]; /* "": a folder */
	char config[DIGEST_TEXT_LEN + 1];   /* the image's; "": a folder */
	char chain[DIGEST_TEXT_LEN + 1];
	struct strv diff_ids; /* "sha256:...", the image's layers */
	bool patched;         /* the last is not the image's: a patch */
	char parent[DIGEST_TEXT_LEN + 1];  /* or "" */
	char content[DIGEST_TEXT_LEN + 1]; /* disk_tree.h, or "" */
	struct strv labels;
	uint64_t bytes; /* of the disk */
	int64_t created_ms;
};

void snapshot_text_release(struct snapshot_text *t);
#define cleanup_snapshot_text cleanup(snapshot_text_release)

/* The canonical form, freed by the caller; NULL when out of memory. */
char *snapshot_text_write(const struct snapshot_text *t);
/* All of it is checked: -EUCLEAN. It must be in canonical form. */
int snapshot_text_read(const void *data, size_t len, struct snapshot_text *ret,
                       struct err *err);
void snapshot_text_digest(const char *text, char ret[DIGEST_TEXT_LEN + 1]);

struct snapshot {
	char name[MSB_NAME_MAX + 1]; /* of its folder */
	char digest[DIGEST_TEXT_LEN + 1];
	struct snapshot_text text;
	struct disk_chain chain;
};

void snapshot_release(struct snapshot *s);
#define cleanup_snapshot cleanup(snapshot_release)

/*
 * By name, or by (the beginning of) its digest. -ENOENT, -ENOTUNIQ. To use
 * what its chain names, hold the guard.
 */
int snapshot_find(struct store *s, const char *name, struct snapshot *ret,
                  struct err *err);
/* All that can be read, by name; free each and the array. */
int snapshot_read_all(struct store *s, struct snapshot **ret, size_t *ret_n,
                      struct err *err);
void snapshot_list_free(struct snapshot *list, size_t n);

bool snapshot_exists(struct store *s, const char *name);

/* A folder in the making; the guard is held from here to its name. */
struct snapshot_stage {
	char name[32]; /* "_" and 16 digits */
	int parent_fd, dir_fd;
	int files[3]; /* to be synced; closed ones: -1 */
	unsigned nfiles;
};
#define SNAPSHOT_STAGE_INIT                                                    \
	{                                                                      \
		.parent_fd = -1, .dir_fd = -1                                  \
	}
int snapshot_stage(struct store *s, const char *text,
                   struct snapshot_stage *ret, struct err *err);
/* One more file of it. */
int snapshot_stage_put(struct snapshot_stage *st, const char *name,
                       const char *text, struct err *err);
/* -EEXIST unless @replace. The stage is done with then. */
int snapshot_publish(struct snapshot_stage *st, const char *name, bool replace,
                     struct err *err);
/* What is left of it; NULL and a published one are fine. */
void snapshot_stage_release(struct snapshot_stage *st);
#define cleanup_stage cleanup(snapshot_stage_release)

/* Its name goes; disks_sweep() has the rest. */
int snapshot_unname(struct store *s, const char *name, struct err *err);

/* -EINVAL with words. */
int snapshot_check_name(const char *name, struct err *err);

#endif
