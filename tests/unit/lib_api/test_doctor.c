/* What doctor says of made-up hosts. */
#include "lib/test.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "lib/doctor.h"

static struct msb_report report;

static int clear(void **state)
{
	(void)state;
	for (size_t i = 0; i < report.n; i++) {
		free((char *)(uintptr_t)report.checks[i].message);
		free((char *)(uintptr_t)report.checks[i].fix);
	}
	report = (struct msb_report){0};
	return 0;
}

static void contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in: %s", part, text);
}

/* The check @i has all this in it; @fix NULL: there must be none. */
static void says(size_t i, const char *name, enum msb_check_status status,
                 const char *message, const char *fix)
{
	const struct msb_check *c = msb_report_get(&report, i);

	assert_non_null(c);
	assert_string_equal(c->name, name);
	contains(c->message, message);
	if (c->status != (int32_t)status)
		fail_msg("status %d of: %s", c->status, c->message);
	if (fix)
		contains(c->fix, fix);
	else
		assert_string_equal(c->fix, "");
}

static void kvm(struct doctor_kvm_facts f, enum msb_check_status status,
                const char *message, const char *fix)
{
	(void)clear(NULL);
	doctor_kvm_explain(&report, &f);
	assert_true(report.n >= 1);
	says(0, "kvm", status, message, fix);
	assert_int_equal(report.kvm_real, status == MSB_CHECK_OK);
}

#define FACTS(...) ((struct doctor_kvm_facts){__VA_ARGS__})

static void kvm_that_works(void **state)
{
	(void)state;
	kvm(FACTS(.virt.vmx = true), MSB_CHECK_OK, "works", NULL);
	assert_int_equal(report.n, 1);
	kvm(FACTS(.virt.svm = true, .amd = true, .nested = 'Y', .paging = 'Y'),
	    MSB_CHECK_OK, "works", NULL);
	assert_int_equal(report.n, 1);
}

static void kvm_that_is_emulated_is_called_unusable(void **state)
{
	(void)state;
	kvm(FACTS(.virt.hypervisor = true), MSB_CHECK_INFO,
	    "unusable: /dev/kvm exists", NULL);
	contains(report.checks[0].message, "emulated;");
	kvm(FACTS(.virt.hypervisor = true, .pvm = true), MSB_CHECK_INFO,
	    "emulated (module kvm_pvm)", NULL);
}

static void a_missing_module_comes_with_its_modprobe(void **state)
{
	(void)state;
	kvm(FACTS(.virt = {.vmx = true, .kvm_errno = ENOENT}), MSB_CHECK_WARN,
	    "kvm_intel is not loaded", "sudo modprobe kvm_intel");
	kvm(FACTS(.virt = {.svm = true, .kvm_errno = ENOENT}, .amd = true),
	    MSB_CHECK_WARN, "kvm_amd is not loaded", "sudo modprobe kvm_amd");
	kvm(FACTS(.virt = {.svm = true, .kvm_errno = ENODEV}, .amd = true),
	    MSB_CHECK_WARN, "not loaded", "sudo modprobe kvm_amd");
	kvm(FACTS(.virt = {.vmx = true, .kvm_errno = ENOENT}, .loaded = true),
	    MSB_CHECK_WARN, "loaded, but /dev/kvm is missing", "udevadm");
	kvm(FACTS(.virt = {.vmx = true, .kvm_errno = ENOENT}, .loaded = true,
	          .container = true),
	    MSB_CHECK_WARN, "this container has no /dev/kvm",
	    "--device /dev/kvm");
}

static void no_permission_comes_with_the_one_command(void **state)
{
	const struct virt denied = {.svm = true, .kvm_errno = EACCES};

	(void)state;
	kvm(FACTS(.virt = denied, .mode = 0660, .group = "kvm"), MSB_CHECK_WARN,
	    "may not open", "sudo usermod -aG kvm \"$USER\"");
	kvm(FACTS(.virt = denied, .mode = 0660, .group = "virt"),
	    MSB_CHECK_WARN, "may not open", "usermod -aG virt");
	kvm(FACTS(.virt = denied, .mode = 0660, .group = "kvm",
	          .may_join = true),
	    MSB_CHECK_WARN, "this session began before", "newgrp kvm");
	kvm(FACTS(.virt = denied, .mode = 0600, .group = "kvm"), MSB_CHECK_WARN,
	    "mode 0600", "sudo chown \"$USER\" /dev/kvm");
	kvm(FACTS(.virt = denied, .mode = 0660, .group = "root"),
	    MSB_CHECK_WARN, "may not open", "sudo chown");
	kvm(FACTS(.virt = denied, .mode = 0660), MSB_CHECK_WARN, "may not open",
	    "sudo chown");
	kvm(FACTS(.virt = {.vmx = true, .kvm_errno = EPERM}, .container = true),
	    MSB_CHECK_WARN, "container", "--device /dev/kvm");
}

static void no_flag_and_no_nested_virtualization(void **state)
{
	(void)state;
	kvm(FACTS(.virt.kvm_errno = ENOENT), MSB_CHECK_INFO,
	    "no hardware virtualization", "firmware");
	kvm(FACTS(.virt = {.hypervisor = true, .kvm_errno = ENOENT}),
	    MSB_CHECK_INFO, "without nested virtualization",
	    "modprobe kvm_intel nested=1");
	kvm(FACTS(.virt = {.hypervisor = true, .kvm_errno = ENOENT},
	          .amd = true),
	    MSB_CHECK_INFO, "neither vmx nor svm", "kvm_amd nested=1");
	kvm(FACTS(.virt = {.kvm_errno = EACCES}), MSB_CHECK_INFO,
	    "no hardware virtualization", "firmware");
}

static void kvm_that_lacks_something(void **state)
{
	(void)state;
	kvm(FACTS(.virt = {.vmx = true,
	                   .kvm_errno = EOPNOTSUPP,
	                   .missing = "irqfd"}),
	    MSB_CHECK_WARN, "lacks irqfd", NULL);
	kvm(FACTS(.virt = {.vmx = true, .kvm_errno = ENOTTY}), MSB_CHECK_WARN,
	    "something else", NULL);
	kvm(FACTS(.virt = {.vmx = true, .kvm_errno = EBUSY}), MSB_CHECK_WARN,
	    "busy", NULL);
}

static void missing_page_tables_and_nesting_are_told(void **state)
{
	(void)state;
	kvm(FACTS(.virt.vmx = true, .paging = 'N'), MSB_CHECK_OK, "works",
	    NULL);
	assert_int_equal(report.n, 2);
	says(1, "paging", MSB_CHECK_WARN, "EPT",
	     "sudo modprobe -r kvm_intel && sudo modprobe kvm_intel ept=1");
	kvm(FACTS(.virt.svm = true, .amd = true, .paging = 'N', .nested = 'N'),
	    MSB_CHECK_OK, "works", NULL);
	assert_int_equal(report.n, 3);
	says(1, "paging", MSB_CHECK_WARN, "NPT", "modprobe kvm_amd npt=1");
	says(2, "nested", MSB_CHECK_INFO, "off", "modprobe kvm_amd nested=1");
}

static void engine(bool kvm_real, bool qemu_works, int32_t chosen)
{
	(void)clear(NULL);
	report.kvm_real = kvm_real;
	report.qemu_works = qemu_works;
	doctor_engine_explain(&report, chosen);
}

static void the_engine_of_auto_is_told(void **state)
{
	(void)state;
	engine(true, true, MSB_ENGINE_AUTO);
	says(0, "engine", MSB_CHECK_OK, "auto takes kvm", NULL);
	assert_int_equal(report.n, 1);
	engine(true, false, MSB_ENGINE_DEFAULT);
	says(0, "engine", MSB_CHECK_OK, "auto takes kvm", NULL);
	engine(false, true, MSB_ENGINE_AUTO);
	says(0, "engine", MSB_CHECK_OK, "auto takes qemu with tcg", NULL);
	engine(false, false, MSB_ENGINE_AUTO);
	says(0, "engine", MSB_CHECK_FAIL, "no KVM that is real, and no QEMU",
	     "apt install qemu-system-x86");
}

static void a_chosen_engine_that_cannot_work_is_told(void **state)
{
	(void)state;
	engine(false, true, MSB_ENGINE_KVM);
	says(1, "engine", MSB_CHECK_WARN, "kvm is chosen, but", "auto");
	engine(true, false, MSB_ENGINE_QEMU);
	says(1, "engine", MSB_CHECK_FAIL, "qemu is chosen, but", "auto");
	engine(true, true, MSB_ENGINE_QEMU);
	says(1, "engine", MSB_CHECK_INFO, "qemu is chosen", NULL);
}

static void jail(struct doctor_jail_facts f, bool kvm_real)
{
	(void)clear(NULL);
	report.kvm_real = kvm_real;
	doctor_jail_explain(&report, &f);
	assert_int_equal(report.n, 4);
	assert_string_equal(report.checks[0].name, "namespaces");
	assert_string_equal(report.checks[1].name, "landlock");
	assert_string_equal(report.checks[2].name, "seccomp");
	assert_string_equal(report.checks[3].name, "wall");
}

/* The switches as most hosts have them. */
static struct doctor_jail_facts host(int userns, int landlock, int seccomp)
{
	return (struct doctor_jail_facts){.userns = userns,
	                                  .landlock = landlock,
	                                  .seccomp = seccomp,
	                                  .userns_clone = -1,
	                                  .max_userns = 1000,
	                                  .apparmor_userns = -1};
}

static void the_switch_that_stands_in_the_way_is_named(void **state)
{
	struct doctor_jail_facts f = host(-EPERM, 0, 0);

	(void)state;
	jail(host(0, 3, 0), false);
	says(0, "namespaces", MSB_CHECK_OK, "allowed", NULL);
	f.userns_clone = 0;
	jail(f, false);
	says(0, "namespaces", MSB_CHECK_WARN, "not allowed",
	     "sudo sysctl kernel.unprivileged_userns_clone=1");
	f = host(-ENOSPC, 0, 0);
	jail(f, false);
	says(0, "namespaces", MSB_CHECK_WARN, "No space",
	     "sudo sysctl user.max_user_namespaces=");
	f.max_userns = 0;
	f.userns = -EPERM;
	jail(f, false);
	says(0, "namespaces", MSB_CHECK_WARN, "not allowed",
	     "sudo sysctl user.max_user_namespaces=");
	f = host(-EACCES, 0, 0);
	f.apparmor_userns = 1;
	jail(f, false);
	says(0, "namespaces", MSB_CHECK_WARN, "not allowed",
	     "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0");
	jail(host(-EPERM, 4, 0), false);
	says(0, "namespaces", MSB_CHECK_INFO, "not allowed", NULL);
}

static void the_wall_that_counts_is_told(void **state)
{
	(void)state;
	jail(host(0, 3, 0), false);
	says(3, "wall", MSB_CHECK_OK, "namespaces, an empty root and seccomp",
	     NULL);
	contains(report.checks[3].message, "tcg is no security boundary");
	jail(host(-EPERM, 3, 0), false);
	says(1, "landlock", MSB_CHECK_OK, "ABI 3", NULL);
	says(3, "wall", MSB_CHECK_OK, "the jail of Landlock and seccomp", NULL);
	jail(host(-EPERM, 0, 0), false);
	says(1, "landlock", MSB_CHECK_WARN, "none", "lsm=");
	says(3, "wall", MSB_CHECK_WARN, "seccomp alone: too weak",
	     "no hostile code");
	jail(host(-EPERM, 0, -ENOSYS), false);
	says(2, "seccomp", MSB_CHECK_WARN, "no filters", "SECCOMP_FILTER");
	says(3, "wall", MSB_CHECK_WARN, "none: too weak", "no hostile code");
	jail(host(0, 0, -EINVAL), false);
	says(3, "wall", MSB_CHECK_WARN, "too weak", "no hostile code");
	jail(host(0, 3, 0), true);
	says(3, "wall", MSB_CHECK_OK, "the processor's virtualization", NULL);
	contains(report.checks[3].message, "namespaces, an empty root");
	jail(host(-EPERM, 0, -ENOSYS), true);
	says(3, "wall", MSB_CHECK_OK, "there is no jail", NULL);
}

static void this_host_is_looked_at_without_harm(void **state)
{
	struct msb_report *r = NULL;
	bool found = false;

	(void)state;
	assert_int_equal(msb_doctor("/proc/nowhere", &r, NULL), 0);
	for (size_t i = 0; i < msb_report_count(r); i++) {
		const struct msb_check *c = msb_report_get(r, i);

		assert_true(c->name[0] && c->message[0]);
		found = found || strcmp(c->name, "wall") == 0;
	}
	assert_true(found);
	assert_null(msb_report_get(r, msb_report_count(r)));
	msb_report_free(r);
}

#define T(name) cmocka_unit_test_teardown(name, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(kvm_that_works),
		T(kvm_that_is_emulated_is_called_unusable),
		T(a_missing_module_comes_with_its_modprobe),
		T(no_permission_comes_with_the_one_command),
		T(no_flag_and_no_nested_virtualization),
		T(kvm_that_lacks_something),
		T(missing_page_tables_and_nesting_are_told),
		T(the_engine_of_auto_is_told),
		T(a_chosen_engine_that_cannot_work_is_told),
		T(the_switch_that_stands_in_the_way_is_named),
		T(the_wall_that_counts_is_told),
		T(this_host_is_looked_at_without_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
