#include "guest/etc.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "guest/cover.h"
#include "guest/net.h"
#include "guest/trust.h"

#include "base/banned.h"

/* Nothing is taken until somebody writes; who edits them has room. */
#define TMPFS_SMALL "mode=0755,size=1m,nr_inodes=32"

/* ---- what they say ---- */

static int own_line(struct buf *to, const char *address, const char *hostname)
{
	if (!address)
		return 0;
	return buf_printf(to, "%.*s\t%.250s\n", (int)strcspn(address, "/"),
	                  address, hostname);
}

int etc_hosts_text(struct buf *to, const char *hostname,
                   const struct proto_strs *net)
{
	const char *line;

	if (!*hostname)
		hostname = "sandbox";
	(void)buf_adds(to, "127.0.0.1\tlocalhost\n"
	                   "::1\tlocalhost ip6-localhost ip6-loopback\n");
	(void)own_line(to, net_value(net, "ip4", 0), hostname);
	(void)own_line(to, net_value(net, "ip6", 0), hostname);
	for (unsigned i = 0; (line = net_value(net, "host", i)); i++)
		(void)buf_printf(to, "%s\n", line);
	return buf_ok(to) ? 0 : -ENOMEM;
}

int etc_resolv_text(struct buf *to, const struct proto_strs *net)
{
	const char *server;

	for (unsigned i = 0; (server = net_value(net, "dns", i)); i++)
		(void)buf_printf(to, "nameserver %s\n", server);
	return buf_ok(to) ? 0 : -ENOMEM;
}

/* ---- the network's files ---- */

static void cover_network(struct cover *c, const char *hostname,
                          const struct proto_strs *net)
{
	struct buf cleanup_buf hosts = BUF_INIT_MAX(256u << 10);
	struct buf cleanup_buf resolv = BUF_INIT_MAX(64u << 10);
	struct buf cleanup_buf name = BUF_INIT_MAX(1u << 10);

	if (etc_hosts_text(&hosts, hostname, net) == 0)
		cover_path(c, "/etc/hosts", &hosts);
	if (etc_resolv_text(&resolv, net) == 0)
		cover_path(c, "/etc/resolv.conf", &resolv);
	if (buf_printf(&name, "%.250s\n", hostname) == 0)
		cover_path(c, "/etc/hostname", &name);
}

void etc_provide(int root_fd, const char *scratch, const char *hostname,
                 const struct proto_strs *net, const struct proto_bytes *pem,
                 bool init, dev_t *ret_dev)
{
	struct cover c = {
		.root_fd = root_fd, .scratch = scratch, .tmpfs_fd = -1};
	int r;

	if (net->n == 0 && pem->n == 0)
		return;
	r = cover_begin(&c, pem->n ? TRUST_TMPFS : TMPFS_SMALL);
	if (r < 0) {
		log_warn("cannot mount a tmpfs for files of /etc: %s",
		         strerror(-r));
	} else {
		if (net->n)
			cover_network(&c, hostname, net);
		if (pem->n)
			trust_provide(&c, pem, init);
		*ret_dev = c.dev;
	}
	cover_end(&c);
}
