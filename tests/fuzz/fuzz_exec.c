/*
 * What a guest's agent may send to the host's side of an exec session: any
 * bytes, in pieces of any size. The first byte chooses the size of the pieces
 * and whether the command has standard input.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdio.h"
#include "lib/command.h"
#include "lib/error.h"
#include "lib/exec.h"
#include "lib/sandbox.h"

/* The session has no sandbox here; these are never called. */
struct msb_sandbox *sandbox_ref(struct msb_sandbox *sb)
{
	(void)sb;
	abort();
}

void sandbox_unref(struct msb_sandbox *sb)
{
	(void)sb;
	abort();
}

void sandbox_look(struct msb_sandbox *sb)
{
	(void)sb;
	abort();
}

int sandbox_connect(struct msb_sandbox *sb, uint32_t port)
{
	(void)sb;
	(void)port;
	abort();
}

int sandbox_lost(struct msb_sandbox *sb, struct err *err)
{
	(void)sb;
	(void)err;
	abort();
}

int sandbox_loss_begin(struct msb_sandbox *sb, struct sandbox_loss *l, int epfd)
{
	(void)sb;
	(void)l;
	(void)epfd;
	abort();
}

int sandbox_loss_look(struct msb_sandbox *sb, struct sandbox_loss *l,
                      struct err *err)
{
	(void)sb;
	(void)l;
	(void)err;
	abort();
}

void sandbox_loss_end(struct msb_sandbox *sb, struct sandbox_loss *l)
{
	(void)sb;
	(void)l;
	abort();
}

static struct msb_exec *start(int sock, uint32_t flags)
{
	static const char *const argv[] = {"x", NULL};
	struct image_config config = {0};
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;
	struct command c = {0};
	struct msb_exec *x = NULL;

	o.argv = argv;
	o.flags = flags;
	if (command_compose(&config, NULL, &o, &c, NULL) < 0 ||
	    exec_open(sock, NULL, &c, &o, &x) < 0)
		abort();
	command_release(&c);
	return x;
}

/* All that is told must be readable, and nothing may follow the last event. */
static int drain(struct msb_exec *x)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	struct msb_error error;
	unsigned sum = 0;
	int r;

	while ((r = msb_exec_next(x, 0, &ev, &error)) > 0) {
		for (size_t i = 0; i < ev.len; i++)
			sum += ((const uint8_t *)ev.data)[i];
		sum += (unsigned)strlen(ev.stage) +
		       (unsigned)strlen(ev.message);
		if (ev.kind != MSB_EXEC_EXITED && ev.kind != MSB_EXEC_FAILED)
			continue;
		if (ev.code < 0 || ev.code > 255 || ev.signal < 0 ||
		    msb_exec_next(x, 0, &ev, &error) != 0)
			abort();
	}
	if (r < 0 && (error.message[0] == '\0' || error.code != -r))
		abort();
	return r + (int)(sum & 0); /* keeps the reads */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msb_exec *x;
	int pair[2];
	size_t piece;

	if (size < 1 || size > 65536 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return 0;
	if (fd_set_nonblock(pair[0]) < 0 || fd_set_nonblock(pair[1]) < 0)
		abort();
	x = start(pair[0], data[0] & 1 ? MSB_EXEC_STDIN : 0);
	if (data[0] & 1)
		(void)msb_exec_write(x, data, size, NULL);
	piece = (size_t)(data[0] >> 1) * 64 + 1;
	for (size_t off = 1; off < size; off += piece) {
		size_t n = size - off < piece ? size - off : piece;

		if (fd_write_full(pair[1], data + off, n) < 0 || drain(x) < 0)
			break;
	}
	(void)close(pair[1]);
	(void)drain(x);
	msb_exec_free(x);
	return 0;
}
