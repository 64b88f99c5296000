/* Made by gen.mjs from sdk/api.json: do not edit. */
/* clang-format off */
#include "api.h"

enum { SHAPE_msb_error,
       SHAPE_msb_pull_event,
       SHAPE_msb_pull_opts,
       SHAPE_msb_image_info,
       SHAPE_msb_sandbox_opts,
       SHAPE_msb_start_opts,
       SHAPE_msb_metrics,
       SHAPE_msb_sandbox_times,
       SHAPE_msb_sandbox_info,
       SHAPE_msb_modify_opts,
       SHAPE_msb_change,
       SHAPE_msb_check,
       SHAPE_msb_log_opts,
       SHAPE_msb_log_entry,
       SHAPE_msb_exec_opts,
       SHAPE_msb_exec_event,
       SHAPE_msb_output,
       SHAPE_msb_mount,
       SHAPE_msb_volume_info,
       SHAPE_msb_volume_opts,
       SHAPE_msb_patch,
       SHAPE_msb_file_info,
       SHAPE_msb_file_opts,
       SHAPE_msb_copy_event,
       SHAPE_msb_copy_opts,
       SHAPE_msb_snapshot_info,
       SHAPE_msb_snapshot_opts,
       SHAPE_msb_commit_opts,
       SHAPE_msb_save_opts,
       SHAPE_msb_port,
       SHAPE_msb_rate,
       SHAPE_msb_network,
       SHAPE_msb_secret,
       SHAPE_msb_tls };
enum { TYPE_msb_home, TYPE_msb_image, TYPE_msb_sandbox, TYPE_msb_exec, TYPE_msb_logs, TYPE_msb_file };
enum { LIST_msb_sandbox_list, LIST_msb_plan, LIST_msb_report, LIST_msb_volumes, LIST_msb_snapshots, LIST_msb_file_list };
enum { OWNED_msb_sandbox_info, OWNED_msb_output };
enum { FN_msb_code_name,
       FN_msb_version,
       FN_msb_cancel_new,
       FN_msb_cancel_use,
       FN_msb_cancel_fire,
       FN_msb_cancel_reset,
       FN_msb_cancel_free,
       FN_msb_home_open,
       FN_msb_home_free,
       FN_msb_home_path,
       FN_msb_image_pull,
       FN_msb_image_load,
       FN_msb_strings_free,
       FN_msb_image_open,
       FN_msb_image_list,
       FN_msb_image_list_free,
       FN_msb_image_free,
       FN_msb_image_info,
       FN_msb_image_remove,
       FN_msb_image_users,
       FN_msb_image_prune,
       FN_msb_state_name,
       FN_msb_sandbox_create,
       FN_msb_sandbox_start,
       FN_msb_sandbox_run_main,
       FN_msb_sandbox_open,
       FN_msb_sandbox_restart,
       FN_msb_sandbox_detach,
       FN_msb_sandbox_free,
       FN_msb_sandbox_name,
       FN_msb_sandbox_id,
       FN_msb_sandbox_fd,
       FN_msb_sandbox_state,
       FN_msb_sandbox_wait_ready,
       FN_msb_sandbox_stop,
       FN_msb_sandbox_kill,
       FN_msb_sandbox_wait,
       FN_msb_sandbox_touch,
       FN_msb_sandbox_ping,
       FN_msb_sandbox_metrics,
       FN_msb_sandbox_console,
       FN_msb_sandbox_times,
       FN_msb_sandbox_engine,
       FN_msb_sandbox_accel,
       FN_msb_sandbox_walls,
       FN_msb_sandbox_warning,
       FN_msb_sandbox_inspect,
       FN_msb_sandbox_info_free,
       FN_msb_sandbox_list,
       FN_msb_sandbox_list_free,
       FN_msb_sandbox_list_count,
       FN_msb_sandbox_list_get,
       FN_msb_sandbox_remove,
       FN_msb_sandbox_modify,
       FN_msb_sandbox_pending,
       FN_msb_plan_free,
       FN_msb_plan_count,
       FN_msb_plan_get,
       FN_msb_doctor,
       FN_msb_report_free,
       FN_msb_report_count,
       FN_msb_report_get,
       FN_msb_repair,
       FN_msb_logs_open,
       FN_msb_logs_free,
       FN_msb_logs_next,
       FN_msb_logs_fd,
       FN_msb_logs_ended,
       FN_msb_exec_start,
       FN_msb_exec_session,
       FN_msb_exec_detach,
       FN_msb_exec_attach,
       FN_msb_exec_is_tty,
       FN_msb_exec_free,
       FN_msb_exec_fd,
       FN_msb_exec_next,
       FN_msb_exec_write,
       FN_msb_exec_close_stdin,
       FN_msb_exec_unread,
       FN_msb_exec_signal,
       FN_msb_exec_resize,
       FN_msb_exec_wait,
       FN_msb_exec_run,
       FN_msb_output_free,
       FN_msb_volume_create,
       FN_msb_volume_list,
       FN_msb_volumes_free,
       FN_msb_volumes_count,
       FN_msb_volumes_get,
       FN_msb_volume_remove,
       FN_msb_volume_prune,
       FN_msb_file_stat,
       FN_msb_file_list,
       FN_msb_file_list_free,
       FN_msb_file_list_count,
       FN_msb_file_list_get,
       FN_msb_file_mkdir,
       FN_msb_file_remove,
       FN_msb_file_rename,
       FN_msb_file_chmod,
       FN_msb_file_chown,
       FN_msb_file_symlink,
       FN_msb_file_copy,
       FN_msb_file_read,
       FN_msb_free,
       FN_msb_file_write,
       FN_msb_file_open,
       FN_msb_file_get,
       FN_msb_file_put,
       FN_msb_file_finish,
       FN_msb_file_close,
       FN_msb_copy_in,
       FN_msb_copy_out,
       FN_msb_copy_in_tar,
       FN_msb_copy_out_tar,
       FN_msb_copy_across,
       FN_msb_snapshot_create,
       FN_msb_snapshot_list,
       FN_msb_snapshots_free,
       FN_msb_snapshots_count,
       FN_msb_snapshots_get,
       FN_msb_snapshot_image,
       FN_msb_snapshot_verify,
       FN_msb_snapshot_remove,
       FN_msb_snapshot_save,
       FN_msb_snapshot_load,
       FN_msb_image_commit,
       FN_msb_image_save,
       FN_msb_sandbox_ports,
       FN_msb_net_explain,
       FN_msb_net_rules };

static const struct member members_msb_error[] = {
	{"code", K_I32, 0, 0},
	{"sys_errno", K_I32, 4, 0},
	{"message", K_CHARS, 8, 0},
	{"hint", K_CHARS, 1032, 0},
};
_Static_assert(offsetof(struct msb_error, code) == 0, "msb_error.code");
_Static_assert(offsetof(struct msb_error, sys_errno) == 4, "msb_error.sys_errno");
_Static_assert(offsetof(struct msb_error, message) == 8, "msb_error.message");
_Static_assert(offsetof(struct msb_error, hint) == 1032, "msb_error.hint");
static const struct member members_msb_pull_event[] = {
	{"kind", K_I32, 0, 0},
	{"reference", K_STR, 8, 0},
	{"digest", K_STR, 16, 0},
	{"layer", K_U32, 24, 0},
	{"layer_count", K_U32, 28, 0},
	{"done", K_U64, 32, 0},
	{"total", K_U64, 40, 0},
	{"cached", K_I32, 48, 0},
};
_Static_assert(offsetof(struct msb_pull_event, kind) == 0, "msb_pull_event.kind");
_Static_assert(offsetof(struct msb_pull_event, reference) == 8, "msb_pull_event.reference");
_Static_assert(offsetof(struct msb_pull_event, digest) == 16, "msb_pull_event.digest");
_Static_assert(offsetof(struct msb_pull_event, layer) == 24, "msb_pull_event.layer");
_Static_assert(offsetof(struct msb_pull_event, layer_count) == 28, "msb_pull_event.layer_count");
_Static_assert(offsetof(struct msb_pull_event, done) == 32, "msb_pull_event.done");
_Static_assert(offsetof(struct msb_pull_event, total) == 40, "msb_pull_event.total");
_Static_assert(offsetof(struct msb_pull_event, cached) == 48, "msb_pull_event.cached");
static const struct member members_msb_pull_opts[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"policy", K_I32, 8, 0},
	{"force", K_I32, 12, 0},
	{"insecure", K_I32, 16, 0},
	{"downloads", K_U32, 20, 0},
	{"ca_certs", K_STR, 24, 0},
	{"platform", K_STR, 32, 0},
	{"event", K_PULL_EVENT, 40, 0},
	{"event_arg", K_EVENT_ARG, 48, 0},
	{"root", K_I32, 56, 0},
	{"flags", K_U32, 60, 0},
};
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
static const struct member members_msb_image_info[] = {
	{"reference", K_STR, 0, 0},
	{"id", K_STR, 8, 0},
	{"platform", K_STR, 16, 0},
	{"size_bytes", K_U64, 24, 0},
	{"created_unix", K_I64, 32, 0},
	{"pulled_unix", K_I64, 40, 0},
	{"layer_count", K_U32, 48, 0},
	{"layers", K_STRS, 56, 0},
	{"entrypoint", K_STRS, 64, 0},
	{"cmd", K_STRS, 72, 0},
	{"env", K_STRS, 80, 0},
	{"workdir", K_STR, 88, 0},
	{"user", K_STR, 96, 0},
	{"stop_signal", K_STR, 104, 0},
	{"config_json", K_STR, 112, 0},
	{"config_digest", K_STR, 120, 0},
};
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
static const struct member members_msb_sandbox_opts[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"image", K_HANDLE, 8, TYPE_msb_image},
	{"name", K_STR, 16, 0},
	{"hostname", K_STR, 24, 0},
	{"cpus", K_U32, 32, 0},
	{"accel", K_I32, 36, 0},
	{"memory_bytes", K_U64, 40, 0},
	{"upper_bytes", K_U64, 48, 0},
	{"boot_timeout_ms", K_U32, 56, 0},
	{"log_fd", K_I32, 60, 0},
	{"log_level", K_STR, 64, 0},
	{"engine", K_I32, 72, 0},
	{"flags", K_U32, 76, 0},
	{"labels", K_STRS, 80, 0},
	{"max_duration_s", K_U32, 88, 0},
	{"idle_timeout_s", K_U32, 92, 0},
	{"replace_timeout_ms", K_U32, 96, 0},
	{"env", K_STRS, 104, 0},
	{"rlimits", K_STRS, 112, 0},
	{"workdir", K_STR, 120, 0},
	{"user", K_STR, 128, 0},
	{"entrypoint", K_STR, 136, 0},
	{"shell", K_STR, 144, 0},
	{"scripts", K_STRS, 152, 0},
	{"init", K_STR, 160, 0},
	{"init_args", K_STRS, 168, 0},
	{"init_env", K_STRS, 176, 0},
	{"command", K_STRS, 184, 0},
	{"mounts", K_LIST, 192, SHAPE_msb_mount},
	{"patches", K_LIST, 200, SHAPE_msb_patch},
	{"snapshot", K_STR, 208, 0},
	{"upper", K_I32, 216, 0},
	{"network", K_STRUCT, 224, SHAPE_msb_network},
	{"secrets", K_LIST, 232, SHAPE_msb_secret},
	{"tls", K_STRUCT, 240, SHAPE_msb_tls},
};
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
static const struct member members_msb_start_opts[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"log_fd", K_I32, 8, 0},
	{"flags", K_U32, 12, 0},
	{"log_level", K_STR, 16, 0},
	{"secrets", K_LIST, 24, SHAPE_msb_secret},
};
_Static_assert(offsetof(struct msb_start_opts, size) == 0, "msb_start_opts.size");
_Static_assert(offsetof(struct msb_start_opts, log_fd) == 8, "msb_start_opts.log_fd");
_Static_assert(offsetof(struct msb_start_opts, flags) == 12, "msb_start_opts.flags");
_Static_assert(offsetof(struct msb_start_opts, log_level) == 16, "msb_start_opts.log_level");
_Static_assert(offsetof(struct msb_start_opts, secrets) == 24, "msb_start_opts.secrets");
static const struct member members_msb_metrics[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"time_ns", K_U64, 8, 0},
	{"unix_ms", K_U64, 16, 0},
	{"uptime_ns", K_U64, 24, 0},
	{"cpu_ns", K_U64, 32, 0},
	{"memory_bytes", K_U64, 40, 0},
	{"memory_resident_bytes", K_U64, 48, 0},
	{"memory_returned_bytes", K_U64, 56, 0},
	{"disk_read_bytes", K_U64, 64, 0},
	{"disk_write_bytes", K_U64, 72, 0},
	{"disk_reads", K_U64, 80, 0},
	{"disk_writes", K_U64, 88, 0},
	{"net_rx_bytes", K_U64, 96, 0},
	{"net_tx_bytes", K_U64, 104, 0},
	{"upper_bytes", K_U64, 112, 0},
	{"upper_used_bytes", K_U64, 120, 0},
	{"cpus", K_U32, 128, 0},
	{"sessions", K_U32, 132, 0},
	{"net_rx_packets", K_U64, 136, 0},
	{"net_tx_packets", K_U64, 144, 0},
	{"net_flows", K_U64, 152, 0},
	{"net_open", K_U64, 160, 0},
	{"net_denied", K_U64, 168, 0},
	{"net_refused", K_U64, 176, 0},
	{"net_dns_queries", K_U64, 184, 0},
	{"net_dns_denied", K_U64, 192, 0},
	{"tls_flows", K_U64, 200, 0},
	{"tls_refused", K_U64, 208, 0},
	{"secrets_used", K_U64, 216, 0},
	{"secret_violations", K_U64, 224, 0},
	{"secrets_masked", K_U64, 232, 0},
};
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
static const struct member members_msb_sandbox_times[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"create_ns", K_U64, 8, 0},
	{"launched_ns", K_U64, 16, 0},
	{"spawn_ns", K_U64, 24, 0},
	{"init_ns", K_U64, 32, 0},
	{"ready_ns", K_U64, 40, 0},
};
_Static_assert(offsetof(struct msb_sandbox_times, size) == 0, "msb_sandbox_times.size");
_Static_assert(offsetof(struct msb_sandbox_times, create_ns) == 8, "msb_sandbox_times.create_ns");
_Static_assert(offsetof(struct msb_sandbox_times, launched_ns) == 16, "msb_sandbox_times.launched_ns");
_Static_assert(offsetof(struct msb_sandbox_times, spawn_ns) == 24, "msb_sandbox_times.spawn_ns");
_Static_assert(offsetof(struct msb_sandbox_times, init_ns) == 32, "msb_sandbox_times.init_ns");
_Static_assert(offsetof(struct msb_sandbox_times, ready_ns) == 40, "msb_sandbox_times.ready_ns");
static const struct member members_msb_sandbox_info[] = {
	{"name", K_STR, 0, 0},
	{"image", K_STR, 8, 0},
	{"state", K_I32, 16, 0},
	{"cpus", K_U32, 20, 0},
	{"memory_bytes", K_U64, 24, 0},
	{"engine", K_STR, 32, 0},
	{"accel", K_STR, 40, 0},
	{"walls", K_STRS, 48, 0},
	{"boundary", K_STR, 56, 0},
	{"pid", K_I64, 64, 0},
	{"owner_pid", K_I64, 72, 0},
	{"started_unix", K_I64, 80, 0},
	{"id", K_STR, 88, 0},
	{"labels", K_STRS, 96, 0},
	{"created_unix", K_I64, 104, 0},
	{"ended_unix", K_I64, 112, 0},
	{"end_reason", K_STR, 120, 0},
	{"end_message", K_STR, 128, 0},
	{"exit_code", K_I32, 136, 0},
	{"flags", K_U32, 140, 0},
	{"max_duration_s", K_U32, 144, 0},
	{"idle_timeout_s", K_U32, 148, 0},
	{"upper_bytes", K_U64, 152, 0},
	{"disk_bytes", K_U64, 160, 0},
	{"image_id", K_STR, 168, 0},
	{"hostname", K_STR, 176, 0},
	{"env", K_STRS, 184, 0},
	{"rlimits", K_STRS, 192, 0},
	{"workdir", K_STR, 200, 0},
	{"user", K_STR, 208, 0},
	{"entrypoint", K_STR, 216, 0},
	{"shell", K_STR, 224, 0},
	{"scripts", K_STRS, 232, 0},
	{"init", K_STR, 240, 0},
	{"command", K_STRS, 248, 0},
	{"started_ms", K_U64, 256, 0},
	{"ready_ms", K_U64, 264, 0},
	{"ended_ms", K_U64, 272, 0},
	{"created_ms", K_U64, 280, 0},
	{"patches", K_STRS, 288, 0},
	{"mounts", K_LIST, 296, SHAPE_msb_mount},
	{"network", K_STRUCT, 304, SHAPE_msb_network},
	{"secrets", K_LIST, 312, SHAPE_msb_secret},
	{"tls", K_STRUCT, 320, SHAPE_msb_tls},
};
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
static const struct member members_msb_modify_opts[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"dry_run", K_I32, 8, 0},
	{"cpus", K_U32, 12, 0},
	{"memory_bytes", K_U64, 16, 0},
	{"env", K_STRS, 24, 0},
	{"env_rm", K_STRS, 32, 0},
	{"labels", K_STRS, 40, 0},
	{"labels_rm", K_STRS, 48, 0},
	{"workdir", K_STR, 56, 0},
	{"user", K_STR, 64, 0},
	{"hostname", K_STR, 72, 0},
	{"shell", K_STR, 80, 0},
	{"max_duration_s", K_I32, 88, 0},
	{"idle_timeout_s", K_I32, 92, 0},
	{"upper_bytes", K_U64, 96, 0},
	{"secrets", K_LIST, 104, SHAPE_msb_secret},
	{"secrets_rm", K_STRS, 112, 0},
};
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
static const struct member members_msb_change[] = {
	{"field", K_STR, 0, 0},
	{"before", K_STR, 8, 0},
	{"after", K_STR, 16, 0},
	{"effect", K_I32, 24, 0},
};
_Static_assert(offsetof(struct msb_change, field) == 0, "msb_change.field");
_Static_assert(offsetof(struct msb_change, before) == 8, "msb_change.before");
_Static_assert(offsetof(struct msb_change, after) == 16, "msb_change.after");
_Static_assert(offsetof(struct msb_change, effect) == 24, "msb_change.effect");
static const struct member members_msb_check[] = {
	{"name", K_STR, 0, 0},
	{"status", K_I32, 8, 0},
	{"message", K_STR, 16, 0},
	{"fix", K_STR, 24, 0},
};
_Static_assert(offsetof(struct msb_check, name) == 0, "msb_check.name");
_Static_assert(offsetof(struct msb_check, status) == 8, "msb_check.status");
_Static_assert(offsetof(struct msb_check, message) == 16, "msb_check.message");
_Static_assert(offsetof(struct msb_check, fix) == 24, "msb_check.fix");
static const struct member members_msb_log_opts[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"sources", K_U32, 8, 0},
	{"follow", K_U32, 12, 0},
	{"tail", K_U64, 16, 0},
	{"since_ms", K_I64, 24, 0},
	{"until_ms", K_I64, 32, 0},
	{"session", K_BIG, 40, 0},
};
_Static_assert(offsetof(struct msb_log_opts, size) == 0, "msb_log_opts.size");
_Static_assert(offsetof(struct msb_log_opts, sources) == 8, "msb_log_opts.sources");
_Static_assert(offsetof(struct msb_log_opts, follow) == 12, "msb_log_opts.follow");
_Static_assert(offsetof(struct msb_log_opts, tail) == 16, "msb_log_opts.tail");
_Static_assert(offsetof(struct msb_log_opts, since_ms) == 24, "msb_log_opts.since_ms");
_Static_assert(offsetof(struct msb_log_opts, until_ms) == 32, "msb_log_opts.until_ms");
_Static_assert(offsetof(struct msb_log_opts, session) == 40, "msb_log_opts.session");
static const struct member members_msb_log_entry[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"unix_ms", K_I64, 8, 0},
	{"session", K_BIG, 16, 0},
	{"source", K_I32, 24, 0},
	{"data", K_BYTES, 32, 40},
	{"len", K_SIZE, 40, 0},
};
_Static_assert(offsetof(struct msb_log_entry, size) == 0, "msb_log_entry.size");
_Static_assert(offsetof(struct msb_log_entry, unix_ms) == 8, "msb_log_entry.unix_ms");
_Static_assert(offsetof(struct msb_log_entry, session) == 16, "msb_log_entry.session");
_Static_assert(offsetof(struct msb_log_entry, source) == 24, "msb_log_entry.source");
_Static_assert(offsetof(struct msb_log_entry, data) == 32, "msb_log_entry.data");
_Static_assert(offsetof(struct msb_log_entry, len) == 40, "msb_log_entry.len");
static const struct member members_msb_exec_opts[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"flags", K_U32, 8, 0},
	{"rows", K_U16, 12, 0},
	{"cols", K_U16, 14, 0},
	{"argv", K_STRS, 16, 0},
	{"env", K_STRS, 24, 0},
	{"rlimits", K_STRS, 32, 0},
	{"entrypoint", K_STR, 40, 0},
	{"cwd", K_STR, 48, 0},
	{"user", K_STR, 56, 0},
};
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
static const struct member members_msb_exec_event[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"kind", K_I32, 8, 0},
	{"pid", K_U32, 12, 0},
	{"data", K_BYTES, 16, 24},
	{"len", K_SIZE, 24, 0},
	{"code", K_I32, 32, 0},
	{"signal", K_I32, 36, 0},
	{"error_no", K_I32, 40, 0},
	{"stage", K_STR, 48, 0},
	{"message", K_STR, 56, 0},
};
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
static const struct member members_msb_output[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"code", K_I32, 8, 0},
	{"signal", K_I32, 12, 0},
	{"out", K_BYTES, 16, 32},
	{"err", K_BYTES, 24, 40},
	{"out_len", K_SIZE, 32, 0},
	{"err_len", K_SIZE, 40, 0},
	{"truncated", K_U32, 48, 0},
};
_Static_assert(offsetof(struct msb_output, size) == 0, "msb_output.size");
_Static_assert(offsetof(struct msb_output, code) == 8, "msb_output.code");
_Static_assert(offsetof(struct msb_output, signal) == 12, "msb_output.signal");
_Static_assert(offsetof(struct msb_output, out) == 16, "msb_output.out");
_Static_assert(offsetof(struct msb_output, err) == 24, "msb_output.err");
_Static_assert(offsetof(struct msb_output, out_len) == 32, "msb_output.out_len");
_Static_assert(offsetof(struct msb_output, err_len) == 40, "msb_output.err_len");
_Static_assert(offsetof(struct msb_output, truncated) == 48, "msb_output.truncated");
static const struct member members_msb_mount[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"kind", K_I32, 8, 0},
	{"flags", K_U32, 12, 0},
	{"source", K_STR, 16, 0},
	{"target", K_STR, 24, 0},
	{"cache", K_I32, 32, 0},
	{"uid", K_U32, 36, 0},
	{"gid", K_U32, 40, 0},
	{"quota_bytes", K_U64, 48, 0},
	{"size_bytes", K_U64, 56, 0},
	{"mode", K_U32, 64, 0},
	{"volume_kind", K_I32, 68, 0},
	{"format", K_STR, 72, 0},
	{"fstype", K_STR, 80, 0},
};
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
static const struct member members_msb_volume_info[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"name", K_STR, 8, 0},
	{"path", K_STR, 16, 0},
	{"kind", K_I32, 24, 0},
	{"size_bytes", K_U64, 32, 0},
	{"used_bytes", K_U64, 40, 0},
	{"created_ms", K_I64, 48, 0},
	{"users", K_STRS, 56, 0},
	{"in_use", K_U32, 64, 0},
};
_Static_assert(offsetof(struct msb_volume_info, size) == 0, "msb_volume_info.size");
_Static_assert(offsetof(struct msb_volume_info, name) == 8, "msb_volume_info.name");
_Static_assert(offsetof(struct msb_volume_info, path) == 16, "msb_volume_info.path");
_Static_assert(offsetof(struct msb_volume_info, kind) == 24, "msb_volume_info.kind");
_Static_assert(offsetof(struct msb_volume_info, size_bytes) == 32, "msb_volume_info.size_bytes");
_Static_assert(offsetof(struct msb_volume_info, used_bytes) == 40, "msb_volume_info.used_bytes");
_Static_assert(offsetof(struct msb_volume_info, created_ms) == 48, "msb_volume_info.created_ms");
_Static_assert(offsetof(struct msb_volume_info, users) == 56, "msb_volume_info.users");
_Static_assert(offsetof(struct msb_volume_info, in_use) == 64, "msb_volume_info.in_use");
static const struct member members_msb_volume_opts[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"kind", K_I32, 8, 0},
	{"size_bytes", K_U64, 16, 0},
};
_Static_assert(offsetof(struct msb_volume_opts, size) == 0, "msb_volume_opts.size");
_Static_assert(offsetof(struct msb_volume_opts, kind) == 8, "msb_volume_opts.kind");
_Static_assert(offsetof(struct msb_volume_opts, size_bytes) == 16, "msb_volume_opts.size_bytes");
static const struct member members_msb_patch[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"kind", K_I32, 8, 0},
	{"flags", K_U32, 12, 0},
	{"path", K_STR, 16, 0},
	{"source", K_STR, 24, 0},
	{"data", K_BYTES, 32, 40},
	{"data_len", K_SIZE, 40, 0},
	{"mode", K_U32, 48, 0},
	{"uid", K_U32, 52, 0},
	{"gid", K_U32, 56, 0},
};
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
static const struct member members_msb_file_info[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"path", K_STR, 8, 0},
	{"target", K_STR, 16, 0},
	{"mode", K_U32, 24, 0},
	{"uid", K_U32, 28, 0},
	{"gid", K_U32, 32, 0},
	{"nlink", K_U32, 36, 0},
	{"rdev", K_U32, 40, 0},
	{"size_bytes", K_U64, 48, 0},
	{"mtime_s", K_I64, 56, 0},
	{"mtime_ns", K_U32, 64, 0},
};
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
static const struct member members_msb_file_opts[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"mode", K_I32, 8, 0},
	{"flags", K_U32, 12, 0},
	{"permissions", K_U32, 16, 0},
	{"offset", K_U64, 24, 0},
	{"length", K_U64, 32, 0},
};
_Static_assert(offsetof(struct msb_file_opts, size) == 0, "msb_file_opts.size");
_Static_assert(offsetof(struct msb_file_opts, mode) == 8, "msb_file_opts.mode");
_Static_assert(offsetof(struct msb_file_opts, flags) == 12, "msb_file_opts.flags");
_Static_assert(offsetof(struct msb_file_opts, permissions) == 16, "msb_file_opts.permissions");
_Static_assert(offsetof(struct msb_file_opts, offset) == 24, "msb_file_opts.offset");
_Static_assert(offsetof(struct msb_file_opts, length) == 32, "msb_file_opts.length");
static const struct member members_msb_copy_event[] = {
	{"path", K_STR, 0, 0},
	{"files", K_U64, 8, 0},
	{"bytes", K_U64, 16, 0},
};
_Static_assert(offsetof(struct msb_copy_event, path) == 0, "msb_copy_event.path");
_Static_assert(offsetof(struct msb_copy_event, files) == 8, "msb_copy_event.files");
_Static_assert(offsetof(struct msb_copy_event, bytes) == 16, "msb_copy_event.bytes");
static const struct member members_msb_copy_opts[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"flags", K_U32, 8, 0},
	{"event", K_COPY_EVENT, 16, 0},
	{"event_arg", K_EVENT_ARG, 24, 0},
};
_Static_assert(offsetof(struct msb_copy_opts, size) == 0, "msb_copy_opts.size");
_Static_assert(offsetof(struct msb_copy_opts, flags) == 8, "msb_copy_opts.flags");
_Static_assert(offsetof(struct msb_copy_opts, event) == 16, "msb_copy_opts.event");
_Static_assert(offsetof(struct msb_copy_opts, event_arg) == 24, "msb_copy_opts.event_arg");
static const struct member members_msb_snapshot_info[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"name", K_STR, 8, 0},
	{"digest", K_STR, 16, 0},
	{"image", K_STR, 24, 0},
	{"image_id", K_STR, 32, 0},
	{"sandbox", K_STR, 40, 0},
	{"parent", K_STR, 48, 0},
	{"content", K_STR, 56, 0},
	{"size_bytes", K_U64, 64, 0},
	{"used_bytes", K_U64, 72, 0},
	{"created_ms", K_I64, 80, 0},
	{"labels", K_STRS, 88, 0},
	{"path", K_STR, 96, 0},
};
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
static const struct member members_msb_snapshot_opts[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"labels", K_STRS, 8, 0},
	{"flags", K_U32, 16, 0},
	{"event", K_COPY_EVENT, 24, 0},
	{"event_arg", K_EVENT_ARG, 32, 0},
};
_Static_assert(offsetof(struct msb_snapshot_opts, size) == 0, "msb_snapshot_opts.size");
_Static_assert(offsetof(struct msb_snapshot_opts, labels) == 8, "msb_snapshot_opts.labels");
_Static_assert(offsetof(struct msb_snapshot_opts, flags) == 16, "msb_snapshot_opts.flags");
_Static_assert(offsetof(struct msb_snapshot_opts, event) == 24, "msb_snapshot_opts.event");
_Static_assert(offsetof(struct msb_snapshot_opts, event_arg) == 32, "msb_snapshot_opts.event_arg");
static const struct member members_msb_commit_opts[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"author", K_STR, 8, 0},
	{"message", K_STR, 16, 0},
	{"changes", K_STRS, 24, 0},
};
_Static_assert(offsetof(struct msb_commit_opts, size) == 0, "msb_commit_opts.size");
_Static_assert(offsetof(struct msb_commit_opts, author) == 8, "msb_commit_opts.author");
_Static_assert(offsetof(struct msb_commit_opts, message) == 16, "msb_commit_opts.message");
_Static_assert(offsetof(struct msb_commit_opts, changes) == 24, "msb_commit_opts.changes");
static const struct member members_msb_save_opts[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"format", K_I32, 8, 0},
	{"event", K_PULL_EVENT, 16, 0},
	{"event_arg", K_EVENT_ARG, 24, 0},
};
_Static_assert(offsetof(struct msb_save_opts, size) == 0, "msb_save_opts.size");
_Static_assert(offsetof(struct msb_save_opts, format) == 8, "msb_save_opts.format");
_Static_assert(offsetof(struct msb_save_opts, event) == 16, "msb_save_opts.event");
_Static_assert(offsetof(struct msb_save_opts, event_arg) == 24, "msb_save_opts.event_arg");
static const struct member members_msb_port[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"bind", K_STR, 8, 0},
	{"host", K_U16, 16, 0},
	{"guest", K_U16, 18, 0},
	{"flags", K_U32, 20, 0},
};
_Static_assert(offsetof(struct msb_port, size) == 0, "msb_port.size");
_Static_assert(offsetof(struct msb_port, bind) == 8, "msb_port.bind");
_Static_assert(offsetof(struct msb_port, host) == 16, "msb_port.host");
_Static_assert(offsetof(struct msb_port, guest) == 18, "msb_port.guest");
_Static_assert(offsetof(struct msb_port, flags) == 20, "msb_port.flags");
static const struct member members_msb_rate[] = {
	{"per_second", K_U64, 0, 0},
	{"burst", K_U64, 8, 0},
};
_Static_assert(offsetof(struct msb_rate, per_second) == 0, "msb_rate.per_second");
_Static_assert(offsetof(struct msb_rate, burst) == 8, "msb_rate.burst");
static const struct member members_msb_network[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"flags", K_U32, 8, 0},
	{"profile", K_STR, 16, 0},
	{"rules", K_STRS, 24, 0},
	{"default_egress", K_I32, 32, 0},
	{"default_ingress", K_I32, 36, 0},
	{"ports", K_LIST, 40, SHAPE_msb_port},
	{"nameservers", K_STRS, 48, 0},
	{"dns_timeout_ms", K_U32, 56, 0},
	{"ipv4_pool", K_STR, 64, 0},
	{"ipv6_pool", K_STR, 72, 0},
	{"mtu", K_U32, 80, 0},
	{"egress_bytes", K_EMBED, 88, SHAPE_msb_rate},
	{"egress_packets", K_EMBED, 104, SHAPE_msb_rate},
	{"ingress_bytes", K_EMBED, 120, SHAPE_msb_rate},
	{"ingress_packets", K_EMBED, 136, SHAPE_msb_rate},
	{"max_connections", K_U32, 152, 0},
	{"proxy", K_STR, 160, 0},
	{"socks4_user_id", K_STR, 168, 0},
	{"socks5_username", K_STR, 176, 0},
	{"socks5_password_env", K_STR, 184, 0},
	{"vsock", K_STRS, 192, 0},
	{"pcap", K_STR, 200, 0},
};
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
static const struct member members_msb_secret[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"env", K_STR, 8, 0},
	{"value", K_STR, 16, 0},
	{"source", K_STR, 24, 0},
	{"placeholder", K_STR, 32, 0},
	{"hosts", K_STRS, 40, 0},
	{"flags", K_U32, 48, 0},
	{"violation", K_I32, 52, 0},
};
_Static_assert(offsetof(struct msb_secret, size) == 0, "msb_secret.size");
_Static_assert(offsetof(struct msb_secret, env) == 8, "msb_secret.env");
_Static_assert(offsetof(struct msb_secret, value) == 16, "msb_secret.value");
_Static_assert(offsetof(struct msb_secret, source) == 24, "msb_secret.source");
_Static_assert(offsetof(struct msb_secret, placeholder) == 32, "msb_secret.placeholder");
_Static_assert(offsetof(struct msb_secret, hosts) == 40, "msb_secret.hosts");
_Static_assert(offsetof(struct msb_secret, flags) == 48, "msb_secret.flags");
_Static_assert(offsetof(struct msb_secret, violation) == 52, "msb_secret.violation");
static const struct member members_msb_tls[] = {
	{"size", K_STRUCT_SIZE, 0, 0},
	{"flags", K_U32, 8, 0},
	{"violation", K_I32, 12, 0},
	{"ports", K_STRS, 16, 0},
	{"bypass", K_STRS, 24, 0},
	{"ca_cert", K_STR, 32, 0},
	{"ca_key", K_STR, 40, 0},
	{"upstream_cas", K_STRS, 48, 0},
	{"upstream_cas_for", K_STRS, 56, 0},
	{"no_verify_for", K_STRS, 64, 0},
};
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

const struct shape shapes[] = {
	[SHAPE_msb_error] = {"msb_error", sizeof(struct msb_error), members_msb_error,
		sizeof(members_msb_error) / sizeof(struct member)},
	[SHAPE_msb_pull_event] = {"msb_pull_event", sizeof(struct msb_pull_event), members_msb_pull_event,
		sizeof(members_msb_pull_event) / sizeof(struct member)},
	[SHAPE_msb_pull_opts] = {"msb_pull_opts", sizeof(struct msb_pull_opts), members_msb_pull_opts,
		sizeof(members_msb_pull_opts) / sizeof(struct member)},
	[SHAPE_msb_image_info] = {"msb_image_info", sizeof(struct msb_image_info), members_msb_image_info,
		sizeof(members_msb_image_info) / sizeof(struct member)},
	[SHAPE_msb_sandbox_opts] = {"msb_sandbox_opts", sizeof(struct msb_sandbox_opts), members_msb_sandbox_opts,
		sizeof(members_msb_sandbox_opts) / sizeof(struct member)},
	[SHAPE_msb_start_opts] = {"msb_start_opts", sizeof(struct msb_start_opts), members_msb_start_opts,
		sizeof(members_msb_start_opts) / sizeof(struct member)},
	[SHAPE_msb_metrics] = {"msb_metrics", sizeof(struct msb_metrics), members_msb_metrics,
		sizeof(members_msb_metrics) / sizeof(struct member)},
	[SHAPE_msb_sandbox_times] = {"msb_sandbox_times", sizeof(struct msb_sandbox_times), members_msb_sandbox_times,
		sizeof(members_msb_sandbox_times) / sizeof(struct member)},
	[SHAPE_msb_sandbox_info] = {"msb_sandbox_info", sizeof(struct msb_sandbox_info), members_msb_sandbox_info,
		sizeof(members_msb_sandbox_info) / sizeof(struct member)},
	[SHAPE_msb_modify_opts] = {"msb_modify_opts", sizeof(struct msb_modify_opts), members_msb_modify_opts,
		sizeof(members_msb_modify_opts) / sizeof(struct member)},
	[SHAPE_msb_change] = {"msb_change", sizeof(struct msb_change), members_msb_change,
		sizeof(members_msb_change) / sizeof(struct member)},
	[SHAPE_msb_check] = {"msb_check", sizeof(struct msb_check), members_msb_check,
		sizeof(members_msb_check) / sizeof(struct member)},
	[SHAPE_msb_log_opts] = {"msb_log_opts", sizeof(struct msb_log_opts), members_msb_log_opts,
		sizeof(members_msb_log_opts) / sizeof(struct member)},
	[SHAPE_msb_log_entry] = {"msb_log_entry", sizeof(struct msb_log_entry), members_msb_log_entry,
		sizeof(members_msb_log_entry) / sizeof(struct member)},
	[SHAPE_msb_exec_opts] = {"msb_exec_opts", sizeof(struct msb_exec_opts), members_msb_exec_opts,
		sizeof(members_msb_exec_opts) / sizeof(struct member)},
	[SHAPE_msb_exec_event] = {"msb_exec_event", sizeof(struct msb_exec_event), members_msb_exec_event,
		sizeof(members_msb_exec_event) / sizeof(struct member)},
	[SHAPE_msb_output] = {"msb_output", sizeof(struct msb_output), members_msb_output,
		sizeof(members_msb_output) / sizeof(struct member)},
	[SHAPE_msb_mount] = {"msb_mount", sizeof(struct msb_mount), members_msb_mount,
		sizeof(members_msb_mount) / sizeof(struct member)},
	[SHAPE_msb_volume_info] = {"msb_volume_info", sizeof(struct msb_volume_info), members_msb_volume_info,
		sizeof(members_msb_volume_info) / sizeof(struct member)},
	[SHAPE_msb_volume_opts] = {"msb_volume_opts", sizeof(struct msb_volume_opts), members_msb_volume_opts,
		sizeof(members_msb_volume_opts) / sizeof(struct member)},
	[SHAPE_msb_patch] = {"msb_patch", sizeof(struct msb_patch), members_msb_patch,
		sizeof(members_msb_patch) / sizeof(struct member)},
	[SHAPE_msb_file_info] = {"msb_file_info", sizeof(struct msb_file_info), members_msb_file_info,
		sizeof(members_msb_file_info) / sizeof(struct member)},
	[SHAPE_msb_file_opts] = {"msb_file_opts", sizeof(struct msb_file_opts), members_msb_file_opts,
		sizeof(members_msb_file_opts) / sizeof(struct member)},
	[SHAPE_msb_copy_event] = {"msb_copy_event", sizeof(struct msb_copy_event), members_msb_copy_event,
		sizeof(members_msb_copy_event) / sizeof(struct member)},
	[SHAPE_msb_copy_opts] = {"msb_copy_opts", sizeof(struct msb_copy_opts), members_msb_copy_opts,
		sizeof(members_msb_copy_opts) / sizeof(struct member)},
	[SHAPE_msb_snapshot_info] = {"msb_snapshot_info", sizeof(struct msb_snapshot_info), members_msb_snapshot_info,
		sizeof(members_msb_snapshot_info) / sizeof(struct member)},
	[SHAPE_msb_snapshot_opts] = {"msb_snapshot_opts", sizeof(struct msb_snapshot_opts), members_msb_snapshot_opts,
		sizeof(members_msb_snapshot_opts) / sizeof(struct member)},
	[SHAPE_msb_commit_opts] = {"msb_commit_opts", sizeof(struct msb_commit_opts), members_msb_commit_opts,
		sizeof(members_msb_commit_opts) / sizeof(struct member)},
	[SHAPE_msb_save_opts] = {"msb_save_opts", sizeof(struct msb_save_opts), members_msb_save_opts,
		sizeof(members_msb_save_opts) / sizeof(struct member)},
	[SHAPE_msb_port] = {"msb_port", sizeof(struct msb_port), members_msb_port,
		sizeof(members_msb_port) / sizeof(struct member)},
	[SHAPE_msb_rate] = {"msb_rate", sizeof(struct msb_rate), members_msb_rate,
		sizeof(members_msb_rate) / sizeof(struct member)},
	[SHAPE_msb_network] = {"msb_network", sizeof(struct msb_network), members_msb_network,
		sizeof(members_msb_network) / sizeof(struct member)},
	[SHAPE_msb_secret] = {"msb_secret", sizeof(struct msb_secret), members_msb_secret,
		sizeof(members_msb_secret) / sizeof(struct member)},
	[SHAPE_msb_tls] = {"msb_tls", sizeof(struct msb_tls), members_msb_tls,
		sizeof(members_msb_tls) / sizeof(struct member)},
};
const size_t shape_count = sizeof(shapes) / sizeof(shapes[0]);

const struct handle_type handle_types[] = {
	[TYPE_msb_home] = {"msb_home", FN_msb_home_free, 1},
	[TYPE_msb_image] = {"msb_image", FN_msb_image_free, 1},
	[TYPE_msb_sandbox] = {"msb_sandbox", FN_msb_sandbox_free, 1},
	[TYPE_msb_exec] = {"msb_exec", FN_msb_exec_free, 0},
	[TYPE_msb_logs] = {"msb_logs", FN_msb_logs_free, 0},
	[TYPE_msb_file] = {"msb_file", FN_msb_file_close, 0},
};
const struct list_type list_types[] = {
	[LIST_msb_sandbox_list] = {FN_msb_sandbox_list_count, FN_msb_sandbox_list_get, FN_msb_sandbox_list_free, SHAPE_msb_sandbox_info},
	[LIST_msb_plan] = {FN_msb_plan_count, FN_msb_plan_get, FN_msb_plan_free, SHAPE_msb_change},
	[LIST_msb_report] = {FN_msb_report_count, FN_msb_report_get, FN_msb_report_free, SHAPE_msb_check},
	[LIST_msb_volumes] = {FN_msb_volumes_count, FN_msb_volumes_get, FN_msb_volumes_free, SHAPE_msb_volume_info},
	[LIST_msb_snapshots] = {FN_msb_snapshots_count, FN_msb_snapshots_get, FN_msb_snapshots_free, SHAPE_msb_snapshot_info},
	[LIST_msb_file_list] = {FN_msb_file_list_count, FN_msb_file_list_get, FN_msb_file_list_free, SHAPE_msb_file_info},
};
const struct owned_type owned_types[] = {
	[OWNED_msb_sandbox_info] = {SHAPE_msb_sandbox_info, FN_msb_sandbox_info_free},
	[OWNED_msb_output] = {SHAPE_msb_output, FN_msb_output_free},
};

static void call_msb_code_name(void *fn, union val *v)
{
	v[0].p = (void *)((__typeof__(&msb_code_name))fn)((int32_t)v[1].i);
}

static void call_msb_version(void *fn, union val *v)
{
	v[0].p = (void *)((__typeof__(&msb_version))fn)();
}

static void call_msb_cancel_new(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_cancel_new))fn)(v[1].p, v[2].p);
}

static void call_msb_cancel_use(void *fn, union val *v)
{
	((__typeof__(&msb_cancel_use))fn)(v[1].p);
}

static void call_msb_cancel_fire(void *fn, union val *v)
{
	((__typeof__(&msb_cancel_fire))fn)(v[1].p);
}

static void call_msb_cancel_reset(void *fn, union val *v)
{
	((__typeof__(&msb_cancel_reset))fn)(v[1].p);
}

static void call_msb_cancel_free(void *fn, union val *v)
{
	((__typeof__(&msb_cancel_free))fn)(v[1].p);
}

static void call_msb_home_open(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_home_open))fn)(v[1].p, v[2].p, v[3].p);
}

static void call_msb_home_free(void *fn, union val *v)
{
	((__typeof__(&msb_home_free))fn)(v[1].p);
}

static void call_msb_home_path(void *fn, union val *v)
{
	v[0].p = (void *)((__typeof__(&msb_home_path))fn)(v[1].p);
}

static void call_msb_image_pull(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_image_pull))fn)(v[1].p, v[2].p, v[3].p, v[4].p, v[5].p);
}

static void call_msb_image_load(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_image_load))fn)(v[1].p, v[2].p, v[3].p, v[4].p, v[5].p, v[6].p);
}

static void call_msb_strings_free(void *fn, union val *v)
{
	((__typeof__(&msb_strings_free))fn)(v[1].p);
}

static void call_msb_image_open(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_image_open))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

static void call_msb_image_list(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_image_list))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

static void call_msb_image_list_free(void *fn, union val *v)
{
	((__typeof__(&msb_image_list_free))fn)(v[1].p, (size_t)v[2].i);
}

static void call_msb_image_free(void *fn, union val *v)
{
	((__typeof__(&msb_image_free))fn)(v[1].p);
}

static void call_msb_image_info(void *fn, union val *v)
{
	v[0].p = (void *)((__typeof__(&msb_image_info))fn)(v[1].p);
}

static void call_msb_image_remove(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_image_remove))fn)(v[1].p, v[2].p, v[3].p);
}

static void call_msb_image_users(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_image_users))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

static void call_msb_image_prune(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_image_prune))fn)(v[1].p, (int)v[2].i, v[3].p, v[4].p, v[5].p);
}

static void call_msb_state_name(void *fn, union val *v)
{
	v[0].p = (void *)((__typeof__(&msb_state_name))fn)((int32_t)v[1].i);
}

static void call_msb_sandbox_create(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_create))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

static void call_msb_sandbox_start(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_start))fn)(v[1].p, v[2].p, v[3].p, v[4].p, v[5].p);
}

static void call_msb_sandbox_run_main(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_run_main))fn)(v[1].p, v[2].p);
}

static void call_msb_sandbox_open(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_open))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

static void call_msb_sandbox_restart(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_restart))fn)(v[1].p, v[2].p, (uint32_t)v[3].i, v[4].p, v[5].p, v[6].p);
}

static void call_msb_sandbox_detach(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_detach))fn)(v[1].p, v[2].p);
}

static void call_msb_sandbox_free(void *fn, union val *v)
{
	((__typeof__(&msb_sandbox_free))fn)(v[1].p);
}

static void call_msb_sandbox_name(void *fn, union val *v)
{
	v[0].p = (void *)((__typeof__(&msb_sandbox_name))fn)(v[1].p);
}

static void call_msb_sandbox_id(void *fn, union val *v)
{
	v[0].p = (void *)((__typeof__(&msb_sandbox_id))fn)(v[1].p);
}

static void call_msb_sandbox_fd(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_fd))fn)(v[1].p);
}

static void call_msb_sandbox_state(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_state))fn)(v[1].p);
}

static void call_msb_sandbox_wait_ready(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_wait_ready))fn)(v[1].p, (int)v[2].i, v[3].p);
}

static void call_msb_sandbox_stop(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_stop))fn)(v[1].p, (uint32_t)v[2].i, v[3].p);
}

static void call_msb_sandbox_kill(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_kill))fn)(v[1].p, v[2].p);
}

static void call_msb_sandbox_wait(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_wait))fn)(v[1].p, (int)v[2].i, v[3].p);
}

static void call_msb_sandbox_touch(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_touch))fn)(v[1].p, v[2].p);
}

static void call_msb_sandbox_ping(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_ping))fn)(v[1].p, (int)v[2].i, v[3].p, v[4].p);
}

static void call_msb_sandbox_metrics(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_metrics))fn)(v[1].p, v[2].p, v[3].p);
}

static void call_msb_sandbox_console(void *fn, union val *v)
{
	v[0].p = (void *)((__typeof__(&msb_sandbox_console))fn)(v[1].p);
}

static void call_msb_sandbox_times(void *fn, union val *v)
{
	((__typeof__(&msb_sandbox_times))fn)(v[1].p, v[2].p);
}

static void call_msb_sandbox_engine(void *fn, union val *v)
{
	v[0].p = (void *)((__typeof__(&msb_sandbox_engine))fn)(v[1].p);
}

static void call_msb_sandbox_accel(void *fn, union val *v)
{
	v[0].p = (void *)((__typeof__(&msb_sandbox_accel))fn)(v[1].p);
}

static void call_msb_sandbox_walls(void *fn, union val *v)
{
	v[0].p = (void *)((__typeof__(&msb_sandbox_walls))fn)(v[1].p);
}

static void call_msb_sandbox_warning(void *fn, union val *v)
{
	v[0].p = (void *)((__typeof__(&msb_sandbox_warning))fn)(v[1].p);
}

static void call_msb_sandbox_inspect(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_inspect))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

static void call_msb_sandbox_info_free(void *fn, union val *v)
{
	((__typeof__(&msb_sandbox_info_free))fn)(v[1].p);
}

static void call_msb_sandbox_list(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_list))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

static void call_msb_sandbox_list_free(void *fn, union val *v)
{
	((__typeof__(&msb_sandbox_list_free))fn)(v[1].p);
}

static void call_msb_sandbox_list_count(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_list_count))fn)(v[1].p);
}

static void call_msb_sandbox_list_get(void *fn, union val *v)
{
	v[0].p = (void *)((__typeof__(&msb_sandbox_list_get))fn)(v[1].p, (size_t)v[2].i);
}

static void call_msb_sandbox_remove(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_remove))fn)(v[1].p, v[2].p, (uint32_t)v[3].i, v[4].p);
}

static void call_msb_sandbox_modify(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_modify))fn)(v[1].p, v[2].p, v[3].p, v[4].p, v[5].p);
}

static void call_msb_sandbox_pending(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_pending))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

static void call_msb_plan_free(void *fn, union val *v)
{
	((__typeof__(&msb_plan_free))fn)(v[1].p);
}

static void call_msb_plan_count(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_plan_count))fn)(v[1].p);
}

static void call_msb_plan_get(void *fn, union val *v)
{
	v[0].p = (void *)((__typeof__(&msb_plan_get))fn)(v[1].p, (size_t)v[2].i);
}

static void call_msb_doctor(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_doctor))fn)(v[1].p, v[2].p, v[3].p);
}

static void call_msb_report_free(void *fn, union val *v)
{
	((__typeof__(&msb_report_free))fn)(v[1].p);
}

static void call_msb_report_count(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_report_count))fn)(v[1].p);
}

static void call_msb_report_get(void *fn, union val *v)
{
	v[0].p = (void *)((__typeof__(&msb_report_get))fn)(v[1].p, (size_t)v[2].i);
}

static void call_msb_repair(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_repair))fn)(v[1].p, (int)v[2].i, v[3].p, v[4].p);
}

static void call_msb_logs_open(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_logs_open))fn)(v[1].p, v[2].p, v[3].p, v[4].p, v[5].p);
}

static void call_msb_logs_free(void *fn, union val *v)
{
	((__typeof__(&msb_logs_free))fn)(v[1].p);
}

static void call_msb_logs_next(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_logs_next))fn)(v[1].p, (int)v[2].i, v[3].p, v[4].p);
}

static void call_msb_logs_fd(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_logs_fd))fn)(v[1].p);
}

static void call_msb_logs_ended(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_logs_ended))fn)(v[1].p);
}

static void call_msb_exec_start(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_exec_start))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

static void call_msb_exec_session(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_exec_session))fn)(v[1].p);
}

static void call_msb_exec_detach(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_exec_detach))fn)(v[1].p, v[2].p);
}

static void call_msb_exec_attach(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_exec_attach))fn)(v[1].p, (uint64_t)v[2].i, v[3].p, v[4].p);
}

static void call_msb_exec_is_tty(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_exec_is_tty))fn)(v[1].p);
}

static void call_msb_exec_free(void *fn, union val *v)
{
	((__typeof__(&msb_exec_free))fn)(v[1].p);
}

static void call_msb_exec_fd(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_exec_fd))fn)(v[1].p);
}

static void call_msb_exec_next(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_exec_next))fn)(v[1].p, (int)v[2].i, v[3].p, v[4].p);
}

static void call_msb_exec_write(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_exec_write))fn)(v[1].p, v[2].p, (size_t)v[3].i, v[4].p);
}

static void call_msb_exec_close_stdin(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_exec_close_stdin))fn)(v[1].p, v[2].p);
}

static void call_msb_exec_unread(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_exec_unread))fn)(v[1].p);
}

static void call_msb_exec_signal(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_exec_signal))fn)(v[1].p, (int)v[2].i, v[3].p);
}

static void call_msb_exec_resize(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_exec_resize))fn)(v[1].p, (uint16_t)v[2].i, (uint16_t)v[3].i, v[4].p);
}

static void call_msb_exec_wait(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_exec_wait))fn)(v[1].p, (int)v[2].i, v[3].p, v[4].p);
}

static void call_msb_exec_run(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_exec_run))fn)(v[1].p, v[2].p, v[3].p, (size_t)v[4].i, (size_t)v[5].i, (int)v[6].i, v[7].p, v[8].p);
}

static void call_msb_output_free(void *fn, union val *v)
{
	((__typeof__(&msb_output_free))fn)(v[1].p);
}

static void call_msb_volume_create(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_volume_create))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

static void call_msb_volume_list(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_volume_list))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

static void call_msb_volumes_free(void *fn, union val *v)
{
	((__typeof__(&msb_volumes_free))fn)(v[1].p);
}

static void call_msb_volumes_count(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_volumes_count))fn)(v[1].p);
}

static void call_msb_volumes_get(void *fn, union val *v)
{
	v[0].p = (void *)((__typeof__(&msb_volumes_get))fn)(v[1].p, (size_t)v[2].i);
}

static void call_msb_volume_remove(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_volume_remove))fn)(v[1].p, v[2].p, (int)v[3].i, v[4].p);
}

static void call_msb_volume_prune(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_volume_prune))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

static void call_msb_file_stat(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_file_stat))fn)(v[1].p, v[2].p, (uint32_t)v[3].i, v[4].p, v[5].p);
}

static void call_msb_file_list(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_file_list))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

static void call_msb_file_list_free(void *fn, union val *v)
{
	((__typeof__(&msb_file_list_free))fn)(v[1].p);
}

static void call_msb_file_list_count(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_file_list_count))fn)(v[1].p);
}

static void call_msb_file_list_get(void *fn, union val *v)
{
	v[0].p = (void *)((__typeof__(&msb_file_list_get))fn)(v[1].p, (size_t)v[2].i);
}

static void call_msb_file_mkdir(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_file_mkdir))fn)(v[1].p, v[2].p, (uint32_t)v[3].i, (uint32_t)v[4].i, v[5].p);
}

static void call_msb_file_remove(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_file_remove))fn)(v[1].p, v[2].p, (uint32_t)v[3].i, v[4].p);
}

static void call_msb_file_rename(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_file_rename))fn)(v[1].p, v[2].p, v[3].p, (uint32_t)v[4].i, v[5].p);
}

static void call_msb_file_chmod(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_file_chmod))fn)(v[1].p, v[2].p, (uint32_t)v[3].i, v[4].p);
}

static void call_msb_file_chown(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_file_chown))fn)(v[1].p, v[2].p, (uint32_t)v[3].i, (uint32_t)v[4].i, (uint32_t)v[5].i, v[6].p);
}

static void call_msb_file_symlink(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_file_symlink))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

static void call_msb_file_copy(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_file_copy))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

static void call_msb_file_read(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_file_read))fn)(v[1].p, v[2].p, (size_t)v[3].i, v[4].p, v[5].p, v[6].p);
}

static void call_msb_free(void *fn, union val *v)
{
	((__typeof__(&msb_free))fn)(v[1].p);
}

static void call_msb_file_write(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_file_write))fn)(v[1].p, v[2].p, v[3].p, (size_t)v[4].i, (uint32_t)v[5].i, (uint32_t)v[6].i, v[7].p);
}

static void call_msb_file_open(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_file_open))fn)(v[1].p, v[2].p, v[3].p, v[4].p, v[5].p);
}

static void call_msb_file_get(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_file_get))fn)(v[1].p, v[2].p, (size_t)v[3].i, v[4].p);
}

static void call_msb_file_put(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_file_put))fn)(v[1].p, v[2].p, (size_t)v[3].i, v[4].p);
}

static void call_msb_file_finish(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_file_finish))fn)(v[1].p, v[2].p);
}

static void call_msb_file_close(void *fn, union val *v)
{
	((__typeof__(&msb_file_close))fn)(v[1].p);
}

static void call_msb_copy_in(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_copy_in))fn)(v[1].p, v[2].p, v[3].p, v[4].p, v[5].p);
}

static void call_msb_copy_out(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_copy_out))fn)(v[1].p, v[2].p, v[3].p, v[4].p, v[5].p);
}

static void call_msb_copy_in_tar(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_copy_in_tar))fn)(v[1].p, (int)v[2].i, v[3].p, v[4].p, v[5].p);
}

static void call_msb_copy_out_tar(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_copy_out_tar))fn)(v[1].p, v[2].p, (int)v[3].i, v[4].p, v[5].p);
}

static void call_msb_copy_across(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_copy_across))fn)(v[1].p, v[2].p, v[3].p, v[4].p, v[5].p, v[6].p);
}

static void call_msb_snapshot_create(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_snapshot_create))fn)(v[1].p, v[2].p, v[3].p, v[4].p, v[5].p);
}

static void call_msb_snapshot_list(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_snapshot_list))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

static void call_msb_snapshots_free(void *fn, union val *v)
{
	((__typeof__(&msb_snapshots_free))fn)(v[1].p);
}

static void call_msb_snapshots_count(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_snapshots_count))fn)(v[1].p);
}

static void call_msb_snapshots_get(void *fn, union val *v)
{
	v[0].p = (void *)((__typeof__(&msb_snapshots_get))fn)(v[1].p, (size_t)v[2].i);
}

static void call_msb_snapshot_image(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_snapshot_image))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

static void call_msb_snapshot_verify(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_snapshot_verify))fn)(v[1].p, v[2].p, v[3].p);
}

static void call_msb_snapshot_remove(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_snapshot_remove))fn)(v[1].p, v[2].p, v[3].p);
}

static void call_msb_snapshot_save(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_snapshot_save))fn)(v[1].p, v[2].p, v[3].p, (uint32_t)v[4].i, v[5].p);
}

static void call_msb_snapshot_load(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_snapshot_load))fn)(v[1].p, v[2].p, v[3].p, v[4].p, v[5].p);
}

static void call_msb_image_commit(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_image_commit))fn)(v[1].p, v[2].p, v[3].p, v[4].p, v[5].p, v[6].p);
}

static void call_msb_image_save(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_image_save))fn)(v[1].p, v[2].p, v[3].p, v[4].p, v[5].p);
}

static void call_msb_sandbox_ports(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_sandbox_ports))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

static void call_msb_net_explain(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_net_explain))fn)(v[1].p, v[2].p, v[3].p, (uint16_t)v[4].i, v[5].p, v[6].p, v[7].p);
}

static void call_msb_net_rules(void *fn, union val *v)
{
	v[0].i = (int64_t)((__typeof__(&msb_net_rules))fn)(v[1].p, v[2].p, v[3].p, v[4].p);
}

const struct func funcs[] = {
	[FN_msb_code_name] = {"msb_code_name", call_msb_code_name, R_STR, 0, 0, 1,
		{{P_I32, 0}}},
	[FN_msb_version] = {"msb_version", call_msb_version, R_STR, 0, 0, 0,
		{{0, 0}}},
	[FN_msb_cancel_new] = {"msb_cancel_new", call_msb_cancel_new, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_cancel_use] = {"msb_cancel_use", call_msb_cancel_use, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_cancel_fire] = {"msb_cancel_fire", call_msb_cancel_fire, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_cancel_reset] = {"msb_cancel_reset", call_msb_cancel_reset, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_cancel_free] = {"msb_cancel_free", call_msb_cancel_free, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_home_open] = {"msb_home_open", call_msb_home_open, R_INT, 0, 0, 3,
		{{P_STR, 0}, {P_HANDLE_OUT, TYPE_msb_home}, {P_ERROR, 0}}},
	[FN_msb_home_free] = {"msb_home_free", call_msb_home_free, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_home_path] = {"msb_home_path", call_msb_home_path, R_STR, 0, 0, 1,
		{{P_HANDLE, TYPE_msb_home}}},
	[FN_msb_image_pull] = {"msb_image_pull", call_msb_image_pull, R_INT, 0, 0, 5,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_OPTS, SHAPE_msb_pull_opts}, {P_HANDLE_OUT, TYPE_msb_image}, {P_ERROR, 0}}},
	[FN_msb_image_load] = {"msb_image_load", call_msb_image_load, R_INT, 0, 0, 6,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_STR, 0}, {P_OPTS, SHAPE_msb_pull_opts}, {P_STRS_OUT, 0}, {P_ERROR, 0}}},
	[FN_msb_strings_free] = {"msb_strings_free", call_msb_strings_free, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_image_open] = {"msb_image_open", call_msb_image_open, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_HANDLE_OUT, TYPE_msb_image}, {P_ERROR, 0}}},
	[FN_msb_image_list] = {"msb_image_list", call_msb_image_list, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_home}, {P_HANDLES_OUT, TYPE_msb_image}, {P_LEN_OUT, 0}, {P_ERROR, 0}}},
	[FN_msb_image_list_free] = {"msb_image_list_free", call_msb_image_list_free, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_image_free] = {"msb_image_free", call_msb_image_free, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_image_info] = {"msb_image_info", call_msb_image_info, R_STRUCT, SHAPE_msb_image_info, 0, 1,
		{{P_HANDLE, TYPE_msb_image}}},
	[FN_msb_image_remove] = {"msb_image_remove", call_msb_image_remove, R_INT, 0, 0, 3,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_ERROR, 0}}},
	[FN_msb_image_users] = {"msb_image_users", call_msb_image_users, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_STRS_OUT, 0}, {P_ERROR, 0}}},
	[FN_msb_image_prune] = {"msb_image_prune", call_msb_image_prune, R_INT, 0, 0, 5,
		{{P_HANDLE, TYPE_msb_home}, {P_I32, 0}, {P_U64_OUT, 0}, {P_U32_OUT, 0}, {P_ERROR, 0}}},
	[FN_msb_state_name] = {"msb_state_name", call_msb_state_name, R_STR, 0, 0, 1,
		{{P_I32, 0}}},
	[FN_msb_sandbox_create] = {"msb_sandbox_create", call_msb_sandbox_create, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_home}, {P_OPTS, SHAPE_msb_sandbox_opts}, {P_HANDLE_OUT, TYPE_msb_sandbox}, {P_ERROR, 0}}},
	[FN_msb_sandbox_start] = {"msb_sandbox_start", call_msb_sandbox_start, R_INT, 0, 0, 5,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_OPTS, SHAPE_msb_start_opts}, {P_HANDLE_OUT, TYPE_msb_sandbox}, {P_ERROR, 0}}},
	[FN_msb_sandbox_run_main] = {"msb_sandbox_run_main", call_msb_sandbox_run_main, R_INT, 0, 0, 2,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_ERROR, 0}}},
	[FN_msb_sandbox_open] = {"msb_sandbox_open", call_msb_sandbox_open, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_HANDLE_OUT, TYPE_msb_sandbox}, {P_ERROR, 0}}},
	[FN_msb_sandbox_restart] = {"msb_sandbox_restart", call_msb_sandbox_restart, R_INT, 0, 0, 6,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_U32, 0}, {P_OPTS, SHAPE_msb_start_opts}, {P_HANDLE_OUT, TYPE_msb_sandbox}, {P_ERROR, 0}}},
	[FN_msb_sandbox_detach] = {"msb_sandbox_detach", call_msb_sandbox_detach, R_INT, 0, 0, 2,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_ERROR, 0}}},
	[FN_msb_sandbox_free] = {"msb_sandbox_free", call_msb_sandbox_free, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_sandbox_name] = {"msb_sandbox_name", call_msb_sandbox_name, R_STR, 0, 0, 1,
		{{P_HANDLE, TYPE_msb_sandbox}}},
	[FN_msb_sandbox_id] = {"msb_sandbox_id", call_msb_sandbox_id, R_STR, 0, 0, 1,
		{{P_HANDLE, TYPE_msb_sandbox}}},
	[FN_msb_sandbox_fd] = {"msb_sandbox_fd", call_msb_sandbox_fd, R_INT, 0, 0, 1,
		{{P_HANDLE, TYPE_msb_sandbox}}},
	[FN_msb_sandbox_state] = {"msb_sandbox_state", call_msb_sandbox_state, R_INT, 0, 0, 1,
		{{P_HANDLE, TYPE_msb_sandbox}}},
	[FN_msb_sandbox_wait_ready] = {"msb_sandbox_wait_ready", call_msb_sandbox_wait_ready, R_INT, 0, 0, 3,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_I32, 0}, {P_ERROR, 0}}},
	[FN_msb_sandbox_stop] = {"msb_sandbox_stop", call_msb_sandbox_stop, R_INT, 0, 0, 3,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_U32, 0}, {P_ERROR, 0}}},
	[FN_msb_sandbox_kill] = {"msb_sandbox_kill", call_msb_sandbox_kill, R_INT, 0, 0, 2,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_ERROR, 0}}},
	[FN_msb_sandbox_wait] = {"msb_sandbox_wait", call_msb_sandbox_wait, R_INT, 0, 0, 3,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_I32, 0}, {P_ERROR, 0}}},
	[FN_msb_sandbox_touch] = {"msb_sandbox_touch", call_msb_sandbox_touch, R_INT, 0, 0, 2,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_ERROR, 0}}},
	[FN_msb_sandbox_ping] = {"msb_sandbox_ping", call_msb_sandbox_ping, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_I32, 0}, {P_U64_OUT, 0}, {P_ERROR, 0}}},
	[FN_msb_sandbox_metrics] = {"msb_sandbox_metrics", call_msb_sandbox_metrics, R_INT, 0, 0, 3,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_FILL, SHAPE_msb_metrics}, {P_ERROR, 0}}},
	[FN_msb_sandbox_console] = {"msb_sandbox_console", call_msb_sandbox_console, R_STR, 0, 0, 1,
		{{P_HANDLE, TYPE_msb_sandbox}}},
	[FN_msb_sandbox_times] = {"msb_sandbox_times", call_msb_sandbox_times, R_VOID, 0, 0, 2,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_FILL, SHAPE_msb_sandbox_times}}},
	[FN_msb_sandbox_engine] = {"msb_sandbox_engine", call_msb_sandbox_engine, R_STR, 0, 0, 1,
		{{P_HANDLE, TYPE_msb_sandbox}}},
	[FN_msb_sandbox_accel] = {"msb_sandbox_accel", call_msb_sandbox_accel, R_STR, 0, 0, 1,
		{{P_HANDLE, TYPE_msb_sandbox}}},
	[FN_msb_sandbox_walls] = {"msb_sandbox_walls", call_msb_sandbox_walls, R_STRS, 0, 0, 1,
		{{P_HANDLE, TYPE_msb_sandbox}}},
	[FN_msb_sandbox_warning] = {"msb_sandbox_warning", call_msb_sandbox_warning, R_STR, 0, 0, 1,
		{{P_HANDLE, TYPE_msb_sandbox}}},
	[FN_msb_sandbox_inspect] = {"msb_sandbox_inspect", call_msb_sandbox_inspect, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_OWNED_OUT, OWNED_msb_sandbox_info}, {P_ERROR, 0}}},
	[FN_msb_sandbox_info_free] = {"msb_sandbox_info_free", call_msb_sandbox_info_free, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_sandbox_list] = {"msb_sandbox_list", call_msb_sandbox_list, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_home}, {P_STRS, 0}, {P_LIST_OUT, LIST_msb_sandbox_list}, {P_ERROR, 0}}},
	[FN_msb_sandbox_list_free] = {"msb_sandbox_list_free", call_msb_sandbox_list_free, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_sandbox_list_count] = {"msb_sandbox_list_count", call_msb_sandbox_list_count, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_sandbox_list_get] = {"msb_sandbox_list_get", call_msb_sandbox_list_get, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_sandbox_remove] = {"msb_sandbox_remove", call_msb_sandbox_remove, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_U32, 0}, {P_ERROR, 0}}},
	[FN_msb_sandbox_modify] = {"msb_sandbox_modify", call_msb_sandbox_modify, R_INT, 0, 0, 5,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_OPTS, SHAPE_msb_modify_opts}, {P_LIST_OUT, LIST_msb_plan}, {P_ERROR, 0}}},
	[FN_msb_sandbox_pending] = {"msb_sandbox_pending", call_msb_sandbox_pending, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_LIST_OUT, LIST_msb_plan}, {P_ERROR, 0}}},
	[FN_msb_plan_free] = {"msb_plan_free", call_msb_plan_free, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_plan_count] = {"msb_plan_count", call_msb_plan_count, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_plan_get] = {"msb_plan_get", call_msb_plan_get, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_doctor] = {"msb_doctor", call_msb_doctor, R_INT, 0, 0, 3,
		{{P_STR, 0}, {P_LIST_OUT, LIST_msb_report}, {P_ERROR, 0}}},
	[FN_msb_report_free] = {"msb_report_free", call_msb_report_free, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_report_count] = {"msb_report_count", call_msb_report_count, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_report_get] = {"msb_report_get", call_msb_report_get, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_repair] = {"msb_repair", call_msb_repair, R_INT, 0, 0, 4,
		{{P_STR, 0}, {P_I32, 0}, {P_STRS_OUT, 0}, {P_ERROR, 0}}},
	[FN_msb_logs_open] = {"msb_logs_open", call_msb_logs_open, R_INT, 0, 0, 5,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_OPTS, SHAPE_msb_log_opts}, {P_HANDLE_OUT, TYPE_msb_logs}, {P_ERROR, 0}}},
	[FN_msb_logs_free] = {"msb_logs_free", call_msb_logs_free, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_logs_next] = {"msb_logs_next", call_msb_logs_next, R_NEXT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_logs}, {P_I32, 0}, {P_FILL, SHAPE_msb_log_entry}, {P_ERROR, 0}}},
	[FN_msb_logs_fd] = {"msb_logs_fd", call_msb_logs_fd, R_INT, 0, 0, 1,
		{{P_HANDLE, TYPE_msb_logs}}},
	[FN_msb_logs_ended] = {"msb_logs_ended", call_msb_logs_ended, R_INT, 0, 0, 1,
		{{P_HANDLE, TYPE_msb_logs}}},
	[FN_msb_exec_start] = {"msb_exec_start", call_msb_exec_start, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_OPTS, SHAPE_msb_exec_opts}, {P_HANDLE_OUT, TYPE_msb_exec}, {P_ERROR, 0}}},
	[FN_msb_exec_session] = {"msb_exec_session", call_msb_exec_session, R_BIG, 0, 0, 1,
		{{P_HANDLE, TYPE_msb_exec}}},
	[FN_msb_exec_detach] = {"msb_exec_detach", call_msb_exec_detach, R_INT, 0, 0, 2,
		{{P_HANDLE, TYPE_msb_exec}, {P_ERROR, 0}}},
	[FN_msb_exec_attach] = {"msb_exec_attach", call_msb_exec_attach, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_BIG, 0}, {P_HANDLE_OUT, TYPE_msb_exec}, {P_ERROR, 0}}},
	[FN_msb_exec_is_tty] = {"msb_exec_is_tty", call_msb_exec_is_tty, R_INT, 0, 0, 1,
		{{P_HANDLE, TYPE_msb_exec}}},
	[FN_msb_exec_free] = {"msb_exec_free", call_msb_exec_free, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_exec_fd] = {"msb_exec_fd", call_msb_exec_fd, R_INT, 0, 0, 1,
		{{P_HANDLE, TYPE_msb_exec}}},
	[FN_msb_exec_next] = {"msb_exec_next", call_msb_exec_next, R_NEXT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_exec}, {P_I32, 0}, {P_FILL, SHAPE_msb_exec_event}, {P_ERROR, 0}}},
	[FN_msb_exec_write] = {"msb_exec_write", call_msb_exec_write, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_exec}, {P_BYTES, 0}, {P_LEN, 0}, {P_ERROR, 0}}},
	[FN_msb_exec_close_stdin] = {"msb_exec_close_stdin", call_msb_exec_close_stdin, R_INT, 0, 0, 2,
		{{P_HANDLE, TYPE_msb_exec}, {P_ERROR, 0}}},
	[FN_msb_exec_unread] = {"msb_exec_unread", call_msb_exec_unread, R_INT, 0, 0, 1,
		{{P_HANDLE, TYPE_msb_exec}}},
	[FN_msb_exec_signal] = {"msb_exec_signal", call_msb_exec_signal, R_INT, 0, 0, 3,
		{{P_HANDLE, TYPE_msb_exec}, {P_I32, 0}, {P_ERROR, 0}}},
	[FN_msb_exec_resize] = {"msb_exec_resize", call_msb_exec_resize, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_exec}, {P_U16, 0}, {P_U16, 0}, {P_ERROR, 0}}},
	[FN_msb_exec_wait] = {"msb_exec_wait", call_msb_exec_wait, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_exec}, {P_I32, 0}, {P_I32_OUT, 0}, {P_ERROR, 0}}},
	[FN_msb_exec_run] = {"msb_exec_run", call_msb_exec_run, R_INT, 0, 0, 8,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_OPTS, SHAPE_msb_exec_opts}, {P_BYTES, 0}, {P_LEN, 0}, {P_SIZE, 0}, {P_I32, 0}, {P_OWNED_OUT, OWNED_msb_output}, {P_ERROR, 0}}},
	[FN_msb_output_free] = {"msb_output_free", call_msb_output_free, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_volume_create] = {"msb_volume_create", call_msb_volume_create, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_OPTS, SHAPE_msb_volume_opts}, {P_ERROR, 0}}},
	[FN_msb_volume_list] = {"msb_volume_list", call_msb_volume_list, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_LIST_OUT, LIST_msb_volumes}, {P_ERROR, 0}}},
	[FN_msb_volumes_free] = {"msb_volumes_free", call_msb_volumes_free, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_volumes_count] = {"msb_volumes_count", call_msb_volumes_count, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_volumes_get] = {"msb_volumes_get", call_msb_volumes_get, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_volume_remove] = {"msb_volume_remove", call_msb_volume_remove, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_I32, 0}, {P_ERROR, 0}}},
	[FN_msb_volume_prune] = {"msb_volume_prune", call_msb_volume_prune, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_home}, {P_STRS_OUT, 0}, {P_U64_OUT, 0}, {P_ERROR, 0}}},
	[FN_msb_file_stat] = {"msb_file_stat", call_msb_file_stat, R_INT, 0, 0, 5,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_STR, 0}, {P_U32, 0}, {P_FILL, SHAPE_msb_file_info}, {P_ERROR, 0}}},
	[FN_msb_file_list] = {"msb_file_list", call_msb_file_list, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_STR, 0}, {P_LIST_OUT, LIST_msb_file_list}, {P_ERROR, 0}}},
	[FN_msb_file_list_free] = {"msb_file_list_free", call_msb_file_list_free, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_file_list_count] = {"msb_file_list_count", call_msb_file_list_count, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_file_list_get] = {"msb_file_list_get", call_msb_file_list_get, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_file_mkdir] = {"msb_file_mkdir", call_msb_file_mkdir, R_INT, 0, 0, 5,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_STR, 0}, {P_U32, 0}, {P_U32, 0}, {P_ERROR, 0}}},
	[FN_msb_file_remove] = {"msb_file_remove", call_msb_file_remove, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_STR, 0}, {P_U32, 0}, {P_ERROR, 0}}},
	[FN_msb_file_rename] = {"msb_file_rename", call_msb_file_rename, R_INT, 0, 0, 5,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_STR, 0}, {P_STR, 0}, {P_U32, 0}, {P_ERROR, 0}}},
	[FN_msb_file_chmod] = {"msb_file_chmod", call_msb_file_chmod, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_STR, 0}, {P_U32, 0}, {P_ERROR, 0}}},
	[FN_msb_file_chown] = {"msb_file_chown", call_msb_file_chown, R_INT, 0, 0, 6,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_STR, 0}, {P_U32, 0}, {P_U32, 0}, {P_U32, 0}, {P_ERROR, 0}}},
	[FN_msb_file_symlink] = {"msb_file_symlink", call_msb_file_symlink, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_STR, 0}, {P_STR, 0}, {P_ERROR, 0}}},
	[FN_msb_file_copy] = {"msb_file_copy", call_msb_file_copy, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_STR, 0}, {P_STR, 0}, {P_ERROR, 0}}},
	[FN_msb_file_read] = {"msb_file_read", call_msb_file_read, R_INT, 0, 0, 6,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_STR, 0}, {P_SIZE, 0}, {P_BYTES_OUT, 0}, {P_LEN_OUT, 0}, {P_ERROR, 0}}},
	[FN_msb_free] = {"msb_free", call_msb_free, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_file_write] = {"msb_file_write", call_msb_file_write, R_INT, 0, 0, 7,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_STR, 0}, {P_BYTES, 0}, {P_LEN, 0}, {P_U32, 0}, {P_U32, 0}, {P_ERROR, 0}}},
	[FN_msb_file_open] = {"msb_file_open", call_msb_file_open, R_INT, 0, 0, 5,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_STR, 0}, {P_OPTS, SHAPE_msb_file_opts}, {P_HANDLE_OUT, TYPE_msb_file}, {P_ERROR, 0}}},
	[FN_msb_file_get] = {"msb_file_get", call_msb_file_get, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_file}, {P_BUFFER, 0}, {P_LEN, 0}, {P_ERROR, 0}}},
	[FN_msb_file_put] = {"msb_file_put", call_msb_file_put, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_file}, {P_BYTES, 0}, {P_LEN, 0}, {P_ERROR, 0}}},
	[FN_msb_file_finish] = {"msb_file_finish", call_msb_file_finish, R_INT, 0, 0, 2,
		{{P_HANDLE, TYPE_msb_file}, {P_ERROR, 0}}},
	[FN_msb_file_close] = {"msb_file_close", call_msb_file_close, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_copy_in] = {"msb_copy_in", call_msb_copy_in, R_INT, 0, 0, 5,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_STR, 0}, {P_STR, 0}, {P_OPTS, SHAPE_msb_copy_opts}, {P_ERROR, 0}}},
	[FN_msb_copy_out] = {"msb_copy_out", call_msb_copy_out, R_INT, 0, 0, 5,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_STR, 0}, {P_STR, 0}, {P_OPTS, SHAPE_msb_copy_opts}, {P_ERROR, 0}}},
	[FN_msb_copy_in_tar] = {"msb_copy_in_tar", call_msb_copy_in_tar, R_INT, 0, 0, 5,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_I32, 0}, {P_STR, 0}, {P_OPTS, SHAPE_msb_copy_opts}, {P_ERROR, 0}}},
	[FN_msb_copy_out_tar] = {"msb_copy_out_tar", call_msb_copy_out_tar, R_INT, 0, 0, 5,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_STR, 0}, {P_I32, 0}, {P_OPTS, SHAPE_msb_copy_opts}, {P_ERROR, 0}}},
	[FN_msb_copy_across] = {"msb_copy_across", call_msb_copy_across, R_INT, 0, 0, 6,
		{{P_HANDLE, TYPE_msb_sandbox}, {P_STR, 0}, {P_HANDLE, TYPE_msb_sandbox}, {P_STR, 0}, {P_OPTS, SHAPE_msb_copy_opts}, {P_ERROR, 0}}},
	[FN_msb_snapshot_create] = {"msb_snapshot_create", call_msb_snapshot_create, R_INT, 0, 0, 5,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_STR, 0}, {P_OPTS, SHAPE_msb_snapshot_opts}, {P_ERROR, 0}}},
	[FN_msb_snapshot_list] = {"msb_snapshot_list", call_msb_snapshot_list, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_LIST_OUT, LIST_msb_snapshots}, {P_ERROR, 0}}},
	[FN_msb_snapshots_free] = {"msb_snapshots_free", call_msb_snapshots_free, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_snapshots_count] = {"msb_snapshots_count", call_msb_snapshots_count, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_snapshots_get] = {"msb_snapshots_get", call_msb_snapshots_get, R_VOID, 0, 1, 0,
		{{0, 0}}},
	[FN_msb_snapshot_image] = {"msb_snapshot_image", call_msb_snapshot_image, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_HANDLE_OUT, TYPE_msb_image}, {P_ERROR, 0}}},
	[FN_msb_snapshot_verify] = {"msb_snapshot_verify", call_msb_snapshot_verify, R_INT, 0, 0, 3,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_ERROR, 0}}},
	[FN_msb_snapshot_remove] = {"msb_snapshot_remove", call_msb_snapshot_remove, R_INT, 0, 0, 3,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_ERROR, 0}}},
	[FN_msb_snapshot_save] = {"msb_snapshot_save", call_msb_snapshot_save, R_INT, 0, 0, 5,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_STR, 0}, {P_U32, 0}, {P_ERROR, 0}}},
	[FN_msb_snapshot_load] = {"msb_snapshot_load", call_msb_snapshot_load, R_INT, 0, 0, 5,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_STR, 0}, {P_STR_OUT, 0}, {P_ERROR, 0}}},
	[FN_msb_image_commit] = {"msb_image_commit", call_msb_image_commit, R_INT, 0, 0, 6,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_STR, 0}, {P_OPTS, SHAPE_msb_commit_opts}, {P_STR_OUT, 0}, {P_ERROR, 0}}},
	[FN_msb_image_save] = {"msb_image_save", call_msb_image_save, R_INT, 0, 0, 5,
		{{P_HANDLE, TYPE_msb_home}, {P_STRS, 0}, {P_OPTS, SHAPE_msb_save_opts}, {P_STR, 0}, {P_ERROR, 0}}},
	[FN_msb_sandbox_ports] = {"msb_sandbox_ports", call_msb_sandbox_ports, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_STR_OUT, 0}, {P_ERROR, 0}}},
	[FN_msb_net_explain] = {"msb_net_explain", call_msb_net_explain, R_INT, 0, 0, 7,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_STR, 0}, {P_U16, 0}, {P_STR, 0}, {P_STR_OUT, 0}, {P_ERROR, 0}}},
	[FN_msb_net_rules] = {"msb_net_rules", call_msb_net_rules, R_INT, 0, 0, 4,
		{{P_HANDLE, TYPE_msb_home}, {P_STR, 0}, {P_STR_OUT, 0}, {P_ERROR, 0}}},
};
const size_t func_count = sizeof(funcs) / sizeof(funcs[0]);

const struct known known = {
	.cancel_new = FN_msb_cancel_new,
	.cancel_use = FN_msb_cancel_use,
	.cancel_fire = FN_msb_cancel_fire,
	.cancel_reset = FN_msb_cancel_reset,
	.cancel_free = FN_msb_cancel_free,
	.strings_free = FN_msb_strings_free,
	.free = FN_msb_free,
	.image_list_free = FN_msb_image_list_free,
};
const int pull_event_shape = SHAPE_msb_pull_event;
const int copy_event_shape = SHAPE_msb_copy_event;
