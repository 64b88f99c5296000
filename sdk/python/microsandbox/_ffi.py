"""The raw layer: libmicrosandbox as ctypes sees it.

Written by tools/gen_ffi.py from sdk/api.json. Do not edit.

Pointers are integers (c_void_p), but for strings that are only read.
"""
from __future__ import annotations

from ctypes import (
    CFUNCTYPE,
    Structure,
    c_char,
    c_char_p,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# int (void *arg, const struct msb_copy_event *event)
COPY_EVENT_FN = CFUNCTYPE(c_int, c_void_p, c_void_p)
# int (void *arg, const struct msb_pull_event *event)
PULL_EVENT_FN = CFUNCTYPE(c_int, c_void_p, c_void_p)


class msb_error(Structure):
    """1544 bytes"""

    _fields_ = [
        ("code", c_int32),
        ("sys_errno", c_int32),
        ("message", c_char * 1024),
        ("hint", c_char * 512),
    ]


class msb_pull_event(Structure):
    """56 bytes"""

    _fields_ = [
        ("kind", c_int32),
        ("reference", c_char_p),
        ("digest", c_char_p),
        ("layer", c_uint32),
        ("layer_count", c_uint32),
        ("done", c_uint64),
        ("total", c_uint64),
        ("cached", c_int32),
    ]


class msb_pull_opts(Structure):
    """64 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("policy", c_int32),
        ("force", c_int32),
        ("insecure", c_int32),
        ("downloads", c_uint32),
        ("ca_certs", c_char_p),
        ("platform", c_char_p),
        ("event", PULL_EVENT_FN),
        ("event_arg", c_void_p),
        ("root", c_int32),
        ("flags", c_uint32),
    ]


class msb_image_info(Structure):
    """128 bytes"""

    _fields_ = [
        ("reference", c_char_p),
        ("id", c_char_p),
        ("platform", c_char_p),
        ("size_bytes", c_uint64),
        ("created_unix", c_int64),
        ("pulled_unix", c_int64),
        ("layer_count", c_uint32),
        ("layers", c_void_p),
        ("entrypoint", c_void_p),
        ("cmd", c_void_p),
        ("env", c_void_p),
        ("workdir", c_char_p),
        ("user", c_char_p),
        ("stop_signal", c_char_p),
        ("config_json", c_char_p),
        ("config_digest", c_char_p),
    ]


class msb_sandbox_opts(Structure):
    """248 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("image", c_void_p),
        ("name", c_char_p),
        ("hostname", c_char_p),
        ("cpus", c_uint32),
        ("accel", c_int32),
        ("memory_bytes", c_uint64),
        ("upper_bytes", c_uint64),
        ("boot_timeout_ms", c_uint32),
        ("log_fd", c_int32),
        ("log_level", c_char_p),
        ("engine", c_int32),
        ("flags", c_uint32),
        ("labels", c_void_p),
        ("max_duration_s", c_uint32),
        ("idle_timeout_s", c_uint32),
        ("replace_timeout_ms", c_uint32),
        ("env", c_void_p),
        ("rlimits", c_void_p),
        ("workdir", c_char_p),
        ("user", c_char_p),
        ("entrypoint", c_char_p),
        ("shell", c_char_p),
        ("scripts", c_void_p),
        ("init", c_char_p),
        ("init_args", c_void_p),
        ("init_env", c_void_p),
        ("command", c_void_p),
        ("mounts", c_void_p),
        ("patches", c_void_p),
        ("snapshot", c_char_p),
        ("upper", c_int32),
        ("network", c_void_p),
        ("secrets", c_void_p),
        ("tls", c_void_p),
    ]


class msb_start_opts(Structure):
    """32 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("log_fd", c_int32),
        ("flags", c_uint32),
        ("log_level", c_char_p),
        ("secrets", c_void_p),
    ]


class msb_metrics(Structure):
    """240 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("time_ns", c_uint64),
        ("unix_ms", c_uint64),
        ("uptime_ns", c_uint64),
        ("cpu_ns", c_uint64),
        ("memory_bytes", c_uint64),
        ("memory_resident_bytes", c_uint64),
        ("memory_returned_bytes", c_uint64),
        ("disk_read_bytes", c_uint64),
        ("disk_write_bytes", c_uint64),
        ("disk_reads", c_uint64),
        ("disk_writes", c_uint64),
        ("net_rx_bytes", c_uint64),
        ("net_tx_bytes", c_uint64),
        ("upper_bytes", c_uint64),
        ("upper_used_bytes", c_uint64),
        ("cpus", c_uint32),
        ("sessions", c_uint32),
        ("net_rx_packets", c_uint64),
        ("net_tx_packets", c_uint64),
        ("net_flows", c_uint64),
        ("net_open", c_uint64),
        ("net_denied", c_uint64),
        ("net_refused", c_uint64),
        ("net_dns_queries", c_uint64),
        ("net_dns_denied", c_uint64),
        ("tls_flows", c_uint64),
        ("tls_refused", c_uint64),
        ("secrets_used", c_uint64),
        ("secret_violations", c_uint64),
        ("secrets_masked", c_uint64),
    ]


class msb_sandbox_times(Structure):
    """48 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("create_ns", c_uint64),
        ("launched_ns", c_uint64),
        ("spawn_ns", c_uint64),
        ("init_ns", c_uint64),
        ("ready_ns", c_uint64),
    ]


class msb_sandbox_info(Structure):
    """328 bytes"""

    _fields_ = [
        ("name", c_char_p),
        ("image", c_char_p),
        ("state", c_int32),
        ("cpus", c_uint32),
        ("memory_bytes", c_uint64),
        ("engine", c_char_p),
        ("accel", c_char_p),
        ("walls", c_void_p),
        ("boundary", c_char_p),
        ("pid", c_int64),
        ("owner_pid", c_int64),
        ("started_unix", c_int64),
        ("id", c_char_p),
        ("labels", c_void_p),
        ("created_unix", c_int64),
        ("ended_unix", c_int64),
        ("end_reason", c_char_p),
        ("end_message", c_char_p),
        ("exit_code", c_int32),
        ("flags", c_uint32),
        ("max_duration_s", c_uint32),
        ("idle_timeout_s", c_uint32),
        ("upper_bytes", c_uint64),
        ("disk_bytes", c_uint64),
        ("image_id", c_char_p),
        ("hostname", c_char_p),
        ("env", c_void_p),
        ("rlimits", c_void_p),
        ("workdir", c_char_p),
        ("user", c_char_p),
        ("entrypoint", c_char_p),
        ("shell", c_char_p),
        ("scripts", c_void_p),
        ("init", c_char_p),
        ("command", c_void_p),
        ("started_ms", c_uint64),
        ("ready_ms", c_uint64),
        ("ended_ms", c_uint64),
        ("created_ms", c_uint64),
        ("patches", c_void_p),
        ("mounts", c_void_p),
        ("network", c_void_p),
        ("secrets", c_void_p),
        ("tls", c_void_p),
    ]


class msb_modify_opts(Structure):
    """120 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("dry_run", c_int32),
        ("cpus", c_uint32),
        ("memory_bytes", c_uint64),
        ("env", c_void_p),
        ("env_rm", c_void_p),
        ("labels", c_void_p),
        ("labels_rm", c_void_p),
        ("workdir", c_char_p),
        ("user", c_char_p),
        ("hostname", c_char_p),
        ("shell", c_char_p),
        ("max_duration_s", c_int32),
        ("idle_timeout_s", c_int32),
        ("upper_bytes", c_uint64),
        ("secrets", c_void_p),
        ("secrets_rm", c_void_p),
    ]


class msb_change(Structure):
    """32 bytes"""

    _fields_ = [
        ("field", c_char_p),
        ("before", c_char_p),
        ("after", c_char_p),
        ("effect", c_int32),
    ]


class msb_check(Structure):
    """32 bytes"""

    _fields_ = [
        ("name", c_char_p),
        ("status", c_int32),
        ("message", c_char_p),
        ("fix", c_char_p),
    ]


class msb_log_opts(Structure):
    """48 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("sources", c_uint32),
        ("follow", c_uint32),
        ("tail", c_uint64),
        ("since_ms", c_int64),
        ("until_ms", c_int64),
        ("session", c_uint64),
    ]


class msb_log_entry(Structure):
    """48 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("unix_ms", c_int64),
        ("session", c_uint64),
        ("source", c_int32),
        ("data", c_void_p),
        ("len", c_size_t),
    ]


class msb_exec_opts(Structure):
    """64 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("flags", c_uint32),
        ("rows", c_uint16),
        ("cols", c_uint16),
        ("argv", c_void_p),
        ("env", c_void_p),
        ("rlimits", c_void_p),
        ("entrypoint", c_char_p),
        ("cwd", c_char_p),
        ("user", c_char_p),
    ]


class msb_exec_event(Structure):
    """64 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("kind", c_int32),
        ("pid", c_uint32),
        ("data", c_void_p),
        ("len", c_size_t),
        ("code", c_int32),
        ("signal", c_int32),
        ("error_no", c_int32),
        ("stage", c_char_p),
        ("message", c_char_p),
    ]


class msb_output(Structure):
    """56 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("code", c_int32),
        ("signal", c_int32),
        ("out", c_void_p),
        ("err", c_void_p),
        ("out_len", c_size_t),
        ("err_len", c_size_t),
        ("truncated", c_uint32),
    ]


class msb_mount(Structure):
    """88 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("kind", c_int32),
        ("flags", c_uint32),
        ("source", c_char_p),
        ("target", c_char_p),
        ("cache", c_int32),
        ("uid", c_uint32),
        ("gid", c_uint32),
        ("quota_bytes", c_uint64),
        ("size_bytes", c_uint64),
        ("mode", c_uint32),
        ("volume_kind", c_int32),
        ("format", c_char_p),
        ("fstype", c_char_p),
    ]


class msb_volume_info(Structure):
    """72 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("path", c_char_p),
        ("kind", c_int32),
        ("size_bytes", c_uint64),
        ("used_bytes", c_uint64),
        ("created_ms", c_int64),
        ("users", c_void_p),
        ("in_use", c_uint32),
    ]


class msb_volume_opts(Structure):
    """24 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("kind", c_int32),
        ("size_bytes", c_uint64),
    ]


class msb_patch(Structure):
    """64 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("kind", c_int32),
        ("flags", c_uint32),
        ("path", c_char_p),
        ("source", c_char_p),
        ("data", c_void_p),
        ("data_len", c_size_t),
        ("mode", c_uint32),
        ("uid", c_uint32),
        ("gid", c_uint32),
    ]


class msb_file_info(Structure):
    """72 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("path", c_char_p),
        ("target", c_char_p),
        ("mode", c_uint32),
        ("uid", c_uint32),
        ("gid", c_uint32),
        ("nlink", c_uint32),
        ("rdev", c_uint32),
        ("size_bytes", c_uint64),
        ("mtime_s", c_int64),
        ("mtime_ns", c_uint32),
    ]


class msb_file_opts(Structure):
    """40 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("mode", c_int32),
        ("flags", c_uint32),
        ("permissions", c_uint32),
        ("offset", c_uint64),
        ("length", c_uint64),
    ]


class msb_copy_event(Structure):
    """24 bytes"""

    _fields_ = [
        ("path", c_char_p),
        ("files", c_uint64),
        ("bytes", c_uint64),
    ]


class msb_copy_opts(Structure):
    """32 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("flags", c_uint32),
        ("event", COPY_EVENT_FN),
        ("event_arg", c_void_p),
    ]


class msb_snapshot_info(Structure):
    """104 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("digest", c_char_p),
        ("image", c_char_p),
        ("image_id", c_char_p),
        ("sandbox", c_char_p),
        ("parent", c_char_p),
        ("content", c_char_p),
        ("size_bytes", c_uint64),
        ("used_bytes", c_uint64),
        ("created_ms", c_int64),
        ("labels", c_void_p),
        ("path", c_char_p),
    ]


class msb_snapshot_opts(Structure):
    """40 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("labels", c_void_p),
        ("flags", c_uint32),
        ("event", COPY_EVENT_FN),
        ("event_arg", c_void_p),
    ]


class msb_commit_opts(Structure):
    """32 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("author", c_char_p),
        ("message", c_char_p),
        ("changes", c_void_p),
    ]


class msb_save_opts(Structure):
    """32 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("format", c_int32),
        ("event", PULL_EVENT_FN),
        ("event_arg", c_void_p),
    ]


class msb_port(Structure):
    """24 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("bind", c_char_p),
        ("host", c_uint16),
        ("guest", c_uint16),
        ("flags", c_uint32),
    ]


class msb_rate(Structure):
    """16 bytes"""

    _fields_ = [
        ("per_second", c_uint64),
        ("burst", c_uint64),
    ]


class msb_secret(Structure):
    """56 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("env", c_char_p),
        ("value", c_char_p),
        ("source", c_char_p),
        ("placeholder", c_char_p),
        ("hosts", c_void_p),
        ("flags", c_uint32),
        ("violation", c_int32),
    ]


class msb_tls(Structure):
    """72 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("flags", c_uint32),
        ("violation", c_int32),
        ("ports", c_void_p),
        ("bypass", c_void_p),
        ("ca_cert", c_char_p),
        ("ca_key", c_char_p),
        ("upstream_cas", c_void_p),
        ("upstream_cas_for", c_void_p),
        ("no_verify_for", c_void_p),
    ]


class msb_network(Structure):
    """208 bytes"""

    _fields_ = [
        ("size", c_size_t),
        ("flags", c_uint32),
        ("profile", c_char_p),
        ("rules", c_void_p),
        ("default_egress", c_int32),
        ("default_ingress", c_int32),
        ("ports", c_void_p),
        ("nameservers", c_void_p),
        ("dns_timeout_ms", c_uint32),
        ("ipv4_pool", c_char_p),
        ("ipv6_pool", c_char_p),
        ("mtu", c_uint32),
        ("egress_bytes", msb_rate),
        ("egress_packets", msb_rate),
        ("ingress_bytes", msb_rate),
        ("ingress_packets", msb_rate),
        ("max_connections", c_uint32),
        ("proxy", c_char_p),
        ("socks4_user_id", c_char_p),
        ("socks5_username", c_char_p),
        ("socks5_password_env", c_char_p),
        ("vsock", c_void_p),
        ("pcap", c_char_p),
    ]


# enum msb_code
MSB_OK = 0
MSB_ERR_INTERNAL = 1
MSB_ERR_INVALID = 2
MSB_ERR_NOT_FOUND = 3
MSB_ERR_EXISTS = 4
MSB_ERR_BUSY = 5
MSB_ERR_NO_MEMORY = 6
MSB_ERR_NO_SPACE = 7
MSB_ERR_IO = 8
MSB_ERR_PERMISSION = 9
MSB_ERR_UNSUPPORTED = 10
MSB_ERR_TIMEOUT = 11
MSB_ERR_CANCELLED = 12
MSB_ERR_AUTH = 13
MSB_ERR_NETWORK = 14
MSB_ERR_DIGEST = 15
MSB_ERR_INSTALL = 16
MSB_ERR_BOOT = 17
MSB_ERR_GONE = 18
MSB_ERR_PROTOCOL = 19
MSB_ERR_EXEC = 20
# enum msb_pull_policy
MSB_PULL_MISSING = 0
MSB_PULL_ALWAYS = 1
MSB_PULL_NEVER = 2
# enum msb_pull_event_kind
MSB_PULL_RESOLVING = 0
MSB_PULL_RESOLVED = 1
MSB_PULL_LAYER = 2
MSB_PULL_LAYER_DONE = 3
MSB_PULL_MERGING = 4
MSB_PULL_DONE = 5
# enum msb_root
MSB_ROOT_PACKED = 0
MSB_ROOT_LIVE = 1
# enum msb_pull_flags
MSB_PULL_NO_LINKS = 1
# enum msb_engine
MSB_ENGINE_DEFAULT = 0
MSB_ENGINE_AUTO = 1
MSB_ENGINE_KVM = 2
MSB_ENGINE_QEMU = 3
# enum msb_accel
MSB_ACCEL_DEFAULT = 0
MSB_ACCEL_TCG = 1
MSB_ACCEL_KVM = 2
MSB_ACCEL_AUTO = 3
# enum msb_state
MSB_STATE_STARTING = 0
MSB_STATE_READY = 1
MSB_STATE_FAILED = 2
MSB_STATE_STOPPED = 3
MSB_STATE_CREATED = 4
MSB_STATE_CRASHED = 5
# enum msb_sandbox_flags
MSB_SANDBOX_KEEP = 1
MSB_SANDBOX_REPLACE = 2
MSB_SANDBOX_NO_START = 4
MSB_SANDBOX_DETACHED = 8
# enum msb_upper
MSB_UPPER_DISK = 0
MSB_UPPER_TMPFS = 1
# enum msb_start_flags
MSB_START_NO_LINKS = 1
# enum msb_remove_flags
MSB_REMOVE_FORCE = 1
# enum msb_effect
MSB_EFFECT_NOW = 0
MSB_EFFECT_NEXT_START = 1
# enum msb_check_status
MSB_CHECK_OK = 0
MSB_CHECK_INFO = 1
MSB_CHECK_WARN = 2
MSB_CHECK_FAIL = 3
# enum msb_log_source
MSB_LOG_STDOUT = 1
MSB_LOG_STDERR = 2
MSB_LOG_OUTPUT = 4
MSB_LOG_CONSOLE = 8
MSB_LOG_SYSTEM = 16
# enum msb_exec_flags
MSB_EXEC_TTY = 1
MSB_EXEC_STDIN = 2
MSB_EXEC_IMAGE_COMMAND = 4
MSB_EXEC_SHELL = 8
MSB_EXEC_NO_LOG = 16
MSB_EXEC_MAIN = 32
# enum msb_exec_event_kind
MSB_EXEC_STARTED = 1
MSB_EXEC_STDOUT = 2
MSB_EXEC_STDERR = 3
MSB_EXEC_FAILED = 4
MSB_EXEC_EXITED = 5
MSB_EXEC_WRITABLE = 6
# enum msb_mount_kind
MSB_MOUNT_DIR = 1
MSB_MOUNT_FILE = 2
MSB_MOUNT_NAMED = 3
MSB_MOUNT_DISK = 4
MSB_MOUNT_TMPFS = 5
# enum msb_mount_flags
MSB_MOUNT_READ_ONLY = 1
MSB_MOUNT_NOEXEC = 2
MSB_MOUNT_NOSUID = 4
MSB_MOUNT_NODEV = 8
MSB_MOUNT_OWNER = 16
MSB_MOUNT_CREATE = 32
MSB_MOUNT_FOLLOW = 64
MSB_MOUNT_NO_LINKS = 128
# enum msb_cache
MSB_CACHE_AUTO = 0
MSB_CACHE_ALWAYS = 1
MSB_CACHE_NONE = 2
# enum msb_volume_kind
MSB_VOLUME_DIR = 0
MSB_VOLUME_DISK = 1
# enum msb_patch_kind
MSB_PATCH_FILE = 1
MSB_PATCH_COPY = 2
MSB_PATCH_APPEND = 3
MSB_PATCH_MKDIR = 4
MSB_PATCH_SYMLINK = 5
MSB_PATCH_REMOVE = 6
MSB_PATCH_SET_MODE = 7
MSB_PATCH_SET_OWNER = 8
# enum msb_patch_flags
MSB_PATCH_REPLACE = 1
MSB_PATCH_MODE = 2
MSB_PATCH_OWNER = 4
MSB_PATCH_NO_LINKS = 8
# enum msb_file_flags
MSB_FILE_NO_FOLLOW = 1
MSB_FILE_RECURSIVE = 2
MSB_FILE_APPEND = 4
MSB_FILE_EXCLUSIVE = 8
MSB_FILE_FORCE = 16
MSB_FILE_NO_REPLACE = 32
# enum msb_file_mode
MSB_FILE_READ = 1
MSB_FILE_WRITE = 2
# enum msb_copy_flags
MSB_COPY_OWNER = 1
MSB_COPY_FOLLOW = 2
MSB_COPY_CONTENT = 4
# enum msb_snapshot_flags
MSB_SNAPSHOT_REPLACE = 1
MSB_SNAPSHOT_INTEGRITY = 2
# enum msb_snapshot_save_flags
MSB_SNAPSHOT_WITH_IMAGE = 1
MSB_SNAPSHOT_PLAIN = 2
# enum msb_archive_format
MSB_ARCHIVE_DOCKER = 0
MSB_ARCHIVE_OCI = 1
# enum msb_port_flags
MSB_PORT_UDP = 1
# enum msb_net_flags
MSB_NET_DISABLED = 1
MSB_NET_STRICT = 2
MSB_NET_NO_REBIND_PROTECTION = 4
MSB_NET_TRUST_HOST_CAS = 8
MSB_NET_LOG_DENIED = 16
# enum msb_net_action
MSB_NET_UNSET = 0
MSB_NET_ALLOW = 1
MSB_NET_DENY = 2
# enum msb_secret_flags
MSB_SECRET_HEADERS = 1
MSB_SECRET_BASIC = 2
MSB_SECRET_QUERY = 4
MSB_SECRET_BODY = 8
MSB_SECRET_MASK = 16
# enum msb_violation
MSB_VIOLATION_DEFAULT = 0
MSB_VIOLATION_BLOCK = 1
MSB_VIOLATION_BLOCK_LOG = 2
MSB_VIOLATION_BLOCK_TERMINATE = 3
MSB_VIOLATION_PASS = 4
# enum msb_tls_flags
MSB_TLS_INTERCEPT = 1
MSB_TLS_NO_BLOCK_QUIC = 2
# macros
MSB_ERROR_MESSAGE_MAX = 1024
MSB_ERROR_HINT_MAX = 512
MSB_NAME_MAX = 128
MSB_CPUS_MAX = 64
MSB_MEMORY_MIN = 67108864
MSB_MEMORY_DEFAULT = 536870912
MSB_MEMORY_MAX = 1099511627776
MSB_UPPER_DEFAULT = 8589934592
MSB_BOOT_TIMEOUT_MS = 60000
MSB_SCRIPTS_MAX = 524288
MSB_LOG_COMMANDS = 7
MSB_LOG_ALL = 31
MSB_MOUNTS_MAX = 64
MSB_PATCHES_MAX = 4096
MSB_PORTS_MAX = 128
MSB_CONNECTIONS_DEFAULT = 4096
MSB_CONNECTIONS_MAX = 10000
MSB_SECRETS_MAX = 64
MSB_SECRET_VALUE_MAX = 65536
MSB_PLACEHOLDER_MIN = 4
MSB_PLACEHOLDER_MAX = 1024

# name: result, parameters
FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "msb_code_name": (c_char_p, (c_int32,)),
    "msb_version": (c_char_p, ()),
    "msb_cancel_new": (c_int, (c_void_p, c_void_p)),
    "msb_cancel_use": (None, (c_void_p,)),
    "msb_cancel_fire": (None, (c_void_p,)),
    "msb_cancel_reset": (None, (c_void_p,)),
    "msb_cancel_free": (None, (c_void_p,)),
    "msb_home_open": (c_int, (c_char_p, c_void_p, c_void_p)),
    "msb_home_free": (None, (c_void_p,)),
    "msb_home_path": (c_char_p, (c_void_p,)),
    "msb_image_pull": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p, c_void_p)),
    "msb_image_load": (c_int, (c_void_p, c_char_p, c_char_p, c_void_p, c_void_p, c_void_p)),
    "msb_strings_free": (None, (c_void_p,)),
    "msb_image_open": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p)),
    "msb_image_list": (c_int, (c_void_p, c_void_p, c_void_p, c_void_p)),
    "msb_image_list_free": (None, (c_void_p, c_size_t)),
    "msb_image_free": (None, (c_void_p,)),
    "msb_image_info": (c_void_p, (c_void_p,)),
    "msb_image_remove": (c_int, (c_void_p, c_char_p, c_void_p)),
    "msb_image_users": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p)),
    "msb_image_prune": (c_int, (c_void_p, c_int, c_void_p, c_void_p, c_void_p)),
    "msb_state_name": (c_char_p, (c_int32,)),
    "msb_sandbox_create": (c_int, (c_void_p, c_void_p, c_void_p, c_void_p)),
    "msb_sandbox_start": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p, c_void_p)),
    "msb_sandbox_run_main": (c_int, (c_void_p, c_void_p)),
    "msb_sandbox_open": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p)),
    "msb_sandbox_restart": (c_int, (c_void_p, c_char_p, c_uint32, c_void_p, c_void_p, c_void_p)),
    "msb_sandbox_detach": (c_int, (c_void_p, c_void_p)),
    "msb_sandbox_free": (None, (c_void_p,)),
    "msb_sandbox_name": (c_char_p, (c_void_p,)),
    "msb_sandbox_id": (c_char_p, (c_void_p,)),
    "msb_sandbox_fd": (c_int, (c_void_p,)),
    "msb_sandbox_state": (c_int, (c_void_p,)),
    "msb_sandbox_wait_ready": (c_int, (c_void_p, c_int, c_void_p)),
    "msb_sandbox_stop": (c_int, (c_void_p, c_uint32, c_void_p)),
    "msb_sandbox_kill": (c_int, (c_void_p, c_void_p)),
    "msb_sandbox_wait": (c_int, (c_void_p, c_int, c_void_p)),
    "msb_sandbox_touch": (c_int, (c_void_p, c_void_p)),
    "msb_sandbox_ping": (c_int, (c_void_p, c_int, c_void_p, c_void_p)),
    "msb_sandbox_metrics": (c_int, (c_void_p, c_void_p, c_void_p)),
    "msb_sandbox_console": (c_char_p, (c_void_p,)),
    "msb_sandbox_times": (None, (c_void_p, c_void_p)),
    "msb_sandbox_engine": (c_char_p, (c_void_p,)),
    "msb_sandbox_accel": (c_char_p, (c_void_p,)),
    "msb_sandbox_walls": (c_void_p, (c_void_p,)),
    "msb_sandbox_warning": (c_char_p, (c_void_p,)),
    "msb_sandbox_inspect": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p)),
    "msb_sandbox_info_free": (None, (c_void_p,)),
    "msb_sandbox_list": (c_int, (c_void_p, c_void_p, c_void_p, c_void_p)),
    "msb_sandbox_list_free": (None, (c_void_p,)),
    "msb_sandbox_list_count": (c_size_t, (c_void_p,)),
    "msb_sandbox_list_get": (c_void_p, (c_void_p, c_size_t)),
    "msb_sandbox_remove": (c_int, (c_void_p, c_char_p, c_uint32, c_void_p)),
    "msb_sandbox_modify": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p, c_void_p)),
    "msb_sandbox_pending": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p)),
    "msb_plan_free": (None, (c_void_p,)),
    "msb_plan_count": (c_size_t, (c_void_p,)),
    "msb_plan_get": (c_void_p, (c_void_p, c_size_t)),
    "msb_doctor": (c_int, (c_char_p, c_void_p, c_void_p)),
    "msb_report_free": (None, (c_void_p,)),
    "msb_report_count": (c_size_t, (c_void_p,)),
    "msb_report_get": (c_void_p, (c_void_p, c_size_t)),
    "msb_repair": (c_int, (c_char_p, c_int, c_void_p, c_void_p)),
    "msb_logs_open": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p, c_void_p)),
    "msb_logs_free": (None, (c_void_p,)),
    "msb_logs_next": (c_int, (c_void_p, c_int, c_void_p, c_void_p)),
    "msb_logs_fd": (c_int, (c_void_p,)),
    "msb_logs_ended": (c_int, (c_void_p,)),
    "msb_exec_start": (c_int, (c_void_p, c_void_p, c_void_p, c_void_p)),
    "msb_exec_session": (c_uint64, (c_void_p,)),
    "msb_exec_detach": (c_int, (c_void_p, c_void_p)),
    "msb_exec_attach": (c_int, (c_void_p, c_uint64, c_void_p, c_void_p)),
    "msb_exec_is_tty": (c_int, (c_void_p,)),
    "msb_exec_free": (None, (c_void_p,)),
    "msb_exec_fd": (c_int, (c_void_p,)),
    "msb_exec_next": (c_int, (c_void_p, c_int, c_void_p, c_void_p)),
    "msb_exec_write": (c_int64, (c_void_p, c_void_p, c_size_t, c_void_p)),
    "msb_exec_close_stdin": (c_int, (c_void_p, c_void_p)),
    "msb_exec_unread": (c_size_t, (c_void_p,)),
    "msb_exec_signal": (c_int, (c_void_p, c_int, c_void_p)),
    "msb_exec_resize": (c_int, (c_void_p, c_uint16, c_uint16, c_void_p)),
    "msb_exec_wait": (c_int, (c_void_p, c_int, c_void_p, c_void_p)),
    "msb_exec_run": (
        c_int,
        (c_void_p, c_void_p, c_void_p, c_size_t, c_size_t, c_int, c_void_p, c_void_p),
    ),
    "msb_output_free": (None, (c_void_p,)),
    "msb_volume_create": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p)),
    "msb_volume_list": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p)),
    "msb_volumes_free": (None, (c_void_p,)),
    "msb_volumes_count": (c_size_t, (c_void_p,)),
    "msb_volumes_get": (c_void_p, (c_void_p, c_size_t)),
    "msb_volume_remove": (c_int, (c_void_p, c_char_p, c_int, c_void_p)),
    "msb_volume_prune": (c_int, (c_void_p, c_void_p, c_void_p, c_void_p)),
    "msb_file_stat": (c_int, (c_void_p, c_char_p, c_uint32, c_void_p, c_void_p)),
    "msb_file_list": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p)),
    "msb_file_list_free": (None, (c_void_p,)),
    "msb_file_list_count": (c_size_t, (c_void_p,)),
    "msb_file_list_get": (c_void_p, (c_void_p, c_size_t)),
    "msb_file_mkdir": (c_int, (c_void_p, c_char_p, c_uint32, c_uint32, c_void_p)),
    "msb_file_remove": (c_int, (c_void_p, c_char_p, c_uint32, c_void_p)),
    "msb_file_rename": (c_int, (c_void_p, c_char_p, c_char_p, c_uint32, c_void_p)),
    "msb_file_chmod": (c_int, (c_void_p, c_char_p, c_uint32, c_void_p)),
    "msb_file_chown": (c_int, (c_void_p, c_char_p, c_uint32, c_uint32, c_uint32, c_void_p)),
    "msb_file_symlink": (c_int, (c_void_p, c_char_p, c_char_p, c_void_p)),
    "msb_file_copy": (c_int, (c_void_p, c_char_p, c_char_p, c_void_p)),
    "msb_file_read": (c_int, (c_void_p, c_char_p, c_size_t, c_void_p, c_void_p, c_void_p)),
    "msb_free": (None, (c_void_p,)),
    "msb_file_write": (
        c_int,
        (c_void_p, c_char_p, c_void_p, c_size_t, c_uint32, c_uint32, c_void_p),
    ),
    "msb_file_open": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p, c_void_p)),
    "msb_file_get": (c_int64, (c_void_p, c_void_p, c_size_t, c_void_p)),
    "msb_file_put": (c_int, (c_void_p, c_void_p, c_size_t, c_void_p)),
    "msb_file_finish": (c_int, (c_void_p, c_void_p)),
    "msb_file_close": (None, (c_void_p,)),
    "msb_copy_in": (c_int, (c_void_p, c_char_p, c_char_p, c_void_p, c_void_p)),
    "msb_copy_out": (c_int, (c_void_p, c_char_p, c_char_p, c_void_p, c_void_p)),
    "msb_copy_in_tar": (c_int, (c_void_p, c_int, c_char_p, c_void_p, c_void_p)),
    "msb_copy_out_tar": (c_int, (c_void_p, c_char_p, c_int, c_void_p, c_void_p)),
    "msb_copy_across": (c_int, (c_void_p, c_char_p, c_void_p, c_char_p, c_void_p, c_void_p)),
    "msb_snapshot_create": (c_int, (c_void_p, c_char_p, c_char_p, c_void_p, c_void_p)),
    "msb_snapshot_list": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p)),
    "msb_snapshots_free": (None, (c_void_p,)),
    "msb_snapshots_count": (c_size_t, (c_void_p,)),
    "msb_snapshots_get": (c_void_p, (c_void_p, c_size_t)),
    "msb_snapshot_image": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p)),
    "msb_snapshot_verify": (c_int, (c_void_p, c_char_p, c_void_p)),
    "msb_snapshot_remove": (c_int, (c_void_p, c_char_p, c_void_p)),
    "msb_snapshot_save": (c_int, (c_void_p, c_char_p, c_char_p, c_uint32, c_void_p)),
    "msb_snapshot_load": (c_int, (c_void_p, c_char_p, c_char_p, c_void_p, c_void_p)),
    "msb_image_commit": (c_int, (c_void_p, c_char_p, c_char_p, c_void_p, c_void_p, c_void_p)),
    "msb_image_save": (c_int, (c_void_p, c_void_p, c_void_p, c_char_p, c_void_p)),
    "msb_sandbox_ports": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p)),
    "msb_net_explain": (
        c_int,
        (c_void_p, c_char_p, c_char_p, c_uint16, c_char_p, c_void_p, c_void_p),
    ),
    "msb_net_rules": (c_int, (c_void_p, c_char_p, c_void_p, c_void_p)),
}
