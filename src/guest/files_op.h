/* files_op.h - between files.c and its operations. */
#ifndef GUEST_FILES_OP_H
#define GUEST_FILES_OP_H

#include "files/link.h"
#include "guest/files.h"

/* Paths are relative to "/": the current folder. */
struct files_op {
	const struct files_env *env;
	const struct proto_file_req *req;
	struct files_link link;
	uint64_t count; /* FILE_DONE's */
};

/* 0 or a negative errno with @err filled: FILE_DONE follows. */
int files_op_stat(struct files_op *op, struct err *err);
int files_op_list(struct files_op *op, struct err *err);
int files_op_mkdir(struct files_op *op, struct err *err);
int files_op_remove(struct files_op *op, struct err *err);
int files_op_rename(struct files_op *op, struct err *err);
int files_op_chmod(struct files_op *op, struct err *err);
int files_op_chown(struct files_op *op, struct err *err);
int files_op_symlink(struct files_op *op, struct err *err);
int files_op_copy(struct files_op *op, struct err *err);
int files_op_read(struct files_op *op, struct err *err);
int files_op_write(struct files_op *op, struct err *err);
int files_op_tree_read(struct files_op *op, struct err *err);
int files_op_tree_write(struct files_op *op, struct err *err);
int files_op_upper_read(struct files_op *op, struct err *err);

/* A negative errno about @path, in words: "cannot WHAT PATH: ...". */
int files_op_fail(struct err *err, int r, const char *what, const char *path);

/* Now and then in long work: the host may be gone. For hooks, too. */
int files_op_step(void *op);

#endif
