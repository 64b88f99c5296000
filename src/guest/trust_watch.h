/*
 * trust_watch.h - when the machine's own programs write its bundles anew.
 *
 * update-ca-certificates and its like write a file beside the bundle and
 * rename it over that. On a file that another is bound over this fails (EBUSY),
 * and with it the installation of a package. So our files go away as soon as
 * something is made in their folder, and come back, behind what is there then,
 * when it has been quiet for a moment and nobody writes such a file. What an
 * image without certificates gets later is in TRUST_BUNDLE by that, too.
 */
#ifndef GUEST_TRUST_WATCH_H
#define GUEST_TRUST_WATCH_H

#include "base/loop.h"
#include "guest/trust.h"

struct trust_watch {
	struct loop *loop;
	struct loop_fd src;
	struct loop_timer timer;
	int fd; /* inotify */
	int root_fd;
	const char *scratch; /* as of struct cover */
	struct buf cas;      /* a copy of BOOT's */
	dev_t dev;           /* of what covers now */
};

/*
 * For as long as the process lives; @dev is that of the first cover. What fails
 * is logged.
 */
void trust_watch_start(struct trust_watch *w, struct loop *loop, int root_fd,
                       const char *scratch, const struct proto_bytes *cas,
                       dev_t dev);

#endif
