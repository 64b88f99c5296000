//! Sandboxes on record.

use std::time::Duration;

use super::{Change, ModifyBuilder, PublishedPort, Sandbox, SandboxInfo};
use crate::config::SecretBuilder;
use crate::error::Result;
use crate::home::Home;
use crate::logs::{LogEntry, LogOptions, LogStream};
use crate::raw::sandbox::StartConfig;
use crate::snapshot::{Snapshot, SnapshotOptions};

/// A sandbox on record, whether or not it runs, and what was on record when it was looked up.
#[derive(Debug, Clone)]
pub struct SandboxHandle {
    home: Home,
    info: SandboxInfo,
}

impl SandboxHandle {
    pub(crate) fn new(home: Home, info: SandboxInfo) -> Self {
        Self { home, info }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// What was on record.
    pub fn info(&self) -> &SandboxInfo {
        &self.info
    }

    /// What is on record now.
    pub async fn refresh(&mut self) -> Result<&SandboxInfo> {
        self.info = self.home.inspect_sandbox(&self.info.name).await?;
        Ok(&self.info)
    }

    /// A handle of one that runs.
    pub async fn connect(&self) -> Result<Sandbox> {
        self.home.open_sandbox(self.name()).await
    }

    /// Start it, attached to this process.
    pub async fn start(&self) -> Result<Sandbox> {
        self.home.start_sandbox(self.name(), StartOptions::default()).await
    }

    /// Start it; it outlives this process.
    pub async fn start_detached(&self) -> Result<Sandbox> {
        self.home.start_sandbox(self.name(), StartOptions::default().detached()).await
    }

    /// Stop it; what is left after 10 s is killed. One that does not run is fine.
    pub async fn stop(&self) -> Result<()> {
        match self.connect().await {
            Ok(sb) => sb.stop().await,
            Err(e) if e.is_gone() => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// End it at once. One that does not run is fine.
    pub async fn kill(&self) -> Result<()> {
        match self.connect().await {
            Ok(sb) => sb.kill().await,
            Err(e) if e.is_gone() => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Remove it with all that was written in it. An error when it runs.
    pub async fn remove(self) -> Result<()> {
        self.home.remove_sandbox(self.info.name, false).await
    }

    /// Remove it; when it runs, it is killed.
    pub async fn remove_force(self) -> Result<()> {
        self.home.remove_sandbox(self.info.name, true).await
    }

    /// Change it.
    pub fn modify(&self) -> ModifyBuilder {
        ModifyBuilder::new(self.home.clone(), self.info.name.clone())
    }

    /// What waits for its next start.
    pub async fn pending(&self) -> Result<Vec<Change>> {
        self.home.pending_changes(self.name()).await
    }

    /// What its commands wrote.
    pub async fn logs(&self, options: LogOptions) -> Result<Vec<LogEntry>> {
        self.home.logs(self.name(), options).await
    }

    /// What its commands wrote and write.
    pub async fn log_stream(&self, options: LogOptions) -> Result<LogStream> {
        self.home.log_stream(self.name(), options).await
    }

    /// The published ports, when it runs.
    pub async fn ports(&self) -> Result<Vec<PublishedPort>> {
        self.home.ports(self.name()).await
    }

    /// Keep what was written in it under a name. An error when it runs.
    pub async fn snapshot(&self, name: impl Into<String>) -> Result<Snapshot> {
        self.home.create_snapshot(self.name(), name, SnapshotOptions::default()).await
    }
}

/// How a sandbox on record is started.
#[derive(Debug, Clone, Default)]
pub struct StartOptions {
    config: StartConfig,
}

impl StartOptions {
    /// It outlives this process and its handle.
    pub fn detached(mut self) -> Self {
        self.config.detached = true;
        self
    }

    /// The value of a secret on record: only `env` and `value` count. Those that are not given
    /// come from this process's environment.
    pub fn secret(mut self, f: impl FnOnce(SecretBuilder) -> SecretBuilder) -> Self {
        self.config.secrets.push(f(SecretBuilder::default()).secret);
        self
    }

    /// error, warn, info, debug or trace: what msb-vmm logs.
    pub fn log_level(mut self, level: impl Into<String>) -> Self {
        self.config.log_level = Some(level.into());
        self
    }
}

impl From<StartOptions> for StartConfig {
    fn from(o: StartOptions) -> Self {
        o.config
    }
}

/// The grace of a stop when nothing else is said.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
