/*
 * conf.h - what a person says about a sandbox, from whichever source: sparse,
 * so that sources can be laid over each other.
 *
 * Files are YAML, see yaml_tree.h, and read strictly: a key that is not known,
 * or not yet of use, is an error at FILE:LINE:COL, since one that is silently
 * ignored may be one that somebody relies on. In every value ${NAME} stands
 * for a variable of the environment, which must be set; $${ is a plain ${.
 *
 * Laid over another, a value replaces it, a map (env, labels, scripts, init)
 * each of its keys, a list the whole list.
 */
#ifndef FORMS_CONF_H
#define FORMS_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"
#include "forms/mount_opts.h"
#include "forms/net_opts.h"
#include "forms/patch_opts.h"
#include "forms/secret_opts.h"

/* Zero and NULL: not said. */
struct conf {
	char *image, *root_fstype, *snapshot;
	char *workdir, *shell, *user, *hostname, *init;
	struct strv entrypoint, cmd;
	bool has_entrypoint, has_cmd; /* an empty list says something, too */
	struct strv env, labels;      /* KEY=VALUE */
	struct strv scripts;          /* NAME=BODY, yet without #! */
	struct strv rlimits;          /* RESOURCE=SOFT[:HARD] */
	struct strv init_args, init_env;
	uint64_t memory, upper, max_duration_ms, idle_timeout_ms;
	uint32_t cpus;
	int32_t pull; /* enum msb_pull_policy + 1 */
	struct mount_opts mounts;
	struct net_conf net;
	struct secret_conf secret;
	struct patch_list patch_files, patches; /* in this order */
	/*
	 * Set before it is read: said by a program that may not know what is
	 * on this host. ${NAME} is plain text, other files are not read.
	 */
	bool foreign;
};

void conf_release(struct conf *c);

/*
 * Lay a file over @c. @what is "OPTION:PATH", OPTION one of conf,
 * resource-conf, runtime-conf, script-conf, fs-conf, net-conf, secret-conf:
 * which keys it may have. On failure @c holds a part of it.
 */
int conf_read(struct conf *c, const char *what, struct err *err);

/* The same with the text of a file; @path is for errors and its folder. */
int conf_parse(struct conf *c, const char *option, const char *path,
               const void *data, size_t len, struct err *err);

#endif
