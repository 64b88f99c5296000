/*
 * etc.h - files below /etc that belong to the machine and not to its image:
 * hosts, hostname, resolv.conf, and the trust stores. They are bound over the
 * image's, see cover.h.
 */
#ifndef GUEST_ETC_H
#define GUEST_ETC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "proto/proto.h"

/* What the files say; @net is BOOT.net. */
int etc_hosts_text(struct buf *to, const char *hostname,
                   const struct proto_strs *net);
int etc_resolv_text(struct buf *to, const struct proto_strs *net);

/*
 * All of them, in the root @root_fd: the network's files when @net is not
 * empty, and what makes @pem (may be of no bytes) trusted, see trust.h.
 * @scratch is an empty folder of ours where a tmpfs is mounted meanwhile.
 * @init: PID 1 is the image's. *ret_dev: of the files. What fails is logged: a
 * machine without it is usable.
 */
void etc_provide(int root_fd, const char *scratch, const char *hostname,
                 const struct proto_strs *net, const struct proto_bytes *pem,
                 bool init, dev_t *ret_dev);

#endif
