//! Sandboxes on record.

use std::borrow::Borrow;
use std::time::Duration;

use super::{Change, ModifyBuilder, PublishedPort, Sandbox, SandboxInfo, State};
use crate::config::SecretBuilder;
use crate::error::Result;
use crate::home::Home;
use crate::logs::{LogEntry, LogOptions, LogStream};
use crate::metrics::Metrics;
use crate::raw::sandbox::StartConfig;
use crate::snapshot::{Snapshot, SnapshotOptions};

/// A sandbox on record, whether or not it runs, and what was on record when it was looked up. It
/// means that one, by its id: another that has its name now is never touched.
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

    /// 16 hex digits that no other sandbox has or had.
    pub fn id(&self) -> &str {
        &self.info.id
    }

    /// The state when it was looked up.
    pub fn status_snapshot(&self) -> State {
        self.info.state
    }

    /// What is on record now.
    pub async fn refresh(&self) -> Result<Self> {
        self.home.get_sandbox(self.id()).await
    }

    /// Wait until it is in that state. An error when there is no such sandbox any more.
    pub async fn wait_for_status(&self, status: State) -> Result<Self> {
        loop {
            let now = self.refresh().await?;
            if now.info.state == status {
                return Ok(now);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    pub(super) async fn reach(&self, detached: bool) -> Result<Sandbox> {
        match self.connect().await {
            Err(e) if e.is_gone() => {}
            done => return done,
        }
        if detached {
            self.start_detached().await
        } else {
            self.start().await
        }
    }

    /// A handle of one that runs; one that does not is started, attached to this process.
    pub async fn connect_or_start(&self) -> Result<Sandbox> {
        self.reach(false).await
    }

    /// As [`connect_or_start`](Self::connect_or_start); it outlives this process.
    pub async fn connect_or_start_detached(&self) -> Result<Sandbox> {
        self.reach(true).await
    }

    /// Stop it if it runs (what is left after 10 s is killed), and start it again as it was:
    /// detached, or attached to this process.
    pub async fn restart(&self) -> Result<Sandbox> {
        let options = StartOptions::default().detached_if(self.info.detached);
        self.home.restart_sandbox(self.id(), GRACE, options).await
    }

    /// Kill it if it runs, and remove it.
    pub async fn destroy(&self) -> Result<()> {
        self.home.remove_sandbox(self.id(), true).await
    }

    /// A handle of one that runs.
    pub async fn connect(&self) -> Result<Sandbox> {
        self.home.open_sandbox(self.id()).await
    }

    /// Start it, attached to this process.
    pub async fn start(&self) -> Result<Sandbox> {
        self.home.start_sandbox(self.id(), StartOptions::default()).await
    }

    /// Start it; it outlives this process.
    pub async fn start_detached(&self) -> Result<Sandbox> {
        self.home.start_sandbox(self.id(), StartOptions::default().detached()).await
    }

    /// Stop it; what is left after 10 s is killed. One that does not run is fine.
    pub async fn stop(&self) -> Result<()> {
        self.stop_with_timeout(GRACE).await
    }

    /// As [`stop`](Self::stop), with another grace; none of it kills at once.
    pub async fn stop_with_timeout(&self, timeout: Duration) -> Result<()> {
        match self.connect().await {
            Ok(sb) => sb.stop_with_timeout(timeout).await,
            Err(e) if e.is_gone() => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Begin to [`stop`](Self::stop) it, and do not wait for the end.
    pub async fn request_stop(&self) -> Result<()> {
        match self.connect().await {
            Ok(sb) => sb.request_stop().await,
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

    /// Begin to [`kill`](Self::kill) it, and do not wait for the end.
    pub async fn request_kill(&self) -> Result<()> {
        match self.connect().await {
            Ok(sb) => sb.request_kill().await,
            Err(e) if e.is_gone() => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// As [`Sandbox::ping`]; an error when it does not run.
    pub async fn ping(&self) -> Result<Duration> {
        self.connect().await?.ping().await
    }

    /// As [`Sandbox::touch`]; an error when it does not run.
    pub async fn touch(&self) -> Result<()> {
        self.connect().await?.touch().await
    }

    /// As [`Sandbox::metrics`]; an error when it does not run.
    pub async fn metrics(&self) -> Result<Metrics> {
        self.connect().await?.metrics().await
    }

    /// Remove it with all that was written in it. An error when it runs.
    pub async fn remove(&self) -> Result<()> {
        self.home.remove_sandbox(self.id(), false).await
    }

    /// Change it.
    pub fn modify(&self) -> ModifyBuilder {
        ModifyBuilder::new(self.home.clone(), self.info.id.clone())
    }

    /// What waits for its next start.
    pub async fn pending(&self) -> Result<Vec<Change>> {
        self.home.pending_changes(self.id()).await
    }

    /// What its commands wrote.
    pub async fn logs(&self, options: impl Borrow<LogOptions>) -> Result<Vec<LogEntry>> {
        self.home.logs(self.id(), options.borrow().clone()).await
    }

    /// What its commands wrote and write.
    pub async fn log_stream(&self, options: impl Borrow<LogOptions>) -> Result<LogStream> {
        self.home.log_stream(self.id(), options.borrow().clone()).await
    }

    /// The published ports, when it runs.
    pub async fn ports(&self) -> Result<Vec<PublishedPort>> {
        self.home.ports(self.id()).await
    }

    /// Keep what was written in it under a name. An error when it runs.
    pub async fn snapshot(&self, name: impl Into<String>) -> Result<Snapshot> {
        self.home.create_snapshot(self.id(), name, SnapshotOptions::default()).await
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

    fn detached_if(mut self, detached: bool) -> Self {
        self.config.detached = detached;
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

/// How often the record is looked at.
const POLL: Duration = Duration::from_millis(50);
