/*
 * What clients ask of a machine, and what becomes of the sessions that they
 * left here.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "virtio/balloon.h"
#include "virtio/blk.h"
#include "virtio/mem.h"
#include "virtio/vsock.h"
#include "vmm/vm_int.h"

#include "base/banned.h"

/* ---- sessions ---- */

static void on_connect(struct vm *vm, struct client *from,
                       const struct proto_msg *m, int fd)
{
	(void)from;
	if (vm->state == VM_STARTING || vm->state == VM_READY) {
		lifetime_touch(&vm->lifetime);
		relay_connect(&vm->relay, m->vmm_connect.port, fd);
	} else {
		close_fd(&fd);
	}
}

static void on_keep(struct vm *vm, struct client *from,
                    const struct proto_msg *m, int fd)
{
	const uint64_t session = m->vmm_keep.session;
	struct proto_msg kept = {.type = PROTO_VMM_KEPT,
	                         .vmm_kept = {.session = session}};
	int r;

	lifetime_touch(&vm->lifetime);
	journal_mark(&vm->journal, session, "kept%s",
	             m->vmm_keep.is_main ? " as the main command" : "");
	r = keep_add(&vm->keep, &m->vmm_keep, fd);
	if (r < 0)
		journal_mark(&vm->journal, session, "cannot be kept: %s",
		             strerror(-r));
	kept.vmm_kept.error = -r;
	(void)clients_answer(from, &kept, -1);
}

/* Until it was sent it is ours: who asked may be gone. */
static void on_take(struct vm *vm, struct client *from,
                    const struct proto_msg *m, int fd)
{
	struct proto_msg taken = {.type = PROTO_VMM_TAKEN,
	                          .vmm_taken = {.error = ENOENT}};
	struct kept *s =
		keep_find(&vm->keep, m->vmm_take.session, &taken.vmm_taken);

	(void)fd;
	lifetime_touch(&vm->lifetime);
	if (clients_answer(from, &taken, s ? s->fd : -1) < 0 || !s)
		return;
	journal_mark(&vm->journal, s->session, "taken back");
	keep_lend(s);
}

static void on_session_output(void *arg, enum reclog_source source,
                              uint64_t session, const void *data, size_t len)
{
	struct vm *vm = arg;

	journal_output(&vm->journal, source, session, data, len);
}

static void on_session_ended(void *arg, uint64_t session, bool is_main,
                             int code)
{
	struct vm *vm = arg;

	if (code == KEEP_NO_CODE)
		journal_mark(&vm->journal, session, "ended");
	else
		journal_mark(&vm->journal, session, "exited with code %d",
		             code);
	if (!is_main)
		return;
	vm->main_code = code;
	if (code == KEEP_NO_CODE)
		vm_lost_main(vm);
	else if (vm->state == VM_READY)
		vm_stop_because(vm, "exited");
}

struct keep_events vm_keep_events(struct vm *vm)
{
	return (struct keep_events){on_session_output, on_session_ended, vm};
}

/* ---- the machine ---- */

static void on_stop(struct vm *vm, struct client *from,
                    const struct proto_msg *m, int fd)
{
	(void)from;
	(void)fd;
	vm_stop(vm, m->vmm_stop.timeout_ms);
}

static void on_touch(struct vm *vm, struct client *from,
                     const struct proto_msg *m, int fd)
{
	(void)from;
	(void)m;
	(void)fd;
	lifetime_touch(&vm->lifetime);
}

/* A machine that nobody can reach must not outlive who started it. */
static void on_detach(struct vm *vm, struct client *from,
                      const struct proto_msg *m, int fd)
{
	(void)from;
	(void)m;
	(void)fd;
	if (vm->cfg.listen_fd < 0) {
		log_limited(LOG_WARN, "a machine without a listening socket "
		                      "cannot be detached");
		return;
	}
	if (!vm->detached)
		journal_mark(&vm->journal, 0, "detached");
	vm->detached = true;
}

static void ask(struct vm *vm, uint64_t number)
{
	int r = boot_ping(&vm->boot, number);

	if (r < 0)
		log_debug("cannot ask the agent: %s", strerror(-r));
}

/* Nobody needs the machine who asks whether it is there: no touch. */
static void on_ping(struct vm *vm, struct client *from,
                    const struct proto_msg *m, int fd)
{
	uint64_t number = pings_add(&vm->pings, from, m->vmm_ping.cookie);

	(void)fd;
	if (number && vm->state != VM_STARTING)
		ask(vm, number);
}

void vm_ask_pings(struct vm *vm)
{
	for (size_t i = 0; i < PINGS_MAX; i++)
		if (vm->pings.list[i].number)
			ask(vm, vm->pings.list[i].number);
}

void vm_pong(void *arg, uint64_t cookie)
{
	struct vm *vm = arg;
	struct proto_msg pong = {.type = PROTO_VMM_PONG};
	struct client *from;

	if (pings_take(&vm->pings, cookie, &from, &pong.vmm_pong.cookie))
		(void)clients_answer(from, &pong, -1);
	else
		log_limited(LOG_DEBUG, "the agent answers what nobody asked");
}

/* ---- numbers: all of this host's, the guest is not woken ---- */

/* As clock_getcpuclockid() makes it, without the call that it checks by. */
static clockid_t cpu_clock_of(pid_t pid)
{
	return (clockid_t)(~(unsigned)pid << 3 | 2u);
}

static uint64_t cpu_ns(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) < 0)
		return 0;
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t all_cpu_ns(const struct vm *vm)
{
	uint64_t ns = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
	pid_t child =
		vm->engine && vm->ops->child ? vm->ops->child(vm->engine) : -1;

	return child > 0 ? ns + cpu_ns(cpu_clock_of(child)) : ns;
}

/*
 * Our balloon counts what comes back. QEMU's does not tell: but what the file
 * of its guest's memory holds shrinks only by that, so each time that it was
 * found smaller tells of so much at least.
 */
static void look_at_memory(struct vm *vm)
{
	struct vm_memory *mem = &vm->memory;
	const struct virtio_dev *vsock = vm->devices.vsock;
	struct virtio_dev *balloon = devices_find(&vm->devices, "balloon");
	uint64_t now = vsock->active ? guest_mem_resident(vsock->mem) : 0;

	if (balloon)
		mem->returned = balloon_returned(balloon);
	else if (now < mem->resident)
		mem->returned += mem->resident - now;
	mem->resident = now;
}

static void add_disks(const struct vm *vm, struct proto_vmm_stats_reply *ret)
{
	for (unsigned i = 0; i < vm->cfg.ndisks; i++) {
		const struct virtio_dev *d =
			devices_find(&vm->devices, vm->cfg.disks[i].serial);
		struct blk_stats s;

		if (!d)
			continue;
		blk_get_stats(d, &s);
		ret->disk_read_bytes += s.read_bytes;
		ret->disk_write_bytes += s.write_bytes;
		ret->disk_reads += s.reads;
		ret->disk_writes += s.writes;
	}
}

static void add_net(const struct vm *vm, struct proto_vmm_stats_reply *ret)
{
	const struct net_counters *c;

	if (!vm->net)
		return;
	c = net_dev_counters(vm->net);
	ret->net_rx_bytes = c->rx_bytes;
	ret->net_tx_bytes = c->tx_bytes;
	ret->net_rx_packets = c->rx_packets;
	ret->net_tx_packets = c->tx_packets;
	ret->net_flows = c->tcp_flows + c->udp_flows + c->icmp_flows;
	ret->net_open = c->open;
	ret->net_denied = c->denied;
	ret->net_refused = c->refused;
	ret->net_dns_queries = c->dns_queries;
	ret->net_dns_denied = c->dns_denied;
	ret->tls_flows = c->tls_flows;
	ret->tls_refused = c->tls_refused;
	ret->secrets_used = c->secrets_used;
	ret->secret_violations = c->secret_violations;
	ret->secrets_masked = c->secrets_masked;
}

static void on_stats(struct vm *vm, struct client *from,
                     const struct proto_msg *m, int fd)
{
	const uint64_t now = clock_now_ns();
	struct proto_msg reply = {.type = PROTO_VMM_STATS_REPLY};
	struct proto_vmm_stats_reply *r = &reply.vmm_stats_reply;

	(void)fd;
	look_at_memory(vm);
	*r = (struct proto_vmm_stats_reply){
		.cookie = m->vmm_stats.cookie,
		.time_ns = now,
		.uptime_ns = vm->ready_ns ? now - vm->ready_ns : 0,
		.cpu_ns = all_cpu_ns(vm),
		.memory_bytes = vm->cfg.memory_mib * MIB,
		.memory_resident_bytes = vm->memory.resident,
		.memory_returned_bytes = vm->memory.returned,
		.cpus = vm->cfg.cpus,
		.sessions = vsock_sessions(vm->devices.vsock)};
	add_disks(vm, r);
	add_net(vm, r);
	(void)clients_answer(from, &reply, -1);
}

/* ---- the network ---- */

/* An answer on its way back from the network's thread. */
struct explaining {
	struct vm *vm;
	uint64_t number;
};

static void say_explained(struct client *to, uint64_t cookie, int error,
                          const char *json)
{
	const struct proto_msg m = {
		.type = PROTO_VMM_NET_EXPLAINED,
		.vmm_net_explained = {.cookie = cookie,
	                              .error = error,
	                              .json = json ? json : ""}
        };

	(void)clients_answer(to, &m, -1);
}

static void on_explained(void *arg, char *json)
{
	struct explaining *e = arg;
	struct client *from;
	uint64_t cookie;

	if (pings_take(&e->vm->explains, e->number, &from, &cookie))
		say_explained(from, cookie, json ? 0 : ENOMEM, json);
	free(json);
	free(e);
}

static int ask_net(struct vm *vm, struct client *from,
                   const struct proto_vmm_net_explain *m)
{
	struct explaining *e;
	struct client *gone;
	uint64_t cookie;
	int r;

	if (!vm->net)
		return -ENODEV;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->vm = vm;
	e->number = pings_add(&vm->explains, from, m->cookie);
	r = e->number ? net_dev_explain(vm->net, m->host, m->port, m->protocol,
	                                vm->loop, on_explained, e)
	              : -EBUSY;
	if (r < 0) {
		(void)pings_take(&vm->explains, e->number, &gone, &cookie);
		free(e);
	}
	return r;
}

static void on_net_explain(struct vm *vm, struct client *from,
                           const struct proto_msg *m, int fd)
{
	int r = ask_net(vm, from, &m->vmm_net_explain);

	(void)fd;
	if (r < 0)
		say_explained(from, m->vmm_net_explain.cookie, -r, NULL);
}

/* ---- who asks ---- */

static const struct {
	enum proto_type type;
	void (*fn)(struct vm *vm, struct client *from,
	           const struct proto_msg *m, int fd); /* owns @fd */
} requests[] = {
	{PROTO_VMM_CONNECT,     on_connect    },
	{PROTO_VMM_STOP,        on_stop       },
	{PROTO_VMM_TOUCH,       on_touch      },
	{PROTO_VMM_DETACH,      on_detach     },
	{PROTO_VMM_KEEP,        on_keep       },
	{PROTO_VMM_TAKE,        on_take       },
	{PROTO_VMM_PING,        on_ping       },
	{PROTO_VMM_STATS,       on_stats      },
	{PROTO_VMM_NET_EXPLAIN, on_net_explain},
};

/* control.c has let only these through. */
static void on_request(void *arg, struct client *from,
                       const struct proto_msg *m, int fd)
{
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		if (requests[i].type == m->type)
			requests[i].fn(arg, from, m, fd);
}

static void on_client_gone(void *arg, const struct client *cl)
{
	struct vm *vm = arg;

	pings_forget(&vm->pings, cl);
	pings_forget(&vm->explains, cl);
}

static void on_owner_gone(void *arg, const char *why)
{
	struct vm *vm = arg;

	if (!vm->detached)
		vm_abandon(vm, why);
	else if (why)
		log_limited(LOG_WARN, "the library: %s", why);
}

struct clients_events vm_clients_events(struct vm *vm)
{
	return (struct clients_events){on_request, on_client_gone,
	                               on_owner_gone, vm};
}
