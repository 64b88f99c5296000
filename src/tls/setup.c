/*
 * Theory
 *
 * The first request comes over an inherited socket, and there is nothing else
 * to do until it is there: it is waited for. Updates come over tls.sock, from
 * a few clients at a time, while flows go on: each has its place, a deadline,
 * and never makes the loop wait. A client beyond that waits in the socket's
 * queue.
 *
 * Nothing that a client says ends this process.
 */
#include "tls/setup.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/log.h"
#include "base/num.h"

#include "base/banned.h"

#define CLIENTS_MAX 4
#define AGAIN_NS    (200 * NS_PER_MS)

/* ---- answers ------------------------------------------------------------- */

static int add_answer(struct buf *b, json_t *o)
{
	char *cleanup_free text = json_text(o, JSON_COMPACT);
	uint8_t len[4];
	size_t n = text ? strlen(text) : 0;

	json_decref(o);
	if (!text)
		return -ENOMEM;
	if (n > TLS_SETUP_ANSWER_MAX)
		return -E2BIG;
	put_le32(len, (uint32_t)n);
	return buf_add(b, len, sizeof(len)) < 0 ? -ENOMEM : buf_add(b, text, n);
}

static int answer_yes(struct buf *b, const struct tls *t)
{
	return add_answer(b,
	                  json_pack("{s:b,s:s}", "ok", 1, "ca", ca_pem(t->ca)));
}

static int answer_no(struct buf *b, const struct err *err)
{
	char text[ERR_MSG_MAX + ERR_HINT_MAX + 4];

	(void)snprintf(text, sizeof(text), "%s%s%s", err->msg,
	               err->hint[0] ? "; " : "", err->hint);
	return add_answer(b, json_pack("{s:b,s:s}", "ok", 0, "error", text));
}

/* ---- the first request --------------------------------------------------- */

/* Bytes for @in: how many, or a negative errno; 0 at the end. */
static ssize_t take_in(int fd, struct setup_input *in)
{
	size_t len;
	void *room = setup_input_room(in, &len);
	ssize_t n = recv(fd, room, len, MSG_DONTWAIT);

	return n < 0 ? -errno : n;
}

static int wait_for(int fd, short events, uint64_t deadline)
{
	struct pollfd p = {fd, events, 0};
	uint64_t now = clock_now_ns();
	int r;

	if (now >= deadline)
		return -ETIMEDOUT;
	r = poll(&p, 1, (int)((deadline - now) / NS_PER_MS) + 1);
	return r < 0 && errno != EINTR ? -errno : 0;
}

static int await_request(int fd, struct setup_input *in, struct err *err)
{
	uint64_t deadline = clock_now_ns() + TLS_SETUP_TIMEOUT_MS * NS_PER_MS;
	int r = 0;

	while (r == 0) {
		ssize_t n = take_in(fd, in);

		if (n > 0) {
			r = setup_input_got(in, (size_t)n, err);
			continue;
		}
		if (n == 0)
			n = -EPIPE;
		if (n == -EAGAIN)
			n = wait_for(fd, POLLIN, deadline);
		if (n < 0 && n != -EINTR)
			return err_set(err, (int)n,
			               "msb-tls got no whole request: %s",
			               strerror((int)-n));
	}
	return r < 0 ? r : 0;
}

static int tell(int fd, const struct buf *answer)
{
	uint64_t deadline = clock_now_ns() + TLS_SETUP_TIMEOUT_MS * NS_PER_MS;
	size_t done = 0;
	int r = 0;

	while (r == 0 && done < answer->len) {
		ssize_t n = send(fd, answer->data + done, answer->len - done,
		                 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0)
			done += (size_t)n;
		else if (errno == EAGAIN)
			r = wait_for(fd, POLLOUT, deadline);
		else if (errno != EINTR)
			r = -errno;
	}
	return r;
}

int setup_read(struct tls *t, int fd, struct err *err)
{
	struct buf answer cleanup_buf = BUF_INIT;
	struct setup_input in;
	int r;

	setup_input_init(&in, false);
	r = await_request(fd, &in, err);
	if (r == 0)
		r = setup_apply(t, &in.rq, err);
	setup_input_release(&in);
	if (r < 0)
		return r;
	r = answer_yes(&answer, t);
	if (r == 0)
		r = tell(fd, &answer);
	return r < 0 ? err_set(err, r, "msb-tls cannot answer: %s",
	                       strerror(-r))
	             : 0;
}

void setup_refuse(int fd, const struct err *err)
{
	struct buf answer cleanup_buf = BUF_INIT;

	if (answer_no(&answer, err) == 0)
		(void)tell(fd, &answer);
}

/* ---- updates ------------------------------------------------------------- */

struct client {
	struct tls *tls;
	bool used;
	struct loop_fd source;
	struct loop_timer deadline;
	struct setup_input in;
	struct buf answer;
	size_t told;
};

static struct {
	struct client list[CLIENTS_MAX];
	struct loop_fd listen;
	struct loop_timer again;
	struct tls *tls;
} server;

static struct client *free_place(void)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (!server.list[i].used)
			return &server.list[i];
	return NULL;
}

static void hear_others(void *arg)
{
	(void)arg;
	(void)loop_mod(server.tls->loop, &server.listen,
	               free_place() ? EPOLLIN : 0);
}

static void client_end(struct client *cl)
{
	struct loop *l = cl->tls->loop;

	loop_timer_del(l, &cl->deadline);
	loop_close(l, &cl->source);
	setup_input_release(&cl->in);
	buf_release(&cl->answer);
	cl->used = false;
	hear_others(NULL);
}

static void client_late(void *arg)
{
	log_limited(LOG_WARN, "an update took too long");
	client_end(arg);
}

static void client_tell(struct client *cl)
{
	ssize_t n =
		send(cl->source.fd, cl->answer.data + cl->told,
	             cl->answer.len - cl->told, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0)
		cl->told += (size_t)n;
	if ((n < 0 && errno != EAGAIN && errno != EINTR) ||
	    cl->told == cl->answer.len ||
	    loop_mod(cl->tls->loop, &cl->source, EPOLLOUT) < 0)
		client_end(cl);
}

/* The request is whole, or wrong. */
static void client_answer(struct client *cl, int r, struct err *err)
{
	if (r >= 0)
		r = setup_apply(cl->tls, &cl->in.rq, err);
	setup_input_release(&cl->in);
	if (r < 0)
		log_limited(LOG_WARN, "an update is refused: %s", err->msg);
	r = r < 0 ? answer_no(&cl->answer, err)
	          : answer_yes(&cl->answer, cl->tls);
	if (r < 0)
		client_end(cl);
	else
		client_tell(cl);
}

static void client_ready(void *arg, uint32_t events)
{
	struct client *cl = arg;
	struct err err = {0};
	ssize_t n;
	int r;

	if (cl->answer.len) {
		client_tell(cl);
		return;
	}
	/* Who waited too long has told people that nothing was changed. */
	if (events & EPOLLHUP) {
		client_end(cl);
		return;
	}
	n = take_in(cl->source.fd, &cl->in);
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n <= 0) {
		client_end(cl);
		return;
	}
	r = setup_input_got(&cl->in, (size_t)n, &err);
	if (r != 0)
		client_answer(cl, r, &err);
}

/* The kernel gives its user as our namespace has it. */
static bool is_own_user(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
	       who.uid == getuid();
}

static void client_begin(struct client *cl, int fd)
{
	struct tls *t = server.tls;

	*cl = (struct client){.tls = t,
	                      .answer = BUF_INIT_MAX(TLS_SETUP_ANSWER_MAX + 4)};
	setup_input_init(&cl->in, true);
	if (loop_add(t->loop, &cl->source, fd, EPOLLIN, client_ready, cl) < 0) {
		(void)close(fd);
		return;
	}
	cl->used = true;
	loop_timer_set(t->loop, &cl->deadline,
	               clock_now_ns() + TLS_SETUP_TIMEOUT_MS * NS_PER_MS,
	               client_late, cl);
	hear_others(NULL);
}

/* No descriptors left, say: not tried again and again. */
static void rest(void)
{
	struct loop *l = server.tls->loop;

	(void)loop_mod(l, &server.listen, 0);
	loop_timer_set(l, &server.again, clock_now_ns() + AGAIN_NS, hear_others,
	               NULL);
}

static void on_connect(void *arg, uint32_t events)
{
	struct client *cl = free_place();
	int fd;

	(void)arg;
	(void)events;
	if (!cl)
		return;
	fd = accept4(server.listen.fd, NULL, NULL,
	             SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno != EAGAIN)
			rest();
		return;
	}
	if (is_own_user(fd)) {
		client_begin(cl, fd);
	} else {
		log_limited(LOG_WARN, "another user wants to update secrets");
		(void)close(fd);
	}
}

int setup_listen(struct tls *t, int fd)
{
	int r = fd_set_nonblock(fd);

	server.tls = t;
	return r < 0 ? r
	             : loop_add(t->loop, &server.listen, fd, EPOLLIN,
	                        on_connect, NULL);
}
