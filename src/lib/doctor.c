#include "lib/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"
#include "lib/error.h"
#include "lib/recover.h"
#include "lib/runtime.h"
#include "store/store.h"

#include "base/banned.h"

#define FREE_WANTED       (2 * GIB)
#define DOCKER_CONFIG_MAX (1u << 20)

void doctor_add(struct msb_report *r, const char *name,
                enum msb_check_status status, const char *fix, const char *fmt,
                ...)
{
	char *message = NULL, *fix_copy = strdup(fix);
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&message, fmt, ap) < 0)
		message = NULL;
	va_end(ap);
	if (!message || !fix_copy || r->n >= DOCTOR_CHECKS_MAX) {
		free(message);
		free(fix_copy);
		return;
	}
	r->checks[r->n++] = (struct msb_check){.name = name,
	                                       .status = (int32_t)status,
	                                       .message = message,
	                                       .fix = fix_copy};
}

void doctor_add_err(struct msb_report *r, const char *name,
                    enum msb_check_status status, const struct err *err)
{
	doctor_add(r, name, status, err->hint, "%s", err->msg);
}

static void check_runtime(struct msb_report *r)
{
	static const struct {
		const char *check, *file;
	} parts[] = {
		{"kernel", "vmlinux"       },
		{"kernel", "cmdline"       },
		{"agent",  "initramfs.cpio"},
	};
	cleanup_free char *dir = NULL;
	struct err err = {0};

	if (runtime_find_dir(&dir, &err) < 0) {
		doctor_add_err(r, "runtime", MSB_CHECK_FAIL, &err);
		return;
	}
	doctor_add(r, "runtime", MSB_CHECK_OK, "", "msb-vmm in %s", dir);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		cleanup_free char *path = NULL;

		if (asprintf(&path, "%s/%s", dir, parts[i].file) < 0)
			return;
		if (access(path, R_OK) == 0)
			doctor_add(r, parts[i].check, MSB_CHECK_OK, "", "%s",
			           path);
		else
			doctor_add(r, parts[i].check, MSB_CHECK_FAIL,
			           "run make in the source tree, or install "
			           "again",
			           "%s: %s", path, strerror(errno));
	}
}

static void check_space(struct msb_report *r, const struct store *s)
{
	struct statvfs vfs;
	char text[32];
	uint64_t bytes;

	if (fstatvfs(s->fd, &vfs) < 0)
		return;
	bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	(void)num_format_size(bytes, text, sizeof(text));
	if (bytes < FREE_WANTED)
		doctor_add(r, "disk", MSB_CHECK_WARN,
		           "free some, or set MSB_HOME to a larger disk",
		           "only %s free below %s", text, s->home);
	else
		doctor_add(r, "disk", MSB_CHECK_OK, "", "%s free below %s",
		           text, s->home);
}

static void check_home(struct msb_report *r)
{
	struct store *cleanup_store s = NULL;
	struct err err = {0};
	int e = store_open(r->home_path, &s, &err);

	if (e < 0) {
		if (!err.hint[0])
			err_hint(&err, "set MSB_HOME to a folder that you may "
			               "write to");
		doctor_add_err(r, "home", MSB_CHECK_FAIL, &err);
		return;
	}
	if (faccessat(s->fd, ".", W_OK | X_OK, AT_EACCESS) < 0) {
		doctor_add(r, "home", MSB_CHECK_FAIL,
		           "set MSB_HOME to a folder that you may write to",
		           "%s: %s", s->home, strerror(errno));
		return;
	}
	doctor_add(r, "home", MSB_CHECK_OK, "", "%s", s->home);
	check_space(r, s);
}

static char *docker_config_path(void)
{
	const char *dir = getenv("DOCKER_CONFIG"), *home = getenv("HOME");
	char *path = NULL;
	int n = -1;

	if (dir && *dir)
		n = asprintf(&path, "%s/config.json", dir);
	else if (home && *home)
		n = asprintf(&path, "%s/.docker/config.json", home);
	return n < 0 ? NULL : path;
}

static void check_registries(struct msb_report *r)
{
	cleanup_free char *path = docker_config_path();
	struct buf cleanup_buf b = BUF_INIT_MAX(DOCKER_CONFIG_MAX);
	json_t *cleanup_json j = NULL;
	struct err err = {0};
	int e = path ? file_read(AT_FDCWD, path, &b) : -ENOENT;

	if (e == -ENOENT) {
		doctor_add(r, "registries", MSB_CHECK_INFO, "",
		           "no credentials (%s is not there)",
		           path ? path : "~/.docker/config.json");
		return;
	}
	if (e < 0)
		err_set(&err, e, "%s: %s", path, strerror(-e));
	else
		j = json_parse(b.data, b.len, path, &err);
	if (!j)
		doctor_add(r, "registries", MSB_CHECK_WARN,
		           "repair or remove the file", "%s", err.msg);
	else
		doctor_add(r, "registries", MSB_CHECK_OK, "",
		           "credentials from %s", path);
}

/* In the order in which they are shown. */
static void (*const checks[])(struct msb_report *r) = {
	check_runtime, doctor_kvm,       doctor_qemu, doctor_engine,
	doctor_jail,   doctor_memory,    check_home,  doctor_record,
	doctor_mke2fs, check_registries, doctor_net,  doctor_tls,
};

int msb_doctor(const char *home_path, struct msb_report **ret_report,
               struct msb_error *error)
{
	struct msb_report *r = calloc(1, sizeof(*r));

	if (!r)
		return error_return(error, -ENOMEM, NULL);
	r->home_path = home_path;
	for (size_t i = 0; i < ARRAY_SIZE(checks) && !cancel_fired(); i++)
		checks[i](r);
	r->home_path = NULL;
	if (cancel_fired()) { /* what was cut off found nothing out */
		msb_report_free(r);
		return error_return(error, -ECANCELED, NULL);
	}
	*ret_report = r;
	return 0;
}

void msb_report_free(struct msb_report *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++) {
		free((char *)(uintptr_t)r->checks[i].message);
		free((char *)(uintptr_t)r->checks[i].fix);
	}
	free(r);
}

size_t msb_report_count(const struct msb_report *r)
{
	return r->n;
}

const struct msb_check *msb_report_get(const struct msb_report *r, size_t index)
{
	return index < r->n ? &r->checks[index] : NULL;
}
