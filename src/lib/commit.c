/*
 * commit.c - what was written in a sandbox becomes a layer of a new image.
 *
 * The upper is read by the agent inside, never here: nothing of the host looks
 * at a file system that a guest wrote. It comes as a tree with whiteouts and
 * is turned into a layer's tar by a thread of its own; layer_ingest() at the
 * other end of a socket pair sees a layer like any that a registry sends.
 *
 * Of a sandbox that runs, each file is as it is when it is read, and what had
 * been written before is on its disk; nothing is frozen meanwhile. For one
 * moment for all files, stop it first: then a machine is started for this
 * alone, without its commands.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/num.h"
#include "image/commit.h"
#include "lib/copy_tar.h"
#include "lib/error.h"
#include "lib/files.h"
#include "lib/home.h"
#include "lib/options.h"
#include "lib/sandbox.h"

#include "base/banned.h"

#define STOP_MS 10000u

struct pump {
	struct files_call call;
	struct copy_tar tar;
	pthread_t thread;
	struct cancel *token; /* of who commits */
	int in, out;          /* the socket pair */
	bool joined;
	int result; /* of the thread */
	struct err err;
};

static int put_out(void *arg, const void *data, size_t len, struct err *err)
{
	struct pump *p = arg;
	const uint8_t *at = data;

	while (len > 0) {
		struct pollfd pf = {.fd = p->in, .events = POLLOUT};
		ssize_t n;

		if (cancel_poll(&pf, 1, -1) == -ECANCELED)
			return err_set(err, -ECANCELED, "cancelled");
		n = send(p->in, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return err_set(err, -errno, "the layer's reader ended");
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static void *pump_run(void *arg)
{
	struct pump *p = arg;
	struct files_sink sink = copy_tar_sink(&p->tar);

	(void)cancel_use(p->token);
	p->result = files_call_receive(&p->call, &sink, NULL, &p->err);
	if (p->result == 0)
		p->result = copy_tar_finish(&p->tar, &p->err);
	copy_tar_release(&p->tar);
	(void)shutdown(p->in, SHUT_WR);
	return NULL;
}

static void pump_join(struct pump *p)
{
	if (!p->joined)
		(void)pthread_join(p->thread, NULL);
	p->joined = true;
}

/* The end is the end only if all went well. */
static ssize_t pump_read(void *arg, void *data, size_t len, struct err *err)
{
	struct pump *p = arg;
	ssize_t n;

	do
		n = cancel_read(p->out, data, len);
	while (n == -EINTR);
	if (n == -ECANCELED)
		return err_set(err, (int)n, "cancelled");
	if (n < 0)
		return err_set(err, (int)n, "cannot read the layer: %s",
		               strerror((int)-n));
	if (n > 0)
		return n;
	pump_join(p);
	if (p->result < 0 && err)
		*err = p->err;
	return p->result;
}

static int pump_start(struct pump *p, struct msb_sandbox *sb, struct err *err)
{
	struct proto_file_req req = {
		.op = PROTO_FILE_UPPER_READ, .path = "", .path2 = ""};
	int pair[2], r = files_call_open(&p->call, sb, &req, err);

	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, -errno, "cannot make a socket pair: %s",
		               strerror(errno));
	p->token = cancel_now();
	p->in = pair[0];
	p->out = pair[1];
	p->tar = (struct copy_tar){
		.put = put_out, .arg = p, .name = ".", .layer = true};
	r = pthread_create(&p->thread, NULL, pump_run, p);
	p->joined = r != 0;
	return r ? err_set(err, -r, "cannot start a thread: %s", strerror(r))
	         : 0;
}

static void pump_release(struct pump *p)
{
	if (p->out >= 0)
		(void)shutdown(p->out, SHUT_RDWR);
	if (p->call.sock >= 0)
		(void)shutdown(p->call.sock, SHUT_RDWR);
	pump_join(p);
	close_fd(&p->in);
	close_fd(&p->out);
	files_call_release(&p->call);
}

static int commit_one(struct msb_sandbox *sb, const struct commit_info *info,
                      struct digest *ret, struct err *err)
{
	struct pump p cleanup(pump_release) = {
		.call = FILES_CALL_INIT, .in = -1, .out = -1, .joined = true};
	struct layer_source src = {pump_read, &p};
	struct store *s = sb->home->store;
	struct image base = {0};
	int r = sb->config.root.kind == ROOT_IMAGE
	                ? image_find_pinned(s, sb->id, &base, err)
	                : 0;

	if (r < 0)
		return err_wrap(err, "the image of %s", sb->name);
	if (!base.config_json)
		r = err_set(err, -EOPNOTSUPP,
		            "%s has no image but a folder or a disk as its "
		            "root: there is nothing that a layer could go on",
		            sb->name);
	if (r == 0)
		r = pump_start(&p, sb, err);
	if (r == 0)
		r = image_commit(s, &base, &src, info, ret, err);
	image_release(&base);
	return r;
}

/* Join it, or start it for a while: then *ret_started. */
static int reach(struct msb_home *home, const char *name,
                 struct msb_sandbox **ret, bool *ret_started,
                 struct msb_error *error)
{
	int r = msb_sandbox_open(home, name, ret, error);

	*ret_started = false;
	if (r != -MSB_ERR_GONE)
		return r;
	r = msb_sandbox_start(home, name, NULL, ret, error);
	if (r == 0)
		r = msb_sandbox_wait_ready(*ret, -1, error);
	if (r == 0)
		*ret_started = true;
	return r;
}

static int take_opts(const struct msb_commit_opts *opts, const char *reference,
                     struct commit_info *ret, struct err *err)
{
	struct msb_commit_opts o = MSB_COMMIT_OPTS_INIT;

	if (!options_take(&o, sizeof(o), opts))
		return err_set(err, -EINVAL, "msb_commit_opts: wrong size");
	*ret = (struct commit_info){.reference = reference,
	                            .author = o.author,
	                            .message = o.message,
	                            .created_by = "msb commit",
	                            .changes = o.changes};
	return commit_check(ret, err);
}

int msb_image_commit(struct msb_home *home, const char *sandbox,
                     const char *reference, const struct msb_commit_opts *opts,
                     char **ret_id, struct msb_error *error)
{
	char text[DIGEST_TEXT_LEN + 1];
	struct msb_sandbox *sb = NULL;
	struct commit_info info;
	struct err err = {0};
	struct digest id;
	bool started = false;
	int r = take_opts(opts, reference, &info, &err);

	if (r < 0)
		return error_return(error, r, &err);
	r = reach(home, sandbox, &sb, &started, error);
	if (r == 0) {
		r = commit_one(sb, &info, &id, &err);
		if (r < 0)
			r = error_return(error, r, &err);
	}
	/* One that was only started for this goes at once when it is in vain.
	 */
	if (started && r == 0)
		(void)msb_sandbox_stop(sb, STOP_MS, NULL);
	msb_sandbox_free(sb);
	if (r == 0 && ret_id) {
		*ret_id = strdup(digest_text(&id, text));
		if (!*ret_id)
			return error_set(error, -ENOMEM, "out of memory");
	}
	return r;
}
