#include "base/virt.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

#define CPUINFO_MAX 65536 /* the first processor's part is far smaller */

/* What our kvm engine uses and cannot do without. */
static const struct {
	int cap;
	const char *name;
} needed[] = {
	{KVM_CAP_USER_MEMORY,    "user memory"         },
	{KVM_CAP_SET_TSS_ADDR,   "TSS address"         },
	{KVM_CAP_IRQCHIP,        "interrupt controller"},
	{KVM_CAP_PIT2,           "timer"               },
	{KVM_CAP_IRQFD,          "irqfd"               },
	{KVM_CAP_IOEVENTFD,      "ioeventfd"           },
	{KVM_CAP_EXT_CPUID,      "CPUID"               },
	{KVM_CAP_MP_STATE,       "processor state"     },
	{KVM_CAP_IMMEDIATE_EXIT, "immediate exit"      },
};

static bool has_word(const char *text, const char *end, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = text; p + len <= end; p++) {
		if (memcmp(p, word, len) == 0 && (p == text || p[-1] == ' ') &&
		    (p + len == end || p[len] == ' '))
			return true;
	}
	return false;
}

static void read_flags(const char *cpuinfo, struct virt *ret)
{
	cleanup_free char *text = calloc(1, CPUINFO_MAX + 1);
	cleanup_close int fd = open(cpuinfo, O_RDONLY | O_CLOEXEC);
	const char *flags, *end;

	if (!text || fd < 0 || fd_read_full(fd, text, CPUINFO_MAX) <= 0)
		return;
	flags = strstr(text, "\nflags");
	flags = flags ? strchr(flags, ':') : NULL;
	if (!flags)
		return;
	flags++;
	end = flags + strcspn(flags, "\n");
	ret->vmx = has_word(flags, end, "vmx");
	ret->svm = has_word(flags, end, "svm");
	ret->hypervisor = has_word(flags, end, "hypervisor");
}

/* 0 or a positive errno; @ret_missing is set for EOPNOTSUPP. */
static int check_kvm(int fd, const char **ret_missing)
{
	if (ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return ENOTTY;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (ioctl(fd, KVM_CHECK_EXTENSION, needed[i].cap) <= 0) {
			*ret_missing = needed[i].name;
			return EOPNOTSUPP;
		}
	}
	return 0;
}

void virt_probe(const char *cpuinfo, const char *kvm, struct virt *ret)
{
	cleanup_close int fd = open(kvm, O_RDWR | O_CLOEXEC);

	*ret = (struct virt){.kvm_errno = fd < 0 ? errno : 0};
	if (fd >= 0)
		ret->kvm_errno = check_kvm(fd, &ret->missing);
	read_flags(cpuinfo, ret);
}

bool virt_is_emulated(const struct virt *v)
{
	return !v->vmx && !v->svm && v->kvm_errno == 0;
}

static int kvm_error(int error, const char *missing, const char *kvm,
                     struct err *err)
{
	if (error == ENOTTY)
		return err_set(err, -error,
		               "KVM is not usable: %s is something else", kvm);
	if (error == EOPNOTSUPP)
		return err_set(err, -error, "KVM is not usable: it lacks %s",
		               missing);
	return err_set(err, -error, "KVM is not usable: %s: %s", kvm,
	               strerror(error));
}

int virt_check(const struct virt *v, struct err *err)
{
	int r = 0;

	if (virt_is_emulated(v))
		err_set(err, r = -EOPNOTSUPP,
		        "KVM is emulated on this host (the processor shows "
		        "neither vmx nor svm)");
	else if (!v->vmx && !v->svm)
		err_set(err, r = -EOPNOTSUPP,
		        "this host has no hardware virtualization (the "
		        "processor shows neither vmx nor svm)");
	else if (v->kvm_errno)
		r = kvm_error(v->kvm_errno, v->missing, VIRT_KVM, err);
	if (r < 0)
		err_hint(err, "msb doctor tells how to turn KVM on");
	return r;
}

int virt_kvm_open(const char *kvm, struct err *err)
{
	cleanup_close int fd = open(kvm, O_RDWR | O_CLOEXEC);
	const char *missing = NULL;
	int error = fd < 0 ? errno : check_kvm(fd, &missing);

	return error ? kvm_error(error, missing, kvm, err) : take_fd(fd);
}
