/* Made by generate.py from include/microsandbox.h; do not edit. */
/* clang-format off */
#include "msb_api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static struct api {
	const char *(*code_name)(int32_t);
	const char *(*version)(void);
	int (*cancel_new)(struct msb_cancel **, struct msb_error *);
	void (*cancel_use)(struct msb_cancel *);
	void (*cancel_fire)(struct msb_cancel *);
	void (*cancel_reset)(struct msb_cancel *);
	void (*cancel_free)(struct msb_cancel *);
	int (*home_open)(const char *, struct msb_home **, struct msb_error *);
	void (*home_free)(struct msb_home *);
	const char *(*home_path)(const struct msb_home *);
	int (*image_pull)(struct msb_home *, const char *, const struct msb_pull_opts *, struct msb_image **, struct msb_error *);
	int (*image_load)(struct msb_home *, const char *, const char *, const struct msb_pull_opts *, char ***, struct msb_error *);
	void (*strings_free)(char **);
	int (*image_open)(struct msb_home *, const char *, struct msb_image **, struct msb_error *);
	int (*image_list)(struct msb_home *, struct msb_image ***, size_t *, struct msb_error *);
	void (*image_list_free)(struct msb_image **, size_t);
	void (*image_free)(struct msb_image *);
	const struct msb_image_info *(*image_info)(const struct msb_image *);
	int (*image_remove)(struct msb_home *, const char *, struct msb_error *);
	int (*image_users)(struct msb_home *, const char *, char ***, struct msb_error *);
	int (*image_prune)(struct msb_home *, int, uint64_t *, uint32_t *, struct msb_error *);
	const char *(*state_name)(int32_t);
	int (*sandbox_create)(struct msb_home *, const struct msb_sandbox_opts *, struct msb_sandbox **, struct msb_error *);
	int (*sandbox_start)(struct msb_home *, const char *, const struct msb_start_opts *, struct msb_sandbox **, struct msb_error *);
	int (*sandbox_run_main)(struct msb_sandbox *, struct msb_error *);
	int (*sandbox_open)(struct msb_home *, const char *, struct msb_sandbox **, struct msb_error *);
	int (*sandbox_restart)(struct msb_home *, const char *, uint32_t, const struct msb_start_opts *, struct msb_sandbox **, struct msb_error *);
	int (*sandbox_detach)(struct msb_sandbox *, struct msb_error *);
	void (*sandbox_free)(struct msb_sandbox *);
	const char *(*sandbox_name)(const struct msb_sandbox *);
	const char *(*sandbox_id)(const struct msb_sandbox *);
	int (*sandbox_fd)(const struct msb_sandbox *);
	enum msb_state (*sandbox_state)(struct msb_sandbox *);
	int (*sandbox_wait_ready)(struct msb_sandbox *, int, struct msb_error *);
	int (*sandbox_stop)(struct msb_sandbox *, uint32_t, struct msb_error *);
	int (*sandbox_kill)(struct msb_sandbox *, struct msb_error *);
	int (*sandbox_wait)(struct msb_sandbox *, int, struct msb_error *);
	int (*sandbox_touch)(struct msb_sandbox *, struct msb_error *);
	int (*sandbox_ping)(struct msb_sandbox *, int, uint64_t *, struct msb_error *);
	int (*sandbox_metrics)(struct msb_sandbox *, struct msb_metrics *, struct msb_error *);
	const char *(*sandbox_console)(const struct msb_sandbox *);
	void (*sandbox_times)(struct msb_sandbox *, struct msb_sandbox_times *);
	const char *(*sandbox_engine)(const struct msb_sandbox *);
	const char *(*sandbox_accel)(const struct msb_sandbox *);
	const char *const *(*sandbox_walls)(const struct msb_sandbox *);
	const char *(*sandbox_warning)(const struct msb_sandbox *);
	int (*sandbox_inspect)(struct msb_home *, const char *, struct msb_sandbox_info **, struct msb_error *);
	void (*sandbox_info_free)(struct msb_sandbox_info *);
	int (*sandbox_list)(struct msb_home *, const char *const *, struct msb_sandbox_list **, struct msb_error *);
	void (*sandbox_list_free)(struct msb_sandbox_list *);
	size_t (*sandbox_list_count)(const struct msb_sandbox_list *);
	const struct msb_sandbox_info *(*sandbox_list_get)(const struct msb_sandbox_list *, size_t);
	int (*sandbox_remove)(struct msb_home *, const char *, uint32_t, struct msb_error *);
	int (*sandbox_modify)(struct msb_home *, const char *, const struct msb_modify_opts *, struct msb_plan **, struct msb_error *);
	int (*sandbox_pending)(struct msb_home *, const char *, struct msb_plan **, struct msb_error *);
	void (*plan_free)(struct msb_plan *);
	size_t (*plan_count)(const struct msb_plan *);
	const struct msb_change *(*plan_get)(const struct msb_plan *, size_t);
	int (*doctor)(const char *, struct msb_report **, struct msb_error *);
	void (*report_free)(struct msb_report *);
	size_t (*report_count)(const struct msb_report *);
	const struct msb_check *(*report_get)(const struct msb_report *, size_t);
	int (*repair)(const char *, int, char ***, struct msb_error *);
	int (*logs_open)(struct msb_home *, const char *, const struct msb_log_opts *, struct msb_logs **, struct msb_error *);
	void (*logs_free)(struct msb_logs *);
	int (*logs_next)(struct msb_logs *, int, struct msb_log_entry *, struct msb_error *);
	int (*logs_fd)(const struct msb_logs *);
	int (*logs_ended)(const struct msb_logs *);
	int (*exec_start)(struct msb_sandbox *, const struct msb_exec_opts *, struct msb_exec **, struct msb_error *);
	uint64_t (*exec_session)(const struct msb_exec *);
	int (*exec_detach)(struct msb_exec *, struct msb_error *);
	int (*exec_attach)(struct msb_sandbox *, uint64_t, struct msb_exec **, struct msb_error *);
	int (*exec_is_tty)(const struct msb_exec *);
	void (*exec_free)(struct msb_exec *);
	int (*exec_fd)(const struct msb_exec *);
	int (*exec_next)(struct msb_exec *, int, struct msb_exec_event *, struct msb_error *);
	int64_t (*exec_write)(struct msb_exec *, const void *, size_t, struct msb_error *);
	int (*exec_close_stdin)(struct msb_exec *, struct msb_error *);
	size_t (*exec_unread)(const struct msb_exec *);
	int (*exec_signal)(struct msb_exec *, int, struct msb_error *);
	int (*exec_resize)(struct msb_exec *, uint16_t, uint16_t, struct msb_error *);
	int (*exec_wait)(struct msb_exec *, int, int *, struct msb_error *);
	int (*exec_run)(struct msb_sandbox *, const struct msb_exec_opts *, const void *, size_t, size_t, int, struct msb_output **, struct msb_error *);
	void (*output_free)(struct msb_output *);
	int (*volume_create)(struct msb_home *, const char *, const struct msb_volume_opts *, struct msb_error *);
	int (*volume_list)(struct msb_home *, const char *, struct msb_volumes **, struct msb_error *);
	void (*volumes_free)(struct msb_volumes *);
	size_t (*volumes_count)(const struct msb_volumes *);
	const struct msb_volume_info *(*volumes_get)(const struct msb_volumes *, size_t);
	int (*volume_remove)(struct msb_home *, const char *, int, struct msb_error *);
	int (*volume_prune)(struct msb_home *, char ***, uint64_t *, struct msb_error *);
	int (*file_stat)(struct msb_sandbox *, const char *, uint32_t, struct msb_file_info *, struct msb_error *);
	int (*file_list)(struct msb_sandbox *, const char *, struct msb_file_list **, struct msb_error *);
	void (*file_list_free)(struct msb_file_list *);
	size_t (*file_list_count)(const struct msb_file_list *);
	const struct msb_file_info *(*file_list_get)(const struct msb_file_list *, size_t);
	int (*file_mkdir)(struct msb_sandbox *, const char *, uint32_t, uint32_t, struct msb_error *);
	int (*file_remove)(struct msb_sandbox *, const char *, uint32_t, struct msb_error *);
	int (*file_rename)(struct msb_sandbox *, const char *, const char *, uint32_t, struct msb_error *);
	int (*file_chmod)(struct msb_sandbox *, const char *, uint32_t, struct msb_error *);
	int (*file_chown)(struct msb_sandbox *, const char *, uint32_t, uint32_t, uint32_t, struct msb_error *);
	int (*file_symlink)(struct msb_sandbox *, const char *, const char *, struct msb_error *);
	int (*file_copy)(struct msb_sandbox *, const char *, const char *, struct msb_error *);
	int (*file_read)(struct msb_sandbox *, const char *, size_t, void **, size_t *, struct msb_error *);
	void (*free)(void *);
	int (*file_write)(struct msb_sandbox *, const char *, const void *, size_t, uint32_t, uint32_t, struct msb_error *);
	int (*file_open)(struct msb_sandbox *, const char *, const struct msb_file_opts *, struct msb_file **, struct msb_error *);
	int64_t (*file_get)(struct msb_file *, void *, size_t, struct msb_error *);
	int (*file_put)(struct msb_file *, const void *, size_t, struct msb_error *);
	int (*file_finish)(struct msb_file *, struct msb_error *);
	void (*file_close)(struct msb_file *);
	int (*copy_in)(struct msb_sandbox *, const char *, const char *, const struct msb_copy_opts *, struct msb_error *);
	int (*copy_out)(struct msb_sandbox *, const char *, const char *, const struct msb_copy_opts *, struct msb_error *);
	int (*copy_in_tar)(struct msb_sandbox *, int, const char *, const struct msb_copy_opts *, struct msb_error *);
	int (*copy_out_tar)(struct msb_sandbox *, const char *, int, const struct msb_copy_opts *, struct msb_error *);
	int (*copy_across)(struct msb_sandbox *, const char *, struct msb_sandbox *, const char *, const struct msb_copy_opts *, struct msb_error *);
	int (*snapshot_create)(struct msb_home *, const char *, const char *, const struct msb_snapshot_opts *, struct msb_error *);
	int (*snapshot_list)(struct msb_home *, const char *, struct msb_snapshots **, struct msb_error *);
	void (*snapshots_free)(struct msb_snapshots *);
	size_t (*snapshots_count)(const struct msb_snapshots *);
	const struct msb_snapshot_info *(*snapshots_get)(const struct msb_snapshots *, size_t);
	int (*snapshot_image)(struct msb_home *, const char *, struct msb_image **, struct msb_error *);
	int (*snapshot_verify)(struct msb_home *, const char *, struct msb_error *);
	int (*snapshot_remove)(struct msb_home *, const char *, struct msb_error *);
	int (*snapshot_save)(struct msb_home *, const char *, const char *, uint32_t, struct msb_error *);
	int (*snapshot_load)(struct msb_home *, const char *, const char *, char **, struct msb_error *);
	int (*image_commit)(struct msb_home *, const char *, const char *, const struct msb_commit_opts *, char **, struct msb_error *);
	int (*image_save)(struct msb_home *, const char *const *, const struct msb_save_opts *, const char *, struct msb_error *);
	int (*sandbox_ports)(struct msb_home *, const char *, char **, struct msb_error *);
	int (*net_explain)(struct msb_home *, const char *, const char *, uint16_t, const char *, char **, struct msb_error *);
	int (*net_rules)(struct msb_home *, const char *, char **, struct msb_error *);
} api;

static const struct {
	const char *name;
	size_t at;
} names[] = {
	{"msb_code_name", offsetof(struct api, code_name)},
	{"msb_version", offsetof(struct api, version)},
	{"msb_cancel_new", offsetof(struct api, cancel_new)},
	{"msb_cancel_use", offsetof(struct api, cancel_use)},
	{"msb_cancel_fire", offsetof(struct api, cancel_fire)},
	{"msb_cancel_reset", offsetof(struct api, cancel_reset)},
	{"msb_cancel_free", offsetof(struct api, cancel_free)},
	{"msb_home_open", offsetof(struct api, home_open)},
	{"msb_home_free", offsetof(struct api, home_free)},
	{"msb_home_path", offsetof(struct api, home_path)},
	{"msb_image_pull", offsetof(struct api, image_pull)},
	{"msb_image_load", offsetof(struct api, image_load)},
	{"msb_strings_free", offsetof(struct api, strings_free)},
	{"msb_image_open", offsetof(struct api, image_open)},
	{"msb_image_list", offsetof(struct api, image_list)},
	{"msb_image_list_free", offsetof(struct api, image_list_free)},
	{"msb_image_free", offsetof(struct api, image_free)},
	{"msb_image_info", offsetof(struct api, image_info)},
	{"msb_image_remove", offsetof(struct api, image_remove)},
	{"msb_image_users", offsetof(struct api, image_users)},
	{"msb_image_prune", offsetof(struct api, image_prune)},
	{"msb_state_name", offsetof(struct api, state_name)},
	{"msb_sandbox_create", offsetof(struct api, sandbox_create)},
	{"msb_sandbox_start", offsetof(struct api, sandbox_start)},
	{"msb_sandbox_run_main", offsetof(struct api, sandbox_run_main)},
	{"msb_sandbox_open", offsetof(struct api, sandbox_open)},
	{"msb_sandbox_restart", offsetof(struct api, sandbox_restart)},
	{"msb_sandbox_detach", offsetof(struct api, sandbox_detach)},
	{"msb_sandbox_free", offsetof(struct api, sandbox_free)},
	{"msb_sandbox_name", offsetof(struct api, sandbox_name)},
	{"msb_sandbox_id", offsetof(struct api, sandbox_id)},
	{"msb_sandbox_fd", offsetof(struct api, sandbox_fd)},
	{"msb_sandbox_state", offsetof(struct api, sandbox_state)},
	{"msb_sandbox_wait_ready", offsetof(struct api, sandbox_wait_ready)},
	{"msb_sandbox_stop", offsetof(struct api, sandbox_stop)},
	{"msb_sandbox_kill", offsetof(struct api, sandbox_kill)},
	{"msb_sandbox_wait", offsetof(struct api, sandbox_wait)},
	{"msb_sandbox_touch", offsetof(struct api, sandbox_touch)},
	{"msb_sandbox_ping", offsetof(struct api, sandbox_ping)},
	{"msb_sandbox_metrics", offsetof(struct api, sandbox_metrics)},
	{"msb_sandbox_console", offsetof(struct api, sandbox_console)},
	{"msb_sandbox_times", offsetof(struct api, sandbox_times)},
	{"msb_sandbox_engine", offsetof(struct api, sandbox_engine)},
	{"msb_sandbox_accel", offsetof(struct api, sandbox_accel)},
	{"msb_sandbox_walls", offsetof(struct api, sandbox_walls)},
	{"msb_sandbox_warning", offsetof(struct api, sandbox_warning)},
	{"msb_sandbox_inspect", offsetof(struct api, sandbox_inspect)},
	{"msb_sandbox_info_free", offsetof(struct api, sandbox_info_free)},
	{"msb_sandbox_list", offsetof(struct api, sandbox_list)},
	{"msb_sandbox_list_free", offsetof(struct api, sandbox_list_free)},
	{"msb_sandbox_list_count", offsetof(struct api, sandbox_list_count)},
	{"msb_sandbox_list_get", offsetof(struct api, sandbox_list_get)},
	{"msb_sandbox_remove", offsetof(struct api, sandbox_remove)},
	{"msb_sandbox_modify", offsetof(struct api, sandbox_modify)},
	{"msb_sandbox_pending", offsetof(struct api, sandbox_pending)},
	{"msb_plan_free", offsetof(struct api, plan_free)},
	{"msb_plan_count", offsetof(struct api, plan_count)},
	{"msb_plan_get", offsetof(struct api, plan_get)},
	{"msb_doctor", offsetof(struct api, doctor)},
	{"msb_report_free", offsetof(struct api, report_free)},
	{"msb_report_count", offsetof(struct api, report_count)},
	{"msb_report_get", offsetof(struct api, report_get)},
	{"msb_repair", offsetof(struct api, repair)},
	{"msb_logs_open", offsetof(struct api, logs_open)},
	{"msb_logs_free", offsetof(struct api, logs_free)},
	{"msb_logs_next", offsetof(struct api, logs_next)},
	{"msb_logs_fd", offsetof(struct api, logs_fd)},
	{"msb_logs_ended", offsetof(struct api, logs_ended)},
	{"msb_exec_start", offsetof(struct api, exec_start)},
	{"msb_exec_session", offsetof(struct api, exec_session)},
	{"msb_exec_detach", offsetof(struct api, exec_detach)},
	{"msb_exec_attach", offsetof(struct api, exec_attach)},
	{"msb_exec_is_tty", offsetof(struct api, exec_is_tty)},
	{"msb_exec_free", offsetof(struct api, exec_free)},
	{"msb_exec_fd", offsetof(struct api, exec_fd)},
	{"msb_exec_next", offsetof(struct api, exec_next)},
	{"msb_exec_write", offsetof(struct api, exec_write)},
	{"msb_exec_close_stdin", offsetof(struct api, exec_close_stdin)},
	{"msb_exec_unread", offsetof(struct api, exec_unread)},
	{"msb_exec_signal", offsetof(struct api, exec_signal)},
	{"msb_exec_resize", offsetof(struct api, exec_resize)},
	{"msb_exec_wait", offsetof(struct api, exec_wait)},
	{"msb_exec_run", offsetof(struct api, exec_run)},
	{"msb_output_free", offsetof(struct api, output_free)},
	{"msb_volume_create", offsetof(struct api, volume_create)},
	{"msb_volume_list", offsetof(struct api, volume_list)},
	{"msb_volumes_free", offsetof(struct api, volumes_free)},
	{"msb_volumes_count", offsetof(struct api, volumes_count)},
	{"msb_volumes_get", offsetof(struct api, volumes_get)},
	{"msb_volume_remove", offsetof(struct api, volume_remove)},
	{"msb_volume_prune", offsetof(struct api, volume_prune)},
	{"msb_file_stat", offsetof(struct api, file_stat)},
	{"msb_file_list", offsetof(struct api, file_list)},
	{"msb_file_list_free", offsetof(struct api, file_list_free)},
	{"msb_file_list_count", offsetof(struct api, file_list_count)},
	{"msb_file_list_get", offsetof(struct api, file_list_get)},
	{"msb_file_mkdir", offsetof(struct api, file_mkdir)},
	{"msb_file_remove", offsetof(struct api, file_remove)},
	{"msb_file_rename", offsetof(struct api, file_rename)},
	{"msb_file_chmod", offsetof(struct api, file_chmod)},
	{"msb_file_chown", offsetof(struct api, file_chown)},
	{"msb_file_symlink", offsetof(struct api, file_symlink)},
	{"msb_file_copy", offsetof(struct api, file_copy)},
	{"msb_file_read", offsetof(struct api, file_read)},
	{"msb_free", offsetof(struct api, free)},
	{"msb_file_write", offsetof(struct api, file_write)},
	{"msb_file_open", offsetof(struct api, file_open)},
	{"msb_file_get", offsetof(struct api, file_get)},
	{"msb_file_put", offsetof(struct api, file_put)},
	{"msb_file_finish", offsetof(struct api, file_finish)},
	{"msb_file_close", offsetof(struct api, file_close)},
	{"msb_copy_in", offsetof(struct api, copy_in)},
	{"msb_copy_out", offsetof(struct api, copy_out)},
	{"msb_copy_in_tar", offsetof(struct api, copy_in_tar)},
	{"msb_copy_out_tar", offsetof(struct api, copy_out_tar)},
	{"msb_copy_across", offsetof(struct api, copy_across)},
	{"msb_snapshot_create", offsetof(struct api, snapshot_create)},
	{"msb_snapshot_list", offsetof(struct api, snapshot_list)},
	{"msb_snapshots_free", offsetof(struct api, snapshots_free)},
	{"msb_snapshots_count", offsetof(struct api, snapshots_count)},
	{"msb_snapshots_get", offsetof(struct api, snapshots_get)},
	{"msb_snapshot_image", offsetof(struct api, snapshot_image)},
	{"msb_snapshot_verify", offsetof(struct api, snapshot_verify)},
	{"msb_snapshot_remove", offsetof(struct api, snapshot_remove)},
	{"msb_snapshot_save", offsetof(struct api, snapshot_save)},
	{"msb_snapshot_load", offsetof(struct api, snapshot_load)},
	{"msb_image_commit", offsetof(struct api, image_commit)},
	{"msb_image_save", offsetof(struct api, image_save)},
	{"msb_sandbox_ports", offsetof(struct api, sandbox_ports)},
	{"msb_net_explain", offsetof(struct api, net_explain)},
	{"msb_net_rules", offsetof(struct api, net_rules)},
};

static const char *lacking;

int msbgo_load(const char *path, char *message, size_t size)
{
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	struct api found;

	if (!lib) {
		(void)snprintf(message, size, "%s", dlerror());
		return -1;
	}
	memset(&found, 0, sizeof(found));
	lacking = NULL;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		void *f = dlsym(lib, names[i].name);

		memcpy((char *)&found + names[i].at, &f, sizeof(f));
		if (!f && !lacking)
			lacking = names[i].name;
	}
	if (!found.version || !found.home_open || !found.sandbox_create) {
		(void)snprintf(message, size, "%s is not libmicrosandbox", path);
		(void)dlclose(lib);
		return -1;
	}
	api = found;
	return 0;
}

const char *msbgo_lacks(void)
{
	return lacking ? lacking : "";
}

/* What Go exports: it has no const. */
int msbgo_on_pull(void *arg, struct msb_pull_event *event);
int msbgo_on_copy(void *arg, struct msb_copy_event *event);

int msbgo_tell_pull(void *arg, const struct msb_pull_event *event)
{
	return msbgo_on_pull(arg, (struct msb_pull_event *)event);
}

int msbgo_tell_copy(void *arg, const struct msb_copy_event *event)
{
	return msbgo_on_copy(arg, (struct msb_copy_event *)event);
}

static int lacks(struct msb_error *error, const char *name)
{
	if (error) {
		memset(error, 0, sizeof(*error));
		error->code = MSB_ERR_UNSUPPORTED;
		(void)snprintf(error->message, sizeof(error->message),
		               "the library that was found has no %s()", name);
		(void)snprintf(error->hint, sizeof(error->hint),
		               "install the version that this package is of");
	}
	return -MSB_ERR_UNSUPPORTED;
}

#ifdef __LP64__
_Static_assert(sizeof(struct msb_error) == 1544, "msb_error");
_Static_assert(offsetof(struct msb_error, code) == 0, "msb_error.code");
_Static_assert(offsetof(struct msb_error, sys_errno) == 4, "msb_error.sys_errno");
_Static_assert(offsetof(struct msb_error, message) == 8, "msb_error.message");
_Static_assert(offsetof(struct msb_error, hint) == 1032, "msb_error.hint");
_Static_assert(sizeof(struct msb_pull_event) == 56, "msb_pull_event");
_Static_assert(offsetof(struct msb_pull_event, kind) == 0, "msb_pull_event.kind");
_Static_assert(offsetof(struct msb_pull_event, reference) == 8, "msb_pull_event.reference");
_Static_assert(offsetof(struct msb_pull_event, digest) == 16, "msb_pull_event.digest");
_Static_assert(offsetof(struct msb_pull_event, layer) == 24, "msb_pull_event.layer");
_Static_assert(offsetof(struct msb_pull_event, layer_count) == 28, "msb_pull_event.layer_count");
_Static_assert(offsetof(struct msb_pull_event, done) == 32, "msb_pull_event.done");
_Static_assert(offsetof(struct msb_pull_event, total) == 40, "msb_pull_event.total");
_Static_assert(offsetof(struct msb_pull_event, cached) == 48, "msb_pull_event.cached");
_Static_assert(sizeof(struct msb_pull_opts) == 64, "msb_pull_opts");
_Static_assert(offsetof(struct msb_pull_opts, size) == 0, "msb_pull_opts.size");
_Static_assert(offsetof(struct msb_pull_opts, policy) == 8, "msb_pull_opts.policy");
_Static_assert(offsetof(struct msb_pull_opts, force) == 12, "msb_pull_opts.force");
_Static_assert(offsetof(struct msb_pull_opts, insecure) == 16, "msb_pull_opts.insecure");
_Static_assert(offsetof(struct msb_pull_opts, downloads) == 20, "msb_pull_opts.downloads");
_Static_assert(offsetof(struct msb_pull_opts, ca_certs) == 24, "msb_pull_opts.ca_certs");
_Static_assert(offsetof(struct msb_pull_opts, platform) == 32, "msb_pull_opts.platform");
_Static_assert(offsetof(struct msb_pull_opts, event) == 40, "msb_pull_opts.event");
_Static_assert(offsetof(struct msb_pull_opts, event_arg) == 48, "msb_pull_opts.event_arg");
_Static_assert(offsetof(struct msb_pull_opts, root) == 56, "msb_pull_opts.root");
_Static_assert(offsetof(struct msb_pull_opts, flags) == 60, "msb_pull_opts.flags");
_Static_assert(sizeof(struct msb_image_info) == 128, "msb_image_info");
_Static_assert(offsetof(struct msb_image_info, reference) == 0, "msb_image_info.reference");
_Static_assert(offsetof(struct msb_image_info, id) == 8, "msb_image_info.id");
_Static_assert(offsetof(struct msb_image_info, platform) == 16, "msb_image_info.platform");
_Static_assert(offsetof(struct msb_image_info, size_bytes) == 24, "msb_image_info.size_bytes");
_Static_assert(offsetof(struct msb_image_info, created_unix) == 32, "msb_image_info.created_unix");
_Static_assert(offsetof(struct msb_image_info, pulled_unix) == 40, "msb_image_info.pulled_unix");
_Static_assert(offsetof(struct msb_image_info, layer_count) == 48, "msb_image_info.layer_count");
_Static_assert(offsetof(struct msb_image_info, layers) == 56, "msb_image_info.layers");
_Static_assert(offsetof(struct msb_image_info, entrypoint) == 64, "msb_image_info.entrypoint");
_Static_assert(offsetof(struct msb_image_info, cmd) == 72, "msb_image_info.cmd");
_Static_assert(offsetof(struct msb_image_info, env) == 80, "msb_image_info.env");
_Static_assert(offsetof(struct msb_image_info, workdir) == 88, "msb_image_info.workdir");
_Static_assert(offsetof(struct msb_image_info, user) == 96, "msb_image_info.user");
_Static_assert(offsetof(struct msb_image_info, stop_signal) == 104, "msb_image_info.stop_signal");
_Static_assert(offsetof(struct msb_image_info, config_json) == 112, "msb_image_info.config_json");
_Static_assert(offsetof(struct msb_image_info, config_digest) == 120, "msb_image_info.config_digest");
_Static_assert(sizeof(struct msb_sandbox_opts) == 248, "msb_sandbox_opts");
_Static_assert(offsetof(struct msb_sandbox_opts, size) == 0, "msb_sandbox_opts.size");
_Static_assert(offsetof(struct msb_sandbox_opts, image) == 8, "msb_sandbox_opts.image");
_Static_assert(offsetof(struct msb_sandbox_opts, name) == 16, "msb_sandbox_opts.name");
_Static_assert(offsetof(struct msb_sandbox_opts, hostname) == 24, "msb_sandbox_opts.hostname");
_Static_assert(offsetof(struct msb_sandbox_opts, cpus) == 32, "msb_sandbox_opts.cpus");
_Static_assert(offsetof(struct msb_sandbox_opts, accel) == 36, "msb_sandbox_opts.accel");
_Static_assert(offsetof(struct msb_sandbox_opts, memory_bytes) == 40, "msb_sandbox_opts.memory_bytes");
_Static_assert(offsetof(struct msb_sandbox_opts, upper_bytes) == 48, "msb_sandbox_opts.upper_bytes");
_Static_assert(offsetof(struct msb_sandbox_opts, boot_timeout_ms) == 56, "msb_sandbox_opts.boot_timeout_ms");
_Static_assert(offsetof(struct msb_sandbox_opts, log_fd) == 60, "msb_sandbox_opts.log_fd");
_Static_assert(offsetof(struct msb_sandbox_opts, log_level) == 64, "msb_sandbox_opts.log_level");
_Static_assert(offsetof(struct msb_sandbox_opts, engine) == 72, "msb_sandbox_opts.engine");
_Static_assert(offsetof(struct msb_sandbox_opts, flags) == 76, "msb_sandbox_opts.flags");
_Static_assert(offsetof(struct msb_sandbox_opts, labels) == 80, "msb_sandbox_opts.labels");
_Static_assert(offsetof(struct msb_sandbox_opts, max_duration_s) == 88, "msb_sandbox_opts.max_duration_s");
_Static_assert(offsetof(struct msb_sandbox_opts, idle_timeout_s) == 92, "msb_sandbox_opts.idle_timeout_s");
_Static_assert(offsetof(struct msb_sandbox_opts, replace_timeout_ms) == 96, "msb_sandbox_opts.replace_timeout_ms");
_Static_assert(offsetof(struct msb_sandbox_opts, env) == 104, "msb_sandbox_opts.env");
_Static_assert(offsetof(struct msb_sandbox_opts, rlimits) == 112, "msb_sandbox_opts.rlimits");
_Static_assert(offsetof(struct msb_sandbox_opts, workdir) == 120, "msb_sandbox_opts.workdir");
_Static_assert(offsetof(struct msb_sandbox_opts, user) == 128, "msb_sandbox_opts.user");
_Static_assert(offsetof(struct msb_sandbox_opts, entrypoint) == 136, "msb_sandbox_opts.entrypoint");
_Static_assert(offsetof(struct msb_sandbox_opts, shell) == 144, "msb_sandbox_opts.shell");
_Static_assert(offsetof(struct msb_sandbox_opts, scripts) == 152, "msb_sandbox_opts.scripts");
_Static_assert(offsetof(struct msb_sandbox_opts, init) == 160, "msb_sandbox_opts.init");
_Static_assert(offsetof(struct msb_sandbox_opts, init_args) == 168, "msb_sandbox_opts.init_args");
_Static_assert(offsetof(struct msb_sandbox_opts, init_env) == 176, "msb_sandbox_opts.init_env");
_Static_assert(offsetof(struct msb_sandbox_opts, command) == 184, "msb_sandbox_opts.command");
_Static_assert(offsetof(struct msb_sandbox_opts, mounts) == 192, "msb_sandbox_opts.mounts");
_Static_assert(offsetof(struct msb_sandbox_opts, patches) == 200, "msb_sandbox_opts.patches");
_Static_assert(offsetof(struct msb_sandbox_opts, snapshot) == 208, "msb_sandbox_opts.snapshot");
_Static_assert(offsetof(struct msb_sandbox_opts, upper) == 216, "msb_sandbox_opts.upper");
_Static_assert(offsetof(struct msb_sandbox_opts, network) == 224, "msb_sandbox_opts.network");
_Static_assert(offsetof(struct msb_sandbox_opts, secrets) == 232, "msb_sandbox_opts.secrets");
_Static_assert(offsetof(struct msb_sandbox_opts, tls) == 240, "msb_sandbox_opts.tls");
_Static_assert(sizeof(struct msb_start_opts) == 32, "msb_start_opts");
_Static_assert(offsetof(struct msb_start_opts, size) == 0, "msb_start_opts.size");
_Static_assert(offsetof(struct msb_start_opts, log_fd) == 8, "msb_start_opts.log_fd");
_Static_assert(offsetof(struct msb_start_opts, flags) == 12, "msb_start_opts.flags");
_Static_assert(offsetof(struct msb_start_opts, log_level) == 16, "msb_start_opts.log_level");
_Static_assert(offsetof(struct msb_start_opts, secrets) == 24, "msb_start_opts.secrets");
_Static_assert(sizeof(struct msb_metrics) == 240, "msb_metrics");
_Static_assert(offsetof(struct msb_metrics, size) == 0, "msb_metrics.size");
_Static_assert(offsetof(struct msb_metrics, time_ns) == 8, "msb_metrics.time_ns");
_Static_assert(offsetof(struct msb_metrics, unix_ms) == 16, "msb_metrics.unix_ms");
_Static_assert(offsetof(struct msb_metrics, uptime_ns) == 24, "msb_metrics.uptime_ns");
_Static_assert(offsetof(struct msb_metrics, cpu_ns) == 32, "msb_metrics.cpu_ns");
_Static_assert(offsetof(struct msb_metrics, memory_bytes) == 40, "msb_metrics.memory_bytes");
_Static_assert(offsetof(struct msb_metrics, memory_resident_bytes) == 48, "msb_metrics.memory_resident_bytes");
_Static_assert(offsetof(struct msb_metrics, memory_returned_bytes) == 56, "msb_metrics.memory_returned_bytes");
_Static_assert(offsetof(struct msb_metrics, disk_read_bytes) == 64, "msb_metrics.disk_read_bytes");
_Static_assert(offsetof(struct msb_metrics, disk_write_bytes) == 72, "msb_metrics.disk_write_bytes");
_Static_assert(offsetof(struct msb_metrics, disk_reads) == 80, "msb_metrics.disk_reads");
_Static_assert(offsetof(struct msb_metrics, disk_writes) == 88, "msb_metrics.disk_writes");
_Static_assert(offsetof(struct msb_metrics, net_rx_bytes) == 96, "msb_metrics.net_rx_bytes");
_Static_assert(offsetof(struct msb_metrics, net_tx_bytes) == 104, "msb_metrics.net_tx_bytes");
_Static_assert(offsetof(struct msb_metrics, upper_bytes) == 112, "msb_metrics.upper_bytes");
_Static_assert(offsetof(struct msb_metrics, upper_used_bytes) == 120, "msb_metrics.upper_used_bytes");
_Static_assert(offsetof(struct msb_metrics, cpus) == 128, "msb_metrics.cpus");
_Static_assert(offsetof(struct msb_metrics, sessions) == 132, "msb_metrics.sessions");
_Static_assert(offsetof(struct msb_metrics, net_rx_packets) == 136, "msb_metrics.net_rx_packets");
_Static_assert(offsetof(struct msb_metrics, net_tx_packets) == 144, "msb_metrics.net_tx_packets");
_Static_assert(offsetof(struct msb_metrics, net_flows) == 152, "msb_metrics.net_flows");
_Static_assert(offsetof(struct msb_metrics, net_open) == 160, "msb_metrics.net_open");
_Static_assert(offsetof(struct msb_metrics, net_denied) == 168, "msb_metrics.net_denied");
_Static_assert(offsetof(struct msb_metrics, net_refused) == 176, "msb_metrics.net_refused");
_Static_assert(offsetof(struct msb_metrics, net_dns_queries) == 184, "msb_metrics.net_dns_queries");
_Static_assert(offsetof(struct msb_metrics, net_dns_denied) == 192, "msb_metrics.net_dns_denied");
_Static_assert(offsetof(struct msb_metrics, tls_flows) == 200, "msb_metrics.tls_flows");
_Static_assert(offsetof(struct msb_metrics, tls_refused) == 208, "msb_metrics.tls_refused");
_Static_assert(offsetof(struct msb_metrics, secrets_used) == 216, "msb_metrics.secrets_used");
_Static_assert(offsetof(struct msb_metrics, secret_violations) == 224, "msb_metrics.secret_violations");
_Static_assert(offsetof(struct msb_metrics, secrets_masked) == 232, "msb_metrics.secrets_masked");
_Static_assert(sizeof(struct msb_sandbox_times) == 48, "msb_sandbox_times");
_Static_assert(offsetof(struct msb_sandbox_times, size) == 0, "msb_sandbox_times.size");
_Static_assert(offsetof(struct msb_sandbox_times, create_ns) == 8, "msb_sandbox_times.create_ns");
_Static_assert(offsetof(struct msb_sandbox_times, launched_ns) == 16, "msb_sandbox_times.launched_ns");
_Static_assert(offsetof(struct msb_sandbox_times, spawn_ns) == 24, "msb_sandbox_times.spawn_ns");
_Static_assert(offsetof(struct msb_sandbox_times, init_ns) == 32, "msb_sandbox_times.init_ns");
_Static_assert(offsetof(struct msb_sandbox_times, ready_ns) == 40, "msb_sandbox_times.ready_ns");
_Static_assert(sizeof(struct msb_sandbox_info) == 328, "msb_sandbox_info");
_Static_assert(offsetof(struct msb_sandbox_info, name) == 0, "msb_sandbox_info.name");
_Static_assert(offsetof(struct msb_sandbox_info, image) == 8, "msb_sandbox_info.image");
_Static_assert(offsetof(struct msb_sandbox_info, state) == 16, "msb_sandbox_info.state");
_Static_assert(offsetof(struct msb_sandbox_info, cpus) == 20, "msb_sandbox_info.cpus");
_Static_assert(offsetof(struct msb_sandbox_info, memory_bytes) == 24, "msb_sandbox_info.memory_bytes");
_Static_assert(offsetof(struct msb_sandbox_info, engine) == 32, "msb_sandbox_info.engine");
_Static_assert(offsetof(struct msb_sandbox_info, accel) == 40, "msb_sandbox_info.accel");
_Static_assert(offsetof(struct msb_sandbox_info, walls) == 48, "msb_sandbox_info.walls");
_Static_assert(offsetof(struct msb_sandbox_info, boundary) == 56, "msb_sandbox_info.boundary");
_Static_assert(offsetof(struct msb_sandbox_info, pid) == 64, "msb_sandbox_info.pid");
_Static_assert(offsetof(struct msb_sandbox_info, owner_pid) == 72, "msb_sandbox_info.owner_pid");
_Static_assert(offsetof(struct msb_sandbox_info, started_unix) == 80, "msb_sandbox_info.started_unix");
_Static_assert(offsetof(struct msb_sandbox_info, id) == 88, "msb_sandbox_info.id");
_Static_assert(offsetof(struct msb_sandbox_info, labels) == 96, "msb_sandbox_info.labels");
_Static_assert(offsetof(struct msb_sandbox_info, created_unix) == 104, "msb_sandbox_info.created_unix");
_Static_assert(offsetof(struct msb_sandbox_info, ended_unix) == 112, "msb_sandbox_info.ended_unix");
_Static_assert(offsetof(struct msb_sandbox_info, end_reason) == 120, "msb_sandbox_info.end_reason");
_Static_assert(offsetof(struct msb_sandbox_info, end_message) == 128, "msb_sandbox_info.end_message");
_Static_assert(offsetof(struct msb_sandbox_info, exit_code) == 136, "msb_sandbox_info.exit_code");
_Static_assert(offsetof(struct msb_sandbox_info, flags) == 140, "msb_sandbox_info.flags");
_Static_assert(offsetof(struct msb_sandbox_info, max_duration_s) == 144, "msb_sandbox_info.max_duration_s");
_Static_assert(offsetof(struct msb_sandbox_info, idle_timeout_s) == 148, "msb_sandbox_info.idle_timeout_s");
_Static_assert(offsetof(struct msb_sandbox_info, upper_bytes) == 152, "msb_sandbox_info.upper_bytes");
_Static_assert(offsetof(struct msb_sandbox_info, disk_bytes) == 160, "msb_sandbox_info.disk_bytes");
_Static_assert(offsetof(struct msb_sandbox_info, image_id) == 168, "msb_sandbox_info.image_id");
_Static_assert(offsetof(struct msb_sandbox_info, hostname) == 176, "msb_sandbox_info.hostname");
_Static_assert(offsetof(struct msb_sandbox_info, env) == 184, "msb_sandbox_info.env");
_Static_assert(offsetof(struct msb_sandbox_info, rlimits) == 192, "msb_sandbox_info.rlimits");
_Static_assert(offsetof(struct msb_sandbox_info, workdir) == 200, "msb_sandbox_info.workdir");
_Static_assert(offsetof(struct msb_sandbox_info, user) == 208, "msb_sandbox_info.user");
_Static_assert(offsetof(struct msb_sandbox_info, entrypoint) == 216, "msb_sandbox_info.entrypoint");
_Static_assert(offsetof(struct msb_sandbox_info, shell) == 224, "msb_sandbox_info.shell");
_Static_assert(offsetof(struct msb_sandbox_info, scripts) == 232, "msb_sandbox_info.scripts");
_Static_assert(offsetof(struct msb_sandbox_info, init) == 240, "msb_sandbox_info.init");
_Static_assert(offsetof(struct msb_sandbox_info, command) == 248, "msb_sandbox_info.command");
_Static_assert(offsetof(struct msb_sandbox_info, started_ms) == 256, "msb_sandbox_info.started_ms");
_Static_assert(offsetof(struct msb_sandbox_info, ready_ms) == 264, "msb_sandbox_info.ready_ms");
_Static_assert(offsetof(struct msb_sandbox_info, ended_ms) == 272, "msb_sandbox_info.ended_ms");
_Static_assert(offsetof(struct msb_sandbox_info, created_ms) == 280, "msb_sandbox_info.created_ms");
_Static_assert(offsetof(struct msb_sandbox_info, patches) == 288, "msb_sandbox_info.patches");
_Static_assert(offsetof(struct msb_sandbox_info, mounts) == 296, "msb_sandbox_info.mounts");
_Static_assert(offsetof(struct msb_sandbox_info, network) == 304, "msb_sandbox_info.network");
_Static_assert(offsetof(struct msb_sandbox_info, secrets) == 312, "msb_sandbox_info.secrets");
_Static_assert(offsetof(struct msb_sandbox_info, tls) == 320, "msb_sandbox_info.tls");
_Static_assert(sizeof(struct msb_modify_opts) == 120, "msb_modify_opts");
_Static_assert(offsetof(struct msb_modify_opts, size) == 0, "msb_modify_opts.size");
_Static_assert(offsetof(struct msb_modify_opts, dry_run) == 8, "msb_modify_opts.dry_run");
_Static_assert(offsetof(struct msb_modify_opts, cpus) == 12, "msb_modify_opts.cpus");
_Static_assert(offsetof(struct msb_modify_opts, memory_bytes) == 16, "msb_modify_opts.memory_bytes");
_Static_assert(offsetof(struct msb_modify_opts, env) == 24, "msb_modify_opts.env");
_Static_assert(offsetof(struct msb_modify_opts, env_rm) == 32, "msb_modify_opts.env_rm");
_Static_assert(offsetof(struct msb_modify_opts, labels) == 40, "msb_modify_opts.labels");
_Static_assert(offsetof(struct msb_modify_opts, labels_rm) == 48, "msb_modify_opts.labels_rm");
_Static_assert(offsetof(struct msb_modify_opts, workdir) == 56, "msb_modify_opts.workdir");
_Static_assert(offsetof(struct msb_modify_opts, user) == 64, "msb_modify_opts.user");
_Static_assert(offsetof(struct msb_modify_opts, hostname) == 72, "msb_modify_opts.hostname");
_Static_assert(offsetof(struct msb_modify_opts, shell) == 80, "msb_modify_opts.shell");
_Static_assert(offsetof(struct msb_modify_opts, max_duration_s) == 88, "msb_modify_opts.max_duration_s");
_Static_assert(offsetof(struct msb_modify_opts, idle_timeout_s) == 92, "msb_modify_opts.idle_timeout_s");
_Static_assert(offsetof(struct msb_modify_opts, upper_bytes) == 96, "msb_modify_opts.upper_bytes");
_Static_assert(offsetof(struct msb_modify_opts, secrets) == 104, "msb_modify_opts.secrets");
_Static_assert(offsetof(struct msb_modify_opts, secrets_rm) == 112, "msb_modify_opts.secrets_rm");
_Static_assert(sizeof(struct msb_change) == 32, "msb_change");
_Static_assert(offsetof(struct msb_change, field) == 0, "msb_change.field");
_Static_assert(offsetof(struct msb_change, before) == 8, "msb_change.before");
_Static_assert(offsetof(struct msb_change, after) == 16, "msb_change.after");
_Static_assert(offsetof(struct msb_change, effect) == 24, "msb_change.effect");
_Static_assert(sizeof(struct msb_check) == 32, "msb_check");
_Static_assert(offsetof(struct msb_check, name) == 0, "msb_check.name");
_Static_assert(offsetof(struct msb_check, status) == 8, "msb_check.status");
_Static_assert(offsetof(struct msb_check, message) == 16, "msb_check.message");
_Static_assert(offsetof(struct msb_check, fix) == 24, "msb_check.fix");
_Static_assert(sizeof(struct msb_log_opts) == 48, "msb_log_opts");
_Static_assert(offsetof(struct msb_log_opts, size) == 0, "msb_log_opts.size");
_Static_assert(offsetof(struct msb_log_opts, sources) == 8, "msb_log_opts.sources");
_Static_assert(offsetof(struct msb_log_opts, follow) == 12, "msb_log_opts.follow");
_Static_assert(offsetof(struct msb_log_opts, tail) == 16, "msb_log_opts.tail");
_Static_assert(offsetof(struct msb_log_opts, since_ms) == 24, "msb_log_opts.since_ms");
_Static_assert(offsetof(struct msb_log_opts, until_ms) == 32, "msb_log_opts.until_ms");
_Static_assert(offsetof(struct msb_log_opts, session) == 40, "msb_log_opts.session");
_Static_assert(sizeof(struct msb_log_entry) == 48, "msb_log_entry");
_Static_assert(offsetof(struct msb_log_entry, size) == 0, "msb_log_entry.size");
_Static_assert(offsetof(struct msb_log_entry, unix_ms) == 8, "msb_log_entry.unix_ms");
_Static_assert(offsetof(struct msb_log_entry, session) == 16, "msb_log_entry.session");
_Static_assert(offsetof(struct msb_log_entry, source) == 24, "msb_log_entry.source");
_Static_assert(offsetof(struct msb_log_entry, data) == 32, "msb_log_entry.data");
_Static_assert(offsetof(struct msb_log_entry, len) == 40, "msb_log_entry.len");
_Static_assert(sizeof(struct msb_exec_opts) == 64, "msb_exec_opts");
_Static_assert(offsetof(struct msb_exec_opts, size) == 0, "msb_exec_opts.size");
_Static_assert(offsetof(struct msb_exec_opts, flags) == 8, "msb_exec_opts.flags");
_Static_assert(offsetof(struct msb_exec_opts, rows) == 12, "msb_exec_opts.rows");
_Static_assert(offsetof(struct msb_exec_opts, cols) == 14, "msb_exec_opts.cols");
_Static_assert(offsetof(struct msb_exec_opts, argv) == 16, "msb_exec_opts.argv");
_Static_assert(offsetof(struct msb_exec_opts, env) == 24, "msb_exec_opts.env");
_Static_assert(offsetof(struct msb_exec_opts, rlimits) == 32, "msb_exec_opts.rlimits");
_Static_assert(offsetof(struct msb_exec_opts, entrypoint) == 40, "msb_exec_opts.entrypoint");
_Static_assert(offsetof(struct msb_exec_opts, cwd) == 48, "msb_exec_opts.cwd");
_Static_assert(offsetof(struct msb_exec_opts, user) == 56, "msb_exec_opts.user");
_Static_assert(sizeof(struct msb_exec_event) == 64, "msb_exec_event");
_Static_assert(offsetof(struct msb_exec_event, size) == 0, "msb_exec_event.size");
_Static_assert(offsetof(struct msb_exec_event, kind) == 8, "msb_exec_event.kind");
_Static_assert(offsetof(struct msb_exec_event, pid) == 12, "msb_exec_event.pid");
_Static_assert(offsetof(struct msb_exec_event, data) == 16, "msb_exec_event.data");
_Static_assert(offsetof(struct msb_exec_event, len) == 24, "msb_exec_event.len");
_Static_assert(offsetof(struct msb_exec_event, code) == 32, "msb_exec_event.code");
_Static_assert(offsetof(struct msb_exec_event, signal) == 36, "msb_exec_event.signal");
_Static_assert(offsetof(struct msb_exec_event, error_no) == 40, "msb_exec_event.error_no");
_Static_assert(offsetof(struct msb_exec_event, stage) == 48, "msb_exec_event.stage");
_Static_assert(offsetof(struct msb_exec_event, message) == 56, "msb_exec_event.message");
_Static_assert(sizeof(struct msb_output) == 56, "msb_output");
_Static_assert(offsetof(struct msb_output, size) == 0, "msb_output.size");
_Static_assert(offsetof(struct msb_output, code) == 8, "msb_output.code");
_Static_assert(offsetof(struct msb_output, signal) == 12, "msb_output.signal");
_Static_assert(offsetof(struct msb_output, out) == 16, "msb_output.out");
_Static_assert(offsetof(struct msb_output, err) == 24, "msb_output.err");
_Static_assert(offsetof(struct msb_output, out_len) == 32, "msb_output.out_len");
_Static_assert(offsetof(struct msb_output, err_len) == 40, "msb_output.err_len");
_Static_assert(offsetof(struct msb_output, truncated) == 48, "msb_output.truncated");
_Static_assert(sizeof(struct msb_mount) == 88, "msb_mount");
_Static_assert(offsetof(struct msb_mount, size) == 0, "msb_mount.size");
_Static_assert(offsetof(struct msb_mount, kind) == 8, "msb_mount.kind");
_Static_assert(offsetof(struct msb_mount, flags) == 12, "msb_mount.flags");
_Static_assert(offsetof(struct msb_mount, source) == 16, "msb_mount.source");
_Static_assert(offsetof(struct msb_mount, target) == 24, "msb_mount.target");
_Static_assert(offsetof(struct msb_mount, cache) == 32, "msb_mount.cache");
_Static_assert(offsetof(struct msb_mount, uid) == 36, "msb_mount.uid");
_Static_assert(offsetof(struct msb_mount, gid) == 40, "msb_mount.gid");
_Static_assert(offsetof(struct msb_mount, quota_bytes) == 48, "msb_mount.quota_bytes");
_Static_assert(offsetof(struct msb_mount, size_bytes) == 56, "msb_mount.size_bytes");
_Static_assert(offsetof(struct msb_mount, mode) == 64, "msb_mount.mode");
_Static_assert(offsetof(struct msb_mount, volume_kind) == 68, "msb_mount.volume_kind");
_Static_assert(offsetof(struct msb_mount, format) == 72, "msb_mount.format");
_Static_assert(offsetof(struct msb_mount, fstype) == 80, "msb_mount.fstype");
_Static_assert(sizeof(struct msb_volume_info) == 72, "msb_volume_info");
_Static_assert(offsetof(struct msb_volume_info, size) == 0, "msb_volume_info.size");
_Static_assert(offsetof(struct msb_volume_info, name) == 8, "msb_volume_info.name");
_Static_assert(offsetof(struct msb_volume_info, path) == 16, "msb_volume_info.path");
_Static_assert(offsetof(struct msb_volume_info, kind) == 24, "msb_volume_info.kind");
_Static_assert(offsetof(struct msb_volume_info, size_bytes) == 32, "msb_volume_info.size_bytes");
_Static_assert(offsetof(struct msb_volume_info, used_bytes) == 40, "msb_volume_info.used_bytes");
_Static_assert(offsetof(struct msb_volume_info, created_ms) == 48, "msb_volume_info.created_ms");
_Static_assert(offsetof(struct msb_volume_info, users) == 56, "msb_volume_info.users");
_Static_assert(offsetof(struct msb_volume_info, in_use) == 64, "msb_volume_info.in_use");
_Static_assert(sizeof(struct msb_volume_opts) == 24, "msb_volume_opts");
_Static_assert(offsetof(struct msb_volume_opts, size) == 0, "msb_volume_opts.size");
_Static_assert(offsetof(struct msb_volume_opts, kind) == 8, "msb_volume_opts.kind");
_Static_assert(offsetof(struct msb_volume_opts, size_bytes) == 16, "msb_volume_opts.size_bytes");
_Static_assert(sizeof(struct msb_patch) == 64, "msb_patch");
_Static_assert(offsetof(struct msb_patch, size) == 0, "msb_patch.size");
_Static_assert(offsetof(struct msb_patch, kind) == 8, "msb_patch.kind");
_Static_assert(offsetof(struct msb_patch, flags) == 12, "msb_patch.flags");
_Static_assert(offsetof(struct msb_patch, path) == 16, "msb_patch.path");
_Static_assert(offsetof(struct msb_patch, source) == 24, "msb_patch.source");
_Static_assert(offsetof(struct msb_patch, data) == 32, "msb_patch.data");
_Static_assert(offsetof(struct msb_patch, data_len) == 40, "msb_patch.data_len");
_Static_assert(offsetof(struct msb_patch, mode) == 48, "msb_patch.mode");
_Static_assert(offsetof(struct msb_patch, uid) == 52, "msb_patch.uid");
_Static_assert(offsetof(struct msb_patch, gid) == 56, "msb_patch.gid");
_Static_assert(sizeof(struct msb_file_info) == 72, "msb_file_info");
_Static_assert(offsetof(struct msb_file_info, size) == 0, "msb_file_info.size");
_Static_assert(offsetof(struct msb_file_info, path) == 8, "msb_file_info.path");
_Static_assert(offsetof(struct msb_file_info, target) == 16, "msb_file_info.target");
_Static_assert(offsetof(struct msb_file_info, mode) == 24, "msb_file_info.mode");
_Static_assert(offsetof(struct msb_file_info, uid) == 28, "msb_file_info.uid");
_Static_assert(offsetof(struct msb_file_info, gid) == 32, "msb_file_info.gid");
_Static_assert(offsetof(struct msb_file_info, nlink) == 36, "msb_file_info.nlink");
_Static_assert(offsetof(struct msb_file_info, rdev) == 40, "msb_file_info.rdev");
_Static_assert(offsetof(struct msb_file_info, size_bytes) == 48, "msb_file_info.size_bytes");
_Static_assert(offsetof(struct msb_file_info, mtime_s) == 56, "msb_file_info.mtime_s");
_Static_assert(offsetof(struct msb_file_info, mtime_ns) == 64, "msb_file_info.mtime_ns");
_Static_assert(sizeof(struct msb_file_opts) == 40, "msb_file_opts");
_Static_assert(offsetof(struct msb_file_opts, size) == 0, "msb_file_opts.size");
_Static_assert(offsetof(struct msb_file_opts, mode) == 8, "msb_file_opts.mode");
_Static_assert(offsetof(struct msb_file_opts, flags) == 12, "msb_file_opts.flags");
_Static_assert(offsetof(struct msb_file_opts, permissions) == 16, "msb_file_opts.permissions");
_Static_assert(offsetof(struct msb_file_opts, offset) == 24, "msb_file_opts.offset");
_Static_assert(offsetof(struct msb_file_opts, length) == 32, "msb_file_opts.length");
_Static_assert(sizeof(struct msb_copy_event) == 24, "msb_copy_event");
_Static_assert(offsetof(struct msb_copy_event, path) == 0, "msb_copy_event.path");
_Static_assert(offsetof(struct msb_copy_event, files) == 8, "msb_copy_event.files");
_Static_assert(offsetof(struct msb_copy_event, bytes) == 16, "msb_copy_event.bytes");
_Static_assert(sizeof(struct msb_copy_opts) == 32, "msb_copy_opts");
_Static_assert(offsetof(struct msb_copy_opts, size) == 0, "msb_copy_opts.size");
_Static_assert(offsetof(struct msb_copy_opts, flags) == 8, "msb_copy_opts.flags");
_Static_assert(offsetof(struct msb_copy_opts, event) == 16, "msb_copy_opts.event");
_Static_assert(offsetof(struct msb_copy_opts, event_arg) == 24, "msb_copy_opts.event_arg");
_Static_assert(sizeof(struct msb_snapshot_info) == 104, "msb_snapshot_info");
_Static_assert(offsetof(struct msb_snapshot_info, size) == 0, "msb_snapshot_info.size");
_Static_assert(offsetof(struct msb_snapshot_info, name) == 8, "msb_snapshot_info.name");
_Static_assert(offsetof(struct msb_snapshot_info, digest) == 16, "msb_snapshot_info.digest");
_Static_assert(offsetof(struct msb_snapshot_info, image) == 24, "msb_snapshot_info.image");
_Static_assert(offsetof(struct msb_snapshot_info, image_id) == 32, "msb_snapshot_info.image_id");
_Static_assert(offsetof(struct msb_snapshot_info, sandbox) == 40, "msb_snapshot_info.sandbox");
_Static_assert(offsetof(struct msb_snapshot_info, parent) == 48, "msb_snapshot_info.parent");
_Static_assert(offsetof(struct msb_snapshot_info, content) == 56, "msb_snapshot_info.content");
_Static_assert(offsetof(struct msb_snapshot_info, size_bytes) == 64, "msb_snapshot_info.size_bytes");
_Static_assert(offsetof(struct msb_snapshot_info, used_bytes) == 72, "msb_snapshot_info.used_bytes");
_Static_assert(offsetof(struct msb_snapshot_info, created_ms) == 80, "msb_snapshot_info.created_ms");
_Static_assert(offsetof(struct msb_snapshot_info, labels) == 88, "msb_snapshot_info.labels");
_Static_assert(offsetof(struct msb_snapshot_info, path) == 96, "msb_snapshot_info.path");
_Static_assert(sizeof(struct msb_snapshot_opts) == 40, "msb_snapshot_opts");
_Static_assert(offsetof(struct msb_snapshot_opts, size) == 0, "msb_snapshot_opts.size");
_Static_assert(offsetof(struct msb_snapshot_opts, labels) == 8, "msb_snapshot_opts.labels");
_Static_assert(offsetof(struct msb_snapshot_opts, flags) == 16, "msb_snapshot_opts.flags");
_Static_assert(offsetof(struct msb_snapshot_opts, event) == 24, "msb_snapshot_opts.event");
_Static_assert(offsetof(struct msb_snapshot_opts, event_arg) == 32, "msb_snapshot_opts.event_arg");
_Static_assert(sizeof(struct msb_commit_opts) == 32, "msb_commit_opts");
_Static_assert(offsetof(struct msb_commit_opts, size) == 0, "msb_commit_opts.size");
_Static_assert(offsetof(struct msb_commit_opts, author) == 8, "msb_commit_opts.author");
_Static_assert(offsetof(struct msb_commit_opts, message) == 16, "msb_commit_opts.message");
_Static_assert(offsetof(struct msb_commit_opts, changes) == 24, "msb_commit_opts.changes");
_Static_assert(sizeof(struct msb_save_opts) == 32, "msb_save_opts");
_Static_assert(offsetof(struct msb_save_opts, size) == 0, "msb_save_opts.size");
_Static_assert(offsetof(struct msb_save_opts, format) == 8, "msb_save_opts.format");
_Static_assert(offsetof(struct msb_save_opts, event) == 16, "msb_save_opts.event");
_Static_assert(offsetof(struct msb_save_opts, event_arg) == 24, "msb_save_opts.event_arg");
_Static_assert(sizeof(struct msb_port) == 24, "msb_port");
_Static_assert(offsetof(struct msb_port, size) == 0, "msb_port.size");
_Static_assert(offsetof(struct msb_port, bind) == 8, "msb_port.bind");
_Static_assert(offsetof(struct msb_port, host) == 16, "msb_port.host");
_Static_assert(offsetof(struct msb_port, guest) == 18, "msb_port.guest");
_Static_assert(offsetof(struct msb_port, flags) == 20, "msb_port.flags");
_Static_assert(sizeof(struct msb_rate) == 16, "msb_rate");
_Static_assert(offsetof(struct msb_rate, per_second) == 0, "msb_rate.per_second");
_Static_assert(offsetof(struct msb_rate, burst) == 8, "msb_rate.burst");
_Static_assert(sizeof(struct msb_network) == 208, "msb_network");
_Static_assert(offsetof(struct msb_network, size) == 0, "msb_network.size");
_Static_assert(offsetof(struct msb_network, flags) == 8, "msb_network.flags");
_Static_assert(offsetof(struct msb_network, profile) == 16, "msb_network.profile");
_Static_assert(offsetof(struct msb_network, rules) == 24, "msb_network.rules");
_Static_assert(offsetof(struct msb_network, default_egress) == 32, "msb_network.default_egress");
_Static_assert(offsetof(struct msb_network, default_ingress) == 36, "msb_network.default_ingress");
_Static_assert(offsetof(struct msb_network, ports) == 40, "msb_network.ports");
_Static_assert(offsetof(struct msb_network, nameservers) == 48, "msb_network.nameservers");
_Static_assert(offsetof(struct msb_network, dns_timeout_ms) == 56, "msb_network.dns_timeout_ms");
_Static_assert(offsetof(struct msb_network, ipv4_pool) == 64, "msb_network.ipv4_pool");
_Static_assert(offsetof(struct msb_network, ipv6_pool) == 72, "msb_network.ipv6_pool");
_Static_assert(offsetof(struct msb_network, mtu) == 80, "msb_network.mtu");
_Static_assert(offsetof(struct msb_network, egress_bytes) == 88, "msb_network.egress_bytes");
_Static_assert(offsetof(struct msb_network, egress_packets) == 104, "msb_network.egress_packets");
_Static_assert(offsetof(struct msb_network, ingress_bytes) == 120, "msb_network.ingress_bytes");
_Static_assert(offsetof(struct msb_network, ingress_packets) == 136, "msb_network.ingress_packets");
_Static_assert(offsetof(struct msb_network, max_connections) == 152, "msb_network.max_connections");
_Static_assert(offsetof(struct msb_network, proxy) == 160, "msb_network.proxy");
_Static_assert(offsetof(struct msb_network, socks4_user_id) == 168, "msb_network.socks4_user_id");
_Static_assert(offsetof(struct msb_network, socks5_username) == 176, "msb_network.socks5_username");
_Static_assert(offsetof(struct msb_network, socks5_password_env) == 184, "msb_network.socks5_password_env");
_Static_assert(offsetof(struct msb_network, vsock) == 192, "msb_network.vsock");
_Static_assert(offsetof(struct msb_network, pcap) == 200, "msb_network.pcap");
_Static_assert(sizeof(struct msb_secret) == 56, "msb_secret");
_Static_assert(offsetof(struct msb_secret, size) == 0, "msb_secret.size");
_Static_assert(offsetof(struct msb_secret, env) == 8, "msb_secret.env");
_Static_assert(offsetof(struct msb_secret, value) == 16, "msb_secret.value");
_Static_assert(offsetof(struct msb_secret, source) == 24, "msb_secret.source");
_Static_assert(offsetof(struct msb_secret, placeholder) == 32, "msb_secret.placeholder");
_Static_assert(offsetof(struct msb_secret, hosts) == 40, "msb_secret.hosts");
_Static_assert(offsetof(struct msb_secret, flags) == 48, "msb_secret.flags");
_Static_assert(offsetof(struct msb_secret, violation) == 52, "msb_secret.violation");
_Static_assert(sizeof(struct msb_tls) == 72, "msb_tls");
_Static_assert(offsetof(struct msb_tls, size) == 0, "msb_tls.size");
_Static_assert(offsetof(struct msb_tls, flags) == 8, "msb_tls.flags");
_Static_assert(offsetof(struct msb_tls, violation) == 12, "msb_tls.violation");
_Static_assert(offsetof(struct msb_tls, ports) == 16, "msb_tls.ports");
_Static_assert(offsetof(struct msb_tls, bypass) == 24, "msb_tls.bypass");
_Static_assert(offsetof(struct msb_tls, ca_cert) == 32, "msb_tls.ca_cert");
_Static_assert(offsetof(struct msb_tls, ca_key) == 40, "msb_tls.ca_key");
_Static_assert(offsetof(struct msb_tls, upstream_cas) == 48, "msb_tls.upstream_cas");
_Static_assert(offsetof(struct msb_tls, upstream_cas_for) == 56, "msb_tls.upstream_cas_for");
_Static_assert(offsetof(struct msb_tls, no_verify_for) == 64, "msb_tls.no_verify_for");
#endif

const char *msbgo_code_name(int32_t code)
{
	if (!api.code_name) return "";
	return api.code_name(code);
}

const char *msbgo_version(void)
{
	if (!api.version) return "";
	return api.version();
}

int msbgo_cancel_new(struct msb_cancel **ret_cancel, struct msb_error *error)
{
	if (!api.cancel_new) return lacks(error, "msb_cancel_new");
	return api.cancel_new(ret_cancel, error);
}

void msbgo_cancel_use(struct msb_cancel *cancel)
{
	if (!api.cancel_use) return;
	api.cancel_use(cancel);
}

void msbgo_cancel_fire(struct msb_cancel *cancel)
{
	if (!api.cancel_fire) return;
	api.cancel_fire(cancel);
}

void msbgo_cancel_reset(struct msb_cancel *cancel)
{
	if (!api.cancel_reset) return;
	api.cancel_reset(cancel);
}

void msbgo_cancel_free(struct msb_cancel *cancel)
{
	if (!api.cancel_free) return;
	api.cancel_free(cancel);
}

int msbgo_home_open(const char *path, struct msb_home **ret_home, struct msb_error *error)
{
	if (!api.home_open) return lacks(error, "msb_home_open");
	return api.home_open(path, ret_home, error);
}

void msbgo_home_free(struct msb_home *home)
{
	if (!api.home_free) return;
	api.home_free(home);
}

const char *msbgo_home_path(const struct msb_home *home)
{
	if (!api.home_path) return "";
	return api.home_path(home);
}

int msbgo_image_pull(struct msb_home *home, const char *reference, const struct msb_pull_opts *opts, struct msb_image **ret_image, struct msb_error *error)
{
	if (!api.image_pull) return lacks(error, "msb_image_pull");
	return api.image_pull(home, reference, opts, ret_image, error);
}

int msbgo_image_load(struct msb_home *home, const char *path, const char *tag, const struct msb_pull_opts *opts, char ***ret_references, struct msb_error *error)
{
	if (!api.image_load) return lacks(error, "msb_image_load");
	return api.image_load(home, path, tag, opts, ret_references, error);
}

void msbgo_strings_free(char **list)
{
	if (!api.strings_free) return;
	api.strings_free(list);
}

int msbgo_image_open(struct msb_home *home, const char *reference, struct msb_image **ret_image, struct msb_error *error)
{
	if (!api.image_open) return lacks(error, "msb_image_open");
	return api.image_open(home, reference, ret_image, error);
}

int msbgo_image_list(struct msb_home *home, struct msb_image ***ret_list, size_t *ret_count, struct msb_error *error)
{
	if (!api.image_list) return lacks(error, "msb_image_list");
	return api.image_list(home, ret_list, ret_count, error);
}

void msbgo_image_list_free(struct msb_image **list, size_t count)
{
	if (!api.image_list_free) return;
	api.image_list_free(list, count);
}

void msbgo_image_free(struct msb_image *image)
{
	if (!api.image_free) return;
	api.image_free(image);
}

const struct msb_image_info *msbgo_image_info(const struct msb_image *image)
{
	if (!api.image_info) return NULL;
	return api.image_info(image);
}

int msbgo_image_remove(struct msb_home *home, const char *reference, struct msb_error *error)
{
	if (!api.image_remove) return lacks(error, "msb_image_remove");
	return api.image_remove(home, reference, error);
}

int msbgo_image_users(struct msb_home *home, const char *reference, char ***ret_names, struct msb_error *error)
{
	if (!api.image_users) return lacks(error, "msb_image_users");
	return api.image_users(home, reference, ret_names, error);
}

int msbgo_image_prune(struct msb_home *home, int all, uint64_t *ret_freed_bytes, uint32_t *ret_removed_references, struct msb_error *error)
{
	if (!api.image_prune) return lacks(error, "msb_image_prune");
	return api.image_prune(home, all, ret_freed_bytes, ret_removed_references, error);
}

const char *msbgo_state_name(int32_t state)
{
	if (!api.state_name) return "";
	return api.state_name(state);
}

int msbgo_sandbox_create(struct msb_home *home, const struct msb_sandbox_opts *opts, struct msb_sandbox **ret_sandbox, struct msb_error *error)
{
	if (!api.sandbox_create) return lacks(error, "msb_sandbox_create");
	return api.sandbox_create(home, opts, ret_sandbox, error);
}

int msbgo_sandbox_start(struct msb_home *home, const char *name, const struct msb_start_opts *opts, struct msb_sandbox **ret_sandbox, struct msb_error *error)
{
	if (!api.sandbox_start) return lacks(error, "msb_sandbox_start");
	return api.sandbox_start(home, name, opts, ret_sandbox, error);
}

int msbgo_sandbox_run_main(struct msb_sandbox *sandbox, struct msb_error *error)
{
	if (!api.sandbox_run_main) return lacks(error, "msb_sandbox_run_main");
	return api.sandbox_run_main(sandbox, error);
}

int msbgo_sandbox_open(struct msb_home *home, const char *name, struct msb_sandbox **ret_sandbox, struct msb_error *error)
{
	if (!api.sandbox_open) return lacks(error, "msb_sandbox_open");
	return api.sandbox_open(home, name, ret_sandbox, error);
}

int msbgo_sandbox_restart(struct msb_home *home, const char *name, uint32_t timeout_ms, const struct msb_start_opts *opts, struct msb_sandbox **ret_sandbox, struct msb_error *error)
{
	if (!api.sandbox_restart) return lacks(error, "msb_sandbox_restart");
	return api.sandbox_restart(home, name, timeout_ms, opts, ret_sandbox, error);
}

int msbgo_sandbox_detach(struct msb_sandbox *sandbox, struct msb_error *error)
{
	if (!api.sandbox_detach) return lacks(error, "msb_sandbox_detach");
	return api.sandbox_detach(sandbox, error);
}

void msbgo_sandbox_free(struct msb_sandbox *sandbox)
{
	if (!api.sandbox_free) return;
	api.sandbox_free(sandbox);
}

const char *msbgo_sandbox_name(const struct msb_sandbox *sandbox)
{
	if (!api.sandbox_name) return "";
	return api.sandbox_name(sandbox);
}

const char *msbgo_sandbox_id(const struct msb_sandbox *sandbox)
{
	if (!api.sandbox_id) return "";
	return api.sandbox_id(sandbox);
}

int msbgo_sandbox_fd(const struct msb_sandbox *sandbox)
{
	if (!api.sandbox_fd) return 0;
	return api.sandbox_fd(sandbox);
}

enum msb_state msbgo_sandbox_state(struct msb_sandbox *sandbox)
{
	if (!api.sandbox_state) return 0;
	return api.sandbox_state(sandbox);
}

int msbgo_sandbox_wait_ready(struct msb_sandbox *sandbox, int timeout_ms, struct msb_error *error)
{
	if (!api.sandbox_wait_ready) return lacks(error, "msb_sandbox_wait_ready");
	return api.sandbox_wait_ready(sandbox, timeout_ms, error);
}

int msbgo_sandbox_stop(struct msb_sandbox *sandbox, uint32_t timeout_ms, struct msb_error *error)
{
	if (!api.sandbox_stop) return lacks(error, "msb_sandbox_stop");
	return api.sandbox_stop(sandbox, timeout_ms, error);
}

int msbgo_sandbox_kill(struct msb_sandbox *sandbox, struct msb_error *error)
{
	if (!api.sandbox_kill) return lacks(error, "msb_sandbox_kill");
	return api.sandbox_kill(sandbox, error);
}

int msbgo_sandbox_wait(struct msb_sandbox *sandbox, int timeout_ms, struct msb_error *error)
{
	if (!api.sandbox_wait) return lacks(error, "msb_sandbox_wait");
	return api.sandbox_wait(sandbox, timeout_ms, error);
}

int msbgo_sandbox_touch(struct msb_sandbox *sandbox, struct msb_error *error)
{
	if (!api.sandbox_touch) return lacks(error, "msb_sandbox_touch");
	return api.sandbox_touch(sandbox, error);
}

int msbgo_sandbox_ping(struct msb_sandbox *sandbox, int timeout_ms, uint64_t *ret_ns, struct msb_error *error)
{
	if (!api.sandbox_ping) return lacks(error, "msb_sandbox_ping");
	return api.sandbox_ping(sandbox, timeout_ms, ret_ns, error);
}

int msbgo_sandbox_metrics(struct msb_sandbox *sandbox, struct msb_metrics *ret_metrics, struct msb_error *error)
{
	if (!api.sandbox_metrics) return lacks(error, "msb_sandbox_metrics");
	return api.sandbox_metrics(sandbox, ret_metrics, error);
}

const char *msbgo_sandbox_console(const struct msb_sandbox *sandbox)
{
	if (!api.sandbox_console) return "";
	return api.sandbox_console(sandbox);
}

void msbgo_sandbox_times(struct msb_sandbox *sandbox, struct msb_sandbox_times *ret_times)
{
	if (!api.sandbox_times) return;
	api.sandbox_times(sandbox, ret_times);
}

const char *msbgo_sandbox_engine(const struct msb_sandbox *sandbox)
{
	if (!api.sandbox_engine) return "";
	return api.sandbox_engine(sandbox);
}

const char *msbgo_sandbox_accel(const struct msb_sandbox *sandbox)
{
	if (!api.sandbox_accel) return "";
	return api.sandbox_accel(sandbox);
}

const char *const *msbgo_sandbox_walls(const struct msb_sandbox *sandbox)
{
	if (!api.sandbox_walls) return NULL;
	return api.sandbox_walls(sandbox);
}

const char *msbgo_sandbox_warning(const struct msb_sandbox *sandbox)
{
	if (!api.sandbox_warning) return "";
	return api.sandbox_warning(sandbox);
}

int msbgo_sandbox_inspect(struct msb_home *home, const char *name, struct msb_sandbox_info **ret_info, struct msb_error *error)
{
	if (!api.sandbox_inspect) return lacks(error, "msb_sandbox_inspect");
	return api.sandbox_inspect(home, name, ret_info, error);
}

void msbgo_sandbox_info_free(struct msb_sandbox_info *info)
{
	if (!api.sandbox_info_free) return;
	api.sandbox_info_free(info);
}

int msbgo_sandbox_list(struct msb_home *home, const char *const *labels, struct msb_sandbox_list **ret_list, struct msb_error *error)
{
	if (!api.sandbox_list) return lacks(error, "msb_sandbox_list");
	return api.sandbox_list(home, labels, ret_list, error);
}

void msbgo_sandbox_list_free(struct msb_sandbox_list *list)
{
	if (!api.sandbox_list_free) return;
	api.sandbox_list_free(list);
}

size_t msbgo_sandbox_list_count(const struct msb_sandbox_list *list)
{
	if (!api.sandbox_list_count) return 0;
	return api.sandbox_list_count(list);
}

const struct msb_sandbox_info *msbgo_sandbox_list_get(const struct msb_sandbox_list *list, size_t i)
{
	if (!api.sandbox_list_get) return NULL;
	return api.sandbox_list_get(list, i);
}

int msbgo_sandbox_remove(struct msb_home *home, const char *name, uint32_t flags, struct msb_error *error)
{
	if (!api.sandbox_remove) return lacks(error, "msb_sandbox_remove");
	return api.sandbox_remove(home, name, flags, error);
}

int msbgo_sandbox_modify(struct msb_home *home, const char *name, const struct msb_modify_opts *opts, struct msb_plan **ret_plan, struct msb_error *error)
{
	if (!api.sandbox_modify) return lacks(error, "msb_sandbox_modify");
	return api.sandbox_modify(home, name, opts, ret_plan, error);
}

int msbgo_sandbox_pending(struct msb_home *home, const char *name, struct msb_plan **ret_plan, struct msb_error *error)
{
	if (!api.sandbox_pending) return lacks(error, "msb_sandbox_pending");
	return api.sandbox_pending(home, name, ret_plan, error);
}

void msbgo_plan_free(struct msb_plan *plan)
{
	if (!api.plan_free) return;
	api.plan_free(plan);
}

size_t msbgo_plan_count(const struct msb_plan *plan)
{
	if (!api.plan_count) return 0;
	return api.plan_count(plan);
}

const struct msb_change *msbgo_plan_get(const struct msb_plan *plan, size_t i)
{
	if (!api.plan_get) return NULL;
	return api.plan_get(plan, i);
}

int msbgo_doctor(const char *home_path, struct msb_report **ret_report, struct msb_error *error)
{
	if (!api.doctor) return lacks(error, "msb_doctor");
	return api.doctor(home_path, ret_report, error);
}

void msbgo_report_free(struct msb_report *report)
{
	if (!api.report_free) return;
	api.report_free(report);
}

size_t msbgo_report_count(const struct msb_report *report)
{
	if (!api.report_count) return 0;
	return api.report_count(report);
}

const struct msb_check *msbgo_report_get(const struct msb_report *report, size_t index)
{
	if (!api.report_get) return NULL;
	return api.report_get(report, index);
}

int msbgo_repair(const char *home_path, int dry_run, char ***ret_done, struct msb_error *error)
{
	if (!api.repair) return lacks(error, "msb_repair");
	return api.repair(home_path, dry_run, ret_done, error);
}

int msbgo_logs_open(struct msb_home *home, const char *name, const struct msb_log_opts *opts, struct msb_logs **ret_logs, struct msb_error *error)
{
	if (!api.logs_open) return lacks(error, "msb_logs_open");
	return api.logs_open(home, name, opts, ret_logs, error);
}

void msbgo_logs_free(struct msb_logs *logs)
{
	if (!api.logs_free) return;
	api.logs_free(logs);
}

int msbgo_logs_next(struct msb_logs *logs, int timeout_ms, struct msb_log_entry *ret_entry, struct msb_error *error)
{
	if (!api.logs_next) return lacks(error, "msb_logs_next");
	return api.logs_next(logs, timeout_ms, ret_entry, error);
}

int msbgo_logs_fd(const struct msb_logs *logs)
{
	if (!api.logs_fd) return 0;
	return api.logs_fd(logs);
}

int msbgo_logs_ended(const struct msb_logs *logs)
{
	if (!api.logs_ended) return 0;
	return api.logs_ended(logs);
}

int msbgo_exec_start(struct msb_sandbox *sandbox, const struct msb_exec_opts *opts, struct msb_exec **ret_exec, struct msb_error *error)
{
	if (!api.exec_start) return lacks(error, "msb_exec_start");
	return api.exec_start(sandbox, opts, ret_exec, error);
}

uint64_t msbgo_exec_session(const struct msb_exec *exec)
{
	if (!api.exec_session) return 0;
	return api.exec_session(exec);
}

int msbgo_exec_detach(struct msb_exec *exec, struct msb_error *error)
{
	if (!api.exec_detach) return lacks(error, "msb_exec_detach");
	return api.exec_detach(exec, error);
}

int msbgo_exec_attach(struct msb_sandbox *sandbox, uint64_t session, struct msb_exec **ret_exec, struct msb_error *error)
{
	if (!api.exec_attach) return lacks(error, "msb_exec_attach");
	return api.exec_attach(sandbox, session, ret_exec, error);
}

int msbgo_exec_is_tty(const struct msb_exec *exec)
{
	if (!api.exec_is_tty) return 0;
	return api.exec_is_tty(exec);
}

void msbgo_exec_free(struct msb_exec *exec)
{
	if (!api.exec_free) return;
	api.exec_free(exec);
}

int msbgo_exec_fd(const struct msb_exec *exec)
{
	if (!api.exec_fd) return 0;
	return api.exec_fd(exec);
}

int msbgo_exec_next(struct msb_exec *exec, int timeout_ms, struct msb_exec_event *ret_event, struct msb_error *error)
{
	if (!api.exec_next) return lacks(error, "msb_exec_next");
	return api.exec_next(exec, timeout_ms, ret_event, error);
}

int64_t msbgo_exec_write(struct msb_exec *exec, const void *data, size_t len, struct msb_error *error)
{
	if (!api.exec_write) return lacks(error, "msb_exec_write");
	return api.exec_write(exec, data, len, error);
}

int msbgo_exec_close_stdin(struct msb_exec *exec, struct msb_error *error)
{
	if (!api.exec_close_stdin) return lacks(error, "msb_exec_close_stdin");
	return api.exec_close_stdin(exec, error);
}

size_t msbgo_exec_unread(const struct msb_exec *exec)
{
	if (!api.exec_unread) return 0;
	return api.exec_unread(exec);
}

int msbgo_exec_signal(struct msb_exec *exec, int signal, struct msb_error *error)
{
	if (!api.exec_signal) return lacks(error, "msb_exec_signal");
	return api.exec_signal(exec, signal, error);
}

int msbgo_exec_resize(struct msb_exec *exec, uint16_t rows, uint16_t cols, struct msb_error *error)
{
	if (!api.exec_resize) return lacks(error, "msb_exec_resize");
	return api.exec_resize(exec, rows, cols, error);
}

int msbgo_exec_wait(struct msb_exec *exec, int timeout_ms, int *ret_code, struct msb_error *error)
{
	if (!api.exec_wait) return lacks(error, "msb_exec_wait");
	return api.exec_wait(exec, timeout_ms, ret_code, error);
}

int msbgo_exec_run(struct msb_sandbox *sandbox, const struct msb_exec_opts *opts, const void *input, size_t input_len, size_t max, int timeout_ms, struct msb_output **ret_output, struct msb_error *error)
{
	if (!api.exec_run) return lacks(error, "msb_exec_run");
	return api.exec_run(sandbox, opts, input, input_len, max, timeout_ms, ret_output, error);
}

void msbgo_output_free(struct msb_output *output)
{
	if (!api.output_free) return;
	api.output_free(output);
}

int msbgo_volume_create(struct msb_home *home, const char *name, const struct msb_volume_opts *opts, struct msb_error *error)
{
	if (!api.volume_create) return lacks(error, "msb_volume_create");
	return api.volume_create(home, name, opts, error);
}

int msbgo_volume_list(struct msb_home *home, const char *name, struct msb_volumes **ret_list, struct msb_error *error)
{
	if (!api.volume_list) return lacks(error, "msb_volume_list");
	return api.volume_list(home, name, ret_list, error);
}

void msbgo_volumes_free(struct msb_volumes *list)
{
	if (!api.volumes_free) return;
	api.volumes_free(list);
}

size_t msbgo_volumes_count(const struct msb_volumes *list)
{
	if (!api.volumes_count) return 0;
	return api.volumes_count(list);
}

const struct msb_volume_info *msbgo_volumes_get(const struct msb_volumes *list, size_t i)
{
	if (!api.volumes_get) return NULL;
	return api.volumes_get(list, i);
}

int msbgo_volume_remove(struct msb_home *home, const char *name, int force, struct msb_error *error)
{
	if (!api.volume_remove) return lacks(error, "msb_volume_remove");
	return api.volume_remove(home, name, force, error);
}

int msbgo_volume_prune(struct msb_home *home, char ***ret_names, uint64_t *ret_freed_bytes, struct msb_error *error)
{
	if (!api.volume_prune) return lacks(error, "msb_volume_prune");
	return api.volume_prune(home, ret_names, ret_freed_bytes, error);
}

int msbgo_file_stat(struct msb_sandbox *sandbox, const char *path, uint32_t flags, struct msb_file_info *ret_info, struct msb_error *error)
{
	if (!api.file_stat) return lacks(error, "msb_file_stat");
	return api.file_stat(sandbox, path, flags, ret_info, error);
}

int msbgo_file_list(struct msb_sandbox *sandbox, const char *path, struct msb_file_list **ret_list, struct msb_error *error)
{
	if (!api.file_list) return lacks(error, "msb_file_list");
	return api.file_list(sandbox, path, ret_list, error);
}

void msbgo_file_list_free(struct msb_file_list *list)
{
	if (!api.file_list_free) return;
	api.file_list_free(list);
}

size_t msbgo_file_list_count(const struct msb_file_list *list)
{
	if (!api.file_list_count) return 0;
	return api.file_list_count(list);
}

const struct msb_file_info *msbgo_file_list_get(const struct msb_file_list *list, size_t i)
{
	if (!api.file_list_get) return NULL;
	return api.file_list_get(list, i);
}

int msbgo_file_mkdir(struct msb_sandbox *sandbox, const char *path, uint32_t mode, uint32_t flags, struct msb_error *error)
{
	if (!api.file_mkdir) return lacks(error, "msb_file_mkdir");
	return api.file_mkdir(sandbox, path, mode, flags, error);
}

int msbgo_file_remove(struct msb_sandbox *sandbox, const char *path, uint32_t flags, struct msb_error *error)
{
	if (!api.file_remove) return lacks(error, "msb_file_remove");
	return api.file_remove(sandbox, path, flags, error);
}

int msbgo_file_rename(struct msb_sandbox *sandbox, const char *from, const char *to, uint32_t flags, struct msb_error *error)
{
	if (!api.file_rename) return lacks(error, "msb_file_rename");
	return api.file_rename(sandbox, from, to, flags, error);
}

int msbgo_file_chmod(struct msb_sandbox *sandbox, const char *path, uint32_t mode, struct msb_error *error)
{
	if (!api.file_chmod) return lacks(error, "msb_file_chmod");
	return api.file_chmod(sandbox, path, mode, error);
}

int msbgo_file_chown(struct msb_sandbox *sandbox, const char *path, uint32_t uid, uint32_t gid, uint32_t flags, struct msb_error *error)
{
	if (!api.file_chown) return lacks(error, "msb_file_chown");
	return api.file_chown(sandbox, path, uid, gid, flags, error);
}

int msbgo_file_symlink(struct msb_sandbox *sandbox, const char *target, const char *path, struct msb_error *error)
{
	if (!api.file_symlink) return lacks(error, "msb_file_symlink");
	return api.file_symlink(sandbox, target, path, error);
}

int msbgo_file_copy(struct msb_sandbox *sandbox, const char *from, const char *to, struct msb_error *error)
{
	if (!api.file_copy) return lacks(error, "msb_file_copy");
	return api.file_copy(sandbox, from, to, error);
}

int msbgo_file_read(struct msb_sandbox *sandbox, const char *path, size_t max, void **ret_data, size_t *ret_len, struct msb_error *error)
{
	if (!api.file_read) return lacks(error, "msb_file_read");
	return api.file_read(sandbox, path, max, ret_data, ret_len, error);
}

void msbgo_free(void *data)
{
	if (!api.free) return;
	api.free(data);
}

int msbgo_file_write(struct msb_sandbox *sandbox, const char *path, const void *data, size_t len, uint32_t mode, uint32_t flags, struct msb_error *error)
{
	if (!api.file_write) return lacks(error, "msb_file_write");
	return api.file_write(sandbox, path, data, len, mode, flags, error);
}

int msbgo_file_open(struct msb_sandbox *sandbox, const char *path, const struct msb_file_opts *opts, struct msb_file **ret_file, struct msb_error *error)
{
	if (!api.file_open) return lacks(error, "msb_file_open");
	return api.file_open(sandbox, path, opts, ret_file, error);
}

int64_t msbgo_file_get(struct msb_file *file, void *data, size_t len, struct msb_error *error)
{
	if (!api.file_get) return lacks(error, "msb_file_get");
	return api.file_get(file, data, len, error);
}

int msbgo_file_put(struct msb_file *file, const void *data, size_t len, struct msb_error *error)
{
	if (!api.file_put) return lacks(error, "msb_file_put");
	return api.file_put(file, data, len, error);
}

int msbgo_file_finish(struct msb_file *file, struct msb_error *error)
{
	if (!api.file_finish) return lacks(error, "msb_file_finish");
	return api.file_finish(file, error);
}

void msbgo_file_close(struct msb_file *file)
{
	if (!api.file_close) return;
	api.file_close(file);
}

int msbgo_copy_in(struct msb_sandbox *sandbox, const char *from, const char *to, const struct msb_copy_opts *opts, struct msb_error *error)
{
	if (!api.copy_in) return lacks(error, "msb_copy_in");
	return api.copy_in(sandbox, from, to, opts, error);
}

int msbgo_copy_out(struct msb_sandbox *sandbox, const char *from, const char *to, const struct msb_copy_opts *opts, struct msb_error *error)
{
	if (!api.copy_out) return lacks(error, "msb_copy_out");
	return api.copy_out(sandbox, from, to, opts, error);
}

int msbgo_copy_in_tar(struct msb_sandbox *sandbox, int fd, const char *to, const struct msb_copy_opts *opts, struct msb_error *error)
{
	if (!api.copy_in_tar) return lacks(error, "msb_copy_in_tar");
	return api.copy_in_tar(sandbox, fd, to, opts, error);
}

int msbgo_copy_out_tar(struct msb_sandbox *sandbox, const char *from, int fd, const struct msb_copy_opts *opts, struct msb_error *error)
{
	if (!api.copy_out_tar) return lacks(error, "msb_copy_out_tar");
	return api.copy_out_tar(sandbox, from, fd, opts, error);
}

int msbgo_copy_across(struct msb_sandbox *source, const char *from, struct msb_sandbox *target, const char *to, const struct msb_copy_opts *opts, struct msb_error *error)
{
	if (!api.copy_across) return lacks(error, "msb_copy_across");
	return api.copy_across(source, from, target, to, opts, error);
}

int msbgo_snapshot_create(struct msb_home *home, const char *sandbox, const char *name, const struct msb_snapshot_opts *opts, struct msb_error *error)
{
	if (!api.snapshot_create) return lacks(error, "msb_snapshot_create");
	return api.snapshot_create(home, sandbox, name, opts, error);
}

int msbgo_snapshot_list(struct msb_home *home, const char *name, struct msb_snapshots **ret_list, struct msb_error *error)
{
	if (!api.snapshot_list) return lacks(error, "msb_snapshot_list");
	return api.snapshot_list(home, name, ret_list, error);
}

void msbgo_snapshots_free(struct msb_snapshots *list)
{
	if (!api.snapshots_free) return;
	api.snapshots_free(list);
}

size_t msbgo_snapshots_count(const struct msb_snapshots *list)
{
	if (!api.snapshots_count) return 0;
	return api.snapshots_count(list);
}

const struct msb_snapshot_info *msbgo_snapshots_get(const struct msb_snapshots *list, size_t i)
{
	if (!api.snapshots_get) return NULL;
	return api.snapshots_get(list, i);
}

int msbgo_snapshot_image(struct msb_home *home, const char *name, struct msb_image **ret_image, struct msb_error *error)
{
	if (!api.snapshot_image) return lacks(error, "msb_snapshot_image");
	return api.snapshot_image(home, name, ret_image, error);
}

int msbgo_snapshot_verify(struct msb_home *home, const char *name, struct msb_error *error)
{
	if (!api.snapshot_verify) return lacks(error, "msb_snapshot_verify");
	return api.snapshot_verify(home, name, error);
}

int msbgo_snapshot_remove(struct msb_home *home, const char *name, struct msb_error *error)
{
	if (!api.snapshot_remove) return lacks(error, "msb_snapshot_remove");
	return api.snapshot_remove(home, name, error);
}

int msbgo_snapshot_save(struct msb_home *home, const char *name, const char *path, uint32_t flags, struct msb_error *error)
{
	if (!api.snapshot_save) return lacks(error, "msb_snapshot_save");
	return api.snapshot_save(home, name, path, flags, error);
}

int msbgo_snapshot_load(struct msb_home *home, const char *path, const char *name, char **ret_name, struct msb_error *error)
{
	if (!api.snapshot_load) return lacks(error, "msb_snapshot_load");
	return api.snapshot_load(home, path, name, ret_name, error);
}

int msbgo_image_commit(struct msb_home *home, const char *sandbox, const char *reference, const struct msb_commit_opts *opts, char **ret_id, struct msb_error *error)
{
	if (!api.image_commit) return lacks(error, "msb_image_commit");
	return api.image_commit(home, sandbox, reference, opts, ret_id, error);
}

int msbgo_image_save(struct msb_home *home, const char *const *references, const struct msb_save_opts *opts, const char *path, struct msb_error *error)
{
	if (!api.image_save) return lacks(error, "msb_image_save");
	return api.image_save(home, references, opts, path, error);
}

int msbgo_sandbox_ports(struct msb_home *home, const char *name, char **ret_json, struct msb_error *error)
{
	if (!api.sandbox_ports) return lacks(error, "msb_sandbox_ports");
	return api.sandbox_ports(home, name, ret_json, error);
}

int msbgo_net_explain(struct msb_home *home, const char *name, const char *host, uint16_t port, const char *protocol, char **ret_json, struct msb_error *error)
{
	if (!api.net_explain) return lacks(error, "msb_net_explain");
	return api.net_explain(home, name, host, port, protocol, ret_json, error);
}

int msbgo_net_rules(struct msb_home *home, const char *name, char **ret_json, struct msb_error *error)
{
	if (!api.net_rules) return lacks(error, "msb_net_rules");
	return api.net_rules(home, name, ret_json, error);
}
