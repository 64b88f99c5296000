/*
 * What a guest may send down its boot session: the input, in portions whose
 * length each byte in front says. Whatever it is, the session's events come in
 * order, once each, and nothing stays open or grows.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"
#include "vmm/boot.h"

struct seen {
	int hello, ready, failed, closed;
};

static void on_hello(void *arg, const struct proto_hello *m)
{
	(void)m;
	((struct seen *)arg)->hello++;
}

static void on_ready(void *arg, const struct proto_ready *m)
{
	((struct seen *)arg)->ready += 1 + (int)(strlen(m->agent_version) & 0);
}

static void on_failed(void *arg, const struct proto_failed *m)
{
	((struct seen *)arg)->failed +=
		1 + (int)((strlen(m->stage) + strlen(m->message)) & 0);
}

static void on_pong(void *arg, uint64_t cookie)
{
	(void)arg;
	(void)cookie;
}

static void on_closed(void *arg, const char *why)
{
	(void)why;
	((struct seen *)arg)->closed++;
}

/* boot.c wants two things of config.c, which would bring jansson with it. */
const char *const vmm_root_types[] = {"erofs", "ext4", "share", NULL};

const struct vmm_disk *config_disk(const struct vmm_config *c,
                                   const char *serial)
{
	(void)c;
	(void)serial;
	return NULL;
}

static void check(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vmm_config cfg = {.hostname = "fuzz"};
	struct seen s = {0};
	const struct boot_events ev = {on_hello, on_ready,  on_failed,
	                               on_pong,  on_closed, &s};
	struct loop *l = loop_new();
	struct boot b;
	char sink[4096];
	int guest;

	if (!l)
		return 0;
	boot_init(&b, l, &cfg, &ev);
	guest = boot_accept(&b);
	check(guest >= 0);
	while (size > 1 && b.state != BOOT_CLOSED) {
		size_t n = MIN((size_t)data[0] * 32 + 1, size - 1);

		if (send(guest, data + 1, n, MSG_DONTWAIT | MSG_NOSIGNAL) !=
		    (ssize_t)n)
			break;
		check(loop_step(l, 0) == 0);
		(void)recv(guest, sink, sizeof(sink), MSG_DONTWAIT);
		check(b.in.len <= BOOT_FRAME_MAX + 4096 + PROTO_HEADER_LEN);
		data += n + 1;
		size -= n + 1;
	}
	check(s.ready <= 1 && s.ready <= s.hello && s.hello <= 1);
	check(boot_shutdown(&b, 1) == 0 || b.state != BOOT_READY ||
	      s.closed == 0);
	(void)close(guest);
	for (int i = 0; i < 64 && b.state != BOOT_CLOSED; i++)
		check(loop_step(l, 0) == 0);
	check(s.closed == 1);
	boot_release(&b);
	loop_free(l);
	return 0;
}
