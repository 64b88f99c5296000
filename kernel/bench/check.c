/* An init that tries what the sandbox needs of the kernel, one line for each, then ends the machine. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <linux/reboot.h>
#include <linux/seccomp.h>
#include <linux/vm_sockets.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static int failures;

static void tell(const char *what, int ok)
{
	printf("CHECK %-4s %s%s%s\n", ok ? "ok" : "FAIL", what, ok ? "" : ": ", ok ? "" : strerror(errno));
	failures += !ok;
}

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);
	int ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

static int has(const char *path, const char *text)
{
	static char buf[1 << 16];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return 0;
	buf[n] = 0;
	errno = ENOENT;
	return strstr(buf, text) != NULL;
}

static int sock(int family, int type, int protocol)
{
	int fd = socket(family, type, protocol);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int unshared(int flags)	/* in a child: our own namespaces stay as they are */
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(flags) ? errno : 0);
	waitpid(pid, &status, 0);
	errno = WEXITSTATUS(status);
	return status == 0;
}

static int link_of(const char *name, const char *kind)	/* RTM_NEWLINK with a kind: bridge, veth, ... */
{
	struct { unsigned char b[256]; } m = { { 0 } };
	unsigned int *w = (unsigned int *)m.b, len = 32;	/* nlmsghdr 16 + ifinfomsg 16 */
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), err;
	unsigned char *p;
	ssize_t n;

	memcpy(m.b + 4, &(unsigned short){ 16 /* RTM_NEWLINK */ }, 2);
	memcpy(m.b + 6, &(unsigned short){ 0x605 /* REQUEST ACK CREATE EXCL */ }, 2);
	p = m.b + len;
	memcpy(p, &(unsigned short){ (unsigned short)(5 + strlen(name)) }, 2);
	memcpy(p + 2, &(unsigned short){ 3 /* IFLA_IFNAME */ }, 2);
	strcpy((char *)p + 4, name);
	len += (unsigned)(5 + strlen(name) + 3) & ~3u;
	p = m.b + len;
	memcpy(p, &(unsigned short){ (unsigned short)(4 + ((4 + strlen(kind) + 3) & ~3u)) }, 2);
	memcpy(p + 2, &(unsigned short){ 18 /* IFLA_LINKINFO */ }, 2);
	memcpy(p + 4, &(unsigned short){ (unsigned short)(4 + strlen(kind)) }, 2);
	memcpy(p + 6, &(unsigned short){ 1 /* IFLA_INFO_KIND */ }, 2);
	memcpy(p + 8, kind, strlen(kind));
	len += 4 + ((4 + (unsigned)strlen(kind) + 3) & ~3u);
	w[0] = len;
	if (fd < 0 || send(fd, m.b, len, 0) < 0)
		return 0;
	n = recv(fd, m.b, sizeof(m.b), 0);
	close(fd);
	memcpy(&err, m.b + 16, 4);
	errno = -err;
	return n >= 20 && err == 0;
}

static int xtables(const char *table)	/* IPT_SO_GET_INFO: is the legacy table there */
{
	struct { char name[32]; unsigned int rest[13]; } info = { { 0 }, { 0 } };
	socklen_t len = sizeof(info);
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW), ret;

	strcpy(info.name, table);
	ret = getsockopt(fd, IPPROTO_IP, 64, &info, &len);
	close(fd);
	return ret == 0;
}

static int program(void)	/* BPF: return 1, as a cgroup device program */
{
	struct bpf_insn code[] = { { .code = 0xb7, .imm = 1 }, { .code = 0x95 } };
	union bpf_attr a = { .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE, .insns = (__u64)(unsigned long)code,
			     .insn_cnt = 2, .license = (__u64)(unsigned long)"GPL" };

	return syscall(SYS_bpf, BPF_PROG_LOAD, &a, sizeof(a)) >= 0;
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	mkdir("/proc", 0755), mkdir("/sys", 0755), mkdir("/t", 0755), mkdir("/cg", 0755), mkdir("/pts", 0755), mkdir("/mq", 0755), mkdir("/e", 0755), mkdir("/r", 0755);
	tell("proc", !mount("p", "/proc", "proc", 0, NULL));
	tell("sysfs", !mount("s", "/sys", "sysfs", 0, NULL));
	tell("devtmpfs", !mount("d", "/dev", "devtmpfs", 0, NULL));
	tell("devpts", !mount("d", "/pts", "devpts", 0, "newinstance"));
	tell("tmpfs", !mount("t", "/t", "tmpfs", 0, NULL));
	tell("tmpfs xattr", put("/t/x", "x") && !setxattr("/t/x", "trusted.a", "b", 1, 0));
	tell("cgroup2", !mount("c", "/cg", "cgroup2", 0, NULL));
	tell("cgroup2 cpuset cpu io memory hugetlb pids", has("/cg/cgroup.controllers", "cpuset cpu io memory hugetlb pids"));
	tell("mqueue", !mount("m", "/mq", "mqueue", 0, NULL));
	mkdir("/t/l", 0755), mkdir("/t/u", 0755), mkdir("/t/w", 0755), mkdir("/t/m", 0755);
	tell("overlayfs redirect_dir metacopy xino", !mount("o", "/t/m", "overlay", 0, "lowerdir=/t/l,upperdir=/t/u,workdir=/t/w,redirect_dir=on,metacopy=on,xino=auto"));
	tell("fuse virtiofs erofs ext4 known", has("/proc/filesystems", "\tfuse\n") && has("/proc/filesystems", "virtiofs") && has("/proc/filesystems", "erofs") && has("/proc/filesystems", "ext4"));
	if (!access("/dev/vda", F_OK)) {
		tell("ext4 on vda", !mount("/dev/vda", "/e", "ext4", 0, NULL));
		tell("ext4 xattr", put("/e/x", "x") && !setxattr("/e/x", "security.capability", "\1\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, 0));
		umount("/e");
	}
	if (!access("/dev/vdb", F_OK))
		tell("erofs on vdb", !mount("/dev/vdb", "/r", "erofs", MS_RDONLY, NULL));
	tell("namespaces", unshared(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUSER | CLONE_NEWCGROUP));
	tell("time namespace", unshared(0x80));
	tell("unix", sock(AF_UNIX, SOCK_STREAM, 0));
	tell("inet", sock(AF_INET, SOCK_STREAM, 0));
	tell("inet6", sock(AF_INET6, SOCK_STREAM, 0));
	tell("packet", sock(AF_PACKET, SOCK_RAW, 0));
	tell("vsock", sock(AF_VSOCK, SOCK_STREAM, 0));
	tell("netlink netfilter", sock(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER));
	tell("netlink diag", sock(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG));
	tell("bridge", link_of("br9", "bridge"));
	tell("veth", link_of("ve9", "veth"));
	tell("dummy", link_of("du9", "dummy"));
	tell("bridge netfilter", !access("/proc/sys/net/bridge/bridge-nf-call-iptables", F_OK));
	tell("iptables filter", xtables("filter"));
	tell("iptables nat", xtables("nat"));
	tell("iptables mangle", xtables("mangle"));
	tell("iptables raw", xtables("raw"));
	tell("xt matches", has("/proc/net/ip_tables_matches", "conntrack") && has("/proc/net/ip_tables_matches", "addrtype") && has("/proc/net/ip_tables_matches", "multiport") && has("/proc/net/ip_tables_matches", "comment") && has("/proc/net/ip_tables_matches", "set"));
	tell("xt targets", has("/proc/net/ip_tables_targets", "MASQUERADE") && has("/proc/net/ip_tables_targets", "DNAT") && has("/proc/net/ip_tables_targets", "REJECT") && has("/proc/net/ip_tables_targets", "MARK"));
	tell("conntrack", !access("/proc/sys/net/netfilter/nf_conntrack_max", F_OK));
	tell("bbr cubic", has("/proc/sys/net/ipv4/tcp_available_congestion_control", "bbr") && has("/proc/sys/net/ipv4/tcp_available_congestion_control", "cubic"));
	int tun = open("/dev/net/tun", O_RDWR);
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	tell("tun", tun >= 0 && !ioctl(tun, TUNSETIFF, &ifr));
	tell("loop", open("/dev/loop-control", O_RDWR) >= 0);
	tell("fuse device", open("/dev/fuse", O_RDWR) >= 0);
	struct io_uring_params up = { 0 };
	tell("io_uring", syscall(SYS_io_uring_setup, 4, &up) >= 0);
	unsigned long aio = 0;
	tell("aio", syscall(SYS_io_setup, 4, &aio) >= 0);
	tell("bpf", program());
	tell("bpf jit", has("/proc/sys/net/core/bpf_jit_enable", "1"));
	unsigned int action = SECCOMP_RET_USER_NOTIF;
	tell("seccomp filter and notify", !syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
	tell("landlock", syscall(444, NULL, 0, 1) > 0);
	tell("userfaultfd", syscall(SYS_userfaultfd, O_CLOEXEC) >= 0);
	tell("memfd", memfd_create("m", 0) >= 0);
	tell("inotify", inotify_init() >= 0);
	tell("fanotify", fanotify_init(0, 0) >= 0);
	tell("eventfd", eventfd(0, 0) >= 0);
	tell("sysv shm", shmget(IPC_PRIVATE, 4096, 0600) >= 0);
	tell("mq_open", mq_open("/a", O_CREAT | O_RDWR, 0600, NULL) >= 0);
	tell("keys", syscall(SYS_add_key, "user", "a", "b", 1, -2) > 0);
	tell("pidfd", syscall(SYS_pidfd_open, getpid(), 0) >= 0);
	tell("perf_event_open", syscall(SYS_perf_event_open, &(char[128]){ 1, 0, 0, 0, 112 }, 0, -1, -1, 0) >= 0);
	tell("binfmt_misc", !mount("b", "/mq", "binfmt_misc", 0, NULL));
	tell("pressure", has("/proc/pressure/memory", "some"));
	tell("config.gz", !access("/proc/config.gz", F_OK));
	tell("hwrng from virtio", access("/dev/hwrng", F_OK) || has("/sys/class/misc/hw_random/rng_current", "virtio"));
	tell("clock source is tsc or kvm-clock", has("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc") || has("/sys/devices/system/clocksource/clocksource0/current_clocksource", "kvm"));
	printf("CHECK-END %d failed\n", failures);
	if (has("/proc/cmdline", "check.panic"))
		return 0;			/* init ends: the kernel panics, and says so on the console */
	sync();
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_RESTART, NULL);
	return 0;
}
