/*
 * Theory
 *
 * This program runs at build time: it turns the lists below into BPF and
 * prints them as a C header. Compiling them by libseccomp at each start of a
 * machine would cost as much as all the rest of the jail (2 ms).
 *
 * Lists are allow-lists. What is not on msb-vmm's ends the process, with a
 * line in the log (SECCOMP_RET_TRAP, jail_seccomp.c). For QEMU, whose versions
 * and libraries differ, it is ENOSYS: a newer libc then uses the older call.
 *
 * There is no open, socket, clone, exec, kill or prctl of any use in here:
 * whatever a thread may work on was opened before the guest ran. The file
 * server's is the exception: it opens files, of mounts that hold nothing but
 * its shares (jail_share.c). Arguments
 * are looked at where it is cheap and where they decide: memory that could be
 * executed, the flags of clone, ioctl's request.
 *
 * PID and PROGRAM stand for values that only the run knows; jail_seccomp.c
 * puts them in.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/num.h"
#include "vmm/jail_filter.h"

#include "base/banned.h"

enum {
	M = 1 << 0, /* main */
	B = 1 << 1, /* block */
	S = 1 << 2, /* small */
	V = 1 << 3, /* vCPU */
	Q = 1 << 4, /* QEMU */
	F = 1 << 5, /* file server */
	N = 1 << 6, /* network */
	H = 1 << 7, /* host sockets */
	OURS = M | B | S | V | F | N | H,
	DEVICES = M | B | S | F | N,
	ALL = OURS | Q,
};

/* clang-format off */
#define EQ(n, v)        {n, SCMP_CMP_EQ, v, 0}
#define BITS(n, m, v)   {n, SCMP_CMP_MASKED_EQ, m, v}
#define NO_EXEC(n)      BITS(n, PROT_EXEC, 0)
#define THREAD          (CLONE_VM | CLONE_THREAD | CLONE_SIGHAND)
#define NAMESPACES      (CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | \
                         CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
                         CLONE_NEWCGROUP)

struct rule {
	unsigned kinds;
	int nr;
	struct scmp_arg_cmp arg[2]; /* op 0: not looked at */
	bool ask; /* whoever listens decides; ENOSYS if nobody does */
};

static const struct rule rules[] = {
	/* Wait, wake, tell the time. */
	{ALL,     SCMP_SYS(futex)},
	{ALL,     SCMP_SYS(clock_gettime)},
	{ALL,     SCMP_SYS(gettimeofday)},
	{ALL,     SCMP_SYS(clock_nanosleep)},
	{ALL,     SCMP_SYS(nanosleep)},
	{ALL,     SCMP_SYS(sched_yield)},
	{ALL,     SCMP_SYS(restart_syscall)},
	{ALL,     SCMP_SYS(epoll_wait)},
	{ALL,     SCMP_SYS(epoll_pwait)},
	{ALL,     SCMP_SYS(epoll_ctl)},
	{ALL,     SCMP_SYS(poll)},
	{ALL,     SCMP_SYS(ppoll)},
	/* Open descriptors: eventfds, sockets, the log. */
	{ALL,     SCMP_SYS(read)},
	{ALL,     SCMP_SYS(write)},
	{ALL,     SCMP_SYS(readv)},
	{ALL,     SCMP_SYS(writev)},
	{ALL,     SCMP_SYS(close)},
	/* malloc, and guest memory; never what can be executed. */
	{ALL,     SCMP_SYS(brk)},
	{OURS,    SCMP_SYS(mmap),     {NO_EXEC(2)}},
	{OURS,    SCMP_SYS(mprotect), {NO_EXEC(2)}},
	{ALL,     SCMP_SYS(munmap)},
	{ALL,     SCMP_SYS(mremap)},
	{ALL,     SCMP_SYS(madvise)},
	/* Signals, the end, and abort() on the way to it. */
	{ALL,     SCMP_SYS(rt_sigreturn)},
	{ALL,     SCMP_SYS(rt_sigprocmask)},
	{ALL,     SCMP_SYS(getpid)},
	{ALL,     SCMP_SYS(gettid)},
	{OURS,    SCMP_SYS(tgkill),   {EQ(0, JAIL_PID), EQ(2, SIGABRT)}},
	{ALL,     SCMP_SYS(exit)},
	{ALL,     SCMP_SYS(exit_group)},
	{ALL,     SCMP_SYS(getrandom)},
	/*
	 * A thread's name, but not the main one's: by that life_kill() knows
	 * whom it kills. rseq of a thread that libc still sets up.
	 */
	{B|S|V|F|N|H, SCMP_SYS(prctl),  {EQ(0, PR_SET_NAME)}},
	{ALL,     SCMP_SYS(rseq)},
	{ALL,     SCMP_SYS(set_robust_list)},
	/* glibc asks it for malloc's arenas. */
	{ALL,     SCMP_SYS(sched_getaffinity)},

	/* vhost-user's and the sessions' sockets; descriptors that come. */
	{DEVICES, SCMP_SYS(recvmsg)},
	{DEVICES, SCMP_SYS(sendmsg)},
	{DEVICES, SCMP_SYS(recvfrom)},
	/* To the peer, not to a name; a vCPU's serial port does it, too. */
	{OURS,    SCMP_SYS(sendto),   {EQ(4, 0)}},
	{DEVICES, SCMP_SYS(fcntl),    {EQ(1, F_GETFL)}},
	{DEVICES, SCMP_SYS(fcntl),    {EQ(1, F_SETFL)}},
	{DEVICES, SCMP_SYS(fcntl),    {EQ(1, F_SETFD)}},
	{DEVICES, SCMP_SYS(fcntl),    {EQ(1, F_DUPFD_CLOEXEC)}},
	{DEVICES, SCMP_SYS(fcntl),    {EQ(1, F_GET_SEALS)}},
	/* fstat(): glibc calls newfstatat() with no name. */
	{DEVICES, SCMP_SYS(fstat)},
	{DEVICES, SCMP_SYS(newfstatat), {EQ(3, AT_EMPTY_PATH)}},
	{M,       SCMP_SYS(shutdown)},
	/* Which session is it? By a name that the kernel makes, no other. */
	{M,       SCMP_SYS(bind),     {EQ(2, sizeof(sa_family_t))}},
	{M,       SCMP_SYS(getsockname)},
	{M,       SCMP_SYS(getpeername)},
	/* The machine's log: two files. */
	{M,       SCMP_SYS(pwritev)},
	{M,       SCMP_SYS(ftruncate)},
	/* What the guest's memory takes of the host's. */
	{M,       SCMP_SYS(mincore)},
	/* Who joins later: the listening socket was opened before. */
	{M,       SCMP_SYS(accept4)},
	{M,       SCMP_SYS(getsockopt), {EQ(1, SOL_SOCKET)}},
	/* The guest's boot session is a pair of ours. */
	{M,       SCMP_SYS(socketpair), {EQ(0, AF_UNIX),
	                                 BITS(1, 0xf, SOCK_STREAM)}},
	/* QEMU by the descriptor of its process: nobody else has one. */
	{M,       SCMP_SYS(pidfd_send_signal)},
	{M,       SCMP_SYS(waitid)},
	{M,       SCMP_SYS(wait4)},

	/* Disks. */
	{B,       SCMP_SYS(pread64)},
	{B,       SCMP_SYS(pwrite64)},
	{B,       SCMP_SYS(preadv)},
	{B,       SCMP_SYS(pwritev)},
	{B,       SCMP_SYS(preadv2)},
	{B,       SCMP_SYS(pwritev2)},
	{B,       SCMP_SYS(fdatasync)},
	/* qcow2: a file that grew ends with its last cluster; holes of raw. */
	{B,       SCMP_SYS(ftruncate)},
	{B,       SCMP_SYS(lseek)},
	{B | S,   SCMP_SYS(fallocate)}, /* discard; the balloon's pages */

	/*
	 * Files of the guest's shares. Without openat2() there is no way to
	 * stay beneath; openat() is for /proc/self/fd/N alone.
	 */
	{F,       SCMP_SYS(openat2)},
	{F,       SCMP_SYS(openat)},
	{F,       SCMP_SYS(statx)},
	{F,       SCMP_SYS(newfstatat)},
	{F,       SCMP_SYS(readlinkat)},
	{F,       SCMP_SYS(getdents64)},
	{F,       SCMP_SYS(lseek)},
	{F,       SCMP_SYS(pread64)},
	{F,       SCMP_SYS(pwrite64)},
	{F,       SCMP_SYS(preadv)},
	{F,       SCMP_SYS(pwritev)},
	{F,       SCMP_SYS(preadv2)},
	{F,       SCMP_SYS(pwritev2)},
	{F,       SCMP_SYS(fsync)},
	{F,       SCMP_SYS(fdatasync)},
	{F,       SCMP_SYS(ftruncate)},
	{F,       SCMP_SYS(fallocate)},
	{F,       SCMP_SYS(copy_file_range)},
	{F,       SCMP_SYS(mkdirat)},
	{F,       SCMP_SYS(unlinkat)},
	{F,       SCMP_SYS(symlinkat)},
	{F,       SCMP_SYS(linkat)},
	{F,       SCMP_SYS(renameat)}, /* glibc's renameat2() without flags */
	{F,       SCMP_SYS(renameat2)},
	{F,       SCMP_SYS(fchmod)},
	{F,       SCMP_SYS(fchmodat)},
	{F,       SCMP_SYS(utimensat)},
	{F,       SCMP_SYS(fstatfs)},
	{F,       SCMP_SYS(getxattr)},
	{F,       SCMP_SYS(setxattr)},
	{F,       SCMP_SYS(listxattr)},
	{F,       SCMP_SYS(lgetxattr)}, /* of a name, before 6.13 */
	{F,       SCMP_SYS(llistxattr)},
	{F,       SCMP_SYS(lsetxattr)},
	{F,       SCMP_SYS(lremovexattr)},
	{F,       SCMP_SYS(removexattr)},
	{F,       SCMP_SYS(fgetxattr)},
	{F,       SCMP_SYS(fsetxattr)},
	{F,       SCMP_SYS(flistxattr)},
	{F,       SCMP_SYS(fremovexattr)},
	{F,       SCMP_SYS(fchdir)},
	{F,       SCMP_SYS(syncfs)},
	{F,       SCMP_SYS(fcntl),    {EQ(1, F_OFD_SETLK)}}, /* quota.h */
	{F,       463},                /* setxattrat and its like: 6.13 */
	{F,       464},
	{F,       465},
	{F,       466},

	/*
	 * The guest's flows: sockets of the internet and of its echo, and the
	 * kernel's routes, to look at. No bind(): published ports come bound.
	 */
	{N,       SCMP_SYS(socket),   {EQ(0, AF_INET), BITS(1, 0xf, SOCK_STREAM)}},
	{N,       SCMP_SYS(socket),   {EQ(0, AF_INET), BITS(1, 0xf, SOCK_DGRAM)}},
	{N,       SCMP_SYS(socket),   {EQ(0, AF_INET6), BITS(1, 0xf, SOCK_STREAM)}},
	{N,       SCMP_SYS(socket),   {EQ(0, AF_INET6), BITS(1, 0xf, SOCK_DGRAM)}},
	{N,       SCMP_SYS(socketpair), {EQ(0, AF_UNIX), BITS(1, 0xf, SOCK_STREAM)}},
	{N,       SCMP_SYS(connect)},
	{N,       SCMP_SYS(accept4)},
	{N,       SCMP_SYS(sendmmsg)},
	{N,       SCMP_SYS(recvmmsg)},
	{N,       SCMP_SYS(setsockopt)},
	{N,       SCMP_SYS(getsockopt)},
	{N,       SCMP_SYS(getsockname)},
	{N,       SCMP_SYS(getpeername)},
	{N,       SCMP_SYS(shutdown)},
	/* Published UDP answers whom it heard from. */
	{N,       SCMP_SYS(sendto)},

	/*
	 * Unix sockets by the bare name in a folder that is a mount of its own;
	 * and only those that listen: nothing is made or read.
	 */
	{H,       SCMP_SYS(fchdir)},
	{H,       SCMP_SYS(socket),   {EQ(0, AF_UNIX), BITS(1, 0xf, SOCK_STREAM)}},
	{H,       SCMP_SYS(connect)},

	/* Run; say where it was when it failed; make another one stop. */
	{V,       SCMP_SYS(ioctl),    {EQ(1, KVM_RUN)}},
	{V,       SCMP_SYS(ioctl),    {EQ(1, KVM_GET_REGS)}},
	{M | V,   SCMP_SYS(tgkill),   {EQ(0, JAIL_PID), EQ(2, SIGUSR1)}},

	/* QEMU: its start, with the loader's and its libraries' calls. */
	{Q,       SCMP_SYS(execve),   {EQ(0, JAIL_PROGRAM)}},
	{Q,       SCMP_SYS(mmap)},     /* a translator writes code */
	{Q,       SCMP_SYS(mprotect)},
	{Q,       SCMP_SYS(open)},     /* of a root that gets empty */
	{Q,       SCMP_SYS(openat)},
	{Q,       SCMP_SYS(access)},
	{Q,       SCMP_SYS(faccessat)},
	{Q,       SCMP_SYS(faccessat2)},
	{Q,       SCMP_SYS(stat)},
	{Q,       SCMP_SYS(lstat)},
	{Q,       SCMP_SYS(fstat)},
	{Q,       SCMP_SYS(newfstatat)},
	{Q,       SCMP_SYS(statx)},
	{Q,       SCMP_SYS(statfs)},
	{Q,       SCMP_SYS(fstatfs)},
	{Q,       SCMP_SYS(readlink)},
	{Q,       SCMP_SYS(readlinkat)},
	{Q,       SCMP_SYS(getdents64)},
	{Q,       SCMP_SYS(getcwd)},
	{Q,       SCMP_SYS(lseek)},
	{Q,       SCMP_SYS(pread64)},
	{Q,       SCMP_SYS(fadvise64)},
	{Q,       SCMP_SYS(fcntl),    {EQ(1, F_GETFD)}},
	{Q,       SCMP_SYS(fcntl),    {EQ(1, F_SETFD)}},
	{Q,       SCMP_SYS(fcntl),    {EQ(1, F_GETFL)}},
	{Q,       SCMP_SYS(fcntl),    {EQ(1, F_SETFL)}},
	{Q,       SCMP_SYS(fcntl),    {EQ(1, F_DUPFD)}},
	{Q,       SCMP_SYS(fcntl),    {EQ(1, F_DUPFD_CLOEXEC)}},
	{Q,       SCMP_SYS(fcntl),    {EQ(1, F_ADD_SEALS)}},
	{Q,       SCMP_SYS(fcntl),    {EQ(1, F_GET_SEALS)}},
	{Q,       SCMP_SYS(dup)},
	{Q,       SCMP_SYS(dup2)},
	{Q,       SCMP_SYS(dup3)},
	{Q,       SCMP_SYS(pipe)},
	{Q,       SCMP_SYS(pipe2)},
	{Q,       SCMP_SYS(arch_prctl)},
	{Q,       SCMP_SYS(set_tid_address)},
	{Q,       SCMP_SYS(prlimit64), {EQ(0, 0)}},
	{Q,       SCMP_SYS(getrlimit)},
	{Q,       SCMP_SYS(uname)},
	{Q,       SCMP_SYS(sysinfo)},
	{Q,       SCMP_SYS(getrusage)},
	{Q,       SCMP_SYS(times)},
	{Q,       SCMP_SYS(clock_getres)},
	{Q,       SCMP_SYS(getppid)},
	{Q,       SCMP_SYS(getuid)},
	{Q,       SCMP_SYS(geteuid)},
	{Q,       SCMP_SYS(getgid)},
	{Q,       SCMP_SYS(getegid)},
	{Q,       SCMP_SYS(getpgrp)},
	{Q,       SCMP_SYS(umask)},
	{Q,       SCMP_SYS(membarrier)},
	{Q,       SCMP_SYS(mlock)},
	{Q,       SCMP_SYS(mincore)},
	{Q,       SCMP_SYS(msync)},
	{Q,       SCMP_SYS(get_mempolicy)},
	/* Threads, not processes; clone3 gets ENOSYS, then libc uses this. */
	{Q,       SCMP_SYS(clone),    {BITS(0, THREAD | NAMESPACES, THREAD)}},
	{Q,       SCMP_SYS(sigaltstack)},
	{Q,       SCMP_SYS(rt_sigaction)},
	{Q,       SCMP_SYS(rt_sigsuspend)},
	{Q,       SCMP_SYS(rt_sigpending)},
	{Q,       SCMP_SYS(rt_sigtimedwait)},
	{Q,       SCMP_SYS(signalfd4)},
	{Q,       SCMP_SYS(tgkill)},   /* its processor threads: pid 1 is it */
	{Q,       SCMP_SYS(timer_create)},
	{Q,       SCMP_SYS(timer_settime)},
	{Q,       SCMP_SYS(timer_gettime)},
	{Q,       SCMP_SYS(timer_delete)},
	{Q,       SCMP_SYS(timerfd_create)},
	{Q,       SCMP_SYS(timerfd_settime)},
	{Q,       SCMP_SYS(sched_getparam)},
	{Q,       SCMP_SYS(sched_getscheduler)},
	/* Its own filter, which comes on top; name, keep caps: harmless. */
	{Q,       SCMP_SYS(seccomp)},
	{Q,       SCMP_SYS(prctl),    {EQ(0, PR_SET_NAME)}},
	{Q,       SCMP_SYS(prctl),    {EQ(0, PR_GET_NAME)}},
	{Q,       SCMP_SYS(prctl),    {EQ(0, PR_SET_TIMERSLACK)}},
	{Q,       SCMP_SYS(prctl),    {EQ(0, PR_SET_NO_NEW_PRIVS)}},
	{Q,       SCMP_SYS(prctl),    {EQ(0, PR_GET_NO_NEW_PRIVS)}},
	{Q,       SCMP_SYS(prctl),    {EQ(0, PR_SET_SECCOMP)}},
	{Q,       SCMP_SYS(prctl),    {EQ(0, PR_GET_SECCOMP)}},
	/* The guest's memory, the device sockets, the serial socket. */
	{Q,       SCMP_SYS(memfd_create)},
	{Q,       SCMP_SYS(ftruncate)},
	{Q,       SCMP_SYS(fallocate)}, /* the balloon */
	{Q,       SCMP_SYS(eventfd2)},
	{Q,       SCMP_SYS(epoll_create1)},
	{Q,       SCMP_SYS(epoll_pwait2)},
	{Q,       SCMP_SYS(select)},
	{Q,       SCMP_SYS(pselect6)},
	{Q,       SCMP_SYS(recvmsg)},
	{Q,       SCMP_SYS(sendmsg)},
	{Q,       SCMP_SYS(recvfrom)},
	{Q,       SCMP_SYS(sendto)},
	{Q,       SCMP_SYS(shutdown)},
	{Q,       SCMP_SYS(getsockopt)},
	{Q,       SCMP_SYS(setsockopt)},
	{Q,       SCMP_SYS(getsockname)},
	{Q,       SCMP_SYS(getpeername)},
	/* qemu_sock.c: it thinks that it connects a socket. */
	{Q,       SCMP_SYS(socket),   {EQ(0, AF_UNIX)}, .ask = true},
	{Q,       SCMP_SYS(connect),  .ask = true},
	/* KVM's and FIONBIO, FIONREAD, TCGETS: by their type's byte. */
	{Q,       SCMP_SYS(ioctl),    {BITS(1, 0xff00, KVMIO << 8)}},
	{Q,       SCMP_SYS(ioctl),    {EQ(1, FIONBIO)}},
	{Q,       SCMP_SYS(ioctl),    {EQ(1, FIONREAD)}},
	{Q,       SCMP_SYS(ioctl),    {EQ(1, TCGETS)}},
};
/* clang-format on */

static const struct {
	const char *name;
	unsigned kind;
	uint32_t otherwise;
} filters[] = {
	{"main",    M, SCMP_ACT_TRAP         },
        {"block",   B, SCMP_ACT_TRAP         },
	{"small",   S, SCMP_ACT_TRAP         },
        {"vcpu",    V, SCMP_ACT_TRAP         },
	{"fs",      F, SCMP_ACT_TRAP         },
        {"net",     N, SCMP_ACT_TRAP         },
	{"sockets", H, SCMP_ACT_TRAP         },
        {"qemu",    Q, SCMP_ACT_ERRNO(ENOSYS)},
};

static int add_rule(scmp_filter_ctx ctx, const struct rule *r)
{
	unsigned n = 0;

	while (n < ARRAY_SIZE(r->arg) && r->arg[n].op)
		n++;
	return seccomp_rule_add_array(ctx,
	                              r->ask ? SCMP_ACT_NOTIFY : SCMP_ACT_ALLOW,
	                              r->nr, n, r->arg);
}

/* From libseccomp through a file of its own: it writes to descriptors only. */
static int print_filter(scmp_filter_ctx ctx, const char *name)
{
	struct sock_filter insn;
	FILE *f = tmpfile();

	if (!f || seccomp_export_bpf(ctx, fileno(f)) < 0 ||
	    fseek(f, 0, SEEK_SET) < 0)
		return -EIO;
	printf("static const struct sock_filter filter_%s[] = {\n", name);
	while (fread(&insn, sizeof(insn), 1, f) == 1)
		printf("\t{0x%x, %u, %u, 0x%x},\n", insn.code, insn.jt, insn.jf,
		       insn.k);
	printf("};\n");
	return fclose(f);
}

static int make_filter(const char *name, unsigned kind, uint32_t otherwise)
{
	scmp_filter_ctx ctx = seccomp_init(otherwise);
	int r = ctx ? seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
	                               SCMP_ACT_KILL_PROCESS)
	            : -ENOMEM;

	if (r == 0) /* a tree, not a chain: read() is not last */
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < ARRAY_SIZE(rules) && r == 0; i++) {
		if (!(rules[i].kinds & kind))
			continue;
		r = add_rule(ctx, &rules[i]);
		if (r < 0)
			fprintf(stderr, "rule %zu: %s\n", i, strerror(-r));
	}
	if (r == 0)
		r = print_filter(ctx, name);
	seccomp_release(ctx);
	return r;
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++)
		if (make_filter(filters[i].name, filters[i].kind,
		                filters[i].otherwise) < 0)
			return 1;
	return 0;
}
