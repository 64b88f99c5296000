#include "lib/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/num.h"
#include "lib/error.h"
#include "lib/sandbox.h"

#include "base/banned.h"

#define ERRNO_MAX 4095

static int tick(void *arg)
{
	(void)arg;
	return cancel_fired() ? -ECANCELED : 0;
}

int files_call_begin(struct files_call *c, struct msb_sandbox *sandbox,
                     int sock, const struct proto_file_req *req,
                     struct err *err)
{
	struct proto_msg msg = {.type = PROTO_FILE_REQ, .file_req = *req};
	int r;

	c->sandbox = sandbox;
	c->sock = sock;
	files_link_init(&c->link, sock, FILES_SILENCE_MS);
	c->link.tick = tick;
	r = files_link_send(&c->link, &msg);
	if (r == -E2BIG || r == -EINVAL)
		return err_set(err, -EINVAL, "the path is too long");
	if (r == 0)
		r = files_link_flush(&c->link);
	return r < 0 ? files_call_lost(c, r, err) : 0;
}

int files_call_open(struct files_call *c, struct msb_sandbox *sandbox,
                    const struct proto_file_req *req, struct err *err)
{
	int sock = sandbox_connect(sandbox, PROTO_PORT_AGENT);

	if (sock == -LIB_EGONE || sock == -EPIPE || sock == -ECONNRESET)
		return sandbox_lost(sandbox, err);
	if (sock == -ECANCELED)
		return err_set(err, sock, "cancelled");
	if (sock < 0)
		return err_set(err, sock, "cannot reach the agent: %s",
		               strerror(-sock));
	return files_call_begin(c, sandbox, sock, req, err);
}

void files_call_release(struct files_call *c)
{
	if (c->sock >= 0)
		files_link_release(&c->link);
	close_fd(&c->sock);
}

int files_call_result(const struct proto_file_done *done, struct err *err)
{
	int code = done->error;

	if (code == 0)
		return 0;
	if (code < 0 || code > ERRNO_MAX)
		code = EPROTO;
	return err_set(err, -code, "%s",
	               *done->message ? done->message : strerror(code));
}

/* Read what the guest still said: maybe the reason. */
static int last_word(struct files_call *c, struct err *err)
{
	const struct proto_msg *m;

	c->link.silence_ms = 1000;
	buf_reset(&c->link.out);
	for (int i = 0; i < 16 && files_link_next(&c->link, &m) == 0; i++)
		if (m->type == PROTO_FILE_DONE)
			return files_call_result(&m->file_done, err);
	return 0;
}

int files_call_lost(struct files_call *c, int r, struct err *err)
{
	int said = 0;

	if (r == -EPIPE || r == -ECONNRESET)
		said = last_word(c, err);
	if (said < 0)
		return said;
	if ((r == -EPIPE || r == -ECONNRESET) && c->sandbox)
		return sandbox_lost(c->sandbox, err);
	if (r == -ETIMEDOUT)
		return err_set(err, r,
		               "the sandbox's agent has said nothing for %d s",
		               FILES_SILENCE_MS / 1000);
	if (r == -ECANCELED)
		return err_set(err, r, "cancelled");
	if (r == -EPROTO)
		return err_set(err, r,
		               "the sandbox's agent breaks the "
		               "protocol of file sessions");
	return err_set(err, r, "the connection to the agent: %s", strerror(-r));
}

int files_call_next(struct files_call *c, enum proto_type type,
                    const struct proto_msg **ret, struct err *err)
{
	int r = files_link_next(&c->link, ret);

	if (r == 0 && (*ret)->type != type && (*ret)->type != PROTO_FILE_DONE)
		r = -EPROTO;
	return r < 0 ? files_call_lost(c, r, err) : 0;
}

int files_call_receive(struct files_call *c, const struct files_sink *sink,
                       uint64_t *ret_count, struct err *err)
{
	const struct proto_file_done *done;
	struct err why = {0};
	int r = files_link_receive(&c->link, sink, &done, &why);

	if (r == -ECONNRESET || r == -EPIPE || r == -ETIMEDOUT ||
	    r == -ECANCELED)
		return files_call_lost(c, r, err);
	if (r < 0) {
		if (err)
			*err = why;
		return r;
	}
	r = files_call_result(done, err);
	if (r == 0 && ret_count)
		*ret_count = done->count;
	return r;
}

int files_call_finish(struct files_call *c, uint64_t *ret_count,
                      struct err *err)
{
	struct proto_msg done = {.type = PROTO_FILE_DONE,
	                         .file_done = {.message = ""}};
	const struct proto_msg *m;
	int r = files_link_send(&c->link, &done);

	if (r < 0)
		return files_call_lost(c, r, err);
	r = files_call_next(c, PROTO_FILE_DONE, &m, err);
	if (r == 0)
		r = files_call_result(&m->file_done, err);
	if (r == 0 && ret_count)
		*ret_count = m->file_done.count;
	return r;
}

/* ---- the sink ------------------------------------------------------------ */

/* The guest speaks up in the middle only when it has failed. */
static int check_early(struct files_call *c, struct err *err)
{
	const struct proto_msg *m;
	int r;

	if (!files_link_poll(&c->link))
		return 0;
	/* What is half sent does not matter any more. */
	r = files_call_next(c, PROTO_FILE_DONE, &m, err);
	if (r == 0)
		r = files_call_result(&m->file_done, err);
	return r < 0 ? r : files_call_lost(c, -EPROTO, err);
}

static int send_one(struct files_call *c, const struct proto_msg *msg,
                    struct err *err)
{
	int r = check_early(c, err);

	if (r < 0)
		return r;
	r = files_link_send(&c->link, msg);
	if (r == -E2BIG || r == -EINVAL)
		return err_set(
			err, r, "%s: its name or attributes are too long",
			msg->type == PROTO_FILE_ENTRY ? msg->file_entry.path
						      : "it");
	return r < 0 ? files_call_lost(c, r, err) : 0;
}

static int send_entry(void *arg, const struct proto_file_entry *e,
                      struct err *err)
{
	struct proto_msg msg = {.type = PROTO_FILE_ENTRY, .file_entry = *e};

	return send_one(arg, &msg, err);
}

static int send_data(void *arg, uint64_t off, const void *data, uint32_t len,
                     struct err *err)
{
	struct proto_msg msg = {
		.type = PROTO_FILE_DATA, .file_data = {off, {data, len}}
        };

	return send_one(arg, &msg, err);
}

struct files_sink files_call_sink(struct files_call *c)
{
	return (struct files_sink){send_entry, send_data, c};
}

int files_call_simple(struct msb_sandbox *sandbox,
                      const struct proto_file_req *req, struct msb_error *error)
{
	struct files_call cleanup_files_call c = FILES_CALL_INIT;
	const struct proto_msg *m;
	struct err err = {0};
	int r = files_call_open(&c, sandbox, req, &err);

	if (r == 0)
		r = files_call_next(&c, PROTO_FILE_DONE, &m, &err);
	if (r == 0)
		r = files_call_result(&m->file_done, &err);
	return r < 0 ? error_return(error, r, &err) : 0;
}
