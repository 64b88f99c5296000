#include "lib/test.h"

#include <errno.h>
#include <string.h>

#include "vmm/qemu_argv.h"

static const struct engine_slot slots[] = {
	{"root",  VIRTIO_ID_BLOCK},
	{"vsock", VIRTIO_ID_VSOCK},
	{"rng",   VIRTIO_ID_RNG  },
};
static const int slot_fds[] = {21, 22, 23};

static const struct jail_paths paths = {"/opt/qemu-real", "/kernel",
                                        "/initramfs"};

static struct vmm_config config(void)
{
	return (struct vmm_config){.name = "msb-1",
	                           .qemu = "/opt/qemu",
	                           .cmdline = "loglevel=5 -device,x \"y\"",
	                           .cpus = 2,
	                           .memory_mib = 512,
	                           .kernel_fd = 5,
	                           .initramfs_fd = 6};
}

static void expect(const struct strv *got, const char *const *want)
{
	for (size_t i = 0; want[i]; i++) {
		assert_true(i < got->n);
		assert_string_equal(got->v[i], want[i]);
	}
}

/* Every word: a new one must be put here on purpose. */
static void the_command_line_is_exactly_this(void **state)
{
	static const char *const want[] = {
		"/opt/qemu-real",
		"-name",
		"guest=msb-1",
		"-nodefaults",
		"-no-user-config",
		"-display",
		"none",
		"-monitor",
		"none",
		"-no-reboot",
		"-sandbox",
		"on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
		"resourcecontrol=deny",
		"-machine",
		"microvm,pit=on,pic=on,rtc=off,isa-serial=on,acpi=off,"
		"memory-backend=mem,dump-guest-core=off,mem-merge=off",
		"-object",
		"memory-backend-memfd,id=mem,size=512M,share=on",
		"-m",
		"512M",
		"-smp",
		"2",
		"-accel",
		"tcg,thread=single",
		"-cpu",
		"max",
		"-global",
		"virtio-mmio.force-legacy=false",
		"-kernel",
		"/kernel",
		"-initrd",
		"/initramfs",
		"-append",
		"console=ttyS0 tsc_khz=2445430 loglevel=5 -device,x \"y\"",
		"-chardev",
		"socket,id=serial,fd=20",
		"-serial",
		"chardev:serial",
		"-chardev",
		"socket,id=root,fd=21",
		"-device",
		"vhost-user-blk,num-queues=1,chardev=root",
		"-chardev",
		"socket,id=vsock,fd=22",
		"-device",
		"vhost-user-vsock-device,chardev=vsock",
		"-chardev",
		"socket,id=rng,fd=23",
		"-device",
		"vhost-user-rng,chardev=rng",
		"-device",
		"virtio-balloon-device,free-page-reporting=on,"
		"deflate-on-oom=on",
		NULL};
	struct vmm_config cfg = config();
	struct strv cleanup_strv v = {0};

	(void)state;
	assert_int_equal(
		qemu_argv(&(struct qemu_args){&cfg, ACCEL_TCG, slots, slot_fds,
	                                      3, 20, 2445430, &paths, false},
	                  &v),
		0);
	expect(&v, want);
	assert_int_equal(v.n, sizeof(want) / sizeof(want[0]) - 1);
}

static bool has_pair(const struct strv *v, const char *a, const char *b)
{
	for (size_t i = 0; i + 1 < v->n; i++)
		if (strcmp(v->v[i], a) == 0 && strcmp(v->v[i + 1], b) == 0)
			return true;
	return false;
}

static void kvm_takes_the_host_processor(void **state)
{
	struct vmm_config cfg = config();
	struct strv cleanup_strv v = {0};

	(void)state;
	assert_int_equal(
		qemu_argv(&(struct qemu_args){&cfg, ACCEL_KVM, slots, slot_fds,
	                                      3, 20, 2445430, &paths, false},
	                  &v),
		0);
	assert_true(has_pair(&v, "-accel", "kvm"));
	assert_true(has_pair(&v, "-cpu", "host"));
	assert_true(has_pair(&v, "-append",
	                     "console=ttyS0 loglevel=5 -device,x \"y\""));
}

static void without_a_slot_there_is_no_balloon(void **state)
{
	struct vmm_config cfg = config();
	struct strv cleanup_strv v = {0};

	(void)state;
	assert_int_equal(
		qemu_argv(&(struct qemu_args){&cfg, ACCEL_TCG, slots, slot_fds,
	                                      3, 20, 0, &paths, true},
	                  &v),
		0);
	for (size_t i = 0; i < v.n; i++)
		assert_null(strstr(v.v[i], "balloon"));
}

/* No control queue, no announcements: what QEMU itself would parse. */
static void the_network_device_has_one_pair_of_queues(void **state)
{
	static const struct engine_slot net[] = {
		{"net", VIRTIO_ID_NET}
        };
	struct vmm_config cfg = config();
	struct strv cleanup_strv v = {0};

	(void)state;
	cfg.net.cfg.mtu = 1400;
	memcpy(cfg.net.cfg.guest_mac, "\2\0\0\0\xab\7", 6);
	assert_int_equal(
		qemu_argv(&(struct qemu_args){&cfg, ACCEL_TCG, net, slot_fds, 1,
	                                      20, 0, &paths, false},
	                  &v),
		0);
	assert_true(has_pair(&v, "-chardev", "socket,id=net,path=/net"));
	assert_true(has_pair(&v, "-netdev",
	                     "vhost-user,id=net-dev,chardev=net,queues=1"));
	assert_true(has_pair(
		&v, "-device",
		"virtio-net-device,netdev=net-dev,mac=02:00:00:00:ab:07,"
		"host_mtu=1400,ctrl_vq=off,ctrl_rx=off,ctrl_vlan=off,"
		"ctrl_rx_extra=off,ctrl_mac_addr=off,"
		"ctrl_guest_offloads=off,guest_announce=off,"
		"guest_ufo=off,host_ufo=off,guest_ecn=off,host_ecn=off,mq=off,"
		"rx_queue_size=512,tx_queue_size=512"));
}

static void a_device_without_a_front_end_is_refused(void **state)
{
	static const struct engine_slot odd[] = {
		{"console", VIRTIO_ID_CONSOLE}
        };
	struct vmm_config cfg = config();
	struct strv cleanup_strv v = {0};

	(void)state;
	assert_int_equal(
		qemu_argv(&(struct qemu_args){&cfg, ACCEL_TCG, odd, slot_fds, 1,
	                                      20, 0, &paths, false},
	                  &v),
		-ENODEV);
	assert_null(v.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_command_line_is_exactly_this),
		cmocka_unit_test(kvm_takes_the_host_processor),
		cmocka_unit_test(without_a_slot_there_is_no_balloon),
		cmocka_unit_test(the_network_device_has_one_pair_of_queues),
		cmocka_unit_test(a_device_without_a_front_end_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
