/*
 * disks.h - what a writable disk is made of, and HOME/disks, where those files
 * of it are that nobody writes to any more.
 *
 * A disk is a chain: the upper, a file in its sandbox's folder, and below it
 * layers, files of HOME/disks (0444) called 32 hex digits and .raw or .qcow2.
 * Only the last may be raw. A file's form is what its name says, never what is
 * in it: a guest may write any header to a raw disk.
 *
 * Which files make up a chain is written in `disk.json`, in the folder of the
 * sandbox or of the snapshot, and nowhere else: that file is replaced as a
 * whole, so a kill at any moment leaves the old chain or the new one, and a
 * lost state.db costs nobody a disk. A sandbox without one has only its
 * upper.ext4.
 *
 * A layer stays for as long as any disk.json names it. Who looks a layer up
 * and is about to name it, or has made one that is not named yet, holds the
 * guard; disks_sweep() holds the same lock alone, and a disk.json that cannot
 * be read stops it, for that might name anything.
 */
#ifndef LIB_DISKS_H
#define LIB_DISKS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/strv.h"
#include "disk/disk.h"
#include "store/store.h"

#define DISKS_FILE     "disk.json"
#define DISKS_ID_LEN   32
#define DISKS_NAME_MAX (DISKS_ID_LEN + 6)
/* Layers below an upper; a deeper chain is copied into one (snapshot.h). */
#define DISKS_DEPTH_MAX 8

struct disk_chain {
	char file[32];      /* the upper in its folder; "" in a snapshot's */
	struct strv layers; /* names in HOME/disks, the top first */
	char parent[DIGEST_TEXT_LEN + 1]; /* snapshot it began as, or "" */
};

#define CHAIN_RAW "upper.ext4"
#define CHAIN_INIT                                                             \
	{                                                                      \
		.file = CHAIN_RAW                                              \
	}

void disk_chain_release(struct disk_chain *c);
#define cleanup_disk_chain cleanup(disk_chain_release)

/* -ENOENT when there is none; -EUCLEAN when it is damaged. */
int disk_chain_read(int dir_fd, struct disk_chain *ret, struct err *err);
/* As a whole, and on the disk on return. */
int disk_chain_write(int dir_fd, const struct disk_chain *c, struct err *err);
/* What it is written as; freed by the caller, NULL when out of memory. */
char *disk_chain_text(const struct disk_chain *c);
/*
 * As disk_chain_write(), when the upper that it names, @upper, was written
 * just before: both are on the disk before the name is.
 */
int disk_chain_switch(int dir_fd, const struct disk_chain *c, int upper,
                      struct err *err);
/*
 * A small file of which the caller has the descriptor, to fsync() it later.
 * Several that are written first and synced then cost the disk but once.
 */
int disks_put_file(int dir_fd, const char *name, const void *data, size_t len,
                   mode_t mode);
enum disk_format disk_chain_format(const struct disk_chain *c);
/* A new name for a qcow2 upper. */
int disk_chain_new_file(struct disk_chain *c, struct err *err);

/* The form that a layer's name says; false when it is no such name. */
bool disks_parse(const char *name, enum disk_format *ret_format);
int disks_new_name(enum disk_format format, char ret[DISKS_NAME_MAX + 1],
                   struct err *err);
/* 16 hex digits. */
int disks_random(char ret[17], struct err *err);

/* HOME/disks, made when missing: a descriptor to close. */
int disks_folder(const struct store *s, struct err *err);
/* The lock, shared: a descriptor to close. Only for moments. */
int disks_guard(struct store *s, struct err *err);

/*
 * Open @names for reading behind the *n of @to, which has room for
 * DISK_LAYERS_MAX. The caller closes them, also after a failure.
 */
int disks_open(const struct store *s, const struct strv *names,
               struct disk_layer *to, unsigned *n, struct err *err);

/* A new file without a name in HOME/disks or below it, and its name. */
int disks_new_file(int dir_fd, struct err *err);
int disks_name_file(int fd, int dir_fd, const char *name, struct err *err);

/* Drop what nobody names, and folders of snapshots half made. */
void disks_sweep(struct store *s);

/* All descriptors of @layers. */
void disks_close(struct disk_layer *layers, unsigned n);

#endif
