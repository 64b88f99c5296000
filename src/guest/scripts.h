/*
 * scripts.h - the sandbox's scripts: files in /.msb/scripts, first in PATH.
 *
 * They come from the host's record at every start, so they live in a tmpfs of
 * just their size over /.msb: nothing of them gets into the upper, and what
 * the image has at /.msb is out of sight. It is read-only when it is filled:
 * they are the record's, a change here would be lost at the next start.
 *
 * Login shells set a PATH of their own: for them a snippet that does nothing
 * without the folder goes to /etc/profile.d, where there is one.
 */
#ifndef GUEST_SCRIPTS_H
#define GUEST_SCRIPTS_H

#include "base/err.h"
#include "proto/proto.h"

#define SCRIPTS_COUNT_MAX 256
#define SCRIPTS_NAME_MAX  255
#define SCRIPTS_BYTES_MAX (512u << 10) /* all bodies */

/*
 * May these NAME, BODY pairs become files? Names are of letters, digits, '.',
 * '_' and '-', and do not begin with '.'.
 */
int scripts_check(const struct proto_strs *pairs, struct err *err);

/* One executable file a pair in @dir_fd; a name that is there is an error. */
int scripts_write(int dir_fd, const struct proto_strs *pairs, struct err *err);

/*
 * All of the above: check, mount, write, seal. @cas is in TRUST_MORE then, and
 * TRUST_BUNDLE is there, empty, for trust_provide(); of no bytes: no files.
 */
int scripts_provide(const struct proto_strs *pairs,
                    const struct proto_bytes *cas, struct err *err);

#endif
