#include "lib/test.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/virt.h"

static struct virt probe(const char *cpuinfo, const char *kvm)
{
	int fd = memfd_create("cpuinfo", 0);
	struct virt v;
	char path[64];

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, cpuinfo, strlen(cpuinfo)), 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	virt_probe(path, kvm, &v);
	(void)close(fd);
	return v;
}

static void flags_are_whole_words_of_the_flags_line(void **state)
{
	struct virt v = probe("processor\t: 0\nflags\t\t: fpu vmx sse\n", "/");

	(void)state;
	assert_true(v.vmx && !v.svm && !v.hypervisor);
	v = probe("processor\t: 0\nflags\t\t: svm hypervisor\nbugs\t:\n", "/");
	assert_true(!v.vmx && v.svm && v.hypervisor);
	v = probe("name\t: vmx\nflags\t\t: xvmx svm_lock\nvmx flags\t: vmx\n",
	          "/");
	assert_false(v.vmx || v.svm || v.hypervisor);
	v = probe("", "/");
	assert_false(v.vmx || v.svm || v.hypervisor);
}

static void why_kvm_cannot_be_opened_is_kept(void **state)
{
	(void)state;
	assert_int_equal(probe("", "/nonexistent/kvm").kvm_errno, ENOENT);
	assert_int_equal(probe("", "/dev/null").kvm_errno, ENOTTY);
	assert_int_equal(probe("", "/").kvm_errno, EISDIR);
}

static void check(struct virt v, int r, const char *says)
{
	struct err err = {0};

	assert_int_equal(virt_check(&v, &err), r);
	assert_non_null(strstr(err.msg, says));
	assert_int_equal(err.hint[0] != '\0', r < 0);
}

static void only_kvm_with_a_flag_is_real(void **state)
{
	(void)state;
	check((struct virt){.vmx = true}, 0, "");
	check((struct virt){.svm = true, .hypervisor = true}, 0, "");
	check((struct virt){.hypervisor = true}, -EOPNOTSUPP,
	      "KVM is emulated on this host");
	check((struct virt){.kvm_errno = ENOENT}, -EOPNOTSUPP,
	      "no hardware virtualization");
	check((struct virt){.vmx = true, .kvm_errno = EACCES}, -EACCES,
	      "/dev/kvm: Permission denied");
	check((struct virt){.vmx = true,
	                    .kvm_errno = EOPNOTSUPP,
	                    .missing = "irqfd"},
	      -EOPNOTSUPP, "lacks irqfd");
}

static void emulated_is_what_answers_without_a_flag(void **state)
{
	(void)state;
	assert_true(virt_is_emulated(&(struct virt){.hypervisor = true}));
	assert_false(virt_is_emulated(&(struct virt){.vmx = true}));
	assert_false(virt_is_emulated(&(struct virt){.kvm_errno = ENOENT}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_are_whole_words_of_the_flags_line),
		cmocka_unit_test(why_kvm_cannot_be_opened_is_kept),
		cmocka_unit_test(only_kvm_with_a_flag_is_real),
		cmocka_unit_test(emulated_is_what_answers_without_a_flag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
