/* Copies of a network's options, and their form in the record. */
#include "lib/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "base/strv.h"
#include "lib/options.h"
#include "lib/record.h"

#include "base/banned.h"

/* What a member is, for all three: copy, write, read. */
enum kind { NUMBER, TEXT, LIST, RATE, PORTS };

static const struct member {
	const char *key;
	enum kind kind;
	size_t offset;
} members[] = {
#define MEMBER(name, kind)                                                     \
	{                                                                      \
#name, kind, offsetof(struct msb_network, name)                \
	}
	MEMBER(flags, NUMBER),
	MEMBER(profile, TEXT),
	MEMBER(rules, LIST),
	MEMBER(default_egress, NUMBER),
	MEMBER(default_ingress, NUMBER),
	MEMBER(ports, PORTS),
	MEMBER(nameservers, LIST),
	MEMBER(dns_timeout_ms, NUMBER),
	MEMBER(ipv4_pool, TEXT),
	MEMBER(ipv6_pool, TEXT),
	MEMBER(mtu, NUMBER),
	MEMBER(egress_bytes, RATE),
	MEMBER(egress_packets, RATE),
	MEMBER(ingress_bytes, RATE),
	MEMBER(ingress_packets, RATE),
	MEMBER(max_connections, NUMBER),
	MEMBER(proxy, TEXT),
	MEMBER(socks4_user_id, TEXT),
	MEMBER(socks5_username, TEXT),
	MEMBER(socks5_password_env, TEXT),
	MEMBER(vsock, LIST),
	MEMBER(pcap, TEXT),
#undef MEMBER
};
_Static_assert(sizeof(((struct msb_network *)0)->default_egress) ==
                       sizeof(uint32_t),
               "a NUMBER has 32 bits");

typedef struct msb_port **port_list;

static void *member(struct msb_network *n, const struct member *m)
{
	return (char *)n + m->offset;
}

static const void *member_const(const struct msb_network *n,
                                const struct member *m)
{
	return (const char *)n + m->offset;
}

/* ---- what is owned ------------------------------------------------------- */

static void free_list(char **list)
{
	for (char **s = list; s && *s; s++)
		free(*s);
	free(list);
}

static void free_ports(port_list list)
{
	for (port_list p = list; p && *p; p++) {
		free((char *)(uintptr_t)(*p)->bind);
		free(*p);
	}
	free(list);
}

void network_release(struct msb_network *n)
{
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		void *at = member(n, &members[i]);

		if (members[i].kind == TEXT)
			free(*(char **)at);
		else if (members[i].kind == LIST)
			free_list(*(char ***)at);
		else if (members[i].kind == PORTS)
			free_ports(*(port_list *)at);
	}
	*n = (struct msb_network){0};
}

static int copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

static int copy_list(char ***to, const char *const *from)
{
	struct strv s = {0};
	int r = strv_add_all(&s, (char *const *)(uintptr_t)from);

	*to = s.v; /* also of a part: it is freed with the whole */
	return r;
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

static int copy_ports(port_list *to, const struct msb_port *const *from)
{
	int r = 0;

	*to = NULL;
	for (size_t n = 0; from && from[n] && r == 0; n++) {
		struct msb_port p = MSB_PORT_INIT;

		if (!options_take(&p, sizeof(p), from[n]))
			return -EINVAL;
		p.size = sizeof(p);
		r = copy_text((char **)(uintptr_t)&p.bind, p.bind);
		if (r == 0)
			r = add_port(to, n, &p);
	}
	return r;
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

static int copy_member(const struct member *m, void *to, const void *from)
{
	switch (m->kind) {
	case TEXT:
		return copy_text(to, *(const char *const *)from);
	case LIST:
		return copy_list(to, *(const char *const *const *)from);
	case PORTS:
		return copy_ports(to,
		                  *(const struct msb_port *const *const *)from);
	case RATE:
		memcpy(to, from, sizeof(struct msb_rate));
		return 0;
	case NUMBER:
		memcpy(to, from, sizeof(uint32_t));
		return 0;
	}
	return -EINVAL;
}

int network_take(struct msb_network *ret, const struct msb_network *from)
{
	struct msb_network given = MSB_NETWORK_INIT;
	int r = options_take(&given, sizeof(given), from) ? 0 : -EINVAL;

	*ret = (struct msb_network)MSB_NETWORK_INIT;
	for (size_t i = 0; i < ARRAY_SIZE(members) && r == 0; i++)
		r = copy_member(&members[i], member(ret, &members[i]),
		                member_const(&given, &members[i]));
	return r < 0 ? r : make_absolute(&ret->pcap);
}

/* ---- the record ---------------------------------------------------------- */

static json_t *list_json(const char *const *list)
{
	json_t *a = json_array();

	for (; a && *list; list++) {
		if (json_array_append_new(a, record_text(*list)) < 0) {
			json_decref(a);
			return NULL;
		}
	}
	return a;
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

static json_t *ports_json(const struct msb_port *const *list)
{
	json_t *a = json_array();

	for (; a && *list; list++) {
		if (json_array_append_new(a, port_json(*list)) < 0) {
			json_decref(a);
			return NULL;
		}
	}
	return a;
}

/* NULL with *@skip: its default, which need not be written. */
static json_t *member_json(const struct member *m, const void *at, bool *skip)
{
	const struct msb_rate *rate = at;
	const void *const *pointer = at;

	switch (m->kind) {
	case NUMBER:
		*skip = *(const uint32_t *)at == 0;
		return *skip ? NULL : json_integer(*(const uint32_t *)at);
	case RATE:
		*skip = rate->per_second == 0;
		return *skip ? NULL
		             : json_pack("[I, I]", (json_int_t)rate->per_second,
		                         (json_int_t)rate->burst);
	case TEXT:
		*skip = !*pointer;
		return *skip ? NULL : record_text(*pointer);
	case LIST:
		*skip = !*pointer;
		return *skip ? NULL : list_json(*pointer);
	case PORTS:
		*skip = !*pointer;
		return *skip ? NULL : ports_json(*pointer);
	}
	return NULL;
}

json_t *network_json(const struct msb_network *n)
{
	json_t *o = json_object();

	for (size_t i = 0; o && i < ARRAY_SIZE(members); i++) {
		bool skip = false;
		json_t *j = member_json(&members[i],
		                        member_const(n, &members[i]), &skip);

		if (!skip && json_object_set_new(o, members[i].key, j) < 0) {
			json_decref(o);
			return NULL;
		}
	}
	return o;
}

static bool read_number(const json_t *j, uint64_t max, uint64_t *ret)
{
	json_int_t n = json_integer_value(j);

	*ret = (uint64_t)n;
	return json_is_integer(j) && n >= 0 && (uint64_t)n <= max;
}

static int read_list(const json_t *j, char ***ret)
{
	struct strv s = {0};
	int r = json_is_array(j) ? 0 : -EINVAL;

	for (size_t i = 0; r == 0 && i < json_array_size(j); i++) {
		cleanup_free char *text =
			record_read_text(json_array_get(j, i));

		r = text ? strv_add(&s, text) : -EINVAL;
	}
	*ret = s.v;
	return r;
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

static int read_ports(const json_t *j, port_list *ret)
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

static int read_rate(const json_t *j, struct msb_rate *ret)
{
	if (!read_number(json_array_get(j, 0), INT64_MAX, &ret->per_second) ||
	    !read_number(json_array_get(j, 1), INT64_MAX, &ret->burst))
		return -EINVAL;
	return 0;
}

static int read_member(const json_t *j, const struct member *m, void *at)
{
	uint64_t n;

	switch (m->kind) {
	case NUMBER:
		if (!read_number(j, UINT32_MAX, &n))
			return -EINVAL;
		*(uint32_t *)at = (uint32_t)n;
		return 0;
	case RATE:
		return read_rate(j, at);
	case TEXT:
		*(char **)at = record_read_text(j);
		return *(char **)at ? 0 : -EINVAL;
	case LIST:
		return read_list(j, at);
	case PORTS:
		return read_ports(j, at);
	}
	return -EINVAL;
}

int network_read(const json_t *j, struct msb_network *ret)
{
	struct msb_network n = MSB_NETWORK_INIT;
	int r = json_is_object(j) ? 0 : -EINVAL;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(members); i++) {
		const json_t *one = json_object_get(j, members[i].key);

		r = one ? read_member(one, &members[i], member(&n, &members[i]))
		        : 0;
	}
	if (r < 0) {
		network_release(&n);
		return r;
	}
	*ret = n;
	return 0;
}
