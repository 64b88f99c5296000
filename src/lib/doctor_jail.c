#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/num.h"
#include "lib/doctor.h"
#include "lib/jail_probe.h"

#include "base/banned.h"

/* The one switch that stands in the way, and the command that turns it. */
static const char *userns_fix(const struct doctor_jail_facts *f)
{
	if (f->userns_clone == 0)
		return "sudo sysctl kernel.unprivileged_userns_clone=1";
	if (f->max_userns == 0)
		return "sudo sysctl user.max_user_namespaces=10000";
	if (f->apparmor_userns == 1)
		return "sudo sysctl "
		       "kernel.apparmor_restrict_unprivileged_userns=0";
	return f->userns == -ENOSPC
	               ? "sudo sysctl user.max_user_namespaces=10000"
	               : "";
}

static void say_userns(struct msb_report *r, const struct doctor_jail_facts *f)
{
	if (f->userns == 0)
		doctor_add(r, "namespaces", MSB_CHECK_OK, "",
		           "allowed: a machine's processes see no file, no "
		           "process and no network of this host");
	else
		doctor_add(r, "namespaces",
		           f->landlock > 0 ? MSB_CHECK_INFO : MSB_CHECK_WARN,
		           userns_fix(f), "not allowed for this user (%s)",
		           strerror(-f->userns));
}

static void say_landlock(struct msb_report *r,
                         const struct doctor_jail_facts *f)
{
	if (f->landlock > 0)
		doctor_add(r, "landlock", MSB_CHECK_OK, "",
		           "ABI %d: takes files away where there are no "
		           "namespaces",
		           f->landlock);
	else
		doctor_add(r, "landlock",
		           f->userns ? MSB_CHECK_WARN : MSB_CHECK_INFO,
		           f->userns ? "boot a kernel with Landlock (5.13 or "
		                       "newer, landlock in lsm=)"
		                     : "",
		           "this kernel has none");
}

static void say_seccomp(struct msb_report *r, const struct doctor_jail_facts *f)
{
	if (f->seccomp == 0)
		doctor_add(r, "seccomp", MSB_CHECK_OK, "",
		           "each thread may make the system calls it needs, "
		           "no others");
	else
		doctor_add(r, "seccomp", MSB_CHECK_WARN,
		           "boot a kernel with CONFIG_SECCOMP_FILTER",
		           "no filters: %s", strerror(-f->seccomp));
}

/* How strong the jail is on this host, in words. */
static const char *jail_words(const struct doctor_jail_facts *f)
{
	bool filters = f->seccomp == 0;

	if (f->userns == 0)
		return filters ? "namespaces, an empty root and seccomp"
		               : "namespaces and an empty root";
	if (f->landlock > 0)
		return filters ? "Landlock and seccomp" : "Landlock";
	return filters ? "seccomp alone" : "";
}

/*
 * Which wall a guest meets first. Under tcg there is only the jail, so a weak
 * one is worth a warning there.
 */
static void say_wall(struct msb_report *r, const struct doctor_jail_facts *f)
{
	const char *jail = jail_words(f);
	bool strong = (f->userns == 0 || f->landlock > 0) && f->seccomp == 0;

	if (r->kvm_real)
		doctor_add(r, "wall", MSB_CHECK_OK, "",
		           "the processor's virtualization; behind it %s%s",
		           *jail ? "a jail of " : "nothing: there is no jail",
		           jail);
	else if (strong)
		doctor_add(r, "wall", MSB_CHECK_OK, "",
		           "the jail of %s: emulation by tcg is no security "
		           "boundary by QEMU's own policy",
		           jail);
	else
		doctor_add(r, "wall", MSB_CHECK_WARN,
		           "run no hostile code here before that is better",
		           "%s%s: too weak, since emulation by tcg is no "
		           "security boundary by QEMU's own policy",
		           *jail ? "a jail of " : "none", jail);
}

void doctor_jail_explain(struct msb_report *r,
                         const struct doctor_jail_facts *f)
{
	say_userns(r, f);
	say_landlock(r, f);
	say_seccomp(r, f);
	say_wall(r, f);
}

/* ---- what is found out --------------------------------------------------- */

static int64_t read_switch(const char *name)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(64);
	uint64_t v;
	char path[96];

	(void)snprintf(path, sizeof(path), "/proc/sys/%s", name);
	if (file_read(AT_FDCWD, path, &b) < 0 || b.len == 0)
		return -1;
	if (b.data[b.len - 1] == '\n')
		b.data[b.len - 1] = '\0';
	return num_parse_u64(buf_str(&b), INT64_MAX, &v) ? (int64_t)v : -1;
}

void doctor_jail(struct msb_report *r)
{
	const struct doctor_jail_facts f = {
		.userns = jail_probe_userns(),
		.landlock = jail_probe_landlock(),
		.seccomp = jail_probe_seccomp(),
		.userns_clone = read_switch("kernel/unprivileged_userns_clone"),
		.max_userns = read_switch("user/max_user_namespaces"),
		.apparmor_userns = read_switch(
			"kernel/apparmor_restrict_unprivileged_userns"),
	};

	doctor_jail_explain(r, &f);
}
