#include "cli/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"

#include "base/banned.h"

/* The reader is told to stop long before: see run_io.c. */
#define PENDING_MAX (8u << 20)

static int open_again(int fd)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void writer_init(struct writer *w, int fd)
{
	struct stat st;
	int own;

	*w = (struct writer){.kind = WRITER_CAREFUL,
	                     .fd = fd,
	                     .pending = BUF_INIT_MAX(PENDING_MAX)};
	if (fstat(fd, &st) < 0)
		return;
	if (S_ISREG(st.st_mode)) {
		w->kind = WRITER_FILE;
	} else if (S_ISSOCK(st.st_mode)) {
		w->kind = WRITER_SOCKET;
	} else if ((own = open_again(fd)) >= 0) {
		w->kind = WRITER_OWN;
		w->fd = own;
	}
}

void writer_release(struct writer *w)
{
	if (w->kind == WRITER_OWN)
		close_fd(&w->fd);
	buf_release(&w->pending);
}

static ssize_t write_careful(int fd, const void *data, size_t len)
{
	struct pollfd pf = {.fd = fd, .events = POLLOUT};

	if (poll(&pf, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(fd, data, MIN(len, PIPE_BUF));
}

static ssize_t write_some(const struct writer *w, const void *data, size_t len)
{
	switch (w->kind) {
	case WRITER_SOCKET:
		return send(w->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	case WRITER_CAREFUL:
		return write_careful(w->fd, data, len);
	case WRITER_FILE:
	case WRITER_OWN:
		break;
	}
	return write(w->fd, data, len);
}

/* How much went; a failure is kept in w->broken. */
static size_t push(struct writer *w, const void *data, size_t len)
{
	size_t done = 0;

	while (done < len && w->broken == 0) {
		ssize_t n =
			write_some(w, (const char *)data + done, len - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			w->broken = -errno;
	}
	return done;
}

int writer_flush(struct writer *w)
{
	buf_consume(&w->pending, push(w, w->pending.data, w->pending.len));
	if (w->broken)
		buf_reset(&w->pending);
	return w->broken;
}

int writer_put(struct writer *w, const void *data, size_t len)
{
	size_t done = 0;
	int r;

	if (w->broken)
		return w->broken;
	if (w->pending.len == 0)
		done = push(w, data, len);
	if (w->broken || done == len)
		return w->broken;
	r = buf_add(&w->pending, (const char *)data + done, len - done);
	if (r < 0)
		w->broken = r;
	return r;
}
