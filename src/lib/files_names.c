/* files_names.c - what there is in a sandbox, and operations on names. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/clock.h"
#include "base/num.h"
#include "files/name.h"
#include "lib/error.h"
#include "lib/files.h"
#include "lib/options.h"
#include "lib/sandbox.h"

#include "base/banned.h"

static_assert((int)MSB_FILE_NO_FOLLOW == (int)PROTO_FILE_NO_FOLLOW, "proto.h");
static_assert((int)MSB_FILE_RECURSIVE == (int)PROTO_FILE_RECURSIVE, "proto.h");
static_assert((int)MSB_FILE_APPEND == (int)PROTO_FILE_APPEND, "proto.h");
static_assert((int)MSB_FILE_EXCLUSIVE == (int)PROTO_FILE_EXCLUSIVE, "proto.h");
static_assert((int)MSB_FILE_FORCE == (int)PROTO_FILE_FORCE, "proto.h");
static_assert((int)MSB_FILE_NO_REPLACE == (int)PROTO_FILE_NO_REPLACE,
              "proto.h");

struct msb_file_list {
	struct msb_file_info *v;
	size_t n, cap, text; /* text: bytes of all strings */
};

/* @path and @target become one piece of memory, *ret_text. */
static int info_from(const struct proto_file_entry *e, const char *path,
                     struct msb_file_info *ret, char **ret_text)
{
	size_t len = strlen(path) + 1, more = strlen(e->target) + 1;
	char *text = malloc(len + more);

	if (!text)
		return -ENOMEM;
	memcpy(text, path, len);
	memcpy(text + len, e->target, more);
	*ret = (struct msb_file_info){
		.size = sizeof(*ret),
		.path = text,
		.target = text + len,
		.mode = e->mode,
		.uid = e->uid,
		.gid = e->gid,
		.nlink = e->nlink,
		.rdev = (uint32_t)makedev(e->rdev_major, e->rdev_minor),
		.size_bytes = e->size,
		.mtime_s = (int64_t)e->mtime_s,
		.mtime_ns = (uint32_t)MIN(e->mtime_ns, NS_PER_S - 1),
	};
	*ret_text = text;
	return 0;
}

int files_stat(struct files_call *c, struct msb_file_info *ret, char **ret_text,
               struct err *err)
{
	const struct proto_msg *m;
	char *text = NULL;
	int r = files_call_next(c, PROTO_FILE_ENTRY, &m, err);

	if (r == 0 && m->type == PROTO_FILE_DONE) {
		r = files_call_result(&m->file_done, err);
		return r < 0 ? r : files_call_lost(c, -EPROTO, err);
	}
	if (r == 0)
		r = info_from(&m->file_entry, m->file_entry.path, ret, &text);
	if (r == 0)
		r = files_call_next(c, PROTO_FILE_DONE, &m, err);
	if (r == 0)
		r = files_call_result(&m->file_done, err);
	if (r < 0)
		free(text);
	else
		*ret_text = text;
	return r;
}

/* ---- the strings of a thread's last msb_file_stat() ---------------------- */

static pthread_key_t text_key;
static pthread_once_t text_once = PTHREAD_ONCE_INIT;
static int text_error;

static void make_text_key(void)
{
	text_error = pthread_key_create(&text_key, free);
}

/* Takes @text. It goes with the next one, or with the thread. */
static int keep_text(char *text)
{
	int r;

	(void)pthread_once(&text_once, make_text_key);
	r = text_error;
	if (r == 0) {
		free(pthread_getspecific(text_key));
		r = pthread_setspecific(text_key, text);
	}
	if (r)
		free(text);
	return -r;
}

int msb_file_stat(struct msb_sandbox *sb, const char *path, uint32_t flags,
                  struct msb_file_info *ret_info, struct msb_error *error)
{
	struct files_call cleanup_files_call c = FILES_CALL_INIT;
	struct proto_file_req req = {.op = PROTO_FILE_STAT,
	                             .path = path,
	                             .path2 = "",
	                             .flags = flags & MSB_FILE_NO_FOLLOW};
	struct msb_file_info info;
	struct err err = {0};
	char *text = NULL;
	int r = files_call_open(&c, sb, &req, &err);

	if (r == 0)
		r = files_stat(&c, &info, &text, &err);
	if (r == 0)
		r = keep_text(text);
	if (r < 0)
		return error_return(error, r, &err);
	options_give(ret_info, &info, sizeof(info));
	return 0;
}

/* ---- lists --------------------------------------------------------------- */

void msb_file_list_free(struct msb_file_list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->n; i++)
		free((char *)list->v[i].path); /* which has the target, too */
	free(list->v);
	free(list);
}

size_t msb_file_list_count(const struct msb_file_list *list)
{
	return list->n;
}

const struct msb_file_info *msb_file_list_get(const struct msb_file_list *list,
                                              size_t i)
{
	return i < list->n ? &list->v[i] : NULL;
}

static int list_grow(struct msb_file_list *l)
{
	size_t cap = l->cap ? 2 * l->cap : 64;
	struct msb_file_info *v;

	if (l->n < l->cap)
		return 0;
	v = reallocarray(l->v, cap, sizeof(*v));
	if (!v)
		return -ENOMEM;
	l->v = v;
	l->cap = cap;
	return 0;
}

/* Callers build paths of the host from names: a name is one part. */
static int list_add(struct msb_file_list *l, const struct proto_file_entry *e,
                    struct err *err)
{
	char *text;
	int r;

	if (*e->path == '\0' || strchr(e->path, '/') ||
	    !files_name_is_clean(e->path))
		return err_set(err, -EPROTO,
		               "the agent gives a name that is "
		               "none");
	l->text += strlen(e->path) + strlen(e->target) + 2;
	if (l->n == FILES_LIST_MAX || l->text > FILES_LIST_TEXT)
		return err_set(err, -E2BIG,
		               "more than %d names in the folder: too many",
		               FILES_LIST_MAX);
	r = list_grow(l);
	if (r == 0)
		r = info_from(e, e->path, &l->v[l->n], &text);
	if (r < 0)
		return err_set(err, r, "out of memory");
	l->n++;
	return 0;
}

int files_list(struct files_call *c, struct msb_file_list **ret,
               struct err *err)
{
	struct msb_file_list *l = calloc(1, sizeof(*l));
	const struct proto_msg *m;
	int r = l ? 0 : err_set(err, -ENOMEM, "out of memory");

	while (r == 0) {
		r = files_call_next(c, PROTO_FILE_ENTRY, &m, err);
		if (r < 0 || m->type == PROTO_FILE_DONE)
			break;
		r = list_add(l, &m->file_entry, err);
	}
	if (r == 0)
		r = files_call_result(&m->file_done, err);
	if (r < 0)
		msb_file_list_free(l);
	else
		*ret = l;
	return r;
}

int msb_file_list(struct msb_sandbox *sb, const char *path,
                  struct msb_file_list **ret_list, struct msb_error *error)
{
	struct files_call cleanup_files_call c = FILES_CALL_INIT;
	struct proto_file_req req = {
		.op = PROTO_FILE_LIST, .path = path, .path2 = ""};
	struct err err = {0};
	int r = files_call_open(&c, sb, &req, &err);

	if (r == 0)
		r = files_list(&c, ret_list, &err);
	return r < 0 ? error_return(error, r, &err) : 0;
}

/* ---- one request, one answer --------------------------------------------- */

int msb_file_mkdir(struct msb_sandbox *sb, const char *path, uint32_t mode,
                   uint32_t flags, struct msb_error *error)
{
	struct proto_file_req req = {.op = PROTO_FILE_MKDIR,
	                             .path = path,
	                             .path2 = "",
	                             .mode = mode,
	                             .flags = flags & MSB_FILE_RECURSIVE};

	return files_call_simple(sb, &req, error);
}

int msb_file_remove(struct msb_sandbox *sb, const char *path, uint32_t flags,
                    struct msb_error *error)
{
	struct proto_file_req req = {
		.op = PROTO_FILE_REMOVE,
		.path = path,
		.path2 = "",
		.flags = flags & (MSB_FILE_RECURSIVE | MSB_FILE_FORCE)};

	return files_call_simple(sb, &req, error);
}

int msb_file_rename(struct msb_sandbox *sb, const char *from, const char *to,
                    uint32_t flags, struct msb_error *error)
{
	struct proto_file_req req = {.op = PROTO_FILE_RENAME,
	                             .path = from,
	                             .path2 = to,
	                             .flags = flags & MSB_FILE_NO_REPLACE};

	return files_call_simple(sb, &req, error);
}

int msb_file_chmod(struct msb_sandbox *sb, const char *path, uint32_t mode,
                   struct msb_error *error)
{
	struct proto_file_req req = {.op = PROTO_FILE_CHMOD,
	                             .path = path,
	                             .path2 = "",
	                             .mode = mode};

	return files_call_simple(sb, &req, error);
}

int msb_file_chown(struct msb_sandbox *sb, const char *path, uint32_t uid,
                   uint32_t gid, uint32_t flags, struct msb_error *error)
{
	struct proto_file_req req = {.op = PROTO_FILE_CHOWN,
	                             .path = path,
	                             .path2 = "",
	                             .uid = uid,
	                             .gid = gid,
	                             .flags = flags & MSB_FILE_NO_FOLLOW};

	return files_call_simple(sb, &req, error);
}

int msb_file_symlink(struct msb_sandbox *sb, const char *target,
                     const char *path, struct msb_error *error)
{
	struct proto_file_req req = {
		.op = PROTO_FILE_SYMLINK, .path = path, .path2 = target};

	return files_call_simple(sb, &req, error);
}

int msb_file_copy(struct msb_sandbox *sb, const char *from, const char *to,
                  struct msb_error *error)
{
	struct proto_file_req req = {
		.op = PROTO_FILE_COPY, .path = from, .path2 = to};

	return files_call_simple(sb, &req, error);
}
