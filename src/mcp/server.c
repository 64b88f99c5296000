/* server.c - the reader: from the first line to the end of everything. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "mcp/lines.h"
#include "mcp/server.h"

#include "base/banned.h"

#define READ_SIZE 65536
#define FLUSH_MS  1000 /* for what is still to be written at the end */

static void on_line(void *arg, const char *line, size_t len)
{
	server_line(arg, line, len);
}

/* 1: go on; 0: the end of the input. */
static int read_some(struct mcp_server *s, int in, struct lines *lines)
{
	static char data[READ_SIZE]; /* of the one reader */
	ssize_t n = read(in, data, sizeof(data));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 1;
	if (n < 0)
		return -errno;
	if (n == 0) {
		lines_end(lines, on_line, s);
		return 0;
	}
	return lines_feed(lines, data, (size_t)n, on_line, s) < 0 ? -ENOMEM : 1;
}

/* Until there is nothing to read, nobody who reads us, or a signal. */
static int read_all(struct mcp_server *s, int in, int signals, int broken)
{
	struct lines lines = LINES_INIT(MCP_MESSAGE_MAX);
	struct pollfd fds[3] = {
		{.fd = in,      .events = POLLIN},
		{.fd = signals, .events = POLLIN},
		{.fd = broken,  .events = POLLIN}
        };
	int r = 1;

	while (r > 0) {
		if (poll(fds, 3, -1) < 0) {
			if (errno != EINTR)
				r = -errno;
			continue;
		}
		if (fds[1].revents || fds[2].revents)
			break;
		if (fds[0].revents)
			r = read_some(s, in, &lines);
	}
	lines_release(&lines);
	return r < 0 ? r : 0;
}

/* Threads that come later have them blocked, too: only the reader is told. */
static int take_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)signal(SIGPIPE, SIG_IGN);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		return -EINVAL;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int mcp_serve(const struct mcp_options *opt, int in, int out, struct err *err)
{
	cleanup_close int signals = take_signals();
	cleanup_close int broken = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct mcp_server s;
	int r;

	if (signals < 0 || broken < 0)
		return err_set(err, -errno, "cannot wait for signals: %s",
		               strerror(errno));
	r = server_init(&s, &mcp_app, opt, err);
	if (r < 0)
		return r;
	s.threads = true;
	r = outbox_start(&s.out, out, broken, in, signals);
	if (r == 0)
		r = read_all(&s, in, signals, broken);
	if (r < 0)
		(void)err_set(err, r, "cannot read messages: %s", strerror(-r));
	outbox_no_input(&s.out);
	server_end(&s);
	outbox_stop(&s.out, FLUSH_MS);
	server_release(&s);
	return r;
}
