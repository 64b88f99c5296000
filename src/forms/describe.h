/* describe.h - what is on record about a sandbox, as words and as JSON. */
#ifndef FORMS_DESCRIBE_H
#define FORMS_DESCRIBE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "microsandbox.h"

/* "Created", "Starting", "Running", "Stopped", "Crashed". */
const char *describe_state(const struct msb_sandbox_info *i);

bool describe_is_running(const struct msb_sandbox_info *i); /* or starting */

/* "Running 5 minutes", "Stopped (exited 3) 2 hours ago". */
void describe_status(const struct msb_sandbox_info *i, struct buf *ret);

/* How it ended without the time: "exited 3", "idle timeout"; "". */
void describe_end(const struct msb_sandbox_info *i, struct buf *ret);

/*
 * A command line as a shell would read it, cut with "..." to @max columns
 * (0: all).
 */
void describe_argv(const char *const *argv, size_t max, struct buf *ret);

/* "dir /src at /data (ro, cache=none)". */
void describe_mount(const struct msb_mount *m, struct buf *ret);
json_t *describe_mounts(const struct msb_mount *const *list);

/* "1 day", "59 seconds". */
void describe_seconds(int64_t seconds, struct buf *ret);

json_t *describe_string(const char *s);      /* null for "" */
json_t *describe_time(int64_t unix_s);       /* RFC 3339; null for 0 */
json_t *describe_list(const char *const *);  /* of strings */
json_t *describe_pairs(const char *const *); /* KEY=VALUE as an object */

#endif
