/*
 * Theory
 *
 * The kvm engine: the guest's processors are threads of this process, its
 * memory is ours, its devices are pages of virtio-mmio registers in front of
 * the models. start() does all that needs no device: the machine, its memory,
 * the kernel in it, the processors and their first registers. attach() puts a
 * model behind its page. run() lets the first processor go.
 *
 * Linux finds the devices by words on its command line, as there is no PCI and
 * no ACPI; more processors and the interrupt lines by the MP table.
 *
 * A processor that ends the machine tells the main loop through an eventfd.
 * Guest memory and transports stay until the process ends: the devices'
 * threads may be at work on them, and closing a machine takes KVM 8 to 24 ms
 * that nobody should wait for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "base/virt.h"
#include "virtio/mmio.h"
#include "vmm/accel.h"
#include "vmm/engine.h"
#include "vmm/jail.h"
#include "vmm/kvm/bus.h"
#include "vmm/kvm/cpuid.h"
#include "vmm/kvm/kvm.h"
#include "vmm/kvm/loader.h"
#include "vmm/kvm/regs.h"
#include "vmm/kvm/serial.h"
#include "vmm/kvm/vcpu.h"

#include "base/banned.h"

#define KVM_HINT "use --engine qemu; msb doctor says what is wrong with KVM"

struct kvm_slot {
	int irq_fd;
	bool in_main_loop;
	struct mmio *mmio;
};

struct engine {
	struct loop *loop;
	struct engine_events events;
	uint64_t start_ns;
	struct kvm_vm vm;
	struct serial serial;
	int serial_irq;
	struct bus bus;
	struct vcpus *vcpus;
	struct kvm_slot slots[ENGINE_DEVICES_MAX];
	size_t nslots;
	int end_fd; /* eventfd: a processor ended the machine, or kill() */
	struct loop_fd on_end;
	bool ended, killed;
};

static int kvm_probe(const struct vmm_config *cfg, bool named,
                     struct engine_host *host, struct err *err)
{
	int r = named ? 0 : accel_hardware(err);

	if (r == 0)
		r = engine_check_memory(cfg, err);
	if (r < 0)
		return r;
	r = virt_kvm_open(VIRT_KVM, err);
	if (r < 0) {
		err_hint(err, KVM_HINT);
		return r;
	}
	host->kvm_fd = r;
	return 0;
}

/* ---- the end ---- */

/* In the thread of a processor. */
static void processor_ended(void *arg)
{
	struct engine *e = arg;
	const uint64_t one = 1;

	(void)!write(e->end_fd, &one, sizeof(one));
}

/* Devices in our own loop, which does not run at the moment. */
static void settle(void *arg)
{
	struct engine *e = arg;

	for (size_t i = 0; i < e->nslots; i++)
		if (e->slots[i].in_main_loop && e->slots[i].mmio)
			mmio_settle(e->slots[i].mmio);
}

static void log_exits(const struct engine *e)
{
	const struct vcpus *s = e->vcpus;
	struct buf cleanup_buf b = BUF_INIT_MAX(1024);

	if (log_get_level() < LOG_DEBUG)
		return;
	for (uint32_t i = 0; i < s->n; i++) {
		const struct vcpu *v = &s->list[i];

		buf_reset(&b);
		for (int k = 0; k < BUS_KINDS; k++)
			(void)buf_printf(&b, " %s %llu", bus_kind_names[k],
			                 (unsigned long long)v->exits[k]);
		log_debug("exits of processor %u:%s other %llu interrupted "
		          "%llu",
		          i, buf_str(&b), (unsigned long long)v->other_exits,
		          (unsigned long long)v->interrupted);
	}
}

static void machine_ended(void *arg, uint32_t events)
{
	struct engine *e = arg;
	const struct vcpu_end *v = &e->vcpus->end;
	struct engine_end end = {.clean = v->clean || e->killed,
	                         .error = v->error,
	                         .text = v->text,
	                         .hint = v->clean ? "" : KVM_HINT};

	(void)events;
	loop_del(e->loop, &e->on_end);
	vcpus_hold(e->vcpus);
	e->ended = true;
	log_exits(e);
	e->events.ended(e->events.arg, &end);
}

static void kvm_kill(struct engine *e)
{
	const uint64_t one = 1;

	e->killed = true;
	vcpus_hold(e->vcpus);
	(void)!write(e->end_fd, &one, sizeof(one));
}

static void kvm_free(struct engine *e)
{
	if (!e)
		return;
	loop_del(e->loop, &e->on_end);
	if (e->vcpus && !e->ended) {
		vcpus_hold(e->vcpus);
		log_exits(e);
	}
	vcpus_free(e->vcpus);
	/* The rest goes with the process, see the theory. */
}

static void cleanup_kvm_fn(struct engine **e)
{
	kvm_free(*e);
}

/* ---- start ---- */

static int open_lines(struct engine *e, const struct engine_opts *o)
{
	if (o->nslots > ENGINE_DEVICES_MAX)
		return -E2BIG;
	e->serial_irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e->serial_irq < 0 || e->end_fd < 0)
		return -errno;
	for (size_t i = 0; i < o->nslots; i++) {
		e->slots[i].irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (e->slots[i].irq_fd < 0)
			return -errno;
		e->nslots = i + 1;
	}
	return 0;
}

static int wire_lines(struct engine *e)
{
	int r = kvm_irqfd(&e->vm, e->serial_irq, SERIAL_IRQ);

	for (size_t i = 0; i < e->nslots && r >= 0; i++)
		r = kvm_irqfd(&e->vm, e->slots[i].irq_fd,
		              BUS_IRQ_BASE + (uint32_t)i);
	return r;
}

static bool has_console(const struct engine_opts *o)
{
	for (size_t i = 0; i < o->nslots; i++)
		if (o->slots[i].virtio_id == VIRTIO_ID_CONSOLE)
			return true;
	return false;
}

/*
 * The kernel's words go to the serial port until the virtio console is there,
 * and only to that from then on. Ours come behind the config's: a loglevel=
 * behind earlycon= would come too late, and each character is two exits. What
 * stands behind a " -- " is init's.
 */
static int command_line(const struct engine_opts *o, struct buf *b)
{
	const char *all = o->cfg->cmdline, *init = strstr(all, " -- ");
	int r = buf_add(b, all, init ? (size_t)(init - all) : strlen(all));

	if (r == 0)
		r = buf_adds(b, has_console(o) ? " earlycon=uart8250,io,0x3f8 "
		                                 "console=hvc0"
		                               : " console=ttyS0");
	for (size_t i = 0; i < o->nslots && r == 0; i++)
		r = buf_printf(b, " virtio_mmio.device=4K@0x%llx:%u",
		               BUS_MMIO_BASE + i * MMIO_SIZE,
		               BUS_IRQ_BASE + (uint32_t)i);
	return r == 0 && init ? buf_adds(b, init) : r;
}

static int load(struct engine *e, const struct engine_opts *o,
                struct loader_start *ret, struct err *err)
{
	struct buf cleanup_buf line = BUF_INIT_MAX(2 * LOADER_CMDLINE_SIZE);
	int r = command_line(o, &line);

	if (r < 0)
		return err_set(err, r, "the kernel's command line is too long");
	return loader_load(
		&e->vm.mem,
		&(struct loader_image){.kernel_fd = o->cfg->kernel_fd,
	                               .initramfs_fd = o->cfg->initramfs_fd,
	                               .cmdline = buf_str(&line),
	                               .cpus = o->cfg->cpus,
	                               .map_kernel = true},
		ret, err);
}

static int prepare_processors(struct engine *e,
                              const struct loader_start *start, struct err *err)
{
	struct cpuid *c = malloc(sizeof(*c));
	cleanup_free void *owned = c;
	const char *what = "";
	int r = c ? cpuid_supported(&e->vm, c, err)
	          : err_set(err, -ENOMEM, "out of memory");

	for (uint32_t i = 0; i < e->vcpus->n && r >= 0; i++) {
		cpuid_patch(c, i, e->vcpus->n);
		r = regs_prepare(&e->vm, e->vcpus->list[i].fd, c,
		                 i ? NULL : start, &what);
		if (r < 0)
			(void)err_set(err, r,
			              "KVM refuses processor %u's %s: %s", i,
			              what, strerror(-r));
	}
	return r < 0 ? r : 0;
}

static int confine(void)
{
	return jail_thread(JAIL_VCPU);
}

static int make_processors(struct engine *e, const struct engine_opts *o,
                           const struct loader_start *start, struct err *err)
{
	int r = vcpus_new(&e->vm, &e->bus, o->cfg->cpus, &e->vcpus, err);

	if (r < 0)
		return r;
	e->vcpus->ended = processor_ended;
	e->vcpus->settle = settle;
	e->vcpus->confine = confine;
	e->vcpus->arg = e;
	return prepare_processors(e, start, err);
}

static int kvm_start(const struct engine_opts *o, struct engine **ret,
                     struct err *err)
{
	struct engine *cleanup(cleanup_kvm_fn) e = calloc(1, sizeof(*e));
	struct loader_start start;
	int r;

	if (!e)
		return err_set(err, -ENOMEM, "out of memory");
	e->start_ns = clock_now_ns();
	e->loop = o->loop;
	e->events = o->events;
	r = open_lines(e, o);
	if (r < 0)
		return err_set(err, r, "cannot make interrupt lines: %s",
		               strerror(-r));
	r = kvm_vm_new(o->host->kvm_fd, o->cfg->memory_mib * MIB, &e->vm, err);
	if (r < 0)
		return r;
	serial_init(&e->serial, o->serial_fd, e->serial_irq);
	e->bus.serial = &e->serial;
	r = load(e, o, &start, err);
	if (r < 0)
		return r;
	r = make_processors(e, o, &start, err);
	if (r < 0)
		return r;
	r = wire_lines(e);
	if (r == 0)
		r = loop_add(e->loop, &e->on_end, e->end_fd, EPOLLIN,
		             machine_ended, e);
	if (r < 0)
		return err_set(err, r, "cannot wire the machine: %s",
		               strerror(-r));
	*ret = take_ptr(e);
	return 0;
}

static int kvm_attach(struct engine *e, size_t i, struct virtio_dev *dev,
                      struct loop *l, struct err *err)
{
	struct kvm_slot *s = &e->slots[i];
	int r = mmio_new(l, dev, &e->vm.mem, s->irq_fd, &s->mmio, err);

	if (r < 0)
		return r;
	for (uint16_t q = 0; q < dev->ops->nqueues && r >= 0; q++)
		r = kvm_ioeventfd(&e->vm, mmio_notify_fd(s->mmio, q),
		                  BUS_MMIO_BASE + i * MMIO_SIZE + MMIO_NOTIFY,
		                  q);
	if (r < 0)
		return err_set(err, r, "KVM cannot carry notifications: %s",
		               strerror(-r));
	s->in_main_loop = l == e->loop;
	e->bus.devices[i] = s->mmio;
	return 0;
}

static int kvm_run_engine(struct engine *e, struct err *err)
{
	int r = vcpus_start(e->vcpus, err);

	if (r < 0)
		return r;
	log_debug("start took %llu us, of which KVM's ioctls %llu us",
	          (unsigned long long)(clock_now_ns() - e->start_ns) / 1000,
	          (unsigned long long)e->vm.ioctl_ns / 1000);
	e->events.started(e->events.arg);
	return 0;
}

static int kvm_pause(struct engine *e)
{
	vcpus_hold(e->vcpus);
	return 0;
}

static int kvm_resume(struct engine *e)
{
	vcpus_go(e->vcpus);
	return 0;
}

static const char *kvm_accel(const struct engine *e)
{
	(void)e;
	return "kvm";
}

static uint64_t kvm_spawn_ns(const struct engine *e)
{
	return e->vcpus->first_run_ns ? e->vcpus->first_run_ns : e->start_ns;
}

const struct engine_ops engine_kvm = {
	.name = "kvm",
	.slots_max = ENGINE_DEVICES_MAX,
	.probe = kvm_probe,
	.start = kvm_start,
	.attach = kvm_attach,
	.run = kvm_run_engine,
	.pause = kvm_pause,
	.resume = kvm_resume,
	.accel = kvm_accel,
	.spawn_ns = kvm_spawn_ns,
	.kill = kvm_kill,
	.free = kvm_free,
};
