#include "lib/net_ports.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/num.h"
#include "lib/error.h"
#include "lib/life.h"
#include "lib/place.h"

#include "base/banned.h"

#define PORTS_FILE "ports.json"
#define FILE_MAX   (64u << 10)
#define BACKLOG    1024

static const char *protocol(bool udp)
{
	return udp ? "udp" : "tcp";
}

/* ---- the file ------------------------------------------------------------ */

static json_t *as_json(const struct net_launch *n)
{
	json_t *a = json_array();
	int r = 0;

	for (size_t i = 0; i < n->nports && r == 0; i++) {
		const struct net_launch_port *p = &n->ports[i];
		char text[ADDR_TEXT_MAX];

		r = json_array_append_new(
			a, json_pack("{s:s, s:i, s:i, s:s}", "bind",
		                     addr_text(&p->bind, text), "host", p->host,
		                     "guest", p->guest, "protocol",
		                     protocol(p->udp)));
	}
	if (r < 0) {
		json_decref(a);
		return NULL;
	}
	return a;
}

int net_ports_write(const struct net_launch *n, const struct place *p,
                    struct err *err)
{
	json_t *cleanup_json list = NULL;
	cleanup_free char *text = NULL;
	int r;

	if (n->nports == 0) {
		(void)unlinkat(p->dir_fd, PORTS_FILE, 0);
		return 0;
	}
	list = as_json(n);
	text = list ? json_text(list, JSON_COMPACT) : NULL;
	if (!text)
		return -ENOMEM;
	r = file_replace(p->dir_fd, PORTS_FILE, text, strlen(text), 0600);
	return r < 0 ? err_set(err, r, "cannot write its %s: %s", PORTS_FILE,
	                       strerror(-r))
	             : 0;
}

static bool is_port(const json_t *o)
{
	int64_t host = json_int(o, "host", -1),
		guest = json_int(o, "guest", -1);
	const char *name = json_str(o, "protocol", "");

	return json_str(o, "bind", NULL) && host > 0 && host <= UINT16_MAX &&
	       guest > 0 && guest <= UINT16_MAX &&
	       (strcmp(name, "tcp") == 0 || strcmp(name, "udp") == 0);
}

json_t *net_ports_read(const struct place *p)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(FILE_MAX);
	json_t *cleanup_json read = NULL;
	json_t *list = json_array();

	if (file_read(p->dir_fd, PORTS_FILE, &b) == 0)
		read = json_parse(b.data, b.len, PORTS_FILE, NULL);
	for (size_t i = 0; list && i < json_array_size(read); i++) {
		json_t *one = json_array_get(read, i);

		if (is_port(one))
			(void)json_array_append(list, one);
	}
	return list;
}

/* ---- who has a port ------------------------------------------------------ */

static bool has_port(struct msb_home *home, const struct state_sandbox *row,
                     const struct net_launch_port *want)
{
	struct place cleanup_place p = PLACE_INIT;
	json_t *cleanup_json list = NULL;

	if (!row->started_ms || row->ended_ms ||
	    place_open(home->store, row->id, &p, NULL) < 0 ||
	    !place_is_locked(&p))
		return false;
	list = net_ports_read(&p);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *o = json_array_get(list, i);
		struct addr bind;

		if (addr_parse(json_str(o, "bind", ""), &bind) == 0 &&
		    net_port_clash(&bind, &want->bind) &&
		    json_int(o, "host", 0) == want->host &&
		    strcmp(json_str(o, "protocol", ""), protocol(want->udp)) ==
		            0)
			return true;
	}
	return false;
}

/* The sandbox that has it, in words for the hint; "" when none of ours does. */
static void find_holder(struct msb_home *home,
                        const struct net_launch_port *want, struct buf *ret)
{
	struct strv none = {0};
	struct state_sandbox *rows = NULL;
	struct state *st;
	size_t n = 0;

	if (!home || home_lock(home, &st, NULL) < 0)
		return;
	if (state_list(st, &none, &rows, &n, NULL) < 0)
		n = 0;
	home_unlock(home);
	for (size_t i = 0; i < n && ret->len == 0; i++)
		if (has_port(home, &rows[i], want))
			(void)buf_adds(ret, rows[i].name);
	state_list_free(rows, n);
}

static int taken(struct msb_home *home, const struct net_launch_port *p,
                 struct err *err)
{
	struct buf cleanup_buf holder = BUF_INIT;
	char text[ADDR_TEXT_MAX];

	find_holder(home, p, &holder);
	(void)addr_text(&p->bind, text);
	if (holder.len) {
		err_set(err, -EADDRINUSE,
		        "port %u (%s) of %s is taken: the sandbox %s has it",
		        p->host, protocol(p->udp), text, buf_str(&holder));
		err_hint(err,
		         "msb stop %s frees it; -p 0:%u takes any that is free",
		         buf_str(&holder), p->guest);
		return -EADDRINUSE;
	}
	err_set(err, -EADDRINUSE, "port %u (%s) of %s is taken", p->host,
	        protocol(p->udp), text);
	err_hint(err,
	         "ss -%slnp 'sport = :%u' shows who has it; -p 0:%u takes any "
	         "that is free",
	         p->udp ? "u" : "t", p->host, p->guest);
	return -EADDRINUSE;
}

/* ---- sockets ------------------------------------------------------------- */

/* The first port that needs no right; 1024 where that cannot be read. */
static unsigned first_free(void)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(64);
	unsigned n = 1024;

	if (file_read(AT_FDCWD, "/proc/sys/net/ipv4/ip_unprivileged_port_start",
	              &b) == 0)
		(void)sscanf(buf_str(&b), "%u", &n);
	return n;
}

static int cannot_bind(struct msb_home *home, const struct net_launch_port *p,
                       int r, struct err *err)
{
	char text[ADDR_TEXT_MAX];

	(void)addr_text(&p->bind, text);
	if (r == -EADDRINUSE)
		return taken(home, p, err);
	if (r == -EADDRNOTAVAIL) {
		err_set(err, r, "port %u: this host has no address %s", p->host,
		        text);
		err_hint(err, "127.0.0.1 is this host alone, 0.0.0.0 all its "
		              "networks");
		return r;
	}
	if (r == -EACCES || r == -EPERM) {
		err_set(err, r, "port %u of %s may not be opened by this user",
		        p->host, text);
		err_hint(err,
		         "ports from %u on may: for example -p %u:%u; or lower "
		         "the sysctl net.ipv4.ip_unprivileged_port_start",
		         first_free(), p->host + 8000u, p->guest);
		return r;
	}
	return err_set(err, r, "cannot open port %u of %s: %s", p->host, text,
	               strerror(-r));
}

/*
 * SO_REUSEADDR of TCP is for connections of an earlier start that linger; it
 * lets no two listen. Of UDP it would, so that has none.
 */
static int bind_port(struct net_launch_port *p)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&p->bind, p->host, &sa);
	const int yes = 1;
	struct addr bound;

	p->fd = socket(sa.ss_family,
	               (p->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC |
	                       SOCK_NONBLOCK,
	               0);
	if (p->fd < 0)
		return -errno;
	if (sa.ss_family == AF_INET6 &&
	    setsockopt(p->fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes)) < 0)
		return -errno;
	if (!p->udp &&
	    setsockopt(p->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
		return -errno;
	if (bind(p->fd, (struct sockaddr *)&sa, len) < 0)
		return -errno;
	if (!p->udp && listen(p->fd, BACKLOG) < 0)
		return -errno;
	len = sizeof(sa);
	if (getsockname(p->fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	return addr_from_sockaddr((struct sockaddr *)&sa, &bound, &p->host);
}

int net_ports_open(struct net_launch *n, struct msb_home *home, struct err *err)
{
	const struct msb_port *const *list = n->opts->ports;
	int r = 0;

	if (!list || !*list)
		return 0;
	n->ports = calloc(MSB_PORTS_MAX, sizeof(*n->ports));
	if (!n->ports)
		return -ENOMEM;
	for (; *list && r == 0; list++) {
		struct net_launch_port *p = &n->ports[n->nports++];

		*p = (struct net_launch_port){
			.fd = -1,
			.bind = addr_v4(0x7f000001),
			.host = (*list)->host,
			.guest = (*list)->guest,
			.udp = (*list)->flags & MSB_PORT_UDP,
		};
		if ((*list)->bind)
			r = addr_parse((*list)->bind, &p->bind);
		if (r == 0)
			r = bind_port(p);
		if (r < 0)
			r = cannot_bind(home, p, r, err);
	}
	return r;
}

/* ---- for programs -------------------------------------------------------- */

static int ports(struct msb_home *home, const char *name, char **ret_json,
                 struct err *err)
{
	struct state_sandbox cleanup_state_sandbox row = {0};
	struct place cleanup_place p = PLACE_INIT;
	json_t *cleanup_json list = NULL;
	int r = life_get(home, name, &row, err);

	if (r < 0)
		return r;
	r = place_open(home->store, row.id, &p, NULL);
	if (r < 0 || !place_is_locked(&p)) {
		err_set(err, -LIB_EGONE, "%s is not running", row.name);
		err_hint(err, "msb start %s starts it", row.name);
		return -LIB_EGONE;
	}
	list = net_ports_read(&p);
	*ret_json = list ? json_text(list, 0) : NULL;
	return *ret_json ? 0 : -ENOMEM;
}

int msb_sandbox_ports(struct msb_home *home, const char *name, char **ret_json,
                      struct msb_error *error)
{
	struct err err = {0};
	char *text;
	int r = ports(home, name, &text, &err);

	if (r < 0)
		return error_return(error, r, &err);
	*ret_json = text;
	return 0;
}
