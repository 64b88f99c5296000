//! Changing sandboxes.

use std::time::Duration;

use super::Change;
use crate::config::{Secret, SecretBuilder};
use crate::error::Result;
use crate::home::Home;
use crate::pool;
use crate::size::Mebibytes;

#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    pub fault: Option<String>,
    pub dry_run: bool,
    pub cpus: Option<u32>,
    pub memory_bytes: Option<u64>,
    pub env: Vec<(String, String)>,
    pub env_rm: Vec<String>,
    pub labels: Vec<(String, String)>,
    pub labels_rm: Vec<String>,
    pub workdir: Option<String>,
    pub user: Option<String>,
    pub hostname: Option<String>,
    pub shell: Option<String>,
    pub max_duration: Option<Option<Duration>>,
    pub idle_timeout: Option<Option<Duration>>,
    pub upper_bytes: Option<u64>,
    pub secrets: Vec<Secret>,
    pub secrets_rm: Vec<String>,
}

/// What changes of a sandbox: all, or nothing when something cannot be.
#[derive(Debug, Clone)]
#[must_use = "nothing changes until apply()"]
pub struct ModifyBuilder {
    home: Home,
    name: String,
    changes: Changes,
}

impl ModifyBuilder {
    pub(crate) fn new(home: Home, name: String) -> Self {
        Self { home, name, changes: Changes::default() }
    }

    fn with(mut self, f: impl FnOnce(&mut Changes)) -> Self {
        f(&mut self.changes);
        self
    }

    fn not_zero(self, what: &str, n: u64) -> Self {
        self.with(|c| {
            if n == 0 && c.fault.is_none() {
                c.fault = Some(format!("{what} must be more than 0"));
            }
        })
    }

    /// Processors.
    pub fn cpus(self, n: u32) -> Self {
        self.not_zero("cpus", n.into()).with(|c| c.cpus = Some(n))
    }

    /// Memory in MiB.
    pub fn memory(self, size: impl Into<Mebibytes>) -> Self {
        self.memory_bytes(size.into().as_bytes())
    }

    /// Memory in bytes.
    pub fn memory_bytes(self, bytes: u64) -> Self {
        self.not_zero("memory", bytes).with(|c| c.memory_bytes = Some(bytes))
    }

    /// The size of its disk in MiB; it may only grow.
    pub fn disk(self, size: impl Into<Mebibytes>) -> Self {
        self.disk_bytes(size.into().as_bytes())
    }

    /// The size of its disk in bytes.
    pub fn disk_bytes(self, bytes: u64) -> Self {
        self.not_zero("disk", bytes).with(|c| c.upper_bytes = Some(bytes))
    }

    /// A variable of its commands.
    pub fn env(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|c| c.env.push((key.into(), value.into())))
    }

    /// A variable that goes.
    pub fn remove_env(self, key: impl Into<String>) -> Self {
        self.with(|c| c.env_rm.push(key.into()))
    }

    /// A label.
    pub fn label(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|c| c.labels.push((key.into(), value.into())))
    }

    /// A label that goes.
    pub fn remove_label(self, key: impl Into<String>) -> Self {
        self.with(|c| c.labels_rm.push(key.into()))
    }

    /// Where its commands begin; "": as in the image.
    pub fn workdir(self, path: impl Into<String>) -> Self {
        self.with(|c| c.workdir = Some(path.into()))
    }

    /// Who its commands run as; "": as in the image.
    pub fn user(self, user: impl Into<String>) -> Self {
        self.with(|c| c.user = Some(user.into()))
    }

    /// The guest's name.
    pub fn hostname(self, name: impl Into<String>) -> Self {
        self.with(|c| c.hostname = Some(name.into()))
    }

    /// What runs scripts.
    pub fn shell(self, program: impl Into<String>) -> Self {
        self.with(|c| c.shell = Some(program.into()))
    }

    /// Since it is ready; None: no limit any more.
    pub fn max_duration(self, limit: impl Into<Option<Duration>>) -> Self {
        self.with(|c| c.max_duration = Some(limit.into()))
    }

    /// Without a command and a touch; None: no limit any more.
    pub fn idle_timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        self.with(|c| c.idle_timeout = Some(limit.into()))
    }

    /// Add a secret, or change one; what is not said of one that is there stays.
    pub fn secret(self, f: impl FnOnce(SecretBuilder) -> SecretBuilder) -> Self {
        self.with(|c| c.secrets.push(f(SecretBuilder::default()).secret))
    }

    /// A secret that goes, by its variable.
    pub fn remove_secret(self, env: impl Into<String>) -> Self {
        self.with(|c| c.secrets_rm.push(env.into()))
    }

    /// Only say what would change.
    pub fn dry_run(self) -> Self {
        self.with(|c| c.dry_run = true)
    }

    /// Do it: what changed, and when that counts.
    pub async fn apply(self) -> Result<Vec<Change>> {
        let home = self.home.raw().clone();
        pool::run(move || home.modify(&self.name, &self.changes)).await
    }
}
