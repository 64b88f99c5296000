/*
 * Theory
 *
 * An allow-list: what the loop, the sockets, memory and the clock need. There
 * is nothing in it that opens, connects, starts or asks the kernel for more
 * than what is there. Another call ends the process, with a line that says
 * which one it was: SECCOMP_RET_TRAP cannot be caught in any other way, for
 * rt_sigaction() is not on the list.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/confine.h"
#include "base/num.h"
#include "tls/cage.h"

#include "base/banned.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NO_FILTER
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NO_FILTER
#endif

/* clang-format off */
#define EQ(n, v)   {n, SCMP_CMP_EQ, v, 0}
#define NO_EXEC(n) {n, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}
#define NONE       {0, 0, 0, 0}
#define ANY        {NONE, NONE}

static const struct rule {
	int nr;
	struct scmp_arg_cmp arg[2]; /* op 0: not looked at */
} rules[] = {
	/* The loop, most of the time. */
	{SCMP_SYS(epoll_wait), ANY},
	{SCMP_SYS(epoll_pwait), ANY},
	{SCMP_SYS(epoll_ctl), ANY},
	{SCMP_SYS(read), ANY},
	{SCMP_SYS(write), ANY},
	{SCMP_SYS(readv), ANY},
	{SCMP_SYS(writev), ANY},
	{SCMP_SYS(recvfrom), ANY},
	{SCMP_SYS(recvmsg), ANY},
	{SCMP_SYS(sendto),   {EQ(4, 0), NONE}},
	{SCMP_SYS(sendmsg), ANY},
	{SCMP_SYS(close), ANY},
	{SCMP_SYS(shutdown), ANY},
	{SCMP_SYS(accept4), ANY},   /* tls.sock: no other socket listens */
	{SCMP_SYS(getsockopt), ANY},
	{SCMP_SYS(setsockopt), ANY},
	{SCMP_SYS(getsockname), ANY},
	{SCMP_SYS(getpeername), ANY},
	{SCMP_SYS(fcntl),    {EQ(1, F_GETFL), NONE}},
	{SCMP_SYS(fcntl),    {EQ(1, F_SETFL), NONE}},
	{SCMP_SYS(fcntl),    {EQ(1, F_SETFD), NONE}},
	{SCMP_SYS(poll), ANY},      /* the first request */
	{SCMP_SYS(ppoll), ANY},
	{SCMP_SYS(restart_syscall), ANY},
	/* Time, chance. */
	{SCMP_SYS(clock_gettime), ANY},
	{SCMP_SYS(clock_getres), ANY},
	{SCMP_SYS(gettimeofday), ANY},
	{SCMP_SYS(time), ANY},
	{SCMP_SYS(getrandom), ANY},
	/* Memory; never what can be executed. */
	{SCMP_SYS(brk), ANY},
	{SCMP_SYS(mmap),     {NO_EXEC(2), NONE}},
	{SCMP_SYS(mprotect), {NO_EXEC(2), NONE}},
	{SCMP_SYS(munmap), ANY},
	{SCMP_SYS(mremap), ANY},
	{SCMP_SYS(madvise), ANY},
	{SCMP_SYS(mlock), ANY},
	{SCMP_SYS(munlock), ANY},
	{SCMP_SYS(sysinfo), ANY},   /* qsort() asks how much there is */
	/* OpenSSL: locks, and is this still the process that it was? */
	{SCMP_SYS(futex), ANY},
	{SCMP_SYS(getpid), ANY},
	{SCMP_SYS(gettid), ANY},
	/* Whose tls.sock it is. */
	{SCMP_SYS(getuid), ANY},
	/* The end, also by abort(). */
	{SCMP_SYS(rt_sigreturn), ANY},
	{SCMP_SYS(rt_sigprocmask), ANY},
	{SCMP_SYS(tgkill),   {EQ(2, SIGABRT), NONE}},
	{SCMP_SYS(exit), ANY},
	{SCMP_SYS(exit_group), ANY},
};
/* clang-format on */

static int add_rule(scmp_filter_ctx ctx, const struct rule *r)
{
	unsigned n = 0;

	while (n < ARRAY_SIZE(r->arg) && r->arg[n].op)
		n++;
	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, r->nr, n, r->arg);
}

int cage_filter(void)
{
	scmp_filter_ctx ctx;
	int r;

#if defined(NO_FILTER)
	return -EOPNOTSUPP;
#endif
	r = confine_report("msb-tls: error: the cage stopped");
	if (r < 0)
		return r;
	ctx = seccomp_init(SCMP_ACT_TRAP);
	if (!ctx)
		return -ENOMEM;
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
	                     SCMP_ACT_KILL_PROCESS);
	if (r == 0) /* a tree, not a chain */
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < ARRAY_SIZE(rules) && r == 0; i++)
		r = add_rule(ctx, &rules[i]);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}
