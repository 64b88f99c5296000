#include "vmm/console.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/escape.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"

#include "base/banned.h"

#define CHUNK      4096
#define CHUNKS_MAX 16 /* a turn's work; then the others have theirs */

static const char panic_mark[] = "Kernel panic - not syncing: ";
static const char full_notice[] =
	"\n[msb: the console's file is full, the rest is dropped]\n";

/* To the file, up to its bound. A failing file ends the copy, no more. */
static void to_file(struct console *c, const void *data, size_t len)
{
	uint64_t room = CONSOLE_FILE_MAX - c->filed;
	int r;

	if (c->file_fd < 0)
		return;
	r = fd_write_full(c->file_fd, data, MIN(len, room));
	c->filed += MIN(len, room);
	if (r == 0 && len > room)
		r = fd_write_full(c->file_fd, full_notice,
		                  sizeof(full_notice) - 1);
	if (r < 0)
		log_warn("cannot write the console's file: %s", strerror(-r));
	if (r < 0 || len > room)
		c->file_fd = -1;
}

static void see_panic(struct console *c)
{
	const char *p = strstr(c->line, panic_mark);
	struct buf cleanup_buf b = BUF_INIT_MAX(CONSOLE_LINE_MAX);

	if (!p || c->panicked)
		return;
	p += sizeof(panic_mark) - 1;
	(void)escape_text(&b, p, strlen(p), 0);
	(void)snprintf(c->panic, sizeof(c->panic), "%s", buf_str(&b));
	c->panicked = true;
	if (c->on_panic)
		c->on_panic(c->arg);
}

static void end_line(struct console *c)
{
	while (c->line_len && c->line[c->line_len - 1] == '\r')
		c->line_len--;
	c->line[c->line_len] = '\0';
	if (c->line_len && c->logged < CONSOLE_FILE_MAX)
		log_debug("console: %s", c->line);
	c->logged += c->line_len;
	see_panic(c);
	c->line_len = 0;
}

void console_feed(struct console *c, const void *data, size_t len)
{
	const char *p = data;

	tail_add(&c->tail, data, len);
	to_file(c, data, len);
	if (c->copy)
		c->copy(c->arg, data, len);
	for (size_t i = 0; i < len; i++) {
		if (p[i] == '\n')
			end_line(c);
		else if (c->line_len < CONSOLE_LINE_MAX && p[i])
			c->line[c->line_len++] = p[i];
	}
}

void console_drain(struct console *c)
{
	for (int i = 0; i < CHUNKS_MAX && c->loop && c->sock >= 0; i++) {
		char chunk[CHUNK];
		ssize_t n = recv(c->sock, chunk, sizeof(chunk), MSG_DONTWAIT);

		if (n > 0) {
			console_feed(c, chunk, (size_t)n);
			continue;
		}
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		loop_del(c->loop, &c->src);
		close_fd(&c->sock);
	}
}

static void readable(void *arg, uint32_t events)
{
	(void)events;
	console_drain(arg);
}

int console_init(struct console *c, struct loop *l, int file_fd,
                 void (*on_panic)(void *arg), void *arg, int *ret_theirs,
                 struct err *err)
{
	int pair[2], r;

	memset(c, 0, sizeof(*c));
	c->loop = l;
	c->sock = -1;
	c->file_fd = file_fd;
	c->on_panic = on_panic;
	c->arg = arg;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, -errno, "cannot make the console: %s",
		               strerror(errno));
	c->sock = pair[0];
	r = loop_add(l, &c->src, c->sock, EPOLLIN, readable, c);
	if (r < 0) {
		(void)close(pair[1]);
		return err_set(err, r, "cannot make the console: %s",
		               strerror(-r));
	}
	*ret_theirs = pair[1];
	return 0;
}

void console_release(struct console *c)
{
	if (!c->loop)
		return;
	loop_del(c->loop, &c->src);
	close_fd(&c->sock);
}
