#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/num.h"
#include "virtio/vsock.h"
#include "vmm/hostsock.h"
#include "vmm/vm_int.h"

#include "base/banned.h"

static const struct engine_ops *const engines[] = {&engine_kvm, &engine_qemu};

/* SIGTERM, SIGINT, SIGHUP: power off; a second one: at once. */
static void on_signal(void *arg, uint32_t events)
{
	struct vm *vm = arg;
	struct signalfd_siginfo si;

	(void)events;
	if (read(vm->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		vm_stop(vm, vm->asked ? 0 : VM_TERM_TIMEOUT_MS);
}

int vm_open_loop(struct vm *vm, struct err *err)
{
	sigset_t set;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	vm->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	vm->loop = vm->signal_fd < 0 ? NULL : loop_new();
	if (!vm->loop || loop_add(vm->loop, &vm->signals, vm->signal_fd,
	                          EPOLLIN, on_signal, vm) < 0)
		return err_set(err, -errno, "cannot make a loop: %s",
		               strerror(errno));
	return 0;
}

int vm_read_config(struct vm *vm, struct err *err)
{
	int r = config_read(&vm->cfg, VMM_FD_CONFIG, err);

	(void)close(VMM_FD_CONFIG);
	return r;
}

int vm_open_journal(struct vm *vm, struct err *err)
{
	return journal_init(&vm->journal, vm->loop, vm->cfg.log_fds, err);
}

int vm_open_control(struct vm *vm, struct err *err)
{
	const struct clients_events events = vm_clients_events(vm);

	return clients_init(&vm->clients, vm->loop, vm->control_fd,
	                    vm->cfg.listen_fd, &events, err);
}

/* Whether the config leaves @e in the race. */
static bool may_run(const struct vmm_config *c, const struct engine_ops *e)
{
	const char *name = vmm_engine_names[c->engine];

	if (strcmp(name, "auto") != 0)
		return strcmp(name, e->name) == 0;
	/* An accelerator is the qemu engine's: who names one means that. */
	return c->accel == ACCEL_AUTO || strcmp(e->name, "qemu") == 0;
}

/* The newest refusal leads; what kept the others is told behind it. */
static void add_refusal(struct err *err, const char *earlier,
                        const struct err *before)
{
	struct err last = *err;

	err_set(err, last.code, "%s, and the %s engine cannot run: %s",
	        last.msg, earlier, before->msg);
	if (before->hint[0])
		err_hint(err, "%s%s%s", last.hint, last.hint[0] ? "; or: " : "",
		         before->hint);
	else
		err_hint(err, "%s", last.hint);
}

/* The one that is named, or the first that works here. */
int vm_pick_engine(struct vm *vm, struct err *err)
{
	const char *name = vmm_engine_names[vm->cfg.engine], *earlier = NULL;
	bool named = strcmp(name, "auto") != 0;
	int r = err_set(err, -ENOENT, "this msb-vmm has no engine %s", name);

	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		struct err before = *err;

		if (!may_run(&vm->cfg, engines[i]))
			continue;
		*err = (struct err){0};
		r = engines[i]->probe(&vm->cfg, named, &vm->host, err);
		if (r == 0) {
			vm->ops = engines[i];
			return 0;
		}
		if (earlier && r != -ENOMEM) /* that is no engine's fault */
			add_refusal(err, earlier, &before);
		earlier = engines[i]->name;
	}
	return r;
}

/* Beside those of the disks. */
#define CONFIG_FDS 8

/* Every descriptor that the config names; how many. */
static size_t config_fds(const struct vmm_config *c, int *fds)
{
	const int fixed[CONFIG_FDS] = {
		c->kernel_fd, c->initramfs_fd, c->console_fd, c->listen_fd,
		c->lock_fd,   c->end_fd,       c->log_fds[0], c->log_fds[1]};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		if (fixed[i] >= 0)
			fds[n++] = fixed[i];
	for (unsigned i = 0; i < c->ndisks; i++) {
		for (uint32_t k = 0; k < c->disks[i].nextents; k++)
			fds[n++] = c->disks[i].extents[k].fd;
		for (uint32_t k = 0; k < c->disks[i].nlayers; k++)
			fds[n++] = c->disks[i].layers[k].fd;
	}
	for (unsigned i = 0; i < c->nshares; i++) {
		fds[n++] = c->shares[i].fd;
		if (c->shares[i].usage_fd >= 0)
			fds[n++] = c->shares[i].usage_fd;
	}
	for (unsigned i = 0; i < c->nlocks; i++)
		fds[n++] = c->lock_fds[i];
	for (unsigned i = 0; i < c->net.cfg.nports; i++)
		fds[n++] = c->net.cfg.ports[i].fd;
	if (c->net.on && c->net.cfg.pcap_fd >= 0)
		fds[n++] = c->net.cfg.pcap_fd;
	if (c->net.on && c->net.cfg.tls_fd > 0)
		fds[n++] = c->net.cfg.tls_fd;
	for (unsigned i = 0; i < c->vsock.n; i++)
		fds[n++] = c->vsock.v[i].dir_fd;
	return n;
}

int vm_close_others(struct vm *vm, struct err *err)
{
	size_t n = CONFIG_FDS + 2 * vm->cfg.nshares + vm->cfg.nlocks +
	           vm->cfg.net.cfg.nports + 2 + vm->cfg.vsock.n;
	cleanup_free int *fds = NULL;
	int r = -ENOMEM;

	for (unsigned i = 0; i < vm->cfg.ndisks; i++)
		n += vm->cfg.disks[i].nextents + vm->cfg.disks[i].nlayers;
	fds = calloc(n, sizeof(*fds));
	if (fds)
		r = jail_close_others(fds, config_fds(&vm->cfg, fds));
	if (r < 0)
		return err_set(err, r, "cannot close what is not ours: %s",
		               strerror(-r));
	return 0;
}

/* A damaged one is told of when its device is made. */
static uint64_t layer_max(const struct disk_layer *l)
{
	struct qcow2_info info;
	struct stat st;

	if (l->format == DISK_QCOW2 && qcow2_look(l->fd, &info, NULL) == 0)
		return qcow2_file_max(&info);
	return fstat(l->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* Disks have their size; console and log have bounds of their own. */
static uint64_t file_max(const struct vmm_config *c)
{
	uint64_t most = MAX(64 * MIB, (uint64_t)2 * RECLOG_FILE_MAX);
	struct stat st;

	if (c->net.on && c->net.cfg.pcap_fd >= 0)
		return RLIM_INFINITY; /* the user wants to see it all */
	for (unsigned i = 0; i < c->nshares; i++)
		if (!c->shares[i].read_only)
			return RLIM_INFINITY; /* quotas bound what they take */
	if (c->console_fd >= 0 && fstat(c->console_fd, &st) == 0)
		most = MAX(most, (uint64_t)st.st_size + 2 * CONSOLE_FILE_MAX);
	for (unsigned i = 0; i < c->ndisks; i++) {
		const struct vmm_disk *d = &c->disks[i];

		for (uint32_t k = 0; k < d->nextents && !d->read_only; k++)
			most = MAX(most,
			           d->extents[k].offset + d->extents[k].len);
		if (d->nlayers && !d->read_only)
			most = MAX(most, layer_max(&d->layers[0]));
	}
	return most;
}

/* In the jail's order of things: see jail_needs. */
static int start_net(void *arg)
{
	struct vm *vm = arg;
	struct err err = {0};
	int r;

	if (!vm->cfg.net.on)
		return 0;
	r = net_dev_start(&vm->cfg.net, &vm->net, &err);
	if (r == 0)
		r = net_dev_boot(vm->net, &vm->cfg.net.boot);
	else
		log_error("network: %s", err.msg);
	return r;
}

int vm_enter_jail(struct vm *vm, struct err *err)
{
	bool program = vm->ops->child;

	for (unsigned i = 0; i < vm->cfg.nshares; i++)
		vm->shares[i] = (struct jail_share){
			vm->cfg.shares[i].fd, vm->cfg.shares[i].read_only};
	for (unsigned i = 0; i < vm->cfg.vsock.n; i++)
		vm->sockets[i] =
			(struct jail_share){vm->cfg.vsock.v[i].dir_fd, true};
	return jail_enter(
		&(struct jail_needs){.program = program ? vm->cfg.qemu : "",
	                             .kvm = program &&
	                                    vm->host.accel == ACCEL_KVM,
	                             .file_max = file_max(&vm->cfg),
	                             .shares = vm->shares,
	                             .nshares = vm->cfg.nshares,
	                             .sockets = vm->sockets,
	                             .nsockets = vm->cfg.vsock.n,
	                             .before_net = start_net,
	                             .before_net_arg = vm,
	                             .kernel_fd = vm->cfg.kernel_fd,
	                             .initramfs_fd = vm->cfg.initramfs_fd},
		&vm->paths, err);
}

static void to_journal(void *arg, const void *data, size_t len)
{
	struct vm *vm = arg;

	journal_console(&vm->journal, data, len);
}

static void on_said(void *arg, const char *line)
{
	struct vm *vm = arg;

	journal_mark(&vm->journal, 0, "%s", line);
}

static void on_violated(void *arg, const char *why)
{
	vm_end_violated(arg, why);
}

int vm_start_engine(struct vm *vm, struct err *err)
{
	int r = console_init(&vm->console, vm->loop, vm->cfg.console_fd,
	                     vm_on_panic, vm, &vm->serial_fd, err);

	if (r < 0)
		return r;
	vm->console.copy = to_journal;
	r = devices_plan(&vm->devices, &vm->cfg, vm->ops, vm->loop,
	                 vm->serial_fd, err);
	if (r < 0)
		return r;
	vm->devices.net = vm->net;
	if (vm->net)
		net_dev_on_lines(vm->net, &(struct net_dev_lines){
						  .loop = vm->loop,
						  .said = on_said,
						  .violated = on_violated,
						  .arg = vm});
	return vm->ops->start(
		&(struct engine_opts){.loop = vm->loop,
	                              .cfg = &vm->cfg,
	                              .host = &vm->host,
	                              .paths = &vm->paths,
	                              .slots = vm->devices.slots,
	                              .nslots = vm->devices.n,
	                              .no_balloon = vm->devices.no_balloon,
	                              .serial_fd = vm->serial_fd,
	                              .events = vm_engine_events(vm)},
		&vm->engine, err);
}

int vm_start_devices(struct vm *vm, struct err *err)
{
	int r = devices_start(&vm->devices, vm->ops, vm->engine, err);

	return r < 0 ? r
	             : hostsock_start(&vm->cfg.vsock, vm->loop,
	                              vm->devices.vsock, err);
}

int vm_run_engine(struct vm *vm, struct err *err)
{
	int r = vm->ops->run ? vm->ops->run(vm->engine, err) : 0;

	/* Without a program of its own an engine needs no file any more. */
	return r == 0 && !vm->ops->child ? vm_seal(vm, err) : r;
}

int vm_await_agent(struct vm *vm, struct err *err)
{
	const struct boot_events events = vm_boot_events(vm);
	const struct keep_events ended = vm_keep_events(vm);
	int r;

	keep_init(&vm->keep, vm->loop, vm->devices.vsock, &ended);
	boot_init(&vm->boot, vm->loop, &vm->cfg, &events);
	r = vsock_listen(vm->devices.vsock, PROTO_PORT_BOOT, boot_accept,
	                 &vm->boot);
	if (r < 0)
		return err_set(err, r, "cannot listen for the agent: %s",
		               strerror(-r));
	vm_start_deadline(vm);
	return 0;
}
