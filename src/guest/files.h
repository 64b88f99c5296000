/*
 * files.h - one file session: the host asks for a file of the machine, a child
 * of the agent answers.
 *
 * The child has the agent's root and nothing else of it: a path means what it
 * means to root in the machine, and a file system that hangs, hangs that child
 * only. It ends when the host closes the connection, with what it had not yet
 * finished taken back; the agent kills it when that takes longer.
 */
#ifndef GUEST_FILES_H
#define GUEST_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "proto/proto.h"

#define FILES_END_MS 2000 /* from the connection's end to the kill */

struct files_env {
	int upper_fd; /* the upper's folder of files, or -1 */
	int proc_fd;
	bool spared; /* as in struct child_env */
};

/*
 * Fork. The child reads @sock, on which @rest came already; the caller keeps
 * its own descriptor and does nothing but watch and close it. The child is its
 * own session: child_kill_session() ends it.
 */
int files_start(const struct files_env *env, int sock,
                const struct proto_file_req *req, const void *rest,
                size_t rest_len, pid_t *ret_pid);

/* What the child does: answer @req on @sock. */
void files_serve(const struct files_env *env, int sock,
                 const struct proto_file_req *req, const void *rest,
                 size_t rest_len);

#endif
