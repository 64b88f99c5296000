#include "lib/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/num.h"
#include "base/spawn.h"
#include "lib/runtime.h"

#include "base/banned.h"

#define QEMU_TIMEOUT_MS 5000
#define PROC_MAX        (4u << 20)
#define MEMORY_WANTED   (768 * MIB)
#define MEMORY_NEEDED   (160 * MIB)

bool doctor_qemu_version(const char *text, unsigned *ret_major,
                         unsigned *ret_minor)
{
	static const char lead[] = "QEMU emulator version ";
	char number[16] = "";
	uint64_t major, minor;
	size_t len;

	if (strncmp(text, lead, sizeof(lead) - 1) != 0)
		return false;
	text += sizeof(lead) - 1;
	len = strcspn(text, ".");
	if (text[len] != '.' || len >= sizeof(number))
		return false;
	memcpy(number, text, len);
	if (!num_parse_u64(number, 1000, &major))
		return false;
	text += len + 1;
	len = strspn(text, "0123456789");
	if (len == 0 || len >= sizeof(number))
		return false;
	memcpy(number, text, len);
	number[len] = '\0';
	if (!num_parse_u64(number, 1000, &minor))
		return false;
	*ret_major = (unsigned)major;
	*ret_minor = (unsigned)minor;
	return true;
}

void doctor_qemu(struct msb_report *r)
{
	struct buf cleanup_buf out = BUF_INIT_MAX(4096);
	cleanup_free char *path = NULL;
	char version[] = "--version";
	unsigned major, minor;
	struct err err = {0};
	int e = runtime_find_qemu(&path, &err);

	if (e >= 0) {
		char *argv[] = {path, version, NULL};
		struct spawn_opts o = {.argv = argv,
		                       .output = &out,
		                       .timeout_ms = QEMU_TIMEOUT_MS};

		e = spawn_run(&o, &err);
	}
	if (e != 0) {
		doctor_add_err(r, "qemu", MSB_CHECK_FAIL, &err);
		return;
	}
	if (!doctor_qemu_version(buf_str(&out), &major, &minor))
		doctor_add(r, "qemu", MSB_CHECK_FAIL,
		           "let MSB_QEMU name a qemu-system-x86_64",
		           "%s does not say a QEMU version", path);
	else if (major < 7 || (major == 7 && minor < 2))
		doctor_add(r, "qemu", MSB_CHECK_FAIL,
		           "install QEMU 7.2 or newer",
		           "%s is version %u.%u, 7.2 is needed", path, major,
		           minor);
	else
		doctor_add(r, "qemu", MSB_CHECK_OK, "", "%s, version %u.%u",
		           path, major, minor);
}

/* @flag as a whole word of the first "flags" line of /proc/cpuinfo. */
static bool has_cpu_flag(const char *cpuinfo, const char *flag)
{
	const char *line = strstr(cpuinfo, "\nflags");
	size_t len = strlen(flag), end;

	if (!line)
		return false;
	line++;
	end = strcspn(line, "\n");
	for (const char *p = line; (p = strstr(p, flag)) && p < line + end;
	     p += len) {
		char after = p[len];

		if ((p[-1] == ' ' || p[-1] == '\t') &&
		    (after == ' ' || after == '\n' || after == '\0'))
			return true;
	}
	return false;
}

static void kvm_permission(struct msb_report *r)
{
	doctor_add(r, "kvm", MSB_CHECK_WARN,
	           "sudo usermod -aG kvm \"$USER\", then log in again",
	           "/dev/kvm is there, but you may not open it");
}

static void kvm_missing(struct msb_report *r, const struct doctor_kvm_facts *f)
{
	if (f->vmx || f->svm)
		doctor_add(r, "kvm", MSB_CHECK_WARN,
		           f->vmx ? "sudo modprobe kvm_intel"
		                  : "sudo modprobe kvm_amd",
		           "the CPU can virtualize, but the kernel module is "
		           "not loaded");
	else if (f->hypervisor)
		doctor_add(r, "kvm", MSB_CHECK_INFO,
		           "where you control the host: turn nested "
		           "virtualization on",
		           "this is a virtual machine without nested "
		           "virtualization");
	else
		doctor_add(r, "kvm", MSB_CHECK_INFO,
		           "turn on VT-x or AMD-V in the firmware, if the CPU "
		           "has it",
		           "no hardware virtualization");
}

void doctor_kvm_explain(struct msb_report *r, const struct doctor_kvm_facts *f)
{
	bool real = (f->vmx || f->svm) && f->open_errno == 0;

	if (f->open_errno == ENOENT || f->open_errno == ENXIO ||
	    f->open_errno == ENODEV)
		kvm_missing(r, f);
	else if (!f->vmx && !f->svm)
		doctor_add(r, "kvm", MSB_CHECK_INFO, "",
		           "unusable: /dev/kvm exists, but the CPU shows "
		           "neither vmx nor svm, so it is emulated");
	else if (f->open_errno == EACCES || f->open_errno == EPERM)
		kvm_permission(r);
	else if (f->open_errno)
		doctor_add(r, "kvm", MSB_CHECK_WARN, "", "/dev/kvm: %s",
		           strerror(f->open_errno));
	else
		doctor_add(r, "kvm", MSB_CHECK_OK, "", "/dev/kvm works");
	doctor_add(r, "engine", MSB_CHECK_OK, "",
	           real ? "qemu with kvm (--accel auto)"
	                : "qemu with tcg, software emulation "
	                  "(--accel auto)");
}

void doctor_kvm(struct msb_report *r)
{
	struct buf cleanup_buf cpuinfo = BUF_INIT_MAX(PROC_MAX);
	cleanup_close int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct doctor_kvm_facts facts = {.open_errno = fd < 0 ? errno : 0};

	if (file_read(AT_FDCWD, "/proc/cpuinfo", &cpuinfo) == 0) {
		facts.vmx = has_cpu_flag(buf_str(&cpuinfo), "vmx");
		facts.svm = has_cpu_flag(buf_str(&cpuinfo), "svm");
		facts.hypervisor =
			has_cpu_flag(buf_str(&cpuinfo), "hypervisor");
	}
	doctor_kvm_explain(r, &facts);
}

static uint64_t available_memory(void)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(PROC_MAX);
	const char *line;
	char number[24] = "";
	uint64_t kib;
	size_t len;

	if (file_read(AT_FDCWD, "/proc/meminfo", &b) < 0)
		return 0;
	line = strstr(buf_str(&b), "MemAvailable:");
	if (!line)
		return 0;
	line += strcspn(line, "0123456789");
	len = strspn(line, "0123456789");
	if (len == 0 || len >= sizeof(number))
		return 0;
	memcpy(number, line, len);
	return num_parse_u64(number, UINT64_MAX >> 10, &kib) ? kib * KIB : 0;
}

void doctor_memory(struct msb_report *r)
{
	uint64_t bytes = available_memory();
	char text[32];

	(void)num_format_size(bytes, text, sizeof(text));
	if (bytes == 0)
		doctor_add(r, "memory", MSB_CHECK_WARN, "",
		           "/proc/meminfo does not tell");
	else if (bytes < MEMORY_NEEDED)
		doctor_add(r, "memory", MSB_CHECK_FAIL, "free some memory",
		           "only %s available", text);
	else if (bytes < MEMORY_WANTED)
		doctor_add(r, "memory", MSB_CHECK_WARN,
		           "use a smaller --memory", "only %s available", text);
	else
		doctor_add(r, "memory", MSB_CHECK_OK, "", "%s available", text);
}

void doctor_mke2fs(struct msb_report *r)
{
	cleanup_free char *path = runtime_search("mke2fs", getenv("PATH"));

	if (!path)
		path = runtime_search("mke2fs", "/usr/sbin:/sbin");
	if (path)
		doctor_add(r, "mke2fs", MSB_CHECK_OK, "", "%s", path);
	else
		doctor_add(r, "mke2fs", MSB_CHECK_FAIL,
		           "install it (Debian: apt install e2fsprogs)",
		           "mke2fs is not installed");
}
