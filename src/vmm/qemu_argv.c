#include "vmm/qemu_argv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "virtio/fs.h"
#include "vmm/qemu_sock.h"

#include "base/banned.h"

/* The vhost-user front ends. A disk's model has one queue. */
static const struct {
	uint32_t virtio_id;
	const char *driver;
} drivers[] = {
	{VIRTIO_ID_BLOCK, "vhost-user-blk,num-queues=1"              },
	{VIRTIO_ID_VSOCK, "vhost-user-vsock-device"                  },
	{VIRTIO_ID_RNG,   "vhost-user-rng"                           },
	{VIRTIO_ID_FS,
         "vhost-user-fs-device,tag=" VIRTIO_FS_TAG ",queue-size=1024"},
};

/*
 * QEMU keeps the network device's config space itself: it is told what the
 * model has, and to leave out what only its own does (a control queue).
 */
#define NET_OPTIONS                                                            \
	"ctrl_vq=off,ctrl_rx=off,ctrl_vlan=off,ctrl_rx_extra=off,"             \
	"ctrl_mac_addr=off,ctrl_guest_offloads=off,guest_announce=off,guest_"  \
	"ufo=off,host_ufo=off,"                                                \
	"guest_ecn=off,host_ecn=off,mq=off,rx_queue_size=512,"                 \
	"tx_queue_size=512"

static const char *driver_of(uint32_t virtio_id)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (drivers[i].virtio_id == virtio_id)
			return drivers[i].driver;
	return NULL;
}

/* A command line in the making; the first failure stays. */
struct line {
	struct strv words;
	int r;
};

static void word(struct line *l, const char *s)
{
	if (l->r == 0)
		l->r = strv_add(&l->words, s);
}

/* An option and its value. */
static void __attribute__((format(printf, 3, 4)))
option(struct line *l, const char *name, const char *fmt, ...)
{
	cleanup_free char *value = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&value, fmt, ap);
	va_end(ap);
	if (n < 0) {
		value = NULL;
		l->r = -ENOMEM;
		return;
	}
	word(l, name);
	word(l, value);
}

/* Nothing but what is on this line; and what holds QEMU itself. */
static void add_limits(struct line *l)
{
	word(l, "-nodefaults");
	word(l, "-no-user-config");
	option(l, "-display", "none");
	option(l, "-monitor", "none");
	/* A reset is the end: so are power-off without ACPI, and panics. */
	word(l, "-no-reboot");
	option(l, "-sandbox",
	       "on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
	       "resourcecontrol=deny");
}

/*
 * Several processors take turns in one thread. In threads of their own one
 * may still run the int3 that another has just patched away again, which is
 * how Linux changes its own code: a run of the test suite saw it as a panic
 * at boot.
 */
static const char *tcg(const struct vmm_config *c)
{
	return c->cpus > 1 ? "tcg,thread=single" : "tcg";
}

static void add_board(struct line *l, const struct qemu_args *a)
{
	const struct vmm_config *c = a->cfg;
	bool kvm = a->accel == ACCEL_KVM;

	/*
	 * Guest memory is in no core file and not merged with other pages of
	 * the host (KSM tells who has the same).
	 */
	/* PIT and PIC: under TCG the kernel calibrates its clock by them. */
	option(l, "-machine",
	       "microvm,pit=on,pic=on,rtc=off,isa-serial=on,acpi=off,"
	       "memory-backend=mem,dump-guest-core=off,mem-merge=off");
	/* Shared, because the device models live in another process: ours. */
	option(l, "-object", "memory-backend-memfd,id=mem,size=%uM,share=on",
	       c->memory_mib);
	option(l, "-m", "%uM", c->memory_mib);
	option(l, "-smp", "%u", c->cpus);
	option(l, "-accel", "%s", kvm ? "kvm" : tcg(c));
	option(l, "-cpu", "%s", kvm ? "host" : "max");
	/* vhost-user devices have the modern register layout only. */
	option(l, "-global", "virtio-mmio.force-legacy=false");
}

static void add_kernel(struct line *l, const struct qemu_args *a)
{
	const struct vmm_config *c = a->cfg;

	option(l, "-kernel", "%s", a->paths->kernel);
	option(l, "-initrd", "%s", a->paths->initramfs);
	/*
	 * Under TCG the guest's TSC is the host's. Told so, the kernel need
	 * not find out by the PIT, which fails on a busy host and then leaves
	 * the guest with a clock of 4 ms (kernel/README.md). kvmclock knows.
	 */
	if (a->accel == ACCEL_TCG && a->tsc_khz)
		option(l, "-append", "console=ttyS0 tsc_khz=%u %s", a->tsc_khz,
		       c->cmdline);
	else
		option(l, "-append", "console=ttyS0 %s", c->cmdline);
}

static void add_net(struct line *l, const struct qemu_args *a, const char *name)
{
	const struct net_config *c = &a->cfg->net.cfg;
	const uint8_t *m = c->guest_mac;

	option(l, "-chardev", "socket,id=%s,path=" QEMU_SOCK_PATH, name);
	option(l, "-netdev", "vhost-user,id=%s-dev,chardev=%s,queues=1", name,
	       name);
	option(l, "-device",
	       "virtio-net-device,netdev=%s-dev,"
	       "mac=%02x:%02x:%02x:%02x:%02x:%02x,host_mtu=%u," NET_OPTIONS,
	       name, m[0], m[1], m[2], m[3], m[4], m[5], c->mtu);
}

static void add_device(struct line *l, const struct qemu_args *a,
                       const struct engine_slot *s, int fd)
{
	const char *driver = driver_of(s->virtio_id);

	if (!driver && s->virtio_id != VIRTIO_ID_NET) {
		l->r = -ENODEV;
		return;
	}
	if (s->virtio_id == VIRTIO_ID_NET) {
		add_net(l, a, s->name);
		return;
	}
	option(l, "-chardev", "socket,id=%s,fd=%d", s->name, fd);
	option(l, "-device", "%s,chardev=%s", driver, s->name);
}

/*
 * QEMU's own: the memory is its to give back. Behind our devices, so that
 * these are where they are without it.
 */
static void add_balloon(struct line *l)
{
	option(l, "-device",
	       "virtio-balloon-device,free-page-reporting=on,"
	       "deflate-on-oom=on");
}

int qemu_argv(const struct qemu_args *a, struct strv *ret)
{
	struct line l = {0};

	word(&l, a->paths->program);
	option(&l, "-name", "guest=%s", a->cfg->name);
	add_limits(&l);
	add_board(&l, a);
	add_kernel(&l, a);
	option(&l, "-chardev", "socket,id=serial,fd=%d", a->serial_fd);
	option(&l, "-serial", "chardev:serial");
	for (size_t i = 0; i < a->nslots; i++)
		add_device(&l, a, &a->slots[i], a->slot_fds[i]);
	if (!a->no_balloon)
		add_balloon(&l);
	if (l.r < 0) {
		strv_release(&l.words);
		return l.r;
	}
	*ret = l.words;
	return 0;
}
