/*
 * create_opts.h - the options that make a sandbox: one table for run, create
 * and install, from flags and files (--conf and its kin).
 *
 * A command's value struct begins with a struct create_values, and its option
 * table has CREATE_OPTS among its rows. Then:
 *
 *	create_plan_make()   files under flags, checked, as the library's opts
 *	create_plan_image()  pull the image, with progress
 *	msb_sandbox_create(home, &plan.opts, ...)
 *	create_plan_release()
 *
 * What neither says is left to the library, which asks the environment,
 * config.toml and config.json.
 */
#ifndef FORMS_CREATE_OPTS_H
#define FORMS_CREATE_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"
#include "forms/conf.h"
#include "forms/net_opts.h"
#include "forms/secret_opts.h"
#include "microsandbox.h"

struct create_values {
	struct strv conf; /* "OPTION:FILE", in the order given */
	struct strv env, labels, rlimits;
	struct strv scripts, scripts_raw, script_paths;
	struct strv init_args, init_env;
	struct strv mounts;  /* "OPTION:VALUE" */
	struct strv patches; /* "OPTION:VALUE", in the order given */
	const char *name, *hostname, *workdir, *user, *entrypoint, *shell,
		*init;
	const char *root_disk, *replace_timeout, *snapshot;
	uint64_t memory, max_duration_ms, idle_timeout_ms, boot_timeout_ms;
	uint32_t cpus;
	int32_t pull, engine, accel; /* 0: not given */
	bool replace, quiet, live_root;
	struct net_values net;
	struct secret_values secret;
};

extern const char *const create_pull_choices[];
extern const char *const create_engine_choices[];
extern const char *const create_accel_choices[];

#define CREATE_FIELD(f)  offsetof(struct create_values, f)
#define CREATE_NET(f)    CREATE_FIELD(net.f)
#define CREATE_SECRET(f) CREATE_FIELD(secret.f)

/* The rows; offsets are those of struct create_values. Ends with a comma. */
#define CREATE_OPTS                                                            \
	OPT_ROW(0, "conf", "PATH", OPT_NAMED, CREATE_FIELD(conf),              \
	        "A file that says all this, in YAML as above (repeatable)"),   \
		OPT_ROW(0, "resource-conf", "PATH", OPT_NAMED,                 \
	                CREATE_FIELD(conf),                                    \
	                "A file of cpus, memory, max_duration, idle_timeout "  \
	                "and rlimits (repeatable)"),                           \
		OPT_ROW(0, "runtime-conf", "PATH", OPT_NAMED,                  \
	                CREATE_FIELD(conf),                                    \
	                "A file of workdir, shell, user, hostname, "           \
	                "entrypoint, cmd, env, labels and init (repeatable)"), \
		OPT_ROW(0, "script-conf", "PATH", OPT_NAMED,                   \
	                CREATE_FIELD(conf),                                    \
	                "A file of scripts, NAME: BODY (repeatable)"),         \
		OPT_ROW(0, "net-conf", "PATH", OPT_NAMED, CREATE_FIELD(conf),  \
	                "A file of what network may have (repeatable)"),       \
		OPT_ROW(0, "fs-conf", "PATH", OPT_NAMED, CREATE_FIELD(conf),   \
	                "A file of mounts, patch_files and patches "           \
	                "(repeatable)"),                                       \
		OPT_ROW(0, "secret-conf", "PATH", OPT_NAMED,                   \
	                CREATE_FIELD(conf),                                    \
	                "A file of secrets, NAME: {allow: [HOST]} "            \
	                "(repeatable)"),                                       \
		OPT_ROW('n', "name", "NAME", OPT_STRING, CREATE_FIELD(name),   \
	                "Name of the sandbox, which makes it stay until it "   \
	                "is removed (msb- and 8 digits)"),                     \
		OPT_ROW('c', "cpus", "N", OPT_COUNT, CREATE_FIELD(cpus),       \
	                "Virtual CPUs (1)"),                                   \
		OPT_ROW('m', "memory", "SIZE", OPT_MEMORY,                     \
	                CREATE_FIELD(memory),                                  \
	                "Memory, as 512M or 2G; a bare number is MiB (512M)"), \
		OPT_ROW(0, "root-disk", "SIZE|tmpfs[:SIZE]", OPT_STRING,       \
	                CREATE_FIELD(root_disk),                               \
	                "Room for what is written in the sandbox, as 8G; "     \
	                "takes only what is used; tmpfs: in its memory, gone " \
	                "when it stops (8G)"),                                 \
		OPT_ROW(0, "from-snapshot", "NAME", OPT_STRING,                \
	                CREATE_FIELD(snapshot),                                \
	                "Begin with what a snapshot holds, and its image, "    \
	                "instead of IMAGE"),                                   \
		OPT_ROW(0, "from-snap", "NAME", OPT_STRING,                    \
	                CREATE_FIELD(snapshot), NULL),                         \
		OPT_ROW(0, "live-root", NULL, OPT_FLAG,                        \
	                CREATE_FIELD(live_root),                               \
	                "Of an IMAGE that is a folder: show it as it is, "     \
	                "below what is written, instead of a copy"),           \
		OPT_ROW('e', "env", "KEY[=VALUE]", OPT_ENV, CREATE_FIELD(env), \
	                "Set a variable; without VALUE copy it from here "     \
	                "(repeatable)"),                                       \
		OPT_ROW('w', "workdir", "DIR", OPT_STRING,                     \
	                CREATE_FIELD(workdir),                                 \
	                "Working folder, instead of the image's"),             \
		OPT_ROW('u', "user", "USER[:GROUP]", OPT_STRING,               \
	                CREATE_FIELD(user),                                    \
	                "User by name or number, instead of the image's"),     \
		OPT_ROW('H', "hostname", "NAME", OPT_STRING,                   \
	                CREATE_FIELD(hostname),                                \
	                "Host name inside (the sandbox's name)"),              \
		OPT_ROW(0, "entrypoint", "PROGRAM", OPT_STRING,                \
	                CREATE_FIELD(entrypoint),                              \
	                "Run PROGRAM instead of the image's ENTRYPOINT and "   \
	                "CMD"),                                                \
		OPT_ROW(0, "shell", "PROGRAM", OPT_STRING,                     \
	                CREATE_FIELD(shell),                                   \
	                "Shell of msb shell and of scripts (/bin/sh)"),        \
		OPT_ROW(0, "script", "NAME=BODY", OPT_LIST,                    \
	                CREATE_FIELD(scripts),                                 \
	                "A script NAME on the PATH inside: \\n, \\t, \\r, "    \
	                "\\\\, \\\" and \\' in BODY are decoded, and #!SHELL " \
	                "is put before it (repeatable)"),                      \
		OPT_ROW(0, "script-raw", "NAME=BODY", OPT_LIST,                \
	                CREATE_FIELD(scripts_raw),                             \
	                "The same with BODY as it is (repeatable)"),           \
		OPT_ROW(0, "script-path", "NAME:PATH", OPT_LIST,               \
	                CREATE_FIELD(script_paths),                            \
	                "The same with the content of a file here "            \
	                "(repeatable)"),                                       \
		OPT_ROW('v', "volume", "SOURCE:TARGET[:OPTIONS]", OPT_NAMED,   \
	                CREATE_FIELD(mounts),                                  \
	                "Show a folder or file of this host (/x, ./x), or a "  \
	                "volume by its name, at TARGET inside; see below for " \
	                "OPTIONS (repeatable)"),                               \
		OPT_ROW(0, "mount-dir", "SOURCE:TARGET[:OPTIONS]", OPT_NAMED,  \
	                CREATE_FIELD(mounts),                                  \
	                "The same of what must be a folder (repeatable)"),     \
		OPT_ROW(0, "mount-file", "SOURCE:TARGET[:OPTIONS]", OPT_NAMED, \
	                CREATE_FIELD(mounts),                                  \
	                "The same of what must be a file (repeatable)"),       \
		OPT_ROW(0, "mount-named", "NAME:TARGET[:OPTIONS]", OPT_NAMED,  \
	                CREATE_FIELD(mounts),                                  \
	                "The same of a volume, made if there is none; see "    \
	                "msb volume (repeatable)"),                            \
		OPT_ROW(0, "mount-disk", "SOURCE:TARGET[:OPTIONS]", OPT_NAMED, \
	                CREATE_FIELD(mounts),                                  \
	                "Mount the file system in a disk image (repeatable)"), \
		OPT_ROW(0, "tmpfs", "TARGET[:SIZE][:OPTIONS]", OPT_NAMED,      \
	                CREATE_FIELD(mounts),                                  \
	                "A folder in the machine's memory (repeatable)"),      \
		OPT_ROW(0, "copy", "SRC:DST", OPT_NAMED,                       \
	                CREATE_FIELD(patches),                                 \
	                "Put a file or folder of this host into the root "     \
	                "before the start; behind DST may stand :replace, "    \
	                "mode=0644, uid=N, gid=N, with commas between "        \
	                "(repeatable)"),                                       \
		OPT_ROW(0, "copy-file", "SRC:DST", OPT_NAMED,                  \
	                CREATE_FIELD(patches),                                 \
	                "The same of what must be a file (repeatable)"),       \
		OPT_ROW(0, "copy-dir", "SRC:DST", OPT_NAMED,                   \
	                CREATE_FIELD(patches),                                 \
	                "The same of what must be a folder (repeatable)"),     \
		OPT_ROW(0, "mkdir", "DIR", OPT_NAMED, CREATE_FIELD(patches),   \
	                "Make a folder in the root before the start "          \
	                "(repeatable)"),                                       \
		OPT_ROW(0, "rm", "FILE", OPT_NAMED, CREATE_FIELD(patches),     \
	                "Take a file or folder from the root before the "      \
	                "start (repeatable)"),                                 \
		NET_OPTS(CREATE_NET) SECRET_OPTS(CREATE_SECRET) OPT_ROW(       \
			0, "init", "PATH|auto", OPT_STRING,                    \
			CREATE_FIELD(init),                                    \
			"Hand process 1 to this program when the machine is "  \
			"set up; auto looks for the image's init, such as "    \
			"systemd"),                                            \
		OPT_ROW(0, "init-arg", "TEXT", OPT_LIST,                       \
	                CREATE_FIELD(init_args),                               \
	                "An argument of --init (repeatable)"),                 \
		OPT_ROW(0, "init-env", "KEY=VALUE", OPT_ENV,                   \
	                CREATE_FIELD(init_env),                                \
	                "A variable of --init (repeatable)"),                  \
		OPT_ROW(0, "label", "KEY[=VALUE]", OPT_LIST,                   \
	                CREATE_FIELD(labels),                                  \
	                "A label, to find the sandbox by (repeatable)"),       \
		OPT_ROW(0, "max-duration", "DURATION", OPT_DURATION,           \
	                CREATE_FIELD(max_duration_ms),                         \
	                "Stop the sandbox when it is so old, as 30s, 5m or "   \
	                "2h"),                                                 \
		OPT_ROW(0, "idle-timeout", "DURATION", OPT_DURATION,           \
	                CREATE_FIELD(idle_timeout_ms),                         \
	                "Stop it when it ran no command and was not touched "  \
	                "for so long"),                                        \
		OPT_ROW(0, "rlimit", "RESOURCE=SOFT[:HARD]", OPT_LIST,         \
	                CREATE_FIELD(rlimits),                                 \
	                "Limit a resource, as nofile=1024:4096 (repeatable)"), \
		OPT_ROW(0, "replace", NULL, OPT_FLAG, CREATE_FIELD(replace),   \
	                "Stop and remove a sandbox of the same name before"),  \
		OPT_ROW(0, "replace-with-timeout", "DURATION", OPT_STRING,     \
	                CREATE_FIELD(replace_timeout),                         \
	                "The same, killing it after this time; 0: at once "    \
	                "(10s)"),                                              \
		OPT_ROW_CHOICE(0, "pull", "WHEN", CREATE_FIELD(pull),          \
	                       "When to pull the image", create_pull_choices,  \
	                       NULL),                                          \
		OPT_ROW_CHOICE(0, "engine", "ENGINE", CREATE_FIELD(engine),    \
	                       "What runs the machine: auto takes kvm where "  \
	                       "hardware virtualization is real, else qemu",   \
	                       create_engine_choices, "MSB_ENGINE"),           \
		OPT_ROW_CHOICE(0, "accel", "KIND", CREATE_FIELD(accel),        \
	                       "How the qemu engine runs the processor: tcg "  \
	                       "is emulation, kvm uses /dev/kvm; either "      \
	                       "makes --engine auto mean qemu",                \
	                       create_accel_choices, "MSB_ACCEL"),             \
		OPT_ROW(0, "boot-timeout", "DURATION", OPT_DURATION,           \
	                CREATE_FIELD(boot_timeout_ms),                         \
	                "Give up when the machine is not ready by then "       \
	                "(60s)"),                                              \
		OPT_ROW('q', "quiet", NULL, OPT_FLAG, CREATE_FIELD(quiet),     \
	                "No progress, no notes"),

struct create_plan {
	/*
	 * All but image, log_fd and log_level. flags: KEEP with a name, and
	 * REPLACE; the command may add more. command: see create_plan_make().
	 */
	struct msb_sandbox_opts opts;
	const char *reference; /* of the image */
	int32_t pull;          /* enum msb_pull_policy */
	int32_t root;          /* enum msb_root */
	/* What opts points to. */
	struct conf conf;
	struct strv command;
	struct patch_list patches;
	const struct msb_patch **patch_pointers;
	struct net_made *net;
	struct secret_made *secret;
};

/*
 * @image: the word of the command line, NULL: the files must name one. @tail:
 * COMMAND of the command line or NULL, then the files' cmd; either goes to
 * opts.command, which stays NULL when neither says anything. Errors are usage
 * errors that name the option or FILE:LINE:COL.
 */
int create_plan_make(const struct create_values *v, const char *image,
                     char *const *tail, struct create_plan *ret,
                     struct err *err);
/*
 * The same of an object that a program sends, JSON or YAML with the keys of a
 * --conf file; @what names it in errors. Nothing of this host is looked at for
 * it: see conf.foreign. @v: what an object cannot say, as the name.
 */
int create_plan_parse(const struct create_values *v, const char *what,
                      const void *data, size_t len, struct create_plan *ret,
                      struct err *err);
void create_plan_release(struct create_plan *p);

/* What the user should know beforehand, a sentence each. */
void create_plan_notes(const struct create_plan *p, struct strv *ret);

#endif
