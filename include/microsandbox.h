/*
 * microsandbox.h - run commands in their own small virtual machines.
 *
 * This header is the specification of libmicrosandbox.
 *
 *	struct msb_home *home;        where images are kept
 *	struct msb_image *image;      what to run
 *	struct msb_sandbox *sandbox;  a machine, one child process
 *	struct msb_exec *exec;        a command in it
 *
 *	msb_home_open() -> msb_image_pull() -> msb_sandbox_create() ->
 *	msb_exec_start() -> { poll msb_exec_fd(), msb_exec_next() } ->
 *	msb_exec_free(), msb_sandbox_free(), ...
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
 * Threads. A home may be used by many threads at once. Any other handle may
 * be used by one thread at a time; different handles, also several commands
 * of one sandbox, are independent. There is no global state.
 *
 * The library never prints, exits, aborts, or changes a signal handler, the
 * working folder or the environment of its process. It starts child processes
 * (msb-vmm, and while images are pulled mke2fs) and waits for exactly these.
 * When the process that created a sandbox dies, also by SIGKILL, the kernel
 * closes its sockets and the machine dies with it.
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
	MSB_ERR_CANCELLED = 12, /* by an event function */
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
 * folder, or a folder with a root file system. @opts may be NULL.
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
};

#define MSB_NAME_MAX        128
#define MSB_CPUS_MAX        64
#define MSB_MEMORY_MIN      (64ull << 20)
#define MSB_MEMORY_DEFAULT  (512ull << 20)
#define MSB_MEMORY_MAX      (1ull << 40)
#define MSB_UPPER_DEFAULT   (8ull << 30)
#define MSB_BOOT_TIMEOUT_MS 60000u

struct msb_sandbox_opts {
	size_t size;
	const struct msb_image *image; /* required */
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
};
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
 * Start a machine from an image. Returns as soon as its process runs, before
 * it has booted; msb_exec_start() may follow at once. The machine is attached
 * to this process; while it lives its name is taken in this home (by a small
 * file in run/), afterwards nothing of it is on disk. MSB_ERR_INSTALL when a
 * part of the installation is missing, MSB_ERR_EXISTS when a machine of that
 * name runs.
 */
MSB_API int msb_sandbox_create(struct msb_home *home,
                               const struct msb_sandbox_opts *opts,
                               struct msb_sandbox **ret_sandbox,
                               struct msb_error *error);

/* Kills the machine if it still runs and waits for its process. Quick. */
MSB_API void msb_sandbox_free(struct msb_sandbox *sandbox);

MSB_API const char *msb_sandbox_name(const struct msb_sandbox *sandbox);

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

/* ---- what runs now ----------------------------------------------------- */

/* A machine of any process that uses this home. */
struct msb_sandbox_info {
	const char *name;
	const char *image; /* normalised reference, or a path */
	int32_t state;     /* MSB_STATE_STARTING or MSB_STATE_READY */
	uint32_t cpus;
	uint64_t memory_bytes;
	const char *engine, *accel; /* "" while it starts */
	const char *const *walls;   /* as msb_sandbox_walls() */
	const char *boundary;       /* what protects the user, in words */
	int64_t pid;                /* of its msb-vmm */
	int64_t owner_pid;          /* of the process it is attached to */
	int64_t started_unix;
};

/* MSB_ERR_NOT_FOUND when no machine of that name runs. */
MSB_API int msb_sandbox_inspect(struct msb_home *home, const char *name,
                                struct msb_sandbox_info **ret_info,
                                struct msb_error *error);
MSB_API void msb_sandbox_info_free(struct msb_sandbox_info *info);

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
 */
MSB_API int msb_exec_start(struct msb_sandbox *sandbox,
                           const struct msb_exec_opts *opts,
                           struct msb_exec **ret_exec, struct msb_error *error);

/* Ends the session: a command that still runs is killed in the guest. */
MSB_API void msb_exec_free(struct msb_exec *exec);

/* Readable when msb_exec_next() has something to do. For poll() and epoll. */
MSB_API int msb_exec_fd(const struct msb_exec *exec);

/*
 * The next event: 1 and @event filled, or 0 when none came in @timeout_ms
 * (0: do not wait, -1: no limit). Call it until it returns 0 before waiting
 * on the descriptor. After MSB_EXEC_EXITED or MSB_EXEC_FAILED, and after an
 * error, there is nothing more. MSB_ERR_BOOT and MSB_ERR_GONE tell why a
 * machine ended under its command.
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

#ifdef __cplusplus
}
#endif

#endif
