// Made by sys/gen.py of sdk/api.json: change these.

use std::ffi::{c_char, c_int, c_void};

pub const MSB_OK: i32 = 0;
pub const MSB_ERR_INTERNAL: i32 = 1;
pub const MSB_ERR_INVALID: i32 = 2;
pub const MSB_ERR_NOT_FOUND: i32 = 3;
pub const MSB_ERR_EXISTS: i32 = 4;
pub const MSB_ERR_BUSY: i32 = 5;
pub const MSB_ERR_NO_MEMORY: i32 = 6;
pub const MSB_ERR_NO_SPACE: i32 = 7;
pub const MSB_ERR_IO: i32 = 8;
pub const MSB_ERR_PERMISSION: i32 = 9;
pub const MSB_ERR_UNSUPPORTED: i32 = 10;
pub const MSB_ERR_TIMEOUT: i32 = 11;
pub const MSB_ERR_CANCELLED: i32 = 12;
pub const MSB_ERR_AUTH: i32 = 13;
pub const MSB_ERR_NETWORK: i32 = 14;
pub const MSB_ERR_DIGEST: i32 = 15;
pub const MSB_ERR_INSTALL: i32 = 16;
pub const MSB_ERR_BOOT: i32 = 17;
pub const MSB_ERR_GONE: i32 = 18;
pub const MSB_ERR_PROTOCOL: i32 = 19;
pub const MSB_ERR_EXEC: i32 = 20;
pub const MSB_PULL_MISSING: i32 = 0;
pub const MSB_PULL_ALWAYS: i32 = 1;
pub const MSB_PULL_NEVER: i32 = 2;
pub const MSB_PULL_RESOLVING: i32 = 0;
pub const MSB_PULL_RESOLVED: i32 = 1;
pub const MSB_PULL_LAYER: i32 = 2;
pub const MSB_PULL_LAYER_DONE: i32 = 3;
pub const MSB_PULL_MERGING: i32 = 4;
pub const MSB_PULL_DONE: i32 = 5;
pub const MSB_ROOT_PACKED: i32 = 0;
pub const MSB_ROOT_LIVE: i32 = 1;
pub const MSB_PULL_NO_LINKS: u32 = 1;
pub const MSB_ENGINE_DEFAULT: i32 = 0;
pub const MSB_ENGINE_AUTO: i32 = 1;
pub const MSB_ENGINE_KVM: i32 = 2;
pub const MSB_ENGINE_QEMU: i32 = 3;
pub const MSB_ACCEL_DEFAULT: i32 = 0;
pub const MSB_ACCEL_TCG: i32 = 1;
pub const MSB_ACCEL_KVM: i32 = 2;
pub const MSB_ACCEL_AUTO: i32 = 3;
pub const MSB_STATE_STARTING: i32 = 0;
pub const MSB_STATE_READY: i32 = 1;
pub const MSB_STATE_FAILED: i32 = 2;
pub const MSB_STATE_STOPPED: i32 = 3;
pub const MSB_STATE_CREATED: i32 = 4;
pub const MSB_STATE_CRASHED: i32 = 5;
pub const MSB_SANDBOX_KEEP: u32 = 1;
pub const MSB_SANDBOX_REPLACE: u32 = 2;
pub const MSB_SANDBOX_NO_START: u32 = 4;
pub const MSB_SANDBOX_DETACHED: u32 = 8;
pub const MSB_UPPER_DISK: i32 = 0;
pub const MSB_UPPER_TMPFS: i32 = 1;
pub const MSB_START_NO_LINKS: u32 = 1;
pub const MSB_REMOVE_FORCE: u32 = 1;
pub const MSB_EFFECT_NOW: i32 = 0;
pub const MSB_EFFECT_NEXT_START: i32 = 1;
pub const MSB_CHECK_OK: i32 = 0;
pub const MSB_CHECK_INFO: i32 = 1;
pub const MSB_CHECK_WARN: i32 = 2;
pub const MSB_CHECK_FAIL: i32 = 3;
pub const MSB_LOG_STDOUT: u32 = 1;
pub const MSB_LOG_STDERR: u32 = 2;
pub const MSB_LOG_OUTPUT: u32 = 4;
pub const MSB_LOG_CONSOLE: u32 = 8;
pub const MSB_LOG_SYSTEM: u32 = 16;
pub const MSB_EXEC_TTY: u32 = 1;
pub const MSB_EXEC_STDIN: u32 = 2;
pub const MSB_EXEC_IMAGE_COMMAND: u32 = 4;
pub const MSB_EXEC_SHELL: u32 = 8;
pub const MSB_EXEC_NO_LOG: u32 = 16;
pub const MSB_EXEC_MAIN: u32 = 32;
pub const MSB_EXEC_STARTED: i32 = 1;
pub const MSB_EXEC_STDOUT: i32 = 2;
pub const MSB_EXEC_STDERR: i32 = 3;
pub const MSB_EXEC_FAILED: i32 = 4;
pub const MSB_EXEC_EXITED: i32 = 5;
pub const MSB_EXEC_WRITABLE: i32 = 6;
pub const MSB_MOUNT_DIR: i32 = 1;
pub const MSB_MOUNT_FILE: i32 = 2;
pub const MSB_MOUNT_NAMED: i32 = 3;
pub const MSB_MOUNT_DISK: i32 = 4;
pub const MSB_MOUNT_TMPFS: i32 = 5;
pub const MSB_MOUNT_READ_ONLY: u32 = 1;
pub const MSB_MOUNT_NOEXEC: u32 = 2;
pub const MSB_MOUNT_NOSUID: u32 = 4;
pub const MSB_MOUNT_NODEV: u32 = 8;
pub const MSB_MOUNT_OWNER: u32 = 16;
pub const MSB_MOUNT_CREATE: u32 = 32;
pub const MSB_MOUNT_FOLLOW: u32 = 64;
pub const MSB_MOUNT_NO_LINKS: u32 = 128;
pub const MSB_CACHE_AUTO: i32 = 0;
pub const MSB_CACHE_ALWAYS: i32 = 1;
pub const MSB_CACHE_NONE: i32 = 2;
pub const MSB_VOLUME_DIR: i32 = 0;
pub const MSB_VOLUME_DISK: i32 = 1;
pub const MSB_PATCH_FILE: i32 = 1;
pub const MSB_PATCH_COPY: i32 = 2;
pub const MSB_PATCH_APPEND: i32 = 3;
pub const MSB_PATCH_MKDIR: i32 = 4;
pub const MSB_PATCH_SYMLINK: i32 = 5;
pub const MSB_PATCH_REMOVE: i32 = 6;
pub const MSB_PATCH_SET_MODE: i32 = 7;
pub const MSB_PATCH_SET_OWNER: i32 = 8;
pub const MSB_PATCH_REPLACE: u32 = 1;
pub const MSB_PATCH_MODE: u32 = 2;
pub const MSB_PATCH_OWNER: u32 = 4;
pub const MSB_PATCH_NO_LINKS: u32 = 8;
pub const MSB_FILE_NO_FOLLOW: u32 = 1;
pub const MSB_FILE_RECURSIVE: u32 = 2;
pub const MSB_FILE_APPEND: u32 = 4;
pub const MSB_FILE_EXCLUSIVE: u32 = 8;
pub const MSB_FILE_FORCE: u32 = 16;
pub const MSB_FILE_NO_REPLACE: u32 = 32;
pub const MSB_FILE_READ: i32 = 1;
pub const MSB_FILE_WRITE: i32 = 2;
pub const MSB_COPY_OWNER: u32 = 1;
pub const MSB_COPY_FOLLOW: u32 = 2;
pub const MSB_COPY_CONTENT: u32 = 4;
pub const MSB_SNAPSHOT_REPLACE: u32 = 1;
pub const MSB_SNAPSHOT_INTEGRITY: u32 = 2;
pub const MSB_SNAPSHOT_WITH_IMAGE: u32 = 1;
pub const MSB_SNAPSHOT_PLAIN: u32 = 2;
pub const MSB_ARCHIVE_DOCKER: i32 = 0;
pub const MSB_ARCHIVE_OCI: i32 = 1;
pub const MSB_PORT_UDP: u32 = 1;
pub const MSB_NET_DISABLED: u32 = 1;
pub const MSB_NET_STRICT: u32 = 2;
pub const MSB_NET_NO_REBIND_PROTECTION: u32 = 4;
pub const MSB_NET_TRUST_HOST_CAS: u32 = 8;
pub const MSB_NET_LOG_DENIED: u32 = 16;
pub const MSB_NET_UNSET: i32 = 0;
pub const MSB_NET_ALLOW: i32 = 1;
pub const MSB_NET_DENY: i32 = 2;
pub const MSB_SECRET_HEADERS: u32 = 1;
pub const MSB_SECRET_BASIC: u32 = 2;
pub const MSB_SECRET_QUERY: u32 = 4;
pub const MSB_SECRET_BODY: u32 = 8;
pub const MSB_SECRET_MASK: u32 = 16;
pub const MSB_VIOLATION_DEFAULT: i32 = 0;
pub const MSB_VIOLATION_BLOCK: i32 = 1;
pub const MSB_VIOLATION_BLOCK_LOG: i32 = 2;
pub const MSB_VIOLATION_BLOCK_TERMINATE: i32 = 3;
pub const MSB_VIOLATION_PASS: i32 = 4;
pub const MSB_TLS_INTERCEPT: u32 = 1;
pub const MSB_TLS_NO_BLOCK_QUIC: u32 = 2;
pub const MSB_ERROR_MESSAGE_MAX: u64 = 1024;
pub const MSB_ERROR_HINT_MAX: u64 = 512;
pub const MSB_NAME_MAX: u64 = 128;
pub const MSB_CPUS_MAX: u64 = 64;
pub const MSB_MEMORY_MIN: u64 = 67108864;
pub const MSB_MEMORY_DEFAULT: u64 = 536870912;
pub const MSB_MEMORY_MAX: u64 = 1099511627776;
pub const MSB_UPPER_DEFAULT: u64 = 8589934592;
pub const MSB_BOOT_TIMEOUT_MS: u64 = 60000;
pub const MSB_SCRIPTS_MAX: u64 = 524288;
pub const MSB_LOG_COMMANDS: u64 = 7;
pub const MSB_LOG_ALL: u64 = 31;
pub const MSB_MOUNTS_MAX: u64 = 64;
pub const MSB_PATCHES_MAX: u64 = 4096;
pub const MSB_PORTS_MAX: u64 = 128;
pub const MSB_CONNECTIONS_DEFAULT: u64 = 4096;
pub const MSB_CONNECTIONS_MAX: u64 = 10000;
pub const MSB_SECRETS_MAX: u64 = 64;
pub const MSB_SECRET_VALUE_MAX: u64 = 65536;
pub const MSB_PLACEHOLDER_MIN: u64 = 4;
pub const MSB_PLACEHOLDER_MAX: u64 = 1024;

#[repr(C)]
pub struct msb_cancel {
    _private: [u8; 0],
    _marker: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
#[repr(C)]
pub struct msb_exec {
    _private: [u8; 0],
    _marker: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
#[repr(C)]
pub struct msb_file {
    _private: [u8; 0],
    _marker: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
#[repr(C)]
pub struct msb_file_list {
    _private: [u8; 0],
    _marker: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
#[repr(C)]
pub struct msb_home {
    _private: [u8; 0],
    _marker: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
#[repr(C)]
pub struct msb_image {
    _private: [u8; 0],
    _marker: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
#[repr(C)]
pub struct msb_logs {
    _private: [u8; 0],
    _marker: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
#[repr(C)]
pub struct msb_plan {
    _private: [u8; 0],
    _marker: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
#[repr(C)]
pub struct msb_report {
    _private: [u8; 0],
    _marker: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
#[repr(C)]
pub struct msb_sandbox {
    _private: [u8; 0],
    _marker: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
#[repr(C)]
pub struct msb_sandbox_list {
    _private: [u8; 0],
    _marker: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
#[repr(C)]
pub struct msb_snapshots {
    _private: [u8; 0],
    _marker: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
#[repr(C)]
pub struct msb_volumes {
    _private: [u8; 0],
    _marker: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}

pub type msb_pull_event_fn =
    Option<unsafe extern "C" fn(*mut c_void, *const msb_pull_event) -> c_int>;
pub type msb_copy_event_fn =
    Option<unsafe extern "C" fn(*mut c_void, *const msb_copy_event) -> c_int>;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_error {
    pub code: i32,
    pub sys_errno: i32,
    pub message: [c_char; 1024],
    pub hint: [c_char; 512],
}
impl Default for msb_error {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_pull_event {
    pub kind: i32,
    pub reference: *const c_char,
    pub digest: *const c_char,
    pub layer: u32,
    pub layer_count: u32,
    pub done: u64,
    pub total: u64,
    pub cached: i32,
}
impl Default for msb_pull_event {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_pull_opts {
    pub size: usize,
    pub policy: i32,
    pub force: i32,
    pub insecure: i32,
    pub downloads: u32,
    pub ca_certs: *const c_char,
    pub platform: *const c_char,
    pub event: msb_pull_event_fn,
    pub event_arg: *mut c_void,
    pub root: i32,
    pub flags: u32,
}
impl Default for msb_pull_opts {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_image_info {
    pub reference: *const c_char,
    pub id: *const c_char,
    pub platform: *const c_char,
    pub size_bytes: u64,
    pub created_unix: i64,
    pub pulled_unix: i64,
    pub layer_count: u32,
    pub layers: *const *const c_char,
    pub entrypoint: *const *const c_char,
    pub cmd: *const *const c_char,
    pub env: *const *const c_char,
    pub workdir: *const c_char,
    pub user: *const c_char,
    pub stop_signal: *const c_char,
    pub config_json: *const c_char,
    pub config_digest: *const c_char,
}
impl Default for msb_image_info {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_sandbox_opts {
    pub size: usize,
    pub image: *const msb_image,
    pub name: *const c_char,
    pub hostname: *const c_char,
    pub cpus: u32,
    pub accel: i32,
    pub memory_bytes: u64,
    pub upper_bytes: u64,
    pub boot_timeout_ms: u32,
    pub log_fd: i32,
    pub log_level: *const c_char,
    pub engine: i32,
    pub flags: u32,
    pub labels: *const *const c_char,
    pub max_duration_s: u32,
    pub idle_timeout_s: u32,
    pub replace_timeout_ms: u32,
    pub env: *const *const c_char,
    pub rlimits: *const *const c_char,
    pub workdir: *const c_char,
    pub user: *const c_char,
    pub entrypoint: *const c_char,
    pub shell: *const c_char,
    pub scripts: *const *const c_char,
    pub init: *const c_char,
    pub init_args: *const *const c_char,
    pub init_env: *const *const c_char,
    pub command: *const *const c_char,
    pub mounts: *const *const msb_mount,
    pub patches: *const *const msb_patch,
    pub snapshot: *const c_char,
    pub upper: i32,
    pub network: *const msb_network,
    pub secrets: *const *const msb_secret,
    pub tls: *const msb_tls,
}
impl Default for msb_sandbox_opts {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_start_opts {
    pub size: usize,
    pub log_fd: i32,
    pub flags: u32,
    pub log_level: *const c_char,
    pub secrets: *const *const msb_secret,
}
impl Default for msb_start_opts {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_metrics {
    pub size: usize,
    pub time_ns: u64,
    pub unix_ms: u64,
    pub uptime_ns: u64,
    pub cpu_ns: u64,
    pub memory_bytes: u64,
    pub memory_resident_bytes: u64,
    pub memory_returned_bytes: u64,
    pub disk_read_bytes: u64,
    pub disk_write_bytes: u64,
    pub disk_reads: u64,
    pub disk_writes: u64,
    pub net_rx_bytes: u64,
    pub net_tx_bytes: u64,
    pub upper_bytes: u64,
    pub upper_used_bytes: u64,
    pub cpus: u32,
    pub sessions: u32,
    pub net_rx_packets: u64,
    pub net_tx_packets: u64,
    pub net_flows: u64,
    pub net_open: u64,
    pub net_denied: u64,
    pub net_refused: u64,
    pub net_dns_queries: u64,
    pub net_dns_denied: u64,
    pub tls_flows: u64,
    pub tls_refused: u64,
    pub secrets_used: u64,
    pub secret_violations: u64,
    pub secrets_masked: u64,
}
impl Default for msb_metrics {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_sandbox_times {
    pub size: usize,
    pub create_ns: u64,
    pub launched_ns: u64,
    pub spawn_ns: u64,
    pub init_ns: u64,
    pub ready_ns: u64,
}
impl Default for msb_sandbox_times {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_sandbox_info {
    pub name: *const c_char,
    pub image: *const c_char,
    pub state: i32,
    pub cpus: u32,
    pub memory_bytes: u64,
    pub engine: *const c_char,
    pub accel: *const c_char,
    pub walls: *const *const c_char,
    pub boundary: *const c_char,
    pub pid: i64,
    pub owner_pid: i64,
    pub started_unix: i64,
    pub id: *const c_char,
    pub labels: *const *const c_char,
    pub created_unix: i64,
    pub ended_unix: i64,
    pub end_reason: *const c_char,
    pub end_message: *const c_char,
    pub exit_code: i32,
    pub flags: u32,
    pub max_duration_s: u32,
    pub idle_timeout_s: u32,
    pub upper_bytes: u64,
    pub disk_bytes: u64,
    pub image_id: *const c_char,
    pub hostname: *const c_char,
    pub env: *const *const c_char,
    pub rlimits: *const *const c_char,
    pub workdir: *const c_char,
    pub user: *const c_char,
    pub entrypoint: *const c_char,
    pub shell: *const c_char,
    pub scripts: *const *const c_char,
    pub init: *const c_char,
    pub command: *const *const c_char,
    pub started_ms: u64,
    pub ready_ms: u64,
    pub ended_ms: u64,
    pub created_ms: u64,
    pub patches: *const *const c_char,
    pub mounts: *const *const msb_mount,
    pub network: *const msb_network,
    pub secrets: *const *const msb_secret,
    pub tls: *const msb_tls,
}
impl Default for msb_sandbox_info {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_modify_opts {
    pub size: usize,
    pub dry_run: i32,
    pub cpus: u32,
    pub memory_bytes: u64,
    pub env: *const *const c_char,
    pub env_rm: *const *const c_char,
    pub labels: *const *const c_char,
    pub labels_rm: *const *const c_char,
    pub workdir: *const c_char,
    pub user: *const c_char,
    pub hostname: *const c_char,
    pub shell: *const c_char,
    pub max_duration_s: i32,
    pub idle_timeout_s: i32,
    pub upper_bytes: u64,
    pub secrets: *const *const msb_secret,
    pub secrets_rm: *const *const c_char,
}
impl Default for msb_modify_opts {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_change {
    pub field: *const c_char,
    pub before: *const c_char,
    pub after: *const c_char,
    pub effect: i32,
}
impl Default for msb_change {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_check {
    pub name: *const c_char,
    pub status: i32,
    pub message: *const c_char,
    pub fix: *const c_char,
}
impl Default for msb_check {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_log_opts {
    pub size: usize,
    pub sources: u32,
    pub follow: u32,
    pub tail: u64,
    pub since_ms: i64,
    pub until_ms: i64,
    pub session: u64,
}
impl Default for msb_log_opts {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_log_entry {
    pub size: usize,
    pub unix_ms: i64,
    pub session: u64,
    pub source: i32,
    pub data: *const c_void,
    pub len: usize,
}
impl Default for msb_log_entry {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_exec_opts {
    pub size: usize,
    pub flags: u32,
    pub rows: u16,
    pub cols: u16,
    pub argv: *const *const c_char,
    pub env: *const *const c_char,
    pub rlimits: *const *const c_char,
    pub entrypoint: *const c_char,
    pub cwd: *const c_char,
    pub user: *const c_char,
}
impl Default for msb_exec_opts {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_exec_event {
    pub size: usize,
    pub kind: i32,
    pub pid: u32,
    pub data: *const c_void,
    pub len: usize,
    pub code: i32,
    pub signal: i32,
    pub error_no: i32,
    pub stage: *const c_char,
    pub message: *const c_char,
}
impl Default for msb_exec_event {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_output {
    pub size: usize,
    pub code: i32,
    pub signal: i32,
    pub out: *const c_void,
    pub err: *const c_void,
    pub out_len: usize,
    pub err_len: usize,
    pub truncated: u32,
}
impl Default for msb_output {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_mount {
    pub size: usize,
    pub kind: i32,
    pub flags: u32,
    pub source: *const c_char,
    pub target: *const c_char,
    pub cache: i32,
    pub uid: u32,
    pub gid: u32,
    pub quota_bytes: u64,
    pub size_bytes: u64,
    pub mode: u32,
    pub volume_kind: i32,
    pub format: *const c_char,
    pub fstype: *const c_char,
}
impl Default for msb_mount {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_volume_info {
    pub size: usize,
    pub name: *const c_char,
    pub path: *const c_char,
    pub kind: i32,
    pub size_bytes: u64,
    pub used_bytes: u64,
    pub created_ms: i64,
    pub users: *const *const c_char,
    pub in_use: u32,
}
impl Default for msb_volume_info {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_volume_opts {
    pub size: usize,
    pub kind: i32,
    pub size_bytes: u64,
}
impl Default for msb_volume_opts {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_patch {
    pub size: usize,
    pub kind: i32,
    pub flags: u32,
    pub path: *const c_char,
    pub source: *const c_char,
    pub data: *const c_void,
    pub data_len: usize,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}
impl Default for msb_patch {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_file_info {
    pub size: usize,
    pub path: *const c_char,
    pub target: *const c_char,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub nlink: u32,
    pub rdev: u32,
    pub size_bytes: u64,
    pub mtime_s: i64,
    pub mtime_ns: u32,
}
impl Default for msb_file_info {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_file_opts {
    pub size: usize,
    pub mode: i32,
    pub flags: u32,
    pub permissions: u32,
    pub offset: u64,
    pub length: u64,
}
impl Default for msb_file_opts {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_copy_event {
    pub path: *const c_char,
    pub files: u64,
    pub bytes: u64,
}
impl Default for msb_copy_event {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_copy_opts {
    pub size: usize,
    pub flags: u32,
    pub event: msb_copy_event_fn,
    pub event_arg: *mut c_void,
}
impl Default for msb_copy_opts {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_snapshot_info {
    pub size: usize,
    pub name: *const c_char,
    pub digest: *const c_char,
    pub image: *const c_char,
    pub image_id: *const c_char,
    pub sandbox: *const c_char,
    pub parent: *const c_char,
    pub content: *const c_char,
    pub size_bytes: u64,
    pub used_bytes: u64,
    pub created_ms: i64,
    pub labels: *const *const c_char,
    pub path: *const c_char,
}
impl Default for msb_snapshot_info {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_snapshot_opts {
    pub size: usize,
    pub labels: *const *const c_char,
    pub flags: u32,
    pub event: msb_copy_event_fn,
    pub event_arg: *mut c_void,
}
impl Default for msb_snapshot_opts {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_commit_opts {
    pub size: usize,
    pub author: *const c_char,
    pub message: *const c_char,
    pub changes: *const *const c_char,
}
impl Default for msb_commit_opts {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_save_opts {
    pub size: usize,
    pub format: i32,
    pub event: msb_pull_event_fn,
    pub event_arg: *mut c_void,
}
impl Default for msb_save_opts {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_port {
    pub size: usize,
    pub bind: *const c_char,
    pub host: u16,
    pub guest: u16,
    pub flags: u32,
}
impl Default for msb_port {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_rate {
    pub per_second: u64,
    pub burst: u64,
}
impl Default for msb_rate {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_network {
    pub size: usize,
    pub flags: u32,
    pub profile: *const c_char,
    pub rules: *const *const c_char,
    pub default_egress: i32,
    pub default_ingress: i32,
    pub ports: *const *const msb_port,
    pub nameservers: *const *const c_char,
    pub dns_timeout_ms: u32,
    pub ipv4_pool: *const c_char,
    pub ipv6_pool: *const c_char,
    pub mtu: u32,
    pub egress_bytes: msb_rate,
    pub egress_packets: msb_rate,
    pub ingress_bytes: msb_rate,
    pub ingress_packets: msb_rate,
    pub max_connections: u32,
    pub proxy: *const c_char,
    pub socks4_user_id: *const c_char,
    pub socks5_username: *const c_char,
    pub socks5_password_env: *const c_char,
    pub vsock: *const *const c_char,
    pub pcap: *const c_char,
}
impl Default for msb_network {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_secret {
    pub size: usize,
    pub env: *const c_char,
    pub value: *const c_char,
    pub source: *const c_char,
    pub placeholder: *const c_char,
    pub hosts: *const *const c_char,
    pub flags: u32,
    pub violation: i32,
}
impl Default for msb_secret {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct msb_tls {
    pub size: usize,
    pub flags: u32,
    pub violation: i32,
    pub ports: *const *const c_char,
    pub bypass: *const *const c_char,
    pub ca_cert: *const c_char,
    pub ca_key: *const c_char,
    pub upstream_cas: *const *const c_char,
    pub upstream_cas_for: *const *const c_char,
    pub no_verify_for: *const *const c_char,
}
impl Default for msb_tls {
    fn default() -> Self {
        // SAFETY: numbers, pointers, and functions that may be missing: all may
        // be zero.
        Self { size: std::mem::size_of::<Self>(), ..unsafe { std::mem::zeroed() } }
    }
}

/// All functions of the library.
#[derive(Clone, Copy)]
pub struct Functions {
    pub msb_code_name: unsafe extern "C" fn(i32) -> *const c_char,
    pub msb_version: unsafe extern "C" fn() -> *const c_char,
    pub msb_cancel_new: unsafe extern "C" fn(*mut *mut msb_cancel, *mut msb_error) -> c_int,
    pub msb_cancel_use: unsafe extern "C" fn(*mut msb_cancel),
    pub msb_cancel_fire: unsafe extern "C" fn(*mut msb_cancel),
    pub msb_cancel_reset: unsafe extern "C" fn(*mut msb_cancel),
    pub msb_cancel_free: unsafe extern "C" fn(*mut msb_cancel),
    pub msb_home_open:
        unsafe extern "C" fn(*const c_char, *mut *mut msb_home, *mut msb_error) -> c_int,
    pub msb_home_free: unsafe extern "C" fn(*mut msb_home),
    pub msb_home_path: unsafe extern "C" fn(*const msb_home) -> *const c_char,
    pub msb_image_pull: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *const msb_pull_opts,
        *mut *mut msb_image,
        *mut msb_error,
    ) -> c_int,
    pub msb_image_load: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *const c_char,
        *const msb_pull_opts,
        *mut *mut *mut c_char,
        *mut msb_error,
    ) -> c_int,
    pub msb_strings_free: unsafe extern "C" fn(*mut *mut c_char),
    pub msb_image_open: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *mut *mut msb_image,
        *mut msb_error,
    ) -> c_int,
    pub msb_image_list: unsafe extern "C" fn(
        *mut msb_home,
        *mut *mut *mut msb_image,
        *mut usize,
        *mut msb_error,
    ) -> c_int,
    pub msb_image_list_free: unsafe extern "C" fn(*mut *mut msb_image, usize),
    pub msb_image_free: unsafe extern "C" fn(*mut msb_image),
    pub msb_image_info: unsafe extern "C" fn(*const msb_image) -> *const msb_image_info,
    pub msb_image_remove:
        unsafe extern "C" fn(*mut msb_home, *const c_char, *mut msb_error) -> c_int,
    pub msb_image_users: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *mut *mut *mut c_char,
        *mut msb_error,
    ) -> c_int,
    pub msb_image_prune:
        unsafe extern "C" fn(*mut msb_home, c_int, *mut u64, *mut u32, *mut msb_error) -> c_int,
    pub msb_state_name: unsafe extern "C" fn(i32) -> *const c_char,
    pub msb_sandbox_create: unsafe extern "C" fn(
        *mut msb_home,
        *const msb_sandbox_opts,
        *mut *mut msb_sandbox,
        *mut msb_error,
    ) -> c_int,
    pub msb_sandbox_start: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *const msb_start_opts,
        *mut *mut msb_sandbox,
        *mut msb_error,
    ) -> c_int,
    pub msb_sandbox_run_main: unsafe extern "C" fn(*mut msb_sandbox, *mut msb_error) -> c_int,
    pub msb_sandbox_open: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *mut *mut msb_sandbox,
        *mut msb_error,
    ) -> c_int,
    pub msb_sandbox_restart: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        u32,
        *const msb_start_opts,
        *mut *mut msb_sandbox,
        *mut msb_error,
    ) -> c_int,
    pub msb_sandbox_detach: unsafe extern "C" fn(*mut msb_sandbox, *mut msb_error) -> c_int,
    pub msb_sandbox_free: unsafe extern "C" fn(*mut msb_sandbox),
    pub msb_sandbox_name: unsafe extern "C" fn(*const msb_sandbox) -> *const c_char,
    pub msb_sandbox_id: unsafe extern "C" fn(*const msb_sandbox) -> *const c_char,
    pub msb_sandbox_fd: unsafe extern "C" fn(*const msb_sandbox) -> c_int,
    pub msb_sandbox_state: unsafe extern "C" fn(*mut msb_sandbox) -> c_int,
    pub msb_sandbox_wait_ready:
        unsafe extern "C" fn(*mut msb_sandbox, c_int, *mut msb_error) -> c_int,
    pub msb_sandbox_stop: unsafe extern "C" fn(*mut msb_sandbox, u32, *mut msb_error) -> c_int,
    pub msb_sandbox_kill: unsafe extern "C" fn(*mut msb_sandbox, *mut msb_error) -> c_int,
    pub msb_sandbox_wait: unsafe extern "C" fn(*mut msb_sandbox, c_int, *mut msb_error) -> c_int,
    pub msb_sandbox_touch: unsafe extern "C" fn(*mut msb_sandbox, *mut msb_error) -> c_int,
    pub msb_sandbox_ping:
        unsafe extern "C" fn(*mut msb_sandbox, c_int, *mut u64, *mut msb_error) -> c_int,
    pub msb_sandbox_metrics:
        unsafe extern "C" fn(*mut msb_sandbox, *mut msb_metrics, *mut msb_error) -> c_int,
    pub msb_sandbox_console: unsafe extern "C" fn(*const msb_sandbox) -> *const c_char,
    pub msb_sandbox_times: unsafe extern "C" fn(*mut msb_sandbox, *mut msb_sandbox_times),
    pub msb_sandbox_engine: unsafe extern "C" fn(*const msb_sandbox) -> *const c_char,
    pub msb_sandbox_accel: unsafe extern "C" fn(*const msb_sandbox) -> *const c_char,
    pub msb_sandbox_walls: unsafe extern "C" fn(*const msb_sandbox) -> *const *const c_char,
    pub msb_sandbox_warning: unsafe extern "C" fn(*const msb_sandbox) -> *const c_char,
    pub msb_sandbox_inspect: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *mut *mut msb_sandbox_info,
        *mut msb_error,
    ) -> c_int,
    pub msb_sandbox_info_free: unsafe extern "C" fn(*mut msb_sandbox_info),
    pub msb_sandbox_list: unsafe extern "C" fn(
        *mut msb_home,
        *const *const c_char,
        *mut *mut msb_sandbox_list,
        *mut msb_error,
    ) -> c_int,
    pub msb_sandbox_list_free: unsafe extern "C" fn(*mut msb_sandbox_list),
    pub msb_sandbox_list_count: unsafe extern "C" fn(*const msb_sandbox_list) -> usize,
    pub msb_sandbox_list_get:
        unsafe extern "C" fn(*const msb_sandbox_list, usize) -> *const msb_sandbox_info,
    pub msb_sandbox_remove:
        unsafe extern "C" fn(*mut msb_home, *const c_char, u32, *mut msb_error) -> c_int,
    pub msb_sandbox_modify: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *const msb_modify_opts,
        *mut *mut msb_plan,
        *mut msb_error,
    ) -> c_int,
    pub msb_sandbox_pending: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *mut *mut msb_plan,
        *mut msb_error,
    ) -> c_int,
    pub msb_plan_free: unsafe extern "C" fn(*mut msb_plan),
    pub msb_plan_count: unsafe extern "C" fn(*const msb_plan) -> usize,
    pub msb_plan_get: unsafe extern "C" fn(*const msb_plan, usize) -> *const msb_change,
    pub msb_doctor:
        unsafe extern "C" fn(*const c_char, *mut *mut msb_report, *mut msb_error) -> c_int,
    pub msb_report_free: unsafe extern "C" fn(*mut msb_report),
    pub msb_report_count: unsafe extern "C" fn(*const msb_report) -> usize,
    pub msb_report_get: unsafe extern "C" fn(*const msb_report, usize) -> *const msb_check,
    pub msb_repair:
        unsafe extern "C" fn(*const c_char, c_int, *mut *mut *mut c_char, *mut msb_error) -> c_int,
    pub msb_logs_open: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *const msb_log_opts,
        *mut *mut msb_logs,
        *mut msb_error,
    ) -> c_int,
    pub msb_logs_free: unsafe extern "C" fn(*mut msb_logs),
    pub msb_logs_next:
        unsafe extern "C" fn(*mut msb_logs, c_int, *mut msb_log_entry, *mut msb_error) -> c_int,
    pub msb_logs_fd: unsafe extern "C" fn(*const msb_logs) -> c_int,
    pub msb_logs_ended: unsafe extern "C" fn(*const msb_logs) -> c_int,
    pub msb_exec_start: unsafe extern "C" fn(
        *mut msb_sandbox,
        *const msb_exec_opts,
        *mut *mut msb_exec,
        *mut msb_error,
    ) -> c_int,
    pub msb_exec_session: unsafe extern "C" fn(*const msb_exec) -> u64,
    pub msb_exec_detach: unsafe extern "C" fn(*mut msb_exec, *mut msb_error) -> c_int,
    pub msb_exec_attach:
        unsafe extern "C" fn(*mut msb_sandbox, u64, *mut *mut msb_exec, *mut msb_error) -> c_int,
    pub msb_exec_is_tty: unsafe extern "C" fn(*const msb_exec) -> c_int,
    pub msb_exec_free: unsafe extern "C" fn(*mut msb_exec),
    pub msb_exec_fd: unsafe extern "C" fn(*const msb_exec) -> c_int,
    pub msb_exec_next:
        unsafe extern "C" fn(*mut msb_exec, c_int, *mut msb_exec_event, *mut msb_error) -> c_int,
    pub msb_exec_write:
        unsafe extern "C" fn(*mut msb_exec, *const c_void, usize, *mut msb_error) -> i64,
    pub msb_exec_close_stdin: unsafe extern "C" fn(*mut msb_exec, *mut msb_error) -> c_int,
    pub msb_exec_unread: unsafe extern "C" fn(*const msb_exec) -> usize,
    pub msb_exec_signal: unsafe extern "C" fn(*mut msb_exec, c_int, *mut msb_error) -> c_int,
    pub msb_exec_resize: unsafe extern "C" fn(*mut msb_exec, u16, u16, *mut msb_error) -> c_int,
    pub msb_exec_wait:
        unsafe extern "C" fn(*mut msb_exec, c_int, *mut c_int, *mut msb_error) -> c_int,
    pub msb_exec_run: unsafe extern "C" fn(
        *mut msb_sandbox,
        *const msb_exec_opts,
        *const c_void,
        usize,
        usize,
        c_int,
        *mut *mut msb_output,
        *mut msb_error,
    ) -> c_int,
    pub msb_output_free: unsafe extern "C" fn(*mut msb_output),
    pub msb_volume_create: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *const msb_volume_opts,
        *mut msb_error,
    ) -> c_int,
    pub msb_volume_list: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *mut *mut msb_volumes,
        *mut msb_error,
    ) -> c_int,
    pub msb_volumes_free: unsafe extern "C" fn(*mut msb_volumes),
    pub msb_volumes_count: unsafe extern "C" fn(*const msb_volumes) -> usize,
    pub msb_volumes_get: unsafe extern "C" fn(*const msb_volumes, usize) -> *const msb_volume_info,
    pub msb_volume_remove:
        unsafe extern "C" fn(*mut msb_home, *const c_char, c_int, *mut msb_error) -> c_int,
    pub msb_volume_prune: unsafe extern "C" fn(
        *mut msb_home,
        *mut *mut *mut c_char,
        *mut u64,
        *mut msb_error,
    ) -> c_int,
    pub msb_file_stat: unsafe extern "C" fn(
        *mut msb_sandbox,
        *const c_char,
        u32,
        *mut msb_file_info,
        *mut msb_error,
    ) -> c_int,
    pub msb_file_list: unsafe extern "C" fn(
        *mut msb_sandbox,
        *const c_char,
        *mut *mut msb_file_list,
        *mut msb_error,
    ) -> c_int,
    pub msb_file_list_free: unsafe extern "C" fn(*mut msb_file_list),
    pub msb_file_list_count: unsafe extern "C" fn(*const msb_file_list) -> usize,
    pub msb_file_list_get:
        unsafe extern "C" fn(*const msb_file_list, usize) -> *const msb_file_info,
    pub msb_file_mkdir:
        unsafe extern "C" fn(*mut msb_sandbox, *const c_char, u32, u32, *mut msb_error) -> c_int,
    pub msb_file_remove:
        unsafe extern "C" fn(*mut msb_sandbox, *const c_char, u32, *mut msb_error) -> c_int,
    pub msb_file_rename: unsafe extern "C" fn(
        *mut msb_sandbox,
        *const c_char,
        *const c_char,
        u32,
        *mut msb_error,
    ) -> c_int,
    pub msb_file_chmod:
        unsafe extern "C" fn(*mut msb_sandbox, *const c_char, u32, *mut msb_error) -> c_int,
    pub msb_file_chown: unsafe extern "C" fn(
        *mut msb_sandbox,
        *const c_char,
        u32,
        u32,
        u32,
        *mut msb_error,
    ) -> c_int,
    pub msb_file_symlink: unsafe extern "C" fn(
        *mut msb_sandbox,
        *const c_char,
        *const c_char,
        *mut msb_error,
    ) -> c_int,
    pub msb_file_copy: unsafe extern "C" fn(
        *mut msb_sandbox,
        *const c_char,
        *const c_char,
        *mut msb_error,
    ) -> c_int,
    pub msb_file_read: unsafe extern "C" fn(
        *mut msb_sandbox,
        *const c_char,
        usize,
        *mut *mut c_void,
        *mut usize,
        *mut msb_error,
    ) -> c_int,
    pub msb_free: unsafe extern "C" fn(*mut c_void),
    pub msb_file_write: unsafe extern "C" fn(
        *mut msb_sandbox,
        *const c_char,
        *const c_void,
        usize,
        u32,
        u32,
        *mut msb_error,
    ) -> c_int,
    pub msb_file_open: unsafe extern "C" fn(
        *mut msb_sandbox,
        *const c_char,
        *const msb_file_opts,
        *mut *mut msb_file,
        *mut msb_error,
    ) -> c_int,
    pub msb_file_get:
        unsafe extern "C" fn(*mut msb_file, *mut c_void, usize, *mut msb_error) -> i64,
    pub msb_file_put:
        unsafe extern "C" fn(*mut msb_file, *const c_void, usize, *mut msb_error) -> c_int,
    pub msb_file_finish: unsafe extern "C" fn(*mut msb_file, *mut msb_error) -> c_int,
    pub msb_file_close: unsafe extern "C" fn(*mut msb_file),
    pub msb_copy_in: unsafe extern "C" fn(
        *mut msb_sandbox,
        *const c_char,
        *const c_char,
        *const msb_copy_opts,
        *mut msb_error,
    ) -> c_int,
    pub msb_copy_out: unsafe extern "C" fn(
        *mut msb_sandbox,
        *const c_char,
        *const c_char,
        *const msb_copy_opts,
        *mut msb_error,
    ) -> c_int,
    pub msb_copy_in_tar: unsafe extern "C" fn(
        *mut msb_sandbox,
        c_int,
        *const c_char,
        *const msb_copy_opts,
        *mut msb_error,
    ) -> c_int,
    pub msb_copy_out_tar: unsafe extern "C" fn(
        *mut msb_sandbox,
        *const c_char,
        c_int,
        *const msb_copy_opts,
        *mut msb_error,
    ) -> c_int,
    pub msb_copy_across: unsafe extern "C" fn(
        *mut msb_sandbox,
        *const c_char,
        *mut msb_sandbox,
        *const c_char,
        *const msb_copy_opts,
        *mut msb_error,
    ) -> c_int,
    pub msb_snapshot_create: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *const c_char,
        *const msb_snapshot_opts,
        *mut msb_error,
    ) -> c_int,
    pub msb_snapshot_list: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *mut *mut msb_snapshots,
        *mut msb_error,
    ) -> c_int,
    pub msb_snapshots_free: unsafe extern "C" fn(*mut msb_snapshots),
    pub msb_snapshots_count: unsafe extern "C" fn(*const msb_snapshots) -> usize,
    pub msb_snapshots_get:
        unsafe extern "C" fn(*const msb_snapshots, usize) -> *const msb_snapshot_info,
    pub msb_snapshot_image: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *mut *mut msb_image,
        *mut msb_error,
    ) -> c_int,
    pub msb_snapshot_verify:
        unsafe extern "C" fn(*mut msb_home, *const c_char, *mut msb_error) -> c_int,
    pub msb_snapshot_remove:
        unsafe extern "C" fn(*mut msb_home, *const c_char, *mut msb_error) -> c_int,
    pub msb_snapshot_save: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *const c_char,
        u32,
        *mut msb_error,
    ) -> c_int,
    pub msb_snapshot_load: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *const c_char,
        *mut *mut c_char,
        *mut msb_error,
    ) -> c_int,
    pub msb_image_commit: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *const c_char,
        *const msb_commit_opts,
        *mut *mut c_char,
        *mut msb_error,
    ) -> c_int,
    pub msb_image_save: unsafe extern "C" fn(
        *mut msb_home,
        *const *const c_char,
        *const msb_save_opts,
        *const c_char,
        *mut msb_error,
    ) -> c_int,
    pub msb_sandbox_ports: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *mut *mut c_char,
        *mut msb_error,
    ) -> c_int,
    pub msb_net_explain: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *const c_char,
        u16,
        *const c_char,
        *mut *mut c_char,
        *mut msb_error,
    ) -> c_int,
    pub msb_net_rules: unsafe extern "C" fn(
        *mut msb_home,
        *const c_char,
        *mut *mut c_char,
        *mut msb_error,
    ) -> c_int,
}

impl Functions {
    /// Look all of them up. `find` gives the address of a symbol, never null, or an error.
    ///
    /// # Safety
    /// `find` must give addresses of the functions that the header of this version declares.
    pub unsafe fn load<E>(
        mut find: impl FnMut(&'static std::ffi::CStr) -> Result<*mut c_void, E>,
    ) -> Result<Self, E> {
        // SAFETY: the caller vouches for the addresses; they are not null.
        unsafe {
            Ok(Self {
                msb_code_name: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(i32) -> *const c_char,
                >(find(c"msb_code_name")?),
                msb_version: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn() -> *const c_char,
                >(find(c"msb_version")?),
                msb_cancel_new: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut *mut msb_cancel, *mut msb_error) -> c_int,
                >(find(c"msb_cancel_new")?),
                msb_cancel_use: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_cancel),
                >(find(c"msb_cancel_use")?),
                msb_cancel_fire: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_cancel),
                >(find(c"msb_cancel_fire")?),
                msb_cancel_reset: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_cancel),
                >(find(c"msb_cancel_reset")?),
                msb_cancel_free: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_cancel),
                >(find(c"msb_cancel_free")?),
                msb_home_open: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *const c_char,
                        *mut *mut msb_home,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_home_open")?),
                msb_home_free: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_home),
                >(find(c"msb_home_free")?),
                msb_home_path: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_home) -> *const c_char,
                >(find(c"msb_home_path")?),
                msb_image_pull: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *const msb_pull_opts,
                        *mut *mut msb_image,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_image_pull")?),
                msb_image_load: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *const c_char,
                        *const msb_pull_opts,
                        *mut *mut *mut c_char,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_image_load")?),
                msb_strings_free: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut *mut c_char),
                >(find(c"msb_strings_free")?),
                msb_image_open: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *mut *mut msb_image,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_image_open")?),
                msb_image_list: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *mut *mut *mut msb_image,
                        *mut usize,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_image_list")?),
                msb_image_list_free: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut *mut msb_image, usize),
                >(find(c"msb_image_list_free")?),
                msb_image_free: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_image),
                >(find(c"msb_image_free")?),
                msb_image_info: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_image) -> *const msb_image_info,
                >(find(c"msb_image_info")?),
                msb_image_remove: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_home, *const c_char, *mut msb_error) -> c_int,
                >(find(c"msb_image_remove")?),
                msb_image_users: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *mut *mut *mut c_char,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_image_users")?),
                msb_image_prune: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        c_int,
                        *mut u64,
                        *mut u32,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_image_prune")?),
                msb_state_name: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(i32) -> *const c_char,
                >(find(c"msb_state_name")?),
                msb_sandbox_create: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const msb_sandbox_opts,
                        *mut *mut msb_sandbox,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_sandbox_create")?),
                msb_sandbox_start: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *const msb_start_opts,
                        *mut *mut msb_sandbox,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_sandbox_start")?),
                msb_sandbox_run_main: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_sandbox, *mut msb_error) -> c_int,
                >(find(c"msb_sandbox_run_main")?),
                msb_sandbox_open: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *mut *mut msb_sandbox,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_sandbox_open")?),
                msb_sandbox_restart: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        u32,
                        *const msb_start_opts,
                        *mut *mut msb_sandbox,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_sandbox_restart")?),
                msb_sandbox_detach: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_sandbox, *mut msb_error) -> c_int,
                >(find(c"msb_sandbox_detach")?),
                msb_sandbox_free: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_sandbox),
                >(find(c"msb_sandbox_free")?),
                msb_sandbox_name: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_sandbox) -> *const c_char,
                >(find(c"msb_sandbox_name")?),
                msb_sandbox_id: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_sandbox) -> *const c_char,
                >(find(c"msb_sandbox_id")?),
                msb_sandbox_fd: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_sandbox) -> c_int,
                >(find(c"msb_sandbox_fd")?),
                msb_sandbox_state: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_sandbox) -> c_int,
                >(find(c"msb_sandbox_state")?),
                msb_sandbox_wait_ready: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_sandbox, c_int, *mut msb_error) -> c_int,
                >(find(c"msb_sandbox_wait_ready")?),
                msb_sandbox_stop: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_sandbox, u32, *mut msb_error) -> c_int,
                >(find(c"msb_sandbox_stop")?),
                msb_sandbox_kill: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_sandbox, *mut msb_error) -> c_int,
                >(find(c"msb_sandbox_kill")?),
                msb_sandbox_wait: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_sandbox, c_int, *mut msb_error) -> c_int,
                >(find(c"msb_sandbox_wait")?),
                msb_sandbox_touch: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_sandbox, *mut msb_error) -> c_int,
                >(find(c"msb_sandbox_touch")?),
                msb_sandbox_ping: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        c_int,
                        *mut u64,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_sandbox_ping")?),
                msb_sandbox_metrics: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *mut msb_metrics,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_sandbox_metrics")?),
                msb_sandbox_console: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_sandbox) -> *const c_char,
                >(find(c"msb_sandbox_console")?),
                msb_sandbox_times: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_sandbox, *mut msb_sandbox_times),
                >(find(c"msb_sandbox_times")?),
                msb_sandbox_engine: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_sandbox) -> *const c_char,
                >(find(c"msb_sandbox_engine")?),
                msb_sandbox_accel: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_sandbox) -> *const c_char,
                >(find(c"msb_sandbox_accel")?),
                msb_sandbox_walls: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_sandbox) -> *const *const c_char,
                >(find(c"msb_sandbox_walls")?),
                msb_sandbox_warning: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_sandbox) -> *const c_char,
                >(find(c"msb_sandbox_warning")?),
                msb_sandbox_inspect: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *mut *mut msb_sandbox_info,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_sandbox_inspect")?),
                msb_sandbox_info_free: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_sandbox_info),
                >(find(c"msb_sandbox_info_free")?),
                msb_sandbox_list: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const *const c_char,
                        *mut *mut msb_sandbox_list,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_sandbox_list")?),
                msb_sandbox_list_free: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_sandbox_list),
                >(find(c"msb_sandbox_list_free")?),
                msb_sandbox_list_count: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_sandbox_list) -> usize,
                >(find(c"msb_sandbox_list_count")?),
                msb_sandbox_list_get: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_sandbox_list, usize) -> *const msb_sandbox_info,
                >(find(c"msb_sandbox_list_get")?),
                msb_sandbox_remove: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        u32,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_sandbox_remove")?),
                msb_sandbox_modify: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *const msb_modify_opts,
                        *mut *mut msb_plan,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_sandbox_modify")?),
                msb_sandbox_pending: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *mut *mut msb_plan,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_sandbox_pending")?),
                msb_plan_free: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_plan),
                >(find(c"msb_plan_free")?),
                msb_plan_count: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_plan) -> usize,
                >(find(c"msb_plan_count")?),
                msb_plan_get: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_plan, usize) -> *const msb_change,
                >(find(c"msb_plan_get")?),
                msb_doctor: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *const c_char,
                        *mut *mut msb_report,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_doctor")?),
                msb_report_free: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_report),
                >(find(c"msb_report_free")?),
                msb_report_count: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_report) -> usize,
                >(find(c"msb_report_count")?),
                msb_report_get: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_report, usize) -> *const msb_check,
                >(find(c"msb_report_get")?),
                msb_repair: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *const c_char,
                        c_int,
                        *mut *mut *mut c_char,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_repair")?),
                msb_logs_open: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *const msb_log_opts,
                        *mut *mut msb_logs,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_logs_open")?),
                msb_logs_free: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_logs),
                >(find(c"msb_logs_free")?),
                msb_logs_next: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_logs,
                        c_int,
                        *mut msb_log_entry,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_logs_next")?),
                msb_logs_fd: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_logs) -> c_int,
                >(find(c"msb_logs_fd")?),
                msb_logs_ended: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_logs) -> c_int,
                >(find(c"msb_logs_ended")?),
                msb_exec_start: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *const msb_exec_opts,
                        *mut *mut msb_exec,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_exec_start")?),
                msb_exec_session: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_exec) -> u64,
                >(find(c"msb_exec_session")?),
                msb_exec_detach: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_exec, *mut msb_error) -> c_int,
                >(find(c"msb_exec_detach")?),
                msb_exec_attach: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        u64,
                        *mut *mut msb_exec,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_exec_attach")?),
                msb_exec_is_tty: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_exec) -> c_int,
                >(find(c"msb_exec_is_tty")?),
                msb_exec_free: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_exec),
                >(find(c"msb_exec_free")?),
                msb_exec_fd: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_exec) -> c_int,
                >(find(c"msb_exec_fd")?),
                msb_exec_next: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_exec,
                        c_int,
                        *mut msb_exec_event,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_exec_next")?),
                msb_exec_write: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_exec,
                        *const c_void,
                        usize,
                        *mut msb_error,
                    ) -> i64,
                >(find(c"msb_exec_write")?),
                msb_exec_close_stdin: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_exec, *mut msb_error) -> c_int,
                >(find(c"msb_exec_close_stdin")?),
                msb_exec_unread: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_exec) -> usize,
                >(find(c"msb_exec_unread")?),
                msb_exec_signal: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_exec, c_int, *mut msb_error) -> c_int,
                >(find(c"msb_exec_signal")?),
                msb_exec_resize: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_exec, u16, u16, *mut msb_error) -> c_int,
                >(find(c"msb_exec_resize")?),
                msb_exec_wait: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_exec, c_int, *mut c_int, *mut msb_error) -> c_int,
                >(find(c"msb_exec_wait")?),
                msb_exec_run: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *const msb_exec_opts,
                        *const c_void,
                        usize,
                        usize,
                        c_int,
                        *mut *mut msb_output,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_exec_run")?),
                msb_output_free: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_output),
                >(find(c"msb_output_free")?),
                msb_volume_create: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *const msb_volume_opts,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_volume_create")?),
                msb_volume_list: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *mut *mut msb_volumes,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_volume_list")?),
                msb_volumes_free: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_volumes),
                >(find(c"msb_volumes_free")?),
                msb_volumes_count: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_volumes) -> usize,
                >(find(c"msb_volumes_count")?),
                msb_volumes_get: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_volumes, usize) -> *const msb_volume_info,
                >(find(c"msb_volumes_get")?),
                msb_volume_remove: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        c_int,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_volume_remove")?),
                msb_volume_prune: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *mut *mut *mut c_char,
                        *mut u64,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_volume_prune")?),
                msb_file_stat: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *const c_char,
                        u32,
                        *mut msb_file_info,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_file_stat")?),
                msb_file_list: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *const c_char,
                        *mut *mut msb_file_list,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_file_list")?),
                msb_file_list_free: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_file_list),
                >(find(c"msb_file_list_free")?),
                msb_file_list_count: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_file_list) -> usize,
                >(find(c"msb_file_list_count")?),
                msb_file_list_get: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_file_list, usize) -> *const msb_file_info,
                >(find(c"msb_file_list_get")?),
                msb_file_mkdir: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *const c_char,
                        u32,
                        u32,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_file_mkdir")?),
                msb_file_remove: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *const c_char,
                        u32,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_file_remove")?),
                msb_file_rename: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *const c_char,
                        *const c_char,
                        u32,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_file_rename")?),
                msb_file_chmod: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *const c_char,
                        u32,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_file_chmod")?),
                msb_file_chown: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *const c_char,
                        u32,
                        u32,
                        u32,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_file_chown")?),
                msb_file_symlink: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *const c_char,
                        *const c_char,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_file_symlink")?),
                msb_file_copy: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *const c_char,
                        *const c_char,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_file_copy")?),
                msb_file_read: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *const c_char,
                        usize,
                        *mut *mut c_void,
                        *mut usize,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_file_read")?),
                msb_free: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void)>(
                    find(c"msb_free")?,
                ),
                msb_file_write: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *const c_char,
                        *const c_void,
                        usize,
                        u32,
                        u32,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_file_write")?),
                msb_file_open: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *const c_char,
                        *const msb_file_opts,
                        *mut *mut msb_file,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_file_open")?),
                msb_file_get: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_file, *mut c_void, usize, *mut msb_error) -> i64,
                >(find(c"msb_file_get")?),
                msb_file_put: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_file,
                        *const c_void,
                        usize,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_file_put")?),
                msb_file_finish: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_file, *mut msb_error) -> c_int,
                >(find(c"msb_file_finish")?),
                msb_file_close: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_file),
                >(find(c"msb_file_close")?),
                msb_copy_in: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *const c_char,
                        *const c_char,
                        *const msb_copy_opts,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_copy_in")?),
                msb_copy_out: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *const c_char,
                        *const c_char,
                        *const msb_copy_opts,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_copy_out")?),
                msb_copy_in_tar: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        c_int,
                        *const c_char,
                        *const msb_copy_opts,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_copy_in_tar")?),
                msb_copy_out_tar: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *const c_char,
                        c_int,
                        *const msb_copy_opts,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_copy_out_tar")?),
                msb_copy_across: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_sandbox,
                        *const c_char,
                        *mut msb_sandbox,
                        *const c_char,
                        *const msb_copy_opts,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_copy_across")?),
                msb_snapshot_create: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *const c_char,
                        *const msb_snapshot_opts,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_snapshot_create")?),
                msb_snapshot_list: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *mut *mut msb_snapshots,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_snapshot_list")?),
                msb_snapshots_free: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_snapshots),
                >(find(c"msb_snapshots_free")?),
                msb_snapshots_count: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_snapshots) -> usize,
                >(find(c"msb_snapshots_count")?),
                msb_snapshots_get: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const msb_snapshots, usize) -> *const msb_snapshot_info,
                >(find(c"msb_snapshots_get")?),
                msb_snapshot_image: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *mut *mut msb_image,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_snapshot_image")?),
                msb_snapshot_verify: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_home, *const c_char, *mut msb_error) -> c_int,
                >(find(c"msb_snapshot_verify")?),
                msb_snapshot_remove: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut msb_home, *const c_char, *mut msb_error) -> c_int,
                >(find(c"msb_snapshot_remove")?),
                msb_snapshot_save: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *const c_char,
                        u32,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_snapshot_save")?),
                msb_snapshot_load: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *const c_char,
                        *mut *mut c_char,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_snapshot_load")?),
                msb_image_commit: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *const c_char,
                        *const msb_commit_opts,
                        *mut *mut c_char,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_image_commit")?),
                msb_image_save: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const *const c_char,
                        *const msb_save_opts,
                        *const c_char,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_image_save")?),
                msb_sandbox_ports: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *mut *mut c_char,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_sandbox_ports")?),
                msb_net_explain: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *const c_char,
                        u16,
                        *const c_char,
                        *mut *mut c_char,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_net_explain")?),
                msb_net_rules: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(
                        *mut msb_home,
                        *const c_char,
                        *mut *mut c_char,
                        *mut msb_error,
                    ) -> c_int,
                >(find(c"msb_net_rules")?),
            })
        }
    }
}

/// Of each struct its name, its size, and the offsets of its members, as the compiler has them.
pub type Layout = (&'static str, usize, &'static [(&'static str, usize)]);

/// What tests compare with `sdk/api.json`.
pub const LAYOUT: &[Layout] = {
    use std::mem::{offset_of, size_of};
    &[
        (
            "msb_error",
            size_of::<msb_error>(),
            &[
                ("code", offset_of!(msb_error, code)),
                ("sys_errno", offset_of!(msb_error, sys_errno)),
                ("message", offset_of!(msb_error, message)),
                ("hint", offset_of!(msb_error, hint)),
            ],
        ),
        (
            "msb_pull_event",
            size_of::<msb_pull_event>(),
            &[
                ("kind", offset_of!(msb_pull_event, kind)),
                ("reference", offset_of!(msb_pull_event, reference)),
                ("digest", offset_of!(msb_pull_event, digest)),
                ("layer", offset_of!(msb_pull_event, layer)),
                ("layer_count", offset_of!(msb_pull_event, layer_count)),
                ("done", offset_of!(msb_pull_event, done)),
                ("total", offset_of!(msb_pull_event, total)),
                ("cached", offset_of!(msb_pull_event, cached)),
            ],
        ),
        (
            "msb_pull_opts",
            size_of::<msb_pull_opts>(),
            &[
                ("size", offset_of!(msb_pull_opts, size)),
                ("policy", offset_of!(msb_pull_opts, policy)),
                ("force", offset_of!(msb_pull_opts, force)),
                ("insecure", offset_of!(msb_pull_opts, insecure)),
                ("downloads", offset_of!(msb_pull_opts, downloads)),
                ("ca_certs", offset_of!(msb_pull_opts, ca_certs)),
                ("platform", offset_of!(msb_pull_opts, platform)),
                ("event", offset_of!(msb_pull_opts, event)),
                ("event_arg", offset_of!(msb_pull_opts, event_arg)),
                ("root", offset_of!(msb_pull_opts, root)),
                ("flags", offset_of!(msb_pull_opts, flags)),
            ],
        ),
        (
            "msb_image_info",
            size_of::<msb_image_info>(),
            &[
                ("reference", offset_of!(msb_image_info, reference)),
                ("id", offset_of!(msb_image_info, id)),
                ("platform", offset_of!(msb_image_info, platform)),
                ("size_bytes", offset_of!(msb_image_info, size_bytes)),
                ("created_unix", offset_of!(msb_image_info, created_unix)),
                ("pulled_unix", offset_of!(msb_image_info, pulled_unix)),
                ("layer_count", offset_of!(msb_image_info, layer_count)),
                ("layers", offset_of!(msb_image_info, layers)),
                ("entrypoint", offset_of!(msb_image_info, entrypoint)),
                ("cmd", offset_of!(msb_image_info, cmd)),
                ("env", offset_of!(msb_image_info, env)),
                ("workdir", offset_of!(msb_image_info, workdir)),
                ("user", offset_of!(msb_image_info, user)),
                ("stop_signal", offset_of!(msb_image_info, stop_signal)),
                ("config_json", offset_of!(msb_image_info, config_json)),
                ("config_digest", offset_of!(msb_image_info, config_digest)),
            ],
        ),
        (
            "msb_sandbox_opts",
            size_of::<msb_sandbox_opts>(),
            &[
                ("size", offset_of!(msb_sandbox_opts, size)),
                ("image", offset_of!(msb_sandbox_opts, image)),
                ("name", offset_of!(msb_sandbox_opts, name)),
                ("hostname", offset_of!(msb_sandbox_opts, hostname)),
                ("cpus", offset_of!(msb_sandbox_opts, cpus)),
                ("accel", offset_of!(msb_sandbox_opts, accel)),
                ("memory_bytes", offset_of!(msb_sandbox_opts, memory_bytes)),
                ("upper_bytes", offset_of!(msb_sandbox_opts, upper_bytes)),
                ("boot_timeout_ms", offset_of!(msb_sandbox_opts, boot_timeout_ms)),
                ("log_fd", offset_of!(msb_sandbox_opts, log_fd)),
                ("log_level", offset_of!(msb_sandbox_opts, log_level)),
                ("engine", offset_of!(msb_sandbox_opts, engine)),
                ("flags", offset_of!(msb_sandbox_opts, flags)),
                ("labels", offset_of!(msb_sandbox_opts, labels)),
                ("max_duration_s", offset_of!(msb_sandbox_opts, max_duration_s)),
                ("idle_timeout_s", offset_of!(msb_sandbox_opts, idle_timeout_s)),
                ("replace_timeout_ms", offset_of!(msb_sandbox_opts, replace_timeout_ms)),
                ("env", offset_of!(msb_sandbox_opts, env)),
                ("rlimits", offset_of!(msb_sandbox_opts, rlimits)),
                ("workdir", offset_of!(msb_sandbox_opts, workdir)),
                ("user", offset_of!(msb_sandbox_opts, user)),
                ("entrypoint", offset_of!(msb_sandbox_opts, entrypoint)),
                ("shell", offset_of!(msb_sandbox_opts, shell)),
                ("scripts", offset_of!(msb_sandbox_opts, scripts)),
                ("init", offset_of!(msb_sandbox_opts, init)),
                ("init_args", offset_of!(msb_sandbox_opts, init_args)),
                ("init_env", offset_of!(msb_sandbox_opts, init_env)),
                ("command", offset_of!(msb_sandbox_opts, command)),
                ("mounts", offset_of!(msb_sandbox_opts, mounts)),
                ("patches", offset_of!(msb_sandbox_opts, patches)),
                ("snapshot", offset_of!(msb_sandbox_opts, snapshot)),
                ("upper", offset_of!(msb_sandbox_opts, upper)),
                ("network", offset_of!(msb_sandbox_opts, network)),
                ("secrets", offset_of!(msb_sandbox_opts, secrets)),
                ("tls", offset_of!(msb_sandbox_opts, tls)),
            ],
        ),
        (
            "msb_start_opts",
            size_of::<msb_start_opts>(),
            &[
                ("size", offset_of!(msb_start_opts, size)),
                ("log_fd", offset_of!(msb_start_opts, log_fd)),
                ("flags", offset_of!(msb_start_opts, flags)),
                ("log_level", offset_of!(msb_start_opts, log_level)),
                ("secrets", offset_of!(msb_start_opts, secrets)),
            ],
        ),
        (
            "msb_metrics",
            size_of::<msb_metrics>(),
            &[
                ("size", offset_of!(msb_metrics, size)),
                ("time_ns", offset_of!(msb_metrics, time_ns)),
                ("unix_ms", offset_of!(msb_metrics, unix_ms)),
                ("uptime_ns", offset_of!(msb_metrics, uptime_ns)),
                ("cpu_ns", offset_of!(msb_metrics, cpu_ns)),
                ("memory_bytes", offset_of!(msb_metrics, memory_bytes)),
                ("memory_resident_bytes", offset_of!(msb_metrics, memory_resident_bytes)),
                ("memory_returned_bytes", offset_of!(msb_metrics, memory_returned_bytes)),
                ("disk_read_bytes", offset_of!(msb_metrics, disk_read_bytes)),
                ("disk_write_bytes", offset_of!(msb_metrics, disk_write_bytes)),
                ("disk_reads", offset_of!(msb_metrics, disk_reads)),
                ("disk_writes", offset_of!(msb_metrics, disk_writes)),
                ("net_rx_bytes", offset_of!(msb_metrics, net_rx_bytes)),
                ("net_tx_bytes", offset_of!(msb_metrics, net_tx_bytes)),
                ("upper_bytes", offset_of!(msb_metrics, upper_bytes)),
                ("upper_used_bytes", offset_of!(msb_metrics, upper_used_bytes)),
                ("cpus", offset_of!(msb_metrics, cpus)),
                ("sessions", offset_of!(msb_metrics, sessions)),
                ("net_rx_packets", offset_of!(msb_metrics, net_rx_packets)),
                ("net_tx_packets", offset_of!(msb_metrics, net_tx_packets)),
                ("net_flows", offset_of!(msb_metrics, net_flows)),
                ("net_open", offset_of!(msb_metrics, net_open)),
                ("net_denied", offset_of!(msb_metrics, net_denied)),
                ("net_refused", offset_of!(msb_metrics, net_refused)),
                ("net_dns_queries", offset_of!(msb_metrics, net_dns_queries)),
                ("net_dns_denied", offset_of!(msb_metrics, net_dns_denied)),
                ("tls_flows", offset_of!(msb_metrics, tls_flows)),
                ("tls_refused", offset_of!(msb_metrics, tls_refused)),
                ("secrets_used", offset_of!(msb_metrics, secrets_used)),
                ("secret_violations", offset_of!(msb_metrics, secret_violations)),
                ("secrets_masked", offset_of!(msb_metrics, secrets_masked)),
            ],
        ),
        (
            "msb_sandbox_times",
            size_of::<msb_sandbox_times>(),
            &[
                ("size", offset_of!(msb_sandbox_times, size)),
                ("create_ns", offset_of!(msb_sandbox_times, create_ns)),
                ("launched_ns", offset_of!(msb_sandbox_times, launched_ns)),
                ("spawn_ns", offset_of!(msb_sandbox_times, spawn_ns)),
                ("init_ns", offset_of!(msb_sandbox_times, init_ns)),
                ("ready_ns", offset_of!(msb_sandbox_times, ready_ns)),
            ],
        ),
        (
            "msb_sandbox_info",
            size_of::<msb_sandbox_info>(),
            &[
                ("name", offset_of!(msb_sandbox_info, name)),
                ("image", offset_of!(msb_sandbox_info, image)),
                ("state", offset_of!(msb_sandbox_info, state)),
                ("cpus", offset_of!(msb_sandbox_info, cpus)),
                ("memory_bytes", offset_of!(msb_sandbox_info, memory_bytes)),
                ("engine", offset_of!(msb_sandbox_info, engine)),
                ("accel", offset_of!(msb_sandbox_info, accel)),
                ("walls", offset_of!(msb_sandbox_info, walls)),
                ("boundary", offset_of!(msb_sandbox_info, boundary)),
                ("pid", offset_of!(msb_sandbox_info, pid)),
                ("owner_pid", offset_of!(msb_sandbox_info, owner_pid)),
                ("started_unix", offset_of!(msb_sandbox_info, started_unix)),
                ("id", offset_of!(msb_sandbox_info, id)),
                ("labels", offset_of!(msb_sandbox_info, labels)),
                ("created_unix", offset_of!(msb_sandbox_info, created_unix)),
                ("ended_unix", offset_of!(msb_sandbox_info, ended_unix)),
                ("end_reason", offset_of!(msb_sandbox_info, end_reason)),
                ("end_message", offset_of!(msb_sandbox_info, end_message)),
                ("exit_code", offset_of!(msb_sandbox_info, exit_code)),
                ("flags", offset_of!(msb_sandbox_info, flags)),
                ("max_duration_s", offset_of!(msb_sandbox_info, max_duration_s)),
                ("idle_timeout_s", offset_of!(msb_sandbox_info, idle_timeout_s)),
                ("upper_bytes", offset_of!(msb_sandbox_info, upper_bytes)),
                ("disk_bytes", offset_of!(msb_sandbox_info, disk_bytes)),
                ("image_id", offset_of!(msb_sandbox_info, image_id)),
                ("hostname", offset_of!(msb_sandbox_info, hostname)),
                ("env", offset_of!(msb_sandbox_info, env)),
                ("rlimits", offset_of!(msb_sandbox_info, rlimits)),
                ("workdir", offset_of!(msb_sandbox_info, workdir)),
                ("user", offset_of!(msb_sandbox_info, user)),
                ("entrypoint", offset_of!(msb_sandbox_info, entrypoint)),
                ("shell", offset_of!(msb_sandbox_info, shell)),
                ("scripts", offset_of!(msb_sandbox_info, scripts)),
                ("init", offset_of!(msb_sandbox_info, init)),
                ("command", offset_of!(msb_sandbox_info, command)),
                ("started_ms", offset_of!(msb_sandbox_info, started_ms)),
                ("ready_ms", offset_of!(msb_sandbox_info, ready_ms)),
                ("ended_ms", offset_of!(msb_sandbox_info, ended_ms)),
                ("created_ms", offset_of!(msb_sandbox_info, created_ms)),
                ("patches", offset_of!(msb_sandbox_info, patches)),
                ("mounts", offset_of!(msb_sandbox_info, mounts)),
                ("network", offset_of!(msb_sandbox_info, network)),
                ("secrets", offset_of!(msb_sandbox_info, secrets)),
                ("tls", offset_of!(msb_sandbox_info, tls)),
            ],
        ),
        (
            "msb_modify_opts",
            size_of::<msb_modify_opts>(),
            &[
                ("size", offset_of!(msb_modify_opts, size)),
                ("dry_run", offset_of!(msb_modify_opts, dry_run)),
                ("cpus", offset_of!(msb_modify_opts, cpus)),
                ("memory_bytes", offset_of!(msb_modify_opts, memory_bytes)),
                ("env", offset_of!(msb_modify_opts, env)),
                ("env_rm", offset_of!(msb_modify_opts, env_rm)),
                ("labels", offset_of!(msb_modify_opts, labels)),
                ("labels_rm", offset_of!(msb_modify_opts, labels_rm)),
                ("workdir", offset_of!(msb_modify_opts, workdir)),
                ("user", offset_of!(msb_modify_opts, user)),
                ("hostname", offset_of!(msb_modify_opts, hostname)),
                ("shell", offset_of!(msb_modify_opts, shell)),
                ("max_duration_s", offset_of!(msb_modify_opts, max_duration_s)),
                ("idle_timeout_s", offset_of!(msb_modify_opts, idle_timeout_s)),
                ("upper_bytes", offset_of!(msb_modify_opts, upper_bytes)),
                ("secrets", offset_of!(msb_modify_opts, secrets)),
                ("secrets_rm", offset_of!(msb_modify_opts, secrets_rm)),
            ],
        ),
        (
            "msb_change",
            size_of::<msb_change>(),
            &[
                ("field", offset_of!(msb_change, field)),
                ("before", offset_of!(msb_change, before)),
                ("after", offset_of!(msb_change, after)),
                ("effect", offset_of!(msb_change, effect)),
            ],
        ),
        (
            "msb_check",
            size_of::<msb_check>(),
            &[
                ("name", offset_of!(msb_check, name)),
                ("status", offset_of!(msb_check, status)),
                ("message", offset_of!(msb_check, message)),
                ("fix", offset_of!(msb_check, fix)),
            ],
        ),
        (
            "msb_log_opts",
            size_of::<msb_log_opts>(),
            &[
                ("size", offset_of!(msb_log_opts, size)),
                ("sources", offset_of!(msb_log_opts, sources)),
                ("follow", offset_of!(msb_log_opts, follow)),
                ("tail", offset_of!(msb_log_opts, tail)),
                ("since_ms", offset_of!(msb_log_opts, since_ms)),
                ("until_ms", offset_of!(msb_log_opts, until_ms)),
                ("session", offset_of!(msb_log_opts, session)),
            ],
        ),
        (
            "msb_log_entry",
            size_of::<msb_log_entry>(),
            &[
                ("size", offset_of!(msb_log_entry, size)),
                ("unix_ms", offset_of!(msb_log_entry, unix_ms)),
                ("session", offset_of!(msb_log_entry, session)),
                ("source", offset_of!(msb_log_entry, source)),
                ("data", offset_of!(msb_log_entry, data)),
                ("len", offset_of!(msb_log_entry, len)),
            ],
        ),
        (
            "msb_exec_opts",
            size_of::<msb_exec_opts>(),
            &[
                ("size", offset_of!(msb_exec_opts, size)),
                ("flags", offset_of!(msb_exec_opts, flags)),
                ("rows", offset_of!(msb_exec_opts, rows)),
                ("cols", offset_of!(msb_exec_opts, cols)),
                ("argv", offset_of!(msb_exec_opts, argv)),
                ("env", offset_of!(msb_exec_opts, env)),
                ("rlimits", offset_of!(msb_exec_opts, rlimits)),
                ("entrypoint", offset_of!(msb_exec_opts, entrypoint)),
                ("cwd", offset_of!(msb_exec_opts, cwd)),
                ("user", offset_of!(msb_exec_opts, user)),
            ],
        ),
        (
            "msb_exec_event",
            size_of::<msb_exec_event>(),
            &[
                ("size", offset_of!(msb_exec_event, size)),
                ("kind", offset_of!(msb_exec_event, kind)),
                ("pid", offset_of!(msb_exec_event, pid)),
                ("data", offset_of!(msb_exec_event, data)),
                ("len", offset_of!(msb_exec_event, len)),
                ("code", offset_of!(msb_exec_event, code)),
                ("signal", offset_of!(msb_exec_event, signal)),
                ("error_no", offset_of!(msb_exec_event, error_no)),
                ("stage", offset_of!(msb_exec_event, stage)),
                ("message", offset_of!(msb_exec_event, message)),
            ],
        ),
        (
            "msb_output",
            size_of::<msb_output>(),
            &[
                ("size", offset_of!(msb_output, size)),
                ("code", offset_of!(msb_output, code)),
                ("signal", offset_of!(msb_output, signal)),
                ("out", offset_of!(msb_output, out)),
                ("err", offset_of!(msb_output, err)),
                ("out_len", offset_of!(msb_output, out_len)),
                ("err_len", offset_of!(msb_output, err_len)),
                ("truncated", offset_of!(msb_output, truncated)),
            ],
        ),
        (
            "msb_mount",
            size_of::<msb_mount>(),
            &[
                ("size", offset_of!(msb_mount, size)),
                ("kind", offset_of!(msb_mount, kind)),
                ("flags", offset_of!(msb_mount, flags)),
                ("source", offset_of!(msb_mount, source)),
                ("target", offset_of!(msb_mount, target)),
                ("cache", offset_of!(msb_mount, cache)),
                ("uid", offset_of!(msb_mount, uid)),
                ("gid", offset_of!(msb_mount, gid)),
                ("quota_bytes", offset_of!(msb_mount, quota_bytes)),
                ("size_bytes", offset_of!(msb_mount, size_bytes)),
                ("mode", offset_of!(msb_mount, mode)),
                ("volume_kind", offset_of!(msb_mount, volume_kind)),
                ("format", offset_of!(msb_mount, format)),
                ("fstype", offset_of!(msb_mount, fstype)),
            ],
        ),
        (
            "msb_volume_info",
            size_of::<msb_volume_info>(),
            &[
                ("size", offset_of!(msb_volume_info, size)),
                ("name", offset_of!(msb_volume_info, name)),
                ("path", offset_of!(msb_volume_info, path)),
                ("kind", offset_of!(msb_volume_info, kind)),
                ("size_bytes", offset_of!(msb_volume_info, size_bytes)),
                ("used_bytes", offset_of!(msb_volume_info, used_bytes)),
                ("created_ms", offset_of!(msb_volume_info, created_ms)),
                ("users", offset_of!(msb_volume_info, users)),
                ("in_use", offset_of!(msb_volume_info, in_use)),
            ],
        ),
        (
            "msb_volume_opts",
            size_of::<msb_volume_opts>(),
            &[
                ("size", offset_of!(msb_volume_opts, size)),
                ("kind", offset_of!(msb_volume_opts, kind)),
                ("size_bytes", offset_of!(msb_volume_opts, size_bytes)),
            ],
        ),
        (
            "msb_patch",
            size_of::<msb_patch>(),
            &[
                ("size", offset_of!(msb_patch, size)),
                ("kind", offset_of!(msb_patch, kind)),
                ("flags", offset_of!(msb_patch, flags)),
                ("path", offset_of!(msb_patch, path)),
                ("source", offset_of!(msb_patch, source)),
                ("data", offset_of!(msb_patch, data)),
                ("data_len", offset_of!(msb_patch, data_len)),
                ("mode", offset_of!(msb_patch, mode)),
                ("uid", offset_of!(msb_patch, uid)),
                ("gid", offset_of!(msb_patch, gid)),
            ],
        ),
        (
            "msb_file_info",
            size_of::<msb_file_info>(),
            &[
                ("size", offset_of!(msb_file_info, size)),
                ("path", offset_of!(msb_file_info, path)),
                ("target", offset_of!(msb_file_info, target)),
                ("mode", offset_of!(msb_file_info, mode)),
                ("uid", offset_of!(msb_file_info, uid)),
                ("gid", offset_of!(msb_file_info, gid)),
                ("nlink", offset_of!(msb_file_info, nlink)),
                ("rdev", offset_of!(msb_file_info, rdev)),
                ("size_bytes", offset_of!(msb_file_info, size_bytes)),
                ("mtime_s", offset_of!(msb_file_info, mtime_s)),
                ("mtime_ns", offset_of!(msb_file_info, mtime_ns)),
            ],
        ),
        (
            "msb_file_opts",
            size_of::<msb_file_opts>(),
            &[
                ("size", offset_of!(msb_file_opts, size)),
                ("mode", offset_of!(msb_file_opts, mode)),
                ("flags", offset_of!(msb_file_opts, flags)),
                ("permissions", offset_of!(msb_file_opts, permissions)),
                ("offset", offset_of!(msb_file_opts, offset)),
                ("length", offset_of!(msb_file_opts, length)),
            ],
        ),
        (
            "msb_copy_event",
            size_of::<msb_copy_event>(),
            &[
                ("path", offset_of!(msb_copy_event, path)),
                ("files", offset_of!(msb_copy_event, files)),
                ("bytes", offset_of!(msb_copy_event, bytes)),
            ],
        ),
        (
            "msb_copy_opts",
            size_of::<msb_copy_opts>(),
            &[
                ("size", offset_of!(msb_copy_opts, size)),
                ("flags", offset_of!(msb_copy_opts, flags)),
                ("event", offset_of!(msb_copy_opts, event)),
                ("event_arg", offset_of!(msb_copy_opts, event_arg)),
            ],
        ),
        (
            "msb_snapshot_info",
            size_of::<msb_snapshot_info>(),
            &[
                ("size", offset_of!(msb_snapshot_info, size)),
                ("name", offset_of!(msb_snapshot_info, name)),
                ("digest", offset_of!(msb_snapshot_info, digest)),
                ("image", offset_of!(msb_snapshot_info, image)),
                ("image_id", offset_of!(msb_snapshot_info, image_id)),
                ("sandbox", offset_of!(msb_snapshot_info, sandbox)),
                ("parent", offset_of!(msb_snapshot_info, parent)),
                ("content", offset_of!(msb_snapshot_info, content)),
                ("size_bytes", offset_of!(msb_snapshot_info, size_bytes)),
                ("used_bytes", offset_of!(msb_snapshot_info, used_bytes)),
                ("created_ms", offset_of!(msb_snapshot_info, created_ms)),
                ("labels", offset_of!(msb_snapshot_info, labels)),
                ("path", offset_of!(msb_snapshot_info, path)),
            ],
        ),
        (
            "msb_snapshot_opts",
            size_of::<msb_snapshot_opts>(),
            &[
                ("size", offset_of!(msb_snapshot_opts, size)),
                ("labels", offset_of!(msb_snapshot_opts, labels)),
                ("flags", offset_of!(msb_snapshot_opts, flags)),
                ("event", offset_of!(msb_snapshot_opts, event)),
                ("event_arg", offset_of!(msb_snapshot_opts, event_arg)),
            ],
        ),
        (
            "msb_commit_opts",
            size_of::<msb_commit_opts>(),
            &[
                ("size", offset_of!(msb_commit_opts, size)),
                ("author", offset_of!(msb_commit_opts, author)),
                ("message", offset_of!(msb_commit_opts, message)),
                ("changes", offset_of!(msb_commit_opts, changes)),
            ],
        ),
        (
            "msb_save_opts",
            size_of::<msb_save_opts>(),
            &[
                ("size", offset_of!(msb_save_opts, size)),
                ("format", offset_of!(msb_save_opts, format)),
                ("event", offset_of!(msb_save_opts, event)),
                ("event_arg", offset_of!(msb_save_opts, event_arg)),
            ],
        ),
        (
            "msb_port",
            size_of::<msb_port>(),
            &[
                ("size", offset_of!(msb_port, size)),
                ("bind", offset_of!(msb_port, bind)),
                ("host", offset_of!(msb_port, host)),
                ("guest", offset_of!(msb_port, guest)),
                ("flags", offset_of!(msb_port, flags)),
            ],
        ),
        (
            "msb_rate",
            size_of::<msb_rate>(),
            &[
                ("per_second", offset_of!(msb_rate, per_second)),
                ("burst", offset_of!(msb_rate, burst)),
            ],
        ),
        (
            "msb_network",
            size_of::<msb_network>(),
            &[
                ("size", offset_of!(msb_network, size)),
                ("flags", offset_of!(msb_network, flags)),
                ("profile", offset_of!(msb_network, profile)),
                ("rules", offset_of!(msb_network, rules)),
                ("default_egress", offset_of!(msb_network, default_egress)),
                ("default_ingress", offset_of!(msb_network, default_ingress)),
                ("ports", offset_of!(msb_network, ports)),
                ("nameservers", offset_of!(msb_network, nameservers)),
                ("dns_timeout_ms", offset_of!(msb_network, dns_timeout_ms)),
                ("ipv4_pool", offset_of!(msb_network, ipv4_pool)),
                ("ipv6_pool", offset_of!(msb_network, ipv6_pool)),
                ("mtu", offset_of!(msb_network, mtu)),
                ("egress_bytes", offset_of!(msb_network, egress_bytes)),
                ("egress_packets", offset_of!(msb_network, egress_packets)),
                ("ingress_bytes", offset_of!(msb_network, ingress_bytes)),
                ("ingress_packets", offset_of!(msb_network, ingress_packets)),
                ("max_connections", offset_of!(msb_network, max_connections)),
                ("proxy", offset_of!(msb_network, proxy)),
                ("socks4_user_id", offset_of!(msb_network, socks4_user_id)),
                ("socks5_username", offset_of!(msb_network, socks5_username)),
                ("socks5_password_env", offset_of!(msb_network, socks5_password_env)),
                ("vsock", offset_of!(msb_network, vsock)),
                ("pcap", offset_of!(msb_network, pcap)),
            ],
        ),
        (
            "msb_secret",
            size_of::<msb_secret>(),
            &[
                ("size", offset_of!(msb_secret, size)),
                ("env", offset_of!(msb_secret, env)),
                ("value", offset_of!(msb_secret, value)),
                ("source", offset_of!(msb_secret, source)),
                ("placeholder", offset_of!(msb_secret, placeholder)),
                ("hosts", offset_of!(msb_secret, hosts)),
                ("flags", offset_of!(msb_secret, flags)),
                ("violation", offset_of!(msb_secret, violation)),
            ],
        ),
        (
            "msb_tls",
            size_of::<msb_tls>(),
            &[
                ("size", offset_of!(msb_tls, size)),
                ("flags", offset_of!(msb_tls, flags)),
                ("violation", offset_of!(msb_tls, violation)),
                ("ports", offset_of!(msb_tls, ports)),
                ("bypass", offset_of!(msb_tls, bypass)),
                ("ca_cert", offset_of!(msb_tls, ca_cert)),
                ("ca_key", offset_of!(msb_tls, ca_key)),
                ("upstream_cas", offset_of!(msb_tls, upstream_cas)),
                ("upstream_cas_for", offset_of!(msb_tls, upstream_cas_for)),
                ("no_verify_for", offset_of!(msb_tls, no_verify_for)),
            ],
        ),
    ]
};
