//! What is on record about a sandbox.

use std::fmt;

use crate::config::Violation;

/// Where a machine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It boots.
    Starting,
    /// It runs.
    Ready,
    /// It never got ready.
    Failed,
    /// It ended as it was asked to.
    Stopped,
    /// On record, never started.
    Created,
    /// It ended, and nobody asked it to.
    Crashed,
}

#[allow(non_upper_case_globals)]
impl State {
    /// [`Ready`](Self::Ready), by the name that `status` has.
    pub const Running: Self = Self::Ready;
}

impl State {
    /// "starting", "ready", "failed", "stopped", "created" or "crashed".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Created => "created",
            Self::Crashed => "crashed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A mount on record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MountInfo {
    /// "dir", "file", "named", "disk" or "tmpfs".
    pub kind: &'static str,
    /// A path of the host, or a volume's name; "" of tmpfs.
    pub source: String,
    /// Where it is in the guest.
    pub target: String,
    /// The guest cannot change it.
    pub read_only: bool,
}

/// A secret on record; never its value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretInfo {
    /// The guest's variable.
    pub env: String,
    /// What the guest has in it.
    pub placeholder: String,
    /// Who gets the value.
    pub hosts: Vec<String>,
    /// What happens when the placeholder goes elsewhere.
    pub violation: Violation,
}

/// The network on record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkInfo {
    /// There is no interface.
    pub disabled: bool,
    /// "public" and so on; "" when none is said.
    pub profile: String,
    /// In order.
    pub rules: Vec<String>,
    /// The ports that were asked for.
    pub ports: Vec<crate::Port>,
}

/// A sandbox of any process that uses the home.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SandboxInfo {
    /// Its name.
    pub name: String,
    /// 16 hex digits that no other sandbox has or had.
    pub id: String,
    /// Normalised reference, or a path.
    pub image: String,
    /// "sha256:..." of what it was made of, or "".
    pub image_id: String,
    /// Now.
    pub state: State,
    /// It stays on record when it has ended.
    pub keep: bool,
    /// It outlives who started it.
    pub detached: bool,
    /// Processors.
    pub cpus: u32,
    /// What the guest has.
    pub memory_bytes: u64,
    /// The size of its disk.
    pub upper_bytes: u64,
    /// What it occupies; only of one that was asked for by name.
    pub disk_bytes: u64,
    /// Of the last start: "kvm" or "qemu", or "".
    pub engine: String,
    /// Of the last start: "kvm" or "tcg", or "".
    pub accel: String,
    /// The walls of the jail around its processes, while it runs.
    pub walls: Vec<String>,
    /// What protects the user, in words.
    pub boundary: String,
    /// Of its msb-vmm while it runs.
    pub pid: Option<i64>,
    /// Of the process that it is attached to.
    pub owner_pid: Option<i64>,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// When, in ms since 1970.
    pub created_ms: Option<u64>,
    /// When it was started last.
    pub started_ms: Option<u64>,
    /// When it was ready.
    pub ready_ms: Option<u64>,
    /// When it ended.
    pub ended_ms: Option<u64>,
    /// "poweroff", "exited", "killed", "idle_timeout", "max_duration", "panic", "crashed",
    /// "agent_lost", "failed" or "".
    pub end_reason: String,
    /// What went wrong, or "".
    pub end_message: String,
    /// Of its main command.
    pub exit_code: Option<i32>,
    /// In seconds; 0: no limit.
    pub max_duration_s: u32,
    /// In seconds; 0: no limit.
    pub idle_timeout_s: u32,
    /// Its host name.
    pub hostname: String,
    /// What its commands get.
    pub env: Vec<(String, String)>,
    /// What its commands get.
    pub rlimits: Vec<String>,
    /// "" when not set.
    pub workdir: String,
    /// "" when not set.
    pub user: String,
    /// "" when not set.
    pub entrypoint: String,
    /// "" when not set.
    pub shell: String,
    /// Names of its scripts.
    pub scripts: Vec<String>,
    /// Another process 1, or "".
    pub init: String,
    /// Its main command.
    pub command: Vec<String>,
    /// "KIND PATH" of each.
    pub patches: Vec<String>,
    /// Mounts.
    pub mounts: Vec<MountInfo>,
    /// Network.
    pub network: NetworkInfo,
    /// Secrets.
    pub secrets: Vec<SecretInfo>,
}

/// When a change counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is done, or the next command sees it.
    Now,
    /// The machine runs on as it is until then.
    NextStart,
}

/// One change of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// "memory", "env.PATH"
    pub field: String,
    /// "" when there was nothing.
    pub before: String,
    /// "" when there is nothing any more.
    pub after: String,
    /// When it counts.
    pub effect: Effect,
}
