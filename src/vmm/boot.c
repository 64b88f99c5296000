#include "vmm/boot.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "base/num.h"

#include "base/banned.h"

#define ENTROPY_LEN 64
#define READ_CHUNK  4096

static void close_session(struct boot *b, const char *why)
{
	loop_del(b->loop, &b->src);
	close_fd(&b->sock);
	b->state = BOOT_CLOSED;
	b->events.closed(b->events.arg, why);
}

static int want(struct boot *b, uint32_t events)
{
	return loop_mod(b->loop, &b->src, events);
}

/* As much as the socket takes now; the rest when it takes more. */
static int send_out(struct boot *b)
{
	ssize_t n;

	do {
		n = send(b->sock, b->out.data, b->out.len,
		         MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return -errno;
	if (n > 0)
		buf_consume(&b->out, (size_t)n);
	if (b->out.len)
		return want(b, EPOLLIN | EPOLLOUT);
	buf_release(&b->out);
	return want(b, EPOLLIN);
}

static int send_msg(struct boot *b, const struct proto_msg *m)
{
	bool waits = b->out.len > 0;
	int r = proto_encode(&b->out, m);

	return r < 0 || waits ? r : send_out(b);
}

static struct proto_strs strs_of(const struct strv *v)
{
	return (struct proto_strs){v->v, (uint32_t)v->n};
}

static int send_boot(struct boot *b)
{
	uint8_t entropy[ENTROPY_LEN];
	const struct vmm_config *cfg = b->cfg;
	const char *cas = cfg->cas ? cfg->cas : "";
	struct proto_msg m = {
		.type = PROTO_BOOT,
		.boot = {.version = PROTO_VERSION,
	                 .hostname = cfg->hostname,
	                 .root_serial = cfg->root_name,
	                 .root_type = vmm_root_types[cfg->root_type],
	                 .upper_bytes = cfg->upper_bytes,
	                 .mounts = strs_of(&cfg->mounts),
	                 .upper_serial =
	                         config_disk(cfg, "upper") ? "upper" : "",
	                 .entropy = {entropy, sizeof(entropy)},
	                 .scripts = strs_of(&cfg->scripts),
	                 .init = strs_of(&cfg->init),
	                 .init_env = strs_of(&cfg->init_env),
	                 .net = strs_of(&cfg->net.boot),
	                 .cas = {(const uint8_t *)cas, (uint32_t)strlen(cas)}}
        };
	int r;

	if (getrandom(entropy, sizeof(entropy), 0) != sizeof(entropy))
		return -EIO;
	m.boot.unix_ns = clock_unix_ns();
	r = send_msg(b, &m);
	explicit_bzero(entropy, sizeof(entropy));
	return r;
}

/* Handlers return NULL, or which rule the agent broke. */

static const char *on_hello(struct boot *b, const struct proto_msg *m)
{
	b->events.hello(b->events.arg, &m->hello);
	if (m->hello.version != PROTO_VERSION)
		return "it speaks another version of the protocol; kernel, "
		       "initramfs and msb-vmm must come from one build";
	if (send_boot(b) < 0)
		return "it does not take the BOOT message";
	b->state = BOOT_WORKING;
	return NULL;
}

static const char *on_ready(struct boot *b, const struct proto_msg *m)
{
	b->state = BOOT_READY;
	b->events.ready(b->events.arg, &m->ready);
	return NULL;
}

static const char *on_failed(struct boot *b, const struct proto_msg *m)
{
	b->events.failed(b->events.arg, &m->failed);
	return NULL;
}

static const char *on_ping(struct boot *b, const struct proto_msg *m)
{
	const struct proto_msg pong = {.type = PROTO_PONG,
	                               .pong = {.cookie = m->ping.cookie}};

	return send_msg(b, &pong) < 0 ? "it does not read its answers" : NULL;
}

/* Whose PING it was is for others to know. */
static const char *on_pong(struct boot *b, const struct proto_msg *m)
{
	b->events.pong(b->events.arg, m->pong.cookie);
	return NULL;
}

/* What may come in which state. */
static const struct {
	enum proto_type type;
	enum boot_state state;
	const char *(*fn)(struct boot *b, const struct proto_msg *m);
} handlers[] = {
	{PROTO_HELLO,  BOOT_HELLO,   on_hello },
	{PROTO_READY,  BOOT_WORKING, on_ready },
	{PROTO_FAILED, BOOT_WORKING, on_failed},
	{PROTO_PING,   BOOT_WORKING, on_ping  },
	{PROTO_PING,   BOOT_READY,   on_ping  },
	{PROTO_PONG,   BOOT_READY,   on_pong  },
};

static const char *dispatch(struct boot *b, const struct proto_msg *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
		if (handlers[i].type == m->type &&
		    handlers[i].state == b->state)
			return handlers[i].fn(b, m);
	return "it sent a message out of order";
}

/* All whole frames of the buffer. */
static const char *take_frames(struct boot *b)
{
	const char *why = NULL;
	size_t done = 0;

	while (!why) {
		struct proto_msg cleanup_proto m = {0};
		size_t left = b->in.len - done;
		ssize_t n;

		if (left >= PROTO_HEADER_LEN &&
		    get_le32(b->in.data + done) > BOOT_FRAME_MAX)
			return "it sent a frame that is too long";
		n = left ? proto_decode(b->in.data + done, left, &m) : 0;
		if (n < 0)
			return "it sent what is no message";
		if (n == 0)
			break;
		done += (size_t)n;
		why = dispatch(b, &m);
		if (b->state == BOOT_CLOSED)
			return NULL;
	}
	buf_consume(&b->in, done);
	return why;
}

static void readable(void *arg, uint32_t events)
{
	struct boot *b = arg;
	const char *why;
	ssize_t n;

	if (events & EPOLLOUT && send_out(b) < 0) {
		close_session(b, NULL);
		return;
	}
	if (buf_reserve(&b->in, READ_CHUNK) < 0) {
		close_session(b, "out of memory");
		return;
	}
	n = recv(b->sock, b->in.data + b->in.len, READ_CHUNK, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_session(b, NULL);
		return;
	}
	buf_commit(&b->in, (size_t)n);
	why = take_frames(b);
	if (why)
		close_session(b, why);
}

void boot_init(struct boot *b, struct loop *l, const struct vmm_config *cfg,
               const struct boot_events *events)
{
	*b = (struct boot){.loop = l,
	                   .cfg = cfg,
	                   .events = *events,
	                   .sock = -1,
	                   .in = BUF_INIT_MAX(BOOT_FRAME_MAX + READ_CHUNK +
	                                      PROTO_HEADER_LEN),
	                   .out = BUF_INIT_MAX(BOOT_OUT_MAX)};
}

void boot_release(struct boot *b)
{
	if (!b->loop)
		return;
	loop_del(b->loop, &b->src);
	close_fd(&b->sock);
	buf_release(&b->in);
	buf_release(&b->out);
}

int boot_accept(void *arg)
{
	struct boot *b = arg;
	int pair[2], r;

	if (b->state != BOOT_NONE)
		return -EBUSY;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	r = loop_add(b->loop, &b->src, pair[0], EPOLLIN, readable, b);
	if (r < 0) {
		(void)close(pair[0]);
		(void)close(pair[1]);
		return r;
	}
	b->sock = pair[0];
	b->state = BOOT_HELLO;
	return pair[1];
}

int boot_shutdown(struct boot *b, uint32_t timeout_ms)
{
	const struct proto_msg m = {.type = PROTO_SHUTDOWN,
	                            .shutdown = {.timeout_ms = timeout_ms}};

	return b->state == BOOT_READY ? send_msg(b, &m) : -ENOTCONN;
}

int boot_ping(struct boot *b, uint64_t cookie)
{
	const struct proto_msg m = {.type = PROTO_PING,
	                            .ping = {.cookie = cookie}};

	return b->state == BOOT_READY ? send_msg(b, &m) : -ENOTCONN;
}
