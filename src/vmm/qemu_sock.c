#include "vmm/qemu_sock.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/fdio.h"
#include "base/log.h"

#include "base/banned.h"

/* Nobody answers any more. */
static void end(struct qemu_sock *s)
{
	loop_del(s->loop, &s->src);
	close_fd(&s->listener);
	close_fd(&s->ask[0]);
	close_fd(&s->fd);
}

void qemu_sock_release(struct qemu_sock *s)
{
	if (s->loop)
		end(s);
	close_fd(&s->ask[1]);
}

static int answer(struct qemu_sock *s, uint64_t id, int64_t value, int error)
{
	struct seccomp_notif_resp r = {.id = id, .val = value, .error = error};

	return ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, &r) < 0 ? -errno
	                                                            : 0;
}

/* Put our descriptor into its table; the number there is the answer. */
static int give(struct qemu_sock *s, uint64_t id)
{
	struct seccomp_notif_addfd a = {.id = id, .srcfd = (uint32_t)s->fd};
	int number = ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a);

	if (number < 0)
		return -errno;
	s->given = true;
	close_fd(&s->fd);
	return answer(s, id, number, 0);
}

static void on_call(void *arg, uint32_t events)
{
	struct qemu_sock *s = arg;
	struct seccomp_notif n = {0};
	int r;

	if (!(events & EPOLLIN) ||
	    ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0) {
		if (events & EPOLLHUP || errno != EINTR)
			end(s); /* it died */
		return;
	}
	if (n.data.nr == SYS_socket && !s->given) {
		r = give(s, n.id);
	} else if (n.data.nr == SYS_connect && s->given) {
		r = answer(s, n.id, 0, 0);
		end(s);
	} else {
		r = answer(s, n.id, 0, -EACCES);
	}
	if (r < 0 && r != -ENOENT)
		log_error("cannot answer QEMU: %s", strerror(-r));
}

/* The listener, from jail_child(). */
static void on_listener(void *arg, uint32_t events)
{
	struct qemu_sock *s = arg;
	size_t n = 1;
	char byte;
	ssize_t r = fd_recv(s->ask[0], &byte, 1, &s->listener, &n);

	(void)events;
	loop_del(s->loop, &s->src);
	if (r != 1 || n != 1 ||
	    loop_add(s->loop, &s->src, s->listener, EPOLLIN, on_call, s) < 0)
		end(s);
}

int qemu_sock_init(struct qemu_sock *s, struct loop *l, int fd)
{
	int r;

	*s = (struct qemu_sock)QEMU_SOCK_INIT;
	s->loop = l;
	s->fd = fd;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->ask) < 0)
		r = -errno;
	else
		r = loop_add(l, &s->src, s->ask[0], EPOLLIN, on_listener, s);
	if (r < 0)
		qemu_sock_release(s);
	return r;
}

void qemu_sock_started(struct qemu_sock *s)
{
	close_fd(&s->ask[1]);
}
