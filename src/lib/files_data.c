/* files_data.c - the content of one file, as a stream or as a whole. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/num.h"
#include "lib/error.h"
#include "lib/files.h"
#include "lib/options.h"
#include "lib/sandbox.h"

#include "base/banned.h"

struct msb_file {
	struct files_call call;
	struct msb_sandbox *sandbox; /* a reference; NULL in unit tests */
	int32_t mode;                /* enum msb_file_mode */
	uint64_t size;               /* READ: as the entry says */
	uint64_t pos;                /* of the next byte, from the beginning */
	const uint8_t *data;         /* READ: a piece that waits, */
	uint64_t off, len;           /* and where it belongs */
	bool ended;                  /* READ: `off` is the end */
	bool over;                   /* FILE_DONE came */
	struct err broken;           /* it failed before: again the same */
};

static int file_lost(struct msb_file *f, int r, const struct err *err)
{
	f->broken = *err;
	f->broken.code = r;
	return r;
}

/* ---- open and close ------------------------------------------------------ */

void msb_file_close(struct msb_file *f)
{
	if (!f)
		return;
	files_call_release(&f->call);
	if (f->sandbox)
		sandbox_unref(f->sandbox);
	free(f);
}

/* How READ begins: the entry, or why not. */
static int take_head(struct msb_file *f, struct err *err)
{
	const struct proto_msg *m;
	int r = files_call_next(&f->call, PROTO_FILE_ENTRY, &m, err);

	if (r == 0 && m->type == PROTO_FILE_DONE) {
		r = files_call_result(&m->file_done, err);
		return r < 0 ? r : files_call_lost(&f->call, -EPROTO, err);
	}
	if (r == 0)
		f->size = m->file_entry.size;
	return r;
}

int files_open(struct msb_sandbox *sandbox, int sock, const char *path,
               const struct msb_file_opts *o, struct msb_file **ret,
               struct err *err)
{
	struct msb_file *f = calloc(1, sizeof(*f));
	struct proto_file_req req = {
		.op = o->mode == MSB_FILE_READ ? PROTO_FILE_READ
	                                       : PROTO_FILE_WRITE,
		.path = path,
		.path2 = "",
		.flags = o->flags & (MSB_FILE_NO_FOLLOW | MSB_FILE_APPEND |
	                             MSB_FILE_EXCLUSIVE),
		.mode = o->permissions,
		.offset = o->offset,
		.length = o->length};
	int r;

	if (!f) {
		close_fd(&sock);
		return err_set(err, -ENOMEM, "out of memory");
	}
	f->call = (struct files_call)FILES_CALL_INIT;
	f->sandbox = sandbox ? sandbox_ref(sandbox) : NULL;
	f->mode = o->mode;
	r = files_call_begin(&f->call, sandbox, sock, &req, err);
	if (r == 0 && f->mode == MSB_FILE_READ)
		r = take_head(f, err);
	f->pos = f->off = f->mode == MSB_FILE_READ ? o->offset : 0;
	if (r < 0)
		msb_file_close(f);
	else
		*ret = f;
	return r;
}

static int open_file(struct msb_sandbox *sb, const char *path,
                     const struct msb_file_opts *o, struct msb_file **ret,
                     struct err *err)
{
	int sock;

	if (o->mode != MSB_FILE_READ && o->mode != MSB_FILE_WRITE)
		return err_set(err, -EINVAL,
		               "mode %d is neither reading nor "
		               "writing",
		               (int)o->mode);
	if (o->permissions > 07777)
		return err_set(err, -EINVAL, "0%o is no mode",
		               (unsigned)o->permissions);
	sock = sandbox_connect(sb, PROTO_PORT_AGENT);
	if (sock == -LIB_EGONE || sock == -EPIPE || sock == -ECONNRESET)
		return sandbox_lost(sb, err);
	if (sock < 0)
		return err_set(err, sock, "cannot reach the agent: %s",
		               strerror(-sock));
	return files_open(sb, sock, path, o, ret, err);
}

int msb_file_open(struct msb_sandbox *sb, const char *path,
                  const struct msb_file_opts *opts, struct msb_file **ret_file,
                  struct msb_error *error)
{
	struct msb_file_opts o = MSB_FILE_OPTS_INIT;
	struct err err = {0};
	int r;

	if (!options_take(&o, sizeof(o), opts))
		return error_set(error, -EINVAL, "msb_file_opts: wrong size");
	r = open_file(sb, path, &o, ret_file, &err);
	return r < 0 ? error_return(error, r, &err) : 0;
}

/* ---- read ---------------------------------------------------------------- */

/* The next piece, or the end, becomes what waits. */
static int next_piece(struct msb_file *f, struct err *err)
{
	const struct proto_file_data *d;
	const struct proto_msg *m;
	int r = files_call_next(&f->call, PROTO_FILE_DATA, &m, err);

	if (r < 0)
		return r;
	d = &m->file_data;
	if (m->type == PROTO_FILE_DONE) {
		r = files_call_result(&m->file_done, err);
		return r < 0 ? r : files_call_lost(&f->call, -EPROTO, err);
	}
	if (d->offset < f->pos || d->offset > INT64_MAX ||
	    d->data.n > PROTO_FILE_MAX)
		return files_call_lost(&f->call, -EPROTO, err);
	f->off = d->offset;
	f->data = d->data.p;
	f->len = d->data.n;
	f->ended = d->data.n == 0;
	return 0;
}

static int take_done(struct msb_file *f, struct err *err)
{
	const struct proto_msg *m;
	int r = files_call_next(&f->call, PROTO_FILE_DONE, &m, err);

	f->over = r == 0;
	return r < 0 ? r : files_call_result(&m->file_done, err);
}

static int64_t get_some(struct msb_file *f, uint8_t *data, size_t len,
                        struct err *err)
{
	uint64_t n;
	int r = 0;

	while (r == 0 && f->len == 0 && !f->ended)
		r = next_piece(f, err);
	if (r < 0)
		return r;
	if (f->pos < f->off) { /* a hole before it */
		n = MIN(f->off - f->pos, len);
		memset(data, 0, n);
	} else if (f->ended) {
		return f->over ? 0 : take_done(f, err);
	} else {
		n = MIN(f->len, len);
		memcpy(data, f->data, n);
		f->data += n;
		f->off += n;
		f->len -= n;
	}
	f->pos += n;
	return (int64_t)n;
}

int64_t msb_file_get(struct msb_file *f, void *data, size_t len,
                     struct msb_error *error)
{
	struct err err = {0};
	int64_t n;

	if (f->mode != MSB_FILE_READ)
		return error_set(error, -EINVAL, "it is open for writing");
	if (f->broken.code)
		return error_return(error, f->broken.code, &f->broken);
	if (len == 0)
		return 0;
	n = get_some(f, data, MIN(len, INT64_MAX), &err);
	if (n == -ECANCELED) /* what has come of it stays */
		return error_return(error, (int)n, &err);
	if (n < 0)
		return error_return(error, file_lost(f, (int)n, &err), &err);
	return n;
}

static int read_whole(struct msb_file *f, size_t max, const char *path,
                      struct buf *b, struct err *err)
{
	int64_t n = 1;

	if (f->size > max)
		return err_set(err, -ENOSPC, "%s has %llu bytes: more than %zu",
		               path, (unsigned long long)f->size, max);
	while (n > 0) {
		if (cancel_check(err) < 0)
			return -ECANCELED;
		if (buf_reserve(b, PROTO_FILE_MAX) < 0)
			return err_set(err, -ENOMEM, "out of memory");
		n = get_some(f, b->data + b->len, PROTO_FILE_MAX, err);
		if (n > 0)
			buf_commit(b, (size_t)n);
		if (b->len > max)
			return err_set(err, -ENOSPC,
			               "%s has more than %zu bytes", path, max);
	}
	return (int)n;
}

int msb_file_read(struct msb_sandbox *sb, const char *path, size_t max,
                  void **ret_data, size_t *ret_len, struct msb_error *error)
{
	struct msb_file_opts o = MSB_FILE_OPTS_INIT;
	struct buf cleanup_buf b = BUF_INIT;
	struct msb_file *f = NULL;
	struct err err = {0};
	size_t len;
	void *data;
	int r;

	if (max == 0)
		max = FILES_READ_DEFAULT;
	b.max = max > SIZE_MAX / 2 ? max : max + 2 * PROTO_FILE_MAX;
	o.mode = MSB_FILE_READ;
	r = open_file(sb, path, &o, &f, &err);
	if (r == 0)
		r = read_whole(f, max, path, &b, &err);
	msb_file_close(f);
	if (r < 0)
		return error_return(error, r, &err);
	len = b.len;
	data = buf_steal(&b);
	if (!data)
		return error_set(error, -ENOMEM, "out of memory");
	*ret_data = data;
	*ret_len = len;
	return 0;
}

void msb_free(void *data)
{
	free(data);
}

/* ---- write --------------------------------------------------------------- */

static int put_all(struct msb_file *f, const uint8_t *data, size_t len,
                   struct err *err)
{
	struct files_sink sink = files_call_sink(&f->call);
	int r = 0;

	while (len > 0 && r == 0) {
		uint32_t n = (uint32_t)MIN(len, PROTO_FILE_MAX);

		r = cancel_check(err);
		if (r < 0)
			break;
		r = sink.data(sink.arg, f->pos, data, n, err);
		f->pos += n;
		data += n;
		len -= n;
	}
	return r;
}

int msb_file_put(struct msb_file *f, const void *data, size_t len,
                 struct msb_error *error)
{
	struct err err = {0};
	int r;

	if (f->mode != MSB_FILE_WRITE || f->over)
		return error_set(error, -EINVAL, "it is not open for writing");
	if (f->broken.code)
		return error_return(error, f->broken.code, &f->broken);
	r = put_all(f, data, len, &err);
	if (r < 0)
		return error_return(error, file_lost(f, r, &err), &err);
	return 0;
}

int msb_file_finish(struct msb_file *f, struct msb_error *error)
{
	struct err err = {0};
	int r;

	if (f->broken.code)
		return error_return(error, f->broken.code, &f->broken);
	if (f->mode != MSB_FILE_WRITE || f->over)
		return 0;
	f->over = true;
	r = files_call_finish(&f->call, NULL, &err);
	if (r < 0)
		return error_return(error, file_lost(f, r, &err), &err);
	return 0;
}

int msb_file_write(struct msb_sandbox *sb, const char *path, const void *data,
                   size_t len, uint32_t mode, uint32_t flags,
                   struct msb_error *error)
{
	struct msb_file_opts o = MSB_FILE_OPTS_INIT;
	struct msb_file *f = NULL;
	struct err err = {0};
	int r;

	o.mode = MSB_FILE_WRITE;
	o.flags = flags;
	o.permissions = mode;
	r = open_file(sb, path, &o, &f, &err);
	if (r == 0)
		r = put_all(f, data, len, &err);
	if (r == 0)
		r = files_call_finish(&f->call, NULL, &err);
	msb_file_close(f);
	return r < 0 ? error_return(error, r, &err) : 0;
}
