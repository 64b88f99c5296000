/* What of this host's network its sandboxes can have. Nothing is sent. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "lib/doctor.h"
#include "lib/net_launch.h"

#include "base/banned.h"

#define RESOLV_MAX (64u << 10)

/* To connect a UDP socket asks the routes, and no packet goes out. */
static int try_route(const char *address)
{
	struct sockaddr_storage sa;
	struct addr a;
	cleanup_close int fd = -1;
	socklen_t len;

	if (addr_parse(address, &a) < 0)
		return -EINVAL;
	len = addr_to_sockaddr(&a, 53, &sa);
	fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, len) < 0)
		return -errno;
	return 0;
}

static int try_ping(void)
{
	cleanup_close int fd =
		socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);

	return fd < 0 ? -errno : 0;
}

static void find_servers(struct strv *ret)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(RESOLV_MAX);

	(void)file_read(AT_FDCWD, "/etc/resolv.conf", &b);
	(void)net_servers_read(buf_str(&b), ret);
}

static void explain_routes(struct msb_report *r,
                           const struct doctor_net_facts *f)
{
	if (f->route4 == 0 && f->route6 == 0)
		doctor_add(r, "network", MSB_CHECK_OK, "",
		           "IPv4 and IPv6; name servers: %s", f->servers);
	else if (f->route4 == 0)
		doctor_add(r, "network", MSB_CHECK_OK, "",
		           "IPv4 (this host has no route for IPv6, so "
		           "sandboxes have none); name servers: %s",
		           f->servers);
	else if (f->route6 == 0)
		doctor_add(r, "network", MSB_CHECK_OK, "",
		           "IPv6 (this host has no route for IPv4); name "
		           "servers: %s",
		           f->servers);
	else
		doctor_add(r, "network", MSB_CHECK_INFO, "",
		           "this host has no default route: sandboxes reach "
		           "what it reaches");
}

void doctor_net_explain(struct msb_report *r, const struct doctor_net_facts *f)
{
	explain_routes(r, f);
	if (f->ping == 0)
		doctor_add(r, "ping", MSB_CHECK_OK, "",
		           "sandboxes can ping what they may reach");
	else
		doctor_add(r, "ping", MSB_CHECK_INFO,
		           "if that is wanted: sysctl -w "
		           "net.ipv4.ping_group_range='0 2147483647'",
		           "sandboxes cannot ping: this host gives you no ping "
		           "sockets (%s)",
		           strerror(-f->ping));
}

void doctor_net(struct msb_report *r)
{
	struct buf cleanup_buf text = BUF_INIT;
	struct strv cleanup_strv servers = {0};
	struct doctor_net_facts f = {.route4 = try_route("8.8.8.8"),
	                             .route6 = try_route("2001:4860:4860::"
	                                                 "8888"),
	                             .ping = try_ping()};

	find_servers(&servers);
	for (size_t i = 0; i < servers.n; i++)
		(void)buf_printf(&text, "%s%s", i ? ", " : "", servers.v[i]);
	f.servers = buf_str(&text);
	doctor_net_explain(r, &f);
}
