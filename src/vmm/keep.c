#include "vmm/keep.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "virtio/vsock.h"

#include "base/banned.h"

/* What is read of one session before the others have their turn. */
#define TURN_MAX (64u << 10)
/* Turns that hold more than a socket whose other end is closed. */
#define READ_OUT_TURNS 32

static void forget(struct kept *s)
{
	struct keep *k = s->set;

	loop_del(k->loop, &s->src);
	loop_timer_del(k->loop, &s->soon);
	vsock_unfollow(k->vsock, s);
	close_fd(&s->fd);
	buf_release(&s->in);
	*s = (struct kept){.set = k, .fd = -1};
}

/* The session is over; the machine may be on its way out afterwards. */
static void end(struct kept *s, int code)
{
	const struct keep_events *ev = &s->set->events;
	const uint64_t session = s->session;
	const bool is_main = s->is_main;

	forget(s);
	ev->ended(ev->arg, session, is_main, code);
}

static void breach(struct kept *s, const char *why)
{
	log_limited(LOG_WARN, "kept session %llu: the guest's agent: %s",
	            (unsigned long long)s->session, why);
	end(s, KEEP_NO_CODE);
}

/* ---- frames ------------------------------------------------------------ */

static void output(struct kept *s, enum reclog_source source,
                   const struct proto_bytes *data)
{
	const struct keep_events *ev = &s->set->events;

	if (data->n && !s->no_log)
		ev->output(ev->arg, s->tty ? RECLOG_OUTPUT : source, s->session,
		           data->p, data->n);
}

/* Handlers return NULL, or which rule was broken; EXITED frees the session. */

static const char *on_stdout(struct kept *s, const struct proto_msg *m)
{
	output(s, RECLOG_STDOUT, &m->stdout_data.data);
	return NULL;
}

static const char *on_stderr(struct kept *s, const struct proto_msg *m)
{
	output(s, RECLOG_STDERR, &m->stderr_data.data);
	return NULL;
}

static const char *on_ack(struct kept *s, const struct proto_msg *m)
{
	if (m->stdin_ack.count > s->unacked)
		return "it confirms input that nobody sent";
	s->unacked -= m->stdin_ack.count;
	return NULL;
}

static bool exit_code(const struct proto_exited *m, int *ret)
{
	if (m->signo >= NSIG || (!m->signo && (m->code < 0 || m->code > 255)))
		return false;
	*ret = m->signo ? 128 + (int)m->signo : m->code;
	return true;
}

static const char *on_exited(struct kept *s, const struct proto_msg *m)
{
	int code;

	if (!exit_code(&m->exited, &code))
		return "no command can end like that";
	end(s, code);
	return NULL;
}

static const struct {
	enum proto_type type;
	const char *(*fn)(struct kept *s, const struct proto_msg *m);
} handlers[] = {
	{PROTO_STDOUT,    on_stdout},
	{PROTO_STDERR,    on_stderr},
	{PROTO_STDIN_ACK, on_ack   },
	{PROTO_EXITED,    on_exited},
};

static const char *dispatch(struct kept *s, const struct proto_msg *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
		if (handlers[i].type == m->type)
			return handlers[i].fn(s, m);
	return "it sent a message out of order";
}

/* One frame at @p: its length, 0 (not whole), or a breach in @ret_why. */
static size_t take_frame(struct kept *s, const uint8_t *p, size_t len,
                         const char **ret_why)
{
	struct proto_msg cleanup_proto m = {0};
	ssize_t n;

	if (len >= PROTO_HEADER_LEN &&
	    get_le32(p) > KEEP_FRAME_MAX - PROTO_HEADER_LEN) {
		*ret_why = "it sent a frame that is too long";
		return 0;
	}
	n = len ? proto_decode(p, len, &m) : 0;
	if (n < 0)
		*ret_why = "it sent what is no message";
	else if (n > 0)
		*ret_why = dispatch(s, &m);
	return n > 0 ? (size_t)n : 0;
}

/*
 * All whole frames at @p; how many bytes. Not more once the session has ended,
 * which its number tells.
 */
static size_t take_frames(struct kept *s, const uint8_t *p, size_t len)
{
	const uint64_t session = s->session;
	const char *why = NULL;
	size_t done = 0, n;

	do {
		n = take_frame(s, p + done, len - done, &why);
		if (why) {
			breach(s, why);
			return len;
		}
		done += n;
	} while (n && s->session == session);
	return done;
}

/* ---- the descriptor ---------------------------------------------------- */

/* The bytes of @in stay in their memory while the session may go away. */
static void use_input(struct kept *s)
{
	struct buf cleanup_buf b = s->in;
	size_t done;

	s->in = (struct buf)BUF_INIT_MAX(b.max);
	done = take_frames(s, b.data, b.len);
	if (!s->session || done == b.len)
		return;
	buf_consume(&b, done);
	s->in = b;
	b = (struct buf){0};
}

/* Read once. The count, 0 when nothing is there, < 0 when it is over. */
static ssize_t read_some(struct kept *s)
{
	ssize_t n;

	if (buf_reserve(&s->in, TURN_MAX) < 0)
		return -ENOMEM;
	do {
		n = recv(s->fd, s->in.data + s->in.len, TURN_MAX, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return -ECONNRESET;
	buf_commit(&s->in, (size_t)n);
	return n;
}

static void readable(void *arg, uint32_t events)
{
	struct kept *s = arg;
	ssize_t n = read_some(s);

	(void)events;
	if (n < 0)
		end(s, KEEP_NO_CODE);
	else
		use_input(s);
}

/* Its other end is closed: read what is there, to the end. */
static void read_out(struct kept *s)
{
	for (int i = 0; i < READ_OUT_TURNS && s->session; i++) {
		ssize_t n = read_some(s);

		if (n == 0)
			return;
		if (n < 0)
			end(s, KEEP_NO_CODE);
		else
			use_input(s);
	}
}

/* ---- ends that we do not hold ------------------------------------------ */

static void lent_one_ended(void *arg)
{
	struct kept *s = arg;

	end(s, s->code);
}

static int last_words(const uint8_t *last, size_t n)
{
	struct proto_msg cleanup_proto m = {0};
	int code = KEEP_NO_CODE;

	if (proto_decode(last, n, &m) == (ssize_t)n && n &&
	    m.type == PROTO_EXITED)
		(void)exit_code(&m.exited, &code);
	return code;
}

/* In the midst of the vsock device's work: what follows waits. */
static void other_end_closed(void *arg, const uint8_t *last, size_t n)
{
	struct kept *s = arg;

	s->gone = true;
	s->code = last_words(last, n);
	if (s->fd < 0)
		loop_timer_set(s->set->loop, &s->soon, 0, lent_one_ended, s);
}

void keep_lend(struct kept *s)
{
	loop_del(s->set->loop, &s->src);
	close_fd(&s->fd);
	buf_release(&s->in);
	if (!s->is_main)
		forget(s);
}

/* ---- keep and take ----------------------------------------------------- */

static struct kept *by_number(struct keep *k, uint64_t session)
{
	for (size_t i = 0; i < KEEP_MAX; i++)
		if (k->list[i].session == session)
			return &k->list[i];
	return NULL;
}

static struct kept *main_one(struct keep *k)
{
	for (size_t i = 0; i < KEEP_MAX; i++)
		if (k->list[i].session && k->list[i].is_main)
			return &k->list[i];
	return NULL;
}

static int check(const struct proto_vmm_keep *m, int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (!m->session || m->rest.n > PROTO_REST_MAX ||
	    m->unacked > PROTO_STDIN_WINDOW ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type != SOCK_STREAM)
		return -EINVAL;
	return fd_set_nonblock(fd);
}

/* Its own place if it was lent, else a free one. */
static int find_place(struct keep *k, const struct proto_vmm_keep *m,
                      struct kept **ret)
{
	struct kept *s = by_number(k, m->session), *first = main_one(k);

	if (s && s->fd >= 0)
		return -EEXIST;
	if (m->is_main && first && first != s)
		return -EBUSY;
	*ret = s ? s : by_number(k, 0);
	return *ret ? 0 : -EMFILE;
}

/*
 * A lent one that comes back is followed anew: had another descriptor its
 * number, the note of the first would be about the wrong one.
 */
static int follow(struct kept *s)
{
	vsock_unfollow(s->set->vsock, s);
	return vsock_follow(s->set->vsock, s->fd,
	                    &(struct vsock_follower){other_end_closed, s});
}

int keep_add(struct keep *k, const struct proto_vmm_keep *m, int fd)
{
	cleanup_close int own = fd;
	struct kept *s = NULL;
	int r = check(m, fd);

	if (r == 0)
		r = find_place(k, m, &s);
	if (r < 0)
		return r;
	loop_timer_del(k->loop, &s->soon);
	*s = (struct kept){.set = k,
	                   .session = m->session,
	                   .fd = take_fd(own),
	                   .is_main = m->is_main,
	                   .tty = m->tty,
	                   .want_stdin = m->want_stdin,
	                   .no_log = m->no_log,
	                   .unacked = m->unacked,
	                   .in = BUF_INIT_MAX(PROTO_REST_MAX + TURN_MAX),
	                   .code = KEEP_NO_CODE};
	r = buf_add(&s->in, m->rest.p, m->rest.n);
	if (r == 0)
		r = loop_add(k->loop, &s->src, s->fd, EPOLLIN, readable, s);
	if (r < 0) {
		end(s, KEEP_NO_CODE); /* closing it kills the command */
		return r;
	}
	s->gone = follow(s) < 0; /* the rest is in the descriptor */
	use_input(s);
	return 0;
}

static struct kept *wanted(struct keep *k, uint64_t session)
{
	struct kept *s = session ? by_number(k, session) : main_one(k);
	unsigned n = 0;

	if (s)
		return s->fd >= 0 ? s : NULL;
	for (size_t i = 0; i < KEEP_MAX && !session; i++) {
		if (k->list[i].session) {
			s = &k->list[i];
			n++;
		}
	}
	return n == 1 ? s : NULL;
}

struct kept *keep_find(struct keep *k, uint64_t session,
                       struct proto_vmm_taken *ret)
{
	struct kept *s = wanted(k, session);

	/* What ended should not be taken but told. */
	if (s && s->gone)
		read_out(s);
	if (!s || !s->session || (s->gone && s->is_main))
		return NULL;
	*ret = (struct proto_vmm_taken){
		.session = s->session,
		.is_main = s->is_main,
		.tty = s->tty,
		.want_stdin = s->want_stdin,
		.no_log = s->no_log,
		.unacked = s->unacked,
		.rest = {s->in.data, (uint32_t)s->in.len}
        };
	return s;
}

void keep_init(struct keep *k, struct loop *l, struct virtio_dev *vsock,
               const struct keep_events *events)
{
	*k = (struct keep){.loop = l, .vsock = vsock, .events = *events};
	for (size_t i = 0; i < KEEP_MAX; i++)
		k->list[i] = (struct kept){.set = k, .fd = -1};
}

void keep_release(struct keep *k)
{
	for (size_t i = 0; k->loop && i < KEEP_MAX; i++)
		forget(&k->list[i]);
	k->loop = NULL;
}
