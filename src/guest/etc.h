/*
 * etc.h - files below /etc that belong to the machine and not to its image:
 * hosts, hostname, resolv.conf, and the trust stores with the host's
 * certificates.
 *
 * As docker has it they lie in a tmpfs and are bound over what the image has
 * there, so that nothing of them gets into the upper: not into a commit, not
 * into a snapshot. Where the image has nothing, an empty file is made to bind
 * to. The image is hostile: a symbolic link is followed within the root only,
 * never through /proc's magic ones, and what is no regular file stays.
 */
#ifndef GUEST_ETC_H
#define GUEST_ETC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "proto/proto.h"

#define ETC_STORE_MAX (2u << 20) /* bytes of one trust store */

/* What the files say; @net is BOOT.net. */
int etc_hosts_text(struct buf *to, const char *hostname,
                   const struct proto_strs *net);
int etc_resolv_text(struct buf *to, const struct proto_strs *net);

/*
 * A descriptor (O_PATH) of the regular file @path, an absolute path within the
 * root @root_fd. @make: an empty one is made where it, or what its link leads
 * to, is missing. -EINVAL: it is no regular file.
 */
int etc_open(int root_fd, const char *path, bool make);

/*
 * All of them, in the root @root_fd: the network's files when @net is not
 * empty, and @pem (may be of no bytes) behind the certificates of each trust
 * store that is there. @scratch is an empty folder of ours where a tmpfs is
 * mounted meanwhile. What fails is logged: a machine without it is usable.
 */
void etc_provide(int root_fd, const char *scratch, const char *hostname,
                 const struct proto_strs *net, const struct proto_bytes *pem);

#endif
