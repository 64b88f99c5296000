#include "lib/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "files/placer.h"
#include "files/walk.h"
#include "lib/error.h"
#include "lib/options.h"
#include "lib/sandbox.h"

#include "base/banned.h"

#define EVENT_NS (50 * NS_PER_MS)

/* ---- progress ------------------------------------------------------------ */

int copy_meter_init(struct copy_meter *m, const struct msb_copy_opts *opts,
                    struct err *err)
{
	*m = (struct copy_meter){.opts = MSB_COPY_OPTS_INIT};
	if (!options_take(&m->opts, sizeof(m->opts), opts))
		return err_set(err, -EINVAL, "msb_copy_opts: wrong size");
	return 0;
}

int copy_meter_tick(void *arg)
{
	struct copy_meter *m = arg;
	struct msb_copy_event ev = {m->path, m->files, m->bytes};
	uint64_t now;

	if (cancel_fired())
		return -ECANCELED;
	if (!m->opts.event)
		return 0;
	now = clock_now_ns();
	if (now < m->due_ns)
		return 0;
	m->due_ns = now + EVENT_NS;
	return m->opts.event(m->opts.event_arg, &ev) ? -ECANCELED : 0;
}

static int tick(struct copy_meter *m, struct err *err)
{
	return copy_meter_tick(m) ? err_set(err, -ECANCELED, "cancelled") : 0;
}

static int meter_entry(void *arg, const struct proto_file_entry *e,
                       struct err *err)
{
	struct copy_meter *m = arg;
	int r;

	(void)snprintf(m->path, sizeof(m->path), "%s", e->path);
	r = m->to.entry(m->to.arg, e, err);
	if (r < 0)
		return r;
	m->files++;
	return tick(m, err);
}

static int meter_data(void *arg, uint64_t off, const void *data, uint32_t len,
                      struct err *err)
{
	struct copy_meter *m = arg;
	int r = m->to.data(m->to.arg, off, data, len, err);

	if (r < 0)
		return r;
	m->bytes += len;
	return tick(m, err);
}

struct files_sink copy_meter_sink(struct copy_meter *m,
                                  const struct files_sink *to)
{
	m->to = *to;
	return (struct files_sink){meter_entry, meter_data, m};
}

/* ---- asking -------------------------------------------------------------- */

int copy_ask_out(struct files_call *c, struct msb_sandbox *sandbox,
                 const char *from, struct copy_meter *m,
                 struct files_source *ret_source, struct err *err)
{
	struct files_source src;
	struct proto_file_req req = {.op = PROTO_FILE_TREE_READ, .path2 = ""};
	int r = files_source_parse(from, &src, err);

	if (r < 0)
		return r;
	if (m->opts.flags & MSB_COPY_CONTENT)
		src.content = src.folder = true;
	req.path = src.path;
	if (src.folder)
		req.flags |= PROTO_FILE_CONTENT;
	else if (!(m->opts.flags & MSB_COPY_FOLLOW))
		req.flags |= PROTO_FILE_NO_FOLLOW;
	*ret_source = src;
	r = files_call_open(c, sandbox, &req, err);
	if (c->sock >= 0) {
		c->link.tick = copy_meter_tick;
		c->link.arg = m;
	}
	return r;
}

int copy_ask_in(struct files_call *c, struct msb_sandbox *sandbox,
                const char *to, const char *name, bool content, bool parents,
                struct copy_meter *m, struct err *err)
{
	struct proto_file_req req = {
		.op = PROTO_FILE_TREE_WRITE, .path = to, .path2 = name};
	int r;

	if (*to == '\0')
		return err_set(err, -EINVAL, "the target has no name");
	if (m->opts.flags & MSB_COPY_OWNER)
		req.flags |= PROTO_FILE_OWNER;
	if (content)
		req.flags |= PROTO_FILE_CONTENT;
	if (parents)
		req.flags |= PROTO_FILE_PARENTS;
	r = files_call_open(c, sandbox, &req, err);
	if (c->sock >= 0) {
		c->link.tick = copy_meter_tick;
		c->link.arg = m;
	}
	return r;
}

/* ---- out ----------------------------------------------------------------- */

int copy_receive(struct files_call *c, const struct files_source *src,
                 const char *to, struct copy_meter *m, struct err *err)
{
	struct files_placer p = {.to = to,
	                         .name = src->name,
	                         .content = src->content,
	                         .flags = FILES_WRITE_STRICT |
	                                  (m->opts.flags & MSB_COPY_OWNER
	                                           ? FILES_WRITE_OWNER
	                                           : 0)};
	struct files_sink placed = files_placer_sink(&p);
	struct files_sink sink = copy_meter_sink(m, &placed);
	int r = files_call_receive(c, &sink, NULL, err);

	return files_placer_end(&p, r, err);
}

int msb_copy_out(struct msb_sandbox *sb, const char *from, const char *to,
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
		r = copy_receive(&c, &src, to, &m, &err);
	return r < 0 ? error_return(error, r, &err) : 0;
}

/* ---- in ------------------------------------------------------------------ */

static int send_tree(struct files_call *c, const struct files_source *src,
                     struct copy_meter *m, struct err *err)
{
	struct files_sink call = files_call_sink(c);
	struct files_sink sink = copy_meter_sink(m, &call);
	uint32_t flags = 0;
	int r;

	if (src->folder || m->opts.flags & MSB_COPY_FOLLOW)
		flags |= FILES_WALK_FOLLOW;
	if (src->folder)
		flags |= FILES_WALK_DIR;
	r = files_walk(AT_FDCWD, src->path, flags, NULL, &sink, err);
	return r < 0 ? r : files_call_finish(c, NULL, err);
}

static int copy_in(struct msb_sandbox *sb, const char *from, const char *to,
                   struct copy_meter *m, struct err *err)
{
	struct files_call cleanup_files_call c = FILES_CALL_INIT;
	struct files_source src;
	int r = files_source_parse(from, &src, err);

	if (r < 0)
		return r;
	if (m->opts.flags & MSB_COPY_CONTENT)
		src.content = src.folder = true;
	/* Before the guest hears of it. */
	if (faccessat(AT_FDCWD, src.path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(err, -errno, "%s: %s", src.path,
		               strerror(errno));
	r = copy_ask_in(&c, sb, to, src.name, src.content, false, m, err);
	return r < 0 ? r : send_tree(&c, &src, m, err);
}

int msb_copy_in(struct msb_sandbox *sb, const char *from, const char *to,
                const struct msb_copy_opts *opts, struct msb_error *error)
{
	struct copy_meter m;
	struct err err = {0};
	int r = copy_meter_init(&m, opts, &err);

	if (r == 0)
		r = copy_in(sb, from, to, &m, &err);
	return r < 0 ? error_return(error, r, &err) : 0;
}

/* ---- across -------------------------------------------------------------- */

int msb_copy_across(struct msb_sandbox *source, const char *from,
                    struct msb_sandbox *target, const char *to,
                    const struct msb_copy_opts *opts, struct msb_error *error)
{
	struct files_call cleanup_files_call out = FILES_CALL_INIT;
	struct files_call cleanup_files_call in = FILES_CALL_INIT;
	struct files_sink call, sink;
	struct files_source src;
	struct copy_meter m;
	struct err err = {0};
	int r = copy_meter_init(&m, opts, &err);

	if (r == 0)
		r = copy_ask_out(&out, source, from, &m, &src, &err);
	if (r == 0)
		r = copy_ask_in(&in, target, to, src.name, src.content, false,
		                &m, &err);
	if (r == 0) {
		call = files_call_sink(&in);
		sink = copy_meter_sink(&m, &call);
		r = files_call_receive(&out, &sink, NULL, &err);
	}
	if (r == 0)
		r = files_call_finish(&in, NULL, &err);
	return r < 0 ? error_return(error, r, &err) : 0;
}
