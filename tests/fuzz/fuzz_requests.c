/*
 * What somebody who reached a machine's socket may send to msb-vmm: packets,
 * each behind a length of two bytes whose two upper bits say how many
 * descriptors come with it. What is let through is one of the kinds that there
 * are, with a descriptor if and only if its kind has one; the first breach ends
 * the line, and that once; no descriptor stays open.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "vmm/control.h"

struct seen {
	struct control line;
	int closed;
};

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void on_got(void *arg, const struct proto_msg *m, int fd)
{
	const bool with_fd =
		m->type == PROTO_VMM_CONNECT || m->type == PROTO_VMM_KEEP;
	struct seen *s = arg;
	volatile uint8_t sum = 0;

	check(s->closed == 0);
	check(m->type >= PROTO_VMM_CONNECT && m->type <= PROTO_VMM_STATS);
	check(with_fd == (fd >= 0));
	for (uint32_t i = 0;
	     m->type == PROTO_VMM_KEEP && i < m->vmm_keep.rest.n; i++)
		sum ^= m->vmm_keep.rest.p[i];
	if (fd >= 0)
		check(close(fd) == 0);
}

static void on_closed(void *arg, const char *why)
{
	struct seen *s = arg;

	(void)why;
	s->closed++;
}

static int free_fd(void)
{
	int fd = dup(0);

	(void)close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen s = {0};
	const struct control_events ev = {on_got, on_closed, &s};
	const int fds[] = {0, 0, 0}, first = free_fd();
	struct loop *l = loop_new();
	int pair[2];

	if (!l || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		return 0;
	check(control_init(&s.line, l, pair[1], &ev, NULL) == 0);
	while (size >= 2 && !s.closed) {
		size_t n = get_le16(data) & 0x3fff;
		size_t nfds = get_le16(data) >> 14;

		data += 2;
		size -= 2;
		n = MIN(n, size);
		if (n && fd_send(pair[0], data, n, fds, nfds) < 0)
			break;
		check(loop_step(l, 0) == 0);
		data += n;
		size -= n;
	}
	(void)close(pair[0]);
	for (int i = 0; i < 4 && !s.closed; i++)
		check(loop_step(l, 0) == 0);
	check(s.closed == 1);
	control_release(&s.line);
	(void)close(pair[1]);
	loop_free(l);
	check(free_fd() == first);
	return 0;
}
