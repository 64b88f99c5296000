#include "vmm/clients.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"

#include "base/banned.h"

static const enum proto_type kept[] = {PROTO_VMM_STARTED, PROTO_VMM_READY};

static bool is_owner(const struct client *cl)
{
	return cl == &cl->set->list[0];
}

/* The owner's descriptor is the caller's. */
static void drop(struct client *cl)
{
	control_release(&cl->control);
	if (is_owner(cl))
		cl->fd = -1;
	else
		close_fd(&cl->fd);
}

/* The same, and nobody waits for its answers any more. */
static void lose(struct client *cl)
{
	const struct clients *c = cl->set;

	drop(cl);
	c->events.gone(c->events.arg, cl);
}

static void on_got(void *arg, const struct proto_msg *m, int fd)
{
	struct client *cl = arg;

	cl->set->events.got(cl->set->events.arg, cl, m, fd);
}

static void on_closed(void *arg, const char *why)
{
	struct client *cl = arg;
	struct clients *c = cl->set;
	bool owner = is_owner(cl);

	if (why && !owner)
		log_limited(LOG_WARN, "a client: %s", why);
	lose(cl);
	if (owner)
		c->events.owner_gone(c->events.arg, why);
}

static int use(struct client *cl, struct clients *c, int fd, struct err *err)
{
	const struct control_events events = {on_got, on_closed, cl};
	int r;

	cl->set = c;
	r = control_init(&cl->control, c->loop, fd, &events, err);
	if (r == 0)
		cl->fd = fd;
	return r;
}

static struct client *free_place(struct clients *c)
{
	for (size_t i = 1; i < CLIENTS_MAX; i++)
		if (c->list[i].fd < 0)
			return &c->list[i];
	return NULL;
}

static int tell_history(const struct clients *c, int fd)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->history); i++) {
		const struct buf *b = &c->history[i];
		ssize_t n = b->len ? fd_send(fd, b->data, b->len, NULL, 0) : 0;

		if (n < 0)
			return (int)n;
	}
	return 0;
}

static void on_join(void *arg, uint32_t events)
{
	struct clients *c = arg;
	cleanup_close int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct client *cl = free_place(c);
	struct err err = {0};

	(void)events;
	if (fd < 0)
		return;
	if (!cl) {
		log_limited(LOG_WARN, "more than %d clients", CLIENTS_MAX);
		return;
	}
	if (use(cl, c, fd, &err) < 0) {
		log_limited(LOG_WARN, "%s", err.msg);
		return;
	}
	fd = -1; /* the list's */
	if (tell_history(c, cl->fd) < 0)
		drop(cl);
}

int clients_init(struct clients *c, struct loop *l, int owner_fd, int listen_fd,
                 const struct clients_events *events, struct err *err)
{
	int r = 0;

	memset(c, 0, sizeof(*c));
	c->loop = l;
	c->events = *events;
	c->listen_fd = listen_fd;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		c->list[i] = (struct client){.set = c, .fd = -1};
	for (size_t i = 0; i < ARRAY_SIZE(c->history); i++)
		c->history[i] = (struct buf)BUF_INIT;
	if (listen_fd >= 0)
		r = fd_set_nonblock(listen_fd);
	if (r == 0 && listen_fd >= 0)
		r = loop_add(l, &c->listen, listen_fd, EPOLLIN, on_join, c);
	if (r < 0)
		return err_set(err, r, "cannot use the listening socket: %s",
		               strerror(-r));
	return use(&c->list[0], c, owner_fd, err);
}

static void keep(struct clients *c, const struct proto_msg *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		if (kept[i] != m->type)
			continue;
		buf_reset(&c->history[i]);
		if (proto_encode(&c->history[i], m) < 0)
			buf_reset(&c->history[i]);
	}
}

static void cannot_tell(struct client *cl, const struct proto_msg *m, int r)
{
	log_limited(LOG_WARN, "cannot tell %s %s: %s",
	            is_owner(cl) ? "the library" : "a client",
	            proto_type_name(m->type), strerror(-r));
	if (!is_owner(cl)) /* its end comes by the loop */
		lose(cl);
}

void clients_say(struct clients *c, const struct proto_msg *m)
{
	keep(c, m);
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *cl = &c->list[i];
		int r = cl->fd < 0 ? 0 : control_send(cl->fd, m);

		if (r < 0)
			cannot_tell(cl, m, r);
	}
}

int clients_answer(struct client *to, const struct proto_msg *m, int fd)
{
	int r = to->fd < 0 ? -ENOTCONN : control_send_fd(to->fd, m, fd);

	if (r < 0 && to->fd >= 0)
		cannot_tell(to, m, r);
	return r;
}

void clients_release(struct clients *c)
{
	if (!c->loop)
		return;
	loop_del(c->loop, &c->listen);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (c->list[i].fd >= 0)
			drop(&c->list[i]);
	for (size_t i = 0; i < ARRAY_SIZE(c->history); i++)
		buf_release(&c->history[i]);
	c->loop = NULL;
}
