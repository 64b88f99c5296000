/*
 * mounts.h - what a sandbox gets of its host: checked when it is made, kept in
 * its record, opened at each start.
 */
#ifndef LIB_MOUNTS_H
#define LIB_MOUNTS_H

#include <stddef.h>

#include "base/err.h"
#include "base/json.h"
#include "base/strv.h"
#include "microsandbox.h"

struct image;
struct launch;
struct msb_home;
struct msb_sandbox;

/* NULL-terminated when not empty; structs and their strings are owned. */
struct mounts {
	struct msb_mount **v;
	size_t n;
};

void mounts_release(struct mounts *m); /* NULL is fine */

/* A list (NULL: empty) as a caller gave it: -EINVAL says what cannot be. */
int mounts_check(const struct msb_mount *const *list, struct err *err);

/*
 * Copy a list that was checked. Targets lose what means nothing ("//", "/./",
 * a slash at the end), sources on the host become absolute, what has a default
 * gets it. On failure @ret is to be released all the same.
 */
int mounts_take(struct mounts *ret, const struct msb_mount *const *list);

/* For the record. NULL when out of memory. */
json_t *mounts_json(const struct mounts *m);
/* -EINVAL: not what mounts_json() writes. Nothing of it is believed. */
int mounts_read(const json_t *j, struct mounts *ret);

/* The name of a kind, "dir"; NULL: there is no such kind. */
const char *mounts_kind_name(int32_t kind);

/*
 * Whether the sources are there and what they must be, before a sandbox is
 * made that is not started yet. A volume that would be created is fine.
 */
int mounts_look(struct msb_home *home, const struct mounts *m, struct err *err);

/*
 * Open all sources and add them to @l: shares, disks, locks, and what the
 * agent is to mount, parents before what is mounted below them. Volumes that
 * are to be created are, when all other sources were found. MSB_ERR_BUSY, by
 * name, when another machine has a disk.
 */
int mounts_open(struct msb_sandbox *sb, const struct image *image,
                struct launch *l, struct err *err);

/* No volume is to be created any more: -ENOENT for one that is missing. */
void mounts_must_exist(struct mounts *list);

/* MSB_MOUNT_NO_LINKS for all that it is for. */
void mounts_refuse_links(struct mounts *list);

/* Each pair of a volume's name and a sandbox on record that mounts it. */
int mounts_each_volume(struct msb_home *home,
                       void (*fn)(void *arg, const char *volume,
                                  const char *sandbox),
                       void *arg, struct err *err);

/*
 * The names of sandboxes on record that mount the volume @name; with
 * @running, only of those whose machine runs.
 */
int mounts_volume_users(struct msb_home *home, const char *name, bool running,
                        struct strv *ret, struct err *err);

#define cleanup_mounts cleanup(mounts_release)

#endif
