/*
 * Theory
 *
 * Who sends FLOW parses a hostile guest's frames and may have been taken over:
 * a packet is checked as if it came from there. A wrong one costs that flow,
 * never the process.
 *
 * What we send must not make us wait, nor take memory without an end while the
 * other side does not read:
 *
 *	the machine's end  one place: the first is what matters
 *	CONFIG             one place: a newer one takes an older one's
 *	ABORT              a ring. While more than ABORTS_HIGH wait, no flow is
 *	                   taken in, and those there are fit: none is lost
 *	EVENT              a ring; what finds no room is summed up by kind and
 *	                   told as one when there is room again
 *
 * They go in that order, each kind in its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/log.h"
#include "base/num.h"
#include "policy/policy.h"
#include "tls/setup.h"

#include "base/banned.h"

#define ABORTS_HIGH 256u
#define ABORTS_MAX  (ABORTS_HIGH + TLS_FLOWS_MAX)
#define EVENTS_MAX  64u
#define ROUND_MAX   64 /* packets taken at once */
#define WHATS       (TLSLINK_MASKED + 1)

struct link {
	struct tls *tls;
	struct loop_fd source;
	uint64_t last_id;
	bool end_told, has_end, too_long;
	struct tlslink_event end;
	struct buf config; /* the packet that waits */
	uint64_t aborts[ABORTS_MAX];
	unsigned first_abort, naborts;
	struct tlslink_event events[EVENTS_MAX];
	unsigned first_event, nevents;
	uint64_t lost[WHATS];
};

/* ---- out ----------------------------------------------------------------- */

static void over(struct link *l)
{
	loop_del(l->tls->loop, &l->source);
	loop_stop(l->tls->loop);
}

/* 0, -EAGAIN, -EMSGSIZE, or -EPIPE: then it is over. */
static int put(struct link *l, const void *data, size_t len)
{
	ssize_t n;

	do {
		n = send(l->source.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
		return -EAGAIN;
	if (errno == EMSGSIZE)
		return -EMSGSIZE;
	over(l);
	return -EPIPE;
}

static int put_end(struct link *l)
{
	int r = l->has_end ? put(l, &l->end, sizeof(l->end)) : 0;

	if (r == 0)
		l->has_end = false;
	return r;
}

/* The kernel may hold less than we take for the most: that is found at once. */
static int put_config(struct link *l)
{
	int r = l->config.len ? put(l, l->config.data, l->config.len) : 0;

	if (r == 0 || r == -EMSGSIZE)
		buf_release(&l->config);
	l->too_long = r == -EMSGSIZE;
	return l->too_long ? 0 : r;
}

static int put_aborts(struct link *l)
{
	struct tlslink_abort m = {.type = TLSLINK_ABORT};
	int r = 0;

	while (l->naborts) {
		m.id = l->aborts[l->first_abort];
		r = put(l, &m, sizeof(m));
		if (r < 0)
			break;
		l->first_abort = (l->first_abort + 1) % ABORTS_MAX;
		l->naborts--;
	}
	return r;
}

/* The sum of a kind of which events were lost. */
static int put_lost(struct link *l, enum tlslink_what what)
{
	struct tlslink_event m = {.type = TLSLINK_EVENT, .what = (uint8_t)what};
	int r;

	if (!l->lost[what])
		return 0;
	m.count = (uint32_t)MIN(l->lost[what], UINT32_MAX);
	if (what != TLSLINK_USED && what != TLSLINK_MASKED)
		(void)snprintf(m.text, sizeof(m.text),
		               "%u more like it, of which nothing else was "
		               "kept",
		               m.count);
	r = put(l, &m, sizeof(m));
	if (r == 0)
		l->lost[what] = 0;
	return r;
}

static int put_events(struct link *l)
{
	int r = 0;

	while (l->nevents) {
		r = put(l, &l->events[l->first_event], sizeof(l->events[0]));
		if (r < 0)
			return r;
		l->first_event = (l->first_event + 1) % EVENTS_MAX;
		l->nevents--;
	}
	for (unsigned w = 0; w < WHATS && r == 0; w++)
		r = put_lost(l, (enum tlslink_what)w);
	return r;
}

/* Whatever waits, as far as there is room; then wait for more room. */
static void flush(struct link *l)
{
	static int (*const kinds[])(struct link *) = {
		put_end,
		put_config,
		put_aborts,
		put_events,
	};
	uint32_t events = EPOLLIN;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds) && r == 0; i++)
		r = kinds[i](l);
	if (!l->source.added)
		return;
	if (l->naborts > ABORTS_HIGH)
		events = 0;
	if (r == -EAGAIN)
		events |= EPOLLOUT;
	(void)loop_mod(l->tls->loop, &l->source, events);
}

/* ---- CONFIG -------------------------------------------------------------- */

static json_t *texts(const struct strv *list)
{
	json_t *a = json_array();

	for (size_t i = 0; a && i < list->n; i++)
		(void)json_array_append_new(a, json_string(list->v[i]));
	return a;
}

static bool has(const struct strv *list, const char *text)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], text) == 0)
			return true;
	return false;
}

/* What is handed over: all names, or those that a secret is for. */
static json_t *intercepted(const struct tls *t)
{
	struct strv names cleanup_strv = {0};
	int r = t->options.all ? strv_add(&names, "*") : 0;

	for (unsigned i = 0; !t->options.all && i < t->secrets->n; i++) {
		const struct strv *hosts = &t->secrets->v[i].hosts;

		for (size_t k = 0; k < hosts->n && r == 0; k++)
			if (!has(&names, hosts->v[k]))
				r = strv_add(&names, hosts->v[k]);
	}
	return r < 0 ? NULL : texts(&names);
}

static json_t *placeholders(const struct secrets *s)
{
	json_t *a = json_array();

	for (unsigned i = 0; a && i < s->n; i++) {
		const struct secret *c = &s->v[i];

		(void)json_array_append_new(
			a, json_pack("{s:s,s:s,s:s}", "name", c->name, "text",
		                     c->placeholder, "violation",
		                     setup_violation_name(c->violation)));
	}
	return a;
}

static json_t *ports(const struct tls_options *o)
{
	json_t *a = json_array();

	for (unsigned i = 0; a && i < o->nports; i++)
		(void)json_array_append_new(a, json_integer(o->ports[i]));
	return a;
}

/* Elements that found no memory are missed by who counts. */
static bool is_whole(const json_t *o, const struct tls *t)
{
	return json_array_size(json_object_get(o, "ports")) ==
	               t->options.nports &&
	       json_array_size(json_object_get(o, "bypass")) ==
	               t->options.bypass.n &&
	       json_array_size(json_object_get(o, "placeholders")) ==
	               t->secrets->n;
}

static int config_packet(const struct tls *t, struct buf *b)
{
	const struct tlslink_config head = {.type = TLSLINK_CONFIG};
	json_t *o cleanup_json =
		json_pack("{s:o,s:b,s:o,s:o,s:o}", "ports", ports(&t->options),
	                  "block_quic", t->options.block_quic, "intercept",
	                  intercepted(t), "bypass", texts(&t->options.bypass),
	                  "placeholders", placeholders(t->secrets));
	char *text cleanup_free =
		o && is_whole(o, t) ? json_text(o, JSON_COMPACT) : NULL;
	int r;

	if (!text)
		return -ENOMEM;
	if (strlen(text) > TLSLINK_CONFIG_MAX)
		return -E2BIG;
	r = buf_add(b, &head, sizeof(head));
	return r < 0 ? r : buf_adds(b, text);
}

int link_send_config(struct link *l)
{
	struct buf b cleanup_buf = BUF_INIT;
	int r = config_packet(l->tls, &b);

	if (r < 0)
		return r;
	if (!l->source.added)
		return -EPIPE;
	buf_release(&l->config);
	l->config = b;
	b = (struct buf)BUF_INIT;
	flush(l);
	if (l->too_long)
		return -E2BIG;
	return l->source.added ? 0 : -EPIPE;
}

/* ---- ABORT, EVENT -------------------------------------------------------- */

void link_send_abort(struct link *l, uint64_t id)
{
	/* Who asks for more than there are flows is wrong about it. */
	if (!l->source.added || l->naborts == ABORTS_MAX)
		return;
	l->aborts[(l->first_abort + l->naborts++) % ABORTS_MAX] = id;
	flush(l);
}

/* Bytes of the guest in it were made harmless; that is checked over there. */
static void fill_event(struct tlslink_event *m, const struct tls_event *ev,
                       const struct secrets *s)
{
	*m = (struct tlslink_event){
		.type = TLSLINK_EVENT,
		.what = (uint8_t)ev->what,
		.flags = ev->terminate ? TLSLINK_TERMINATE : 0,
		.count = ev->count,
	};
	if (ev->text)
		(void)snprintf(m->text, TLSLINK_TEXT_MAX + 1, "%s", ev->text);
	secrets_blot(s, m->text);
}

/* False: there is no need to tell it apart, or no room. */
static bool keep_event(struct link *l, const struct tls_event *ev)
{
	if (ev->terminate && !l->end_told) {
		fill_event(&l->end, ev, l->tls->secrets);
		l->end_told = l->has_end = true;
		return true;
	}
	/* Counts without a text are a sum anyway. */
	if (l->nevents == EVENTS_MAX || (l->nevents && !ev->text))
		return false;
	fill_event(&l->events[(l->first_event + l->nevents++) % EVENTS_MAX], ev,
	           l->tls->secrets);
	return true;
}

void link_event(void *arg, const struct tls_event *ev)
{
	struct link *l = arg;

	if (!l->source.added || (unsigned)ev->what >= WHATS)
		return;
	if (!keep_event(l, ev))
		l->lost[ev->what] += ev->count;
	flush(l);
}

/* ---- FLOW ---------------------------------------------------------------- */

static bool is_stream(int fd)
{
	int type, listens;
	socklen_t a = sizeof(type), b = sizeof(listens);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &a) == 0 &&
	       type == SOCK_STREAM &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &b) == 0 &&
	       !listens;
}

/* "" or as policy_name() has it; NUL behind it, up to the end. */
static bool is_name(const char *name, size_t size)
{
	char norm[POLICY_NAME_MAX + 1];
	size_t n = strnlen(name, size);

	for (size_t i = n; i < size; i++)
		if (name[i])
			return false;
	if (n == 0 || n == size)
		return n == 0;
	return policy_name(name, norm) == 0 && strcmp(norm, name) == 0 &&
	       !strchr(name, '/');
}

/* What is wrong with it, or NULL. */
static const char *check_flow(const struct link *l,
                              const struct tlslink_flow *f, size_t len,
                              const int *fds, size_t nfds)
{
	if (len != sizeof(*f))
		return "its size";
	if (f->type != TLSLINK_FLOW)
		return "its type";
	if (f->kind != TLSLINK_TLS && f->kind != TLSLINK_CONNECT)
		return "its kind";
	if (f->pinned > 1)
		return "its flag";
	if (f->port == 0)
		return "its port";
	if (f->id == 0 || f->id <= l->last_id)
		return "its number";
	if (!is_name(f->name, sizeof(f->name)))
		return "its name";
	if (nfds != 2)
		return "how many descriptors it has";
	if (!is_stream(fds[0]) || !is_stream(fds[1]))
		return "its descriptors";
	return NULL;
}

static void refuse(struct link *l, const struct tlslink_flow *f, size_t len,
                   const int *fds, size_t nfds, const char *why)
{
	log_limited(LOG_WARN, "the network hands over a wrong flow: %s", why);
	while (nfds)
		(void)close(fds[--nfds]);
	if (len == sizeof(*f) && f->type == TLSLINK_FLOW && f->id)
		link_send_abort(l, f->id);
}

static void take_flow(struct link *l, const struct tlslink_flow *f, size_t len,
                      int *fds, size_t nfds)
{
	const char *why = check_flow(l, f, len, fds, nfds);
	int r;

	if (why) {
		refuse(l, f, len, fds, nfds, why);
		return;
	}
	l->last_id = f->id;
	r = flow_start(l->tls, f, fds[0], fds[1]);
	if (r < 0)
		log_debug("flow %llu is refused: %s", (unsigned long long)f->id,
		          strerror(-r));
}

/* False: enough for now. */
static bool take_packet(struct link *l)
{
	struct tlslink_flow f = {0};
	int fds[FD_PASS_MAX];
	size_t nfds = 0;
	ssize_t n = fd_recv(l->source.fd, &f, sizeof(f), fds, &nfds);

	if (n == -EAGAIN)
		return false;
	if (n == -EMSGSIZE) {
		/* Too long, or descriptors did not come: the number is there,
		   unless it is no flow at all. */
		refuse(l, &f, sizeof(f), fds, 0, "its size or descriptors");
		return true;
	}
	if (n <= 0) {
		while (nfds)
			(void)close(fds[--nfds]);
		over(l);
		return false;
	}
	take_flow(l, &f, (size_t)n, fds, nfds);
	return true;
}

static void on_ready(void *arg, uint32_t events)
{
	struct link *l = arg;

	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		flush(l);
	for (int i = 0; i < ROUND_MAX; i++)
		if (!l->source.added || l->naborts > ABORTS_HIGH ||
		    !take_packet(l))
			break;
}

/* ---- life ---------------------------------------------------------------- */

int link_new(struct tls *t, int fd, struct link **ret)
{
	struct link *l = calloc(1, sizeof(*l));
	int room = TLSLINK_PACKET_MAX * 2;
	int r = l ? fd_set_nonblock(fd) : -ENOMEM;

	if (r == 0) {
		*l = (struct link){.tls = t, .config = BUF_INIT};
		/* For a CONFIG; the kernel may give less, then it says so. */
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room,
		                 sizeof(room));
		r = loop_add(t->loop, &l->source, fd, EPOLLIN, on_ready, l);
	}
	if (r < 0) {
		free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void link_free(struct link *l)
{
	if (!l)
		return;
	loop_del(l->tls->loop, &l->source);
	if (l->source.fd >= 0)
		(void)close(l->source.fd);
	buf_release(&l->config);
	free(l);
}
