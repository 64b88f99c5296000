/*
 * files.h - file sessions from the library's side (proto.h, src/files).
 *
 * What comes is the guest's and is not believed: its order and lengths are
 * checked, names in it must be clean, memory for them is bounded, and an errno
 * that it gives is nothing but a number with a text.
 */
#ifndef LIB_FILES_H
#define LIB_FILES_H

#include "files/link.h"
#include "files/sink.h"
#include "microsandbox.h"

/* An agent at work says so; one that is silent for so long is given up. */
#define FILES_SILENCE_MS   60000
#define FILES_LIST_MAX     1000000
#define FILES_LIST_TEXT    (256u << 20) /* bytes of names and targets */
#define FILES_READ_DEFAULT (64u << 20)

struct files_call {
	struct msb_sandbox *sandbox; /* NULL in unit tests; no reference */
	int sock;
	struct files_link link;
};

#define FILES_CALL_INIT                                                        \
	{                                                                      \
		.sock = -1                                                     \
	}

/* Take @sock and send @req. */
int files_call_begin(struct files_call *c, struct msb_sandbox *sandbox,
                     int sock, const struct proto_file_req *req,
                     struct err *err);
/* Connect to the agent, then the same. */
int files_call_open(struct files_call *c, struct msb_sandbox *sandbox,
                    const struct proto_file_req *req, struct err *err);
void files_call_release(struct files_call *c);
#define cleanup_files_call cleanup(files_call_release)

/* The next message; -EPROTO unless it is of @type or FILE_DONE. */
int files_call_next(struct files_call *c, enum proto_type type,
                    const struct proto_msg **ret, struct err *err);

/* 0, or what FILE_DONE says went wrong. */
int files_call_result(const struct proto_file_done *done, struct err *err);

/* Everything that comes until FILE_DONE goes to @sink; then its result. */
int files_call_receive(struct files_call *c, const struct files_sink *sink,
                       uint64_t *ret_count, struct err *err);

/*
 * A failure @r of the connection, in words. When the guest has said FILE_DONE
 * with an error, that is it.
 */
int files_call_lost(struct files_call *c, int r, struct err *err);

/* Say that all was sent, and hear how it went. */
int files_call_finish(struct files_call *c, uint64_t *ret_count,
                      struct err *err);

/* A sink that sends, and hears of an error while it does. */
struct files_sink files_call_sink(struct files_call *c);

/* One without content either way. */
int files_call_simple(struct msb_sandbox *sandbox,
                      const struct proto_file_req *req,
                      struct msb_error *error);

/* msb_file_open() over a connected socket, which is taken. */
int files_open(struct msb_sandbox *sandbox, int sock, const char *path,
               const struct msb_file_opts *o, struct msb_file **ret,
               struct err *err);

/* msb_file_list() and _stat() of a call that was begun. */
int files_list(struct files_call *c, struct msb_file_list **ret,
               struct err *err);
int files_stat(struct files_call *c, struct msb_file_info *ret, char **ret_text,
               struct err *err);

#endif
