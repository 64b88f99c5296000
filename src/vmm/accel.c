#include "vmm/accel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/fdio.h"

#include "base/banned.h"

#define CPUINFO_MAX 65536 /* the first processor's part is far smaller */

const char *const accel_names[] = {"auto", "tcg", "kvm", NULL};

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

bool accel_cpu_has_virt(const char *cpuinfo)
{
	cleanup_free char *text = calloc(1, CPUINFO_MAX + 1);
	cleanup_close int fd = open(cpuinfo, O_RDONLY | O_CLOEXEC);
	const char *flags, *end;

	if (!text || fd < 0 || fd_read_full(fd, text, CPUINFO_MAX) <= 0)
		return false;
	flags = strstr(text, "\nflags");
	flags = flags ? strchr(flags, ':') : NULL;
	if (!flags)
		return false;
	flags++;
	end = flags + strcspn(flags, "\n");
	return has_word(flags, end, "vmx") || has_word(flags, end, "svm");
}

int accel_kvm_usable(const char *kvm, struct err *err)
{
	cleanup_close int fd = open(kvm, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return err_set(err, -errno, "KVM is not usable: %s: %s", kvm,
		               strerror(errno));
	if (ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return err_set(err, -ENOTTY,
		               "KVM is not usable: %s is something else", kvm);
	return 0;
}

int accel_resolve(enum accel asked, enum accel *ret, struct err *err)
{
	int r;

	if (asked == ACCEL_KVM) {
		r = accel_kvm_usable("/dev/kvm", err);
		if (r < 0) {
			err_hint(err, "use --accel tcg, or give this user "
			              "access to /dev/kvm");
			return r;
		}
		*ret = ACCEL_KVM;
		return 0;
	}
	*ret = asked == ACCEL_AUTO && accel_cpu_has_virt("/proc/cpuinfo") &&
	                       accel_kvm_usable("/dev/kvm", NULL) == 0
	               ? ACCEL_KVM
	               : ACCEL_TCG;
	return 0;
}
