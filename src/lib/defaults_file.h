/*
 * defaults_file.h - the files in which a user sets defaults: config.json in
 * the home folder (or what MSB_CONFIG_PATH names) and config.toml in
 * $XDG_CONFIG_HOME/microsandbox (~/.config/microsandbox).
 *
 * Both are read strictly, since a key that is silently ignored may be one that
 * somebody relies on: errors name the file, its line (TOML) and the key.
 */
#ifndef LIB_DEFAULTS_FILE_H
#define LIB_DEFAULTS_FILE_H

#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"

enum default_key {
	DEFAULT_CPUS,
	DEFAULT_MEMORY, /* bytes */
	DEFAULT_ENGINE,
	DEFAULT_ACCEL,
	DEFAULT_MAX_DURATION, /* ms */
	DEFAULT_IDLE_TIMEOUT, /* ms */
	DEFAULT_SHELL,
	DEFAULT_WORKDIR,
	DEFAULT_USER,
	DEFAULT_KEYS
};

struct default_value {
	const char *from; /* one of sources; NULL: nobody has set it */
	uint64_t number;
	char *text;
};

struct defaults_file {
	struct default_value values[DEFAULT_KEYS];
	struct strv env;     /* KEY=VALUE */
	struct strv sources; /* a place that set something, for messages */
	char *json_path, *toml_path; /* NULL: there is no such folder */
	int has_json, has_toml;
};

void defaults_file_release(struct defaults_file *f);
#define cleanup_defaults_file cleanup(defaults_file_release)

/*
 * Read both, config.toml over config.json, and in it the section [sandbox.NAME]
 * over [sandbox_defaults]; @name may be NULL. The paths are set in any case.
 * -EINVAL with a message and a hint when one is wrong.
 */
int defaults_file_read(struct defaults_file *f, const char *home,
                       const char *name, struct err *err);

/* Words by enum msb_engine and enum msb_accel, for one value of a list. */
struct default_names {
	const char *name;
	const char *const *names; /* names[0] is NULL */
	int32_t n;
};
extern const struct default_names default_engines, default_accels;

/* The index of @text, or -1; all of them as "a, b, c". */
int default_find(const struct default_names *k, const char *text);
void default_list(const struct default_names *k, char *out, size_t len);

#endif
