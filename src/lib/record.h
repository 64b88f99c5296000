/*
 * record.h - all that a start of a sandbox needs but its image, as JSON in its
 * row of state.db. One table says which members there are, for both ways.
 *
 * Texts may hold any bytes but NUL; those that are not UTF-8 are stored as
 * {"hex": "6162ff"}. Unknown keys are left out when read: a newer msb of the
 * same schema may have written them.
 */
#ifndef LIB_RECORD_H
#define LIB_RECORD_H

#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/strv.h"
#include "image/image.h"
#include "lib/mounts.h"
#include "lib/net.h"
#include "lib/root_source.h"
#include "lib/secret.h"
#include "microsandbox.h"

struct sandbox_config {
	uint64_t memory_bytes, upper_bytes;
	uint32_t cpus, boot_timeout_ms, max_duration_s, idle_timeout_s;
	uint32_t engine, accel; /* enum msb_engine, msb_accel */
	/* NULL: not set. */
	char *hostname, *workdir, *user, *entrypoint, *shell, *init;
	struct strv env, rlimits, init_args, init_env;
	struct strv scripts; /* NAME=BODY */
	struct strv command;
	struct mounts mounts;
	struct root_source root;
	uint32_t upper;      /* enum msb_upper */
	struct strv patches; /* KIND PATH, for people: the pin has them */
	struct msb_network network; /* owns what it points to */
	struct secret_list secrets; /* without their values */
	struct msb_tls tls;         /* owns what it points to */
	uint32_t has_main; /* there is a main command; `command` may be empty */
	/* The image's: so that a command needs no look into the store. */
	struct image_config image;
};

/* Copy what a caller gave; defaults are filled in already, all is checked. */
int sandbox_config_take(struct sandbox_config *ret,
                        const struct msb_sandbox_opts *o,
                        const struct image_config *image);
void sandbox_config_release(struct sandbox_config *c);

/* NULL when out of memory. Free it. */
char *sandbox_config_write(const struct sandbox_config *c);
int sandbox_config_read(const char *text, struct sandbox_config *ret,
                        struct err *err);

/* A text that may not be UTF-8, as above. NULL when out of memory. */
json_t *record_text(const char *s);
/* The other way, a copy; NULL also when it is no text. */
char *record_read_text(const json_t *j);
json_t *record_list(const struct strv *s);
/* The other way: a list that ends with NULL, or NULL for an empty one; also on
   failure the caller's to free. -EINVAL, -ENOMEM. */
int record_read_list(const json_t *j, char ***ret);

#define cleanup_sandbox_config cleanup(sandbox_config_release)

#endif
