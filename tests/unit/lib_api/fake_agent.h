/* fake_agent.h - the guest's side of an exec session, played by a test. */
#ifndef TEST_FAKE_AGENT_H
#define TEST_FAKE_AGENT_H

#include "lib/test.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "lib/command.h"
#include "lib/exec.h"

struct fake {
	int sock; /* the agent's end */
	struct buf in;
	size_t off;
	struct msb_exec *x;
};

static inline void agent_send(struct fake *f, struct proto_msg msg)
{
	struct buf b = BUF_INIT;

	assert_int_equal(proto_encode(&b, &msg), 0);
	assert_int_equal(fd_write_full(f->sock, b.data, b.len), 0);
	buf_release(&b);
}

/* The next frame the host sent; the caller releases it. */
static inline struct proto_msg agent_recv(struct fake *f)
{
	struct proto_msg msg = {0};
	char chunk[4096];

	for (;;) {
		ssize_t n = proto_decode(f->in.data + f->off,
		                         f->in.len - f->off, &msg);

		assert_true(n >= 0);
		if (n > 0) {
			f->off += (size_t)n;
			return msg;
		}
		/* what follows must not move what was decoded */
		n = read(f->sock, chunk, sizeof(chunk));
		assert_true(n > 0);
		buf_consume(&f->in, f->off);
		f->off = 0;
		assert_int_equal(buf_add(&f->in, chunk, (size_t)n), 0);
	}
}

static inline void expect(struct fake *f, enum proto_type type)
{
	struct proto_msg msg = agent_recv(f);

	assert_string_equal(proto_type_name(msg.type), proto_type_name(type));
	proto_release(&msg);
}

static inline void start(struct fake *f, uint32_t flags)
{
	static const char *const argv[] = {"cat", "-n", NULL};
	struct image_config config = {0};
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;
	struct command c = {0};
	int pair[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fd_set_nonblock(pair[0]), 0);
	*f = (struct fake){.sock = pair[1], .in = BUF_INIT};
	o.flags = flags;
	o.argv = argv;
	o.rows = 30;
	o.cols = 100;
	assert_int_equal(command_compose(&config, NULL, &o, &c, NULL), 0);
	assert_int_equal(exec_open(pair[0], NULL, &c, &o, &f->x), 0);
	command_release(&c);
}

static inline void started(struct fake *f, uint32_t flags)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;

	start(f, flags);
	expect(f, PROTO_EXEC);
	agent_send(f, (struct proto_msg){.type = PROTO_STARTED,
	                                 .started = {.pid = 7}});
	assert_int_equal(msb_exec_next(f->x, 1000, &ev, NULL), 1);
	assert_int_equal(ev.kind, MSB_EXEC_STARTED);
	assert_int_equal(ev.pid, 7);
}

static inline void end(struct fake *f)
{
	msb_exec_free(f->x);
	close_fd(&f->sock);
	buf_release(&f->in);
}

static inline void agent_out(struct fake *f, enum proto_type type,
                             const char *text)
{
	struct proto_msg msg = {.type = type};

	msg.stdout_data.data = (struct proto_bytes){(const uint8_t *)text,
	                                            (uint32_t)strlen(text)};
	agent_send(f, msg);
}

#endif
