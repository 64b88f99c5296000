#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/num.h"
#include "lib/defaults.h"
#include "lib/doctor.h"
#include "store/store.h"

#include "base/banned.h"

#define PROC_MAX   (4u << 20)
#define GROUPS_MAX 256

static const char *module(const struct doctor_kvm_facts *f)
{
	return f->amd ? "kvm_amd" : "kvm_intel";
}

/* ---- what is said -------------------------------------------------------- */

static void say_works(struct msb_report *r, const struct doctor_kvm_facts *f)
{
	const char *paging = f->amd ? "npt" : "ept";
	char fix[160];

	doctor_add(r, "kvm", MSB_CHECK_OK, "", "/dev/kvm works");
	if (f->paging == 'N') {
		(void)snprintf(fix, sizeof(fix),
		               "sudo modprobe -r %s && sudo modprobe %s %s=1",
		               module(f), module(f), paging);
		doctor_add(r, "paging", MSB_CHECK_WARN, fix,
		           "KVM runs without %s: slow, and guests reach more "
		           "of the host's kernel",
		           f->amd ? "nested page tables (NPT)"
		                  : "extended page tables (EPT)");
	}
	if (f->nested == 'N') {
		(void)snprintf(fix, sizeof(fix),
		               "if it shall: sudo modprobe -r %s && sudo "
		               "modprobe %s nested=1",
		               module(f), module(f));
		doctor_add(r, "nested", MSB_CHECK_INFO, fix,
		           "off: msb inside virtual machines of this host has "
		           "no KVM");
	}
}

static void say_emulated(struct msb_report *r, const struct doctor_kvm_facts *f)
{
	doctor_add(r, "kvm", MSB_CHECK_INFO, "",
	           "unusable: /dev/kvm exists, but the processor shows neither "
	           "vmx nor svm, so it is emulated%s; a whole Linux does not "
	           "run on it",
	           f->pvm ? " (module kvm_pvm)" : "");
}

static void say_missing(struct msb_report *r, const struct doctor_kvm_facts *f)
{
	char fix[96];

	(void)snprintf(fix, sizeof(fix), "sudo modprobe %s", module(f));
	if (f->container)
		doctor_add(r, "kvm", MSB_CHECK_WARN,
		           "start the container with --device /dev/kvm",
		           "the processor can virtualize, but this container "
		           "has no /dev/kvm");
	else if (f->loaded)
		doctor_add(r, "kvm", MSB_CHECK_WARN,
		           "sudo udevadm trigger --subsystem-match=misc",
		           "the module %s is loaded, but /dev/kvm is missing",
		           module(f));
	else
		doctor_add(r, "kvm", MSB_CHECK_WARN, fix,
		           "the processor can virtualize, but the kernel "
		           "module %s is not loaded",
		           module(f));
}

static void say_no_flag(struct msb_report *r, const struct doctor_kvm_facts *f)
{
	char fix[256];

	if (!f->virt.hypervisor) {
		doctor_add(r, "kvm", MSB_CHECK_INFO,
		           "turn on VT-x or AMD-V in the firmware, if the "
		           "processor has it",
		           "no hardware virtualization: the processor shows "
		           "neither vmx nor svm");
		return;
	}
	(void)snprintf(fix, sizeof(fix),
	               "where you control the host: sudo modprobe -r %s && "
	               "sudo modprobe %s nested=1, and give this machine the "
	               "host's processor model",
	               module(f), module(f));
	doctor_add(r, "kvm", MSB_CHECK_INFO, fix,
	           "this is a virtual machine without nested virtualization: "
	           "its processor shows neither vmx nor svm");
}

static void say_forbidden(struct msb_report *r,
                          const struct doctor_kvm_facts *f)
{
	bool by_group = (f->mode & 060) == 060 && f->group[0] &&
	                strcmp(f->group, "root") != 0;
	char fix[128];

	if (f->container && f->virt.kvm_errno == EPERM)
		doctor_add(r, "kvm", MSB_CHECK_WARN,
		           "start the container with --device /dev/kvm",
		           "this container may not open /dev/kvm");
	else if (by_group && f->may_join) {
		(void)snprintf(fix, sizeof(fix),
		               "newgrp %s, or log out and in again", f->group);
		doctor_add(r, "kvm", MSB_CHECK_WARN, fix,
		           "you may not open /dev/kvm: you are in group %s, "
		           "but this session began before",
		           f->group);
	} else if (by_group) {
		(void)snprintf(fix, sizeof(fix),
		               "sudo usermod -aG %s \"$USER\", then log in "
		               "again",
		               f->group);
		doctor_add(r, "kvm", MSB_CHECK_WARN, fix,
		           "/dev/kvm is there, but you may not open it (group "
		           "%s may)",
		           f->group);
	} else {
		doctor_add(r, "kvm", MSB_CHECK_WARN,
		           "sudo chown \"$USER\" /dev/kvm",
		           "/dev/kvm is there, but you may not open it (mode "
		           "%04o)",
		           (unsigned)f->mode & 07777);
	}
}

static void say_other(struct msb_report *r, const struct doctor_kvm_facts *f)
{
	struct err err = {0};

	if (virt_check(&f->virt, &err) < 0) {
		err.hint[0] = '\0'; /* it sends people here */
		doctor_add_err(r, "kvm", MSB_CHECK_WARN, &err);
	}
}

static bool is_missing(int error)
{
	return error == ENOENT || error == ENXIO || error == ENODEV;
}

void doctor_kvm_explain(struct msb_report *r, const struct doctor_kvm_facts *f)
{
	const struct virt *v = &f->virt;
	bool flag = v->vmx || v->svm;

	r->kvm_real = virt_check(v, NULL) == 0;
	if (r->kvm_real)
		say_works(r, f);
	else if (virt_is_emulated(v))
		say_emulated(r, f);
	else if (!flag)
		say_no_flag(r, f);
	else if (is_missing(v->kvm_errno))
		say_missing(r, f);
	else if (v->kvm_errno == EACCES || v->kvm_errno == EPERM)
		say_forbidden(r, f);
	else
		say_other(r, f);
}

static void say_auto(struct msb_report *r)
{
	if (r->kvm_real)
		doctor_add(r, "engine", MSB_CHECK_OK, "",
		           "auto takes kvm, our own machine monitor");
	else if (r->qemu_works)
		doctor_add(r, "engine", MSB_CHECK_OK, "",
		           "auto takes qemu with tcg, emulation in software");
	else
		doctor_add(r, "engine", MSB_CHECK_FAIL,
		           "install QEMU (Debian: apt install qemu-system-x86)",
		           "none: no KVM that is real, and no QEMU that works");
}

void doctor_engine_explain(struct msb_report *r, int32_t chosen)
{
	say_auto(r);
	if (chosen == MSB_ENGINE_KVM && !r->kvm_real)
		doctor_add(r, "engine", MSB_CHECK_WARN,
		           "choose auto, in MSB_ENGINE and in config.json",
		           "kvm is chosen, but cannot work here");
	else if (chosen == MSB_ENGINE_QEMU && !r->qemu_works)
		doctor_add(r, "engine", MSB_CHECK_FAIL,
		           "choose auto, in MSB_ENGINE and in config.json",
		           "qemu is chosen, but does not work here");
	else if (chosen == MSB_ENGINE_KVM || chosen == MSB_ENGINE_QEMU)
		doctor_add(r, "engine", MSB_CHECK_INFO, "",
		           "%s is chosen, by MSB_ENGINE or config.json",
		           defaults_engines[chosen]);
}

/* ---- what is found out --------------------------------------------------- */

/* 'Y' or 'N' of a module's parameter, which may be 1 or 0; 0: not there. */
static char parameter(const char *module_name, const char *name)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(64);
	char path[128];

	(void)snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s",
	               module_name, name);
	if (file_read(AT_FDCWD, path, &b) < 0 || b.len == 0)
		return 0;
	return strchr("Yy123456789", b.data[0]) ? 'Y' : 'N';
}

static bool is_loaded(const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/sys/module/%s", name);
	return access(path, F_OK) == 0;
}

static bool is_in_session(gid_t gid)
{
	gid_t list[GROUPS_MAX];
	int n = getgroups(GROUPS_MAX, list);

	for (int i = 0; i < n; i++)
		if (list[i] == gid)
			return true;
	return getegid() == gid;
}

/* The user database says that we are in it, this session does not know. */
static bool may_join(const struct group *g)
{
	struct passwd pw, *found = NULL;
	char space[4096];

	if (is_in_session(g->gr_gid) ||
	    getpwuid_r(geteuid(), &pw, space, sizeof(space), &found) || !found)
		return false;
	for (char **m = g->gr_mem; *m; m++)
		if (strcmp(*m, found->pw_name) == 0)
			return true;
	return false;
}

static void find_group(struct doctor_kvm_facts *f)
{
	cleanup_free char *space = malloc(64 << 10);
	struct group g, *found = NULL;
	struct stat st;

	if (!space || stat(VIRT_KVM, &st) < 0)
		return;
	f->mode = st.st_mode;
	if (getgrgid_r(st.st_gid, &g, space, 64 << 10, &found) || !found)
		return;
	(void)snprintf(f->group, sizeof(f->group), "%s", g.gr_name);
	f->may_join = may_join(&g);
}

static bool is_amd(void)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(PROC_MAX);

	return file_read(AT_FDCWD, VIRT_CPUINFO, &b) == 0 &&
	       strstr(buf_str(&b), "AuthenticAMD");
}

void doctor_kvm(struct msb_report *r)
{
	struct doctor_kvm_facts f = {
		.pvm = is_loaded("kvm_pvm"),
		.container = access("/.dockerenv", F_OK) == 0 ||
	                     access("/run/.containerenv", F_OK) == 0,
	};

	virt_probe(VIRT_CPUINFO, VIRT_KVM, &f.virt);
	f.amd = f.virt.svm || (!f.virt.vmx && is_amd());
	f.loaded = is_loaded(module(&f));
	f.nested = parameter(module(&f), "nested");
	f.paging = parameter(module(&f), f.amd ? "npt" : "ept");
	find_group(&f);
	doctor_kvm_explain(r, &f);
}

void doctor_engine(struct msb_report *r)
{
	struct msb_sandbox_opts o = MSB_SANDBOX_OPTS_INIT;
	struct defaults cleanup_defaults d = {0};
	struct store *cleanup_store s = NULL;
	struct err err = {0};

	/* A home that cannot be opened is told by its own check. */
	if (store_open(r->home_path, &s, NULL) == 0 &&
	    defaults_fill(&o, s->home, &d, &err) < 0)
		doctor_add_err(r, "config", MSB_CHECK_FAIL, &err);
	else if (d.file.has_json && d.file.has_toml)
		doctor_add(r, "config", MSB_CHECK_OK, "", "%s, and over it %s",
		           d.file.json_path, d.file.toml_path);
	else if (d.file.has_json || d.file.has_toml)
		doctor_add(r, "config", MSB_CHECK_OK, "", "%s",
		           d.file.has_json ? d.file.json_path
		                           : d.file.toml_path);
	else if (d.file.json_path)
		doctor_add(r, "config", MSB_CHECK_INFO, "",
		           "no defaults of yours; they would be in %s%s%s",
		           d.file.json_path, d.file.toml_path ? " or " : "",
		           d.file.toml_path ? d.file.toml_path : "");
	doctor_engine_explain(r, o.engine);
}
