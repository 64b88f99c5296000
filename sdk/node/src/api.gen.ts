// Made by native/gen.mjs from sdk/api.json: do not edit.

/** What the addon can call. */
export type NativeFunction =
  | "msb_code_name"
  | "msb_version"
  | "msb_home_open"
  | "msb_home_path"
  | "msb_image_pull"
  | "msb_image_load"
  | "msb_image_open"
  | "msb_image_list"
  | "msb_image_info"
  | "msb_image_remove"
  | "msb_image_users"
  | "msb_image_prune"
  | "msb_state_name"
  | "msb_sandbox_create"
  | "msb_sandbox_start"
  | "msb_sandbox_run_main"
  | "msb_sandbox_open"
  | "msb_sandbox_restart"
  | "msb_sandbox_detach"
  | "msb_sandbox_name"
  | "msb_sandbox_id"
  | "msb_sandbox_fd"
  | "msb_sandbox_state"
  | "msb_sandbox_wait_ready"
  | "msb_sandbox_stop"
  | "msb_sandbox_kill"
  | "msb_sandbox_wait"
  | "msb_sandbox_touch"
  | "msb_sandbox_ping"
  | "msb_sandbox_metrics"
  | "msb_sandbox_console"
  | "msb_sandbox_times"
  | "msb_sandbox_engine"
  | "msb_sandbox_accel"
  | "msb_sandbox_walls"
  | "msb_sandbox_warning"
  | "msb_sandbox_inspect"
  | "msb_sandbox_list"
  | "msb_sandbox_remove"
  | "msb_sandbox_modify"
  | "msb_sandbox_pending"
  | "msb_doctor"
  | "msb_repair"
  | "msb_logs_open"
  | "msb_logs_next"
  | "msb_logs_fd"
  | "msb_logs_ended"
  | "msb_exec_start"
  | "msb_exec_session"
  | "msb_exec_detach"
  | "msb_exec_attach"
  | "msb_exec_is_tty"
  | "msb_exec_fd"
  | "msb_exec_next"
  | "msb_exec_write"
  | "msb_exec_close_stdin"
  | "msb_exec_unread"
  | "msb_exec_signal"
  | "msb_exec_resize"
  | "msb_exec_wait"
  | "msb_exec_run"
  | "msb_volume_create"
  | "msb_volume_list"
  | "msb_volume_remove"
  | "msb_volume_prune"
  | "msb_file_stat"
  | "msb_file_list"
  | "msb_file_mkdir"
  | "msb_file_remove"
  | "msb_file_rename"
  | "msb_file_chmod"
  | "msb_file_chown"
  | "msb_file_symlink"
  | "msb_file_copy"
  | "msb_file_read"
  | "msb_file_write"
  | "msb_file_open"
  | "msb_file_get"
  | "msb_file_put"
  | "msb_file_finish"
  | "msb_copy_in"
  | "msb_copy_out"
  | "msb_copy_in_tar"
  | "msb_copy_out_tar"
  | "msb_copy_across"
  | "msb_snapshot_create"
  | "msb_snapshot_list"
  | "msb_snapshot_image"
  | "msb_snapshot_verify"
  | "msb_snapshot_remove"
  | "msb_snapshot_save"
  | "msb_snapshot_load"
  | "msb_image_commit"
  | "msb_image_save"
  | "msb_sandbox_ports"
  | "msb_net_explain"
  | "msb_net_rules";

export const msb_code = {
  MSB_OK: 0,
  MSB_ERR_INTERNAL: 1,
  MSB_ERR_INVALID: 2,
  MSB_ERR_NOT_FOUND: 3,
  MSB_ERR_EXISTS: 4,
  MSB_ERR_BUSY: 5,
  MSB_ERR_NO_MEMORY: 6,
  MSB_ERR_NO_SPACE: 7,
  MSB_ERR_IO: 8,
  MSB_ERR_PERMISSION: 9,
  MSB_ERR_UNSUPPORTED: 10,
  MSB_ERR_TIMEOUT: 11,
  MSB_ERR_CANCELLED: 12,
  MSB_ERR_AUTH: 13,
  MSB_ERR_NETWORK: 14,
  MSB_ERR_DIGEST: 15,
  MSB_ERR_INSTALL: 16,
  MSB_ERR_BOOT: 17,
  MSB_ERR_GONE: 18,
  MSB_ERR_PROTOCOL: 19,
  MSB_ERR_EXEC: 20,
} as const;

export const msb_pull_policy = {
  MSB_PULL_MISSING: 0,
  MSB_PULL_ALWAYS: 1,
  MSB_PULL_NEVER: 2,
} as const;

export const msb_pull_event_kind = {
  MSB_PULL_RESOLVING: 0,
  MSB_PULL_RESOLVED: 1,
  MSB_PULL_LAYER: 2,
  MSB_PULL_LAYER_DONE: 3,
  MSB_PULL_MERGING: 4,
  MSB_PULL_DONE: 5,
} as const;

export const msb_root = {
  MSB_ROOT_PACKED: 0,
  MSB_ROOT_LIVE: 1,
} as const;

export const msb_pull_flags = {
  MSB_PULL_NO_LINKS: 1,
} as const;

export const msb_engine = {
  MSB_ENGINE_DEFAULT: 0,
  MSB_ENGINE_AUTO: 1,
  MSB_ENGINE_KVM: 2,
  MSB_ENGINE_QEMU: 3,
} as const;

export const msb_accel = {
  MSB_ACCEL_DEFAULT: 0,
  MSB_ACCEL_TCG: 1,
  MSB_ACCEL_KVM: 2,
  MSB_ACCEL_AUTO: 3,
} as const;

export const msb_state = {
  MSB_STATE_STARTING: 0,
  MSB_STATE_READY: 1,
  MSB_STATE_FAILED: 2,
  MSB_STATE_STOPPED: 3,
  MSB_STATE_CREATED: 4,
  MSB_STATE_CRASHED: 5,
} as const;

export const msb_sandbox_flags = {
  MSB_SANDBOX_KEEP: 1,
  MSB_SANDBOX_REPLACE: 2,
  MSB_SANDBOX_NO_START: 4,
  MSB_SANDBOX_DETACHED: 8,
} as const;

export const msb_upper = {
  MSB_UPPER_DISK: 0,
  MSB_UPPER_TMPFS: 1,
} as const;

export const msb_start_flags = {
  MSB_START_NO_LINKS: 1,
} as const;

export const msb_remove_flags = {
  MSB_REMOVE_FORCE: 1,
} as const;

export const msb_effect = {
  MSB_EFFECT_NOW: 0,
  MSB_EFFECT_NEXT_START: 1,
} as const;

export const msb_check_status = {
  MSB_CHECK_OK: 0,
  MSB_CHECK_INFO: 1,
  MSB_CHECK_WARN: 2,
  MSB_CHECK_FAIL: 3,
} as const;

export const msb_log_source = {
  MSB_LOG_STDOUT: 1,
  MSB_LOG_STDERR: 2,
  MSB_LOG_OUTPUT: 4,
  MSB_LOG_CONSOLE: 8,
  MSB_LOG_SYSTEM: 16,
} as const;

export const msb_exec_flags = {
  MSB_EXEC_TTY: 1,
  MSB_EXEC_STDIN: 2,
  MSB_EXEC_IMAGE_COMMAND: 4,
  MSB_EXEC_SHELL: 8,
  MSB_EXEC_NO_LOG: 16,
  MSB_EXEC_MAIN: 32,
} as const;

export const msb_exec_event_kind = {
  MSB_EXEC_STARTED: 1,
  MSB_EXEC_STDOUT: 2,
  MSB_EXEC_STDERR: 3,
  MSB_EXEC_FAILED: 4,
  MSB_EXEC_EXITED: 5,
  MSB_EXEC_WRITABLE: 6,
} as const;

export const msb_mount_kind = {
  MSB_MOUNT_DIR: 1,
  MSB_MOUNT_FILE: 2,
  MSB_MOUNT_NAMED: 3,
  MSB_MOUNT_DISK: 4,
  MSB_MOUNT_TMPFS: 5,
} as const;

export const msb_mount_flags = {
  MSB_MOUNT_READ_ONLY: 1,
  MSB_MOUNT_NOEXEC: 2,
  MSB_MOUNT_NOSUID: 4,
  MSB_MOUNT_NODEV: 8,
  MSB_MOUNT_OWNER: 16,
  MSB_MOUNT_CREATE: 32,
  MSB_MOUNT_FOLLOW: 64,
  MSB_MOUNT_NO_LINKS: 128,
} as const;

export const msb_cache = {
  MSB_CACHE_AUTO: 0,
  MSB_CACHE_ALWAYS: 1,
  MSB_CACHE_NONE: 2,
} as const;

export const msb_volume_kind = {
  MSB_VOLUME_DIR: 0,
  MSB_VOLUME_DISK: 1,
} as const;

export const msb_patch_kind = {
  MSB_PATCH_FILE: 1,
  MSB_PATCH_COPY: 2,
  MSB_PATCH_APPEND: 3,
  MSB_PATCH_MKDIR: 4,
  MSB_PATCH_SYMLINK: 5,
  MSB_PATCH_REMOVE: 6,
  MSB_PATCH_SET_MODE: 7,
  MSB_PATCH_SET_OWNER: 8,
} as const;

export const msb_patch_flags = {
  MSB_PATCH_REPLACE: 1,
  MSB_PATCH_MODE: 2,
  MSB_PATCH_OWNER: 4,
  MSB_PATCH_NO_LINKS: 8,
} as const;

export const msb_file_flags = {
  MSB_FILE_NO_FOLLOW: 1,
  MSB_FILE_RECURSIVE: 2,
  MSB_FILE_APPEND: 4,
  MSB_FILE_EXCLUSIVE: 8,
  MSB_FILE_FORCE: 16,
  MSB_FILE_NO_REPLACE: 32,
} as const;

export const msb_file_mode = {
  MSB_FILE_READ: 1,
  MSB_FILE_WRITE: 2,
} as const;

export const msb_copy_flags = {
  MSB_COPY_OWNER: 1,
  MSB_COPY_FOLLOW: 2,
  MSB_COPY_CONTENT: 4,
} as const;

export const msb_snapshot_flags = {
  MSB_SNAPSHOT_REPLACE: 1,
  MSB_SNAPSHOT_INTEGRITY: 2,
} as const;

export const msb_snapshot_save_flags = {
  MSB_SNAPSHOT_WITH_IMAGE: 1,
  MSB_SNAPSHOT_PLAIN: 2,
} as const;

export const msb_archive_format = {
  MSB_ARCHIVE_DOCKER: 0,
  MSB_ARCHIVE_OCI: 1,
} as const;

export const msb_port_flags = {
  MSB_PORT_UDP: 1,
} as const;

export const msb_net_flags = {
  MSB_NET_DISABLED: 1,
  MSB_NET_STRICT: 2,
  MSB_NET_NO_REBIND_PROTECTION: 4,
  MSB_NET_TRUST_HOST_CAS: 8,
  MSB_NET_LOG_DENIED: 16,
} as const;

export const msb_net_action = {
  MSB_NET_UNSET: 0,
  MSB_NET_ALLOW: 1,
  MSB_NET_DENY: 2,
} as const;

export const msb_secret_flags = {
  MSB_SECRET_HEADERS: 1,
  MSB_SECRET_BASIC: 2,
  MSB_SECRET_QUERY: 4,
  MSB_SECRET_BODY: 8,
  MSB_SECRET_MASK: 16,
} as const;

export const msb_violation = {
  MSB_VIOLATION_DEFAULT: 0,
  MSB_VIOLATION_BLOCK: 1,
  MSB_VIOLATION_BLOCK_LOG: 2,
  MSB_VIOLATION_BLOCK_TERMINATE: 3,
  MSB_VIOLATION_PASS: 4,
} as const;

export const msb_tls_flags = {
  MSB_TLS_INTERCEPT: 1,
  MSB_TLS_NO_BLOCK_QUIC: 2,
} as const;

export const limits = {
  MSB_ERROR_MESSAGE_MAX: 1024,
  MSB_ERROR_HINT_MAX: 512,
  MSB_NAME_MAX: 128,
  MSB_CPUS_MAX: 64,
  MSB_MEMORY_MIN: 67108864,
  MSB_MEMORY_DEFAULT: 536870912,
  MSB_MEMORY_MAX: 1099511627776,
  MSB_UPPER_DEFAULT: 8589934592,
  MSB_BOOT_TIMEOUT_MS: 60000,
  MSB_SCRIPTS_MAX: 524288,
  MSB_LOG_COMMANDS: 7,
  MSB_LOG_ALL: 31,
  MSB_MOUNTS_MAX: 64,
  MSB_PATCHES_MAX: 4096,
  MSB_PORTS_MAX: 128,
  MSB_CONNECTIONS_DEFAULT: 4096,
  MSB_CONNECTIONS_MAX: 10000,
  MSB_SECRETS_MAX: 64,
  MSB_SECRET_VALUE_MAX: 65536,
  MSB_PLACEHOLDER_MIN: 4,
  MSB_PLACEHOLDER_MAX: 1024,
} as const;
