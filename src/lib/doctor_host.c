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

/* Without QEMU only the kvm engine is left. */
void doctor_qemu(struct msb_report *r)
{
	enum msb_check_status bad =
		r->kvm_real ? MSB_CHECK_INFO : MSB_CHECK_FAIL;
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
		doctor_add_err(r, "qemu", bad, &err);
		return;
	}
	if (!doctor_qemu_version(buf_str(&out), &major, &minor))
		doctor_add(r, "qemu", bad,
		           "let MSB_QEMU name a qemu-system-x86_64",
		           "%s does not say a QEMU version", path);
	else if (major < 7 || (major == 7 && minor < 2))
		doctor_add(r, "qemu", bad, "install QEMU 7.2 or newer",
		           "%s is version %u.%u, 7.2 is needed", path, major,
		           minor);
	else {
		r->qemu_works = true;
		doctor_add(r, "qemu", MSB_CHECK_OK, "", "%s, version %u.%u",
		           path, major, minor);
	}
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
