/*
 * Our devices against the real thing: a Linux guest in QEMU reaches them over
 * vhost-user. The guest (qemu_guest.c) writes TAP to its console, which is
 * this program's output. Skipped, saying so, without QEMU or a kernel.
 *
 * Usage: test_qemu KERNEL INITRAMFS
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/num.h"
#include "qemu_ports.h"
#include "virtio/rng.h"
#include "virtio/vhost_user.h"
#include "virtio/vsock.h"
#include "vmm/disk_dev.h"

#define CID   3
#define CALLS 8
#define UNITS 4

/* A device with a thread of its own, as msb-vmm has. */
static struct unit {
	struct loop *loop;
	struct virtio_dev *dev;
	struct vhost_user *vu;
	int qemu;
	pthread_t thread;
} units[UNITS];

static struct unit *const sock_unit = &units[UNITS - 1];

static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void on_closed(void *arg, const char *why)
{
	struct unit *u = arg;

	if (why)
		printf("not ok - %s: %s\n", u->dev->ops->name, why);
	loop_stop(u->loop);
}

static void *run_unit(void *arg)
{
	(void)loop_run(((struct unit *)arg)->loop);
	return NULL;
}

static void serve(struct unit *u, struct virtio_dev *d, struct loop *l)
{
	int sp[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sp) < 0 ||
	    fcntl(sp[1], F_SETFD, FD_CLOEXEC) < 0)
		die("socketpair");
	*u = (struct unit){.loop = l, .dev = d, .qemu = sp[0]};
	if (vhost_user_new(l, sp[1], d, on_closed, u, &u->vu, NULL) < 0)
		die("vhost_user_new");
}

static int make_file(uint32_t len)
{
	uint8_t *p;
	int fd = memfd_create("disk", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, len) < 0)
		die("memfd");
	p = mmap(NULL, len, PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		die("mmap");
	for (uint32_t i = 0; i < len; i++)
		p[i] = disk_byte(i);
	munmap(p, len);
	return fd;
}

static void serve_disks(void)
{
	const int root = make_file(ROOT_LEN), upper = make_file(UPPER_LEN);
	const struct disk_extent parts[] = {
		{root, 0,        20 * MIB           },
		{root, 20 * MIB, MIB                },
		{root, 21 * MIB, ROOT_LEN - 21 * MIB}
        };
	const struct disk_extent whole = {upper, 0, UPPER_LEN};
	const struct disk_dev_config cfg[] = {
		{parts,  3, true,  "root",  NULL, 0},
		{&whole, 1, false, "upper", NULL, 0}
        };

	for (int i = 0; i < 2; i++) {
		struct virtio_dev *d;

		if (disk_dev_new(&cfg[i], &d, NULL) < 0)
			die("blk_new");
		serve(&units[i], d, loop_new());
	}
}

/* The host's applications: each gets its end of a stream in a thread. */

static void *echo(void *arg)
{
	static __thread char data[65536];
	int s = (int)(intptr_t)arg;
	ssize_t n;

	while ((n = read(s, data, sizeof(data))) > 0)
		for (ssize_t at = 0, w; at < n; at += w)
			if ((w = write(s, data + at, (size_t)(n - at))) < 0)
				n = -1, w = 0;
	close(s);
	return NULL;
}

static void *closer(void *arg)
{
	close((int)(intptr_t)arg);
	return NULL;
}

static void do_connect(void *arg)
{
	if (vsock_connect(sock_unit->dev, PORT_GUEST, (int)(intptr_t)arg) < 0)
		die("vsock_connect");
}

static void *sender(void *arg)
{
	return send_pattern((int)(intptr_t)arg) ? &units : NULL;
}

static void *call(void *arg)
{
	void *sent = NULL;
	pthread_t t;
	int sp[2];
	bool got;

	(void)arg;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0 ||
	    loop_post(sock_unit->loop, do_connect, (void *)(intptr_t)sp[1]) ||
	    pthread_create(&t, NULL, sender, (void *)(intptr_t)sp[0]))
		return NULL;
	got = read_pattern(sp[0]);
	pthread_join(t, &sent);
	close(sp[0]);
	return got && sent ? &units : NULL;
}

static void *caller(void *arg)
{
	int s = (int)(intptr_t)arg;
	pthread_t t[CALLS];
	bool good = true;

	for (int i = 0; i < CALLS; i++)
		if (pthread_create(&t[i], NULL, call, NULL))
			die("thread");
	for (int i = 0; i < CALLS; i++) {
		void *ok;

		pthread_join(t[i], &ok);
		good = good && ok;
	}
	if (write(s, good ? "y" : "n", 1) != 1)
		die("verdict");
	close(s);
	return NULL;
}

static struct service {
	uint32_t port;
	void *(*run)(void *arg);
} services[] = {
	{PORT_ECHO,    echo  },
	{PORT_CALL_ME, caller},
	{PORT_CLOSER,  closer},
};

static int on_accept(void *arg)
{
	const struct service *s = arg;
	pthread_t t;
	int sp[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0 ||
	    pthread_create(&t, NULL, s->run, (void *)(intptr_t)sp[0]))
		return -EMFILE;
	pthread_detach(t);
	return sp[1];
}

static void serve_vsock(void)
{
	struct loop *l = loop_new();
	struct virtio_dev *d;

	if (vsock_new(l, CID, &d, NULL) < 0)
		die("vsock_new");
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		if (vsock_listen(d, services[i].port, on_accept, &services[i]) <
		    0)
			die("vsock_listen");
	serve(sock_unit, d, l);
}

static void run_qemu(const char *kernel, const char *initramfs)
{
	char chardev[UNITS][64];
	const char *argv[] = {
		"qemu-system-x86_64",
		"-M",
		"microvm,pit=on,pic=on,rtc=off,acpi=off,memory-backend=mem",
		"-accel",
		"tcg",
		"-cpu",
		"max",
		"-smp",
		"2",
		"-m",
		"256",
		"-object",
		"memory-backend-memfd,id=mem,size=256M,share=on",
		"-nodefaults",
		"-no-user-config",
		"-no-reboot",
		"-nographic",
		"-serial",
		"stdio",
		"-global",
		"virtio-mmio.force-legacy=false",
		"-sandbox",
		"on,spawn=deny,elevateprivileges=deny",
		"-kernel",
		kernel,
		"-initrd",
		initramfs,
		"-append",
		"console=ttyS0 reboot=t panic=-1 quiet",
		"-chardev",
		chardev[0],
		"-chardev",
		chardev[1],
		"-chardev",
		chardev[2],
		"-chardev",
		chardev[3],
		"-device",
		"vhost-user-blk,chardev=c0,num-queues=1",
		"-device",
		"vhost-user-blk,chardev=c1,num-queues=1",
		"-device",
		"vhost-user-rng,chardev=c2",
		"-device",
		"vhost-user-vsock-device,chardev=c3",
		NULL};

	for (int i = 0; i < UNITS; i++)
		snprintf(chardev[i], sizeof(chardev[i]), "socket,id=c%d,fd=%d",
		         i, units[i].qemu);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	printf("1..0 # SKIP qemu-system-x86_64 is not installed\n");
	_exit(77);
}

int main(int argc, char **argv)
{
	struct virtio_dev *d;
	int status = 0;
	pid_t pid;

	if (argc != 3 || access(argv[1], R_OK) < 0) {
		printf("1..0 # SKIP no guest kernel\n");
		return 0;
	}
	log_setup("test_qemu", 2, LOG_WARN);
	setvbuf(stdout, NULL, _IONBF, 0);
	serve_disks();
	if (rng_new(&d, NULL) < 0)
		die("rng_new");
	serve(&units[2], d, loop_new());
	serve_vsock();
	pid = fork();
	if (pid == 0)
		run_qemu(argv[1], argv[2]);
	for (int i = 0; i < UNITS; i++) {
		close(units[i].qemu);
		if (pthread_create(&units[i].thread, NULL, run_unit, &units[i]))
			die("thread");
	}
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	for (int i = 0; i < UNITS; i++) {
		pthread_join(units[i].thread, NULL);
		vhost_user_free(units[i].vu);
		virtio_free(units[i].dev);
		loop_free(units[i].loop);
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 77 ? 0 : status != 0;
}
