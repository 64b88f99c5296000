/* copy.h - trees between host and guest: what its forms share. */
#ifndef LIB_COPY_H
#define LIB_COPY_H

#include "files/name.h"
#include "lib/files.h"

/* Files that an archive cannot tell holes of: more of them is refused. */
#define COPY_HOLES_MAX (1ULL << 30)

/* A sink that counts what goes to another, and tells the caller. */
struct copy_meter {
	struct msb_copy_opts opts;
	struct files_sink to;
	uint64_t files, bytes, due_ns;
	char path[FILES_PATH_MAX];
};

/* -EINVAL when the options' size cannot be right. */
int copy_meter_init(struct copy_meter *m, const struct msb_copy_opts *opts,
                    struct err *err);
struct files_sink copy_meter_sink(struct copy_meter *m,
                                  const struct files_sink *to);
/* For links that wait: -ECANCELED when the caller wants no more. */
int copy_meter_tick(void *meter);

/* Ask for a tree of the guest; @ret_source is @from taken apart. */
int copy_ask_out(struct files_call *c, struct msb_sandbox *sandbox,
                 const char *from, struct copy_meter *m,
                 struct files_source *ret_source, struct err *err);
/* Begin one in the guest. */
int copy_ask_in(struct files_call *c, struct msb_sandbox *sandbox,
                const char *to, const char *name, bool content, bool parents,
                struct copy_meter *m, struct err *err);

/* msb_copy_out() of a call that was begun. */
int copy_receive(struct files_call *c, const struct files_source *src,
                 const char *to, struct copy_meter *m, struct err *err);
/* msb_copy_out_tar() of one. */
int copy_receive_tar(struct files_call *c, const struct files_source *src,
                     int fd, struct copy_meter *m, struct err *err);

#endif
