/* Copies of a network's options, and their form in the record. */
#include "lib/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/members.h"
#include "lib/options.h"
#include "lib/record.h"

#include "base/banned.h"

typedef struct msb_port **port_list;

/* ---- rates --------------------------------------------------------------- */

static bool read_number(const json_t *j, uint64_t max, uint64_t *ret)
{
	json_int_t n = json_integer_value(j);

	*ret = (uint64_t)n;
	return json_is_integer(j) && n >= 0 && (uint64_t)n <= max;
}

static int copy_rate(void *to, const void *from)
{
	memcpy(to, from, sizeof(struct msb_rate));
	return 0;
}

static bool is_no_rate(const void *of)
{
	return ((const struct msb_rate *)of)->per_second == 0;
}

static json_t *rate_json(const void *of)
{
	const struct msb_rate *rate = of;

	return json_pack("[I, I]", (json_int_t)rate->per_second,
	                 (json_int_t)rate->burst);
}

static int read_rate(const json_t *j, void *ret)
{
	struct msb_rate *rate = ret;

	if (!read_number(json_array_get(j, 0), INT64_MAX, &rate->per_second) ||
	    !read_number(json_array_get(j, 1), INT64_MAX, &rate->burst))
		return -EINVAL;
	return 0;
}

static const struct member_type rate_type = {
	.copy = copy_rate,
	.is_default = is_no_rate,
	.json = rate_json,
	.read = read_rate,
};

/* ---- ports --------------------------------------------------------------- */

static void release_ports(void *of)
{
	port_list list = *(port_list *)of;

	for (port_list p = list; p && *p; p++) {
		free((char *)(uintptr_t)(*p)->bind);
		free(*p);
	}
	free(list);
	*(port_list *)of = NULL;
}

/* Takes what @one points to, also on failure. */
static int add_port(port_list *list, size_t n, const struct msb_port *one)
{
	port_list more = reallocarray(*list, n + 2, sizeof(*more));
	struct msb_port *copy = more ? malloc(sizeof(*copy)) : NULL;

	if (more)
		*list = more;
	if (!copy) {
		free((char *)(uintptr_t)one->bind);
		if (more)
			more[n] = NULL;
		return -ENOMEM;
	}
	*copy = *one;
	more[n] = copy;
	more[n + 1] = NULL;
	return 0;
}

static int copy_ports(void *to, const void *from)
{
	const struct msb_port *const *list =
		*(const struct msb_port *const *const *)from;
	int r = 0;

	*(port_list *)to = NULL;
	for (size_t n = 0; list && list[n] && r == 0; n++) {
		struct msb_port p = MSB_PORT_INIT;

		if (!options_take(&p, sizeof(p), list[n]))
			return -EINVAL;
		p.size = sizeof(p);
		if (p.bind && !(p.bind = strdup(p.bind)))
			return -ENOMEM;
		r = add_port(to, n, &p);
	}
	return r;
}

static bool is_no_port(const void *of)
{
	return !*(const void *const *)of;
}

static json_t *port_json(const struct msb_port *p)
{
	json_t *o = json_pack("{s:i, s:i}", "host", p->host, "guest", p->guest);

	if (o && p->bind &&
	    json_object_set_new(o, "bind", record_text(p->bind)) < 0) {
		json_decref(o);
		return NULL;
	}
	if (o && p->flags)
		(void)json_object_set_new(o, "flags", json_integer(p->flags));
	return o;
}

/* Only of a list that is there. */
static json_t *ports_json(const void *of)
{
	const struct msb_port *const *list =
		*(const struct msb_port *const *const *)of;
	json_t *a = json_array();

	for (; a && *list; list++) {
		if (json_array_append_new(a, port_json(*list)) < 0) {
			json_decref(a);
			return NULL;
		}
	}
	return a;
}

static int read_port(const json_t *o, struct msb_port *ret)
{
	const json_t *bind = json_object_get(o, "bind"),
		     *flags = json_object_get(o, "flags");
	uint64_t host, guest, bits = 0;

	if (!read_number(json_object_get(o, "host"), UINT16_MAX, &host) ||
	    !read_number(json_object_get(o, "guest"), UINT16_MAX, &guest) ||
	    (flags && !read_number(flags, UINT32_MAX, &bits)))
		return -EINVAL;
	*ret = (struct msb_port){.size = sizeof(*ret),
	                         .host = (uint16_t)host,
	                         .guest = (uint16_t)guest,
	                         .flags = (uint32_t)bits};
	if (bind)
		ret->bind = record_read_text(bind);
	return bind && !ret->bind ? -EINVAL : 0;
}

static int read_ports(const json_t *j, void *ret)
{
	size_t n = json_array_size(j);
	int r = json_is_array(j) && n <= MSB_PORTS_MAX ? 0 : -EINVAL;

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct msb_port p;

		r = read_port(json_array_get(j, i), &p);
		if (r == 0)
			r = add_port(ret, i, &p);
	}
	return r;
}

static const struct member_type ports_type = {
	.copy = copy_ports,
	.release = release_ports,
	.is_default = is_no_port,
	.json = ports_json,
	.read = read_ports,
};

/* ---- all of it ----------------------------------------------------------- */

static const struct member members[] = {
	MEMBER(struct msb_network, flags, MEMBER_NUMBER),
	MEMBER(struct msb_network, profile, MEMBER_TEXT),
	MEMBER(struct msb_network, rules, MEMBER_LIST),
	MEMBER(struct msb_network, default_egress, MEMBER_NUMBER),
	MEMBER(struct msb_network, default_ingress, MEMBER_NUMBER),
	MEMBER_TYPED(struct msb_network, ports, &ports_type),
	MEMBER(struct msb_network, nameservers, MEMBER_LIST),
	MEMBER(struct msb_network, dns_timeout_ms, MEMBER_NUMBER),
	MEMBER(struct msb_network, ipv4_pool, MEMBER_TEXT),
	MEMBER(struct msb_network, ipv6_pool, MEMBER_TEXT),
	MEMBER(struct msb_network, mtu, MEMBER_NUMBER),
	MEMBER_TYPED(struct msb_network, egress_bytes, &rate_type),
	MEMBER_TYPED(struct msb_network, egress_packets, &rate_type),
	MEMBER_TYPED(struct msb_network, ingress_bytes, &rate_type),
	MEMBER_TYPED(struct msb_network, ingress_packets, &rate_type),
	MEMBER(struct msb_network, max_connections, MEMBER_NUMBER),
	MEMBER(struct msb_network, proxy, MEMBER_TEXT),
	MEMBER(struct msb_network, socks4_user_id, MEMBER_TEXT),
	MEMBER(struct msb_network, socks5_username, MEMBER_TEXT),
	MEMBER(struct msb_network, socks5_password_env, MEMBER_TEXT),
	MEMBER(struct msb_network, vsock, MEMBER_LIST),
	MEMBER(struct msb_network, pcap, MEMBER_TEXT),
	{0}};
_Static_assert(sizeof(((struct msb_network *)0)->default_egress) ==
                       sizeof(uint32_t),
               "a number has 32 bits");

void network_release(struct msb_network *n)
{
	members_release(members, n);
	*n = (struct msb_network){0};
}

/* A path of the host that means the same wherever msb is started. */
static int make_absolute(const char **path)
{
	cleanup_free char *cwd = NULL;
	char *whole;

	if (!*path || **path == '/')
		return 0;
	cwd = getcwd(NULL, 0);
	if (!cwd)
		return -errno;
	if (asprintf(&whole, "%s/%s", strcmp(cwd, "/") ? cwd : "", *path) < 0)
		return -ENOMEM;
	free((char *)(uintptr_t)*path);
	*path = whole;
	return 0;
}

int network_take(struct msb_network *ret, const struct msb_network *from)
{
	struct msb_network given = MSB_NETWORK_INIT;
	int r = options_take(&given, sizeof(given), from) ? 0 : -EINVAL;

	*ret = (struct msb_network)MSB_NETWORK_INIT;
	if (r == 0)
		r = members_copy(members, ret, &given);
	return r < 0 ? r : make_absolute(&ret->pcap);
}

json_t *network_json(const struct msb_network *n)
{
	return members_json(members, n);
}

int network_read(const json_t *j, struct msb_network *ret)
{
	struct msb_network n = MSB_NETWORK_INIT;
	int r = members_read(members, j, &n);

	if (r == 0)
		*ret = n;
	return r;
}
