//! Sandboxes: made, found, used and ended.

mod builder;
mod handle;
mod info;
mod modify;
mod ports;

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use builder::{Accel, Engine, SandboxBuilder, Upper};
pub use handle::{SandboxHandle, StartOptions};
pub use info::State as SandboxStatus;
pub use info::{Change, Effect, MountInfo, NetworkInfo, SandboxInfo, SecretInfo, State};
pub use modify::ModifyBuilder;
pub use ports::PublishedPort;

pub(crate) use builder::SandboxConfig;
pub(crate) use modify::Changes;

use crate::error::Result;
pub use crate::exec::RlimitResource;
pub use crate::fs::FsEntryKind;
pub use crate::image::PullPolicy;
pub use crate::logs::{LogEntry, LogOptions, LogSource};

use crate::exec::{ExecHandle, ExecOptions, ExecOutput, IntoArgs};
use crate::fs::SandboxFs;
use crate::home::Home;
use crate::image::CommitOptions;
use crate::logs::LogStream;
use crate::metrics::{Metrics, MetricsStream};
use crate::pool;
use crate::raw::exec as raw_exec;
use crate::raw::sandbox::RawSandbox;
use crate::snapshot::{Snapshot, SnapshotOptions};
use handle::GRACE;

/// When what happened to a machine, since it was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Times {
    /// msb-vmm was started.
    pub launched: Option<Duration>,
    /// The engine was started.
    pub spawned: Option<Duration>,
    /// The guest's first program ran.
    pub init: Option<Duration>,
    /// The agent answered.
    pub ready: Option<Duration>,
}

/// A machine that runs. Clones are the same machine; it may be used by many tasks at once.
///
/// When the last clone goes, a machine that is attached to it is killed, in the background. One
/// that is detached, or was [opened](Self::open), lives on.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

struct Inner {
    raw: RawSandbox,
    home: Home,
    name: String,
    id: String,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("name", &self.inner.name)
            .field("id", &self.inner.id)
            .finish_non_exhaustive()
    }
}

/// Which sandboxes are listed.
#[derive(Debug, Clone, Default)]
pub struct SandboxListBuilder {
    labels: Vec<String>,
}

impl SandboxListBuilder {
    /// Only those with this label.
    pub fn label(mut self, key: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.labels.push(format!("{}={}", key.as_ref(), value.as_ref()));
        self
    }

    /// Only those with all these labels.
    pub fn labels<K: AsRef<str>, V: AsRef<str>>(
        self,
        labels: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        labels.into_iter().fold(self, |l, (k, v)| l.label(k, v))
    }

    /// Only those with a label of this key.
    pub fn label_key(mut self, key: impl Into<String>) -> Self {
        self.labels.push(key.into());
        self
    }
}

/// The sandboxes on record, all of them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SandboxPage {
    /// By name.
    pub sandboxes: Vec<SandboxHandle>,
}

impl IntoIterator for SandboxPage {
    type Item = SandboxHandle;
    type IntoIter = std::vec::IntoIter<SandboxHandle>;

    fn into_iter(self) -> Self::IntoIter {
        self.sandboxes.into_iter()
    }
}

/// By name or id, in the home of the process. [`Home`] has the same for another one.
impl Sandbox {
    /// A new one. It stays on record until it is removed, unless it is ephemeral.
    pub fn builder(name: impl Into<String>) -> SandboxBuilder {
        SandboxBuilder::new(Some(name.into()))
    }

    /// A new one without a name of its own, of which nothing is left when it has ended.
    pub fn builder_unnamed() -> SandboxBuilder {
        SandboxBuilder::new(None)
    }

    /// One on record.
    pub async fn get(name: impl Into<String>) -> Result<SandboxHandle> {
        Home::shared().await?.get_sandbox(name).await
    }

    /// One that runs, whoever started it. One that still boots is waited for.
    pub async fn open(name: impl Into<String>) -> Result<Self> {
        Home::shared().await?.open_sandbox(name).await
    }

    /// All on record, by name.
    pub async fn list() -> Result<SandboxPage> {
        Self::list_with(|l| l).await
    }

    /// All on record that have each of the labels.
    pub async fn list_with(
        f: impl FnOnce(SandboxListBuilder) -> SandboxListBuilder,
    ) -> Result<SandboxPage> {
        let labels = f(SandboxListBuilder::default()).labels;
        let sandboxes = Home::shared().await?.list_sandboxes(labels).await?;
        Ok(SandboxPage { sandboxes })
    }

    /// What is on record about one.
    pub async fn inspect(name: impl Into<String>) -> Result<SandboxInfo> {
        Home::shared().await?.inspect_sandbox(name).await
    }

    /// Start one on record, attached to this process, and wait until it is ready.
    pub async fn start(name: impl Into<String>) -> Result<Self> {
        Self::start_with(name, |o| o).await
    }

    /// As [`start`](Self::start); it outlives this process.
    pub async fn start_detached(name: impl Into<String>) -> Result<Self> {
        Self::start_with(name, StartOptions::detached).await
    }

    /// As [`start`](Self::start), with options.
    pub async fn start_with(
        name: impl Into<String>,
        f: impl FnOnce(StartOptions) -> StartOptions,
    ) -> Result<Self> {
        Home::shared().await?.start_sandbox(name, f(StartOptions::default())).await
    }

    /// Remove one with all that was written in it. An error when it runs.
    pub async fn remove(name: impl Into<String>) -> Result<()> {
        Home::shared().await?.remove_sandbox(name, false).await
    }

    /// What waits for the next start of one that runs.
    pub async fn pending(name: impl Into<String>) -> Result<Vec<Change>> {
        Home::shared().await?.pending_changes(name).await
    }
}

/// The machine itself.
impl Sandbox {
    pub(crate) fn new(raw: RawSandbox, home: Home) -> Result<Self> {
        let (name, id) = (raw.name()?, raw.id()?);
        Ok(Self { inner: Arc::new(Inner { raw, home, name, id }) })
    }

    pub(crate) fn raw(&self) -> &RawSandbox {
        &self.inner.raw
    }

    pub(crate) async fn run<T: Send + 'static>(
        &self,
        f: impl FnOnce(&RawSandbox) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let me = self.clone();
        pool::run(move || f(me.raw())).await
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// 16 hex digits that no other sandbox has or had.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// The home it is in.
    pub fn home(&self) -> &Home {
        &self.inner.home
    }

    /// The state now.
    pub fn state(&self) -> Result<State> {
        self.raw().state()
    }

    /// The last lines of the console of a machine that failed or crashed, or "".
    pub fn console(&self) -> Result<String> {
        self.raw().console()
    }

    /// "kvm" or "qemu".
    pub fn engine(&self) -> Result<String> {
        self.raw().engine()
    }

    /// "kvm" or "tcg".
    pub fn accel(&self) -> Result<String> {
        self.raw().accel()
    }

    /// The walls of the jail around the machine's processes.
    pub fn walls(&self) -> Result<Vec<String>> {
        self.raw().walls()
    }

    /// What the user should know about a machine like this, or "".
    pub fn warning(&self) -> Result<String> {
        self.raw().warning()
    }

    /// How long its start took.
    pub fn times(&self) -> Result<Times> {
        self.raw().times()
    }

    /// As [`state`](Self::state).
    pub async fn status(&self) -> Result<State> {
        self.state()
    }

    async fn record(&self) -> Result<SandboxHandle> {
        self.home().get_sandbox(self.id()).await
    }

    /// Wait until it is in that state. An error when there is no such sandbox any more.
    pub async fn wait_for_status(&self, status: State) -> Result<SandboxHandle> {
        self.record().await?.wait_for_status(status).await
    }

    /// Stop it if it runs (what is left after 10 s is killed), and start it again.
    pub async fn restart(&self) -> Result<Self> {
        self.record().await?.restart().await
    }

    /// Kill it if it runs, and remove it.
    pub async fn destroy(&self) -> Result<()> {
        self.record().await?.destroy().await
    }

    /// Shut it down: commands get SIGTERM, data is written; what is left after 10 s is killed.
    pub async fn stop(&self) -> Result<()> {
        self.stop_with_timeout(GRACE).await
    }

    /// As [`stop`](Self::stop), with another grace; none of it kills at once.
    pub async fn stop_with_timeout(&self, timeout: Duration) -> Result<()> {
        self.run(move |s| s.stop(timeout)).await
    }

    /// Begin to [`stop`](Self::stop) it, and do not wait for the end.
    pub async fn request_stop(&self) -> Result<()> {
        self.end_soon(GRACE)
    }

    fn end_soon(&self, grace: Duration) -> Result<()> {
        self.state()?;
        let me = self.clone();
        pool::free(move || {
            // What becomes of it, the state says.
            let _ = me.raw().stop(grace);
        });
        Ok(())
    }

    /// End it at once.
    pub async fn kill(&self) -> Result<()> {
        self.run(RawSandbox::kill).await
    }

    /// Begin to [`kill`](Self::kill) it, and do not wait for the end.
    pub async fn request_kill(&self) -> Result<()> {
        self.end_soon(Duration::ZERO)
    }

    /// Wait for its end, however it comes.
    pub async fn wait(&self) -> Result<()> {
        self.run(|s| s.wait(None)).await
    }

    /// As [`wait`](Self::wait); a timeout error when it takes longer.
    pub async fn wait_timeout(&self, timeout: Duration) -> Result<()> {
        self.run(move |s| s.wait(Some(timeout))).await
    }

    /// From now on it outlives this process and this handle.
    pub async fn detach(&self) -> Result<()> {
        self.run(RawSandbox::detach).await
    }

    /// It is still wanted: the idle time limit starts anew.
    pub async fn touch(&self) -> Result<()> {
        self.run(RawSandbox::touch).await
    }

    /// Ask the guest's agent for an answer (within 5 s): how long it took.
    pub async fn ping(&self) -> Result<Duration> {
        self.ping_timeout(Duration::from_secs(5)).await
    }

    /// As [`ping`](Self::ping), with another time limit.
    pub async fn ping_timeout(&self, timeout: Duration) -> Result<Duration> {
        self.run(move |s| s.ping(Some(timeout))).await
    }

    /// Counters, all taken on the host.
    pub async fn metrics(&self) -> Result<Metrics> {
        self.run(RawSandbox::metrics).await
    }

    /// Counters, again and again.
    pub fn metrics_stream(&self, interval: Duration) -> MetricsStream {
        MetricsStream::new(self.clone(), interval)
    }

    /// What its commands wrote.
    pub async fn logs(&self, options: impl Borrow<LogOptions>) -> Result<Vec<LogEntry>> {
        self.home().logs(self.name(), options.borrow().clone()).await
    }

    /// What its commands wrote and write.
    pub async fn log_stream(&self, options: impl Borrow<LogOptions>) -> Result<LogStream> {
        self.home().log_stream(self.name(), options.borrow().clone()).await
    }

    /// Its files.
    pub fn fs(&self) -> SandboxFs {
        SandboxFs::new(self.clone())
    }

    /// Change it.
    pub fn modify(&self) -> ModifyBuilder {
        ModifyBuilder::new(self.home().clone(), self.name().to_owned())
    }

    /// What is on record about it.
    pub async fn info(&self) -> Result<SandboxInfo> {
        self.home().inspect_sandbox(self.name()).await
    }

    /// Keep what was written in it under a name. It must have ended.
    pub async fn snapshot(&self, name: impl Into<String>) -> Result<Snapshot> {
        self.home().create_snapshot(self.name(), name, SnapshotOptions::default()).await
    }

    /// Make an image of it: the id of the image.
    pub async fn commit(&self, reference: impl Into<String>) -> Result<String> {
        self.home().commit(self.name(), reference, CommitOptions::default()).await
    }

    /// The published ports, with those that were picked.
    pub async fn ports(&self) -> Result<Vec<PublishedPort>> {
        self.home().ports(self.name()).await
    }

    /// Which rule decides when it connects to `host` and `port` (0: any), and why: JSON.
    pub async fn net_explain(&self, host: impl Into<String>, port: u16) -> Result<String> {
        self.home().net_explain(self.name(), host, port, None).await
    }

    /// Its rules in the order in which they are asked: JSON.
    pub async fn net_rules(&self) -> Result<String> {
        self.home().net_rules(self.name()).await
    }
}

/// Commands.
impl Sandbox {
    async fn run_command(&self, options: ExecOptions) -> Result<ExecOutput> {
        self.run(move |s| raw_exec::run(s, &options)).await
    }

    /// Run a command to its end and collect what it writes.
    pub async fn exec(
        &self,
        command: impl Into<String>,
        args: impl IntoArgs,
    ) -> Result<ExecOutput> {
        self.exec_with(command, |e| e.args(args)).await
    }

    /// As [`exec`](Self::exec), with options.
    pub async fn exec_with(
        &self,
        command: impl Into<String>,
        f: impl FnOnce(ExecOptions) -> ExecOptions,
    ) -> Result<ExecOutput> {
        self.run_command(f(ExecOptions::command(command.into()))).await
    }

    /// Run a script of the sandbox's shell to its end and collect what it writes.
    pub async fn shell(&self, script: impl Into<String>) -> Result<ExecOutput> {
        self.shell_with(script, |e| e).await
    }

    /// As [`shell`](Self::shell), with options; arguments are `$1` and so on.
    pub async fn shell_with(
        &self,
        script: impl Into<String>,
        f: impl FnOnce(ExecOptions) -> ExecOptions,
    ) -> Result<ExecOutput> {
        self.run_command(f(ExecOptions::script(script.into()))).await
    }

    /// Run what the image says.
    pub async fn exec_default(&self) -> Result<ExecOutput> {
        self.exec_default_with(|e| e).await
    }

    /// As [`exec_default`](Self::exec_default), with options; arguments are in place of the
    /// image's.
    pub async fn exec_default_with(
        &self,
        f: impl FnOnce(ExecOptions) -> ExecOptions,
    ) -> Result<ExecOutput> {
        self.run_command(f(ExecOptions::of_image())).await
    }

    async fn start_command(&self, options: ExecOptions) -> Result<ExecHandle> {
        let me = self.clone();
        pool::run(move || {
            let timeout = options.timeout;
            let input = options.input();
            let raw = raw_exec::RawExec::start(me.raw(), &options)?;
            ExecHandle::new(raw, options.has_pipe(), input, timeout)
        })
        .await
    }

    /// Start a command and follow what it does.
    pub async fn exec_stream(
        &self,
        command: impl Into<String>,
        args: impl IntoArgs,
    ) -> Result<ExecHandle> {
        self.exec_stream_with(command, |e| e.args(args)).await
    }

    /// As [`exec_stream`](Self::exec_stream), with options.
    pub async fn exec_stream_with(
        &self,
        command: impl Into<String>,
        f: impl FnOnce(ExecOptions) -> ExecOptions,
    ) -> Result<ExecHandle> {
        self.start_command(f(ExecOptions::command(command.into()))).await
    }

    /// Start a script and follow what it does.
    pub async fn shell_stream(&self, script: impl Into<String>) -> Result<ExecHandle> {
        self.shell_stream_with(script, |e| e).await
    }

    /// As [`shell_stream`](Self::shell_stream), with options.
    pub async fn shell_stream_with(
        &self,
        script: impl Into<String>,
        f: impl FnOnce(ExecOptions) -> ExecOptions,
    ) -> Result<ExecHandle> {
        self.start_command(f(ExecOptions::script(script.into()))).await
    }

    /// As [`exec_default`](Self::exec_default), and follow what it does.
    pub async fn exec_default_stream(&self) -> Result<ExecHandle> {
        self.exec_default_stream_with(|e| e).await
    }

    /// As [`exec_default_with`](Self::exec_default_with), and follow what it does.
    pub async fn exec_default_stream_with(
        &self,
        f: impl FnOnce(ExecOptions) -> ExecOptions,
    ) -> Result<ExecHandle> {
        self.start_command(f(ExecOptions::of_image())).await
    }

    /// Take a detached command back; its number is [`ExecHandle::session`]. None: the main
    /// command, else the only one that is detached.
    pub async fn attach(&self, session: impl Into<Option<u64>>) -> Result<ExecHandle> {
        let (me, session) = (self.clone(), session.into().unwrap_or(0));
        pool::run(move || {
            let raw = raw_exec::RawExec::attach(me.raw(), session)?;
            ExecHandle::new(raw, true, None, None)
        })
        .await
    }

    /// Run the main command of its record in the background; the machine ends with it.
    pub async fn run_main(&self) -> Result<()> {
        self.run(RawSandbox::run_main).await
    }
}
