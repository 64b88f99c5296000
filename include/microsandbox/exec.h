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
