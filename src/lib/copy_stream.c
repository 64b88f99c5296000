/* copy_stream.c - tar streams out of a guest and into one. */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/fdio.h"
#include "base/num.h"
#include "image/layer_stream.h"
#include "image/tar_read.h"
#include "lib/copy.h"
#include "lib/copy_tar.h"
#include "lib/error.h"
#include "lib/sandbox.h"

#include "base/banned.h"

#define STREAM_MAX (1ULL << 50) /* bytes of an archive */

/* ---- out ----------------------------------------------------------------- */

static int put_fd(void *arg, const void *data, size_t len, struct err *err)
{
	int r = cancel_write_full(*(int *)arg, data, len);

	if (r == -ECANCELED)
		return err_set(err, r, "cancelled");
	return r < 0 ? err_set(err, r, "cannot write the archive: %s",
	                       strerror(-r))
	             : 0;
}

int copy_receive_tar(struct files_call *c, const struct files_source *src,
                     int fd, struct copy_meter *m, struct err *err)
{
	struct copy_tar t = {.put = put_fd,
	                     .arg = &fd,
	                     .name = src->content ? "." : src->name};
	struct files_sink tar = copy_tar_sink(&t);
	struct files_sink sink = copy_meter_sink(m, &tar);
	int r = files_call_receive(c, &sink, NULL, err);

	if (r == 0)
		r = copy_tar_finish(&t, err);
	copy_tar_release(&t);
	return r;
}

int msb_copy_out_tar(struct msb_sandbox *sb, const char *from, int fd,
                     const struct msb_copy_opts *opts, struct msb_error *error)
{
	struct files_call cleanup_files_call c = FILES_CALL_INIT;
	struct files_source src;
	struct copy_meter m;
	struct err err = {0};
	int r = copy_meter_init(&m, opts, &err);

	if (r == 0)
		r = copy_ask_out(&c, sb, from, &m, &src, &err);
	if (r == 0)
		r = copy_receive_tar(&c, &src, fd, &m, &err);
	return r < 0 ? error_return(error, r, &err) : 0;
}

/* ---- in ------------------------------------------------------------------ */

/* Where an archive's bytes come from; read by the inflating thread. */
struct archive {
	int fd;
	atomic_bool stop;
};

static ssize_t read_archive(void *arg, void *data, size_t len, struct err *err)
{
	struct archive *a = arg;
	struct pollfd p = {.fd = a->fd, .events = POLLIN};
	ssize_t n = -1;

	while (n < 0) {
		if (atomic_load(&a->stop) || cancel_fired())
			return err_set(err, -ECANCELED, "cancelled");
		if (poll(&p, 1, FILES_TICK_MS) == 0)
			continue;
		n = read(a->fd, data, len);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return err_set(err, -errno,
			               "cannot read the archive: %s",
			               strerror(errno));
	}
	return n;
}

/*
 * A name of an archive as one of a tree: "./" and "/" before it and slashes
 * behind it mean nothing. 1, 0 for the root itself, -EBADMSG.
 */
static int clean(const char *name, char *out)
{
	size_t len = 0;

	while (*name) {
		size_t n = strcspn(name, "/");

		if (n == 2 && name[0] == '.' && name[1] == '.')
			return -EBADMSG;
		if (n > 0 && !(n == 1 && *name == '.')) {
			if (n >= FILES_NAME_MAX || len + n + 2 > FILES_PATH_MAX)
				return -ENAMETOOLONG;
			if (len)
				out[len++] = '/';
			memcpy(out + len, name, n);
			len += n;
		}
		name += n + (name[n] == '/');
	}
	out[len] = '\0';
	return len > 0;
}

struct feeding {
	struct tar_reader tar;
	struct files_sink sink;
	char path[FILES_PATH_MAX], link[FILES_PATH_MAX];
};

static int feed_content(struct feeding *f, uint64_t size, struct err *err)
{
	struct tar_piece p;
	int r = tar_data(&f->tar, &p, err);

	while (r > 0) {
		uint32_t n = (uint32_t)MIN(p.len, PROTO_FILE_MAX);

		r = f->sink.data(f->sink.arg, p.off, p.data, n, err);
		p.off += n;
		p.data += n;
		p.len -= n;
		if (r == 0 && p.len == 0)
			r = tar_data(&f->tar, &p, err);
		else if (r == 0)
			r = 1;
	}
	return r < 0 ? r : f->sink.data(f->sink.arg, size, NULL, 0, err);
}

static const mode_t modes[] = {
	[TAR_REG - '0'] = S_IFREG,  [TAR_HARD - '0'] = S_IFREG,
	[TAR_SYM - '0'] = S_IFLNK,  [TAR_DIR - '0'] = S_IFDIR,
	[TAR_FIFO - '0'] = S_IFIFO,
};

static int feed_entry(struct feeding *f, const struct tar_entry *t,
                      struct err *err)
{
	struct proto_file_entry e = {
		.path = f->path,
		.target = "",
		.uid = t->uid,
		.gid = t->gid,
		.nlink = 1,
		.size = t->size,
		.allocated = t->size,
		.mtime_s = (uint64_t)t->mtime,
		.mtime_ns = t->mtime_ns,
		.xattrs = {t->xattrs, (uint32_t)t->xattrs_len}
        };
	int r = clean(t->path, f->path);

	if (r == 0 || t->type == TAR_CHR || t->type == TAR_BLK)
		return 0;
	if (r > 0 && t->type == TAR_HARD) {
		e.kind = PROTO_FILE_HARDLINK;
		e.target = f->link;
		r = clean(t->link, f->link);
		if (r == 0)
			r = -EBADMSG;
	} else if (t->type == TAR_SYM) {
		e.target = t->link;
	}
	if (r < 0)
		return tar_error(&f->tar, err, r, "its name leads out");
	e.mode = (t->mode & 07777) | modes[t->type - '0'];
	r = f->sink.entry(f->sink.arg, &e, err);
	if (r == 0 && t->type == TAR_REG)
		r = feed_content(f, t->size, err);
	return r;
}

static int feed(struct layer_stream *stream, const struct files_sink *sink,
                struct err *err)
{
	const struct tar_source src = {layer_stream_next, NULL, stream};
	struct proto_file_entry root = {
		.path = "", .target = "", .mode = S_IFDIR | 0755, .nlink = 1};
	struct feeding f = {.sink = *sink};
	struct tar_entry t;
	int r = sink->entry(sink->arg, &root, err);

	tar_init(&f.tar, &src);
	while (r == 0) {
		r = tar_next(&f.tar, &t, err);
		if (r <= 0)
			break;
		r = feed_entry(&f, &t, err);
	}
	tar_release(&f.tar);
	return r;
}

/* Only into a folder that is there. */
static int check_folder(struct msb_sandbox *sb, const char *to, struct err *err)
{
	struct files_call cleanup_files_call c = FILES_CALL_INIT;
	struct proto_file_req req = {
		.op = PROTO_FILE_STAT, .path = to, .path2 = ""};
	struct msb_file_info info;
	cleanup_free char *text = NULL;
	int r = files_call_open(&c, sb, &req, err);

	if (r == 0)
		r = files_stat(&c, &info, &text, err);
	if (r == 0 && !S_ISDIR(info.mode))
		return err_set(err, -ENOTDIR,
		               "%s is not a folder: an archive is put into one",
		               to);
	return r;
}

static int copy_in_tar(struct msb_sandbox *sb, int fd, const char *to,
                       struct copy_meter *m, struct err *err)
{
	const struct layer_limits limits = {.tar_bytes = STREAM_MAX,
	                                    .ratio = UINT32_MAX};
	struct files_call cleanup_files_call c = FILES_CALL_INIT;
	struct layer_stream *stream = NULL;
	struct archive a = {.fd = fd};
	struct layer_source src = {read_archive, &a};
	struct files_sink call, sink;
	int r = check_folder(sb, to, err);

	if (r == 0)
		r = copy_ask_in(&c, sb, to, "", true, true, m, err);
	if (r == 0)
		r = layer_stream_new(&src, &limits, &stream, err);
	if (r == 0) {
		call = files_call_sink(&c);
		sink = copy_meter_sink(m, &call);
		r = feed(stream, &sink, err);
	}
	atomic_store(&a.stop, true);
	layer_stream_free(stream);
	return r < 0 ? r : files_call_finish(&c, NULL, err);
}

int msb_copy_in_tar(struct msb_sandbox *sb, int fd, const char *to,
                    const struct msb_copy_opts *opts, struct msb_error *error)
{
	struct copy_meter m;
	struct err err = {0};
	int r = copy_meter_init(&m, opts, &err);

	if (r == 0)
		r = copy_in_tar(sb, fd, to, &m, &err);
	return r < 0 ? error_return(error, r, &err) : 0;
}
