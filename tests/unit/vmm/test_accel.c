#include "lib/test.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/virt.h"
#include "vmm/accel.h"

static bool shows_virt(const char *cpuinfo)
{
	struct virt v;

	virt_probe(cpuinfo, VIRT_KVM, &v);
	return v.vmx || v.svm;
}

static bool has_virt(const char *text)
{
	char path[64];
	int fd = memfd_create("cpuinfo", 0);
	bool r;

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = shows_virt(path);
	(void)close(fd);
	return r;
}

static void intel_and_amd_flags_count(void **state)
{
	(void)state;
	assert_true(has_virt("processor\t: 0\nflags\t\t: fpu vmx sse\n"));
	assert_true(has_virt("processor\t: 0\nflags\t\t: fpu svm\nbugs\t:\n"));
	assert_true(has_virt("model\t: 1\nflags\t\t: vmx"));
}

static void other_words_do_not_count(void **state)
{
	(void)state;
	assert_false(has_virt(""));
	assert_false(has_virt("model name\t: vmx\nflags\t\t: fpu sse\n"));
	assert_false(has_virt("processor\t: 0\nflags\t\t: xvmx vmx2 svm_lock\n"
	                      "vmx flags\t: vnmi vmx svm\n"));
	assert_false(has_virt("processor\t: 0\nflags"));
}

static void a_missing_file_is_no_virtualization(void **state)
{
	(void)state;
	assert_false(shows_virt("/nonexistent/cpuinfo"));
}

static void what_is_not_kvm_is_refused(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(virt_kvm_open("/nonexistent/kvm", &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/nonexistent/kvm"));
	assert_int_equal(virt_kvm_open("/dev/null", &err), -ENOTTY);
}

static void tcg_is_always_there_and_auto_never_fails(void **state)
{
	enum accel got = ACCEL_AUTO;

	(void)state;
	assert_int_equal(accel_resolve(ACCEL_TCG, &got, NULL), 0);
	assert_int_equal(got, ACCEL_TCG);
	assert_int_equal(accel_resolve(ACCEL_AUTO, &got, NULL), 0);
	assert_int_not_equal(got, ACCEL_AUTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intel_and_amd_flags_count),
		cmocka_unit_test(other_words_do_not_count),
		cmocka_unit_test(a_missing_file_is_no_virtualization),
		cmocka_unit_test(what_is_not_kvm_is_refused),
		cmocka_unit_test(tcg_is_always_there_and_auto_never_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
