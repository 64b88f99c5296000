/*
 * microsandbox.h - run commands in their own small virtual machines.
 *
 * This header is the specification of libmicrosandbox.
 *
 *	struct msb_home *home;        where images and sandboxes are kept
 *	struct msb_image *image;      what to run
 *	struct msb_sandbox *sandbox;  a machine that runs
 *	struct msb_exec *exec;        a command in it
 *
 *	msb_home_open() -> msb_image_pull() -> msb_sandbox_create() ->
 *	msb_exec_start() -> { poll msb_exec_fd(), msb_exec_next() } ->
 *	msb_exec_free(), msb_sandbox_free(), ...
 *
 *	msb_home_open() -> msb_sandbox_open(name) -> msb_exec_run() -> ...
 *
 * Results. A function that can fail returns 0 or a count on success, else a
 * negative `enum msb_code`, and fills its last parameter, a struct msb_error
 * of the caller's, which may be NULL. Out-parameters (ret_x) are written on
 * success only.
 *
 * Ownership. A handle belongs to who got it and is given back by its _free()
 * function; NULL is fine. Handles may be freed in any order: a child keeps
 * what it needs of its parent. Arguments are only read during the call. What
 * a function returns by pointer belongs to its handle and lives as long, if
 * nothing else is said.
 *
 * Options. An options struct starts with its size, set by its _INIT macro:
 *
 *	struct msb_sandbox_opts opts = MSB_SANDBOX_OPTS_INIT;
 *
 * so that a program built with an older header runs with a newer library. All
 * other members may be left zero, which means the default. Structs that the
 * library fills grow at their end only.
 *
 * Threads. A home and a sandbox may be used by many threads at once, also while
 * calls on them wait. Any other handle may be used by one thread at a time;
 * different handles, also several commands of one sandbox, are independent.
 * Nobody may be in a call on a handle that is freed, nor use it afterwards.
 * There is no global state, but for which msb_cancel a thread uses.
 *
 * The library never prints, exits, aborts, or changes a signal handler, the
 * working folder or the environment of its process. It starts child processes
 * (msb-vmm, and while images are pulled mke2fs) and waits for exactly these.
 * When the process that started a machine dies, also by SIGKILL, the kernel
 * closes its sockets and the machine dies with it, unless it was detached by
 * msb_sandbox_detach(). A home and its children must not be used, nor freed,
 * behind a fork().
 *
 * All strings are UTF-8. Strings that come from images, registries and guests
 * are passed on as they are: escape them before a terminal sees them.
 */
#ifndef MICROSANDBOX_H
#define MICROSANDBOX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MSB_API __attribute__((visibility("default")))

/* ---- errors ------------------------------------------------------------ */

/* New codes go to the end; numbers are never reused. */
enum msb_code {
	MSB_OK = 0,
	MSB_ERR_INTERNAL = 1,  /* a fault of ours */
	MSB_ERR_INVALID = 2,   /* an argument is wrong */
	MSB_ERR_NOT_FOUND = 3, /* image, file, sandbox */
	MSB_ERR_EXISTS = 4,
	MSB_ERR_BUSY = 5,         /* in use, or still running */
	MSB_ERR_NO_MEMORY = 6,    /* on the host */
	MSB_ERR_NO_SPACE = 7,     /* disk or quota */
	MSB_ERR_IO = 8,           /* the host's files and sockets */
	MSB_ERR_PERMISSION = 9,   /* the host said no */
	MSB_ERR_UNSUPPORTED = 10, /* not on this host, or not yet */
	MSB_ERR_TIMEOUT = 11,
	MSB_ERR_CANCELLED = 12, /* by an event function, or msb_cancel_fire() */
	MSB_ERR_AUTH = 13,      /* a registry wants other credentials */
	MSB_ERR_NETWORK = 14,   /* a registry cannot be reached */
	MSB_ERR_DIGEST = 15,    /* content is not what it claims to be */
	MSB_ERR_INSTALL = 16,   /* msb-vmm, kernel or QEMU is missing */
	MSB_ERR_BOOT = 17,      /* the machine did not get ready */
	MSB_ERR_GONE = 18,      /* the machine has ended */
	MSB_ERR_PROTOCOL = 19,  /* the other side broke the protocol */
	MSB_ERR_EXEC = 20,      /* the command never ran */
};

#define MSB_ERROR_MESSAGE_MAX 1024
#define MSB_ERROR_HINT_MAX    512

/* A value: no allocation, nothing to free. Its layout is final. */
struct msb_error {
	int32_t code;                        /* enum msb_code, positive */
	int32_t sys_errno;                   /* positive errno, or 0 */
	char message[MSB_ERROR_MESSAGE_MAX]; /* names the thing that failed */
	char hint[MSB_ERROR_HINT_MAX];       /* the next step, or "" */
};

/* "not_found" and so on; "unknown" for other numbers. Never NULL. */
MSB_API const char *msb_code_name(int32_t code);

/* "0.1.0" */
MSB_API const char *msb_version(void);

/* ---- cancellation ------------------------------------------------------ */

/*
 * Ends calls that wait, from another thread: of a program's event loop, of its
 * signal handler, of the garbage collector of its language.
 *
 *	msb_cancel_use(c);
 *	r = msb_image_pull(...);      any calls that wait
 *	msb_cancel_use(NULL);
 *
 * Once msb_cancel_fire() was called, the call that waits, and each that would
 * wait later in a thread that uses @c, ends with MSB_ERR_CANCELLED within 200
 * ms. What a cancelled call leaves: msb_exec_run() kills its command; a pull,
 * a load, a copy, a file's write and a snapshot leave nothing half done under
 * its name; a sandbox that was asked to stop goes on with that; a handle can
 * be used on. msb_..._free() is not cancelled.
 */
struct msb_cancel;

MSB_API int msb_cancel_new(struct msb_cancel **ret_cancel,
                           struct msb_error *error);
/* From now on the calls of this thread; NULL: not any more. Costs nothing. */
MSB_API void msb_cancel_use(struct msb_cancel *cancel);
/* From any thread, also from a signal handler. Stays fired until reset. */
MSB_API void msb_cancel_fire(struct msb_cancel *cancel);
MSB_API void msb_cancel_reset(struct msb_cancel *cancel);
/* When no thread uses it any more. NULL is fine. */
MSB_API void msb_cancel_free(struct msb_cancel *cancel);

/* ---- home -------------------------------------------------------------- */

struct msb_home;

/*
 * Open the folder where images are kept and create what is missing in it.
 * @path NULL: MSB_HOME, else ~/.microsandbox. Several processes may use one
 * home. MSB_ERR_PERMISSION when it belongs to another user.
 */
MSB_API int msb_home_open(const char *path, struct msb_home **ret_home,
                          struct msb_error *error);
MSB_API void msb_home_free(struct msb_home *home);

/* Its absolute path. */
MSB_API const char *msb_home_path(const struct msb_home *home);

/* ---- images ------------------------------------------------------------ */

struct msb_image;

enum msb_pull_policy {
	MSB_PULL_MISSING = 0, /* only what is not there */
	MSB_PULL_ALWAYS = 1,  /* ask the registry whether the tag moved */
	MSB_PULL_NEVER = 2,
};

enum msb_pull_event_kind {
	MSB_PULL_RESOLVING = 0,  /* asking the registry, reading the archive */
	MSB_PULL_RESOLVED = 1,   /* layer_count and total are known */
	MSB_PULL_LAYER = 2,      /* done of total bytes of one layer */
	MSB_PULL_LAYER_DONE = 3, /* cached: it was here already */
	MSB_PULL_MERGING = 4,
	MSB_PULL_DONE = 5,
};

struct msb_pull_event {
	int32_t kind;          /* enum msb_pull_event_kind */
	const char *reference; /* normalised */
	const char *digest;    /* of the layer, or NULL */
	uint32_t layer, layer_count;
	uint64_t done, total; /* compressed bytes; total 0: unknown */
	int32_t cached;
};

/*
 * Called from the library's threads, one call at a time, at most every 50 ms
 * for a layer. Must not call the library. Not 0 cancels: MSB_ERR_CANCELLED.
 */
typedef int (*msb_pull_event_fn)(void *arg, const struct msb_pull_event *event);

/* How a folder becomes a root file system. */
enum msb_root {
	MSB_ROOT_PACKED = 0, /* a copy of it as it is now */
	MSB_ROOT_LIVE = 1,   /* itself, read-only below the upper */
};

enum msb_pull_flags {
	/*
	 * Of a path: no part of it may be a symbolic link, neither now nor,
	 * where it is opened again, when a sandbox of it starts.
	 */
	MSB_PULL_NO_LINKS = 1,
};

struct msb_pull_opts {
	size_t size;
	int32_t policy;       /* enum msb_pull_policy */
	int32_t force;        /* fetch and convert again */
	int32_t insecure;     /* plain HTTP, or TLS without verification */
	uint32_t downloads;   /* at once; 0: 4 */
	const char *ca_certs; /* a PEM file besides the system's */
	const char *platform; /* "linux/amd64"; NULL: this machine's */
	msb_pull_event_fn event;
	void *event_arg;
	int32_t root; /* enum msb_root: of a folder */
	uint32_t flags;
};
#define MSB_PULL_OPTS_INIT                                                     \
	{                                                                      \
		.size = sizeof(struct msb_pull_opts)                           \
	}

/* What an image is and says about its command. Lists end with NULL. */
struct msb_image_info {
	const char *reference; /* docker.io/library/x:latest, or a path */
	const char *id;       /* manifest digest "sha256:..."; "" for folders */
	const char *platform; /* "linux/amd64" */
	uint64_t size_bytes;
	int64_t created_unix, pulled_unix; /* 0: unknown */
	uint32_t layer_count;
	const char *const *layers; /* digests of the uncompressed layers */
	const char *const *entrypoint, *const *cmd, *const *env;
	const char *workdir, *user, *stop_signal; /* "" when absent */
	const char *config_json;   /* as received; "" for folders */
	const char *config_digest; /* its "sha256:..."; "" for folders */
};

/*
 * Make @reference usable and open it. It is an image reference with docker's
 * defaults ("alpine", "localhost:5000/a/b:tag", "x@sha256:..."), or a path
 * (begins with "." or "/"): a docker-archive, an oci-archive, an OCI layout
 * folder, a folder with a root file system, or a disk image with one: a name
 * that ends in .qcow2, .raw or .img, or PATH:format=FORMAT[,fstype=TYPE]. Of a
 * disk image and of a folder that is used live (opts.root) nothing is copied:
 * it is the read-only lower layer of each sandbox, and must stay as it is while
 * they are there. @opts may be NULL.
 */
MSB_API int msb_image_pull(struct msb_home *home, const char *reference,
                           const struct msb_pull_opts *opts,
                           struct msb_image **ret_image,
                           struct msb_error *error);

/*
 * Read all images of an archive (@path "-": standard input) or an OCI layout
 * folder. @tag, when given, names the only image. *ret_references is a
 * NULL-terminated list, to be freed by msb_strings_free().
 */
MSB_API int msb_image_load(struct msb_home *home, const char *path,
                           const char *tag, const struct msb_pull_opts *opts,
                           char ***ret_references, struct msb_error *error);
MSB_API void msb_strings_free(char **list);

/* A reference or a unique prefix of an id (12 digits at least). */
MSB_API int msb_image_open(struct msb_home *home, const char *reference,
                           struct msb_image **ret_image,
                           struct msb_error *error);

/* All, sorted by reference: an array of handles. */
MSB_API int msb_image_list(struct msb_home *home, struct msb_image ***ret_list,
                           size_t *ret_count, struct msb_error *error);
MSB_API void msb_image_list_free(struct msb_image **list, size_t count);

MSB_API void msb_image_free(struct msb_image *image);
MSB_API const struct msb_image_info *
msb_image_info(const struct msb_image *image);

/* Drop the name. Content that no other image needs goes with a prune. */
MSB_API int msb_image_remove(struct msb_home *home, const char *reference,
                             struct msb_error *error);

/*
 * The names of sandboxes made of this image, NULL-terminated, to be freed by
 * msb_strings_free(). They keep its content whatever happens to its name.
 */
MSB_API int msb_image_users(struct msb_home *home, const char *reference,
                            char ***ret_names, struct msb_error *error);

/* Drop all content that no name reaches; with @all every name before. */
MSB_API int msb_image_prune(struct msb_home *home, int all,
                            uint64_t *ret_freed_bytes,
                            uint32_t *ret_removed_references,
                            struct msb_error *error);

/* ---- sandboxes --------------------------------------------------------- */

struct msb_sandbox;

/* What runs a machine's processors and memory. */
enum msb_engine {
	MSB_ENGINE_DEFAULT = 0, /* MSB_ENGINE, else config.json, else auto */
	MSB_ENGINE_AUTO = 1,    /* kvm where it is real, else qemu */
	MSB_ENGINE_KVM = 2,     /* our own machine monitor on /dev/kvm */
	MSB_ENGINE_QEMU = 3,
};

/*
 * How the qemu engine runs guest code. Naming tcg or kvm here makes engine
 * auto mean qemu; the kvm engine with tcg is MSB_ERR_INVALID.
 */
enum msb_accel {
	MSB_ACCEL_DEFAULT = 0, /* MSB_ACCEL, else config.json, else auto */
	MSB_ACCEL_TCG = 1,     /* emulation in software */
	MSB_ACCEL_KVM = 2,
	MSB_ACCEL_AUTO = 3, /* kvm where it is real, else tcg */
};

enum msb_state {
	MSB_STATE_STARTING = 0,
	MSB_STATE_READY = 1,
	MSB_STATE_FAILED = 2, /* it never got ready */
	MSB_STATE_STOPPED = 3,
	MSB_STATE_CREATED = 4, /* on record, never started */
	MSB_STATE_CRASHED = 5, /* it ended, and not because it was asked to */
};

/* "starting", "ready" (shown as running), ...; never NULL. */
MSB_API const char *msb_state_name(int32_t state);

enum msb_sandbox_flags {
	/*
	 * It stays on record with what was written in it, and can be started
	 * again, until msb_sandbox_remove(). Without this flag nothing of it
	 * is left when it has ended.
	 */
	MSB_SANDBOX_KEEP = 1,
	/* One of the same name is stopped and removed before. */
	MSB_SANDBOX_REPLACE = 2,
	/*
	 * Only put it on record (needs KEEP); *ret_sandbox becomes NULL and
	 * msb_sandbox_start() starts it.
	 */
	MSB_SANDBOX_NO_START = 4,
	/* Only in msb_sandbox_info: it was detached by msb_sandbox_detach(). */
	MSB_SANDBOX_DETACHED = 8,
};

#define MSB_NAME_MAX        128
#define MSB_CPUS_MAX        64
#define MSB_MEMORY_MIN      (64ull << 20)
#define MSB_MEMORY_DEFAULT  (512ull << 20)
#define MSB_MEMORY_MAX      (1ull << 40)
#define MSB_UPPER_DEFAULT   (8ull << 30)
#define MSB_BOOT_TIMEOUT_MS 60000u

/* Where that goes which is written in a sandbox. */
enum msb_upper {
	MSB_UPPER_DISK = 0,  /* a sparse file of upper_bytes */
	MSB_UPPER_TMPFS = 1, /* the guest's memory, upper_bytes at most (0: half
	                        of it); gone when it stops */
};

struct msb_mount;
struct msb_patch;
struct msb_secret;
struct msb_tls;

struct msb_sandbox_opts {
	size_t size;
	const struct msb_image *image; /* required, or snapshot */
	const char *name;              /* NULL: msb-<8 hex digits> */
	const char *hostname;          /* NULL: the name */
	uint32_t cpus;                 /* 0: config.json's, else 1 */
	int32_t accel;                 /* enum msb_accel */
	uint64_t memory_bytes; /* 0: config.json's, else MSB_MEMORY_DEFAULT */
	uint64_t upper_bytes;  /* sparse; 0: MSB_UPPER_DEFAULT */
	uint32_t boot_timeout_ms; /* 0: MSB_BOOT_TIMEOUT_MS */
	int32_t log_fd;           /* where msb-vmm logs; 0: nowhere */
	const char *log_level; /* error, warn, info, debug, trace; NULL: warn */
	int32_t engine;        /* enum msb_engine */
	uint32_t flags;        /* enum msb_sandbox_flags */
	/* Lists end with NULL and may be NULL. */
	const char *const *labels; /* KEY=VALUE */
	uint32_t max_duration_s;   /* since it is ready; 0: no limit */
	uint32_t idle_timeout_s;   /* without command and touch; 0: no limit */
	uint32_t replace_timeout_ms; /* grace of REPLACE; 0: 10 s */
	/* What its commands get, over the image's; see msb_exec_opts. */
	const char *const *env; /* KEY=VALUE; MSB_ is reserved */
	const char *const *rlimits;
	const char *workdir, *user, *entrypoint; /* NULL: the image's */
	const char *shell; /* for MSB_EXEC_SHELL; NULL: /bin/sh */
	/*
	 * Files NAME=BODY in /.msb/scripts, which PATH has first: executable,
	 * BODY as it is (it should begin with #!). At most MSB_SCRIPTS_MAX
	 * bytes in sum.
	 */
	const char *const *scripts;
	/*
	 * Another process 1: a path in the guest, or "auto" for the first of
	 * /sbin/init, /lib/systemd/systemd, /usr/lib/systemd/systemd. It takes
	 * over when the machine is set up, the agent goes on beside it.
	 */
	const char *init;
	const char *const *init_args, *const *init_env;
	/*
	 * The main command, by the rules of MSB_EXEC_IMAGE_COMMAND; NULL: none.
	 * msb_sandbox_start() runs it in the background, and the machine ends
	 * with it. Only kept for that: msb_sandbox_create() does not run it.
	 */
	const char *const *command;
	/* See microsandbox/files.h. Lists end with NULL. */
	const struct msb_mount *const *mounts;
	const struct msb_patch *const *patches;
	/*
	 * Start from what was written in another sandbox: a snapshot's name or
	 * digest. @image is then NULL, the snapshot knows it.
	 */
	const char *snapshot;
	int32_t upper; /* enum msb_upper */
	const struct msb_network
		*network; /* microsandbox/net.h; NULL: public */
	/* microsandbox/secrets.h; a list that ends with NULL; or NULL. */
	const struct msb_secret *const *secrets;
	const struct msb_tls *tls; /* NULL: what secrets need */
};
#define MSB_SCRIPTS_MAX (512u << 10)
#define MSB_SANDBOX_OPTS_INIT                                                  \
	{                                                                      \
		.size = sizeof(struct msb_sandbox_opts)                        \
	}

/*
 * Defaults that a user sets for all programs are in the file MSB_CONFIG_PATH,
 * else config.json in the home folder:
 *
 *	{"sandbox_defaults": {"cpus": 2, "memory_mib": 1024,
 *	                      "engine": "auto", "accel": "auto"}}
 *
 * Options go before variables, variables before the file. A wrong file is
 * MSB_ERR_INVALID with a message that names file and key.
 */

/*
 * Put a sandbox on record and start its machine. Returns as soon as its
 * process runs, before it has booted; msb_exec_start() may follow at once. The
 * machine is attached to this process, see msb_sandbox_detach().
 * MSB_ERR_INSTALL when a part of the installation is missing, MSB_ERR_EXISTS
 * when the name is taken.
 */
MSB_API int msb_sandbox_create(struct msb_home *home,
                               const struct msb_sandbox_opts *opts,
                               struct msb_sandbox **ret_sandbox,
                               struct msb_error *error);

enum msb_start_flags {
	/*
	 * No part of a path of the host that it mounts, or that its root is,
	 * may be a symbolic link, whatever its record says.
	 */
	MSB_START_NO_LINKS = 1,
};

/* Where msb-vmm logs, as in msb_sandbox_opts. */
struct msb_start_opts {
	size_t size;
	int32_t log_fd;
	uint32_t flags;
	const char *log_level;
	/*
	 * Values of secrets on record, by env: only env and value are looked
	 * at. Those that are not here come from this process's environment.
	 */
	const struct msb_secret *const *secrets;
};
#define MSB_START_OPTS_INIT                                                    \
	{                                                                      \
		.size = sizeof(struct msb_start_opts)                          \
	}

/*
 * Start the machine of a sandbox that is on record, by name or id, attached to
 * this process. @opts may be NULL. MSB_ERR_NOT_FOUND, MSB_ERR_BUSY when it
 * runs. Its main command, if it has one, is started once the machine is ready,
 * by msb_sandbox_run_main().
 */
MSB_API int msb_sandbox_start(struct msb_home *home, const char *name,
                              const struct msb_start_opts *opts,
                              struct msb_sandbox **ret_sandbox,
                              struct msb_error *error);

/*
 * Run the main command of the sandbox's record (see msb_sandbox_opts) in the
 * background: waits until the machine is ready and the command was started,
 * then msb-vmm owns it, its output goes to the logs, and the machine ends with
 * it. 0 also when the record has none. MSB_ERR_EXEC when it never ran.
 */
MSB_API int msb_sandbox_run_main(struct msb_sandbox *sandbox,
                                 struct msb_error *error);

/*
 * A handle of one that runs, by name or id, whoever started it. MSB_ERR_GONE
 * when it does not run. When the handle goes, the machine stays.
 */
MSB_API int msb_sandbox_open(struct msb_home *home, const char *name,
                             struct msb_sandbox **ret_sandbox,
                             struct msb_error *error);

/*
 * Stop the sandbox, as msb_sandbox_stop() with @timeout_ms, if it runs, and
 * start it again, as msb_sandbox_start(). Only of what is kept:
 * MSB_ERR_NOT_FOUND when an ephemeral one is gone with its end.
 */
MSB_API int msb_sandbox_restart(struct msb_home *home, const char *name,
                                uint32_t timeout_ms,
                                const struct msb_start_opts *opts,
                                struct msb_sandbox **ret_sandbox,
                                struct msb_error *error);

/*
 * From now on the machine outlives this process and this handle; others reach
 * it by msb_sandbox_open(). Waits until msb-vmm knows. Fine when it is so
 * already. MSB_ERR_GONE.
 */
MSB_API int msb_sandbox_detach(struct msb_sandbox *sandbox,
                               struct msb_error *error);

/*
 * If the machine is attached to this handle: kills it and waits for its
 * process, quickly. One that is detached, or was opened, lives on.
 */
MSB_API void msb_sandbox_free(struct msb_sandbox *sandbox);

MSB_API const char *msb_sandbox_name(const struct msb_sandbox *sandbox);

/* 16 hex digits that no other sandbox has or had. */
MSB_API const char *msb_sandbox_id(const struct msb_sandbox *sandbox);

/* Readable when the state may have changed; then call msb_sandbox_state(). */
MSB_API int msb_sandbox_fd(const struct msb_sandbox *sandbox);

/* The state now. Never blocks. */
MSB_API enum msb_state msb_sandbox_state(struct msb_sandbox *sandbox);

/*
 * Wait until the machine is ready. @timeout_ms -1: as long as it takes (the
 * boot time limit holds). MSB_ERR_BOOT or MSB_ERR_GONE, MSB_ERR_TIMEOUT.
 */
MSB_API int msb_sandbox_wait_ready(struct msb_sandbox *sandbox, int timeout_ms,
                                   struct msb_error *error);

/*
 * Shut the machine down: commands get SIGTERM, data is written, the machine
 * ends; what is left after @timeout_ms is killed. 0: kill at once. A machine
 * that has ended is fine.
 */
MSB_API int msb_sandbox_stop(struct msb_sandbox *sandbox, uint32_t timeout_ms,
                             struct msb_error *error);

/* At once, without a word to its commands: msb_sandbox_stop() with 0. */
MSB_API int msb_sandbox_kill(struct msb_sandbox *sandbox,
                             struct msb_error *error);

/* Wait for the end, however it comes. -1: no limit. MSB_ERR_TIMEOUT. */
MSB_API int msb_sandbox_wait(struct msb_sandbox *sandbox, int timeout_ms,
                             struct msb_error *error);

/* It is still wanted: the idle time limit starts anew. */
MSB_API int msb_sandbox_touch(struct msb_sandbox *sandbox,
                              struct msb_error *error);

/*
 * Ask the guest's agent for an answer; *ret_ns is how long it took. Does not
 * touch. MSB_ERR_TIMEOUT when none came in @timeout_ms, MSB_ERR_GONE.
 */
MSB_API int msb_sandbox_ping(struct msb_sandbox *sandbox, int timeout_ms,
                             uint64_t *ret_ns, struct msb_error *error);

/*
 * Counters of a machine, all taken on the host: an idle guest is not woken.
 * Counters only grow; what a program shows as a rate it makes of two.
 */
struct msb_metrics {
	size_t size;
	uint64_t time_ns; /* CLOCK_MONOTONIC when they were taken */
	uint64_t unix_ms;
	uint64_t uptime_ns;    /* since the agent was ready; 0: it is not */
	uint64_t cpu_ns;       /* processor time of all its processes */
	uint64_t memory_bytes; /* what the guest has */
	uint64_t memory_resident_bytes; /* of that, held by the host now */
	uint64_t memory_returned_bytes; /* given back by the guest, ever */
	uint64_t disk_read_bytes, disk_write_bytes, disk_reads, disk_writes;
	uint64_t net_rx_bytes, net_tx_bytes;    /* as the guest sees it */
	uint64_t upper_bytes, upper_used_bytes; /* its disk; host's blocks */
	uint32_t cpus;
	uint32_t sessions; /* commands that run now */
	uint64_t net_rx_packets, net_tx_packets;
	uint64_t net_flows, net_open;     /* let through; of them now */
	uint64_t net_denied, net_refused; /* by the policy; by a limit */
	uint64_t net_dns_queries, net_dns_denied;
	uint64_t tls_flows;         /* that were intercepted */
	uint64_t tls_refused;       /* that could not be */
	uint64_t secrets_used;      /* values that were put in */
	uint64_t secret_violations; /* placeholders where they must not be */
	uint64_t secrets_masked;    /* values in answers that were hidden */
};
#define MSB_METRICS_INIT                                                       \
	{                                                                      \
		.size = sizeof(struct msb_metrics)                             \
	}
MSB_API int msb_sandbox_metrics(struct msb_sandbox *sandbox,
                                struct msb_metrics *ret_metrics,
                                struct msb_error *error);

/* The last lines of the console of a machine that failed or crashed, or "". */
MSB_API const char *msb_sandbox_console(const struct msb_sandbox *sandbox);

/* CLOCK_MONOTONIC in ns; 0: has not happened. */
struct msb_sandbox_times {
	size_t size;
	uint64_t create_ns;   /* msb_sandbox_create() was entered */
	uint64_t launched_ns; /* msb-vmm was started */
	uint64_t spawn_ns;    /* the engine was started */
	uint64_t init_ns;     /* the guest's first program ran */
	uint64_t ready_ns;    /* the agent answered */
};
#define MSB_SANDBOX_TIMES_INIT                                                 \
	{                                                                      \
		.size = sizeof(struct msb_sandbox_times)                       \
	}
MSB_API void msb_sandbox_times(struct msb_sandbox *sandbox,
                               struct msb_sandbox_times *ret_times);

/* "kvm" or "qemu", and "kvm" or "tcg"; "" while not known. */
MSB_API const char *msb_sandbox_engine(const struct msb_sandbox *sandbox);
MSB_API const char *msb_sandbox_accel(const struct msb_sandbox *sandbox);

/*
 * The walls of the jail around the machine's processes, as "user-namespace"
 * or "seccomp"; ends with NULL. Empty until the machine is ready.
 */
MSB_API const char *const *msb_sandbox_walls(const struct msb_sandbox *sandbox);

/* What the user should know beforehand about a machine like this, or "". */
MSB_API const char *msb_sandbox_warning(const struct msb_sandbox *sandbox);

/* ---- what is on record -------------------------------------------------- */

/* A sandbox of any process that uses this home. Strings are never NULL. */
struct msb_sandbox_info {
	const char *name;
	const char *image; /* normalised reference, or a path */
	int32_t state;     /* enum msb_state */
	uint32_t cpus;
	uint64_t memory_bytes;
	const char *engine, *accel; /* of the last start; "" if not known */
	const char *const *walls;   /* as msb_sandbox_walls(), while it runs */
	const char *boundary;       /* what protects the user, in words */
	int64_t pid;                /* of its msb-vmm while it runs, else 0 */
	int64_t owner_pid;    /* of the process it is attached to, else 0 */
	int64_t started_unix; /* 0: never */
	const char *id;
	const char *const *labels; /* KEY=VALUE */
	int64_t created_unix, ended_unix;
	/* "poweroff", "exited" (its main command), "killed", "idle_timeout",
	 * "max_duration", "panic", "crashed", "agent_lost" (killed in the
	 * guest, beside an init), "failed" (never got ready); "" */
	const char *end_reason;
	const char *end_message; /* what went wrong, or "" */
	int32_t exit_code;       /* of its main command; -1: none */
	uint32_t flags;          /* enum msb_sandbox_flags */
	uint32_t max_duration_s, idle_timeout_s;
	uint64_t upper_bytes; /* size; what it occupies is disk_bytes */
	uint64_t disk_bytes;  /* only from msb_sandbox_inspect() */
	const char *image_id; /* "sha256:..." of what it was made of, or "" */
	const char *hostname;
	const char *const *env, *const *rlimits;
	const char *workdir, *user, *entrypoint, *shell;     /* "": not set */
	const char *const *scripts;                          /* names */
	const char *init;                                    /* "" */
	const char *const *command;                          /* empty: none */
	uint64_t started_ms, ready_ms, ended_ms, created_ms; /* unix; 0 */
	const char *const *patches; /* "KIND PATH" of each, in order */
	const struct msb_mount *const *mounts; /* NULL-terminated */
	const struct msb_network *network;     /* microsandbox/net.h */
	/* microsandbox/secrets.h; never a value, and a placeholder always. */
	const struct msb_secret *const *secrets;
	const struct msb_tls *tls;
};

/* By name or id. MSB_ERR_NOT_FOUND. */
MSB_API int msb_sandbox_inspect(struct msb_home *home, const char *name,
                                struct msb_sandbox_info **ret_info,
                                struct msb_error *error);
MSB_API void msb_sandbox_info_free(struct msb_sandbox_info *info);

struct msb_sandbox_list;

/*
 * All on record that have each of @labels ("KEY" or "KEY=VALUE"; NULL: all),
 * by name.
 */
MSB_API int msb_sandbox_list(struct msb_home *home, const char *const *labels,
                             struct msb_sandbox_list **ret_list,
                             struct msb_error *error);
MSB_API void msb_sandbox_list_free(struct msb_sandbox_list *list);
MSB_API size_t msb_sandbox_list_count(const struct msb_sandbox_list *list);
MSB_API const struct msb_sandbox_info *
msb_sandbox_list_get(const struct msb_sandbox_list *list, size_t i);

enum msb_remove_flags {
	MSB_REMOVE_FORCE = 1, /* kill it if it runs */
};

/*
 * Remove a sandbox and all that was written in it; images stay.
 * MSB_ERR_BUSY when it runs, MSB_ERR_NOT_FOUND.
 */
MSB_API int msb_sandbox_remove(struct msb_home *home, const char *name,
                               uint32_t flags, struct msb_error *error);

/*
 * Change a sandbox. Members that are 0 or NULL stay as they are; lists add to
 * what is there (env and labels replace those of the same key).
 */
struct msb_modify_opts {
	size_t size;
	int32_t dry_run; /* only check and plan */
	uint32_t cpus;
	uint64_t memory_bytes;
	const char *const *env, *const *env_rm;        /* KEY=VALUE; KEY */
	const char *const *labels, *const *labels_rm;  /* KEY=VALUE; KEY */
	const char *workdir, *user, *hostname, *shell; /* "": as in the image */
	int32_t max_duration_s, idle_timeout_s; /* -1: no limit any more */
	uint64_t upper_bytes;                   /* may only grow */
	/*
	 * Add or replace by env; a value that is NULL is read from this
	 * process's environment. Of one that is there, what is NULL or 0 stays
	 * (hosts, placeholder, places, MASK ...). A machine that runs with
	 * secrets has them, and new values of theirs, at once.
	 */
	const struct msb_secret *const *secrets;
	const char *const *secrets_rm; /* env */
};
#define MSB_MODIFY_OPTS_INIT                                                   \
	{                                                                      \
		.size = sizeof(struct msb_modify_opts)                         \
	}

enum msb_effect {
	MSB_EFFECT_NOW = 0,        /* done, or the next command sees it */
	MSB_EFFECT_NEXT_START = 1, /* the machine runs on as it is until then */
};

struct msb_change {
	const char *field;          /* "memory", "env.PATH" */
	const char *before, *after; /* "" where there is none */
	int32_t effect;             /* enum msb_effect */
};

struct msb_plan;

/*
 * All or nothing. *ret_plan (may be NULL) lists what changes. What a running
 * machine cannot change waits for its next start. MSB_ERR_INVALID names the
 * value that cannot be.
 */
MSB_API int msb_sandbox_modify(struct msb_home *home, const char *name,
                               const struct msb_modify_opts *opts,
                               struct msb_plan **ret_plan,
                               struct msb_error *error);
/*
 * What waits for the next start of a machine that runs: how the record differs
 * from what it was started with. Empty when it does not run.
 */
MSB_API int msb_sandbox_pending(struct msb_home *home, const char *name,
                                struct msb_plan **ret_plan,
                                struct msb_error *error);
MSB_API void msb_plan_free(struct msb_plan *plan);
MSB_API size_t msb_plan_count(const struct msb_plan *plan);
MSB_API const struct msb_change *msb_plan_get(const struct msb_plan *plan,
                                              size_t i);

/* ---- doctor ------------------------------------------------------------ */

enum msb_check_status {
	MSB_CHECK_OK = 0,
	MSB_CHECK_INFO = 1,
	MSB_CHECK_WARN = 2, /* works, but not as well as it could */
	MSB_CHECK_FAIL = 3, /* no sandbox can run */
};

struct msb_check {
	const char *name;    /* "qemu" */
	int32_t status;      /* enum msb_check_status */
	const char *message; /* what was found */
	const char *fix;     /* the one thing to do, or "" */
};

struct msb_report;

/*
 * Look at everything a sandbox needs. A finding is not an error. @home_path
 * as for msb_home_open().
 */
MSB_API int msb_doctor(const char *home_path, struct msb_report **ret_report,
                       struct msb_error *error);
MSB_API void msb_report_free(struct msb_report *report);
MSB_API size_t msb_report_count(const struct msb_report *report);
/* NULL when @index is too large. */
MSB_API const struct msb_check *msb_report_get(const struct msb_report *report,
                                               size_t index);

/*
 * Bring the record of sandboxes back: one that is damaged is moved aside, to
 * state.db.damaged-TIME, and sandboxes that are kept but not on record come
 * back from their folders, as they were made or modified last. *ret_done says
 * what was done, a sentence each, NULL-terminated, to be freed by
 * msb_strings_free(); with @dry_run nothing is done, and they say what would
 * be. MSB_ERR_UNSUPPORTED when the record was written by a newer version.
 */
MSB_API int msb_repair(const char *home_path, int dry_run, char ***ret_done,
                       struct msb_error *error);

#ifdef __cplusplus
}
#endif

#include "microsandbox/exec.h"  /* commands and their logs: belongs to this */
#include "microsandbox/files.h" /* files and disks: so does this */
#include "microsandbox/net.h"   /* the network: so does this */
#include "microsandbox/secrets.h"

#endif
