#include "vmm/accel.h"

#include "base/cleanup.h"
#include "base/virt.h"

#include "base/banned.h"

const char *const accel_names[] = {"auto", "tcg", "kvm", NULL};

int accel_hardware(struct err *err)
{
	struct virt v;

	virt_probe(VIRT_CPUINFO, VIRT_KVM, &v);
	return virt_check(&v, err);
}

int accel_resolve(enum accel asked, enum accel *ret, struct err *err)
{
	if (asked == ACCEL_KVM) {
		cleanup_close int fd = virt_kvm_open(VIRT_KVM, err);

		if (fd < 0) {
			err_hint(err, "use --accel tcg; msb doctor tells how "
			              "to turn KVM on");
			return fd;
		}
		*ret = ACCEL_KVM;
		return 0;
	}
	*ret = asked == ACCEL_AUTO && accel_hardware(NULL) == 0 ? ACCEL_KVM
	                                                        : ACCEL_TCG;
	return 0;
}
