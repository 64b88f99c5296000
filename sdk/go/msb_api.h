/* Made by generate.py from include/microsandbox.h; do not edit. */
/* clang-format off */
#ifndef MSBGO_API_H
#define MSBGO_API_H

#define msb_code_name msbgo_code_name
#define msb_version msbgo_version
#define msb_cancel_new msbgo_cancel_new
#define msb_cancel_use msbgo_cancel_use
#define msb_cancel_fire msbgo_cancel_fire
#define msb_cancel_reset msbgo_cancel_reset
#define msb_cancel_free msbgo_cancel_free
#define msb_home_open msbgo_home_open
#define msb_home_free msbgo_home_free
#define msb_home_path msbgo_home_path
#define msb_image_pull msbgo_image_pull
#define msb_image_load msbgo_image_load
#define msb_strings_free msbgo_strings_free
#define msb_image_open msbgo_image_open
#define msb_image_list msbgo_image_list
#define msb_image_list_free msbgo_image_list_free
#define msb_image_free msbgo_image_free
#define msb_image_info msbgo_image_info
#define msb_image_remove msbgo_image_remove
#define msb_image_users msbgo_image_users
#define msb_image_prune msbgo_image_prune
#define msb_state_name msbgo_state_name
#define msb_sandbox_create msbgo_sandbox_create
#define msb_sandbox_start msbgo_sandbox_start
#define msb_sandbox_run_main msbgo_sandbox_run_main
#define msb_sandbox_open msbgo_sandbox_open
#define msb_sandbox_restart msbgo_sandbox_restart
#define msb_sandbox_detach msbgo_sandbox_detach
#define msb_sandbox_free msbgo_sandbox_free
#define msb_sandbox_name msbgo_sandbox_name
#define msb_sandbox_id msbgo_sandbox_id
#define msb_sandbox_fd msbgo_sandbox_fd
#define msb_sandbox_state msbgo_sandbox_state
#define msb_sandbox_wait_ready msbgo_sandbox_wait_ready
#define msb_sandbox_stop msbgo_sandbox_stop
#define msb_sandbox_kill msbgo_sandbox_kill
#define msb_sandbox_wait msbgo_sandbox_wait
#define msb_sandbox_touch msbgo_sandbox_touch
#define msb_sandbox_ping msbgo_sandbox_ping
#define msb_sandbox_metrics msbgo_sandbox_metrics
#define msb_sandbox_console msbgo_sandbox_console
#define msb_sandbox_times msbgo_sandbox_times
#define msb_sandbox_engine msbgo_sandbox_engine
#define msb_sandbox_accel msbgo_sandbox_accel
#define msb_sandbox_walls msbgo_sandbox_walls
#define msb_sandbox_warning msbgo_sandbox_warning
#define msb_sandbox_inspect msbgo_sandbox_inspect
#define msb_sandbox_info_free msbgo_sandbox_info_free
#define msb_sandbox_list msbgo_sandbox_list
#define msb_sandbox_list_free msbgo_sandbox_list_free
#define msb_sandbox_list_count msbgo_sandbox_list_count
#define msb_sandbox_list_get msbgo_sandbox_list_get
#define msb_sandbox_remove msbgo_sandbox_remove
#define msb_sandbox_modify msbgo_sandbox_modify
#define msb_sandbox_pending msbgo_sandbox_pending
#define msb_plan_free msbgo_plan_free
#define msb_plan_count msbgo_plan_count
#define msb_plan_get msbgo_plan_get
#define msb_doctor msbgo_doctor
#define msb_report_free msbgo_report_free
#define msb_report_count msbgo_report_count
#define msb_report_get msbgo_report_get
#define msb_repair msbgo_repair
#define msb_logs_open msbgo_logs_open
#define msb_logs_free msbgo_logs_free
#define msb_logs_next msbgo_logs_next
#define msb_logs_fd msbgo_logs_fd
#define msb_logs_ended msbgo_logs_ended
#define msb_exec_start msbgo_exec_start
#define msb_exec_session msbgo_exec_session
#define msb_exec_detach msbgo_exec_detach
#define msb_exec_attach msbgo_exec_attach
#define msb_exec_is_tty msbgo_exec_is_tty
#define msb_exec_free msbgo_exec_free
#define msb_exec_fd msbgo_exec_fd
#define msb_exec_next msbgo_exec_next
#define msb_exec_write msbgo_exec_write
#define msb_exec_close_stdin msbgo_exec_close_stdin
#define msb_exec_unread msbgo_exec_unread
#define msb_exec_signal msbgo_exec_signal
#define msb_exec_resize msbgo_exec_resize
#define msb_exec_wait msbgo_exec_wait
#define msb_exec_run msbgo_exec_run
#define msb_output_free msbgo_output_free
#define msb_volume_create msbgo_volume_create
#define msb_volume_list msbgo_volume_list
#define msb_volumes_free msbgo_volumes_free
#define msb_volumes_count msbgo_volumes_count
#define msb_volumes_get msbgo_volumes_get
#define msb_volume_remove msbgo_volume_remove
#define msb_volume_prune msbgo_volume_prune
#define msb_file_stat msbgo_file_stat
#define msb_file_list msbgo_file_list
#define msb_file_list_free msbgo_file_list_free
#define msb_file_list_count msbgo_file_list_count
#define msb_file_list_get msbgo_file_list_get
#define msb_file_mkdir msbgo_file_mkdir
#define msb_file_remove msbgo_file_remove
#define msb_file_rename msbgo_file_rename
#define msb_file_chmod msbgo_file_chmod
#define msb_file_chown msbgo_file_chown
#define msb_file_symlink msbgo_file_symlink
#define msb_file_copy msbgo_file_copy
#define msb_file_read msbgo_file_read
#define msb_free msbgo_free
#define msb_file_write msbgo_file_write
#define msb_file_open msbgo_file_open
#define msb_file_get msbgo_file_get
#define msb_file_put msbgo_file_put
#define msb_file_finish msbgo_file_finish
#define msb_file_close msbgo_file_close
#define msb_copy_in msbgo_copy_in
#define msb_copy_out msbgo_copy_out
#define msb_copy_in_tar msbgo_copy_in_tar
#define msb_copy_out_tar msbgo_copy_out_tar
#define msb_copy_across msbgo_copy_across
#define msb_snapshot_create msbgo_snapshot_create
#define msb_snapshot_list msbgo_snapshot_list
#define msb_snapshots_free msbgo_snapshots_free
#define msb_snapshots_count msbgo_snapshots_count
#define msb_snapshots_get msbgo_snapshots_get
#define msb_snapshot_image msbgo_snapshot_image
#define msb_snapshot_verify msbgo_snapshot_verify
#define msb_snapshot_remove msbgo_snapshot_remove
#define msb_snapshot_save msbgo_snapshot_save
#define msb_snapshot_load msbgo_snapshot_load
#define msb_image_commit msbgo_image_commit
#define msb_image_save msbgo_image_save
#define msb_sandbox_ports msbgo_sandbox_ports
#define msb_net_explain msbgo_net_explain
#define msb_net_rules msbgo_net_rules

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

/*
 * exec.h - the part of microsandbox.h about commands in sandboxes and their
 * logs. Programs include <microsandbox.h>, which includes this.
 */
#ifndef MICROSANDBOX_EXEC_H
#define MICROSANDBOX_EXEC_H

#ifndef MICROSANDBOX_H
#error "include <microsandbox.h>"
#endif

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- logs -------------------------------------------------------------- */

/*
 * What commands wrote (STDOUT, STDERR; OUTPUT is a terminal's), what the
 * console said, and marks of the life cycle. Kept in the sandbox's folder,
 * bounded by rotation; of the oldest something may be gone.
 */
enum msb_log_source {
	MSB_LOG_STDOUT = 1,
	MSB_LOG_STDERR = 2,
	MSB_LOG_OUTPUT = 4,
	MSB_LOG_CONSOLE = 8,
	MSB_LOG_SYSTEM = 16,
};
#define MSB_LOG_COMMANDS (MSB_LOG_STDOUT | MSB_LOG_STDERR | MSB_LOG_OUTPUT)
#define MSB_LOG_ALL      (MSB_LOG_COMMANDS | MSB_LOG_CONSOLE | MSB_LOG_SYSTEM)

struct msb_log_opts {
	size_t size;
	uint32_t sources;           /* bits; 0: MSB_LOG_COMMANDS */
	uint32_t follow;            /* go on with what is written later */
	uint64_t tail;              /* only the last so many lines; 0: all */
	int64_t since_ms, until_ms; /* unix; 0: no bound */
	uint64_t session;           /* only of this command; 0: of all */
};
#define MSB_LOG_OPTS_INIT                                                      \
	{                                                                      \
		.size = sizeof(struct msb_log_opts)                            \
	}

/* A piece of output as it was captured: any bytes, not always a line. */
struct msb_log_entry {
	size_t size;
	int64_t unix_ms;
	uint64_t session; /* 0: of no command */
	int32_t source;   /* enum msb_log_source */
	const void *data; /* lives until the next call on the handle */
	size_t len;
};
#define MSB_LOG_ENTRY_INIT                                                     \
	{                                                                      \
		.size = sizeof(struct msb_log_entry)                           \
	}

struct msb_logs;

/* By name or id, running or not. @opts may be NULL. */
MSB_API int msb_logs_open(struct msb_home *home, const char *name,
                          const struct msb_log_opts *opts,
                          struct msb_logs **ret_logs, struct msb_error *error);
MSB_API void msb_logs_free(struct msb_logs *logs);

/*
 * The next entry, oldest first: 1; 0 when there is none in @timeout_ms (0: do
 * not wait, -1: no limit) or, once a followed machine has ended, ever.
 */
MSB_API int msb_logs_next(struct msb_logs *logs, int timeout_ms,
                          struct msb_log_entry *ret_entry,
                          struct msb_error *error);

/* Readable when msb_logs_next() may have something; only when following. */
MSB_API int msb_logs_fd(const struct msb_logs *logs);

/* 1 when there will be nothing more. */
MSB_API int msb_logs_ended(const struct msb_logs *logs);

/* ---- commands ---------------------------------------------------------- */

struct msb_exec;

enum msb_exec_flags {
	MSB_EXEC_TTY = 1,   /* a terminal; all output is MSB_EXEC_STDOUT */
	MSB_EXEC_STDIN = 2, /* msb_exec_write() will be used; else /dev/null */
	/*
	 * argv holds arguments for the image's ENTRYPOINT; empty: the image's
	 * CMD. Without this flag argv is the command itself.
	 */
	MSB_EXEC_IMAGE_COMMAND = 4,
	/*
	 * argv[0] is a script for the sandbox's shell (SHELL -c argv[0] SHELL
	 * argv[1]...); without argv the shell itself.
	 */
	MSB_EXEC_SHELL = 8,
	/* Its output does not go to the sandbox's logs. */
	MSB_EXEC_NO_LOG = 16,
	/*
	 * The sandbox's main command: once it is given to msb-vmm by
	 * msb_exec_detach(), the machine ends with it.
	 */
	MSB_EXEC_MAIN = 32,
};

/* PATH where neither the image nor the caller sets one. */
#define MSB_DEFAULT_PATH                                                       \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct msb_exec_opts {
	size_t size;
	uint32_t flags;             /* enum msb_exec_flags */
	uint16_t rows, cols;        /* of the terminal; 0: 24 and 80 */
	const char *const *argv;    /* NULL: empty */
	const char *const *env;     /* KEY=VALUE, over the image's */
	const char *const *rlimits; /* "nofile=1024" or "nofile=1024:4096" */
	const char *entrypoint;     /* replaces ENTRYPOINT and drops CMD */
	const char *cwd;            /* NULL: the image's, else / */
	const char *user;           /* NAME, UID, NAME:GROUP, UID:GID */
};
#define MSB_EXEC_OPTS_INIT                                                     \
	{                                                                      \
		.size = sizeof(struct msb_exec_opts)                           \
	}

enum msb_exec_event_kind {
	MSB_EXEC_STARTED = 1, /* pid */
	MSB_EXEC_STDOUT = 2,  /* data, len */
	MSB_EXEC_STDERR = 3,  /* data, len */
	MSB_EXEC_FAILED =
		4, /* the command never ran: stage, error_no, message */
	MSB_EXEC_EXITED = 5,   /* code, or signal; the last event */
	MSB_EXEC_WRITABLE = 6, /* msb_exec_write() takes more again */
};

/* data, stage and message live until the next call on the handle. */
struct msb_exec_event {
	size_t size;
	int32_t kind;
	uint32_t pid;
	const void *data;
	size_t len;
	int32_t code;      /* 0..255 when signal is 0 */
	int32_t signal;    /* the guest's number */
	int32_t error_no;  /* Linux errno, positive */
	const char *stage; /* user, cwd, rlimit, pty, exec, fork */
	const char *message;
};
#define MSB_EXEC_EVENT_INIT                                                    \
	{                                                                      \
		.size = sizeof(struct msb_exec_event)                          \
	}

/*
 * Start a command. Returns before it runs, also before the machine is ready;
 * what happens to it comes by msb_exec_next(). MSB_ERR_INVALID when there is
 * nothing to run (no argv, and the image names no command).
 *
 * A machine serves 256 commands and file transfers at once. One more waits for
 * one of them to end; when none does for 5 s, it is MSB_EXEC_FAILED by EAGAIN.
 */
MSB_API int msb_exec_start(struct msb_sandbox *sandbox,
                           const struct msb_exec_opts *opts,
                           struct msb_exec **ret_exec, struct msb_error *error);

/* A number of its own, as the logs and msb_exec_attach() know it. */
MSB_API uint64_t msb_exec_session(const struct msb_exec *exec);

/*
 * Give the command to msb-vmm: it goes on without this process, its output
 * goes to the logs. The handle is then of no use but to be freed. The command
 * must have been started, MSB_ERR_BUSY before that; input that it has not
 * taken yet still reaches it. Standard input stays open for who attaches.
 * A main command may also have ended: then the machine ends now, and its exit
 * code goes on record. MSB_ERR_GONE for another one that has ended.
 */
MSB_API int msb_exec_detach(struct msb_exec *exec, struct msb_error *error);

/*
 * Take a detached command back: its events come to this handle, from now on.
 * @session 0: the main command, else the only one that is detached.
 * MSB_ERR_NOT_FOUND when there is none, or somebody else has it.
 */
MSB_API int msb_exec_attach(struct msb_sandbox *sandbox, uint64_t session,
                            struct msb_exec **ret_exec,
                            struct msb_error *error);

/* Whether it has a terminal. */
MSB_API int msb_exec_is_tty(const struct msb_exec *exec);

/* Ends the session: a command that still runs is killed in the guest. */
MSB_API void msb_exec_free(struct msb_exec *exec);

/*
 * Readable when msb_exec_next() has something to do, once it has said that
 * there is nothing: of what it has read already, this does not tell. For
 * poll() and epoll.
 */
MSB_API int msb_exec_fd(const struct msb_exec *exec);

/*
 * The next event: 1 and @event filled, or 0 when none came in @timeout_ms
 * (0: do not wait, -1: no limit). Call it until it returns 0 before waiting
 * on the descriptor. After MSB_EXEC_EXITED or MSB_EXEC_FAILED, and after an
 * error, there is nothing more. MSB_ERR_BOOT and MSB_ERR_GONE tell why a
 * machine ended under its command; until that is known, 3 s at most, no event
 * comes.
 */
MSB_API int msb_exec_next(struct msb_exec *exec, int timeout_ms,
                          struct msb_exec_event *ret_event,
                          struct msb_error *error);

/*
 * Offer bytes for the command's standard input. Returns how many were taken;
 * 0: the window is full, wait for MSB_EXEC_WRITABLE. Input after the
 * command's end is dropped.
 */
MSB_API int64_t msb_exec_write(struct msb_exec *exec, const void *data,
                               size_t len, struct msb_error *error);
MSB_API int msb_exec_close_stdin(struct msb_exec *exec,
                                 struct msb_error *error);

/* Bytes written that the command has not taken yet. */
MSB_API size_t msb_exec_unread(const struct msb_exec *exec);

/* To the command's process group. */
MSB_API int msb_exec_signal(struct msb_exec *exec, int signal,
                            struct msb_error *error);
MSB_API int msb_exec_resize(struct msb_exec *exec, uint16_t rows, uint16_t cols,
                            struct msb_error *error);

/*
 * Wait for the end and drop the output. *ret_code is the exit code, 128+n for
 * signal n. MSB_ERR_EXEC when the command never ran, MSB_ERR_TIMEOUT.
 */
MSB_API int msb_exec_wait(struct msb_exec *exec, int timeout_ms, int *ret_code,
                          struct msb_error *error);

/* All that a command wrote, and how it ended. */
struct msb_output {
	size_t size;
	int32_t code;          /* 0..255 when signal is 0 */
	int32_t signal;        /* the guest's number */
	const void *out, *err; /* bytes, with a NUL behind them */
	size_t out_len, err_len;
	uint32_t truncated; /* bits 1 and 2: stdout, stderr went past the limit
	                     */
};

/*
 * Run a command to its end and collect its output, at most @max bytes of each
 * stream (0: 64 MiB); more is dropped and said so. @input (may be NULL) becomes
 * its standard input. After @timeout_ms (-1: no limit) it is killed:
 * MSB_ERR_TIMEOUT, and *ret_output is set all the same. MSB_ERR_EXEC when it
 * never ran.
 */
MSB_API int msb_exec_run(struct msb_sandbox *sandbox,
                         const struct msb_exec_opts *opts, const void *input,
                         size_t input_len, size_t max, int timeout_ms,
                         struct msb_output **ret_output,
                         struct msb_error *error);
MSB_API void msb_output_free(struct msb_output *output);

#ifdef __cplusplus
}
#endif

#endif

/*
 * files.h - the part of microsandbox.h about files: what a sandbox gets of its
 * host, volumes, changes before it starts, its own files while it runs, and
 * snapshots. Programs include <microsandbox.h>, which includes this.
 */
#ifndef MICROSANDBOX_FILES_H
#define MICROSANDBOX_FILES_H

#ifndef MICROSANDBOX_H
#error "include <microsandbox.h>"
#endif

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- mounts ------------------------------------------------------------ */

enum msb_mount_kind {
	MSB_MOUNT_DIR = 1,   /* a folder of the host */
	MSB_MOUNT_FILE = 2,  /* a file of the host */
	MSB_MOUNT_NAMED = 3, /* a volume */
	MSB_MOUNT_DISK = 4,  /* a disk image with a file system */
	MSB_MOUNT_TMPFS = 5, /* memory */
};

enum msb_mount_flags {
	MSB_MOUNT_READ_ONLY = 1, /* enforced on the host's side */
	MSB_MOUNT_NOEXEC = 2,
	MSB_MOUNT_NOSUID = 4,
	MSB_MOUNT_NODEV = 8,
	/*
	 * uid and gid: who all files belong to in the guest. Without it each
	 * file has the owner that the guest gave it, files of the user who
	 * runs msb belong to the sandbox's user (of a volume: to root, but an
	 * empty volume to the user of the first sandbox that mounts it), and
	 * others' to themselves (msb run by root) or to nobody.
	 */
	MSB_MOUNT_OWNER = 16,
	/* NAMED: the volume is made when there is none; else NOT_FOUND. */
	MSB_MOUNT_CREATE = 32,
	/* DIR, FILE, DISK: the source may be a symbolic link itself. */
	MSB_MOUNT_FOLLOW = 64,
	/*
	 * DIR, FILE, DISK: no part of the source's path may be a symbolic link,
	 * neither now nor at a later start: for who checked where it leads.
	 */
	MSB_MOUNT_NO_LINKS = 128,
};

/* When changes on the host's side are seen (those of the guest always are). */
enum msb_cache {
	MSB_CACHE_AUTO = 0,   /* names and attributes within a second, content
	                         at the next open */
	MSB_CACHE_ALWAYS = 1, /* maybe never: nobody else changes it */
	MSB_CACHE_NONE = 2,   /* at once; mmap() for writing is refused */
};

struct msb_mount {
	size_t size;
	int32_t kind; /* enum msb_mount_kind */
	uint32_t flags;
	const char *source; /* a path of the host, or the volume's name */
	const char *target; /* an absolute path in the guest; made if missing */
	int32_t cache;      /* enum msb_cache */
	uint32_t uid, gid;
	/* DIR, FILE, NAMED: the guest may add so many bytes; 0: no limit of
	   its own */
	uint64_t quota_bytes;
	/* TMPFS: 0: half of the memory. NAMED with CREATE: as volume_create */
	uint64_t size_bytes;
	uint32_t mode;       /* TMPFS: 0: 0755, of /tmp and /var/tmp 01777 */
	int32_t volume_kind; /* NAMED with CREATE: enum msb_volume_kind */
	const char *format;  /* DISK: "raw", "qcow2"; NULL: by the name's end */
	const char *fstype;  /* DISK: NULL: ext4 */
};
#define MSB_MOUNT_INIT                                                         \
	{                                                                      \
		.size = sizeof(struct msb_mount)                               \
	}
#define MSB_MOUNTS_MAX 64 /* of one sandbox */

/* ---- volumes ----------------------------------------------------------- */

enum msb_volume_kind {
	MSB_VOLUME_DIR = 0,  /* a folder; several sandboxes at once */
	MSB_VOLUME_DISK = 1, /* a disk (ext4); one sandbox at a time */
};

struct msb_volume_info {
	size_t size;
	const char *name;
	const char *path;    /* the folder, or the disk's file */
	int32_t kind;        /* enum msb_volume_kind */
	uint64_t size_bytes; /* quota, or the disk's size; 0: no quota */
	uint64_t used_bytes; /* on the host */
	int64_t created_ms;
	/* Sandboxes on record that mount it, NULL-terminated. */
	const char *const *users;
	uint32_t in_use; /* a machine has it mounted now */
};

struct msb_volume_opts {
	size_t size;
	int32_t kind;
	/* DIR: quota, 0: none. DISK: required, 16 MiB at least. */
	uint64_t size_bytes;
};
#define MSB_VOLUME_OPTS_INIT                                                   \
	{                                                                      \
		.size = sizeof(struct msb_volume_opts)                         \
	}

struct msb_volumes;

/*
 * A new volume; @opts may be NULL. It stays until msb_volume_remove(). A name
 * is like a sandbox's. MSB_ERR_EXISTS.
 */
MSB_API int msb_volume_create(struct msb_home *home, const char *name,
                              const struct msb_volume_opts *opts,
                              struct msb_error *error);
/* All by name, or the one of @name (MSB_ERR_NOT_FOUND). */
MSB_API int msb_volume_list(struct msb_home *home, const char *name,
                            struct msb_volumes **ret_list,
                            struct msb_error *error);
MSB_API void msb_volumes_free(struct msb_volumes *list);
MSB_API size_t msb_volumes_count(const struct msb_volumes *list);
MSB_API const struct msb_volume_info *
msb_volumes_get(const struct msb_volumes *list, size_t i);
/*
 * The volume and all in it. MSB_ERR_BUSY when a machine has it mounted, or a
 * sandbox on record mounts it and not @force.
 */
MSB_API int msb_volume_remove(struct msb_home *home, const char *name,
                              int force, struct msb_error *error);
/* Remove all that no sandbox on record mounts: their names. */
MSB_API int msb_volume_prune(struct msb_home *home, char ***ret_names,
                             uint64_t *ret_freed_bytes,
                             struct msb_error *error);

/* ---- patches ----------------------------------------------------------- */

/*
 * Changes to the image before the machine starts, in order; the image itself
 * stays as it is. An existing target is MSB_ERR_EXISTS without REPLACE.
 * Missing folders above a target are made (0755, root).
 */
enum msb_patch_kind {
	MSB_PATCH_FILE = 1,     /* data, data_len */
	MSB_PATCH_COPY = 2,     /* a file or folder of the host: source */
	MSB_PATCH_APPEND = 3,   /* data behind a file that exists */
	MSB_PATCH_MKDIR = 4,    /* fine when it exists */
	MSB_PATCH_SYMLINK = 5,  /* source is the link's text */
	MSB_PATCH_REMOVE = 6,   /* fine when it does not exist */
	MSB_PATCH_SET_MODE = 7, /* mode of what exists */
	MSB_PATCH_SET_OWNER = 8 /* uid, gid of what exists */
};

enum msb_patch_flags {
	MSB_PATCH_REPLACE = 1, /* what is there goes before */
	MSB_PATCH_MODE = 2,  /* mode is given; else 0644, 0755, the source's */
	MSB_PATCH_OWNER = 4, /* uid and gid are given; else 0 */
	/* COPY: no part of source may be a symbolic link */
	MSB_PATCH_NO_LINKS = 8,
};

struct msb_patch {
	size_t size;
	int32_t kind;
	uint32_t flags;
	const char *path;   /* in the guest, absolute */
	const char *source; /* COPY, SYMLINK */
	const void *data;   /* FILE, APPEND */
	size_t data_len;
	uint32_t mode, uid, gid;
};
#define MSB_PATCH_INIT                                                         \
	{                                                                      \
		.size = sizeof(struct msb_patch)                               \
	}
#define MSB_PATCHES_MAX 4096

/* ---- a running sandbox's files ----------------------------------------- */

/*
 * Paths are absolute, or relative to "/", and resolved inside the guest only,
 * by its own rules: what a link there points to is there. The agent does it as
 * root. MSB_ERR_NOT_FOUND, MSB_ERR_EXISTS, MSB_ERR_PERMISSION, MSB_ERR_NO_SPACE
 * and MSB_ERR_IO carry the guest's errno in sys_errno.
 */

struct msb_file_info {
	size_t size;
	const char *path;   /* as asked for; of an entry: its name */
	const char *target; /* of a symbolic link, else "" */
	uint32_t mode;      /* with the type, as st_mode on Linux */
	uint32_t uid, gid, nlink, rdev;
	uint64_t size_bytes;
	int64_t mtime_s;
	uint32_t mtime_ns;
};
#define MSB_FILE_INFO_INIT                                                     \
	{                                                                      \
		.size = sizeof(struct msb_file_info)                           \
	}

enum msb_file_flags {
	MSB_FILE_NO_FOLLOW = 1,   /* of a symbolic link as the last part */
	MSB_FILE_RECURSIVE = 2,   /* remove: folders with all in them; mkdir:
	                             those above, too, and fine if it exists */
	MSB_FILE_APPEND = 4,      /* write: behind what is there */
	MSB_FILE_EXCLUSIVE = 8,   /* write: MSB_ERR_EXISTS if it exists */
	MSB_FILE_FORCE = 16,      /* remove: fine when it does not exist */
	MSB_FILE_NO_REPLACE = 32, /* rename: MSB_ERR_EXISTS */
};

struct msb_file_list;

/* Strings of @ret live until the next msb_file_stat() of this thread. */
MSB_API int msb_file_stat(struct msb_sandbox *sandbox, const char *path,
                          uint32_t flags, struct msb_file_info *ret_info,
                          struct msb_error *error);
/* A folder's entries, by name. */
MSB_API int msb_file_list(struct msb_sandbox *sandbox, const char *path,
                          struct msb_file_list **ret_list,
                          struct msb_error *error);
MSB_API void msb_file_list_free(struct msb_file_list *list);
MSB_API size_t msb_file_list_count(const struct msb_file_list *list);
MSB_API const struct msb_file_info *
msb_file_list_get(const struct msb_file_list *list, size_t i);

MSB_API int msb_file_mkdir(struct msb_sandbox *sandbox, const char *path,
                           uint32_t mode, uint32_t flags,
                           struct msb_error *error);
/* "/" is never removed. */
MSB_API int msb_file_remove(struct msb_sandbox *sandbox, const char *path,
                            uint32_t flags, struct msb_error *error);
MSB_API int msb_file_rename(struct msb_sandbox *sandbox, const char *from,
                            const char *to, uint32_t flags,
                            struct msb_error *error);
MSB_API int msb_file_chmod(struct msb_sandbox *sandbox, const char *path,
                           uint32_t mode, struct msb_error *error);
MSB_API int msb_file_chown(struct msb_sandbox *sandbox, const char *path,
                           uint32_t uid, uint32_t gid, uint32_t flags,
                           struct msb_error *error);
MSB_API int msb_file_symlink(struct msb_sandbox *sandbox, const char *target,
                             const char *path, struct msb_error *error);
/* Within the guest; folders with all in them. */
MSB_API int msb_file_copy(struct msb_sandbox *sandbox, const char *from,
                          const char *to, struct msb_error *error);

/*
 * A whole file, at most @max bytes (0: 64 MiB; more is MSB_ERR_NO_SPACE).
 * *ret_data has a NUL behind it and is freed by msb_free().
 */
MSB_API int msb_file_read(struct msb_sandbox *sandbox, const char *path,
                          size_t max, void **ret_data, size_t *ret_len,
                          struct msb_error *error);
MSB_API void msb_free(void *data);
/*
 * All of a file. It appears under its name when it is complete, with the
 * owner and mode of what it replaces, else root's and @mode (0: 0644).
 */
MSB_API int msb_file_write(struct msb_sandbox *sandbox, const char *path,
                           const void *data, size_t len, uint32_t mode,
                           uint32_t flags, struct msb_error *error);

/* For large ones. */
struct msb_file;

enum msb_file_mode { MSB_FILE_READ = 1, MSB_FILE_WRITE = 2 };

struct msb_file_opts {
	size_t size;
	int32_t mode; /* enum msb_file_mode */
	uint32_t flags;
	uint32_t permissions;    /* of a new file; 0: 0644 */
	uint64_t offset, length; /* READ: a part; length 0: to the end */
};
#define MSB_FILE_OPTS_INIT                                                     \
	{                                                                      \
		.size = sizeof(struct msb_file_opts)                           \
	}

MSB_API int msb_file_open(struct msb_sandbox *sandbox, const char *path,
                          const struct msb_file_opts *opts,
                          struct msb_file **ret_file, struct msb_error *error);
/* Bytes, 0 at the end. Blocks. */
MSB_API int64_t msb_file_get(struct msb_file *file, void *data, size_t len,
                             struct msb_error *error);
/* All of @data. Blocks. */
MSB_API int msb_file_put(struct msb_file *file, const void *data, size_t len,
                         struct msb_error *error);
/* WRITE: it is complete now, or nothing of it is left. */
MSB_API int msb_file_finish(struct msb_file *file, struct msb_error *error);
/* Without finish: what was written is dropped. NULL is fine. */
MSB_API void msb_file_close(struct msb_file *file);

/* Trees, both ways: files, folders, links, hard links, times, modes. */
enum msb_copy_flags {
	MSB_COPY_OWNER = 1,  /* keep uid and gid (else root, or the caller) */
	MSB_COPY_FOLLOW = 2, /* the source may be a symbolic link */
	/* The content of a folder goes into the target, not the folder. */
	MSB_COPY_CONTENT = 4,
};

struct msb_copy_event {
	const char *path; /* of what is being copied */
	uint64_t files, bytes;
};
/* At most every 50 ms, in the caller's thread; not 0 cancels. */
typedef int (*msb_copy_event_fn)(void *arg, const struct msb_copy_event *event);

struct msb_copy_opts {
	size_t size;
	uint32_t flags;
	msb_copy_event_fn event;
	void *event_arg;
};
#define MSB_COPY_OPTS_INIT                                                     \
	{                                                                      \
		.size = sizeof(struct msb_copy_opts)                           \
	}

/*
 * As docker cp: a @to that is a folder takes the source into it, under its
 * name; otherwise the source gets the name @to, whose parent must exist.
 * @opts may be NULL. Of a tree from the guest nothing is written outside of
 * the target, whatever links it has; devices and sockets are left out.
 */
MSB_API int msb_copy_in(struct msb_sandbox *sandbox, const char *from,
                        const char *to, const struct msb_copy_opts *opts,
                        struct msb_error *error);
MSB_API int msb_copy_out(struct msb_sandbox *sandbox, const char *from,
                         const char *to, const struct msb_copy_opts *opts,
                         struct msb_error *error);
/* The same as a tar stream (pax) from or to a descriptor; @to is a folder. */
MSB_API int msb_copy_in_tar(struct msb_sandbox *sandbox, int fd, const char *to,
                            const struct msb_copy_opts *opts,
                            struct msb_error *error);
MSB_API int msb_copy_out_tar(struct msb_sandbox *sandbox, const char *from,
                             int fd, const struct msb_copy_opts *opts,
                             struct msb_error *error);
/* From one sandbox to another, without a copy in between. */
MSB_API int msb_copy_across(struct msb_sandbox *source, const char *from,
                            struct msb_sandbox *target, const char *to,
                            const struct msb_copy_opts *opts,
                            struct msb_error *error);

/* ---- snapshots --------------------------------------------------------- */

/*
 * What was written in a sandbox, kept under a name, with the image that it was
 * written over. New sandboxes start from it (msb_sandbox_opts.snapshot), any
 * number, without copying.
 */
struct msb_snapshot_info {
	size_t size;
	const char *name;
	const char *digest; /* "sha256:..." of its description: its identity */
	const char *image;  /* reference */
	const char *image_id;
	const char *sandbox; /* whose it was */
	const char *parent;  /* digest of the one below, or "" */
	const char *content; /* "sha256:..." of the content, or "" */
	uint64_t size_bytes; /* of the disk */
	uint64_t used_bytes; /* on the host, of its own */
	int64_t created_ms;
	const char *const *labels; /* KEY=VALUE, NULL-terminated */
	const char *path;          /* of its folder */
};

struct msb_snapshot_opts {
	size_t size;
	const char *const *labels;
	uint32_t flags; /* enum msb_snapshot_flags */
	/* Of bytes, where some must be read (files is 0). */
	msb_copy_event_fn event;
	void *event_arg;
};
enum msb_snapshot_flags {
	MSB_SNAPSHOT_REPLACE = 1,
	MSB_SNAPSHOT_INTEGRITY =
		2, /* digest of the content, too: reads it all */
};
#define MSB_SNAPSHOT_OPTS_INIT                                                 \
	{                                                                      \
		.size = sizeof(struct msb_snapshot_opts)                       \
	}

struct msb_snapshots;

/* Of a sandbox that does not run: MSB_ERR_BUSY. No data is copied. */
MSB_API int msb_snapshot_create(struct msb_home *home, const char *sandbox,
                                const char *name,
                                const struct msb_snapshot_opts *opts,
                                struct msb_error *error);
/* All by name; or the one of @name, which may also be (the beginning of) its
   digest, 12 digits at least. */
MSB_API int msb_snapshot_list(struct msb_home *home, const char *name,
                              struct msb_snapshots **ret_list,
                              struct msb_error *error);
MSB_API void msb_snapshots_free(struct msb_snapshots *list);
MSB_API size_t msb_snapshots_count(const struct msb_snapshots *list);
MSB_API const struct msb_snapshot_info *
msb_snapshots_get(const struct msb_snapshots *list, size_t i);
/* What it was written over. */
MSB_API int msb_snapshot_image(struct msb_home *home, const char *name,
                               struct msb_image **ret_image,
                               struct msb_error *error);
/* Read it all and compare: MSB_ERR_DIGEST. */
MSB_API int msb_snapshot_verify(struct msb_home *home, const char *name,
                                struct msb_error *error);
/* The name goes; data that a sandbox or another snapshot needs stays. */
MSB_API int msb_snapshot_remove(struct msb_home *home, const char *name,
                                struct msb_error *error);

enum msb_snapshot_save_flags {
	MSB_SNAPSHOT_WITH_IMAGE = 1, /* the image's layers, too */
	MSB_SNAPSHOT_PLAIN = 2,      /* a plain tar, not tar.zst */
};
/* One portable file that says what it is and has digests of all in it. */
MSB_API int msb_snapshot_save(struct msb_home *home, const char *name,
                              const char *path, uint32_t flags,
                              struct msb_error *error);
/* @name NULL: as it was called. Nothing is kept of one that is damaged. */
MSB_API int msb_snapshot_load(struct msb_home *home, const char *path,
                              const char *name, char **ret_name,
                              struct msb_error *error);

/* ---- images out of sandboxes ------------------------------------------- */

struct msb_commit_opts {
	size_t size;
	const char *author, *message;
	/* Changes of the configuration as in a Dockerfile: "CMD [\"sh\"]",
	   "ENV A=b", "USER x", "WORKDIR /w", "ENTRYPOINT ...", "LABEL k=v". */
	const char *const *changes;
};
#define MSB_COMMIT_OPTS_INIT                                                   \
	{                                                                      \
		.size = sizeof(struct msb_commit_opts)                         \
	}

/*
 * What was written in a sandbox becomes one more layer over its image, and
 * both a new image of the name @reference. One that does not run is started
 * for it, without its commands. *ret_id is its manifest's digest, freed by
 * msb_free().
 */
MSB_API int msb_image_commit(struct msb_home *home, const char *sandbox,
                             const char *reference,
                             const struct msb_commit_opts *opts, char **ret_id,
                             struct msb_error *error);

enum msb_archive_format { MSB_ARCHIVE_DOCKER = 0, MSB_ARCHIVE_OCI = 1 };

struct msb_save_opts {
	size_t size;
	int32_t format; /* enum msb_archive_format */
	/* LAYER and LAYER_DONE count over all layers of all images. */
	msb_pull_event_fn event;
	void *event_arg;
};
#define MSB_SAVE_OPTS_INIT                                                     \
	{                                                                      \
		.size = sizeof(struct msb_save_opts)                           \
	}

/*
 * Write images (names or ids) to an archive that docker, podman, skopeo and
 * msb_image_load() read; @path "-": standard output. A file appears when it is
 * complete, in place of what had its name. Configs and uncompressed layers are
 * what they were, so their digests are; the image's manifest goes with them,
 * and msb_image_load() gives the image its id again. The same images give the
 * same bytes. MSB_ERR_DIGEST when the store is damaged.
 */
MSB_API int msb_image_save(struct msb_home *home, const char *const *references,
                           const struct msb_save_opts *opts, const char *path,
                           struct msb_error *error);

#ifdef __cplusplus
}
#endif

#endif

/*
 * net.h - the part of microsandbox.h about a sandbox's network. Programs
 * include <microsandbox.h>, which includes this.
 *
 * Every sandbox has a network of its own: one interface eth0 whose frames end
 * in the machine's process, where each flow is judged by the policy; what it
 * allows goes out by a socket of the user who runs it. docs/network.md.
 */
#ifndef MICROSANDBOX_NET_H
#define MICROSANDBOX_NET_H

#ifndef MICROSANDBOX_H
#error "include <microsandbox.h>"
#endif

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MSB_PORTS_MAX           128
#define MSB_CONNECTIONS_DEFAULT 4096
#define MSB_CONNECTIONS_MAX     10000

enum msb_port_flags {
	MSB_PORT_UDP = 1,
};

/* A port of the host that leads to one of the guest. */
struct msb_port {
	size_t size;
	const char *bind; /* an address of the host; NULL: 127.0.0.1 */
	uint16_t host;    /* 0: any that is free, see msb_sandbox_ports() */
	uint16_t guest;
	uint32_t flags;
};
#define MSB_PORT_INIT                                                          \
	{                                                                      \
		.size = sizeof(struct msb_port)                                \
	}

enum msb_net_flags {
	MSB_NET_DISABLED = 1, /* no interface at all */
	/* A rule's name must be confirmed by the flow itself: SNI or Host. */
	MSB_NET_STRICT = 2,
	/* Answers of name servers may hold private addresses. */
	MSB_NET_NO_REBIND_PROTECTION = 4,
	/* The guest's trust stores get the host's certificates. */
	MSB_NET_TRUST_HOST_CAS = 8,
	MSB_NET_LOG_DENIED = 16, /* to msb logs --source system */
};

enum msb_net_action {
	MSB_NET_UNSET = 0,
	MSB_NET_ALLOW = 1,
	MSB_NET_DENY = 2,
};

/* So many bytes or packets a second, and how many at once; 0: no limit. */
struct msb_rate {
	uint64_t per_second, burst; /* burst 0: a second's worth */
};

/* Lists end with NULL and may be NULL. */
struct msb_network {
	size_t size;
	uint32_t flags;
	/*
	 * Comma list of public, private, host; or all, none. NULL: public, but
	 * no profile when a default is given below.
	 */
	const char *profile;
	/* [allow|deny][:egress|ingress|any]@TARGET[:PROTO[:PORTS]], the first
	   that matches decides; a string may hold several, by comma. */
	const char *const *rules;
	int32_t default_egress, default_ingress; /* enum msb_net_action */
	const struct msb_port *const *ports;
	const char *const *nameservers; /* ADDR[:PORT]; NULL: the host's */
	uint32_t dns_timeout_ms;        /* 0: 5000 */
	const char *ipv4_pool;          /* CIDR; NULL: 172.16.0.0/12 */
	const char *ipv6_pool;          /* NULL: fd42:6d73:62::/48 */
	uint32_t mtu;                   /* 0: 1500 */
	struct msb_rate egress_bytes, egress_packets;
	struct msb_rate ingress_bytes, ingress_packets;
	uint32_t max_connections; /* 0: MSB_CONNECTIONS_DEFAULT */
	/* socks4://, socks5://, http://ADDR:PORT: the host dials through it. */
	const char *proxy;
	const char *socks4_user_id, *socks5_username;
	/* The variable of this process that has the password; read at each
	   start, kept nowhere. */
	const char *socks5_password_env;
	const char *const *vsock; /* HOST_PATH:PORT[/stream|/dgram] */
	const char *pcap;         /* a file that gets all frames; made anew */
};
#define MSB_NETWORK_INIT                                                       \
	{                                                                      \
		.size = sizeof(struct msb_network)                             \
	}

/*
 * The published ports of one that runs, as JSON: [{"bind", "host", "guest",
 * "protocol"}]; with the host's port that was picked. Free it with msb_free().
 */
MSB_API int msb_sandbox_ports(struct msb_home *home, const char *name,
                              char **ret_json, struct msb_error *error);

/*
 * Which rule decides when the sandbox @name connects to @host (a name or an
 * address) and @port (0: any), and why; as JSON, see docs/network.md. Of one
 * that runs, its machine is asked; else the record is judged. @protocol: "tcp",
 * "udp", "icmp"; NULL: tcp. Free it with msb_free().
 */
MSB_API int msb_net_explain(struct msb_home *home, const char *name,
                            const char *host, uint16_t port,
                            const char *protocol, char **ret_json,
                            struct msb_error *error);

/*
 * The rules of the sandbox @name in the order in which they are asked, those of
 * its profile included, as JSON: {"rules": [{"number", "rule"}], "defaults":
 * {"egress", "ingress"}, "strict"}. Free it with msb_free().
 */
MSB_API int msb_net_rules(struct msb_home *home, const char *name,
                          char **ret_json, struct msb_error *error);

#ifdef __cplusplus
}
#endif

#endif

/*
 * secrets.h - the part of microsandbox.h about secrets and TLS interception.
 * Programs include <microsandbox.h>, which includes this. docs/secrets.md says
 * what is promised, and what is not.
 *
 * The guest sees a placeholder in the variable. The value is put in by a helper
 * process of the host, inside TLS, on the way to hosts that are allowed for it.
 */
#ifndef MICROSANDBOX_SECRETS_H
#define MICROSANDBOX_SECRETS_H

#ifndef MICROSANDBOX_H
#error "include <microsandbox.h>"
#endif

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MSB_SECRETS_MAX      64
#define MSB_SECRET_VALUE_MAX 65536
#define MSB_PLACEHOLDER_MIN  4
#define MSB_PLACEHOLDER_MAX  1024

enum msb_secret_flags {
	/* Where a placeholder may stand; none of the four: HEADERS and BASIC.
	 */
	MSB_SECRET_HEADERS = 1,
	MSB_SECRET_BASIC = 2, /* Authorization: Basic, decoded */
	MSB_SECRET_QUERY = 4,
	MSB_SECRET_BODY = 8,
	/* The value in an answer becomes the placeholder again. */
	MSB_SECRET_MASK = 16,
};

/* What happens when a placeholder goes where it must not. */
enum msb_violation {
	MSB_VIOLATION_DEFAULT = 0, /* BLOCK_LOG, or what the sandbox says */
	MSB_VIOLATION_BLOCK = 1,
	MSB_VIOLATION_BLOCK_LOG = 2,
	MSB_VIOLATION_BLOCK_TERMINATE = 3,
	MSB_VIOLATION_PASS = 4, /* the placeholder goes there */
};

/* Lists end with NULL and may be NULL, but for hosts. */
struct msb_secret {
	size_t size;
	const char *env; /* the guest's variable */
	/*
	 * NULL: this process's variable @source, else @env, at each start.
	 * Else the bytes; never kept: who starts the sandbox again gives them
	 * again, in msb_start_opts, or by the variable.
	 */
	const char *value;
	const char *source;       /* NULL: as @env */
	const char *placeholder;  /* NULL: MSB_ and 32 random hex digits */
	const char *const *hosts; /* NAME, *.NAME (and NAME itself), or * */
	uint32_t flags;           /* enum msb_secret_flags */
	int32_t violation;        /* enum msb_violation */
};
#define MSB_SECRET_INIT                                                        \
	{                                                                      \
		.size = sizeof(struct msb_secret)                              \
	}

enum msb_tls_flags {
	/* Every name, not only those that secrets are for. */
	MSB_TLS_INTERCEPT = 1,
	MSB_TLS_NO_BLOCK_QUIC = 2,
};

/* NULL as a whole: what secrets need. */
struct msb_tls {
	size_t size;
	uint32_t flags;
	int32_t violation;            /* of secrets that do not say */
	const char *const *ports;     /* NULL: 443 */
	const char *const *bypass;    /* NAME, *.NAME: never intercepted */
	const char *ca_cert, *ca_key; /* PEM files; NULL: made at each start */
	const char *const *upstream_cas;     /* PEM files, for all names */
	const char *const *upstream_cas_for; /* PATTERN=FILE */
	const char *const *no_verify_for;    /* PATTERN; no value goes there */
};
#define MSB_TLS_INIT                                                           \
	{                                                                      \
		.size = sizeof(struct msb_tls)                                 \
	}

#ifdef __cplusplus
}
#endif

#endif


#endif

/* ---- of the shim --------------------------------------------------------- */

/* Open the library: 0, or -1 and why in @message. A fault leaves no trace. */
int msbgo_load(const char *path, char *message, size_t size);
/* Whether the library that was opened has all functions of this header. */
const char *msbgo_lacks(void);
/* Callbacks that hand events to Go; @arg is a runtime/cgo.Handle. */
int msbgo_tell_pull(void *arg, const struct msb_pull_event *event);
int msbgo_tell_copy(void *arg, const struct msb_copy_event *event);

#endif
