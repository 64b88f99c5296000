/*
 * mounts_user.h - to whom files of the host's user belong in a guest: to the
 * user that its commands run as.
 */
#ifndef LIB_MOUNTS_USER_H
#define LIB_MOUNTS_USER_H

#include <stdint.h>

#include "base/err.h"
#include "image/image.h"
#include "store/store.h"

struct mounts_user {
	uint32_t uid, gid;
};

/*
 * @spec as --user has it: USER[:GROUP], names or numbers; NULL or "" is root.
 * Names are looked up in the image's /etc/passwd and /etc/group as its layers
 * have them, as is the group of a number. Who is not found there is root here:
 * a sandbox may add users of its own, and a command of one that is not there
 * fails by itself.
 */
void mounts_find_user(struct store *s, const struct image *image,
                      const char *spec, struct mounts_user *ret);

#endif
