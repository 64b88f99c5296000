/*
 * run_io.h - a command in a sandbox joined to this process's terminal, pipes
 * and signals until it ends.
 */
#ifndef CLI_RUN_IO_H
#define CLI_RUN_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/keys.h"
#include "microsandbox.h"

struct run_io_opts {
	const char *command; /* argv[0], for messages */
	const char *path;    /* where it is looked up, for messages; or NULL */
	bool tty;            /* the command has a terminal */
	bool raw;            /* ours is put into raw mode */
	bool use_stdin;
	bool taken_back;     /* it runs already, see msb_exec_attach() */
	bool leave;          /* who wants us to end only wants us to let go */
	struct keys keys;    /* to let go of it; only where ours is raw */
	uint64_t timeout_ms; /* from the command's start; 0: none */
};

struct run_io_result {
	uint64_t started_ns, first_output_ns, exited_ns; /* 0: did not happen */
	bool exited; /* the command ended by itself */
	bool let_go; /* it runs, and is to be detached by the caller */
};

/*
 * Block the signals that run_io() takes care of. To be called before any
 * thread or machine is started, so that none is lost or goes elsewhere.
 */
void run_io_block_signals(void);

/* Returns the exit code of msb; all messages have been printed. */
int run_io(struct msb_sandbox *sandbox, struct msb_exec *exec,
           const struct run_io_opts *opts, struct run_io_result *ret);

/* Say why a command never ran (@ev is MSB_EXEC_FAILED): the exit code. */
int run_io_explain(const struct run_io_opts *opts,
                   const struct msb_exec_event *ev);

#endif
