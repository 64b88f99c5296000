#include "vmm/accel.h"

#include "base/cleanup.h"
#include "base/virt.h"

#include "base/banned.h"

const char *const accel_names[] = {"auto", "tcg", "kvm", NULL};

bool accel_cpu_has_virt(const char *cpuinfo)
{
	struct virt v;

	virt_probe(cpuinfo, VIRT_KVM, &v);
	return v.vmx || v.svm;
}

int accel_kvm_usable(const char *kvm, struct err *err)
{
	cleanup_close int fd = virt_kvm_open(kvm, err);

	return fd < 0 ? fd : 0;
}

int accel_hardware(struct err *err)
{
	struct virt v;

	virt_probe(VIRT_CPUINFO, VIRT_KVM, &v);
	return virt_check(&v, err);
}

int accel_resolve(enum accel asked, enum accel *ret, struct err *err)
{
	int r;

	if (asked == ACCEL_KVM) {
		r = accel_kvm_usable(VIRT_KVM, err);
		if (r < 0) {
			err_hint(err, "use --accel tcg; msb doctor tells how "
			              "to turn KVM on");
			return r;
		}
		*ret = ACCEL_KVM;
		return 0;
	}
	*ret = asked == ACCEL_AUTO && accel_hardware(NULL) == 0 ? ACCEL_KVM
	                                                        : ACCEL_TCG;
	return 0;
}
