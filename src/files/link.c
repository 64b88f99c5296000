#include "files/link.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "files/name.h"
#include "files/xattrs.h"

#include "base/banned.h"

#define IN_MAX   (PROTO_HEADER_LEN + PROTO_FRAME_MAX + FILES_LINK_CHUNK)
#define OUT_MAX  (FILES_LINK_CHUNK + 2 * (PROTO_FRAME_MAX + 4096))
#define ALIVE_NS (2 * NS_PER_S)
#define END_MAX  (1ULL << 62) /* no file is that long */

void files_link_init(struct files_link *l, int sock, int silence_ms)
{
	*l = (struct files_link){.sock = sock,
	                         .silence_ms = silence_ms,
	                         .in = BUF_INIT_MAX(IN_MAX),
	                         .out = BUF_INIT_MAX(OUT_MAX),
	                         .sent_ns = clock_now_ns()};
}

static void drop_msg(struct files_link *l)
{
	if (l->has_msg)
		proto_release(&l->msg);
	l->has_msg = false;
}

void files_link_release(struct files_link *l)
{
	drop_msg(l);
	buf_release(&l->in);
	buf_release(&l->out);
}

static int wait_for(struct files_link *l, short events)
{
	struct pollfd p = {.fd = l->sock, .events = events};
	uint64_t since = clock_now_ns();
	int r = 0, n;

	for (;;) {
		if (l->tick)
			r = l->tick(l->arg);
		if (r != 0)
			return r;
		n = poll(&p, 1, FILES_TICK_MS);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (l->silence_ms >= 0 &&
		    clock_now_ns() - since >
		            (uint64_t)l->silence_ms * NS_PER_MS)
			return -ETIMEDOUT;
	}
}

int files_link_flush(struct files_link *l)
{
	size_t done = 0;
	int r = 0;

	while (done < l->out.len && r == 0) {
		ssize_t n = send(l->sock, l->out.data + done, l->out.len - done,
		                 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			done += (size_t)n;
		} else if (errno == EAGAIN) {
			r = wait_for(l, POLLOUT);
		} else if (errno != EINTR) {
			r = -errno;
		}
	}
	l->sent_ns = clock_now_ns();
	buf_reset(&l->out);
	return r;
}

int files_link_send(struct files_link *l, const struct proto_msg *msg)
{
	int r = proto_encode(&l->out, msg);

	if (r == 0 && l->out.len >= FILES_LINK_CHUNK)
		r = files_link_flush(l);
	return r;
}

int files_link_alive(struct files_link *l)
{
	struct proto_msg ping = {.type = PROTO_PING};
	int r = 0;

	if (l->tick)
		r = l->tick(l->arg);
	if (r != 0 || clock_now_ns() - l->sent_ns < ALIVE_NS)
		return r;
	r = proto_encode(&l->out, &ping);
	return r < 0 ? r : files_link_flush(l);
}

static int fill(struct files_link *l)
{
	ssize_t n = -1;
	int r;

	if (l->in_off > 0) {
		buf_consume(&l->in, l->in_off);
		l->in_off = 0;
	}
	r = buf_reserve(&l->in, FILES_LINK_CHUNK);
	while (r == 0 && n < 0) {
		n = recv(l->sock, l->in.data + l->in.len, FILES_LINK_CHUNK,
		         MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			r = wait_for(l, POLLIN);
		else if (n < 0 && errno != EINTR)
			r = -errno;
	}
	if (r < 0)
		return r;
	if (n == 0)
		return -ECONNRESET;
	buf_commit(&l->in, (size_t)n);
	return 0;
}

static int decode(struct files_link *l)
{
	ssize_t n;

	drop_msg(l);
	if (l->in_off == l->in.len)
		return 0;
	n = proto_decode(l->in.data + l->in_off, l->in.len - l->in_off,
	                 &l->msg);
	if (n <= 0)
		return (int)n;
	l->in_off += (size_t)n;
	l->has_msg = true;
	return 1;
}

int files_link_next(struct files_link *l, const struct proto_msg **ret)
{
	int r = files_link_flush(l), have = 0;

	while (r == 0 && have == 0) {
		have = decode(l);
		if (have == 0)
			r = fill(l);
		else if (have > 0 && l->msg.type == PROTO_PING)
			have = 0; /* "at work" */
	}
	if (have < 0 || r < 0)
		return have < 0 ? have : r;
	*ret = &l->msg;
	return 0;
}

int files_link_poll(struct files_link *l)
{
	struct pollfd p = {.fd = l->sock, .events = POLLIN};

	return l->in_off < l->in.len || poll(&p, 1, 0) > 0;
}

/* ---- the sink ------------------------------------------------------------ */

static int send_entry(void *arg, const struct proto_file_entry *e,
                      struct err *err)
{
	struct proto_msg msg = {.type = PROTO_FILE_ENTRY, .file_entry = *e};
	int r = files_link_send(arg, &msg);

	return r < 0 ? err_set(err, r, "the connection: %s", strerror(-r)) : r;
}

static int send_data(void *arg, uint64_t off, const void *data, uint32_t len,
                     struct err *err)
{
	struct proto_msg msg = {
		.type = PROTO_FILE_DATA, .file_data = {off, {data, len}}
        };
	int r = files_link_send(arg, &msg);

	return r < 0 ? err_set(err, r, "the connection: %s", strerror(-r)) : r;
}

struct files_sink files_link_sink(struct files_link *l)
{
	return (struct files_sink){send_entry, send_data, l};
}

/* ---- receiving ----------------------------------------------------------- */

struct order {
	bool root, in_file;
	uint64_t off;
};

static int check_entry(struct order *o, const struct proto_file_entry *e)
{
	bool is_root = *e->path == '\0';

	if (o->in_file || is_root == o->root)
		return -EPROTO;
	if (!files_name_is_clean(e->path) || e->kind > PROTO_FILE_OPAQUE ||
	    e->mtime_ns >= NS_PER_S || e->size > END_MAX ||
	    !files_xattrs_are_sound(&e->xattrs))
		return -EPROTO;
	if (e->kind == PROTO_FILE_HARDLINK &&
	    (is_root || *e->target == '\0' || !files_name_is_clean(e->target)))
		return -EPROTO;
	if (e->kind == PROTO_FILE_PLAIN && S_ISLNK(e->mode) &&
	    (*e->target == '\0' || strlen(e->target) >= FILES_PATH_MAX))
		return -EPROTO;
	o->root = true;
	o->in_file = S_ISREG(e->mode) && e->kind == PROTO_FILE_PLAIN;
	o->off = 0;
	return 0;
}

static int check_data(struct order *o, const struct proto_file_data *d)
{
	if (!o->in_file || d->offset < o->off || d->data.n > PROTO_FILE_MAX ||
	    d->offset > END_MAX)
		return -EPROTO;
	o->off = d->offset + d->data.n;
	o->in_file = d->data.n > 0;
	return 0;
}

static int take(const struct proto_msg *m, struct order *o,
                const struct files_sink *sink, struct err *err)
{
	const struct proto_file_data *d = &m->file_data;
	int r = -EPROTO;

	if (m->type == PROTO_FILE_ENTRY) {
		r = check_entry(o, &m->file_entry);
		if (r == 0)
			return sink->entry(sink->arg, &m->file_entry, err);
	} else if (m->type == PROTO_FILE_DATA) {
		r = check_data(o, d);
		if (r == 0)
			return sink->data(sink->arg, d->offset, d->data.p,
			                  d->data.n, err);
	}
	return err_set(err, r, "the file session breaks the protocol (%s)",
	               proto_type_name(m->type));
}

int files_link_receive(struct files_link *l, const struct files_sink *sink,
                       const struct proto_file_done **ret_done, struct err *err)
{
	const struct proto_msg *m;
	struct order o = {0};
	int r;

	for (;;) {
		r = files_link_next(l, &m);
		if (r < 0)
			return err_set(err, r, "the connection: %s",
			               strerror(-r));
		if (m->type == PROTO_FILE_DONE)
			break;
		r = take(m, &o, sink, err);
		if (r < 0)
			return r;
	}
	if (o.in_file && m->file_done.error == 0)
		return err_set(err, -EPROTO,
		               "the file session ends within a file");
	*ret_done = &m->file_done;
	return 0;
}
